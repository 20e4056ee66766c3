/*
 * `amend init`: installs what amend remembers, or shows how.
 * Leaves the statements themselves to the library.
 */
#include <stdio.h>

#include "commands.h"
#include "exit.h"
#include "json.h"
#include "session.h"

static void print_statement(void *context, const char *statement)
{
	(void)context;
	printf("%s;\n", statement);
}

static void add_statement(void *context, const char *statement)
{
	json_object_array_add(context, cli_json_text(statement));
}

static int show_script(struct cli_session *session, bool guard, bool json)
{
	struct json_object *statements = json_object_new_array();
	struct json_object *object = json_object_new_object();
	enum amend_status status;
	int code = 0;

	cli_json_add(object, "statements", statements);
	status = amend_init_script(session->db, json ? add_statement : print_statement, statements,
				   &session->err);
	if (status == AMEND_OK && guard)
		status = amend_guard_script(session->db, json ? add_statement : print_statement,
					    statements, &session->err);
	if (status != AMEND_OK)
		code = cli_fail(session);
	else if (json)
		cli_json_print(json_object_get(object));
	json_object_put(object);
	return code;
}

static int install(struct cli_session *session, bool rotate, bool json)
{
	const char *database = cli_quote(session->args->pool, session->args->words[0]);
	bool changed = false;

	if (amend_init(session->db, &changed, &session->err) != AMEND_OK ||
	    (rotate && amend_rotate_key(session->db, &session->err) != AMEND_OK))
		return cli_fail(session);
	if (json) {
		struct json_object *object = json_object_new_object();

		cli_json_add(object, "changed", json_object_new_boolean(changed));
		cli_json_add(object, "key_rotated", json_object_new_boolean(rotate));
		cli_json_print(object);
		return CLI_DONE;
	}
	printf(changed ? "installed in %s\n" : "%s has all that amend needs\n", database);
	if (rotate)
		printf("new tokens are signed with a new key\n");
	return CLI_DONE;
}

static int run(const struct cli_args *args)
{
	struct cli_session session;
	bool print = cli_has(args, "print"), rotate = cli_has(args, "rotate-key");
	int code;

	if (print && rotate)
		return cli_usage(args, "--print and --rotate-key exclude each other");
	if (cli_has(args, "guard") && !print)
		return cli_usage(args, "--guard is a part of --print");
	code = cli_open(&session, args, args->words[0], print ? CLI_READ_ONLY : CLI_MAY_CREATE);
	if (code == 0 && print)
		code = show_script(&session, cli_has(args, "guard"), cli_has(args, "json"));
	else if (code == 0)
		code = install(&session, rotate, cli_has(args, "json"));
	cli_close(&session);
	return code;
}

static const struct cli_option options[] = {
	{"print", NULL, "show the statements for an administrator to run, and change nothing",
	 false},
	{"guard", NULL, "with --print: and let this connection's role guard tables", false},
	{"rotate-key", NULL, "sign new tokens with a new key; older tokens stay valid for 30 days",
	 false},
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_init = {
	.name = "init",
	.words = "DB",
	.summary = "install what amend remembers",
	.about = "Installs amend's own tables beside yours (amend_* in SQLite, the schema amend in\n"
		 "PostgreSQL). The other commands do this on first need, where they may.",
	.examples =
		"amend init app.db\n"
		"amend init postgresql://host/shop\n"
		"amend init postgresql://host/shop --print >amend.sql   (an administrator runs it)",
	.exits = "0 done  1 failed  5 locked",
	.options = options,
	.least = 1,
	.most = 1,
	.run = run,
};
