/* Fields out of application/x-www-form-urlencoded: bodies of forms and query strings. */
#include "field_reader.h"

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decodes + and %XX of S into P, which has room for S; *bad is set when it cannot be decoded. */
static struct str decode(char *p, struct str s, int *bad)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%') {
            p[n++] = s.p[i] == '+' ? ' ' : s.p[i];
            continue;
        }
        int high = i + 2 < s.n ? hex(s.p[i + 1]) : -1, low = high < 0 ? -1 : hex(s.p[i + 2]);
        if (low < 0) {
            *bad = 1;
            return (struct str){ p, 0 };
        }
        p[n++] = (char)(high * 16 + low);
        i += 2;
    }
    size_t at;
    *bad = !utf8_valid((struct str){ p, n }, &at);
    return (struct str){ p, n };
}

static int row_of(const struct field_reader *r, struct str name)
{
    for (size_t i = 0; i < r->rows; i++) {
        if (str_eq(name, str_of(r->table[i].name))) {
            return (int)i;
        }
    }
    return -1;
}

static enum otk_err malformed(struct arena *a, size_t at, struct str *detail, enum lang lang)
{
    *detail =
        lang == LANG_RU
            ? arena_printf(a, "Форма не разобрана: у байта %zu неверный код или не UTF-8.", at)
            : arena_printf(a, "The form cannot be read: a bad escape or no UTF-8 near byte %zu.",
                           at);
    return detail->p == NULL ? OTK_INTERNAL : OTK_MALFORMED;
}

enum otk_err fields_from_form(struct arena *a, const struct field *table, struct str body,
                              union value *values, struct field_errors *errors, struct str *detail,
                              enum lang lang)
{
    struct field_reader r;
    /* What is decoded is never longer: it stands where it stood. A piece of memory a pair would let
     * a body of "a=&a=&…" use up the request's arena. */
    char *decoded = arena_alloc(a, body.n);
    if (decoded == NULL || field_reader_init(&r, a, table, values, errors) != 0) {
        return OTK_INTERNAL;
    }
    for (size_t at = 0, n; at < body.n; at += n + 1) {
        const char *p = body.p + at;
        const char *end = memchr(p, '&', body.n - at);
        n = end == NULL ? body.n - at : (size_t)(end - p);
        if (n == 0) {
            continue;
        }
        const char *equals = memchr(p, '=', n);
        size_t name_length = equals == NULL ? n : (size_t)(equals - p);
        int bad = 0;
        struct str name = decode(decoded + at, (struct str){ p, name_length }, &bad);
        int row = bad ? -1 : row_of(&r, name);
        struct str value = { "", 0 };
        if (!bad && equals != NULL) {
            size_t before = name_length + 1;
            value = decode(decoded + at + before, (struct str){ equals + 1, n - before }, &bad);
        }
        if (bad) {
            return malformed(a, at, detail, lang);
        }
        if (row < 0) {
            field_reader_fail_name(&r, name, FE_UNKNOWN);
        } else if (field_reader_first(&r, row)) {
            field_reader_put(&r, row, value, RAW_FORM);
        }
        if (r.no_memory) {
            return OTK_INTERNAL;
        }
    }
    field_reader_end(&r);
    return r.no_memory ? OTK_INTERNAL : OTK_OK;
}
