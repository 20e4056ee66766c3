/*
 * `amend diff`: what differs between two moments of a record.
 * Leaves putting the past together to the library.
 */
#include <stdio.h>

#include "assign.h"
#include "commands.h"
#include "exit.h"
#include "past.h"
#include "plain.h"
#include "print.h"

static void print_json(struct cli_session *session, enum amend_status status,
		       const struct amend_result *result)
{
	const struct amend_table *table = session->table;
	struct json_object *object = json_object_new_object();

	cli_json_add(object, "outcome", cli_json_text(amend_outcome_name(result->outcome)));
	cli_json_add(object, "from", cli_json_past(table, result->base));
	cli_json_add(object, "to", cli_json_past(table, result->record));
	cli_json_add(object, "fields", cli_json_changes(table, result->changes, result->n_changes));
	cli_json_last_change(object, result);
	if (status != AMEND_OK)
		cli_json_add(object, "error", cli_json_error(&session->err));
	cli_json_print(object);
}

static void print_text(struct cli_session *session, const char *table, const char *key,
		       const struct amend_result *result)
{
	struct cli_pool *pool = session->args->pool;
	const char *last = cli_last_change(pool, result);

	printf("%s %s %s", amend_outcome_name(result->outcome), cli_plain(pool, table),
	       cli_plain(pool, key));
	if (last)
		printf(" (last by %s)", last);
	printf("\n");
	cli_print_changes(pool, stdout, "  ", result->changes, result->n_changes);
}

static int diff(struct cli_session *session, struct cli_key *key, const struct amend_moment *from,
		const struct amend_moment *to)
{
	const struct cli_args *args = session->args;
	const char *key_text = cli_key_text(args->pool, key);
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status;
	int code = cli_open_table(session, args->words[1]);

	if (code != 0)
		return code;
	if (!cli_key_make(args, key, session->table))
		return CLI_USAGE;
	status = amend_diff(session->db, session->table, &key->match, from, to, &result,
			    &session->err);
	if (status == AMEND_NOT_FOUND)
		amend_error_wrap(&session->err, "%s %s", args->words[1], key_text);
	if (status != AMEND_OK && status != AMEND_NOT_FOUND)
		code = cli_fail(session);
	else if (cli_has(args, "json"))
		print_json(session, status, &result);
	else if (status == AMEND_OK)
		print_text(session, args->words[1], key_text, &result);
	if (status == AMEND_NOT_FOUND)
		code = cli_complain_of(session);
	amend_result_release(&result);
	return code;
}

static int run(const struct cli_args *args)
{
	struct amend_moment from, to = {.kind = AMEND_NOW};
	struct cli_session session;
	struct cli_key key;
	int code;

	if (!cli_key_parse(args, args->words[2], &key) || !cli_moment(args, args->words[3], &from) ||
	    (args->n_words > 4 && !cli_moment(args, args->words[4], &to)))
		return CLI_USAGE;
	code = cli_open(&session, args, args->words[0], CLI_READ_ONLY);
	if (code == 0)
		code = diff(&session, &key, &from, &to);
	cli_close(&session);
	return code;
}

static const struct cli_option options[] = {
	{CLI_OPTION_KEY},
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_diff = {
	.name = "diff",
	.words = "DB TABLE KEY=VALUE FROM [TO]",
	.summary = "what differs between two moments of a record",
	.about = "Shows which fields of a record differ between two moments, each a revision (7), the\n"
		 "moment just before it (7^), a time in UTC, or now, which TO is by itself.",
	.examples = "amend diff app.db stock sku=42 7\n"
		    "amend diff app.db stock sku=42 7^ 7\n"
		    "amend diff app.db stock sku=42 '2026-11-20 18:00' now --json",
	.exits = "0 done  4 no such record or revision, or it existed at neither",
	.options = options,
	.least = 4,
	.most = 5,
	.run = run,
};
