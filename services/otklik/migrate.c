/* otklik migrate: brings the schema up to date, each migration in a transaction of its own, one
 * process at a time. */
#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "commands.h"
#include "database.h"
#include "text.h"

struct settings {
    const char *dir;
};

/* A migration file. */
struct migration {
    char *name; /* "0001_dictionaries.sql" */
    char *path;
};

struct migrations {
    struct migration *list;
    size_t n;
};

static int is_migration(const struct dirent *entry)
{
    const char *name = entry->d_name;
    size_t n = strlen(name);
    return n > 8 && strspn(name, "0123456789") == 4 && name[4] == '_' &&
           strcmp(name + n - 4, ".sql") == 0;
}

static int find_migrations(const char *dir, struct migrations *out)
{
    struct dirent **entries;
    int n = scandir(dir, &entries, is_migration, alphasort);
    if (n <= 0) {
        if (n == 0) {
            free(entries);
        }
        cli_error("%s: there are no migrations here (0001_name.sql)", dir);
        return -1;
    }
    out->list = cli_alloc((size_t)n * sizeof(*out->list));
    out->n = (size_t)n;
    for (int i = 0; i < n; i++) {
        out->list[i].name = cli_printf("%s", entries[i]->d_name);
        out->list[i].path = cli_printf("%s/%s", dir, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return 0;
}

static void free_migrations(struct migrations *m)
{
    for (size_t i = 0; i < m->n; i++) {
        free(m->list[i].name);
        free(m->list[i].path);
    }
    free(m->list);
}

/* The server counts characters of the whole file; people count lines. */
static void complain_at(PGconn *db, const char *path, struct str sql, const PGresult *res)
{
    const char *position = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
    long characters = position == NULL ? 0 : strtol(position, NULL, 10);
    long line = 1;
    for (size_t i = 0; i < sql.n && characters > 1; i++) {
        line += sql.p[i] == '\n';
        characters -= ((unsigned char)sql.p[i] & 0xC0) != 0x80;
    }
    char *place = position == NULL ? cli_printf("%s", path) : cli_printf("%s:%ld", path, line);
    database_complain(db, place, res);
    free(place);
}

/* Applies one file and remembers it, or neither. */
static int apply(PGconn *db, const struct migration *m, struct str sql, const char *sha256)
{
    if (database_command(db, "begin") != 0) {
        return -1;
    }
    PGresult *res = PQexec(db, sql.p);
    ExecStatusType status = PQresultStatus(res);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        complain_at(db, m->path, sql, res);
        PQclear(res);
        return -1;
    }
    PQclear(res);
    if (PQtransactionStatus(db) != PQTRANS_INTRANS) {
        cli_error("%s: a migration must not begin or end transactions", m->path);
        return -1;
    }
    res = database_ask(db, m->path, QUERY_OTKLIK_MIGRATION_REMEMBER,
                       (const char *const[]){ m->name, sha256 });
    PQclear(res);
    return res == NULL ? -1 : database_command(db, "commit");
}

/* Row of NAME among those applied before; -1 if it is new. */
static int find_applied(const PGresult *applied, const char *name)
{
    for (int i = 0; i < PQntuples(applied); i++) {
        if (strcmp(PQgetvalue(applied, i, 0), name) == 0) {
            return i;
        }
    }
    return -1;
}

/* What the database has and the folder has not means an older program: it must not touch it. */
static int all_known(const PGresult *applied, const struct migrations *files, const char *dir)
{
    for (int i = 0; i < PQntuples(applied); i++) {
        const char *name = PQgetvalue(applied, i, 0);
        size_t k = 0;
        while (k < files->n && strcmp(files->list[k].name, name) != 0) {
            k++;
        }
        if (k == files->n) {
            cli_error("the database has had %s, which is not in %s: it is newer than this program",
                      name, dir);
            return 0;
        }
    }
    return 1;
}

static int apply_new(PGconn *db, const struct migrations *files, const PGresult *applied,
                     int *count)
{
    const char *last =
        PQntuples(applied) == 0 ? "" : PQgetvalue(applied, PQntuples(applied) - 1, 0);
    for (size_t i = 0; i < files->n; i++) {
        const struct migration *m = &files->list[i];
        struct str sql = cli_read_file(m->path, 64U << 20);
        if (sql.p == NULL) {
            return -1;
        }
        char sha256[TEXT_SHA256];
        text_sha256(sql, sha256);
        int row = find_applied(applied, m->name);
        int status = 0;
        if (row >= 0 && strcmp(PQgetvalue(applied, row, 1), sha256) != 0) {
            cli_error("%s: has been changed since it was applied at %s; write a new migration",
                      m->path, PQgetvalue(applied, row, 2));
            status = -1;
        } else if (row < 0 && strcmp(m->name, last) < 0) {
            cli_error("%s: comes before %s, which has been applied; number it anew", m->path, last);
            status = -1;
        } else if (row < 0) {
            int64_t began = cli_now_us();
            status = apply(db, m, sql, sha256);
            if (status == 0) {
                printf("applied %s (%.0f ms)\n", m->name, (double)(cli_now_us() - began) / 1000);
                (*count)++;
            }
        }
        free((char *)sql.p);
        if (status != 0) {
            return -1;
        }
    }
    return 0;
}

static int make_partitions(PGconn *db)
{
    PGresult *res = database_ask(db, NULL, QUERY_OTKLIK_MAKE_PARTITIONS, NULL);
    if (res == NULL) {
        return -1;
    }
    const char *made = PQgetvalue(res, 0, 0);
    if (strcmp(made, "0") != 0) {
        printf("made partitions for %s months, up to %s\n", made, PQgetvalue(res, 0, 1));
    }
    PQclear(res);
    return 0;
}

static int migrate(PGconn *db, const char *dir, const struct migrations *files)
{
    PGresult *res = database_ask(db, NULL, QUERY_OTKLIK_MIGRATION_LOCK, NULL);
    PQclear(res);
    if (res == NULL) {
        return CLI_ERROR;
    }
    res = database_ask(db, NULL, QUERY_OTKLIK_MIGRATION_TABLE, NULL);
    PQclear(res);
    if (res == NULL) {
        return CLI_ERROR;
    }
    PGresult *applied = database_ask(db, NULL, QUERY_OTKLIK_MIGRATIONS, NULL);
    if (applied == NULL) {
        return CLI_ERROR;
    }
    int count = 0;
    int ok = all_known(applied, files, dir) && apply_new(db, files, applied, &count) == 0;
    PQclear(applied);
    if (!ok || make_partitions(db) != 0) {
        return CLI_ERROR;
    }
    printf("the schema is up to date: %zu migrations, %d of them new\n", files->n, count);
    return CLI_OK;
}

static int run(const void *settings, char *const *arguments)
{
    const struct settings *s = settings;
    (void)arguments;
    char *dir =
        s->dir != NULL ? cli_printf("%s", s->dir) : cli_folder("sql/migrations", "sql/migrations");
    struct migrations files = { NULL, 0 };
    int status = CLI_ERROR;
    PGconn *db = NULL;
    if (find_migrations(dir, &files) == 0 && (db = database_open()) != NULL) {
        status = migrate(db, dir, &files);
    }
    PQfinish(db);
    free_migrations(&files);
    free(dir);
    return status;
}

static const struct option_row options[] = {
    { .name = "dir",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct settings, dir),
      .value = "DIR",
      .help = "where the migrations are; share/otklik/sql/migrations by default" },
    { .name = NULL },
};

const struct command command_migrate = {
    .name = "migrate",
    .arguments = "",
    .summary = "Bring the database schema up to date",
    .details =
        "Applies the migrations that the database of OTKLIK_DB (user otklik_owner) has not had, in order, each\n"
        "in a transaction of its own, then makes the partitions of the coming year. Safe to run at any\n"
        "time and from several machines at once: one waits for the other.",
    .options = options,
    .settings_size = sizeof(struct settings),
    .run = run,
};
