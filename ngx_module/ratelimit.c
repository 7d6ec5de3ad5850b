/* The items of RateLimit-Policy and RateLimit. */

#include "ratelimit.h"

#include <string.h>

#include "decimal.h"


static char *
put_parameter(char *p, char name, int64_t number)
{
    if (number < 0) {
        number = 0;

    } else if (number > RATELIMIT_NUMBER_MAX) {
        number = RATELIMIT_NUMBER_MAX;
    }

    *p++ = ';';
    *p++ = name;
    *p++ = '=';

    return p + decimal_write(p, (uint64_t) number);
}


bool
ratelimit_make(struct ratelimit *item, const char *name, size_t n,
    int64_t quota, int64_t window)
{
    char   *p;
    size_t  i;

    if (n == 0 || n > RATELIMIT_NAME_MAX) {
        return false;
    }

    p = item->text;
    *p++ = '"';

    for (i = 0; i < n; i++) {
        if (name[i] < 0x20 || name[i] > 0x7e) {
            return false;
        }

        if (name[i] == '"' || name[i] == '\\') {
            *p++ = '\\';
        }

        *p++ = name[i];
    }

    *p++ = '"';
    item->name = (size_t) (p - item->text);

    p = put_parameter(p, 'q', quota);

    if (window > 0) {
        p = put_parameter(p, 'w', window);
    }

    item->n = (size_t) (p - item->text);

    return true;
}


char *
ratelimit_put_state(char *out, const struct ratelimit *item, int64_t remaining,
    int64_t reset)
{
    memcpy(out, item->text, item->name);

    out = put_parameter(out + item->name, 'r', remaining);

    return put_parameter(out, 't', reset);
}
