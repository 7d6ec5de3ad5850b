/* Answers that change seldom: with an ETag, so that who has one already is told so. */
#ifndef TAGGED_H
#define TAGGED_H

#include "service.h"

/* Answers with the first cell of RESULT, JSON; SECONDS is how long it may be kept. A failed result
 * is answered as a problem. */
void reply_tagged(struct request *r, const struct db_result *result, int seconds);

#endif
