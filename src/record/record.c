/*
 * The one road for one record: match, hold, expect, compare, write, record, outcome.
 * Leaves each step's work to the files named after it.
 */
#include <string.h>

#include "core/rows.h"
#include "record/expect.h"
#include "record/history.h"
#include "record/write.h"

/* How often a row that keeps moving is read again before it is held. */
enum { OPTIMISTIC_TRIES = 8, HELD_TRIES = 20 };

/* One call under way. Everything in it lives in the result's arena. */
struct call {
	struct amend_conn *db;
	const struct amend_table *table;
	const struct amend_write *write;
	struct amend_outcome_work work;
	struct amend_seen seen;
	struct amend_request_key *keys;
	size_t n_keys;
	struct amend_put *set; /* as given */
	size_t n_set;
	struct amend_put *puts; /* what this try would write */
	size_t n_puts;
	bool deleting;

	struct amend_row row; /* the one found */
	bool found;
	size_t found_by;
	bool moved; /* this try came too late: try again */
};

struct amend_compute {
	struct call *call;
};

static const struct amend_lock no_lock = {false, AMEND_FOR_UPDATE, AMEND_WAIT};

/* ---- match ---- */

static enum amend_status is_locked_by_another(struct call *call, const struct amend_request_key *key,
					      bool *locked, struct amend_error *err)
{
	struct amend_row *rows;
	size_t n;
	enum amend_status status = amend_row_find(call->db, call->table, key->columns, key->values,
						  key->n, NULL, 1, call->work.arena, &rows, &n, err);

	*locked = n > 0;
	return status;
}

/* SKIPPED is an outcome without being an error: `*skip` ends the call. */
static enum amend_status match(struct call *call, const struct amend_lock *lock, bool *skip,
			       struct amend_error *err)
{
	bool skips = lock->hold && lock->wait == AMEND_SKIP_LOCKED &&
		     amend_has(call->db, AMEND_HAS_ROW_LOCK);

	call->found = false;
	*skip = false;
	for (size_t i = 0; i < call->n_keys; i++) {
		const struct amend_request_key *key = &call->keys[i];
		struct amend_row *rows;
		enum amend_status status;
		size_t n;

		if (key->blank)
			continue;
		status = amend_row_find(call->db, call->table, key->columns, key->values, key->n,
					lock, 2, call->work.arena, &rows, &n, err);
		if (status == AMEND_OK && n == 0 && skips)
			status = is_locked_by_another(call, key, skip, err);
		if (status != AMEND_OK || *skip)
			return status;
		if (n > 1)
			return amend_request_several(call->table, key, err);
		if (n == 0)
			continue;
		call->row = rows[0];
		call->row.held = lock->hold;
		call->found = true;
		call->found_by = i;
		return AMEND_OK;
	}
	return AMEND_OK;
}

static const char *key_text(const struct call *call)
{
	for (size_t i = 0; i < call->n_keys; i++) {
		if (!call->keys[i].blank)
			return amend_request_text(call->table, &call->keys[i], call->work.arena);
	}
	return "with a blank key (a blank key never matches)";
}

/* Earlier keys missed: where the row has NULL it learns them; where it has another value, the keys contradict. */
static enum amend_status learn(struct call *call, struct amend_error *err)
{
	for (size_t i = 0; i < call->found_by; i++) {
		const struct amend_request_key *key = &call->keys[i];

		for (size_t j = 0; j < key->n && !key->blank; j++) {
			const struct amend_value *current = &call->row.values[key->columns[j]];
			struct amend_put put = {.column = key->columns[j], .value = key->values[j]};
			enum amend_status status = amend_request_canonical(call->db, call->table,
									   call->row.values, &put,
									   1, call->work.arena, err);

			if (status != AMEND_OK)
				return status;
			if (current->kind == AMEND_NULL) {
				amend_request_put(call->puts, &call->n_puts, put.column, &put.value);
			} else if (!amend_value_equal(current, &put.value)) {
				call->work.result->outcome = AMEND_IS_CONFLICT;
				call->work.result->record = call->row.values;
				return amend_error_set(
					err, AMEND_CONFLICT,
					"%s finds a record of %s whose %s is another one, not the one given",
					amend_request_text(call->table, &call->keys[call->found_by],
							   call->work.arena),
					call->table->qualified,
					call->table->columns[key->columns[j]].name);
			}
		}
	}
	return AMEND_OK;
}

/* ---- compare ---- */

enum amend_status amend_compute_set(struct amend_compute *compute, const char *column,
				    const struct amend_value *value, struct amend_error *err)
{
	struct call *call = compute->call;
	struct amend_assign assign = {.column = column, .op = AMEND_SET};

	if (!amend_arena_value(call->work.arena, value, &assign.value))
		return amend_no_memory(err);
	return amend_request_puts(call->table, &assign, 1, true, call->puts, &call->n_puts, err);
}

static enum amend_status apply_bounds(struct call *call, struct amend_error *err)
{
	const struct amend_write *write = call->write;

	for (size_t i = 0; i < write->n_bounds; i++) {
		size_t at, place = 0;
		enum amend_status status = amend_table_find(call->table, write->bounds[i].column,
							    &at, err);

		if (status != AMEND_OK)
			return status;
		while (place < call->n_puts && call->puts[place].column != at)
			place++;
		if (place == call->n_puts)
			return amend_error_set(err, AMEND_INVALID,
					       "a bound is given for %s, which is not assigned",
					       write->bounds[i].column);
		if (write->bounds[i].min.kind != AMEND_NULL)
			call->puts[place].min = write->bounds[i].min;
		if (write->bounds[i].max.kind != AMEND_NULL)
			call->puts[place].max = write->bounds[i].max;
	}
	return AMEND_OK;
}

/* What this try would write: the assignments, what keys teach, what the callback computes. */
static enum amend_status gather(struct call *call, struct amend_error *err)
{
	const struct amend_write *write = call->write;
	struct amend_compute compute = {call};
	enum amend_status status = AMEND_OK;

	memcpy(call->puts, call->set, call->n_set * sizeof(*call->puts));
	call->n_puts = call->n_set;
	if (call->found)
		status = learn(call, err);
	else
		status = amend_request_puts(call->table, write->on_create, write->n_on_create, true,
					    call->puts, &call->n_puts, err);
	if (status == AMEND_OK && write->compute) {
		err->status = AMEND_OK;
		err->text[0] = '\0';
		status = write->compute(&compute, call->found ? call->row.values : NULL,
					write->compute_context, err);
		if (status != AMEND_OK && err->status != status)
			amend_error_set(err, status, "the callback returned %s",
					amend_status_name(status));
	}
	if (status == AMEND_OK)
		status = apply_bounds(call, err);
	if (status == AMEND_OK)
		status = amend_request_canonical(call->db, call->table,
						 call->found ? call->row.values : NULL, call->puts,
						 call->n_puts, call->work.arena, err);
	return status;
}

/* Drops what is equal already. Bounds speak of what is written: an equal value breaks none. */
static void keep_changes(struct call *call)
{
	size_t kept = 0;

	for (size_t i = 0; i < call->n_puts; i++) {
		const struct amend_put *put = &call->puts[i];

		if (put->op == AMEND_SET &&
		    amend_value_equal(&put->value, &call->row.values[put->column]))
			continue;
		call->puts[kept++] = *put;
	}
	call->n_puts = kept;
}

/* NULL plus something is NULL, and text plus something is a guess: neither is what adding means. */
static enum amend_status check_addends(const struct call *call, struct amend_error *err)
{
	for (size_t i = 0; i < call->n_puts; i++) {
		const struct amend_column *column = &call->table->columns[call->puts[i].column];
		const struct amend_value *current = &call->row.values[call->puts[i].column];

		if (call->puts[i].op != AMEND_ADD)
			continue;
		if (current->kind == AMEND_NULL)
			return amend_error_set(
				err, AMEND_CONSTRAINT,
				"%s.%s is NULL: there is nothing to add to (hint: set it "
				"first)",
				call->table->qualified, column->name);
		if (!*column->cast && current->kind != AMEND_INTEGER && current->kind != AMEND_REAL)
			return amend_error_set(
				err, AMEND_CONSTRAINT,
				"%s.%s does not hold a number: there is nothing to add to",
				call->table->qualified, column->name);
	}
	return AMEND_OK;
}

/* ---- outcome ---- */

static enum amend_status sign(struct call *call, const struct amend_row *row, int64_t change,
			      struct amend_error *err)
{
	struct amend_token token;
	struct amend_error why;
	enum amend_status status = amend_token_of(call->table, row, change, &token, err);

	if (status != AMEND_OK)
		return status;
	status = amend_token_write(call->db, call->table, &token, call->work.arena,
				   &call->work.result->token, &why);
	if (status == AMEND_OK || (status != AMEND_DENIED && status != AMEND_UNSUPPORTED)) {
		if (status != AMEND_OK)
			*err = why;
		return status;
	}
	/* The record can be shown all the same. */
	call->work.result->no_token = amend_arena_text(call->work.arena, why.text);
	return AMEND_OK;
}

/* The position in history is read before the row: it may be too early, which costs a step, never too late. */
static enum amend_status last_change(struct call *call, const char *pk, int64_t *change,
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
static enum amend_status as_it_is(struct call *call, enum amend_outcome outcome,
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
		return status == AMEND_OK ? sign(call, &call->row, change, err) : status;
	status = amend_row_again(call->db, call->table, &call->row, NULL, call->work.arena, &now,
				 &found, err);
	if (status != AMEND_OK)
		return status;
	call->moved = !found || !amend_row_same(call->db, call->table, &call->row, &now);
	return call->moved ? AMEND_OK : sign(call, &call->row, change, err);
}

static enum amend_status written(struct call *call, const struct amend_written *what,
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
		status = sign(call, &what->row, what->change, err);
	return status;
}

/* ---- write ---- */

static enum amend_status out_of_bounds(const struct call *call, struct amend_error *err)
{
	struct amend_buffer names = AMEND_BUFFER_INIT;

	for (size_t i = 0; i < call->n_puts; i++) {
		if (!(call->puts[i].min.kind || call->puts[i].max.kind))
			continue;
		amend_buffer_text(&names, names.size ? ", " : "");
		amend_buffer_text(&names, call->table->columns[call->puts[i].column].name);
	}
	amend_error_set(err, AMEND_CONSTRAINT,
			"%s would leave the bounds given; nothing was written",
			names.failed ? "a value" : amend_buffer_string(&names));
	amend_buffer_release(&names);
	return AMEND_CONSTRAINT;
}

static enum amend_status update(struct call *call, struct amend_error *err)
{
	struct amend_written what;
	enum amend_status status;

	status = amend_seen_check(call->db, call->table, &call->seen, &call->row, call->puts,
				  call->n_puts, &call->work, err);
	if (status != AMEND_OK)
		return status;
	keep_changes(call);
	if (call->n_puts == 0)
		return as_it_is(call, AMEND_IS_UNCHANGED, err);
	status = check_addends(call, err);
	if (status == AMEND_OK)
		status = amend_ledger_need(call->db, err);
	if (status == AMEND_OK)
		status = amend_row_update(call->db, call->table, &call->row, call->puts,
					  call->n_puts, call->work.arena, &what, err);
	if (status != AMEND_OK)
		return status;
	if (what.out_of_bounds)
		return out_of_bounds(call, err);
	call->moved = what.moved;
	return what.moved ? AMEND_OK : written(call, &what, AMEND_IS_UPDATED, err);
}

/* The first key that is not blank must be unique, or two could create the same record. */
static enum amend_status creation_key(const struct call *call, const struct amend_key **unique,
				      struct amend_error *err)
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

/* Bounds of a creation are proved on the row just written, in the same unit. */
static enum amend_status check_created(struct call *call, const struct amend_row *row,
				       struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	if (!amend_write_has_bounds(call->puts, call->n_puts))
		return AMEND_OK;
	amend_sql_init(&sql, call->db);
	amend_sql_text(&sql, "SELECT 1 FROM ");
	amend_sql_text(&sql, call->table->sql);
	amend_row_identity(&sql, call->table, row);
	for (size_t i = 0; i < call->n_puts; i++)
		call->puts[i].op = AMEND_SET;
	amend_write_bounds(&sql, call->table, call->puts, call->n_puts);
	status = amend_exec(call->db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 0)
		status = out_of_bounds(call, err);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status create(struct call *call, struct amend_error *err)
{
	const struct amend_key *unique = NULL;
	struct amend_written what;
	enum amend_status status = creation_key(call, &unique, err);

	if (status != AMEND_OK)
		return status;
	for (size_t i = 0; i < call->n_keys; i++) {
		const struct amend_request_key *key = &call->keys[i];

		for (size_t j = 0; j < key->n && !key->blank; j++)
			amend_request_put(call->puts, &call->n_puts, key->columns[j],
					  &key->values[j]);
	}
	status = amend_request_canonical(call->db, call->table, NULL, call->puts, call->n_puts,
					 call->work.arena, err);
	if (status == AMEND_OK)
		status = amend_ledger_need(call->db, err);
	if (status == AMEND_OK)
		status = amend_row_insert(call->db, call->table, unique, call->puts, call->n_puts,
					  call->work.arena, &what, err);
	if (status == AMEND_OK && !what.moved)
		status = check_created(call, &what.row, err);
	if (status != AMEND_OK)
		return status;
	call->moved = what.moved;
	return what.moved ? AMEND_OK : written(call, &what, AMEND_IS_CREATED, err);
}

static enum amend_status delete_found(struct call *call, struct amend_error *err)
{
	struct amend_written what;
	enum amend_status status = amend_seen_check(call->db, call->table, &call->seen, &call->row,
						    NULL, 0, &call->work, err);

	if (status == AMEND_OK)
		status = amend_ledger_need(call->db, err);
	if (status == AMEND_OK)
		status = amend_row_delete(call->db, call->table, &call->row, call->work.arena,
					  &what, err);
	if (status != AMEND_OK)
		return status;
	call->moved = what.moved;
	return what.moved ? AMEND_OK : written(call, &what, AMEND_IS_DELETED, err);
}

static enum amend_status exists(struct call *call, struct amend_error *err)
{
	call->work.result->outcome = AMEND_IS_CONFLICT;
	call->work.result->record = call->row.values;
	return amend_error_set(err, AMEND_EXISTS, "the record %s is in %s already", key_text(call),
			       call->table->qualified);
}

/* ---- the road ---- */

/* One try. `call->moved`: nothing was written, the world was faster. `may_write` false: stops before the first write. */
static enum amend_status go(struct call *call, const struct amend_lock *lock, bool may_write,
			    bool *wants_write, struct amend_error *err)
{
	enum amend_mode mode = call->write->mode;
	enum amend_status status;
	bool skip;

	amend_result_reset(&call->work);
	call->moved = false;
	*wants_write = false;
	status = match(call, lock, &skip, err);
	if (status != AMEND_OK)
		return status;
	if (skip) {
		call->work.result->outcome = AMEND_IS_SKIPPED;
		return AMEND_OK;
	}
	if (!call->found && (call->deleting || mode == AMEND_UPDATE || call->seen.any))
		return amend_seen_missing(call->db, call->table, &call->seen, key_text(call),
					  &call->work, err);
	if (call->found && !call->deleting && mode == AMEND_CREATE)
		return exists(call, err);
	if (call->found && !call->deleting && mode == AMEND_GET_OR_CREATE)
		return as_it_is(call, AMEND_IS_FOUND, err);
	if (call->deleting || !call->found) {
		*wants_write = true;
		if (!may_write)
			return AMEND_OK;
	}
	if (call->deleting)
		return delete_found(call, err);
	status = gather(call, err);
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

/* Under a hold: what is found stays, but a record that is not there cannot be held. */
static enum amend_status go_held(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct call *call = context;
	const struct amend_lock lock = {true, AMEND_FOR_UPDATE, call->write->wait};
	enum amend_status status = amend_hold_database(db, err);
	bool wants_write;

	for (int i = 0; status == AMEND_OK && i < HELD_TRIES; i++) {
		status = go(call, &lock, true, &wants_write, err);
		if (status != AMEND_OK || !call->moved)
			return status;
	}
	if (status == AMEND_OK)
		status = amend_error_set(err, AMEND_RETRY, "the record in %s kept moving",
					 call->table->qualified);
	return status;
}

static bool needs_hold(const struct call *call)
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
static bool only_adds(const struct call *call)
{
	const struct amend_write *write = call->write;

	if (call->deleting || write->compute || call->seen.any || call->n_keys != 1 ||
	    call->keys[0].blank || write->wait != AMEND_WAIT || call->n_set == 0 ||
	    (write->mode != AMEND_UPDATE && write->mode != AMEND_UPDATE_OR_CREATE))
		return false;
	for (size_t i = 0; i < call->n_set; i++) {
		const uint32_t column = call->set[i].column;

		if (call->set[i].op != AMEND_ADD)
			return false;
		/* A key that moves is the road's, which follows it. */
		for (size_t j = 0; j < call->table->n_identity; j++) {
			if (call->table->identity[j] == column)
				return false;
		}
	}
	return true;
}

/* `*done` false: there is no such record yet. */
static enum amend_status add(struct call *call, bool *done, struct amend_error *err)
{
	const struct amend_request_key *key = &call->keys[0];
	struct amend_written what;
	size_t n_found = 0;
	enum amend_status status = AMEND_OK;

	*done = false;
	call->n_puts = call->n_set;
	memcpy(call->puts, call->set, call->n_set * sizeof(*call->puts));
	status = apply_bounds(call, err);
	if (status == AMEND_OK)
		status = amend_request_canonical(call->db, call->table, NULL, call->puts,
						 call->n_puts, call->work.arena, err);
	if (status == AMEND_OK)
		status = amend_ledger_need(call->db, err);
	if (status == AMEND_OK)
		status = amend_cte_add(call->db, call->table, key->columns, key->values, key->n,
				       call->puts, call->n_puts, call->work.arena, &what, &n_found,
				       err);
	if (status != AMEND_OK || n_found == 0)
		return status;
	if (n_found > 1)
		return amend_request_several(call->table, key, err);
	*done = true;
	if (!what.out_of_bounds)
		return written(call, &what, AMEND_IS_UPDATED, err);
	call->row.values = what.before;
	status = check_addends(call, err);
	return status == AMEND_OK ? out_of_bounds(call, err) : status;
}

static enum amend_status run_held(struct call *call, struct amend_error *err)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	enum amend_status status;

	/* Where the hold is the database's, not waiting means not waiting for the unit to begin. */
	if (call->write->wait != AMEND_WAIT && !amend_has(call->db, AMEND_HAS_ROW_LOCK))
		options.lock_timeout_ms = 1;
	/* Inside a unit the hold lasts until the unit ends: no savepoint, unless a failure must not harm the rest. */
	options.merged = call->write->wait == AMEND_WAIT;
	status = amend_atomic(call->db, &options, go_held, call, err);
	if (status == AMEND_LOCKED && call->write->wait == AMEND_SKIP_LOCKED) {
		amend_result_reset(&call->work);
		call->work.result->outcome = AMEND_IS_SKIPPED;
		return AMEND_OK;
	}
	return status;
}

/* Reads without a lock first: what is equal costs no lock, no write, one trip. The write proves that what was read still stands. */
static enum amend_status run(struct call *call, struct amend_error *err)
{
	bool one_statement = amend_has(call->db, AMEND_HAS_WRITE_CTE) &&
			     amend_has(call->db, AMEND_HAS_ROW_VERSION) &&
			     amend_has(call->db, AMEND_HAS_SNAPSHOT_MOVES);
	enum amend_status status;
	bool wants_write, done;

	if (one_statement && only_adds(call)) {
		status = add(call, &done, err);
		if (status != AMEND_OK || done)
			return status;
	}
	/* What is got as it is needs no hold, whatever creating it would need. */
	if (needs_hold(call) && call->write->mode == AMEND_GET_OR_CREATE &&
	    call->write->wait == AMEND_WAIT) {
		status = go(call, &no_lock, false, &wants_write, err);
		if (status != AMEND_OK || (!wants_write && !call->moved))
			return status;
	}
	if (needs_hold(call))
		return run_held(call, err);
	for (int i = 0; i < OPTIMISTIC_TRIES; i++) {
		status = go(call, &no_lock, one_statement, &wants_write, err);
		if (status == AMEND_RETRY && !amend_in_transaction(call->db))
			continue;
		if (status != AMEND_OK || (!call->moved && (one_statement || !wants_write)))
			return status;
		if (!one_statement)
			break;
	}
	return run_held(call, err);
}

static enum amend_status run_as_unit(struct amend_conn *db, void *context, struct amend_error *err)
{
	(void)db;
	return run(context, err);
}

static enum amend_status resolve(struct call *call, const struct amend_match *keys, size_t n_keys,
				 const struct amend_expect *expect, struct amend_error *err)
{
	struct amend_arena *arena = call->work.arena;
	size_t room = call->table->n_columns + 1;
	enum amend_status status = AMEND_OK;

	call->keys = amend_arena_array(arena, n_keys ? n_keys : 1, sizeof(*call->keys));
	call->set = amend_arena_array(arena, room, sizeof(*call->set));
	call->puts = amend_arena_array(arena, room, sizeof(*call->puts));
	if (!call->keys || !call->set || !call->puts)
		return amend_no_memory(err);
	if (n_keys == 0)
		return amend_error_set(err, AMEND_INVALID, "expected a key");
	for (size_t i = 0; i < n_keys && status == AMEND_OK; i++)
		status = amend_request_key(call->db, call->table, &keys[i], arena, &call->keys[i],
					   err);
	call->n_keys = n_keys;
	if (status == AMEND_OK)
		status = amend_request_puts(call->table, call->write->set, call->write->n_set,
					    false, call->set, &call->n_set, err);
	if (status == AMEND_OK)
		status = amend_seen_resolve(call->db, call->table, expect, arena, &call->seen, err);
	return status;
}

static enum amend_status travel(struct amend_conn *db, const struct amend_table *table,
				const struct amend_write *write, const struct amend_match *keys,
				size_t n_keys, const struct amend_expect *expect, bool deleting,
				struct amend_result *result, struct amend_error *err)
{
	struct call call = {.db = db, .table = table, .write = write, .deleting = deleting};
	enum amend_status status = amend_result_begin(result, &call.work, err);

	if (status != AMEND_OK)
		return status;
	status = amend_enter(db, err);
	if (status != AMEND_OK)
		return status;
	status = resolve(&call, keys, n_keys, expect, err);
	/* In the application's transaction nothing of ours may break it: a savepoint around all. */
	if (status == AMEND_OK && db->borrowed && db->depth == 0)
		status = amend_atomic(db, NULL, run_as_unit, &call, err);
	else if (status == AMEND_OK)
		status = run(&call, err);
	amend_result_status(result, status);
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
	struct call *call = context;
	enum amend_status status = AMEND_OK;
	bool skip;

	for (int i = 0; status == AMEND_OK && i < HELD_TRIES; i++) {
		amend_result_reset(&call->work);
		call->moved = false;
		status = match(call, &no_lock, &skip, err);
		if (status == AMEND_OK && !call->found)
			status = amend_seen_missing(db, call->table, &call->seen, key_text(call),
						    &call->work, err);
		if (status == AMEND_OK)
			status = as_it_is(call, AMEND_IS_FOUND, err);
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
	struct call call = {.db = db, .table = table, .write = &write};
	enum amend_status status = amend_result_begin(result, &call.work, err);

	if (status != AMEND_OK)
		return status;
	status = amend_enter(db, err);
	if (status != AMEND_OK)
		return status;
	status = resolve(&call, key, 1, NULL, err);
	/* As in travel: a key that the column cannot hold must not break the application's transaction. */
	if (status == AMEND_OK && db->borrowed && db->depth == 0)
		status = amend_atomic(db, NULL, get, &call, err);
	else if (status == AMEND_OK)
		status = get(db, &call, err);
	amend_result_status(result, status);
	return amend_leave(db, status, err);
}

/* ---- holds ---- */

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
	struct call call;
	struct amend_lock lock;
};

static enum amend_status hold_record(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct holding *holding = context;
	struct call *call = &holding->call;
	enum amend_status status = amend_hold_database(db, err);
	bool skip = false;

	amend_result_reset(&call->work);
	if (status == AMEND_OK)
		status = match(call, &holding->lock, &skip, err);
	if (status != AMEND_OK)
		return status;
	if (skip) {
		call->work.result->outcome = AMEND_IS_SKIPPED;
		return AMEND_OK;
	}
	if (!call->found)
		return amend_seen_missing(db, call->table, &call->seen, key_text(call), &call->work,
					  err);
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
		status = resolve(&holding.call, key, 1, NULL, err);
	/* Locks taken behind a savepoint vanish with it: one only where a refusal must not end the unit. */
	if (status == AMEND_OK && (wait == AMEND_NOWAIT || db->depth == 0))
		status = amend_atomic(db, NULL, hold_record, &holding, err);
	else if (status == AMEND_OK)
		status = hold_record(db, &holding, err);
	amend_result_status(result, status);
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
	if (status == AMEND_OK && (wait == AMEND_NOWAIT || db->depth == 0))
		status = amend_atomic(db, NULL, hold_table, &holding, err);
	else if (status == AMEND_OK)
		status = hold_table(db, &holding, err);
	return amend_leave(db, status, err);
}
