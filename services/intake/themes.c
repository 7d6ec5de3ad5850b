/* GET /api/v1/themes: what a letter may be about. */
#include "themes.h"

#include <stdio.h>

#include "ids.h"
#include "intake_queries.h"
#include "language.h"

static void on_themes(void *data, const struct db_result *result)
{
    struct request *r = data;
    if (result->err != OTK_OK) {
        reply_db_problem(r, result);
        return;
    }
    struct str json = arena_printf(r->arena, "%s\n", PQgetvalue(result->res, 0, 0));
    char digest[67];
    sha256_bytea(json, digest);
    struct str etag = arena_printf(r->arena, "\"%.32s\"", digest + 2);
    if (json.p == NULL || etag.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    reply_header(r, "Cache-Control", STR("private, max-age=60"));
    reply_header(r, "Vary", STR("Accept-Language, Cookie, X-Api-Key"));
    reply_header(r, "Content-Language", str_of(language_tag(r->lang)));
    reply_header(r, "ETag", etag);
    if (r->if_none_match.n > 0 &&
        memmem(r->if_none_match.p, r->if_none_match.n, etag.p, etag.n) != NULL) {
        reply(r, 304, NULL, STR(""));
        return;
    }
    reply_json(r, 200, json);
}

void themes_ask(struct request *r)
{
    if (r->region == 0) { /* a key that belongs to no region */
        reply_problem(r, OTK_FORBIDDEN, STR(""));
        return;
    }
    char region[12];
    snprintf(region, sizeof region, "%d", r->region);
    const char *params[] = { region, language_tag(r->lang) };
    enum otk_err err = db_ask(r->service->db, QUERY_INTAKE_THEMES, params, on_themes, r);
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}
