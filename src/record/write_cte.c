/*
 * Writing one row and recording it in one statement: a data-modifying WITH.
 * Outside a unit the statement is its own transaction, so a change costs one trip.
 * Leaves statements that find their row themselves to write_found.c, and engines that lack it to write.c.
 */
#include <stddef.h>

#include "core/rows.h"
#include "ledger/lease.h"
#include "record/cte.h"
#include "sql/table.h"

/* Runs it; no row: nothing was written. */
static enum amend_status run(struct amend_conn *db, const struct amend_sql *sql,
			     const struct amend_table *table, struct amend_arena *arena,
			     struct amend_written *out, bool take, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_cte_exec(db, sql, &rows, err);

	out->moved = status == AMEND_OK && rows.n_rows == 0;
	if (status == AMEND_OK && !out->moved)
		status = amend_cte_written(db, &rows, out, err);
	if (status == AMEND_OK && take && !out->moved) {
		const struct amend_rows row = {
			.n_rows = 1, .n_columns = rows.n_columns - 2, .values = rows.values};

		status = amend_row_take(db, table, &row, 0, arena, &out->row, err);
		out->row.held = db->depth > 0;
	}
	amend_rows_release(&rows);
	return status;
}

static void add_guard(struct amend_sql *sql, const struct amend_conn *db,
		      const struct amend_table *table, const struct amend_row *row)
{
	amend_row_identity(sql, table, row);
	amend_table_gate(sql, db, table);
	if (row->held)
		return;
	amend_sql_text(sql, " AND (");
	amend_sql_text(sql, db->dialect->row_version);
	amend_sql_text(sql, ") = ");
	amend_sql_string(sql, row->version.as.text);
	if (!amend_lease_is_of(db, table, row->pk))
		amend_lease_gate(sql, table);
}

static void add_guard_shape(struct amend_shape *shape, const struct amend_conn *db,
			    const struct amend_table *table, const struct amend_row *row)
{
	const bool kind[] = {row->held, amend_lease_is_of(db, table, row->pk)};

	amend_shape_add(shape, kind, sizeof(kind));
}

enum amend_status amend_cte_update(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_row *row, const struct amend_put *puts,
				   size_t n, struct amend_arena *arena, struct amend_written *out,
				   struct amend_error *err)
{
	const struct amend_cte_reach reach = amend_cte_reach(table, puts, n);
	struct amend_shape shape;
	struct amend_sql sql;
	enum amend_status status = amend_cte_prepare(db, out, err);

	if (status != AMEND_OK)
		return status;
	amend_cte_shape(&shape, db, "update", table, puts, n);
	add_guard_shape(&shape, db, table, row);
	amend_sql_init_shape(&sql, db, &shape);
	amend_sql_text(&sql, "WITH u AS (UPDATE ");
	amend_sql_text(&sql, table->sql);
	amend_write_assignments(&sql, table, puts, n);
	add_guard(&sql, db, table, row);
	amend_write_bounds(&sql, table, puts, n);
	amend_sql_text(&sql, " RETURNING ");
	amend_row_columns(&sql, db, table, "");
	amend_cte_numbers(&sql, db);
	amend_cte_change(&sql, db, table, "update");
	amend_cte_pk(&sql, db, table);
	amend_sql_text(&sql, ", nullif(");
	amend_sql_string(&sql, row->pk);
	amend_sql_text(&sql, ", ");
	amend_cte_pk(&sql, db, table);
	amend_sql_text(&sql, "), ");
	amend_cte_fields(&sql, db, table, &reach, AMEND_CTE_VALUES, row->values);
	amend_cte_changed(&sql, db);
	amend_row_columns(&sql, db, table, "u.");
	amend_sql_text(&sql, ", ");
	amend_cte_result(&sql, db, "");
	status = run(db, &sql, table, arena, out, true, err);
	amend_sql_release(&sql);
	out->before = row->values;
	if (status != AMEND_OK || !out->moved || !row->held)
		return status;
	/* Held, so it cannot have moved. */
	status = amend_table_stands(db, table, err);
	if (status != AMEND_OK)
		return status;
	out->moved = false;
	out->out_of_bounds = amend_write_has_bounds(puts, n);
	return out->out_of_bounds ? AMEND_OK : amend_write_refused(table, "changed no row of", err);
}

/* As amend_write_insertion, unless the table is guarded in another way by now; n is not 0: a key was put. */
static void add_insertion(struct amend_sql *sql, const struct amend_conn *db,
			  const struct amend_table *table, const struct amend_key *key,
			  const struct amend_put *puts, size_t n)
{
	if (n == 0) {
		amend_write_insertion(sql, table, key, puts, n);
		return;
	}
	amend_write_insert_head(sql, table, puts, n);
	amend_sql_text(sql, " SELECT ");
	amend_write_values(sql, table, puts, n);
	amend_sql_text(sql, " WHERE true");
	amend_table_gate(sql, db, table);
	amend_write_unless_there(sql, table, key);
}

enum amend_status amend_cte_insert(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_key *key, const struct amend_put *puts,
				   size_t n, struct amend_arena *arena, struct amend_written *out,
				   struct amend_error *err)
{
	const ptrdiff_t key_at = key ? key - table->keys : -1;
	struct amend_shape shape;
	struct amend_sql sql;
	enum amend_status status = amend_cte_prepare(db, out, err);

	if (status != AMEND_OK)
		return status;
	amend_cte_shape(&shape, db, "insert", table, puts, n);
	amend_shape_add(&shape, &key_at, sizeof(key_at));
	amend_sql_init_shape(&sql, db, &shape);
	amend_sql_text(&sql, "WITH u AS (");
	add_insertion(&sql, db, table, key, puts, n);
	amend_sql_text(&sql, " RETURNING ");
	amend_row_columns(&sql, db, table, "");
	amend_cte_numbers(&sql, db);
	amend_cte_change(&sql, db, table, "create");
	amend_cte_pk(&sql, db, table);
	amend_sql_text(&sql, ", NULL, ");
	amend_cte_fields(&sql, db, table, NULL, AMEND_CTE_NOTHING, NULL);
	amend_cte_changed(&sql, db);
	amend_row_columns(&sql, db, table, "u.");
	amend_sql_text(&sql, ", ");
	amend_cte_result(&sql, db, "");
	status = run(db, &sql, table, arena, out, true, err);
	amend_sql_release(&sql);
	if (status == AMEND_OK && out->moved)
		status = amend_table_stands(db, table, err);
	if (status == AMEND_OK && out->moved && !key)
		status = amend_write_refused(table, "created no row in", err);
	return status;
}

enum amend_status amend_cte_delete(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_row *row, struct amend_arena *arena,
				   struct amend_written *out, struct amend_error *err)
{
	struct amend_buffer fields = AMEND_BUFFER_INIT;
	struct amend_shape shape;
	struct amend_sql sql;
	enum amend_status status = amend_cte_prepare(db, out, err);

	(void)arena;
	if (status != AMEND_OK)
		return status;
	amend_fields_text(&fields, table, row->values, NULL);
	if (fields.failed) {
		amend_buffer_release(&fields);
		return amend_no_memory(err);
	}
	amend_cte_shape(&shape, db, "delete", table, NULL, 0);
	add_guard_shape(&shape, db, table, row);
	amend_sql_init_shape(&sql, db, &shape);
	amend_sql_text(&sql, "WITH u AS (DELETE FROM ");
	amend_sql_text(&sql, table->sql);
	add_guard(&sql, db, table, row);
	amend_sql_text(&sql, " RETURNING 1");
	amend_cte_numbers(&sql, db);
	amend_cte_change(&sql, db, table, "delete");
	amend_sql_string(&sql, row->pk);
	amend_sql_text(&sql, ", NULL, ");
	amend_sql_string(&sql, fields.data);
	amend_cte_changed(&sql, db);
	amend_cte_result(&sql, db, "");
	status = run(db, &sql, table, arena, out, false, err);
	amend_sql_release(&sql);
	amend_buffer_release(&fields);
	out->row = *row;
	out->before = row->values;
	if (status == AMEND_OK && out->moved && row->held)
		status = amend_table_stands(db, table, err);
	if (status == AMEND_OK && out->moved && row->held)
		status = amend_write_refused(table, "deleted no row of", err);
	return status;
}
