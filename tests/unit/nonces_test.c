// Spent nonces: of all that add one, exactly one wins, whatever the others do and whoever dies;
// what is in force never makes room.
// sources: ngx_module/nonces.c ngx_module/siphash.c
// libs: -lpthread
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nonces.h"

enum { NOW = 1800000000, ROW = 64, HEAD = 64, GRACE = 5 };

static const uint8_t secret[SIPHASH_KEY_SIZE] = "sixteen bytes ok";

static struct nonces *table(void **memory, size_t size)
{
    *memory = aligned_alloc(64, size);
    assert_non_null(*memory);
    memset(*memory, 0xa5, size);
    struct nonces *nonces = nonces_create(*memory, size, secret, NOW);
    assert_non_null(nonces);
    return nonces;
}

static enum nonces_verdict add(struct nonces *nonces, uint64_t nonce, int64_t until, int64_t now)
{
    return nonces_add(nonces, &nonce, sizeof(nonce), until, now);
}

static void once_and_never_again(void **state)
{
    (void)state;
    void *memory;
    struct nonces *nonces = table(&memory, 64 * 1024);
    assert_int_equal(add(nonces, 1, NOW + 10, NOW), NONCES_ADDED);
    assert_int_equal(add(nonces, 2, NOW + 10, NOW), NONCES_ADDED);
    for (int64_t now = NOW; now < NOW + 20; now++) {
        assert_int_equal(add(nonces, 1, NOW + 10, now), NONCES_SPENT);
    }
    assert_int_equal(nonces_live(nonces, NOW), 2);
    assert_int_equal(nonces_live(nonces, NOW + 9), 2);
    assert_int_equal(nonces_live(nonces, NOW + 10 + GRACE), 0);
    assert_int_equal(add(nonces, 3, NOW, NOW), NONCES_SPENT); /* it was never in force */
    assert_int_equal(add(nonces, 3, INT64_MAX / 2, NOW), NONCES_FULL);
    assert_int_equal(add(nonces, 3, NOW + (1 << 28), NOW), NONCES_FULL);
    free(memory);
}

static void what_is_in_force_stays(void **state)
{
    (void)state;
    void *memory;
    struct nonces *nonces = table(&memory, HEAD + ROW * 8); /* one row */
    assert_int_equal(nonces_capacity(nonces), ROW);
    for (uint64_t i = 0; i < ROW; i++) {
        assert_int_equal(add(nonces, i, NOW + 100 + (int64_t)i, NOW), NONCES_ADDED);
    }
    for (uint64_t i = 0; i < 10000; i++) { /* a flood evicts nothing */
        assert_int_equal(add(nonces, 1000 + i, NOW + 600, NOW), NONCES_FULL);
    }
    for (uint64_t i = 0; i < ROW; i++) {
        assert_int_equal(add(nonces, i, NOW + 100 + (int64_t)i, NOW), NONCES_SPENT);
    }
    /* Not even for who sees the time run a little ahead of the others. */
    assert_int_equal(add(nonces, 2000, NOW + 600, NOW + 100 + GRACE - 1), NONCES_FULL);
    assert_int_equal(add(nonces, 2000, NOW + 600, NOW + 100 + GRACE), NONCES_ADDED);
    assert_int_equal(add(nonces, 2001, NOW + 600, NOW + 100 + GRACE), NONCES_FULL);
    assert_int_equal(nonces_live(nonces, NOW + 100 + GRACE), ROW);
    free(memory);
}

static void a_table_is_taken_over_or_not(void **state)
{
    (void)state;
    void *memory;
    struct nonces *nonces = table(&memory, 64 * 1024);
    assert_int_equal(add(nonces, 1, NOW + 10, NOW), NONCES_ADDED);
    assert_ptr_equal(nonces_attach(memory, 64 * 1024), nonces);
    assert_int_equal(add(nonces, 1, NOW + 10, NOW), NONCES_SPENT);
    assert_null(nonces_attach(memory, 63 * 1024));
    assert_null(nonces_attach(memory, 100));
    *(unsigned char *)memory ^= 1;
    assert_null(nonces_attach(memory, 64 * 1024));
    assert_null(nonces_create(memory, HEAD + ROW * 8 - 1, secret, NOW));
    assert_null(nonces_create((char *)memory + 8, 32 * 1024, secret, NOW));
    free(memory);
}

static void most_fit_before_a_row_is_full(void **state)
{
    (void)state;
    void *memory;
    size_t size = 1024 * 1024;
    struct nonces *nonces = table(&memory, size);
    uint64_t n = 0;
    while (add(nonces, n, NOW + 600, NOW) == NONCES_ADDED) {
        n++;
    }
    /* docs/edge.md: half of it is safe */
    assert_in_range(n, nonces_capacity(nonces) / 2, nonces_capacity(nonces));
    assert_in_range(nonces_capacity(nonces), 131000, 131072);
    free(memory);
}

/* Threads that all add the same nonces, in rows so short of room that their places are always being
 * taken over, at times of their own. */
enum { THREADS = 4, NONCES = 60000, LIFE = 3 };

struct race {
    struct nonces *nonces;
    _Atomic unsigned *won;
    unsigned id;
    pthread_barrier_t *start;
};

/* The time of a nonce goes on with its number; some see it a little late or early. */
static int64_t time_of(unsigned n)
{
    return NOW + n / 24;
}

static void *race(void *argument)
{
    struct race *r = argument;
    uint64_t lot = 88172645463325252u + r->id;
    pthread_barrier_wait(r->start);
    for (unsigned i = 0; i < NONCES; i++) {
        lot ^= lot << 13;
        lot ^= lot >> 7;
        lot ^= lot << 17;
        unsigned n = i ^ (unsigned)(lot & 3); /* neighbours in any order */
        int64_t now = time_of(n) + (int64_t)(lot >> 8 & 1);
        if (n < NONCES && add(r->nonces, n, time_of(n) + LIFE, now) == NONCES_ADDED) {
            atomic_fetch_add(&r->won[n], 1);
        }
    }
    return NULL;
}

static void one_of_many_wins(void **state)
{
    (void)state;
    void *memory;
    size_t size = HEAD + 4 * ROW * 8;
    struct nonces *nonces = table(&memory, size);
    _Atomic unsigned *won = calloc(NONCES, sizeof(*won));
    assert_non_null(won);
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, THREADS);
    pthread_t threads[THREADS];
    struct race races[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        races[i] = (struct race){ nonces, won, i, &start };
        assert_int_equal(pthread_create(&threads[i], NULL, race, &races[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    unsigned once = 0;
    for (unsigned i = 0; i < NONCES; i++) {
        assert_true(won[i] <= 1);
        once += won[i];
    }
    /* Nearly all, or there was no race at all: some find their row full for the moment. */
    assert_true(once > NONCES / 2);
    pthread_barrier_destroy(&start);
    free(won);
    free(memory);
}

/* Processes that add are killed again and again: none of their nonces is won twice, and none blocks
 * a place for longer than its time. */
struct shared {
    _Atomic unsigned won[1 << 20];
    _Atomic unsigned next;
};

static void who_dies_holds_nothing(void **state)
{
    (void)state;
    enum { SIZE = HEAD + 64 * ROW * 8, DEATHS = 150 };
    char *memory = mmap(NULL, SIZE + sizeof(struct shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    struct shared *shared = (struct shared *)(memory + SIZE); /* a multiple of 64 */
    struct nonces *nonces = nonces_create(memory, SIZE, secret, NOW);
    assert_non_null(nonces);
    pid_t children[2] = { 0, 0 };
    for (int deaths = 0; deaths < DEATHS; deaths++) {
        for (int i = 0; i < 2; i++) {
            if (children[i] == 0) {
                children[i] = fork();
                assert_true(children[i] >= 0);
            }
            if (children[i] == 0) {
                for (;;) {
                    unsigned n = atomic_fetch_add(&shared->next, 1) / 2; /* twice each */
                    if (n < 1 << 20 &&
                        add(nonces, n, NOW + n / 256 + 2, NOW + n / 256) == NONCES_ADDED) {
                        atomic_fetch_add(&shared->won[n], 1);
                    }
                    if (n >= 1 << 20) {
                        pause();
                    }
                }
            }
        }
        struct timespec nap = { 0, 300000 + deaths * 1000 };
        nanosleep(&nap, NULL);
        kill(children[deaths % 2], SIGKILL);
        assert_int_equal(waitpid(children[deaths % 2], NULL, 0), children[deaths % 2]);
        children[deaths % 2] = 0;
    }
    for (int i = 0; i < 2; i++) {
        if (children[i] != 0) {
            kill(children[i], SIGKILL);
            assert_int_equal(waitpid(children[i], NULL, 0), children[i]);
        }
    }
    unsigned won = 0, last = shared->next / 2;
    for (unsigned i = 0; i < last && i < 1 << 20; i++) {
        assert_true(shared->won[i] <= 1);
        won += shared->won[i];
    }
    assert_true(won > 1000);
    assert_true(won >= (last < 1 << 20 ? last : 1 << 20) * 9 / 10);
    int64_t after = NOW + (1 << 20); /* all of them are over: the whole table is free again */
    assert_int_equal(nonces_live(nonces, after), 0);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(add(nonces, UINT64_MAX - i, after + 600, after), NONCES_ADDED);
    }
    munmap(memory, SIZE + sizeof(struct shared));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_and_never_again),
        cmocka_unit_test(what_is_in_force_stays),
        cmocka_unit_test(a_table_is_taken_over_or_not),
        cmocka_unit_test(most_fit_before_a_row_is_full),
        cmocka_unit_test(one_of_many_wins),
        cmocka_unit_test(who_dies_holds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
