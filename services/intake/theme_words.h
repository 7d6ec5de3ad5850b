/* What intake remembers of a region's themes: keywords to find them by, and how they are shown. */
#ifndef THEME_WORDS_H
#define THEME_WORDS_H

#include "service.h"
#include "theme.h"

struct theme_words_cache;

/* One theme as it was read. */
struct known_theme {
    int32_t id;
    struct str code;
    struct str shown[LANG_COUNT]; /* {"code", "name", "group"} */
};

/* A region's themes, read at one time. */
struct known_themes {
    struct theme_index *index;
    struct known_theme *themes; /* ascending by id */
    size_t n;
};

/* NULL when memory is out. */
struct theme_words_cache *theme_words_open(struct service *service);

/* Gives the themes of R's region to DONE, at once or after they were read; R is answered when they
 * cannot be. What is older than five seconds, or changed as the importer says, is read anew.
 * *THEMES is valid until DONE returns. */
void theme_words_get(struct theme_words_cache *c, struct request *r,
                     void (*done)(struct request *r, const struct known_themes *themes));

/* By its id; NULL when there is none. */
const struct known_theme *theme_by_id(const struct known_themes *t, int32_t id);
const struct known_theme *theme_by_code(const struct known_themes *t, struct str code);

#endif
