/* Forgets first answers to Idempotency-Keys after three days, in small bites, region by region,
 * once an hour: never in the way of a letter. */
#include "forget.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "intake_queries.h"

enum {
    REGIONS = 100,
    BITE = 1000,
    PAUSE_MS = 200, /* between two bites */
    ROUND_MS = 3600 * 1000,
    KEEP_S = 72 * 3600 /* docs/api says so to clients */
};

struct forget {
    struct db *db;
    uv_timer_t timer;
    int region; /* whose turn it is */
    int stopping;
};

static void on_timer(uv_timer_t *timer);

static void on_forgotten(void *data, const struct db_result *result)
{
    struct forget *f = data;
    if (f->stopping) {
        return;
    }
    int full = result->err == OTK_OK && strtol(PQgetvalue(result->res, 0, 0), NULL, 10) == BITE;
    if (!full) { /* done, or it failed: the next round will find it */
        f->region++;
    }
    int over = f->region == REGIONS;
    f->region = over ? 1 : f->region;
    uv_timer_start(&f->timer, on_timer, over ? ROUND_MS : full ? PAUSE_MS : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct forget *f = timer->data;
    char region[12], before[24], bite[8];
    snprintf(region, sizeof region, "%d", f->region);
    snprintf(before, sizeof before, "%" PRId64, ((int64_t)time(NULL) - KEEP_S) * 1000000);
    snprintf(bite, sizeof bite, "%d", BITE);
    const char *params[] = { region, before, bite };
    if (db_ask(f->db, QUERY_INTAKE_FORGET, params, on_forgotten, f) != OTK_OK) {
        uv_timer_start(&f->timer, on_timer, ROUND_MS / 60, 0);
    }
}

struct forget *forget_start(struct service *service)
{
    struct forget *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return NULL;
    }
    f->db = service->db;
    f->region = 1;
    uv_timer_init(service->loop, &f->timer);
    f->timer.data = f;
    uv_timer_start(&f->timer, on_timer, ROUND_MS / 60, 0);
    return f;
}

void forget_stop(struct forget *f)
{
    f->stopping = 1;
    uv_timer_stop(&f->timer);
}
