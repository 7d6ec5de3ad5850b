/* Is it an appeal, or chatter? By rules. */
#ifndef RELEVANCE_H
#define RELEVANCE_H

#include "otklik.h"

/* NULL when TEXT (valid UTF-8) belongs into the register, else why not: "no_text", "no_words",
 * "link_only", "command", "greeting", "thanks", "too_short". In doubt it belongs there: a moderator
 * reads it first. */
const char *relevance_reason(struct str text);

#endif
