/*
 * Hooks: what a social network or a messenger calls when something was
 * written there.  Its secret is a line of the key file that has hook=, and
 * travels where that network puts it.
 */


#include "ngx_http_appeal_module.h"


#define NGX_HTTP_APPEAL_KIND_MAX  32         /* bytes */


static ngx_str_t ngx_http_appeal_public_path(ngx_http_request_t *r);


/*
 * How many secrets the request holds; 0 also where the edge looks for none.
 * From then on a path that ends with one is shown to nobody.
 */

ngx_uint_t
ngx_http_appeal_find_secret(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_hook_t *hook, ngx_str_t *secret)
{
    u_char           *slash;
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    ngx_str_null(secret);

    switch (hook->place) {

    case NGX_HTTP_APPEAL_HOOK_PATH:
        slash = r->uri.data + r->uri.len;

        while (slash > r->uri.data && slash[-1] != '/') {
            slash--;
        }

        secret->data = slash;
        secret->len = r->uri.data + r->uri.len - slash;
        ctx->public_path = ngx_http_appeal_public_path(r);

        return secret->len > 0;

    case NGX_HTTP_APPEAL_HOOK_HEADER:
        break;

    default: /* NGX_HTTP_APPEAL_HOOK_BODY */
        return 0;
    }

    n = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        header = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (header[i].key.len == hook->header.len
                && ngx_strncasecmp(header[i].key.data, hook->header.data,
                                   hook->header.len) == 0)
            {
                *secret = header[i].value;
                n++;
            }
        }
    }

    return n;
}


/* What may be shown of the path: where the hook is, not what follows. */

static ngx_str_t
ngx_http_appeal_public_path(ngx_http_request_t *r)
{
    ngx_str_t                  path;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    path = clcf->name;

#if (NGX_PCRE)
    if (clcf->regex != NULL) {
        path = r->uri;

        while (path.len > 0 && path.data[path.len - 1] != '/') {
            path.len--;
        }
    }
#endif

    return path;
}


void
ngx_http_appeal_hide_secret(ngx_http_request_t *r, ngx_str_t *uri)
{
    ngx_http_appeal_ctx_t       *ctx;
    ngx_http_appeal_loc_conf_t  *alcf;

    ctx = ngx_http_appeal_find_ctx(r);

    if (ctx != NULL && ctx->public_path.data != NULL) {
        *uri = ctx->public_path;
        return;
    }

    /* nginx may fail before it asks us */

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_appeal_module);

    if ((alcf->methods & NGX_HTTP_APPEAL_HOOK)
        && alcf->hook->place == NGX_HTTP_APPEAL_HOOK_PATH)
    {
        *uri = ngx_http_appeal_public_path(r);
    }
}


char *
ngx_http_appeal_hook(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_appeal_loc_conf_t *alcf = conf;

    u_char                   ch;
    ngx_str_t               *value;
    ngx_uint_t               i;
    ngx_http_appeal_hook_t  *hook;

    static ngx_str_t  header = ngx_string("header=");

    if (alcf->hook != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    hook = ngx_pcalloc(cf->pool, sizeof(ngx_http_appeal_hook_t));

    if (hook == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 0; i < value[1].len; i++) {
        ch = value[1].data[i];

        if (!(ch >= 'a' && ch <= 'z') && !(ch >= '0' && ch <= '9')
            && ch != '_')
        {
            break;
        }
    }

    if (i == 0 || i < value[1].len || i > NGX_HTTP_APPEAL_KIND_MAX) {
        return "has a kind that is not 1 to 32 of a-z 0-9 _";
    }

    hook->kind = value[1];

    if (ngx_strcmp(value[2].data, "path") == 0) {
        hook->place = NGX_HTTP_APPEAL_HOOK_PATH;

    } else if (ngx_strcmp(value[2].data, "body") == 0) {
        hook->place = NGX_HTTP_APPEAL_HOOK_BODY;

    } else if (value[2].len > header.len
               && ngx_strncmp(value[2].data, header.data, header.len) == 0)
    {
        hook->place = NGX_HTTP_APPEAL_HOOK_HEADER;
        hook->header.data = value[2].data + header.len;
        hook->header.len = value[2].len - header.len;

    } else {
        return "is not followed by \"header=NAME\", \"path\" or \"body\"";
    }

    alcf->hook = hook;

    return NGX_CONF_OK;
}
