/* Takes files that wait out of the database, one at a time for each helper, and writes down what
 * became of them. */
#ifndef QUEUE_H
#define QUEUE_H

#include "service.h"

struct queue;

struct queue_settings {
    const char *folder; /* OTKLIK_FILES */
    const char *helper; /* path of otklik-recoder */
    long at_once;       /* helpers at the same time */
    long pixels;        /* of a picture, at most */
    long seconds;       /* after which a helper is killed */
};

/* NULL with the reason logged. */
struct queue *queue_start(struct service *service, const struct queue_settings *settings);
void queue_stop(struct queue *q);
/* 1 while a file is in hand. */
int queue_busy(const struct queue *q);

#endif
