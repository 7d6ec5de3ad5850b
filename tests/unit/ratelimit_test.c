// The items of RateLimit headers are structured fields, whatever the numbers and names are.
// sources: ngx_module/ratelimit.c ngx_module/decimal.c
// libs:
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decimal.h"
#include "ratelimit.h"

static void numbers_are_written_as_printf_does(void **state)
{
    (void)state;
    uint64_t power = 1;
    for (int digits = 1; digits <= DECIMAL_SIZE; digits++, power *= 10) {
        uint64_t numbers[] = { power - 1, power, power + 1, power * 3 / 2, UINT64_MAX / power };
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            char expected[32], *exact = malloc(DECIMAL_SIZE); /* for the sanitizer */
            assert_non_null(exact);
            int n = snprintf(expected, sizeof expected, "%" PRIu64, numbers[i]);
            assert_int_equal(decimal_write(exact, numbers[i]), n);
            assert_memory_equal(exact, expected, (size_t)n);
            free(exact);
        }
    }
}

static void assert_item(const char *name, int64_t quota, int64_t window, const char *expected)
{
    struct ratelimit item;
    assert_true(ratelimit_make(&item, name, strlen(name), quota, window));
    assert_int_equal(item.n, strlen(expected));
    assert_memory_equal(item.text, expected, item.n);
}

static void assert_state(const char *name, int64_t remaining, int64_t reset, const char *expected)
{
    struct ratelimit item;
    char out[RATELIMIT_ITEM_SIZE];
    assert_true(ratelimit_make(&item, name, strlen(name), 1, 1));
    size_t n = (size_t)(ratelimit_put_state(out, &item, remaining, reset) - out);
    assert_int_equal(n, strlen(expected));
    assert_memory_equal(out, expected, n);
}

static void a_policy_says_how_many_in_how_long(void **state)
{
    (void)state;
    assert_item("write", 20, 60, "\"write\";q=20;w=60");
    assert_item("day", 200, 86400, "\"day\";q=200;w=86400");
    assert_item("day", 0, 0, "\"day\";q=0");
    assert_state("write", 19, 1, "\"write\";r=19;t=1");
    assert_state("write", 0, 0, "\"write\";r=0;t=0");
}

static void a_number_out_of_range_becomes_the_nearest(void **state)
{
    (void)state;
    assert_item("x", INT64_MAX, INT64_MAX, "\"x\";q=999999999999999;w=999999999999999");
    assert_item("x", INT64_C(1000000000000000), 1, "\"x\";q=999999999999999;w=1");
    assert_item("x", INT64_C(999999999999999), 1, "\"x\";q=999999999999999;w=1");
    assert_item("x", -1, -1, "\"x\";q=0");
    assert_item("x", INT64_MIN, INT64_MIN, "\"x\";q=0");
    assert_state("x", INT64_MAX, INT64_MIN, "\"x\";r=999999999999999;t=0");
    assert_state("x", -5, INT64_MAX, "\"x\";r=0;t=999999999999999");
}

static void names_are_strings_of_a_structured_field(void **state)
{
    (void)state;
    assert_item("a\"b\\c", 1, 1, "\"a\\\"b\\\\c\";q=1;w=1");
    assert_item(" ~", 1, 1, "\" ~\";q=1;w=1");
    struct ratelimit item;
    char long_name[RATELIMIT_NAME_MAX + 1];
    memset(long_name, '"', sizeof long_name);
    assert_true(ratelimit_make(&item, long_name, RATELIMIT_NAME_MAX, INT64_MAX, INT64_MAX));
    assert_int_equal(item.n, RATELIMIT_ITEM_SIZE);
    assert_int_equal(item.name, 2 * RATELIMIT_NAME_MAX + 2);
    assert_false(ratelimit_make(&item, long_name, sizeof long_name, 1, 1));
    assert_false(ratelimit_make(&item, "", 0, 1, 1));
    for (int c = -128; c < 128; c++) {
        char name[] = { 'a', (char)c, 'b' };
        assert_int_equal(ratelimit_make(&item, name, sizeof name, 1, 1), c >= 0x20 && c <= 0x7e);
    }
}

static void seconds_are_rounded_up(void **state)
{
    (void)state;
    assert_int_equal(ratelimit_seconds(0), 0);
    assert_int_equal(ratelimit_seconds(1), 1);
    assert_int_equal(ratelimit_seconds(1000000000), 1);
    assert_int_equal(ratelimit_seconds(1000000001), 2);
    assert_int_equal(ratelimit_seconds(-1), 0);
    assert_int_equal(ratelimit_seconds(INT64_MIN), 0);
    assert_int_equal(ratelimit_seconds(INT64_MAX), INT64_C(9223372037));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_written_as_printf_does),
        cmocka_unit_test(a_policy_says_how_many_in_how_long),
        cmocka_unit_test(a_number_out_of_range_becomes_the_nearest),
        cmocka_unit_test(names_are_strings_of_a_structured_field),
        cmocka_unit_test(seconds_are_rounded_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
