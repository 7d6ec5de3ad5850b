/*
 * Challenges of ALTCHA, protocol version 2.
 *
 * What comes in is read into fields of one form each; the text whose signature
 * is checked is written anew from those fields, so nothing that was not
 * understood can hide in it.
 */

#include "altcha.h"

#include <string.h>

#include <openssl/crypto.h>

#define ALGORITHM    "PBKDF2/SHA-256"
#define NUMBER_MAX   32                       /* letters of a number */
#define DECODED_MAX  (ALTCHA_PAYLOAD_MAX / 4 * 3)

/* the greatest integer that every JSON reader has exactly */
#define INTEGER_MAX  ((UINT64_C(1) << 53) - 1)

enum kind {
    KIND_TEXT,
    KIND_HEX,
    KIND_INTEGER,
    KIND_NUMBER,                              /* looked at, not kept */
    KIND_OBJECT
};

/* A member that an object may have, and where its value goes. */
struct member {
    const char           *name;
    enum kind             kind;
    bool                  optional;
    size_t                offset;             /* in struct payload */
    uint64_t              max;                /* bytes of a hex; an integer */
    const struct member  *members;            /* of an object */
};

struct payload {
    struct altcha_text  algorithm;
    struct altcha_text  key_id;
    struct altcha_text  purpose;
    struct altcha_text  region;
    struct altcha_text  store;
    uint64_t            cost;
    uint64_t            expires;
    uint64_t            key_length;
    uint64_t            counter;
    uint8_t             prefix[ALTCHA_PREFIX_SIZE];
    uint8_t             proof[HMAC_SHA256_SIZE];
    uint8_t             nonce[ALTCHA_NONCE_SIZE];
    uint8_t             salt[ALTCHA_SALT_SIZE];
    uint8_t             signature[HMAC_SHA256_SIZE];
    uint8_t             key[ALTCHA_KEY_SIZE];
};

struct reader {
    const char  *p;
    const char  *end;
};

struct writer {
    char  *p;
    char  *end;
    bool   full;
};

#define FIELD(f)  offsetof(struct payload, f)


static const struct member  data_members[] = {
    { "key", KIND_TEXT, false, FIELD(key_id), 0, NULL },
    { "purpose", KIND_TEXT, false, FIELD(purpose), 0, NULL },
    { "region", KIND_TEXT, false, FIELD(region), 0, NULL },
    { "store", KIND_TEXT, false, FIELD(store), 0, NULL },
    { NULL, KIND_TEXT, false, 0, 0, NULL }
};

static const struct member  parameter_members[] = {
    { "algorithm", KIND_TEXT, false, FIELD(algorithm), 0, NULL },
    { "cost", KIND_INTEGER, false, FIELD(cost), ALTCHA_COST_MAX, NULL },
    { "data", KIND_OBJECT, false, 0, 0, data_members },
    { "expiresAt", KIND_INTEGER, false, FIELD(expires), INTEGER_MAX, NULL },
    { "keyLength", KIND_INTEGER, false, FIELD(key_length), INTEGER_MAX, NULL },
    { "keyPrefix", KIND_HEX, false, FIELD(prefix), ALTCHA_PREFIX_SIZE, NULL },
    { "keySignature", KIND_HEX, false, FIELD(proof), HMAC_SHA256_SIZE, NULL },
    { "nonce", KIND_HEX, false, FIELD(nonce), ALTCHA_NONCE_SIZE, NULL },
    { "salt", KIND_HEX, false, FIELD(salt), ALTCHA_SALT_SIZE, NULL },
    { NULL, KIND_TEXT, false, 0, 0, NULL }
};

static const struct member  challenge_members[] = {
    { "parameters", KIND_OBJECT, false, 0, 0, parameter_members },
    { "signature", KIND_HEX, false, FIELD(signature), HMAC_SHA256_SIZE, NULL },
    { NULL, KIND_TEXT, false, 0, 0, NULL }
};

static const struct member  solution_members[] = {
    { "counter", KIND_INTEGER, false, FIELD(counter), ALTCHA_COUNTER_MAX,
      NULL },
    { "derivedKey", KIND_HEX, false, FIELD(key), ALTCHA_KEY_SIZE, NULL },
    { "time", KIND_NUMBER, true, 0, 0, NULL },
    { NULL, KIND_TEXT, false, 0, 0, NULL }
};

static const struct member  payload_members[] = {
    { "challenge", KIND_OBJECT, false, 0, 0, challenge_members },
    { "solution", KIND_OBJECT, false, 0, 0, solution_members },
    { NULL, KIND_TEXT, false, 0, 0, NULL }
};

static const struct member  whole = {
    "", KIND_OBJECT, false, 0, 0, payload_members
};


static const int8_t  letters[128] = {
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 62, -1, -1, -1, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, -1, -1, -1, -1, -1, -1,
    -1,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, -1, -1, -1, -1, -1,
    -1, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, -1, -1, -1, -1, -1
};


static bool read_value(struct reader *reader, const struct member *member,
    struct payload *payload);


/* The value of a letter of base64; a negative one: it is none. */

static int
letter_of(char c)
{
    return (unsigned char) c < sizeof(letters) ? letters[(unsigned char) c]
                                               : -1;
}


/* Standard base64 with its padding, one spelling a value; n: 0 if it is not. */

static size_t
decode(const char *text, size_t n, uint8_t out[DECODED_MAX])
{
    int       a, b, c, d;
    size_t    i, left, used;

    if (n == 0 || n > ALTCHA_PAYLOAD_MAX || n % 4 != 0) {
        return 0;
    }

    left = text[n - 1] != '=' ? n : text[n - 2] != '=' ? n - 1 : n - 2;
    used = 0;

    for (i = 0; i < n; i += 4) {
        a = letter_of(text[i]);
        b = letter_of(text[i + 1]);
        c = i + 2 < left ? letter_of(text[i + 2]) : 0;
        d = i + 3 < left ? letter_of(text[i + 3]) : 0;

        if ((a | b | c | d) < 0) {
            return 0;
        }

        out[used++] = (uint8_t) (a << 2 | b >> 4);
        out[used++] = (uint8_t) (b << 4 | c >> 2);
        out[used++] = (uint8_t) (c << 6 | d);
    }

    used -= n - left;

    /* the bits beyond the last byte say nothing, so they must be zero */

    return n > left && out[used] != 0 ? 0 : used;
}


static int
digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


static void
skip_blanks(struct reader *reader)
{
    while (reader->p < reader->end
           && (*reader->p == ' ' || *reader->p == '\t' || *reader->p == '\n'
               || *reader->p == '\r'))
    {
        reader->p++;
    }
}


/* The next letter that is no blank, if it is this one. */

static bool
take(struct reader *reader, char c)
{
    skip_blanks(reader);

    if (reader->p == reader->end || *reader->p != c) {
        return false;
    }

    reader->p++;

    return true;
}


/* Visible ASCII without escapes: none of our texts needs one. */

static bool
read_text(struct reader *reader, struct altcha_text *text)
{
    if (!take(reader, '"')) {
        return false;
    }

    text->p = reader->p;

    while (reader->p < reader->end && *reader->p != '"') {
        if (*reader->p < ' ' || *reader->p > '~' || *reader->p == '\\') {
            return false;
        }

        reader->p++;
    }

    text->n = (size_t) (reader->p - text->p);

    return take(reader, '"');
}


static bool
read_hex(struct reader *reader, uint8_t *out, size_t size)
{
    int                 high, low;
    size_t              i;
    struct altcha_text  text;

    if (!read_text(reader, &text) || text.n != 2 * size) {
        return false;
    }

    for (i = 0; i < size; i++) {
        high = digit_of(text.p[2 * i]);
        low = digit_of(text.p[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }

        out[i] = (uint8_t) (high << 4 | low);
    }

    return true;
}


static bool
is_digit(const struct reader *reader)
{
    return reader->p < reader->end && *reader->p >= '0' && *reader->p <= '9';
}


/* Digits alone, with no zero before them. */

static bool
read_integer(struct reader *reader, uint64_t *value, uint64_t max)
{
    const char  *start;

    skip_blanks(reader);
    start = reader->p;
    *value = 0;

    while (is_digit(reader)) {
        *value = *value * 10 + (uint64_t) (*reader->p - '0');
        reader->p++;

        if (*value > max) {
            return false;
        }
    }

    return reader->p > start && (*start != '0' || reader->p == start + 1);
}


static bool
read_digits(struct reader *reader)
{
    if (!is_digit(reader)) {
        return false;
    }

    while (is_digit(reader)) {
        reader->p++;
    }

    return true;
}


/* Any number of RFC 8259, of a bounded length. */

static bool
read_number(struct reader *reader)
{
    const char  *start;

    skip_blanks(reader);
    start = reader->p;

    if (reader->p < reader->end && *reader->p == '-') {
        reader->p++;
    }

    if (reader->p < reader->end && *reader->p == '0') {
        reader->p++;

    } else if (!read_digits(reader)) {
        return false;
    }

    if (reader->p < reader->end && *reader->p == '.') {
        reader->p++;

        if (!read_digits(reader)) {
            return false;
        }
    }

    if (reader->p < reader->end && (*reader->p == 'e' || *reader->p == 'E')) {
        reader->p++;

        if (reader->p < reader->end
            && (*reader->p == '+' || *reader->p == '-'))
        {
            reader->p++;
        }

        if (!read_digits(reader)) {
            return false;
        }
    }

    return reader->p - start <= NUMBER_MAX;
}


/* Each member at most once, none that is not in the table. */

static bool
read_object(struct reader *reader, const struct member *members,
    struct payload *payload)
{
    unsigned             seen, i;
    struct altcha_text   name;

    seen = 0;

    if (!take(reader, '{')) {
        return false;
    }

    do {
        if (!read_text(reader, &name) || !take(reader, ':')) {
            return false;
        }

        for (i = 0; members[i].name != NULL; i++) {
            if (strlen(members[i].name) == name.n
                && memcmp(members[i].name, name.p, name.n) == 0)
            {
                break;
            }
        }

        if (members[i].name == NULL || (seen & 1u << i)
            || !read_value(reader, &members[i], payload))
        {
            return false;
        }

        seen |= 1u << i;

    } while (take(reader, ','));

    for (i = 0; members[i].name != NULL; i++) {
        if (!members[i].optional && !(seen & 1u << i)) {
            return false;
        }
    }

    return take(reader, '}');
}


/* As deep as the tables are. */

static bool
read_value(struct reader *reader, const struct member *member,
    struct payload *payload)
{
    char                *field;
    struct altcha_text  *text;

    field = (char *) payload + member->offset;

    switch (member->kind) {

    case KIND_TEXT:
        text = (struct altcha_text *) field;
        return read_text(reader, text) && text->n <= ALTCHA_TEXT_MAX;

    case KIND_HEX:
        return read_hex(reader, (uint8_t *) field, (size_t) member->max);

    case KIND_INTEGER:
        return read_integer(reader, (uint64_t *) field, member->max);

    case KIND_NUMBER:
        return read_number(reader);

    default: /* KIND_OBJECT */
        return read_object(reader, member->members, payload);
    }
}


static void
put(struct writer *writer, const char *p, size_t n)
{
    if (writer->full || n > (size_t) (writer->end - writer->p)) {
        writer->full = true;
        return;
    }

    if (n > 0) {
        memcpy(writer->p, p, n);
        writer->p += n;
    }
}


static void
put_string(struct writer *writer, const char *text)
{
    put(writer, text, strlen(text));
}


static void
put_text(struct writer *writer, const char *before,
    const struct altcha_text *text)
{
    put_string(writer, before);
    put(writer, text->p, text->n);
}


static void
put_hex(struct writer *writer, const char *before, const uint8_t *p, size_t n)
{
    char    digits[2];
    size_t  i;

    static const char  hex[] = "0123456789abcdef";

    put_string(writer, before);

    for (i = 0; i < n; i++) {
        digits[0] = hex[p[i] >> 4];
        digits[1] = hex[p[i] & 15];
        put(writer, digits, sizeof(digits));
    }
}


static void
put_integer(struct writer *writer, const char *before, uint64_t value)
{
    char   text[20], *p;

    put_string(writer, before);
    p = text + sizeof(text);

    do {
        *--p = (char) ('0' + value % 10);
        value /= 10;
    } while (value > 0);

    put(writer, p, (size_t) (text + sizeof(text) - p));
}


/* The signed text: no blanks, names in the order of their letters. */

static void
put_parameters(struct writer *writer, const struct payload *payload)
{
    put_text(writer, "{\"algorithm\":\"", &payload->algorithm);
    put_integer(writer, "\",\"cost\":", payload->cost);
    put_text(writer, ",\"data\":{\"key\":\"", &payload->key_id);
    put_text(writer, "\",\"purpose\":\"", &payload->purpose);
    put_text(writer, "\",\"region\":\"", &payload->region);
    put_text(writer, "\",\"store\":\"", &payload->store);
    put_integer(writer, "\"},\"expiresAt\":", payload->expires);
    put_integer(writer, ",\"keyLength\":", payload->key_length);
    put_hex(writer, ",\"keyPrefix\":\"", payload->prefix,
            sizeof(payload->prefix));
    put_hex(writer, "\",\"keySignature\":\"", payload->proof,
            sizeof(payload->proof));
    put_hex(writer, "\",\"nonce\":\"", payload->nonce, sizeof(payload->nonce));
    put_hex(writer, "\",\"salt\":\"", payload->salt, sizeof(payload->salt));
    put_string(writer, "\"}");
}


void
altcha_derive(struct altcha_riddle *riddle, uint32_t counter, uint32_t cost)
{
    uint8_t  password[ALTCHA_NONCE_SIZE + 4];

    memcpy(password, riddle->nonce, ALTCHA_NONCE_SIZE);
    password[ALTCHA_NONCE_SIZE] = (uint8_t) (counter >> 24);
    password[ALTCHA_NONCE_SIZE + 1] = (uint8_t) (counter >> 16);
    password[ALTCHA_NONCE_SIZE + 2] = (uint8_t) (counter >> 8);
    password[ALTCHA_NONCE_SIZE + 3] = (uint8_t) counter;

    hmac_sha256_pbkdf2(password, sizeof(password), riddle->salt,
                       sizeof(riddle->salt), cost, riddle->key);

    OPENSSL_cleanse(password, sizeof(password));
}


size_t
altcha_write(const struct challenge_keys *keys,
    const struct altcha_policy *policy, const struct altcha_riddle *riddle,
    int64_t until, char *out, size_t size)
{
    char                        *start;
    uint8_t                      signature[HMAC_SHA256_SIZE];
    struct writer                writer;
    struct payload               payload;
    const struct challenge_key  *key;

    key = &keys->list[0];
    memset(&payload, 0, sizeof(payload));

    payload.algorithm.p = ALGORITHM;
    payload.algorithm.n = sizeof(ALGORITHM) - 1;
    payload.key_id.p = key->id;
    payload.key_id.n = strlen(key->id);
    payload.purpose = policy->purpose;
    payload.region = policy->region;
    payload.store = policy->store;
    payload.cost = policy->cost;
    payload.expires = (uint64_t) until;
    payload.key_length = ALTCHA_KEY_SIZE;

    memcpy(payload.nonce, riddle->nonce, sizeof(payload.nonce));
    memcpy(payload.salt, riddle->salt, sizeof(payload.salt));
    memcpy(payload.prefix, riddle->key, sizeof(payload.prefix));
    hmac_sha256(&key->prove, riddle->key, sizeof(riddle->key), payload.proof);

    writer.p = out;
    writer.end = out + size;
    writer.full = false;

    put_string(&writer, "{\"parameters\":");
    start = writer.p;
    put_parameters(&writer, &payload);

    if (writer.full) {
        return 0;
    }

    hmac_sha256(&key->sign, start, (size_t) (writer.p - start), signature);
    put_hex(&writer, ",\"signature\":\"", signature, sizeof(signature));
    put_string(&writer, "\"}\n");

    return writer.full ? 0 : (size_t) (writer.p - out);
}


static bool
is_text(const struct altcha_text *one, const struct altcha_text *two)
{
    return one->n == two->n
           && (one->n == 0 || memcmp(one->p, two->p, one->n) == 0);
}


static bool
is_signed(const struct challenge_key *key, const struct payload *payload)
{
    char           text[ALTCHA_CHALLENGE_MAX];
    uint8_t        signature[HMAC_SHA256_SIZE];
    struct writer  writer;

    writer.p = text;
    writer.end = text + sizeof(text);
    writer.full = false;

    put_parameters(&writer, payload);

    if (writer.full) {
        return false;
    }

    hmac_sha256(&key->sign, text, (size_t) (writer.p - text), signature);

    return CRYPTO_memcmp(signature, payload->signature, sizeof(signature))
           == 0;
}


/* The counter proves nothing here: the key cannot be had without the work. */

static bool
is_solved(const struct challenge_key *key, const struct payload *payload)
{
    uint8_t  proof[HMAC_SHA256_SIZE];

    hmac_sha256(&key->prove, payload->key, sizeof(payload->key), proof);

    return CRYPTO_memcmp(payload->key, payload->prefix,
                         sizeof(payload->prefix)) == 0
           && CRYPTO_memcmp(proof, payload->proof, sizeof(proof)) == 0;
}


static enum altcha_verdict
judge(const struct challenge_keys *keys, const struct altcha_policy *policy,
    const struct payload *payload, int64_t now)
{
    const struct challenge_key  *key;

    static const struct altcha_text  algorithm = {
        ALGORITHM, sizeof(ALGORITHM) - 1
    };

    if (!is_text(&payload->algorithm, &algorithm)
        || payload->key_length != ALTCHA_KEY_SIZE)
    {
        return ALTCHA_MALFORMED;
    }

    key = challenge_keys_find(keys, payload->key_id.p, payload->key_id.n);

    if (key == NULL || payload->cost != policy->cost
        || !is_text(&payload->store, &policy->store))
    {
        return ALTCHA_UNKNOWN;
    }

    if (!is_signed(key, payload)) {
        return ALTCHA_BAD_SIGNATURE;
    }

    if ((int64_t) payload->expires <= now) {
        return ALTCHA_EXPIRED;
    }

    if (!is_text(&payload->purpose, &policy->purpose)
        || !is_text(&payload->region, &policy->region))
    {
        return ALTCHA_WRONG_PURPOSE;
    }

    return is_solved(key, payload) ? ALTCHA_GOOD : ALTCHA_WRONG_PROOF;
}


enum altcha_verdict
altcha_check(const struct challenge_keys *keys,
    const struct altcha_policy *policy, const char *text, size_t n,
    int64_t now, struct altcha_spent *spent)
{
    uint8_t              decoded[DECODED_MAX];
    struct reader        reader;
    struct payload       payload;
    enum altcha_verdict  verdict;

    memset(&payload, 0, sizeof(payload));

    reader.p = (const char *) decoded;
    reader.end = reader.p + decode(text, n, decoded);

    if (!read_value(&reader, &whole, &payload)) {
        return ALTCHA_MALFORMED;
    }

    skip_blanks(&reader);

    if (reader.p != reader.end) {
        return ALTCHA_MALFORMED;
    }

    verdict = judge(keys, policy, &payload, now);

    if (verdict == ALTCHA_GOOD) {
        memcpy(spent->nonce, payload.nonce, sizeof(spent->nonce));
        spent->until = (int64_t) payload.expires;
    }

    return verdict;
}
