/*
 * HMAC-SHA-256 by keys prepared once, and PBKDF2 over it (RFC 8018).
 *
 * By the functions of OpenSSL that know no objects: nothing is allocated and
 * no lock of the library is taken, so a thread that seldom gets a processor
 * can never hold what the event loop waits for.
 */

/* they work in all of OpenSSL 3, but are no longer recommended */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "hmac_sha256.h"

#include <string.h>

#include <openssl/crypto.h>


void
hmac_sha256_key(struct hmac_sha256 *hmac, const void *key, size_t n)
{
    size_t   i;
    uint8_t  block[SHA256_CBLOCK];

    memset(block, 0, sizeof(block));

    if (n > sizeof(block)) {
        SHA256(key, n, block);

    } else if (n > 0) {
        memcpy(block, key, n);
    }

    for (i = 0; i < sizeof(block); i++) {
        block[i] ^= 0x36;
    }

    SHA256_Init(&hmac->inner);
    SHA256_Update(&hmac->inner, block, sizeof(block));

    for (i = 0; i < sizeof(block); i++) {
        block[i] ^= 0x36 ^ 0x5c;
    }

    SHA256_Init(&hmac->outer);
    SHA256_Update(&hmac->outer, block, sizeof(block));

    OPENSSL_cleanse(block, sizeof(block));
}


static void
finish(const struct hmac_sha256 *hmac, SHA256_CTX *ctx,
    uint8_t out[HMAC_SHA256_SIZE])
{
    SHA256_Final(out, ctx);

    *ctx = hmac->outer;
    SHA256_Update(ctx, out, HMAC_SHA256_SIZE);
    SHA256_Final(out, ctx);
}


void
hmac_sha256(const struct hmac_sha256 *hmac, const void *data, size_t n,
    uint8_t out[HMAC_SHA256_SIZE])
{
    SHA256_CTX  ctx;

    ctx = hmac->inner;
    SHA256_Update(&ctx, data, n);
    finish(hmac, &ctx, out);

    OPENSSL_cleanse(&ctx, sizeof(ctx));
}


void
hmac_sha256_pbkdf2(const void *password, size_t n, const void *salt,
    size_t salt_n, unsigned rounds, uint8_t out[HMAC_SHA256_SIZE])
{
    size_t              i;
    uint8_t             last[HMAC_SHA256_SIZE];
    SHA256_CTX          ctx;
    struct hmac_sha256  hmac;

    static const uint8_t  first_block[] = { 0, 0, 0, 1 };

    hmac_sha256_key(&hmac, password, n);

    ctx = hmac.inner;
    SHA256_Update(&ctx, salt, salt_n);
    SHA256_Update(&ctx, first_block, sizeof(first_block));
    finish(&hmac, &ctx, last);

    memcpy(out, last, sizeof(last));

    while (--rounds > 0) {
        ctx = hmac.inner;
        SHA256_Update(&ctx, last, sizeof(last));
        finish(&hmac, &ctx, last);

        for (i = 0; i < sizeof(last); i++) {
            out[i] ^= last[i];
        }
    }

    OPENSSL_cleanse(&ctx, sizeof(ctx));
    OPENSSL_cleanse(&hmac, sizeof(hmac));
    OPENSSL_cleanse(last, sizeof(last));
}
