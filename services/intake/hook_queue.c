/* The queue of raw events: reads them, decides what each is, and sees to it that it becomes that.
 *
 * It lives in intake and not in a program of its own, because an event becomes an appeal by the
 * very statement that stores letters (batch.c): here it shares its commits, its counters' slots and
 * its grants, and there is one way in. What that costs, a parser beside the letters, is paid by the
 * parser being a pure function under a fuzzer, and by the attempts that are counted before an event
 * is looked at: one that killed its process GIVE_UP times is set aside unread.
 *
 * A bite of a region: claim (a lease in the rows, no lock is held while we work) → read → letters
 * go to the batch, steps of known messages each in a statement of their own → when all have
 * answered, one statement ends them. Whoever dies in between loses the lease: an appeal has the id
 * of its event, so it is found again and never made twice; a step and the end of its event are one
 * statement. Several processes share a region row by row (SKIP LOCKED); events of one message stay
 * in order, since a later one cannot be claimed before the earlier ones are finished.
 *
 * Poison: whatever fails because of the event itself is set aside with its error; when the database
 * is in trouble the event is to be tried again, and nobody is blamed. */
#include "hook_queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "hook_parse.h"
#include "ids.h"
#include "intake_queries.h"
#include "log.h"
#include "relevance.h"
#include "wall.h"

enum {
    REGIONS = 100,
    BITE = 32,
    ARENA_BYTES = 64 * 1024 * 1024, /* of a bite: 32 bodies of 256 KB, read and written */
    LEASE_S = 30,
    AGAIN_S = 2, /* after trouble with the database */
    GIVE_UP = 8, /* attempts */
    GATHER_MS = 5,
    POLL_MS = 500,
    PAUSE_MS = 1000, /* when the database does not answer */
    DEPTH_MS = 5000,
    FORGET_MS = 3600 * 1000, /* between two rounds */
    FORGET_PAUSE_MS = 200,   /* between two bites of a round */
    FORGET_BITE = 1000,
    ERROR_BYTES = 200
};

/* Columns of hook_claim.sql. */
enum {
    C_ID,
    C_CHANNEL,
    C_ACCOUNT,
    C_MESSAGE,
    C_REQUEST,
    C_RECEIVED,
    C_ATTEMPTS,
    C_MODE,
    C_STORED,
    C_KNOWN,
    C_RAW
};

/* The arrays of hook_finish.sql, in the order of its parameters from $3 on. */
enum array {
    A_ID,
    A_STATE,
    A_OUTCOME,
    A_REASON,
    A_ERROR,
    A_KEEP,
    A_AGAIN,
    A_ADDRESS,
    A_TEXT,
    A_TALK,
    ARRAYS
};

enum fate { FATE_OPEN, FATE_APPEAL, FATE_NOT_AN_APPEAL, FATE_FAILED, FATE_AGAIN, FATE_FOLLOWED };

/* An event in hand. Its request is one of ours, made up so that the batch takes it. */
struct item {
    struct request request; /* first: a submission's request is its item */
    struct hook_queue *queue;
    enum fate fate;
    const char *reason;
    struct str error;
    struct str id, received_us; /* of the event, and of the appeal it becomes */
    struct str address;         /* empty: may not be kept */
    int keep;                   /* what the network sent */
    struct hook hook;
    union value values[SUBMISSION_FIELDS];
};

struct hook_queue {
    struct service *service;
    struct db *db;
    struct batch *batch;
    uv_timer_t timer, depth_timer, forget_timer;
    unsigned char ready[REGIONS];
    unsigned char bite_of[REGIONS]; /* how many to claim */
    int cursor;
    int asking; /* the whole queue, or a bite, is under way */
    int stopping;
    int64_t listed_ms;
    int depth_asked;
    int forget_region, keep_days;

    /* the bite in hand */
    int biting;
    int region;
    char region_text[12];
    struct arena *arena;
    struct item *items;
    int n, pending;
    struct pg_array arrays[ARRAYS];
};

static struct metric by_fate[] = {
    [FATE_APPEAL] = { .name = "otklik_intake_hook_appeals_total",
                      .help = "Events of networks that became appeals",
                      .type = "counter" },
    [FATE_NOT_AN_APPEAL] = { .name = "otklik_intake_hook_not_appeals_total",
                             .help = "Events of networks that are no appeals",
                             .type = "counter" },
    [FATE_FAILED] = { .name = "otklik_intake_hook_failed_total",
                      .help = "Events of networks that were set aside",
                      .type = "counter" },
    [FATE_AGAIN] = { .name = "otklik_intake_hook_retries_total",
                     .help = "Times that an event of a network is to be tried again",
                     .type = "counter" },
    [FATE_FOLLOWED] = { .name = "otklik_intake_hook_followed_total",
                        .help = "Edits, deletions and restorations of appeals in networks",
                        .type = "counter" },
};
enum { FATES = sizeof by_fate / sizeof *by_fate };

static struct metric waiting_gauge = { .name = "otklik_intake_hook_queue_depth",
                                       .help = "Events of networks that wait to be read",
                                       .type = "gauge" };
static struct metric aside_gauge = { .name = "otklik_intake_hook_set_aside",
                                     .help = "Events of networks that somebody must look at",
                                     .type = "gauge" };

static void turn(struct hook_queue *q);

/* ---- when to look */

static void on_timer(uv_timer_t *timer)
{
    turn(timer->data);
}

/* Looks again in MS at the latest. */
static void look_in(struct hook_queue *q, uint64_t ms)
{
    if (!q->stopping &&
        (!uv_is_active((uv_handle_t *)&q->timer) || uv_timer_get_due_in(&q->timer) > ms)) {
        uv_timer_start(&q->timer, on_timer, ms, 0);
    }
}

void hook_queue_hint(struct hook_queue *q, int region)
{
    q->ready[region] = 1;
    if (!q->asking) {
        look_in(q, GATHER_MS);
    }
}

static int next_region(const struct hook_queue *q)
{
    for (int i = 1; i <= REGIONS; i++) {
        int region = (q->cursor + i) % REGIONS;
        if (q->ready[region]) {
            return region;
        }
    }
    return 0;
}

/* ---- the end of a bite */

static void bite_over(struct hook_queue *q)
{
    arena_free(q->arena);
    q->arena = NULL;
    q->items = NULL;
    q->n = 0;
    q->biting = q->asking = 0;
    turn(q);
}

static void on_finished(void *data, const struct db_result *result)
{
    struct hook_queue *q = data;
    if (result->err == OTK_OK) {
        for (int i = 0; i < q->n; i++) {
            by_fate[q->items[i].fate].value++;
        }
        q->bite_of[q->region] =
            (unsigned char)(q->bite_of[q->region] < BITE / 2 ? q->bite_of[q->region] * 2 : BITE);
    } else {
        /* Their lease runs out and they come again; if it was one's fault, it comes alone. */
        log_write(LOG_WARN, STR(""), "region %d: %d events of networks cannot be ended: %s",
                  q->region, q->n, result->sqlstate);
        q->bite_of[q->region] = 1;
    }
    bite_over(q);
}

static void add_text(struct pg_array *a, struct str s)
{
    if (s.n == 0) {
        pg_array_add_null(a);
    } else {
        pg_array_add(a, s);
    }
}

/* What the rows of an event say then. */
static void add_item(struct hook_queue *q, const struct item *item)
{
    static const struct {
        struct str state, outcome;
    } words[] = {
        [FATE_APPEAL] = { STR("done"), STR("appeal") },
        [FATE_NOT_AN_APPEAL] = { STR("done"), STR("not_an_appeal") },
        [FATE_FAILED] = { STR("failed"), STR("") },
        [FATE_AGAIN] = { STR("new"), STR("") },
    };
    char again[24] = "";
    if (item->fate == FATE_AGAIN) {
        snprintf(again, sizeof again, "%" PRId64, wall_us() + AGAIN_S * INT64_C(1000000));
    }
    pg_array_add(&q->arrays[A_ID], item->id);
    pg_array_add(&q->arrays[A_STATE], words[item->fate].state);
    add_text(&q->arrays[A_OUTCOME], words[item->fate].outcome);
    add_text(&q->arrays[A_REASON],
             item->fate == FATE_NOT_AN_APPEAL ? str_of(item->reason) : STR(""));
    add_text(&q->arrays[A_ERROR], item->fate == FATE_FAILED ? item->error : STR(""));
    pg_array_add(&q->arrays[A_KEEP], item->keep ? STR("t") : STR("f"));
    add_text(&q->arrays[A_AGAIN], str_of(again));
    add_text(&q->arrays[A_ADDRESS], item->address);
    add_text(&q->arrays[A_TEXT], item->fate == FATE_NOT_AN_APPEAL ? item->hook.text : STR(""));
    add_text(&q->arrays[A_TALK], item->address.n > 0 ? item->hook.talk : STR(""));
}

static void finish(struct hook_queue *q)
{
    int n = 0;
    for (int i = 0; i < ARRAYS; i++) {
        pg_array_begin(&q->arrays[i]);
    }
    for (int i = 0; i < q->n; i++) {
        if (q->items[i].fate != FATE_FOLLOWED) {
            add_item(q, &q->items[i]);
            n++;
        }
    }
    char now[24];
    snprintf(now, sizeof now, "%" PRId64, wall_us());
    const char *params[2 + ARRAYS] = { q->region_text, now };
    int failed = 0;
    for (int i = 0; i < ARRAYS; i++) {
        params[2 + i] = pg_array_end(&q->arrays[i]);
        failed |= params[2 + i] == NULL;
    }
    if (n == 0) {
        by_fate[FATE_FOLLOWED].value += q->n;
        bite_over(q);
    } else if (failed ||
               db_ask(q->db, QUERY_INTAKE_HOOK_FINISH, params, on_finished, q) != OTK_OK) {
        bite_over(q); /* the lease runs out */
    }
}

/* One of the bite's events has its fate. */
static void settle(struct item *item, enum fate fate)
{
    struct hook_queue *q = item->queue;
    item->fate = fate;
    if (--q->pending == 0) {
        finish(q);
    }
}

static void set_aside(struct item *item, struct str error)
{
    static const struct str none = STR("it could not be told what was wrong");
    item->error = error.n > 0 ? error : none;
    log_write(LOG_WARN, item->request.request_id,
              "region %d: event %.*s of a network is set aside: %.*s", item->queue->region,
              (int)item->id.n, item->id.p, (int)item->error.n, item->error.p);
    settle(item, FATE_FAILED);
}

/* A statement failed: because of the event, or because of the database? Only the first line of its
 * message: the detail of a constraint holds the row. */
static void statement_failed(struct item *item, enum otk_err err, const struct db_result *result)
{
    if (err == OTK_UNAVAILABLE || err == OTK_FULL || err == OTK_KEY_RUNNING) {
        settle(item, FATE_AGAIN);
        return;
    }
    const char *message = result == NULL || result->res == NULL
                              ? NULL
                              : PQresultErrorField(result->res, PG_DIAG_MESSAGE_PRIMARY);
    set_aside(item, arena_printf(item->queue->arena, "it cannot be stored: %s %.*s",
                                 result == NULL ? "" : result->sqlstate, ERROR_BYTES,
                                 message == NULL ? problem_text(err, LANG_EN) : message));
}

/* ---- what an event becomes */

static void on_submitted(struct submission *s, enum otk_err err, int status, struct str body,
                         const struct db_result *result)
{
    struct item *item = (struct item *)s->request;
    (void)status;
    (void)body;
    if (err == OTK_OK || err == OTK_KEY_REUSED) { /* reused: it was stored by an older version */
        settle(item, FATE_APPEAL);
    } else {
        statement_failed(item, err, result);
    }
}

static void put_number(struct item *item, enum submission_field f, double number)
{
    item->values[f].d.given = 1;
    item->values[f].d.number = number;
}

static void put_text(struct item *item, enum submission_field f, struct str text)
{
    item->values[f].s.given = 1;
    item->values[f].s.text = text;
}

/* The event becomes an appeal, by the statement that stores letters and under its own id. */
static void submit(struct item *item, struct str channel)
{
    struct request *r = &item->request;
    put_text(item, F_TEXT, item->hook.text);
    item->values[F_CHANNEL].e.given = 1;
    item->values[F_CHANNEL].e.text = channel;
    if (item->address.n > 0) {
        put_text(item, F_EXTERNAL_ID, item->address);
    }
    if (item->hook.has_point) {
        put_number(item, F_LAT, item->hook.lat);
        put_number(item, F_LON, item->hook.lon);
    }
    struct submission *s = submission_make(r, item->id);
    if (s == NULL) {
        settle(item, FATE_AGAIN);
        return;
    }
    s->columns[COL_ID] = item->id;
    s->columns[COL_RECEIVED] = item->received_us;
    s->done = on_submitted;
    batch_add(item->queue->batch, s);
}

static void on_followed(void *data, const struct db_result *result)
{
    struct item *item = data;
    if (result->err != OTK_OK) {
        statement_failed(item, result->err, result);
    } else {
        /* No row: somebody has finished the event; we have been too slow. */
        settle(item, FATE_FOLLOWED);
    }
}

/* A step in the history of the appeal that the message became. */
static void follow(struct item *item)
{
    static const struct {
        const char *kind, *outcome;
    } steps[] = {
        [HOOK_EDIT] = { "edited", "update" },
        [HOOK_DELETE] = { "source_deleted", "deletion" },
        [HOOK_RESTORE] = { "source_restored", "restoration" },
    };
    char now[24];
    snprintf(now, sizeof now, "%" PRId64, wall_us());
    struct hook_queue *q = item->queue;
    struct str text = arena_dup(q->arena, item->hook.text);
    if (text.p == NULL) {
        settle(item, FATE_AGAIN);
        return;
    }
    const char *params[] = { q->region_text,
                             item->id.p,
                             now,
                             steps[item->hook.act].kind,
                             item->hook.act == HOOK_EDIT ? text.p : NULL,
                             steps[item->hook.act].outcome,
                             item->keep ? "t" : "f" };
    enum otk_err err = db_ask(q->db, QUERY_INTAKE_HOOK_FOLLOW, params, on_followed, item);
    if (err != OTK_OK) {
        statement_failed(item, err, NULL);
    }
}

static void no_appeal(struct item *item, const char *reason)
{
    item->reason = reason;
    settle(item, FATE_NOT_AN_APPEAL);
}

static void decide(struct item *item, struct str channel, int known)
{
    const struct hook *h = &item->hook;
    if (h->reason != NULL) {
        no_appeal(item, h->reason);
    } else if (h->act == HOOK_CONFIRMATION) {
        no_appeal(item, "not_a_message");
    } else if (known && h->act == HOOK_NEW) {
        no_appeal(item, "repeated"); /* the same message under another id of the event */
    } else if (known) {
        follow(item);
    } else if (h->act == HOOK_DELETE) {
        no_appeal(item, "not_in_register");
    } else if (relevance_reason(h->text) != NULL) {
        no_appeal(item, relevance_reason(h->text));
    } else {
        submit(item, channel);
    }
}

/* ---- a bite */

static int digit_of(char c)
{
    return c >= 'a' ? c - 'a' + 10 : c - '0';
}

/* A bytea in its hexadecimal text; .p NULL when memory is out. */
static struct str bytes_of(struct arena *a, struct str hex)
{
    char *p = arena_alloc(a, hex.n / 2 + 1);
    size_t n = 0;
    for (size_t i = 2; p != NULL && i + 1 < hex.n; i += 2) {
        p[n++] = (char)(digit_of(hex.p[i]) << 4 | digit_of(hex.p[i + 1]));
    }
    return (struct str){ p, n };
}

static int network_of(struct str channel)
{
    for (int i = 0; i < HOOK_NETWORKS; i++) {
        if (str_eq(channel, str_of(hook_names[i]))) {
            return i;
        }
    }
    return -1;
}

/* Makes the request that the batch wants to see. -1 when memory is out. */
static int begin_item(struct hook_queue *q, struct item *item, const PGresult *res, int row)
{
    struct arena *a = q->arena;
    struct request *r = &item->request;
    item->queue = q;
    item->id = arena_dup(a, db_cell(res, row, C_ID));
    item->received_us = arena_dup(a, db_cell(res, row, C_RECEIVED));
    r->service = q->service;
    r->arena = a;
    r->region = q->region;
    r->lang = LANG_RU;
    r->auth = STR("hook");
    r->values = item->values;
    r->subject = arena_dup(a, db_cell(res, row, C_ACCOUNT));
    r->request_id = arena_dup(a, db_cell(res, row, C_REQUEST));
    item->keep = str_eq(db_cell(res, row, C_MODE), STR("answer"));
    return item->id.p == NULL || item->received_us.p == NULL || r->subject.p == NULL ||
                   r->request_id.p == NULL
               ? -1
               : 0;
}

static void read_item(struct hook_queue *q, struct item *item, const PGresult *res, int row)
{
    struct str channel = arena_dup(q->arena, db_cell(res, row, C_CHANNEL));
    struct str raw = bytes_of(q->arena, db_cell(res, row, C_RAW));
    int network = network_of(channel);
    if (channel.p == NULL || raw.p == NULL) {
        settle(item, FATE_AGAIN);
        return;
    }
    if (str_eq(db_cell(res, row, C_STORED), STR("t"))) {
        settle(item, FATE_APPEAL); /* by somebody who did not come to its end */
        return;
    }
    if (strtol(PQgetvalue(res, row, C_ATTEMPTS), NULL, 10) > GIVE_UP) {
        set_aside(item, STR("it was tried too often without an end"));
        return;
    }
    enum otk_err err = network < 0 ? OTK_INVALID : hook_parse(q->arena, network, raw, &item->hook);
    if (err == OTK_INTERNAL) {
        settle(item, FATE_AGAIN);
        return;
    }
    if (err != OTK_OK) {
        set_aside(item, network < 0 ? STR("the network is not known") : item->hook.error);
        return;
    }
    item->address = item->keep ? item->hook.address : STR("");
    decide(item, channel, str_eq(db_cell(res, row, C_KNOWN), STR("t")));
}

static void on_claimed(void *data, const struct db_result *result)
{
    struct hook_queue *q = data;
    int n = result->err == OTK_OK ? PQntuples(result->res) : 0;
    q->arena = n > 0 ? arena_new(ARENA_BYTES) : NULL;
    q->items = q->arena == NULL ? NULL : arena_zero(q->arena, (size_t)n * sizeof *q->items);
    if (q->items == NULL) {
        if (result->err != OTK_OK || n > 0) {
            look_in(q, PAUSE_MS);
        }
        bite_over(q);
        return;
    }
    q->ready[q->region] |= n == q->bite_of[q->region];
    q->n = n;
    q->pending = n + 1; /* one of ours, so that the last event cannot end the bite too early */
    int begun = 0;
    while (begun < n && begin_item(q, &q->items[begun], result->res, begun) == 0) {
        begun++;
    }
    if (begun < n) { /* memory is out: the lease runs out */
        bite_over(q);
        return;
    }
    for (int i = 0; i < n; i++) {
        read_item(q, &q->items[i], result->res, i);
    }
    if (--q->pending == 0) {
        finish(q);
    }
}

static void begin_bite(struct hook_queue *q, int region)
{
    int64_t now_us = wall_us();
    char now[24], until[24], limit[8];
    q->region = q->cursor = region;
    q->ready[region] = 0;
    snprintf(q->region_text, sizeof q->region_text, "%d", region);
    snprintf(now, sizeof now, "%" PRId64, now_us);
    snprintf(until, sizeof until, "%" PRId64, now_us + LEASE_S * INT64_C(1000000));
    snprintf(limit, sizeof limit, "%d", q->bite_of[region]);
    const char *params[] = { q->region_text, now, until, limit };
    q->asking = q->biting = db_ask(q->db, QUERY_INTAKE_HOOK_CLAIM, params, on_claimed, q) == OTK_OK;
    if (!q->asking) {
        look_in(q, PAUSE_MS); /* the whole queue is looked at then */
    }
}

/* ---- taking turns */

static void on_listed(void *data, const struct db_result *result)
{
    struct hook_queue *q = data;
    q->asking = 0;
    for (int i = 0; result->err == OTK_OK && i < PQntuples(result->res); i++) {
        long region = strtol(PQgetvalue(result->res, i, 0), NULL, 10);
        if (region > 0 && region < REGIONS) {
            q->ready[region] = 1;
        }
    }
    turn(q);
}

static void list(struct hook_queue *q)
{
    char now[24];
    snprintf(now, sizeof now, "%" PRId64, wall_us());
    const char *params[] = { now };
    q->listed_ms = (int64_t)uv_now(q->service->loop);
    q->asking = db_ask(q->db, QUERY_INTAKE_HOOK_REGIONS, params, on_listed, q) == OTK_OK;
}

/* A look at the whole queue when its time has come, else a region that has work, else sleep. */
static void turn(struct hook_queue *q)
{
    if (q->asking || q->stopping) {
        return;
    }
    int64_t since_ms = (int64_t)uv_now(q->service->loop) - q->listed_ms;
    int region = next_region(q);
    if (since_ms >= POLL_MS) {
        list(q);
    } else if (region != 0) {
        begin_bite(q, region);
    }
    if (!q->asking) {
        look_in(q, POLL_MS);
    }
}

/* ---- gauges, and forgetting */

static void on_depth(void *data, const struct db_result *result)
{
    struct hook_queue *q = data;
    q->depth_asked = 0;
    if (result->err == OTK_OK) {
        waiting_gauge.value = strtod(PQgetvalue(result->res, 0, 0), NULL);
        aside_gauge.value = strtod(PQgetvalue(result->res, 0, 1), NULL);
    }
}

static void on_depth_timer(uv_timer_t *timer)
{
    struct hook_queue *q = timer->data;
    if (!q->depth_asked && !q->stopping) {
        q->depth_asked = db_ask(q->db, QUERY_INTAKE_HOOK_DEPTH, NULL, on_depth, q) == OTK_OK;
    }
}

static void on_forget_timer(uv_timer_t *timer);

static void on_forgotten(void *data, const struct db_result *result)
{
    struct hook_queue *q = data;
    if (q->stopping) {
        return;
    }
    int full =
        result->err == OTK_OK && strtol(PQgetvalue(result->res, 0, 0), NULL, 10) == FORGET_BITE;
    q->forget_region += !full;
    int over = q->forget_region == REGIONS;
    q->forget_region = over ? 1 : q->forget_region;
    uv_timer_start(&q->forget_timer, on_forget_timer,
                   over   ? FORGET_MS
                   : full ? FORGET_PAUSE_MS
                          : 0,
                   0);
}

static void on_forget_timer(uv_timer_t *timer)
{
    struct hook_queue *q = timer->data;
    char region[12], before[24], bite[8];
    snprintf(region, sizeof region, "%d", q->forget_region);
    snprintf(before, sizeof before, "%" PRId64, wall_us() - q->keep_days * INT64_C(86400000000));
    snprintf(bite, sizeof bite, "%d", FORGET_BITE);
    const char *params[] = { region, before, bite };
    if (db_ask(q->db, QUERY_INTAKE_HOOK_FORGET, params, on_forgotten, q) != OTK_OK) {
        uv_timer_start(&q->forget_timer, on_forget_timer, FORGET_MS / 60, 0);
    }
}

/* ---- beginning and end */

struct hook_queue *hook_queue_start(struct service *service, struct batch *batch, int keep_days)
{
    struct hook_queue *q = calloc(1, sizeof *q);
    if (q == NULL) {
        return NULL;
    }
    q->service = service;
    q->db = service->db;
    q->batch = batch;
    q->keep_days = keep_days;
    q->forget_region = 1;
    q->listed_ms = -POLL_MS;
    for (int i = 0; i < REGIONS; i++) {
        q->bite_of[i] = BITE;
    }
    for (int i = 0; i < FATES; i++) {
        if (by_fate[i].name != NULL) {
            metric_register(&by_fate[i]);
        }
    }
    metric_register(&waiting_gauge);
    metric_register(&aside_gauge);
    uv_timer_init(service->loop, &q->timer);
    uv_timer_init(service->loop, &q->depth_timer);
    uv_timer_init(service->loop, &q->forget_timer);
    q->timer.data = q->depth_timer.data = q->forget_timer.data = q;
    uv_timer_start(&q->depth_timer, on_depth_timer, DEPTH_MS, DEPTH_MS);
    uv_timer_start(&q->forget_timer, on_forget_timer, FORGET_MS / 60, 0);
    look_in(q, 0);
    return q;
}

void hook_queue_stop(struct hook_queue *q)
{
    q->stopping = 1;
    uv_timer_stop(&q->timer);
    uv_timer_stop(&q->depth_timer);
    uv_timer_stop(&q->forget_timer);
}

int hook_queue_busy(const struct hook_queue *q)
{
    return q->biting;
}
