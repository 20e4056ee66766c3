/*
 * `amend resolve`: settles one conflict.
 * Leaves printing what became of the record to result.c.
 */
#include <string.h>

#include "assign.h"
#include "commands.h"
#include "exit.h"
#include "result.h"

_Static_assert(AMEND_TAKE_INCOMING == AMEND_TAKE_CURRENT + 1 &&
		       AMEND_TAKE_BASE == AMEND_TAKE_CURRENT + 2,
	       "the choices of --take follow enum amend_take");

struct request {
	int64_t id;
	enum amend_take take;
	struct cli_assignment *set;
	size_t n_set;
	struct cli_pool *pool;
	const char *table, *key; /* of the conflict */
};

static enum amend_status note_conflict(const struct amend_conflict *conflict, void *context,
				       struct amend_error *err)
{
	struct request *request = context;

	(void)err;
	request->table = cli_copy(request->pool, conflict->table, strlen(conflict->table));
	request->key = cli_copy(request->pool, conflict->first_key, strlen(conflict->first_key));
	return AMEND_OK;
}

static int resolve(struct cli_session *session, struct request *request)
{
	const struct cli_args *args = session->args;
	struct amend_result result = AMEND_RESULT_INIT;
	struct cli_subject subject;
	struct amend_assign *set;
	enum amend_status status;
	int code;

	if (amend_conflicts(session->db, NULL, request->id, note_conflict, request,
			    &session->err) != AMEND_OK)
		return cli_fail(session);
	if (amend_table_open_recorded(session->db, request->table, &session->table,
				      &session->err) != AMEND_OK)
		return cli_fail(session);
	set = cli_assign_make_all(args->pool, request->set, request->n_set, session->table);
	subject = (struct cli_subject){.table = request->table, .key = request->key};
	status = amend_resolve(session->db, request->id, request->take, set, request->n_set,
			       &result, &session->err);
	code = cli_print_result(session, &subject, status, &result);
	amend_result_release(&result);
	return code;
}

static int run(const struct cli_args *args)
{
	struct request request = {.pool = args->pool, .n_set = args->n_words - 2};
	struct cli_session session;
	int side = AMEND_TAKE_NOTHING - AMEND_TAKE_CURRENT;
	int code;

	if (!cli_id(args->words[1], &request.id))
		return cli_usage(args,
				 "expected a conflict's number, found \"%s\" (hint: amend "
				 "conflicts lists them)",
				 args->words[1]);
	if (!cli_has(args, "take") && request.n_set == 0)
		return cli_usage(args, "expected --take current|incoming|base or COL=VALUE, found "
				       "neither");
	if (!cli_choice(args, "take", &side) ||
	    !cli_assign_parse_all(args, "COL=VALUE", args->words + 2, request.n_set, true,
				  &request.set))
		return CLI_USAGE;
	request.take = (enum amend_take)(AMEND_TAKE_CURRENT + side);
	code = cli_open(&session, args, args->words[0], 0);
	if (code == 0)
		code = resolve(&session, &request);
	cli_close(&session);
	return code;
}

static const struct cli_option options[] = {
	{"take", "current|incoming|base", "for every column that is not given a value", false},
	{CLI_OPTION_TIMEOUT},
	{CLI_OPTION_AS},
	{CLI_OPTION_BECAUSE},
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_resolve = {
	.name = "resolve",
	.words = "DB ID [COL=VALUE]...",
	.summary = "settle a conflict",
	.about = "Settles the conflict with this number (amend conflicts lists them): takes one side,\n"
		 "and the values given for single columns. Every clashing column needs a decision.",
	.examples = "amend resolve app.db 1 --take incoming\n"
		    "amend resolve app.db 1 name=Czechia --because 'the short name is official'\n"
		    "amend resolve app.db 1 --take current name=Czechia",
	.exits = "0 settled  1 failed  2 a column lacks a decision  3 stale: the record has moved since\n"
		 "4 no open conflict of this number  5 locked",
	.options = options,
	.least = 2,
	.most = CLI_ANY_NUMBER,
	.run = run,
};
