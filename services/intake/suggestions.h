/* POST /api/v1/suggestions: what a draft is about, and who has written of it already. */
#ifndef SUGGESTIONS_H
#define SUGGESTIONS_H

#include "service.h"

extern const struct field suggestions_fields[];
void suggestions_ask(struct request *r);

#endif
