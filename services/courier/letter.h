/* An e-mail as bytes: headers and both bodies, for a mail server. No sockets. */
#ifndef LETTER_H
#define LETTER_H

#include "arena.h"
#include "otklik.h"

struct letter {
    struct str from, from_name;
    struct str to;
    struct str subject;
    struct str message_id; /* without < > */
    struct str stop_url;   /* where one POST ends the notices; empty: none */
    struct str lang;       /* "ru" */
    struct str plain, html;
    int64_t date; /* s since the epoch */
};

/* 1 if ADDRESS may stand in a letter and in its envelope: ASCII without blanks, controls or any
 * character that would end it. */
int letter_address_good(struct str address);
/* The whole of it with CRLF, no line longer than 998 octets, all of it ASCII. .p is NULL when an
 * address is not good or memory is out. */
struct str letter_make(struct arena *a, const struct letter *l) __attribute__((warn_unused_result));

#endif
