/* HTML pages: templates are compiled once to an array of nodes and rendered with every value
 * escaped. */
#include "template.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define FILE_MAX_BYTES (256u * 1024)          /* one template or part */
#define TEMPLATE_MAX_BYTES (4u * 1024 * 1024) /* a page with all its parts, compiled */
#define NESTING_MAX \
    16 /* sections inside sections, parts inside parts; bounds the recursion of both passes */
#define NAME_MAX_BYTES 128 /* of a tag */

enum node_kind { NODE_TEXT, NODE_VALUE, NODE_SECTION, NODE_INVERTED };

struct node {
    enum node_kind kind;
    struct str text;         /* NODE_TEXT: as it is sent */
    const char *const *path; /* the others: a.b.c in pieces; no pieces for {{.}} */
    size_t npath;
    size_t end; /* sections: index of the first node behind them */
};

struct template
{
    struct arena *arena; /* owns everything below and the texts */
    struct node *nodes;
    size_t n;
    size_t room;
};

/* Where in the HTML the text read so far ends. Escaping makes a value harmless in text and in
 * quoted attributes, and nowhere else: the loader refuses a value in any other place, so that a
 * page which loads cannot be broken out of. */
struct html {
    enum { HTML_TEXT, HTML_OPEN, HTML_TAG, HTML_DOUBLE, HTML_SINGLE, HTML_RAW } state;
    char tag[16];  /* name of the tag being read, or of the raw element (script, style) we are in; a
                      leading '/' is kept */
    char attr[16]; /* attribute being read, lower case, cut */
    size_t ntag, nattr;
    char last;        /* byte before the next one */
    int value_begins; /* nothing but blanks since the opening quote, in one way through sections */
    int equals;       /* an attribute's value is next */
    int unquoted;     /* in a value without quotes, where a quote is a letter like others */
    int cut;          /* a section began or ended behind a letter of an attribute's name */
};

struct frame {
    const char *name;
    const struct frame *outer;
    size_t depth;
};

struct compiler {
    struct template *t;
    const char *dir;
    struct html html;
    struct {
        size_t node;
        int html;         /* state of the markup where it began */
        int value_begins; /* there, too: it may print nothing */
    } open[NESTING_MAX];  /* sections */
    size_t nopen;
    char *err;
    size_t errlen;
};

struct source {
    const char *name;
    const char *p;
    size_t n;
};

struct tag {
    char sigil; /* # ^ / > !, or 0 for a value */
    struct str name;
    size_t begin; /* of the first brace */
    size_t end;   /* behind the last one */
};

struct scope {
    yajl_val value;
    const struct scope *outer;
};

struct page {
    const struct template *t;
    const yajl_val *roots;
    size_t nroots;
    char *out; /* NULL while only the length is counted */
    size_t n;
};

static int compile_file(struct compiler *c, const char *name, const struct frame *outer);

static int fail(struct compiler *c, const struct source *s, size_t at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Writes "FILE:LINE: why" and returns -1, so that callers can pass it on. */
static int fail(struct compiler *c, const struct source *s, size_t at, const char *format, ...)
{
    size_t line = 1;
    for (size_t i = 0; i < at && i < s->n; i++) {
        line += s->p[i] == '\n';
    }
    int used = snprintf(c->err, c->errlen, "%s/%s.html:%zu: ", c->dir, s->name, line);
    if (used >= 0 && (size_t)used < c->errlen) {
        va_list args;
        va_start(args, format);
        vsnprintf(c->err + used, c->errlen - (size_t)used, format, args);
        va_end(args);
    }
    return -1;
}

static int is_blank(char b)
{
    return b == ' ' || b == '\t' || b == '\r';
}

static int is_raw_element(const char *tag)
{
    return strcmp(tag, "script") == 0 || strcmp(tag, "style") == 0;
}

static void push_lower(char *buffer, size_t size, size_t *n, char b)
{
    if (*n + 1 < size) {
        buffer[(*n)++] = (char)tolower((unsigned char)b);
        buffer[*n] = '\0';
    }
}

static void html_tag_ends(struct html *h)
{
    h->state = is_raw_element(h->tag) ? HTML_RAW : HTML_TEXT;
}

static void html_in_tag(struct html *h, char b)
{
    char before = h->last;

    if (b == '>') {
        html_tag_ends(h);
    } else if (isspace((unsigned char)b)) {
        h->unquoted = h->cut = 0;
    } else if (h->equals && (b == '"' || b == '\'')) {
        h->state = b == '"' ? HTML_DOUBLE : HTML_SINGLE;
        h->value_begins = 1;
        h->equals = 0;
    } else if (h->equals || h->unquoted) {
        h->unquoted = 1;
        h->equals = 0;
    } else if (b == '=') {
        h->equals = 1;
        h->cut = 0;
    } else if (b != '/') {
        if (isspace((unsigned char)before) || before == '"' || before == '\'' || before == '/') {
            h->nattr = 0;
        }
        if (h->cut) { /* who knows which name it becomes: take it for code */
            memcpy(h->attr, "on", sizeof "on");
            h->nattr = 2;
        }
        push_lower(h->attr, sizeof h->attr, &h->nattr, b);
    }
}

/* A section begins or ends here. */
static void html_forks(struct html *h)
{
    h->cut = h->cut || (h->state == HTML_TAG && !h->equals && !h->unquoted && h->nattr > 0 &&
                        !isspace((unsigned char)h->last) && h->last != '"' && h->last != '\'');
}

static void html_open(struct html *h, char b)
{
    if (h->ntag == 0 && !isalpha((unsigned char)b) && b != '/') {
        h->state = HTML_TEXT; /* "a < b", "<!doctype": no tag */
    } else if (b == '>') {
        html_tag_ends(h);
    } else if (isspace((unsigned char)b) || (b == '/' && h->ntag > 0)) {
        h->state = HTML_TAG;
        h->nattr = 0;
        h->equals = h->unquoted = h->cut = 0;
    } else {
        push_lower(h->tag, sizeof h->tag, &h->ntag, b);
    }
}

static int raw_element_ends(const struct html *h, struct str rest)
{
    return rest.n >= 2 + h->ntag && rest.p[0] == '<' && rest.p[1] == '/' &&
           strncasecmp(rest.p + 2, h->tag, h->ntag) == 0;
}

/* Follows the markup over one piece of text. */
static void html_feed(struct html *h, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char b = text.p[i];
        /* Browsers pass over blanks and controls where an address begins. */
        h->value_begins = h->value_begins && (unsigned char)b <= ' ';
        switch (h->state) {
        case HTML_TEXT:
            if (b == '<') {
                h->state = HTML_OPEN;
                h->ntag = 0;
            }
            break;
        case HTML_OPEN:
            html_open(h, b);
            break;
        case HTML_TAG:
            html_in_tag(h, b);
            break;
        case HTML_DOUBLE:
        case HTML_SINGLE:
            if (b == (h->state == HTML_DOUBLE ? '"' : '\'')) {
                h->state = HTML_TAG;
            }
            break;
        case HTML_RAW:
            if (raw_element_ends(h, (struct str){ text.p + i, text.n - i })) {
                h->state = HTML_OPEN;
                h->ntag = 0;
            }
            break;
        }
        h->last = b;
    }
}

/* NULL if a value may stand here, else why not. */
static const char *html_refuses(const struct html *h)
{
    static const char *const urls[] = { "href",   "src",    "action",     "formaction", "data",
                                        "srcset", "poster", "xlink:href", NULL };

    switch (h->state) {
    case HTML_TEXT:
        return NULL;
    case HTML_OPEN:
    case HTML_TAG:
        return "a value inside a tag must stand in quotes";
    case HTML_RAW:
        return "no value may stand in a script or style";
    case HTML_DOUBLE:
    case HTML_SINGLE:
        break;
    }
    if (strncmp(h->attr, "on", 2) == 0 || strcmp(h->attr, "style") == 0 ||
        strcmp(h->attr, "srcdoc") == 0) {
        return "no value may stand in an attribute that is code";
    }
    for (size_t i = 0; h->value_begins && urls[i] != NULL; i++) {
        if (strcmp(h->attr, urls[i]) == 0) {
            return "an address must not begin with a value";
        }
    }
    return NULL;
}

static struct node *add_node(struct compiler *c, enum node_kind kind)
{
    struct template *t = c->t;
    if (t->n == t->room) {
        size_t room = t->room == 0 ? 64 : 2 * t->room;
        struct node *grown = arena_zero(t->arena, room * sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        if (t->n > 0) {
            memcpy(grown, t->nodes, t->n * sizeof *grown);
        }
        t->nodes = grown;
        t->room = room;
    }
    struct node *node = &t->nodes[t->n++];
    node->kind = kind;
    return node;
}

static int add_text(struct compiler *c, const struct source *s, size_t from, size_t to)
{
    if (from >= to) {
        return 0;
    }
    struct node *node = add_node(c, NODE_TEXT);
    if (node == NULL) {
        return fail(c, s, from, "out of memory");
    }
    node->text = (struct str){ s->p + from, to - from };
    for (size_t i = from; i + 4 <= to; i++) {
        if (memcmp(s->p + i, "<!--", 4) == 0) {
            return fail(c, s, i, "a comment is written {{! so }}");
        }
    }
    html_feed(&c->html, node->text);
    return 0;
}

/* Cuts NAME at its dots; {{.}} has no pieces. */
static int set_path(struct compiler *c, const struct source *s, const struct tag *tag,
                    struct node *node)
{
    if (tag->name.n == 1 && tag->name.p[0] == '.') {
        return 0;
    }
    size_t pieces = 1;
    for (size_t i = 0; i < tag->name.n; i++) {
        pieces += tag->name.p[i] == '.';
    }
    struct str copy = arena_dup(c->t->arena, tag->name);
    const char **path = arena_alloc(c->t->arena, pieces * sizeof *path);
    if (copy.p == NULL || path == NULL) {
        return fail(c, s, tag->begin, "out of memory");
    }
    char *piece = (char *)copy.p; /* ours since arena_dup */
    for (size_t i = 0; i < pieces; i++) {
        char *dot = strchr(piece, '.');
        if (dot != NULL) {
            *dot = '\0';
        }
        if (*piece == '\0') {
            return fail(c, s, tag->begin, "an empty piece in the name");
        }
        path[i] = piece;
        piece = dot == NULL ? piece : dot + 1;
    }
    node->path = path;
    node->npath = pieces;
    return 0;
}

/* The state a section must end in. Behind a tag's name begins its inside. */
static int html_state(const struct html *h)
{
    return h->state == HTML_OPEN ? HTML_TAG : (int)h->state;
}

static int open_section(struct compiler *c, const struct source *s, const struct tag *tag)
{
    if (c->nopen == NESTING_MAX) {
        return fail(c, s, tag->begin, "sections nest deeper than %d", NESTING_MAX);
    }
    struct node *node = add_node(c, tag->sigil == '#' ? NODE_SECTION : NODE_INVERTED);
    if (node == NULL) {
        return fail(c, s, tag->begin, "out of memory");
    }
    html_forks(&c->html);
    c->open[c->nopen].html = html_state(&c->html);
    c->open[c->nopen].value_begins = c->html.value_begins;
    c->open[c->nopen++].node = c->t->n - 1;
    return set_path(c, s, tag, node);
}

static int path_is(const struct node *node, struct str name)
{
    size_t at = 0;
    for (size_t i = 0; i < node->npath; i++) {
        size_t n = strlen(node->path[i]);
        if (i > 0 && (at >= name.n || name.p[at++] != '.')) {
            return 0;
        }
        if (name.n - at < n || memcmp(name.p + at, node->path[i], n) != 0) {
            return 0;
        }
        at += n;
    }
    return node->npath == 0 ? str_eq(name, STR(".")) : at == name.n;
}

static int close_section(struct compiler *c, const struct source *s, const struct tag *tag,
                         size_t bottom)
{
    if (c->nopen == bottom) {
        return fail(c, s, tag->begin, "{{/%.*s}} closes nothing", (int)tag->name.n, tag->name.p);
    }
    struct node *node = &c->t->nodes[c->open[c->nopen - 1].node];
    if (!path_is(node, tag->name)) {
        return fail(c, s, tag->begin, "{{/%.*s}} closes another section", (int)tag->name.n,
                    tag->name.p);
    }
    if (c->open[c->nopen - 1].html != html_state(&c->html)) {
        return fail(c, s, tag->begin, "section %.*s cuts a tag in two", (int)tag->name.n,
                    tag->name.p);
    }
    node->end = c->t->n;
    c->nopen--;
    html_forks(&c->html);
    c->html.value_begins = c->html.value_begins || c->open[c->nopen].value_begins;
    return 0;
}

static int add_value(struct compiler *c, const struct source *s, const struct tag *tag)
{
    const char *why = html_refuses(&c->html);
    if (why != NULL) {
        return fail(c, s, tag->begin, "{{%.*s}}: %s", (int)tag->name.n, tag->name.p, why);
    }
    struct node *node = add_node(c, NODE_VALUE);
    if (node == NULL) {
        return fail(c, s, tag->begin, "out of memory");
    }
    c->html.value_begins = 0;
    return set_path(c, s, tag, node);
}

static int add_part(struct compiler *c, const struct source *s, const struct tag *tag,
                    const struct frame *frame)
{
    for (size_t i = 0; i < tag->name.n; i++) {
        if (tag->name.p[i] == '.') { /* never out of the directory */
            return fail(c, s, tag->begin, "a part's name has no dots");
        }
    }
    struct str name = arena_dup(c->t->arena, tag->name);
    if (name.p == NULL) {
        return fail(c, s, tag->begin, "out of memory");
    }
    if (frame->depth == NESTING_MAX) {
        return fail(c, s, tag->begin, "parts nest deeper than %d", NESTING_MAX);
    }
    for (const struct frame *f = frame; f != NULL; f = f->outer) {
        if (strcmp(f->name, name.p) == 0) {
            return fail(c, s, tag->begin, "part %s includes itself", name.p);
        }
    }
    return compile_file(c, name.p, frame);
}

/* Where the next two BRACEs stand from AT on; s->n if nowhere. */
static size_t find_braces(const struct source *s, size_t at, char brace)
{
    for (size_t i = at; i + 1 < s->n; i++) {
        if (s->p[i] == brace && s->p[i + 1] == brace) {
            return i;
        }
    }
    return s->n;
}

/* Reads the tag whose braces open at BEGIN. */
static int read_tag(struct compiler *c, const struct source *s, size_t begin, struct tag *tag)
{
    size_t close = find_braces(s, begin + 2, '}');
    if (close == s->n) {
        return fail(c, s, begin, "{{ is not closed");
    }
    struct str in = { s->p + begin + 2, close - begin - 2 };
    *tag = (struct tag){ .begin = begin, .end = close + 2 };
    if (in.n > 0 && strchr("#^/>!", in.p[0]) != NULL) {
        tag->sigil = in.p[0];
        in.p++;
        in.n--;
    }
    while (in.n > 0 && isspace((unsigned char)in.p[0])) {
        in.p++;
        in.n--;
    }
    while (in.n > 0 && isspace((unsigned char)in.p[in.n - 1])) {
        in.n--;
    }
    tag->name = in;
    if (tag->sigil == '!') {
        return 0;
    }
    if (in.n == 0 || in.n > NAME_MAX_BYTES) {
        return fail(c, s, begin, "a tag has a name of 1 to %d bytes", NAME_MAX_BYTES);
    }
    for (size_t i = 0; i < in.n; i++) {
        if (!isalnum((unsigned char)in.p[i]) && strchr("_-.", in.p[i]) == NULL) {
            return fail(c, s, begin, "a name is made of letters, digits, _ - and .");
        }
    }
    return 0;
}

/* A tag that prints nothing itself and stands alone on its line takes the line with it. Returns
 * where the text before it ends; *end moves behind the line. */
static size_t swallow_line(const struct source *s, const struct tag *tag, size_t *end)
{
    size_t from = tag->begin;
    while (from > 0 && is_blank(s->p[from - 1])) {
        from--;
    }
    size_t to = tag->end;
    while (to < s->n && is_blank(s->p[to])) {
        to++;
    }
    if (tag->sigil == 0 || (from > 0 && s->p[from - 1] != '\n') ||
        (to < s->n && s->p[to] != '\n')) {
        *end = tag->end;
        return tag->begin;
    }
    *end = to < s->n ? to + 1 : to;
    return from;
}

static int compile_tag(struct compiler *c, const struct source *s, const struct tag *tag,
                       const struct frame *frame, size_t bottom)
{
    switch (tag->sigil) {
    case '#':
    case '^':
        return open_section(c, s, tag);
    case '/':
        return close_section(c, s, tag, bottom);
    case '>':
        return add_part(c, s, tag, frame);
    case '!':
        return 0;
    default:
        return add_value(c, s, tag);
    }
}

static int compile_source(struct compiler *c, const struct source *s, const struct frame *frame)
{
    size_t bottom = c->nopen;
    size_t at = 0;
    while (at < s->n) {
        size_t brace = find_braces(s, at, '{');
        if (brace == s->n) {
            break;
        }
        struct tag tag = { 0 };
        if (read_tag(c, s, brace, &tag) != 0) {
            return -1;
        }
        size_t end;
        size_t text_end = swallow_line(s, &tag, &end);
        if (add_text(c, s, at, text_end) != 0 || compile_tag(c, s, &tag, frame, bottom) != 0) {
            return -1;
        }
        at = end;
    }
    if (c->nopen != bottom) {
        return fail(c, s, s->n, "a section is not closed");
    }
    return add_text(c, s, at, s->n);
}

/* Reads a whole file into the template's arena. */
static int read_file(struct compiler *c, const char *path, struct source *s)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        snprintf(c->err, c->errlen, "%s: %s", path, strerror(errno));
        return -1;
    }
    int rc = -1;
    char *bytes = malloc(FILE_MAX_BYTES + 1);
    size_t n = bytes == NULL ? 0 : fread(bytes, 1, FILE_MAX_BYTES + 1, f);
    struct str copy = { NULL, 0 };
    if (bytes == NULL) {
        snprintf(c->err, c->errlen, "%s: out of memory", path);
    } else if (ferror(f)) {
        snprintf(c->err, c->errlen, "%s: %s", path, strerror(errno));
    } else if (n > FILE_MAX_BYTES) {
        snprintf(c->err, c->errlen, "%s: larger than %u bytes", path, FILE_MAX_BYTES);
    } else {
        copy = arena_dup(c->t->arena, (struct str){ bytes, n });
        rc = copy.p == NULL ? -1 : 0;
        if (rc != 0) {
            snprintf(c->err, c->errlen, "%s: out of memory", path);
        }
    }
    free(bytes);
    fclose(f);
    s->p = copy.p;
    s->n = copy.n;
    return rc;
}

static int compile_file(struct compiler *c, const char *name, const struct frame *outer)
{
    struct str path = arena_printf(c->t->arena, "%s/%s.html", c->dir, name);
    if (path.p == NULL) {
        snprintf(c->err, c->errlen, "%s: out of memory", name);
        return -1;
    }
    struct source s = { .name = name };
    if (read_file(c, path.p, &s) != 0) {
        return -1;
    }
    struct frame frame = { name, outer, outer == NULL ? 1 : outer->depth + 1 };
    return compile_source(c, &s, &frame);
}

struct template *template_load(const char *dir, const char *name, char *err, size_t errlen)
{
    struct arena *arena = arena_new(TEMPLATE_MAX_BYTES);
    struct template *t = arena == NULL ? NULL : arena_zero(arena, sizeof *t);
    if (t == NULL) {
        snprintf(err, errlen, "%s: out of memory", name);
        if (arena != NULL) {
            arena_free(arena);
        }
        return NULL;
    }
    t->arena = arena;
    struct compiler c = { .t = t, .dir = dir, .err = err, .errlen = errlen };
    if (compile_file(&c, name, NULL) != 0) {
        arena_free(arena);
        return NULL;
    }
    return t;
}

static yajl_val member(yajl_val object, const char *name)
{
    if (!YAJL_IS_OBJECT(object)) {
        return NULL;
    }
    for (size_t i = 0; i < YAJL_GET_OBJECT(object)->len; i++) {
        if (strcmp(YAJL_GET_OBJECT(object)->keys[i], name) == 0) {
            return YAJL_GET_OBJECT(object)->values[i];
        }
    }
    return NULL;
}

/* The first piece of the name decides whose it is; the rest is looked for only there. */
static yajl_val find(const struct page *p, const struct scope *scope, const struct node *node)
{
    if (node->npath == 0) {
        return scope == NULL ? NULL : scope->value;
    }
    yajl_val found = NULL;
    for (const struct scope *s = scope; s != NULL && found == NULL; s = s->outer) {
        found = member(s->value, node->path[0]);
    }
    for (size_t i = 0; i < p->nroots && found == NULL; i++) {
        found = member(p->roots[i], node->path[0]);
    }
    for (size_t i = 1; i < node->npath && found != NULL; i++) {
        found = member(found, node->path[i]);
    }
    return found;
}

static void put(struct page *p, const char *bytes, size_t n)
{
    if (p->out != NULL) {
        memcpy(p->out + p->n, bytes, n);
    }
    p->n += n;
}

static void put_escaped(struct page *p, const char *s)
{
    for (;;) {
        size_t plain = strcspn(s, "&<>\"'");
        put(p, s, plain);
        s += plain;
        switch (*s) {
        case '&':
            put(p, "&amp;", 5);
            break;
        case '<':
            put(p, "&lt;", 4);
            break;
        case '>':
            put(p, "&gt;", 4);
            break;
        case '"':
            put(p, "&quot;", 6);
            break;
        case '\'':
            put(p, "&#39;", 5);
            break;
        default:
            return;
        }
        s++;
    }
}

static void put_value(struct page *p, yajl_val v)
{
    if (YAJL_IS_STRING(v)) {
        put_escaped(p, YAJL_GET_STRING(v));
    } else if (YAJL_IS_NUMBER(v)) {
        put_escaped(p, YAJL_GET_NUMBER(v));
    }
}

/* Nothing, false, null, "" and [] are no; all else, 0 too, is yes. */
static int is_yes(yajl_val v)
{
    if (v == NULL || YAJL_IS_NULL(v) || YAJL_IS_FALSE(v)) {
        return 0;
    }
    if (YAJL_IS_STRING(v)) {
        return YAJL_GET_STRING(v)[0] != '\0';
    }
    return !YAJL_IS_ARRAY(v) || YAJL_GET_ARRAY(v)->len > 0;
}

static void put_nodes(struct page *p, size_t from, size_t to, const struct scope *scope);

static void put_section(struct page *p, size_t at, yajl_val v, const struct scope *scope)
{
    size_t end = p->t->nodes[at].end;
    size_t times = YAJL_IS_ARRAY(v) ? YAJL_GET_ARRAY(v)->len : 1;
    for (size_t k = 0; k < times; k++) {
        struct scope inner = { YAJL_IS_ARRAY(v) ? YAJL_GET_ARRAY(v)->values[k] : v, scope };
        put_nodes(p, at + 1, end, &inner);
    }
}

/* Recursion is bounded by NESTING_MAX, checked when the template was compiled. */
static void put_nodes(struct page *p, size_t from, size_t to, const struct scope *scope)
{
    size_t i = from;
    while (i < to) {
        const struct node *node = &p->t->nodes[i];
        if (node->kind == NODE_TEXT) {
            put(p, node->text.p, node->text.n);
            i++;
            continue;
        }
        yajl_val v = find(p, scope, node);
        if (node->kind == NODE_VALUE) {
            put_value(p, v);
            i++;
            continue;
        }
        if (node->kind == NODE_INVERTED && !is_yes(v)) {
            put_nodes(p, i + 1, node->end, scope);
        } else if (node->kind == NODE_SECTION && is_yes(v)) {
            put_section(p, i, v, scope);
        }
        i = node->end;
    }
}

/* Two passes over the same data: the arena cannot grow a block, so the length is counted first. */
struct str template_render(const struct template *t, const yajl_val *roots, size_t nroots,
                           struct arena *a)
{
    struct page p = { .t = t, .roots = roots, .nroots = nroots };
    put_nodes(&p, 0, t->n, NULL);
    size_t n = p.n;
    p.out = arena_alloc(a, n + 1);
    if (p.out == NULL) {
        return (struct str){ NULL, 0 };
    }
    p.n = 0;
    put_nodes(&p, 0, t->n, NULL);
    p.out[n] = '\0';
    return (struct str){ p.out, n };
}
