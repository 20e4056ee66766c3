/*
 * `amend apply`: carries out a plan that `amend sync --plan` saved.
 * Leaves what is printed to sync_report.c, and what is stale to the library.
 */
#include <string.h>

#include "commands.h"
#include "exit.h"
#include "sync_report.h"

static int apply(struct cli_session *session, const struct amend_plan *plan,
		 const struct cli_confirm *confirm)
{
	const struct cli_args *args = session->args;
	const struct amend_plan_info *info = amend_plan_info(plan);
	struct amend_apply_options options = AMEND_APPLY_OPTIONS_INIT;
	struct cli_sync_output output = {
		.session = session,
		/* Lines are the source's, not the plan's. */
		.source = info->input ? info->input : "<source>",
		.numbers = info->numbers_records,
		.table = info->table,
		.dry_run = cli_has(args, "dry-run"),
		.quiet = cli_has(args, "quiet"),
		.json = cli_has(args, "json"),
		.apply = true,
		.confirm = *confirm,
	};
	struct amend_sync_report report;
	enum amend_status status;
	int code = cli_changes_open(session, &output.changes, "changes");

	if (code != 0)
		return code;
	options.dry_run = output.dry_run;
	options.skip_locked = cli_has(args, "skip-locked");
	options.on_change = cli_apply_on_change;
	options.on_confirm = confirm->wanted ? cli_sync_on_confirm : NULL;
	options.on_reject = cli_sync_on_reject;
	options.on_progress = cli_sync_on_progress;
	options.context = &output;
	memset(&report, 0, sizeof(report));
	status = amend_apply(session->db, plan, &options, &report, &session->err);
	cli_done(status);
	code = cli_sync_finish(&output, status, &report);
	amend_sync_report_release(&report);
	return code;
}

static int run(const struct cli_args *args)
{
	struct cli_session session = {.args = args};
	struct cli_confirm confirm;
	struct amend_plan *plan = NULL;
	int code;

	if (!cli_changes_allowed(args, "changes", args->words[0], args->words[1]))
		return CLI_USAGE;
	if (cli_has(args, "yes") && !cli_has(args, "confirm"))
		return cli_usage(args, "--yes is for --confirm only");
	if (cli_has(args, "confirm") && cli_has(args, "dry-run"))
		return cli_usage(args, "--confirm and --dry-run exclude each other");
	if (amend_plan_open(args->words[0], &plan, &session.err) != AMEND_OK)
		return cli_fail(&session);
	code = cli_confirm_open(&confirm, args, strcmp(args->words[0], "-") == 0);
	if (code == 0)
		code = cli_open(&session, args, args->words[1], 0);
	if (code == 0 && !cli_has(args, "because") && amend_plan_info(plan)->why)
		code = cli_because(&session, amend_plan_info(plan)->why);
	if (code == 0)
		code = apply(&session, plan, &confirm);
	cli_close(&session);
	amend_plan_close(plan);
	cli_confirm_close(&confirm);
	return code;
}

static const struct cli_option options[] = {
	{"dry-run", NULL, "say what would happen and write nothing", false},
	{CLI_OPTION_CONFIRM},
	{CLI_OPTION_YES},
	{"changes", "FILE", "write each change as a line of JSON (- for standard output)", false},
	{"skip-locked", NULL, "leave records alone that another holds", false},
	{CLI_OPTION_TIMEOUT},
	{CLI_OPTION_AS},
	{CLI_OPTION_BECAUSE},
	{"quiet", NULL, "no summary and no progress", false},
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_apply = {
	.name = "apply",
	.words = "PLAN DB",
	.summary = "carry out a plan saved by sync --plan",
	.about = "Carries out what amend sync --plan wrote down (- is standard input). A record that is no\n"
		 "longer what the plan saw is stale: it is shown and left alone, the others are done. What\n"
		 "is done already is not done twice.",
	.examples = "amend apply countries.plan app.db\n"
		    "amend apply countries.plan app.db --dry-run --changes -",
	.exits = "0 done  1 failed: what is in is said  2 not a plan, or not for this table\n"
		 "3 done, but some was stale, or new conflicts wait  4 no such table  5 locked\n"
		 "6 done, the database refused some  7 the connection died while committing",
	.options = options,
	.least = 2,
	.most = 2,
	.run = run,
};
