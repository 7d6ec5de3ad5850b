// Identifiers: UUIDv7 that ascend, codes however they are written, numbers that catch slips.
// sources: services/common/ids.c
// libs: -luuid -lcrypto
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "ids.h"

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- UUIDv7 */

static void a_uuid_has_the_form_and_the_moment(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        char id[37];
        int64_t before = now_us(), at = 0;
        assert_int_equal(uuid7(id, &at), 0);
        int64_t after = now_us();
        assert_in_range(at, before, after);
        assert_int_equal(strlen(id), 36);
        for (int j = 0; j < 36; j++) {
            if (j == 8 || j == 13 || j == 18 || j == 23) {
                assert_int_equal(id[j], '-');
            } else {
                assert_true(isxdigit((unsigned char)id[j]) && !isupper((unsigned char)id[j]));
            }
        }
        assert_int_equal(id[14], '7');           /* version */
        assert_non_null(strchr("89ab", id[19])); /* variant */
        char digits[13] = "";
        memcpy(digits, id, 8);
        memcpy(digits + 8, id + 9, 4);
        /* A quick row of ids may run a little ahead of the clock, never behind it. */
        assert_in_range(strtoll(digits, NULL, 16), before / 1000, after / 1000 + 1);
    }
    char id[37];
    assert_int_equal(uuid7(id, NULL), 0);
}

static void uuids_ascend_and_differ_in_their_random_part(void **state)
{
    (void)state;
    enum { IDS = 200000, SAMPLE = 1000 };
    char last[37] = "", id[37];
    static char tails[SAMPLE][17];
    for (int i = 0; i < IDS; i++) {
        assert_int_equal(uuid7(id, NULL), 0);
        if (strcmp(id, last) <= 0) {
            fail_msg("%s after %s", id, last);
        }
        memcpy(last, id, sizeof last);
        if (i < SAMPLE) {
            memcpy(tails[i], id + 20, 16);
            for (int j = 0; j < i; j++) {
                assert_string_not_equal(tails[i], tails[j]);
            }
        }
    }
}

/* ---- access codes */

static void codes_are_four_groups_of_crockfords_letters(void **state)
{
    (void)state;
    enum { CODES = 20000 };
    unsigned seen[128] = { 0 };
    char last[20] = "";
    for (int i = 0; i < CODES; i++) {
        char code[20];
        assert_int_equal(access_code(code), 0);
        assert_int_equal(strlen(code), 19);
        for (int j = 0; j < 19; j++) {
            if (j % 5 == 4) {
                assert_int_equal(code[j], '-');
            } else {
                assert_non_null(strchr("0123456789ABCDEFGHJKMNPQRSTVWXYZ", code[j]));
                seen[(unsigned char)code[j]]++;
            }
        }
        assert_string_not_equal(code, last);
        memcpy(last, code, sizeof last);
    }
    /* Each of 32 letters 10,000 times, give or take ten standard deviations: no bit is stuck. */
    for (const char *p = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; *p != '\0'; p++) {
        assert_in_range(seen[(unsigned char)*p], 9000, 11000);
    }
}

static void a_code_is_known_however_it_is_written(void **state)
{
    (void)state;
    char digest[67], other[67];
    /* sha256sum of ABCD0123EFGH4511 */
    assert_int_equal(access_code_digest(STR("ABCD-0123-EFGH-4511"), digest), 0);
    assert_string_equal(digest,
                        "\\xd45642de5ded0dc67ca60f3f1851472ade44a7d91645aedf921334d20357eddc");
    static const char *const same[] = { "ABCD0123EFGH4511", "abcd-0123-efgh-4511",
                                        "ABCD-O123-EFGH-45il", " abcd o123 efgh 45LI ",
                                        "AB-CD--012-3EFGH451I" };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        assert_int_equal(access_code_digest(str_of(same[i]), other), 0);
        assert_string_equal(digest, other);
    }
    static const struct str bad[] = {
        STR(""),
        STR("-"),
        STR("ABCD-0123-EFGH-451"),
        STR("ABCD-0123-EFGH-45111"),
        STR("ABCD-0123-EFGH-451U"),
        STR("ABCD-0123-EFGH-451\0"),
        STR("ABCD-0123-EFGH-451_"),
        STR("ABCD-0123-EFGH-45ё"),
        STR("АВСD-0123-EFGH-4511"), /* Cyrillic look-alikes are not guessed */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (access_code_digest(bad[i], other) != -1) {
            fail_msg("taken: %s", bad[i].p);
        }
    }
    assert_int_equal(access_code_digest((struct str){ NULL, 0 }, other), -1);
}

static void a_fresh_code_has_a_digest(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        char code[20], plain[20], a[67], b[67];
        size_t n = 0;
        assert_int_equal(access_code(code), 0);
        for (int j = 0; j < 19; j++) {
            if (code[j] != '-') {
                plain[n++] = code[j];
            }
        }
        assert_int_equal(access_code_digest(str_of(code), a), 0);
        sha256_bytea((struct str){ plain, n }, b);
        assert_string_equal(a, b);
    }
}

/* FIPS 180-2, appendix B. */
static void digests_are_sha256(void **state)
{
    (void)state;
    char out[67];
    sha256_bytea(STR("abc"), out);
    assert_string_equal(out, "\\xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_bytea((struct str){ NULL, 0 }, out);
    assert_string_equal(out, "\\xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* ---- numbers */

/* The worked example of Damm's table: 572 has the check digit 4. */
static void check_digits_are_damms(void **state)
{
    (void)state;
    assert_int_equal(check_digit("572", 3), '4');
    assert_int_equal(check_digit("5724", 4), '0');
    assert_int_equal(check_digit("", 0), '0');
}

/* What the database makes: appeal_number() of sql/migrations/0003. */
static void numbers_of_the_database_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int region, year;
    } cases[] = {
        { "67-2026-0000000-9", 67, 2026 }, { "67-2026-0000001-4", 67, 2026 },
        { "67-2026-0000042-5", 67, 2026 }, { "01-2026-9999999-0", 1, 2026 },
        { "78-2031-0000001-1", 78, 2031 }, { "99-2099-1234567-0", 99, 2099 },
        { "05-2025-0000100-6", 5, 2025 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct number n;
        if (number_parse(str_of(cases[i].text), &n) != 0) {
            fail_msg("refused: %s", cases[i].text);
        }
        assert_int_equal(n.region, cases[i].region);
        assert_int_equal(n.year, cases[i].year);
        assert_string_equal(n.text, cases[i].text);
    }
}

static void every_slip_of_a_digit_is_caught(void **state)
{
    (void)state;
    const char good[] = "67-2026-0000001-4";
    struct number n;
    assert_int_equal(number_parse(STR("67-2026-0000001-4"), &n), 0);
    for (size_t i = 0; i < sizeof good - 1; i++) {
        char bad[sizeof good];
        for (char c = '0'; c <= '9'; c++) {
            memcpy(bad, good, sizeof good);
            bad[i] = c;
            assert_int_equal(number_parse(str_of(bad), &n), c == good[i] ? 0 : -1);
        }
        /* Two neighbours in the wrong order, across a dash, too. */
        size_t next = i + 1 < sizeof good - 1 && good[i + 1] == '-' ? i + 2 : i + 1;
        if (good[i] != '-' && next < sizeof good - 1 && good[i] != good[next]) {
            memcpy(bad, good, sizeof good);
            bad[i] = good[next];
            bad[next] = good[i];
            assert_int_equal(number_parse(str_of(bad), &n), -1);
        }
    }
}

static void what_is_no_number_is_refused(void **state)
{
    (void)state;
    static const struct str bad[] = {
        STR(""),
        STR("67-2026-0000001"),
        STR("67-2026-0000001-"),
        STR("67-2026-0000001-4 "),
        STR(" 67-2026-0000001-4"),
        STR("67020260000000104"),
        STR("67-2026-000000a-1"),
        STR("67-2026-00000\0"
            "1-1"),
        STR("67/2026/0000001/4"),
        STR("------------------"),
        STR("67-2026-0000001-\xd1\x91"),
    };
    struct number n;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (number_parse(bad[i], &n) != -1) {
            fail_msg("taken: %s", bad[i].p);
        }
    }
    assert_int_equal(number_parse((struct str){ NULL, 0 }, &n), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_uuid_has_the_form_and_the_moment),
        cmocka_unit_test(uuids_ascend_and_differ_in_their_random_part),
        cmocka_unit_test(codes_are_four_groups_of_crockfords_letters),
        cmocka_unit_test(a_code_is_known_however_it_is_written),
        cmocka_unit_test(a_fresh_code_has_a_digest),
        cmocka_unit_test(digests_are_sha256),
        cmocka_unit_test(check_digits_are_damms),
        cmocka_unit_test(numbers_of_the_database_are_read),
        cmocka_unit_test(every_slip_of_a_digit_is_caught),
        cmocka_unit_test(what_is_no_number_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
