/*
 * Changing a record without reading it first, on the guess that a call changes
 * the same columns as the last one like it did.
 * Leaves everything to the road where the guess is wrong: then it was the read.
 */
#include <stdlib.h>

#include "core/pack.h"
#include "record/call.h"
#include "record/cte.h"

/* Calls are alike that name the same table, key columns and columns to set. */
struct guess {
	uint64_t call;
	uint64_t differs; /* which of the values changed the row; 0: none did */
};

enum { GUESSES = 16 };

static uint64_t add_bytes(uint64_t hash, const void *bytes, size_t size)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ at[i]) * 1099511628211u;
	return hash;
}

static uint64_t hash_of(const struct amend_call *call)
{
	const struct amend_request_key *key = &call->keys[0];
	uint64_t hash = 14695981039346656037u;

	hash = add_bytes(hash, amend_table_digest(call->table), AMEND_TABLE_DIGEST);
	hash = add_bytes(hash, key->columns, key->n * sizeof(*key->columns));
	for (size_t i = 0; i < call->n_set; i++)
		hash = add_bytes(hash, &call->set[i].column, sizeof(call->set[i].column));
	return hash;
}

static struct guess *place_of(struct amend_conn *db, uint64_t hash)
{
	return &((struct guess *)db->guesses)[(hash ^ hash >> 32) % GUESSES];
}

static bool may_guess(const struct amend_call *call)
{
	const struct amend_write *write = call->write;

	if (call->deleting || call->seen.any || call->n_keys != 1 || call->keys[0].blank ||
	    write->compute || write->wait != AMEND_WAIT || write->n_bounds > 0 ||
	    (write->mode != AMEND_UPDATE && write->mode != AMEND_UPDATE_OR_CREATE) ||
	    call->n_set == 0 || call->n_set > AMEND_GUESS_MOST)
		return false;
	for (size_t i = 0; i < call->n_set; i++) {
		if (call->set[i].op != AMEND_SET)
			return false;
	}
	return true;
}

void amend_call_remember(struct amend_call *call)
{
	struct guess *place;
	uint64_t hash, differs = 0;

	if (!may_guess(call))
		return;
	/* Without memory there are no guesses. */
	if (!call->db->guesses)
		call->db->guesses = calloc(GUESSES, sizeof(struct guess));
	if (!call->db->guesses)
		return;
	for (size_t i = 0; i < call->n_set && call->n_puts > 0; i++) {
		for (size_t j = 0; j < call->n_puts; j++) {
			if (call->puts[j].column != call->set[i].column)
				continue;
			/* What moves a record's name is none of the single statement's. */
			if (amend_cte_identifies(call->table, call->puts[j].column))
				return;
			differs |= UINT64_C(1) << i;
		}
	}
	hash = hash_of(call);
	place = place_of(call->db, hash);
	*place = (struct guess){hash, differs};
}

enum amend_status amend_call_try_guess(struct amend_call *call, bool *done, struct amend_error *err)
{
	const struct amend_request_key *key = &call->keys[0];
	struct amend_written what;
	struct guess *place;
	enum amend_status status;
	size_t n_found = 0;
	uint64_t hash;
	bool present;

	*done = false;
	if (!call->db->guesses || !may_guess(call))
		return AMEND_OK;
	hash = hash_of(call);
	place = place_of(call->db, hash);
	if (place->call != hash || place->differs == 0)
		return AMEND_OK;
	/* A guess that changes nothing must leave nothing behind: no ledger, and no run. */
	status = amend_ledger_look(call->db, &present, err);
	if (status != AMEND_OK || !present || amend_run_pending(call->db))
		return status;
	call->n_puts = call->n_set;
	for (size_t i = 0; i < call->n_set; i++)
		call->puts[i] = call->set[i];
	status = amend_request_canonical(call->db, call->table, NULL, call->puts, call->n_puts,
					 call->work.arena, err);
	if (status == AMEND_OK)
		status = amend_found_update(call->db, call->table, key, call->puts, call->n_puts,
					    place->differs, call->work.arena, &call->row, &what,
					    &n_found, err);
	if (status != AMEND_OK || n_found > 1)
		return status;
	call->found = n_found == 1;
	*done = call->found && !what.moved;
	call->at_hand = !*done;
	return *done ? amend_call_written(call, &what, AMEND_IS_UPDATED, err) : AMEND_OK;
}
