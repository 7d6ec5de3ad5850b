/* GET /api/v1/themes: what a letter may be about. */
#ifndef THEMES_H
#define THEMES_H

#include "service.h"

void themes_ask(struct request *r);

#endif
