/* multipart/form-data (RFC 7578 over RFC 2046), without input or output: bytes in, events out.
 *
 * Whatever way the bytes are cut, the events say the same. What is kept between two calls is
 * bounded: the boundary and the headers of one part. */
#ifndef MULTIPART_H
#define MULTIPART_H

#include "otklik.h"

enum {
    MULTIPART_BOUNDARY_MAX = 70,  /* RFC 2046, 5.1.1 */
    MULTIPART_HEADERS_MAX = 4096, /* of one part */
    MULTIPART_TYPE_MAX = 127
};

enum multipart_event {
    MULTIPART_MORE,     /* all bytes taken */
    MULTIPART_PART,     /* a part begins: name, filename, has_filename, type */
    MULTIPART_DATA,     /* data holds bytes of it */
    MULTIPART_PART_END, /* the part is complete */
    MULTIPART_BROKEN    /* not multipart; feed it no more */
};

enum multipart_state {
    MULTIPART_PREAMBLE,
    MULTIPART_AFTER_DELIMITER, /* the rest of its line */
    MULTIPART_HEADERS,
    MULTIPART_BODY,
    MULTIPART_EPILOGUE,
    MULTIPART_FAILED
};

struct multipart {
    enum multipart_state state;
    char delimiter[4 + MULTIPART_BOUNDARY_MAX]; /* CR LF - - boundary */
    size_t ndelimiter;
    size_t matched; /* how much of the delimiter the last bytes are */
    size_t silent;  /* how much of matched is no data, should no delimiter come of it */
    size_t ndashes; /* behind a delimiter: two make it the last */
    int cr;         /* the last byte behind a delimiter was CR */
    int blank;      /* white space behind a delimiter: no dash may follow */

    char headers[MULTIPART_HEADERS_MAX];
    size_t nheaders;

    /* of the present part; they live in headers until the next part */
    struct str name;     /* quotes and escapes taken off; any bytes */
    struct str filename; /* empty without one */
    int has_filename;
    struct str type; /* the media type it claims; empty without one */
    struct str data; /* of MULTIPART_DATA: in the bytes fed, or in delimiter */
};

/* Reads the boundary out of a Content-Type of multipart/form-data. 0, or -1 when it is not one or
 * has no good boundary. */
int multipart_init(struct multipart *m, struct str content_type);
/* Takes bytes until something has happened; *used says how many. */
enum multipart_event multipart_feed(struct multipart *m, const char *p, size_t n, size_t *used);
/* 1 when the closing delimiter has come: the body was whole. */
int multipart_complete(const struct multipart *m);

#endif
