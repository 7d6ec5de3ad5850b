/* Files of one JSON object a line, plain or gzip: lines with their numbers, and what an appeal of
 * such a file says. */
#ifndef JSONL_H
#define JSONL_H

#include <yajl/yajl_tree.h>

#include "otklik.h"

struct jsonl;

/* Opens PATH; NULL after a message. */
struct jsonl *jsonl_open(const char *path);
void jsonl_close(struct jsonl *j);

/* The next line that is not blank, without its end, NUL-terminated, valid until the next call. 1; 0
 * at the end of the file; -1 after a message. */
int jsonl_next(struct jsonl *j, struct str *line);

/* Number of the line last given, from 1. */
int64_t jsonl_line(const struct jsonl *j);
/* "file:line" of it, valid until the next call of any of these. */
const char *jsonl_place(struct jsonl *j);
/* How much of the file has been read, 0 … 1. */
double jsonl_fraction(struct jsonl *j);

/* An appeal as portals publish it. Texts point into tree; .p is NULL where the member is null or
 * absent. */
struct record {
    yajl_val tree;
    struct str id; /* a number as it stands there, or the text */
    struct str text, object, category, reason, municipality, executor;
    struct str lat, lon; /* as they stand in the file */
    int64_t photos;
};

/* Reads LINE; 0, or -1 with the reason in ERR. Release it either way with record_free. */
int record_read(struct record *r, struct str line, char *err, size_t errlen);
void record_free(struct record *r);

#endif
