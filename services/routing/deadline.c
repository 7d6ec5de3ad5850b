/* When an answer is due: hours and days counted over a calendar, with every step of the count.
 *
 * The rules, and where they come from:
 *  - A term in days begins the day after the appeal came in (Civil Code, art. 191; so count 59-ФЗ
 * "On the order of considering citizens' appeals", art. 12: 30 days from registration, and the
 * regional orders on messages: 7 working days). It ends with its last day: calendar days at the end
 * of that day, local time; working days when the working day closes.
 *  - The last calendar day is not moved when it is a day off. 59-ФЗ is silent; some bodies move it
 * forward (Civil Code, art. 193), others back (their own instructions): the unmoved day is the one
 * that nobody can call too late.
 *  - A term in hours begins at once: clock hours run day and night; working hours run between
 * opening and closing of working days, so what comes in after closing begins at the next opening
 * (regional orders on first answers: 9 working hours).
 *  - Which days work is data (calendar_day over the common week): holidays, moved days (Labour
 * Code, art. 112), the day before a holiday shortened by an hour (art. 95). A year of which no
 * holiday is known cannot be counted in working time: better no date than a wrong one, and a person
 * decides.
 */
#include "deadline.h"

#include <stdarg.h>
#include <stdio.h>

static const int64_t HOUR = 3600LL * 1000 * 1000; /* µs */

static const char *const unit_names[UNIT_COUNT] = { "clock_hours", "working_hours", "calendar_days",
                                                    "working_days" };

int deadline_unit_of(struct str name)
{
    for (int i = 0; i < UNIT_COUNT; i++) {
        if (str_eq(name, str_of(unit_names[i]))) {
            return i;
        }
    }
    return -1;
}

static int works(const struct day *d)
{
    return (d->kind == DAY_WORKING || d->kind == DAY_SHORT) && d->opens < d->closes;
}

/* The day that holds MOMENT; n when there is none. */
static size_t day_of(const struct calendar *c, int64_t moment)
{
    size_t lo = 0, hi = c->n;
    while (lo < hi) {
        size_t middle = lo + (hi - lo) / 2;
        if (c->days[middle].ends <= moment) {
            lo = middle + 1;
        } else {
            hi = middle;
        }
    }
    return lo < c->n && c->days[lo].begins <= moment ? lo : c->n;
}

/* Adds a step: days in a row with the same reason become one, except that hours are shown day by
 * day; what does not fit is gathered in the last. */
static void add_step(struct deadline *d, struct deadline_step step)
{
    struct deadline_step *last = d->nsteps > 0 ? &d->steps[d->nsteps - 1] : NULL;
    int alike = last != NULL && last->why == step.why && last->counted == 0 && step.counted == 0 &&
                !last->is_short && !step.is_short;
    if (!alike && d->nsteps < DEADLINE_STEPS) {
        d->steps[d->nsteps++] = step;
        return;
    }
    if (!alike) {
        last->why = WHY_REST;
    }
    last->last = step.last;
    last->days += step.days;
    last->counted += step.counted;
    last->to = step.to != 0 ? step.to : last->to;
}

static void skip_day(struct deadline *d, const struct day *day, enum deadline_why why)
{
    add_step(d, (struct deadline_step){ .why = why, .first = day->date, .last = day->date });
}

static enum deadline_why why_off(const struct day *day)
{
    return day->kind == DAY_OFF ? WHY_HOLIDAY : WHY_WEEKEND;
}

static enum deadline_err count_working_hours(const struct calendar *c, size_t at,
                                             struct deadline *d)
{
    int64_t left = d->term.amount * HOUR;
    for (size_t i = at; i < c->n; i++) {
        const struct day *day = &c->days[i];
        if (!day->known) {
            return DEADLINE_UNKNOWN_YEAR;
        }
        if (!works(day)) {
            skip_day(d, day, why_off(day));
            continue;
        }
        int64_t from = day->opens > d->start ? day->opens : d->start;
        if (from >= day->closes) {
            skip_day(d, day, WHY_AFTER_HOURS);
            continue;
        }
        int64_t counted = day->closes - from < left ? day->closes - from : left;
        left -= counted;
        add_step(d, (struct deadline_step){ .why = WHY_COUNTED,
                                            .first = day->date,
                                            .last = day->date,
                                            .from = from,
                                            .to = from + counted,
                                            .counted = counted,
                                            .is_short = day->kind == DAY_SHORT });
        if (left == 0) {
            d->due = from + counted;
            return DEADLINE_OK;
        }
    }
    return DEADLINE_BEYOND;
}

static enum deadline_err count_working_days(const struct calendar *c, size_t at, struct deadline *d)
{
    int left = d->term.amount;
    skip_day(d, &c->days[at], WHY_RECEIPT);
    for (size_t i = at + 1; i < c->n; i++) {
        const struct day *day = &c->days[i];
        if (!day->known) {
            return DEADLINE_UNKNOWN_YEAR;
        }
        if (!works(day)) {
            skip_day(d, day, why_off(day));
            continue;
        }
        add_step(d, (struct deadline_step){
                        .why = WHY_COUNTED, .first = day->date, .last = day->date, .days = 1 });
        if (--left == 0) {
            d->due = day->closes;
            return DEADLINE_OK;
        }
    }
    return DEADLINE_BEYOND;
}

static enum deadline_err count_calendar_days(const struct calendar *c, size_t at,
                                             struct deadline *d)
{
    size_t amount = (size_t)d->term.amount;
    if (amount >= c->n - at) {
        return DEADLINE_BEYOND;
    }
    skip_day(d, &c->days[at], WHY_RECEIPT);
    const struct day *last = &c->days[at + amount];
    add_step(d, (struct deadline_step){ .why = WHY_COUNTED,
                                        .first = c->days[at + 1].date,
                                        .last = last->date,
                                        .days = d->term.amount });
    d->due = last->ends - 1000; /* its last millisecond: times leave the database in milliseconds */
    return DEADLINE_OK;
}

enum deadline_err deadline_due(const struct calendar *calendar, int64_t start,
                               struct deadline_term term, struct deadline *out)
{
    *out = (struct deadline){ .term = term, .start = start };
    size_t at = day_of(calendar, start);
    if (at == calendar->n || term.amount < 1) {
        return DEADLINE_BEYOND;
    }
    switch (term.unit) {
    case UNIT_WORKING_HOURS:
        return count_working_hours(calendar, at, out);
    case UNIT_WORKING_DAYS:
        return count_working_days(calendar, at, out);
    case UNIT_CALENDAR_DAYS:
        return count_calendar_days(calendar, at, out);
    default:
        break;
    }
    out->due = start + term.amount * HOUR;
    size_t end = day_of(calendar, out->due);
    if (end == calendar->n) {
        return DEADLINE_BEYOND;
    }
    add_step(out, (struct deadline_step){ .why = WHY_COUNTED,
                                          .first = calendar->days[at].date,
                                          .last = calendar->days[end].date,
                                          .from = start,
                                          .to = out->due,
                                          .counted = out->due - start });
    return DEADLINE_OK;
}

/* A growing line of JSON in a buffer of DEADLINE_JSON_MAX bytes. */
struct out {
    char *p;
    size_t n;
};

static void __attribute__((format(printf, 2, 3))) print(struct out *o, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(o->p + o->n, DEADLINE_JSON_MAX - o->n, format, args);
    va_end(args);
    if (n > 0) {
        o->n += (size_t)n < DEADLINE_JSON_MAX - o->n ? (size_t)n : DEADLINE_JSON_MAX - o->n - 1;
    }
}

/* Year, month and day of a number of days since 1970-01-01 (H. Hinnant, "chrono-compatible
 * low-level date algorithms"). */
static void civil(int64_t days, int *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2));
}

static void print_date(struct out *o, const char *name, int32_t date)
{
    int y, m, d;
    civil(date, &y, &m, &d);
    print(o, "\"%s\":\"%04d-%02d-%02d\"", name, y, m, d);
}

static void print_moment(struct out *o, const char *name, int64_t us)
{
    int64_t seconds = us >= 0 ? us / 1000000 : (us - 999999) / 1000000;
    int64_t days = seconds >= 0 ? seconds / 86400 : (seconds - 86399) / 86400;
    int64_t rest = seconds - days * 86400;
    int y, m, d;
    civil(days, &y, &m, &d);
    print(o, "\"%s\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"", name, y, m, d, (int)(rest / 3600),
          (int)(rest / 60 % 60), (int)(rest % 60), (int)((us - seconds * 1000000) / 1000));
}

static void print_step(struct out *o, const struct deadline_step *s)
{
    static const char *const whys[] = { [WHY_RECEIPT] = "day_of_receipt",
                                        [WHY_AFTER_HOURS] = "after_hours",
                                        [WHY_WEEKEND] = "weekend",
                                        [WHY_HOLIDAY] = "holiday" };
    print(o, "{");
    print_date(o, "day", s->first);
    if (s->last != s->first) {
        print(o, ",");
        print_date(o, "last_day", s->last);
    }
    if (s->why != WHY_COUNTED && s->why != WHY_REST) {
        print(o, ",\"skipped\":\"%s\"}", whys[s->why]);
        return;
    }
    if (s->counted != 0) {
        if (s->why == WHY_COUNTED) {
            print(o, ",");
            print_moment(o, "from", s->from);
        }
        print(o, ",");
        print_moment(o, "to", s->to);
        print(o, ",\"hours\":%.10g", (double)((s->counted + HOUR / 20000) / (HOUR / 10000)) / 1e4);
    } else {
        print(o, ",\"days\":%d", s->days);
    }
    print(o, "%s%s}", s->is_short && s->why == WHY_COUNTED ? ",\"short\":true" : "",
          s->why == WHY_REST ? ",\"summary\":true" : "");
}

static void print_deadline(struct out *o, const struct deadline *d)
{
    print(o, "{");
    print_moment(o, "start", d->start);
    print(o, ",\"amount\":%d,\"unit\":\"%s\",", d->term.amount, unit_names[d->term.unit]);
    print_moment(o, "due", d->due);
    print(o, ",\"steps\":[");
    for (size_t i = 0; i < d->nsteps; i++) {
        print(o, "%s", i > 0 ? "," : "");
        print_step(o, &d->steps[i]);
    }
    print(o, "]}");
}

size_t deadline_json(const struct deadline *first, const struct deadline *final, char *out)
{
    struct out o = { out, 0 };
    print(&o, "{\"first\":");
    print_deadline(&o, first);
    print(&o, ",\"final\":");
    print_deadline(&o, final);
    print(&o, "}");
    return o.n;
}
