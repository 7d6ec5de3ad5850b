/* otklik-courier: tells residents what becomes of their appeals, by e-mail and where they wrote. */
#include <stdlib.h>

#include "config.h"
#include "courier_queries.h"
#include "log.h"
#include "notice.h"
#include "notice_key.h"
#include "parcel.h"
#include "queue.h"
#include "service.h"

/* No public endpoint: health and metrics come with every service. */
static const struct route routes[] = {
    { .path = NULL },
};

static int start(struct service *s)
{
    static char secret[NOTICE_SECRET + 1];
    struct queue_settings settings = { .url = getenv("OTKLIK_URL"), .secret = secret };
    const char *web = getenv("OTKLIK_WEB");
    if (settings.url == NULL || web == NULL) {
        log_write(LOG_ERROR, STR(""), "OTKLIK_URL and OTKLIK_WEB must be set");
        return -1;
    }
    if (config_number("OTKLIK_COURIER_AT_ONCE", 1, 64, 8, &settings.at_once) != 0 ||
        config_number("OTKLIK_COURIER_SECONDS", 1, 600, 30, &settings.seconds) != 0 ||
        config_number("OTKLIK_COURIER_ATTEMPTS", 1, 100, 16, &settings.attempts) != 0 ||
        config_number("OTKLIK_COURIER_PAUSE", 1, 3600, 60, &settings.pause_s) != 0 ||
        notice_secret_read(secret) != 0 || notice_load(web) != 0 || mail_configure() != 0 ||
        network_configure() != 0) {
        return -1;
    }
    s->state = queue_start(s, &settings);
    return s->state == NULL ? -1 : 0;
}

static void stop(struct service *s)
{
    queue_stop(s->state);
}

static int busy(struct service *s)
{
    return queue_busy(s->state);
}

int main(void)
{
    static struct service service = {
        .name = "courier",
        .routes = routes,
        .statements = courier_queries,
        .nstatements = COURIER_QUERY_COUNT,
        .start = start,
        .stop = stop,
        .busy = busy,
    };
    return service_run(&service);
}
