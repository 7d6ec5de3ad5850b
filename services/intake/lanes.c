/* Which connection to PostgreSQL carries what.
 *
 * The first store letters. The last carries lists: they queue behind one another and end when their
 * clients have been told to come again. What is left between them reads and does small things. With
 * two connections the last does both, and no statement is ended: it may be one that writes. */
#include "lanes.h"

#include "log.h"

enum { SEPARATE = 3 }; /* connections from which on lists have one of their own */

/* A little more than any client waits (service.c). */
static const char limit[] = "set statement_timeout = '1900ms'";

static void on_limited(void *data, const struct db_result *result)
{
    (void)data;
    if (result->err != OTK_OK) {
        log_write(LOG_WARN, STR(""), "lists have no limit of time: %s", result->sqlstate);
    }
}

static void on_ready(void *data, int connection)
{
    struct db *db = data;
    int n = db_connections(db);
    if (n >= SEPARATE && connection == n - 1) {
        (void)db_command(db, connection, limit, on_limited, NULL);
    }
}

void lanes_open(struct db *db, int writers)
{
    int n = db_connections(db);
    db_reserve(db, writers < n ? writers : n - 1);
    db_on_ready(db, on_ready, db);
}

enum otk_err lanes_ask_list(struct db *db, size_t which, const char *const *params,
                            db_callback done, void *data)
{
    int last = db_connections(db) - 1;
    return db_ready(db, last) ? db_ask_on(db, last, which, params, NULL, NULL, done, data)
                              : db_ask(db, which, params, done, data);
}
