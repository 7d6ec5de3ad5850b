/* Identifiers and secrets: UUIDv7, public numbers, access codes. */
#ifndef IDS_H
#define IDS_H

#include "otklik.h"

/* A UUIDv7 (RFC 9562) of the wall clock as 36 characters and NUL; within a process strictly
 * ascending. *at_us gets its moment (microseconds UTC) when not NULL. Returns -1 when the system
 * gives no random bytes. */
int uuid7(char out[37], int64_t *at_us) __attribute__((warn_unused_result));

/* An access code of 80 random bits as XXXX-XXXX-XXXX-XXXX in Crockford's base 32, NUL-terminated.
 * -1 as above. */
int access_code(char out[20]) __attribute__((warn_unused_result));
/* The same of bits that the caller has. */
void access_code_of(const unsigned char bits[10], char out[20]);
/* SHA-256 of a code in canonical form (upper case, no dashes or blanks; O→0, I and L→1) as "\x…"
 * for a bytea parameter. -1 when CODE is not of the form. */
int access_code_digest(struct str code, char out[67]);
/* SHA-256 of any bytes as "\x…". */
void sha256_bytea(struct str s, char out[67]);

/* The parts of RR-YYYY-NNNNNNN-C; -1 when the form or the check digit (Damm) is wrong. */
struct number {
    int region, year;
    char text[18];
};
int number_parse(struct str s, struct number *out);
char check_digit(const char *digits, size_t n);

#endif
