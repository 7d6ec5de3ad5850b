/* Fields out of a JSON object, strictly (RFC 8259 and I-JSON, RFC 7493).
 *
 * yajl reads the grammar; what it takes too lightly is checked before (UTF-8, escapes of surrogates
 * and of NUL) or here (depth, members that are unknown or come twice). */
#include <stdio.h>
#include <stdlib.h>
#include <yajl/yajl_parse.h>

#include "field_reader.h"

enum { DEPTH_MAX = 16, PATH_BYTES = 256 };

struct json {
    struct field_reader r;
    char path[PATH_BYTES]; /* of the member being read: "point.lat" */
    size_t path_length;
    size_t ends[DEPTH_MAX + 1]; /* length of the path of the object at each depth */
    int depth;                  /* objects and arrays we are in */
    int skip;                   /* depth at which a value of no use began; 0: none */
    int row;                    /* of the member being read; -1: an object is expected */
    int too_deep, not_an_object;
};

static struct str path_of(const struct json *j)
{
    return (struct str){ j->path, j->path_length };
}

/* A value that is no object begins or is read: 1 when it belongs to a row. */
static int takes_value(struct json *j)
{
    if (j->skip > 0) {
        return 0;
    }
    if (j->depth == 0) {
        j->not_an_object = 1;
        return 0;
    }
    if (j->row < 0) {
        field_reader_fail_name(&j->r, path_of(j), FE_TYPE);
        return 0;
    }
    return 1;
}

static int go_on(const struct json *j)
{
    return !j->not_an_object && !j->too_deep && !j->r.no_memory;
}

static int put(struct json *j, struct str text, enum raw raw)
{
    if (takes_value(j) && field_reader_first(&j->r, j->row)) {
        field_reader_put(&j->r, j->row, text, raw);
    }
    return go_on(j);
}

static int on_null(void *data)
{
    struct json *j = data;
    if (j->depth == 0) {
        j->not_an_object = 1;
    } else if (j->skip == 0 && j->row >= 0) {
        field_reader_first(&j->r, j->row);
    }
    return go_on(j);
}

static int on_boolean(void *data, int value)
{
    return put(data, value ? STR("true") : STR("false"), RAW_BOOLEAN);
}

static int on_number(void *data, const char *p, size_t n)
{
    return put(data, (struct str){ p, n }, RAW_NUMBER);
}

static int on_string(void *data, const unsigned char *p, size_t n)
{
    return put(data, (struct str){ (const char *)p, n }, RAW_STRING);
}

/* 1 when PATH is an object on the way to ROW. */
static int leads_to(struct str path, const char *row)
{
    return strlen(row) > path.n && memcmp(row, path.p, path.n) == 0 && row[path.n] == '.';
}

static int on_key(void *data, const unsigned char *p, size_t n)
{
    struct json *j = data;
    if (j->skip > 0) {
        return 1;
    }
    size_t base = j->ends[j->depth];
    size_t room = sizeof j->path - base - 1;
    size_t taken = n < room ? n : room; /* longer than any name of a table: unknown all the same */
    j->path_length = base;
    if (base > 0) {
        j->path[j->path_length++] = '.';
    }
    memcpy(j->path + j->path_length, p, taken);
    j->path_length += taken;
    struct str path = path_of(j);
    int known = 0;
    j->row = -1;
    /* {"point.lat": 1} is not {"point": {"lat": 1}}: a dot in a key names nothing of ours. */
    size_t rows = memchr(p, '.', n) == NULL ? j->r.rows : 0;
    for (size_t i = 0; i < rows && !known; i++) {
        const char *name = j->r.table[i].name;
        if (str_eq(path, str_of(name))) {
            j->row = (int)i;
            known = 1;
        } else if (leads_to(path, name)) {
            unsigned seen = (unsigned)ROW_PREFIX << j->depth;
            if ((j->r.state[i] & seen) != 0) {
                field_reader_fail_name(&j->r, path, FE_DUPLICATE);
                j->skip = j->depth + 1;
            }
            j->r.state[i] |= seen;
            known = 1;
        }
    }
    if (!known) {
        field_reader_fail_name(&j->r, path, FE_UNKNOWN);
        j->skip = j->depth + 1;
    }
    return go_on(j);
}

static int enter(struct json *j)
{
    if (j->depth == DEPTH_MAX) {
        j->too_deep = 1;
        return 0;
    }
    j->depth++;
    j->ends[j->depth] = j->path_length;
    return go_on(j);
}

static int on_object(void *data)
{
    struct json *j = data;
    if (j->skip == 0 && j->depth > 0 && j->row >= 0) {
        if (field_reader_first(&j->r, j->row)) {
            field_reader_fail(&j->r, j->row, FE_TYPE, 0);
        }
        j->skip = j->depth + 1;
    }
    return enter(j);
}

static int on_array(void *data)
{
    struct json *j = data;
    if (takes_value(j) && field_reader_first(&j->r, j->row)) {
        field_reader_fail(&j->r, j->row, FE_TYPE, 0);
    }
    if (j->skip == 0) {
        j->skip = j->depth + 1;
    }
    return go_on(j) && enter(j);
}

/* The end of an object or array, after which the outer one goes on. */
static int on_end(void *data)
{
    struct json *j = data;
    j->depth--;
    j->path_length = j->ends[j->depth];
    return 1;
}

/* A value of no use ends with the next member of the object it stands in. */
static int on_key_or_skip(void *data, const unsigned char *p, size_t n)
{
    struct json *j = data;
    if (j->skip > j->depth) {
        j->skip = 0;
    }
    return on_key(data, p, n);
}

static int on_object_end(void *data)
{
    struct json *j = data;
    if (j->skip > j->depth) {
        j->skip = 0; /* the skipped member was the last one of this object */
    }
    return on_end(data);
}

/* ---- what yajl takes too lightly */

static int escape_value(const char *p)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

/* 0 when an escape at *at stands for no character: NUL or half a surrogate pair. Other mistakes are
 * yajl's to find. */
static int escapes_good(struct str s, size_t *at)
{
    for (size_t i = 0; i + 1 < s.n; i++) {
        if (s.p[i] != '\\') {
            continue;
        }
        *at = i++;
        int value = s.p[i] == 'u' && i + 4 < s.n ? escape_value(s.p + i + 1) : -1;
        if (value == 0 || (value >= 0xdc00 && value <= 0xdfff)) {
            return 0;
        }
        if (value >= 0xd800 && value <= 0xdbff) {
            int low = i + 10 < s.n && s.p[i + 5] == '\\' && s.p[i + 6] == 'u'
                          ? escape_value(s.p + i + 7)
                          : -1;
            if (low < 0xdc00 || low > 0xdfff) {
                return 0;
            }
            i += 6;
        }
        i += value < 0 ? 0 : 4;
    }
    return 1;
}

/* ---- the whole */

static enum otk_err malformed(struct arena *a, struct str *detail, enum lang lang, const char *ru,
                              const char *en, size_t at)
{
    *detail = lang == LANG_RU ? arena_printf(a, "%s Место: байт %zu.", ru, at)
                              : arena_printf(a, "%s Place: byte %zu.", en, at);
    return detail->p == NULL ? OTK_INTERNAL : OTK_MALFORMED;
}

enum otk_err fields_from_json(struct arena *a, const struct field *table, struct str body,
                              union value *values, struct field_errors *errors, struct str *detail,
                              enum lang lang)
{
    static const yajl_callbacks callbacks = {
        .yajl_null = on_null,
        .yajl_boolean = on_boolean,
        .yajl_number = on_number,
        .yajl_string = on_string,
        .yajl_start_map = on_object,
        .yajl_map_key = on_key_or_skip,
        .yajl_end_map = on_object_end,
        .yajl_start_array = on_array,
        .yajl_end_array = on_end,
    };
    size_t at = 0;
    if (!utf8_valid(body, &at)) {
        return malformed(a, detail, lang, "Это не UTF-8 или в тексте есть NUL.",
                         "This is not UTF-8, or there is a NUL.", at);
    }
    if (!escapes_good(body, &at)) {
        return malformed(a, detail, lang, "Код знака NUL или половины пары.",
                         "An escape of NUL or of half a surrogate pair.", at);
    }
    struct json j = { .row = -1 };
    if (field_reader_init(&j.r, a, table, values, errors) != 0) {
        return OTK_INTERNAL;
    }
    yajl_handle parser = yajl_alloc(&callbacks, NULL, &j);
    if (parser == NULL) {
        return OTK_INTERNAL;
    }
    yajl_status status = yajl_parse(parser, (const unsigned char *)body.p, body.n);
    at = yajl_get_bytes_consumed(parser);
    if (status == yajl_status_ok) {
        status = yajl_complete_parse(parser);
    }
    yajl_free(parser);
    if (j.r.no_memory) {
        return OTK_INTERNAL;
    }
    if (j.too_deep) {
        return malformed(a, detail, lang, "JSON вложен глубже 16 уровней.",
                         "The JSON is nested more than 16 levels deep.", at);
    }
    if (j.not_an_object) {
        return malformed(a, detail, lang, "Ожидался объект JSON.", "A JSON object was expected.",
                         at);
    }
    if (status != yajl_status_ok) {
        return malformed(a, detail, lang, "JSON не разобран.", "The JSON cannot be read.", at);
    }
    field_reader_end(&j.r);
    return j.r.no_memory ? OTK_INTERNAL : OTK_OK;
}
