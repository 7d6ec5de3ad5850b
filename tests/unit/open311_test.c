// Open311's own small parts: moments, JSON as XML and as CSV.
// sources: services/intake/moment.c services/intake/open311_xml.c
// sources: services/intake/open311_csv.c services/common/xml.c services/common/utf8.c services/common/arena.c
// libs: -lyajl
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "moment.h"
#include "open311.h"

/* ---- moments */

static void all_spellings_of_a_moment(void **state)
{
    (void)state;
    /* 2026-11-25T09:00:00Z */
    static const char *const same[] = {
        "2026-11-25T09:00:00Z",      "2026-11-25T12:00:00+03:00", "2026-11-25T12:00:00+0300",
        "2026-11-25T12:00:00 03:00", "2026-11-25T12:00:00 0300",  "2026-11-25T12:00:00+03",
        "2026-11-25T04:30:00-04:30", "2026-11-25t09:00:00z",      "2026-11-25T09:00:00.017Z",
        "2026-11-25T09:00:00,9Z",    "2026-11-25T09:00Z",         "2026-11-25 09:00:00Z",
        "2026-11-25T09:00:00",       "2026-11-24T23:00:00-10:00",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        int64_t us = 0;
        if (moment_parse(str_of(same[i]), &us) != 0 || us != 1795597200000000) {
            fail_msg("%s: %lld", same[i], (long long)us);
        }
    }
    int64_t us;
    assert_int_equal(moment_parse(STR("2024-02-29"), &us), 0);
    assert_int_equal(us, 1709164800000000);
    assert_int_equal(moment_parse(STR("1970-01-01T00:00:00Z"), &us), 0);
    assert_int_equal(us, 0);
}

static void what_is_no_moment(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "now",
        "2026",
        "2026-11",
        "2026-11-25T",
        "2026-11-25T9:00:00Z",
        "2026-11-25T09:00:00X",
        "2026-13-01T00:00:00Z",
        "2026-00-01",
        "2026-02-29",
        "2026-11-31",
        "2026-11-00",
        "2026-11-25T24:00:00Z",
        "2026-11-25T09:60:00Z",
        "2026-11-25T09:00:60Z",
        "2026-11-25T09:00:00.Z",
        "2026-11-25T09:00:00+3",
        "2026-11-25T09:00:00+03:",
        "2026-11-25T09:00:00+15:00",
        "2026-11-25T09:00:00+03:60",
        "2026-11-25T09:00:00Zz",
        " 2026-11-25",
        "2026-11-25 ",
        "1969-12-31",
        "3000-01-01",
        "20261125T090000Z",
        "-026-11-25",
        "2026-11-25T09:00:00++03:00",
        "2026-11-25T09:00:00+03:00:00",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t us = 0;
        if (moment_parse(str_of(wrong[i]), &us) == 0) {
            fail_msg("%s became %lld", wrong[i], (long long)us);
        }
    }
    int64_t us;
    assert_int_equal(moment_parse((struct str){ "2026-11-25T09:00:00Z", 12 }, &us), -1);
}

/* ---- JSON in other forms */

static void xml_is(const char *root, const char *json, const char *wanted)
{
    struct arena *a = arena_new(8192);
    struct str xml = open311_xml(a, root, json);
    char all[1024];
    snprintf(all, sizeof all, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n%s\n", wanted);
    if (!str_eq(xml, str_of(all))) {
        fail_msg("%.*s", (int)xml.n, xml.p);
    }
    arena_free(a);
}

static void json_as_xml(void **state)
{
    (void)state;
    xml_is("service_requests", "[]", "<service_requests/>");
    xml_is("service_requests",
           "[{\"lat\":57.800,\"closed\":false,\"address\":null,\"expected_datetime\":null,"
           "\"description\":\"\",\"text\":\"Яма & <b>\\r\\n\\u0001\"}]",
           "<service_requests><request><lat>57.800</lat><closed>false</closed><address/>"
           "<description/><text>Яма &amp; &lt;b&gt;&#13;\n\xef\xbf\xbd</text></request>"
           "</service_requests>");
    xml_is("service_definition",
           "{\"service_code\":\"a\",\"attributes\":[{\"values\":[{\"key\":\"1\"},{\"key\":\"2\"}]},"
           "{\"values\":[]}]}",
           "<service_definition><service_code>a</service_code><attributes><attribute><values>"
           "<value><key>1</key></value><value><key>2</key></value></values></attribute><attribute>"
           "<values/></attribute></attributes></service_definition>");
    xml_is("discovery", "{\"formats\":[\"text/xml\"]}",
           "<discovery><formats><format>text/xml</format></formats></discovery>");
    xml_is("errors", "[{\"code\":\"404\"},{\"code\":\"400\"}]",
           "<errors><error><code>404</code></error><error><code>400</code></error></errors>");
    struct arena *a = arena_new(4096);
    assert_null(open311_xml(a, "errors", "[1").p);
    assert_null(open311_xml(a, "errors", "[{\"not a name\":1}]").p);
    char deep[80];
    memset(deep, '[', 40);
    memset(deep + 40, ']', 39);
    deep[79] = '\0';
    assert_null(open311_xml(a, "errors", deep).p);
    arena_free(a);
    a = arena_new(64);
    assert_null(
        open311_xml(a, "errors", "[\"................................................\"]").p);
    arena_free(a);
}

static void json_as_csv(void **state)
{
    (void)state;
    static const char head[] =
        "service_request_id,status,status_notes,service_name,service_code,description,"
        "agency_responsible,service_notice,requested_datetime,updated_datetime,expected_datetime,"
        "address,address_id,zipcode,lat,long,media_url\r\n";
    struct arena *a = arena_new(8192);
    assert_true(str_eq(open311_csv(a, "[]"), STR(head)));
    struct str csv =
        open311_csv(a, "[{\"status\":\"open\",\"lat\":-57.8,\"description\":\"a \\\"b\\\"\\nв, г\","
                       "\"address\":\"=1+1\",\"zipcode\":null,\"other\":1}]");
    char wanted[1024];
    snprintf(wanted, sizeof wanted, "%s,open,,,,\"a \"\"b\"\"\nв, г\",,,,,,\"'=1+1\",,,-57.8,,\r\n",
             head);
    assert_true(str_eq(csv, str_of(wanted)));
    assert_null(open311_csv(a, "{}").p);
    assert_null(open311_csv(a, "[").p);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_spellings_of_a_moment),
        cmocka_unit_test(what_is_no_moment),
        cmocka_unit_test(json_as_xml),
        cmocka_unit_test(json_as_csv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
