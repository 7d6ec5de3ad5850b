/* PostgreSQL, waiting: one connection, statements of sql/queries/otklik, errors that name their
 * place. */
#ifndef DATABASE_H
#define DATABASE_H

#include <libpq-fe.h>

#include "otklik_queries.h"

/* Connects as OTKLIK_DB says; NULL after a message. Close with PQfinish. */
PGconn *database_open(void);

/* Runs statement WHICH with text parameters. NULL after a message, which begins with PLACE
 * ("file:12") unless that is NULL. The caller clears the result. */
PGresult *database_ask(PGconn *db, const char *place, enum otklik_query which,
                       const char *const *params);

/* SQL without parameters (begin, commit); 0, or -1 after a message. */
int database_command(PGconn *db, const char *sql);

/* Prints what the server said of a failed result (NULL: of the connection). */
void database_complain(PGconn *db, const char *place, const PGresult *res);

/* 0 if the region exists, else -1 after a message. */
int database_region(PGconn *db, int64_t region);

/* Tells the services that dictionaries have changed; inside a transaction it is heard at its
 * commit. 0 or -1 after a message. */
int database_tell(PGconn *db);

#endif
