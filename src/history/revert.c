/*
 * amend_revert: what a revision or a run changed becomes what it was. Planned, shown, asked, done.
 * Leaves the steps to undo_*.c: revert.h has their order.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/digest.h"
#include "core/json_text.h"
#include "history/revert.h"
#include "record/violations.h"

/* One call under way. */
struct call {
	struct amend_conn *db;
	const struct amend_revert *revert;
	struct undo undo;
	struct amend_arena arena;
	unsigned char shown[AMEND_DIGEST_SIZE]; /* the plan that was agreed to */
	bool agreed;
	bool done; /* it is in */
};

static void begin(struct call *call, bool hold)
{
	amend_undo_release(&call->undo);
	amend_arena_release(&call->arena);
	call->arena = (struct amend_arena)AMEND_ARENA_INIT;
	call->undo = (struct undo){
		.db = call->db, .revert = call->revert, .arena = &call->arena, .hold = hold};
}

/* What the database would refuse, where that has been looked for, is not among what is done. */
static void count(struct undo *undo)
{
	struct amend_revert_report *report = &undo->report;

	*report = (struct amend_revert_report){0};
	for (size_t i = 0; i < undo->n_tables; i++) {
		for (size_t j = 0; j < undo->tables[i]->n; j++) {
			const struct undo_record *record = undo->tables[i]->list[j];

			report->conflicts += record->n_conflicts > 0;
			report->open += record->open;
			report->unchanged += record->outcome == AMEND_IS_UNCHANGED;
			report->refused += record->n_violations > 0;
			if (record->n_violations > 0)
				continue;
			report->updated += record->outcome == AMEND_IS_UPDATED;
			report->created += record->outcome == AMEND_IS_CREATED;
			report->deleted += record->outcome == AMEND_IS_DELETED;
		}
	}
}

static enum amend_status make_plan(struct call *call, bool hold, struct amend_error *err)
{
	enum amend_status status;
	bool again = true;

	begin(call, hold);
	status = amend_undo_read(&call->undo, err);
	if (status == AMEND_OK)
		status = amend_undo_rows(&call->undo, err);
	if (status == AMEND_OK)
		status = amend_undo_decide(&call->undo, err);
	while (again && status == AMEND_OK) {
		status = amend_undo_unique(&call->undo, err);
		if (status == AMEND_OK)
			status = amend_undo_children(&call->undo, &again, err);
		/* Where nothing will be written, that is said once. */
		again = again && call->revert->on_conflict == AMEND_REVERT_CURRENT;
	}
	if (status == AMEND_OK)
		count(&call->undo);
	return status;
}

/* ---- the same plan ---- */

static void add_value(struct amend_hasher *hasher, struct amend_buffer *buffer,
		      const struct amend_value *value)
{
	amend_buffer_reset(buffer);
	amend_pack_add(buffer, "", value);
	amend_hasher_add(hasher, buffer->data, buffer->size);
}

static void add_record(struct amend_hasher *hasher, struct amend_buffer *buffer,
		       const struct undo_record *record)
{
	const size_t numbers[] = {(size_t)record->outcome, record->n_puts, record->n_conflicts,
				  record->row.values != NULL};
	const struct amend_table *table = record->table->table;

	amend_hasher_add(hasher, record->pk, strlen(record->pk) + 1);
	amend_hasher_add(hasher, numbers, sizeof(numbers));
	for (size_t i = 0; i < record->n_puts; i++) {
		amend_hasher_add(hasher, &record->puts[i].column, sizeof(uint32_t));
		add_value(hasher, buffer, &record->puts[i].value);
		if (record->row.values)
			add_value(hasher, buffer, &record->row.values[record->puts[i].column]);
	}
	for (size_t i = 0; i < record->n_conflicts; i++) {
		const char *note = record->conflicts[i].note;

		add_value(hasher, buffer, &record->conflicts[i].current);
		amend_hasher_add(hasher, note, strlen(note) + 1);
	}
	/* Of what goes all that goes with it was shown. */
	for (size_t i = 0; record->outcome == AMEND_IS_DELETED && i < table->n_columns; i++)
		add_value(hasher, buffer, &record->row.values[i]);
}

static enum amend_status digest(const struct undo *undo, unsigned char out[AMEND_DIGEST_SIZE],
				struct amend_error *err)
{
	struct amend_hasher *hasher = amend_hasher_new();
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	bool failed = !hasher;

	for (size_t i = 0; hasher && i < undo->n_tables; i++) {
		amend_hasher_add(hasher, undo->tables[i]->name, strlen(undo->tables[i]->name) + 1);
		for (size_t j = 0; j < undo->tables[i]->n; j++) {
			add_record(hasher, &buffer, undo->tables[i]->list[j]);
			failed = failed || buffer.failed;
		}
	}
	if (hasher)
		amend_hasher_digest(hasher, out);
	amend_hasher_free(hasher);
	amend_buffer_release(&buffer);
	return failed ? amend_no_memory(err) : AMEND_OK;
}

/* ---- showing ---- */

static enum amend_status show_record(const struct undo *undo, const struct undo_record *record,
				     struct amend_error *err)
{
	const struct amend_table *table = record->table->table;
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_change *changes = amend_arena_array(&arena, table->n_columns, sizeof(*changes));
	struct amend_revert_entry entry = {
		.table = table,
		.outcome = record->outcome,
		.changes = changes,
		.conflicts = record->conflicts,
		.n_conflicts = record->n_conflicts,
		.violations = record->violations,
		.n_violations = record->n_violations,
	};
	struct amend_field *key = NULL;
	enum amend_status status;

	if (!changes)
		return amend_no_memory(err);
	for (size_t i = 0; i < table->n_columns; i++) {
		const struct amend_value *before = record->row.values ? &record->row.values[i]
								      : NULL;
		const struct amend_value *after = amend_undo_final(record, i);
		struct amend_change change = {.column = table->columns[i].name,
					      .before = before ? *before : amend_null(),
					      .after = after ? *after : amend_null()};

		if (!amend_value_equal(&change.before, &change.after) &&
		    (!table->columns[i].generated || record->outcome == AMEND_IS_CREATED))
			changes[entry.n_changes++] = change;
	}
	status = amend_pk_parse(record->pk, amend_has(undo->db, AMEND_HAS_TYPED_STORAGE), &arena,
				&key, &entry.n_key, err);
	entry.key = key;
	if (status == AMEND_OK)
		status = undo->revert->each(&entry, undo->revert->context, err);
	amend_arena_release(&arena);
	return status;
}

/* All of them, or only those that the database refuses. */
static enum amend_status show(const struct undo *undo, bool refused, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; undo->revert && undo->revert->each && i < undo->n_tables; i++) {
		for (size_t j = 0; j < undo->tables[i]->n && status == AMEND_OK; j++) {
			const struct undo_record *record = undo->tables[i]->list[j];

			if (!refused || record->n_violations > 0)
				status = show_record(undo, record, err);
		}
	}
	return status;
}

/* ---- doing ---- */

/* Bases may be all that is left to be put back. */
static enum amend_status has_bases(struct undo *undo, struct undo_table *table, bool *work,
				   struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < table->n && !*work && status == AMEND_OK; i++) {
		struct amend_base base;
		bool same = true;

		if (table->list[i]->base.source)
			status = amend_undo_base(undo, table->list[i], &base, &same, err);
		*work = !same;
	}
	return status;
}

static enum amend_status has_work(struct undo *undo, bool *work, struct amend_error *err)
{
	const struct amend_revert_report *report = &undo->report;
	enum amend_status status = AMEND_OK;

	*work = report->updated + report->created + report->deleted + report->refused > 0;
	for (size_t i = 0; i < undo->n_tables && !*work && status == AMEND_OK; i++) {
		if (undo->tables[i]->synced)
			status = has_bases(undo, undo->tables[i], work, err);
	}
	return status;
}

static enum amend_status refuse(const struct undo *undo, struct amend_error *err)
{
	uint64_t open = undo->report.open;

	return amend_error_set(
		err, AMEND_CONFLICT,
		"%" PRIu64 " record%s in conflict with what happened since: nothing was undone "
		"(hint: --on-conflict current leaves that as it is and undoes the rest%s)",
		open, open == 1 ? " is" : "s are",
		undo->revert->on_conflict == AMEND_REVERT_REFUSE
			? ", incoming overwrites later edits"
			: "");
}

static enum amend_status carry_out(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct call *call = context;
	unsigned char now[AMEND_DIGEST_SIZE];
	bool work = false;
	enum amend_status status = amend_hold_database(db, err);

	if (status == AMEND_OK)
		status = make_plan(call, true, err);
	if (status == AMEND_OK && call->agreed)
		status = digest(&call->undo, now, err);
	if (status == AMEND_OK && call->agreed && memcmp(now, call->shown, sizeof(now)) != 0)
		return amend_error_set(err, AMEND_STALE,
				       "what was shown is no longer what would be done: records "
				       "changed meanwhile, and nothing was undone");
	if (status == AMEND_OK && call->undo.report.open > 0)
		return refuse(&call->undo, err);
	if (status == AMEND_OK)
		status = has_work(&call->undo, &work, err);
	if (status == AMEND_OK && work)
		status = amend_undo_write(&call->undo, err);
	if (status == AMEND_OK)
		call->undo.report.revision = amend_revision_current(db);
	return status;
}

/* What would be done is shown first; whoever agrees has nobody wait for it. */
static enum amend_status ask(struct call *call, struct amend_error *err)
{
	bool work = false;
	enum amend_status status = make_plan(call, false, err);

	if (status == AMEND_OK)
		status = digest(&call->undo, call->shown, err);
	if (status == AMEND_OK)
		status = amend_undo_refused(&call->undo, err);
	if (status == AMEND_OK) {
		count(&call->undo);
		status = show(&call->undo, false, err);
	}
	if (status != AMEND_OK || call->revert->dry_run)
		return status;
	if (call->undo.report.open > 0)
		return refuse(&call->undo, err);
	call->agreed = true;
	status = has_work(&call->undo, &work, err);
	if (status == AMEND_OK && work &&
	    !call->revert->confirm(&call->undo.report, call->revert->context))
		status = amend_error_set(err, AMEND_INTERRUPTED, "nothing was undone");
	return status;
}

static enum amend_status check_asked(const struct amend_revert *revert, struct amend_error *err)
{
	if (!revert->revision == !revert->run)
		return amend_error_set(err, AMEND_INVALID, "expected a revision or a run");
	if (!revert->table != !revert->key)
		return amend_error_set(err, AMEND_INVALID, "a table and a key go together");
	return AMEND_OK;
}

/* The engine stopped at the first: what else is in the way is asked of what is there now. */
static void explain(struct call *call)
{
	const struct amend_conn *db = call->db;
	struct amend_error ignored;

	if (db->depth > 0 && db->levels[db->depth - 1].failed)
		return;
	if (make_plan(call, false, &ignored) != AMEND_OK ||
	    amend_undo_refused(&call->undo, &ignored) != AMEND_OK)
		return; /* what was said before stands */
	count(&call->undo);
	if (show(&call->undo, true, &ignored) != AMEND_OK)
		return;
}

static enum amend_status revert_all(struct call *call, struct amend_error *err)
{
	bool asks = call->revert->confirm || call->revert->dry_run;
	enum amend_status status = asks ? ask(call, err) : AMEND_OK;

	if (status != AMEND_OK || call->revert->dry_run)
		return status;
	status = amend_ledger_need(call->db, err);
	if (status == AMEND_OK)
		status = amend_atomic(call->db, NULL, carry_out, call, err);
	call->done = status == AMEND_OK;
	if (!asks && (status == AMEND_OK || status == AMEND_CONFLICT)) {
		struct amend_error ignored;
		enum amend_status shown = show(&call->undo, false,
					       status == AMEND_OK ? err : &ignored);

		status = status == AMEND_OK ? shown : status;
	} else if (status != AMEND_OK && amend_violations_worth(err)) {
		if (!asks)
			explain(call);
		amend_error_wrap(err, "nothing was undone");
	}
	return status;
}

enum amend_status amend_revert(struct amend_conn *db, const struct amend_revert *revert,
			       struct amend_revert_report *report, struct amend_error *err)
{
	struct call call = {.db = db, .revert = revert, .undo = {.revert = revert}};
	enum amend_status status = amend_enter(db, err);

	*report = (struct amend_revert_report){0};
	if (status != AMEND_OK)
		return status;
	status = check_asked(revert, err);
	if (status == AMEND_OK)
		status = revert_all(&call, err);
	*report = call.undo.report;
	/* Nothing of it is in; but where only telling failed, all is. */
	if (status != AMEND_OK && !call.done) {
		report->updated = report->created = report->deleted = report->bases = 0;
		report->revision = 0;
	}
	amend_undo_release(&call.undo);
	amend_arena_release(&call.arena);
	return amend_leave(db, status, err);
}
