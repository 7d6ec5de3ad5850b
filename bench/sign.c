// Many tokens that differ in subject and jti, signed by one key: sign KEY.pem ALG KID N. Each is
// printed as the line of a header.
// sources:
// libs: -lcrypto
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

enum { TEXT_MAX = 2048, SIGNATURE_MAX = 512, LIFETIME = 86400 };

static size_t base64url(char *out, const void *data, size_t n)
{
    int length = EVP_EncodeBlock((unsigned char *)out, data, (int)n);
    while (length > 0 && out[length - 1] == '=') {
        length--;
    }
    for (int i = 0; i < length; i++) {
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    }
    return (size_t)length;
}

// ASN.1 as OpenSSL has it into both numbers beside each other, as JWS has it.
static size_t raw(unsigned char *signature, size_t n)
{
    const unsigned char *p = signature;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
    if (sig == NULL || BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, 32) != 32 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + 32, 32) != 32) {
        errx(1, "no signature");
    }
    ECDSA_SIG_free(sig);
    return 64;
}

static void print_token(EVP_PKEY *key, const char *alg, const char *kid, long i)
{
    char json[TEXT_MAX], text[TEXT_MAX];
    int n = snprintf(json, sizeof(json), "{\"alg\":\"%s\",\"kid\":\"%s\"}", alg, kid);
    size_t used = base64url(text, json, (size_t)n);
    text[used++] = '.';
    n = snprintf(json, sizeof(json),
                 "{\"iss\":\"https://id.example\",\"aud\":\"otklik\",\"sub\":\"user-%ld\","
                 "\"exp\":%lld,\"jti\":\"id-%ld\",\"roles\":[\"moderator\"],\"region\":67}",
                 i, (long long)time(NULL) + LIFETIME, i);
    used += base64url(text + used, json, (size_t)n);

    unsigned char signature[SIGNATURE_MAX];
    size_t length = sizeof(signature);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const EVP_MD *md = strcmp(alg, "EdDSA") == 0 ? NULL : EVP_sha256();
    if (ctx == NULL || EVP_DigestSignInit(ctx, NULL, md, NULL, key) != 1 ||
        EVP_DigestSign(ctx, signature, &length, (unsigned char *)text, used) != 1) {
        errx(1, "cannot sign");
    }
    EVP_MD_CTX_free(ctx);
    if (strcmp(alg, "ES256") == 0) {
        length = raw(signature, length);
    }
    char encoded[SIGNATURE_MAX * 2];
    size_t m = base64url(encoded, signature, length);
    printf("Authorization: Bearer %.*s.%.*s\n", (int)used, text, (int)m, encoded);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        errx(2, "usage: sign KEY.pem RS256|ES256|EdDSA KID N");
    }
    FILE *in = fopen(argv[1], "r");
    EVP_PKEY *key = in == NULL ? NULL : PEM_read_PrivateKey(in, NULL, NULL, NULL);
    if (key == NULL) {
        errx(1, "%s is no private key", argv[1]);
    }
    fclose(in);
    long n = strtol(argv[4], NULL, 10);
    for (long i = 0; i < n; i++) {
        print_token(key, argv[2], argv[3], i);
    }
    EVP_PKEY_free(key);
    return 0;
}
