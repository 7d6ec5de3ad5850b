/*
 * Limits that several edges share through Redis.
 *
 * Every edge decides by its own table, at once.  What passed is also added to
 * a table of deltas, and once an interval one worker sends these to Redis,
 * where a script adds them up, and makes its own table know what each of
 * these keys owes everywhere.  No request ever waits for any of it.
 *
 * Times go to Redis as those of its clock, so an answer means the same however
 * long it was on the way.
 */


#include "ngx_http_appeal_module.h"

#include <hiredis/async.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "clocks.h"


#define NGX_HTTP_APPEAL_SHARE_BATCHES   8        /* on their way at once */
#define NGX_HTTP_APPEAL_SHARE_KEYS      128      /* of a batch */
#define NGX_HTTP_APPEAL_SHARE_LOOKS     2048     /* at places, at a time */
#define NGX_HTTP_APPEAL_SHARE_ARGS      (4 + 4 * NGX_HTTP_APPEAL_SHARE_KEYS)

#define NGX_HTTP_APPEAL_SHARE_EDGES     1000
#define NGX_HTTP_APPEAL_SHARE_PREFIX    64       /* bytes */
#define NGX_HTTP_APPEAL_SHARE_KEY       (NGX_HTTP_APPEAL_SHARE_PREFIX + 34)
#define NGX_HTTP_APPEAL_SHARE_NUMBER    24
#define NGX_HTTP_APPEAL_SHARE_SHA       40
#define NGX_HTTP_APPEAL_SHARE_ANSWER    (1024 * 1024)
#define NGX_HTTP_APPEAL_SHARE_WHY       128

/* ms */
#define NGX_HTTP_APPEAL_SHARE_BACKOFF   1000
#define NGX_HTTP_APPEAL_SHARE_PATIENCE  5000
#define NGX_HTTP_APPEAL_SHARE_KEEP      10000

#define NGX_HTTP_APPEAL_SHARE_SLOW      1000000  /* ns, of a piece of work */

/* us; a double of Lua holds this beside the time of day */
#define NGX_HTTP_APPEAL_SHARE_MOST      (INT64_C(1) << 52)

/* of the deltas and their head in the memory of a zone */
#define NGX_HTTP_APPEAL_SHARE_HEAD      64
#define NGX_HTTP_APPEAL_SHARE_PART      8
#define NGX_HTTP_APPEAL_SHARE_MAX       (4 * 1024 * 1024)


/* What was cut from the deltas of a zone and has not been answered yet. */

typedef struct {
    ngx_http_appeal_share_t    *share;
    ngx_http_appeal_zone_t     *zone;
    ngx_uint_t                  n;
    int64_t                     asked;       /* ns */
    unsigned                    busy:1;
    unsigned                    loading:1;   /* sent with all of the script */
    struct delta                keys[NGX_HTTP_APPEAL_SHARE_KEYS];
} ngx_http_appeal_batch_t;


struct ngx_http_appeal_share_s {
    ngx_str_t                   redis;       /* as configured */
    char                       *host;        /* or the path of a socket */
    in_port_t                   port;        /* 0: a socket */
    ngx_str_t                   password;
    ngx_str_t                   secret;
    ngx_str_t                   prefix;
    ngx_msec_t                  interval;
    ngx_uint_t                  edges;

    ngx_array_t                *zones;       /* ngx_shm_zone_t * */
    ngx_http_appeal_counters_t *counters;

    /* all below is the worker's that exchanges */

    redisAsyncContext          *redis_ctx;   /* NULL: not connected */
    ngx_connection_t           *connection;
    ngx_connection_t            self;        /* that events are logged by */
    ngx_event_t                 turn;        /* each interval */
    ngx_event_t                 retry;
    ngx_event_t                 work;        /* the next piece of it */

    u_char                      sha[NGX_HTTP_APPEAL_SHARE_SHA + 1];
    u_char                      why[NGX_HTTP_APPEAL_SHARE_WHY];
    u_char                      logged[NGX_HTTP_APPEAL_SHARE_WHY];
    ngx_msec_t                  backoff;
    ngx_msec_t                  heard;       /* the last that Redis said */
    struct clocks               clocks;

    ngx_uint_t                  at_zone;
    size_t                      at;          /* the place in its deltas */
    ngx_uint_t                  waiting;     /* batches */
    unsigned                    known:1;     /* the script, to Redis */
    unsigned                    turning:1;
    unsigned                    asked:1;     /* anything, in this turn */
    unsigned                    up:1;        /* and the log says so */
    unsigned                    stopped:1;

    ngx_http_appeal_batch_t     batches[NGX_HTTP_APPEAL_SHARE_BATCHES];

    /* of the command that is being made */

    const char                 *argv[NGX_HTTP_APPEAL_SHARE_ARGS];
    size_t                      argl[NGX_HTTP_APPEAL_SHARE_ARGS];
    u_char                      text[NGX_HTTP_APPEAL_SHARE_KEYS
                                     * NGX_HTTP_APPEAL_SHARE_KEY];
    u_char                      numbers[(2 + 3 * NGX_HTTP_APPEAL_SHARE_KEYS)
                                        * NGX_HTTP_APPEAL_SHARE_NUMBER];
};


typedef struct {
    ngx_str_t                   name;
    char                     *(*set)(ngx_conf_t *cf,
                                     ngx_http_appeal_share_t *share,
                                     ngx_str_t *value);
} ngx_http_appeal_share_param_t;


static void ngx_http_appeal_share_connect(ngx_event_t *ev);
static ngx_int_t ngx_http_appeal_share_adopt(ngx_http_appeal_share_t *share,
    redisAsyncContext *ac);
static void ngx_http_appeal_share_hello(ngx_http_appeal_share_t *share);
static void ngx_http_appeal_share_fail(ngx_http_appeal_share_t *share,
    const char *why, size_t len);
static void ngx_http_appeal_share_retry(ngx_http_appeal_share_t *share);

static void ngx_http_appeal_share_read_handler(ngx_event_t *ev);
static void ngx_http_appeal_share_write_handler(ngx_event_t *ev);
static void ngx_http_appeal_share_add_read(void *data);
static void ngx_http_appeal_share_del_read(void *data);
static void ngx_http_appeal_share_add_write(void *data);
static void ngx_http_appeal_share_del_write(void *data);
static void ngx_http_appeal_share_gone(void *data);

static void ngx_http_appeal_share_turn(ngx_event_t *ev);
static void ngx_http_appeal_share_work(ngx_event_t *ev);
static ngx_uint_t ngx_http_appeal_share_forget(ngx_http_appeal_share_t *share);
static ngx_uint_t ngx_http_appeal_share_send(ngx_http_appeal_share_t *share);
static void ngx_http_appeal_share_ask(ngx_http_appeal_share_t *share,
    ngx_http_appeal_batch_t *batch, ngx_uint_t loading);
static int64_t ngx_http_appeal_share_most(ngx_http_appeal_share_t *share,
    struct delta *delta);

static void ngx_http_appeal_share_auth_done(redisAsyncContext *ac,
    void *reply, void *data);
static void ngx_http_appeal_share_load_done(redisAsyncContext *ac,
    void *reply, void *data);
static void ngx_http_appeal_share_ask_done(redisAsyncContext *ac,
    void *reply, void *data);
static ngx_uint_t ngx_http_appeal_share_good(ngx_http_appeal_batch_t *batch,
    redisReply *reply);
static void ngx_http_appeal_share_apply(ngx_http_appeal_batch_t *batch,
    redisReply *reply);
static void ngx_http_appeal_share_turned(ngx_http_appeal_share_t *share);
static int64_t ngx_http_appeal_share_used(void);
static void ngx_http_appeal_share_held(ngx_http_appeal_share_t *share,
    int64_t since);

static ngx_int_t ngx_http_appeal_share_derive(ngx_str_t *secret,
    ngx_str_t *name, u_char key[SIPHASH_KEY_SIZE]);
static char *ngx_http_appeal_share_set_redis(ngx_conf_t *cf,
    ngx_http_appeal_share_t *share, ngx_str_t *value);
static char *ngx_http_appeal_share_set_edges(ngx_conf_t *cf,
    ngx_http_appeal_share_t *share, ngx_str_t *value);
static char *ngx_http_appeal_share_set_secret(ngx_conf_t *cf,
    ngx_http_appeal_share_t *share, ngx_str_t *value);
static char *ngx_http_appeal_share_set_password(ngx_conf_t *cf,
    ngx_http_appeal_share_t *share, ngx_str_t *value);
static char *ngx_http_appeal_share_set_prefix(ngx_conf_t *cf,
    ngx_http_appeal_share_t *share, ngx_str_t *value);
static char *ngx_http_appeal_share_set_interval(ngx_conf_t *cf,
    ngx_http_appeal_share_t *share, ngx_str_t *value);


static ngx_http_appeal_share_param_t  ngx_http_appeal_share_params[] = {
    { ngx_string("redis="), ngx_http_appeal_share_set_redis },
    { ngx_string("edges="), ngx_http_appeal_share_set_edges },
    { ngx_string("secret="), ngx_http_appeal_share_set_secret },
    { ngx_string("password="), ngx_http_appeal_share_set_password },
    { ngx_string("prefix="), ngx_http_appeal_share_set_prefix },
    { ngx_string("interval="), ngx_http_appeal_share_set_interval },
    { ngx_null_string, NULL }
};


/*
 * Per key: what was charged, since when, how much it may owe at most; all in
 * us.  A charge counts from the first of its interval on, so that what was
 * paid off meanwhile is not owed; hence a key stays for a while after it owes
 * nothing, for another edge may tell of the same time later.  Numbers below
 * 2^53 are exact in Lua.
 */

static char  ngx_http_appeal_share_script[] =
    "local t = redis.call('TIME')\n"
    "local now = t[1] * 1000000 + t[2]\n"
    "local keep = tonumber(ARGV[1])\n"
    "local answer = {now}\n"
    "for i, key in ipairs(KEYS) do\n"
    "  local charged = tonumber(ARGV[3 * i - 1])\n"
    "  local since = tonumber(ARGV[3 * i])\n"
    "  local most = tonumber(ARGV[3 * i + 1])\n"
    "  local tat = tonumber(redis.pcall('GET', key))\n"
    "  if not tat or tat ~= tat then tat = 0 end\n"
    "  tat = math.max(tat, math.min(since, now)) + charged\n"
    "  tat = math.min(tat, now + most)\n"
    "  local left = math.ceil((tat - now) / 1000) + keep\n"
    "  if left > 0 then\n"
    "    redis.call('SET', key, string.format('%.0f', tat), 'PX', left)\n"
    "  end\n"
    "  answer[i + 1] = tat\n"
    "end\n"
    "return answer\n";


/* What a passed charge of a shared limit has to be told as. */

void
ngx_http_appeal_share_part(ngx_http_appeal_zone_t *zone,
    struct limits_charge *charge, ngx_http_appeal_part_t *part)
{
    int64_t  edges;

    part->cost = charge->rate.period * charge->cost;
    part->most = charge->rate.period * charge->rate.burst;

    if (zone->sh->exchanged) {
        return;
    }

    /* nobody knows yet what was charged elsewhere: as if all did the same */

    edges = zone->edges;

    charge->rate.burst = ngx_max(charge->rate.burst / edges, 1);
    charge->rate.period = ngx_min(charge->rate.period * edges,
                                  LIMITS_DEBT_MAX / charge->rate.burst);
    charge->cost = ngx_min(charge->cost, charge->rate.burst);
}


/* Bytes at the end of a zone's memory, a multiple of a cache line. */

size_t
ngx_http_appeal_share_size(ngx_http_appeal_zone_t *zone)
{
    size_t  size;

    if (!zone->shared) {
        return 0;
    }

    size = zone->memory.size / NGX_HTTP_APPEAL_SHARE_PART;

    return ngx_min(size, NGX_HTTP_APPEAL_SHARE_MAX);
}


/* What there was before; NGX_DECLINED if other edges would not know it. */

ngx_int_t
ngx_http_appeal_share_attach(ngx_http_appeal_zone_t *zone, u_char *p)
{
    size_t  size;

    size = ngx_http_appeal_share_size(zone);

    if (size == 0) {
        return NGX_OK;
    }

    zone->sh = (ngx_http_appeal_share_sh_t *) p;
    zone->deltas = deltas_attach(p + NGX_HTTP_APPEAL_SHARE_HEAD,
                                 size - NGX_HTTP_APPEAL_SHARE_HEAD);

    if (zone->deltas == NULL
        || CRYPTO_memcmp(zone->sh->secret, zone->secret, SIPHASH_KEY_SIZE)
           != 0)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_appeal_share_make(ngx_http_appeal_zone_t *zone, u_char *p)
{
    size_t  size;

    size = ngx_http_appeal_share_size(zone);

    if (size == 0) {
        return NGX_OK;
    }

    zone->sh = (ngx_http_appeal_share_sh_t *) p;
    ngx_memcpy(zone->sh->secret, zone->secret, SIPHASH_KEY_SIZE);

    zone->deltas = deltas_create(p + NGX_HTTP_APPEAL_SHARE_HEAD,
                                 size - NGX_HTTP_APPEAL_SHARE_HEAD);

    return zone->deltas != NULL ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_appeal_start_share(ngx_cycle_t *cycle,
    ngx_http_appeal_main_conf_t *amcf)
{
    ngx_uint_t                i;
    ngx_event_t              *ev[3];
    ngx_http_appeal_share_t  *share;

    share = amcf->share;

    if (share == NULL || ngx_worker != 0
        || ngx_process != NGX_PROCESS_WORKER)
    {
        return NGX_OK;
    }

    share->counters = ngx_http_appeal_counters(amcf);
    share->counters->share_connected = 0;

    share->self.fd = (ngx_socket_t) -1;
    share->self.data = share;
    share->backoff = NGX_HTTP_APPEAL_SHARE_BACKOFF;

    share->turn.handler = ngx_http_appeal_share_turn;
    share->retry.handler = ngx_http_appeal_share_connect;
    share->work.handler = ngx_http_appeal_share_work;

    ev[0] = &share->turn;
    ev[1] = &share->retry;
    ev[2] = &share->work;

    for (i = 0; i < 3; i++) {
        ev[i]->data = &share->self;
        ev[i]->log = cycle->log;
        ev[i]->cancelable = 1;
    }

    for (i = 0; i < NGX_HTTP_APPEAL_SHARE_BATCHES; i++) {
        share->batches[i].share = share;
    }

    ngx_add_timer(&share->turn, share->interval);
    ngx_add_timer(&share->retry, 1);

    return NGX_OK;
}


void
ngx_http_appeal_stop_share(ngx_http_appeal_main_conf_t *amcf)
{
    ngx_http_appeal_share_t  *share;

    share = amcf->share;

    if (share == NULL || share->stopped) {
        return;
    }

    share->stopped = 1;

    if (share->redis_ctx != NULL) {

        /* what was cut goes out if it can, and its answers to nobody */

        redisAsyncHandleWrite(share->redis_ctx);
    }

    if (share->redis_ctx != NULL) {
        redisAsyncFree(share->redis_ctx);
    }
}


static void
ngx_http_appeal_share_connect(ngx_event_t *ev)
{
    ngx_connection_t         *self = ev->data;
    ngx_http_appeal_share_t  *share = self->data;

    redisAsyncContext  *ac;

    if (ngx_exiting || share->stopped || share->redis_ctx != NULL) {
        return;
    }

    share->why[0] = '\0';
    share->heard = ngx_current_msec;
    share->known = 0;
    share->turning = 0;
    share->clocks.known = false;

    ac = share->port != 0 ? redisAsyncConnect(share->host, share->port)
                          : redisAsyncConnectUnix(share->host);

    if (ac == NULL) {
        ngx_http_appeal_share_fail(share, "no memory", 9);
        return;
    }

    if (ac->err) {
        ngx_http_appeal_share_fail(share, ac->errstr, ngx_strlen(ac->errstr));
        redisAsyncFree(ac);
        return;
    }

    if (ngx_http_appeal_share_adopt(share, ac) != NGX_OK) {
        ngx_http_appeal_share_fail(share, "no connection is free", 21);
        redisAsyncFree(ac);
        return;
    }

    ngx_http_appeal_share_hello(share);
}


/* hiredis owns the socket; ours is the connection that events go to. */

static ngx_int_t
ngx_http_appeal_share_adopt(ngx_http_appeal_share_t *share,
    redisAsyncContext *ac)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(ac->c.fd, ngx_cycle->log);

    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = share;
    c->read->handler = ngx_http_appeal_share_read_handler;
    c->write->handler = ngx_http_appeal_share_write_handler;
    c->read->log = ngx_cycle->log;
    c->write->log = ngx_cycle->log;

    /* so that a worker that quits tells the read handler */

    c->idle = 1;

    ac->ev.data = share;
    ac->ev.addRead = ngx_http_appeal_share_add_read;
    ac->ev.delRead = ngx_http_appeal_share_del_read;
    ac->ev.addWrite = ngx_http_appeal_share_add_write;
    ac->ev.delWrite = ngx_http_appeal_share_del_write;
    ac->ev.cleanup = ngx_http_appeal_share_gone;

    share->connection = c;
    share->redis_ctx = ac;

    return NGX_OK;
}


static void
ngx_http_appeal_share_hello(ngx_http_appeal_share_t *share)
{
    const char  *argv[3];
    size_t       argl[3];

    if (share->password.len > 0) {
        argv[0] = "AUTH";
        argl[0] = 4;
        argv[1] = (char *) share->password.data;
        argl[1] = share->password.len;

        if (redisAsyncCommandArgv(share->redis_ctx,
                                  ngx_http_appeal_share_auth_done, share, 2,
                                  argv, argl)
            != REDIS_OK)
        {
            ngx_http_appeal_share_fail(share, "no memory", 9);
            return;
        }
    }

    argv[0] = "SCRIPT";
    argl[0] = 6;
    argv[1] = "LOAD";
    argl[1] = 4;
    argv[2] = ngx_http_appeal_share_script;
    argl[2] = sizeof(ngx_http_appeal_share_script) - 1;

    if (redisAsyncCommandArgv(share->redis_ctx,
                              ngx_http_appeal_share_load_done, share, 3,
                              argv, argl)
        != REDIS_OK)
    {
        ngx_http_appeal_share_fail(share, "no memory", 9);
    }
}


/* Ends the connection, if there is one, and tries again later. */

static void
ngx_http_appeal_share_fail(ngx_http_appeal_share_t *share, const char *why,
    size_t len)
{
    u_char  *p, *last;

    /* Redis may say anything */

    last = share->why + ngx_min(len, NGX_HTTP_APPEAL_SHARE_WHY - 1);

    for (p = share->why; p < last; p++, why++) {
        *p = *why >= ' ' && *why <= '~' ? *why : '?';
    }

    *p = '\0';

    if (share->redis_ctx != NULL) {
        redisAsyncFree(share->redis_ctx);

    } else {
        ngx_http_appeal_share_retry(share);
    }
}


static void
ngx_http_appeal_share_retry(ngx_http_appeal_share_t *share)
{
    if (ngx_exiting || share->stopped) {
        return;
    }

    share->counters->share_connected = 0;

    if (share->up || ngx_strcmp(share->why, share->logged) != 0) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "limits are not shared, each edge counts alone: "
                      "Redis at \"%V\": %s", &share->redis, share->why);

        share->up = 0;
        ngx_memcpy(share->logged, share->why, NGX_HTTP_APPEAL_SHARE_WHY);
    }

    /* edges that lost it together must not come back together */

    ngx_add_timer(&share->retry, share->backoff / 2
                                 + ngx_random() % (share->backoff / 2 + 1));

    share->backoff = ngx_min(share->backoff * 2,
                             30 * NGX_HTTP_APPEAL_SHARE_BACKOFF);
}


static void
ngx_http_appeal_share_read_handler(ngx_event_t *ev)
{
    ngx_connection_t         *c = ev->data;
    ngx_http_appeal_share_t  *share = c->data;

    int64_t                       started;
    ngx_http_appeal_main_conf_t  *amcf;

    if (c->close) {
        amcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                                   ngx_http_appeal_module);
        ngx_http_appeal_stop_share(amcf);
        return;
    }

    started = ngx_http_appeal_share_used();

    redisAsyncHandleRead(share->redis_ctx);

    if (share->redis_ctx != NULL
        && share->redis_ctx->c.reader->len > NGX_HTTP_APPEAL_SHARE_ANSWER)
    {
        ngx_http_appeal_share_fail(share, "an answer without an end", 24);
    }

    ngx_http_appeal_share_held(share, started);
}


static void
ngx_http_appeal_share_write_handler(ngx_event_t *ev)
{
    ngx_connection_t         *c = ev->data;
    ngx_http_appeal_share_t  *share = c->data;

    int64_t  started;

    started = ngx_http_appeal_share_used();

    redisAsyncHandleWrite(share->redis_ctx);

    ngx_http_appeal_share_held(share, started);
}


/*
 * Level-triggered: hiredis reads a piece at a time, not until EAGAIN.  It
 * cannot be told of a failure; nginx logs it, and Redis will give no answer.
 */

static void
ngx_http_appeal_share_add_read(void *data)
{
    ngx_http_appeal_share_t *share = data;

    if (!share->connection->read->active) {
        (void) ngx_add_event(share->connection->read, NGX_READ_EVENT,
                             NGX_LEVEL_EVENT);
    }
}


static void
ngx_http_appeal_share_del_read(void *data)
{
    ngx_http_appeal_share_t *share = data;

    if (share->connection->read->active) {
        (void) ngx_del_event(share->connection->read, NGX_READ_EVENT, 0);
    }
}


static void
ngx_http_appeal_share_add_write(void *data)
{
    ngx_http_appeal_share_t *share = data;

    if (!share->connection->write->active) {
        (void) ngx_add_event(share->connection->write, NGX_WRITE_EVENT,
                             NGX_LEVEL_EVENT);
    }
}


static void
ngx_http_appeal_share_del_write(void *data)
{
    ngx_http_appeal_share_t *share = data;

    if (share->connection->write->active) {
        (void) ngx_del_event(share->connection->write, NGX_WRITE_EVENT, 0);
    }
}


/* hiredis closes the socket right after this, whyever. */

static void
ngx_http_appeal_share_gone(void *data)
{
    ngx_http_appeal_share_t *share = data;

    ngx_connection_t   *c;
    redisAsyncContext  *ac;

    ac = share->redis_ctx;
    c = share->connection;

    if (share->why[0] == '\0') {
        (void) ngx_cpystrn(share->why, (u_char *) (ac->err ? ac->errstr
                                                            : "closed"),
                           NGX_HTTP_APPEAL_SHARE_WHY);
    }

    share->redis_ctx = NULL;
    share->connection = NULL;

    if (ngx_del_conn) {
        ngx_del_conn(c, NGX_CLOSE_EVENT);

    } else {
        if (c->read->active) {
            ngx_del_event(c->read, NGX_READ_EVENT, NGX_CLOSE_EVENT);
        }

        if (c->write->active) {
            ngx_del_event(c->write, NGX_WRITE_EVENT, NGX_CLOSE_EVENT);
        }
    }

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }

    c->read->closed = 1;
    c->write->closed = 1;

    ngx_free_connection(c);
    c->fd = (ngx_socket_t) -1;

    ngx_http_appeal_share_retry(share);
}


static void
ngx_http_appeal_share_turn(ngx_event_t *ev)
{
    ngx_connection_t         *self = ev->data;
    ngx_http_appeal_share_t  *share = self->data;

    ngx_msec_t  patience;

    if (ngx_exiting || share->stopped) {
        return;
    }

    ngx_add_timer(ev, share->interval);

    if (share->redis_ctx != NULL && (share->turning || !share->known)) {
        ngx_http_appeal_count(share->counters->share_skipped);

        patience = ngx_max(10 * share->interval,
                           NGX_HTTP_APPEAL_SHARE_PATIENCE);

        if (ngx_current_msec - share->heard > patience) {
            ngx_http_appeal_share_fail(share, "no answer", 9);
        }

        return;
    }

    share->at_zone = 0;
    share->at = 0;
    share->asked = 0;

    if (share->redis_ctx != NULL) {
        share->turning = 1;
        share->heard = ngx_current_msec;
    }

    if (!share->work.posted) {
        ngx_post_event(&share->work, &ngx_posted_events);
    }
}


/* A piece at a time: in between, nginx serves whoever waits. */

static void
ngx_http_appeal_share_work(ngx_event_t *ev)
{
    ngx_connection_t         *self = ev->data;
    ngx_http_appeal_share_t  *share = self->data;

    int64_t     started;
    ngx_uint_t  more;

    if (share->stopped) {
        return;
    }

    started = ngx_http_appeal_share_used();

    more = share->redis_ctx != NULL ? ngx_http_appeal_share_send(share)
                                    : ngx_http_appeal_share_forget(share);

    ngx_http_appeal_share_held(share, started);

    if (more && !ev->posted) {
        ngx_post_event(ev, &ngx_posted_next_events);
    }
}


/* While nobody is told, there must stay room for who is charged anew. */

static ngx_uint_t
ngx_http_appeal_share_forget(ngx_http_appeal_share_t *share)
{
    ngx_shm_zone_t          **zones;
    ngx_http_appeal_zone_t   *zone;

    if (share->at_zone == share->zones->nelts) {
        return 0;
    }

    zones = share->zones->elts;
    zone = zones[share->at_zone]->data;

    if (zone->deltas != NULL) {
        deltas_forget(zone->deltas, &share->at, NGX_HTTP_APPEAL_SHARE_LOOKS,
                      ngx_http_appeal_now());

        if (share->at < deltas_places(zone->deltas)) {
            return 1;
        }
    }

    share->at_zone++;
    share->at = 0;

    return 1;
}


/* 1: there is more to do, and it can be done now. */

static ngx_uint_t
ngx_http_appeal_share_send(ngx_http_appeal_share_t *share)
{
    ngx_uint_t                i;
    ngx_shm_zone_t          **zones;
    ngx_http_appeal_zone_t   *zone;
    ngx_http_appeal_batch_t  *batch;

    if (!share->turning) {
        return 0;
    }

    for (i = 0; i < NGX_HTTP_APPEAL_SHARE_BATCHES; i++) {
        if (!share->batches[i].busy) {
            break;
        }
    }

    if (i == NGX_HTTP_APPEAL_SHARE_BATCHES) {
        return 0;
    }

    batch = &share->batches[i];
    batch->n = 0;

    if (share->at_zone < share->zones->nelts) {
        zones = share->zones->elts;
        zone = zones[share->at_zone]->data;
        batch->zone = zone;

        if (zone->deltas != NULL) {
            batch->n = deltas_cut(zone->deltas, &share->at,
                                  NGX_HTTP_APPEAL_SHARE_LOOKS, batch->keys,
                                  NGX_HTTP_APPEAL_SHARE_KEYS);
        }

        if (zone->deltas == NULL
            || share->at == deltas_places(zone->deltas))
        {
            share->at_zone++;
            share->at = 0;
        }
    }

    if (batch->n > 0
        || (share->at_zone == share->zones->nelts && !share->asked))
    {
        share->asked = 1;
        ngx_http_appeal_share_ask(share, batch, 0);
    }

    if (share->redis_ctx == NULL) {
        return 0;
    }

    if (share->at_zone == share->zones->nelts) {
        ngx_http_appeal_share_turned(share);
        return 0;
    }

    return 1;
}


static void
ngx_http_appeal_share_arg(ngx_http_appeal_share_t *share, ngx_uint_t *n,
    const void *text, size_t len)
{
    share->argv[*n] = text;
    share->argl[*n] = len;
    (*n)++;
}


static u_char *
ngx_http_appeal_share_number(ngx_http_appeal_share_t *share, ngx_uint_t *n,
    u_char *p, int64_t number)
{
    u_char  *last;

    last = ngx_sprintf(p, "%L", number);
    ngx_http_appeal_share_arg(share, n, p, last - p);

    return last;
}


static void
ngx_http_appeal_share_ask(ngx_http_appeal_share_t *share,
    ngx_http_appeal_batch_t *batch, ngx_uint_t loading)
{
    u_char        *p, *q, *last;
    ngx_uint_t     i, n;
    struct delta  *delta;

    n = 0;
    p = share->text;
    q = share->numbers;

    if (loading) {
        ngx_http_appeal_share_arg(share, &n, "EVAL", 4);
        ngx_http_appeal_share_arg(share, &n, ngx_http_appeal_share_script,
                                  sizeof(ngx_http_appeal_share_script) - 1);
    } else {
        ngx_http_appeal_share_arg(share, &n, "EVALSHA", 7);
        ngx_http_appeal_share_arg(share, &n, share->sha,
                                  NGX_HTTP_APPEAL_SHARE_SHA);
    }

    q = ngx_http_appeal_share_number(share, &n, q, batch->n);

    for (i = 0; i < batch->n; i++) {
        delta = &batch->keys[i];
        last = ngx_sprintf(p, "%V:%016xL%016xL", &share->prefix,
                           delta->hash[0], delta->hash[1]);
        ngx_http_appeal_share_arg(share, &n, p, last - p);
        p = last;
    }

    q = ngx_http_appeal_share_number(share, &n, q,
                                     ngx_max(10 * share->interval,
                                             NGX_HTTP_APPEAL_SHARE_KEEP));

    for (i = 0; i < batch->n; i++) {
        delta = &batch->keys[i];

        /* a part of a us is charged as one */

        q = ngx_http_appeal_share_number(share, &n, q,
                                         (delta->charged + 999) / 1000);
        q = ngx_http_appeal_share_number(share, &n, q,
                                         (delta->since + share->clocks.ahead)
                                         / 1000);
        q = ngx_http_appeal_share_number(share, &n, q,
                                     ngx_http_appeal_share_most(share, delta));
    }

    batch->busy = 1;
    batch->loading = loading ? 1 : 0;
    batch->asked = ngx_http_appeal_now();
    share->waiting++;

    if (redisAsyncCommandArgv(share->redis_ctx, ngx_http_appeal_share_ask_done,
                              batch, n, share->argv, share->argl)
        != REDIS_OK)
    {
        ngx_http_appeal_share_ask_done(share->redis_ctx, NULL, batch);
        ngx_http_appeal_share_fail(share, "no memory", 9);
    }
}


/*
 * More than this, us, no key can owe: each edge lets pass what the limit
 * allows at once and what is paid off until it hears of the others.  Whatever
 * Redis holds, nobody is kept out for longer.
 */

static int64_t
ngx_http_appeal_share_most(ngx_http_appeal_share_t *share, struct delta *delta)
{
    int64_t  most, edges;

    edges = share->edges;
    most = delta->most / 1000 + 1;

    if (most > NGX_HTTP_APPEAL_SHARE_MOST / (2 * edges + 2)) {
        return NGX_HTTP_APPEAL_SHARE_MOST;
    }

    return (edges + 1) * most + 2 * edges * (int64_t) share->interval * 1000;
}


static void
ngx_http_appeal_share_auth_done(redisAsyncContext *ac, void *reply, void *data)
{
    redisReply               *answer = reply;
    ngx_http_appeal_share_t  *share = data;

    if (answer != NULL && answer->type == REDIS_REPLY_ERROR) {
        ngx_http_appeal_share_fail(share, answer->str, answer->len);
    }
}


static void
ngx_http_appeal_share_load_done(redisAsyncContext *ac, void *reply, void *data)
{
    redisReply               *answer = reply;
    ngx_http_appeal_share_t  *share = data;

    /* a password was wrong, or the connection broke: known already */

    if (answer == NULL || share->why[0] != '\0') {
        return;
    }

    if (answer->type == REDIS_REPLY_ERROR) {
        ngx_http_appeal_share_fail(share, answer->str, answer->len);
        return;
    }

    if (answer->type != REDIS_REPLY_STRING
        || answer->len != NGX_HTTP_APPEAL_SHARE_SHA)
    {
        ngx_http_appeal_share_fail(share, "a wrong answer", 14);
        return;
    }

    ngx_memcpy(share->sha, answer->str, NGX_HTTP_APPEAL_SHARE_SHA);

    /* ask for nothing but the time: what is cut needs it */

    share->heard = ngx_current_msec;
    share->known = 1;
    share->turning = 1;
    share->asked = 1;
    share->at_zone = share->zones->nelts;

    share->batches[0].n = 0;
    ngx_http_appeal_share_ask(share, &share->batches[0], 0);
}


static void
ngx_http_appeal_share_ask_done(redisAsyncContext *ac, void *reply, void *data)
{
    redisReply               *answer = reply;
    ngx_http_appeal_batch_t  *batch = data;

    ngx_http_appeal_share_t  *share;

    share = batch->share;

    batch->busy = 0;
    share->waiting--;

    /* Redis did not run it: the only case in which it is sent again */

    if (answer != NULL && answer->type == REDIS_REPLY_ERROR && !batch->loading
        && share->why[0] == '\0'
        && answer->len > 8 && ngx_strncmp(answer->str, "NOSCRIPT", 8) == 0)
    {
        ngx_http_appeal_share_ask(share, batch, 1);
        return;
    }

    if (answer != NULL && share->why[0] == '\0'
        && ngx_http_appeal_share_good(batch, answer))
    {
        ngx_http_appeal_share_apply(batch, answer);
        return;
    }

    (void) ngx_atomic_fetch_add(&share->counters->share_lost, batch->n);

    if (answer == NULL || share->why[0] != '\0') {
        return;
    }

    if (answer->type == REDIS_REPLY_ERROR) {
        ngx_http_appeal_share_fail(share, answer->str, answer->len);

    } else {
        ngx_http_appeal_share_fail(share, "a wrong answer", 14);
    }
}


static ngx_uint_t
ngx_http_appeal_share_good(ngx_http_appeal_batch_t *batch, redisReply *reply)
{
    size_t   i;
    int64_t  now, most;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != batch->n + 1) {
        return 0;
    }

    for (i = 0; i < reply->elements; i++) {
        if (reply->element[i]->type != REDIS_REPLY_INTEGER) {
            return 0;
        }
    }

    now = reply->element[0]->integer;

    if (now < 0 || now > NGX_HTTP_APPEAL_SHARE_MOST) {
        return 0;
    }

    for (i = 0; i < batch->n; i++) {
        most = ngx_http_appeal_share_most(batch->share, &batch->keys[i]);

        if (reply->element[i + 1]->integer < 0
            || reply->element[i + 1]->integer > now + most)
        {
            return 0;
        }
    }

    return 1;
}


static void
ngx_http_appeal_share_apply(ngx_http_appeal_batch_t *batch, redisReply *reply)
{
    int64_t                   now, until, charged, since;
    ngx_uint_t                i;
    struct delta             *delta;
    ngx_http_appeal_share_t  *share;

    share = batch->share;
    share->heard = ngx_current_msec;
    now = ngx_http_appeal_now();

    clocks_learn(&share->clocks, batch->asked, now,
                 reply->element[0]->integer * 1000);

    for (i = 0; i < batch->n; i++) {
        delta = &batch->keys[i];
        until = reply->element[i + 1]->integer * 1000 - share->clocks.ahead;

        /* Redis does not know of what was charged here after the cut */

        charged = deltas_charged(batch->zone->deltas, delta->hash, &since);

        if (charged > 0) {
            until = ngx_max(until, since) + charged;
        }

        limits_raise(batch->zone->table, delta->hash, until, now);
    }

    (void) ngx_atomic_fetch_add(&share->counters->share_keys, batch->n);

    ngx_http_appeal_share_turned(share);
}


/* Is all told and answered?  Or is there a batch free again, to tell more? */

static void
ngx_http_appeal_share_turned(ngx_http_appeal_share_t *share)
{
    ngx_uint_t                i;
    ngx_shm_zone_t          **zones;
    ngx_http_appeal_zone_t   *zone;

    if (share->at_zone < share->zones->nelts) {
        if (!share->work.posted) {
            ngx_post_event(&share->work, &ngx_posted_next_events);
        }

        return;
    }

    if (share->waiting > 0 || !share->turning) {
        return;
    }

    share->turning = 0;
    share->backoff = NGX_HTTP_APPEAL_SHARE_BACKOFF;
    share->counters->share_connected = 1;
    share->counters->share_last = ngx_http_appeal_now();
    ngx_http_appeal_count(share->counters->share_exchanges);

    zones = share->zones->elts;

    for (i = 0; i < share->zones->nelts; i++) {
        zone = zones[i]->data;

        if (zone->deltas != NULL && !zone->sh->exchanged) {
            zone->sh->exchanged = 1;
        }
    }

    if (!share->up) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "limits are shared by Redis at \"%V\"", &share->redis);

        share->up = 1;
        share->logged[0] = '\0';
    }
}


/* Processor time: what else the machine did meanwhile is not our doing. */

static int64_t
ngx_http_appeal_share_used(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}


/* So long had clients to wait for a piece of work. */

static void
ngx_http_appeal_share_held(ngx_http_appeal_share_t *share, int64_t since)
{
    if (ngx_http_appeal_share_used() - since > NGX_HTTP_APPEAL_SHARE_SLOW) {
        ngx_http_appeal_count(share->counters->share_slow);
    }
}


char *
ngx_http_appeal_limit_share(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_appeal_main_conf_t *amcf = conf;

    char                           *rv;
    ngx_str_t                      *value, s;
    ngx_uint_t                      i;
    ngx_http_appeal_share_t        *share;
    ngx_http_appeal_share_param_t  *param;

    if (amcf->share != NULL) {
        return "is duplicate";
    }

    share = ngx_pcalloc(cf->pool, sizeof(ngx_http_appeal_share_t));

    if (share == NULL) {
        return NGX_CONF_ERROR;
    }

    amcf->share = share;
    share->zones = &amcf->zones;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        for (param = ngx_http_appeal_share_params; param->name.len; param++) {
            if (value[i].len > param->name.len
                && ngx_strncmp(value[i].data, param->name.data,
                               param->name.len) == 0)
            {
                break;
            }
        }

        s.len = value[i].len - param->name.len;
        s.data = value[i].data + param->name.len;

        rv = param->set ? param->set(cf, share, &s) : "is unknown";

        if (rv != NGX_CONF_OK) {
            if (rv != NGX_CONF_ERROR) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "parameter \"%V\" %s", &value[i], rv);
            }

            return NGX_CONF_ERROR;
        }
    }

    if (share->host == NULL) {
        return "has no parameter \"redis\"";
    }

    if (share->edges == 0) {
        return "has no parameter \"edges\"";
    }

    if (share->prefix.len == 0) {
        ngx_str_set(&share->prefix, "otklik");
    }

    if (share->interval == 0) {
        share->interval = 1000;
    }

    return NGX_CONF_OK;
}


/* The keys of the zones that are shared; before any of them is made. */

ngx_int_t
ngx_http_appeal_init_share(ngx_conf_t *cf, ngx_http_appeal_main_conf_t *amcf)
{
    ngx_str_t                *secret;
    ngx_uint_t                i;
    ngx_shm_zone_t          **zones;
    ngx_http_appeal_zone_t   *zone;

    secret = NULL;
    zones = amcf->zones.elts;

    if (amcf->share != NULL) {
        secret = amcf->share->secret.len > 0 ? &amcf->share->secret
                                             : &amcf->client_secret;

        if (secret->len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"appeal_limit_share\" needs \"secret\" or "
                               "\"appeal_client_secret\"");
            return NGX_ERROR;
        }
    }

    for (i = 0; i < amcf->zones.nelts; i++) {
        zone = zones[i]->data;

        if (!zone->shared) {
            continue;
        }

        if (amcf->share == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "the zone \"%V\" is shared, but there is no "
                               "\"appeal_limit_share\"", &zone->memory.name);
            return NGX_ERROR;
        }

        if (ngx_http_appeal_share_derive(secret, &zone->memory.name,
                                         zone->secret)
            != NGX_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "no key of the zone \"%V\" can be derived",
                               &zone->memory.name);
            return NGX_ERROR;
        }

        zone->edges = amcf->share->edges;
    }

    return NGX_OK;
}


/* HKDF (RFC 5869): the same on all edges, another one for each zone. */

static ngx_int_t
ngx_http_appeal_share_derive(ngx_str_t *secret, ngx_str_t *name,
    u_char key[SIPHASH_KEY_SIZE])
{
    size_t         len;
    ngx_int_t      rc;
    EVP_PKEY_CTX  *ctx;

    static const u_char  salt[] = "otklik: limits of several edges";

    ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    len = SIPHASH_KEY_SIZE;
    rc = NGX_ERROR;

    if (EVP_PKEY_derive_init(ctx) == 1
        && EVP_PKEY_CTX_set_hkdf_md(ctx, EVP_sha256()) == 1
        && EVP_PKEY_CTX_set1_hkdf_salt(ctx, salt, sizeof(salt) - 1) == 1
        && EVP_PKEY_CTX_set1_hkdf_key(ctx, secret->data, secret->len) == 1
        && EVP_PKEY_CTX_add1_hkdf_info(ctx, name->data, name->len) == 1
        && EVP_PKEY_derive(ctx, key, &len) == 1
        && len == SIPHASH_KEY_SIZE)
    {
        rc = NGX_OK;
    }

    EVP_PKEY_CTX_free(ctx);

    return rc;
}


/* Only addresses: to look a name up would stop the worker. */

static char *
ngx_http_appeal_share_set_redis(ngx_conf_t *cf, ngx_http_appeal_share_t *share,
    ngx_str_t *value)
{
    size_t      len;
    u_char      text[NGX_SOCKADDR_STRLEN];
    ngx_addr_t  addr;
    ngx_str_t   host;

    if (share->host != NULL) {
        return "is duplicate";
    }

    share->redis = *value;

    if (ngx_strncmp(value->data, "unix:", 5) == 0) {
        host.data = value->data + 5;
        host.len = value->len - 5;

        if (host.len == 0
            || host.len >= sizeof(((struct sockaddr_un *) 0)->sun_path)
            || host.data[0] != '/')
        {
            return "is not the full path of a socket";
        }

        /* strings of the configuration are terminated */

        share->host = (char *) host.data;

        return NGX_CONF_OK;
    }

    if (ngx_parse_addr_port(cf->pool, &addr, value->data, value->len) != NGX_OK
        || ngx_inet_get_port(addr.sockaddr) == 0)
    {
        return "is neither unix:/path nor ADDRESS:PORT";
    }

    len = ngx_sock_ntop(addr.sockaddr, addr.socklen, text, sizeof(text), 0);
    share->host = (char *) ngx_pnalloc(cf->pool, len + 1);

    if (share->host == NULL) {
        return NGX_CONF_ERROR;
    }

    (void) ngx_cpystrn((u_char *) share->host, text, len + 1);
    share->port = ngx_inet_get_port(addr.sockaddr);

    return NGX_CONF_OK;
}


static char *
ngx_http_appeal_share_set_edges(ngx_conf_t *cf, ngx_http_appeal_share_t *share,
    ngx_str_t *value)
{
    ngx_int_t  n;

    if (share->edges != 0) {
        return "is duplicate";
    }

    n = ngx_atoi(value->data, value->len);

    if (n < 1 || n > NGX_HTTP_APPEAL_SHARE_EDGES) {
        return "is not a number from 1 to 1000";
    }

    share->edges = n;

    return NGX_CONF_OK;
}


static char *
ngx_http_appeal_share_set_secret(ngx_conf_t *cf,
    ngx_http_appeal_share_t *share, ngx_str_t *value)
{
    if (share->secret.data != NULL) {
        return "is duplicate";
    }

    return ngx_http_appeal_read_secret(cf, value, &share->secret);
}


static char *
ngx_http_appeal_share_set_password(ngx_conf_t *cf,
    ngx_http_appeal_share_t *share, ngx_str_t *value)
{
    ngx_str_t  *password;

    if (share->password.data != NULL) {
        return "is duplicate";
    }

    password = &share->password;

    if (ngx_http_appeal_read_secret(cf, value, password) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    while (password->len > 0
           && (password->data[password->len - 1] == LF
               || password->data[password->len - 1] == CR))
    {
        password->len--;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_appeal_share_set_prefix(ngx_conf_t *cf,
    ngx_http_appeal_share_t *share, ngx_str_t *value)
{
    if (share->prefix.len != 0) {
        return "is duplicate";
    }

    if (value->len > NGX_HTTP_APPEAL_SHARE_PREFIX) {
        return "is over 64 bytes";
    }

    share->prefix = *value;

    return NGX_CONF_OK;
}


static char *
ngx_http_appeal_share_set_interval(ngx_conf_t *cf,
    ngx_http_appeal_share_t *share, ngx_str_t *value)
{
    ngx_int_t  ms;

    if (share->interval != 0) {
        return "is duplicate";
    }

    ms = ngx_parse_time(value, 0);

    if (ms < 100 || ms > 60000) {
        return "is not a time from 100ms to 60s";
    }

    share->interval = ms;

    return NGX_CONF_OK;
}
