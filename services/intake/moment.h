/* Moments as clients of other systems write them. */
#ifndef MOMENT_H
#define MOMENT_H

#include "otklik.h"

/* Microseconds UTC of an ISO 8601 moment: a day, or day, T or blank, hours and minutes, seconds or
 * not, fractions or not (dropped), then Z, +hh:mm, +hhmm, +hh or nothing for UTC. A blank may stand
 * for the plus: that is what an unescaped one becomes in a query. Years 1970 to 2999. 0, or -1 when
 * it is none of these. */
int moment_parse(struct str s, int64_t *us);

#endif
