/* Field tables: what a request may carry, checked in one place for JSON, forms and query strings.
 */
#ifndef FIELDS_H
#define FIELDS_H

#include "arena.h"
#include "otklik.h"

enum field_type {
    FIELD_TEXT, /* string of min..max characters (code points); no controls but \n \r \t; trimmed of
                   outer white space */
    FIELD_LINE, /* the same on one line: no control characters at all */
    FIELD_NUMBER,  /* double, min..max, finite; in forms its decimal text */
    FIELD_INTEGER, /* int64, min..max */
    FIELD_ENUM,    /* one of options; value is the index */
    FIELD_EMAIL,   /* FIELD_LINE that has the form of an address */
    FIELD_PHONE,   /* FIELD_LINE: optional +, 5..20 digits, blanks ( ) - between */
    FIELD_DATE,    /* YYYY-MM-DD, a real day; kept as text */
    FIELD_FLAG,   /* JSON: true or false; forms: true, 1, on or false, 0. Given only when it is set:
                 its text is "true" */
    FIELD_BOOLEAN /* the same words, and both are said: its text is "true" or "false" */
};

struct field {
    const char *name; /* "text", "point.lat": a dot is one level of JSON, the same name in forms */
    enum field_type type;
    int required;
    double min, max; /* characters for strings, value for numbers; 0,0: no bounds for numbers */
    const char *const *options; /* FIELD_ENUM, NULL-terminated */
    const char *together;       /* name of a field that must be given with this one, or NULL */
};
#define FIELD_END    \
    {                \
        .name = NULL \
    }

/* What a row of the table got. given is 0 for an absent member, JSON null or an empty form value.
 */
union value {
    struct {
        int given;
        struct str text;
    } s; /* strings, dates; in the arena, NUL-terminated */
    struct {
        int given;
        struct str text;
        double number;
    } d;
    struct {
        int given;
        struct str text;
        int64_t integer;
    } i;
    struct {
        int given;
        struct str text;
        int option;
    } e; /* text is the option's own */
};

enum field_code {
    FE_REQUIRED,
    FE_TYPE,
    FE_TOO_SHORT,
    FE_TOO_LONG,
    FE_OUT_OF_RANGE,
    FE_NOT_AN_OPTION,
    FE_UNKNOWN,
    FE_DUPLICATE,
    FE_CHARACTERS,
    FE_FORM,
    FE_TOGETHER,
    FE_NO_SUCH,
    FE_NOT_ALLOWED,
    FE_ORDER,  /* the beginning lies behind the end */
    FE_SPAN,   /* more than five years */
    FE_MOMENT, /* too long ago, or still to come; the bound in days */
    FE_FILE_TYPE,
    FE_FILE_SIZE,  /* the bound in MB */
    FE_FILE_COUNT, /* the bound: how many */
    FE_FILE_EMPTY,
    FE_COUNT
};

struct field_error {
    struct str field; /* as the client wrote it, cut at 64 bytes */
    enum field_code code;
    double bound; /* for TOO_SHORT, TOO_LONG, OUT_OF_RANGE: the bound that was broken */
};

#define FIELD_ERRORS_MAX 32

struct field_errors {
    struct field_error list[FIELD_ERRORS_MAX];
    size_t n; /* more errors than fit are not counted: the list is cut */
};

void field_error_add(struct field_errors *e, struct str field, enum field_code code, double bound);
/* Machine name ("out_of_range") and sentence (with the bound filled in) of an error. */
const char *field_code_name(enum field_code code);
struct str field_error_text(struct arena *a, const struct field_error *e, enum lang lang);

/* Reads a JSON object, a form body or a query string into VALUES (zeroed array, one a row). OTK_OK
 * when the bytes could be read: then ERRORS may still hold wrong fields; OTK_MALFORMED with *detail
 * naming the place; OTK_INTERNAL when memory is out. Strict JSON: UTF-8, no NUL, no duplicate or
 * unknown member, depth ≤ 16. */
enum otk_err fields_from_json(struct arena *a, const struct field *table, struct str body,
                              union value *values, struct field_errors *errors, struct str *detail,
                              enum lang lang);
enum otk_err fields_from_form(struct arena *a, const struct field *table, struct str body,
                              union value *values, struct field_errors *errors, struct str *detail,
                              enum lang lang);
/* A pair of a form, decoded, in the arena; without a NUL behind. */
struct form_pair {
    struct str name, value;
};
/* The pairs of a form or a query string as they stand, for who must bear names of strangers; at
 * most MAX of them. OTK_OK; OTK_MALFORMED with *detail naming the place; OTK_TOO_LARGE: more pairs;
 * OTK_INTERNAL when memory is out. */
enum otk_err form_pairs(struct arena *a, struct str body, struct form_pair *pairs, size_t max,
                        size_t *n, struct str *detail, enum lang lang);
/* Row number of NAME in TABLE; -1 if there is none. */
int field_index(const struct field *table, const char *name);
/* 1 if S is valid UTF-8 (no surrogates, no overlong forms) without NUL. *at is the first bad byte.
 */
int utf8_valid(struct str s, size_t *at);

#endif
