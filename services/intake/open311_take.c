/* POST /open311/v2/requests: a letter comes in through another system's form, and its photos with
 * it.
 *
 * It goes the same way as one through the API: one durable, idempotent step. Clients of GeoReport
 * know no Idempotency-Key, so that of a request without one is made of what it says: the same
 * request within three days is the same letter. */
#include <math.h>
#include <stdlib.h>
#include <strings.h>
#include <yajl/yajl_tree.h>

#include "attach.h"
#include "field_reader.h"
#include "ids.h"
#include "intake.h"
#include "intake_queries.h"
#include "json.h"
#include "language.h"
#include "moment.h"
#include "open311.h"
#include "upload.h"

enum { MEDIA_MAX = 10, ATTRIBUTES_MAX = 64, ANSWER_MAX = 1000 };
#define CONSENT_CODE "1" /* open311_service.sql offers it */

/* The first rows are those of a letter, under the names that GeoReport gives them. */
enum take_row {
    T_LAST_NAME = SUBMISSION_FIELDS,
    T_ADDRESS_ID,
    T_ACCOUNT_ID,
    T_DEVICE_ID,
    TAKE_ROWS
};
static const struct field take_fields[] = {
    [F_TEXT] = { .name = "description", .type = FIELD_TEXT, .required = 1, .min = 1, .max = 4000 },
    [F_THEME] = { .name = "service_code", .type = FIELD_LINE, .required = 1, .min = 1, .max = 64 },
    [F_LAT] = { .name = "lat", .type = FIELD_NUMBER, .min = -90, .max = 90, .together = "long" },
    [F_LON] = { .name = "long", .type = FIELD_NUMBER, .min = -180, .max = 180, .together = "lat" },
    [F_ADDRESS] = { .name = "address_string", .type = FIELD_LINE, .min = 1, .max = 300 },
    [F_CONTACT_NAME] = { .name = "first_name", .type = FIELD_LINE, .min = 1, .max = 100 },
    [F_CONTACT_EMAIL] = { .name = "email", .type = FIELD_EMAIL, .min = 1, .max = 254 },
    [F_CONTACT_PHONE] = { .name = "phone", .type = FIELD_PHONE, .min = 1, .max = 40 },
    /* A form cannot say these (open311_read): their names begin with a control character. */
    [F_CONSENT] = { .name = "\x01"
                            "consent",
                    .type = FIELD_LINE,
                    .max = 32 },
    [F_CHANNEL] = { .name = "\x01"
                            "channel",
                    .type = FIELD_LINE,
                    .max = 32 },
    [F_EXTERNAL_ID] = { .name = "attribute[fixmystreet_id]",
                        .type = FIELD_LINE,
                        .min = 1,
                        .max = 128 },
    [F_NOTICES] = { .name = "\x01"
                            "notify",
                    .type = FIELD_FLAG },
    [F_PUBLIC] = { .name = "\x01"
                           "public",
                   .type = FIELD_FLAG },
    [T_LAST_NAME] = { .name = "last_name", .type = FIELD_LINE, .min = 1, .max = 99 },
    [T_ADDRESS_ID] = { .name = "address_id", .type = FIELD_LINE, .min = 1, .max = 100 },
    [T_ACCOUNT_ID] = { .name = "account_id", .type = FIELD_LINE, .min = 1, .max = 100 },
    [T_DEVICE_ID] = { .name = "device_id", .type = FIELD_LINE, .min = 1, .max = 200 },
    FIELD_END,
};

/* One attribute[CODE]=value. */
struct answer {
    struct str code, value;
    int told; /* written to the JSON already, under an earlier one of its code */
};

struct taking {
    struct answer answers[ATTRIBUTES_MAX];
    size_t nanswers;
    struct str media[MEDIA_MAX];
    size_t nmedia;
    int contact_dropped;
    struct str json; /* the answer, while the files become rows */
};

static struct str say(const struct request *r, const char *ru, const char *en)
{
    return str_of(r->lang == LANG_RU ? ru : en);
}

/* ---- reading */

/* CODE of attribute[CODE], attribute[CODE][] or attribute[CODE][0]; 0 for another name. */
static int attribute_code(struct str name, struct str *code)
{
    static const struct str begin = STR("attribute[");
    if (name.n < begin.n || memcmp(name.p, begin.p, begin.n) != 0) {
        return 0;
    }
    struct str rest = { name.p + begin.n, name.n - begin.n };
    const char *end = memchr(rest.p, ']', rest.n);
    *code = (struct str){ rest.p, end == NULL ? 0 : (size_t)(end - rest.p) };
    return 1;
}

/* VALUE checked as a row of TYPE would be; .p is NULL when it is empty or wrong, which is told. */
static struct str checked(struct request *r, struct open311 *o, struct str name, struct str value,
                          enum field_type type, double max)
{
    struct str none = { NULL, 0 };
    struct str copy = arena_dup(r->arena, name);
    struct field table[2] = { { .name = copy.p, .type = type, .min = 1, .max = max }, FIELD_END };
    union value got[1] = { { .s = { .given = 0 } } };
    struct field_errors *errors = arena_zero(r->arena, sizeof *errors);
    struct field_reader reader;
    if (copy.p == NULL || errors == NULL ||
        field_reader_init(&reader, r->arena, table, got, errors) != 0) {
        return none;
    }
    field_reader_put(&reader, 0, value, RAW_FORM);
    if (errors->n > 0) {
        open311_wrong_code(r, o, errors->list[0].field, errors->list[0].code,
                           errors->list[0].bound);
        return none;
    }
    return got[0].s.given ? got[0].s.text : none;
}

static void read_answer(struct request *r, struct open311 *o, struct taking *t, struct str code,
                        const struct form_pair *pair)
{
    if (code.n == 0 || code.n > 64) {
        open311_wrong_code(r, o, pair->name, FE_FORM, 0);
        return;
    }
    struct str value = checked(r, o, pair->name, pair->value, FIELD_TEXT, ANSWER_MAX);
    if (value.p == NULL) {
        return;
    }
    if (t->nanswers == ATTRIBUTES_MAX) {
        open311_wrong(r, o, pair->name, say(r, "ответов больше 64.", "more than 64 answers."));
        return;
    }
    t->answers[t->nanswers++] = (struct answer){ .code = code, .value = value };
}

static void read_media(struct request *r, struct open311 *o, struct taking *t,
                       const struct form_pair *pair)
{
    struct str url = checked(r, o, pair->name, pair->value, FIELD_LINE, 2000);
    if (url.p == NULL) {
        return;
    }
    if (strncasecmp(url.p, "http://", 7) != 0 && strncasecmp(url.p, "https://", 8) != 0) {
        open311_wrong_code(r, o, pair->name, FE_FORM, 0);
    } else if (t->nmedia < MEDIA_MAX) {
        t->media[t->nmedia++] = url;
    } else {
        open311_wrong(r, o, pair->name, say(r, "ссылок больше 10.", "more than 10 links."));
    }
}

/* Everything that no row of the table takes. */
static void read_rest(struct request *r, struct open311 *o, struct taking *t)
{
    struct str code;
    for (size_t i = 0; i < o->npairs; i++) {
        const struct form_pair *pair = &o->pairs[i];
        if (str_eq(pair->name, str_of(take_fields[F_EXTERNAL_ID].name))) {
            continue;
        }
        if (attribute_code(pair->name, &code)) {
            read_answer(r, o, t, code, pair);
        } else if (str_eq(pair->name, STR("media_url")) || str_eq(pair->name, STR("media_url[]"))) {
            read_media(r, o, t, pair);
        }
    }
}

/* 1 when a field has a value, right or wrong. */
static int is_said(const struct open311 *o, const char *name)
{
    for (size_t i = 0; i < o->npairs; i++) {
        if (o->pairs[i].value.n > 0 && str_eq(o->pairs[i].name, str_of(name))) {
            return 1;
        }
    }
    return 0;
}

static void check_place(struct request *r, struct open311 *o)
{
    /* Or o->wrong says already what is wrong with it. */
    if (is_said(o, "lat") || is_said(o, "long") || is_said(o, "address_string")) {
        return;
    }
    if (o->values[T_ADDRESS_ID].s.given) {
        open311_wrong(r, o, STR("address_id"),
                      say(r, "адресного реестра здесь нет: дайте lat и long или address_string.",
                          "there is no register of addresses here: give lat and long, or "
                          "address_string."));
    } else {
        open311_wrong(r, o, STR("lat"),
                      say(r, "укажите место: lat и long или address_string.",
                          "say where: lat and long, or address_string."));
    }
}

/* ---- attributes against their definition */

static const char *text_in(yajl_val object, const char *name)
{
    const char *path[] = { name, NULL };
    return YAJL_GET_STRING(yajl_tree_get(object, path, yajl_t_string));
}

static int true_in(yajl_val object, const char *name)
{
    const char *path[] = { name, NULL };
    return YAJL_IS_TRUE(yajl_tree_get(object, path, yajl_t_any));
}

static int is_option(yajl_val definition, struct str value)
{
    const char *path[] = { "values", NULL };
    yajl_val list = yajl_tree_get(definition, path, yajl_t_array);
    for (size_t i = 0; YAJL_IS_ARRAY(list) && i < list->u.array.len; i++) {
        const char *key = text_in(list->u.array.values[i], "key");
        if (key != NULL && str_eq(value, str_of(key))) {
            return 1;
        }
    }
    return 0;
}

/* FE_COUNT when VALUE is as DATATYPE says. */
static enum field_code fits(yajl_val definition, const char *datatype, struct str value)
{
    int64_t us;
    char *end;
    if (strcmp(datatype, "number") == 0) {
        double n = strtod(value.p, &end);
        return *end == '\0' && isfinite(n) ? FE_COUNT : FE_TYPE;
    }
    if (strcmp(datatype, "datetime") == 0) {
        return moment_parse(value, &us) == 0 ? FE_COUNT : FE_FORM;
    }
    if (strstr(datatype, "valuelist") != NULL) {
        return is_option(definition, value) ? FE_COUNT : FE_NOT_AN_OPTION;
    }
    if (strcmp(datatype, "string") == 0 && memchr(value.p, '\n', value.n) != NULL) {
        return FE_CHARACTERS;
    }
    return FE_COUNT;
}

static void check_attribute(struct request *r, struct open311 *o, const struct taking *t,
                            yajl_val definition)
{
    const char *code = text_in(definition, "code"), *datatype = text_in(definition, "datatype");
    size_t n = 0;
    if (code == NULL || datatype == NULL || !true_in(definition, "variable")) {
        return;
    }
    struct str name = arena_printf(r->arena, "attribute[%s]", code);
    if (name.p == NULL) {
        name = STR("attribute");
    }
    for (size_t i = 0; i < t->nanswers; i++) {
        if (!str_eq(t->answers[i].code, str_of(code))) {
            continue;
        }
        enum field_code wrong = fits(definition, datatype, t->answers[i].value);
        if (n++ == 1 && strcmp(datatype, "multivaluelist") != 0) {
            wrong = FE_DUPLICATE;
        }
        if (wrong != FE_COUNT) {
            open311_wrong_code(r, o, name, wrong, 0);
        }
    }
    if (n == 0 && true_in(definition, "required")) {
        open311_wrong_code(r, o, name, FE_REQUIRED, 0);
    }
}

/* Answers to questions that nobody asked are kept as they are: clients add some of their own. */
static int check_attributes(struct request *r, struct open311 *o, const struct taking *t,
                            const char *definition)
{
    static const char *const path[] = { "attributes", NULL };
    char why[64];
    yajl_val tree = yajl_tree_parse(definition, why, sizeof why);
    yajl_val list = yajl_tree_get(tree, (const char **)path, yajl_t_array);
    int known = YAJL_IS_ARRAY(list);
    for (size_t i = 0; known && i < list->u.array.len; i++) {
        check_attribute(r, o, t, list->u.array.values[i]);
    }
    yajl_tree_free(tree);
    return known ? 0 : -1;
}

/* ---- the letter */

/* Text being put together; .p is NULL once memory is out. */
static void add(struct request *r, struct str *to, const char *before, struct str text,
                const char *after)
{
    if (to->p != NULL) {
        *to = text.p == NULL ? text
                             : arena_printf(r->arena, "%.*s%s%.*s%s", (int)to->n, to->p, before,
                                            (int)text.n, text.p, after);
    }
}

static void add_string(struct request *r, struct str *to, const char *before, struct str text)
{
    add(r, to, before, json_string(r->arena, text), "");
}

static void add_member(struct request *r, struct str *to, const char *name, const struct open311 *o,
                       enum take_row row)
{
    if (o->values[row].s.given) {
        add(r, to, to->n > 1 ? "," : "", str_of(name), ":");
        add_string(r, to, "", o->values[row].s.text);
    }
}

/* {"attributes":{code:[value, …]},"media_urls":[…],"account_id":…,"device_id":…}; "{}" with
 * nothing to say. The consent is no answer: it has a table of its own. */
static struct str answers_json(struct request *r, const struct open311 *o, struct taking *t)
{
    struct str inner = STR(""), all = STR("{");
    for (size_t i = 0; i < t->nanswers; i++) {
        struct answer *a = &t->answers[i];
        if (a->told || str_eq(a->code, STR(CONSENT_CODE))) {
            continue;
        }
        add_string(r, &inner, inner.n > 0 ? "," : "", a->code);
        add_string(r, &inner, ":[", a->value);
        for (size_t k = i + 1; k < t->nanswers; k++) {
            if (str_eq(t->answers[k].code, a->code)) {
                t->answers[k].told = 1;
                add_string(r, &inner, ",", t->answers[k].value);
            }
        }
        add(r, &inner, "", STR("]"), "");
    }
    if (inner.p == NULL || inner.n > 0) {
        add(r, &all, "\"attributes\":{", inner, "}");
    }
    for (size_t i = 0; i < t->nmedia; i++) {
        add_string(r, &all,
                   i > 0       ? ","
                   : all.n > 1 ? ",\"media_urls\":["
                               : "\"media_urls\":[",
                   t->media[i]);
    }
    add(r, &all, "", t->nmedia > 0 ? STR("]") : STR(""), "");
    add_member(r, &all, "\"account_id\"", o, T_ACCOUNT_ID);
    add_member(r, &all, "\"device_id\"", o, T_DEVICE_ID);
    add(r, &all, "", STR("}"), "");
    return all;
}

/* A key out of all that was said and of the files, but for the key that opens the door. .p is NULL
 * when memory is out. */
static struct str made_key(struct request *r, const struct open311 *o)
{
    size_t size = 0, n = 0;
    for (size_t i = 0; i < o->npairs; i++) {
        size += o->pairs[i].name.n + o->pairs[i].value.n + 2 * sizeof(size_t);
    }
    size += upload_count(r) * sizeof upload_file(r, 0)->digest;
    char *all = arena_alloc(r->arena, size);
    if (all == NULL) {
        return (struct str){ NULL, 0 };
    }
    for (size_t i = 0; i < upload_count(r); i++) {
        memcpy(all + n, upload_file(r, i)->digest, sizeof upload_file(r, i)->digest);
        n += sizeof upload_file(r, i)->digest;
    }
    for (size_t i = 0; i < o->npairs; i++) {
        const struct str parts[] = { o->pairs[i].name, o->pairs[i].value };
        if (str_eq(parts[0], STR("api_key")) || str_eq(parts[0], STR("jurisdiction_id"))) {
            continue;
        }
        for (size_t k = 0; k < 2; k++) {
            memcpy(all + n, &parts[k].n, sizeof parts[k].n);
            n += sizeof parts[k].n;
            if (parts[k].n > 0) {
                memcpy(all + n, parts[k].p, parts[k].n);
                n += parts[k].n;
            }
        }
    }
    char digest[67];
    sha256_bytea((struct str){ all, n }, digest);
    return arena_printf(r->arena, "open311-%.64s", digest + 2);
}

/* Name, consent and channel as a letter has them. Without consent no contact is kept. -1 when
 * memory is out. */
static int make_person(struct request *r, struct open311 *o, struct taking *t)
{
    union value *v = o->values;
    int last = v[T_LAST_NAME].s.given, first = v[F_CONTACT_NAME].s.given;
    if (last) {
        struct str name = v[T_LAST_NAME].s.text;
        struct str before = first ? v[F_CONTACT_NAME].s.text : STR("");
        v[F_CONTACT_NAME].s.text = arena_printf(r->arena, "%.*s%s%.*s", (int)before.n, before.p,
                                                first ? " " : "", (int)name.n, name.p);
        v[F_CONTACT_NAME].s.given = 1;
    }
    for (size_t i = 0; i < t->nanswers; i++) {
        if (str_eq(t->answers[i].code, STR(CONSENT_CODE))) {
            v[F_CONSENT].s.given = 1;
            v[F_CONSENT].s.text = t->answers[i].value;
        }
    }
    int contact =
        v[F_CONTACT_NAME].s.given || v[F_CONTACT_EMAIL].s.given || v[F_CONTACT_PHONE].s.given;
    t->contact_dropped = contact && !v[F_CONSENT].s.given;
    if (t->contact_dropped) {
        v[F_CONTACT_NAME] = v[F_CONTACT_EMAIL] = v[F_CONTACT_PHONE] = (union value){ 0 };
    }
    v[F_CHANNEL].e.given = 1;
    v[F_CHANNEL].e.text = STR("open311");
    return v[F_CONTACT_NAME].s.given && v[F_CONTACT_NAME].s.text.p == NULL ? -1 : 0;
}

/* Number and way to follow it, out of the receipt; .p is NULL when memory is out. */
static struct str answer_of(struct request *r, const struct taking *t, struct str receipt)
{
    char why[64];
    yajl_val tree = yajl_tree_parse(receipt.p, why, sizeof why);
    const char *number = text_in(tree, "number"), *track = text_in(tree, "track");
    struct str json = { NULL, 0 };
    if (number != NULL && track != NULL) {
        struct str notice = arena_printf(
            r->arena, "%s%s%s%s", say(r, "Ход рассмотрения: ", "Follow it at ").p,
            intake_of(r)->url, track,
            !t->contact_dropped
                ? ""
                : say(r, ". Контакты не сохранены: нет согласия (attribute[" CONSENT_CODE "]).",
                      ". Contacts were not kept: no consent (attribute[" CONSENT_CODE "]).")
                      .p);
        json =
            arena_printf(r->arena, "[{\"service_request_id\":\"%s\",\"service_notice\":", number);
        if (notice.p != NULL) {
            add_string(r, &json, "", notice);
            add(r, &json, "", STR(",\"account_id\":null}]\n"), "");
        }
    }
    yajl_tree_free(tree);
    return json;
}

/* The letter is stored, its files may not be: then the client comes again, finds the letter by what
 * it says and stores the files. */
static void on_files(struct request *r, const struct attached *a)
{
    const struct open311 *o = r->state;
    const struct taking *t = o->more;
    if (a->result != NULL) {
        reply_db_problem(r, a->result);
    } else if (a->err != OTK_OK) {
        open311_refuse(r, o, a->err, STR(""));
    } else {
        open311_reply(r, o, t->json);
    }
}

static void on_done(struct submission *s, enum otk_err err, int status, struct str body,
                    const struct db_result *result)
{
    (void)status; /* of the first answer: 201; GeoReport's clients expect 200 */
    struct request *r = s->request;
    struct open311 *o = r->state;
    struct taking *t = o->more;
    if (err == OTK_INVALID) { /* switched off since it was looked up */
        open311_refuse(r, o, OTK_NOT_FOUND, o->missing);
        return;
    }
    if (result != NULL) {
        reply_db_problem(r, result);
        return;
    }
    if (err != OTK_OK) {
        open311_refuse(r, o, err, STR(""));
        return;
    }
    t->json = answer_of(r, t, body);
    if (t->json.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    if (s->replayed) {
        reply_header(r, "Idempotency-Replayed", STR("true"));
    }
    enum otk_err stored = upload_count(r) > 0 ? attach_to_letter(r, body, on_files) : OTK_OK;
    if (stored != OTK_OK) {
        reply_problem(r, stored, STR(""));
    } else if (upload_count(r) == 0) {
        open311_reply(r, o, t->json);
    }
}

static void send_letter(struct request *r, struct open311 *o, struct taking *t)
{
    struct str key = submission_key_good(r->idempotency_key) ? r->idempotency_key : made_key(r, o);
    struct str answers = answers_json(r, o, t);
    r->values = o->values;
    struct submission *s = key.p == NULL || answers.p == NULL || make_person(r, o, t) != 0
                               ? NULL
                               : submission_make(r, key);
    if (s == NULL || (answers.n > 2 && submission_answers(s, answers) != 0)) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    s->done = on_done;
    batch_add(intake_of(r)->batch, s);
}

static void on_definition(void *data, const struct db_result *result)
{
    struct request *r = data;
    struct open311 *o = r->state;
    if (result->err != OTK_OK) {
        reply_db_problem(r, result);
    } else if (PQntuples(result->res) == 0) {
        open311_refuse(r, o, OTK_NOT_FOUND, o->missing);
    } else if (check_attributes(r, o, o->more, PQgetvalue(result->res, 0, 0)) != 0) {
        reply_problem(r, OTK_INTERNAL, STR(""));
    } else if (o->nwrong > 0) {
        open311_refuse_wrong(r, o);
    } else {
        send_letter(r, o, o->more);
    }
}

/* What is wrong with the fields is told together with what is wrong with the answers. */
static void ask_definition(struct request *r, struct open311 *o)
{
    if (!o->values[F_THEME].s.given) {
        open311_refuse_wrong(r, o);
        return;
    }
    const char *params[] = { arena_printf(r->arena, "%d", o->region).p, language_tag(r->lang),
                             o->values[F_THEME].s.text.p };
    enum otk_err err = params[0] == NULL ? OTK_INTERNAL
                                         : db_ask(r->service->db, QUERY_INTAKE_OPEN311_SERVICE,
                                                  params, on_definition, r);
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}

void open311_take(struct request *r)
{
    struct open311 *o = open311_begin(r);
    struct taking *t = o == NULL ? NULL : arena_zero(r->arena, sizeof *t);
    if (o == NULL) {
        return;
    }
    if (t == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    o->more = t;
    o->root = "service_requests";
    o->missing =
        say(r, "service_code: такой услуги нет.", "service_code: there is no such service.");
    if (open311_body(r, o) != 0 || open311_read(r, o, take_fields) != 0) {
        return;
    }
    if (o->region != 0 && o->region != r->region) {
        open311_refuse(r, o, OTK_FORBIDDEN,
                       say(r, "jurisdiction_id: ключ выдан для другой юрисдикции.",
                           "jurisdiction_id: the key is for another jurisdiction."));
        return;
    }
    read_rest(r, o, t);
    check_place(r, o);
    ask_definition(r, o);
}
