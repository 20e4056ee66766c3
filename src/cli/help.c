/*
 * `amend help`, as text and as JSON, and --help of each command, from the tables.
 * Leaves the words themselves to the commands' own files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <amend/amend.h>

#include "commands.h"
#include "complain.h"
#include "exit.h"
#include "json.h"

/* clang-format off */
const struct cli_command *const cli_commands[] = {
	&cli_command_init,
	&cli_command_sync,
	&cli_command_apply,
	&cli_command_get,
	&cli_command_set,
	&cli_command_delete,
	&cli_command_log,
	&cli_command_show,
	&cli_command_diff,
	&cli_command_revert,
	&cli_command_conflicts,
	&cli_command_resolve,
	&cli_command_lock,
	&cli_command_lease,
	&cli_command_once,
	&cli_command_prune,
	&cli_command_guard,
	&cli_command_check,
	&cli_command_completion,
	NULL,
};
/* clang-format on */

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
	if (options->name)
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
		printf("  %-10s  %s\n", cli_commands[i]->name, cli_commands[i]->summary);
	printf("\nDB is a file (app.db, sqlite:app.db) or a server (postgresql://host/name).\n"
	       "amend COMMAND --help tells more, with examples.\n");
}

/* --- the same as data --- */

static struct json_object *lines_json(const char *text)
{
	struct json_object *lines = json_object_new_array();

	while (*text) {
		size_t size = strcspn(text, "\n");

		json_object_array_add(lines, json_object_new_string_len(text, (int)size));
		text += size + (text[size] == '\n');
	}
	return lines;
}

/* "0 done  1 failed": by two spaces or a line's end. */
static struct json_object *exits_json(const char *text)
{
	struct json_object *exits = json_object_new_array();

	while (*text) {
		struct json_object *one = json_object_new_object();
		char *meaning;
		long code = strtol(text, &meaning, 10);
		size_t size = 0;

		meaning += *meaning == ' ';
		while (meaning[size] && meaning[size] != '\n' &&
		       strncmp(meaning + size, "  ", 2) != 0)
			size++;
		cli_json_add(one, "code", json_object_new_int((int)code));
		cli_json_add(one, "meaning", json_object_new_string_len(meaning, (int)size));
		json_object_array_add(exits, one);
		text = meaning + size + strspn(meaning + size, " \n");
	}
	return exits;
}

static struct json_object *options_json(const struct cli_option *options)
{
	struct json_object *all = json_object_new_array();

	for (const struct cli_option *option = options; option->name; option++) {
		struct json_object *one = json_object_new_object();

		cli_json_add(one, "name", cli_json_text(option->name));
		cli_json_add(one, "argument", cli_json_text(option->argument));
		cli_json_add(one, "help", cli_json_text(option->help));
		cli_json_add(one, "many", json_object_new_boolean(option->many));
		json_object_array_add(all, one);
	}
	return all;
}

static struct json_object *command_json(const struct cli_command *command)
{
	struct json_object *object = json_object_new_object();

	cli_json_add(object, "name", cli_json_text(command->name));
	cli_json_add(object, "words", cli_json_text(command->words));
	cli_json_add(object, "summary", cli_json_text(command->summary));
	cli_json_add(object, "about", cli_json_text(command->about));
	cli_json_add(object, "options", options_json(command->options));
	cli_json_add(object, "examples", lines_json(command->examples));
	cli_json_add(object, "exits", exits_json(command->exits));
	return object;
}

static void print_json(const struct cli_command *command)
{
	struct json_object *object = json_object_new_object(), *commands = json_object_new_array();

	for (size_t i = 0; cli_commands[i]; i++) {
		if (!command || command == cli_commands[i])
			json_object_array_add(commands, command_json(cli_commands[i]));
	}
	cli_json_add(object, "version", cli_json_text(AMEND_VERSION));
	cli_json_add(object, "commands", commands);
	cli_json_print(object);
}

int cli_help(int argc, char **argv)
{
	const struct cli_command *command = NULL;
	bool json = false;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			json = true;
			continue;
		}
		if (command)
			continue;
		command = cli_find_command(argv[i]);
		if (!command)
			return cli_no_command(argv[i]);
	}
	if (json)
		print_json(command);
	else if (command)
		cli_print_help(command);
	else
		print_overview();
	return CLI_DONE;
}
