/* One HTTP request as a handler sees it, and the two halves of a handler: ask and answer. */
#ifndef REQUEST_H
#define REQUEST_H

#include "arena.h"
#include "fields.h"
#include "otklik.h"

struct service;
struct route;
struct upload;

enum method {
    METHOD_GET = 1,
    METHOD_POST = 2,
    METHOD_DELETE = 4
}; /* HEAD is served as GET without a body */

/* Roles the edge may name in APPEAL_ROLES; a bit each. */
enum role { ROLE_INTEGRATOR = 1, ROLE_STAFF = 2, ROLE_MODERATOR = 4, ROLE_REGISTRAR = 8 };

/* What a key is good for, in APPEAL_SCOPE; a bit each. */
enum scope { SCOPE_ANSWER = 1 };

struct request {
    struct service *service;
    const struct route *route;
    struct arena *arena; /* lives until the reply is written */
    void *state;         /* the handler's own, from ask to answer */

    enum method method;
    struct str path;
    struct str query;
    struct str path_arg, path_arg2; /* what stood for each {…} in the route's path, or empty */
    struct str content_type;
    struct str accept;
    struct str idempotency_key; /* header, unquoted; empty if absent */
    struct str if_none_match;
    struct str body;
    struct upload *upload; /* files that came with it, or NULL; body then holds its other fields */
    enum lang lang;        /* from ?lang=, the cookie lang, Accept-Language; ru otherwise */

    /* who, as the edge says; never from the client */
    struct str auth; /* "jwt", "api_key", "challenge", "anonymous" */
    struct str subject;
    struct str client; /* pseudonym of the address */
    struct str request_id;
    struct str speaks_for; /* the body a key speaks for; empty: any */
    unsigned roles;        /* enum role bits */
    unsigned scopes;       /* enum scope bits */
    int region;            /* 0: none */

    union value *values; /* one a row of route->fields, filled before ask is called */
    int64_t started_us;  /* monotonic */
};

/* Answers; each finishes the request exactly once, copies nothing (bodies live in the arena) and
 * may be called from ask or answer. */
void reply(struct request *r, int status, const char *content_type, struct str body);
void reply_json(struct request *r, int status, struct str json);
/* Adds a header to the coming reply; NAME is a literal, VALUE is copied and must hold no control
 * characters. */
void reply_header(struct request *r, const char *name, struct str value);
void reply_redirect(struct request *r, int status, struct str location);
/* A problem document in the request's language. DETAIL may be empty: the code's own text then. */
void reply_problem(struct request *r, enum otk_err err, struct str detail);
/* 422 naming every wrong field. */
void reply_invalid(struct request *r, const struct field_error *errors, size_t n);
/* Another problem that names fields: a file too large, of a kind that is not taken. */
void reply_refused(struct request *r, enum otk_err err, struct str detail,
                   const struct field_error *errors, size_t n);

/* Texts of problems and field errors for pages: the sentence for ERR or a field error code in LANG.
 */
const char *problem_text(enum otk_err err, enum lang lang);

#endif
