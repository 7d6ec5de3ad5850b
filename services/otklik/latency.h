/* Durations in buckets 2 % wide: percentiles of millions in 8 KiB. */
#ifndef LATENCY_H
#define LATENCY_H

#include <stdint.h>

enum { LATENCY_STEPS = 32, LATENCY_BUCKETS = 32 * LATENCY_STEPS };

struct latency {
    uint64_t buckets[LATENCY_BUCKETS]; /* LATENCY_STEPS for each doubling, from 1 µs on */
    uint64_t count;
    int64_t max_us;
};

void latency_add(struct latency *l, int64_t us);
/* The duration that the share P (0 … 1) does not exceed, in ms; 0 when there are none. */
double latency_ms(const struct latency *l, double p);

#endif
