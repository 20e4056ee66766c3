/*
 * Parses a command line by the command's table of options.
 * Leaves showing the table to help.c, and what the words mean to each command.
 */
#include "options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "complain.h"
#include "exit.h"
#include "json.h"

static size_t least_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Letters to insert, to drop or to exchange; those beyond the 32nd do not matter. */
static size_t distance(const char *a, const char *b)
{
	enum { LONGEST = 32 };
	size_t rows[2][LONGEST + 1];
	size_t n = least_of(strlen(a), LONGEST), m = least_of(strlen(b), LONGEST);

	for (size_t j = 0; j <= m; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *row = rows[i % 2], *above = rows[(i + 1) % 2];

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t changed = above[j - 1] + (a[i - 1] != b[j - 1]);

			row[j] = least_of(changed, least_of(above[j], row[j - 1]) + 1);
		}
	}
	return rows[n % 2][m];
}

const char *cli_nearest(const char *word, const char *const *names)
{
	const char *nearest = NULL;
	size_t best = 0;

	for (; *names; names++) {
		size_t far = distance(word, *names);

		if (strlen(word) >= 2 && strncmp(word, *names, strlen(word)) == 0)
			far = 1;
		if (far <= 1 + strlen(*names) / 4 && (!nearest || far < best)) {
			nearest = *names;
			best = far;
		}
	}
	return nearest;
}

/* Also where --json comes behind the fault. */
static bool wants_json(const struct cli_args *args)
{
	if (!cli_takes(args, "json"))
		return false;
	for (char **word = args->unread; word && *word && strcmp(*word, "--") != 0; word++) {
		if (strcmp(*word, "--json") == 0)
			return true;
	}
	return cli_has(args, "json");
}

static int complain_usage(const struct cli_args *args, const char *format, va_list list)
{
	const char *name = args->command->name, *text = cli_format_list(args->pool, format, list);
	struct amend_error err;

	text = strstr(text, "(hint: ")
		       ? cli_format(args->pool, "%s: %s", name, text)
		       : cli_format(args->pool, "%s: %s (hint: amend %s --help)", name, text, name);
	if (wants_json(args)) {
		struct json_object *object = json_object_new_object();

		amend_error_set(&err, AMEND_INVALID, "%s", cli_hide(args->pool, text));
		cli_json_add(object, "error", cli_json_error(&err));
		cli_json_print(object);
	}
	cli_complain("%s", text);
	return CLI_USAGE;
}

int cli_usage(const struct cli_args *args, const char *format, ...)
{
	va_list list;
	int code;

	va_start(list, format);
	code = complain_usage(args, format, list);
	va_end(list);
	return code;
}

static const struct cli_option *find(const struct cli_command *command, const char *name,
				     size_t size)
{
	for (const struct cli_option *option = command->options; option->name; option++) {
		if (strlen(option->name) == size && memcmp(option->name, name, size) == 0)
			return option;
	}
	return NULL;
}

static int unknown(const struct cli_args *args, const char *word)
{
	const char *names[64] = {"help"};
	const char *nearest;
	size_t n = 1, size = strcspn(word, "=");

	for (const struct cli_option *option = args->command->options; option->name; option++) {
		if (n < sizeof(names) / sizeof(names[0]) - 1)
			names[n++] = option->name;
	}
	nearest = strncmp(word, "--", 2) == 0
			  ? cli_nearest(cli_copy(args->pool, word + 2, size - 2), names)
			  : NULL;
	if (nearest)
		return cli_usage(args, "no option %.*s (hint: did you mean --%s?)", (int)size, word,
				 nearest);
	return cli_usage(args, "no option %.*s", (int)size, word);
}

/* Takes the option at argv[*i], and the word behind it if it is its value. */
static int take_option(struct cli_args *args, int argc, char **argv, int *i)
{
	const char *word = argv[*i], *name = word + 2;
	size_t size = strcspn(name, "=");
	const struct cli_option *option;
	const char *value = NULL;

	if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
		args->help = true;
		return 0;
	}
	option = strncmp(word, "--", 2) == 0 ? find(args->command, name, size) : NULL;
	if (!option)
		return unknown(args, word);
	if (option->argument) {
		if (name[size] == '=')
			value = name + size + 1;
		else if (*i + 1 < argc)
			value = argv[++*i];
		else
			return cli_usage(args, "--%s: expected %s behind it, found nothing",
					 option->name, option->argument);
	} else if (name[size] == '=') {
		return cli_usage(args, "--%s takes no value, found \"%s\"", option->name,
				 name + size + 1);
	}
	args->given[args->n_given++] = (struct cli_given){option, value};
	return 0;
}

static int check_words(const struct cli_args *args)
{
	const struct cli_command *command = args->command;
	const char *found = "";

	for (size_t i = 0; i < args->n_words; i++)
		found = cli_format(args->pool, "%s%s%s", found, i ? " " : "", args->words[i]);
	if (args->n_words == 0 && command->least > 0)
		return cli_usage(args, "expected %s, found nothing", command->words);
	if (args->n_words < command->least)
		return cli_usage(args, "expected %s, found only \"%s\"", command->words, found);
	if (args->n_words > command->most)
		return cli_usage(args, "expected %s, found \"%s\" as well", command->words,
				 args->words[command->most]);
	return 0;
}

int cli_parse(const struct cli_command *command, int argc, char **argv, struct cli_pool *pool,
	      struct cli_args *args)
{
	bool options_ended = false;
	int code = 0;

	*args = (struct cli_args){.command = command, .pool = pool};
	args->words = cli_alloc(pool, (size_t)argc, sizeof(*args->words));
	args->given = cli_alloc(pool, (size_t)argc, sizeof(*args->given));
	for (int i = 0; i < argc && code == 0; i++) {
		args->unread = options_ended ? NULL : argv + i + 1;
		if (options_ended || argv[i][0] != '-' || argv[i][1] == '\0')
			args->words[args->n_words++] = argv[i];
		else if (strcmp(argv[i], "--") == 0)
			options_ended = true;
		else
			code = take_option(args, argc, argv, &i);
	}
	if (code == 0)
		args->unread = NULL;
	if (code == 0 && !args->help)
		code = check_words(args);
	return code;
}

bool cli_takes(const struct cli_args *args, const char *name)
{
	return find(args->command, name, strlen(name)) != NULL;
}

size_t cli_values(const struct cli_args *args, const char *name, const char *const **values)
{
	const struct cli_option *option = find(args->command, name, strlen(name));
	const char **found = cli_alloc(args->pool, args->n_given, sizeof(*found));
	size_t n = 0;

	assert(option);
	for (size_t i = 0; i < args->n_given; i++) {
		if (args->given[i].option == option)
			found[n++] = args->given[i].value;
	}
	*values = found;
	return n;
}

const char *cli_value(const struct cli_args *args, const char *name)
{
	const char *const *values;
	size_t n = cli_values(args, name, &values);

	return n ? values[n - 1] : NULL;
}

bool cli_has(const struct cli_args *args, const char *name)
{
	const char *const *values;

	return cli_values(args, name, &values) > 0;
}

size_t cli_split(struct cli_pool *pool, const char *argument, const char *const **out)
{
	const char **parts = cli_alloc(pool, strlen(argument) + 2, sizeof(*parts));
	size_t n = 0;

	for (;;) {
		size_t size = strcspn(argument, "|");

		parts[n++] = cli_copy(pool, argument, size);
		if (!argument[size])
			break;
		argument += size + 1;
	}
	*out = parts;
	return n;
}

bool cli_is_choice(const char *part)
{
	for (; *part; part++) {
		if (isupper((unsigned char)*part))
			return false;
	}
	return true;
}

bool cli_choice(const struct cli_args *args, const char *name, int *out)
{
	const char *value = cli_value(args, name), *nearest, *const * choices;
	const struct cli_option *option = find(args->command, name, strlen(name));
	char *all = cli_copy(args->pool, "", 0);
	size_t n;

	if (!value || !option)
		return true;
	n = cli_split(args->pool, option->argument, &choices);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(choices[i], value) == 0 || !cli_is_choice(choices[i])) {
			*out = (int)i;
			return true;
		}
		all = cli_format(args->pool, "%s%s%s", all,
				 i == 0      ? ""
				 : i + 1 < n ? ", "
					     : " or ",
				 choices[i]);
	}
	nearest = cli_nearest(value, choices);
	if (nearest)
		cli_usage(args, "--%s: expected %s, found \"%s\" (hint: did you mean %s?)", name,
			  all, value, nearest);
	else
		cli_usage(args, "--%s: expected %s, found \"%s\"", name, all, value);
	return false;
}

static bool whole_number(const char *text, int64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*out = strtoll(text, &end, 10);
	return errno == 0 && *end == '\0';
}

bool cli_count(const struct cli_args *args, const char *name, int64_t least, int64_t *out)
{
	const char *value = cli_value(args, name);

	if (!value || (whole_number(value, out) && *out >= least))
		return true;
	cli_usage(args, "--%s: expected a number from %lld, found \"%s\"", name, (long long)least,
		  value);
	return false;
}

bool cli_id(const char *word, int64_t *out)
{
	return whole_number(word, out) && *out > 0;
}

bool cli_duration(const struct cli_args *args, const char *name, int *out_ms)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = {{"ms", 1},    {"s", 1000},    {"", 1000},
		     {"m", 60000}, {"min", 60000}, {"h", 3600000}};
	const char *value = cli_value(args, name);
	char *end;
	double number;

	if (!value)
		return true;
	number = strtod(value, &end);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		double ms = number * units[i].ms;

		if (isdigit((unsigned char)*value) && strcmp(end, units[i].name) == 0 && ms >= 1 &&
		    ms <= INT_MAX) {
			*out_ms = (int)ms;
			return true;
		}
	}
	cli_usage(args, "--%s: expected a time as in 5s, 500ms or 2m, found \"%s\"", name, value);
	return false;
}

bool cli_age(const struct cli_args *args, const char *name, int64_t *seconds)
{
	static const struct {
		const char *name;
		int64_t seconds;
	} units[] = {{"h", 3600}, {"d", 86400}, {"w", 604800}, {"y", 31536000}};
	const char *value = cli_value(args, name);
	char *end;
	long long number;

	if (!value)
		return true;
	number = strtoll(value, &end, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (isdigit((unsigned char)*value) && strcmp(end, units[i].name) == 0 &&
		    number > 0 && number < 1000000) {
			*seconds = number * units[i].seconds;
			return true;
		}
	}
	cli_usage(args, "--%s: expected an age as in 90d, 12w or 2y, found \"%s\"", name, value);
	return false;
}
