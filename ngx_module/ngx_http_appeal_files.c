/* Files of keys: read with the configuration, then again when they change. */


#include "ngx_http_appeal_module.h"


#define NGX_HTTP_APPEAL_FILE_CHECK  1000     /* ms between two looks */
#define NGX_HTTP_APPEAL_FILE_YOUNG  2        /* s, coarser than any clock */
#define NGX_HTTP_APPEAL_WHY_LEN     128      /* bytes */


static void *ngx_http_appeal_read_file(ngx_http_appeal_file_t *file,
    ngx_log_t *log, ngx_uint_t level);
static ngx_uint_t ngx_http_appeal_file_seen(ngx_http_appeal_file_t *file,
    ngx_file_info_t *fi);
static void ngx_http_appeal_file_remember(ngx_http_appeal_file_t *file,
    ngx_file_info_t *fi);
static void ngx_http_appeal_file_cleanup(void *data);

static void *ngx_http_appeal_parse_keys(const char *text, size_t n,
    u_char *why);
static void ngx_http_appeal_free_keys(void *data);
static size_t ngx_http_appeal_count_keys(void *data);
static void *ngx_http_appeal_parse_jwks(const char *text, size_t n,
    u_char *why);
static void ngx_http_appeal_free_jwks(void *data);
static size_t ngx_http_appeal_count_jwks(void *data);
static ngx_uint_t ngx_http_appeal_secret_jwks(void *data);
static void *ngx_http_appeal_parse_revoked(const char *text, size_t n,
    u_char *why);
static void ngx_http_appeal_free_revoked(void *data);
static size_t ngx_http_appeal_count_revoked(void *data);
static void *ngx_http_appeal_parse_challenge_keys(const char *text, size_t n,
    u_char *why);
static void ngx_http_appeal_free_challenge_keys(void *data);
static size_t ngx_http_appeal_count_challenge_keys(void *data);
static ngx_uint_t ngx_http_appeal_secret_challenge_keys(void *data);
static void *ngx_http_appeal_parse_networks(const char *text, size_t n,
    u_char *why);
static void ngx_http_appeal_free_networks(void *data);
static size_t ngx_http_appeal_count_networks(void *data);


ngx_http_appeal_file_type_t  ngx_http_appeal_keys_type = {
    "API keys",
    KEYS_FILE_MAX,
    ngx_http_appeal_parse_keys,
    ngx_http_appeal_free_keys,
    ngx_http_appeal_count_keys,
    NULL,
    "keys",
    offsetof(ngx_http_appeal_counters_t, keys_loaded),
    offsetof(ngx_http_appeal_counters_t, keys_broken)
};


ngx_http_appeal_file_type_t  ngx_http_appeal_jwks_type = {
    "keys of tokens",
    JWKS_FILE_MAX,
    ngx_http_appeal_parse_jwks,
    ngx_http_appeal_free_jwks,
    ngx_http_appeal_count_jwks,
    ngx_http_appeal_secret_jwks,
    "jwt_keys",
    offsetof(ngx_http_appeal_counters_t, jwks_loaded),
    offsetof(ngx_http_appeal_counters_t, jwks_broken)
};


ngx_http_appeal_file_type_t  ngx_http_appeal_revoked_type = {
    "revoked tokens",
    REVOKED_FILE_MAX,
    ngx_http_appeal_parse_revoked,
    ngx_http_appeal_free_revoked,
    ngx_http_appeal_count_revoked,
    NULL,
    "jwt_revoked",
    offsetof(ngx_http_appeal_counters_t, revoked_loaded),
    offsetof(ngx_http_appeal_counters_t, revoked_broken)
};


ngx_http_appeal_file_type_t  ngx_http_appeal_challenge_keys_type = {
    "keys of challenges",
    CHALLENGE_KEYS_FILE_MAX,
    ngx_http_appeal_parse_challenge_keys,
    ngx_http_appeal_free_challenge_keys,
    ngx_http_appeal_count_challenge_keys,
    ngx_http_appeal_secret_challenge_keys,
    "challenge_keys",
    offsetof(ngx_http_appeal_counters_t, challenge_keys_loaded),
    offsetof(ngx_http_appeal_counters_t, challenge_keys_broken)
};


ngx_http_appeal_file_type_t  ngx_http_appeal_networks_type = {
    "networks",
    NETWORKS_FILE_MAX,
    ngx_http_appeal_parse_networks,
    ngx_http_appeal_free_networks,
    ngx_http_appeal_count_networks,
    NULL,
    "networks",
    offsetof(ngx_http_appeal_counters_t, networks_loaded),
    offsetof(ngx_http_appeal_counters_t, networks_broken)
};


/* What is in a file that was looked at within the last second. */

void *
ngx_http_appeal_current(ngx_http_request_t *r, ngx_http_appeal_file_t *file)
{
    void             *data;
    u_char           *counters;
    ngx_log_t        *log;
    ngx_uint_t        seen;
    ngx_atomic_t     *loaded, *broken;
    ngx_file_info_t   fi;

    if (file->checked != 0
        && ngx_current_msec - file->checked < NGX_HTTP_APPEAL_FILE_CHECK)
    {
        return file->data;
    }

    file->checked = ngx_current_msec;
    log = ngx_cycle->log;

    counters = (u_char *) ngx_http_appeal_counters(
                     ngx_http_get_module_main_conf(r, ngx_http_appeal_module));
    loaded = (ngx_atomic_t *) (counters + file->type->loaded);
    broken = (ngx_atomic_t *) (counters + file->type->broken);

    if (ngx_file_info(file->path.data, &fi) == NGX_FILE_ERROR) {
        if (!file->broken) {
            ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                          ngx_file_info_n " \"%V\" failed, "
                          "the old %s stay", &file->path, file->type->what);

            ngx_http_appeal_count(*broken);
            file->broken = 1;
            file->uniq = 0;
        }

        return file->data;
    }

    seen = ngx_http_appeal_file_seen(file, &fi);

    if (seen && !file->young) {
        return file->data;
    }

    ngx_http_appeal_file_remember(file, &fi);

    data = ngx_http_appeal_read_file(file, log,
                                     seen && file->broken ? NGX_LOG_DEBUG
                                                          : NGX_LOG_ERR);

    if (data == NULL) {
        if (!seen || !file->broken) {
            ngx_http_appeal_count(*broken);
        }

        file->broken = 1;

        return file->data;
    }

    if (!seen || file->broken) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0, "\"%V\": %uz %s",
                      &file->path, file->type->count(data), file->type->what);
        ngx_http_appeal_count(*loaded);
    }

    file->broken = 0;

    file->type->free(file->data);
    file->data = data;
    file->since = file->changed.tv_sec;

    return data;
}


static ngx_uint_t
ngx_http_appeal_file_seen(ngx_http_appeal_file_t *file, ngx_file_info_t *fi)
{
    return file->uniq == ngx_file_uniq(fi)
           && file->size == ngx_file_size(fi)
           && file->changed.tv_sec == fi->st_ctim.tv_sec
           && file->changed.tv_nsec == fi->st_ctim.tv_nsec;
}


/* The time of change, not of modification: chmod may be what mends a file. */

static void
ngx_http_appeal_file_remember(ngx_http_appeal_file_t *file,
    ngx_file_info_t *fi)
{
    file->uniq = ngx_file_uniq(fi);
    file->size = ngx_file_size(fi);
    file->changed = fi->st_ctim;
    file->young = ngx_time() - fi->st_ctim.tv_sec < NGX_HTTP_APPEAL_FILE_YOUNG;
}


/* Remembers which file it saw, also if that is no good. */

static void *
ngx_http_appeal_read_file(ngx_http_appeal_file_t *file, ngx_log_t *log,
    ngx_uint_t level)
{
    char             *text;
    void             *data;
    u_char            why[NGX_HTTP_APPEAL_WHY_LEN];
    ssize_t           n;
    ngx_file_t        f;
    ngx_file_info_t   fi;

    text = NULL;
    data = NULL;

    ngx_memzero(&f, sizeof(ngx_file_t));
    f.name = file->path;
    f.log = log;

    /* a FIFO or a device would stop the worker */

    f.fd = ngx_open_file(file->path.data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                         NGX_FILE_OPEN, 0);

    if (f.fd == NGX_INVALID_FILE) {
        ngx_log_error(level, log, ngx_errno,
                      ngx_open_file_n " \"%V\" failed", &file->path);
        return NULL;
    }

    if (ngx_fd_info(f.fd, &fi) == NGX_FILE_ERROR) {
        ngx_log_error(level, log, ngx_errno,
                      ngx_fd_info_n " \"%V\" failed", &file->path);
        goto done;
    }

    ngx_http_appeal_file_remember(file, &fi);

    if (!ngx_is_file(&fi) || (size_t) file->size > file->type->max) {
        ngx_log_error(level, log, 0,
                      "\"%V\" is not a file of up to %uz bytes",
                      &file->path, file->type->max);
        goto done;
    }

    text = ngx_alloc(file->size + 1, log);

    if (text == NULL) {
        goto done;
    }

    n = ngx_read_file(&f, (u_char *) text, file->size, 0);

    if (n == NGX_ERROR) {
        goto done;
    }

    data = file->type->parse(text, n, why);

    if (data == NULL) {
        ngx_log_error(level, log, 0, "\"%V\", %s", &file->path, why);
        goto done;
    }

    if (file->type->secret != NULL && file->type->secret(data)
        && (fi.st_mode & S_IROTH))
    {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "everybody may read the secret in \"%V\"",
                      &file->path);
    }

done:

    if (text != NULL) {
        ngx_explicit_memzero(text, file->size + 1);
        ngx_free(text);
    }

    if (ngx_close_file(f.fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", &file->path);
    }

    return data;
}


char *
ngx_http_appeal_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t                     *value, path;
    ngx_uint_t                     i;
    ngx_pool_cleanup_t            *cln;
    ngx_http_appeal_file_t        *file, **files, **field;
    ngx_http_appeal_main_conf_t   *amcf;

    field = (ngx_http_appeal_file_t **) (p + cmd->offset);

    if (*field != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;
    path = value[1];

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_appeal_module);
    files = amcf->files.elts;

    for (i = 0; i < amcf->files.nelts; i++) {
        if (files[i]->type == cmd->post
            && files[i]->path.len == path.len
            && ngx_memcmp(files[i]->path.data, path.data, path.len) == 0)
        {
            *field = files[i];
            return NGX_CONF_OK;
        }
    }

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_http_appeal_file_t));
    files = ngx_array_push(&amcf->files);

    if (cln == NULL || files == NULL) {
        return NGX_CONF_ERROR;
    }

    file = cln->data;
    ngx_memzero(file, sizeof(ngx_http_appeal_file_t));
    cln->handler = ngx_http_appeal_file_cleanup;

    file->path = path;
    file->type = cmd->post;
    file->data = ngx_http_appeal_read_file(file, cf->log, NGX_LOG_EMERG);

    if (file->data == NULL) {
        return NGX_CONF_ERROR;
    }

    file->since = file->changed.tv_sec;

    *files = file;
    *field = file;

    return NGX_CONF_OK;
}


static void
ngx_http_appeal_file_cleanup(void *data)
{
    ngx_http_appeal_file_t  *file = data;

    if (file->data != NULL) {
        file->type->free(file->data);
    }
}


static void *
ngx_http_appeal_parse_keys(const char *text, size_t n, u_char *why)
{
    struct keys        *keys;
    struct keys_error   error;

    keys = keys_parse(text, n, &error);

    if (keys == NULL) {
        (void) ngx_snprintf(why, NGX_HTTP_APPEAL_WHY_LEN, "line %ui: %s%Z",
                            (ngx_uint_t) error.line, error.what);
    }

    return keys;
}


static void
ngx_http_appeal_free_keys(void *data)
{
    keys_free(data);
}


static size_t
ngx_http_appeal_count_keys(void *data)
{
    return keys_count(data);
}


static void *
ngx_http_appeal_parse_jwks(const char *text, size_t n, u_char *why)
{
    struct jwks        *jwks;
    struct jwks_error   error;

    jwks = jwks_parse(text, n, &error);

    if (jwks == NULL) {
        (void) ngx_snprintf(why, NGX_HTTP_APPEAL_WHY_LEN, "key %ui: %s%Z",
                            (ngx_uint_t) error.key, error.what);
    }

    return jwks;
}


static void
ngx_http_appeal_free_jwks(void *data)
{
    jwks_free(data);
}


static size_t
ngx_http_appeal_count_jwks(void *data)
{
    return jwks_count(data);
}


static ngx_uint_t
ngx_http_appeal_secret_jwks(void *data)
{
    return jwks_secret(data);
}


static void *
ngx_http_appeal_parse_revoked(const char *text, size_t n, u_char *why)
{
    struct revoked        *revoked;
    struct revoked_error   error;

    revoked = revoked_parse(text, n, &error);

    if (revoked == NULL) {
        (void) ngx_snprintf(why, NGX_HTTP_APPEAL_WHY_LEN, "line %ui: %s%Z",
                            (ngx_uint_t) error.line, error.what);
    }

    return revoked;
}


static void
ngx_http_appeal_free_revoked(void *data)
{
    revoked_free(data);
}


static size_t
ngx_http_appeal_count_revoked(void *data)
{
    return revoked_count(data);
}


static void *
ngx_http_appeal_parse_challenge_keys(const char *text, size_t n, u_char *why)
{
    struct challenge_keys        *keys;
    struct challenge_keys_error   error;

    keys = challenge_keys_parse(text, n, &error);

    if (keys == NULL) {
        (void) ngx_snprintf(why, NGX_HTTP_APPEAL_WHY_LEN, "line %ui: %s%Z",
                            (ngx_uint_t) error.line, error.what);
    }

    return keys;
}


static void
ngx_http_appeal_free_challenge_keys(void *data)
{
    challenge_keys_free(data);
}


static size_t
ngx_http_appeal_count_challenge_keys(void *data)
{
    struct challenge_keys  *keys = data;

    return keys->n;
}


static ngx_uint_t
ngx_http_appeal_secret_challenge_keys(void *data)
{
    return 1;
}


static void *
ngx_http_appeal_parse_networks(const char *text, size_t n, u_char *why)
{
    struct networks        *networks;
    struct networks_error   error;

    networks = networks_parse(text, n, &error);

    if (networks == NULL) {
        (void) ngx_snprintf(why, NGX_HTTP_APPEAL_WHY_LEN, "line %ui: %s%Z",
                            (ngx_uint_t) error.line, error.what);
    }

    return networks;
}


static void
ngx_http_appeal_free_networks(void *data)
{
    networks_free(data);
}


static size_t
ngx_http_appeal_count_networks(void *data)
{
    return networks_count(data);
}
