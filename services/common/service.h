/* A program that answers FastCGI requests: route table, event loop, database, logs, metrics, a
 * graceful end. */
#ifndef SERVICE_H
#define SERVICE_H

#include <uv.h>

#include "db.h"
#include "metrics.h"
#include "request.h"
#include "server.h"

/* A row of a service's route table. Before ask is called, roles are checked (401, 403) and the
 * fields are read from the body (POST) or the query string (GET, without lang) into r->values. What
 * is wrong with them is answered as a problem, unless the row has its own way of saying so. */
struct route {
    enum method method;
    const char
        *path; /* "/api/v1/appeals/{number}": two {…} at most, each takes one non-empty segment */
    unsigned roles;             /* any of these; 0: anyone */
    const struct field *fields; /* NULL: nothing is read */
    void (*ask)(struct request *r);
    void (*invalid)(struct request *r, enum otk_err err, struct str detail,
                    const struct field_errors *errors); /* NULL: problem+json */
    /* The page for somebody who has waited too long while the handler still waits: puts it into
     * *html, adds headers, answers nothing. Its status, or 0 when memory is out. NULL: problem+json
     */
    int (*late)(struct request *r, struct str *html);
    /* Before the body of a POST comes: begins r's upload when it has files (upload.h), or returns
     * NULL to have it gathered. ask and invalid are called when the files are safe. May be NULL. */
    struct sink *(*files)(struct request *r);
    int from_query;  /* the fields come from the query string although it is a POST */
    int patience_ms; /* of a request with files, until the clock answers; 0: as everybody */
};

/* A problem for a statement that failed: logs SQLSTATE and message with the request's id. */
void reply_db_problem(struct request *r, const struct db_result *result);

struct service {
    const char *name;           /* "intake" */
    const struct route *routes; /* ends with .path == NULL */
    const struct statement *statements;
    size_t nstatements;
    int (*start)(
        struct service *s); /* once, before the first request; may start timers; 0 to go on */
    void (*stop)(struct service *s); /* graceful end begins: stop timers */
    int (*busy)(struct service *s); /* work of its own in flight keeps the process alive at the end;
                                       may be NULL */

    /* filled by service_run */
    uv_loop_t *loop;
    struct db *db;
    void *state; /* the program's own */
};

/* Reads the configuration from the environment, listens, serves until SIGTERM or SIGINT, finishes
 * what is in flight (at most 10 s; a second signal ends at once). Returns the exit status. GET
 * /health/live, /health/ready and /metrics are served for every program. */
int service_run(struct service *s);

#endif
