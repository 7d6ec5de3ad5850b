/* Lines of JSON out of a file that may be compressed and larger than memory. */
#include "jsonl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zlib.h>

#include "cli.h"

enum { LINE_MAX_BYTES = 8 << 20, BUFFER = 1 << 17 };

struct jsonl {
    gzFile in;
    char *path;
    char *buffer;
    size_t size;       /* of buffer; one byte more is there for a NUL */
    size_t begin, end; /* what has been read and not been given */
    int ended;
    int64_t number;
    double bytes; /* of the file as it lies there */
    char place[256];
};

struct jsonl *jsonl_open(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        cli_error("%s: %s", path, strerror(errno));
        return NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        cli_error("%s: not a file", path);
        return NULL;
    }
    gzFile in = gzopen(path, "rb");
    if (in == NULL) {
        cli_error("%s: %s", path, strerror(errno));
        return NULL;
    }
    gzbuffer(in, BUFFER);
    struct jsonl *j = cli_alloc(sizeof(*j));
    j->in = in;
    j->path = cli_printf("%s", path);
    j->size = BUFFER;
    j->buffer = cli_alloc(j->size + 1);
    j->bytes = (double)st.st_size;
    return j;
}

void jsonl_close(struct jsonl *j)
{
    if (j == NULL) {
        return;
    }
    gzclose(j->in);
    free(j->path);
    free(j->buffer);
    free(j);
}

/* Reads more of the file behind what is left of the buffer. 0, or -1 after a message. */
static int read_more(struct jsonl *j)
{
    memmove(j->buffer, j->buffer + j->begin, j->end - j->begin);
    j->end -= j->begin;
    j->begin = 0;
    if (j->end == j->size) {
        if (j->size >= LINE_MAX_BYTES) {
            cli_error("%s:%" PRId64 ": a line of more than %d MB", j->path, j->number + 1,
                      LINE_MAX_BYTES >> 20);
            return -1;
        }
        j->size *= 2;
        j->buffer = cli_realloc(j->buffer, j->size + 1);
    }
    int n = gzread(j->in, j->buffer + j->end, (unsigned)(j->size - j->end));
    int code;
    const char *why = gzerror(j->in, &code);
    if (n < 0 || (code != Z_OK && code != Z_STREAM_END)) {
        cli_error("%s: after line %" PRId64 ": %s", j->path, j->number,
                  code == Z_ERRNO ? strerror(errno) : why);
        return -1;
    }
    j->end += (size_t)n;
    j->ended = n == 0;
    return 0;
}

/* One line without its end. 1, 0 at the end of the file, -1 after a message. */
static int read_line(struct jsonl *j, struct str *line)
{
    size_t seen = 0; /* of the buffer, without an end of line */
    for (;;) {
        char *p = j->buffer + j->begin;
        size_t left = j->end - j->begin;
        char *newline = memchr(p + seen, '\n', left - seen);
        if (newline != NULL || (j->ended && left > 0)) {
            size_t n = newline != NULL ? (size_t)(newline - p) : left;
            j->begin += n + (newline != NULL);
            n -= n > 0 && p[n - 1] == '\r';
            p[n] = '\0';
            *line = (struct str){ p, n };
            return 1;
        }
        if (j->ended) {
            return 0;
        }
        seen = left;
        if (read_more(j) != 0) {
            return -1;
        }
    }
}

int jsonl_next(struct jsonl *j, struct str *line)
{
    int status;
    while ((status = read_line(j, line)) > 0) {
        j->number++;
        if (strspn(line->p, " \t") != line->n) {
            break;
        }
    }
    return status;
}

int64_t jsonl_line(const struct jsonl *j)
{
    return j->number;
}

const char *jsonl_place(struct jsonl *j)
{
    snprintf(j->place, sizeof(j->place), "%s:%" PRId64, j->path, j->number);
    return j->place;
}

double jsonl_fraction(struct jsonl *j)
{
    double at = (double)gzoffset(j->in);
    return j->bytes <= 0 || at >= j->bytes ? 1 : at < 0 ? 0 : at / j->bytes;
}

/* A member that is text or absent. */
static int read_text(yajl_val tree, const char *name, struct str *out, char *err, size_t errlen)
{
    yajl_val v = yajl_tree_get(tree, (const char *[]){ name, NULL }, yajl_t_any);
    if (v == NULL || YAJL_IS_NULL(v)) {
        return 0;
    }
    if (!YAJL_IS_STRING(v)) {
        snprintf(err, errlen, "\"%s\" is not a text", name);
        return -1;
    }
    *out = str_of(YAJL_GET_STRING(v));
    return 0;
}

static int read_number(yajl_val tree, const char *name, struct str *out, char *err, size_t errlen)
{
    yajl_val v = yajl_tree_get(tree, (const char *[]){ name, NULL }, yajl_t_any);
    if (v == NULL || YAJL_IS_NULL(v)) {
        return 0;
    }
    if (!YAJL_IS_NUMBER(v)) {
        snprintf(err, errlen, "\"%s\" is not a number", name);
        return -1;
    }
    *out = str_of(YAJL_GET_NUMBER(v));
    return 0;
}

int record_read(struct record *r, struct str line, char *err, size_t errlen)
{
    *r = (struct record){ 0 };
    if (memchr(line.p, '\0', line.n) != NULL) {
        snprintf(err, errlen, "a NUL in the line");
        return -1;
    }
    char why[512];
    r->tree = yajl_tree_parse(line.p, why, sizeof(why));
    if (r->tree == NULL) {
        snprintf(err, errlen, "broken JSON: %.*s", (int)strcspn(why, "\n"), why);
        return -1;
    }
    if (!YAJL_IS_OBJECT(r->tree)) {
        snprintf(err, errlen, "not a JSON object");
        return -1;
    }
    struct str photos = { NULL, 0 };
    yajl_val id = yajl_tree_get(r->tree, (const char *[]){ "id", NULL }, yajl_t_any);
    int bad = YAJL_IS_NUMBER(id) ? read_number(r->tree, "id", &r->id, err, errlen)
                                 : read_text(r->tree, "id", &r->id, err, errlen);
    bad = bad || read_text(r->tree, "text", &r->text, err, errlen) ||
          read_text(r->tree, "object", &r->object, err, errlen) ||
          read_text(r->tree, "category", &r->category, err, errlen) ||
          read_text(r->tree, "reason", &r->reason, err, errlen) ||
          read_text(r->tree, "municipality", &r->municipality, err, errlen) ||
          read_text(r->tree, "executor", &r->executor, err, errlen) ||
          read_number(r->tree, "lat", &r->lat, err, errlen) ||
          read_number(r->tree, "lon", &r->lon, err, errlen) ||
          read_number(r->tree, "photos", &photos, err, errlen);
    if (bad) {
        return -1;
    }
    r->photos = photos.p == NULL ? 0 : strtoll(photos.p, NULL, 10);
    return 0;
}

void record_free(struct record *r)
{
    if (r->tree != NULL) {
        yajl_tree_free(r->tree);
    }
    *r = (struct record){ 0 };
}
