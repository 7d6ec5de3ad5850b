/* GET /api/v1/places: where something is, by its name or by its point. */
#include "places.h"

#include <stdio.h>

#include "intake_queries.h"
#include "language.h"

enum { PLACE_Q, PLACE_LAT, PLACE_LON };

#define PLACES_MAX "10"

const struct field places_fields[] = {
    [PLACE_Q] = { .name = "q", .type = FIELD_LINE, .min = 1, .max = 200 },
    [PLACE_LAT] = { .name = "lat", .type = FIELD_NUMBER, .min = -90, .max = 90, .together = "lon" },
    [PLACE_LON] = { .name = "lon",
                    .type = FIELD_NUMBER,
                    .min = -180,
                    .max = 180,
                    .together = "lat" },
    FIELD_END,
};

static void on_places(void *data, const struct db_result *result)
{
    struct request *r = data;
    if (result->err != OTK_OK) {
        reply_db_problem(r, result);
        return;
    }
    struct str json = arena_printf(r->arena, "%s\n", PQgetvalue(result->res, 0, 0));
    if (json.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    reply_header(r, "Cache-Control", STR("private, max-age=300"));
    reply_header(r, "Vary", STR("Accept-Language, Cookie, X-Api-Key"));
    reply_header(r, "Content-Language", str_of(language_tag(r->lang)));
    reply_json(r, 200, json);
}

void places_ask(struct request *r)
{
    const char *lang = language_tag(r->lang);
    /* Numbers of a query are their text, checked; NULL where none was given. */
    const char *q = r->values[PLACE_Q].s.text.p, *lat = r->values[PLACE_LAT].d.text.p;
    const char *lon = r->values[PLACE_LON].d.text.p;
    if (r->region == 0) { /* a key that belongs to no region */
        reply_problem(r, OTK_FORBIDDEN, STR(""));
        return;
    }
    if (!r->values[PLACE_Q].s.given && !r->values[PLACE_LAT].d.given) {
        struct field_error none = { STR("q"), FE_REQUIRED, 0 };
        reply_invalid(r, &none, 1);
        return;
    }
    char region[12];
    snprintf(region, sizeof region, "%d", r->region);
    const char *by_name[] = { region, q, lat, lon, PLACES_MAX, lang };
    const char *by_point[] = { region, lat, lon, lang };
    enum otk_err err =
        r->values[PLACE_Q].s.given
            ? db_ask(r->service->db, QUERY_INTAKE_PLACES, by_name, on_places, r)
            : db_ask(r->service->db, QUERY_INTAKE_PLACES_NEAR, by_point, on_places, r);
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}
