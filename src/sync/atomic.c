/*
 * --atomic: the whole run in one unit. What a chunk would commit it only finishes;
 * what is told is told once all of it is in.
 * Leaves writing to apply.c, where each chunk is a savepoint then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/sync.h"

/* What waits to be told: of a reject its text, of a change what stands below, as a record's fields. */
struct amend_untold {
	struct amend_store store;
	char first_reject[sizeof(((struct amend_error *)NULL)->text)];
	enum amend_status status; /* not OK: something could not be kept, and why */
	struct amend_error why;
};

/* ---- telling later ---- */

enum { N_FIELDS, OP, KIND, NOTE, N_KEY, HEAD, PER_KEY = 2, PER_FIELD = 4 };

static struct amend_untold untold_of(const struct amend_sync *sync)
{
	size_t limit = sync->store.limit / 8;

	return (struct amend_untold){.store = {.limit = limit ? limit : 1}};
}

void amend_untold_change(void *context, const struct amend_sync_change *change)
{
	struct amend_untold *untold = context;
	size_t n = HEAD + PER_KEY * change->n_key + PER_FIELD * change->n_fields;
	struct amend_value *values = calloc(n, sizeof(*values)), *at;

	if (untold->status == AMEND_OK && !values)
		untold->status = amend_no_memory(&untold->why);
	if (untold->status != AMEND_OK || !values)
		goto out;
	values[N_FIELDS] = amend_integer((int64_t)change->n_fields);
	values[OP] = amend_text(change->op);
	values[KIND] = amend_text(change->kind);
	values[NOTE] = amend_text(change->note);
	values[N_KEY] = amend_integer((int64_t)change->n_key);
	at = values + HEAD;
	for (size_t i = 0; i < change->n_key; i++, at += PER_KEY) {
		at[0] = amend_text(change->key[i].column);
		at[1] = change->key[i].value;
	}
	for (size_t i = 0; i < change->n_fields; i++, at += PER_FIELD) {
		const struct amend_conflict_field *field = &change->fields[i];

		at[0] = amend_text(field->column);
		at[1] = field->current;
		at[2] = field->incoming;
		at[3] = field->has_base ? field->base
					: (struct amend_value){.kind = AMEND_STORE_ABSENT};
	}
	untold->status = amend_store_add(&untold->store, change->line, NULL, values, n,
					 &untold->why);
out:
	free(values);
}

void amend_untold_reject(struct amend_untold *untold, int64_t line, const char *text)
{
	if (untold->status != AMEND_OK)
		return;
	if (!*untold->first_reject)
		snprintf(untold->first_reject, sizeof(untold->first_reject), "%s", text);
	untold->status = amend_store_add(&untold->store, line, text, NULL, 0, &untold->why);
}

/* What it points to ends with `record` and `arena`. */
static enum amend_status take_change(const unsigned char *record, struct amend_arena *arena,
				     struct amend_sync_change *change, struct amend_error *err)
{
	struct amend_value head[HEAD] = {{0}}, *values, *at;
	struct amend_conflict_field *fields;
	struct amend_field *key;
	const char *problem;
	size_t n;

	amend_store_decode(record, head, HEAD, &problem);
	change->n_key = (size_t)head[N_KEY].as.integer;
	change->n_fields = (size_t)head[N_FIELDS].as.integer;
	n = HEAD + PER_KEY * change->n_key + PER_FIELD * change->n_fields;
	values = amend_arena_array(arena, n, sizeof(*values));
	key = amend_arena_array(arena, change->n_key, sizeof(*key));
	fields = amend_arena_array(arena, change->n_fields, sizeof(*fields));
	if (!values || !key || !fields)
		return amend_no_memory(err);
	change->line = amend_store_decode(record, values, n, &problem);
	change->op = values[OP].as.text;
	change->kind = values[KIND].kind == AMEND_TEXT ? values[KIND].as.text : NULL;
	change->note = values[NOTE].kind == AMEND_TEXT ? values[NOTE].as.text : NULL;
	at = values + HEAD;
	for (size_t i = 0; i < change->n_key; i++, at += PER_KEY)
		key[i] = (struct amend_field){.column = at[0].as.text, .value = at[1]};
	for (size_t i = 0; i < change->n_fields; i++, at += PER_FIELD) {
		fields[i] = (struct amend_conflict_field){
			.column = at[0].as.text, .current = at[1], .incoming = at[2]};
		fields[i].has_base = at[3].kind != AMEND_STORE_ABSENT;
		if (fields[i].has_base)
			fields[i].base = at[3];
	}
	change->key = key;
	change->fields = fields;
	return AMEND_OK;
}

/* Where nothing is in, what was rejected is told all the same: it is the reason. */
static enum amend_status tell(const struct amend_sync *sync, bool changes, struct amend_error *err)
{
	const struct amend_sync_options *options = sync->options;
	struct amend_store_reader reader;
	enum amend_status status = AMEND_OK;

	amend_store_begin(&sync->untold->store, &reader);
	while (status == AMEND_OK) {
		struct amend_sync_change change = {.table = sync->table};
		struct amend_arena arena = AMEND_ARENA_INIT;
		const unsigned char *record;
		const char *problem;
		int64_t line;

		status = amend_store_next(&reader, &record, err);
		if (status != AMEND_OK || !record)
			break;
		line = amend_store_decode(record, NULL, 0, &problem);
		if (problem) {
			options->on_reject(options->context, line, problem);
		} else if (changes) {
			status = take_change(record, &arena, &change, err);
			if (status == AMEND_OK)
				options->on_change(options->context, &change);
		}
		amend_arena_release(&arena);
	}
	amend_store_end(&reader);
	return status;
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

	amend_store_release(&sync->untold->store);
	*sync->untold = untold_of(sync);
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
	const char *first = sync->untold->first_reject;
	int64_t may = amend_sync_may_reject(sync->options);

	if (sync->report->rejected <= (uint64_t)may)
		return AMEND_OK;
	sync->report->refused = true;
	return amend_error_set(err, AMEND_CONSTRAINT,
			       "%llu record%s rejected, %lld %s allowed%s%s (hint: --max-rejects)",
			       (unsigned long long)sync->report->rejected,
			       sync->report->rejected == 1 ? " is" : "s are", (long long)may,
			       may == 1 ? "is" : "are", *first ? ": " : "", first);
}

static enum amend_status decide_anew(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status;

	sync->writing = false;
	status = amend_sync_plan_all(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_check(sync, err);
	sync->writing = true;
	return status;
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
	if (status == AMEND_OK && again)
		status = decide_anew(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_for_all(sync, amend_sync_apply, err);
	if (status == AMEND_OK && sync->untold->status != AMEND_OK) {
		*err = sync->untold->why;
		status = sync->untold->status;
	}
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

	do {
		amend_lease_barred(sync->db, true);
		status = amend_atomic(sync->db, options, run, whole, err);
	} while (amend_lease_try_again(sync->db, &patience, &status, err));
	return status;
}

/* What moved is asked about with nothing open; the answers serve the next time. */
static enum amend_status run_asking(struct amend_sync *sync,
				    const struct amend_unit_options *options, struct whole *whole,
				    struct amend_error *err)
{
	enum amend_status status;

	for (;;) {
		sync->must_ask = false;
		sync->holds = !whole->create_sql;
		status = run_patiently(sync, options, whole, err);
		sync->holds = false;
		if (status != AMEND_CONFLICT || !sync->must_ask)
			return status;
		forget(sync);
		status = decide_anew(sync, err);
		if (status == AMEND_OK)
			status = amend_sync_for_all(sync, amend_sync_confirm, err);
		if (status != AMEND_OK)
			return status;
	}
}

enum amend_status amend_sync_atomic(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct amend_untold untold = untold_of(sync);
	struct whole whole = {sync, sync->create_sql, false};
	enum amend_status status = AMEND_OK, told;
	struct amend_error not_told = {0};

	sync->untold = &untold;
	if (sync->options->skip_locked && !amend_has(sync->db, AMEND_HAS_ROW_LOCK))
		options.lock_timeout_ms = 1;
	if (!writes(sync))
		status = amend_sync_for_all(sync, amend_sync_apply, err);
	else
		status = amend_ledger_need(sync->db, err);
	if (status == AMEND_OK && writes(sync)) {
		status = run_asking(sync, &options, &whole, err);
		if (status == AMEND_LOCKED && sync->options->skip_locked && !whole.again) {
			forget(sync);
			status = amend_sync_for_all(sync, skip_all, err);
		}
	}
	told = tell(sync, status == AMEND_OK, &not_told);
	if (status != AMEND_OK && sync->report->refused) {
		amend_sync_report_release(sync->report);
		sync->committed = false;
	} else if (status != AMEND_OK) {
		forget(sync);
	}
	sync->untold = NULL;
	amend_store_release(&untold.store);
	if (status == AMEND_OK && told != AMEND_OK) {
		*err = not_told;
		return amend_error_wrap(err, "all is in, but not all of it could be told");
	}
	if (status == AMEND_OK)
		return AMEND_OK;
	if (status == AMEND_OUTCOME_UNKNOWN)
		return amend_error_wrap(err,
					"whether the %llu records are in is not known (run it "
					"again to go on: what is in is found so)",
					(unsigned long long)sync->store.n);
	return amend_error_wrap(err, "nothing was written");
}
