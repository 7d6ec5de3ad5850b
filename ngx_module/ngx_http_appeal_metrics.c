/* Counters that all workers share, and how Prometheus reads them. */


#include "ngx_http_appeal_module.h"


/* bytes of text for everything but the zones, and for a zone */
#define NGX_HTTP_APPEAL_METRICS_LEN       8192
#define NGX_HTTP_APPEAL_METRICS_ZONE_LEN  768


/* A family of metrics that has one value a zone. */

typedef struct {
    char           *name;
    char           *type;
    char           *help;
    uint64_t      (*get)(ngx_http_appeal_zone_t *zone);
} ngx_http_appeal_zone_metric_t;


static uint64_t ngx_http_appeal_zone_passed(ngx_http_appeal_zone_t *zone);
static uint64_t ngx_http_appeal_zone_refused(ngx_http_appeal_zone_t *zone);
static uint64_t ngx_http_appeal_zone_evicted(ngx_http_appeal_zone_t *zone);
static uint64_t ngx_http_appeal_zone_capacity(ngx_http_appeal_zone_t *zone);
static uint64_t ngx_http_appeal_zone_owing(ngx_http_appeal_zone_t *zone);

static ngx_int_t ngx_http_appeal_metrics_handler(ngx_http_request_t *r);
static u_char *ngx_http_appeal_metrics_own(ngx_http_appeal_main_conf_t *amcf,
    u_char *p, u_char *last);
static u_char *ngx_http_appeal_metrics_zones(
    ngx_http_appeal_main_conf_t *amcf, u_char *p, u_char *last);
static ngx_int_t ngx_http_appeal_init_counters(ngx_shm_zone_t *shm_zone,
    void *data);


static ngx_http_appeal_zone_metric_t  ngx_http_appeal_zone_metrics[] = {
    { "limit_passed_total", "counter", "Charges that a limit let pass",
      ngx_http_appeal_zone_passed },
    { "limit_refused_total", "counter", "Charges that a limit refused",
      ngx_http_appeal_zone_refused },
    { "limit_evicted_total", "counter",
      "Keys that owed something and had to make room for another",
      ngx_http_appeal_zone_evicted },
    { "limit_capacity", "gauge", "Keys that fit into the zone",
      ngx_http_appeal_zone_capacity },
    { "limit_owing", "gauge", "Keys that owe something now",
      ngx_http_appeal_zone_owing },
    { NULL, NULL, NULL, NULL }
};


static char  *ngx_http_appeal_classes[] = {
    "other", "1xx", "2xx", "3xx", "4xx", "5xx"
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
ngx_http_appeal_metrics_handler(ngx_http_request_t *r)
{
    u_char                       *last;
    size_t                        len;
    ngx_http_complex_value_t      cv;
    ngx_http_appeal_main_conf_t  *amcf;

    static ngx_str_t  type = ngx_string("text/plain; version=0.0.4");

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_appeal_module);

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));

    len = NGX_HTTP_APPEAL_METRICS_LEN
          + amcf->zones.nelts * NGX_HTTP_APPEAL_METRICS_ZONE_LEN;

    cv.value.data = ngx_pnalloc(r->pool, len);

    if (cv.value.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    last = ngx_http_appeal_metrics_own(amcf, cv.value.data,
                                       cv.value.data + len);
    last = ngx_http_appeal_metrics_zones(amcf, last, cv.value.data + len);

    cv.value.len = last - cv.value.data;

    return ngx_http_send_response(r, NGX_HTTP_OK, &type, &cv);
}


static u_char *
ngx_http_appeal_metrics_head(u_char *p, u_char *last, char *name, char *type,
    char *help)
{
    return ngx_slprintf(p, last,
                        "# HELP otklik_edge_%s %s.\n"
                        "# TYPE otklik_edge_%s %s\n", name, help, name, type);
}


static u_char *
ngx_http_appeal_metrics_one(u_char *p, u_char *last, char *name, char *type,
    char *help, uint64_t value)
{
    p = ngx_http_appeal_metrics_head(p, last, name, type, help);

    return ngx_slprintf(p, last, "otklik_edge_%s %uL\n", name, value);
}


/* How many keys are in all the files of a type. */

static uint64_t
ngx_http_appeal_metrics_known(ngx_http_appeal_main_conf_t *amcf,
    ngx_http_appeal_file_type_t *type)
{
    uint64_t                  known;
    ngx_uint_t                i;
    ngx_http_appeal_file_t  **files;

    known = 0;
    files = amcf->files.elts;

    for (i = 0; i < amcf->files.nelts; i++) {
        if (files[i]->type == type) {
            known += type->count(files[i]->data);
        }
    }

    return known;
}


static u_char *
ngx_http_appeal_metrics_own(ngx_http_appeal_main_conf_t *amcf, u_char *p,
    u_char *last)
{
    ngx_uint_t                    i;
    ngx_http_appeal_counters_t   *counters;

    counters = ngx_http_appeal_counters(amcf);

    p = ngx_http_appeal_metrics_head(p, last, "accepted_total", "counter",
                                     "Requests let in, by kind of credential");
    p = ngx_slprintf(p, last,
                     "otklik_edge_accepted_total{auth=\"jwt\"} %uA\n"
                     "otklik_edge_accepted_total{auth=\"api_key\"} %uA\n"
                     "otklik_edge_accepted_total{auth=\"anonymous\"} %uA\n",
                     counters->jwt, counters->api_key, counters->anonymous);

    p = ngx_http_appeal_metrics_head(p, last, "refused_total", "counter",
                                     "Requests refused, by reason");

    for (i = PROBLEM_NO_REASON + 1; i < PROBLEM_REASONS; i++) {
        p = ngx_slprintf(p, last,
                         "otklik_edge_refused_total{reason=\"%s\"} %uA\n",
                         problem_reason_name(i), counters->refused[i]);
    }

    p = ngx_http_appeal_metrics_head(p, last, "answers_total", "counter",
                                     "Answers of nginx, by class of status");

    for (i = 0; i < 6; i++) {
        p = ngx_slprintf(p, last,
                         "otklik_edge_answers_total{class=\"%s\"} %uA\n",
                         ngx_http_appeal_classes[i], counters->answers[i]);
    }

    p = ngx_http_appeal_metrics_one(p, last, "keys", "gauge",
                                    "API keys this worker knows",
                                    ngx_http_appeal_metrics_known(amcf,
                                               &ngx_http_appeal_keys_type));
    p = ngx_http_appeal_metrics_one(p, last, "keys_loaded_total", "counter",
                                    "Times a worker took over a changed key "
                                    "file", counters->keys_loaded);
    p = ngx_http_appeal_metrics_one(p, last, "keys_broken_total", "counter",
                                    "Times a worker found a key file broken",
                                    counters->keys_broken);
    p = ngx_http_appeal_metrics_one(p, last, "jwt_keys", "gauge",
                                    "Keys of tokens this worker knows",
                                    ngx_http_appeal_metrics_known(amcf,
                                               &ngx_http_appeal_jwks_type));
    p = ngx_http_appeal_metrics_one(p, last, "jwt_keys_loaded_total",
                                    "counter",
                                    "Times a worker took over a changed JWK "
                                    "set", counters->jwks_loaded);
    p = ngx_http_appeal_metrics_one(p, last, "jwt_keys_broken_total",
                                    "counter",
                                    "Times a worker found a JWK set broken",
                                    counters->jwks_broken);
    p = ngx_http_appeal_metrics_one(p, last, "jwt_revoked", "gauge",
                                    "Revoked tokens this worker knows",
                                    ngx_http_appeal_metrics_known(amcf,
                                               &ngx_http_appeal_revoked_type));
    p = ngx_http_appeal_metrics_one(p, last, "jwt_revoked_loaded_total",
                                    "counter",
                                    "Times a worker took over a changed list "
                                    "of revoked tokens",
                                    counters->revoked_loaded);
    p = ngx_http_appeal_metrics_one(p, last, "jwt_revoked_broken_total",
                                    "counter",
                                    "Times a worker found a list of revoked "
                                    "tokens broken",
                                    counters->revoked_broken);
    p = ngx_http_appeal_metrics_one(p, last, "jwt_known_total", "counter",
                                    "Tokens found in the memory of verified "
                                    "ones", counters->tokens_known);
    p = ngx_http_appeal_metrics_one(p, last, "jwt_verified_total", "counter",
                                    "Tokens that were good and not in the "
                                    "memory", counters->tokens_verified);
    p = ngx_http_appeal_metrics_one(p, last, "jwt_evicted_total", "counter",
                                    "Good tokens that had to make room in "
                                    "the memory", counters->tokens_evicted);
    p = ngx_http_appeal_metrics_one(p, last, "refusals_not_logged_total",
                                    "counter",
                                    "Refusals beyond what the log takes",
                                    counters->not_logged);

#if (NGX_STAT_STUB)
    p = ngx_http_appeal_metrics_one(p, last, "connections", "gauge",
                                    "Client connections that are open",
                                    *ngx_stat_active);
    p = ngx_http_appeal_metrics_one(p, last, "requests_total", "counter",
                                    "Requests nginx began to read",
                                    *ngx_stat_requests);
#endif

    return p;
}


static u_char *
ngx_http_appeal_metrics_zones(ngx_http_appeal_main_conf_t *amcf, u_char *p,
    u_char *last)
{
    ngx_uint_t                       i;
    ngx_shm_zone_t                 **zones;
    ngx_http_appeal_zone_t          *zone;
    ngx_http_appeal_zone_metric_t   *metric;

    zones = amcf->zones.elts;

    if (amcf->zones.nelts == 0) {
        return p;
    }

    for (metric = ngx_http_appeal_zone_metrics; metric->name; metric++) {
        p = ngx_http_appeal_metrics_head(p, last, metric->name, metric->type,
                                         metric->help);

        for (i = 0; i < amcf->zones.nelts; i++) {
            zone = zones[i]->data;
            p = ngx_slprintf(p, last, "otklik_edge_%s{zone=\"%V\"} %uL\n",
                             metric->name, &zones[i]->shm.name,
                             metric->get(zone));
        }
    }

    return p;
}


static uint64_t
ngx_http_appeal_zone_passed(ngx_http_appeal_zone_t *zone)
{
    return zone->sh->passed;
}


static uint64_t
ngx_http_appeal_zone_refused(ngx_http_appeal_zone_t *zone)
{
    return zone->sh->refused;
}


static uint64_t
ngx_http_appeal_zone_evicted(ngx_http_appeal_zone_t *zone)
{
    return limits_evicted(zone->table);
}


static uint64_t
ngx_http_appeal_zone_capacity(ngx_http_appeal_zone_t *zone)
{
    return limits_capacity(zone->table);
}


static uint64_t
ngx_http_appeal_zone_owing(ngx_http_appeal_zone_t *zone)
{
    return limits_owing(zone->table, ngx_http_appeal_now());
}


char *
ngx_http_appeal_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_appeal_metrics_handler;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_appeal_add_counters(ngx_conf_t *cf, ngx_http_appeal_main_conf_t *amcf)
{
    static ngx_str_t  name = ngx_string("appeal_counters");

    /* a tag of its own: no limit can be given this zone */

    amcf->counters = ngx_shared_memory_add(cf, &name, 8 * ngx_pagesize,
                                           &name);

    if (amcf->counters == NULL) {
        return NGX_ERROR;
    }

    amcf->counters->init = ngx_http_appeal_init_counters;

    return NGX_OK;
}


static ngx_int_t
ngx_http_appeal_init_counters(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_slab_pool_t             *shpool;
    ngx_http_appeal_counters_t  *counters;

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

    shm_zone->data = counters;

    return NGX_OK;
}
