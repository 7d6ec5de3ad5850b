/* What the parts of intake share: the process's own state. */
#ifndef INTAKE_H
#define INTAKE_H

#include "batch.h"

struct pages;
struct forget;
struct uploads;

struct intake {
    struct batch *batch;
    struct pages *pages;
    struct forget *forget;
    struct uploads *uploads;
};

static inline struct intake *intake_of(const struct request *r)
{
    return r->service->state;
}

#endif
