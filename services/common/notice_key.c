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

int notice_key(const char *secret, int region, struct str id, char out[NOTICE_KEY + 1])
{
    char what[96];
    unsigned char mac[EVP_MAX_MD_SIZE];
    int n = snprintf(what, sizeof what, "otklik notice %d %.*s", region, (int)id.n, id.p);
    if (n < 0 || (size_t)n >= sizeof what ||
        HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)what, (size_t)n, mac,
             NULL) == NULL) {
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
