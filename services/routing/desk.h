/* The desk: what moderators see and do about abuse. */
#ifndef DESK_H
#define DESK_H

#include "service.h"

/* GET, POST, DELETE /api/v1/desk/blocks */
extern const struct field desk_blocks_fields[], desk_block_fields[];
void desk_blocks(struct request *r);
void desk_block(struct request *r);
void desk_lift(struct request *r);
/* GET /api/v1/desk/quotas, DELETE …/{kind}/{subject} */
void desk_quotas(struct request *r);
void desk_forgive(struct request *r);
/* GET /api/v1/desk/repeats */
void desk_repeats(struct request *r);
/* POST /api/v1/desk/appeals/{number}/release */
void desk_release(struct request *r);

#endif
