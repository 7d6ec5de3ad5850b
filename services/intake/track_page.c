/* The tracking page: asks for number and code, or shows the way of an appeal and takes the verdict
 * on its answer.
 *
 * A verdict goes the same way as one through the API. Its Idempotency-Key was made with the page,
 * so a second press of the button judges nothing twice. */
#include "page.h"

#include "ids.h"
#include "intake.h"
#include "language.h"
#include "problem.h"
#include "submission.h"
#include "track.h"
#include "verdict.h"

enum { F_NUMBER, F_CODE, F_NEW, F_THANKS };
enum { P_NUMBER = VERDICT_FIELDS, P_KEY }; /* of the form */

const struct field track_page_fields[] = {
    [F_NUMBER] = { .name = "number", .type = FIELD_LINE, .max = 40 },
    [F_CODE] = { .name = "code", .type = FIELD_LINE, .max = 40 },
    [F_NEW] = { .name = "new", .type = FIELD_LINE, .max = 8 },
    [F_THANKS] = { .name = "thanks", .type = FIELD_LINE, .max = 8 },
    FIELD_END,
};

const struct field track_form_fields[] = {
    VERDICT_FIELD_ROWS,
    [P_NUMBER] = { .name = "number", .type = FIELD_LINE, .required = 1, .max = 40 },
    [P_KEY] = { .name = "idempotency_key", .type = FIELD_LINE, .required = 1, .max = 255 },
    FIELD_END,
};

/* What was wrong with a verdict, while the page is made again; r->state of a POST. */
struct refused {
    enum otk_err err;
    const struct field_errors *errors; /* NULL: none */
};

static const union value *number_of(const struct request *r)
{
    return &r->values[r->method == METHOD_POST ? (int)P_NUMBER : (int)F_NUMBER];
}

static const union value *code_of(const struct request *r)
{
    return &r->values[r->method == METHOD_POST ? (int)V_CODE : (int)F_CODE];
}

static int asked(const struct request *r)
{
    return number_of(r)->s.given || code_of(r)->s.given;
}

static int is_wrong(const struct refused *refused, const char *field)
{
    for (size_t i = 0; refused->errors != NULL && i < refused->errors->n; i++) {
        if (str_eq(refused->errors->list[i].field, str_of(field))) {
            return 1;
        }
    }
    return 0;
}

/* "judging": what the form of the verdict holds and what is wrong with it. .p is NULL when memory
 * is out. */
static struct str judging_of(struct request *r)
{
    static const char *const truth[] = { "false", "true" };
    const struct refused none = { .err = OTK_OK }, *refused = r->state == NULL ? &none : r->state;
    int posted = r->method == METHOD_POST;
    const union value *v = r->values;
    struct str key = posted ? r->values[P_KEY].s.text : STR("");
    char fresh[37];
    if (!submission_key_good(key) || refused->err == OTK_KEY_REUSED) {
        if (uuid7(fresh, NULL) != 0) {
            return (struct str){ NULL, 0 };
        }
        key = (struct str){ fresh, 36 };
    }
    struct str quoted = page_string(r, key);
    struct str comment = page_string(r, posted ? v[V_COMMENT].s.text : (struct str){ NULL, 0 });
    struct str problem = refused->err == OTK_OK || refused->err == OTK_INVALID
                             ? STR("null")
                             : page_problem(r, refused->err, STR(""));
    if (quoted.p == NULL || comment.p == NULL || problem.p == NULL) {
        return quoted.p == NULL ? quoted : comment.p == NULL ? comment : problem;
    }
    int mark = posted && v[V_MARK].i.given ? (int)v[V_MARK].i.integer : 0;
    int solved = posted && v[V_SOLVED].s.given;
    int yes = solved && str_eq(v[V_SOLVED].s.text, STR("true"));
    return arena_printf(r->arena,
                        "{\"key\":%s,\"comment\":%s,\"mark_is\":{\"m%d\":true},\"yes\":%s,"
                        "\"no\":%s,\"mark_wrong\":%s,\"solved_wrong\":%s,\"comment_wrong\":%s,"
                        "\"wrong\":%s,\"refusal\":%s}",
                        quoted.p, comment.p, mark, truth[yes], truth[solved && !yes],
                        truth[is_wrong(refused, "mark")], truth[is_wrong(refused, "solved")],
                        truth[is_wrong(refused, "comment")], truth[refused->err != OTK_OK],
                        problem.p);
}

/* REGION and APPEAL are JSON or "null". .p is NULL when memory is out. */
static struct str context_of(struct request *r, int status, const char *region, const char *appeal,
                             struct str problem)
{
    int found = strcmp(appeal, "null") != 0, shown = found && r->method != METHOD_POST;
    struct str common = page_common(r), judging = judging_of(r);
    struct str number = page_string(r, number_of(r)->s.text);
    struct str code = page_string(r, code_of(r)->s.text);
    if (common.p == NULL || judging.p == NULL || number.p == NULL || code.p == NULL ||
        problem.p == NULL) {
        return (struct str){ NULL, 0 };
    }
    return arena_printf(r->arena,
                        "{%s,\"region\":%s,\"asked\":%s,\"not_found\":%s,\"new\":%s,"
                        "\"thanks\":%s,\"judging\":%s,"
                        "\"number\":%.*s,\"code\":%.*s,\"problem\":%s,\"appeal\":%s}",
                        common.p, region, asked(r) ? "true" : "false",
                        !found && status == 404 ? "true" : "false",
                        shown && r->values[F_NEW].s.given ? "true" : "false",
                        shown && r->values[F_THANKS].s.given ? "true" : "false", judging.p,
                        (int)number.n, number.p, (int)code.n, code.p, problem.p, appeal);
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
    const struct refused *refused = r->state;
    if (result->err != OTK_OK) {
        draw_problem(r, result->err);
        return;
    }
    int known = PQntuples(result->res) == 1;
    int found = known && !PQgetisnull(result->res, 0, TRACK_APPEAL);
    int status = !found && asked(r) ? 404
                 : refused == NULL  ? 200
                                    : problem_of(refused->err)->status;
    draw(r, status, known ? PQgetvalue(result->res, 0, TRACK_REGION) : "null",
         found ? PQgetvalue(result->res, 0, TRACK_APPEAL) : "null", STR("null"));
}

void track_show(struct request *r)
{
    enum otk_err err = track_find(r, number_of(r)->s.text, code_of(r)->s.text, 1, on_found);
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

/* ---- the verdict */

/* The page once more, with what was wrong. */
static void show_again(struct request *r, enum otk_err err, const struct field_errors *errors)
{
    struct refused *refused = arena_zero(r->arena, sizeof *refused);
    if (refused == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    *refused = (struct refused){ err, errors };
    r->state = refused;
    track_show(r);
}

void track_form_invalid(struct request *r, enum otk_err err, struct str detail,
                        const struct field_errors *errors)
{
    (void)detail;
    show_again(r, err, errors);
}

/* The page is shown by an address of its own: to load it again judges nothing. */
static void on_judged(struct request *r, const struct judged *j)
{
    if (j->err != OTK_OK) {
        show_again(r, j->err, NULL);
        return;
    }
    struct number number;
    if (number_parse(number_of(r)->s.text, &number) != 0) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    /* The code is one: letters, digits, blanks and dashes. */
    struct str code = arena_dup(r->arena, code_of(r)->s.text);
    for (char *p = (char *)code.p; p != NULL && *p != '\0'; p++) {
        *p = *p == ' ' ? '-' : *p;
    }
    struct str location = { NULL, 0 };
    if (code.p != NULL) {
        location = arena_printf(r->arena, "/track?number=%s&code=%s&thanks=1&lang=%s", number.text,
                                code.p, language_tag(r->lang));
    }
    if (location.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    reply_header(r, "Cache-Control", STR("no-store"));
    reply_redirect(r, 303, location);
}

void track_judge(struct request *r)
{
    struct str key = r->values[P_KEY].s.text;
    enum otk_err err = OTK_KEY_MISSING;
    if (submission_key_good(key)) {
        err = verdict_store(r, number_of(r)->s.text, key, on_judged);
    }
    if (err != OTK_OK) {
        show_again(r, err, NULL);
    }
}
