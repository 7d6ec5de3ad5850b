/* base64url without padding: one spelling a value. */

#include "base64url.h"


static int
value_of(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }

    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }

    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }

    if (c == '-') {
        return 62;
    }

    return c == '_' ? 63 : -1;
}


bool
base64url_decode(const char *text, size_t n, uint8_t *out, size_t size,
    size_t *length)
{
    int       value;
    size_t    i, used;
    uint32_t  bits;
    unsigned  count;

    *length = 0;

    if (n % 4 == 1 || n / 4 * 3 + (n % 4 ? n % 4 - 1 : 0) > size) {
        return false;
    }

    bits = 0;
    count = 0;
    used = 0;

    for (i = 0; i < n; i++) {
        value = value_of(text[i]);

        if (value < 0) {
            return false;
        }

        bits = (bits << 6 | (uint32_t) value) & 0xffff;
        count += 6;

        if (count >= 8) {
            count -= 8;
            out[used++] = (uint8_t) (bits >> count);
        }
    }

    if ((bits & ((1u << count) - 1)) != 0) {
        return false;
    }

    *length = used;

    return true;
}
