/* Writing XML 1.0: elements and text, nothing else; what XML cannot hold is refused. */
#ifndef XML_H
#define XML_H

#include "arena.h"

enum { XML_DEPTH_MAX = 16 };

enum xml_err {
    XML_OK = 0,
    XML_TEXT,  /* not UTF-8, or a character that XML has no way to write */
    XML_NAME,  /* not a name of ASCII letters, digits, _ - and . */
    XML_NEST,  /* closed what is not open, too deep, or something beside the root */
    XML_MEMORY /* the buffer is full */
};

/* A document being written into a buffer; without one (P NULL) only its length is counted: write
 * twice, first to learn the size. The first error stays, and nothing more is written. */
struct xml {
    char *p;
    size_t n, size;
    enum xml_err err;
    struct str open[XML_DEPTH_MAX]; /* names of the open elements; they live on */
    size_t depth;
    int rooted; /* there was a root element */
};

/* Begins with the declaration. */
void xml_begin(struct xml *x, char *p, size_t size);
void xml_open(struct xml *x, struct str name);
void xml_close(struct xml *x);
/* Escaped; a carriage return as a reference, since readers turn it into a line feed. */
void xml_text(struct xml *x, struct str text);
/* <name/> */
void xml_empty(struct xml *x, struct str name);
/* XML_OK when the document is whole. */
enum xml_err xml_end(struct xml *x);

/* S with each character that XML cannot hold replaced by U+FFFD, S itself if there is none; S is
 * valid UTF-8. .p is NULL when memory is out. */
struct str xml_clean(struct arena *a, struct str s) __attribute__((warn_unused_result));

#endif
