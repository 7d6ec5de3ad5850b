/* POST /api/v1/appeals: a letter comes in. 201 only after the commit. */
#include "submit.h"

#include "intake.h"

const struct field submit_fields[] = { SUBMISSION_FIELD_ROWS, FIELD_END };

static void on_done(struct submission *s, enum otk_err err, int status, struct str body,
                    const struct db_result *result)
{
    struct request *r = s->request;
    if (err == OTK_INVALID) { /* the one thing only the database knows */
        struct field_error unknown = { STR("theme"), FE_NO_SUCH, 0 };
        reply_invalid(r, &unknown, 1);
    } else if (result != NULL) {
        reply_db_problem(r, result);
    } else if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    } else {
        reply_header(r, "Cache-Control", STR("no-store"));
        if (s->replayed) {
            reply_header(r, "Idempotency-Replayed", STR("true"));
        }
        reply_json(r, status, body);
    }
}

void submit_ask(struct request *r)
{
    struct field_errors *errors = arena_zero(r->arena, sizeof *errors);
    if (errors == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    submission_check(r, errors);
    if (errors->n > 0) {
        reply_invalid(r, errors->list, errors->n);
        return;
    }
    if (!submission_key_good(r->idempotency_key)) {
        reply_problem(r, OTK_KEY_MISSING, STR(""));
        return;
    }
    if (r->region == 0) { /* a key that belongs to no region */
        reply_problem(r, OTK_FORBIDDEN, STR(""));
        return;
    }
    struct submission *s = submission_make(r, r->idempotency_key);
    if (s == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    s->done = on_done;
    batch_add(intake_of(r)->batch, s);
}
