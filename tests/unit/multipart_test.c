// multipart/form-data: what browsers and programs send in every slicing, and what nobody should
// send.
// sources: services/common/multipart.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "multipart.h"

enum { STORY = 8192 };

/* What the reader says of BODY cut into slices of N bytes, as text: "part name|filename|type\n",
 * "data …\n", "end\n"; "broken" or "whole" or "open" last. */
static char story[STORY];

static void tell(const char *what, struct str s)
{
    size_t n = strlen(story);
    assert_true(n + s.n + 64 < STORY);
    n += (size_t)snprintf(story + n, STORY - n, "%s", what);
    for (size_t i = 0; i < s.n; i++) {
        story[n++] = s.p[i] == '\0' ? '0' : s.p[i];
    }
    story[n] = '\0';
}

static const char *read_sliced(const char *type, struct str body, size_t slice)
{
    struct multipart m;
    int in_data = 0;
    *story = '\0';
    if (multipart_init(&m, str_of(type)) != 0) {
        return "no multipart";
    }
    for (size_t at = 0; at < body.n;) {
        size_t n = body.n - at < slice ? body.n - at : slice, used = 0;
        /* A copy of its own: what reads beyond it is seen. */
        char *copy = malloc(n);
        memcpy(copy, body.p + at, n);
        enum multipart_event event = multipart_feed(&m, copy, n, &used);
        assert_true(used <= n);
        if (event != MULTIPART_DATA && event != MULTIPART_MORE && in_data) {
            tell("]", STR(""));
            in_data = 0;
        }
        if (event == MULTIPART_PART) {
            tell("(", m.name);
            tell(m.has_filename ? "|" : "", m.filename);
            tell("|", m.type);
            tell(")", STR(""));
        } else if (event == MULTIPART_DATA) {
            assert_true(m.data.n > 0);
            tell(in_data ? "" : "[", m.data);
            in_data = 1;
        } else if (event == MULTIPART_PART_END) {
            tell(";", STR(""));
        } else if (event == MULTIPART_BROKEN) {
            tell("!", STR(""));
            free(copy);
            return story;
        }
        free(copy);
        at += used;
    }
    tell(multipart_complete(&m) ? "." : "…", STR(""));
    return story;
}

static void expect_of(const char *type, struct str body, const char *wanted)
{
    for (size_t slice = 1; slice <= body.n + 1; slice += slice < 200 ? 1 : 97) {
        const char *got = read_sliced(type, body, slice);
        if (strcmp(got, wanted) != 0) {
            fail_msg("in slices of %zu: %s", slice, got);
        }
    }
}

#define EXPECT(body, wanted) expect_of("multipart/form-data; boundary=B", STR(body), wanted)

static const char head_a[] = "Content-Disposition: form-data; name=a\r\n\r\n";

static void what_browsers_send(void **state)
{
    (void)state;
    EXPECT("--B\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nЯма\r\n"
           "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.jpg\"\r\n"
           "Content-Type: image/jpeg\r\n\r\n\xff\xd8\xff\r\n\r\n-\r\n--B--\r\n",
           "(text|)[Яма];(f|a.jpg|image/jpeg)[\xff\xd8\xff\r\n\r\n-];.");
    EXPECT("--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\"\r\n"
           "Content-Type: application/octet-stream\r\n\r\n\r\n--B--\r\n",
           "(f||application/octet-stream);.");
    EXPECT("--B--\r\n", ".");
    EXPECT("--B--", ".");
}

static void headers_in_every_form(void **state)
{
    (void)state;
    EXPECT(
        "--B\r\ncontent-disposition:FORM-DATA;NAME=x ; filename=\"a\\\"b.png\"\r\nX-Own: 1\r\n\r\n1\r\n--B--",
        "(x|a\"b.png|)[1];.");
    EXPECT(
        "--B\r\nContent-Disposition: form-data; name=\"a;b\"; filename=\"C:\\dir\\c.jpg\"\r\n\r\n1\r\n--B--",
        "(a;b|C:\\dir\\c.jpg|)[1];.");
    EXPECT(
        "--B\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--B--",
        "(x|text/plain; charset=utf-8)[1];.");
}

/* RFC 7578 forbids filename*, and libraries send it. */
static void names_in_another_spelling(void **state)
{
    (void)state;
#define NAMED(parameters, wanted)                                                             \
    EXPECT("--B\r\nContent-Disposition: form-data; name=f; " parameters "\r\n\r\n1\r\n--B--", \
           "(f|" wanted "|)[1];.")
    NAMED("filename*=UTF-8''%D1%8F%20a.jpg", "я a.jpg");
    NAMED("filename*=utf-8'ru'%d1%8f.jpg", "я.jpg");
    NAMED("filename=\"ja.jpg\"; filename*=UTF-8''%D1%8F.jpg", "я.jpg");
    NAMED("filename*=UTF-8''%D1%8F.jpg; filename=\"ja.jpg\"", "я.jpg");
    NAMED("FileName*=\"UTF-8''%D1%8F.jpg\"", "я.jpg");
    NAMED("filename=\"двор.jpg\"", "двор.jpg");
    NAMED("filename=двор.jpg", "двор.jpg");
    /* A file without a name is still a file. */
    NAMED("filename*=ISO-8859-1''%E9.jpg", "");
    NAMED("filename*=UTF-8''%D", "");
    NAMED("filename*=UTF-8''%D1%8", "");
    NAMED("filename*=UTF-8''%zz", "");
    NAMED("filename*=a.jpg", "");
    NAMED("filename*=utf-8'", "");
    NAMED("filename*=UTF-8''", "");
#undef NAMED
    EXPECT("--B\r\nContent-Disposition: form-data; name=f; filename*=UTF-8''a; filename*=UTF-8''b"
           "\r\n\r\n",
           "!");
}

/* The end of line that ends the headers may be the delimiter's. */
static void parts_without_content(void **state)
{
    (void)state;
    EXPECT("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n--B--", "(a|);.");
    EXPECT("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n--B\r\n"
           "Content-Disposition: form-data; name=b\r\n\r\n\r\n--B--",
           "(a|);(b|);.");
    EXPECT("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n--A\r\n--B--", "(a|)[--A];.");
    EXPECT("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n-\r\r\n--B--", "(a|)[-\r];.");
    EXPECT("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n\n--B--\r\n--B--",
           "(a|)[\n--B--];.");
}

static void data_that_looks_like_a_delimiter(void **state)
{
    (void)state;
    EXPECT("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n"
           "\r\r\n\r\n-\r\n--\r\n--A\r\n\r\n--C--\r--B\n--B\r\r\r\n--B--",
           "(a|)[\r\r\n\r\n-\r\n--\r\n--A\r\n\r\n--C--\r--B\n--B\r\r];.");
    EXPECT("--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx--B--\r\n--B--",
           "(a|)[x--B--];.");
}

static void preamble_epilogue_and_white_space(void **state)
{
    (void)state;
    EXPECT(
        "this is ignored\r\n--\r\n--A\r\n--B \t \r\nContent-Disposition: form-data; name=a\r\n\r\n"
        "1\r\n--B--\r\nand this\r\n--B\r\nno part\r\n",
        "(a|)[1];.");
    EXPECT("no line of its own --B\r\n", "…");
}

static void odd_boundaries(void **state)
{
    (void)state;
    static const char *const types[] = {
        "multipart/form-data; boundary=\"gc0p4Jq0M2Yt08jU534c0p:'()+_,-./=? x\"",
        "Multipart/Form-Data;charset=utf-8; boundary=\"gc0p4Jq0M2Yt08jU534c0p:'()+_,-./=? x\"",
    };
    for (size_t i = 0; i < 2; i++) {
        expect_of(types[i],
                  STR("--gc0p4Jq0M2Yt08jU534c0p:'()+_,-./=? x\r\nContent-Disposition: form-data; "
                      "name=a\r\n\r\n--gc0p4Jq0M2Yt08jU534c0p:'()+_,-./=? y\r\n"
                      "--gc0p4Jq0M2Yt08jU534c0p:'()+_,-./=? x--"),
                  "(a|)[--gc0p4Jq0M2Yt08jU534c0p:'()+_,-./=? y];.");
    }
    char type[160], body[400];
    char boundary[72];
    memset(boundary, '-', 70); /* as long as it may be, and nothing but dashes */
    boundary[70] = '\0';
    snprintf(type, sizeof type, "multipart/form-data; boundary=%s", boundary);
    snprintf(body, sizeof body, "--%s\r\n%s-\r\n--%.69s\r\n--%s--", boundary, head_a, boundary,
             boundary);
    char wanted[160];
    snprintf(wanted, sizeof wanted, "(a|)[-\r\n--%.69s];.", boundary);
    expect_of(type, str_of(body), wanted);
}

static void what_is_no_multipart(void **state)
{
    (void)state;
    static const char *const types[] = {
        "",
        "multipart/form-data",
        "multipart/form-data; charset=utf-8",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"a",
        "multipart/form-data; boundary=\"a \"",
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=\"a\"b",
        "multipart/form-data; boundary=a;b",
        "multipart/form-data; boundary=a\r\nb",
        "multipart/form-data; boundary=щ",
        "multipart/form-data; boundary="
        "12345678901234567890123456789012345678901234567890123456789012345678901",
        "multipart/form-datax; boundary=a",
        "multipart/mixed; boundary=a",
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct multipart m;
        assert_int_equal(multipart_init(&m, str_of(types[i])), -1);
    }
}

static void what_is_broken(void **state)
{
    (void)state;
    EXPECT("--Bx\r\n", "!");
    EXPECT("--B-x", "!");
    EXPECT("--B -", "!");
    EXPECT("--B\rx", "!");
    EXPECT("--B\r\n\r\n", "!"); /* no header, so no name */
    EXPECT("--B\r\nContent-Type: text/plain\r\n\r\n", "!");
    EXPECT("--B\r\nContent-Disposition: form-data\r\n\r\n", "!");
    EXPECT("--B\r\nContent-Disposition: attachment; name=a\r\n\r\n", "!");
    EXPECT("--B\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\n", "!");
    EXPECT("--B\r\nContent-Disposition: form-data; name=\"a\r\n\r\n", "!");
    EXPECT(
        "--B\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n\r\n",
        "!");
    EXPECT("--B\r\nContent-Disposition: form-data;\r\n name=a\r\n\r\n", "!");
    EXPECT("--B\r\nno colon\r\n\r\n", "!");
    EXPECT(
        "--B\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        "!");
    EXPECT("--B\r\nContent-Disposition: form-data; name=a\0\r\n\r\n", "!");
}

static void what_ends_too_early(void **state)
{
    (void)state;
    EXPECT("", "…");
    EXPECT("--B\r\nContent-Dis", "…");
    EXPECT("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--B\r\n", "(a|)[1];…");
    EXPECT("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--B-", "(a|)[1];…");
}

/* The headers of a part are bounded, its data is not. */
static void much(void **state)
{
    (void)state;
    enum { BIG = 300000 };
    char *body = malloc(BIG + 200);
    int n = snprintf(body, BIG, "--B\r\nContent-Disposition: form-data; name=a\r\nX: ");
    memset(body + n, 'x', BIG - (size_t)n);
    struct multipart m;
    size_t used;
    assert_int_equal(multipart_init(&m, STR("multipart/form-data; boundary=B")), 0);
    assert_int_equal(multipart_feed(&m, body, BIG, &used), MULTIPART_BROKEN);
    assert_true(used < MULTIPART_HEADERS_MAX + 100);

    n = snprintf(body, BIG, "--B\r\n%s", head_a);
    memset(body + n, '\r', BIG - (size_t)n);
    memcpy(body + BIG - 7, "\r\n--B--", 7);
    assert_int_equal(multipart_init(&m, STR("multipart/form-data; boundary=B")), 0);
    size_t total = 0;
    for (size_t at = 0; at < BIG; at += used) {
        if (multipart_feed(&m, body + at, BIG - at, &used) == MULTIPART_DATA) {
            total += m.data.n;
        }
    }
    assert_true(multipart_complete(&m));
    assert_int_equal(total, BIG - 7 - n);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_browsers_send),
        cmocka_unit_test(headers_in_every_form),
        cmocka_unit_test(names_in_another_spelling),
        cmocka_unit_test(parts_without_content),
        cmocka_unit_test(data_that_looks_like_a_delimiter),
        cmocka_unit_test(preamble_epilogue_and_white_space),
        cmocka_unit_test(odd_boundaries),
        cmocka_unit_test(what_is_no_multipart),
        cmocka_unit_test(what_is_broken),
        cmocka_unit_test(what_ends_too_early),
        cmocka_unit_test(much),
    };
    return cmocka_run_group_tests_name("multipart", tests, NULL, NULL);
}
