/* What the commands of otklik share: options out of tables, messages, exit statuses. */
#ifndef CLI_H
#define CLI_H

#include "otklik.h"

enum { CLI_OK = 0, CLI_ERROR = 1, CLI_USAGE = 2 };

enum option_kind {
    OPTION_TEXT,   /* const char *, NULL when not given */
    OPTION_NUMBER, /* int64_t, from min to max; fallback when not given */
    OPTION_FLAG    /* int */
};

/* A row of a command's option table. */
struct option_row {
    const char *name; /* "region" is given as --region N or --region=N */
    enum option_kind kind;
    size_t offset;     /* of its variable in the command's settings */
    const char *value; /* what the help calls it; NULL for flags */
    const char *help;
    int required;
    int64_t min, max, fallback;
};

struct command {
    const char *name;                 /* "import boundaries" */
    const char *arguments;            /* "FILE.geojson", "" for none */
    const char *summary;              /* one line */
    const char *details;              /* paragraphs of --help */
    const struct option_row *options; /* ends with .name == NULL */
    size_t settings_size;             /* of the struct that the offsets point into */
    int narguments;
    /* Returns the exit status. SETTINGS are filled from the options, ARGUMENTS are narguments. */
    int (*run)(const void *settings, char *const *arguments);
};

/* Reads what follows the command's name into a new settings struct and the arguments (argv's own,
 * moved to the front). Returns CLI_OK, CLI_USAGE after a message, or -1 when --help was printed. */
int cli_parse(const struct command *c, int argc, char **argv, void *settings);

/* Prints usage, details and options of a command. */
void cli_help(const struct command *c);

/* Prints "otklik: …" on standard error; returns CLI_ERROR. */
int cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same with the command's usage behind it; returns CLI_USAGE. */
int cli_usage(const struct command *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Memory or an end of the program with a message: the command line has nothing else to do. */
void *cli_alloc(size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *cli_realloc(void *old, size_t size) __attribute__((returns_nonnull, warn_unused_result));
char *cli_printf(const char *format, ...)
    __attribute__((format(printf, 1, 2), returns_nonnull, warn_unused_result));

/* The folder that ships as share/otklik/INSTALLED beside the running program (bin/..), or SOURCE
 * under the present folder when there is none; allocated. */
char *cli_folder(const char *installed, const char *source);

/* Whole file with a NUL behind it, allocated; .p is NULL after a message. Refuses more than MAX
 * bytes. */
struct str cli_read_file(const char *path, size_t max);

/* Microseconds, monotonic. */
int64_t cli_now_us(void);

#endif
