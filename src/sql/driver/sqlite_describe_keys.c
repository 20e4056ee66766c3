/*
 * A table's foreign keys, and those of others by which rows go or change with its own.
 * Leaves the rest of its description to sqlite_describe.c.
 */
#include "sql/driver/sqlite_describe.h"

#include <string.h>

#include "sql/sql.h"

/* `to` is NULL where the parent's primary key is meant: it is looked up there. */
static enum amend_status parent_key(struct amend_sqlite_reader *reader, const char *parent,
				    const char **out, size_t n, bool *found)
{
	static const char sql[] =
		"SELECT name FROM pragma_table_xinfo(?1, ?2) WHERE pk > 0 ORDER BY pk";
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_sqlite_query(reader, sql, parent, reader->table->schema,
						      &rows);

	*found = status == AMEND_OK && rows.n_rows == n;
	for (size_t i = 0; i < n && *found && status == AMEND_OK; i++) {
		out[i] = amend_arena_text(reader->arena, amend_sqlite_text_at(&rows, i, 0));
		if (!out[i])
			status = amend_no_memory(reader->err);
	}
	amend_rows_release(&rows);
	return status;
}

/* Rows `first` up to `end` are one key. One that refers to nothing that exists is left out: SQLite refuses it by itself. */
static enum amend_status read_foreign_key(struct amend_sqlite_reader *reader,
					  const struct amend_rows *rows, size_t first, size_t end,
					  struct amend_foreign_key *key)
{
	struct amend_table *table = reader->table;
	size_t n = end - first;
	uint32_t *columns = amend_arena_array(reader->arena, n, sizeof(*columns));
	const char **references = amend_arena_array(reader->arena, n, sizeof(*references));
	bool found = true;
	enum amend_status status = AMEND_OK;

	key->name = "";
	key->schema = table->schema;
	key->table = amend_arena_text(reader->arena, amend_sqlite_text_at(rows, first, 1));
	if (!columns || !references || !key->table)
		return amend_no_memory(reader->err);
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < table->n_columns; j++) {
			if (strcasecmp(table->columns[j].name,
				       amend_sqlite_text_at(rows, first + i, 2)) == 0)
				columns[i] = (uint32_t)j;
		}
		if (amend_sqlite_is_null(rows, first, 3))
			continue;
		references[i] = amend_arena_text(reader->arena,
						 amend_sqlite_text_at(rows, first + i, 3));
		if (!references[i])
			return amend_no_memory(reader->err);
	}
	if (amend_sqlite_is_null(rows, first, 3))
		status = parent_key(reader, key->table, references, n, &found);
	key->columns = columns;
	key->references = references;
	key->n_columns = n;
	table->n_foreign_keys += found;
	return status;
}

enum amend_status amend_sqlite_foreign_keys(struct amend_sqlite_reader *reader)
{
	static const char sql[] = "SELECT id, \"table\", \"from\", \"to\""
				  " FROM pragma_foreign_key_list(?1, ?2) ORDER BY id DESC, seq";
	struct amend_table *table = reader->table;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_foreign_key *keys;
	enum amend_status status = amend_sqlite_query(reader, sql, table->name, table->schema,
						      &rows);

	if (status != AMEND_OK)
		return status;
	keys = amend_arena_array(reader->arena, rows.n_rows, sizeof(*keys));
	if (!keys) {
		amend_rows_release(&rows);
		return amend_no_memory(reader->err);
	}
	for (size_t i = 0, end; i < rows.n_rows && status == AMEND_OK; i = end) {
		end = i + 1;
		while (end < rows.n_rows && amend_sqlite_integer_at(&rows, end, 0) ==
						    amend_sqlite_integer_at(&rows, i, 0))
			end++;
		status = read_foreign_key(reader, &rows, i, end, &keys[table->n_foreign_keys]);
	}
	table->foreign_keys = keys;
	amend_rows_release(&rows);
	return status;
}

/* The primary key's column at this place, where a foreign key names none. */
static int primary_column(const struct amend_table *table, size_t place)
{
	for (size_t i = 0; i < table->n_keys; i++) {
		if (table->keys[i].primary && place < table->keys[i].n_columns)
			return (int)table->keys[i].columns[place];
	}
	return -1;
}

static enum amend_key_action action_of(const char *name)
{
	if (strcmp(name, "CASCADE") == 0)
		return AMEND_KEY_CASCADES;
	return strncmp(name, "SET ", 4) == 0 ? AMEND_KEY_SETS : AMEND_KEY_REFUSES;
}

/* Rows `first` to `end` are one foreign key; one that names what is not there is none. */
static enum amend_status read_dependent(struct amend_sqlite_reader *reader,
					const struct amend_rows *rows, size_t first, size_t end,
					struct amend_dependent *one)
{
	size_t n = end - first;
	const char **names = amend_arena_array(reader->arena, n, sizeof(*names));
	uint32_t *places = amend_arena_array(reader->arena, n, sizeof(*places));

	one->schema = reader->table->schema;
	one->table = amend_arena_text(reader->arena, amend_sqlite_text_at(rows, first, 0));
	if (!names || !places || !one->table)
		return amend_no_memory(reader->err);
	for (size_t i = 0; i < n; i++) {
		int at = amend_sqlite_is_null(rows, first + i, 3)
				 ? primary_column(reader->table, i)
				 : amend_table_column(reader->table,
						      amend_sqlite_text_at(rows, first + i, 3));

		names[i] = amend_arena_text(reader->arena, amend_sqlite_text_at(rows, first + i, 2));
		if (!names[i])
			return amend_no_memory(reader->err);
		if (at < 0)
			return AMEND_OK;
		places[i] = (uint32_t)at;
	}
	one->columns = names;
	one->references = places;
	one->n_columns = n;
	one->on_delete = action_of(amend_sqlite_text_at(rows, first, 4));
	one->on_update = action_of(amend_sqlite_text_at(rows, first, 5));
	reader->table->n_dependents++;
	return AMEND_OK;
}

enum amend_status amend_sqlite_dependents(struct amend_sqlite_reader *reader)
{
	struct amend_table *table = reader->table;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_dependent *list;
	enum amend_status status;

	amend_buffer_text(&sql, "SELECT m.name, f.id, f.\"from\", f.\"to\", f.on_delete, "
				"f.on_update FROM ");
	amend_quote_name(&sql, amend_driver_sqlite->dialect, table->schema);
	amend_buffer_text(&sql, ".sqlite_master m, pragma_foreign_key_list(m.name, ?2) f "
				"WHERE m.type = 'table' AND m.sql LIKE '%REFERENCES%' "
				"AND f.\"table\" = ?1 COLLATE NOCASE "
				"AND NOT (f.on_delete IN ('NO ACTION', 'RESTRICT') "
				"AND f.on_update IN ('NO ACTION', 'RESTRICT')) "
				"ORDER BY m.rowid, f.id, f.seq");
	status = sql.failed
			 ? amend_no_memory(reader->err)
			 : amend_sqlite_query(reader, sql.data, table->name, table->schema, &rows);
	amend_buffer_release(&sql);
	list = amend_arena_array(reader->arena, rows.n_rows, sizeof(*list));
	if (status == AMEND_OK && !list)
		status = amend_no_memory(reader->err);
	for (size_t i = 0, end; list && i < rows.n_rows && status == AMEND_OK; i = end) {
		end = i + 1;
		while (end < rows.n_rows &&
		       amend_sqlite_integer_at(&rows, end, 1) ==
			       amend_sqlite_integer_at(&rows, i, 1) &&
		       strcmp(amend_sqlite_text_at(&rows, end, 0),
			      amend_sqlite_text_at(&rows, i, 0)) == 0)
			end++;
		status = read_dependent(reader, &rows, i, end, &list[table->n_dependents]);
	}
	table->dependents = list;
	amend_rows_release(&rows);
	return status;
}
