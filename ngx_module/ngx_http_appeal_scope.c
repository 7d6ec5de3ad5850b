/* What a key or a token must be good for: scopes. */


#include "ngx_http_appeal_module.h"


static ngx_uint_t ngx_http_appeal_has_scope(ngx_str_t *held, ngx_str_t *name);
static ngx_uint_t ngx_http_appeal_is_scope(ngx_str_t *name);
static char *ngx_http_appeal_scope_only(ngx_conf_t *cf,
    ngx_http_appeal_scope_t *scope, ngx_str_t *value);
static char *ngx_http_appeal_scope_text(ngx_conf_t *cf,
    ngx_http_appeal_scope_t *scope);


static ngx_conf_bitmask_t  ngx_http_appeal_scope_mask[] = {
    { ngx_string("jwt"), NGX_HTTP_APPEAL_JWT },
    { ngx_string("api_key"), NGX_HTTP_APPEAL_API_KEY },
    { ngx_string("hook"), NGX_HTTP_APPEAL_HOOK },
    { ngx_string("challenge"), NGX_HTTP_APPEAL_CHALLENGE },
    { ngx_string("anonymous"), NGX_HTTP_APPEAL_ANONYMOUS },
    { ngx_null_string, 0 }
};


/* For a request that is known: why it is refused, or that it is not. */

enum problem_reason
ngx_http_appeal_check_scope(ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_loc_conf_t *alcf)
{
    ngx_str_t                *names;
    ngx_uint_t                i;
    ngx_http_appeal_scope_t  *scope;

    scope = alcf->scope;

    if (scope == NULL || !(scope->asked & ctx->method)) {
        return PROBLEM_NO_REASON;
    }

    if (!(ctx->method & NGX_HTTP_APPEAL_SCOPED)) {
        return PROBLEM_MISSING_CREDENTIAL;
    }

    names = scope->names.elts;

    for (i = 0; i < scope->names.nelts; i++) {
        if (!ngx_http_appeal_has_scope(&ctx->scope, &names[i])) {
            return PROBLEM_INSUFFICIENT_SCOPE;
        }
    }

    return PROBLEM_NO_REASON;
}


/* Is it one of the words? */

static ngx_uint_t
ngx_http_appeal_has_scope(ngx_str_t *held, ngx_str_t *name)
{
    u_char  *p, *end, *last;

    p = held->data;
    end = p + held->len;

    while (p < end) {
        last = ngx_strlchr(p, end, ' ');

        if (last == NULL) {
            last = end;
        }

        if ((size_t) (last - p) == name->len
            && ngx_memcmp(p, name->data, name->len) == 0)
        {
            return 1;
        }

        p = last + 1;
    }

    return 0;
}


char *
ngx_http_appeal_scope(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_appeal_loc_conf_t *alcf = conf;

    ngx_str_t                *value, *name, only;
    ngx_uint_t                i;
    ngx_http_appeal_scope_t  *scope;

    if (alcf->scope != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        alcf->scope = NULL;
        return NGX_CONF_OK;
    }

    scope = ngx_pcalloc(cf->pool, sizeof(ngx_http_appeal_scope_t));

    if (scope == NULL
        || ngx_array_init(&scope->names, cf->pool, cf->args->nelts,
                          sizeof(ngx_str_t)) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_strncmp(value[i].data, "only=", 5) == 0) {
            only.data = value[i].data + 5;
            only.len = value[i].len - 5;

            if (ngx_http_appeal_scope_only(cf, scope, &only) != NGX_CONF_OK) {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (!ngx_http_appeal_is_scope(&value[i])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid scope \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        name = ngx_array_push(&scope->names);

        if (name == NULL) {
            return NGX_CONF_ERROR;
        }

        *name = value[i];
    }

    if (scope->names.nelts == 0) {
        return "names no scope";
    }

    if (scope->asked == 0) {
        scope->asked = NGX_HTTP_APPEAL_SCOPED;
    }

    alcf->scope = scope;

    return ngx_http_appeal_scope_text(cf, scope);
}


/* A scope-token of RFC 6749 that is not "off": it goes into a header. */

static ngx_uint_t
ngx_http_appeal_is_scope(ngx_str_t *name)
{
    u_char      ch;
    ngx_uint_t  i;

    for (i = 0; i < name->len; i++) {
        ch = name->data[i];

        if (ch <= ' ' || ch > '~' || ch == '"' || ch == '\\') {
            return 0;
        }
    }

    return name->len > 0 && ngx_strcmp(name->data, "off") != 0;
}


/* A comma list of methods. */

static char *
ngx_http_appeal_scope_only(ngx_conf_t *cf, ngx_http_appeal_scope_t *scope,
    ngx_str_t *value)
{
    u_char              *p, *end, *last;
    ngx_conf_bitmask_t  *mask;

    p = value->data;
    end = p + value->len;

    do {
        last = ngx_strlchr(p, end, ',');

        if (last == NULL) {
            last = end;
        }

        for (mask = ngx_http_appeal_scope_mask; mask->name.len; mask++) {
            if (mask->name.len == (size_t) (last - p)
                && ngx_strncmp(mask->name.data, p, mask->name.len) == 0)
            {
                break;
            }
        }

        if (mask->name.len == 0 || (scope->asked & mask->mask)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"only=%V\" is no list of methods", value);
            return NGX_CONF_ERROR;
        }

        scope->asked |= mask->mask;
        p = last + 1;

    } while (last < end);

    return NGX_CONF_OK;
}


/* All of them, as WWW-Authenticate has them (RFC 6750, section 3). */

static char *
ngx_http_appeal_scope_text(ngx_conf_t *cf, ngx_http_appeal_scope_t *scope)
{
    u_char      *p;
    size_t       len;
    ngx_str_t   *names;
    ngx_uint_t   i;

    len = 0;
    names = scope->names.elts;

    for (i = 0; i < scope->names.nelts; i++) {
        len += names[i].len + 1;
    }

    if (len > NGX_HTTP_APPEAL_SCOPE_MAX) {
        return "has over 512 bytes of scopes";
    }

    p = ngx_pnalloc(cf->pool, len);

    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    scope->text.data = p;

    for (i = 0; i < scope->names.nelts; i++) {
        p = ngx_cpymem(p, names[i].data, names[i].len);
        *p++ = ' ';
    }

    scope->text.len = len - 1;

    return NGX_CONF_OK;
}
