// XML: what is written is read by another's parser as what was meant; what XML cannot hold is
// refused.
// sources: services/common/xml.c services/common/utf8.c services/common/arena.c
// libs: -lexpat
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>

#include "xml.h"

static void is(const struct xml *x, const char *wanted)
{
    char all[512];
    snprintf(all, sizeof all, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n%s", wanted);
    assert_int_equal(x->n, strlen(all));
    assert_memory_equal(x->p, all, x->n);
}

static void elements_and_text(void **state)
{
    (void)state;
    char p[512];
    struct xml x;
    xml_begin(&x, p, sizeof p);
    xml_open(&x, STR("a"));
    xml_open(&x, STR("b.c-d_1"));
    xml_text(&x, STR("Яма & <лужа> ]]> \"'"));
    xml_close(&x);
    xml_empty(&x, STR("e"));
    xml_close(&x);
    assert_int_equal(xml_end(&x), XML_OK);
    is(&x, "<a><b.c-d_1>Яма &amp; &lt;лужа&gt; ]]&gt; \"'</b.c-d_1><e/></a>\n");
    xml_begin(&x, p, sizeof p);
    xml_empty(&x, STR("errors"));
    assert_int_equal(xml_end(&x), XML_OK);
    is(&x, "<errors/>\n");
}

struct reading {
    char text[512];
    size_t n;
};

static void on_text(void *data, const char *s, int n)
{
    struct reading *r = data;
    assert_true(r->n + (size_t)n < sizeof r->text);
    memcpy(r->text + r->n, s, (size_t)n);
    r->n += (size_t)n;
}

static void is_read_again(struct str text)
{
    char p[2048];
    struct xml x;
    struct reading r = { .n = 0 };
    xml_begin(&x, p, sizeof p);
    xml_open(&x, STR("t"));
    xml_text(&x, text);
    xml_close(&x);
    assert_int_equal(xml_end(&x), XML_OK);
    XML_Parser parser = XML_ParserCreate(NULL);
    XML_SetUserData(parser, &r);
    XML_SetCharacterDataHandler(parser, on_text);
    assert_int_equal(XML_Parse(parser, p, (int)x.n, 1), XML_STATUS_OK);
    XML_ParserFree(parser);
    assert_int_equal(r.n, text.n);
    assert_memory_equal(r.text, text.p, text.n);
}

static void text_is_read_as_it_was(void **state)
{
    (void)state;
    static const char *const texts[] = { "",
                                         " ",
                                         "a\r\nb\rc\n\td",
                                         "&amp;&#13;<![CDATA[x]]>",
                                         "]]>",
                                         "--> ?> <?xml?>",
                                         "Съёмка №5 — «ёлка» 🐈 \xf0\x9f\x9a\xa7",
                                         "\x7f\xc2\x80\xc2\x85",
                                         "\xef\xbf\xbd\xef\xbb\xbf" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        is_read_again(str_of(texts[i]));
    }
}

/* Every character there is, one by one: taken exactly if another's parser takes it. */
static void all_characters(void **state)
{
    (void)state;
    char c[4], p[256], other[64];
    for (unsigned u = 1; u < 0x110000; u++) {
        if (u >= 0xd800 && u < 0xe000) {
            continue;
        }
        if (u >= 0x3000 && u < 0xfff0 && u % 97 != 0) {
            continue; /* the same as their neighbours */
        }
        if (u > 0x10010 && u % 4099 != 0 && (u & 0xffff) < 0xfff0) {
            continue;
        }
        size_t n = 0;
        if (u < 0x80) {
            c[n++] = (char)u;
        } else if (u < 0x800) {
            c[n++] = (char)(0xc0 | u >> 6);
            c[n++] = (char)(0x80 | (u & 0x3f));
        } else if (u < 0x10000) {
            c[n++] = (char)(0xe0 | u >> 12);
            c[n++] = (char)(0x80 | (u >> 6 & 0x3f));
            c[n++] = (char)(0x80 | (u & 0x3f));
        } else {
            c[n++] = (char)(0xf0 | u >> 18);
            c[n++] = (char)(0x80 | (u >> 12 & 0x3f));
            c[n++] = (char)(0x80 | (u >> 6 & 0x3f));
            c[n++] = (char)(0x80 | (u & 0x3f));
        }
        struct xml x;
        xml_begin(&x, p, sizeof p);
        xml_open(&x, STR("t"));
        xml_text(&x, (struct str){ c, n });
        xml_close(&x);
        enum xml_err err = xml_end(&x);
        int length = snprintf(other, sizeof other, "<t>%.*s</t>", (int)n, c);
        XML_Parser parser = XML_ParserCreate("UTF-8");
        int taken = XML_Parse(parser, other, length, 1) == XML_STATUS_OK;
        XML_ParserFree(parser);
        if (u == '&' || u == '<') {
            taken = 1;
        }
        if ((err == XML_OK) != taken) {
            fail_msg("U+%04X: ours %d, theirs %d", u, err, taken);
        }
    }
}

static enum xml_err err_of_text(struct str text)
{
    struct xml x;
    xml_begin(&x, NULL, 0);
    xml_open(&x, STR("t"));
    xml_text(&x, text);
    xml_close(&x);
    return xml_end(&x);
}

static void what_xml_cannot_hold_is_refused(void **state)
{
    (void)state;
    static const struct str bad[] = { STR("a\0b"),         STR("\x01"),         STR("\x0b"),
                                      STR("\x1f"),         STR("\xff"),         STR("\xc0\x80"),
                                      STR("\xed\xa0\x80"), STR("\xef\xbf\xbe"), STR("\xef\xbf\xbf"),
                                      STR("x\xd0") };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(err_of_text(bad[i]), XML_TEXT);
    }
    static const struct str names[] = { STR(""),    STR("1a"),  STR("-a"),  STR("a b"), STR("a>"),
                                        STR("яма"), STR("a:b"), STR("XmL"), STR("a\0") };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct xml x;
        xml_begin(&x, NULL, 0);
        xml_empty(&x, names[i]);
        assert_int_equal(xml_end(&x), XML_NAME);
    }
}

static void nesting_is_kept(void **state)
{
    (void)state;
    struct xml x;
    xml_begin(&x, NULL, 0);
    assert_int_equal(xml_end(&x), XML_NEST);
    xml_begin(&x, NULL, 0);
    xml_open(&x, STR("a"));
    assert_int_equal(xml_end(&x), XML_NEST);
    xml_begin(&x, NULL, 0);
    xml_close(&x);
    assert_int_equal(x.err, XML_NEST);
    xml_begin(&x, NULL, 0);
    xml_empty(&x, STR("a"));
    xml_empty(&x, STR("b"));
    assert_int_equal(xml_end(&x), XML_NEST);
    xml_begin(&x, NULL, 0);
    xml_text(&x, STR("a"));
    assert_int_equal(x.err, XML_NEST);
    xml_begin(&x, NULL, 0);
    for (int i = 0; i < XML_DEPTH_MAX; i++) {
        xml_open(&x, STR("a"));
        assert_int_equal(x.err, XML_OK);
    }
    xml_open(&x, STR("a"));
    assert_int_equal(x.err, XML_NEST);
}

/* Counting says what writing needs; a byte less is too little, and nothing is written behind it. */
static void the_count_is_exact(void **state)
{
    (void)state;
    char p[256];
    size_t size = 0;
    for (int round = 0; round < 3; round++) {
        struct xml x;
        memset(p, '#', sizeof p);
        xml_begin(&x, round == 0 ? NULL : p, size - (round == 2));
        xml_open(&x, STR("root"));
        xml_text(&x, STR("<&>\r"));
        xml_empty(&x, STR("e"));
        xml_close(&x);
        assert_int_equal(xml_end(&x), round == 2 ? XML_MEMORY : XML_OK);
        if (round == 0) {
            size = x.n;
        } else {
            assert_int_equal(p[size - (round == 2)], '#');
        }
    }
}

static void cleaning_keeps_all_else(void **state)
{
    (void)state;
    struct arena *a = arena_new(4096);
    struct str good = STR("Яма \t\r\n 🐈");
    assert_ptr_equal(xml_clean(a, good).p, good.p);
    struct str clean = xml_clean(a, STR("a\x01"
                                        "b\xef\xbf\xbf\xef\xbf\xbe"
                                        "c\x1f"));
    struct str wanted = STR("a\xef\xbf\xbd"
                            "b\xef\xbf\xbd\xef\xbf\xbd"
                            "c\xef\xbf\xbd");
    assert_true(str_eq(clean, wanted));
    assert_int_equal(err_of_text(clean), XML_OK);
    assert_int_equal(xml_clean(a, (struct str){ NULL, 0 }).n, 0);
    arena_free(a);
    a = arena_new(64);
    char many[200];
    memset(many, 1, sizeof many);
    assert_null(xml_clean(a, (struct str){ many, sizeof many }).p);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_and_text),
        cmocka_unit_test(text_is_read_as_it_was),
        cmocka_unit_test(all_characters),
        cmocka_unit_test(what_xml_cannot_hold_is_refused),
        cmocka_unit_test(nesting_is_kept),
        cmocka_unit_test(the_count_is_exact),
        cmocka_unit_test(cleaning_keeps_all_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
