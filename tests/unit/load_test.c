// Difficulty follows load: up at once, down slowly, and not at all while it is in between.
// sources: ngx_module/load.c
// libs: -lpthread
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "load.h"

#define SECOND INT64_C(1000000000)

static const struct load_policy policy = { 3, { 0, 50000, 200000 }, 30 * SECOND };

static int64_t now;

/* So many a second for so long; the level at its end. */
static unsigned run(struct load *load, int64_t rate, int64_t seconds)
{
    unsigned level = 0;
    for (int64_t i = 0; i < seconds * 10; i++) {
        for (int64_t k = 0; k < rate / 10; k++) {
            load_count(load);
        }
        now += SECOND / 10;
        level = load_level(load, &policy, now);
    }
    return level;
}

static void begin(struct load *load)
{
    *load = (struct load){ 0 };
    now = 1000 * SECOND;
    assert_int_equal(load_level(load, &policy, now), 0);
}

static void it_rises_at_once(void **state)
{
    (void)state;
    struct load load;
    begin(&load);
    assert_int_equal(run(&load, 40, 60), 0);
    assert_in_range(load_rate(&load), 39000, 41000);
    assert_int_equal(run(&load, 60, 20), 1);
    assert_int_equal(load_last_level(&load), 1);
    assert_int_equal(run(&load, 1000, 2), 2);
    begin(&load);
    assert_int_equal(run(&load, 10000, 1), 2); /* over both marks */
}

static void a_moment_is_smoothed(void **state)
{
    (void)state;
    struct load load;
    begin(&load);
    run(&load, 10, 30);
    for (int i = 0; i < 100; i++) { /* a hundred at once are 25 a second over the window */
        load_count(&load);
    }
    assert_int_equal(run(&load, 10, 5), 0);
}

static void it_falls_slowly(void **state)
{
    (void)state;
    struct load load;
    begin(&load);
    assert_int_equal(run(&load, 1000, 10), 2);
    assert_int_equal(run(&load, 120, 300), 2); /* between 100 and 200: it stays */
    assert_int_equal(run(&load, 80, 25), 2);   /* below the mark, but not yet for 30 s */
    assert_int_equal(run(&load, 150, 5), 2);   /* above it: counting begins anew */
    assert_int_equal(run(&load, 80, 29), 2);
    assert_int_equal(run(&load, 80, 20), 1);
    assert_int_equal(run(&load, 80, 300), 1); /* 80 is above 50: no further */
    assert_int_equal(run(&load, 30, 300), 1); /* and 30 above 25 */
    assert_int_equal(run(&load, 20, 29), 1);
    assert_int_equal(run(&load, 20, 20), 0);
    assert_int_equal(run(&load, 30, 300), 0);
}

static void one_level_at_a_time(void **state)
{
    (void)state;
    struct load load;
    begin(&load);
    assert_int_equal(run(&load, 1000, 10), 2);
    assert_int_equal(run(&load, 0, 35), 2); /* it takes a while to fall below the marks */
    assert_int_equal(run(&load, 0, 25), 1);
    assert_int_equal(run(&load, 0, 31), 0);
}

static void silence_counts(void **state)
{
    (void)state;
    struct load load;
    begin(&load);
    assert_int_equal(run(&load, 1000, 10), 2);
    now += 20 * SECOND;
    assert_int_equal(load_level(&load, &policy, now), 2);
    now += 3600 * SECOND; /* nobody asked for an hour */
    assert_int_equal(load_level(&load, &policy, now), 0);
    assert_in_range(load_rate(&load), 0, 1000);
    assert_int_equal(run(&load, 1000, 10), 2);
}

static void fewer_levels_are_respected(void **state)
{
    (void)state;
    struct load load;
    begin(&load);
    assert_int_equal(run(&load, 1000, 10), 2);
    struct load_policy one = { 1, { 0 }, SECOND };
    assert_int_equal(load_level(&load, &one, now), 0);
    assert_int_equal(load_level(&load, &one, now + SECOND), 0);
    assert_int_equal(load_last_level(&load), 0);
}

static void *count(void *argument)
{
    for (int i = 0; i < 100000; i++) {
        load_count(argument);
        (void)load_level(argument, &policy, 1000 * SECOND + i * (SECOND / 1000));
    }
    return NULL;
}

static void many_count(void **state)
{
    (void)state;
    struct load load;
    begin(&load);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count, &load), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(load.events, 200000);
    assert_in_range(load_rate(&load), 200000, 100000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_rises_at_once), cmocka_unit_test(a_moment_is_smoothed),
        cmocka_unit_test(it_falls_slowly),  cmocka_unit_test(one_level_at_a_time),
        cmocka_unit_test(silence_counts),   cmocka_unit_test(fewer_levels_are_respected),
        cmocka_unit_test(many_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
