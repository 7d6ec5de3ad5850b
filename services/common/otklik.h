/* What every program of Otklik needs: strings with a length and error codes. Keep it small. */
#ifndef OTKLIK_H
#define OTKLIK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define OTK_VERSION "0.1.0"

/* Bytes with a length; never assumed terminated. p may be NULL only when n is 0. */
struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })

static inline struct str str_of(const char *s)
{
    return (struct str){ s, s == NULL ? 0 : strlen(s) };
}

static inline int str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Every way a request can end badly; problem.c maps each to HTTP status, problem type and texts in
 * both languages. */
enum otk_err {
    OTK_OK = 0,
    OTK_MALFORMED, /* the body cannot be read: JSON, UTF-8, form encoding; detail names the place */
    OTK_INVALID,   /* fields break their rules; the answer lists every one */
    OTK_KEY_MISSING, /* no Idempotency-Key */
    OTK_KEY_REUSED,  /* same key, other request */
    OTK_KEY_RUNNING, /* same key, first request not finished */
    OTK_NOT_FOUND,
    OTK_CLOSED,    /* it is over: nothing may be added */
    OTK_NOT_READY, /* it is there, and not yet fit to be shown */
    OTK_METHOD,    /* path known, method not */
    OTK_MEDIA_TYPE,
    OTK_TOO_LARGE,
    OTK_UNAUTHORIZED,
    OTK_FORBIDDEN,
    OTK_BLOCKED,        /* a moderator has blocked this sender */
    OTK_QUOTA_ADDRESS,  /* so many letters a day from an address: 429 */
    OTK_QUOTA_RESIDENT, /* so many letters a day with a contact: 429 */
    OTK_UNAVAILABLE,    /* database away or queue full: try again, with Retry-After */
    OTK_FULL,           /* no space left on the database's disk: 507 */
    OTK_INTERNAL,
    OTK_ERR_COUNT
};

enum lang { LANG_RU, LANG_EN, LANG_COUNT };

#endif
