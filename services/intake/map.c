/* GET /api/v1/map: what a map of the region is drawn from. */
#include "map.h"

#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "intake.h"
#include "intake_queries.h"
#include "json.h"
#include "language.h"
#include "log.h"
#include "tagged.h"

enum { KEPT_S = 300, TILES_MAX = 4096, ZOOM_MAX = 22, ZOOM_USUAL = 18 };

/* An address of tiles as Leaflet wants it: of this server or of another one, with all three places
 * to fill in, and nothing that could leave the policy of our pages. */
static int is_tiles_url(const char *url)
{
    static const char *const places[] = { "{z}", "{x}", "{y}" };
    if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0 && url[0] != '/') {
        return 0;
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (strstr(url, places[i]) == NULL) {
            return 0;
        }
    }
    size_t at = 0;
    while (url[at] > ' ' && url[at] < 0x7f && strchr("\"'<>\\`;,", url[at]) == NULL) {
        at++;
    }
    return url[at] == '\0';
}

const char *map_tiles(void)
{
    static char json[TILES_MAX];
    const char *url = getenv("OTKLIK_TILES_URL");
    const char *attribution = getenv("OTKLIK_TILES_ATTRIBUTION");
    long zoom;
    size_t bad;
    if (config_number("OTKLIK_TILES_MAX_ZOOM", 1, ZOOM_MAX, ZOOM_USUAL, &zoom) != 0) {
        return NULL;
    }
    if (url == NULL || *url == '\0') {
        return "null";
    }
    if (!is_tiles_url(url)) {
        log_write(LOG_ERROR, STR(""),
                  "OTKLIK_TILES_URL must be like https://tiles.example/{z}/{x}/{y}.png");
        return NULL;
    }
    attribution = attribution == NULL ? "" : attribution;
    if (!utf8_valid(str_of(attribution), &bad)) {
        log_write(LOG_ERROR, STR(""), "OTKLIK_TILES_ATTRIBUTION must be UTF-8");
        return NULL;
    }
    struct arena *a = arena_new(TILES_MAX);
    struct str address = { NULL, 0 }, says = { NULL, 0 };
    if (a != NULL) {
        address = json_string(a, str_of(url));
        says = json_string(a, str_of(attribution));
    }
    int n = address.p == NULL || says.p == NULL
                ? TILES_MAX
                : snprintf(json, sizeof json, "{\"url\":%s,\"attribution\":%s,\"max_zoom\":%ld}",
                           address.p, says.p, zoom);
    if (a != NULL) {
        arena_free(a);
    }
    if (n < 0 || n >= TILES_MAX) {
        log_write(LOG_ERROR, STR(""), "OTKLIK_TILES_URL and OTKLIK_TILES_ATTRIBUTION are too long");
        return NULL;
    }
    return json;
}

static void on_map(void *data, const struct db_result *result)
{
    reply_tagged(data, result, KEPT_S);
}

void map_ask(struct request *r)
{
    if (r->region == 0) { /* a key that belongs to no region */
        reply_problem(r, OTK_FORBIDDEN, STR(""));
        return;
    }
    char region[12];
    snprintf(region, sizeof region, "%d", r->region);
    const char *params[] = { region, language_tag(r->lang), intake_of(r)->tiles };
    enum otk_err err = db_ask(r->service->db, QUERY_INTAKE_MAP, params, on_map, r);
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}
