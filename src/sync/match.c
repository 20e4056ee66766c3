/*
 * Finds the row that each record is about: keys in order, over the whole input.
 * Leaves what follows from it to decide.c.
 *
 * A row found by one key is claimed before the next key is tried. Between the
 * first key and the later ones comes the base: a person may have tied it to a row
 * whose first key differs.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/sync.h"

static enum amend_status claim(struct amend_sync *sync, struct amend_record *record,
			       const struct amend_row *row, int found_by, struct amend_error *err)
{
	void **slot = amend_hash_put(&sync->claims, row->pk, strlen(row->pk));

	if (!slot)
		return amend_no_memory(err);
	*slot = record;
	record->row = row;
	record->found_by = (int8_t)found_by;
	return AMEND_OK;
}

/* Another record is about this row already. */
static void meet(struct amend_sync *sync, struct amend_record *record, struct amend_record *other,
		 const struct amend_row *row, int key)
{
	if (other->found_by != key) {
		/* Claimed by an earlier key: this one does not find it. */
		record->rival = other;
		return;
	}
	if (record->first == key && other->first == key) {
		/* By the database's rule they have the same first key. */
		amend_sync_duplicate(other, record);
		return;
	}
	if (other->told) {
		record->rival = other;
		return;
	}
	record->row = row;
	record->found_by = (int8_t)key;
	record->shared = other->shared = true;
	record->rival = other;
	other->rival = record;
	(void)sync;
}

static enum amend_status take_found(struct amend_sync *sync, struct amend_record *record, int key,
				    const struct amend_row *row, unsigned n_found,
				    struct amend_error *err)
{
	struct amend_record *other;
	enum amend_status status;
	int64_t settled;
	bool claimed = false;

	if (n_found == 0) {
		record->missed |= (uint32_t)1 << key;
		return AMEND_OK;
	}
	if (n_found > 1)
		return record->fate == AMEND_FATE_REJECTED
			       ? AMEND_OK
			       : amend_sync_reject(sync, record, err,
						   "the key %s finds several records",
						   sync->keys[key].name);
	other = amend_hash_get(&sync->claims, row->pk, strlen(row->pk));
	settled = other ? -1 : amend_sieve_claims(sync, row);
	if (!other && key > 0 && sync->slices) {
		status = amend_slices_claims(sync, row, &claimed, err);
		if (status != AMEND_OK)
			return status;
	}
	/* Claimed by the first key: a later one does not find it. */
	if (claimed || (settled >= 0 && key > 0))
		return AMEND_OK;
	if (settled >= 0) {
		/* By the database's rule it has the same key: both are decided together. */
		amend_sieve_pull(sync->sieve, settled);
		status = amend_sync_recall(sync, (uint64_t)settled, &other, err);
		if (status == AMEND_OK)
			status = claim(sync, other, row, key, err);
		if (status != AMEND_OK)
			return status;
	}
	if (!other)
		return claim(sync, record, row, key, err);
	if (other != record)
		meet(sync, record, other, row, key);
	return AMEND_OK;
}

static bool blank(const struct amend_sync_key *key, const struct amend_record *record)
{
	for (uint32_t i = 0; i < key->n; i++) {
		if (amend_value_blank(&record->values[key->used[i]]))
			return true;
	}
	return false;
}

/*
 * Also one rejected for its duplicates claims the row of its first key: which of them is right is
 * not known, but that the row is this record's is.
 */
static bool looks_up(const struct amend_sync *sync, const struct amend_record *record, int key)
{
	if (record->row)
		return false;
	if (record->fate == AMEND_FATE_REJECTED)
		return key == 0 && record->first == 0 && record->key && !record->leader &&
		       !record->told;
	return record->fate == AMEND_FATE_OPEN && !blank(&sync->keys[key], record);
}

static bool has_key(const struct amend_sync_key *key, const struct amend_record *record,
		    const struct amend_row *row)
{
	for (uint32_t i = 0; i < key->n; i++) {
		if (!amend_value_equal(&row->values[key->columns[i]], &record->values[key->used[i]]))
			return false;
	}
	return true;
}

/*
 * Where the sieve has seen their rows, these are read by their names: side by side, for records come in the order of
 * rows, while looking up their keys goes all over an index. A row that has the very key is the one that its unique key
 * would find; without it the key is looked up.
 */
static enum amend_status find_placed(struct amend_sync *sync, struct amend_error *err)
{
	const struct amend_sync_key *key = &sync->keys[0];
	struct amend_record **placed = calloc(sync->n_list + 1, sizeof(struct amend_record *));
	struct amend_value *names = calloc(sync->n_list + 1, sizeof(*names));
	struct amend_row *rows = NULL;
	unsigned char *n_found = NULL;
	enum amend_status status = AMEND_OK;
	size_t n = 0;

	for (size_t i = 0; placed && names && i < sync->n_list; i++) {
		if (!sync->list[i]->placed || !looks_up(sync, sync->list[i], 0))
			continue;
		names[n] = amend_integer(sync->list[i]->place);
		placed[n++] = sync->list[i];
	}
	rows = amend_arena_array(&sync->arena, n, sizeof(*rows));
	n_found = calloc(n + 1, 1);
	if (!placed || !names || !rows || !n_found)
		status = amend_no_memory(err);
	else if (n > 0)
		status = amend_row_find_many(sync->db, sync->table, sync->table->identity, 1, names,
					     n, NULL, &sync->arena, rows, n_found, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (n_found[i] == 1 && has_key(key, placed[i], &rows[i]))
			status = take_found(sync, placed[i], 0, &rows[i], 1, err);
	}
	free(placed);
	free(names);
	free(n_found);
	return status;
}

/* Looks up n records by one key. */
static enum amend_status find_batch(struct amend_sync *sync, int key, struct amend_record **batch,
				    size_t n, struct amend_error *err)
{
	const struct amend_sync_key *k = &sync->keys[key];
	struct amend_value *values = calloc(n * k->n, sizeof(*values));
	struct amend_row *rows = amend_arena_array(&sync->arena, n, sizeof(*rows));
	unsigned char *n_found = calloc(n, 1);
	enum amend_status status = AMEND_OK;

	if (!values || !rows || !n_found) {
		status = amend_no_memory(err);
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		for (uint32_t j = 0; j < k->n; j++)
			values[i * k->n + j] = batch[i]->values[k->used[j]];
	}
	status = amend_row_find_many(sync->db, sync->table, k->columns, k->n, values, n, NULL,
				     &sync->arena, rows, n_found, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		status = take_found(sync, batch[i], key, &rows[i], n_found[i], err);
out:
	free(values);
	free(n_found);
	return status;
}

static enum amend_status find_by_key(struct amend_sync *sync, int key, struct amend_error *err)
{
	struct amend_record **batch = calloc(AMEND_SYNC_BATCH, sizeof(struct amend_record *));
	enum amend_status status = AMEND_OK;
	size_t n = 0;

	if (!batch)
		return amend_no_memory(err);
	for (size_t i = 0; i <= sync->n_list && status == AMEND_OK; i++) {
		struct amend_record *record = i < sync->n_list ? sync->list[i] : NULL;

		if (n > 0 && (!record || n == AMEND_SYNC_BATCH)) {
			status = find_batch(sync, key, batch, n, err);
			n = 0;
			amend_sync_progress(sync, "match", i, sync->n_list);
		}
		if (record && looks_up(sync, record, key))
			batch[n++] = record;
	}
	free(batch);
	return status;
}

/* ---- bases ---- */

struct lookup {
	struct amend_record **records;
	const char **keys;
	struct amend_base *bases;
	size_t n, room;
};

static void release_lookup(struct lookup *lookup)
{
	free(lookup->records);
	free(lookup->keys);
	*lookup = (struct lookup){0};
}

static bool add_lookup(struct lookup *lookup, struct amend_record *record, const char *key)
{
	if (lookup->n == lookup->room) {
		size_t room = lookup->room ? lookup->room * 2 : 1024;
		struct amend_record **records = realloc(lookup->records,
							room * sizeof(struct amend_record *));
		const char **keys;

		if (!records)
			return false;
		lookup->records = records;
		keys = realloc(lookup->keys, room * sizeof(*keys));
		if (!keys)
			return false;
		lookup->keys = keys;
		lookup->room = room;
	}
	lookup->records[lookup->n] = record;
	lookup->keys[lookup->n++] = key;
	return true;
}

static enum amend_status run_lookup(struct amend_sync *sync, struct lookup *lookup,
				    bool by_first_key, struct amend_error *err)
{
	lookup->bases = amend_arena_array(&sync->arena, lookup->n, sizeof(*lookup->bases));
	if (!lookup->bases)
		return amend_no_memory(err);
	return amend_base_find(sync->db, sync->source_name, sync->table, by_first_key, lookup->keys,
			       lookup->n, lookup->bases, &sync->arena, err);
}

/* The bases that lie under the rows found. */
static enum amend_status bases_of_rows(struct amend_sync *sync, struct amend_error *err)
{
	struct lookup lookup = {0};
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_list && status == AMEND_OK && !sync->baseless; i++) {
		struct amend_record *record = sync->list[i];

		if (record->fate == AMEND_FATE_OPEN && record->row && !record->seen &&
		    !add_lookup(&lookup, record, record->row->pk))
			status = amend_no_memory(err);
	}
	if (status == AMEND_OK && lookup.n > 0)
		status = run_lookup(sync, &lookup, false, err);
	for (size_t i = 0; i < lookup.n && status == AMEND_OK; i++) {
		struct amend_record *record = lookup.records[i];

		if (!lookup.bases[i].pack)
			continue;
		record->seen = &lookup.bases[i];
		status = amend_sync_base_agrees(sync, record->seen, record, record->row->values,
						&record->based, err);
	}
	release_lookup(&lookup);
	return status;
}

/* Rows that bases without a found row lie under: read by identity, one after the other's batch. */
static enum amend_status rows_of_bases(struct amend_sync *sync, struct amend_record **records,
				       size_t n, struct amend_row *rows, unsigned char *n_found,
				       struct amend_error *err)
{
	const struct amend_table *table = sync->table;
	size_t n_identity = table->n_identity;
	bool typed = amend_has(sync->db, AMEND_HAS_TYPED_STORAGE);
	struct amend_value *values = calloc(n * (n_identity + 1), sizeof(*values));
	size_t *which = calloc(n + 1, sizeof(*which)), wanted = 0;
	struct amend_row *found = amend_arena_array(&sync->arena, n, sizeof(*found));
	unsigned char *counts = calloc(n + 1, 1);
	enum amend_status status = AMEND_OK;

	if (!values || !which || !found || !counts) {
		status = amend_no_memory(err);
		goto out;
	}
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		struct amend_field *fields;
		size_t n_fields, given = 0;

		n_found[i] = 0;
		if (records[i]->seen->pk[0] != '{')
			continue;
		status = amend_pk_parse(records[i]->seen->pk, typed, &sync->arena, &fields,
					&n_fields, err);
		if (status == AMEND_OK && n_identity == 0 && n_fields == 1) {
			struct amend_row by_rowid = {.rowid = fields[0].value};
			bool there;

			status = amend_row_again(sync->db, table, &by_rowid, NULL, &sync->arena,
						 &rows[i], &there, err);
			n_found[i] = there;
			continue;
		}
		for (size_t j = 0; j < n_identity && status == AMEND_OK; j++) {
			for (size_t f = 0; f < n_fields; f++) {
				if (amend_table_column(table, fields[f].column) !=
				    (int)table->identity[j])
					continue;
				values[wanted * n_identity + j] = fields[f].value;
				given++;
			}
		}
		if (given == n_identity)
			which[wanted++] = i;
	}
	if (status == AMEND_OK && wanted > 0)
		status = amend_row_find_many(sync->db, table, table->identity, n_identity, values,
					     wanted, NULL, &sync->arena, found, counts, err);
	for (size_t i = 0; i < wanted && status == AMEND_OK; i++) {
		n_found[which[i]] = counts[i];
		rows[which[i]] = found[i];
	}
out:
	free(values);
	free(which);
	free(counts);
	return status;
}

static bool has_first_key(const struct amend_sync *sync, const struct amend_record *record,
			  const struct amend_row *row)
{
	const struct amend_sync_key *key = &sync->keys[record->first];

	for (uint32_t i = 0; i < key->n; i++) {
		if (!amend_sync_same_key(&sync->table->columns[key->columns[i]],
					 &row->values[key->columns[i]],
					 &record->values[key->used[i]]))
			return false;
	}
	return true;
}

/*
 * The row under the base stands. With the record's own first key it was created
 * since rows were looked up; with another it is tied to the record by a person, or not.
 */
static enum amend_status take_other(struct amend_sync *sync, struct amend_record *record,
				    const struct amend_row *row, struct amend_buffer *buffer,
				    struct amend_error *err)
{
	const struct amend_record *holder = amend_hash_get(&sync->claims, row->pk, strlen(row->pk));
	struct amend_value tied;

	/* A row claimed by an earlier key is not found by this one. */
	if ((!holder || holder->found_by == record->first) && has_first_key(sync, record, row)) {
		record->missed &= ~((uint32_t)1 << record->first);
		return take_found(sync, record, record->first, row, 1, err);
	}
	/* Where the row's key is blank the tie is to "". */
	if (!amend_sync_key_text(buffer, sync, (uint32_t)record->first, NULL, row->values))
		amend_buffer_reset(buffer);
	if (amend_pack_find(record->seen->pack, record->seen->pack_size, AMEND_BASE_TIED, &tied) &&
	    tied.kind == AMEND_TEXT && buffer->size == tied.size &&
	    (tied.size == 0 || memcmp(buffer->data, tied.as.text, tied.size) == 0) && !holder) {
		record->based = true;
		return claim(sync, record, row, AMEND_FOUND_TIED, err);
	}
	record->other = row;
	return AMEND_OK;
}

/* Records that their first key did not find: their bases by key, and the rows under those. */
static enum amend_status bases_of_keys(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	struct lookup lookup = {0};
	struct amend_row *rows = NULL;
	unsigned char *n_found = NULL;
	enum amend_status status = AMEND_OK;
	size_t n = 0;

	for (size_t i = 0; i < sync->n_list && status == AMEND_OK && !sync->baseless; i++) {
		struct amend_record *record = sync->list[i];

		if (record->fate != AMEND_FATE_OPEN || record->row)
			continue;
		for (uint32_t k = (uint32_t)record->first; k < sync->n_keys; k++) {
			const char *key = record->key;

			if (k != (uint32_t)record->first) {
				if (!amend_sync_key_text(&buffer, sync, k, record, NULL))
					continue;
				key = amend_arena_text_n(&sync->arena, buffer.data, buffer.size);
			}
			if (!key || !add_lookup(&lookup, record, key))
				status = amend_no_memory(err);
		}
	}
	if (status == AMEND_OK && lookup.n > 0)
		status = run_lookup(sync, &lookup, true, err);
	for (size_t i = 0; i < lookup.n && status == AMEND_OK; i++) {
		struct amend_record *record = lookup.records[i];

		if (!lookup.bases[i].pack || record->seen)
			continue;
		record->seen = &lookup.bases[i];
		record->based = true;
		lookup.records[n++] = record;
	}
	if (status == AMEND_OK && n > 0) {
		rows = amend_arena_array(&sync->arena, n, sizeof(*rows));
		n_found = calloc(n, 1);
		if (!rows || !n_found) {
			status = amend_no_memory(err);
			goto out;
		}
		status = rows_of_bases(sync, lookup.records, n, rows, n_found, err);
	}
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (n_found[i] == 1)
			status = take_other(sync, lookup.records[i], &rows[i], &buffer, err);
	}
out:
	free(n_found);
	release_lookup(&lookup);
	amend_buffer_release(&buffer);
	return status;
}

/* Found by a later key after all: the base is the row's, not the key's. */
static void forget_key_bases(struct amend_sync *sync)
{
	for (size_t i = 0; i < sync->n_list; i++) {
		struct amend_record *record = sync->list[i];

		if (!record->row || record->found_by == AMEND_FOUND_TIED || record->sieved)
			continue;
		record->seen = NULL;
		record->based = false;
		record->other = NULL;
	}
}

enum amend_status amend_sync_match(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	if (sync->slices && sync->keys[0].unique && !amend_sync_odd(sync))
		status = find_placed(sync, err);
	if (status == AMEND_OK)
		status = find_by_key(sync, 0, err);
	if (status == AMEND_OK)
		status = bases_of_keys(sync, err);
	for (int k = 1; k < (int)sync->n_keys && status == AMEND_OK; k++)
		status = find_by_key(sync, k, err);
	if (status == AMEND_OK)
		status = amend_sync_settle_duplicates(sync, err);
	if (status == AMEND_OK) {
		forget_key_bases(sync);
		status = bases_of_rows(sync, err);
	}
	return status;
}
