/* HTTP by libcurl's multi interface: one easy handle a slot, used again and again, so that its
 * connection stays open. */
#include "http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "cli.h"

enum { BODY_MAX = 16 << 20, TIMEOUT_S = 30, CONNECT_TIMEOUT_S = 5 };

struct slot {
    struct http *http;
    CURL *easy;
    struct curl_slist *headers; /* of the request under way */
    char *body;
    size_t n, size;
    int replayed, busy;
    char error[CURL_ERROR_SIZE];
    http_done done;
    void *data;
};

struct http {
    CURLM *multi;
    char *url;
    char *key_header;
    struct slot *slots;
    size_t nslots, busy;
};

static size_t on_body(char *p, size_t one, size_t n, void *data)
{
    struct slot *s = data;
    (void)one;
    if (s->n + n > BODY_MAX) {
        return 0; /* ends the request with an error */
    }
    if (s->n + n + 1 > s->size) {
        s->size = 2 * (s->n + n + 1);
        s->body = cli_realloc(s->body, s->size);
    }
    memcpy(s->body + s->n, p, n);
    s->n += n;
    s->body[s->n] = '\0';
    return n;
}

static size_t on_header(char *p, size_t one, size_t n, void *data)
{
    static const char name[] = "idempotency-replayed:";
    struct slot *s = data;
    (void)one;
    if (n >= sizeof(name) - 1 && strncasecmp(p, name, sizeof(name) - 1) == 0) {
        s->replayed = memmem(p, n, "true", 4) != NULL || memmem(p, n, "?1", 2) != NULL;
    }
    return n;
}

static int prepare_slot(struct http *h, struct slot *s)
{
    s->http = h;
    s->easy = curl_easy_init();
    if (s->easy == NULL) {
        return -1;
    }
    s->size = 4096;
    s->body = cli_alloc(s->size);
    curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
    curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(s->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(s->easy, CURLOPT_HEADERDATA, s);
    curl_easy_setopt(s->easy, CURLOPT_ERRORBUFFER, s->error);
    curl_easy_setopt(s->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(s->easy, CURLOPT_USERAGENT, "otklik/" OTK_VERSION);
    curl_easy_setopt(s->easy, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    curl_easy_setopt(s->easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(s->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    if (strncmp(h->url, "http://127.", 11) == 0 || strncmp(h->url, "http://localhost", 16) == 0) {
        curl_easy_setopt(s->easy, CURLOPT_PROXY, ""); /* whatever the environment says */
    }
    return 0;
}

struct http *http_open(const char *url, const char *key, size_t slots)
{
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
        cli_error("\"%s\" is not an address such as http://127.0.0.1:8080", url);
        return NULL;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct http *h = cli_alloc(sizeof(*h));
    size_t n = strlen(url);
    while (n > 0 && url[n - 1] == '/') {
        n--;
    }
    h->url = cli_printf("%.*s", (int)n, url);
    h->key_header = cli_printf("X-Api-Key: %s", key);
    h->multi = curl_multi_init();
    h->nslots = slots;
    h->slots = cli_alloc(slots * sizeof(*h->slots));
    int ok = h->multi != NULL;
    for (size_t i = 0; ok && i < slots; i++) {
        ok = prepare_slot(h, &h->slots[i]) == 0;
    }
    if (!ok) {
        cli_error("libcurl has no memory");
        http_close(h);
        return NULL;
    }
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)slots);
    return h;
}

void http_close(struct http *h)
{
    if (h == NULL) {
        return;
    }
    for (size_t i = 0; i < h->nslots; i++) {
        struct slot *s = &h->slots[i];
        if (s->busy) {
            curl_multi_remove_handle(h->multi, s->easy);
        }
        curl_easy_cleanup(s->easy);
        curl_slist_free_all(s->headers);
        free(s->body);
    }
    curl_multi_cleanup(h->multi);
    curl_global_cleanup();
    free(h->slots);
    free(h->key_header);
    free(h->url);
    free(h);
}

/* Adds a header to the slot's list; libcurl copies it. */
static int add_header(struct slot *s, const char *header)
{
    struct curl_slist *longer = curl_slist_append(s->headers, header);
    if (longer == NULL) {
        return -1;
    }
    s->headers = longer;
    return 0;
}

int http_send(struct http *h, size_t slot, const char *path, const char *body, size_t length,
              const char *idempotency_key, http_done done, void *data)
{
    struct slot *s = &h->slots[slot];
    char url[2048], header[160];
    snprintf(url, sizeof(url), "%s%s", h->url, path);
    curl_slist_free_all(s->headers);
    s->headers = NULL;
    s->n = 0;
    s->body[0] = '\0';
    s->error[0] = '\0';
    s->replayed = 0;
    s->done = done;
    s->data = data;
    int bad = add_header(s, h->key_header);
    bad = bad || add_header(s, "Accept-Language: ru");
    if (body != NULL) {
        bad = bad || add_header(s, "Content-Type: application/json");
        curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE, (long)length);
        curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, body);
    } else {
        curl_easy_setopt(s->easy, CURLOPT_HTTPGET, 1L);
    }
    if (idempotency_key != NULL) {
        snprintf(header, sizeof(header), "Idempotency-Key: \"%s\"", idempotency_key);
        bad = bad || add_header(s, header);
    }
    curl_easy_setopt(s->easy, CURLOPT_URL, url);
    curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, s->headers);
    if (bad || curl_multi_add_handle(h->multi, s->easy) != CURLM_OK) {
        cli_error("libcurl has no memory");
        return -1;
    }
    s->busy = 1;
    h->busy++;
    return 0;
}

/* Tells who asked; the slot is free again from here on. */
static void finish(struct slot *s, CURLcode code)
{
    struct http_answer answer = { .body = { s->body, s->n }, .replayed = s->replayed };
    curl_off_t us = 0, wait = 0;
    if (code == CURLE_OK) {
        long status = 0;
        curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(s->easy, CURLINFO_RETRY_AFTER, &wait);
        answer.status = (int)status;
        answer.retry_after = wait > 3600 ? 3600 : (int)wait;
    } else {
        answer.error = s->error[0] != '\0' ? s->error : curl_easy_strerror(code);
    }
    curl_easy_getinfo(s->easy, CURLINFO_TOTAL_TIME_T, &us);
    answer.us = us;
    curl_multi_remove_handle(s->http->multi, s->easy);
    s->busy = 0;
    s->http->busy--;
    s->done(s->data, (size_t)(s - s->http->slots), &answer);
}

static void finish_all(struct http *h)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(h->multi, &left)) != NULL) {
        struct slot *s = NULL;
        CURLcode code = message->data.result;
        if (message->msg == CURLMSG_DONE) {
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&s);
            finish(s, code);
        }
    }
}

int http_wait(struct http *h, int64_t timeout_us)
{
    int running;
    size_t before = h->busy;
    CURLMcode code = curl_multi_perform(h->multi, &running);
    finish_all(h);
    if (code == CURLM_OK && h->busy == before && timeout_us > 0) {
        code = curl_multi_poll(h->multi, NULL, 0, (int)((timeout_us + 999) / 1000), NULL);
        if (code == CURLM_OK) {
            code = curl_multi_perform(h->multi, &running);
            finish_all(h);
        }
    }
    if (code != CURLM_OK) {
        cli_error("libcurl: %s", curl_multi_strerror(code));
        return -1;
    }
    return 0;
}

size_t http_busy(const struct http *h)
{
    return h->busy;
}
