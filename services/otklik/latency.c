/* Percentiles of durations. */
#include "latency.h"

#include <math.h>

void latency_add(struct latency *l, int64_t us)
{
    int bucket = us <= 1 ? 0 : (int)(log2((double)us) * LATENCY_STEPS);
    l->buckets[bucket >= LATENCY_BUCKETS ? LATENCY_BUCKETS - 1 : bucket]++;
    l->count++;
    l->max_us = us > l->max_us ? us : l->max_us;
}

double latency_ms(const struct latency *l, double p)
{
    uint64_t wanted = (uint64_t)ceil(p * (double)l->count), seen = 0;
    for (int i = 0; i < LATENCY_BUCKETS && l->count > 0; i++) {
        seen += l->buckets[i];
        if (seen >= wanted) {
            double upper = exp2((double)(i + 1) / LATENCY_STEPS);
            return (upper > (double)l->max_us ? (double)l->max_us : upper) / 1000;
        }
    }
    return 0;
}
