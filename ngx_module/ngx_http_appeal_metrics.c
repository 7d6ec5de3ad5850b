/* Counters that all workers share; how Prometheus and programs read them. */


#include "ngx_http_appeal_module.h"


#define NGX_HTTP_APPEAL_METRIC_LABELS  2

/* what is written of a metric, a value and a label beside their texts */
#define NGX_HTTP_APPEAL_METRIC_LEN                                            \
    (sizeof("# HELP otklik_edge_ .\n# TYPE otklik_edge_ counter\n") - 1)
#define NGX_HTTP_APPEAL_SAMPLE_LEN                                            \
    (sizeof("otklik_edge_{} ,{\"value\":}\n") - 1 + NGX_INT64_LEN)
#define NGX_HTTP_APPEAL_LABEL_LEN                                             \
    (sizeof(",\"\":\"\"") - 1)

/* what is told of a zone of challenges */
#define NGX_HTTP_APPEAL_CHALLENGE_ISSUED    0
#define NGX_HTTP_APPEAL_CHALLENGE_LEVEL     1
#define NGX_HTTP_APPEAL_CHALLENGE_LOAD      2
#define NGX_HTTP_APPEAL_CHALLENGE_SPENT     3
#define NGX_HTTP_APPEAL_CHALLENGE_CAPACITY  4

/* "\u00XX" of a byte */
#define NGX_HTTP_APPEAL_ESCAPED        6


/* One value of a metric. */

typedef struct {
    ngx_str_t                   label[NGX_HTTP_APPEAL_METRIC_LABELS];
    uint64_t                    value;
    unsigned                    labels_only:1;  /* a dear value is not asked */
} ngx_http_appeal_sample_t;


typedef struct ngx_http_appeal_metric_s  ngx_http_appeal_metric_t;

struct ngx_http_appeal_metric_s {
    char                       *name;      /* after "otklik_edge_" */
    char                       *type;
    char                       *label[NGX_HTTP_APPEAL_METRIC_LABELS + 1];

    /*
     * The nth value, NGX_DONE after the last one.  How many there are, and how
     * long their labels, is fixed by the configuration.
     */

    ngx_int_t                 (*get)(ngx_http_appeal_main_conf_t *amcf,
                                     ngx_http_appeal_metric_t *metric,
                                     ngx_uint_t n,
                                     ngx_http_appeal_sample_t *sample);
    uintptr_t                   data;
    char                       *help;
};


typedef u_char *(*ngx_http_appeal_metrics_writer_pt)(
    ngx_http_appeal_main_conf_t *amcf, u_char *p, u_char *last);


/* A counter and the label that it stands under. */

typedef struct {
    ngx_str_t                   label;
    size_t                      offset;
} ngx_http_appeal_labelled_t;


static ngx_int_t ngx_http_appeal_prometheus_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_appeal_json_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_appeal_send_metrics(ngx_http_request_t *r,
    ngx_str_t *type, ngx_http_appeal_metrics_writer_pt write);
static void ngx_http_appeal_refresh_files(ngx_http_request_t *r,
    ngx_http_appeal_main_conf_t *amcf);
static size_t ngx_http_appeal_metrics_len(ngx_http_appeal_main_conf_t *amcf);
static u_char *ngx_http_appeal_write_prometheus(
    ngx_http_appeal_main_conf_t *amcf, u_char *p, u_char *last);
static u_char *ngx_http_appeal_write_json(ngx_http_appeal_main_conf_t *amcf,
    u_char *p, u_char *last);

static ngx_int_t ngx_http_appeal_get_counter(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample);
static ngx_int_t ngx_http_appeal_get_labelled(
    ngx_http_appeal_main_conf_t *amcf, ngx_http_appeal_metric_t *metric,
    ngx_uint_t n, ngx_http_appeal_sample_t *sample);
static ngx_int_t ngx_http_appeal_get_refused(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample);
static ngx_int_t ngx_http_appeal_get_known(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample);
static ngx_int_t ngx_http_appeal_get_file_age(
    ngx_http_appeal_main_conf_t *amcf, ngx_http_appeal_metric_t *metric,
    ngx_uint_t n, ngx_http_appeal_sample_t *sample);
static ngx_int_t ngx_http_appeal_get_file_broken(
    ngx_http_appeal_main_conf_t *amcf, ngx_http_appeal_metric_t *metric,
    ngx_uint_t n, ngx_http_appeal_sample_t *sample);
static ngx_int_t ngx_http_appeal_get_memory_held(
    ngx_http_appeal_main_conf_t *amcf, ngx_http_appeal_metric_t *metric,
    ngx_uint_t n, ngx_http_appeal_sample_t *sample);
static ngx_int_t ngx_http_appeal_get_memory_capacity(
    ngx_http_appeal_main_conf_t *amcf, ngx_http_appeal_metric_t *metric,
    ngx_uint_t n, ngx_http_appeal_sample_t *sample);
static ngx_int_t ngx_http_appeal_get_policy(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample);
static ngx_int_t ngx_http_appeal_get_challenge(
    ngx_http_appeal_main_conf_t *amcf, ngx_http_appeal_metric_t *metric,
    ngx_uint_t n, ngx_http_appeal_sample_t *sample);
static ngx_int_t ngx_http_appeal_get_challenge_ready(
    ngx_http_appeal_main_conf_t *amcf, ngx_http_appeal_metric_t *metric,
    ngx_uint_t n, ngx_http_appeal_sample_t *sample);
static ngx_int_t ngx_http_appeal_get_limit_owing(
    ngx_http_appeal_main_conf_t *amcf, ngx_http_appeal_metric_t *metric,
    ngx_uint_t n, ngx_http_appeal_sample_t *sample);
static ngx_int_t ngx_http_appeal_get_limit_capacity(
    ngx_http_appeal_main_conf_t *amcf, ngx_http_appeal_metric_t *metric,
    ngx_uint_t n, ngx_http_appeal_sample_t *sample);
static ngx_int_t ngx_http_appeal_get_limit_evicted(
    ngx_http_appeal_main_conf_t *amcf, ngx_http_appeal_metric_t *metric,
    ngx_uint_t n, ngx_http_appeal_sample_t *sample);
static ngx_int_t ngx_http_appeal_get_limit_untold(
    ngx_http_appeal_main_conf_t *amcf, ngx_http_appeal_metric_t *metric,
    ngx_uint_t n, ngx_http_appeal_sample_t *sample);
static ngx_int_t ngx_http_appeal_get_share_age(
    ngx_http_appeal_main_conf_t *amcf, ngx_http_appeal_metric_t *metric,
    ngx_uint_t n, ngx_http_appeal_sample_t *sample);
#if (NGX_STAT_STUB)
static ngx_int_t ngx_http_appeal_get_stat(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample);
#endif

static ngx_int_t ngx_http_appeal_init_counters(ngx_shm_zone_t *shm_zone,
    void *data);
static void ngx_http_appeal_place_policies(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_counters_t *counters, ngx_log_t *log);


static ngx_http_appeal_labelled_t  ngx_http_appeal_accepted[] = {
    { ngx_string("jwt"), offsetof(ngx_http_appeal_counters_t, jwt) },
    { ngx_string("api_key"), offsetof(ngx_http_appeal_counters_t, api_key) },
    { ngx_string("hook"), offsetof(ngx_http_appeal_counters_t, hook) },
    { ngx_string("challenge"),
      offsetof(ngx_http_appeal_counters_t, challenge) },
    { ngx_string("anonymous"),
      offsetof(ngx_http_appeal_counters_t, anonymous) },
    { ngx_null_string, 0 }
};


static ngx_http_appeal_labelled_t  ngx_http_appeal_answers[] = {
    { ngx_string("other"), offsetof(ngx_http_appeal_counters_t, answers[0]) },
    { ngx_string("1xx"), offsetof(ngx_http_appeal_counters_t, answers[1]) },
    { ngx_string("2xx"), offsetof(ngx_http_appeal_counters_t, answers[2]) },
    { ngx_string("3xx"), offsetof(ngx_http_appeal_counters_t, answers[3]) },
    { ngx_string("4xx"), offsetof(ngx_http_appeal_counters_t, answers[4]) },
    { ngx_string("5xx"), offsetof(ngx_http_appeal_counters_t, answers[5]) },
    { ngx_null_string, 0 }
};


static ngx_http_appeal_labelled_t  ngx_http_appeal_challenges[] = {
    { ngx_string("good"),
      offsetof(ngx_http_appeal_counters_t, challenges[ALTCHA_GOOD]) },
    { ngx_string("malformed"),
      offsetof(ngx_http_appeal_counters_t, challenges[ALTCHA_MALFORMED]) },
    { ngx_string("unknown"),
      offsetof(ngx_http_appeal_counters_t, challenges[ALTCHA_UNKNOWN]) },
    { ngx_string("bad_signature"),
      offsetof(ngx_http_appeal_counters_t, challenges[ALTCHA_BAD_SIGNATURE]) },
    { ngx_string("expired"),
      offsetof(ngx_http_appeal_counters_t, challenges[ALTCHA_EXPIRED]) },
    { ngx_string("wrong_purpose"),
      offsetof(ngx_http_appeal_counters_t, challenges[ALTCHA_WRONG_PURPOSE]) },
    { ngx_string("wrong_proof"),
      offsetof(ngx_http_appeal_counters_t, challenges[ALTCHA_WRONG_PROOF]) },
    { ngx_string("spent"),
      offsetof(ngx_http_appeal_counters_t, challenges_spent) },
    { ngx_string("full"),
      offsetof(ngx_http_appeal_counters_t, challenges_full) },
    { ngx_null_string, 0 }
};


static ngx_http_appeal_metric_t  ngx_http_appeal_metrics_table[] = {

    { "accepted_total", "counter", { "auth" },
      ngx_http_appeal_get_labelled, (uintptr_t) ngx_http_appeal_accepted,
      "Requests let in, by kind of credential" },

    { "refused_total", "counter", { "reason" },
      ngx_http_appeal_get_refused, 0,
      "Requests refused, by reason" },

    { "answers_total", "counter", { "class" },
      ngx_http_appeal_get_labelled, (uintptr_t) ngx_http_appeal_answers,
      "Answers of nginx, by class of status" },

    { "refusals_not_logged_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, not_logged),
      "Refusals beyond what the log takes" },

    { "file_age_seconds", "gauge", { "kind", "file" },
      ngx_http_appeal_get_file_age, 0,
      "Since what this worker knows of a file was changed" },

    { "file_broken", "gauge", { "kind", "file" },
      ngx_http_appeal_get_file_broken, 0,
      "1 if the file is no good and this worker goes by what it was" },

    { "keys", "gauge", { NULL },
      ngx_http_appeal_get_known, (uintptr_t) &ngx_http_appeal_keys_type,
      "API keys this worker knows" },

    { "keys_loaded_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, keys_loaded),
      "Times a worker took over a changed key file" },

    { "keys_broken_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, keys_broken),
      "Times a worker found a key file broken" },

    { "networks", "gauge", { NULL },
      ngx_http_appeal_get_known, (uintptr_t) &ngx_http_appeal_networks_type,
      "Networks in the lists this worker knows" },

    { "networks_loaded_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, networks_loaded),
      "Times a worker took over a changed list of networks" },

    { "networks_broken_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, networks_broken),
      "Times a worker found a list of networks broken" },

    { "jwt_keys", "gauge", { NULL },
      ngx_http_appeal_get_known, (uintptr_t) &ngx_http_appeal_jwks_type,
      "Keys of tokens this worker knows" },

    { "jwt_keys_loaded_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, jwks_loaded),
      "Times a worker took over a changed JWK set" },

    { "jwt_keys_broken_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, jwks_broken),
      "Times a worker found a JWK set broken" },

    { "jwt_revoked", "gauge", { NULL },
      ngx_http_appeal_get_known, (uintptr_t) &ngx_http_appeal_revoked_type,
      "Revoked tokens this worker knows" },

    { "jwt_revoked_loaded_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, revoked_loaded),
      "Times a worker took over a changed list of revoked tokens" },

    { "jwt_revoked_broken_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, revoked_broken),
      "Times a worker found a list of revoked tokens broken" },

    { "jwt_known_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, tokens_known),
      "Tokens found in the memory of verified ones" },

    { "jwt_verified_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, tokens_verified),
      "Tokens that were good and not in the memory" },

    { "jwt_evicted_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, tokens_evicted),
      "Good tokens that had to make room in the memory" },

    { "jwt_memory_held", "gauge", { "zone" },
      ngx_http_appeal_get_memory_held, 0,
      "Good tokens in the memory" },

    { "jwt_memory_capacity", "gauge", { "zone" },
      ngx_http_appeal_get_memory_capacity, 0,
      "Tokens that fit into the memory" },

    { "challenge_keys", "gauge", { NULL },
      ngx_http_appeal_get_known,
      (uintptr_t) &ngx_http_appeal_challenge_keys_type,
      "Keys of challenges this worker knows" },

    { "challenge_keys_loaded_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, challenge_keys_loaded),
      "Times a worker took over a changed file of keys of challenges" },

    { "challenge_keys_broken_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, challenge_keys_broken),
      "Times a worker found a file of keys of challenges broken" },

    { "challenge_checked_total", "counter", { "verdict" },
      ngx_http_appeal_get_labelled, (uintptr_t) ngx_http_appeal_challenges,
      "Solutions of challenges, by what was found" },

    { "challenge_issued_total", "counter", { "zone" },
      ngx_http_appeal_get_challenge, NGX_HTTP_APPEAL_CHALLENGE_ISSUED,
      "Challenges given out" },

    { "challenge_ready", "gauge", { "zone", "level" },
      ngx_http_appeal_get_challenge_ready, 0,
      "Challenges made ahead" },

    { "challenge_level", "gauge", { "zone" },
      ngx_http_appeal_get_challenge, NGX_HTTP_APPEAL_CHALLENGE_LEVEL,
      "The level of difficulty now, from 0" },

    { "challenge_load", "gauge", { "zone" },
      ngx_http_appeal_get_challenge, NGX_HTTP_APPEAL_CHALLENGE_LOAD,
      "Challenges asked for and solutions let in a second, smoothed" },

    { "challenge_spent", "gauge", { "zone" },
      ngx_http_appeal_get_challenge, NGX_HTTP_APPEAL_CHALLENGE_SPENT,
      "Solutions that are remembered now" },

    { "challenge_capacity", "gauge", { "zone" },
      ngx_http_appeal_get_challenge, NGX_HTTP_APPEAL_CHALLENGE_CAPACITY,
      "Solutions that fit into the zone" },

    { "limit_passed_total", "counter", { "zone", "policy" },
      ngx_http_appeal_get_policy,
      offsetof(ngx_http_appeal_policy_sh_t, passed),
      "Requests that a limit let pass" },

    { "limit_refused_total", "counter", { "zone", "policy" },
      ngx_http_appeal_get_policy,
      offsetof(ngx_http_appeal_policy_sh_t, refused),
      "Requests that a limit refused" },

    { "limit_would_refuse_total", "counter", { "zone", "policy" },
      ngx_http_appeal_get_policy,
      offsetof(ngx_http_appeal_policy_sh_t, would_refuse),
      "Requests that a dry run would have refused" },

    { "limit_owing", "gauge", { "zone" },
      ngx_http_appeal_get_limit_owing, 0,
      "Keys that owe something now" },

    { "limit_capacity", "gauge", { "zone" },
      ngx_http_appeal_get_limit_capacity, 0,
      "Keys that fit into the zone" },

    { "limit_evicted_total", "counter", { "zone" },
      ngx_http_appeal_get_limit_evicted, 0,
      "Keys that owed something and had to make room for another" },

    { "limit_untold_total", "counter", { "zone" },
      ngx_http_appeal_get_limit_untold, 0,
      "Charges that other edges are not told of for want of room" },

    { "share_connected", "gauge", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, share_connected),
      "1 while limits are shared with other edges" },

    { "share_exchanges_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, share_exchanges),
      "Exchanges with Redis" },

    { "share_skipped_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, share_skipped),
      "Exchanges not begun, for the one before was not over" },

    { "share_keys_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, share_keys),
      "Keys that were exchanged" },

    { "share_lost_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, share_lost),
      "Keys sent that Redis did not confirm" },

    { "share_age_seconds", "gauge", { NULL },
      ngx_http_appeal_get_share_age, 0,
      "Since the last exchange" },

    { "share_slow_total", "counter", { NULL },
      ngx_http_appeal_get_counter,
      offsetof(ngx_http_appeal_counters_t, share_slow),
      "Pieces of exchanges that kept a worker for over a millisecond" },

#if (NGX_STAT_STUB)

    { "connections", "gauge", { NULL },
      ngx_http_appeal_get_stat, (uintptr_t) &ngx_stat_active,
      "Client connections that are open" },

    { "requests_total", "counter", { NULL },
      ngx_http_appeal_get_stat, (uintptr_t) &ngx_stat_requests,
      "Requests nginx began to read" },

#endif

    { NULL, NULL, { NULL }, NULL, 0, NULL }
};


ngx_http_appeal_counters_t *
ngx_http_appeal_counters(ngx_http_appeal_main_conf_t *amcf)
{
    return amcf->counters->data;
}


ngx_int_t
ngx_http_appeal_log_phase_handler(ngx_http_request_t *r)
{
    ngx_uint_t                   class;
    ngx_http_appeal_counters_t  *counters;

    counters = ngx_http_appeal_counters(
                     ngx_http_get_module_main_conf(r, ngx_http_appeal_module));

    class = r->headers_out.status / 100;

    ngx_http_appeal_count(counters->answers[class < 6 ? class : 0]);

    if (r == r->main) {
        ngx_http_appeal_settle(r);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_prometheus_handler(ngx_http_request_t *r)
{
    static ngx_str_t  type = ngx_string("text/plain; version=0.0.4");

    return ngx_http_appeal_send_metrics(r, &type,
                                        ngx_http_appeal_write_prometheus);
}


static ngx_int_t
ngx_http_appeal_json_handler(ngx_http_request_t *r)
{
    static ngx_str_t  type = ngx_string("application/json");

    return ngx_http_appeal_send_metrics(r, &type, ngx_http_appeal_write_json);
}


static ngx_int_t
ngx_http_appeal_send_metrics(ngx_http_request_t *r, ngx_str_t *type,
    ngx_http_appeal_metrics_writer_pt write)
{
    size_t                        len;
    u_char                       *p;
    ngx_http_complex_value_t      cv;
    ngx_http_appeal_main_conf_t  *amcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_appeal_module);

    ngx_http_appeal_refresh_files(r, amcf);

    len = ngx_http_appeal_metrics_len(amcf);
    p = ngx_pnalloc(r->pool, len);

    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));
    cv.value.data = p;
    cv.value.len = write(amcf, p, p + len) - p;

    return ngx_http_send_response(r, NGX_HTTP_OK, type, &cv);
}


/* A worker that nobody asked anything knows the files as they were. */

static void
ngx_http_appeal_refresh_files(ngx_http_request_t *r,
    ngx_http_appeal_main_conf_t *amcf)
{
    ngx_uint_t                i;
    ngx_http_appeal_file_t  **files;

    files = amcf->files.elts;

    for (i = 0; i < amcf->files.nelts; i++) {
        (void) ngx_http_appeal_current(r, files[i]);
    }
}


/* The most bytes that all metrics take, however they are written. */

static size_t
ngx_http_appeal_metrics_len(ngx_http_appeal_main_conf_t *amcf)
{
    size_t                     len;
    ngx_uint_t                 i, n;
    ngx_http_appeal_metric_t  *metric;
    ngx_http_appeal_sample_t   sample;

    len = sizeof("{}\n") - 1;
    sample.labels_only = 1;

    for (metric = ngx_http_appeal_metrics_table; metric->name; metric++) {
        len += NGX_HTTP_APPEAL_METRIC_LEN + 2 * ngx_strlen(metric->name)
               + ngx_strlen(metric->help);

        for (n = 0; metric->get(amcf, metric, n, &sample) == NGX_OK; n++) {
            len += NGX_HTTP_APPEAL_SAMPLE_LEN + ngx_strlen(metric->name);

            for (i = 0; metric->label[i]; i++) {
                len += NGX_HTTP_APPEAL_LABEL_LEN + ngx_strlen(metric->label[i])
                       + NGX_HTTP_APPEAL_ESCAPED * sample.label[i].len;
            }
        }
    }

    return len;
}


static u_char *
ngx_http_appeal_prometheus_labels(u_char *p, u_char *last,
    ngx_http_appeal_metric_t *metric, ngx_http_appeal_sample_t *sample)
{
    u_char      ch;
    size_t      k;
    ngx_uint_t  i;

    for (i = 0; metric->label[i]; i++) {
        p = ngx_slprintf(p, last, "%c%s=\"", i ? ',' : '{', metric->label[i]);

        for (k = 0; k < sample->label[i].len; k++) {
            ch = sample->label[i].data[k];

            if (ch == '\\' || ch == '"' || ch == LF) {
                *p++ = '\\';
                ch = ch == LF ? 'n' : ch;
            }

            *p++ = ch;
        }

        *p++ = '"';
    }

    if (i > 0) {
        *p++ = '}';
    }

    return p;
}


static u_char *
ngx_http_appeal_write_prometheus(ngx_http_appeal_main_conf_t *amcf, u_char *p,
    u_char *last)
{
    ngx_uint_t                 n;
    ngx_http_appeal_metric_t  *metric;
    ngx_http_appeal_sample_t   sample;

    sample.labels_only = 0;

    for (metric = ngx_http_appeal_metrics_table; metric->name; metric++) {
        for (n = 0; metric->get(amcf, metric, n, &sample) == NGX_OK; n++) {
            if (n == 0) {
                p = ngx_slprintf(p, last,
                                 "# HELP otklik_edge_%s %s.\n"
                                 "# TYPE otklik_edge_%s %s\n",
                                 metric->name, metric->help,
                                 metric->name, metric->type);
            }

            p = ngx_slprintf(p, last, "otklik_edge_%s", metric->name);
            p = ngx_http_appeal_prometheus_labels(p, last, metric, &sample);
            p = ngx_slprintf(p, last, " %uL\n", sample.value);
        }
    }

    return p;
}


/* "name":1 without labels, "name":[{"label":"text","value":1}] with them */

static u_char *
ngx_http_appeal_write_json(ngx_http_appeal_main_conf_t *amcf, u_char *p,
    u_char *last)
{
    ngx_uint_t                 i, n;
    ngx_http_appeal_metric_t  *metric;
    ngx_http_appeal_sample_t   sample;

    sample.labels_only = 0;

    *p++ = '{';

    for (metric = ngx_http_appeal_metrics_table; metric->name; metric++) {
        p = ngx_slprintf(p, last, "%s\"%s\":%s",
                         metric == ngx_http_appeal_metrics_table ? "" : ",",
                         metric->name, metric->label[0] ? "[" : "");

        for (n = 0; metric->get(amcf, metric, n, &sample) == NGX_OK; n++) {
            if (metric->label[0] == NULL) {
                p = ngx_slprintf(p, last, "%uL", sample.value);
                continue;
            }

            p = ngx_slprintf(p, last, "%s", n ? ",{" : "{");

            for (i = 0; metric->label[i]; i++) {
                p = ngx_slprintf(p, last, "\"%s\":\"", metric->label[i]);
                p = (u_char *) ngx_escape_json(p, sample.label[i].data,
                                               sample.label[i].len);
                p = ngx_slprintf(p, last, "\",");
            }

            p = ngx_slprintf(p, last, "\"value\":%uL}", sample.value);
        }

        if (metric->label[0]) {
            *p++ = ']';
        }
    }

    return ngx_slprintf(p, last, "}\n");
}


/* One of ngx_http_appeal_counters_t: data is its offset. */

static ngx_int_t
ngx_http_appeal_get_counter(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    u_char  *counters;

    if (n > 0) {
        return NGX_DONE;
    }

    counters = (u_char *) ngx_http_appeal_counters(amcf);
    sample->value = *(ngx_atomic_t *) (counters + metric->data);

    return NGX_OK;
}


/* Several of them: data is their list. */

static ngx_int_t
ngx_http_appeal_get_labelled(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    u_char                      *counters;
    ngx_http_appeal_labelled_t  *labelled;

    labelled = (ngx_http_appeal_labelled_t *) metric->data;

    if (labelled[n].label.len == 0) {
        return NGX_DONE;
    }

    counters = (u_char *) ngx_http_appeal_counters(amcf);
    sample->label[0] = labelled[n].label;
    sample->value = *(ngx_atomic_t *) (counters + labelled[n].offset);

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_get_refused(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    enum problem_reason  reason;

    reason = PROBLEM_NO_REASON + 1 + n;

    if (reason >= PROBLEM_REASONS) {
        return NGX_DONE;
    }

    sample->label[0].data = (u_char *) problem_reason_name(reason);
    sample->label[0].len = ngx_strlen(sample->label[0].data);
    sample->value = ngx_http_appeal_counters(amcf)->refused[reason];

    return NGX_OK;
}


/* What is in all the files of a type: data is that. */

static ngx_int_t
ngx_http_appeal_get_known(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    ngx_uint_t                     i;
    ngx_http_appeal_file_t       **files;
    ngx_http_appeal_file_type_t   *type;

    if (n > 0) {
        return NGX_DONE;
    }

    sample->value = 0;
    type = (ngx_http_appeal_file_type_t *) metric->data;
    files = amcf->files.elts;

    for (i = 0; i < amcf->files.nelts; i++) {
        if (files[i]->type == type) {
            sample->value += type->count(files[i]->data);
        }
    }

    return NGX_OK;
}


static ngx_http_appeal_file_t *
ngx_http_appeal_metric_file(ngx_http_appeal_main_conf_t *amcf, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    ngx_http_appeal_file_t  **files;

    if (n >= amcf->files.nelts) {
        return NULL;
    }

    files = amcf->files.elts;
    sample->label[0].data = (u_char *) files[n]->type->name;
    sample->label[0].len = ngx_strlen(files[n]->type->name);
    sample->label[1] = files[n]->path;

    return files[n];
}


static ngx_int_t
ngx_http_appeal_get_file_age(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    ngx_http_appeal_file_t  *file;

    file = ngx_http_appeal_metric_file(amcf, n, sample);

    if (file == NULL) {
        return NGX_DONE;
    }

    /* the clock may have been set back */

    sample->value = ngx_max(ngx_time() - file->since, 0);

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_get_file_broken(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    ngx_http_appeal_file_t  *file;

    file = ngx_http_appeal_metric_file(amcf, n, sample);

    if (file == NULL) {
        return NGX_DONE;
    }

    sample->value = file->broken;

    return NGX_OK;
}


static ngx_shm_zone_t *
ngx_http_appeal_metric_zone(ngx_array_t *list, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    ngx_shm_zone_t  **zones;

    if (n >= list->nelts) {
        return NULL;
    }

    zones = list->elts;
    sample->label[0] = zones[n]->shm.name;

    return zones[n];
}


static ngx_int_t
ngx_http_appeal_get_memory_held(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    ngx_shm_zone_t  *shm_zone;

    shm_zone = ngx_http_appeal_metric_zone(&amcf->memories, n, sample);

    if (shm_zone == NULL) {
        return NGX_DONE;
    }

    sample->value = sample->labels_only ? 0
                    : tokens_held(ngx_http_appeal_memory_tokens(shm_zone),
                                  ngx_time());

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_get_memory_capacity(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    ngx_shm_zone_t  *shm_zone;

    shm_zone = ngx_http_appeal_metric_zone(&amcf->memories, n, sample);

    if (shm_zone == NULL) {
        return NGX_DONE;
    }

    sample->value = tokens_capacity(ngx_http_appeal_memory_tokens(shm_zone));

    return NGX_OK;
}


/*
 * One of ngx_http_appeal_policy_sh_t: data is its offset.  Policies that were
 * too many to be counted apart are the last, in one, and have no names.
 */

static ngx_int_t
ngx_http_appeal_get_policy(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    ngx_uint_t                  apart;
    ngx_http_appeal_policy_t  **policies;

    policies = amcf->policies.elts;
    apart = amcf->policies_apart;

    if (n > apart || n == amcf->policies.nelts) {
        return NGX_DONE;
    }

    if (n < apart) {
        sample->label[0] = policies[n]->zone;
        sample->label[1] = policies[n]->name;

    } else {
        ngx_str_null(&sample->label[0]);
        ngx_str_null(&sample->label[1]);
    }

    sample->value = *(ngx_atomic_t *) ((u_char *) policies[n]->sh
                                       + metric->data);

    return NGX_OK;
}


static struct limits *
ngx_http_appeal_metric_limits(ngx_http_appeal_main_conf_t *amcf, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    ngx_shm_zone_t          *shm_zone;
    ngx_http_appeal_zone_t  *zone;

    shm_zone = ngx_http_appeal_metric_zone(&amcf->zones, n, sample);

    if (shm_zone == NULL) {
        return NULL;
    }

    zone = shm_zone->data;

    return zone->table;
}


static ngx_int_t
ngx_http_appeal_get_challenge(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    ngx_shm_zone_t                *shm_zone;
    ngx_http_appeal_challenges_t  *zone;

    shm_zone = ngx_http_appeal_metric_zone(&amcf->challenges, n, sample);

    if (shm_zone == NULL) {
        return NGX_DONE;
    }

    zone = shm_zone->data;

    switch (metric->data) {

    case NGX_HTTP_APPEAL_CHALLENGE_ISSUED:
        sample->value = zone->sh->issued;
        break;

    case NGX_HTTP_APPEAL_CHALLENGE_LEVEL:
        sample->value = load_level(&zone->sh->load, &zone->load,
                                   ngx_http_appeal_now());
        break;

    case NGX_HTTP_APPEAL_CHALLENGE_LOAD:
        sample->value = load_rate(&zone->sh->load) / 1000;
        break;

    case NGX_HTTP_APPEAL_CHALLENGE_SPENT:
        sample->value = nonces_live(zone->nonces, ngx_time());
        break;

    default: /* NGX_HTTP_APPEAL_CHALLENGE_CAPACITY */
        sample->value = nonces_capacity(zone->nonces);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_get_challenge_ready(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    ngx_uint_t                      i;
    ngx_shm_zone_t                **zones;
    ngx_http_appeal_challenges_t   *zone;

    static ngx_str_t  levels[LOAD_LEVELS] = {
        ngx_string("0"), ngx_string("1"), ngx_string("2"), ngx_string("3")
    };

    zones = amcf->challenges.elts;

    for (i = 0; i < amcf->challenges.nelts; i++) {
        zone = zones[i]->data;

        if (n < zone->load.levels) {
            sample->label[0] = zones[i]->shm.name;
            sample->label[1] = levels[n];
            sample->value = pool_ready(zone->pool, n);
            return NGX_OK;
        }

        n -= zone->load.levels;
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_http_appeal_get_limit_owing(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    struct limits  *table;

    table = ngx_http_appeal_metric_limits(amcf, n, sample);

    if (table == NULL) {
        return NGX_DONE;
    }

    sample->value = sample->labels_only ? 0
                    : limits_owing(table, ngx_http_appeal_now());

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_get_limit_capacity(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    struct limits  *table;

    table = ngx_http_appeal_metric_limits(amcf, n, sample);

    if (table == NULL) {
        return NGX_DONE;
    }

    sample->value = limits_capacity(table);

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_get_limit_evicted(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    struct limits  *table;

    table = ngx_http_appeal_metric_limits(amcf, n, sample);

    if (table == NULL) {
        return NGX_DONE;
    }

    sample->value = limits_evicted(table);

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_get_limit_untold(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    ngx_shm_zone_t          *shm_zone;
    ngx_http_appeal_zone_t  *zone;

    shm_zone = ngx_http_appeal_metric_zone(&amcf->zones, n, sample);

    if (shm_zone == NULL) {
        return NGX_DONE;
    }

    zone = shm_zone->data;
    sample->value = zone->deltas != NULL ? deltas_missed(zone->deltas) : 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_get_share_age(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    uint64_t  last;

    if (n > 0) {
        return NGX_DONE;
    }

    last = ngx_http_appeal_counters(amcf)->share_last;
    sample->value = last ? (ngx_http_appeal_now() - last) / 1000000000 : 0;

    return NGX_OK;
}


#if (NGX_STAT_STUB)

/* nginx's own: data is where the pointer to it is. */

static ngx_int_t
ngx_http_appeal_get_stat(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_metric_t *metric, ngx_uint_t n,
    ngx_http_appeal_sample_t *sample)
{
    if (n > 0) {
        return NGX_DONE;
    }

    sample->value = **(ngx_atomic_t **) metric->data;

    return NGX_OK;
}

#endif


char *
ngx_http_appeal_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    value = cf->args->elts;
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (cf->args->nelts == 1
        || ngx_strcmp(value[1].data, "prometheus") == 0)
    {
        clcf->handler = ngx_http_appeal_prometheus_handler;

    } else if (ngx_strcmp(value[1].data, "json") == 0) {
        clcf->handler = ngx_http_appeal_json_handler;

    } else {
        return "is in neither \"prometheus\" nor \"json\"";
    }

    return NGX_CONF_OK;
}


/* For a limit: where it is counted, together with others of the same name. */

ngx_http_appeal_policy_t *
ngx_http_appeal_policy(ngx_conf_t *cf, ngx_str_t *zone, ngx_str_t *name)
{
    ngx_uint_t                     i;
    ngx_http_appeal_policy_t      *policy, **policies;
    ngx_http_appeal_main_conf_t   *amcf;

    if (zone->len > NGX_HTTP_APPEAL_NAME_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no zone is named \"%V\"", zone);
        return NULL;
    }

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_appeal_module);
    policies = amcf->policies.elts;

    for (i = 0; i < amcf->policies.nelts; i++) {
        policy = policies[i];

        if (policy->zone.len == zone->len
            && policy->name.len == name->len
            && ngx_memcmp(policy->zone.data, zone->data, zone->len) == 0
            && ngx_memcmp(policy->name.data, name->data, name->len) == 0)
        {
            return policy;
        }
    }

    policy = ngx_pcalloc(cf->pool, sizeof(ngx_http_appeal_policy_t));
    policies = ngx_array_push(&amcf->policies);

    if (policy == NULL || policies == NULL) {
        return NULL;
    }

    policy->zone = *zone;
    policy->name = *name;
    *policies = policy;

    return policy;
}


ngx_int_t
ngx_http_appeal_add_counters(ngx_conf_t *cf, ngx_http_appeal_main_conf_t *amcf)
{
    size_t  size;

    static ngx_str_t  name = ngx_string("appeal_counters");

    size = ngx_align(sizeof(ngx_http_appeal_counters_t), ngx_pagesize)
           + 8 * ngx_pagesize;

    /* a tag of its own: no limit can be given this zone */

    amcf->counters = ngx_shared_memory_add(cf, &name, size, &name);

    if (amcf->counters == NULL) {
        return NGX_ERROR;
    }

    amcf->counters->init = ngx_http_appeal_init_counters;
    amcf->counters->data = amcf;

    return NGX_OK;
}


/* The data of the zone are the configuration before, the counters after. */

static ngx_int_t
ngx_http_appeal_init_counters(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_slab_pool_t              *shpool;
    ngx_http_appeal_counters_t   *counters;
    ngx_http_appeal_main_conf_t  *amcf;

    amcf = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    counters = shpool->data;

    if (counters == NULL
        || counters->layout != sizeof(ngx_http_appeal_counters_t))
    {
        counters = ngx_slab_calloc(shpool, sizeof(ngx_http_appeal_counters_t));

        if (counters == NULL) {
            return NGX_ERROR;
        }

        counters->layout = sizeof(ngx_http_appeal_counters_t);
        shpool->data = counters;
    }

    ngx_http_appeal_place_policies(amcf, counters, shm_zone->shm.log);
    shm_zone->data = counters;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_appeal_policy_is(u_char text[NGX_HTTP_APPEAL_NAME_MAX],
    ngx_str_t *name)
{
    return ngx_strncmp(text, name->data, name->len) == 0
           && (name->len == NGX_HTTP_APPEAL_NAME_MAX
               || text[name->len] == '\0');
}


/*
 * Where the policies of this configuration are counted: where they were, else
 * at the first free place, else all together at the last one.
 */

static void
ngx_http_appeal_place_policies(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_counters_t *counters, ngx_log_t *log)
{
    ngx_uint_t                     i, apart;
    ngx_http_appeal_policy_t      *policy, **policies;
    ngx_http_appeal_policy_sh_t   *sh, *rest;

    policies = amcf->policies.elts;
    rest = &counters->policies[NGX_HTTP_APPEAL_POLICIES - 1];
    apart = 0;

    for (i = 0; i < amcf->policies.nelts; i++) {
        policy = policies[i];

        for (sh = counters->policies; sh < rest; sh++) {
            if (sh->name[0] == '\0'
                || (ngx_http_appeal_policy_is(sh->zone, &policy->zone)
                    && ngx_http_appeal_policy_is(sh->name, &policy->name)))
            {
                break;
            }
        }

        policy->sh = sh;

        if (sh == rest) {
            continue;
        }

        ngx_memcpy(sh->zone, policy->zone.data, policy->zone.len);
        ngx_memcpy(sh->name, policy->name.data, policy->name.len);

        policies[i] = policies[apart];
        policies[apart++] = policy;
    }

    amcf->policies_apart = apart;

    if (apart < amcf->policies.nelts) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "%ui limits have names beyond the %d that are counted "
                      "apart since nginx was started",
                      amcf->policies.nelts - apart,
                      NGX_HTTP_APPEAL_POLICIES - 1);
    }
}
