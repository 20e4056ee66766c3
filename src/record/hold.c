/*
 * Holds: a record, or a whole table, kept from others until the unit ends.
 * Leaves the locks themselves to the engine.
 */
#include "record/call.h"

static enum amend_status check_hold(struct amend_conn *db, enum amend_strength strength,
				    struct amend_error *err)
{
	if (!amend_in_transaction(db))
		return amend_error_set(
			err, AMEND_INVALID,
			"a hold ends with its transaction, and none is open (hint: call "
			"it inside amend_atomic)");
	if (db->depth > 0 && !db->borrowed && db->read_only)
		return amend_error_set(err, AMEND_INVALID, "a read-only unit holds nothing");
	if (strength == AMEND_FOR_NO_KEY_UPDATE && !amend_has(db, AMEND_HAS_KEY_STRENGTHS))
		return amend_error_set(err, AMEND_UNSUPPORTED,
				       "%s has no lock FOR NO KEY UPDATE (hint: AMEND_FOR_UPDATE)",
				       db->driver->name);
	if (strength == AMEND_FOR_SHARE && !amend_has(db, AMEND_HAS_SHARE))
		return amend_error_set(err, AMEND_UNSUPPORTED,
				       "%s has no lock FOR SHARE (hint: AMEND_FOR_UPDATE)",
				       db->driver->name);
	return AMEND_OK;
}

struct holding {
	struct amend_call call;
	struct amend_lock lock;
};

static enum amend_status hold_record(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct holding *holding = context;
	struct amend_call *call = &holding->call;
	enum amend_status status = amend_hold_database(db, err);
	bool skip = false;

	amend_result_reset(&call->work);
	do {
		call->moved = false;
		if (status == AMEND_OK)
			status = amend_call_match(call, &holding->lock, &skip, err);
	} while (status == AMEND_OK && call->moved);
	if (status != AMEND_OK)
		return status;
	if (skip) {
		call->work.result->outcome = AMEND_IS_SKIPPED;
		return AMEND_OK;
	}
	if (!call->found)
		return amend_seen_missing(db, call->table, &call->seen, amend_call_key(call),
					  call->set, call->n_set, &call->work, err);
	call->work.result->outcome = AMEND_IS_FOUND;
	call->work.result->record = call->row.values;
	return AMEND_OK;
}

enum amend_status amend_hold(struct amend_conn *db, const struct amend_table *table,
			     const struct amend_match *key, enum amend_strength strength,
			     enum amend_wait wait, struct amend_result *result,
			     struct amend_error *err)
{
	static const struct amend_write nothing = {.mode = AMEND_UPDATE};
	struct holding holding = {.call = {.db = db, .table = table, .write = &nothing},
				  .lock = {true, strength, wait}};
	enum amend_status status = amend_result_begin(result, &holding.call.work, err);

	if (status != AMEND_OK)
		return status;
	status = amend_enter(db, err);
	if (status != AMEND_OK)
		return status;
	status = check_hold(db, strength, err);
	if (status == AMEND_OK)
		status = amend_call_resolve(&holding.call, key, 1, NULL, err);
	/* Locks taken behind a savepoint vanish with it: one only where a refusal must not end the unit. */
	if (status == AMEND_OK && (wait == AMEND_NOWAIT || db->depth == 0))
		status = amend_atomic(db, NULL, hold_record, &holding, err);
	else if (status == AMEND_OK)
		status = hold_record(db, &holding, err);
	amend_result_status(result, status);
	if (status != AMEND_OK)
		amend_call_name_key(&holding.call, err);
	return amend_leave(db, status, err);
}

struct table_holding {
	const struct amend_table *table;
	enum amend_strength strength;
	enum amend_wait wait;
};

static enum amend_status hold_table(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct table_holding *holding = context;
	bool share = holding->strength == AMEND_FOR_SHARE;
	const struct amend_dialect *dialect = db->dialect;
	struct amend_sql sql;
	enum amend_status status = amend_hold_database(db, err);

	if (status != AMEND_OK || !amend_has(db, AMEND_HAS_TABLE_LOCK))
		return status;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, share ? dialect->lock_table_share : dialect->lock_table_update);
	amend_sql_text(&sql, holding->table->sql);
	amend_sql_text(&sql,
		       share ? dialect->lock_table_share_mode : dialect->lock_table_update_mode);
	if (holding->wait == AMEND_NOWAIT) {
		amend_sql_text(&sql, " ");
		amend_sql_text(&sql, dialect->nowait);
	}
	sql.once = true;
	status = amend_exec(db, &sql, NULL, err);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_hold_table(struct amend_conn *db, const struct amend_table *table,
				   enum amend_strength strength, enum amend_wait wait,
				   struct amend_error *err)
{
	struct table_holding holding = {table, strength, wait};
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	status = check_hold(db, strength, err);
	if (status == AMEND_OK && wait == AMEND_SKIP_LOCKED)
		status = amend_error_set(err, AMEND_UNSUPPORTED,
					 "a whole table cannot be skipped (hint: AMEND_NOWAIT)");
	/* Where rows are locked and no table, nothing would keep others out of it. */
	if (status == AMEND_OK && amend_has(db, AMEND_HAS_ROW_LOCK) &&
	    !amend_has(db, AMEND_HAS_TABLE_LOCK))
		status = amend_error_set(err, AMEND_UNSUPPORTED,
					 "this engine holds no whole table in a transaction (hint: "
					 "hold its records, or take a lease)");
	if (status == AMEND_OK && (wait == AMEND_NOWAIT || db->depth == 0))
		status = amend_atomic(db, NULL, hold_table, &holding, err);
	else if (status == AMEND_OK)
		status = hold_table(db, &holding, err);
	return amend_leave(db, status, err);
}
