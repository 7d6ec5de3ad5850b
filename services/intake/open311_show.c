/* What Open311 shows: services, appeals, what happened to them.
 *
 * Of an appeal the public sees what a body has taken on: theme, body, deadlines, the place to a
 * hundred metres. Text, typed address and exact place are the resident's words, which nobody has
 * read for publication; only the client that brought them gets them back. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "ids.h"
#include "intake.h"
#include "intake_queries.h"
#include "lanes.h"
#include "language.h"
#include "moment.h"
#include "open311.h"
#include "wall.h"

#define SECOND ((int64_t)1000000)
#define DAY (86400 * SECOND)
#define METRES_A_DEGREE 110000.0 /* of latitude, at least */

enum {
    PAGE_ROWS = 500,       /* of a page, at most and by default */
    ROWS_BEHIND = 100000,  /* what lies farther back is asked for by dates */
    SPAN_DAYS = 90,        /* of a question; the specification's bound */
    UPDATES_DAYS = 31,     /* the same of changes … */
    UPDATES_DEFAULT = 1,   /* … and what a feed of them shows unasked */
    UPDATES_MAX = 10000,   /* rows of a feed */
    RADIUS_DEFAULT = 1000, /* m */
    RADIUS_MAX = 50000,    /* m */
    LIST_MAX = 200         /* names in a list with commas */
};

enum list_row {
    Q_IDS,
    Q_SERVICES,
    Q_STATUSES,
    Q_START,
    Q_END,
    Q_AFTER,
    Q_BEFORE,
    Q_BBOX,
    Q_LAT,
    Q_LONG,
    Q_RADIUS,
    Q_PAGE,
    Q_PAGE_SIZE,
    Q_EXTENSIONS
};

static const char *const yes_or_no[] = { "true", "false", "1", "0", NULL };

#define MOMENT_ROW(n)                                        \
    {                                                        \
        .name = (n), .type = FIELD_LINE, .min = 1, .max = 40 \
    }

static const struct field list_fields[] = {
    [Q_IDS] = { .name = "service_request_id", .type = FIELD_LINE, .min = 1, .max = 8000 },
    [Q_SERVICES] = { .name = "service_code", .type = FIELD_LINE, .min = 1, .max = 8000 },
    [Q_STATUSES] = { .name = "status", .type = FIELD_LINE, .min = 1, .max = 100 },
    [Q_START] = MOMENT_ROW("start_date"),
    [Q_END] = MOMENT_ROW("end_date"),
    [Q_AFTER] = MOMENT_ROW("updated_after"),
    [Q_BEFORE] = MOMENT_ROW("updated_before"),
    [Q_BBOX] = { .name = "bbox", .type = FIELD_LINE, .min = 1, .max = 200 },
    [Q_LAT] = { .name = "lat", .type = FIELD_NUMBER, .min = -90, .max = 90, .together = "long" },
    [Q_LONG] = { .name = "long", .type = FIELD_NUMBER, .min = -180, .max = 180, .together = "lat" },
    [Q_RADIUS] = { .name = "radius", .type = FIELD_NUMBER, .min = 1, .max = RADIUS_MAX },
    [Q_PAGE] = { .name = "page", .type = FIELD_INTEGER, .min = 1, .max = 1000000 },
    [Q_PAGE_SIZE] = { .name = "page_size", .type = FIELD_INTEGER, .min = 1, .max = 1000000 },
    [Q_EXTENSIONS] = { .name = "extensions", .type = FIELD_ENUM, .options = yes_or_no },
    FIELD_END,
};

static const struct field no_fields[] = { FIELD_END };

enum feed_row { U_START, U_END };
static const struct field feed_fields[] = {
    [U_START] = MOMENT_ROW("start_date"),
    [U_END] = MOMENT_ROW("end_date"),
    FIELD_END,
};

static int given(const struct open311 *o, int row)
{
    return o->values[row].s.given;
}

static struct str say(const struct request *r, const char *ru, const char *en)
{
    return str_of(r->lang == LANG_RU ? ru : en);
}

/* ---- answers */

/* The first cell of the only row is the answer; null or no row: o->missing. */
static void on_answer(void *data, const struct db_result *result)
{
    struct request *r = data;
    const struct open311 *o = r->state;
    if (result->err != OTK_OK) {
        reply_db_problem(r, result);
        return;
    }
    if (PQntuples(result->res) == 0 || PQgetisnull(result->res, 0, 0)) {
        open311_refuse(r, o, OTK_NOT_FOUND, o->missing);
        return;
    }
    /* As XML or CSV it is made anew; as JSON it must outlive the result. */
    struct str json = db_cell(result->res, 0, 0);
    if (o->format == OPEN311_JSON) {
        json = arena_printf(r->arena, "%s\n", json.p);
    }
    if (json.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    open311_reply(r, o, json);
}

static void ask(struct request *r, enum intake_query which, const char *const *params)
{
    enum otk_err err = db_ask(r->service->db, which, params, on_answer, r);
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}

/* Begins a request that takes the rows of TABLE; NULL: it has been answered. */
static struct open311 *begin(struct request *r, const struct field *table, const char *root)
{
    struct open311 *o = open311_begin(r);
    if (o == NULL || open311_read(r, o, table) != 0) {
        return NULL;
    }
    o->root = root;
    o->missing = say(r, "jurisdiction_id: здесь нет такой юрисдикции.",
                     "jurisdiction_id: that jurisdiction is not served here.");
    return o;
}

void open311_discovery(struct request *r)
{
    struct open311 *o = open311_begin(r);
    if (o == NULL) {
        return;
    }
    o->root = "discovery";
    char region[12];
    snprintf(region, sizeof region, "%d", r->region);
    const char *params[] = { region, language_tag(r->lang), intake_of(r)->url };
    ask(r, QUERY_INTAKE_OPEN311_DISCOVERY, params);
}

void open311_services(struct request *r)
{
    struct open311 *o = begin(r, no_fields, "services");
    if (o == NULL) {
        return;
    }
    if (o->nwrong > 0) {
        open311_refuse_wrong(r, o);
        return;
    }
    char region[12];
    snprintf(region, sizeof region, "%d", o->region);
    const char *params[] = { region, language_tag(r->lang) };
    ask(r, QUERY_INTAKE_OPEN311_SERVICES, params);
}

void open311_service(struct request *r)
{
    struct open311 *o = begin(r, no_fields, "service_definition");
    if (o == NULL) {
        return;
    }
    struct str code = arena_dup(r->arena, o->id);
    if (code.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    if (o->nwrong > 0) {
        open311_refuse_wrong(r, o);
        return;
    }
    o->missing =
        say(r, "service_code: такой услуги нет.", "service_code: there is no such service.");
    char region[12];
    snprintf(region, sizeof region, "%d", o->region);
    const char *params[] = { region, language_tag(r->lang), code.p };
    ask(r, QUERY_INTAKE_OPEN311_SERVICE, params);
}

/* ---- filters */

/* The pieces between commas, without blanks around; at most LIST_MAX, the rest is wrong. */
static size_t split(struct request *r, struct open311 *o, int row, const struct field *table,
                    struct str pieces[LIST_MAX])
{
    struct str s = given(o, row) ? o->values[row].s.text : STR("");
    size_t n = 0;
    for (size_t at = 0; at < s.n;) {
        const char *end = memchr(s.p + at, ',', s.n - at);
        size_t length = end == NULL ? s.n - at : (size_t)(end - s.p) - at;
        struct str piece = { s.p + at, length };
        at += length + 1;
        while (piece.n > 0 && piece.p[0] == ' ') {
            piece.p++;
            piece.n--;
        }
        while (piece.n > 0 && piece.p[piece.n - 1] == ' ') {
            piece.n--;
        }
        if (piece.n == 0) {
            continue;
        }
        if (n == LIST_MAX) {
            open311_wrong(r, o, str_of(table[row].name),
                          say(r, "не больше 200 значений.", "at most 200 values."));
            break;
        }
        pieces[n++] = piece;
    }
    return n;
}

/* {"a","b"} in the arena; NULL when memory is out. */
static const char *array_of(struct request *r, const struct str *pieces, size_t n)
{
    struct pg_array a = { 0 };
    pg_array_begin(&a);
    for (size_t i = 0; i < n; i++) {
        pg_array_add(&a, pieces[i]);
    }
    const char *text = pg_array_end(&a);
    struct str copy = { NULL, 0 };
    if (text != NULL) {
        copy = arena_dup(r->arena, str_of(text));
    }
    pg_array_free(&a);
    return copy.p;
}

/* 1 when the row holds a moment; what is none is wrong. */
static int read_moment(struct request *r, struct open311 *o, int row, const struct field *table,
                       int64_t *us)
{
    if (!given(o, row)) {
        return 0;
    }
    if (moment_parse(o->values[row].s.text, us) != 0) {
        open311_wrong(r, o, str_of(table[row].name),
                      say(r, "нужны дата и время ISO 8601, как 2026-11-25T09:00:00Z.",
                          "an ISO 8601 date and time is needed, such as 2026-11-25T09:00:00Z."));
        return 0;
    }
    return 1;
}

/* A span of time, its end not included. */
struct span {
    int64_t from, to;
};

/* Fills SPAN from two rows: what is missing lies DAYS from the other end, or from now. Times are
 * shown in seconds, so the last second belongs to the span whole. */
static void read_span(struct request *r, struct open311 *o, int from_row, int to_row,
                      const struct field *table, int days, struct span *span)
{
    int has_from = read_moment(r, o, from_row, table, &span->from);
    int has_to = read_moment(r, o, to_row, table, &span->to);
    struct str to_name = str_of(table[to_row].name);
    if (!has_to) {
        span->to = wall_us() + SECOND;
    } else {
        span->to += SECOND;
    }
    if (!has_from) {
        span->from = span->to - days * DAY;
        span->from = span->from < 0 ? 0 : span->from;
    } else if (span->from >= span->to && has_to) {
        open311_wrong_code(r, o, to_name, FE_ORDER, 0);
    } else if (span->to - span->from > days * DAY + SECOND) {
        char text[80];
        snprintf(text, sizeof text,
                 r->lang == LANG_RU ? "промежуток больше %d дней." : "the span is over %d days.",
                 days);
        open311_wrong(r, o, has_to ? to_name : str_of(table[from_row].name), str_of(text));
    }
}

/* west,south,east,north */
static int read_bbox(struct request *r, struct open311 *o, const char *out[4])
{
    static const double most[4] = { 180, 90, 180, 90 };
    struct str pieces[LIST_MAX];
    double v[4];
    if (!given(o, Q_BBOX)) {
        return 0;
    }
    size_t n = split(r, o, Q_BBOX, list_fields, pieces);
    int good = n == 4;
    for (size_t i = 0; good && i < n; i++) {
        struct str copy = arena_dup(r->arena, pieces[i]);
        char *end = NULL;
        v[i] = copy.p == NULL ? 0 : strtod(copy.p, &end);
        good = end != NULL && *end == '\0' && v[i] >= -most[i] && v[i] <= most[i];
        out[i] = copy.p;
    }
    if (!good || v[0] > v[2] || v[1] > v[3]) {
        open311_wrong(r, o, STR("bbox"),
                      say(r, "нужны запад,юг,восток,север в градусах.",
                          "west,south,east,north in degrees are needed."));
        return 0;
    }
    return 1;
}

static const char *read_statuses(struct request *r, struct open311 *o)
{
    static const struct str known[] = { STR("open"), STR("closed") };
    struct str pieces[LIST_MAX], found[LIST_MAX];
    size_t n = split(r, o, Q_STATUSES, list_fields, pieces);
    for (size_t i = 0; i < n; i++) {
        int which = -1;
        for (int k = 0; k < 2; k++) {
            if (pieces[i].n == known[k].n &&
                strncasecmp(pieces[i].p, known[k].p, known[k].n) == 0) {
                which = k;
            }
        }
        if (which < 0) {
            open311_wrong(r, o, STR("status"), say(r, "open или closed.", "open or closed."));
            return NULL;
        }
        found[i] = known[which];
    }
    return n == 0 ? NULL : array_of(r, found, n);
}

/* ---- appeals */

/* Parameters of open311_requests.sql, from $1. */
enum {
    P_REGION,
    P_LANG,
    P_OWN,
    P_NUMBERS,
    P_SERVICES,
    P_STATUSES,
    P_FROM,
    P_TO,
    P_UPDATED_FROM,
    P_UPDATED_TO,
    P_WEST,
    P_SOUTH,
    P_EAST,
    P_NORTH,
    P_LAT,
    P_LON,
    P_RADIUS,
    P_LIMIT,
    P_OFFSET,
    P_EXTENSIONS,
    P_URL,
    PARAMS
};

static const char *number_text(struct request *r, int64_t n)
{
    return arena_printf(r->arena, "%lld", (long long)n).p;
}

/* What both a list and a single appeal ask with. */
static void common_params(struct request *r, const struct open311 *o, const char *params[PARAMS])
{
    static const char *const no[] = { "false", "true" };
    int extensions = given(o, Q_EXTENSIONS) && o->values[Q_EXTENSIONS].e.option % 2 == 0;
    params[P_REGION] = number_text(r, o->region);
    params[P_LANG] = language_tag(r->lang);
    params[P_OWN] = arena_dup(r->arena, o->own).p;
    params[P_FROM] = "0";
    params[P_TO] = "0";
    params[P_LIMIT] = number_text(r, PAGE_ROWS);
    params[P_OFFSET] = "0";
    params[P_EXTENSIONS] = no[extensions];
    params[P_URL] = intake_of(r)->url;
}

static void send_query(struct request *r, const struct open311 *o, const char *params[PARAMS])
{
    if (o->nwrong > 0) {
        open311_refuse_wrong(r, o);
    } else if (params[P_REGION] == NULL || params[P_OWN] == NULL || params[P_LIMIT] == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
    } else {
        enum otk_err err =
            lanes_ask_list(r->service->db, QUERY_INTAKE_OPEN311_REQUESTS, params, on_answer, r);
        if (err != OTK_OK) {
            reply_problem(r, err, STR(""));
        }
    }
}

/* The box around a circle; cheap to look at before the circle itself. */
static void box_of_circle(struct request *r, double lat, double lon, double radius,
                          const char *box[4])
{
    double degrees = radius / METRES_A_DEGREE, narrow = cos(lat * M_PI / 180);
    double wide = narrow > degrees / 90 ? degrees / narrow : 360;
    box[0] = arena_printf(r->arena, "%.9f", lon - wide).p;
    box[1] = arena_printf(r->arena, "%.9f", lat - degrees).p;
    box[2] = arena_printf(r->arena, "%.9f", lon + wide).p;
    box[3] = arena_printf(r->arena, "%.9f", lat + degrees).p;
}

static void by_place(struct request *r, struct open311 *o, const char *params[PARAMS])
{
    int boxed = read_bbox(r, o, &params[P_WEST]);
    if (given(o, Q_LAT) && given(o, Q_LONG)) {
        double radius = given(o, Q_RADIUS) ? o->values[Q_RADIUS].d.number : RADIUS_DEFAULT;
        if (!boxed) {
            box_of_circle(r, o->values[Q_LAT].d.number, o->values[Q_LONG].d.number, radius,
                          &params[P_WEST]);
        }
        params[P_LAT] = o->values[Q_LAT].d.text.p;
        params[P_LON] = o->values[Q_LONG].d.text.p;
        params[P_RADIUS] =
            given(o, Q_RADIUS) ? o->values[Q_RADIUS].d.text.p : number_text(r, RADIUS_DEFAULT);
    }
}

/* Without dates the last 90 days; by updates whatever was changed in a month, however old. */
static void by_time(struct request *r, struct open311 *o, const char *params[PARAMS])
{
    int updates = given(o, Q_AFTER) || given(o, Q_BEFORE);
    int dates = given(o, Q_START) || given(o, Q_END);
    struct span received = { 0, wall_us() + SECOND }, updated = { 0, 0 };
    if (dates || !updates) {
        read_span(r, o, Q_START, Q_END, list_fields, SPAN_DAYS, &received);
    }
    if (updates) {
        read_span(r, o, Q_AFTER, Q_BEFORE, list_fields, UPDATES_DAYS, &updated);
        params[P_UPDATED_FROM] = number_text(r, updated.from);
        params[P_UPDATED_TO] = number_text(r, updated.to);
    }
    params[P_FROM] = number_text(r, received.from);
    params[P_TO] = number_text(r, received.to);
}

/* 0 when the page lies behind all that is shown. */
static int by_page(struct request *r, const struct open311 *o, const char *params[PARAMS])
{
    int64_t size = given(o, Q_PAGE_SIZE) ? o->values[Q_PAGE_SIZE].i.integer : PAGE_ROWS;
    int64_t page = given(o, Q_PAGE) ? o->values[Q_PAGE].i.integer : 1;
    size = size > PAGE_ROWS ? PAGE_ROWS : size;
    params[P_LIMIT] = number_text(r, size);
    params[P_OFFSET] = number_text(r, (page - 1) * size);
    return (page - 1) * size < ROWS_BEHIND;
}

/* Ids that can be none of ours find nothing. */
static const char *numbers_of(struct request *r, struct open311 *o)
{
    struct str pieces[LIST_MAX];
    size_t n = split(r, o, Q_IDS, list_fields, pieces), good = 0;
    struct number parsed;
    for (size_t i = 0; i < n; i++) {
        if (number_parse(pieces[i], &parsed) == 0) {
            pieces[good++] = pieces[i];
        }
    }
    return array_of(r, pieces, good);
}

void open311_requests(struct request *r)
{
    struct open311 *o = begin(r, list_fields, "service_requests");
    if (o == NULL) {
        return;
    }
    const char *params[PARAMS] = { NULL };
    common_params(r, o, params);
    if (given(o, Q_IDS)) { /* goes before all else */
        params[P_NUMBERS] = numbers_of(r, o);
        if (params[P_NUMBERS] == NULL) {
            reply_problem(r, OTK_INTERNAL, STR(""));
            return;
        }
        send_query(r, o, params);
        return;
    }
    struct str services[LIST_MAX];
    size_t n = split(r, o, Q_SERVICES, list_fields, services);
    params[P_SERVICES] = n == 0 ? NULL : array_of(r, services, n);
    params[P_STATUSES] = read_statuses(r, o);
    by_time(r, o, params);
    by_place(r, o, params);
    if (!by_page(r, o, params) && o->nwrong == 0) {
        open311_reply(r, o, STR("[]"));
        return;
    }
    send_query(r, o, params);
}

/* One appeal, as a list of one; none is 404. */
static void on_request(void *data, const struct db_result *result)
{
    struct request *r = data;
    const struct open311 *o = r->state;
    if (result->err == OTK_OK && !PQgetisnull(result->res, 0, 0) &&
        str_eq(db_cell(result->res, 0, 0), STR("[]"))) {
        open311_refuse(r, o, OTK_NOT_FOUND,
                       say(r, "service_request_id: такого обращения нет.",
                           "service_request_id: there is no such request."));
        return;
    }
    on_answer(data, result);
}

void open311_request(struct request *r)
{
    struct open311 *o = begin(r, list_fields, "service_requests");
    if (o == NULL) {
        return;
    }
    struct number parsed;
    if (o->nwrong > 0) {
        open311_refuse_wrong(r, o);
        return;
    }
    if (number_parse(o->id, &parsed) != 0) {
        open311_refuse(r, o, OTK_NOT_FOUND,
                       say(r, "service_request_id: такого обращения нет.",
                           "service_request_id: there is no such request."));
        return;
    }
    const char *params[PARAMS] = { NULL };
    common_params(r, o, params);
    params[P_NUMBERS] = array_of(r, &o->id, 1);
    if (params[P_REGION] == NULL || params[P_OWN] == NULL || params[P_NUMBERS] == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    enum otk_err err = db_ask(r->service->db, QUERY_INTAKE_OPEN311_REQUESTS, params, on_request, r);
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}

/* ---- tokens */

static int is_uuid(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        int dash = i == 8 || i == 13 || i == 18 || i == 23;
        int hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (dash ? c != '-' : !hex) {
            return 0;
        }
    }
    return s.n == 36;
}

/* Requests get their number at once, so nobody needs a token; the id that /api/v1/appeals gives
 * besides the number will do for one. */
void open311_token(struct request *r)
{
    struct open311 *o = begin(r, no_fields, "service_requests");
    if (o == NULL) {
        return;
    }
    o->missing = say(r, "token: такого обращения нет.", "token: there is no such request.");
    if (o->nwrong > 0) {
        open311_refuse_wrong(r, o);
        return;
    }
    if (!is_uuid(o->id)) {
        open311_refuse(r, o, OTK_NOT_FOUND, o->missing);
        return;
    }
    const char *params[] = { number_text(r, o->region), arena_dup(r->arena, o->own).p,
                             arena_dup(r->arena, o->id).p };
    if (params[0] == NULL || params[1] == NULL || params[2] == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    ask(r, QUERY_INTAKE_OPEN311_TOKEN, params);
}

/* ---- changes */

enum { FEED, FEED_EVENTS }; /* columns of open311_updates.sql */

static void on_updates(void *data, const struct db_result *result)
{
    struct request *r = data;
    struct open311 *o = r->state;
    if (result->err == OTK_OK &&
        strtol(PQgetvalue(result->res, 0, FEED_EVENTS), NULL, 10) > UPDATES_MAX) {
        open311_wrong(r, o, STR("end_date"),
                      say(r, "изменений за это время больше 10 000; спросите за меньшее.",
                          "more than 10,000 changes in this span; ask for a shorter one."));
        open311_refuse_wrong(r, o);
        return;
    }
    on_answer(data, result);
}

void open311_updates(struct request *r)
{
    struct open311 *o = begin(r, feed_fields, "service_request_updates");
    if (o == NULL) {
        return;
    }
    struct span span;
    if (given(o, U_START) != given(o, U_END)) {
        open311_wrong_code(r, o, given(o, U_START) ? STR("end_date") : STR("start_date"),
                           FE_TOGETHER, 0);
    }
    int any = given(o, U_START) || given(o, U_END);
    read_span(r, o, U_START, U_END, feed_fields, any ? UPDATES_DAYS : UPDATES_DEFAULT, &span);
    if (o->nwrong > 0) {
        open311_refuse_wrong(r, o);
        return;
    }
    const char *params[] = { number_text(r, o->region),     language_tag(r->lang),
                             arena_dup(r->arena, o->own).p, number_text(r, span.from),
                             number_text(r, span.to),       number_text(r, UPDATES_MAX + 1) };
    for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
        if (params[i] == NULL) {
            reply_problem(r, OTK_INTERNAL, STR(""));
            return;
        }
    }
    enum otk_err err =
        lanes_ask_list(r->service->db, QUERY_INTAKE_OPEN311_UPDATES, params, on_updates, r);
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}
