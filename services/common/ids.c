/* Identifiers and secrets: UUIDv7, public numbers, access codes. */
#include "ids.h"

/* The digests of before OpenSSL 3: the new ones look for a provider at every call (0.4 µs) and
 * bring 2 MB of libcrypto into the memory of each worker. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <time.h>
#include <unistd.h>
#include <uuid/uuid.h>

enum {
    POOL_BYTES = 256 /* getentropy gives no more at once */,
    NUMBER_LENGTH = 17,
    CODE_LETTERS = 16
};

/* Random bytes out of a block: one call of the kernel for some dozen ids. What was given out is
 * wiped. -1 when the system gives none. (OpenSSL's generator would bring 2 MB of libcrypto into
 * memory.) */
static int random_bytes(unsigned char *out, size_t n)
{
    static unsigned char pool[POOL_BYTES];
    static size_t left;
    if (left < n) {
        if (getentropy(pool, sizeof pool) != 0) {
            return -1;
        }
        left = sizeof pool;
    }
    memcpy(out, pool + sizeof pool - left, n);
    OPENSSL_cleanse(pool + sizeof pool - left, n);
    left -= n;
    return 0;
}

/* RFC 9562, 5.7: 48 bits of milliseconds; then, by its 6.2 method 3, the microseconds' part of the
 * millisecond in rand_a, so that ids of one process ascend; two in the same quarter of a
 * microsecond, or a clock set back: one more than the last. */
int uuid7(char out[37], int64_t *at_us)
{
    static uint64_t last; /* milliseconds << 12 | part */
    unsigned char bytes[16];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (random_bytes(bytes + 8, 8) != 0) {
        return -1;
    }
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    uint64_t part = (uint64_t)now.tv_nsec % 1000000 * 4096 / 1000000;
    uint64_t stamp = ms << 12 | part;
    stamp = stamp > last ? stamp : last + 1;
    last = stamp;
    for (int i = 0; i < 6; i++) {
        bytes[i] = (unsigned char)(stamp >> (52 - 8 * i));
    }
    bytes[6] = (unsigned char)(0x70 | (stamp >> 8 & 0x0f));
    bytes[7] = (unsigned char)stamp;
    bytes[8] = (unsigned char)(0x80 | (bytes[8] & 0x3f));
    uuid_unparse_lower(bytes, out);
    if (at_us != NULL) {
        *at_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    }
    return 0;
}

/* ---- access codes */

/* Crockford's base 32: no I, L, O, U. */
static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void access_code_of(const unsigned char bits[10], char out[20])
{
    enum { BYTES = 10 };
    size_t n = 0;
    for (size_t i = 0; i < CODE_LETTERS; i++) {
        if (i > 0 && i % 4 == 0) {
            out[n++] = '-';
        }
        size_t at = i * 5; /* first bit of this letter */
        unsigned two = (unsigned)bits[at / 8] << 8 | (at / 8 + 1 < BYTES ? bits[at / 8 + 1] : 0);
        out[n++] = letters[two >> (11 - at % 8) & 31];
    }
    out[n] = '\0';
}

int access_code(char out[20])
{
    unsigned char bits[10];
    if (random_bytes(bits, sizeof bits) != 0) {
        return -1;
    }
    access_code_of(bits, out);
    OPENSSL_cleanse(bits, sizeof bits);
    return 0;
}

/* The letter a reader meant: case, O for 0, I and L for 1. 0 when there is none. */
static char meant(char c)
{
    if (c >= 'a' && c <= 'z') {
        c = (char)(c - ('a' - 'A'));
    }
    c = (char)(c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c);
    return (char)(c != '\0' && strchr(letters, c) != NULL ? c : 0);
}

int access_code_digest(struct str code, char out[67])
{
    char plain[CODE_LETTERS];
    size_t n = 0;
    for (size_t i = 0; i < code.n; i++) {
        if (code.p[i] == '-' || code.p[i] == ' ') {
            continue;
        }
        char c = meant(code.p[i]);
        if (c == 0 || n == CODE_LETTERS) {
            return -1;
        }
        plain[n++] = c;
    }
    if (n != CODE_LETTERS) {
        return -1;
    }
    sha256_bytea((struct str){ plain, n }, out);
    return 0;
}

void sha256_bytea(struct str s, char out[67])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256_CTX sha;
    SHA256_Init(&sha);
    SHA256_Update(&sha, s.n == 0 ? "" : s.p, s.n);
    SHA256_Final(digest, &sha);
    out[0] = '\\';
    out[1] = 'x';
    for (size_t i = 0; i < sizeof digest; i++) {
        out[2 + 2 * i] = digits[digest[i] >> 4];
        out[3 + 2 * i] = digits[digest[i] & 15];
    }
    out[66] = '\0';
}

/* ---- numbers */

/* H. M. Damm, Total anti-symmetrische Quasigruppen, 2004; the same table as check_digit() of the
 * database. */
char check_digit(const char *digits, size_t n)
{
    static const char table[10][11] = { "0317598642", "7092154863", "4206871359", "1750983426",
                                        "6123045978", "3674209581", "5869720134", "8945362017",
                                        "9438617205", "2581436790" };
    size_t interim = 0;
    for (size_t i = 0; i < n; i++) {
        interim = (size_t)(table[interim][digits[i] - '0'] - '0');
    }
    return (char)('0' + interim);
}

int number_parse(struct str s, struct number *out)
{
    char digits[13];
    size_t n = 0;
    if (s.n != NUMBER_LENGTH) {
        return -1;
    }
    for (size_t i = 0; i < s.n; i++) {
        int dash = i == 2 || i == 7 || i == 15;
        if (dash ? s.p[i] != '-' : (s.p[i] < '0' || s.p[i] > '9')) {
            return -1;
        }
        if (!dash && n < sizeof digits) {
            digits[n++] = s.p[i];
        }
    }
    if (check_digit(digits, sizeof digits) != s.p[16]) {
        return -1;
    }
    *out = (struct number){ .region = (digits[0] - '0') * 10 + (digits[1] - '0') };
    for (size_t i = 2; i < 6; i++) {
        out->year = out->year * 10 + (digits[i] - '0');
    }
    memcpy(out->text, s.p, s.n);
    out->text[s.n] = '\0';
    return 0;
}
