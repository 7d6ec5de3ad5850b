/* From the parameters the edge sends to a request. */
#include "exchange.h"

#include <stddef.h>
#include <stdlib.h>

#include "language.h"

/* What comes beside the members that are taken as they are. */
struct extras {
    struct str method, accept_language, cookie_lang, roles, scopes, region;
};

/* Where each parameter goes: conf/nginx/fastcgi_appeal.conf is the other side of this table. */
static const struct {
    struct str name;
    size_t at; /* of a struct str in struct request */
} members[] = {
    { STR("DOCUMENT_URI"), offsetof(struct request, path) },
    { STR("QUERY_STRING"), offsetof(struct request, query) },
    { STR("CONTENT_TYPE"), offsetof(struct request, content_type) },
    { STR("HTTP_ACCEPT"), offsetof(struct request, accept) },
    { STR("HTTP_IDEMPOTENCY_KEY"), offsetof(struct request, idempotency_key) },
    { STR("HTTP_IF_NONE_MATCH"), offsetof(struct request, if_none_match) },
    { STR("APPEAL_AUTH"), offsetof(struct request, auth) },
    { STR("APPEAL_SUBJECT"), offsetof(struct request, subject) },
    { STR("APPEAL_CLIENT"), offsetof(struct request, client) },
    { STR("APPEAL_REQUEST_ID"), offsetof(struct request, request_id) },
    { STR("APPEAL_BODY"), offsetof(struct request, speaks_for) },
};

static const struct {
    struct str name;
    size_t at; /* in struct extras */
} others[] = {
    { STR("REQUEST_METHOD"), offsetof(struct extras, method) },
    { STR("HTTP_ACCEPT_LANGUAGE"), offsetof(struct extras, accept_language) },
    { STR("COOKIE_LANG"), offsetof(struct extras, cookie_lang) },
    { STR("APPEAL_ROLES"), offsetof(struct extras, roles) },
    { STR("APPEAL_SCOPE"), offsetof(struct extras, scopes) },
    { STR("APPEAL_REGION"), offsetof(struct extras, region) },
};

struct right {
    struct str name; /* empty: the end */
    unsigned bit;
};
static const struct right roles[] = {
    { STR("integrator"), ROLE_INTEGRATOR },
    { STR("staff"), ROLE_STAFF },
    { STR("moderator"), ROLE_MODERATOR },
    { STR("registrar"), ROLE_REGISTRAR },
    { { NULL, 0 }, 0 },
};
static const struct right scopes[] = {
    { STR("appeals:answer"), SCOPE_ANSWER },
    { { NULL, 0 }, 0 },
};

static void take(struct request *r, struct extras *extras, const struct fcgi_param *p)
{
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (str_eq(p->name, members[i].name)) {
            memcpy((char *)r + members[i].at, &p->value, sizeof p->value);
            return;
        }
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (str_eq(p->name, others[i].name)) {
            memcpy((char *)extras + others[i].at, &p->value, sizeof p->value);
            return;
        }
    }
}

/* Names between blanks or commas; one we do not know gives no right. */
static unsigned read_rights(struct str s, const struct right *known)
{
    unsigned found = 0;
    for (size_t at = 0; at < s.n;) {
        size_t end = at;
        while (end < s.n && s.p[end] != ' ' && s.p[end] != ',') {
            end++;
        }
        for (const struct right *right = known; right->bit != 0; right++) {
            if (str_eq((struct str){ s.p + at, end - at }, right->name)) {
                found |= right->bit;
            }
        }
        at = end + 1;
    }
    return found;
}

/* One or two digits; 0 for anything else. */
static int read_region(struct str s)
{
    int region = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || s.n > 2) {
            return 0;
        }
        region = region * 10 + (s.p[i] - '0');
    }
    return region;
}

/* The value of an argument in a query string, as it is; .p is NULL without one. */
static struct str argument(struct str query, struct str name)
{
    for (size_t at = 0; at < query.n;) {
        const char *end = memchr(query.p + at, '&', query.n - at);
        size_t n = end == NULL ? query.n - at : (size_t)(end - query.p) - at;
        if (n > name.n && memcmp(query.p + at, name.p, name.n) == 0 &&
            query.p[at + name.n] == '=') {
            return (struct str){ query.p + at + name.n + 1, n - name.n - 1 };
        }
        at += n + 1;
    }
    return (struct str){ NULL, 0 };
}

static enum lang read_language(const struct request *r, const struct extras *extras)
{
    int lang = language_of(argument(r->query, STR("lang")));
    if (lang < 0) {
        lang = language_of(extras->cookie_lang);
    }
    return lang >= 0 ? (enum lang)lang : language_accepted(extras->accept_language, LANG_RU);
}

/* The header is a string of structured fields (RFC 9651, 3.3.3); bare tokens are common and taken,
 * too. What is neither stays as it came. */
static struct str unquote(struct arena *a, struct str s)
{
    if (s.n < 2 || s.p[0] != '"' || s.p[s.n - 1] != '"') {
        return s;
    }
    char *p = arena_alloc(a, s.n);
    if (p == NULL) {
        return (struct str){ NULL, 0 };
    }
    size_t n = 0;
    for (size_t i = 1; i + 1 < s.n; i++) {
        if (s.p[i] == '"' || (s.p[i] == '\\' && i + 2 >= s.n)) {
            return s;
        }
        if (s.p[i] == '\\') {
            i++;
        }
        p[n++] = s.p[i];
    }
    return (struct str){ p, n };
}

static int bad_text(struct str s)
{
    return !utf8_valid(s, &(size_t){ 0 });
}

enum otk_err exchange_read(struct exchange *x, const struct fcgi_request *from)
{
    struct request *r = &x->r;
    struct extras extras = { 0 };
    if (from->too_large && from->nparams == 0) {
        return OTK_TOO_LARGE; /* nothing is known of it */
    }
    for (size_t i = 0; i < from->nparams; i++) {
        take(r, &extras, &from->params[i]);
    }
    r->body = from->body;
    r->roles = read_rights(extras.roles, roles);
    r->scopes = read_rights(extras.scopes, scopes);
    r->region = read_region(extras.region);
    r->lang = read_language(r, &extras);
    r->idempotency_key = unquote(r->arena, r->idempotency_key);
    x->head_only = str_eq(extras.method, STR("HEAD"));
    if (x->head_only || str_eq(extras.method, STR("GET"))) {
        r->method = METHOD_GET;
    } else if (str_eq(extras.method, STR("POST"))) {
        r->method = METHOD_POST;
    } else if (str_eq(extras.method, STR("DELETE"))) {
        r->method = METHOD_DELETE;
    }
    /* What goes into the database or the log later must be text. */
    if (bad_text(r->path) || bad_text(r->subject) || bad_text(r->client) || bad_text(r->auth) ||
        bad_text(r->request_id)) {
        r->path = STR("");
        return OTK_MALFORMED;
    }
    return from->too_large ? OTK_TOO_LARGE : OTK_OK;
}
