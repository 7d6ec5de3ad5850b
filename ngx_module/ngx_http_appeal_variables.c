/* What the services are told of a request: the variables of the module. */


#include "ngx_http_appeal_module.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>


#define NGX_HTTP_APPEAL_SECRET_MIN  16       /* bytes */
#define NGX_HTTP_APPEAL_SECRET_MAX  4096

#define NGX_HTTP_APPEAL_DAY         86400    /* s */


static ngx_int_t ngx_http_appeal_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_appeal_request_id_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_appeal_client_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_appeal_args_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_appeal_difficulty_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_appeal_uri_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);

static ngx_int_t ngx_http_appeal_limit_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_appeal_remaining_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);

static ngx_int_t ngx_http_appeal_set_client(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_http_appeal_main_conf_t *amcf);
static ngx_int_t ngx_http_appeal_set_args(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx);


/*
 * None may be cached: a map or a log format may ask before the decision.
 * Between the decision and the end of the request none changes any more.
 */

static ngx_http_variable_t  ngx_http_appeal_variables[] = {

    { ngx_string("appeal_auth"), NULL, ngx_http_appeal_variable,
      offsetof(ngx_http_appeal_ctx_t, auth), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("appeal_subject"), NULL, ngx_http_appeal_variable,
      offsetof(ngx_http_appeal_ctx_t, subject), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("appeal_roles"), NULL, ngx_http_appeal_variable,
      offsetof(ngx_http_appeal_ctx_t, roles), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("appeal_region"), NULL, ngx_http_appeal_variable,
      offsetof(ngx_http_appeal_ctx_t, region), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("appeal_body"), NULL, ngx_http_appeal_variable,
      offsetof(ngx_http_appeal_ctx_t, body), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("appeal_scope"), NULL, ngx_http_appeal_variable,
      offsetof(ngx_http_appeal_ctx_t, scope), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("appeal_token"), NULL, ngx_http_appeal_variable,
      offsetof(ngx_http_appeal_ctx_t, token), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("appeal_limit"), NULL, ngx_http_appeal_limit_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("appeal_remaining"), NULL,
      ngx_http_appeal_remaining_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("appeal_reason"), NULL, ngx_http_appeal_variable,
      offsetof(ngx_http_appeal_ctx_t, reason), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("appeal_request_id"), NULL,
      ngx_http_appeal_request_id_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("appeal_client"), NULL, ngx_http_appeal_client_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("appeal_args"), NULL, ngx_http_appeal_args_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("appeal_difficulty"), NULL,
      ngx_http_appeal_difficulty_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("appeal_uri"), NULL, ngx_http_appeal_uri_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("appeal_dry_run"), NULL, ngx_http_appeal_variable,
      offsetof(ngx_http_appeal_ctx_t, dry_run), NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static void
ngx_http_appeal_set_value(ngx_http_variable_value_t *v, ngx_str_t *value)
{
    v->len = value->len;
    v->data = value->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
}


static ngx_int_t
ngx_http_appeal_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_http_appeal_ctx_t  *ctx;

    static ngx_str_t  empty = ngx_string("");

    ctx = ngx_http_appeal_find_ctx(r);

    if (ctx == NULL) {
        ngx_http_appeal_set_value(v, &empty);

    } else {
        (void) ngx_http_appeal_overruled(r->main, ctx);
        ngx_http_appeal_set_value(v, (ngx_str_t *) ((char *) ctx + data));
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_request_id_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_appeal_ctx_t  *ctx;

    ctx = ngx_http_appeal_get_ctx(r);

    if (ctx == NULL || ngx_http_appeal_set_request_id(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_appeal_set_value(v, &ctx->request_id);

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_client_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_appeal_ctx_t        *ctx;
    ngx_http_appeal_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_appeal_module);
    ctx = ngx_http_appeal_get_ctx(r);

    if (ctx == NULL || ngx_http_appeal_set_client(r, ctx, amcf) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_appeal_set_value(v, &ctx->client);

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_args_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_appeal_ctx_t  *ctx;

    ctx = ngx_http_appeal_get_ctx(r);

    if (ctx == NULL || ngx_http_appeal_set_args(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_appeal_set_value(v, &ctx->args);

    return NGX_OK;
}


/* The policies that refused, with commas between. */

static ngx_int_t
ngx_http_appeal_limit_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                     *p;
    size_t                      len;
    ngx_str_t                   text;
    ngx_uint_t                  i;
    ngx_http_appeal_ctx_t      *ctx;
    ngx_http_appeal_charged_t  *charged;

    ngx_str_null(&text);
    len = 0;
    ctx = ngx_http_appeal_find_ctx(r);

    if (ctx != NULL && ctx->charged != NULL) {
        charged = ctx->charged->elts;

        for (i = 0; i < ctx->charged->nelts; i++) {
            if (charged[i].charge.refused) {
                len += charged[i].limit->name.len + 1;
            }
        }
    }

    if (len > 0) {
        p = ngx_pnalloc(r->pool, len);

        if (p == NULL) {
            return NGX_ERROR;
        }

        text.data = p;
        text.len = len - 1;

        for (i = 0; i < ctx->charged->nelts; i++) {
            if (charged[i].charge.refused) {
                p = ngx_cpymem(p, charged[i].limit->name.data,
                               charged[i].limit->name.len);
                *p++ = ',';
            }
        }
    }

    ngx_http_appeal_set_value(v, &text);

    return NGX_OK;
}


/* Of the limit that has the least left. */

static ngx_int_t
ngx_http_appeal_remaining_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    int64_t                     least;
    ngx_str_t                   text;
    ngx_uint_t                  i;
    ngx_http_appeal_ctx_t      *ctx;
    ngx_http_appeal_charged_t  *charged;

    ngx_str_null(&text);
    ctx = ngx_http_appeal_find_ctx(r);

    if (ctx != NULL && ctx->charged != NULL && ctx->charged->nelts > 0) {
        charged = ctx->charged->elts;
        least = charged[0].charge.remaining;

        for (i = 1; i < ctx->charged->nelts; i++) {
            least = ngx_min(least, charged[i].charge.remaining);
        }

        text.data = ngx_pnalloc(r->pool, NGX_INT64_LEN);

        if (text.data == NULL) {
            return NGX_ERROR;
        }

        text.len = ngx_sprintf(text.data, "%L", least) - text.data;
    }

    ngx_http_appeal_set_value(v, &text);

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_uri_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t  uri;

    uri = r->uri;
    ngx_http_appeal_hide_secret(r, &uri);
    ngx_http_appeal_set_value(v, &uri);

    return NGX_OK;
}


/* What it was when it was asked for first, for it may rise meanwhile. */

static ngx_int_t
ngx_http_appeal_difficulty_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                 *text;
    ngx_uint_t              difficulty;
    ngx_http_appeal_ctx_t  *ctx;

    ctx = ngx_http_appeal_get_ctx(r);

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx->difficulty.len == 0) {
        difficulty = ngx_http_appeal_difficulty(
                          ngx_http_get_module_loc_conf(r,
                                                       ngx_http_appeal_module));

        if (difficulty != 0) {
            text = ngx_pnalloc(r->main->pool, NGX_INT_T_LEN);

            if (text == NULL) {
                return NGX_ERROR;
            }

            ctx->difficulty.data = text;
            ctx->difficulty.len = ngx_sprintf(text, "%ui", difficulty) - text;
        }
    }

    ngx_http_appeal_set_value(v, &ctx->difficulty);

    return NGX_OK;
}


ngx_int_t
ngx_http_appeal_set_request_id(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx)
{
    u_char                       *random, *text;
    struct timespec               ts;
    ngx_http_appeal_main_conf_t  *amcf;

    if (ctx->request_id.len) {
        return NGX_OK;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_appeal_module);
    text = ngx_pnalloc(r->main->pool, UUID7_TEXT_SIZE);

    if (text == NULL) {
        return NGX_ERROR;
    }

    if (amcf->random_left == 0) {
        if (RAND_bytes(amcf->random, sizeof(amcf->random)) != 1) {
            return NGX_ERROR;
        }

        amcf->random_left = sizeof(amcf->random);
    }

    amcf->random_left -= UUID7_RANDOM_SIZE;
    random = amcf->random + amcf->random_left;

    clock_gettime(CLOCK_REALTIME, &ts);

    uuid7_write((char *) text, ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec,
                random);

    ctx->request_id.data = text;
    ctx->request_id.len = UUID7_TEXT_SIZE;

    return NGX_OK;
}


/*
 * The address as limits and pseudonyms take it: an IPv4 one whole, of an IPv6
 * one the /64, which is what one client is given.  Returns its length; 0 for
 * a Unix socket.
 */

size_t
ngx_http_appeal_address(ngx_http_request_t *r,
    u_char address[NGX_HTTP_APPEAL_ADDRESS_SIZE])
{
    struct sockaddr      *sa;
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    sa = r->connection->sockaddr;

    switch (sa->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) sa;
        ngx_memcpy(address, &sin->sin_addr, 4);
        return 4;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;

        if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            ngx_memcpy(address, &sin6->sin6_addr.s6_addr[12], 4);
            return 4;
        }

        ngx_memcpy(address, &sin6->sin6_addr, 8);
        return 8;
#endif

    default: /* AF_UNIX */
        return 0;
    }
}


/* False for a Unix socket: it is in no network. */

ngx_uint_t
ngx_http_appeal_is_in(ngx_http_request_t *r, struct networks *networks)
{
    u_char                address[NETWORKS_ADDRESS_SIZE];
    struct sockaddr      *sa;
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    sa = r->connection->sockaddr;

    switch (sa->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) sa;
        ngx_memzero(address, 10);
        ngx_memset(address + 10, 0xff, 2);
        ngx_memcpy(address + 12, &sin->sin_addr, 4);
        break;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        ngx_memcpy(address, &sin6->sin6_addr, NETWORKS_ADDRESS_SIZE);
        break;
#endif

    default: /* AF_UNIX */
        return 0;
    }

    return networks_hold(networks, address);
}


/* A key of the day's own: yesterday's pseudonyms cannot be joined to it. */

static ngx_int_t
ngx_http_appeal_renew_client_key(ngx_http_appeal_main_conf_t *amcf, time_t day)
{
    u_char        text[NGX_TIME_T_LEN], mac[EVP_MAX_MD_SIZE], *last;
    unsigned int  size;

    last = ngx_sprintf(text, "%T", day);

    if (HMAC(EVP_sha256(), amcf->client_secret.data,
             (int) amcf->client_secret.len, text, last - text, mac, &size)
        == NULL)
    {
        return NGX_ERROR;
    }

    ngx_memcpy(amcf->client_key, mac, SIPHASH_KEY_SIZE);
    ngx_explicit_memzero(mac, sizeof(mac));
    amcf->client_day = day;

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_set_client(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_main_conf_t *amcf)
{
    u_char    *text, address[NGX_HTTP_APPEAL_ADDRESS_SIZE];
    size_t     n;
    time_t     day;
    uint64_t   hash[2];

    if (ctx->client.len || amcf->client_secret.len == 0) {
        return NGX_OK;
    }

    day = ngx_time() / NGX_HTTP_APPEAL_DAY;

    if (day != amcf->client_day
        && ngx_http_appeal_renew_client_key(amcf, day) != NGX_OK)
    {
        return NGX_ERROR;
    }

    text = ngx_pnalloc(r->main->pool, 2 * sizeof(hash));

    if (text == NULL) {
        return NGX_ERROR;
    }

    n = ngx_http_appeal_address(r, address);
    siphash128(amcf->client_key, address, n, hash);

    ctx->client.data = text;
    ctx->client.len = ngx_sprintf(text, "%016xL%016xL", hash[0], hash[1])
                      - text;

    return NGX_OK;
}


/*
 * The next argument of a query string as it stands, 0 at its end.  If it is
 * api_key, *key is what follows the sign, else key->data is NULL.
 */

ngx_uint_t
ngx_http_appeal_next_arg(u_char **p, u_char *end, ngx_str_t *arg,
    ngx_str_t *key)
{
    u_char  *start, *last;

    static ngx_str_t  name = ngx_string("api_key");

    if (*p >= end) {
        return 0;
    }

    start = *p;
    last = ngx_strlchr(start, end, '&');

    if (last == NULL) {
        last = end;
    }

    *p = last + 1;

    arg->data = start;
    arg->len = last - start;

    ngx_str_null(key);

    if (arg->len >= name.len
        && ngx_strncmp(start, name.data, name.len) == 0
        && (arg->len == name.len || start[name.len] == '='))
    {
        key->data = start + ngx_min(name.len + 1, arg->len);
        key->len = last - key->data;
    }

    return 1;
}


/* The arguments without the credential, which is no service's business. */

static ngx_int_t
ngx_http_appeal_set_args(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx)
{
    u_char     *p, *end, *last;
    ngx_str_t   arg, key;

    if (ctx->args_source.len == r->args.len
        && ctx->args_source.data == r->args.data)
    {
        return NGX_OK;
    }

    last = ngx_pnalloc(r->main->pool, r->args.len + 1);

    if (last == NULL) {
        return NGX_ERROR;
    }

    ctx->args_source = r->args;
    ctx->args.data = last;

    p = r->args.data;
    end = p + r->args.len;

    while (ngx_http_appeal_next_arg(&p, end, &arg, &key)) {
        if (key.data != NULL) {
            continue;
        }

        if (last > ctx->args.data) {
            *last++ = '&';
        }

        last = ngx_cpymem(last, arg.data, arg.len);
    }

    ctx->args.len = last - ctx->args.data;

    return NGX_OK;
}


char *
ngx_http_appeal_client_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_appeal_main_conf_t *amcf = conf;

    ngx_str_t  *value;

    if (amcf->client_secret.data != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;
    amcf->client_day = -1;

    return ngx_http_appeal_read_secret(cf, &value[1], &amcf->client_secret);
}


char *
ngx_http_appeal_read_secret(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *secret)
{
    u_char           *data;
    char             *rv;
    ssize_t           n;
    ngx_str_t         path;
    ngx_file_t        f;
    ngx_file_info_t   fi;

    path = *name;

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    data = ngx_pnalloc(cf->pool, NGX_HTTP_APPEAL_SECRET_MAX);

    if (data == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&f, sizeof(ngx_file_t));
    f.name = path;
    f.log = cf->log;
    f.fd = ngx_open_file(path.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (f.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", &path);
        return NGX_CONF_ERROR;
    }

    rv = NGX_CONF_ERROR;
    n = ngx_read_file(&f, data, NGX_HTTP_APPEAL_SECRET_MAX, 0);

    if (n == NGX_ERROR) {
        goto done;
    }

    if (n < NGX_HTTP_APPEAL_SECRET_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" holds fewer than 16 bytes", &path);
        goto done;
    }

    if (ngx_fd_info(f.fd, &fi) != NGX_FILE_ERROR && (fi.st_mode & S_IROTH)) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "everybody may read the secret in \"%V\"", &path);
    }

    secret->data = data;
    secret->len = n;
    rv = NGX_CONF_OK;

done:

    if (ngx_close_file(f.fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, cf->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", &path);
    }

    return rv;
}


ngx_int_t
ngx_http_appeal_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_appeal_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);

        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}
