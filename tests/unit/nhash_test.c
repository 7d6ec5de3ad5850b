// The hash of long texts: by its definition, at every length, and no bit of text or key is left
// out.
// sources: ngx_module/nhash.c ngx_module/siphash.c
// libs:
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "nhash.h"

static const uint8_t secret[SIPHASH_KEY_SIZE] = "sixteen bytes ok";

/* 64 times 64 bits by hand, added to a sum of four 32-bit digits. */
static void multiply_add(uint32_t sum[4], uint64_t a, uint64_t b)
{
    uint32_t x[2] = { (uint32_t)a, (uint32_t)(a >> 32) },
             y[2] = { (uint32_t)b, (uint32_t)(b >> 32) };
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            uint64_t carry = (uint64_t)x[i] * y[j];
            for (int k = i + j; k < 4; k++) {
                carry += sum[k];
                sum[k] = (uint32_t)carry;
                carry >>= 32;
            }
        }
    }
}

static void by_definition(const struct nhash *key, const uint8_t *text, size_t n, uint64_t out[2])
{
    uint32_t sums[2][4] = { { 0 } };
    for (size_t block = 0; block * 16 < n; block++) {
        uint64_t words[2] = { 0, 0 };
        for (size_t i = block * 16; i < n && i < block * 16 + 16; i++) {
            words[i / 8 % 2] |= (uint64_t)text[i] << i % 8 * 8;
        }
        for (size_t pass = 0; pass < 2; pass++) {
            const uint64_t *k = key->words + 2 * (block + pass);
            multiply_add(sums[pass], words[0] + k[0], words[1] + k[1]);
        }
    }
    uint64_t final[5];
    for (int i = 0; i < 4; i++) {
        final[i] = sums[i / 2][i % 2 * 2] | (uint64_t)sums[i / 2][i % 2 * 2 + 1] << 32;
    }
    final[4] = n;
    siphash128(key->secret, final, sizeof final, out);
}

static void it_is_what_its_definition_says(void **state)
{
    (void)state;
    static struct nhash key;
    nhash_init(&key, secret);
    srand(1);
    for (size_t n = 0; n <= NHASH_MAX; n += n < 70 ? 1 : 29) {
        size_t shift = n % 8; /* texts begin anywhere */
        uint8_t *text = malloc(n + shift + 1);
        assert_non_null(text);
        for (size_t i = 0; i < n + shift; i++) {
            text[i] = (uint8_t)(rand() >> 7);
        }
        uint64_t hash[2], expected[2];
        nhash(&key, text + shift, n, hash);
        by_definition(&key, text + shift, n, expected);
        assert_memory_equal(hash, expected, sizeof hash);
        free(text);
    }
    uint8_t *longest = malloc(NHASH_MAX); /* of just that size, for the sanitizer */
    assert_non_null(longest);
    memset(longest, 0xff, NHASH_MAX);
    uint64_t hash[2], expected[2];
    nhash(&key, longest, NHASH_MAX, hash);
    by_definition(&key, longest, NHASH_MAX, expected);
    assert_memory_equal(hash, expected, sizeof hash);
    free(longest);
}

static void every_bit_counts(void **state)
{
    (void)state;
    static struct nhash key;
    nhash_init(&key, secret);
    uint8_t text[75] = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJpdmFub3ZhIn0.c2lnbmF0dXJl";
    uint64_t hash[2], other[2];
    nhash(&key, text, sizeof text, hash);
    for (size_t i = 0; i < sizeof text * 8; i++) {
        text[i / 8] ^= (uint8_t)(1 << i % 8);
        nhash(&key, text, sizeof text, other);
        text[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_true(hash[0] != other[0] && hash[1] != other[1]);
    }
    /* Zeros at the end are not nothing. */
    for (size_t n = 57; n < sizeof text; n++) {
        nhash(&key, text, n, other);
        assert_true(hash[0] != other[0] && hash[1] != other[1]);
    }
    for (size_t i = 0; i < SIPHASH_KEY_SIZE * 8; i++) {
        static struct nhash another;
        uint8_t changed[SIPHASH_KEY_SIZE];
        memcpy(changed, secret, sizeof changed);
        changed[i / 8] ^= (uint8_t)(1 << i % 8);
        nhash_init(&another, changed);
        nhash(&another, text, sizeof text, other);
        assert_true(hash[0] != other[0] && hash[1] != other[1]);
    }
}

static void no_words_of_a_key_are_alike(void **state)
{
    (void)state;
    static struct nhash key;
    nhash_init(&key, secret);
    size_t n = sizeof key.words / sizeof *key.words;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_true(key.words[i] != key.words[k]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_what_its_definition_says),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(no_words_of_a_key_are_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
