/* Texts by number: each different text gets the next number from 0 on, and a counter. */
#ifndef NAMES_H
#define NAMES_H

#include "otklik.h"

struct names;

struct names *names_new(void);
void names_free(struct names *n);

/* Number of TEXT, new or known; its counter grows by one. */
size_t names_add(struct names *n, struct str text);
/* Number of TEXT, or SIZE_MAX if it was never added. */
size_t names_find(const struct names *n, struct str text);

size_t names_count(const struct names *n);
/* The text with that number, NUL-terminated; lives as long as N. */
struct str names_text(const struct names *n, size_t number);
/* How often it was added. */
int64_t names_times(const struct names *n, size_t number);

#endif
