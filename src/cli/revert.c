/*
 * `amend revert`: undoes a revision, a run, or one record's part of them; shown first.
 * Leaves what is undone, and how, to the library.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "assign.h"
#include "commands.h"
#include "confirm.h"
#include "exit.h"
#include "json.h"
#include "plain.h"
#include "print.h"
#include "session.h"
#include "violations.h"

enum { SHOWN = 20, LONGEST = 80 };

struct showing {
	struct cli_session *session;
	bool all;                    /* however many there are */
	uint64_t n, left_out;        /* entries with nothing but changes */
	struct json_object *changes; /* --json: where they go */
};

/* --- one record --- */

static void print_conflict(struct cli_pool *pool, const struct amend_revert_conflict *conflict)
{
	cli_ink(stdout, CLI_NOTE, "  conflict: ");
	if (*conflict->note) {
		printf("%s\n", cli_plain(pool, conflict->note));
		return;
	}
	printf("%s is %s, not %s any more", cli_plain(pool, conflict->column),
	       cli_show(pool, &conflict->current, LONGEST),
	       cli_show(pool, &conflict->base, LONGEST));
	if (conflict->problem != AMEND_REVERT_USED)
		printf("; it was %s", cli_show(pool, &conflict->incoming, LONGEST));
	printf("\n");
}

static const char *verb(enum amend_outcome outcome)
{
	switch (outcome) {
	case AMEND_IS_CREATED:
		return "bring back";
	case AMEND_IS_DELETED:
		return "remove";
	case AMEND_IS_SKIPPED:
		return "leave";
	case AMEND_IS_NOTHING:
	case AMEND_IS_FOUND:
	case AMEND_IS_UPDATED:
	case AMEND_IS_UNCHANGED:
	case AMEND_IS_MERGED:
	case AMEND_IS_STALE:
	case AMEND_IS_MISSING:
	case AMEND_IS_LOCKED:
	case AMEND_IS_CONFLICT:
	case AMEND_IS_REJECTED:
		break;
	}
	return "update";
}

static enum amend_status print_entry(const struct amend_revert_entry *entry, void *context,
				     struct amend_error *err)
{
	struct showing *showing = context;
	struct cli_pool pool = CLI_POOL_INIT;

	(void)err;
	if (entry->outcome == AMEND_IS_UNCHANGED)
		return AMEND_OK;
	if (!entry->n_conflicts && !entry->n_violations && !showing->all && showing->n >= SHOWN) {
		showing->left_out++;
		return AMEND_OK;
	}
	showing->n++;
	printf("%s %s %s\n", verb(entry->outcome), cli_plain(&pool, entry->table->qualified),
	       cli_show_fields(&pool, entry->key, entry->n_key));
	cli_print_changes(&pool, stdout, "  ", entry->changes, entry->n_changes);
	for (size_t i = 0; i < entry->n_conflicts; i++)
		print_conflict(&pool, &entry->conflicts[i]);
	for (size_t i = 0; i < entry->n_violations; i++) {
		cli_ink(stdout, CLI_NOTE, "  refused: ");
		printf("%s\n", cli_plain(&pool, entry->violations[i].text));
	}
	cli_pool_release(&pool);
	return AMEND_OK;
}

static struct json_object *conflict_json(const struct amend_table *table,
					 const struct amend_revert_conflict *conflict)
{
	struct json_object *object = json_object_new_object();

	cli_json_add(object, "problem", cli_json_text(amend_revert_problem_name(conflict->problem)));
	cli_json_add(object, "column", cli_json_text(conflict->column));
	cli_json_add(object, "base", cli_json_value(&conflict->base, table, conflict->column));
	cli_json_add(object, "current", cli_json_value(&conflict->current, table, conflict->column));
	cli_json_add(object, "incoming",
		     cli_json_value(&conflict->incoming, table, conflict->column));
	cli_json_add(object, "note", cli_json_text(conflict->note));
	return object;
}

static enum amend_status add_entry(const struct amend_revert_entry *entry, void *context,
				   struct amend_error *err)
{
	struct showing *showing = context;
	struct json_object *object = json_object_new_object();
	struct json_object *conflicts = json_object_new_array();

	(void)err;
	cli_json_add(object, "table", cli_json_text(entry->table->qualified));
	cli_json_add(object, "key", cli_json_fields(entry->table, entry->key, entry->n_key));
	cli_json_add(object, "outcome", cli_json_text(amend_outcome_name(entry->outcome)));
	cli_json_add(object, "fields",
		     cli_json_changes(entry->table, entry->changes, entry->n_changes));
	for (size_t i = 0; i < entry->n_conflicts; i++)
		json_object_array_add(conflicts, conflict_json(entry->table, &entry->conflicts[i]));
	cli_json_add(object, "conflicts", conflicts);
	if (entry->n_violations > 0)
		cli_json_add(
			object, "violations",
			cli_json_violations(entry->table, entry->violations, entry->n_violations));
	json_object_array_add(showing->changes, object);
	return AMEND_OK;
}

/* --- the whole --- */

static void print_left_out(const struct showing *showing)
{
	if (showing->left_out)
		printf("... and %" PRIu64 " more (hint: --dry-run shows all)\n", showing->left_out);
}

static void print_counts(const struct amend_revert_report *report, FILE *out)
{
	const struct {
		uint64_t n;
		const char *what;
	} counts[] = {{report->updated, "to update"},
		      {report->created, "to bring back"},
		      {report->deleted, "to remove"},
		      {report->unchanged, "as they were already"},
		      {report->conflicts, "in conflict"},
		      {report->refused, "that the database would refuse"}};
	const char *before = "records: ";

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (!counts[i].n)
			continue;
		fprintf(out, "%s%" PRIu64 " %s", before, counts[i].n, counts[i].what);
		before = ", ";
	}
	if (*before == ',')
		fputc('\n', out);
}

static bool agreed(const struct amend_revert_report *report, void *context)
{
	struct showing *showing = context;
	print_left_out(showing);
	showing->left_out = 0;
	fflush(stdout);
	print_counts(report, stderr);
	return cli_agree("Undo this?");
}

static void print_json(const struct amend_revert *revert, const struct amend_revert_report *report,
		       struct showing *showing, enum amend_status status)
{
	const struct {
		const char *name;
		uint64_t n;
	} counts[] = {{"updated", report->updated},     {"created", report->created},
		      {"deleted", report->deleted},     {"unchanged", report->unchanged},
		      {"conflicts", report->conflicts}, {"refused", report->refused},
		      {"bases", report->bases}};
	struct json_object *object = json_object_new_object(), *what = json_object_new_object();

	cli_json_add(what, revert->run ? "run" : "revision",
		     cli_json_id(revert->run ? revert->run : revert->revision));
	cli_json_add(object, "reverted", what);
	cli_json_add(object, "revision", cli_json_id(report->revision));
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		cli_json_add(object, counts[i].name, json_object_new_uint64(counts[i].n));
	cli_json_add(object, "dry_run", json_object_new_boolean(revert->dry_run));
	cli_json_add(object, "changes", showing->changes);
	if (status != AMEND_OK)
		cli_json_add(object, "error", cli_json_error(&showing->session->err));
	cli_json_print(object);
}

static void print_end(const struct amend_revert *revert, const struct amend_revert_report *report,
		      const struct showing *showing)
{
	const char *what = revert->run ? "run" : "revision";
	long long id = (long long)(revert->run ? revert->run : revert->revision);

	print_left_out(showing);
	if (revert->dry_run) {
		print_counts(report, stdout);
		return;
	}
	if (report->revision)
		printf("%s %lld undone as revision %lld: %" PRIu64 " updated, %" PRIu64
		       " brought back, %" PRIu64 " removed",
		       what, id, (long long)report->revision, report->updated, report->created,
		       report->deleted);
	else if (report->bases)
		printf("%s %lld undone", what, id);
	else
		printf("%s %lld: nothing is left to undo", what, id);
	if (report->conflicts)
		printf("; %" PRIu64 " in conflict", report->conflicts);
	if (report->bases)
		printf("; what the source had said is known again of %" PRIu64, report->bases);
	printf("\n");
}

static void say_again(struct cli_session *session)
{
	const char *why = cli_copy(session->args->pool, session->err.text,
				   strlen(session->err.text));

	amend_error_set(&session->err, AMEND_OUTCOME_UNKNOWN,
			"%s (hint: it is in, or it is not: run it again, what is undone already is "
			"found so)",
			why);
}

/* `record`: "stock sku=42", where only its part is meant; else NULL. */
static int revert(struct cli_session *session, struct amend_revert *revert, const char *record)
{
	bool json = cli_has(session->args, "json");
	struct showing showing = {.session = session, .all = revert->dry_run};
	struct amend_revert_report report;
	enum amend_status status;

	if (json)
		showing.changes = json_object_new_array();
	revert->each = json ? add_entry : print_entry;
	revert->context = &showing;
	if (!revert->dry_run && !cli_has(session->args, "yes"))
		revert->confirm = agreed;
	/* Without a question, what is shown is shown when it is done. */
	cli_done(revert->dry_run || revert->confirm ? AMEND_NO_MEMORY : AMEND_OUTCOME_UNKNOWN);
	status = amend_revert(session->db, revert, &report, &session->err);
	cli_done(revert->dry_run ? AMEND_NO_MEMORY : report.revision ? AMEND_OK : status);
	if (status != AMEND_OK && report.revision)
		amend_error_wrap(&session->err,
				 "what was asked for is done, as revision %lld, but cannot be shown",
				 (long long)report.revision);
	if (json && (status == AMEND_OK || status == AMEND_CONFLICT || report.refused)) {
		print_json(revert, &report, &showing, status);
		showing.changes = NULL;
	} else if (status == AMEND_OK) {
		print_end(revert, &report, &showing);
	} else if (!json) {
		print_left_out(&showing);
	}
	json_object_put(showing.changes);
	if (status == AMEND_OK && report.open)
		return CLI_STALE;
	if (status == AMEND_OK)
		return revert->dry_run && report.refused ? CLI_FAILED : CLI_DONE;
	if (status == AMEND_OUTCOME_UNKNOWN)
		say_again(session);
	if (status == AMEND_NOT_FOUND && record)
		amend_error_wrap(&session->err, "%s", record);
	return status == AMEND_CONFLICT || report.refused ? cli_complain_of(session)
							  : cli_fail(session);
}

static int open_and_revert(const struct cli_args *args, struct amend_revert *what,
			   const char *table, struct cli_key *key)
{
	struct cli_session session;
	const char *reason = cli_value(args, "because");
	/* By this `log --run` finds it. */
	const char *why = cli_format(args->pool, "revert of %s %lld%s%s",
				     what->run ? "run" : "revision",
				     (long long)(what->run ? what->run : what->revision),
				     reason ? ": " : "", reason ? reason : "");
	int code = cli_open(&session, args, args->words[0], what->dry_run ? CLI_READ_ONLY : 0);

	if (code == 0)
		code = cli_because(&session, why);
	if (code == 0 && table)
		code = cli_open_table(&session, table);
	if (code == 0 && table) {
		if (!cli_key_make(args, key, session.table))
			code = CLI_USAGE;
		what->table = session.table;
		what->key = &key->match;
	}
	if (code == 0)
		code = revert(&session, what,
			      table ? cli_format(args->pool, "%s %s", table,
						 cli_key_text(args->pool, key))
				    : NULL);
	cli_close(&session);
	return code;
}

static int run(const struct cli_args *args)
{
	struct amend_revert what = AMEND_REVERT_INIT;
	struct cli_key key;
	size_t next = 1;
	int policy = -1;

	if (!cli_count(args, "run", 1, &what.run) || !cli_choice(args, "on-conflict", &policy))
		return CLI_USAGE;
	if (!what.run) {
		if (args->n_words < 2 || !cli_id(args->words[1], &what.revision))
			return cli_usage(args,
					 "expected a revision's number or --run ID, found \"%s\"",
					 args->n_words < 2 ? "" : args->words[1]);
		next = 2;
	}
	if (args->n_words != next && args->n_words != next + 2)
		return cli_usage(args, "a record is named by TABLE and KEY=VALUE");
	if (cli_has(args, "key") && args->n_words == next)
		return cli_usage(args, "--key adds to KEY=VALUE, found none");
	if (args->n_words > next && !cli_key_parse(args, args->words[next + 1], &key))
		return CLI_USAGE;
	what.dry_run = cli_has(args, "dry-run");
	if (!what.dry_run && !cli_has(args, "yes") &&
	    (cli_has(args, "json") || !isatty(STDIN_FILENO)))
		return cli_usage(args,
				 "nothing is undone without a yes, and there is no terminal to "
				 "ask on (hint: --yes, or --dry-run to look first)");
	what.on_conflict = policy == 0   ? AMEND_REVERT_CURRENT
			   : policy == 1 ? AMEND_REVERT_INCOMING
					 : AMEND_REVERT_REFUSE;
	what.n_ignore = cli_values(args, "ignore", &what.ignore);
	return open_and_revert(args, &what, args->n_words > next ? args->words[next] : NULL, &key);
}

static const struct cli_option options[] = {
	{"run", "ID", "a whole run of sync, with what it remembers of its source", false},
	{"dry-run", NULL, "show what would be undone, write nothing", false},
	{"yes", NULL, "do not ask", false},
	{"on-conflict", "current|incoming", "what was changed since: leave it, or overwrite it too",
	 false},
	{"ignore", "COL", "leave this column as it is, whatever happened to it", true},
	{CLI_OPTION_KEY},
	{CLI_OPTION_TIMEOUT},
	{CLI_OPTION_AS},
	{CLI_OPTION_BECAUSE},
	{CLI_OPTION_JSON},
	{CLI_OPTIONS_END},
};

const struct cli_command cli_command_revert = {
	.name = "revert",
	.words = "DB [REVISION] [TABLE KEY=VALUE]",
	.summary = "undo a revision, a run, or one record's part",
	.about = "Undoes what a revision, or a run of sync, changed, as a new revision: shows it, asks,\n"
		 "and does all of it or nothing. What was edited since in other fields stays; in the\n"
		 "same fields it is a conflict. Created records go, deleted ones come back.",
	.examples = "amend revert app.db 7 --dry-run\n"
		    "amend revert app.db 7 stock sku=42 --yes\n"
		    "amend revert app.db --run 3 --dry-run --json\n"
		    "amend revert app.db --run 3 --yes --because 'wrong file'",
	.exits = "0 done  1 failed, or answered no  2 wrong use  3 conflicts: nothing was undone\n"
		 "4 no such revision, run or record  5 locked  7 the connection died while committing",
	.options = options,
	.least = 1,
	.most = 4,
	.run = run,
};
