/* Every command of otklik, one row of main.c's table each. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "cli.h"

extern const struct command command_migrate;
extern const struct command command_demo_load;
extern const struct command command_import_accounts;
extern const struct command command_import_boundaries;
extern const struct command command_import_catalogue;
extern const struct command command_import_places;
extern const struct command command_replay;
extern const struct command command_keys_add;
extern const struct command command_keys_list;
extern const struct command command_keys_remove;
extern const struct command command_audit;
extern const struct command command_files_sweep;

#endif
