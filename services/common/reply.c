/* Replies: status line, headers, problem documents. */
#include "exchange.h"

#include <stdio.h>

#include "json.h"
#include "language.h"
#include "log.h"
#include "problem.h"
#include "service.h"

enum { UNAVAILABLE_LOGS_PER_SECOND = 10 };

static struct exchange *exchange_of(struct request *r)
{
    return (struct exchange *)r;
}

static void on_written(struct call *call)
{
    struct exchange *x = call->data;
    x->written = 1;
    exchange_release(x);
}

static void send_reply(struct exchange *x, struct str head, struct str body)
{
    x->answered = 1;
    server_reply(x->call, head, body, on_written);
}

/* Sent when there is no memory for anything better. */
static void send_last_resort(struct exchange *x)
{
    send_reply(
        x,
        STR("Status: 500 Internal Server Error\r\nContent-Type: application/problem+json; charset=utf-8\r\n\r\n"),
        STR("{\"type\":\"/problems/internal\",\"title\":\"Internal error\",\"status\":500}\n"));
}

/* Clients of HTTP/1.1 expect a phrase behind the number; nginx takes ours as it is. */
static const char *phrase_of(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 303, "See Other" },
        { 304, "Not Modified" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 409, "Conflict" },
        { 413, "Content Too Large" },
        { 415, "Unsupported Media Type" },
        { 422, "Unprocessable Content" },
        { 429, "Too Many Requests" },
        { 500, "Internal Server Error" },
        { 503, "Service Unavailable" },
        { 507, "Insufficient Storage" },
    };
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++) {
        if (phrases[i].status == status) {
            return phrases[i].phrase;
        }
    }
    return "Other";
}

static void answer(struct exchange *x, int status, const char *content_type, struct str body)
{
    struct str type = { NULL, 0 };
    if (content_type != NULL) {
        type = arena_printf(x->r.arena, "Content-Type: %s\r\nContent-Length: %zu\r\n", content_type,
                            body.n);
    }
    struct str head = { NULL, 0 };
    if (content_type == NULL || type.p != NULL) {
        head = arena_printf(x->r.arena, "Status: %d %s\r\n%.*s%.*s\r\n", status, phrase_of(status),
                            (int)type.n, type.p, (int)x->headers.n, x->headers.p);
    }
    if (head.p == NULL) {
        log_write(LOG_ERROR, x->r.request_id, "memory is out while answering");
        send_last_resort(x);
        return;
    }
    send_reply(x, head, x->head_only ? (struct str){ NULL, 0 } : body);
}

/* Ends the handler's part. 0: the clock has answered already, and X may be gone. */
static int finish(struct exchange *x)
{
    exchange_finished(x);
    if (x->answered) {
        exchange_release(x);
        return 0;
    }
    return 1;
}

void reply(struct request *r, int status, const char *content_type, struct str body)
{
    struct exchange *x = exchange_of(r);
    if (finish(x)) {
        answer(x, status, content_type, body);
    }
}

void reply_json(struct request *r, int status, struct str json)
{
    reply(r, status, "application/json; charset=utf-8", json);
}

void reply_header(struct request *r, const char *name, struct str value)
{
    struct exchange *x = exchange_of(r);
    struct str all = arena_printf(r->arena, "%.*s%s: %.*s\r\n", (int)x->headers.n, x->headers.p,
                                  name, (int)value.n, value.p);
    if (all.p == NULL) {
        log_write(LOG_ERROR, r->request_id, "memory is out: header %s is missing", name);
        return;
    }
    x->headers = all;
}

void reply_redirect(struct request *r, int status, struct str location)
{
    reply_header(r, "Location", location);
    reply(r, status, NULL, (struct str){ NULL, 0 });
}

/* ---- problems */

static struct str problem_body(struct request *r, enum otk_err err, struct str detail,
                               const struct field_error *errors, size_t n)
{
    const struct problem *p = problem_of(err);
    struct str none = { NULL, 0 };
    struct str title = json_string(r->arena, str_of(p->title[r->lang]));
    struct str text = json_string(r->arena, detail.n > 0 ? detail : str_of(p->detail[r->lang]));
    if (title.p == NULL || text.p == NULL) {
        return none;
    }
    struct str list = STR("");
    for (size_t i = 0; i < n; i++) {
        struct str field = json_string(r->arena, errors[i].field);
        struct str sentence = field_error_text(r->arena, &errors[i], r->lang);
        struct str said = sentence.p == NULL ? none : json_string(r->arena, sentence);
        if (field.p == NULL || said.p == NULL) {
            return none;
        }
        list = arena_printf(r->arena, "%.*s%s{\"field\":%.*s,\"code\":\"%s\",\"detail\":%.*s}",
                            (int)list.n, list.p, i > 0 ? "," : "", (int)field.n, field.p,
                            field_code_name(errors[i].code), (int)said.n, said.p);
        if (list.p == NULL) {
            return none;
        }
    }
    struct str id = r->request_id;
    struct str instance =
        id.n == 36 ? arena_printf(r->arena, ",\"instance\":\"urn:uuid:%.36s\"", id.p) : STR("");
    return arena_printf(
        r->arena,
        "{\"type\":\"/problems/%s\",\"title\":%.*s,\"status\":%d,\"detail\":%.*s%.*s%s%.*s%s}\n",
        p->slug, (int)title.n, title.p, p->status, (int)text.n, text.p, (int)instance.n,
        instance.p == NULL ? "" : instance.p, n > 0 ? ",\"errors\":[" : "", (int)list.n, list.p,
        n > 0 ? "]" : "");
}

/* A broken database fails every request: the log need not say so each time. */
static int may_log(enum otk_err err)
{
    static uint64_t second;
    static int lines, left_out;
    if (err != OTK_UNAVAILABLE && err != OTK_FULL) {
        return 1;
    }
    uint64_t now = uv_hrtime() / 1000000000u;
    if (now != second) {
        if (left_out > 0) {
            log_write(LOG_WARN, STR(""), "%d more requests were refused", left_out);
        }
        second = now;
        lines = left_out = 0;
    }
    if (lines < UNAVAILABLE_LOGS_PER_SECOND) {
        lines++;
        return 1;
    }
    left_out++;
    return 0;
}

static void log_problem(struct request *r, enum otk_err err, const char *why)
{
    const struct problem *p = problem_of(err);
    if (p->status >= 500 && may_log(err)) {
        log_write(err == OTK_UNAVAILABLE ? LOG_WARN : LOG_ERROR, r->request_id, "%.*s: %d %s%s%s",
                  (int)r->path.n, r->path.p == NULL ? "" : r->path.p, p->status, p->slug,
                  why == NULL ? "" : ": ", why == NULL ? "" : why);
    }
}

static void prepare_problem(struct request *r, enum otk_err err, const char *why)
{
    const struct problem *p = problem_of(err);
    log_problem(r, err, why);
    if (p->retry_after > 0) {
        char text[12];
        snprintf(text, sizeof text, "%d", p->retry_after);
        reply_header(r, "Retry-After", str_of(text));
    }
    reply_header(r, "Cache-Control", STR("no-store"));
    reply_header(r, "Content-Language", str_of(language_tag(r->lang)));
}

static void send_problem(struct request *r, enum otk_err err, struct str detail,
                         const struct field_error *errors, size_t n, const char *why)
{
    struct exchange *x = exchange_of(r);
    if (!finish(x)) {
        return;
    }
    prepare_problem(r, err, why);
    struct str body = problem_body(r, err, detail, errors, n);
    if (body.p == NULL) {
        log_write(LOG_ERROR, r->request_id, "memory is out while answering");
        send_last_resort(x);
        return;
    }
    answer(x, problem_of(err)->status, "application/problem+json; charset=utf-8", body);
}

void reply_problem(struct request *r, enum otk_err err, struct str detail)
{
    send_problem(r, err, detail, NULL, 0, NULL);
}

void reply_invalid(struct request *r, const struct field_error *errors, size_t n)
{
    send_problem(r, OTK_INVALID, (struct str){ NULL, 0 }, errors, n, NULL);
}

void reply_refused(struct request *r, enum otk_err err, struct str detail,
                   const struct field_error *errors, size_t n)
{
    send_problem(r, err, detail, errors, n, NULL);
}

void reply_db_problem(struct request *r, const struct db_result *result)
{
    /* Only the first line: the detail of a constraint holds the row. */
    const char *message =
        result->res == NULL ? NULL : PQresultErrorField(result->res, PG_DIAG_MESSAGE_PRIMARY);
    char why[256];
    snprintf(why, sizeof why, "%s %s", result->sqlstate == NULL ? "" : result->sqlstate,
             message == NULL ? "the connection was lost" : message);
    send_problem(r, result->err, (struct str){ NULL, 0 }, NULL, 0, why);
}

/* 0: there is no page for it. */
static int send_late_page(struct exchange *x)
{
    struct request *r = &x->r;
    struct str html = { NULL, 0 };
    int status = r->route == NULL || r->route->late == NULL ? 0 : r->route->late(r, &html);
    if (status == 0) {
        x->headers = (struct str){ NULL, 0 }; /* of half a page */
        return 0;
    }
    log_problem(r, OTK_UNAVAILABLE, "no answer in time");
    answer(x, status, "text/html; charset=utf-8", html);
    return 1;
}

void exchange_time_out(struct exchange *x)
{
    if (send_late_page(x)) {
        return;
    }
    prepare_problem(&x->r, OTK_UNAVAILABLE, "no answer in time");
    struct str body = problem_body(&x->r, OTK_UNAVAILABLE, (struct str){ NULL, 0 }, NULL, 0);
    if (body.p == NULL) {
        send_last_resort(x);
        return;
    }
    answer(x, problem_of(OTK_UNAVAILABLE)->status, "application/problem+json; charset=utf-8", body);
}
