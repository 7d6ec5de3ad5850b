/*
 * What was charged since somebody last asked: a fixed table of sums that
 * processes share.  Any of them adds; one takes the sums away, now and then,
 * to tell others.
 *
 * Nobody ever locks it and a process may die between any two instructions.
 * What finds no room is counted, and not added.
 */

#ifndef DELTAS_H
#define DELTAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deltas;                 /* the table, inside the caller's memory */

/* What one key was charged. */
struct delta {
    uint64_t  hash[2];         /* without the bits that deltas_key() drops */
    int64_t   charged;         /* ns */
    int64_t   since;           /* ns, monotonic: when the first of it was */
    int64_t   most;            /* ns of debt allowed, up to twice as much */
};

/*
 * Makes an empty table in size bytes at memory, which must be aligned to 64,
 * be zeroed and be held by no one else yet.  NULL if it is too small.
 */
struct deltas *deltas_create(void *memory, size_t size);

/*
 * The table that deltas_create() made there, perhaps in another process or by
 * an older version of this code: then, or if the size differs, NULL.
 */
struct deltas *deltas_attach(void *memory, size_t size);

/* What a key is known by here, and so to others: 121 bits of its hash. */
void deltas_key(const uint64_t hash[2], uint64_t key[2]);

/*
 * Adds cost (ns) to what the key was charged.  most is the debt its limit
 * allows, ns.  False if there was no room.
 */
bool deltas_add(struct deltas *deltas, const uint64_t hash[2], int64_t cost,
    int64_t most, int64_t now);

/* What was added and not yet cut, ns, and since when. */
int64_t deltas_charged(const struct deltas *deltas, const uint64_t hash[2],
    int64_t *since);

/*
 * Takes away what was added to at most n keys, looking at no more than so many
 * places from *at on, and moves that on: to deltas_places() in the end.  The
 * places are free again.
 */
size_t deltas_cut(struct deltas *deltas, size_t *at, size_t looks,
    struct delta *cut, size_t n);

/* The same without telling: gives up who has paid all that was added. */
void deltas_forget(struct deltas *deltas, size_t *at, size_t looks,
    int64_t now);

size_t deltas_places(const struct deltas *deltas);

/* How often there was no room. */
uint64_t deltas_missed(const struct deltas *deltas);

#endif
