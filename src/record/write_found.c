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
#include "sql/table.h"

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

/* The puts that the statement makes: all where something is added, else those that are said to differ. */
static struct amend_cte_reach choose(struct amend_sql *sql, const struct amend_table *table,
				     const struct amend_put *puts, size_t n, uint64_t differs)
{
	struct amend_put *changed;
	size_t n_changed = 0;

	if (adds(puts, n))
		return amend_cte_reach(table, puts, n);
	changed = amend_arena_array(&sql->kept, n, sizeof(*changed));
	if (!changed)
		sql->text.failed = true;
	for (size_t i = 0; changed && i < n; i++) {
		if (differs >> i & 1)
			changed[n_changed++] = puts[i];
	}
	return amend_cte_reach(table, changed, n_changed);
}

static void add_not_null(struct amend_sql *sql, const struct amend_table *table,
			 const struct amend_put *puts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (puts[i].op != AMEND_ADD)
			continue;
		amend_sql_text(sql, " AND ");
		amend_sql_name(sql, table->columns[puts[i].column].name);
		amend_sql_text(sql, " IS NOT NULL");
	}
}

/* What was there before, of the columns that are reached. */
static void add_before(struct amend_sql *sql, const struct amend_table *table,
		       const struct amend_cte_reach *reach, const char *prefix)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		if (amend_cte_reaches(reach, i))
			amend_sql_printf(sql, ", %s\"amend o%zu\"", prefix, i);
	}
}

static void build(struct amend_sql *sql, struct amend_conn *db, const struct amend_table *table,
		  const struct amend_request_key *key, const struct amend_put *puts, size_t n,
		  uint64_t differs, const struct amend_cte_reach *reach)
{
	bool lock = adds(puts, n);

	add_old(sql, db, table, key, lock);
	amend_sql_text(sql, ", u AS (UPDATE ");
	amend_sql_text(sql, table->sql);
	amend_write_assignments(sql, table, reach->puts, reach->n);
	amend_sql_text(sql, " FROM old WHERE ");
	/* No index is unique across tables that inherit. */
	if (key->unique && !table->has_triggers)
		amend_sql_text(sql, "true");
	else
		amend_sql_text(sql, "(SELECT count(*) FROM old) = 1");
	for (size_t i = 0; i < table->n_identity; i++) {
		amend_sql_text(sql, " AND ");
		amend_sql_name(sql, table->columns[table->identity[i]].name);
		amend_sql_printf(sql, " = old.\"amend o%u\"", (unsigned)table->identity[i]);
	}
	add_not_null(sql, table, puts, n);
	amend_write_bounds(sql, table, puts, n);
	amend_lease_gate(sql, table);
	amend_table_gate(sql, db, table);
	if (!lock)
		add_guess(sql, db, table, puts, n, differs);
	amend_cte_returning(sql, table, reach);
	add_before(sql, table, reach, "old.");
	amend_cte_numbers(sql, db);
	amend_cte_change(sql, db, table, "update");
	amend_cte_pk(sql, db, table);
	amend_sql_text(sql, ", NULL, ");
	amend_cte_fields(sql, db, table, reach, AMEND_CTE_OLD, NULL);
	amend_cte_changed(sql, db);
	add_old_columns(sql, table, "old.");
	amend_sql_text(sql, ", ");
	amend_cte_reached(sql, table, reach, "u.");
	amend_sql_text(sql, ", ");
	amend_cte_result(sql, db, "old");
}

enum amend_status amend_found_update(struct amend_conn *db, const struct amend_table *table,
				     const struct amend_request_key *key,
				     const struct amend_put *puts, size_t n, uint64_t differs,
				     struct amend_arena *arena, struct amend_row *old,
				     struct amend_written *out, size_t *n_found,
				     struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT, before;
	struct amend_cte_reach reach;
	struct amend_shape shape;
	struct amend_sql sql;
	bool unique = key->unique != NULL;
	enum amend_status status = amend_cte_prepare(db, out, err);

	*n_found = 0;
	if (status != AMEND_OK)
		return status;
	amend_cte_shape(&shape, db, "found", table, puts, n);
	amend_shape_add(&shape, key->columns, key->n * sizeof(*key->columns));
	amend_shape_add(&shape, &unique, sizeof(unique));
	amend_shape_add(&shape, &differs, sizeof(differs));
	amend_sql_init_shape(&sql, db, &shape);
	reach = choose(&sql, table, puts, n, differs);
	build(&sql, db, table, key, puts, n, differs, &reach);
	status = amend_cte_exec(db, &sql, &rows, err);
	if (status != AMEND_OK || rows.n_rows != 1) {
		*n_found = rows.n_rows > 1 ? 2 : 0;
		goto out;
	}
	*n_found = 1;
	before = (struct amend_rows){
		.n_rows = 1, .n_columns = table->n_columns + 1, .values = rows.values};
	status = amend_row_take(db, table, &before, 0, arena, old, err);
	if (status != AMEND_OK)
		goto out;
	out->before = old->values;
	out->moved = amend_rows_at(&rows, 0, rows.n_columns - 1)->kind == AMEND_NULL;
	if (out->moved) {
		db->wrote_alone = false; /* the row it answered with is the old one */
		goto out;
	}
	status = amend_cte_written(db, &rows, out, err);
	if (status == AMEND_OK)
		status = amend_cte_take(table, &reach, old, &rows.values[table->n_columns + 1],
					arena, &out->row, err);
	out->row.held = db->depth > 0;
out:
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

/* ---- additions that can be counted back ---- */

bool amend_added_fits(const struct amend_table *table, const struct amend_request_key *key,
		      const struct amend_put *puts, size_t n)
{
	const struct amend_cte_reach reach = amend_cte_reach(table, puts, n);
	int64_t number;

	if (reach.all || !key->unique || table->version_is_time)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (puts[i].op != AMEND_ADD || amend_cte_identifies(table, puts[i].column) ||
		    table->columns[puts[i].column].class_ != AMEND_CLASS_INTEGER ||
		    !amend_value_number(&puts[i].value, &number))
			return false;
	}
	return n > 0;
}

/* ", n - $1 AS .., version - 1 AS ..": what was there before, in the order of the columns. */
static void add_counted_back(struct amend_sql *sql, const struct amend_table *table,
			     const struct amend_put *puts, size_t n)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		const struct amend_column *column = &table->columns[i];
		const struct amend_put *put = NULL;

		for (size_t j = 0; j < n; j++) {
			if (puts[j].column == i)
				put = &puts[j];
		}
		if (!put && (table->version < 0 || (size_t)table->version != i))
			continue;
		amend_sql_text(sql, ", ");
		amend_sql_name(sql, column->name);
		amend_sql_text(sql, " - ");
		if (put)
			amend_sql_number_as(sql, column, &put->value);
		else
			amend_sql_text(sql, "1");
		amend_sql_printf(sql, " AS \"amend o%zu\"", i);
	}
}

enum amend_status amend_added_update(struct amend_conn *db, const struct amend_table *table,
				     const struct amend_request_key *key,
				     const struct amend_put *puts, size_t n,
				     struct amend_arena *arena, struct amend_written *out,
				     struct amend_error *err)
{
	const struct amend_cte_reach reach = amend_cte_reach(table, puts, n);
	struct amend_rows rows = AMEND_ROWS_INIT, after;
	struct amend_row before;
	struct amend_shape shape;
	struct amend_sql sql;
	enum amend_status status = amend_cte_prepare(db, out, err);

	if (status != AMEND_OK)
		return status;
	amend_cte_shape(&shape, db, "added", table, puts, n);
	amend_shape_add(&shape, key->columns, key->n * sizeof(*key->columns));
	amend_sql_init_shape(&sql, db, &shape);
	amend_sql_text(&sql, "WITH u AS (UPDATE ");
	amend_sql_text(&sql, table->sql);
	amend_write_assignments(&sql, table, puts, n);
	amend_row_where(&sql, table, key->columns, key->values, key->n);
	add_not_null(&sql, table, puts, n);
	amend_write_bounds(&sql, table, puts, n);
	amend_lease_gate(&sql, table);
	amend_table_gate(&sql, db, table);
	amend_sql_text(&sql, " RETURNING ");
	amend_row_columns(&sql, db, table, "");
	add_counted_back(&sql, table, puts, n);
	amend_cte_numbers(&sql, db);
	amend_cte_change(&sql, db, table, "update");
	amend_cte_pk(&sql, db, table);
	amend_sql_text(&sql, ", NULL, ");
	amend_cte_fields(&sql, db, table, &reach, AMEND_CTE_OLD, NULL);
	amend_cte_changed(&sql, db);
	amend_row_columns(&sql, db, table, "u.");
	add_before(&sql, table, &reach, "u.");
	amend_sql_text(&sql, ", ");
	amend_cte_result(&sql, db, "");
	status = amend_cte_exec(db, &sql, &rows, err);
	out->moved = status == AMEND_OK && rows.n_rows == 0;
	if (status != AMEND_OK || out->moved)
		goto out;
	status = amend_cte_written(db, &rows, out, err);
	after = (struct amend_rows){
		.n_rows = 1, .n_columns = table->n_columns, .values = rows.values};
	if (status == AMEND_OK)
		status = amend_row_take(db, table, &after, 0, arena, &out->row, err);
	if (status == AMEND_OK)
		status = amend_cte_take(table, &reach, &out->row, &rows.values[table->n_columns],
					arena, &before, err);
	if (status == AMEND_OK)
		out->before = before.values;
	out->row.held = db->depth > 0;
out:
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}
