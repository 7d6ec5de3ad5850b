/*
 * How much is asked for, smoothed over seconds, and how difficult it is to be
 * made for that: in memory that processes share.
 *
 * Up at once when the load passes a threshold; down, one level at a time, when
 * it stayed below half of that threshold for a while.
 */

#ifndef LOAD_H
#define LOAD_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_LEVELS  4                        /* the first has no threshold */

/* All zeros is a load that never was. */
struct load {
    _Atomic uint64_t  events;                 /* since it began */
    _Atomic uint64_t  counted;                /* of them, in the rate */
    _Atomic int64_t   measured;               /* ns, when that was */
    _Atomic int64_t   rate;                   /* 1 is 0.001 a second */
    _Atomic int64_t   quiet;                  /* ns, below the mark since; 0 */
    _Atomic uint64_t  level;
};

struct load_policy {
    size_t   levels;                          /* 1 .. LOAD_LEVELS */
    int64_t  from[LOAD_LEVELS];               /* 1 is 0.001 a second, rising */
    int64_t  hold;                            /* ns */
};

/* Something was asked for. */
void load_count(struct load *load);

/* The level at a moment, ns of CLOCK_MONOTONIC, measured anew if it is time. */
unsigned load_level(struct load *load, const struct load_policy *policy,
    int64_t now);

/* What was measured last. */
int64_t load_rate(const struct load *load);
unsigned load_last_level(const struct load *load);

#endif
