/* otklik import accounts: a region's accounts in social networks and messengers out of a table. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "commands.h"
#include "database.h"
#include "ids.h"
#include "tsv.h"

struct settings {
    int64_t region;
};

enum { C_CHANNEL, C_ACCOUNT, C_MODE, C_PAGE, C_SECRET, C_CONFIRMATION, COLUMNS, DIGEST = 67 };

static const char *const columns[] = {
    [C_CHANNEL] = "channel", [C_ACCOUNT] = "account", [C_MODE] = "mode",
    [C_PAGE] = "page",       [C_SECRET] = "secret",   [C_CONFIRMATION] = "confirmation",
    [COLUMNS] = NULL
};

struct sums {
    int rows, added, changed;
};

/* What the database would say less clearly. -1 after a message. */
static int check(const struct tsv *t, const char *const *cells)
{
    for (int i = C_CHANNEL; i <= C_MODE; i++) {
        if (cells[i] == NULL) {
            cli_error("%s: %s is empty", tsv_place(t), columns[i]);
            return -1;
        }
    }
    if (cells[C_SECRET] != NULL && strcmp(cells[C_CHANNEL], "vk") != 0) {
        cli_error(
            "%s: the secret of %s belongs to the edge: otklik keys add --hook %s --subject %s",
            tsv_place(t), cells[C_CHANNEL], cells[C_CHANNEL], cells[C_ACCOUNT]);
        return -1;
    }
    return 0;
}

static int store(PGconn *db, const char *region, const struct tsv *t, const char *const *cells,
                 struct sums *sums)
{
    char digest[DIGEST];
    if (check(t, cells) != 0) {
        return -1;
    }
    if (cells[C_SECRET] != NULL) {
        sha256_bytea(str_of(cells[C_SECRET]), digest);
    }
    const char *params[] = { region,
                             cells[C_CHANNEL],
                             cells[C_ACCOUNT],
                             cells[C_MODE],
                             cells[C_PAGE],
                             cells[C_SECRET] == NULL ? NULL : digest,
                             cells[C_CONFIRMATION] };
    PGresult *res = database_ask(db, tsv_place(t), QUERY_OTKLIK_PUT_ACCOUNT, params);
    if (res == NULL) {
        return -1;
    }
    sums->rows++;
    sums->added += strcmp(PQgetvalue(res, 0, 0), "added") == 0;
    sums->changed += strcmp(PQgetvalue(res, 0, 0), "changed") == 0;
    PQclear(res);
    return 0;
}

static int import(PGconn *db, const char *path, int64_t number)
{
    char region[24];
    struct sums sums = { 0 };
    const char *cells[COLUMNS];
    snprintf(region, sizeof(region), "%" PRId64, number);
    if (database_region(db, number) != 0 || database_command(db, "begin") != 0) {
        return -1;
    }
    struct tsv *t = tsv_open(path, columns);
    int more = t == NULL ? -1 : 1;
    while (more > 0 && (more = tsv_next(t, cells)) > 0) {
        if (store(db, region, t, cells, &sums) != 0) {
            more = -1;
        }
    }
    tsv_close(t);
    if (more != 0 || database_command(db, "commit") != 0) {
        return -1;
    }
    printf("%s: %d accounts (%d added, %d changed)\n", path, sums.rows, sums.added, sums.changed);
    return 0;
}

static int run(const void *settings, char *const *arguments)
{
    const struct settings *s = settings;
    PGconn *db = database_open();
    int ok = db != NULL && import(db, arguments[0], s->region) == 0;
    PQfinish(db);
    return ok ? CLI_OK : CLI_ERROR;
}

static const struct option_row options[] = {
    { .name = "region",
      .kind = OPTION_NUMBER,
      .offset = offsetof(struct settings, region),
      .value = "N",
      .help = "number of the region",
      .required = 1,
      .min = 1,
      .max = 99 },
    { .name = NULL },
};

const struct command command_import_accounts = {
    .name = "import accounts",
    .arguments = "FILE.tsv",
    .summary = "Accounts in social networks and messengers, and what each may do",
    .details =
        "A line an account, tabs between the columns, the first line names them: channel (vk, telegram, ok, max), account (as\n"
        "in the hook's address), mode (off, read, answer), page (the network's own number of it; VK needs it), secret and\n"
        "confirmation (VK). Only the SHA-256 of a secret is kept. An empty page, secret or confirmation keeps what is there.\n"
        "One transaction; nothing is deleted.",
    .options = options,
    .settings_size = sizeof(struct settings),
    .narguments = 1,
    .run = run,
};
