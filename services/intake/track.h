/* GET /api/v1/appeals/{number}?code=: the way of one appeal. */
#ifndef TRACK_H
#define TRACK_H

#include "service.h"

extern const struct field track_fields[];
void track_ask(struct request *r);

enum track_column { TRACK_REGION, TRACK_APPEAL }; /* of track.sql */

/* Asks for an appeal with the texts of a page or without. A number or code that cannot be one finds
 * nothing. */
enum otk_err track_find(struct request *r, struct str number, struct str code, int for_page,
                        db_callback done);

#endif
