/* SipHash with 128 bits of result: a keyed hash nobody can aim for. */

#include "siphash.h"

#include <endian.h>
#include <string.h>


static uint64_t
rotate(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}


static uint64_t
word_at(const uint8_t *p)
{
    uint64_t  x;

    memcpy(&x, p, sizeof(x));

    return le64toh(x);
}


/* Fewer than eight bytes, least significant first. */

static uint64_t
tail_at(const uint8_t *p, size_t n)
{
    uint16_t  two;
    uint32_t  four;
    uint64_t  x;
    unsigned  bits;

    x = 0;
    bits = 0;

    if (n & 4) {
        memcpy(&four, p, sizeof(four));
        x = le32toh(four);
        bits = 32;
        p += 4;
    }

    if (n & 2) {
        memcpy(&two, p, sizeof(two));
        x |= (uint64_t) le16toh(two) << bits;
        bits += 16;
        p += 2;
    }

    if (n & 1) {
        x |= (uint64_t) *p << bits;
    }

    return x;
}


static inline void
round_of(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);

    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];

    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];

    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}


static inline void
rounds_of(uint64_t v[4], int n)
{
    while (n--) {
        round_of(v);
    }
}


static inline void
take(uint64_t v[4], uint64_t word, int rounds)
{
    v[3] ^= word;
    rounds_of(v, rounds);
    v[0] ^= word;
}


static inline uint64_t
finish(uint64_t v[4], int rounds)
{
    rounds_of(v, rounds);

    return v[0] ^ v[1] ^ v[2] ^ v[3];
}


/* SipHash-c-d: c rounds a word, d at the end; constants for the compiler. */

static inline __attribute__((always_inline)) void
hash(const uint8_t *key, const void *data, size_t n, int c, int d,
    uint64_t out[2])
{
    size_t          left;
    uint64_t        k0, k1, v[4];
    const uint8_t  *p;

    k0 = word_at(key);
    k1 = word_at(key + 8);

    v[0] = k0 ^ UINT64_C(0x736f6d6570736575);
    v[1] = k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee;
    v[2] = k0 ^ UINT64_C(0x6c7967656e657261);
    v[3] = k1 ^ UINT64_C(0x7465646279746573);

    p = data;

    for (left = n; left >= 8; left -= 8, p += 8) {
        take(v, word_at(p), c);
    }

    take(v, tail_at(p, left) | ((uint64_t) n << 56), c);

    v[2] ^= 0xee;
    out[0] = finish(v, d);

    v[1] ^= 0xdd;
    out[1] = finish(v, d);
}


void
siphash128(const uint8_t *key, const void *data, size_t n, uint64_t out[2])
{
    hash(key, data, n, 2, 4, out);
}


void
siphash128_table(const uint8_t *key, const void *data, size_t n,
    uint64_t out[2])
{
    hash(key, data, n, 1, 3, out);
}
