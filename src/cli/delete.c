/*
 * `amend delete`: removes one record; its history stays.
 * Leaves printing the outcome to result.c.
 */
#include "assign.h"
#include "commands.h"
#include "exit.h"
#include "result.h"

static int remove_record(struct cli_session *session, struct cli_key *key)
{
	const struct cli_args *args = session->args;
	struct cli_pool *pool = args->pool;
	const struct cli_subject subject = {
		.table = args->words[1],
		.key = cli_key_text(pool, key),
		.next = cli_format(pool, "amend get %s %s %s, then delete with its token",
				   cli_quote(pool, args->words[0]), cli_quote(pool, args->words[1]),
				   cli_quote(pool, args->words[2])),
	};
	const struct amend_expect expect = {
		.token = cli_value(args, "if-version"),
		.lease = cli_value(args, "lease"),
		.once = cli_once(args),
	};
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status;
	int code = cli_open_table(session, args->words[1]);

	if (code != 0)
		return code;
	if (!cli_key_make(args, key, session->table))
		return CLI_USAGE;
	status = amend_delete(session->db, session->table, &key->match, &expect, AMEND_WAIT,
			      &result, &session->err);
	code = cli_print_result(session, &subject, status, &result);
	amend_result_release(&result);
	return code;
}

static int run(const struct cli_args *args)
{
	struct cli_session session;
	struct cli_key key;
	int code;

	if (!cli_once_parse(args) || !cli_key_parse(args, args->words[2], &key))
		return CLI_USAGE;
	code = cli_open(&session, args, args->words[0], 0);
	if (code == 0)
		code = remove_record(&session, &key);
	cli_close(&session);
	return code;
}

static const struct cli_option options[] = {
	{"if-version", "TOKEN", "only if the record is still what this token stands for", false},
	{CLI_OPTION_LEASE},
	{CLI_OPTION_KEY},
	{CLI_OPTION_ONCE},
	{CLI_OPTION_TIMEOUT},
	{CLI_OPTION_AS},
	{CLI_OPTION_BECAUSE},
	{CLI_OPTION_KEY_FILE},
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_delete = {
	.name = "delete",
	.words = "DB TABLE KEY=VALUE",
	.summary = "remove one record",
	.about = "Removes one record. What it held stays in the history (amend log).",
	.examples = "amend delete app.db stock sku=42\n"
		    "amend delete app.db stock sku=42 --as anna --because 'sold out'\n"
		    "amend delete app.db stock sku=42 --if-version TOKEN   (of amend get)",
	.exits = "0 deleted  1 failed  2 wrong use, or a token that is not ours\n"
		 "3 stale: it has changed since  4 no such record or table  5 locked\n"
		 "7 the connection died while committing: run again with --once and the id shown",
	.options = options,
	.least = 3,
	.most = 3,
	.run = run,
};
