/*
 * `amend guard`: lets the database itself protect a table, whoever writes.
 * Leaves what is installed to the library.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "complain.h"
#include "confirm.h"
#include "exit.h"
#include "json.h"
#include "print.h"
#include "session.h"

extern const char *const cli_django_fields[]; /* lines of amend_fields.py, ended by NULL */

struct shown {
	struct json_object *object, *statements; /* NULL: text */
	char as[512];                            /* how it is guarded, in words */
	bool quiet;                              /* the statements are counted, not shown */
	size_t n;
};

static void say_names(struct shown *shown, const char *what, const char *const *columns, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t size = strlen(shown->as);

		snprintf(shown->as + size, sizeof(shown->as) - size, "%s%s", i ? ", " : what,
			 columns[i]);
	}
}

static void say_state(struct shown *shown, const struct amend_guard_state *state)
{
	if (!state->version_column)
		return;
	snprintf(shown->as, sizeof(shown->as), ": version column %s, stale rule %s, %s",
		 state->version_column, amend_stale_rule_name(state->stale),
		 !state->history       ? "no history"
		 : state->by_statement ? "history once a statement"
				       : "history once a row");
	say_names(shown, ", without ", state->ignored, state->n_ignored);
	say_names(shown, ", adding up ", state->additive, state->n_additive);
}

static struct json_object *names(const char *const *columns, size_t n)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		json_object_array_add(array, cli_json_text(columns[i]));
	return array;
}

static void show_state(void *context, const struct amend_guard_state *state)
{
	struct shown *shown = context;

	if (!shown->object) {
		say_state(shown, state);
		return;
	}
	cli_json_add(shown->object, "table", cli_json_text(state->table));
	if (!state->version_column)
		return;
	cli_json_add(shown->object, "version_column", cli_json_text(state->version_column));
	cli_json_add(shown->object, "stale", cli_json_text(amend_stale_rule_name(state->stale)));
	cli_json_add(shown->object, "history",
		     cli_json_text(!state->history       ? "none"
				   : state->by_statement ? "statement"
							 : "row"));
	cli_json_add(shown->object, "ignored", names(state->ignored, state->n_ignored));
	cli_json_add(shown->object, "additive", names(state->additive, state->n_additive));
}

static void show_statement(void *context, const char *statement)
{
	struct shown *shown = context;

	shown->n++;
	if (shown->statements)
		json_object_array_add(shown->statements, cli_json_text(statement));
	else if (!shown->quiet)
		printf("%s;\n", statement);
}

static int finish(struct cli_session *session, struct shown *shown, bool changed)
{
	const struct cli_args *args = session->args;
	bool off = cli_has(args, "off");

	if (shown->object) {
		cli_json_add(shown->object, "changed", json_object_new_boolean(changed));
		cli_json_add(shown->object, "statements", json_object_get(shown->statements));
		cli_json_print(json_object_get(shown->object));
		return CLI_DONE;
	}
	printf(!changed && off ? "%s is not guarded\n"
	       : !changed      ? "%s is guarded so already%s\n"
	       : off           ? "%s is not guarded any more; what was recorded stays\n"
			       : "%s is guarded%s\n",
	       cli_quote(args->pool, args->words[1]), shown->as);
	return CLI_DONE;
}

static int guard(struct cli_session *session, const struct amend_guard_options *options,
		 struct shown *shown)
{
	const struct cli_args *args = session->args;
	bool off = cli_has(args, "off"), yes = cli_has(args, "yes"), changed = false;
	bool print = cli_has(args, "print");
	enum amend_status status;

	shown->quiet = yes;
	status = amend_guard_plan(session->db, args->words[1], options, off, show_state,
				  show_statement, shown, &session->err);
	if (status != AMEND_OK)
		return cli_fail(session);
	if (print || (shown->object && !yes && shown->n > 0))
		return shown->object ? finish(session, shown, false) : CLI_DONE;
	if (shown->n > 0 && !yes) {
		if (!isatty(STDIN_FILENO))
			return cli_usage(args, "nothing is changed without a yes, and there is no "
					       "terminal to ask on (hint: --yes)");
		if (!cli_agree(off ? "Take these triggers away?" : "Install this?")) {
			amend_error_set(&session->err, AMEND_INTERRUPTED, "nothing was changed");
			return cli_fail(session);
		}
	}
	status = off ? amend_unguard(session->db, args->words[1], &changed, &session->err)
		     : amend_guard(session->db, args->words[1], options, &changed, &session->err);
	return status == AMEND_OK ? finish(session, shown, changed) : cli_fail(session);
}

static int print_django(const struct cli_args *args)
{
	if (args->n_words > 0 || args->n_given > 1)
		return cli_usage(args, "--django prints a file, and takes nothing else");
	for (const char *const *line = cli_django_fields; *line; line++)
		fputs(*line, stdout);
	return CLI_DONE;
}

static int run(const struct cli_args *args)
{
	static const enum amend_stale_rule rules[] = {AMEND_STALE_EQUAL, AMEND_STALE_EITHER,
						      AMEND_STALE_NEXT};
	struct amend_guard_options options = AMEND_GUARD_OPTIONS_INIT;
	struct shown shown = {0};
	struct cli_session session;
	int rule = -1, level = -1, code;

	if (cli_has(args, "django"))
		return print_django(args);
	if (args->n_words < 2)
		return cli_usage(args, "expected DB TABLE");
	if (cli_has(args, "print") && cli_has(args, "yes"))
		return cli_usage(args, "--print and --yes exclude each other");
	if (!cli_choice(args, "stale", &rule) || !cli_choice(args, "level", &level))
		return CLI_USAGE;
	options.version_column = cli_value(args, "version-column");
	options.stale = rule < 0 ? AMEND_STALE_AS_IT_STANDS : rules[rule];
	options.history = cli_has(args, "history");
	options.by_row = level == 0;
	options.by_statement = level == 1;
	options.n_ignore = cli_values(args, "ignore", &options.ignore);
	options.n_additive = cli_values(args, "additive", &options.additive);
	if (cli_has(args, "off") && (options.version_column || options.stale || options.history ||
				     level >= 0 || options.n_ignore > 0 || options.n_additive > 0))
		return cli_usage(args,
				 "--off takes the guard away, and goes with none of its options");
	code = cli_open(&session, args, args->words[0], 0);
	if (code == 0 && cli_has(args, "json")) {
		shown.object = json_object_new_object();
		shown.statements = json_object_new_array();
	}
	if (code == 0)
		code = guard(&session, &options, &shown);
	json_object_put(shown.statements);
	json_object_put(shown.object);
	cli_close(&session);
	return code;
}

static const struct cli_option options[] = {
	{"version-column", "COL",
	 "what moves with every write; added where it is missing (version)", false},
	{"stale", "equal|either|next", "which versions a program may write (equal)", false},
	{"history", NULL, "record what every writer changes", false},
	{"level", "row|statement", "record once a row, or once a statement (PostgreSQL; row)",
	 false},
	{"ignore", "COL", "leave this column out of history", true},
	{"additive", "COL",
	 "a number in which what is added counts: syncs and merges add up what both sides did",
	 true},
	{"off", NULL, "take the triggers away; the column and what was recorded stay", false},
	{"django", NULL, "print a field class for Django's models", false},
	{"print", NULL, "show the statements, and change nothing", false},
	{"yes", NULL, "do not ask", false},
	{CLI_OPTION_TIMEOUT},
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_guard = {
	.name = "guard",
	.words = "DB TABLE",
	.summary = "let the database itself protect a table",
	.about = "Triggers that move a version with every write, refuse the save of a row that has changed\n"
		 "since it was read, and record who changed what: whatever program writes. Shows what it\n"
		 "will install, and asks. Once more after columns were added, or after the table was rebuilt.",
	.examples = "amend guard app.db stock\n"
		    "amend guard app.db stock --history --ignore updated_at\n"
		    "amend guard postgresql://host/shop orders --version-column lock_version --stale next\n"
		    "amend guard --django >amend_fields.py",
	.exits = "0 done, or nothing to do  1 failed, or answered no  2 wrong use\n"
		 "4 no such table  5 locked",
	.options = options,
	.least = 0,
	.most = 2,
	.run = run,
};
