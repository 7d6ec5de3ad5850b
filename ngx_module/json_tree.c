/* JSON of strangers as a small tree, read strictly. */

#include "json_tree.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

/* An array or object that is not closed yet. */
struct level {
    struct json_value  *value;
    struct json_value  *last;                /* of its children */
    size_t              count;
};

struct json_tree {
    struct json_value  *values;
    size_t              room;
    size_t              count;

    char               *text;                /* of strings and numbers */
    size_t              size;
    size_t              used;

    struct level        levels[JSON_TREE_DEPTH];
    size_t              depth;
    const char         *name;                /* of the member to come */
    size_t              name_n;
};


struct json_tree *
json_tree_create(size_t values, size_t bytes)
{
    struct json_tree  *tree;

    tree = calloc(1, sizeof(*tree));
    if (tree == NULL) {
        return NULL;
    }

    tree->values = calloc(values, sizeof(tree->values[0]));
    tree->text = malloc(bytes);

    if (tree->values == NULL || tree->text == NULL) {
        json_tree_free(tree);
        return NULL;
    }

    tree->room = values;
    tree->size = bytes;

    return tree;
}


void
json_tree_free(struct json_tree *tree)
{
    if (tree == NULL) {
        return;
    }

    free(tree->values);
    free(tree->text);
    free(tree);
}


/* How long the character at p is; 0 if it is not UTF-8 (RFC 3629). */

static size_t
character(const unsigned char *p, size_t n)
{
    size_t         i, length;
    unsigned char  low, high;

    if (p[0] < 0x80) {
        return 1;
    }

    low = 0x80;
    high = 0xbf;

    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        length = 2;

    } else if ((p[0] & 0xf0) == 0xe0) {
        length = 3;
        low = p[0] == 0xe0 ? 0xa0 : low;
        high = p[0] == 0xed ? 0x9f : high;

    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        length = 4;
        low = p[0] == 0xf0 ? 0x90 : low;
        high = p[0] == 0xf4 ? 0x8f : high;

    } else {
        return 0;
    }

    if (n < length || p[1] < low || p[1] > high) {
        return 0;
    }

    for (i = 2; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }

    return length;
}


/* The value of "\uXXXX" at p; -1 if it is none. */

static int
escaped(const char *p, size_t n)
{
    int     value, digit;
    size_t  i;

    if (n < 6 || p[0] != '\\' || p[1] != 'u') {
        return -1;
    }

    value = 0;

    for (i = 2; i < 6; i++) {
        if (p[i] >= '0' && p[i] <= '9') {
            digit = p[i] - '0';

        } else if ((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'f') {
            digit = (p[i] | 0x20) - 'a' + 10;

        } else {
            return -1;
        }

        value = value * 16 + digit;
    }

    return value;
}


/* What yajl takes and we do not: loose UTF-8, halves of surrogate pairs. */

static bool
is_strict(const char *text, size_t n)
{
    int     value;
    size_t  i, length;

    for (i = 0; i < n; i += length) {
        length = character((const unsigned char *) text + i, n - i);

        if (length == 0) {
            return false;
        }

        if (text[i] != '\\') {
            continue;
        }

        value = escaped(text + i, n - i);

        if (value < 0xd800 || value > 0xdfff) {
            length = 2;              /* the rest is harmless, or yajl's */
            continue;
        }

        if (value > 0xdbff) {
            return false;
        }

        value = escaped(text + i + 6, n - i - 6);

        if (value < 0xdc00 || value > 0xdfff) {
            return false;
        }

        length = 12;
    }

    return true;
}


static const char *
keep(struct json_tree *tree, const void *p, size_t n)
{
    char  *kept;

    if (n > tree->size - tree->used) {
        return NULL;
    }

    kept = tree->text + tree->used;
    memcpy(kept, p, n);
    tree->used += n;

    return kept;
}


/* A new value in its place; NULL if there is no room. */

static struct json_value *
add(struct json_tree *tree, enum json_type type)
{
    struct level       *level;
    struct json_value  *value;

    if (tree->count == tree->room) {
        return NULL;
    }

    value = &tree->values[tree->count++];
    memset(value, 0, sizeof(*value));
    value->type = type;
    value->name = tree->name;
    value->name_n = tree->name_n;
    tree->name = NULL;
    tree->name_n = 0;

    if (tree->depth > 0) {
        level = &tree->levels[tree->depth - 1];

        if (level->last == NULL) {
            level->value->first = value;

        } else {
            level->last->next = value;
        }

        level->last = value;
    }

    return value;
}


static int
add_text(struct json_tree *tree, enum json_type type, const void *p, size_t n)
{
    struct json_value  *value;

    value = add(tree, type);
    if (value == NULL) {
        return 0;
    }

    value->p = keep(tree, p, n);
    value->n = n;

    return value->p != NULL;
}


static int
open_level(struct json_tree *tree, enum json_type type)
{
    struct json_value  *value;

    value = tree->depth < JSON_TREE_DEPTH ? add(tree, type) : NULL;
    if (value == NULL) {
        return 0;
    }

    memset(&tree->levels[tree->depth], 0, sizeof(tree->levels[0]));
    tree->levels[tree->depth++].value = value;

    return 1;
}


static int
close_level(void *data)
{
    struct json_tree *tree = data;

    tree->depth--;

    return 1;
}


static int
on_null(void *data)
{
    return add(data, JSON_NULL) != NULL;
}


static int
on_boolean(void *data, int value)
{
    return add_text(data, JSON_BOOLEAN, value ? "true" : "false",
                    value ? 4 : 5);
}


static int
on_number(void *data, const char *p, size_t n)
{
    return add_text(data, JSON_NUMBER, p, n);
}


static int
on_string(void *data, const unsigned char *p, size_t n)
{
    return add_text(data, JSON_STRING, p, n);
}


static int
on_object(void *data)
{
    return open_level(data, JSON_OBJECT);
}


static int
on_array(void *data)
{
    return open_level(data, JSON_ARRAY);
}


static int
on_name(void *data, const unsigned char *p, size_t n)
{
    struct json_tree *tree = data;

    struct level             *level;
    const struct json_value  *other;

    level = &tree->levels[tree->depth - 1];

    if (level->count++ == JSON_TREE_MEMBERS) {
        return 0;
    }

    for (other = level->value->first; other != NULL; other = other->next) {
        if (other->name_n == n && memcmp(other->name, p, n) == 0) {
            return 0;
        }
    }

    tree->name = keep(tree, p, n);
    tree->name_n = n;

    return tree->name != NULL;
}


const struct json_value *
json_tree_read(struct json_tree *tree, const char *text, size_t n)
{
    bool         good;
    yajl_handle  parser;

    static const yajl_callbacks  callbacks = {
        .yajl_null = on_null,
        .yajl_boolean = on_boolean,
        .yajl_number = on_number,
        .yajl_string = on_string,
        .yajl_start_map = on_object,
        .yajl_map_key = on_name,
        .yajl_end_map = close_level,
        .yajl_start_array = on_array,
        .yajl_end_array = close_level
    };

    tree->count = 0;
    tree->used = 0;
    tree->depth = 0;
    tree->name = NULL;
    tree->name_n = 0;

    if (n > tree->size || !is_strict(text, n)) {
        return NULL;
    }

    parser = yajl_alloc(&callbacks, NULL, tree);
    if (parser == NULL) {
        return NULL;
    }

    good = yajl_parse(parser, (const unsigned char *) text, n)
           == yajl_status_ok
           && yajl_complete_parse(parser) == yajl_status_ok;

    yajl_free(parser);

    return good && tree->count > 0 ? &tree->values[0] : NULL;
}


static const struct json_value *
find_member(const struct json_value *value, const char *name, size_t n)
{
    const struct json_value  *member;

    if (value->type != JSON_OBJECT) {
        return NULL;
    }

    for (member = value->first; member != NULL; member = member->next) {
        if (member->name_n == n && memcmp(member->name, name, n) == 0) {
            return member;
        }
    }

    return NULL;
}


const struct json_value *
json_member(const struct json_value *value, const char *name)
{
    return find_member(value, name, strlen(name));
}


const struct json_value *
json_path(const struct json_value *value, const char *path)
{
    const char               *dot;
    const struct json_value  *found, *step;

    found = json_member(value, path);

    for (dot = strchr(path, '.'); found == NULL && dot != NULL;
         dot = strchr(dot + 1, '.'))
    {
        step = find_member(value, path, (size_t) (dot - path));

        if (step != NULL) {
            value = step;
            path = dot + 1;
            found = json_member(value, path);
        }
    }

    return found;
}


bool
json_is(const struct json_value *value, const char *text)
{
    return value != NULL && value->type == JSON_STRING
           && value->n == strlen(text) && memcmp(value->p, text, value->n) == 0;
}
