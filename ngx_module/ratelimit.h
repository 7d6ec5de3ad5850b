/*
 * The items of RateLimit-Policy and RateLimit, the structured fields (RFC
 * 9651) of draft-ietf-httpapi-ratelimit-headers-10.
 */

#ifndef RATELIMIT_H
#define RATELIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* the most a structured field's integer may be */
#define RATELIMIT_NUMBER_MAX  INT64_C(999999999999999)
#define RATELIMIT_DIGITS      15

#define RATELIMIT_NAME_MAX    64

/* a name in quotes, each of its letters escaped, and two parameters */
#define RATELIMIT_ITEM_SIZE                                                   \
    (2 * RATELIMIT_NAME_MAX + 2 + 2 * (3 + RATELIMIT_DIGITS))

/* bytes of ratelimit_put_state() beside the name */
#define RATELIMIT_STATE_SIZE  (2 * (3 + RATELIMIT_DIGITS))

/* An item of RateLimit-Policy, made once; it begins with the quoted name. */
struct ratelimit {
    char    text[RATELIMIT_ITEM_SIZE];
    size_t  n;
    size_t  name;                     /* bytes of the name and its quotes */
};

/*
 * Makes the item of a policy: quota units in a window of seconds, which is
 * left out if it is 0.  Numbers that are out of range become the nearest one
 * that is not.  False if the name is empty, too long, or not printable ASCII.
 */
bool ratelimit_make(struct ratelimit *item, const char *name, size_t n,
    int64_t quota, int64_t window);

/*
 * Writes an item of RateLimit, item->name + RATELIMIT_STATE_SIZE bytes at
 * most: what remains, and the seconds until more does.  Returns its end.
 */
char *ratelimit_put_state(char *out, const struct ratelimit *item,
    int64_t remaining, int64_t reset);

/* Seconds, rounded up; 0 for what is negative. */
static inline int64_t
ratelimit_seconds(int64_t ns)
{
    return ns <= 0 ? 0 : (ns - 1) / INT64_C(1000000000) + 1;
}

#endif
