// Tokens of any bytes, and any header and claims that are signed well: no crash, no leak, and
// whoever is let in is clean.
// sources: ngx_module/jws.c ngx_module/jwks.c ngx_module/json_tree.c ngx_module/base64url.c ngx_module/revoked.c
// libs: -lyajl -lcrypto
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "jws.h"

enum { NOW = 1800000000, ROOM = 4 * JWS_TOKEN_MAX };

static const char set[] =
    "{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"h\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"},"
    "{\"kty\":\"OKP\",\"alg\":\"EdDSA\",\"kid\":\"e\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
static const char secret[] = "0123456789abcdef0123456789abcdef";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t base64url(char *out, const void *data, size_t n)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *p = data;
    size_t used = 0;
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < n; i++) {
        bits = bits << 8 | p[i];
        for (count += 8; count >= 6; count -= 6) {
            out[used++] = letters[bits >> (count - 6) & 63];
        }
    }
    if (count > 0) {
        out[used++] = letters[bits << (6 - count) & 63];
    }
    return used;
}

/* The bytes up to the first NUL are the header, the others the claims. */
static size_t sign(char *out, const uint8_t *data, size_t size)
{
    const uint8_t *nul = memchr(data, '\0', size);
    size_t n = nul ? (size_t)(nul - data) : size;
    size_t used = base64url(out, data, n);
    out[used++] = '.';
    if (nul) {
        used += base64url(out + used, nul + 1, size - n - 1);
    }
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (HMAC(EVP_sha256(), secret, 32, (unsigned char *)out, used, mac, &length) == NULL) {
        abort();
    }
    out[used++] = '.';
    return used + base64url(out + used, mac, length);
}

static void assert_clean(struct jws_text text, size_t max)
{
    assert(text.n <= max);
    for (size_t i = 0; i < text.n; i++) {
        assert((unsigned char)text.p[i] >= ' ' && text.p[i] != 0x7f);
    }
}

/* The first byte: is the rest a whole token, or to be signed? */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct jws *jws;
    static struct jwks *keys;
    static char token[ROOM];
    static const struct jws_policy policy = { .issuer = "i",
                                              .audience = "a",
                                              .leeway = 30,
                                              .roles = "realm_access.roles",
                                              .region = "region",
                                              .body = "body",
                                              .scopes = "scope" };
    if (jws == NULL) {
        struct jwks_error error;
        jws = jws_create();
        keys = jwks_parse(set, strlen(set), &error);
        if (jws == NULL || keys == NULL) {
            abort();
        }
    }
    if (size < 1 || size > JWS_TOKEN_MAX + 2) {
        return 0;
    }
    size_t n = size - 1;
    if (data[0] & 1) {
        n = sign(token, data + 1, n);
    } else {
        memcpy(token, data + 1, n);
    }
    /* On the heap, of its own length: reading past its end is found. */
    char *copy = malloc(n + !n);
    assert(copy != NULL);
    memcpy(copy, token, n);
    struct jws_identity identity;
    if (jws_check(jws, keys, NULL, &policy, copy, n, NOW, &identity) == JWS_GOOD) {
        assert(data[0] & 1); /* nobody guesses a signature */
        assert(identity.subject.n > 0 && identity.until > NOW);
        assert_clean(identity.subject, JWS_SUBJECT_MAX);
        assert_clean(identity.roles, JWS_ROLES_MAX);
        assert_clean(identity.region, 3);
        assert_clean(identity.body, JWS_BODY_MAX);
        assert_clean(identity.scopes, JWS_SCOPES_MAX);
        assert_clean(identity.jti, REVOKED_JTI_MAX);
        assert(jwks_holds(keys, identity.print));
    }
    free(copy);
    return 0;
}
