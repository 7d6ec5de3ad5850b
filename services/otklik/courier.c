/* otklik courier failed, otklik courier retry: notices that the courier has given up. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "database.h"

struct settings {
    int64_t region, limit;
    const char *appeal;
};

static int failed(const void *settings, char *const *arguments)
{
    (void)arguments;
    const struct settings *s = settings;
    char region[12], limit[12];
    snprintf(region, sizeof region, "%" PRId64, s->region);
    snprintf(limit, sizeof limit, "%" PRId64, s->limit);
    const char *params[] = { region, limit };
    PGconn *db = database_open();
    PGresult *res = db == NULL || database_region(db, s->region) != 0
                        ? NULL
                        : database_ask(db, NULL, QUERY_OTKLIK_COURIER_FAILED, params);
    for (int i = 0; res != NULL && i < PQntuples(res); i++) {
        for (int c = 0; c < PQnfields(res); c++) {
            printf("%s%s", c > 0 ? "\t" : "", PQgetvalue(res, i, c));
        }
        putchar('\n');
    }
    int status = res == NULL ? CLI_ERROR : CLI_OK;
    PQclear(res);
    PQfinish(db);
    return status;
}

static int retry(const void *settings, char *const *arguments)
{
    (void)arguments;
    const struct settings *s = settings;
    char region[12];
    snprintf(region, sizeof region, "%" PRId64, s->region);
    const char *params[] = { region, s->appeal };
    PGconn *db = database_open();
    PGresult *res = db == NULL || database_region(db, s->region) != 0
                        ? NULL
                        : database_ask(db, NULL, QUERY_OTKLIK_COURIER_RETRY, params);
    if (res != NULL) {
        printf("%s notices are tried again\n", PQcmdTuples(res));
    }
    int status = res == NULL ? CLI_ERROR : CLI_OK;
    PQclear(res);
    PQfinish(db);
    return status;
}

enum { REGION_MAX = 99, LIST = 100, LIST_MAX = 100000 };

const struct command command_courier_failed = {
    .name = "courier failed",
    .arguments = "",
    .summary = "Notices that could not be delivered, and why",
    .details =
        "A line each: appeal, number of its event, whom it is for, attempts, when the last one "
        "was, why. Tabs between. Addresses are not shown.",
    .options =
        (const struct option_row[]){
            { .name = "region",
              .kind = OPTION_NUMBER,
              .offset = offsetof(struct settings, region),
              .value = "N",
              .help = "Number of the region",
              .required = 1,
              .min = 1,
              .max = REGION_MAX },
            { .name = "limit",
              .kind = OPTION_NUMBER,
              .offset = offsetof(struct settings, limit),
              .value = "N",
              .help = "How many, the newest first; 100 without it",
              .min = 1,
              .max = LIST_MAX,
              .fallback = LIST },
            { .name = NULL },
        },
    .settings_size = sizeof(struct settings),
    .run = failed,
};

const struct command command_courier_retry = {
    .name = "courier retry",
    .arguments = "",
    .summary = "Tries again what could not be delivered",
    .details =
        "Once the cause is mended: an address, a token, the mail server. What was delivered is "
        "not sent again.",
    .options =
        (const struct option_row[]){
            { .name = "region",
              .kind = OPTION_NUMBER,
              .offset = offsetof(struct settings, region),
              .value = "N",
              .help = "Number of the region",
              .required = 1,
              .min = 1,
              .max = REGION_MAX },
            { .name = "appeal",
              .kind = OPTION_TEXT,
              .offset = offsetof(struct settings, appeal),
              .value = "ID",
              .help = "Only of this appeal, by its id" },
            { .name = NULL },
        },
    .settings_size = sizeof(struct settings),
    .run = retry,
};
