/*
 * A command line, a word a line: read by the command's table or refused, and what is read is among what was given.
 * Leaves COL=VALUE to fuzz_assign.c, and commands are not run.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "options.h"
#include "pool.h"

enum { MOST_WORDS = 40 };

static void check(int ok)
{
	if (!ok)
		abort();
}

/* Each option as each type that there is: a value, or a complaint. */
static void read_options(const struct cli_args *args)
{
	for (const struct cli_option *option = args->command->options; option->name; option++) {
		const char *const *values;
		size_t n = cli_values(args, option->name, &values);
		int choice = -1, ms = -1;
		int64_t number = -1, seconds = -1;

		check((n > 0) == cli_has(args, option->name));
		check(n == 0 || cli_value(args, option->name) == values[n - 1]);
		if (!option->argument)
			continue;
		if (cli_choice(args, option->name, &choice) && n > 0)
			check(choice >= 0);
		if (cli_count(args, option->name, 1, &number) && n > 0)
			check(number >= 1);
		if (cli_duration(args, option->name, &ms) && n > 0)
			check(ms >= 1);
		if (cli_age(args, option->name, &seconds) && n > 0)
			check(seconds >= 3600);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *quiet;
	const struct cli_command *command;
	struct cli_pool pool = CLI_POOL_INIT;
	struct cli_args args;
	char *text = malloc(size + 1), *words[MOST_WORDS + 1], *at = text;
	int n = 0;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (!quiet)
		quiet = freopen("/dev/null", "w", stderr); /* it complains, as it should */
	for (char *line; n < MOST_WORDS && (line = strsep(&at, "\n"));) {
		/* With it complaints are printed as an object: not here. */
		if (strcmp(line, "--json") != 0)
			words[n++] = line;
	}
	words[n] = NULL;
	command = n > 0 ? cli_find_command(words[0]) : NULL;
	if (command && cli_parse(command, n - 1, words + 1, &pool, &args) == 0) {
		check(args.n_words + args.n_given <= (size_t)n);
		check(args.help ||
		      (args.n_words >= command->least && args.n_words <= command->most));
		read_options(&args);
	}
	cli_pool_release(&pool);
	free(text);
	return 0;
}
