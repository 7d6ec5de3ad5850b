/* FastCGI 1.0 from the side of the application, without sockets. Numbers of sections are those of
 * the specification (Mark R. Brown, 29 April 1996). */
#include "fcgi.h"

#include <stdlib.h>

enum {
    VERSION = 1,
    HEADER = 8,
    CONTENT_MAX = 65535,
    CHUNK = 65528 /* a multiple of 8, as 3.3 advises */
};

enum record_type {
    BEGIN_REQUEST = 1,
    ABORT_REQUEST = 2,
    END_REQUEST = 3,
    PARAMS = 4,
    STDIN = 5,
    STDOUT = 6,
    GET_VALUES = 9,
    GET_VALUES_RESULT = 10,
    UNKNOWN_TYPE = 11
};

enum { RESPONDER = 1, KEEP_CONN = 1 };
enum protocol_status { REQUEST_COMPLETE = 0, CANT_MPX_CONN = 1, UNKNOWN_ROLE = 3 };

void fcgi_init(struct fcgi *f)
{
    *f = (struct fcgi){ .phase = FCGI_IDLE };
}

static void drop_request(struct fcgi *f)
{
    arena_free(f->request.arena);
    f->request = (struct fcgi_request){ 0 };
    f->params.p = f->body.p = NULL;
    f->params.n = f->params.size = f->body.n = f->body.size = 0;
    f->streaming = 0;
    f->phase = FCGI_IDLE;
}

void fcgi_close(struct fcgi *f)
{
    drop_request(f);
}

/* ---- writing */

static void put_header(unsigned char *p, enum record_type type, uint16_t id, size_t content)
{
    p[0] = VERSION;
    p[1] = (unsigned char)type;
    p[2] = (unsigned char)(id >> 8);
    p[3] = (unsigned char)id;
    p[4] = (unsigned char)(content >> 8);
    p[5] = (unsigned char)content;
    p[6] = 0; /* padding */
    p[7] = 0;
}

/* A small record of the codec's own; -1 when too many wait: a peer that asks and never reads. */
static int put_record(struct fcgi *f, enum record_type type, uint16_t id, const void *content,
                      size_t n)
{
    if (HEADER + n > sizeof f->out - f->nout) {
        return -1;
    }
    put_header((unsigned char *)f->out + f->nout, type, id, n);
    memcpy(f->out + f->nout + HEADER, content, n);
    f->nout += HEADER + n;
    return 0;
}

static int put_end(struct fcgi *f, uint16_t id, enum protocol_status status)
{
    unsigned char content[8] = { [4] = (unsigned char)status };
    return put_record(f, END_REQUEST, id, content, sizeof content);
}

size_t fcgi_reply(struct fcgi_request *request, struct str head, struct str body,
                  struct iovec **out)
{
    size_t total = head.n + body.n;
    size_t records = (total + CHUNK - 1) / CHUNK;
    size_t tail = HEADER + HEADER + 8; /* empty STDOUT, END_REQUEST */
    unsigned char *headers = arena_zero(request->arena, records * HEADER + tail);
    /* A record has at most three pieces: its header, the end of HEAD, a part of BODY. */
    struct iovec *iov = arena_alloc(request->arena, (records * 3 + 1) * sizeof *iov);
    if (headers == NULL || iov == NULL) {
        if (records > 1) {
            return 0;
        }
        headers = request->reserve.headers;
        iov = request->reserve.pieces;
        memset(headers, 0, sizeof request->reserve.headers);
    }
    size_t n = 0;
    for (size_t at = 0; at < total;) {
        size_t left = total - at < CHUNK ? total - at : CHUNK;
        put_header(headers, STDOUT, request->id, left);
        iov[n++] = (struct iovec){ headers, HEADER };
        headers += HEADER;
        if (at < head.n) {
            size_t piece = head.n - at < left ? head.n - at : left;
            iov[n++] = (struct iovec){ (char *)head.p + at, piece };
            at += piece;
            left -= piece;
        }
        if (left > 0) {
            iov[n++] = (struct iovec){ (char *)body.p + (at - head.n), left };
            at += left;
        }
    }
    put_header(headers, STDOUT, request->id, 0);
    put_header(headers + HEADER, END_REQUEST, request->id,
               8); /* application and protocol status: 0 */
    iov[n++] = (struct iovec){ headers, tail };
    *out = iov;
    return n;
}

/* ---- reading */

/* A length of 3.4: one byte, or four with the highest bit set. Moves *at on; -1 when it is cut off.
 */
static int read_length(const unsigned char *p, size_t n, size_t *at, size_t *length)
{
    if (*at >= n) {
        return -1;
    }
    if (p[*at] < 0x80) {
        *length = p[(*at)++];
        return 0;
    }
    if (n - *at < 4) {
        return -1;
    }
    *length = (size_t)(p[*at] & 0x7f) << 24 | (size_t)p[*at + 1] << 16 | (size_t)p[*at + 2] << 8 |
              p[*at + 3];
    *at += 4;
    return 0;
}

/* The next name and value. 1: got one; 0: the end; -1: it does not add up. */
static int next_pair(const unsigned char *p, size_t n, size_t *at, struct fcgi_param *out)
{
    if (*at == n) {
        return 0;
    }
    size_t name = 0, value = 0;
    if (read_length(p, n, at, &name) != 0 || read_length(p, n, at, &value) != 0) {
        return -1;
    }
    if (name > n - *at || value > n - *at - name) {
        return -1;
    }
    *out = (struct fcgi_param){ { (const char *)p + *at, name },
                                { (const char *)p + *at + name, value } };
    *at += name + value;
    return 1;
}

/* Adds bytes to what grows in the arena up to MAX; -1 when memory is out. */
static int grow(struct arena *a, char **p, size_t *n, size_t *size, size_t max, const char *bytes,
                size_t more)
{
    if (more > *size - *n) {
        /* By four: what was too small stays in the arena. */
        size_t wanted = *size < 2048 ? 2048 : *size * 4;
        wanted = wanted < *n + more ? *n + more : wanted;
        wanted = wanted > max ? max : wanted; /* the last doubling would eat the arena up */
        char *bigger = arena_alloc(a, wanted);
        if (bigger == NULL) {
            return -1;
        }
        if (*n > 0) {
            memcpy(bigger, *p, *n);
        }
        *p = bigger;
        *size = wanted;
    }
    memcpy(*p + *n, bytes, more);
    *n += more;
    return 0;
}

static int too_large(struct fcgi *f)
{
    f->request.too_large = 1;
    f->params.n = f->body.n = 0;
    return 0;
}

/* How long the body will be, as the peer says; only a hint for the memory. */
static size_t expected_body(const struct fcgi_request *r)
{
    for (size_t i = 0; i < r->nparams; i++) {
        struct str v = r->params[i].value;
        if (!str_eq(r->params[i].name, STR("CONTENT_LENGTH"))) {
            continue;
        }
        size_t n = 0;
        for (size_t j = 0; j < v.n; j++) {
            if (v.p[j] < '0' || v.p[j] > '9' || n > FCGI_BODY_MAX) {
                return 0;
            }
            n = n * 10 + (size_t)(v.p[j] - '0');
        }
        return n <= FCGI_BODY_MAX ? n : 0;
    }
    return 0;
}

/* Room for the body at once, where its length is told. -1 when memory is out. */
static int expect_body(struct fcgi *f)
{
    struct fcgi_request *r = &f->request;
    size_t body = f->streaming || r->too_large ? 0 : expected_body(r);
    if (body == 0) {
        return 0;
    }
    f->body.p = arena_alloc(r->arena, body);
    f->body.size = body;
    return f->body.p == NULL ? -1 : 0;
}

/* PARAMS has ended. -1: the connection is of no use any more. */
static int params_end(struct fcgi *f)
{
    struct fcgi_request *r = &f->request;
    f->phase = FCGI_STDIN;
    if (r->too_large) {
        return 0;
    }
    const unsigned char *p = (const unsigned char *)f->params.p;
    struct fcgi_param pair;
    size_t at = 0, n = 0;
    int more;
    while ((more = next_pair(p, f->params.n, &at, &pair)) > 0) {
        n++;
    }
    if (more < 0) {
        return -1;
    }
    r->params = arena_alloc(r->arena, n * sizeof *r->params);
    if (r->params == NULL) {
        return -1;
    }
    for (at = 0; next_pair(p, f->params.n, &at, &pair) > 0;) {
        r->params[r->nparams++] = pair;
    }
    return f->announces ? 0 : expect_body(f);
}

static int begin(struct fcgi *f, uint16_t id)
{
    if (f->nsmall != 8) {
        return -1;
    }
    unsigned role = (unsigned)f->small[0] << 8 | f->small[1];
    if (f->phase != FCGI_IDLE) {
        return id == f->request.id && f->phase != FCGI_BUSY ? -1 : put_end(f, id, CANT_MPX_CONN);
    }
    if (role != RESPONDER) {
        return put_end(f, id, UNKNOWN_ROLE);
    }
    f->request = (struct fcgi_request){ .arena = arena_new(FCGI_ARENA_MAX),
                                        .id = id,
                                        .keep = f->small[2] & KEEP_CONN };
    f->phase = FCGI_PARAMS;
    return f->request.arena == NULL ? -1 : 0;
}

/* 4.1: what of FCGI_MAX_CONNS, FCGI_MAX_REQS, FCGI_MPXS_CONNS is asked for. */
static int answer_values(struct fcgi *f)
{
    static const struct {
        struct str name, value;
    } known[] = { { STR("FCGI_MAX_CONNS"), STR("1024") },
                  { STR("FCGI_MAX_REQS"), STR("1024") },
                  { STR("FCGI_MPXS_CONNS"), STR("0") } };
    char content[128];
    size_t n = 0, at = 0;
    struct fcgi_param pair;
    int answered[sizeof known / sizeof *known] = { 0 };
    int more;
    while ((more = next_pair(f->small, f->nsmall, &at, &pair)) > 0) {
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            if (answered[i] || !str_eq(pair.name, known[i].name)) {
                continue;
            }
            answered[i] = 1; /* once: so that all of them fit */
            content[n++] = (char)known[i].name.n;
            content[n++] = (char)known[i].value.n;
            memcpy(content + n, known[i].name.p, known[i].name.n);
            n += known[i].name.n;
            memcpy(content + n, known[i].value.p, known[i].value.n);
            n += known[i].value.n;
        }
    }
    return more < 0 ? -1 : put_record(f, GET_VALUES_RESULT, 0, content, n);
}

static unsigned record_type(const struct fcgi *f)
{
    return f->header[1];
}

static uint16_t record_id(const struct fcgi *f)
{
    return (uint16_t)(f->header[2] << 8 | f->header[3]);
}

/* Is the record part of the request being read? Others are passed over (3.3). */
static int is_ours(const struct fcgi *f)
{
    return (f->phase == FCGI_PARAMS || f->phase == FCGI_STDIN) && record_id(f) == f->request.id;
}

/* Content of a record, piece by piece. */
static int take_content(struct fcgi *f, const char *p, size_t n)
{
    struct fcgi_request *r = &f->request;
    unsigned type = record_type(f);
    if (type == BEGIN_REQUEST || type == GET_VALUES) {
        if (n > sizeof f->small - f->nsmall) {
            return -1;
        }
        memcpy(f->small + f->nsmall, p, n);
        f->nsmall += n;
        return 0;
    }
    if ((type != PARAMS && type != STDIN) || !is_ours(f)) {
        return 0;
    }
    if ((type == PARAMS) != (f->phase == FCGI_PARAMS)) {
        return -1; /* out of order */
    }
    if (r->too_large) {
        return 0;
    }
    if (type == STDIN && f->streaming) {
        f->piece = (struct str){ p, n };
        return 0;
    }
    if (type == STDIN && f->body.size == 0 && expect_body(f) != 0) {
        return -1;
    }
    if (type == PARAMS) {
        return n > FCGI_PARAMS_MAX - f->params.n ? too_large(f)
                                                 : grow(r->arena, &f->params.p, &f->params.n,
                                                        &f->params.size, FCGI_PARAMS_MAX, p, n);
    }
    return n > FCGI_BODY_MAX - f->body.n
               ? too_large(f)
               : grow(r->arena, &f->body.p, &f->body.n, &f->body.size, FCGI_BODY_MAX, p, n);
}

/* A record is complete. */
static enum fcgi_event end_record(struct fcgi *f)
{
    unsigned type = record_type(f);
    uint16_t id = record_id(f);
    int empty = f->header[4] == 0 && f->header[5] == 0;
    int bad = 0;

    if (type == GET_VALUES && id == 0) {
        bad = answer_values(f);
    } else if (type == BEGIN_REQUEST && id != 0) {
        bad = begin(f, id);
    } else if (type == ABORT_REQUEST && f->phase == FCGI_BUSY && id == f->request.id) {
        return FCGI_ABORTED;
    } else if (type == ABORT_REQUEST && is_ours(f)) {
        drop_request(f);
        bad = put_end(f, id, REQUEST_COMPLETE);
    } else if (type == PARAMS && is_ours(f) && empty) {
        bad = f->phase == FCGI_PARAMS ? params_end(f) : -1;
        if (!bad && f->announces && !f->request.too_large) {
            return FCGI_BEGUN;
        }
    } else if (type == STDIN && is_ours(f) && empty) {
        if (f->phase == FCGI_STDIN) {
            f->request.body = (struct str){ f->body.p, f->body.n };
            f->phase = FCGI_BUSY;
            return FCGI_REQUEST;
        }
        bad = -1;
    } else if (id == 0 || type == 0 || type > UNKNOWN_TYPE) {
        unsigned char content[8] = { [0] = (unsigned char)type };
        bad = put_record(f, UNKNOWN_TYPE, 0, content, sizeof content);
    }
    return bad ? FCGI_BROKEN : FCGI_MORE;
}

enum fcgi_event fcgi_feed(struct fcgi *f, const char *p, size_t n, size_t *used)
{
    size_t at = 0;
    enum fcgi_event event = FCGI_MORE;
    while (at < n && event == FCGI_MORE) {
        if (f->nheader < HEADER) {
            size_t piece = HEADER - f->nheader < n - at ? HEADER - f->nheader : n - at;
            memcpy(f->header + f->nheader, p + at, piece);
            f->nheader += piece;
            at += piece;
            if (f->nheader < HEADER) {
                break;
            }
            if (f->header[0] != VERSION) {
                event = FCGI_BROKEN;
                break;
            }
            f->content_left = (uint16_t)(f->header[4] << 8 | f->header[5]);
            f->padding_left = f->header[6];
            f->nsmall = 0;
        }
        if (f->content_left > 0) {
            size_t piece = f->content_left < n - at ? f->content_left : n - at;
            f->piece.n = 0;
            if (piece > 0 && take_content(f, p + at, piece) != 0) {
                event = FCGI_BROKEN;
                break;
            }
            f->content_left = (uint16_t)(f->content_left - piece);
            at += piece;
            if (f->piece.n > 0) {
                event = FCGI_BODY;
                break; /* the rest of the record, if only its end, comes with the next bytes */
            }
        }
        if (f->content_left == 0) {
            size_t piece = f->padding_left < n - at ? f->padding_left : n - at;
            f->padding_left = (uint8_t)(f->padding_left - piece);
            at += piece;
            if (f->padding_left == 0) {
                f->nheader = 0;
                event = end_record(f);
            }
        }
    }
    *used = at;
    return event;
}

struct fcgi_request fcgi_take(struct fcgi *f)
{
    struct fcgi_request taken = f->request;
    f->request.arena = NULL;
    f->request.params = NULL;
    f->request.nparams = 0;
    f->request.body = (struct str){ NULL, 0 };
    return taken;
}

void fcgi_stream(struct fcgi *f)
{
    f->streaming = 1;
}

void fcgi_replied(struct fcgi *f)
{
    drop_request(f);
}
