/*
 * How another machine's clock stands to ours, as far as its answers tell.
 *
 * An answer that carries the other's time was made between our asking and our
 * reading it, so the difference lies between two bounds.  A quick answer says
 * it closely; a slow one, however slow, contradicts nothing and changes
 * nothing.  A clock that was set is followed at the next answer.
 */

#ifndef CLOCKS_H
#define CLOCKS_H

#include <stdbool.h>
#include <stdint.h>

/* Times of both are within 2^62 ns of 0. */
struct clocks {
    bool     known;
    int64_t  ahead;            /* ns, theirs before ours */
};

/* They said it was theirs, between asked and answered of our clock, ns. */
void clocks_learn(struct clocks *clocks, int64_t asked, int64_t answered,
    int64_t theirs);

#endif
