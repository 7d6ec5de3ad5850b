/* Numbers in text, without what printf() does for everything else. */

#include "decimal.h"


static size_t
digits_of(uint64_t number)
{
    size_t    n;
    uint64_t  limit;

    for (n = 1, limit = 10; n < DECIMAL_SIZE && number >= limit; n++) {
        limit *= 10;
    }

    return n;
}


size_t
decimal_write(char out[DECIMAL_SIZE], uint64_t number)
{
    size_t  i, n;

    n = digits_of(number);

    for (i = n; i > 1; number /= 10) {
        out[--i] = (char) ('0' + number % 10);
    }

    out[0] = (char) ('0' + number);

    return n;
}
