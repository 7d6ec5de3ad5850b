/* A line that says how far long work has come. */
#include "progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "cli.h"

enum { EVERY_US = 1000000 };

struct progress progress_begin(int quiet_elsewhere)
{
    return (struct progress){ .tty = isatty(STDERR_FILENO) == 1,
                              .quiet_elsewhere = quiet_elsewhere,
                              .next_us = cli_now_us() + EVERY_US };
}

int progress_due(struct progress *p)
{
    int64_t now = cli_now_us();
    if (now < p->next_us || (!p->tty && p->quiet_elsewhere)) {
        return 0;
    }
    p->next_us = now + EVERY_US;
    return 1;
}

void progress_show(struct progress *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (p->tty) {
        fputs("\r", stderr);
    }
    vfprintf(stderr, format, args);
    fputs(p->tty ? "\033[K" : "\n", stderr);
    fflush(stderr);
    va_end(args);
    p->shown = p->tty;
}

void progress_end(struct progress *p)
{
    if (p->shown) {
        fputc('\n', stderr);
        p->shown = 0;
    }
}
