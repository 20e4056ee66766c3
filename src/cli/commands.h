/* The commands, one file each. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "options.h"

extern const struct cli_command cli_command_init;
extern const struct cli_command cli_command_sync;
extern const struct cli_command cli_command_apply;
extern const struct cli_command cli_command_get;
extern const struct cli_command cli_command_set;
extern const struct cli_command cli_command_delete;
extern const struct cli_command cli_command_log;
extern const struct cli_command cli_command_show;
extern const struct cli_command cli_command_diff;
extern const struct cli_command cli_command_revert;
extern const struct cli_command cli_command_prune;
extern const struct cli_command cli_command_conflicts;
extern const struct cli_command cli_command_resolve;
extern const struct cli_command cli_command_lock;
extern const struct cli_command cli_command_lease;
extern const struct cli_command cli_command_once;
extern const struct cli_command cli_command_guard;
extern const struct cli_command cli_command_check;
extern const struct cli_command cli_command_completion;

/* All of them, in the order of `amend help`, ended by NULL. */
extern const struct cli_command *const cli_commands[];

const struct cli_command *cli_find_command(const char *name);
/* Complains of a command that does not exist, with the nearest that does; the exit code. */
int cli_no_command(const char *name);

/* `amend help [COMMAND] [--json]`. */
int cli_help(int argc, char **argv);

/*
 * `amend __complete WORD...`, which the shells' completion scripts call: what could stand for the
 * last word, when the others are in front of it. See complete.c.
 */
int cli_complete(int argc, char **argv);

#endif
