/* What routing remembers of a region: themes with their keywords, deadline rules, the calendar.
 *
 * Read again when older than five seconds and used, so an import is in force within that time, or
 * at once when the importer says NOTIFY otklik_dictionaries. A region costs about 4 ms a read;
 * regions nobody writes to cost nothing. */
#include "dictionary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "log.h"
#include "routing_queries.h"
#include "wall.h"

enum { REGIONS = 100, LOADS = 3 };

struct dictionaries {
    struct db *db;
    struct dictionary *regions[REGIONS];

    /* the load in progress */
    struct dictionary *next;
    int pending; /* answers still to come */
    enum otk_err err;
    void (*done)(void *data, enum otk_err err);
    void *data;
};

static int64_t monotonic_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void dictionary_free(struct dictionary *d)
{
    if (d == NULL) {
        return;
    }
    theme_index_free(d->index);
    free(d->themes);
    free(d->rules);
    free(d->days);
    free(d);
}

struct dictionaries *dictionaries_new(struct db *db)
{
    struct dictionaries *ds = calloc(1, sizeof(*ds));
    if (ds != NULL) {
        ds->db = db;
    }
    return ds;
}

void dictionaries_free(struct dictionaries *ds)
{
    if (ds == NULL) {
        return;
    }
    for (int i = 0; i < REGIONS; i++) {
        dictionary_free(ds->regions[i]);
    }
    dictionary_free(ds->next);
    free(ds);
}

struct dictionary *dictionary_borrow(struct dictionaries *ds, int region)
{
    struct dictionary *d = region > 0 && region < REGIONS ? ds->regions[region] : NULL;
    return d != NULL && d->loaded_us != 0 && monotonic_us() - d->loaded_us < DICTIONARY_AGE_US
               ? d
               : NULL;
}

void dictionaries_stale(struct dictionaries *ds)
{
    for (int i = 0; i < REGIONS; i++) {
        if (ds->regions[i] != NULL) {
            ds->regions[i]->loaded_us = 0;
        }
    }
    if (ds->next != NULL) {
        ds->next->loaded_us = 0;
    }
}

static int64_t number(const PGresult *res, int row, int column)
{
    return strtoll(PQgetvalue(res, row, column), NULL, 10);
}

static enum otk_err read_themes(struct dictionary *d, const PGresult *res)
{
    size_t n = (size_t)PQntuples(res);
    struct theme_words *words = calloc(n + 1, sizeof(*words));
    d->themes = calloc(n + 1, sizeof(*d->themes));
    if (words == NULL || d->themes == NULL) {
        free(words);
        return OTK_INTERNAL;
    }
    d->nthemes = n;
    for (size_t i = 0; i < n; i++) {
        int row = (int)i;
        d->themes[i] =
            (struct theme_rule){ (int32_t)number(res, row, 0), (int32_t)number(res, row, 1) };
        words[i] = (struct theme_words){ d->themes[i].theme_id, db_cell(res, row, 2) };
    }
    d->index = theme_index_new(words, n);
    free(words);
    return d->index == NULL ? OTK_INTERNAL : OTK_OK;
}

static enum otk_err read_rules(struct dictionary *d, const PGresult *res)
{
    size_t n = (size_t)PQntuples(res);
    d->rules = calloc(n + 1, sizeof(*d->rules));
    if (d->rules == NULL) {
        return OTK_INTERNAL;
    }
    for (size_t i = 0; i < n; i++) {
        int row = (int)i;
        int first = deadline_unit_of(db_cell(res, row, 4));
        int final = deadline_unit_of(db_cell(res, row, 6));
        if (first < 0 || final < 0) {
            log_write(LOG_ERROR, STR(""), "region %d: deadline rule %s has a unit nobody can count",
                      d->region, PQgetvalue(res, row, 0));
            continue;
        }
        d->rules[d->nrules++] = (struct deadline_rule){
            .id = (int32_t)number(res, row, 0),
            .is_appeal = str_eq(db_cell(res, row, 1), STR("appeal")),
            .common = str_eq(db_cell(res, row, 2), STR("t")),
            .first = { (int)number(res, row, 3), (enum deadline_unit)first },
            .final = { (int)number(res, row, 5), (enum deadline_unit) final },
        };
    }
    return OTK_OK;
}

static enum day_kind kind_of(struct str name)
{
    return str_eq(name, STR("working"))   ? DAY_WORKING
           : str_eq(name, STR("short"))   ? DAY_SHORT
           : str_eq(name, STR("weekend")) ? DAY_WEEKEND
                                          : DAY_OFF;
}

static enum otk_err read_calendar(struct dictionary *d, const PGresult *res)
{
    size_t n = (size_t)PQntuples(res);
    d->days = calloc(n + 1, sizeof(*d->days));
    if (d->days == NULL) {
        return OTK_INTERNAL;
    }
    for (size_t i = 0; i < n; i++) {
        int row = (int)i;
        d->days[i] = (struct day){
            .date = (int32_t)number(res, row, 0),
            .begins = number(res, row, 1),
            .ends = number(res, row, 2),
            .opens = number(res, row, 3),
            .closes = number(res, row, 4),
            .kind = kind_of(db_cell(res, row, 5)),
            .known = str_eq(db_cell(res, row, 6), STR("t")),
        };
    }
    d->calendar = (struct calendar){ d->days, n };
    return OTK_OK;
}

/* One of the three answers has come; with the last the new dictionary takes the place of the old,
 * or is dropped. */
static void take(struct dictionaries *ds, const struct db_result *result,
                 enum otk_err (*read)(struct dictionary *, const PGresult *))
{
    enum otk_err err = result->err != OTK_OK ? result->err
                       : ds->err == OTK_OK   ? read(ds->next, result->res)
                                             : OTK_OK;
    if (ds->err == OTK_OK) {
        ds->err = err;
    }
    if (--ds->pending > 0) {
        return;
    }
    struct dictionary *d = ds->next;
    ds->next = NULL;
    if (ds->err == OTK_OK) {
        dictionary_free(ds->regions[d->region]);
        ds->regions[d->region] = d;
    } else {
        dictionary_free(d);
    }
    ds->done(ds->data, ds->err);
}

static void on_themes(void *data, const struct db_result *result)
{
    take(data, result, read_themes);
}

static void on_rules(void *data, const struct db_result *result)
{
    take(data, result, read_rules);
}

static void on_calendar(void *data, const struct db_result *result)
{
    take(data, result, read_calendar);
}

enum otk_err dictionary_load(struct dictionaries *ds, int region,
                             void (*done)(void *data, enum otk_err err), void *data)
{
    if (ds->next != NULL || region < 1 || region >= REGIONS) {
        return OTK_INTERNAL;
    }
    struct dictionary *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return OTK_INTERNAL;
    }
    d->region = region;
    d->loaded_us = monotonic_us();
    ds->next = d;
    ds->err = OTK_OK;
    ds->done = done;
    ds->data = data;

    char region_text[8], now_text[24];
    snprintf(region_text, sizeof(region_text), "%d", region);
    snprintf(now_text, sizeof(now_text), "%" PRId64, wall_us());
    const char *params[] = { region_text, now_text };

    static const struct {
        size_t statement;
        db_callback done;
    } loads[LOADS] = { { QUERY_ROUTING_THEMES, on_themes },
                       { QUERY_ROUTING_DEADLINE_RULES, on_rules },
                       { QUERY_ROUTING_CALENDAR, on_calendar } };

    ds->pending = 0;
    for (size_t i = 0; i < LOADS; i++) {
        enum otk_err err = db_ask(ds->db, loads[i].statement, params, loads[i].done, ds);
        if (err != OTK_OK) {
            ds->err = err; /* those already asked still come, and end the load */
            break;
        }
        ds->pending++;
    }
    if (ds->pending == 0) {
        ds->next = NULL;
        dictionary_free(d);
        return ds->err;
    }
    return OTK_OK;
}

static const struct deadline_rule *rule_by_id(const struct dictionary *d, int32_t id)
{
    for (size_t i = 0; i < d->nrules; i++) {
        if (d->rules[i].id == id) {
            return &d->rules[i];
        }
    }
    return NULL;
}

static int32_t own_rule(const struct dictionary *d, int32_t theme_id)
{
    size_t lo = 0, hi = d->nthemes;
    while (lo < hi) {
        size_t middle = lo + (hi - lo) / 2;
        if (d->themes[middle].theme_id < theme_id) {
            lo = middle + 1;
        } else {
            hi = middle;
        }
    }
    return lo < d->nthemes && d->themes[lo].theme_id == theme_id ? d->themes[lo].rule_id : 0;
}

const struct deadline_rule *dictionary_rule(const struct dictionary *d, int32_t theme_id,
                                            int is_appeal)
{
    /* A fast rule for messages must not shorten or lengthen what 59-ФЗ says of appeals: the class
     * decides first. */
    const struct deadline_rule *own = rule_by_id(d, own_rule(d, theme_id));
    if (own != NULL && own->is_appeal == is_appeal) {
        return own;
    }
    for (size_t i = 0; i < d->nrules; i++) {
        if (d->rules[i].common && d->rules[i].is_appeal == is_appeal) {
            return &d->rules[i];
        }
    }
    return NULL;
}
