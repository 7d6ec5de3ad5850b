/* What clients of Open311 send in the body of a POST: a form, plain or in parts, with or without
 * files, and in most of them the API key.
 *
 * The edge does not look for keys in forms. Such a request goes back to it with the key beside it
 * (conf/nginx, @open311_key), and comes again with the name of the key's owner, or not at all.
 * Files are written the second time only: nobody without a key costs us a disk. */
#include <strings.h>

#include "intake.h"
#include "open311.h"
#include "upload.h"

enum { KEY_LENGTH_MAX = 128 };

static struct str say(const struct request *r, const char *ru, const char *en)
{
    return str_of(r->lang == LANG_RU ? ru : en);
}

static int is_known(const struct request *r)
{
    return str_eq(r->auth, STR("api_key"));
}

/* ---- files */

struct sink *open311_files(struct request *r)
{
    struct uploads *store = intake_of(r)->uploads;
    if (!upload_is_multipart(r)) {
        return NULL;
    }
    if (!is_known(r)) {
        return upload_skim(store, r);
    }
    int may = r->region != 0 && (r->roles & ROLE_INTEGRATOR) != 0;
    return upload_begin(store, r, r->region, may ? OTK_OK : OTK_FORBIDDEN);
}

void open311_invalid(struct request *r, enum otk_err err, struct str detail,
                     const struct field_errors *errors)
{
    struct open311 *o = open311_begin(r);
    if (o == NULL) {
        return;
    }
    if (errors->n == 0) {
        open311_refuse(r, o, err, detail);
        return;
    }
    /* Of files one wrong thing is told, with the name of the file. */
    struct str field = errors->list[0].field;
    if (detail.n > 0) {
        open311_wrong(r, o, field, detail);
    } else {
        open311_wrong_code(r, o, field, errors->list[0].code, errors->list[0].bound);
    }
    open311_refuse_wrong(r, o);
}

/* ---- who */

/* A key in the form, if it has the letters of one. */
static struct str key_in_form(const struct open311 *o, size_t from)
{
    for (size_t i = from; i < o->npairs; i++) {
        struct str value = o->pairs[i].value;
        if (value.n > 0 && str_eq(o->pairs[i].name, STR("api_key"))) {
            return value;
        }
    }
    return (struct str){ NULL, 0 };
}

static int is_key(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-')) {
            return 0;
        }
    }
    return s.n > 0 && s.n <= KEY_LENGTH_MAX;
}

/* 1 when a partner sends this; otherwise it has been answered. */
static int is_partner(struct request *r, const struct open311 *o, size_t body_from)
{
    if (is_known(r)) {
        if ((r->roles & ROLE_INTEGRATOR) == 0) {
            open311_refuse(r, o, OTK_FORBIDDEN, STR(""));
            return 0;
        }
        return 1;
    }
    struct str key = key_in_form(o, body_from);
    if (!is_key(key)) {
        open311_refuse(r, o, OTK_FORBIDDEN,
                       say(r, "api_key: нужен верный ключ.", "api_key: a valid key is needed."));
        return 0;
    }
    reply_header(r, "X-Accel-Redirect", STR("@open311_key"));
    reply_header(r, "X-Open311-Key", key);
    reply(r, 200, NULL, STR(""));
    return 0;
}

/* ---- fields */

/* The body's pairs behind those of the query. 0, or -1: it has been answered. */
static int read_pairs(struct request *r, struct open311 *o)
{
    static const char form[] = "application/x-www-form-urlencoded";
    struct str detail =
        say(r, "Нужна форма: application/x-www-form-urlencoded или multipart/form-data.",
            "A form is needed: application/x-www-form-urlencoded or multipart/form-data.");
    size_t n = 0;
    enum otk_err err = OTK_MEDIA_TYPE;
    if (r->content_type.n >= sizeof form - 1 &&
        strncasecmp(r->content_type.p, form, sizeof form - 1) == 0) {
        detail = STR("");
        err = form_pairs(r->arena, r->body, o->pairs + o->npairs, OPEN311_PAIRS_MAX - o->npairs, &n,
                         &detail, r->lang);
    }
    if (err == OTK_TOO_LARGE) {
        err = OTK_MALFORMED;
        detail = say(r, "В форме больше 256 полей.", "The form has more than 256 fields.");
    }
    if (err != OTK_OK) {
        open311_refuse(r, o, err, detail);
        return -1;
    }
    o->npairs += n;
    return 0;
}

int open311_body(struct request *r, struct open311 *o)
{
    size_t from = o->npairs;
    return read_pairs(r, o) == 0 && is_partner(r, o, from) ? 0 : -1;
}
