/* Settings of a program, from its environment. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "log.h"

int config_number(const char *name, long min, long max, long otherwise, long *out)
{
    const char *text = getenv(name);
    if (text == NULL || *text == '\0') {
        *out = otherwise;
        return 0;
    }
    char *end;
    errno = 0;
    *out = strtol(text, &end, 10);
    if (errno != 0 || *end != '\0' || *out < min || *out > max) {
        log_write(LOG_ERROR, STR(""), "%s must be a number from %ld to %ld", name, min, max);
        return -1;
    }
    return 0;
}

int config_read(struct config *c)
{
    c->socket = getenv("OTKLIK_SOCKET");
    c->db = getenv("OTKLIK_DB");
    c->log_level = getenv("OTKLIK_LOG_LEVEL");
    if (c->db == NULL || *c->db == '\0') {
        log_write(LOG_ERROR, STR(""), "OTKLIK_DB is not set");
        return -1;
    }
    return config_number("OTKLIK_DB_CONNECTIONS", 1, 16, 2, &c->db_connections) != 0 ||
                   config_number("OTKLIK_QUEUE_MAX", 1, 1000000, 1024, &c->queue_max) != 0
               ? -1
               : 0;
}
