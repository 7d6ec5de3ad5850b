/* libcurl on the event loop.
 *
 * curl says which sockets it waits for and when it wants to be woken; libuv does both. A socket's
 * watcher lives from curl's first word about it to its last. */
#include "wire.h"

#include <stdlib.h>

#include "log.h"

enum { CONNECT_S = 10 };

struct wire {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer;
    long timeout_s;
    int closed;
};

/* A socket that curl waits for. */
struct watch {
    uv_poll_t poll;
    struct wire *wire;
    curl_socket_t socket;
};

static void look_for_ended(struct wire *w)
{
    CURLMsg *message;
    int left;
    while (!w->closed && (message = curl_multi_info_read(w->multi, &left)) != NULL) {
        struct wire_call *call = NULL;
        if (message->msg != CURLMSG_DONE ||
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call) != CURLE_OK) {
            continue;
        }
        call->code = message->data.result; /* gone once the handle is removed */
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &call->status);
        curl_multi_remove_handle(w->multi, call->easy);
        call->done(call);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    struct wire *w = watch->wire;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    int running;
    flags |= (events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0;
    flags |= (events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
    curl_multi_socket_action(w->multi, watch->socket, flags, &running);
    look_for_ended(w);
}

static void on_timer(uv_timer_t *timer)
{
    struct wire *w = timer->data;
    int running;
    curl_multi_socket_action(w->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    look_for_ended(w);
}

static int set_timer(CURLM *multi, long ms, void *data)
{
    (void)multi;
    struct wire *w = data;
    if (w->closed) {
        return 0;
    }
    if (ms < 0) {
        uv_timer_stop(&w->timer);
    } else {
        uv_timer_start(&w->timer, on_timer, (uint64_t)ms, 0); /* never from within this call */
    }
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static int set_socket(CURL *easy, curl_socket_t socket, int what, void *data, void *socket_data)
{
    (void)easy;
    struct wire *w = data;
    struct watch *watch = socket_data;
    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL && !uv_is_closing((uv_handle_t *)&watch->poll)) {
            uv_poll_stop(&watch->poll);
            uv_close((uv_handle_t *)&watch->poll, on_closed);
        }
        curl_multi_assign(w->multi, socket, NULL);
        return 0;
    }
    if (watch == NULL) {
        watch = calloc(1, sizeof *watch);
        if (watch == NULL || uv_poll_init_socket(w->loop, &watch->poll, socket) != 0) {
            free(watch);
            return -1; /* the transfer fails */
        }
        watch->wire = w;
        watch->socket = socket;
        watch->poll.data = watch;
        curl_multi_assign(w->multi, socket, watch);
    }
    int events = ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) |
                 ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0);
    return uv_poll_start(&watch->poll, events, on_poll) == 0 ? 0 : -1;
}

struct wire *wire_open(uv_loop_t *loop, long timeout_s, long at_once)
{
    struct wire *w = calloc(1, sizeof *w);
    if (w == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        (w->multi = curl_multi_init()) == NULL) {
        log_write(LOG_ERROR, STR(""), "libcurl does not start");
        free(w);
        return NULL;
    }
    w->loop = loop;
    w->timeout_s = timeout_s;
    uv_timer_init(loop, &w->timer);
    w->timer.data = w;
    curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w);
    curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, w);
    curl_multi_setopt(w->multi, CURLMOPT_MAXCONNECTS, at_once);
    return w;
}

/* What is too long is cut: an answer that we would believe is short. */
static size_t take_answer(const char *p, size_t size, size_t n, void *data)
{
    struct wire_call *call = data;
    size_t given = size * n, room = WIRE_ANSWER_MAX - call->n;
    size_t taken = given < room ? given : room;
    memcpy(call->answer + call->n, p, taken);
    call->n += taken;
    call->answer[call->n] = '\0';
    return given;
}

static size_t give_upload(char *out, size_t size, size_t n, void *data)
{
    struct wire_call *call = data;
    size_t left = call->upload.n - call->read, room = size * n;
    size_t given = left < room ? left : room;
    memcpy(out, call->upload.p + call->read, given);
    call->read += given;
    return given;
}

int wire_begin(struct wire *w, struct wire_call *call, const char *url, const char *protocols)
{
    call->headers = call->recipients = NULL;
    call->read = call->n = 0;
    call->answer[0] = '\0';
    call->status = 0;
    call->easy = curl_easy_init();
    if (call->easy == NULL) {
        return -1;
    }
    CURL *e = call->easy;
    int bad = curl_easy_setopt(e, CURLOPT_URL, url) != CURLE_OK;
    bad |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, protocols) != CURLE_OK;
    bad |= curl_easy_setopt(e, CURLOPT_PRIVATE, call) != CURLE_OK;
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_TIMEOUT, w->timeout_s);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT,
                     w->timeout_s < CONNECT_S ? w->timeout_s : (long)CONNECT_S);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(e, CURLOPT_READFUNCTION, give_upload);
    curl_easy_setopt(e, CURLOPT_READDATA, call);
    return bad ? -1 : 0;
}

int wire_send(struct wire *w, struct wire_call *call)
{
    if (call->headers != NULL) {
        curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
    }
    if (call->recipients != NULL) {
        curl_easy_setopt(call->easy, CURLOPT_MAIL_RCPT, call->recipients);
    }
    return curl_multi_add_handle(w->multi, call->easy) == CURLM_OK ? 0 : -1;
}

void wire_end(struct wire_call *call)
{
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    curl_slist_free_all(call->recipients);
    call->easy = NULL;
    call->headers = call->recipients = NULL;
}

void wire_close(struct wire *w)
{
    w->closed = 1;
    uv_close((uv_handle_t *)&w->timer, NULL);
}
