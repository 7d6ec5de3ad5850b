/* The keys that challenges are signed with: a file with one a line. */

#include "challenge_keys.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>


static int
digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


static bool
is_id(const char *p, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (!(p[i] >= 'a' && p[i] <= 'z') && !(p[i] >= '0' && p[i] <= '9')
            && p[i] != '_' && p[i] != '-')
        {
            return false;
        }
    }

    return n > 0 && n <= CHALLENGE_KEY_ID_MAX;
}


/* One secret makes two keys, so that neither signature can stand for the
 * other. */

static void
make_keys(struct challenge_key *key, const uint8_t *secret, size_t n)
{
    uint8_t             derived[HMAC_SHA256_SIZE];
    struct hmac_sha256  hmac;

    static const char  sign[] = "altcha challenge";
    static const char  prove[] = "altcha key";

    hmac_sha256_key(&hmac, secret, n);

    hmac_sha256(&hmac, sign, sizeof(sign) - 1, derived);
    hmac_sha256_key(&key->sign, derived, sizeof(derived));

    hmac_sha256(&hmac, prove, sizeof(prove) - 1, derived);
    hmac_sha256_key(&key->prove, derived, sizeof(derived));

    OPENSSL_cleanse(&hmac, sizeof(hmac));
    OPENSSL_cleanse(derived, sizeof(derived));
}


static const char *
read_secret(struct challenge_key *key, const char *p, size_t n)
{
    int      high, low;
    size_t   i;
    uint8_t  secret[CHALLENGE_KEY_SIZE_MAX];

    if (n % 2 != 0 || n < 2 * CHALLENGE_KEY_MIN || n > 2 * sizeof(secret)) {
        return "the secret is not 64 to 128 hexadecimal digits";
    }

    for (i = 0; i < n; i += 2) {
        high = digit_of(p[i]);
        low = digit_of(p[i + 1]);

        if (high < 0 || low < 0) {
            OPENSSL_cleanse(secret, sizeof(secret));
            return "the secret is not of the digits 0-9 a-f";
        }

        secret[i / 2] = (uint8_t) (high << 4 | low);
    }

    make_keys(key, secret, n / 2);
    OPENSSL_cleanse(secret, sizeof(secret));

    return NULL;
}


/* NULL, or what is wrong. */

static const char *
read_line(struct challenge_keys *keys, const char *line, size_t n)
{
    size_t                 length;
    const char            *blank;
    struct challenge_key  *key;

    blank = memchr(line, ' ', n);

    if (blank == NULL || !is_id(line, (size_t) (blank - line))) {
        return "it does not begin with a name of 1 to 16 of a-z 0-9 _ - "
               "and a blank";
    }

    length = (size_t) (blank - line);

    if (challenge_keys_find(keys, line, length) != NULL) {
        return "the name is there twice";
    }

    if (keys->n == CHALLENGE_KEYS_MAX) {
        return "there are more than 8 keys";
    }

    key = &keys->list[keys->n];
    memcpy(key->id, line, length);
    key->id[length] = '\0';
    keys->n++;

    return read_secret(key, blank + 1, n - length - 1);
}


static bool
read_lines(struct challenge_keys *keys, const char *text, size_t n,
    struct challenge_keys_error *error)
{
    size_t       length;
    const char  *line, *end;

    for (line = text; line < text + n; line = end + 1) {
        error->line++;
        end = memchr(line, '\n', (size_t) (text + n - line));

        if (end == NULL) {

            /* what a reader sees while somebody writes in place */

            error->what = "the file does not end with a whole line";
            return false;
        }

        length = (size_t) (end - line);

        if (length == 0 || line[0] == '#') {
            continue;
        }

        error->what = read_line(keys, line, length);

        if (error->what != NULL) {
            return false;
        }
    }

    if (keys->n == 0) {
        error->line = 0;
        error->what = "there is no key in it";
        return false;
    }

    return true;
}


struct challenge_keys *
challenge_keys_parse(const char *text, size_t n,
    struct challenge_keys_error *error)
{
    struct challenge_keys  *keys;

    error->line = 0;
    error->what = "no memory";

    if (n > CHALLENGE_KEYS_FILE_MAX) {
        error->what = "the file is over 4096 bytes";
        return NULL;
    }

    keys = calloc(1, sizeof(*keys));
    if (keys == NULL) {
        return NULL;
    }

    if (!read_lines(keys, text, n, error)) {
        challenge_keys_free(keys);
        return NULL;
    }

    return keys;
}


void
challenge_keys_free(struct challenge_keys *keys)
{
    if (keys == NULL) {
        return;
    }

    OPENSSL_cleanse(keys, sizeof(*keys));
    free(keys);
}


const struct challenge_key *
challenge_keys_find(const struct challenge_keys *keys, const char *id,
    size_t n)
{
    size_t  i;

    for (i = 0; i < keys->n; i++) {
        if (strlen(keys->list[i].id) == n
            && memcmp(keys->list[i].id, id, n) == 0)
        {
            return &keys->list[i];
        }
    }

    return NULL;
}
