/* otklik: the administrator's command. One table of commands; each lives in its own file. */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "commands.h"

static const struct command *const commands[] = {
    &command_migrate,
    &command_demo_load,
    &command_import_accounts,
    &command_import_boundaries,
    &command_import_catalogue,
    &command_import_places,
    &command_replay,
    &command_keys_add,
    &command_keys_list,
    &command_keys_remove,
    &command_audit,
    &command_files_sweep,
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void list_commands(FILE *out)
{
    fputs("usage: otklik COMMAND …\n\n", out);
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(out, "  %-18s %s\n", commands[i]->name, commands[i]->summary);
    }
    fputs(
        "  help [COMMAND]     This list, or all about one command\n"
        "  version            The number of this version\n\n"
        "OTKLIK_DB says where the database is (libpq's form), OTKLIK_URL where the front door is.\n",
        out);
}

/* How many words of argv the command's name takes; 0 when it is not this one. */
static int matches(const struct command *c, int argc, char **argv)
{
    const char *name = c->name;
    for (int words = 0; words < argc; words++) {
        size_t n = strcspn(name, " ");
        if (strlen(argv[words]) != n || memcmp(argv[words], name, n) != 0) {
            return 0;
        }
        if (name[n] == '\0') {
            return words + 1;
        }
        name += n + 1;
    }
    return 0;
}

static const struct command *find_command(int argc, char **argv, int *words)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        *words = matches(commands[i], argc, argv);
        if (*words > 0) {
            return commands[i];
        }
    }
    return NULL;
}

static int unknown(int argc, char **argv)
{
    fputs("otklik: there is no command \"", stderr);
    for (int i = 0; i < argc && i < 2 && argv[i][0] != '-'; i++) {
        fprintf(stderr, "%s%s", i == 0 ? "" : " ", argv[i]);
    }
    fputs("\"\n", stderr);
    list_commands(stderr);
    return CLI_USAGE;
}

static int help(int argc, char **argv)
{
    int words;
    if (argc == 0) {
        list_commands(stdout);
        return CLI_OK;
    }
    const struct command *c = find_command(argc, argv, &words);
    if (c == NULL || words != argc) {
        return unknown(argc, argv);
    }
    cli_help(c);
    return CLI_OK;
}

int main(int argc, char **argv)
{
    argc--;
    argv++;
    if (argc == 0) {
        list_commands(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[0], "help") == 0 || strcmp(argv[0], "--help") == 0 ||
        strcmp(argv[0], "-h") == 0) {
        return help(argc - 1, argv + 1);
    }
    if (strcmp(argv[0], "version") == 0 || strcmp(argv[0], "--version") == 0) {
        puts("otklik " OTK_VERSION);
        return CLI_OK;
    }
    int words;
    const struct command *c = find_command(argc, argv, &words);
    if (c == NULL) {
        return unknown(argc, argv);
    }
    void *settings = cli_alloc(c->settings_size);
    int status = cli_parse(c, argc - words, argv + words, settings);
    if (status == CLI_OK) {
        status = c->run(settings, argv + words);
    }
    free(settings);
    if (fflush(stdout) != 0 && status == CLI_OK) {
        status = cli_error("standard output cannot be written");
    }
    return status < 0 ? CLI_OK : status;
}
