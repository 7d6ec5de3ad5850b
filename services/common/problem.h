/* What an error code means to a client: status, type, texts (RFC 9457). */
#ifndef PROBLEM_H
#define PROBLEM_H

#include "otklik.h"

struct problem {
    int status;
    const char
        *slug; /* "type" is /problems/<slug>; the edge uses the same ones (ngx_module/problem.c) */
    const char *title[LANG_COUNT], *detail[LANG_COUNT];
    int retry_after; /* s; 0: trying again will not help */
};

const struct problem *problem_of(enum otk_err err);

#endif
