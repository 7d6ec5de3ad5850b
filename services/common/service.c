/* A program that answers FastCGI requests.
 *
 * A request's way: serve (from the server) → router → roles → fields → the route's ask → … → reply.
 * It counts as in hand until its handler has replied, even when the clock has answered for it:
 * PostgreSQL slow or away must not keep a client longer than ANSWER_MS. */
#include "service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "exchange.h"
#include "log.h"
#include "router.h"
#include "upload.h"

enum {
    ANSWER_MS = 1700, /* then 503; with the sweep below less than two seconds */
    CLOCK_MS = 100,   /* between two looks at who waits too long */
    STOP_MS = 10000,  /* for what is in flight at the end */
    STOP_LOOK_MS = 20
};

static struct {
    struct service *service;
    struct server *server;
    long queue_max;
    int stopping;
    uint64_t stop_at; /* ms of the loop */
    int status;
    uv_timer_t clock, stopper;
    uv_signal_t on_term, on_int;
} state;

static struct metric requests_total = { .name = "otklik_requests_total",
                                        .help = "Requests that reached the program",
                                        .type = "counter" };
static struct metric refused_total = { .name = "otklik_requests_refused_total",
                                       .help =
                                           "Requests answered 503 because too many were in hand",
                                       .type = "counter" };
static struct metric late_total = { .name = "otklik_requests_late_total",
                                    .help =
                                        "Requests answered 503 because the answer took too long",
                                    .type = "counter" };
static struct metric in_hand = { .name = "otklik_requests_in_hand",
                                 .help = "Requests whose handler has not finished",
                                 .type = "gauge" };

/* ---- what every program answers */

static void live(struct request *r)
{
    reply_json(r, 200, STR("{\"status\":\"ok\"}\n"));
}

static void ready(struct request *r)
{
    int connections = db_connections(r->service->db), n = 0;
    for (int i = 0; i < connections; i++) {
        n += db_ready(r->service->db, i);
    }
    struct str body =
        arena_printf(r->arena, "{\"status\":\"%s\",\"database_connections\":%d,\"ready\":%d}\n",
                     n > 0 ? "ok" : "no database", connections, n);
    if (body.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    reply_json(r, n > 0 ? 200 : 503, body);
}

static void metrics(struct request *r)
{
    in_hand.value = (double)exchanges_in_hand();
    struct str text = metrics_print(r->arena);
    if (text.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", text);
}

static const struct route common_routes[] = {
    { .method = METHOD_GET, .path = "/health/live", .ask = live },
    { .method = METHOD_GET, .path = "/health/ready", .ask = ready },
    { .method = METHOD_GET, .path = "/metrics", .ask = metrics },
    { .path = NULL },
};

/* ---- a request's way */

static int is_media_type(struct str header, const char *type)
{
    size_t n = strlen(type);
    return header.n >= n && strncasecmp(header.p, type, n) == 0 &&
           (header.n == n || header.p[n] == ';' || header.p[n] == ' ');
}

/* A charset other than UTF-8 would be read as rubbish. */
static int is_utf8(struct request *r)
{
    struct str copy = arena_dup(r->arena, r->content_type);
    const char *charset = copy.p == NULL ? NULL : strcasestr(copy.p, "charset=");
    if (charset == NULL) {
        return copy.p != NULL;
    }
    charset += strlen("charset=");
    charset += *charset == '"';
    return strncasecmp(charset, "utf-8", 5) == 0;
}

/* The query string without lang, which every address takes (?lang=en). .p is NULL when memory is
 * out. */
static struct str own_arguments(struct request *r)
{
    char *p = arena_alloc(r->arena, r->query.n + 1);
    size_t n = 0;
    if (p == NULL) {
        return (struct str){ NULL, 0 };
    }
    for (size_t at = 0; at < r->query.n;) {
        const char *end = memchr(r->query.p + at, '&', r->query.n - at);
        size_t length = end == NULL ? r->query.n - at : (size_t)(end - r->query.p) - at;
        if (length < 5 || memcmp(r->query.p + at, "lang=", 5) != 0) {
            if (n > 0) {
                p[n++] = '&';
            }
            memcpy(p + n, r->query.p + at, length);
            n += length;
        }
        at += length + 1;
    }
    return (struct str){ p, n };
}

static enum otk_err read_fields(struct request *r, struct field_errors *errors, struct str *detail)
{
    const struct field *fields = r->route->fields;
    size_t n = 0;
    while (fields[n].name != NULL) {
        n++;
    }
    r->values = arena_zero(r->arena, (n + 1) * sizeof *r->values);
    if (r->values == NULL) {
        return OTK_INTERNAL;
    }
    if (r->method != METHOD_POST || r->route->from_query) {
        struct str query = own_arguments(r);
        return query.p == NULL
                   ? OTK_INTERNAL
                   : fields_from_form(r->arena, fields, query, r->values, errors, detail, r->lang);
    }
    if (!is_utf8(r)) {
        return OTK_MEDIA_TYPE;
    }
    if (is_media_type(r->content_type, "application/json")) {
        return fields_from_json(r->arena, fields, r->body, r->values, errors, detail, r->lang);
    }
    if (is_media_type(r->content_type, "application/x-www-form-urlencoded")) {
        return fields_from_form(r->arena, fields, r->body, r->values, errors, detail, r->lang);
    }
    return OTK_MEDIA_TYPE;
}

/* What is wrong with the files goes before what is wrong with fields; a route that shows its own
 * answer gets both. */
static enum otk_err add_files(struct request *r, struct field_errors *errors, struct str *detail)
{
    struct field_error error;
    enum otk_err err = upload_result(r, &error, detail);
    if (error.field.n > 0) {
        field_error_add(errors, error.field, error.code, error.bound);
    }
    return err;
}

static void refuse(struct request *r, enum otk_err err, struct str detail,
                   const struct field_errors *errors)
{
    if (err != OTK_INTERNAL && r->route->invalid != NULL) {
        r->route->invalid(r, err, detail, errors);
    } else {
        reply_refused(r, err, detail, errors->list, errors->n);
    }
}

/* The body is here, and so are its files. */
static void ask_whole(struct request *r)
{
    const struct route *route = r->route;
    struct field_errors *errors = arena_zero(r->arena, sizeof *errors);
    struct str detail = STR("");
    if (errors == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    enum otk_err err = r->upload == NULL ? OTK_OK : add_files(r, errors, &detail);
    if (err == OTK_OK && route->fields != NULL) {
        err = read_fields(r, errors, &detail);
        err = err == OTK_OK && errors->n > 0 ? OTK_INVALID : err;
    }
    if (err != OTK_OK) {
        refuse(r, err, detail, errors);
        return;
    }
    route->ask(r);
}

static void ask(struct request *r)
{
    const struct route *route = r->route;
    if (route->roles != 0 && (r->roles & route->roles) == 0) {
        reply_problem(r, r->subject.n == 0 ? OTK_UNAUTHORIZED : OTK_FORBIDDEN, STR(""));
        return;
    }
    if (r->upload != NULL) {
        upload_finish(r, ask_whole);
    } else {
        ask_whole(r);
    }
}

/* Nobody's exchange: the call itself is all there is. */
static void on_dropped(struct call *call)
{
    if (call->sink != NULL) {
        call->sink->drop(call->sink);
    }
    arena_free(call->request.arena);
}

static void serve(void *data, struct call *call)
{
    struct service *s = data;
    struct exchange *x = arena_zero(call->request.arena, sizeof *x);
    if (x == NULL) {
        log_write(LOG_ERROR, STR(""), "memory is out for a new request");
        /* The connection knows the call: only the server may part them. */
        server_reply(call, STR("Status: 503\r\nRetry-After: 2\r\n\r\n"), STR(""), on_dropped);
        return;
    }
    x->call = call;
    call->data = x;
    x->r.service = s;
    x->r.arena = call->request.arena;
    x->r.upload = (struct upload *)call->sink; /* its first member */
    exchange_begin(x);
    requests_total.value++;

    const char *allow = NULL;
    enum otk_err err = exchange_read(x, &call->request);
    if (err == OTK_OK) {
        err = router_find(common_routes, &x->r, &allow);
        if (err == OTK_NOT_FOUND) {
            err = exchanges_in_hand() > state.queue_max ? OTK_UNAVAILABLE
                                                        : router_find(s->routes, &x->r, &allow);
            refused_total.value += err == OTK_UNAVAILABLE;
        }
    }
    if (err == OTK_TOO_LARGE && call->request.nparams > 0 &&
        router_find(s->routes, &x->r, &allow) == OTK_OK && x->r.route->invalid != NULL) {
        static const struct field_errors none;
        x->r.route->invalid(&x->r, err, STR(""), &none); /* a page says so as a page */
        return;
    }
    if (err == OTK_METHOD) {
        reply_header(&x->r, "Allow", str_of(allow));
    }
    if (err != OTK_OK) {
        reply_problem(&x->r, err, STR(""));
        return;
    }
    ask(&x->r);
}

/* Does the request bring files to a route that takes them? */
static struct sink *begin_files(void *data, struct fcgi_request *request)
{
    struct service *s = data;
    const char *allow = NULL;
    struct exchange *x = NULL;
    for (size_t i = 0; i < request->nparams && x == NULL; i++) {
        const struct fcgi_param *p = &request->params[i];
        if (str_eq(p->name, STR("CONTENT_TYPE")) && !is_media_type(p->value, "application/json") &&
            !is_media_type(p->value, "application/x-www-form-urlencoded")) {
            x = arena_zero(request->arena, sizeof *x);
        }
    }
    if (x == NULL) {
        return NULL;
    }
    x->r.service = s;
    x->r.arena = request->arena;
    return exchange_read(x, request) == OTK_OK && router_find(s->routes, &x->r, &allow) == OTK_OK &&
                   x->r.method == METHOD_POST && x->r.route->files != NULL
               ? x->r.route->files(&x->r)
               : NULL;
}

static void on_clock(uv_timer_t *timer)
{
    (void)timer;
    int64_t now = (int64_t)(uv_hrtime() / 1000);
    for (struct exchange *x = exchange_oldest(), *newer; x != NULL; x = newer) {
        newer = x->newer;
        int64_t age_ms = (now - x->r.started_us) / 1000;
        /* An upload is begun for a route: there is one. */
        int64_t patience = x->r.upload == NULL || x->r.route == NULL ? 0 : x->r.route->patience_ms;
        if (age_ms < ANSWER_MS) {
            return;
        }
        if (!x->answered && age_ms >= patience) {
            late_total.value++;
            exchange_time_out(x);
        }
    }
}

/* ---- beginning and end */

/* What the program has left running, a timer mostly: it must not wake to a database that is gone.
 */
static void close_rest(uv_handle_t *handle, void *data)
{
    (void)data;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void close_all(void)
{
    server_close(state.server);
    db_close(state.service->db);
    uv_close((uv_handle_t *)&state.clock, NULL);
    uv_close((uv_handle_t *)&state.stopper, NULL);
    uv_close((uv_handle_t *)&state.on_term, NULL);
    uv_close((uv_handle_t *)&state.on_int, NULL);
    uv_walk(state.service->loop, close_rest, NULL);
}

static void on_stop_look(uv_timer_t *timer)
{
    const struct service *s = state.service;
    server_stop(state.server);
    int busy = server_connections(state.server) > 0 || exchanges_in_hand() > 0 ||
               (s->busy != NULL && s->busy(state.service));
    if (busy && uv_now(timer->loop) < state.stop_at) {
        return;
    }
    if (busy) {
        log_write(LOG_WARN, STR(""), "stopped with %ld requests in hand", exchanges_in_hand());
        state.status = 1;
    }
    close_all();
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    if (state.stopping) {
        _Exit(1);
    }
    log_write(LOG_INFO, STR(""), "stopping");
    state.stopping = 1;
    state.stop_at = uv_now(signal->loop) + STOP_MS;
    if (state.service->stop != NULL) {
        state.service->stop(state.service);
    }
    server_stop(state.server);
    uv_timer_start(&state.stopper, on_stop_look, 0, STOP_LOOK_MS);
}

static void register_metrics(void)
{
    metric_register(&requests_total);
    metric_register(&refused_total);
    metric_register(&late_total);
    metric_register(&in_hand);
    exchange_register();
}

int service_run(struct service *s)
{
    struct config config;
    log_open(s->name, getenv("OTKLIK_LOG_LEVEL"));
    if (config_read(&config) != 0) {
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    state.service = s;
    state.queue_max = config.queue_max;
    register_metrics();

    s->loop = uv_default_loop();
    s->db = db_open(s->loop, config.db, (int)config.db_connections, s->statements, s->nstatements);
    if (s->db == NULL) {
        log_write(LOG_ERROR, STR(""), "memory is out at the start");
        return 1;
    }
    state.server =
        server_open(s->loop, config.socket,
                    (struct server_owner){ .sink = begin_files, .serve = serve, .data = s });
    if (state.server == NULL || (s->start != NULL && s->start(s) != 0)) {
        return 1;
    }
    uv_timer_init(s->loop, &state.clock);
    uv_timer_init(s->loop, &state.stopper);
    uv_timer_start(&state.clock, on_clock, CLOCK_MS, CLOCK_MS);
    uv_signal_init(s->loop, &state.on_term);
    uv_signal_init(s->loop, &state.on_int);
    uv_signal_start(&state.on_term, on_signal, SIGTERM);
    uv_signal_start(&state.on_int, on_signal, SIGINT);
    log_write(LOG_INFO, STR(""), "started, version %s", OTK_VERSION);

    uv_run(s->loop, UV_RUN_DEFAULT);

    server_free(state.server);
    uv_loop_close(s->loop);
    log_write(LOG_INFO, STR(""), "stopped");
    return state.status;
}
