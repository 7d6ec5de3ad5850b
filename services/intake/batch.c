/* Group commit: what arrives while a commit is flushing forms the next statement.
 *
 * A connection carries one statement at a time. Whoever finds a connection free goes at once,
 * alone; the others gather in their region's queue and go together when a connection comes back
 * from the disk. So nobody waits on purpose, and one flush serves all who came during the one
 * before it. PostgreSQL commits at the sync of each statement, and only then is anybody answered.
 *
 * Two rows with the same client and key never go in one statement: the second one waits and then
 * finds the first one's answer. A row that meets a transaction not yet finished comes back as
 * 'retry' and goes again a little later. When a statement fails because of its data, its rows go
 * again one by one, so that only the guilty one is refused; when the database is in trouble, all of
 * them are told to come again: their keys make that safe. */
#include "batch.h"

#include <stdio.h>
#include <stdlib.h>

#include "intake_queries.h"
#include "log.h"

enum {
    REGIONS = 100,
    ROWS_MAX = 64,  /* of a statement: more bring little, and hold all of them back */
    TRIES_MAX = 10, /* of a row whose key is being worked on … */
    LATER_MS = 20,  /* … with this pause; then 409 */
    HINT_MS = 10    /* routing is told of new appeals no more often than that */
};

struct queue {
    struct submission *first, **end;
};

/* A statement on its way, or room for one. */
struct carrier {
    struct batch *batch;
    int connection, region;
    int busy;
    struct submission *rows[ROWS_MAX];
    int n;
    char slot[12];
    struct pg_array arrays[COLUMNS];
};

struct batch {
    struct db *db;
    struct queue queues[REGIONS];
    int cursor; /* region of the last statement: they take turns */
    struct queue later;
    uv_timer_t later_timer, hint_timer;
    unsigned char hints[REGIONS]; /* regions with new appeals that routing has not been told of */
    struct carrier *carriers;
    int writers; /* statements at once */
};

static struct metric appeals_total = { .name = "otklik_intake_appeals_total",
                                       .help = "Appeals stored",
                                       .type = "counter" };
static struct metric replayed_total = { .name = "otklik_intake_replayed_total",
                                        .help =
                                            "Requests answered with the first answer to their key",
                                        .type = "counter" };
static struct metric refused_total = { .name = "otklik_intake_refused_total",
                                       .help = "Letters over a quota or of blocked senders",
                                       .type = "counter" };
static struct metric statements_total = { .name = "otklik_intake_statements_total",
                                          .help = "Statements that stored or found appeals",
                                          .type = "counter" };
static struct metric rows_total = { .name = "otklik_intake_rows_total",
                                    .help = "Rows of these statements",
                                    .type = "counter" };
static struct metric failed_total = { .name = "otklik_intake_statements_failed_total",
                                      .help = "Statements that failed",
                                      .type = "counter" };

static void start_all(struct batch *b);

/* ---- queues */

static void push(struct queue *q, struct submission *s)
{
    s->next = NULL;
    *q->end = s;
    q->end = &s->next;
}

/* Takes out what *link points at. */
static struct submission *take(struct queue *q, struct submission **link)
{
    struct submission *s = *link;
    *link = s->next;
    if (s->next == NULL) {
        q->end = link;
    }
    s->next = NULL;
    return s;
}

static int same_key(const struct submission *a, const struct submission *b)
{
    return str_eq(a->columns[COL_KEY], b->columns[COL_KEY]) &&
           str_eq(a->columns[COL_CLIENT], b->columns[COL_CLIENT]);
}

static int has_key(const struct carrier *c, const struct submission *s)
{
    for (int i = 0; i < c->n; i++) {
        if (same_key(c->rows[i], s)) {
            return 1;
        }
    }
    return 0;
}

/* Fills the carrier from a region's queue. */
static void load(struct carrier *c, struct queue *q)
{
    c->n = 0;
    struct submission **link = &q->first;
    while (*link != NULL && c->n < ROWS_MAX) {
        if (((*link)->alone && c->n > 0) || has_key(c, *link)) {
            link = &(*link)->next;
            continue;
        }
        c->rows[c->n++] = take(q, link);
        if (c->rows[0]->alone) {
            return;
        }
    }
}

/* ---- the hint */

static void on_hinted(void *data, const struct db_result *result)
{
    (void)data;
    (void)result; /* a lost hint is no harm: routing looks by itself */
}

static void on_hint_timer(uv_timer_t *timer)
{
    struct batch *b = timer->data;
    for (int i = 0; i < REGIONS; i++) {
        if (!b->hints[i]) {
            continue;
        }
        b->hints[i] = 0;
        char region[12];
        snprintf(region, sizeof region, "%d", i);
        const char *params[] = { region };
        if (db_ask(b->db, QUERY_INTAKE_HINT, params, on_hinted, b) != OTK_OK) {
            return;
        }
    }
}

static void hint(struct batch *b, int region)
{
    b->hints[region] = 1;
    if (!uv_is_active((uv_handle_t *)&b->hint_timer)) {
        uv_timer_start(&b->hint_timer, on_hint_timer, HINT_MS, 0);
    }
}

/* ---- what became of a statement */

static void refuse(struct submission *s, enum otk_err err, const struct db_result *result)
{
    s->done(s, err, 0, (struct str){ NULL, 0 }, result);
}

static void on_later(uv_timer_t *timer)
{
    struct batch *b = timer->data;
    while (b->later.first != NULL) {
        struct submission *s = take(&b->later, &b->later.first);
        push(&b->queues[s->request->region], s);
    }
    start_all(b);
}

static void again_later(struct batch *b, struct submission *s)
{
    if (++s->tries > TRIES_MAX) {
        refuse(s, OTK_KEY_RUNNING, NULL);
        return;
    }
    push(&b->later, s);
    if (!uv_is_active((uv_handle_t *)&b->later_timer)) {
        uv_timer_start(&b->later_timer, on_later, LATER_MS, 0);
    }
}

enum outcome {
    CREATED,
    REPLAYED,
    REUSED,
    UNKNOWN_THEME,
    BLOCKED,
    QUOTA_RESIDENT,
    QUOTA_ADDRESS,
    RETRY,
    OUTCOMES
};

static enum outcome outcome_of(struct str name)
{
    static const char *const names[] = { "created",        "replayed",      "reused",
                                         "unknown_theme",  "blocked",       "quota_resident",
                                         "quota_address",  "retry" };
    for (int i = 0; i < OUTCOMES; i++) {
        if (str_eq(name, str_of(names[i]))) {
            return (enum outcome)i;
        }
    }
    return RETRY;
}

static void answer(struct carrier *c, struct submission *s, const PGresult *res, int row)
{
    static const enum otk_err refusals[OUTCOMES] = {
        [REUSED] = OTK_KEY_REUSED,          [UNKNOWN_THEME] = OTK_INVALID,
        [BLOCKED] = OTK_BLOCKED,            [QUOTA_RESIDENT] = OTK_QUOTA_RESIDENT,
        [QUOTA_ADDRESS] = OTK_QUOTA_ADDRESS
    };
    enum outcome outcome = outcome_of(db_cell(res, row, 1));
    if (outcome == RETRY) {
        again_later(c->batch, s);
        return;
    }
    if (refusals[outcome] != OTK_OK) {
        refused_total.value += outcome >= BLOCKED;
        s->done(s, refusals[outcome], (int)strtol(PQgetvalue(res, row, 2), NULL, 10),
                db_cell(res, row, 3), NULL);
        return;
    }
    if (outcome == CREATED) {
        appeals_total.value++;
        hint(c->batch, c->region);
    } else {
        s->replayed = 1;
        replayed_total.value++;
    }
    /* The answer lives in the database's result until this returns: the request keeps its own. */
    struct str body = arena_dup(s->request->arena, db_cell(res, row, 3));
    if (body.p == NULL) {
        refuse(s, OTK_INTERNAL, NULL);
        return;
    }
    s->done(s, OTK_OK, (int)strtol(PQgetvalue(res, row, 2), NULL, 10), body, NULL);
}

static void statement_failed(struct carrier *c, const struct db_result *result)
{
    failed_total.value++;
    /* undefined_table: there is no sequence of numbers, so no such region; somebody made a key for
     * it. */
    int no_region = strcmp(result->sqlstate, "42P01") == 0;
    int guilty_unknown = !no_region && result->err == OTK_INTERNAL && c->n > 1;
    for (int i = 0; i < c->n; i++) {
        if (guilty_unknown) {
            c->rows[i]->alone = 1;
            push(&c->batch->queues[c->region], c->rows[i]);
        } else if (no_region) {
            refuse(c->rows[i], OTK_FORBIDDEN, NULL);
        } else {
            refuse(c->rows[i], result->err, result);
        }
    }
}

static void on_submitted(void *data, const struct db_result *result)
{
    struct carrier *c = data;
    struct db_result own = *result;
    if (own.err == OTK_OK && PQntuples(own.res) != c->n) {
        log_write(LOG_ERROR, STR(""), "submit gave %d rows for %d", PQntuples(own.res), c->n);
        own.err = OTK_INTERNAL;
    }
    statements_total.value++;
    rows_total.value += c->n;
    if (own.err != OTK_OK) {
        statement_failed(c, &own);
    } else {
        for (int i = 0; i < c->n; i++) {
            answer(c, c->rows[i], own.res, i);
        }
    }
    c->busy = 0;
    start_all(c->batch);
}

/* ---- sending */

/* The arrays' literals; -1 when memory is out. */
static int write_arrays(struct carrier *c, const char **params)
{
    for (int column = 0; column < COLUMNS; column++) {
        struct pg_array *a = &c->arrays[column];
        pg_array_begin(a);
        for (int i = 0; i < c->n; i++) {
            struct str value = c->rows[i]->columns[column];
            if (value.p == NULL) {
                pg_array_add_null(a);
            } else {
                pg_array_add(a, value);
            }
        }
        params[column] = pg_array_end(a);
        if (params[column] == NULL) {
            return -1;
        }
    }
    return 0;
}

static void send_rows(struct carrier *c)
{
    char region[12];
    snprintf(region, sizeof region, "%d", c->region);
    const char *params[2 + COLUMNS] = { region, c->slot };
    enum otk_err err = OTK_INTERNAL;
    if (write_arrays(c, params + 2) == 0) {
        err = db_ask_on(c->batch->db, c->connection, QUERY_INTAKE_SUBMIT, params, NULL, NULL,
                        on_submitted, c);
    }
    c->busy = err == OTK_OK;
    for (int i = 0; i < c->n && err != OTK_OK; i++) {
        refuse(c->rows[i], err, NULL);
    }
}

static int next_region(struct batch *b)
{
    for (int i = 1; i <= REGIONS; i++) {
        int region = (b->cursor + i) % REGIONS;
        if (b->queues[region].first != NULL) {
            return region;
        }
    }
    return -1;
}

/* A connection that could carry a statement now; NULL when all that may are busy or away. *alive:
 * there is one at all. */
static struct carrier *free_carrier(struct batch *b, int *alive)
{
    struct carrier *found = NULL;
    int busy = 0;
    *alive = 0;
    for (int i = db_connections(b->db) - 1; i >= 0; i--) {
        struct carrier *c = &b->carriers[i];
        busy += c->busy;
        if (!c->busy && db_ready(b->db, i)) {
            found = c; /* the first of them in the end: the others are for who reads */
        }
        *alive |= c->busy || db_ready(b->db, i);
    }
    return busy < b->writers ? found : NULL;
}

/* What waits goes out on connections that are free. */
static void start_all(struct batch *b)
{
    int alive, region;
    while ((region = next_region(b)) >= 0) {
        struct carrier *c = free_carrier(b, &alive);
        if (c != NULL) {
            b->cursor = c->region = region;
            load(c, &b->queues[region]);
            send_rows(c);
        } else if (alive) {
            return;
        } else {
            struct queue *q = &b->queues[region];
            refuse(take(q, &q->first), OTK_UNAVAILABLE, NULL);
        }
    }
}

void batch_add(struct batch *b, struct submission *s)
{
    push(&b->queues[s->request->region], s);
    start_all(b);
}

struct batch *batch_open(struct service *service, int slot, int writers)
{
    struct batch *b = calloc(1, sizeof *b);
    int n = db_connections(service->db);
    struct carrier *carriers = calloc((size_t)n, sizeof *carriers);
    if (b == NULL || carriers == NULL) {
        free(b);
        free(carriers);
        return NULL;
    }
    b->db = service->db;
    b->carriers = carriers;
    b->writers = writers;
    for (int i = 0; i < REGIONS; i++) {
        b->queues[i].end = &b->queues[i].first;
    }
    b->later.end = &b->later.first;
    for (int i = 0; i < n; i++) {
        carriers[i].batch = b;
        carriers[i].connection = i;
        snprintf(carriers[i].slot, sizeof carriers[i].slot, "%d", slot + i);
    }
    uv_timer_init(service->loop, &b->later_timer);
    uv_timer_init(service->loop, &b->hint_timer);
    b->later_timer.data = b->hint_timer.data = b;
    metric_register(&appeals_total);
    metric_register(&replayed_total);
    metric_register(&refused_total);
    metric_register(&statements_total);
    metric_register(&rows_total);
    metric_register(&failed_total);
    return b;
}
