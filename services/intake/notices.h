/* Who wants notices: asking for them, and the links in their letters. */
#ifndef NOTICES_H
#define NOTICES_H

#include "service.h"

/* POST /api/v1/appeals/{number}/notices */
extern const struct field notices_fields[];
void notices_ask(struct request *r);
/* POST /notices: the same from the tracking page. */
extern const struct field notices_form_fields[];
void notices_take(struct request *r);
/* /notices/{confirm,unsubscribe,open}: a page with a button, what the button does, and the way to
 * the appeal. */
extern const struct field notice_link_fields[];
void notice_show(struct request *r);
void notice_do(struct request *r);
void notices_invalid(struct request *r, enum otk_err err, struct str detail,
                     const struct field_errors *errors);
int notices_late(struct request *r, struct str *html);

#endif
