/*
 * The rows of the input's keys: all at once, or with their bases some thousands at a time.
 * Leaves what they are compared for to sieve.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/sieve_inside.h"

enum { BATCH = 4000 }; /* records looked up at a time */

struct batch {
	struct amend_sieve_entry *entries[BATCH];
	struct amend_value *values; /* BATCH times the key's columns */
	struct amend_row rows[BATCH];
	unsigned char n_found[BATCH];
	const char *keys[BATCH];
	struct amend_base bases[BATCH];
	struct amend_arena arena;
	size_t n;
};

/* The keys as the database has them. A record whose key is none drops out. */
static enum amend_status canonical_keys(struct amend_sieve *sieve, struct batch *batch,
					struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	const struct amend_sync_key *key = &sync->keys[0];
	struct amend_canon *canon = amend_arena_array(&batch->arena, batch->n * key->n,
						      sizeof(*canon));
	enum amend_status status;
	size_t n = 0;

	if (!canon)
		return amend_no_memory(err);
	for (size_t i = 0; i < batch->n; i++) {
		const char *problem;

		amend_store_decode(batch->entries[i]->bytes, sieve->fields, sync->n_used, &problem);
		for (uint32_t j = 0; j < key->n; j++)
			canon[i * key->n + j] = (struct amend_canon){
				.column = &sync->table->columns[key->columns[j]],
				.in = sieve->fields[key->used[j]],
			};
	}
	status = amend_canonicalise(sync->db, canon, batch->n * key->n, &batch->arena, err);
	for (size_t i = 0; i < batch->n && status == AMEND_OK; i++) {
		bool good = true;

		for (uint32_t j = 0; j < key->n; j++) {
			good = good && !canon[i * key->n + j].problem;
			batch->values[n * key->n + j] = canon[i * key->n + j].out;
		}
		batch->entries[n] = batch->entries[i];
		n += good;
	}
	batch->n = n;
	return status;
}

/* Also of those that are left to be decided: two rows of one key are then met here, as by a scan of all. */
enum amend_status amend_sieve_read_keys(struct amend_sieve *sieve, amend_row_scan_fn each,
					void *context, struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	const struct amend_sync_key *key = &sync->keys[0];
	struct amend_value *values = calloc(sieve->n * key->n, sizeof(*values));
	struct batch *batch = calloc(1, sizeof(*batch));
	enum amend_status status = values && batch ? AMEND_OK : amend_no_memory(err);
	size_t n = 0;

	for (uint64_t i = 0; i < sieve->n && status == AMEND_OK; i++) {
		if (sieve->entries[i].code)
			batch->entries[batch->n++] = &sieve->entries[i];
		if (batch->n == 0 || (batch->n < BATCH && i + 1 < sieve->n))
			continue;
		batch->values = values + n * key->n;
		status = canonical_keys(sieve, batch, err);
		n += batch->n;
		batch->n = 0;
	}
	if (status == AMEND_OK && n > 0)
		status = amend_row_scan_keys(sync->db, sync->table, key->columns, key->n, values, n,
					     each, context, err);
	if (batch)
		amend_arena_release(&batch->arena);
	free(batch);
	free(values);
	return status;
}

/* The bases of those that are equal, by their rows' names. */
static enum amend_status settle_equal(struct amend_sieve *sieve, struct batch *batch,
				      struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	enum amend_status status;
	size_t n = 0;

	for (size_t i = 0; i < batch->n; i++) {
		if (batch->entries[i]->state != AMEND_SIEVE_EQUAL)
			continue;
		batch->keys[n] = batch->rows[i].pk;
		batch->entries[n++] = batch->entries[i];
	}
	if (n == 0)
		return AMEND_OK;
	status = amend_base_find(sync->db, sync->source_name, sync->table, false, batch->keys, n,
				 batch->bases, &batch->arena, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		struct amend_sieve_entry *entry = batch->entries[i];
		const struct amend_base *base = &batch->bases[i];

		if (!base->pack || memcmp(base->digest, entry->digest, sizeof(entry->digest)) != 0)
			continue;
		amend_buffer_reset(&sieve->text);
		amend_buffer_text(&sieve->text, base->first_key);
		if (sieve->text.failed)
			return amend_no_memory(err);
		if (!sieve->text.size ||
		    amend_fingerprint_key_code(&sieve->printer, sieve->text.data,
					       sieve->text.size) != entry->code)
			continue;
		amend_sieve_settle(sieve, entry);
		if (sync->slices)
			status = amend_slices_settled_row(
				sync->slices, sieve->first + (uint64_t)(entry - sieve->entries),
				base->pk, err);
	}
	return status;
}

/* "007" is 7: in whatever slice. */
static enum amend_status note_keys(struct amend_sieve *sieve, const struct batch *batch,
				   struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	const struct amend_sync_key *key = &sync->keys[0];
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < batch->n && status == AMEND_OK; i++) {
		struct amend_sieve_entry *entry = batch->entries[i];
		uint64_t code;

		for (uint32_t j = 0; j < key->n; j++)
			sieve->fields[key->used[j]] = batch->values[i * key->n + j];
		if (!amend_sieve_key_text(sieve, NULL))
			continue;
		code = amend_fingerprint_key_code(&sieve->printer, sieve->text.data,
						  sieve->text.size);
		if (code == entry->code)
			continue;
		entry->alias = code;
		status = amend_slices_key(sync->slices,
					  sieve->first + (uint64_t)(entry - sieve->entries),
					  sieve->text.data, sieve->text.size, err);
	}
	return status;
}

static enum amend_status look_up(struct amend_sieve *sieve, struct batch *batch,
				 struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	const struct amend_sync_key *key = &sync->keys[0];
	enum amend_status status = canonical_keys(sieve, batch, err);

	if (status == AMEND_OK && sync->slices)
		status = note_keys(sieve, batch, err);
	if (!sieve->compares) {
		amend_arena_release(&batch->arena);
		batch->n = 0;
		return status;
	}
	if (status == AMEND_OK && batch->n > 0)
		status = amend_row_find_many(sync->db, sync->table, key->columns, key->n,
					     batch->values, batch->n, NULL, &batch->arena,
					     batch->rows, batch->n_found, err);
	for (size_t i = 0; i < batch->n && status == AMEND_OK; i++) {
		if (batch->n_found[i] > 1)
			batch->entries[i]->state = AMEND_SIEVE_OPEN;
		else if (batch->n_found[i] == 1)
			status = amend_sieve_take_row(sieve, batch->entries[i], &batch->rows[i],
						      NULL, err);
	}
	amend_sync_progress(sync, "compare", 0, sieve->n);
	if (status == AMEND_OK)
		status = settle_equal(sieve, batch, err);
	amend_arena_release(&batch->arena);
	batch->n = 0;
	return status;
}

enum amend_status amend_sieve_by_key(struct amend_sieve *sieve, struct amend_error *err)
{
	struct amend_sync *sync = sieve->sync;
	struct batch *batch = calloc(1, sizeof(*batch));
	enum amend_status status = AMEND_OK;

	if (batch)
		batch->values = calloc((size_t)BATCH * sync->keys[0].n, sizeof(*batch->values));
	if (!batch || !batch->values)
		status = amend_no_memory(err);
	for (uint64_t i = 0; i <= sieve->n && status == AMEND_OK; i++) {
		struct amend_sieve_entry *entry = i < sieve->n ? &sieve->entries[i] : NULL;

		if (batch->n > 0 && (!entry || batch->n == BATCH)) {
			status = look_up(sieve, batch, err);
			amend_sync_progress(sync, "compare", i, sieve->n);
		}
		if (entry && entry->state == AMEND_SIEVE_FRESH)
			batch->entries[batch->n++] = entry;
	}
	if (batch)
		free(batch->values);
	free(batch);
	return status;
}
