/* Which row of a route table a request is for. Tables are short: they are walked. */
#include "router.h"

/* 1 when PATH has the form of PATTERN; *arg gets what stands for {…}. */
static int matches(const char *pattern, struct str path, struct str *arg)
{
    const char *open = strchr(pattern, '{');
    *arg = (struct str){ NULL, 0 };
    if (open == NULL) {
        return str_eq(path, str_of(pattern));
    }
    const char *close = strchr(open, '}');
    size_t before = (size_t)(open - pattern), after = strlen(close + 1);
    if (path.n <= before + after || memcmp(path.p, pattern, before) != 0 ||
        memcmp(path.p + path.n - after, close + 1, after) != 0) {
        return 0;
    }
    *arg = (struct str){ path.p + before, path.n - before - after };
    return memchr(arg->p, '/', arg->n) == NULL;
}

enum otk_err router_find(const struct route *routes, struct request *r, const char **allow)
{
    static const char *const methods[] = { [METHOD_GET] = "GET, HEAD",
                                           [METHOD_POST] = "POST",
                                           [METHOD_GET | METHOD_POST] = "GET, HEAD, POST" };
    unsigned known = 0;
    for (const struct route *route = routes; route->path != NULL; route++) {
        struct str arg;
        if (!matches(route->path, r->path, &arg)) {
            continue;
        }
        if (route->method == r->method) {
            r->route = route;
            r->path_arg = arg;
            return OTK_OK;
        }
        known |= route->method;
    }
    *allow = methods[known];
    return known == 0 ? OTK_NOT_FOUND : OTK_METHOD;
}
