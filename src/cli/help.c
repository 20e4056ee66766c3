/*
 * `amend help`, and --help of each command, from the tables.
 * Leaves the words themselves to the commands' own files.
 */
#include <stdio.h>
#include <string.h>

#include <amend/amend.h>

#include "commands.h"
#include "complain.h"
#include "exit.h"

const struct cli_command *const cli_commands[] = {
	&cli_command_init,
	&cli_command_sync,
	&cli_command_get,
	&cli_command_set,
	&cli_command_delete,
	&cli_command_log,
	&cli_command_show,
	&cli_command_conflicts,
	&cli_command_resolve,
	&cli_command_check,
	NULL,
};

const struct cli_command *cli_find_command(const char *name)
{
	for (size_t i = 0; cli_commands[i]; i++) {
		if (strcmp(cli_commands[i]->name, name) == 0)
			return cli_commands[i];
	}
	return NULL;
}

int cli_no_command(const char *name)
{
	const char *names[sizeof(cli_commands) / sizeof(cli_commands[0]) + 2] = {"help", "version"};
	const char *nearest;

	for (size_t i = 0; cli_commands[i]; i++)
		names[i + 2] = cli_commands[i]->name;
	nearest = cli_nearest(name, names);
	if (nearest)
		cli_complain("no command \"%s\" (hint: did you mean %s?)", name, nearest);
	else
		cli_complain("no command \"%s\" (hint: amend help lists them)", name);
	return CLI_USAGE;
}

/* Each line of `text` on one of its own, indented. */
static void print_lines(const char *title, const char *text)
{
	printf("\n%s:\n", title);
	while (*text) {
		size_t size = strcspn(text, "\n");

		printf("  %.*s\n", (int)size, text);
		text += size + (text[size] == '\n');
	}
}

static size_t width(const struct cli_option *option)
{
	return strlen(option->name) + (option->argument ? 1 + strlen(option->argument) : 0);
}

/* What is wider than most has its help on a line of its own. */
static void print_options(const struct cli_option *options)
{
	enum { WIDE = 22 };
	size_t widest = 0;

	for (const struct cli_option *option = options; option->name; option++) {
		if (width(option) > widest && width(option) <= WIDE)
			widest = width(option);
	}
	printf("\noptions:\n");
	for (const struct cli_option *option = options; option->name; option++) {
		bool wide = width(option) > widest;

		printf("  --%s%s%s", option->name, option->argument ? " " : "",
		       option->argument ? option->argument : "");
		printf("%s%*s  %s\n", wide ? "\n    " : "",
		       (int)(wide ? widest : widest - width(option)), "", option->help);
	}
}

void cli_print_help(const struct cli_command *command)
{
	printf("usage: amend %s %s\n\n%s\n", command->name, command->words, command->about);
	print_options(command->options);
	print_lines("examples", command->examples);
	print_lines("exit status", command->exits);
}

static void print_overview(void)
{
	printf("amend changes database records without losing anyone's work.\n\n"
	       "usage: amend COMMAND DB ...\n\n");
	for (size_t i = 0; cli_commands[i]; i++)
		printf("  %-10s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
	printf("\nDB is a file (app.db, sqlite:app.db) or a server (postgresql://host/name).\n"
	       "amend COMMAND --help tells more, with examples.\n");
}

int cli_help(int argc, char **argv)
{
	const struct cli_command *command;

	if (argc == 0) {
		print_overview();
		return CLI_DONE;
	}
	command = cli_find_command(argv[0]);
	if (!command)
		return cli_no_command(argv[0]);
	cli_print_help(command);
	return CLI_DONE;
}
