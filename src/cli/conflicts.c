/*
 * `amend conflicts`: what waits for a decision, side by side.
 * Leaves settling to resolve.c.
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "exit.h"
#include "json.h"
#include "plain.h"
#include "print.h"
#include "tables.h"

struct listing {
	struct cli_session *session;
	struct cli_tables tables;
	struct json_object *conflicts; /* NULL: text */
	size_t n;
};

static void print_fields(struct cli_pool *pool, const struct amend_conflict *conflict)
{
	enum { COLUMNS = 4, LONGEST = 40 };
	const char **cells = cli_alloc(pool, (conflict->n_fields + 1) * COLUMNS, sizeof(*cells));

	cells[0] = "";
	cells[1] = "base";
	cells[2] = "current";
	cells[3] = "incoming";
	for (size_t i = 0; i < conflict->n_fields; i++) {
		const struct amend_conflict_field *field = &conflict->fields[i];
		const char **row = cells + (i + 1) * COLUMNS;

		row[0] = cli_plain(pool, field->column);
		row[1] = field->has_base ? cli_show(pool, &field->base, LONGEST) : "-";
		row[2] = cli_show(pool, &field->current, LONGEST);
		row[3] = cli_show(pool, &field->incoming, LONGEST);
	}
	if (conflict->n_fields)
		cli_table(stdout, "  ", cells, conflict->n_fields + 1, COLUMNS);
}

/* By the key that the source has, and by the table's own where that is another. */
static void print_record(struct cli_pool *pool, const struct amend_conflict *conflict)
{
	const char *key = cli_show_fields(pool, conflict->key, conflict->n_key);

	printf(": %s %s", cli_plain(pool, conflict->table),
	       cli_show_text(pool, conflict->first_key));
	if (conflict->n_key && strcmp(key, conflict->first_key) != 0)
		printf(" (%s)", key);
	printf("\n");
}

static enum amend_status print_conflict(const struct amend_conflict *conflict, void *context,
					struct amend_error *err)
{
	struct listing *listing = context;
	struct cli_pool pool = CLI_POOL_INIT;

	if (listing->n++)
		printf("\n");
	cli_ink(stdout, CLI_NOTE, cli_format(&pool, "conflict %lld", (long long)conflict->id));
	print_record(&pool, conflict);
	if (*conflict->note)
		printf("  %s: %s\n", amend_conflict_kind_name(conflict->kind),
		       cli_show_text(&pool, conflict->note));
	print_fields(&pool, conflict);
	printf("  from source %s", cli_show_text(&pool, conflict->source));
	if (conflict->line)
		printf(", line %lld", (long long)conflict->line);
	if (*conflict->who)
		printf(", by %s", cli_show_text(&pool, conflict->who));
	printf(", %s\n", cli_show_time(&pool, conflict->at));
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
	struct json_object *object = json_object_new_object();

	(void)err;
	cli_json_add(object, "id", cli_json_id(conflict->id));
	cli_json_add(object, "table", cli_json_text(conflict->table));
	cli_json_add(object, "source", cli_json_text(conflict->source));
	cli_json_add(object, "kind", cli_json_text(amend_conflict_kind_name(conflict->kind)));
	cli_json_add(object, "key",
		     conflict->n_key ? cli_json_fields(table, conflict->key, conflict->n_key)
				     : NULL);
	cli_json_add(object, "first_key", cli_json_text(conflict->first_key));
	cli_json_add(object, "fields",
		     cli_json_conflict(table, conflict->fields, conflict->n_fields));
	cli_json_add(object, "note", cli_json_text(conflict->note));
	cli_json_add(object, "line", json_object_new_int64(conflict->line));
	cli_json_add(object, "by", cli_json_text(conflict->who));
	cli_json_add(object, "at", cli_json_time(conflict->at));
	json_object_array_add(listing->conflicts, object);
	return AMEND_OK;
}

static int print_json(struct cli_session *session, const char *table, struct listing *listing)
{
	struct json_object *object = json_object_new_object();
	int code = CLI_DONE;

	listing->conflicts = json_object_new_array();
	cli_json_add(object, "conflicts", listing->conflicts);
	if (amend_conflicts(session->db, table, 0, note_table, listing, &session->err) != AMEND_OK)
		code = cli_fail(session);
	cli_tables_open(&listing->tables, session);
	if (code == 0 && amend_conflicts(session->db, table, 0, add_conflict, listing,
					 &session->err) != AMEND_OK)
		code = cli_fail(session);
	if (code == 0)
		cli_json_print(json_object_get(object));
	json_object_put(object);
	cli_tables_close(&listing->tables);
	return code;
}

static int print_text(struct cli_session *session, const char *table, struct listing *listing)
{
	struct cli_pool *pool = session->args->pool;
	const char *database = cli_quote(pool, session->args->words[0]);

	if (amend_conflicts(session->db, table, 0, print_conflict, listing, &session->err) !=
	    AMEND_OK)
		return cli_output_gone() ? CLI_DONE : cli_fail(session);
	if (listing->n == 0)
		printf("no open conflicts\n");
	else
		printf("\nto settle one, take a side or give values:\n"
		       "  amend resolve %s ID --take current|incoming|base\n"
		       "  amend resolve %s ID COL=VALUE...\n",
		       database, database);
	return CLI_DONE;
}

static int run(const struct cli_args *args)
{
	const char *name = args->n_words > 1 ? args->words[1] : NULL;
	struct listing listing = {.tables = CLI_TABLES_INIT};
	struct cli_session session;
	int code = cli_open(&session, args, args->words[0], CLI_READ_ONLY);

	listing.session = &session;
	if (code == 0 && name)
		code = cli_open_table(&session, name);
	if (code == 0) {
		name = session.table ? session.table->qualified : NULL;
		code = cli_has(args, "json") ? print_json(&session, name, &listing)
					     : print_text(&session, name, &listing);
	}
	cli_close(&session);
	return code;
}

static const struct cli_option options[] = {
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_conflicts = {
	.name = "conflicts",
	.words = "DB [TABLE]",
	.summary = "what waits for a decision",
	.about = "Shows the open conflicts, oldest first: fields that were edited here and changed by\n"
		 "the source too. base is what the source had before, current what the database holds,\n"
		 "incoming what the source has now.",
	.examples = "amend conflicts app.db\n"
		    "amend conflicts app.db country\n"
		    "amend conflicts app.db --json",
	.exits = "0 done  4 no such table",
	.options = options,
	.least = 1,
	.most = 2,
	.run = run,
};
