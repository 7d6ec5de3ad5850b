/* otklik audit verify: recomputes the chain of events of every appeal of a region.
 *
 * Each event carries the SHA-256 of its predecessor's and of its own content; the appeal carries
 * the last. The digest is computed here, not by the database's event_hash(), so that a changed
 * function cannot vouch for changed rows. Rows are streamed: memory does not grow with the region.
 */
#include <inttypes.h>
#include <openssl/sha.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "database.h"
#include "progress.h"

struct settings {
    int64_t region;
};

enum { DIGEST = SHA256_DIGEST_LENGTH };

/* Columns of audit_events.sql. */
enum { C_APPEAL, C_NUMBER, C_LAST_SEQ, C_LAST_HASH, C_SEQ, C_PREVIOUS, C_HASH, C_CONTENT };

/* A binary column of a row. */
static struct str cell(const PGresult *row, int column)
{
    return (struct str){ PQgetvalue(row, 0, column), (size_t)PQgetlength(row, 0, column) };
}

static int32_t integer(const PGresult *row, int column)
{
    const unsigned char *p = (const unsigned char *)PQgetvalue(row, 0, column);
    return (int32_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]);
}

struct chain {
    char number[32]; /* of the present appeal */
    unsigned char appeal[16];
    int open; /* an appeal is being walked */
    int32_t seq, last_seq;
    unsigned char hash[DIGEST];
    size_t nhash; /* 0 before the first event */
    unsigned char last_hash[DIGEST];
    int64_t appeals, events;
};

static int broken(const struct chain *c, int32_t seq, const char *why)
{
    printf("BROKEN at appeal %s, event %" PRId32 ": %s\n", c->number, seq, why);
    return -1;
}

/* The head that the appeal remembers must be the last event. */
static int end_appeal(struct chain *c)
{
    if (!c->open) {
        return 0;
    }
    c->open = 0;
    if (c->seq != c->last_seq) {
        return broken(c, c->seq, "the appeal remembers another number of events");
    }
    if (memcmp(c->hash, c->last_hash, DIGEST) != 0) {
        return broken(c, c->seq, "the appeal remembers another last event");
    }
    return 0;
}

static int begin_appeal(struct chain *c, const PGresult *row)
{
    struct str id = cell(row, C_APPEAL), number = cell(row, C_NUMBER),
               hash = cell(row, C_LAST_HASH);
    if (c->open && memcmp(id.p, c->appeal, sizeof(c->appeal)) == 0) {
        return 0;
    }
    if (end_appeal(c) != 0) {
        return -1;
    }
    memcpy(c->appeal, id.p, sizeof(c->appeal));
    snprintf(c->number, sizeof(c->number), "%.*s", (int)number.n, number.p);
    c->open = 1;
    c->seq = 0;
    c->nhash = 0;
    c->last_seq = integer(row, C_LAST_SEQ);
    c->appeals++;
    if (hash.n != DIGEST) {
        return broken(c, 0, "the appeal remembers no digest");
    }
    memcpy(c->last_hash, hash.p, DIGEST);
    return 0;
}

static int check_row(struct chain *c, const PGresult *row)
{
    if (begin_appeal(c, row) != 0) {
        return -1;
    }
    if (PQgetisnull(row, 0, C_SEQ)) {
        return broken(c, 0, "it has no events");
    }
    int32_t seq = integer(row, C_SEQ);
    struct str previous = cell(row, C_PREVIOUS), hash = cell(row, C_HASH);
    struct str content = cell(row, C_CONTENT);
    if (seq != c->seq + 1) {
        return broken(c, c->seq + 1, "it is missing");
    }
    if (!str_eq(previous, (struct str){ (const char *)c->hash, c->nhash })) {
        return broken(c, seq, "it does not follow the event before it");
    }
    unsigned char digest[DIGEST];
    char *bytes = cli_alloc(previous.n + content.n);
    memcpy(bytes, previous.p, previous.n);
    memcpy(bytes + previous.n, content.p, content.n);
    SHA256((const unsigned char *)bytes, previous.n + content.n, digest);
    free(bytes);
    if (!str_eq(hash, (struct str){ (const char *)digest, DIGEST })) {
        return broken(c, seq, "its content was changed");
    }
    memcpy(c->hash, digest, DIGEST);
    c->nhash = DIGEST;
    c->seq = seq;
    c->events++;
    return 0;
}

/* Walks all rows; 0 whole, 1 broken, -1 after a message. */
static int walk(PGconn *db, const char *region, struct chain *c)
{
    const struct statement *s = &otklik_queries[QUERY_OTKLIK_AUDIT_EVENTS];
    const char *params[] = { region };
    struct progress progress = progress_begin(1);
    int status = 0;
    if (!PQsendQueryParams(db, s->sql, s->nparams, NULL, params, NULL, NULL, 1) ||
        !PQsetSingleRowMode(db)) {
        database_complain(db, NULL, NULL);
        return -1;
    }
    PGresult *res;
    while ((res = PQgetResult(db)) != NULL) {
        ExecStatusType kind = PQresultStatus(res);
        if (kind == PGRES_SINGLE_TUPLE && status == 0) {
            status = check_row(c, res) != 0;
        } else if (kind != PGRES_SINGLE_TUPLE && kind != PGRES_TUPLES_OK && status == 0) {
            database_complain(db, NULL, res);
            status = -1;
        }
        PQclear(res);
        if (status == 1) {
            break;
        }
        if ((c->events & 0xFFF) == 0 && progress_due(&progress)) {
            progress_show(&progress, "%" PRId64 " events of %" PRId64 " appeals", c->events,
                          c->appeals);
        }
    }
    progress_end(&progress);
    return status == 0 && end_appeal(c) != 0 ? 1 : status;
}

/* The first event names the digest of the text: was it changed since? */
static int check_texts(PGconn *db, const char *region)
{
    PGresult *res =
        database_ask(db, NULL, QUERY_OTKLIK_AUDIT_TEXTS, (const char *const[]){ region });
    if (res == NULL) {
        return -1;
    }
    int n = PQntuples(res);
    if (n > 0) {
        printf("BROKEN at appeal %s: its text is not the one that its first event names\n",
               PQgetvalue(res, 0, 0));
    } else {
        puts("texts are those that the first events name");
    }
    PQclear(res);
    return n > 0;
}

static int run(const void *settings, char *const *arguments)
{
    const struct settings *s = settings;
    struct chain c = { .open = 0 };
    char region[24];
    (void)arguments;
    snprintf(region, sizeof(region), "%" PRId64, s->region);
    PGconn *db = database_open();
    if (db == NULL) {
        return CLI_ERROR;
    }
    int status = database_region(db, s->region) != 0 ? -1 : walk(db, region, &c);
    if (status == 0) {
        printf("region %s: %" PRId64 " appeals with %" PRId64 " events, every chain is whole\n",
               region, c.appeals, c.events);
        status = check_texts(db, region);
    }
    PQfinish(db);
    return status == 0 ? CLI_OK : CLI_ERROR;
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

const struct command command_audit = {
    .name = "audit verify",
    .arguments = "",
    .summary = "Prove that no event of an appeal was altered",
    .details =
        "Recomputes the digest of every event of the region's appeals and follows the chain from the first to the one the\n"
        "appeal remembers. Says where it breaks first, and then ends with status 1. As otklik_owner it also compares\n"
        "each text with the digest in its first event.",
    .options = options,
    .settings_size = sizeof(struct settings),
    .run = run,
};
