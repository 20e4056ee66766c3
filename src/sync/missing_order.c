/*
 * Deletions of missing rows: what must come before them, and what must still hold when they happen.
 * Leaves the rest of the order to order.c, other proofs to chunk.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/sync.h"

/* The row's values of these columns; false: NULL is among them, and refers to nothing. */
static bool pack_columns(const struct amend_row *row, const uint32_t *columns, size_t n,
			 struct amend_buffer *buffer)
{
	amend_buffer_reset(buffer);
	for (size_t i = 0; i < n; i++) {
		if (row->values[columns[i]].kind == AMEND_NULL)
			return false;
		amend_pack_add(buffer, "", &row->values[columns[i]]);
	}
	return true;
}

static bool turns_away(const struct amend_record *record, const struct amend_foreign_key *key)
{
	const struct amend_action *action = record->action;

	if (action->remove)
		return true;
	for (size_t i = 0; i < action->n_puts; i++) {
		for (size_t j = 0; j < key->n_columns; j++) {
			if (action->puts[i].column == key->columns[j])
				return true;
		}
	}
	return false;
}

/* What the deleted rows are referred to by. */
static enum amend_status gather_parents(struct amend_sync *sync, const uint32_t *references,
					size_t n, struct amend_hash *parents,
					struct amend_error *err)
{
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++) {
		struct amend_record *record = sync->list[i];
		const char *value;
		void **slot;

		if (!record->action || !record->action->remove ||
		    !pack_columns(record->row, references, n, &buffer))
			continue;
		value = buffer.failed ? NULL
				      : amend_arena_text_n(&sync->arena, buffer.data, buffer.size);
		slot = value ? amend_hash_put(parents, value, buffer.size) : NULL;
		if (slot)
			*slot = record;
		else
			status = amend_no_memory(err);
	}
	amend_buffer_release(&buffer);
	return status;
}

enum amend_status amend_sync_order_missing(struct amend_sync *sync,
					   const struct amend_foreign_key *key,
					   struct amend_error *err)
{
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	struct amend_hash parents = {0};
	uint32_t *references;
	enum amend_status status;

	if (sync->n_missing == 0)
		return AMEND_OK;
	references = amend_arena_array(&sync->arena, key->n_columns, sizeof(*references));
	if (!references)
		return amend_no_memory(err);
	if (!amend_sync_references(sync->table, key, references))
		return AMEND_OK;
	status = gather_parents(sync, references, key->n_columns, &parents, err);
	for (size_t i = 0; parents.n > 0 && i < sync->n_list && status == AMEND_OK; i++) {
		struct amend_record *record = sync->list[i], *parent;

		if (!record->row || !record->action || !turns_away(record, key) ||
		    !pack_columns(record->row, key->columns, key->n_columns, &buffer))
			continue;
		parent = buffer.failed ? NULL : amend_hash_get(&parents, buffer.data, buffer.size);
		if (buffer.failed)
			status = amend_no_memory(err);
		else if (parent && parent != record)
			status = amend_sync_edge(sync, record, parent, -1, err);
	}
	amend_hash_release(&parents);
	amend_buffer_release(&buffer);
	return status;
}

/* What it refers to from now on. */
static bool turns_to(const struct amend_record *record, const struct amend_foreign_key *key)
{
	return !record->action->remove && (record->action->create || turns_away(record, key));
}

static bool pack_after(const struct amend_sync *sync, const struct amend_record *record,
		       const struct amend_foreign_key *key, struct amend_buffer *buffer)
{
	amend_buffer_reset(buffer);
	for (size_t i = 0; i < key->n_columns; i++) {
		const struct amend_value *value = amend_sync_after(sync, record, key->columns[i]);

		if (!value || value->kind == AMEND_NULL)
			return false;
		amend_pack_add(buffer, "", value);
	}
	return true;
}

enum { CHILD, PARENT, TURNS_TO };

static enum amend_status note_leaving(struct amend_sync *sync, const struct amend_foreign_key *key,
				      struct amend_error *err)
{
	uint32_t *references = amend_arena_array(&sync->arena, key->n_columns, sizeof(*references));
	struct amend_buffer value = AMEND_BUFFER_INIT, thing = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	if (!references)
		return amend_no_memory(err);
	if (!amend_sync_references(sync->table, key, references))
		return AMEND_OK;
	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++) {
		const struct amend_record *record = sync->list[i];

		if (!record->action)
			continue;
		/* As a child, as a parent, and as who turns to another: what is deleted may be both. */
		for (int side = 0; side < 3 && status == AMEND_OK; side++) {
			if (side == PARENT ? !record->action->remove
					   : !(side == TURNS_TO ? turns_to(record, key)
								: turns_away(record, key)))
				continue;
			if (side != TURNS_TO && !record->row)
				continue;
			if (!(side == TURNS_TO
				      ? pack_after(sync, record, key, &value)
				      : pack_columns(record->row,
						     side == PARENT ? references : key->columns,
						     key->n_columns, &value)))
				continue;
			amend_buffer_reset(&thing);
			amend_buffer_printf(&thing, "leaving %p ", (const void *)key);
			amend_buffer_add(&thing, value.data, value.size);
			status = amend_slices_note_kin(sync, AMEND_KIN_LEAVING, record,
						       side == PARENT, &thing, err);
		}
	}
	amend_buffer_release(&value);
	amend_buffer_release(&thing);
	return status;
}

enum amend_status amend_sync_note_leaving(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->table->n_foreign_keys && status == AMEND_OK; i++) {
		if (amend_sync_key_refers_home(sync->table, &sync->table->foreign_keys[i]))
			status = note_leaving(sync, &sync->table->foreign_keys[i], err);
	}
	return status;
}

/* ---- other sources ---- */

enum amend_status amend_sync_spared(struct amend_conn *db, const char *source_name,
				    const struct amend_table *table, const char *const *pks,
				    size_t n, struct amend_arena *arena, bool *out,
				    struct amend_error *err)
{
	struct amend_base *bases = amend_arena_array(arena, n, sizeof(*bases));
	const char **sources = NULL;
	size_t n_sources = 0;
	enum amend_status status = bases ? amend_base_sources(db, table, arena, &sources,
							      &n_sources, err)
					 : amend_no_memory(err);

	memset(out, 0, n * sizeof(*out));
	for (size_t s = 0; s < n_sources && status == AMEND_OK; s++) {
		if (strcmp(sources[s], source_name) == 0)
			continue;
		status = amend_base_find(db, sources[s], table, false, pks, n, bases, arena, err);
		for (size_t i = 0; i < n && status == AMEND_OK; i++)
			out[i] = out[i] || bases[i].pack;
	}
	return status;
}

/* `*moved`: for some of them it is no longer as it was decided. */
static enum amend_status prove(struct amend_chunk *chunk, size_t from, size_t to, bool *moved,
			       struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	size_t room = to - from, n = 0;
	struct amend_record **records = amend_arena_array(&chunk->arena, room,
							  sizeof(struct amend_record *));
	const char **pks = amend_arena_array(&chunk->arena, room, sizeof(*pks));
	bool *spared = amend_arena_array(&chunk->arena, room, sizeof(*spared));
	enum amend_status status = AMEND_OK;

	*moved = false;
	if (!records || !pks || !spared)
		return amend_no_memory(err);
	for (size_t i = from; i < to; i++) {
		struct amend_record *record = sync->todo[i];

		if ((!record->action->remove && !record->action->spared) ||
		    record->effect != AMEND_EFFECT_NONE)
			continue;
		records[n] = record;
		pks[n++] = record->row->pk;
	}
	if (n > 0)
		status = amend_sync_spared(sync->db, sync->source_name, sync->table, pks, n,
					   &chunk->arena, spared, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (spared[i] == records[i]->action->spared)
			continue;
		records[i]->effect = AMEND_EFFECT_MOVED;
		*moved = true;
	}
	return status;
}

enum amend_status amend_sync_prove_missing(struct amend_chunk *chunk, struct amend_error *err)
{
	bool moved;

	return prove(chunk, chunk->from, chunk->to, &moved, err);
}

enum amend_status amend_sync_prove_deleted(struct amend_chunk *chunk, size_t from, size_t to,
					   struct amend_error *err)
{
	bool moved;
	enum amend_status status;

	if (!amend_has(chunk->sync->db, AMEND_HAS_ROW_LOCK))
		return AMEND_OK;
	status = prove(chunk, from, to, &moved, err);
	if (status != AMEND_OK || !moved)
		return status;
	chunk->again = true;
	return amend_error_set(err, AMEND_STALE,
			       "another source took up a record while it was deleted");
}

enum amend_status amend_sync_look_for_others(struct amend_chunk *chunk, struct amend_error *err)
{
	struct amend_sync *sync = chunk->sync;
	const char **sources = NULL;
	enum amend_status status;
	bool any = false;
	size_t n = 0;

	chunk->others = false;
	for (size_t i = chunk->from; i < chunk->to && !any; i++) {
		const struct amend_record *record = sync->todo[i];

		any = record->row && !record->seen && record->action->write_base;
	}
	if (!any || !amend_has(sync->db, AMEND_HAS_ROW_LOCK))
		return AMEND_OK;
	status = amend_base_sources(sync->db, sync->table, &chunk->arena, &sources, &n, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		chunk->others = chunk->others || strcmp(sources[i], sync->source_name) != 0;
	return status;
}
