/* Names of places and themes are written by many hands: what makes them comparable, and codes of
 * them. */
#include "text.h"

#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>

void text_sha256(struct str s, char out[TEXT_SHA256])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)s.p, s.n, digest);
    for (size_t i = 0; i < sizeof(digest); i++) {
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
}

static int is_blank(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

size_t text_tidy(char *p, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_blank((unsigned char)p[i])) {
            p[kept++] = p[i];
        } else if (kept > 0 && p[kept - 1] != ' ') {
            p[kept++] = ' ';
        }
    }
    if (kept > 0 && p[kept - 1] == ' ') {
        kept--;
    }
    if (kept < n) {
        p[kept] = '\0';
    }
    return kept;
}

/* Next code point of UTF-8; what is broken counts as a blank. */
static uint32_t next_point(struct str *s)
{
    unsigned char c = (unsigned char)*s->p;
    size_t more = c < 0xC0 ? 0 : c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
    uint32_t point = c < 0x80 ? c : c < 0xC0 ? ' ' : c & (0x3FU >> more);
    s->p++;
    s->n--;
    for (; more > 0 && s->n > 0; more--) {
        point = point << 6 | ((unsigned char)*s->p & 0x3FU);
        s->p++;
        s->n--;
    }
    return point;
}

/* Lower case for Latin and Russian letters; ё as е, № as n; 0 for what is neither letter nor digit.
 */
static uint32_t fold(uint32_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c + 32;
    }
    if (c < 0x80) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : 0;
    }
    if (c == 0x2116) {
        return 'n';
    }
    if (c == 0x0401 || c == 0x0451) {
        return 0x0435;
    }
    if (c >= 0x0410 && c <= 0x042F) {
        return c + 0x20;
    }
    return c >= 0x00C0 && c < 0x2000 ? c : 0;
}

/* Writes a code point below U+0800 or above it as UTF-8; returns the bytes. */
static size_t put_point(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    out[0] = (char)(0xE0 | c >> 12);
    out[1] = (char)(0x80 | (c >> 6 & 0x3F));
    out[2] = (char)(0x80 | (c & 0x3F));
    return 3;
}

void text_fold(struct str s, char *out, size_t n)
{
    size_t used = 0, word = 0;            /* where the present word begins */
    size_t before = 0, before_length = 0; /* the word before it */
    while (used + 4 < n) {
        uint32_t c = s.n > 0 ? fold(next_point(&s)) : 0;
        if (c != 0) {
            used += put_point(c, out + used);
            continue;
        }
        size_t length = used - word;
        if (length > 0 && length == before_length &&
            memcmp(out + word, out + before, length) == 0) {
            used = word;
        } else if (length > 0) {
            before = word;
            before_length = length;
        }
        word = used;
        if (s.n == 0) {
            break;
        }
    }
    out[used] = '\0';
}

/* а … я by Latin letters, as road signs have it. */
static const char *const latin[32] = { "a",  "b",    "v", "g", "d", "e",  "zh", "z",
                                       "i",  "y",    "k", "l", "m", "n",  "o",  "p",
                                       "r",  "s",    "t", "u", "f", "kh", "ts", "ch",
                                       "sh", "shch", "",  "y", "",  "e",  "yu", "ya" };

void text_code(struct str object, struct str group, struct str name, char out[TEXT_CODE])
{
    enum { SLUG = 40, DIGITS = 8 };
    size_t n = 0;
    struct str rest = name;
    while (rest.n > 0 && n < SLUG) {
        uint32_t c = fold(next_point(&rest));
        char one[2] = { c < 0x80 ? (char)c : '\0', '\0' };
        const char *letters = c >= 0x0430 && c < 0x0450 ? latin[c - 0x0430] : one;
        if (c == 0 || (letters == one && one[0] == '\0')) {
            letters = n > 0 && out[n - 1] != '-' ? "-" : "";
        }
        for (; *letters != '\0' && n < SLUG; letters++) {
            out[n++] = *letters;
        }
    }
    while (n > 0 && out[n - 1] == '-') {
        n--;
    }
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char all[4096];
    int length = snprintf(all, sizeof(all), "%.*s\x1f%.*s\x1f%.*s", (int)object.n, object.p,
                          (int)group.n, group.p, (int)name.n, name.p);
    size_t hashed = length < 0                     ? 0
                    : (size_t)length < sizeof(all) ? (size_t)length
                                                   : sizeof(all) - 1;
    SHA256((const unsigned char *)all, hashed, digest);
    if (n > 0) {
        out[n++] = '-';
    }
    for (size_t i = 0; i < DIGITS / 2; i++) {
        snprintf(out + n + 2 * i, 3, "%02x", digest[i]);
    }
}

size_t text_clean(char *p, size_t n)
{
    size_t cleaned = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7F) {
            p[i] = ' ';
            cleaned++;
        }
    }
    return cleaned;
}

struct str text_name(struct str s, char *out, size_t size)
{
    size_t n = s.n < size ? s.n : size - 1;
    while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80) {
        n--;
    }
    memcpy(out, s.n == 0 ? "" : s.p, n);
    out[n] = '\0';
    n = text_tidy(out, n);
    text_clean(out, n);
    return (struct str){ out, n };
}
