/*
 * How much is asked for, and how difficult it is to be made for that.
 *
 * Who moves the time of the last measurement on is the only one to measure;
 * if it dies before it has written what it found, the next one counts those
 * events, too.
 */

#include "load.h"

#include <stdbool.h>

#define TICK    INT64_C(200000000)            /* ns between measurements */
#define WINDOW  INT64_C(4000000000)           /* ns that are smoothed over */

/* beyond any rate, so that products of it fit */
#define RATE_MAX  INT64_C(1000000000000)


void
load_count(struct load *load)
{
    atomic_fetch_add_explicit(&load->events, 1, memory_order_relaxed);
}


/* What the rate becomes when in passed ns that many events came. */

static int64_t
smooth(int64_t rate, uint64_t events, int64_t passed)
{
    double  now, part;

    now = (double) events * 1e12 / (double) passed;

    if (now > (double) RATE_MAX) {
        now = (double) RATE_MAX;
    }

    part = (double) passed / (double) (passed + WINDOW);

    return rate + (int64_t) ((now - (double) rate) * part);
}


static void
choose(struct load *load, const struct load_policy *policy, int64_t rate,
    int64_t before, int64_t now)
{
    int64_t   quiet;
    uint64_t  level;

    level = atomic_load_explicit(&load->level, memory_order_relaxed);
    quiet = atomic_load_explicit(&load->quiet, memory_order_relaxed);

    /* a new configuration may have fewer */

    if (level >= policy->levels) {
        level = policy->levels - 1;
    }

    while (level + 1 < policy->levels && rate >= policy->from[level + 1]) {
        level++;
        quiet = 0;
    }

    while (level > 0 && rate < policy->from[level] / 2) {
        if (quiet == 0) {

            /* as low as it is now it was all the while */

            quiet = before;
        }

        if (now - quiet < policy->hold) {
            break;
        }

        level--;
        quiet += policy->hold;
    }

    if (level == 0 || rate >= policy->from[level] / 2) {
        quiet = 0;
    }

    atomic_store_explicit(&load->quiet, quiet, memory_order_relaxed);
    atomic_store_explicit(&load->level, level, memory_order_relaxed);
}


static void
measure(struct load *load, const struct load_policy *policy, int64_t before,
    int64_t now)
{
    int64_t   rate;
    uint64_t  events, counted;

    events = atomic_load_explicit(&load->events, memory_order_relaxed);
    counted = atomic_load_explicit(&load->counted, memory_order_relaxed);
    rate = atomic_load_explicit(&load->rate, memory_order_relaxed);

    if (before > 0 && before < now) {
        rate = smooth(rate, events - counted, now - before);
    }

    atomic_store_explicit(&load->counted, events, memory_order_relaxed);
    atomic_store_explicit(&load->rate, rate, memory_order_relaxed);
    choose(load, policy, rate, before > 0 ? before : now, now);
}


unsigned
load_level(struct load *load, const struct load_policy *policy, int64_t now)
{
    int64_t   before;
    unsigned  level;

    before = atomic_load_explicit(&load->measured, memory_order_relaxed);

    if ((now - before >= TICK || now < before - TICK)
        && atomic_compare_exchange_strong_explicit(&load->measured, &before,
               now, memory_order_relaxed, memory_order_relaxed))
    {
        measure(load, policy, before, now);
    }

    level = load_last_level(load);

    return level < policy->levels ? level : (unsigned) policy->levels - 1;
}


int64_t
load_rate(const struct load *load)
{
    return atomic_load_explicit(&load->rate, memory_order_relaxed);
}


unsigned
load_last_level(const struct load *load)
{
    return (unsigned) atomic_load_explicit(&load->level,
                                           memory_order_relaxed);
}
