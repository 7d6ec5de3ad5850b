/* POST /api/v1/appeals: a letter comes in. */
#ifndef SUBMIT_H
#define SUBMIT_H

#include "service.h"
#include "submission.h"

extern const struct field submit_fields[];
void submit_ask(struct request *r);
/* Answers what became of a letter, and stores its files: `done` of a submission whose answer is
 * JSON. */
void submit_done(struct submission *s, enum otk_err err, int status, struct str body,
                 const struct db_result *result);

#endif
