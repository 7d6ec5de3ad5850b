/* The resident's verdict on a final answer: a mark, and solved or not. Not solved opens the letter
 * again, at the same body, with deadlines of its own.
 *
 * Whoever knows number and code may judge. A wrong code and an unknown number get the same answer.
 */
#include "verdict.h"

#include <inttypes.h>
#include <stdio.h>

#include "ids.h"
#include "intake.h"
#include "intake_queries.h"
#include "submission.h"
#include "wall.h"

enum { TRIES_MAX = 3 };

const struct field verdict_fields[] = { VERDICT_FIELD_ROWS, FIELD_END };

struct judging {
    struct request *r;
    void (*done)(struct request *r, const struct judged *j);
    struct number number;
    char code_digest[67], digest[67]; /* of the code, of the verdict */
    const char *key;
    const char *mark, *solved, *comment; /* as the statement takes them */
    int tries;
};

static const struct {
    struct str outcome;
    enum otk_err err;
} outcomes[] = {
    { STR("new"), OTK_OK },
    { STR("replayed"), OTK_OK },
    { STR("reused"), OTK_KEY_REUSED },
    { STR("retry"), OTK_KEY_RUNNING },
    { STR("not_found"), OTK_NOT_FOUND },
    { STR("no_answer"), OTK_NOT_ANSWERED },
    { STR("too_late"), OTK_TOO_LATE },
};

static enum otk_err send_verdict(struct judging *s);

static void on_hinted(void *data, const struct db_result *result)
{
    (void)data;
    (void)result; /* a lost hint is no harm: routing looks by itself */
}

/* Routing counts the new deadlines. */
static void hint(const struct judging *s)
{
    char region[12];
    const char *params[] = { region };
    snprintf(region, sizeof region, "%d", s->number.region);
    (void)db_ask(s->r->service->db, QUERY_INTAKE_HINT, params, on_hinted, NULL);
}

static void on_judged(void *data, const struct db_result *result)
{
    struct judging *s = data;
    struct judged j = { .err = result->err, .result = result->err == OTK_OK ? NULL : result };
    if (result->err == OTK_OK) {
        struct str outcome = db_cell(result->res, 0, 0);
        j.err = OTK_INTERNAL;
        for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
            if (str_eq(outcome, outcomes[i].outcome)) {
                j.err = outcomes[i].err;
            }
        }
        /* Whoever held the row has committed by now: its answer can be seen. */
        if (j.err == OTK_KEY_RUNNING && ++s->tries < TRIES_MAX && send_verdict(s) == OTK_OK) {
            return;
        }
        j.replayed = str_eq(outcome, STR("replayed"));
    }
    if (j.err == OTK_OK) {
        j.body = arena_dup(s->r->arena, db_cell(result->res, 0, 1));
        j.err = j.body.p == NULL ? OTK_INTERNAL : OTK_OK;
        if (str_eq(db_cell(result->res, 0, 2), STR("t"))) {
            hint(s);
        }
    }
    s->done(s->r, &j);
}

static enum otk_err send_verdict(struct judging *s)
{
    char region[12], slot[12], at[24];
    snprintf(region, sizeof region, "%d", s->number.region);
    snprintf(slot, sizeof slot, "%d", intake_of(s->r)->slot);
    snprintf(at, sizeof at, "%" PRId64, wall_us());
    const char *params[] = { region, s->number.text, s->code_digest, slot,      at,
                             s->key, s->digest,      s->mark,        s->solved, s->comment };
    return db_ask(s->r->service->db, QUERY_INTAKE_VERDICT, params, on_judged, s);
}

enum otk_err verdict_store(struct request *r, struct str number, struct str key,
                           void (*done)(struct request *r, const struct judged *j))
{
    const union value *values = r->values;
    struct judging *s = arena_zero(r->arena, sizeof *s);
    if (s == NULL) {
        return OTK_INTERNAL;
    }
    if (number_parse(number, &s->number) != 0 ||
        access_code_digest(values[V_CODE].s.text, s->code_digest) != 0) {
        return OTK_NOT_FOUND;
    }
    s->r = r;
    s->done = done;
    s->key = arena_dup(r->arena, key).p;
    s->mark = arena_printf(r->arena, "%" PRId64, values[V_MARK].i.integer).p;
    s->solved = values[V_SOLVED].s.text.p;
    s->comment = values[V_COMMENT].s.given ? values[V_COMMENT].s.text.p : NULL;
    if (s->key == NULL || s->mark == NULL) {
        return OTK_INTERNAL;
    }
    struct str all = arena_printf(r->arena, "%s %s %s", s->mark, s->solved,
                                  s->comment == NULL ? "" : s->comment);
    if (all.p == NULL) {
        return OTK_INTERNAL;
    }
    sha256_bytea(all, s->digest);
    return send_verdict(s);
}

/* ---- POST */

static void on_done(struct request *r, const struct judged *j)
{
    if (j->result != NULL) {
        reply_db_problem(r, j->result);
        return;
    }
    struct str json = { NULL, 0 };
    if (j->err == OTK_OK) {
        json = arena_printf(r->arena, "%.*s\n", (int)j->body.n, j->body.p);
    }
    if (json.p == NULL) {
        reply_problem(r, j->err == OTK_OK ? OTK_INTERNAL : j->err, STR(""));
        return;
    }
    reply_header(r, "Cache-Control", STR("no-store"));
    if (j->replayed) {
        reply_header(r, "Idempotency-Replayed", STR("true"));
    }
    reply_json(r, 201, json);
}

void verdict_ask(struct request *r)
{
    enum otk_err err = OTK_KEY_MISSING;
    if (submission_key_good(r->idempotency_key)) {
        err = verdict_store(r, r->path_arg, r->idempotency_key, on_done);
    }
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}
