/* Which connection to PostgreSQL carries what, so that nobody who looks delays anybody who writes.
 */
#ifndef LANES_H
#define LANES_H

#include "db.h"

/* The first WRITERS connections store letters and, while another is ready, do nothing else. */
void lanes_open(struct db *db, int writers);
/* As db_ask, for a list that anybody may ask for and that may take long: all of them share the last
 * connection, where PostgreSQL ends one that nobody waits for any more. */
enum otk_err lanes_ask_list(struct db *db, size_t which, const char *const *params,
                            db_callback done, void *data);

#endif
