// sources: services/common/template.c services/common/arena.c
// libs: -lyajl
/* Templates print what they are given, escaped, and refuse what could not be made safe. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "template.h"

static char dir[64];
static char written[32][32]; /* names of the files to remove at the end */
static size_t nwritten;

static void write_file(const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s.html", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    for (size_t i = 0; i < nwritten; i++) {
        if (strcmp(written[i], name) == 0) {
            return;
        }
    }
    assert_true(nwritten < sizeof written / sizeof written[0]);
    snprintf(written[nwritten++], sizeof written[0], "%s", name);
}

/* A loaded template lives as long as the program; these stay reachable, so that a leak checker
 * knows. */
static struct template *keep[128];
static size_t nkeep;

static struct template *load(const char *text)
{
    char err[256] = "";
    write_file("page", text);
    struct template *t = template_load(dir, "page", err, sizeof err);
    if (t == NULL) {
        fail_msg("%s", err);
    }
    keep[nkeep++] = t;
    /* cppcheck-suppress CastIntegerToAddressAtReturn ; it takes "template" for C++ */
    return t;
}

static void expect(const char *text, const char *json, const char *wanted)
{
    struct template *t = load(text);
    char err[256];
    yajl_val root = yajl_tree_parse(json, err, sizeof err);
    assert_non_null(root);
    struct arena *a = arena_new(1 << 20);
    struct str got = template_render(t, &root, 1, a);
    assert_non_null(got.p);
    assert_string_equal(got.p, wanted);
    assert_int_equal(got.n, strlen(wanted));
    arena_free(a);
    yajl_tree_free(root);
}

static void expect_refused(const char *text, const char *why)
{
    char err[256] = "";
    write_file("page", text);
    assert_null(template_load(dir, "page", err, sizeof err));
    if (strstr(err, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err, why);
    }
}

static void values_are_escaped(void **state)
{
    (void)state;
    expect(
        "<p title=\"{{x}}\">{{x}}</p>", "{\"x\":\"<b a='1' c=\\\"2\\\">&amp;\"}",
        "<p title=\"&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;amp;\">&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;amp;</p>");
    expect("{{x}}", "{\"x\":\"</script><script>alert(1)</script>\"}",
           "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;");
    expect("{{x}} {{y}}", "{\"x\":\"{{y}}\",\"y\":\"{{#x}}\"}", "{{y}} {{#x}}");
    expect("{{x}}", "{\"x\":\"Улица «Мира» — №5\"}", "Улица «Мира» — №5");
}

static void numbers_keep_their_digits(void **state)
{
    (void)state;
    expect("{{a}} {{b}} {{c}}", "{\"a\":10,\"b\":-0.50,\"c\":12345678901234567890}",
           "10 -0.50 12345678901234567890");
}

static void what_is_missing_prints_nothing(void **state)
{
    (void)state;
    expect("[{{a}}{{b.c}}{{d}}{{e}}{{f}}{{g}}{{.}}]",
           "{\"b\":{\"x\":1},\"d\":null,\"e\":true,\"f\":{},\"g\":[1]}", "[]");
}

static void names_reach_inwards(void **state)
{
    (void)state;
    expect("{{a.b.c}}", "{\"a\":{\"b\":{\"c\":\"deep\"}}}", "deep");
    expect("{{a.b.c}}", "{\"a\":{\"b\":\"not an object\"}}", "");
}

static void a_section_is_an_if(void **state)
{
    (void)state;
    expect("{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":true}", "yes");
    expect("{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":false}", "no");
    expect("{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":null}", "no");
    expect("{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":\"\"}", "no");
    expect("{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":[]}", "no");
    expect("{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{}", "no");
    expect("{{#a}}yes{{/a}}{{^a}}no{{/a}}", "{\"a\":0}", "yes");
    expect("{{#a}}{{.}}{{/a}}", "{\"a\":\"<\"}", "&lt;");
}

static void a_section_is_a_loop(void **state)
{
    (void)state;
    expect("{{#list}}({{n}}){{/list}}", "{\"list\":[{\"n\":1},{\"n\":2},{\"n\":3}]}", "(1)(2)(3)");
    expect("{{#list}}{{.}},{{/list}}", "{\"list\":[\"a\",2,null]}", "a,2,,");
    expect("{{#g}}{{name}}:{{#t}}{{name}} {{/t}};{{/g}}",
           "{\"g\":[{\"name\":\"A\",\"t\":[{\"name\":\"a\"},{}]},{\"name\":\"B\",\"t\":[]}]}",
           "A:a A ;B:;");
}

static void a_name_is_looked_for_outwards(void **state)
{
    (void)state;
    expect("{{#a}}{{x}}{{#b}}{{x}}{{y}}{{/b}}{{/a}}",
           "{\"x\":0,\"y\":\"far\",\"a\":{\"x\":1,\"b\":{\"x\":2}}}", "12far");
    /* whoever has the first piece, has the name */
    expect("{{#a}}{{b.c}}{{/a}}", "{\"b\":{\"c\":\"outer\"},\"a\":{\"b\":{}}}", "");
}

static void roots_are_searched_in_order(void **state)
{
    (void)state;
    struct template *t = load("{{a}}{{b}}{{#s}}{{b}}{{/s}}");
    char err[128];
    yajl_val roots[2] = { yajl_tree_parse("{\"a\":1,\"s\":{}}", err, sizeof err),
                          yajl_tree_parse("{\"a\":9,\"b\":2}", err, sizeof err) };
    struct arena *a = arena_new(1 << 16);
    struct str got = template_render(t, roots, 2, a);
    assert_string_equal(got.p, "122");
    arena_free(a);
    yajl_tree_free(roots[0]);
    yajl_tree_free(roots[1]);
}

static void lines_of_bare_tags_vanish(void **state)
{
    (void)state;
    expect("a\n  {{#x}}\nb\n  {{/x}}  \nc\n", "{\"x\":true}", "a\nb\nc\n");
    expect("{{! a remark,\n over two lines }}\na {{#x}}b{{/x}}\n", "{\"x\":true}", "a b\n");
    expect("a\n{{^x}}\nb\n{{/x}}", "{}", "a\nb\n");
    expect("{{x}}\n{{x}}\n", "{\"x\":1}", "1\n1\n");
}

static void parts_are_included(void **state)
{
    (void)state;
    write_file("head", "<h1>{{title}}</h1>\n{{> foot}}\n");
    write_file("foot", "<i>{{by}}</i>\n");
    expect("{{> head}}\n<p>\n{{>foot}}\n", "{\"title\":\"T\",\"by\":\"B\"}",
           "<h1>T</h1>\n<i>B</i>\n<p>\n<i>B</i>\n");
}

static void parts_never_include_themselves(void **state)
{
    (void)state;
    write_file("one", "{{> two}}");
    write_file("two", "{{> one}}");
    expect_refused("{{> one}}", "includes itself");
    expect_refused("{{> page}}", "includes itself");
    expect_refused("{{> ../page}}", "made of letters");
    expect_refused("{{> ..}}", "no dots");
    expect_refused("\n{{> nowhere}}", "nowhere.html: No such file");
}

static void a_template_with_a_slip_is_refused(void **state)
{
    (void)state;
    expect_refused("a\nb {{x", "page.html:2: {{ is not closed");
    expect_refused("{{#a}}", "not closed");
    expect_refused("{{/a}}", "closes nothing");
    expect_refused("{{#a}}{{#b}}{{/a}}{{/b}}", "closes another");
    expect_refused("{{#a}}{{/ab}}", "closes another");
    expect_refused("{{}}", "has a name");
    expect_refused("{{a b}}", "made of letters");
    expect_refused("{{{a}}}", "made of letters");
    expect_refused("{{&a}}", "made of letters");
    expect_refused("{{a..b}}", "empty piece");
    write_file("open", "{{#a}}");
    write_file("shut", "{{/a}}");
    expect_refused("{{> open}}{{/a}}", "not closed");
    expect_refused("{{#a}}{{> shut}}", "closes nothing");
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    char deep[512] = "";
    for (int i = 0; i < 17; i++) {
        strcat(deep, "{{#a}}");
    }
    for (int i = 0; i < 17; i++) {
        strcat(deep, "{{/a}}");
    }
    expect_refused(deep, "deeper");
    /* 16 do, and a section may find itself again inside itself */
    char fits[512] = "";
    for (int i = 0; i < 16; i++) {
        strcat(fits, "{{#a}}");
    }
    strcat(fits, "x");
    for (int i = 0; i < 16; i++) {
        strcat(fits, "{{/a}}");
    }
    expect(fits, "{\"a\":{}}", "x");
}

static void values_stand_only_where_escaping_protects(void **state)
{
    (void)state;
    expect("<a href=\"/t?x={{x}}\" class='{{x}}'>{{x}}</a>", "{\"x\":1}",
           "<a href=\"/t?x=1\" class='1'>1</a>");
    expect("a < b {{x}}, a=\"{{x}}\" <br/>{{x}}", "{\"x\":1}", "a < b 1, a=\"1\" <br/>1");
    expect("<script src=\"/a.js\"></script><p>{{x}}</p>", "{\"x\":1}",
           "<script src=\"/a.js\"></script><p>1</p>");
    expect("<option{{#x}} selected{{/x}} value=\"{{x}}\">", "{\"x\":1}",
           "<option selected value=\"1\">");
    expect_refused("<a title={{x}}>", "in quotes");
    expect_refused("<a {{x}}>", "in quotes");
    expect_refused("<{{x}}>", "in quotes");
    expect_refused("<a href=\"{{x}}\">", "must not begin");
    expect_refused("<form method=\"post\" action='{{x}}'>", "must not begin");
    expect_refused("<a title=\"\"onclick=\"f({{x}})\">", "is code");
    expect_refused("<p STYLE=\"color: {{x}}\">", "is code");
    expect_refused("<script>let a = \"{{x}}\"</script>", "script or style");
    expect_refused("<script>\"</b>\"; {{x}}</script>", "script or style");
    expect_refused("<style>{{x}}</style>", "script or style");
    expect_refused("<!-- {{x}} -->", "a comment is written");
    expect("<a class = 'a' href = \"/{{x}}\" title=a/b id=\"{{x}}\">", "{\"x\":1}",
           "<a class = 'a' href = \"/1\" title=a/b id=\"1\">");
    expect("<input{{#x}} checked{{/x}}{{^x}} disabled{{/x}} name=\"{{x}}\">", "{\"x\":1}",
           "<input checked name=\"1\">");
    /* What a browser takes for another place than it looks like. */
    expect_refused("<a href=\" {{x}}\">", "must not begin");
    expect_refused("<a href=\"\n\t{{x}}\">", "must not begin");
    expect_refused("<a href=\"{{#y}}/y{{/y}}{{x}}\">", "must not begin");
    expect_refused("<a href=\"{{#y}}/y{{/y}}{{^y}}{{x}}{{/y}}\">", "must not begin");
    expect_refused("<use xlink:href='{{x}}'>", "must not begin");
    expect_refused("<a title=b\"{{x}}\">", "in quotes");
    expect_refused("<a title=b=\"{{x}}\">", "in quotes");
    expect_refused("<a title\"{{x}}\">", "in quotes");
    expect_refused("<a hidden{{#y}}{{/y}}onclick=\"{{x}}\">", "is code");
    expect_refused("<a {{#y}}hidden{{/y}}onclick=\"{{x}}\">", "is code");
    expect_refused("<a on{{#y}}x{{/y}}click=\"{{x}}\">", "is code");
    expect_refused("<a {{#x}}title=\"{{/x}}{{y}}\">", "cuts a tag");
}

static void memory_that_is_out_is_told(void **state)
{
    (void)state;
    struct template *t = load("0123456789{{x}}");
    char err[128];
    yajl_val root = yajl_tree_parse("{\"x\":\"\"}", err, sizeof err);
    struct arena *a = arena_new(4);
    assert_null(template_render(t, &root, 1, a).p);
    arena_free(a);
    yajl_tree_free(root);
}

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/otklik_template_XXXXXX");
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
    (void)state;
    for (size_t i = 0; i < nwritten; i++) {
        char path[160];
        snprintf(path, sizeof path, "%s/%.31s.html", dir, written[i]);
        unlink(path);
    }
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_escaped),
        cmocka_unit_test(numbers_keep_their_digits),
        cmocka_unit_test(what_is_missing_prints_nothing),
        cmocka_unit_test(names_reach_inwards),
        cmocka_unit_test(a_section_is_an_if),
        cmocka_unit_test(a_section_is_a_loop),
        cmocka_unit_test(a_name_is_looked_for_outwards),
        cmocka_unit_test(roots_are_searched_in_order),
        cmocka_unit_test(lines_of_bare_tags_vanish),
        cmocka_unit_test(parts_are_included),
        cmocka_unit_test(parts_never_include_themselves),
        cmocka_unit_test(a_template_with_a_slip_is_refused),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(values_stand_only_where_escaping_protects),
        cmocka_unit_test(memory_that_is_out_is_told),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
