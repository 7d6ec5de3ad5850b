/* Are the appeals that were answered 201 still there? */
#ifndef CHECK_H
#define CHECK_H

#include <signal.h>

#include "http.h"

/* Asks for every answer remembered in PATH by number and code, SLOTS at once, and looks for numbers
 * given twice. Returns an exit status after a report; ends early when *STOP is set. */
int check_answers(struct http *h, size_t slots, const char *path,
                  const volatile sig_atomic_t *stop);

#endif
