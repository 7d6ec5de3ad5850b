/* Counters and a latency histogram, printed in the Prometheus text format (version 0.0.4). */
#include "metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { BUCKETS = 14, LINE_BYTES = 256 };

/* Upper bounds, seconds; the last bucket has none. */
static const double bounds[BUCKETS - 1] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                            0.25,  0.5,    1,     2.5,  5,     10 };

static struct {
    struct metric *metrics;
    struct histogram *histograms;
} state;

void metric_register(struct metric *m)
{
    struct metric **end = &state.metrics;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = m;
}

void histogram_register(struct histogram *h)
{
    struct histogram **end = &state.histograms;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = h;
}

void histogram_observe(struct histogram *h, double seconds)
{
    size_t i = 0;
    while (i < BUCKETS - 1 && seconds > bounds[i]) {
        i++;
    }
    h->buckets[i]++;
    h->count++;
    h->sum += seconds;
}

struct writer {
    char *p;
    size_t n, size;
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(w->p + w->n, w->size - w->n, format, args);
    va_end(args);
    if (n > 0) {
        w->n += (size_t)n < w->size - w->n ? (size_t)n : w->size - w->n - 1;
    }
}

struct str metrics_print(struct arena *a)
{
    size_t size = 1;
    for (const struct metric *m = state.metrics; m != NULL; m = m->next) {
        size += LINE_BYTES + 2 * strlen(m->name) + strlen(m->help);
    }
    for (const struct histogram *h = state.histograms; h != NULL; h = h->next) {
        size += (BUCKETS + 4) * (LINE_BYTES / 2 + strlen(h->name)) + strlen(h->help);
    }
    struct writer w = { arena_alloc(a, size), 0, size };
    if (w.p == NULL) {
        return (struct str){ NULL, 0 };
    }
    for (const struct metric *m = state.metrics; m != NULL; m = m->next) {
        put(&w, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", m->name, m->help, m->name, m->type,
            m->name, m->value);
    }
    for (const struct histogram *h = state.histograms; h != NULL; h = h->next) {
        put(&w, "# HELP %s %s\n# TYPE %s histogram\n", h->name, h->help, h->name);
        uint64_t below = 0;
        for (size_t i = 0; i < BUCKETS - 1; i++) {
            below += h->buckets[i];
            put(&w, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", h->name, bounds[i], below);
        }
        put(&w, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.17g\n%s_count %" PRIu64 "\n", h->name,
            h->count, h->name, h->sum, h->name, h->count);
    }
    return (struct str){ w.p, w.n };
}
