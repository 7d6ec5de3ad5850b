/* The tracking page: asks for number and code, or shows the way of an appeal. */
#include "page.h"

#include "problem.h"
#include "track.h"

enum { F_NUMBER, F_CODE, F_NEW };

const struct field track_page_fields[] = {
    [F_NUMBER] = { .name = "number", .type = FIELD_LINE, .max = 40 },
    [F_CODE] = { .name = "code", .type = FIELD_LINE, .max = 40 },
    [F_NEW] = { .name = "new", .type = FIELD_LINE, .max = 8 },
    FIELD_END,
};

static int asked(const struct request *r)
{
    return r->values[F_NUMBER].s.given || r->values[F_CODE].s.given;
}

/* REGION and APPEAL are JSON or "null". .p is NULL when memory is out. */
static struct str context_of(struct request *r, int status, const char *region, const char *appeal,
                             struct str problem)
{
    int found = strcmp(appeal, "null") != 0;
    struct str common = page_common(r);
    struct str number = page_string(r, r->values[F_NUMBER].s.text);
    struct str code = page_string(r, r->values[F_CODE].s.text);
    if (common.p == NULL || number.p == NULL || code.p == NULL || problem.p == NULL) {
        return (struct str){ NULL, 0 };
    }
    return arena_printf(r->arena,
                        "{%s,\"region\":%s,\"asked\":%s,\"not_found\":%s,\"new\":%s,"
                        "\"number\":%.*s,\"code\":%.*s,\"problem\":%s,\"appeal\":%s}",
                        common.p, region, asked(r) ? "true" : "false",
                        status == 404 ? "true" : "false",
                        found && r->values[F_NEW].s.given ? "true" : "false", (int)number.n,
                        number.p, (int)code.n, code.p, problem.p, appeal);
}

static void draw(struct request *r, int status, const char *region, const char *appeal,
                 struct str problem)
{
    page_draw(r, PAGE_TRACK, status, context_of(r, status, region, appeal, problem));
}

static void draw_problem(struct request *r, enum otk_err err)
{
    draw(r, problem_of(err)->status, "null", "null", page_problem(r, err, STR("")));
}

static void on_found(void *data, const struct db_result *result)
{
    struct request *r = data;
    if (result->err != OTK_OK) {
        draw_problem(r, result->err);
        return;
    }
    int known = PQntuples(result->res) == 1;
    int found = known && !PQgetisnull(result->res, 0, TRACK_APPEAL);
    draw(r, !found && asked(r) ? 404 : 200,
         known ? PQgetvalue(result->res, 0, TRACK_REGION) : "null",
         found ? PQgetvalue(result->res, 0, TRACK_APPEAL) : "null", STR("null"));
}

void track_show(struct request *r)
{
    enum otk_err err =
        track_find(r, r->values[F_NUMBER].s.text, r->values[F_CODE].s.text, 1, on_found);
    if (err != OTK_OK) {
        draw_problem(r, err);
    }
}

/* An address that was mangled on its way, in a letter or by hand: what could be read of it is asked
 * for. */
void track_invalid(struct request *r, enum otk_err err, struct str detail,
                   const struct field_errors *errors)
{
    (void)err;
    (void)detail;
    (void)errors;
    track_show(r);
}

/* The database takes too long. */
int track_late(struct request *r, struct str *html)
{
    int status = problem_of(OTK_UNAVAILABLE)->status;
    *html =
        page_html(r, PAGE_TRACK,
                  context_of(r, status, "null", "null", page_problem(r, OTK_UNAVAILABLE, STR(""))));
    return html->p == NULL ? 0 : status;
}
