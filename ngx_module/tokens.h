/*
 * Tokens that were verified before: a fixed table that processes share.
 *
 * Nobody ever locks it.  An entry carries a keyed hash of its own content, so
 * one that is half written, by a process that died or by two at once, is
 * not believed: it is as good as none.
 */

#ifndef TOKENS_H
#define TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "siphash.h"

#define TOKENS_ENTRY_SIZE  512               /* bytes, 64 of them a head */
#define TOKENS_TEXT_MAX    (TOKENS_ENTRY_SIZE - 64)
#define TOKENS_PRINT_SIZE  16
#define TOKENS_TEXTS       6

struct tokens;

enum tokens_text {
    TOKENS_SUBJECT,
    TOKENS_ROLES,
    TOKENS_REGION,
    TOKENS_BODY,
    TOKENS_SCOPES,
    TOKENS_JTI
};

/* What is remembered of a token. */
struct token {
    int64_t      until;                      /* s since 1970 */
    uint8_t      print[TOKENS_PRINT_SIZE];   /* of the key */
    const char  *text[TOKENS_TEXTS];
    size_t       n[TOKENS_TEXTS];
};

/* Where a found one is copied to. */
struct tokens_room {
    uint64_t  words[TOKENS_ENTRY_SIZE / sizeof(uint64_t)];
};

/*
 * Makes an empty table in size bytes at memory, which must be aligned to 64
 * and be held by no one else yet.  The secret (16 bytes) keys the hashes.
 * Returns NULL if the memory is too small.
 */
struct tokens *tokens_create(void *memory, size_t size,
    const uint8_t *secret);

/*
 * The table that tokens_create() made there, perhaps in another process or by
 * an older version of this code: then, or if the size differs, NULL.
 */
struct tokens *tokens_attach(void *memory, size_t size);

/*
 * The key under which tokens that passed a policy are hashed: what passed one
 * policy is unknown under another.
 */
void tokens_policy(const struct tokens *tokens, const void *policy, size_t n,
    uint8_t key[SIPHASH_KEY_SIZE]);

/* True if it is there and still good at now; its texts lie in *room. */
bool tokens_find(const struct tokens *tokens, const uint64_t hash[2],
    int64_t now, struct tokens_room *room, struct token *token);

/*
 * Remembers a token.  Of four places one that is free is taken, else that of
 * the token with the shortest time left: then *evicted.  False if its texts
 * are too long together.
 */
bool tokens_put(struct tokens *tokens, const uint64_t hash[2], int64_t now,
    const struct token *token, bool *evicted);

/* How many tokens fit, and how many that are good at now are there: counted in
 * 4 MB at most, of a larger table that is a sample. */
size_t tokens_capacity(const struct tokens *tokens);
size_t tokens_held(const struct tokens *tokens, int64_t now);

#endif
