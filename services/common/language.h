/* Which of our languages a client wants. */
#ifndef LANGUAGE_H
#define LANGUAGE_H

#include "otklik.h"

/* "ru" or "en" exactly; -1 otherwise. */
int language_of(struct str tag);
const char *language_tag(enum lang lang);
/* The one an Accept-Language header (RFC 9110, 12.5.4) likes best; OTHERWISE when it likes neither.
 */
enum lang language_accepted(struct str header, enum lang otherwise);

#endif
