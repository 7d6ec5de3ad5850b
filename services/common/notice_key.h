/* The secret in the links of a notice: derived from the server's own, so nothing secret is stored.
 */
#ifndef NOTICE_KEY_H
#define NOTICE_KEY_H

#include "otklik.h"

enum { NOTICE_SECRET = 64, NOTICE_KEY = 32 };

/* Reads the file that OTKLIK_NOTICE_SECRET names: at least 32 characters in one line. 0, or -1 with
 * the reason logged. */
int notice_secret_read(char secret[NOTICE_SECRET + 1]);
/* The key of subscription ID (a UUID in lower case) as NOTICE_KEY hexadecimal digits and NUL; 0, or
 * -1 when OpenSSL fails. */
int notice_key(const char *secret, int region, struct str id, char out[NOTICE_KEY + 1])
    __attribute__((warn_unused_result));
/* 1 if KEY is that of ID; takes the same time for every wrong one of the right length. */
int notice_key_good(const char *secret, int region, struct str id, struct str key);

/* An access code of its own for subscription ID, by which its letters open the appeal; 0 or -1. */
int notice_code(const char *secret, int region, struct str id, char out[20])
    __attribute__((warn_unused_result));
/* The id of the subscription of ADDRESS to appeal NUMBER: asked for twice, it is one. A UUID of our
 * own making (version 8); 0 or -1. */
int notice_id(const char *secret, struct str number, struct str address, char out[37])
    __attribute__((warn_unused_result));

#endif
