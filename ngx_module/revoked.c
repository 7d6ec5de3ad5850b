/* Tokens that are no longer good: a file with one jti a line. */

#include "revoked.h"

#include <stdlib.h>
#include <string.h>

struct jti {
    const char  *p;
    size_t       n;
};

struct revoked {
    struct jti  *list;                        /* sorted */
    size_t       count;
    char        *text;                        /* that the list points into */
};


static int
compare(const void *one, const void *two)
{
    const struct jti *a = one;
    const struct jti *b = two;

    if (a->n != b->n) {
        return a->n < b->n ? -1 : 1;
    }

    return memcmp(a->p, b->p, a->n);
}


static bool
is_plain(const char *p, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if ((unsigned char) p[i] <= ' ' || p[i] == 0x7f) {
            return false;
        }
    }

    return true;
}


static bool
read_lines(struct revoked *revoked, size_t n, struct revoked_error *error)
{
    char    *line, *end;
    size_t   length;

    for (line = revoked->text; line < revoked->text + n; line = end + 1) {
        error->line++;
        end = memchr(line, '\n', (size_t) (revoked->text + n - line));

        if (end == NULL) {

            /* what a reader sees while somebody writes in place */

            error->what = "the file does not end with a whole line";
            return false;
        }

        length = (size_t) (end - line);

        if (length > 0 && line[length - 1] == '\r') {
            length--;
        }

        if (length == 0 || line[0] == '#') {
            continue;
        }

        if (length > REVOKED_JTI_MAX || !is_plain(line, length)) {
            error->what = "it is no jti of 1 to 128 bytes without blanks";
            return false;
        }

        revoked->list[revoked->count].p = line;
        revoked->list[revoked->count++].n = length;
    }

    return true;
}


struct revoked *
revoked_parse(const char *text, size_t n, struct revoked_error *error)
{
    size_t           i, lines;
    struct revoked  *revoked;

    error->line = 0;
    error->what = "no memory";

    if (n > REVOKED_FILE_MAX) {
        error->what = "the file is over 16 megabytes";
        return NULL;
    }

    for (lines = 1, i = 0; i < n; i++) {
        lines += text[i] == '\n';
    }

    revoked = calloc(1, sizeof(*revoked));
    if (revoked == NULL) {
        return NULL;
    }

    revoked->list = calloc(lines, sizeof(revoked->list[0]));
    revoked->text = malloc(n + 1);

    if (revoked->list == NULL || revoked->text == NULL) {
        revoked_free(revoked);
        return NULL;
    }

    memcpy(revoked->text, text, n);
    revoked->text[n] = '\0';

    if (!read_lines(revoked, n, error)) {
        revoked_free(revoked);
        return NULL;
    }

    qsort(revoked->list, revoked->count, sizeof(revoked->list[0]), compare);

    return revoked;
}


void
revoked_free(struct revoked *revoked)
{
    if (revoked == NULL) {
        return;
    }

    free(revoked->list);
    free(revoked->text);
    free(revoked);
}


size_t
revoked_count(const struct revoked *revoked)
{
    return revoked->count;
}


bool
revoked_holds(const struct revoked *revoked, const char *jti, size_t n)
{
    struct jti  sought;

    sought.p = jti;
    sought.n = n;

    return bsearch(&sought, revoked->list, revoked->count,
                   sizeof(revoked->list[0]), compare) != NULL;
}
