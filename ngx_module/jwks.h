/*
 * The keys that tokens are signed with: a JWK set (RFC 7517) becomes an
 * immutable table.
 *
 * Each key fixes the one algorithm it is for.  Private keys are refused, not
 * ignored: where they are does not belong on an edge.  Keys for encryption,
 * which identity providers publish in the same set, are passed over.
 */

#ifndef JWKS_H
#define JWKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JWKS_FILE_MAX       (256 * 1024)     /* bytes */
#define JWKS_KEYS_MAX       64
#define JWKS_KID_MAX        128              /* bytes */
#define JWKS_SIGNATURE_MAX  1024             /* bytes: RSA of 8192 bits */
#define JWKS_PRINT_SIZE     16

enum jwks_algorithm {
    JWKS_RS256,
    JWKS_RS384,
    JWKS_RS512,
    JWKS_PS256,
    JWKS_PS384,
    JWKS_PS512,
    JWKS_ES256,
    JWKS_ES384,
    JWKS_EDDSA,
    JWKS_HS256,                              /* only of keys that say so */
    JWKS_ALGORITHMS
};

enum jwks_verdict {
    JWKS_GOOD,
    JWKS_BAD,                                /* the signature is another's */
    JWKS_FAILED                              /* no memory */
};

struct jwks;
struct jwk;

struct jwks_error {
    unsigned     key;                        /* from 1; 0: not about a key */
    const char  *what;                       /* constant */
};

/* NULL if anything is wrong, as *error says; else jwks_free() frees it. */
struct jwks *jwks_parse(const char *text, size_t n, struct jwks_error *error);

void jwks_free(struct jwks *jwks);

size_t jwks_count(const struct jwks *jwks);

/* Does it hold a shared secret, so that nobody else may read the file? */
bool jwks_secret(const struct jwks *jwks);

/*
 * The key of that kid; with kid == NULL the only key there is.  NULL: none.
 */
const struct jwk *jwks_find(const struct jwks *jwks, const char *kid,
    size_t n);

/* Is the key of that print still in the set? */
bool jwks_holds(const struct jwks *jwks,
    const uint8_t print[JWKS_PRINT_SIZE]);

/* "RS256" */
const char *jwk_algorithm(const struct jwk *key);

/* What the key is known by: a digest of its kid, algorithm and value. */
const uint8_t *jwk_print(const struct jwk *key);

/* Bytes of any signature by this key. */
size_t jwk_signature_size(const struct jwk *key);

/* Is signature, of jwk_signature_size() bytes, this key's below text? */
enum jwks_verdict jwk_verify(const struct jwk *key, const char *text,
    size_t n, const uint8_t *signature);

#endif
