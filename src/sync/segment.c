/*
 * A stretch of a chunk whose records do not depend on each other, written
 * together: rows, bases, then conflicts, each in few trips.
 * Leaves circles, and finding out who is to blame when it fails, to chunk.c.
 */
#include <stdlib.h>

#include "record/cascade.h"
#include "sync/sync.h"

static bool writes_row(const struct amend_record *record)
{
	return record->action->create || record->action->n_puts || record->action->remove;
}

/* The unique key on which a creation yields; without one the database says what it refuses. */
static const struct amend_key *yields_on(const struct amend_sync *sync,
					 const struct amend_record *record)
{
	return record->refusals < AMEND_SYNC_REFUSALS ? sync->keys[record->first].unique : NULL;
}

/* By foreign keys that follow what they refer to. To a new row nobody refers. */
static bool moves_others(const struct amend_sync *sync, const struct amend_record *record)
{
	return !record->action->create &&
	       amend_cascades_within(sync->db, sync->table, record->action->puts,
				     record->action->n_puts);
}

size_t amend_segment_end(const struct amend_chunk *chunk, size_t from)
{
	const struct amend_sync *sync = chunk->sync;
	const struct amend_key *key = NULL;
	bool creates = false;
	size_t to = from;

	for (; to < chunk->to; to++) {
		const struct amend_record *record = sync->todo[to];

		if (record->action->n_parks || record->action->glued ||
		    (to + 1 < sync->n_todo && sync->todo[to + 1]->action->glued))
			break;
		if (to > from && amend_sync_waits(sync, record, from))
			break;
		if (to > from &&
		    (moves_others(sync, record) || moves_others(sync, sync->todo[to - 1])))
			break;
		/* What is deleted is deleted in a stretch of its own. */
		if (to > from && record->action->remove != sync->todo[from]->action->remove)
			break;
		if (!record->action->create)
			continue;
		if (creates && yields_on(sync, record) != key)
			break;
		key = yields_on(sync, record);
		creates = true;
	}
	return to;
}

static enum amend_status write_rows(struct amend_chunk *chunk, size_t from, size_t to,
				    struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	struct amend_bulk *items = amend_arena_array(&chunk->arena, to - from, sizeof(*items));
	size_t *which = amend_arena_array(&chunk->arena, to - from, sizeof(*which)), n = 0;
	const struct amend_key *key = NULL;
	enum amend_status status;

	if (!items || !which)
		return amend_no_memory(err);
	for (size_t i = from; i < to; i++) {
		struct amend_record *record = sync->todo[i];
		struct amend_action *action = record->action;

		if (record->effect != AMEND_EFFECT_NONE || !writes_row(record))
			continue;
		if (action->create)
			key = yields_on(sync, record);
		else if (!action->now.values)
			action->now = *record->row;
		items[n] = (struct amend_bulk){
			.row = action->create ? NULL : &action->now,
			.puts = action->puts,
			.n_puts = action->n_puts,
			.source = sync->source_name,
			.seen = record->seen,
			/* Of one unit nothing can be left out. */
			.skip_locked = sync->options->skip_locked || !sync->options->atomic,
		};
		which[n++] = i;
	}
	if (n == 0)
		return AMEND_OK;
	/* Whose fault a failure is, is not known: it is found out one by one. */
	chunk->culprit = sync->todo[which[0]];
	status = amend_rows_write(sync->db, sync->table, key, items, n, &chunk->arena, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		struct amend_record *record = sync->todo[which[i]];

		if (items[i].locked) {
			amend_sync_bar(sync, record, items[i].why);
		} else if (items[i].moved) {
			record->effect = AMEND_EFFECT_MOVED;
			record->action->refused = record->action->create;
		} else {
			record->action->after = items[i].after;
		}
	}
	return status;
}

static enum amend_status write_bases(struct amend_chunk *chunk, size_t from, size_t to,
				     struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	struct amend_base_bulk *items = amend_arena_array(&chunk->arena, to - from, sizeof(*items));
	size_t *which = amend_arena_array(&chunk->arena, to - from, sizeof(*which)), n = 0;
	enum amend_status status;

	if (!items || !which)
		return amend_no_memory(err);
	for (size_t i = from; i < to; i++) {
		struct amend_record *record = sync->todo[i];

		if (record->effect != AMEND_EFFECT_NONE || !record->action->write_base)
			continue;
		if (record->action->after.values)
			record->action->base.pk = record->action->after.pk;
		items[n] = (struct amend_base_bulk){
			record->seen, record->action->drop_base ? NULL : &record->action->base,
			false};
		which[n++] = i;
	}
	if (n == 0)
		return AMEND_OK;
	status = amend_bases_write(sync->db, sync->table, items, n, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (items[i].moved)
			status = amend_sync_base_moved(chunk, sync->todo[which[i]], err);
	}
	return status;
}

enum amend_status amend_segment_write(struct amend_chunk *chunk, size_t from, size_t to,
				      struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	enum amend_status status = write_rows(chunk, from, to, err);

	if (status == AMEND_OK && sync->todo[from]->action->remove)
		status = amend_sync_prove_deleted(chunk, from, to, err);
	if (status == AMEND_OK)
		status = write_bases(chunk, from, to, err);
	for (size_t i = from; i < to && status == AMEND_OK; i++) {
		struct amend_record *record = sync->todo[i];

		if (record->effect != AMEND_EFFECT_NONE)
			continue;
		status = amend_sync_write_conflict(chunk, record, err);
		if (record->effect == AMEND_EFFECT_NONE)
			record->effect = AMEND_EFFECT_DONE;
	}
	return status;
}

void amend_segment_skip_vain(struct amend_chunk *chunk, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		struct amend_record *record = chunk->sync->todo[i];

		if (record->effect == AMEND_EFFECT_NONE &&
		    amend_sync_waits_in_vain(chunk->sync, record))
			record->effect = AMEND_EFFECT_MOVED;
	}
}

void amend_segment_forget_later(struct amend_chunk *chunk, size_t from, size_t to)
{
	struct amend_sync *sync = chunk->sync;
	bool any = false;

	for (size_t i = from; i < to && !any; i++)
		any = sync->todo[i]->effect == AMEND_EFFECT_DONE &&
		      moves_others(sync, sync->todo[i]);
	for (size_t i = to; i < chunk->to && any; i++)
		sync->todo[i]->action->now.held = false;
}
