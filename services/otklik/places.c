/* otklik import places: settlements, streets and houses of a region out of a table.
 *
 * Rows go to the database a thousand at a time. What a row says wrongly is named with its line, and
 * then nothing is stored at all. */
#include "places.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "database.h"
#include "progress.h"
#include "text.h"
#include "tsv.h"

enum {
    ROWS = 1000, /* of a statement */
    NAMED = 20   /* rows outside of all boundaries that are named; the others are counted */
};

/* Columns of the file, in the order of the statement's arrays from $3 on. */
enum column { MUNICIPALITY, SETTLEMENT, STREET, HOUSE, LAT, LON, COLUMNS };
static const char *const columns[] = { "municipality", "settlement", "street", "house",
                                       "lat",          "lon",        NULL };

struct import {
    PGconn *db;
    const char *path;
    char region[24];
    struct pg_array lines, cells[COLUMNS];
    size_t n; /* rows in the arrays */
    size_t rows, added, changed, outside, twice;
};

static void begin_arrays(struct import *m)
{
    m->n = 0;
    pg_array_begin(&m->lines);
    for (size_t i = 0; i < COLUMNS; i++) {
        pg_array_begin(&m->cells[i]);
    }
}

static void free_arrays(struct import *m)
{
    pg_array_free(&m->lines);
    for (size_t i = 0; i < COLUMNS; i++) {
        pg_array_free(&m->cells[i]);
    }
}

/* What the database says of a row it has not stored; -1: it ends the import. */
static int take_refusal(struct import *m, const PGresult *res, int row)
{
    const char *line = PQgetvalue(res, row, 0), *why = PQgetvalue(res, row, 1);
    if (strcmp(why, "unknown") == 0) {
        cli_error("%s:%s: there is no municipality \"%s\"", m->path, line, PQgetvalue(res, row, 2));
        return -1;
    }
    if (strcmp(why, "twice") == 0) {
        m->twice++;
        return 0;
    }
    if (m->outside++ < NAMED) {
        printf("left out %s:%s: it lies in no municipality\n", m->path, line);
    }
    return 0;
}

static int send_rows(struct import *m)
{
    const char *params[2 + COLUMNS] = { m->region, pg_array_end(&m->lines) };
    int whole = params[1] != NULL;
    for (size_t i = 0; i < COLUMNS; i++) {
        params[2 + i] = pg_array_end(&m->cells[i]);
        whole = whole && params[2 + i] != NULL;
    }
    if (!whole) {
        cli_error("no memory");
        return -1;
    }
    PGresult *res = database_ask(m->db, m->path, QUERY_OTKLIK_PUT_PLACES, params);
    if (res == NULL) {
        return -1;
    }
    int status = 0;
    m->added += strtoul(PQgetvalue(res, 0, 3), NULL, 10);
    m->changed += strtoul(PQgetvalue(res, 0, 4), NULL, 10);
    for (int row = 1; row < PQntuples(res) && status == 0; row++) {
        status = take_refusal(m, res, row);
    }
    PQclear(res);
    begin_arrays(m);
    return status;
}

/* Is CELL a number of degrees up to MOST? */
static int is_degrees(const char *cell, double most)
{
    char *end;
    double value = strtod(cell, &end);
    return end != cell && *end == '\0' && isfinite(value) && fabs(value) <= most;
}

/* CLI_OK, or CLI_ERROR after a message. */
static int check_row(const struct tsv *t, const char *const *cells)
{
    if (cells[SETTLEMENT] == NULL && cells[STREET] == NULL) {
        return cli_error("%s: neither a settlement nor a street", tsv_place(t));
    }
    if (cells[HOUSE] != NULL && cells[STREET] == NULL) {
        return cli_error("%s: a house without a street", tsv_place(t));
    }
    if (cells[LAT] == NULL || !is_degrees(cells[LAT], 90)) {
        return cli_error("%s: lat must be degrees from -90 to 90", tsv_place(t));
    }
    if (cells[LON] == NULL || !is_degrees(cells[LON], 180)) {
        return cli_error("%s: lon must be degrees from -180 to 180", tsv_place(t));
    }
    return CLI_OK;
}

static void add_row(struct import *m, const struct tsv *t, const char *const *cells)
{
    char name[TEXT_NAME];
    pg_array_add(&m->lines, str_of(strrchr(tsv_place(t), ':') + 1));
    for (size_t i = 0; i < COLUMNS; i++) {
        if (cells[i] == NULL) {
            pg_array_add_null(&m->cells[i]);
        } else {
            pg_array_add(&m->cells[i], text_name(str_of(cells[i]), name, sizeof(name)));
        }
    }
    m->n++;
    m->rows++;
}

static int read_rows(struct import *m, struct tsv *t)
{
    const char *cells[COLUMNS];
    struct progress progress = progress_begin(1);
    int more;
    while ((more = tsv_next(t, cells)) > 0) {
        if (check_row(t, cells) != CLI_OK) {
            more = -1;
            break;
        }
        add_row(m, t, cells);
        if (m->n == ROWS && send_rows(m) != 0) {
            more = -1;
            break;
        }
        if (progress_due(&progress)) {
            progress_show(&progress, "%zu places, %.0f %% of %s", m->rows, 100 * tsv_fraction(t),
                          m->path);
        }
    }
    progress_end(&progress);
    return more == 0 && m->n > 0 ? send_rows(m) : more;
}

int places_import(PGconn *db, const char *path, int64_t region)
{
    struct import m = { .db = db, .path = path };
    snprintf(m.region, sizeof(m.region), "%" PRId64, region);
    struct tsv *t = tsv_open(path, columns);
    if (t == NULL) {
        return -1;
    }
    begin_arrays(&m);
    int status = read_rows(&m, t);
    free_arrays(&m);
    tsv_close(t);
    if (status == 0) {
        printf("%s: %zu places (%zu added, %zu changed, %zu outside of all municipalities, "
               "%zu said twice)\n",
               path, m.rows, m.added, m.changed, m.outside, m.twice);
    }
    return status;
}

struct settings {
    int64_t region;
};

static int run(const void *settings, char *const *arguments)
{
    const struct settings *s = settings;
    PGconn *db = database_open();
    if (db == NULL) {
        return CLI_ERROR;
    }
    int ok = database_region(db, s->region) == 0 && database_command(db, "begin") == 0 &&
             places_import(db, arguments[0], s->region) == 0 && database_command(db, "commit") == 0;
    PQfinish(db);
    return ok ? CLI_OK : CLI_ERROR;
}

static const struct option_row options[] = {
    { .name = "region",
      .kind = OPTION_NUMBER,
      .offset = offsetof(struct settings, region),
      .value = "N",
      .help = "number of the region, such as 67",
      .required = 1,
      .min = 1,
      .max = 99 },
    { .name = NULL },
};

const struct command command_import_places = {
    .name = "import places",
    .arguments = "FILE.tsv",
    .summary = "Settlements, streets and houses of a region out of a table",
    .details =
        "Stores each row as a place that residents can find by its name: municipality, settlement, street, house, lat,\n"
        "lon, separated by tabs, the first line naming the columns. Without a house it is a street, without a street a\n"
        "settlement; without a municipality it belongs to the one whose boundary covers its point. All in one\n"
        "transaction. One that is there already gets the new point; what the file does not have is kept.",
    .options = options,
    .settings_size = sizeof(struct settings),
    .narguments = 1,
    .run = run,
};
