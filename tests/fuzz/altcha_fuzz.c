// Solutions of any bytes, of any JSON, and with any parameters that are signed well; files of keys
// of any bytes: no crash, no leak, and what is let in is what was signed.
// sources: ngx_module/altcha.c ngx_module/challenge_keys.c ngx_module/hmac_sha256.c
// libs: -lcrypto
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "altcha.h"

enum { NOW = 1800000000, JSON_MAX = 8192, ROOM = JSON_MAX / 3 * 4 + 8 };

static const char file[] = "k1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
                           "k0 ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t base64(char *out, const void *data, size_t n)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = data;
    size_t used = 0;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++) {
            bits = bits << 8 | (i + k < n ? p[i + k] : 0);
        }
        for (size_t k = 0; k < 4; k++) {
            out[used++] = i + k <= n ? letters[bits >> (18 - 6 * k) & 63] : '=';
        }
    }
    return used;
}

static size_t put(char *out, size_t used, const void *data, size_t n)
{
    assert(used + n <= JSON_MAX);
    if (n > 0) {
        memcpy(out + used, data, n);
    }
    return used + n;
}

#define PUT(text) used = put(json, used, text, sizeof(text) - 1)

/* The bytes up to the first NUL are the parameters, the others the solution. */
static size_t sign(const struct challenge_keys *keys, char *json, const uint8_t *data, size_t size)
{
    const uint8_t *nul = memchr(data, '\0', size);
    size_t n = nul ? (size_t)(nul - data) : size;
    uint8_t mac[HMAC_SHA256_SIZE];
    hmac_sha256(&keys->list[0].sign, data, n, mac);
    size_t used = 0;
    PUT("{\"challenge\":{\"parameters\":");
    used = put(json, used, data, n);
    PUT(",\"signature\":\"");
    for (size_t i = 0; i < sizeof(mac); i++) {
        static const char hex[] = "0123456789abcdef";
        used = put(json, used, &hex[mac[i] >> 4], 1);
        used = put(json, used, &hex[mac[i] & 15], 1);
    }
    PUT("\"},\"solution\":");
    if (nul) {
        used = put(json, used, nul + 1, size - n - 1);
    }
    PUT("}");
    return used;
}

static void read_keys(const char *text, size_t n)
{
    struct challenge_keys_error error;
    struct challenge_keys *keys = challenge_keys_parse(text, n, &error);
    if (keys == NULL) {
        assert(error.what != NULL);
        return;
    }
    assert(keys->n > 0 && keys->n <= CHALLENGE_KEYS_MAX);
    for (size_t i = 0; i < keys->n; i++) {
        const char *id = keys->list[i].id;
        assert(challenge_keys_find(keys, id, strlen(id)) == &keys->list[i]);
    }
    challenge_keys_free(keys);
}

/* The first byte: a solution as it is, JSON of one, parameters to be signed, or a file of keys. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct challenge_keys *keys;
    static char json[JSON_MAX], text[ROOM];
    static const struct altcha_policy policy = {
        { "appeal", 6 }, { "90", 2 }, { "00112233aabbccdd", 16 }, 5000
    };
    if (keys == NULL) {
        struct challenge_keys_error error;
        keys = challenge_keys_parse(file, sizeof(file) - 1, &error);
        assert(keys != NULL);
    }
    if (size < 1 || size > ALTCHA_PAYLOAD_MAX + 2) {
        return 0;
    }
    size_t n = size - 1;
    switch (data[0] & 3) {
    case 0:
        memcpy(text, data + 1, n);
        break;
    case 1:
        n = base64(text, data + 1, n);
        break;
    case 2:
        n = base64(text, json, sign(keys, json, data + 1, n));
        break;
    default:
        memcpy(text, data + 1, n);
    }
    /* On the heap, of its own length: reading past its end is found. */
    char *copy = malloc(n + !n);
    assert(copy != NULL);
    memcpy(copy, text, n);
    struct altcha_spent spent = { .until = 0 };
    if ((data[0] & 3) == 3) {
        read_keys(copy, n);
    } else if (altcha_check(keys, &policy, copy, n, NOW, &spent) == ALTCHA_GOOD) {
        assert(spent.until > NOW);
        assert(n <= ALTCHA_PAYLOAD_MAX && n % 4 == 0);
    } else {
        assert(spent.until == 0);
    }
    free(copy);
    return 0;
}
