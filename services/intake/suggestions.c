/* POST /api/v1/suggestions: what a draft is about, and who has written of it already.
 *
 * The themes are found here, by the keywords that routing uses; the appeals nearby by the database.
 * Without a point, the one of the street or house that the typed address names is taken. Nothing is
 * kept. */
#include "suggestions.h"

#include <inttypes.h>
#include <stdio.h>
#include <yajl/yajl_tree.h>

#include "intake.h"
#include "intake_queries.h"
#include "language.h"
#include "theme_words.h"
#include "wall.h"

enum { THEMES_MAX = 3, NUMBER = 32 };

/* How far an appeal may be: from a point, and from a street, of which only the middle is known. */
#define NEAR_POINT_M "200"
#define NEAR_STREET_M "400"

enum { DRAFT_TEXT, DRAFT_THEME, DRAFT_LAT, DRAFT_LON, DRAFT_ADDRESS };

const struct field suggestions_fields[] = {
    [DRAFT_TEXT] = { .name = "text", .type = FIELD_TEXT, .required = 1, .min = 1, .max = 10000 },
    [DRAFT_THEME] = { .name = "theme", .type = FIELD_LINE, .min = 1, .max = 64 },
    [DRAFT_LAT] = { .name = "point.lat",
                    .type = FIELD_NUMBER,
                    .min = -90,
                    .max = 90,
                    .together = "point.lon" },
    [DRAFT_LON] = { .name = "point.lon",
                    .type = FIELD_NUMBER,
                    .min = -180,
                    .max = 180,
                    .together = "point.lat" },
    [DRAFT_ADDRESS] = { .name = "address", .type = FIELD_LINE, .min = 1, .max = 300 },
    FIELD_END,
};

/* r->state */
struct draft {
    struct str themes; /* JSON */
    char region[12];
    char theme[12]; /* id of the chosen one, else of the best; "": none */
    char lat[NUMBER], lon[NUMBER];
    const char *radius;
};

static void answer(struct request *r, struct str near)
{
    const struct draft *d = r->state;
    struct str json = arena_printf(r->arena, "{\"themes\":%.*s,\"near\":%.*s}\n", (int)d->themes.n,
                                   d->themes.p, (int)near.n, near.p);
    if (json.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    reply_header(r, "Cache-Control", STR("no-store"));
    reply_header(r, "Content-Language", str_of(language_tag(r->lang)));
    reply_json(r, 200, json);
}

/* ---- appeals nearby */

static void on_near(void *data, const struct db_result *result)
{
    struct request *r = data;
    if (result->err != OTK_OK) {
        reply_db_problem(r, result);
        return;
    }
    answer(r, db_cell(result->res, 0, 0));
}

static void look_near(struct request *r)
{
    const struct draft *d = r->state;
    char now_us[NUMBER];
    snprintf(now_us, sizeof now_us, "%" PRId64, wall_us());
    const char *params[] = { d->region,
                             r->values[DRAFT_TEXT].s.text.p,
                             d->theme[0] == '\0' ? NULL : d->theme,
                             d->lat,
                             d->lon,
                             d->radius,
                             now_us,
                             language_tag(r->lang) };
    enum otk_err err = db_ask(r->service->db, QUERY_INTAKE_NEAR, params, on_near, r);
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}

/* ---- where */

/* Takes the point of a street or house out of PLACES, the answer of places.sql. 1 if it has one. */
static int take_place(struct draft *d, const char *places)
{
    static const char *const first[] = { "places", NULL }, *const kind[] = { "kind", NULL };
    static const char *const lat[] = { "lat", NULL }, *const lon[] = { "lon", NULL };
    char why[64];
    int found = 0;
    yajl_val tree = yajl_tree_parse(places, why, sizeof why);
    yajl_val list = tree == NULL ? NULL : yajl_tree_get(tree, (const char **)first, yajl_t_array);
    if (list != NULL && list->u.array.len > 0) {
        yajl_val place = list->u.array.values[0];
        const char *is = YAJL_GET_STRING(yajl_tree_get(place, (const char **)kind, yajl_t_string));
        yajl_val y = yajl_tree_get(place, (const char **)lat, yajl_t_number);
        yajl_val x = yajl_tree_get(place, (const char **)lon, yajl_t_number);
        int house = is != NULL && strcmp(is, "house") == 0;
        found = (house || (is != NULL && strcmp(is, "street") == 0)) && y != NULL && x != NULL;
        if (found) {
            snprintf(d->lat, sizeof d->lat, "%s", YAJL_GET_NUMBER(y));
            snprintf(d->lon, sizeof d->lon, "%s", YAJL_GET_NUMBER(x));
            d->radius = house ? NEAR_POINT_M : NEAR_STREET_M;
        }
    }
    yajl_tree_free(tree);
    return found;
}

static void on_place(void *data, const struct db_result *result)
{
    struct request *r = data;
    if (result->err != OTK_OK) {
        reply_db_problem(r, result);
    } else if (take_place(r->state, PQgetvalue(result->res, 0, 0))) {
        look_near(r);
    } else {
        answer(r, STR("[]"));
    }
}

static void locate(struct request *r)
{
    struct draft *d = r->state;
    if (r->values[DRAFT_LAT].d.given) {
        snprintf(d->lat, sizeof d->lat, "%.10g", r->values[DRAFT_LAT].d.number);
        snprintf(d->lon, sizeof d->lon, "%.10g", r->values[DRAFT_LON].d.number);
        d->radius = NEAR_POINT_M;
        look_near(r);
    } else if (r->values[DRAFT_ADDRESS].s.given) {
        const char *params[] = { d->region, r->values[DRAFT_ADDRESS].s.text.p,
                                 NULL,      NULL,
                                 "1",       language_tag(r->lang) };
        enum otk_err err = db_ask(r->service->db, QUERY_INTAKE_PLACES, params, on_place, r);
        if (err != OTK_OK) {
            reply_problem(r, err, STR(""));
        }
    } else {
        answer(r, STR("[]"));
    }
}

/* ---- about what */

/* The themes whose keywords stand in the text as JSON; *best is the first one's id, or 0. .p is
 * NULL when memory is out. */
static struct str rank(struct request *r, const struct known_themes *known, int32_t *best)
{
    struct theme_share found[THEMES_MAX];
    size_t n = theme_rank(known->index, r->values[DRAFT_TEXT].s.text, found, THEMES_MAX);
    struct str json = STR("[");
    *best = n > 0 ? found[0].theme_id : 0;
    for (size_t i = 0; i < n && json.p != NULL; i++) {
        const struct known_theme *t = theme_by_id(known, found[i].theme_id);
        if (t != NULL) {
            struct str shown = t->shown[r->lang];
            json = arena_printf(r->arena, "%.*s%s%.*s,\"score\":%.2f}", (int)json.n, json.p,
                                i > 0 ? "," : "", (int)shown.n - 1, shown.p, found[i].share);
        }
    }
    return json.p == NULL ? json : arena_printf(r->arena, "%.*s]", (int)json.n, json.p);
}

static void on_themes(struct request *r, const struct known_themes *known)
{
    struct draft *d = r->state;
    int32_t theme;
    d->themes = rank(r, known, &theme);
    if (d->themes.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    if (r->values[DRAFT_THEME].s.given) {
        const struct known_theme *chosen = theme_by_code(known, r->values[DRAFT_THEME].s.text);
        if (chosen == NULL) {
            struct field_error unknown = { STR("theme"), FE_NO_SUCH, 0 };
            reply_invalid(r, &unknown, 1);
            return;
        }
        theme = chosen->id;
    }
    if (theme != 0) {
        snprintf(d->theme, sizeof d->theme, "%" PRId32, theme);
    }
    locate(r);
}

void suggestions_ask(struct request *r)
{
    struct draft *d = arena_zero(r->arena, sizeof *d);
    if (d == NULL || r->region == 0) { /* 0: a key that belongs to no region */
        reply_problem(r, d == NULL ? OTK_INTERNAL : OTK_FORBIDDEN, STR(""));
        return;
    }
    snprintf(d->region, sizeof d->region, "%d", r->region);
    r->state = d;
    theme_words_get(intake_of(r)->themes, r, on_themes);
}
