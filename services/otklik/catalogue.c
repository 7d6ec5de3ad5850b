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

enum { NAME_BYTES = 1000 };

#define SEPARATOR '\x1f' /* between the parts of a key */

struct catalogue {
    PGconn *db;
    char region[24];
    struct names *themes; /* object, group, name */
    struct names *bodies;
    struct names *municipalities; /* as the file writes them */
    struct names *trios;          /* "municipality theme body", by number; - for none */
    int64_t appeals, without_theme, without_body;
    int32_t *theme_ids, *body_ids, *municipality_ids; /* by number; 0: none */
    size_t places_known;
};

/* ---- reading */

static struct str tidy(struct str s, char *out)
{
    size_t n = s.n < NAME_BYTES ? s.n : NAME_BYTES - 1;
    while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80) {
        n--;
    }
    memcpy(out, s.p, n);
    out[n] = '\0';
    n = text_tidy(out, n);
    text_clean(out, n);
    return (struct str){ out, n };
}

/* Number of a body or place in its table; SIZE_MAX if the appeal names none. */
static size_t number_of(struct names *table, struct str name)
{
    char tidied[NAME_BYTES];
    struct str t = name.n == 0 ? name : tidy(name, tidied);
    return t.n == 0 ? SIZE_MAX : names_add(table, t);
}

static size_t theme_of(struct catalogue *c, const struct record *r)
{
    char object[NAME_BYTES], group[NAME_BYTES], name[NAME_BYTES], key[3 * NAME_BYTES];
    if (r->category.n == 0 || r->reason.n == 0) {
        return SIZE_MAX;
    }
    struct str o = r->object.n == 0 ? STR("") : tidy(r->object, object);
    int n = snprintf(key, sizeof(key), "%s%c%s%c%s", o.p, SEPARATOR, tidy(r->category, group).p,
                     SEPARATOR, tidy(r->reason, name).p);
    return names_add(c->themes, (struct str){ key, (size_t)n });
}

static void count_appeal(struct catalogue *c, const struct record *r)
{
    size_t theme = theme_of(c, r);
    size_t body = number_of(c->bodies, r->executor);
    size_t place = number_of(c->municipalities, r->municipality);
    c->appeals++;
    c->without_theme += theme == SIZE_MAX;
    c->without_body += body == SIZE_MAX;
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

static void add_number(struct pg_array *a, int64_t number)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%" PRId64, number);
    pg_array_add(a, (struct str){ text, (size_t)n });
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

/* Which of the file's places the region has: by their names without differences of spelling. A
 * spelling that two municipalities share belongs to neither. */
static int find_places(struct catalogue *c)
{
    enum { FOLDED = 512 };
    PGresult *res =
        database_ask(c->db, NULL, QUERY_OTKLIK_MUNICIPALITIES, (const char *const[]){ c->region });
    if (res == NULL) {
        return -1;
    }
    struct names *folded = names_new();
    size_t rows = (size_t)PQntuples(res);
    int32_t *ids = cli_alloc((rows + 1) * sizeof(*ids));
    char text[FOLDED];
    for (size_t i = 0; i < rows; i++) {
        text_fold(str_of(PQgetvalue(res, (int)i, 1)), text, sizeof(text));
        size_t number = names_add(folded, str_of(text));
        ids[number] = names_times(folded, number) > 1
                          ? 0
                          : (int32_t)strtol(PQgetvalue(res, (int)i, 0), NULL, 10);
    }
    PQclear(res);
    size_t n = names_count(c->municipalities);
    c->municipality_ids = cli_alloc(n * sizeof(*c->municipality_ids));
    for (size_t i = 0; i < n; i++) {
        struct str name = names_text(c->municipalities, i);
        text_fold(name, text, sizeof(text));
        size_t number = names_find(folded, str_of(text));
        c->municipality_ids[i] = number == SIZE_MAX ? 0 : ids[number];
        c->places_known += c->municipality_ids[i] != 0;
        if (c->municipality_ids[i] == 0 && rows > 0) {
            printf("%-14s %s (%" PRId64 " appeals): the region has no municipality of that name\n",
                   "no place", name.p, names_times(c->municipalities, i));
        }
    }
    printf("%-14s %zu named in the file, %zu of them known\n", "municipalities", n,
           c->places_known);
    free(ids);
    names_free(folded);
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
    int ok = database_command(c->db, "begin") == 0 && store_basics(c) == 0 &&
             store_themes(c) == 0 && store_bodies(c) == 0 && find_places(c) == 0 &&
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
                           .trios = names_new() };
    snprintf(c.region, sizeof(c.region), "%" PRId64, s->region);
    c.db = database_open();
    int ok = c.db != NULL && database_region(c.db, s->region) == 0 &&
             read_file(&c, arguments[0]) == 0 && store(&c) == 0;
    PQfinish(c.db);
    names_free(c.themes);
    names_free(c.bodies);
    names_free(c.municipalities);
    names_free(c.trios);
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
