/* Are two texts the same to a reader?
 *
 * Somebody who sends one text a hundred times changes a blank, a capital, a Latin letter for a
 * Cyrillic one. So letters are folded to one that stands for all that look like it, and the rest
 * is left out. */
#include "likeness.h"

#include <ctype.h>

#include "ids.h"

enum { LEAST = 20, DIGEST = 67, LAST_DIGITS = 10 };

/* The Latin letters and digits that pass for Cyrillic ones, and those. */
static const struct {
    char ascii;
    unsigned short letter;
} look_alikes[] = {
    { 'a', 0x430 }, { 'b', 0x432 }, { 'c', 0x441 }, { 'e', 0x435 }, { 'h', 0x43d },
    { 'k', 0x43a }, { 'm', 0x43c }, { 'n', 0x43f }, { 'o', 0x43e }, { 'p', 0x440 },
    { 't', 0x442 }, { 'u', 0x438 }, { 'x', 0x445 }, { 'y', 0x443 }, { '0', 0x43e },
    { '3', 0x437 }, { '6', 0x431 },
};

/* The next character of S from *at on; S is valid. */
static unsigned next(struct str s, size_t *at)
{
    unsigned char c = (unsigned char)s.p[(*at)++];
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    unsigned u = more == 3 ? c & 0x07u : more == 2 ? c & 0x0fu : more == 1 ? c & 0x1fu : c;
    for (; more > 0 && *at < s.n; more--) {
        u = u << 6 | ((unsigned char)s.p[(*at)++] & 0x3fu);
    }
    return u;
}

/* The letter or digit that stands for U; 0 when U is neither. Beyond Latin and Cyrillic nothing is
 * folded, and what is no sign of General Punctuation or a blank counts as a letter. */
static unsigned fold(unsigned u)
{
    enum { YO = 0x451, YE = 0x435 };
    if (u < 0x80) {
        if (!isalnum((int)u)) {
            return 0;
        }
        u = (unsigned)tolower((int)u);
        for (size_t i = 0; i < sizeof look_alikes / sizeof *look_alikes; i++) {
            if ((unsigned)look_alikes[i].ascii == u) {
                return look_alikes[i].letter;
            }
        }
        return u;
    }
    if (u >= 0x410 && u <= 0x42f) { /* А … Я */
        return u + 0x20;
    }
    if (u >= 0x400 && u <= 0x40f) { /* Ѐ Ё … Џ */
        u += 0x50;
    }
    int sign = u < 0xc0 || u == 0xd7 || u == 0xf7 || (u >= 0x300 && u < 0x370) ||
               (u >= 0x2000 && u < 0x2c00) || (u >= 0x3000 && u < 0x3040) || u == 0xfeff ||
               (u >= 0xfe00 && u < 0xfe10) || u >= 0x1f000;
    return sign ? 0 : u == YO ? YE : u;
}

struct str likeness_of_text(struct arena *a, struct str text)
{
    struct str none = { NULL, 0 };
    /* Two bytes hold what is folded below U+10000; the rest loses its upper bits, which is no harm
     * to a digest. */
    unsigned char *folded = arena_alloc(a, text.n * 2);
    char *digest = arena_alloc(a, DIGEST);
    size_t n = 0;
    if (folded == NULL || digest == NULL) {
        return none;
    }
    for (size_t at = 0; at < text.n;) {
        unsigned u = fold(next(text, &at));
        if (u != 0) {
            folded[n++] = (unsigned char)(u >> 8);
            folded[n++] = (unsigned char)u;
        }
    }
    if (n < LEAST * (size_t)2) {
        return none;
    }
    sha256_bytea((struct str){ (const char *)folded, n }, digest);
    return (struct str){ digest, DIGEST - 1 };
}

/* The last ten digits: +7 900 …, 8 (900) … and 900 … are one telephone. */
static struct str phone_digits(struct arena *a, struct str phone)
{
    char *p = arena_alloc(a, phone.n);
    size_t n = 0;
    for (size_t i = 0; p != NULL && i < phone.n; i++) {
        if (isdigit((unsigned char)phone.p[i])) {
            p[n++] = phone.p[i];
        }
    }
    return p == NULL         ? (struct str){ NULL, 0 }
           : n > LAST_DIGITS ? (struct str){ p + n - LAST_DIGITS, LAST_DIGITS }
                             : (struct str){ p, n };
}

static struct str lower_ascii(struct arena *a, struct str s)
{
    struct str copy = arena_dup(a, s);
    for (char *p = (char *)copy.p; p != NULL && *p != '\0'; p++) { /* ours since arena_dup */
        *p = (char)tolower((unsigned char)*p);
    }
    return copy;
}

struct str likeness_of_resident(struct arena *a, int region, struct str email, struct str phone)
{
    struct str none = { NULL, 0 };
    if (email.p == NULL && phone.p == NULL) {
        return none;
    }
    struct str who = email.p != NULL ? lower_ascii(a, email) : phone_digits(a, phone);
    char *digest = arena_alloc(a, DIGEST);
    if (who.p == NULL || digest == NULL) {
        return none;
    }
    struct str all = arena_printf(a, "%d %.*s", region, (int)who.n, who.p);
    if (all.p == NULL) {
        return none;
    }
    sha256_bytea(all, digest);
    return (struct str){ digest + 2, DIGEST - 3 }; /* without \x */
}
