/* otklik import catalogue: themes, bodies and a routing table out of published appeals.
 *
 * The file is streamed; what stays in memory is the different themes, bodies and municipalities,
 * and how often each trio of them occurs. The database then chooses the body that most often
 * answered. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "database.h"
#include "jsonl.h"
#include "names.h"
#include "progress.h"
#include "text.h"

struct settings {
    int64_t region;
};

enum {
    FOLDED_BYTES = 512,
    POINTS = 300,  /* of a place whose name is not known are looked at */
    POINTS_FEW = 5 /* fewer say nothing */
};

#define SEPARATOR '\x1f' /* between the parts of a key */

struct catalogue {
    PGconn *db;
    char region[24];
    struct names *themes; /* object, group, name */
    struct names *bodies;
    struct names *municipalities; /* as the file writes them */
    struct names *trios;          /* "municipality theme body", by number; -1 for none */
    struct names *known;          /* folded names of the region's municipalities */
    int32_t *known_ids;           /* by number in known; 0: two have that name */
    struct pg_array points[3]; /* of places not known: number of the place, longitude, latitude */
    int64_t appeals, without_theme, without_body;
    int32_t *theme_ids, *body_ids, *municipality_ids; /* by number; 0: none */
};

/* ---- the region's municipalities */

/* By their names without differences of spelling. A spelling that two municipalities share belongs
 * to neither. */
static int read_known(struct catalogue *c)
{
    PGresult *res =
        database_ask(c->db, NULL, QUERY_OTKLIK_MUNICIPALITIES, (const char *const[]){ c->region });
    if (res == NULL) {
        return -1;
    }
    int rows = PQntuples(res);
    c->known_ids = cli_alloc(((size_t)rows + 1) * sizeof(*c->known_ids));
    for (int i = 0; i < rows; i++) {
        char folded[FOLDED_BYTES];
        text_fold(str_of(PQgetvalue(res, i, 1)), folded, sizeof(folded));
        size_t number = names_add(c->known, str_of(folded));
        c->known_ids[number] = names_times(c->known, number) > 1
                                   ? 0
                                   : (int32_t)strtol(PQgetvalue(res, i, 0), NULL, 10);
    }
    PQclear(res);
    if (rows == 0) {
        cli_error("the region has no municipalities yet: the routing table will not know places; "
                  "import boundaries first");
    }
    return 0;
}

/* ---- reading */

/* Number of a body or place in its table; SIZE_MAX if the appeal names none. */
static size_t number_of(struct names *table, struct str name)
{
    char tidied[TEXT_NAME];
    struct str t = name.n == 0 ? name : text_name(name, tidied, sizeof(tidied));
    return t.n == 0 ? SIZE_MAX : names_add(table, t);
}

static size_t theme_of(struct catalogue *c, const struct record *r)
{
    char object[TEXT_NAME], group[TEXT_NAME], name[TEXT_NAME], key[3 * TEXT_NAME];
    if (r->category.n == 0 || r->reason.n == 0) {
        return SIZE_MAX;
    }
    struct str o = r->object.n == 0 ? STR("") : text_name(r->object, object, sizeof(object));
    int n = snprintf(key, sizeof(key), "%s%c%s%c%s", o.p, SEPARATOR,
                     text_name(r->category, group, sizeof(group)).p, SEPARATOR,
                     text_name(r->reason, name, sizeof(name)).p);
    return names_add(c->themes, (struct str){ key, (size_t)n });
}

static void add_number(struct pg_array *a, int64_t number)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%" PRId64, number);
    pg_array_add(a, (struct str){ text, (size_t)n });
}

/* Id of the municipality that has this name but for spelling; 0 if none or two have it. */
static int32_t known_place(const struct catalogue *c, struct str name)
{
    char folded[FOLDED_BYTES];
    text_fold(name, folded, sizeof(folded));
    size_t number = names_find(c->known, str_of(folded));
    return number == SIZE_MAX ? 0 : c->known_ids[number];
}

/* Where a place is whose name tells nothing. */
static void keep_point(struct catalogue *c, size_t place, const struct record *r)
{
    if (r->lat.p == NULL || r->lon.p == NULL || names_times(c->municipalities, place) > POINTS ||
        known_place(c, names_text(c->municipalities, place)) != 0) {
        return;
    }
    add_number(&c->points[0], (int64_t)place);
    pg_array_add(&c->points[1], r->lon);
    pg_array_add(&c->points[2], r->lat);
}

static void count_appeal(struct catalogue *c, const struct record *r)
{
    size_t theme = theme_of(c, r);
    size_t body = number_of(c->bodies, r->executor);
    size_t place = number_of(c->municipalities, r->municipality);
    c->appeals++;
    c->without_theme += theme == SIZE_MAX;
    c->without_body += body == SIZE_MAX;
    if (place != SIZE_MAX) {
        keep_point(c, place, r);
    }
    if (body == SIZE_MAX) {
        return;
    }
    char trio[80];
    int n = snprintf(trio, sizeof(trio), "%zd %zd %zu", (ssize_t)place, (ssize_t)theme, body);
    names_add(c->trios, (struct str){ trio, (size_t)n });
}

static int read_file(struct catalogue *c, const char *path)
{
    struct jsonl *j = jsonl_open(path);
    if (j == NULL) {
        return -1;
    }
    struct progress progress = progress_begin(1);
    struct str line;
    int more;
    while ((more = jsonl_next(j, &line)) > 0) {
        struct record r;
        char why[600];
        if (record_read(&r, line, why, sizeof(why)) != 0) {
            record_free(&r);
            cli_error("%s: %s", jsonl_place(j), why);
            more = -1;
            break;
        }
        count_appeal(c, &r);
        record_free(&r);
        if (progress_due(&progress)) {
            progress_show(&progress, "%" PRId64 " appeals, %.0f %% of %s", c->appeals,
                          100 * jsonl_fraction(j), path);
        }
    }
    progress_end(&progress);
    jsonl_close(j);
    return more;
}

/* ---- storing */

/* The pieces of a theme's key. */
static void split_theme(struct str key, struct str parts[3])
{
    for (int i = 0; i < 3; i++) {
        const char *end = memchr(key.p, SEPARATOR, key.n);
        size_t n = end == NULL ? key.n : (size_t)(end - key.p);
        parts[i] = (struct str){ key.p, n };
        key.p += n + (end != NULL);
        key.n -= n + (end != NULL);
    }
}

/* Runs WHICH with the region and N arrays as parameters, and frees the arrays. */
static PGresult *ask_arrays(struct catalogue *c, enum otklik_query which, struct pg_array *arrays,
                            size_t n)
{
    const char *params[8] = { c->region };
    int ok = 1;
    for (size_t i = 0; i < n; i++) {
        params[i + 1] = pg_array_end(&arrays[i]);
        ok = ok && params[i + 1] != NULL;
    }
    PGresult *res = NULL;
    if (ok) {
        res = database_ask(c->db, NULL, which, params);
    } else {
        cli_error("no memory");
    }
    for (size_t i = 0; i < n; i++) {
        pg_array_free(&arrays[i]);
    }
    memset(arrays, 0, n * sizeof(*arrays));
    return res;
}

/* Takes the ids in column 0, in the order of the numbers, and says how many rows column 1 calls
 * new. */
static int take_ids(PGresult *res, size_t n, int32_t **ids, const char *what)
{
    if (res == NULL) {
        return -1;
    }
    if ((size_t)PQntuples(res) != n) {
        cli_error("the database gave %d ids for %zu %s", PQntuples(res), n, what);
        PQclear(res);
        return -1;
    }
    size_t added = 0;
    *ids = cli_alloc(n * sizeof(**ids));
    for (size_t i = 0; i < n; i++) {
        (*ids)[i] = (int32_t)strtol(PQgetvalue(res, (int)i, 0), NULL, 10);
        added += PQgetvalue(res, (int)i, 1)[0] == 't';
    }
    PQclear(res);
    printf("%-14s %zu, %zu of them new\n", what, n, added);
    return 0;
}

static int store_themes(struct catalogue *c)
{
    struct pg_array arrays[4];
    memset(arrays, 0, sizeof(arrays));
    for (size_t i = 0; i < 4; i++) {
        pg_array_begin(&arrays[i]);
    }
    size_t n = names_count(c->themes);
    for (size_t i = 0; i < n; i++) {
        struct str parts[3];
        char code[TEXT_CODE];
        split_theme(names_text(c->themes, i), parts);
        text_code(parts[0], parts[1], parts[2], code);
        pg_array_add(&arrays[0], str_of(code));
        for (size_t k = 0; k < 3; k++) {
            pg_array_add(&arrays[1 + k], parts[k]);
        }
    }
    return take_ids(ask_arrays(c, QUERY_OTKLIK_CATALOGUE_THEMES, arrays, 4), n, &c->theme_ids,
                    "themes");
}

static int store_bodies(struct catalogue *c)
{
    struct pg_array names = { 0 };
    pg_array_begin(&names);
    size_t n = names_count(c->bodies);
    for (size_t i = 0; i < n; i++) {
        pg_array_add(&names, names_text(c->bodies, i));
    }
    return take_ids(ask_arrays(c, QUERY_OTKLIK_CATALOGUE_BODIES, &names, 1), n, &c->body_ids,
                    "bodies");
}

/* Takes the places of the file that the region knows by name. */
static void name_places(struct catalogue *c)
{
    size_t n = names_count(c->municipalities), known = 0;
    c->municipality_ids = cli_alloc(n * sizeof(*c->municipality_ids));
    for (size_t i = 0; i < n; i++) {
        c->municipality_ids[i] = known_place(c, names_text(c->municipalities, i));
        known += c->municipality_ids[i] != 0;
    }
    printf("%-14s %zu named in the file, %zu of them known by name\n", "municipalities", n, known);
}

/* Boundaries and appeals may be of different years, and places are renamed: one whose points nearly
 * all lie in one municipality is that one. */
static int point_places(struct catalogue *c)
{
    PGresult *res = ask_arrays(c, QUERY_OTKLIK_CATALOGUE_PLACES, c->points, 3);
    if (res == NULL) {
        return -1;
    }
    for (int i = 0; i < PQntuples(res); i++) {
        size_t place = (size_t)strtol(PQgetvalue(res, i, 0), NULL, 10);
        long inside = strtol(PQgetvalue(res, i, 3), NULL, 10);
        long all = strtol(PQgetvalue(res, i, 4), NULL, 10);
        int found = all >= POINTS_FEW && inside * 10 >= all * 9;
        const char *name = names_text(c->municipalities, place).p;
        if (found) {
            c->municipality_ids[place] = (int32_t)strtol(PQgetvalue(res, i, 1), NULL, 10);
            printf("%-14s %s is %s: %ld of %ld points lie there\n", "", name, PQgetvalue(res, i, 2),
                   inside, all);
        } else {
            printf("%-14s %s (%" PRId64 " appeals): not known, left out of the routing table\n", "",
                   name, names_times(c->municipalities, place));
        }
    }
    PQclear(res);
    return 0;
}

static int store_rules(struct catalogue *c)
{
    struct pg_array arrays[4];
    memset(arrays, 0, sizeof(arrays));
    for (size_t i = 0; i < 4; i++) {
        pg_array_begin(&arrays[i]);
    }
    for (size_t i = 0; i < names_count(c->trios); i++) {
        char *p = (char *)names_text(c->trios, i).p;
        long place = strtol(p, &p, 10), theme = strtol(p, &p, 10), body = strtol(p, &p, 10);
        add_number(&arrays[0], place < 0 ? 0 : c->municipality_ids[place]);
        add_number(&arrays[1], theme < 0 ? 0 : c->theme_ids[theme]);
        add_number(&arrays[2], c->body_ids[body]);
        add_number(&arrays[3], names_times(c->trios, i));
    }
    PGresult *res = ask_arrays(c, QUERY_OTKLIK_CATALOGUE_RULES, arrays, 4);
    if (res == NULL) {
        return -1;
    }
    printf("%-14s %s, %s of them new, %s changed\n", "routing rules", PQgetvalue(res, 0, 0),
           PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2));
    PQclear(res);
    return 0;
}

/* What every region needs before anything can be routed: a centre and common deadlines. */
static int store_basics(struct catalogue *c)
{
    PGresult *res = database_ask(c->db, NULL, QUERY_OTKLIK_CATALOGUE_BASICS,
                                 (const char *const[]){ c->region });
    if (res == NULL) {
        return -1;
    }
    if (PQgetvalue(res, 0, 0)[0] != '\0') {
        printf("%-14s %s: made, since the region had none\n", "centre", PQgetvalue(res, 0, 0));
    }
    if (PQgetvalue(res, 0, 1)[0] != '\0') {
        printf("%-14s %s: made, since the region had none; look at their numbers\n",
               "deadline rules", PQgetvalue(res, 0, 1));
    }
    PQclear(res);
    return 0;
}

static int store(struct catalogue *c)
{
    name_places(c);
    int ok = database_command(c->db, "begin") == 0 && store_basics(c) == 0 &&
             store_themes(c) == 0 && store_bodies(c) == 0 && point_places(c) == 0 &&
             store_rules(c) == 0 && database_tell(c->db) == 0 &&
             database_command(c->db, "commit") == 0;
    if (!ok) {
        return -1;
    }
    printf("%-14s %" PRId64 " read, %" PRId64 " without a theme, %" PRId64 " without a body\n",
           "appeals", c->appeals, c->without_theme, c->without_body);
    return 0;
}

static int run(const void *settings, char *const *arguments)
{
    const struct settings *s = settings;
    struct catalogue c = { .themes = names_new(),
                           .bodies = names_new(),
                           .municipalities = names_new(),
                           .trios = names_new(),
                           .known = names_new() };
    for (size_t i = 0; i < 3; i++) {
        pg_array_begin(&c.points[i]);
    }
    snprintf(c.region, sizeof(c.region), "%" PRId64, s->region);
    c.db = database_open();
    int ok = c.db != NULL && database_region(c.db, s->region) == 0 && read_known(&c) == 0 &&
             read_file(&c, arguments[0]) == 0 && store(&c) == 0;
    PQfinish(c.db);
    names_free(c.themes);
    names_free(c.bodies);
    names_free(c.municipalities);
    names_free(c.trios);
    names_free(c.known);
    free(c.known_ids);
    for (size_t i = 0; i < 3; i++) {
        pg_array_free(&c.points[i]);
    }
    free(c.theme_ids);
    free(c.body_ids);
    free(c.municipality_ids);
    return ok ? CLI_OK : CLI_ERROR;
}

static const struct option_row options[] = {
    { .name = "region",
      .kind = OPTION_NUMBER,
      .offset = offsetof(struct settings, region),
      .value = "N",
      .help = "number of the region, such as 78",
      .required = 1,
      .min = 1,
      .max = 99 },
    { .name = NULL },
};

const struct command command_import_catalogue = {
    .name = "import catalogue",
    .arguments = "FILE.jsonl[.gz]",
    .summary = "Themes, bodies and routing out of published appeals",
    .details =
        "Reads appeals, one JSON object a line, and stores each different (object, category, reason) as a theme, each\n"
        "different executor as a body, and as routing table the body that most often answered for (municipality,\n"
        "theme), for the theme, and for the municipality. Import the boundaries first: municipalities are matched by\n"
        "name. A centre and common deadlines are made if the region has none. All in one transaction; running it\n"
        "again changes nothing.",
    .options = options,
    .settings_size = sizeof(struct settings),
    .narguments = 1,
    .run = run,
};
