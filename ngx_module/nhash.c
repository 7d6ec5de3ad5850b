/* A keyed hash of long texts, faster than SipHash alone. */

#include "nhash.h"

#include <string.h>

#define BLOCK  16                            /* bytes: two words */
#define WORDS  (sizeof(((struct nhash *) NULL)->words) / sizeof(uint64_t))

__extension__ typedef unsigned __int128  wide;

/* The sums of both passes. */
struct sums {
    wide  first;
    wide  second;
};

_Static_assert(WORDS % 2 == 0, "SipHash makes two at once");


void
nhash_init(struct nhash *key, const uint8_t *secret)
{
    uint64_t  i, hash[2];

    for (i = 0; i < WORDS; i += 2) {
        siphash128(secret, &i, sizeof(i), &key->words[i]);
    }

    siphash128(secret, "secret", 6, hash);
    memcpy(key->secret, hash, SIPHASH_KEY_SIZE);
}


/* The second pass has the key of the first, two words further on. */

static inline void
add(struct sums *sums, const uint64_t *key, const void *block)
{
    uint64_t  words[2];

    memcpy(words, block, BLOCK);

    sums->first += (wide) (words[0] + key[0]) * (words[1] + key[1]);
    sums->second += (wide) (words[0] + key[2]) * (words[1] + key[3]);
}


void
nhash(const struct nhash *key, const void *text, size_t n, uint64_t out[2])
{
    size_t           left;
    uint8_t          last[BLOCK];
    uint64_t         words[5];
    struct sums      sums;
    const uint8_t   *p;
    const uint64_t  *k;

    p = text;
    k = key->words;
    sums.first = 0;
    sums.second = 0;

    for (left = n; left >= BLOCK; left -= BLOCK) {
        add(&sums, k, p);
        p += BLOCK;
        k += 2;
    }

    if (left > 0) {
        memset(last, 0, BLOCK);
        memcpy(last, p, left);
        add(&sums, k, last);
    }

    /* with the length: zeros at the end are not nothing */

    words[0] = (uint64_t) sums.first;
    words[1] = (uint64_t) (sums.first >> 64);
    words[2] = (uint64_t) sums.second;
    words[3] = (uint64_t) (sums.second >> 64);
    words[4] = n;

    siphash128(key->secret, words, sizeof(words), out);
}
