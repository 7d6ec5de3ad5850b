/* Tab-separated tables with a first line of column names; no quotation, no escapes. */
#ifndef TSV_H
#define TSV_H

#include "otklik.h"

struct tsv;

/* Opens PATH, whose first line must name exactly COLUMNS (NULL-terminated), in any order. NULL
 * after a message. */
struct tsv *tsv_open(const char *path, const char *const *columns);
void tsv_close(struct tsv *t);

/* Next row: CELLS, one a column in the order of COLUMNS, NULL where empty, valid until tsv_close.
 * 1; 0 at the end; -1 after a message. */
int tsv_next(struct tsv *t, const char **cells);

/* How much of the file has been given, 0 … 1. */
double tsv_fraction(const struct tsv *t);

/* "file:line" of the row last given, valid until the next call. */
const char *tsv_place(const struct tsv *t);

#endif
