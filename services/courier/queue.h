/* Takes notices out of the database, sends each to each of its recipients, and writes down what
 * became of it. */
#ifndef QUEUE_H
#define QUEUE_H

#include "service.h"

struct queue;

struct queue_settings {
    const char *url;    /* OTKLIK_URL, without a slash at the end */
    const char *secret; /* of links (notice_key.h) */
    long at_once;       /* sendings at the same time */
    long seconds;       /* that one may take */
    long attempts;      /* after which a delivery has failed */
    long pause_s;       /* before the second attempt; then twice as long each time */
};

/* NULL with the reason logged. */
struct queue *queue_start(struct service *service, const struct queue_settings *settings);
void queue_stop(struct queue *q);
/* 1 while something is on its way. */
int queue_busy(const struct queue *q);

#endif
