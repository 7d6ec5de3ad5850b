/* A request between the server and its handler; inside of services/common only. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "request.h"
#include "server.h"

struct exchange {
    struct request r; /* first: a handler's request is its exchange */
    struct call *call;
    struct exchange *older, *newer; /* those whose handler has not finished */
    struct str headers;             /* added by reply_header */
    int head_only;                  /* HEAD */
    int answered;                   /* by the handler, or by the clock */
    int finished;                   /* the handler has done its part */
    int written;
};

/* Makes the request of what the edge sent. OTK_OK, or why it is refused; x->r can be answered in
 * both cases. */
enum otk_err exchange_read(struct exchange *x, const struct fcgi_request *from);
/* Sends a problem without ending the handler's part: the clock has run out. */
void exchange_time_out(struct exchange *x);
/* Counts X in: from now on its handler has a part to do. */
void exchange_begin(struct exchange *x);
/* The handler's part is over. */
void exchange_finished(struct exchange *x);
/* Called when the reply is written or nobody waits: frees the exchange once the handler has
 * finished, too. */
void exchange_release(struct exchange *x);
/* The one that came first of those whose handler has not finished; NULL without one. */
struct exchange *exchange_oldest(void);
long exchanges_in_hand(void);
/* Registers what is measured here; once, at the start. */
void exchange_register(void);

#endif
