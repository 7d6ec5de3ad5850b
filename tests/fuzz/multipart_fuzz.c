// multipart/form-data under any bytes: whatever way they are cut, the reader says the same; what it
// says of data is what came.
// sources: services/common/multipart.c
#include <stdio.h>
#include <stdlib.h>

#include "multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

/* What was said, in a form that does not show the slices. */
struct story {
    uint64_t hash;
    size_t parts, bytes;
    int broken, whole;
};

static void add(struct story *s, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) {
        s->hash = (s->hash ^ p[i]) * 0x100000001b3u;
    }
}

static struct story read_all(struct str type, const char *p, size_t size, size_t slice)
{
    struct story s = { .hash = 0xcbf29ce484222325u };
    struct multipart m;
    int in_part = 0;
    if (multipart_init(&m, type) != 0) {
        s.broken = 1;
        return s;
    }
    check(m.ndelimiter >= 5 && m.ndelimiter <= sizeof m.delimiter, "the boundary fits");
    for (size_t at = 0; at < size && !s.broken;) {
        size_t n = size - at < slice ? size - at : slice, used = 0;
        char *copy = malloc(n);
        check(copy != NULL, "memory");
        memcpy(copy, p + at, n);
        enum multipart_event event = multipart_feed(&m, copy, n, &used);
        check(used <= n && (used > 0 || event != MULTIPART_MORE), "it goes on");
        switch (event) {
        case MULTIPART_PART:
            check(!in_part, "a part begins behind another's end");
            check(m.has_filename || m.filename.n == 0, "no name of a file without a file");
            in_part = 1;
            s.parts++;
            add(&s, "(", 1);
            add(&s, m.name.p, m.name.n);
            add(&s, "|", 1);
            add(&s, m.filename.p, m.filename.n);
            add(&s, "|", 1);
            add(&s, m.type.p, m.type.n);
            add(&s, ")", 1);
            break;
        case MULTIPART_DATA:
            check(in_part && m.data.n > 0, "data belongs to a part");
            add(&s, m.data.p, m.data.n);
            s.bytes += m.data.n;
            break;
        case MULTIPART_PART_END:
            check(in_part, "a part that ends has begun");
            in_part = 0;
            add(&s, ";", 1);
            break;
        case MULTIPART_BROKEN:
            s.broken = 1;
            break;
        case MULTIPART_MORE:
            check(used == n, "all bytes are taken");
            break;
        }
        free(copy);
        at += used;
    }
    s.whole = multipart_complete(&m);
    check(!s.whole || !in_part, "what is complete has no open part");
    check(s.bytes <= size, "no more data than bytes");
    return s;
}

/* The first byte says how finely the second reading is sliced; then a line with the Content-Type.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    const char *p = (const char *)data + 1, *end = memchr(p, '\n', size - 1);
    struct str type = STR("multipart/form-data; boundary=B");
    if (end != NULL && *p == 'm') {
        type = (struct str){ p, (size_t)(end - p) };
        p = end + 1;
    }
    size_t n = size - (size_t)(p - (const char *)data);
    struct story whole = read_all(type, p, n, SIZE_MAX);
    struct story sliced = read_all(type, p, n, data[0] % 16 + 1);
    check(whole.broken == sliced.broken && whole.whole == sliced.whole, "slices change no end");
    check(whole.parts == sliced.parts && whole.bytes == sliced.bytes, "slices change no number");
    check(whole.hash == sliced.hash, "slices change no byte");
    return 0;
}
