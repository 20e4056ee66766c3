/*
 * The outcome of a call: the record, its changed fields, its token.
 * Leaves errors to where they happen.
 */
#include "core/rows.h"
#include "record/call.h"
#include "record/history.h"

/*
 * Without a token the record can be shown all the same, with the reason. What is
 * committed already must not be reported as failed, whatever becomes of its token.
 */
static bool may_do_without(const struct amend_call *call, enum amend_status status)
{
	if (status == AMEND_DENIED || status == AMEND_UNSUPPORTED || status == AMEND_INVALID)
		return true;
	return call->work.result->revision != 0 && !amend_in_transaction(call->db);
}

enum amend_status amend_call_sign(struct amend_call *call, const struct amend_row *row,
				  int64_t change, struct amend_error *err)
{
	struct amend_token token;
	struct amend_error why;
	enum amend_status status = amend_token_of(call->table, row, change, &token, err);

	if (status != AMEND_OK)
		return status;
	status = amend_token_write(call->db, call->table, &token, call->work.arena,
				   &call->work.result->token, &why);
	if (status == AMEND_OK)
		return status;
	if (!may_do_without(call, status)) {
		*err = why;
		return status;
	}
	call->work.result->no_token = amend_arena_text(call->work.arena, why.text);
	return AMEND_OK;
}

/* The position in history is read before the row: it may be too early, which costs a step, never too late. */
static enum amend_status last_change(struct amend_call *call, const char *pk, int64_t *change,
				     struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	bool present;
	enum amend_status status = amend_ledger_look(call->db, &present, err);

	*change = 0;
	if (status != AMEND_OK || !present)
		return status;
	amend_history_last_sql(&sql, call->db, call->table, pk);
	status = amend_exec(call->db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 1)
		amend_value_number(amend_rows_at(&rows, 0, 0), change);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

/* The record as it is, nothing written. */
enum amend_status amend_call_as_it_is(struct amend_call *call, enum amend_outcome outcome,
				      struct amend_error *err)
{
	struct amend_row now;
	bool found = true;
	int64_t change;
	enum amend_status status = AMEND_OK;

	call->work.result->outcome = outcome;
	call->work.result->record = call->row.values;
	if (!call->write->want_token)
		return AMEND_OK;
	status = last_change(call, call->row.pk, &change, err);
	if (status == AMEND_DENIED && !amend_in_transaction(call->db)) {
		change = 0;
		status = AMEND_OK;
	}
	if (status != AMEND_OK || change == 0 || call->row.held)
		return status == AMEND_OK ? amend_call_sign(call, &call->row, change, err) : status;
	status = amend_row_again(call->db, call->table, &call->row, NULL, call->work.arena, &now,
				 &found, err);
	if (status != AMEND_OK)
		return status;
	call->moved = !found;
	if (found && outcome == AMEND_IS_FOUND) {
		/* Nothing was compared with the first look: the second is as good, and does not race. */
		call->row = now;
		call->work.result->record = now.values;
	} else if (found) {
		call->moved = !amend_row_same(call->db, call->table, &call->row, &now);
	}
	return call->moved ? AMEND_OK : amend_call_sign(call, &call->row, change, err);
}

enum amend_status amend_call_written(struct amend_call *call, const struct amend_written *what,
				     enum amend_outcome outcome, struct amend_error *err)
{
	struct amend_result *result = call->work.result;
	enum amend_status status;

	result->outcome = outcome;
	result->record = what->row.values;
	result->revision = what->revision;
	status = amend_result_changes(&call->work, call->table, what->before,
				      call->deleting ? NULL : what->row.values, err);
	if (status == AMEND_OK && call->write->want_token && !call->deleting)
		status = amend_call_sign(call, &what->row, what->change, err);
	return status;
}
