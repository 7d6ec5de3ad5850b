/*
 * What was charged since somebody last asked: a fixed table of sums that
 * processes share.
 *
 * A key may be in four places, two cache lines side by side.  A place:
 *
 *     id      63 bits of the key's hash; 0: free
 *              1 bit: between owners
 *     key     58 more bits of the hash
 *              6 bits: the logarithm of what its limit allows
 *     sum     10 bits: generation
 *             54 bits: ns charged
 *     since   ns, when the first of them was
 *
 * A place is taken in three steps (id between owners, key, id) and given up in
 * three (id between owners, next generation if the sum is 0, id 0), each a
 * compare-and-swap, so nobody's step can hit what has another owner by now.
 * Who dies half way leaves it between owners, and the next cut gives it up.
 *
 * To add is one compare-and-swap of the sum: it fails when the place was given
 * up meanwhile, for the generation has changed.  Two that bring the same key
 * may each take a place; both are cut, the sum is right.
 */

#include "deltas.h"

#include <stdatomic.h>
#include <string.h>

#define LAYOUT        UINT64_C(0x6f746b6c646c7431)   /* "otkldlt1" */
#define HEAD_SIZE     64
#define ROW_PLACES    4
#define TRIES         3

#define BETWEEN       UINT64_C(1)

#define SUM_BITS      54
#define SUM_MASK      ((UINT64_C(1) << SUM_BITS) - 1)
#define GENERATION    (UINT64_C(1) << SUM_BITS)

#define MOST_BITS     6
#define MOST_MASK     ((UINT64_C(1) << MOST_BITS) - 1)

typedef _Atomic uint64_t shared_word;

struct place {
    shared_word  id;
    shared_word  key;
    shared_word  sum;
    shared_word  since;
};

struct row {
    struct place  places[ROW_PLACES];
};

struct deltas {
    uint64_t     layout;
    uint64_t     size;
    uint64_t     rows;
    shared_word  missed;
    uint64_t     unused[4];
    struct row   row[];
};

_Static_assert(sizeof(struct deltas) == HEAD_SIZE, "rows are aligned");
_Static_assert(sizeof(struct row) == 128, "a row is two lines");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit words need no lock");


static uint64_t
get(const shared_word *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}


static bool
swap(shared_word *word, uint64_t *old, uint64_t new)
{
    return atomic_compare_exchange_strong_explicit(word, old, new,
               memory_order_acq_rel, memory_order_acquire);
}


void
deltas_key(const uint64_t hash[2], uint64_t key[2])
{
    key[0] = hash[0] & ~BETWEEN;
    key[1] = hash[1] & ~MOST_MASK;

    if (key[0] == 0) {
        key[0] = BETWEEN << 1;
    }
}


static struct row *
row_of(const struct deltas *deltas, uint64_t id)
{
    uint64_t  i;

    /* its low half: the table of debts goes by the other */

    i = (id & UINT32_MAX) * deltas->rows >> 32;

    return (struct row *) &deltas->row[i];
}


/* The least power of two that is not under most, as its logarithm. */

static uint64_t
bits_of(int64_t most)
{
    return most > 1 ? 64 - (uint64_t) __builtin_clzll((uint64_t) most - 1) : 0;
}


struct deltas *
deltas_create(void *memory, size_t size)
{
    struct deltas  *deltas;

    if (size < HEAD_SIZE + sizeof(struct row)
        || (uintptr_t) memory % HEAD_SIZE != 0)
    {
        return NULL;
    }

    deltas = memory;
    deltas->size = size;
    deltas->rows = (size - HEAD_SIZE) / sizeof(struct row);

    if (deltas->rows > UINT32_MAX) {
        deltas->rows = UINT32_MAX;
    }

    deltas->layout = LAYOUT;

    return deltas;
}


struct deltas *
deltas_attach(void *memory, size_t size)
{
    struct deltas  *deltas;

    deltas = memory;

    return size >= HEAD_SIZE + sizeof(struct row)
           && deltas->layout == LAYOUT
           && deltas->size == size ? deltas : NULL;
}


/* False if the place is not, or no longer, the key's. */

static bool
charge(struct place *place, const uint64_t key[2], int64_t cost, uint64_t most,
    int64_t now)
{
    uint64_t  sum, new, had;

    sum = get(&place->sum);

    do {
        /* after the sum was read: its generation is that of this owner */

        if (get(&place->id) != key[0]) {
            return false;
        }

        if ((sum & SUM_MASK) == 0) {
            atomic_store_explicit(&place->since, (uint64_t) now,
                                  memory_order_relaxed);
        }

        new = (sum & SUM_MASK) + (uint64_t) cost;

        if (new > SUM_MASK) {
            new = SUM_MASK;
        }

    } while (!swap(&place->sum, &sum, (sum & ~SUM_MASK) | new));

    had = get(&place->key);

    if ((had & MOST_MASK) != most && (had & ~MOST_MASK) == key[1]) {
        (void) swap(&place->key, &had, key[1] | most);
    }

    return true;
}


static bool
take(struct place *place, const uint64_t key[2], uint64_t most)
{
    uint64_t  id, had;

    had = get(&place->key);
    id = 0;

    if (!swap(&place->id, &id, key[0] | BETWEEN)) {
        return false;
    }

    id = key[0] | BETWEEN;

    if (!swap(&place->key, &had, key[1] | most)) {
        (void) swap(&place->id, &id, 0);
        return false;
    }

    return swap(&place->id, &id, key[0]);
}


bool
deltas_add(struct deltas *deltas, const uint64_t hash[2], int64_t cost,
    int64_t most, int64_t now)
{
    unsigned       i, tries;
    uint64_t       key[2], bits;
    struct row    *row;
    struct place  *free;

    deltas_key(hash, key);
    row = row_of(deltas, key[0]);
    bits = bits_of(most);

    for (tries = 0; tries < TRIES; tries++) {
        free = NULL;

        for (i = 0; i < ROW_PLACES; i++) {
            if (charge(&row->places[i], key, cost, bits, now)) {
                return true;
            }

            if (free == NULL && get(&row->places[i].id) == 0) {
                free = &row->places[i];
            }
        }

        if (free == NULL) {
            break;
        }

        if (take(free, key, bits) && charge(free, key, cost, bits, now)) {
            return true;
        }
    }

    atomic_fetch_add_explicit(&deltas->missed, 1, memory_order_relaxed);

    return false;
}


int64_t
deltas_charged(const struct deltas *deltas, const uint64_t hash[2],
    int64_t *since)
{
    int64_t              charged, first;
    unsigned             i;
    uint64_t             key[2];
    const struct place  *place;

    deltas_key(hash, key);
    place = row_of(deltas, key[0])->places;
    charged = 0;
    *since = INT64_MAX;

    for (i = 0; i < ROW_PLACES; i++, place++) {
        if (get(&place->id) != key[0] || (get(&place->sum) & SUM_MASK) == 0) {
            continue;
        }

        first = (int64_t) get(&place->since);
        charged += (int64_t) (get(&place->sum) & SUM_MASK);

        if (first < *since) {
            *since = first;
        }
    }

    return charged;
}


/* Gives up a place, unless it has been charged. */

static void
give_up(struct place *place, uint64_t id)
{
    uint64_t  sum, old;

    old = id;
    id |= BETWEEN;

    if (old != id && !swap(&place->id, &old, id)) {
        return;
    }

    sum = get(&place->sum);
    old = id;

    if ((sum & SUM_MASK) == 0 && swap(&place->sum, &sum, sum + GENERATION)) {
        (void) swap(&place->id, &old, 0);

    } else {
        (void) swap(&place->id, &old, id & ~BETWEEN);
    }
}


static struct place *
place_at(const struct deltas *deltas, size_t at)
{
    return (struct place *) &deltas->row[at / ROW_PLACES]
                                 .places[at % ROW_PLACES];
}


/* Takes the sum of a place; false if there is none. */

static bool
cut_place(struct place *place, struct delta *cut)
{
    uint64_t  id, key, sum;

    sum = get(&place->sum);

    do {
        /* after the sum, as above: another may cut and give up, too */

        id = get(&place->id);

        if (id == 0) {
            return false;
        }

        if ((id & BETWEEN) || (sum & SUM_MASK) == 0) {
            give_up(place, id);
            return false;
        }

        key = get(&place->key);
        cut->since = (int64_t) get(&place->since);

    } while (!swap(&place->sum, &sum, sum & ~SUM_MASK));

    cut->hash[0] = id;
    cut->hash[1] = key & ~MOST_MASK;
    cut->most = INT64_C(1) << (key & MOST_MASK);
    cut->charged = (int64_t) (sum & SUM_MASK);

    give_up(place, id);

    return true;
}


size_t
deltas_cut(struct deltas *deltas, size_t *at, size_t looks, struct delta *cut,
    size_t n)
{
    size_t  got, end;

    end = deltas_places(deltas);

    if (looks < end - *at) {
        end = *at + looks;
    }

    for (got = 0; *at < end && got < n; ++*at) {
        if (cut_place(place_at(deltas, *at), &cut[got])) {
            got++;
        }
    }

    return got;
}


void
deltas_forget(struct deltas *deltas, size_t *at, size_t looks, int64_t now)
{
    size_t         end;
    uint64_t       id, sum;
    struct place  *place;

    end = deltas_places(deltas);

    if (looks < end - *at) {
        end = *at + looks;
    }

    for (/* void */ ; *at < end; ++*at) {
        place = place_at(deltas, *at);
        sum = get(&place->sum);
        id = get(&place->id);

        if (id == 0) {
            continue;
        }

        /* who owes nothing yet, or no more; or who died half way */

        if ((int64_t) (get(&place->since) + (sum & SUM_MASK)) < now) {
            (void) swap(&place->sum, &sum, sum & ~SUM_MASK);
            give_up(place, id);

        } else if (id & BETWEEN) {
            give_up(place, id);
        }
    }
}


size_t
deltas_places(const struct deltas *deltas)
{
    return deltas->rows * ROW_PLACES;
}


uint64_t
deltas_missed(const struct deltas *deltas)
{
    return atomic_load_explicit(&deltas->missed, memory_order_relaxed);
}
