/* A list of requests as CSV (RFC 4180), for who takes it into a spreadsheet. */
#include <yajl/yajl_tree.h>

#include "open311.h"

/* Those of the XML form, in its order. */
static const char *const columns[] = {
    "service_request_id",
    "status",
    "status_notes",
    "service_name",
    "service_code",
    "description",
    "agency_responsible",
    "service_notice",
    "requested_datetime",
    "updated_datetime",
    "expected_datetime",
    "address",
    "address_id",
    "zipcode",
    "lat",
    "long",
    "media_url",
};
enum { COLUMNS = sizeof columns / sizeof *columns };

/* Text being written; without a buffer only its length is counted. */
struct out {
    char *p;
    size_t n;
};

static void put(struct out *o, const char *p, size_t n)
{
    if (o->p != NULL) {
        memcpy(o->p + o->n, p, n);
    }
    o->n += n;
}

/* Quoted where a reader would go astray. A spreadsheet takes what begins with one of =+-@ for a
 * formula: an apostrophe stands before it there. */
static void put_cell(struct out *o, struct str s)
{
    int formula = s.n > 0 && strchr("=+-@\t\r", s.p[0]) != NULL;
    int quoted = formula;
    for (size_t i = 0; i < s.n; i++) {
        quoted |= strchr("\",\r\n", s.p[i]) != NULL;
    }
    if (quoted) {
        put(o, "\"", 1);
    }
    if (formula) {
        put(o, "'", 1);
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"') {
            put(o, "\"", 1);
        }
        put(o, s.p + i, 1);
    }
    if (quoted) {
        put(o, "\"", 1);
    }
}

static void put_end(struct out *o, int column)
{
    put(o, column + 1 < COLUMNS ? "," : "\r\n", column + 1 < COLUMNS ? 1 : 2);
}

static void put_value(struct out *o, yajl_val v)
{
    if (YAJL_IS_STRING(v)) {
        put_cell(o, str_of(YAJL_GET_STRING(v)));
    } else if (YAJL_IS_NUMBER(v)) { /* below zero it is no formula */
        put(o, YAJL_GET_NUMBER(v), strlen(YAJL_GET_NUMBER(v)));
    }
}

static void write_all(struct out *o, yajl_val list)
{
    for (int c = 0; c < COLUMNS; c++) {
        put_cell(o, str_of(columns[c]));
        put_end(o, c);
    }
    for (size_t i = 0; i < YAJL_GET_ARRAY(list)->len; i++) {
        for (int c = 0; c < COLUMNS; c++) {
            const char *path[] = { columns[c], NULL };
            put_value(o, yajl_tree_get(YAJL_GET_ARRAY(list)->values[i], path, yajl_t_any));
            put_end(o, c);
        }
    }
}

struct str open311_csv(struct arena *a, const char *json)
{
    struct str all = { NULL, 0 };
    char why[64];
    yajl_val tree = yajl_tree_parse(json, why, sizeof why);
    if (YAJL_IS_ARRAY(tree)) {
        struct out counted = { NULL, 0 };
        write_all(&counted, tree);
        struct out written = { arena_alloc(a, counted.n), 0 };
        if (written.p != NULL) {
            write_all(&written, tree);
            all = (struct str){ written.p, written.n };
        }
    }
    yajl_tree_free(tree);
    return all;
}
