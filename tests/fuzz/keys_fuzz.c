// Key files of any bytes: no crash, no leak, and of what is taken every line has all a key needs,
// in harmless letters.
// sources: ngx_module/keys.c ngx_module/limits.c ngx_module/networks.c ngx_module/siphash.c
// libs: -lcrypto
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "keys.h"

#define SECRET "abcdefghijklmnopqrstuvwxyz012345"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void assert_harmless(const char *text, size_t min, size_t max)
{
    size_t n = strlen(text);
    assert(n >= min && n <= max);
    for (size_t i = 0; i < n; i++) {
        assert(text[i] >= ' ' && text[i] <= 'z' && text[i] != '"' && text[i] != '\\');
        /* Blanks stand between words only. */
        assert(text[i] != ' ' || (i > 0 && i + 1 < n && text[i + 1] != ' '));
    }
}

static void assert_whole(const struct key *key)
{
    assert_harmless(key->subject, 1, KEYS_VALUE_MAX);
    assert_harmless(key->roles, 1, KEYS_VALUE_MAX);
    assert_harmless(key->region, 1, 3);
    assert_harmless(key->body, 0, KEYS_VALUE_MAX);
    assert_harmless(key->scopes, 0, KEYS_VALUE_MAX);
    assert_harmless(key->hook, 0, KEYS_VALUE_MAX);
    assert(key->rate.period == 0 || limits_rate_valid(&key->rate));
}

/* A key that the file knows by the prefix and digest of text; or nothing it could mistake for one.
 */
static void ask(const struct keys *keys, const char *text, size_t n)
{
    const struct key *key = NULL;
    enum keys_verdict verdict = keys_check(keys, text, n, 1800000000, &key);
    assert(verdict != KEYS_FAILED);
    assert((key != NULL) == (verdict == KEYS_GOOD || verdict == KEYS_EXPIRED));
    if (key != NULL) {
        assert(n == KEYS_TEXT_SIZE && memcmp(key->prefix, text + 4, KEYS_PREFIX_SIZE) == 0);
        uint8_t digest[SHA256_DIGEST_LENGTH];
        SHA256((const uint8_t *)text, n, digest);
        assert(memcmp(digest, key->digest, sizeof digest) == 0);
        assert((verdict == KEYS_GOOD) == (key->expires > 1800000000));
        assert_whole(key);
    }
}

/* The bytes are a file; where they say "@", a key of a known text stands for it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "otk_k3f9x2ab_" SECRET;
    static char line[sizeof "k3f9x2ab " + 2 * SHA256_DIGEST_LENGTH];
    if (line[0] == '\0') {
        uint8_t digest[SHA256_DIGEST_LENGTH];
        SHA256((const uint8_t *)text, strlen(text), digest);
        memcpy(line, "k3f9x2ab ", sizeof "k3f9x2ab ");
        for (size_t i = 0; i < sizeof digest; i++) {
            static const char hex[] = "0123456789abcdef";
            line[9 + 2 * i] = hex[digest[i] >> 4];
            line[10 + 2 * i] = hex[digest[i] & 15];
        }
    }
    size_t head = strlen(line), at = 0;
    char *file = malloc(size * head + 1);
    assert(file != NULL);
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '@' && (i == 0 || data[i - 1] == '\n')) {
            memcpy(file + at, line, head);
            at += head;
        } else {
            file[at++] = (char)data[i];
        }
    }
    /* On the heap, of its own length: reading past its end is found. */
    char *copy = malloc(at + !at);
    assert(copy != NULL);
    memcpy(copy, file, at);
    struct keys_error error = { 0, NULL };
    struct keys *keys = keys_parse(copy, at, &error);
    assert(keys != NULL || error.what != NULL);
    if (keys != NULL) {
        ask(keys, text, strlen(text));
        ask(keys, file, at < KEYS_TEXT_SIZE ? at : KEYS_TEXT_SIZE);
        keys_free(keys);
    }
    free(copy);
    free(file);
    return 0;
}
