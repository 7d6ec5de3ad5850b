/*
 * A table of debts that several processes share: how often may a key come?
 *
 * An entry is two words, four entries fill a cache line, and a key may live in
 * one line only, so a lookup touches one line of memory:
 *
 *     word   58 bits: the theoretical arrival time, ns since the table began
 *             6 bits: generation
 *     tag    58 bits: fingerprint of the key (its line tells more bits of it)
 *             6 bits: generation
 *
 * An entry belongs to the key of its tag as long as both generations agree.
 * An entry whose time has passed owes nothing and is free space as it is:
 * nothing is ever deleted.
 *
 * There is no lock, and a process may die between any two instructions:
 *
 *   - To charge is one compare-and-swap of the word.  It cannot hit a key that
 *     has lost the entry meanwhile: the generation would have changed.
 *   - To take an entry over is one compare-and-swap of the word (new time,
 *     next generation: from here on the entry is nobody's), then one of the
 *     tag.  Who dies in between leaves an entry without an owner.
 *   - Whoever takes an entry over takes the one that owes least.  So two
 *     processes that bring the same new key compete for the same word, one
 *     loses, looks again and finds the key: a key is never there twice.
 *     Looking again must not fall between the winner's two steps; hence the
 *     short wait in find(), which ends by itself if the winner is dead.
 */

#include "limits.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "siphash.h"

#define LINE_SIZE     64
#define LINE_ENTRIES  4

/* within so many lines are the policies of one key */
#define NEIGHBOURS    32

/* lines that limits_owing() looks at: 4 MB */
#define LINES_COUNTED  65536

#define GENERATION_BITS  6
#define GENERATION_MASK  ((UINT64_C(1) << GENERATION_BITS) - 1)

/* the last ns a word can hold: a table lives nine years, then lets all pass */
#define TIME_MAX  ((INT64_C(1) << (64 - GENERATION_BITS)) - 1)

/* looks at an entry between owners before its new owner is taken for dead:
 * first some 20 us, a thousand times what the two steps take, then 10 ms and
 * more, for who is alive may have lost its processor between them */
#define PATIENCE  612
#define NAPS      100
#define NAP       100000               /* ns */

/* changes with everything another version could misread */
#define LAYOUT  UINT64_C(0x6f746b6c696d3033)

struct entry {
    _Atomic uint64_t  tag;
    _Atomic uint64_t  word;
};

struct line {
    struct entry  entries[LINE_ENTRIES];
};

struct limits {
    uint64_t          layout;
    uint64_t          nlines;
    int64_t           began;           /* ns, monotonic */
    uint8_t           secret[SIPHASH_KEY_SIZE];
    _Atomic uint64_t  evicted;
    uint64_t          unused[2];
    struct line       lines[];
};

/* An entry as it was read. */
struct seen {
    struct entry     *entry;
    uint64_t          tag;
    uint64_t          word;
};

/* Where a key is, or the entry to take over for one that is not known. */
struct place {
    struct line      *line;
    struct seen       at;
    bool              known;
    int64_t           now;             /* ns since the table began */
    int64_t           debt;            /* ns, of the key */
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit words need no lock");
_Static_assert(sizeof(struct line) == LINE_SIZE, "a key, a cache line");
_Static_assert(sizeof(struct limits) == LINE_SIZE, "lines are aligned");


static int64_t
time_of(uint64_t word)
{
    return (int64_t) (word >> GENERATION_BITS);
}


static uint64_t
generation_of(uint64_t word)
{
    return word & GENERATION_MASK;
}


static uint64_t
word_of(int64_t time, uint64_t generation)
{
    return ((uint64_t) time << GENERATION_BITS)
           | (generation & GENERATION_MASK);
}


static uint64_t
fingerprint_of(const uint64_t hash[2])
{
    return hash[1] >> GENERATION_BITS;
}


/* What an entry owes, whoever it belongs to. */

static int64_t
owed(uint64_t word, int64_t now)
{
    return time_of(word) > now ? time_of(word) - now : 0;
}


static bool
settled(const struct seen *seen)
{
    return generation_of(seen->tag) == generation_of(seen->word);
}


static void
look_at(struct seen *seen, struct entry *entry)
{
    seen->entry = entry;
    seen->tag = atomic_load_explicit(&entry->tag, memory_order_acquire);
    seen->word = atomic_load_explicit(&entry->word, memory_order_acquire);
}


static struct line *
line_of(struct limits *table, const uint64_t hash[2])
{
    return &table->lines[((hash[0] >> 32) * table->nlines) >> 32];
}


static void
breathe(unsigned patience)
{
    struct timespec  nap;

    if (patience <= NAPS) {
        nap.tv_sec = 0;
        nap.tv_nsec = NAP;
        (void) nanosleep(&nap, NULL);
        return;
    }

#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}


/* The entry of a key that has one. */

static inline bool
find_known(struct line *line, uint64_t fingerprint, struct seen *found)
{
    unsigned  i;
    uint64_t  tag;

    for (i = 0; i < LINE_ENTRIES; i++) {
        tag = atomic_load_explicit(&line->entries[i].tag,
                                   memory_order_acquire);

        if (tag >> GENERATION_BITS == fingerprint) {
            found->entry = &line->entries[i];
            found->tag = tag;
            found->word = atomic_load_explicit(&line->entries[i].word,
                                               memory_order_acquire);

            if (settled(found)) {
                return true;
            }
        }
    }

    return false;
}


/*
 * For a key that has no entry: the one to take over, which is one that lost
 * its owner half way, or the one that owes least.  True if the key came there
 * meanwhile.
 */

static bool
find_room(struct line *line, uint64_t fingerprint, struct seen *found)
{
    unsigned      i, patience;
    struct seen   here, least, torn;

    for (patience = PATIENCE; /* void */ ; patience--) {
        least.entry = NULL;
        torn.entry = NULL;

        for (i = 0; i < LINE_ENTRIES; i++) {
            look_at(&here, &line->entries[i]);

            if (!settled(&here)) {
                torn = here;

            } else if (here.tag >> GENERATION_BITS == fingerprint) {
                *found = here;
                return true;

            } else if (least.entry == NULL
                       || time_of(here.word) < time_of(least.word))
            {
                least = here;
            }
        }

        if (torn.entry == NULL) {
            *found = least;
            return false;
        }

        if (patience == 0) {
            *found = torn;
            return false;
        }

        breathe(patience);
    }
}


/* Where a key is, and what it owes. */

static inline void
find(const uint64_t hash[2], struct place *place)
{
    place->known = find_known(place->line, fingerprint_of(hash), &place->at)
                   || find_room(place->line, fingerprint_of(hash), &place->at);

    place->debt = place->known ? owed(place->at.word, place->now) : 0;
}


/* The second step of a take-over; over when somebody else has taken it on. */

static void
publish(const struct place *place, uint64_t fingerprint, uint64_t generation)
{
    uint64_t  tag, word;

    tag = place->at.tag;

    for ( ;; ) {
        word = atomic_load_explicit(&place->at.entry->word,
                                    memory_order_acquire);

        if (generation_of(word) != (generation & GENERATION_MASK)) {
            return;
        }

        if (atomic_compare_exchange_weak_explicit(&place->at.entry->tag, &tag,
                word_of((int64_t) fingerprint, generation),
                memory_order_acq_rel, memory_order_acquire))
        {
            return;
        }
    }
}


/* Would a debt before this request leave room for its cost? */

static inline bool
fits(struct limits_charge *charge, int64_t debt)
{
    int64_t  cost, room;

    cost = charge->rate.period * charge->cost;
    room = charge->rate.period * charge->rate.burst - debt;

    if (room < cost) {
        charge->refused = true;
        charge->remaining = room > 0 ? room / charge->rate.period : 0;
        charge->full = debt;
        charge->retry = cost - room;

        return false;
    }

    charge->refused = false;
    charge->remaining = (room - cost) / charge->rate.period;
    charge->full = debt + cost;
    charge->retry = 0;

    return true;
}


/* Corrects an answer that fits() gave when another limit refuses after all. */

static void
not_charged(struct limits_charge *charge)
{
    if (!charge->refused) {
        charge->full -= charge->rate.period * charge->cost;
        charge->remaining += charge->cost;
    }
}


/*
 * Charges what fits() found to fit, which has put the new debt into
 * charge->full.  If somebody else was there meanwhile, both are asked again.
 */

static inline bool
change(struct limits_charge *charge, struct place *place)
{
    int64_t   time;
    uint64_t  generation, word;

    for ( ;; ) {
        time = place->now + charge->full;

        if (time > TIME_MAX) {
            return true;
        }

        generation = generation_of(place->at.word) + !place->known;
        word = place->at.word;

        if (atomic_compare_exchange_strong_explicit(&place->at.entry->word,
                &word, word_of(time, generation),
                memory_order_acq_rel, memory_order_acquire))
        {
            break;
        }

        find(charge->hash, place);

        if (!fits(charge, place->debt)) {
            return false;
        }
    }

    if (!place->known) {
        if (owed(place->at.word, place->now) > 0) {
            atomic_fetch_add_explicit(&charge->table->evicted, 1,
                                      memory_order_relaxed);
        }

        publish(place, fingerprint_of(charge->hash), generation);
    }

    return true;
}


/* Gives back what change() took, unless the key has lost its entry since. */

static void
give_back(const struct limits_charge *charge, struct place *place)
{
    int64_t   time;
    uint64_t  word;

    for ( ;; ) {
        find(charge->hash, place);

        if (!place->known) {
            return;
        }

        time = time_of(place->at.word) - charge->rate.period * charge->cost;
        word = place->at.word;

        if (atomic_compare_exchange_strong_explicit(&place->at.entry->word,
                &word, word_of(time > 0 ? time : 0, generation_of(word)),
                memory_order_acq_rel, memory_order_acquire))
        {
            return;
        }
    }
}


bool
limits_parse_rate(const char *text, size_t n, int64_t *period)
{
    size_t   i;
    int64_t  rate, unit;

    rate = 0;

    for (i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++) {
        rate = rate * 10 + (text[i] - '0');

        if (rate > INT64_C(1000000000)) {
            return false;
        }
    }

    if (rate == 0 || n - i != 3 || text[i] != 'r' || text[i + 1] != '/') {
        return false;
    }

    switch (text[i + 2]) {
    case 's':
        unit = INT64_C(1000000000);
        break;
    case 'm':
        unit = INT64_C(60000000000);
        break;
    case 'h':
        unit = INT64_C(3600000000000);
        break;
    case 'd':
        unit = INT64_C(86400000000000);
        break;
    default:
        return false;
    }

    *period = unit / rate;

    return true;
}


bool
limits_rate_valid(const struct limits_rate *rate)
{
    return rate->period > 0 && rate->burst > 0
           && rate->burst <= LIMITS_DEBT_MAX / rate->period;
}


struct limits *
limits_create(void *memory, size_t size, const uint8_t *secret, int64_t now)
{
    struct limits  *table;

    if (size < sizeof(struct limits) + LINE_SIZE
        || (uintptr_t) memory % LINE_SIZE != 0)
    {
        return NULL;
    }

    memset(memory, 0, size);

    table = memory;
    table->nlines = (size - sizeof(struct limits)) / LINE_SIZE;

    if (table->nlines > UINT32_MAX) {
        table->nlines = UINT32_MAX;
    }

    table->began = now;
    memcpy(table->secret, secret, SIPHASH_KEY_SIZE);
    table->layout = LAYOUT;

    return table;
}


struct limits *
limits_attach(void *memory, size_t size)
{
    struct limits  *table;

    table = memory;

    if (size < sizeof(struct limits) + LINE_SIZE
        || table->layout != LAYOUT
        || table->nlines != (size - sizeof(struct limits)) / LINE_SIZE)
    {
        return NULL;
    }

    return table;
}


void
limits_policy(const struct limits *table, const void *name, size_t n,
    uint64_t policy[2])
{
    uint64_t  secret[2];

    /* not the secret of the keys: one that reads like the name of its policy
     * would undo it */

    siphash128(table->secret, "policy", 6, secret);
    siphash128((const uint8_t *) secret, name, n, policy);
}


void
limits_neighbour(const struct limits *table, uint64_t policy[2])
{
    uint64_t  low;

    /* line_of() multiplies the upper half by the number of lines: of that,
     * only as much as moves a key among its neighbours */

    for (low = UINT32_MAX; low * table->nlines >> 32 >= NEIGHBOURS; low /= 2) {
        /* void */
    }

    policy[0] &= low << 32;
}


void
limits_key(const struct limits *table, const void *key, size_t n,
    uint64_t hash[2])
{
    siphash128_table(table->secret, key, n, hash);
}


void
limits_hash(const struct limits *table, const void *name, size_t name_size,
    const void *key, size_t key_size, uint64_t hash[2])
{
    uint64_t  policy[2];

    limits_policy(table, name, name_size, policy);
    limits_key(table, key, key_size, hash);

    hash[0] ^= policy[0];
    hash[1] ^= policy[1];
}


/* Asks them all where they are; nothing is charged yet. */

static inline bool
look(struct limits_charge *charges, struct place *places, size_t n,
    int64_t now)
{
    bool                   passed;
    size_t                 i;
    int64_t                since;
    struct limits_charge  *charge;

    /* memory brings several lines in the time of one */

    for (i = 0; i < n; i++) {
        places[i].line = line_of(charges[i].table, charges[i].hash);
        __builtin_prefetch(places[i].line, 1);
    }

    passed = true;

    for (i = 0; i < n; i++) {
        charge = &charges[i];
        since = now - charge->table->began;
        places[i].now = since > 0 ? since : 0;

        find(charge->hash, &places[i]);

        if (!fits(charge, places[i].debt)) {
            passed = false;
        }
    }

    return passed;
}


static void
none_charged(struct limits_charge *charges, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        not_charged(&charges[i]);
    }
}


bool
limits_peek(struct limits_charge *charges, size_t n, int64_t now)
{
    bool          passed;
    struct place  places[LIMITS_PER_DECISION];

    passed = look(charges, places, n, now);
    none_charged(charges, n);

    return passed;
}


bool
limits_decide(struct limits_charge *charges, size_t n, int64_t now)
{
    size_t        i;
    struct place  places[LIMITS_PER_DECISION];

    /* look first: a request that one limit refuses must not stand in the way
     * of others at the rest, not even for a moment */

    if (!look(charges, places, n, now)) {
        none_charged(charges, n);
        return false;
    }

    for (i = 0; i < n; i++) {
        if (change(&charges[i], &places[i])) {
            continue;
        }

        while (i--) {
            give_back(&charges[i], &places[i]);
        }

        none_charged(charges, n);

        return false;
    }

    return true;
}


void
limits_raise(struct limits *table, const uint64_t hash[2], int64_t until,
    int64_t now)
{
    int64_t        time;
    uint64_t       generation, word;
    struct place   place;

    time = until - table->began;

    if (until <= now || time > TIME_MAX) {
        return;
    }

    place.line = line_of(table, hash);
    place.now = now > table->began ? now - table->began : 0;

    for ( ;; ) {
        find(hash, &place);

        if (time_of(place.at.word) >= time) {
            return;
        }

        generation = generation_of(place.at.word) + !place.known;
        word = place.at.word;

        if (atomic_compare_exchange_strong_explicit(&place.at.entry->word,
                &word, word_of(time, generation),
                memory_order_acq_rel, memory_order_acquire))
        {
            break;
        }
    }

    if (!place.known) {
        if (owed(place.at.word, place.now) > 0) {
            atomic_fetch_add_explicit(&table->evicted, 1,
                                      memory_order_relaxed);
        }

        publish(&place, fingerprint_of(hash), generation);
    }
}


uint64_t
limits_capacity(const struct limits *table)
{
    return table->nlines * LINE_ENTRIES;
}


uint64_t
limits_owing(const struct limits *table, int64_t now)
{
    uint64_t             i, j, n, word, lines;
    const struct entry  *entry;

    n = 0;
    lines = table->nlines < LINES_COUNTED ? table->nlines : LINES_COUNTED;

    for (i = 0; i < lines; i++) {
        for (j = 0; j < LINE_ENTRIES; j++) {
            entry = &table->lines[i].entries[j];
            word = atomic_load_explicit(&entry->word, memory_order_relaxed);
            n += time_of(word) > now - table->began;
        }
    }

    /* a keyed hash spreads the keys: the other lines are like these */

    return lines == table->nlines ? n : n * table->nlines / lines;
}


uint64_t
limits_evicted(const struct limits *table)
{
    return atomic_load_explicit(&table->evicted, memory_order_relaxed);
}
