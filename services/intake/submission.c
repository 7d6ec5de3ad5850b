/* A letter as it was checked, on its way into the database. */
#include "submission.h"

#include <inttypes.h>

#include "ids.h"
#include "intake.h"
#include "language.h"
#include "likeness.h"
#include "upload.h"

enum { KEY_MAX = 255, DIGEST = 67 };

/* domain: the ways letters come in. "site" is the public form, "api" a partner that does not say.
 */
const char *const submission_channels[] = { "site",      "mobile_app", "api",       "open311",
                                            "vk",        "ok",         "max",       "telegram",
                                            "reception", "meeting",    "broadcast", "chat",
                                            "operator",  NULL };

static int given(const struct request *r, enum submission_field f)
{
    return r->values[f].s.given;
}

void submission_check(const struct request *r, struct field_errors *errors)
{
    int contact =
        given(r, F_CONTACT_NAME) || given(r, F_CONTACT_EMAIL) || given(r, F_CONTACT_PHONE);
    if (contact && !given(r, F_CONSENT)) {
        field_error_add(errors, STR("consent"), FE_REQUIRED, 0);
    }
    if (given(r, F_NOTICES) && !given(r, F_CONTACT_EMAIL)) {
        field_error_add(errors, STR("contact.email"), FE_TOGETHER, 0);
    }
    if (given(r, F_NOTICES) && !intake_of(r)->notices) { /* nobody would send them */
        field_error_add(errors, STR("notify"), FE_NOT_ALLOWED, 0);
    }
    if ((r->roles & ROLE_INTEGRATOR) == 0) {
        if (given(r, F_CHANNEL)) {
            field_error_add(errors, STR("channel"), FE_NOT_ALLOWED, 0);
        }
        if (given(r, F_EXTERNAL_ID)) {
            field_error_add(errors, STR("external_id"), FE_NOT_ALLOWED, 0);
        }
    }
}

int submission_key_good(struct str key)
{
    for (size_t i = 0; i < key.n; i++) {
        if (key.p[i] < 0x21 || key.p[i] > 0x7e) {
            return 0;
        }
    }
    return key.n >= 1 && key.n <= KEY_MAX;
}

static struct str text_of(const struct request *r, enum submission_field f)
{
    return given(r, f) ? r->values[f].s.text : (struct str){ NULL, 0 };
}

/* SHA-256 over all checked values and the digests of the files, each with its length: the same
 * letter is the same whether it came as JSON or as a form, with or without blanks around. -1 when
 * memory is out. */
static int fingerprint(const struct submission *s, struct arena *a, struct str *out)
{
    static const enum column parts[] = { COL_CHANNEL,       COL_EXTERNAL_ID,  COL_TEXT,
                                         COL_THEME,         COL_LAT,          COL_LON,
                                         COL_ADDRESS,       COL_CONTACT_NAME, COL_CONTACT_EMAIL,
                                         COL_CONTACT_PHONE, COL_CONSENT,      COL_ANSWERS,
                                         COL_NOTIFY,        COL_PUBLIC,       COL_ENTRY };
    /* Letters without the later ones keep the fingerprint they had before there were any. */
    enum { ALWAYS = 11 };
    size_t size = 0, n_parts = sizeof parts / sizeof *parts;
    while (n_parts > ALWAYS && s->columns[parts[n_parts - 1]].p == NULL) {
        n_parts--;
    }
    for (size_t i = 0; i < n_parts; i++) {
        size += sizeof(uint64_t) + s->columns[parts[i]].n;
    }
    size_t files = upload_count(s->request);
    size += files * DIGEST;
    char *all = arena_alloc(a, size), *digest = arena_alloc(a, DIGEST);
    if (all == NULL || digest == NULL) {
        return -1;
    }
    size_t n = 0;
    for (size_t i = 0; i < n_parts; i++) {
        struct str part = s->columns[parts[i]];
        uint64_t length = part.p == NULL ? UINT64_MAX : part.n;
        memcpy(all + n, &length, sizeof length);
        n += sizeof length;
        if (part.n > 0) {
            memcpy(all + n, part.p, part.n);
            n += part.n;
        }
    }
    for (size_t i = 0; i < files; i++) {
        memcpy(all + n, upload_file(s->request, i)->digest, DIGEST);
        n += DIGEST;
    }
    sha256_bytea((struct str){ all, n }, digest);
    *out = (struct str){ digest, DIGEST - 1 };
    return 0;
}

/* Id, time, code and the code's digest. */
static int make_identity(struct submission *s, struct arena *a)
{
    char id[37], code[20];
    char *digest = arena_alloc(a, DIGEST);
    int64_t at_us;
    if (digest == NULL || uuid7(id, &at_us) != 0 || access_code(code) != 0 ||
        access_code_digest(str_of(code), digest) != 0) {
        return -1;
    }
    s->columns[COL_ID] = arena_dup(a, str_of(id));
    s->columns[COL_RECEIVED] = arena_printf(a, "%" PRId64, at_us);
    s->columns[COL_CODE] = arena_dup(a, str_of(code));
    s->columns[COL_CODE_DIGEST] = (struct str){ digest, DIGEST - 1 };
    return s->columns[COL_ID].p == NULL || s->columns[COL_RECEIVED].p == NULL ||
                   s->columns[COL_CODE].p == NULL
               ? -1
               : 0;
}

/* A number in its shortest exact form, so that 57.80 and 57.8 are one. */
static int put_number(const struct request *r, enum submission_field f, struct str *out)
{
    if (!given(r, f)) {
        return 0;
    }
    *out = arena_printf(r->arena, "%.15g", r->values[f].d.number);
    return out->p == NULL ? -1 : 0;
}

/* Whom no key vouches for: their letters are counted and compared. */
static int is_stranger(struct str auth)
{
    return str_eq(auth, STR("anonymous")) || str_eq(auth, STR("challenge")) ||
           str_eq(auth, STR("hook"));
}

struct submission *submission_make(struct request *r, struct str key)
{
    struct submission *s = arena_zero(r->arena, sizeof *s);
    if (s == NULL || make_identity(s, r->arena) != 0) {
        return NULL;
    }
    int anonymous = r->subject.n == 0;
    int contact =
        given(r, F_CONTACT_NAME) || given(r, F_CONTACT_EMAIL) || given(r, F_CONTACT_PHONE);
    struct str *c = s->columns;
    s->request = r;
    c[COL_CLIENT] = anonymous ? STR("") : r->subject;
    c[COL_KEY] = key;
    c[COL_CHANNEL] = given(r, F_CHANNEL) ? r->values[F_CHANNEL].e.text
                     : anonymous         ? STR("site")
                                         : STR("api");
    c[COL_LANG] = str_of(language_tag(r->lang));
    c[COL_AUTH] = r->auth.n > 0 ? r->auth : STR("anonymous");
    c[COL_CLIENT_HASH] = r->client.n > 0 ? r->client : STR("");
    c[COL_REQUEST_ID] = r->request_id.n > 0 ? r->request_id : STR("");
    c[COL_EXTERNAL_ID] = text_of(r, F_EXTERNAL_ID);
    c[COL_TEXT] = text_of(r, F_TEXT);
    c[COL_THEME] = text_of(r, F_THEME);
    c[COL_ADDRESS] = text_of(r, F_ADDRESS);
    c[COL_CONTACT_NAME] = text_of(r, F_CONTACT_NAME);
    c[COL_CONTACT_EMAIL] = text_of(r, F_CONTACT_EMAIL);
    c[COL_CONTACT_PHONE] = text_of(r, F_CONTACT_PHONE);
    /* Consent to nothing is not kept. */
    c[COL_CONSENT] = contact ? text_of(r, F_CONSENT) : (struct str){ NULL, 0 };
    if (is_stranger(c[COL_AUTH])) {
        c[COL_TEXT_DIGEST] = likeness_of_text(r->arena, c[COL_TEXT]);
        c[COL_RESIDENT] =
            likeness_of_resident(r->arena, r->region, c[COL_CONTACT_EMAIL], c[COL_CONTACT_PHONE]);
    }
    c[COL_NOTIFY] = text_of(r, F_NOTICES);
    c[COL_PUBLIC] = text_of(r, F_PUBLIC);
    if (put_number(r, F_LAT, &c[COL_LAT]) != 0 || put_number(r, F_LON, &c[COL_LON]) != 0 ||
        fingerprint(s, r->arena, &c[COL_FINGERPRINT]) != 0) {
        return NULL;
    }
    return s;
}

struct str submission_refusal(const struct submission *s, enum otk_err err, int status,
                              struct str body)
{
    struct request *r = s->request;
    if (err != OTK_QUOTA_ADDRESS && err != OTK_QUOTA_RESIDENT) {
        return STR("");
    }
    reply_header(r, "Retry-After", body);
    struct str text =
        arena_printf(r->arena, r->lang == LANG_RU ? "%s Можно %d в день." : "%s %d a day may come.",
                     problem_text(err, r->lang), status);
    return text.p == NULL ? STR("") : text;
}

int submission_answers(struct submission *s, struct str json)
{
    s->columns[COL_ANSWERS] = json;
    return fingerprint(s, s->request->arena, &s->columns[COL_FINGERPRINT]);
}

int submission_entry(struct submission *s, struct str channel, struct str told)
{
    s->columns[COL_CHANNEL] = channel;
    s->columns[COL_ENTRY] = told;
    return fingerprint(s, s->request->arena, &s->columns[COL_FINGERPRINT]);
}
