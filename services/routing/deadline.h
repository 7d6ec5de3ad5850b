/* When an answer is due: hours and days counted over a calendar, with every step of the count.
 * Pure: no clock, no database. */
#ifndef DEADLINE_H
#define DEADLINE_H

#include "otklik.h"

enum deadline_unit {
    UNIT_CLOCK_HOURS,
    UNIT_WORKING_HOURS,
    UNIT_CALENDAR_DAYS,
    UNIT_WORKING_DAYS,
    UNIT_COUNT
};

/* Names as in deadline_rule.*_unit; -1 for an unknown name. */
int deadline_unit_of(struct str name);

enum day_kind { DAY_WORKING, DAY_SHORT, DAY_WEEKEND, DAY_OFF };

/* One local day; sql/queries/routing/calendar.sql has done the time zone. All moments in
 * microseconds UTC. */
struct day {
    int32_t date; /* days since 1970-01-01, local */
    enum day_kind kind;
    int known;             /* 0: nobody has entered the holidays of this year */
    int64_t begins, ends;  /* local midnight to midnight */
    int64_t opens, closes; /* the working day; on a short day closes is already an hour earlier */
};

/* Days without a gap, ascending. */
struct calendar {
    const struct day *days;
    size_t n;
};

struct deadline_term {
    int amount; /* ≥ 1 */
    enum deadline_unit unit;
};

enum deadline_err {
    DEADLINE_OK,
    DEADLINE_BEYOND,      /* the calendar does not reach that far, or does not hold the start */
    DEADLINE_UNKNOWN_YEAR /* working time would be counted in a year whose holidays are not known */
};

enum deadline_why { WHY_COUNTED, WHY_RECEIPT, WHY_AFTER_HOURS, WHY_WEEKEND, WHY_HOLIDAY, WHY_REST };

/* A stretch of days that were counted or skipped for one reason. */
struct deadline_step {
    enum deadline_why why; /* WHY_REST: all that did not fit, in one */
    int32_t first, last;   /* local dates */
    int days;              /* counted, where the unit is days */
    int64_t from, to;      /* counted, where the unit is hours: moments … */
    int64_t counted;       /* … and microseconds between */
    int is_short;          /* a day shortened by an hour */
};

enum { DEADLINE_STEPS = 24, DEADLINE_JSON_MAX = 16384 };

struct deadline {
    struct deadline_term term;
    int64_t start, due; /* microseconds UTC */
    size_t nsteps;
    struct deadline_step steps[DEADLINE_STEPS];
};

/* Counts TERM from START (microseconds UTC). On an error *out is void. */
enum deadline_err deadline_due(const struct calendar *calendar, int64_t start,
                               struct deadline_term term, struct deadline *out)
    __attribute__((warn_unused_result));

/* Writes {"first":{"start","amount","unit","due","steps":[…]},"final":{…}} with a NUL; returns the
 * length. OUT has DEADLINE_JSON_MAX bytes, which is always enough. */
size_t deadline_json(const struct deadline *first, const struct deadline *final, char *out);

#endif
