/*
 * Why a request was not served, as a body of application/problem+json
 * (RFC 9457) in Russian or English.
 */

#ifndef PROBLEM_H
#define PROBLEM_H

#include <stddef.h>
#include <stdint.h>

#include "limits.h"

enum problem_language {
    PROBLEM_RU,
    PROBLEM_EN,
    PROBLEM_LANGUAGES
};

/* What the edge itself refuses; tests and clients see the name. */
enum problem_reason {
    PROBLEM_NO_REASON,                /* the status says it all */
    PROBLEM_MISSING_CREDENTIAL,
    PROBLEM_SEVERAL_CREDENTIALS,
    PROBLEM_INVALID_KEY,
    PROBLEM_EXPIRED_KEY,
    PROBLEM_WRONG_SOURCE,
    PROBLEM_DENIED_ADDRESS,
    PROBLEM_TOKEN_TOO_LONG,           /* from here on the token is wrong */
    PROBLEM_MALFORMED_TOKEN,
    PROBLEM_UNKNOWN_KEY,
    PROBLEM_WRONG_ALGORITHM,
    PROBLEM_WRONG_TYPE,
    PROBLEM_MISSING_CLAIM,
    PROBLEM_EXPIRED_TOKEN,
    PROBLEM_NOT_YET_VALID,
    PROBLEM_WRONG_ISSUER,
    PROBLEM_WRONG_AUDIENCE,
    PROBLEM_BAD_SIGNATURE,
    PROBLEM_REVOKED_TOKEN,            /* up to here */
    PROBLEM_MALFORMED_CHALLENGE,      /* from here on the solution is */
    PROBLEM_UNKNOWN_CHALLENGE,
    PROBLEM_BAD_CHALLENGE_SIGNATURE,
    PROBLEM_EXPIRED_CHALLENGE,
    PROBLEM_WRONG_PURPOSE,
    PROBLEM_WRONG_PROOF,
    PROBLEM_SPENT_CHALLENGE,          /* up to here */
    PROBLEM_CHALLENGES_FULL,
    PROBLEM_NO_CHALLENGE_READY,
    PROBLEM_INSUFFICIENT_SCOPE,
    PROBLEM_RATE_EXCEEDED,
    PROBLEM_REASONS
};

/* Text that is not terminated; NULL is empty. */
struct problem_text {
    const char  *p;
    size_t       n;
};

struct problem {
    struct problem_text    head;          /* of problem_head(), if it is kept */
    int                    status;
    enum problem_reason    reason;
    enum problem_language  language;
    struct problem_text    request_id;
    int64_t                retry;         /* s; 0: nothing is known */
    struct problem_text    policies[LIMITS_PER_DECISION];
    size_t                 npolicies;     /* those that were violated */
};

/* Enough for any problem whose policies have names of up to 64 bytes. */
#define PROBLEM_SIZE  4096

/*
 * The language that an Accept-Language header (RFC 9110, section 12.5.4)
 * likes best; otherwise if it likes neither, or is not one.
 */
enum problem_language problem_language(const char *header, size_t n,
    enum problem_language otherwise);

/* "ru" or "en". */
const char *problem_language_tag(enum problem_language language);

/* "expired_key"; "" for PROBLEM_NO_REASON. */
const char *problem_reason_name(enum problem_reason reason);

/* The HTTP status that goes with a reason; 0 for PROBLEM_NO_REASON. */
int problem_reason_status(enum problem_reason reason);

/*
 * Writes how the body begins: all that status, reason and language decide.
 * Returns its length; 0 if it does not fit.
 */
size_t problem_head(char *out, size_t size, const struct problem *problem);

/*
 * Writes the body, escaped throughout, and returns its length; 0 if it does
 * not fit into size bytes.
 */
size_t problem_write(char *out, size_t size, const struct problem *problem);

#endif
