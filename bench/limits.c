// The table of limits alone: decisions a second of one thread and of two in one table, for many
// keys and for a single one; and how many keys a megabyte holds. Prints lines of name, value, unit.
// sources: ngx_module/limits.c ngx_module/siphash.c
// libs: -lpthread
#include <err.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "limits.h"

enum { MEGABYTE = 1 << 20, ZONE = 4 * MEGABYTE, KEYS = 100000, TURNS = 7, THREADS = 2 };

static const int64_t RUN = 200 * INT64_C(1000000); // ns of processor time a thread and turn
static const int64_t BEGAN = INT64_C(1000000000);
static const uint8_t secret[16] = "sixteen bytes ok";

struct work {
    struct limits *table;
    uint32_t keys;
    uint64_t seed; // of their order
    double rate;   // decisions a second of processor time
    double shared; // of the wall's time this thread had a processor
};

static atomic_int ready;

static int64_t now(clockid_t clock)
{
    struct timespec ts;
    if (clock_gettime(clock, &ts) != 0) {
        err(1, "clock_gettime");
    }
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static struct limits *new_table(void **memory, size_t size)
{
    *memory = aligned_alloc(64, size);
    struct limits *table = *memory == NULL ? NULL : limits_create(*memory, size, secret, BEGAN);
    if (table == NULL) {
        err(1, "table");
    }
    return table;
}

static bool ask(struct limits *table, uint32_t key, struct limits_rate rate, int64_t when)
{
    struct limits_charge charge = { .table = table, .rate = rate, .cost = 1 };
    limits_key(table, &key, sizeof(key), charge.hash);
    return limits_decide(&charge, 1, when);
}

static void *decide(void *arg)
{
    struct work *work = arg;
    static const struct limits_rate rate = { .period = 1, .burst = LIMITS_DEBT_MAX };
    atomic_fetch_sub(&ready, 1);
    while (atomic_load(&ready) > 0) {
    }
    int64_t began = now(CLOCK_MONOTONIC), start = now(CLOCK_THREAD_CPUTIME_ID), took;
    uint64_t n = 0, seed = work->seed;
    do {
        int64_t when = now(CLOCK_MONOTONIC);
        for (int i = 0; i < 1000; i++, n++) {
            // In no order, and each thread in another: clients of two workers do not walk in step.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            uint32_t key = (uint32_t)((seed >> 32) * work->keys >> 32);
            if (!ask(work->table, key, rate, when + i)) {
                errx(1, "a limit that allows refuses");
            }
        }
        took = now(CLOCK_THREAD_CPUTIME_ID) - start;
    } while (took < RUN);
    work->rate = (double)n / (double)took * 1e9;
    work->shared = (double)took / (double)(now(CLOCK_MONOTONIC) - began);
    return NULL;
}

// Decisions a second of all threads together, by their processor time: on a machine with other work
// the clock of the wall would measure that.
static double run(int threads, uint32_t keys, double *shared)
{
    void *memory;
    struct limits *table = new_table(&memory, ZONE);
    pthread_t id[THREADS];
    struct work work[THREADS];
    double sum = 0;
    *shared = 1;
    atomic_store(&ready, threads);
    for (int i = 0; i < threads; i++) {
        work[i] =
            (struct work){ .table = table, .keys = keys, .seed = 88172645463325252 + (uint64_t)i };
        if (pthread_create(&id[i], NULL, decide, &work[i]) != 0) {
            errx(1, "pthread_create");
        }
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(id[i], NULL);
        sum += work[i].rate;
        *shared = work[i].shared < *shared ? work[i].shared : *shared;
    }
    free(memory);
    return sum;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void scale(const char *name, uint32_t keys)
{
    double one[TURNS], two[TURNS], ratio[TURNS], shared[TURNS];
    for (int i = 0; i < TURNS; i++) {
        one[i] = run(1, keys, &shared[i]);
        two[i] = run(2, keys, &shared[i]);
        ratio[i] = two[i] / one[i];
    }
    qsort(one, TURNS, sizeof(*one), ascending);
    qsort(two, TURNS, sizeof(*two), ascending);
    qsort(ratio, TURNS, sizeof(*ratio), ascending);
    qsort(shared, TURNS, sizeof(*shared), ascending);
    printf("table_%s_one_thread %.0f 1/s\n", name, one[TURNS / 2]);
    printf("table_%s_two_threads %.0f 1/s\n", name, two[TURNS / 2]);
    printf("table_%s_two_to_one %.3f ratio\n", name, ratio[TURNS / 2]);
    // Well under 1: the two seldom ran at once, and the line above says little.
    printf("table_%s_at_once %.2f ratio\n", name, shared[TURNS / 2]);
}

// Each key owes a minute: whoever goes has to be forgotten while he still owes.
static void fill(void)
{
    void *memory;
    struct limits *table = new_table(&memory, MEGABYTE);
    static const struct limits_rate rate = { .period = INT64_C(60000000000), .burst = 1 };
    uint64_t capacity = limits_capacity(table), first = 0;
    for (uint32_t key = 0; key < capacity; key++) {
        if (!ask(table, key, rate, BEGAN + 1)) {
            errx(1, "a new key is refused");
        }
        if (first == 0 && limits_evicted(table) > 0) {
            first = key;
        }
        if (key + 1 == capacity / 2) {
            printf("megabyte_keys_held_of_half_full %.4f ratio\n",
                   (double)limits_owing(table, BEGAN + 1) / (key + 1));
        }
    }
    printf("megabyte_keys_capacity %llu keys\n", (unsigned long long)capacity);
    printf("megabyte_keys_before_the_first_goes %llu keys\n", (unsigned long long)first);
    printf("megabyte_keys_held_of_as_many %llu keys\n",
           (unsigned long long)limits_owing(table, BEGAN + 1));
    free(memory);
}

int main(void)
{
    scale("many_keys", KEYS);
    scale("one_key", 1);
    fill();
    return 0;
}
