/* Numbers in text, without what printf() does for everything else. */

#include "decimal.h"


size_t
decimal_write(char out[DECIMAL_SIZE], uint64_t number)
{
    size_t    i, n;
    uint64_t  rest;

    n = 1;

    for (rest = number; rest >= 10; rest /= 10) {
        n++;
    }

    i = n;

    do {
        out[--i] = (char) ('0' + number % 10);
        number /= 10;
    } while (i > 0);

    return n;
}
