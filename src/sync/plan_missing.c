/*
 * Entries of a plan about rows that the input lacked: deleted, marked, or a base that goes.
 * Leaves the input's own records to plan_prove.c, writing to apply.c.
 *
 * A deletion is bound to every column of the row: all of it would be lost.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/plan.h"

/* Those of the list that have a base; the array is the caller's to free. */
static enum amend_status gather(struct amend_sync *sync, struct amend_record ***out,
				const char ***pks, size_t *n, struct amend_error *err)
{
	*out = calloc(sync->n_list + 1, sizeof(struct amend_record *));
	*pks = amend_arena_array(&sync->arena, sync->n_list, sizeof(**pks));
	*n = 0;
	if (!*out || !*pks)
		return amend_no_memory(err);
	for (size_t i = 0; i < sync->n_list; i++) {
		const struct amend_plan_entry *entry = sync->list[i]->entry;

		if (!entry->missing || !entry->has_base)
			continue;
		(*pks)[*n] = entry->base_pk;
		(*out)[(*n)++] = sync->list[i];
	}
	return AMEND_OK;
}

/* Under a base whose row was gone another may stand by now. */
static enum amend_status find_gone(struct amend_sync *sync, struct amend_record **records,
				   const char *const *pks, size_t n, struct amend_error *err)
{
	struct amend_row *rows = amend_arena_array(&sync->arena, n, sizeof(*rows));
	unsigned char *n_found = amend_arena_alloc(&sync->arena, n);
	enum amend_status status;

	if (!rows || !n_found)
		return amend_no_memory(err);
	status = amend_sync_rows_by_pk(sync, pks, n, &sync->arena, rows, n_found, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (n_found[i] && !records[i]->row)
			records[i]->row = &rows[i];
	}
	return status;
}

enum amend_status amend_plan_find_missing(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_record **records;
	struct amend_base *bases;
	const char **pks;
	size_t n;
	enum amend_status status = gather(sync, &records, &pks, &n, err);

	if (status != AMEND_OK || n == 0)
		goto out;
	bases = amend_arena_array(&sync->arena, n, sizeof(*bases));
	if (!bases) {
		status = amend_no_memory(err);
		goto out;
	}
	status = amend_base_find(sync->db, sync->source_name, sync->table, false, pks, n, bases,
				 &sync->arena, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		records[i]->seen = bases[i].pack ? &bases[i] : NULL;
	if (status == AMEND_OK)
		status = find_gone(sync, records, pks, n, err);
out:
	free(records);
	return status;
}

/* ---- what has become of it ---- */

static enum amend_plan_state judge_row(const struct amend_sync *sync,
				       const struct amend_record *record)
{
	const struct amend_plan_entry *entry = record->entry;
	const struct amend_value *now = record->row ? record->row->values : NULL;
	bool as_seen = true, done = entry->n_puts > 0;

	if (!entry->row.identity)
		return now ? AMEND_PLAN_ELSE : AMEND_PLAN_BOTH;
	if (!now)
		return entry->remove ? AMEND_PLAN_DONE : AMEND_PLAN_ELSE;
	for (uint32_t c = 0; c < sync->table->n_columns; c++) {
		const struct amend_put *put = entry->n_puts && entry->puts[0].column == c
						      ? entry->puts
						      : NULL;

		/* A column that was added since holds nothing yet, or something that would be lost. */
		if (!entry->row.known[c]) {
			as_seen = as_seen && !(entry->remove && now[c].kind != AMEND_NULL);
			continue;
		}
		as_seen = as_seen && amend_value_equal(&entry->row.values[c], &now[c]);
		done = done && amend_value_equal(put ? &put->value : &entry->row.values[c], &now[c]);
	}
	return amend_plan_judge(entry->remove || entry->n_puts, as_seen, done);
}

static enum amend_plan_state judge_base(const struct amend_record *record)
{
	const struct amend_plan_entry *entry = record->entry;
	const struct amend_base *seen = record->seen;
	bool named = seen && entry->has_base && strcmp(seen->first_key, entry->base_key) == 0;
	bool as_seen = named && memcmp(seen->digest, entry->base_digest, sizeof(seen->digest)) == 0;
	bool done = entry->drop_base ? !seen
				     : named && memcmp(seen->digest, entry->after_digest,
						       sizeof(seen->digest)) == 0;

	if (!entry->has_base)
		return AMEND_PLAN_BOTH;
	return amend_plan_judge(entry->write_base, as_seen, done);
}

/* ---- what is to be done ---- */

static enum amend_status make_mark(struct amend_sync *sync, const struct amend_record *record,
				   struct amend_action *action, struct amend_error *err)
{
	const struct amend_put *put = &record->entry->puts[0];
	struct amend_buffer pack = AMEND_BUFFER_INIT;
	struct amend_base *base = &action->base;

	amend_base_mark(&pack, record->seen, sync->table->columns[put->column].name, &put->value,
			&record->row->values[put->column]);
	*base = *record->seen;
	base->pack = pack.failed ? NULL : amend_arena_text_n(&sync->arena, pack.data, pack.size);
	base->pack_size = pack.size;
	amend_buffer_release(&pack);
	if (!base->pack)
		return amend_no_memory(err);
	amend_base_digest(base->pack, base->pack_size, base->digest);
	action->write_base = true;
	return AMEND_OK;
}

static enum amend_status make_action(struct amend_sync *sync, struct amend_record *record,
				     enum amend_plan_state row, enum amend_plan_state base,
				     enum amend_plan_state conflict, struct amend_error *err)
{
	const struct amend_plan_entry *entry = record->entry;
	struct amend_action *action = amend_sync_action(sync, record);
	enum amend_status status = AMEND_OK;
	void **slot;

	if (!action)
		return amend_no_memory(err);
	record->based = record->seen != NULL;
	if (row == AMEND_PLAN_AS_SEEN) {
		action->remove = entry->remove;
		action->puts = entry->puts;
		action->n_puts = entry->n_puts;
	}
	action->spared = entry->spared && base == AMEND_PLAN_AS_SEEN;
	if (base == AMEND_PLAN_AS_SEEN && entry->drop_base)
		action->write_base = action->drop_base = true;
	else if (base == AMEND_PLAN_AS_SEEN && entry->marks && row == AMEND_PLAN_AS_SEEN &&
		 record->seen && record->row)
		status = make_mark(sync, record, action, err);
	if (status == AMEND_OK)
		status = amend_plan_make_conflict(sync, record, conflict, action, err);
	if (status != AMEND_OK || !action->remove)
		return status;
	slot = amend_hash_put(&sync->leaving, record->row->pk, strlen(record->row->pk));
	if (!slot)
		return amend_no_memory(err);
	*slot = record;
	return AMEND_OK;
}

static const char *why_row(const struct amend_record *record)
{
	if (!record->entry->row.identity)
		return "there is a record in its place now";
	return record->row ? "the record has changed since" : "the record is gone";
}

static enum amend_status decide(struct amend_sync *sync, struct amend_record *record, bool spared,
				struct amend_error *err)
{
	const struct amend_plan_entry *entry = record->entry;
	enum amend_plan_state row = judge_row(sync, record), base = judge_base(record), conflict;
	enum amend_status status;

	if (sync->n_open > 0)
		record->open = amend_hash_get(&sync->open_by_key, record->key, strlen(record->key));
	status = amend_plan_judge_conflict(record, &conflict, err);
	if (status != AMEND_OK)
		return status;
	if (record->problem) {
		const char *note = amend_arena_printf(&sync->arena, "it cannot be %s: %s",
						      entry->remove ? "deleted" : "marked",
						      record->problem);

		return note ? amend_plan_leave(sync, record, note, err) : amend_no_memory(err);
	}
	if (row == AMEND_PLAN_ELSE)
		return amend_plan_leave(sync, record, why_row(record), err);
	if (base == AMEND_PLAN_ELSE || (row == AMEND_PLAN_AS_SEEN && base == AMEND_PLAN_DONE))
		return amend_plan_leave(sync, record,
					"another run has been here: what the source said is no "
					"longer what the plan saw",
					err);
	if (conflict == AMEND_PLAN_ELSE)
		return amend_plan_leave(sync, record, "its conflict was settled, or has changed",
					err);
	if (base == AMEND_PLAN_AS_SEEN && (entry->remove || entry->spared) && record->row &&
	    spared != entry->spared)
		return amend_plan_leave(sync, record,
					spared ? "another source has this record now"
					       : "no other source has this record any more",
					err);
	if (row != AMEND_PLAN_AS_SEEN && base != AMEND_PLAN_AS_SEEN &&
	    conflict != AMEND_PLAN_AS_SEEN)
		return AMEND_OK;
	return make_action(sync, record, row, base, conflict, err);
}

enum amend_status amend_plan_decide_missing(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_record **records;
	const char **pks;
	bool *spared;
	size_t n;
	enum amend_status status = gather(sync, &records, &pks, &n, err);

	amend_hash_release(&sync->leaving);
	sync->n_missing = n;
	spared = amend_arena_array(&sync->arena, n, sizeof(*spared));
	if (status == AMEND_OK && !spared)
		status = amend_no_memory(err);
	if (status == AMEND_OK && n > 0)
		status = amend_sync_spared(sync->db, sync->source_name, sync->table, pks, n,
					   &sync->arena, spared, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		status = decide(sync, records[i], spared[i], err);
	/* A conflict that ends, and nothing else. */
	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++) {
		if (sync->list[i]->entry->missing && !sync->list[i]->entry->has_base)
			status = decide(sync, sync->list[i], false, err);
	}
	free(records);
	return status;
}
