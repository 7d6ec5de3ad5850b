/* HTML pages from templates: {{name}} escaped, {{.}} the section's own value, {{#name}}…{{/name}}
 * for each or if,
 * {{^name}}…{{/name}} if not, {{> part}}, {{! comment}}. A value may stand in text and in quoted
 * attributes only. */
#ifndef TEMPLATE_H
#define TEMPLATE_H

#include <yajl/yajl_tree.h>

#include "arena.h"

struct template;

/* Reads DIR/NAME.html with the parts it names; the result lives as long as the program. NULL with a
 * message in ERR (what, where); a template that would print a value where escaping does not protect
 * (script, style, unquoted, on…=, start of an address) is refused too. */
struct template *template_load(const char *dir, const char *name, char *err, size_t errlen);
/* Renders into the arena. A name such as a.b.c is looked up in the innermost section's value, then
 * outwards, then in ROOTS in their order: whoever has the first piece, has the name. What is not
 * found prints nothing. Numbers and strings print escaped. A section is taken unless its value is
 * missing, false, null, "" or []. .p NULL when memory is out. */
struct str template_render(const struct template *t, const yajl_val *roots, size_t nroots,
                           struct arena *a);

#endif
