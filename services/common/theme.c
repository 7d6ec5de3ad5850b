/* The theme of a text by keywords: word beginnings in a sorted prefix table.
 *
 * A keyword is the beginning of a word ("мусор" finds "Мусорный"), or of several words in a row
 * ("не горит" finds "Не горит!"). Text and keywords are folded alike: letters to lower case, ё to
 * е, all that is neither letter nor digit to one blank. A keyword weighs its letters, divided by
 * the number of themes that share it: what is said of many things decides little. Each keyword
 * counts once a text, however often it stands there. Two themes with the same weight mean that the
 * words do not decide, and a person must.
 *
 * The table is the sorted list of folded keywords. At each beginning of a word the interval of
 * keywords that agree with the text so far is narrowed letter by letter; it is empty after two or
 * three, so a text of 1,000 characters costs about 10 µs (tests/unit/theme_test.c measures it). */
#include "theme.h"

#include <stdlib.h>

enum {
    TEXT_MAX = 10000,  /* folded characters looked at; an appeal has no more */
    KEYWORD_MAX = 128, /* folded characters of a keyword; longer ones are left out */
    WEIGHT_ONE = 5040  /* of one letter: divides evenly by every number of themes up to 10 */
};

struct keyword {
    const uint16_t *units;
    uint16_t n;
    uint32_t slot;  /* of its theme */
    uint32_t seen;  /* stamp of the text it was last found in */
    int64_t weight; /* letters * WEIGHT_ONE / themes that share it */
};

struct slot {
    int32_t theme_id;
    uint32_t seen;
    int64_t weight; /* sum in the text of stamp seen */
};

struct theme_index {
    struct keyword *keywords;
    size_t nkeywords;
    struct slot *slots;
    size_t nslots;
    uint16_t *units; /* of all keywords */
    uint32_t stamp;  /* of the present text */
    uint32_t *hit;   /* slots with a weight in the present text */
    size_t nhit;
    const uint16_t *text; /* the present text, folded */
    size_t ntext;
};

/* Next code point of valid UTF-8; a broken tail counts as U+FFFD. */
static uint32_t next_point(const unsigned char **p, const unsigned char *end)
{
    uint32_t c = *(*p)++;
    if (c < 0x80) {
        return c;
    }
    size_t more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
    if (more == 0 || (size_t)(end - *p) < more) {
        *p = more == 0 ? *p : end;
        return 0xFFFD;
    }
    c &= 0x3Fu >> more;
    for (size_t i = 0; i < more; i++) {
        c = c << 6 | (*(*p)++ & 0x3Fu);
    }
    return c;
}

/* Lower case without a table: Latin, Cyrillic, the Cyrillic letters of the peoples of Russia
 * (Tatar, Bashkir, Yakut …: in their blocks a capital is even and its small letter follows). Blank:
 * not part of a word. 0: as if it were not there. */
static uint32_t fold(uint32_t c)
{
    if (c >= 'a' && c <= 'z') {
        return c;
    }
    if (c < 0x80) {
        return c >= 'A' && c <= 'Z' ? c + 32 : c >= '0' && c <= '9' ? c : ' ';
    }
    if (c >= 0x0410 && c <= 0x044F) {
        return c < 0x0430 ? c + 0x20 : c;
    }
    if (c == 0x0401 || c == 0x0451) {
        return 0x0435;
    }
    if (c >= 0x0400 && c <= 0x040F) {
        return c + 0x50;
    }
    if ((c >= 0x0460 && c <= 0x0481) || (c >= 0x048A && c <= 0x04BF) ||
        (c >= 0x04D0 && c <= 0x052F)) {
        return c | 1;
    }
    if (c == 0x0301 || c == 0x0308 || c == 0x00AD || c == 0x200B || c == 0x200D || c == 0xFEFF) {
        return 0; /* stress, the dots of a decomposed ё, soft hyphen, nothing */
    }
    if (c < 0x00C0 || c == 0x00D7 || c == 0x00F7 || (c >= 0x2000 && c <= 0x2BFF) ||
        (c >= 0x3000 && c <= 0x303F) || (c >= 0xFE00 && c <= 0xFE0F) || c > 0xFFFF) {
        return ' '; /* signs, dashes, quotation marks, pictures */
    }
    return c;
}

/* Folds S into OUT (room for MAX): words with one blank between. Returns the length. */
static size_t fold_text(struct str s, uint16_t *out, size_t max)
{
    const unsigned char *p = (const unsigned char *)s.p;
    const unsigned char *end = p + s.n;
    size_t n = 0;
    while (p < end && n < max) {
        uint32_t c = next_point(&p, end);
        if (c == 0x0306 && n > 0 && out[n - 1] == 0x0438) {
            out[n - 1] = 0x0439; /* decomposed й */
            continue;
        }
        c = fold(c);
        if (c == 0 || (c == ' ' && (n == 0 || out[n - 1] == ' '))) {
            continue;
        }
        out[n++] = (uint16_t)c;
    }
    return n > 0 && out[n - 1] == ' ' ? n - 1 : n;
}

static int compare_units(const struct keyword *a, const struct keyword *b)
{
    size_t n = a->n < b->n ? a->n : b->n;
    for (size_t i = 0; i < n; i++) {
        if (a->units[i] != b->units[i]) {
            return a->units[i] < b->units[i] ? -1 : 1;
        }
    }
    return (a->n > b->n) - (a->n < b->n);
}

static int compare_keywords(const void *pa, const void *pb)
{
    const struct keyword *a = pa;
    const struct keyword *b = pb;
    int order = compare_units(a, b);
    return order != 0 ? order : (a->slot > b->slot) - (a->slot < b->slot);
}

/* A theme that names a keyword twice has it once; then each gets its weight. */
static void weigh(struct theme_index *x)
{
    size_t kept = 0;
    for (size_t i = 0; i < x->nkeywords; i++) {
        if (kept == 0 || compare_keywords(&x->keywords[kept - 1], &x->keywords[i]) != 0) {
            x->keywords[kept++] = x->keywords[i];
        }
    }
    x->nkeywords = kept;
    for (size_t i = 0; i < kept;) {
        size_t j = i + 1;
        while (j < kept && compare_units(&x->keywords[i], &x->keywords[j]) == 0) {
            j++;
        }
        int64_t letters = 0;
        for (size_t k = 0; k < x->keywords[i].n; k++) {
            letters += x->keywords[i].units[k] != ' ';
        }
        for (size_t k = i; k < j; k++) {
            x->keywords[k].weight = letters * WEIGHT_ONE / (int64_t)(j - i);
        }
        i = j;
    }
}

struct theme_index *theme_index_new(const struct theme_words *themes, size_t n)
{
    struct theme_index *x = calloc(1, sizeof(*x));
    if (x == NULL) {
        return NULL;
    }
    size_t bytes = 0, lines = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += themes[i].keywords.n;
        lines++;
        for (size_t k = 0; k < themes[i].keywords.n; k++) {
            lines += themes[i].keywords.p[k] == '\n';
        }
    }
    x->keywords = calloc(lines + 1, sizeof(*x->keywords));
    x->slots = calloc(n + 1, sizeof(*x->slots));
    x->hit = calloc(n + 1, sizeof(*x->hit));
    x->units = calloc(bytes + 1, sizeof(*x->units)); /* folding never lengthens */
    if (x->keywords == NULL || x->slots == NULL || x->hit == NULL || x->units == NULL) {
        theme_index_free(x);
        return NULL;
    }
    uint16_t *units = x->units;
    for (size_t i = 0; i < n; i++) {
        x->slots[x->nslots].theme_id = themes[i].theme_id;
        const char *p = themes[i].keywords.p;
        size_t left = themes[i].keywords.n;
        while (left > 0) {
            const char *newline = memchr(p, '\n', left);
            size_t line = newline == NULL ? left : (size_t)(newline - p);
            size_t length = fold_text((struct str){ p, line }, units, line);
            if (length > 0 && length <= KEYWORD_MAX) {
                x->keywords[x->nkeywords++] = (struct keyword){ .units = units,
                                                                .n = (uint16_t)length,
                                                                .slot = (uint32_t)x->nslots };
                units += length;
            }
            size_t used = newline == NULL ? left : line + 1;
            p += used;
            left -= used;
        }
        x->nslots++;
    }
    if (x->nkeywords > 0) {
        qsort(x->keywords, x->nkeywords, sizeof(*x->keywords), compare_keywords);
    }
    weigh(x);
    return x;
}

void theme_index_free(struct theme_index *x)
{
    if (x == NULL) {
        return;
    }
    free(x->keywords);
    free(x->slots);
    free(x->hit);
    free(x->units);
    free(x);
}

static void count_keyword(struct theme_index *x, struct keyword *k)
{
    if (k->seen == x->stamp) {
        return;
    }
    k->seen = x->stamp;
    struct slot *slot = &x->slots[k->slot];
    if (slot->seen != x->stamp) {
        slot->seen = x->stamp;
        slot->weight = 0;
        x->hit[x->nhit++] = k->slot;
    }
    slot->weight += k->weight;
}

/* First of the keywords lo … hi - 1 whose unit at DEPTH is UNIT or greater; all of them are longer
 * than DEPTH. */
static size_t lower_bound(const struct theme_index *x, size_t lo, size_t hi, size_t depth,
                          uint32_t unit)
{
    while (lo < hi) {
        size_t middle = lo + (hi - lo) / 2;
        if (x->keywords[middle].units[depth] < unit) {
            lo = middle + 1;
        } else {
            hi = middle;
        }
    }
    return lo;
}

/* Beginning of the word after the one that POS stands in; ntext when there is none. */
static size_t next_word(const struct theme_index *x, size_t pos)
{
    while (pos < x->ntext && x->text[pos] != ' ') {
        pos++;
    }
    return pos < x->ntext ? pos + 1 : x->ntext;
}

/* Counts the keywords lo … hi - 1, which agree with the text up to POS in their first DEPTH units,
 * as far as they go on agreeing. Calls itself for the next word of a keyword: at most KEYWORD_MAX /
 * 2 deep. */
static void match(struct theme_index *x, size_t lo, size_t hi, size_t depth, size_t pos)
{
    for (;;) {
        while (lo < hi && x->keywords[lo].n == depth) {
            count_keyword(x, &x->keywords[lo++]);
        }
        if (lo < hi && x->keywords[lo].units[depth] == ' ') { /* blank sorts before every letter */
            size_t more = lower_bound(x, lo, hi, depth, ' ' + 1);
            size_t next = next_word(x, pos);
            if (next < x->ntext) {
                match(x, lo, more, depth + 1, next);
            }
            lo = more;
        }
        if (lo == hi || pos == x->ntext || x->text[pos] == ' ') {
            return;
        }
        uint32_t unit = x->text[pos++];
        lo = lower_bound(x, lo, hi, depth, unit);
        hi = lower_bound(x, lo, hi, depth, unit + 1);
        if (lo == hi) {
            return;
        }
        depth++;
    }
}

/* Weighs the themes in TEXT: their slots are x->hit. */
static void weigh_text(struct theme_index *x, struct str text)
{
    x->nhit = 0;
    if (x->nkeywords == 0) {
        return;
    }
    uint16_t folded[TEXT_MAX];
    x->text = folded;
    x->ntext = fold_text(text, folded, TEXT_MAX);
    if (++x->stamp == 0) { /* once in four thousand million texts: forget old marks */
        for (size_t i = 0; i < x->nkeywords; i++) {
            x->keywords[i].seen = 0;
        }
        for (size_t i = 0; i < x->nslots; i++) {
            x->slots[i].seen = 0;
        }
        x->stamp = 1;
    }
    for (size_t pos = 0; pos < x->ntext; pos = next_word(x, pos)) {
        match(x, 0, x->nkeywords, 0, pos);
    }
    x->text = NULL;
}

int32_t theme_find(struct theme_index *x, struct str text)
{
    weigh_text(x, text);
    int64_t best = 0;
    int32_t theme_id = 0;
    for (size_t i = 0; i < x->nhit; i++) {
        const struct slot *slot = &x->slots[x->hit[i]];
        if (slot->weight > best) {
            best = slot->weight;
            theme_id = slot->theme_id;
        } else if (slot->weight == best) {
            theme_id = 0;
        }
    }
    return theme_id;
}

size_t theme_rank(struct theme_index *x, struct str text, struct theme_share *out, size_t max)
{
    weigh_text(x, text);
    int64_t total = 0;
    size_t n = 0;
    for (size_t i = 0; i < x->nhit; i++) {
        const struct slot *slot = &x->slots[x->hit[i]];
        total += slot->weight;
        size_t at = n < max ? n++ : n;
        for (; at > 0 && (double)slot->weight > out[at - 1].share; at--) {
            if (at < max) {
                out[at] = out[at - 1];
            }
        }
        if (at < max) {
            out[at] = (struct theme_share){ slot->theme_id, (double)slot->weight };
        }
    }
    for (size_t i = 0; i < n; i++) {
        out[i].share /= (double)total;
    }
    return n;
}
