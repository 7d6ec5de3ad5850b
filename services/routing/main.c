/* otklik-routing: finds theme, place, body and deadlines of every appeal that came in; the desk of
 * moderators. */
#include "config.h"
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

static int start(struct service *s)
{
    long slot;
    if (config_number("OTKLIK_SLOT", SLOT_MIN, SLOT_MAX, SLOT_MIN, &slot) != 0) {
        return -1;
    }
    s->state = queue_start(s, (int)slot);
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
