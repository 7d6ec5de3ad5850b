// RateLimit headers of any names and numbers: what is printed is read again by the grammar of
// structured fields (RFC 9651), and says the same.
// sources: ngx_module/ratelimit.c ngx_module/decimal.c
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ratelimit.h"

// Reads a string (section 4.2.5); gives what is behind it, or NULL.
static const char *read_string(const char *p, const char *end, char *text, size_t *n)
{
    if (p == end || *p++ != '"') {
        return NULL;
    }
    for (*n = 0; p < end; p++) {
        if (*p == '"') {
            return p + 1;
        }
        if (*p == '\\') {
            p++;
            if (p == end || (*p != '"' && *p != '\\')) {
                return NULL;
            }
        } else if (*p < 0x20 || *p > 0x7e) {
            return NULL;
        }
        text[(*n)++] = *p;
    }
    return NULL;
}

// Reads ";name=" and an integer (section 4.2.4).
static const char *read_parameter(const char *p, const char *end, char name, int64_t *number)
{
    if (end - p < 4 || p[0] != ';' || p[1] != name || p[2] != '=') {
        return NULL;
    }
    const char *first = p + 3;
    *number = 0;
    for (p = first; p < end && *p >= '0' && *p <= '9'; p++) {
        if (p - first == RATELIMIT_DIGITS) {
            return NULL;
        }
        *number = *number * 10 + (*p - '0');
    }
    // Not required by the grammar, but one number has one spelling.
    return p == first || (*first == '0' && p - first > 1) ? NULL : p;
}

static int64_t in_range(int64_t number)
{
    return number < 0 ? 0 : number > RATELIMIT_NUMBER_MAX ? RATELIMIT_NUMBER_MAX : number;
}

static void check(const char *p, size_t n, const char *name, size_t name_size, const char names[2],
                  int64_t first, int64_t second, bool optional)
{
    // On the heap, of its own length: reading past its end is found.
    char *copy = malloc(n);
    assert(copy != NULL);
    memcpy(copy, p, n);
    const char *end = copy + n;
    char text[2 * RATELIMIT_NAME_MAX + 2];
    size_t length;
    int64_t number;
    const char *at = read_string(copy, end, text, &length);
    assert(at != NULL && length == name_size && memcmp(text, name, length) == 0);
    at = read_parameter(at, end, names[0], &number);
    assert(at != NULL && number == in_range(first));
    if (!optional || second > 0) {
        at = read_parameter(at, end, names[1], &number);
        assert(at != NULL && number == in_range(second));
    }
    assert(at == end);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t numbers[4];
    if (size < sizeof numbers) {
        return 0;
    }
    memcpy(numbers, data, sizeof numbers);
    const char *name = (const char *)data + sizeof numbers;
    size_t n = size - sizeof numbers;

    bool printable = n > 0 && n <= RATELIMIT_NAME_MAX;
    for (size_t i = 0; i < n; i++) {
        printable = printable && name[i] >= 0x20 && name[i] <= 0x7e;
    }
    struct ratelimit *item = malloc(sizeof *item);
    assert(item != NULL);
    assert(ratelimit_make(item, name, n, numbers[0], numbers[1]) == printable);
    if (printable) {
        check(item->text, item->n, name, n, "qw", numbers[0], numbers[1], true);

        char *out = malloc(item->name + RATELIMIT_STATE_SIZE);
        assert(out != NULL);
        int64_t reset = ratelimit_seconds(numbers[3]);
        assert(reset >= 0 && (numbers[3] <= 0 || (reset - 1) * 1000000000 < numbers[3]));
        assert(reset > INT64_MAX / 1000000000 || reset * 1000000000 >= numbers[3]);
        char *end = ratelimit_put_state(out, item, numbers[2], reset);
        check(out, (size_t)(end - out), name, n, "rt", numbers[2], reset, false);
        end = ratelimit_put_state(out, item, numbers[3], numbers[2]);
        check(out, (size_t)(end - out), name, n, "rt", numbers[3], numbers[2], false);
        free(out);
    }
    free(item);
    return 0;
}
