/* SipHash with 128 bits of result: a keyed hash nobody can aim for. */

#ifndef SIPHASH_H
#define SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY_SIZE  16

/*
 * SipHash-2-4: the hash of n bytes at data under a secret key of SIPHASH_KEY_SIZE bytes,
 * as two 64-bit halves that are independent for whoever has no key
 * (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012).
 */
void siphash128(const uint8_t *key, const void *data, size_t n,
    uint64_t out[2]);

/*
 * SipHash-1-3, of two thirds of the work: for where a key is kept in a table
 * that shows nobody its hashes, as hash tables of languages have it.
 */
void siphash128_table(const uint8_t *key, const void *data, size_t n,
    uint64_t out[2]);

#endif
