/* The answers 201 of a replay, remembered in a file: proof of what was promised, and what --check
 * asks for again. */
#ifndef ANSWERS_H
#define ANSWERS_H

#include "otklik.h"

struct answers;

/* One remembered answer; a line of tab-separated values in this order. */
struct answer {
    struct str external_id, number, code, id;
    int64_t line;
    struct str key; /* the Idempotency-Key it was sent with */
};

/* Opens PATH for more lines, or empties it first if AFRESH; nobody else may use it meanwhile. NULL
 * after a message. */
struct answers *answers_open(const char *path, int afresh);
void answers_close(struct answers *a);

/* Remembers one; it is in the file only after answers_flush. -1 after a message. */
int answers_add(struct answers *a, const struct answer *answer);
int answers_flush(struct answers *a);

/* All answers of a file; texts live until answers_list_free. -1 after a message. */
struct answer_list {
    struct answer *list;
    size_t n;
    char *text;
};
int answers_read(const char *path, struct answer_list *out);
void answers_list_free(struct answer_list *l);

/* Looks for contradictions: one appeal's number given to two requests, or two numbers to one
 * request. Sorts the list. Prints them; returns how many. */
size_t answers_contradictions(struct answer_list *l);

#endif
