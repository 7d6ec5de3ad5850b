/* PostgreSQL array literals (8.15.2 of its manual), element by element. */
#include "db.h"

#include <stdlib.h>

enum { FIRST_BYTES = 512 };

/* Room for N more bytes; 0 when there is none. */
static int make_room(struct pg_array *a, size_t n)
{
    if (a->failed) {
        return 0;
    }
    if (a->size - a->n >= n) {
        return 1;
    }
    size_t size = a->size < FIRST_BYTES ? FIRST_BYTES : a->size * 2;
    size = size < a->n + n ? a->n + n : size;
    char *p = realloc(a->p, size);
    if (p == NULL) {
        a->failed = 1;
        return 0;
    }
    a->p = p;
    a->size = size;
    return 1;
}

static void separate(struct pg_array *a)
{
    if (a->n > 1) {
        a->p[a->n++] = ',';
    }
}

void pg_array_begin(struct pg_array *a)
{
    a->failed = 0;
    a->n = 0;
    if (make_room(a, 1)) {
        a->p[a->n++] = '{';
    }
}

void pg_array_add(struct pg_array *a, struct str element)
{
    if (element.n > (SIZE_MAX - 8) / 2 || !make_room(a, 2 * element.n + 3)) {
        a->failed = 1;
        return;
    }
    separate(a);
    a->p[a->n++] = '"';
    for (size_t i = 0; i < element.n; i++) {
        if (element.p[i] == '"' || element.p[i] == '\\') {
            a->p[a->n++] = '\\';
        }
        a->p[a->n++] = element.p[i];
    }
    a->p[a->n++] = '"';
}

void pg_array_add_null(struct pg_array *a)
{
    if (make_room(a, 5)) {
        separate(a);
        memcpy(a->p + a->n, "NULL", 4);
        a->n += 4;
    }
}

const char *pg_array_end(struct pg_array *a)
{
    if (!make_room(a, 2)) {
        return NULL;
    }
    a->p[a->n++] = '}';
    a->p[a->n] = '\0';
    return a->p;
}

void pg_array_free(struct pg_array *a)
{
    free(a->p);
    *a = (struct pg_array){ 0 };
}
