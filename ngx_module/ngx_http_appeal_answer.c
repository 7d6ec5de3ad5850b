/* What a client is told: refusals, problems of nginx's own, headers, and what
 * the log is told of them. */


#include "ngx_http_appeal_module.h"


#define NGX_HTTP_APPEAL_LOG_LINES   10       /* refusals a worker a second */
#define NGX_HTTP_APPEAL_RESTART     2        /* s a dead service needs */

#define NGX_HTTP_APPEAL_CHALLENGE_LEN  192


static ngx_int_t ngx_http_appeal_refusal(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_uint_t *page);
static ngx_int_t ngx_http_appeal_send_problem(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_uint_t status);
static void ngx_http_appeal_fill_policies(struct problem *problem,
    ngx_http_appeal_ctx_t *ctx);
static void ngx_http_appeal_count_refusal(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx);
static ngx_int_t ngx_http_appeal_challenge(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx);
static void ngx_http_appeal_log_refusal(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx);
static ngx_int_t ngx_http_appeal_problem_handler(ngx_http_request_t *r);

static ngx_int_t ngx_http_appeal_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_appeal_add_limits(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx);
static ngx_int_t ngx_http_appeal_add_retry(ngx_http_request_t *r,
    int64_t seconds);
static ngx_table_elt_t *ngx_http_appeal_add_header(ngx_http_request_t *r,
    char *name, ngx_str_t *value);
static ngx_int_t ngx_http_appeal_make_heads(ngx_conf_t *cf);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;


/* Answers a request whose ctx->refused is set; to be returned by the phase. */

ngx_int_t
ngx_http_appeal_refuse(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx)
{
    ngx_int_t   rc;
    ngx_uint_t  page;

    rc = ngx_http_appeal_refusal(r, ctx, &page);

    if (page) {
        return rc;
    }

    ngx_http_finalize_request(r, rc);

    return NGX_DONE;
}


/* The same for a handler of content, whose caller finalizes the request. */

ngx_int_t
ngx_http_appeal_refuse_here(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx)
{
    ngx_uint_t  page;

    return ngx_http_appeal_refusal(r, ctx, &page);
}


/* If *page, the result is a status that nginx has a page for. */

static ngx_int_t
ngx_http_appeal_refusal(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx,
    ngx_uint_t *page)
{
    char                         *name;
    ngx_int_t                     status;
    ngx_uint_t                    any;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_appeal_loc_conf_t   *alcf;

    status = problem_reason_status(ctx->refused);
    *page = 1;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_appeal_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    any = clcf->satisfy == NGX_HTTP_SATISFY_ANY
          && status != NGX_HTTP_TOO_MANY_REQUESTS;

    if (ctx->reason.len == 0) {
        name = (char *) problem_reason_name(ctx->refused);
        ctx->reason.data = (u_char *) name;
        ctx->reason.len = ngx_strlen(name);

        /* what the client is told is to be found in the log */

        if (ngx_http_appeal_set_request_id(r, ctx) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (!any) {
        ngx_http_appeal_count_refusal(r, ctx);
    }

    if ((status == NGX_HTTP_UNAUTHORIZED
         || ctx->refused == PROBLEM_INSUFFICIENT_SCOPE)
        && ngx_http_appeal_challenge(r, ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (any || alcf->body == NGX_HTTP_APPEAL_BODY_ERROR_PAGE) {
        return status;
    }

    /* an error page may be refused, too: then that is what the client is told */

    r->err_status = 0;
    *page = 0;

    return ngx_http_appeal_send_problem(r, ctx, status);
}


/*
 * Has another module let in whom this one refused, by "satisfy any"?  nginx
 * hides the challenge then.  In another place it will be asked anew.
 */

ngx_uint_t
ngx_http_appeal_overruled(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx)
{
    if (ctx->challenge == NULL || ctx->challenge->hash != 0) {
        return 0;
    }

    if (r->headers_out.www_authenticate == ctx->challenge) {
        r->headers_out.www_authenticate = NULL;
    }

    ctx->challenge = NULL;
    ctx->refused = PROBLEM_NO_REASON;
    ctx->decided = NULL;
    ngx_str_null(&ctx->reason);

    return 1;
}


/* At the end of a request: nobody let it in after all, or somebody did. */

void
ngx_http_appeal_settle(ngx_http_request_t *r)
{
    ngx_http_appeal_ctx_t  *ctx;

    ctx = ngx_http_appeal_find_ctx(r);

    if (ctx != NULL && ctx->refused && !ngx_http_appeal_overruled(r, ctx)) {
        ngx_http_appeal_count_refusal(r, ctx);
    }
}


static void
ngx_http_appeal_count_refusal(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx)
{
    ngx_http_appeal_counters_t  *counters;

    if (ctx->counted) {
        return;
    }

    ctx->counted = 1;

    counters = ngx_http_appeal_counters(
                     ngx_http_get_module_main_conf(r, ngx_http_appeal_module));
    ngx_http_appeal_count(counters->refused[ctx->refused]);

    ngx_http_appeal_log_refusal(r, ctx);
}


/* WWW-Authenticate: what may be sent, or what was wrong with a token. */

static ngx_int_t
ngx_http_appeal_challenge(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx)
{
    u_char                      *p, *last;
    size_t                       len;
    ngx_str_t                    value, scope;
    ngx_uint_t                   methods;
    ngx_table_elt_t             *h;
    ngx_http_appeal_loc_conf_t  *alcf;

    if (r->headers_out.www_authenticate != NULL) {
        return NGX_OK;
    }

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_appeal_module);
    methods = alcf->methods;

    ngx_str_null(&scope);

    if (ctx->refused == PROBLEM_INSUFFICIENT_SCOPE && alcf->scope != NULL) {
        scope = alcf->scope->text;
    }

    len = NGX_HTTP_APPEAL_CHALLENGE_LEN + scope.len;
    value.data = ngx_pnalloc(r->pool, len);

    if (value.data == NULL) {
        return NGX_ERROR;
    }

    if (scope.len) {
        p = ngx_snprintf(value.data, len,
                         "%s realm=\"otklik\", error=\"insufficient_scope\", "
                         "scope=\"%V\"",
                         ctx->method == NGX_HTTP_APPEAL_JWT ? "Bearer"
                                                            : "ApiKey",
                         &scope);

    } else if (ctx->refused >= PROBLEM_TOKEN_TOO_LONG
        && ctx->refused <= PROBLEM_REVOKED_TOKEN)
    {
        p = ngx_snprintf(value.data, len,
                         "Bearer realm=\"otklik\", error=\"invalid_token\", "
                         "error_description=\"%V\"", &ctx->reason);

    } else if (ctx->refused >= PROBLEM_MALFORMED_CHALLENGE
               && ctx->refused <= PROBLEM_SPENT_CHALLENGE)
    {
        p = ngx_snprintf(value.data, len,
                         "Altcha realm=\"otklik\", header=\"X-Altcha\", "
                         "error=\"%V\"", &ctx->reason);

    } else {
        p = value.data;
        last = p + len;

        if (methods & NGX_HTTP_APPEAL_JWT) {
            p = ngx_slprintf(p, last, "Bearer realm=\"otklik\"");
        }

        if ((methods & NGX_HTTP_APPEAL_API_KEY)
            || !(methods & (NGX_HTTP_APPEAL_JWT|NGX_HTTP_APPEAL_CHALLENGE)))
        {
            p = ngx_slprintf(p, last,
                             "%sApiKey realm=\"otklik\", "
                             "header=\"X-Api-Key\"",
                             p > value.data ? ", " : "");
        }

        if (methods & NGX_HTTP_APPEAL_CHALLENGE) {
            p = ngx_slprintf(p, last,
                             "%sAltcha realm=\"otklik\", "
                             "header=\"X-Altcha\"",
                             p > value.data ? ", " : "");
        }
    }

    value.len = p - value.data;
    h = ngx_http_appeal_add_header(r, "WWW-Authenticate", &value);

    if (h == NULL) {
        return NGX_ERROR;
    }

    /* nginx hides it if another module lets the request in */

    r->headers_out.www_authenticate = h;
    ctx->challenge = h;

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_send_problem(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_uint_t status)
{
    char                          body[PROBLEM_SIZE];
    ngx_str_t                     tag, *head;
    struct problem                problem;
    ngx_http_complex_value_t      cv;
    ngx_http_appeal_loc_conf_t   *alcf;
    ngx_http_appeal_main_conf_t  *amcf;

    static ngx_str_t  type = ngx_string("application/problem+json");
    static ngx_str_t  language = ngx_string("Accept-Language");

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_appeal_module);

    ngx_memzero(&problem, sizeof(struct problem));
    problem.status = status;
    problem.language = alcf->language;

    if (r->headers_in.accept_language != NULL) {
        problem.language = problem_language(
                       (char *) r->headers_in.accept_language->value.data,
                       r->headers_in.accept_language->value.len,
                       alcf->language);
    }

    if (ngx_http_appeal_set_request_id(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    problem.request_id.p = (char *) ctx->request_id.data;
    problem.request_id.n = ctx->request_id.len;

    if (ctx->refused
        && problem_reason_status(ctx->refused) == (int) status)
    {
        amcf = ngx_http_get_module_main_conf(r, ngx_http_appeal_module);
        head = &amcf->heads[ctx->refused][problem.language];

        problem.head.p = (char *) head->data;
        problem.head.n = head->len;
        problem.reason = ctx->refused;
        problem.retry = ngx_http_appeal_retry_after(ctx);
        ngx_http_appeal_fill_policies(&problem, ctx);

    } else if (status >= NGX_HTTP_BAD_GATEWAY
               && status <= NGX_HTTP_GATEWAY_TIME_OUT)
    {
        problem.retry = NGX_HTTP_APPEAL_RESTART;

        if (ngx_http_appeal_add_retry(r, problem.retry) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));
    cv.value.len = problem_write(body, PROBLEM_SIZE, &problem);
    cv.value.data = ngx_pnalloc(r->pool, cv.value.len + 1);

    if (cv.value.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(cv.value.data, body, cv.value.len);

    tag.data = (u_char *) problem_language_tag(problem.language);
    tag.len = ngx_strlen(tag.data);

    if (cv.value.len == 0
        || ngx_http_appeal_add_header(r, "Content-Language", &tag) == NULL
        || ngx_http_appeal_add_header(r, "Vary", &language) == NULL
        || ngx_http_appeal_add_no_store(r) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* who waits for "100 Continue" keeps the body */

    r->expect_tested = 1;

    return ngx_http_send_response(r, status, &type, &cv);
}


static void
ngx_http_appeal_fill_policies(struct problem *problem,
    ngx_http_appeal_ctx_t *ctx)
{
    ngx_uint_t                  i;
    struct problem_text        *policy;
    ngx_http_appeal_charged_t  *charged;

    if (ctx->charged == NULL) {
        return;
    }

    charged = ctx->charged->elts;

    for (i = 0; i < ctx->charged->nelts
                && problem->npolicies < LIMITS_PER_DECISION; i++)
    {
        if (charged[i].charge.refused) {
            policy = &problem->policies[problem->npolicies++];
            policy->p = (char *) charged[i].limit->name.data;
            policy->n = charged[i].limit->name.len;
        }
    }
}


static void
ngx_http_appeal_log_refusal(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx)
{
    if (ngx_http_appeal_may_log(r)) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "refused: %V, subject \"%V\", retry after %L s",
                      &ctx->reason, &ctx->subject,
                      ngx_http_appeal_retry_after(ctx));
    }
}


/* A flood of refusals must not become a flood of log lines. */

ngx_uint_t
ngx_http_appeal_may_log(ngx_http_request_t *r)
{
    ngx_http_appeal_counters_t   *counters;
    ngx_http_appeal_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_appeal_module);

    if (amcf->log_second != ngx_time()) {
        if (amcf->log_dropped) {
            ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                          "%ui more refusals were not logged",
                          amcf->log_dropped);
        }

        amcf->log_second = ngx_time();
        amcf->log_lines = 0;
        amcf->log_dropped = 0;
    }

    if (amcf->log_lines >= NGX_HTTP_APPEAL_LOG_LINES) {
        counters = ngx_http_appeal_counters(amcf);
        ngx_http_appeal_count(counters->not_logged);
        amcf->log_dropped++;
        return 0;
    }

    amcf->log_lines++;

    return 1;
}


/* In place of nginx's own, which would name the address. */

u_char *
ngx_http_appeal_log_connection(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char              *p;
    ngx_http_request_t  *r;
    ngx_http_log_ctx_t  *ctx;

    p = buf;

    if (log->action) {
        p = ngx_snprintf(buf, len, " while %s", log->action);
        len -= p - buf;
    }

    ctx = log->data;
    r = ctx->request;

    if (r != NULL && r->log_handler != NULL) {
        return r->log_handler(r, ctx->current_request, p, len);
    }

    return p;
}


/*
 * In place of nginx's own: no query string and no referrer, for codes and keys
 * travel there; the id of the request and the pseudonym instead.
 */

u_char *
ngx_http_appeal_log_handler(ngx_http_request_t *r, ngx_http_request_t *sr,
    u_char *buf, size_t len)
{
    u_char                 *last, *p, *end;
    ngx_str_t               uri;
    ngx_http_upstream_t    *u;
    ngx_http_appeal_ctx_t  *ctx;

    last = buf + len;
    uri = r->unparsed_uri;
    end = uri.data + uri.len;

    for (p = uri.data; p < end && *p != '?' && *p != '#'; p++) { /* void */ }

    uri.len = p - uri.data;
    ngx_http_appeal_hide_secret(r, &uri);
    p = ngx_slprintf(buf, last, ", request: \"%V %V\"", &r->method_name, &uri);

    ctx = ngx_http_appeal_find_ctx(r);

    if (ctx != NULL && ctx->request_id.len) {
        p = ngx_slprintf(p, last, ", id: %V", &ctx->request_id);
    }

    if (ctx != NULL && ctx->client.len) {
        p = ngx_slprintf(p, last, ", client: %V", &ctx->client);
    }

    u = sr->upstream;

    if (u != NULL && u->peer.name != NULL) {
        p = ngx_slprintf(p, last, ", upstream: \"%V%V\"", &u->schema,
                         u->peer.name);
    }

    return p;
}


/* Where error_page sends what nginx itself refuses. */

static ngx_int_t
ngx_http_appeal_problem_handler(ngx_http_request_t *r)
{
    ngx_http_appeal_ctx_t  *ctx;

    ctx = ngx_http_appeal_get_ctx(r);

    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_appeal_send_problem(r, ctx,
                                        r->err_status ? r->err_status
                                                      : NGX_HTTP_NOT_FOUND);
}


char *
ngx_http_appeal_problem(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_appeal_problem_handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_appeal_header_filter(ngx_http_request_t *r)
{
    ngx_http_appeal_ctx_t       *ctx;
    ngx_http_appeal_loc_conf_t  *alcf;

    if (r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_appeal_module);

    ctx = alcf->request_id ? ngx_http_appeal_get_ctx(r)
                           : ngx_http_appeal_find_ctx(r);

    if (ctx == NULL) {
        return alcf->request_id ? NGX_ERROR : ngx_http_next_header_filter(r);
    }

    if (alcf->request_id) {
        if (ngx_http_appeal_set_request_id(r, ctx) != NGX_OK
            || ngx_http_appeal_add_header(r, "X-Request-Id", &ctx->request_id)
               == NULL)
        {
            return NGX_ERROR;
        }
    }

    /* a redirection is followed at once, whatever is left */

    if (ctx->charged != NULL
        && alcf->limit_headers
        && (r->headers_out.status < NGX_HTTP_SPECIAL_RESPONSE
            || r->headers_out.status >= NGX_HTTP_BAD_REQUEST)
        && ngx_http_appeal_add_limits(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->refused
        && r->headers_out.status
           == (ngx_uint_t) problem_reason_status(ctx->refused)
        && ngx_http_appeal_retry_after(ctx) > 0
        && ngx_http_appeal_add_retry(r, ngx_http_appeal_retry_after(ctx))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


ngx_int_t
ngx_http_appeal_add_no_store(ngx_http_request_t *r)
{
    static ngx_str_t  no_store = ngx_string("no-store");

    return ngx_http_appeal_add_header(r, "Cache-Control", &no_store) == NULL
           ? NGX_ERROR : NGX_OK;
}


/* RateLimit-Policy and RateLimit */

static ngx_int_t
ngx_http_appeal_add_limits(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx)
{
    char                       *p, *s;
    size_t                      len;
    ngx_str_t                   policy, state;
    ngx_uint_t                  i, n;
    struct ratelimit           *item, own;
    struct limits_charge       *charge;
    ngx_http_appeal_charged_t  *charged;

    charged = ctx->charged->elts;
    n = ctx->charged->nelts;
    len = 0;

    for (i = 0; i < n; i++) {
        len += charged[i].limit->item.name + RATELIMIT_STATE_SIZE + 2;
    }

    policy.data = ngx_pnalloc(r->pool, 2 * len);

    if (policy.data == NULL) {
        return NGX_ERROR;
    }

    state.data = policy.data + len;
    p = (char *) policy.data;
    s = (char *) state.data;

    for (i = 0; i < n; i++) {
        charge = &charged[i].charge;
        item = &charged[i].limit->item;

        if (charge->rate.period != charged[i].limit->rate.period
            || charge->rate.burst != charged[i].limit->rate.burst)
        {
            if (!ngx_http_appeal_make_item(&own, charged[i].limit,
                                           &charge->rate))
            {
                return NGX_ERROR;
            }

            item = &own;
        }

        if (i > 0) {
            p = (char *) ngx_cpymem(p, ", ", 2);
            s = (char *) ngx_cpymem(s, ", ", 2);
        }

        p = (char *) ngx_cpymem(p, item->text, item->n);
        s = ratelimit_put_state(s, item, charge->remaining,
                                ratelimit_seconds(charge->refused
                                                  ? charge->retry
                                                  : charge->full));
    }

    policy.len = (u_char *) p - policy.data;
    state.len = (u_char *) s - state.data;

    if (ngx_http_appeal_add_header(r, "RateLimit-Policy", &policy) == NULL
        || ngx_http_appeal_add_header(r, "RateLimit", &state) == NULL)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_add_retry(ngx_http_request_t *r, int64_t seconds)
{
    ngx_str_t  value;

    value.data = ngx_pnalloc(r->pool, DECIMAL_SIZE);

    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = decimal_write((char *) value.data, seconds);

    return ngx_http_appeal_add_header(r, "Retry-After", &value) == NULL
           ? NGX_ERROR : NGX_OK;
}


/* The name is a literal; the value must live as long as the request. */

static ngx_table_elt_t *
ngx_http_appeal_add_header(ngx_http_request_t *r, char *name, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);

    if (h == NULL) {
        return NULL;
    }

    h->hash = 1;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;

    return h;
}


/* What bodies of refusals begin with is the same each time. */

static ngx_int_t
ngx_http_appeal_make_heads(ngx_conf_t *cf)
{
    char                          text[PROBLEM_SIZE];
    size_t                        len;
    ngx_str_t                    *head;
    ngx_uint_t                    i, k;
    struct problem                problem;
    ngx_http_appeal_main_conf_t  *amcf;

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_appeal_module);

    for (i = PROBLEM_NO_REASON + 1; i < PROBLEM_REASONS; i++) {
        for (k = 0; k < PROBLEM_LANGUAGES; k++) {
            ngx_memzero(&problem, sizeof(struct problem));
            problem.status = problem_reason_status(i);
            problem.reason = i;
            problem.language = k;

            len = problem_head(text, sizeof(text), &problem);

            head = &amcf->heads[i][k];
            head->len = len;
            head->data = ngx_pnalloc(cf->pool, len + 1);

            if (len == 0 || head->data == NULL) {
                return NGX_ERROR;
            }

            ngx_memcpy(head->data, text, len);
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_appeal_add_filter(ngx_conf_t *cf)
{
    if (ngx_http_appeal_make_heads(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_appeal_header_filter;

    return NGX_OK;
}
