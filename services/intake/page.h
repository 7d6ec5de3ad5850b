/* What the pages share: how one is drawn. Inside of intake only. */
#ifndef PAGE_H
#define PAGE_H

#include "pages.h"
#include "template.h"

enum page { PAGE_FORM, PAGE_TRACK, PAGE_ENTRY, PAGE_NOTICE, PAGE_COUNT };

/* Answers with the page drawn from CONTEXT, a JSON object (NUL-terminated; .p NULL when memory ran
 * out while it was made). */
void page_draw(struct request *r, enum page page, int status, struct str context);
/* The same page with its headers, not yet sent; .p NULL when memory is out. */
struct str page_html(struct request *r, enum page page, struct str context);
/* S as JSON, null for no string; NUL-terminated like all below; .p NULL when memory is out. */
struct str page_string(struct request *r, struct str s);
/* Adds "name":"value" to OBJECT, the inside of one being written, "" at first; the name's dots
 * become
 * _, since a dot is the template's own. 0, or -1 when memory is out. */
int page_member(struct request *r, struct str *object, struct str name, struct str value);
/* Members every context has: lang, lang_ru, lang_en, notices (they are sent, so they are offered).
 */
struct str page_common(struct request *r);
/* {"title", "detail"} of an error; adds Retry-After to the reply. */
struct str page_problem(struct request *r, enum otk_err err, struct str detail);

#endif
