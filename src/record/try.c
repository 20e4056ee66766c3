/*
 * One try of a call: match, hold, expect, compare, write, record, outcome.
 * Leaves each step's work to the files named after it, and trying again to record.c.
 */
#include "record/call.h"

#include <string.h>

#include "ledger/lease.h"
#include "sql/sqlstate.h"

static const struct amend_lock no_lock = {false, AMEND_FOR_UPDATE, AMEND_WAIT};

enum amend_status amend_call_bounds_hold(struct amend_call *call, const struct amend_row *row,
					 const struct amend_put *puts, size_t n, bool *hold,
					 struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	*hold = true;
	if (!amend_write_has_bounds(puts, n))
		return AMEND_OK;
	amend_sql_init(&sql, call->db);
	amend_sql_text(&sql, "SELECT 1 FROM ");
	amend_sql_text(&sql, call->table->sql);
	amend_row_identity(&sql, call->table, row);
	amend_write_bounds(&sql, call->table, puts, n);
	status = amend_exec(call->db, &sql, &rows, err);
	*hold = rows.n_rows > 0;
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status bounds_hold(struct amend_call *call, const struct amend_row *row,
				     bool *hold, struct amend_error *err)
{
	return amend_call_bounds_hold(call, row, call->puts, call->n_puts, hold, err);
}

/* A held row was not written: its bounds were in the way, or something of the table's own. */
static enum amend_status not_written(struct amend_call *call, struct amend_error *err)
{
	bool hold;
	enum amend_status status = bounds_hold(call, &call->row, &hold, err);

	if (status != AMEND_OK)
		return status;
	return hold ? amend_write_refused(call->table, "changed no row of", err)
		    : amend_call_out_of_bounds(call, err);
}

/* Bounds of a creation are proved on the row just written, in the same unit. */
static enum amend_status check_created(struct amend_call *call, const struct amend_row *row,
				       struct amend_error *err)
{
	bool hold;
	enum amend_status status;

	for (size_t i = 0; i < call->n_puts; i++)
		call->puts[i].op = AMEND_SET;
	status = bounds_hold(call, row, &hold, err);
	if (status != AMEND_OK || hold)
		return status;
	amend_call_out_of_bounds(call, err);
	amend_conn_fail(call->db, err);
	return err->status;
}

/* A token of what is there now: who has looked at both sides can save again with it. */
static void sign_stale(struct amend_call *call)
{
	struct amend_error ignored;

	if (amend_call_sign(call, &call->row, call->seen.has_token ? call->seen.token.change : 0,
			    &ignored) != AMEND_OK)
		call->work.result->token = NULL;
}

static enum amend_status check_seen(struct amend_call *call, const struct amend_put *puts, size_t n,
				    struct amend_error *err)
{
	return call->seen.any ? amend_seen_check(call->db, call->table, &call->seen, &call->row,
						 puts, n, amend_call_key(call), &call->work, err)
			      : AMEND_OK;
}

static enum amend_status update(struct amend_call *call, struct amend_error *err)
{
	enum amend_outcome done = AMEND_IS_UPDATED;
	struct amend_written what;
	enum amend_status status;

	status = check_seen(call, call->puts, call->n_puts, err);
	if (status == AMEND_STALE && call->write->merge) {
		status = amend_call_merge(call, err);
		done = call->work.result->outcome;
	}
	if ((status == AMEND_STALE || call->clashed) && call->write->want_token)
		sign_stale(call);
	if (status != AMEND_OK || call->clashed)
		return status;
	amend_call_keep_changes(call);
	amend_call_remember(call);
	if (call->n_puts == 0) {
		/* Whoever has lost it is told so here too. */
		if (amend_lease_concerns(call->db, call->table, call->row.pk))
			status = amend_ledger_need(call->db, err);
		if (status == AMEND_OK && amend_lease_concerns(call->db, call->table, call->row.pk))
			status = amend_lease_pass(call->db, call->table, call->row.pk, err);
		return status == AMEND_OK ? amend_call_as_it_is(call, AMEND_IS_UNCHANGED, err)
					  : status;
	}
	status = amend_call_check_addends(call, err);
	if (status == AMEND_OK)
		status = amend_ledger_need(call->db, err);
	if (status == AMEND_OK)
		status = amend_row_update(call->db, call->table, &call->row, call->puts,
					  call->n_puts, call->work.arena, &what, err);
	if (status != AMEND_OK)
		return status;
	if (what.out_of_bounds)
		return not_written(call, err);
	call->moved = what.moved;
	return what.moved ? AMEND_OK : amend_call_written(call, &what, done, err);
}

/* The first key that is not blank must be unique, or two could create the same record. */
static enum amend_status creation_key(const struct amend_call *call,
				      const struct amend_key **unique, struct amend_error *err)
{
	for (size_t i = 0; i < call->n_keys; i++) {
		if (call->keys[i].blank)
			continue;
		*unique = call->keys[i].unique;
		return *unique ? AMEND_OK
			       : amend_request_not_unique(call->db, call->table, &call->keys[i],
							  err);
	}
	return amend_error_set(err, AMEND_INVALID,
			       "every key is blank: a blank key never matches and never creates");
}

struct insertion {
	struct amend_call *call;
	const struct amend_key *unique;
	struct amend_written *what;
};

static enum amend_status insert_as_unit(struct amend_conn *db, void *context,
					struct amend_error *err)
{
	const struct insertion *insertion = context;
	const struct amend_call *call = insertion->call;

	return amend_row_insert(db, call->table, insertion->unique, call->puts, call->n_puts,
				call->work.arena, insertion->what, err);
}

/*
 * A rival may have created the record meanwhile and be found by another key
 * than the one that creates: that is no error, the next try finds it. A
 * savepoint keeps the clash from ending the unit.
 */
static enum amend_status insert(struct amend_call *call, const struct amend_key *unique,
				struct amend_written *what, struct amend_error *err)
{
	struct insertion insertion = {call, unique, what};
	struct amend_error other;
	enum amend_status status;
	bool skip;

	if (call->n_keys == 1)
		return insert_as_unit(call->db, &insertion, err);
	if (amend_in_transaction(call->db))
		status = amend_atomic(call->db, NULL, insert_as_unit, &insertion, err);
	else
		status = insert_as_unit(call->db, &insertion, err);
	if (status != AMEND_CONSTRAINT || strcmp(err->sqlstate, AMEND_SQLSTATE_UNIQUE) != 0)
		return status;
	if (amend_call_match(call, &no_lock, &skip, &other) != AMEND_OK || !call->found)
		return status;
	*what = (struct amend_written){.moved = true};
	return AMEND_OK;
}

/* What is created must be found by the key that created it, or the next call creates it again. */
static enum amend_status check_key_put(const struct amend_call *call,
				       const struct amend_request_key *key, size_t part,
				       struct amend_error *err)
{
	struct amend_put wanted = {.column = key->columns[part], .value = key->values[part]};
	const struct amend_put *put = NULL;
	enum amend_status status;

	for (size_t i = 0; i < call->n_puts; i++) {
		if (call->puts[i].column == wanted.column)
			put = &call->puts[i];
	}
	if (!put)
		return AMEND_OK;
	status = amend_request_canonical(call->db, call->table, NULL, &wanted, 1, call->work.arena,
					 err);
	if (status != AMEND_OK ||
	    (put->op == AMEND_SET && amend_value_equal(&put->value, &wanted.value)))
		return status;
	return amend_error_set(
		err, AMEND_INVALID,
		"%s.%s is part of the key, and the record to create would have another "
		"value there: the key would not find it",
		call->table->qualified, call->table->columns[wanted.column].name);
}

static enum amend_status create(struct amend_call *call, struct amend_error *err)
{
	const struct amend_key *unique = NULL;
	struct amend_written what;
	enum amend_status status = creation_key(call, &unique, err);

	if (status != AMEND_OK)
		return status;
	for (size_t i = 0; i < call->n_keys; i++) {
		const struct amend_request_key *key = &call->keys[i];

		for (size_t j = 0; j < key->n && !key->blank; j++) {
			status = amend_request_writable(call->table, key->columns[j], err);
			if (status == AMEND_OK)
				status = check_key_put(call, key, j, err);
			if (status != AMEND_OK)
				return status;
			amend_request_put(call->puts, &call->n_puts, key->columns[j],
					  &key->values[j]);
		}
	}
	status = amend_request_canonical(call->db, call->table, NULL, call->puts, call->n_puts,
					 call->work.arena, err);
	if (status == AMEND_OK)
		status = amend_ledger_need(call->db, err);
	if (status == AMEND_OK)
		status = insert(call, unique, &what, err);
	if (status == AMEND_OK && !what.moved)
		status = check_created(call, &what.row, err);
	if (status != AMEND_OK)
		return status;
	/* A rival's record would have been found by now. */
	if (what.moved && ++call->refused > AMEND_REFUSED_TRIES)
		return amend_write_refused(call->table, "created no row in", err);
	call->moved = what.moved;
	return what.moved ? AMEND_OK : amend_call_written(call, &what, AMEND_IS_CREATED, err);
}

static enum amend_status delete_found(struct amend_call *call, struct amend_error *err)
{
	struct amend_written what;
	enum amend_status status = check_seen(call, NULL, 0, err);

	if (status == AMEND_OK)
		status = amend_ledger_need(call->db, err);
	if (status == AMEND_OK)
		status = amend_row_delete(call->db, call->table, &call->row, call->work.arena,
					  &what, err);
	if (status != AMEND_OK)
		return status;
	call->moved = what.moved;
	return what.moved ? AMEND_OK : amend_call_written(call, &what, AMEND_IS_DELETED, err);
}

static enum amend_status exists(struct amend_call *call, struct amend_error *err)
{
	call->work.result->outcome = AMEND_IS_CONFLICT;
	call->work.result->record = call->row.values;
	return amend_error_set(err, AMEND_EXISTS, "the record %s is in %s already",
			       amend_call_key(call), call->table->qualified);
}

enum amend_status amend_call_try(struct amend_call *call, const struct amend_lock *lock,
				 bool may_write, bool *wants_write, struct amend_error *err)
{
	enum amend_mode mode = call->write->mode;
	enum amend_status status;
	bool skip;

	amend_result_reset(&call->work);
	call->moved = call->clashed = false;
	call->left = NULL;
	*wants_write = false;
	if (call->at_hand) {
		call->found_by = 0;
		call->at_hand = skip = false;
	} else {
		status = amend_call_match(call, lock, &skip, err);
		if (status != AMEND_OK || call->moved)
			return status;
	}
	if (skip) {
		call->work.result->outcome = AMEND_IS_SKIPPED;
		return AMEND_OK;
	}
	if (!call->found && (call->deleting || mode == AMEND_UPDATE || call->seen.any ||
			     amend_lease_wants_record(call->db))) {
		status = amend_seen_missing(call->db, call->table, &call->seen, amend_call_key(call),
					    call->set, call->n_set, &call->work, err);
		return status == AMEND_NOT_FOUND && call->write->merge
			       ? amend_call_merge_gone(call, err)
			       : status;
	}
	if (call->found && !call->deleting && mode == AMEND_CREATE)
		return exists(call, err);
	if (call->found && !call->deleting && mode == AMEND_GET_OR_CREATE)
		return amend_call_as_it_is(call, AMEND_IS_FOUND, err);
	if (call->deleting || !call->found) {
		*wants_write = true;
		if (!may_write)
			return AMEND_OK;
	}
	if (call->deleting)
		return delete_found(call, err);
	status = amend_call_gather(call, err);
	if (status != AMEND_OK)
		return status;
	if (!call->found)
		return create(call, err);
	if (!may_write) {
		for (size_t i = 0; i < call->n_puts; i++) {
			const struct amend_put *put = &call->puts[i];

			*wants_write = *wants_write || put->op == AMEND_ADD ||
				       !amend_value_equal(&put->value,
							  &call->row.values[put->column]);
		}
		if (*wants_write)
			return AMEND_OK;
	}
	return update(call, err);
}
