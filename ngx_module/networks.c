/* Sets of IP addresses: a text becomes an immutable, sorted table. */

#include "networks.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define BITS         128
#define MAPPED_BITS  96              /* of ::ffff:0:0/96 */

/* the longest of all, 39 of address and 4 of length */
#define TEXT_MAX     (INET6_ADDRSTRLEN + 4)

struct range {
    uint8_t  first[NETWORKS_ADDRESS_SIZE];
    uint8_t  last[NETWORKS_ADDRESS_SIZE];
};

struct networks {
    struct range  *list;             /* sorted, and none touches another */
    size_t         count;
    size_t         room;
};


static const char  not_one[] =
    "it is no address or network like 198.51.100.0/24 or 2001:db8::/32";


/* "24" as a number of bits up to most; -1 if it is none. */

static int
bits_of(const char *text, int most)
{
    int     bits;
    size_t  i;

    bits = 0;

    for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 3; i++) {
        bits = bits * 10 + (text[i] - '0');
    }

    if (i == 0 || text[i] != '\0' || (text[0] == '0' && i > 1) || bits > most) {
        return -1;
    }

    return bits;
}


static bool
address_of(const char *text, uint8_t *address, int *common)
{
    static const uint8_t  mapped[12] = { [10] = 0xff, [11] = 0xff };

    if (inet_pton(AF_INET, text, address + sizeof(mapped)) == 1) {
        memcpy(address, mapped, sizeof(mapped));
        *common = MAPPED_BITS;
        return true;
    }

    *common = 0;

    return inet_pton(AF_INET6, text, address) == 1;
}


/* NULL, or what is wrong with it. */

static const char *
read_range(const char *p, size_t n, struct range *range)
{
    int      i, bits, common;
    char     text[TEXT_MAX], *slash;
    uint8_t  mask;

    if (n == 0 || n >= sizeof(text) || memchr(p, '\0', n) != NULL) {
        return not_one;
    }

    memcpy(text, p, n);
    text[n] = '\0';
    slash = strchr(text, '/');

    if (slash != NULL) {
        *slash = '\0';
    }

    if (!address_of(text, range->first, &common)) {
        return not_one;
    }

    bits = slash != NULL ? bits_of(slash + 1, BITS - common) : BITS - common;

    if (bits < 0) {
        return not_one;
    }

    bits += common;
    memcpy(range->last, range->first, sizeof(range->last));

    for (i = 0; i < NETWORKS_ADDRESS_SIZE; i++) {

        /* the bits of this byte that are free */

        if (bits >= 8 * (i + 1)) {
            mask = 0;

        } else if (bits <= 8 * i) {
            mask = 0xff;

        } else {
            mask = (uint8_t) (0xff >> (bits - 8 * i));
        }

        if (range->first[i] & mask) {
            return "the address has bits beyond the length of its network";
        }

        range->last[i] |= mask;
    }

    return NULL;
}


static bool
append(struct networks *networks, const struct range *range)
{
    size_t         room;
    struct range  *list;

    if (networks->count == networks->room) {
        room = networks->room ? 2 * networks->room : 16;
        list = realloc(networks->list, room * sizeof(*list));

        if (list == NULL) {
            return false;
        }

        networks->list = list;
        networks->room = room;
    }

    networks->list[networks->count++] = *range;

    return true;
}


static int
by_first(const void *one, const void *two)
{
    return memcmp(((const struct range *) one)->first,
                  ((const struct range *) two)->first, NETWORKS_ADDRESS_SIZE);
}


/* The address after this one; false if there is none. */

static bool
next_address(const uint8_t *address, uint8_t *next)
{
    int  i;

    memcpy(next, address, NETWORKS_ADDRESS_SIZE);

    for (i = NETWORKS_ADDRESS_SIZE - 1; i >= 0; i--) {
        if (++next[i] != 0) {
            return true;
        }
    }

    return false;
}


static void
sort(struct networks *networks)
{
    size_t         i, n;
    uint8_t        next[NETWORKS_ADDRESS_SIZE];
    struct range  *last, *range;

    if (networks->count == 0) {
        return;
    }

    qsort(networks->list, networks->count, sizeof(networks->list[0]),
          by_first);

    for (n = 1, i = 1; i < networks->count; i++) {
        last = &networks->list[n - 1];
        range = &networks->list[i];

        if (next_address(last->last, next)
            && memcmp(range->first, next, sizeof(next)) > 0)
        {
            networks->list[n++] = *range;

        } else if (memcmp(range->last, last->last, sizeof(last->last)) > 0) {
            memcpy(last->last, range->last, sizeof(last->last));
        }
    }

    networks->count = n;
}


static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}


static const char *
read_line(struct networks *networks, const char *line, const char *end)
{
    const char    *p, *what;
    struct range   range;

    p = memchr(line, '#', (size_t) (end - line));

    if (p != NULL) {
        end = p;
    }

    for ( /* void */ ; line < end && is_blank(*line); line++) { /* void */ }
    for ( /* void */ ; end > line && is_blank(end[-1]); end--) { /* void */ }

    if (line == end) {
        return NULL;
    }

    what = read_range(line, (size_t) (end - line), &range);

    if (what != NULL) {
        return what;
    }

    return append(networks, &range) ? NULL : "no memory";
}


struct networks *
networks_parse(const char *text, size_t n, struct networks_error *error)
{
    const char       *line, *end;
    struct networks  *networks;

    error->line = 0;

    if (n == 0 || text[n - 1] != '\n') {

        /* what a reader sees while somebody writes in place */

        error->what = "the file does not end with a whole line";
        return NULL;
    }

    networks = calloc(1, sizeof(*networks));

    if (networks == NULL) {
        error->what = "no memory";
        return NULL;
    }

    for (line = text; line < text + n; line = end + 1) {
        end = memchr(line, '\n', (size_t) (text + n - line));
        error->line++;
        error->what = read_line(networks, line, end);

        if (error->what != NULL) {
            networks_free(networks);
            return NULL;
        }
    }

    sort(networks);

    return networks;
}


struct networks *
networks_parse_list(const char *text, size_t n)
{
    const char       *p, *end, *comma;
    struct range      range;
    struct networks  *networks;

    networks = calloc(1, sizeof(*networks));

    if (networks == NULL) {
        return NULL;
    }

    end = text + n;

    for (p = text; p <= end; p = comma + 1) {
        comma = p < end ? memchr(p, ',', (size_t) (end - p)) : NULL;

        if (comma == NULL) {
            comma = end;
        }

        if (read_range(p, (size_t) (comma - p), &range) != NULL
            || !append(networks, &range))
        {
            networks_free(networks);
            return NULL;
        }
    }

    sort(networks);

    return networks;
}


void
networks_free(struct networks *networks)
{
    if (networks != NULL) {
        free(networks->list);
        free(networks);
    }
}


size_t
networks_count(const struct networks *networks)
{
    return networks->count;
}


static int
compare(const void *address, const void *range)
{
    const struct range *r = range;

    if (memcmp(address, r->first, NETWORKS_ADDRESS_SIZE) < 0) {
        return -1;
    }

    return memcmp(address, r->last, NETWORKS_ADDRESS_SIZE) > 0;
}


bool
networks_hold(const struct networks *networks,
    const uint8_t address[NETWORKS_ADDRESS_SIZE])
{
    return networks->count > 0
           && bsearch(address, networks->list, networks->count,
                      sizeof(networks->list[0]), compare) != NULL;
}
