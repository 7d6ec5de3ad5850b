/* Answers that change seldom: with an ETag, so that who has one already is told so. */
#include "tagged.h"

#include "ids.h"
#include "language.h"

void reply_tagged(struct request *r, const struct db_result *result, int seconds)
{
    if (result->err != OTK_OK) {
        reply_db_problem(r, result);
        return;
    }
    struct str json = arena_printf(r->arena, "%s\n", PQgetvalue(result->res, 0, 0));
    struct str age = arena_printf(r->arena, "private, max-age=%d", seconds);
    char digest[67];
    sha256_bytea(json, digest);
    struct str etag = arena_printf(r->arena, "\"%.32s\"", digest + 2);
    if (json.p == NULL || age.p == NULL || etag.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    reply_header(r, "Cache-Control", age);
    reply_header(r, "Vary", STR("Accept-Language, Accept-Encoding, Cookie, X-Api-Key"));
    reply_header(r, "Content-Language", str_of(language_tag(r->lang)));
    reply_header(r, "ETag", etag);
    if (r->if_none_match.n > 0 &&
        memmem(r->if_none_match.p, r->if_none_match.n, etag.p, etag.n) != NULL) {
        reply(r, 304, NULL, STR(""));
        return;
    }
    reply_json(r, 200, json);
}
