// Key files: every line is understood, or the file is refused with its line and the reason named.
// named; and who may come with what.
// sources: ngx_module/keys.c ngx_module/limits.c ngx_module/networks.c ngx_module/siphash.c
// libs: -lcrypto
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"

#define SECRET "abcdefghijklmnopqrstuvwxyz012345"
#define TEXT "otk_k3f9x2ab_" SECRET
#define D16 "0123456789abcdef"
#define DIGEST D16 D16 D16 D16
#define HEAD "k3f9x2ab " DIGEST " "
#define WHO "subject=mfc roles=integrator region=67"

static void digest_of(const char *text, char hex[65])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256((const uint8_t *)text, strlen(text), digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
}

static struct keys *parse(const char *text)
{
    struct keys_error error = { 0, NULL };
    struct keys *keys = keys_parse(text, strlen(text), &error);
    if (keys == NULL) {
        fail_msg("line %u: %s", error.line, error.what);
    }
    return keys;
}

/* A file with one key whose text is TEXT and whose line ends with REST. */
static struct keys *one_key(const char *rest)
{
    char hex[65], file[1024];
    digest_of(TEXT, hex);
    int n = snprintf(file, sizeof file, "k3f9x2ab %s %s\n", hex, rest);
    assert_in_range(n, 1, sizeof file - 1);
    return parse(file);
}

static const struct key *good(const struct keys *keys)
{
    const struct key *key = NULL;
    assert_int_equal(keys_check(keys, TEXT, strlen(TEXT), 0, &key), KEYS_GOOD);
    assert_non_null(key);
    return key;
}

static void a_line_says_all_there_is(void **state)
{
    (void)state;
    struct keys *keys = one_key(
        "subject=mfc.67:a@b-c roles=integrator,staff_2 region=67 body=mfc-1 scopes=appeals:write,Reports.v2/read "
        "rate=100r/s burst=5 expires=2027-01-31T00:00:00Z");
    const struct key *key = good(keys);
    assert_string_equal(key->subject, "mfc.67:a@b-c");
    assert_string_equal(key->roles, "integrator staff_2");
    assert_string_equal(key->region, "67");
    assert_string_equal(key->body, "mfc-1");
    assert_string_equal(key->scopes, "appeals:write Reports.v2/read");
    assert_int_equal(key->rate.period, 10000000);
    assert_int_equal(key->rate.burst, 5);
    assert_int_equal(key->expires, 1801353600); /* date --date=2027-01-31T00:00:00Z +%s */
    keys_free(keys);

    keys = one_key(WHO);
    key = good(keys);
    assert_string_equal(key->body, "");
    assert_string_equal(key->scopes, "");
    assert_int_equal(key->rate.period, 0);
    assert_int_equal(key->expires, INT64_MAX);
    keys_free(keys);

    keys = one_key(WHO " rate=30r/m");
    assert_int_equal(good(keys)->rate.burst, 1);
    keys_free(keys);
}

static void a_key_may_open_a_hook_and_be_bound_to_networks(void **state)
{
    (void)state;
    struct keys *keys = one_key(WHO);
    assert_string_equal(good(keys)->hook, "");
    assert_null(good(keys)->source);
    keys_free(keys);

    keys = one_key(WHO " hook=telegram_2 source=203.0.113.7,2001:db8::/32");
    assert_string_equal(good(keys)->hook, "telegram_2");
    uint8_t address[16] = { [10] = 0xff, [11] = 0xff, [12] = 203, [14] = 113, [15] = 7 };
    assert_true(networks_hold(good(keys)->source, address));
    address[15] = 8;
    assert_false(networks_hold(good(keys)->source, address));
    keys_free(keys);

    static const struct {
        const char *rest, *what;
    } wrong[] = {
        { " hook=Telegram", "hook is not a name of a-z 0-9 _" },
        { " hook=a,b", "hook is not a name of a-z 0-9 _" },
        { " source=example.org", "source is not a comma list of addresses and networks" },
        { " source=10.0.0.1/8", "source is not a comma list of addresses and networks" },
        { " source=10.0.0.1 source=10.0.0.2", "an attribute is given twice" },
        { " source=10.0.0.1 color=red", "an attribute has an unknown name" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char file[1024];
        int n = snprintf(file, sizeof file, HEAD WHO "%s\n", wrong[i].rest);
        struct keys_error error = { 0, NULL };
        assert_null(keys_parse(file, (size_t)n, &error));
        assert_int_equal(error.line, 1);
        assert_string_equal(error.what, wrong[i].what);
    }
}

static void moments_are_read_as_the_calendar_says(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t at; /* of date --date=… +%s */
    } moments[] = {
        { "1970-01-01T00:00:01Z", 1 },
        { "2000-02-29T12:00:00Z", 951825600 },
        { "2024-02-29T23:59:59z", 1709251199 },
        { "2026-07-01T03:00:00+03:00", 1782864000 },
        { "2026-06-30t21:30:00-02:30", 1782864000 },
        { "2026-12-31T23:59:60Z", 1798761600 },
        { "2100-03-01T00:00:00.123456Z", 4107542400 },
        { "9999-12-31T23:59:59Z", 253402300799 },
    };
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        char rest[200];
        snprintf(rest, sizeof rest, WHO " expires=%s", moments[i].text);
        struct keys *keys = one_key(rest);
        const struct key *key = NULL;
        assert_int_equal(keys_check(keys, TEXT, strlen(TEXT), moments[i].at - 1, &key), KEYS_GOOD);
        assert_int_equal(key->expires, moments[i].at);
        assert_int_equal(keys_check(keys, TEXT, strlen(TEXT), moments[i].at, &key), KEYS_EXPIRED);
        assert_non_null(key);
        keys_free(keys);
    }
}

static void comments_blanks_and_crlf_are_no_keys(void **state)
{
    (void)state;
    struct keys *keys = parse("# keys\n\n \t \n\r\n" HEAD WHO " # of the MFC\r\n\t#" HEAD "\n"
                              "k3f9x2ac\t" DIGEST "\t\t" WHO "  \n");
    assert_int_equal(keys_count(keys), 2);
    keys_free(keys);
    keys = parse("\n");
    const struct key *key;
    assert_int_equal(keys_count(keys), 0);
    assert_int_equal(keys_check(keys, TEXT, strlen(TEXT), 0, &key), KEYS_UNKNOWN);
    keys_free(keys);
    keys_free(NULL);
}

static void every_wrong_line_is_named(void **state)
{
    (void)state;
    static const char long_name[] =
        "subject=0123456789012345678901234567890123456789012345678901234567890123456789012345678901"
        "23456789012345678901234567890123456789012345678"; /* 129 */
    static const struct {
        const char *line, *about;
    } bad[] = {
        { "k3f9x2a " DIGEST " " WHO, "prefix" },
        { "k3f9x2abc " DIGEST " " WHO, "prefix" },
        { "K3f9x2ab " DIGEST " " WHO, "prefix" },
        { "k3f9x2-b " DIGEST " " WHO, "prefix" },
        { "k3f9x2ab", "digest" },
        { "k3f9x2ab # " DIGEST, "digest" },
        { "k3f9x2ab " D16 D16 D16 " " WHO, "digest" },
        { "k3f9x2ab " DIGEST "0 " WHO, "digest" },
        { "k3f9x2ab " D16 D16 D16 "0123456789ABCDEF " WHO, "digest" },
        { "k3f9x2ab " D16 D16 D16 "0123456789abcdeg " WHO, "digest" },
        { HEAD, "missing" },
        { HEAD "roles=staff region=67", "missing" },
        { HEAD "subject=a region=67", "missing" },
        { HEAD "subject=a roles=staff", "missing" },
        { HEAD WHO " x", "name=value" },
        { HEAD WHO " colour=red", "unknown" },
        { HEAD WHO " Subject=a", "unknown" },
        { HEAD WHO " =a", "unknown" },
        { HEAD WHO " subject=a", "twice" },
        { HEAD WHO " body=a body=a", "twice" },
        { HEAD "subject= roles=staff region=67", "subject" },
        { HEAD "subject=a/b roles=staff region=67", "subject" },
        { HEAD "subject=a=b roles=staff region=67", "subject" },
        { HEAD "subject=a#b roles=staff region=67", "subject" },
        { HEAD "subject=a\"b roles=staff region=67", "subject" },
        { HEAD "subject=\xd0\xb9 roles=staff region=67", "subject" },
        { HEAD "subject=a\x01 roles=staff region=67", "subject" },
        { HEAD "subject=a\r roles=staff region=67", "subject" },
        { HEAD "subject=a roles= region=67", "roles" },
        { HEAD "subject=a roles=, region=67", "roles" },
        { HEAD "subject=a roles=staff, region=67", "roles" },
        { HEAD "subject=a roles=,staff region=67", "roles" },
        { HEAD "subject=a roles=a,,b region=67", "roles" },
        { HEAD "subject=a roles=Staff region=67", "roles" },
        { HEAD "subject=a roles=staff region=0", "region" },
        { HEAD "subject=a roles=staff region=067", "region" },
        { HEAD "subject=a roles=staff region=1000", "region" },
        { HEAD "subject=a roles=staff region=-1", "region" },
        { HEAD "subject=a roles=staff region=6x", "region" },
        { HEAD "subject=a roles=staff region=99999999999999999999", "region" },
        { HEAD WHO " body=", "body" },
        { HEAD WHO " body=a,b", "body" },
        { HEAD WHO " scopes=", "scopes" },
        { HEAD WHO " scopes=a,,b", "scopes" },
        { HEAD WHO " scopes=,a", "scopes" },
        { HEAD WHO " scopes=a,", "scopes" },
        { HEAD WHO " scopes=a\"b", "scopes" },
        { HEAD WHO " scopes=a scopes=b", "twice" },
        { HEAD WHO " rate=1", "rate" },
        { HEAD WHO " rate=0r/s", "rate" },
        { HEAD WHO " burst=0 rate=1r/s", "burst" },
        { HEAD WHO " burst=x rate=1r/s", "burst" },
        { HEAD WHO " burst=1000000000 rate=1r/s", "burst" },
        { HEAD WHO " burst=5", "without rate" },
        { HEAD WHO " rate=1r/d burst=105", "104 days" },
        { HEAD WHO " expires=2027-01-31", "expires" },
        { HEAD WHO " expires=2027-01-31T00:00:00", "expires" },
        { HEAD WHO " expires=2027-02-29T00:00:00Z", "expires" },
        { HEAD WHO " expires=2100-02-29T00:00:00Z", "expires" },
        { HEAD WHO " expires=2027-13-01T00:00:00Z", "expires" },
        { HEAD WHO " expires=2027-00-01T00:00:00Z", "expires" },
        { HEAD WHO " expires=2027-04-31T00:00:00Z", "expires" },
        { HEAD WHO " expires=2027-01-00T00:00:00Z", "expires" },
        { HEAD WHO " expires=2027-01-31T24:00:00Z", "expires" },
        { HEAD WHO " expires=2027-01-31T00:60:00Z", "expires" },
        { HEAD WHO " expires=2027-01-31T00:00:61Z", "expires" },
        { HEAD WHO " expires=1969-12-31T23:59:59Z", "expires" },
        { HEAD WHO " expires=2027/01/31T00:00:00Z", "expires" },
        { HEAD WHO " expires=2027-01-31_00:00:00Z", "expires" },
        { HEAD WHO " expires=2027-01-31T00:00:00.Z", "expires" },
        { HEAD WHO " expires=2027-01-31T00:00:00.1", "expires" },
        { HEAD WHO " expires=2027-01-31T00:00:00+3", "expires" },
        { HEAD WHO " expires=2027-01-31T00:00:00+24:00", "expires" },
        { HEAD WHO " expires=2027-01-31T00:00:00+03:60", "expires" },
        { HEAD WHO " expires=2027-01-31T00:00:00Zulu", "expires" },
        { HEAD WHO " expires=+027-01-31T00:00:00Z", "expires" },
    };
    char file[2048];
    struct keys_error error;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int n = snprintf(file, sizeof file, "# first\n%s\n", bad[i].line);
        error = (struct keys_error){ 99, NULL };
        if (keys_parse(file, (size_t)n, &error) != NULL) {
            fail_msg("taken: %s", bad[i].line);
        }
        assert_int_equal(error.line, 2);
        if (strstr(error.what, bad[i].about) == NULL) {
            fail_msg("%s: %s", bad[i].line, error.what);
        }
    }
    int n = snprintf(file, sizeof file, HEAD "%s roles=staff region=67\n", long_name);
    assert_null(keys_parse(file, (size_t)n, &error));
    assert_non_null(strstr(error.what, "subject"));
}

static void a_file_that_is_not_whole_is_refused(void **state)
{
    (void)state;
    struct keys_error error = { 99, NULL };
    assert_null(keys_parse("", 0, &error));
    assert_non_null(strstr(error.what, "whole line"));
    static const char cut[] = HEAD WHO;
    assert_null(keys_parse(cut, strlen(cut), &error));
    assert_non_null(strstr(error.what, "whole line"));
    static const char nul[] = HEAD WHO "\nk3f9x2ac \0" DIGEST " " WHO "\n";
    assert_null(keys_parse(nul, sizeof nul - 1, &error));
    assert_int_equal(error.line, 2);
    assert_non_null(strstr(error.what, "NUL"));
    static const char twice[] = HEAD WHO "\n" HEAD "subject=b roles=staff region=1\n";
    assert_null(keys_parse(twice, strlen(twice), &error));
    assert_int_equal(error.line, 0);
    assert_non_null(strstr(error.what, "same prefix"));
}

/* Cut anywhere and damaged anywhere: taken or refused, and no byte beyond it read. */
static void damaged_files_harm_nobody(void **state)
{
    (void)state;
    static const char whole[] =
        "# k\n" HEAD WHO " body=b rate=1r/s burst=2 expires=2027-01-31T00:00:00Z\n";
    size_t size = sizeof whole - 1;
    struct keys_error error;
    srand(3);
    for (size_t n = 0; n <= size; n++) {
        char *copy = malloc(n + 1); /* of just that size, for the sanitizer */
        assert_non_null(copy);
        memcpy(copy, whole, n);
        keys_free(keys_parse(copy, n, &error));
        copy[n] = '\n';
        keys_free(keys_parse(copy, n + 1, &error));
        free(copy);
    }
    for (int i = 0; i < 50000; i++) {
        char copy[sizeof whole];
        memcpy(copy, whole, sizeof whole);
        for (int j = rand() % 3; j >= 0; j--) {
            copy[(size_t)rand() % size] = (char)rand();
        }
        keys_free(keys_parse(copy, size, &error));
    }
}

static void ten_thousand_keys_are_told_apart(void **state)
{
    (void)state;
    enum { KEYS = 10000, LINE = 160 };
    char *file = malloc((size_t)KEYS * LINE + 1), hex[65], text[64];
    assert_non_null(file);
    size_t n = 0;
    for (int i = 0; i < KEYS; i++) {
        int k = i * 7919 % KEYS; /* not in order */
        snprintf(text, sizeof text, "otk_%08d_%032d", k, k);
        digest_of(text, hex);
        n += (size_t)snprintf(file + n, LINE + 1, "%08d %s subject=s%d roles=staff region=%d\n", k,
                              hex, k, k % 999 + 1);
    }
    struct keys_error error;
    struct keys *keys = keys_parse(file, n, &error);
    assert_non_null(keys);
    free(file); /* the table has its own copy */
    assert_int_equal(keys_count(keys), KEYS);
    for (int k = 0; k < KEYS; k++) {
        const struct key *key = NULL;
        char subject[16];
        snprintf(text, sizeof text, "otk_%08d_%032d", k, k);
        snprintf(subject, sizeof subject, "s%d", k);
        assert_int_equal(keys_check(keys, text, strlen(text), 0, &key), KEYS_GOOD);
        assert_string_equal(key->subject, subject);
        text[44] ^= 1;
        assert_int_equal(keys_check(keys, text, 45, 0, &key), KEYS_WRONG);
        assert_null(key);
    }
    keys_free(keys);
}

static void each_wrong_text_gets_its_verdict(void **state)
{
    (void)state;
    struct keys *keys = one_key(WHO " expires=1970-01-01T00:01:40Z");
    const struct key *key = NULL;
    static const struct {
        const char *text;
        enum keys_verdict verdict;
    } cases[] = {
        { TEXT, KEYS_GOOD },
        { "otk_k3f9x2ab_bbcdefghijklmnopqrstuvwxyz012345", KEYS_WRONG },
        { "otk_k3f9x2ab_abcdefghijklmnopqrstuvwxyz012346", KEYS_WRONG },
        { "otk_k3f9x2aa_" SECRET, KEYS_UNKNOWN },
        { "otk_00000000_" SECRET, KEYS_UNKNOWN },
        { "otk_zzzzzzzz_" SECRET, KEYS_UNKNOWN },
        { "", KEYS_MALFORMED },
        { "otk_k3f9x2ab_", KEYS_MALFORMED },
        { TEXT "6", KEYS_MALFORMED },
        { "otk_k3f9x2ab_abcdefghijklmnopqrstuvwxyz01234", KEYS_MALFORMED },
        { "otk_k3f9x2ab_Abcdefghijklmnopqrstuvwxyz012345", KEYS_MALFORMED },
        { "otk_k3f9x2ab-" SECRET, KEYS_MALFORMED },
        { "otk-k3f9x2ab_" SECRET, KEYS_MALFORMED },
        { "OTK_k3f9x2ab_" SECRET, KEYS_MALFORMED },
        { "otk_k3f9x2_b_" SECRET, KEYS_MALFORMED },
        { "otk_k3f9x2ab_abcdefghijklmnopqrstuvwxyz01234 ", KEYS_MALFORMED },
        { "otk_k3f9x2ab_abcdefghijklmnopqrstuvwxyz01234\xff", KEYS_MALFORMED },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum keys_verdict verdict =
            keys_check(keys, cases[i].text, strlen(cases[i].text), 99, &key);
        if (verdict != cases[i].verdict) {
            fail_msg("%s: %d, not %d", cases[i].text, (int)verdict, (int)cases[i].verdict);
        }
        assert_true((key != NULL) == (verdict == KEYS_GOOD));
    }
    assert_int_equal(keys_check(keys, TEXT, strlen(TEXT), 100, &key), KEYS_EXPIRED);
    /* A NUL is a character like any other that does not belong there. */
    char nul[sizeof TEXT];
    memcpy(nul, TEXT, sizeof nul);
    nul[20] = '\0';
    assert_int_equal(keys_check(keys, nul, sizeof nul - 1, 99, &key), KEYS_MALFORMED);
    keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_all_there_is),
        cmocka_unit_test(a_key_may_open_a_hook_and_be_bound_to_networks),
        cmocka_unit_test(moments_are_read_as_the_calendar_says),
        cmocka_unit_test(comments_blanks_and_crlf_are_no_keys),
        cmocka_unit_test(every_wrong_line_is_named),
        cmocka_unit_test(a_file_that_is_not_whole_is_refused),
        cmocka_unit_test(damaged_files_harm_nobody),
        cmocka_unit_test(ten_thousand_keys_are_told_apart),
        cmocka_unit_test(each_wrong_text_gets_its_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
