/*
 * The one road for one record: which way a call takes it, by what the engine can and the call needs; and how often.
 * Leaves one go along it to try.c.
 */
#include "record/call.h"
#include "record/cascade.h"
#include "record/once.h"
#include "record/violations.h"

#include <string.h>

#include "ledger/lease.h"
#include "sql/table.h"

/* How often a row that keeps moving is read again before it is held. */
enum { OPTIMISTIC_TRIES = 8, HELD_TRIES = 20 };

/* A result has at most 1,664 columns (PostgreSQL), and an addition returns the row before and after. */
enum { MOST_COLUMNS = 800 };

static const struct amend_lock no_lock = {false, AMEND_FOR_UPDATE, AMEND_WAIT};

/* Under a hold: what is found stays, but a record that is not there cannot be held. */
static enum amend_status go_held(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct amend_call *call = context;
	const struct amend_lock lock = {true, AMEND_FOR_UPDATE, call->write->wait};
	enum amend_status status = amend_hold_database(db, err);
	bool wants_write;

	for (int i = 0; status == AMEND_OK && i < HELD_TRIES; i++) {
		status = amend_call_try(call, &lock, true, &wants_write, err);
		if (status != AMEND_OK || !call->moved)
			return status;
	}
	if (status == AMEND_OK) {
		status = amend_error_set(err, AMEND_RETRY, "the record in %s kept moving",
					 call->table->qualified);
		amend_conn_fail(db, err);
	}
	return status;
}

static bool needs_hold(const struct amend_call *call)
{
	if (call->write->compute || call->write->n_bounds > 0 || call->write->wait != AMEND_WAIT)
		return true;
	for (size_t i = 0; i < call->n_set; i++) {
		if (call->set[i].op == AMEND_ADD)
			return true;
	}
	return false;
}

/* An addition to a record that one key names, with nothing to compare first: no read is needed before the write. */
static bool only_adds(const struct amend_call *call)
{
	const struct amend_write *write = call->write;

	if (call->table->n_columns > MOST_COLUMNS || call->deleting || write->compute ||
	    call->seen.any || call->n_keys != 1 || call->keys[0].blank ||
	    write->wait != AMEND_WAIT || call->n_set == 0 ||
	    (write->mode != AMEND_UPDATE && write->mode != AMEND_UPDATE_OR_CREATE))
		return false;
	for (size_t i = 0; i < call->n_set; i++) {
		if (call->set[i].op != AMEND_ADD || amend_put_adds_nothing(&call->set[i]))
			return false;
	}
	return true;
}

/*
 * As amend_found_update, by the shorter statement where it serves. Where that wrote nothing, a bound may be in
 * the way only until somebody's open transaction ends: the longer one waits for that.
 */
static enum amend_status add_found(struct amend_call *call, struct amend_row *old,
				   struct amend_written *what, size_t *n_found,
				   struct amend_error *err)
{
	const struct amend_request_key *key = &call->keys[0];
	struct amend_arena *arena = call->work.arena;
	enum amend_status status;

	if (amend_added_fits(call->table, key, call->puts, call->n_puts)) {
		*n_found = 1;
		status = amend_added_update(call->db, call->table, key, call->puts, call->n_puts,
					    arena, what, err);
		if (status != AMEND_OK || !what->moved)
			return status;
	}
	return amend_found_update(call->db, call->table, key, call->puts, call->n_puts, 0, arena,
				  old, what, n_found, err);
}

/* `*done` false: there is no such record yet. */
static enum amend_status add(struct amend_call *call, bool *done, struct amend_error *err)
{
	const struct amend_request_key *key = &call->keys[0];
	struct amend_row old = {.values = NULL};
	struct amend_written what;
	size_t n_found = 0;
	enum amend_status status = AMEND_OK;

	*done = false;
	call->n_puts = call->n_set;
	memcpy(call->puts, call->set, call->n_set * sizeof(*call->puts));
	status = amend_call_bounds(call, err);
	if (status == AMEND_OK)
		status = amend_request_canonical(call->db, call->table, NULL, call->puts,
						 call->n_puts, call->work.arena, err);
	if (status == AMEND_OK)
		status = amend_ledger_need(call->db, err);
	if (status == AMEND_OK)
		status = add_found(call, &old, &what, &n_found, err);
	if (status != AMEND_OK || n_found == 0)
		return status;
	if (n_found > 1)
		return amend_request_several(call->table, key, err);
	*done = true;
	if (!what.moved)
		return amend_call_written(call, &what, AMEND_IS_UPDATED, err);
	call->row.values = old.values;
	status = amend_call_check_addends(call, err);
	/* Not the bounds: under a hold it shows what it is. */
	if (status == AMEND_OK)
		status = amend_call_bounds_hold(call, &call->row, call->puts, call->n_puts, done,
						err);
	if (status != AMEND_OK)
		return status;
	*done = !*done;
	return *done ? amend_call_out_of_bounds(call, err) : AMEND_OK;
}

static enum amend_status run_held(struct amend_call *call, struct amend_error *err)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	enum amend_status status;

	/* Where the hold is the database's, not waiting means not waiting for the unit to begin. */
	if (call->write->wait != AMEND_WAIT && !amend_has(call->db, AMEND_HAS_ROW_LOCK))
		options.lock_timeout_ms = 1;
	/*
	 * Inside a unit the hold lasts until the unit ends: no savepoint, unless a failure must not
	 * harm the rest. A refusal that wrote nothing leaves the unit as it is.
	 */
	if (call->db->depth > 0 && call->write->wait == AMEND_WAIT)
		status = go_held(call->db, call, err);
	else
		status = amend_atomic(call->db, &options, go_held, call, err);
	if (status == AMEND_LOCKED && call->write->wait == AMEND_SKIP_LOCKED) {
		amend_result_reset(&call->work);
		call->work.result->outcome = AMEND_IS_SKIPPED;
		return AMEND_OK;
	}
	return status;
}

/* Reads without a lock first: what is equal costs no lock, no write, one trip. The write proves that what was read still stands. */
static enum amend_status run(struct amend_call *call, struct amend_error *err)
{
	/* What changes or goes with it is looked for under a hold. */
	bool one_statement = amend_write_in_one(call->db, call->table) &&
			     amend_has(call->db, AMEND_HAS_SNAPSHOT_MOVES) &&
			     !amend_cascades_by_update(call->db, call->table, call->set,
						       call->n_set);
	enum amend_status status;
	bool wants_write, done, gated = false;

	/* It is tested in the unit of the write. And what is merged with stays what it is until the merge is written. */
	if (amend_lease_claims(call->db) || call->write->merge)
		return run_held(call, err);
	if (one_statement && only_adds(call)) {
		status = add(call, &done, err);
		if (status != AMEND_RETRY || amend_in_transaction(call->db)) {
			if (status != AMEND_OK || done)
				return status;
		}
	}
	if (one_statement && call->table->n_columns <= MOST_COLUMNS) {
		status = amend_call_try_guess(call, &done, err);
		if (status == AMEND_RETRY && !amend_in_transaction(call->db))
			status = AMEND_OK;
		if (status != AMEND_OK || done)
			return status;
	}
	/* What is got as it is needs no hold, whatever creating it would need. */
	if (needs_hold(call) && call->write->mode == AMEND_GET_OR_CREATE &&
	    call->write->wait == AMEND_WAIT) {
		status = amend_call_try(call, &no_lock, false, &wants_write, err);
		if (status != AMEND_OK || (!wants_write && !call->moved))
			return status;
	}
	if (needs_hold(call))
		return run_held(call, err);
	for (int i = 0; i < OPTIMISTIC_TRIES; i++) {
		status = amend_call_try(call, &no_lock, one_statement, &wants_write, err);
		if (status == AMEND_RETRY && !amend_in_transaction(call->db))
			continue;
		if (status != AMEND_OK || (!call->moved && (one_statement || !wants_write)))
			return status;
		if (one_statement && i == 1)
			status = amend_lease_gated(call->db, call->table, &gated, err);
		if (one_statement && i == 1 && status == AMEND_OK)
			status = amend_table_stands(call->db, call->table, err);
		if (status != AMEND_OK)
			return status;
		if (!one_statement || gated)
			break;
	}
	return run_held(call, err);
}

static enum amend_status run_as_unit(struct amend_conn *db, void *context, struct amend_error *err)
{
	(void)db;
	return run(context, err);
}

/* A write whose answer is lost is found out about, and done again where it is not in. */
static enum amend_status run_alone(struct amend_call *call, struct amend_error *err)
{
	enum { TRIES = 8 };
	enum amend_status status = AMEND_RETRY;

	for (int i = 0; i < TRIES && status == AMEND_RETRY; i++) {
		struct amend_mark mark;

		amend_result_reset(&call->work);
		call->at_hand = call->moved = call->clashed = false;
		call->refused = 0;
		call->db->wrote_alone = false;
		status = amend_mark_begin(call->db, &mark, err);
		if (status == AMEND_OK)
			status = run(call, err);
		amend_mark_end(call->db);
		if (status == AMEND_NO_MEMORY && call->db->wrote_alone) {
			amend_error_wrap(err, "it is in, or may be, but cannot be told");
			return err->status = AMEND_OUTCOME_UNKNOWN;
		}
		if (status != AMEND_OUTCOME_UNKNOWN)
			return status;
		status = amend_call_unanswered(call, &mark, err);
	}
	if (status == AMEND_RETRY)
		err->status = status = AMEND_UNREACHABLE;
	return status;
}

/* The engine's own words may not say why; a lease's do. */
static void explain_lock(struct amend_error *err, enum amend_status status)
{
	if (status == AMEND_LOCKED && *err->sqlstate)
		amend_error_wrap(err, "held by another");
}

/* As a unit of its own where that is called for. */
static enum amend_status set_out(struct amend_call *call, const struct amend_match *keys,
				 size_t n_keys, const struct amend_expect *expect,
				 struct amend_error *err)
{
	if (amend_call_wants_once(call, expect))
		return amend_call_once(call, keys, n_keys, expect, run_as_unit, err);
	/* In the application's transaction nothing of ours may break it: a savepoint around all. */
	if (call->db->borrowed && call->db->depth == 0)
		return amend_atomic(call->db, NULL, run_as_unit, call, err);
	return run_alone(call, err);
}

/* Another's lease is waited for where that was asked for; in a unit that would keep others waiting. */
static enum amend_status set_out_patiently(struct amend_call *call, const struct amend_match *keys,
					   size_t n_keys, const struct amend_expect *expect,
					   struct amend_error *err)
{
	struct amend_conn *db = call->db;
	struct amend_patience patience = {0};
	bool may_wait = call->write->wait == AMEND_WAIT && !amend_in_transaction(db);
	enum amend_status status;

	for (;;) {
		amend_lease_barred(db, true);
		status = set_out(call, keys, n_keys, expect, err);
		if (!may_wait || !amend_lease_try_again(db, &patience, &status, err))
			return status;
		amend_result_reset(&call->work);
	}
}

static enum amend_status travel(struct amend_conn *db, const struct amend_table *table,
				const struct amend_write *write, const struct amend_match *keys,
				size_t n_keys, const struct amend_expect *expect, bool deleting,
				struct amend_result *result, struct amend_error *err)
{
	struct amend_call call = {.db = db, .table = table, .write = write, .deleting = deleting};
	const char *lease = expect ? expect->lease : NULL;
	enum amend_status status = amend_result_begin(result, &call.work, err);
	struct amend_claim carried;
	bool resolved;

	if (status != AMEND_OK)
		return status;
	status = amend_enter(db, err);
	if (status != AMEND_OK)
		return status;
	if (lease)
		status = amend_claim_set(db, lease, true, &carried, err);
	if (status != AMEND_OK) {
		amend_result_status(result, status);
		return amend_leave(db, status, err);
	}
	status = amend_call_resolve(&call, keys, n_keys, expect, err);
	if (status == AMEND_OK && write->merge)
		status = amend_call_merge_resolve(&call, err);
	resolved = status == AMEND_OK;
	if (status == AMEND_OK)
		status = set_out_patiently(&call, keys, n_keys, expect, err);
	if (status == AMEND_OK && call.clashed) {
		*err = call.clash;
		status = err->status;
	}
	if (lease)
		amend_claim_put_back(db, &carried);
	amend_result_status(result, status);
	explain_lock(err, status);
	if (status != AMEND_OK && resolved)
		amend_call_name_key(&call, err);
	if (status != AMEND_OK && resolved)
		amend_call_explain(&call, err);
	return amend_leave(db, status, err);
}

enum amend_status amend_write(struct amend_conn *db, const struct amend_table *table,
			      const struct amend_write *write, struct amend_result *result,
			      struct amend_error *err)
{
	return travel(db, table, write, write->keys, write->n_keys, &write->expect, false, result,
		      err);
}

enum amend_status amend_delete(struct amend_conn *db, const struct amend_table *table,
			       const struct amend_match *key, const struct amend_expect *expect,
			       enum amend_wait wait, struct amend_result *result,
			       struct amend_error *err)
{
	const struct amend_write write = {.wait = wait};

	return travel(db, table, &write, key, 1, expect, true, result, err);
}

static enum amend_status get(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct amend_call *call = context;
	enum amend_status status = AMEND_OK;
	bool skip;

	for (int i = 0; status == AMEND_OK && i < HELD_TRIES; i++) {
		amend_result_reset(&call->work);
		call->moved = false;
		status = amend_call_match(call, &no_lock, &skip, err);
		if (status == AMEND_OK && !call->found)
			status = amend_seen_missing(db, call->table, &call->seen,
						    amend_call_key(call), call->set, call->n_set,
						    &call->work, err);
		if (status == AMEND_OK)
			status = amend_call_as_it_is(call, AMEND_IS_FOUND, err);
		if (!call->moved)
			break;
	}
	return status;
}

enum amend_status amend_get(struct amend_conn *db, const struct amend_table *table,
			    const struct amend_match *key, bool want_token,
			    struct amend_result *result, struct amend_error *err)
{
	const struct amend_write write = {.want_token = want_token};
	struct amend_call call = {.db = db, .table = table, .write = &write};
	enum amend_status status = amend_result_begin(result, &call.work, err);

	if (status != AMEND_OK)
		return status;
	status = amend_enter(db, err);
	if (status != AMEND_OK)
		return status;
	status = amend_call_resolve(&call, key, 1, NULL, err);
	/* As in travel: a key that the column cannot hold must not break the application's transaction. */
	if (status == AMEND_OK && db->borrowed && db->depth == 0)
		status = amend_atomic(db, NULL, get, &call, err);
	else if (status == AMEND_OK)
		status = get(db, &call, err);
	amend_result_status(result, status);
	explain_lock(err, status);
	if (status != AMEND_OK)
		amend_call_name_key(&call, err);
	return amend_leave(db, status, err);
}
