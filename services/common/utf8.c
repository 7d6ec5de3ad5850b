/* Is it UTF-8? RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF; and no NUL. */
#include "fields.h"

/* Length of the sequence at P with N bytes left; 0 when it is not one. */
static size_t sequence(const unsigned char *p, size_t n)
{
    unsigned char c = p[0];
    if (c < 0x80) {
        return c != 0;
    }
    size_t length = c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (length == 0 || length > n) {
        return 0;
    }
    /* The second byte carries what the first one leaves open. */
    unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

int utf8_valid(struct str s, size_t *at)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;
    while (i < s.n) {
        size_t length = sequence(p + i, s.n - i);
        if (length == 0) {
            *at = i;
            return 0;
        }
        i += length;
    }
    return 1;
}
