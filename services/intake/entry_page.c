/* /desk/entry: the registrar's page.
 *
 * Who has a session (a token in a cookie) sends its form to itself. Who has a key gives it to the
 * page's script, which sends the same letter to the API. */
#include "page.h"

#include <stdio.h>
#include <yajl/yajl_tree.h>

#include "entry.h"
#include "ids.h"
#include "intake.h"
#include "intake_queries.h"
#include "language.h"
#include "problem.h"

enum { F_PAGE_KEY = ENTRY_FIELDS };

const struct field entry_page_fields[] = {
    SUBMISSION_FIELD_ROWS,
    ENTRY_FIELD_ROWS,
    [F_PAGE_KEY] = { .name = "idempotency_key", .type = FIELD_LINE, .required = 1, .max = 255 },
    FIELD_END,
};

/* What the inputs held, right or wrong. The first ones stay for the next letter. */
enum {
    ECHO_SOURCE,
    ECHO_EVENT_NAME,
    ECHO_EVENT_AT,
    ECHO_EVENT_PLACE,
    ECHO_STAYS, /* how many stay */
    ECHO_KEY = ECHO_STAYS,
    ECHO_THEME,
    ECHO_TEXT,
    ECHOES = ECHO_TEXT + 12
};
enum { SHOWN_TEXT_MAX = 50000, SHOWN_LINE_MAX = 1000 };
#define SHOWN(n, most)                                 \
    {                                                  \
        .name = (n), .type = FIELD_TEXT, .max = (most) \
    }
static const struct field echo_fields[] = {
    [ECHO_SOURCE] = SHOWN("source", SHOWN_LINE_MAX),
    [ECHO_EVENT_NAME] = SHOWN("event.name", SHOWN_LINE_MAX),
    [ECHO_EVENT_AT] = SHOWN("event.at", SHOWN_LINE_MAX),
    [ECHO_EVENT_PLACE] = SHOWN("event.place", SHOWN_LINE_MAX),
    [ECHO_KEY] = SHOWN("idempotency_key", SHOWN_LINE_MAX),
    [ECHO_THEME] = SHOWN("theme", SHOWN_LINE_MAX),
    [ECHO_TEXT] = SHOWN("text", SHOWN_TEXT_MAX),
    [ECHO_TEXT + 1] = SHOWN("point.lat", SHOWN_LINE_MAX),
    [ECHO_TEXT + 2] = SHOWN("point.lon", SHOWN_LINE_MAX),
    [ECHO_TEXT + 3] = SHOWN("address", SHOWN_LINE_MAX),
    [ECHO_TEXT + 4] = SHOWN("contact.name", SHOWN_LINE_MAX),
    [ECHO_TEXT + 5] = SHOWN("contact.email", SHOWN_LINE_MAX),
    [ECHO_TEXT + 6] = SHOWN("contact.phone", SHOWN_LINE_MAX),
    [ECHO_TEXT + 7] = SHOWN("consent", SHOWN_LINE_MAX),
    [ECHO_TEXT + 8] = SHOWN("notify", SHOWN_LINE_MAX),
    [ECHO_TEXT + 9] = SHOWN("received_at", SHOWN_LINE_MAX),
    [ECHO_TEXT + 10] = SHOWN("legal_class", SHOWN_LINE_MAX),
    [ECHO_TEXT + 11] = SHOWN("public", SHOWN_LINE_MAX),
    [ECHOES] = FIELD_END,
};

/* A showing of the page, from ask to answer. */
struct showing {
    int status;
    enum otk_err problem; /* of the whole request; OTK_OK: none */
    const struct field_errors *errors;
    struct str receipt; /* the answer of submit.sql, or .p NULL */
    union value echo[ECHOES];
};

static int may_enter(const struct request *r)
{
    return (r->roles & ENTRY_ROLES) != 0;
}

static struct str key_of(struct request *r, const struct showing *w)
{
    char fresh[37];
    struct str key = w->echo[ECHO_KEY].s.text;
    if (w->receipt.p == NULL && w->problem != OTK_KEY_REUSED && submission_key_good(key)) {
        return key;
    }
    return uuid7(fresh, NULL) == 0 ? arena_dup(r->arena, str_of(fresh)) : (struct str){ NULL, 0 };
}

/* The source that is chosen, as {"meeting":true}: radio buttons ask for each by its name. */
static struct str source_of(struct request *r, const struct showing *w)
{
    for (int i = 0; entry_sources[i] != NULL; i++) {
        if (str_eq(w->echo[ECHO_SOURCE].s.text, str_of(entry_sources[i]))) {
            return arena_printf(r->arena, "{\"%s\":true}", entry_sources[i]);
        }
    }
    return STR("{}");
}

/* REGION is form.sql's answer without its braces, or empty when the database is away. */
static struct str context_of(struct request *r, const struct showing *w, struct str region)
{
    struct str none = { NULL, 0 }, values = STR(""), errors = STR("");
    for (int i = w->receipt.p != NULL ? ECHO_STAYS - 1 : ECHOES - 1; i >= 0; i--) {
        if (w->echo[i].s.given &&
            page_member(r, &values, str_of(echo_fields[i].name), w->echo[i].s.text) != 0) {
            return none;
        }
    }
    for (size_t i = 0; w->errors != NULL && i < w->errors->n; i++) {
        const struct field_error *e = &w->errors->list[i];
        struct str text = field_error_text(r->arena, e, r->lang);
        if (text.p == NULL || page_member(r, &errors, e->field, text) != 0) {
            return none;
        }
    }
    struct str common = page_common(r), source = source_of(r, w), key = key_of(r, w);
    struct str quoted = key.p == NULL ? key : page_string(r, key);
    struct str problem = w->problem == OTK_OK ? STR("null") : page_problem(r, w->problem, STR(""));
    struct str receipt = w->receipt.p == NULL ? STR("null") : w->receipt;
    if (common.p == NULL || source.p == NULL || quoted.p == NULL || problem.p == NULL) {
        return none;
    }
    return arena_printf(
        r->arena,
        "{%s,\"values\":{%s},\"error_for\":{%s},\"has_errors\":%s,\"idempotency_key\":%.*s,"
        "\"source\":%s,\"signed\":%s,\"receipt\":%.*s,\"problem\":%.*s%s%.*s}",
        common.p, values.p, errors.p, errors.n > 0 ? "true" : "false", (int)quoted.n, quoted.p,
        source.p, may_enter(r) ? "true" : "false", (int)receipt.n, receipt.p, (int)problem.n,
        problem.p, region.n > 0 ? "," : "", (int)region.n, region.p);
}

static void on_region(void *data, const struct db_result *result)
{
    struct request *r = data;
    const struct showing *w = r->state;
    struct str json = STR("{}");
    if (result->err == OTK_OK && PQntuples(result->res) == 1) {
        json = db_cell(result->res, 0, 0);
    }
    page_draw(r, PAGE_ENTRY, w->status, context_of(r, w, (struct str){ json.p + 1, json.n - 2 }));
}

static void show(struct request *r, struct showing *w)
{
    char region[12];
    snprintf(region, sizeof region, "%d", r->region);
    r->state = w;
    int chosen = w->receipt.p == NULL && w->echo[ECHO_THEME].s.given;
    const char *params[] = { region, language_tag(r->lang),
                             chosen ? w->echo[ECHO_THEME].s.text.p : NULL };
    if (db_ask(r->service->db, QUERY_INTAKE_FORM, params, on_region, r) != OTK_OK) {
        page_draw(r, PAGE_ENTRY, w->status, context_of(r, w, (struct str){ "", 0 }));
    }
}

void entry_show(struct request *r)
{
    struct showing *w = arena_zero(r->arena, sizeof *w);
    if (w == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    w->status = 200;
    show(r, w);
}

/* With what the body held; NULL when memory is out. */
static struct showing *showing_of_body(struct request *r)
{
    struct showing *w = arena_zero(r->arena, sizeof *w);
    struct field_errors *ignored = arena_zero(r->arena, sizeof *ignored);
    struct str no_detail;
    if (w == NULL || ignored == NULL ||
        fields_from_form(r->arena, echo_fields, r->body, w->echo, ignored, &no_detail, r->lang) ==
            OTK_INTERNAL) {
        return NULL;
    }
    return w;
}

static void show_again(struct request *r, enum otk_err err, const struct field_errors *errors)
{
    struct showing *w = showing_of_body(r);
    if (w == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    w->status = problem_of(err)->status;
    w->errors = errors;
    w->problem = err == OTK_INVALID ? OTK_OK : err;
    show(r, w);
}

void entry_page_invalid(struct request *r, enum otk_err err, struct str detail,
                        const struct field_errors *errors)
{
    (void)detail;
    show_again(r, err, errors);
}

int entry_page_late(struct request *r, struct str *html)
{
    struct showing *w = showing_of_body(r);
    if (w == NULL) {
        return 0;
    }
    w->problem = r->method == METHOD_POST ? OTK_UNAVAILABLE : OTK_OK;
    w->status = w->problem == OTK_OK ? 200 : problem_of(w->problem)->status;
    *html = page_html(r, PAGE_ENTRY, context_of(r, w, (struct str){ "", 0 }));
    return html->p == NULL ? 0 : w->status;
}

/* The receipt stands above an empty form: whoever reloads the page sends the same letter with the
 * same key, and gets the same receipt. */
static void on_done(struct submission *s, enum otk_err err, int status, struct str body,
                    const struct db_result *result)
{
    (void)result;
    struct request *r = s->request;
    struct field_errors *errors = arena_zero(r->arena, sizeof *errors);
    struct showing *w = err == OTK_OK ? showing_of_body(r) : NULL;
    if (w != NULL) {
        w->status = status;
        w->receipt = body;
        show(r, w);
        return;
    }
    if (errors != NULL && err == OTK_INVALID) {
        field_error_add(errors, STR("theme"), FE_NO_SUCH, 0);
    }
    show_again(r, err == OTK_OK ? OTK_INTERNAL : err, errors);
}

void entry_page_take(struct request *r)
{
    static const struct entry_door door = { show_again, on_done };
    struct str key = r->values[F_PAGE_KEY].s.text;
    if (!may_enter(r)) {
        show_again(r, OTK_FORBIDDEN, NULL);
    } else if (!submission_key_good(key)) {
        show_again(r, OTK_KEY_MISSING, NULL);
    } else {
        entry_take(r, key, &door);
    }
}
