/* The queue loop: takes appeals out of the outbox, decides, writes down what was decided.
 *
 * One bite is one transaction on one held connection: claim up to BITE appeals of a region (FOR
 * UPDATE SKIP LOCKED, so several routing processes share the work), decide here, write all
 * decisions in one statement, commit. Two round trips: begin goes with the claim, commit with the
 * route. What dies in between rolls back and stays in the outbox; what has committed has left it in
 * the same transaction. So nothing is lost and nothing is done twice, whoever is killed when.
 *
 * Fairness: regions take turns, one bite each.
 *
 * Poison: after a failure the region's bites are halved until the bad row stands alone; then it is
 * put back for later with a growing pause. Each success doubles the bites again. One bad row among
 * 128 costs about twenty commits, and the others go on. When the database itself is in trouble
 * (away, full, shutting down) no row is to blame: the region waits a little.
 *
 * Plans: the role plans its statements once (plan_cache_mode, sql/bootstrap.sql), since planning
 * route.sql costs as much as running it. But a plan made while a month's partition was empty reads
 * the whole partition for ever after: seen here, 500 ms a bite instead of 17. So plans are dropped
 * every PLANS_MS of work.
 *
 * NOTIFY otklik_route only says where to look sooner, and waits GATHER_MS for company: one bite of
 * five costs little more than one of one. The poll is the truth. */
#include "queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "dictionary.h"
#include "log.h"
#include "routing_queries.h"
#include "wall.h"

enum {
    REGIONS = 100,
    BITE = 128,
    GATHER_MS = 15,     /* between a hint and the claim */
    POLL_BUSY_MS = 100, /* while there was work within the last second */
    POLL_IDLE_MS = 500,
    TIMER_SLACK_MS = 5, /* timers may ring that much early */
    PLANS_MS = 1000,
    DEPTH_MS = 5000,    /* between two counts of the queue */
    PAUSE_MIN_MS = 200, /* of a region after trouble, doubled each time … */
    PAUSE_MAX_MS = 5000,
    BLAME_AFTER = 3, /* connections lost in a row over one region: then a row may be the cause */
    POSTPONE_MAX_S = 3600
};

enum stage { STAGE_IDLE, STAGE_LISTING, STAGE_LOADING, STAGE_BITING, STAGE_POSTPONING };

enum blame { BLAME_NOBODY, BLAME_ROW };

struct region {
    int ready;            /* there may be work */
    int bite;             /* how many to claim: 1 … BITE */
    int troubles;         /* in a row */
    int64_t paused_until; /* monotonic µs */
};

/* One row of claim.sql; points into the claim's result. */
struct row {
    struct str outbox_id, appeal_id, text;
    int32_t theme_id, municipality_id; /* 0: none */
    int known_client;                  /* or one that has paid with work */
    int has_point, is_appeal;
    int blocked, repeated; /* a moderator must look at it … */
    int released;          /* … and has done so */
    int64_t received_us;
    int attempts;
};

enum column {
    COL_OUTBOX,
    COL_ATTEMPTS,
    COL_APPEAL,
    COL_TEXT,
    COL_THEME,
    COL_AUTH,
    COL_CLASS,
    COL_RECEIVED,
    COL_HAS_POINT,
    COL_MUNICIPALITY,
    COL_HOLD,
    COL_REPEATED
};

/* The arrays of route.sql, in the order of its parameters from $4 on. */
enum array {
    A_OUTBOX,
    A_APPEAL,
    A_THEME,
    A_SOURCE,
    A_MUNICIPALITY,
    A_RULE,
    A_FIRST,
    A_FINAL,
    A_DETAIL,
    A_REASONS,
    A_COUNT
};

struct bite {
    int region, connection;
    const struct dictionary *dictionary; /* stays while the bite is in hand, however old */
    int n;
    int refused;       /* the connection took one statement of a pair and not the other */
    int reached_route; /* the claim was good: what fails now may be a row's fault */
    int routed, moderation;
    enum otk_err err; /* the first thing that went wrong */
    char sqlstate[6];
    char message[200];
    int64_t received_us[BITE];
    char first_appeal[37]; /* for the log, and to postpone a row that came alone */
    char first_outbox[24];
    int first_attempts;
};

struct queue {
    struct service *service;
    struct db *db;
    struct dictionaries *dictionaries;
    uv_timer_t timer; /* next look at the queue */
    uv_timer_t depth_timer;
    char slot[8];
    enum stage stage;
    int stopping;
    int cursor;         /* region of the last bite */
    int loading;        /* region whose dictionary is being read */
    int64_t listed_us;  /* monotonic, last look at the whole queue */
    int64_t worked_us;  /* monotonic, last time a bite held anything */
    int64_t planned_us; /* monotonic, last time plans were dropped */
    int depth_asked;
    struct region regions[REGIONS];
    struct bite bite;
    struct pg_array arrays[A_COUNT];
};

static struct metric routed_total = { .name = "otklik_routing_routed_total",
                                      .help = "Appeals routed to a body",
                                      .type = "counter" };
static struct metric moderation_total = { .name = "otklik_routing_moderation_total",
                                          .help = "Appeals sent to moderation",
                                          .type = "counter" };
static struct metric failed_total = { .name = "otklik_routing_failed_total",
                                      .help = "Appeals put back because they could not be routed",
                                      .type = "counter" };
static struct metric depth_gauge = { .name = "otklik_routing_queue_depth",
                                     .help = "Appeals waiting to be routed (counted to 100,000)",
                                     .type = "gauge" };
static struct histogram latency = { .name = "otklik_routing_latency_seconds",
                                    .help = "From reception to the commit of the routing" };

static void turn(struct queue *q);

static int64_t monotonic_us(void)
{
    return (int64_t)(uv_hrtime() / 1000);
}

/* ---- when to look ---- */

static void on_timer(uv_timer_t *timer)
{
    turn(timer->data);
}

/* Looks again in MS at the latest; an earlier appointment stays. */
static void look_in(struct queue *q, uint64_t ms)
{
    if (!q->stopping &&
        (!uv_is_active((uv_handle_t *)&q->timer) || uv_timer_get_due_in(&q->timer) > ms)) {
        uv_timer_start(&q->timer, on_timer, ms, 0);
    }
}

static void on_hint(void *data, const char *payload)
{
    struct queue *q = data;
    char *end;
    long region = strtol(payload, &end, 10);
    if (end == payload || *end != '\0' || region < 1 || region >= REGIONS) {
        look_in(q, 0); /* no hint where: look everywhere */
        return;
    }
    q->regions[region].ready = 1;
    look_in(q, GATHER_MS);
}

static void on_new_dictionaries(void *data, const char *payload)
{
    (void)payload;
    struct queue *q = data;
    dictionaries_stale(q->dictionaries);
}

static void on_db_ready(void *data, int connection)
{
    (void)connection;
    look_in(data, 0);
}

/* The next region after the last one that has work and is not resting; 0 when there is none. */
static int next_region(struct queue *q)
{
    int64_t now = monotonic_us();
    for (int i = 1; i <= REGIONS; i++) {
        int region = (q->cursor + i) % REGIONS;
        if (q->regions[region].ready && q->regions[region].paused_until <= now) {
            return region;
        }
    }
    return 0;
}

/* ---- trouble ---- */

/* Whose fault is it? Class 08 connection, 25 read-only, 40 deadlock and the like, 53 resources, 55
 * and 57 operator, 58 system: nobody's. A statement that timed out (57014) while routing may be a
 * row's. */
static enum blame blame_for(const struct bite *b, const struct region *r)
{
    if (!b->reached_route) {
        return BLAME_NOBODY;
    }
    if (b->sqlstate[0] == '\0') {
        return r->troubles >= BLAME_AFTER ? BLAME_ROW : BLAME_NOBODY;
    }
    if (strcmp(b->sqlstate, "57014") == 0) {
        return BLAME_ROW;
    }
    static const char *const nobody[] = { "08", "25", "40", "53", "55", "57", "58" };
    for (size_t i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++) {
        if (strncmp(b->sqlstate, nobody[i], 2) == 0) {
            return BLAME_NOBODY;
        }
    }
    return BLAME_ROW;
}

static void pause_region(struct queue *q, int region)
{
    struct region *r = &q->regions[region];
    int64_t ms = PAUSE_MIN_MS;
    for (int i = 0; i < r->troubles && ms < PAUSE_MAX_MS; i++) {
        ms *= 2;
    }
    ms = ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
    r->troubles++;
    r->ready = 1;
    r->paused_until = monotonic_us() + ms * 1000;
    look_in(q, (uint64_t)ms + 1);
}

/* Keeps the first thing that went wrong. The detail of a constraint message holds the row, so only
 * its first line is kept. */
static void note_error(struct bite *b, const struct db_result *result)
{
    if (b->err != OTK_OK || result->err == OTK_OK) {
        return;
    }
    const char *message =
        result->res == NULL ? NULL : PQresultErrorField(result->res, PG_DIAG_MESSAGE_PRIMARY);
    b->err = result->err;
    snprintf(b->sqlstate, sizeof(b->sqlstate), "%s",
             result->sqlstate == NULL ? "" : result->sqlstate);
    snprintf(b->message, sizeof(b->message), "%s",
             message == NULL ? "the connection was lost" : message);
}

static void finish(struct queue *q)
{
    q->stage = STAGE_IDLE;
    turn(q);
}

static void on_postponed(void *data, const struct db_result *result)
{
    struct queue *q = data;
    struct bite *b = &q->bite;
    if (result->err != OTK_OK) {
        pause_region(q, b->region); /* it will fail and be postponed again */
    }
    finish(q);
}

/* A row that failed alone goes back for 2, 4, 8 … seconds, an hour at most. */
static void postpone(struct queue *q)
{
    struct bite *b = &q->bite;
    int shift = b->first_attempts < 11 ? b->first_attempts + 1 : 12;
    int64_t pause_s = 1LL << shift;
    pause_s = pause_s < POSTPONE_MAX_S ? pause_s : POSTPONE_MAX_S;
    failed_total.value++;
    log_write(LOG_ERROR, STR(""),
              "region %d: appeal %s cannot be routed (attempt %d, again in %" PRId64 " s): %s %s",
              b->region, b->first_appeal, b->first_attempts + 1, pause_s, b->sqlstate, b->message);

    char region[8], until[24];
    snprintf(region, sizeof(region), "%d", b->region);
    snprintf(until, sizeof(until), "%" PRId64, wall_us() + pause_s * 1000000);
    const char *params[] = { region, b->first_outbox, until };
    q->stage = STAGE_POSTPONING;
    if (db_ask(q->db, QUERY_ROUTING_POSTPONE, params, on_postponed, q) != OTK_OK) {
        pause_region(q, b->region);
        finish(q);
    }
}

/* The bite is rolled back, by us or by the end of its connection. */
static void bite_failed(struct queue *q)
{
    struct bite *b = &q->bite;
    struct region *r = &q->regions[b->region];
    db_release(q->db, b->connection);
    r->ready = 1;
    if (blame_for(b, r) == BLAME_NOBODY) {
        log_write(LOG_WARN, STR(""), "region %d: routing waits: %s %s", b->region, b->sqlstate,
                  b->message);
        pause_region(q, b->region);
        finish(q);
        return;
    }
    dictionaries_stale(q->dictionaries); /* a theme or rule may be gone since it was read */
    if (b->n > 1) {
        log_write(LOG_WARN, STR(""), "region %d: %d appeals cannot be routed together: %s %s",
                  b->region, b->n, b->sqlstate, b->message);
        r->bite = b->n / 2;
        finish(q);
        return;
    }
    postpone(q);
}

static void on_rollback(void *data, const struct db_result *result)
{
    (void)result;
    bite_failed(data);
}

static void roll_back(struct queue *q)
{
    if (db_command(q->db, q->bite.connection, "rollback", on_rollback, q) != OTK_OK) {
        bite_failed(q);
    }
}

static void refused(struct queue *q)
{
    struct bite *b = &q->bite;
    if (b->err == OTK_OK) {
        b->err = OTK_UNAVAILABLE;
        snprintf(b->message, sizeof(b->message), "the connection was lost");
    }
    roll_back(q);
}

/* ---- deciding ---- */

/* Whom the edge knows, or who paid for the letter by work: a moderator need not look first. */
static int is_known(struct str auth)
{
    static const struct str known[] = { STR("jwt"), STR("api_key"), STR("challenge") };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (str_eq(auth, known[i])) {
            return 1;
        }
    }
    return 0;
}

static struct row row_of(const PGresult *res, int i)
{
    struct str auth = db_cell(res, i, COL_AUTH), hold = db_cell(res, i, COL_HOLD);
    return (struct row){
        .outbox_id = db_cell(res, i, COL_OUTBOX),
        .attempts = (int)strtol(PQgetvalue(res, i, COL_ATTEMPTS), NULL, 10),
        .appeal_id = db_cell(res, i, COL_APPEAL),
        .text = db_cell(res, i, COL_TEXT),
        .theme_id = (int32_t)strtol(PQgetvalue(res, i, COL_THEME), NULL, 10),
        .known_client = is_known(auth),
        .is_appeal = str_eq(db_cell(res, i, COL_CLASS), STR("appeal")),
        .received_us = strtoll(PQgetvalue(res, i, COL_RECEIVED), NULL, 10),
        .has_point = str_eq(db_cell(res, i, COL_HAS_POINT), STR("t")),
        .municipality_id = (int32_t)strtol(PQgetvalue(res, i, COL_MUNICIPALITY), NULL, 10),
        .blocked = str_eq(hold, STR("blocked")),
        .repeated = str_eq(db_cell(res, i, COL_REPEATED), STR("t")),
        .released = str_eq(hold, STR("released")),
    };
}

static void add_number(struct pg_array *a, int64_t value)
{
    if (value == 0) {
        pg_array_add_null(a);
        return;
    }
    char text[24];
    int n = snprintf(text, sizeof(text), "%" PRId64, value);
    pg_array_add(a, (struct str){ text, (size_t)n });
}

/* Adds the decision on one appeal to the arrays: theme, deadlines, and what keeps it from going
 * straight to its body. */
static void decide(struct queue *q, const struct dictionary *d, const struct row *row)
{
    struct pg_array *a = q->arrays;
    int32_t theme_id = row->theme_id != 0 ? row->theme_id : theme_find(d->index, row->text);
    const struct deadline_rule *rule = dictionary_rule(d, theme_id, row->is_appeal);
    struct deadline first, final;
    int counted =
        rule != NULL &&
        deadline_due(&d->calendar, row->received_us, rule->first, &first) == DEADLINE_OK &&
        deadline_due(&d->calendar, row->received_us, rule->final, &final) == DEADLINE_OK;

    pg_array_add(&a[A_OUTBOX], row->outbox_id);
    pg_array_add(&a[A_APPEAL], row->appeal_id);
    add_number(&a[A_THEME], theme_id);
    add_number(&a[A_MUNICIPALITY], row->municipality_id);
    if (theme_id == 0) {
        pg_array_add_null(&a[A_SOURCE]);
    } else {
        pg_array_add(&a[A_SOURCE], row->theme_id != 0 ? STR("citizen") : STR("keywords"));
    }
    add_number(&a[A_RULE], counted ? rule->id : 0);
    add_number(&a[A_FIRST], counted ? first.due : 0);
    add_number(&a[A_FINAL], counted ? final.due : 0);
    if (counted) {
        char json[DEADLINE_JSON_MAX];
        size_t n = deadline_json(&first, &final, json);
        pg_array_add(&a[A_DETAIL], (struct str){ json, n });
    } else {
        pg_array_add_null(&a[A_DETAIL]);
    }

    const struct {
        int holds;
        const char *name;
    } reasons[] = {
        { !row->known_client && !row->released, "anonymous" },
        { row->blocked, "blocked" },
        { row->repeated && !row->released, "repeat" },
        { theme_id == 0, "no_theme" },
        { !row->has_point, "no_place" },
        { row->has_point && row->municipality_id == 0, "outside" },
        { !counted, "no_deadline" },
    };
    char list[128] = "[";
    size_t n = 1;
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].holds) {
            n += (size_t)snprintf(list + n, sizeof(list) - n, "%s\"%s\"", n > 1 ? "," : "",
                                  reasons[i].name);
        }
    }
    if (n == 1) {
        pg_array_add_null(&a[A_REASONS]);
    } else {
        list[n++] = ']';
        pg_array_add(&a[A_REASONS], (struct str){ list, n });
    }
}

/* ---- a bite ---- */

static void bite_done(struct queue *q)
{
    struct bite *b = &q->bite;
    struct region *r = &q->regions[b->region];
    int64_t now = wall_us();
    for (int i = 0; i < b->n; i++) {
        histogram_observe(&latency, (double)(now - b->received_us[i]) / 1e6);
    }
    routed_total.value += b->routed;
    moderation_total.value += b->moderation;
    r->troubles = 0;
    if (b->n == r->bite) {
        r->ready = 1; /* a full bite: there may be more */
    }
    r->bite = r->bite < BITE / 2 ? r->bite * 2 : BITE;
    q->worked_us = monotonic_us();
    db_release(q->db, b->connection);
    finish(q);
}

static void on_commit(void *data, const struct db_result *result)
{
    struct queue *q = data;
    note_error(&q->bite, result);
    if (q->bite.err == OTK_OK && strcmp(PQcmdStatus(result->res), "COMMIT") == 0) {
        bite_done(q);
    } else {
        bite_failed(q); /* a commit after an error is a rollback */
    }
}

static void on_route(void *data, const struct db_result *result)
{
    struct queue *q = data;
    note_error(&q->bite, result);
    if (result->err == OTK_OK) {
        q->bite.routed = (int)strtol(PQgetvalue(result->res, 0, 0), NULL, 10);
        q->bite.moderation = (int)strtol(PQgetvalue(result->res, 0, 1), NULL, 10);
    }
    if (q->bite.refused) {
        refused(q);
    }
}

static enum otk_err send_route(struct queue *q)
{
    struct bite *b = &q->bite;
    char region[8], now[24];
    snprintf(region, sizeof(region), "%d", b->region);
    snprintf(now, sizeof(now), "%" PRId64, wall_us());
    const char *params[3 + A_COUNT] = { region, q->slot, now };
    for (size_t i = 0; i < A_COUNT; i++) {
        params[3 + i] = pg_array_end(&q->arrays[i]);
        if (params[3 + i] == NULL) {
            return OTK_INTERNAL;
        }
    }
    b->reached_route = 1;
    return db_ask_on(q->db, b->connection, QUERY_ROUTING_ROUTE, params, NULL, NULL, on_route, q);
}

static void on_emptied(void *data, const struct db_result *result)
{
    (void)result;
    struct queue *q = data;
    db_release(q->db, q->bite.connection);
    finish(q);
}

static void nothing_claimed(struct queue *q)
{
    q->regions[q->bite.region].bite = BITE;
    q->regions[q->bite.region].troubles = 0;
    if (db_command(q->db, q->bite.connection, "commit", on_emptied, q) != OTK_OK) {
        db_release(q->db, q->bite.connection);
        finish(q);
    }
}

static void on_claim(void *data, const struct db_result *result)
{
    struct queue *q = data;
    struct bite *b = &q->bite;
    note_error(b, result);
    if (b->err != OTK_OK) {
        roll_back(q);
        return;
    }
    if (PQntuples(result->res) == 0) {
        nothing_claimed(q);
        return;
    }
    for (size_t i = 0; i < A_COUNT; i++) {
        pg_array_begin(&q->arrays[i]);
    }
    b->n = PQntuples(result->res);
    for (int i = 0; i < b->n; i++) {
        struct row row = row_of(result->res, i);
        if (i == 0) {
            snprintf(b->first_appeal, sizeof(b->first_appeal), "%s", row.appeal_id.p);
            snprintf(b->first_outbox, sizeof(b->first_outbox), "%s", row.outbox_id.p);
            b->first_attempts = row.attempts;
        }
        b->received_us[i] = row.received_us;
        decide(q, b->dictionary, &row);
    }
    enum otk_err err = send_route(q);
    if (err != OTK_OK) {
        b->reached_route = 0;
        b->err = err;
        snprintf(b->message, sizeof(b->message), "%s",
                 err == OTK_INTERNAL ? "memory is out" : "the connection was lost");
        roll_back(q);
    } else if (db_command(q->db, b->connection, "commit", on_commit, q) != OTK_OK) {
        b->refused = 1; /* on_route still comes, and ends the bite */
    }
}

static void on_begin(void *data, const struct db_result *result)
{
    struct queue *q = data;
    note_error(&q->bite, result);
    if (q->bite.refused) {
        refused(q);
    }
}

static void on_dropped(void *data, const struct db_result *result)
{
    (void)data;
    (void)result; /* what follows on this connection will tell */
}

static void drop_old_plans(struct queue *q, int connection)
{
    int64_t now = monotonic_us();
    if (now - q->planned_us >= PLANS_MS * 1000LL &&
        db_command(q->db, connection, "discard plans", on_dropped, q) == OTK_OK) {
        q->planned_us = now;
    }
}

static int ready_connection(const struct queue *q)
{
    for (int i = 0; i < db_connections(q->db); i++) {
        if (db_ready(q->db, i)) {
            return i;
        }
    }
    return -1;
}

static void begin_bite(struct queue *q, int region)
{
    int connection = ready_connection(q);
    if (connection < 0 || db_hold(q->db, connection) != OTK_OK) {
        look_in(q, POLL_BUSY_MS);
        return;
    }
    q->bite = (struct bite){ .region = region,
                             .connection = connection,
                             .dictionary = dictionary_borrow(q->dictionaries, region) };
    q->stage = STAGE_BITING;
    q->cursor = region;
    q->regions[region].ready = 0;

    char region_text[8], now[24], limit[8];
    snprintf(region_text, sizeof(region_text), "%d", region);
    snprintf(now, sizeof(now), "%" PRId64, wall_us());
    snprintf(limit, sizeof(limit), "%d", q->regions[region].bite);
    const char *params[] = { region_text, now, limit };
    drop_old_plans(q, connection);
    if (db_command(q->db, connection, "begin", on_begin, q) != OTK_OK) {
        db_release(q->db, connection);
        q->stage = STAGE_IDLE;
        pause_region(q, region);
    } else if (db_ask_on(q->db, connection, QUERY_ROUTING_CLAIM, params, NULL, NULL, on_claim, q) !=
               OTK_OK) {
        q->bite.refused = 1; /* on_begin still comes, and ends the bite */
    }
}

/* ---- taking turns ---- */

static void on_loaded(void *data, enum otk_err err)
{
    struct queue *q = data;
    if (err != OTK_OK) {
        log_write(LOG_WARN, STR(""), "region %d: the dictionaries cannot be read", q->loading);
        pause_region(q, q->loading);
    }
    finish(q);
}

static void load(struct queue *q, int region)
{
    q->stage = STAGE_LOADING;
    q->loading = region; /* its turn is still to come: the cursor stays */
    if (dictionary_load(q->dictionaries, region, on_loaded, q) != OTK_OK) {
        q->stage = STAGE_IDLE;
        look_in(q, POLL_BUSY_MS);
    }
}

static void on_listed(void *data, const struct db_result *result)
{
    struct queue *q = data;
    if (result->err == OTK_OK) {
        for (int i = 0; i < PQntuples(result->res); i++) {
            long region = strtol(PQgetvalue(result->res, i, 0), NULL, 10);
            if (region > 0 && region < REGIONS) {
                q->regions[region].ready = 1;
            }
        }
    }
    finish(q);
}

static void list(struct queue *q)
{
    char now[24];
    snprintf(now, sizeof(now), "%" PRId64, wall_us());
    const char *params[] = { now };
    if (db_ask(q->db, QUERY_ROUTING_READY_REGIONS, params, on_listed, q) == OTK_OK) {
        q->stage = STAGE_LISTING;
        q->listed_us = monotonic_us();
    }
}

/* What next? A region that has work; else, when its time has come, a look at the whole queue; else
 * sleep. However much hints bring, the whole queue is looked at every POLL_IDLE_MS: a lost hint
 * must not starve a region. */
static void turn(struct queue *q)
{
    if (q->stage != STAGE_IDLE || q->stopping) {
        return;
    }
    int64_t now = monotonic_us();
    int64_t since_ms = (now - q->listed_us) / 1000;
    int region = next_region(q);
    if (since_ms >= POLL_IDLE_MS || (region == 0 && since_ms >= POLL_BUSY_MS - TIMER_SLACK_MS)) {
        list(q);
    } else if (region != 0 && dictionary_borrow(q->dictionaries, region) != NULL) {
        begin_bite(q, region);
    } else if (region != 0) {
        load(q, region);
    }
    if (q->stage == STAGE_IDLE) {
        look_in(q, now - q->worked_us < 1000000 ? POLL_BUSY_MS : POLL_IDLE_MS);
    }
}

/* ---- the gauge ---- */

static void on_depth(void *data, const struct db_result *result)
{
    struct queue *q = data;
    q->depth_asked = 0;
    if (result->err == OTK_OK) {
        depth_gauge.value = strtod(PQgetvalue(result->res, 0, 0), NULL);
    }
}

static void on_depth_timer(uv_timer_t *timer)
{
    struct queue *q = timer->data;
    if (!q->depth_asked) {
        q->depth_asked = db_ask(q->db, QUERY_ROUTING_QUEUE_DEPTH, NULL, on_depth, q) == OTK_OK;
    }
}

/* ---- beginning and end ---- */

struct queue *queue_start(struct service *service, int slot)
{
    struct queue *q = calloc(1, sizeof(*q));
    if (q == NULL) {
        return NULL;
    }
    q->service = service;
    q->db = service->db;
    q->dictionaries = dictionaries_new(q->db);
    if (q->dictionaries == NULL) {
        free(q);
        return NULL;
    }
    snprintf(q->slot, sizeof(q->slot), "%d", slot);
    for (int i = 0; i < REGIONS; i++) {
        q->regions[i].bite = BITE;
    }
    metric_register(&routed_total);
    metric_register(&moderation_total);
    metric_register(&failed_total);
    metric_register(&depth_gauge);
    histogram_register(&latency);
    uv_timer_init(service->loop, &q->timer);
    uv_timer_init(service->loop, &q->depth_timer);
    q->timer.data = q;
    q->depth_timer.data = q;
    db_listen(q->db, "otklik_route", on_hint, q);
    db_listen(q->db, "otklik_dictionaries", on_new_dictionaries, q);
    db_on_ready(q->db, on_db_ready, q);
    uv_timer_start(&q->depth_timer, on_depth_timer, DEPTH_MS, DEPTH_MS);
    look_in(q, 0);
    return q;
}

void queue_stop(struct queue *q)
{
    q->stopping = 1;
    uv_close((uv_handle_t *)&q->timer, NULL);
    uv_close((uv_handle_t *)&q->depth_timer, NULL);
}

int queue_busy(const struct queue *q)
{
    return q->stage == STAGE_BITING || q->stage == STAGE_POSTPONING;
}

void queue_hint(struct queue *q, int region)
{
    if (region > 0 && region < REGIONS) {
        q->regions[region].ready = 1;
        look_in(q, GATHER_MS);
    }
}

const char *queue_slot(const struct queue *q)
{
    return q->slot;
}
