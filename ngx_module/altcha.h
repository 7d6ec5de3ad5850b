/*
 * Challenges of ALTCHA, protocol version 2: PBKDF2/SHA-256 in the deterministic
 * mode.  Whoever made a challenge knew the key that solves it; half of that key
 * is shown, and a signature of all of it, so a check is two HMACs.
 */

#ifndef ALTCHA_H
#define ALTCHA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "challenge_keys.h"

#define ALTCHA_NONCE_SIZE   16
#define ALTCHA_SALT_SIZE    16
#define ALTCHA_KEY_SIZE     32
#define ALTCHA_PREFIX_SIZE  16

#define ALTCHA_PAYLOAD_MAX  4096              /* bytes of base64 */
#define ALTCHA_TEXT_MAX     64                /* of purpose, region, store */
#define ALTCHA_CHALLENGE_MAX  1024            /* of a written challenge */

#define ALTCHA_COST_MAX     100000
#define ALTCHA_COUNTER_MAX  UINT32_MAX

enum altcha_verdict {
    ALTCHA_GOOD,
    ALTCHA_MALFORMED,
    ALTCHA_UNKNOWN,                           /* not of these keys, this store,
                                                 this cost */
    ALTCHA_BAD_SIGNATURE,
    ALTCHA_EXPIRED,
    ALTCHA_WRONG_PURPOSE,                     /* or region */
    ALTCHA_WRONG_PROOF,
    ALTCHA_VERDICTS
};

/* Not terminated; letters that need no escape in JSON. */
struct altcha_text {
    const char  *p;
    size_t       n;                           /* <= ALTCHA_TEXT_MAX */
};

/* What a challenge is for; all of it is signed. */
struct altcha_policy {
    struct altcha_text  purpose;
    struct altcha_text  region;
    struct altcha_text  store;                /* of the nonces that are spent */
    uint32_t            cost;                 /* rounds of PBKDF2 */
};

/* A challenge that nobody has seen, and what solves it. */
struct altcha_riddle {
    uint8_t  nonce[ALTCHA_NONCE_SIZE];
    uint8_t  salt[ALTCHA_SALT_SIZE];
    uint8_t  key[ALTCHA_KEY_SIZE];
};

/* What is to be remembered of a good solution, and until when. */
struct altcha_spent {
    uint8_t  nonce[ALTCHA_NONCE_SIZE];
    int64_t  until;                           /* s since 1970 */
};

/* Fills in the key that the counter leads to. */
void altcha_derive(struct altcha_riddle *riddle, uint32_t counter,
    uint32_t cost);

/*
 * Writes the challenge as JSON, signed by the first key, and returns its
 * length; 0 if it does not fit.
 */
size_t altcha_write(const struct challenge_keys *keys,
    const struct altcha_policy *policy, const struct altcha_riddle *riddle,
    int64_t until, char *out, size_t size);

/*
 * Is this a solution of a challenge under that policy, in time?  Whether it is
 * spent is for the caller to find out, who fills *spent with what it takes;
 * *spent is set only if the verdict is ALTCHA_GOOD.
 */
enum altcha_verdict altcha_check(const struct challenge_keys *keys,
    const struct altcha_policy *policy, const char *text, size_t n,
    int64_t now, struct altcha_spent *spent);

#endif
