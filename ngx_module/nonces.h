/*
 * Numbers that were used once and may not be used again: a fixed table that
 * processes share.
 *
 * One that is still in force never makes room for another: a table that is
 * full says so.
 */

#ifndef NONCES_H
#define NONCES_H

#include <stddef.h>
#include <stdint.h>

#include "siphash.h"

struct nonces;

enum nonces_verdict {
    NONCES_ADDED,
    NONCES_SPENT,                             /* it is there already */
    NONCES_FULL
};

/*
 * Makes an empty table in size bytes at memory, which must be aligned to 64
 * and be held by no one else yet.  The secret (16 bytes) keys the hash; now is
 * in seconds since 1970.  Returns NULL if the memory is too small.
 */
struct nonces *nonces_create(void *memory, size_t size, const uint8_t *secret,
    int64_t now);

/*
 * The table that nonces_create() made there, perhaps in another process or by
 * an older version of this code: then, or if the size differs, NULL.
 */
struct nonces *nonces_attach(void *memory, size_t size);

/*
 * Adds a nonce for as long as it is in force.  Of all that add the same one at
 * any time before that, exactly one has NONCES_ADDED.  The second in which it
 * expires belongs to the nonce: it must be the same whoever adds it.
 */
enum nonces_verdict nonces_add(struct nonces *nonces, const void *nonce,
    size_t n, int64_t until, int64_t now);

/* How many fit, and how many are in force now. */
uint64_t nonces_capacity(const struct nonces *nonces);
uint64_t nonces_live(const struct nonces *nonces, int64_t now);

#endif
