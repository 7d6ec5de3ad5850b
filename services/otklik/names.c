/* A hash table from texts to consecutive numbers: open addressing, doubled at half full, nothing is
 * ever removed. */
#include "names.h"

#include <stdlib.h>

#include "cli.h"

struct entry {
    char *text;
    size_t n;
    uint64_t hash;
    int64_t times;
};

struct names {
    struct entry *entries;
    size_t count, size; /* of entries */
    size_t *slots;      /* number + 1 of an entry; 0 is free */
    size_t nslots;      /* a power of two */
};

/* FNV-1a; the texts come from files that an administrator chose. */
static uint64_t hash_of(struct str s)
{
    uint64_t h = 0xCBF29CE484222325U;
    for (size_t i = 0; i < s.n; i++) {
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001B3U;
    }
    return h ^ h >> 29;
}

struct names *names_new(void)
{
    struct names *n = cli_alloc(sizeof(*n));
    n->nslots = 64;
    n->slots = cli_alloc(n->nslots * sizeof(*n->slots));
    return n;
}

void names_free(struct names *n)
{
    if (n == NULL) {
        return;
    }
    for (size_t i = 0; i < n->count; i++) {
        free(n->entries[i].text);
    }
    free(n->entries);
    free(n->slots);
    free(n);
}

/* The slot where TEXT is, or the free one where it belongs. */
static size_t *slot_of(const struct names *n, struct str text, uint64_t hash)
{
    for (size_t i = hash & (n->nslots - 1);; i = (i + 1) & (n->nslots - 1)) {
        if (n->slots[i] == 0) {
            return &n->slots[i];
        }
        const struct entry *e = &n->entries[n->slots[i] - 1];
        if (e->hash == hash && str_eq((struct str){ e->text, e->n }, text)) {
            return &n->slots[i];
        }
    }
}

static void grow(struct names *n)
{
    free(n->slots);
    n->nslots *= 2;
    n->slots = cli_alloc(n->nslots * sizeof(*n->slots));
    for (size_t k = 0; k < n->count; k++) {
        size_t i = n->entries[k].hash & (n->nslots - 1);
        while (n->slots[i] != 0) {
            i = (i + 1) & (n->nslots - 1);
        }
        n->slots[i] = k + 1;
    }
}

size_t names_add(struct names *n, struct str text)
{
    uint64_t hash = hash_of(text);
    size_t *slot = slot_of(n, text, hash);
    if (*slot == 0) {
        if (2 * (n->count + 1) > n->nslots) {
            grow(n);
            slot = slot_of(n, text, hash);
        }
        if (n->count == n->size) {
            n->size = n->size == 0 ? 64 : 2 * n->size;
            n->entries = cli_realloc(n->entries, n->size * sizeof(*n->entries));
        }
        char *copy = cli_alloc(text.n + 1);
        if (text.n > 0) {
            memcpy(copy, text.p, text.n);
        }
        n->entries[n->count] = (struct entry){ copy, text.n, hash, 0 };
        *slot = ++n->count;
    }
    n->entries[*slot - 1].times++;
    return *slot - 1;
}

size_t names_find(const struct names *n, struct str text)
{
    size_t slot = *slot_of(n, text, hash_of(text));
    return slot == 0 ? SIZE_MAX : slot - 1;
}

size_t names_count(const struct names *n)
{
    return n->count;
}

struct str names_text(const struct names *n, size_t number)
{
    return (struct str){ n->entries[number].text, n->entries[number].n };
}

int64_t names_times(const struct names *n, size_t number)
{
    return n->entries[number].times;
}
