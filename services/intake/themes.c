/* GET /api/v1/themes: what a letter may be about. */
#include "themes.h"

#include <stdio.h>

#include "intake_queries.h"
#include "language.h"
#include "tagged.h"

enum { KEPT_S = 60 };

static void on_themes(void *data, const struct db_result *result)
{
    reply_tagged(data, result, KEPT_S);
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
