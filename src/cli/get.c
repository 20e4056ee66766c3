/*
 * `amend get`: one record, with its version token, or as it was.
 * Leaves printing it to result.c and past.c.
 */
#include "assign.h"
#include "commands.h"
#include "exit.h"
#include "past.h"
#include "result.h"

/* `moment` NULL: as it is. */
static int get(struct cli_session *session, struct cli_key *key, const struct amend_moment *moment)
{
	const struct cli_args *args = session->args;
	const struct cli_subject subject = {
		.table = args->words[1],
		.key = cli_key_text(args->pool, key),
	};
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status;
	int code = cli_open_table(session, args->words[1]);

	if (code != 0)
		return code;
	if (!cli_key_make(args, key, session->table))
		return CLI_USAGE;
	if (moment) {
		status = amend_get_at(session->db, session->table, &key->match, moment, &result,
				      &session->err);
		code = cli_print_past(session, subject.table, subject.key, status, &result);
	} else {
		status = amend_get(session->db, session->table, &key->match, true, &result,
				   &session->err);
		code = cli_print_result(session, &subject, status, &result);
	}
	amend_result_release(&result);
	return code;
}

static int run(const struct cli_args *args)
{
	const char *at = cli_value(args, "at");
	struct amend_moment moment;
	struct cli_session session;
	struct cli_key key;
	int code;

	if (!cli_key_parse(args, args->words[2], &key) || (at && !cli_moment(args, at, &moment)))
		return CLI_USAGE;
	code = cli_open(&session, args, args->words[0], 0);
	if (code == 0)
		code = get(&session, &key, at ? &moment : NULL);
	cli_close(&session);
	return code;
}

static const struct cli_option options[] = {
	{"at", "TIME|REVISION", "as it was then; 7^ is just before revision 7", false},
	{CLI_OPTION_KEY},
	{CLI_OPTION_KEY_FILE},
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_get = {
	.name = "get",
	.words = "DB TABLE KEY=VALUE",
	.summary = "one record, with its version token",
	.about = "Shows one record. The token at the end stands for the state shown: given to\n"
		 "set or delete as --if-version it keeps them from overwriting anything newer.",
	.examples = "amend get app.db stock sku=42\n"
		    "amend get app.db stock sku=42 --key place=Oslo\n"
		    "amend get app.db stock sku=42 --at '2026-11-20 18:00'\n"
		    "amend get postgresql://host/shop stock sku=42 --json",
	.exits = "0 found  4 no such record or table, or not at that time",
	.options = options,
	.least = 3,
	.most = 3,
	.run = run,
};
