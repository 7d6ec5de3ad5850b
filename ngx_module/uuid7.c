/* UUIDv7 (RFC 9562) as text: an id that sorts by the time it was made. */

#include "uuid7.h"

#include <endian.h>
#include <string.h>

#define NS_PER_MS  1000000

/* one in each byte of a word */
#define ONES       UINT64_C(0x0101010101010101)


/* The eight hexadecimal digits of a number, a byte of the word each. */

static void
hex_write(char out[8], uint32_t number)
{
    uint64_t  x, letters;

    x = number;
    x = (x << 16 | x) & UINT64_C(0x0000ffff0000ffff);
    x = (x << 8 | x) & UINT64_C(0x00ff00ff00ff00ff);
    x = (x << 4 | x) & (0x0f * ONES);

    letters = ((x + 6 * ONES) >> 4) & ONES;      /* those over nine */
    x = htobe64(x + '0' * ONES + letters * ('a' - '0' - 10));

    memcpy(out, &x, sizeof(x));
}


void
uuid7_write(char *out, int64_t unix_ns, const uint8_t *random)
{
    char      hex[32];
    uint64_t  ms, fraction, high, low;

    ms = (uint64_t) unix_ns / NS_PER_MS;
    fraction = (uint64_t) unix_ns % NS_PER_MS * 4096 / NS_PER_MS;

    high = ms << 16 | 0x7000 | fraction;

    memcpy(&low, random, UUID7_RANDOM_SIZE);
    low = (be64toh(low) & UINT64_C(0x3fffffffffffffff))
          | UINT64_C(0x8000000000000000);

    hex_write(hex, (uint32_t) (high >> 32));
    hex_write(hex + 8, (uint32_t) high);
    hex_write(hex + 16, (uint32_t) (low >> 32));
    hex_write(hex + 24, (uint32_t) low);

    memcpy(out, hex, 8);
    out[8] = '-';
    memcpy(out + 9, hex + 8, 4);
    out[13] = '-';
    memcpy(out + 14, hex + 12, 4);
    out[18] = '-';
    memcpy(out + 19, hex + 16, 4);
    out[23] = '-';
    memcpy(out + 24, hex + 20, 12);
}
