/* The queue of raw events: reads them, decides what each is, and sees to it that it becomes that.
 */
#ifndef HOOK_QUEUE_H
#define HOOK_QUEUE_H

#include "batch.h"

struct hook_queue;

/* Begins; events older than KEEP_DAYS that were finished are forgotten. NULL when memory is out. */
struct hook_queue *hook_queue_start(struct service *service, struct batch *batch, int keep_days);
/* There is something new in REGION. */
void hook_queue_hint(struct hook_queue *q, int region);
/* Takes no further bite; the one in hand is finished. */
void hook_queue_stop(struct hook_queue *q);
/* 1 while a bite is in hand. */
int hook_queue_busy(const struct hook_queue *q);

#endif
