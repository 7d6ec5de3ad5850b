/* otklik import boundaries: municipalities out of a GeoJSON FeatureCollection, mended where the
 * geometry is invalid.
 *
 * The file is read once by a parser that remembers where a feature's geometry begins and ends; that
 * stretch of the file goes to PostGIS as it is. So nothing of ours converts coordinates. */
#include "boundaries.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <yajl/yajl_parse.h>

#include "commands.h"
#include "database.h"
#include "names.h"
#include "progress.h"
#include "text.h"

enum { FILE_MAX = 1 << 30, NAME_MAX_BYTES = 400 };

/* Where names are looked for, the best first. */
static const char *const name_properties[] = { "name_ru", "name:ru", "district", "name", NULL };
static const char *const english_properties[] = { "name_en", "name:en", NULL };

/* What of the file is being read; depth counts open braces and brackets. */
enum {
    DEPTH_FILE = 1,     /* {"type": …, "features": … */
    DEPTH_FEATURES = 2, /* [ */
    DEPTH_FEATURE = 3,  /* {"properties": …, "geometry": … */
    DEPTH_MEMBER = 4    /* inside properties or geometry */
};

struct import {
    PGconn *db;
    const char *path;
    const char *property;
    char region[24];
    int quiet;

    struct str file;
    yajl_handle parser;
    size_t line_at, line; /* lines are counted up to here */
    int depth;
    char key[2][64]; /* the last key at DEPTH_FILE and at DEPTH_FEATURE */
    char member[64]; /* the last key of properties, or of crs.properties */
    int is_collection;

    /* the present feature */
    size_t feature; /* its number, from 1 */
    size_t begins;  /* byte */
    size_t geometry, geometry_end;
    char name[NAME_MAX_BYTES], english[NAME_MAX_BYTES];
    int name_rank, english_rank; /* place in the list of properties it came from */

    struct names *seen;
    struct progress progress;
    size_t valid, mended, added, changed, same;
    int failed; /* the message is out */
};

/* Line of a byte of the file; bytes are asked for in rising order. */
static size_t line_of(struct import *m, size_t at)
{
    for (; m->line_at < at; m->line_at++) {
        m->line += m->file.p[m->line_at] == '\n';
    }
    return m->line;
}

static int refuse(struct import *m, const char *why)
{
    cli_error("%s:%zu: feature %zu%s%s%s: %s", m->path, line_of(m, m->begins), m->feature,
              m->name[0] == '\0' ? "" : " (", m->name, m->name[0] == '\0' ? "" : ")", why);
    m->failed = 1;
    return 0;
}

static const struct {
    const char *outcome;
    const char *why;
} refusals[] = {
    { "not_polygon", "a municipality is a Polygon or a MultiPolygon, and this is not" },
    { "not_degrees", "coordinates beyond 180 or 90: not degrees of WGS 84" },
    { "crs", "the geometry names another coordinate system than WGS 84" },
    { "empty", "nothing is left of the geometry when it is mended" },
};

/* One line about what was done. */
static void report(struct import *m, const PGresult *res, const char *outcome)
{
    int is_valid = PQgetvalue(res, 0, 1)[0] == 't';
    double before = strtod(PQgetvalue(res, 0, 3), NULL);
    double after = strtod(PQgetvalue(res, 0, 4), NULL);
    const char *parts = PQgetvalue(res, 0, 5);
    if (is_valid) {
        printf("%-8s %s: valid, %.2f km2, %s part%s\n", outcome, m->name, after, parts,
               strcmp(parts, "1") == 0 ? "" : "s");
    } else {
        printf("%-8s %s: mended (%s), %.2f -> %.2f km2, %s part%s\n", outcome, m->name,
               PQgetvalue(res, 0, 2), before, after, parts, strcmp(parts, "1") == 0 ? "" : "s");
    }
}

/* Sends the feature to the database. */
static int store(struct import *m)
{
    char *geometry =
        cli_printf("%.*s", (int)(m->geometry_end - m->geometry), m->file.p + m->geometry);
    char *place =
        cli_printf("%s:%zu: feature %zu (%s)", m->path, line_of(m, m->begins), m->feature, m->name);
    PGresult *res =
        database_ask(m->db, place, QUERY_OTKLIK_BOUNDARY_PUT,
                     (const char *const[]){ m->region, m->name,
                                            m->english[0] == '\0' ? NULL : m->english, geometry });
    free(place);
    free(geometry);
    if (res == NULL) {
        m->failed = 1;
        return 0;
    }
    const char *outcome = PQgetvalue(res, 0, 0);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (strcmp(outcome, refusals[i].outcome) == 0) {
            PQclear(res);
            return refuse(m, refusals[i].why);
        }
    }
    *(PQgetvalue(res, 0, 1)[0] == 't' ? &m->valid : &m->mended) += 1;
    *(outcome[0] == 'a' ? &m->added : outcome[0] == 'c' ? &m->changed : &m->same) += 1;
    if (!m->quiet) {
        report(m, res, outcome);
    }
    PQclear(res);
    return 1;
}

static int end_feature(struct import *m)
{
    if (m->geometry == 0) {
        return refuse(m, "no geometry");
    }
    text_tidy(m->name, strlen(m->name));
    text_tidy(m->english, strlen(m->english));
    if (m->name[0] == '\0') {
        return refuse(m, m->property != NULL
                             ? "has not the property that --name asks for"
                             : "has none of the properties name_ru, name:ru, district, "
                               "name; say with --name which one to take");
    }
    if (names_find(m->seen, str_of(m->name)) != SIZE_MAX) {
        return refuse(m, "an earlier feature has the same name");
    }
    names_add(m->seen, str_of(m->name));
    if (!store(m)) {
        return 0;
    }
    if (progress_due(&m->progress)) {
        progress_show(&m->progress, "%zu features, %.0f %% of %s", m->feature,
                      100.0 * (double)m->geometry_end / (double)m->file.n, m->path);
    }
    return 1;
}

/* ---- what the parser calls */

static size_t here(const struct import *m)
{
    return yajl_get_bytes_consumed(m->parser);
}

static int inside_features(const struct import *m)
{
    return m->depth >= DEPTH_FEATURES && strcmp(m->key[0], "features") == 0;
}

static int begin_any(struct import *m)
{
    m->depth++;
    if (!inside_features(m)) {
        return 1;
    }
    if (m->depth == DEPTH_MEMBER && strcmp(m->key[1], "geometry") == 0) {
        m->geometry = here(m) - 1;
    }
    return 1;
}

static int end_any(struct import *m)
{
    if (inside_features(m) && m->depth == DEPTH_MEMBER && strcmp(m->key[1], "geometry") == 0) {
        m->geometry_end = here(m);
    }
    m->depth--;
    return 1;
}

static int on_start_map(void *data)
{
    struct import *m = data;
    begin_any(m);
    if (inside_features(m) && m->depth == DEPTH_FEATURE) {
        m->feature++;
        m->begins = here(m) - 1;
        m->geometry = m->geometry_end = 0;
        m->name[0] = m->english[0] = '\0';
        m->name_rank = m->english_rank = 99;
        m->key[1][0] = '\0';
    }
    return 1;
}

static int on_end_map(void *data)
{
    struct import *m = data;
    end_any(m);
    if (inside_features(m) && m->depth == DEPTH_FEATURES) {
        return end_feature(m);
    }
    return 1;
}

static int on_start_array(void *data)
{
    return begin_any(data);
}

static int on_end_array(void *data)
{
    return end_any(data);
}

static int on_key(void *data, const unsigned char *p, size_t n)
{
    struct import *m = data;
    char *key = m->depth == DEPTH_FILE                            ? m->key[0]
                : inside_features(m) && m->depth == DEPTH_FEATURE ? m->key[1]
                                                                  : m->member;
    if (n >= sizeof(m->member)) {
        n = sizeof(m->member) - 1; /* none that we look for is as long */
    }
    memcpy(key, p, n);
    key[n] = '\0';
    return 1;
}

/* Keeps a property's value if no better one was there before. */
static void take_name(const char *const *list, const char *member, struct str value, char *out,
                      int *rank)
{
    for (int i = 0; i < *rank && list[i] != NULL; i++) {
        if (strcmp(member, list[i]) == 0 && value.n > 0 && value.n < NAME_MAX_BYTES) {
            memcpy(out, value.p, value.n);
            out[value.n] = '\0';
            *rank = i;
        }
    }
}

static int on_string(void *data, const unsigned char *p, size_t n)
{
    struct import *m = data;
    struct str value = { (const char *)p, n };
    if (m->depth == DEPTH_FILE && strcmp(m->key[0], "type") == 0) {
        m->is_collection = str_eq(value, STR("FeatureCollection"));
    } else if (strcmp(m->key[0], "crs") == 0 && strcmp(m->member, "name") == 0) {
        if (memmem(p, n, "CRS84", 5) == NULL && memmem(p, n, "4326", 4) == NULL) {
            m->begins = here(m);
            cli_error("%s:%zu: coordinates in %.*s; only WGS 84 (RFC 7946) can be imported",
                      m->path, line_of(m, m->begins), (int)n, (const char *)p);
            m->failed = 1;
            return 0;
        }
    } else if (inside_features(m) && m->depth == DEPTH_MEMBER &&
               strcmp(m->key[1], "properties") == 0) {
        const char *const own[] = { m->property, NULL };
        take_name(m->property != NULL ? own : name_properties, m->member, value, m->name,
                  &m->name_rank);
        take_name(english_properties, m->member, value, m->english, &m->english_rank);
    }
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_start_map = on_start_map,
    .yajl_end_map = on_end_map,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end_array,
    .yajl_map_key = on_key,
    .yajl_string = on_string,
};

/* ---- the whole file */

static void complain(struct import *m)
{
    size_t at = here(m);
    unsigned char *why = yajl_get_error(m->parser, 0, NULL, 0);
    cli_error("%s:%zu: broken JSON: %.*s", m->path, line_of(m, at < m->file.n ? at : m->file.n),
              (int)strcspn((const char *)why, "\n"), (const char *)why);
    yajl_free_error(m->parser, why);
}

static int parse(struct import *m)
{
    m->parser = yajl_alloc(&callbacks, NULL, m);
    if (m->parser == NULL) {
        cli_error("no memory");
        return -1;
    }
    yajl_status status = yajl_parse(m->parser, (const unsigned char *)m->file.p, m->file.n);
    if (status == yajl_status_ok) {
        status = yajl_complete_parse(m->parser);
    }
    if (status != yajl_status_ok && !m->failed) {
        complain(m);
        m->failed = 1;
    }
    yajl_free(m->parser);
    return m->failed ? -1 : 0;
}

/* Municipalities that the file no longer has stay: appeals point at them. */
static int report_vanished(struct import *m)
{
    struct pg_array names = { 0 };
    pg_array_begin(&names);
    for (size_t i = 0; i < names_count(m->seen); i++) {
        pg_array_add(&names, names_text(m->seen, i));
    }
    const char *list = pg_array_end(&names);
    PGresult *res = list == NULL ? NULL
                                 : database_ask(m->db, m->path, QUERY_OTKLIK_BOUNDARY_VANISHED,
                                                (const char *const[]){ m->region, list });
    pg_array_free(&names);
    for (int i = 0; i < PQntuples(res); i++) {
        printf("kept     %s: not in the file\n", PQgetvalue(res, i, 0));
    }
    PQclear(res);
    return res == NULL ? -1 : 0;
}

static int report_overlaps(struct import *m)
{
    PGresult *res = database_ask(m->db, m->path, QUERY_OTKLIK_BOUNDARY_OVERLAPS,
                                 (const char *const[]){ m->region });
    for (int i = 0; i < PQntuples(res); i++) {
        printf("overlap  %s and %s share %.2f km2: a point there belongs to the smaller one\n",
               PQgetvalue(res, i, 0), PQgetvalue(res, i, 1), strtod(PQgetvalue(res, i, 2), NULL));
    }
    PQclear(res);
    return res == NULL ? -1 : 0;
}

/* What the map of the region shows. */
static int draw_outlines(struct import *m)
{
    PGresult *res = database_ask(m->db, m->path, QUERY_OTKLIK_BOUNDARY_OUTLINES,
                                 (const char *const[]){ m->region });
    PQclear(res);
    return res == NULL ? -1 : 0;
}

int boundaries_import(PGconn *db, const char *path, int64_t region, const char *property, int quiet)
{
    struct import m = { .db = db,
                        .path = path,
                        .property = property,
                        .quiet = quiet,
                        .line = 1,
                        .progress = progress_begin(1) };
    snprintf(m.region, sizeof(m.region), "%" PRId64, region);
    m.file = cli_read_file(path, FILE_MAX);
    if (m.file.p == NULL) {
        return -1;
    }
    m.seen = names_new();
    int status = parse(&m);
    progress_end(&m.progress);
    if (status == 0 && !m.is_collection) {
        cli_error("%s: not a GeoJSON FeatureCollection", path);
        status = -1;
    } else if (status == 0 && m.feature == 0) {
        cli_error("%s: no features", path);
        status = -1;
    }
    if (status == 0) {
        status = report_vanished(&m) != 0 || report_overlaps(&m) != 0 ? -1 : 0;
    }
    if (status == 0) {
        printf(
            "%s: %zu municipalities (%zu added, %zu changed, %zu as before); %zu valid, %zu mended\n",
            path, m.feature, m.added, m.changed, m.same, m.valid, m.mended);
    }
    names_free(m.seen);
    free((char *)m.file.p);
    return status == 0 ? draw_outlines(&m) : status;
}

struct settings {
    int64_t region;
    const char *name;
};

static int run(const void *settings, char *const *arguments)
{
    const struct settings *s = settings;
    PGconn *db = database_open();
    if (db == NULL) {
        return CLI_ERROR;
    }
    int ok = database_region(db, s->region) == 0 && database_command(db, "begin") == 0 &&
             boundaries_import(db, arguments[0], s->region, s->name, 0) == 0 &&
             database_tell(db) == 0 && database_command(db, "commit") == 0;
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
    { .name = "name",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct settings, name),
      .value = "PROPERTY",
      .help = "property that holds the name; else the first of name_ru, name:ru, district, name" },
    { .name = NULL },
};

const struct command command_import_boundaries = {
    .name = "import boundaries",
    .arguments = "FILE.geojson",
    .summary = "Municipalities of a region out of a GeoJSON file",
    .details =
        "Stores each feature of a FeatureCollection (WGS 84, Polygon or MultiPolygon) as a municipality, all in one\n"
        "transaction. One that has the name already gets the new boundary. Invalid geometry is mended, and the\n"
        "report says why and how much its area changed. What the file does not have is kept and named.",
    .options = options,
    .settings_size = sizeof(struct settings),
    .narguments = 1,
    .run = run,
};
