/* Tokens that were verified before: a fixed table that processes share. */

#include "tokens.h"

#include <stdatomic.h>
#include <string.h>

#define LAYOUT       UINT64_C(0x6f746b6c746f6b33)    /* "otkltok3" */
#define HEAD_SIZE    64
#define WAYS         4
#define COUNTED      8192                    /* entries tokens_held() sees */
#define WORDS        (TOKENS_ENTRY_SIZE / sizeof(uint64_t))
#define LENGTH_BITS  10
#define LENGTH_MASK  ((UINT64_C(1) << LENGTH_BITS) - 1)

/* The words of an entry; the first two are a hash of all that follow. */
enum word {
    WORD_PROOF = 0,
    WORD_HASH = 2,
    WORD_UNTIL = 4,
    WORD_PRINT = 5,
    WORD_LENGTHS = 7,
    WORD_TEXT = 8
};

/* The words of shared memory, which others may be writing. */
typedef _Atomic uint64_t shared_word;

struct entry {
    shared_word  words[WORDS];
};

struct tokens {
    uint64_t      layout;
    uint64_t      size;
    uint64_t      rows;                      /* of WAYS entries */
    uint8_t       secret[SIPHASH_KEY_SIZE];
    uint8_t       unused[HEAD_SIZE - 40];
    struct entry  entries[];
};

_Static_assert(sizeof(struct tokens) == HEAD_SIZE, "entries are aligned");
_Static_assert(sizeof(struct entry) == TOKENS_ENTRY_SIZE, "words are 8 bytes");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "words need no lock");


struct tokens *
tokens_create(void *memory, size_t size, const uint8_t *secret)
{
    struct tokens  *tokens;

    if (size < HEAD_SIZE + WAYS * TOKENS_ENTRY_SIZE) {
        return NULL;
    }

    memset(memory, 0, size);

    tokens = memory;
    tokens->size = size;
    tokens->rows = (size - HEAD_SIZE) / (WAYS * TOKENS_ENTRY_SIZE);
    memcpy(tokens->secret, secret, sizeof(tokens->secret));
    tokens->layout = LAYOUT;

    return tokens;
}


struct tokens *
tokens_attach(void *memory, size_t size)
{
    struct tokens  *tokens;

    tokens = memory;

    return size >= HEAD_SIZE && tokens->layout == LAYOUT
           && tokens->size == size ? tokens : NULL;
}


void
tokens_policy(const struct tokens *tokens, const void *policy, size_t n,
    uint8_t key[SIPHASH_KEY_SIZE])
{
    uint64_t  hash[2];

    siphash128(tokens->secret, policy, n, hash);
    memcpy(key, hash, SIPHASH_KEY_SIZE);
}


size_t
tokens_capacity(const struct tokens *tokens)
{
    return tokens->rows * WAYS;
}


static uint64_t
get(const struct entry *entry, size_t i)
{
    return atomic_load_explicit(&entry->words[i], memory_order_relaxed);
}


static bool
has_hash(const struct entry *entry, const uint64_t hash[2])
{
    return get(entry, WORD_HASH) == hash[0]
           && get(entry, WORD_HASH + 1) == hash[1];
}


size_t
tokens_held(const struct tokens *tokens, int64_t now)
{
    size_t  i, n, capacity, entries;

    n = 0;
    capacity = tokens_capacity(tokens);
    entries = capacity < COUNTED ? capacity : COUNTED;

    for (i = 0; i < entries; i++) {
        n += (int64_t) get(&tokens->entries[i], WORD_UNTIL) > now;
    }

    /* a keyed hash spreads the tokens: the other entries are like these */

    return entries == capacity ? n : n * capacity / entries;
}


static size_t
row_of(const struct tokens *tokens, const uint64_t hash[2])
{
    return (hash[0] % tokens->rows) * WAYS;
}


/* How long a text is, and where the next begins; from the word of lengths. */

static size_t
length_of(uint64_t lengths, size_t i)
{
    return lengths >> (i * LENGTH_BITS) & LENGTH_MASK;
}


static size_t
words_of(size_t bytes)
{
    return WORD_TEXT + (bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t);
}


/* The hash of the token, which nobody else can know, keys the proof. */

static void
prove(const uint64_t *words, size_t n, uint64_t proof[2])
{
    siphash128((const uint8_t *) (words + WORD_HASH), words + WORD_UNTIL,
               (n - WORD_UNTIL) * sizeof(uint64_t), proof);
}


/* Copies an entry; false if it is none, or not a whole one. */

static bool
copy(const struct entry *entry, struct tokens_room *room)
{
    size_t    i, n, bytes;
    uint64_t  lengths, proof[2];

    lengths = get(entry, WORD_LENGTHS);

    for (bytes = 0, i = 0; i < TOKENS_TEXTS; i++) {
        bytes += length_of(lengths, i);
    }

    if (bytes > TOKENS_TEXT_MAX) {
        return false;
    }

    n = words_of(bytes);

    for (i = 0; i < n; i++) {
        room->words[i] = get(entry, i);
    }

    prove(room->words, n, proof);

    /* the lengths once more: a writer may have come in between */

    return room->words[WORD_LENGTHS] == lengths
           && room->words[WORD_PROOF] == proof[0]
           && room->words[WORD_PROOF + 1] == proof[1];
}


bool
tokens_find(const struct tokens *tokens, const uint64_t hash[2], int64_t now,
    struct tokens_room *room, struct token *token)
{
    size_t               i;
    const char          *p;
    const struct entry  *entry;

    entry = &tokens->entries[row_of(tokens, hash)];

    for (i = 0; i < WAYS && !has_hash(entry, hash); i++) {
        entry++;
    }

    if (i == WAYS || !copy(entry, room)
        || room->words[WORD_HASH] != hash[0]
        || room->words[WORD_HASH + 1] != hash[1])
    {
        return false;
    }

    token->until = (int64_t) room->words[WORD_UNTIL];

    if (now >= token->until) {
        return false;
    }

    memcpy(token->print, &room->words[WORD_PRINT], TOKENS_PRINT_SIZE);
    p = (const char *) &room->words[WORD_TEXT];

    for (i = 0; i < TOKENS_TEXTS; i++) {
        token->text[i] = p;
        token->n[i] = length_of(room->words[WORD_LENGTHS], i);
        p += token->n[i];
    }

    return true;
}


/*
 * The place for a token: its own, else a free one, else that with the least
 * time left.  What others write meanwhile can only make the choice a bad one.
 */

static struct entry *
choose(struct tokens *tokens, const uint64_t hash[2], int64_t now,
    bool *evicted)
{
    size_t         i;
    int64_t        until, least;
    struct entry  *entry, *chosen;

    entry = &tokens->entries[row_of(tokens, hash)];
    chosen = entry;
    least = INT64_MAX;
    *evicted = false;

    for (i = 0; i < WAYS; i++, entry++) {
        if (has_hash(entry, hash)) {
            return entry;
        }

        until = (int64_t) get(entry, WORD_UNTIL);

        if (until < least) {
            least = until;
            chosen = entry;
        }
    }

    *evicted = least > now;

    return chosen;
}


bool
tokens_put(struct tokens *tokens, const uint64_t hash[2], int64_t now,
    const struct token *token, bool *evicted)
{
    char          *p;
    size_t         i, n, bytes;
    uint64_t       words[WORDS], lengths;
    struct entry  *entry;

    *evicted = false;
    lengths = 0;
    bytes = 0;

    for (i = 0; i < TOKENS_TEXTS; i++) {
        if (token->n[i] > TOKENS_TEXT_MAX - bytes) {
            return false;
        }

        bytes += token->n[i];
        lengths |= (uint64_t) token->n[i] << (i * LENGTH_BITS);
    }

    memset(words, 0, sizeof(words));
    words[WORD_HASH] = hash[0];
    words[WORD_HASH + 1] = hash[1];
    words[WORD_UNTIL] = (uint64_t) token->until;
    words[WORD_LENGTHS] = lengths;
    memcpy(&words[WORD_PRINT], token->print, TOKENS_PRINT_SIZE);

    p = (char *) &words[WORD_TEXT];

    for (i = 0; i < TOKENS_TEXTS; i++) {
        if (token->n[i] > 0) {
            memcpy(p, token->text[i], token->n[i]);
            p += token->n[i];
        }
    }

    n = words_of(bytes);
    prove(words, n, &words[WORD_PROOF]);

    entry = choose(tokens, hash, now, evicted);

    for (i = 0; i < n; i++) {
        atomic_store_explicit(&entry->words[i], words[i],
                              memory_order_relaxed);
    }

    return true;
}
