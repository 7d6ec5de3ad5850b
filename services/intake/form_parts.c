/* multipart/form-data in memory (RFC 7578).
 *
 * Only fields: whoever sends a file is told so. Clients write boundaries quoted and bare, with = in
 * them, with a preamble, and with ends of line of their own behind the last field; all of these are
 * read. Bare line feeds are not: no client of HTTP sends them. */
#include "form_parts.h"

#include <strings.h>

enum { BOUNDARY_MAX = 70 }; /* RFC 2046, 5.1.1 */

struct part {
    struct str name, filename, content;
    int is_file; /* has a filename, be it empty */
};

/* The first place of WHAT in S, or NULL. */
static const char *find(struct str s, struct str what)
{
    return s.n < what.n ? NULL : memmem(s.p, s.n, what.p, what.n);
}

static struct str rest_from(struct str s, const char *p)
{
    return (struct str){ p, s.n - (size_t)(p - s.p) };
}

/* The value of parameter NAME in a header's value: quoted, where a backslash before a quote hides
 * it, or up to the next semicolon. 1 if it is there. */
static int parameter(struct str header, struct str name, struct str *value)
{
    for (size_t i = 0; i + name.n < header.n; i++) {
        int begins =
            i > 0 && (header.p[i - 1] == ';' || header.p[i - 1] == ' ' || header.p[i - 1] == '\t');
        if (header.p[i] == '"') { /* not within the value of another */
            while (++i < header.n && header.p[i] != '"') {
                i += header.p[i] == '\\';
            }
            continue;
        }
        if (!begins || strncasecmp(header.p + i, name.p, name.n) != 0 ||
            header.p[i + name.n] != '=') {
            continue;
        }
        size_t from = i + name.n + 1, to = from;
        if (from < header.n && header.p[from] == '"') {
            for (to = ++from; to < header.n && header.p[to] != '"'; to++) {
                to += header.p[to] == '\\' && to + 1 < header.n;
            }
        } else {
            while (to < header.n && header.p[to] != ';' && header.p[to] != ' ' &&
                   header.p[to] != '\t') {
                to++;
            }
        }
        *value = (struct str){ header.p + from, to - from };
        return 1;
    }
    return 0;
}

/* The header lines of a part, up to an empty one; -1 when they do not end. */
static int read_headers(struct str *rest, struct part *part)
{
    static const struct str disposition = STR("content-disposition:");
    while (1) {
        const char *end = find(*rest, STR("\r\n"));
        if (end == NULL) {
            return -1;
        }
        struct str line = { rest->p, (size_t)(end - rest->p) };
        *rest = rest_from(*rest, end + 2);
        if (line.n == 0) {
            return 0;
        }
        if (line.n > disposition.n && strncasecmp(line.p, disposition.p, disposition.n) == 0) {
            (void)parameter(line, STR("name"), &part->name);
            part->is_file = parameter(line, STR("filename"), &part->filename) ||
                            parameter(line, STR("filename*"), &part->filename);
        }
    }
}

/* The next part; REST stands behind a delimiter. 1, 0 after the last one, -1 when it is broken. */
static int next_part(struct str *rest, struct str delimiter, struct part *part)
{
    *part = (struct part){ .name = { NULL, 0 } };
    if (rest->n >= 2 && memcmp(rest->p, "--", 2) == 0) {
        return 0;
    }
    while (rest->n > 0 && (rest->p[0] == ' ' || rest->p[0] == '\t')) {
        *rest = rest_from(*rest, rest->p + 1);
    }
    if (rest->n < 2 || memcmp(rest->p, "\r\n", 2) != 0) {
        return -1;
    }
    *rest = rest_from(*rest, rest->p + 2);
    if (read_headers(rest, part) != 0 || part->name.p == NULL) {
        return -1;
    }
    /* An empty part has no end of line between its headers and the delimiter: the one that ends the
     * headers is the delimiter's, too. */
    struct str from = { rest->p - 2, rest->n + 2 };
    const char *end = find(from, delimiter);
    if (end == NULL) {
        return -1;
    }
    part->content = end < rest->p ? (struct str){ rest->p, 0 }
                                  : (struct str){ rest->p, (size_t)(end - rest->p) };
    *rest = rest_from(from, end + delimiter.n);
    return 1;
}

enum otk_err form_parts(struct str content_type, struct str body, struct form_pair *pairs,
                        size_t max, size_t *n, struct str *file)
{
    struct str boundary;
    char delimiter[4 + BOUNDARY_MAX] = "\r\n--";
    *n = 0;
    if (!parameter(content_type, STR("boundary"), &boundary) || boundary.n == 0 ||
        boundary.n > BOUNDARY_MAX) {
        return OTK_MALFORMED;
    }
    memcpy(delimiter + 4, boundary.p, boundary.n);
    struct str full = { delimiter, 4 + boundary.n }, bare = { delimiter + 2, 2 + boundary.n };
    /* The first one begins the body, or a line after a preamble. */
    const char *first = body.n >= bare.n && memcmp(body.p, bare.p, bare.n) == 0 ? body.p : NULL;
    struct str rest = { NULL, 0 };
    if (first != NULL) {
        rest = rest_from(body, first + bare.n);
    } else if ((first = find(body, full)) != NULL) {
        rest = rest_from(body, first + full.n);
    } else {
        return OTK_MALFORMED;
    }
    struct part part;
    int more;
    while ((more = next_part(&rest, full, &part)) > 0) {
        if (part.is_file && part.content.n > 0) {
            *file = part.name;
            return OTK_MEDIA_TYPE;
        }
        if (part.is_file) {
            continue;
        }
        if (*n == max) {
            return OTK_TOO_LARGE;
        }
        if (!utf8_valid(part.name, &(size_t){ 0 }) || !utf8_valid(part.content, &(size_t){ 0 })) {
            return OTK_MALFORMED;
        }
        pairs[(*n)++] = (struct form_pair){ part.name, part.content };
    }
    return more < 0 ? OTK_MALFORMED : OTK_OK;
}
