/*
 * Shared memory that outlives reloads and binary upgrades.
 *
 * nginx keeps its zones over a reload, but the binary that takes over from a
 * running one gets nothing but the listening sockets, and whoever had spent
 * his limit would have it back.  A memfd without the close-on-exec flag goes
 * along with them: the new binary finds it by its name among its open files.
 * Until the old one quits, both work in the same memory.
 */


#include "ngx_http_appeal_module.h"

#include <dirent.h>
#include <sys/mman.h>


#define NGX_HTTP_APPEAL_MEMORY_PREFIX  "/memfd:appeal:"
#define NGX_HTTP_APPEAL_MEMORY_SUFFIX  " (deleted)"

/* what the kernel takes is 249 bytes */
#define NGX_HTTP_APPEAL_MEMORY_NAME    200


/* One for all cycles of this process that use it. */

struct ngx_http_appeal_mapping_s {
    ngx_queue_t   queue;
    ngx_str_t     name;
    size_t        size;
    void         *p;
    ngx_fd_t      fd;
    ngx_uint_t    users;
};


static ngx_uint_t ngx_http_appeal_memory_is(ngx_str_t *name, size_t size,
    ngx_http_appeal_memory_t *memory);
static ngx_fd_t ngx_http_appeal_memory_inherited(
    ngx_http_appeal_memory_t *memory, ngx_log_t *log);
static ngx_uint_t ngx_http_appeal_memory_mapped(ngx_fd_t fd);
static ngx_int_t ngx_http_appeal_memory_map(ngx_http_appeal_memory_t *memory,
    ngx_fd_t fd, ngx_log_t *log);
static void ngx_http_appeal_memory_cleanup(void *data);


static ngx_queue_t  ngx_http_appeal_mappings = {
    &ngx_http_appeal_mappings, &ngx_http_appeal_mappings
};


ngx_int_t
ngx_http_appeal_memory_add(ngx_conf_t *cf, ngx_http_appeal_memory_t *memory,
    ngx_str_t *name, size_t size)
{
    ngx_pool_cleanup_t  *cln;

    if (name->len > NGX_HTTP_APPEAL_MEMORY_NAME) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the name of zone \"%V\" is over %d bytes",
                           name, NGX_HTTP_APPEAL_MEMORY_NAME);
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_appeal_memory_cleanup;
    cln->data = memory;

    memory->name = *name;
    memory->size = ngx_align(size, ngx_pagesize);
    memory->mapping = NULL;

    return NGX_OK;
}


void *
ngx_http_appeal_memory_take(ngx_http_appeal_memory_t *memory, ngx_log_t *log)
{
    ngx_fd_t                     fd;
    ngx_queue_t                 *q;
    ngx_http_appeal_mapping_t   *mapping;

    for (q = ngx_queue_head(&ngx_http_appeal_mappings);
         q != ngx_queue_sentinel(&ngx_http_appeal_mappings);
         q = ngx_queue_next(q))
    {
        mapping = ngx_queue_data(q, ngx_http_appeal_mapping_t, queue);

        if (ngx_http_appeal_memory_is(&mapping->name, mapping->size, memory)) {
            mapping->users++;
            memory->mapping = mapping;
            return mapping->p;
        }
    }

    fd = ngx_http_appeal_memory_inherited(memory, log);

    if (fd == NGX_INVALID_FILE
        || ngx_http_appeal_memory_map(memory, fd, log) != NGX_OK)
    {
        return NULL;
    }

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "the zone \"%V\" is taken over from the binary before",
                  &memory->name);

    return memory->mapping->p;
}


void *
ngx_http_appeal_memory_make(ngx_http_appeal_memory_t *memory, ngx_log_t *log)
{
    u_char    name[sizeof("appeal:") + NGX_HTTP_APPEAL_MEMORY_NAME];
    ngx_fd_t  fd;

    /* what was taken could not be used */

    ngx_http_appeal_memory_cleanup(memory);

    (void) ngx_sprintf(name, "appeal:%V%Z", &memory->name);
    fd = memfd_create((char *) name, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "memfd_create(\"%s\") failed", name);
        return NULL;
    }

    if (ftruncate(fd, memory->size) == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "ftruncate() of %uz bytes for the zone \"%V\" failed",
                      memory->size, &memory->name);
        (void) ngx_close_file(fd);
        return NULL;
    }

    if (ngx_http_appeal_memory_map(memory, fd, log) != NGX_OK) {
        return NULL;
    }

    return memory->mapping->p;
}


static ngx_uint_t
ngx_http_appeal_memory_is(ngx_str_t *name, size_t size,
    ngx_http_appeal_memory_t *memory)
{
    return size == memory->size
           && name->len == memory->name.len
           && ngx_memcmp(name->data, memory->name.data, name->len) == 0;
}


/* A file of the binary before with that name and size. */

static ngx_fd_t
ngx_http_appeal_memory_inherited(ngx_http_appeal_memory_t *memory,
    ngx_log_t *log)
{
    DIR             *dir;
    u_char           link[sizeof(NGX_HTTP_APPEAL_MEMORY_PREFIX)
                          + NGX_HTTP_APPEAL_MEMORY_NAME
                          + sizeof(NGX_HTTP_APPEAL_MEMORY_SUFFIX)];
    ssize_t          n;
    ngx_fd_t         fd, found;
    ngx_str_t        name;
    struct dirent   *entry;
    ngx_file_info_t  fi;

    static const size_t  prefix = sizeof(NGX_HTTP_APPEAL_MEMORY_PREFIX) - 1;
    static const size_t  suffix = sizeof(NGX_HTTP_APPEAL_MEMORY_SUFFIX) - 1;

    dir = opendir("/proc/self/fd");

    if (dir == NULL) {
        ngx_log_error(NGX_LOG_WARN, log, ngx_errno,
                      "opendir(\"/proc/self/fd\") failed, what the zone "
                      "\"%V\" held before an upgrade is not looked for",
                      &memory->name);
        return NGX_INVALID_FILE;
    }

    found = NGX_INVALID_FILE;

    while (found == NGX_INVALID_FILE && (entry = readdir(dir)) != NULL) {
        fd = ngx_atoi((u_char *) entry->d_name, ngx_strlen(entry->d_name));
        n = readlinkat(dirfd(dir), entry->d_name, (char *) link, sizeof(link));

        if (fd == NGX_ERROR
            || n <= (ssize_t) (prefix + suffix)
            || n == (ssize_t) sizeof(link)
            || ngx_memcmp(link, NGX_HTTP_APPEAL_MEMORY_PREFIX, prefix) != 0
            || ngx_memcmp(link + n - suffix, NGX_HTTP_APPEAL_MEMORY_SUFFIX,
                          suffix) != 0)
        {
            continue;
        }

        name.data = link + prefix;
        name.len = n - prefix - suffix;

        if (!ngx_http_appeal_memory_mapped(fd)
            && ngx_fd_info(fd, &fi) != NGX_FILE_ERROR
            && ngx_http_appeal_memory_is(&name, ngx_file_size(&fi), memory))
        {
            found = fd;
        }
    }

    (void) closedir(dir);

    /*
     * Not from an exec, then it is still the module's that was loaded before
     * its file was replaced and nginx was told to reload.
     */

    if (found != NGX_INVALID_FILE && !ngx_is_init_cycle(ngx_cycle)) {
        found = dup(found);
    }

    return found;
}


static ngx_uint_t
ngx_http_appeal_memory_mapped(ngx_fd_t fd)
{
    ngx_queue_t                *q;
    ngx_http_appeal_mapping_t  *mapping;

    for (q = ngx_queue_head(&ngx_http_appeal_mappings);
         q != ngx_queue_sentinel(&ngx_http_appeal_mappings);
         q = ngx_queue_next(q))
    {
        mapping = ngx_queue_data(q, ngx_http_appeal_mapping_t, queue);

        if (mapping->fd == fd) {
            return 1;
        }
    }

    return 0;
}


/* Owns the file from now on, also if it fails. */

static ngx_int_t
ngx_http_appeal_memory_map(ngx_http_appeal_memory_t *memory, ngx_fd_t fd,
    ngx_log_t *log)
{
    void                       *p;
    ngx_http_appeal_mapping_t  *mapping;

    p = mmap(NULL, memory->size, PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "mmap() of %uz bytes for the zone \"%V\" failed",
                      memory->size, &memory->name);
        (void) ngx_close_file(fd);
        return NGX_ERROR;
    }

    mapping = ngx_alloc(sizeof(ngx_http_appeal_mapping_t) + memory->name.len,
                        log);

    if (mapping == NULL) {
        (void) munmap(p, memory->size);
        (void) ngx_close_file(fd);
        return NGX_ERROR;
    }

    /* the configuration's own copy dies with its cycle */

    mapping->name.len = memory->name.len;
    mapping->name.data = (u_char *) &mapping[1];
    ngx_memcpy(mapping->name.data, memory->name.data, memory->name.len);

    mapping->size = memory->size;
    mapping->p = p;
    mapping->fd = fd;
    mapping->users = 1;

    ngx_queue_insert_tail(&ngx_http_appeal_mappings, &mapping->queue);
    memory->mapping = mapping;

    return NGX_OK;
}


static void
ngx_http_appeal_memory_cleanup(void *data)
{
    ngx_http_appeal_memory_t *memory = data;

    ngx_http_appeal_mapping_t  *mapping;

    mapping = memory->mapping;
    memory->mapping = NULL;

    if (mapping == NULL || --mapping->users > 0) {
        return;
    }

    ngx_queue_remove(&mapping->queue);

    if (munmap(mapping->p, mapping->size) == -1) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      "munmap(%p, %uz) failed", mapping->p, mapping->size);
    }

    if (ngx_close_file(mapping->fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      ngx_close_file_n " of the zone \"%V\" failed",
                      &mapping->name);
    }

    ngx_free(mapping);
}
