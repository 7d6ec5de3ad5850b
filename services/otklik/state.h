/* Which lines of a file a replay has done, kept in a small file so that the next run goes on there.
 */
#ifndef STATE_H
#define STATE_H

#include "otklik.h"

struct state;

/* Reads the state at PATH (NULL after a message when it belongs to something else). IDENTITY is one
 * line that says what is replayed where; AGAIN forgets what was done. */
struct state *state_open(const char *path, const char *identity, int again);
void state_free(struct state *s);

/* Lines count from 1. */
void state_mark(struct state *s, int64_t line);
int state_has(const struct state *s, int64_t line);
/* How many lines are done; up to which line all are. */
int64_t state_done(const struct state *s);
int64_t state_contiguous(const struct state *s);

/* Writes the state in place of the old one, whole or not at all, if it has changed. -1 after a
 * message. */
int state_save(struct state *s);

/* The default place for the replay of FILE with KEY; its folder is made. Allocated; NULL after a
 * message. */
char *state_path(const char *file, const char *key);

/* "sha256:… bytes": the beginning and the size of a file; allocated, NULL after a message. */
char *state_identity(const char *file, const char *url);

#endif
