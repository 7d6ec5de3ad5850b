// sources: services/otklik/text.c services/otklik/names.c services/otklik/state.c
// sources: services/otklik/latency.c services/otklik/jsonl.c services/otklik/cli.c
// libs: -lcrypto -lyajl -lz -lm

/* What a replay and the imports are made of: names, codes, lines, the state of lines done,
 * percentiles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../services/otklik/jsonl.h"
#include "../../services/otklik/latency.h"
#include "../../services/otklik/names.h"
#include "../../services/otklik/state.h"
#include "../../services/otklik/text.h"

static char path[] = "/tmp/replay-parts-XXXXXX";

static int setup(void **data)
{
    int fd = mkstemp(path);
    (void)data;
    return fd < 0 || close(fd) != 0 ? -1 : 0;
}

static int teardown(void **data)
{
    (void)data;
    return unlink(path);
}

static void write_text(const char *text, size_t n)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

/* ---- names */

static void assert_fold(const char *name, const char *wanted)
{
    char out[200];
    text_fold(str_of(name), out, sizeof(out));
    assert_string_equal(out, wanted);
}

static void spellings_of_a_place_are_one(void **data)
{
    (void)data;
    assert_fold("муниципальный округ № 7", "муниципальныйокругn7");
    assert_fold("Муниципальный Округ N7", "муниципальныйокругn7");
    assert_fold("муниципальный округ №77", "муниципальныйокругn77");
    assert_fold("Лахта - Ольгино", "лахтаольгино");
    assert_fold("округ округ Морской", "округморской");
    assert_fold("Морской Морской", "морской");
    assert_fold("Чёрная речка", "чернаяречка");
    assert_fold("ЁЛКИ", "елки");
    assert_fold("", "");
    assert_fold(" - ", "");
    assert_fold("Эмсс\xD0", "эмсс");
}

static void a_name_that_is_too_long_is_cut_at_a_character(void **data)
{
    char out[8];
    (void)data;
    text_fold(str_of("абвгдежз"), out, sizeof(out));
    assert_string_equal(out, "аб");
}

static void white_space_is_tidied(void **data)
{
    static const struct {
        const char *given, *wanted;
    } rows[] = {
        { "  Первый \t округ\n", "Первый округ" },
        { "x", "x" },
        { " ", "" },
        { "", "" },
        { "a  b", "a b" },
    };
    (void)data;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[100];
        snprintf(text, sizeof(text), "%s", rows[i].given);
        assert_int_equal(text_tidy(text, strlen(text)), strlen(rows[i].wanted));
        assert_string_equal(text, rows[i].wanted);
    }
}

static void controls_become_blanks(void **data)
{
    char text[] = "a\x01"
                  "b\x7f\tc\nd\r\x1b";
    (void)data;
    assert_int_equal(text_clean(text, sizeof(text) - 1), 3);
    assert_string_equal(text, "a b \tc\nd\r ");
}

static void codes_are_short_readable_and_different(void **data)
{
    char one[TEXT_CODE], two[TEXT_CODE], empty[TEXT_CODE], longest[TEXT_CODE];
    (void)data;
    text_code(STR("Двор"), STR("Дороги"), STR("Щебёнка, «ямы» и объезд № 5"), one);
    assert_memory_equal(one, "shchebenka-yamy-i-obezd-n-5-", 28);
    assert_int_equal(strlen(one), 36);
    text_code(STR("Улица"), STR("Дороги"), STR("Щебёнка, «ямы» и объезд № 5"), two);
    assert_string_not_equal(one, two);
    text_code(STR(""), STR("Дороги"), STR("???"), empty);
    assert_int_equal(strlen(empty), 8);
    text_code(STR(""), STR(""), STR("щщщщщщщщщщщщщщщщщщщщщщщщщщщщщщщщщщщщщщщщщщщщ"), longest);
    assert_true(strlen(longest) <= 64);
    assert_int_equal(strspn(longest, "abcdefghijklmnopqrstuvwxyz0123456789._-"), strlen(longest));
}

static void a_thousand_names_keep_their_numbers(void **data)
{
    struct names *n = names_new();
    char text[32];
    (void)data;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 1000; i++) {
            int length = snprintf(text, sizeof(text), "имя %zu", i);
            assert_int_equal(names_add(n, (struct str){ text, (size_t)length }), i);
        }
    }
    assert_int_equal(names_count(n), 1000);
    assert_int_equal(names_times(n, 999), 3);
    assert_int_equal(names_find(n, STR("имя 512")), 512);
    assert_true(names_find(n, STR("имя 1000")) == SIZE_MAX);
    assert_int_equal(names_add(n, STR("")), 1000);
    assert_int_equal(names_find(n, (struct str){ NULL, 0 }), 1000);
    names_free(n);
}

/* ---- state */

static void lines_done_survive(void **data)
{
    struct state *s = state_open(path, "one", 1);
    (void)data;
    assert_non_null(s);
    const int64_t lines[] = { 1, 2, 3, 5, 200, 64, 65, 100000 };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        state_mark(s, lines[i]);
        state_mark(s, lines[i]);
    }
    assert_int_equal(state_save(s), 0);
    state_free(s);

    s = state_open(path, "one", 0);
    assert_non_null(s);
    assert_int_equal(state_done(s), 8);
    assert_int_equal(state_contiguous(s), 3);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_true(state_has(s, lines[i]));
    }
    assert_false(state_has(s, 4));
    assert_false(state_has(s, 66));
    assert_false(state_has(s, 100001));
    assert_false(state_has(s, 1000000));
    state_mark(s, 4);
    assert_int_equal(state_contiguous(s), 5);
    state_free(s);

    assert_null(state_open(path, "two", 0));
    s = state_open(path, "two", 1);
    assert_non_null(s);
    assert_int_equal(state_done(s), 0);
    state_free(s);
}

static void a_state_that_makes_no_sense_is_refused(void **data)
{
    static const char *const wrong[] = {
        "",
        "otklik replay 2\none\ndone 1\n",
        "otklik replay 1\none\n",
        "otklik replay 1\none\nwas 1\n",
        "otklik replay 1\none\ndone 0\n",
        "otklik replay 1\none\ndone 5-3\n",
        "otklik replay 1\none\ndone 1-\n",
        "otklik replay 1\none\ndone 1,2\n",
        "otklik replay 1\none\ndone 1-99999999999\n",
    };
    (void)data;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        write_text(wrong[i], strlen(wrong[i]));
        assert_null(state_open(path, "one", 0));
    }
}

/* ---- percentiles */

static void percentiles_are_close(void **data)
{
    struct latency *l = calloc(1, sizeof(*l));
    (void)data;
    assert_non_null(l);
    assert_true(latency_ms(l, 0.5) == 0);
    for (int64_t us = 1; us <= 100000; us++) {
        latency_add(l, us);
    }
    assert_true(latency_ms(l, 0.5) > 49 && latency_ms(l, 0.5) < 52);
    assert_true(latency_ms(l, 0.99) > 98 && latency_ms(l, 0.99) <= 100);
    assert_true(latency_ms(l, 1) == 100);
    latency_add(l, 0);
    latency_add(l, INT64_C(1) << 60);
    assert_int_equal(l->count, 100002);
    free(l);
}

/* ---- lines */

static void lines_come_with_their_numbers(void **data)
{
    static const char text[] =
        "{\"id\":1}\r\n\n  \n{\"id\":\"x\",\"text\":\"т\",\"lat\":59.90,\"photos\":2}";
    struct str line;
    struct record r;
    char why[200];
    (void)data;
    write_text(text, sizeof(text) - 1);
    struct jsonl *j = jsonl_open(path);
    assert_non_null(j);
    assert_int_equal(jsonl_next(j, &line), 1);
    assert_int_equal(jsonl_line(j), 1);
    assert_int_equal(line.n, 8);
    assert_int_equal(jsonl_next(j, &line), 1);
    assert_int_equal(jsonl_line(j), 4);
    assert_int_equal(record_read(&r, line, why, sizeof(why)), 0);
    assert_true(str_eq(r.id, STR("x")));
    assert_true(str_eq(r.lat, STR("59.90")));
    assert_true(r.lon.p == NULL);
    assert_int_equal(r.photos, 2);
    record_free(&r);
    assert_int_equal(jsonl_next(j, &line), 0);
    assert_int_equal(jsonl_next(j, &line), 0);
    jsonl_close(j);
}

static void a_line_may_be_long_but_not_endless(void **data)
{
    size_t n = 9 << 20;
    char *text = malloc(n);
    struct str line;
    (void)data;
    assert_non_null(text);
    memset(text, 'x', n);
    text[1 << 20] = '\n';
    write_text(text, n);
    struct jsonl *j = jsonl_open(path);
    assert_non_null(j);
    assert_int_equal(jsonl_next(j, &line), 1);
    assert_int_equal(line.n, 1 << 20);
    jsonl_close(j);
    text[1 << 20] = 'x';
    write_text(text, n);
    j = jsonl_open(path);
    assert_int_equal(jsonl_next(j, &line), -1);
    jsonl_close(j);
    free(text);
}

/* The end of a shorter line must not be that of the one before. */
static void the_last_line_needs_no_end(void **data)
{
    static const char text[] = "{\"id\":\"a longer line\"}\n{\"id\":2}";
    struct str line;
    (void)data;
    write_text(text, sizeof(text) - 1);
    struct jsonl *j = jsonl_open(path);
    assert_int_equal(jsonl_next(j, &line), 1);
    assert_int_equal(jsonl_next(j, &line), 1);
    assert_true(str_eq(line, STR("{\"id\":2}")));
    assert_int_equal(jsonl_next(j, &line), 0);
    jsonl_close(j);
}

static void a_nul_in_a_line_is_refused(void **data)
{
    static const char text[] = "{\"id\":1,\"text\":\"a\0b\"}\n{\"id\":2}\n";
    struct str line;
    struct record r;
    char why[200];
    (void)data;
    write_text(text, sizeof(text) - 1);
    struct jsonl *j = jsonl_open(path);
    assert_int_equal(jsonl_next(j, &line), 1);
    assert_int_not_equal(record_read(&r, line, why, sizeof(why)), 0);
    record_free(&r);
    assert_int_equal(jsonl_next(j, &line), 1);
    assert_int_equal(jsonl_line(j), 2);
    jsonl_close(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spellings_of_a_place_are_one),
        cmocka_unit_test(a_name_that_is_too_long_is_cut_at_a_character),
        cmocka_unit_test(white_space_is_tidied),
        cmocka_unit_test(controls_become_blanks),
        cmocka_unit_test(codes_are_short_readable_and_different),
        cmocka_unit_test(a_thousand_names_keep_their_numbers),
        cmocka_unit_test(lines_done_survive),
        cmocka_unit_test(a_state_that_makes_no_sense_is_refused),
        cmocka_unit_test(percentiles_are_close),
        cmocka_unit_test(lines_come_with_their_numbers),
        cmocka_unit_test(a_line_may_be_long_but_not_endless),
        cmocka_unit_test(the_last_line_needs_no_end),
        cmocka_unit_test(a_nul_in_a_line_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
