/* The theme of a text by keywords: word beginnings in a sorted prefix table. */
#ifndef THEME_H
#define THEME_H

#include "otklik.h"

/* A theme and its keywords, one a line; see theme.c for what a keyword is. */
struct theme_words {
    int32_t theme_id; /* > 0 */
    struct str keywords;
};

struct theme_index;

/* Builds the table of N themes; copies what it needs. NULL when memory is out. */
struct theme_index *theme_index_new(const struct theme_words *themes, size_t n);

/* The theme whose keywords weigh most in TEXT (valid UTF-8); 0 when none is found or the best two
 * weigh the same. Writes marks into the table: one caller at a time. */
int32_t theme_find(struct theme_index *x, struct str text);

/* A theme and its share of the weight of all keywords found, 0 … 1. */
struct theme_share {
    int32_t theme_id;
    double share;
};

/* The themes whose keywords stand in TEXT, the heaviest first, at most MAX; returns how many. Marks
 * as above. */
size_t theme_rank(struct theme_index *x, struct str text, struct theme_share *out, size_t max);

void theme_index_free(struct theme_index *x);

#endif
