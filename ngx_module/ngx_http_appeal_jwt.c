/* Tokens: where a request carries one, what it must be, what is remembered. */


#include "ngx_http_appeal_module.h"

#include <openssl/rand.h>


#define NGX_HTTP_APPEAL_LEEWAY       30      /* s */

/* the claims that can be told to the services */
#define NGX_HTTP_APPEAL_CLAIM_ROLES  0
#define NGX_HTTP_APPEAL_CLAIM_REGION 1
#define NGX_HTTP_APPEAL_CLAIM_BODY   2
#define NGX_HTTP_APPEAL_CLAIM_SCOPES 3
#define NGX_HTTP_APPEAL_CLAIMS       4


/* The data of a zone that holds verified tokens. */

typedef struct {
    ngx_http_appeal_memory_t       memory;
    struct tokens                 *table;
} ngx_http_appeal_tokens_t;


static ngx_uint_t ngx_http_appeal_find_bearer(ngx_http_request_t *r,
    ngx_str_t *token);
static ngx_uint_t ngx_http_appeal_find_cookie(ngx_http_request_t *r,
    ngx_str_t *name, ngx_str_t *token);

static struct jws_identity ngx_http_appeal_known(struct token *token);
static ngx_uint_t ngx_http_appeal_remembers(ngx_http_appeal_jwt_t *jwt,
    struct tokens *tokens, ngx_str_t *text, uint64_t hash[2],
    struct tokens_room *room, struct token *token);
static ngx_uint_t ngx_http_appeal_remember_token(struct tokens *tokens,
    uint64_t hash[2], struct jws_identity *identity);
static u_char *ngx_http_appeal_place(u_char *p, ngx_str_t *to,
    struct jws_text *from);
static ngx_int_t ngx_http_appeal_accept_token(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_http_appeal_loc_conf_t *alcf,
    struct jws_identity *identity);

static ngx_int_t ngx_http_appeal_init_tokens(ngx_shm_zone_t *shm_zone,
    void *data);
static char *ngx_http_appeal_check_jwt(ngx_conf_t *cf,
    ngx_http_appeal_loc_conf_t *conf);
static ngx_int_t ngx_http_appeal_jwt_text(ngx_conf_t *cf,
    ngx_http_appeal_jwt_t *jwt, ngx_http_appeal_loc_conf_t *conf);
static struct jws *ngx_http_appeal_jws(ngx_conf_t *cf);
static void ngx_http_appeal_jws_cleanup(void *data);


static enum problem_reason  ngx_http_appeal_reasons[] = {
    PROBLEM_NO_REASON,                     /* JWS_GOOD */
    PROBLEM_TOKEN_TOO_LONG,                /* JWS_TOO_LONG */
    PROBLEM_MALFORMED_TOKEN,               /* JWS_MALFORMED */
    PROBLEM_UNKNOWN_KEY,                   /* JWS_UNKNOWN_KEY */
    PROBLEM_WRONG_ALGORITHM,               /* JWS_WRONG_ALGORITHM */
    PROBLEM_WRONG_TYPE,                    /* JWS_WRONG_TYPE */
    PROBLEM_MISSING_CLAIM,                 /* JWS_MISSING_CLAIM */
    PROBLEM_EXPIRED_TOKEN,                 /* JWS_EXPIRED */
    PROBLEM_NOT_YET_VALID,                 /* JWS_NOT_YET_VALID */
    PROBLEM_WRONG_ISSUER,                  /* JWS_WRONG_ISSUER */
    PROBLEM_WRONG_AUDIENCE,                /* JWS_WRONG_AUDIENCE */
    PROBLEM_BAD_SIGNATURE,                 /* JWS_BAD_SIGNATURE */
    PROBLEM_REVOKED_TOKEN,                 /* JWS_REVOKED */
    PROBLEM_NO_REASON                      /* JWS_FAILED */
};


static ngx_str_t  ngx_http_appeal_claim_names[NGX_HTTP_APPEAL_CLAIMS] = {
    ngx_string("roles="),
    ngx_string("region="),
    ngx_string("body="),
    ngx_string("scopes=")
};


/* a tag of its own: no limit can be given such a zone */
static ngx_uint_t  ngx_http_appeal_tokens_tag;


_Static_assert(JWS_TOKEN_MAX <= NHASH_MAX, "a token is hashed as a whole");


/* How many tokens a request holds, at the first place that has any. */

ngx_uint_t
ngx_http_appeal_find_token(ngx_http_request_t *r, ngx_http_appeal_jwt_t *jwt,
    ngx_str_t *token)
{
    ngx_uint_t  n;

    n = ngx_http_appeal_find_bearer(r, token);

    if (n == 0 && jwt->cookie.len) {
        n = ngx_http_appeal_find_cookie(r, &jwt->cookie, token);
    }

    return n;
}


/* "Authorization: Bearer"; another scheme is none of our business. */

static ngx_uint_t
ngx_http_appeal_find_bearer(ngx_http_request_t *r, ngx_str_t *token)
{
    ngx_str_t        *value;
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    static ngx_str_t  name = ngx_string("authorization");
    static ngx_str_t  scheme = ngx_string("Bearer");

    n = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        header = part->elts;

        for (i = 0; i < part->nelts; i++) {
            value = &header[i].value;

            if (header[i].key.len != name.len
                || ngx_memcmp(header[i].lowcase_key, name.data, name.len) != 0
                || value->len < scheme.len
                || (ngx_memcmp(value->data, scheme.data, scheme.len) != 0
                    && ngx_strncasecmp(value->data, scheme.data, scheme.len)
                       != 0)
                || (value->len > scheme.len
                    && value->data[scheme.len] != ' '
                    && value->data[scheme.len] != '\t'))
            {
                continue;
            }

            token->data = value->data + scheme.len;
            token->len = value->len - scheme.len;

            while (token->len && *token->data == ' ') {
                token->data++;
                token->len--;
            }

            n++;
        }
    }

    return n;
}


static ngx_uint_t
ngx_http_appeal_find_cookie(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *token)
{
#if (nginx_version >= 1023000)
    return ngx_http_parse_cookie_lines(r, r->headers_in.cookie, name, token)
           != NULL;
#else
    return ngx_http_parse_multi_header_lines(&r->headers_in.cookies, name,
                                             token)
           != NGX_DECLINED;
#endif
}


ngx_int_t
ngx_http_appeal_identify_token(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_http_appeal_loc_conf_t *alcf,
    ngx_str_t *text, enum problem_reason *reason)
{
    uint64_t                      hash[2];
    struct jwks                  *keys;
    struct token                  token;
    struct tokens                *tokens;
    struct revoked               *revoked;
    enum jws_verdict              verdict;
    struct tokens_room            room;
    struct jws_identity           identity;
    ngx_http_appeal_jwt_t        *jwt;
    ngx_http_appeal_counters_t   *counters;
    ngx_http_appeal_main_conf_t  *amcf;

    if (text->len > JWS_TOKEN_MAX) {
        *reason = PROBLEM_TOKEN_TOO_LONG;
        return NGX_OK;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_appeal_module);
    counters = ngx_http_appeal_counters(amcf);

    jwt = alcf->jwt;
    keys = ngx_http_appeal_current(r, jwt->keys);
    revoked = jwt->revoked ? ngx_http_appeal_current(r, jwt->revoked) : NULL;
    tokens = jwt->memory ? ngx_http_appeal_memory_tokens(jwt->memory) : NULL;

    if (tokens != NULL
        && ngx_http_appeal_remembers(jwt, tokens, text, hash, &room, &token)
        && jwks_holds(keys, token.print)
        && (revoked == NULL
            || !revoked_holds(revoked, token.text[TOKENS_JTI],
                              token.n[TOKENS_JTI])))
    {
        ngx_http_appeal_count(counters->tokens_known);

        identity = ngx_http_appeal_known(&token);

        ngx_str_set(&ctx->token, "known");

        return ngx_http_appeal_accept_token(r, ctx, alcf, &identity);
    }

    if (ngx_http_appeal_peek(r, ctx, alcf, reason) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (*reason != PROBLEM_NO_REASON) {
        return NGX_OK;
    }

    verdict = jws_check(amcf->jws, keys, revoked, &jwt->policy,
                        (char *) text->data, text->len, ngx_time(),
                        &identity);

    if (verdict == JWS_FAILED) {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "the check of a token failed");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (verdict != JWS_GOOD) {
        *reason = ngx_http_appeal_reasons[verdict];
        return NGX_OK;
    }

    ngx_http_appeal_count(counters->tokens_verified);
    ngx_str_set(&ctx->token, "verified");

    if (tokens != NULL
        && ngx_http_appeal_remember_token(tokens, hash, &identity))
    {
        ngx_http_appeal_count(counters->tokens_evicted);
    }

    return ngx_http_appeal_accept_token(r, ctx, alcf, &identity);
}


static struct jws_identity
ngx_http_appeal_known(struct token *token)
{
    struct jws_identity  identity;

    ngx_memzero(&identity, sizeof(struct jws_identity));

    identity.subject.p = token->text[TOKENS_SUBJECT];
    identity.subject.n = token->n[TOKENS_SUBJECT];
    identity.roles.p = token->text[TOKENS_ROLES];
    identity.roles.n = token->n[TOKENS_ROLES];
    identity.region.p = token->text[TOKENS_REGION];
    identity.region.n = token->n[TOKENS_REGION];
    identity.body.p = token->text[TOKENS_BODY];
    identity.body.n = token->n[TOKENS_BODY];
    identity.scopes.p = token->text[TOKENS_SCOPES];
    identity.scopes.n = token->n[TOKENS_SCOPES];

    return identity;
}


static ngx_uint_t
ngx_http_appeal_remembers(ngx_http_appeal_jwt_t *jwt, struct tokens *tokens,
    ngx_str_t *text, uint64_t hash[2], struct tokens_room *room,
    struct token *token)
{
    u_char  key[SIPHASH_KEY_SIZE];

    if (!jwt->has_memory_key) {
        tokens_policy(tokens, jwt->text.data, jwt->text.len, key);
        nhash_init(&jwt->memory_key, key);
        ngx_explicit_memzero(key, sizeof(key));
        jwt->has_memory_key = 1;
    }

    nhash(&jwt->memory_key, text->data, text->len, hash);

    return tokens_find(tokens, hash, ngx_time(), room, token);
}


/* True if another token had to go. */

static ngx_uint_t
ngx_http_appeal_remember_token(struct tokens *tokens, uint64_t hash[2],
    struct jws_identity *identity)
{
    bool          evicted;
    struct token  token;

    token.until = identity->until;
    ngx_memcpy(token.print, identity->print, TOKENS_PRINT_SIZE);

    token.text[TOKENS_SUBJECT] = identity->subject.p;
    token.n[TOKENS_SUBJECT] = identity->subject.n;
    token.text[TOKENS_ROLES] = identity->roles.p;
    token.n[TOKENS_ROLES] = identity->roles.n;
    token.text[TOKENS_REGION] = identity->region.p;
    token.n[TOKENS_REGION] = identity->region.n;
    token.text[TOKENS_BODY] = identity->body.p;
    token.n[TOKENS_BODY] = identity->body.n;
    token.text[TOKENS_SCOPES] = identity->scopes.p;
    token.n[TOKENS_SCOPES] = identity->scopes.n;
    token.text[TOKENS_JTI] = identity->jti.p;
    token.n[TOKENS_JTI] = identity->jti.n;

    return tokens_put(tokens, hash, ngx_time(), &token, &evicted) && evicted;
}


static u_char *
ngx_http_appeal_place(u_char *p, ngx_str_t *to, struct jws_text *from)
{
    to->data = p;
    to->len = from->n;

    return from->n ? ngx_cpymem(p, from->p, from->n) : p;
}


static ngx_int_t
ngx_http_appeal_accept_token(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_http_appeal_loc_conf_t *alcf,
    struct jws_identity *identity)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, identity->subject.n + identity->roles.n
                             + identity->region.n + identity->body.n
                             + identity->scopes.n + 1);

    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_http_appeal_place(p, &ctx->subject, &identity->subject);
    p = ngx_http_appeal_place(p, &ctx->roles, &identity->roles);
    p = ngx_http_appeal_place(p, &ctx->region, &identity->region);
    p = ngx_http_appeal_place(p, &ctx->body, &identity->body);
    (void) ngx_http_appeal_place(p, &ctx->scope, &identity->scopes);

    if (ctx->region.len == 0) {
        ctx->region = alcf->region;
    }

    ctx->method = NGX_HTTP_APPEAL_JWT;
    ngx_str_set(&ctx->auth, "jwt");

    return NGX_OK;
}


struct tokens *
ngx_http_appeal_memory_tokens(ngx_shm_zone_t *shm_zone)
{
    ngx_http_appeal_tokens_t  *tokens;

    tokens = shm_zone->data;

    return tokens->table;
}


static ngx_int_t
ngx_http_appeal_init_tokens(ngx_shm_zone_t *shm_zone, void *data)
{
    void                      *p;
    u_char                     secret[SIPHASH_KEY_SIZE];
    ngx_log_t                 *log;
    ngx_http_appeal_tokens_t  *tokens;

    tokens = shm_zone->data;
    log = shm_zone->shm.log;

    p = ngx_http_appeal_memory_take(&tokens->memory, log);

    if (p != NULL) {
        tokens->table = tokens_attach(p, tokens->memory.size);

        if (tokens->table != NULL) {
            return NGX_OK;
        }
    }

    p = ngx_http_appeal_memory_make(&tokens->memory, log);

    if (p == NULL || RAND_bytes(secret, sizeof(secret)) != 1) {
        return NGX_ERROR;
    }

    tokens->table = tokens_create(p, tokens->memory.size, secret);

    ngx_explicit_memzero(secret, sizeof(secret));

    return tokens->table != NULL ? NGX_OK : NGX_ERROR;
}


char *
ngx_http_appeal_jwt_memory(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_appeal_loc_conf_t *alcf = conf;

    u_char                        *colon;
    ssize_t                        bytes;
    ngx_str_t                     *value, name, size;
    ngx_shm_zone_t               **zones;
    ngx_http_appeal_tokens_t      *tokens;
    ngx_http_appeal_main_conf_t   *amcf;

    if (alcf->jwt_memory != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;
    colon = (u_char *) ngx_strchr(value[1].data, ':');

    if (colon == NULL || colon == value[1].data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is not of the form zone:size", &value[1]);
        return NGX_CONF_ERROR;
    }

    name.data = value[1].data;
    name.len = colon - value[1].data;
    size.data = colon + 1;
    size.len = value[1].len - name.len - 1;

    bytes = ngx_parse_size(&size);

    if (bytes == NGX_ERROR || bytes < (ssize_t) (8 * ngx_pagesize)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size \"%V\" of zone \"%V\", "
                           "it must be %uz bytes at least",
                           &size, &name, 8 * ngx_pagesize);
        return NGX_CONF_ERROR;
    }

    alcf->jwt_memory = ngx_shared_memory_add(cf, &name,
                                             NGX_HTTP_APPEAL_NO_ZONE,
                                             &ngx_http_appeal_tokens_tag);

    if (alcf->jwt_memory == NULL) {
        return NGX_CONF_ERROR;
    }

    tokens = alcf->jwt_memory->data;

    if (tokens != NULL) {
        if (tokens->memory.size != ngx_align((size_t) bytes, ngx_pagesize)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "the zone \"%V\" has another size elsewhere",
                               &name);
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    tokens = ngx_pcalloc(cf->pool, sizeof(ngx_http_appeal_tokens_t));

    if (tokens == NULL
        || ngx_http_appeal_memory_add(cf, &tokens->memory, &name, bytes)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    alcf->jwt_memory->init = ngx_http_appeal_init_tokens;
    alcf->jwt_memory->data = tokens;

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_appeal_module);
    zones = ngx_array_push(&amcf->memories);

    if (zones == NULL) {
        return NGX_CONF_ERROR;
    }

    *zones = alcf->jwt_memory;

    return NGX_CONF_OK;
}


char *
ngx_http_appeal_jwt_claims(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_appeal_loc_conf_t *alcf = conf;

    ngx_str_t   *value, *name, *claim;
    ngx_uint_t   i, k;

    if (alcf->jwt_claims != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    alcf->jwt_claims = ngx_pcalloc(cf->pool, NGX_HTTP_APPEAL_CLAIMS
                                             * sizeof(ngx_str_t));

    if (alcf->jwt_claims == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        for (k = 0; k < NGX_HTTP_APPEAL_CLAIMS; k++) {
            name = &ngx_http_appeal_claim_names[k];

            if (value[i].len > name->len
                && ngx_strncmp(value[i].data, name->data, name->len) == 0)
            {
                break;
            }
        }

        if (k == NGX_HTTP_APPEAL_CLAIMS) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "parameter \"%V\" is unknown", &value[i]);
            return NGX_CONF_ERROR;
        }

        claim = &alcf->jwt_claims[k];

        if (claim->len) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "parameter \"%V\" is duplicate", &value[i]);
            return NGX_CONF_ERROR;
        }

        claim->data = value[i].data + name->len;
        claim->len = value[i].len - name->len;
    }

    return NGX_CONF_OK;
}


/* A terminated string of the configuration; NULL if it is not there. */

static const char *
ngx_http_appeal_jwt_string(ngx_str_t *value)
{
    return value->len ? (const char *) value->data : NULL;
}


char *
ngx_http_appeal_merge_jwt(ngx_conf_t *cf, ngx_http_appeal_loc_conf_t *prev,
    ngx_http_appeal_loc_conf_t *conf)
{
    ngx_http_appeal_jwt_t        *jwt;
    ngx_http_appeal_main_conf_t  *amcf;

    static ngx_str_t  no_claims[NGX_HTTP_APPEAL_CLAIMS];

    ngx_conf_merge_ptr_value(conf->jwt_keys, prev->jwt_keys, NULL);
    ngx_conf_merge_ptr_value(conf->jwt_revoked, prev->jwt_revoked, NULL);
    ngx_conf_merge_str_value(conf->jwt_issuer, prev->jwt_issuer, "");
    ngx_conf_merge_str_value(conf->jwt_audience, prev->jwt_audience, "");
    ngx_conf_merge_str_value(conf->jwt_type, prev->jwt_type, "");
    ngx_conf_merge_sec_value(conf->jwt_leeway, prev->jwt_leeway,
                             NGX_HTTP_APPEAL_LEEWAY);
    ngx_conf_merge_str_value(conf->jwt_cookie, prev->jwt_cookie, "");
    ngx_conf_merge_ptr_value(conf->jwt_claims, prev->jwt_claims, no_claims);
    ngx_conf_merge_ptr_value(conf->jwt_memory, prev->jwt_memory, NULL);

    if (!(conf->methods & NGX_HTTP_APPEAL_JWT)) {
        return NGX_CONF_OK;
    }

    if (ngx_http_appeal_check_jwt(cf, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_appeal_module);

    if (amcf->jws == NULL) {
        amcf->jws = ngx_http_appeal_jws(cf);
    }

    jwt = ngx_pcalloc(cf->pool, sizeof(ngx_http_appeal_jwt_t));

    if (jwt == NULL || amcf->jws == NULL) {
        return NGX_CONF_ERROR;
    }

    jwt->policy.issuer = ngx_http_appeal_jwt_string(&conf->jwt_issuer);
    jwt->policy.audience = ngx_http_appeal_jwt_string(&conf->jwt_audience);
    jwt->policy.type = ngx_http_appeal_jwt_string(&conf->jwt_type);
    jwt->policy.leeway = conf->jwt_leeway;
    jwt->policy.roles = ngx_http_appeal_jwt_string(
                            &conf->jwt_claims[NGX_HTTP_APPEAL_CLAIM_ROLES]);
    jwt->policy.region = ngx_http_appeal_jwt_string(
                            &conf->jwt_claims[NGX_HTTP_APPEAL_CLAIM_REGION]);
    jwt->policy.body = ngx_http_appeal_jwt_string(
                            &conf->jwt_claims[NGX_HTTP_APPEAL_CLAIM_BODY]);
    jwt->policy.scopes = ngx_http_appeal_jwt_string(
                            &conf->jwt_claims[NGX_HTTP_APPEAL_CLAIM_SCOPES]);
    jwt->keys = conf->jwt_keys;
    jwt->revoked = conf->jwt_revoked;
    jwt->memory = conf->jwt_memory;
    jwt->cookie = conf->jwt_cookie;

    if (ngx_http_appeal_jwt_text(cf, jwt, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    conf->jwt = jwt;

    return NGX_CONF_OK;
}


static char *
ngx_http_appeal_check_jwt(ngx_conf_t *cf, ngx_http_appeal_loc_conf_t *conf)
{
    if (conf->jwt_keys == NULL || conf->jwt_issuer.len == 0
        || conf->jwt_audience.len == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"appeal_auth jwt\" needs \"appeal_jwt_keys\", "
                           "\"appeal_jwt_issuer\" and "
                           "\"appeal_jwt_audience\"");
        return NGX_CONF_ERROR;
    }

    if (conf->scope != NULL && (conf->scope->asked & NGX_HTTP_APPEAL_JWT)
        && conf->jwt_claims[NGX_HTTP_APPEAL_CLAIM_SCOPES].len == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"appeal_scope\" needs \"appeal_jwt_claims\" "
                           "with \"scopes=\" where tokens are taken");
        return NGX_CONF_ERROR;
    }

    if (conf->jwt_leeway > JWS_LEEWAY_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"appeal_jwt_leeway\" is over %d seconds",
                           JWS_LEEWAY_MAX);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/*
 * Two locations with the same text judge alike; what was verified under
 * another text counts for nothing.
 */

static ngx_int_t
ngx_http_appeal_jwt_text(ngx_conf_t *cf, ngx_http_appeal_jwt_t *jwt,
    ngx_http_appeal_loc_conf_t *conf)
{
    u_char      *p;
    size_t       len;
    ngx_str_t   *claims, empty, *revoked;

    ngx_str_null(&empty);
    revoked = jwt->revoked ? &jwt->revoked->path : &empty;
    claims = conf->jwt_claims;

    len = jwt->keys->path.len + revoked->len + conf->jwt_issuer.len
          + conf->jwt_audience.len + conf->jwt_type.len + jwt->cookie.len
          + claims[NGX_HTTP_APPEAL_CLAIM_ROLES].len
          + claims[NGX_HTTP_APPEAL_CLAIM_REGION].len
          + claims[NGX_HTTP_APPEAL_CLAIM_BODY].len
          + claims[NGX_HTTP_APPEAL_CLAIM_SCOPES].len
          + NGX_TIME_T_LEN + 10;

    p = ngx_pnalloc(cf->pool, len);

    if (p == NULL) {
        return NGX_ERROR;
    }

    jwt->text.data = p;
    jwt->text.len = ngx_sprintf(p,
                                "%V%Z%V%Z%V%Z%V%Z%V%Z%V%Z%V%Z%V%Z%V%Z%V%Z%T",
                                &jwt->keys->path, revoked, &conf->jwt_issuer,
                                &conf->jwt_audience, &conf->jwt_type,
                                &jwt->cookie,
                                &claims[NGX_HTTP_APPEAL_CLAIM_ROLES],
                                &claims[NGX_HTTP_APPEAL_CLAIM_REGION],
                                &claims[NGX_HTTP_APPEAL_CLAIM_BODY],
                                &claims[NGX_HTTP_APPEAL_CLAIM_SCOPES],
                                conf->jwt_leeway)
                    - p;

    return NGX_OK;
}


static struct jws *
ngx_http_appeal_jws(ngx_conf_t *cf)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (cln == NULL) {
        return NULL;
    }

    cln->data = jws_create();
    cln->handler = cln->data ? ngx_http_appeal_jws_cleanup : NULL;

    return cln->data;
}


static void
ngx_http_appeal_jws_cleanup(void *data)
{
    jws_free(data);
}
