/* Which of our languages a client wants. */
#include "language.h"

#include <ctype.h>

static const char *const tags[LANG_COUNT] = { [LANG_RU] = "ru", [LANG_EN] = "en" };

const char *language_tag(enum lang lang)
{
    return tags[lang];
}

int language_of(struct str tag)
{
    for (int i = 0; i < LANG_COUNT; i++) {
        if (str_eq(tag, str_of(tags[i]))) {
            return i;
        }
    }
    return -1;
}

static struct str trim(struct str s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) {
        s.n--;
    }
    return s;
}

/* What stands before SEPARATOR; *rest gets what is behind it. */
static struct str piece(struct str s, char separator, struct str *rest)
{
    const char *at = s.n == 0 ? NULL : memchr(s.p, separator, s.n);
    size_t n = at == NULL ? s.n : (size_t)(at - s.p);
    *rest = at == NULL ? (struct str){ NULL, 0 } : (struct str){ at + 1, s.n - n - 1 };
    return trim((struct str){ s.p, n });
}

/* A weight "q=0.8" in thousandths; 1000 without one, 0 when it is not of the form. */
static int weight(struct str parameter)
{
    if (parameter.n == 0) {
        return 1000;
    }
    if (parameter.n < 3 || parameter.n > 7 || tolower((unsigned char)parameter.p[0]) != 'q' ||
        parameter.p[1] != '=') {
        return 0;
    }
    int value = 0, unit = 1000;
    for (size_t i = 2; i < parameter.n; i++) {
        char c = parameter.p[i];
        if (i == 3 ? c != '.' : (c < '0' || c > '9')) {
            return 0;
        }
        if (i != 3) {
            value += (c - '0') * unit;
            unit /= 10;
        }
    }
    return value > 1000 ? 1000 : value;
}

enum lang language_accepted(struct str header, enum lang otherwise)
{
    int best[LANG_COUNT] = { -1, -1 }, any = -1;
    enum lang chosen = otherwise;
    int chosen_weight = 0;
    while (header.n > 0) {
        struct str parameter, range = piece(piece(header, ',', &header), ';', &parameter);
        int w = weight(trim(parameter));
        if (str_eq(range, STR("*"))) {
            any = w;
        }
        for (int i = 0; i < LANG_COUNT; i++) {
            if (range.n >= 2 && tolower((unsigned char)range.p[0]) == tags[i][0] &&
                tolower((unsigned char)range.p[1]) == tags[i][1] &&
                (range.n == 2 || range.p[2] == '-') && w > best[i]) {
                best[i] = w;
                if (w > chosen_weight) { /* of equal ones the first */
                    chosen = (enum lang)i;
                    chosen_weight = w;
                }
            }
        }
    }
    for (int i = 0; i < LANG_COUNT; i++) { /* "*" is for those not named */
        int candidate = ((int)otherwise + i) % LANG_COUNT;
        if (best[candidate] < 0 && any > chosen_weight) {
            chosen = (enum lang)candidate;
            chosen_weight = any;
        }
    }
    return chosen;
}
