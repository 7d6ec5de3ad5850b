/*
 * A table of debts that several processes share: how often may a key come?
 *
 * The rule is GCRA (ITU-T I.371, the virtual scheduling form): each key has a
 * theoretical arrival time, the moment at which everything it has asked for
 * is paid off.  A request moves it on by its cost; it is refused when that
 * would put it further than the burst allows ahead of now.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC everywhere.
 */

#ifndef LIMITS_H
#define LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* the longest debt a rate may allow: 2^53 ns, about 104 days */
#define LIMITS_DEBT_MAX  (INT64_C(1) << 53)

/* that many limits at most decide about one request */
#define LIMITS_PER_DECISION  8

struct limits;                 /* the table, inside the caller's memory */

struct limits_rate {
    int64_t  period;           /* ns in which one unit is paid off */
    int64_t  burst;            /* units that may come at once, >= 1 */
};

/* One limit asked about one request. */
struct limits_charge {
    /* asked */
    struct limits       *table;
    uint64_t             hash[2];      /* of limits_hash() */
    struct limits_rate   rate;
    int64_t              cost;         /* units, 1 .. rate.burst */

    /* answered */
    bool                 refused;
    int64_t              remaining;    /* units that may come at once now */
    int64_t              full;         /* ns until all of the burst is back */
    int64_t              retry;        /* ns until this cost fits; 0: now */
};

/*
 * Reads "30r/m" (units per s, m, h or d) into the ns of one unit.
 * Returns false if it is anything else, or faster than one unit a ns.
 */
bool limits_parse_rate(const char *text, size_t n, int64_t *period);

/* False if the debt of a full burst would pass LIMITS_DEBT_MAX. */
bool limits_rate_valid(const struct limits_rate *rate);

/*
 * Makes an empty table in size bytes at memory, which must be aligned to 64
 * and be held by no one else yet.  The secret (16 bytes) keys the hash.
 * Returns NULL if the memory is too small for a single line of entries.
 */
struct limits *limits_create(void *memory, size_t size,
    const uint8_t *secret, int64_t now);

/*
 * The table that limits_create() made there, perhaps in another process or by
 * an older version of this code: then, or if the size differs, NULL.
 */
struct limits *limits_attach(void *memory, size_t size);

/*
 * What a key is known by in this table under a policy: the same client under
 * two policies has two debts.
 */
void limits_hash(const struct limits *table, const void *name,
    size_t name_size, const void *key, size_t key_size, uint64_t hash[2]);

/*
 * The two halves of limits_hash(), for who asks often about the same policy
 * or the same key: each word of one exclusive or the same word of the other.
 */
void limits_policy(const struct limits *table, const void *name, size_t n,
    uint64_t policy[2]);
void limits_key(const struct limits *table, const void *key, size_t n,
    uint64_t hash[2]);

/*
 * Changes what limits_policy() gave so that the keys of all such policies are
 * beside each other in this table: on one page or two, which the processor
 * finds faster than many.
 */
void limits_neighbour(const struct limits *table, uint64_t policy[2]);

/*
 * Decides n (<= LIMITS_PER_DECISION) limits about one request: all are
 * charged, or none.  Fills the answers of every charge.  True if it may pass.
 */
bool limits_decide(struct limits_charge *charges, size_t n, int64_t now);

/*
 * Makes a key owe until that time at least (ns, like now): others have told
 * what it was charged elsewhere.  A key that is not there takes the entry of
 * who owes least, if that is less.
 */
void limits_raise(struct limits *table, const uint64_t hash[2], int64_t until,
    int64_t now);

/* Would it pass now?  Fills the answers too, and charges nothing. */
bool limits_peek(struct limits_charge *charges, size_t n, int64_t now);

/* How many keys fit, how many owe something now, and how many that still owed
 * something had to make room for another since the table was made.  Those who
 * owe are counted in 4 MB at most, which takes 0.2 ms; of a larger table that
 * is a sample. */
uint64_t limits_capacity(const struct limits *table);
uint64_t limits_owing(const struct limits *table, int64_t now);
uint64_t limits_evicted(const struct limits *table);

#endif
