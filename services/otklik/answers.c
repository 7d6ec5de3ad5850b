/* Answers remembered: one line each, appended, and only whole lines count. */
#include "answers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli.h"

enum { FILE_MAX = 1 << 30, FIELDS = 6 };

struct answers {
    char *path;
    FILE *out;
};

/* A run that was killed may have left half a line: cut it off. */
static int drop_half_line(int fd)
{
    off_t end = lseek(fd, 0, SEEK_END);
    for (char c = 0; end > 0; end--) {
        if (pread(fd, &c, 1, end - 1) != 1) {
            return -1;
        }
        if (c == '\n') {
            break;
        }
    }
    return ftruncate(fd, end) != 0 || lseek(fd, 0, SEEK_END) < 0 ? -1 : 0;
}

struct answers *answers_open(const char *path, int afresh)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        cli_error("%s: %s", path, strerror(errno));
        return NULL;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            cli_error("%s: another replay is writing it", path);
        } else {
            cli_error("%s: %s", path, strerror(errno));
        }
        close(fd);
        return NULL;
    }
    FILE *out = NULL;
    if ((afresh ? ftruncate(fd, 0) : drop_half_line(fd)) == 0) {
        out = fdopen(fd, "a");
    }
    if (out == NULL) {
        cli_error("%s: %s", path, strerror(errno));
        close(fd);
        return NULL;
    }
    struct answers *a = cli_alloc(sizeof(*a));
    a->path = cli_printf("%s", path);
    a->out = out;
    return a;
}

void answers_close(struct answers *a)
{
    if (a != NULL) {
        fclose(a->out);
        free(a->path);
        free(a);
    }
}

/* Tabs and ends of line would break the table. */
static void put_cell(FILE *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        fputc((unsigned char)s.p[i] < 0x20 ? ' ' : s.p[i], out);
    }
    fputc('\t', out);
}

int answers_add(struct answers *a, const struct answer *answer)
{
    put_cell(a->out, answer->external_id);
    put_cell(a->out, answer->number);
    put_cell(a->out, answer->code);
    put_cell(a->out, answer->id);
    fprintf(a->out, "%" PRId64 "\t%.*s\n", answer->line, (int)answer->key.n, answer->key.p);
    if (ferror(a->out)) {
        cli_error("%s: %s", a->path, strerror(errno));
        return -1;
    }
    return 0;
}

int answers_flush(struct answers *a)
{
    if (fflush(a->out) != 0) {
        cli_error("%s: %s", a->path, strerror(errno));
        return -1;
    }
    return 0;
}

static int read_line(char *line, struct answer *out)
{
    struct str cells[FIELDS];
    for (size_t i = 0; i < FIELDS; i++) {
        size_t n = strcspn(line, "\t");
        cells[i] = (struct str){ line, n };
        if (line[n] == '\0' && i + 1 < FIELDS) {
            return -1;
        }
        line += n + (line[n] != '\0');
    }
    *out = (struct answer){ cells[0], cells[1], cells[2], cells[3], strtoll(cells[4].p, NULL, 10),
                            cells[5] };
    return 0;
}

int answers_read(const char *path, struct answer_list *out)
{
    *out = (struct answer_list){ NULL, 0, NULL };
    struct str text = cli_read_file(path, FILE_MAX);
    if (text.p == NULL) {
        return -1;
    }
    out->text = (char *)text.p;
    size_t lines = 0;
    for (size_t i = 0; i < text.n; i++) {
        lines += text.p[i] == '\n';
    }
    out->list = cli_alloc(lines * sizeof(*out->list));
    char *line = out->text;
    for (size_t i = 0; i < lines; i++) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
        }
        if (end == NULL || read_line(line, &out->list[i]) != 0) {
            cli_error("%s:%zu: not a remembered answer", path, i + 1);
            answers_list_free(out);
            return -1;
        }
        out->n++;
        line = end + 1;
    }
    return 0;
}

void answers_list_free(struct answer_list *l)
{
    free(l->list);
    free(l->text);
    *l = (struct answer_list){ NULL, 0, NULL };
}

static int compare(struct str a, struct str b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

static int by_key(const void *pa, const void *pb)
{
    const struct answer *a = pa, *b = pb;
    int order = compare(a->key, b->key);
    return order != 0 ? order : compare(a->number, b->number);
}

static int by_number(const void *pa, const void *pb)
{
    const struct answer *a = pa, *b = pb;
    int order = compare(a->number, b->number);
    return order != 0 ? order : compare(a->key, b->key);
}

size_t answers_contradictions(struct answer_list *l)
{
    size_t found = 0;
    qsort(l->list, l->n, sizeof(*l->list), by_number);
    for (size_t i = 1; i < l->n; i++) {
        const struct answer *a = &l->list[i - 1], *b = &l->list[i];
        if (str_eq(a->number, b->number) && !str_eq(a->key, b->key)) {
            cli_error("number %.*s was given to line %" PRId64 " and to line %" PRId64,
                      (int)a->number.n, a->number.p, a->line, b->line);
            found++;
        }
    }
    qsort(l->list, l->n, sizeof(*l->list), by_key);
    for (size_t i = 1; i < l->n; i++) {
        const struct answer *a = &l->list[i - 1], *b = &l->list[i];
        if (str_eq(a->key, b->key) && !str_eq(a->number, b->number)) {
            cli_error("line %" PRId64 " was stored twice: as %.*s and as %.*s", a->line,
                      (int)a->number.n, a->number.p, (int)b->number.n, b->number.p);
            found++;
        }
    }
    return found;
}
