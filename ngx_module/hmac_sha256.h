/* HMAC-SHA-256 by keys prepared once, and PBKDF2 over it (RFC 8018). */

#ifndef HMAC_SHA256_H
#define HMAC_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/sha.h>

#define HMAC_SHA256_SIZE  32

/*
 * A key as the two states that hashing begins with.  It is plain memory:
 * whoever held a key wipes it.
 */
struct hmac_sha256 {
    SHA256_CTX  inner;
    SHA256_CTX  outer;
};

void hmac_sha256_key(struct hmac_sha256 *hmac, const void *key, size_t n);

void hmac_sha256(const struct hmac_sha256 *hmac, const void *data, size_t n,
    uint8_t out[HMAC_SHA256_SIZE]);

/* The first block of PBKDF2, which is a key of 32 bytes; rounds >= 1. */
void hmac_sha256_pbkdf2(const void *password, size_t n, const void *salt,
    size_t salt_n, unsigned rounds, uint8_t out[HMAC_SHA256_SIZE]);

#endif
