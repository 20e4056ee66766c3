/*
 * The report of a sync: summary, changes, rejected lines, progress.
 * Leaves running it to sync.c.
 */
#include "sync_report.h"

#include <inttypes.h>
#include <string.h>

#include "complain.h"
#include "exit.h"
#include "json.h"
#include "plain.h"
#include "print.h"

enum { REJECTS_SHOWN = 20, STALE_SHOWN = 20, MISSING_SHOWN = 1000 };

/* --- while it runs --- */

void cli_sync_on_progress(void *context, const struct amend_progress *progress)
{
	struct cli_sync_output *output = context;

	output->progress.off = output->quiet;
	cli_progress_show(&output->progress, progress);
}

static void print_at(struct cli_sync_output *output, int64_t line, const char *what,
		     const char *text)
{
	struct cli_pool pool = CLI_POOL_INIT;
	const char *place = cli_scrub(&pool, output->source);

	cli_progress_clear(&output->progress);
	fflush(stdout);
	if (line)
		place = cli_format(&pool, output->numbers ? "%s: record %lld" : "%s:%lld", place,
				   (long long)line);
	fprintf(stderr, "%s: %s%s\n", place, what, cli_scrub(&pool, text));
	cli_pool_release(&pool);
}

void cli_sync_on_notice(void *context, int64_t line, const char *text)
{
	struct cli_sync_output *output = context;

	if (!output->quiet)
		print_at(output, line, "note: ", text);
}

void cli_sync_on_reject(void *context, int64_t line, const char *text)
{
	struct cli_sync_output *output = context;

	if (line)
		cli_rejects_add(&output->kept, line, text);
	if (output->rejects++ < REJECTS_SHOWN)
		print_at(output, line, "", text);
}

/* What the plan saw, what is there, what it wanted to be there. */
static struct json_object *stale_json(const struct amend_sync_change *change,
				      const struct amend_table *table)
{
	struct json_object *fields = json_object_new_object();

	for (size_t i = 0; i < change->n_fields; i++) {
		const struct amend_conflict_field *field = &change->fields[i];
		struct json_object *sides = json_object_new_object();

		if (field->has_base)
			cli_json_add(sides, "planned_from",
				     cli_json_value(&field->base, table, field->column));
		cli_json_add(sides, "now", cli_json_value(&field->current, table, field->column));
		cli_json_add(sides, "planned",
			     cli_json_value(&field->incoming, table, field->column));
		cli_json_add(fields, field->column, sides);
	}
	return fields;
}

static struct json_object *change_json(const struct amend_sync_change *change,
				       const struct amend_table *table)
{
	struct json_object *object = json_object_new_object(), *fields;
	bool conflict = strcmp(change->op, "conflict") == 0;

	cli_json_add(object, "op", cli_json_text(change->op));
	cli_json_add(object, "line", change->line ? json_object_new_int64(change->line) : NULL);
	cli_json_add(object, "key", cli_json_fields(table, change->key, change->n_key));
	if (conflict) {
		fields = cli_json_conflict(table, change->fields, change->n_fields);
		cli_json_add(object, "kind", cli_json_text(change->kind));
		if (change->note && *change->note)
			cli_json_add(object, "note", cli_json_text(change->note));
	} else if (strcmp(change->op, "stale") == 0) {
		fields = stale_json(change, table);
		cli_json_add(object, "note", cli_json_text(change->note));
	} else {
		fields = json_object_new_object();
		for (size_t i = 0; i < change->n_fields; i++) {
			const struct amend_conflict_field *field = &change->fields[i];
			struct json_object *sides = json_object_new_object();

			cli_json_add(sides, "old",
				     cli_json_value(&field->current, table, field->column));
			cli_json_add(sides, "new",
				     cli_json_value(&field->incoming, table, field->column));
			cli_json_add(fields, field->column, sides);
		}
	}
	cli_json_add(object, "fields", fields);
	return object;
}

void cli_sync_on_change(void *context, const struct amend_sync_change *change)
{
	struct cli_sync_output *output = context;
	const struct amend_table *table = change->table ? change->table : output->session->table;

	if (output->changes.file == stdout)
		cli_progress_clear(&output->progress);
	if (output->changes.file)
		cli_changes_add(&output->changes, change_json(change, table));
}

void cli_sync_on_missing(void *context, const struct amend_field *key, size_t n_key)
{
	struct cli_sync_output *output = context;

	if (output->n_missing == MISSING_SHOWN)
		return;
	if (!output->missing)
		output->missing = json_object_new_array();
	json_object_array_add(output->missing, cli_json_fields(output->session->table, key, n_key));
	output->n_missing++;
}

enum amend_status cli_sync_on_plan(void *context, const char *bytes, size_t size,
				   struct amend_error *err)
{
	struct cli_sync_output *output = context;

	/* Nothing is lost: what stood under the name stays. */
	return cli_changes_write(&output->plan, bytes, size)
		       ? AMEND_OK
		       : amend_error_set(err, AMEND_INTERNAL, "%s could not be written: %s",
					 output->plan.name, strerror(output->plan.failure));
}

enum amend_status cli_sync_on_confirm(void *context, const struct amend_confirm *question,
				      enum amend_answer *answer, struct amend_error *err)
{
	struct cli_sync_output *output = context;

	cli_progress_clear(&output->progress);
	return cli_confirm_ask(&output->confirm, question, answer, err);
}

static void tell_stale(struct cli_sync_output *output, const struct amend_sync_change *change)
{
	struct cli_pool pool = CLI_POOL_INIT;

	cli_progress_clear(&output->progress);
	fflush(stdout);
	fprintf(stderr, "stale %s: %s\n", cli_show_fields(&pool, change->key, change->n_key),
		cli_plain(&pool, change->note));
	for (size_t i = 0; i < change->n_fields; i++) {
		const struct amend_conflict_field *field = &change->fields[i];

		fprintf(stderr, "  %s: ", cli_plain(&pool, field->column));
		if (field->has_base)
			fprintf(stderr, "%s when planned, ", cli_show(&pool, &field->base, 80));
		fprintf(stderr, "%s now", cli_show(&pool, &field->current, 80));
		if (!field->has_base || !amend_value_equal(&field->base, &field->incoming))
			fprintf(stderr, ", planned: %s", cli_show(&pool, &field->incoming, 80));
		fputc('\n', stderr);
	}
	cli_pool_release(&pool);
}

void cli_apply_on_change(void *context, const struct amend_sync_change *change)
{
	struct cli_sync_output *output = context;

	if (strcmp(change->op, "stale") == 0 && output->stale++ < STALE_SHOWN)
		tell_stale(output, change);
	cli_sync_on_change(context, change);
}

/* --- when it is through --- */

struct count {
	const char *name, *one, *many; /* in JSON; in words */
	uint64_t n;
};

static struct json_object *number(uint64_t n)
{
	return json_object_new_uint64(n);
}

static void print_json(const struct cli_sync_output *output, enum amend_status status,
		       const struct amend_sync_report *report, const struct count *counts)
{
	struct json_object *object = json_object_new_object();
	struct json_object *revisions = json_object_new_array();
	char seconds[64];

	for (size_t i = 0; i < report->n_revisions; i++)
		json_object_array_add(revisions, json_object_new_int64(report->revisions[i]));
	cli_json_add(object, "source", cli_json_text(report->source));
	cli_json_add(object, "table", cli_json_text(*report->table ? report->table : output->table));
	cli_json_add(object, "read", number(report->read));
	for (; counts->name; counts++)
		cli_json_add(object, counts->name, number(counts->n));
	cli_json_add(object, "deleted", number(report->deleted));
	cli_json_add(object, "marked", number(report->marked));
	cli_json_add(object, "missing_conflicts", number(report->missing_conflicts));
	cli_json_add(object, "new_conflicts", number(report->new_conflicts));
	cli_json_add(object, "open_conflicts", number(report->open_conflicts));
	cli_json_add(object, "settled", number(report->settled));
	if (output->remote)
		cli_json_add(object, "unmodified", json_object_new_boolean(report->unmodified));
	cli_json_add(object, "run", cli_json_id(report->run));
	cli_json_add(object, "revisions", revisions);
	if (report->refused)
		cli_json_add(object, "refused", json_object_new_boolean(true));
	if (output->missing) {
		struct json_object *missing = json_object_new_object();

		cli_json_add(missing, "n", number(report->missing));
		cli_json_add(missing, "keys", json_object_get(output->missing));
		cli_json_add(missing, "more", number(report->missing - output->n_missing));
		cli_json_add(object, "missing", missing);
	}
	cli_json_add(object, "dry_run", json_object_new_boolean(output->dry_run));
	snprintf(seconds, sizeof(seconds), "%.3f", report->seconds);
	cli_json_add(object, "seconds", json_object_new_double_s(report->seconds, seconds));
	if (status != AMEND_OK)
		cli_json_add(object, "error", cli_json_error(&output->session->err));
	cli_json_print(object);
}

/* Of rows that the input lacks: what was done about them, and why not. */
static void print_missing(FILE *out, const struct amend_sync_report *report)
{
	const struct {
		uint64_t n;
		const char *what;
	} shown[] = {
		{report->deleted, "deleted"},
		{report->marked, "marked"},
		{report->missing_conflicts - report->missing_refused, "missing, but edited here"},
		{report->missing_refused, "missing, but kept by the database"},
		{report->missing_skipped, "missing, but skipped"},
		{report->missing_rejected, "missing, but the mark was rejected"},
	};
	const char *mark = ";";

	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		if (!shown[i].n)
			continue;
		fprintf(out, "%s %" PRIu64 " %s", mark, shown[i].n, shown[i].what);
		mark = ",";
	}
}

/* What is not there is not said; that nothing happened is. */
static void print_text(const struct cli_sync_output *output, FILE *out,
		       const struct amend_sync_report *report, const struct count *counts)
{
	struct cli_pool *pool = output->session->args->pool;
	const char *database = cli_quote(pool, output->session->args->words[1]);
	const char *rejects = output->kept.n && output->kept.whole
				      ? cli_value(output->session->args, "rejects")
				      : NULL;

	fprintf(out, "%s%s: %" PRIu64 " read",
		output->plan.file ? "planned, nothing is written: "
		: output->dry_run ? "dry run, nothing is written: "
				  : "",
		cli_plain(pool, *report->table ? report->table : output->table), report->read);
	for (; counts->name; counts++) {
		if (counts->n)
			fprintf(out, ", %" PRIu64 " %s", counts->n,
				counts->n == 1 ? counts->one : counts->many);
	}
	print_missing(out, report);
	fprintf(out, " (%.2f s)\n", report->seconds);
	if (report->unmodified)
		fputs("the source has not changed since it was last synced\n", out);
	if (rejects)
		fprintf(out, "what was rejected is in %s, and why in %s\n", cli_quote(pool, rejects),
			cli_quote(pool, cli_format(pool, "%s.reasons", rejects)));
	if (report->settled)
		fprintf(out, "%" PRIu64 " conflict%s settled by --on-conflict\n", report->settled,
			report->settled == 1 ? "" : "s");
	if (report->run && report->n_revisions == 1)
		fprintf(out, "run %" PRId64 ", revision %" PRId64 "\n", report->run,
			report->revisions[0]);
	else if (report->run && report->n_revisions > 1)
		fprintf(out, "run %" PRId64 ", %zu revisions: amend log %s --run %" PRId64 "\n",
			report->run, report->n_revisions, database, report->run);
	else if (report->run)
		fprintf(out, "run %" PRId64 "\n", report->run);
	if (output->plan.target)
		fprintf(out, "to carry it out: amend apply %s %s\n",
			cli_quote(pool, output->plan.name), database);
	if (output->dry_run && report->new_conflicts) {
		fprintf(out, "%" PRIu64 " new conflict%s would be stored\n", report->new_conflicts,
			report->new_conflicts == 1 ? "" : "s");
	} else if (report->open_conflicts) {
		fprintf(out, "%" PRIu64 " conflict%s open", report->open_conflicts,
			report->open_conflicts == 1 ? " is" : "s are");
		if (report->new_conflicts)
			fprintf(out, " (%" PRIu64 " new)", report->new_conflicts);
		fprintf(out, ": amend conflicts %s %s\n", database, cli_quote(pool, output->table));
	}
}

int cli_sync_finish(struct cli_sync_output *output, enum amend_status status,
		    const struct amend_sync_report *report)
{
	const struct count counts[] = {
		{"created", "created", "created", report->created},
		{"updated", "updated", "updated", report->updated},
		{"merged", "merged", "merged", report->merged},
		{"kept", "kept", "kept", report->kept},
		{"unchanged", "unchanged", "unchanged", report->unchanged},
		{"conflicts", "conflict", "conflicts", report->conflicts},
		{"skipped", "skipped", "skipped", report->skipped},
		{"rejected", "rejected", "rejected", report->rejected},
		{"duplicates", "duplicate", "duplicates", report->duplicates},
		{output->apply ? "stale" : NULL, "stale", "stale", report->stale},
		{NULL, NULL, NULL, 0},
	};
	bool to_stdout = output->changes.file == stdout || output->plan.file == stdout;
	/* What is told is in, also before a failure. */
	bool keep = status == AMEND_OK ||
		    (!output->dry_run && (output->changes.lines || report->n_revisions));
	int code, plan_code;

	cli_progress_clear(&output->progress);
	code = cli_changes_close(&output->changes, keep);
	if (output->rejects > REJECTS_SHOWN)
		fprintf(stderr, "%s: and %" PRIu64 " more rejected\n",
			cli_scrub(output->session->args->pool, output->source),
			output->rejects - REJECTS_SHOWN);
	if (output->stale > STALE_SHOWN)
		fprintf(stderr, "and %" PRIu64 " more are stale (hint: --changes FILE)\n",
			output->stale - STALE_SHOWN);
	if (output->json)
		print_json(output, status, report, counts);
	else if (!output->quiet && (status == AMEND_OK || report->run))
		print_text(output, to_stdout ? stderr : stdout, report, counts);
	json_object_put(output->missing);
	output->missing = NULL;
	plan_code = cli_changes_close(&output->plan, status == AMEND_OK);
	if (status != AMEND_OK)
		return cli_complain_of(output->session);
	if (code != 0 || plan_code != 0)
		return code ? code : plan_code;
	if (report->stale || (report->new_conflicts && !output->dry_run))
		return CLI_STALE;
	return report->rejected || report->missing_rejected ? CLI_REJECTED : CLI_DONE;
}
