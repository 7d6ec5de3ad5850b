// The keyed hashes are SipHash-2-4 and 1-3 of 128 bits to the last of them; ids have their form and
// ascend.
// sources: ngx_module/siphash.c ngx_module/uuid7.c
// libs: -lcrypto
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/params.h>

#include "siphash.h"
#include "uuid7.h"

static void bytes_of(const uint64_t hash[2], uint8_t bytes[16])
{
    for (int i = 0; i < 16; i++) {
        bytes[i] = (uint8_t)(hash[i / 8] >> (8 * (i % 8)));
    }
}

/* Of the paper's authors: key 00 01 … 0f, no data. */
static void the_authors_vector_holds(void **state)
{
    (void)state;
    static const uint8_t expected[16] = { 0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
                                          0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93 };
    uint8_t key[16], bytes[16];
    uint64_t hash[2];
    for (int i = 0; i < 16; i++) {
        key[i] = (uint8_t)i;
    }
    siphash128(key, "", 0, hash);
    bytes_of(hash, bytes);
    assert_memory_equal(bytes, expected, sizeof bytes);
}

static void it_agrees_with_openssl_at_every_length(void **state)
{
    (void)state;
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    assert_non_null(mac);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    assert_non_null(ctx);
    uint8_t key[16], data[300];
    srand(1);
    for (size_t turn = 0; turn <= 2 * sizeof data + 1; turn++) {
        size_t n = turn / 2;
        for (size_t i = 0; i < sizeof key; i++) {
            key[i] = (uint8_t)rand();
        }
        for (size_t i = 0; i < n; i++) {
            data[i] = (uint8_t)rand();
        }
        size_t size = 16, written = 0;
        unsigned c = turn % 2 ? 1 : 2, d = turn % 2 ? 3 : 4;
        OSSL_PARAM params[] = { OSSL_PARAM_construct_size_t("size", &size),
                                OSSL_PARAM_construct_uint("c-rounds", &c),
                                OSSL_PARAM_construct_uint("d-rounds", &d),
                                OSSL_PARAM_construct_end() };
        uint8_t expected[16], bytes[16];
        assert_int_equal(EVP_MAC_init(ctx, key, sizeof key, params), 1);
        assert_int_equal(EVP_MAC_update(ctx, data, n), 1);
        assert_int_equal(EVP_MAC_final(ctx, expected, &written, sizeof expected), 1);
        assert_int_equal(written, 16);
        uint64_t hash[2] = { 0 };
        (turn % 2 ? siphash128_table : siphash128)(key, data, n, hash);
        bytes_of(hash, bytes);
        assert_memory_equal(bytes, expected, sizeof bytes);
    }
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
}

static void an_id_says_when_and_is_random_behind(void **state)
{
    (void)state;
    static const uint8_t ones[8] = { 255, 255, 255, 255, 255, 255, 255, 255 };
    static const uint8_t zeros[8] = { 0 };
    char id[UUID7_TEXT_SIZE + 1] = "";
    /* The example of RFC 9562, appendix A.6, has this millisecond. */
    uuid7_write(id, INT64_C(1645557742000) * 1000000, ones);
    assert_string_equal(id, "017f22e2-79b0-7000-bfff-ffffffffffff");
    uuid7_write(id, INT64_C(1645557742000) * 1000000 + 999999, zeros);
    assert_string_equal(id, "017f22e2-79b0-7fff-8000-000000000000");
    uuid7_write(id, 0, zeros);
    assert_string_equal(id, "00000000-0000-7000-8000-000000000000");
    uuid7_write(id, INT64_MAX, zeros);
    assert_int_equal(strlen(id), UUID7_TEXT_SIZE);
}

static void ids_ascend_with_time(void **state)
{
    (void)state;
    char last[UUID7_TEXT_SIZE + 1] = "", id[UUID7_TEXT_SIZE + 1] = "";
    uint8_t random[UUID7_RANDOM_SIZE];
    srand(2);
    int64_t now = INT64_C(1700000000) * 1000000000;
    for (int i = 0; i < 200000; i++) {
        now += 245 + rand() % 1000; /* a 4096th of a millisecond is 244 ns and a bit */
        for (size_t j = 0; j < sizeof random; j++) {
            random[j] = (uint8_t)rand();
        }
        uuid7_write(id, now, random);
        if (strcmp(id, last) <= 0) {
            fail_msg("%s after %s", id, last);
        }
        memcpy(last, id, sizeof last);
        for (int j = 0; j < UUID7_TEXT_SIZE; j++) {
            bool dash = j == 8 || j == 13 || j == 18 || j == 23;
            bool hex = isxdigit((unsigned char)id[j]) && !isupper((unsigned char)id[j]);
            assert_true(dash ? id[j] == '-' : hex);
        }
        assert_int_equal(id[14], '7');
        assert_non_null(strchr("89ab", id[19]));
        char digits[13] = "";
        memcpy(digits, id, 8);
        memcpy(digits + 8, id + 9, 4);
        assert_int_equal(strtoll(digits, NULL, 16), now / 1000000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_authors_vector_holds),
        cmocka_unit_test(it_agrees_with_openssl_at_every_length),
        cmocka_unit_test(an_id_says_when_and_is_random_behind),
        cmocka_unit_test(ids_ascend_with_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
