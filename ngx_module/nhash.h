/*
 * A keyed hash of long texts, faster than SipHash alone: NH in two passes
 * (Black and others, "UMAC: fast and secure message authentication", 1999;
 * RFC 4418), whose result SipHash makes random.
 *
 * Two texts have the same NH with a chance of 2^-128, whatever they are, for
 * whoever has not seen the key; so nothing is lost on the way.
 */

#ifndef NHASH_H
#define NHASH_H

#include <stddef.h>
#include <stdint.h>

#include "siphash.h"

#define NHASH_MAX  8192                      /* bytes of a text */

/* A key: more of it than of any text, and that of the second pass. */
struct nhash {
    uint64_t  words[NHASH_MAX / sizeof(uint64_t) + 2];
    uint8_t   secret[SIPHASH_KEY_SIZE];
};

/* Makes all of the key from one of SIPHASH_KEY_SIZE bytes; some 40 us. */
void nhash_init(struct nhash *key, const uint8_t *secret);

/* The hash of n bytes at text, n <= NHASH_MAX. */
void nhash(const struct nhash *key, const void *text, size_t n,
    uint64_t out[2]);

#endif
