/*
 * Challenges: what a client without a name pays with.
 *
 * A zone holds the nonces that are spent, the riddles that were made ahead and
 * how much is asked for.  One thread of the first worker makes riddles, when
 * hardly anything else wants the processor; all workers hand them out.
 */


#include "ngx_http_appeal_module.h"

#include <openssl/rand.h>
#include <sys/random.h>
#include <sys/resource.h>


#define NGX_HTTP_APPEAL_COST          5000
#define NGX_HTTP_APPEAL_COUNTER_MIN   150
#define NGX_HTTP_APPEAL_COUNTER_MAX   350
#define NGX_HTTP_APPEAL_LIFETIME      600    /* s */
#define NGX_HTTP_APPEAL_LIFETIME_MAX  86400
#define NGX_HTTP_APPEAL_POOL          256    /* riddles a level */
#define NGX_HTTP_APPEAL_HOLD          60     /* s */
#define NGX_HTTP_APPEAL_HOLD_MAX      86400

/* the highest counter that may be drawn: minutes of work and more */
#define NGX_HTTP_APPEAL_TRIES_MAX     1000000

#define NGX_HTTP_APPEAL_PURPOSE_MAX   32

/* a sixtieth of a processor that somebody else wants */
#define NGX_HTTP_APPEAL_NICE          19

/* ns between two looks at a pool that is full */
#define NGX_HTTP_APPEAL_NAP           20000000

/* changes with everything another version could misread */
#define NGX_HTTP_APPEAL_LAYOUT        0x6f746b636831

/* before the pool, which wants to be aligned */
#define NGX_HTTP_APPEAL_HEAD                                                  \
    ngx_align(sizeof(ngx_http_appeal_challenges_sh_t), 64)


/* One name=value of appeal_challenge_zone. */

typedef struct {
    ngx_str_t                         name;
    char                           *(*set)(ngx_conf_t *cf,
                                           ngx_http_appeal_challenges_t *zone,
                                           ngx_str_t *value);
} ngx_http_appeal_challenge_param_t;


/* What the thread that makes riddles works with. */

typedef struct {
    pthread_t                         thread;
    ngx_atomic_t                      stop;
    ngx_array_t                      *zones;
    unsigned                          runs:1;
} ngx_http_appeal_maker_t;


static void ngx_http_appeal_policy_of(ngx_http_appeal_loc_conf_t *alcf,
    struct altcha_policy *policy);
static ngx_int_t ngx_http_appeal_issue_handler(ngx_http_request_t *r);

static void *ngx_http_appeal_make(void *data);
static ngx_uint_t ngx_http_appeal_make_one(ngx_http_appeal_maker_t *maker,
    ngx_http_appeal_challenges_t *zone);
static ngx_int_t ngx_http_appeal_make_riddle(
    ngx_http_appeal_challenges_t *zone, ngx_uint_t level,
    struct altcha_riddle *riddle);
static ngx_int_t ngx_http_appeal_draw(uint32_t from, uint32_t to, uint32_t *n);

static ngx_int_t ngx_http_appeal_init_challenges(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_uint_t ngx_http_appeal_attach_challenges(
    ngx_http_appeal_challenges_t *zone, u_char *p);
static ngx_int_t ngx_http_appeal_create_challenges(
    ngx_http_appeal_challenges_t *zone, u_char *p);

static char *ngx_http_appeal_challenge_set_cost(ngx_conf_t *cf,
    ngx_http_appeal_challenges_t *zone, ngx_str_t *value);
static char *ngx_http_appeal_challenge_set_counter(ngx_conf_t *cf,
    ngx_http_appeal_challenges_t *zone, ngx_str_t *value);
static char *ngx_http_appeal_challenge_set_lifetime(ngx_conf_t *cf,
    ngx_http_appeal_challenges_t *zone, ngx_str_t *value);
static char *ngx_http_appeal_challenge_set_pool(ngx_conf_t *cf,
    ngx_http_appeal_challenges_t *zone, ngx_str_t *value);
static char *ngx_http_appeal_challenge_set_level(ngx_conf_t *cf,
    ngx_http_appeal_challenges_t *zone, ngx_str_t *value);
static char *ngx_http_appeal_challenge_set_hold(ngx_conf_t *cf,
    ngx_http_appeal_challenges_t *zone, ngx_str_t *value);
static char *ngx_http_appeal_check_challenges(ngx_conf_t *cf,
    ngx_http_appeal_challenges_t *zone);


static enum problem_reason  ngx_http_appeal_challenge_reasons[] = {
    PROBLEM_NO_REASON,                     /* ALTCHA_GOOD */
    PROBLEM_MALFORMED_CHALLENGE,           /* ALTCHA_MALFORMED */
    PROBLEM_UNKNOWN_CHALLENGE,             /* ALTCHA_UNKNOWN */
    PROBLEM_BAD_CHALLENGE_SIGNATURE,       /* ALTCHA_BAD_SIGNATURE */
    PROBLEM_EXPIRED_CHALLENGE,             /* ALTCHA_EXPIRED */
    PROBLEM_WRONG_PURPOSE,                 /* ALTCHA_WRONG_PURPOSE */
    PROBLEM_WRONG_PROOF                    /* ALTCHA_WRONG_PROOF */
};


static ngx_http_appeal_challenge_param_t
    ngx_http_appeal_challenge_params[] = {
    { ngx_string("cost="), ngx_http_appeal_challenge_set_cost },
    { ngx_string("counter="), ngx_http_appeal_challenge_set_counter },
    { ngx_string("lifetime="), ngx_http_appeal_challenge_set_lifetime },
    { ngx_string("pool="), ngx_http_appeal_challenge_set_pool },
    { ngx_string("level="), ngx_http_appeal_challenge_set_level },
    { ngx_string("hold="), ngx_http_appeal_challenge_set_hold },
    { ngx_null_string, NULL }
};


static ngx_str_t  ngx_http_appeal_challenge_header = ngx_string("X-Altcha");

/* a tag of its own: no limit can be given such a zone */
static ngx_uint_t  ngx_http_appeal_challenges_tag;

static ngx_http_appeal_maker_t  ngx_http_appeal_maker;


/* How many solutions a request holds; *text is the last. */

ngx_uint_t
ngx_http_appeal_find_solution(ngx_http_request_t *r, ngx_str_t *text)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    n = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        header = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (header[i].key.len == ngx_http_appeal_challenge_header.len
                && ngx_strncasecmp(header[i].key.data,
                                   ngx_http_appeal_challenge_header.data,
                                   ngx_http_appeal_challenge_header.len)
                   == 0)
            {
                *text = header[i].value;
                n++;
            }
        }
    }

    return n;
}


/* All but whether it is spent: that is asked when nothing else can refuse. */

ngx_int_t
ngx_http_appeal_identify_solution(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_http_appeal_loc_conf_t *alcf,
    ngx_str_t *text, enum problem_reason *reason)
{
    struct altcha_spent           spent;
    enum altcha_verdict           verdict;
    struct altcha_policy          policy;
    struct challenge_keys        *keys;
    ngx_http_appeal_counters_t   *counters;

    counters = ngx_http_appeal_counters(
                     ngx_http_get_module_main_conf(r, ngx_http_appeal_module));

    keys = ngx_http_appeal_current(r, alcf->challenge_secret);
    ngx_http_appeal_policy_of(alcf, &policy);

    verdict = altcha_check(keys, &policy, (char *) text->data, text->len,
                           ngx_time(), &spent);

    if (verdict != ALTCHA_GOOD) {
        ngx_http_appeal_count(counters->challenges[verdict]);
        *reason = ngx_http_appeal_challenge_reasons[verdict];
        return NGX_OK;
    }

    /* after a redirection it may be looked at again, but not spent again */

    if (ctx->solution.until != spent.until
        || ngx_memcmp(ctx->solution.nonce, spent.nonce, ALTCHA_NONCE_SIZE)
           != 0)
    {
        ctx->solution = spent;
        ctx->spent = 0;
    }

    ctx->method = NGX_HTTP_APPEAL_CHALLENGE;
    ngx_str_set(&ctx->auth, "challenge");
    ctx->region = alcf->region;

    return NGX_OK;
}


/* The last thing that is asked about a request. */

void
ngx_http_appeal_spend(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_loc_conf_t *alcf, enum problem_reason *reason)
{
    ngx_http_appeal_counters_t    *counters;
    ngx_http_appeal_challenges_t  *zone;

    if (ctx->spent) {
        return;
    }

    zone = alcf->challenge->zone->data;
    counters = ngx_http_appeal_counters(
                     ngx_http_get_module_main_conf(r, ngx_http_appeal_module));

    switch (nonces_add(zone->nonces, ctx->solution.nonce, ALTCHA_NONCE_SIZE,
                       ctx->solution.until, ngx_time()))
    {
    case NONCES_ADDED:
        ctx->spent = 1;
        ngx_http_appeal_count(counters->challenges[ALTCHA_GOOD]);
        load_count(&zone->sh->load);
        (void) load_level(&zone->sh->load, &zone->load,
                          ngx_http_appeal_now());
        break;

    case NONCES_SPENT:
        *reason = PROBLEM_SPENT_CHALLENGE;
        ngx_http_appeal_count(counters->challenges_spent);
        break;

    default: /* NONCES_FULL */
        *reason = PROBLEM_CHALLENGES_FULL;
        ngx_http_appeal_count(counters->challenges_full);
    }
}


static void
ngx_http_appeal_policy_of(ngx_http_appeal_loc_conf_t *alcf,
    struct altcha_policy *policy)
{
    ngx_http_appeal_challenges_t  *zone;

    zone = alcf->challenge->zone->data;

    policy->purpose.p = (char *) alcf->challenge->purpose.data;
    policy->purpose.n = alcf->challenge->purpose.len;
    policy->region.p = (char *) alcf->region.data;
    policy->region.n = alcf->region.len;
    policy->store.p = (char *) zone->sh->store;
    policy->store.n = NGX_HTTP_APPEAL_STORE_LEN;
    policy->cost = zone->cost;
}


/* What the counter of a challenge is multiplied by now; 0: none is given. */

ngx_uint_t
ngx_http_appeal_difficulty(ngx_http_appeal_loc_conf_t *alcf)
{
    ngx_uint_t                     level;
    ngx_http_appeal_challenges_t  *zone;

    if (alcf->challenge == NULL) {
        return 0;
    }

    zone = alcf->challenge->zone->data;
    level = load_level(&zone->sh->load, &zone->load, ngx_http_appeal_now());

    return zone->factor[level];
}


/* Answers with a challenge; whether it may was decided before. */

static ngx_int_t
ngx_http_appeal_issue_handler(ngx_http_request_t *r)
{
    u_char                        *body;
    ngx_int_t                      rc;
    ngx_uint_t                     level;
    struct altcha_riddle           riddle;
    struct altcha_policy           policy;
    struct challenge_keys         *keys;
    ngx_http_appeal_ctx_t         *ctx;
    ngx_http_complex_value_t       cv;
    ngx_http_appeal_loc_conf_t    *alcf;
    ngx_http_appeal_challenges_t  *zone;

    static ngx_str_t  type = ngx_string("application/json");

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_appeal_module);
    ctx = ngx_http_appeal_get_ctx(r);
    body = ngx_pnalloc(r->pool, ALTCHA_CHALLENGE_MAX);

    if (ctx == NULL || body == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    zone = alcf->challenge->zone->data;

    load_count(&zone->sh->load);
    level = load_level(&zone->sh->load, &zone->load, ngx_http_appeal_now());

    if (!pool_take(zone->pool, level, zone->kind[level], &riddle)) {
        ctx->refused = PROBLEM_NO_CHALLENGE_READY;
        return ngx_http_appeal_refuse_here(r, ctx);
    }

    keys = ngx_http_appeal_current(r, alcf->challenge_secret);
    ngx_http_appeal_policy_of(alcf, &policy);

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));

    cv.value.data = body;
    cv.value.len = altcha_write(keys, &policy, &riddle,
                                ngx_time() + zone->lifetime, (char *) body,
                                ALTCHA_CHALLENGE_MAX);

    ngx_explicit_memzero(&riddle, sizeof(struct altcha_riddle));

    if (cv.value.len == 0 || ngx_http_appeal_add_no_store(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_appeal_count(zone->sh->issued);

    return ngx_http_send_response(r, NGX_HTTP_OK, &type, &cv);
}


/*
 * Of the workers the first one makes riddles.  If it dies, the one that takes
 * its place goes on; while an old one quits, both do.
 */

ngx_int_t
ngx_http_appeal_start_maker(ngx_cycle_t *cycle)
{
    int                           err;
    sigset_t                      all, before;
    ngx_http_appeal_maker_t      *maker;
    ngx_http_appeal_main_conf_t  *amcf;

    amcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_appeal_module);

    if (amcf == NULL || amcf->challenges.nelts == 0
        || ngx_process != NGX_PROCESS_WORKER || ngx_worker != 0)
    {
        return NGX_OK;
    }

    maker = &ngx_http_appeal_maker;
    maker->zones = &amcf->challenges;
    maker->stop = 0;

    /* signals are the event loop's */

    (void) sigfillset(&all);

    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) {
        return NGX_ERROR;
    }

    err = pthread_create(&maker->thread, NULL, ngx_http_appeal_make, maker);

    (void) pthread_sigmask(SIG_SETMASK, &before, NULL);

    if (err) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, err,
                      "pthread_create() failed, no challenges are made");
        return NGX_OK;
    }

    maker->runs = 1;

    return NGX_OK;
}


void
ngx_http_appeal_stop_maker(ngx_cycle_t *cycle)
{
    int                       err;
    ngx_http_appeal_maker_t  *maker;

    maker = &ngx_http_appeal_maker;

    if (!maker->runs) {
        return;
    }

    maker->stop = 1;

    err = pthread_join(maker->thread, NULL);

    if (err) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, err, "pthread_join() failed");
    }

    maker->runs = 0;
}


/*
 * The thread.  It touches shared memory, its stack and nothing of nginx's: it
 * takes no lock and allocates nothing, for it may lose the processor anywhere.
 */

static void *
ngx_http_appeal_make(void *data)
{
    ngx_http_appeal_maker_t  *maker = data;

    ngx_uint_t         i, made;
    ngx_shm_zone_t   **zones;
    struct timespec    nap;

    /*
     * The thread alone.  Not SCHED_IDLE: that would get nothing when all
     * processors are busy, which is when challenges are asked for most.
     */

    (void) setpriority(PRIO_PROCESS, gettid(), NGX_HTTP_APPEAL_NICE);

    zones = maker->zones->elts;

    nap.tv_sec = 0;
    nap.tv_nsec = NGX_HTTP_APPEAL_NAP;

    while (!maker->stop && !ngx_exiting) {
        made = 0;

        for (i = 0; i < maker->zones->nelts; i++) {
            made |= ngx_http_appeal_make_one(maker, zones[i]->data);
        }

        if (!made) {
            (void) nanosleep(&nap, NULL);
        }
    }

    return NULL;
}


/* For the level of now first; false if nothing is wanted. */

static ngx_uint_t
ngx_http_appeal_make_one(ngx_http_appeal_maker_t *maker,
    ngx_http_appeal_challenges_t *zone)
{
    ngx_uint_t            i, level, levels;
    struct altcha_riddle  riddle;

    levels = zone->load.levels;
    level = load_last_level(&zone->sh->load);

    for (i = 0; i < levels; i++) {
        level = i ? (level + 1) % levels : ngx_min(level, levels - 1);

        if (pool_ready(zone->pool, level) < zone->slots) {
            break;
        }
    }

    if (i == levels
        || ngx_http_appeal_make_riddle(zone, level, &riddle) != NGX_OK)
    {
        return 0;
    }

    (void) pool_put(zone->pool, level, zone->kind[level], &riddle);
    ngx_explicit_memzero(&riddle, sizeof(struct altcha_riddle));

    return 1;
}


static ngx_int_t
ngx_http_appeal_make_riddle(ngx_http_appeal_challenges_t *zone,
    ngx_uint_t level, struct altcha_riddle *riddle)
{
    uint32_t  counter, factor;

    factor = zone->factor[level];

    /* getrandom() and not RAND_bytes(), which has locks */

    if (getrandom(riddle->nonce, ALTCHA_NONCE_SIZE, 0) != ALTCHA_NONCE_SIZE
        || getrandom(riddle->salt, ALTCHA_SALT_SIZE, 0) != ALTCHA_SALT_SIZE
        || ngx_http_appeal_draw(zone->counter_min * factor,
                                zone->counter_max * factor, &counter)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    altcha_derive(riddle, counter, zone->cost);

    return NGX_OK;
}


/* Each number from one to the other is as likely. */

static ngx_int_t
ngx_http_appeal_draw(uint32_t from, uint32_t to, uint32_t *n)
{
    uint32_t  random, span;

    span = to - from + 1;

    do {
        if (getrandom(&random, sizeof(uint32_t), 0) != sizeof(uint32_t)) {
            return NGX_ERROR;
        }

        /* the numbers beyond the last whole span would favour the first ones */

    } while (random >= UINT32_MAX - UINT32_MAX % span);

    *n = from + random % span;

    return NGX_OK;
}


char *
ngx_http_appeal_challenge_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_appeal_main_conf_t *amcf = conf;

    char                               *rv;
    size_t                              least;
    ssize_t                             size;
    ngx_str_t                          *value, s;
    ngx_uint_t                          i;
    ngx_shm_zone_t                     *shm_zone, **zones;
    ngx_http_appeal_challenges_t       *zone;
    ngx_http_appeal_challenge_param_t  *param;

    value = cf->args->elts;

    if (!ngx_http_appeal_is_name(&value[1])) {
        return "has a name that is not 1 to 64 of A-Z a-z 0-9 _ -";
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_appeal_challenges_t));

    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    zone->load.levels = 1;
    zone->factor[0] = 1;

    for (i = 3; i < cf->args->nelts; i++) {
        for (param = ngx_http_appeal_challenge_params; param->name.len;
             param++)
        {
            if (value[i].len > param->name.len
                && ngx_strncmp(value[i].data, param->name.data,
                               param->name.len) == 0)
            {
                break;
            }
        }

        s.len = value[i].len - param->name.len;
        s.data = value[i].data + param->name.len;

        rv = param->set ? param->set(cf, zone, &s) : "is unknown";

        if (rv != NGX_CONF_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "parameter \"%V\" %s",
                               &value[i], rv);
            return NGX_CONF_ERROR;
        }
    }

    rv = ngx_http_appeal_check_challenges(cf, zone);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    /* half of it and more is for nonces */

    size = ngx_parse_size(&value[2]);
    least = ngx_align(2 * (NGX_HTTP_APPEAL_HEAD + pool_size(zone->slots)),
                      ngx_pagesize);

    if (size == NGX_ERROR || size < (ssize_t) least) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size \"%V\" of zone \"%V\", "
                           "with such a pool it must be %uz bytes at least",
                           &value[2], &value[1], least);
        return NGX_CONF_ERROR;
    }

    shm_zone = ngx_shared_memory_add(cf, &value[1], NGX_HTTP_APPEAL_NO_ZONE,
                                     &ngx_http_appeal_challenges_tag);

    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate zone \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    zones = ngx_array_push(&amcf->challenges);

    if (zones == NULL
        || ngx_http_appeal_memory_add(cf, &zone->memory, &value[1], size)
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    shm_zone->init = ngx_http_appeal_init_challenges;
    shm_zone->data = zone;
    *zones = shm_zone;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_appeal_init_challenges(ngx_shm_zone_t *shm_zone, void *data)
{
    u_char                        *p;
    ngx_log_t                     *log;
    ngx_http_appeal_challenges_t  *zone;

    zone = shm_zone->data;
    log = shm_zone->shm.log;

    p = ngx_http_appeal_memory_take(&zone->memory, log);

    if (p != NULL) {
        if (ngx_http_appeal_attach_challenges(zone, p)) {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "the zone \"%V\" has another pool or is of another "
                      "version of the module, challenges given out before are "
                      "good no longer", &shm_zone->shm.name);
    }

    p = ngx_http_appeal_memory_make(&zone->memory, log);

    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_appeal_create_challenges(zone, p);
}


/* Where the parts of a zone are. */

static void
ngx_http_appeal_lay_out(ngx_http_appeal_challenges_t *zone, u_char *p,
    u_char **pool, u_char **nonces, size_t *size)
{
    zone->sh = (ngx_http_appeal_challenges_sh_t *) p;
    *pool = p + NGX_HTTP_APPEAL_HEAD;
    *nonces = *pool + ngx_align(pool_size(zone->slots), 64);
    *size = zone->memory.size - (*nonces - p);
}


static ngx_uint_t
ngx_http_appeal_attach_challenges(ngx_http_appeal_challenges_t *zone,
    u_char *p)
{
    u_char  *pool, *nonces;
    size_t   size;

    ngx_http_appeal_lay_out(zone, p, &pool, &nonces, &size);

    if (zone->sh->layout != NGX_HTTP_APPEAL_LAYOUT) {
        return 0;
    }

    zone->pool = pool_attach(pool, zone->slots);

    if (zone->pool == NULL) {
        return 0;
    }

    zone->nonces = nonces_attach(nonces, size);

    return zone->nonces != NULL;
}


/*
 * The name of a new store is in all challenges that count on it: those that
 * another server gave out, or this one before it forgot what was spent, are
 * not taken.
 */

static ngx_int_t
ngx_http_appeal_create_challenges(ngx_http_appeal_challenges_t *zone,
    u_char *p)
{
    u_char   *pool, *nonces;
    u_char    secret[SIPHASH_KEY_SIZE], name[NGX_HTTP_APPEAL_STORE_LEN / 2];
    size_t    size;

    ngx_http_appeal_lay_out(zone, p, &pool, &nonces, &size);

    if (RAND_bytes(secret, sizeof(secret)) != 1
        || RAND_bytes(name, sizeof(name)) != 1)
    {
        return NGX_ERROR;
    }

    (void) ngx_hex_dump(zone->sh->store, name, sizeof(name));

    zone->pool = pool_create(pool, zone->slots, secret);
    zone->nonces = nonces_create(nonces, size, secret, ngx_time());
    zone->sh->layout = NGX_HTTP_APPEAL_LAYOUT;

    ngx_explicit_memzero(secret, sizeof(secret));

    return zone->pool != NULL && zone->nonces != NULL ? NGX_OK : NGX_ERROR;
}


static char *
ngx_http_appeal_challenge_set_cost(ngx_conf_t *cf,
    ngx_http_appeal_challenges_t *zone, ngx_str_t *value)
{
    ngx_int_t  n;

    if (zone->cost != 0) {
        return "is duplicate";
    }

    n = ngx_atoi(value->data, value->len);

    if (n < 1 || n > ALTCHA_COST_MAX) {
        return "is not a number from 1 to 100000";
    }

    zone->cost = n;

    return NGX_CONF_OK;
}


static char *
ngx_http_appeal_challenge_set_counter(ngx_conf_t *cf,
    ngx_http_appeal_challenges_t *zone, ngx_str_t *value)
{
    u_char     *dash;
    ngx_int_t   from, to;

    if (zone->counter_max != 0) {
        return "is duplicate";
    }

    dash = (u_char *) ngx_strchr(value->data, '-');

    if (dash == NULL) {
        return "is not like 150-350";
    }

    from = ngx_atoi(value->data, dash - value->data);
    to = ngx_atoi(dash + 1, value->data + value->len - dash - 1);

    if (from < 1 || to < from || to > NGX_HTTP_APPEAL_TRIES_MAX) {
        return "is not like 150-350, from 1 to 1000000";
    }

    zone->counter_min = from;
    zone->counter_max = to;

    return NGX_CONF_OK;
}


static char *
ngx_http_appeal_challenge_set_lifetime(ngx_conf_t *cf,
    ngx_http_appeal_challenges_t *zone, ngx_str_t *value)
{
    ngx_int_t  n;

    if (zone->lifetime != 0) {
        return "is duplicate";
    }

    n = ngx_parse_time(value, 1);

    if (n < 1 || n > NGX_HTTP_APPEAL_LIFETIME_MAX) {
        return "is not a time of up to a day";
    }

    zone->lifetime = n;

    return NGX_CONF_OK;
}


static char *
ngx_http_appeal_challenge_set_pool(ngx_conf_t *cf,
    ngx_http_appeal_challenges_t *zone, ngx_str_t *value)
{
    ngx_int_t  n;

    if (zone->slots != 0) {
        return "is duplicate";
    }

    n = ngx_atoi(value->data, value->len);

    if (n < 1 || n > POOL_SLOTS_MAX) {
        return "is not a number from 1 to 16384";
    }

    zone->slots = n;

    return NGX_CONF_OK;
}


/* "50r/s:4": from fifty a second on, four times the counter. */

static char *
ngx_http_appeal_challenge_set_level(ngx_conf_t *cf,
    ngx_http_appeal_challenges_t *zone, ngx_str_t *value)
{
    u_char      *colon;
    ngx_int_t    factor, rate;
    ngx_uint_t   n;

    static ngx_str_t  unit = ngx_string("r/s");

    n = zone->load.levels;

    if (n == LOAD_LEVELS) {
        return "is one too many, three are the most";
    }

    colon = (u_char *) ngx_strchr(value->data, ':');

    if (colon == NULL || colon < value->data + unit.len
        || ngx_strncmp(colon - unit.len, unit.data, unit.len) != 0)
    {
        return "is not like 50r/s:4";
    }

    rate = ngx_atoi(value->data, colon - unit.len - value->data);
    factor = ngx_atoi(colon + 1, value->data + value->len - colon - 1);

    if (rate < 1 || rate > 1000000 || factor < 2
        || factor > NGX_HTTP_APPEAL_TRIES_MAX)
    {
        return "is not like 50r/s:4";
    }

    if ((int64_t) rate * 1000 <= zone->load.from[n - 1]
        || (uint32_t) factor <= zone->factor[n - 1])
    {
        return "is not above the level before";
    }

    zone->load.from[n] = (int64_t) rate * 1000;
    zone->factor[n] = factor;
    zone->load.levels++;

    return NGX_CONF_OK;
}


static char *
ngx_http_appeal_challenge_set_hold(ngx_conf_t *cf,
    ngx_http_appeal_challenges_t *zone, ngx_str_t *value)
{
    ngx_int_t  n;

    if (zone->load.hold != 0) {
        return "is duplicate";
    }

    n = ngx_parse_time(value, 1);

    if (n < 1 || n > NGX_HTTP_APPEAL_HOLD_MAX) {
        return "is not a time of up to a day";
    }

    zone->load.hold = n * INT64_C(1000000000);

    return NGX_CONF_OK;
}


/* What was not said, and what goes together. */

static char *
ngx_http_appeal_check_challenges(ngx_conf_t *cf,
    ngx_http_appeal_challenges_t *zone)
{
    uint32_t    rules[3];
    uint64_t    hash[2];
    ngx_uint_t  i;

    static uint8_t  key[SIPHASH_KEY_SIZE];

    if (zone->cost == 0) {
        zone->cost = NGX_HTTP_APPEAL_COST;
    }

    if (zone->counter_max == 0) {
        zone->counter_min = NGX_HTTP_APPEAL_COUNTER_MIN;
        zone->counter_max = NGX_HTTP_APPEAL_COUNTER_MAX;
    }

    if (zone->lifetime == 0) {
        zone->lifetime = NGX_HTTP_APPEAL_LIFETIME;
    }

    if (zone->slots == 0) {
        zone->slots = NGX_HTTP_APPEAL_POOL;
    }

    if (zone->load.hold == 0) {
        zone->load.hold = NGX_HTTP_APPEAL_HOLD * INT64_C(1000000000);
    }

    for (i = 0; i < zone->load.levels; i++) {
        if ((uint64_t) zone->counter_max * zone->factor[i]
            > NGX_HTTP_APPEAL_TRIES_MAX)
        {
            return "has a level whose counter goes beyond 1000000";
        }

        rules[0] = zone->cost;
        rules[1] = zone->counter_min * zone->factor[i];
        rules[2] = zone->counter_max * zone->factor[i];

        /* no secret: it only tells one set of rules from another */

        siphash128(key, rules, sizeof(rules), hash);
        zone->kind[i] = hash[0];
    }

    return NGX_CONF_OK;
}


char *
ngx_http_appeal_challenge_place(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_appeal_loc_conf_t *alcf = conf;

    ngx_str_t                    *value, *purpose;
    ngx_http_appeal_challenge_t  *challenge;

    static ngx_str_t  name = ngx_string("purpose=");

    if (alcf->challenge != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    challenge = ngx_pcalloc(cf->pool, sizeof(ngx_http_appeal_challenge_t));

    if (challenge == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;
    purpose = &challenge->purpose;

    if (value[2].len > name.len
        && ngx_strncmp(value[2].data, name.data, name.len) == 0)
    {
        purpose->data = value[2].data + name.len;
        purpose->len = value[2].len - name.len;
    }

    if (!ngx_http_appeal_is_name(purpose)
        || purpose->len > NGX_HTTP_APPEAL_PURPOSE_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is not \"purpose=\" and 1 to 32 of "
                           "A-Z a-z 0-9 _ -", &value[2]);
        return NGX_CONF_ERROR;
    }

    challenge->zone = ngx_shared_memory_add(cf, &value[1], 0,
                                            &ngx_http_appeal_challenges_tag);

    if (challenge->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    alcf->challenge = challenge;

    return NGX_CONF_OK;
}


char *
ngx_http_appeal_challenge_issue(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_appeal_loc_conf_t *alcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_appeal_issue_handler;

    alcf->challenge_issue = 1;

    return NGX_CONF_OK;
}


char *
ngx_http_appeal_merge_challenge(ngx_conf_t *cf,
    ngx_http_appeal_loc_conf_t *prev, ngx_http_appeal_loc_conf_t *conf)
{
    ngx_conf_merge_ptr_value(conf->challenge, prev->challenge, NULL);
    ngx_conf_merge_ptr_value(conf->challenge_secret, prev->challenge_secret,
                             NULL);

    if (!conf->challenge_issue
        && !(conf->methods & NGX_HTTP_APPEAL_CHALLENGE))
    {
        return NGX_CONF_OK;
    }

    if (conf->challenge == NULL || conf->challenge_secret == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%s\" needs \"appeal_challenge\" and "
                           "\"appeal_challenge_secret\"",
                           conf->challenge_issue ? "appeal_challenge_issue"
                                                 : "appeal_auth challenge");
        return NGX_CONF_ERROR;
    }

    if (conf->challenge_issue && (conf->methods & NGX_HTTP_APPEAL_OFF)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"appeal_challenge_issue\" needs "
                           "\"appeal_auth\", or no limit would be charged");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* Two places with the same of these take the same solutions. */

ngx_uint_t
ngx_http_appeal_same_challenge(ngx_http_appeal_loc_conf_t *one,
    ngx_http_appeal_loc_conf_t *two)
{
    ngx_str_t  *a, *b;

    if (one->challenge == two->challenge) {
        return one->challenge_secret == two->challenge_secret;
    }

    if (one->challenge == NULL || two->challenge == NULL) {
        return 0;
    }

    a = &one->challenge->purpose;
    b = &two->challenge->purpose;

    return one->challenge->zone == two->challenge->zone
           && one->challenge_secret == two->challenge_secret
           && a->len == b->len && ngx_memcmp(a->data, b->data, a->len) == 0;
}
