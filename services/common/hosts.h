/* Several servers in one conninfo, tried from another one on each time. */
#ifndef HOSTS_H
#define HOSTS_H

#include <libpq-fe.h>

/* PQconnectStart, with the lists of host, hostaddr and port turned by TURN: "host=a,b,c" begins
 * with b when TURN is 1. NULL when memory is out or CONNINFO is wrong. */
PGconn *hosts_connect_start(const char *conninfo, unsigned turn);

#endif
