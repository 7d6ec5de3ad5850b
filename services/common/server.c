/* FastCGI connections on a Unix socket.
 *
 * A connection is freed by libuv's close callback, after the batch of events in which it was
 * closed, so an event of the same batch never meets freed memory. While a request waits for its
 * reply the connection is still read: that is how an abort is seen. */
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

enum {
    BACKLOG = 1024,
    CONNECTIONS_MAX = 4096,
    ACCEPT_AT_ONCE = 64,
    ACCEPT_PAUSE_MS = 1000, /* when file descriptors are out */
    SWEEP_MS = 1000,
    PARTIAL_MS = 10000, /* from the first byte of a request to its last, of a streamed body from
                         * piece to piece; nginx sends it whole */
    IDLE_MS = 150000,   /* longer than nginx keeps a connection: nginx closes first */
    WRITE_MS = 30000,
    STOP_IDLE_MS = 50, /* at the end: one just accepted has its request on the way */
    SYSTEMD_FD = 3,    /* sd_listen_fds(3) */
    READ_BYTES = 65536
};

struct connection {
    uv_pipe_t pipe;
    struct server *server;
    struct connection *next, **link;
    struct fcgi fcgi;
    struct call *call; /* waits for its reply, or is being written */
    struct sink *sink; /* takes the body that is coming in */
    uint64_t since;    /* ms of the loop: the last change of what we wait for */
    int writing;
    int paused; /* the sink has no room */
    int closing;
};

struct server {
    uv_loop_t *loop;
    uv_poll_t listener;
    uv_timer_t pause, sweep;
    int fd;
    int stopping;
    struct server_owner owner;
    struct connection *connections;
    size_t n;
    char buffer[READ_BYTES]; /* the codec copies what it keeps */
};

/* ---- connections */

static void on_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    c->server->n--;
    free(c);
}

static void drop_sink(struct connection *c)
{
    if (c->sink != NULL) {
        c->sink->resume = NULL;
        c->sink->drop(c->sink);
        c->sink = NULL;
    }
}

static void close_connection(struct connection *c)
{
    if (c->closing) {
        return;
    }
    c->closing = 1;
    if (c->call != NULL && !c->writing) {
        c->call->connection = NULL; /* its reply goes nowhere */
        c->call = NULL;
    }
    drop_sink(c);
    fcgi_close(&c->fcgi);
    *c->link = c->next;
    if (c->next != NULL) {
        c->next->link = c->link;
    }
    uv_close((uv_handle_t *)&c->pipe, on_closed);
}

static void finish_write(struct connection *c, struct call *call, int ok)
{
    c->call = NULL;
    c->writing = 0;
    c->since = uv_now(c->server->loop);
    fcgi_replied(&c->fcgi);
    if (!ok || !call->request.keep || c->server->stopping) {
        close_connection(c);
    }
    call->connection = NULL;
    call->written(call);
}

static void on_written(uv_write_t *write, int status)
{
    struct call *call = write->data;
    finish_write(call->connection, call, status == 0);
}

/* libuv's buffers and struct iovec are the same thing under Unix (uv_buf_t is documented to cast to
 * it). */
_Static_assert(sizeof(uv_buf_t) == sizeof(struct iovec), "uv_buf_t is struct iovec");

static void skip_written(struct iovec **iov, size_t *n, size_t written)
{
    while (*n > 0 && written >= (*iov)->iov_len) {
        written -= (*iov)->iov_len;
        (*iov)++;
        (*n)--;
    }
    if (*n > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + written;
        (*iov)->iov_len -= written;
    }
}

void server_reply(struct call *call, struct str head, struct str body,
                  void (*written)(struct call *call))
{
    struct connection *c = call->connection;
    call->written = written;
    if (c == NULL) {
        written(call);
        return;
    }
    struct iovec *iov = NULL;
    size_t n = fcgi_reply(&call->request, head, body, &iov);
    if (n == 0) {
        finish_write(c, call, 0);
        return;
    }
    uv_stream_t *stream = (uv_stream_t *)&c->pipe;
    int sent = uv_try_write(stream, (uv_buf_t *)iov, (unsigned)n);
    if (sent >= 0) {
        skip_written(&iov, &n, (size_t)sent);
    }
    if (n == 0 || (sent < 0 && sent != UV_EAGAIN)) {
        finish_write(c, call, n == 0);
        return;
    }
    call->write.data = call;
    c->writing = 1;
    c->since = uv_now(c->server->loop);
    if (uv_write(&call->write, stream, (uv_buf_t *)iov, (unsigned)n, on_written) != 0) {
        finish_write(c, call, 0);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf);

static void read_on(void *data)
{
    struct connection *c = data;
    if (c->paused && !c->closing) {
        c->paused = 0;
        c->since = uv_now(c->server->loop);
        if (uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read) != 0) {
            close_connection(c);
        }
    }
}

static void begin_body(struct connection *c)
{
    struct server *s = c->server;
    c->sink = s->owner.sink == NULL ? NULL : s->owner.sink(s->owner.data, &c->fcgi.request);
    if (c->sink != NULL) {
        c->sink->resume = read_on;
        c->sink->data = c;
        fcgi_stream(&c->fcgi);
    }
}

/* Reading stops when the sink says so: what has been read in this turn still goes to it. */
static void take_body(struct connection *c)
{
    c->since = uv_now(c->server->loop);
    if (c->sink->take(c->sink, c->fcgi.piece) && !c->paused) {
        c->paused = 1;
        uv_read_stop((uv_stream_t *)&c->pipe);
    }
}

static void begin_call(struct connection *c)
{
    struct fcgi_request request = fcgi_take(&c->fcgi);
    struct call *call = arena_zero(request.arena, sizeof *call);
    if (call == NULL) {
        drop_sink(c);
        arena_free(request.arena);
        close_connection(c);
        return;
    }
    call->request = request;
    call->connection = c;
    if (c->sink != NULL) {
        c->sink->resume = NULL;
        call->sink = c->sink;
        c->sink = NULL;
    }
    c->call = call;
    c->since = uv_now(c->server->loop);
    read_on(c); /* the body is here; an abort should be seen */
    c->server->owner.serve(c->server->owner.data, call);
}

/* What the codec itself has to say is short: a peer that does not take it is not nginx. */
static void send_own(struct connection *c)
{
    if (c->closing || c->fcgi.nout == 0) {
        return;
    }
    uv_buf_t buf = uv_buf_init(c->fcgi.out, (unsigned)c->fcgi.nout);
    if (uv_try_write((uv_stream_t *)&c->pipe, &buf, 1) != (int)c->fcgi.nout) {
        close_connection(c);
    }
    c->fcgi.nout = 0;
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct connection *c = stream->data;
    if (nread < 0) {
        close_connection(c);
        return;
    }
    if (c->fcgi.phase == FCGI_IDLE && c->fcgi.nheader == 0) {
        c->since = uv_now(c->server->loop);
    }
    for (size_t at = 0; at < (size_t)nread && !c->closing;) {
        size_t used = 0;
        enum fcgi_event event = fcgi_feed(&c->fcgi, buf->base + at, (size_t)nread - at, &used);
        at += used;
        send_own(c);
        if (c->closing) {
            return;
        }
        if (c->fcgi.phase == FCGI_IDLE) {
            drop_sink(c); /* aborted before its end */
        }
        if (event == FCGI_BEGUN) {
            begin_body(c);
        } else if (event == FCGI_BODY && c->sink != NULL) {
            take_body(c);
        } else if (event == FCGI_REQUEST) {
            begin_call(c);
        } else if (event == FCGI_BROKEN) {
            close_connection(c);
        }
        /* FCGI_ABORTED: the work goes on, it may be a commit; the reply ends the request. */
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct connection *c = handle->data;
    *buf = uv_buf_init(c->server->buffer, sizeof c->server->buffer);
}

static void add_connection(struct server *s, int fd)
{
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL || uv_pipe_init(s->loop, &c->pipe, 0) != 0) {
        free(c);
        close(fd);
        return;
    }
    c->server = s;
    c->pipe.data = c;
    c->since = uv_now(s->loop);
    fcgi_init(&c->fcgi);
    c->fcgi.announces = 1;
    c->next = s->connections;
    c->link = &s->connections;
    if (c->next != NULL) {
        c->next->link = &c->next;
    }
    s->connections = c;
    s->n++;
    if (uv_pipe_open(&c->pipe, fd) != 0) {
        close(fd);
        close_connection(c);
    } else if (uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read) != 0) {
        close_connection(c);
    }
}

/* ---- the listener */

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct server *s = timer->data;
    if (!s->stopping) {
        uv_poll_start(&s->listener, UV_READABLE, on_acceptable);
    }
}

static void pause_accepting(struct server *s, const char *why)
{
    log_write(LOG_WARN, STR(""), "no new connections for %d ms: %s", ACCEPT_PAUSE_MS, why);
    uv_poll_stop(&s->listener);
    uv_timer_start(&s->pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
}

static void accept_some(struct server *s)
{
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        if (s->n >= CONNECTIONS_MAX) {
            pause_accepting(s, "too many are open");
            return;
        }
        int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            add_connection(s, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(s, strerror(errno));
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    if (status == 0) {
        accept_some(poll->data);
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct server *s = timer->data;
    uint64_t now = uv_now(s->loop);
    for (struct connection *c = s->connections, *next; c != NULL; c = next) {
        next = c->next;
        uint64_t age = now - c->since;
        int partial = c->fcgi.phase == FCGI_PARAMS || c->fcgi.phase == FCGI_STDIN ||
                      (c->fcgi.phase == FCGI_IDLE && c->fcgi.nheader > 0);
        int idle = c->fcgi.phase == FCGI_IDLE && !partial;
        if ((partial && !c->paused && age > PARTIAL_MS) || (idle && age > IDLE_MS) ||
            (c->writing && age > WRITE_MS)) {
            close_connection(c);
        }
    }
}

/* The socket that systemd hands over; -1 when it does not. */
static int inherited_socket(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    if (pid == NULL || fds == NULL || strtol(pid, NULL, 10) != (long)getpid() ||
        strtol(fds, NULL, 10) < 1) {
        return -1;
    }
    return SYSTEMD_FD;
}

static int bind_socket(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (path == NULL || *path == '\0' || strlen(path) >= sizeof address.sun_path) {
        log_write(LOG_ERROR, STR(""), "OTKLIK_SOCKET must name a socket, in at most %zu characters",
                  sizeof address.sun_path - 1);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    struct stat old;
    if (lstat(path, &old) == 0 && S_ISSOCK(old.st_mode)) {
        unlink(path); /* of a process that is gone: the supervisor runs one at a time */
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mode_t before = umask(0117); /* 0660: the owner and the group of nginx */
    int bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    umask(before);
    if (!bound || listen(fd, BACKLOG) != 0) {
        log_write(LOG_ERROR, STR(""), "%s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

struct server *server_open(uv_loop_t *loop, const char *path, struct server_owner owner)
{
    int fd = inherited_socket();
    if (fd < 0) {
        fd = bind_socket(path);
    }
    if (fd < 0) {
        return NULL;
    }
    struct server *s = calloc(1, sizeof *s);
    if (s == NULL || uv_poll_init(loop, &s->listener, fd) != 0) { /* sets O_NONBLOCK */
        log_write(LOG_ERROR, STR(""), "the socket cannot be polled");
        free(s);
        close(fd);
        return NULL;
    }
    s->loop = loop;
    s->fd = fd;
    s->owner = owner;
    uv_timer_init(loop, &s->pause);
    uv_timer_init(loop, &s->sweep);
    s->listener.data = s->pause.data = s->sweep.data = s;
    uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    uv_poll_start(&s->listener, UV_READABLE, on_acceptable);
    return s;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct server *s = handle->data;
    close(s->fd);
    s->fd = -1;
}

static void close_idle(struct server *s)
{
    uint64_t now = uv_now(s->loop);
    for (struct connection *c = s->connections, *next; c != NULL; c = next) {
        next = c->next;
        if (c->fcgi.phase == FCGI_IDLE && c->fcgi.nheader == 0 && now - c->since > STOP_IDLE_MS) {
            close_connection(c);
        }
    }
}

void server_stop(struct server *s)
{
    if (!s->stopping) {
        accept_some(s); /* who has already knocked is let in */
        s->stopping = 1;
        uv_close((uv_handle_t *)&s->listener, on_listener_closed);
        uv_close((uv_handle_t *)&s->pause, NULL);
    }
    close_idle(s);
}

size_t server_connections(const struct server *s)
{
    return s->n;
}

void server_close(struct server *s)
{
    server_stop(s);
    while (s->connections != NULL) {
        close_connection(s->connections);
    }
    if (!uv_is_closing((uv_handle_t *)&s->sweep)) {
        uv_close((uv_handle_t *)&s->sweep, NULL);
    }
}

void server_free(struct server *s)
{
    free(s);
}
