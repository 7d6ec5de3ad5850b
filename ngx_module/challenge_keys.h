/* The keys that challenges are signed with: a file with one a line. */

#ifndef CHALLENGE_KEYS_H
#define CHALLENGE_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "hmac_sha256.h"

#define CHALLENGE_KEYS_FILE_MAX  4096         /* bytes */
#define CHALLENGE_KEYS_MAX       8
#define CHALLENGE_KEY_ID_MAX     16           /* bytes */
#define CHALLENGE_KEY_MIN        32           /* bytes of secret */
#define CHALLENGE_KEY_SIZE_MAX   64

struct challenge_key {
    char                id[CHALLENGE_KEY_ID_MAX + 1];
    struct hmac_sha256  sign;                 /* a challenge */
    struct hmac_sha256  prove;                /* the key that solves it */
};

struct challenge_keys {
    size_t                n;
    struct challenge_key  list[CHALLENGE_KEYS_MAX];
};

struct challenge_keys_error {
    unsigned     line;                        /* from 1; 0: not about a line */
    const char  *what;                        /* constant */
};

/*
 * Whole lines "ID HEX": 1 to 16 of a-z 0-9 _ -, a blank, 32 to 64 bytes as
 * lower-case digits.  The first one signs, all verify.  Empty lines and those
 * that begin with "#" say nothing.  NULL if any is wrong, as *error says; else
 * challenge_keys_free() wipes and frees it.
 */
struct challenge_keys *challenge_keys_parse(const char *text, size_t n,
    struct challenge_keys_error *error);

void challenge_keys_free(struct challenge_keys *keys);

/* NULL: there is none of that name. */
const struct challenge_key *challenge_keys_find(
    const struct challenge_keys *keys, const char *id, size_t n);

#endif
