/*
 * `amend check`: settings, ledger, triggers, who blocks whom.
 * Leaves looking to the library.
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "complain.h"
#include "exit.h"
#include "json.h"
#include "print.h"
#include "session.h"

struct report {
	struct json_object *findings; /* NULL: text */
	bool problem;
};

static const char *level_name(enum amend_level level)
{
	switch (level) {
	case AMEND_LEVEL_OK:
		return "ok";
	case AMEND_LEVEL_ADVICE:
		return "advice";
	case AMEND_LEVEL_PROBLEM:
		return "problem";
	}
	return "?";
}

static enum cli_ink ink_of(enum amend_level level)
{
	switch (level) {
	case AMEND_LEVEL_OK:
		return CLI_GOOD;
	case AMEND_LEVEL_ADVICE:
		return CLI_NOTE;
	case AMEND_LEVEL_PROBLEM:
		return CLI_BAD;
	}
	return CLI_PLAIN;
}

static void add_finding(void *context, enum amend_level level, const char *topic, const char *text)
{
	struct report *report = context;
	struct cli_pool pool = CLI_POOL_INIT;

	report->problem |= level == AMEND_LEVEL_PROBLEM;
	if (report->findings) {
		struct json_object *finding = json_object_new_object();

		cli_json_add(finding, "level", cli_json_text(level_name(level)));
		cli_json_add(finding, "topic", cli_json_text(topic));
		cli_json_add(finding, "text", cli_json_text(text));
		json_object_array_add(report->findings, finding);
		return;
	}
	cli_ink(stdout, ink_of(level), level_name(level));
	printf("%*s %s: %s\n", (int)(7 - strlen(level_name(level))), "", topic,
	       cli_scrub(&pool, text));
	cli_pool_release(&pool);
}

static int check(struct cli_session *session, bool json)
{
	struct report report = {.findings = json ? json_object_new_array() : NULL};
	int code;

	if (amend_check(session->db, add_finding, &report, &session->err) != AMEND_OK) {
		code = cli_fail(session);
		json_object_put(report.findings);
		return code;
	}
	if (json) {
		struct json_object *object = json_object_new_object();

		cli_json_add(object, "healthy", json_object_new_boolean(!report.problem));
		cli_json_add(object, "findings", report.findings);
		cli_json_print(object);
	}
	return report.problem ? CLI_FAILED : CLI_DONE;
}

static int run(const struct cli_args *args)
{
	struct cli_session session;
	int code = cli_open(&session, args, args->words[0], 0);

	if (code == 0)
		code = check(&session, cli_has(args, "json"));
	cli_close(&session);
	return code;
}

static const struct cli_option options[] = {
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_check = {
	.name = "check",
	.words = "DB",
	.summary = "the database's health",
	.about = "Looks at settings, at amend's own tables and at who blocks whom. Writes nothing.",
	.examples = "amend check app.db\n"
		    "amend check postgresql://host/shop --json",
	.exits = "0 nothing to worry about  1 a problem was found, or the check failed",
	.options = options,
	.least = 1,
	.most = 1,
	.run = run,
};
