/* HTML pages from templates: {{name}} escaped, {{#name}}…{{/name}} for each or if, {{^name}}…{{/name}} if not, {{> part}}. */
#ifndef TEMPLATE_H
#define TEMPLATE_H

#include <yajl/yajl_tree.h>

#include "arena.h"

struct template;

/* Reads DIR/NAME.html with the parts it names; the result lives as long as the program. NULL with a message in ERR (what, where). */
struct template *template_load(const char *dir, const char *name, char *err, size_t errlen);
/* Renders into the arena. A name such as a.b.c is looked up in the innermost section's value, then outwards, then in ROOTS in
 * their order; what is not found prints nothing. Numbers and strings print escaped. .p NULL when memory is out. */
struct str template_render(const struct template *t, const yajl_val *roots, size_t nroots, struct arena *a);

#endif
