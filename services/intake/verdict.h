/* The resident's verdict on a final answer: a mark, and solved or not. */
#ifndef VERDICT_H
#define VERDICT_H

#include "service.h"

/* POST /api/v1/appeals/{number}/verdict */
extern const struct field verdict_fields[];
void verdict_ask(struct request *r);

/* Rows of a field table that describe a verdict, and their numbers. */
enum verdict_field { V_CODE, V_MARK, V_SOLVED, V_COMMENT, VERDICT_FIELDS };
#define VERDICT_FIELD_ROWS                                                                   \
    [V_CODE] = { .name = "code", .type = FIELD_LINE, .required = 1, .min = 1, .max = 40 },   \
    [V_MARK] = { .name = "mark", .type = FIELD_INTEGER, .required = 1, .min = 1, .max = 5 }, \
    [V_SOLVED] = { .name = "solved", .type = FIELD_BOOLEAN, .required = 1 },                 \
    [V_COMMENT] = { .name = "comment", .type = FIELD_TEXT, .min = 1, .max = 2000 }

/* What became of it. OK: BODY (JSON) is the first answer to this key. */
struct judged {
    enum otk_err err;
    const struct db_result *result; /* of a statement that failed, or NULL; until the callback
                                       returns */
    struct str body;
    int replayed;
};

/* Stores the verdict that R's values begin with on the appeal of NUMBER under KEY, then calls DONE,
 * later. A return other than OTK_OK: it does not call. */
enum otk_err verdict_store(struct request *r, struct str number, struct str key,
                           void (*done)(struct request *r, const struct judged *j));

#endif
