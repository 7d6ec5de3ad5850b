/* One blocking connection to PostgreSQL for the administrator's command. */
#include "database.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

/* Warnings of the server, without its line end. */
static void on_notice(void *data, const char *message)
{
    (void)data;
    cli_error("%.*s", (int)strcspn(message, "\n"), message);
}

PGconn *database_open(void)
{
    const char *where = getenv("OTKLIK_DB");
    if (where == NULL) {
        cli_error("OTKLIK_DB is not set: it says where the database is, such as "
                  "\"host=/run/postgresql dbname=otklik user=otklik_admin\"");
        return NULL;
    }
    PGconn *db = PQconnectdb(where);
    if (PQstatus(db) != CONNECTION_OK) {
        database_complain(db, NULL, NULL);
        PQfinish(db);
        return NULL;
    }
    PQsetNoticeProcessor(db, on_notice, NULL);
    if (database_command(db, "set client_min_messages = warning") != 0) {
        PQfinish(db);
        return NULL;
    }
    return db;
}

void database_complain(PGconn *db, const char *place, const PGresult *res)
{
    const char *message = res == NULL ? NULL : PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = res == NULL ? NULL : PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = res == NULL ? NULL : PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
    const char *state = res == NULL ? NULL : PQresultErrorField(res, PG_DIAG_SQLSTATE);
    if (message == NULL) {
        message = PQerrorMessage(db);
    }
    size_t n = strlen(message);
    while (n > 0 && message[n - 1] == '\n') {
        n--;
    }
    cli_error("%s%s%.*s%s%s%s%s%s%s", place == NULL ? "database" : place, ": ", (int)n, message,
              state == NULL ? "" : " (SQLSTATE ", state == NULL ? "" : state,
              state == NULL ? "" : ")", detail == NULL ? "" : "\n  ", detail == NULL ? "" : detail,
              "");
    if (hint != NULL) {
        cli_error("hint: %s", hint);
    }
}

PGresult *database_ask(PGconn *db, const char *place, enum otklik_query which,
                       const char *const *params)
{
    const struct statement *s = &otklik_queries[which];
    PGresult *res = PQexecParams(db, s->sql, s->nparams, NULL, params, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(res);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        return res;
    }
    database_complain(db, place, res);
    PQclear(res);
    return NULL;
}

int database_command(PGconn *db, const char *sql)
{
    PGresult *res = PQexec(db, sql);
    int ok = PQresultStatus(res) == PGRES_COMMAND_OK || PQresultStatus(res) == PGRES_TUPLES_OK;
    if (!ok) {
        database_complain(db, NULL, res);
    }
    PQclear(res);
    return ok ? 0 : -1;
}

int database_region(PGconn *db, int64_t region)
{
    char number[24];
    snprintf(number, sizeof(number), "%" PRId64, region);
    PGresult *res = database_ask(db, NULL, QUERY_OTKLIK_REGION, (const char *const[]){ number });
    if (res == NULL) {
        return -1;
    }
    int known = PQntuples(res) == 1;
    PQclear(res);
    if (!known) {
        cli_error("there is no region %" PRId64, region);
        return -1;
    }
    return 0;
}

int database_tell(PGconn *db)
{
    PGresult *res = database_ask(db, NULL, QUERY_OTKLIK_TELL, NULL);
    PQclear(res);
    return res == NULL ? -1 : 0;
}
