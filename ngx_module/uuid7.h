/* UUIDv7 (RFC 9562) as text: an id that sorts by the time it was made. */

#ifndef UUID7_H
#define UUID7_H

#include <stdint.h>

#define UUID7_TEXT_SIZE    36
#define UUID7_RANDOM_SIZE  8

/*
 * Writes 36 characters, not terminated: the milliseconds of unix_ns, then its
 * fraction of a millisecond in 12 bits (section 6.2, method 3: ids of one
 * process sort within the millisecond), then 62 of the 64 random bits.
 */
void uuid7_write(char *out, int64_t unix_ns, const uint8_t *random);

#endif
