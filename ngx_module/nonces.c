/*
 * Numbers that were used once and may not be used again.
 *
 * An entry is one word, and a nonce may live in one row of them only:
 *
 *     28 bits: the second in which it expires, since the table began
 *     36 bits: fingerprint of the nonce (its row tells more bits of it)
 *
 * An entry whose time has passed is free space as it is.  To add is one
 * compare-and-swap, so there is no state between two of them in which a
 * process could die.
 *
 * Why two that add the same nonce at once cannot both win: each reads the whole
 * row and takes its least word, the first of several, and that only when its
 * time has passed.  A word only ever grows, for what replaces it expires later.
 * Say A has replaced the word a in place i, and B later the word b in place k
 * without having seen what A wrote: so B read place i before A wrote, and saw
 * at most a there; it preferred k, so b is at most that.  A read place k before
 * B wrote, and saw at most b; it preferred i, so a is at most that.  So all are
 * equal, both had the same choice between equals, and i is k: but there B
 * would have found another word than it read.
 */

#include "nonces.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

/* changes with everything another version could misread */
#define LAYOUT  UINT64_C(0x6f746b6e6f6e3031)

#define HEAD_SIZE   64
#define ROW         64                        /* entries, in eight lines */

#define TIME_BITS   28
#define PRINT_BITS  (64 - TIME_BITS)
#define PRINT_MASK  ((UINT64_C(1) << PRINT_BITS) - 1)

/* a table lives eight years, then it takes nothing more */
#define TIME_MAX    ((INT64_C(1) << TIME_BITS) - 1)

/*
 * An entry stays a little longer than its nonce: whoever sees the time run
 * ahead of others must not make room for what is good for them.
 */
#define GRACE       5                         /* s */

struct nonces {
    uint64_t          layout;
    uint64_t          rows;
    int64_t           began;                  /* s since 1970 */
    uint8_t           secret[SIPHASH_KEY_SIZE];
    uint64_t          unused[3];
    _Atomic uint64_t  words[];
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "words need no lock");
_Static_assert(sizeof(struct nonces) == HEAD_SIZE, "rows are aligned");


static uint64_t
rows_in(size_t size)
{
    uint64_t  rows;

    if (size < HEAD_SIZE + ROW * sizeof(uint64_t)) {
        return 0;
    }

    rows = (size - HEAD_SIZE) / (ROW * sizeof(uint64_t));

    return rows > UINT32_MAX ? UINT32_MAX : rows;
}


struct nonces *
nonces_create(void *memory, size_t size, const uint8_t *secret, int64_t now)
{
    struct nonces  *nonces;

    if (rows_in(size) == 0 || (uintptr_t) memory % HEAD_SIZE != 0) {
        return NULL;
    }

    memset(memory, 0, size);

    nonces = memory;
    nonces->rows = rows_in(size);
    nonces->began = now - GRACE;
    memcpy(nonces->secret, secret, sizeof(nonces->secret));
    nonces->layout = LAYOUT;

    return nonces;
}


struct nonces *
nonces_attach(void *memory, size_t size)
{
    struct nonces  *nonces;

    nonces = memory;

    return rows_in(size) > 0 && nonces->layout == LAYOUT
           && nonces->rows == rows_in(size) ? nonces : NULL;
}


enum nonces_verdict
nonces_add(struct nonces *nonces, const void *nonce, size_t n, int64_t until,
    int64_t now)
{
    bool               found;
    size_t             i, chosen;
    uint64_t           hash[2], new, word, least;
    _Atomic uint64_t  *row;

    if (until <= now) {
        return NONCES_SPENT;
    }

    until += GRACE - nonces->began;
    now -= nonces->began;

    if (until > TIME_MAX || now < 0) {
        return NONCES_FULL;
    }

    siphash128(nonces->secret, nonce, n, hash);
    row = &nonces->words[((hash[0] >> 32) * nonces->rows >> 32) * ROW];
    new = (uint64_t) until << PRINT_BITS | (hash[1] & PRINT_MASK);

    do {
        found = false;
        chosen = 0;
        least = UINT64_MAX;

        for (i = 0; i < ROW; i++) {
            word = atomic_load_explicit(&row[i], memory_order_acquire);
            found |= word == new;

            if (word < least) {
                least = word;
                chosen = i;
            }
        }

        if (found) {
            return NONCES_SPENT;
        }

        if ((int64_t) (least >> PRINT_BITS) > now) {
            return NONCES_FULL;
        }

    } while (!atomic_compare_exchange_strong_explicit(&row[chosen], &least,
                 new, memory_order_acq_rel, memory_order_relaxed));

    return NONCES_ADDED;
}


uint64_t
nonces_capacity(const struct nonces *nonces)
{
    return nonces->rows * ROW;
}


uint64_t
nonces_live(const struct nonces *nonces, int64_t now)
{
    uint64_t  i, n, word;

    n = 0;

    for (i = 0; i < nonces->rows * ROW; i++) {
        word = atomic_load_explicit(&nonces->words[i], memory_order_relaxed);
        n += (int64_t) (word >> PRINT_BITS) > now - nonces->began;
    }

    return n;
}
