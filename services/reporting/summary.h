/* GET /api/v1/reports/summary: how many appeals came, by theme, group, body, municipality or day.
 */
#ifndef SUMMARY_H
#define SUMMARY_H

#include "service.h"

extern const struct field summary_fields[];
void summary_ask(struct request *r);

#endif
