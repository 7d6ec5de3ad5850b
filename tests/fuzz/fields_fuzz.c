// Field tables under any bytes: what is taken keeps its rules and reads the same once more.
// sources: services/common/fields.c services/common/fields_json.c services/common/fields_form.c
// sources: services/common/utf8.c services/common/arena.c services/common/json.c
// libs: -lyajl -lm
#include <stdio.h>
#include <stdlib.h>

#include "fields.h"
#include "json.h"

enum { ARENA_BYTES = 8 * 1024 * 1024, OUT_BYTES = 64 * 1024 };
enum { AS_FORM = 1, IN_ENGLISH = 2, SHORT_OF_MEMORY = 4 };

static const char *const options[] = { "yes", "no", "не знаю", NULL };

/* Rows of one object stand together: the writer below opens it once. */
static const struct field table[] = {
    { .name = "text", .type = FIELD_TEXT, .required = 1, .min = 2, .max = 20 },
    { .name = "line", .type = FIELD_LINE },
    { .name = "n", .type = FIELD_NUMBER },
    { .name = "i", .type = FIELD_INTEGER, .min = -5, .max = 5 },
    { .name = "big", .type = FIELD_INTEGER },
    { .name = "e", .type = FIELD_ENUM, .options = options },
    { .name = "day", .type = FIELD_DATE },
    { .name = "flag", .type = FIELD_FLAG },
    { .name = "p.lat", .type = FIELD_NUMBER, .min = -90, .max = 90, .together = "p.lon" },
    { .name = "p.lon", .type = FIELD_NUMBER, .min = -180, .max = 180, .together = "p.lat" },
    { .name = "c.d.mail", .type = FIELD_EMAIL },
    { .name = "c.d.tel", .type = FIELD_PHONE },
    FIELD_END,
};
enum { ROWS = sizeof table / sizeof *table - 1 };

struct reading {
    enum otk_err err;
    union value values[ROWS];
    struct field_errors errors;
    struct str detail;
};

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

static struct reading read_all(struct arena *a, int flags, struct str body)
{
    struct reading r = { 0 };
    enum lang lang = (flags & IN_ENGLISH) != 0 ? LANG_EN : LANG_RU;
    r.err = (flags & AS_FORM) != 0
                ? fields_from_form(a, table, body, r.values, &r.errors, &r.detail, lang)
                : fields_from_json(a, table, body, r.values, &r.errors, &r.detail, lang);
    return r;
}

static int is_text(struct str s)
{
    return s.p != NULL && utf8_valid(s, &(size_t){ 0 });
}

static void check_errors(struct arena *a, const struct reading *r)
{
    check(r->errors.n <= FIELD_ERRORS_MAX, "errors fit");
    for (size_t i = 0; i < r->errors.n; i++) {
        const struct field_error *e = &r->errors.list[i];
        check(is_text(e->field) && e->field.n <= 64, "an error names a field");
        check(is_text(field_error_text(a, e, LANG_RU)), "an error has a text");
        check(json_string(a, e->field).p != NULL, "an error can be written");
    }
}

static void check_value(const struct field *f, const union value *v)
{
    if (!v->s.given) {
        check(v->s.text.p == NULL, "what is not given has no text");
        return;
    }
    check(is_text(v->s.text) && v->s.text.p[v->s.text.n] == '\0', "a value is text with its end");
    check(memchr(v->s.text.p, '\r', v->s.text.n) == NULL, "ends of line are LF");
    switch (f->type) {
    case FIELD_TEXT:
        check(v->s.text.n >= 2 && v->s.text.n <= 20 * 4, "a text keeps its bounds");
        check(v->s.text.p[0] != ' ' && v->s.text.p[v->s.text.n - 1] != '\n', "a text is trimmed");
        break;
    case FIELD_NUMBER:
        check(v->d.number == strtod(v->d.text.p, NULL), "a number is its text");
        check(f->max == 0 || (v->d.number >= f->min && v->d.number <= f->max), "it is in bounds");
        break;
    case FIELD_INTEGER:
        check(v->i.integer == strtoll(v->i.text.p, NULL, 10), "an integer is its text");
        check(f->max == 0 || (v->i.integer >= -5 && v->i.integer <= 5), "it is in bounds");
        break;
    case FIELD_ENUM:
        check(strcmp(options[v->e.option], v->e.text.p) == 0, "an option is one of them");
        break;
    case FIELD_FLAG:
        check(strcmp(v->s.text.p, "true") == 0, "a flag that is given is set");
        break;
    case FIELD_DATE:
        check(v->s.text.n == 10, "a day has ten characters");
        break;
    default:
        check(memchr(v->s.text.p, '\n', v->s.text.n) == NULL, "a line is one line");
        break;
    }
}

/* ---- writing again what was read */

struct out {
    char *p;
    size_t n;
};

static void put(struct out *o, struct str s)
{
    check(s.p != NULL && s.n <= OUT_BYTES - o->n, "there is room");
    memcpy(o->p + o->n, s.p, s.n);
    o->n += s.n;
}

/* Length of the part of NAME before its last dot. */
static size_t parent_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot == NULL ? 0 : (size_t)(dot - name);
}

static void open_objects(struct out *o, const char *name, size_t parent)
{
    for (size_t at = 0; at < parent;) {
        size_t n = strcspn(name + at, ".");
        put(o, STR("\""));
        put(o, (struct str){ name + at, n });
        put(o, STR("\":{"));
        at += n + 1;
    }
}

static void close_objects(struct out *o, const char *name, size_t parent)
{
    for (size_t at = 0; at < parent; at += strcspn(name + at, ".") + 1) {
        put(o, STR("}"));
    }
}

static void write_json(struct out *o, struct arena *a, const union value *values)
{
    const char *last = "";
    put(o, STR("{"));
    for (size_t i = 0, written = 0; i < ROWS; i++) {
        const char *name = table[i].name;
        size_t parent = parent_of(name);
        int bare = table[i].type == FIELD_NUMBER || table[i].type == FIELD_INTEGER ||
                   table[i].type == FIELD_FLAG;
        if (!values[i].s.given) {
            continue;
        }
        int same = parent == parent_of(last) && memcmp(name, last, parent) == 0;
        if (!same) {
            close_objects(o, last, parent_of(last));
        }
        put(o, written++ > 0 ? STR(",") : STR(""));
        if (!same) {
            open_objects(o, name, parent);
        }
        put(o, STR("\""));
        put(o, str_of(name + parent + (parent > 0)));
        put(o, STR("\":"));
        put(o, bare ? values[i].s.text : json_string(a, values[i].s.text));
        last = name;
    }
    close_objects(o, last, parent_of(last));
    put(o, STR("}"));
}

static void write_form(struct out *o, const union value *values)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (!values[i].s.given) {
            continue;
        }
        put(o, str_of(table[i].name));
        put(o, STR("="));
        for (size_t j = 0; j < values[i].s.text.n; j++) {
            char escape[4];
            snprintf(escape, sizeof escape, "%%%02x", (unsigned char)values[i].s.text.p[j]);
            put(o, (struct str){ escape, 3 });
        }
        put(o, STR("&"));
    }
}

static void check_again(struct arena *a, int flags, const struct reading *first)
{
    struct out o = { arena_alloc(a, OUT_BYTES), 0 };
    check(o.p != NULL, "there is memory");
    for (size_t i = 0; i < ROWS; i++) {
        if (first->values[i].s.text.n > OUT_BYTES / ROWS / 6 - 64) {
            return; /* written out it would not fit */
        }
    }
    if ((flags & AS_FORM) != 0) {
        write_form(&o, first->values);
    } else {
        write_json(&o, a, first->values);
    }
    struct reading second = read_all(a, flags, (struct str){ o.p, o.n });
    check(second.err == OTK_OK, "what was taken can be read again");
    for (size_t i = 0; i < second.errors.n; i++) {
        enum field_code code = second.errors.list[i].code;
        check(code == FE_REQUIRED || code == FE_TOGETHER, "only what was missing is missing");
    }
    for (size_t i = 0; i < ROWS; i++) {
        check(first->values[i].s.given == second.values[i].s.given &&
                  str_eq(first->values[i].s.text, second.values[i].s.text),
              "every value is the same again");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says how to read the rest, the second how much memory there is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    int flags = data[0];
    struct str body = { (const char *)data + 2, size - 2 };
    struct arena *a = arena_new(ARENA_BYTES);
    check(a != NULL, "there is memory");
    struct reading r = read_all(a, flags, body);
    check(r.err == OTK_OK || r.err == OTK_MALFORMED, "there is an answer");
    if (r.err == OTK_OK) {
        check_errors(a, &r);
        for (size_t i = 0; i < ROWS; i++) {
            check_value(&table[i], &r.values[i]);
        }
        check_again(a, flags, &r);
    } else {
        check(is_text(r.detail) && r.detail.n > 0, "the place is told");
    }
    if ((flags & SHORT_OF_MEMORY) != 0) {
        struct arena *small = arena_new((size_t)data[1] * 16);
        check(small != NULL, "there is memory");
        struct reading s = read_all(small, flags, body);
        check(s.err == OTK_INTERNAL || (s.err == r.err && s.errors.n == r.errors.n),
              "it is the same answer or none");
        arena_free(small);
    }
    arena_free(a);
    return 0;
}
