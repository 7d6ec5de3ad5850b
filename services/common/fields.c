/* Field tables: values checked row by row, whatever they came in. */
#include "fields.h"

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "field_reader.h"

enum { NAME_MAX_BYTES = 64, NUMBER_MAX_BYTES = 64, EMAIL_MAX = 254, EMAIL_LOCAL_MAX = 64 };

/* ---- errors */

static const struct {
    const char *name, *text[LANG_COUNT];
} codes[FE_COUNT] = {
    [FE_REQUIRED] = { "required", { "Заполните это поле.", "Fill in this field." } },
    [FE_TYPE] = { "type", { "Значение другого вида.", "The value is of another type." } },
    [FE_TOO_SHORT] = { "too_short",
                       { "Слишком коротко: нужно не меньше %.0f %s.",
                         "Too short: the text needs at least %.0f %s." } },
    [FE_TOO_LONG] = { "too_long",
                      { "Слишком длинно: можно не больше %.0f %s.",
                        "Too long: the text may have at most %.0f %s." } },
    [FE_OUT_OF_RANGE] = { "out_of_range",
                          { "Число за пределами допустимого: граница %.15g.",
                            "The number is out of range: the bound is %.15g." } },
    [FE_NOT_AN_OPTION] = { "not_an_option",
                           { "Такого варианта нет.", "There is no such option." } },
    [FE_UNKNOWN] = { "unknown", { "Такого поля нет.", "There is no such field." } },
    [FE_DUPLICATE] = { "duplicate",
                       { "Поле указано дважды.", "The field is given more than once." } },
    [FE_CHARACTERS] = { "characters",
                        { "В тексте недопустимые управляющие знаки.",
                          "The text holds control characters that are not allowed." } },
    [FE_FORM] = { "form", { "Проверьте, как это написано.", "Check how this is written." } },
    [FE_TOGETHER] = { "together",
                      { "Укажите и это поле: оно нужно вместе с другим.",
                        "Give this field, too: it is needed together with another." } },
    [FE_NO_SUCH] = { "no_such", { "Такого значения нет.", "There is no such value." } },
    [FE_NOT_ALLOWED] = { "not_allowed",
                         { "Это поле вам не доступно.", "You may not use this field." } },
    [FE_ORDER] = { "order", { "Начало позже конца.", "The beginning lies behind the end." } },
    [FE_SPAN] = { "span",
                  { "Промежуток длиннее пяти лет.", "The span is longer than five years." } },
    [FE_MOMENT] = { "moment",
                    { "Время может быть не позже, чем сейчас, и не раньше, чем %.0f дней назад.",
                      "The time may be at most now, and at least %.0f days ago." } },
    [FE_FILE_TYPE] = { "file_type",
                       { "Такой файл не принимается: нужен JPEG, PNG, WebP, HEIC или PDF.",
                         "Such a file is not taken: JPEG, PNG, WebP, HEIC and PDF are." } },
    [FE_FILE_SIZE] = { "file_size",
                       { "Файл слишком большой: можно не больше %.0f МБ.",
                         "The file is too large: at most %.0f MB." } },
    [FE_FILE_COUNT] = { "file_count",
                        { "Файлов слишком много: можно не больше %.0f.",
                          "There are too many files: at most %.0f." } },
    [FE_FILE_EMPTY] = { "file_empty", { "Файл пуст.", "The file is empty." } },
};

/* S cut to at most MAX bytes, between characters. */
static struct str cut(struct str s, size_t max)
{
    if (s.n > max) {
        s.n = max;
        while (s.n > 0 && ((unsigned char)s.p[s.n] & 0xc0) == 0x80) {
            s.n--;
        }
    }
    return s;
}

void field_error_add(struct field_errors *e, struct str field, enum field_code code, double bound)
{
    if (e->n < FIELD_ERRORS_MAX) {
        e->list[e->n++] = (struct field_error){ cut(field, NAME_MAX_BYTES), code, bound };
    }
}

const char *field_code_name(enum field_code code)
{
    return codes[code].name;
}

struct str field_error_text(struct arena *a, const struct field_error *e, enum lang lang)
{
    static const char *const nouns[LANG_COUNT][2] = { { "знаков", "знака" },
                                                      { "characters", "character" } };
    /* не меньше 21 знака, but 11 знаков; at least 1 character. */
    int one =
        lang == LANG_RU ? fmod(e->bound, 10) == 1 && fmod(e->bound, 100) != 11 : e->bound == 1;
    /* Each text is a format that takes the bound, the bound and its noun, or nothing. */
    return arena_printf(a, codes[e->code].text[lang], e->bound, nouns[lang][one]);
}

/* ---- the reader */

int field_reader_init(struct field_reader *r, struct arena *a, const struct field *table,
                      union value *values, struct field_errors *errors)
{
    *r = (struct field_reader){ .arena = a, .table = table, .values = values, .errors = errors };
    while (table[r->rows].name != NULL) {
        r->rows++;
    }
    r->state = arena_zero(a, (r->rows + 1) * sizeof *r->state);
    return r->state == NULL ? -1 : 0;
}

void field_reader_fail(struct field_reader *r, int row, enum field_code code, double bound)
{
    r->state[row] |= ROW_SEEN | ROW_FAILED;
    field_error_add(r->errors, str_of(r->table[row].name), code, bound);
}

void field_reader_fail_name(struct field_reader *r, struct str name, enum field_code code)
{
    if (r->errors->n >= FIELD_ERRORS_MAX) {
        return; /* a flood of unknown members costs no memory */
    }
    struct str copy = arena_dup(r->arena, cut(name, NAME_MAX_BYTES));
    if (copy.p == NULL) {
        r->no_memory = 1;
        return;
    }
    field_error_add(r->errors, copy, code, 0);
}

int field_reader_first(struct field_reader *r, int row)
{
    if ((r->state[row] & ROW_SEEN) != 0) {
        if ((r->state[row] & ROW_FAILED) == 0) {
            field_reader_fail(r, row, FE_DUPLICATE, 0);
        }
        r->values[row] = (union value){ 0 };
        return 0;
    }
    r->state[row] |= ROW_SEEN;
    return 1;
}

/* ---- text */

/* Bytes of outer white space at the beginning (or the end) of S: blanks, ends of line, and what
 * pasting brings along: U+00A0, U+FEFF. */
static size_t space_at(struct str s, int end)
{
    static const struct str spaces[] = { STR(" "),  STR("\t"),       STR("\n"),
                                         STR("\r"), STR("\xc2\xa0"), STR("\xef\xbb\xbf") };
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        size_t n = spaces[i].n;
        if (s.n >= n && memcmp(end ? s.p + s.n - n : s.p, spaces[i].p, n) == 0) {
            return n;
        }
    }
    return 0;
}

static struct str trim(struct str s)
{
    size_t n;
    while ((n = space_at(s, 0)) > 0) {
        s.p += n;
        s.n -= n;
    }
    while ((n = space_at(s, 1)) > 0) {
        s.n -= n;
    }
    return s;
}

/* A copy with NUL behind it. Forms send ends of line as CR LF, programs as LF: the same letter
 * shall be the same text. */
static struct str copy_text(struct arena *a, struct str s)
{
    struct str out = arena_dup(a, s);
    if (out.p == NULL || memchr(out.p, '\r', out.n) == NULL) {
        return out;
    }
    char *p = (char *)out.p; /* ours since arena_dup */
    size_t n = 0;
    for (size_t i = 0; i < out.n; i++) {
        if (p[i] != '\r') {
            p[n++] = p[i];
        } else if (i + 1 == out.n || p[i + 1] != '\n') {
            p[n++] = '\n';
        }
    }
    p[n] = '\0';
    return (struct str){ p, n };
}

/* C0 but \n \r \t where lines are allowed, DEL, C1. */
static int has_controls(struct str s, int lines)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        int allowed = lines && (c == '\n' || c == '\r' || c == '\t');
        if ((c < 0x20 && !allowed) || c == 0x7f ||
            (c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0)) {
            return 1;
        }
    }
    return 0;
}

/* Code points of S as copy_text leaves it: CR LF is one, as browsers count for maxlength. */
static size_t characters(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        int pair = s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n';
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80 && !pair;
    }
    return n;
}

/* name@host.domain, generously: letters of any alphabet, since .рф exists; the proof of an address
 * is that a letter arrives. */
static int is_email(struct str s)
{
    const char *at = memchr(s.p, '@', s.n);
    if (at == NULL || at == s.p || s.n > EMAIL_MAX || at - s.p > EMAIL_LOCAL_MAX) {
        return 0;
    }
    struct str host = { at + 1, s.n - (size_t)(at + 1 - s.p) };
    int dots = 0;
    char before = '.';
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || (&s.p[i] != at && strchr("@()<>[]\\,;:\"", c) != NULL)) {
            return 0;
        }
    }
    for (size_t i = 0; i < host.n; i++) {
        unsigned char c = (unsigned char)host.p[i];
        if (c == '.' ? before == '.' || before == '-'
                     : !(isalnum(c) || c >= 0x80 || (c == '-' && before != '.'))) {
            return 0;
        }
        dots += c == '.';
        before = (char)c;
    }
    return dots > 0 && before != '.' && before != '-';
}

static int is_phone(struct str s)
{
    int digits = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= '0' && s.p[i] <= '9') {
            digits++;
        } else if (!(s.p[i] == '+' && i == 0) && strchr(" ()-", s.p[i]) == NULL) {
            return 0;
        }
    }
    return digits >= 5 && digits <= 20;
}

static int is_date(struct str s)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int v[3] = { 0, 0, 0 };
    if (s.n != 10) {
        return 0;
    }
    for (size_t i = 0; i < s.n; i++) {
        int dash = i == 4 || i == 7;
        if (dash ? s.p[i] != '-' : (s.p[i] < '0' || s.p[i] > '9')) {
            return 0;
        }
        if (!dash) {
            int *part = &v[(i > 4) + (i > 7)];
            *part = *part * 10 + (s.p[i] - '0');
        }
    }
    int leap = (v[0] % 4 == 0 && v[0] % 100 != 0) || v[0] % 400 == 0;
    return v[0] >= 1 && v[1] >= 1 && v[1] <= 12 && v[2] >= 1 &&
           v[2] <= days[v[1] - 1] + (v[1] == 2 && leap);
}

static int has_form(enum field_type type, struct str s)
{
    switch (type) {
    case FIELD_EMAIL:
        return is_email(s);
    case FIELD_PHONE:
        return is_phone(s);
    case FIELD_DATE:
        return is_date(s);
    default:
        return 1;
    }
}

static void put_text(struct field_reader *r, int row, struct str text)
{
    const struct field *f = &r->table[row];
    struct str s = trim(text);
    double n = (double)characters(s);
    if (has_controls(s, f->type == FIELD_TEXT)) {
        field_reader_fail(r, row, FE_CHARACTERS, 0);
    } else if (n < f->min) {
        field_reader_fail(r, row, FE_TOO_SHORT, f->min);
    } else if (f->max > 0 && n > f->max) {
        field_reader_fail(r, row, FE_TOO_LONG, f->max);
    } else if (!has_form(f->type, s)) {
        field_reader_fail(r, row, FE_FORM, 0);
    } else {
        struct str copy = copy_text(r->arena, s);
        if (copy.p == NULL) {
            r->no_memory = 1;
            return;
        }
        r->values[row].s.given = 1;
        r->values[row].s.text = copy;
    }
}

static void put_option(struct field_reader *r, int row, struct str text)
{
    const char *const *options = r->table[row].options;
    struct str s = trim(text);
    for (int i = 0; options[i] != NULL; i++) {
        if (str_eq(s, str_of(options[i]))) {
            r->values[row].e.given = 1;
            r->values[row].e.text = str_of(options[i]);
            r->values[row].e.option = i;
            return;
        }
    }
    field_reader_fail(r, row, FE_NOT_AN_OPTION, 0);
}

/* A box that is not ticked says nothing: neither does the flag. */
static void put_flag(struct field_reader *r, int row, struct str text)
{
    static const struct {
        struct str word;
        int set;
    } words[] = {
        { STR("true"), 1 }, { STR("1"), 1 }, { STR("on"), 1 }, { STR("false"), 0 }, { STR("0"), 0 }
    };
    struct str s = trim(text);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (str_eq(s, words[i].word)) {
            if (words[i].set || r->table[row].type == FIELD_BOOLEAN) {
                r->values[row].s.given = 1;
                r->values[row].s.text = words[i].set ? STR("true") : STR("false");
            }
            return;
        }
    }
    field_reader_fail(r, row, FE_NOT_AN_OPTION, 0);
}

/* ---- numbers */

/* The decimal text of a form: sign, digits, point or comma, digits. JSON has its own grammar, which
 * yajl has checked. */
static int is_decimal(struct str s)
{
    size_t i = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+');
    int digits = 0, points = 0;
    for (; i < s.n; i++) {
        if (s.p[i] == '.' || s.p[i] == ',') {
            points++;
        } else if (s.p[i] >= '0' && s.p[i] <= '9') {
            digits++;
        } else {
            return 0;
        }
    }
    return digits > 0 && points <= 1;
}

static int is_whole(struct str s)
{
    size_t sign = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+');
    for (size_t i = sign; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return 0;
        }
    }
    return s.n > sign;
}

static void put_number(struct field_reader *r, int row, struct str text, enum raw raw)
{
    const struct field *f = &r->table[row];
    struct str s = trim(text);
    int whole = f->type == FIELD_INTEGER;
    if (s.n > NUMBER_MAX_BYTES || (whole && !is_whole(s)) || (raw == RAW_FORM && !is_decimal(s))) {
        field_reader_fail(r, row, FE_TYPE, 0);
        return;
    }
    struct str copy = arena_dup(r->arena, s);
    if (copy.p == NULL) {
        r->no_memory = 1;
        return;
    }
    char *comma = raw == RAW_FORM ? strchr(copy.p, ',') : NULL;
    if (comma != NULL) {
        *comma = '.';
    }
    errno = 0;
    int64_t integer = whole ? strtoll(copy.p, NULL, 10) : 0;
    int overflow = whole && errno == ERANGE;
    double number = whole ? (double)integer : strtod(copy.p, NULL);
    int bounded = f->min != 0 || f->max != 0;
    if (overflow || !isfinite(number) || (bounded && (number < f->min || number > f->max))) {
        /* Without bounds of its own the row has those of the type. */
        double bound = whole ? (double)integer : copysign(DBL_MAX, number);
        bound = !bounded ? bound : number < f->min ? f->min : f->max;
        field_reader_fail(r, row, FE_OUT_OF_RANGE, bound);
        return;
    }
    if (whole) {
        r->values[row].i.given = 1;
        r->values[row].i.text = copy;
        r->values[row].i.integer = integer;
    } else {
        r->values[row].d.given = 1;
        r->values[row].d.text = copy;
        r->values[row].d.number = number;
    }
}

void field_reader_put(struct field_reader *r, int row, struct str text, enum raw raw)
{
    enum field_type type = r->table[row].type;
    int number = type == FIELD_NUMBER || type == FIELD_INTEGER;
    enum raw wanted = number                                        ? RAW_NUMBER
                      : type == FIELD_FLAG || type == FIELD_BOOLEAN ? RAW_BOOLEAN
                                                                    : RAW_STRING;
    if (raw == RAW_FORM && trim(text).n == 0) {
        return; /* an empty input: not given */
    }
    if (raw != RAW_FORM && raw != wanted) {
        field_reader_fail(r, row, FE_TYPE, 0);
    } else if (number) {
        put_number(r, row, text, raw);
    } else if (type == FIELD_ENUM) {
        put_option(r, row, text);
    } else if (type == FIELD_FLAG || type == FIELD_BOOLEAN) {
        put_flag(r, row, text);
    } else {
        put_text(r, row, text);
    }
}

void field_reader_end(struct field_reader *r)
{
    for (size_t i = 0; i < r->rows; i++) {
        const struct field *f = &r->table[i];
        if (f->required && !r->values[i].s.given && (r->state[i] & ROW_FAILED) == 0) {
            field_reader_fail(r, (int)i, FE_REQUIRED, 0);
        }
        int other = f->together == NULL ? -1 : field_index(r->table, f->together);
        if (other >= 0 && r->values[i].s.given && !r->values[other].s.given &&
            (r->state[other] & ROW_FAILED) == 0) {
            field_reader_fail(r, other, FE_TOGETHER, 0);
        }
    }
}

int field_index(const struct field *table, const char *name)
{
    for (int i = 0; table[i].name != NULL; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}
