/*
 * The command line. Commands and their options are data: parsing, --help, and
 * whatever else lists them (completion, manual pages) read the same tables.
 *
 *	static const struct cli_option options[] = {
 *		{CLI_OPTION_JSON},
 *		{"create", NULL, "create the record where there is none", false},
 *		{"take", "current|incoming|base", "which side", false},
 *		{CLI_OPTIONS_END},
 *	};
 *
 * Words in small letters between | are choices, as in keep|delete|COL=VALUE; words in capitals stand
 * for something: FILE, DB, TABLE, COL, COL=VALUE and KEY=VALUE are what completion knows.
 *
 * Options may stand anywhere, as --name VALUE or --name=VALUE; -- ends them.
 * Functions that can find fault say so on standard error and return false, or
 * the exit code.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <amend/error.h>

#include "pool.h"

struct cli_option {
	const char *name;     /* without its dashes */
	const char *argument; /* what it takes, as --help shows it; NULL: nothing */
	const char *help;
	bool many; /* each one counts; otherwise the last */
};

/* What several commands take, in the same words. */
#define CLI_OPTION_JSON "json", NULL, "print exactly one JSON object", false
#define CLI_OPTION_AS \
	"as", "NAME", "who makes the change (default: $AMEND_AS, else your login)", false
#define CLI_OPTION_BECAUSE "because", "TEXT", "why: recorded with the change", false
#define CLI_OPTION_ONCE \
	"once", "ID", "under this id it is done once; a repeat gets its answer", false
#define CLI_OPTION_KEY "key", "COL=VALUE", "one more column of the key", true
#define CLI_OPTION_KEY_FILE                                                                       \
	"key-file", "FILE", "what signs tokens (default: $AMEND_KEY_FILE, else in the database)", \
		false
#define CLI_OPTION_LEASE                                                                           \
	"lease", "TOKEN", "only while this lease is held: of amend lease (default: $AMEND_LEASE)", \
		false
#define CLI_OPTION_TIMEOUT \
	"timeout", "TIME", "wait this long for a lock: 5s, 500ms, 2m (30s)", false
#define CLI_OPTIONS_END NULL, NULL, NULL, false

struct cli_args;

struct cli_command {
	const char *name;
	const char *words;    /* "DB TABLE KEY=VALUE": what it takes, in order */
	const char *summary;  /* a few words, for the list of commands */
	const char *about;    /* what it does, for its --help */
	const char *examples; /* lines that work as they stand */
	const char *exits;    /* "0 done", ... by two spaces */
	const struct cli_option *options;
	size_t least, most; /* how many words */
	int (*run)(const struct cli_args *args);
};

struct cli_given {
	const struct cli_option *option;
	const char *value; /* NULL: it takes none */
};

struct cli_args {
	const struct cli_command *command;
	const char **words;
	size_t n_words;
	struct cli_given *given;
	size_t n_given;
	bool help;
	char **unread; /* while it is parsed: what is not yet, ended by NULL */
	struct cli_pool *pool;
};

enum { CLI_ANY_NUMBER = 1000000 };

/* `argv` behind the command's name. 0, or the exit code of wrong use. */
int cli_parse(const struct cli_command *command, int argc, char **argv, struct cli_pool *pool,
	      struct cli_args *args);

/*
 * Wrong use of this command: complains, adds where to look, and returns the exit code. With --json
 * the error is the object printed.
 */
int cli_usage(const struct cli_args *args, const char *format, ...) AMEND_PRINTF(2, 3);

/* Of the command's options; a name that is not among them is a defect. */
bool cli_has(const struct cli_args *args, const char *name);
bool cli_takes(const struct cli_args *args, const char *name); /* any name: is it one of them? */
const char *cli_value(const struct cli_args *args, const char *name); /* NULL: not given */
size_t cli_values(const struct cli_args *args, const char *name, const char *const **values);

/* Typed values; `out` stays as it is when the option is not given. */
/*
 * `out`: the place, from 0, among the choices of the option's argument. The last may be in
 * capitals: it takes what is none of the others.
 */
bool cli_choice(const struct cli_args *args, const char *name, int *out);
bool cli_count(const struct cli_args *args, const char *name, int64_t least, int64_t *out);
bool cli_duration(const struct cli_args *args, const char *name, int *out_ms);
/* How long ago: 12h, 90d, 12w, 2y. */
bool cli_age(const struct cli_args *args, const char *name, int64_t *seconds);
/* A whole word as a number from 1. */
bool cli_id(const char *word, int64_t *out);

/* The parts of an argument between |, ended by NULL: how many. */
size_t cli_split(struct cli_pool *pool, const char *argument, const char *const **out);
/* Whether such a part is to be typed as it stands. */
bool cli_is_choice(const char *part);

/* The nearest of `names` (ended by NULL), or NULL when none is near. */
const char *cli_nearest(const char *word, const char *const *names);

void cli_print_help(const struct cli_command *command);

#endif
