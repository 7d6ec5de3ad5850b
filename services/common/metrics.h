/* Counters and a latency histogram, printed in the Prometheus text format. */
#ifndef METRICS_H
#define METRICS_H

#include "arena.h"

/* A counter or gauge: define it static, register it once at start. Names as
 * "otklik_intake_appeals_total". */
struct metric {
    const char *name, *help;
    const char *type; /* "counter" or "gauge" */
    double value;
    struct metric *next;
};
void metric_register(struct metric *m);

/* Durations; buckets 1 ms … 10 s. */
struct histogram {
    const char *name, *help;
    uint64_t buckets[14];
    uint64_t count;
    double sum; /* seconds */
    struct histogram *next;
};
void histogram_register(struct histogram *h);
void histogram_observe(struct histogram *h, double seconds);

struct str metrics_print(struct arena *a);

#endif
