/* What the readers of JSON and of forms share: rows found by name, values checked, errors
 * collected. */
#ifndef FIELD_READER_H
#define FIELD_READER_H

#include "fields.h"

/* What kind of text a value comes from. */
enum raw { RAW_STRING, RAW_NUMBER, RAW_BOOLEAN, RAW_FORM };

enum {
    ROW_SEEN = 1,
    ROW_FAILED = 2,
    ROW_PREFIX = 4 /* << depth: an object on the way to this row was seen */
};

struct field_reader {
    struct arena *arena;
    const struct field *table;
    size_t rows;
    union value *values;
    struct field_errors *errors;
    unsigned *state; /* one a row: ROW_… */
    int no_memory;
};

/* 0, or -1 when memory is out. */
int field_reader_init(struct field_reader *r, struct arena *a, const struct field *table,
                      union value *values, struct field_errors *errors);
/* An error at a row; the row counts as seen. */
void field_reader_fail(struct field_reader *r, int row, enum field_code code, double bound);
/* An error at a name that is not a row. */
void field_reader_fail_name(struct field_reader *r, struct str name, enum field_code code);
/* 1 when the row may take a value; otherwise it had one, and that is an error. */
int field_reader_first(struct field_reader *r, int row);
/* Checks TEXT (valid UTF-8) and puts a copy of it into the row's value. */
void field_reader_put(struct field_reader *r, int row, struct str text, enum raw raw);
/* After everything was read: what is missing. */
void field_reader_end(struct field_reader *r);

#endif
