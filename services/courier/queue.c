/* The queue: notices become deliveries, deliveries are sent.
 *
 * A turn of a region is two statements. The first makes of each notice in the outbox a row for each
 * recipient and deletes it, so from there on each recipient has a fate of his own: what goes wrong
 * with one is never sent to another again. The second takes rows for a while, as many as there are
 * places; a place sends, and a third statement writes down what came of it. Nothing is held in the
 * database while something is sent.
 *
 * At least once: who is killed between the other side's yes and our own note of it sends once more
 * when the row's time has come, one message a place at most. Each try bears the same id, by which
 * networks and mail programs know doubles. A note that the database does not take is tried until
 * the row is somebody else's. */
#include "queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "courier_queries.h"
#include "language.h"
#include "log.h"
#include "notice_key.h"
#include "parcel.h"
#include "wall.h"

enum {
    REGIONS = 100,
    EXPAND = 200, /* notices in one statement */
    POLL_MS = 500,
    RETRY_MS = 300, /* after the database failed */
    DEPTH_MS = 5000,
    SLACK_S = 30,     /* a row is taken for the call's time and that */
    PATIENCE_S = 5,   /* a place waits for its account no longer */
    REFUSALS_MAX = 3, /* attempts at what the other side says no to */
    PAUSE_MAX_S = 4 * 3600,
    ACCOUNTS = 64,
    ARENA_BYTES = 256 * 1024,
    NUMBER_BYTES = 24,
    SECOND = 1000000
};
#define NIL "00000000-0000-0000-0000-000000000000"

/* Columns of claim.sql. */
enum {
    C_APPEAL,
    C_SEQ,
    C_RECIPIENT,
    C_ATTEMPTS,
    C_CHANNEL,
    C_ADDRESS,
    C_ACCOUNT,
    C_TALK,
    C_PAGE,
    C_LANG,
    C_ALLOWED,
    C_AUTHOR,
    C_NUMBER,
    C_KIND,
    C_REGION,
    C_BODY,
    C_RECEIVED,
    C_AT,
    C_FIRST_DUE,
    C_FINAL_DUE
};

/* One delivery on its way. */
struct place {
    struct queue *queue;
    uv_timer_t timer;
    int busy, region, attempts;
    int64_t until_us; /* wall clock: then the row is anybody's */
    struct str appeal, seq, recipient;
    struct parcel parcel;
    struct parcel_result result;
    /* what finish.sql is asked */
    char state[8], not_before[NUMBER_BYTES], give_back[4];
};

/* How fast an account of a network may be used; two that share a row are slower than they must be.
 */
struct account {
    int64_t next_us;   /* monotonic */
    int64_t closed_us; /* monotonic: the network said when to come again */
};

struct queue {
    struct service *service;
    struct queue_settings settings;
    struct wire *wire;
    uv_timer_t timer, depth_timer;
    unsigned char ready[REGIONS];
    int cursor, region; /* of the last turn, of the one in hand */
    int asking, stopping, depth_asked;
    struct account accounts[ACCOUNTS];
    struct place *places;
};

static struct metric sent_total = { .name = "otklik_courier_sent_total",
                                    .help = "Notices that the other side has taken",
                                    .type = "counter" };
static struct metric retries_total = { .name = "otklik_courier_retries_total",
                                       .help = "Attempts that are to be made again",
                                       .type = "counter" };
static struct metric failed_total = { .name = "otklik_courier_failed_total",
                                      .help = "Notices given up",
                                      .type = "counter" };
static struct metric dropped_total = { .name = "otklik_courier_dropped_total",
                                       .help = "Notices that nobody wants any more",
                                       .type = "counter" };
static struct metric waiting_gauge = { .name = "otklik_courier_waiting",
                                       .help = "Deliveries that wait",
                                       .type = "gauge" };
static struct metric failed_gauge = { .name = "otklik_courier_failed",
                                      .help = "Deliveries that somebody must look at",
                                      .type = "gauge" };

static void turn(struct queue *q);
static void write_down(struct place *p);

static int64_t monotonic_us(void)
{
    return (int64_t)(uv_hrtime() / 1000);
}

static void on_timer(uv_timer_t *timer)
{
    turn(timer->data);
}

static void look_in(struct queue *q, uint64_t ms)
{
    if (!q->stopping &&
        (!uv_is_active((uv_handle_t *)&q->timer) || uv_timer_get_due_in(&q->timer) > ms)) {
        uv_timer_start(&q->timer, on_timer, ms, 0);
    }
}

/* ---- the end of a delivery */

static void leave(struct place *p)
{
    arena_free(p->parcel.arena);
    p->parcel.arena = NULL;
    p->busy = 0;
    turn(p->queue);
}

static void on_write_again(uv_timer_t *timer)
{
    write_down(timer->data);
}

/* The database is away: what was sent must not be sent again, so we hold on. */
static void write_later(struct place *p)
{
    if (p->queue->stopping || wall_us() >= p->until_us) {
        log_write(LOG_WARN, STR(""),
                  "what became of a notice could not be written down: it may be sent twice");
        leave(p);
    } else {
        uv_timer_start(&p->timer, on_write_again, RETRY_MS, 0);
    }
}

static void on_written(void *data, const struct db_result *result)
{
    struct place *p = data;
    if (result->err == OTK_OK) {
        leave(p);
    } else {
        write_later(p);
    }
}

static void write_down(struct place *p)
{
    char region[NUMBER_BYTES], now[NUMBER_BYTES];
    snprintf(region, sizeof region, "%d", p->region);
    snprintf(now, sizeof now, "%" PRId64, wall_us());
    const char *params[] = { region,        p->appeal.p,
                             p->seq.p,      p->recipient.p,
                             p->state,      now,
                             p->not_before, p->result.error[0] == '\0' ? NULL : p->result.error,
                             p->give_back };
    if (db_ask(p->queue->service->db, QUERY_COURIER_FINISH, params, on_written, p) != OTK_OK) {
        write_later(p);
    }
}

/* AFTER_S: of what waits on. */
static void end(struct place *p, const char *state, int64_t after_s, int give_back)
{
    snprintf(p->state, sizeof p->state, "%s", state);
    snprintf(p->not_before, sizeof p->not_before, "%" PRId64, wall_us() + after_s * SECOND);
    snprintf(p->give_back, sizeof p->give_back, "%d", give_back);
    write_down(p);
}

/* Twice as long after each attempt. */
static int64_t pause_after(const struct queue *q, int attempts)
{
    int64_t s = q->settings.pause_s;
    for (int i = 1; i < attempts && s < PAUSE_MAX_S; i++) {
        s *= 2;
    }
    return s < PAUSE_MAX_S ? s : PAUSE_MAX_S;
}

static struct account *account_of(struct place *p)
{
    uint32_t hash = 2166136261U; /* FNV-1a */
    const struct str parts[] = { p->parcel.channel, p->parcel.account };
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < parts[k].n; i++) {
            hash = (hash ^ (unsigned char)parts[k].p[i]) * 16777619U;
        }
    }
    return &p->queue->accounts[hash % ACCOUNTS];
}

static void settle(struct place *p)
{
    const struct queue *q = p->queue;
    struct parcel_result *r = &p->result;
    if (r->fate == PARCEL_SENT) {
        r->error[0] = '\0';
        sent_total.value++;
        end(p, "sent", 0, 0);
    } else if (r->fate == PARCEL_SLOWER) {
        account_of(p)->closed_us = monotonic_us() + (int64_t)r->after_s * SECOND;
        retries_total.value++;
        end(p, "waiting", r->after_s, 1);
    } else if (p->attempts >= q->settings.attempts ||
               (r->fate == PARCEL_REFUSED && p->attempts >= REFUSALS_MAX)) {
        failed_total.value++;
        log_write(LOG_WARN, STR(""), "region %d: notice %s of appeal %s has failed: %s", p->region,
                  p->seq.p, p->appeal.p, r->error);
        end(p, "failed", 0, 0);
    } else {
        retries_total.value++;
        end(p, "waiting", pause_after(q, p->attempts), 0);
    }
}

/* ---- sending */

static int is_mail(const struct place *p)
{
    return str_eq(p->parcel.channel, STR("email"));
}

static void on_sent(struct wire_call *call)
{
    struct place *p = call->data;
    (is_mail(p) ? mail_judge : network_judge)(&p->parcel, &p->result);
    wire_end(call);
    settle(p);
}

static void send_now(struct place *p)
{
    struct wire *w = p->queue->wire;
    struct wire_call *call = &p->parcel.call;
    int bad = (is_mail(p) ? mail_address : network_address)(w, &p->parcel, &p->result) != 0;
    call->done = on_sent;
    call->data = p;
    if (!bad && wire_send(w, call) != 0) {
        bad = 1;
        p->result.fate = PARCEL_LATER;
        snprintf(p->result.error, sizeof p->result.error, "libcurl does not begin");
    }
    if (bad) {
        wire_end(call);
        settle(p);
    }
}

static void on_paced(uv_timer_t *timer)
{
    send_now(timer->data);
}

/* When the account may be used. */
static void send_paced(struct place *p)
{
    struct account *account = account_of(p);
    int64_t now = monotonic_us(), at = now > account->next_us ? now : account->next_us;
    at = at > account->closed_us ? at : account->closed_us;
    if (at - now > PATIENCE_S * (int64_t)SECOND) {
        end(p, "waiting", (at - now) / SECOND + 1, 1);
        return;
    }
    account->next_us = at + network_pause(p->parcel.channel);
    if (at <= now) {
        send_now(p);
    } else {
        uv_timer_start(&p->timer, on_paced, (uint64_t)((at - now + 999) / 1000), 0);
    }
}

/* ---- what the database says of a delivery */

/* Links with the key of the subscription; -1 when memory is out. */
static int make_links(struct place *p, struct str number, int author)
{
    const struct queue_settings *s = &p->queue->settings;
    struct arena *a = p->parcel.arena;
    struct notice *n = &p->parcel.notice;
    char key[NOTICE_KEY + 1];
    if (strcmp(p->recipient.p, NIL) == 0) { /* a public place: what everybody may open */
        n->track_url = arena_printf(a, "%s/track?number=%s", s->url, number.p);
        return n->track_url.p == NULL ? -1 : 0;
    }
    if (notice_key(s->secret, p->region, p->recipient, key) != 0) {
        return -1;
    }
    const char *lang = language_tag(n->lang);
    struct str who =
        arena_printf(a, "number=%s&s=%s&key=%s&lang=%s", number.p, p->recipient.p, key, lang);
    if (who.p == NULL) {
        return -1;
    }
    n->track_url = author ? arena_printf(a, "%s/notices/open?%s", s->url, who.p)
                          : arena_printf(a, "%s/track?number=%s&lang=%s", s->url, number.p, lang);
    n->confirm_url = arena_printf(a, "%s/notices/confirm?%s", s->url, who.p);
    n->stop_url = arena_printf(a, "%s/notices/unsubscribe?%s", s->url, who.p);
    return n->track_url.p == NULL || n->confirm_url.p == NULL || n->stop_url.p == NULL ? -1 : 0;
}

/* Copies what claim.sql says; -1 when memory is out. */
static int read_row(struct place *p, const PGresult *res, int row)
{
    struct arena *a = arena_new(ARENA_BYTES);
    struct str cells[C_FINAL_DUE + 1];
    p->parcel = (struct parcel){ .arena = a };
    for (int i = 0; i <= C_FINAL_DUE; i++) {
        cells[i] = a == NULL ? (struct str){ NULL, 0 } : arena_dup(a, db_cell(res, row, i));
        if (cells[i].p == NULL) {
            return -1;
        }
    }
    p->appeal = cells[C_APPEAL];
    p->seq = cells[C_SEQ];
    p->recipient = cells[C_RECIPIENT];
    p->attempts = (int)strtol(cells[C_ATTEMPTS].p, NULL, 10);
    struct parcel *q = &p->parcel;
    q->channel = cells[C_CHANNEL];
    q->address = cells[C_ADDRESS];
    q->account = cells[C_ACCOUNT];
    q->talk = cells[C_TALK];
    q->region_name = cells[C_REGION];
    q->page_id = strtoll(cells[C_PAGE].p, NULL, 10);
    q->id = arena_printf(a, "%s.%s.%s", p->appeal.p, p->seq.p, p->recipient.p);
    q->notice = (struct notice){ .lang = str_eq(cells[C_LANG], STR("en")) ? LANG_EN : LANG_RU,
                                 .confirm = str_eq(p->seq, STR("0")),
                                 .kind = cells[C_KIND],
                                 .number = cells[C_NUMBER],
                                 .region = cells[C_REGION],
                                 .body = cells[C_BODY],
                                 .received = cells[C_RECEIVED],
                                 .first_due = cells[C_FIRST_DUE],
                                 .final_due = cells[C_FINAL_DUE] };
    return q->id.p == NULL || make_links(p, cells[C_NUMBER], str_eq(cells[C_AUTHOR], STR("t"))) != 0
               ? -1
               : 0;
}

static void begin(struct place *p, const PGresult *res, int row)
{
    p->busy = 1;
    p->region = p->queue->region;
    p->result = (struct parcel_result){ .fate = PARCEL_LATER };
    if (read_row(p, res, row) != 0) {
        log_write(LOG_ERROR, STR(""), "memory is out for a notice");
        arena_free(p->parcel.arena);
        p->parcel.arena = NULL;
        p->busy = 0; /* its time comes again */
    } else if (!str_eq(db_cell(res, row, C_ALLOWED), STR("t"))) {
        dropped_total.value++;
        end(p, "dropped", 0, 0);
    } else if (is_mail(p)) {
        send_now(p);
    } else {
        send_paced(p);
    }
}

/* ---- taking turns */

static struct place *free_place(struct queue *q)
{
    for (long i = 0; i < q->settings.at_once; i++) {
        if (!q->places[i].busy) {
            return &q->places[i];
        }
    }
    return NULL;
}

static int free_places(const struct queue *q)
{
    int n = 0;
    for (long i = 0; i < q->settings.at_once; i++) {
        n += !q->places[i].busy;
    }
    return n;
}

static void on_claimed(void *data, const struct db_result *result)
{
    struct queue *q = data;
    if (result->err != OTK_OK) {
        q->asking = 0;
        look_in(q, RETRY_MS);
        return;
    }
    int n = PQntuples(result->res);
    int64_t until = wall_us() + (q->settings.seconds + SLACK_S - 1) * SECOND;
    q->ready[q->region] |= n > 0; /* there may be more */
    for (int i = 0; i < n; i++) {
        struct place *p = free_place(q); /* no more rows were asked for than there are places */
        if (p != NULL) {
            p->until_us = until;
            begin(p, result->res, i);
        }
    }
    q->asking = 0;
    turn(q);
}

static void on_expanded(void *data, const struct db_result *result)
{
    struct queue *q = data;
    char region[NUMBER_BYTES], now[NUMBER_BYTES], until[NUMBER_BYTES], most[NUMBER_BYTES];
    int64_t us = wall_us();
    if (result->err == OTK_OK) {
        q->ready[q->region] = strtol(PQgetvalue(result->res, 0, 0), NULL, 10) == EXPAND;
        snprintf(region, sizeof region, "%d", q->region);
        snprintf(now, sizeof now, "%" PRId64, us);
        snprintf(until, sizeof until, "%" PRId64,
                 us + (q->settings.seconds + SLACK_S + PATIENCE_S) * SECOND);
        snprintf(most, sizeof most, "%d", free_places(q));
        const char *params[] = { region, now, until, most };
        if (db_ask(q->service->db, QUERY_COURIER_CLAIM, params, on_claimed, q) == OTK_OK) {
            return;
        }
    } else {
        log_write(LOG_WARN, STR(""), "region %d: notices wait: %s", q->region, result->sqlstate);
    }
    q->asking = 0;
    look_in(q, RETRY_MS);
}

static int next_region(const struct queue *q)
{
    for (int i = 1; i <= REGIONS; i++) {
        int region = (q->cursor + i) % REGIONS;
        if (q->ready[region]) {
            return region;
        }
    }
    return -1;
}

static void on_listed(void *data, const struct db_result *result)
{
    struct queue *q = data;
    int n = result->err == OTK_OK ? PQntuples(result->res) : 0;
    q->asking = 0;
    for (int i = 0; i < n; i++) {
        long region = strtol(PQgetvalue(result->res, i, 0), NULL, 10);
        if (region > 0 && region < REGIONS) {
            q->ready[region] = 1;
        }
    }
    look_in(q, POLL_MS);
    if (n > 0) {
        turn(q);
    }
}

/* A region that may have something; when none is known, the whole queue is looked at from time to
 * time. */
static void turn(struct queue *q)
{
    if (q->stopping || q->asking || free_places(q) == 0) {
        return;
    }
    int region = next_region(q);
    char number[NUMBER_BYTES], now[NUMBER_BYTES], most[NUMBER_BYTES];
    snprintf(now, sizeof now, "%" PRId64, wall_us());
    if (region >= 0) {
        snprintf(number, sizeof number, "%d", region);
        snprintf(most, sizeof most, "%d", EXPAND);
        const char *params[] = { number, now, most };
        q->asking = db_ask(q->service->db, QUERY_COURIER_EXPAND, params, on_expanded, q) == OTK_OK;
        q->cursor = q->region = region;
    } else if (!uv_is_active((uv_handle_t *)&q->timer)) {
        const char *params[] = { now };
        q->asking =
            db_ask(q->service->db, QUERY_COURIER_READY_REGIONS, params, on_listed, q) == OTK_OK;
    } else {
        return;
    }
    if (!q->asking) {
        look_in(q, RETRY_MS);
    }
}

static void on_db_ready(void *data, int connection)
{
    (void)connection;
    look_in(data, 0);
}

/* ---- the gauges */

static void on_depth(void *data, const struct db_result *result)
{
    struct queue *q = data;
    q->depth_asked = 0;
    if (result->err == OTK_OK) {
        waiting_gauge.value = strtod(PQgetvalue(result->res, 0, 0), NULL);
        failed_gauge.value = strtod(PQgetvalue(result->res, 0, 1), NULL);
    }
}

static void on_depth_timer(uv_timer_t *timer)
{
    struct queue *q = timer->data;
    if (!q->depth_asked) {
        q->depth_asked = db_ask(q->service->db, QUERY_COURIER_DEPTH, NULL, on_depth, q) == OTK_OK;
    }
}

/* ---- beginning and end */

struct queue *queue_start(struct service *service, const struct queue_settings *settings)
{
    static struct metric *const metrics[] = { &sent_total,    &retries_total, &failed_total,
                                              &dropped_total, &waiting_gauge, &failed_gauge };
    enum { METRICS = sizeof metrics / sizeof metrics[0] };
    struct queue *q = calloc(1, sizeof *q);
    struct place *places = calloc((size_t)settings->at_once, sizeof *places);
    if (q == NULL || places == NULL ||
        (q->wire = wire_open(service->loop, settings->seconds, settings->at_once)) == NULL) {
        log_write(LOG_ERROR, STR(""), "memory is out at the start");
        free(q);
        free(places);
        return NULL;
    }
    q->service = service;
    q->settings = *settings;
    q->places = places;
    for (long i = 0; i < settings->at_once; i++) {
        places[i].queue = q;
        uv_timer_init(service->loop, &places[i].timer);
        places[i].timer.data = &places[i];
    }
    for (size_t i = 0; i < METRICS; i++) {
        metric_register(metrics[i]);
    }
    uv_timer_init(service->loop, &q->timer);
    uv_timer_init(service->loop, &q->depth_timer);
    q->timer.data = q->depth_timer.data = q;
    db_on_ready(service->db, on_db_ready, q);
    uv_timer_start(&q->depth_timer, on_depth_timer, DEPTH_MS, DEPTH_MS);
    look_in(q, 0);
    return q;
}

void queue_stop(struct queue *q)
{
    q->stopping = 1;
    uv_timer_stop(&q->timer);
    uv_timer_stop(&q->depth_timer);
}

int queue_busy(const struct queue *q)
{
    return free_places(q) < q->settings.at_once;
}
