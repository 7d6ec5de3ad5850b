/* GET /api/v1/appeals/{number}?code=: the way of one appeal.
 *
 * An unknown number, a wrong code and a number with a typing error get the same answer: nobody
 * learns which appeals exist. */
#include "track.h"

#include <stdio.h>

#include "ids.h"
#include "intake_queries.h"
#include "language.h"

enum { F_CODE };

const struct field track_fields[] = {
    [F_CODE] = { .name = "code", .type = FIELD_LINE, .required = 1, .min = 1, .max = 40 },
    FIELD_END,
};

enum otk_err track_find(struct request *r, struct str number, struct str code, int for_page,
                        db_callback done)
{
    struct number parsed = { .region = r->region };
    char digest[67] = "", region[12];
    if (number_parse(number, &parsed) != 0 || access_code_digest(code, digest) != 0) {
        parsed = (struct number){ .region = r->region };
        snprintf(digest, sizeof digest, "\\x");
    }
    snprintf(region, sizeof region, "%d", parsed.region);
    const char *params[] = { region, parsed.text, digest, language_tag(r->lang),
                             for_page ? "true" : "false" };
    return db_ask(r->service->db, QUERY_INTAKE_TRACK, params, done, r);
}

static void on_found(void *data, const struct db_result *result)
{
    struct request *r = data;
    if (result->err != OTK_OK) {
        reply_db_problem(r, result);
        return;
    }
    if (PQntuples(result->res) == 0 || PQgetisnull(result->res, 0, TRACK_APPEAL)) {
        reply_problem(r, OTK_NOT_FOUND, STR(""));
        return;
    }
    struct str json = arena_printf(r->arena, "%s\n", PQgetvalue(result->res, 0, TRACK_APPEAL));
    if (json.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    reply_header(r, "Cache-Control", STR("no-store"));
    reply_header(r, "Content-Language", str_of(language_tag(r->lang)));
    reply_json(r, 200, json);
}

void track_ask(struct request *r)
{
    enum otk_err err = track_find(r, r->path_arg, r->values[F_CODE].s.text, 0, on_found);
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}
