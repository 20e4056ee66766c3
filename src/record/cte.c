/*
 * Pieces of the single statement that writes and records.
 * Leaves putting them together to write_cte.c and write_found.c.
 */
#include <stdio.h>
#include <string.h>

#include "core/json_text.h"
#include "core/rows.h"
#include "record/cte.h"

const char amend_cte_row_version[] = "\"amend row version\"";

void amend_cte_shape(struct amend_shape *shape, struct amend_conn *db, const char *builder,
		     const struct amend_table *table, const struct amend_put *puts, size_t n)
{
	const bool unit[] = {amend_revision_current(db) != 0, amend_run_current(db) != 0,
			     amend_ledger_numbers(db), amend_marked(db)};

	amend_shape_begin(shape, builder, table);
	amend_shape_add(shape, unit, sizeof(unit));
	for (size_t i = 0; i < n; i++) {
		const bool kind[] = {puts[i].op == AMEND_ADD, puts[i].min.kind != AMEND_NULL,
				     puts[i].max.kind != AMEND_NULL};

		amend_shape_add(shape, &puts[i].column, sizeof(puts[i].column));
		amend_shape_add(shape, kind, sizeof(kind));
	}
}

struct amend_cte_reach amend_cte_reach(const struct amend_table *table,
				       const struct amend_put *puts, size_t n)
{
	struct amend_cte_reach reach = {
		.all = table->has_triggers, .puts = puts, .n = n, .version = table->version};

	for (size_t i = 0; i < table->n_columns && !reach.all; i++)
		reach.all = table->columns[i].generated;
	return reach;
}

bool amend_cte_reaches(const struct amend_cte_reach *reach, size_t column)
{
	if (reach->all || (reach->version >= 0 && (size_t)reach->version == column))
		return true;
	for (size_t i = 0; i < reach->n; i++) {
		if (reach->puts[i].column == column)
			return true;
	}
	return false;
}

bool amend_cte_identifies(const struct amend_table *table, size_t column)
{
	for (size_t i = 0; i < table->n_identity; i++) {
		if (table->identity[i] == column)
			return true;
	}
	return false;
}

void amend_cte_reached(struct amend_sql *sql, const struct amend_table *table,
		       const struct amend_cte_reach *reach, const char *prefix)
{
	size_t n = 0;

	if (sql->known)
		return;
	for (size_t i = 0; i < table->n_columns; i++) {
		if (!amend_cte_reaches(reach, i))
			continue;
		amend_sql_comma(sql, n++);
		amend_sql_text(sql, prefix);
		amend_sql_name(sql, table->columns[i].name);
	}
}

enum amend_status amend_cte_take(const struct amend_table *table,
				 const struct amend_cte_reach *reach, const struct amend_row *row,
				 const struct amend_value *rest, struct amend_arena *arena,
				 struct amend_row *out, struct amend_error *err)
{
	struct amend_value *values = amend_arena_array(arena, table->n_columns, sizeof(*values));
	struct amend_row all = {.values = values, .rowid = row->rowid, .version = amend_null()};

	if (!values)
		return amend_no_memory(err);
	for (size_t i = 0; i < table->n_columns; i++)
		values[i] = amend_cte_reaches(reach, i) ? *rest++ : row->values[i];
	return amend_row_keep(table, &all, arena, out, err);
}

void amend_cte_returning(struct amend_sql *sql, const struct amend_table *table,
			 const struct amend_cte_reach *reach)
{
	size_t n = 0;

	if (sql->known)
		return;
	amend_sql_text(sql, " RETURNING ");
	for (size_t i = 0; i < table->n_columns; i++) {
		if (!amend_cte_reaches(reach, i) && !amend_cte_identifies(table, i))
			continue;
		amend_sql_comma(sql, n++);
		amend_sql_name(sql, table->columns[i].name);
	}
}

#define REVISION "\"amend r\""
#define CHANGE "\"amend c\""

/* Drawn behind the write, so that they rise with the row's own history. */
void amend_cte_numbers(struct amend_sql *sql, struct amend_conn *db)
{
	if (!amend_ledger_numbers(db) || sql->known)
		return;
	if (!amend_revision_current(db))
		amend_sql_printf(sql, ", %s AS " REVISION, db->dialect->next_revision);
	amend_sql_printf(sql, ", %s AS " CHANGE, db->dialect->next_change);
}

/* The revision, unless the unit has one. */
static void add_revision(struct amend_sql *sql, struct amend_conn *db)
{
	if (amend_revision_current(db))
		return;
	amend_sql_text(sql, ", r AS (");
	amend_revision_insert(sql, db, "u", amend_ledger_numbers(db) ? "u." REVISION : "");
	amend_sql_text(sql, ")");
}

void amend_cte_change(struct amend_sql *sql, struct amend_conn *db, const struct amend_table *table,
		      const char *op)
{
	bool numbers = amend_ledger_numbers(db);

	amend_sql_text(sql, ")");
	add_revision(sql, db);
	amend_sql_text(sql, ", c AS (INSERT INTO ");
	amend_sql_ledger(sql, "change");
	amend_sql_text(sql, numbers ? " (id, revision, tbl, op, pk, was, fields) SELECT u." CHANGE
				      ", "
				    : " (revision, tbl, op, pk, was, fields) SELECT ");
	if (amend_revision_current(db))
		amend_sql_integer(sql, amend_revision_current(db));
	else
		amend_sql_text(sql, numbers ? "u." REVISION : "r.id");
	amend_sql_text(sql, ", ");
	amend_sql_string(sql, table->qualified);
	amend_sql_text(sql, ", ");
	amend_sql_string(sql, op);
	amend_sql_text(sql, ", ");
}

void amend_cte_changed(struct amend_sql *sql, struct amend_conn *db)
{
	amend_sql_text(sql, " FROM u");
	if (!amend_ledger_numbers(db)) {
		if (!amend_revision_current(db))
			amend_sql_text(sql, ", r");
		amend_sql_text(sql, " RETURNING revision, id");
	}
	amend_sql_text(sql, ") SELECT ");
}

void amend_cte_result(struct amend_sql *sql, struct amend_conn *db, const char *old)
{
	bool numbers = amend_ledger_numbers(db);

	if (!numbers)
		amend_sql_text(sql, "c.revision, c.id");
	else if (amend_revision_current(db))
		amend_sql_integer(sql, amend_revision_current(db));
	else
		amend_sql_text(sql, "u." REVISION);
	if (numbers)
		amend_sql_text(sql, ", u." CHANGE);
	amend_sql_text(sql, " FROM ");
	if (*old) {
		amend_sql_text(sql, old);
		amend_sql_text(sql, " LEFT JOIN ");
	}
	amend_sql_text(sql, "u");
	if (*old)
		amend_sql_text(sql, " ON true");
	if (!numbers)
		amend_sql_text(sql, *old ? " LEFT JOIN c ON true" : ", c");
}

enum amend_status amend_cte_exec(struct amend_conn *db, const struct amend_sql *sql,
				 struct amend_rows *rows, struct amend_error *err)
{
	enum amend_status status = amend_exec(db, sql, rows, err);

	/* The answer may have come, and found no memory. */
	if (!amend_in_transaction(db) &&
	    (status == AMEND_OK ? rows->n_rows > 0 : status == AMEND_NO_MEMORY && !sql->text.failed))
		db->wrote_alone = true;
	return status;
}

enum amend_status amend_cte_written(struct amend_conn *db, const struct amend_rows *rows,
				    struct amend_written *out, struct amend_error *err)
{
	bool had_revision = amend_revision_current(db) != 0;

	if (!amend_value_number(amend_rows_at(rows, 0, rows->n_columns - 2), &out->revision) ||
	    !amend_value_number(amend_rows_at(rows, 0, rows->n_columns - 1), &out->change))
		return amend_error_set(err, AMEND_INTERNAL, "the ledger returned no number");
	return had_revision ? AMEND_OK : amend_revision_made(db, out->revision, err);
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
		db->driver->json_of(sql, old, "u.");
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
		      const struct amend_table *table, const struct amend_cte_reach *reach,
		      enum amend_cte_before from, const struct amend_value *before)
{
	static const struct amend_value nothing = {.kind = AMEND_NULL};
	struct amend_buffer json = AMEND_BUFFER_INIT;
	size_t n = 0;

	amend_sql_text(sql, "'{' || pg_catalog.substr(pg_catalog.concat(''");
	for (size_t i = 0; i < table->n_columns; i++) {
		const struct amend_column *column = &table->columns[i];
		struct amend_column old;
		char name[32];

		if (column->generated || (reach && !amend_cte_reaches(reach, i)))
			continue;
		/* A function has at most 100 arguments. */
		amend_sql_text(sql, ++n % 64 ? ", CASE WHEN " : ") || pg_catalog.concat(CASE WHEN ");
		if (from == AMEND_CTE_OLD) {
			old = amend_cte_old(table, i, name);
			if (column->class_ == AMEND_CLASS_TEXT) {
				add_text_of(sql, "u.", old.name);
				amend_sql_text(sql, " IS NOT DISTINCT FROM ");
				add_text_of(sql, "u.", column->name);
			} else {
				db->driver->json_of(sql, &old, "u.");
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

enum amend_status amend_cte_prepare(struct amend_conn *db, struct amend_written *out,
				    struct amend_error *err)
{
	int64_t run_id;

	*out = (struct amend_written){0};
	return amend_revision_current(db) ? AMEND_OK : amend_run_need(db, &run_id, err);
}
