// sources: services/intake/relevance.c
// libs:
/* Chatter and appeals are told apart; in doubt it is an appeal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "relevance.h"

static const struct {
    const char *text, *reason; /* NULL: into the register */
} rows[] = {
    { "", "no_text" },
    { "+", "no_words" },
    { "4", "no_words" },
    { "👍🔥", "no_words" },
    { "???", "no_words" },
    { "https://example.org/не-горит?a=b", "link_only" },
    { "@city_admin", "link_only" },
    { "[id5|Анна Петрова]", "link_only" },
    { "/start", "command" },
    { "/report@city_bot", "command" },
    { "Здравствуйте!", "greeting" },
    { "Доброго времени суток", "greeting" },
    { "ДОБРЫЙ ДЕНЬ ВСЕМ", "greeting" },
    { "hello there", "greeting" },
    { "Спасибо!", "thanks" },
    { "Спасибо большое, молодцы", "thanks" },
    { "[id5|Анна], спасибо большое", "thanks" },
    { "С праздником, дорогие земляки!", "thanks" },
    { "Как красиво у нас", "thanks" },
    { "Ок", "too_short" },
    { "Согласна полностью", "too_short" },

    { "Яма", NULL },
    { "МУСОР!!!", NULL },
    { "Почему?", NULL },
    { "Ёлку поставьте пожалуйста на площади", NULL },
    { "Не горит фонарь", NULL },
    { "/report Не горит фонарь", NULL },
    { "Здравствуйте. Повреждения покрытия проезжей части. Спасибо.", NULL },
    { "Спасибо, а когда сделаете дорогу?", NULL },
    { "Спасибо за ремонт, но снова протекает", NULL },
    { "Спасибо, что три года ничего во дворах", NULL },
    { "https://example.org/photo.jpg не горит", NULL },
    { "[id5|Анна], уберите снег", NULL },
    { "Please fix it", NULL },
    { "Лесная, дом 5, второй подъезд", NULL },
};

static void each_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *reason = relevance_reason(str_of(rows[i].text));
        if (reason == NULL ? rows[i].reason != NULL
                           : rows[i].reason == NULL || strcmp(reason, rows[i].reason) != 0) {
            fail_msg("\"%s\": %s", rows[i].text, reason == NULL ? "an appeal" : reason);
        }
    }
}

/* Texts are cut anywhere here: nothing behind the end may be read. */
static void every_beginning_of_a_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = strlen(rows[i].text);
        for (size_t k = 0; k <= n; k++) {
            const char *reason = relevance_reason((struct str){ rows[i].text, k });
            assert_true((k == 0) == (reason != NULL && strcmp(reason, "no_text") == 0));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_text),
        cmocka_unit_test(every_beginning_of_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
