// Limits: the table decides as the plain rule does, whatever the times, keys and processes.
// sources: ngx_module/limits.c ngx_module/siphash.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "limits.h"

enum { LINE = 64, MEGABYTE = 1024 * 1024 };

#define SECOND INT64_C(1000000000)
#define BEGAN (1000 * SECOND)

static const uint8_t secret[16] = "0123456789abcde";

/* A generator of its own, so that a failure comes again. */
static uint64_t seed;

static uint64_t chance(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* Memory that children share with their parent. */
static void *shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    return memory;
}

static struct limits *new_table(void *memory, size_t size)
{
    struct limits *table = limits_create(memory, size, secret, BEGAN);
    assert_non_null(table);
    return table;
}

static struct limits_charge charge_of(struct limits *table, const char *name, uint64_t key,
                                      struct limits_rate rate, int64_t cost)
{
    struct limits_charge c = { .table = table, .rate = rate, .cost = cost };
    limits_hash(table, name, strlen(name), &key, sizeof key, c.hash);
    return c;
}

static bool ask(struct limits *table, uint64_t key, struct limits_rate rate, int64_t cost,
                int64_t now)
{
    struct limits_charge c = charge_of(table, "one", key, rate, cost);
    bool passed = limits_decide(&c, 1, now);
    assert_int_equal(passed, !c.refused);
    return passed;
}

/* What a key owes; asked with a cost that cannot be paid, so that it stays as it is. */
static int64_t debt(struct limits *table, const char *name, uint64_t key, int64_t now)
{
    struct limits_charge c =
        charge_of(table, name, key, (struct limits_rate){ INT64_C(1) << 52, 1 }, 1);
    if (limits_decide(&c, 1, now)) {
        return 0; /* and now it does not: only for keys that are not asked about again */
    }
    return c.full;
}

/* ---- rates */

static void rates_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t period;
    } good[] = { { "1r/s", SECOND },
                 { "100r/s", SECOND / 100 },
                 { "30r/m", 2 * SECOND },
                 { "007r/h", 3600 * SECOND / 7 },
                 { "1000r/d", 86400 * SECOND / 1000 },
                 { "1r/d", 86400 * SECOND },
                 { "1000000000r/s", 1 } };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t period = 0;
        assert_true(limits_parse_rate(good[i].text, strlen(good[i].text), &period));
        assert_int_equal(period, good[i].period);
    }
}

static void what_is_no_rate_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "r/s",
        "0r/s",
        "1",
        "1r",
        "1r/",
        "1r/x",
        "1r/ss",
        "-1r/s",
        "+1r/s",
        " 1r/s",
        "1r/s ",
        "1.5r/s",
        "1 r/s",
        "1R/s",
        "1r/S",
        "1r\\s",
        "1000000001r/s",
        "99999999999999999999999999r/s",
        "0000000000r/d",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t period = 0;
        if (limits_parse_rate(bad[i], strlen(bad[i]), &period)) {
            fail_msg("taken: %s", bad[i]);
        }
    }
    /* The text need not end: nothing behind n is looked at. */
    int64_t period = 0;
    assert_false(limits_parse_rate("1r/s", 3, &period));
    assert_true(limits_parse_rate("1r/sx", 4, &period));
}

static void debts_have_an_end(void **state)
{
    (void)state;
    assert_true(limits_rate_valid(&(struct limits_rate){ 1, LIMITS_DEBT_MAX }));
    assert_true(limits_rate_valid(&(struct limits_rate){ LIMITS_DEBT_MAX, 1 }));
    assert_false(limits_rate_valid(&(struct limits_rate){ LIMITS_DEBT_MAX + 1, 1 }));
    assert_false(limits_rate_valid(&(struct limits_rate){ 2, LIMITS_DEBT_MAX / 2 + 1 }));
    assert_false(limits_rate_valid(&(struct limits_rate){ INT64_MAX, INT64_MAX }));
    assert_false(limits_rate_valid(&(struct limits_rate){ 0, 1 }));
    assert_false(limits_rate_valid(&(struct limits_rate){ 1, 0 }));
    assert_false(limits_rate_valid(&(struct limits_rate){ -1, -1 }));
}

/* ---- the rule */

/* The plain rule, without a table: when everything asked for is paid off. */
struct plain {
    struct limits_rate rate;
    int64_t paid_off;
};

static int64_t plain_debt(const struct plain *p, int64_t now)
{
    return p->paid_off > now ? p->paid_off - now : 0;
}

static bool plain_fits(const struct plain *p, int64_t cost, int64_t now)
{
    return plain_debt(p, now) + cost * p->rate.period <= p->rate.burst * p->rate.period;
}

static void plain_pay(struct plain *p, int64_t cost, int64_t now)
{
    p->paid_off = now + plain_debt(p, now) + cost * p->rate.period;
}

static struct limits_rate some_rate(void)
{
    struct limits_rate rate = { .period = 1 + (int64_t)chance(UINT64_C(1) << chance(40)),
                                .burst = 1 + (int64_t)chance(chance(2) ? 5 : 1000) };
    assert_true(limits_rate_valid(&rate));
    return rate;
}

/* Mostly on, by steps that fit the rates; sometimes not at all; with BACK sometimes back. */
static int64_t next_time(int64_t now, bool back)
{
    int64_t step = (int64_t)chance(UINT64_C(1) << chance(36));
    switch (chance(8)) {
    case 0:
        return now;
    case 1:
        return back ? now - step / 2 : now;
    default:
        return now + step;
    }
}

static void check_answer(const struct limits_charge *c, const struct plain *p, int64_t now)
{
    int64_t most = p->rate.burst * p->rate.period, owed = plain_debt(p, now);
    assert_int_equal(c->full, owed);
    assert_int_equal(c->remaining, owed < most ? (most - owed) / p->rate.period : 0);
    assert_int_equal(c->retry, c->refused ? owed - (most - c->cost * p->rate.period) : 0);
}

static void the_table_decides_as_the_plain_rule(void **state)
{
    (void)state;
    enum { KEYS = 12, STEPS = 400000 };
    void *memory = shared(MEGABYTE);
    for (int back = 0; back < 2; back++) {
        struct limits *table = new_table(memory, MEGABYTE);
        struct plain plain[KEYS] = { 0 };
        seed = 88172645463325252 + (unsigned)back;
        for (int i = 0; i < KEYS; i++) {
            plain[i].rate = some_rate();
        }
        int64_t now = BEGAN + SECOND;
        long passes = 0;
        for (int step = 0; step < STEPS; step++) {
            now = next_time(now, back);
            if (now < BEGAN) {
                now = BEGAN;
            }
            int k = (int)chance(KEYS);
            struct plain *p = &plain[k];
            if (chance(5000) == 0) {
                p->rate = some_rate(); /* a reload: what is owed stays owed */
            }
            int64_t cost = 1 + (int64_t)chance((uint64_t)p->rate.burst);
            struct limits_charge c = charge_of(table, "one", (uint64_t)k, p->rate, cost);
            if (chance(10) == 0) {
                /* Others tell of more than is known here, or of less, or of what is paid off. */
                int64_t until = now - SECOND + (int64_t)chance(UINT64_C(1) << chance(40));
                limits_raise(table, c.hash, until, now);
                if (until > now && until > p->paid_off) {
                    p->paid_off = until;
                }
            }
            bool fits = plain_fits(p, cost, now);
            assert_int_equal(limits_decide(&c, 1, now), fits);
            assert_int_equal(c.refused, !fits);
            if (fits) {
                plain_pay(p, cost, now);
                passes++;
            }
            check_answer(&c, p, now);
        }
        assert_in_range(passes, STEPS / 20, STEPS - STEPS / 20);
        assert_int_equal(limits_evicted(table), 0);
    }
    munmap(memory, MEGABYTE);
}

static void all_are_charged_or_none(void **state)
{
    (void)state;
    enum { LIMITS = 30, STEPS = 200000 };
    void *memory = shared(MEGABYTE), *other = shared(MEGABYTE);
    struct limits *tables[2] = { new_table(memory, MEGABYTE), new_table(other, MEGABYTE) };
    struct plain plain[LIMITS] = { 0 };
    seed = 2463534242;
    for (int i = 0; i < LIMITS; i++) {
        plain[i].rate = some_rate();
    }
    int64_t now = BEGAN;
    long passes = 0, mixed = 0;
    for (int step = 0; step < STEPS; step++) {
        now = next_time(now, false);
        struct limits_charge c[LIMITS_PER_DECISION];
        struct plain *asked[LIMITS_PER_DECISION];
        size_t n = 1 + chance(LIMITS_PER_DECISION), fitting = 0, first = chance(LIMITS);
        for (size_t i = 0; i < n; i++) {
            size_t k = (first + i) % LIMITS; /* none twice */
            asked[i] = &plain[k];
            c[i] = charge_of(tables[k % 2], "all", k, plain[k].rate,
                             1 + (int64_t)chance(chance(2) ? 1 : (uint64_t)plain[k].rate.burst));
            fitting += plain_fits(asked[i], c[i].cost, now);
        }
        assert_int_equal(limits_decide(c, n, now), fitting == n);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(c[i].refused, !plain_fits(asked[i], c[i].cost, now));
        }
        for (size_t i = 0; i < n; i++) {
            if (fitting == n) {
                plain_pay(asked[i], c[i].cost, now);
            }
            check_answer(&c[i], asked[i], now);
        }
        passes += fitting == n;
        mixed += fitting > 0 && fitting < n;
    }
    assert_true(passes > STEPS / 50);
    assert_true(mixed > STEPS / 50);
    munmap(memory, MEGABYTE);
    munmap(other, MEGABYTE);
}

static void a_refusal_at_the_last_moment_charges_nobody(void **state)
{
    (void)state;
    void *memory = shared(4096);
    struct limits *table = new_table(memory, 4096);
    struct limits_rate rate = { SECOND, 3 };
    /* The same debt twice: each fits alone, so only the second payment finds out. */
    struct limits_charge c[4] = { charge_of(table, "a", 1, rate, 1),
                                  charge_of(table, "b", 2, rate, 2),
                                  charge_of(table, "b", 2, rate, 2),
                                  charge_of(table, "c", 3, rate, 3) };
    assert_false(limits_decide(c, 4, BEGAN));
    assert_true(c[2].refused);
    for (int i = 0; i < 4; i += i == 1 ? 2 : 1) {
        assert_false(c[i].refused);
        assert_int_equal(c[i].remaining, 3);
        assert_int_equal(c[i].full, 0);
        assert_int_equal(c[i].retry, 0);
    }
    assert_int_equal(limits_owing(table, BEGAN), 0);
    munmap(memory, 4096);
}

static void a_peek_tells_and_charges_nothing(void **state)
{
    (void)state;
    void *memory = shared(4096);
    struct limits *table = new_table(memory, 4096);
    struct limits_rate rate = { SECOND, 3 };
    struct limits_charge c[2] = { charge_of(table, "a", 1, rate, 2),
                                  charge_of(table, "b", 2, rate, 1) };
    for (int i = 0; i < 5; i++) {
        assert_true(limits_peek(c, 2, BEGAN));
        assert_int_equal(c[0].remaining, 3);
        assert_int_equal(c[0].full, 0);
    }
    assert_int_equal(limits_owing(table, BEGAN), 0);
    assert_true(limits_decide(c, 1, BEGAN));
    assert_false(limits_peek(c, 2, BEGAN));
    assert_true(c[0].refused);
    assert_int_equal(c[0].remaining, 1);
    assert_int_equal(c[0].retry, SECOND);
    assert_false(c[1].refused);
    assert_int_equal(c[1].remaining, 3);
    assert_int_equal(limits_owing(table, BEGAN), 1);
    assert_true(limits_peek(c, 2, BEGAN + SECOND));
    munmap(memory, 4096);
}

static void retry_is_true_to_the_nanosecond(void **state)
{
    (void)state;
    void *memory = shared(MEGABYTE);
    seed = 362436069;
    for (int round = 0; round < 1000; round++) {
        struct limits *table = new_table(memory, 4096);
        struct limits_rate rate = some_rate();
        int64_t now = BEGAN + (int64_t)chance(SECOND),
                cost = 1 + (int64_t)chance((uint64_t)rate.burst);
        struct limits_charge c = charge_of(table, "one", 1, rate, cost);
        while (limits_decide(&c, 1, now)) {
        }
        struct limits_charge again = c;
        assert_false(limits_decide(&again, 1, now + c.retry - 1));
        assert_int_equal(again.retry, 1);
        assert_true(limits_decide(&again, 1, now + c.retry));
        assert_int_equal(again.retry, 0);
    }
    munmap(memory, MEGABYTE);
}

static void a_clock_that_goes_back_forgives_nothing(void **state)
{
    (void)state;
    void *memory = shared(4096);
    struct limits *table = new_table(memory, 4096);
    struct limits_rate rate = { SECOND, 3 };
    int64_t now = BEGAN + 100 * SECOND;
    for (int i = 0; i < 3; i++) {
        assert_true(ask(table, 1, rate, 1, now));
    }
    assert_false(ask(table, 1, rate, 1, now));
    static const int64_t earlier[] = { 1, SECOND, 100 * SECOND, 5000 * SECOND, INT64_MAX / 2 };
    for (size_t i = 0; i < sizeof earlier / sizeof *earlier; i++) {
        assert_false(ask(table, 1, rate, 1, now - earlier[i]));
    }
    assert_true(ask(table, 2, rate, 1, BEGAN - SECOND)); /* before the table began */
    assert_true(ask(table, 1, rate, 1, now + SECOND));
    assert_false(ask(table, 1, rate, 1, now + SECOND));
    munmap(memory, 4096);
}

static void a_table_outlives_its_time(void **state)
{
    (void)state;
    void *memory = shared(4096);
    struct limits *table = new_table(memory, 4096);
    /* After nine years all pass, rather than nobody. */
    int64_t now = BEGAN + (INT64_C(1) << 58);
    for (int i = 0; i < 10; i++) {
        assert_true(ask(table, 1, (struct limits_rate){ SECOND, 1 }, 1, now));
    }
    munmap(memory, 4096);
}

/* ---- memory */

static void a_key_takes_sixteen_bytes(void **state)
{
    (void)state;
    void *memory = shared(MEGABYTE);
    struct limits *table = new_table(memory, MEGABYTE);
    assert_int_equal(limits_capacity(table), (MEGABYTE - LINE) / 16);
    assert_int_equal(limits_owing(table, BEGAN), 0);
    /* Half of what fits: lines of four fill unevenly, still few keys make room for others. */
    struct limits_rate rate = { SECOND, 1 };
    uint64_t half = limits_capacity(table) / 2;
    for (uint64_t key = 0; key < half; key++) {
        assert_true(ask(table, key, rate, 1, BEGAN));
    }
    assert_int_equal(limits_owing(table, BEGAN) + limits_evicted(table), half);
    assert_in_range(limits_evicted(table), 1, half / 20);
    assert_int_equal(limits_owing(table, BEGAN + SECOND), 0);
    assert_int_equal(limits_owing(table, BEGAN + SECOND - 1), half - limits_evicted(table));
    munmap(memory, MEGABYTE);
}

static void who_owes_is_estimated_in_a_large_table(void **state)
{
    (void)state;
    size_t size = (size_t)16 * MEGABYTE;
    void *memory = shared(size);
    struct limits *table = new_table(memory, size);
    struct limits_rate rate = { SECOND, 1 };
    uint64_t keys = limits_capacity(table) / 8;
    for (uint64_t key = 0; key < keys; key++) {
        assert_true(ask(table, key, rate, 1, BEGAN));
    }
    /* Its standard deviation is 630 here. */
    uint64_t known = keys - limits_evicted(table), owing = limits_owing(table, BEGAN);
    assert_in_range(owing, known - 2000, known + 2000);
    assert_int_not_equal(owing, known);
    assert_int_equal(limits_owing(table, BEGAN + SECOND), 0);
    munmap(memory, size);
}

static void memory_that_is_no_table_is_refused(void **state)
{
    (void)state;
    char *memory = shared(8192);
    assert_null(limits_attach(memory, 4096)); /* zeros */
    assert_null(limits_create(memory, 2 * LINE - 1, secret, BEGAN));
    assert_null(limits_create(memory + 8, 4096, secret, BEGAN));
    struct limits *table = new_table(memory, 4096);
    assert_ptr_equal(limits_attach(memory, 4096), table);
    assert_null(limits_attach(memory, 4096 - LINE));
    assert_null(limits_attach(memory, 4096 + LINE));
    assert_null(limits_attach(memory, 0));
    assert_null(limits_attach(memory, LINE));
    memory[0] ^= 1; /* the layout */
    assert_null(limits_attach(memory, 4096));
    /* A table of one line is a table. */
    assert_int_equal(limits_capacity(new_table(memory, 2 * LINE)), 4);
    munmap(memory, 8192);
}

static void debts_are_still_there_after_attaching(void **state)
{
    (void)state;
    void *memory = shared(4096);
    struct limits *table = new_table(memory, 4096);
    struct limits_rate rate = { SECOND, 1 };
    assert_true(ask(table, 1, rate, 1, BEGAN));
    table = limits_attach(memory, 4096);
    assert_non_null(table);
    assert_false(ask(table, 1, rate, 1, BEGAN));
    munmap(memory, 4096);
}

static void who_owes_least_makes_room(void **state)
{
    (void)state;
    void *memory = shared(4096);
    struct limits *table = new_table(memory, 2 * LINE); /* four entries in all */
    struct limits_rate rate = { SECOND, 100 };
    static const int64_t costs[] = { 40, 10, 30, 20 };
    for (uint64_t key = 0; key < 4; key++) {
        assert_true(ask(table, key, rate, costs[key], BEGAN));
    }
    assert_int_equal(limits_evicted(table), 0);
    assert_true(ask(table, 4, rate, 50, BEGAN));
    assert_int_equal(limits_evicted(table), 1);
    assert_int_equal(debt(table, "one", 0, BEGAN), 40 * SECOND);
    assert_int_equal(debt(table, "one", 2, BEGAN), 30 * SECOND);
    assert_int_equal(debt(table, "one", 3, BEGAN), 20 * SECOND);
    assert_int_equal(debt(table, "one", 4, BEGAN), 50 * SECOND);
    /* Who owes nothing any more is free space. */
    int64_t later = BEGAN + 25 * SECOND;
    assert_true(ask(table, 5, rate, 1, later));
    assert_int_equal(limits_evicted(table), 1);
    assert_int_equal(debt(table, "one", 0, later), 15 * SECOND);
    assert_int_equal(debt(table, "one", 2, later), 5 * SECOND);
    munmap(memory, 4096);
}

static void tell(struct limits *table, uint64_t key, int64_t until, int64_t now)
{
    struct limits_charge c = charge_of(table, "one", key, (struct limits_rate){ 1, 1 }, 1);
    limits_raise(table, c.hash, until, now);
}

static void who_is_told_of_makes_room_like_others(void **state)
{
    (void)state;
    void *memory = shared(4096);
    struct limits *table = new_table(memory, 2 * LINE);
    struct limits_rate rate = { SECOND, 100 };
    for (uint64_t key = 0; key < 4; key++) {
        assert_true(ask(table, key, rate, 10 * (1 + (int64_t)key), BEGAN));
    }
    tell(table, 4, BEGAN + 10 * SECOND, BEGAN); /* no more than the least: not put in */
    assert_int_equal(debt(table, "one", 0, BEGAN), 10 * SECOND);
    assert_int_equal(limits_evicted(table), 0);
    tell(table, 4, BEGAN + 15 * SECOND, BEGAN);
    assert_int_equal(debt(table, "one", 4, BEGAN), 15 * SECOND);
    assert_int_equal(limits_evicted(table), 1);
    tell(table, 4, BEGAN + 14 * SECOND, BEGAN); /* nothing is ever forgiven */
    assert_int_equal(debt(table, "one", 4, BEGAN), 15 * SECOND);
    assert_int_equal(debt(table, "one", 1, BEGAN), 20 * SECOND);
    int64_t later = BEGAN + 100 * SECOND;
    tell(table, 5, later, later); /* owes nothing */
    assert_int_equal(limits_owing(table, later), 0);
    tell(table, 5, later + SECOND, later); /* into free space */
    assert_int_equal(limits_evicted(table), 1);
    assert_int_equal(limits_owing(table, later), 1);
    tell(table, 5, later + (INT64_C(1) << 58), later); /* beyond the table's time */
    tell(table, 6, INT64_MAX, later);
    tell(table, 6, INT64_MIN / 2, BEGAN);
    assert_int_equal(debt(table, "one", 5, later), SECOND);
    munmap(memory, 4096);
}

static void a_full_line_keeps_the_most_indebted(void **state)
{
    (void)state;
    enum { KEYS = 9, STEPS = 200000 };
    void *memory = shared(4096);
    struct limits *table = new_table(memory, 2 * LINE);
    struct limits_rate rate = { SECOND, 50 };
    struct {
        uint64_t key;
        int64_t paid_off; /* BEGAN: never charged */
    } line[4] = { { KEYS, BEGAN }, { KEYS, BEGAN }, { KEYS, BEGAN }, { KEYS, BEGAN } };
    uint64_t evicted = 0;
    seed = 521288629;
    int64_t now = BEGAN;
    for (int step = 0; step < STEPS; step++) {
        /* Odd nanoseconds: no two debts alike, so it is clear who goes. */
        now += 1 + (int64_t)chance(SECOND);
        uint64_t key = chance(KEYS);
        int64_t cost = 1 + (int64_t)chance(20);
        int at = 0;
        bool known = false;
        for (int i = 0; i < 4; i++) {
            if (line[i].key == key) {
                at = i;
                known = true;
                break;
            }
            if (line[i].paid_off < line[at].paid_off) {
                at = i;
            }
        }
        int64_t owed = known && line[at].paid_off > now ? line[at].paid_off - now : 0;
        bool fits = owed + cost * SECOND <= rate.burst * SECOND;
        assert_int_equal(ask(table, key, rate, cost, now), fits);
        if (fits) {
            evicted += !known && line[at].paid_off > now;
            line[at].key = key;
            line[at].paid_off = now + owed + cost * SECOND;
        }
    }
    assert_int_equal(limits_evicted(table), evicted);
    assert_true(evicted > STEPS / 20);
    munmap(memory, 4096);
}

static void names_and_keys_do_not_run_together(void **state)
{
    (void)state;
    void *memory = shared(4096), *other = shared(4096);
    struct limits *table = new_table(memory, 4096);
    uint64_t one[2], two[2];
    limits_hash(table, "ab", 2, "c", 1, one);
    limits_hash(table, "a", 1, "bc", 2, two);
    assert_memory_not_equal(one, two, sizeof one);
    limits_hash(table, "abc", 3, "", 0, two);
    assert_memory_not_equal(one, two, sizeof one);
    limits_hash(table, "ab", 2, "c", 1, two);
    assert_memory_equal(one, two, sizeof one);
    /* Another secret, another hash: nobody can aim for a line. */
    limits_hash(limits_create(other, 4096, (const uint8_t *)"fedcba9876543210", BEGAN), "ab", 2,
                "c", 1, two);
    assert_memory_not_equal(one, two, sizeof one);
    /* The halves make the whole; a key that reads like its policy does not undo it. */
    uint64_t policy[2], key[2];
    static const char *const names[] = { "ab", "policy", "" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]);
        limits_policy(table, names[i], n, policy);
        limits_key(table, names[i], n, key);
        assert_memory_not_equal(policy, key, sizeof key);
        assert_true((policy[1] ^ key[1]) != 0);
        limits_hash(table, names[i], n, names[i], n, one);
        assert_true(one[0] == (policy[0] ^ key[0]) && one[1] == (policy[1] ^ key[1]));
    }
    munmap(memory, 4096);
    munmap(other, 4096);
}

static void policies_of_a_key_are_neighbours(void **state)
{
    (void)state;
    static const size_t sizes[] = { 4096, 1 << 20, 5 << 20 };
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        void *memory = shared(sizes[s]);
        struct limits *table = new_table(memory, sizes[s]);
        uint64_t lines = limits_capacity(table) / 4, one[2], two[2], far = 0;
        limits_policy(table, "hour", 4, one);
        limits_policy(table, "day", 3, two);
        uint64_t apart = one[1] ^ two[1];
        limits_neighbour(table, one);
        limits_neighbour(table, two);
        assert_true((one[1] ^ two[1]) == apart); /* they are told apart as before */
        for (uint64_t k = 0; k < 10000; k++) {
            uint64_t key[2];
            limits_key(table, &k, sizeof k, key);
            uint64_t a = ((key[0] ^ one[0]) >> 32) * lines >> 32;
            uint64_t b = ((key[0] ^ two[0]) >> 32) * lines >> 32;
            uint64_t between = a > b ? a - b : b - a;
            assert_in_range(between, 0, 32);
            far = between > far ? between : far;
        }
        assert_true(far > 0); /* and not all in one line */
        munmap(memory, sizes[s]);
    }
}

/* ---- many processes, one table; no time passes, so nothing is paid off */

enum { PROCESSES = 4 };

struct common {
    _Atomic uint64_t ready;
    _Atomic uint64_t passed;
    _Atomic uint64_t wrong;
    _Atomic uint64_t turn;
    _Atomic uint8_t by_key[1 << 20];
};

/* Runs WORK in PROCESSES children that begin together. */
static void together(struct common *common, struct limits *table,
                     void (*work)(struct common *common, struct limits *table, int who))
{
    pid_t pids[PROCESSES];
    for (int who = 0; who < PROCESSES; who++) {
        pids[who] = fork();
        assert_true(pids[who] >= 0);
        if (pids[who] == 0) {
            alarm(60);
            atomic_fetch_add(&common->ready, 1);
            while (atomic_load(&common->ready) < PROCESSES) {
                sched_yield();
            }
            work(common, table, who);
            _exit(0);
        }
    }
    for (int who = 0; who < PROCESSES; who++) {
        int status = -1;
        assert_int_equal(waitpid(pids[who], &status, 0), pids[who]);
        assert_int_equal(status, 0);
    }
}

static const struct limits_rate crowd = { SECOND, 300000 };

static void take_all_there_is(struct common *common, struct limits *table, int who)
{
    (void)who;
    struct limits_charge c = charge_of(table, "one", 7, crowd, 1);
    uint64_t n = 0;
    while (limits_decide(&c, 1, BEGAN)) {
        n++;
    }
    atomic_fetch_add(&common->passed, n);
}

static void many_processes_take_exactly_what_there_is(void **state)
{
    (void)state;
    struct common *common = shared(sizeof *common);
    void *memory = shared(4096);
    struct limits *table = new_table(memory, 2 * LINE);
    together(common, table, take_all_there_is);
    assert_int_equal(common->passed, crowd.burst);
    munmap(common, sizeof *common);
    munmap(memory, 4096);
}

enum { NEW_KEYS = 20000 };

static void bring_each_key(struct common *common, struct limits *table, int who)
{
    (void)who;
    for (uint64_t key = 0; key < NEW_KEYS; key++) {
        struct limits_charge c = charge_of(table, "one", key, (struct limits_rate){ SECOND, 1 }, 1);
        /* All at the same key: its entry is being made. */
        uint64_t arrived = atomic_fetch_add(&common->turn, 1) + 1;
        while (arrived < PROCESSES * key) {
            sched_yield(); /* there may be fewer cores than processes */
            sched_yield();
            arrived = atomic_load(&common->turn);
        }
        if (limits_decide(&c, 1, BEGAN)) {
            atomic_fetch_add(&common->by_key[key], 1);
        }
    }
}

static void a_new_key_is_let_in_once_by_one_of_many(void **state)
{
    (void)state;
    size_t size = 32 * MEGABYTE; /* so much room that none is given up */
    void *memory = shared(size);
    int twice = 0;
    for (int round = 0; round < 10; round++) {
        struct common *common = shared(sizeof *common);
        struct limits *table = new_table(memory, size);
        together(common, table, bring_each_key);
        assert_in_range(limits_evicted(table), 0, 20);
        for (int key = 0; key < NEW_KEYS; key++) {
            assert_in_range(common->by_key[key], 1, 2);
            twice += common->by_key[key] == 2;
        }
        munmap(common, sizeof *common);
    }
    /* A process that the kernel stops between the two steps of taking an entry, for longer than the
     * others wait for it, may lose its charge: on a busy machine once in some hundred thousand. */
    assert_in_range(twice, 0, 20);
    munmap(memory, size);
}

/* Half charge, half raise, each time by what they saw: no charge is lost by being told of less. */
static void charge_or_raise(struct common *common, struct limits *table, int who)
{
    struct limits_charge c = charge_of(table, "one", 7, crowd, 1);
    if (who % 2 == 0) {
        take_all_there_is(common, table, who);
        return;
    }
    for (int64_t i = 0; i < crowd.burst; i++) {
        limits_raise(table, c.hash, BEGAN + i / 2 * SECOND, BEGAN);
    }
}

static void who_is_told_of_loses_no_charge(void **state)
{
    (void)state;
    struct common *common = shared(sizeof *common);
    void *memory = shared(4096);
    struct limits *table = new_table(memory, 2 * LINE);
    together(common, table, charge_or_raise);
    /* Those who charge stop at the burst, whatever was raised meanwhile to less. */
    assert_in_range(common->passed, crowd.burst / 4, crowd.burst);
    assert_int_equal(debt(table, "one", 7, BEGAN), crowd.burst * SECOND);
    munmap(common, sizeof *common);
    munmap(memory, 4096);
}

enum { NARROW = 50000 };

/* Each process begins with another limit, so that they meet half way. */
static void take_of_several(struct common *common, struct limits *table, int who)
{
    uint64_t n = 0;
    for (int refused = 0; refused < 200;) {
        struct limits_charge c[3];
        for (unsigned i = 0; i < 3; i++) {
            unsigned k = (i + (unsigned)who) % 3;
            c[i] = charge_of(table, "several", k,
                             (struct limits_rate){ 1000, k == 0 ? NARROW : 10 * NARROW }, 1);
        }
        if (limits_decide(c, 3, BEGAN)) {
            n++;
        } else {
            refused++;
        }
        for (unsigned i = 0; i < 3; i++) {
            if (c[i].remaining < 0 || c[i].full < 0) {
                atomic_fetch_add(&common->wrong, 1);
            }
        }
    }
    atomic_fetch_add(&common->passed, n);
}

static void what_is_given_back_is_all_there(void **state)
{
    (void)state;
    struct common *common = shared(sizeof *common);
    void *memory = shared(4096);
    struct limits *table = new_table(memory, 2 * LINE);
    together(common, table, take_of_several);
    assert_int_equal(common->wrong, 0);
    assert_int_equal(common->passed, NARROW);
    assert_int_equal(debt(table, "several", 0, BEGAN), NARROW * 1000);
    assert_int_equal(debt(table, "several", 1, BEGAN), NARROW * 1000);
    assert_int_equal(debt(table, "several", 2, BEGAN), NARROW * 1000);
    munmap(common, sizeof *common);
    munmap(memory, 4096);
}

/* An entry as limits.c lays it down behind the head of the table: who half took it over has
 * written the word and not yet the tag. */
struct half_taken {
    _Atomic uint64_t *tag;
    uint64_t before, after;
};

static struct half_taken take_half(struct limits *table, uint64_t key)
{
    _Atomic uint64_t *words = (_Atomic uint64_t *)((char *)table + LINE);
    uint64_t tags[4];
    for (int i = 0; i < 4; i++) {
        tags[i] = words[2 * i];
    }
    assert_true(ask(table, key, (struct limits_rate){ SECOND, 1 }, 1, BEGAN));
    for (int i = 0; i < 4; i++) {
        if (words[2 * i] != tags[i]) {
            struct half_taken half = { &words[2 * i], tags[i], words[2 * i] };
            atomic_store(half.tag, half.before);
            return half;
        }
    }
    fail_msg("no entry was taken over");
    abort();
}

static void who_loses_the_processor_half_way_is_waited_for(void **state)
{
    (void)state;
    void *memory = shared(4096);
    struct limits *table = new_table(memory, 2 * LINE);
    int refused = 0;
    for (uint64_t key = 0; key < 10; key++) {
        struct half_taken half = take_half(table, key);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            struct timespec pause = { 0, 300000 };
            nanosleep(&pause, NULL);
            atomic_store(half.tag, half.after);
            _exit(0);
        }
        refused += !ask(table, key, (struct limits_rate){ SECOND, 1 }, 1, BEGAN);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        memset((char *)memory + LINE, 0, LINE);
    }
    /* Not all: a machine that is busy enough may keep it waiting for longer than anybody waits. */
    assert_in_range(refused, 5, 10);
    munmap(memory, 4096);
}

static void who_died_half_way_is_not(void **state)
{
    (void)state;
    void *memory = shared(4096);
    struct limits *table = new_table(memory, 2 * LINE);
    take_half(table, 1);
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_true(ask(table, 2, (struct limits_rate){ SECOND, 1 }, 1, BEGAN));
    clock_gettime(CLOCK_MONOTONIC, &after);
    int64_t us = (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
    assert_in_range(us, 5000, 2000000);
    /* Its entry went to the next who came; nothing is held any more. */
    assert_false(ask(table, 2, (struct limits_rate){ SECOND, 1 }, 1, BEGAN));
    for (uint64_t key = 3; key < 6; key++) {
        assert_true(ask(table, key, (struct limits_rate){ SECOND, 1 }, 1, BEGAN));
    }
    assert_int_equal(limits_owing(table, BEGAN), 4);
    assert_int_equal(limits_evicted(table), 1); /* the dead one's debt */
    munmap(memory, 4096);
}

/* Charges keys for ever, always new ones among them. */
static void charge_until_killed(struct common *common, struct limits *table, uint64_t from)
{
    for (uint64_t key = from;; key++) {
        struct limits_charge c =
            charge_of(table, "one", key, (struct limits_rate){ SECOND, 1000 }, 1);
        limits_decide(&c, 1, BEGAN);
        c = charge_of(table, "one", 7, crowd, 1);
        if (limits_decide(&c, 1, BEGAN)) {
            atomic_fetch_add(&common->passed, 1);
        }
    }
}

static void who_is_killed_holds_nothing(void **state)
{
    (void)state;
    enum { DEATHS = 300 };
    struct common *common = shared(sizeof *common);
    void *memory = shared(4096);
    struct limits *table = new_table(memory, 4096);
    seed = 5783321;
    /* What the crowd owes at most makes it the last to lose its entry. */
    assert_true(ask(table, 7, crowd, crowd.burst / 2, BEGAN));
    for (int death = 0; death < DEATHS; death++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            alarm(60);
            charge_until_killed(common, table, UINT64_C(1000000) * (uint64_t)(death + 1));
            _exit(1);
        }
        struct timespec pause = { 0, (long)chance(2000000) };
        nanosleep(&pause, NULL);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    }
    /* The table answers, at once, about everybody, and none of the crowd was let in unpaid. */
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    for (uint64_t key = 100; key < 10100; key++) {
        assert_true(ask(table, key, (struct limits_rate){ SECOND, 1 }, 1, BEGAN + SECOND));
    }
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 <
                5000);
    int64_t owed = debt(table, "one", 7, BEGAN) / SECOND - crowd.burst / 2;
    assert_in_range(owed, common->passed, common->passed + DEATHS);
    assert_true(common->passed > 0);
    munmap(common, sizeof *common);
    munmap(memory, 4096);
}

/* ---- many threads, many random histories, against the rule itself */

enum { THREADS = 4, ASKED = 120, HISTORIES = 3000, HISTORY_KEYS = 8 };

/* What GCRA promises, whoever came first and by whose clock: in no span of time more is let in than
 * the burst and what the span itself pays off. */
struct grant {
    int64_t now;
    int64_t cost; /* ns */
};

struct history {
    struct limits *tables[2];
    struct limits_rate rates[HISTORY_KEYS];
    int keys, most; /* limits a request */
    int64_t step, lag;
    _Atomic int64_t clock;
    uint64_t seed;
    struct grant grants[THREADS][HISTORY_KEYS][ASKED];
    int granted[THREADS][HISTORY_KEYS];
    long refused[THREADS];
    long wrong[THREADS];
};

struct actor {
    struct history *history;
    pthread_barrier_t *barrier;
    pthread_t thread;
    int who;
};

static uint64_t chance_of(uint64_t *state, uint64_t below)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state % below;
}

static void live_through(struct history *h, int who)
{
    uint64_t state = h->seed * 2654435761 + (uint64_t)who * 88172645463325252 + 1;
    for (int i = 0; i < ASKED; i++) {
        int64_t now = atomic_fetch_add(&h->clock, (int64_t)chance_of(&state, (uint64_t)h->step));
        /* Some workers look at the clock and then wait. */
        if (chance_of(&state, 3) == 0) {
            now -= (int64_t)chance_of(&state, (uint64_t)h->lag);
        }
        struct limits_charge c[HISTORY_KEYS];
        int asked[HISTORY_KEYS] = { 0 }, n = 1 + (int)chance_of(&state, (uint64_t)h->most);
        int k = (int)chance_of(&state, (uint64_t)h->keys);
        int next = chance_of(&state, 2) ? 1 : h->keys - 1; /* two that ask the other way round */
        for (int j = 0; j < n; j++, k = (k + next) % h->keys) {
            asked[j] = k;
            c[j] = charge_of(h->tables[k % 2], "history", (uint64_t)k, h->rates[k],
                             1 + (int64_t)chance_of(&state, (uint64_t)h->rates[k].burst));
        }
        bool passed = limits_decide(c, (size_t)n, now);
        bool refused = false;
        for (int j = 0; j < n; j++) {
            refused |= c[j].refused;
            h->wrong[who] += c[j].remaining < 0 || c[j].remaining > h->rates[asked[j]].burst;
            if (passed) {
                struct grant *g = &h->grants[who][asked[j]][h->granted[who][asked[j]]++];
                *g = (struct grant){ now, c[j].cost * c[j].rate.period };
            }
        }
        h->wrong[who] += passed == refused;
        h->refused[who] += !passed;
    }
}

static void *act(void *argument)
{
    struct actor *actor = argument;
    for (int i = 0; i < HISTORIES; i++) {
        pthread_barrier_wait(actor->barrier);
        live_through(actor->history, actor->who);
        pthread_barrier_wait(actor->barrier);
    }
    return NULL;
}

static int by_time(const void *one, const void *two)
{
    const struct grant *a = one, *b = two;
    return (a->now > b->now) - (a->now < b->now);
}

/* The most that was let in during any span beyond what the span pays off, in ns. */
static int64_t most_at_once(struct history *h, int k)
{
    static struct grant all[THREADS * ASKED];
    size_t n = 0;
    for (int who = 0; who < THREADS; who++) {
        for (int i = 0; i < h->granted[who][k]; i++) {
            all[n++] = h->grants[who][k][i];
        }
    }
    qsort(all, n, sizeof *all, by_time);
    int64_t most = 0, since = 0, last = 0;
    for (size_t i = 0; i < n; i++) {
        since -= i > 0 ? all[i].now - last : 0;
        since = (since > 0 ? since : 0) + all[i].cost;
        most = since > most ? since : most;
        last = all[i].now;
    }
    return most;
}

static void begin_history(struct history *h, void *const memory[2], size_t size, bool crowded)
{
    memset(h->granted, 0, sizeof h->granted);
    memset(h->refused, 0, sizeof h->refused);
    memset(h->wrong, 0, sizeof h->wrong);
    h->seed = 1 + chance(UINT64_C(1) << 40);
    h->keys = crowded ? HISTORY_KEYS : 3 + (int)chance(HISTORY_KEYS - 2);
    h->most = 1 + (int)chance(3);
    h->step = INT64_C(2) << chance(24);
    h->lag = h->step * (1 + (int64_t)chance(20));
    h->clock = BEGAN + 100 * h->lag;
    for (int k = 0; k < h->keys; k++) {
        h->rates[k].period = 1 + (int64_t)chance((uint64_t)h->step * 8);
        h->rates[k].burst = 1 + (int64_t)chance(chance(2) ? 4 : 40);
    }
    for (int i = 0; i < 2; i++) {
        /* Eight keys in the four entries of one table, where it is to be crowded. */
        h->tables[i] = crowded && i > 0 ? h->tables[0] : new_table(memory[i], size);
    }
    /* Where all have room each has its entry from the first: to take one is tried above. */
    for (int k = 0; !crowded && k < h->keys; k++) {
        struct limits_charge c =
            charge_of(h->tables[k % 2], "history", (uint64_t)k, h->rates[k], 1);
        assert_true(limits_decide(&c, 1, BEGAN));
    }
}

static void live_histories(bool crowded)
{
    size_t size = crowded ? 2 * LINE : 4096;
    void *memory[2] = { shared(4096), shared(4096) };
    static struct history history;
    struct actor actors[THREADS];
    pthread_barrier_t barrier;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
    seed = 424242 + (unsigned)crowded;
    for (int who = 0; who < THREADS; who++) {
        actors[who] = (struct actor){ .history = &history, .barrier = &barrier, .who = who };
        assert_int_equal(pthread_create(&actors[who].thread, NULL, act, &actors[who]), 0);
    }
    long full = 0, passed = 0, refused = 0, wrong = 0, late = 0;
    int64_t looser = 0;
    uint64_t evicted = 0;
    for (int i = 0; i < HISTORIES; i++) {
        begin_history(&history, memory, size, crowded);
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        for (int k = 0; k < history.keys; k++) {
            int64_t burst = history.rates[k].period * history.rates[k].burst;
            int64_t most = most_at_once(&history, k);
            int64_t beyond = most > burst ? (most - 1) / burst : 0; /* bursts */
            full += most == burst;
            /* A request that one limit refuses late gives back to the others what it took: also
             * what time has paid off meanwhile, if it was kept waiting in between. */
            if (history.most > 1 && !crowded && beyond > 0) {
                assert_in_range(beyond, 1, THREADS - 1);
                late++;
            } else {
                looser += beyond;
            }
        }
        for (int who = 0; who < THREADS; who++) {
            refused += history.refused[who];
            passed += ASKED - history.refused[who];
            wrong += history.wrong[who];
        }
        evicted += limits_evicted(history.tables[0]);
    }
    for (int who = 0; who < THREADS; who++) {
        assert_int_equal(pthread_join(actors[who].thread, NULL), 0);
    }
    pthread_barrier_destroy(&barrier);
    munmap(memory[0], 4096);
    munmap(memory[1], 4096);
    print_message(
        "# %ld let in, %ld refused, %ld keys at their limit, %lu evicted, %ld bursts more, "
        "%ld by late refusals\n",
        passed, refused, full, (unsigned long)evicted, (long)looser, late);
    assert_int_equal(wrong, 0);
    assert_true(passed > HISTORIES && refused > HISTORIES);
    if (crowded) {
        assert_true(evicted > HISTORIES);
        assert_true(looser > 0); /* else the measure would not see any */
        /* Who is evicted gets one burst anew.  A thread that is stopped half way of taking an entry
         * may lose that one charge. */
        assert_in_range(looser, 0, evicted + HISTORIES / 500);
    } else {
        assert_true(full > HISTORIES / 10);
        assert_int_equal(evicted, 0);
        assert_int_equal(looser, 0);
        assert_in_range(late, 0, HISTORIES / 50);
    }
}

static void no_history_of_many_threads_is_looser_than_the_rule(void **state)
{
    (void)state;
    live_histories(false);
}

static void who_is_evicted_gets_one_burst_and_no_more(void **state)
{
    (void)state;
    live_histories(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_read),
        cmocka_unit_test(what_is_no_rate_is_refused),
        cmocka_unit_test(debts_have_an_end),
        cmocka_unit_test(the_table_decides_as_the_plain_rule),
        cmocka_unit_test(all_are_charged_or_none),
        cmocka_unit_test(a_refusal_at_the_last_moment_charges_nobody),
        cmocka_unit_test(a_peek_tells_and_charges_nothing),
        cmocka_unit_test(retry_is_true_to_the_nanosecond),
        cmocka_unit_test(a_clock_that_goes_back_forgives_nothing),
        cmocka_unit_test(a_table_outlives_its_time),
        cmocka_unit_test(a_key_takes_sixteen_bytes),
        cmocka_unit_test(who_owes_is_estimated_in_a_large_table),
        cmocka_unit_test(memory_that_is_no_table_is_refused),
        cmocka_unit_test(debts_are_still_there_after_attaching),
        cmocka_unit_test(who_owes_least_makes_room),
        cmocka_unit_test(who_is_told_of_makes_room_like_others),
        cmocka_unit_test(a_full_line_keeps_the_most_indebted),
        cmocka_unit_test(names_and_keys_do_not_run_together),
        cmocka_unit_test(policies_of_a_key_are_neighbours),
        cmocka_unit_test(many_processes_take_exactly_what_there_is),
        cmocka_unit_test(a_new_key_is_let_in_once_by_one_of_many),
        cmocka_unit_test(who_is_told_of_loses_no_charge),
        cmocka_unit_test(what_is_given_back_is_all_there),
        cmocka_unit_test(who_loses_the_processor_half_way_is_waited_for),
        cmocka_unit_test(who_died_half_way_is_not),
        cmocka_unit_test(who_is_killed_holds_nothing),
        cmocka_unit_test(no_history_of_many_threads_is_looser_than_the_rule),
        cmocka_unit_test(who_is_evicted_gets_one_burst_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
