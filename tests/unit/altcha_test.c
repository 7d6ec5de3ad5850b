// Challenges: what was made here and solved is good; whatever is not strictly that is refused, and
// says why. The figures were computed by Python's hashlib and hmac.
// sources: ngx_module/altcha.c ngx_module/challenge_keys.c ngx_module/hmac_sha256.c
// libs: -lcrypto
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "altcha.h"

enum { NOW = 1800000000, UNTIL = NOW + 600, COUNTER = 217, COST = 5000 };

#define SECRET "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define OTHER "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY "a761a10e30721d6bad6b74f16b4801bbbc928d01688a8ffed1bb43b789298148"

#define PARAMETERS                                                                           \
    "{\"algorithm\":\"PBKDF2/SHA-256\",\"cost\":5000,\"data\":{\"key\":\"k1\",\"purpose\":"  \
    "\"appeal\",\"region\":\"90\",\"store\":\"00112233aabbccdd\"},\"expiresAt\":1800000600," \
    "\"keyLength\":32,\"keyPrefix\":\"a761a10e30721d6bad6b74f16b4801bb\",\"keySignature\":"  \
    "\"079b74949148de4b908734f8688b0555e2d99401667f90fd7b15e885d908ec10\",\"nonce\":"        \
    "\"101112131415161718191a1b1c1d1e1f\",\"salt\":\"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\"}"
#define SIGNATURE "4ef976c7cb74339436751ff2ac0b65fb2dbac92366c68bc41c54668a55ec227a"
#define SOLUTION "{\"counter\":217,\"derivedKey\":\"" KEY "\",\"time\":412.5}"
#define CHALLENGE "{\"parameters\":" PARAMETERS ",\"signature\":\"" SIGNATURE "\"}"
#define PAYLOAD "{\"challenge\":" CHALLENGE ",\"solution\":" SOLUTION "}"

static struct challenge_keys *keys;

static struct altcha_text text_of(const char *p)
{
    return (struct altcha_text){ p, strlen(p) };
}

static struct altcha_policy a_policy(void)
{
    return (struct altcha_policy){ text_of("appeal"), text_of("90"), text_of("00112233aabbccdd"),
                                   COST };
}

static struct challenge_keys *read_keys(const char *text)
{
    struct challenge_keys_error error;
    return challenge_keys_parse(text, strlen(text), &error);
}

static int set_up(void **state)
{
    (void)state;
    keys = read_keys("# the first signs\nk1 " SECRET "\nk0 " OTHER "\n");
    return keys == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    challenge_keys_free(keys);
    return 0;
}

static size_t base64(char *out, const char *p, size_t n)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t used = 0;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++) {
            bits = bits << 8 | (i + k < n ? (unsigned char)p[i + k] : 0);
        }
        for (size_t k = 0; k < 4; k++) {
            out[used++] = i + k <= n ? letters[bits >> (18 - 6 * k) & 63] : '=';
        }
    }
    return used;
}

static enum altcha_verdict check_at(const char *json, int64_t now)
{
    char text[16384];
    size_t n = base64(text, json, strlen(json));
    struct altcha_policy policy = a_policy();
    struct altcha_spent spent;
    return altcha_check(keys, &policy, text, n, now, &spent);
}

static enum altcha_verdict check(const char *json)
{
    return check_at(json, NOW);
}

/* The payload with another text in the place of one that is in it. */
static const char *with(const char *old, const char *new)
{
    static char json[4096];
    const char *at = strstr(PAYLOAD, old);
    assert_non_null(at);
    int n = snprintf(json, sizeof(json), "%.*s%s%s", (int)(at - PAYLOAD), PAYLOAD, new,
                     at + strlen(old));
    assert_in_range(n, 1, sizeof(json) - 1);
    return json;
}

/* Signed as ours are, however wrong: only the form can be what is refused. */
static const char *signed_as(const char *parameters, const char *solution)
{
    static char json[4096];
    uint8_t mac[HMAC_SHA256_SIZE];
    char hex[2 * HMAC_SHA256_SIZE + 1];
    hmac_sha256(&keys->list[0].sign, parameters, strlen(parameters), mac);
    for (size_t i = 0; i < sizeof(mac); i++) {
        snprintf(hex + 2 * i, 3, "%02x", mac[i]);
    }
    snprintf(json, sizeof(json),
             "{\"challenge\":{\"parameters\":%s,\"signature\":\"%s\"},\"solution\":%s}", parameters,
             hex, solution);
    return json;
}

/* The same for the parameters alone. */
static const char *signed_with(const char *old, const char *new)
{
    static char parameters[2048];
    const char *at = strstr(PARAMETERS, old);
    assert_non_null(at);
    snprintf(parameters, sizeof(parameters), "%.*s%s%s", (int)(at - PARAMETERS), PARAMETERS, new,
             at + strlen(old));
    return signed_as(parameters, SOLUTION);
}

static void assert_hex(const uint8_t *p, size_t n, const char *hex)
{
    char text[129];
    for (size_t i = 0; i < n; i++) {
        snprintf(text + 2 * i, 3, "%02x", p[i]);
    }
    assert_string_equal(text, hex);
}

static void hashes_are_those_of_others(void **state)
{
    (void)state;
    struct hmac_sha256 hmac;
    uint8_t out[HMAC_SHA256_SIZE];
    char key[100];
    memset(key, 'k', sizeof(key));
    hmac_sha256_key(&hmac, key, sizeof(key)); /* longer than a block */
    for (int i = 0; i < 2; i++) {             /* a key is for many messages */
        hmac_sha256(&hmac, "abc", 3, out);
        assert_hex(out, sizeof(out),
                   "b58b2b694fdba0dd76da3ebe99174f728d327560f36ece224e90867972479922");
    }
    hmac_sha256_pbkdf2("password", 8, "salt", 4, 1, out);
    assert_hex(out, sizeof(out),
               "120fb6cffcf8b32c43e7225256c4f837a86548c92ccc35480805987cb70be17b");
    hmac_sha256_pbkdf2("password", 8, "salt", 4, 4096, out);
    assert_hex(out, sizeof(out),
               "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a");
}

static struct altcha_riddle a_riddle(void)
{
    struct altcha_riddle riddle;
    for (int i = 0; i < 16; i++) {
        riddle.nonce[i] = (uint8_t)(0x10 + i);
        riddle.salt[i] = (uint8_t)(0xa0 + i);
    }
    altcha_derive(&riddle, COUNTER, COST);
    return riddle;
}

static void a_challenge_is_written(void **state)
{
    (void)state;
    struct altcha_riddle riddle = a_riddle();
    struct altcha_policy policy = a_policy();
    char out[ALTCHA_CHALLENGE_MAX];
    assert_hex(riddle.key, sizeof(riddle.key), KEY);
    size_t n = altcha_write(keys, &policy, &riddle, UNTIL, out, sizeof(out));
    assert_int_equal(n, strlen(CHALLENGE "\n"));
    assert_memory_equal(out, CHALLENGE "\n", n);
    for (size_t room = 0; room < n; room++) { /* or not at all */
        char *exact = malloc(room + !room);
        assert_non_null(exact);
        assert_int_equal(altcha_write(keys, &policy, &riddle, UNTIL, exact, room), 0);
        free(exact);
    }

    /* The longest texts that may be configured fit. */
    char longest[ALTCHA_TEXT_MAX];
    memset(longest, 'x', sizeof(longest));
    policy.purpose = policy.region = policy.store =
        (struct altcha_text){ longest, sizeof(longest) };
    policy.cost = ALTCHA_COST_MAX;
    n = altcha_write(keys, &policy, &riddle, INT64_C(9007199254740991), out, sizeof(out));
    assert_true(n > 0);
}

static void a_solution_is_good(void **state)
{
    (void)state;
    char text[4096];
    size_t n = base64(text, PAYLOAD, strlen(PAYLOAD));
    struct altcha_policy policy = a_policy();
    struct altcha_spent spent;
    assert_int_equal(altcha_check(keys, &policy, text, n, NOW, &spent), ALTCHA_GOOD);
    assert_int_equal(spent.until, UNTIL);
    assert_hex(spent.nonce, sizeof(spent.nonce), "101112131415161718191a1b1c1d1e1f");
    assert_int_equal(check(with(",\"time\":412.5", "")), ALTCHA_GOOD);
    assert_int_equal(check(with("412.5", "-0.5e+3")), ALTCHA_GOOD);
    assert_int_equal(check(with("{\"challenge\":", " {\t\"challenge\" :\r\n ")), ALTCHA_GOOD);
    assert_int_equal(check("{\"solution\":" SOLUTION ",\"challenge\":{\"signature\":\"" SIGNATURE
                           "\",\"parameters\":" PARAMETERS "}}"),
                     ALTCHA_GOOD);
}

static void an_old_key_verifies(void **state)
{
    (void)state;
    struct challenge_keys *now = keys;
    keys = read_keys("k2 " OTHER "\nk1 " SECRET "\n"); /* k1 signs no longer */
    assert_non_null(keys);
    assert_int_equal(check(PAYLOAD), ALTCHA_GOOD);
    challenge_keys_free(keys);
    keys = read_keys("k2 " SECRET "\n"); /* the name is what is signed, too */
    assert_int_equal(check(PAYLOAD), ALTCHA_UNKNOWN);
    challenge_keys_free(keys);
    keys = read_keys("k1 " OTHER "\n");
    assert_int_equal(check(PAYLOAD), ALTCHA_BAD_SIGNATURE);
    challenge_keys_free(keys);
    keys = now;
}

/* A1: no work. A key of one's own fits neither the prefix nor the signature of the key. */
static void no_work_proves_nothing(void **state)
{
    (void)state;
    struct altcha_riddle riddle = a_riddle();
    altcha_derive(&riddle, 0, COST);
    char own[65], half[65];
    for (size_t i = 0; i < sizeof(riddle.key); i++) {
        snprintf(own + 2 * i, 3, "%02x", riddle.key[i]);
    }
    assert_int_equal(check(with("217,\"derivedKey\":\"" KEY, "0,\"derivedKey\":\"")),
                     ALTCHA_MALFORMED);
    const char *changed = with(KEY, own);
    assert_int_equal(check(changed), ALTCHA_WRONG_PROOF);

    /* The half that is shown, and a guess. */
    snprintf(half, sizeof(half), "%.32s%032d", KEY, 0);
    assert_int_equal(check(with(KEY, half)), ALTCHA_WRONG_PROOF);

    /* Both made to fit: then the parameters are not those that were signed. */
    assert_int_equal(check(with("\"keyPrefix\":\"a761", "\"keyPrefix\":\"a762")),
                     ALTCHA_BAD_SIGNATURE);
    assert_int_equal(check(with("\"keySignature\":\"079b", "\"keySignature\":\"179b")),
                     ALTCHA_BAD_SIGNATURE);
    /* A signed prefix that is not that of the key. */
    assert_int_equal(check(signed_with("\"keyPrefix\":\"a761", "\"keyPrefix\":\"a762")),
                     ALTCHA_WRONG_PROOF);
    /* An empty or short prefix, or none, is no prefix. */
    assert_int_equal(check(signed_with("\"keyPrefix\":\"a761a10e30721d6bad6b74f16b4801bb",
                                       "\"keyPrefix\":\"")),
                     ALTCHA_MALFORMED);
    assert_int_equal(check(signed_with("\"keyPrefix\":\"a761a10e30721d6bad6b74f16b4801bb",
                                       "\"keyPrefix\":\"a761")),
                     ALTCHA_MALFORMED);
}

static void every_signed_letter_counts(void **state)
{
    (void)state;
    size_t start = (size_t)(strstr(PAYLOAD, PARAMETERS) - PAYLOAD);
    for (size_t i = start; i < start + strlen(PARAMETERS) + strlen(",\"signature\":\"" SIGNATURE);
         i++) {
        char json[sizeof(PAYLOAD)];
        memcpy(json, PAYLOAD, sizeof(json));
        json[i] = json[i] == '1' ? '2' : '1';
        assert_int_not_equal(check(json), ALTCHA_GOOD);
    }
}

/* A2: nothing of an unsigned payload is handed out to be remembered. */
static void unsigned_junk_spends_nothing(void **state)
{
    (void)state;
    struct altcha_policy policy = a_policy();
    struct altcha_spent spent, before;
    memset(&spent, 0x5a, sizeof(spent));
    before = spent;
    char text[4096];
    const char *wrong[] = { with("\"nonce\":\"10", "\"nonce\":\"11"), "{}", "" };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        size_t n = base64(text, wrong[i], strlen(wrong[i]));
        assert_int_not_equal(altcha_check(keys, &policy, text, n, NOW, &spent), ALTCHA_GOOD);
        assert_memory_equal(&spent, &before, sizeof(spent));
    }
}

/* A8: one form a value. */
static void values_have_one_form(void **state)
{
    (void)state;
    static const char *counters[] = { "\"217\"",
                                      "217.0",
                                      "2.17e2",
                                      "-217",
                                      "-0",
                                      "0217",
                                      "+217",
                                      "4294967296",
                                      "null",
                                      "",
                                      "true",
                                      "[217]",
                                      "18446744073709551833",
                                      "99999999999999999999999999999" };
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        char new[64];
        snprintf(new, sizeof(new), "\"counter\":%s", counters[i]);
        assert_int_equal(check(with("\"counter\":217", new)), ALTCHA_MALFORMED);
    }
    assert_int_equal(check(with("\"counter\":217", "\"counter\":4294967295")), ALTCHA_GOOD);
    assert_int_equal(check(with("\"counter\":217", "\"counter\":0")), ALTCHA_GOOD);

    static const struct {
        const char *old, *new;
    } wrong[] = {
        { KEY, "A761A10E30721D6BAD6B74F16B4801BBBC928D01688A8FFED1BB43B789298148" },
        { KEY, KEY "00" },
        { KEY, "a761" },
        { "\"derivedKey\":\"a7", "\"derivedKey\":\" a7" },
        { "\"derivedKey\":\"a7", "\"derivedKey\":\"g7" },
        { "\"derivedKey\":\"a7", "\"derivedKey\":\"\\u00617" },
        { SIGNATURE, "4EF976C7CB74339436751FF2AC0B65FB2DBAC92366C68BC41C54668A55EC227A" },
        { ",\"time\":412.5", ",\"time\":\"412.5\"" },
        { ",\"time\":412.5", ",\"time\":null" },
        { ",\"time\":412.5", ",\"time\":.5" },
        { ",\"time\":412.5", ",\"time\":5." },
        { ",\"time\":412.5", ",\"time\":05" },
        { ",\"time\":412.5", ",\"time\":1e" },
        { ",\"time\":412.5", ",\"time\":NaN" },
        { ",\"time\":412.5", ",\"time\":1111111111222222222233333333334444" },
        { ",\"time\":412.5", ",\"time\":1,\"time\":1" },
        { ",\"time\":412.5", ",\"more\":1" },
        { ",\"time\":412.5", "," },
        { "\"counter\":217,", "" },
        { "\"counter\":217,", "\"counter\":217,\"counter\":217," },
        { "\"signature\":", "\"Signature\":" },
        { "\"cost\":5000", "\"cost\":\"5000\"" },
        { "\"cost\":5000", "\"cost\":5000,\"cost\":5000" },
        { "\"cost\":5000", "\"cost\":100001" },
        { "\"cost\":5000", "\"cost\":5000,\"memoryCost\":1" },
        { "\"region\":\"90\"", "\"region\":90" },
        { "\"region\":\"90\"", "\"region\":{}" },
        { "\"region\":\"90\"", "\"region\":\"9\\u0030\"" },
        { "\"region\":\"90\"", "\"region\":\"90\",\"admin\":true" },
        { "\"purpose\":\"appeal\",", "" },
        { "appeal", "\xd0\xbf" },
        { "appeal", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" },
        { "{\"challenge\"", "[{\"challenge\"" },
        { "{\"challenge\"", "{\"challenge\":1,\"challenge\"" },
        { "{\"challenge\"", "{,\"challenge\"" },
        { "{\"challenge\"", "\xef\xbb\xbf{\"challenge\"" },
        { "\"time\":412.5}", "\"time\":412.5}}" },
        { "\"time\":412.5}", "\"time\":412.5" },
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *json = with(wrong[i].old, wrong[i].new);
        if (check(json) != ALTCHA_MALFORMED) {
            fail_msg("%s", json);
        }
    }
    assert_int_equal(check(PAYLOAD " x"), ALTCHA_MALFORMED);

    /* Signed by us, and not what is configured. */
    assert_int_equal(check(signed_with("PBKDF2/SHA-256", "PBKDF2/SHA-512")), ALTCHA_MALFORMED);
    assert_int_equal(check(signed_with("\"keyLength\":32", "\"keyLength\":16")), ALTCHA_MALFORMED);
    assert_int_equal(check(signed_with("\"cost\":5000", "\"cost\":1")), ALTCHA_UNKNOWN);
    assert_int_equal(check(signed_with("00112233aabbccdd", "00112233aabbccde")), ALTCHA_UNKNOWN);
    /* Nor is another order or blanks what the signature is of. */
    assert_int_equal(check(signed_with(",\"cost\":5000", ", \"cost\":5000")), ALTCHA_BAD_SIGNATURE);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    char json[sizeof(PAYLOAD)], text[4096];
    for (size_t n = 0; n + 1 < sizeof(PAYLOAD); n++) {
        snprintf(json, sizeof(json), "%.*s", (int)n, PAYLOAD);
        assert_int_equal(check(json), ALTCHA_MALFORMED);
    }
    /* Of its own length, so that a sanitizer sees what is read beyond it. */
    struct altcha_policy policy = a_policy();
    struct altcha_spent spent;
    size_t whole = base64(text, PAYLOAD, strlen(PAYLOAD));
    for (size_t n = 0; n < whole; n++) {
        char *exact = malloc(n + !n);
        assert_non_null(exact);
        memcpy(exact, text, n);
        assert_int_equal(altcha_check(keys, &policy, exact, n, NOW, &spent), ALTCHA_MALFORMED);
        free(exact);
    }
}

static void base64_has_one_spelling(void **state)
{
    (void)state;
    char text[8192], changed[8192];
    struct altcha_policy policy = a_policy();
    struct altcha_spent spent;
    size_t n = base64(text, PAYLOAD, strlen(PAYLOAD)); /* ends with one = */
    assert_int_equal(text[n - 1], '=');
    assert_int_not_equal(text[n - 2], '=');
#define CHECK(p, length) altcha_check(keys, &policy, p, length, NOW, &spent)
    assert_int_equal(CHECK(text, n), ALTCHA_GOOD);
    assert_int_equal(CHECK(text, n - 1), ALTCHA_MALFORMED); /* without its padding */
    memcpy(changed, text, n);
    changed[n - 2]++; /* bits that say nothing */
    assert_int_equal(CHECK(changed, n), ALTCHA_MALFORMED);
    static const char foreign[] = { '-', '_', ' ', '\n', '=', '\0', '\x80', '.' };
    for (size_t i = 0; i < sizeof(foreign); i++) {
        memcpy(changed, text, n);
        changed[100] = foreign[i];
        assert_int_equal(CHECK(changed, n), ALTCHA_MALFORMED);
    }
    assert_int_equal(CHECK("====", 4), ALTCHA_MALFORMED);

    /* The size counts before anything else. */
    char *json = malloc(4000);
    assert_non_null(json);
    memset(json, ' ', 4000);
    memcpy(json, PAYLOAD, strlen(PAYLOAD));
    n = base64(changed, json, 3072);
    assert_int_equal(n, ALTCHA_PAYLOAD_MAX);
    assert_int_equal(CHECK(changed, n), ALTCHA_GOOD);
    n = base64(changed, json, 3073);
    assert_int_equal(CHECK(changed, n), ALTCHA_MALFORMED);
    free(json);
}

static void time_and_purpose_are_bound(void **state)
{
    (void)state;
    assert_int_equal(check_at(PAYLOAD, UNTIL - 1), ALTCHA_GOOD);
    assert_int_equal(check_at(PAYLOAD, UNTIL), ALTCHA_EXPIRED);
    assert_int_equal(check(with("1800000600", "1800000601")), ALTCHA_BAD_SIGNATURE);
    assert_int_equal(check(signed_with("1800000600", "0")), ALTCHA_EXPIRED);
    assert_int_equal(check(signed_with("\"appeal\"", "\"comment\"")), ALTCHA_WRONG_PURPOSE);
    assert_int_equal(check(signed_with("\"appeal\"", "\"\"")), ALTCHA_WRONG_PURPOSE);
    assert_int_equal(check(signed_with("\"90\"", "\"67\"")), ALTCHA_WRONG_PURPOSE);
    assert_int_equal(check(with("\"90\"", "\"67\"")), ALTCHA_BAD_SIGNATURE);
}

static void key_files_are_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned line;
    } wrong[] = {
        { "", 0 },
        { "# none\n\n", 0 },
        { "k1 " SECRET, 1 },
        { "k1  " SECRET "\n", 1 },
        { "K1 " SECRET "\n", 1 },
        { "k1\n", 1 },
        { " " SECRET "\n", 1 },
        { "k1 " SECRET " \n", 1 },
        { "\nk1 00\n", 2 },
        { "k1 " SECRET "0\n", 1 },
        { "k1 " SECRET SECRET "00\n", 1 },
        { "k1 A00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", 1 },
        { "k1 " SECRET "\nk1 " OTHER "\n", 2 },
        { "seventeen-letters " SECRET "\n", 1 },
        { "1 " SECRET "\n2 " SECRET "\n3 " SECRET "\n4 " SECRET "\n5 " SECRET "\n6 " SECRET
          "\n7 " SECRET "\n8 " SECRET "\n9 " SECRET "\n",
          9 },
    };
    struct challenge_keys_error error;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_null(challenge_keys_parse(wrong[i].text, strlen(wrong[i].text), &error));
        assert_int_equal(error.line, wrong[i].line);
        assert_non_null(error.what);
    }
    char *big = calloc(1, CHALLENGE_KEYS_FILE_MAX + 1);
    assert_non_null(big);
    memset(big, '\n', CHALLENGE_KEYS_FILE_MAX + 1);
    assert_null(challenge_keys_parse(big, CHALLENGE_KEYS_FILE_MAX + 1, &error));
    free(big);
    assert_null(challenge_keys_find(keys, "k", 1));
    assert_null(challenge_keys_find(keys, "k11", 3));
    assert_ptr_equal(challenge_keys_find(keys, "k0", 2), &keys->list[1]);
    /* Two keys of one secret, and of two names. */
    assert_memory_not_equal(&keys->list[0].sign, &keys->list[0].prove, sizeof(struct hmac_sha256));
    assert_memory_not_equal(&keys->list[0].sign, &keys->list[1].sign, sizeof(struct hmac_sha256));
    challenge_keys_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_others),
        cmocka_unit_test(a_challenge_is_written),
        cmocka_unit_test(a_solution_is_good),
        cmocka_unit_test(an_old_key_verifies),
        cmocka_unit_test(no_work_proves_nothing),
        cmocka_unit_test(every_signed_letter_counts),
        cmocka_unit_test(unsigned_junk_spends_nothing),
        cmocka_unit_test(values_have_one_form),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(base64_has_one_spelling),
        cmocka_unit_test(time_and_purpose_are_bound),
        cmocka_unit_test(key_files_are_read_strictly),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
