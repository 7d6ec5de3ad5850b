/* Moments as clients of other systems write them. */
#include "moment.h"

#include <time.h>

enum { YEAR_MIN = 1970, YEAR_MAX = 2999 };

struct cursor {
    const char *p, *end;
};

/* Exactly N digits; -1 when they are not there. */
static int digits(struct cursor *c, int n)
{
    int value = 0;
    if (c->end - c->p < n) {
        return -1;
    }
    for (int i = 0; i < n; i++) {
        if (c->p[i] < '0' || c->p[i] > '9') {
            return -1;
        }
        value = value * 10 + (c->p[i] - '0');
    }
    c->p += n;
    return value;
}

static int accept(struct cursor *c, char what)
{
    if (c->p < c->end && *c->p == what) {
        c->p++;
        return 1;
    }
    return 0;
}

static int days_of(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static int read_day(struct cursor *c, struct tm *t)
{
    int year = digits(c, 4);
    int month = year >= YEAR_MIN && year <= YEAR_MAX && accept(c, '-') ? digits(c, 2) : -1;
    int day = month >= 1 && month <= 12 && accept(c, '-') ? digits(c, 2) : -1;
    if (day < 1 || day > days_of(year, month)) {
        return -1;
    }
    t->tm_year = year - 1900;
    t->tm_mon = month - 1;
    t->tm_mday = day;
    return 0;
}

static int read_time(struct cursor *c, struct tm *t)
{
    t->tm_hour = digits(c, 2);
    t->tm_min = accept(c, ':') ? digits(c, 2) : -1;
    t->tm_sec = accept(c, ':') ? digits(c, 2) : 0;
    if (t->tm_hour < 0 || t->tm_hour > 23 || t->tm_min < 0 || t->tm_min > 59 || t->tm_sec < 0 ||
        t->tm_sec > 59) {
        return -1;
    }
    if (accept(c, '.') || accept(c, ',')) {
        int n = 0;
        while (digits(c, 1) >= 0) {
            n++;
        }
        return n > 0 ? 0 : -1;
    }
    return 0;
}

/* Seconds east of UTC. */
static int read_zone(struct cursor *c, int *east)
{
    *east = 0;
    if (c->p == c->end || accept(c, 'Z') || accept(c, 'z')) {
        return 0;
    }
    int west = accept(c, '-');
    if (!west && !accept(c, '+') && !accept(c, ' ')) {
        return -1;
    }
    int hours = digits(c, 2), minutes = 0;
    if (c->p < c->end) {
        accept(c, ':');
        minutes = digits(c, 2);
    }
    if (hours < 0 || hours > 14 || minutes < 0 || minutes > 59) {
        return -1;
    }
    *east = (west ? -1 : 1) * (hours * 3600 + minutes * 60);
    return 0;
}

int moment_parse(struct str s, int64_t *us)
{
    struct cursor c = { s.p, s.p + s.n };
    struct tm t = { 0 };
    int east = 0;
    if (s.n == 0 || read_day(&c, &t) != 0) {
        return -1;
    }
    if (c.p < c.end && (!(accept(&c, 'T') || accept(&c, 't') || accept(&c, ' ')) ||
                        read_time(&c, &t) != 0 || read_zone(&c, &east) != 0)) {
        return -1;
    }
    if (c.p < c.end) {
        return -1;
    }
    *us = ((int64_t)timegm(&t) - east) * 1000000;
    return 0;
}
