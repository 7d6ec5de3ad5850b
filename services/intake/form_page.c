/* The form: shown, taken without JavaScript, shown again with what is wrong.
 *
 * A letter taken here goes the same way as one through the API. Its Idempotency-Key was made with
 * the page, so a second press of the button stores nothing twice. */
#include "page.h"

#include <stdio.h>
#include <yajl/yajl_tree.h>

#include "attach.h"
#include "ids.h"
#include "intake.h"
#include "intake_queries.h"
#include "language.h"
#include "problem.h"
#include "upload.h"

enum { F_FORM_KEY = SUBMISSION_FIELDS, FORM_FIELDS };

const struct field form_query_fields[] = { FIELD_END };

const struct field form_fields[] = {
    SUBMISSION_FIELD_ROWS,
    [F_FORM_KEY] = { .name = "idempotency_key", .type = FIELD_LINE, .required = 1, .max = 255 },
    FIELD_END,
};

/* What the inputs held, whether right or wrong: to show it again. Nobody types more than this by
 * hand, and a page of megabytes would use up the request's memory: what is longer is not shown. */
enum { SHOWN_TEXT_MAX = 50000, SHOWN_LINE_MAX = 1000 };
#define SHOWN(n, most)                                 \
    {                                                  \
        .name = (n), .type = FIELD_TEXT, .max = (most) \
    }
static const struct field echo_fields[] = {
    SHOWN("text", SHOWN_TEXT_MAX),
    SHOWN("theme", SHOWN_LINE_MAX),
    SHOWN("point.lat", SHOWN_LINE_MAX),
    SHOWN("point.lon", SHOWN_LINE_MAX),
    SHOWN("address", SHOWN_LINE_MAX),
    SHOWN("contact.name", SHOWN_LINE_MAX),
    SHOWN("contact.email", SHOWN_LINE_MAX),
    SHOWN("contact.phone", SHOWN_LINE_MAX),
    SHOWN("consent", SHOWN_LINE_MAX),
    SHOWN("channel", SHOWN_LINE_MAX),
    SHOWN("external_id", SHOWN_LINE_MAX),
    SHOWN("notify", SHOWN_LINE_MAX),
    SHOWN("public", SHOWN_LINE_MAX),
    SHOWN("idempotency_key", SHOWN_LINE_MAX),
    FIELD_END,
};
enum { ECHO_THEME = 1, ECHO_KEY = 13, ECHOES = 14 };

/* What a showing of the form needs, from ask to answer. */
struct form {
    int status;
    enum otk_err problem; /* of the whole request; OTK_OK: none */
    struct str detail;
    const struct field_errors *errors; /* NULL: none */
    union value echo[ECHOES];
};

/* REGION is form.sql's answer without its braces, or empty when the database is away. */
static struct str context_of(struct request *r, const struct form *f, struct str region)
{
    struct str none = { NULL, 0 }, values = STR(""), errors = STR("");
    for (int i = ECHOES - 1; i >= 0; i--) { /* the text last: each step copies what is there */
        if (f->echo[i].s.given &&
            page_member(r, &values, str_of(echo_fields[i].name), f->echo[i].s.text) != 0) {
            return none;
        }
    }
    for (size_t i = 0; f->errors != NULL && i < f->errors->n; i++) {
        const struct field_error *e = &f->errors->list[i];
        struct str text = field_error_text(r->arena, e, r->lang);
        if (text.p == NULL || page_member(r, &errors, e->field, text) != 0) {
            return none;
        }
    }
    char fresh[37];
    struct str key = f->echo[ECHO_KEY].s.text;
    /* A key that belongs to another letter, or can be none, would be refused each time. */
    if (!submission_key_good(key) || f->problem == OTK_KEY_REUSED) {
        if (uuid7(fresh, NULL) != 0) {
            return none;
        }
        key = (struct str){ fresh, 36 };
    }
    struct str common = page_common(r), quoted = page_string(r, key);
    struct str problem =
        f->problem == OTK_OK ? STR("null") : page_problem(r, f->problem, f->detail);
    if (common.p == NULL || quoted.p == NULL || problem.p == NULL) {
        return none;
    }
    return arena_printf(
        r->arena,
        "{%s,\"values\":{%s},\"error_for\":{%s},\"has_errors\":%s,\"idempotency_key\":%.*s,"
        "\"problem\":%s%s%.*s}",
        common.p, values.p, errors.p, errors.n > 0 ? "true" : "false", (int)quoted.n, quoted.p,
        problem.p, region.n > 0 ? "," : "", (int)region.n, region.p);
}

static void draw(struct request *r, const struct form *f, struct str region)
{
    page_draw(r, PAGE_FORM, f->status, context_of(r, f, region));
}

static void on_region(void *data, const struct db_result *result)
{
    struct request *r = data;
    struct form *f = r->state;
    struct str json = { "{}", 2 };
    if (result->err == OTK_OK && PQntuples(result->res) == 1) {
        json =
            (struct str){ PQgetvalue(result->res, 0, 0), (size_t)PQgetlength(result->res, 0, 0) };
    }
    draw(r, f, (struct str){ json.p + 1, json.n - 2 });
}

/* Shows the form; without themes when the database is away: what was written stays in any case. */
static void show(struct request *r, struct form *f)
{
    char region[12];
    snprintf(region, sizeof region, "%d", r->region);
    r->state = f;
    const char *params[] = { region, language_tag(r->lang),
                             f->echo[ECHO_THEME].s.given ? f->echo[ECHO_THEME].s.text.p : NULL };
    if (db_ask(r->service->db, QUERY_INTAKE_FORM, params, on_region, r) != OTK_OK) {
        draw(r, f, (struct str){ "", 0 });
    }
}

void form_show(struct request *r)
{
    struct form *f = arena_zero(r->arena, sizeof *f);
    if (f == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    f->status = 200;
    show(r, f);
}

/* A form with what the body held; NULL when memory is out. */
static struct form *form_of_body(struct request *r)
{
    struct form *f = arena_zero(r->arena, sizeof *f);
    struct field_errors *ignored = arena_zero(r->arena, sizeof *ignored);
    struct str no_detail;
    if (f == NULL || ignored == NULL ||
        fields_from_form(r->arena, echo_fields, r->body, f->echo, ignored, &no_detail, r->lang) ==
            OTK_INTERNAL) {
        return NULL;
    }
    return f;
}

/* Shows the form again with what the body held. */
static void show_again(struct request *r, enum otk_err err, struct str detail,
                       const struct field_errors *errors)
{
    struct form *f = form_of_body(r);
    if (f == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    f->status = problem_of(err)->status;
    f->errors = errors;
    if (err != OTK_INVALID) {
        f->problem = err;
        f->detail = detail;
    }
    show(r, f);
}

void form_invalid(struct request *r, enum otk_err err, struct str detail,
                  const struct field_errors *errors)
{
    show_again(r, err, detail, errors);
}

/* The database takes too long: an empty form needs nothing of it, a letter comes back with its key.
 */
int form_late(struct request *r, struct str *html)
{
    struct form *f = form_of_body(r);
    if (f == NULL) {
        return 0;
    }
    f->problem = r->method == METHOD_POST ? OTK_UNAVAILABLE : OTK_OK;
    f->status = f->problem == OTK_OK ? 200 : problem_of(f->problem)->status;
    *html = page_html(r, PAGE_FORM, context_of(r, f, (struct str){ "", 0 }));
    return html->p == NULL ? 0 : f->status;
}

/* The stored letter's own page. BODY is the answer of submit.sql. */
static void go_to_track(struct request *r, struct str body)
{
    char why[64];
    yajl_val tree = yajl_tree_parse(body.p, why, sizeof why);
    const char *track = tree == NULL
                            ? NULL
                            : YAJL_GET_STRING(yajl_tree_get(tree, (const char *[]){ "track", NULL },
                                                            yajl_t_string));
    struct str location = { NULL, 0 };
    if (track != NULL) {
        location = arena_printf(r->arena, "%s&new=1&lang=%s", track, language_tag(r->lang));
    }
    yajl_tree_free(tree);
    if (location.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    reply_header(r, "Cache-Control", STR("no-store"));
    reply_redirect(r, 303, location);
}

static void on_files(struct request *r, const struct attached *a)
{
    if (a->err == OTK_OK) {
        go_to_track(r, *(const struct str *)r->state);
    } else {
        show_again(r, a->err, STR(""), NULL);
    }
}

/* With the same key the letter is found again, and its files follow. */
static void store_files(struct request *r, struct str body)
{
    struct str *receipt = arena_zero(r->arena, sizeof *receipt);
    enum otk_err err = OTK_INTERNAL;
    if (receipt != NULL) {
        *receipt = body;
        r->state = receipt;
        err = attach_to_letter(r, body, on_files);
    }
    if (err != OTK_OK) {
        show_again(r, err, STR(""), NULL);
    }
}

static void on_done(struct submission *s, enum otk_err err, int status, struct str body,
                    const struct db_result *result)
{
    (void)result;
    struct request *r = s->request;
    if (err == OTK_OK) {
        if (upload_count(r) > 0) {
            store_files(r, body);
        } else {
            go_to_track(r, body);
        }
        return;
    }
    struct field_errors *errors = arena_zero(r->arena, sizeof *errors);
    if (errors != NULL && err == OTK_INVALID) {
        field_error_add(errors, STR("theme"), FE_NO_SUCH, 0);
    }
    show_again(r, err, submission_refusal(s, err, status, body), errors);
}

void form_take(struct request *r)
{
    struct field_errors *errors = arena_zero(r->arena, sizeof *errors);
    struct str key = r->values[F_FORM_KEY].s.text;
    if (errors == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    submission_check(r, errors);
    if (!submission_key_good(key)) {
        field_error_add(errors, STR("idempotency_key"), FE_FORM, 0);
    }
    if (errors->n > 0) {
        show_again(r, OTK_INVALID, STR(""), errors);
        return;
    }
    struct submission *s = r->region == 0 ? NULL : submission_make(r, key);
    if (s == NULL) {
        show_again(r, r->region == 0 ? OTK_FORBIDDEN : OTK_INTERNAL, STR(""), NULL);
        return;
    }
    s->done = on_done;
    batch_add(intake_of(r)->batch, s);
}
