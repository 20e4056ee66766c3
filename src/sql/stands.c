/*
 * Whether the triggers of amend guard on a table are those of its description, asked in the transaction of a
 * write. Leaves what they do to the drivers.
 */
#include <stdio.h>
#include <string.h>

#include "core/rows.h"
#include "sql/conn.h"
#include "sql/sqlstate.h"
#include "sql/table.h"

static enum amend_status number_of(const struct amend_rows *rows, int64_t *out,
				   struct amend_error *err)
{
	if (rows->n_rows == 1 && amend_value_number(amend_rows_at(rows, 0, 0), out))
		return AMEND_OK;
	return amend_error_set(err, AMEND_INTERNAL, "the catalogue returned no number");
}

static void add_state(struct amend_sql *sql, const struct amend_conn *db,
		      const struct amend_table *table)
{
	amend_sql_text(sql, "SELECT ");
	db->driver->guard_state(sql, table);
}

void amend_table_gate(struct amend_sql *sql, const struct amend_conn *db,
		      const struct amend_table *table)
{
	if (!db->driver->guard_state)
		return;
	amend_sql_text(sql, " AND ");
	db->driver->guard_state(sql, table);
	amend_sql_printf(sql, " = %u", table->guard_state);
}

/* A number that moves with it, where the engine has one: it costs less to ask for. */
static void add_look(struct amend_sql *sql, const struct amend_conn *db,
		     const struct amend_table *table)
{
	if (db->driver->schema_version)
		db->driver->schema_version(sql, table);
	else
		add_state(sql, db, table);
}

static enum amend_status changed(const struct amend_table *table, struct amend_error *err)
{
	amend_error_set(err, AMEND_INVALID,
			"%s: amend guard was made, changed or taken away since the table was opened; "
			"nothing was written (hint: open it again)",
			table->qualified);
	/* Of the class that says: the statement does not fit the table, whatever the values are. */
	snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", AMEND_SQLSTATE_SYNTAX);
	return err->status;
}

/* Some of the triggers that record and not all: one change would be recorded twice, another not at all. */
static enum amend_status check_half(const struct amend_conn *db, const struct amend_table *table,
				    struct amend_error *err)
{
	unsigned all = db->driver->guard_recording, stand = table->guard_state & all;

	if (stand == 0 || stand == all)
		return AMEND_OK;
	amend_error_set(err, AMEND_INVALID,
			"%s: of the triggers of amend guard that record, some are gone; nothing was "
			"written (hint: amend guard once more, or --off to be rid of them)",
			table->qualified);
	snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", AMEND_SQLSTATE_SYNTAX);
	return err->status;
}

enum amend_status amend_table_explain(const struct amend_table *table, struct amend_error *err)
{
	if (strcmp(err->sqlstate, AMEND_SQLSTATE_STALE) != 0 || table->guard_version ||
	    !strstr(err->text, table->name))
		return err->status;
	return changed(table, err);
}

enum amend_status amend_table_stands(struct amend_conn *db, const struct amend_table *table,
				     struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	int64_t number = 0;
	enum amend_status status;

	if (!db->driver->guard_state)
		return AMEND_OK;
	status = check_half(db, table, err);
	if (status != AMEND_OK)
		return status;
	amend_sql_init(&sql, db);
	add_state(&sql, db, table);
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK)
		status = number_of(&rows, &number, err);
	if (status == AMEND_OK && number != table->guard_state)
		status = changed(table, err);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status judge(struct amend_conn *db, const struct amend_table *table,
			       const struct amend_rows *looked, struct amend_error *err)
{
	int64_t number = 0;
	enum amend_status status = number_of(looked, &number, err);

	if (status != AMEND_OK)
		return status;
	if (db->driver->schema_version)
		return number == table->schema_version ? AMEND_OK
						       : amend_table_stands(db, table, err);
	return number == table->guard_state ? AMEND_OK : changed(table, err);
}

enum amend_status amend_exec_standing(struct amend_conn *db, const struct amend_table *table,
				      const struct amend_sql *sql, struct amend_rows *rows,
				      struct amend_error *err)
{
	struct amend_statement statements[2];
	struct amend_rows both[2];
	struct amend_sql look;
	enum amend_status status;

	if (!db->driver->guard_state)
		return amend_exec(db, sql, rows, err);
	status = check_half(db, table, err);
	if (status != AMEND_OK)
		return status;
	amend_sql_init(&look, db);
	add_look(&look, db, table);
	amend_sql_keep(db, sql);
	statements[0] = amend_sql_statement(sql);
	statements[1] = amend_sql_statement(&look);
	status = amend_exec_many(db, statements, 2, both, NULL, err);
	if (status == AMEND_OK)
		status = judge(db, table, &both[1], err);
	else
		status = amend_table_explain(table, err);
	*rows = both[0];
	amend_rows_release(&both[1]);
	amend_sql_release(&look);
	return status;
}
