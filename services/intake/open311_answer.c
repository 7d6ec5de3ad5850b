/* POST /open311/v2/servicerequestupdates: the system of a body tells what becomes of an appeal.
 *
 * Clients know a dozen statuses, we know six moves; what a status cannot say (a reason, a promised
 * day) is said by attributes of ours. A final answer without proof is refused: text alone is what
 * people call a brush-off. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "ids.h"
#include "intake.h"
#include "intake_queries.h"
#include "moment.h"
#include "open311.h"
#include "upload.h"
#include "wall.h"

enum { TRIES_MAX = 3, REASONS_MAX = 8, NUMBER_BYTES = 24 };

/* What a body may do: the step it becomes, what that may follow and leads to, what must be said. */
struct move {
    const char *name;   /* attribute[kind] */
    const char *event;  /* of the chain */
    const char *answer; /* interim or final; NULL: the step is no answer */
    const char *from;   /* states, as an array of PostgreSQL */
    const char *to;
    int closes; /* open or closed to GeoReport */
    int needs_reason, needs_day;
    int takes_files;                        /* and a promised day */
    const char *const reasons[REASONS_MAX]; /* codes; web/i18n says them in words */
};

#define IN_WORK "{routed,accepted,redirected,postponed}"

static const struct move moves[] = {
    { .name = "accepted",
      .event = "accepted",
      .from = "{routed,redirected,postponed}",
      .to = "accepted" },
    { .name = "interim",
      .event = "answered",
      .answer = "interim",
      .from = IN_WORK,
      .to = "accepted",
      .takes_files = 1 },
    { .name = "final",
      .event = "answered",
      .answer = "final",
      .from = IN_WORK,
      .to = "answered",
      .closes = 1,
      .takes_files = 1,
      .reasons = { "not_confirmed", "explained", "no_legal_ground", "other_owner" } },
    { .name = "rejected",
      .event = "rejected",
      .from = IN_WORK,
      .to = "rejected",
      .closes = 1,
      .needs_reason = 1,
      .reasons = { "off_topic", "unreadable", "obscene", "no_address", "duplicate" } },
    { .name = "postponed",
      .event = "postponed",
      .from = IN_WORK,
      .to = "postponed",
      .needs_reason = 1,
      .needs_day = 1,
      .reasons = { "no_money", "season", "preparation", "other_works" } },
    { .name = "redirected",
      .event = "redirected",
      .from = "{routed,accepted,postponed}",
      .to = "redirected" },
};
enum { ACCEPTED, INTERIM, FINAL, REJECTED, POSTPONED, REDIRECTED, MOVES };

static const char *const kinds[] = { "accepted",  "interim",    "final", "rejected",
                                     "postponed", "redirected", NULL };
static const char *const reasons[] = { "not_confirmed", "explained",  "no_legal_ground",
                                       "other_owner",   "off_topic",  "unreadable",
                                       "obscene",       "no_address", "duplicate",
                                       "no_money",      "season",     "preparation",
                                       "other_works",   NULL };

/* Extended statuses (FixMyStreet's), written as clients like: any case, _ or blank. */
static const struct {
    const char *status;
    int move;
} statuses[] = {
    { "open", ACCEPTED },
    { "for_triage", ACCEPTED },
    { "investigating", ACCEPTED },
    { "in_progress", INTERIM },
    { "action_scheduled", INTERIM },
    { "unchanged", INTERIM },
    { "fixed", FINAL },
    { "closed", FINAL },
    { "no_further_action", FINAL },
    { "planned", POSTPONED },
    { "duplicate", REJECTED },
    { "cancelled", REJECTED },
    { "not_councils_responsibility", REDIRECTED },
    { "internal_referral", REDIRECTED },
};

enum row { U_ID, U_STATUS, U_TEXT, U_AT, U_UPDATE_ID, U_MEDIA, U_KIND, U_REASON, U_DAY, ROWS };
static const struct field update_fields[] = {
    [U_ID] = { .name = "service_request_id",
               .type = FIELD_LINE,
               .required = 1,
               .min = 1,
               .max = 40 },
    [U_STATUS] = { .name = "status", .type = FIELD_LINE, .required = 1, .min = 1, .max = 40 },
    [U_TEXT] = { .name = "description", .type = FIELD_TEXT, .required = 1, .min = 1, .max = 10000 },
    [U_AT] = { .name = "updated_datetime", .type = FIELD_LINE, .min = 1, .max = 40 },
    [U_UPDATE_ID] = { .name = "update_id", .type = FIELD_LINE, .min = 1, .max = 128 },
    [U_MEDIA] = { .name = "media_url", .type = FIELD_LINE, .min = 1, .max = 2000 },
    [U_KIND] = { .name = "attribute[kind]", .type = FIELD_ENUM, .options = kinds },
    [U_REASON] = { .name = "attribute[reason]", .type = FIELD_ENUM, .options = reasons },
    [U_DAY] = { .name = "attribute[promised_on]", .type = FIELD_DATE },
    FIELD_END,
};

/* A move on its way into the database. */
struct answering {
    struct request *r;
    const struct move *move;
    struct number number;
    char digest[67]; /* of all that was said */
    struct str key;
    int tries;
};

static struct str say(const struct request *r, const char *ru, const char *en)
{
    return str_of(r->lang == LANG_RU ? ru : en);
}

static int given(const struct open311 *o, enum row row)
{
    return o->values[row].s.given;
}

/* NULL when it was not said. */
static const char *text_of(const struct open311 *o, enum row row)
{
    return given(o, row) ? o->values[row].s.text.p : NULL;
}

/* ---- what it means */

static int same_status(struct str said, const char *status)
{
    size_t n = strlen(status);
    for (size_t i = 0; i < n && said.n == n; i++) {
        char c = said.p[i] == ' ' || said.p[i] == '-' ? '_' : said.p[i];
        if ((c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) != status[i]) {
            return 0;
        }
    }
    return said.n == n;
}

static const struct move *move_of_status(struct str said)
{
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        if (same_status(said, statuses[i].status)) {
            return &moves[statuses[i].move];
        }
    }
    return NULL;
}

/* attribute[kind] is more exact than a status, which must not say the contrary. NULL: it is wrong,
 * and told. */
static const struct move *read_move(struct request *r, struct open311 *o)
{
    if (!given(o, U_STATUS)) {
        return NULL;
    }
    const struct move *by_status = move_of_status(o->values[U_STATUS].s.text);
    if (by_status == NULL) {
        open311_wrong(r, o, STR("status"),
                      same_status(o->values[U_STATUS].s.text, "reopen")
                          ? say(r, "открыть заново может только тот, кто написал.",
                                "only who wrote it can open it again.")
                          : say(r, "такого состояния нет.", "there is no such status."));
        return NULL;
    }
    if (!given(o, U_KIND)) {
        return by_status;
    }
    const struct move *move = &moves[o->values[U_KIND].e.option];
    if (move->closes != by_status->closes) {
        open311_wrong(r, o, STR("attribute[kind]"),
                      say(r, "противоречит status.", "contradicts status."));
        return NULL;
    }
    return move;
}

static int has_reason(const struct move *move, const char *reason)
{
    for (size_t i = 0; i < REASONS_MAX && move->reasons[i] != NULL; i++) {
        if (strcmp(move->reasons[i], reason) == 0) {
            return 1;
        }
    }
    return 0;
}

static void check_move(struct request *r, struct open311 *o, const struct move *move)
{
    const char *reason = text_of(o, U_REASON);
    if (reason != NULL && !has_reason(move, reason)) {
        open311_wrong(r, o, STR("attribute[reason]"),
                      say(r, "не подходит к этому ответу.", "does not go with this answer."));
    }
    if (reason == NULL && move->needs_reason) {
        open311_wrong_code(r, o, STR("attribute[reason]"), FE_REQUIRED, 0);
    }
    if (given(o, U_DAY) && !move->takes_files && !move->needs_day) {
        open311_wrong_code(r, o, STR("attribute[promised_on]"), FE_NOT_ALLOWED, 0);
    }
    if (!given(o, U_DAY) && move->needs_day) {
        open311_wrong_code(r, o, STR("attribute[promised_on]"), FE_REQUIRED, 0);
    }
    if (upload_count(r) > 0 && !move->takes_files) {
        open311_wrong_code(r, o, STR("media"), FE_NOT_ALLOWED, 0);
    }
}

static void check_rest(struct request *r, struct open311 *o)
{
    int64_t us;
    struct str url = o->values[U_MEDIA].s.text;
    if (given(o, U_AT) && moment_parse(o->values[U_AT].s.text, &us) != 0) {
        open311_wrong_code(r, o, STR("updated_datetime"), FE_FORM, 0);
    }
    if (given(o, U_MEDIA) && strncasecmp(url.p, "http://", 7) != 0 &&
        strncasecmp(url.p, "https://", 8) != 0) {
        open311_wrong_code(r, o, STR("media_url"), FE_FORM, 0);
    }
}

/* ---- once */

/* SHA-256 of all that was said, each part with its length. -1 when memory is out. */
static int fingerprint(const struct open311 *o, struct answering *a)
{
    size_t size = 0, n = 0, files = upload_count(a->r);
    for (int i = 0; i < ROWS; i++) {
        size += sizeof(uint64_t) + (given(o, i) ? o->values[i].s.text.n : 0);
    }
    size += files * sizeof a->digest;
    char *all = arena_alloc(a->r->arena, size);
    if (all == NULL) {
        return -1;
    }
    for (int i = 0; i < ROWS; i++) {
        struct str part = given(o, i) ? o->values[i].s.text : STR("");
        uint64_t length = given(o, i) ? part.n : UINT64_MAX;
        memcpy(all + n, &length, sizeof length);
        n += sizeof length;
        if (part.n > 0) {
            memcpy(all + n, part.p, part.n);
            n += part.n;
        }
    }
    for (size_t i = 0; i < files; i++) {
        memcpy(all + n, upload_file(a->r, i)->digest, sizeof a->digest);
        n += sizeof a->digest;
    }
    sha256_bytea((struct str){ all, n }, a->digest);
    return 0;
}

/* The client's own number of the update makes it one, or else what it says. */
static struct str make_key(const struct open311 *o, const struct answering *a)
{
    return given(o, U_UPDATE_ID)
               ? arena_printf(a->r->arena, "id:%s", o->values[U_UPDATE_ID].s.text.p)
               : arena_printf(a->r->arena, "is:%.64s", a->digest + 2);
}

/* ---- into the database */

static void refuse(struct request *r, struct open311 *o, struct str outcome, struct str status)
{
    static const struct {
        struct str outcome;
        enum otk_err err;
        const char *ru, *en;
    } refusals[] = {
        { STR("not_found"), OTK_NOT_FOUND, "service_request_id: такого обращения нет.",
          "service_request_id: there is no such request." },
        { STR("other_body"), OTK_FORBIDDEN,
          "service_request_id: обращение у другого органа, ключ говорит не за него.",
          "service_request_id: another body has this request, the key does not speak for it." },
        { STR("reused"), OTK_INVALID, "update_id: с этим номером уже пришло другое сообщение.",
          "update_id: another update came with this id." },
        { STR("past"), OTK_INVALID, "attribute[promised_on]: этот день уже прошёл.",
          "attribute[promised_on]: that day is over." },
        { STR("file_used"), OTK_INVALID, "media: этот файл в обращении уже есть.",
          "media: the request has this file already." },
        { STR("no_proof"), OTK_INVALID,
          "attribute[kind]: окончательному ответу нужен файл, обещанный день "
          "(attribute[promised_on]) или причина (attribute[reason]).",
          "attribute[kind]: a final answer needs a file, a promised day (attribute[promised_on]) "
          "or a reason (attribute[reason])." },
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        if (str_eq(outcome, refusals[i].outcome)) {
            open311_refuse(r, o, refusals[i].err, say(r, refusals[i].ru, refusals[i].en));
            return;
        }
    }
    if (str_eq(outcome, STR("illegal"))) {
        struct str sentence =
            arena_printf(r->arena,
                         r->lang == LANG_RU ? "status: из состояния «%.*s» так перейти нельзя."
                                            : "status: this cannot follow \"%.*s\".",
                         (int)status.n, status.p);
        open311_refuse(r, o, OTK_INVALID, sentence);
        return;
    }
    open311_refuse(r, o, OTK_KEY_RUNNING, STR(""));
}

static enum otk_err send_move(struct answering *a);

static void keep_files(struct request *r)
{
    for (size_t i = 0; i < upload_count(r); i++) {
        upload_keep(r, i);
    }
}

static void on_hinted(void *data, const struct db_result *result)
{
    (void)data;
    (void)result; /* a lost hint is no harm: pictures looks by itself */
}

static void on_answered(void *data, const struct db_result *result)
{
    struct answering *a = data;
    struct request *r = a->r;
    struct open311 *o = r->state;
    if (result->err != OTK_OK) {
        /* The same picture over two requests at once: now its row can be seen. */
        if (strcmp(result->sqlstate, "23505") == 0 && ++a->tries < TRIES_MAX &&
            send_move(a) == OTK_OK) {
            return;
        }
        if (result->err != OTK_INTERNAL && result->err != OTK_FULL) {
            keep_files(r); /* the commit may have happened */
        }
        reply_db_problem(r, result);
        return;
    }
    struct str outcome = db_cell(result->res, 0, 0), body = db_cell(result->res, 0, 1);
    int replayed = str_eq(outcome, STR("replayed")), fresh = str_eq(outcome, STR("new"));
    if (str_eq(outcome, STR("retry")) && ++a->tries < TRIES_MAX && send_move(a) == OTK_OK) {
        return;
    }
    if (!replayed && !fresh) {
        refuse(r, o, outcome, db_cell(result->res, 0, 2));
        return;
    }
    if (fresh && upload_count(r) > 0) {
        char region[NUMBER_BYTES];
        const char *params[] = { region };
        snprintf(region, sizeof region, "%d", a->number.region);
        keep_files(r);
        (void)db_ask(r->service->db, QUERY_INTAKE_HINT_PICTURES, params, on_hinted, NULL);
    }
    struct str json = arena_printf(r->arena, "[%.*s]\n", (int)body.n, body.p);
    if (json.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    if (replayed) {
        reply_header(r, "Idempotency-Replayed", STR("true"));
    }
    open311_reply(r, o, json);
}

enum { FILE_ARRAYS = 5 };

static void add_file(struct pg_array *arrays, const struct upload_file *f)
{
    char size[NUMBER_BYTES];
    snprintf(size, sizeof size, "%" PRId64, f->size);
    const struct str cells[FILE_ARRAYS] = { str_of(f->id), str_of(f->name),
                                            str_of(media_type(f->media)), str_of(size),
                                            str_of(f->digest) };
    for (int i = 0; i < FILE_ARRAYS; i++) {
        pg_array_add(&arrays[i], cells[i]);
    }
}

static enum otk_err send_move(struct answering *a)
{
    enum { SINGLE = 19 };
    struct request *r = a->r;
    const struct open311 *o = r->state;
    struct arena *arena = r->arena;
    struct pg_array arrays[FILE_ARRAYS] = { { .p = NULL } };
    const char *params[SINGLE + FILE_ARRAYS] = {
        arena_printf(arena, "%d", a->number.region).p,
        a->number.text,
        arena_dup(arena, r->subject).p,
        arena_dup(arena, r->speaks_for).p,
        arena_printf(arena, "%d", intake_of(r)->slot).p,
        arena_printf(arena, "%" PRId64, wall_us()).p,
        a->key.p,
        a->digest,
        a->move->event,
        a->move->answer,
        a->move->from,
        a->move->to,
        text_of(o, U_TEXT),
        text_of(o, U_REASON),
        text_of(o, U_DAY),
        text_of(o, U_MEDIA),
        text_of(o, U_UPDATE_ID),
        text_of(o, U_AT),
        arena_printf(arena, "%d", UPLOAD_FILES_MAX).p,
    };
    enum otk_err err = OTK_OK;
    for (int i = 0; i < FILE_ARRAYS; i++) {
        pg_array_begin(&arrays[i]);
    }
    for (size_t i = 0; i < upload_count(r); i++) {
        add_file(arrays, upload_file(r, i));
    }
    for (int i = 0; i < FILE_ARRAYS; i++) {
        params[SINGLE + i] = pg_array_end(&arrays[i]);
        err = params[SINGLE + i] == NULL ? OTK_INTERNAL : err;
    }
    for (int i = 0; i < 8; i++) { /* those that are never null */
        err = params[i] == NULL ? OTK_INTERNAL : err;
    }
    if (err == OTK_OK) {
        err = db_ask(r->service->db, QUERY_INTAKE_ANSWER, params, on_answered, a);
    }
    for (int i = 0; i < FILE_ARRAYS; i++) {
        pg_array_free(&arrays[i]);
    }
    return err;
}

void open311_answer(struct request *r)
{
    struct open311 *o = open311_begin(r);
    struct answering *a = o == NULL ? NULL : arena_zero(r->arena, sizeof *a);
    if (o == NULL) {
        return;
    }
    if (a == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    o->root = "service_request_updates";
    if (open311_body(r, o) != 0 || open311_read(r, o, update_fields) != 0) {
        return;
    }
    if ((r->scopes & SCOPE_ANSWER) == 0) {
        open311_refuse(r, o, OTK_FORBIDDEN,
                       say(r, "api_key: ключу нужно право appeals:answer.",
                           "api_key: the key needs the scope appeals:answer."));
        return;
    }
    if (o->region != 0 && o->region != r->region) {
        open311_refuse(r, o, OTK_FORBIDDEN,
                       say(r, "jurisdiction_id: ключ выдан для другой юрисдикции.",
                           "jurisdiction_id: the key is for another jurisdiction."));
        return;
    }
    a->r = r;
    a->move = read_move(r, o);
    if (a->move != NULL) {
        check_move(r, o, a->move);
    }
    check_rest(r, o);
    if (o->nwrong > 0) {
        open311_refuse_wrong(r, o);
        return;
    }
    if (number_parse(o->values[U_ID].s.text, &a->number) != 0 || a->number.region != r->region) {
        refuse(r, o, STR("not_found"), STR(""));
        return;
    }
    if (fingerprint(o, a) == 0) {
        a->key = make_key(o, a);
    }
    enum otk_err err = a->key.p == NULL ? OTK_INTERNAL : send_move(a);
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}
