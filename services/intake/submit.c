/* POST /api/v1/appeals: a letter comes in. 201 only after the commit. */
#include "submit.h"

#include "attach.h"
#include "intake.h"
#include "upload.h"

/* Of the letter, while its files become rows. */
struct receipt {
    int status;
    struct str body;
};

const struct field submit_fields[] = { SUBMISSION_FIELD_ROWS, FIELD_END };

/* The receipt with the files in it. */
static struct str with_files(struct request *r, struct str receipt, struct str files)
{
    return arena_printf(r->arena, "%.*s,%.*s", (int)receipt.n - 1, receipt.p, (int)files.n - 1,
                        files.p + 1);
}

/* The letter is stored, its files may not be: then the client comes again with its key, finds the
 * letter and stores the files. */
static void on_files(struct request *r, const struct attached *a)
{
    const struct receipt *receipt = r->state;
    if (a->result != NULL) {
        reply_db_problem(r, a->result);
        return;
    }
    struct str json =
        a->err == OTK_OK ? with_files(r, receipt->body, a->json) : (struct str){ NULL, 0 };
    if (json.p == NULL) {
        reply_problem(r, a->err == OTK_OK ? OTK_INTERNAL : a->err, STR(""));
        return;
    }
    reply_json(r, receipt->status, json);
}

static void store_files(struct request *r, int status, struct str body)
{
    struct receipt *receipt = arena_zero(r->arena, sizeof *receipt);
    enum otk_err err = OTK_INTERNAL;
    if (receipt != NULL) {
        *receipt = (struct receipt){ status, body };
        r->state = receipt;
        err = attach_to_letter(r, body, on_files);
    }
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}

void submit_done(struct submission *s, enum otk_err err, int status, struct str body,
                 const struct db_result *result)
{
    struct request *r = s->request;
    if (err == OTK_INVALID) { /* the one thing only the database knows */
        struct field_error unknown = { STR("theme"), FE_NO_SUCH, 0 };
        reply_invalid(r, &unknown, 1);
    } else if (result != NULL) {
        reply_db_problem(r, result);
    } else if (err != OTK_OK) {
        reply_problem(r, err, submission_refusal(s, err, status, body));
    } else {
        reply_header(r, "Cache-Control", STR("no-store"));
        if (s->replayed) {
            reply_header(r, "Idempotency-Replayed", STR("true"));
        }
        if (upload_count(r) > 0) {
            store_files(r, status, body);
        } else {
            reply_json(r, status, body);
        }
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
    s->done = submit_done;
    batch_add(intake_of(r)->batch, s);
}
