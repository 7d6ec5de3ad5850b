/* The queue: takes files that wait out of the database and writes down what became of them.
 *
 * A claim is a statement of its own that says until when the file is taken; the work comes after
 * its commit. Who dies leaves a file that is taken again later, and what is done twice comes to the
 * same: the cleaned file is moved over the former one. A fault of the file is written down at once,
 * a fault of the machine leaves the file to its time.
 *
 * Regions take turns, a file each. NOTIFY otklik_pictures says that there is something; the poll is
 * the truth. */
#include "queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clean.h"
#include "log.h"
#include "pictures_queries.h"
#include "wall.h"

enum {
    REGIONS = 100,
    POLL_MS = 1000,
    RETRY_MS = 200,    /* after the database failed */
    SLACK_S = 30,      /* a file is taken for the helper's time and that */
    ATTEMPTS_MAX = 20, /* then something is wrong with the file that we do not see */
    NUMBER_BYTES = 24
};

/* A helper's place: one file on its way. */
struct place {
    struct queue *queue;
    struct clean clean;
    int busy, region;
    char id[37], type[32];
};

struct queue {
    struct service *service;
    struct queue_settings settings;
    uv_timer_t timer;
    unsigned char ready[REGIONS]; /* there may be work */
    int cursor;                   /* region of the last claim */
    int listing, stopping;
    struct place *places;
};

static struct metric cleaned_total = { .name = "otklik_pictures_cleaned_total",
                                       .help = "Files cleaned",
                                       .type = "counter" };
static struct metric refused_total = { .name = "otklik_pictures_refused_total",
                                       .help = "Files that could not be cleaned",
                                       .type = "counter" };
static struct metric later_total = { .name = "otklik_pictures_later_total",
                                     .help = "Files put off because the machine failed",
                                     .type = "counter" };

static void turn(struct queue *q);

static void on_timer(uv_timer_t *timer)
{
    turn(timer->data);
}

static void look_in(struct queue *q, uint64_t ms)
{
    if (!q->stopping) {
        uv_timer_start(&q->timer, on_timer, ms, 0);
    }
}

/* ---- what became of a file */

static void on_written(void *data, const struct db_result *result)
{
    struct place *p = data;
    if (result->err != OTK_OK) {
        log_write(LOG_WARN, STR(""), "file %s: what became of it could not be written down: %s",
                  p->id, result->sqlstate == NULL ? "" : result->sqlstate);
    }
    p->busy = 0;
    turn(p->queue);
}

static void write_down(struct place *p, size_t statement, const char *const *params)
{
    if (db_ask(p->queue->service->db, statement, params, on_written, p) != OTK_OK) {
        p->busy = 0; /* it will be taken again in its time */
        look_in(p->queue, RETRY_MS);
    }
}

static void write_done(struct place *p)
{
    const struct clean_report *r = &p->clean.report;
    char region[NUMBER_BYTES], size[NUMBER_BYTES], width[NUMBER_BYTES], height[NUMBER_BYTES];
    snprintf(region, sizeof region, "%d", p->region);
    snprintf(size, sizeof size, "%" PRId64, r->size);
    snprintf(width, sizeof width, "%ld", r->width);
    snprintf(height, sizeof height, "%ld", r->height);
    const char *params[] = { region,
                             p->id,
                             r->type,
                             size,
                             r->width > 0 ? width : NULL,
                             r->height > 0 ? height : NULL,
                             r->taken[0] != '\0' ? r->taken : NULL,
                             r->lat[0] != '\0' ? r->lat : NULL,
                             r->lon[0] != '\0' ? r->lon : NULL };
    cleaned_total.value++;
    write_down(p, QUERY_PICTURES_DONE, params);
}

static void write_refused(struct place *p, const char *state, const char *reason)
{
    char region[NUMBER_BYTES];
    snprintf(region, sizeof region, "%d", p->region);
    const char *params[] = { region, p->id, state, reason };
    refused_total.value++;
    log_write(LOG_INFO, STR(""), "file %s: %s", p->id, reason);
    write_down(p, QUERY_PICTURES_REFUSE, params);
}

static void on_cleaned(struct clean *c, enum clean_result result)
{
    static const char *const reasons[] = { [CLEAN_LOST] = "lost",
                                           [CLEAN_UNREADABLE] = "unreadable",
                                           [CLEAN_TOO_MANY_PIXELS] = "too_many_pixels",
                                           [CLEAN_TOO_COSTLY] = "too_costly" };
    struct place *p = c->data;
    if (result == CLEAN_DONE) {
        write_done(p);
    } else if (result == CLEAN_LATER) {
        later_total.value++;
        p->busy = 0;
        look_in(p->queue, POLL_MS);
    } else {
        write_refused(p, result == CLEAN_LOST ? "lost" : "refused", reasons[result]);
    }
}

/* ---- taking one */

static void on_claimed(void *data, const struct db_result *result)
{
    struct place *p = data;
    struct queue *q = p->queue;
    if (result->err != OTK_OK) {
        p->busy = 0;
        look_in(q, RETRY_MS);
        return;
    }
    if (PQntuples(result->res) == 0) {
        p->busy = 0;
        turn(q);
        return;
    }
    q->ready[p->region] = 1; /* there may be more */
    snprintf(p->id, sizeof p->id, "%s", PQgetvalue(result->res, 0, 0));
    snprintf(p->type, sizeof p->type, "%s", PQgetvalue(result->res, 0, 1));
    if (strtol(PQgetvalue(result->res, 0, 2), NULL, 10) > ATTEMPTS_MAX) {
        write_refused(p, "refused", "too_costly");
    } else {
        clean_start(&p->clean, p->region, p->id, p->type);
    }
    turn(q);
}

static int next_region(struct queue *q)
{
    for (int i = 1; i <= REGIONS; i++) {
        int region = (q->cursor + i) % REGIONS;
        if (q->ready[region]) {
            return region;
        }
    }
    return -1;
}

static struct place *free_place(struct queue *q)
{
    for (long i = 0; i < q->settings.at_once; i++) {
        if (!q->places[i].busy) {
            return &q->places[i];
        }
    }
    return NULL;
}

/* 0, or -1 when the database is away. */
static int claim(struct queue *q, struct place *p, int region)
{
    char number[NUMBER_BYTES], now[NUMBER_BYTES], until[NUMBER_BYTES];
    int64_t us = wall_us();
    snprintf(number, sizeof number, "%d", region);
    snprintf(now, sizeof now, "%" PRId64, us);
    snprintf(until, sizeof until, "%" PRId64, us + (q->settings.seconds + SLACK_S) * 1000000);
    const char *params[] = { number, now, until };
    p->region = region;
    if (db_ask(q->service->db, QUERY_PICTURES_CLAIM, params, on_claimed, p) != OTK_OK) {
        return -1;
    }
    q->cursor = region;
    q->ready[region] = 0;
    p->busy = 1;
    return 0;
}

static void on_listed(void *data, const struct db_result *result)
{
    struct queue *q = data;
    q->listing = 0;
    int n = result->err == OTK_OK ? PQntuples(result->res) : 0;
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

/* What can be taken is taken; when nothing is known, the whole queue is looked at. */
static void turn(struct queue *q)
{
    struct place *p;
    int region;
    while (!q->stopping && (region = next_region(q)) >= 0 && (p = free_place(q)) != NULL) {
        if (claim(q, p, region) != 0) {
            look_in(q, RETRY_MS);
            return;
        }
    }
    if (q->stopping || q->listing || uv_is_active((uv_handle_t *)&q->timer) ||
        next_region(q) >= 0) {
        return;
    }
    char now[NUMBER_BYTES];
    snprintf(now, sizeof now, "%" PRId64, wall_us());
    const char *params[] = { now };
    if (db_ask(q->service->db, QUERY_PICTURES_READY_REGIONS, params, on_listed, q) == OTK_OK) {
        q->listing = 1;
    } else {
        look_in(q, RETRY_MS);
    }
}

static void on_hint(void *data, const char *payload)
{
    struct queue *q = data;
    long region = strtol(payload, NULL, 10);
    if (region > 0 && region < REGIONS) {
        q->ready[region] = 1;
        turn(q);
    }
}

static void on_db_ready(void *data, int connection)
{
    (void)connection;
    look_in(data, 0);
}

struct queue *queue_start(struct service *service, const struct queue_settings *settings)
{
    struct queue *q = calloc(1, sizeof *q);
    struct place *places = calloc((size_t)settings->at_once, sizeof *places);
    if (q == NULL || places == NULL) {
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
        places[i].clean = (struct clean){ .folder = settings->folder,
                                          .helper = settings->helper,
                                          .pixels = settings->pixels,
                                          .seconds = settings->seconds,
                                          .loop = service->loop,
                                          .done = on_cleaned,
                                          .data = &places[i] };
    }
    metric_register(&cleaned_total);
    metric_register(&refused_total);
    metric_register(&later_total);
    uv_timer_init(service->loop, &q->timer);
    q->timer.data = q;
    db_listen(service->db, "otklik_pictures", on_hint, q);
    db_on_ready(service->db, on_db_ready, q);
    look_in(q, 0);
    return q;
}

void queue_stop(struct queue *q)
{
    q->stopping = 1;
    uv_close((uv_handle_t *)&q->timer, NULL);
}

int queue_busy(const struct queue *q)
{
    for (long i = 0; i < q->settings.at_once; i++) {
        if (q->places[i].busy) {
            return 1;
        }
    }
    return 0;
}
