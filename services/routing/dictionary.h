/* What routing remembers of a region: themes with their keywords, deadline rules, the calendar. */
#ifndef DICTIONARY_H
#define DICTIONARY_H

#include "db.h"
#include "deadline.h"
#include "theme.h"

struct deadline_rule {
    int32_t id;
    int is_appeal; /* legal class: 1 appeal, 0 message */
    int common;    /* for themes that name no rule of their own */
    struct deadline_term first, final;
};

struct theme_rule {
    int32_t theme_id;
    int32_t rule_id; /* 0: the common rule */
};

/* One region, read at one time. */
struct dictionary {
    int region;
    int64_t loaded_us; /* monotonic */
    struct theme_index *index;
    struct theme_rule *themes; /* ascending by theme_id */
    size_t nthemes;
    struct deadline_rule *rules;
    size_t nrules;
    struct day *days;
    struct calendar calendar;
};

struct dictionaries;

/* NULL when memory is out. DB must outlive it. */
struct dictionaries *dictionaries_new(struct db *db);
void dictionaries_free(struct dictionaries *ds);

/* The dictionary of REGION if it was read less than DICTIONARY_AGE_US ago and not called stale
 * since; NULL otherwise. Valid until the next dictionary_load of the same region. */
struct dictionary *dictionary_borrow(struct dictionaries *ds, int region);

enum { DICTIONARY_AGE_US = 5 * 1000 * 1000 };

/* Reads the dictionary of REGION; DONE comes later, exactly once, with OTK_OK or what went wrong.
 * One load at a time. Anything but OTK_OK: nothing was begun and DONE will not come. */
enum otk_err dictionary_load(struct dictionaries *ds, int region,
                             void (*done)(void *data, enum otk_err err), void *data);

/* From now on nothing that was read is fresh. */
void dictionaries_stale(struct dictionaries *ds);

/* The rule for a theme (0: none) and a legal class: the theme's own if it is of that class, else
 * the region's common one; NULL when there is none. */
const struct deadline_rule *dictionary_rule(const struct dictionary *d, int32_t theme_id,
                                            int is_appeal);

#endif
