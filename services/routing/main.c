/* otklik-routing: finds theme, place, body and deadlines of every appeal that came in; the desk of
 * moderators. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "desk.h"
#include "queue.h"
#include "service.h"
#include "routing_queries.h"

/* Slots of appeal_count below this belong to intake. */
enum { SLOT_MIN = 100, SLOT_MAX = 999 };

static const struct route routes[] = {
    { .method = METHOD_GET,
      .path = "/api/v1/desk/blocks",
      .roles = ROLE_MODERATOR,
      .fields = desk_blocks_fields,
      .ask = desk_blocks },
    { .method = METHOD_POST,
      .path = "/api/v1/desk/blocks",
      .roles = ROLE_MODERATOR,
      .fields = desk_block_fields,
      .ask = desk_block },
    { .method = METHOD_DELETE,
      .path = "/api/v1/desk/blocks/{id}",
      .roles = ROLE_MODERATOR,
      .ask = desk_lift },
    { .method = METHOD_GET,
      .path = "/api/v1/desk/quotas",
      .roles = ROLE_MODERATOR,
      .ask = desk_quotas },
    { .method = METHOD_DELETE,
      .path = "/api/v1/desk/quotas/{kind}/{subject}",
      .roles = ROLE_MODERATOR,
      .ask = desk_forgive },
    { .method = METHOD_GET,
      .path = "/api/v1/desk/repeats",
      .roles = ROLE_MODERATOR,
      .ask = desk_repeats },
    { .method = METHOD_POST,
      .path = "/api/v1/desk/appeals/{number}/release",
      .roles = ROLE_MODERATOR,
      .ask = desk_release },
    { .path = NULL },
};

/* The slot of this process (OTKLIK_SLOT); -1 when it is not a number from SLOT_MIN to SLOT_MAX. */
static int slot_from_environment(void)
{
    const char *text = getenv("OTKLIK_SLOT");
    if (text == NULL || *text == '\0') {
        return SLOT_MIN;
    }
    char *end;
    errno = 0;
    long slot = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' && slot >= SLOT_MIN && slot <= SLOT_MAX ? (int)slot : -1;
}

static int start(struct service *s)
{
    int slot = slot_from_environment();
    if (slot < 0) {
        log_write(LOG_ERROR, STR(""), "OTKLIK_SLOT must be a number from %d to %d", SLOT_MIN,
                  SLOT_MAX);
        return -1;
    }
    s->state = queue_start(s, slot);
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
        .name = "routing",
        .routes = routes,
        .statements = routing_queries,
        .nstatements = ROUTING_QUERY_COUNT,
        .start = start,
        .stop = stop,
        .busy = busy,
    };
    return service_run(&service);
}
