/* A letter that a registrar types in: who came, called, asked at a meeting. */
#ifndef ENTRY_H
#define ENTRY_H

#include "service.h"
#include "submission.h"

/* Rows of an entry behind those of a letter. */
enum entry_field {
    E_SOURCE = SUBMISSION_FIELDS,
    E_CLASS,
    E_RECEIVED,
    E_EVENT_NAME,
    E_EVENT_AT,
    E_EVENT_PLACE,
    ENTRY_FIELDS
};
extern const char *const entry_sources[];
extern const char *const entry_classes[];
#define ENTRY_FIELD_ROWS                                                                        \
    [E_SOURCE] = { .name = "source",                                                            \
                   .type = FIELD_ENUM,                                                          \
                   .required = 1,                                                               \
                   .options = entry_sources },                                                  \
    [E_CLASS] = { .name = "legal_class", .type = FIELD_ENUM, .options = entry_classes },        \
    [E_RECEIVED] = { .name = "received_at", .type = FIELD_LINE, .min = 10, .max = 40 },         \
    [E_EVENT_NAME] = { .name = "event.name",                                                    \
                       .type = FIELD_LINE,                                                      \
                       .min = 1,                                                                \
                       .max = 200,                                                              \
                       .together = "event.at" },                                                \
    [E_EVENT_AT] = { .name = "event.at",                                                        \
                     .type = FIELD_LINE,                                                        \
                     .min = 10,                                                                 \
                     .max = 40,                                                                 \
                     .together = "event.name" },                                                \
    [E_EVENT_PLACE] = { .name = "event.place",                                                  \
                        .type = FIELD_LINE,                                                     \
                        .min = 1,                                                               \
                        .max = 200,                                                             \
                        .together = "event.name" }

enum { ENTRY_ROLES = ROLE_MODERATOR | ROLE_REGISTRAR };

/* How an entry is answered: as JSON or as a page. */
struct entry_door {
    void (*refuse)(struct request *r, enum otk_err err, const struct field_errors *errors);
    void (*done)(struct submission *s, enum otk_err err, int status, struct str body,
                 const struct db_result *result);
};

/* Checks what R's values say and puts it into the batch under KEY; DOOR answers, once. Uses
 * r->state until the row is made. */
void entry_take(struct request *r, struct str key, const struct entry_door *door);

/* POST /api/v1/desk/appeals */
extern const struct field entry_fields[];
void entry_ask(struct request *r);

#endif
