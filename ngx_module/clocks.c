/* How another machine's clock stands to ours, as far as its answers tell. */

#include "clocks.h"


void
clocks_learn(struct clocks *clocks, int64_t asked, int64_t answered,
    int64_t theirs)
{
    int64_t  least, most;

    least = theirs - answered;
    most = theirs - asked;

    if (!clocks->known) {
        clocks->known = true;
        clocks->ahead = least + (most - least) / 2;

    } else if (clocks->ahead < least) {
        clocks->ahead = least;

    } else if (clocks->ahead > most) {
        clocks->ahead = most;
    }
}
