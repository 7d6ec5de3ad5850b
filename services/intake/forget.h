/* Forgets first answers to Idempotency-Keys after three days. */
#ifndef FORGET_H
#define FORGET_H

#include "service.h"

struct forget;

/* Begins; NULL when memory is out. */
struct forget *forget_start(struct service *service);
/* Takes no further bite. */
void forget_stop(struct forget *f);

#endif
