/* Files of an appeal. Who knows its number and code may add some; each is shown when
 * otklik-pictures has cleaned it.
 *
 * The bytes are on the disk, flushed, before the row is written (upload.h). If the row is not, they
 * go away with the request; if nobody knows whether it is, since the connection was lost, they
 * stay, and `otklik files sweep` finds out. */
#include "attach.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <yajl/yajl_tree.h>

#include "files.h"
#include "ids.h"
#include "intake.h"
#include "intake_queries.h"
#include "upload.h"
#include "wall.h"

enum { TRIES_MAX = 3, PARAM_BYTES = 24 };

enum { F_CODE, F_ANSWER };

/* One of them: whoever has the code adds to the letter, whoever answered adds to the answer. */
const struct field attach_fields[] = {
    [F_CODE] = { .name = "code", .type = FIELD_LINE, .min = 1, .max = 40 },
    [F_ANSWER] = { .name = "answer", .type = FIELD_INTEGER, .min = 1, .max = 1000000 },
    FIELD_END,
};

const struct field attachment_fields[] = {
    [F_CODE] = { .name = "code", .type = FIELD_LINE, .required = 1, .min = 1, .max = 40 },
    FIELD_END,
};

/* Number and code as the statements want them. 0, or -1 when they can be of no appeal. */
struct address {
    struct number number;
    char region[12], digest[67];
};

static int address_of(struct str number, struct str code, struct address *out)
{
    if (number_parse(number, &out->number) != 0 || access_code_digest(code, out->digest) != 0) {
        return -1;
    }
    snprintf(out->region, sizeof out->region, "%d", out->number.region);
    return 0;
}

/* ---- storing */

struct storing {
    struct request *r;
    struct address address;
    void (*done)(struct request *r, const struct attached *a);
    const char *account, *answer; /* of an answer; NULL: files of the letter */
    int tries;
};

/* Files the row knows of stay; all of them when nobody knows. */
static void keep_files(struct request *r, const char *stored)
{
    for (size_t i = 0; i < upload_count(r); i++) {
        if (stored == NULL || strstr(stored, upload_file(r, i)->id) != NULL) {
            upload_keep(r, i);
        }
    }
}

static void on_hinted(void *data, const struct db_result *result)
{
    (void)data;
    (void)result; /* a lost hint is no harm: pictures looks by itself */
}

static enum otk_err send_rows(struct storing *s);

static void end_storing(struct storing *s, struct attached *a)
{
    if (a->err == OTK_OK && a->stored > 0) {
        const char *params[] = { s->address.region };
        (void)db_ask(s->r->service->db, QUERY_INTAKE_HINT_PICTURES, params, on_hinted, NULL);
    }
    s->done(s->r, a);
}

static void on_attached(void *data, const struct db_result *result)
{
    struct storing *s = data;
    struct request *r = s->r;
    struct attached a = { .err = result->err, .result = result->err == OTK_OK ? NULL : result };
    if (result->err != OTK_OK) {
        if (result->err != OTK_INTERNAL && result->err != OTK_FULL) {
            keep_files(r, NULL); /* the commit may have happened */
        }
        end_storing(s, &a);
        return;
    }
    struct str outcome = db_cell(result->res, 0, 0), json = db_cell(result->res, 0, 2);
    if (str_eq(outcome, STR("not_found"))) {
        a.err = OTK_NOT_FOUND;
    } else if (str_eq(outcome, STR("other_body"))) {
        a.err = OTK_FORBIDDEN;
    } else if (str_eq(outcome, STR("file_used"))) {
        a.err = OTK_INVALID;
        a.used = 1;
    } else if (str_eq(outcome, STR("too_many"))) {
        a.err = OTK_INVALID;
    } else if (strtoul(PQgetvalue(result->res, 0, 3), NULL, 10) < upload_count(r) &&
               ++s->tries < TRIES_MAX) {
        /* The same file came over another request: now its row can be seen. */
        a.err = send_rows(s);
        if (a.err == OTK_OK) {
            return;
        }
    } else {
        const char *stored = PQgetvalue(result->res, 0, 1);
        keep_files(r, stored);
        a.stored = *stored != '\0';
        a.json = arena_dup(r->arena, json);
        a.err = a.json.p == NULL ? OTK_INTERNAL : OTK_OK;
    }
    end_storing(s, &a);
}

static void add_row(struct pg_array *arrays, const struct upload_file *f)
{
    char size[PARAM_BYTES];
    snprintf(size, sizeof size, "%" PRId64, f->size);
    pg_array_add(&arrays[0], str_of(f->id));
    pg_array_add(&arrays[1], str_of(f->name));
    pg_array_add(&arrays[2], str_of(media_type(f->media)));
    pg_array_add(&arrays[3], str_of(size));
    pg_array_add(&arrays[4], str_of(f->digest));
}

static enum otk_err send_rows(struct storing *s)
{
    enum { SINGLE = 5, ARRAYS = 5, OF_ANSWER = 2 };
    struct pg_array arrays[ARRAYS] = { { .p = NULL } };
    char at[PARAM_BYTES], most[PARAM_BYTES];
    snprintf(at, sizeof at, "%" PRId64, wall_us());
    snprintf(most, sizeof most, "%d", UPLOAD_FILES_MAX);
    int of_answer = s->answer != NULL;
    const char *params[SINGLE + ARRAYS + OF_ANSWER] = { s->address.region, s->address.number.text,
                                                        of_answer ? s->account : s->address.digest,
                                                        at, most };
    enum otk_err err = OTK_OK;
    for (int i = 0; i < ARRAYS; i++) {
        pg_array_begin(&arrays[i]);
    }
    for (size_t i = 0; i < upload_count(s->r); i++) {
        add_row(arrays, upload_file(s->r, i));
    }
    for (int i = 0; i < ARRAYS; i++) {
        params[SINGLE + i] = pg_array_end(&arrays[i]);
        err = params[SINGLE + i] == NULL ? OTK_INTERNAL : err;
    }
    if (of_answer) {
        params[SINGLE + ARRAYS] = arena_dup(s->r->arena, s->r->speaks_for).p;
        params[SINGLE + ARRAYS + 1] = s->answer;
        err = params[SINGLE + ARRAYS] == NULL ? OTK_INTERNAL : err;
    }
    if (err == OTK_OK) {
        err =
            db_ask(s->r->service->db, of_answer ? QUERY_INTAKE_ATTACH_ANSWER : QUERY_INTAKE_ATTACH,
                   params, on_attached, s);
    }
    for (int i = 0; i < ARRAYS; i++) {
        pg_array_free(&arrays[i]);
    }
    return err;
}

enum otk_err attach_store(struct request *r, struct str number, struct str code,
                          void (*done)(struct request *r, const struct attached *a))
{
    struct storing *s = arena_zero(r->arena, sizeof *s);
    if (s == NULL) {
        return OTK_INTERNAL;
    }
    if (address_of(number, code, &s->address) != 0) {
        return OTK_NOT_FOUND;
    }
    s->r = r;
    s->done = done;
    return send_rows(s);
}

/* The same for the answer that step ANSWER gave. */
static enum otk_err store_of_answer(struct request *r, int64_t answer,
                                    void (*done)(struct request *r, const struct attached *a))
{
    struct storing *s = arena_zero(r->arena, sizeof *s);
    if (s == NULL) {
        return OTK_INTERNAL;
    }
    if (number_parse(r->path_arg, &s->address.number) != 0 ||
        s->address.number.region != r->region) {
        return OTK_NOT_FOUND;
    }
    snprintf(s->address.region, sizeof s->address.region, "%d", r->region);
    s->r = r;
    s->done = done;
    s->account = arena_dup(r->arena, r->subject).p;
    s->answer = arena_printf(r->arena, "%" PRId64, answer).p;
    return s->account == NULL || s->answer == NULL ? OTK_INTERNAL : send_rows(s);
}

/* ---- POST */

struct sink *attach_files(struct request *r)
{
    struct number number;
    int good = number_parse(r->path_arg, &number) == 0;
    return upload_begin(intake_of(r)->uploads, r, good ? number.region : 0,
                        good ? OTK_OK : OTK_NOT_FOUND);
}

static void on_stored(struct request *r, const struct attached *a)
{
    if (a->result != NULL) {
        reply_db_problem(r, a->result);
    } else if (a->err == OTK_INVALID) {
        struct field_error many = { STR("file"), FE_FILE_COUNT, UPLOAD_FILES_MAX };
        struct field_error twice = { STR("file"), FE_DUPLICATE, 0 };
        reply_invalid(r, a->used ? &twice : &many, 1);
    } else if (a->err != OTK_OK) {
        reply_problem(r, a->err, STR(""));
    } else {
        struct str json = arena_printf(r->arena, "%.*s\n", (int)a->json.n, a->json.p);
        if (json.p == NULL) {
            reply_problem(r, OTK_INTERNAL, STR(""));
            return;
        }
        reply_header(r, "Cache-Control", STR("no-store"));
        reply_json(r, a->stored ? 201 : 200, json);
    }
}

void attach_ask(struct request *r)
{
    if (r->upload == NULL) {
        struct field_error kind = { STR("file"), FE_FILE_TYPE, 0 };
        struct str detail = field_error_text(r->arena, &kind, r->lang);
        reply_refused(r, OTK_MEDIA_TYPE, detail, &kind, 1);
        return;
    }
    if (upload_count(r) == 0) {
        struct field_error none = { STR("file"), FE_REQUIRED, 0 };
        reply_invalid(r, &none, 1);
        return;
    }
    const union value *code = &r->values[F_CODE], *answer = &r->values[F_ANSWER];
    enum otk_err err = OTK_FORBIDDEN;
    if (answer->i.given == code->s.given) {
        struct field_error one = { STR("code"), code->s.given ? FE_NOT_ALLOWED : FE_REQUIRED, 0 };
        reply_invalid(r, &one, 1);
        return;
    }
    if (code->s.given) {
        err = attach_store(r, r->path_arg, code->s.text, on_stored);
    } else if ((r->scopes & SCOPE_ANSWER) != 0) {
        err = store_of_answer(r, answer->i.integer, on_stored);
    }
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}

/* ---- with a letter */

struct sink *letter_files(struct request *r)
{
    return upload_is_multipart(r) ? upload_begin(intake_of(r)->uploads, r, r->region,
                                                 r->region == 0 ? OTK_FORBIDDEN : OTK_OK)
                                  : NULL;
}

enum otk_err attach_to_letter(struct request *r, struct str body,
                              void (*done)(struct request *r, const struct attached *a))
{
    char why[64];
    struct str copy = arena_dup(r->arena, body);
    yajl_val tree = copy.p == NULL ? NULL : yajl_tree_parse(copy.p, why, sizeof why);
    enum otk_err err = OTK_INTERNAL;
    if (tree != NULL) {
        const char *number =
            YAJL_GET_STRING(yajl_tree_get(tree, (const char *[]){ "number", NULL }, yajl_t_string));
        const char *code =
            YAJL_GET_STRING(yajl_tree_get(tree, (const char *[]){ "code", NULL }, yajl_t_string));
        err = attach_store(r, str_of(number), str_of(code), done);
        yajl_tree_free(tree);
    }
    return err;
}

/* ---- GET */

static int is_uuid(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        int dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = s.p[i];
        if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return 0;
        }
    }
    return s.n == 36;
}

/* A question for a file, on its way. */
struct looking {
    struct request *r;
    const char *folder; /* of the edge, that shows it */
    int region;
    struct str id;
};

static void on_attachment(void *data, const struct db_result *result)
{
    const struct looking *l = data;
    struct request *r = l->r;
    if (result->err != OTK_OK) {
        reply_db_problem(r, result);
        return;
    }
    struct str state = PQntuples(result->res) == 1 ? db_cell(result->res, 0, 0) : STR("");
    if (str_eq(state, STR("waiting"))) {
        reply_problem(r, OTK_NOT_READY, STR(""));
        return;
    }
    if (!str_eq(state, STR("ready"))) {
        reply_problem(r, OTK_NOT_FOUND, STR(""));
        return;
    }
    char place[FILE_PLACE];
    file_place(l->region, l->id.p, place);
    struct str type = arena_dup(r->arena, db_cell(result->res, 0, 1));
    struct str where = arena_printf(r->arena, "%s%s", l->folder, place);
    /* A PDF can do things: it is for a program of its own, not for a page of ours. */
    enum media media = type.p == NULL ? MEDIA_UNKNOWN : media_named(type);
    struct str shown =
        arena_printf(r->arena, "%s; filename=\"%s.%s\"",
                     media == MEDIA_PDF ? "attachment" : "inline", l->id.p, media_extension(media));
    if (where.p == NULL || type.p == NULL || shown.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    reply_header(r, "X-Accel-Redirect", where);
    reply_header(r, "Content-Disposition", shown);
    reply_header(r, "Cache-Control", STR("private, max-age=3600"));
    reply(r, 200, type.p, STR(""));
}

/* Asks for the file ID by STATEMENT, whose last parameter it is. */
static void look(struct request *r, int statement, const char *params[], size_t last, int region,
                 struct str id, const char *folder)
{
    struct looking *l = arena_zero(r->arena, sizeof *l);
    enum otk_err err = OTK_INTERNAL;
    if (!is_uuid(id)) {
        err = OTK_NOT_FOUND;
    } else if (l != NULL) {
        *l = (struct looking){ r, folder, region, arena_dup(r->arena, id) };
        params[last] = l->id.p;
        err = l->id.p == NULL ? OTK_INTERNAL
                              : db_ask(r->service->db, statement, params, on_attachment, l);
    }
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}

void attachment_ask(struct request *r)
{
    struct address address;
    if (address_of(r->path_arg, r->values[F_CODE].s.text, &address) != 0) {
        reply_problem(r, OTK_NOT_FOUND, STR(""));
        return;
    }
    const char *params[] = { address.region, address.number.text, address.digest, NULL };
    look(r, QUERY_INTAKE_ATTACHMENT, params, 3, address.number.region, r->path_arg2, "/files/");
}

void media_ask(struct request *r)
{
    struct number number;
    if (number_parse(r->path_arg, &number) != 0) {
        reply_problem(r, OTK_NOT_FOUND, STR(""));
        return;
    }
    struct str id = r->path_arg2;
    const char *dot = memchr(id.p, '.', id.n);
    id.n = dot == NULL ? id.n : (size_t)(dot - id.p);
    char region[12];
    snprintf(region, sizeof region, "%d", number.region);
    const char *params[] = { region, number.text, NULL };
    look(r, QUERY_INTAKE_OPEN311_MEDIA, params, 2, number.region, id, "/shared-files/");
}
