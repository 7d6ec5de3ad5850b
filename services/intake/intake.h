/* What the parts of intake share: the process's own state. */
#ifndef INTAKE_H
#define INTAKE_H

#include "batch.h"
#include "notice_key.h"

struct pages;
struct forget;
struct uploads;
struct hook_queue;
struct theme_words_cache;

struct intake {
    struct batch *batch;
    struct pages *pages;
    struct forget *forget;
    struct uploads *uploads;
    const char
        *url; /* OTKLIK_URL: where the public finds us, without a slash at the end; "" if not set */
    struct hook_queue *hooks;
    int slot; /* of appeal_count, the first of this process */
    struct theme_words_cache *themes;
    const char *tiles; /* JSON for maps */
    int notices;       /* OTKLIK_NOTICES: a courier sends, so notices may be offered */
    char notice_secret[NOTICE_SECRET + 1]; /* of links in notices; "" without notices */
};

static inline struct intake *intake_of(const struct request *r)
{
    return r->service->state;
}

#endif
