/* base64url without padding (RFC 7515, section 2): one spelling a value. */

#ifndef BASE64URL_H
#define BASE64URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes that n characters stand for, at most. */
#define BASE64URL_BYTES(n)  ((n) / 4 * 3 + 2)

/*
 * Decodes n characters into out, which has room for size bytes; *length is
 * how many there were.  False for any other character, "=" included, for an
 * impossible length, for bits beyond the last byte that are not zero, and if
 * the room is too small.
 */
bool base64url_decode(const char *text, size_t n, uint8_t *out, size_t size,
    size_t *length);

#endif
