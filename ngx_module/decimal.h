/* Numbers in text, without what printf() does for everything else. */

#ifndef DECIMAL_H
#define DECIMAL_H

#include <stddef.h>
#include <stdint.h>

/* the digits of UINT64_MAX */
#define DECIMAL_SIZE  20

/* Writes a number, not terminated; returns how many digits it has. */
size_t decimal_write(char out[DECIMAL_SIZE], uint64_t number);

#endif
