/* What a notice says, in the language of who gets it: a letter, or a message of a messenger. */
#ifndef NOTICE_H
#define NOTICE_H

#include "arena.h"
#include "otklik.h"

/* What there is to say. Texts are as the database has them, URLs are ours; what is empty is not
 * said. */
struct notice {
    enum lang lang;
    int confirm; /* it asks whether the address is right */
    struct str kind, number, region, body, received, first_due, final_due;
    struct str track_url, confirm_url, stop_url;
};

struct notice_words {
    struct str subject, plain, html;
};

/* Reads letters/ru.json and letters/en.json under WEB; 0, or -1 with the reason logged. */
int notice_load(const char *web);
/* -1 when memory is out. */
int notice_letter(struct arena *a, const struct notice *n, struct notice_words *out);
/* At most MOST characters, the link whole at its end; what is too long is cut between words. .p is
 * NULL when memory is out. */
struct str notice_message(struct arena *a, const struct notice *n, size_t most);

#endif
