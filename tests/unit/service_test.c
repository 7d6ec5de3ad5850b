// A whole service without its database, asked over its socket as nginx asks, and as nobody should.
// sources: services/common/arena.c services/common/config.c services/common/db.c services/common/hosts.c
// sources: services/common/exchange.c services/common/fcgi.c services/common/fields.c services/common/fields_form.c
// sources: services/common/fields_json.c services/common/json.c services/common/language.c
// sources: services/common/log.c services/common/metrics.c services/common/problem.c
// sources: services/common/reply.c services/common/request.c services/common/router.c
// sources: services/common/server.c services/common/service.c services/common/utf8.c services/common/files.c
// sources: services/common/upload.c services/common/multipart.c services/common/media.c services/common/ids.c
// libs: -luv -lpq -lyajl -luuid -lcrypto -lm
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "json.h"
#include "service.h"

enum { BIG_BYTES = 3 * 1024 * 1024, QUEUE_MAX = 4, ANSWER_MS = 10000 };

/* ---- the service under test; it runs in a process of its own */

enum { F_NAME, F_COUNT };
static const struct field fields[] = {
    [F_NAME] = { .name = "name", .type = FIELD_LINE, .required = 1, .min = 2, .max = 5 },
    [F_COUNT] = { .name = "count", .type = FIELD_INTEGER, .min = 1, .max = 9 },
    FIELD_END,
};

static struct request *stuck[64];
static size_t nstuck;

static void tell(struct request *r)
{
    struct str key = json_string(r->arena, r->idempotency_key);
    struct str subject = json_string(r->arena, r->subject);
    struct str arg = json_string(r->arena, r->path_arg);
    struct str body =
        arena_printf(r->arena, "lang=%d roles=%u region=%d key=%s subject=%s arg=%s body=%zu",
                     r->lang, r->roles, r->region, key.p, subject.p, arg.p, r->body.n);
    reply_header(r, "X-Own", STR("one"));
    reply_header(r, "X-Other", STR("two"));
    reply(r, 200, "text/plain", body);
}

static void tell_fields(struct request *r)
{
    const union value *v = r->values;
    reply_json(r, 200,
               arena_printf(r->arena, "%s %d", v[F_NAME].s.text.p,
                            v[F_COUNT].i.given ? (int)v[F_COUNT].i.integer : 0));
}

static void tell_much(struct request *r)
{
    char *p = arena_alloc(r->arena, BIG_BYTES);
    if (p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    for (size_t i = 0; i < BIG_BYTES; i++) {
        p[i] = (char)('a' + i % 23);
    }
    reply(r, 200, "text/plain", (struct str){ p, BIG_BYTES });
}

static void wait_for_release(struct request *r)
{
    stuck[nstuck++] = r;
}

static void release_all(struct request *r)
{
    for (size_t i = 0; i < nstuck; i++) {
        reply_json(stuck[i], 200, STR("\"at last\""));
    }
    nstuck = 0;
    reply_redirect(r, 303, STR("/elsewhere"));
}

static void use_all_memory(struct request *r)
{
    for (size_t n = 1024 * 1024; n > 0; n /= 2) {
        while (arena_alloc(r->arena, n) != NULL) {
        }
    }
    reply_problem(r, OTK_NOT_FOUND, STR(""));
}

static const struct route routes[] = {
    { .method = METHOD_GET, .path = "/tell", .ask = tell },
    { .method = METHOD_POST, .path = "/tell", .ask = tell },
    { .method = METHOD_GET, .path = "/items/{id}", .ask = tell },
    { .method = METHOD_GET, .path = "/staff", .roles = ROLE_STAFF, .ask = tell },
    { .method = METHOD_GET, .path = "/fields", .fields = fields, .ask = tell_fields },
    { .method = METHOD_POST, .path = "/fields", .fields = fields, .ask = tell_fields },
    { .method = METHOD_GET, .path = "/much", .ask = tell_much },
    { .method = METHOD_GET, .path = "/stuck", .ask = wait_for_release },
    { .method = METHOD_POST, .path = "/release", .ask = release_all },
    { .method = METHOD_GET, .path = "/memory", .ask = use_all_memory },
    { .path = NULL },
};

static char folder[] = "/tmp/otklik-service-test.XXXXXX";
static char socket_path[64];
static pid_t child;

static void on_answer(void *data, const struct db_result *result)
{
    (void)data;
    (void)result;
}

static void on_tick(uv_timer_t *timer)
{
    (void)db_ask(timer->data, 0, NULL, on_answer, NULL);
}

/* A program has timers of its own that use the database; this one stops none of them at the end. */
static int start_ticking(struct service *s)
{
    static uv_timer_t timer;
    timer.data = s->db;
    return uv_timer_init(s->loop, &timer) != 0 || uv_timer_start(&timer, on_tick, 1, 1) != 0 ? -1
                                                                                             : 0;
}

static void run_child(void)
{
    /* Its log is not TAP. */
    char log[96];
    snprintf(log, sizeof log, "%s/log", folder);
    int fd = open(log, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) {
        _exit(100);
    }
    setenv("OTKLIK_SOCKET", socket_path, 1);
    setenv("OTKLIK_DB", "host=/nonexistent dbname=none", 1);
    setenv("OTKLIK_QUEUE_MAX", "4", 1);
    static struct service service = { .name = "test", .routes = routes, .start = start_ticking };
    exit(service_run(&service)); /* with the leak check of a sanitizer */
}

static int connect_to_it(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    for (int i = 0; i < 500; i++) {
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
            return fd;
        }
        assert_true(errno == ENOENT || errno == ECONNREFUSED);
        usleep(10000);
    }
    fail_msg("nobody listens");
    return -1;
}

static int start(void **state)
{
    (void)state;
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        run_child();
    }
    close(connect_to_it());
    return 0;
}

/* Ends the service; its exit status, or 1000 + signal. */
static int stop_with(int number)
{
    kill(child, number);
    int status = 0;
    for (int i = 0; i < 1500; i++) {
        if (waitpid(child, &status, WNOHANG) == child) {
            child = 0;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
        }
        usleep(10000);
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    child = 0;
    return 999;
}

static void show_log(void)
{
    char line[96 + 2048];
    snprintf(line, sizeof line, "%s/log", folder);
    FILE *f = fopen(line, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        fprintf(stderr, "# %s", line);
    }
    if (f != NULL) {
        fclose(f);
    }
}

static int stop(void **state)
{
    (void)state;
    if (child == 0) {
        return 0;
    }
    int status = stop_with(SIGTERM);
    if (status != 0) {
        show_log();
        fprintf(stderr, "# the service ended with %d\n", status);
    }
    return status;
}

static int make_folder(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(socket_path, sizeof socket_path, "%s/sock", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    char log[96];
    snprintf(log, sizeof log, "%s/log", folder);
    unlink(log);
    unlink(socket_path);
    return rmdir(folder);
}

/* ---- a client */

struct buffer {
    char *p;
    size_t n, size;
};

static void add(struct buffer *b, const void *p, size_t n)
{
    if (b->n + n + 1 > b->size) {
        b->size = (b->n + n + 1) * 2;
        b->p = realloc(b->p, b->size);
        assert_non_null(b->p);
    }
    if (n > 0) {
        memcpy(b->p + b->n, p, n);
    }
    b->n += n;
    b->p[b->n] = '\0';
}

static void add_record(struct buffer *b, int type, const void *content, size_t n)
{
    unsigned char header[8] = { 1, (unsigned char)type,     0,
                                1, (unsigned char)(n >> 8), (unsigned char)n };
    add(b, header, sizeof header);
    add(b, content, n);
}

/* PARAMS: "NAME=value" …, ends with NULL. */
static struct buffer request_of(int keep, const char *const *params, struct str body)
{
    struct buffer b = { 0 }, pairs = { 0 };
    add_record(&b, 1, (unsigned char[8]){ 0, 1, (unsigned char)keep }, 8);
    add(&pairs, "", 0);
    for (; *params != NULL; params++) {
        size_t name = strcspn(*params, "="), value = strlen(*params + name + 1);
        unsigned char lengths[5] = { (unsigned char)name, 0x80, (unsigned char)(value >> 16),
                                     (unsigned char)(value >> 8), (unsigned char)value };
        add(&pairs, lengths, sizeof lengths);
        add(&pairs, *params, name);
        add(&pairs, *params + name + 1, value);
    }
    for (size_t at = 0, n; at < pairs.n; at += n) {
        n = pairs.n - at < 60000 ? pairs.n - at : 60000;
        add_record(&b, 4, pairs.p + at, n);
    }
    add_record(&b, 4, "", 0);
    for (size_t at = 0, n; at < body.n; at += n) {
        n = body.n - at < 60000 ? body.n - at : 60000;
        add_record(&b, 5, body.p + at, n);
    }
    add_record(&b, 5, "", 0);
    free(pairs.p);
    return b;
}

static void send_all(int fd, const char *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t sent = send(fd, p + at, n - at, MSG_NOSIGNAL);
        assert_true(sent > 0);
        at += (size_t)sent;
    }
}

static void send_request(int fd, int keep, const char *const *params, struct str body)
{
    struct buffer b = request_of(keep, params, body);
    send_all(fd, b.p, b.n);
    free(b.p);
}

/* 0 at the end of the connection, or when nothing comes in time. */
static int receive(int fd, void *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        if (poll(&ready, 1, ANSWER_MS) != 1) {
            return 0;
        }
        ssize_t got = recv(fd, (char *)p + at, n - at, 0);
        if (got <= 0) {
            return 0;
        }
        at += (size_t)got;
    }
    return 1;
}

/* What came on STDOUT of the next reply; .p is NULL when the connection ended before its end. */
static struct buffer receive_reply(int fd)
{
    struct buffer out = { 0 };
    add(&out, "", 0);
    for (;;) {
        unsigned char header[8];
        static char content[65536 + 256];
        if (!receive(fd, header, sizeof header)) {
            break;
        }
        size_t n = (size_t)header[4] << 8 | header[5];
        if (!receive(fd, content, n + header[6])) {
            break;
        }
        assert_int_equal(header[0], 1);
        assert_int_equal(header[3], 1);
        if (header[1] == 3) {
            assert_int_equal(content[4], 0); /* FCGI_REQUEST_COMPLETE */
            return out;
        }
        assert_int_equal(header[1], 6);
        add(&out, content, n);
    }
    free(out.p);
    return (struct buffer){ 0 };
}

static int is_closed(int fd)
{
    char c;
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    return poll(&ready, 1, ANSWER_MS) == 1 && recv(fd, &c, 1, 0) <= 0;
}

#define PARAMS(...)       \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }
#define GET(uri, ...) PARAMS("REQUEST_METHOD=GET", "DOCUMENT_URI=" uri, __VA_ARGS__)

/* One request on a connection of its own; the caller frees. */
static char *ask(const char *const *params, struct str body)
{
    int fd = connect_to_it();
    send_request(fd, 0, params, body);
    struct buffer b = receive_reply(fd);
    if (b.p == NULL) {
        fail_msg("no reply");
    }
    assert_true(is_closed(fd)); /* it was not to be kept */
    close(fd);
    return b.p;
}

/* The reply has each of PARTS. */
static void expect(const char *const *params, struct str body, const char *const *parts)
{
    char *reply = ask(params, body);
    for (; *parts != NULL; parts++) {
        if (strstr(reply, *parts) == NULL) {
            fail_msg("\"%s\" is not in\n%s", *parts, reply);
        }
    }
    free(reply);
}

/* ---- requests */

static void parameters_become_a_request(void **state)
{
    (void)state;
    struct str none = STR("");
    expect(GET("/tell", "X=1"), none,
           PARAMS("Status: 200 ", "Content-Type: text/plain\r\n", "X-Own: one\r\n",
                  "X-Other: two\r\n", "lang=0 roles=0 region=0 key=\"\" subject=\"\" arg=\"\""));
    expect(GET("/tell", "APPEAL_ROLES=clerk staff,integrator", "APPEAL_REGION=67",
               "APPEAL_SUBJECT=key \"1\"", "HTTP_IDEMPOTENCY_KEY=\"a\\\"b\""),
           none, PARAMS("roles=3 region=67 key=\"a\\\"b\" subject=\"key \\\"1\\\"\""));
    expect(GET("/tell", "APPEAL_REGION=670", "HTTP_IDEMPOTENCY_KEY=bare"), none,
           PARAMS("region=0 key=\"bare\""));
    expect(GET("/tell", "APPEAL_ROLES=staffer", "HTTP_IDEMPOTENCY_KEY=\"half"), none,
           PARAMS("roles=0 region=0 key=\"\\\"half\""));
    expect(GET("/items/67-1", "X=1"), none, PARAMS("arg=\"67-1\""));
    expect(PARAMS("REQUEST_METHOD=POST", "DOCUMENT_URI=/tell"), STR("hello"),
           PARAMS("Status: 200 ", " body=5"));
}

static void the_language_is_the_nearest_wish(void **state)
{
    (void)state;
    struct str none = STR("");
    expect(GET("/tell", "HTTP_ACCEPT_LANGUAGE=en"), none, PARAMS("lang=1"));
    expect(GET("/tell", "HTTP_ACCEPT_LANGUAGE=en", "COOKIE_LANG=ru"), none, PARAMS("lang=0"));
    expect(GET("/tell", "COOKIE_LANG=ru", "QUERY_STRING=a=b&lang=en"), none, PARAMS("lang=1"));
    expect(GET("/tell", "COOKIE_LANG=en", "QUERY_STRING=lang=de&xlang=ru"), none, PARAMS("lang=1"));
}

static void a_head_has_the_length_and_no_body(void **state)
{
    (void)state;
    char *reply = ask(PARAMS("REQUEST_METHOD=HEAD", "DOCUMENT_URI=/much"), STR(""));
    assert_non_null(strstr(reply, "Content-Length: 3145728\r\n"));
    assert_string_equal(strstr(reply, "\r\n\r\n"), "\r\n\r\n");
    free(reply);
}

static void what_does_not_fit_is_a_problem(void **state)
{
    (void)state;
    struct str none = STR("");
    expect(GET("/nowhere", "APPEAL_REQUEST_ID=0123456789abcdef0123456789abcdef0123"), none,
           PARAMS("Status: 404 ", "Content-Type: application/problem+json; charset=utf-8\r\n",
                  "Cache-Control: no-store\r\n", "Content-Language: ru\r\n",
                  "\"type\":\"/problems/not-found\"", "\"title\":\"Не найдено\"",
                  "\"instance\":\"urn:uuid:0123456789abcdef0123456789abcdef0123\""));
    expect(PARAMS("REQUEST_METHOD=DELETE", "DOCUMENT_URI=/tell"), none,
           PARAMS("Status: 405 ", "Allow: GET, HEAD, POST\r\n"));
    expect(PARAMS("REQUEST_METHOD=POST", "DOCUMENT_URI=/health/live"), none,
           PARAMS("Status: 405 ", "Allow: GET, HEAD\r\n"));
    expect(GET("/tell", "APPEAL_SUBJECT=\xff"), none, PARAMS("Status: 400 "));
    expect(GET("/\xff", "X=1"), none, PARAMS("Status: 400 "));
    expect(GET("/staff", "HTTP_ACCEPT_LANGUAGE=en"), none,
           PARAMS("Status: 401 ", "Content-Language: en\r\n", "\"title\":\"Unauthorized\""));
    expect(GET("/staff", "APPEAL_AUTH=challenge"), none, PARAMS("Status: 401 "));
    expect(GET("/staff", "APPEAL_AUTH=api_key", "APPEAL_SUBJECT=portal", "APPEAL_ROLES=integrator"),
           none, PARAMS("Status: 403 "));
    expect(GET("/staff", "APPEAL_AUTH=api_key", "APPEAL_ROLES=staff"), none,
           PARAMS("Status: 200 "));
    expect(GET("/memory", "X=1"), none, PARAMS("Status: 500 ", "{\"type\":\"/problems/internal\""));
    expect(PARAMS("DOCUMENT_URI=/tell"), none, PARAMS("Status: 405 "));
    expect(PARAMS("REQUEST_METHOD=GET"), none, PARAMS("Status: 404 "));
}

static void fields_come_from_bodies_and_query_strings(void **state)
{
    (void)state;
    static const struct {
        const char *method, *type, *query, *body, *parts[3];
    } cases[] = {
        { "GET", "", "name=abc&lang=en&count=5", "", { "Status: 200 ", "abc 5" } },
        { "GET", "", "", "", { "Status: 422 ", "\"code\":\"required\"" } },
        { "GET", "", "name=%", "", { "Status: 400 ", "байт" } },
        { "POST", "application/json", "", "{\"name\":\"abc\"}", { "Status: 200 ", "abc 0" } },
        { "POST",
          "Application/JSON; charset=\"UTF-8\"",
          "",
          "{\"name\":\"ab\"}",
          { "Status: 200 " } },
        { "POST",
          "application/x-www-form-urlencoded",
          "",
          "name=abc&count=7",
          { "Status: 200 ", "abc 7" } },
        { "POST",
          "application/json",
          "lang=en",
          "{\"name\":\"a\",\"count\":10,\"x\":1}",
          { "Status: 422 ",
            "\"errors\":[{\"field\":\"name\",\"code\":\"too_short\",\"detail\":\"Too short: the text "
            "needs at least 2 characters.\"},{\"field\":\"count\",",
            "{\"field\":\"x\",\"code\":\"unknown\"" } },
        { "POST", "application/json", "lang=en", "[]", { "Status: 400 ", "Place: byte" } },
        { "POST", "", "", "{\"name\":\"abc\"}", { "Status: 415 " } },
        { "POST", "text/plain", "", "{\"name\":\"abc\"}", { "Status: 415 " } },
        { "POST", "application/jsonp", "", "{\"name\":\"abc\"}", { "Status: 415 " } },
        { "POST",
          "application/json; charset=windows-1251",
          "",
          "{\"name\":\"abc\"}",
          { "Status: 415 " } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char method[32], type[96], query[96];
        snprintf(method, sizeof method, "REQUEST_METHOD=%s", cases[i].method);
        snprintf(type, sizeof type, "CONTENT_TYPE=%s", cases[i].type);
        snprintf(query, sizeof query, "QUERY_STRING=%s", cases[i].query);
        const char *parts[4] = { cases[i].parts[0], cases[i].parts[1], cases[i].parts[2] };
        expect(PARAMS(method, "DOCUMENT_URI=/fields", type, query), str_of(cases[i].body), parts);
    }
}

static void health_needs_no_database_and_says_so(void **state)
{
    (void)state;
    struct str none = STR("");
    expect(GET("/health/live", "X=1"), none, PARAMS("Status: 200 ", "{\"status\":\"ok\"}"));
    expect(GET("/health/ready", "X=1"), none,
           PARAMS("Status: 503 ", "\"database_connections\":2,\"ready\":0"));
    expect(GET("/metrics", "X=1"), none,
           PARAMS("Status: 200 ", "Content-Type: text/plain; version=0.0.4",
                  "# TYPE otklik_requests_total counter\notklik_requests_total 3\n",
                  "otklik_requests_in_hand 1\n",
                  "otklik_request_duration_seconds_bucket{le=\"+Inf\"} 2\n",
                  "otklik_request_duration_seconds_count 2\n"));
}

/* ---- connections */

static void a_kept_connection_takes_the_next_request(void **state)
{
    (void)state;
    int fd = connect_to_it();
    for (int i = 0; i < 3; i++) {
        send_request(fd, 1, GET("/tell", "X=1"), STR(""));
        struct buffer b = receive_reply(fd);
        assert_non_null(b.p);
        free(b.p);
    }
    close(fd);
}

static void a_long_reply_reaches_a_slow_reader_whole(void **state)
{
    (void)state;
    int fd = connect_to_it();
    send_request(fd, 1, GET("/much", "X=1"), STR(""));
    usleep(200000); /* the socket's buffer is full long before */
    expect(GET("/tell", "X=1"), STR(""), PARAMS("Status: 200 ")); /* others do not wait */
    struct buffer b = receive_reply(fd);
    assert_non_null(b.p);
    const char *body = strstr(b.p, "\r\n\r\n") + 4;
    assert_int_equal(b.n - (size_t)(body - b.p), BIG_BYTES);
    for (size_t i = 0; i < BIG_BYTES; i++) {
        assert_int_equal(body[i], 'a' + (int)(i % 23));
    }
    free(b.p);
    send_request(fd, 1, GET("/tell", "X=1"), STR(""));
    b = receive_reply(fd);
    assert_non_null(b.p);
    free(b.p);
    close(fd);
}

static void a_reader_that_leaves_hurts_nobody(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        int fd = connect_to_it();
        send_request(fd, 1, GET("/much", "X=1"), STR(""));
        usleep(i * 500);
        close(fd); /* with most of it unread */
        fd = connect_to_it();
        struct buffer b = request_of(1, GET("/tell", "X=1"), STR("hello"));
        send_all(fd, b.p, b.n * (size_t)i / 20); /* and one that never ends */
        free(b.p);
        close(fd);
    }
    expect(GET("/metrics", "X=1"), STR(""),
           PARAMS("otklik_requests_in_hand 1\n", "otklik_requests_total 21\n"));
}

static void rubbish_ends_its_connection_only(void **state)
{
    (void)state;
    int good = connect_to_it(), bad = connect_to_it();
    send_all(bad, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
    assert_true(is_closed(bad));
    close(bad);
    send_request(good, 1, GET("/tell", "X=1"), STR(""));
    struct buffer b = receive_reply(good);
    assert_non_null(b.p);
    free(b.p);
    close(good);
}

static void a_body_beyond_the_limit_is_413(void **state)
{
    (void)state;
    static char body[2 * 1024 * 1024 + 1];
    expect(PARAMS("REQUEST_METHOD=POST", "DOCUMENT_URI=/tell"), (struct str){ body, sizeof body },
           PARAMS("Status: 413 ", "/problems/too-large"));
    expect(PARAMS("REQUEST_METHOD=POST", "DOCUMENT_URI=/tell"),
           (struct str){ body, sizeof body - 1 }, PARAMS("Status: 200 ", "body=2097152"));
}

/* ---- time and load */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void who_waits_too_long_hears_503_within_two_seconds(void **state)
{
    (void)state;
    double begun = now();
    char *reply = ask(GET("/stuck", "X=1"), STR(""));
    double seconds = now() - begun;
    assert_non_null(strstr(reply, "Status: 503 "));
    assert_non_null(strstr(reply, "Retry-After: 2\r\n"));
    assert_true(seconds > 1.5 && seconds < 4); /* 1.7 to 1.8; a busy machine is slower */
    free(reply);
    expect(GET("/metrics", "X=1"), STR(""),
           PARAMS("otklik_requests_late_total 1\n", "otklik_requests_in_hand 2\n"));
    /* The handler's own answer comes too late and goes nowhere. */
    expect(PARAMS("REQUEST_METHOD=POST", "DOCUMENT_URI=/release"), STR(""),
           PARAMS("Status: 303 ", "Location: /elsewhere\r\n"));
    expect(GET("/metrics", "X=1"), STR(""), PARAMS("otklik_requests_in_hand 1\n"));
}

static void beyond_the_queue_503_comes_at_once(void **state)
{
    (void)state;
    int fds[QUEUE_MAX];
    for (int i = 0; i < QUEUE_MAX; i++) {
        fds[i] = connect_to_it();
        send_request(fds[i], 1, GET("/stuck", "X=1"), STR(""));
    }
    /* The order between connections is nobody's promise: wait until all are in. */
    for (int i = 0; i < 100; i++) {
        char *reply = ask(GET("/metrics", "X=1"), STR(""));
        int all = strstr(reply, "otklik_requests_in_hand 5\n") != NULL;
        free(reply);
        if (all) {
            break;
        }
        usleep(10000);
    }
    double begun = now();
    expect(GET("/tell", "X=1"), STR(""), PARAMS("Status: 503 ", "Retry-After: 2\r\n"));
    assert_true(now() - begun < 1);
    expect(GET("/health/live", "X=1"), STR(""), PARAMS("Status: 200 "));
    expect(GET("/metrics", "X=1"), STR(""), PARAMS("otklik_requests_refused_total 1\n"));
    for (int i = 0; i < QUEUE_MAX; i++) {
        struct buffer b = receive_reply(fds[i]); /* by the clock */
        assert_non_null(b.p);
        assert_non_null(strstr(b.p, "Status: 503 "));
        free(b.p);
        close(fds[i]);
    }
    /* Their handlers never answer: it would wait for them. */
    assert_int_equal(stop_with(SIGKILL), 1000 + SIGKILL);
}

/* ---- the end */

static void sigterm_finishes_what_is_in_flight(void **state)
{
    (void)state;
    int waiting = connect_to_it(), idle = connect_to_it();
    send_request(idle, 1, GET("/tell", "X=1"), STR(""));
    struct buffer b = receive_reply(idle);
    assert_non_null(b.p);
    free(b.p);
    send_request(waiting, 1, GET("/stuck", "X=1"), STR(""));
    usleep(100000);
    assert_int_equal(kill(child, SIGTERM), 0);
    assert_true(is_closed(idle));
    b = receive_reply(waiting); /* by the clock, before the end */
    assert_non_null(b.p);
    assert_non_null(strstr(b.p, "Status: 503 "));
    free(b.p);
    assert_true(is_closed(waiting)); /* though it was to be kept */
    close(waiting);
    close(idle);
    /* Its handler never answers: ten seconds are all it gets. A second signal shortens that. */
    assert_int_equal(stop_with(SIGTERM), 1);
}

static void an_idle_service_ends_at_once(void **state)
{
    (void)state;
    double begun = now();
    assert_int_equal(stop_with(SIGTERM), 0);
    assert_true(now() - begun < 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(parameters_become_a_request, start, stop),
        cmocka_unit_test_setup_teardown(the_language_is_the_nearest_wish, start, stop),
        cmocka_unit_test_setup_teardown(a_head_has_the_length_and_no_body, start, stop),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_a_problem, start, stop),
        cmocka_unit_test_setup_teardown(fields_come_from_bodies_and_query_strings, start, stop),
        cmocka_unit_test_setup_teardown(health_needs_no_database_and_says_so, start, stop),
        cmocka_unit_test_setup_teardown(a_kept_connection_takes_the_next_request, start, stop),
        cmocka_unit_test_setup_teardown(a_long_reply_reaches_a_slow_reader_whole, start, stop),
        cmocka_unit_test_setup_teardown(a_reader_that_leaves_hurts_nobody, start, stop),
        cmocka_unit_test_setup_teardown(rubbish_ends_its_connection_only, start, stop),
        cmocka_unit_test_setup_teardown(a_body_beyond_the_limit_is_413, start, stop),
        cmocka_unit_test_setup_teardown(who_waits_too_long_hears_503_within_two_seconds, start,
                                        stop),
        cmocka_unit_test_setup_teardown(beyond_the_queue_503_comes_at_once, start, stop),
        cmocka_unit_test_setup_teardown(sigterm_finishes_what_is_in_flight, start, stop),
        cmocka_unit_test_setup_teardown(an_idle_service_ends_at_once, start, stop),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
