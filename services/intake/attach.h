/* Files of an appeal: POST and GET /api/v1/appeals/{number}/attachments…, and those that come with
 * a new letter. */
#ifndef ATTACH_H
#define ATTACH_H

#include "service.h"

/* POST /api/v1/appeals/{number}/attachments?code= */
extern const struct field attach_fields[];
struct sink *attach_files(struct request *r);
void attach_ask(struct request *r);

/* GET /api/v1/appeals/{number}/attachments/{id}?code= */
extern const struct field attachment_fields[];
void attachment_ask(struct request *r);
/* GET /open311/v2/media/{number}/{id}: the picture that a media_url names. The id is the secret:
 * only who may see the picture is told it. */
void media_ask(struct request *r);

/* For routes that take a letter: begins the upload of a multipart body, NULL for any other. */
struct sink *letter_files(struct request *r);

/* What came of storing a request's files. */
struct attached {
    enum otk_err err;
    const struct db_result
        *result;     /* of the failed statement, or NULL; until the callback returns */
    int stored;      /* new files */
    struct str json; /* {"attachments":[…]} */
};

/* Stores the files that came with R under the appeal of NUMBER and CODE, then calls DONE, later. A
 * return other than OTK_OK: it does not call. */
enum otk_err attach_store(struct request *r, struct str number, struct str code,
                          void (*done)(struct request *r, const struct attached *a));

/* The same for a letter that has just been stored. BODY is the answer of submit.sql. */
enum otk_err attach_to_letter(struct request *r, struct str body,
                              void (*done)(struct request *r, const struct attached *a));

#endif
