/* libcurl on the event loop: calls to mail servers and networks, many at once, none of them waited
 * for. */
#ifndef WIRE_H
#define WIRE_H

#include <curl/curl.h>
#include <uv.h>

#include "otklik.h"

enum { WIRE_ANSWER_MAX = 16 * 1024 };

struct wire;

/* One call; its memory is the caller's until done. */
struct wire_call {
    CURL *easy; /* made by wire_begin; set options between that and wire_send */
    struct curl_slist *headers, *recipients; /* freed with the call */
    struct str upload;                       /* a letter: read while it is sent */
    size_t read;
    char answer[WIRE_ANSWER_MAX + 1]; /* NUL-terminated; cut where it is full */
    size_t n;
    CURLcode code;
    long status; /* of HTTP, or the last reply of SMTP; 0: none */
    void (*done)(struct wire_call *call);
    void *data;
};

/* TIMEOUT_S is a call's time from beginning to end. NULL with the reason logged. */
struct wire *wire_open(uv_loop_t *loop, long timeout_s, long at_once);
/* 0, or -1 when memory is out. Only the schemes in PROTOCOLS ("https,http") are spoken. */
int wire_begin(struct wire *w, struct wire_call *call, const char *url, const char *protocols);
/* Calls done later, exactly once, unless the wire is closed before. -1: it could not begin, done
 * does not come. */
int wire_send(struct wire *w, struct wire_call *call);
/* Frees what the call holds; safe on one that was never begun. */
void wire_end(struct wire_call *call);
/* Closes its handles; connections are dropped. */
void wire_close(struct wire *w);

#endif
