// Field tables: what JSON, forms and query strings may carry, and how each slip is named.
// sources: services/common/fields.c services/common/fields_json.c services/common/fields_form.c
// sources: services/common/utf8.c services/common/arena.c services/common/json.c
// libs: -lyajl -lm
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fields.h"
#include "json.h"

enum { ARENA_BYTES = 8 * 1024 * 1024 };

static const char *const colours[] = { "red", "green", NULL };

enum row { TEXT, LINE, LAT, LON, COUNT, COLOUR, EMAIL, PHONE, DAY, DEEP, FREE, BIG, ROWS };

static const struct field table[] = {
    [TEXT] = { .name = "text", .type = FIELD_TEXT, .required = 1, .min = 3, .max = 10 },
    [LINE] = { .name = "line", .type = FIELD_LINE, .max = 21 },
    [LAT] = { .name = "point.lat",
              .type = FIELD_NUMBER,
              .min = -90,
              .max = 90,
              .together = "point.lon" },
    [LON] = { .name = "point.lon",
              .type = FIELD_NUMBER,
              .min = -180,
              .max = 180,
              .together = "point.lat" },
    [COUNT] = { .name = "count", .type = FIELD_INTEGER, .min = 1, .max = 100 },
    [COLOUR] = { .name = "colour", .type = FIELD_ENUM, .options = colours },
    [EMAIL] = { .name = "contact.email", .type = FIELD_EMAIL },
    [PHONE] = { .name = "contact.phone", .type = FIELD_PHONE },
    [DAY] = { .name = "day", .type = FIELD_DATE },
    [DEEP] = { .name = "a.b.c", .type = FIELD_LINE },
    [FREE] = { .name = "free", .type = FIELD_NUMBER },
    [BIG] = { .name = "big", .type = FIELD_INTEGER },
    FIELD_END,
};

typedef enum otk_err (*reader)(struct arena *a, const struct field *table, struct str body,
                               union value *values, struct field_errors *errors, struct str *detail,
                               enum lang lang);

static struct {
    struct arena *arena;
    union value values[ROWS];
    struct field_errors errors;
    struct str detail;
} got;

static int drop(void **state)
{
    (void)state;
    arena_free(got.arena);
    got.arena = NULL;
    return 0;
}

static enum otk_err read_with(reader read, struct str body, enum lang lang)
{
    arena_free(got.arena);
    memset(&got, 0, sizeof got);
    got.arena = arena_new(ARENA_BYTES);
    assert_non_null(got.arena);
    /* A copy of just its size: a sanitizer sees one byte too far. */
    char *copy = malloc(body.n + (body.n == 0));
    assert_non_null(copy);
    memcpy(copy, body.p, body.n);
    enum otk_err err = read(got.arena, table, (struct str){ copy, body.n }, got.values, &got.errors,
                            &got.detail, lang);
    free(copy); /* nothing may point into it */
    return err;
}

/* "point.lat:type count:out_of_range" */
static const char *named_errors(void)
{
    static char text[4096];
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < got.errors.n && n < sizeof text; i++) {
        const struct field_error *e = &got.errors.list[i];
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s:%s", i > 0 ? " " : "",
                              (int)e->field.n, e->field.p, field_code_name(e->code));
    }
    return text;
}

struct errors_case {
    const char *body, *errors;
};

static void expect_errors(reader read, const struct errors_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        enum otk_err err = read_with(read, str_of(cases[i].body), LANG_EN);
        if (err != OTK_OK || strcmp(named_errors(), cases[i].errors) != 0) {
            fail_msg("%s\n  gave %d %s\n  not  %s", cases[i].body, err, named_errors(),
                     cases[i].errors);
        }
    }
}

/* ---- what is right */

static void a_json_object_fills_its_rows(void **state)
{
    (void)state;
    assert_int_equal(
        read_with(fields_from_json,
                  STR("{\"text\":\" \\n Яма \\ud83d\\ude00\\t \",\"line\":\"ул. Ленина, 1\","
                      "\"point\":{\"lat\":54.78,\"lon\":-3.2e1},\"count\":100,\"colour\":\"green\","
                      "\"contact\":{\"email\":\"иван@почта.рф\",\"phone\":\"+7 (481) 238-00-00\"},"
                      "\"day\":\"2024-02-29\",\"a\":{\"b\":{\"c\":\"deep\"}},\"free\":-0.5,"
                      "\"big\":-9223372036854775808}"),
                  LANG_RU),
        OTK_OK);
    assert_string_equal(named_errors(), "");
    const union value *v = got.values;
    assert_true(v[TEXT].s.given);
    assert_string_equal(v[TEXT].s.text.p, "Яма 😀");
    assert_int_equal(v[TEXT].s.text.n, strlen("Яма 😀"));
    assert_string_equal(v[LINE].s.text.p, "ул. Ленина, 1");
    assert_true(v[LAT].d.number == 54.78 && v[LON].d.number == -32);
    assert_string_equal(v[LAT].d.text.p, "54.78");
    assert_int_equal(v[COUNT].i.integer, 100);
    assert_int_equal(v[COLOUR].e.option, 1);
    assert_string_equal(v[COLOUR].e.text.p, "green");
    assert_string_equal(v[EMAIL].s.text.p, "иван@почта.рф");
    assert_string_equal(v[PHONE].s.text.p, "+7 (481) 238-00-00");
    assert_string_equal(v[DAY].s.text.p, "2024-02-29");
    assert_string_equal(v[DEEP].s.text.p, "deep");
    assert_true(v[FREE].d.number == -0.5);
    assert_true(v[BIG].i.integer == INT64_MIN);
}

static void a_form_fills_the_same_rows(void **state)
{
    (void)state;
    assert_int_equal(read_with(fields_from_form,
                               STR("&&text=%D0%AF%D0%BC%D0%b0+%21&point.lat=54%2C5&point.lon=%2B.5&"
                                   "count=+007+&colour=red&contact.email=a%40b.ru&line=&day"),
                               LANG_RU),
                     OTK_OK);
    assert_string_equal(named_errors(), "");
    const union value *v = got.values;
    assert_string_equal(v[TEXT].s.text.p, "Яма !");
    assert_true(v[LAT].d.number == 54.5 && v[LON].d.number == 0.5);
    assert_string_equal(v[LAT].d.text.p, "54.5"); /* a comma is a point */
    assert_int_equal(v[COUNT].i.integer, 7);
    assert_int_equal(v[COLOUR].e.option, 0);
    assert_string_equal(v[EMAIL].s.text.p, "a@b.ru");
    assert_false(v[LINE].s.given); /* an empty input was not filled in */
    assert_false(v[DAY].s.given);
}

static void null_and_absent_are_not_given(void **state)
{
    (void)state;
    assert_int_equal(read_with(fields_from_json,
                               STR(" { \"text\" : \"abc\" , \"count\" : null , \"colour\" : null, "
                                   "\"point\" : null, \"contact\" : {} } \n"),
                               LANG_RU),
                     OTK_OK);
    assert_string_equal(named_errors(), "");
    for (int i = LINE; i < ROWS; i++) {
        assert_false(got.values[i].s.given);
    }
}

static void ends_of_line_are_one_character(void **state)
{
    (void)state;
    /* Ten characters as a browser counts them and as a program sends them. */
    assert_int_equal(read_with(fields_from_form, STR("text=ab%0D%0Acd%0D%0Aef%0D%0Ag"), LANG_RU),
                     OTK_OK);
    assert_string_equal(named_errors(), "");
    assert_string_equal(got.values[TEXT].s.text.p, "ab\ncd\nef\ng");
    assert_int_equal(read_with(fields_from_json, STR("{\"text\":\"ab\\r\\ncd\\re\\n\\rg\"}"),
                               LANG_RU),
                     OTK_OK);
    assert_string_equal(named_errors(), "");
    assert_string_equal(got.values[TEXT].s.text.p, "ab\ncd\ne\n\ng");
}

/* ---- what is wrong with members */

static void every_wrong_member_is_named(void **state)
{
    (void)state;
    static const struct errors_case cases[] = {
        { "{}", "text:required" },
        { "{\"text\":null}", "text:required" },
        { "{\"text\":\"\"}", "text:too_short" },
        { "{\"text\":\"  ab\\t \"}", "text:too_short" },
        { "{\"text\":\"\xc2\xa0\xef\xbb\xbf\xc2\xa0 ab\"}", "text:too_short" },
        { "{\"text\":\"ёёё\"}", "" },
        { "{\"text\":\"ёёёёёёёёёё\"}", "" },
        { "{\"text\":\"ёёёёёёёёёёё\"}", "text:too_long" },
        { "{\"text\":\"a\\u0007bc\"}", "text:characters" },
        { "{\"text\":\"a\\u007fbc\"}", "text:characters" },
        { "{\"text\":\"a\xc2\x85"
          "bc\"}",
          "text:characters" },
        { "{\"text\":\"a\\r\\n\\tbc\"}", "" },
        { "{\"text\":\"abc\",\"line\":\"a\\tb\"}", "line:characters" },
        { "{\"text\":\"abc\",\"line\":\"a\\nb\"}", "line:characters" },
        { "{\"text\":5}", "text:type" },
        { "{\"text\":true}", "text:type" },
        { "{\"text\":[\"abc\"]}", "text:type" },
        { "{\"text\":{\"text\":\"abc\"}}", "text:type" },
        { "{\"text\":\"abc\",\"count\":\"5\"}", "count:type" },
        { "{\"text\":\"abc\",\"count\":5.0}", "count:type" },
        { "{\"text\":\"abc\",\"count\":1e1}", "count:type" },
        { "{\"text\":\"abc\",\"count\":0}", "count:out_of_range" },
        { "{\"text\":\"abc\",\"count\":101}", "count:out_of_range" },
        { "{\"text\":\"abc\",\"count\":99999999999999999999}", "count:out_of_range" },
        { "{\"text\":\"abc\",\"big\":9223372036854775807}", "" },
        { "{\"text\":\"abc\",\"big\":9223372036854775808}", "big:out_of_range" },
        { "{\"text\":\"abc\",\"free\":1e400}", "free:out_of_range" },
        { "{\"text\":\"abc\",\"free\":-1e400}", "free:out_of_range" },
        { "{\"text\":\"abc\",\"colour\":\"Red\"}", "colour:not_an_option" },
        { "{\"text\":\"abc\",\"colour\":\"\"}", "colour:not_an_option" },
        { "{\"text\":\"abc\",\"colour\":1}", "colour:type" },
        { "{\"text\":\"abc\",\"point\":5}", "point:type" },
        { "{\"text\":\"abc\",\"point\":\"54,32\"}", "point:type" },
        { "{\"text\":\"abc\",\"point\":[54,32]}", "point:type" },
        { "{\"text\":\"abc\",\"point\":false}", "point:type" },
        { "{\"text\":\"abc\",\"point\":{}}", "" },
        { "{\"text\":\"abc\",\"point\":{\"lat\":1}}", "point.lon:together" },
        { "{\"text\":\"abc\",\"point\":{\"lon\":1,\"lat\":null}}", "point.lat:together" },
        { "{\"text\":\"abc\",\"point\":{\"lon\":1,\"lat\":91}}", "point.lat:out_of_range" },
        { "{\"text\":\"abc\",\"point\":{\"lon\":1,\"lat\":2,\"x\":3}}", "point.x:unknown" },
        { "{\"text\":\"abc\",\"point.lat\":1,\"point.lon\":1}",
          "point.lat:unknown point.lon:unknown" },
        { "{\"text\":\"abc\",\"a\":{\"b.c\":\"x\"}}", "a.b.c:unknown" },
        { "{\"text\":\"abc\",\"a\":{\"b\":\"x\"}}", "a.b:type" },
        { "{\"text\":\"abc\",\"lat\":1}", "lat:unknown" },
        { "{\"text\":\"abc\",\"\":1}", ":unknown" },
        { "{\"text\":\"abc\",\"poin\":1,\"points\":{\"lat\":2}}", "poin:unknown points:unknown" },
        { "{\"x\":{\"text\":\"no\",\"y\":[{\"text\":1}]},\"text\":\"abc\"}", "x:unknown" },
        { "{\"x\":[[],{\"text\":1},[\"text\"]],\"text\":\"abc\"}", "x:unknown" },
        { "{\"text\":\"abc\",\"point\":{\"x\":[1],\"lat\":1,\"lon\":2},\"count\":5}",
          "point.x:unknown" },
        { "{\"text\":\"abc\",\"point\":{\"lat\":1,\"x\":{\"lon\":9}},\"count\":500}",
          "point.x:unknown count:out_of_range point.lon:together" },
    };
    expect_errors(fields_from_json, cases, sizeof cases / sizeof *cases);
}

static void a_member_given_twice_has_no_value(void **state)
{
    (void)state;
    static const struct errors_case cases[] = {
        { "{\"text\":\"abc\",\"text\":\"abc\"}", "text:duplicate" },
        { "{\"text\":null,\"text\":\"abc\"}", "text:duplicate" },
        { "{\"text\":\"abc\",\"text\":null}", "text:duplicate" },
        { "{\"text\":\"abc\",\"text\":1,\"text\":[]}", "text:duplicate" },
        { "{\"text\":1,\"text\":\"abc\"}", "text:type" },
        { "{\"text\":\"abc\",\"\\u0074ext\":\"abc\"}", "text:duplicate" },
        { "{\"text\":\"abc\",\"point\":{\"lat\":1,\"lat\":1,\"lon\":1}}", "point.lat:duplicate" },
        { "{\"text\":\"abc\",\"point\":{\"lat\":1,\"lon\":1},\"point\":{\"lat\":1,\"lon\":1}}",
          "point:duplicate" },
        { "{\"text\":\"abc\",\"point\":{},\"point\":{}}", "point:duplicate" },
        { "{\"text\":\"abc\",\"point\":null,\"point\":null}", "point:duplicate" },
        { "{\"text\":\"abc\",\"a\":{\"b\":{},\"b\":{\"c\":\"x\"}}}", "a.b:duplicate" },
    };
    expect_errors(fields_from_json, cases, sizeof cases / sizeof *cases);
    read_with(fields_from_json, STR("{\"text\":\"abc\",\"text\":\"abd\"}"), LANG_RU);
    assert_false(got.values[TEXT].s.given);
}

static void every_wrong_input_of_a_form_is_named(void **state)
{
    (void)state;
    static const struct errors_case cases[] = {
        { "", "text:required" },
        { "text=", "text:required" },
        { "text=+++%0D%0A", "text:required" },
        { "text=ab", "text:too_short" },
        { "text=abc&text=abc", "text:duplicate" },
        { "text=&text=abc", "text:duplicate" },
        { "text=abc&tex%74=abc", "text:duplicate" },
        { "text=abc&unknown=1&=x&%D1%8F", "unknown:unknown :unknown я:unknown" },
        { "text=abc&point=1", "point:unknown" },
        { "text=abc&point.lat=1", "point.lon:together" },
        { "text=abc&point.lat=1&point.lon=", "point.lon:together" },
        { "text=abc&point.lat=north&point.lon=1", "point.lat:type" },
        { "text=abc&free=1e5", "free:type" },
        { "text=abc&free=nan", "free:type" },
        { "text=abc&free=inf", "free:type" },
        { "text=abc&free=0x10", "free:type" },
        { "text=abc&free=1.2.3", "free:type" },
        { "text=abc&free=.", "free:type" },
        { "text=abc&free=-", "free:type" },
        { "text=abc&count=1.0", "count:type" },
        { "text=abc&count=--1", "count:type" },
        { "text=abc&count=1+2", "count:type" },
        { "text=abc&big=00000000000000000000000000000000000000000000000000000000000000001",
          "big:type" }, /* more than 64 digits is no number of ours */
        { "text=abc&colour=blue", "colour:not_an_option" },
        { "text=a=b", "" },
    };
    expect_errors(fields_from_form, cases, sizeof cases / sizeof *cases);
}

static void addresses_telephones_and_days_have_a_form(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        int good;
    } cases[] = {
        { "email", "a@b.ru", 1 },
        { "email", "ivan.petrov+roads@mail.example.org", 1 },
        { "email", "почта@пример.рф", 1 },
        { "email", "a@xn--e1afmkfd.xn--p1ai", 1 },
        { "email", "ab.ru", 0 },
        { "email", "@b.ru", 0 },
        { "email", "a@", 0 },
        { "email", "a@b", 0 },
        { "email", "a@b.", 0 },
        { "email", "a@.b.ru", 0 },
        { "email", "a@b..ru", 0 },
        { "email", "a@-b.ru", 0 },
        { "email", "a@b-.ru", 0 },
        { "email", "a@b.ru-", 0 },
        { "email", "a@b@c.ru", 0 },
        { "email", "a b@c.ru", 0 },
        { "email", "a@b.ru,c@d.ru", 0 },
        { "email", "<a@b.ru>", 0 },
        { "email", "a@b_c.ru", 0 },
        { "phone", "12345", 1 },
        { "phone", "+7(4812)38-00-00", 1 },
        { "phone", "8 800 555 35 35", 1 },
        { "phone", "12345678901234567890", 1 },
        { "phone", "123456789012345678901", 0 },
        { "phone", "1234", 0 },
        { "phone", "7+1234567", 0 },
        { "phone", "+7 call me", 0 },
        { "day", "2026-11-25", 1 },
        { "day", "2000-02-29", 1 },
        { "day", "1900-02-29", 0 },
        { "day", "2023-02-29", 0 },
        { "day", "2026-04-31", 0 },
        { "day", "2026-13-01", 0 },
        { "day", "2026-00-01", 0 },
        { "day", "2026-01-00", 0 },
        { "day", "0000-01-01", 0 },
        { "day", "2026-1-1", 0 },
        { "day", "20260101", 0 },
        { "day", "2026-01-01T00:00", 0 },
        { "day", "2026/01/01", 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[256], expected[64] = "";
        int is_day = strcmp(cases[i].name, "day") == 0;
        if (is_day) {
            snprintf(body, sizeof body, "{\"text\":\"abc\",\"day\":\"%s\"}", cases[i].value);
        } else {
            snprintf(body, sizeof body, "{\"text\":\"abc\",\"contact\":{\"%s\":\"%s\"}}",
                     cases[i].name, cases[i].value);
        }
        if (!cases[i].good) {
            snprintf(expected, sizeof expected, "%s%s:form", is_day ? "" : "contact.",
                     cases[i].name);
        }
        expect_errors(fields_from_json, &(struct errors_case){ body, expected }, 1);
    }
}

static void long_addresses_are_refused(void **state)
{
    (void)state;
    char body[512];
    for (int local = 64; local <= 65; local++) {
        snprintf(body, sizeof body, "{\"text\":\"abc\",\"contact\":{\"email\":\"%0*d@b.ru\"}}",
                 local, 0);
        expect_errors(fields_from_json,
                      &(struct errors_case){ body, local == 64 ? "" : "contact.email:form" }, 1);
    }
    snprintf(body, sizeof body, "{\"text\":\"abc\",\"contact\":{\"email\":\"a@%0250d.ru\"}}", 0);
    expect_errors(fields_from_json, &(struct errors_case){ body, "contact.email:form" }, 1);
}

/* ---- what cannot be read at all */

struct broken_case {
    struct str body;
    long at; /* the place the detail must name; -1: any */
};

static void expect_malformed(reader read, const struct broken_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (int lang = 0; lang < LANG_COUNT; lang++) {
            enum otk_err err = read_with(read, cases[i].body, (enum lang)lang);
            char place[64];
            snprintf(place, sizeof place, lang == LANG_RU ? "айт" : "yte");
            if (err != OTK_MALFORMED || strstr(got.detail.p, place) == NULL) {
                fail_msg("case %zu (%.*s) gave %d %s", i, (int)cases[i].body.n, cases[i].body.p,
                         err, got.detail.p == NULL ? "" : got.detail.p);
            }
            snprintf(place, sizeof place, " %ld", cases[i].at);
            const char *found = strstr(got.detail.p, place);
            if (cases[i].at >= 0 &&
                (found == NULL || isdigit((unsigned char)found[strlen(place)]))) {
                fail_msg("case %zu (%.*s): \"%s\" does not name %ld", i, (int)cases[i].body.n,
                         cases[i].body.p, got.detail.p, cases[i].at);
            }
        }
    }
}

static void json_that_is_not_strict_is_malformed(void **state)
{
    (void)state;
    static const struct broken_case cases[] = {
        { STR(""), 0 },
        { STR("   "), -1 },
        { STR("null"), -1 },
        { STR("true"), -1 },
        { STR("5"), -1 },
        { STR("\"text\""), -1 },
        { STR("[]"), -1 },
        { STR("[{\"text\":\"abc\"}]"), -1 },
        { STR("{"), -1 },
        { STR("{\"text\":\"abc\""), -1 },
        { STR("{\"text\":\"abc"), -1 },
        { STR("{\"text\"}"), -1 },
        { STR("{\"text\":}"), -1 },
        { STR("{\"text\":\"abc\",}"), -1 },
        { STR("{,\"text\":\"abc\"}"), -1 },
        { STR("{\"text\":\"abc\"}}"), -1 },
        { STR("{\"text\":\"abc\"}{}"), -1 },
        { STR("{\"text\":\"abc\"} x"), -1 },
        { STR("{\"text\":\"abc\"}/* c */"), -1 },
        { STR("{/* c */\"text\":\"abc\"}"), -1 },
        { STR("{// c\n\"text\":\"abc\"}"), -1 },
        { STR("{'text':'abc'}"), -1 },
        { STR("{text:\"abc\"}"), -1 },
        { STR("{\"text\":abc}"), -1 },
        { STR("{\"text\":\"a\tbc\"}"), -1 },
        { STR("{\"text\":\"a\nbc\"}"), -1 },
        { STR("{\"text\":\"a\\x62c\"}"), -1 },
        { STR("{\"text\":\"\\u12\"}"), -1 },
        { STR("{\"count\":01}"), -1 },
        { STR("{\"count\":+1}"), -1 },
        { STR("{\"count\":1.}"), -1 },
        { STR("{\"count\":.5}"), -1 },
        { STR("{\"count\":1e}"), -1 },
        { STR("{\"count\":-}"), -1 },
        { STR("{\"count\":NaN}"), -1 },
        { STR("{\"count\":Infinity}"), -1 },
        { STR("{\"count\":0x10}"), -1 },
        { STR("\xef\xbb\xbf{\"text\":\"abc\"}"), -1 },
        { STR("{\"text\":\"a\0c\"}"), 10 },
        { STR("{\"text\":\"abc\"}\0"), 14 },
        { STR("{\"text\":\"a\\u0000c\"}"), 10 },
        { STR("{\"text\":\"\\ud800\"}"), 9 },
        { STR("{\"text\":\"\\udc00\"}"), 9 },
        { STR("{\"text\":\"\\ud800\\ud800\"}"), 9 },
        { STR("{\"text\":\"\\ud800\\u0041\"}"), 9 },
        { STR("{\"text\":\"\\ud83d\\ude00\\ude00\"}"), 21 },
        { STR("{\"text\":\"\\ud800x\"}"), 9 },
        { STR("{\"\\u0000\":1}"), 2 },
        { STR("{\"\\ud800\":1}"), 2 },
        { STR("{\"text\":\"\\ud800"), 9 },
        { STR("{\"text\":\"a\xff\"}"), 10 },
        { STR("{\"text\":\"\xc0\xaf\"}"), 9 },
        { STR("{\"\xed\xa0\x80\":1}"), 2 },
        { STR("\xd0"), 0 },
    };
    expect_malformed(fields_from_json, cases, sizeof cases / sizeof *cases);
}

static void a_backslash_before_an_escape_is_only_a_backslash(void **state)
{
    (void)state;
    static const struct errors_case cases[] = {
        { "{\"text\":\"\\\\u0000\"}", "" },
        { "{\"text\":\"\\\\ud800\"}", "" },
        { "{\"text\":\"ab\\\\\"}", "" },
    };
    expect_errors(fields_from_json, cases, sizeof cases / sizeof *cases);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    for (int depth = 15; depth <= 17; depth++) {
        for (int kind = 0; kind < 2; kind++) {
            char body[256];
            size_t n = (size_t)snprintf(body, sizeof body, "{\"text\":\"abc\",\"x\":");
            for (int i = 1; i < depth; i++) {
                n += (size_t)snprintf(body + n, sizeof body - n, kind ? "[" : "{\"x\":");
            }
            n += (size_t)snprintf(body + n, sizeof body - n, "1");
            for (int i = 1; i < depth; i++) {
                body[n++] = kind ? ']' : '}';
            }
            body[n++] = '}';
            enum otk_err err = read_with(fields_from_json, (struct str){ body, n }, LANG_EN);
            assert_int_equal(err, depth <= 16 ? OTK_OK : OTK_MALFORMED);
            if (depth > 16) {
                assert_non_null(strstr(got.detail.p, "16 levels"));
            } else {
                assert_string_equal(named_errors(), "x:unknown");
            }
        }
    }
}

static void forms_that_cannot_be_decoded_are_malformed(void **state)
{
    (void)state;
    static const struct broken_case cases[] = {
        { STR("text=%"), 0 },      { STR("text=%4"), 0 },          { STR("text=%zz"), 0 },
        { STR("text=%4g"), 0 },    { STR("text=abc&te%xt=1"), 9 }, { STR("text=abc&a&%=1"), 11 },
        { STR("text=%FF"), 0 },    { STR("text=%D0"), 0 },         { STR("text=%ED%A0%80"), 0 },
        { STR("text=a%00c"), 0 },  { STR("text=a\0c"), 0 },        { STR("%00=abc"), 0 },
        { STR("unknown=%00"), 0 }, { STR("text=\xff"), 0 },
    };
    expect_malformed(fields_from_form, cases, sizeof cases / sizeof *cases);
}

/* ---- bounds */

static void the_list_of_errors_is_cut(void **state)
{
    (void)state;
    enum { MEMBERS = 100 };
    char body[MEMBERS * 20];
    size_t n = 0;
    body[n++] = '{';
    for (int i = 0; i < MEMBERS; i++) {
        n += (size_t)snprintf(body + n, sizeof body - n, "%s\"m%d\":[%d]", i > 0 ? "," : "", i, i);
    }
    body[n++] = '}';
    assert_int_equal(read_with(fields_from_json, (struct str){ body, n }, LANG_EN), OTK_OK);
    assert_int_equal(got.errors.n, FIELD_ERRORS_MAX);
    assert_true(str_eq(got.errors.list[31].field, STR("m31")));
}

static void long_names_are_cut_between_characters(void **state)
{
    (void)state;
    char body[2048] = "{\"text\":\"abc\",\"x";
    for (int i = 0; i < 300; i++) {
        strcat(body, "ё");
    }
    strcat(body, "\":1}");
    assert_int_equal(read_with(fields_from_json, str_of(body), LANG_EN), OTK_OK);
    assert_int_equal(got.errors.n, 1);
    assert_int_equal(got.errors.list[0].field.n, 63); /* x and 31 letters: 64 would halve one */
    assert_true(utf8_valid(got.errors.list[0].field, &(size_t){ 0 }));
}

static double seconds_of(reader read, struct str body, enum otk_err expected)
{
    struct timespec a, b;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    assert_int_equal(read_with(read, body, LANG_RU), expected);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

/* A body of BYTES made of PIECE between HEAD and TAIL. */
static struct str repeated(const char *head, const char *piece, const char *tail, size_t bytes)
{
    size_t length = strlen(piece), n = strlen(head), end = strlen(tail);
    char *p = malloc(bytes);
    assert_non_null(p);
    memcpy(p, head, n);
    while (n + length + end <= bytes) {
        memcpy(p + n, piece, length);
        n += length;
    }
    memcpy(p + n, tail, end);
    return (struct str){ p, n + end };
}

/* The most expensive bodies of the full size: they stay within the memory of a request, and cost
 * time by their length and not by its square (which would be minutes). */
static void hostile_bodies_cost_little(void **state)
{
    (void)state;
    enum { BYTES = 2 * 1024 * 1024 };
    static const struct {
        reader read;
        const char *head, *piece, *tail;
        enum otk_err expected;
    } cases[] = {
        { fields_from_json, "{\"text\":\"abc\"", ",\"x\":1", "}", OTK_OK },
        { fields_from_json, "{\"text\":\"abc\"", ",\"text\":\"abd\"", "}", OTK_OK },
        { fields_from_json, "{\"text\":\"abc\"", ",\"point\":{}", "}", OTK_OK },
        { fields_from_json, "{\"x\":[1", ",[]", "]}", OTK_OK },
        { fields_from_json, "", "[", "", OTK_MALFORMED },
        { fields_from_json, "", "{\"a\":", "", OTK_MALFORMED },
        { fields_from_json, "{\"text\":\"", "\\u0451", "\"}", OTK_OK },
        { fields_from_json, "{\"text\":\"", "\\ud83d\\ude00", "\"}", OTK_OK },
        { fields_from_json, "{\"", "y", "\":1}", OTK_OK },
        { fields_from_json, "{\"free\":1", "0", "}", OTK_OK },
        { fields_from_json, "", " ", "", OTK_MALFORMED },
        { fields_from_form, "text=abc", "&", "", OTK_OK },
        { fields_from_form, "text=abc", "&a", "", OTK_OK },
        { fields_from_form, "text=abc", "&=", "", OTK_OK },
        { fields_from_form, "text=abc", "&text=", "", OTK_OK },
        { fields_from_form, "text=", "%D1%91", "", OTK_OK },
        { fields_from_form, "text=", "+", "", OTK_OK },
        { fields_from_form, "", "x", "", OTK_OK },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str body = repeated(cases[i].head, cases[i].piece, cases[i].tail, BYTES);
        double seconds = seconds_of(cases[i].read, body, cases[i].expected);
        free((char *)body.p);
        if (seconds > 2) { /* some ten ms; sanitizers and busy machines are slower */
            fail_msg("2 MB of %s took %.1f s", cases[i].piece, seconds);
        }
    }
}

/* Whatever the memory, the answer is the right one or "out of memory", never something between. */
static void every_lack_of_memory_is_told(void **state)
{
    (void)state;
    static const struct {
        reader read;
        struct str body;
        enum otk_err err;
    } cases[] = {
        { fields_from_json,
          STR("{\"text\":\"abc\\r\\n\",\"point\":{\"lat\":1,\"lon\":2},\"count\":5,"
              "\"contact\":{\"email\":\"a@b.ru\"},\"unknown\":1}"),
          OTK_OK },
        { fields_from_json, STR("{\"text\":\"\\ud800\"}"), OTK_MALFORMED },
        { fields_from_json, STR("[]"), OTK_MALFORMED },
        { fields_from_form,
          STR("text=abc%0D%0A&point.lat=1&point.lon=2&count=5&contact.email=a%40b.ru&unknown=1"),
          OTK_OK },
        { fields_from_form, STR("text=%"), OTK_MALFORMED },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int failed = 0, succeeded = 0;
        for (size_t limit = 0; limit < 1024; limit++) {
            struct arena *a = arena_new(limit);
            assert_non_null(a);
            union value values[ROWS] = { 0 };
            struct field_errors errors = { 0 };
            struct str detail = STR("");
            enum otk_err err =
                cases[i].read(a, table, cases[i].body, values, &errors, &detail, LANG_RU);
            if (err != OTK_INTERNAL) {
                assert_int_equal(err, cases[i].err);
                assert_true(err == OTK_OK ? errors.n == 1 : detail.n > 0);
            }
            failed += err == OTK_INTERNAL;
            succeeded += err != OTK_INTERNAL;
            arena_free(a);
        }
        assert_true(failed > 0 && succeeded > 0);
    }
}

/* ---- texts */

static void errors_are_sentences_in_both_languages(void **state)
{
    (void)state;
    struct arena *a = arena_new(ARENA_BYTES);
    assert_non_null(a);
    for (int code = 0; code < FE_COUNT; code++) {
        assert_non_null(field_code_name((enum field_code)code));
        for (int other = 0; other < code; other++) {
            assert_string_not_equal(field_code_name((enum field_code)other),
                                    field_code_name((enum field_code)code));
        }
        for (int lang = 0; lang < LANG_COUNT; lang++) {
            struct field_error e = { STR("x"), (enum field_code)code, 10 };
            struct str s = field_error_text(a, &e, (enum lang)lang);
            assert_non_null(s.p);
            assert_true(s.n > 5 && s.p[s.n - 1] == '.' && memchr(s.p, '%', s.n) == NULL);
        }
    }
    static const struct {
        enum field_code code;
        double bound;
        enum lang lang;
        const char *part;
    } cases[] = {
        { FE_TOO_SHORT, 10, LANG_RU, "не меньше 10 знаков." },
        { FE_TOO_SHORT, 1, LANG_RU, "не меньше 1 знака." },
        { FE_TOO_LONG, 21, LANG_RU, "не больше 21 знака." },
        { FE_TOO_LONG, 11, LANG_RU, "не больше 11 знаков." },
        { FE_TOO_LONG, 10000, LANG_EN, "at most 10000 characters." },
        { FE_TOO_SHORT, 1, LANG_EN, "at least 1 character." },
        { FE_OUT_OF_RANGE, -90, LANG_RU, "-90." },
        { FE_OUT_OF_RANGE, 0.5, LANG_EN, "0.5." },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct field_error e = { STR("x"), cases[i].code, cases[i].bound };
        struct str s = field_error_text(a, &e, cases[i].lang);
        if (strstr(s.p, cases[i].part) == NULL) {
            fail_msg("\"%s\" lacks \"%s\"", s.p, cases[i].part);
        }
    }
    arena_free(a);
    assert_null(
        field_error_text(a = arena_new(4), &(struct field_error){ STR("x"), FE_FORM, 0 }, LANG_RU)
            .p);
    arena_free(a);
}

static void the_broken_bound_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        double bound;
    } cases[] = {
        { "{\"text\":\"ab\"}", 3 },
        { "{\"text\":\"abcdefghijk\"}", 10 },
        { "{\"text\":\"abc\",\"count\":0}", 1 },
        { "{\"text\":\"abc\",\"count\":1000}", 100 },
        { "{\"text\":\"abc\",\"big\":-9999999999999999999}", (double)INT64_MIN },
        { "{\"text\":\"abc\",\"free\":-1e999}", -DBL_MAX },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_with(fields_from_json, str_of(cases[i].body), LANG_RU), OTK_OK);
        assert_int_equal(got.errors.n, 1);
        if (got.errors.list[0].bound != cases[i].bound) {
            fail_msg("%s: bound %g", cases[i].body, got.errors.list[0].bound);
        }
    }
}

/* ---- UTF-8 */

/* RFC 3629 by arithmetic: decode, and ask whether this is the shortest form of a character. */
static int is_character(const unsigned char *p, size_t n)
{
    static const uint32_t least[] = { 0, 1, 0x80, 0x800, 0x10000 };
    static const unsigned char mark[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    static const unsigned char mask[] = { 0, 0x80, 0xe0, 0xf0, 0xf8 };
    if ((p[0] & mask[n]) != mark[n]) {
        return 0;
    }
    uint32_t c = p[0] & (unsigned char)~mask[n];
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        c = c << 6 | (p[i] & 0x3f);
    }
    return c >= least[n] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

static void utf8_is_what_rfc_3629_says(void **state)
{
    (void)state;
    unsigned char p[4];
    size_t at;
    /* All sequences of one to three bytes; of four, all beginnings with edges at the end. */
    for (uint32_t i = 0; i < 0x1000000; i++) {
        p[0] = (unsigned char)(i >> 16);
        p[1] = (unsigned char)(i >> 8);
        p[2] = (unsigned char)i;
        static const unsigned char last[] = { 0x7f, 0x80, 0xbf, 0xc0 };
        p[3] = last[i & 3];
        int one = is_character(p, 1), two = is_character(p, 2), three = is_character(p, 3);
        int valid3 =
            three || (two && is_character(p + 2, 1)) ||
            (one && (is_character(p + 1, 2) || (is_character(p + 1, 1) && is_character(p + 2, 1))));
        if (utf8_valid((struct str){ (char *)p, 3 }, &at) != valid3) {
            fail_msg("%02x %02x %02x", p[0], p[1], p[2]);
        }
        if (p[0] >= 0xf0 && utf8_valid((struct str){ (char *)p, 4 }, &at) != is_character(p, 4)) {
            fail_msg("%02x %02x %02x %02x", p[0], p[1], p[2], p[3]);
        }
    }
    assert_true(utf8_valid((struct str){ NULL, 0 }, &at));
    assert_false(utf8_valid(STR("aё\xff"), &at));
    assert_int_equal(at, 3);
    assert_false(utf8_valid(STR("aё\xd1"), &at)); /* cut off */
    assert_int_equal(at, 3);
}

static void rows_are_found_by_name(void **state)
{
    (void)state;
    assert_int_equal(field_index(table, "point.lon"), LON);
    assert_int_equal(field_index(table, "point"), -1);
    assert_int_equal(field_index(table, ""), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_json_object_fills_its_rows, drop),
        cmocka_unit_test_teardown(a_form_fills_the_same_rows, drop),
        cmocka_unit_test_teardown(null_and_absent_are_not_given, drop),
        cmocka_unit_test_teardown(ends_of_line_are_one_character, drop),
        cmocka_unit_test_teardown(every_wrong_member_is_named, drop),
        cmocka_unit_test_teardown(a_member_given_twice_has_no_value, drop),
        cmocka_unit_test_teardown(every_wrong_input_of_a_form_is_named, drop),
        cmocka_unit_test_teardown(addresses_telephones_and_days_have_a_form, drop),
        cmocka_unit_test_teardown(long_addresses_are_refused, drop),
        cmocka_unit_test_teardown(json_that_is_not_strict_is_malformed, drop),
        cmocka_unit_test_teardown(a_backslash_before_an_escape_is_only_a_backslash, drop),
        cmocka_unit_test_teardown(depth_is_bounded, drop),
        cmocka_unit_test_teardown(forms_that_cannot_be_decoded_are_malformed, drop),
        cmocka_unit_test_teardown(the_list_of_errors_is_cut, drop),
        cmocka_unit_test_teardown(long_names_are_cut_between_characters, drop),
        cmocka_unit_test_teardown(hostile_bodies_cost_little, drop),
        cmocka_unit_test_teardown(every_lack_of_memory_is_told, drop),
        cmocka_unit_test(errors_are_sentences_in_both_languages),
        cmocka_unit_test_teardown(the_broken_bound_is_told, drop),
        cmocka_unit_test(utf8_is_what_rfc_3629_says),
        cmocka_unit_test(rows_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
