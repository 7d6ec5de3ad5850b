/* The queue loop: takes appeals out of the outbox, decides, writes down what was decided. */
#ifndef QUEUE_H
#define QUEUE_H

#include "service.h"

struct queue;

/* Begins to listen and to poll on the service's loop and database. SLOT is the slot of appeal_count
 * this process adds to. NULL when memory is out. */
struct queue *queue_start(struct service *service, int slot);

/* Takes no further bite; the one in hand is finished. */
void queue_stop(struct queue *q);

/* 1 while a bite is in hand. */
int queue_busy(const struct queue *q);

/* There is work in REGION, as the desk knows. */
void queue_hint(struct queue *q, int region);
/* The slot of appeal_count that this process counts in, as text. */
const char *queue_slot(const struct queue *q);

#endif
