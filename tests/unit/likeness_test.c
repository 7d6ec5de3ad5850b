/* What is the same text to a reader, and what is another. */
// sources: services/intake/likeness.c services/common/arena.c services/common/ids.c
// libs: -luuid -lcrypto
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "likeness.h"

static struct str digest(struct arena *a, const char *text)
{
    return likeness_of_text(a, str_of(text));
}

static void same_texts_are_the_same(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "Во дворе третий день не горит фонарь, ещё и яма",
        "ВО ДВОРЕ ТРЕТИЙ ДЕНЬ НЕ ГОРИТ ФОНАРЬ, ЕЩЁ И ЯМА",
        "во дворе... третий\n\tдень не горит фонарь - еще и яма!!!",
        "Bo двope тpeтий дeнь нe гopит фoнapь, eщe и ямa", /* Latin B o p e a T */
        "Во\u00a0дворе \u2014 третий день не горит \u00abфонарь\u00bb, ещё и яма \U0001f621",
        "Во\u200bдворе третий день не горит фонарь, ещё\ufeff и я\u0301ма",
        "В0 дв0ре третий день не г0рит ф0нарь, ещё и яма",
    };
    struct arena *a = arena_new(1 << 16);
    struct str first = digest(a, texts[0]);
    assert_int_equal(first.n, 66);
    for (size_t i = 1; i < sizeof texts / sizeof *texts; i++) {
        if (!str_eq(digest(a, texts[i]), first)) {
            fail_msg("not the same: %s", texts[i]);
        }
    }
    arena_free(a);
}

static void other_texts_are_others(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "Во дворе третий день не горит фонарь, ещё и яма",
        "Во дворе третий день не горит фонарь, ещё и ямы",
        "Во дворе четвёртый день не горит фонарь, ещё и яма",
        "Во дворе третий день не горит фонарь, дом 15, ещё и яма",
        "Во дворе третий день не горит фонарь, дом 51, ещё и яма",
        "街灯已经坏了三天了还有一个坑请尽快修理谢谢你们的帮助",
        "街灯已经坏了四天了还有一个坑请尽快修理谢谢你们的帮助",
    };
    struct arena *a = arena_new(1 << 16);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_false(str_eq(digest(a, texts[i]), digest(a, texts[j])));
        }
    }
    arena_free(a);
}

static void short_texts_are_not_compared(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 16);
    assert_null(digest(a, "Спасибо!").p);
    assert_null(digest(a, "").p);
    assert_null(digest(a, "- - - - - - - - - - - - - - - - - - - - - - -").p);
    assert_null(digest(a, "девятнадцатьбуквикс").p);
    assert_non_null(digest(a, "девятнадцатьбуквиксы").p);
    arena_free(a);
}

static void a_resident_is_known_however_it_is_written(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 16);
    struct str none = { NULL, 0 };
    struct str mail = likeness_of_resident(a, 90, STR("Anna@Example.org"), none);
    assert_int_equal(mail.n, 64);
    assert_true(str_eq(mail, likeness_of_resident(a, 90, STR("anna@example.org"), STR("12345"))));
    assert_false(str_eq(mail, likeness_of_resident(a, 67, STR("anna@example.org"), none)));
    struct str phone = likeness_of_resident(a, 90, none, STR("+7 (900) 123-45-67"));
    assert_true(str_eq(phone, likeness_of_resident(a, 90, none, STR("8 900 1234567"))));
    assert_false(str_eq(phone, likeness_of_resident(a, 90, none, STR("8 900 1234568"))));
    assert_null(likeness_of_resident(a, 90, none, none).p);
    arena_free(a);
}

static void memory_that_is_out_is_no_digest(void **state)
{
    (void)state;
    struct arena *a = arena_new(64);
    char text[4096];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct str d = likeness_of_text(a, str_of(text));
    assert_true(d.p == NULL || d.n == 66);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_texts_are_the_same),
        cmocka_unit_test(other_texts_are_others),
        cmocka_unit_test(short_texts_are_not_compared),
        cmocka_unit_test(a_resident_is_known_however_it_is_written),
        cmocka_unit_test(memory_that_is_out_is_no_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
