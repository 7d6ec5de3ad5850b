/* The themes of a key's region as the front door lists them, found by what people call them. */
#ifndef THEMES_H
#define THEMES_H

#include "http.h"

struct themes;

/* Asks GET /api/v1/themes, RETRIES times again while the service is away. NULL after a message. */
struct themes *themes_fetch(struct http *h, int64_t retries);
void themes_free(struct themes *t);

/* Code of the theme; without an object any theme of that group and name will do, if there is one
 * only. NULL if the region has none. */
const char *themes_code(const struct themes *t, struct str object, struct str group,
                        struct str name);
int themes_region(const struct themes *t);

#endif
