/* Which row of a route table a request is for. */
#ifndef ROUTER_H
#define ROUTER_H

#include "service.h"

/* OTK_OK with r->route and r->path_arg set; OTK_NOT_FOUND; OTK_METHOD when only other methods are
 * known, *allow then lists them. */
enum otk_err router_find(const struct route *routes, struct request *r, const char **allow);

#endif
