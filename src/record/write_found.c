/*
 * Finding a row, writing and recording it in one statement, where nothing needs to be read before.
 * Leaves the statement's pieces to write_cte.c, and when to use it to record.c.
 */
#include <stdio.h>
#include <string.h>

#include "core/json_text.h"
#include "core/rows.h"
#include "ledger/lease.h"
#include "record/cte.h"

static bool adds(const struct amend_put *puts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (puts[i].op == AMEND_ADD)
			return true;
	}
	return false;
}

static void add_old_columns(struct amend_sql *sql, const struct amend_table *table,
			    const char *prefix)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		amend_sql_comma(sql, i);
		amend_sql_printf(sql, "%s\"amend o%zu\"", prefix, i);
	}
	amend_sql_text(sql, ", ");
	amend_sql_text(sql, prefix);
	amend_sql_text(sql, amend_cte_row_version);
}

/*
 * WITH old AS (the row): locked where something is added to it, for engines that
 * re-read a row they waited for. What is only set proves by the row version that
 * it is still the row of `old`, and locks nothing where it is not changed.
 */
static void add_old(struct amend_sql *sql, const struct amend_conn *db,
		    const struct amend_table *table, const struct amend_request_key *key, bool lock)
{
	static const struct amend_lock hold = {true, AMEND_FOR_UPDATE, AMEND_WAIT};

	amend_sql_text(sql, "WITH old (");
	add_old_columns(sql, table, "");
	amend_sql_text(sql, ") AS MATERIALIZED (");
	amend_row_select(sql, db, table);
	amend_row_where(sql, table, key->columns, key->values, key->n);
	if (lock)
		amend_row_lock(sql, db, &hold);
	amend_sql_text(sql, ")");
}

/* ..where the values to set differ from those of `old`, or do not, as `differs` says of each. */
static void add_guess(struct amend_sql *sql, const struct amend_conn *db,
		      const struct amend_table *table, const struct amend_put *puts, size_t n,
		      uint64_t differs)
{
	struct amend_buffer json = AMEND_BUFFER_INIT;

	amend_sql_text(sql, " AND ");
	amend_sql_text(sql, db->dialect->row_version);
	amend_sql_text(sql, " = old.");
	amend_sql_text(sql, amend_cte_row_version);
	for (size_t i = 0; i < n; i++) {
		char name[32];
		struct amend_column old = amend_cte_old(table, puts[i].column, name);

		amend_buffer_reset(&json);
		amend_json_value(&json, &puts[i].value, old.class_);
		amend_sql_text(sql, " AND ");
		db->driver->json_of(sql, &old, "old.");
		amend_sql_text(sql, differs >> i & 1 ? " <> " : " = ");
		amend_sql_kept(sql, &json);
	}
	amend_buffer_release(&json);
}

static void build(struct amend_sql *sql, struct amend_conn *db, const struct amend_table *table,
		  const struct amend_request_key *key, const struct amend_put *puts, size_t n,
		  uint64_t differs)
{
	struct amend_put changed[AMEND_GUESS_MOST];
	size_t n_changed = 0;
	bool lock = adds(puts, n);

	add_old(sql, db, table, key, lock);
	amend_sql_text(sql, ", u AS (UPDATE ");
	amend_sql_text(sql, table->sql);
	if (lock) {
		amend_write_assignments(sql, table, puts, n);
	} else {
		for (size_t i = 0; i < n; i++) {
			if (differs >> i & 1)
				changed[n_changed++] = puts[i];
		}
		amend_write_assignments(sql, table, changed, n_changed);
	}
	amend_sql_text(sql, " FROM old WHERE ");
	if (key->unique)
		amend_sql_text(sql, "true");
	else
		amend_sql_text(sql, "(SELECT count(*) FROM old) = 1");
	for (size_t i = 0; i < table->n_identity; i++) {
		amend_sql_text(sql, " AND ");
		amend_sql_name(sql, table->columns[table->identity[i]].name);
		amend_sql_printf(sql, " = old.\"amend o%u\"", (unsigned)table->identity[i]);
	}
	for (size_t i = 0; i < n; i++) {
		if (puts[i].op != AMEND_ADD)
			continue;
		amend_sql_text(sql, " AND ");
		amend_sql_name(sql, table->columns[puts[i].column].name);
		amend_sql_text(sql, " IS NOT NULL");
	}
	amend_write_bounds(sql, table, puts, n);
	amend_lease_gate(sql, table);
	if (!lock)
		add_guess(sql, db, table, puts, n, differs);
	amend_cte_returning(sql, db, table);
	amend_cte_revision(sql, db, "u");
	amend_cte_change(sql, db, table, "update");
	amend_cte_pk(sql, db, table);
	amend_sql_text(sql, ", NULL, ");
	amend_cte_fields(sql, db, table, AMEND_CTE_OLD, NULL);
	amend_cte_changed(sql, db, "u CROSS JOIN old");
	add_old_columns(sql, table, "old.");
	amend_sql_text(sql, ", ");
	amend_row_columns(sql, db, table, "u.");
	amend_sql_text(sql, ", u.");
	amend_sql_text(sql, amend_cte_row_version);
	amend_sql_text(sql, ", c.revision, c.id FROM old LEFT JOIN u ON true LEFT JOIN c ON true");
}

/* A result's columns from `first` on: a row and its version, as amend_row_take wants them. */
static enum amend_status take_part(const struct amend_conn *db, const struct amend_table *table,
				   const struct amend_rows *rows, size_t first,
				   struct amend_arena *arena, struct amend_row *out,
				   struct amend_error *err)
{
	const struct amend_rows part = {
		.n_rows = 1, .n_columns = table->n_columns + 1, .values = &rows->values[first]};

	return amend_row_take(db, table, &part, 0, arena, out, err);
}

enum amend_status amend_found_update(struct amend_conn *db, const struct amend_table *table,
				     const struct amend_request_key *key,
				     const struct amend_put *puts, size_t n, uint64_t differs,
				     struct amend_arena *arena, struct amend_row *old,
				     struct amend_written *out, size_t *n_found,
				     struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	bool had_revision, unique = key->unique != NULL;
	struct amend_shape shape;
	struct amend_sql sql;
	enum amend_status status = amend_cte_prepare(db, out, err);

	*n_found = 0;
	if (status != AMEND_OK)
		return status;
	had_revision = amend_revision_current(db) != 0;
	amend_cte_shape(&shape, db, "found", table, puts, n);
	amend_shape_add(&shape, key->columns, key->n * sizeof(*key->columns));
	amend_shape_add(&shape, &unique, sizeof(unique));
	amend_shape_add(&shape, &differs, sizeof(differs));
	amend_sql_init_shape(&sql, db, &shape);
	build(&sql, db, table, key, puts, n, differs);
	status = amend_exec(db, &sql, &rows, err);
	if (status != AMEND_OK || rows.n_rows != 1) {
		*n_found = rows.n_rows > 1 ? 2 : 0;
		goto out;
	}
	*n_found = 1;
	status = take_part(db, table, &rows, 0, arena, old, err);
	if (status != AMEND_OK)
		goto out;
	out->before = old->values;
	out->moved = !amend_value_number(amend_rows_at(&rows, 0, rows.n_columns - 1), &out->change);
	if (out->moved)
		goto out;
	if (!amend_value_number(amend_rows_at(&rows, 0, rows.n_columns - 2), &out->revision))
		status = amend_error_set(err, AMEND_INTERNAL, "the ledger returned no number");
	if (status == AMEND_OK && !had_revision)
		status = amend_revision_made(db, out->revision, err);
	if (status == AMEND_OK)
		status = take_part(db, table, &rows, table->n_columns + 1, arena, &out->row, err);
	out->row.held = db->depth > 0;
out:
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}
