/*
 * Finds bases that no record of the input claims, and the rows they lie under.
 * Leaves what becomes of them to missing.c.
 *
 * A record claims a row by whatever key found it, and a base by its name: so the
 * record of a row that was deleted here, or given another key, is not missing. What was rejected before
 * rows were looked up is looked up here.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/sync.h"

enum amend_status amend_sync_claimed(struct amend_sync *sync, const char *pk, bool *claimed,
				     struct amend_error *err)
{
	*claimed = amend_hash_get(&sync->claims, pk, strlen(pk)) != NULL;
	return *claimed ? AMEND_OK : amend_sieve_has_pk(sync->sieve, pk, strlen(pk), claimed, err);
}

struct candidate {
	struct amend_base base;
	struct candidate *next; /* of the same first key */
	bool claimed;
};

struct search {
	struct amend_sync *sync;
	struct candidate *found;
	size_t n, room;
	struct amend_hash by_key, by_pk;
};

static enum amend_status take_base(void *context, const struct amend_base *base,
				   struct amend_error *err)
{
	struct search *search = context;
	struct amend_arena *arena = &search->sync->arena;
	struct candidate *candidate;
	bool claimed;
	enum amend_status status = amend_sync_claimed(search->sync, base->pk, &claimed, err);

	if (status != AMEND_OK || claimed) {
		search->sync->n_based += claimed;
		return status;
	}
	if (search->n == search->room) {
		size_t room = search->room ? search->room * 2 : 256;
		struct candidate *found = realloc(search->found, room * sizeof(*found));

		if (!found)
			return amend_no_memory(err);
		search->found = found;
		search->room = room;
	}
	candidate = &search->found[search->n++];
	*candidate = (struct candidate){.base = *base};
	candidate->base.source = search->sync->source_name;
	candidate->base.pk = amend_arena_text(arena, base->pk);
	candidate->base.first_key = amend_arena_text(arena, base->first_key);
	candidate->base.pack = NULL;
	candidate->base.pack_size = 0;
	return candidate->base.pk && candidate->base.first_key ? AMEND_OK : amend_no_memory(err);
}

static enum amend_status index_candidates(struct search *search, struct amend_error *err)
{
	for (size_t i = 0; i < search->n; i++) {
		struct candidate *candidate = &search->found[i];
		const char *key = candidate->base.first_key, *pk = candidate->base.pk;
		void **slot = amend_hash_put(&search->by_key, key, strlen(key));
		void **place = amend_hash_put(&search->by_pk, pk, strlen(pk));

		if (!slot || !place)
			return amend_no_memory(err);
		candidate->next = *slot;
		*slot = *place = candidate;
	}
	return AMEND_OK;
}

static enum amend_status claim_key(void *context, const char *key, size_t size,
				   struct amend_error *err)
{
	const struct search *search = context;
	struct candidate *candidate = amend_hash_get(&search->by_key, key, size);

	(void)err;
	for (; candidate; candidate = candidate->next)
		candidate->claimed = true;
	return AMEND_OK;
}

static enum amend_status claim_pk(void *context, const char *pk, struct amend_error *err)
{
	const struct search *search = context;
	struct candidate *candidate = amend_hash_get(&search->by_pk, pk, strlen(pk));

	(void)err;
	if (candidate)
		candidate->claimed = true;
	return AMEND_OK;
}

/* By the names of settled records. */
static void claim_settled(const struct search *search)
{
	for (size_t i = 0; i < search->n; i++) {
		const char *key = search->found[i].base.first_key;

		if (amend_sieve_has_key(search->sync->sieve, key, strlen(key)))
			search->found[i].claimed = true;
	}
}

/* ---- what records say ---- */

/* A record that found a row has its own name; one that found none is known by all of its keys. */
static enum amend_status claim_by_name(struct amend_sync *sync, const struct amend_claimer *claimer,
				       struct amend_error *err)
{
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->n_all && status == AMEND_OK; i++) {
		const struct amend_record *record = sync->all[i];

		if (!record->key || record->fate == AMEND_FATE_MISSING)
			continue;
		status = claimer->key(claimer->context, record->key, strlen(record->key), err);
		if (record->row)
			continue;
		if (status == AMEND_OK && record->other)
			status = claimer->pk(claimer->context, record->other->pk, err);
		if (status == AMEND_OK && record->based)
			status = claimer->pk(claimer->context, record->seen->pk, err);
		for (uint32_t k = (uint32_t)record->first + 1;
		     k < sync->n_keys && status == AMEND_OK; k++) {
			if (!amend_sync_key_text(&buffer, sync, k, record, NULL))
				continue;
			status = buffer.failed ? amend_no_memory(err)
					       : claimer->key(claimer->context, buffer.data,
							      buffer.size, err);
		}
	}
	amend_buffer_release(&buffer);
	return status;
}

/* Rejected before rows were looked up, or because a key finds several; and its duplicates. */
static bool lacks_rows(const struct amend_record *record)
{
	if (!record->key || record->row)
		return false;
	if (record->fate == AMEND_FATE_DUPLICATE)
		return record->leader && !record->leader->row;
	return record->fate == AMEND_FATE_REJECTED;
}

static bool blank(const struct amend_sync_key *key, const struct amend_record *record)
{
	for (uint32_t i = 0; i < key->n; i++) {
		if (amend_value_blank(&record->values[key->used[i]]))
			return true;
	}
	return false;
}

/* All rows that this key finds, where it is not unique. */
static enum amend_status claim_all(struct amend_sync *sync, const struct amend_claimer *claimer,
				   const struct amend_sync_key *key,
				   const struct amend_value *values, struct amend_arena *arena,
				   struct amend_error *err)
{
	struct amend_row *rows;
	size_t n = 0;
	enum amend_status status = amend_row_find(sync->db, sync->table, key->columns, values,
						  key->n, NULL, SIZE_MAX >> 1, arena, &rows, &n,
						  err);

	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		status = claimer->pk(claimer->context, rows[i].pk, err);
	return status;
}

/* Keys in order, for a batch: the first that finds a row is the record's. */
static enum amend_status claim_batch(struct amend_sync *sync, const struct amend_claimer *claimer,
				     struct amend_record **batch, size_t n, struct amend_error *err)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	enum amend_status status = AMEND_OK;

	for (uint32_t k = 0; k < sync->n_keys && n > 0 && status == AMEND_OK; k++) {
		const struct amend_sync_key *key = &sync->keys[k];
		struct amend_value *values = amend_arena_array(&arena, n * key->n, sizeof(*values));
		struct amend_row *rows = amend_arena_array(&arena, n, sizeof(*rows));
		unsigned char *n_found = amend_arena_alloc(&arena, n);
		size_t wanted = 0, left = 0;

		if (!values || !rows || !n_found) {
			status = amend_no_memory(err);
			break;
		}
		/* Those whose key is blank go to the end: they wait for the next one. */
		for (size_t i = 0; i < n; i++) {
			struct amend_record *record = batch[i];

			if (blank(key, record))
				continue;
			for (uint32_t j = 0; j < key->n; j++)
				values[wanted * key->n + j] = record->values[key->used[j]];
			batch[i] = batch[wanted];
			batch[wanted++] = record;
		}
		if (wanted > 0)
			status = amend_row_find_many(sync->db, sync->table, key->columns, key->n,
						     values, wanted, NULL, &arena, rows, n_found,
						     err);
		for (size_t i = 0; i < wanted && status == AMEND_OK; i++) {
			if (n_found[i] == 1)
				status = claimer->pk(claimer->context, rows[i].pk, err);
			else if (n_found[i] > 1)
				status = claim_all(sync, claimer, key, &values[i * key->n], &arena,
						   err);
		}
		for (size_t i = 0; i < n; i++) {
			if (i >= wanted || !n_found[i])
				batch[left++] = batch[i];
		}
		n = left;
	}
	amend_arena_release(&arena);
	return status;
}

static enum amend_status claim_rejected(struct amend_sync *sync,
					const struct amend_claimer *claimer, struct amend_error *err)
{
	struct amend_record **batch = calloc(AMEND_SYNC_BATCH, sizeof(struct amend_record *));
	enum amend_status status = batch ? AMEND_OK : amend_no_memory(err);
	size_t n = 0;

	for (size_t i = 0; i <= sync->n_all && status == AMEND_OK; i++) {
		bool last = i == sync->n_all;

		if (n > 0 && (last || n == AMEND_SYNC_BATCH)) {
			status = claim_batch(sync, claimer, batch, n, err);
			n = 0;
		}
		if (!last && lacks_rows(sync->all[i]))
			batch[n++] = sync->all[i];
	}
	free(batch);
	return status;
}

enum amend_status amend_sync_claim(struct amend_sync *sync, const struct amend_claimer *claimer,
				   struct amend_error *err)
{
	enum amend_status status = claim_by_name(sync, claimer, err);

	return status == AMEND_OK ? claim_rejected(sync, claimer, err) : status;
}

/* ---- those that are left ---- */

/* Those that the sieve has not met yet, where it has read them all. */
static enum amend_status find_candidates(struct search *search, struct amend_error *err)
{
	struct amend_sync *sync = search->sync;
	const struct amend_base *strays;
	enum amend_status status = AMEND_OK;
	uint64_t n_known;
	size_t n;

	if (sync->baseless)
		return AMEND_OK;
	if (!amend_sieve_strays(sync->sieve, &strays, &n, &n_known))
		return amend_base_scan(sync->db, sync->source_name, sync->table, false, take_base,
				       search, err);
	sync->n_based = n_known;
	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		status = take_base(search, &strays[i], err);
	return status;
}

enum amend_status amend_sync_unclaimed(struct amend_sync *sync, struct amend_base **out, size_t *n,
				       struct amend_error *err)
{
	struct search search = {.sync = sync};
	const struct amend_claimer claimer = {claim_key, claim_pk, &search};
	enum amend_status status;

	*out = NULL;
	*n = 0;
	sync->n_based = 0;
	status = find_candidates(&search, err);
	if (status == AMEND_OK && search.n > 0) {
		status = index_candidates(&search, err);
		if (status == AMEND_OK)
			claim_settled(&search);
		if (status == AMEND_OK)
			status = amend_sync_claim(sync, &claimer, err);
	}
	if (status != AMEND_OK)
		goto out;
	*out = calloc(search.n + 1, sizeof(**out));
	if (!*out) {
		status = amend_no_memory(err);
		goto out;
	}
	for (size_t i = 0; i < search.n; i++) {
		/* A claimed one counts as a row: nearly always it is one. */
		if (search.found[i].claimed)
			sync->n_based++;
		else
			(*out)[(*n)++] = search.found[i].base;
	}
out:
	amend_hash_release(&search.by_key);
	amend_hash_release(&search.by_pk);
	free(search.found);
	return status;
}

/* ---- rows ---- */

/* The identity's values of a name; false: it names no row ("gone:..."). */
static enum amend_status parse(const struct amend_sync *sync, const char *pk,
			       struct amend_arena *arena, struct amend_value *values, bool *whole,
			       struct amend_error *err)
{
	const struct amend_table *table = sync->table;
	struct amend_field *fields;
	size_t n = 0, given = 0;
	enum amend_status status;

	*whole = false;
	if (pk[0] != '{')
		return AMEND_OK;
	status = amend_pk_parse(pk, amend_has(sync->db, AMEND_HAS_TYPED_STORAGE), arena, &fields,
				&n, err);
	if (status != AMEND_OK)
		return status;
	if (table->n_identity == 0 && n == 1) {
		values[0] = fields[0].value;
		*whole = true;
		return AMEND_OK;
	}
	for (size_t j = 0; j < table->n_identity; j++) {
		for (size_t f = 0; f < n; f++) {
			if (amend_table_column(table, fields[f].column) != (int)table->identity[j])
				continue;
			values[j] = fields[f].value;
			given++;
		}
	}
	*whole = given == table->n_identity && given > 0;
	return AMEND_OK;
}

enum amend_status amend_sync_rows_by_pk(struct amend_sync *sync, const char *const *pks, size_t n,
					struct amend_arena *arena, struct amend_row *rows,
					unsigned char *n_found, struct amend_error *err)
{
	const struct amend_table *table = sync->table;
	size_t width = table->n_identity ? table->n_identity : 1, wanted = 0;
	struct amend_value *values = amend_arena_array(arena, n * width, sizeof(*values));
	size_t *which = amend_arena_array(arena, n, sizeof(*which));
	struct amend_row *found = amend_arena_array(arena, n, sizeof(*found));
	unsigned char *counts = amend_arena_alloc(arena, n);
	enum amend_status status = AMEND_OK;

	if (!values || !which || !found || !counts)
		return amend_no_memory(err);
	memset(n_found, 0, n);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		bool whole;

		status = parse(sync, pks[i], arena, &values[wanted * width], &whole, err);
		if (status != AMEND_OK || !whole)
			continue;
		if (table->n_identity) {
			which[wanted++] = i;
		} else {
			struct amend_row by_rowid = {.rowid = values[wanted]};
			bool there = false;

			status = amend_row_again(sync->db, table, &by_rowid, NULL, arena, &rows[i],
						 &there, err);
			n_found[i] = there;
		}
	}
	if (status == AMEND_OK && wanted > 0)
		status = amend_row_find_many(sync->db, table, table->identity, width, values,
					     wanted, NULL, arena, found, counts, err);
	for (size_t i = 0; i < wanted && status == AMEND_OK; i++) {
		n_found[which[i]] = counts[i];
		rows[which[i]] = found[i];
	}
	return status;
}
