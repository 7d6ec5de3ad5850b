/* A letter as it was checked, on its way into the database. */
#ifndef SUBMISSION_H
#define SUBMISSION_H

#include "service.h"

/* Columns of a row, in the order of submit.sql's arrays ($3 …). */
enum column {
    COL_ID,
    COL_RECEIVED,
    COL_CODE,
    COL_CODE_DIGEST,
    COL_CLIENT,
    COL_KEY,
    COL_FINGERPRINT,
    COL_CHANNEL,
    COL_LANG,
    COL_AUTH,
    COL_CLIENT_HASH,
    COL_REQUEST_ID,
    COL_EXTERNAL_ID,
    COL_TEXT,
    COL_THEME,
    COL_LAT,
    COL_LON,
    COL_ADDRESS,
    COL_CONTACT_NAME,
    COL_CONTACT_EMAIL,
    COL_CONTACT_PHONE,
    COL_CONSENT,
    COL_ANSWERS,
    COL_NOTIFY,
    COL_PUBLIC,
    COL_ENTRY,
    COL_RESIDENT,
    COL_TEXT_DIGEST,
    COLUMNS
};

struct submission {
    struct request *request;
    struct str columns[COLUMNS]; /* .p NULL: SQL null; in the request's arena */
    /* What became of it. OK: STATUS and BODY (JSON) of the first answer. Otherwise how to refuse;
     * RESULT is the database's, or NULL. OTK_QUOTA_…: STATUS letters a day, BODY seconds until the
     * next one (submission_refusal). */
    void (*done)(struct submission *s, enum otk_err err, int status, struct str body,
                 const struct db_result *result);
    struct submission *next; /* of the batch's queue */
    int replayed;            /* the answer is the first one to this key, once more */
    int tries;
    int alone; /* it was in a batch that failed: it goes by itself */
};

/* Rows of a field table that describe a letter, and their numbers. */
enum submission_field {
    F_TEXT,
    F_THEME,
    F_LAT,
    F_LON,
    F_ADDRESS,
    F_CONTACT_NAME,
    F_CONTACT_EMAIL,
    F_CONTACT_PHONE,
    F_CONSENT,
    F_CHANNEL,
    F_EXTERNAL_ID,
    F_NOTICES,
    F_PUBLIC,
    SUBMISSION_FIELDS
};
extern const char *const submission_channels[];
#define SUBMISSION_FIELD_ROWS                                                                   \
    [F_TEXT] = { .name = "text", .type = FIELD_TEXT, .required = 1, .min = 1, .max = 10000 },   \
    [F_THEME] = { .name = "theme", .type = FIELD_LINE, .min = 1, .max = 64 },                   \
    [F_LAT] = { .name = "point.lat",                                                            \
                .type = FIELD_NUMBER,                                                           \
                .min = -90,                                                                     \
                .max = 90,                                                                      \
                .together = "point.lon" },                                                      \
    [F_LON] = { .name = "point.lon",                                                            \
                .type = FIELD_NUMBER,                                                           \
                .min = -180,                                                                    \
                .max = 180,                                                                     \
                .together = "point.lat" },                                                      \
    [F_ADDRESS] = { .name = "address", .type = FIELD_LINE, .min = 1, .max = 300 },              \
    [F_CONTACT_NAME] = { .name = "contact.name", .type = FIELD_LINE, .min = 1, .max = 200 },    \
    [F_CONTACT_EMAIL] = { .name = "contact.email", .type = FIELD_EMAIL, .min = 1, .max = 254 }, \
    [F_CONTACT_PHONE] = { .name = "contact.phone", .type = FIELD_PHONE, .min = 1, .max = 40 },  \
    [F_CONSENT] = { .name = "consent", .type = FIELD_LINE, .min = 1, .max = 32 },               \
    [F_CHANNEL] = { .name = "channel", .type = FIELD_ENUM, .options = submission_channels },    \
    [F_EXTERNAL_ID] = { .name = "external_id", .type = FIELD_LINE, .min = 1, .max = 128 },      \
    [F_NOTICES] = { .name = "notify", .type = FIELD_FLAG },                                     \
    [F_PUBLIC] = { .name = "public", .type = FIELD_FLAG }

/* Rules that no single field can tell: consent for contacts, an address for notices and somebody
 * who sends them, what only partners may say. */
void submission_check(const struct request *r, struct field_errors *errors);
/* 1 if KEY has the form of an Idempotency-Key: 1 to 255 visible ASCII characters. */
int submission_key_good(struct str key);
/* Makes the row out of the request's checked values and KEY; NULL when memory or randomness is out.
 */
struct submission *submission_make(struct request *r, struct str key);
/* What to tell whom ERR refuses, and a Retry-After where it is known; empty: the error's own text.
 */
struct str submission_refusal(const struct submission *s, enum otk_err err, int status,
                              struct str body);
/* Adds what the client told besides the letter, a JSON object; 0, or -1 when memory is out. */
int submission_answers(struct submission *s, struct str json);
/* The letter was typed in by staff: CHANNEL it came by, TOLD about it (JSON), part of what makes it
 * this letter and no other. 0, or -1 when memory is out. */
int submission_entry(struct submission *s, struct str channel, struct str told);

#endif
