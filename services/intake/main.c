/* otklik-intake: every way in, tracking, the public pages. */
#include <stdlib.h>

#include "attach.h"
#include "entry.h"
#include "config.h"
#include "forget.h"
#include "hook_queue.h"
#include "hooks.h"
#include "intake.h"
#include "intake_queries.h"
#include "join.h"
#include "lanes.h"
#include "log.h"
#include "map.h"
#include "open311.h"
#include "pages.h"
#include "places.h"
#include "submit.h"
#include "suggestions.h"
#include "theme_words.h"
#include "themes.h"
#include "track.h"
#include "upload.h"

/* Slots of appeal_count: intake counts below 100, routing from 100. A connection of this process
 * takes one each from OTKLIK_SLOT on. */
enum { SLOT_END = 100 };

/* A request with files waits for the disk; less than conf/nginx/locations.conf gives it. */
enum {
    FILES_PATIENCE_MS = 10000,
    LETTER_PATIENCE_MS = 4000,
    MEGABYTE = 1024 * 1024,
    UPLOADS_MAX = 32
};

static const struct route routes[] = {
    { .method = METHOD_POST,
      .path = "/api/v1/appeals",
      .fields = submit_fields,
      .files = letter_files,
      .patience_ms = LETTER_PATIENCE_MS,
      .ask = submit_ask },
    { .method = METHOD_POST,
      .path = "/api/v1/desk/appeals",
      .roles = ENTRY_ROLES,
      .fields = entry_fields,
      .files = letter_files,
      .patience_ms = LETTER_PATIENCE_MS,
      .ask = entry_ask },
    { .method = METHOD_GET,
      .path = "/api/v1/appeals/{number}",
      .fields = track_fields,
      .ask = track_ask },
    { .method = METHOD_POST,
      .path = "/api/v1/appeals/{number}/attachments",
      .fields = attach_fields,
      .files = attach_files,
      .from_query = 1,
      .patience_ms = FILES_PATIENCE_MS,
      .ask = attach_ask },
    { .method = METHOD_GET,
      .path = "/api/v1/appeals/{number}/attachments/{id}",
      .fields = attachment_fields,
      .ask = attachment_ask },
    { .method = METHOD_POST,
      .path = "/api/v1/appeals/{number}/join",
      .fields = join_fields,
      .ask = join_ask },
    { .method = METHOD_GET,
      .path = "/api/v1/themes",
      .fields = form_query_fields,
      .ask = themes_ask },
    { .method = METHOD_GET, .path = "/api/v1/places", .fields = places_fields, .ask = places_ask },
    { .method = METHOD_POST,
      .path = "/api/v1/suggestions",
      .fields = suggestions_fields,
      .ask = suggestions_ask },
    { .method = METHOD_GET, .path = "/api/v1/map", .fields = form_query_fields, .ask = map_ask },
    { .method = METHOD_GET, .path = "/", .ask = form_show, .late = form_late },
    { .method = METHOD_POST,
      .path = "/",
      .fields = form_fields,
      .files = letter_files,
      .patience_ms = LETTER_PATIENCE_MS,
      .ask = form_take,
      .invalid = form_invalid,
      .late = form_late },
    { .method = METHOD_GET, .path = "/desk/entry", .ask = entry_show, .late = entry_page_late },
    { .method = METHOD_POST,
      .path = "/desk/entry",
      .fields = entry_page_fields,
      .ask = entry_page_take,
      .invalid = entry_page_invalid,
      .late = entry_page_late },
    { .method = METHOD_GET,
      .path = "/track",
      .fields = track_page_fields,
      .ask = track_show,
      .invalid = track_invalid,
      .late = track_late },
    { .method = METHOD_GET, .path = "/open311/discovery.{format}", .ask = open311_discovery },
    { .method = METHOD_GET, .path = "/open311/v2/services.{format}", .ask = open311_services },
    { .method = METHOD_GET, .path = "/open311/v2/services/{code}", .ask = open311_service },
    { .method = METHOD_GET, .path = "/open311/v2/requests.{format}", .ask = open311_requests },
    { .method = METHOD_POST,
      .path = "/open311/v2/requests.{format}",
      .files = open311_files,
      .patience_ms = FILES_PATIENCE_MS,
      .ask = open311_take,
      .invalid = open311_invalid },
    { .method = METHOD_GET, .path = "/open311/v2/requests/{id}", .ask = open311_request },
    { .method = METHOD_GET, .path = "/open311/v2/media/{number}/{id}", .ask = media_ask },
    { .method = METHOD_GET, .path = "/open311/v2/tokens/{token}", .ask = open311_token },
    { .method = METHOD_GET,
      .path = "/open311/v2/servicerequestupdates.{format}",
      .ask = open311_updates },
    { .method = METHOD_POST, .path = "/hooks/vk/{account}", .ask = hooks_vk },
    { .method = METHOD_POST, .path = "/hooks/telegram/{account}", .ask = hooks_telegram },
    /* The edge takes the secret off its end. */
    { .method = METHOD_POST, .path = "/hooks/ok/{account}/", .ask = hooks_ok },
    { .method = METHOD_POST, .path = "/hooks/max/{account}", .ask = hooks_max },
    { .path = NULL },
};

static int start(struct service *s)
{
    static struct intake intake;
    long slot, writers, keep_days, file_mb;
    if (config_number("OTKLIK_SLOT", 0, SLOT_END - db_connections(s->db), 0, &slot) != 0 ||
        config_number("OTKLIK_WRITERS", 1, db_connections(s->db), 1, &writers) != 0 ||
        config_number("OTKLIK_HOOK_DAYS", 1, 3650, 30, &keep_days) != 0 ||
        config_number("OTKLIK_FILE_MB", 1, 1024, 20, &file_mb) != 0) {
        return -1;
    }
    lanes_open(s->db, (int)writers);
    intake.batch = batch_open(s, (int)slot, (int)writers);
    intake.forget = forget_start(s);
    intake.hooks = intake.batch == NULL ? NULL : hook_queue_start(s, intake.batch, (int)keep_days);
    intake.themes = theme_words_open(s);
    if (intake.forget == NULL || intake.hooks == NULL || intake.themes == NULL) {
        log_write(LOG_ERROR, STR(""), "memory is out at the start");
        return -1;
    }
    intake.url = getenv("OTKLIK_URL") == NULL ? "" : getenv("OTKLIK_URL");
    hooks_register();
    intake.pages = pages_load(getenv("OTKLIK_WEB"));
    intake.uploads =
        uploads_open(s->loop, getenv("OTKLIK_FILES"), (int64_t)file_mb * MEGABYTE, UPLOADS_MAX);
    intake.tiles = map_tiles();
    if (intake.pages == NULL || intake.uploads == NULL || intake.tiles == NULL) {
        return -1;
    }
    s->state = &intake;
    return 0;
}

static void stop(struct service *s)
{
    struct intake *intake = s->state;
    forget_stop(intake->forget);
    hook_queue_stop(intake->hooks);
}

static int busy(struct service *s)
{
    const struct intake *intake = s->state;
    return hook_queue_busy(intake->hooks);
}

int main(void)
{
    static struct service service = {
        .name = "intake",
        .routes = routes,
        .statements = intake_queries,
        .nstatements = INTAKE_QUERY_COUNT,
        .start = start,
        .stop = stop,
        .busy = busy,
    };
    return service_run(&service);
}
