/* GET /api/v1/reports/summary: how many appeals came, by theme, group, body, municipality or day.
 */
#include "summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "language.h"
#include "reporting_queries.h"

enum { F_BY, F_FROM, F_TO, F_FORMAT };
enum { YEARS_MAX = 5 };

static const char *const bys[] = { "theme", "group", "body", "municipality", "day", NULL };
static const char *const formats[] = { "json", "csv", NULL };

const struct field summary_fields[] = {
    [F_BY] = { .name = "by", .type = FIELD_ENUM, .options = bys },
    [F_FROM] = { .name = "from", .type = FIELD_DATE },
    [F_TO] = { .name = "to", .type = FIELD_DATE },
    [F_FORMAT] = { .name = "format", .type = FIELD_ENUM, .options = formats },
    FIELD_END,
};

/* Both YYYY-MM-DD, FROM not after TO: the year apart, dates of this form sort as text. */
static int is_too_long(const char *from, const char *to)
{
    long years = strtol(to, NULL, 10) - strtol(from, NULL, 10);
    return years > YEARS_MAX || (years == YEARS_MAX && strcmp(to + 4, from + 4) > 0);
}

static void check_span(const struct request *r, struct field_errors *errors)
{
    const union value *from = &r->values[F_FROM], *to = &r->values[F_TO];
    if (!from->s.given) { /* then it is thirty days */
        return;
    }
    char today[16];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(today, sizeof today, "%Y-%m-%d", &utc);
    const char *first = from->s.text.p, *last = to->s.given ? to->s.text.p : today;
    if (to->s.given && strcmp(first, last) > 0) {
        field_error_add(errors, STR("from"), FE_ORDER, 0);
        field_error_add(errors, STR("to"), FE_ORDER, 0);
    } else if (is_too_long(first, last)) {
        field_error_add(errors, STR("from"), FE_SPAN, 0);
        if (to->s.given) {
            field_error_add(errors, STR("to"), FE_SPAN, 0);
        }
    }
}

static int accepts(const struct request *r, const char *type)
{
    return memmem(r->accept.p, r->accept.n, type, strlen(type)) != NULL;
}

/* By ?format=, else by Accept: who takes both gets JSON. */
static int wants_csv(const struct request *r)
{
    if (r->values[F_FORMAT].e.given) {
        return strcmp(r->values[F_FORMAT].e.text.p, "csv") == 0;
    }
    return accepts(r, "text/csv") && !accepts(r, "application/json");
}

static void on_summary(void *data, const struct db_result *result)
{
    struct request *r = data;
    if (result->err != OTK_OK) {
        reply_db_problem(r, result);
        return;
    }
    if (PQntuples(result->res) == 0) { /* a region that there is not */
        reply_problem(r, OTK_FORBIDDEN, STR(""));
        return;
    }
    int csv = wants_csv(r);
    struct str report =
        arena_printf(r->arena, "%s%s", PQgetvalue(result->res, 0, 0), csv ? "" : "\n");
    if (report.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    reply_header(r, "Cache-Control", STR("no-store"));
    reply_header(r, "Content-Language", str_of(language_tag(r->lang)));
    if (csv) {
        reply_header(r, "Content-Disposition", STR("attachment; filename=\"summary.csv\""));
        reply(r, 200, "text/csv; charset=utf-8; header=present", report);
    } else {
        reply_json(r, 200, report);
    }
}

static const char *text_of(const union value *v, const char *otherwise)
{
    return v->s.given ? v->s.text.p : otherwise;
}

void summary_ask(struct request *r)
{
    struct field_errors *errors = arena_zero(r->arena, sizeof *errors);
    if (errors == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    check_span(r, errors);
    if (errors->n > 0) {
        reply_invalid(r, errors->list, errors->n);
        return;
    }
    char region[12];
    snprintf(region, sizeof region, "%d", r->region);
    const char *params[] = { region,
                             text_of(&r->values[F_FROM], NULL),
                             text_of(&r->values[F_TO], NULL),
                             text_of(&r->values[F_BY], "theme"),
                             language_tag(r->lang),
                             wants_csv(r) ? "csv" : "json" };
    enum otk_err err = db_ask(r->service->db, QUERY_REPORTING_SUMMARY, params, on_summary, r);
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}
