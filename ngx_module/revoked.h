/* Tokens that are no longer good: a file with one jti a line. */

#ifndef REVOKED_H
#define REVOKED_H

#include <stdbool.h>
#include <stddef.h>

#define REVOKED_FILE_MAX  (16 * 1024 * 1024)  /* bytes */
#define REVOKED_JTI_MAX   128                 /* bytes */

struct revoked;

struct revoked_error {
    unsigned     line;                        /* from 1; 0: not about a line */
    const char  *what;                        /* constant */
};

/*
 * Whole lines; empty ones and those that begin with "#" say nothing.  NULL if
 * any is wrong, as *error says; else revoked_free() frees it.
 */
struct revoked *revoked_parse(const char *text, size_t n,
    struct revoked_error *error);

void revoked_free(struct revoked *revoked);

size_t revoked_count(const struct revoked *revoked);

bool revoked_holds(const struct revoked *revoked, const char *jti, size_t n);

#endif
