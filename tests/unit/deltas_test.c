// Deltas: what many processes add is cut once, to the last nanosecond, whoever dies meanwhile; and
// another's clock is followed.
// sources: ngx_module/deltas.c ngx_module/clocks.c ngx_module/limits.c ngx_module/siphash.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clocks.h"
#include "deltas.h"
#include "limits.h"

enum { HEAD = 64, ROW = 128, PROCESSES = 4 };

#define SECOND INT64_C(1000000000)
#define BEGAN (1000 * SECOND)

/* A generator of its own, so that a failure comes again. */
static uint64_t seed;

static uint64_t chance(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static void *shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    return memory;
}

static struct deltas *new_deltas(void *memory, size_t size)
{
    memset(memory, 0, size);
    struct deltas *deltas = deltas_create(memory, size);
    assert_non_null(deltas);
    return deltas;
}

/* A hash as good as SipHash's: its bits are mixed (splitmix64). */
static uint64_t mixed(uint64_t n)
{
    n += UINT64_C(0x9e3779b97f4a7c15);
    n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
    return n ^ n >> 31;
}

static void hash_of(uint64_t key, uint64_t hash[2])
{
    hash[0] = mixed(key);
    hash[1] = mixed(key ^ UINT64_C(0xabcdef0123456789));
}

static bool add(struct deltas *deltas, uint64_t key, int64_t cost, int64_t now)
{
    uint64_t hash[2];
    hash_of(key, hash);
    return deltas_add(deltas, hash, cost, 100 * SECOND, now);
}

static int64_t charged(struct deltas *deltas, uint64_t key, int64_t *since)
{
    uint64_t hash[2];
    hash_of(key, hash);
    return deltas_charged(deltas, hash, since);
}

/* All that is there, in pieces as a worker cuts it. */
static size_t cut_all(struct deltas *deltas, struct delta *cut, size_t n)
{
    size_t got = 0;
    for (size_t at = 0; at < deltas_places(deltas);) {
        assert_true(got < n);
        size_t before = at;
        size_t most = n - got < 3 ? n - got : 3;
        got += deltas_cut(deltas, &at, 7, cut + got, most);
        assert_true(at > before && at <= before + 7);
    }
    return got;
}

static const struct delta *cut_of(const struct delta *cut, size_t n, uint64_t key)
{
    uint64_t hash[2], name[2];
    hash_of(key, hash);
    deltas_key(hash, name);
    for (size_t i = 0; i < n; i++) {
        if (cut[i].hash[0] == name[0] && cut[i].hash[1] == name[1]) {
            return &cut[i];
        }
    }
    return NULL;
}

/* ---- one process */

static void memory_that_is_no_table_is_refused(void **state)
{
    (void)state;
    char *memory = shared(8192);
    assert_null(deltas_attach(memory, 4096));
    assert_null(deltas_create(memory, HEAD + ROW - 1));
    assert_null(deltas_create(memory + 8, 4096));
    struct deltas *deltas = new_deltas(memory, 4096);
    assert_int_equal(deltas_places(deltas), (4096 - HEAD) / ROW * 4);
    assert_ptr_equal(deltas_attach(memory, 4096), deltas);
    assert_null(deltas_attach(memory, 4096 + ROW));
    assert_null(deltas_attach(memory, 0));
    memory[0] ^= 1;
    assert_null(deltas_attach(memory, 4096));
    munmap(memory, 8192);
}

static void sums_are_cut_once(void **state)
{
    (void)state;
    enum { KEYS = 40, STEPS = 300000 };
    void *memory = shared(65536);
    struct deltas *deltas = new_deltas(memory, 65536);
    struct delta cut[KEYS + 4];
    int64_t sum[KEYS] = { 0 }, since[KEYS] = { 0 }, first;
    seed = 88172645463325252;
    int64_t now = BEGAN;
    long cuts = 0;
    for (int step = 0; step < STEPS; step++) {
        now += (int64_t)chance(1000);
        if (chance(500) == 0) {
            size_t n = cut_all(deltas, cut, KEYS + 4), expected = 0;
            for (uint64_t k = 0; k < KEYS; k++) {
                const struct delta *c = cut_of(cut, n, k);
                assert_int_equal(c != NULL, sum[k] > 0);
                if (c != NULL) {
                    assert_int_equal(c->charged, sum[k]);
                    assert_int_equal(c->since, since[k]);
                    assert_int_equal(c->most, INT64_C(1) << 37); /* over 100 s */
                    expected++;
                }
                sum[k] = 0;
            }
            assert_int_equal(n, expected);
            cuts++;
            continue;
        }
        uint64_t k = chance(KEYS) * chance(KEYS) / KEYS; /* some often, some seldom */
        int64_t cost = 1 + (int64_t)chance(5 * SECOND);
        assert_true(add(deltas, k, cost, now));
        since[k] = sum[k] == 0 ? now : since[k];
        sum[k] += cost;
        assert_int_equal(charged(deltas, k, &first), sum[k]);
        assert_int_equal(first, since[k]);
    }
    assert_true(cuts > 300);
    assert_int_equal(deltas_missed(deltas), 0);
    munmap(memory, 65536);
}

static void a_cut_makes_room(void **state)
{
    (void)state;
    void *memory = shared(4096);
    struct deltas *deltas = new_deltas(memory, HEAD + ROW); /* four places */
    struct delta cut[4];
    for (uint64_t k = 0; k < 4; k++) {
        assert_true(add(deltas, k, 1, BEGAN));
    }
    assert_false(add(deltas, 4, 1, BEGAN));
    assert_true(add(deltas, 3, 1, BEGAN)); /* who is there still is */
    assert_int_equal(deltas_missed(deltas), 1);
    assert_int_equal(cut_all(deltas, cut, 4), 4);
    for (uint64_t k = 3; k < 7; k++) {
        assert_true(add(deltas, k, 1, BEGAN));
    }
    assert_false(add(deltas, 7, 1, BEGAN));
    assert_int_equal(deltas_missed(deltas), 2);
    assert_int_equal(cut_all(deltas, cut, 4), 4);
    assert_int_equal(cut_all(deltas, cut, 4), 0);
    munmap(memory, 4096);
}

static void who_has_paid_is_forgotten_while_nobody_is_told(void **state)
{
    (void)state;
    void *memory = shared(4096);
    struct deltas *deltas = new_deltas(memory, HEAD + ROW);
    int64_t since;
    assert_true(add(deltas, 0, 10 * SECOND, BEGAN));
    assert_true(add(deltas, 1, 20 * SECOND, BEGAN));
    assert_true(add(deltas, 2, SECOND, BEGAN + 15 * SECOND));
    size_t at = 0;
    deltas_forget(deltas, &at, 100, BEGAN + 12 * SECOND);
    assert_int_equal(at, 4);
    assert_int_equal(charged(deltas, 0, &since), 0);
    assert_int_equal(charged(deltas, 1, &since), 20 * SECOND);
    assert_int_equal(charged(deltas, 2, &since), SECOND);
    at = 0;
    deltas_forget(deltas, &at, 2, BEGAN + 1000 * SECOND);
    assert_int_equal(at, 2);
    deltas_forget(deltas, &at, 2, BEGAN + 1000 * SECOND);
    for (uint64_t k = 10; k < 14; k++) {
        assert_true(add(deltas, k, 1, BEGAN));
    }
    munmap(memory, 4096);
}

static void sums_have_an_end(void **state)
{
    (void)state;
    void *memory = shared(4096);
    struct deltas *deltas = new_deltas(memory, 4096);
    struct delta cut[2];
    for (int i = 0; i < 10; i++) {
        assert_true(add(deltas, 1, LIMITS_DEBT_MAX, BEGAN));
    }
    assert_int_equal(cut_all(deltas, cut, 2), 1);
    assert_int_equal(cut[0].charged, (INT64_C(1) << 54) - 1);
    munmap(memory, 4096);
}

static void what_is_allowed_follows_the_configuration(void **state)
{
    (void)state;
    static const struct {
        int64_t most, kept;
    } cases[] = { { 1, 1 },
                  { 2, 2 },
                  { 3, 4 },
                  { 1000, 1024 },
                  { 1024, 1024 },
                  { 1025, 2048 },
                  { LIMITS_DEBT_MAX, LIMITS_DEBT_MAX } };
    void *memory = shared(4096);
    struct deltas *deltas = new_deltas(memory, 4096);
    struct delta cut[2];
    uint64_t hash[2];
    hash_of(1, hash);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(deltas_add(deltas, hash, 1, cases[i].most, BEGAN));
        assert_int_equal(cut_all(deltas, cut, 2), 1);
        assert_int_equal(cut[0].most, cases[i].kept);
    }
    munmap(memory, 4096);
}

/* The table of debts must find by what is cut whom it charged: the bits that are dropped here are
 * none it looks at. */
static void what_is_cut_is_found_in_the_table_of_debts(void **state)
{
    (void)state;
    enum { KEYS = 2000 };
    size_t size = 1 << 20;
    void *memory = shared(size), *other = shared(size);
    struct limits *table = limits_create(memory, size, (const uint8_t *)"0123456789abcdef", BEGAN);
    struct deltas *deltas = new_deltas(other, size);
    static struct delta cut[KEYS + 4];
    struct limits_rate rate = { SECOND, 1000 };
    for (uint64_t k = 0; k < KEYS; k++) {
        struct limits_charge c = { .table = table, .rate = rate, .cost = 1 };
        limits_hash(table, "x", 1, &k, sizeof k, c.hash);
        assert_true(limits_decide(&c, 1, BEGAN));
        assert_true(deltas_add(deltas, c.hash, SECOND, 1000 * SECOND, BEGAN));
    }
    size_t n = cut_all(deltas, cut, KEYS + 4);
    assert_int_equal(n, KEYS);
    uint64_t owing = limits_owing(table, BEGAN);
    for (size_t i = 0; i < n; i++) {
        limits_raise(table, cut[i].hash, BEGAN + 10 * SECOND, BEGAN);
    }
    assert_int_equal(limits_owing(table, BEGAN), owing);
    for (uint64_t k = 0; k < KEYS; k++) {
        struct limits_charge c = { .table = table, .rate = rate, .cost = 1 };
        limits_hash(table, "x", 1, &k, sizeof k, c.hash);
        assert_true(limits_decide(&c, 1, BEGAN));
        assert_int_equal(c.remaining, 1000 - 11);
    }
    munmap(memory, size);
    munmap(other, size);
}

static void a_hash_of_zeros_is_a_key_too(void **state)
{
    (void)state;
    void *memory = shared(4096);
    struct deltas *deltas = new_deltas(memory, 4096);
    struct delta cut[4];
    static const uint64_t zeros[2], one[2] = { 1, 1 }, last[2] = { UINT64_MAX, UINT64_MAX };
    int64_t since;
    assert_true(deltas_add(deltas, zeros, 5, SECOND, BEGAN));
    assert_true(deltas_add(deltas, one, 7, SECOND, BEGAN)); /* the same, for all that is kept */
    assert_true(deltas_add(deltas, last, 11, SECOND, BEGAN));
    assert_int_equal(deltas_charged(deltas, zeros, &since), 12);
    assert_int_equal(cut_all(deltas, cut, 4), 2);
    assert_int_equal(cut[0].charged + cut[1].charged, 23);
    munmap(memory, 4096);
}

/* ---- many processes */

struct common {
    _Atomic uint64_t ready;
    _Atomic uint64_t done;
    _Atomic int64_t added;
    _Atomic int64_t cut;
    _Atomic uint64_t wrong;
    _Atomic int64_t by_key[64];
    _Atomic int64_t cut_by_key[64];
};

static void add_often(struct common *common, struct deltas *deltas, uint64_t keys, long times)
{
    for (long i = 0; i < times; i++) {
        uint64_t k = chance(keys);
        int64_t cost = 1 + (int64_t)chance(1000);
        if (add(deltas, k, cost, BEGAN)) {
            atomic_fetch_add(&common->added, cost);
            atomic_fetch_add(&common->by_key[k], cost);
        }
    }
}

static void account(struct common *common, const struct delta *cut, size_t n, uint64_t keys)
{
    for (size_t i = 0; i < n; i++) {
        atomic_fetch_add(&common->cut, cut[i].charged);
        uint64_t k = 0;
        while (k < keys && cut_of(&cut[i], 1, k) == NULL) {
            k++;
        }
        if (k < keys) {
            atomic_fetch_add(&common->cut_by_key[k], cut[i].charged);
        } else {
            atomic_fetch_add(&common->wrong, 1);
        }
    }
}

static void cut_once(struct common *common, struct deltas *deltas, uint64_t keys)
{
    struct delta cut[5];
    for (size_t at = 0; at < deltas_places(deltas);) {
        account(common, cut, deltas_cut(deltas, &at, 1000, cut, 5), keys);
    }
}

/* Adders that begin together, and CUTTERS who cut all the while, as after a reload: then all of it
 * was cut, once, for the right key. There is less room than keys: places change hands all the time.
 */
static void nothing_is_lost_between(int cutters, size_t rows)
{
    enum { KEYS = 24 };
    struct common *common = shared(sizeof *common);
    void *memory = shared(65536);
    struct deltas *deltas = new_deltas(memory, HEAD + rows * ROW);
    pid_t pids[PROCESSES + 2];
    for (int who = 0; who < PROCESSES + cutters; who++) {
        pids[who] = fork();
        assert_true(pids[who] >= 0);
        if (pids[who] == 0) {
            alarm(60);
            seed = 88172645463325252 + (unsigned)who * 7919;
            atomic_fetch_add(&common->ready, 1);
            while (atomic_load(&common->ready) < (unsigned)(PROCESSES + cutters)) {
            }
            if (who < PROCESSES) {
                add_often(common, deltas, KEYS, 300000);
                atomic_fetch_add(&common->done, 1);
            } else {
                while (atomic_load(&common->done) < PROCESSES) {
                    cut_once(common, deltas, KEYS);
                }
            }
            _exit(0);
        }
    }
    for (int who = 0; who < PROCESSES + cutters; who++) {
        int status = -1;
        assert_int_equal(waitpid(pids[who], &status, 0), pids[who]);
        assert_int_equal(status, 0);
    }
    cut_once(common, deltas, KEYS);
    assert_int_equal(common->wrong, 0);
    assert_int_equal(common->cut, common->added);
    for (int k = 0; k < KEYS; k++) {
        assert_int_equal(common->cut_by_key[k], common->by_key[k]);
    }
    assert_true(common->added > 0);
    munmap(common, sizeof *common);
    munmap(memory, 65536);
}

static void many_add_and_one_cuts(void **state)
{
    (void)state;
    nothing_is_lost_between(1, 1);
    nothing_is_lost_between(1, 4);
    nothing_is_lost_between(1, 64);
}

static void many_add_and_two_cut(void **state)
{
    (void)state;
    nothing_is_lost_between(2, 1);
    nothing_is_lost_between(2, 64);
}

static void who_is_killed_holds_nothing(void **state)
{
    (void)state;
    enum { DEATHS = 200, KEYS = 24 };
    struct common *common = shared(sizeof *common);
    void *memory = shared(4096);
    struct deltas *deltas = new_deltas(memory, HEAD + ROW);
    seed = 5783321;
    for (int death = 0; death < DEATHS; death++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            alarm(60);
            seed += (unsigned)death * 7919 + 1;
            for (;;) {
                /* Whoever may be killed: at adding and at cutting. */
                add_often(common, deltas, KEYS, 1 + (long)chance(50));
                cut_once(common, deltas, KEYS);
            }
        }
        struct timespec pause = { 0, (long)chance(1000000) };
        nanosleep(&pause, NULL);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    }
    /* Two cuts, and every place is free: none is stuck with the dead. */
    cut_once(common, deltas, KEYS);
    cut_once(common, deltas, KEYS);
    assert_int_equal(common->wrong, 0);
    for (uint64_t k = 100; k < 104; k++) {
        assert_true(add(deltas, k, 1, BEGAN));
    }
    munmap(common, sizeof *common);
    munmap(memory, 4096);
}

/* ---- clocks */

static void a_clock_is_known_by_its_answers(void **state)
{
    (void)state;
    struct clocks clocks = { 0 };
    clocks_learn(&clocks, 1000, 1100, 51050);
    assert_true(clocks.known);
    assert_int_equal(clocks.ahead, 50000);    /* the middle */
    clocks_learn(&clocks, 2000, 2002, 52012); /* quicker: between 50010 and 50012 */
    assert_int_equal(clocks.ahead, 50010);
    clocks_learn(&clocks, 3000, 9000, 53500); /* slow: it fits */
    assert_int_equal(clocks.ahead, 50010);
    clocks_learn(&clocks, 10000, 10004, 40002); /* set back: between 29998 and 30002 */
    assert_int_equal(clocks.ahead, 30002);
    clocks_learn(&clocks, 20000, 20000, -20000);
    assert_int_equal(clocks.ahead, -40000);
}

static void the_error_of_a_clock_is_within_the_quickest_answer(void **state)
{
    (void)state;
    seed = 2463534242;
    for (int round = 0; round < 200; round++) {
        struct clocks clocks = { 0 };
        int64_t ahead = (int64_t)chance(UINT64_C(1) << 60) - (INT64_C(1) << 59), now = BEGAN,
                quickest = INT64_MAX;
        for (int i = 0; i < 50; i++) {
            int64_t there = (int64_t)chance(UINT64_C(1) << (10 + chance(20))),
                    back = (int64_t)chance(UINT64_C(1) << (10 + chance(20)));
            clocks_learn(&clocks, now, now + there + back, now + there + ahead);
            quickest = there + back < quickest ? there + back : quickest;
            int64_t error = clocks.ahead > ahead ? clocks.ahead - ahead : ahead - clocks.ahead;
            assert_true(error <= quickest);
            now += SECOND;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_is_no_table_is_refused),
        cmocka_unit_test(sums_are_cut_once),
        cmocka_unit_test(a_cut_makes_room),
        cmocka_unit_test(who_has_paid_is_forgotten_while_nobody_is_told),
        cmocka_unit_test(sums_have_an_end),
        cmocka_unit_test(what_is_allowed_follows_the_configuration),
        cmocka_unit_test(what_is_cut_is_found_in_the_table_of_debts),
        cmocka_unit_test(a_hash_of_zeros_is_a_key_too),
        cmocka_unit_test(many_add_and_one_cuts),
        cmocka_unit_test(many_add_and_two_cut),
        cmocka_unit_test(who_is_killed_holds_nothing),
        cmocka_unit_test(a_clock_is_known_by_its_answers),
        cmocka_unit_test(the_error_of_a_clock_is_within_the_quickest_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
