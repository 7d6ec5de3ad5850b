/* Limits in shared memory: their zones, their directives, how one is asked. */


#include "ngx_http_appeal_module.h"

#include <openssl/rand.h>


/* what a limit counts by */
#define NGX_HTTP_APPEAL_BY_ADDRESS  0
#define NGX_HTTP_APPEAL_BY_API_KEY  1
#define NGX_HTTP_APPEAL_BY_NETWORK  2
#define NGX_HTTP_APPEAL_BY_VALUE    3

/* which limits of a place are asked about a request */
#define NGX_HTTP_APPEAL_OF_ALL      0        /* by address, for every method */
#define NGX_HTTP_APPEAL_OF_ADDRESS  1        /* by address, for whatever one */
#define NGX_HTTP_APPEAL_OF_METHOD   2        /* for the one it came by */

#define NGX_HTTP_APPEAL_KEY_MAX     1024     /* bytes of a value */


/* What is asked about one request. */

typedef struct {
    u_char                    address[NGX_HTTP_APPEAL_ADDRESS_SIZE];
    size_t                    address_len;
    struct limits            *table;       /* that address_hash is for */
    uint64_t                  address_hash[2];
    ngx_uint_t                shared;      /* any of the zones is */

    ngx_uint_t                n;
    ngx_http_appeal_limit_t  *asked[LIMITS_PER_DECISION];
    struct limits_charge      charges[LIMITS_PER_DECISION];
    ngx_http_appeal_part_t    parts[LIMITS_PER_DECISION];

    ngx_uint_t                ndry;
    ngx_http_appeal_limit_t  *dry[LIMITS_PER_DECISION];
    struct limits_charge      dry_charges[LIMITS_PER_DECISION];
    ngx_http_appeal_part_t    dry_parts[LIMITS_PER_DECISION];
} ngx_http_appeal_questions_t;

/* s that a store of nonces, and a pool of challenges, are given */
#define NGX_HTTP_APPEAL_STORE_RETRY  10
#define NGX_HTTP_APPEAL_POOL_RETRY   2


/* One name=value of appeal_limit. */

typedef struct {
    ngx_str_t    name;
    char      *(*set)(ngx_conf_t *cf, ngx_http_appeal_limit_t *limit,
                      ngx_str_t *value);
} ngx_http_appeal_limit_param_t;


static ngx_int_t ngx_http_appeal_charge_dry(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_http_appeal_questions_t *q);
static ngx_int_t ngx_http_appeal_questions(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_http_appeal_loc_conf_t *alcf,
    ngx_uint_t whose, ngx_http_appeal_questions_t *q);
static ngx_uint_t ngx_http_appeal_concerns(ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_limit_t *limit, ngx_uint_t whose);
static ngx_int_t ngx_http_appeal_ask(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_http_appeal_limit_t *limit,
    ngx_http_appeal_questions_t *q, struct limits_charge *charge,
    ngx_http_appeal_part_t *part);
static void ngx_http_appeal_tell(ngx_http_appeal_limit_t *limit,
    struct limits_charge *charge, ngx_http_appeal_part_t *part, int64_t now);
static ngx_int_t ngx_http_appeal_applies(ngx_http_request_t *r,
    ngx_http_complex_value_t *condition);
static ngx_int_t ngx_http_appeal_key_of(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_http_appeal_limit_t *limit,
    ngx_http_appeal_questions_t *q, ngx_str_t *key);
static ngx_uint_t ngx_http_appeal_was_charged(ngx_array_t *array,
    ngx_http_appeal_limit_t *limit);
static ngx_uint_t ngx_http_appeal_same_policy(ngx_http_appeal_limit_t *one,
    ngx_http_appeal_limit_t *two);
static ngx_int_t ngx_http_appeal_remember(ngx_http_request_t *r,
    ngx_array_t **array, ngx_http_appeal_questions_t *q);

static ngx_int_t ngx_http_appeal_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);

static char *ngx_http_appeal_limit_set_key(ngx_conf_t *cf,
    ngx_http_appeal_limit_t *limit, ngx_str_t *value);
static char *ngx_http_appeal_compile(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_complex_value_t **value);
static char *ngx_http_appeal_limit_set_rate(ngx_conf_t *cf,
    ngx_http_appeal_limit_t *limit, ngx_str_t *value);
static char *ngx_http_appeal_limit_set_burst(ngx_conf_t *cf,
    ngx_http_appeal_limit_t *limit, ngx_str_t *value);
static char *ngx_http_appeal_limit_set_cost(ngx_conf_t *cf,
    ngx_http_appeal_limit_t *limit, ngx_str_t *value);
static char *ngx_http_appeal_limit_set_only(ngx_conf_t *cf,
    ngx_http_appeal_limit_t *limit, ngx_str_t *value);
static char *ngx_http_appeal_limit_set_name(ngx_conf_t *cf,
    ngx_http_appeal_limit_t *limit, ngx_str_t *value);
static char *ngx_http_appeal_limit_set_if(ngx_conf_t *cf,
    ngx_http_appeal_limit_t *limit, ngx_str_t *value);
static char *ngx_http_appeal_check_limit(ngx_conf_t *cf,
    ngx_array_t *limits, ngx_http_appeal_limit_t *limit);


static ngx_http_appeal_limit_param_t  ngx_http_appeal_limit_params[] = {
    { ngx_string("key="), ngx_http_appeal_limit_set_key },
    { ngx_string("rate="), ngx_http_appeal_limit_set_rate },
    { ngx_string("burst="), ngx_http_appeal_limit_set_burst },
    { ngx_string("cost="), ngx_http_appeal_limit_set_cost },
    { ngx_string("only="), ngx_http_appeal_limit_set_only },
    { ngx_string("name="), ngx_http_appeal_limit_set_name },
    { ngx_string("if="), ngx_http_appeal_limit_set_if },
    { ngx_null_string, NULL }
};


int64_t
ngx_http_appeal_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}


/*
 * Would a limit refuse whatever the credential turns out to be?  Asked before
 * something dear is done about it: then a flood of forged ones costs no more
 * than any other.
 */

ngx_int_t
ngx_http_appeal_peek(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_loc_conf_t *alcf, enum problem_reason *reason)
{
    ngx_int_t                    rc;
    ngx_http_appeal_questions_t  q;

    rc = ngx_http_appeal_questions(r, ctx, alcf, NGX_HTTP_APPEAL_OF_ALL, &q);

    if (rc != NGX_OK || q.n == 0
        || limits_peek(q.charges, q.n, ngx_http_appeal_now()))
    {
        return rc;
    }

    *reason = PROBLEM_RATE_EXCEEDED;

    return ngx_http_appeal_remember(r, &ctx->charged, &q);
}


/*
 * Charges all limits of a location that this request has not paid yet, or
 * none of them.  A request that came with no good credential pays only what
 * goes by address, but that whoever the limit is for: guessing costs.
 */

ngx_int_t
ngx_http_appeal_charge(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_loc_conf_t *alcf, enum problem_reason *reason)
{
    int64_t                      now;
    ngx_int_t                    rc;
    ngx_uint_t                   i, whose;
    ngx_http_appeal_questions_t  q;

    if (*reason == PROBLEM_RATE_EXCEEDED || *reason == PROBLEM_DENIED_ADDRESS) {
        return NGX_OK;
    }

    whose = *reason == PROBLEM_NO_REASON ? NGX_HTTP_APPEAL_OF_METHOD
                                         : NGX_HTTP_APPEAL_OF_ADDRESS;

    rc = ngx_http_appeal_questions(r, ctx, alcf, whose, &q);

    if (rc != NGX_OK) {
        return rc;
    }

    if (q.n > 0) {
        now = ngx_http_appeal_now();

        if (!limits_decide(q.charges, q.n, now)) {
            *reason = PROBLEM_RATE_EXCEEDED;

        } else if (q.shared) {
            for (i = 0; i < q.n; i++) {
                ngx_http_appeal_tell(q.asked[i], &q.charges[i], &q.parts[i],
                                     now);
            }
        }

        rc = ngx_http_appeal_remember(r, &ctx->charged, &q);
    }

    if (rc != NGX_OK || q.ndry == 0 || *reason == PROBLEM_RATE_EXCEEDED) {
        return rc;
    }

    return ngx_http_appeal_charge_dry(r, ctx, &q);
}


/* Dry runs: each for itself, after the others, and nobody is refused. */

static ngx_int_t
ngx_http_appeal_charge_dry(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_questions_t *q)
{
    int64_t                   now;
    ngx_uint_t                i;
    ngx_http_appeal_limit_t  *limit;

    now = ngx_http_appeal_now();

    q->n = q->ndry;

    for (i = 0; i < q->ndry; i++) {
        limit = q->dry[i];
        q->asked[i] = limit;
        q->charges[i] = q->dry_charges[i];

        if (limits_decide(&q->charges[i], 1, now)) {
            ngx_http_appeal_tell(limit, &q->charges[i], &q->dry_parts[i], now);
            continue;
        }

        ngx_http_appeal_count(limit->policy->sh->would_refuse);

        if (ctx->dry_run.len == 0) {
            ctx->dry_run = limit->name;
        }

        if (ngx_http_appeal_may_log(r)) {
            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "dry run: \"%V\" would have refused, "
                          "subject \"%V\"", &limit->name, &ctx->subject);
        }
    }

    return ngx_http_appeal_remember(r, &ctx->dry, q);
}


/* The limits of a location that this request has to do with, and not yet. */

static ngx_int_t
ngx_http_appeal_questions(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_loc_conf_t *alcf, ngx_uint_t whose,
    ngx_http_appeal_questions_t *q)
{
    ngx_int_t                 rc;
    struct limits_charge     *charge;
    ngx_http_appeal_part_t   *part;
    ngx_http_appeal_limit_t  *limit, *last;

    q->n = 0;
    q->ndry = 0;

    if (alcf->limits == NULL
        || (alcf->allow != NULL
            && ngx_http_appeal_is_in(r, ngx_http_appeal_current(r,
                                                              alcf->allow))))
    {
        return NGX_OK;
    }

    q->address_len = ngx_http_appeal_address(r, q->address);
    q->table = NULL;
    q->shared = 0;

    limit = alcf->limits->elts;
    last = limit + alcf->limits->nelts;
    charge = q->charges;
    part = q->parts;

    for ( /* void */ ; limit < last; limit++) {
        if (!ngx_http_appeal_concerns(ctx, limit, whose)) {
            continue;
        }

        rc = ngx_http_appeal_ask(r, ctx, limit, q, charge, part);

        if (rc == NGX_DECLINED) {
            continue;
        }

        if (rc != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (limit->dry_run) {
            q->dry_charges[q->ndry] = *charge;
            q->dry_parts[q->ndry] = *part;
            q->dry[q->ndry++] = limit;
            continue;
        }

        q->asked[charge - q->charges] = limit;
        charge++;
        part++;
    }

    q->n = charge - q->charges;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_appeal_concerns(ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_limit_t *limit, ngx_uint_t whose)
{
    if (whose == NGX_HTTP_APPEAL_OF_METHOD) {
        if (!(limit->only & ctx->method)) {
            return 0;
        }

    } else if (limit->source != NGX_HTTP_APPEAL_BY_ADDRESS
               && limit->source != NGX_HTTP_APPEAL_BY_NETWORK)
    {
        return 0;

    } else if (whose == NGX_HTTP_APPEAL_OF_ALL
               && (limit->dry_run || limit->only != NGX_HTTP_APPEAL_METHODS))
    {
        return 0;
    }

    return (ctx->charged == NULL
            || !ngx_http_appeal_was_charged(ctx->charged, limit))
           && (ctx->dry == NULL
               || !ngx_http_appeal_was_charged(ctx->dry, limit));
}


/* What passed, to the other edges; if there is no room, they do not hear. */

static void
ngx_http_appeal_tell(ngx_http_appeal_limit_t *limit,
    struct limits_charge *charge, ngx_http_appeal_part_t *part, int64_t now)
{
    ngx_http_appeal_zone_t  *zone;

    zone = limit->zone->data;

    if (zone->deltas != NULL) {
        (void) deltas_add(zone->deltas, charge->hash, part->cost, part->most,
                          now);
    }
}


/*
 * NGX_DECLINED: the request has no such key, or the condition is "" or "0":
 * the limit is not for it.
 */

static ngx_int_t
ngx_http_appeal_ask(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_limit_t *limit, ngx_http_appeal_questions_t *q,
    struct limits_charge *charge, ngx_http_appeal_part_t *part)
{
    uint64_t   *hash, key_hash[2];
    ngx_int_t   rc;
    ngx_str_t   key;

    if (limit->condition != NULL) {
        rc = ngx_http_appeal_applies(r, limit->condition);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    charge->table = limit->table;
    charge->rate = limit->rate;
    charge->cost = limit->cost;

    if (limit->source == NGX_HTTP_APPEAL_BY_ADDRESS) {

        /* the key of most, and in the same table it is the same for all */

        if (q->table != limit->table) {
            q->table = limit->table;
            limits_key(q->table, q->address, q->address_len,
                       q->address_hash);
        }

        hash = q->address_hash;

    } else {
        rc = ngx_http_appeal_key_of(r, ctx, limit, q, &key);

        if (rc != NGX_OK) {
            return rc;
        }

        limits_key(limit->table, key.data, key.len, key_hash);
        hash = key_hash;

        if (limit->source == NGX_HTTP_APPEAL_BY_API_KEY
            && ctx->rate.period > 0)
        {
            charge->rate = ctx->rate;
            charge->cost = ngx_min(limit->cost, ctx->rate.burst);
        }
    }

    if (limit->shared) {
        ngx_http_appeal_share_part(limit->zone->data, charge, part);
        q->shared = 1;
    }

    charge->hash[0] = hash[0] ^ limit->hash[0];
    charge->hash[1] = hash[1] ^ limit->hash[1];

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_applies(ngx_http_request_t *r,
    ngx_http_complex_value_t *condition)
{
    ngx_str_t  value;

    if (ngx_http_complex_value(r, condition, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (value.len == 0 || (value.len == 1 && value.data[0] == '0')) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* A key that is not the address. */

static ngx_int_t
ngx_http_appeal_key_of(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_limit_t *limit, ngx_http_appeal_questions_t *q,
    ngx_str_t *key)
{
    switch (limit->source) {

    case NGX_HTTP_APPEAL_BY_NETWORK:

        /* the /24 of four bytes, the /48 of eight */

        key->len = q->address_len - q->address_len / 4;
        key->data = q->address;
        return NGX_OK;

    case NGX_HTTP_APPEAL_BY_API_KEY:
        *key = ctx->key;
        break;

    default: /* NGX_HTTP_APPEAL_BY_VALUE */
        if (ngx_http_complex_value(r, limit->value, key) != NGX_OK) {
            return NGX_ERROR;
        }

        key->len = ngx_min(key->len, NGX_HTTP_APPEAL_KEY_MAX);
    }

    return key->len > 0 ? NGX_OK : NGX_DECLINED;
}


static ngx_uint_t
ngx_http_appeal_was_charged(ngx_array_t *array, ngx_http_appeal_limit_t *limit)
{
    ngx_uint_t                  i;
    ngx_http_appeal_charged_t  *charged;

    charged = array->elts;

    for (i = 0; i < array->nelts; i++) {
        if (ngx_http_appeal_same_policy(charged[i].limit, limit)) {
            return 1;
        }
    }

    return 0;
}


/* Two places may say the same: it is one debt. */

static ngx_uint_t
ngx_http_appeal_same_policy(ngx_http_appeal_limit_t *one,
    ngx_http_appeal_limit_t *two)
{
    return one->zone == two->zone
           && one->name.len == two->name.len
           && ngx_memcmp(one->name.data, two->name.data, one->name.len) == 0;
}


/* For the headers of the answer, and so that nothing is charged twice. */

static ngx_int_t
ngx_http_appeal_remember(ngx_http_request_t *r, ngx_array_t **array,
    ngx_http_appeal_questions_t *q)
{
    ngx_uint_t                  i;
    ngx_array_t                *a;
    ngx_http_appeal_charged_t  *charged;

    a = *array;

    if (a == NULL) {

        /* the array and what is in it at once */

        a = ngx_palloc(r->pool, sizeof(ngx_array_t)
                                + q->n * sizeof(ngx_http_appeal_charged_t));

        if (a == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        a->elts = a + 1;
        a->nelts = q->n;
        a->size = sizeof(ngx_http_appeal_charged_t);
        a->nalloc = q->n;
        a->pool = r->pool;

        charged = a->elts;
        *array = a;

    } else {
        charged = ngx_array_push_n(a, q->n);

        if (charged == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    for (i = 0; i < q->n; i++) {
        charged[i].limit = q->asked[i];
        charged[i].charge = q->charges[i];

        if (q->asked[i]->dry_run) {
            continue;
        }

        if (q->charges[i].refused) {
            ngx_http_appeal_count(q->asked[i]->policy->sh->refused);

        } else {
            ngx_http_appeal_count(q->asked[i]->policy->sh->passed);
        }
    }

    return NGX_OK;
}


/* Seconds, rounded up, after which it would pass; 0: that is no matter of
 * time. */

int64_t
ngx_http_appeal_retry_after(ngx_http_appeal_ctx_t *ctx)
{
    int64_t                     most;
    ngx_uint_t                  i;
    ngx_http_appeal_charged_t  *charged;

    if (ctx->refused == PROBLEM_CHALLENGES_FULL) {
        return NGX_HTTP_APPEAL_STORE_RETRY;
    }

    if (ctx->refused == PROBLEM_NO_CHALLENGE_READY) {
        return NGX_HTTP_APPEAL_POOL_RETRY;
    }

    most = 0;

    if (ctx->charged != NULL) {
        charged = ctx->charged->elts;

        for (i = 0; i < ctx->charged->nelts; i++) {
            most = ngx_max(most, charged[i].charge.retry);
        }
    }

    return (most + 999999999) / 1000000000;
}


char *
ngx_http_appeal_limit_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_appeal_main_conf_t *amcf = conf;

    ssize_t                  size;
    ngx_str_t               *value;
    ngx_shm_zone_t          *shm_zone, **zones;
    ngx_http_appeal_zone_t  *zone;

    value = cf->args->elts;

    if (cf->args->nelts == 4 && ngx_strcmp(value[3].data, "shared") != 0) {
        return "has a parameter that is not \"shared\"";
    }

    if (!ngx_http_appeal_is_name(&value[1])) {
        return "has a name that is not 1 to 64 of A-Z a-z 0-9 _ -";
    }

    size = ngx_parse_size(&value[2]);

    if (size == NGX_ERROR || size < (ssize_t) (8 * ngx_pagesize)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size \"%V\" of zone \"%V\", "
                           "it must be %uz bytes at least",
                           &value[2], &value[1], 8 * ngx_pagesize);
        return NGX_CONF_ERROR;
    }

    shm_zone = ngx_shared_memory_add(cf, &value[1], NGX_HTTP_APPEAL_NO_ZONE,
                                     &ngx_http_appeal_module);

    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate zone \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_appeal_zone_t));
    zones = ngx_array_push(&amcf->zones);

    if (zone == NULL || zones == NULL
        || ngx_http_appeal_memory_add(cf, &zone->memory, &value[1], size)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    zone->shared = cf->args->nelts == 4;

    shm_zone->init = ngx_http_appeal_init_zone;
    shm_zone->data = zone;
    *zones = shm_zone;

    return NGX_CONF_OK;
}


/* Names go into quoted strings of headers, bodies and metrics. */

ngx_uint_t
ngx_http_appeal_is_name(ngx_str_t *name)
{
    u_char      ch;
    ngx_uint_t  i;

    for (i = 0; i < name->len; i++) {
        ch = name->data[i];

        if (!(ch >= 'a' && ch <= 'z') && !(ch >= 'A' && ch <= 'Z')
            && !(ch >= '0' && ch <= '9') && ch != '_' && ch != '-')
        {
            return 0;
        }
    }

    return name->len > 0 && name->len <= NGX_HTTP_APPEAL_NAME_MAX;
}


static ngx_int_t
ngx_http_appeal_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    u_char                  *p;
    size_t                   size;
    u_char                   secret[SIPHASH_KEY_SIZE];
    ngx_log_t               *log;
    ngx_http_appeal_zone_t  *zone;

    zone = shm_zone->data;
    log = shm_zone->shm.log;
    size = zone->memory.size - ngx_http_appeal_share_size(zone);

    p = ngx_http_appeal_memory_take(&zone->memory, log);

    if (p != NULL) {
        zone->table = limits_attach(p, size);

        if (zone->table != NULL
            && ngx_http_appeal_share_attach(zone, p + size) == NGX_OK)
        {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "the zone \"%V\" was made by another version of the "
                      "module or is shared otherwise, its limits begin anew",
                      &shm_zone->shm.name);
    }

    p = ngx_http_appeal_memory_make(&zone->memory, log);

    if (p == NULL || ngx_http_appeal_share_make(zone, p + size) != NGX_OK) {
        return NGX_ERROR;
    }

    if (zone->shared) {
        ngx_memcpy(secret, zone->secret, SIPHASH_KEY_SIZE);

    } else if (RAND_bytes(secret, sizeof(secret)) != 1) {
        return NGX_ERROR;
    }

    zone->table = limits_create(p, size, secret, ngx_http_appeal_now());

    ngx_explicit_memzero(secret, sizeof(secret));

    return zone->table != NULL ? NGX_OK : NGX_ERROR;
}


char *
ngx_http_appeal_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_appeal_loc_conf_t *alcf = conf;

    char                           *rv;
    ngx_str_t                      *value, s;
    ngx_uint_t                      i;
    ngx_http_appeal_limit_t        *limit, **limits;
    ngx_http_appeal_limit_param_t  *param;
    ngx_http_appeal_main_conf_t    *amcf;

    if (alcf->limits == NULL) {
        alcf->limits = ngx_array_create(cf->pool, LIMITS_PER_DECISION,
                                        sizeof(ngx_http_appeal_limit_t));

        if (alcf->limits == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (alcf->limits->nelts == LIMITS_PER_DECISION) {
        return "is given too often, eight limits are the most in one place";
    }

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_appeal_module);

    value = cf->args->elts;
    limit = ngx_array_push(alcf->limits);
    limits = ngx_array_push(&amcf->limits);

    if (limit == NULL || limits == NULL) {
        return NGX_CONF_ERROR;
    }

    /* it stays where it is: there is room for all that are allowed */

    *limits = limit;

    ngx_memzero(limit, sizeof(ngx_http_appeal_limit_t));
    limit->source = NGX_CONF_UNSET_UINT;

    limit->zone = ngx_shared_memory_add(cf, &value[1], 0,
                                        &ngx_http_appeal_module);

    if (limit->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_strcmp(value[i].data, "dry_run") == 0) {
            limit->dry_run = 1;
            continue;
        }

        for (param = ngx_http_appeal_limit_params; param->name.len; param++) {
            if (value[i].len > param->name.len
                && ngx_strncmp(value[i].data, param->name.data,
                               param->name.len) == 0)
            {
                break;
            }
        }

        s.len = value[i].len - param->name.len;
        s.data = value[i].data + param->name.len;

        rv = param->set ? param->set(cf, limit, &s) : "is unknown";

        if (rv != NGX_CONF_OK) {
            if (rv != NGX_CONF_ERROR) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "parameter \"%V\" %s", &value[i], rv);
            }

            return NGX_CONF_ERROR;
        }
    }

    if (limit->name.len == 0) {
        limit->name = value[1];
    }

    return ngx_http_appeal_check_limit(cf, alcf->limits, limit);
}


static char *
ngx_http_appeal_limit_set_key(ngx_conf_t *cf, ngx_http_appeal_limit_t *limit,
    ngx_str_t *value)
{
    if (limit->source != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    if (ngx_strcmp(value->data, "address") == 0) {
        limit->source = NGX_HTTP_APPEAL_BY_ADDRESS;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "network") == 0) {
        limit->source = NGX_HTTP_APPEAL_BY_NETWORK;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "api_key") == 0) {
        limit->source = NGX_HTTP_APPEAL_BY_API_KEY;
        return NGX_CONF_OK;
    }

    if (ngx_http_script_variables_count(value) == 0) {
        return "is none of \"address\", \"network\" and \"api_key\", "
               "nor has a variable";
    }

    limit->source = NGX_HTTP_APPEAL_BY_VALUE;

    return ngx_http_appeal_compile(cf, value, &limit->value);
}


static char *
ngx_http_appeal_compile(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_complex_value_t **value)
{
    ngx_http_compile_complex_value_t  ccv;

    *value = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));

    if (*value == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = *value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_appeal_limit_set_rate(ngx_conf_t *cf, ngx_http_appeal_limit_t *limit,
    ngx_str_t *value)
{
    if (limit->rate.period != 0) {
        return "is duplicate";
    }

    if (!limits_parse_rate((char *) value->data, value->len,
                           &limit->rate.period))
    {
        return "is not like 100r/s, 30r/m, 500r/h or 1000r/d";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_appeal_limit_set_burst(ngx_conf_t *cf, ngx_http_appeal_limit_t *limit,
    ngx_str_t *value)
{
    ngx_int_t  n;

    if (limit->rate.burst != 0) {
        return "is duplicate";
    }

    n = ngx_atoi(value->data, value->len);

    if (n < 1) {
        return "is not a number from 1";
    }

    limit->rate.burst = n;

    return NGX_CONF_OK;
}


static char *
ngx_http_appeal_limit_set_cost(ngx_conf_t *cf, ngx_http_appeal_limit_t *limit,
    ngx_str_t *value)
{
    ngx_int_t  n;

    if (limit->cost != 0) {
        return "is duplicate";
    }

    n = ngx_atoi(value->data, value->len);

    if (n < 1) {
        return "is not a number from 1";
    }

    limit->cost = n;

    return NGX_CONF_OK;
}


static char *
ngx_http_appeal_limit_set_only(ngx_conf_t *cf, ngx_http_appeal_limit_t *limit,
    ngx_str_t *value)
{
    if (limit->only != 0) {
        return "is duplicate";
    }

    if (ngx_strcmp(value->data, "anonymous") == 0) {
        limit->only = NGX_HTTP_APPEAL_ANONYMOUS;

    } else if (ngx_strcmp(value->data, "api_key") == 0) {
        limit->only = NGX_HTTP_APPEAL_API_KEY;

    } else if (ngx_strcmp(value->data, "jwt") == 0) {
        limit->only = NGX_HTTP_APPEAL_JWT;

    } else if (ngx_strcmp(value->data, "challenge") == 0) {
        limit->only = NGX_HTTP_APPEAL_CHALLENGE;

    } else if (ngx_strcmp(value->data, "hook") == 0) {
        limit->only = NGX_HTTP_APPEAL_HOOK;

    } else {
        return "is none of \"anonymous\", \"challenge\", \"hook\", "
               "\"api_key\" and \"jwt\"";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_appeal_limit_set_name(ngx_conf_t *cf, ngx_http_appeal_limit_t *limit,
    ngx_str_t *value)
{
    if (limit->name.len != 0) {
        return "is duplicate";
    }

    if (!ngx_http_appeal_is_name(value)) {
        return "is not 1 to 64 of A-Z a-z 0-9 _ -";
    }

    limit->name = *value;

    return NGX_CONF_OK;
}


static char *
ngx_http_appeal_limit_set_if(ngx_conf_t *cf, ngx_http_appeal_limit_t *limit,
    ngx_str_t *value)
{
    if (limit->condition != NULL) {
        return "is duplicate";
    }

    return ngx_http_appeal_compile(cf, value, &limit->condition);
}


static char *
ngx_http_appeal_check_limit(ngx_conf_t *cf, ngx_array_t *limits,
    ngx_http_appeal_limit_t *limit)
{
    ngx_str_t                *name;
    ngx_http_appeal_limit_t  *other;

    /* a client tells its limits apart by name */

    for (other = limits->elts; other != limit; other++) {
        name = &other->name;

        if (name->len == limit->name.len
            && ngx_memcmp(name->data, limit->name.data, name->len) == 0)
        {
            return "has the name of another limit in the same place";
        }
    }

    if (limit->source == NGX_CONF_UNSET_UINT) {
        return "has no parameter \"key\"";
    }

    if (limit->rate.period == 0) {
        return "has no parameter \"rate\"";
    }

    if (limit->rate.burst == 0) {
        limit->rate.burst = 1;
    }

    if (limit->cost == 0) {
        limit->cost = 1;
    }

    if (limit->only == 0) {
        limit->only = NGX_HTTP_APPEAL_METHODS;
    }

    if (!limits_rate_valid(&limit->rate)) {
        return "has a rate and a burst that make a debt over 104 days";
    }

    if (limit->cost > limit->rate.burst) {
        return "has a cost that its burst can never pay";
    }

    if (!ngx_http_appeal_make_item(&limit->item, limit, &limit->rate)) {
        return "has a name that no header can hold";
    }

    limit->policy = ngx_http_appeal_policy(cf, &limit->zone->shm.name,
                                           &limit->name);

    return limit->policy == NULL ? NGX_CONF_ERROR : NGX_CONF_OK;
}


/* What is in RateLimit-Policy if the limit has this rate. */

ngx_uint_t
ngx_http_appeal_make_item(struct ratelimit *item,
    ngx_http_appeal_limit_t *limit, struct limits_rate *rate)
{
    return ratelimit_make(item, (char *) limit->name.data, limit->name.len,
                          rate->burst,
                          ratelimit_seconds(rate->period * rate->burst));
}


/* When all zones are there: what their policies are known by. */

ngx_int_t
ngx_http_appeal_init_limits(ngx_cycle_t *cycle)
{
    ngx_uint_t                     i;
    ngx_http_appeal_zone_t        *zone;
    ngx_http_appeal_limit_t      **limits;
    ngx_http_appeal_main_conf_t   *amcf;

    amcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_appeal_module);

    if (amcf == NULL) {
        return NGX_OK;
    }

    limits = amcf->limits.elts;

    for (i = 0; i < amcf->limits.nelts; i++) {
        zone = limits[i]->zone->data;

        limits[i]->table = zone->table;
        limits[i]->shared = zone->deltas != NULL;

        limits_policy(zone->table, limits[i]->name.data, limits[i]->name.len,
                      limits[i]->hash);

        /* other edges know a key by its hash, whatever their zones' size */

        if (!limits[i]->shared) {
            limits_neighbour(zone->table, limits[i]->hash);
        }
    }

    return NGX_OK;
}
