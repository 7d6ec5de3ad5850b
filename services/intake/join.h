/* POST /api/v1/appeals/{number}/join: "me too". */
#ifndef JOIN_H
#define JOIN_H

#include "service.h"

extern const struct field join_fields[];
void join_ask(struct request *r);

#endif
