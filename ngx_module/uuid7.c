/* UUIDv7 (RFC 9562) as text: an id that sorts by the time it was made. */

#include "uuid7.h"

#include <string.h>

#define NS_PER_MS  1000000


void
uuid7_write(char *out, int64_t unix_ns, const uint8_t *random)
{
    unsigned  i;
    uint8_t   bytes[16];
    uint64_t  ms, fraction;

    static const char  hex[] = "0123456789abcdef";

    ms = (uint64_t) unix_ns / NS_PER_MS;
    fraction = (uint64_t) unix_ns % NS_PER_MS * 4096 / NS_PER_MS;

    for (i = 0; i < 6; i++) {
        bytes[i] = (uint8_t) (ms >> (40 - 8 * i));
    }

    bytes[6] = (uint8_t) (0x70 | fraction >> 8);
    bytes[7] = (uint8_t) fraction;

    memcpy(bytes + 8, random, UUID7_RANDOM_SIZE);
    bytes[8] = (uint8_t) (0x80 | (bytes[8] & 0x3f));

    for (i = 0; i < sizeof(bytes); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *out++ = '-';
        }

        *out++ = hex[bytes[i] >> 4];
        *out++ = hex[bytes[i] & 0x0f];
    }
}
