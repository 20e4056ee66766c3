/*
 * amend_apply: a plan's entries instead of a source's records; the rest is a sync's.
 * Leaves proving them to plan_prove.c, writing to apply.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "sync/plan.h"

static void release(struct amend_sync *sync)
{
	amend_hash_release(&sync->claims);
	amend_hash_release(&sync->held);
	amend_hash_release(&sync->open_by_key);
	amend_hash_release(&sync->leaving);
	amend_hash_release(&sync->open_by_name);
	amend_hash_release(&sync->answers);
	free(sync->all);
	free(sync->list);
	free(sync->edges);
	amend_arena_release(&sync->lasting);
	amend_table_close(sync->table);
	amend_arena_release(&sync->arena);
}

/* ---- the table, as it is now ---- */

static enum amend_status use_column(struct amend_sync *sync, const struct amend_plan_column *from,
				    struct amend_used *used, struct amend_error *err)
{
	const struct amend_table *table = sync->table;
	int at = amend_table_column(table, from->name);
	const struct amend_column *column;

	if (at < 0)
		return amend_error_set(err, AMEND_INVALID,
				       "table %s has no column %s any more, which the plan needs "
				       "(hint: make the plan again)",
				       table->qualified, from->name);
	column = &table->columns[at];
	if (strcmp(column->type, from->type) != 0)
		return amend_error_set(
			err, AMEND_INVALID,
			"column %s of %s is of type %s, and was of type %s when the plan was made "
			"(hint: make the plan again)",
			column->name, table->qualified, column->type, from->type);
	if (column->generated || column->unsound || at == table->version || sync->used_of[at] >= 0)
		return amend_error_set(
			err, AMEND_INVALID,
			"column %s of %s cannot be what the plan takes it for: it is generated, a "
			"version, or named twice (hint: make the plan again)",
			column->name, table->qualified);
	sync->used_of[at] = (int)(used - sync->used);
	*used = (struct amend_used){.name = column->name,
				    .column = (uint32_t)at,
				    .update = from->update,
				    .key = from->key};
	return AMEND_OK;
}

static enum amend_status use_columns(struct amend_sync *sync, const struct amend_plan *plan,
				     struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	sync->n_used = (uint32_t)plan->n_columns;
	sync->used = amend_arena_array(&sync->arena, plan->n_columns, sizeof(*sync->used));
	sync->used_of = amend_arena_array(&sync->arena, sync->table->n_columns,
					  sizeof(*sync->used_of));
	if (!sync->used || !sync->used_of)
		return amend_no_memory(err);
	for (size_t i = 0; i < sync->table->n_columns; i++)
		sync->used_of[i] = -1;
	for (size_t i = 0; i < plan->n_columns && status == AMEND_OK; i++)
		status = use_column(sync, &plan->columns[i], &sync->used[i], err);
	return status;
}

/* The plan's own copy of the sync's options: what matters later is which keys there are. */
static enum amend_status use_keys(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	sync->keys = amend_arena_array(&sync->arena, sync->options->n_match, sizeof(*sync->keys));
	if (!sync->keys)
		return amend_no_memory(err);
	for (size_t i = 0; i < sync->options->n_match && status == AMEND_OK; i++)
		status = amend_sync_add_key(sync, sync->options->match[i], err);
	for (uint32_t k = 0; k < sync->n_keys && status == AMEND_OK; k++) {
		status = amend_sync_bind_key(sync, &sync->keys[k], err);
		for (uint32_t i = 0; i < sync->keys[k].n && status == AMEND_OK; i++) {
			if (!sync->used[sync->keys[k].used[i]].key)
				status = amend_error_set(err, AMEND_INVALID,
							 "the plan's key %s has a column that is "
							 "none of a key",
							 sync->keys[k].name);
		}
	}
	return status;
}

/* ---- entries ---- */

static enum amend_status read_entries(struct amend_sync *sync, const struct amend_plan *plan,
				      struct amend_error *err)
{
	size_t n = plan->n_lines;
	struct amend_plan_entry *entries = amend_arena_array(&sync->arena, n, sizeof(*entries));
	struct amend_record *records = amend_arena_array(&sync->arena, n, sizeof(*records));
	struct amend_hash keys = {0}, missing = {0};
	enum amend_status status = AMEND_OK;

	if (!records || !entries)
		return amend_no_memory(err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		struct amend_plan_entry *entry = &entries[i], *twin;
		const char *name;
		void **slot;

		status = amend_plan_entry_read(sync, plan, &plan->lines[i], entry, err);
		if (status != AMEND_OK)
			break;
		records[i].entry = entry;
		status = amend_sync_enlist(sync, &records[i], err);
		if (status != AMEND_OK)
			break;
		/* Of two bases with one key the row's name tells. */
		name = entry->missing && entry->has_base ? entry->base_pk : entry->key;
		slot = amend_hash_put(entry->missing ? &missing : &keys, name, strlen(name));
		twin = slot ? *slot : NULL;
		if (!slot)
			status = amend_no_memory(err);
		else if (twin)
			status = amend_plan_malformed(plan, entry->number, err,
						      "the key %s stands on line %lld as well",
						      entry->key, (long long)twin->number);
		else
			*slot = entry;
	}
	amend_hash_release(&keys);
	amend_hash_release(&missing);
	return status;
}

/* ---- carrying it out ---- */

static enum amend_status tell_all(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++)
		status = amend_sync_tell(sync, sync->list[i], err);
	return status;
}

static enum amend_status explain(const struct amend_sync *sync, const struct amend_plan *plan,
				 struct amend_error *err)
{
	const struct amend_sync_report *report = sync->report;
	/* Rows that the input lacked are entries as well, and none of its records. */
	uint64_t in = report->read - report->rejected - report->skipped - report->stale +
		      report->deleted + report->marked + report->missing_conflicts;

	if (sync->n_untold)
		return amend_error_wrap(err,
					"the last %zu entries are in, and could not all be told "
					"(apply it again to go on: what is in is found so)",
					sync->n_untold);
	if (!sync->committed && !sync->n_unknown)
		return amend_error_wrap(err, "nothing was written");
	if (sync->n_unknown)
		return amend_error_wrap(err,
					"%llu of %zu entries are in; whether the next %zu are is not "
					"known (apply it again to go on: what is in is found so)",
					(unsigned long long)in, plan->n_lines, sync->n_unknown);
	return amend_error_wrap(err,
				"%llu of %zu entries are in, the rest is not (apply it again to go "
				"on)",
				(unsigned long long)in, plan->n_lines);
}

static enum amend_status run(struct amend_sync *sync, const struct amend_plan *plan,
			     struct amend_error *err)
{
	enum amend_status status;

	if (strcmp(plan->info.engine, amend_engine(sync->db)) != 0)
		return amend_error_set(err, AMEND_INVALID,
				       "%s: the plan is for %s, the database is of %s", plan->path,
				       plan->info.engine, amend_engine(sync->db));
	status = amend_table_open_recorded(sync->db, plan->info.table, &sync->table, err);
	if (status == AMEND_OK)
		status = amend_ledger_refuse(sync->db, sync->table, err);
	if (status == AMEND_OK)
		status = use_columns(sync, plan, err);
	if (status == AMEND_OK)
		status = use_keys(sync, err);
	if (status == AMEND_OK)
		status = read_entries(sync, plan, err);
	if (status == AMEND_OK)
		status = amend_plan_prove(sync, err);
	if (status != AMEND_OK)
		return status;
	sync->n_open_before = sync->n_open;
	if (sync->options->dry_run && sync->options->skip_locked)
		status = amend_sync_skip_leased(sync, err);
	if (status != AMEND_OK)
		return status;
	if (sync->options->dry_run)
		return tell_all(sync, err);
	amend_sync_run_begin(sync);
	status = amend_sync_apply(sync, err);
	amend_sync_run_end(sync);
	if (status == AMEND_OK)
		status = amend_sync_check_leased(sync, err);
	return status == AMEND_OK ? AMEND_OK : explain(sync, plan, err);
}

enum amend_status amend_apply(struct amend_conn *db, const struct amend_plan *plan,
			      const struct amend_apply_options *given,
			      struct amend_sync_report *report, struct amend_error *err)
{
	struct amend_sync_options options = AMEND_SYNC_OPTIONS_INIT;
	struct amend_sync sync = {
		.db = db,
		.options = &options,
		.report = report,
		.source_name = plan->info.source,
		.table_name = plan->info.table,
		.prepare = amend_plan_prove,
		.begun = amend_clock_ms(),
	};
	enum amend_status status = amend_enter(db, err);

	memset(report, 0, sizeof(*report));
	snprintf(report->source, sizeof(report->source), "%s", plan->info.source);
	snprintf(report->table, sizeof(report->table), "%s", plan->info.table);
	if (status != AMEND_OK)
		return status;
	options.match = plan->match;
	options.n_match = plan->n_match;
	options.dry_run = given->dry_run;
	options.skip_locked = given->skip_locked;
	options.on_change = given->on_change;
	options.on_reject = given->on_reject;
	options.on_progress = given->on_progress;
	options.context = given->context;
	options.on_confirm = given->on_confirm;
	if (amend_in_transaction(db))
		status = amend_error_set(err, AMEND_INVALID,
					 "a plan is carried out chunk by chunk: it cannot run inside "
					 "a transaction");
	else
		status = run(&sync, plan, err);
	if (status == AMEND_OK)
		amend_sync_count_open(&sync);
	report->seconds = (double)(amend_clock_ms() - sync.begun) / 1000;
	release(&sync);
	return amend_leave(db, status, err);
}
