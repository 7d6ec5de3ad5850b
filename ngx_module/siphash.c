/* SipHash-2-4 with 128 bits of result: a keyed hash nobody can aim for. */

#include "siphash.h"


static uint64_t
rotate(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}


static uint64_t
little_endian(const uint8_t *p, size_t n)
{
    uint64_t  x;

    x = 0;

    while (n--) {
        x = (x << 8) | p[n];
    }

    return x;
}


static void
rounds(uint64_t v[4], unsigned n)
{
    while (n--) {
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
}


static uint64_t
folded(const uint64_t v[4])
{
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}


void
siphash128(const uint8_t *key, const void *data, size_t n, uint64_t out[2])
{
    size_t         left;
    uint64_t       k0, k1, m, v[4];
    const uint8_t  *p;

    k0 = little_endian(key, 8);
    k1 = little_endian(key + 8, 8);

    v[0] = k0 ^ UINT64_C(0x736f6d6570736575);
    v[1] = k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee;
    v[2] = k0 ^ UINT64_C(0x6c7967656e657261);
    v[3] = k1 ^ UINT64_C(0x7465646279746573);

    p = data;

    for (left = n; left >= 8; left -= 8, p += 8) {
        m = little_endian(p, 8);
        v[3] ^= m;
        rounds(v, 2);
        v[0] ^= m;
    }

    m = little_endian(p, left) | ((uint64_t) n << 56);
    v[3] ^= m;
    rounds(v, 2);
    v[0] ^= m;

    v[2] ^= 0xee;
    rounds(v, 4);
    out[0] = folded(v);

    v[1] ^= 0xdd;
    rounds(v, 4);
    out[1] = folded(v);
}
