/*
 * Writing one row and recording it in one statement: a data-modifying WITH.
 * Outside a unit the statement is its own transaction, so a change costs one trip.
 * Leaves statements that find their row themselves to write_found.c, and engines that lack it to write.c.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/json_text.h"
#include "core/rows.h"
#include "ledger/lease.h"
#include "record/cte.h"

const char amend_cte_row_version[] = "\"amend row version\"";

void amend_cte_shape(struct amend_shape *shape, struct amend_conn *db, const char *builder,
		     const struct amend_table *table, const struct amend_put *puts, size_t n)
{
	const bool unit[] = {amend_revision_current(db) != 0, amend_run_current(db) != 0};

	amend_shape_begin(shape, builder, table);
	amend_shape_add(shape, unit, sizeof(unit));
	for (size_t i = 0; i < n; i++) {
		const bool kind[] = {puts[i].op == AMEND_ADD, puts[i].min.kind != AMEND_NULL,
				     puts[i].max.kind != AMEND_NULL};

		amend_shape_add(shape, &puts[i].column, sizeof(puts[i].column));
		amend_shape_add(shape, kind, sizeof(kind));
	}
}

/* `RETURNING` all that amend_row_take wants. */
void amend_cte_returning(struct amend_sql *sql, const struct amend_conn *db,
			 const struct amend_table *table)
{
	amend_sql_text(sql, " RETURNING ");
	amend_row_columns(sql, db, table, "");
	amend_sql_text(sql, ", ");
	amend_sql_text(sql, db->dialect->row_version);
	amend_sql_text(sql, " AS ");
	amend_sql_text(sql, amend_cte_row_version);
	amend_sql_text(sql, ")");
}

/*
 * The revision, unless the unit has one: made after the row is written, so
 * that numbers rise with the row's own history.
 */
void amend_cte_revision(struct amend_sql *sql, struct amend_conn *db, const char *from)
{
	if (amend_revision_current(db))
		return;
	amend_sql_text(sql, ", r AS (");
	amend_revision_insert(sql, db, from);
	amend_sql_text(sql, ")");
}

void amend_cte_change(struct amend_sql *sql, struct amend_conn *db, const struct amend_table *table,
		      const char *op)
{
	amend_sql_text(sql, ", c AS (INSERT INTO ");
	amend_sql_ledger(sql, "change");
	amend_sql_text(sql, " (revision, tbl, op, pk, was, fields) SELECT ");
	if (amend_revision_current(db))
		amend_sql_integer(sql, amend_revision_current(db));
	else
		amend_sql_text(sql, "r.id");
	amend_sql_text(sql, ", ");
	amend_sql_string(sql, table->qualified);
	amend_sql_text(sql, ", ");
	amend_sql_string(sql, op);
	amend_sql_text(sql, ", ");
}

void amend_cte_changed(struct amend_sql *sql, struct amend_conn *db, const char *from)
{
	amend_sql_text(sql, " FROM ");
	amend_sql_text(sql, from);
	if (!amend_revision_current(db))
		amend_sql_text(sql, ", r");
	amend_sql_text(sql, " RETURNING revision, id) SELECT ");
}

void amend_cte_pk(struct amend_sql *sql, const struct amend_conn *db,
		  const struct amend_table *table)
{
	struct amend_buffer name = AMEND_BUFFER_INIT;

	if (sql->known)
		return;
	for (size_t i = 0; i < table->n_identity; i++) {
		const struct amend_column *column = &table->columns[table->identity[i]];

		amend_buffer_reset(&name);
		amend_buffer_char(&name, i ? ',' : '{');
		amend_json_string(&name, column->name, strlen(column->name));
		amend_buffer_char(&name, ':');
		if (name.failed)
			sql->text.failed = true;
		else
			amend_sql_literal(sql, name.data);
		amend_sql_text(sql, " || ");
		db->driver->json_of(sql, column, "u.");
		amend_sql_text(sql, " || ");
	}
	amend_sql_text(sql, "'}'");
	amend_buffer_release(&name);
}

struct amend_column amend_cte_old(const struct amend_table *table, size_t index, char name[32])
{
	struct amend_column column = table->columns[index];

	snprintf(name, 32, "amend o%zu", index);
	column.name = name;
	return column;
}

/* The parameter that was added last, once more. */
static void add_again(struct amend_sql *sql)
{
	amend_sql_printf(sql, "CAST(%c%zu AS %s)", sql->dialect->placeholder, sql->n_values,
			 sql->dialect->text_type);
}

/*
 * `CASE WHEN <same> THEN '' ELSE ',"name":[<old>,<new>]' END`. Two texts are the same
 * where their bytes are; other types are compared as they are written.
 */
static void add_field(struct amend_sql *sql, const struct amend_conn *db,
		      const struct amend_column *column, const struct amend_column *old)
{
	struct amend_buffer json = AMEND_BUFFER_INIT;

	if (sql->known)
		return;
	amend_buffer_text(&json, ",");
	amend_json_string(&json, column->name, strlen(column->name));
	amend_buffer_text(&json, ":[");
	sql->text.failed = sql->text.failed || json.failed;
	amend_sql_text(sql, " THEN '' ELSE ");
	amend_sql_literal(sql, json.failed ? "" : json.data);
	amend_sql_text(sql, " || ");
	if (old)
		db->driver->json_of(sql, old, "old.");
	else
		add_again(sql);
	amend_sql_text(sql, " || ',' || ");
	db->driver->json_of(sql, column, "u.");
	amend_sql_text(sql, " || ']' END");
	amend_buffer_release(&json);
}

static void add_text_of(struct amend_sql *sql, const char *prefix, const char *name)
{
	amend_sql_text(sql, prefix);
	amend_sql_name(sql, name);
	amend_sql_printf(sql, "::%s COLLATE \"C\"", sql->dialect->text_type);
}

/* The changed fields: names are known here, and old values unless they are the WITH's; new ones to the database alone. */
void amend_cte_fields(struct amend_sql *sql, const struct amend_conn *db,
		      const struct amend_table *table, enum amend_cte_before from,
		      const struct amend_value *before)
{
	static const struct amend_value nothing = {.kind = AMEND_NULL};
	struct amend_buffer json = AMEND_BUFFER_INIT;
	size_t n = 0;

	amend_sql_text(sql, "'{' || pg_catalog.substr(pg_catalog.concat(''");
	for (size_t i = 0; i < table->n_columns; i++) {
		const struct amend_column *column = &table->columns[i];
		struct amend_column old;
		char name[32];

		if (column->generated)
			continue;
		/* A function has at most 100 arguments. */
		amend_sql_text(sql, ++n % 64 ? ", CASE WHEN " : ") || pg_catalog.concat(CASE WHEN ");
		if (from == AMEND_CTE_OLD) {
			old = amend_cte_old(table, i, name);
			if (column->class_ == AMEND_CLASS_TEXT) {
				add_text_of(sql, "old.", old.name);
				amend_sql_text(sql, " IS NOT DISTINCT FROM ");
				add_text_of(sql, "u.", column->name);
			} else {
				db->driver->json_of(sql, &old, "old.");
				amend_sql_text(sql, " = ");
				db->driver->json_of(sql, column, "u.");
			}
		} else {
			amend_buffer_reset(&json);
			amend_json_value(&json, from == AMEND_CTE_VALUES ? &before[i] : &nothing,
					 column->class_);
			amend_sql_kept(sql, &json);
			amend_sql_text(sql, " = ");
			db->driver->json_of(sql, column, "u.");
		}
		add_field(sql, db, column, from == AMEND_CTE_OLD ? &old : NULL);
	}
	amend_sql_text(sql, "), 2) || '}'");
	amend_buffer_release(&json);
}

static void add_result(struct amend_sql *sql, const struct amend_conn *db,
		       const struct amend_table *table)
{
	amend_row_columns(sql, db, table, "u.");
	amend_sql_text(sql, ", u.");
	amend_sql_text(sql, amend_cte_row_version);
	amend_sql_text(sql, ", c.revision, c.id FROM u, c");
}

/* Runs it; no row: nothing was written. */
static enum amend_status run(struct amend_conn *db, const struct amend_sql *sql,
			     const struct amend_table *table, struct amend_arena *arena,
			     struct amend_written *out, bool take, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	bool had_revision = amend_revision_current(db) != 0;
	enum amend_status status = amend_exec(db, sql, &rows, err);

	if (status == AMEND_OK && rows.n_rows == 0)
		out->moved = true;
	else if (status == AMEND_OK &&
		 (!amend_value_number(amend_rows_at(&rows, 0, rows.n_columns - 2), &out->revision) ||
		  !amend_value_number(amend_rows_at(&rows, 0, rows.n_columns - 1), &out->change)))
		status = amend_error_set(err, AMEND_INTERNAL, "the ledger returned no number");
	else if (status == AMEND_OK && !had_revision)
		status = amend_revision_made(db, out->revision, err);
	if (status == AMEND_OK && take && !out->moved) {
		status = amend_row_take(db, table, &rows, 0, arena, &out->row, err);
		out->row.held = db->depth > 0;
	}
	amend_rows_release(&rows);
	return status;
}

enum amend_status amend_cte_prepare(struct amend_conn *db, struct amend_written *out,
				    struct amend_error *err)
{
	int64_t run_id;

	*out = (struct amend_written){0};
	return amend_revision_current(db) ? AMEND_OK : amend_run_need(db, &run_id, err);
}

static void add_guard(struct amend_sql *sql, const struct amend_conn *db,
		      const struct amend_table *table, const struct amend_row *row)
{
	amend_row_identity(sql, table, row);
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
	amend_cte_returning(&sql, db, table);
	amend_cte_revision(&sql, db, "u");
	amend_cte_change(&sql, db, table, "update");
	amend_cte_pk(&sql, db, table);
	amend_sql_text(&sql, ", nullif(");
	amend_sql_string(&sql, row->pk);
	amend_sql_text(&sql, ", ");
	amend_cte_pk(&sql, db, table);
	amend_sql_text(&sql, "), ");
	amend_cte_fields(&sql, db, table, AMEND_CTE_VALUES, row->values);
	amend_cte_changed(&sql, db, "u");
	add_result(&sql, db, table);
	status = run(db, &sql, table, arena, out, true, err);
	amend_sql_release(&sql);
	out->before = row->values;
	if (status != AMEND_OK || !out->moved || !row->held)
		return status;
	/* Held, so it cannot have moved. */
	out->moved = false;
	out->out_of_bounds = amend_write_has_bounds(puts, n);
	return out->out_of_bounds ? AMEND_OK : amend_write_refused(table, "changed no row of", err);
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
	amend_write_insertion(&sql, table, key, puts, n);
	amend_cte_returning(&sql, db, table);
	amend_cte_revision(&sql, db, "u");
	amend_cte_change(&sql, db, table, "create");
	amend_cte_pk(&sql, db, table);
	amend_sql_text(&sql, ", NULL, ");
	amend_cte_fields(&sql, db, table, AMEND_CTE_NOTHING, NULL);
	amend_cte_changed(&sql, db, "u");
	add_result(&sql, db, table);
	status = run(db, &sql, table, arena, out, true, err);
	amend_sql_release(&sql);
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
	amend_sql_text(&sql, " RETURNING 1)");
	amend_cte_revision(&sql, db, "u");
	amend_cte_change(&sql, db, table, "delete");
	amend_sql_string(&sql, row->pk);
	amend_sql_text(&sql, ", NULL, ");
	amend_sql_string(&sql, fields.data);
	amend_cte_changed(&sql, db, "u");
	amend_sql_text(&sql, "c.revision, c.id FROM c");
	status = run(db, &sql, table, arena, out, false, err);
	amend_sql_release(&sql);
	amend_buffer_release(&fields);
	out->row = *row;
	out->before = row->values;
	if (status == AMEND_OK && out->moved && row->held)
		status = amend_write_refused(table, "deleted no row of", err);
	return status;
}
