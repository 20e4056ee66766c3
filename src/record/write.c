/*
 * Writing one row and recording it, statement by statement under a hold: the
 * way every engine can. Also the pieces of SQL that both ways share.
 * Leaves the single statement to write_cte.c, and what to write to its callers.
 */
#include "record/write.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/lease.h"
#include "record/cascade.h"
#include "sql/table.h"

static const struct amend_lock for_update = {true, AMEND_FOR_UPDATE, AMEND_WAIT};

bool amend_write_has_bounds(const struct amend_put *puts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (puts[i].min.kind != AMEND_NULL || puts[i].max.kind != AMEND_NULL)
			return true;
	}
	return false;
}

enum amend_status amend_write_refused(const struct amend_table *table, const char *did,
				      struct amend_error *err)
{
	return amend_error_set(err, AMEND_CONSTRAINT,
			       "the database %s %s: a trigger or a policy of the table refused it",
			       did, table->qualified);
}

/* The value a put leads to: a parameter, or `column + parameter`. */
static void add_target(struct amend_sql *sql, const struct amend_column *column,
		       const struct amend_put *put)
{
	if (put->op == AMEND_ADD) {
		amend_sql_name(sql, column->name);
		amend_sql_text(sql, " + ");
		amend_sql_number_as(sql, column, &put->value);
		return;
	}
	amend_sql_value_as(sql, column, &put->value);
}

static bool assigns(const struct amend_put *puts, size_t n, int column)
{
	for (size_t i = 0; i < n; i++) {
		if ((int)puts[i].column == column)
			return true;
	}
	return false;
}

void amend_write_version(struct amend_sql *sql, const struct amend_table *table,
			 const struct amend_put *puts, size_t n)
{
	const char *name;

	if (table->version < 0 || table->guard_version || assigns(puts, n, table->version))
		return;
	name = table->columns[table->version].name;
	/* Last: an engine that evaluates from left to right must not see it moved before the rest. */
	amend_sql_text(sql, ", ");
	amend_sql_name(sql, name);
	amend_sql_text(sql, " = ");
	amend_sql_text(sql, table->version_is_time ? sql->dialect->next_time[0] : "");
	amend_sql_name(sql, name);
	amend_sql_text(sql, table->version_is_time ? sql->dialect->next_time[1] : " + 1");
}

void amend_write_assignments(struct amend_sql *sql, const struct amend_table *table,
			     const struct amend_put *puts, size_t n)
{
	amend_sql_text(sql, " SET ");
	for (size_t i = 0; i < n; i++) {
		const struct amend_column *column = &table->columns[puts[i].column];

		amend_sql_comma(sql, i);
		amend_sql_name(sql, column->name);
		amend_sql_text(sql, " = ");
		add_target(sql, column, &puts[i]);
	}
	amend_write_version(sql, table, puts, n);
}

void amend_write_bounds(struct amend_sql *sql, const struct amend_table *table,
			const struct amend_put *puts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct amend_column *column = &table->columns[puts[i].column];

		if (puts[i].min.kind != AMEND_NULL) {
			amend_sql_text(sql, " AND (");
			add_target(sql, column, &puts[i]);
			amend_sql_text(sql, ") >= ");
			amend_sql_number_as(sql, column, &puts[i].min);
		}
		if (puts[i].max.kind != AMEND_NULL) {
			amend_sql_text(sql, " AND (");
			add_target(sql, column, &puts[i]);
			amend_sql_text(sql, ") <= ");
			amend_sql_number_as(sql, column, &puts[i].max);
		}
	}
}

/* Nobody else gives the version column its first value. */
static bool needs_first_version(const struct amend_table *table, const struct amend_put *puts,
				size_t n)
{
	return table->version >= 0 && !assigns(puts, n, table->version) &&
	       !table->columns[table->version].has_default &&
	       table->columns[table->version].not_null;
}

void amend_write_insert_head(struct amend_sql *sql, const struct amend_table *table,
			     const struct amend_put *puts, size_t n)
{
	amend_sql_text(sql, "INSERT INTO ");
	amend_sql_text(sql, table->sql);
	amend_sql_text(sql, " (");
	for (size_t i = 0; i < n; i++) {
		amend_sql_comma(sql, i);
		amend_sql_name(sql, table->columns[puts[i].column].name);
	}
	if (needs_first_version(table, puts, n)) {
		amend_sql_comma(sql, n);
		amend_sql_name(sql, table->columns[table->version].name);
	}
	amend_sql_text(sql, ")");
	/* An identity that only the database writes is put where a record comes back. */
	for (size_t i = 0; i < n; i++) {
		const struct amend_column *column = &table->columns[puts[i].column];

		if (!column->generated || !column->identity)
			continue;
		amend_sql_text(sql, " OVERRIDING SYSTEM VALUE");
		break;
	}
}

void amend_write_first_version(struct amend_sql *sql, const struct amend_table *table,
			       const struct amend_put *puts, size_t n)
{
	static const struct amend_value first = {.kind = AMEND_INTEGER, .as.integer = 1};

	if (!needs_first_version(table, puts, n))
		return;
	amend_sql_comma(sql, n);
	if (table->version_is_time)
		amend_sql_text(sql, "CURRENT_TIMESTAMP");
	else
		amend_sql_value_as(sql, &table->columns[table->version], &first);
}

void amend_write_values(struct amend_sql *sql, const struct amend_table *table,
			const struct amend_put *puts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		amend_sql_comma(sql, i);
		amend_sql_value_as(sql, &table->columns[puts[i].column], &puts[i].value);
	}
	amend_write_first_version(sql, table, puts, n);
}

void amend_write_unless_there(struct amend_sql *sql, const struct amend_table *table,
			      const struct amend_key *key)
{
	if (key)
		amend_sql_unless_key(sql, table, key);
}

void amend_write_insertion(struct amend_sql *sql, const struct amend_table *table,
			   const struct amend_key *key, const struct amend_put *puts, size_t n)
{
	if (n == 0 && !needs_first_version(table, puts, n)) {
		amend_sql_text(sql, "INSERT INTO ");
		amend_sql_text(sql, table->sql);
		amend_sql_text(sql, sql->dialect->default_row);
	} else {
		amend_write_insert_head(sql, table, puts, n);
		amend_sql_text(sql, " VALUES (");
		amend_write_values(sql, table, puts, n);
		amend_sql_text(sql, ")");
	}
	amend_write_unless_there(sql, table, key);
}

/* ---- under a hold ---- */

/* The identity after the write: the puts may have moved it. */
static void follow_identity(const struct amend_table *table, const struct amend_row *row,
			    const struct amend_put *puts, size_t n, struct amend_value *values)
{
	memcpy(values, row->values, table->n_columns * sizeof(*values));
	for (size_t i = 0; i < n; i++) {
		if (puts[i].op == AMEND_SET)
			values[puts[i].column] = puts[i].value;
	}
}

static enum amend_status read_written(struct amend_conn *db, const struct amend_table *table,
				      const struct amend_row *row, const struct amend_put *puts,
				      size_t n, struct amend_arena *arena, struct amend_row *after,
				      struct amend_error *err)
{
	struct amend_value *values = amend_arena_array(arena, table->n_columns, sizeof(*values));
	struct amend_row moved = *row;
	enum amend_status status;
	bool found;

	if (!values)
		return amend_no_memory(err);
	follow_identity(table, row, puts, n, values);
	moved.values = values;
	status = amend_row_again(db, table, &moved, NULL, arena, after, &found, err);
	if (status == AMEND_OK && !found)
		status = amend_error_set(err, AMEND_INTERNAL, "the row just written to %s is gone",
					 table->qualified);
	return status;
}

static bool has_say(const struct amend_table *table)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		if (table->columns[i].generated)
			return true;
	}
	return table->has_triggers || table->settles_late || table->guard_version ||
	       table->guard_history;
}

/* What becomes of one value; false: that is for the database to say. */
static bool follow_put(const struct amend_put *put, struct amend_value *value)
{
	if (put->op == AMEND_SET) {
		*value = put->value;
		return true;
	}
	return put->op == AMEND_ADD && value->kind == AMEND_INTEGER &&
	       put->value.kind == AMEND_INTEGER &&
	       !__builtin_add_overflow(value->as.integer, put->value.as.integer, &value->as.integer);
}

/*
 * The row as it is now, without asking: where columns hold what they are given, in the form that it has here, and
 * nobody else has a say in it. A server's answer is a trip, with the row held. False: it has to be read.
 */
static bool follow(const struct amend_conn *db, const struct amend_table *table,
		   const struct amend_row *row, const struct amend_put *puts, size_t n,
		   struct amend_arena *arena, struct amend_row *after)
{
	struct amend_value *values = NULL;
	bool ok = amend_has(db, AMEND_HAS_TYPED_STORAGE) && table->n_identity > 0 && !has_say(table);

	for (size_t i = 0; ok && i < table->n_identity; i++)
		ok = !assigns(puts, n, (int)table->identity[i]);
	if (ok && table->version >= 0 && !assigns(puts, n, table->version))
		ok = row->values[table->version].kind == AMEND_INTEGER &&
		     row->values[table->version].as.integer < INT64_MAX;
	if (ok)
		values = amend_arena_array(arena, table->n_columns, sizeof(*values));
	if (!values)
		return false;
	memcpy(values, row->values, table->n_columns * sizeof(*values));
	for (size_t i = 0; ok && i < n; i++)
		ok = follow_put(&puts[i], &values[puts[i].column]);
	if (table->version >= 0 && !assigns(puts, n, table->version))
		values[table->version].as.integer++;
	for (size_t i = 0; ok && i < table->n_columns; i++)
		ok = amend_arena_value(arena, &values[i], &values[i]);
	*after = *row;
	after->values = values;
	after->pk = amend_arena_text(arena, row->pk);
	after->version = amend_null();
	return ok && after->pk;
}

enum amend_status amend_write_held(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_row *row, const struct amend_put *puts,
				   size_t n, struct amend_arena *arena, struct amend_row *after,
				   bool *wrote, struct amend_error *err)
{
	/* RETURNING does not show what triggers do after it. */
	bool returns = amend_write_in_one(db, table);
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_text(&sql, table->sql);
	amend_write_assignments(&sql, table, puts, n);
	amend_row_identity(&sql, table, row);
	amend_write_bounds(&sql, table, puts, n);
	if (returns) {
		amend_sql_text(&sql, " RETURNING ");
		amend_row_columns(&sql, db, table, "");
	}
	status = amend_write_exec(db, table, &sql, &rows, err);
	amend_sql_release(&sql);
	*wrote = rows.changes > 0;
	if (status == AMEND_OK && *wrote && returns)
		status = amend_row_take(db, table, &rows, 0, arena, after, err);
	else if (status == AMEND_OK && *wrote && !follow(db, table, row, puts, n, arena, after))
		status = read_written(db, table, row, puts, n, arena, after, err);
	amend_rows_release(&rows);
	return status;
}

struct step {
	const struct amend_table *table;
	const struct amend_key *key;
	const struct amend_row *row;
	const struct amend_put *puts;
	size_t n;
	struct amend_arena *arena;
	struct amend_written *out;
	bool wrote; /* the row is written: what fails now must undo it */
};

/* Holds the row and proves that it is what was read. */
static enum amend_status hold(struct amend_conn *db, const struct step *step, struct amend_row *now,
			      struct amend_error *err)
{
	bool found;
	enum amend_status status;

	*now = *step->row;
	if (step->row->held)
		return amend_lease_pass(db, step->table, step->row->pk, err);
	status = amend_hold_database(db, err);
	if (status == AMEND_OK)
		status = amend_row_again(db, step->table, step->row, &for_update, step->arena, now,
					 &found, err);
	if (status == AMEND_OK && (!found || !amend_row_same(db, step->table, step->row, now)))
		step->out->moved = true;
	if (status == AMEND_OK && !step->out->moved)
		status = amend_lease_pass(db, step->table, step->row->pk, err);
	return status;
}

enum amend_status amend_write_exec(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_sql *sql, struct amend_rows *rows,
				   struct amend_error *err)
{
	enum amend_status status = table->guard_history ? amend_handover_begin(db, err) : AMEND_OK;

	if (status == AMEND_OK)
		status = amend_exec_standing(db, table, sql, rows, err);
	if (status == AMEND_OK && table->guard_history)
		status = amend_handover_end(db, err);
	return status;
}

enum amend_status amend_write_one(struct amend_conn *db, const struct amend_table *table,
				  const struct amend_sql *sql, const struct amend_row *row,
				  const struct amend_put *puts, size_t n, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	bool handed, wrote;
	enum amend_status status = amend_cascades_begin(db, table, row, puts, n, &handed, err);

	if (status == AMEND_OK)
		status = amend_write_exec(db, table, sql, &rows, err);
	wrote = rows.changes > 0;
	if (status == AMEND_OK)
		status = amend_cascades_end(db, handed, err);
	if (status == AMEND_OK && !wrote)
		status = amend_write_refused(table, n ? "changed no row of" : "deleted no row of",
					     err);
	amend_rows_release(&rows);
	if (status != AMEND_OK && wrote)
		amend_conn_fail(db, err);
	return status;
}

/* What its triggers have recorded. Where they left no trace of themselves, they may be gone. */
static enum amend_status find_change(struct amend_conn *db, const struct step *step, const char *pk,
				     const struct amend_value *before,
				     const struct amend_value *after, struct amend_error *err)
{
	const struct amend_table *table = step->table;
	enum amend_status status = AMEND_OK;
	bool traced = true;

	if (table->guard_history) {
		status = amend_handover_change(db, table, pk, &step->out->change, err);
		traced = step->out->change != 0;
	}
	if (table->guard_version && before && after)
		traced = traced &&
			 !amend_value_equal(&before[table->version], &after[table->version]);
	if (status == AMEND_OK && !traced)
		status = amend_table_stands(db, table, err);
	/* Of an update they record nothing where nothing that they cover has changed. */
	if (status == AMEND_OK && table->guard_history && step->out->change == 0 &&
	    !(before && after))
		status = amend_error_set(
			err, AMEND_INVALID,
			"%s: its triggers have recorded nothing of this %s; nothing was "
			"written (hint: amend check, and amend guard once more)",
			table->qualified, after ? "creation" : "deletion");
	return status;
}

static enum amend_status record(struct amend_conn *db, const struct step *step, const char *op,
				const char *pk, const char *was, const struct amend_value *before,
				const struct amend_value *after, struct amend_error *err)
{
	struct amend_buffer fields = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	step->out->revision = amend_revision_current(db);
	step->out->before = before;
	if (step->table->guard_version || step->table->guard_history)
		status = find_change(db, step, pk, before, after, err);
	if (status != AMEND_OK || step->table->guard_history)
		return status;
	amend_fields_text(&fields, step->table, before, after);
	if (fields.failed) {
		status = amend_no_memory(err);
	} else {
		const struct amend_change_spec spec = {
			.table = step->table, .pk = pk, .was = was, .op = op, .fields = fields.data};

		status = amend_change_record(db, &spec, &step->out->change, err);
	}
	amend_buffer_release(&fields);
	step->out->revision = amend_revision_current(db);
	step->out->before = before;
	return status;
}

/* SQLite would turn an overflowing integer into a real, and text into a number: neither is what was asked for. */
static enum amend_status check_sums(const struct step *step, const struct amend_row *before,
				    const struct amend_row *after, struct amend_error *err)
{
	for (size_t i = 0; i < step->n; i++) {
		uint32_t at = step->puts[i].column;
		const struct amend_value *from = &before->values[at], *to = &after->values[at];

		if (step->puts[i].op != AMEND_ADD)
			continue;
		if (from->kind == AMEND_INTEGER && step->puts[i].value.kind == AMEND_INTEGER &&
		    to->kind != AMEND_INTEGER)
			return amend_error_set(
				err, AMEND_CONSTRAINT, "%s.%s would leave the range of integers",
				step->table->qualified, step->table->columns[at].name);
		if (to->kind == AMEND_REAL && !isfinite(to->as.real) &&
		    !(from->kind == AMEND_REAL && !isfinite(from->as.real)))
			return amend_error_set(
				err, AMEND_CONSTRAINT, "%s.%s would leave the range of numbers",
				step->table->qualified, step->table->columns[at].name);
	}
	return AMEND_OK;
}

static enum amend_status update_held(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct step *step = context;
	const struct amend_table *table = step->table;
	struct amend_row now;
	enum amend_status status = hold(db, step, &now, err);
	bool handed;

	if (status != AMEND_OK || step->out->moved)
		return status;
	status = amend_cascades_begin(db, table, &now, step->puts, step->n, &handed, err);
	if (status == AMEND_OK)
		status = amend_write_held(db, table, &now, step->puts, step->n, step->arena,
					  &step->out->row, &step->wrote, err);
	if (status == AMEND_OK)
		status = amend_cascades_end(db, handed, err);
	if (status == AMEND_OK && !step->wrote) {
		step->out->out_of_bounds = amend_write_has_bounds(step->puts, step->n);
		return step->out->out_of_bounds
			       ? AMEND_OK
			       : amend_write_refused(table, "changed no row of", err);
	}
	if (status == AMEND_OK)
		status = check_sums(step, &now, &step->out->row, err);
	if (status != AMEND_OK)
		return status;
	step->out->row.held = true;
	return record(db, step, "update", step->out->row.pk,
		      strcmp(now.pk, step->out->row.pk) == 0 ? NULL : now.pk, now.values,
		      step->out->row.values, err);
}

static enum amend_status insert_held(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct step *step = context;
	const struct amend_table *table = step->table;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_row inserted;
	struct amend_sql sql;
	enum amend_status status;
	bool found = false;

	status = amend_hold_database(db, err);
	if (status == AMEND_OK && amend_lease_claims(db))
		status = amend_lease_pass(db, table, NULL, err);
	if (status != AMEND_OK)
		return status;
	amend_sql_init(&sql, db);
	amend_write_insertion(&sql, table, step->key, step->puts, step->n);
	amend_sql_text(&sql, " RETURNING ");
	amend_row_columns(&sql, db, table, "");
	status = amend_write_exec(db, table, &sql, &rows, err);
	step->wrote = rows.n_rows > 0;
	if (status == AMEND_OK && rows.n_rows == 0 && step->key)
		step->out->moved = true;
	else if (status == AMEND_OK && rows.n_rows == 0)
		status = amend_write_refused(table, "created no row in", err);
	else if (status == AMEND_OK)
		status = amend_row_take(db, table, &rows, 0, step->arena, &inserted, err);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	if (status != AMEND_OK || step->out->moved)
		return status;
	/* Again: RETURNING does not show what triggers did after it. */
	status = amend_row_again(db, table, &inserted, NULL, step->arena, &step->out->row, &found,
				 err);
	if (status == AMEND_OK && !found)
		step->out->row = inserted;
	step->out->row.held = true;
	if (status != AMEND_OK)
		return status;
	return record(db, step, "create", step->out->row.pk, NULL, NULL, step->out->row.values, err);
}

static enum amend_status delete_held(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct step *step = context;
	struct amend_row now;
	struct amend_sql sql;
	enum amend_status status = hold(db, step, &now, err);

	if (status != AMEND_OK || step->out->moved)
		return status;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "DELETE FROM ");
	amend_sql_text(&sql, step->table->sql);
	amend_row_identity(&sql, step->table, &now);
	status = amend_write_one(db, step->table, &sql, &now, NULL, 0, err);
	amend_sql_release(&sql);
	step->wrote = status == AMEND_OK;
	if (status != AMEND_OK)
		return status;
	step->out->row = now;
	return record(db, step, "delete", now.pk, NULL, now.values, NULL, err);
}

bool amend_write_in_one(const struct amend_conn *db, const struct amend_table *table)
{
	return amend_has(db, AMEND_HAS_WRITE_CTE) && amend_has(db, AMEND_HAS_ROW_VERSION) &&
	       !table->settles_late;
}

/*
 * Whether that statement will do for this row (NULL: a new one). A lease that is carried is tested by a
 * statement before it, in one unit; so are those of others where the row is held already. Where it is
 * not, the statement itself sees that there are none.
 */
static enum amend_status in_one(struct amend_conn *db, const struct amend_table *table,
				const struct amend_row *row, bool *yes, struct amend_error *err)
{
	const char *pk = row ? row->pk : NULL;
	bool carried = amend_lease_concerns(db, table, pk);

	*yes = amend_write_in_one(db, table) && (!carried || db->depth > 0);
	if (!*yes || (!carried && !(row && row->held)))
		return AMEND_OK;
	return amend_lease_pass(db, table, pk, err);
}

/* In the open unit, or as one of its own. */
static enum amend_status as_unit(struct amend_conn *db, amend_unit_fn fn, struct step *step,
				 struct amend_error *err)
{
	enum amend_status status;

	*step->out = (struct amend_written){0};
	if (db->depth == 0)
		return amend_atomic(db, NULL, fn, step, err);
	status = fn(db, step, err);
	if (status != AMEND_OK && step->wrote)
		amend_conn_fail(db, err);
	return status;
}

enum amend_status amend_row_update(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_row *row, const struct amend_put *puts,
				   size_t n_puts, struct amend_arena *arena,
				   struct amend_written *out, struct amend_error *err)
{
	struct step step = {table, NULL, row, puts, n_puts, arena, out, false};
	bool one = false;
	/* What changes with it is looked for under a hold. */
	enum amend_status status = amend_cascades_by_update(db, table, puts, n_puts)
					   ? AMEND_OK
					   : in_one(db, table, row, &one, err);

	if (status != AMEND_OK)
		return status;
	if (one)
		return amend_cte_update(db, table, row, puts, n_puts, arena, out, err);
	return as_unit(db, update_held, &step, err);
}

enum amend_status amend_row_insert(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_key *key, const struct amend_put *puts,
				   size_t n_puts, struct amend_arena *arena,
				   struct amend_written *out, struct amend_error *err)
{
	struct step step = {table, key, NULL, puts, n_puts, arena, out, false};
	bool one;
	enum amend_status status = in_one(db, table, NULL, &one, err);

	if (status != AMEND_OK)
		return status;
	if (one)
		return amend_cte_insert(db, table, key, puts, n_puts, arena, out, err);
	return as_unit(db, insert_held, &step, err);
}

enum amend_status amend_row_delete(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_row *row, struct amend_arena *arena,
				   struct amend_written *out, struct amend_error *err)
{
	struct step step = {table, NULL, row, NULL, 0, arena, out, false};
	bool one = false;
	/* What goes with it is looked for under a hold. */
	enum amend_status status = amend_cascades_by_delete(db, table)
					   ? AMEND_OK
					   : in_one(db, table, row, &one, err);

	if (status != AMEND_OK)
		return status;
	if (one)
		return amend_cte_delete(db, table, row, arena, out, err);
	return as_unit(db, delete_held, &step, err);
}
