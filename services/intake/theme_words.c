/* What intake remembers of a region's themes: keywords to find them by, and how they are shown.
 *
 * Read when they are asked for and older than five seconds. While they are read, whoever else asks
 * gets the old ones: a slow database must not let readers pile up. Regions nobody asks for cost
 * nothing. */
#include "theme_words.h"

#include <stdio.h>
#include <stdlib.h>

#include "intake_queries.h"

enum { REGIONS = 100, MEMORY_MAX = 4 << 20 };

static const int64_t AGE_US = 5LL * 1000 * 1000;

struct entry {
    struct known_themes themes;
    struct arena *arena; /* of what themes points at; NULL: never read */
    int64_t read_us;     /* monotonic; 0: stale */
    int reading;
};

struct theme_words_cache {
    struct db *db;
    struct entry regions[REGIONS];
};

/* A request that reads a region's themes. */
struct reader {
    struct theme_words_cache *cache;
    struct request *r;
    void (*done)(struct request *r, const struct known_themes *themes);
};

static int64_t now_us(void)
{
    return (int64_t)(uv_hrtime() / 1000);
}

static void on_new_dictionaries(void *data, const char *payload)
{
    struct theme_words_cache *c = data;
    (void)payload;
    for (size_t i = 0; i < REGIONS; i++) {
        c->regions[i].read_us = 0;
    }
}

static struct str keep(struct arena *a, const PGresult *res, int row, int column)
{
    return arena_dup(a, db_cell(res, row, column));
}

/* 0, or -1 when memory is out; what was made then belongs to E all the same. */
static int fill(struct entry *e, const PGresult *res)
{
    size_t n = (size_t)PQntuples(res);
    struct theme_words *words = calloc(n + 1, sizeof *words);
    e->themes.themes =
        words == NULL ? NULL : arena_zero(e->arena, (n + 1) * sizeof *e->themes.themes);
    if (e->themes.themes == NULL) {
        free(words);
        return -1;
    }
    int whole = 1;
    for (size_t i = 0; i < n; i++) {
        int row = (int)i;
        struct known_theme *t = &e->themes.themes[i];
        t->id = (int32_t)strtol(PQgetvalue(res, row, 0), NULL, 10);
        t->code = keep(e->arena, res, row, 1);
        t->shown[LANG_RU] = keep(e->arena, res, row, 3);
        t->shown[LANG_EN] = keep(e->arena, res, row, 4);
        whole = whole && t->code.p != NULL && t->shown[LANG_RU].p != NULL &&
                t->shown[LANG_EN].p != NULL;
        words[i] = (struct theme_words){ t->id, db_cell(res, row, 2) };
    }
    e->themes.n = n;
    e->themes.index = whole ? theme_index_new(words, n) : NULL;
    free(words);
    return e->themes.index == NULL ? -1 : 0;
}

static void drop(struct entry *e)
{
    theme_index_free(e->themes.index);
    if (e->arena != NULL) {
        arena_free(e->arena);
    }
}

static void on_read(void *data, const struct db_result *result)
{
    struct reader *reader = data;
    struct entry *e = &reader->cache->regions[reader->r->region];
    e->reading = 0;
    if (result->err != OTK_OK) {
        reply_db_problem(reader->r, result);
        return;
    }
    struct entry fresh = { .arena = arena_new(MEMORY_MAX), .read_us = now_us() };
    if (fresh.arena == NULL || fill(&fresh, result->res) != 0) {
        drop(&fresh);
        reply_problem(reader->r, OTK_INTERNAL, STR(""));
        return;
    }
    drop(e);
    *e = fresh;
    reader->done(reader->r, &e->themes);
}

static void read_themes(struct theme_words_cache *c, struct request *r,
                        void (*done)(struct request *r, const struct known_themes *themes))
{
    struct reader *reader = arena_zero(r->arena, sizeof *reader);
    if (reader == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    *reader = (struct reader){ c, r, done };
    char region[12];
    snprintf(region, sizeof region, "%d", r->region);
    const char *params[] = { region };
    enum otk_err err = db_ask(c->db, QUERY_INTAKE_THEME_WORDS, params, on_read, reader);
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
        return;
    }
    c->regions[r->region].reading = 1;
}

void theme_words_get(struct theme_words_cache *c, struct request *r,
                     void (*done)(struct request *r, const struct known_themes *themes))
{
    struct entry *e = &c->regions[r->region];
    int fresh = e->read_us != 0 && now_us() - e->read_us < AGE_US;
    if (e->arena != NULL && (fresh || e->reading)) {
        done(r, &e->themes);
    } else {
        read_themes(c, r, done);
    }
}

const struct known_theme *theme_by_id(const struct known_themes *t, int32_t id)
{
    size_t lo = 0, hi = t->n;
    while (lo < hi) {
        size_t middle = lo + (hi - lo) / 2;
        if (t->themes[middle].id < id) {
            lo = middle + 1;
        } else {
            hi = middle;
        }
    }
    return lo < t->n && t->themes[lo].id == id ? &t->themes[lo] : NULL;
}

const struct known_theme *theme_by_code(const struct known_themes *t, struct str code)
{
    for (size_t i = 0; i < t->n; i++) {
        if (str_eq(t->themes[i].code, code)) {
            return &t->themes[i];
        }
    }
    return NULL;
}

struct theme_words_cache *theme_words_open(struct service *service)
{
    struct theme_words_cache *c = calloc(1, sizeof *c);
    if (c != NULL) {
        c->db = service->db;
        db_listen(c->db, "otklik_dictionaries", on_new_dictionaries, c);
    }
    return c;
}
