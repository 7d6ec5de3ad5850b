/* Who wants notices.
 *
 * Nobody can have letters sent to somebody else: an address that is typed here gets one, which
 * asks; only its link, which only the letter has, makes more of it. An answer says the same whether
 * the address was known or not. A link asks by a page with a button, since mail programs and
 * scanners open links by themselves; the one click of RFC 8058 is a POST already. */
#include "notices.h"

#include <inttypes.h>
#include <stdio.h>
#include <ctype.h>

#include "ids.h"
#include "intake.h"
#include "intake_queries.h"
#include "language.h"
#include "page.h"
#include "problem.h"
#include "wall.h"

enum { ADDRESSES_MAX = 5 /* of an appeal, besides the one in the letter */, UUID = 36 };

enum { F_ASKED_CODE, F_ASKED_EMAIL, F_ASKED_CONSENT, F_ASKED_NUMBER };
#define NOTICE_FIELDS                                                                            \
    [F_ASKED_CODE] = { .name = "code", .type = FIELD_LINE, .required = 1, .min = 1, .max = 40 }, \
    [F_ASKED_EMAIL] = { .name = "email",                                                         \
                        .type = FIELD_EMAIL,                                                     \
                        .required = 1,                                                           \
                        .min = 1,                                                                \
                        .max = 254 },                                                            \
    [F_ASKED_CONSENT] = {                                                                        \
        .name = "consent", .type = FIELD_LINE, .required = 1, .min = 1, .max = 32                \
    }

const struct field notices_fields[] = { NOTICE_FIELDS, FIELD_END };
const struct field notices_form_fields[] = {
    NOTICE_FIELDS,
    [F_ASKED_NUMBER] = { .name = "number", .type = FIELD_LINE, .required = 1, .max = 40 },
    FIELD_END,
};

enum { F_LINK_NUMBER, F_LINK_ID, F_LINK_KEY };
const struct field notice_link_fields[] = {
    [F_LINK_NUMBER] = { .name = "number", .type = FIELD_LINE, .required = 1, .max = 40 },
    [F_LINK_ID] = { .name = "s", .type = FIELD_LINE, .required = 1, .max = 40 },
    [F_LINK_KEY] = { .name = "key", .type = FIELD_LINE, .required = 1, .max = 40 },
    FIELD_END,
};

/* Columns of subscription.sql. */
enum { C_REGION, C_STATE, C_AUTHOR };

/* ---- asking for notices */

/* Small letters: the same address is asked once. */
static struct str folded(struct request *r, struct str address)
{
    struct str copy = arena_dup(r->arena, address);
    for (size_t i = 0; copy.p != NULL && i < copy.n; i++) {
        ((char *)copy.p)[i] = (char)tolower((unsigned char)copy.p[i]); /* ours since arena_dup */
    }
    return copy;
}

static enum otk_err subscribe(struct request *r, struct str number, db_callback done)
{
    struct intake *intake = intake_of(r);
    struct number parsed;
    struct str address = folded(r, r->values[F_ASKED_EMAIL].s.text);
    char digest[67], id[UUID + 1], region[12], now[24], most[12];
    if (!intake->notices || number_parse(number, &parsed) != 0 ||
        access_code_digest(r->values[F_ASKED_CODE].s.text, digest) != 0) {
        return OTK_NOT_FOUND;
    }
    if (address.p == NULL ||
        notice_id(intake->notice_secret, str_of(parsed.text), address, id) != 0) {
        return OTK_INTERNAL;
    }
    snprintf(region, sizeof region, "%d", parsed.region);
    snprintf(now, sizeof now, "%" PRId64, wall_us());
    snprintf(most, sizeof most, "%d", ADDRESSES_MAX);
    const char *params[] = { region,
                             parsed.text,
                             digest,
                             id,
                             r->values[F_ASKED_EMAIL].s.text.p,
                             language_tag(r->lang),
                             now,
                             r->values[F_ASKED_CONSENT].s.text.p,
                             most };
    return db_ask(r->service->db, QUERY_INTAKE_SUBSCRIBE, params, done, r);
}

/* What subscribe.sql says: OTK_OK, or how to refuse. */
static enum otk_err outcome_of(const struct db_result *result, struct field_errors *errors)
{
    const char *outcome = result->err == OTK_OK ? PQgetvalue(result->res, 0, 0) : "";
    if (result->err != OTK_OK) {
        return result->err;
    }
    if (strcmp(outcome, "full") == 0) {
        field_error_add(errors, STR("email"), FE_NOT_ALLOWED, 0);
        return OTK_INVALID;
    }
    return strcmp(outcome, "asked") == 0 ? OTK_OK : OTK_NOT_FOUND;
}

static void on_subscribed(void *data, const struct db_result *result)
{
    struct request *r = data;
    struct field_errors errors = { .n = 0 };
    enum otk_err err = outcome_of(result, &errors);
    if (err == OTK_OK) {
        reply_header(r, "Cache-Control", STR("no-store"));
        reply_json(r, 202, STR("{\"state\":\"pending\"}\n"));
    } else if (result->err != OTK_OK) {
        reply_db_problem(r, result);
    } else if (errors.n > 0) {
        reply_invalid(r, errors.list, errors.n);
    } else {
        reply_problem(r, err, STR(""));
    }
}

void notices_ask(struct request *r)
{
    enum otk_err err = subscribe(r, r->path_arg, on_subscribed);
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}

/* ---- pages */

/* What a page says. */
struct says {
    int status;
    const char *what;          /* asked, confirm, confirmed, unsubscribe, unsubscribed, wrong */
    const char *region;        /* JSON, or "null" */
    struct str number, s, key; /* of a link that holds; empty otherwise */
    int author;
    enum otk_err problem;
    const struct field_errors *errors;
};

/* A sentence for each wrong field. */
static struct str wrong_fields(struct request *r, const struct field_errors *errors)
{
    struct str list = STR("");
    for (size_t i = 0; errors != NULL && i < errors->n; i++) {
        struct str text = field_error_text(r->arena, &errors->list[i], r->lang);
        text = text.p == NULL ? text : page_string(r, text);
        if (text.p == NULL) {
            return text;
        }
        list =
            arena_printf(r->arena, "%s%s%.*s", list.p, list.n > 0 ? "," : "", (int)text.n, text.p);
    }
    return list;
}

static struct str context_of(struct request *r, const struct says *s)
{
    struct str common = page_common(r), number = page_string(r, s->number);
    struct str id = page_string(r, s->s), key = page_string(r, s->key);
    struct str problem = s->problem == OTK_OK ? STR("null") : page_problem(r, s->problem, STR(""));
    struct str errors = wrong_fields(r, s->errors);
    if (common.p == NULL || number.p == NULL || id.p == NULL || key.p == NULL ||
        problem.p == NULL || errors.p == NULL) {
        return (struct str){ NULL, 0 };
    }
    return arena_printf(r->arena,
                        "{%s,\"region\":%s,\"is\":{\"%s\":true},\"number\":%.*s,\"s\":%.*s,"
                        "\"key\":%.*s,\"author\":%s,\"problem\":%s,\"errors\":[%.*s]}",
                        common.p, s->region == NULL ? "null" : s->region, s->what, (int)number.n,
                        number.p, (int)id.n, id.p, (int)key.n, key.p, s->author ? "true" : "false",
                        problem.p, (int)errors.n, errors.p);
}

static void say(struct request *r, struct says s)
{
    page_draw(r, PAGE_NOTICE, s.status, context_of(r, &s));
}

static void say_problem(struct request *r, enum otk_err err, const struct field_errors *errors)
{
    say(r, (struct says){ .status = problem_of(err)->status,
                          .what = err == OTK_NOT_FOUND ? "wrong" : "problem",
                          .problem = err == OTK_NOT_FOUND ? OTK_OK : err,
                          .errors = errors });
}

void notices_invalid(struct request *r, enum otk_err err, struct str detail,
                     const struct field_errors *errors)
{
    (void)detail;
    /* A link that was mangled on its way is a wrong link. */
    int link = r->route->fields == notice_link_fields;
    say_problem(r, link ? OTK_NOT_FOUND : err, link ? NULL : errors);
}

int notices_late(struct request *r, struct str *html)
{
    struct says s = { .status = problem_of(OTK_UNAVAILABLE)->status,
                      .what = "problem",
                      .problem = OTK_UNAVAILABLE };
    *html = page_html(r, PAGE_NOTICE, context_of(r, &s));
    return html->p == NULL ? 0 : s.status;
}

static void on_taken(void *data, const struct db_result *result)
{
    struct request *r = data;
    struct field_errors *errors = arena_zero(r->arena, sizeof *errors);
    if (errors == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    enum otk_err err = outcome_of(result, errors);
    if (err == OTK_OK) {
        say(r, (struct says){
                   .status = 202, .what = "asked", .number = r->values[F_ASKED_NUMBER].s.text });
    } else {
        say_problem(r, err, errors);
    }
}

void notices_take(struct request *r)
{
    enum otk_err err = subscribe(r, r->values[F_ASKED_NUMBER].s.text, on_taken);
    if (err != OTK_OK) {
        say_problem(r, err, NULL);
    }
}

/* ---- links */

static const struct {
    struct str name;         /* in the address */
    const char *state;       /* that its button makes; NULL: none */
    const char *asks, *done; /* what the page says before and after */
} acts[] = {
    { STR("confirm"), "confirmed", "confirm", "confirmed" },
    { STR("unsubscribe"), "stopped", "unsubscribe", "unsubscribed" },
    { STR("open"), NULL, NULL, NULL },
};
enum { ACTS = sizeof acts / sizeof *acts };

static int act_of(const struct request *r)
{
    for (int i = 0; i < ACTS; i++) {
        if (str_eq(r->path_arg, acts[i].name)) {
            return i;
        }
    }
    return -1;
}

static int is_uuid(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        int dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.p[i] != '-'
                 : !((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f'))) {
            return 0;
        }
    }
    return s.n == UUID;
}

/* The appeal itself, by the code of this subscription. */
static void go_to_appeal(struct request *r)
{
    struct number parsed;
    char code[20];
    struct str location = { NULL, 0 };
    if (number_parse(r->values[F_LINK_NUMBER].s.text, &parsed) == 0 &&
        notice_code(intake_of(r)->notice_secret, parsed.region, r->values[F_LINK_ID].s.text,
                    code) == 0) {
        location = arena_printf(r->arena, "/track?number=%s&code=%s&lang=%s", parsed.text, code,
                                language_tag(r->lang));
    }
    if (location.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    reply_header(r, "Cache-Control", STR("no-store"));
    reply_redirect(r, 303, location);
}

static void on_link(void *data, const struct db_result *result)
{
    struct request *r = data;
    int act = act_of(r);
    if (result->err != OTK_OK) {
        say_problem(r, result->err, NULL);
        return;
    }
    if (PQntuples(result->res) == 0) {
        say_problem(r, OTK_NOT_FOUND, NULL);
        return;
    }
    const char *state = PQgetvalue(result->res, 0, C_STATE);
    int author = PQgetvalue(result->res, 0, C_AUTHOR)[0] == 't';
    if (acts[act].state == NULL) {
        if (author && strcmp(state, "pending") != 0) {
            go_to_appeal(r);
        } else {
            say_problem(r, OTK_NOT_FOUND, NULL);
        }
        return;
    }
    say(r, (struct says){ .status = 200,
                          .what =
                              strcmp(state, acts[act].state) == 0 ? acts[act].done : acts[act].asks,
                          .region = PQgetvalue(result->res, 0, C_REGION),
                          .number = r->values[F_LINK_NUMBER].s.text,
                          .s = r->values[F_LINK_ID].s.text,
                          .key = r->values[F_LINK_KEY].s.text,
                          .author = author && strcmp(state, "pending") != 0 });
}

/* STATE: what it is to be; NULL: only looked at. */
static void follow(struct request *r, const char *state)
{
    struct intake *intake = intake_of(r);
    struct str id = r->values[F_LINK_ID].s.text;
    struct number parsed;
    char region[12], now[24], code[20], digest[67];
    if (act_of(r) < 0 || !intake->notices || !is_uuid(id) ||
        number_parse(r->values[F_LINK_NUMBER].s.text, &parsed) != 0 ||
        !notice_key_good(intake->notice_secret, parsed.region, id, r->values[F_LINK_KEY].s.text)) {
        say_problem(r, OTK_NOT_FOUND, NULL);
        return;
    }
    if (notice_code(intake->notice_secret, parsed.region, id, code) != 0 ||
        access_code_digest(str_of(code), digest) != 0) {
        say_problem(r, OTK_INTERNAL, NULL);
        return;
    }
    snprintf(region, sizeof region, "%d", parsed.region);
    snprintf(now, sizeof now, "%" PRId64, wall_us());
    const char *params[] = { region, parsed.text, id.p, state, now, digest, language_tag(r->lang) };
    enum otk_err err = db_ask(r->service->db, QUERY_INTAKE_SUBSCRIPTION, params, on_link, r);
    if (err != OTK_OK) {
        say_problem(r, err, NULL);
    }
}

void notice_show(struct request *r)
{
    follow(r, NULL);
}

void notice_do(struct request *r)
{
    int act = act_of(r);
    follow(r, act < 0 ? NULL : acts[act].state);
}
