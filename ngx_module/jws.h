/*
 * Signed tokens (RFC 7519 in the compact form of RFC 7515), judged strictly
 * as RFC 8725 advises: the key decides the algorithm, one token has one
 * spelling, and whatever is odd is refused.
 */

#ifndef JWS_H
#define JWS_H

#include <stddef.h>
#include <stdint.h>

#include "jwks.h"
#include "revoked.h"

#define JWS_TOKEN_MAX    8192                /* bytes */
#define JWS_SUBJECT_MAX  255
#define JWS_ROLES_MAX    512                 /* of all, with blanks between */
#define JWS_SCOPES_MAX   512
#define JWS_BODY_MAX     128
#define JWS_LEEWAY_MAX   600                 /* s */

enum jws_verdict {
    JWS_GOOD,
    JWS_TOO_LONG,
    JWS_MALFORMED,
    JWS_UNKNOWN_KEY,                         /* no key has the kid */
    JWS_WRONG_ALGORITHM,                     /* not the one of the key */
    JWS_WRONG_TYPE,
    JWS_MISSING_CLAIM,                       /* exp, sub or a needed jti */
    JWS_EXPIRED,
    JWS_NOT_YET_VALID,
    JWS_WRONG_ISSUER,
    JWS_WRONG_AUDIENCE,
    JWS_BAD_SIGNATURE,
    JWS_REVOKED,
    JWS_FAILED                               /* no memory */
};

/* Text that is not terminated; n == 0: there is none. */
struct jws_text {
    const char  *p;
    size_t       n;
};

/* What a token has to be; strings are terminated. */
struct jws_policy {
    const char  *issuer;
    const char  *audience;
    const char  *type;                       /* "at+jwt"; NULL: any */
    int64_t      leeway;                     /* s */
    const char  *roles;                      /* paths of claims, as */
    const char  *region;                     /* json_path() takes them; */
    const char  *body;                       /* NULL: not asked */
    const char  *scopes;
};

/* What a token says; all of it free of control characters. */
struct jws_identity {
    struct jws_text  subject;
    struct jws_text  roles;                  /* with blanks between */
    struct jws_text  region;                 /* "67" */
    struct jws_text  body;
    struct jws_text  scopes;                 /* with blanks between */
    struct jws_text  jti;
    int64_t          until;                  /* s since 1970: exp + leeway */
    const uint8_t   *print;                  /* of its key, jwk_print() */
};

struct jws;

/* The room that judging takes, for one token at a time; NULL: no memory. */
struct jws *jws_create(void);

void jws_free(struct jws *jws);

/*
 * Judges a token at now (s since 1970), what is cheap first.  With a list of
 * revoked tokens (NULL: none) each has to have a jti.  *identity, if good,
 * lives until the next judgement and as long as the keys.
 */
enum jws_verdict jws_check(struct jws *jws, const struct jwks *keys,
    const struct revoked *revoked, const struct jws_policy *policy,
    const char *token, size_t n, int64_t now, struct jws_identity *identity);

#endif
