/*
 * One chunk: locks what it changes in the order of primary keys, proves that it
 * is what phase 1 saw, writes it with bases, conflicts and history, all in one unit.
 * Leaves what a failure means to apply.c.
 */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "record/violations.h"
#include "sync/sync.h"

/* ---- holding and proving ---- */

static bool needs_hold(const struct amend_chunk *chunk, const struct amend_record *record)
{
	/* Many rows are locked and proved by their write. */
	if (!chunk->careful && !chunk->sync->options->skip_locked && !record->action->n_parks &&
	    !record->action->glued && (record->action->n_puts || record->action->remove))
		return false;
	return record->row &&
	       (record->action->n_puts || record->action->store || record->action->remove ||
		(chunk->others && !record->seen && record->action->write_base));
}

/*
 * A base that moves alone, or a conflict that ends, needs no lock: an edit that comes
 * later is seen as one. But row and base were read one after the other, and another
 * run may have written both in between: then the pair never stood, and its verdict is about nothing.
 * Where there was no base, there would be one now.
 */
static bool needs_look(const struct amend_record *record)
{
	const struct amend_action *action = record->action;

	return record->row && !action->n_puts && !action->store && !action->remove &&
	       ((action->write_base && record->seen) || action->end);
}

static int by_pk(const void *a, const void *b)
{
	const struct amend_record *const *x = a, *const *y = b;

	return strcmp((*x)->row->pk, (*y)->row->pk);
}

/* What is compared is as it was: enough for a verdict, and an edit of anything else is no reason to decide again. */
static bool same_used(const struct amend_sync *sync, const struct amend_row *then,
		      const struct amend_row *now)
{
	for (uint32_t u = 0; u < sync->n_used; u++) {
		uint32_t column = sync->used[u].column;

		if (!amend_value_equal(&then->values[column], &now->values[column]))
			return false;
	}
	return true;
}

/* What holding or looking brought: the row, or nothing, or one that another holds. */
static enum amend_status take_held(struct amend_chunk *chunk, struct amend_record *record,
				   const struct amend_row *now, bool found, struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	struct amend_row again;
	enum amend_status status = AMEND_OK;
	bool there = false, held = needs_hold(chunk, record);

	if (found && held && amend_row_same(sync->db, sync->table, record->row, now)) {
		record->action->now = *now;
		record->action->now.held = true;
		return AMEND_OK;
	}
	if (found && !held && same_used(sync, record->row, now))
		return AMEND_OK;
	if (!found && held && sync->options->skip_locked)
		status = amend_row_again(sync->db, sync->table, record->row, NULL, &chunk->arena,
					 &again, &there, err);
	record->effect = there ? AMEND_EFFECT_SKIPPED : AMEND_EFFECT_MOVED;
	return status;
}

static enum amend_status hold_by_rowid(struct amend_chunk *chunk, struct amend_record **records,
				       size_t n, struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		struct amend_row now;
		bool found;

		status = amend_row_again(sync->db, sync->table, records[i]->row, NULL,
					 &chunk->arena, &now, &found, err);
		if (status == AMEND_OK)
			status = take_held(chunk, records[i], &now, found, err);
	}
	return status;
}

static enum amend_status hold_by_identity(struct amend_chunk *chunk, struct amend_record **records,
					  size_t n, bool look, struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	const struct amend_table *table = sync->table;
	const struct amend_lock lock = {true, AMEND_FOR_UPDATE,
					sync->options->skip_locked ? AMEND_SKIP_LOCKED : AMEND_WAIT};
	size_t width = table->n_identity;
	struct amend_value *values = amend_arena_array(&chunk->arena, n * width, sizeof(*values));
	struct amend_row *rows = amend_arena_array(&chunk->arena, n, sizeof(*rows));
	unsigned char *n_found = amend_arena_alloc(&chunk->arena, n);
	enum amend_status status = AMEND_OK;

	if (!values || !rows || !n_found)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < width; j++)
			values[i * width + j] = records[i]->row->values[table->identity[j]];
	}
	status = amend_row_find_many(sync->db, table, table->identity, width, values, n,
				     look ? NULL : &lock, &chunk->arena, rows, n_found, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		status = take_held(chunk, records[i], &rows[i], n_found[i] == 1, err);
	return status;
}

/* Locks those that are written to, or, to `look`, reads the others without a lock. */
static enum amend_status hold(struct amend_chunk *chunk, bool look, struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	struct amend_record **records;
	size_t n = 0;

	records = amend_arena_array(&chunk->arena, chunk->to - chunk->from,
				    sizeof(struct amend_record *));
	if (!records)
		return amend_no_memory(err);
	for (size_t i = chunk->from; i < chunk->to; i++) {
		if (look ? needs_look(sync->todo[i]) : needs_hold(chunk, sync->todo[i]))
			records[n++] = sync->todo[i];
	}
	if (n == 0)
		return AMEND_OK;
	qsort(records, n, sizeof(struct amend_record *), by_pk);
	return sync->table->n_identity ? hold_by_identity(chunk, records, n, look, err)
				       : hold_by_rowid(chunk, records, n, err);
}

/* There is no row, it is said, and a conflict is stored or ended for that; a creation proves itself. */
static bool absent(const struct amend_record *record)
{
	return !record->row && !record->action->create &&
	       (record->action->store || record->action->end);
}

/* Whether any of these is there by key `k`, which found none in phase 1. */
static enum amend_status prove_missed(struct amend_chunk *chunk, uint32_t k,
				      struct amend_record **records, size_t n,
				      struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	const struct amend_sync_key *key = &sync->keys[k];
	struct amend_value *values = amend_arena_array(&chunk->arena, n * key->n, sizeof(*values));
	struct amend_row *rows = amend_arena_array(&chunk->arena, n, sizeof(*rows));
	unsigned char *n_found = amend_arena_alloc(&chunk->arena, n);
	enum amend_status status;

	if (!values || !rows || !n_found)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		for (uint32_t j = 0; j < key->n; j++)
			values[i * key->n + j] = records[i]->values[key->used[j]];
	}
	status = amend_row_find_many(sync->db, sync->table, key->columns, key->n, values, n, NULL,
				     &chunk->arena, rows, n_found, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (n_found[i])
			records[i]->effect = AMEND_EFFECT_MOVED;
	}
	return status;
}

/*
 * A conflict of a record without a row: another run, or anybody, may have created
 * it between two looks of phase 1, and what it clashed with is then itself.
 */
static enum amend_status prove_absent(struct amend_chunk *chunk, struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	struct amend_record **records = amend_arena_array(&chunk->arena, chunk->to - chunk->from,
							  sizeof(struct amend_record *));
	enum amend_status status = AMEND_OK;

	if (!records)
		return amend_no_memory(err);
	for (uint32_t k = 0; k < sync->n_keys && status == AMEND_OK; k++) {
		size_t n = 0;

		for (size_t i = chunk->from; i < chunk->to; i++) {
			struct amend_record *record = sync->todo[i];

			if (absent(record) && (record->missed & (uint32_t)1 << k))
				records[n++] = record;
		}
		if (n > 0)
			status = prove_missed(chunk, k, records, n, err);
	}
	for (size_t i = chunk->from; i < chunk->to && status == AMEND_OK; i++) {
		struct amend_record *record = sync->todo[i];
		struct amend_row now;
		bool found;

		if (!absent(record) || !record->other)
			continue;
		status = amend_row_again(sync->db, sync->table, record->other, NULL, &chunk->arena,
					 &now, &found, err);
		if (status == AMEND_OK &&
		    (!found || !amend_row_same(sync->db, sync->table, record->other, &now)))
			record->effect = AMEND_EFFECT_MOVED;
	}
	return status;
}

/* Another run may have stored or ended a record's conflict meanwhile: then it is decided again. */
static enum amend_status prove_conflicts(struct amend_chunk *chunk, struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	struct amend_conflict_row *open = NULL;
	struct amend_hash ids = {0};
	enum amend_status status = AMEND_OK;
	bool any = false;
	size_t n = 0;

	for (size_t i = chunk->from; i < chunk->to && !any; i++)
		any = sync->todo[i]->action->store || sync->todo[i]->action->end;
	if (!any)
		return AMEND_OK;
	status = amend_conflict_open(sync->db, sync->source_name, sync->table, &chunk->arena, &open,
				     &n, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		void **slot = amend_hash_put(&ids, open[i].first_key, strlen(open[i].first_key));

		if (slot)
			*slot = &open[i];
		else
			status = amend_no_memory(err);
	}
	for (size_t i = chunk->from; i < chunk->to && status == AMEND_OK; i++) {
		struct amend_record *record = sync->todo[i];
		const char *key = record->open ? record->open->first_key : record->key;
		const struct amend_conflict_row *now;

		if (!record->action->store && !record->action->end)
			continue;
		now = amend_hash_get(&ids, key, strlen(key));
		if ((now ? now->id : 0) != (record->open ? record->open->id : 0))
			record->effect = AMEND_EFFECT_MOVED;
	}
	amend_hash_release(&ids);
	return status;
}

/* ---- writing ---- */

/* The primary key of a new row was another's, whose row is gone: its base stays, under a name of its own. */
static enum amend_status bury(struct amend_chunk *chunk, const struct amend_base *base, bool *moved,
			      struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	struct amend_base there, buried;
	enum amend_status status;

	status = amend_base_find(sync->db, sync->source_name, sync->table, false, &base->pk, 1,
				 &there, &chunk->arena, err);
	if (status != AMEND_OK || !there.pack)
		return status;
	buried = there;
	buried.pk = amend_arena_printf(&chunk->arena, AMEND_BASE_GONE "%s", there.first_key);
	if (!buried.pk)
		return amend_no_memory(err);
	if (strcmp(there.first_key, base->first_key) == 0) {
		/* The record's own, of a row that stood here before. */
		return amend_base_write(sync->db, sync->table, &there, base, moved, err);
	}
	status = amend_base_write(sync->db, sync->table, &there, &buried, moved, err);
	if (status == AMEND_OK && !*moved)
		status = amend_base_write(sync->db, sync->table, NULL, base, moved, err);
	return status;
}

/* What was half done is undone with the unit, and the record decided again. */
static enum amend_status half_done(struct amend_chunk *chunk, struct amend_error *err)
{
	chunk->again = true;
	return amend_error_set(err, AMEND_STALE,
			       "a base or a conflict moved while its record was written");
}

enum amend_status amend_sync_base_moved(struct amend_chunk *chunk, struct amend_record *record,
					struct amend_error *err)
{
	struct amend_action *action = record->action;
	enum amend_status status = AMEND_OK;
	bool moved = true;

	if (action->create && !record->seen) {
		moved = false;
		status = bury(chunk, &action->base, &moved, err);
	}
	if (status != AMEND_OK || !moved)
		return status;
	if (action->after.values || action->remove)
		return half_done(chunk, err);
	record->effect = AMEND_EFFECT_MOVED;
	return AMEND_OK;
}

static enum amend_status write_base(struct amend_chunk *chunk, struct amend_record *record,
				    struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	struct amend_action *action = record->action;
	enum amend_status status;
	bool moved;

	if (action->after.values)
		action->base.pk = action->after.pk;
	status = amend_base_write(sync->db, sync->table, record->seen,
				  action->drop_base ? NULL : &action->base, &moved, err);
	return status == AMEND_OK && moved ? amend_sync_base_moved(chunk, record, err) : status;
}

/*
 * As many are written: with the base that goes with the change, for undoing it, and the row first,
 * so that what the database refuses takes no number of a sequence.
 */
static enum amend_status write_one(struct amend_chunk *chunk, struct amend_record *record,
				   struct amend_written *out, struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	const struct amend_action *action = record->action;
	/* Without the key the database says what it refuses. */
	bool asks = action->create && record->refusals < AMEND_SYNC_REFUSALS;
	struct amend_bulk item = {
		.row = action->create ? NULL : &action->now,
		.puts = action->remove ? NULL : action->puts,
		.n_puts = action->remove ? 0 : action->n_puts,
		.source = sync->source_name,
		.seen = record->seen,
	};
	enum amend_status status = amend_rows_write(sync->db, sync->table,
						    asks ? sync->keys[record->first].unique : NULL,
						    &item, 1, &chunk->arena, err);

	*out = (struct amend_written){.moved = item.moved, .row = item.after};
	return status;
}

/* Of one unit nothing can be left out. */
static bool may_bar(const struct amend_sync *sync)
{
	return sync->options->skip_locked || !sync->options->atomic;
}

void amend_sync_bar(struct amend_sync *sync, struct amend_record *record, const char *why)
{
	record->effect = sync->options->skip_locked ? AMEND_EFFECT_SKIPPED : AMEND_EFFECT_LEASED;
	/* In the source's words for the record, where the lease has the row's. */
	if (why && !*sync->leased_why)
		snprintf(sync->leased_why, sizeof(sync->leased_why), "%s %.120s: %.300s",
			 sync->table->qualified, record->key,
			 strstr(why, "locked by") ? strstr(why, "locked by") : why);
}

static enum amend_status write_row(struct amend_chunk *chunk, struct amend_record *record,
				   struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	struct amend_action *action = record->action;
	struct amend_written written;
	enum amend_status status;

	if (action->parked)
		return amend_sync_unpark(sync, record, &chunk->arena, err);
	if (record->row && !action->now.values)
		action->now = *record->row;
	status = write_one(chunk, record, &written, err);
	/* Not the engine but a lease is in the way. */
	if (status == AMEND_LOCKED && may_bar(sync) && !*err->sqlstate) {
		amend_sync_bar(sync, record, err->text);
		return AMEND_OK;
	}
	if (status != AMEND_OK)
		return status;
	if (written.moved) {
		record->effect = AMEND_EFFECT_MOVED;
		action->refused = action->create;
	} else if (!action->remove) {
		action->after = written.row;
	}
	return AMEND_OK;
}

enum amend_status amend_sync_write_conflict(struct amend_chunk *chunk, struct amend_record *record,
					    struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	const struct amend_action *action = record->action;
	enum amend_status status = AMEND_OK;
	bool moved = false;
	int64_t id;

	if (action->end)
		status = amend_conflict_end(sync->db, record->open->id, action->end, action->how,
					    &moved, err);
	/* Somebody has settled it since it was looked at. */
	if (status == AMEND_OK && moved && (action->after.values || action->write_base))
		return half_done(chunk, err);
	if (status == AMEND_OK && moved)
		record->effect = AMEND_EFFECT_MOVED;
	if (status == AMEND_OK && action->store && !moved)
		status = amend_conflict_store(sync->db, action->conflict, &id, err);
	return status;
}

static enum amend_status write_record(struct amend_chunk *chunk, size_t index,
				      struct amend_error *err)
{
	struct amend_record *record = chunk->sync->todo[index];
	struct amend_action *action = record->action;
	enum amend_status status = AMEND_OK;

	if (record->effect != AMEND_EFFECT_NONE)
		return AMEND_OK;
	chunk->culprit = record;
	if (action->create || action->n_puts || action->remove)
		status = write_row(chunk, record, err);
	if (status == AMEND_OK && action->remove)
		status = amend_sync_prove_deleted(chunk, index, index + 1, err);
	if (status == AMEND_OK && action->write_base && record->effect == AMEND_EFFECT_NONE)
		status = write_base(chunk, record, err);
	if (status == AMEND_OK && record->effect == AMEND_EFFECT_NONE)
		status = amend_sync_write_conflict(chunk, record, err);
	if (status == AMEND_OK && record->effect == AMEND_EFFECT_NONE)
		record->effect = AMEND_EFFECT_DONE;
	return status;
}

/* ---- groups: what is glued together, mostly one record ---- */

struct group {
	struct amend_chunk *chunk;
	size_t from, to;
};

static size_t group_end(const struct amend_sync *sync, size_t from)
{
	size_t to = from + 1;

	while (to < sync->n_todo && sync->todo[to]->action->glued)
		to++;
	return to;
}

/* A circle turns as a whole or not at all. */
static bool whole(const struct group *group)
{
	struct amend_record **todo = group->chunk->sync->todo;
	bool moved = false;

	for (size_t i = group->from; i < group->to; i++)
		moved = moved || todo[i]->effect != AMEND_EFFECT_NONE;
	for (size_t i = group->from; moved && i < group->to; i++) {
		if (todo[i]->effect == AMEND_EFFECT_NONE)
			todo[i]->effect = AMEND_EFFECT_MOVED;
	}
	return !moved;
}

/* Before anything of it makes way: a lease of one is a lease of all. */
static enum amend_status bar_group(const struct group *group, struct amend_error *err)
{
	struct amend_sync *sync = group->chunk->sync;
	enum amend_status status = AMEND_OK;

	for (size_t i = group->from; i < group->to && status == AMEND_OK && may_bar(sync); i++) {
		const struct amend_action *action = sync->todo[i]->action;

		if (!sync->todo[i]->row || (!action->n_parks && group->to - group->from == 1) ||
		    (!action->n_puts && !action->remove))
			continue;
		status = amend_lease_pass(sync->db, sync->table, sync->todo[i]->row->pk, err);
	}
	if (status != AMEND_LOCKED || *err->sqlstate)
		return status;
	for (size_t i = group->from; i < group->to; i++)
		amend_sync_bar(sync, sync->todo[i], err->text);
	return AMEND_OK;
}

static enum amend_status write_group(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct group *group = context;
	struct amend_chunk *chunk = group->chunk;
	struct amend_record **todo = chunk->sync->todo;
	enum amend_status status = AMEND_OK;

	(void)db;
	if (!whole(group))
		return AMEND_OK;
	status = bar_group(group, err);
	if (status != AMEND_OK || todo[group->from]->effect != AMEND_EFFECT_NONE)
		return status;
	for (size_t i = group->from; i < group->to && status == AMEND_OK; i++) {
		chunk->culprit = todo[i];
		if (todo[i]->action->n_parks)
			status = amend_sync_park(chunk->sync, todo[i], &chunk->arena, err);
	}
	for (size_t i = group->from; i < group->to && status == AMEND_OK; i++) {
		status = write_record(chunk, i, err);
		/* One of a circle moved under way: what is parked must not stay so. */
		if (status == AMEND_OK && group->to - group->from > 1 &&
		    todo[i]->effect != AMEND_EFFECT_DONE)
			status = half_done(chunk, err);
	}
	return status;
}

bool amend_sync_isolates(const struct amend_error *err)
{
	/* The statement itself does not fit the table any more: no record is to blame. */
	if (strncmp(err->sqlstate, "42", 2) == 0)
		return strcmp(err->sqlstate, "42501") == 0 &&
		       strstr(err->text, "row-level security"); /* a policy judges a row */
	return err->status == AMEND_CONSTRAINT || err->status == AMEND_INVALID ||
	       err->status == AMEND_CONFLICT || err->status == AMEND_EXISTS ||
	       strncmp(err->sqlstate, "P0", 2) == 0; /* PL/pgSQL: a trigger's own refusal */
}

/* So many rejects of a run are told all that is in their way: asking for it costs more than the write did. */
enum { EXPLAINED = 200 };

const char *amend_sync_reason(struct amend_sync *sync, const struct amend_record *record,
			      const struct amend_error *why)
{
	const struct amend_action *action = record->action;
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_violations list = {.arena = &arena};
	struct amend_buffer line = AMEND_BUFFER_INIT;
	struct amend_error ignored;
	const char *text;

	amend_buffer_text(&line, why->text);
	if (*why->sqlstate && sync->report->rejected < EXPLAINED && !action->parked &&
	    (action->create || (action->now.values && (action->n_puts || action->remove))) &&
	    amend_row_violations(sync->db, sync->table, action->create ? NULL : &action->now,
				 action->puts, action->remove ? 0 : action->n_puts, &list,
				 &ignored) == AMEND_OK &&
	    list.n > 1) {
		for (size_t i = 0; i < list.n; i++)
			amend_buffer_printf(&line, "%s%s", i ? "; " : "; all that is in the way: ",
					    list.all[i].text);
	}
	text = line.failed ? NULL : amend_arena_text_n(&sync->arena, line.data, line.size);
	amend_buffer_release(&line);
	amend_arena_release(&arena);
	return text;
}

/* The group is undone; the record whose fault it was is rejected, the others are decided again. */
static enum amend_status blame(const struct group *group, const struct amend_error *why,
			       struct amend_error *err)
{
	struct amend_chunk *chunk = group->chunk;
	struct amend_record *culprit = chunk->again ? NULL : chunk->culprit;
	bool clash = strcmp(why->sqlstate, "23505") == 0;

	for (size_t i = group->from; i < group->to; i++) {
		struct amend_record *record = chunk->sync->todo[i];

		record->action->after = (struct amend_row){0};
		record->effect = AMEND_EFFECT_MOVED;
	}
	if (!culprit)
		return AMEND_OK;
	if (clash && !culprit->clashed) {
		/* Someone took the value meanwhile: seen now, it is a conflict that says with whom. */
		culprit->action->clashed = true;
		return AMEND_OK;
	}
	if (culprit->action->adds_up &&
	    (why->status == AMEND_CONSTRAINT || why->status == AMEND_INVALID)) {
		/* The source's own value may be a good one: a person decides. */
		culprit->action->overflowed = true;
		return AMEND_OK;
	}
	culprit->effect = AMEND_EFFECT_REJECTED;
	culprit->problem = amend_sync_reason(chunk->sync, culprit, why);
	return culprit->problem ? AMEND_OK : amend_no_memory(err);
}

static enum amend_status run_group(struct amend_chunk *chunk, struct group *group,
				   struct amend_error *err)
{
	enum amend_status status;

	if (!chunk->careful)
		return write_group(chunk->sync->db, group, err);
	chunk->again = false;
	chunk->culprit = NULL;
	status = amend_atomic(chunk->sync->db, NULL, write_group, group, err);
	if (status != AMEND_OK && (chunk->again || (chunk->culprit && amend_sync_isolates(err)))) {
		const struct amend_error why = *err;

		status = blame(group, &why, err);
	}
	chunk->again = false;
	return status;
}

/* ---- the unit ---- */

static void reset(struct amend_chunk *chunk)
{
	struct amend_sync *sync = chunk->sync;

	amend_arena_release(&chunk->arena);
	chunk->again = chunk->complete = false;
	chunk->culprit = NULL;
	chunk->revision = 0;
	chunk->to = chunk->from;
	while (chunk->to < sync->n_todo && chunk->to - chunk->from < chunk->limit)
		chunk->to = group_end(sync, chunk->to);
	for (size_t i = chunk->from; i < chunk->to; i++) {
		struct amend_record *record = sync->todo[i];

		record->effect = AMEND_EFFECT_NONE;
		record->action->parked = false;
		record->action->clashed = record->action->refused = false;
		record->action->overflowed = false;
		record->action->now = record->action->after = (struct amend_row){0};
	}
}

/*
 * Whether the number that others' commits change proves anything. It is that of the main file;
 * triggers and cascades of the chunks before have written on this connection, and an
 * application may write on one of its own.
 */
static bool may_prove(const struct amend_sync *sync)
{
	return strcmp(sync->table->schema, "main") == 0 && !sync->db->adopted &&
	       (!sync->committed ||
		(!sync->table->settles_late && !amend_sync_refers_to_itself(sync->table)));
}

/* What phase 1 saw is what is there, or else those that moved are marked. */
static enum amend_status prove(struct amend_chunk *chunk, struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	enum amend_status status = AMEND_OK;
	int64_t version;
	bool known = false;

	if (sync->versioned && may_prove(sync))
		status = amend_data_version(sync->db, &version, &known, err);
	chunk->proven = known && version == sync->version;
	for (size_t i = chunk->from; i < chunk->to && chunk->proven; i++) {
		struct amend_record *record = sync->todo[i];

		if (!record->row)
			continue;
		record->action->now = *record->row;
		record->action->now.held = true;
	}
	if (chunk->proven || status != AMEND_OK)
		return status;
	status = amend_sync_look_for_others(chunk, err);
	if (status == AMEND_OK)
		status = hold(chunk, false, err);
	if (status == AMEND_OK)
		status = hold(chunk, true, err);
	if (status == AMEND_OK)
		status = prove_absent(chunk, err);
	if (status == AMEND_OK)
		status = prove_conflicts(chunk, err);
	return status == AMEND_OK ? amend_sync_prove_missing(chunk, err) : status;
}

/* Many at once where nothing stands against it, else what is glued together. */
static enum amend_status write_from(struct amend_chunk *chunk, struct group *group,
				    struct amend_error *err)
{
	size_t to = chunk->careful ? group->from : amend_segment_end(chunk, group->from);
	bool segment = to > group->from;
	enum amend_status status;

	group->to = segment ? to : group_end(chunk->sync, group->from);
	amend_segment_skip_vain(chunk, group->from, group->to);
	status = segment ? amend_segment_write(chunk, group->from, to, err)
			 : run_group(chunk, group, err);
	if (status == AMEND_OK)
		amend_segment_forget_later(chunk, group->from, group->to);
	return status;
}

static enum amend_status run(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct amend_chunk *chunk = context;
	struct amend_sync *sync = chunk->sync;
	int64_t begun = amend_clock_ms();
	enum amend_status status = AMEND_OK;
	struct group group = {.chunk = chunk};

	reset(chunk);
	if (sync->create_sql)
		status = amend_exec_text(db, sync->create_sql, err);
	if (status == AMEND_OK)
		status = prove(chunk, err);
	for (group.from = chunk->from; group.from < chunk->to && status == AMEND_OK;
	     group.from = group.to) {
		status = write_from(chunk, &group, err);
		if (amend_clock_ms() - begun > AMEND_SYNC_CHUNK_MS)
			chunk->to = group.to;
	}
	if (status == AMEND_OK)
		chunk->revision = amend_revision_current(db);
	chunk->complete = status == AMEND_OK;
	return status;
}

enum amend_status amend_sync_chunk(struct amend_chunk *chunk, struct amend_error *err)
{
	struct amend_conn *db = chunk->sync->db;
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;

	/* Also for a unit that never begins: its records are known. */
	reset(chunk);
	/* Where a writer holds the whole database, not waiting for it is what skipping means. */
	if (chunk->sync->options->skip_locked && !amend_has(db, AMEND_HAS_ROW_LOCK))
		options.lock_timeout_ms = 1;
	return amend_atomic(db, &options, run, chunk, err);
}
