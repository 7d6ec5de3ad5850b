/* Files that come with a request, on their way to the disk.
 *
 * The loop reads: it takes multipart apart, looks at the first bytes, counts, and puts what belongs
 * to files into chunks. A thread of libuv's pool writes: one piece of work at a time for an upload,
 * all the chunks that have gathered. So a slow disk stops nobody but who sends: when more than
 * QUEUE_BYTES wait, the connection is not read any more. Memory is bounded whatever comes: the
 * chunks being written, those that wait, and what one read of the socket adds.
 *
 * While a piece of work runs, members marked "thread" are the thread's. Ownership: the connection's
 * until the body has ended, then the request's; drop ends both, and frees when no work is running.
 */
#include "upload.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "files.h"
#include "ids.h"
#include "log.h"
#include "multipart.h"

enum {
    CHUNK_BYTES = 64 * 1024,
    QUEUE_BYTES = 128 * 1024,
    FIELD_BYTES = 64,
    FILE_MODE = 0640 /* the group reads: pictures are cleaned by another program */
};

struct uploads {
    uv_loop_t *loop;
    char folder[256];
    int64_t file_max; /* bytes */
    int at_once, active;
};

struct chunk {
    struct chunk *next;
    size_t file, n;
    char p[CHUNK_BYTES];
};

enum stage { STAGE_NONE, STAGE_INCOMING, STAGE_SAFE };

struct file {
    struct upload_file is;
    char field[FIELD_BYTES];
    char head[MEDIA_HEAD];
    size_t nhead;
    int named; /* something was chosen */
    int keep;
    /* thread */
    enum stage stage;
    int fd;
    EVP_MD_CTX *sha;
    unsigned char hash[32];
};

enum work { WORK_WRITE, WORK_FINISH, WORK_REMOVE };

struct upload {
    struct sink sink; /* first: a sink is its upload */
    struct uploads *store;
    int region;
    int multipart;
    int skim;    /* files are passed over */
    int counted; /* one of store->active */
    struct multipart reader;
    struct file files[UPLOAD_FILES_MAX];
    size_t nfiles;
    size_t parts;
    int in_file;    /* data goes to the last file, … */
    int in_field;   /* … or to the form, … */
    int discarding; /* … or nowhere: it was refused */
    char *form;
    size_t nform, form_size;

    enum otk_err err; /* the first thing that went wrong */
    struct field_error error;
    char error_field[FIELD_BYTES];
    char error_name[UPLOAD_NAME_MAX + 1];
    const char *error_guess; /* the kind of the refused file, or NULL */

    struct chunk *first, *last; /* what waits to be written */
    size_t queued;              /* bytes of them */
    int full;                   /* the connection waits for room */
    int working, dropped;
    struct request *request; /* waits for the end */
    void (*done)(struct request *r);
    uv_work_t work;

    /* thread */
    enum work kind;
    struct chunk *writing;
    int failed; /* errno of the first thing that did not work */
};

struct uploads *uploads_open(uv_loop_t *loop, const char *folder, int64_t file_max, int at_once)
{
    struct uploads *s = calloc(1, sizeof *s);
    if (s == NULL || folder == NULL || *folder == '\0' || strlen(folder) >= sizeof s->folder) {
        log_write(LOG_ERROR, STR(""), "OTKLIK_FILES must name a folder");
        free(s);
        return NULL;
    }
    *s = (struct uploads){ .loop = loop, .file_max = file_max, .at_once = at_once };
    snprintf(s->folder, sizeof s->folder, "%s", folder);
    if (file_folder(folder, "incoming") != 0 || file_folder(folder, "originals") != 0) {
        free(s);
        return NULL;
    }
    return s;
}

/* ---- work of the threads */

static void path_of(const struct upload *u, const struct file *f, enum stage stage,
                    char out[FILE_PATH])
{
    char place[FILE_PLACE];
    if (stage == STAGE_SAFE) {
        file_place(u->region, f->is.id, place);
        snprintf(out, FILE_PATH, "%s/originals/%s", u->store->folder, place);
    } else {
        snprintf(out, FILE_PATH, "%s/incoming/%s", u->store->folder, f->is.id);
    }
}

static void note(struct upload *u, int number)
{
    if (u->failed == 0) {
        u->failed = number == 0 ? EIO : number;
    }
}

/* 0, or -1 with the reason noted. */
static int open_file(struct upload *u, struct file *f)
{
    char path[FILE_PATH];
    path_of(u, f, STAGE_INCOMING, path);
    f->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (f->fd < 0) {
        note(u, errno);
        return -1;
    }
    f->stage = STAGE_INCOMING;
    f->sha = EVP_MD_CTX_new();
    if (f->sha == NULL || EVP_DigestInit_ex(f->sha, EVP_sha256(), NULL) != 1) {
        note(u, ENOMEM);
        return -1;
    }
    return 0;
}

static int write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t written = write(fd, p, n);
        if (written < 0 && errno != EINTR) {
            return -1;
        }
        if (written > 0) {
            p += written;
            n -= (size_t)written;
        }
    }
    return 0;
}

static void write_chunks(struct upload *u)
{
    for (const struct chunk *c = u->writing; c != NULL && u->failed == 0; c = c->next) {
        struct file *f = &u->files[c->file];
        if (f->stage == STAGE_NONE && open_file(u, f) != 0) {
            return;
        }
        if (write_all(f->fd, c->p, c->n) != 0) {
            note(u, errno);
        } else if (EVP_DigestUpdate(f->sha, c->p, c->n) != 1) {
            note(u, ENOMEM);
        }
    }
}

static int finish_file(struct upload *u, struct file *f)
{
    char from[FILE_PATH], to[FILE_PATH];
    path_of(u, f, STAGE_INCOMING, from);
    path_of(u, f, STAGE_SAFE, to);
    errno = 0;
    int settled =
        EVP_DigestFinal_ex(f->sha, f->hash, NULL) == 1 && file_settle(f->fd, from, to) == 0;
    if (settled || access(from, F_OK) != 0) { /* moved, even if the folder could not be flushed */
        f->stage = STAGE_SAFE;
    }
    return settled ? 0 : -1;
}

static void remove_file(struct upload *u, struct file *f)
{
    char path[FILE_PATH];
    if (f->stage != STAGE_NONE && !(f->stage == STAGE_SAFE && f->keep)) {
        path_of(u, f, f->stage, path);
        unlink(path);
        f->stage = STAGE_NONE;
    }
    if (f->fd >= 0) {
        close(f->fd);
        f->fd = -1;
    }
    EVP_MD_CTX_free(f->sha);
    f->sha = NULL;
}

static void do_work(uv_work_t *work)
{
    struct upload *u = work->data;
    switch (u->kind) {
    case WORK_WRITE:
        write_chunks(u);
        break;
    case WORK_FINISH:
        for (size_t i = 0; i < u->nfiles && u->failed == 0; i++) {
            if (finish_file(u, &u->files[i]) != 0) {
                note(u, errno);
            }
        }
        break;
    case WORK_REMOVE:
        for (size_t i = 0; i < u->nfiles; i++) {
            remove_file(u, &u->files[i]);
        }
        break;
    }
}

/* ---- what the loop does when a piece of work is done */

static void next_work(struct upload *u);

static void free_chunks(struct chunk *c)
{
    while (c != NULL) {
        struct chunk *next = c->next;
        free(c);
        c = next;
    }
}

static void free_upload(struct upload *u)
{
    u->store->active -= u->counted;
    free_chunks(u->first);
    free(u->form);
    free(u);
}

/* Bytes of files are of no use any more; fields are still read, to be shown again. */
static void fail(struct upload *u, enum otk_err err)
{
    if (u->err == OTK_OK) {
        u->err = err;
    }
    u->discarding = 1;
    free_chunks(u->first);
    u->first = u->last = NULL;
    u->queued = 0;
}

static void hex(const unsigned char *hash, char out[67])
{
    snprintf(out, 67, "\\x");
    for (int i = 0; i < 32; i++) {
        snprintf(out + 2 + 2 * (size_t)i, 3, "%02x", hash[i]);
    }
}

static void finished(struct upload *u)
{
    void (*done)(struct request * r) = u->done;
    struct request *r = u->request;
    u->done = NULL;
    u->store->active -= u->counted; /* it takes no bytes any more */
    u->counted = 0;
    struct str form = arena_dup(r->arena, (struct str){ u->form, u->nform });
    if (form.p == NULL) {
        fail(u, OTK_INTERNAL);
        form = STR("");
    }
    if (u->multipart) {
        r->body = form;
        r->content_type = STR("application/x-www-form-urlencoded");
    }
    done(r);
}

static void on_work_done(uv_work_t *work, int status)
{
    struct upload *u = work->data;
    u->working = 0;
    free_chunks(u->writing);
    u->writing = NULL;
    if (status != 0) {
        note(u, ECANCELED);
    }
    if (u->dropped && u->kind == WORK_REMOVE) {
        free_upload(u);
        return;
    }
    if (u->failed != 0 && u->err == OTK_OK) {
        int no_space = u->failed == ENOSPC || u->failed == EDQUOT;
        log_write(LOG_ERROR, STR(""), "a file cannot be stored: %s", strerror(u->failed));
        fail(u, no_space ? OTK_FULL : OTK_INTERNAL);
    }
    if (u->kind == WORK_FINISH && !u->dropped) {
        for (size_t i = 0; i < u->nfiles; i++) {
            hex(u->files[i].hash, u->files[i].is.digest);
        }
        finished(u);
        return;
    }
    next_work(u);
    if (u->full && u->queued <= QUEUE_BYTES) {
        u->full = 0;
        if (u->sink.resume != NULL) {
            u->sink.resume(u->sink.data);
        }
    }
}

static void start(struct upload *u, enum work kind)
{
    u->kind = kind;
    u->working = 1;
    u->work.data = u;
    int err = uv_queue_work(u->store->loop, &u->work, do_work, on_work_done);
    if (err != 0) { /* only for a NULL callback */
        log_write(LOG_ERROR, STR(""), "no work can be queued: %s", uv_strerror(err));
        abort();
    }
}

/* What next? Only one piece of work at a time. */
static void next_work(struct upload *u)
{
    if (u->working) {
        return;
    }
    if (u->dropped) {
        start(u, WORK_REMOVE);
    } else if (u->first != NULL) {
        u->writing = u->first;
        u->first = u->last = NULL;
        u->queued = 0;
        start(u, WORK_WRITE);
    } else if (u->done != NULL && u->err == OTK_OK && u->nfiles > 0) {
        start(u, WORK_FINISH);
    } else if (u->done != NULL) {
        finished(u);
    }
}

/* ---- the body */

static struct file *present(struct upload *u)
{
    return &u->files[u->nfiles - 1];
}

/* A file breaks a rule: names field and file. */
static void refuse_file(struct upload *u, enum otk_err err, enum field_code code, double bound,
                        const char *field, const char *name)
{
    if (u->err == OTK_OK) {
        snprintf(u->error_field, sizeof u->error_field, "%s", field);
        snprintf(u->error_name, sizeof u->error_name, "%s", name);
        u->error = (struct field_error){ str_of(u->error_field), code, bound };
    }
    fail(u, err);
}

/* Valid UTF-8 of at most SIZE - 1 bytes without control characters; else as much as is. */
static void copy_name(struct str s, char *out, size_t size)
{
    size_t n = s.n < size - 1 ? s.n : size - 1, bad = 0;
    while (n > 0 && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80) {
        n--;
    }
    if (!utf8_valid((struct str){ s.p, n }, &bad)) {
        n = bad;
    }
    size_t length = 0;
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)s.p[i] >= 0x20 && s.p[i] != 0x7f) {
            out[length++] = s.p[i];
        }
    }
    out[length] = '\0';
}

static void begin_file(struct upload *u, struct str field, struct str name)
{
    for (size_t i = name.n; i > 0; i--) {
        if (name.p[i - 1] == '/' || name.p[i - 1] == '\\') {
            name = (struct str){ name.p + i, name.n - i };
            break;
        }
    }
    if (u->nfiles == UPLOAD_FILES_MAX) {
        char of_field[FIELD_BYTES], of_file[UPLOAD_NAME_MAX + 1];
        copy_name(field, of_field, sizeof of_field);
        copy_name(name, of_file, sizeof of_file);
        refuse_file(u, OTK_INVALID, FE_FILE_COUNT, UPLOAD_FILES_MAX, of_field, of_file);
        return;
    }
    struct file *f = &u->files[u->nfiles++];
    *f = (struct file){ .fd = -1, .named = name.n > 0 };
    copy_name(field, f->field, sizeof f->field);
    copy_name(name, f->is.name, sizeof f->is.name);
    u->in_file = 1;
    if (uuid7(f->is.id, NULL) != 0) {
        fail(u, OTK_INTERNAL);
    }
}

/* The first bytes are here, or all of a short file. */
static void judge_kind(struct upload *u, struct file *f)
{
    struct str head = { f->head, f->nhead };
    f->is.media = media_sniff(head);
    if (f->is.media == MEDIA_UNKNOWN) {
        u->error_guess = u->err == OTK_OK ? media_guess(head) : u->error_guess;
        refuse_file(u, OTK_MEDIA_TYPE, FE_FILE_TYPE, 0, f->field, f->is.name);
    }
}

/* Behind what waits; -1 when memory is out. */
static int enqueue(struct upload *u, struct str bytes)
{
    while (bytes.n > 0) {
        if (u->last == NULL || u->last->file != u->nfiles - 1 || u->last->n == CHUNK_BYTES) {
            struct chunk *c = malloc(sizeof *c);
            if (c == NULL) {
                return -1;
            }
            c->next = NULL;
            c->file = u->nfiles - 1;
            c->n = 0;
            *(u->last == NULL ? &u->first : &u->last->next) = c;
            u->last = c;
        }
        size_t room = CHUNK_BYTES - u->last->n, n = bytes.n < room ? bytes.n : room;
        memcpy(u->last->p + u->last->n, bytes.p, n);
        u->last->n += n;
        u->queued += n;
        bytes = (struct str){ bytes.p + n, bytes.n - n };
    }
    return 0;
}

static void take_file(struct upload *u, struct str bytes)
{
    struct file *f = present(u);
    f->is.size += (int64_t)bytes.n;
    if (f->nhead < sizeof f->head) {
        size_t n = sizeof f->head - f->nhead;
        n = bytes.n < n ? bytes.n : n;
        memcpy(f->head + f->nhead, bytes.p, n);
        f->nhead += n;
        if (f->nhead == sizeof f->head) {
            judge_kind(u, f);
        }
    }
    if (!u->discarding && f->is.size > u->store->file_max) {
        refuse_file(u, OTK_TOO_LARGE, FE_FILE_SIZE, (double)u->store->file_max / 1048576, f->field,
                    f->is.name);
    }
    if (!u->discarding && enqueue(u, bytes) != 0) {
        fail(u, OTK_INTERNAL);
    }
}

static void end_file(struct upload *u)
{
    struct file *f = present(u);
    u->in_file = 0;
    if (f->is.size == 0 && !f->named) { /* a form's field in which nothing was chosen */
        u->nfiles--;
        return;
    }
    if (u->discarding) {
        return;
    }
    if (f->is.size == 0) {
        refuse_file(u, OTK_INVALID, FE_FILE_EMPTY, 0, f->field, f->is.name);
    } else if (f->nhead < sizeof f->head) {
        judge_kind(u, f);
    }
}

/* Adds bytes to the form, percent-encoded. */
static void add_form(struct upload *u, struct str bytes)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t most = u->nform + 3 * bytes.n + 2;
    if (most > UPLOAD_FORM_MAX) {
        fail(u, OTK_TOO_LARGE);
        u->in_field = 0;
        return;
    }
    if (most > u->form_size) {
        size_t size = most * 2 < 1024 ? 1024 : most * 2;
        char *bigger = realloc(u->form, size);
        if (bigger == NULL) {
            fail(u, OTK_INTERNAL);
            u->in_field = 0;
            return;
        }
        u->form = bigger;
        u->form_size = size;
    }
    for (size_t i = 0; i < bytes.n; i++) {
        unsigned char c = (unsigned char)bytes.p[i];
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.') {
            u->form[u->nform++] = (char)c;
        } else {
            u->form[u->nform++] = '%';
            u->form[u->nform++] = digits[c >> 4];
            u->form[u->nform++] = digits[c & 15];
        }
    }
}

static void begin_part(struct upload *u)
{
    const struct multipart *m = &u->reader;
    if (++u->parts > UPLOAD_PARTS_MAX) {
        fail(u, OTK_TOO_LARGE);
        return;
    }
    if (m->has_filename && u->skim) {
        return;
    }
    if (m->has_filename) {
        begin_file(u, m->name, m->filename);
        return;
    }
    u->in_field = 1;
    if (u->nform > 0) {
        u->form[u->nform++] = '&'; /* add_form leaves room for it */
    }
    add_form(u, m->name);
    if (u->in_field) {
        u->form[u->nform++] = '=';
    }
}

static void take_multipart(struct upload *u, struct str bytes)
{
    for (size_t at = 0; at < bytes.n && u->reader.state != MULTIPART_FAILED;) {
        size_t used;
        switch (multipart_feed(&u->reader, bytes.p + at, bytes.n - at, &used)) {
        case MULTIPART_PART:
            begin_part(u);
            break;
        case MULTIPART_DATA:
            if (u->in_file) {
                take_file(u, u->reader.data);
            } else if (u->in_field) {
                add_form(u, u->reader.data);
            }
            break;
        case MULTIPART_PART_END:
            if (u->in_file) {
                end_file(u);
            }
            u->in_file = u->in_field = 0;
            break;
        case MULTIPART_BROKEN:
            fail(u, OTK_MALFORMED);
            break;
        case MULTIPART_MORE:
            break;
        }
        at += used;
    }
}

static int take(struct sink *sink, struct str bytes)
{
    struct upload *u = (struct upload *)sink;
    if (u->multipart) {
        take_multipart(u, bytes);
    } else if (u->in_file) {
        take_file(u, bytes);
    }
    next_work(u);
    u->full = u->working && u->queued > QUEUE_BYTES;
    return u->full;
}

static void drop(struct sink *sink)
{
    struct upload *u = (struct upload *)sink;
    u->dropped = 1;
    u->done = NULL;
    u->sink.resume = NULL;
    next_work(u);
}

/* ---- for handlers */

int upload_is_multipart(const struct request *r)
{
    static const char media[] = "multipart/form-data";
    return r->content_type.n >= sizeof media - 1 &&
           strncasecmp(r->content_type.p, media, sizeof media - 1) == 0;
}

static struct upload *new_upload(struct uploads *store, const struct request *r)
{
    struct upload *u = calloc(1, sizeof *u);
    if (u != NULL) {
        u->sink = (struct sink){ .take = take, .drop = drop };
        u->store = store;
        u->multipart = upload_is_multipart(r);
        if (u->multipart && multipart_init(&u->reader, r->content_type) != 0) {
            u->reader.state = MULTIPART_FAILED;
            fail(u, OTK_MALFORMED);
        }
    }
    return u;
}

struct sink *upload_skim(struct uploads *store, const struct request *r)
{
    struct upload *u = new_upload(store, r);
    if (u == NULL) {
        return NULL;
    }
    u->skim = 1;
    return &u->sink;
}

struct sink *upload_begin(struct uploads *store, const struct request *r, int region,
                          enum otk_err refuse)
{
    struct upload *u = new_upload(store, r);
    if (u == NULL) {
        return NULL;
    }
    u->region = region;
    if (refuse != OTK_OK) {
        fail(u, refuse);
    } else if (store->active >= store->at_once) {
        fail(u, OTK_UNAVAILABLE);
    }
    store->active++;
    u->counted = 1;
    if (!u->multipart) {
        begin_file(u, STR("file"), STR(""));
        present(u)->named = 1;
    }
    return &u->sink;
}

void upload_finish(struct request *r, void (*done)(struct request *r))
{
    struct upload *u = r->upload;
    if (!u->multipart && u->in_file) {
        end_file(u);
    } else if (u->multipart && !multipart_complete(&u->reader)) {
        fail(u, OTK_MALFORMED);
    }
    u->request = r;
    u->done = done;
    next_work(u);
}

enum otk_err upload_result(const struct request *r, struct field_error *error, struct str *detail)
{
    const struct upload *u = r->upload;
    *error = u->error;
    *detail = STR("");
    if (u->error_field[0] != '\0') {
        struct str sentence = field_error_text(r->arena, &u->error, r->lang);
        struct str name = str_of(u->error_name[0] == '\0' ? u->error_field : u->error_name);
        const char *kind = u->error_guess;
        if (sentence.p != NULL) {
            *detail = arena_printf(r->arena, "%.*s%s%s%s: %.*s", (int)name.n, name.p,
                                   kind == NULL ? "" : " (", kind == NULL ? "" : kind,
                                   kind == NULL ? "" : ")", (int)sentence.n, sentence.p);
        }
    }
    return u->err;
}

size_t upload_count(const struct request *r)
{
    return r->upload == NULL ? 0 : r->upload->nfiles;
}

const struct upload_file *upload_file(const struct request *r, size_t i)
{
    return &r->upload->files[i].is;
}

void upload_keep(struct request *r, size_t i)
{
    r->upload->files[i].keep = 1;
}
