/*
 * A refused write, held against all that the table demands: what the row would have been.
 * Leaves looking to src/sql and its drivers.
 */
#include "record/violations.h"

#include <string.h>

#include "record/call.h"

static const struct amend_lock no_lock = {false, AMEND_FOR_UPDATE, AMEND_WAIT};

struct making {
	const struct amend_table *table;
	const struct amend_row *row;
	struct amend_arena *arena;
	struct amend_value *after;
	enum amend_known *known;
	const char **problem;
	bool unfit;
};

/* "t.c: expected ..": its column is named apart. */
static const char *without_name(const struct making *making, const struct amend_column *column,
				const char *text)
{
	const char *table = making->table->qualified;
	size_t size = strlen(table);

	if (strncmp(text, table, size) == 0 && text[size] == '.' &&
	    strncmp(text + size + 1, column->name, strlen(column->name)) == 0 &&
	    strncmp(text + size + 1 + strlen(column->name), ": ", 2) == 0)
		text += size + 1 + strlen(column->name) + 2;
	return amend_arena_text(making->arena, text);
}

struct addition {
	const struct making *making;
	const struct amend_put *put;
};

/* As the write itself would add; inside a unit of its own, for it may leave the column's range. */
static enum amend_status add(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct addition *addition = context;
	const struct making *making = addition->making;
	const struct amend_column *column = &making->table->columns[addition->put->column];
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT ");
	amend_sql_name(&sql, column->name);
	amend_sql_text(&sql, " + ");
	amend_sql_number_as(&sql, column, &addition->put->value);
	amend_sql_text(&sql, " FROM ");
	amend_sql_text(&sql, making->table->sql);
	amend_row_identity(&sql, making->table, making->row);
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 1) {
		if (!amend_arena_value(making->arena, amend_rows_at(&rows, 0, 0),
				       &making->after[addition->put->column]))
			status = amend_no_memory(err);
		making->known[addition->put->column] = AMEND_KNOWN;
	}
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status make_put(struct amend_conn *db, struct making *making,
				  const struct amend_put *given, struct amend_error *err)
{
	struct amend_put put = {.column = given->column, .op = given->op, .value = given->value};
	struct addition addition = {making, &put};
	struct amend_error why;
	enum amend_status status = amend_request_canonical(db, making->table, NULL, &put, 1,
							   making->arena, &why);

	making->after[put.column] = put.value;
	making->known[put.column] = AMEND_KNOWN;
	if (status == AMEND_INVALID) {
		making->unfit = true;
		making->known[put.column] = AMEND_UNFIT;
		making->problem[put.column] = without_name(
			making, &making->table->columns[put.column], why.text);
		return making->problem[put.column] ? AMEND_OK : amend_no_memory(err);
	}
	if (status != AMEND_OK) {
		*err = why;
		return status;
	}
	if (put.op == AMEND_SET || !making->row)
		return AMEND_OK;
	making->known[put.column] = AMEND_UNKNOWN;
	status = amend_atomic(db, NULL, add, &addition, &why);
	/* A sum that cannot be made is what the engine has said. */
	if (status != AMEND_OK && status != AMEND_INVALID && status != AMEND_CONSTRAINT)
		*err = why;
	else
		status = AMEND_OK;
	return status;
}

/* The version column moves by itself. */
static void make_version(struct making *making)
{
	int version = making->table->version;

	if (version < 0)
		return;
	making->known[version] = AMEND_UNKNOWN;
	if (making->row || making->table->version_is_time ||
	    making->table->columns[version].has_default)
		return;
	making->after[version] = amend_integer(1);
	making->known[version] = AMEND_KNOWN;
}

static enum amend_status make(struct amend_conn *db, struct making *making,
			      const struct amend_put *puts, size_t n_puts, struct amend_error *err)
{
	size_t n = making->table->n_columns;
	enum amend_status status = AMEND_OK;

	making->after = amend_arena_array(making->arena, n, sizeof(*making->after));
	making->known = amend_arena_array(making->arena, n, sizeof(*making->known));
	making->problem = amend_arena_array(making->arena, n, sizeof(*making->problem));
	if (!making->after || !making->known || !making->problem)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		making->known[i] = making->row ? AMEND_KNOWN : AMEND_DEFAULT;
		if (making->row)
			making->after[i] = making->row->values[i];
	}
	make_version(making);
	for (size_t i = 0; i < n_puts && status == AMEND_OK; i++)
		status = make_put(db, making, &puts[i], err);
	return status;
}

enum amend_status amend_row_violations(struct amend_conn *db, const struct amend_table *table,
				       const struct amend_row *row, const struct amend_put *puts,
				       size_t n_puts, struct amend_violations *list,
				       struct amend_error *err)
{
	struct making making = {.table = table, .row = row, .arena = list->arena};
	struct amend_wish wish = {.table = table};
	enum amend_status status = AMEND_OK;

	if (row) {
		wish.before = row->values;
		wish.rowid = row->rowid;
	}
	if (!row || n_puts > 0) {
		status = make(db, &making, puts, n_puts, err);
		wish.after = making.after;
		wish.known = making.known;
		wish.problem = making.problem;
		list->unfit = making.unfit;
	}
	return status == AMEND_OK ? amend_violations_look(db, &wish, list, err) : status;
}

bool amend_violations_worth(const struct amend_error *err)
{
	/* A bound of amend's own is not the engine's: it is in the message whole. */
	return err->status == AMEND_INVALID ||
	       (err->status == AMEND_CONSTRAINT && *err->sqlstate != '\0');
}

/* ---- of a call ---- */

struct explanation {
	struct amend_call *call;
	struct amend_violations list;
};

/* The keys of what is to be created are written too. */
static void put_keys(struct amend_call *call)
{
	for (size_t i = 0; i < call->n_keys; i++) {
		const struct amend_request_key *key = &call->keys[i];

		for (size_t j = 0; j < key->n && !key->blank; j++)
			amend_request_put(call->puts, &call->n_puts, key->columns[j],
					  &key->values[j]);
	}
}

static enum amend_status explain(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct explanation *explanation = context;
	struct amend_call *call = explanation->call;
	bool skip, creates = call->write->mode != AMEND_UPDATE;
	enum amend_status status = amend_call_match(call, &no_lock, &skip, err);

	if (status != AMEND_OK || call->moved || skip)
		return status;
	if (call->deleting)
		return call->found ? amend_row_violations(db, call->table, &call->row, NULL, 0,
							  &explanation->list, err)
				   : AMEND_OK;
	if (call->found ? call->write->mode != AMEND_UPDATE &&
				  call->write->mode != AMEND_UPDATE_OR_CREATE
			: !creates)
		return AMEND_OK;
	/* A value that its column cannot hold is one of what is looked for. */
	if (!call->left)
		status = amend_call_gather(call, err);
	if (status != AMEND_OK && status != AMEND_INVALID)
		return status;
	if (call->left) {
		memcpy(call->puts, call->left, call->n_left * sizeof(*call->puts));
		call->n_puts = call->n_left;
	}
	if (!call->found)
		put_keys(call);
	if (call->found && call->n_puts == 0)
		return AMEND_OK;
	return amend_row_violations(db, call->table, call->found ? &call->row : NULL, call->puts,
				    call->n_puts, &explanation->list, err);
}

void amend_call_explain(struct amend_call *call, const struct amend_error *err)
{
	struct amend_conn *db = call->db;
	struct amend_result *result = call->work.result;
	const struct amend_result before = *result;
	struct explanation explanation = {.call = call, .list = {.arena = call->work.arena}};
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct amend_error ignored;

	/* What was refused long ago is not what is there now; and a unit that has failed answers nothing. */
	if (!amend_violations_worth(err) || before.repeated ||
	    (db->depth > 0 && db->levels[db->depth - 1].failed))
		return;
	/* As in amend_violations_look. */
	options.read_only = db->depth == 0 && !db->borrowed && amend_has(db, AMEND_HAS_DDL_ROLLBACK);
	call->at_hand = call->moved = false;
	/* What amend itself refused, for another reason than a value, the table's rules have no part in. */
	if (amend_atomic(db, &options, explain, &explanation, &ignored) != AMEND_OK ||
	    (!*err->sqlstate && !explanation.list.unfit))
		explanation.list.n = 0;
	*result = before;
	result->violations = explanation.list.all;
	result->n_violations = explanation.list.n;
}
