/* Writing JSON: what the database does not write itself. */
#ifndef JSON_H
#define JSON_H

#include "arena.h"

/* S as a JSON string with its quotes and a NUL behind; S is valid UTF-8. .p is NULL when memory is
 * out. */
struct str json_string(struct arena *a, struct str s) __attribute__((warn_unused_result));

/* Writes S escaped, without quotes, into OUT of SIZE bytes, cut where it no longer fits (never in
 * the middle of an escape or of a character); bytes that are not ASCII go as they are. Returns the
 * length. For the log, which may not allocate. */
size_t json_escape(struct str s, char *out, size_t size);

#endif
