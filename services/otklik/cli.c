/* Options, messages and files: what every command of otklik needs before its own work. */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int cli_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("otklik: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return CLI_ERROR;
}

static void print_usage(FILE *out, const struct command *c)
{
    fprintf(out, "usage: otklik %s%s%s", c->name, c->arguments[0] == '\0' ? "" : " ", c->arguments);
    for (const struct option_row *o = c->options; o->name != NULL; o++) {
        fprintf(out, o->required ? " --%s" : " [--%s", o->name);
        if (o->value != NULL) {
            fprintf(out, " %s", o->value);
        }
        fputs(o->required ? "" : "]", out);
    }
    fputc('\n', out);
}

int cli_usage(const struct command *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("otklik: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    print_usage(stderr, c);
    return CLI_USAGE;
}

void cli_help(const struct command *c)
{
    print_usage(stdout, c);
    printf("\n%s\n", c->details);
    for (const struct option_row *o = c->options; o->name != NULL; o++) {
        char left[48];
        snprintf(left, sizeof(left), "--%s %s", o->name, o->value == NULL ? "" : o->value);
        printf("%s  %-18s %s\n", o == c->options ? "\n" : "", left, o->help);
    }
}

/* Puts TEXT into the option's variable. */
static int set_option(const struct command *c, const struct option_row *o, const char *text,
                      char *settings)
{
    if (o->kind == OPTION_TEXT) {
        memcpy(settings + o->offset, &text, sizeof(text));
        return CLI_OK;
    }
    char *end;
    errno = 0;
    int64_t number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < o->min || number > o->max) {
        return cli_usage(c, "--%s takes a whole number from %" PRId64 " to %" PRId64 ", not \"%s\"",
                         o->name, o->min, o->max, text);
    }
    memcpy(settings + o->offset, &number, sizeof(number));
    return CLI_OK;
}

static const struct option_row *find_option(const struct command *c, const char *name, size_t n)
{
    for (const struct option_row *o = c->options; o->name != NULL; o++) {
        if (strlen(o->name) == n && memcmp(o->name, name, n) == 0) {
            return o;
        }
    }
    return NULL;
}

/* Reads the option at argv[*i], with its value in the same word or the next. */
static int read_option(const struct command *c, int argc, char **argv, int *i, char *settings,
                       unsigned *given)
{
    const char *name = argv[*i] + 2;
    const char *value = strchr(name, '=');
    const struct option_row *o =
        find_option(c, name, value == NULL ? strlen(name) : (size_t)(value - name));
    if (o == NULL) {
        return cli_usage(c, "there is no option %s", argv[*i]);
    }
    *given |= 1U << (o - c->options);
    if (o->kind == OPTION_FLAG) {
        if (value != NULL) {
            return cli_usage(c, "--%s takes no value", o->name);
        }
        int one = 1;
        memcpy(settings + o->offset, &one, sizeof(one));
        return CLI_OK;
    }
    if (value != NULL) {
        return set_option(c, o, value + 1, settings);
    }
    if (*i + 1 >= argc) {
        return cli_usage(c, "--%s wants a value", o->name);
    }
    return set_option(c, o, argv[++*i], settings);
}

int cli_parse(const struct command *c, int argc, char **argv, void *settings)
{
    unsigned given = 0;
    int narguments = 0, only_arguments = 0;
    for (const struct option_row *o = c->options; o->name != NULL; o++) {
        if (o->kind == OPTION_NUMBER) {
            memcpy((char *)settings + o->offset, &o->fallback, sizeof(o->fallback));
        }
    }
    for (int i = 0; i < argc; i++) {
        if (!only_arguments && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            cli_help(c);
            return -1;
        }
        if (!only_arguments && strcmp(argv[i], "--") == 0) {
            only_arguments = 1;
        } else if (!only_arguments && strncmp(argv[i], "--", 2) == 0) {
            if (read_option(c, argc, argv, &i, settings, &given) != CLI_OK) {
                return CLI_USAGE;
            }
        } else {
            argv[narguments++] = argv[i];
        }
    }
    if (narguments != c->narguments) {
        return narguments < c->narguments
                   ? cli_usage(c, "%s is missing", c->arguments)
                   : cli_usage(c, "too many arguments: \"%s\"", argv[c->narguments]);
    }
    for (const struct option_row *o = c->options; o->name != NULL; o++) {
        if (o->required && (given & (1U << (o - c->options))) == 0) {
            return cli_usage(c, "--%s is missing", o->name);
        }
    }
    return CLI_OK;
}

void *cli_alloc(size_t size)
{
    void *p = calloc(1, size == 0 ? 1 : size);
    if (p == NULL) {
        exit(cli_error("no memory for %zu bytes", size));
    }
    return p;
}

void *cli_realloc(void *old, size_t size)
{
    void *p = realloc(old, size == 0 ? 1 : size);
    if (p == NULL) {
        exit(cli_error("no memory for %zu bytes", size));
    }
    return p;
}

char *cli_printf(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0) {
        exit(cli_error("no memory"));
    }
    return text;
}

char *cli_folder(const char *installed, const char *source)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    for (int up = 0; n > 0 && up < 2; up++) {
        path[n] = '\0';
        char *slash = strrchr(path, '/');
        n = slash == NULL ? 0 : slash - path;
    }
    if (n > 0) {
        char *folder = cli_printf("%.*s/share/otklik/%s", (int)n, path, installed);
        struct stat st;
        if (stat(folder, &st) == 0) {
            return folder;
        }
        free(folder);
    }
    return cli_printf("%s", source);
}

struct str cli_read_file(const char *path, size_t max)
{
    struct str none = { NULL, 0 };
    FILE *in = fopen(path, "rb");
    if (in == NULL) {
        cli_error("%s: %s", path, strerror(errno));
        return none;
    }
    size_t size = 1U << 16, n = 0, got;
    char *text = cli_alloc(size);
    while ((got = fread(text + n, 1, size - n - 1, in)) > 0) {
        n += got;
        if (size - n == 1) {
            text = cli_realloc(text, size *= 2);
        }
        if (n > max) {
            break;
        }
    }
    int failed = ferror(in) ? errno : 0;
    fclose(in);
    if (failed || n > max) {
        free(text);
        if (failed) {
            cli_error("%s: %s", path, strerror(failed));
        } else {
            cli_error("%s: larger than %zu MB", path, max >> 20);
        }
        return none;
    }
    text[n] = '\0';
    return (struct str){ text, n };
}

int64_t cli_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
