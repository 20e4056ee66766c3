/*
 * Phase 1: which records are to be decided, and what becomes of them, without writing anything.
 * Leaves the decisions themselves to the files it calls in turn.
 */
#include <stdlib.h>
#include <string.h>

#include "sync/early.h"
#include "sync/sync.h"

static bool grow(struct amend_record ***list, size_t *room)
{
	size_t bigger = *room ? *room * 2 : 256;
	struct amend_record **grown = realloc(*list, bigger * sizeof(struct amend_record *));

	if (!grown)
		return false;
	*list = grown;
	*room = bigger;
	return true;
}

enum amend_status amend_sync_enlist(struct amend_sync *sync, struct amend_record *record,
				    struct amend_error *err)
{
	if (sync->n_all == sync->all_room && !grow(&sync->all, &sync->all_room))
		return amend_no_memory(err);
	sync->all[sync->n_all++] = record;
	if (sync->n_list == sync->list_room && !grow(&sync->list, &sync->list_room))
		return amend_no_memory(err);
	sync->list[sync->n_list++] = record;
	return AMEND_OK;
}

/* What the sieve read of it need not be read again. */
static enum amend_status take_row(struct amend_sync *sync, struct amend_record *record,
				  struct amend_error *err)
{
	const struct amend_row *row = amend_sieve_row(sync->sieve, record->index);
	void **slot = row ? amend_hash_put(&sync->claims, row->pk, strlen(row->pk)) : NULL;

	if (!row)
		return AMEND_OK;
	if (!slot)
		return amend_no_memory(err);
	/* Two that reach one row by a key that only the database can compare: it is asked. */
	if (*slot || (amend_sync_odd(sync) && amend_sieve_claims(sync, row) >= 0))
		return AMEND_OK;
	*slot = record;
	record->row = row;
	record->found_by = 0;
	record->seen = amend_sieve_base(sync->sieve, record->index);
	record->sieved = record->based = record->seen != NULL;
	return AMEND_OK;
}

/* Every record that is not settled, as if it had only been read. */
static enum amend_status enlist_rest(struct amend_sync *sync, struct amend_error *err)
{
	/* The sieve knows where each is: those that are settled are not even looked at. */
	const struct amend_sieve *sieve = sync->store.file ? NULL : sync->sieve;
	struct amend_store_reader reader;
	enum amend_status status = AMEND_OK;

	amend_store_begin(&sync->store, &reader);
	for (uint64_t i = 0; i < sync->store.n && status == AMEND_OK; i++) {
		struct amend_record *record;
		const unsigned char *bytes;

		if (sieve && amend_sieve_settled(sieve, i))
			continue;
		if (sieve)
			bytes = amend_sieve_bytes(sieve, i);
		else
			status = amend_store_next(&reader, &bytes, err);
		if (status != AMEND_OK || amend_sieve_settled(sync->sieve, i))
			continue;
		status = amend_sync_load(sync, bytes, i, &record, err);
		if (status == AMEND_OK)
			status = amend_sync_enlist(sync, record, err);
		if (status == AMEND_OK && record->fate == AMEND_FATE_OPEN)
			status = take_row(sync, record, err);
	}
	amend_store_end(&reader);
	return status;
}

enum amend_status amend_sync_look(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = amend_data_version(sync->db, &sync->version, &sync->versioned,
						      err);

	return status == AMEND_OK ? amend_sync_open_conflicts(sync, err) : status;
}

enum amend_status amend_sync_sift(struct amend_sync *sync, struct amend_error *err)
{
	struct amend_store_reader reader;
	enum amend_status status = AMEND_OK;

	/* The unit in which a new table is planned may run again. */
	sync->n_all = sync->n_list = 0;
	sync->round = 0;
	amend_hash_release(&sync->claims);
	amend_hash_release(&sync->held);
	amend_sieve_free(sync->sieve);
	sync->sieve = NULL;
	if (!sync->early) {
		sync->baseless = false;
		status = amend_sync_look(sync, err);
	}
	if (status == AMEND_OK && !sync->create_sql) {
		amend_store_begin(&sync->store, &reader);
		status = amend_sieve_run(sync, &reader, 0, sync->store.n, &sync->sieve, err);
		amend_store_end(&reader);
	}
	amend_early_end(sync);
	return status == AMEND_OK ? enlist_rest(sync, err) : status;
}

enum amend_status amend_sync_plan(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	/* Another run may have begun meanwhile. */
	sync->baseless = sync->baseless && sync->round == 0;
	if (sync->round > 0)
		status = amend_data_version(sync->db, &sync->version, &sync->versioned, err);
	if (status == AMEND_OK && sync->round == 0)
		status = amend_sync_keys(sync, err);
	if (status == AMEND_OK && sync->round > 0)
		status = amend_sync_open_conflicts(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_match(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_values(sync, err);
	if (status != AMEND_OK)
		return status;
	status = amend_sync_find_open(sync, err);
	if (status != AMEND_OK)
		return status;
	status = amend_sync_decide(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_missing(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_unique(sync, err);
	if (status == AMEND_OK)
		status = amend_sync_order(sync, err);
	return status;
}
