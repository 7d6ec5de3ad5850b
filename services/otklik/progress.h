/* One line that says how far long work has come: rewritten in place on a terminal, a new line
 * elsewhere. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdint.h>

struct progress {
    int tty;             /* standard error is a terminal */
    int quiet_elsewhere; /* no lines at all unless it is */
    int shown;           /* a line stands there that has not been ended */
    int64_t next_us;     /* monotonic; when the next line is due */
};

/* A line a second on a terminal; elsewhere the same in lines of their own, or none if
 * QUIET_ELSEWHERE. */
struct progress progress_begin(int quiet_elsewhere);
/* 1 when a new line is due. */
int progress_due(struct progress *p);
/* Shows it. */
void progress_show(struct progress *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Leaves the last line behind and goes to the next. */
void progress_end(struct progress *p);

#endif
