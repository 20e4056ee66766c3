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
#include "sync/early.h"

enum { EXAMPLES = 3 };

static void release(struct amend_sync *sync)
{
	amend_hash_release(&sync->claims);
	amend_hash_release(&sync->held);
	amend_hash_release(&sync->open_by_key);
	amend_hash_release(&sync->open_by_name);
	amend_hash_release(&sync->leaving);
	amend_hash_release(&sync->answers);
	free(sync->all);
	free(sync->list);
	amend_sieve_free(sync->sieve);
	amend_slices_free(sync->slices);
	amend_plan_writer_free(sync->plan_writer);
	amend_store_release(&sync->store);
	free(sync->edges);
	amend_table_close(sync->table);
	amend_arena_release(&sync->arena);
	amend_arena_release(&sync->lasting);
}

enum amend_status amend_sync_plan_all(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	bool many = false;

	/* A large input goes slice by slice, and one that lacks very much. */
	if (!sync->store.file && sync->store.limit < SIZE_MAX / 2)
		status = amend_lost_many(sync, &many, err);
	if (status != AMEND_OK)
		return status;
	if (sync->store.file || many) {
		amend_early_end(sync);
		sync->baseless = false;
		status = amend_slices_plan(sync, err);
		sync->n_open_before = sync->n_open;
		return status;
	}
	amend_slices_free(sync->slices);
	sync->slices = NULL;
	amend_sync_examine_anew(sync);
	status = amend_sync_sift(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_plan(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_examine(sync, err);
	sync->n_open_before = sync->n_open;
	return status;
}

static enum amend_status plan_table(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = amend_sync_bind(sync, err);

	if (status == AMEND_OK && sync->table)
		status = amend_sync_known_by(sync, err);
	/* Slice by slice keys are compared here. */
	if (status == AMEND_OK && amend_sync_unknown_rule(sync))
		sync->store.limit = SIZE_MAX / 2;
	if (status == AMEND_OK)
		status = amend_sync_read(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_plan_all(sync, err);
	amend_early_end(sync);
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
	if (status == AMEND_NOT_FOUND && !amend_has(sync->db, AMEND_HAS_DDL_ROLLBACK))
		return amend_error_set(
			err, AMEND_UNSUPPORTED,
			"--create-table is not available on %s, where a table that is made cannot be "
			"undone with what went wrong (hint: CREATE TABLE first)",
			sync->db->driver->name);
	if (status == AMEND_NOT_FOUND)
		return AMEND_OK;
	if (status == AMEND_OK && !sync->options->create_table && sync->options->n_types)
		return amend_error_set(err, AMEND_INVALID, "--type goes with --create-table");
	return status;
}

void amend_sync_examine_anew(struct amend_sync *sync)
{
	sync->n_asks = sync->n_rejects = 0;
	sync->n_to_ask = 0;
	sync->blind_line = 0;
	sync->n_examples = 0;
	sync->examples[0] = '\0';
}

/* What the source and the table say of a record of which nothing is known. */
static enum amend_status add_example(struct amend_sync *sync, const struct amend_record *record,
				     struct amend_error *err)
{
	const struct amend_used *used = &sync->used[record->asked];
	const struct amend_column *column = &sync->table->columns[used->column];
	struct amend_buffer sides = AMEND_BUFFER_INIT;
	size_t size = strlen(sync->examples);
	enum amend_status status = AMEND_OK;

	amend_buffer_text(&sides, "current ");
	amend_json_value(&sides, &record->row->values[used->column], column->class_);
	amend_buffer_text(&sides, ", incoming ");
	amend_json_value(&sides, &record->values[record->asked], column->class_);
	if (!sides.failed)
		snprintf(sync->examples + size, sizeof(sync->examples) - size,
			 "%s %s %lld %s.%s: %.140s", size ? ";" : "",
			 amend_source_unit(sync->source), (long long)record->line, record->key,
			 column->name, sides.data);
	else
		status = amend_no_memory(err);
	sync->n_examples++;
	amend_buffer_release(&sides);
	return status;
}

enum amend_status amend_sync_examine(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	sync->n_to_ask += sync->options->on_confirm ? amend_sync_questions(sync) : 0;
	for (size_t i = 0; i < sync->n_all && status == AMEND_OK; i++) {
		const struct amend_record *record = sync->all[i];

		if (record->asks) {
			sync->n_asks++;
			if (sync->n_examples < EXAMPLES)
				status = add_example(sync, record, err);
		}
		if (record->fate != AMEND_FATE_REJECTED)
			continue;
		if (sync->n_rejects++ > 0 && record->line > sync->reject_line)
			continue;
		sync->reject_line = record->line;
		snprintf(sync->reject_problem, sizeof(sync->reject_problem), "%s", record->problem);
	}
	return status;
}

enum amend_status amend_sync_check(const struct amend_sync *sync, struct amend_error *err)
{
	int64_t may = amend_sync_may_reject(sync->options);

	if (may >= 0 && sync->n_rejects > may)
		return amend_error_set(
			err, AMEND_CONSTRAINT,
			"%lld record%s rejected, %lld %s allowed; nothing was written. "
			"The first is %s%s%lld: %s",
			(long long)sync->n_rejects, sync->n_rejects == 1 ? " is" : "s are",
			(long long)may, may == 1 ? "is" : "are", sync->source->path,
			sync->source->numbers_records ? ": record " : ":",
			(long long)sync->reject_line, sync->reject_problem);
	if (amend_sync_check_missing(sync, err) != AMEND_OK)
		return err->status;
	if (sync->n_asks == 0)
		return AMEND_OK;
	return amend_error_set(
		err, AMEND_INVALID,
		"%lld record%s of %s differ%s from the source, and nothing tells which side is "
		"newer:%s (hint: --adopt incoming, --adopt current or --adopt conflict decides)",
		(long long)sync->n_asks, sync->n_asks == 1 ? "" : "s", sync->table->qualified,
		sync->n_asks == 1 ? "s" : "", sync->examples);
}

static enum amend_status tell_all(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_all && status == AMEND_OK; i++)
		status = amend_sync_tell(sync, sync->all[i], err);
	return status;
}

/* What needed no decision is in. */
static void count_settled(struct amend_sync *sync)
{
	uint64_t n = sync->slices ? amend_slices_settled(sync->slices)
				  : amend_sieve_count(sync->sieve);

	sync->report->read += n;
	sync->report->unchanged += n;
}

static enum amend_status tell_refused(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_missing && sync->options->on_missing && status == AMEND_OK;
	     i++)
		status = amend_sync_tell_missing(sync, &sync->missing[i], err);
	return status == AMEND_OK ? tell_all(sync, err) : status;
}

/* Nothing is written: what was rejected is told all the same, and counted what would have been done. */
static enum amend_status refuse(struct amend_sync *sync, struct amend_error *err)
{
	const struct amend_sync_options *given = sync->options;
	struct amend_sync_options options = *given;
	const struct amend_error why = *err;

	options.on_change = NULL;
	if (!amend_sync_misses_too_many(sync) || options.missing == AMEND_MISSING_KEEP)
		options.on_missing = NULL;
	sync->options = &options;
	sync->report->refused = true;
	sync->report->missing = options.on_missing ? sync->n_gone : 0;
	if (amend_sync_for_all(sync, tell_refused, err) != AMEND_OK)
		amend_error_wrap(err, "%s; not all of it could be told", why.text);
	else
		*err = why;
	count_settled(sync);
	sync->options = given;
	return err->status;
}

/* What is in, and what is not. */
static enum amend_status explain(const struct amend_sync *sync, struct amend_error *err)
{
	const struct amend_sync_report *report = sync->report;
	uint64_t in = report->read - report->rejected - report->skipped;

	if (sync->n_unknown)
		return amend_error_wrap(
			err,
			"%llu of %zu records are in; whether the next %zu are is not "
			"known (run it again to go on: what is in is found so)",
			(unsigned long long)in, (size_t)sync->store.n, sync->n_unknown);
	if (sync->n_untold)
		return amend_error_wrap(
			err,
			"the last %zu records are in, and could not all be told (run it again to go "
			"on: what is in is found so)",
			sync->n_untold);
	if (!sync->committed)
		return amend_error_wrap(err, "nothing was written");
	return amend_error_wrap(
		err, "%llu of %zu records are in, the rest is not (run it again to go on)",
		(unsigned long long)in, (size_t)sync->store.n);
}

enum amend_status amend_sync_for_all(struct amend_sync *sync,
				     enum amend_status (*each)(struct amend_sync *sync,
							       struct amend_error *err),
				     struct amend_error *err)
{
	return sync->slices ? amend_slices_each(sync, each, err) : each(sync, err);
}

static enum amend_status add_to_plan(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = amend_sync_confirm(sync, err);

	if (status == AMEND_OK)
		status = amend_plan_add(sync, err);
	return status == AMEND_OK ? tell_all(sync, err) : status;
}

static enum amend_status save_plan(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = amend_plan_begin(sync, err);

	return status == AMEND_OK ? amend_sync_for_all(sync, add_to_plan, err) : status;
}

static enum amend_status rehearse_all(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	if (sync->options->skip_locked)
		status = amend_sync_skip_leased(sync, err);
	return status == AMEND_OK ? tell_all(sync, err) : status;
}

/* What would be done. */
static enum amend_status say(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status;

	if (sync->options->on_plan)
		status = save_plan(sync, err);
	else
		status = amend_sync_for_all(sync, rehearse_all, err);
	count_settled(sync);
	return status == AMEND_OK && sync->options->on_plan ? amend_plan_end(sync, err) : status;
}

/* A slice is decided with the table there: it is made before the first one. */
static enum amend_status make_table(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct amend_sync *sync = context;

	return amend_exec_text(db, sync->create_sql, err);
}

static enum amend_status write_all(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status;

	sync->writing = true;
	if (sync->options->on_confirm) {
		status = amend_sync_for_all(sync, amend_sync_confirm, err);
		if (status != AMEND_OK)
			return explain(sync, err);
		sync->asked = true;
	}
	if (sync->options->atomic) {
		amend_sync_run_begin(sync);
		status = amend_sync_atomic(sync, err);
		amend_sync_run_end(sync);
		if (status == AMEND_OK)
			count_settled(sync);
		return status;
	}
	if (sync->slices && sync->create_sql) {
		status = amend_atomic(sync->db, NULL, make_table, sync, err);
		if (status != AMEND_OK)
			return amend_error_wrap(err, "nothing was written");
		sync->create_sql = NULL;
		sync->committed = true;
	}
	amend_sync_run_begin(sync);
	status = amend_sync_for_all(sync, amend_sync_apply, err);
	amend_sync_run_end(sync);
	count_settled(sync);
	if (status == AMEND_OK)
		status = amend_sync_check_leased(sync, err);
	return status == AMEND_OK ? AMEND_OK : explain(sync, err);
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
		status = amend_sync_plan_all(sync, err);
	/* Slice by slice is decided anew, and there is no table later. */
	if (status == AMEND_OK && sync->slices && amend_sync_check(sync, err) != AMEND_OK)
		return refuse(sync, err);
	if (status == AMEND_OK && sync->slices && sync->options->dry_run) {
		status = say(sync, err);
		sync->said = status == AMEND_OK;
	}
	rehearsal->done = status == AMEND_OK;
	if (rehearsal->done)
		status = amend_error_set(err, AMEND_CONFLICT, "undone on purpose");
	return status;
}

static enum amend_status plan_new_table(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_unit_options once = AMEND_UNIT_OPTIONS_INIT;
	struct rehearsal rehearsal = {sync, false};
	enum amend_status status;

	/* Slice by slice it is made before anything is decided: too early to ask. */
	if (sync->options->on_confirm)
		sync->store.limit = SIZE_MAX / 2;
	status = amend_sync_read(sync, err);
	/* What a dry run has told cannot be told anew. */
	once.no_rerun = sync->store.file && sync->options->dry_run;

	if (status == AMEND_OK)
		status = amend_sync_design(sync, err);
	if (status == AMEND_OK)
		status = amend_atomic(sync->db, &once, rehearse, &rehearsal, err);
	if (!rehearsal.done || status != AMEND_CONFLICT)
		return status;
	return amend_sync_name_table(sync, err);
}

static enum amend_status run(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = open_table(sync, err);
	bool watched;

	if (status == AMEND_OK)
		status = amend_sync_name_columns(sync, err);
	if (status != AMEND_OK)
		return status;
	watched = sync->table != NULL;
	if (watched)
		status = amend_sync_watch(sync, err);
	if (status == AMEND_OK)
		status = watched ? plan_table(sync, err) : plan_new_table(sync, err);
	if (!sync->table)
		return status;
	/* Of a table that is yet to be made nobody writes bases. */
	if (status == AMEND_OK && !watched)
		status = amend_sync_watch(sync, err);
	snprintf(sync->report->table, sizeof(sync->report->table), "%s", sync->table->qualified);
	if (status != AMEND_OK)
		return status;
	if (amend_sync_check(sync, err) != AMEND_OK)
		return refuse(sync, err);
	if (sync->said)
		return AMEND_OK;
	return sync->options->on_plan || sync->options->dry_run ? say(sync, err)
								: write_all(sync, err);
}

/*
 * Counted by what this run did; what others did meanwhile is seen only by asking. What was to be
 * done is done: where it cannot be asked any more (interrupted, the server gone) that is no failure.
 */
void amend_sync_count_open(struct amend_sync *sync)
{
	struct amend_error ignored;
	int64_t open = (int64_t)sync->n_open_before + sync->open_delta;

	if (!sync->options->dry_run && !sync->options->on_plan &&
	    amend_sync_open_conflicts(sync, &ignored) == AMEND_OK)
		open = (int64_t)sync->n_open;
	sync->report->open_conflicts = open > 0 ? (uint64_t)open : 0;
}

static size_t memory_limit(const struct amend_sync_options *options)
{
	if (options->memory == SIZE_MAX)
		return SIZE_MAX / 2;
	return options->memory ? options->memory : AMEND_STORE_LIMIT;
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
		.store = {.limit = memory_limit(options)},
		.begun = amend_clock_ms(),
	};
	enum amend_status status = amend_enter(db, err);

	amend_source_hash(source, options->on_plan != NULL);
	memset(report, 0, sizeof(*report));
	snprintf(report->source, sizeof(report->source), "%s", sync.source_name);
	snprintf(report->table, sizeof(report->table), "%s", table);
	report->unmodified = source->unmodified;
	if (status != AMEND_OK)
		return status;
	if (amend_in_transaction(db))
		status = amend_error_set(err, AMEND_INVALID,
					 "a sync commits chunk by chunk: it cannot run inside a "
					 "transaction");
	else
		status = run(&sync, err);
	if (status == AMEND_OK)
		amend_sync_count_open(&sync);
	amend_sync_remember(&sync, status == AMEND_OK);
	report->seconds = (double)(amend_clock_ms() - sync.begun) / 1000;
	release(&sync);
	return amend_leave(db, status, err);
}
