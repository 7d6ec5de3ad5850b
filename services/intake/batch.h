/* Group commit: what arrives while a commit is flushing forms the next statement. */
#ifndef BATCH_H
#define BATCH_H

#include "submission.h"

struct batch;

/* At most WRITERS statements at once. SLOT is the first of the counters' slots of this process:
 * connection n adds to SLOT + n. NULL when memory is out. */
struct batch *batch_open(struct service *service, int slot, int writers);
/* Takes a submission; its done is called exactly once, later or at once. */
void batch_add(struct batch *b, struct submission *s);

#endif
