/* FastCGI connections on a Unix socket: accepts, feeds the codec, sends replies, times out. Knows
 * nothing of requests' meaning. */
#ifndef SERVER_H
#define SERVER_H

#include <uv.h>

#include "fcgi.h"

struct server;

/* Where a body goes that is too long to be gathered. */
struct sink {
    /* Takes bytes and copies what it keeps. 1: no more for now, it calls resume when there is room;
     * what has been read already still comes. */
    int (*take)(struct sink *sink, struct str bytes);
    /* The end of it, whole or not, at once or when it is free. */
    void (*drop)(struct sink *sink);
    void (*resume)(void *data); /* the server's; NULL when nobody waits */
    void *data;
};

/* A request that waits for its reply; lives in the request's arena. */
struct call {
    struct fcgi_request request;
    struct connection *connection; /* NULL when nobody waits any more */
    struct sink *sink;             /* has the body; the owner's to drop. NULL: it is in request */
    void (*written)(struct call *call);
    void *data; /* the owner's */
    uv_write_t write;
};

/* What the server asks its owner. */
struct server_owner {
    /* For each request before its body comes: a sink for it, or NULL to have it gathered. */
    struct sink *(*sink)(void *data, struct fcgi_request *request);
    void (*serve)(void *data, struct call *call); /* for each complete request */
    void *data;
};

/* Opens the socket that systemd hands over (LISTEN_FDS) or else PATH. NULL with a logged reason. */
struct server *server_open(uv_loop_t *loop, const char *path, struct server_owner owner);

/* Sends the whole reply and then calls WRITTEN, exactly once, at once or later, whether anybody got
 * it or not. HEAD and BODY stay where they are until then. The arena is the owner's to free after
 * that. */
void server_reply(struct call *call, struct str head, struct str body,
                  void (*written)(struct call *call));

/* Takes no new connections, closes the others when they are idle or have their reply. Call it again
 * from time to time until server_connections says 0. */
void server_stop(struct server *s);
size_t server_connections(const struct server *s);
/* Closes everything that is left; libuv frees connections as the loop goes on. */
void server_close(struct server *s);
/* After the loop has ended. */
void server_free(struct server *s);

#endif
