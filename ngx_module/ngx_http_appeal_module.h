/* What the files of the edge module share; see docs/edge.md for the whole. */

#ifndef _NGX_HTTP_APPEAL_MODULE_H_INCLUDED_
#define _NGX_HTTP_APPEAL_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "altcha.h"
#include "challenge_keys.h"
#include "decimal.h"
#include "deltas.h"
#include "jwks.h"
#include "jws.h"
#include "keys.h"
#include "limits.h"
#include "load.h"
#include "nonces.h"
#include "pool.h"
#include "networks.h"
#include "nhash.h"
#include "problem.h"
#include "ratelimit.h"
#include "revoked.h"
#include "siphash.h"
#include "tokens.h"
#include "uuid7.h"


/* how a request may be let in; one of the last is what a request came by */
#define NGX_HTTP_APPEAL_OFF        0x0002
#define NGX_HTTP_APPEAL_API_KEY    0x0004
#define NGX_HTTP_APPEAL_ANONYMOUS  0x0008
#define NGX_HTTP_APPEAL_JWT        0x0010
#define NGX_HTTP_APPEAL_HOOK       0x0020
#define NGX_HTTP_APPEAL_CHALLENGE  0x0040

#define NGX_HTTP_APPEAL_METHODS    (NGX_HTTP_APPEAL_JWT                       \
                                    |NGX_HTTP_APPEAL_API_KEY                  \
                                    |NGX_HTTP_APPEAL_HOOK                     \
                                    |NGX_HTTP_APPEAL_CHALLENGE                \
                                    |NGX_HTTP_APPEAL_ANONYMOUS)

/* those that can have scopes */
#define NGX_HTTP_APPEAL_SCOPED     (NGX_HTTP_APPEAL_JWT                       \
                                    |NGX_HTTP_APPEAL_API_KEY)

/* bytes of all scopes that a location needs */
#define NGX_HTTP_APPEAL_SCOPE_MAX        512

/* what becomes of a refusal */
#define NGX_HTTP_APPEAL_BODY_PROBLEM     0
#define NGX_HTTP_APPEAL_BODY_ERROR_PAGE  1

/* where the secret of a hook is */
#define NGX_HTTP_APPEAL_HOOK_HEADER      0
#define NGX_HTTP_APPEAL_HOOK_PATH        1       /* its last segment */
#define NGX_HTTP_APPEAL_HOOK_BODY        2       /* no business of the edge */

/* an IPv4 address, or the /64 of an IPv6 one */
#define NGX_HTTP_APPEAL_ADDRESS_SIZE     8

#define NGX_HTTP_APPEAL_RANDOM_IDS       64

/* bytes of a zone of nginx whose memory is elsewhere */
#define NGX_HTTP_APPEAL_NO_ZONE          (8 * ngx_pagesize)

/* bytes of the name of a zone or a policy */
#define NGX_HTTP_APPEAL_NAME_MAX         64

/* zones and names of limits that are counted apart until nginx is restarted */
#define NGX_HTTP_APPEAL_POLICIES         256


/* A kind of file that is read again when it changes. */

typedef struct {
    char                          *what;        /* is in it */
    size_t                         max;         /* bytes */

    /* NULL, and why in a terminated string, if the file is no good */

    void                        *(*parse)(const char *text, size_t n,
                                          u_char *why);
    void                         (*free)(void *data);
    size_t                       (*count)(void *data);
    ngx_uint_t                   (*secret)(void *data);  /* NULL: never */

    char                          *name;        /* of its metrics */
    size_t                         loaded;      /* offsets of counters */
    size_t                         broken;
} ngx_http_appeal_file_type_t;


typedef struct {
    ngx_str_t                      path;
    ngx_http_appeal_file_type_t   *type;
    void                          *data;

    time_t                         since;       /* data was changed */

    /* the file that data was read from, or that was too broken for it */
    ngx_file_uniq_t                uniq;
    off_t                          size;
    struct timespec                changed;

    ngx_msec_t                     checked;
    unsigned                       young:1;     /* may change unseen */
    unsigned                       broken:1;    /* and the log says so */
} ngx_http_appeal_file_t;


/* What a token has to be at a location. */

typedef struct {
    struct jws_policy              policy;
    ngx_http_appeal_file_t        *keys;
    ngx_http_appeal_file_t        *revoked;     /* NULL: none */
    ngx_shm_zone_t                *memory;      /* NULL: none */
    ngx_str_t                      cookie;      /* "": none */
    ngx_str_t                      text;        /* all of it, to compare */

    /* a worker's own */

    struct nhash                   memory_key;
    unsigned                       has_memory_key:1;
} ngx_http_appeal_jwt_t;


/* The counters of all limits of that zone and name; of all workers. */

typedef struct {
    ngx_atomic_t                   passed;
    ngx_atomic_t                   refused;
    ngx_atomic_t                   would_refuse;
    u_char                         zone[NGX_HTTP_APPEAL_NAME_MAX];
    u_char                         name[NGX_HTTP_APPEAL_NAME_MAX];
    u_char                         unused[40];  /* a cache line of its own */
} ngx_http_appeal_policy_sh_t;


typedef struct {
    ngx_str_t                      zone;
    ngx_str_t                      name;
    ngx_http_appeal_policy_sh_t   *sh;
} ngx_http_appeal_policy_t;


typedef struct {
    ngx_str_t                      kind;        /* "telegram" */
    ngx_uint_t                     place;
    ngx_str_t                      header;      /* if it is there */
} ngx_http_appeal_hook_t;


typedef struct {
    ngx_shm_zone_t                *zone;
    ngx_http_appeal_policy_t      *policy;
    ngx_str_t                      name;        /* of the policy */
    ngx_uint_t                     source;      /* of the key */
    ngx_http_complex_value_t      *value;       /* if that is a value */
    ngx_http_complex_value_t      *condition;   /* NULL: always */
    struct limits_rate             rate;
    int64_t                        cost;
    ngx_uint_t                     only;        /* methods */
    struct limits                 *table;       /* of the zone */
    uint64_t                       hash[2];     /* of the name in it */
    struct ratelimit               item;        /* of RateLimit-Policy */
    unsigned                       shared:1;    /* the zone is */
    unsigned                       dry_run:1;
} ngx_http_appeal_limit_t;


/* One limit that was asked about a request. */

typedef struct {
    ngx_http_appeal_limit_t       *limit;
    struct limits_charge           charge;
} ngx_http_appeal_charged_t;


/*
 * Memory that outlives reloads and binary upgrades.  A zone of nginx stands for
 * it, so that its name is taken and whoever uses it may come before it; but
 * that has the smallest size, and nothing is in it.
 */

typedef struct ngx_http_appeal_mapping_s  ngx_http_appeal_mapping_t;

typedef struct {
    ngx_str_t                      name;
    size_t                         size;        /* a multiple of a page */
    ngx_http_appeal_mapping_t     *mapping;     /* NULL: not there yet */
} ngx_http_appeal_memory_t;


/* Before the deltas, in the memory of limits that several edges share. */

typedef struct {
    ngx_atomic_t                   exchanged;   /* with other edges, ever */
    u_char                         secret[SIPHASH_KEY_SIZE];
} ngx_http_appeal_share_sh_t;


typedef struct {
    ngx_http_appeal_memory_t       memory;
    struct limits                 *table;

    /* if several edges share it */

    struct deltas                 *deltas;      /* NULL: they do not */
    ngx_http_appeal_share_sh_t    *sh;
    u_char                         secret[SIPHASH_KEY_SIZE];
    ngx_uint_t                     edges;
    unsigned                       shared:1;
} ngx_http_appeal_zone_t;


/* The head of a memory that holds what challenges need. */

#define NGX_HTTP_APPEAL_STORE_LEN        16

typedef struct {
    uint64_t                       layout;
    u_char                         store[NGX_HTTP_APPEAL_STORE_LEN];
    ngx_atomic_t                   issued;
    struct load                    load;
} ngx_http_appeal_challenges_sh_t;


typedef struct {
    ngx_http_appeal_memory_t          memory;
    ngx_http_appeal_challenges_sh_t  *sh;
    struct pool                      *pool;
    struct nonces                    *nonces;

    uint32_t                          cost;         /* rounds */
    uint32_t                          counter_min;
    uint32_t                          counter_max;
    time_t                            lifetime;
    size_t                            slots;        /* of a level's pool */
    struct load_policy                load;
    uint32_t                          factor[LOAD_LEVELS];  /* of counters */
    uint64_t                          kind[LOAD_LEVELS];    /* of riddles */
} ngx_http_appeal_challenges_t;


/* What a challenge is for at a location. */

typedef struct {
    ngx_shm_zone_t                *zone;
    ngx_str_t                      purpose;
} ngx_http_appeal_challenge_t;


/* What a charge is to be told to the other edges as. */

typedef struct {
    int64_t                        cost;        /* ns */
    int64_t                        most;        /* ns of debt allowed */
} ngx_http_appeal_part_t;


typedef struct ngx_http_appeal_share_s  ngx_http_appeal_share_t;


/* The counters of all workers. */

typedef struct {
    ngx_uint_t                     layout;
    ngx_atomic_t                   jwt;         /* requests let in */
    ngx_atomic_t                   api_key;
    ngx_atomic_t                   hook;
    ngx_atomic_t                   challenge;
    ngx_atomic_t                   anonymous;
    ngx_atomic_t                   refused[PROBLEM_REASONS];
    ngx_atomic_t                   answers[6];  /* by hundreds of status */
    ngx_atomic_t                   keys_loaded;
    ngx_atomic_t                   keys_broken;
    ngx_atomic_t                   jwks_loaded;
    ngx_atomic_t                   jwks_broken;
    ngx_atomic_t                   revoked_loaded;
    ngx_atomic_t                   revoked_broken;
    ngx_atomic_t                   challenge_keys_loaded;
    ngx_atomic_t                   challenge_keys_broken;
    ngx_atomic_t                   challenges[ALTCHA_VERDICTS];
    ngx_atomic_t                   challenges_spent;
    ngx_atomic_t                   challenges_full;
    ngx_atomic_t                   networks_loaded;
    ngx_atomic_t                   networks_broken;
    ngx_atomic_t                   tokens_known;    /* in the memory */
    ngx_atomic_t                   tokens_verified;
    ngx_atomic_t                   tokens_evicted;
    ngx_atomic_t                   not_logged;
    ngx_atomic_t                   share_connected; /* 0 or 1 */
    ngx_atomic_t                   share_exchanges;
    ngx_atomic_t                   share_keys;
    ngx_atomic_t                   share_lost;      /* keys */
    ngx_atomic_t                   share_skipped;   /* exchanges */
    ngx_atomic_t                   share_last;      /* ns, monotonic */
    ngx_atomic_t                   share_slow;      /* pieces */

    /* every name since the start: none is ever given to another policy, for
     * workers of an older configuration may still count there */

    ngx_http_appeal_policy_sh_t    policies[NGX_HTTP_APPEAL_POLICIES];
} ngx_http_appeal_counters_t;


typedef struct {
    ngx_array_t                    files;       /* ngx_http_appeal_file_t * */
    ngx_array_t                    zones;       /* ngx_shm_zone_t * */
    ngx_array_t                    limits;      /* ngx_http_appeal_limit_t * */
    ngx_array_t                    challenges;  /* ngx_shm_zone_t * */
    ngx_array_t                    memories;    /* ngx_shm_zone_t * */
    ngx_array_t                    policies; /* ngx_http_appeal_policy_t * */
    ngx_uint_t                     policies_apart;
    ngx_shm_zone_t                *counters;
    ngx_str_t                      client_secret;
    ngx_str_t                      heads[PROBLEM_REASONS][PROBLEM_LANGUAGES];
    ngx_http_appeal_share_t       *share;       /* NULL: with nobody */
    struct jws                    *jws;         /* room to judge a token */

    /* a worker's own */

    u_char                         random[NGX_HTTP_APPEAL_RANDOM_IDS
                                          * UUID7_RANDOM_SIZE];
    size_t                         random_left;

    time_t                         client_day;  /* days since 1970 */
    u_char                         client_key[SIPHASH_KEY_SIZE];

    time_t                         log_second;
    ngx_uint_t                     log_lines;   /* in that second */
    ngx_uint_t                     log_dropped;
} ngx_http_appeal_main_conf_t;


/* What a location asks of keys and tokens. */

typedef struct {
    ngx_array_t                    names;       /* ngx_str_t, all needed */
    ngx_str_t                      text;        /* with blanks between */
    ngx_uint_t                     asked;       /* methods */
} ngx_http_appeal_scope_t;


typedef struct {
    ngx_uint_t                     methods;
    ngx_uint_t                     body;
    ngx_uint_t                     language;
    ngx_flag_t                     request_id;
    ngx_str_t                      region;
    ngx_http_appeal_file_t        *keys;
    ngx_http_appeal_hook_t        *hook;
    ngx_array_t                   *limits;      /* ngx_http_appeal_limit_t */
    ngx_flag_t                     limit_headers;
    ngx_http_appeal_scope_t       *scope;       /* NULL: none is needed */
    ngx_http_appeal_file_t        *allow;       /* who is not limited */
    ngx_http_appeal_file_t        *deny;

    ngx_http_appeal_file_t        *jwt_keys;
    ngx_http_appeal_file_t        *jwt_revoked;
    ngx_str_t                      jwt_issuer;
    ngx_str_t                      jwt_audience;
    ngx_str_t                      jwt_type;
    time_t                         jwt_leeway;
    ngx_str_t                      jwt_cookie;
    ngx_str_t                     *jwt_claims;  /* one for each that is told */
    ngx_shm_zone_t                *jwt_memory;
    ngx_http_appeal_jwt_t         *jwt;         /* all of the above */

    ngx_http_appeal_challenge_t   *challenge;
    ngx_http_appeal_file_t        *challenge_secret;
    unsigned                       challenge_issue:1;
} ngx_http_appeal_loc_conf_t;


/* What is known of a request; decided once, kept until its end. */

typedef struct {
    ngx_str_t                      auth;
    ngx_str_t                      subject;
    ngx_str_t                      roles;
    ngx_str_t                      region;
    ngx_str_t                      body;
    ngx_str_t                      scope;
    ngx_str_t                      token;       /* "known", "verified" */
    ngx_str_t                      reason;
    ngx_str_t                      request_id;
    ngx_str_t                      client;
    ngx_str_t                      args;
    ngx_str_t                      args_source; /* what args was made of */
    ngx_str_t                      difficulty;

    ngx_uint_t                     method;      /* 0: not let in */
    ngx_str_t                      key;         /* the prefix of an API key */
    struct limits_rate             rate;        /* that it has of its own */
    struct altcha_spent            solution;    /* of a challenge */

    ngx_http_appeal_loc_conf_t    *decided;     /* the rules that said so */
    enum problem_reason            refused;
    ngx_table_elt_t               *challenge;   /* of that refusal */
    unsigned                       counted:1;   /* that refusal is */
    ngx_array_t                   *charged;     /* ngx_http_appeal_charged_t */
    ngx_array_t                   *dry;         /* the same of dry runs */
    ngx_str_t                      dry_run;     /* who would have refused */
    ngx_str_t                      public_path; /* if a secret is in it */
    unsigned                       spent:1;     /* the solution is */
} ngx_http_appeal_ctx_t;


/* ngx_http_appeal_module.c */

ngx_http_appeal_ctx_t *ngx_http_appeal_find_ctx(ngx_http_request_t *r);
ngx_http_appeal_ctx_t *ngx_http_appeal_get_ctx(ngx_http_request_t *r);
ngx_int_t ngx_http_appeal_copy(ngx_pool_t *pool, ngx_str_t *to,
    const char *from, size_t len);

/* ngx_http_appeal_variables.c */

ngx_int_t ngx_http_appeal_add_variables(ngx_conf_t *cf);
ngx_int_t ngx_http_appeal_set_request_id(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx);
size_t ngx_http_appeal_address(ngx_http_request_t *r,
    u_char address[NGX_HTTP_APPEAL_ADDRESS_SIZE]);
ngx_uint_t ngx_http_appeal_is_in(ngx_http_request_t *r,
    struct networks *networks);
ngx_uint_t ngx_http_appeal_next_arg(u_char **p, u_char *end, ngx_str_t *arg,
    ngx_str_t *key);
char *ngx_http_appeal_client_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_appeal_read_secret(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *secret);

/* ngx_http_appeal_files.c */

char *ngx_http_appeal_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void *ngx_http_appeal_current(ngx_http_request_t *r,
    ngx_http_appeal_file_t *file);

extern ngx_http_appeal_file_type_t  ngx_http_appeal_keys_type;
extern ngx_http_appeal_file_type_t  ngx_http_appeal_jwks_type;
extern ngx_http_appeal_file_type_t  ngx_http_appeal_revoked_type;
extern ngx_http_appeal_file_type_t  ngx_http_appeal_challenge_keys_type;
extern ngx_http_appeal_file_type_t  ngx_http_appeal_networks_type;

/* ngx_http_appeal_hook.c */

char *ngx_http_appeal_hook(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_uint_t ngx_http_appeal_find_secret(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_http_appeal_hook_t *hook,
    ngx_str_t *secret);
void ngx_http_appeal_hide_secret(ngx_http_request_t *r, ngx_str_t *uri);

/* ngx_http_appeal_jwt.c */

char *ngx_http_appeal_jwt_claims(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_appeal_jwt_memory(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_appeal_merge_jwt(ngx_conf_t *cf,
    ngx_http_appeal_loc_conf_t *prev, ngx_http_appeal_loc_conf_t *conf);
ngx_uint_t ngx_http_appeal_find_token(ngx_http_request_t *r,
    ngx_http_appeal_jwt_t *jwt, ngx_str_t *token);
struct tokens *ngx_http_appeal_memory_tokens(ngx_shm_zone_t *shm_zone);
ngx_int_t ngx_http_appeal_identify_token(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_http_appeal_loc_conf_t *alcf,
    ngx_str_t *text, enum problem_reason *reason);

/* ngx_http_appeal_challenge.c */

char *ngx_http_appeal_challenge_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_appeal_challenge_place(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_appeal_challenge_issue(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_appeal_merge_challenge(ngx_conf_t *cf,
    ngx_http_appeal_loc_conf_t *prev, ngx_http_appeal_loc_conf_t *conf);
ngx_uint_t ngx_http_appeal_same_challenge(ngx_http_appeal_loc_conf_t *one,
    ngx_http_appeal_loc_conf_t *two);
ngx_uint_t ngx_http_appeal_find_solution(ngx_http_request_t *r,
    ngx_str_t *text);
ngx_int_t ngx_http_appeal_identify_solution(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_http_appeal_loc_conf_t *alcf,
    ngx_str_t *text, enum problem_reason *reason);
void ngx_http_appeal_spend(ngx_http_request_t *r, ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_loc_conf_t *alcf, enum problem_reason *reason);
ngx_uint_t ngx_http_appeal_difficulty(ngx_http_appeal_loc_conf_t *alcf);
ngx_int_t ngx_http_appeal_start_maker(ngx_cycle_t *cycle);
void ngx_http_appeal_stop_maker(ngx_cycle_t *cycle);

/* ngx_http_appeal_memory.c */

/* For a directive: who is to have that much under that name. */

ngx_int_t ngx_http_appeal_memory_add(ngx_conf_t *cf,
    ngx_http_appeal_memory_t *memory, ngx_str_t *name, size_t size);

/*
 * For the initialization of its zone, aligned to a page.  First take: what the
 * cycle or the binary before this one held, NULL if there is none.  If that is
 * no good, make: zeroed, NULL if it failed, which is logged.
 */

void *ngx_http_appeal_memory_take(ngx_http_appeal_memory_t *memory,
    ngx_log_t *log);
void *ngx_http_appeal_memory_make(ngx_http_appeal_memory_t *memory,
    ngx_log_t *log);

/* ngx_http_appeal_scope.c */

enum problem_reason ngx_http_appeal_check_scope(ngx_http_appeal_ctx_t *ctx,
    ngx_http_appeal_loc_conf_t *alcf);
char *ngx_http_appeal_scope(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* ngx_http_appeal_limits.c */

char *ngx_http_appeal_limit_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_appeal_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_appeal_init_limits(ngx_cycle_t *cycle);
ngx_uint_t ngx_http_appeal_make_item(struct ratelimit *item,
    ngx_http_appeal_limit_t *limit, struct limits_rate *rate);
ngx_int_t ngx_http_appeal_peek(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_http_appeal_loc_conf_t *alcf,
    enum problem_reason *reason);
ngx_int_t ngx_http_appeal_charge(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx, ngx_http_appeal_loc_conf_t *alcf,
    enum problem_reason *reason);
ngx_uint_t ngx_http_appeal_is_name(ngx_str_t *name);
int64_t ngx_http_appeal_now(void);
int64_t ngx_http_appeal_retry_after(ngx_http_appeal_ctx_t *ctx);

/* ngx_http_appeal_share.c */

char *ngx_http_appeal_limit_share(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_appeal_init_share(ngx_conf_t *cf,
    ngx_http_appeal_main_conf_t *amcf);
ngx_int_t ngx_http_appeal_start_share(ngx_cycle_t *cycle,
    ngx_http_appeal_main_conf_t *amcf);
void ngx_http_appeal_stop_share(ngx_http_appeal_main_conf_t *amcf);
void ngx_http_appeal_share_part(ngx_http_appeal_zone_t *zone,
    struct limits_charge *charge, ngx_http_appeal_part_t *part);
size_t ngx_http_appeal_share_size(ngx_http_appeal_zone_t *zone);
ngx_int_t ngx_http_appeal_share_attach(ngx_http_appeal_zone_t *zone,
    u_char *p);
ngx_int_t ngx_http_appeal_share_make(ngx_http_appeal_zone_t *zone, u_char *p);

/* ngx_http_appeal_answer.c */

ngx_int_t ngx_http_appeal_add_filter(ngx_conf_t *cf);
ngx_int_t ngx_http_appeal_refuse(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx);
ngx_uint_t ngx_http_appeal_overruled(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx);
void ngx_http_appeal_settle(ngx_http_request_t *r);
ngx_int_t ngx_http_appeal_refuse_here(ngx_http_request_t *r,
    ngx_http_appeal_ctx_t *ctx);
ngx_int_t ngx_http_appeal_add_no_store(ngx_http_request_t *r);
ngx_uint_t ngx_http_appeal_may_log(ngx_http_request_t *r);
char *ngx_http_appeal_problem(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
u_char *ngx_http_appeal_log_connection(ngx_log_t *log, u_char *buf,
    size_t len);
u_char *ngx_http_appeal_log_handler(ngx_http_request_t *r,
    ngx_http_request_t *sr, u_char *buf, size_t len);

/* ngx_http_appeal_metrics.c */

ngx_int_t ngx_http_appeal_add_counters(ngx_conf_t *cf,
    ngx_http_appeal_main_conf_t *amcf);
ngx_http_appeal_counters_t *ngx_http_appeal_counters(
    ngx_http_appeal_main_conf_t *amcf);
ngx_int_t ngx_http_appeal_log_phase_handler(ngx_http_request_t *r);
ngx_http_appeal_policy_t *ngx_http_appeal_policy(ngx_conf_t *cf,
    ngx_str_t *zone, ngx_str_t *name);
char *ngx_http_appeal_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


#define ngx_http_appeal_count(counter)                                        \
    (void) ngx_atomic_fetch_add(&(counter), 1)


extern ngx_module_t  ngx_http_appeal_module;


#endif /* _NGX_HTTP_APPEAL_MODULE_H_INCLUDED_ */
