// JWK sets and lists of revoked tokens of any bytes: no crash, no leak, and what is taken can be
// used.
// sources: ngx_module/jwks.c ngx_module/json_tree.c ngx_module/base64url.c ngx_module/revoked.c
// libs: -lyajl -lcrypto
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "jwks.h"
#include "revoked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says which of the two the rest is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    size_t n = size - 1;
    char *text = malloc(n + !n);
    assert(text != NULL);
    memcpy(text, data + 1, n);
    if (data[0] & 1) {
        struct revoked_error error = { 0 };
        struct revoked *revoked = revoked_parse(text, n, &error);
        assert(revoked != NULL || error.what != NULL);
        if (revoked != NULL) {
            const char *end = memchr(text, '\n', n);
            if (end != NULL && end > text && end[-1] != '\r' && text[0] != '#') {
                assert(revoked_holds(revoked, text, (size_t)(end - text)));
            }
            revoked_free(revoked);
        }
    } else {
        struct jwks_error error = { 0 };
        struct jwks *jwks = jwks_parse(text, n, &error);
        assert(jwks != NULL || error.what != NULL);
        if (jwks != NULL) {
            static const uint8_t zeros[JWKS_SIGNATURE_MAX];
            const struct jwk *key = jwks_find(jwks, NULL, 0);
            if (key != NULL) {
                assert(jwk_signature_size(key) > 0 &&
                       jwk_signature_size(key) <= JWKS_SIGNATURE_MAX);
                assert(jwks_holds(jwks, jwk_print(key)));
                assert(jwk_verify(key, "text", 4, zeros) == JWKS_BAD);
            }
            jwks_free(jwks);
        }
    }
    free(text);
    return 0;
}
