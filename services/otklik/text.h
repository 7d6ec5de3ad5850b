/* Words and digests: names made comparable, codes made of names, the hexadecimal SHA-256. */
#ifndef TEXT_H
#define TEXT_H

#include "otklik.h"

enum { TEXT_SHA256 = 65, TEXT_CODE = 65, TEXT_NAME = 1000 };

/* SHA-256 of S in lower-case hexadecimal digits, NUL-terminated. */
void text_sha256(struct str s, char out[TEXT_SHA256]);

/* Removes white space around S and makes one blank of any inside it, in place. Returns the new
 * length; S.p[length] is set to NUL if the text got shorter. */
size_t text_tidy(char *p, size_t n);

/* S as a name is kept and compared: cut between characters to fit SIZE bytes with its NUL, tidy,
 * without control characters. Written to OUT. */
struct str text_name(struct str s, char *out, size_t size);

/* What makes two spellings of a place's name the same: letters in lower case, ё as е, № as n,
 * nothing but letters and digits, a word said twice in a row once ("округ № 7" and "Округ N 7" are
 * both "округn7"). Writes at most N - 1 bytes and a NUL. */
void text_fold(struct str s, char *out, size_t n);

/* A stable code for a theme: a transliterated beginning of NAME for people and 8 digits of the
 * digest of object, group and name for uniqueness; fits ^[a-z0-9._-]{1,64}$. */
void text_code(struct str object, struct str group, struct str name, char out[TEXT_CODE]);

/* Replaces control characters other than newline, return and tab by blanks, in place; returns how
 * many. */
size_t text_clean(char *p, size_t n);

#endif
