/* PostgreSQL without waiting: prepared statements in pipelines over a few connections that mend
 * themselves.
 *
 * Every statement is followed by a sync of its own, so each is a transaction of its own (unless
 * begin was sent before) and one that fails takes no other along. A statement that writes has been
 * committed only when its sync is answered: PostgreSQL commits at the sync, after the rows. So a
 * result is kept until then, and an error at the commit replaces it.
 *
 * libpq may open and close its socket as it likes; each socket gets a poll handle of its own, which
 * libuv frees in its own time. */
#include "db.h"

#include <stdio.h>
#include <stdlib.h>

#include "hosts.h"
#include "log.h"

enum {
    IN_FLIGHT_MAX = 256, /* statements a connection */
    LISTENS_MAX = 8,
    PAUSE_MIN_MS = 50,
    PAUSE_MAX_MS = 1000,
    CONNECT_MS = 5000, /* to connect and to prepare everything */
    SILENCE_MS = 10000 /* whoever asked has gone long before; the server may have gone, too */
};

enum state {
    DB_PAUSED,     /* the timer will try again */
    DB_CONNECTING, /* PQconnectPoll */
    DB_PREPARING,  /* statements are on their way */
    DB_READY,
    DB_BROKEN /* the timer will bury it: a call of the owner found out */
};

struct pending {
    db_callback done;
    void *data;
    PGresult *res;
    uint64_t since; /* ms of the loop */
};

struct connection {
    struct db *db;
    int number;
    enum state state;
    PGconn *pg;
    uv_poll_t *poll; /* for the socket below */
    int socket;
    int events; /* what it is polled for; 0: start it anew */
    uv_timer_t timer;
    uint64_t pause_ms;
    int held;
    int lost;      /* it died while it was held: what is left of a transaction must not go on a new
                      session */
    int silent;    /* its failure to connect has been logged */
    unsigned turn; /* which of several servers is tried first */
    struct pending in_flight[IN_FLIGHT_MAX]; /* a ring */
    size_t first, n;
};

struct listen {
    const char *channel;
    void (*heard)(void *data, const char *payload);
    void *data;
};

struct db {
    uv_loop_t *loop;
    const char *conninfo;
    const struct statement *statements;
    size_t nstatements;
    struct listen listens[LISTENS_MAX];
    size_t nlistens;
    void (*ready)(void *data, int connection);
    void *ready_data;
    int closing;
    int open_timers;
    int reserved; /* the first ones are for db_ask_on */
    int n;
    struct connection connections[];
};

static void fail(struct connection *c, const char *why);
static void on_timer(uv_timer_t *timer);

/* ---- errors */

/* How to answer an error, by the beginning of its SQLSTATE: the first row that fits. */
static const struct {
    const char *prefix;
    enum otk_err err;
} by_sqlstate[] = {
    { "53100", OTK_FULL },        /* disk_full */
    { "08", OTK_UNAVAILABLE },    /* connection */
    { "25006", OTK_UNAVAILABLE }, /* read-only: a standby, for the moment */
    { "40", OTK_UNAVAILABLE },    /* deadlock, serialization: again with the same key */
    { "53", OTK_UNAVAILABLE },    /* resources */
    { "55", OTK_UNAVAILABLE },    /* not available, lock */
    { "57", OTK_UNAVAILABLE },    /* cancelled, shutting down, starting */
    { "58", OTK_UNAVAILABLE },    /* system */
};

static enum otk_err err_of(const char *sqlstate)
{
    for (size_t i = 0; i < sizeof by_sqlstate / sizeof *by_sqlstate; i++) {
        if (strncmp(sqlstate, by_sqlstate[i].prefix, strlen(by_sqlstate[i].prefix)) == 0) {
            return by_sqlstate[i].err;
        }
    }
    return sqlstate[0] == '\0' ? OTK_UNAVAILABLE : OTK_INTERNAL;
}

static int is_error(const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);
    return status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK;
}

/* ---- statements in flight */

/* Takes the oldest out and tells its owner. COMMITTED: its sync was answered. */
static void complete(struct connection *c, int committed)
{
    struct pending p = c->in_flight[c->first];
    c->first = (c->first + 1) % IN_FLIGHT_MAX;
    c->n--;
    struct db_result result = { .res = p.res, .sqlstate = "", .connection = c->number };
    int bad = p.res == NULL || is_error(p.res);
    if (bad && p.res != NULL) {
        const char *sqlstate = PQresultErrorField(p.res, PG_DIAG_SQLSTATE);
        result.sqlstate = sqlstate == NULL ? "" : sqlstate;
    }
    if (bad) {
        result.err = err_of(result.sqlstate);
    } else if (!committed) {
        result.err = OTK_UNAVAILABLE; /* it may have been committed: nobody knows */
    }
    p.done(p.data, &result);
    PQclear(p.res);
}

/* A result of the oldest; the first error counts. */
static void keep_result(struct connection *c, PGresult *res)
{
    struct pending *p = &c->in_flight[c->first];
    if (p->res == NULL || (is_error(res) && !is_error(p->res))) {
        PQclear(p->res);
        p->res = res;
    } else {
        PQclear(res);
    }
}

static void hear_notifications(struct connection *c)
{
    PGnotify *note;
    while (c->state == DB_READY && (note = PQnotifies(c->pg)) != NULL) {
        for (size_t i = 0; i < c->db->nlistens; i++) {
            if (strcmp(c->db->listens[i].channel, note->relname) == 0) {
                c->db->listens[i].heard(c->db->listens[i].data, note->extra);
            }
        }
        PQfreemem(note);
    }
}

static void become_ready(struct connection *c)
{
    c->state = DB_READY;
    c->pause_ms = PAUSE_MIN_MS;
    uv_timer_stop(&c->timer);
    if (c->silent) {
        log_write(LOG_INFO, STR(""), "database connection %d is back", c->number);
    }
    c->silent = 0;
    if (c->db->ready != NULL) {
        c->db->ready(c->db->ready_data, c->number);
    }
}

/* Results of PREPARING: all good until the sync, or the connection is of no use. */
static void prepared(struct connection *c, PGresult *res)
{
    if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
        PQclear(res);
        become_ready(c);
    } else if (is_error(res)) {
        const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
        char why[200];
        snprintf(why, sizeof why, "%s",
                 message == NULL ? "a statement cannot be prepared" : message);
        PQclear(res);
        fail(c, why);
    } else {
        PQclear(res);
    }
}

static void take_results(struct connection *c)
{
    /* Between the results of two statements there is a NULL; two in a row: there is no more. */
    int nulls = 0;
    while (nulls < 2 && (c->state == DB_PREPARING || (c->state == DB_READY && c->n > 0)) &&
           !PQisBusy(c->pg)) {
        PGresult *res = PQgetResult(c->pg);
        if (res == NULL) {
            nulls++;
            continue;
        }
        nulls = 0;
        if (c->state == DB_PREPARING) {
            prepared(c, res);
        } else if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
            PQclear(res);
            complete(c, 1);
        } else {
            keep_result(c, res);
        }
    }
}

/* ---- the socket */

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

static void close_poll(struct connection *c)
{
    if (c->poll != NULL) {
        c->poll->data = NULL;
        uv_close((uv_handle_t *)c->poll, on_poll_closed);
        c->poll = NULL;
    }
    c->socket = -1;
    c->events = 0;
}

/* Waits for EVENTS on libpq's present socket. -1 when it cannot. */
static int watch(struct connection *c, int events)
{
    int socket = PQsocket(c->pg);
    if (socket < 0) {
        return -1;
    }
    if (socket != c->socket) {
        close_poll(c);
        c->poll = calloc(1, sizeof *c->poll);
        if (c->poll == NULL || uv_poll_init(c->db->loop, c->poll, socket) != 0) {
            free(c->poll);
            c->poll = NULL;
            return -1;
        }
        c->poll->data = c;
        c->socket = socket;
    }
    /* Each start costs epoll two system calls, with every statement. While it connects, libpq may
     * have closed the socket and opened another of the same number, which epoll does not know. */
    if (c->state != DB_CONNECTING && c->events == events) {
        return 0;
    }
    c->events = c->state == DB_CONNECTING ? 0 : events;
    return uv_poll_start(c->poll, events, on_poll);
}

/* Sends what libpq holds back; -1: the connection is lost. */
static int flush(struct connection *c)
{
    int left = PQflush(c->pg);
    return left < 0 ? -1 : watch(c, UV_READABLE | (left > 0 ? UV_WRITABLE : 0));
}

static void trim(char *s)
{
    size_t n = strcspn(s, "\n");
    s[n] = '\0';
}

static void fail_from_libpq(struct connection *c)
{
    char why[200];
    snprintf(why, sizeof why, "%s", PQerrorMessage(c->pg));
    trim(why);
    fail(c, why[0] == '\0' ? "the connection was lost" : why);
}

/* Notices of the server go into our log, not onto standard error as they are. */
static void on_notice(void *data, const PGresult *res)
{
    (void)data;
    const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    if (message != NULL) {
        log_write(LOG_DEBUG, STR(""), "database: %s", message);
    }
}

static void prepare(struct connection *c)
{
    const struct db *db = c->db;
    c->state = DB_PREPARING;
    int bad = PQsetnonblocking(c->pg, 1) != 0 || PQenterPipelineMode(c->pg) != 1;
    for (size_t i = 0; i < db->nstatements && !bad; i++) {
        bad = PQsendPrepare(c->pg, db->statements[i].name, db->statements[i].sql, 0, NULL) != 1;
    }
    /* The last connection listens: the first ones are the busiest, and a busy session hears late.
     */
    for (size_t i = 0; i < db->nlistens && !bad && c->number == db->n - 1; i++) {
        char sql[80];
        snprintf(sql, sizeof sql, "listen %s", db->listens[i].channel);
        bad = PQsendQueryParams(c->pg, sql, 0, NULL, NULL, NULL, NULL, 0) != 1;
    }
    if (bad || PQpipelineSync(c->pg) != 1 || flush(c) != 0) {
        fail_from_libpq(c);
    }
}

static void go_on_connecting(struct connection *c)
{
    switch (PQconnectPoll(c->pg)) {
    case PGRES_POLLING_READING:
        if (watch(c, UV_READABLE) == 0) {
            return;
        }
        break;
    case PGRES_POLLING_WRITING:
        if (watch(c, UV_WRITABLE) == 0) {
            return;
        }
        break;
    case PGRES_POLLING_OK:
        prepare(c);
        return;
    default:
        break;
    }
    fail_from_libpq(c);
}

static void start_connecting(struct connection *c)
{
    c->state = DB_CONNECTING;
    c->pg = hosts_connect_start(c->db->conninfo, c->turn);
    if (c->pg == NULL) {
        fail(c, "memory is out");
        return;
    }
    PQsetNoticeReceiver(c->pg, on_notice, c);
    uv_timer_start(&c->timer, on_timer, CONNECT_MS, 0);
    /* libpq: before the first PQconnectPoll behave as if it had said WRITING. */
    if (PQstatus(c->pg) == CONNECTION_BAD || watch(c, UV_WRITABLE) != 0) {
        fail_from_libpq(c);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct connection *c = poll->data;
    if (c == NULL || c->state == DB_BROKEN) {
        return;
    }
    if (c->state == DB_CONNECTING) {
        go_on_connecting(c);
        return;
    }
    if (status != 0) {
        fail(c, uv_strerror(status));
        return;
    }
    if ((events & UV_WRITABLE) != 0 && flush(c) != 0) {
        fail_from_libpq(c);
        return;
    }
    if ((events & UV_READABLE) == 0) {
        return;
    }
    int alive = PQconsumeInput(c->pg);
    take_results(c);
    hear_notifications(c);
    if ((c->state == DB_READY || c->state == DB_PREPARING) &&
        (!alive || PQstatus(c->pg) == CONNECTION_BAD)) {
        fail_from_libpq(c);
    }
}

/* ---- life and death */

/* Buries the connection: its owners are told, and after a pause it is made anew. */
static void fail(struct connection *c, const char *why)
{
    if (!c->silent && !c->db->closing) {
        log_write(LOG_WARN, STR(""), "database connection %d: %s", c->number, why);
        c->silent = 1;
    }
    c->state = DB_PAUSED;
    c->lost = c->held;
    close_poll(c);
    PQfinish(c->pg);
    c->pg = NULL;
    if (!c->db->closing) {
        uv_timer_start(&c->timer, on_timer, c->pause_ms, 0);
        c->pause_ms = c->pause_ms * 2 < PAUSE_MAX_MS ? c->pause_ms * 2 : PAUSE_MAX_MS;
    }
    while (c->n > 0) {
        complete(c, 0);
    }
}

/* A server that hangs keeps its connections open: without this nobody would ever look for the one
 * that has taken its place. */
static void look_for_silence(struct connection *c)
{
    if (c->n == 0) {
        return;
    }
    uint64_t waited = uv_now(c->db->loop) - c->in_flight[c->first].since;
    if (waited >= SILENCE_MS) {
        c->turn++;
        fail(c, "it says nothing any more");
    } else {
        uv_timer_start(&c->timer, on_timer, SILENCE_MS - waited, 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct connection *c = timer->data;
    if (c->state == DB_PAUSED) {
        start_connecting(c);
    } else if (c->state == DB_BROKEN) {
        fail_from_libpq(c);
    } else if (c->state == DB_READY) {
        look_for_silence(c);
    } else {
        c->turn++;
        fail(c, "it takes too long to connect");
    }
}

static void break_later(struct connection *c)
{
    c->state = DB_BROKEN;
    uv_timer_start(&c->timer, on_timer, 0, 0);
}

struct db *db_open(uv_loop_t *loop, const char *conninfo, int connections,
                   const struct statement *statements, size_t n)
{
    struct db *db = calloc(1, sizeof *db + (size_t)connections * sizeof db->connections[0]);
    if (db == NULL) {
        return NULL;
    }
    *db = (struct db){ .loop = loop,
                       .conninfo = conninfo,
                       .statements = statements,
                       .nstatements = n,
                       .open_timers = connections,
                       .n = connections };
    for (int i = 0; i < connections; i++) {
        struct connection *c = &db->connections[i];
        c->db = db;
        c->number = i;
        c->socket = -1;
        c->pause_ms = PAUSE_MIN_MS;
        uv_timer_init(loop, &c->timer);
        c->timer.data = c;
        uv_timer_start(&c->timer, on_timer, 0,
                       0); /* once the loop runs: listens are known by then */
    }
    return db;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    if (--c->db->open_timers == 0) {
        free(c->db);
    }
}

void db_close(struct db *db)
{
    db->closing = 1;
    for (int i = 0; i < db->n; i++) {
        fail(&db->connections[i], "closed");
    }
    for (int i = 0; i < db->n; i++) {
        uv_close((uv_handle_t *)&db->connections[i].timer, on_timer_closed);
    }
}

/* ---- asking */

static int usable(const struct connection *c)
{
    return c->state == DB_READY && !c->lost && c->n < IN_FLIGHT_MAX;
}

/* What has just been handed to libpq: SENT says whether it took it. */
static enum otk_err sent(struct connection *c, int sent, db_callback done, void *data)
{
    if (!sent || PQpipelineSync(c->pg) != 1) {
        break_later(c);
        return OTK_UNAVAILABLE;
    }
    c->in_flight[(c->first + c->n) % IN_FLIGHT_MAX] =
        (struct pending){ done, data, NULL, uv_now(c->db->loop) };
    c->n++;
    if (!uv_is_active((uv_handle_t *)&c->timer)) {
        uv_timer_start(&c->timer, on_timer, SILENCE_MS, 0);
    }
    if (flush(c) != 0) {
        break_later(c); /* the callback comes from there */
    }
    return OTK_OK;
}

enum otk_err db_ask_on(struct db *db, int connection, size_t which, const char *const *params,
                       const int *lengths, const int *formats, db_callback done, void *data)
{
    struct connection *c = &db->connections[connection];
    if (!usable(c)) {
        return OTK_UNAVAILABLE;
    }
    const struct statement *s = &db->statements[which];
    return sent(c,
                PQsendQueryPrepared(c->pg, s->name, s->nparams, params, lengths, formats, 0) == 1,
                done, data);
}

/* The one of those from FROM up to END that has the least to do; NULL when none is ready. */
static const struct connection *least_busy(const struct db *db, int from, int end)
{
    const struct connection *best = NULL;
    for (int i = from; i < end; i++) {
        const struct connection *c = &db->connections[i];
        if (usable(c) && !c->held && (best == NULL || c->n < best->n)) {
            best = c;
        }
    }
    return best;
}

void db_reserve(struct db *db, int n)
{
    db->reserved = n;
}

enum otk_err db_ask(struct db *db, size_t which, const char *const *params, db_callback done,
                    void *data)
{
    const struct connection *best = least_busy(db, db->reserved, db->n);
    best = best == NULL ? least_busy(db, 0, db->reserved) : best;
    return best == NULL ? OTK_UNAVAILABLE
                        : db_ask_on(db, best->number, which, params, NULL, NULL, done, data);
}

enum otk_err db_command(struct db *db, int connection, const char *sql, db_callback done,
                        void *data)
{
    struct connection *c = &db->connections[connection];
    if (!usable(c)) {
        return OTK_UNAVAILABLE;
    }
    return sent(c, PQsendQueryParams(c->pg, sql, 0, NULL, NULL, NULL, NULL, 0) == 1, done, data);
}

int db_ready(const struct db *db, int connection)
{
    const struct connection *c = &db->connections[connection];
    return c->state == DB_READY && !c->lost;
}

int db_in_flight(const struct db *db, int connection)
{
    return (int)db->connections[connection].n;
}

int db_connections(const struct db *db)
{
    return db->n;
}

enum otk_err db_hold(struct db *db, int connection)
{
    struct connection *c = &db->connections[connection];
    if (c->state != DB_READY || c->held) {
        return OTK_UNAVAILABLE;
    }
    c->held = 1;
    return OTK_OK;
}

void db_release(struct db *db, int connection)
{
    db->connections[connection].held = db->connections[connection].lost = 0;
}

void db_listen(struct db *db, const char *channel, void (*heard)(void *data, const char *payload),
               void *data)
{
    if (db->nlistens < LISTENS_MAX) {
        db->listens[db->nlistens++] = (struct listen){ channel, heard, data };
    }
}

void db_on_ready(struct db *db, void (*ready)(void *data, int connection), void *data)
{
    db->ready = ready;
    db->ready_data = data;
}
