/*
 * Riddles made ahead.
 *
 * The state of a slot is a number that only grows: even, it is empty; odd,
 * there is a riddle in it.  Whoever puts writes into an empty slot and then
 * moves the state; whoever takes copies from a full one and then moves it.
 * Either is one compare-and-swap and nobody ever holds a slot, so who dies in
 * between loses what it had in hand and no more.
 *
 * Two may write into the same empty slot.  The one that moves the state last
 * has lost, and drops its riddle, for some of it may be in the slot.  An entry
 * has a keyed hash of itself and its state, so what is mixed of two is not
 * believed: whoever takes it out throws it away.
 */

#include "pool.h"

#include <stdatomic.h>
#include <string.h>

#include <openssl/crypto.h>

/* changes with everything another version could misread */
#define LAYOUT  UINT64_C(0x6f746b706f6f3031)

#define ALIGNMENT  64

/* the words of an entry: a riddle, its kind, and a hash of both */
#define RIDDLE_WORDS  (sizeof(struct altcha_riddle) / sizeof(uint64_t))
#define WORD_KIND     RIDDLE_WORDS
#define WORD_STATE    (RIDDLE_WORDS + 1)      /* hashed, but not kept */
#define WORD_PROOF    (RIDDLE_WORDS + 1)
#define WORDS         (RIDDLE_WORDS + 3)

struct entry {
    _Atomic uint64_t  words[WORDS];
};

struct pool {
    uint64_t          layout;
    uint64_t          slots;
    uint8_t           secret[SIPHASH_KEY_SIZE];
    _Atomic uint64_t  next_put[POOL_LEVELS];
    _Atomic uint64_t  next_take[POOL_LEVELS];
    uint64_t          unused[4];
    _Atomic uint64_t  states[];               /* then the entries */
};

_Static_assert(sizeof(struct altcha_riddle) % sizeof(uint64_t) == 0,
               "a riddle is whole words");
_Static_assert(sizeof(struct pool) % ALIGNMENT == 0, "states are aligned");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "words need no lock");


static size_t
states_size(size_t slots)
{
    size_t  size;

    size = POOL_LEVELS * slots * sizeof(uint64_t);

    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}


size_t
pool_size(size_t slots)
{
    return sizeof(struct pool) + states_size(slots)
           + POOL_LEVELS * slots * sizeof(struct entry);
}


struct pool *
pool_create(void *memory, size_t slots, const uint8_t *secret)
{
    struct pool  *pool;

    if (slots == 0 || slots > POOL_SLOTS_MAX
        || (uintptr_t) memory % ALIGNMENT != 0)
    {
        return NULL;
    }

    memset(memory, 0, pool_size(slots));

    pool = memory;
    pool->slots = slots;
    memcpy(pool->secret, secret, sizeof(pool->secret));
    pool->layout = LAYOUT;

    return pool;
}


struct pool *
pool_attach(void *memory, size_t slots)
{
    struct pool  *pool;

    pool = memory;

    return pool->layout == LAYOUT && pool->slots == slots ? pool : NULL;
}


static struct entry *
entry_of(struct pool *pool, size_t slot)
{
    struct entry  *entries;

    entries = (struct entry *) ((char *) pool->states
                                + states_size(pool->slots));

    return &entries[slot];
}


static void
prove(const struct pool *pool, const uint64_t *words, uint64_t state,
    uint64_t proof[2])
{
    uint64_t  content[WORD_STATE + 1];

    memcpy(content, words, WORD_STATE * sizeof(uint64_t));
    content[WORD_STATE] = state;

    siphash128(pool->secret, content, sizeof(content), proof);
    OPENSSL_cleanse(content, sizeof(content));
}


/* A slot of that level whose state is odd or even, as asked, and the state. */

static bool
find(struct pool *pool, unsigned level, _Atomic uint64_t *next, uint64_t odd,
    size_t *slot, uint64_t *state)
{
    size_t    i;
    uint64_t  first;

    first = atomic_fetch_add_explicit(next, 1, memory_order_relaxed);

    for (i = 0; i < pool->slots; i++) {
        *slot = level * pool->slots + (first + i) % pool->slots;
        *state = atomic_load_explicit(&pool->states[*slot],
                                      memory_order_acquire);

        if (*state % 2 == odd) {
            return true;
        }
    }

    return false;
}


bool
pool_put(struct pool *pool, unsigned level, uint64_t kind,
    const struct altcha_riddle *riddle)
{
    size_t         i, slot;
    uint64_t       words[WORDS], state;
    struct entry  *entry;

    if (!find(pool, level, &pool->next_put[level], 0, &slot, &state)) {
        return false;
    }

    memcpy(words, riddle, sizeof(*riddle));
    words[WORD_KIND] = kind;
    prove(pool, words, state + 1, &words[WORD_PROOF]);

    entry = entry_of(pool, slot);

    for (i = 0; i < WORDS; i++) {
        atomic_store_explicit(&entry->words[i], words[i],
                              memory_order_relaxed);
    }

    (void) atomic_compare_exchange_strong_explicit(&pool->states[slot], &state,
               state + 1, memory_order_release, memory_order_relaxed);

    OPENSSL_cleanse(words, sizeof(words));

    return true;
}


bool
pool_take(struct pool *pool, unsigned level, uint64_t kind,
    struct altcha_riddle *riddle)
{
    bool           good;
    size_t         i, slot;
    uint64_t       words[WORDS], proof[2], state;
    struct entry  *entry;

    good = false;

    while (!good
           && find(pool, level, &pool->next_take[level], 1, &slot, &state))
    {
        entry = entry_of(pool, slot);

        for (i = 0; i < WORDS; i++) {
            words[i] = atomic_load_explicit(&entry->words[i],
                                            memory_order_relaxed);
        }

        prove(pool, words, state, proof);

        good = words[WORD_PROOF] == proof[0]
               && words[WORD_PROOF + 1] == proof[1]
               && words[WORD_KIND] == kind;

        /* all was read before it is given up */

        if (!atomic_compare_exchange_strong_explicit(&pool->states[slot],
                &state, state + 1, memory_order_acq_rel,
                memory_order_relaxed))
        {
            good = false;
        }
    }

    if (good) {
        memcpy(riddle, words, sizeof(*riddle));
    }

    OPENSSL_cleanse(words, sizeof(words));

    return good;
}


size_t
pool_ready(const struct pool *pool, unsigned level)
{
    size_t    i, n;
    uint64_t  state;

    n = 0;

    for (i = 0; i < pool->slots; i++) {
        state = atomic_load_explicit(&pool->states[level * pool->slots + i],
                                     memory_order_relaxed);
        n += state % 2;
    }

    return n;
}
