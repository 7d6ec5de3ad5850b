/* The public pages, drawn here so that they work without JavaScript: the form and the way of an
 * appeal. */
#ifndef PAGES_H
#define PAGES_H

#include "service.h"

struct pages;

/* Reads templates and texts from the folder WEB; NULL with the reason logged. */
struct pages *pages_load(const char *web);

/* GET and POST /desk/entry: what a registrar types in; without JavaScript for who has a session. */
extern const struct field entry_page_fields[];
void entry_show(struct request *r);
void entry_page_take(struct request *r);
void entry_page_invalid(struct request *r, enum otk_err err, struct str detail,
                        const struct field_errors *errors);
int entry_page_late(struct request *r, struct str *html);

/* GET / */
extern const struct field form_query_fields[];
void form_show(struct request *r);
/* POST /: a letter without JavaScript. */
extern const struct field form_fields[];
void form_take(struct request *r);
void form_invalid(struct request *r, enum otk_err err, struct str detail,
                  const struct field_errors *errors);
int form_late(struct request *r, struct str *html); /* of both */
/* GET /track */
extern const struct field track_page_fields[];
void track_show(struct request *r);
void track_invalid(struct request *r, enum otk_err err, struct str detail,
                   const struct field_errors *errors);
int track_late(struct request *r, struct str *html); /* of both */
/* POST /track: a verdict without JavaScript. */
extern const struct field track_form_fields[];
void track_judge(struct request *r);
void track_form_invalid(struct request *r, enum otk_err err, struct str detail,
                        const struct field_errors *errors);

#endif
