// What the edge says when it refuses: in the language asked for, escaped, never longer than there
// is room.
// sources: ngx_module/problem.c ngx_module/decimal.c
// libs: -lyajl
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_tree.h>

#include "problem.h"

static enum problem_language asked(const char *header)
{
    return problem_language(header, strlen(header), PROBLEM_RU);
}

static void the_language_liked_best_is_taken(void **state)
{
    (void)state;
    static const char *const english[] = {
        "en",
        "EN",
        "en-GB",
        "en,ru",
        "en-US,en;q=0.9,ru;q=0.8",
        "ru;q=0.5,en;q=0.6",
        "ru;q=0.5 , en ; q=0.501",
        "de,fr,en;q=0.1",
        "ru;q=0,*",
        "ru;q=0, *;q=0.001",
        "en;q=1.000,ru;q=0.999",
        ",,en,,",
        " \t en \t ",
        "ru;q=0.1,*;q=0.9,en;q=0.2",
        "ru;q=2,en;q=0.1",
        "ru;level=1,en;q=0.1",
        "ru q=1,en;q=0.1",
        "ru x=1,en;q=0.1",
    };
    for (size_t i = 0; i < sizeof english / sizeof *english; i++) {
        if (asked(english[i]) != PROBLEM_EN) {
            fail_msg("not English: %s", english[i]);
        }
    }
    static const char *const russian[] = {
        "ru",
        "RU-ru",
        "ru,en",
        "en;q=0.5,ru;q=0.6",
        "en;q=0,ru;q=0.001",
        "uk,be;q=0.9,ru;q=0.1",
        "en;q=0,*",
        "ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7",
    };
    for (size_t i = 0; i < sizeof russian / sizeof *russian; i++) {
        if (problem_language(russian[i], strlen(russian[i]), PROBLEM_EN) != PROBLEM_RU) {
            fail_msg("not Russian: %s", russian[i]);
        }
    }
}

static void who_likes_neither_gets_the_default(void **state)
{
    (void)state;
    static const char *const neither[] = {
        "",         "*",    "de",    "eng",    "rus",      "e",
        "r,e",      ",",    ";",     ";q=1",   "en;q=0",   "en;q=0,ru;q=0",
        "en;q=",    "en;q", "en;",   "en;q=x", "en;q=1.1", "en;q=0.1234",
        "en;q=-1",  "-en",  "*;q=0", "en_US",  "=en",      "de;q=0.5,*;q=0.1",
        "\xff\xfe",
    };
    for (size_t i = 0; i < sizeof neither / sizeof *neither; i++) {
        for (int otherwise = 0; otherwise < PROBLEM_LANGUAGES; otherwise++) {
            if ((int)problem_language(neither[i], strlen(neither[i]),
                                      (enum problem_language)otherwise) != otherwise) {
                fail_msg("%s has a language", neither[i]);
            }
        }
    }
    assert_int_equal(problem_language(NULL, 0, PROBLEM_EN), PROBLEM_EN);
    assert_int_equal(problem_language("en", 1, PROBLEM_RU), PROBLEM_RU);
}

static void odd_headers_harm_nobody(void **state)
{
    (void)state;
    static const char letters[] = "ruen-*;q=01.,, \t\xd0";
    srand(4);
    for (int i = 0; i < 200000; i++) {
        size_t n = (size_t)rand() % 40;
        char *header = malloc(n + 1); /* of just that size, for the sanitizer */
        assert_non_null(header);
        for (size_t j = 0; j < n; j++) {
            header[j] = letters[(size_t)rand() % (sizeof letters - 1)];
        }
        char *exact = realloc(header, n == 0 ? 1 : n);
        assert_non_null(exact);
        assert_in_range(problem_language(exact, n, PROBLEM_RU), 0, PROBLEM_LANGUAGES - 1);
        free(exact);
    }
    /* More languages than are told apart by their order. */
    char many[8000] = "";
    for (int i = 0; i < 1200; i++) {
        memcpy(many + 3 * i, "de,", 3);
    }
    memcpy(many + 3600, "en;q=0.5,ru;q=0.4", 18);
    assert_int_equal(asked(many), PROBLEM_EN);
}

static yajl_val parsed(const char *body, size_t n)
{
    char text[PROBLEM_SIZE + 1], error[200] = "";
    memcpy(text, body, n);
    text[n] = '\0';
    yajl_val tree = yajl_tree_parse(text, error, sizeof error);
    if (tree == NULL) {
        fail_msg("%s: %s", error, text);
    }
    return tree;
}

static const char *text_of(yajl_val tree, const char *name)
{
    const char *path[] = { name, NULL };
    return YAJL_GET_STRING(yajl_tree_get(tree, path, yajl_t_string));
}

static long long number_of(yajl_val tree, const char *name)
{
    const char *path[] = { name, NULL };
    yajl_val value = yajl_tree_get(tree, path, yajl_t_number);
    return value == NULL ? -1 : YAJL_GET_INTEGER(value);
}

static void every_status_and_reason_has_a_body(void **state)
{
    (void)state;
    for (int status = 400; status < 600; status++) {
        for (int reason = 0; reason < PROBLEM_REASONS; reason++) {
            char *titles[PROBLEM_LANGUAGES] = { NULL, NULL };
            for (int language = 0; language < PROBLEM_LANGUAGES; language++) {
                struct problem problem = { .status = status,
                                           .reason = (enum problem_reason)reason,
                                           .language = (enum problem_language)language };
                char body[PROBLEM_SIZE];
                size_t n = problem_write(body, sizeof body, &problem);
                assert_in_range(n, 50, 1000);
                yajl_val tree = parsed(body, n);
                assert_int_equal(number_of(tree, "status"), status);
                assert_memory_equal(text_of(tree, "type"), "/problems/", 10);
                assert_true(strlen(text_of(tree, "detail")) > 10);
                if (reason == PROBLEM_NO_REASON) {
                    assert_null(text_of(tree, "reason"));
                } else {
                    assert_string_equal(text_of(tree, "reason"),
                                        problem_reason_name((enum problem_reason)reason));
                }
                assert_int_equal(number_of(tree, "retry_after"), -1);
                assert_null(text_of(tree, "instance"));
                titles[language] = strdup(text_of(tree, "title"));
                assert_non_null(titles[language]);
                yajl_tree_free(tree);
            }
            assert_string_not_equal(titles[0], titles[1]);
            free(titles[0]);
            free(titles[1]);
        }
    }
    assert_string_equal(problem_language_tag(PROBLEM_RU), "ru");
    assert_string_equal(problem_language_tag(PROBLEM_EN), "en");
    assert_int_equal(problem_reason_status(PROBLEM_NO_REASON), 0);
    assert_int_equal(problem_reason_status(PROBLEM_RATE_EXCEEDED), 429);
    for (int reason = PROBLEM_MISSING_CREDENTIAL; reason <= PROBLEM_EXPIRED_KEY; reason++) {
        assert_int_equal(problem_reason_status((enum problem_reason)reason), 401);
    }
}

/* The longest: all policies, names as long as they may be. */
static struct problem fullest(char names[LIMITS_PER_DECISION][64])
{
    struct problem problem = { .status = 429,
                               .reason = PROBLEM_RATE_EXCEEDED,
                               .language = PROBLEM_RU,
                               .request_id = { "017f22e2-79b0-7000-bfff-ffffffffffff", 36 },
                               .retry = INT64_MAX,
                               .npolicies = LIMITS_PER_DECISION };
    for (int i = 0; i < LIMITS_PER_DECISION; i++) {
        memset(names[i], 'a' + i, 64);
        problem.policies[i] = (struct problem_text){ names[i], 64 };
    }
    return problem;
}

static void nothing_is_written_beyond_the_room(void **state)
{
    (void)state;
    char names[LIMITS_PER_DECISION][64], whole[PROBLEM_SIZE];
    struct problem problem = fullest(names);
    size_t n = problem_write(whole, sizeof whole, &problem);
    assert_in_range(n, 600, PROBLEM_SIZE);
    for (size_t size = 0; size <= PROBLEM_SIZE; size++) {
        char *body = malloc(size + 8);
        assert_non_null(body);
        memset(body, '~', size + 8);
        size_t written = problem_write(body, size, &problem);
        assert_int_equal(written, size < n ? 0 : n);
        assert_memory_equal(body + size, "~~~~~~~~", 8);
        if (written > 0) {
            assert_memory_equal(body, whole, n);
        }
        free(body);
    }
}

static void what_it_quotes_is_escaped(void **state)
{
    (void)state;
    /* Every character there is, in names of policies. */
    char names[4][64];
    struct problem problem = { .status = 429, .reason = PROBLEM_RATE_EXCEEDED, .retry = 7 };
    for (int c = 0; c < 128; c++) {
        names[c / 64][c % 64] = (char)c;
    }
    problem.npolicies = 2;
    problem.policies[0] = (struct problem_text){ names[0], 64 };
    problem.policies[1] = (struct problem_text){ names[1], 64 };
    char body[PROBLEM_SIZE];
    size_t n = problem_write(body, sizeof body, &problem);
    assert_true(n > 0);
    for (size_t i = 0; i + 1 < n; i++) {
        assert_true((unsigned char)body[i] >= 0x20 && body[i] != 0x7f);
    }
    yajl_val tree = parsed(body, n);
    assert_int_equal(number_of(tree, "retry_after"), 7);
    const char *path[] = { "violated-policies", NULL };
    yajl_val list = yajl_tree_get(tree, path, yajl_t_array);
    assert_non_null(list);
    assert_int_equal(YAJL_GET_ARRAY(list)->len, 2);
    assert_memory_equal(YAJL_GET_STRING(YAJL_GET_ARRAY(list)->values[0]), names[0], 64);
    assert_memory_equal(YAJL_GET_STRING(YAJL_GET_ARRAY(list)->values[1]), names[1], 64);
    yajl_tree_free(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_language_liked_best_is_taken),
        cmocka_unit_test(who_likes_neither_gets_the_default),
        cmocka_unit_test(odd_headers_harm_nobody),
        cmocka_unit_test(every_status_and_reason_has_a_body),
        cmocka_unit_test(nothing_is_written_beyond_the_room),
        cmocka_unit_test(what_it_quotes_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
