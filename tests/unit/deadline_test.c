// sources: services/routing/deadline.c
// libs: -lyajl
/* Deadlines fall on the moment the law and the region's rules mean: weekends, long holidays, short
 * days, eleven time zones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <yajl/yajl_tree.h>

#include "../../services/routing/deadline.h"

#define HOUR (3600LL * 1000000)
#define DAY (24 * HOUR)

/* Days since 1970-01-01 of a date (H. Hinnant). */
static int32_t date_of(int y, int m, int d)
{
    y -= m <= 2;
    int era = y / 400;
    int yoe = y - era * 400;
    int doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

struct special {
    int y, m, d;
    enum day_kind kind;
};

/* 2026 and 2027 as far as the tests go: moved days, the long holidays, days shortened by an hour.
 */
static const struct special specials[] = {
    { 2026, 11, 3, DAY_SHORT },   { 2026, 11, 4, DAY_OFF }, { 2026, 12, 30, DAY_SHORT },
    { 2026, 12, 31, DAY_OFF },    { 2027, 1, 1, DAY_OFF },  { 2027, 1, 2, DAY_OFF },
    { 2027, 1, 3, DAY_OFF },      { 2027, 1, 4, DAY_OFF },  { 2027, 1, 5, DAY_OFF },
    { 2027, 1, 6, DAY_OFF },      { 2027, 1, 7, DAY_OFF },  { 2027, 1, 8, DAY_OFF },
    { 2027, 2, 20, DAY_WORKING }, { 2027, 2, 22, DAY_OFF }, { 2027, 2, 23, DAY_OFF },
    { 2027, 3, 8, DAY_OFF },      { 2027, 5, 3, DAY_OFF },  { 2027, 5, 10, DAY_OFF },
    { 2027, 6, 11, DAY_SHORT },   { 2027, 6, 14, DAY_OFF },
};

enum { CALENDAR_DAYS = 441 };

/* The calendar from 2026-10-15 on, 441 days, in a zone OFFSET hours east of UTC, working 9 to 18.
 * Years from UNKNOWN on are not known. */
static struct calendar calendar_new(int offset, int unknown)
{
    static struct day days[CALENDAR_DAYS];
    int32_t first = date_of(2026, 10, 15);
    for (int i = 0; i < CALENDAR_DAYS; i++) {
        int32_t date = first + i;
        struct day *d = &days[i];
        *d = (struct day){ .date = date, .known = date < date_of(unknown, 1, 1) };
        d->begins = date * DAY - offset * HOUR;
        d->ends = d->begins + DAY;
        d->opens = d->begins + 9 * HOUR;
        d->closes = d->begins + 18 * HOUR;
        d->kind = (date + 3) % 7 >= 5 ? DAY_WEEKEND : DAY_WORKING; /* 1970-01-01 was a Thursday */
        for (size_t k = 0; k < sizeof(specials) / sizeof(specials[0]); k++) {
            if (date == date_of(specials[k].y, specials[k].m, specials[k].d)) {
                d->kind = specials[k].kind;
            }
        }
        d->closes -= d->kind == DAY_SHORT ? HOUR : 0;
    }
    return (struct calendar){ days, CALENDAR_DAYS };
}

static int64_t at(int offset, int y, int m, int d, int hour, int minute)
{
    return date_of(y, m, d) * DAY + (hour - offset) * HOUR + minute * 60 * 1000000LL;
}

static int64_t due(const struct calendar *c, int64_t start, int amount, enum deadline_unit unit)
{
    struct deadline d;
    assert_int_equal(deadline_due(c, start, (struct deadline_term){ amount, unit }, &d),
                     DEADLINE_OK);
    return d.due;
}

static void friday_evening_waits_for_monday(void **state)
{
    (void)state;
    struct calendar c = calendar_new(3, 2028);
    /* Friday 27 November 2026, 19:30: 9 working hours are all of Monday */
    assert_int_equal(due(&c, at(3, 2026, 11, 27, 19, 30), 9, UNIT_WORKING_HOURS),
                     at(3, 2026, 11, 30, 18, 0));
    /* Friday 16:00: two hours on Friday, seven on Monday */
    assert_int_equal(due(&c, at(3, 2026, 11, 27, 16, 0), 9, UNIT_WORKING_HOURS),
                     at(3, 2026, 11, 30, 16, 0));
    /* the clock does not wait */
    assert_int_equal(due(&c, at(3, 2026, 11, 27, 19, 30), 24, UNIT_CLOCK_HOURS),
                     at(3, 2026, 11, 28, 19, 30));
    assert_int_equal(due(&c, at(3, 2026, 11, 27, 19, 30), 7, UNIT_WORKING_DAYS),
                     at(3, 2026, 12, 8, 18, 0));
}

static void edges_of_the_working_day(void **state)
{
    (void)state;
    struct calendar c = calendar_new(3, 2028);
    assert_int_equal(due(&c, at(3, 2026, 11, 24, 9, 0), 9, UNIT_WORKING_HOURS),
                     at(3, 2026, 11, 24, 18, 0));
    assert_int_equal(due(&c, at(3, 2026, 11, 24, 7, 15), 4, UNIT_WORKING_HOURS),
                     at(3, 2026, 11, 24, 13, 0));
    assert_int_equal(due(&c, at(3, 2026, 11, 24, 18, 0), 1, UNIT_WORKING_HOURS),
                     at(3, 2026, 11, 25, 10, 0));
    assert_int_equal(due(&c, at(3, 2026, 11, 24, 17, 59), 1, UNIT_WORKING_HOURS),
                     at(3, 2026, 11, 25, 9, 59));
    assert_int_equal(due(&c, at(3, 2026, 11, 24, 0, 0), 1, UNIT_WORKING_HOURS),
                     at(3, 2026, 11, 24, 10, 0));
    /* one microsecond before midnight is still the 24th */
    assert_int_equal(due(&c, at(3, 2026, 11, 25, 0, 0) - 1, 1, UNIT_WORKING_DAYS),
                     at(3, 2026, 11, 25, 18, 0));
    assert_int_equal(due(&c, at(3, 2026, 11, 25, 0, 0), 1, UNIT_WORKING_DAYS),
                     at(3, 2026, 11, 26, 18, 0));
}

static void new_year_holidays(void **state)
{
    (void)state;
    struct calendar c = calendar_new(3, 2028);
    /* Wednesday 30 December is short: 16:00 leaves one hour; the next opening is Monday 11 January
     */
    assert_int_equal(due(&c, at(3, 2026, 12, 30, 16, 0), 9, UNIT_WORKING_HOURS),
                     at(3, 2027, 1, 11, 17, 0));
    assert_int_equal(due(&c, at(3, 2026, 12, 30, 17, 30), 9, UNIT_WORKING_HOURS),
                     at(3, 2027, 1, 11, 18, 0));
    assert_int_equal(due(&c, at(3, 2026, 12, 30, 12, 0), 7, UNIT_WORKING_DAYS),
                     at(3, 2027, 1, 19, 18, 0));
    /* received on a day off */
    assert_int_equal(due(&c, at(3, 2027, 1, 2, 12, 0), 1, UNIT_WORKING_DAYS),
                     at(3, 2027, 1, 11, 18, 0));
    assert_int_equal(due(&c, at(3, 2027, 1, 2, 12, 0), 1, UNIT_WORKING_HOURS),
                     at(3, 2027, 1, 11, 10, 0));
    /* calendar days do not stop for holidays, and the last one is not moved */
    assert_int_equal(due(&c, at(3, 2026, 12, 3, 12, 0), 30, UNIT_CALENDAR_DAYS),
                     at(3, 2027, 1, 3, 0, 0) - 1000);
}

static void short_day_closes_an_hour_earlier(void **state)
{
    (void)state;
    struct calendar c = calendar_new(3, 2028);
    /* Tuesday 3 November, before the Day of Unity */
    assert_int_equal(due(&c, at(3, 2026, 11, 3, 9, 0), 8, UNIT_WORKING_HOURS),
                     at(3, 2026, 11, 3, 17, 0));
    assert_int_equal(due(&c, at(3, 2026, 11, 3, 9, 0), 9, UNIT_WORKING_HOURS),
                     at(3, 2026, 11, 5, 10, 0));
    assert_int_equal(due(&c, at(3, 2026, 11, 2, 9, 0), 1, UNIT_WORKING_DAYS),
                     at(3, 2026, 11, 3, 17, 0));
}

static void moved_saturday_works(void **state)
{
    (void)state;
    struct calendar c = calendar_new(3, 2028);
    /* Saturday 20 February 2027 works for Monday the 22nd */
    assert_int_equal(due(&c, at(3, 2027, 2, 19, 18, 30), 2, UNIT_WORKING_HOURS),
                     at(3, 2027, 2, 20, 11, 0));
    assert_int_equal(due(&c, at(3, 2027, 2, 19, 12, 0), 2, UNIT_WORKING_DAYS),
                     at(3, 2027, 2, 24, 18, 0));
}

static void every_time_zone_of_the_country(void **state)
{
    (void)state;
    /* Kaliningrad, Moscow, Samara, Yekaterinburg, Omsk, Krasnoyarsk, Irkutsk, Yakutsk, Vladivostok,
     * Magadan, Kamchatka */
    for (int offset = 2; offset <= 12; offset++) {
        struct calendar c = calendar_new(offset, 2028);
        assert_int_equal(due(&c, at(offset, 2026, 11, 27, 19, 30), 9, UNIT_WORKING_HOURS),
                         at(offset, 2026, 11, 30, 18, 0));
        assert_int_equal(due(&c, at(offset, 2026, 11, 24, 0, 30), 1, UNIT_WORKING_DAYS),
                         at(offset, 2026, 11, 25, 18, 0));
        assert_int_equal(due(&c, at(offset, 2026, 11, 24, 23, 30), 10, UNIT_CALENDAR_DAYS),
                         at(offset, 2026, 12, 5, 0, 0) - 1000);
        assert_int_equal(due(&c, at(offset, 2026, 12, 31, 23, 59), 1, UNIT_CLOCK_HOURS),
                         at(offset, 2027, 1, 1, 0, 59));
    }
    /* the same moment: Tuesday morning in Kamchatka, Monday evening in Kaliningrad */
    int64_t moment = at(0, 2026, 11, 23, 21, 30);
    struct calendar kamchatka = calendar_new(12, 2028);
    assert_int_equal(due(&kamchatka, moment, 1, UNIT_WORKING_DAYS), at(12, 2026, 11, 25, 18, 0));
    struct calendar kaliningrad = calendar_new(2, 2028);
    assert_int_equal(due(&kaliningrad, moment, 1, UNIT_WORKING_DAYS), at(2, 2026, 11, 24, 18, 0));
}

static void day_longer_than_twenty_four_hours(void **state)
{
    (void)state;
    struct calendar c = calendar_new(3, 2028);
    /* a region goes back an hour in the night to Sunday 29 November: the day has 25 hours, later
     * days begin an hour later */
    struct day *days = malloc(sizeof(*days) * c.n);
    assert_non_null(days);
    memcpy(days, c.days, sizeof(*days) * c.n);
    for (size_t i = 0; i < c.n; i++) {
        if (days[i].date >= date_of(2026, 11, 29)) {
            days[i].begins += days[i].date > date_of(2026, 11, 29) ? HOUR : 0;
            days[i].ends += HOUR;
            days[i].opens += HOUR;
            days[i].closes += HOUR;
        }
    }
    struct calendar moved = { days, c.n };
    assert_int_equal(due(&moved, at(3, 2026, 11, 27, 17, 0), 2, UNIT_WORKING_HOURS),
                     at(2, 2026, 11, 30, 10, 0));
    assert_int_equal(due(&moved, at(3, 2026, 11, 28, 12, 0), 1, UNIT_CALENDAR_DAYS),
                     at(2, 2026, 11, 30, 0, 0) - 1000);
    free(days);
}

static void never_a_date_from_beyond_the_calendar(void **state)
{
    (void)state;
    struct calendar c = calendar_new(3, 2028);
    struct deadline d;
    int64_t start = at(3, 2026, 11, 24, 12, 0);
    assert_int_equal(due(&c, start, 400, UNIT_CALENDAR_DAYS), at(3, 2027, 12, 30, 0, 0) - 1000);
    assert_int_equal(deadline_due(&c, start, (struct deadline_term){ 401, UNIT_CALENDAR_DAYS }, &d),
                     DEADLINE_BEYOND);
    assert_int_equal(deadline_due(&c, start, (struct deadline_term){ 1000, UNIT_WORKING_DAYS }, &d),
                     DEADLINE_BEYOND);
    assert_int_equal(deadline_due(&c, start, (struct deadline_term){ 10000, UNIT_WORKING_HOURS },
                                  &d),
                     DEADLINE_BEYOND);
    assert_int_equal(deadline_due(&c, start, (struct deadline_term){ 24 * 401, UNIT_CLOCK_HOURS },
                                  &d),
                     DEADLINE_BEYOND);
    for (int unit = 0; unit < UNIT_COUNT; unit++) {
        struct deadline_term one = { 1, (enum deadline_unit)unit };
        assert_int_equal(deadline_due(&c, at(3, 2026, 10, 14, 23, 59), one, &d), DEADLINE_BEYOND);
        assert_int_equal(deadline_due(&c, at(3, 2027, 12, 30, 0, 0), one, &d), DEADLINE_BEYOND);
        assert_int_equal(deadline_due(&(struct calendar){ NULL, 0 }, start, one, &d),
                         DEADLINE_BEYOND);
        assert_int_equal(deadline_due(&c, start,
                                      (struct deadline_term){ 0, (enum deadline_unit)unit }, &d),
                         DEADLINE_BEYOND);
    }
}

static void never_working_time_in_a_year_without_holidays(void **state)
{
    (void)state;
    struct calendar c = calendar_new(3, 2027);
    struct deadline d;
    int64_t start = at(3, 2026, 12, 30, 12, 0);
    assert_int_equal(due(&c, start, 5, UNIT_WORKING_HOURS), at(3, 2026, 12, 30, 17, 0));
    assert_int_equal(deadline_due(&c, start, (struct deadline_term){ 6, UNIT_WORKING_HOURS }, &d),
                     DEADLINE_UNKNOWN_YEAR);
    assert_int_equal(deadline_due(&c, start, (struct deadline_term){ 1, UNIT_WORKING_DAYS }, &d),
                     DEADLINE_UNKNOWN_YEAR);
    assert_int_equal(due(&c, start, 30, UNIT_CALENDAR_DAYS), at(3, 2027, 1, 30, 0, 0) - 1000);
    assert_int_equal(due(&c, start, 48, UNIT_CLOCK_HOURS), at(3, 2027, 1, 1, 12, 0));
}

static void a_working_day_without_hours_does_not_count(void **state)
{
    (void)state;
    struct calendar c = calendar_new(3, 2028);
    struct day *days = malloc(sizeof(*days) * c.n);
    assert_non_null(days);
    memcpy(days, c.days, sizeof(*days) * c.n);
    for (size_t i = 0; i < c.n; i++) {
        days[i].closes = days[i].opens;
    }
    struct deadline d;
    struct calendar closed = { days, c.n };
    int64_t start = at(3, 2026, 11, 24, 12, 0);
    assert_int_equal(deadline_due(&closed, start, (struct deadline_term){ 1, UNIT_WORKING_HOURS },
                                  &d),
                     DEADLINE_BEYOND);
    assert_int_equal(deadline_due(&closed, start, (struct deadline_term){ 1, UNIT_WORKING_DAYS },
                                  &d),
                     DEADLINE_BEYOND);
    free(days);
}

/* The count done the slow way, minute by minute, agrees everywhere in a quarter of a year. */
static void agrees_with_counting_minutes(void **state)
{
    (void)state;
    struct calendar c = calendar_new(3, 2028);
    int64_t minute = 60 * 1000000LL;
    for (int64_t start = at(3, 2026, 12, 1, 0, 0); start < at(3, 2027, 3, 1, 0, 0);
         start += 97 * minute) {
        int64_t left = 9 * 60, now = start;
        size_t i = 0;
        while (left > 0) {
            while (c.days[i].ends <= now) {
                i++;
            }
            const struct day *d = &c.days[i];
            int open = (d->kind == DAY_WORKING || d->kind == DAY_SHORT) && now >= d->opens &&
                       now + minute <= d->closes;
            left -= open;
            now += minute;
        }
        assert_int_equal(due(&c, start, 9, UNIT_WORKING_HOURS), now);
    }
}

static const char *text_at(yajl_val v, const char **path)
{
    return YAJL_GET_STRING(yajl_tree_get(v, path, yajl_t_any));
}

static void explanation_names_every_step(void **state)
{
    (void)state;
    struct calendar c = calendar_new(3, 2028);
    struct deadline first, final;
    int64_t start = at(3, 2026, 12, 30, 16, 0);
    assert_int_equal(deadline_due(&c, start, (struct deadline_term){ 9, UNIT_WORKING_HOURS },
                                  &first),
                     DEADLINE_OK);
    assert_int_equal(deadline_due(&c, start, (struct deadline_term){ 7, UNIT_WORKING_DAYS },
                                  &final),
                     DEADLINE_OK);
    char json[DEADLINE_JSON_MAX];
    size_t n = deadline_json(&first, &final, json);
    assert_int_equal(n, strlen(json));
    assert_string_equal(
        json,
        "{\"first\":{\"start\":\"2026-12-30T13:00:00.000Z\",\"amount\":9,\"unit\":\"working_hours\","
        "\"due\":\"2027-01-11T14:00:00.000Z\",\"steps\":["
        "{\"day\":\"2026-12-30\",\"from\":\"2026-12-30T13:00:00.000Z\",\"to\":\"2026-12-30T14:00:00.000Z\",\"hours\":1,\"short\":true},"
        "{\"day\":\"2026-12-31\",\"last_day\":\"2027-01-08\",\"skipped\":\"holiday\"},"
        "{\"day\":\"2027-01-09\",\"last_day\":\"2027-01-10\",\"skipped\":\"weekend\"},"
        "{\"day\":\"2027-01-11\",\"from\":\"2027-01-11T06:00:00.000Z\",\"to\":\"2027-01-11T14:00:00.000Z\",\"hours\":8}]},"
        "\"final\":{\"start\":\"2026-12-30T13:00:00.000Z\",\"amount\":7,\"unit\":\"working_days\","
        "\"due\":\"2027-01-19T15:00:00.000Z\",\"steps\":["
        "{\"day\":\"2026-12-30\",\"skipped\":\"day_of_receipt\"},"
        "{\"day\":\"2026-12-31\",\"last_day\":\"2027-01-08\",\"skipped\":\"holiday\"},"
        "{\"day\":\"2027-01-09\",\"last_day\":\"2027-01-10\",\"skipped\":\"weekend\"},"
        "{\"day\":\"2027-01-11\",\"last_day\":\"2027-01-15\",\"days\":5},"
        "{\"day\":\"2027-01-16\",\"last_day\":\"2027-01-17\",\"skipped\":\"weekend\"},"
        "{\"day\":\"2027-01-18\",\"last_day\":\"2027-01-19\",\"days\":2}]}}");
}

/* However long the count, the explanation is JSON of bounded size whose days and hours add up. */
static void explanation_stays_bounded(void **state)
{
    (void)state;
    struct calendar c = calendar_new(3, 2028);
    int64_t start = at(3, 2026, 10, 15, 12, 34) + 567;
    for (int unit = 0; unit < UNIT_COUNT; unit++) {
        for (int amount = 1; amount <= 1000; amount++) {
            struct deadline d;
            struct deadline_term term = { amount, (enum deadline_unit)unit };
            if (deadline_due(&c, start, term, &d) != DEADLINE_OK) {
                continue;
            }
            assert_true(d.nsteps <= DEADLINE_STEPS);
            int64_t counted = 0;
            int days = 0;
            for (size_t i = 0; i < d.nsteps; i++) {
                counted += d.steps[i].counted;
                days += d.steps[i].days;
                assert_true(d.steps[i].first <= d.steps[i].last);
                assert_true(i == 0 || d.steps[i].first == d.steps[i - 1].last + 1);
            }
            assert_true(unit == UNIT_CALENDAR_DAYS || unit == UNIT_WORKING_DAYS
                            ? days == amount
                            : counted == amount * HOUR);
            char json[DEADLINE_JSON_MAX];
            assert_true(deadline_json(&d, &d, json) < DEADLINE_JSON_MAX - 1);
            if (amount % 50 == 1) {
                char err[200];
                yajl_val v = yajl_tree_parse(json, err, sizeof(err));
                assert_non_null(v);
                const char *path[] = { "final", "unit", NULL };
                assert_int_equal(deadline_unit_of(str_of(text_at(v, path))), unit);
                yajl_tree_free(v);
            }
        }
    }
    assert_int_equal(deadline_unit_of(STR("weeks")), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(friday_evening_waits_for_monday),
        cmocka_unit_test(edges_of_the_working_day),
        cmocka_unit_test(new_year_holidays),
        cmocka_unit_test(short_day_closes_an_hour_earlier),
        cmocka_unit_test(moved_saturday_works),
        cmocka_unit_test(every_time_zone_of_the_country),
        cmocka_unit_test(day_longer_than_twenty_four_hours),
        cmocka_unit_test(never_a_date_from_beyond_the_calendar),
        cmocka_unit_test(never_working_time_in_a_year_without_holidays),
        cmocka_unit_test(a_working_day_without_hours_does_not_count),
        cmocka_unit_test(agrees_with_counting_minutes),
        cmocka_unit_test(explanation_names_every_step),
        cmocka_unit_test(explanation_stays_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
