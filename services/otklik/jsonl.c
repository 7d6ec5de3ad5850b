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
    char *line;
    size_t size; /* of line */
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
    j->size = 1U << 16;
    j->line = cli_alloc(j->size);
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
    free(j->line);
    free(j);
}

/* One line with its end into j->line; its length, 0 at the end of the file, -1 after a message. */
static ssize_t read_line(struct jsonl *j)
{
    size_t n = 0;
    while (gzgets(j->in, j->line + n, (int)(j->size - n)) != NULL) {
        /* gzgets does not say how much it read, and a NUL may stand in the line */
        char *end = memchr(j->line + n, '\n', j->size - n);
        n = end != NULL ? (size_t)(end - j->line) + 1 : n + strlen(j->line + n);
        if (end != NULL || n + 1 < j->size) {
            return (ssize_t)n;
        }
        if (j->size >= LINE_MAX_BYTES) {
            cli_error("%s:%" PRId64 ": a line of more than %d MB", j->path, j->number + 1,
                      LINE_MAX_BYTES >> 20);
            return -1;
        }
        j->line = cli_realloc(j->line, j->size *= 2);
    }
    int code;
    const char *why = gzerror(j->in, &code);
    if (code != Z_OK && code != Z_STREAM_END) {
        cli_error("%s: after line %" PRId64 ": %s", j->path, j->number,
                  code == Z_ERRNO ? strerror(errno) : why);
        return -1;
    }
    return (ssize_t)n;
}

int jsonl_next(struct jsonl *j, struct str *line)
{
    for (;;) {
        ssize_t n = read_line(j);
        if (n <= 0) {
            return (int)n;
        }
        j->number++;
        while (n > 0 && (j->line[n - 1] == '\n' || j->line[n - 1] == '\r')) {
            n--;
        }
        j->line[n] = '\0';
        if (strspn(j->line, " \t") != (size_t)n) {
            *line = (struct str){ j->line, (size_t)n };
            return 1;
        }
    }
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
