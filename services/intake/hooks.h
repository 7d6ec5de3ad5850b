/* POST /hooks/{network}/{account}: a network tells that something was written. */
#ifndef HOOKS_H
#define HOOKS_H

#include "service.h"

void hooks_vk(struct request *r);
void hooks_telegram(struct request *r);
void hooks_ok(struct request *r);
void hooks_max(struct request *r);

/* Registers what is measured here; once, at the start. */
void hooks_register(void);

#endif
