/* POST /api/v1/appeals/{number}/join: "me too". 201 only after the commit.
 *
 * A number that cannot be, one that nobody has, and one of an appeal that is still held back get
 * the same answer: nobody learns which appeals there are. */
#include "join.h"

#include <inttypes.h>
#include <stdio.h>

#include "ids.h"
#include "intake.h"
#include "intake_queries.h"
#include "language.h"
#include "submission.h"

enum { TRIES_MAX = 3, DIGEST = 67 };

enum { J_NAME, J_EMAIL, J_PHONE, J_CONSENT, J_NOTIFY };

const struct field join_fields[] = {
    [J_NAME] = { .name = "contact.name", .type = FIELD_LINE, .min = 1, .max = 200 },
    [J_EMAIL] = { .name = "contact.email", .type = FIELD_EMAIL, .min = 1, .max = 254 },
    [J_PHONE] = { .name = "contact.phone", .type = FIELD_PHONE, .min = 1, .max = 40 },
    [J_CONSENT] = { .name = "consent", .type = FIELD_LINE, .min = 1, .max = 32 },
    [J_NOTIFY] = { .name = "notify", .type = FIELD_FLAG, .together = "contact.email" },
    FIELD_END,
};

/* r->state: what the statement takes. */
struct joining {
    struct number number;
    char region[12], at[24], id[37], code[20], code_digest[DIGEST], fingerprint[DIGEST];
    struct str client, key, auth, client_hash; /* a NUL behind each */
    int tries;
};

static const char *text_of(const struct request *r, int field)
{
    return r->values[field].s.given ? r->values[field].s.text.p : NULL;
}

/* ---- what became of it */

static enum otk_err send_it(struct request *r);

static enum otk_err on_retry(struct request *r)
{
    struct joining *j = r->state;
    return ++j->tries < TRIES_MAX ? send_it(r) : OTK_KEY_RUNNING;
}

static void answer(struct request *r, struct str body, int replayed)
{
    struct str json = arena_printf(r->arena, "%.*s\n", (int)body.n, body.p);
    if (json.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    reply_header(r, "Cache-Control", STR("no-store"));
    if (replayed) {
        reply_header(r, "Idempotency-Replayed", STR("true"));
    }
    reply_json(r, 201, json);
}

static void on_joined(void *data, const struct db_result *result)
{
    static const struct {
        struct str outcome;
        enum otk_err err;
    } refusals[] = { { STR("reused"), OTK_KEY_REUSED },
                     { STR("not_found"), OTK_NOT_FOUND },
                     { STR("closed"), OTK_CLOSED } };
    struct request *r = data;
    if (result->err != OTK_OK) {
        reply_db_problem(r, result);
        return;
    }
    struct str outcome = db_cell(result->res, 0, 0);
    enum otk_err err = OTK_OK;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        err = str_eq(outcome, refusals[i].outcome) ? refusals[i].err : err;
    }
    if (str_eq(outcome, STR("retry"))) {
        err = on_retry(r);
        if (err == OTK_OK) {
            return;
        }
    }
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
        return;
    }
    answer(r, db_cell(result->res, 0, 1), str_eq(outcome, STR("replayed")));
}

/* ---- asking */

static enum otk_err send_it(struct request *r)
{
    const struct joining *j = r->state;
    const char *params[] = { j->region,
                             j->number.text,
                             j->id,
                             j->at,
                             j->code,
                             j->code_digest,
                             j->client.p,
                             j->key.p,
                             j->fingerprint,
                             language_tag(r->lang),
                             j->auth.p,
                             j->client_hash.p,
                             text_of(r, J_NAME),
                             text_of(r, J_EMAIL),
                             text_of(r, J_PHONE),
                             text_of(r, J_CONSENT),
                             r->values[J_NOTIFY].s.given ? "true" : "false" };
    return db_ask(r->service->db, QUERY_INTAKE_JOIN, params, on_joined, r);
}

/* SHA-256 over the number and all checked values, each with its length. -1 when memory is out. */
static int fingerprint(struct request *r, struct joining *j)
{
    struct str all = arena_dup(r->arena, str_of(j->number.text));
    for (int i = J_NAME; i <= J_NOTIFY && all.p != NULL; i++) {
        struct str part = r->values[i].s.given ? r->values[i].s.text : STR("");
        all = arena_printf(r->arena, "%.*s %zu:%.*s", (int)all.n, all.p, part.n, (int)part.n,
                           part.n == 0 ? "" : part.p);
    }
    if (all.p != NULL) {
        sha256_bytea(all, j->fingerprint);
    }
    return all.p == NULL ? -1 : 0;
}

/* -1 when memory or randomness is out. */
static int prepare(struct request *r, struct joining *j)
{
    int64_t at_us;
    if (uuid7(j->id, &at_us) != 0 || access_code(j->code) != 0 ||
        access_code_digest(str_of(j->code), j->code_digest) != 0 || fingerprint(r, j) != 0) {
        return -1;
    }
    snprintf(j->region, sizeof j->region, "%d", j->number.region);
    snprintf(j->at, sizeof j->at, "%" PRId64, at_us);
    j->client = arena_dup(r->arena, r->subject);
    j->key = arena_dup(r->arena, r->idempotency_key);
    j->auth = arena_dup(r->arena, r->auth.n > 0 ? r->auth : STR("anonymous"));
    j->client_hash = arena_dup(r->arena, r->client);
    return j->client.p == NULL || j->key.p == NULL || j->auth.p == NULL || j->client_hash.p == NULL
               ? -1
               : 0;
}

void join_ask(struct request *r)
{
    int contact =
        r->values[J_NAME].s.given || r->values[J_EMAIL].s.given || r->values[J_PHONE].s.given;
    if (contact && !r->values[J_CONSENT].s.given) {
        struct field_error missing = { STR("consent"), FE_REQUIRED, 0 };
        reply_invalid(r, &missing, 1);
        return;
    }
    if (r->values[J_NOTIFY].s.given && !intake_of(r)->notices) { /* nobody would send them */
        struct field_error refused = { STR("notify"), FE_NOT_ALLOWED, 0 };
        reply_invalid(r, &refused, 1);
        return;
    }
    if (!submission_key_good(r->idempotency_key)) {
        reply_problem(r, OTK_KEY_MISSING, STR(""));
        return;
    }
    struct joining *j = arena_zero(r->arena, sizeof *j);
    enum otk_err err = j == NULL ? OTK_INTERNAL : OTK_OK;
    if (err == OTK_OK && number_parse(r->path_arg, &j->number) != 0) {
        err = OTK_NOT_FOUND;
    }
    if (err == OTK_OK) {
        r->state = j;
        err = prepare(r, j) != 0 ? OTK_INTERNAL : send_it(r);
    }
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}
