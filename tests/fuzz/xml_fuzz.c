// The XML writer under any commands: what it calls a document, another's parser reads as the same
// names and the same text.
// sources: services/common/xml.c services/common/utf8.c services/common/arena.c
// libs: -lexpat
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>

#include "xml.h"

enum { OUT_BYTES = 1 << 20, ARENA_BYTES = 1 << 20 };

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

/* What was written, and what the parser says of it: "<name" … "text" … ">". */
struct track {
    char *p;
    size_t n;
};

static void add(struct track *t, const char *p, size_t n)
{
    if (n > 0) {
        memcpy(t->p + t->n, p, n);
        t->n += n;
    }
}

static void on_start(void *data, const char *name, const char **attributes)
{
    check(attributes[0] == NULL, "there are no attributes");
    add(data, "\x01", 1);
    add(data, name, strlen(name));
    add(data, "\x02", 1);
}

static void on_end(void *data, const char *name)
{
    (void)name;
    add(data, "\x03", 1);
}

static void on_text(void *data, const char *s, int n)
{
    add(data, s, (size_t)n);
}

static void on_other(void *data, const char *target, const char *text)
{
    (void)data;
    (void)target;
    (void)text;
    check(0, "there are no instructions");
}

static void on_comment(void *data, const char *text)
{
    on_other(data, NULL, text);
}

/* Runs the commands of P; TOLD gets what should be read again. */
static enum xml_err run(struct xml *x, const unsigned char *p, size_t n, struct track *told)
{
    while (n >= 2) {
        unsigned what = p[0] % 4;
        size_t length = p[1] > n - 2 ? n - 2 : p[1];
        struct str s = { (const char *)p + 2, length };
        p += 2 + length;
        n -= 2 + length;
        enum xml_err before = x->err;
        if (what == 0) {
            xml_open(x, s);
        } else if (what == 1) {
            xml_close(x);
        } else if (what == 2) {
            xml_text(x, s);
        } else {
            xml_empty(x, s);
        }
        check(before == XML_OK || x->err == before, "the first error stays");
        if (told == NULL || x->err != XML_OK) {
            continue;
        }
        if (what == 0 || what == 3) {
            add(told, "\x01", 1);
            add(told, s.p, s.n);
            add(told, "\x02", 1);
        }
        if (what == 1 || what == 3) {
            add(told, "\x03", 1);
        }
        if (what == 2) {
            add(told, s.p, s.n);
        }
    }
    while (x->depth > 0 && x->err == XML_OK) {
        xml_close(x);
        if (told != NULL) {
            add(told, "\x03", 1);
        }
    }
    return xml_end(x);
}

static void is_read_again(const char *out, size_t n, const struct track *told)
{
    struct track read = { malloc(OUT_BYTES), 0 };
    XML_Parser parser = XML_ParserCreate(NULL);
    XML_SetUserData(parser, &read);
    XML_SetElementHandler(parser, on_start, on_end);
    XML_SetCharacterDataHandler(parser, on_text);
    XML_SetProcessingInstructionHandler(parser, on_other);
    XML_SetCommentHandler(parser, on_comment);
    check(XML_Parse(parser, out, (int)n, 1) == XML_STATUS_OK, "another reads it");
    check(read.n == told->n && memcmp(read.p, told->p, read.n) == 0, "as what was written");
    XML_ParserFree(parser);
    free(read.p);
}

/* Cleaned text is text; text that needs no cleaning stays. */
static void cleaning(struct str s)
{
    struct arena *a = arena_new(ARENA_BYTES);
    struct xml x;
    struct str clean = xml_clean(a, s);
    check(clean.p != NULL, "there is room");
    xml_begin(&x, NULL, 0);
    xml_open(&x, STR("t"));
    xml_text(&x, s);
    int good = x.err == XML_OK;
    check(good == str_eq(s, clean) || s.n == 0, "only what is wrong is changed");
    xml_begin(&x, NULL, 0);
    xml_open(&x, STR("t"));
    xml_text(&x, clean);
    check(x.err == XML_OK, "cleaned text is taken");
    arena_free(a);
}

int utf8_valid(struct str s, size_t *at);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size > 4096) {
        return 0;
    }
    struct str all = { (const char *)data, size };
    if (utf8_valid(all, &(size_t){ 0 })) {
        cleaning(all);
    }
    struct xml x;
    xml_begin(&x, NULL, 0);
    enum xml_err err = run(&x, data, size, NULL);
    if (err != XML_OK) {
        return 0;
    }
    size_t needed = x.n;
    char *out = malloc(needed);
    struct track told = { malloc(OUT_BYTES), 0 };
    xml_begin(&x, out, needed);
    check(run(&x, data, size, &told) == XML_OK && x.n == needed, "the count was exact");
    is_read_again(out, needed, &told);
    xml_begin(&x, out, needed - 1);
    check(run(&x, data, size, NULL) == XML_MEMORY, "a byte less is too little");
    free(out);
    free(told.p);
    return 0;
}
