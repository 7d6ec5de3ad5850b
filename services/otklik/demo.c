/* otklik demo load: a region's dictionaries out of a folder of tables, conf/demo by default. */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "boundaries.h"
#include "commands.h"
#include "database.h"
#include "places.h"
#include "tsv.h"

struct settings {
    const char *dir;
    int64_t region;
};

enum { COLUMNS = 12 };

/* A table of the folder: its file, columns, and the statement that stores a row: $1 is the region,
 * then the columns. It answers whether every name in the row is known, and whether the row was
 * added or changed. */
static const struct table {
    const char *file;
    const char *what;
    enum otklik_query put;
    int optional;        /* a folder may be without it */
    const char *unknown; /* what a name in the row may fail to be */
    const char *columns[COLUMNS];
} tables[] = {
    { "bodies.tsv",
      "bodies",
      QUERY_OTKLIK_PUT_BODY,
      0,
      "municipality",
      { "name_ru", "name_en", "centre", "municipality", NULL } },
    { "deadline_rules.tsv",
      "deadline rules",
      QUERY_OTKLIK_PUT_DEADLINE_RULE,
      0,
      "",
      { "code", "name_ru", "name_en", "legal_class", "common", "first_amount", "first_unit",
        "final_amount", "final_unit", NULL } },
    { "themes.tsv",
      "themes",
      QUERY_OTKLIK_PUT_THEME,
      0,
      "deadline rule",
      { "code", "object_ru", "object_en", "group_ru", "group_en", "name_ru", "name_en",
        "deadline_rule", "keywords", NULL } },
    { "attributes.tsv",
      "attributes",
      QUERY_OTKLIK_PUT_ATTRIBUTE,
      1,
      "theme",
      { "theme", "code", "position", "datatype", "required", "name_ru", "name_en", "hint_ru",
        "hint_en", "options", NULL } },
    { "routing.tsv",
      "routing rules",
      QUERY_OTKLIK_PUT_ROUTING_RULE,
      0,
      "municipality, theme or body",
      { "municipality", "theme", "body", NULL } },
};

/* Stores every row of one table. */
static int load_table(PGconn *db, const char *dir, const char *region, const struct table *table)
{
    char *path = cli_printf("%s/%s", dir, table->file);
    if (table->optional && access(path, F_OK) != 0 && errno == ENOENT) {
        free(path);
        return 0;
    }
    struct tsv *t = tsv_open(path, table->columns);
    const char *params[COLUMNS + 1] = { region };
    int rows = 0, added = 0, changed = 0, more = t == NULL ? -1 : 1;
    while (more > 0 && (more = tsv_next(t, params + 1)) > 0) {
        PGresult *res = database_ask(db, tsv_place(t), table->put, params);
        if (res == NULL) {
            more = -1;
        } else if (PQgetvalue(res, 0, 0)[0] != 't') {
            cli_error("%s: names a %s that is not known", tsv_place(t), table->unknown);
            more = -1;
        } else {
            rows++;
            added += strcmp(PQgetvalue(res, 0, 1), "added") == 0;
            changed += strcmp(PQgetvalue(res, 0, 1), "changed") == 0;
        }
        PQclear(res);
    }
    tsv_close(t);
    if (more == 0) {
        printf("%s: %d %s (%d added, %d changed)\n", path, rows, table->what, added, changed);
    }
    free(path);
    return more;
}

static int load(PGconn *db, const char *dir, int64_t region)
{
    char number[24];
    snprintf(number, sizeof(number), "%" PRId64, region);
    if (database_region(db, region) != 0 || database_command(db, "begin") != 0) {
        return -1;
    }
    char *boundaries = cli_printf("%s/boundaries.geojson", dir);
    int status = boundaries_import(db, boundaries, region, NULL, 1);
    free(boundaries);
    char *places = cli_printf("%s/places.tsv", dir);
    if (status == 0 && access(places, F_OK) == 0) { /* a folder may be without it */
        status = places_import(db, places, region);
    }
    free(places);
    for (size_t i = 0; status == 0 && i < sizeof(tables) / sizeof(tables[0]); i++) {
        status = load_table(db, dir, number, &tables[i]);
    }
    return status == 0 && database_tell(db) == 0 ? database_command(db, "commit") : -1;
}

static int run(const void *settings, char *const *arguments)
{
    const struct settings *s = settings;
    (void)arguments;
    char *dir = s->dir != NULL ? cli_printf("%s", s->dir) : cli_folder("demo", "conf/demo");
    PGconn *db = database_open();
    int ok = db != NULL && load(db, dir, s->region) == 0;
    PQfinish(db);
    free(dir);
    return ok ? CLI_OK : CLI_ERROR;
}

static const struct option_row options[] = {
    { .name = "dir",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct settings, dir),
      .value = "DIR",
      .help = "the folder; share/otklik/demo by default" },
    { .name = "region",
      .kind = OPTION_NUMBER,
      .offset = offsetof(struct settings, region),
      .value = "N",
      .help = "number of the region; 90, the demo region, by default",
      .min = 1,
      .max = 99,
      .fallback = 90 },
    { .name = NULL },
};

const struct command command_demo_load = {
    .name = "demo load",
    .arguments = "",
    .summary = "Dictionaries of the demo region, or of another out of a folder",
    .details =
        "Loads boundaries, places, bodies, deadline rules, themes and the routing table out of a folder of GeoJSON and TSV files,\n"
        "in one transaction. What exists under the same name or code is brought up to date, nothing is deleted; running\n"
        "it again changes nothing. The folder's README.md describes the files: start a region from a copy of it.",
    .options = options,
    .settings_size = sizeof(struct settings),
    .run = run,
};
