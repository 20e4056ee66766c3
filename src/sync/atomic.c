/*
 * --atomic: the whole run in one unit. What a chunk would commit it only finishes;
 * what is told is told once all of it is in.
 * Leaves writing to apply.c, where each chunk is a savepoint then.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/sync.h"

/* A change or a reject that waits to be told; `text` NULL: a change. */
struct entry {
	struct amend_sync_change change;
	const char *text;
	int64_t line;
	struct entry *next;
};

struct amend_untold {
	struct amend_arena arena;
	struct entry *first, *last;
	bool no_memory;
};

/* ---- telling later ---- */

static struct entry *add(struct amend_untold *untold)
{
	struct entry *entry = amend_arena_alloc(&untold->arena, sizeof(*entry));

	if (!entry) {
		untold->no_memory = true;
		return NULL;
	}
	if (untold->last)
		untold->last->next = entry;
	else
		untold->first = entry;
	untold->last = entry;
	return entry;
}

static const char *copy_text(struct amend_untold *untold, const char *text)
{
	const char *copy = text ? amend_arena_text(&untold->arena, text) : NULL;

	untold->no_memory = untold->no_memory || (text && !copy);
	return copy;
}

static void copy_value(struct amend_untold *untold, struct amend_value *value)
{
	if (!amend_arena_value(&untold->arena, value, value))
		untold->no_memory = true;
}

void amend_untold_change(void *context, const struct amend_sync_change *change)
{
	struct amend_untold *untold = context;
	struct amend_field *key = amend_arena_array(&untold->arena, change->n_key, sizeof(*key));
	struct amend_conflict_field *fields = amend_arena_array(&untold->arena, change->n_fields,
								sizeof(*fields));
	struct entry *entry = add(untold);

	if (!key || !fields || !entry) {
		untold->no_memory = true;
		return;
	}
	for (size_t i = 0; i < change->n_key; i++) {
		key[i] = change->key[i];
		key[i].column = copy_text(untold, key[i].column);
		copy_value(untold, &key[i].value);
	}
	for (size_t i = 0; i < change->n_fields; i++) {
		fields[i] = change->fields[i];
		fields[i].column = copy_text(untold, fields[i].column);
		copy_value(untold, &fields[i].current);
		copy_value(untold, &fields[i].incoming);
		if (fields[i].has_base)
			copy_value(untold, &fields[i].base);
	}
	entry->change = *change;
	entry->change.key = key;
	entry->change.fields = fields;
	entry->change.note = copy_text(untold, change->note);
}

void amend_untold_reject(struct amend_untold *untold, int64_t line, const char *text)
{
	struct entry *entry = add(untold);

	if (!entry)
		return;
	entry->line = line;
	entry->text = copy_text(untold, text);
}

/* Where nothing is in, what was rejected is told all the same: it is the reason. */
static void tell(const struct amend_sync *sync, bool changes)
{
	const struct amend_sync_options *options = sync->options;

	for (const struct entry *entry = sync->untold->first; entry; entry = entry->next) {
		if (entry->text)
			options->on_reject(options->context, entry->line, entry->text);
		else if (changes)
			options->on_change(options->context, &entry->change);
	}
}

/* ---- the unit ---- */

struct whole {
	struct amend_sync *sync;
	const char *create_sql;
	bool again; /* the engine undid it: what was decided is about what may be there no more */
};

/* Nothing is in. */
static void forget(struct amend_sync *sync)
{
	struct amend_sync_report *report = sync->report;
	struct amend_sync_report fresh = {.seconds = 0};

	amend_arena_release(&sync->untold->arena);
	*sync->untold = (struct amend_untold){.arena = AMEND_ARENA_INIT};
	memcpy(fresh.source, report->source, sizeof(fresh.source));
	memcpy(fresh.table, report->table, sizeof(fresh.table));
	amend_sync_report_release(report);
	*report = fresh;
	sync->open_delta = 0;
	sync->committed = false;
	sync->n_unknown = 0;
}

int64_t amend_sync_may_reject(const struct amend_sync_options *options)
{
	return options->max_rejects < 0 && options->atomic ? 0 : options->max_rejects;
}

/* The first one tells what is wrong. */
static enum amend_status check_rejects(const struct amend_sync *sync, struct amend_error *err)
{
	const struct entry *first = sync->untold->first;
	int64_t may = amend_sync_may_reject(sync->options);

	if (sync->report->rejected <= (uint64_t)may)
		return AMEND_OK;
	sync->report->refused = true;
	while (first && !first->text)
		first = first->next;
	return amend_error_set(err, AMEND_CONSTRAINT,
			       "%llu record%s rejected, %lld %s allowed%s%s (hint: --max-rejects)",
			       (unsigned long long)sync->report->rejected,
			       sync->report->rejected == 1 ? " is" : "s are", (long long)may,
			       may == 1 ? "is" : "are", first ? ": " : "", first ? first->text : "");
}

static enum amend_status run(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct whole *whole = context;
	struct amend_sync *sync = whole->sync;
	bool again = whole->again;
	enum amend_status status = AMEND_OK;

	whole->again = true;
	forget(sync);
	if (whole->create_sql)
		status = amend_exec_text(db, whole->create_sql, err);
	sync->create_sql = NULL;
	if (status == AMEND_OK && again) {
		sync->writing = false;
		status = amend_sync_plan_all(sync, err);
		if (status == AMEND_OK)
			status = amend_sync_check(sync, err);
		sync->writing = true;
	}
	if (status == AMEND_OK)
		status = amend_sync_for_all(sync, amend_sync_apply, err);
	if (status == AMEND_OK && sync->untold->no_memory)
		status = amend_no_memory(err);
	return status == AMEND_OK ? check_rejects(sync, err) : status;
}

/* Where a writer holds the whole database, not waiting for it is what skipping means. */
static enum amend_status skip_all(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_todo; i++) {
		if (sync->todo[i]->fate == AMEND_FATE_MISSING) {
			sync->todo[i]->action = NULL;
			sync->todo[i]->skipped = true;
		} else {
			sync->todo[i]->fate = AMEND_FATE_SKIPPED;
		}
	}
	for (size_t i = 0; i < sync->n_all && status == AMEND_OK; i++)
		status = amend_sync_tell(sync, sync->all[i], err);
	return status;
}

static bool writes(const struct amend_sync *sync)
{
	return sync->slices || sync->n_todo > 0 || sync->create_sql;
}

/* Another's lease is waited for where that was asked for, with nothing open. */
static enum amend_status run_patiently(struct amend_sync *sync,
				       const struct amend_unit_options *options,
				       struct whole *whole, struct amend_error *err)
{
	struct amend_patience patience = {0};
	enum amend_status status;
	bool again = true;

	for (;;) {
		struct amend_error why;

		amend_lease_barred(sync->db, true);
		status = amend_atomic(sync->db, options, run, whole, err);
		if (status != AMEND_LOCKED || sync->db->options.lease_wait_ms == 0 ||
		    !amend_lease_barred(sync->db, true))
			return status;
		why = *err;
		status = amend_lease_await(sync->db, &patience, &again, err);
		if (status != AMEND_OK)
			return status;
		if (!again) {
			*err = why;
			return AMEND_LOCKED;
		}
	}
}

enum amend_status amend_sync_atomic(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct amend_untold untold = {.arena = AMEND_ARENA_INIT};
	struct whole whole = {sync, sync->create_sql, false};
	enum amend_status status = AMEND_OK;

	sync->untold = &untold;
	if (sync->options->skip_locked && !amend_has(sync->db, AMEND_HAS_ROW_LOCK))
		options.lock_timeout_ms = 1;
	if (!writes(sync))
		status = amend_sync_for_all(sync, amend_sync_apply, err);
	else
		status = amend_ledger_need(sync->db, err);
	if (status == AMEND_OK && writes(sync)) {
		status = run_patiently(sync, &options, &whole, err);
		if (status == AMEND_LOCKED && sync->options->skip_locked && !whole.again) {
			forget(sync);
			status = amend_sync_for_all(sync, skip_all, err);
		}
	}
	tell(sync, status == AMEND_OK);
	if (status != AMEND_OK && sync->report->refused) {
		amend_sync_report_release(sync->report);
		sync->committed = false;
	} else if (status != AMEND_OK) {
		forget(sync);
	}
	sync->untold = NULL;
	amend_arena_release(&untold.arena);
	if (status == AMEND_OK)
		return AMEND_OK;
	if (status == AMEND_OUTCOME_UNKNOWN)
		return amend_error_wrap(err,
					"whether the %llu records are in is not known (run it "
					"again to go on)",
					(unsigned long long)sync->store.n);
	return amend_error_wrap(err, "nothing was written");
}
