/* Tables as text: one row a line, cells between tabs. */
#include "tsv.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

enum { FILE_MAX = 64 << 20, COLUMNS_MAX = 32 };

struct tsv {
    const char *path;
    char *file, *next; /* next: the row to come */
    size_t size;       /* of the file */
    size_t line;
    size_t ncolumns;
    size_t order[COLUMNS_MAX]; /* of the caller's column in the file's cell n */
    char place[256];
};

/* Cuts the next line off; NULL at the end. */
static char *cut_line(struct tsv *t)
{
    char *line = t->next;
    if (*line == '\0') {
        return NULL;
    }
    size_t n = strcspn(line, "\n");
    t->next = line + n + (line[n] == '\n');
    line[n] = '\0';
    if (n > 0 && line[n - 1] == '\r') {
        line[n - 1] = '\0';
    }
    t->line++;
    snprintf(t->place, sizeof(t->place), "%s:%zu", t->path, t->line);
    return line;
}

/* Splits a line at its tabs; the number of cells, or SIZE_MAX if there are more than fit. */
static size_t split(char *line, char **cells)
{
    for (size_t n = 0; n < COLUMNS_MAX; n++) {
        cells[n] = line;
        line += strcspn(line, "\t");
        if (*line == '\0') {
            return n + 1;
        }
        *line++ = '\0';
    }
    return SIZE_MAX;
}

static int read_columns(struct tsv *t, const char *const *columns)
{
    char *cells[COLUMNS_MAX];
    char *line = cut_line(t);
    size_t n = line == NULL ? 0 : split(line, cells);
    while (columns[t->ncolumns] != NULL) {
        t->ncolumns++;
    }
    if (n != t->ncolumns) {
        return cli_error("%s:1: %zu columns are wanted, the first is %s", t->path, t->ncolumns,
                         columns[0]);
    }
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < n && strcmp(columns[k], cells[i]) != 0) {
            k++;
        }
        if (k == n) {
            return cli_error("%s:1: there is no column \"%s\"", t->path, cells[i]);
        }
        for (size_t before = 0; before < i; before++) {
            if (t->order[before] == k) {
                return cli_error("%s:1: column \"%s\" twice", t->path, cells[i]);
            }
        }
        t->order[i] = k;
    }
    return CLI_OK;
}

struct tsv *tsv_open(const char *path, const char *const *columns)
{
    struct str file = cli_read_file(path, FILE_MAX);
    if (file.p == NULL) {
        return NULL;
    }
    struct tsv *t = cli_alloc(sizeof(*t));
    t->path = path;
    t->file = t->next = (char *)file.p;
    t->size = file.n;
    if (read_columns(t, columns) != CLI_OK) {
        tsv_close(t);
        return NULL;
    }
    return t;
}

void tsv_close(struct tsv *t)
{
    if (t != NULL) {
        free(t->file);
        free(t);
    }
}

int tsv_next(struct tsv *t, const char **cells)
{
    char *found[COLUMNS_MAX];
    char *line = cut_line(t);
    while (line != NULL && *line == '\0') {
        line = cut_line(t);
    }
    if (line == NULL) {
        return 0;
    }
    size_t n = split(line, found);
    if (n != t->ncolumns) {
        cli_error("%s: %zu cells, but %zu columns", t->place, n == SIZE_MAX ? COLUMNS_MAX + 1 : n,
                  t->ncolumns);
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        cells[t->order[i]] = found[i][0] == '\0' ? NULL : found[i];
    }
    return 1;
}

double tsv_fraction(const struct tsv *t)
{
    return t->size == 0 ? 1 : (double)(t->next - t->file) / (double)t->size;
}

const char *tsv_place(const struct tsv *t)
{
    return t->place;
}
