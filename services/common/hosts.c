/* Several servers in one conninfo, tried from another one on each time.
 *
 * libpq tries the servers of "host=a,b" in their order and goes on when one refuses. One that takes
 * the connection and then says nothing (a machine that hangs, an address that swallows packets) it
 * leaves to the caller's clock when it connects without waiting, and a new attempt would begin with
 * the same server again: a standby behind it would never be reached. */
#include "hosts.h"

#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MAX = 80 }; /* libpq 15 knows 43 */

static unsigned members(const char *list)
{
    unsigned n = 1;
    for (; *list != '\0'; list++) {
        n += *list == ',';
    }
    return n;
}

/* "a,b,c" by 1 is "b,c,a". NULL when memory is out. */
static char *turned(const char *list, unsigned by)
{
    size_t n = strlen(list);
    char *out = malloc(n + 2);
    if (out == NULL) {
        return NULL;
    }
    const char *from = list;
    for (by %= members(list); by > 0; by--) {
        from = strchr(from, ',') + 1;
    }
    size_t tail = n - (size_t)(from - list);
    memcpy(out, from, tail);
    if (from > list) {
        out[tail] = ',';
        memcpy(out + tail + 1, list, (size_t)(from - list) - 1);
    }
    out[n] = '\0';
    return out;
}

static int is_list(const char *keyword)
{
    return strcmp(keyword, "host") == 0 || strcmp(keyword, "hostaddr") == 0 ||
           strcmp(keyword, "port") == 0;
}

PGconn *hosts_connect_start(const char *conninfo, unsigned turn)
{
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    if (options == NULL) {
        return PQconnectStart(conninfo); /* it says what is wrong */
    }
    const char *keywords[OPTIONS_MAX + 1], *values[OPTIONS_MAX + 1];
    char *made[OPTIONS_MAX];
    size_t n = 0, nmade = 0;
    int bad = 0;
    for (const PQconninfoOption *o = options; o->keyword != NULL && n < OPTIONS_MAX; o++) {
        if (o->val == NULL) {
            continue;
        }
        keywords[n] = o->keyword;
        values[n] = o->val;
        if (is_list(o->keyword)) {
            values[n] = made[nmade] = turned(o->val, turn);
            bad |= made[nmade++] == NULL;
        }
        n++;
    }
    keywords[n] = values[n] = NULL;
    PGconn *pg = bad ? NULL : PQconnectStartParams(keywords, values, 0);
    while (nmade > 0) {
        free(made[--nmade]);
    }
    PQconninfoFree(options);
    return pg;
}
