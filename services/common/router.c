/* Which row of a route table a request is for. Tables are short: they are walked. */
#include "router.h"

enum { PATH_ARGS = 2 };

/* 1 when PATH has the form of PATTERN; args get what stands for each {…}. */
static int matches(const char *pattern, struct str path, struct str args[PATH_ARGS])
{
    size_t at = 0;
    for (size_t n = 0; n < PATH_ARGS; n++) {
        args[n] = (struct str){ NULL, 0 };
    }
    for (size_t n = 0;; n++) {
        size_t plain = strcspn(pattern, "{");
        if (path.n - at < plain || (plain > 0 && memcmp(path.p + at, pattern, plain) != 0)) {
            return 0;
        }
        at += plain;
        pattern += plain;
        if (*pattern == '\0' || n == PATH_ARGS) {
            return *pattern == '\0' && at == path.n;
        }
        pattern = strchr(pattern, '}') + 1;
        /* A segment, or as much of one as leaves room for the end of the pattern. */
        const char *slash = memchr(path.p + at, '/', path.n - at);
        size_t length = slash == NULL ? path.n - at : (size_t)(slash - path.p) - at;
        size_t after = strcspn(pattern, "/{");
        if (length <= after) {
            return 0;
        }
        args[n] = (struct str){ path.p + at, length - after };
        at += length - after;
    }
}

enum otk_err router_find(const struct route *routes, struct request *r, const char **allow)
{
    static const char *const methods[] = { [METHOD_GET] = "GET, HEAD",
                                           [METHOD_POST] = "POST",
                                           [METHOD_GET | METHOD_POST] = "GET, HEAD, POST",
                                           [METHOD_DELETE] = "DELETE",
                                           [METHOD_GET | METHOD_DELETE] = "GET, HEAD, DELETE",
                                           [METHOD_POST | METHOD_DELETE] = "POST, DELETE",
                                           [METHOD_GET | METHOD_POST | METHOD_DELETE] =
                                               "GET, HEAD, POST, DELETE" };
    unsigned known = 0;
    for (const struct route *route = routes; route->path != NULL; route++) {
        struct str args[PATH_ARGS];
        if (!matches(route->path, r->path, args)) {
            continue;
        }
        if (route->method == r->method) {
            r->route = route;
            r->path_arg = args[0];
            r->path_arg2 = args[1];
            return OTK_OK;
        }
        known |= route->method;
    }
    *allow = methods[known];
    return known == 0 ? OTK_NOT_FOUND : OTK_METHOD;
}
