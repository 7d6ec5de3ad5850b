/*
 * The API keys of an edge: a text file becomes an immutable table.
 *
 * A line gives a key by its prefix and the SHA-256 of its whole text, then
 * what it stands for:
 *
 *   k3f9x2ab 9f86…0a08 subject=mfc roles=integrator region=67 rate=100r/s
 *
 * The key itself reads otk_<prefix>_<secret> and is in no file.  With hook= it
 * is the secret of a hook, and no client's key.
 */

#ifndef KEYS_H
#define KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "limits.h"
#include "networks.h"

#define KEYS_PREFIX_SIZE  8
#define KEYS_SECRET_SIZE  32
#define KEYS_DIGEST_SIZE  32
#define KEYS_TEXT_SIZE    (sizeof("otk__") - 1 + KEYS_PREFIX_SIZE             \
                           + KEYS_SECRET_SIZE)

#define KEYS_FILE_MAX     (16 * 1024 * 1024)      /* bytes */
#define KEYS_VALUE_MAX    128                     /* bytes of any value */

struct keys;

struct key {
    char                prefix[KEYS_PREFIX_SIZE];
    uint8_t             digest[KEYS_DIGEST_SIZE];
    const char         *subject;     /* terminated, of a harmless alphabet, */
    const char         *roles;       /* as all the strings here; with blanks */
    const char         *region;      /* "67" */
    const char         *body;        /* "" if the key is no body's */
    const char         *scopes;      /* "" if it has none; with blanks */
    const char         *hook;        /* the kind of hook it opens, else "" */
    struct networks    *source;      /* where it may come from; NULL: all */
    struct limits_rate  rate;        /* period 0: the file gives none */
    int64_t             expires;     /* s since 1970, UTC; INT64_MAX: never */
};

enum keys_verdict {
    KEYS_GOOD,
    KEYS_MALFORMED,                  /* not of the form of a key */
    KEYS_UNKNOWN,                    /* no line has the prefix */
    KEYS_WRONG,                      /* the digest differs */
    KEYS_EXPIRED,                    /* it is the key, but its time is over */
    KEYS_FAILED                      /* no memory for the digest */
};

struct keys_error {
    unsigned     line;               /* from 1; 0: not about a line */
    const char  *what;               /* constant; never quotes the file */
};

/*
 * Reads n bytes of a key file: whole lines, at least one (of a comment, if
 * there are no keys).  NULL if any line is wrong, with the first one named in
 * *error; else keys_free() frees it.
 */
struct keys *keys_parse(const char *text, size_t n, struct keys_error *error);

void keys_free(struct keys *keys);

size_t keys_count(const struct keys *keys);

/*
 * Judges the text a client sent, at now (s since 1970).  *key is the line it
 * belongs to if the verdict is KEYS_GOOD or KEYS_EXPIRED, else NULL; it
 * lives as long as keys.  Takes as long for an unknown prefix as for a wrong
 * secret.
 */
enum keys_verdict keys_check(const struct keys *keys, const char *text,
    size_t n, int64_t now, const struct key **key);

#endif
