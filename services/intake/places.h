/* GET /api/v1/places: where something is, by its name or by its point. */
#ifndef INTAKE_PLACES_H
#define INTAKE_PLACES_H

#include "service.h"

extern const struct field places_fields[];
void places_ask(struct request *r);

#endif
