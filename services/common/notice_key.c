/* The secret in the links of a notice: HMAC-SHA256 of the subscription, half of it.
 *
 * Whoever gets the mail may open the appeal, confirm and stop the notices, and nothing else. A new
 * secret of the server makes all links of the past void. */
#include "notice_key.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#include "ids.h"
#include "log.h"

enum { SECRET_MIN = 32 };

int notice_secret_read(char secret[NOTICE_SECRET + 1])
{
    const char *path = getenv("OTKLIK_NOTICE_SECRET");
    FILE *file = path == NULL ? NULL : fopen(path, "re");
    if (file == NULL) {
        log_write(LOG_ERROR, STR(""), "OTKLIK_NOTICE_SECRET must name a file%s%s",
                  path == NULL ? "" : ": ", path == NULL ? "" : strerror(errno));
        return -1;
    }
    size_t n = fread(secret, 1, NOTICE_SECRET, file);
    fclose(file);
    secret[n] = '\0';
    secret[strcspn(secret, "\r\n")] = '\0';
    if (strlen(secret) < SECRET_MIN) {
        log_write(LOG_ERROR, STR(""), "%s: a secret has at least %d characters", path, SECRET_MIN);
        return -1;
    }
    return 0;
}

/* HMAC of PURPOSE, FIRST and SECOND; the purpose has no blank, so no two of them meet. */
static int derive(const char *secret, const char *purpose, struct str first, struct str second,
                  unsigned char mac[EVP_MAX_MD_SIZE])
{
    enum { MOST = 400 };
    char what[MOST];
    int n = snprintf(what, sizeof what, "otklik-%s %.*s %.*s", purpose, (int)first.n, first.p,
                     (int)second.n, second.p);
    return n < 0 || (size_t)n >= sizeof what ||
                   HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)what,
                        (size_t)n, mac, NULL) == NULL
               ? -1
               : 0;
}

static int derive_of_id(const char *secret, const char *purpose, int region, struct str id,
                        unsigned char mac[EVP_MAX_MD_SIZE])
{
    char number[12];
    snprintf(number, sizeof number, "%d", region);
    return derive(secret, purpose, str_of(number), id, mac);
}

int notice_key(const char *secret, int region, struct str id, char out[NOTICE_KEY + 1])
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    if (derive_of_id(secret, "notice", region, id, mac) != 0) {
        return -1;
    }
    for (int i = 0; i < NOTICE_KEY / 2; i++) {
        snprintf(out + (ptrdiff_t)2 * i, 3, "%02x", mac[i]);
    }
    return 0;
}

int notice_key_good(const char *secret, int region, struct str id, struct str key)
{
    char wanted[NOTICE_KEY + 1];
    return key.n == NOTICE_KEY && notice_key(secret, region, id, wanted) == 0 &&
           CRYPTO_memcmp(key.p, wanted, NOTICE_KEY) == 0;
}

int notice_code(const char *secret, int region, struct str id, char out[20])
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    if (derive_of_id(secret, "code", region, id, mac) != 0) {
        return -1;
    }
    access_code_of(mac, out);
    return 0;
}

int notice_id(const char *secret, struct str number, struct str address, char out[37])
{
    unsigned char m[EVP_MAX_MD_SIZE];
    if (derive(secret, "subscription", number, address, m) != 0) {
        return -1;
    }
    m[6] = (unsigned char)((m[6] & 0x0f) | 0x80); /* RFC 9562: version and variant */
    m[8] = (unsigned char)((m[8] & 0x3f) | 0x80);
    snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", m[0],
             m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8], m[9], m[10], m[11], m[12], m[13],
             m[14], m[15]);
    return 0;
}
