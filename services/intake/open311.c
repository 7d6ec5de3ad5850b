/* Open311 GeoReport v2: formats, jurisdictions, refusals. */
#include "open311.h"

#include "field_reader.h"
#include "json.h"
#include "language.h"
#include "log.h"
#include "problem.h"

enum { WRONG_MAX = 32 };

/* ---- answers */

/* A refusal is XML where a list would be CSV. */
static void send_as(struct request *r, const struct open311 *o, int status, const char *root,
                    struct str json)
{
    struct str body = json;
    const char *type = "application/json; charset=utf-8";
    if (o->format == OPEN311_CSV && status == 200) {
        body = open311_csv(r->arena, json.p);
        type = "text/csv; charset=utf-8; header=present";
    } else if (o->format != OPEN311_JSON) {
        body = open311_xml(r->arena, root, json.p);
        type = "text/xml; charset=utf-8";
    }
    if (body.p == NULL) {
        log_write(LOG_ERROR, r->request_id, "an answer of %zu bytes does not become %s", json.n,
                  type);
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    reply(r, status, type, body);
}

void open311_reply(struct request *r, const struct open311 *o, struct str json)
{
    reply_header(r, "Cache-Control", STR("no-store"));
    reply_header(r, "Content-Language", str_of(language_tag(r->lang)));
    send_as(r, o, 200, o->root, json);
}

/* GeoReport knows 400, 403 and 404; the rest is not the client's fault. 0: none of these. */
static int status_of(enum otk_err err)
{
    switch (err) {
    case OTK_MALFORMED:
    case OTK_INVALID:
    case OTK_KEY_MISSING:
    case OTK_KEY_REUSED:
    case OTK_MEDIA_TYPE:
        return 400;
    case OTK_UNAUTHORIZED:
    case OTK_FORBIDDEN:
        return 403;
    case OTK_NOT_FOUND:
        return 404;
    default:
        return 0;
    }
}

/* [{"code":"400","description":…}, …] */
static void refuse_all(struct request *r, const struct open311 *o, int status,
                       const struct str *sentences, size_t n)
{
    struct str json = STR("[");
    for (size_t i = 0; i < n; i++) {
        struct str quoted = json_string(r->arena, sentences[i]);
        if (quoted.p != NULL) {
            json =
                arena_printf(r->arena, "%.*s%s{\"code\":\"%d\",\"description\":%.*s}", (int)json.n,
                             json.p, i > 0 ? "," : "", status, (int)quoted.n, quoted.p);
        }
        if (quoted.p == NULL || json.p == NULL) {
            reply_problem(r, OTK_INTERNAL, STR(""));
            return;
        }
    }
    json = arena_printf(r->arena, "%.*s]", (int)json.n, json.p);
    if (json.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    reply_header(r, "Cache-Control", STR("no-store"));
    reply_header(r, "Content-Language", str_of(language_tag(r->lang)));
    send_as(r, o, status, "errors", json);
}

void open311_refuse(struct request *r, const struct open311 *o, enum otk_err err, struct str detail)
{
    int status = status_of(err);
    if (status == 0) { /* to be tried again, or ours: the edge says it in this form */
        reply_problem(r, err == OTK_KEY_RUNNING ? OTK_UNAVAILABLE : err, STR(""));
        return;
    }
    struct str sentence = detail.n > 0 ? detail : str_of(problem_text(err, r->lang));
    refuse_all(r, o, status, &sentence, 1);
}

void open311_refuse_wrong(struct request *r, const struct open311 *o)
{
    refuse_all(r, o, 400, o->wrong, o->nwrong);
}

void open311_wrong(struct request *r, struct open311 *o, struct str field, struct str sentence)
{
    if (o->nwrong == WRONG_MAX) {
        return;
    }
    struct str all =
        arena_printf(r->arena, "%.*s: %.*s", (int)field.n, field.p, (int)sentence.n, sentence.p);
    o->wrong[o->nwrong++] = all.p == NULL ? sentence : all;
}

void open311_wrong_code(struct request *r, struct open311 *o, struct str field,
                        enum field_code code, double bound)
{
    struct field_error e = { field, code, bound };
    struct str sentence = field_error_text(r->arena, &e, r->lang);
    open311_wrong(r, o, field, sentence.p == NULL ? str_of(field_code_name(code)) : sentence);
}

/* ---- the address */

/* The path of a collection ends with a format, that of an item has one behind its last dot. CSV is
 * for the list of requests only. */
static int read_format(const struct request *r, struct str s, enum open311_format *format)
{
    static const struct str names[] = {
        [OPEN311_XML] = STR("xml"), [OPEN311_JSON] = STR("json"), [OPEN311_CSV] = STR("csv")
    };
    for (int i = OPEN311_XML; i <= OPEN311_CSV; i++) {
        if (str_eq(s, names[i]) && (i != OPEN311_CSV || r->route->ask == open311_requests)) {
            *format = (enum open311_format)i;
            return 0;
        }
    }
    return -1;
}

static int read_address(struct request *r, struct open311 *o)
{
    struct str arg = r->path_arg;
    int collection = strstr(r->route->path, ".{format}") != NULL;
    const char *dot = collection ? NULL : memrchr(arg.p, '.', arg.n);
    if (!collection && dot == NULL) {
        return -1;
    }
    size_t n = collection ? 0 : (size_t)(dot - arg.p);
    o->id = (struct str){ arg.p, n };
    size_t skip = collection ? 0 : n + 1;
    return read_format(r, (struct str){ arg.p + skip, arg.n - skip }, &o->format);
}

struct open311 *open311_begin(struct request *r)
{
    struct open311 *o = arena_zero(r->arena, sizeof *o);
    if (o != NULL) {
        o->pairs = arena_zero(r->arena, OPEN311_PAIRS_MAX * sizeof *o->pairs);
        o->wrong = arena_zero(r->arena, WRONG_MAX * sizeof *o->wrong);
    }
    if (o == NULL || o->pairs == NULL || o->wrong == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return NULL;
    }
    r->state = o;
    if (read_address(r, o) != 0) {
        open311_refuse(r, o, OTK_NOT_FOUND,
                       r->lang == LANG_RU ? STR("Адрес оканчивается на .xml или .json.")
                                          : STR("The address ends with .xml or .json."));
        return NULL;
    }
    struct str detail = STR("");
    enum otk_err err =
        form_pairs(r->arena, r->query, o->pairs, OPEN311_PAIRS_MAX, &o->npairs, &detail, r->lang);
    if (err != OTK_OK) {
        open311_refuse(r, o, err == OTK_TOO_LARGE ? OTK_MALFORMED : err, detail);
        return NULL;
    }
    return o;
}

/* ---- values */

static struct str trimmed(struct str s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\r' || s.p[0] == '\n' || s.p[0] == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\r' || s.p[s.n - 1] == '\n' ||
                       s.p[s.n - 1] == '\t')) {
        s.n--;
    }
    return s;
}

/* One or two digits; 0 for anything else. */
static int region_of(struct str s)
{
    int region = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || s.n > 2) {
            return 0;
        }
        region = region * 10 + (s.p[i] - '0');
    }
    return region;
}

/* A jurisdiction is a region, named by its number. It may be left out: the key, or the server, has
 * one. 0, or -1: it has been answered. */
static int read_jurisdiction(struct request *r, struct open311 *o)
{
    struct str given = { NULL, 0 };
    for (size_t i = 0; i < o->npairs; i++) {
        struct str value = trimmed(o->pairs[i].value);
        if (value.n == 0 || !str_eq(o->pairs[i].name, STR("jurisdiction_id"))) {
            continue;
        }
        if (given.n > 0 && !str_eq(given, value)) {
            open311_wrong_code(r, o, STR("jurisdiction_id"), FE_DUPLICATE, 0);
        }
        given = value;
    }
    o->region = given.n > 0 ? region_of(given) : r->region;
    if (o->region == 0 && given.n > 0) {
        open311_refuse(r, o, OTK_NOT_FOUND,
                       r->lang == LANG_RU ? STR("jurisdiction_id: такой юрисдикции нет.")
                                          : STR("jurisdiction_id: there is no such jurisdiction."));
        return -1;
    }
    if (o->region == 0) {
        open311_wrong_code(r, o, STR("jurisdiction_id"), FE_REQUIRED, 0);
    }
    int known = str_eq(r->auth, STR("api_key")) && o->region == r->region;
    o->own = known ? r->subject : STR("");
    return 0;
}

int open311_read(struct request *r, struct open311 *o, const struct field *table)
{
    struct field_reader reader;
    struct field_errors *errors = arena_zero(r->arena, sizeof *errors);
    size_t rows = 0;
    while (table[rows].name != NULL) {
        rows++;
    }
    o->values = arena_zero(r->arena, (rows + 1) * sizeof *o->values);
    if (errors == NULL || o->values == NULL ||
        field_reader_init(&reader, r->arena, table, o->values, errors) != 0) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return -1;
    }
    for (size_t i = 0; i < o->npairs; i++) {
        const struct form_pair *pair = &o->pairs[i];
        for (size_t row = 0; row < rows && trimmed(pair->value).n > 0; row++) {
            if (table[row].name[0] > ' ' && str_eq(pair->name, str_of(table[row].name)) &&
                field_reader_first(&reader, (int)row)) {
                field_reader_put(&reader, (int)row, pair->value, RAW_FORM);
            }
        }
    }
    field_reader_end(&reader);
    if (reader.no_memory) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return -1;
    }
    for (size_t i = 0; i < errors->n; i++) {
        const struct field_error *e = &errors->list[i];
        open311_wrong_code(r, o, e->field, e->code, e->bound);
    }
    return read_jurisdiction(r, o);
}
