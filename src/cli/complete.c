/*
 * What could stand at the end of a command line, from the tables of commands and options.
 * Leaves asking, and matching files, to the shells' scripts of completion.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <amend/amend.h>

#include "commands.h"
#include "exit.h"

/*
 * Printed a line each: what could stand there, a tab and what it is; ":files" where the name of a
 * file could. Databases that are files tell their tables and columns; a server is never asked, for
 * nobody expects a connection from a key pressed.
 */
struct place {
	const struct cli_command *command;
	const char *current;  /* what is typed of the last word */
	const char *prefix;   /* stands in front of the part that is completed: "--take=", "a," */
	const char *words[8]; /* those in front that are no options */
	size_t n_words;
	char **given; /* all in front, ended by `current` */
	size_t n_given;
	struct cli_pool *pool;
};

/* Only what begins as the part that is typed does. */
static void offer(const struct place *place, const char *text, const char *end, const char *about)
{
	const char *typed = place->current + strlen(place->prefix);

	if (strncmp(text, typed, strlen(typed)) == 0)
		printf("%s%s%s\t%s\n", place->prefix, text, end, about);
}

/* A name that every shell takes as it is; others would need quotes, which differ. */
static bool is_easy(const char *name)
{
	static const char odd[] = " \t\r\n\"'`\\$&|;<>()[]{}*?!~#=:,%^";

	for (const char *at = name; *at; at++) {
		if ((unsigned char)*at < ' ' || strchr(odd, *at))
			return false;
	}
	return *name && *name != '-';
}

/* --- what the database has --- */

/* The word that stands where the command's words have `name`. */
static const char *word_at(const struct place *place, const char *name)
{
	const char *at = place->command->words;
	size_t size = strlen(name);

	for (size_t i = 0; i < place->n_words && *at; i++) {
		at += strspn(at, " [");
		if (strncmp(at, name, size) == 0 && strchr(" ]", at[size]))
			return place->words[i];
		at += strcspn(at, " ");
	}
	return NULL;
}

static struct amend_conn *open_file(const struct place *place)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	const char *url = word_at(place, "DB"), *home = getenv("HOME");
	struct amend_conn *db = NULL;
	struct amend_error ignored;

	if (!url || strstr(url, "://"))
		return NULL;
	if (strncmp(url, "~/", 2) == 0 && home)
		url = cli_format(place->pool, "%s%s", home, url + 1);
	options.must_exist = options.read_only = true;
	options.lock_timeout_ms = 100;
	if (amend_open(url, &options, &db, &ignored) != AMEND_OK)
		return NULL;
	return db;
}

static void offer_tables(const struct place *place)
{
	struct amend_conn *db = open_file(place);
	struct amend_rows rows = {0};
	struct amend_error ignored;

	if (db && amend_table_names(db, &rows, &ignored) == AMEND_OK) {
		for (size_t i = 0; i < rows.n_rows; i++) {
			const struct amend_value *name = amend_rows_at(&rows, i, 0);

			if (name->kind == AMEND_TEXT && is_easy(name->as.text))
				offer(place, name->as.text, "", "table");
		}
	}
	amend_rows_release(&rows);
	amend_close(db);
}

static void offer_columns(const struct place *place, const char *end)
{
	const char *name = word_at(place, "TABLE");
	struct amend_conn *db = name ? open_file(place) : NULL;
	struct amend_table *table = NULL;
	struct amend_error ignored;

	if (db && amend_table_open(db, name, &table, &ignored) == AMEND_OK) {
		for (size_t i = 0; i < table->n_columns; i++) {
			if (is_easy(table->columns[i].name))
				offer(place, table->columns[i].name, end, "column");
		}
		amend_table_close(table);
	}
	amend_close(db);
}

/* --- by what a word is called --- */

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* "store|incoming|current", "FILE", "KEY=VALUE", "COL[,COL...]" */
static void offer_argument(struct place *place, const char *argument)
{
	const char *const *parts;
	size_t n = cli_split(place->pool, argument, &parts);

	for (size_t i = 0; i < n; i++) {
		const char *part = parts[i] + strspn(parts[i], "["), *comma;

		if (*part && cli_is_choice(part)) {
			offer(place, part, "", "");
		} else if (begins(part, "FILE") || begins(part, "SOURCE") || begins(part, "PLAN") ||
			   strcmp(part, "DB") == 0) {
			puts(":files");
		} else if (begins(part, "TABLE")) {
			offer_tables(place);
		} else if (begins(part, "KEY=") || begins(part, "COL=")) {
			offer_columns(place, "=");
		} else if (begins(part, "COL")) {
			comma = strrchr(place->current, ',');
			if (comma)
				place->prefix = cli_copy(place->pool, place->current,
							 (size_t)(comma + 1 - place->current));
			offer_columns(place, "");
		}
	}
}

static bool was_given(const struct place *place, const char *name)
{
	for (size_t i = 0; i + 1 < place->n_given; i++) {
		const char *word = place->given[i];
		size_t size = strlen(name);

		if (begins(word, "--") && strncmp(word + 2, name, size) == 0 &&
		    strchr("=", word[2 + size]))
			return true;
	}
	return false;
}

static void offer_options(const struct place *place)
{
	for (const struct cli_option *option = place->command->options; option->name; option++) {
		if (option->many || !was_given(place, option->name))
			offer(place, cli_format(place->pool, "--%s", option->name), "",
			      option->help);
	}
	offer(place, "--help", "", "what it does, with examples");
}

/* The command's words in order: the one behind those that are there; the last may be repeated. */
static void offer_word(struct place *place)
{
	const char *at = place->command->words, *last = NULL;
	size_t size = 0;

	for (size_t i = 0; i <= place->n_words; i++) {
		at += strspn(at, " [");
		if (!*at || begins(at, "--"))
			break;
		last = i == place->n_words || strstr(at, "]...") ? at : NULL;
		size = strcspn(at, " ]");
		at += strcspn(at, " ");
	}
	if (last)
		offer_argument(place, cli_copy(place->pool, last, size));
	else if (!*place->current)
		offer_options(place);
}

static const struct cli_option *find_option(const struct place *place, const char *word)
{
	size_t size = strcspn(word, "=");

	for (const struct cli_option *option = place->command->options; option->name; option++) {
		if (begins(word, "--") && strlen(option->name) == size - 2 &&
		    memcmp(option->name, word + 2, size - 2) == 0)
			return option;
	}
	return NULL;
}

/* Reads what is in front as cli_parse would, and offers what can follow. */
static void offer_for_command(struct place *place)
{
	const struct cli_option *open = NULL; /* expects its value */
	bool ended = false;

	for (size_t i = 0; i + 1 < place->n_given; i++) {
		const char *word = place->given[i];
		const struct cli_option *option = ended ? NULL : find_option(place, word);

		if (open) {
			open = NULL;
		} else if (!ended && strcmp(word, "--") == 0) {
			ended = true;
		} else if (!ended && word[0] == '-' && word[1]) {
			open = option && option->argument && !strchr(word, '=') ? option : NULL;
		} else if (place->n_words < sizeof(place->words) / sizeof(place->words[0])) {
			place->words[place->n_words++] = word;
		}
	}
	if (!open && !ended && strchr(place->current, '=')) {
		open = find_option(place, place->current);
		if (open && open->argument)
			place->prefix = cli_copy(place->pool, place->current,
						 strcspn(place->current, "=") + 1);
	}
	if (open && open->argument)
		offer_argument(place, open->argument);
	else if (!ended && place->current[0] == '-')
		offer_options(place);
	else
		offer_word(place);
}

static void offer_commands(const struct place *place, bool all)
{
	for (size_t i = 0; cli_commands[i]; i++)
		offer(place, cli_commands[i]->name, "", cli_commands[i]->summary);
	if (all) {
		offer(place, "help", "", "what a command does, with examples");
		offer(place, "version", "", "the version of amend");
	}
}

int cli_complete(int argc, char **argv)
{
	struct cli_pool pool = CLI_POOL_INIT;
	struct place place = {.prefix = "", .pool = &pool};

	if (argc < 1)
		return CLI_USAGE;
	place.current = argv[argc - 1];
	place.given = argv + 1;
	place.n_given = (size_t)argc - 1;
	if (argc == 1) {
		offer_commands(&place, true);
	} else if (strcmp(argv[0], "help") == 0) {
		offer_commands(&place, false);
	} else {
		place.command = cli_find_command(argv[0]);
		if (place.command)
			offer_for_command(&place);
	}
	cli_pool_release(&pool);
	return CLI_DONE;
}
