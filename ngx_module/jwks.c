/* The keys that tokens are signed with: a JWK set becomes a table. */

#include "jwks.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "base64url.h"
#include "json_tree.h"

#define VALUES_MAX       (JWKS_KEYS_MAX * 32)
#define RSA_MIN          2048                /* bits */
#define RSA_MAX          8192
#define EXPONENT_MIN     65537
#define EXPONENT_BYTES   4
#define COORDINATE_MAX   48
#define ED25519_SIZE     32
#define ED25519_LENGTH   64                  /* of a signature */
#define ED25519_P        "7fffffffffffffffffffffffffffffff"                   \
                         "ffffffffffffffffffffffffffffffed"
#define ED25519_D        "52036cee2b6ffe738cc740797779e898"                   \
                         "00700a4d4141d8ab75eb4dca135978a3"
#define SECRET_MIN       32                  /* bytes: SHA-256's own length */
#define SECRET_MAX       512
#define DER_MAX          128                 /* of an ECDSA signature */

enum family {
    FAMILY_RSA,
    FAMILY_PSS,
    FAMILY_EC,
    FAMILY_ED,
    FAMILY_MAC
};

struct algorithm {
    const char   *name;
    const char   *type;                      /* "kty" */
    enum family   family;
    const char   *digest;
    const char   *curve;                     /* "crv" */
    const char   *group;                     /* OpenSSL's name of it */
    size_t        coordinate;                /* bytes */
};

struct jwk {
    char                     kid[JWKS_KID_MAX];
    size_t                   kid_n;
    const struct algorithm  *algorithm;
    uint8_t                  print[JWKS_PRINT_SIZE];
    size_t                   size;           /* of a signature */
    EVP_PKEY                *key;
    EVP_PKEY_CTX            *verify;         /* of RSA and EC, ready */
    EVP_MD_CTX              *context;        /* of Ed25519 */
    EVP_MAC_CTX             *mac;            /* of HS256, keyed */
    EVP_MD                  *digest;
};

struct jwks {
    struct jwk  *list;
    size_t       count;
};

/* What a key is made from. */
struct reader {
    const struct json_value  *value;         /* the JWK */
    struct jwks_error        *error;
    uint8_t                   part[2][JWKS_SIGNATURE_MAX + 1];
    size_t                    n[2];
};


static const struct algorithm  algorithms[JWKS_ALGORITHMS] = {
    [JWKS_RS256] = { "RS256", "RSA", FAMILY_RSA, "SHA256", NULL, NULL, 0 },
    [JWKS_RS384] = { "RS384", "RSA", FAMILY_RSA, "SHA384", NULL, NULL, 0 },
    [JWKS_RS512] = { "RS512", "RSA", FAMILY_RSA, "SHA512", NULL, NULL, 0 },
    [JWKS_PS256] = { "PS256", "RSA", FAMILY_PSS, "SHA256", NULL, NULL, 0 },
    [JWKS_PS384] = { "PS384", "RSA", FAMILY_PSS, "SHA384", NULL, NULL, 0 },
    [JWKS_PS512] = { "PS512", "RSA", FAMILY_PSS, "SHA512", NULL, NULL, 0 },
    [JWKS_ES256] = { "ES256", "EC", FAMILY_EC, "SHA256", "P-256",
                     "prime256v1", 32 },
    [JWKS_ES384] = { "ES384", "EC", FAMILY_EC, "SHA384", "P-384",
                     "secp384r1", 48 },
    [JWKS_EDDSA] = { "EdDSA", "OKP", FAMILY_ED, NULL, "Ed25519", NULL, 0 },
    [JWKS_HS256] = { "HS256", "oct", FAMILY_MAC, "SHA256", NULL, NULL, 0 }
};

/* d, p … of RSA (RFC 7518, section 6.3.2), d of EC and OKP */
static const char  *private_members[] = {
    "d", "p", "q", "dp", "dq", "qi", "oth"
};


static bool
wrong(struct reader *reader, const char *what)
{
    reader->error->what = what;

    return false;
}


/* A member in base64url as bytes of part i. */

static bool
read_bytes(struct reader *reader, const char *name, unsigned i)
{
    const struct json_value  *value;

    value = json_member(reader->value, name);

    return value != NULL && value->type == JSON_STRING && value->n > 0
           && base64url_decode(value->p, value->n, reader->part[i],
                               sizeof(reader->part[i]), &reader->n[i]);
}


static EVP_PKEY *
make_key(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY      *key;
    OSSL_PARAM    *params;
    EVP_PKEY_CTX  *context;

    key = NULL;
    params = OSSL_PARAM_BLD_to_param(builder);
    context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

    if (params == NULL || context == NULL
        || EVP_PKEY_fromdata_init(context) != 1
        || EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
    {
        key = NULL;
    }

    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);

    return key;
}


static bool
check_key(EVP_PKEY *key)
{
    bool           good;
    EVP_PKEY_CTX  *context;

    context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    good = context != NULL && EVP_PKEY_public_check(context) == 1;
    EVP_PKEY_CTX_free(context);

    return good;
}


static bool
read_rsa(struct reader *reader, struct jwk *key)
{
    size_t           i;
    BIGNUM          *n, *e;
    uint64_t         exponent;
    OSSL_PARAM_BLD  *builder;

    if (!read_bytes(reader, "n", 0) || !read_bytes(reader, "e", 1)
        || reader->part[0][0] == 0 || reader->part[1][0] == 0)
    {
        return wrong(reader, "n or e is not a number in base64url");
    }

    exponent = 0;

    for (i = 0; i < reader->n[1] && i < EXPONENT_BYTES; i++) {
        exponent = exponent << 8 | reader->part[1][i];
    }

    if (reader->n[1] > EXPONENT_BYTES || exponent < EXPONENT_MIN
        || exponent % 2 == 0)
    {
        return wrong(reader, "e is not odd, from 65537 to 4294967295");
    }

    if (reader->n[0] > RSA_MAX / 8 || reader->n[0] < RSA_MIN / 8
        || (reader->n[0] == RSA_MIN / 8 && reader->part[0][0] < 0x80))
    {
        return wrong(reader, "the RSA key is not of 2048 to 8192 bits");
    }

    if (reader->part[0][reader->n[0] - 1] % 2 == 0) {
        return wrong(reader, "n is even");
    }

    n = BN_bin2bn(reader->part[0], (int) reader->n[0], NULL);
    e = BN_bin2bn(reader->part[1], (int) reader->n[1], NULL);
    builder = OSSL_PARAM_BLD_new();

    if (n != NULL && e != NULL && builder != NULL
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
    {
        key->key = make_key("RSA", builder);
    }

    OSSL_PARAM_BLD_free(builder);
    BN_free(e);
    BN_free(n);

    if (key->key == NULL || !check_key(key->key)) {
        return wrong(reader, "OpenSSL does not take the key");
    }

    key->size = reader->n[0];

    return true;
}


static bool
read_ec(struct reader *reader, struct jwk *key)
{
    uint8_t                  point[1 + 2 * COORDINATE_MAX];
    size_t                   n;
    OSSL_PARAM_BLD          *builder;
    const struct algorithm  *algorithm;

    algorithm = key->algorithm;
    n = algorithm->coordinate;

    if (!json_is(json_member(reader->value, "crv"), algorithm->curve)) {
        return wrong(reader, "crv is not the curve of alg");
    }

    if (!read_bytes(reader, "x", 0) || !read_bytes(reader, "y", 1)
        || reader->n[0] != n || reader->n[1] != n)
    {
        return wrong(reader, "x or y is not of the curve's length");
    }

    point[0] = POINT_CONVERSION_UNCOMPRESSED;
    memcpy(point + 1, reader->part[0], n);
    memcpy(point + 1 + n, reader->part[1], n);

    builder = OSSL_PARAM_BLD_new();

    if (builder != NULL
        && OSSL_PARAM_BLD_push_utf8_string(builder,
                                           OSSL_PKEY_PARAM_GROUP_NAME,
                                           algorithm->group, 0) == 1
        && OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY,
                                            point, 1 + 2 * n) == 1)
    {
        key->key = make_key("EC", builder);
    }

    OSSL_PARAM_BLD_free(builder);

    if (key->key == NULL || !check_key(key->key)) {
        return wrong(reader, "x and y are no point of the curve");
    }

    key->size = 2 * n;

    return true;
}


/*
 * Little-endian y of the points whose order divides 8; either sign of x.  For
 * such a key OpenSSL takes signatures that anybody can make.
 */

static const uint8_t  small_order[][ED25519_SIZE] = {
    { 0x00 },
    { 0x01 },
    { 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
    { 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0,
      0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
      0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39,
      0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
    { 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f,
      0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
      0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6,
      0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a }
};


/* Is y below 2^255 - 19? */

static bool
is_canonical(const uint8_t y[ED25519_SIZE])
{
    size_t  i;

    if (y[ED25519_SIZE - 1] != 0x7f) {
        return true;
    }

    for (i = ED25519_SIZE - 2; i > 0; i--) {
        if (y[i] != 0xff) {
            return true;
        }
    }

    return y[0] < 0xed;
}


/*
 * Is there an x to this y?  x^2 = u/v with u = y^2 - 1, v = d y^2 + 1 (RFC
 * 8032, section 5.1.3), which is a square if uv is one.  OpenSSL looks at that
 * only when it verifies.
 */

static bool
is_on_curve(const uint8_t y[ED25519_SIZE])
{
    bool     good;
    BIGNUM  *p, *d, *u, *v, *yy;
    BN_CTX  *context;

    p = NULL;
    d = NULL;
    u = BN_new();
    v = BN_new();
    yy = BN_lebin2bn(y, ED25519_SIZE, NULL);
    context = BN_CTX_new();

    good = u != NULL && v != NULL && yy != NULL && context != NULL
           && BN_hex2bn(&p, ED25519_P) > 0 && BN_hex2bn(&d, ED25519_D) > 0
           && BN_mod_sqr(yy, yy, p, context) == 1
           && BN_mod_sub(u, yy, BN_value_one(), p, context) == 1
           && BN_mod_mul(v, yy, d, p, context) == 1
           && BN_mod_add(v, v, BN_value_one(), p, context) == 1
           && BN_mod_mul(u, u, v, p, context) == 1
           && BN_kronecker(u, p, context) == 1;

    BN_CTX_free(context);
    BN_free(yy);
    BN_free(v);
    BN_free(u);
    BN_free(d);
    BN_free(p);

    return good;
}


static bool
read_ed25519(struct reader *reader, struct jwk *key)
{
    size_t   i;
    uint8_t  y[ED25519_SIZE];

    if (!json_is(json_member(reader->value, "crv"), key->algorithm->curve)) {
        return wrong(reader, "crv is not the curve of alg");
    }

    if (!read_bytes(reader, "x", 0) || reader->n[0] != ED25519_SIZE) {
        return wrong(reader, "x is not of 32 bytes");
    }

    memcpy(y, reader->part[0], sizeof(y));
    y[ED25519_SIZE - 1] &= 0x7f;

    if (!is_canonical(y)) {
        return wrong(reader, "x is not canonical");
    }

    for (i = 0; i < sizeof(small_order) / sizeof(small_order[0]); i++) {
        if (memcmp(y, small_order[i], sizeof(y)) == 0) {
            return wrong(reader, "x is a point of small order");
        }
    }

    if (!is_on_curve(y)) {
        return wrong(reader, "x is no point of the curve");
    }

    key->key = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL,
                                              reader->part[0], ED25519_SIZE);
    key->context = EVP_MD_CTX_new();

    if (key->key == NULL || key->context == NULL) {
        return wrong(reader, "OpenSSL does not take the key");
    }

    key->size = ED25519_LENGTH;

    return true;
}


static bool
read_secret(struct reader *reader, struct jwk *key)
{
    EVP_MAC     *mac;
    OSSL_PARAM   params[2];

    static char  digest[] = "SHA256";

    if (!read_bytes(reader, "k", 0) || reader->n[0] < SECRET_MIN
        || reader->n[0] > SECRET_MAX)
    {
        return wrong(reader, "k is not of 32 to 512 bytes in base64url");
    }

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                 digest, 0);
    params[1] = OSSL_PARAM_construct_end();

    mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    key->mac = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac);

    if (key->mac == NULL
        || EVP_MAC_init(key->mac, reader->part[0], reader->n[0], params) != 1)
    {
        return wrong(reader, "OpenSSL does not take the key");
    }

    key->size = EVP_MAC_CTX_get_mac_size(key->mac);

    return key->size > 0;
}


/* Contexts live as long as the key: fetching per call costs 10 µs. */

static bool
prepare(struct reader *reader, struct jwk *key)
{
    const struct algorithm  *algorithm;

    algorithm = key->algorithm;

    if (algorithm->family == FAMILY_ED || algorithm->family == FAMILY_MAC) {
        return true;
    }

    key->digest = EVP_MD_fetch(NULL, algorithm->digest, NULL);
    key->verify = EVP_PKEY_CTX_new_from_pkey(NULL, key->key, NULL);

    if (key->digest == NULL || key->verify == NULL
        || EVP_PKEY_verify_init(key->verify) != 1
        || (algorithm->family == FAMILY_RSA
            && EVP_PKEY_CTX_set_rsa_padding(key->verify, RSA_PKCS1_PADDING)
               != 1)
        || (algorithm->family == FAMILY_PSS
            && (EVP_PKEY_CTX_set_rsa_padding(key->verify,
                                             RSA_PKCS1_PSS_PADDING) != 1
                || EVP_PKEY_CTX_set_rsa_pss_saltlen(key->verify,
                                                    RSA_PSS_SALTLEN_DIGEST)
                   != 1
                || EVP_PKEY_CTX_set_rsa_mgf1_md(key->verify, key->digest)
                   != 1))
        || EVP_PKEY_CTX_set_signature_md(key->verify, key->digest) != 1)
    {
        return wrong(reader, "OpenSSL does not take the key");
    }

    return true;
}


static bool
fingerprint(struct reader *reader, struct jwk *key)
{
    bool           good;
    size_t         i;
    uint8_t        digest[EVP_MAX_MD_SIZE];
    uint64_t       length;
    EVP_MD        *sha256;
    EVP_MD_CTX    *context;

    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    context = EVP_MD_CTX_new();

    good = sha256 != NULL && context != NULL
           && EVP_DigestInit_ex(context, sha256, NULL) == 1
           && EVP_DigestUpdate(context, key->algorithm->name,
                               strlen(key->algorithm->name) + 1) == 1
           && EVP_DigestUpdate(context, key->kid, sizeof(key->kid)) == 1;

    for (i = 0; good && i < 2; i++) {
        length = reader->n[i];
        good = EVP_DigestUpdate(context, &length, sizeof(length)) == 1
               && EVP_DigestUpdate(context, reader->part[i], reader->n[i])
                  == 1;
    }

    good = good && EVP_DigestFinal_ex(context, digest, NULL) == 1;

    EVP_MD_CTX_free(context);
    EVP_MD_free(sha256);

    if (!good) {
        return wrong(reader, "SHA-256 failed");
    }

    memcpy(key->print, digest, sizeof(key->print));

    return true;
}


static bool
lists(const struct json_value *list, const char *text)
{
    const struct json_value  *item;

    for (item = list->first; item != NULL; item = item->next) {
        if (json_is(item, text)) {
            return true;
        }
    }

    return false;
}


/* Does the key say that it is for something else than signatures? */

static bool
is_foreign(const struct json_value *value)
{
    const struct json_value  *use, *operations;

    use = json_member(value, "use");
    operations = json_member(value, "key_ops");

    return (use != NULL && !json_is(use, "sig"))
           || (operations != NULL && !lists(operations, "verify"));
}


static bool
read_names(struct reader *reader, struct jwk *key)
{
    size_t                    i;
    const struct json_value  *kid, *alg;

    kid = json_member(reader->value, "kid");
    alg = json_member(reader->value, "alg");

    if (kid == NULL || kid->type != JSON_STRING || kid->n == 0
        || kid->n > JWKS_KID_MAX || memchr(kid->p, '\0', kid->n) != NULL)
    {
        return wrong(reader, "kid is not a string of 1 to 128 bytes");
    }

    memcpy(key->kid, kid->p, kid->n);
    key->kid_n = kid->n;

    for (i = 0; i < JWKS_ALGORITHMS; i++) {
        if (json_is(alg, algorithms[i].name)) {
            key->algorithm = &algorithms[i];
        }
    }

    if (key->algorithm == NULL) {
        return wrong(reader, "alg is missing or none that is supported");
    }

    if (!json_is(json_member(reader->value, "kty"), key->algorithm->type)) {
        return wrong(reader, "kty is not the type of alg");
    }

    if (key->algorithm->family == FAMILY_MAC) {
        return true;
    }

    for (i = 0; i < sizeof(private_members) / sizeof(char *); i++) {
        if (json_member(reader->value, private_members[i]) != NULL) {
            return wrong(reader, "it is a private key");
        }
    }

    return true;
}


static bool
read_value(struct reader *reader, struct jwk *key)
{
    switch (key->algorithm->family) {

    case FAMILY_RSA:
    case FAMILY_PSS:
        return read_rsa(reader, key);

    case FAMILY_EC:
        return read_ec(reader, key);

    case FAMILY_ED:
        return read_ed25519(reader, key);

    default: /* FAMILY_MAC */
        return read_secret(reader, key);
    }
}


static void
close_key(struct jwk *key)
{
    EVP_PKEY_CTX_free(key->verify);
    EVP_MD_CTX_free(key->context);
    EVP_MAC_CTX_free(key->mac);
    EVP_MD_free(key->digest);
    EVP_PKEY_free(key->key);
}


static bool
read_key(struct jwks *jwks, struct reader *reader)
{
    struct jwk  *key;

    if (reader->value->type != JSON_OBJECT) {
        return wrong(reader, "it is no object");
    }

    if (is_foreign(reader->value)) {
        return true;
    }

    key = &jwks->list[jwks->count];
    memset(key, 0, sizeof(*key));
    reader->n[0] = 0;
    reader->n[1] = 0;

    if (!read_names(reader, key)) {
        return false;
    }

    if (jwks_find(jwks, key->kid, key->kid_n) != NULL) {
        return wrong(reader, "another key has the same kid");
    }

    /* counted from here on, so that it is freed whatever comes */

    jwks->count++;

    return read_value(reader, key) && prepare(reader, key)
           && fingerprint(reader, key);
}


static bool
read_keys(struct jwks *jwks, const struct json_value *root,
    struct jwks_error *error)
{
    bool                      good;
    struct reader            *reader;
    const struct json_value  *keys;

    keys = root != NULL ? json_member(root, "keys") : NULL;

    if (keys == NULL || keys->type != JSON_ARRAY) {
        error->what = "it is no JWK set in strict JSON";
        return false;
    }

    reader = calloc(1, sizeof(*reader));
    if (reader == NULL) {
        return false;
    }

    reader->error = error;
    good = true;

    for (reader->value = keys->first; good && reader->value != NULL;
         reader->value = reader->value->next)
    {
        if (error->key++ == JWKS_KEYS_MAX) {
            good = wrong(reader, "there are more than 64 keys");
            break;
        }

        good = read_key(jwks, reader);
    }

    OPENSSL_cleanse(reader->part, sizeof(reader->part));
    free(reader);

    return good;
}


struct jwks *
jwks_parse(const char *text, size_t n, struct jwks_error *error)
{
    bool               good;
    struct jwks       *jwks;
    struct json_tree  *tree;

    error->key = 0;
    error->what = "no memory";

    if (n == 0 || n > JWKS_FILE_MAX) {
        error->what = "the file is empty or over 256 kilobytes";
        return NULL;
    }

    jwks = calloc(1, sizeof(*jwks));
    if (jwks == NULL) {
        return NULL;
    }

    jwks->list = calloc(JWKS_KEYS_MAX, sizeof(jwks->list[0]));
    tree = json_tree_create(VALUES_MAX, n);

    good = jwks->list != NULL && tree != NULL
           && read_keys(jwks, json_tree_read(tree, text, n), error);

    json_tree_free(tree);
    ERR_clear_error();

    if (!good) {
        jwks_free(jwks);
        return NULL;
    }

    return jwks;
}


void
jwks_free(struct jwks *jwks)
{
    size_t  i;

    if (jwks == NULL) {
        return;
    }

    for (i = 0; i < jwks->count; i++) {
        close_key(&jwks->list[i]);
    }

    free(jwks->list);
    free(jwks);
}


size_t
jwks_count(const struct jwks *jwks)
{
    return jwks->count;
}


bool
jwks_secret(const struct jwks *jwks)
{
    size_t  i;

    for (i = 0; i < jwks->count; i++) {
        if (jwks->list[i].algorithm->family == FAMILY_MAC) {
            return true;
        }
    }

    return false;
}


const struct jwk *
jwks_find(const struct jwks *jwks, const char *kid, size_t n)
{
    size_t             i;
    const struct jwk  *key;

    if (kid == NULL) {
        return jwks->count == 1 ? &jwks->list[0] : NULL;
    }

    for (i = 0; i < jwks->count; i++) {
        key = &jwks->list[i];

        if (key->kid_n == n && memcmp(key->kid, kid, n) == 0) {
            return key;
        }
    }

    return NULL;
}


bool
jwks_holds(const struct jwks *jwks, const uint8_t print[JWKS_PRINT_SIZE])
{
    size_t  i;

    for (i = 0; i < jwks->count; i++) {
        if (memcmp(jwks->list[i].print, print, JWKS_PRINT_SIZE) == 0) {
            return true;
        }
    }

    return false;
}


const char *
jwk_algorithm(const struct jwk *key)
{
    return key->algorithm->name;
}


const uint8_t *
jwk_print(const struct jwk *key)
{
    return key->print;
}


size_t
jwk_signature_size(const struct jwk *key)
{
    return key->size;
}


/* R and S beside each other, as JWS has them, in the form of OpenSSL. */

static size_t
to_der(const uint8_t *signature, size_t size, uint8_t der[DER_MAX])
{
    int         length;
    BIGNUM     *r, *s;
    uint8_t    *p;
    ECDSA_SIG  *sig;

    length = 0;
    r = BN_bin2bn(signature, (int) (size / 2), NULL);
    s = BN_bin2bn(signature + size / 2, (int) (size / 2), NULL);
    sig = ECDSA_SIG_new();

    if (r == NULL || s == NULL || sig == NULL
        || ECDSA_SIG_set0(sig, r, s) != 1)
    {
        BN_free(r);
        BN_free(s);

    } else if (i2d_ECDSA_SIG(sig, NULL) <= DER_MAX) {
        p = der;
        length = i2d_ECDSA_SIG(sig, &p);
    }

    ECDSA_SIG_free(sig);

    return length > 0 ? (size_t) length : 0;
}


static enum jwks_verdict
verify_secret(const struct jwk *key, const char *text, size_t n,
    const uint8_t *signature)
{
    size_t   length;
    uint8_t  mac[EVP_MAX_MD_SIZE];

    /* without a key: the one that the context has */

    if (EVP_MAC_init(key->mac, NULL, 0, NULL) != 1
        || EVP_MAC_update(key->mac, (const uint8_t *) text, n) != 1
        || EVP_MAC_final(key->mac, mac, &length, sizeof(mac)) != 1)
    {
        return JWKS_FAILED;
    }

    return CRYPTO_memcmp(mac, signature, key->size) == 0 ? JWKS_GOOD
                                                         : JWKS_BAD;
}


static enum jwks_verdict
verify_ed25519(const struct jwk *key, const char *text, size_t n,
    const uint8_t *signature)
{
    if (EVP_DigestVerifyInit(key->context, NULL, NULL, NULL, key->key) != 1) {
        return JWKS_FAILED;
    }

    return EVP_DigestVerify(key->context, signature, key->size,
                            (const uint8_t *) text, n) == 1 ? JWKS_GOOD
                                                            : JWKS_BAD;
}


static enum jwks_verdict
verify_digest(const struct jwk *key, const char *text, size_t n,
    const uint8_t *signature)
{
    size_t    size;
    uint8_t   digest[EVP_MAX_MD_SIZE], der[DER_MAX];
    unsigned  length;

    size = key->size;

    if (EVP_Digest(text, n, digest, &length, key->digest, NULL) != 1) {
        return JWKS_FAILED;
    }

    if (key->algorithm->family == FAMILY_EC) {
        size = to_der(signature, key->size, der);
        signature = der;

        if (size == 0) {
            return JWKS_FAILED;
        }
    }

    return EVP_PKEY_verify(key->verify, signature, size, digest, length) == 1
           ? JWKS_GOOD : JWKS_BAD;
}


enum jwks_verdict
jwk_verify(const struct jwk *key, const char *text, size_t n,
    const uint8_t *signature)
{
    enum jwks_verdict  verdict;

    switch (key->algorithm->family) {

    case FAMILY_MAC:
        verdict = verify_secret(key, text, n, signature);
        break;

    case FAMILY_ED:
        verdict = verify_ed25519(key, text, n, signature);
        break;

    default: /* FAMILY_RSA, FAMILY_PSS, FAMILY_EC */
        verdict = verify_digest(key, text, n, signature);
    }

    if (verdict != JWKS_GOOD) {

        /* else the TLS of the same process finds it and wonders */

        ERR_clear_error();
    }

    return verdict;
}
