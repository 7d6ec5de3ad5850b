/* A gazetteer out of a table, for otklik import places and demo load. */
#ifndef PLACES_H
#define PLACES_H

#include <libpq-fe.h>
#include <stdint.h>

/* Stores every row of PATH as a place of REGION, inside the caller's transaction, and prints how
 * many. 0, or -1 after a message. */
int places_import(PGconn *db, const char *path, int64_t region);

#endif
