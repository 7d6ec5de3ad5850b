// Forms in parts and moments under any bytes: what is found lies within the body, is text, and
// reads the same once more when sent again.
// sources: services/intake/form_parts.c services/intake/moment.c services/common/utf8.c
#include <stdio.h>
#include <stdlib.h>

#include "form_parts.h"
#include "moment.h"

enum { PAIRS = 8, OUT_BYTES = 1 << 18 };

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

static int lies_in(struct str s, struct str body)
{
    return s.n == 0 || (s.p >= body.p && s.p + s.n <= body.p + body.n);
}

/* The same fields under another boundary are the same fields, unless they hold it. */
static void again(const struct form_pair *pairs, size_t n)
{
    static const char boundary[] = "\r\n--0123456789abcdef0123456789abcdef";
    char *out = malloc(OUT_BYTES);
    size_t length = 0;
    struct form_pair second[PAIRS];
    struct str file = STR("");
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        /* A name in quotes keeps its backslashes as they are. */
        if (memchr(pairs[i].name.p, '"', pairs[i].name.n) != NULL ||
            memchr(pairs[i].name.p, '\\', pairs[i].name.n) != NULL || pairs[i].name.n == 0) {
            free(out);
            return;
        }
        length += (size_t)snprintf(out + length, OUT_BYTES - length,
                                   "%s\r\nContent-Disposition: form-data; name=\"",
                                   boundary + (i == 0 ? 2 : 0));
        memcpy(out + length, pairs[i].name.p, pairs[i].name.n);
        length += pairs[i].name.n;
        memcpy(out + length, "\"\r\n\r\n", 5);
        length += 5;
        if (pairs[i].value.n > 0) {
            memcpy(out + length, pairs[i].value.p, pairs[i].value.n);
            length += pairs[i].value.n;
        }
    }
    length +=
        (size_t)snprintf(out + length, OUT_BYTES - length, "%s--\r\n", boundary + (n == 0 ? 2 : 0));
    struct str type = STR("multipart/form-data; boundary=0123456789abcdef0123456789abcdef");
    check(form_parts(type, (struct str){ out, length }, second, PAIRS, &m, &file) == OTK_OK,
          "it is read again");
    check(m == n, "as many fields");
    for (size_t i = 0; i < n; i++) {
        check(str_eq(pairs[i].name, second[i].name) && str_eq(pairs[i].value, second[i].value),
              "the same fields");
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size > 16384) {
        return 0;
    }
    struct str all = { (const char *)data, size };
    int64_t us;
    if (moment_parse(all, &us) == 0) {
        check(us >= -14 * 3600 * (int64_t)1000000 && us % 1000000 == 0,
              "a moment is of our time, in whole seconds");
    }
    const char *end = memchr(data, '\n', size);
    struct str type = end == NULL ? all : (struct str){ all.p, (size_t)(end - all.p) };
    struct str body = end == NULL ? STR("") : (struct str){ end + 1, size - type.n - 1 };
    struct form_pair pairs[PAIRS];
    size_t n = 0;
    struct str file = STR("");
    enum otk_err err = form_parts(type, body, pairs, PAIRS, &n, &file);
    check(n <= PAIRS, "no more than there is room for");
    for (size_t i = 0; i < n; i++) {
        check(lies_in(pairs[i].name, body) && lies_in(pairs[i].value, body),
              "fields lie in the body");
        check(utf8_valid(pairs[i].name, &(size_t){ 0 }) &&
                  utf8_valid(pairs[i].value, &(size_t){ 0 }),
              "fields are text");
    }
    if (err == OTK_OK) {
        again(pairs, n);
    } else {
        check(err != OTK_MEDIA_TYPE || lies_in(file, body), "so does the name of a file");
    }
    return 0;
}
