/* Requests over a fixed number of kept-alive connections, many at once, in one thread. */
#ifndef HTTP_H
#define HTTP_H

#include "otklik.h"

struct http;

/* What came back. Lives until the callback returns. */
struct http_answer {
    int status; /* 0: no answer, and error says why */
    const char *error;
    struct str body; /* NUL-terminated */
    int64_t us;      /* from the beginning to the last byte */
    int retry_after; /* s; 0 if the answer does not say */
    int replayed;    /* Idempotency-Replayed: the first answer once more */
};

typedef void (*http_done)(void *data, size_t slot, const struct http_answer *answer);

/* URL is the front door ("http://host:port"), KEY goes out as X-Api-Key. SLOTS requests at once,
 * each with a connection of its own. NULL after a message. */
struct http *http_open(const char *url, const char *key, size_t slots);
void http_close(struct http *h);

/* Sends on a free slot: GET of PATH when BODY is NULL, else POST of LENGTH bytes of JSON, which
 * must live until DONE is called, from http_wait. IDEMPOTENCY_KEY may be NULL. -1 after a message.
 */
int http_send(struct http *h, size_t slot, const char *path, const char *body, size_t length,
              const char *idempotency_key, http_done done, void *data);

/* Lets requests go on until something happened, a signal came, or TIMEOUT_US are over; calls what
 * is done. -1 after a message. */
int http_wait(struct http *h, int64_t timeout_us);

/* How many slots are at work. */
size_t http_busy(const struct http *h);

#endif
