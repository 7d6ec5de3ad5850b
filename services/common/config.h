/* Settings of a program, from its environment (conf/env/ explains each). */
#ifndef CONFIG_H
#define CONFIG_H

struct config {
    const char *socket;    /* OTKLIK_SOCKET; not needed when systemd hands one over */
    const char *db;        /* OTKLIK_DB: a connection string of libpq */
    const char *log_level; /* OTKLIK_LOG_LEVEL */
    long db_connections;   /* OTKLIK_DB_CONNECTIONS, 1 … 16 */
    long queue_max;        /* OTKLIK_QUEUE_MAX: requests in hand, 1 … 1,000,000 */
};

/* 0, or -1 with the reason logged. */
int config_read(struct config *c);
/* A number from the environment from MIN to MAX, OTHERWISE when it is not set. 0, or -1 with the
 * reason logged. */
int config_number(const char *name, long min, long max, long otherwise, long *out);

#endif
