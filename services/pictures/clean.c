/* One file through the helper.
 *
 * The helper gets two open files and a pipe, nothing else: no name, no environment, no socket. It
 * is over when it has ended and its pipe is closed. The cleaned file is flushed and moved to its
 * place by a thread; only then is the result told. */
#include "clean.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

enum { FILE_MODE = 0640 /* the group reads: nginx */ };

static void close_files(struct clean *c)
{
    if (c->in >= 0) {
        close(c->in);
    }
    if (c->out >= 0) {
        close(c->out);
    }
    c->in = c->out = -1;
}

static void finish(struct clean *c, enum clean_result result)
{
    if (result != CLEAN_DONE && c->out >= 0) {
        unlink(c->making);
    }
    close_files(c);
    c->done(c, result);
}

/* ---- the file in its place */

static void settle(uv_work_t *work)
{
    struct clean *c = work->data;
    struct stat st;
    if (fstat(c->out, &st) != 0 || file_settle(c->out, c->making, c->to) != 0) {
        log_write(LOG_ERROR, STR(""), "%s: %s", c->to, strerror(errno));
        c->result = CLEAN_LATER;
        return;
    }
    c->report.size = st.st_size;
    c->result = CLEAN_DONE;
}

static void on_settled(uv_work_t *work, int status)
{
    struct clean *c = work->data;
    finish(c, status == 0 ? c->result : CLEAN_LATER);
}

/* ---- the helper's end */

static enum clean_result judge(struct clean *c)
{
    if (c->killed || c->signal == SIGXCPU || c->signal == SIGKILL || c->signal == SIGXFSZ) {
        return CLEAN_TOO_COSTLY;
    }
    if (c->signal != 0) {
        log_write(LOG_WARN, STR(""), "the helper died of signal %d over %s", c->signal, c->from);
        return CLEAN_UNREADABLE;
    }
    switch (c->status) {
    case RECODER_DONE:
        return clean_read_report(c->text, c->ntext, &c->report) == 0 ? CLEAN_DONE
                                                                     : CLEAN_UNREADABLE;
    case RECODER_TOO_MANY_PIXELS:
        return CLEAN_TOO_MANY_PIXELS;
    case RECODER_UNREADABLE:
        return CLEAN_UNREADABLE;
    default:
        log_write(LOG_ERROR, STR(""), "the helper cannot work: status %d", (int)c->status);
        return CLEAN_LATER;
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct clean *c = handle->data;
    if (--c->open_handles > 0) {
        return;
    }
    c->result = judge(c);
    if (c->result != CLEAN_DONE) {
        finish(c, c->result);
        return;
    }
    c->work.data = c;
    if (uv_queue_work(c->loop, &c->work, settle, on_settled) != 0) {
        finish(c, CLEAN_LATER);
    }
}

static void close_one(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, on_closed);
    }
}

static void close_all(struct clean *c)
{
    close_one((uv_handle_t *)&c->process);
    close_one((uv_handle_t *)&c->pipe);
    close_one((uv_handle_t *)&c->clock);
}

static void on_exit_(uv_process_t *process, int64_t status, int signal)
{
    struct clean *c = process->data;
    c->exited = 1;
    c->status = status;
    c->signal = signal;
    if (c->reported) {
        close_all(c);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct clean *c = handle->data;
    *buf = uv_buf_init(c->text + c->ntext, (unsigned)(sizeof c->text - c->ntext));
}

/* Its end, or more than a report can have: then it is none. */
static void on_report(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    struct clean *c = stream->data;
    if (n > 0) {
        c->ntext += (size_t)n;
        return;
    }
    if (n == 0) {
        return;
    }
    uv_read_stop(stream);
    c->reported = 1;
    if (c->exited) {
        close_all(c);
    } else if (n == UV_ENOBUFS) {
        uv_process_kill(&c->process, SIGKILL);
    }
}

static void on_clock(uv_timer_t *timer)
{
    struct clean *c = timer->data;
    c->killed = 1;
    uv_process_kill(&c->process, SIGKILL);
}

/* ---- its beginning */

static int spawn(struct clean *c, const char *type)
{
    char most[16];
    snprintf(most, sizeof most, "%ld", c->pixels);
    char *args[] = { (char *)c->helper, (char *)type, most, NULL };
    char *env[] = { "LANG=C", NULL };
    uv_stdio_container_t stdio[] = {
        { .flags = UV_INHERIT_FD, .data.fd = c->in },
        { .flags = UV_INHERIT_FD, .data.fd = c->out },
        { .flags = UV_IGNORE },
        { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&c->pipe },
    };
    uv_process_options_t options = { .file = c->helper,
                                     .args = args,
                                     .env = env,
                                     .stdio = stdio,
                                     .stdio_count = sizeof stdio / sizeof *stdio,
                                     .exit_cb = on_exit_ };
    uv_pipe_init(c->loop, &c->pipe, 0);
    uv_timer_init(c->loop, &c->clock);
    c->process.data = c->pipe.data = c->clock.data = c;
    c->open_handles = 3;
    int err = uv_spawn(c->loop, &c->process, &options);
    if (err != 0) {
        log_write(LOG_ERROR, STR(""), "%s: %s", c->helper, uv_strerror(err));
        return -1;
    }
    return 0;
}

/* Makes the two files; CLEAN_DONE when they are open. */
static enum clean_result open_files(struct clean *c, int region, const char *id)
{
    char place[FILE_PLACE];
    file_place(region, id, place);
    snprintf(c->from, sizeof c->from, "%s/originals/%s", c->folder, place);
    snprintf(c->to, sizeof c->to, "%s/cleaned/%s", c->folder, place);
    snprintf(c->making, sizeof c->making, "%s/cleaning/%s", c->folder, id);
    c->in = open(c->from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (c->in < 0) {
        int missing = errno == ENOENT;
        log_write(LOG_ERROR, STR(""), "%s: %s", c->from, strerror(errno));
        return missing ? CLEAN_LOST : CLEAN_LATER;
    }
    c->out = open(c->making, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (c->out < 0) {
        log_write(LOG_ERROR, STR(""), "%s: %s", c->making, strerror(errno));
        return CLEAN_LATER;
    }
    return CLEAN_DONE;
}

void clean_start(struct clean *c, int region, const char *id, const char *type)
{
    c->in = c->out = -1;
    c->ntext = 0;
    c->exited = c->reported = c->killed = c->signal = 0;
    c->status = 0;
    enum clean_result result = open_files(c, region, id);
    if (result != CLEAN_DONE) {
        finish(c, result);
        return;
    }
    if (spawn(c, type) != 0) {
        c->status = -1; /* judged as the machine's fault */
        close_all(c);
        return;
    }
    uv_timer_start(&c->clock, on_clock, (uint64_t)c->seconds * 1000, 0);
    uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_report);
}
