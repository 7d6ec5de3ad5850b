/* Writing XML 1.0 (fifth edition): what is written can always be read again, as the same text. */
#include "xml.h"

#include <strings.h>

#include "fields.h"

static void put(struct xml *x, const char *p, size_t n)
{
    if (x->err != XML_OK) {
        return;
    }
    if (n > SIZE_MAX - x->n || (x->p != NULL && n > x->size - x->n)) {
        x->err = XML_MEMORY;
        return;
    }
    if (x->p != NULL && n > 0) {
        memcpy(x->p + x->n, p, n);
    }
    x->n += n;
}

static void put_str(struct xml *x, struct str s)
{
    put(x, s.p, s.n);
}

static void fail(struct xml *x, enum xml_err err)
{
    if (x->err == XML_OK) {
        x->err = err;
    }
}

void xml_begin(struct xml *x, char *p, size_t size)
{
    *x = (struct xml){ .p = p, .size = size };
    put_str(x, STR("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"));
}

/* Names of ours are ASCII; xml… is kept for others (2.3). */
static int is_name(struct str s)
{
    if (s.n == 0 || (s.n >= 3 && strncasecmp(s.p, "xml", 3) == 0)) {
        return 0;
    }
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        int begins = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!begins && (i == 0 || !((c >= '0' && c <= '9') || c == '-' || c == '.'))) {
            return 0;
        }
    }
    return 1;
}

/* May an element begin here? */
static int may_begin(struct xml *x, struct str name)
{
    if (!is_name(name)) {
        fail(x, XML_NAME);
    } else if (x->depth == XML_DEPTH_MAX || (x->depth == 0 && x->rooted)) {
        fail(x, XML_NEST);
    }
    return x->err == XML_OK;
}

void xml_open(struct xml *x, struct str name)
{
    if (!may_begin(x, name)) {
        return;
    }
    x->rooted = 1;
    x->open[x->depth++] = name;
    put_str(x, STR("<"));
    put_str(x, name);
    put_str(x, STR(">"));
}

void xml_close(struct xml *x)
{
    if (x->depth == 0) {
        fail(x, XML_NEST);
        return;
    }
    struct str name = x->open[--x->depth];
    put_str(x, STR("</"));
    put_str(x, name);
    put_str(x, STR(">"));
    if (x->depth == 0) {
        put_str(x, STR("\n"));
    }
}

void xml_empty(struct xml *x, struct str name)
{
    if (!may_begin(x, name)) {
        return;
    }
    x->rooted = 1;
    put_str(x, STR("<"));
    put_str(x, name);
    put_str(x, x->depth == 0 ? STR("/>\n") : STR("/>"));
}

/* Bytes of the character at the beginning of S (valid UTF-8) if XML 1.0 has no way to write it; 0
 * otherwise: 2.2 leaves out the controls but tab and ends of line, U+FFFE and U+FFFF. */
static size_t unwritable(struct str s)
{
    unsigned char c = (unsigned char)s.p[0];
    if (c < 0x20) {
        return c != '\t' && c != '\n' && c != '\r';
    }
    if (c == 0xef && s.n >= 3 && (unsigned char)s.p[1] == 0xbf && (unsigned char)s.p[2] >= 0xbe) {
        return 3;
    }
    return 0;
}

static struct str escape(char c)
{
    switch (c) {
    case '&':
        return STR("&amp;");
    case '<':
        return STR("&lt;");
    case '>': /* needed in ]]> only (2.4), and then easily forgotten */
        return STR("&gt;");
    case '\r':
        return STR("&#13;");
    default:
        return (struct str){ NULL, 0 };
    }
}

void xml_text(struct xml *x, struct str text)
{
    if (x->depth == 0) {
        fail(x, XML_NEST);
        return;
    }
    if (!utf8_valid(text, &(size_t){ 0 })) {
        fail(x, XML_TEXT);
        return;
    }
    size_t from = 0;
    for (size_t i = 0; i < text.n && x->err == XML_OK; i++) {
        struct str reference = escape(text.p[i]);
        if (unwritable((struct str){ text.p + i, text.n - i }) > 0) {
            fail(x, XML_TEXT);
        } else if (reference.n > 0) {
            put(x, text.p + from, i - from);
            put_str(x, reference);
            from = i + 1;
        }
    }
    if (text.n > from) {
        put(x, text.p + from, text.n - from);
    }
}

enum xml_err xml_end(struct xml *x)
{
    if (x->depth > 0 || !x->rooted) {
        fail(x, XML_NEST);
    }
    return x->err;
}

struct str xml_clean(struct arena *a, struct str s)
{
    static const struct str replacement = STR("\xef\xbf\xbd"); /* U+FFFD */
    size_t bad = 0;
    for (size_t i = 0; i < s.n; i++) {
        bad += unwritable((struct str){ s.p + i, s.n - i }) > 0;
    }
    if (bad == 0) {
        return s.p == NULL ? STR("") : s;
    }
    char *p = arena_alloc(a, s.n + bad * (replacement.n - 1));
    if (p == NULL) {
        return (struct str){ NULL, 0 };
    }
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        size_t skip = unwritable((struct str){ s.p + i, s.n - i });
        if (skip == 0) {
            p[n++] = s.p[i++];
            continue;
        }
        memcpy(p + n, replacement.p, replacement.n);
        n += replacement.n;
        i += skip;
    }
    return (struct str){ p, n };
}
