/*
 * JSON of strangers as a small tree, read strictly: valid UTF-8, no member
 * twice, no lone surrogate, a bounded depth and number of members.
 */

#ifndef JSON_TREE_H
#define JSON_TREE_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_TREE_DEPTH    16
#define JSON_TREE_MEMBERS  64                /* of one object */

struct json_tree;

enum json_type {
    JSON_NULL,
    JSON_BOOLEAN,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json_value {
    enum json_type            type;
    const char               *name;          /* of a member, else NULL */
    size_t                    name_n;
    const char               *p;             /* a string without its escapes, */
    size_t                    n;             /* a number as it was written */
    const struct json_value  *first;         /* of an array or object */
    const struct json_value  *next;          /* its neighbour */
};

/* Room for that many values in a text of that many bytes; NULL: no memory. */
struct json_tree *json_tree_create(size_t values, size_t bytes);

void json_tree_free(struct json_tree *tree);

/*
 * Reads one value; it lives until the next reading.  NULL if the text is not
 * strict JSON or does not fit.
 */
const struct json_value *json_tree_read(struct json_tree *tree,
    const char *text, size_t n);

/* The member of that name; NULL if there is none, or value is no object. */
const struct json_value *json_member(const struct json_value *value,
    const char *name);

/*
 * What a path leads to: the member of the whole name, else, at the first dot
 * before which stands the name of a member, what the rest leads to in that.
 */
const struct json_value *json_path(const struct json_value *value,
    const char *path);

/* Is it a string, and this one? */
bool json_is(const struct json_value *value, const char *text);

#endif
