/* Open311 GeoReport v2: the handlers of /open311, and what they share. */
#ifndef OPEN311_H
#define OPEN311_H

#include "service.h"

/* GET */
void open311_discovery(struct request *r);
void open311_services(struct request *r);
void open311_service(struct request *r);
void open311_requests(struct request *r);
void open311_request(struct request *r);
void open311_token(struct request *r);
void open311_updates(struct request *r);
/* POST /open311/v2/requests */
void open311_take(struct request *r);
/* For the rows of routes that take a form: begins the upload of one in parts; says what is wrong
 * with files. */
struct sink *open311_files(struct request *r);
void open311_invalid(struct request *r, enum otk_err err, struct str detail,
                     const struct field_errors *errors);

/* ---- between the parts of Open311 only */

enum { OPEN311_PAIRS_MAX = 256 };

enum open311_format { OPEN311_XML, OPEN311_JSON, OPEN311_CSV };

/* A request of Open311; r->state. */
struct open311 {
    enum open311_format format;
    struct str id;           /* of the path, without its format; empty without one */
    int region;              /* the jurisdiction */
    struct str own;          /* the client whose appeals are shown whole; empty: nobody */
    struct form_pair *pairs; /* of the query, then of the body */
    size_t npairs;
    union value *values; /* one a row of the table */
    struct str *wrong;   /* sentences about fields */
    size_t nwrong;
    const char *root;   /* element of the answer */
    struct str missing; /* what to say when nothing is found */
    void *more;         /* the handler's own */
};

/* Reads format, id and the query's pairs. NULL: it has been answered. */
struct open311 *open311_begin(struct request *r);
/* Adds the body's pairs to those of the query, when a partner sends it. 0, or -1: it has been
 * answered. */
int open311_body(struct request *r, struct open311 *o);
/* Reads the values of TABLE's rows and the jurisdiction out of the pairs; names of strangers and
 * empty values are passed over, and rows whose name begins with a control character. 0, or -1: it
 * has been answered. Wrong values are in o->wrong. */
int open311_read(struct request *r, struct open311 *o, const struct field *table);
/* One more wrong field, with a sentence of ours; SENTENCE lives on. */
void open311_wrong(struct request *r, struct open311 *o, struct str field, struct str sentence);
void open311_wrong_code(struct request *r, struct open311 *o, struct str field,
                        enum field_code code, double bound);
/* Refuses in GeoReport's form; what is the server's own fault goes out as a problem, which the edge
 * turns into that form. */
void open311_refuse(struct request *r, const struct open311 *o, enum otk_err err,
                    struct str detail);
/* 400 with all of o->wrong. */
void open311_refuse_wrong(struct request *r, const struct open311 *o);
/* Answers JSON, a NUL behind it, in the asked format under o->root. */
void open311_reply(struct request *r, const struct open311 *o, struct str json);

/* JSON (a NUL behind it) as XML under ROOT, in the arena: the mapping of the specification's JSON
 * section. .p is NULL when memory is out or it is no JSON. */
struct str open311_xml(struct arena *a, const char *root, const char *json);
/* A list of requests in JSON (a NUL behind it) as CSV, in the arena. .p as above. */
struct str open311_csv(struct arena *a, const char *json);

#endif
