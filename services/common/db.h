/* PostgreSQL without waiting: prepared statements in pipelines over a few connections that mend
 * themselves. */
#ifndef DB_H
#define DB_H

#include <libpq-fe.h>
#include <uv.h>

#include "otklik.h"

/* A statement of sql/queries/<program>/, made by the build (scripts/embed-sql). */
struct statement {
    const char *name;
    const char *sql;
    int nparams;
};

struct db;

/* Result of one statement. ok: rows are in res. Otherwise err says how to answer (mapped from
 * SQLSTATE or from the connection) and sqlstate holds five characters or "". res and what it points
 * at live until the callback returns. */
struct db_result {
    PGresult *res;
    enum otk_err err;
    const char *sqlstate;
    int connection; /* which of the db's connections ran it, 0 … n-1 */
};

/* A value of a row, "" for null; lives as long as RES. */
static inline struct str db_cell(const PGresult *res, int row, int column)
{
    return (struct str){ PQgetvalue(res, row, column), (size_t)PQgetlength(res, row, column) };
}

typedef void (*db_callback)(void *data, const struct db_result *result);

/* Opens CONNECTIONS connections to CONNINFO on LOOP; they connect, prepare all statements (n of
 * them) and reconnect by themselves with pauses of 50 ms … 1 s. NULL when memory is out. */
struct db *db_open(uv_loop_t *loop, const char *conninfo, int connections,
                   const struct statement *statements, size_t n);

/* Sends statement number WHICH with text parameters (NULL: SQL null; nparams of them; copied before
 * return) on the least busy ready connection; the callback comes exactly once, later, also when the
 * connection dies (OTK_UNAVAILABLE). Returns OTK_UNAVAILABLE at once, without callback, when no
 * connection is ready or its pipeline is full. */
enum otk_err db_ask(struct db *db, size_t which, const char *const *params, db_callback done,
                    void *data);
/* The same on connection number CONNECTION; LENGTHS/FORMATS as in PQsendQueryPrepared may be NULL
 * (all text). */
enum otk_err db_ask_on(struct db *db, int connection, size_t which, const char *const *params,
                       const int *lengths, const int *formats, db_callback done, void *data);
/* Keeps the first N connections for db_ask_on: db_ask takes one of them only while no other is
 * ready. */
void db_reserve(struct db *db, int n);
/* 1 when that connection is ready; how many statements it has in flight. */
int db_ready(const struct db *db, int connection);
int db_in_flight(const struct db *db, int connection);
int db_connections(const struct db *db);

/* Statements between begin and commit on one connection: while it is held, db_ask passes that
 * connection by. */
enum otk_err db_hold(struct db *db, int connection);
void db_release(struct db *db, int connection);
/* Plain SQL without parameters on a connection (begin, commit, rollback, listen …). */
enum otk_err db_command(struct db *db, int connection, const char *sql, db_callback done,
                        void *data);

/* Calls HEARD for each NOTIFY on CHANNEL, a name that lives on (listens again after every
 * reconnect). Before the loop runs; at most 8. */
void db_listen(struct db *db, const char *channel, void (*heard)(void *data, const char *payload),
               void *data);
/* Called each time a connection has become ready, prepared statements and all; may be NULL. */
void db_on_ready(struct db *db, void (*ready)(void *data, int connection), void *data);
/* Closes all; callbacks still due come with OTK_UNAVAILABLE first. */
void db_close(struct db *db);

/* Builds a PostgreSQL array literal, element by element, in one growing buffer owned by the caller.
 */
struct pg_array {
    char *p;
    size_t n, size;
    int failed; /* memory ran out: the whole array is void */
};
void pg_array_begin(struct pg_array *a);                   /* keeps the buffer of an earlier use */
void pg_array_add(struct pg_array *a, struct str element); /* quoted and escaped */
void pg_array_add_null(struct pg_array *a);
const char *pg_array_end(
    struct pg_array *a); /* "{…}", valid until the next begin; NULL if failed */
void pg_array_free(struct pg_array *a);

#endif
