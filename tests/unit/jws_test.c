// Signed tokens: known vectors, every algorithm, every attack of RFC 8725, section 2, and the
// reason each is refused for.
// sources: ngx_module/jws.c ngx_module/jwks.c ngx_module/json_tree.c ngx_module/base64url.c ngx_module/revoked.c
// libs: -lyajl -lcrypto
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base64url.h"
#include "json_tree.h"
#include "jws.h"

enum { NOW = 1800000000, TEXT = 16384 };

static const struct jws_policy policy = { .issuer = "https://id.example",
                                          .audience = "otklik",
                                          .leeway = 30,
                                          .roles = "roles",
                                          .region = "region",
                                          .body = "body" };

static const char good_claims[] =
    "{\"iss\":\"https://id.example\",\"aud\":\"otklik\",\"sub\":\"ivanova\","
    "\"exp\":1800000600,\"jti\":\"one\",\"roles\":[\"moderator\",\"analyst\"],"
    "\"region\":67,\"body\":\"mfc\"}";

/* ---- keys of the test's own, and the sets that belong to them */

enum { RSA_KEY, P256_KEY, P384_KEY, ED_KEY, KEYS };

static EVP_PKEY *keys[KEYS];
static const char secret[] = "0123456789abcdef0123456789abcdef";
static struct jws *jws;

static char *base64url(const void *data, size_t n)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *p = data;
    char *out = malloc(n * 2 + 4), *to = out;
    assert_non_null(out);
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < n; i++) {
        bits = bits << 8 | p[i];
        for (count += 8; count >= 6; count -= 6) {
            *to++ = letters[bits >> (count - 6) & 63];
        }
    }
    if (count > 0) {
        *to++ = letters[bits << (6 - count) & 63];
    }
    *to = '\0';
    return out;
}

static char *number(EVP_PKEY *key, const char *name)
{
    BIGNUM *value = NULL;
    unsigned char bytes[1024];
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &value), 1);
    int n = BN_bn2bin(value, bytes);
    BN_free(value);
    return base64url(bytes, (size_t)n);
}

static char *coordinate(EVP_PKEY *key, const char *name, int size)
{
    BIGNUM *value = NULL;
    unsigned char bytes[64];
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &value), 1);
    assert_int_equal(BN_bn2binpad(value, bytes, size), size);
    BN_free(value);
    return base64url(bytes, (size_t)size);
}

/* A JWK for one algorithm; extra goes in at its end. */
static void write_jwk(char *out, size_t size, const char *alg, const char *kid, const char *extra)
{
    if (alg[0] == 'R' || alg[0] == 'P') {
        char *n = number(keys[RSA_KEY], "n"), *e = number(keys[RSA_KEY], "e");
        snprintf(out, size,
                 "{\"kty\":\"RSA\",\"alg\":\"%s\",\"kid\":\"%s\",\"n\":\"%s\",\"e\":\"%s\"%s}", alg,
                 kid, n, e, extra);
        free(n);
        free(e);
    } else if (alg[0] == 'E' && alg[1] == 'S') {
        bool small = strcmp(alg, "ES256") == 0;
        EVP_PKEY *key = keys[small ? P256_KEY : P384_KEY];
        char *x = coordinate(key, "qx", small ? 32 : 48),
             *y = coordinate(key, "qy", small ? 32 : 48);
        snprintf(
            out, size,
            "{\"kty\":\"EC\",\"alg\":\"%s\",\"kid\":\"%s\",\"crv\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"%s}",
            alg, kid, small ? "P-256" : "P-384", x, y, extra);
        free(x);
        free(y);
    } else if (alg[0] == 'E') {
        unsigned char bytes[32];
        size_t n = sizeof(bytes);
        assert_int_equal(EVP_PKEY_get_raw_public_key(keys[ED_KEY], bytes, &n), 1);
        char *x = base64url(bytes, n);
        snprintf(
            out, size,
            "{\"kty\":\"OKP\",\"alg\":\"EdDSA\",\"kid\":\"%s\",\"crv\":\"Ed25519\",\"x\":\"%s\"%s}",
            kid, x, extra);
        free(x);
    } else {
        char *k = base64url(secret, 32);
        snprintf(out, size, "{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"%s\",\"k\":\"%s\"%s}",
                 kid, k, extra);
        free(k);
    }
}

static struct jwks *parse(const char *jwk)
{
    char text[TEXT];
    snprintf(text, sizeof(text), "{\"keys\":[%s]}", jwk);
    struct jwks_error error;
    struct jwks *jwks = jwks_parse(text, strlen(text), &error);
    if (jwks == NULL) {
        fail_msg("key %u: %s", error.key, error.what);
    }
    return jwks;
}

static struct jwks *set_of(const char *alg)
{
    char jwk[4096];
    write_jwk(jwk, sizeof(jwk), alg, "k1", "");
    return parse(jwk);
}

static void refused(const char *jwk, const char *why)
{
    char text[TEXT];
    snprintf(text, sizeof(text), "{\"keys\":[%s]}", jwk);
    struct jwks_error error;
    struct jwks *jwks = jwks_parse(text, strlen(text), &error);
    if (jwks != NULL) {
        jwks_free(jwks);
        fail_msg("taken: %s", jwk);
    }
    assert_string_equal(error.what, why);
    assert_int_equal(ERR_peek_error(), 0);
}

/* ---- tokens */

static size_t sign(const char *alg, const char *text, unsigned char *out)
{
    size_t n = 1024;
    if (alg[0] == 'H') {
        unsigned length = 0;
        assert_non_null(HMAC(EVP_sha256(), secret, 32, (const unsigned char *)text, strlen(text),
                             out, &length));
        return length;
    }
    const EVP_MD *digest = strstr(alg, "384")   ? EVP_sha384()
                           : strstr(alg, "512") ? EVP_sha512()
                                                : EVP_sha256();
    EVP_PKEY *key = keys[alg[0] == 'E' ? (alg[1] == 'd'               ? ED_KEY
                                          : strcmp(alg, "ES256") == 0 ? P256_KEY
                                                                      : P384_KEY)
                                       : RSA_KEY];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pkey = NULL;
    assert_int_equal(EVP_DigestSignInit(context, &pkey, alg[1] == 'd' ? NULL : digest, NULL, key),
                     1);
    if (alg[0] == 'P') {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pkey, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    assert_int_equal(EVP_DigestSign(context, out, &n, (const unsigned char *)text, strlen(text)),
                     1);
    EVP_MD_CTX_free(context);
    if (alg[0] == 'E' && alg[1] == 'S') {
        const unsigned char *p = out;
        ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
        assert_non_null(sig);
        int size = strcmp(alg, "ES256") == 0 ? 32 : 48;
        assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, size), size);
        assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + size, size), size);
        ECDSA_SIG_free(sig);
        n = 2 * (size_t)size;
    }
    return n;
}

/* Signed by the key of alg, whatever the header says. */
static char *make(const char *alg, const char *header, const char *claims)
{
    char *first = base64url(header, strlen(header)), *second = base64url(claims, strlen(claims));
    char *token = malloc(2 * TEXT);
    assert_non_null(token);
    int n = snprintf(token, 2 * TEXT, "%s.%s", first, second);
    unsigned char signature[1024];
    size_t length = sign(alg, token, signature);
    char *third = base64url(signature, length);
    snprintf(token + n, (size_t)(2 * TEXT - n), ".%s", third);
    free(first);
    free(second);
    free(third);
    return token;
}

static enum jws_verdict judge_by(const struct jwks *set, const struct jws_policy *p,
                                 const char *token)
{
    struct jws_identity identity;
    enum jws_verdict verdict = jws_check(jws, set, NULL, p, token, strlen(token), NOW, &identity);
    assert_int_equal(ERR_peek_error(), 0); /* or TLS in the same process stumbles over it */
    return verdict;
}

static enum jws_verdict judge(const struct jwks *set, const char *token)
{
    return judge_by(set, &policy, token);
}

static enum jws_verdict judge_header(const char *header)
{
    struct jwks *set = set_of("ES256");
    char *token = make("ES256", header, good_claims);
    enum jws_verdict verdict = judge(set, token);
    free(token);
    jwks_free(set);
    return verdict;
}

static enum jws_verdict judge_claims(const char *claims)
{
    struct jwks *set = set_of("HS256");
    char *token = make("HS256", "{\"alg\":\"HS256\"}", claims);
    enum jws_verdict verdict = judge(set, token);
    free(token);
    jwks_free(set);
    return verdict;
}

/* Good claims with more, or with other members in the place of theirs. */
static enum jws_verdict judge_with(const char *sub, const char *exp, const char *more)
{
    char claims[4096];
    snprintf(claims, sizeof(claims),
             "{\"iss\":\"https://id.example\",\"aud\":\"otklik\",\"sub\":%s,\"exp\":%s%s}", sub,
             exp, more);
    return judge_claims(claims);
}

static int set_up(void **state)
{
    (void)state;
    keys[RSA_KEY] = EVP_RSA_gen(2048);
    keys[P256_KEY] = EVP_EC_gen("P-256");
    keys[P384_KEY] = EVP_EC_gen("P-384");
    keys[ED_KEY] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    jws = jws_create();
    return keys[RSA_KEY] && keys[P256_KEY] && keys[P384_KEY] && keys[ED_KEY] && jws ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        EVP_PKEY_free(keys[i]);
    }
    jws_free(jws);
    return 0;
}

static const char *algorithms[] = { "RS256", "RS384", "RS512", "PS256", "PS384",
                                    "PS512", "ES256", "ES384", "EdDSA", "HS256" };
enum { ALGORITHMS = sizeof(algorithms) / sizeof(algorithms[0]) };

/* ---- base64url and JSON */

static void one_value_has_one_spelling(void **state)
{
    (void)state;
    uint8_t out[8];
    size_t n = 0;
    assert_true(base64url_decode("AQAB", 4, out, sizeof(out), &n));
    assert_int_equal(n, 3);
    assert_memory_equal(out, "\1\0\1", 3);
    assert_true(base64url_decode("_-8", 3, out, sizeof(out), &n));
    assert_int_equal(n, 2);
    assert_memory_equal(out, "\xff\xef", 2);
    assert_true(base64url_decode("", 0, out, sizeof(out), &n));
    static const char *bad[] = { "AQAB=", "A",    "AQABA", "AB",   "AQF",
                                 "A+AB",  "A/AB", "A AB",  "AQ\n", "\xd0\x90" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(base64url_decode(bad[i], strlen(bad[i]), out, sizeof(out), &n));
    }
    assert_false(base64url_decode("AAAAAAAAAAAA", 12, out, sizeof(out), &n)); /* 9 bytes */
    for (size_t size = 0; size < 200; size++) {
        uint8_t bytes[200], back[200];
        for (size_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)(i * 37 + size);
        }
        char *text = base64url(bytes, size);
        assert_true(base64url_decode(text, strlen(text), back, size, &n));
        assert_int_equal(n, size);
        assert_memory_equal(back, bytes, size);
        free(text);
    }
}

static void json_is_strict(void **state)
{
    (void)state;
    struct json_tree *tree = json_tree_create(100, 2048);
    assert_non_null(tree);
    static const char *good[] = { "{}", "[1,2,{\"a\":null}]", "\"\\ud83d\\ude00\"",
                                  " {\"a\":1,\"b\":{\"a\":2}} ", "\"\xf0\x9f\x98\x80\"" };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_non_null(json_tree_read(tree, good[i], strlen(good[i])));
    }
    static const char *bad[] = { "",
                                 "{",
                                 "{}{}",
                                 "{} x",
                                 "{\"a\":1,\"a\":1}",
                                 "{\"a\":1,\"\\u0061\":1}",
                                 "{\"x\":{\"a\":1,\"a\":2}}",
                                 "\"\\ud800\"",
                                 "\"\\udc00\"",
                                 "\"\\ud800\\u0041\"",
                                 "\"\xc0\x80\"",
                                 "\"\xed\xa0\x80\"",
                                 "\"\xf5\x80\x80\x80\"",
                                 "\"\xff\"",
                                 "[01]",
                                 "[1,]",
                                 "{\"a\":1,}",
                                 "// x\n{}",
                                 "{'a':1}",
                                 "\xef\xbb\xbf{}",
                                 "\"\x01\"" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (json_tree_read(tree, bad[i], strlen(bad[i])) != NULL) {
            fail_msg("taken: %s", bad[i]);
        }
    }
    char deep[64];
    for (size_t depth = JSON_TREE_DEPTH; depth <= JSON_TREE_DEPTH + 1; depth++) {
        memset(deep, '[', depth);
        memset(deep + depth, ']', depth);
        assert_int_equal(json_tree_read(tree, deep, 2 * depth) != NULL, depth == JSON_TREE_DEPTH);
    }
    char wide[2048] = "{";
    for (int i = 0; i <= JSON_TREE_MEMBERS; i++) {
        snprintf(wide + strlen(wide), sizeof(wide) - strlen(wide), "%s\"m%d\":0", i ? "," : "", i);
    }
    strcat(wide, "}");
    assert_null(json_tree_read(tree, wide, strlen(wide)));
    json_tree_free(tree);
}

/* ---- known vectors */

static void the_vector_of_rfc_7515_a_1(void **state)
{
    (void)state;
    /* HS256 over claims of 2011; our policy is asked for other members, so the verdict is what the
     * order of checks gives. */
    struct jwks *set = parse(
        "{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"a1\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
        "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}");
    const char *input =
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    uint8_t signature[64];
    size_t n = 0;
    const char *text = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    assert_true(base64url_decode(text, strlen(text), signature, sizeof(signature), &n));
    const struct jwk *key = jwks_find(set, NULL, 0);
    assert_int_equal(n, jwk_signature_size(key));
    assert_int_equal(jwk_verify(key, input, strlen(input), signature), JWKS_GOOD);
    assert_int_equal(jwk_verify(key, input, strlen(input) - 1, signature), JWKS_BAD);
    char token[512];
    snprintf(token, sizeof(token), "%s.%s", input, text);
    assert_int_equal(judge(set, token), JWS_EXPIRED);
    jwks_free(set);
}

static void the_vector_of_rfc_7515_a_3(void **state)
{
    (void)state;
    struct jwks *set = parse(
        "{\"kty\":\"EC\",\"alg\":\"ES256\",\"kid\":\"a3\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}");
    const char *input =
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290"
        "Ijp0cnVlfQ";
    const char *text =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    uint8_t signature[64];
    size_t n = 0;
    assert_true(base64url_decode(text, strlen(text), signature, sizeof(signature), &n));
    const struct jwk *key = jwks_find(set, "a3", 2);
    assert_int_equal(n, jwk_signature_size(key));
    assert_int_equal(jwk_verify(key, input, strlen(input), signature), JWKS_GOOD);
    signature[63] ^= 1;
    assert_int_equal(jwk_verify(key, input, strlen(input), signature), JWKS_BAD);
    jwks_free(set);
}

static void the_vector_of_rfc_8037_a_4(void **state)
{
    (void)state;
    struct jwks *set = parse(
        "{\"kty\":\"OKP\",\"alg\":\"EdDSA\",\"kid\":\"a4\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}");
    const char *input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    const char *text =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    uint8_t signature[64];
    size_t n = 0;
    assert_true(base64url_decode(text, strlen(text), signature, sizeof(signature), &n));
    const struct jwk *key = jwks_find(set, NULL, 0);
    assert_int_equal(jwk_verify(key, input, strlen(input), signature), JWKS_GOOD);
    assert_int_equal(jwk_verify(key, input, strlen(input) - 1, signature), JWKS_BAD);
    jwks_free(set);
}

/* ---- algorithms */

static void every_algorithm_lets_its_tokens_in(void **state)
{
    (void)state;
    for (int i = 0; i < ALGORITHMS; i++) {
        struct jwks *set = set_of(algorithms[i]);
        char header[64];
        snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"k1\"}", algorithms[i]);
        char *token = make(algorithms[i], header, good_claims);
        struct jws_identity identity;
        for (int round = 0; round < 3; round++) { /* contexts are used again, after failures too */
            assert_int_equal(jws_check(jws, set, NULL, &policy, token, strlen(token), NOW,
                                       &identity),
                             JWS_GOOD);
            assert_memory_equal(identity.subject.p, "ivanova", 7);
            assert_int_equal(identity.roles.n, strlen("moderator analyst"));
            assert_memory_equal(identity.roles.p, "moderator analyst", identity.roles.n);
            assert_memory_equal(identity.region.p, "67", 2);
            assert_memory_equal(identity.body.p, "mfc", 3);
            assert_memory_equal(identity.jti.p, "one", 3);
            assert_int_equal(identity.until, 1800000630);
            assert_true(jwks_holds(set, identity.print));
            char *mark = strrchr(token, '.') + 20, was = *mark;
            *mark = was == 'A' ? 'B' : 'A';
            assert_int_equal(judge(set, token), JWS_BAD_SIGNATURE);
            *mark = was;
            mark = strchr(token, '.') + 8;
            was = *mark;
            *mark = was == 'A' ? 'B' : 'A';
            assert_int_not_equal(judge(set, token), JWS_GOOD);
            *mark = was;
        }
        free(token);
        jwks_free(set);
    }
}

static void no_algorithm_takes_the_tokens_of_another(void **state)
{
    (void)state;
    for (int key = 0; key < ALGORITHMS; key++) {
        struct jwks *set = set_of(algorithms[key]);
        for (int signer = 0; signer < ALGORITHMS; signer++) {
            char header[64];
            snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", algorithms[signer]);
            char *token = make(algorithms[signer], header, good_claims);
            assert_int_equal(judge(set, token), signer == key ? JWS_GOOD : JWS_WRONG_ALGORITHM);
            free(token);
            snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", algorithms[key]);
            token = make(algorithms[signer], header, good_claims);
            assert_int_equal(judge(set, token), signer == key ? JWS_GOOD : JWS_BAD_SIGNATURE);
            free(token);
        }
        jwks_free(set);
    }
}

static void signatures_have_one_length(void **state)
{
    (void)state;
    for (int i = 0; i < ALGORITHMS; i++) {
        struct jwks *set = set_of(algorithms[i]);
        char header[64];
        snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", algorithms[i]);
        char *token = make(algorithms[i], header, good_claims);
        char *dot = strrchr(token, '.');
        uint8_t signature[1024];
        size_t n = 0;
        assert_true(base64url_decode(dot + 1, strlen(dot + 1), signature, sizeof(signature), &n));
        size_t lengths[] = { 1, n - 1, n + 1, n / 2, JWKS_SIGNATURE_MAX };
        signature[n] = 0;
        for (size_t j = 0; j < sizeof(lengths) / sizeof(lengths[0]); j++) {
            memset(signature + n, 0, sizeof(signature) - n);
            char *text = base64url(signature, lengths[j]);
            strcpy(dot + 1, text);
            free(text);
            assert_int_equal(judge(set, token), JWS_BAD_SIGNATURE);
        }
        memset(signature, 0, n); /* "psychic" signatures: r and s zero */
        char *text = base64url(signature, n);
        strcpy(dot + 1, text);
        free(text);
        assert_int_equal(judge(set, token), JWS_BAD_SIGNATURE);
        free(token);
        jwks_free(set);
    }
}

static void a_der_signature_is_none(void **state)
{
    (void)state;
    struct jwks *set = set_of("ES256");
    char *token = make("ES256", "{\"alg\":\"ES256\"}", good_claims);
    char *dot = strrchr(token, '.');
    *dot = '\0';
    unsigned char der[128];
    size_t n = sizeof(der);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, keys[P256_KEY]), 1);
    assert_int_equal(EVP_DigestSign(context, der, &n, (unsigned char *)token, strlen(token)), 1);
    EVP_MD_CTX_free(context);
    char *text = base64url(der, n);
    *dot = '.';
    strcpy(dot + 1, text);
    free(text);
    assert_int_equal(judge(set, token), JWS_BAD_SIGNATURE);
    free(token);
    jwks_free(set);
}

/* ---- attacks on the header: RFC 8725, sections 2.1 to 2.3, 2.6, 2.8 */

static void the_header_decides_nothing(void **state)
{
    (void)state;
    assert_int_equal(judge_header("{\"alg\":\"ES256\"}"), JWS_GOOD);
    assert_int_equal(
        judge_header(
            "{\"alg\":\"ES256\",\"jku\":\"https://evil\",\"jwk\":{\"kty\":\"oct\"},\"x5u\":\"x\",\"x5c\":[]}"),
        JWS_GOOD);
    assert_int_equal(judge_header("{\"alg\":\"none\"}"), JWS_WRONG_ALGORITHM);
    assert_int_equal(judge_header("{\"alg\":\"nOnE\"}"), JWS_WRONG_ALGORITHM);
    assert_int_equal(judge_header("{\"alg\":\"es256\"}"), JWS_WRONG_ALGORITHM);
    assert_int_equal(judge_header("{\"alg\":\"\"}"), JWS_WRONG_ALGORITHM);
    assert_int_equal(judge_header("{\"alg\":\"ES256\\u0000\"}"), JWS_WRONG_ALGORITHM);
    assert_int_equal(judge_header("{\"alg\":null}"), JWS_MALFORMED);
    assert_int_equal(judge_header("{}"), JWS_MALFORMED);
    assert_int_equal(judge_header("[\"ES256\"]"), JWS_MALFORMED);
    assert_int_equal(judge_header("ES256"), JWS_MALFORMED);
    assert_int_equal(judge_header("{\"alg\":\"ES256\",\"alg\":\"ES256\"}"), JWS_MALFORMED);
    assert_int_equal(judge_header("{\"alg\":\"ES256\",\"\\u0061lg\":\"none\"}"), JWS_MALFORMED);
    assert_int_equal(judge_header("{\"alg\":\"ES256\",\"crit\":[]}"), JWS_MALFORMED);
    assert_int_equal(judge_header("{\"alg\":\"ES256\",\"crit\":[\"exp\"],\"exp\":1}"),
                     JWS_MALFORMED);
    assert_int_equal(judge_header("{\"alg\":\"ES256\",\"b64\":true}"), JWS_MALFORMED);
    assert_int_equal(judge_header("{\"alg\":\"ES256\",\"kid\":7}"), JWS_MALFORMED);
    assert_int_equal(judge_header("{\"alg\":\"ES256\",\"kid\":\"\"}"), JWS_UNKNOWN_KEY);
    assert_int_equal(judge_header("{\"alg\":\"ES256\",\"kid\":\"k1\\u0000\"}"), JWS_UNKNOWN_KEY);
    assert_int_equal(judge_header("{\"alg\":\"ES256\",\"kid\":\"' or 1=1--\"}"), JWS_UNKNOWN_KEY);
    char big[2048];
    snprintf(big, sizeof(big), "{\"alg\":\"ES256\",\"x\":\"%01200d\"}", 0);
    assert_int_equal(judge_header(big), JWS_MALFORMED);
}

/* RFC 8725, section 2.1: what everybody knows, as the key of an HMAC. */
static char *forged(const char *header, const void *known, size_t n)
{
    char *token = make("HS256", header, good_claims), *dot = strrchr(token, '.');
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    assert_non_null(HMAC(EVP_sha256(), known, (int)n, (unsigned char *)token, (size_t)(dot - token),
                         mac, &length));
    char *text = base64url(mac, length);
    strcpy(dot + 1, text);
    free(text);
    return token;
}

static void a_public_key_is_the_secret_of_nobody(void **state)
{
    (void)state;
    static const struct {
        const char *alg;
        int key;
    } public[] = { { "RS256", RSA_KEY }, { "ES256", P256_KEY }, { "EdDSA", ED_KEY } };
    for (size_t i = 0; i < sizeof(public) / sizeof(public[0]); i++) {
        struct jwks *set = set_of(public[i].alg);
        char jwk[4096], header[64];
        write_jwk(jwk, sizeof(jwk), public[i].alg, "k1", "");
        BIO *bio = BIO_new(BIO_s_mem());
        assert_int_equal(PEM_write_bio_PUBKEY(bio, keys[public[i].key]), 1);
        char *pem = NULL;
        long pem_n = BIO_get_mem_data(bio, &pem);
        unsigned char *der = NULL;
        int der_n = i2d_PUBKEY(keys[public[i].key], &der);
        const struct {
            const void *p;
            size_t n;
        } known[] = { { pem, (size_t)pem_n },
                      { pem, (size_t)pem_n - 1 },
                      { der, (size_t)der_n },
                      { jwk, strlen(jwk) },
                      { "", 0 } };
        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
            char *token = forged("{\"alg\":\"HS256\",\"kid\":\"k1\"}", known[k].p, known[k].n);
            assert_int_equal(judge(set, token), JWS_WRONG_ALGORITHM);
            free(token);
            snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"k1\"}", public[i].alg);
            token = forged(header, known[k].p, known[k].n);
            assert_int_equal(judge(set, token), JWS_BAD_SIGNATURE);
            free(token);
        }
        OPENSSL_free(der);
        BIO_free(bio);
        jwks_free(set);
    }
}

static void of_several_keys_the_kid_tells(void **state)
{
    (void)state;
    char text[TEXT], one[2048], two[2048];
    write_jwk(one, sizeof(one), "ES256", "first", "");
    write_jwk(two, sizeof(two), "EdDSA", "second", "");
    snprintf(text, sizeof(text), "%s,%s", one, two);
    struct jwks *set = parse(text);
    assert_int_equal(jwks_count(set), 2);
    char *token = make("EdDSA", "{\"alg\":\"EdDSA\",\"kid\":\"second\"}", good_claims);
    assert_int_equal(judge(set, token), JWS_GOOD);
    free(token);
    token = make("EdDSA", "{\"alg\":\"EdDSA\",\"kid\":\"first\"}", good_claims);
    assert_int_equal(judge(set, token), JWS_WRONG_ALGORITHM);
    free(token);
    token = make("EdDSA", "{\"alg\":\"EdDSA\"}", good_claims);
    assert_int_equal(judge(set, token), JWS_UNKNOWN_KEY);
    free(token);
    jwks_free(set);
}

static void a_type_may_be_asked_for(void **state)
{
    (void)state;
    struct jws_policy typed = policy;
    typed.type = "at+jwt";
    struct jwks *set = set_of("HS256");
    struct {
        const char *header;
        enum jws_verdict verdict;
    } cases[] = { { "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", JWS_GOOD },
                  { "{\"alg\":\"HS256\",\"typ\":\"AT+JWT\"}", JWS_GOOD },
                  { "{\"alg\":\"HS256\",\"typ\":\"Application/at+jwt\"}", JWS_GOOD },
                  { "{\"alg\":\"HS256\",\"typ\":\"JWT\"}", JWS_WRONG_TYPE },
                  { "{\"alg\":\"HS256\"}", JWS_WRONG_TYPE },
                  { "{\"alg\":\"HS256\",\"typ\":1}", JWS_WRONG_TYPE } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *token = make("HS256", cases[i].header, good_claims);
        assert_int_equal(judge_by(set, &typed, token), cases[i].verdict);
        free(token);
    }
    jwks_free(set);
}

/* ---- the form */

static void the_form_is_strict(void **state)
{
    (void)state;
    struct jwks *set = set_of("HS256");
    char *good = make("HS256", "{\"alg\":\"HS256\"}", good_claims), text[TEXT];
    assert_int_equal(judge(set, good), JWS_GOOD);
    static const char *bad[] = {
        "", ".", "..", "...", "a", "a.b", "a.b.c.d", "{\"payload\":\"\"}"
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(judge(set, bad[i]), JWS_MALFORMED);
    }
    /* JWE, signed by nobody; a token within a token; "alg" of encryption. */
    assert_int_equal(judge(set, "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAA.AAAA.AAAA"),
                     JWS_MALFORMED);
    assert_int_equal(judge_claims(good), JWS_MALFORMED);
    assert_int_equal(judge_header("{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"zip\":\"DEF\"}"),
                     JWS_WRONG_ALGORITHM);
    static const char *patterns[] = { "%s=", "%s ", " %s", "%s\n", "%s.", ".%s", "%s.x", "%sA" };
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        char pattern[16];
        snprintf(pattern, sizeof(pattern), "%s", patterns[i]);
        char *at = strstr(pattern, "%s");
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - pattern), pattern, good, at + 2);
        enum jws_verdict verdict = judge(set, text);
        assert_true(verdict == JWS_MALFORMED || (i == 7 && verdict == JWS_BAD_SIGNATURE));
    }
    /* The last letter of 32 bytes has two bits that must be zero. */
    snprintf(text, sizeof(text), "%s", good);
    text[strlen(text) - 1]++;
    assert_int_equal(judge(set, text), JWS_MALFORMED);
    char *dot = strrchr(good, '.');
    snprintf(text, sizeof(text), "%.*s.", (int)(dot - good), good);
    assert_int_equal(judge(set, text), JWS_MALFORMED); /* the signature is cut off */
    /* A NUL inside ends nothing. */
    struct jws_identity identity;
    size_t n = strlen(good);
    memcpy(text, good, n + 1);
    assert_int_equal(jws_check(jws, set, NULL, &policy, text, n + 1, NOW, &identity),
                     JWS_MALFORMED);
    free(good);
    memset(text, 'a', JWS_TOKEN_MAX + 1);
    assert_int_equal(jws_check(jws, set, NULL, &policy, text, JWS_TOKEN_MAX + 1, NOW, &identity),
                     JWS_TOO_LONG);
    assert_int_equal(jws_check(jws, set, NULL, &policy, text, JWS_TOKEN_MAX, NOW, &identity),
                     JWS_MALFORMED);
    jwks_free(set);
}

/* ---- claims: RFC 8725, sections 2.7, 2.9 and 3.8 to 3.10 */

static void times_are_checked(void **state)
{
    (void)state;
    struct {
        const char *exp, *more;
        enum jws_verdict verdict;
    } cases[] = {
        { "1800000001", "", JWS_GOOD },
        { "1799999971", "", JWS_GOOD }, /* within the leeway */
        { "1799999970", "", JWS_EXPIRED },
        { "0", "", JWS_EXPIRED },
        { "1800000001.75", "", JWS_GOOD },
        { "-1", "", JWS_MALFORMED },
        { "1e30", "", JWS_MALFORMED },
        { "1.8e9", "", JWS_MALFORMED },
        { "9223372036854775808", "", JWS_MALFORMED },
        { "999999999999999", "", JWS_GOOD },
        { "1000000000000000", "", JWS_MALFORMED },
        { "\"1800000001\"", "", JWS_MALFORMED },
        { "null", "", JWS_MALFORMED },
        { "true", "", JWS_MALFORMED },
        { "[1800000001]", "", JWS_MALFORMED },
        { "1800000001", ",\"nbf\":1800000030", JWS_GOOD },
        { "1800000001", ",\"nbf\":1800000031", JWS_NOT_YET_VALID },
        { "1800000001", ",\"nbf\":\"1\"", JWS_MALFORMED },
        { "1800000001", ",\"iat\":1800000030", JWS_GOOD },
        { "1800000001", ",\"iat\":1800000031", JWS_NOT_YET_VALID },
        { "1800000001", ",\"iat\":null", JWS_MALFORMED },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum jws_verdict verdict = judge_with("\"a\"", cases[i].exp, cases[i].more);
        if (verdict != cases[i].verdict) {
            fail_msg("exp %s%s: %d", cases[i].exp, cases[i].more, verdict);
        }
    }
    assert_int_equal(judge_claims(
                         "{\"iss\":\"https://id.example\",\"aud\":\"otklik\",\"sub\":\"a\"}"),
                     JWS_MISSING_CLAIM);
}

static void issuer_and_audience_are_checked(void **state)
{
    (void)state;
    struct {
        const char *iss, *aud;
        enum jws_verdict verdict;
    } cases[] = {
        { "\"https://id.example\"", "[\"x\",\"otklik\"]", JWS_GOOD },
        { "\"https://id.example/\"", "\"otklik\"", JWS_WRONG_ISSUER },
        { "\"https://ID.example\"", "\"otklik\"", JWS_WRONG_ISSUER },
        { "\"https://id.example\\u0000\"", "\"otklik\"", JWS_WRONG_ISSUER },
        { "[\"https://id.example\"]", "\"otklik\"", JWS_WRONG_ISSUER },
        { "null", "\"otklik\"", JWS_WRONG_ISSUER },
        { "\"https://id.example\"", "\"other\"", JWS_WRONG_AUDIENCE },
        { "\"https://id.example\"", "\"otklik.evil\"", JWS_WRONG_AUDIENCE },
        { "\"https://id.example\"", "[]", JWS_WRONG_AUDIENCE },
        { "\"https://id.example\"", "[[\"otklik\"]]", JWS_MALFORMED },
        { "\"https://id.example\"", "[\"otklik\",1]", JWS_MALFORMED },
        { "\"https://id.example\"", "{\"otklik\":1}", JWS_MALFORMED },
        { "\"https://id.example\"", "null", JWS_MALFORMED },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char claims[512];
        snprintf(claims, sizeof(claims), "{\"iss\":%s,\"aud\":%s,\"sub\":\"a\",\"exp\":1800000001}",
                 cases[i].iss, cases[i].aud);
        assert_int_equal(judge_claims(claims), cases[i].verdict);
    }
    assert_int_equal(judge_claims("{\"aud\":\"otklik\",\"sub\":\"a\",\"exp\":1800000001}"),
                     JWS_WRONG_ISSUER);
    assert_int_equal(judge_claims(
                         "{\"iss\":\"https://id.example\",\"sub\":\"a\",\"exp\":1800000001}"),
                     JWS_WRONG_AUDIENCE);
}

static void what_becomes_a_parameter_is_clean(void **state)
{
    (void)state;
    struct {
        const char *sub, *more;
        enum jws_verdict verdict;
    } cases[] = {
        { "\"\xd0\x98\xd0\xb2\xd0\xb0\xd0\xbd\"", "", JWS_GOOD },
        { "\"a\\r\\nX-Evil: 1\"", "", JWS_MALFORMED },
        { "\"a\\u0000\"", "", JWS_MALFORMED },
        { "\"a\\u007f\"", "", JWS_MALFORMED },
        { "\"a\\u0085\"", "", JWS_MALFORMED },
        { "\"\"", "", JWS_MALFORMED },
        { "7", "", JWS_MALFORMED },
        { "\"a\"", ",\"roles\":\"reader writer\"", JWS_GOOD },
        { "\"a\"", ",\"roles\":[]", JWS_GOOD },
        { "\"a\"", ",\"roles\":\"reader  writer\"", JWS_MALFORMED },
        { "\"a\"", ",\"roles\":[\"reader admin\"]", JWS_MALFORMED },
        { "\"a\"", ",\"roles\":[\"\"]", JWS_MALFORMED },
        { "\"a\"", ",\"roles\":[1]", JWS_MALFORMED },
        { "\"a\"", ",\"roles\":{\"reader\":1}", JWS_MALFORMED },
        { "\"a\"", ",\"roles\":[\"a\\nb\"]", JWS_MALFORMED },
        { "\"a\"", ",\"region\":\"999\"", JWS_GOOD },
        { "\"a\"", ",\"region\":0", JWS_MALFORMED },
        { "\"a\"", ",\"region\":\"067\"", JWS_MALFORMED },
        { "\"a\"", ",\"region\":1000", JWS_MALFORMED },
        { "\"a\"", ",\"region\":6.7", JWS_MALFORMED },
        { "\"a\"", ",\"region\":-1", JWS_MALFORMED },
        { "\"a\"", ",\"body\":\"a b\"", JWS_MALFORMED },
        { "\"a\"", ",\"body\":\"\"", JWS_MALFORMED },
        { "\"a\"", ",\"jti\":\"\"", JWS_MALFORMED },
        { "\"a\"", ",\"sub\":\"b\"", JWS_MALFORMED },
        { "\"a\"", ",\"other\":{\"x\":1,\"x\":1}", JWS_MALFORMED },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum jws_verdict verdict = judge_with(cases[i].sub, "1800000001", cases[i].more);
        if (verdict != cases[i].verdict) {
            fail_msg("sub %s%s: %d", cases[i].sub, cases[i].more, verdict);
        }
    }
    assert_int_equal(judge_claims(
                         "{\"iss\":\"https://id.example\",\"aud\":\"otklik\",\"exp\":1800000001}"),
                     JWS_MISSING_CLAIM);
    assert_int_equal(judge_claims("[]"), JWS_MALFORMED);
    assert_int_equal(judge_claims("rubbish"), JWS_MALFORMED);
    char long_sub[400];
    snprintf(long_sub, sizeof(long_sub), "\"%0256d\"", 0);
    assert_int_equal(judge_with(long_sub, "1800000001", ""), JWS_MALFORMED);
    char roles[1024] = ",\"roles\":[\"r\"";
    while (strlen(roles) < 900) {
        strcat(roles, ",\"role\"");
    }
    strcat(roles, "]");
    assert_int_equal(judge_with("\"a\"", "1800000001", roles), JWS_MALFORMED);
}

static void claims_are_found_by_paths(void **state)
{
    (void)state;
    static const struct {
        const char *path, *json, *value;
    } cases[] = {
        { "roles", "{\"roles\":\"x\"}", "x" },
        { "realm_access.roles", "{\"realm_access\":{\"roles\":\"x\"}}", "x" },
        { "https://example.org/roles", "{\"https://example.org/roles\":\"x\"}", "x" },
        /* the whole name first, wherever it stands */
        { "a.b", "{\"a\":{\"b\":\"y\"},\"a.b\":\"x\"}", "x" },
        { "a.b.c", "{\"a\":{\"b\":{\"c\":\"y\"},\"b.c\":\"x\"}}", "x" },
        /* then the first dot before which there is a name, and no way back */
        { "access.my.app.roles", "{\"access\":{\"my.app\":{\"roles\":\"x\"}}}", "x" },
        { "a.b.c", "{\"a\":{\"x\":1},\"a.b\":{\"c\":\"y\"}}", NULL },
        { "https://a.b/c.roles", "{\"https://a.b/c\":{\"roles\":\"x\"}}", "x" },
        { "a.b", "{\"a\":\"b\"}", NULL },
        { "a.b", "{\"a\":[{\"b\":\"y\"}]}", NULL },
        { "a.b", "{\"b\":\"y\"}", NULL },
        { "a..b", "{\"a\":{\"\":{\"b\":\"x\"}}}", "x" },
        { ".", "{\"\":{\"\":\"x\"}}", "x" },
        { "a.", "{\"a\":\"y\"}", NULL },
        { "a", "[\"a\"]", NULL },
        { "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r", "{\"a\":{\"b\":{\"c\":{\"d\":1}}}}", NULL },
    };
    struct json_tree *tree = json_tree_create(100, 2048);
    assert_non_null(tree);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct json_value *value = json_tree_read(tree, cases[i].json, strlen(cases[i].json));
        assert_non_null(value);
        value = json_path(value, cases[i].path);
        if (cases[i].value == NULL ? value != NULL : !json_is(value, cases[i].value)) {
            fail_msg("%s in %s", cases[i].path, cases[i].json);
        }
    }
    json_tree_free(tree);

    /* A claim by a path has to be as clean as any. */
    struct jws_policy by_path = policy;
    by_path.roles = "realm_access.roles";
    struct jwks *set = set_of("HS256");
    static const struct {
        const char *member;
        enum jws_verdict verdict;
        const char *roles;
    } tokens[] = {
        { "\"realm_access\":{\"roles\":[\"a\",\"b\"]}", JWS_GOOD, "a b" },
        { "\"realm_access\":{}", JWS_GOOD, "" },
        { "\"realm_access\":[]", JWS_GOOD, "" },
        { "\"realm_access\":{\"roles\":[\"a b\"]}", JWS_MALFORMED, "" },
        { "\"realm_access\":{\"roles\":{\"a\":1}}", JWS_MALFORMED, "" },
        { "\"realm_access\":{\"roles\":[],\"roles\":[\"a\"]}", JWS_MALFORMED, "" },
    };
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        char claims[512];
        snprintf(claims, sizeof claims,
                 "{\"iss\":\"https://id.example\",\"aud\":\"otklik\",\"sub\":\"a\","
                 "\"exp\":1800000001,%s}",
                 tokens[i].member);
        char *token = make("HS256", "{\"alg\":\"HS256\"}", claims);
        struct jws_identity identity;
        assert_int_equal(jws_check(jws, set, NULL, &by_path, token, strlen(token), NOW, &identity),
                         tokens[i].verdict);
        if (tokens[i].verdict == JWS_GOOD) {
            assert_int_equal(identity.roles.n, strlen(tokens[i].roles));
            assert_memory_equal(identity.roles.p, tokens[i].roles, identity.roles.n);
        }
        free(token);
    }
    jwks_free(set);
}

static void scopes_are_words_of_rfc_6749(void **state)
{
    (void)state;
    struct jws_policy scoped = policy;
    scoped.scopes = "scope";
    struct jwks *set = set_of("HS256");
    static const struct {
        const char *member, *scopes; /* NULL: refused */
    } cases[] = {
        { "\"scope\":\"openid appeals:write https://example.org/x?y=(1)\"",
          "openid appeals:write https://example.org/x?y=(1)" },
        { "\"scope\":[\"a\",\"b\"]", "a b" },
        { "\"scope\":\"\"", "" },
        { "\"scp\":\"a\"", "" },
        { "\"scope\":\"a  b\"", NULL },
        { "\"scope\":\" a\"", NULL },
        { "\"scope\":[\"a b\"]", NULL },
        { "\"scope\":[\"\"]", NULL },
        { "\"scope\":\"a\\\"b\"", NULL },
        { "\"scope\":\"a\\\\b\"", NULL },
        { "\"scope\":\"a\\u0001b\"", NULL },
        { "\"scope\":\"a\\u007fb\"", NULL },
        { "\"scope\":\"\\u0430\"", NULL },
        { "\"scope\":7", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char claims[512];
        snprintf(claims, sizeof claims,
                 "{\"iss\":\"https://id.example\",\"aud\":\"otklik\",\"sub\":\"a\","
                 "\"exp\":1800000001,%s}",
                 cases[i].member);
        char *token = make("HS256", "{\"alg\":\"HS256\"}", claims);
        struct jws_identity identity;
        enum jws_verdict verdict =
            jws_check(jws, set, NULL, &scoped, token, strlen(token), NOW, &identity);
        if (verdict != (cases[i].scopes ? JWS_GOOD : JWS_MALFORMED)) {
            fail_msg("%s: %d", cases[i].member, verdict);
        }
        if (verdict == JWS_GOOD) {
            assert_int_equal(identity.scopes.n, strlen(cases[i].scopes));
            assert_memory_equal(identity.scopes.p, cases[i].scopes, identity.scopes.n);
        }
        free(token);
    }
    jwks_free(set);
}

static void what_is_cheap_comes_first(void **state)
{
    (void)state;
    /* Each is wrong in its own way and has the signature of nobody. */
    struct jwks *set = set_of("ES256");
    char *expired = make("HS256", "{\"alg\":\"ES256\"}", "{\"exp\":1}"),
         *dot = strrchr(expired, '.');
    uint8_t zeros[64] = { 0 };
    char *none = base64url(zeros, 64);
    strcpy(dot + 1, none);
    free(none);
    assert_int_equal(judge(set, expired), JWS_EXPIRED);
    free(expired);
    jwks_free(set);
}

static void revoked_tokens_are_refused(void **state)
{
    (void)state;
    struct revoked_error error;
    static const char list[] = "# a list\ntwo\r\n\none\nthree\n";
    struct revoked *revoked = revoked_parse(list, strlen(list), &error);
    assert_non_null(revoked);
    assert_int_equal(revoked_count(revoked), 3);
    assert_true(revoked_holds(revoked, "two", 3));
    assert_false(revoked_holds(revoked, "tw", 2));
    assert_false(revoked_holds(revoked, "", 0));
    struct jwks *set = set_of("HS256");
    struct jws_identity identity;
    char *token = make("HS256", "{\"alg\":\"HS256\"}", good_claims);
    assert_int_equal(jws_check(jws, set, revoked, &policy, token, strlen(token), NOW, &identity),
                     JWS_REVOKED);
    /* Only who holds a good token learns that. */
    strrchr(token, '.')[1] ^= 1;
    assert_int_equal(jws_check(jws, set, revoked, &policy, token, strlen(token), NOW, &identity),
                     JWS_BAD_SIGNATURE);
    free(token);
    token = make(
        "HS256", "{\"alg\":\"HS256\"}",
        "{\"iss\":\"https://id.example\",\"aud\":\"otklik\",\"sub\":\"a\",\"exp\":1800000001}");
    assert_int_equal(jws_check(jws, set, revoked, &policy, token, strlen(token), NOW, &identity),
                     JWS_MISSING_CLAIM);
    free(token);
    jwks_free(set);
    revoked_free(revoked);
    static const char *bad[] = { "no end", "a b\n", "\x01\n", "ok\n\xff \n" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_null(revoked_parse(bad[i], strlen(bad[i]), &error));
        assert_int_equal(error.line, i == 3 ? 2 : 1);
    }
    revoked = revoked_parse("", 0, &error);
    assert_non_null(revoked);
    assert_false(revoked_holds(revoked, "one", 3));
    revoked_free(revoked);
}

/* ---- sets of keys */

static void weak_keys_are_refused(void **state)
{
    (void)state;
    char jwk[4096], text[8192];
    static const int sizes[] = { 1024, 2040 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        EVP_PKEY *weak = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)sizes[i]);
        assert_non_null(weak);
        char *n = number(weak, "n");
        snprintf(jwk, sizeof(jwk),
                 "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"kid\":\"a\",\"n\":\"%s\",\"e\":\"AQAB\"}",
                 n);
        refused(jwk, "the RSA key is not of 2048 to 8192 bits");
        free(n);
        EVP_PKEY_free(weak);
    }
    char *n = number(keys[RSA_KEY], "n");
    static const char *exponents[] = { "Aw", "AQAA", "AQ", "AQAAAAE" };
    for (size_t i = 0; i < sizeof(exponents) / sizeof(exponents[0]); i++) {
        snprintf(jwk, sizeof(jwk),
                 "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"kid\":\"a\",\"n\":\"%s\",\"e\":\"%s\"}", n,
                 exponents[i]);
        refused(jwk, "e is not odd, from 65537 to 4294967295");
    }
    n[strlen(n) - 1] =
        'A'; /* even, and of 2048 bits still: the last letter has four bits of the last byte */
    n[strlen(n) - 2] = 'A';
    snprintf(jwk, sizeof(jwk),
             "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"kid\":\"a\",\"n\":\"%s\",\"e\":\"AQAB\"}", n);
    refused(jwk, "n is even");
    snprintf(jwk, sizeof(jwk),
             "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"kid\":\"a\",\"n\":\"AAAA%s\",\"e\":\"AQAB\"}",
             n);
    refused(jwk, "n or e is not a number in base64url");
    free(n);
    refused("{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"a\",\"k\":\"c2hvcnQ\"}",
            "k is not of 32 to 512 bytes in base64url");

    /* A point that is not on the curve, and one of another curve. */
    char *x = coordinate(keys[P256_KEY], "qx", 32);
    snprintf(
        jwk, sizeof(jwk),
        "{\"kty\":\"EC\",\"alg\":\"ES256\",\"kid\":\"a\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}",
        x, x);
    refused(jwk, "x and y are no point of the curve");
    snprintf(
        jwk, sizeof(jwk),
        "{\"kty\":\"EC\",\"alg\":\"ES384\",\"kid\":\"a\",\"crv\":\"P-384\",\"x\":\"%s\",\"y\":\"%s\"}",
        x, x);
    refused(jwk, "x or y is not of the curve's length");
    snprintf(
        jwk, sizeof(jwk),
        "{\"kty\":\"EC\",\"alg\":\"ES256\",\"kid\":\"a\",\"crv\":\"secp256k1\",\"x\":\"%s\",\"y\":\"%s\"}",
        x, x);
    refused(jwk, "crv is not the curve of alg");
    free(x);

    /* The eight points of small order, and spellings that are not canonical. */
    static const char *small[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
    };
    for (size_t i = 0; i < 2 * sizeof(small) / sizeof(small[0]); i++) {
        uint8_t point[32];
        for (size_t j = 0; j < 32; j++) {
            unsigned byte = 0;
            assert_int_equal(sscanf(small[i / 2] + 2 * j, "%2x", &byte), 1);
            point[j] = (uint8_t)byte;
        }
        point[31] |= i % 2 ? 0x80 : 0;
        char *p = base64url(point, 32);
        snprintf(
            text, sizeof(text),
            "{\"kty\":\"OKP\",\"alg\":\"EdDSA\",\"kid\":\"a\",\"crv\":\"Ed25519\",\"x\":\"%s\"}",
            p);
        free(p);
        refused(text, i / 2 < 5 ? "x is a point of small order" : "x is not canonical");
    }
}

static void write_ed25519(char *out, size_t size, const uint8_t point[32])
{
    char *x = base64url(point, 32);
    snprintf(out, size,
             "{\"kty\":\"OKP\",\"alg\":\"EdDSA\",\"kid\":\"a\",\"crv\":\"Ed25519\",\"x\":\"%s\"}",
             x);
    free(x);
}

/* By the square root itself, as RFC 8032, section 5.1.3, finds it: another way than the module's.
 */
static bool has_root(const uint8_t point[32])
{
    uint8_t bytes[32];
    memcpy(bytes, point, 32);
    bytes[31] &= 0x7f;
    BN_CTX *context = BN_CTX_new();
    BIGNUM *p = NULL, *d = NULL, *u = BN_new(), *v = BN_new(), *x = BN_new(), *e = BN_new(),
           *y = BN_lebin2bn(bytes, 32, NULL);
    BN_hex2bn(&p, "7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFED");
    BN_hex2bn(&d, "52036CEE2B6FFE738CC740797779E89800700A4D4141D8AB75EB4DCA135978A3");
    BN_mod_sqr(y, y, p, context);
    BN_mod_sub(u, y, BN_value_one(), p, context);
    BN_mod_mul(v, y, d, p, context);
    BN_mod_add(v, v, BN_value_one(), p, context);
    BN_mod_inverse(v, v, p, context);
    BN_mod_mul(u, u, v, p, context); /* x squared */
    BN_copy(e, p);
    BN_add_word(e, 3);
    BN_rshift(e, e, 3);
    BN_mod_exp(x, u, e, p, context);
    BN_mod_sqr(x, x, p, context);
    bool found = BN_cmp(x, u) == 0;
    BN_mod_add(x, x, u, p, context);
    found = found || BN_is_zero(x);
    BIGNUM *all[] = { p, d, u, v, x, e, y };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        BN_free(all[i]);
    }
    BN_CTX_free(context);
    return found;
}

/* OpenSSL makes a key of any 32 bytes and looks only when it verifies. */
static void points_off_the_curve_are_refused(void **state)
{
    (void)state;
    char jwk[512];
    uint8_t point[32] = { 2 };
    write_ed25519(jwk, sizeof(jwk), point);
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, point, 32);
    assert_non_null(key);
    EVP_PKEY_free(key);
    refused(jwk, "x is no point of the curve");
    int off = 0, on = 0;
    uint32_t seed = 2463534242;
    while (off < 100 || on < 100) {
        for (size_t i = 0; i < sizeof(point); i++) {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            point[i] = (uint8_t)seed;
        }
        write_ed25519(jwk, sizeof(jwk), point);
        if (has_root(point)) {
            jwks_free(parse(jwk));
            on++;
        } else {
            refused(jwk, "x is no point of the curve");
            off++;
        }
    }
    for (int i = 0; i < 50; i++) {
        size_t n = sizeof(point);
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        assert_int_equal(EVP_PKEY_get_raw_public_key(key, point, &n), 1);
        EVP_PKEY_free(key);
        write_ed25519(jwk, sizeof(jwk), point);
        jwks_free(parse(jwk));
    }

    /* A coordinate that is not below p stands for no point either, nor do zeros. */
    static const struct {
        const char *alg, *curve, *p;
    } curves[] = {
        { "ES256", "P-256", "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff" },
        { "ES384", "P-384",
          "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe"
          "ffffffff0000000000000000ffffffff" },
    };
    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(curves[i].p) / 2;
        uint8_t zeros[48] = { 0 };
        BIGNUM *p = NULL, *y = NULL;
        EVP_PKEY *good = keys[i == 0 ? P256_KEY : P384_KEY];
        assert_int_equal(EVP_PKEY_get_bn_param(good, "qy", &y), 1);
        char *x = coordinate(good, "qx", (int)size), *none = base64url(zeros, size);
        BN_hex2bn(&p, curves[i].p);
        BN_sub(y, p, y); /* the other point of that x */
        uint8_t bytes[48];
        BN_bn2binpad(y, bytes, (int)size);
        char *other = base64url(bytes, size);
        BN_bn2binpad(p, bytes, (int)size);
        char *large = base64url(bytes, size);
        const struct {
            const char *x, *y;
            bool good;
        } points[] = { { x, other, true },
                       { x, none, false },
                       { none, none, false },
                       { x, x, false },
                       { large, other, false } };
        for (size_t k = 0; k < sizeof(points) / sizeof(points[0]); k++) {
            snprintf(
                jwk, sizeof(jwk),
                "{\"kty\":\"EC\",\"alg\":\"%s\",\"kid\":\"a\",\"crv\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"}",
                curves[i].alg, curves[i].curve, points[k].x, points[k].y);
            if (points[k].good) {
                jwks_free(parse(jwk));
            } else {
                refused(jwk, "x and y are no point of the curve");
            }
        }
        BN_free(p);
        BN_free(y);
        free(x);
        free(none);
        free(other);
        free(large);
    }
}

static void keys_say_what_they_are_for(void **state)
{
    (void)state;
    char jwk[4096], text[8192];
    for (int i = 0; i < ALGORITHMS; i++) {
        write_jwk(jwk, sizeof(jwk), algorithms[i], "a", ",\"d\":\"AAAA\"");
        if (strcmp(algorithms[i], "HS256") != 0) {
            refused(jwk, "it is a private key");
        }
        write_jwk(jwk, sizeof(jwk), algorithms[i], "a", "");
        snprintf(text, sizeof(text), "%s,%s", jwk, jwk);
        refused(text, "another key has the same kid");
        write_jwk(jwk, sizeof(jwk), algorithms[i], "", "");
        refused(jwk, "kid is not a string of 1 to 128 bytes");
    }
    refused("{\"kty\":\"RSA\",\"kid\":\"a\"}", "alg is missing or none that is supported");
    refused("{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"AAAA\"}",
            "alg is missing or none that is supported");
    refused("{\"kty\":\"oct\",\"alg\":\"HS512\",\"kid\":\"a\"}",
            "alg is missing or none that is supported");
    refused("{\"kty\":\"oct\",\"alg\":\"none\",\"kid\":\"a\"}",
            "alg is missing or none that is supported");
    refused("{\"kty\":\"RSA\",\"alg\":\"HS256\",\"kid\":\"a\"}", "kty is not the type of alg");
    refused("{\"kty\":\"oct\",\"alg\":\"RS256\",\"kid\":\"a\"}", "kty is not the type of alg");
    refused("{\"alg\":\"RS256\"}", "kid is not a string of 1 to 128 bytes");
    refused("1", "it is no object");
    refused("{\"kid\":\"a\",\"kid\":\"a\"}", "it is no JWK set in strict JSON");

    /* What is for something else is passed over: identity providers publish it in the same set. */
    struct jwks *set = parse(
        "{\"kty\":\"RSA\",\"alg\":\"RSA-OAEP\",\"use\":\"enc\",\"kid\":\"a\"},{\"kty\":\"RSA\",\"key_ops\":[\"encrypt\"]}");
    assert_int_equal(jwks_count(set), 0);
    jwks_free(set);
    write_jwk(jwk, sizeof(jwk), "ES256", "a",
              ",\"use\":\"sig\",\"key_ops\":[\"verify\"],\"x5t\":\"ignored\"");
    set = parse(jwk);
    assert_int_equal(jwks_count(set), 1);
    assert_false(jwks_secret(set));
    jwks_free(set);
    set = set_of("HS256");
    assert_true(jwks_secret(set));
    jwks_free(set);

    struct jwks_error error;
    static const char *bad[] = { "", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]} x" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_null(jwks_parse(bad[i], strlen(bad[i]), &error));
    }
}

static void prints_tell_keys_apart(void **state)
{
    (void)state;
    char jwk[4096];
    write_jwk(jwk, sizeof(jwk), "RS256", "a", "");
    struct jwks *one = parse(jwk), *same = parse(jwk);
    write_jwk(jwk, sizeof(jwk), "RS256", "b", "");
    struct jwks *kid = parse(jwk);
    write_jwk(jwk, sizeof(jwk), "PS256", "a", "");
    struct jwks *alg = parse(jwk);
    const uint8_t *print = jwk_print(jwks_find(one, "a", 1));
    assert_true(jwks_holds(same, print));
    assert_false(jwks_holds(kid, print));
    assert_false(jwks_holds(alg, print));
    jwks_free(one);
    jwks_free(same);
    jwks_free(kid);
    jwks_free(alg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_value_has_one_spelling),
        cmocka_unit_test(json_is_strict),
        cmocka_unit_test(the_vector_of_rfc_7515_a_1),
        cmocka_unit_test(the_vector_of_rfc_7515_a_3),
        cmocka_unit_test(the_vector_of_rfc_8037_a_4),
        cmocka_unit_test(every_algorithm_lets_its_tokens_in),
        cmocka_unit_test(no_algorithm_takes_the_tokens_of_another),
        cmocka_unit_test(signatures_have_one_length),
        cmocka_unit_test(a_der_signature_is_none),
        cmocka_unit_test(the_header_decides_nothing),
        cmocka_unit_test(a_public_key_is_the_secret_of_nobody),
        cmocka_unit_test(of_several_keys_the_kid_tells),
        cmocka_unit_test(a_type_may_be_asked_for),
        cmocka_unit_test(the_form_is_strict),
        cmocka_unit_test(times_are_checked),
        cmocka_unit_test(issuer_and_audience_are_checked),
        cmocka_unit_test(what_becomes_a_parameter_is_clean),
        cmocka_unit_test(claims_are_found_by_paths),
        cmocka_unit_test(scopes_are_words_of_rfc_6749),
        cmocka_unit_test(what_is_cheap_comes_first),
        cmocka_unit_test(revoked_tokens_are_refused),
        cmocka_unit_test(weak_keys_are_refused),
        cmocka_unit_test(points_off_the_curve_are_refused),
        cmocka_unit_test(keys_say_what_they_are_for),
        cmocka_unit_test(prints_tell_keys_apart),
    };
    return cmocka_run_group_tests_name("jws", tests, set_up, tear_down);
}
