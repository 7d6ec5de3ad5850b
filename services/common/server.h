/* FastCGI connections on a Unix socket: accepts, feeds the codec, sends replies, times out. Knows
 * nothing of requests' meaning. */
#ifndef SERVER_H
#define SERVER_H

#include <uv.h>

#include "fcgi.h"

struct server;

/* A request that waits for its reply; lives in the request's arena. */
struct call {
    struct fcgi_request request;
    struct connection *connection; /* NULL when nobody waits any more */
    void (*written)(struct call *call);
    void *data; /* the owner's */
    uv_write_t write;
};

/* Opens the socket that systemd hands over (LISTEN_FDS) or else PATH, and calls SERVE for each
 * complete request. NULL with a logged reason. */
struct server *server_open(uv_loop_t *loop, const char *path,
                           void (*serve)(void *data, struct call *call), void *data);

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
