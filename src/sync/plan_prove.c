/*
 * Phase 1 of a plan: looks at what each entry is about, and lets it be carried out, or
 * what of it is not done yet, or not at all. Writes nothing.
 * Leaves values that would stand twice to unique.c, the order to order.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/plan.h"

static void begin(struct amend_sync *sync)
{
	for (size_t i = 0; i < sync->n_list; i++) {
		struct amend_record *record = sync->list[i];
		const struct amend_plan_entry *entry = record->entry;

		*record = (struct amend_record){
			.entry = entry,
			.line = entry->missing ? -entry->number : entry->line,
			.values = entry->values,
			.problem = entry->missing ? record->problem : NULL,
			.key = entry->key,
			.first = entry->first,
			.found_by = AMEND_FOUND_NOT,
			.fate = entry->missing ? AMEND_FATE_MISSING : AMEND_FATE_OPEN,
			.clashed = record->clashed,
			.refusals = record->refusals,
		};
	}
}

/* ---- what is there ---- */

typedef const struct amend_plan_row *(*row_of_fn)(const struct amend_plan_entry *entry);

static const struct amend_plan_row *its_row(const struct amend_plan_entry *entry)
{
	return &entry->row;
}

static const struct amend_plan_row *its_other(const struct amend_plan_entry *entry)
{
	return &entry->other;
}

static enum amend_status take_row(struct amend_sync *sync, struct amend_record *record,
				  const struct amend_row *row, row_of_fn row_of,
				  struct amend_error *err)
{
	void **slot;

	if (row_of == its_other) {
		record->other = row;
		return AMEND_OK;
	}
	record->row = row;
	slot = amend_hash_put(&sync->claims, row->pk, strlen(row->pk));
	if (!slot)
		return amend_no_memory(err);
	if (!*slot)
		*slot = record;
	return AMEND_OK;
}

static enum amend_status find_by_rowid(struct amend_sync *sync, struct amend_record *record,
				       row_of_fn row_of, struct amend_error *err)
{
	const struct amend_row named = {.rowid = row_of(record->entry)->identity[0]};
	struct amend_row *row = amend_arena_alloc(&sync->arena, sizeof(*row));
	enum amend_status status;
	bool found;

	if (!row)
		return amend_no_memory(err);
	status = amend_row_again(sync->db, sync->table, &named, NULL, &sync->arena, row, &found,
				 err);
	return status == AMEND_OK && found ? take_row(sync, record, row, row_of, err) : status;
}

static enum amend_status find_batch(struct amend_sync *sync, struct amend_record **batch, size_t n,
				    row_of_fn row_of, struct amend_error *err)
{
	const struct amend_table *table = sync->table;
	size_t width = table->n_identity;
	struct amend_value *values = calloc(n * width + 1, sizeof(*values));
	struct amend_row *rows = amend_arena_array(&sync->arena, n, sizeof(*rows));
	unsigned char *n_found = calloc(n + 1, 1);
	enum amend_status status = AMEND_OK;

	if (!values || !rows || !n_found) {
		status = amend_no_memory(err);
		goto out;
	}
	for (size_t i = 0; i < n; i++)
		memcpy(values + i * width, row_of(batch[i]->entry)->identity,
		       width * sizeof(*values));
	status = amend_row_find_many(sync->db, table, table->identity, width, values, n, NULL,
				     &sync->arena, rows, n_found, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (n_found[i] == 1)
			status = take_row(sync, batch[i], &rows[i], row_of, err);
	}
out:
	free(values);
	free(n_found);
	return status;
}

/* The rows that entries name by their primary keys. */
static enum amend_status find_rows(struct amend_sync *sync, row_of_fn row_of,
				   struct amend_error *err)
{
	struct amend_record **batch = calloc(AMEND_SYNC_BATCH, sizeof(struct amend_record *));
	enum amend_status status = AMEND_OK;
	size_t n = 0;

	if (!batch)
		return amend_no_memory(err);
	for (size_t i = 0; i <= sync->n_list && status == AMEND_OK; i++) {
		struct amend_record *record = i < sync->n_list ? sync->list[i] : NULL;

		if (n > 0 && (!record || n == AMEND_SYNC_BATCH)) {
			status = find_batch(sync, batch, n, row_of, err);
			n = 0;
			amend_sync_progress(sync, "match", i, sync->n_list);
		}
		if (!record || status != AMEND_OK || !row_of(record->entry)->identity)
			continue;
		if (sync->table->n_identity)
			batch[n++] = record;
		else
			status = find_by_rowid(sync, record, row_of, err);
	}
	free(batch);
	return status;
}

static enum amend_status miss_batch(struct amend_sync *sync, uint32_t k,
				    struct amend_record **batch, size_t n, struct amend_error *err)
{
	const struct amend_sync_key *key = &sync->keys[k];
	struct amend_value *values = calloc(n * key->n, sizeof(*values));
	struct amend_row *rows = amend_arena_array(&sync->arena, n, sizeof(*rows));
	unsigned char *n_found = calloc(n, 1);
	enum amend_status status = AMEND_OK;

	if (!values || !rows || !n_found) {
		status = amend_no_memory(err);
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		for (uint32_t j = 0; j < key->n; j++)
			values[i * key->n + j] = batch[i]->values[key->used[j]];
	}
	status = amend_row_find_many(sync->db, sync->table, key->columns, key->n, values, n, NULL,
				     &sync->arena, rows, n_found, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (!n_found[i])
			batch[i]->missed |= (uint32_t)1 << k;
		else if (!batch[i]->row && batch[i]->entry->create)
			status = take_row(sync, batch[i], &rows[i], its_row, err);
	}
out:
	free(values);
	free(n_found);
	return status;
}

/* The keys that found nothing: whether they still do. What stands in a creation's place is its row. */
static enum amend_status miss_rows(struct amend_sync *sync, uint32_t k, struct amend_error *err)
{
	struct amend_record **batch = calloc(AMEND_SYNC_BATCH, sizeof(struct amend_record *));
	enum amend_status status = AMEND_OK;
	size_t n = 0;

	if (!batch)
		return amend_no_memory(err);
	for (size_t i = 0; i <= sync->n_list && status == AMEND_OK; i++) {
		struct amend_record *record = i < sync->n_list ? sync->list[i] : NULL;

		if (n > 0 && (!record || n == AMEND_SYNC_BATCH)) {
			status = miss_batch(sync, k, batch, n, err);
			n = 0;
		}
		if (record && (record->entry->missed & (uint32_t)1 << k))
			batch[n++] = record;
	}
	free(batch);
	return status;
}

/* Under the row where there is one, else under the first key. */
static enum amend_status find_bases(struct amend_sync *sync, bool by_first_key,
				    struct amend_error *err)
{
	struct amend_record **records = calloc(sync->n_list + 1, sizeof(struct amend_record *));
	const char **keys = calloc(sync->n_list + 1, sizeof(*keys));
	struct amend_base *bases = NULL;
	enum amend_status status = AMEND_OK;
	size_t n = 0;

	if (!records || !keys) {
		status = amend_no_memory(err);
		goto out;
	}
	for (size_t i = 0; i < sync->n_list; i++) {
		struct amend_record *record = sync->list[i];
		const struct amend_plan_entry *entry = record->entry;

		if (entry->missing || (record->row == NULL) != by_first_key)
			continue;
		records[n] = record;
		keys[n++] = !by_first_key     ? record->row->pk
			    : entry->has_base ? entry->base_key
					      : record->key;
	}
	bases = amend_arena_array(&sync->arena, n, sizeof(*bases));
	if (!bases)
		status = amend_no_memory(err);
	else if (n > 0)
		status = amend_base_find(sync->db, sync->source_name, sync->table, by_first_key,
					 keys, n, bases, &sync->arena, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		records[i]->seen = bases[i].pack ? &bases[i] : NULL;
out:
	free(records);
	free(keys);
	return status;
}

/* ---- what has become of it ---- */

enum amend_plan_state amend_plan_judge(bool changes, bool as_seen, bool done)
{
	if (!changes)
		return as_seen ? AMEND_PLAN_BOTH : AMEND_PLAN_ELSE;
	return as_seen ? AMEND_PLAN_AS_SEEN : done ? AMEND_PLAN_DONE : AMEND_PLAN_ELSE;
}

static const struct amend_put *put_of(const struct amend_plan_entry *entry, uint32_t column)
{
	for (size_t i = 0; i < entry->n_puts; i++) {
		if (entry->puts[i].column == column)
			return &entry->puts[i];
	}
	return NULL;
}

static bool missed_still(const struct amend_record *record, const struct amend_plan_entry *entry)
{
	return record->missed == entry->missed;
}

static enum amend_plan_state judge_row(const struct amend_sync *sync,
				       const struct amend_record *record)
{
	const struct amend_plan_entry *entry = record->entry;
	const struct amend_value *now = record->row ? record->row->values : NULL;
	bool as_seen = true, done = true;

	if (entry->create) {
		for (size_t i = 0; now && i < entry->n_puts && done; i++)
			done = amend_value_equal(&entry->puts[i].value, &now[entry->puts[i].column]);
		return amend_plan_judge(true, !now && missed_still(record, entry), now && done);
	}
	if (!entry->row.identity)
		return amend_plan_judge(false, missed_still(record, entry), false);
	if (!now)
		return AMEND_PLAN_ELSE;
	for (uint32_t c = 0; c < sync->table->n_columns; c++) {
		const struct amend_put *put = put_of(entry, c);

		if (!entry->row.known[c])
			continue;
		as_seen = as_seen && amend_value_equal(&entry->row.values[c], &now[c]);
		done = done && amend_value_equal(put ? &put->value : &entry->row.values[c], &now[c]);
	}
	/* A key that was learned is found by it now: that is what was to be done. */
	return amend_plan_judge(entry->n_puts > 0, as_seen && missed_still(record, entry), done);
}

static bool other_as_seen(const struct amend_sync *sync, const struct amend_record *record)
{
	const struct amend_plan_row *other = &record->entry->other;

	if (!other->identity)
		return true;
	for (uint32_t c = 0; record->other && c < sync->table->n_columns; c++) {
		if (other->known[c] &&
		    !amend_value_equal(&other->values[c], &record->other->values[c]))
			return false;
	}
	return record->other != NULL;
}

static enum amend_plan_state judge_base(const struct amend_record *record,
					const struct amend_plan_entry *entry)
{
	const struct amend_base *seen = record->seen;
	bool as_seen = entry->has_base ? seen && strcmp(seen->pk, entry->base_pk) == 0 &&
						 strcmp(seen->first_key, entry->base_key) == 0 &&
						 memcmp(seen->digest, entry->base_digest,
							sizeof(seen->digest)) == 0
				       : !seen;
	bool done = entry->write_base && seen && strcmp(seen->first_key, record->key) == 0 &&
		    memcmp(seen->digest, entry->after_digest, sizeof(seen->digest)) == 0;

	/* The digest may be the same where only the first key or the row moves. */
	if (done && as_seen)
		return AMEND_PLAN_BOTH;
	return amend_plan_judge(entry->write_base, as_seen, done);
}

static enum amend_status open_is(const struct amend_conflict_row *open,
				 const unsigned char digest[AMEND_DIGEST_SIZE], bool *same,
				 struct amend_error *err)
{
	unsigned char is[AMEND_DIGEST_SIZE];
	enum amend_status status = amend_plan_conflict_digest(open->kind, open->pk, open->first_key,
							      open->note, open->fields,
							      open->n_fields, is, err);

	*same = status == AMEND_OK && memcmp(is, digest, sizeof(is)) == 0;
	return status;
}

static const char *conflict_pk(const struct amend_record *record)
{
	return record->row ? record->row->pk : record->other ? record->other->pk : NULL;
}

enum amend_status amend_plan_judge_conflict(const struct amend_record *record,
					    enum amend_plan_state *state, struct amend_error *err)
{
	const struct amend_plan_entry *entry = record->entry;
	const struct amend_conflict_row *open = record->open;
	const struct amend_conflict_spec *spec = entry->conflict;
	bool as_seen = !open && !entry->has_open, done = !open && entry->end && !entry->store;
	enum amend_status status = AMEND_OK;

	if (open && entry->has_open)
		status = open_is(open, entry->open_digest, &as_seen, err);
	if (status == AMEND_OK && open && entry->store) {
		unsigned char digest[AMEND_DIGEST_SIZE];

		status = amend_plan_conflict_digest(spec->kind, conflict_pk(record),
						    spec->first_key, spec->note, spec->fields,
						    spec->n_fields, digest, err);
		if (status == AMEND_OK)
			status = open_is(open, digest, &done, err);
	}
	*state = amend_plan_judge(entry->store || entry->end, as_seen, done);
	return status;
}

/* ---- stale ---- */

static const struct amend_value *now_of(const struct amend_record *record, uint32_t column)
{
	return record->row ? &record->row->values[column] : NULL;
}

enum amend_status amend_plan_leave(struct amend_sync *sync, struct amend_record *record,
				   const char *note, struct amend_error *err)
{
	const struct amend_plan_entry *entry = record->entry;
	struct amend_stale *stale = amend_arena_alloc(&sync->arena, sizeof(*stale));
	size_t n = sync->table->n_columns;
	void **slot = record->row ? amend_hash_put(&sync->claims, record->row->pk,
						   strlen(record->row->pk))
				  : NULL;

	if (!stale)
		return amend_no_memory(err);
	stale->note = note;
	stale->fields = amend_arena_array(&sync->arena, n, sizeof(*stale->fields));
	if (!stale->fields)
		return amend_no_memory(err);
	for (uint32_t c = 0; c < n; c++) {
		const struct amend_value *now = now_of(record, c);
		const struct amend_put *put = put_of(entry, c);
		const bool known = entry->row.known && entry->row.known[c];
		struct amend_conflict_field field = {.column = sync->table->columns[c].name};

		/* What a creation meets, or what a row has become; a row that is gone is said in words. */
		if (!now || (!known && !put))
			continue;
		field.has_base = known;
		field.base = known ? entry->row.values[c] : amend_null();
		field.current = *now;
		field.incoming = put ? put->value : entry->remove ? amend_null() : field.base;
		if (!amend_value_equal(known ? &field.base : &field.incoming, now))
			stale->fields[stale->n_fields++] = field;
	}
	if (slot && *slot == record)
		*slot = NULL;
	record->stale = stale;
	record->fate = AMEND_FATE_STALE;
	record->action = NULL;
	return AMEND_OK;
}

static const char *why_row(const struct amend_record *record)
{
	const struct amend_plan_entry *entry = record->entry;

	if (entry->create)
		return "there is a record of this key now";
	if (entry->row.identity && !record->row)
		return "the record is gone";
	if (entry->missed != record->missed)
		return "another record has a key of it now";
	return "the record has changed since";
}

/* ---- what is to be done ---- */

static enum amend_status make_base(struct amend_sync *sync, const struct amend_record *record,
				   const struct amend_plan_entry *entry,
				   struct amend_action *action, struct amend_error *err)
{
	struct amend_buffer pack = AMEND_BUFFER_INIT;
	struct amend_base *base = &action->base;

	amend_base_merge(&pack, sync->table, entry->base_over ? record->seen : NULL,
			 entry->base_values, entry->tied);
	base->source = sync->source_name;
	base->pk = record->row ? record->row->pk : NULL;
	base->first_key = record->key;
	base->pack = pack.failed ? NULL
				 : amend_arena_text_n(&sync->arena, pack.size ? pack.data : "",
						      pack.size);
	base->pack_size = pack.size;
	amend_buffer_release(&pack);
	if (!base->pack)
		return amend_no_memory(err);
	amend_base_digest(base->pack, base->pack_size, base->digest);
	action->write_base = true;
	return AMEND_OK;
}

enum amend_status amend_plan_make_conflict(struct amend_sync *sync,
					   const struct amend_record *record,
					   enum amend_plan_state state, struct amend_action *action,
					   struct amend_error *err)
{
	const struct amend_plan_entry *entry = record->entry;
	bool as_seen = state == AMEND_PLAN_AS_SEEN;
	struct amend_conflict_spec *spec;

	action->store = entry->store && as_seen;
	action->is_new = entry->is_new && as_seen;
	action->end = as_seen ? entry->end : NULL;
	action->how = entry->how;
	if (!entry->conflict)
		return AMEND_OK;
	spec = amend_arena_alloc(&sync->arena, sizeof(*spec));
	if (!spec)
		return amend_no_memory(err);
	*spec = *entry->conflict;
	spec->pk = conflict_pk(record);
	action->conflict = spec;
	return AMEND_OK;
}

/* What of the entry is not there yet. */
static enum amend_status make_action(struct amend_sync *sync, struct amend_record *record,
				     enum amend_plan_state row, enum amend_plan_state base,
				     enum amend_plan_state conflict, struct amend_error *err)
{
	const struct amend_plan_entry *entry = record->entry;
	struct amend_action *action = amend_sync_action(sync, record);
	enum amend_status status = AMEND_OK;

	if (!action)
		return amend_no_memory(err);
	record->fate = (uint8_t)entry->fate;
	record->based = record->seen != NULL;
	if (row == AMEND_PLAN_AS_SEEN) {
		action->create = entry->create;
		action->puts = entry->puts;
		action->n_puts = entry->n_puts;
	} else if (row == AMEND_PLAN_DONE && entry->fate != AMEND_FATE_CONFLICT) {
		record->fate = AMEND_FATE_UNCHANGED;
	}
	if (base == AMEND_PLAN_AS_SEEN)
		status = make_base(sync, record, entry, action, err);
	action->settled = entry->settled;
	return status == AMEND_OK ? amend_plan_make_conflict(sync, record, conflict, action, err)
				  : status;
}

static enum amend_status decide(struct amend_sync *sync, struct amend_record *record,
				struct amend_error *err)
{
	const struct amend_plan_entry *entry = record->entry;
	enum amend_plan_state row = judge_row(sync, record), base = judge_base(record, entry),
			      conflict;
	enum amend_status status = amend_plan_judge_conflict(record, &conflict, err);

	if (status != AMEND_OK)
		return status;
	if (row == AMEND_PLAN_ELSE || !other_as_seen(sync, record))
		return amend_plan_leave(sync, record, why_row(record), err);
	/* A row as it was under a base that has moved was put back by somebody: an edit, which stays. */
	if (base == AMEND_PLAN_ELSE || (row == AMEND_PLAN_AS_SEEN && base == AMEND_PLAN_DONE))
		return amend_plan_leave(sync, record,
					"another run has been here: what the source said is no "
					"longer what the plan saw",
					err);
	if (conflict == AMEND_PLAN_ELSE)
		return amend_plan_leave(sync, record, "its conflict was settled, or has changed",
					err);
	if (row != AMEND_PLAN_AS_SEEN && base != AMEND_PLAN_AS_SEEN &&
	    conflict != AMEND_PLAN_AS_SEEN) {
		record->fate = AMEND_FATE_UNCHANGED;
		return AMEND_OK;
	}
	return make_action(sync, record, row, base, conflict, err);
}

/* The plan holds no such conflict: somebody has taken the value since. */
static enum amend_status leave_clashes(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++) {
		struct amend_record *record = sync->list[i];

		if (record->action && record->action->conflict &&
		    record->action->conflict->kind == AMEND_CONFLICT_UNIQUE &&
		    (!record->entry->conflict ||
		     record->entry->conflict->kind != AMEND_CONFLICT_UNIQUE))
			status = amend_plan_leave(sync, record, record->action->conflict->note, err);
	}
	return status;
}

enum amend_status amend_plan_prove(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status;

	begin(sync);
	status = amend_sync_open_conflicts(sync, err);
	if (status == AMEND_OK)
		status = find_rows(sync, its_row, err);
	if (status == AMEND_OK)
		status = find_rows(sync, its_other, err);
	for (uint32_t k = 0; k < sync->n_keys && status == AMEND_OK; k++)
		status = miss_rows(sync, k, err);
	if (status == AMEND_OK)
		status = find_bases(sync, false, err);
	if (status == AMEND_OK)
		status = find_bases(sync, true, err);
	if (status == AMEND_OK)
		status = amend_plan_find_missing(sync, err);
	if (status != AMEND_OK)
		return status;
	status = amend_sync_find_open(sync, err);
	if (status != AMEND_OK)
		return status;
	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++) {
		if (!sync->list[i]->entry->missing)
			status = decide(sync, sync->list[i], err);
	}
	if (status == AMEND_OK)
		status = amend_plan_decide_missing(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_unique(sync, err);
	if (status == AMEND_OK)
		status = leave_clashes(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_order(sync, err);
	return status;
}
