/* POST /api/v1/appeals: a letter comes in. */
#ifndef SUBMIT_H
#define SUBMIT_H

#include "service.h"

extern const struct field submit_fields[];
void submit_ask(struct request *r);

#endif
