/* multipart/form-data, without input or output. Sections are those of RFC 2046.
 *
 * A delimiter is CR LF "--" boundary (5.1.1). Only its first byte is a CR, since a boundary has
 * none: so when a byte does not fit, nothing of what did fit can begin another delimiter, and no
 * byte needs to be looked at twice. The first delimiter may stand at the very beginning: as if a CR
 * LF had gone before. */
#include "multipart.h"

#include <strings.h>

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* bchars of 5.1.1; a blank only inside of quotes, and never last. */
static int good_boundary(struct str b)
{
    static const char others[] = "'()+_,-./:=? ";
    for (size_t i = 0; i < b.n; i++) {
        char c = b.p[i];
        int letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && memchr(others, c, sizeof others - 1) == NULL) {
            return 0;
        }
    }
    return b.n >= 1 && b.n <= MULTIPART_BOUNDARY_MAX && b.p[b.n - 1] != ' ';
}

/* The next parameter behind a media type or a disposition: ; name=value or ; name="value". Escapes
 * are taken off in place: SCRATCH is where the text of S is ours to change, or NULL when it is not.
 * 1: got one, *at behind it; 0: the end; -1: not of the form. */
static int next_parameter(struct str s, char *scratch, size_t *at, struct str *name,
                          struct str *value)
{
    size_t i = *at;
    while (i < s.n && (is_blank(s.p[i]) || s.p[i] == ';')) {
        i++;
    }
    if (i == s.n) {
        return 0;
    }
    size_t begin = i;
    while (i < s.n && s.p[i] != '=' && s.p[i] != ';' && !is_blank(s.p[i])) {
        i++;
    }
    *name = (struct str){ s.p + begin, i - begin };
    if (name->n == 0 || i == s.n || s.p[i] != '=') {
        return -1;
    }
    i++;
    if (i == s.n || s.p[i] != '"') {
        begin = i;
        while (i < s.n && s.p[i] != ';' && !is_blank(s.p[i])) {
            i++;
        }
        *value = (struct str){ s.p + begin, i - begin };
        *at = i;
        return 1;
    }
    begin = ++i;
    size_t n = 0;
    while (i < s.n && s.p[i] != '"') {
        /* Browsers write %22 for a quote; a backslash before anything else is a path of Windows. */
        int escape = s.p[i] == '\\' && i + 1 < s.n && (s.p[i + 1] == '"' || s.p[i + 1] == '\\');
        i += escape ? 1 : 0;
        if (scratch != NULL) {
            scratch[begin + n] = s.p[i];
        } else if (escape) {
            return -1;
        }
        n++;
        i++;
    }
    if (i == s.n) {
        return -1;
    }
    *value = (struct str){ s.p + begin, n };
    *at = i + 1;
    return *at == s.n || s.p[*at] == ';' || is_blank(s.p[*at]) ? 1 : -1;
}

static int same_name(struct str s, const char *name)
{
    return s.n == strlen(name) && strncasecmp(s.p, name, s.n) == 0;
}

int multipart_init(struct multipart *m, struct str content_type)
{
    static const char media[] = "multipart/form-data";
    size_t at = sizeof media - 1;
    struct str name, value, boundary = { NULL, 0 };
    int more;
    if (content_type.n < at || strncasecmp(content_type.p, media, at) != 0 ||
        (content_type.n > at && content_type.p[at] != ';' && !is_blank(content_type.p[at]))) {
        return -1;
    }
    while ((more = next_parameter(content_type, NULL, &at, &name, &value)) > 0) {
        if (same_name(name, "boundary")) {
            if (boundary.p != NULL) {
                return -1;
            }
            boundary = value;
        }
    }
    if (more < 0 || boundary.p == NULL || !good_boundary(boundary)) {
        return -1;
    }
    *m = (struct multipart){ .state = MULTIPART_PREAMBLE, .matched = 2 };
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary.p, boundary.n);
    m->ndelimiter = 4 + boundary.n;
    return 0;
}

/* ---- the headers of a part */

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* UTF-8'language'%D1%8F (RFC 8187) decoded in place: S is ours to change. Empty in another charset
 * or when it is not of the form: a file without a name is still a file. */
static struct str decode_extended(char *scratch, struct str s)
{
    static const char charset[] = "utf-8'";
    size_t begin = sizeof charset - 1, n = 0;
    const char *quote = s.n > begin && strncasecmp(s.p, charset, begin) == 0
                            ? memchr(s.p + begin, '\'', s.n - begin)
                            : NULL;
    if (quote == NULL) {
        return (struct str){ s.p, 0 };
    }
    for (size_t i = (size_t)(quote - s.p) + 1; i < s.n; i++) {
        if (s.p[i] != '%') {
            scratch[n++] = s.p[i];
            continue;
        }
        int high = i + 2 < s.n ? hex(s.p[i + 1]) : -1, low = high < 0 ? -1 : hex(s.p[i + 2]);
        if (low < 0) {
            return (struct str){ s.p, 0 };
        }
        scratch[n++] = (char)(high * 16 + low);
        i += 2;
    }
    return (struct str){ s.p, n };
}

/* Content-Disposition: form-data; name="…"; filename="…"; filename*=…. The last is not meant to be
 * there (RFC 7578, 4.2), but libraries send it with names that are not ASCII, alone or beside the
 * other. -1 when there is no name. */
static int read_disposition(struct multipart *m, struct str value)
{
    struct str name, given;
    size_t at = 0;
    int more, named = 0, plain = 0, extended = 0;
    while (at < value.n && value.p[at] != ';' && !is_blank(value.p[at])) {
        at++;
    }
    if (!same_name((struct str){ value.p, at }, "form-data")) {
        return -1;
    }
    char *ours = m->headers + (value.p - m->headers);
    while ((more = next_parameter(value, ours, &at, &name, &given)) > 0) {
        if (same_name(name, "name")) {
            named++;
            m->name = given;
        } else if (same_name(name, "filename")) {
            plain++;
            m->filename = extended > 0 ? m->filename : given;
        } else if (same_name(name, "filename*")) {
            extended++;
            m->filename = decode_extended(ours + (given.p - value.p), given);
        }
    }
    m->has_filename = plain + extended > 0;
    return more == 0 && named == 1 && plain <= 1 && extended <= 1 ? 0 : -1;
}

/* Reads the lines of m->headers, each ending with CR LF. 0, or -1. */
static int read_headers(struct multipart *m)
{
    int dispositions = 0;
    m->name = m->filename = m->type = (struct str){ NULL, 0 };
    m->has_filename = 0;
    for (size_t at = 0; at + 2 < m->nheaders;) {
        const char *line = m->headers + at;
        const char *end = memmem(line, m->nheaders - at, "\r\n", 2);
        const char *colon = end == NULL ? NULL : memchr(line, ':', (size_t)(end - line));
        if (colon == NULL || colon == line || is_blank(*line)) {
            return -1; /* RFC 7230 did away with lines that go on in the next one */
        }
        struct str name = { line, (size_t)(colon - line) };
        struct str value = { colon + 1, (size_t)(end - colon) - 1 };
        while (value.n > 0 && is_blank(*value.p)) {
            value.p++;
            value.n--;
        }
        while (value.n > 0 && is_blank(value.p[value.n - 1])) {
            value.n--;
        }
        if (same_name(name, "Content-Disposition")) {
            if (++dispositions > 1 || read_disposition(m, value) != 0) {
                return -1;
            }
        } else if (same_name(name, "Content-Type")) {
            m->type = value.n <= MULTIPART_TYPE_MAX ? value : (struct str){ NULL, 0 };
        } else if (same_name(name, "Content-Transfer-Encoding") && !same_name(value, "binary") &&
                   !same_name(value, "8bit") && !same_name(value, "7bit")) {
            return -1; /* RFC 7578, 4.7: nobody sends it; who does would be misread */
        }
        at = (size_t)(end - m->headers) + 2;
    }
    return dispositions == 1 ? 0 : -1;
}

/* ---- reading */

static enum multipart_event fail(struct multipart *m)
{
    m->state = MULTIPART_FAILED;
    return MULTIPART_BROKEN;
}

static void end_delimiter_line(struct multipart *m)
{
    m->state = MULTIPART_HEADERS;
    m->nheaders = 0;
}

/* The rest of a delimiter's line: "--" for the last one, blanks, CR LF. */
static enum multipart_event after_delimiter(struct multipart *m, char c)
{
    if (m->cr) {
        if (c != '\n') {
            return fail(m);
        }
        end_delimiter_line(m);
    } else if (c == '-' && m->ndashes < 2 && !m->blank) {
        if (++m->ndashes == 2) {
            m->state = MULTIPART_EPILOGUE;
        }
    } else if (m->ndashes == 1) {
        return fail(m);
    } else if (c == '\r') {
        m->cr = 1;
    } else if (is_blank(c)) {
        m->blank = 1;
    } else {
        return fail(m);
    }
    return MULTIPART_MORE;
}

/* One byte of the headers, which end with an empty line. */
static enum multipart_event take_header(struct multipart *m, char c)
{
    if (m->nheaders == sizeof m->headers || c == '\0') {
        return fail(m);
    }
    m->headers[m->nheaders++] = c;
    size_t n = m->nheaders;
    if (c != '\n' || n < 2 || m->headers[n - 2] != '\r' ||
        (n > 2 && (n < 4 || memcmp(m->headers + n - 4, "\r\n", 2) != 0))) {
        return MULTIPART_MORE;
    }
    if (read_headers(m) != 0) {
        return fail(m);
    }
    m->state = MULTIPART_BODY;
    /* Of a part without content the delimiter's CR LF may be the one that ends the headers. */
    m->matched = m->silent = 2;
    return MULTIPART_PART;
}

/* A delimiter is complete. */
static enum multipart_event begin_delimiter_line(struct multipart *m, int in_part)
{
    m->matched = m->silent = m->ndashes = 0;
    m->cr = m->blank = 0;
    m->state = MULTIPART_AFTER_DELIMITER;
    return in_part ? MULTIPART_PART_END : MULTIPART_MORE;
}

/* Body or preamble: bytes up to a delimiter. Data that began as a delimiter comes out of delimiter
 * itself, which says the same bytes. */
static enum multipart_event take_body(struct multipart *m, const char *p, size_t n, size_t *used)
{
    int in_part = m->state == MULTIPART_BODY;
    size_t at = 0;
    while (at < n) {
        if (m->matched == 0) {
            const char *cr = memchr(p + at, '\r', n - at);
            size_t plain = cr == NULL ? n - at : (size_t)(cr - p) - at;
            if (plain > 0 && in_part) {
                m->data = (struct str){ p + at, plain };
                *used = at + plain;
                return MULTIPART_DATA;
            }
            at += plain;
            if (at < n) {
                m->matched = 1;
                at++;
            }
            continue;
        }
        if (p[at] == m->delimiter[m->matched]) {
            at++;
            if (++m->matched == m->ndelimiter) {
                *used = at;
                return begin_delimiter_line(m, in_part);
            }
            continue;
        }
        m->data = (struct str){ m->delimiter + m->silent, m->matched - m->silent };
        m->matched = m->silent = 0;
        if (in_part && m->data.n > 0) {
            *used = at;
            return MULTIPART_DATA;
        }
    }
    *used = at;
    return MULTIPART_MORE;
}

enum multipart_event multipart_feed(struct multipart *m, const char *p, size_t n, size_t *used)
{
    size_t at = 0;
    enum multipart_event event = MULTIPART_MORE;
    while (at < n && event == MULTIPART_MORE) {
        size_t taken = 1;
        switch (m->state) {
        case MULTIPART_PREAMBLE:
        case MULTIPART_BODY:
            event = take_body(m, p + at, n - at, &taken);
            break;
        case MULTIPART_AFTER_DELIMITER:
            event = after_delimiter(m, p[at]);
            break;
        case MULTIPART_HEADERS:
            event = take_header(m, p[at]);
            break;
        case MULTIPART_EPILOGUE:
            taken = n - at;
            break;
        case MULTIPART_FAILED:
            taken = n - at;
            event = MULTIPART_BROKEN;
            break;
        }
        at += taken;
    }
    *used = at;
    return event;
}

int multipart_complete(const struct multipart *m)
{
    return m->state == MULTIPART_EPILOGUE;
}
