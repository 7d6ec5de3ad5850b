// Small parts every program is made of: memory, JSON strings, array literals, languages, routes.
// sources: services/common/arena.c services/common/json.c services/common/pg_array.c
// sources: services/common/language.c services/common/router.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

#include "arena.h"
#include "db.h"
#include "json.h"
#include "language.h"
#include "router.h"

static void an_arena_aligns_and_keeps_its_limit(void **state)
{
    (void)state;
    struct arena *a = arena_new(64 * 1024);
    assert_non_null(a);
    size_t given = 0;
    for (size_t n = 0; n < 200; n++) {
        char *p = arena_alloc(a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
        memset(p, 0xa5, n);
        given += n;
    }
    assert_null(arena_alloc(a, 64 * 1024));
    assert_null(arena_alloc(a, SIZE_MAX));
    assert_null(arena_alloc(a, SIZE_MAX - 7));
    size_t pieces = 0;
    while (arena_alloc(a, 1000) != NULL) {
        pieces++;
    }
    assert_true(pieces > 30 && given + pieces * 1000 <= 64 * 1024);
    arena_free(a);
    arena_free(NULL);
}

static void an_arena_copies_and_prints(void **state)
{
    (void)state;
    struct arena *a = arena_new(1024);
    assert_non_null(a);
    struct str copy = arena_dup(a, (struct str){ "abcdef", 3 });
    assert_string_equal(copy.p, "abc");
    assert_int_equal(arena_dup(a, (struct str){ NULL, 0 }).n, 0);
    struct str said = arena_printf(a, "%d %s", 42, "письма");
    assert_string_equal(said.p, "42 письма");
    assert_int_equal(said.n, strlen("42 письма"));
    assert_null(arena_printf(a, "%2000d", 1).p);
    arena_free(a);
}

static void json_strings_are_escaped(void **state)
{
    (void)state;
    struct arena *a = arena_new(4096);
    assert_non_null(a);
    struct str s = json_string(a, STR("a\"b\\c\n\t\x01\x7f</ё"));
    assert_true(str_eq(s, STR("\"a\\\"b\\\\c\\n\\t\\u0001\\u007f</ё\"")));
    assert_string_equal(json_string(a, STR("")).p, "\"\"");
    char small[4];
    assert_int_equal(json_escape(STR("ab\x01"), small, sizeof small), 2); /* never half an escape */
    assert_int_equal(json_escape(STR("abcё"), small, sizeof small), 3);   /* nor half a letter */
    assert_int_equal(json_escape(STR("ab😀"), small, sizeof small), 2);
    assert_int_equal(json_escape(STR("ёёё"), small, sizeof small), 4);
    assert_int_equal(json_escape(STR("😀"), small, sizeof small), 4);
    arena_free(a);
}

static void arrays_quote_every_element(void **state)
{
    (void)state;
    struct pg_array a = { 0 };
    for (int round = 0; round < 2; round++) {
        pg_array_begin(&a);
        assert_string_equal(pg_array_end(&a), "{}");
        pg_array_begin(&a);
        pg_array_add(&a, STR("a\"b\\c,{}"));
        pg_array_add_null(&a);
        pg_array_add(&a, STR("NULL"));
        pg_array_add(&a, STR(""));
        assert_string_equal(pg_array_end(&a), "{\"a\\\"b\\\\c,{}\",NULL,\"NULL\",\"\"}");
    }
    pg_array_begin(&a);
    for (int i = 0; i < 10000; i++) {
        pg_array_add(&a, STR("\"\\"));
    }
    assert_int_equal(strlen(pg_array_end(&a)), 10000 * 6 + 9999 + 2);
    pg_array_free(&a);
}

static void the_best_language_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        enum lang lang;
    } cases[] = {
        { "", LANG_RU },
        { "en", LANG_EN },
        { "EN-gb", LANG_EN },
        { "ru, en", LANG_RU },
        { "en, ru", LANG_EN },
        { "ru;q=0.5, en;q=0.8", LANG_EN },
        { "de, fr;q=0.9", LANG_RU },
        { "de, en;q=0.1", LANG_EN },
        { "ru;q=0, *", LANG_EN },
        { "*", LANG_RU },
        { "*;q=0.5, en;q=0.4", LANG_RU },
        { "english", LANG_RU },
        { "en;q=2", LANG_EN },
        { "en;q=oops, ru;q=0.1", LANG_RU },
        { ",,,;;;,en", LANG_EN },
        { "en ; q=0.3 , ru ; q=0.2", LANG_EN },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum lang lang = language_accepted(str_of(cases[i].header), LANG_RU);
        if (lang != cases[i].lang) {
            fail_msg("\"%s\" gave %s", cases[i].header, language_tag(lang));
        }
    }
    assert_int_equal(language_of(STR("en")), LANG_EN);
    assert_int_equal(language_of(STR("EN")), -1);
    assert_int_equal(language_of(STR("")), -1);
}

static void routes_are_found_by_path_and_method(void **state)
{
    (void)state;
    static const struct route routes[] = {
        { .method = METHOD_POST, .path = "/appeals" },
        { .method = METHOD_GET, .path = "/appeals/{number}" },
        { .method = METHOD_POST, .path = "/appeals/{number}/verdict" },
        { .path = NULL },
    };
    static const struct {
        const char *path;
        enum method method;
        enum otk_err err;
        int row;
        const char *arg, *allow;
    } cases[] = {
        { "/appeals", METHOD_POST, OTK_OK, 0, "", NULL },
        { "/appeals", METHOD_GET, OTK_METHOD, 0, "", "POST" },
        { "/appeals/67-1", METHOD_GET, OTK_OK, 1, "67-1", NULL },
        { "/appeals/67-1", METHOD_POST, OTK_METHOD, 0, "", "GET, HEAD" },
        { "/appeals/67-1/verdict", METHOD_POST, OTK_OK, 2, "67-1", NULL },
        { "/appeals/67-1/verdict", METHOD_GET, OTK_METHOD, 0, "", "POST" },
        { "/appeals/", METHOD_GET, OTK_NOT_FOUND, 0, "", NULL },
        { "/appeals//verdict", METHOD_POST, OTK_NOT_FOUND, 0, "", NULL },
        { "/appeals/a/b", METHOD_GET, OTK_NOT_FOUND, 0, "", NULL },
        { "/appealsx", METHOD_POST, OTK_NOT_FOUND, 0, "", NULL },
        { "", METHOD_GET, OTK_NOT_FOUND, 0, "", NULL },
        { "/appeals", (enum method)0, OTK_METHOD, 0, "", "POST" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct request r = { .path = str_of(cases[i].path), .method = cases[i].method };
        const char *allow = NULL;
        enum otk_err err = router_find(routes, &r, &allow);
        if (err != cases[i].err) {
            fail_msg("%s: error %d", cases[i].path, err);
        }
        if (err == OTK_OK) {
            assert_ptr_equal(r.route, &routes[cases[i].row]);
            assert_true(str_eq(r.path_arg, str_of(cases[i].arg)));
        } else if (cases[i].allow != NULL) {
            assert_string_equal(allow, cases[i].allow);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_aligns_and_keeps_its_limit),
        cmocka_unit_test(an_arena_copies_and_prints),
        cmocka_unit_test(json_strings_are_escaped),
        cmocka_unit_test(arrays_quote_every_element),
        cmocka_unit_test(the_best_language_is_found),
        cmocka_unit_test(routes_are_found_by_path_and_method),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
