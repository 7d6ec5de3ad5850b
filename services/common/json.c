/* Writing JSON: what the database does not write itself. */
#include "json.h"

#include <stdio.h>

enum { ESCAPED_MAX = 6 }; /* \u001f */

/* Writes the escape of C to OUT; returns its length, 1 when C stands for itself. */
static size_t escape(unsigned char c, char out[ESCAPED_MAX + 1])
{
    static const char letters[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                    ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\' };
    if (c < sizeof letters && letters[c] != 0) {
        out[0] = '\\';
        out[1] = letters[c];
        return 2;
    }
    if (c < 0x20 || c == 0x7f) {
        return (size_t)snprintf(out, ESCAPED_MAX + 1, "\\u%04x", c);
    }
    out[0] = (char)c;
    return 1;
}

/* Bytes at the end of OUT that begin a character of UTF-8 and do not end it. */
static size_t partial(const char *out, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char c = (unsigned char)out[n - back];
        if (c >= 0xc0) {
            size_t length = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
            return length > back ? back : 0;
        }
        if (c < 0x80) {
            break;
        }
    }
    return 0;
}

size_t json_escape(struct str s, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char piece[ESCAPED_MAX + 1];
        size_t length = escape((unsigned char)s.p[i], piece);
        if (length > size - n) {
            return n - partial(out, n);
        }
        memcpy(out + n, piece, length);
        n += length;
    }
    return n;
}

struct str json_string(struct arena *a, struct str s)
{
    char piece[ESCAPED_MAX + 1];
    size_t size = 2;
    for (size_t i = 0; i < s.n; i++) {
        size += escape((unsigned char)s.p[i], piece);
    }
    char *p = arena_alloc(a, size + 1);
    if (p == NULL) {
        return (struct str){ NULL, 0 };
    }
    p[0] = '"';
    json_escape(s, p + 1, size - 2);
    p[size - 1] = '"';
    p[size] = '\0';
    return (struct str){ p, size };
}
