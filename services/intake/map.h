/* GET /api/v1/map: what a map of the region is drawn from. */
#ifndef MAP_H
#define MAP_H

#include "service.h"

/* Where tiles come from, out of the environment, as JSON: "null" when none are configured. NULL
 * with the reason logged. It lives as long as the program. */
const char *map_tiles(void);
void map_ask(struct request *r);

#endif
