/* The request that brings a published appeal through the front door. */
#ifndef LETTER_H
#define LETTER_H

#include "jsonl.h"
#include "themes.h"

enum { LETTER_KEY = 48, LETTER_ID = 65 };

struct letter {
    char *body; /* JSON; allocated once, grows */
    size_t n, size;
    char key[LETTER_KEY]; /* the Idempotency-Key: a digest of the line, so the same line is the same
                             appeal for ever */
    char external_id[LETTER_ID];
    int64_t line;
    size_t cleaned;    /* control characters that became blanks */
    int theme_unknown; /* it names a theme that the region has not */
};

/* Makes the request for the record R of LINE, which is text number NUMBER of its file. 0, or -1
 * with the reason in ERR. */
int letter_write(struct letter *l, struct record *r, struct str line, int64_t number,
                 const struct themes *themes, char *err, size_t errlen);
void letter_free(struct letter *l);

#endif
