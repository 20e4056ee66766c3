/*
 * amend_sync: phase 1, what must be decided before a write, phase 2.
 * Leaves each step to the file named after it.
 */
#include "sync/sync.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/json_text.h"

enum { EXAMPLES = 3 };

static void release(struct amend_sync *sync)
{
	amend_hash_release(&sync->claims);
	amend_hash_release(&sync->held);
	amend_hash_release(&sync->open_by_key);
	free(sync->records);
	free(sync->edges);
	amend_table_close(sync->table);
	amend_arena_release(&sync->arena);
}

/* All records, as if they had only been read: the unit that plans may run again. */
static enum amend_status begin_plan(struct amend_sync *sync, struct amend_error *err)
{
	sync->n_list = sync->n_records;
	sync->list = amend_arena_array(&sync->arena, sync->n_records, sizeof(struct amend_record *));
	if (!sync->list)
		return amend_no_memory(err);
	amend_hash_release(&sync->claims);
	amend_hash_release(&sync->held);
	sync->round = 0;
	for (size_t i = 0; i < sync->n_records; i++) {
		struct amend_record *record = &sync->records[i];
		bool unreadable = !record->values;
		struct amend_record fresh = {.line = record->line,
					     .values = record->values,
					     .first = -1,
					     .found_by = AMEND_FOUND_NOT};

		sync->list[i] = record;
		if (unreadable) {
			fresh.fate = AMEND_FATE_REJECTED;
			fresh.problem = record->problem;
		}
		*record = fresh;
	}
	return AMEND_OK;
}

static enum amend_status plan(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = begin_plan(sync, err);

	if (status == AMEND_OK)
		status = amend_sync_plan(sync, err);
	sync->n_open_before = sync->n_open;
	return status;
}

/* The table is made to be asked, and undone: nothing of it is in before the first write. */
struct rehearsal {
	struct amend_sync *sync;
	bool done;
};

static enum amend_status rehearse(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct rehearsal *rehearsal = context;
	struct amend_sync *sync = rehearsal->sync;
	enum amend_status status;

	amend_table_close(sync->table);
	sync->table = NULL;
	rehearsal->done = false;
	status = amend_exec_text(db, sync->create_sql, err);
	if (status == AMEND_OK)
		status = amend_table_open(db, sync->table_name, &sync->table, err);
	if (status == AMEND_OK)
		status = amend_sync_bind(sync, err);
	if (status == AMEND_OK)
		status = plan(sync, err);
	rehearsal->done = status == AMEND_OK;
	if (rehearsal->done)
		status = amend_error_set(err, AMEND_CONFLICT, "undone on purpose");
	return status;
}

static enum amend_status plan_new_table(struct amend_sync *sync, struct amend_error *err)
{
	struct rehearsal rehearsal = {sync, false};
	enum amend_status status = amend_sync_read(sync, err);

	if (status == AMEND_OK)
		status = amend_sync_design(sync, err);
	if (status == AMEND_OK)
		status = amend_atomic(sync->db, NULL, rehearse, &rehearsal, err);
	if (!rehearsal.done || status != AMEND_CONFLICT)
		return status;
	return amend_sync_name_table(sync, err);
}

static enum amend_status plan_table(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = amend_sync_bind(sync, err);

	if (status == AMEND_OK)
		status = amend_sync_read(sync, err);
	if (status == AMEND_OK)
		status = plan(sync, err);
	return status;
}

static enum amend_status open_table(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = amend_table_open(sync->db, sync->table_name, &sync->table, err);
	struct amend_error why = *err;

	if (status == AMEND_OK)
		status = amend_ledger_refuse(sync->db, sync->table, err);
	if (status == AMEND_NOT_FOUND && !sync->options->create_table)
		return amend_error_set(
			err, AMEND_NOT_FOUND, "%s%s", why.text,
			strstr(why.text, "hint:") ? "" : " (hint: --create-table makes it)");
	if (status == AMEND_NOT_FOUND && sync->options->on_plan)
		return amend_error_set(
			err, AMEND_NOT_FOUND,
			"%s: a plan is for a table that is there (hint: --create-table "
			"without --plan makes it)",
			why.text);
	if (status == AMEND_NOT_FOUND)
		return AMEND_OK;
	if (status == AMEND_OK && !sync->options->create_table && sync->options->n_types)
		return amend_error_set(err, AMEND_INVALID, "--type goes with --create-table");
	return status;
}

/* What the source and the table say of records of which nothing is known. */
static enum amend_status ask(const struct amend_sync *sync, struct amend_error *err)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	size_t n = 0;

	for (size_t i = 0; i < sync->n_records && n < EXAMPLES; i++) {
		const struct amend_record *record = &sync->records[i];
		struct amend_buffer sides = AMEND_BUFFER_INIT;
		const struct amend_column *column;
		const struct amend_used *used;

		if (!record->asks)
			continue;
		used = &sync->used[record->asked];
		column = &sync->table->columns[used->column];
		amend_json_value(&sides, &record->row->values[used->column], column->class_);
		amend_buffer_text(&sides, " here, ");
		amend_json_value(&sides, &record->values[record->asked], column->class_);
		amend_buffer_printf(&text, "%s %s %lld %s.%s is %.120s in the source", n ? ";" : "",
				    amend_source_unit(sync->source), (long long)record->line,
				    record->key, column->name, sides.failed ? "?" : sides.data);
		amend_buffer_release(&sides);
		n++;
	}
	amend_error_set(
		err, AMEND_INVALID,
		"%lld record%s of %s differ%s from the source, and nothing tells which side is "
		"newer:%s (hint: --adopt incoming, --adopt current or --adopt conflict decides)",
		(long long)sync->n_asks, sync->n_asks == 1 ? "" : "s", sync->table->qualified,
		sync->n_asks == 1 ? "s" : "", amend_buffer_string(&text) ? text.data : "");
	amend_buffer_release(&text);
	return err->status;
}

static enum amend_status check_thresholds(const struct amend_sync *sync, struct amend_error *err)
{
	const struct amend_record *first = NULL;
	int64_t rejects = 0;

	for (size_t i = 0; i < sync->n_records; i++) {
		if (sync->records[i].fate != AMEND_FATE_REJECTED)
			continue;
		if (!first)
			first = &sync->records[i];
		rejects++;
	}
	if (first && sync->options->max_rejects >= 0 && rejects > sync->options->max_rejects)
		return amend_error_set(
			err, AMEND_INVALID,
			"%lld records are rejected, %lld are allowed; nothing was written. "
			"The first is %s%s%lld: %s",
			(long long)rejects, (long long)sync->options->max_rejects,
			sync->source->path, sync->source->numbers_records ? ": record " : ":",
			(long long)first->line, first->problem);
	if (sync->n_asks)
		return ask(sync, err);
	return AMEND_OK;
}

static enum amend_status tell_all(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_records && status == AMEND_OK; i++)
		status = amend_sync_tell(sync, &sync->records[i], err);
	return status;
}

/* What is in, and what is not. */
static enum amend_status explain(const struct amend_sync *sync, struct amend_error *err)
{
	const struct amend_sync_report *report = sync->report;
	uint64_t in = report->read - report->rejected - report->skipped;

	if (sync->n_unknown)
		return amend_error_wrap(err,
					"%llu of %zu records are in; whether the next %zu are is not "
					"known (run it again to go on)",
					(unsigned long long)in, sync->n_records, sync->n_unknown);
	if (!sync->committed)
		return amend_error_wrap(err, "nothing was written");
	return amend_error_wrap(
		err, "%llu of %zu records are in, the rest is not (run it again to go on)",
		(unsigned long long)in, sync->n_records);
}

static enum amend_status run(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = open_table(sync, err);

	if (status == AMEND_OK)
		status = amend_sync_name_columns(sync, err);
	if (status != AMEND_OK)
		return status;
	status = sync->table ? plan_table(sync, err) : plan_new_table(sync, err);
	if (!sync->table)
		return status;
	snprintf(sync->report->table, sizeof(sync->report->table), "%s", sync->table->qualified);
	if (status == AMEND_OK)
		status = check_thresholds(sync, err);
	if (status != AMEND_OK)
		return status;
	if (sync->options->dry_run || sync->options->on_plan)
		status = tell_all(sync, err);
	if (status == AMEND_OK && sync->options->on_plan)
		status = amend_sync_write_plan(sync, err);
	if (status != AMEND_OK || sync->options->dry_run || sync->options->on_plan)
		return status;
	status = amend_sync_apply(sync, err);
	return status == AMEND_OK ? AMEND_OK : explain(sync, err);
}

/* Counted by what this run did; what others did meanwhile is seen only by asking. */
enum amend_status amend_sync_count_open(struct amend_sync *sync, struct amend_error *err)
{
	int64_t open = (int64_t)sync->n_open_before + sync->open_delta;
	enum amend_status status = AMEND_OK;

	if (!sync->options->dry_run && !sync->options->on_plan) {
		status = amend_sync_open_conflicts(sync, err);
		open = (int64_t)sync->n_open;
	}
	sync->report->open_conflicts = open > 0 ? (uint64_t)open : 0;
	return status;
}

enum amend_status amend_sync(struct amend_conn *db, struct amend_source *source, const char *table,
			     const struct amend_sync_options *options,
			     struct amend_sync_report *report, struct amend_error *err)
{
	struct amend_sync sync = {
		.db = db,
		.source = source,
		.options = options,
		.report = report,
		.source_name = options->source_name ? options->source_name : "default",
		.table_name = table,
		.prepare = amend_sync_plan,
		.begun = amend_clock_ms(),
	};
	enum amend_status status = amend_enter(db, err);

	amend_source_hash(source, options->on_plan != NULL);
	memset(report, 0, sizeof(*report));
	snprintf(report->source, sizeof(report->source), "%s", sync.source_name);
	snprintf(report->table, sizeof(report->table), "%s", table);
	if (status != AMEND_OK)
		return status;
	if (amend_in_transaction(db))
		status = amend_error_set(err, AMEND_INVALID,
					 "a sync commits chunk by chunk: it cannot run inside a "
					 "transaction");
	else
		status = run(&sync, err);
	if (status == AMEND_OK)
		status = amend_sync_count_open(&sync, err);
	report->seconds = (double)(amend_clock_ms() - sync.begun) / 1000;
	release(&sync);
	return amend_leave(db, status, err);
}
