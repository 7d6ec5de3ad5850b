/* The desk: what moderators see and do about abuse.
 *
 * Each act is one statement that also writes down who did it (desk_act). Nothing here is for good:
 * blocks are lifted, quotas forgiven, letters that were held released. */
#include "desk.h"

#include <inttypes.h>
#include <stdio.h>

#include "ids.h"
#include "queue.h"
#include "routing_queries.h"
#include "wall.h"

static const char *const flags[] = { "true", "false", NULL };
static const char *const kinds[] = { "address", "resident", "text", NULL };

enum { Q_ALL };
const struct field desk_blocks_fields[] = {
    [Q_ALL] = { .name = "all", .type = FIELD_ENUM, .options = flags },
    FIELD_END,
};

enum { B_KIND, B_SUBJECT, B_NUMBER, B_REASON, B_UNTIL, B_REFUSE };
const struct field desk_block_fields[] = {
    [B_KIND] = { .name = "kind", .type = FIELD_ENUM, .required = 1, .options = kinds },
    [B_SUBJECT] = { .name = "subject", .type = FIELD_LINE, .min = 1, .max = 128 },
    [B_NUMBER] = { .name = "number", .type = FIELD_LINE, .min = 1, .max = 40 },
    [B_REASON] = { .name = "reason", .type = FIELD_LINE, .required = 1, .min = 3, .max = 500 },
    [B_UNTIL] = { .name = "until", .type = FIELD_DATE },
    [B_REFUSE] = { .name = "refuse", .type = FIELD_FLAG },
    FIELD_END,
};

/* Parameters that most statements take, as texts. */
struct act {
    char region[12], now[24], id[37];
    const char *actor; /* "staff:" and the subject */
};

/* 0, or -1: it has been answered. */
static int begin(struct request *r, struct act *a)
{
    snprintf(a->region, sizeof a->region, "%d", r->region);
    snprintf(a->now, sizeof a->now, "%" PRId64, wall_us());
    struct str actor = arena_printf(r->arena, "staff:%.*s", (int)r->subject.n, r->subject.p);
    a->actor = actor.p;
    if (actor.p == NULL || uuid7(a->id, NULL) != 0) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return -1;
    }
    return 0;
}

/* Every statement gives one JSON document, or no row: then what was named is not there. */
static void answer(struct request *r, const struct db_result *result, int status)
{
    if (result->err != OTK_OK) {
        reply_db_problem(r, result);
    } else if (PQntuples(result->res) == 0) {
        reply_problem(r, OTK_NOT_FOUND, STR(""));
    } else {
        /* The result goes when this returns; the reply may take longer. */
        struct str json = arena_dup(r->arena, db_cell(result->res, 0, 0));
        if (json.p == NULL) {
            reply_problem(r, OTK_INTERNAL, STR(""));
            return;
        }
        reply_header(r, "Cache-Control", STR("no-store"));
        reply_json(r, status, json);
    }
}

static void on_answer(void *data, const struct db_result *result)
{
    answer(data, result, 200);
}

static void ask(struct request *r, size_t query, const char *const *params, db_callback done)
{
    enum otk_err err = db_ask(r->service->db, query, params, done, r);
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}

static int is_uuid(struct str s)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    for (size_t i = 0; i < s.n && i < sizeof form - 1; i++) {
        int hex = strchr("0123456789abcdefABCDEF", s.p[i]) != NULL;
        if (form[i] == '-' ? s.p[i] != '-' : !hex) {
            return 0;
        }
    }
    return s.n == sizeof form - 1;
}

/* A segment of the path as a parameter; NULL when memory is out, which is answered. */
static const char *segment(struct request *r, struct str s)
{
    struct str copy = arena_dup(r->arena, s);
    if (copy.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
    }
    return copy.p;
}

/* ---- blocks */

void desk_blocks(struct request *r)
{
    struct act a;
    if (begin(r, &a) == 0) {
        const char *params[] = { a.region, str_eq(r->values[Q_ALL].e.text, STR("true")) ? "t" : "f",
                                 a.now };
        ask(r, QUERY_ROUTING_BLOCKS, params, on_answer);
    }
}

static void on_blocked(void *data, const struct db_result *result)
{
    struct request *r = data;
    if (result->err == OTK_OK && PQntuples(result->res) == 0) {
        struct field_error unknown = { STR("number"), FE_NO_SUCH, 0 };
        reply_invalid(r, &unknown, 1);
        return;
    }
    answer(r, result, 201);
}

static const char *text_of(const struct request *r, int f)
{
    return r->values[f].s.given ? r->values[f].s.text.p : NULL;
}

void desk_block(struct request *r)
{
    struct act a;
    char id[37];
    int subject = r->values[B_SUBJECT].s.given, number = r->values[B_NUMBER].s.given;
    if (subject == number) { /* neither, or both */
        struct field_error wrong = { STR("number"), number ? FE_NOT_ALLOWED : FE_REQUIRED, 0 };
        reply_invalid(r, &wrong, 1);
        return;
    }
    if (begin(r, &a) != 0) {
        return;
    }
    if (uuid7(id, NULL) != 0) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    const char *params[] = { a.region,
                             id,
                             r->values[B_KIND].e.text.p,
                             text_of(r, B_SUBJECT),
                             text_of(r, B_NUMBER),
                             text_of(r, B_REASON),
                             text_of(r, B_UNTIL),
                             r->values[B_REFUSE].s.given ? "t" : "f",
                             a.actor,
                             a.now,
                             a.id };
    ask(r, QUERY_ROUTING_BLOCK_ADD, params, on_blocked);
}

void desk_lift(struct request *r)
{
    struct act a;
    if (!is_uuid(r->path_arg)) {
        reply_problem(r, OTK_NOT_FOUND, STR(""));
        return;
    }
    const char *id = segment(r, r->path_arg);
    if (id != NULL && begin(r, &a) == 0) {
        const char *params[] = { a.region, id, a.actor, a.now, a.id };
        ask(r, QUERY_ROUTING_BLOCK_LIFT, params, on_answer);
    }
}

/* ---- quotas */

void desk_quotas(struct request *r)
{
    struct act a;
    if (begin(r, &a) == 0) {
        const char *params[] = { a.region, a.now };
        ask(r, QUERY_ROUTING_QUOTAS, params, on_answer);
    }
}

void desk_forgive(struct request *r)
{
    struct act a;
    const char *kind = segment(r, r->path_arg);
    const char *subject = kind == NULL ? NULL : segment(r, r->path_arg2);
    if (subject != NULL && begin(r, &a) == 0) {
        const char *params[] = { a.region, kind, subject, a.actor, a.now, a.id };
        ask(r, QUERY_ROUTING_QUOTA_FORGIVE, params, on_answer);
    }
}

/* ---- repeats and what is held */

void desk_repeats(struct request *r)
{
    struct act a;
    if (begin(r, &a) == 0) {
        const char *params[] = { a.region, a.now };
        ask(r, QUERY_ROUTING_REPEATS, params, on_answer);
    }
}

static void on_released(void *data, const struct db_result *result)
{
    struct request *r = data;
    if (result->err == OTK_OK && PQntuples(result->res) == 1) {
        queue_hint(r->service->state, r->region);
    }
    answer(r, result, 200);
}

void desk_release(struct request *r)
{
    struct act a;
    const char *number = segment(r, r->path_arg);
    if (number != NULL && begin(r, &a) == 0) {
        const char *params[] = { a.region, number, a.actor, a.now, queue_slot(r->service->state),
                                 a.id };
        ask(r, QUERY_ROUTING_RELEASE, params, on_released);
    }
}
