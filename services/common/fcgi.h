/* FastCGI 1.0 from the side of the application, without sockets: bytes in, events out; reply in,
 * bytes out.
 *
 * One request at a time on a connection, as nginx sends them. Lengths are the peer's claims: each
 * is bounded before memory is taken. STDIN is read to its end before a request is handed out,
 * whatever becomes of it; it is gathered here, or handed on in pieces if the owner wants that. */
#ifndef FCGI_H
#define FCGI_H

#include <sys/uio.h>

#include "arena.h"
#include "otklik.h"

enum {
    FCGI_PARAMS_MAX = 64 * 1024,      /* bytes of all parameters of a request */
    FCGI_BODY_MAX = 2 * 1024 * 1024,  /* nginx: client_max_body_size */
    FCGI_ARENA_MAX = 8 * 1024 * 1024, /* memory of a request, parameters and body included */
    FCGI_OUT_MAX = 512                /* answers of the codec's own, waiting to be sent */
};

struct fcgi_param {
    struct str name, value;
};

/* A complete request. The arena holds all of it and belongs to whoever takes the request. */
struct fcgi_request {
    struct arena *arena;
    struct fcgi_param *params;
    size_t nparams;
    struct str body;
    int too_large; /* parameters or body did not fit: nothing of them is here */
    uint16_t id;
    int keep; /* the connection goes on after the reply */
    struct {
        unsigned char headers[32];
        struct iovec pieces[4];
    } reserve; /* for a reply of one record when the arena is used up */
};

enum fcgi_event {
    FCGI_MORE,    /* all bytes taken, nothing to do */
    FCGI_BEGUN,   /* f->request has its parameters, not its body: only when f->announces */
    FCGI_BODY,    /* f->piece holds bytes of the body, only after fcgi_stream */
    FCGI_REQUEST, /* f->request is complete; feed the rest after taking it */
    FCGI_ABORTED, /* whoever asked no longer waits for the reply; the reply is still due */
    FCGI_BROKEN   /* close the connection: not FastCGI, or memory is out */
};

enum fcgi_phase { FCGI_IDLE, FCGI_PARAMS, FCGI_STDIN, FCGI_BUSY };

struct fcgi {
    enum fcgi_phase phase;
    int announces; /* the owner's: tell of a request when its parameters are complete */
    struct fcgi_request request;
    struct {
        char *p;
        size_t n, size;
    } params, body;   /* in request.arena, growing */
    int streaming;    /* the body goes out piece by piece and is not kept */
    struct str piece; /* of FCGI_BODY, in the bytes fed */

    unsigned char header[8];
    size_t nheader;
    uint16_t content_left; /* of the record being read */
    uint8_t padding_left;
    unsigned char small[FCGI_OUT_MAX]; /* content of BEGIN_REQUEST and GET_VALUES */
    size_t nsmall;

    char out[FCGI_OUT_MAX]; /* to be sent by the owner, who then sets nout to 0 */
    size_t nout;
};

void fcgi_init(struct fcgi *f);
/* Drops what a request not yet taken holds. */
void fcgi_close(struct fcgi *f);
/* Takes bytes until something has happened; *used says how many. Look at f->nout after every call.
 */
enum fcgi_event fcgi_feed(struct fcgi *f, const char *p, size_t n, size_t *used);
/* At FCGI_BEGUN: the body is not gathered, FCGI_BODY brings it as it comes, however long it is. */
void fcgi_stream(struct fcgi *f);
/* Hands the request of FCGI_REQUEST over, arena and all. */
struct fcgi_request fcgi_take(struct fcgi *f);
/* The records of a whole reply to REQUEST, HEAD and BODY left where they are; made in REQUEST's
 * arena. Returns how many pieces; 0 when memory is out, which a short reply never needs. */
size_t fcgi_reply(struct fcgi_request *request, struct str head, struct str body,
                  struct iovec **out);
/* The reply is on its way: the next request may begin. */
void fcgi_replied(struct fcgi *f);

#endif
