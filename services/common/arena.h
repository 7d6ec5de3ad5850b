/* Request memory: carve, never free one by one, drop all at once. */
#ifndef ARENA_H
#define ARENA_H

#include "otklik.h"

struct arena;

/* A new arena that will hand out at most LIMIT bytes in all; NULL when memory is out. */
struct arena *arena_new(size_t limit);
/* N bytes, aligned for any type, uninitialised; NULL when memory or the limit is out. */
void *arena_alloc(struct arena *a, size_t n) __attribute__((warn_unused_result));
/* The same, zeroed. */
void *arena_zero(struct arena *a, size_t n) __attribute__((warn_unused_result));
/* A copy of S with a NUL behind it; .p is NULL on failure. */
struct str arena_dup(struct arena *a, struct str s) __attribute__((warn_unused_result));
/* printf into the arena, NUL-terminated; .p is NULL on failure. */
struct str arena_printf(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3), warn_unused_result));
void arena_free(struct arena *a);

#endif
