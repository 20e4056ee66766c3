/*
 * Changes that commit together, each in a revision of its own: several authors' in one unit.
 * Leaves the revision that a unit has for all it does to revision.c.
 */
#include <stdlib.h>

#include "core/rows.h"
#include "ledger/ledger.h"

enum { REVISION_VALUES = 3, CHANGE_VALUES = 5 };

static void revision_text(struct amend_sql *sql, const struct amend_conn *db)
{
	amend_sql_text(sql, "INSERT INTO ");
	amend_sql_ledger(sql, "revision");
	amend_sql_text(sql, " (at, who, why, program) VALUES (");
	amend_sql_text(sql, db->dialect->now);
	for (size_t i = 0; i < REVISION_VALUES; i++) {
		amend_sql_text(sql, ", ");
		amend_sql_string(sql, "");
	}
	amend_sql_text(sql, ") RETURNING id");
}

static void change_text(struct amend_sql *sql)
{
	amend_sql_text(sql, "INSERT INTO ");
	amend_sql_ledger(sql, "change");
	amend_sql_text(sql, " (revision, tbl, pk, op, fields) VALUES (");
	amend_sql_integer(sql, 0);
	for (size_t i = 1; i < CHANGE_VALUES; i++) {
		amend_sql_text(sql, ", ");
		amend_sql_string(sql, "");
	}
	amend_sql_text(sql, ")");
}

/* The same text for each, with the values of each. */
static enum amend_status exec_each(struct amend_conn *db, struct amend_sql *sql,
				   const struct amend_value *values, size_t width, size_t n,
				   struct amend_rows *rows, struct amend_error *err)
{
	struct amend_statement *statements = calloc(n, sizeof(*statements));
	enum amend_status status;

	if (!statements)
		return amend_no_memory(err);
	amend_sql_keep(db, sql);
	for (size_t i = 0; i < n; i++) {
		statements[i] = amend_sql_statement(sql);
		statements[i].values = values + i * width;
	}
	status = amend_exec_many(db, statements, n, rows, NULL, err);
	free(statements);
	return status;
}

static enum amend_status make_revisions(struct amend_conn *db, struct amend_series *series,
					size_t n, struct amend_value *values,
					struct amend_rows *rows, struct amend_error *err)
{
	struct amend_shape shape;
	struct amend_sql sql;
	enum amend_status status;

	for (size_t i = 0; i < n; i++) {
		values[REVISION_VALUES * i] = amend_text(series[i].who);
		values[REVISION_VALUES * i + 1] = amend_text(series[i].why);
		values[REVISION_VALUES * i + 2] = amend_text(series[i].program);
	}
	amend_shape_begin(&shape, "series revision", NULL);
	amend_sql_init_shape(&sql, db, &shape);
	revision_text(&sql, db);
	status = exec_each(db, &sql, values, REVISION_VALUES, n, rows, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (rows[i].n_rows != 1 ||
		    !amend_value_number(amend_rows_at(&rows[i], 0, 0), &series[i].revision))
			status = amend_error_set(err, AMEND_INTERNAL,
						 "the ledger returned no number");
	}
	for (size_t i = 0; i < n; i++)
		amend_rows_release(&rows[i]);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status make_changes(struct amend_conn *db, const struct amend_series *series,
				      size_t n, struct amend_value *values, struct amend_error *err)
{
	struct amend_shape shape;
	struct amend_sql sql;
	enum amend_status status;

	for (size_t i = 0; i < n; i++) {
		const struct amend_change_spec *change = &series[i].change;
		struct amend_value *to = values + CHANGE_VALUES * i;

		to[0] = amend_integer(series[i].revision);
		to[1] = amend_text(change->table->qualified);
		to[2] = amend_text(change->pk);
		to[3] = amend_text(change->op);
		to[4] = amend_text(change->fields);
	}
	amend_shape_begin(&shape, "series change", NULL);
	amend_sql_init_shape(&sql, db, &shape);
	change_text(&sql);
	status = exec_each(db, &sql, values, CHANGE_VALUES, n, NULL, err);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_series_record(struct amend_conn *db, struct amend_series *series, size_t n,
				      struct amend_error *err)
{
	struct amend_value *values = calloc(n ? n : 1, CHANGE_VALUES * sizeof(*values));
	struct amend_rows *rows = calloc(n ? n : 1, sizeof(*rows));
	enum amend_status status = AMEND_OK;

	if (!values || !rows)
		status = amend_no_memory(err);
	if (status == AMEND_OK && n > 0)
		status = make_revisions(db, series, n, values, rows, err);
	if (status == AMEND_OK && n > 0)
		status = make_changes(db, series, n, values, err);
	free(values);
	free(rows);
	return status;
}
