/* Request memory: carve, never free one by one, drop all at once. */
#include "arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_BYTES = 8 * 1024 }; /* what a usual request needs in one piece */

struct block {
    struct block *older;
    max_align_t bytes[];
};

struct arena {
    struct block *newest;
    char *free, *end; /* of the newest block that small pieces come from */
    size_t left;      /* of the limit */
};

struct arena *arena_new(size_t limit)
{
    struct arena *a = malloc(sizeof *a);
    if (a != NULL) {
        *a = (struct arena){ .left = limit };
    }
    return a;
}

/* A block for N bytes; NULL when memory or the limit is out. */
static struct block *add_block(struct arena *a, size_t n)
{
    if (n > a->left) {
        return NULL;
    }
    struct block *b = malloc(sizeof *b + n);
    if (b == NULL) {
        return NULL;
    }
    a->left -= n;
    b->older = a->newest;
    a->newest = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > a->left + BLOCK_BYTES) {
        return NULL;
    }
    n = n == 0 ? 1 : n; /* NULL means one thing only */
    n = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (n <= (size_t)(a->end - a->free)) {
        char *p = a->free;
        a->free += n;
        return p;
    }
    /* A big piece gets a block of its own; the open one stays open for small ones. */
    if (n > BLOCK_BYTES / 4) {
        struct block *b = add_block(a, n);
        return b == NULL ? NULL : b->bytes;
    }
    size_t size = a->left < BLOCK_BYTES ? a->left : BLOCK_BYTES;
    if (size < n) {
        return NULL;
    }
    struct block *b = add_block(a, size);
    if (b == NULL) {
        return NULL;
    }
    a->free = (char *)b->bytes + n;
    a->end = (char *)b->bytes + size;
    return b->bytes;
}

void *arena_zero(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);
    if (p != NULL) {
        memset(p, 0, n);
    }
    return p;
}

struct str arena_dup(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (p == NULL) {
        return (struct str){ NULL, 0 };
    }
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = '\0';
    return (struct str){ p, s.n };
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (p != NULL) {
        vsnprintf(p, (size_t)n + 1, format, again);
    }
    va_end(again);
    return p == NULL ? (struct str){ NULL, 0 } : (struct str){ p, (size_t)n };
}

void arena_free(struct arena *a)
{
    if (a == NULL) {
        return;
    }
    while (a->newest != NULL) {
        struct block *older = a->newest->older;
        free(a->newest);
        a->newest = older;
    }
    free(a);
}
