/*
 * Riddles made ahead: to make one takes a thousand times what it takes to hand
 * it out.  A ring for each level of difficulty, in memory that processes
 * share; any of them may put and take, and may die while it does.
 */

#ifndef POOL_H
#define POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "altcha.h"
#include "siphash.h"

#define POOL_LEVELS     4
#define POOL_SLOTS_MAX  16384                 /* of one level */

struct pool;

/* Bytes for that many slots a level. */
size_t pool_size(size_t slots);

/*
 * Makes an empty pool in pool_size() bytes at memory, which must be aligned to
 * 64 and be held by no one else yet.  The secret (16 bytes) guards entries
 * against torn writes.
 */
struct pool *pool_create(void *memory, size_t slots, const uint8_t *secret);

/* What pool_create() made there; NULL if it is of another version or size. */
struct pool *pool_attach(void *memory, size_t slots);

/*
 * Puts in a riddle made under rules of which kind is a number; false if there
 * is no room.  It belongs to the pool then, and must not be used elsewhere.
 */
bool pool_put(struct pool *pool, unsigned level, uint64_t kind,
    const struct altcha_riddle *riddle);

/*
 * Takes out a riddle, which nobody else will have; false if none is ready.
 * Those of another kind are thrown away.
 */
bool pool_take(struct pool *pool, unsigned level, uint64_t kind,
    struct altcha_riddle *riddle);

/* How many are ready at a level. */
size_t pool_ready(const struct pool *pool, unsigned level);

#endif
