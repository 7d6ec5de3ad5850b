/*
 * The edge of the system: who is it, may it come in, how often?
 *
 * The access handler decides once a request, charges its limits, and keeps
 * the decision in a context that outlives internal redirects.  Variables hand
 * the identity to the services; a client cannot set any of them.
 */


#include "ngx_http_appeal_module.h"


static ngx_int_t ngx_http_appeal_post_read_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_appeal_access_handler(ngx_http_request_t *r);
static ngx_uint_t ngx_http_appeal_same_rules(ngx_http_appeal_loc_conf_t *one,
    ngx_http_appeal_loc_conf_t *two);
static ngx_int_t ngx_http_appeal_identify(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_http_appeal_loc_conf_t *alcf,
    enum problem_reason *reason);
static ngx_uint_t ngx_http_appeal_find_api_key(ngx_http_request_t *r,
    ngx_str_t *key);
static ngx_int_t ngx_http_appeal_identify_key(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_http_appeal_loc_conf_t *alcf,
    ngx_str_t *text, ngx_str_t *hook, enum problem_reason *reason);
static void ngx_http_appeal_identify_nobody(ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_loc_conf_t *alcf);

static void ngx_http_appeal_cleanup(void *data);

static void *ngx_http_appeal_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_appeal_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_appeal_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_appeal_region(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_appeal_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_appeal_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_appeal_init_process(ngx_cycle_t *cycle);
static void ngx_http_appeal_exit_process(ngx_cycle_t *cycle);


static ngx_conf_bitmask_t  ngx_http_appeal_auth_mask[] = {
    { ngx_string("off"), NGX_HTTP_APPEAL_OFF },
    { ngx_string("jwt"), NGX_HTTP_APPEAL_JWT },
    { ngx_string("api_key"), NGX_HTTP_APPEAL_API_KEY },
    { ngx_string("hook"), NGX_HTTP_APPEAL_HOOK },
    { ngx_string("challenge"), NGX_HTTP_APPEAL_CHALLENGE },
    { ngx_string("anonymous"), NGX_HTTP_APPEAL_ANONYMOUS },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_appeal_bodies[] = {
    { ngx_string("problem"), NGX_HTTP_APPEAL_BODY_PROBLEM },
    { ngx_string("error_page"), NGX_HTTP_APPEAL_BODY_ERROR_PAGE },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_appeal_languages[] = {
    { ngx_string("ru"), PROBLEM_RU },
    { ngx_string("en"), PROBLEM_EN },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_appeal_commands[] = {

    { ngx_string("appeal_auth"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_appeal_loc_conf_t, methods),
      &ngx_http_appeal_auth_mask },

    { ngx_string("appeal_api_keys"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_appeal_file,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_appeal_loc_conf_t, keys),
      &ngx_http_appeal_keys_type },

    { ngx_string("appeal_hook"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_appeal_hook,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("appeal_limit_allow"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_appeal_file,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_appeal_loc_conf_t, allow),
      &ngx_http_appeal_networks_type },

    { ngx_string("appeal_limit_deny"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_appeal_file,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_appeal_loc_conf_t, deny),
      &ngx_http_appeal_networks_type },

    { ngx_string("appeal_jwt_keys"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_appeal_file,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_appeal_loc_conf_t, jwt_keys),
      &ngx_http_appeal_jwks_type },

    { ngx_string("appeal_jwt_revoked"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_appeal_file,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_appeal_loc_conf_t, jwt_revoked),
      &ngx_http_appeal_revoked_type },

    { ngx_string("appeal_jwt_issuer"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_appeal_loc_conf_t, jwt_issuer),
      NULL },

    { ngx_string("appeal_jwt_audience"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_appeal_loc_conf_t, jwt_audience),
      NULL },

    { ngx_string("appeal_jwt_type"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_appeal_loc_conf_t, jwt_type),
      NULL },

    { ngx_string("appeal_jwt_leeway"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_appeal_loc_conf_t, jwt_leeway),
      NULL },

    { ngx_string("appeal_jwt_cookie"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_appeal_loc_conf_t, jwt_cookie),
      NULL },

    { ngx_string("appeal_jwt_claims"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1234,
      ngx_http_appeal_jwt_claims,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("appeal_jwt_memory"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_appeal_jwt_memory,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("appeal_challenge_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_2MORE,
      ngx_http_appeal_challenge_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("appeal_challenge_secret"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_appeal_file,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_appeal_loc_conf_t, challenge_secret),
      &ngx_http_appeal_challenge_keys_type },

    { ngx_string("appeal_challenge"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_appeal_challenge_place,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("appeal_challenge_issue"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_appeal_challenge_issue,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("appeal_scope"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_appeal_scope,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("appeal_limit_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE23,
      ngx_http_appeal_limit_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("appeal_limit_share"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_2MORE,
      ngx_http_appeal_limit_share,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("appeal_limit"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_2MORE,
      ngx_http_appeal_limit,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("appeal_limit_headers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_appeal_loc_conf_t, limit_headers),
      NULL },

    { ngx_string("appeal_region"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_appeal_region,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_appeal_loc_conf_t, region),
      NULL },

    { ngx_string("appeal_language"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_appeal_loc_conf_t, language),
      &ngx_http_appeal_languages },

    { ngx_string("appeal_refusal"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_appeal_loc_conf_t, body),
      &ngx_http_appeal_bodies },

    { ngx_string("appeal_request_id"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_appeal_loc_conf_t, request_id),
      NULL },

    { ngx_string("appeal_client_secret"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_appeal_client_secret,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("appeal_problem"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_appeal_problem,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("appeal_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_appeal_metrics,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_appeal_module_ctx = {
    ngx_http_appeal_preconfiguration,      /* preconfiguration */
    ngx_http_appeal_init,                  /* postconfiguration */

    ngx_http_appeal_create_main_conf,      /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_appeal_create_loc_conf,       /* create location configuration */
    ngx_http_appeal_merge_loc_conf         /* merge location configuration */
};


ngx_module_t  ngx_http_appeal_module = {
    NGX_MODULE_V1,
    &ngx_http_appeal_module_ctx,           /* module context */
    ngx_http_appeal_commands,              /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_appeal_init_limits,           /* init module */
    ngx_http_appeal_init_process,          /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_appeal_exit_process,          /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_str_t  ngx_http_appeal_header = ngx_string("X-Api-Key");


static ngx_int_t
ngx_http_appeal_post_read_handler(ngx_http_request_t *r)
{
    ngx_http_appeal_ctx_t       *ctx;
    ngx_http_appeal_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_appeal_module);

    if (!alcf->request_id) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_appeal_get_ctx(r);

    if (ctx == NULL || ngx_http_appeal_set_request_id(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_appeal_access_handler(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    enum problem_reason           reason;
    ngx_http_appeal_ctx_t        *ctx;
    ngx_http_appeal_loc_conf_t   *alcf;
    ngx_http_appeal_counters_t   *counters;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_appeal_module);

    if (alcf->methods & NGX_HTTP_APPEAL_OFF) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_appeal_get_ctx(r);

    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->refused && !ngx_http_appeal_overruled(r, ctx)) {

        /* stands for the whole request, wherever it was redirected to */

        return ngx_http_appeal_refuse(r, ctx);
    }

    if (ctx->decided == alcf) {
        return NGX_OK;
    }

    reason = PROBLEM_NO_REASON;

    if (alcf->deny != NULL
        && ngx_http_appeal_is_in(r, ngx_http_appeal_current(r, alcf->deny)))
    {
        reason = PROBLEM_DENIED_ADDRESS;

    } else if (ctx->decided == NULL
        || !ngx_http_appeal_same_rules(ctx->decided, alcf))
    {
        rc = ngx_http_appeal_identify(r, ctx, alcf, &reason);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (reason == PROBLEM_NO_REASON) {
        reason = ngx_http_appeal_check_scope(ctx, alcf);
    }

    rc = ngx_http_appeal_charge(r, ctx, alcf, &reason);

    if (rc != NGX_OK) {
        return rc;
    }

    /* what a limit refuses may come again with the same solution */

    if (reason == PROBLEM_NO_REASON
        && ctx->method == NGX_HTTP_APPEAL_CHALLENGE)
    {
        ngx_http_appeal_spend(r, ctx, alcf, &reason);
    }

    if (reason != PROBLEM_NO_REASON) {
        ctx->refused = reason;
        return ngx_http_appeal_refuse(r, ctx);
    }

    if (ctx->decided == NULL) {
        counters = ngx_http_appeal_counters(
                     ngx_http_get_module_main_conf(r, ngx_http_appeal_module));

        switch (ctx->method) {

        case NGX_HTTP_APPEAL_JWT:
            ngx_http_appeal_count(counters->jwt);
            break;

        case NGX_HTTP_APPEAL_API_KEY:
            ngx_http_appeal_count(counters->api_key);
            break;

        case NGX_HTTP_APPEAL_HOOK:
            ngx_http_appeal_count(counters->hook);
            break;

        case NGX_HTTP_APPEAL_CHALLENGE:
            ngx_http_appeal_count(counters->challenge);
            break;

        default: /* NGX_HTTP_APPEAL_ANONYMOUS */
            ngx_http_appeal_count(counters->anonymous);
        }
    }

    ctx->decided = alcf;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_appeal_same_rules(ngx_http_appeal_loc_conf_t *one,
    ngx_http_appeal_loc_conf_t *two)
{
    if ((one->methods & NGX_HTTP_APPEAL_JWT)
        && (two->methods & NGX_HTTP_APPEAL_JWT)
        && (one->jwt->text.len != two->jwt->text.len
            || ngx_memcmp(one->jwt->text.data, two->jwt->text.data,
                          one->jwt->text.len) != 0))
    {
        return 0;
    }

    if ((one->methods & NGX_HTTP_APPEAL_CHALLENGE)
        && (two->methods & NGX_HTTP_APPEAL_CHALLENGE)
        && !ngx_http_appeal_same_challenge(one, two))
    {
        return 0;
    }

    return one->methods == two->methods
           && one->keys == two->keys
           && one->hook == two->hook
           && one->region.len == two->region.len
           && ngx_memcmp(one->region.data, two->region.data, one->region.len)
              == 0;
}


static ngx_int_t
ngx_http_appeal_identify(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_loc_conf_t *alcf, enum problem_reason *reason)
{
    ngx_str_t   key;
    ngx_uint_t  n;

    static ngx_str_t  no_hook = ngx_string("");

    ctx->method = 0;
    ngx_str_null(&ctx->auth);
    ngx_str_null(&ctx->subject);
    ngx_str_null(&ctx->roles);
    ngx_str_null(&ctx->region);
    ngx_str_null(&ctx->body);
    ngx_str_null(&ctx->scope);
    ngx_str_null(&ctx->token);
    ngx_str_null(&ctx->key);
    ngx_memzero(&ctx->rate, sizeof(struct limits_rate));

    if (alcf->methods & NGX_HTTP_APPEAL_JWT) {
        n = ngx_http_appeal_find_token(r, alcf->jwt, &key);

        if (n > 1) {
            *reason = PROBLEM_SEVERAL_CREDENTIALS;
            return NGX_OK;
        }

        if (n == 1) {
            return ngx_http_appeal_identify_token(r, ctx, alcf, &key, reason);
        }
    }

    if (alcf->methods & NGX_HTTP_APPEAL_API_KEY) {
        n = ngx_http_appeal_find_api_key(r, &key);

        if (n > 1) {
            *reason = PROBLEM_SEVERAL_CREDENTIALS;
            return NGX_OK;
        }

        if (n == 1) {
            return ngx_http_appeal_identify_key(r, ctx, alcf, &key, &no_hook,
                                                reason);
        }
    }

    if (alcf->methods & NGX_HTTP_APPEAL_HOOK) {
        n = ngx_http_appeal_find_secret(r, ctx, alcf->hook, &key);

        if (n > 1) {
            *reason = PROBLEM_SEVERAL_CREDENTIALS;
            return NGX_OK;
        }

        if (n == 1) {
            return ngx_http_appeal_identify_key(r, ctx, alcf, &key,
                                                &alcf->hook->kind, reason);
        }

        if (alcf->hook->place == NGX_HTTP_APPEAL_HOOK_BODY) {
            ctx->method = NGX_HTTP_APPEAL_HOOK;
            ngx_str_set(&ctx->auth, "hook");
            ctx->region = alcf->region;
            return NGX_OK;
        }
    }

    if (alcf->methods & NGX_HTTP_APPEAL_CHALLENGE) {
        n = ngx_http_appeal_find_solution(r, &key);

        if (n > 1) {
            *reason = PROBLEM_SEVERAL_CREDENTIALS;
            return NGX_OK;
        }

        if (n == 1) {
            return ngx_http_appeal_identify_solution(r, ctx, alcf, &key,
                                                     reason);
        }
    }

    if (alcf->methods & NGX_HTTP_APPEAL_ANONYMOUS) {
        ngx_http_appeal_identify_nobody(ctx, alcf);
        return NGX_OK;
    }

    *reason = PROBLEM_MISSING_CREDENTIAL;

    return NGX_OK;
}


/* How many keys a request holds, in headers and arguments; *key is the last. */

static ngx_uint_t
ngx_http_appeal_find_api_key(ngx_http_request_t *r, ngx_str_t *key)
{
    u_char           *p, *end;
    ngx_str_t         arg, value;
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    n = 0;
    ngx_str_null(key);

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        header = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (header[i].key.len == ngx_http_appeal_header.len
                && ngx_strncasecmp(header[i].key.data,
                                   ngx_http_appeal_header.data,
                                   ngx_http_appeal_header.len) == 0)
            {
                *key = header[i].value;
                n++;
            }
        }
    }

    p = r->args.data;
    end = p + r->args.len;

    while (ngx_http_appeal_next_arg(&p, end, &arg, &value)) {
        if (value.data != NULL) {
            *key = value;
            n++;
        }
    }

    return n;
}


/* A client's key, or the secret of a hook of that kind. */

static ngx_int_t
ngx_http_appeal_identify_key(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_loc_conf_t *alcf, ngx_str_t *text, ngx_str_t *hook,
    enum problem_reason *reason)
{
    struct keys        *keys;
    const struct key   *key;
    enum keys_verdict   verdict;

    keys = ngx_http_appeal_current(r, alcf->keys);
    verdict = keys_check(keys, (char *) text->data, text->len, ngx_time(),
                         &key);

    switch (verdict) {

    case KEYS_GOOD:
    case KEYS_EXPIRED:
        break;

    case KEYS_FAILED:
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "SHA-256 of an API key failed");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;

    default: /* KEYS_MALFORMED, KEYS_UNKNOWN, KEYS_WRONG */

        /* one answer for all three, so that prefixes cannot be listed */

        *reason = PROBLEM_INVALID_KEY;
        return NGX_OK;
    }

    if (ngx_strcmp(key->hook, hook->len ? (char *) hook->data : "") != 0) {
        *reason = PROBLEM_INVALID_KEY;
        return NGX_OK;
    }

    if (key->source != NULL && !ngx_http_appeal_is_in(r, key->source)) {
        *reason = PROBLEM_WRONG_SOURCE;
        return NGX_OK;
    }

    if (verdict == KEYS_EXPIRED) {
        *reason = PROBLEM_EXPIRED_KEY;
        return NGX_OK;
    }

    /* copied, for the table may be gone before the request is */

    if (ngx_http_appeal_copy(r->pool, &ctx->subject, key->subject,
                             ngx_strlen(key->subject)) != NGX_OK
        || ngx_http_appeal_copy(r->pool, &ctx->roles, key->roles,
                                ngx_strlen(key->roles)) != NGX_OK
        || ngx_http_appeal_copy(r->pool, &ctx->region, key->region,
                                ngx_strlen(key->region)) != NGX_OK
        || ngx_http_appeal_copy(r->pool, &ctx->body, key->body,
                                ngx_strlen(key->body)) != NGX_OK
        || ngx_http_appeal_copy(r->pool, &ctx->scope, key->scopes,
                                ngx_strlen(key->scopes)) != NGX_OK
        || ngx_http_appeal_copy(r->pool, &ctx->key, key->prefix,
                                KEYS_PREFIX_SIZE) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (hook->len) {
        ctx->method = NGX_HTTP_APPEAL_HOOK;
        ngx_str_set(&ctx->auth, "hook");

    } else {
        ctx->method = NGX_HTTP_APPEAL_API_KEY;
        ngx_str_set(&ctx->auth, "api_key");
    }

    ctx->rate = key->rate;

    return NGX_OK;
}


static void
ngx_http_appeal_identify_nobody(ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_loc_conf_t *alcf)
{
    ctx->method = NGX_HTTP_APPEAL_ANONYMOUS;
    ngx_str_set(&ctx->auth, "anonymous");
    ctx->region = alcf->region;
}


ngx_int_t
ngx_http_appeal_copy(ngx_pool_t *pool, ngx_str_t *to, const char *from,
    size_t len)
{
    if (len == 0) {
        ngx_str_set(to, "");
        return NGX_OK;
    }

    to->len = len;
    to->data = ngx_pnalloc(pool, len);

    if (to->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(to->data, from, len);

    return NGX_OK;
}


/*
 * Internal redirects clear the contexts of all modules.  The cleanup handler
 * does nothing; its place in the list of the pool is where the context is
 * found again.
 */

ngx_http_appeal_ctx_t *
ngx_http_appeal_find_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_appeal_ctx_t  *ctx;

    r = r->main;
    ctx = ngx_http_get_module_ctx(r, ngx_http_appeal_module);

    if (ctx != NULL || !(r->internal || r->filter_finalize)) {
        return ctx;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_appeal_cleanup) {
            ngx_http_set_ctx(r, cln->data, ngx_http_appeal_module);
            return cln->data;
        }
    }

    return NULL;
}


ngx_http_appeal_ctx_t *
ngx_http_appeal_get_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t     *cln;
    ngx_http_appeal_ctx_t  *ctx;

    ctx = ngx_http_appeal_find_ctx(r);

    if (ctx != NULL) {
        return ctx;
    }

    r = r->main;
    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_appeal_ctx_t));

    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_appeal_ctx_t));
    cln->handler = ngx_http_appeal_cleanup;
    ngx_http_set_ctx(r, ctx, ngx_http_appeal_module);

    r->log_handler = ngx_http_appeal_log_handler;
    r->connection->log->handler = ngx_http_appeal_log_connection;

    return ctx;
}


static void
ngx_http_appeal_cleanup(void *data)
{
    /* void */
}


static void *
ngx_http_appeal_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_appeal_main_conf_t  *amcf;

    amcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_appeal_main_conf_t));

    if (amcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&amcf->files, cf->pool, 4,
                       sizeof(ngx_http_appeal_file_t *)) != NGX_OK
        || ngx_array_init(&amcf->zones, cf->pool, 4,
                          sizeof(ngx_shm_zone_t *)) != NGX_OK
        || ngx_array_init(&amcf->limits, cf->pool, 8,
                          sizeof(ngx_http_appeal_limit_t *)) != NGX_OK
        || ngx_array_init(&amcf->challenges, cf->pool, 1,
                          sizeof(ngx_shm_zone_t *)) != NGX_OK
        || ngx_array_init(&amcf->memories, cf->pool, 2,
                          sizeof(ngx_shm_zone_t *)) != NGX_OK
        || ngx_array_init(&amcf->policies, cf->pool, 8,
                          sizeof(ngx_http_appeal_policy_t *)) != NGX_OK)
    {
        return NULL;
    }

    return amcf;
}


static void *
ngx_http_appeal_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_appeal_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_appeal_loc_conf_t));

    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->methods = 0;
     *     conf->region = { 0, NULL };
     *     conf->limits = NULL;
     *     conf->jwt_issuer = { 0, NULL };
     *     conf->jwt_audience = { 0, NULL };
     *     conf->jwt_type = { 0, NULL };
     *     conf->jwt_cookie = { 0, NULL };
     *     conf->jwt = NULL;
     *     conf->challenge_issue = 0;
     */

    conf->body = NGX_CONF_UNSET_UINT;
    conf->language = NGX_CONF_UNSET_UINT;
    conf->request_id = NGX_CONF_UNSET;
    conf->limit_headers = NGX_CONF_UNSET;
    conf->keys = NGX_CONF_UNSET_PTR;
    conf->scope = NGX_CONF_UNSET_PTR;
    conf->hook = NGX_CONF_UNSET_PTR;
    conf->allow = NGX_CONF_UNSET_PTR;
    conf->deny = NGX_CONF_UNSET_PTR;
    conf->jwt_keys = NGX_CONF_UNSET_PTR;
    conf->jwt_revoked = NGX_CONF_UNSET_PTR;
    conf->jwt_claims = NGX_CONF_UNSET_PTR;
    conf->jwt_memory = NGX_CONF_UNSET_PTR;
    conf->jwt_leeway = NGX_CONF_UNSET;
    conf->challenge = NGX_CONF_UNSET_PTR;
    conf->challenge_secret = NGX_CONF_UNSET_PTR;

    return conf;
}


static char *
ngx_http_appeal_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_appeal_loc_conf_t  *prev = parent;
    ngx_http_appeal_loc_conf_t  *conf = child;

    ngx_conf_merge_bitmask_value(conf->methods, prev->methods,
                                 NGX_CONF_BITMASK_SET|NGX_HTTP_APPEAL_OFF);
    ngx_conf_merge_uint_value(conf->body, prev->body,
                              NGX_HTTP_APPEAL_BODY_PROBLEM);
    ngx_conf_merge_uint_value(conf->language, prev->language, PROBLEM_RU);
    ngx_conf_merge_value(conf->request_id, prev->request_id, 0);
    ngx_conf_merge_value(conf->limit_headers, prev->limit_headers, 1);
    ngx_conf_merge_str_value(conf->region, prev->region, "");
    ngx_conf_merge_ptr_value(conf->keys, prev->keys, NULL);
    ngx_conf_merge_ptr_value(conf->scope, prev->scope, NULL);
    ngx_conf_merge_ptr_value(conf->hook, prev->hook, NULL);
    ngx_conf_merge_ptr_value(conf->allow, prev->allow, NULL);
    ngx_conf_merge_ptr_value(conf->deny, prev->deny, NULL);

    if (conf->limits == NULL) {
        conf->limits = prev->limits;
    }

    if ((conf->methods & NGX_HTTP_APPEAL_OFF)
        && (conf->methods & NGX_HTTP_APPEAL_METHODS))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"appeal_auth off\" goes with no other method");
        return NGX_CONF_ERROR;
    }

    if ((conf->methods & NGX_HTTP_APPEAL_HOOK) && conf->hook == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"appeal_auth hook\" needs \"appeal_hook\"");
        return NGX_CONF_ERROR;
    }

    if ((conf->methods & NGX_HTTP_APPEAL_HOOK)
        && conf->hook->place != NGX_HTTP_APPEAL_HOOK_BODY
        && conf->keys == NULL)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"appeal_auth hook\" needs \"appeal_api_keys\"");
        return NGX_CONF_ERROR;
    }

    if ((conf->methods & NGX_HTTP_APPEAL_API_KEY) && conf->keys == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"appeal_auth api_key\" needs "
                           "\"appeal_api_keys\"");
        return NGX_CONF_ERROR;
    }

    if (ngx_http_appeal_merge_challenge(cf, prev, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_appeal_merge_jwt(cf, prev, conf);
}


static char *
ngx_http_appeal_region(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_appeal_loc_conf_t *alcf = conf;

    ngx_int_t   number;
    ngx_str_t  *value;

    if (alcf->region.data != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;
    number = ngx_atoi(value[1].data, value[1].len);

    if (number < 1 || number > 999 || value[1].data[0] == '0') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number of a region \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    alcf->region = value[1];

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_appeal_preconfiguration(ngx_conf_t *cf)
{
    return ngx_http_appeal_add_variables(cf);
}


static ngx_int_t
ngx_http_appeal_add_handler(ngx_http_core_main_conf_t *cmcf,
    ngx_http_phases phase, ngx_http_handler_pt handler)
{
    ngx_http_handler_pt  *h;

    h = ngx_array_push(&cmcf->phases[phase].handlers);

    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = handler;

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_init(ngx_conf_t *cf)
{
    ngx_http_core_main_conf_t    *cmcf;
    ngx_http_appeal_main_conf_t  *amcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_appeal_module);

    if (ngx_http_appeal_add_counters(cf, amcf) != NGX_OK
        || ngx_http_appeal_init_share(cf, amcf) != NGX_OK
        || ngx_http_appeal_add_handler(cmcf, NGX_HTTP_POST_READ_PHASE,
                                       ngx_http_appeal_post_read_handler)
           != NGX_OK
        || ngx_http_appeal_add_handler(cmcf, NGX_HTTP_ACCESS_PHASE,
                                       ngx_http_appeal_access_handler)
           != NGX_OK
        || ngx_http_appeal_add_handler(cmcf, NGX_HTTP_LOG_PHASE,
                                       ngx_http_appeal_log_phase_handler)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_appeal_add_filter(cf);
}


static ngx_int_t
ngx_http_appeal_init_process(ngx_cycle_t *cycle)
{
    ngx_http_appeal_main_conf_t  *amcf;

    amcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_appeal_module);

    if (amcf != NULL && ngx_http_appeal_start_share(cycle, amcf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_appeal_start_maker(cycle);
}


static void
ngx_http_appeal_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_appeal_main_conf_t  *amcf;

    amcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_appeal_module);

    ngx_http_appeal_stop_maker(cycle);

    if (amcf != NULL) {
        ngx_http_appeal_stop_share(amcf);
    }
}
