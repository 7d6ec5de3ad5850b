/* Municipalities out of a GeoJSON file, for otklik import boundaries and demo load. */
#ifndef BOUNDARIES_H
#define BOUNDARIES_H

#include <libpq-fe.h>
#include <stdint.h>

/* Stores every feature of PATH as a municipality of REGION, inside the caller's transaction, and
 * prints what was done to each unless QUIET. The name is the property PROPERTY, or when that is
 * NULL the first there is of name_ru, name:ru, district and name. 0, or -1 after a message. */
int boundaries_import(PGconn *db, const char *path, int64_t region, const char *property,
                      int quiet);

#endif
