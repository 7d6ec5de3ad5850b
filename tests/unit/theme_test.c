// sources: services/common/theme.c
// libs:
/* Keywords find the theme of a text: beginnings of words, whatever the case; where two themes weigh
 * the same, none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "../../services/common/theme.h"

enum { RUBBISH = 1, LIGHT = 2, SNOW = 3, ROADS = 4, TREES = 5 };

static const struct theme_words words[] = {
    { RUBBISH, { "мусор\nсвалк\nконтейнер", sizeof("мусор\nсвалк\nконтейнер") - 1 } },
    { LIGHT, { "фонар\nосвещен\nне горит", sizeof("фонар\nосвещен\nне горит") - 1 } },
    { SNOW, { "снег\nсугроб\nналедь\nулиц", sizeof("снег\nсугроб\nналедь\nулиц") - 1 } },
    { ROADS, { "яма\nасфальт\nулиц\nдорог", sizeof("яма\nасфальт\nулиц\nдорог") - 1 } },
    { TREES, { "дерев\nЁлка\nupavshee derevo", sizeof("дерев\nЁлка\nupavshee derevo") - 1 } },
};

static struct theme_index *index_of_words;

static int setup(void **state)
{
    (void)state;
    index_of_words = theme_index_new(words, sizeof(words) / sizeof(words[0]));
    return index_of_words == NULL;
}

static int teardown(void **state)
{
    (void)state;
    theme_index_free(index_of_words);
    return 0;
}

static int32_t find(const char *text)
{
    return theme_find(index_of_words, str_of(text));
}

static void beginnings_of_words(void **state)
{
    (void)state;
    assert_int_equal(find("Не вывозят мусор"), RUBBISH);
    assert_int_equal(find("мусорная площадка"), RUBBISH);
    assert_int_equal(find("замусорили двор"), 0);
    assert_int_equal(find("мусо"), 0);
    assert_int_equal(find("(мусор)"), RUBBISH);
    assert_int_equal(find("двор:мусор,лужи"), RUBBISH);
    assert_int_equal(find("двор2мусор"), 0);
    assert_int_equal(find("мусор"), RUBBISH);
}

static void case_and_yo_do_not_matter(void **state)
{
    (void)state;
    assert_int_equal(find("МУСОР ВО ДВОРЕ"), RUBBISH);
    assert_int_equal(find("сломалась ёлка"), TREES);
    assert_int_equal(find("Сломалась ЁЛКА"), TREES);
    assert_int_equal(find("сломалась елка"), TREES);
    assert_int_equal(find("сломалась е\xCC\x88лка"), TREES); /* е with U+0308 */
    assert_int_equal(find("упавшее д\xCC\x81ерево"), TREES); /* a stress mark inside */
    assert_int_equal(find("UPAVSHEE Derevo"), TREES);
    assert_int_equal(find("му\xC2\xADсор"), RUBBISH); /* soft hyphen */
}

static void decomposed_letters_of_a_mac(void **state)
{
    (void)state;
    struct theme_words line = { 7, { "трамвай\nтроллейбус", sizeof("трамвай\nтроллейбус") - 1 } };
    struct theme_index *x = theme_index_new(&line, 1);
    assert_non_null(x);
    assert_int_equal(theme_find(x, STR("Трамваи\xCC\x86 не идёт")), 7);
    theme_index_free(x);
}

static void several_words_in_a_row(void **state)
{
    (void)state;
    assert_int_equal(find("Лампа не горит"), LIGHT);
    assert_int_equal(find("Лампа НЕ   горит!"), LIGHT);
    assert_int_equal(find("не\nгорит"), LIGHT);
    assert_int_equal(find("Горит, но не ярко"), 0);
    assert_int_equal(find("не всё горит"), 0);
    assert_int_equal(find("горит"), 0);
    assert_int_equal(find("лампа не"), 0);
    assert_int_equal(find("не не горит"), LIGHT);
}

static void heavier_theme_wins_and_a_tie_is_none(void **state)
{
    (void)state;
    assert_int_equal(find("мусор и снег"), RUBBISH);          /* 5 letters against 4 */
    assert_int_equal(find("снег, сугроб, мусор"), SNOW);      /* 4 + 6 against 5 */
    assert_int_equal(find("мусор мусор мусор сугроб"), SNOW); /* once a text: 5 against 6 */
    assert_int_equal(find("фонарь и мусор"), 0);              /* 5 and 5 */
    assert_int_equal(find("на улице"), 0);                    /* shared by two themes */
    assert_int_equal(find("яма на улице"), ROADS);            /* 3 + 4/2 against 4/2 */
}

static void nothing_to_find(void **state)
{
    (void)state;
    assert_int_equal(find(""), 0);
    assert_int_equal(find("   \n\t "), 0);
    assert_int_equal(find("Здравствуйте"), 0);
    assert_int_equal(find("😀😀 !!! — «»"), 0);
    assert_int_equal(theme_find(index_of_words, (struct str){ NULL, 0 }), 0);
    struct theme_index *none = theme_index_new(NULL, 0);
    assert_non_null(none);
    assert_int_equal(theme_find(none, STR("мусор")), 0);
    theme_index_free(none);
    struct theme_words empty = { 1, { "\n \n!!\n", 6 } };
    struct theme_index *x = theme_index_new(&empty, 1);
    assert_non_null(x);
    assert_int_equal(theme_find(x, STR("мусор !!")), 0);
    theme_index_free(x);
}

static void broken_and_endless_texts_do_no_harm(void **state)
{
    (void)state;
    const char *broken[] = { "\xD0", "мусор \xF0\x9F", "\xFF\xFE мусор", "\x80\x80\x80",
                             "\xE2\x82" };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        size_t n = strlen(broken[i]);
        char *copy = malloc(n); /* the sanitizer sees a read beyond it */
        assert_non_null(copy);
        memcpy(copy, broken[i], n);
        theme_find(index_of_words, (struct str){ copy, n });
        free(copy);
    }
    size_t n = 100000;
    char *text = malloc(n + 64);
    assert_non_null(text);
    memset(text, 'x', n);
    strcpy(text + n, " мусор");
    assert_int_equal(theme_find(index_of_words, str_of(text)),
                     0); /* beyond the 10,000th character nobody looks */
    memset(text, ' ', n);
    assert_int_equal(theme_find(index_of_words, str_of(text)), RUBBISH);
    free(text);
}

static void doubled_keyword_counts_once(void **state)
{
    (void)state;
    struct theme_words two[] = { { 1, { "яма\nЯма\nяма", sizeof("яма\nЯма\nяма") - 1 } },
                                 { 2, { "снег", sizeof("снег") - 1 } } };
    struct theme_index *x = theme_index_new(two, 2);
    assert_non_null(x);
    assert_int_equal(theme_find(x, STR("яма и снег")), 2);
    assert_int_equal(theme_find(x, STR("яма")), 1);
    theme_index_free(x);
}

static void letters_of_the_peoples(void **state)
{
    (void)state;
    struct theme_words tatar = { 9, { "чүп\nҗәяүлеләр", sizeof("чүп\nҗәяүлеләр") - 1 } };
    struct theme_index *x = theme_index_new(&tatar, 1);
    assert_non_null(x);
    assert_int_equal(theme_find(x, STR("ЧҮП түгәләр")), 9);
    assert_int_equal(theme_find(x, STR("ҖӘЯҮЛЕЛӘР юлы")), 9);
    theme_index_free(x);
}

/* Not a promise about any machine, a guard against losing a factor of ten: 200 themes of 10
 * keywords, 1,000 characters. */
static void ranking_is_by_weight(void **state)
{
    (void)state;
    struct theme_share best[3];
    /* 5 letters of "мусор", 4 of "снег" and half of "улиц", half of "улиц" */
    assert_int_equal(theme_rank(index_of_words, STR("мусор, снег, улица"), best, 3), 3);
    assert_int_equal(best[0].theme_id, SNOW);
    assert_int_equal(best[1].theme_id, RUBBISH);
    assert_int_equal(best[2].theme_id, ROADS);
    assert_true(best[0].share > 6.0 / 13 - 1e-9 && best[0].share < 6.0 / 13 + 1e-9);
    double sum = best[0].share + best[1].share + best[2].share;
    assert_true(sum > 1 - 1e-9 && sum < 1 + 1e-9);
    assert_int_equal(theme_rank(index_of_words, STR("дорога, мусор, снег, фонарь"), best, 1), 1);
    assert_int_equal(theme_rank(index_of_words, STR("снег, свалка, дерево, фонари, яма"), best, 3),
                     3);
    assert_true(best[0].share >= best[1].share && best[1].share >= best[2].share);
    assert_int_equal(theme_rank(index_of_words, STR("здравствуйте"), best, 3), 0);
    assert_int_equal(theme_rank(index_of_words, STR(""), best, 3), 0);
}

static void a_thousand_characters_are_quick(void **state)
{
    (void)state;
    static const char *const parts[] = { "мусор",   "снег",    "дорог",   "фонар",    "подъезд",
                                         "лифт",    "труб",    "крыш",    "парков",   "автобус",
                                         "останов", "школ",    "врач",    "очеред",   "дерев",
                                         "собак",   "площадк", "тротуар", "светофор", "лужа" };
    enum { THEMES = 200 };
    static char lines[THEMES][1024];
    struct theme_words many[THEMES];
    for (int i = 0; i < THEMES; i++) {
        size_t n = 0;
        for (int k = 0; k < 10; k++) {
            n += (size_t)snprintf(lines[i] + n, sizeof(lines[i]) - n, "%s%s%d\n",
                                  parts[(i + k) % 20], parts[(i * 7 + k) % 20], i % 50);
        }
        many[i] = (struct theme_words){ i + 1, { lines[i], n } };
    }
    struct theme_index *x = theme_index_new(many, THEMES);
    assert_non_null(x);
    char text[4096];
    size_t n = 0, characters = 0;
    for (int i = 0; characters < 1000; i++) {
        int at =
            snprintf(text + n, sizeof(text) - n, "%s%s во ", parts[i % 20], parts[(i * 3) % 20]);
        for (int k = 0; k < at; k++) {
            characters += (text[n + (size_t)k] & 0xC0) != 0x80;
        }
        n += (size_t)at;
    }
    enum { ROUNDS = 2000 };
    struct timespec a, b;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    for (int i = 0; i < ROUNDS; i++) {
        theme_find(x, (struct str){ text, n });
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    double us =
        ((double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3) / ROUNDS;
    fprintf(stderr, "# %.1f us for a text of %zu characters\n", us, characters);
    assert_true(us < 1000);
    theme_index_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beginnings_of_words),
        cmocka_unit_test(case_and_yo_do_not_matter),
        cmocka_unit_test(decomposed_letters_of_a_mac),
        cmocka_unit_test(several_words_in_a_row),
        cmocka_unit_test(heavier_theme_wins_and_a_tie_is_none),
        cmocka_unit_test(nothing_to_find),
        cmocka_unit_test(broken_and_endless_texts_do_no_harm),
        cmocka_unit_test(doubled_keyword_counts_once),
        cmocka_unit_test(letters_of_the_peoples),
        cmocka_unit_test(ranking_is_by_weight),
        cmocka_unit_test(a_thousand_characters_are_quick),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
