/* POST /api/v1/desk/appeals: a registrar types in what somebody said at a reception, on the
 * telephone, at a meeting.
 *
 * It goes the way of every letter, by the same durable step. What is different is told beside it
 * (appeal.entry): who typed it in and when, where it comes from, at which event. It may have been
 * said earlier than it was typed: deadlines count from the moment it was said. */
#include "entry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "intake.h"
#include "intake_queries.h"
#include "json.h"
#include "moment.h"
#include "submit.h"
#include "wall.h"

enum { PAST_DAYS = 30, AHEAD_S = 300 }; /* the calendar of routing goes back forty days */

const char *const entry_sources[] = {
    "reception", "meeting", "broadcast", "telephone", "chat", NULL
};
const char *const entry_classes[] = { "message", "appeal", NULL };

/* What a source means, in the order of entry_sources. */
static const struct {
    const char *channel;
    int event;      /* it belongs to one, which must be told */
    int identified; /* the registrar sees who it is: only so a letter is an appeal by the law */
} sources[] = {
    { "reception", 0, 1 }, { "meeting", 1, 0 }, { "broadcast", 1, 0 },
    { "operator", 0, 0 },  { "chat", 0, 0 },
};

const struct field entry_fields[] = { SUBMISSION_FIELD_ROWS, ENTRY_FIELD_ROWS, FIELD_END };

/* An entry from ask to the batch. */
struct entry {
    const struct entry_door *door;
    struct str key;
    int64_t now_us;
};

static int given(const struct request *r, unsigned f)
{
    return r->values[f].s.given;
}

/* A moment without an offset is the region's own time. Behind the day there are only hours, and
 * what stands before them: T or a blank. */
static int is_local(struct str s)
{
    enum { TIME_AT = 11 };
    for (size_t i = TIME_AT; i < s.n; i++) {
        if (strchr("Zz+- ", s.p[i]) != NULL) {
            return 0;
        }
    }
    return 1;
}

static void check_moment(const struct request *r, enum entry_field f, struct field_errors *errors)
{
    int64_t us;
    if (given(r, f) && moment_parse(r->values[f].s.text, &us) != 0) {
        field_error_add(errors, str_of(entry_fields[f].name), FE_FORM, 0);
    }
}

static void check(const struct request *r, struct field_errors *errors)
{
    int source = r->values[E_SOURCE].e.option;
    submission_check(r, errors);
    check_moment(r, E_RECEIVED, errors);
    check_moment(r, E_EVENT_AT, errors);
    if (sources[source].event && !given(r, E_EVENT_NAME)) {
        field_error_add(errors, STR("event.name"), FE_REQUIRED, 0);
        field_error_add(errors, STR("event.at"), FE_REQUIRED, 0);
    }
    if (str_eq(r->values[E_CLASS].e.text, STR("appeal"))) {
        if (!sources[source].identified) {
            field_error_add(errors, STR("legal_class"), FE_NOT_ALLOWED, 0);
        } else if (!given(r, F_CONTACT_NAME)) {
            field_error_add(errors, STR("contact.name"), FE_REQUIRED, 0);
        }
    }
}

/* ,"NAME":"VALUE" behind JSON, or nothing when there is no value; .p NULL when memory is out. */
static struct str with_member(struct arena *a, struct str json, const char *name, struct str value)
{
    if (json.p == NULL || value.n == 0) {
        return json;
    }
    struct str quoted = json_string(a, value);
    return quoted.p == NULL ? quoted
                            : arena_printf(a, "%.*s%s\"%s\":%.*s", (int)json.n, json.p,
                                           json.n > 1 ? "," : "", name, (int)quoted.n, quoted.p);
}

static struct str text_of(const struct request *r, unsigned f)
{
    return given(r, f) ? r->values[f].s.text : STR("");
}

/* appeal.entry without the moment it was typed, which is another at each try. */
static struct str entry_json(const struct request *r, struct str received_at, struct str event_at)
{
    struct arena *a = r->arena;
    struct str json = with_member(a, STR("{"), "by", r->subject);
    json = with_member(a, json, "source", text_of(r, E_SOURCE));
    json = with_member(a, json, "legal_class", text_of(r, E_CLASS));
    json = with_member(a, json, "received_at", received_at);
    if (given(r, E_EVENT_NAME)) {
        struct str event = with_member(a, STR("{"), "name", text_of(r, E_EVENT_NAME));
        event = with_member(a, event, "at", event_at);
        event = with_member(a, event, "place", text_of(r, E_EVENT_PLACE));
        if (event.p == NULL || json.p == NULL) {
            return (struct str){ NULL, 0 };
        }
        json = arena_printf(a, "%.*s,\"event\":%.*s}", (int)json.n, json.p, (int)event.n, event.p);
    }
    return json;
}

static void refuse_field(struct request *r, const struct entry *e, const char *name,
                         enum field_code code, double bound)
{
    struct field_errors *errors = arena_zero(r->arena, sizeof *errors);
    if (errors == NULL) {
        e->door->refuse(r, OTK_INTERNAL, NULL);
        return;
    }
    field_error_add(errors, str_of(name), code, bound);
    e->door->refuse(r, OTK_INVALID, errors);
}

static void on_moments(void *data, const struct db_result *result)
{
    enum { RECEIVED_US, RECEIVED, EVENT, TYPED };
    struct request *r = data;
    const struct entry *e = r->state;
    if (result->err != OTK_OK || PQntuples(result->res) != 1) {
        e->door->refuse(r, result->err == OTK_OK ? OTK_FORBIDDEN : result->err, NULL);
        return;
    }
    struct str received_us = db_cell(result->res, 0, RECEIVED_US);
    int64_t received = e->now_us;
    if (received_us.n > 0) {
        received = strtoll(received_us.p, NULL, 10);
    }
    if (received > e->now_us + AHEAD_S * INT64_C(1000000) ||
        received < e->now_us - PAST_DAYS * 86400 * INT64_C(1000000)) {
        refuse_field(r, e, "received_at", FE_MOMENT, PAST_DAYS);
        return;
    }
    struct submission *s = submission_make(r, e->key);
    struct str told =
        entry_json(r, db_cell(result->res, 0, RECEIVED), db_cell(result->res, 0, EVENT));
    struct str whole = with_member(r->arena, told, "typed_at", db_cell(result->res, 0, TYPED));
    if (s == NULL || whole.p == NULL ||
        submission_entry(s, str_of(sources[r->values[E_SOURCE].e.option].channel), told) != 0) {
        e->door->refuse(r, OTK_INTERNAL, NULL);
        return;
    }
    s->columns[COL_ENTRY] = arena_printf(r->arena, "%.*s}", (int)whole.n, whole.p);
    if (received_us.n > 0) {
        s->columns[COL_RECEIVED] = arena_dup(r->arena, received_us);
    }
    if (s->columns[COL_ENTRY].p == NULL || s->columns[COL_RECEIVED].p == NULL) {
        e->door->refuse(r, OTK_INTERNAL, NULL);
        return;
    }
    s->done = e->door->done;
    batch_add(intake_of(r)->batch, s);
}

/* A moment as parameters: its text into OUT, or NULL. */
static const char *moment_of(const struct request *r, enum entry_field f, char out[24])
{
    int64_t us;
    if (!given(r, f) || moment_parse(r->values[f].s.text, &us) != 0) {
        return NULL;
    }
    snprintf(out, 24, "%" PRId64, us);
    return out;
}

void entry_take(struct request *r, struct str key, const struct entry_door *door)
{
    struct field_errors *errors = arena_zero(r->arena, sizeof *errors);
    struct entry *e = arena_zero(r->arena, sizeof *e);
    if (errors == NULL || e == NULL) {
        door->refuse(r, OTK_INTERNAL, NULL);
        return;
    }
    check(r, errors);
    if (errors->n > 0) {
        door->refuse(r, OTK_INVALID, errors);
        return;
    }
    if (r->region == 0) {
        door->refuse(r, OTK_FORBIDDEN, NULL);
        return;
    }
    *e = (struct entry){ door, key, wall_us() };
    r->state = e;
    char region[12], now[24], received[24], event[24];
    snprintf(region, sizeof region, "%d", r->region);
    snprintf(now, sizeof now, "%" PRId64, e->now_us);
    const char *params[] = { region,
                             moment_of(r, E_RECEIVED, received),
                             is_local(text_of(r, E_RECEIVED)) ? "t" : "f",
                             moment_of(r, E_EVENT_AT, event),
                             is_local(text_of(r, E_EVENT_AT)) ? "t" : "f",
                             now };
    enum otk_err err = db_ask(r->service->db, QUERY_INTAKE_ENTRY_MOMENTS, params, on_moments, r);
    if (err != OTK_OK) {
        door->refuse(r, err, NULL);
    }
}

/* ---- the API */

static void refuse(struct request *r, enum otk_err err, const struct field_errors *errors)
{
    if (errors != NULL) {
        reply_invalid(r, errors->list, errors->n);
    } else {
        reply_problem(r, err, STR(""));
    }
}

void entry_ask(struct request *r)
{
    static const struct entry_door door = { refuse, submit_done };
    if (!submission_key_good(r->idempotency_key)) {
        reply_problem(r, OTK_KEY_MISSING, STR(""));
        return;
    }
    entry_take(r, r->idempotency_key, &door);
}
