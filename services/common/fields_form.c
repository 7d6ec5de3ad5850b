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

/* What lies ahead in a form. */
struct reading {
    struct str body;
    char *decoded; /* room for the whole body: what is decoded is never longer, and stands where it
                      stood. A piece of memory a pair would let "a=&a=&…" use up the arena. */
    size_t at;
};

/* The next pair: 1, 0 at the end, -1 when it cannot be decoded; *at is where it begins. */
static int next_pair(struct reading *f, struct form_pair *pair, size_t *at)
{
    while (f->at < f->body.n) {
        const char *p = f->body.p + f->at;
        const char *end = memchr(p, '&', f->body.n - f->at);
        size_t n = end == NULL ? f->body.n - f->at : (size_t)(end - p);
        char *room = f->decoded + f->at;
        *at = f->at;
        f->at += n + 1;
        if (n == 0) {
            continue;
        }
        const char *equals = memchr(p, '=', n);
        size_t name_length = equals == NULL ? n : (size_t)(equals - p);
        int bad = 0;
        pair->name = decode(room, (struct str){ p, name_length }, &bad);
        pair->value = (struct str){ "", 0 };
        if (!bad && equals != NULL) {
            size_t before = name_length + 1;
            pair->value = decode(room + before, (struct str){ equals + 1, n - before }, &bad);
        }
        return bad ? -1 : 1;
    }
    return 0;
}

enum otk_err form_pairs(struct arena *a, struct str body, struct form_pair *pairs, size_t max,
                        size_t *n, struct str *detail, enum lang lang)
{
    struct reading f = { .body = body, .decoded = arena_alloc(a, body.n) };
    struct form_pair pair;
    size_t at;
    int more;
    *n = 0;
    if (f.decoded == NULL) {
        return OTK_INTERNAL;
    }
    while ((more = next_pair(&f, &pair, &at)) > 0) {
        if (*n == max) {
            return OTK_TOO_LARGE;
        }
        pairs[(*n)++] = pair;
    }
    return more < 0 ? malformed(a, at, detail, lang) : OTK_OK;
}

enum otk_err fields_from_form(struct arena *a, const struct field *table, struct str body,
                              union value *values, struct field_errors *errors, struct str *detail,
                              enum lang lang)
{
    struct field_reader r;
    struct reading f = { .body = body, .decoded = arena_alloc(a, body.n) };
    struct form_pair pair;
    size_t at;
    int more;
    if (f.decoded == NULL || field_reader_init(&r, a, table, values, errors) != 0) {
        return OTK_INTERNAL;
    }
    while ((more = next_pair(&f, &pair, &at)) > 0) {
        int row = row_of(&r, pair.name);
        if (row < 0) {
            field_reader_fail_name(&r, pair.name, FE_UNKNOWN);
        } else if (field_reader_first(&r, row)) {
            field_reader_put(&r, row, pair.value, RAW_FORM);
        }
        if (r.no_memory) {
            return OTK_INTERNAL;
        }
    }
    if (more < 0) {
        return malformed(a, at, detail, lang);
    }
    field_reader_end(&r);
    return r.no_memory ? OTK_INTERNAL : OTK_OK;
}
