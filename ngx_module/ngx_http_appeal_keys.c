/* The key file: read with the configuration, then again when it changes. */


#include "ngx_http_appeal_module.h"


#define NGX_HTTP_APPEAL_KEYS_CHECK  1000     /* ms between two looks */
#define NGX_HTTP_APPEAL_KEYS_YOUNG  2        /* s, coarser than any clock of files */


static struct keys *ngx_http_appeal_read_keys(ngx_http_appeal_keys_t *file,
    ngx_log_t *log, ngx_uint_t level);
static ngx_uint_t ngx_http_appeal_keys_seen(ngx_http_appeal_keys_t *file,
    ngx_file_info_t *fi);
static void ngx_http_appeal_keys_remember(ngx_http_appeal_keys_t *file,
    ngx_file_info_t *fi);
static void ngx_http_appeal_keys_cleanup(void *data);


/* The keys of a file that was looked at within the last second. */

struct keys *
ngx_http_appeal_current_keys(ngx_http_request_t *r,
    ngx_http_appeal_keys_t *file)
{
    ngx_log_t                   *log;
    ngx_uint_t                   seen;
    struct keys                 *keys;
    ngx_file_info_t              fi;
    ngx_http_appeal_counters_t  *counters;

    if (file->checked != 0
        && ngx_current_msec - file->checked < NGX_HTTP_APPEAL_KEYS_CHECK)
    {
        return file->keys;
    }

    file->checked = ngx_current_msec;
    log = ngx_cycle->log;

    counters = ngx_http_appeal_counters(
                     ngx_http_get_module_main_conf(r, ngx_http_appeal_module));

    if (ngx_file_info(file->path.data, &fi) == NGX_FILE_ERROR) {
        if (!file->broken) {
            ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                          ngx_file_info_n " \"%V\" failed, "
                          "the old keys stay", &file->path);

            ngx_http_appeal_count(counters->keys_broken);
            file->broken = 1;
            file->uniq = 0;
        }

        return file->keys;
    }

    seen = ngx_http_appeal_keys_seen(file, &fi);

    if (seen && !file->young) {
        return file->keys;
    }

    ngx_http_appeal_keys_remember(file, &fi);

    keys = ngx_http_appeal_read_keys(file, log,
                                     seen && file->broken ? NGX_LOG_DEBUG
                                                          : NGX_LOG_ERR);

    if (keys == NULL) {
        if (!seen || !file->broken) {
            ngx_http_appeal_count(counters->keys_broken);
        }

        file->broken = 1;

        return file->keys;
    }

    if (!seen || file->broken) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0, "\"%V\": %uz API keys",
                      &file->path, keys_count(keys));
        ngx_http_appeal_count(counters->keys_loaded);
    }

    file->broken = 0;

    keys_free(file->keys);
    file->keys = keys;

    return keys;
}


static ngx_uint_t
ngx_http_appeal_keys_seen(ngx_http_appeal_keys_t *file, ngx_file_info_t *fi)
{
    return file->uniq == ngx_file_uniq(fi)
           && file->size == ngx_file_size(fi)
           && file->changed.tv_sec == fi->st_ctim.tv_sec
           && file->changed.tv_nsec == fi->st_ctim.tv_nsec;
}


/* The time of change, not of modification: chmod may be what mends a file. */

static void
ngx_http_appeal_keys_remember(ngx_http_appeal_keys_t *file,
    ngx_file_info_t *fi)
{
    file->uniq = ngx_file_uniq(fi);
    file->size = ngx_file_size(fi);
    file->changed = fi->st_ctim;
    file->young = ngx_time() - fi->st_ctim.tv_sec < NGX_HTTP_APPEAL_KEYS_YOUNG;
}


/* Remembers which file it saw, also if that is no good. */

static struct keys *
ngx_http_appeal_read_keys(ngx_http_appeal_keys_t *file, ngx_log_t *log,
    ngx_uint_t level)
{
    char               *text;
    ssize_t             n;
    ngx_file_t          f;
    struct keys        *keys;
    ngx_file_info_t     fi;
    struct keys_error   error;

    text = NULL;
    keys = NULL;

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

    ngx_http_appeal_keys_remember(file, &fi);

    if (!ngx_is_file(&fi) || file->size > KEYS_FILE_MAX) {
        ngx_log_error(level, log, 0,
                      "\"%V\" is not a file of up to 16 megabytes",
                      &file->path);
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

    keys = keys_parse(text, n, &error);

    if (keys == NULL) {
        ngx_log_error(level, log, 0, "\"%V\", line %ui: %s",
                      &file->path, (ngx_uint_t) error.line, error.what);
    }

done:

    ngx_free(text);

    if (ngx_close_file(f.fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", &file->path);
    }

    return keys;
}


char *
ngx_http_appeal_api_keys(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_appeal_loc_conf_t *alcf = conf;

    ngx_str_t                     *value, path;
    ngx_uint_t                     i;
    ngx_pool_cleanup_t            *cln;
    ngx_http_appeal_keys_t        *file, **files;
    ngx_http_appeal_main_conf_t   *amcf;

    if (alcf->keys != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;
    path = value[1];

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_appeal_module);
    files = amcf->keys.elts;

    for (i = 0; i < amcf->keys.nelts; i++) {
        if (files[i]->path.len == path.len
            && ngx_memcmp(files[i]->path.data, path.data, path.len) == 0)
        {
            alcf->keys = files[i];
            return NGX_CONF_OK;
        }
    }

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_http_appeal_keys_t));
    files = ngx_array_push(&amcf->keys);

    if (cln == NULL || files == NULL) {
        return NGX_CONF_ERROR;
    }

    file = cln->data;
    ngx_memzero(file, sizeof(ngx_http_appeal_keys_t));
    cln->handler = ngx_http_appeal_keys_cleanup;

    file->path = path;
    file->keys = ngx_http_appeal_read_keys(file, cf->log, NGX_LOG_EMERG);

    if (file->keys == NULL) {
        return NGX_CONF_ERROR;
    }

    *files = file;
    alcf->keys = file;

    return NGX_CONF_OK;
}


static void
ngx_http_appeal_keys_cleanup(void *data)
{
    ngx_http_appeal_keys_t  *file = data;

    keys_free(file->keys);
}
