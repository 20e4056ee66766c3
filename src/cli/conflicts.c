/*
 * `amend conflicts`: what waits for a decision, side by side, and what was decided.
 * Leaves how one looks to conflict_show.c, and settling to resolve.c.
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "conflict_show.h"
#include "exit.h"
#include "pager.h"
#include "tables.h"

struct listing {
	struct cli_session *session;
	struct cli_tables tables;
	struct json_object *conflicts; /* NULL: text */
	size_t n, open;
};

static enum amend_status print_conflict(const struct amend_conflict *conflict, void *context,
					struct amend_error *err)
{
	struct listing *listing = context;
	struct cli_pool pool = CLI_POOL_INIT;

	if (listing->n++)
		printf("\n");
	listing->open += strcmp(conflict->state, "open") == 0;
	cli_conflict_print(&pool, conflict);
	cli_pool_release(&pool);
	if (cli_output_gone())
		return amend_error_set(err, AMEND_INTERRUPTED, "nobody reads the output any more");
	return AMEND_OK;
}

static enum amend_status note_table(const struct amend_conflict *conflict, void *context,
				    struct amend_error *err)
{
	struct listing *listing = context;

	(void)err;
	cli_tables_note(&listing->tables, listing->session->args->pool, conflict->table);
	return AMEND_OK;
}

static enum amend_status add_conflict(const struct amend_conflict *conflict, void *context,
				      struct amend_error *err)
{
	struct listing *listing = context;
	const struct amend_table *table = cli_tables_find(&listing->tables, conflict->table);

	(void)err;
	json_object_array_add(listing->conflicts, cli_conflict_json(table, conflict));
	return AMEND_OK;
}

static int print_json(struct cli_session *session, const struct amend_conflict_filter *filter,
		      struct listing *listing)
{
	struct json_object *object = json_object_new_object();
	int code = CLI_DONE;

	listing->conflicts = json_object_new_array();
	cli_json_add(object, "conflicts", listing->conflicts);
	if (amend_conflicts(session->db, filter, note_table, listing, &session->err) != AMEND_OK)
		code = cli_fail(session);
	cli_tables_open(&listing->tables, session);
	if (code == 0 &&
	    amend_conflicts(session->db, filter, add_conflict, listing, &session->err) != AMEND_OK)
		code = cli_fail(session);
	if (code == 0)
		cli_json_print(json_object_get(object));
	json_object_put(object);
	cli_tables_close(&listing->tables);
	return code;
}

static int print_text(struct cli_session *session, const struct amend_conflict_filter *filter,
		      struct listing *listing)
{
	struct cli_pool *pool = session->args->pool;
	const char *database = cli_quote(pool, session->args->words[0]);

	if (amend_conflicts(session->db, filter, print_conflict, listing, &session->err) != AMEND_OK)
		return cli_output_gone() ? CLI_DONE : cli_fail(session);
	if (listing->n == 0)
		printf("no %sconflicts\n",
		       filter->state ? cli_format(pool, "%s ", filter->state) : "");
	if (listing->open > 0)
		printf("\nto settle one, take a side, give values, or edit it:\n"
		       "  amend resolve %s ID --take current|incoming|base\n"
		       "  amend resolve %s ID COL=VALUE...\n"
		       "  amend resolve %s ID --edit\n",
		       database, database, database);
	return CLI_DONE;
}

/* TABLE, or the number of a conflict, which has any state. */
static int list(struct cli_session *session, struct amend_conflict_filter *filter)
{
	const struct cli_args *args = session->args;
	struct listing listing = {.session = session, .tables = CLI_TABLES_INIT};
	int code = 0;

	if (args->n_words > 1 && filter->id == 0)
		code = cli_open_table(session, args->words[1]);
	if (code != 0)
		return code;
	filter->table = session->table ? session->table->qualified : NULL;
	return cli_has(args, "json") ? print_json(session, filter, &listing)
				     : print_text(session, filter, &listing);
}

static int run(const struct cli_args *args)
{
	static const char *const states[] = {"open", "settled", "closed", NULL};
	struct amend_conflict_filter filter = {.table = NULL};
	struct cli_session session;
	struct cli_pager pager;
	int state = 0, code;

	if (!cli_choice(args, "state", &state))
		return CLI_USAGE;
	if (args->n_words > 1 && cli_id(args->words[1], &filter.id) && cli_has(args, "state"))
		return cli_usage(args, "--state chooses among several, found the one conflict %s",
				 args->words[1]);
	filter.state = filter.id ? NULL : states[state];
	code = cli_open(&session, args, args->words[0], CLI_READ_ONLY);
	cli_pager_open(&pager, code == 0 && !cli_has(args, "json"));
	if (code == 0)
		code = list(&session, &filter);
	cli_pager_close(&pager);
	cli_close(&session);
	return code;
}

static const struct cli_option options[] = {
	{"state", "open|settled|closed|all",
	 "those that wait (default), or were decided, or went away", false},
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_conflicts = {
	.name = "conflicts",
	.words = "DB [TABLE|ID]",
	.summary = "what waits for a decision",
	.about = "Shows the open conflicts, oldest first: fields that were changed here and by the source,\n"
		 "or by a save, too. base is what the source had before, current what the database\n"
		 "holds now, incoming what is to be. One by its number is shown also when it is over.",
	.examples = "amend conflicts app.db\n"
		    "amend conflicts app.db country\n"
		    "amend conflicts app.db 1\n"
		    "amend conflicts app.db --state settled --json",
	.exits = "0 done  4 no such table, or no such conflict",
	.options = options,
	.least = 1,
	.most = 2,
	.run = run,
};
