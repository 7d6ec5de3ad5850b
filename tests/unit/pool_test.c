// Riddles made ahead: each is handed out once and whole, or never, whoever puts, takes or dies.
// sources: ngx_module/pool.c ngx_module/siphash.c
// libs: -lcrypto -lpthread
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pool.h"

enum { KIND = 7, SLOTS = 16 };

static const uint8_t secret[SIPHASH_KEY_SIZE] = "sixteen bytes ok";

static struct pool *a_pool(void **memory, size_t slots)
{
    size_t size = (pool_size(slots) + 63) / 64 * 64;
    *memory = aligned_alloc(64, size);
    assert_non_null(*memory);
    memset(*memory, 0xa5, size);
    struct pool *pool = pool_create(*memory, slots, secret);
    assert_non_null(pool);
    return pool;
}

/* All parts of it say which it is, so that one that is mixed of two is seen. */
static struct altcha_riddle riddle_of(uint64_t n)
{
    struct altcha_riddle riddle;
    uint64_t words[sizeof(riddle) / sizeof(uint64_t)];
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        words[i] = n * 11400714819323198485u + i;
    }
    words[0] = n;
    memcpy(&riddle, words, sizeof(riddle));
    return riddle;
}

static uint64_t number_of(const struct altcha_riddle *riddle)
{
    uint64_t n;
    memcpy(&n, riddle, sizeof(n));
    struct altcha_riddle whole = riddle_of(n);
    return memcmp(riddle, &whole, sizeof(whole)) == 0 ? n : UINT64_MAX;
}

static void a_level_has_its_own(void **state)
{
    (void)state;
    void *memory;
    struct pool *pool = a_pool(&memory, SLOTS);
    struct altcha_riddle riddle;
    for (unsigned level = 0; level < POOL_LEVELS; level++) {
        assert_false(pool_take(pool, level, KIND, &riddle));
        for (uint64_t i = 0; i < SLOTS; i++) {
            riddle = riddle_of(100 * level + i);
            assert_int_equal(pool_ready(pool, level), i);
            assert_true(pool_put(pool, level, KIND, &riddle));
        }
        assert_false(pool_put(pool, level, KIND, &riddle)); /* no room */
    }
    for (unsigned level = 0; level < POOL_LEVELS; level++) {
        uint64_t seen = 0;
        for (uint64_t i = 0; i < SLOTS; i++) {
            assert_true(pool_take(pool, level, KIND, &riddle));
            uint64_t n = number_of(&riddle) - 100 * level;
            assert_true(n < SLOTS);
            assert_int_equal(seen >> n & 1, 0);
            seen |= UINT64_C(1) << n;
        }
        assert_false(pool_take(pool, level, KIND, &riddle));
        assert_int_equal(pool_ready(pool, level), 0);
    }
    for (uint64_t i = 0; i < 10 * SLOTS; i++) { /* round and round */
        riddle = riddle_of(i);
        assert_true(pool_put(pool, 1, KIND, &riddle));
        assert_true(pool_take(pool, 1, KIND, &riddle));
        assert_int_equal(number_of(&riddle), i);
    }
    free(memory);
}

static void another_kind_is_thrown_away(void **state)
{
    (void)state;
    void *memory;
    struct pool *pool = a_pool(&memory, SLOTS);
    struct altcha_riddle riddle = riddle_of(1);
    for (int i = 0; i < 5; i++) {
        assert_true(pool_put(pool, 0, KIND - 1, &riddle));
    }
    riddle = riddle_of(2);
    assert_true(pool_put(pool, 0, KIND, &riddle));
    assert_true(pool_take(pool, 0, KIND, &riddle));
    assert_int_equal(number_of(&riddle), 2);
    assert_false(pool_take(pool, 0, KIND, &riddle));
    assert_int_equal(pool_ready(pool, 0), 0);
    free(memory);
}

static void a_torn_entry_is_thrown_away(void **state)
{
    (void)state;
    void *memory;
    struct pool *pool = a_pool(&memory, 1);
    struct altcha_riddle riddle = riddle_of(1);
    assert_true(pool_put(pool, 0, KIND, &riddle));
    unsigned char *entry = memory; /* it lies where the bytes of the riddle are */
    while (memcmp(entry, &riddle, sizeof(riddle)) != 0) {
        assert_true((size_t)(entry - (unsigned char *)memory) < pool_size(1) - sizeof(riddle));
        entry += 8;
    }
    for (size_t i = 0; i < sizeof(riddle) + 24; i += 3) {
        struct altcha_riddle taken;
        entry[i] ^= 0x10;
        assert_false(pool_take(pool, 0, KIND, &taken));
        assert_true(pool_put(pool, 0, KIND, &riddle)); /* and it is no obstacle */
    }

    /* What a slow writer writes over the next one, when its turn has long passed. */
    unsigned char old[sizeof(riddle) + 24];
    memcpy(old, entry, sizeof(old));
    assert_true(pool_take(pool, 0, KIND, &riddle));
    struct altcha_riddle next = riddle_of(2), taken;
    assert_true(pool_put(pool, 0, KIND, &next));
    memcpy(entry, old, sizeof(old));
    assert_false(pool_take(pool, 0, KIND, &taken));
    free(memory);
}

static void a_pool_is_taken_over_or_not(void **state)
{
    (void)state;
    void *memory;
    struct pool *pool = a_pool(&memory, SLOTS);
    assert_ptr_equal(pool_attach(memory, SLOTS), pool);
    assert_null(pool_attach(memory, SLOTS + 1));
    *(unsigned char *)memory ^= 1;
    assert_null(pool_attach(memory, SLOTS));
    assert_null(pool_create(memory, 0, secret));
    assert_null(pool_create(memory, POOL_SLOTS_MAX + 1, secret));
    assert_null(pool_create((char *)memory + 8, 1, secret));
    free(memory);
}

/* Two that put and two that take, in few slots. */
enum { ALL = 200000 };

struct work {
    struct pool *pool;
    _Atomic uint64_t next;
    _Atomic uint64_t taken;
    _Atomic int putting;
    _Atomic unsigned char seen[ALL];
};

static void *putting(void *argument)
{
    struct work *w = argument;
    uint64_t n;
    while ((n = atomic_fetch_add(&w->next, 1)) < ALL) {
        struct altcha_riddle riddle = riddle_of(n);
        while (!pool_put(w->pool, 2, KIND, &riddle)) {
            sched_yield();
        }
    }
    atomic_fetch_sub(&w->putting, 1);
    return NULL;
}

static void *taking(void *argument)
{
    struct work *w = argument;
    struct altcha_riddle riddle;
    for (;;) {
        int last = atomic_load(&w->putting) == 0;
        if (pool_take(w->pool, 2, KIND, &riddle)) {
            uint64_t n = number_of(&riddle);
            if (n >= ALL || atomic_fetch_add(&w->seen[n], 1) != 0) {
                return w; /* torn, or twice */
            }
            atomic_fetch_add(&w->taken, 1);
        } else if (last) {
            return NULL;
        } else {
            sched_yield();
        }
    }
}

static void many_put_and_take(void **state)
{
    (void)state;
    void *memory;
    struct work *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->pool = a_pool(&memory, 4);
    w->putting = 2;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, i < 2 ? putting : taking, w), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_true(w->taken > ALL * 9 / 10); /* few were dropped where two wrote at once */
    assert_int_equal(pool_ready(w->pool, 2), 0);
    free(w);
    free(memory);
}

static void who_dies_loses_one(void **state)
{
    (void)state;
    enum { DEATHS = 100, ROOM = 64 };
    size_t size = pool_size(ROOM) + sizeof(_Atomic uint64_t);
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    struct pool *pool = pool_create(memory, ROOM, secret);
    assert_non_null(pool);
    for (int i = 0; i < DEATHS; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct altcha_riddle riddle;
            for (uint64_t n = (uint64_t)i << 32;; n++) {
                riddle = riddle_of(n);
                (void)pool_put(pool, 0, KIND, &riddle);
                (void)pool_take(pool, 0, KIND, &riddle);
            }
        }
        struct timespec nap = { 0, 200000 + i * 1000 };
        nanosleep(&nap, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
    }
    size_t left = pool_ready(pool, 0);
    assert_true(left <= DEATHS);
    struct altcha_riddle riddle = riddle_of(1);
    for (size_t i = left; i < ROOM; i++) { /* no slot is lost */
        assert_true(pool_put(pool, 0, KIND, &riddle));
    }
    assert_int_equal(pool_ready(pool, 0), ROOM);
    for (size_t i = 0; i < ROOM; i++) {
        assert_true(pool_take(pool, 0, KIND, &riddle));
        assert_int_not_equal(number_of(&riddle), UINT64_MAX);
    }
    munmap(memory, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_level_has_its_own),
        cmocka_unit_test(another_kind_is_thrown_away),
        cmocka_unit_test(a_torn_entry_is_thrown_away),
        cmocka_unit_test(a_pool_is_taken_over_or_not),
        cmocka_unit_test(many_put_and_take),
        cmocka_unit_test(who_dies_loses_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
