/*
 * A table's description, read from SQLite's pragmas.
 * Leaves foreign keys to sqlite_describe_keys.c; identity, version column and quoting to sql/table.c.
 */
#include "sql/driver/sqlite_describe.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/buffer.h"
#include "core/rows.h"
#include "sql/sql.h"
#include "sql/sqlstate.h"

enum amend_status amend_sqlite_query(struct amend_sqlite_reader *reader, const char *sql,
				     const char *first, const char *second, struct amend_rows *rows)
{
	const struct amend_value values[] = {amend_text(first), amend_text(second)};
	const struct amend_statement statement = {.sql = sql, .values = values, .n_values = 2};
	size_t failed;

	return amend_sqlite_run(reader->session, &statement, 1, rows, &failed, reader->err);
}

const char *amend_sqlite_text_at(const struct amend_rows *rows, size_t row, size_t column)
{
	const struct amend_value *value = amend_rows_at(rows, row, column);

	return value->kind == AMEND_TEXT ? value->as.text : "";
}

int64_t amend_sqlite_integer_at(const struct amend_rows *rows, size_t row, size_t column)
{
	const struct amend_value *value = amend_rows_at(rows, row, column);

	return value->kind == AMEND_INTEGER ? value->as.integer : 0;
}

bool amend_sqlite_is_null(const struct amend_rows *rows, size_t row, size_t column)
{
	return amend_rows_at(rows, row, column)->kind == AMEND_NULL;
}

/* How many letters to change, add or drop; names longer than that are never near. */
static size_t distance(const char *a, const char *b)
{
	enum { LONGEST = 63 };
	size_t row[LONGEST + 1], n = strlen(b);

	if (n > LONGEST)
		return LONGEST;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t best = diagonal + (strncasecmp(&a[i - 1], &b[j - 1], 1) != 0);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

/* NOT_FOUND, with the names that could have been meant. */
static enum amend_status not_found(struct amend_sqlite_reader *reader, const char *schema,
				   const char *name)
{
	static const char sql[] =
		"SELECT name, ?2 FROM pragma_table_list WHERE schema = ?1 COLLATE NOCASE"
		" AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
	static const char known[] = "SELECT name, ?2 FROM pragma_database_list"
				    " WHERE name = ?1 COLLATE NOCASE";
	struct amend_buffer near = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	size_t limit = strlen(name) / 3 + 1;
	enum amend_status status = amend_sqlite_query(reader, known, schema, "", &rows);
	bool no_schema = rows.n_rows == 0 && strcasecmp(schema, "temp") != 0;

	amend_rows_release(&rows);
	if (status == AMEND_OK && no_schema)
		return amend_sqlite_error(reader->err, AMEND_NOT_FOUND, AMEND_SQLSTATE_NO_SCHEMA,
					  "no database is attached as %s", schema);
	if (status == AMEND_OK)
		status = amend_sqlite_query(reader, sql, schema, "", &rows);
	if (status != AMEND_OK)
		return status;
	for (size_t i = 0; i < rows.n_rows; i++) {
		if (distance(amend_sqlite_text_at(&rows, i, 0), name) > limit)
			continue;
		amend_buffer_text(&near, near.size ? ", " : " (hint: there is ");
		amend_buffer_text(&near, amend_sqlite_text_at(&rows, i, 0));
	}
	if (near.size)
		amend_buffer_char(&near, ')');
	amend_rows_release(&rows);
	amend_sqlite_error(reader->err, AMEND_NOT_FOUND, AMEND_SQLSTATE_NO_TABLE,
			   "there is no table %s in %s%s", name, schema,
			   near.failed ? "" : amend_buffer_string(&near));
	amend_buffer_release(&near);
	return AMEND_NOT_FOUND;
}

static enum amend_status check_kind(struct amend_sqlite_reader *reader, const char *name,
				    const char *kind)
{
	if (strcmp(kind, "table") != 0)
		return amend_error_set(reader->err, AMEND_UNSUPPORTED,
				       "%s is a %s%s: amend writes ordinary tables only", name,
				       kind, strcmp(kind, "view") == 0 ? "" : " table");
	return AMEND_OK;
}

static enum amend_status find_table(struct amend_sqlite_reader *reader, const char *schema,
				    const char *name, bool *visible)
{
	static const char sql[] =
		"SELECT schema, name, type, wr, strict, ?2 FROM pragma_table_list(?1)";
	struct amend_table *table = reader->table;
	struct amend_rows rows = AMEND_ROWS_INIT;
	size_t found = SIZE_MAX;
	bool in_temp = false, in_main = false;
	enum amend_status status;

	if (strncasecmp(name, "sqlite_", 7) == 0)
		return amend_error_set(reader->err, AMEND_UNSUPPORTED,
				       "%s is SQLite's own: amend does not write it", name);
	status = amend_sqlite_query(reader, sql, name, "", &rows);
	if (status != AMEND_OK)
		return status;
	for (size_t i = 0; i < rows.n_rows; i++) {
		if (strcasecmp(amend_sqlite_text_at(&rows, i, 0), schema) == 0)
			found = i;
		in_temp |= strcmp(amend_sqlite_text_at(&rows, i, 0), "temp") == 0;
		in_main |= strcmp(amend_sqlite_text_at(&rows, i, 0), "main") == 0;
	}
	if (found == SIZE_MAX) {
		status = not_found(reader, schema, name);
		goto out;
	}
	table->schema = amend_arena_text(reader->arena, amend_sqlite_text_at(&rows, found, 0));
	table->name = amend_arena_text(reader->arena, amend_sqlite_text_at(&rows, found, 1));
	if (!table->schema || !table->name) {
		status = amend_no_memory(reader->err);
		goto out;
	}
	status = check_kind(reader, table->name, amend_sqlite_text_at(&rows, found, 2));
	reader->without_rowid = amend_sqlite_integer_at(&rows, found, 3) != 0;
	reader->strict = amend_sqlite_integer_at(&rows, found, 4) != 0;
	/* A bare name is looked for in temp, in main, then in what is attached. */
	*visible = strcmp(table->schema, "temp") == 0 ||
		   (!in_temp &&
		    (strcmp(table->schema, "main") == 0 || (!in_main && rows.n_rows == 1)));
out:
	amend_rows_release(&rows);
	return status;
}

/*
 * The affinity decides what a value becomes; where it keeps values of any kind
 * (NUMERIC: BOOLEAN, DECIMAL, DATE, JSON, ...; no type; ANY) the class is ANY.
 */
static enum amend_class class_of(const char *type, bool strict)
{
	switch (amend_sqlite_affinity(type, strict)) {
	case AMEND_SQLITE_AS_TEXT:
		return AMEND_CLASS_TEXT;
	case AMEND_SQLITE_AS_INTEGER:
		return AMEND_CLASS_INTEGER;
	case AMEND_SQLITE_AS_REAL:
		return AMEND_CLASS_REAL;
	case AMEND_SQLITE_AS_BLOB:
		return *type && strcasecmp(type, "ANY") != 0 ? AMEND_CLASS_BLOB : AMEND_CLASS_ANY;
	case AMEND_SQLITE_AS_NUMERIC:
		break;
	}
	return AMEND_CLASS_ANY;
}

static enum amend_status read_column(struct amend_sqlite_reader *reader,
				     const struct amend_rows *rows, size_t i,
				     struct amend_column *column)
{
	const struct amend_table *table = reader->table;
	const char *collation = "BINARY";
	int rc;

	*column = (struct amend_column){
		.name = amend_arena_text(reader->arena, amend_sqlite_text_at(rows, i, 0)),
		.type = amend_arena_text(reader->arena, amend_sqlite_text_at(rows, i, 1)),
		.cast = "",
		.number_cast = "",
		.collation = "",
		.not_null = amend_sqlite_integer_at(rows, i, 2) != 0,
		.generated = amend_sqlite_integer_at(rows, i, 5) >= 2,
		.has_default = !amend_sqlite_is_null(rows, i, 3),
		.type_id = reader->strict ? AMEND_SQLITE_STRICT : 0,
	};
	if (!column->name || !column->type)
		return amend_no_memory(reader->err);
	column->class_ = class_of(column->type, reader->strict);
	column->numeric = amend_sqlite_affinity(column->type, reader->strict) ==
			  AMEND_SQLITE_AS_NUMERIC;
	if (column->has_default) {
		column->default_ = amend_arena_text(reader->arena, amend_sqlite_text_at(rows, i, 3));
		if (!column->default_)
			return amend_no_memory(reader->err);
	}
	rc = sqlite3_table_column_metadata(reader->session->db, table->schema, table->name,
					   column->name, NULL, &collation, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return amend_sqlite_fail(reader->session, rc, AMEND_SQLITE_PREPARING, false,
					 reader->err);
	column->bytewise = !collation || strcasecmp(collation, "BINARY") == 0;
	if (!column->bytewise) {
		column->collation = amend_arena_text(reader->arena, collation);
		if (!column->collation)
			return amend_no_memory(reader->err);
	}
	return AMEND_OK;
}

/* The columns, and the primary key's in `key` in its own order. */
static enum amend_status read_columns(struct amend_sqlite_reader *reader, uint32_t *key,
				      size_t *n_key)
{
	static const char sql[] = "SELECT name, type, \"notnull\", dflt_value, pk, hidden"
				  " FROM pragma_table_xinfo(?1, ?2) ORDER BY cid";
	struct amend_table *table = reader->table;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_column *columns;
	enum amend_status status = amend_sqlite_query(reader, sql, table->name, table->schema,
						      &rows);

	*n_key = 0;
	if (status != AMEND_OK)
		return status;
	columns = amend_arena_array(reader->arena, rows.n_rows, sizeof(*columns));
	if (!columns)
		status = amend_no_memory(reader->err);
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		int64_t pk = amend_sqlite_integer_at(&rows, i, 4);

		status = read_column(reader, &rows, i, &columns[i]);
		if (pk <= 0 || (uint64_t)pk > rows.n_rows)
			continue;
		key[pk - 1] = (uint32_t)i;
		++*n_key;
	}
	table->columns = reader->columns = columns;
	table->n_columns = rows.n_rows;
	amend_rows_release(&rows);
	return status;
}

/*
 * The name under which the rowid is reached, unless columns took all three.
 * table.c drops it where a key identifies the rows.
 */
static const char *rowid_name(const struct amend_table *table)
{
	static const char *const names[] = {"rowid", "_rowid_", "oid"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t j = 0;

		while (j < table->n_columns && strcasecmp(table->columns[j].name, names[i]) != 0)
			j++;
		if (j == table->n_columns)
			return names[i];
	}
	return NULL;
}

/*
 * An index that compares by another collation than its column does proves
 * nothing for what the column calls equal, unless the column is BINARY: then
 * the index is the stricter one.
 */
static bool proves_less(const struct amend_column *column, const char *collation)
{
	return strcasecmp(*column->collation ? column->collation : "BINARY", collation) != 0 &&
	       *column->collation;
}

static enum amend_status read_key_columns(struct amend_sqlite_reader *reader, struct amend_key *key)
{
	static const char sql[] = "SELECT cid, coll FROM pragma_index_xinfo(?1, ?2) WHERE key = 1"
				  " ORDER BY seqno";
	struct amend_table *table = reader->table;
	struct amend_rows rows = AMEND_ROWS_INIT;
	uint32_t *columns;
	enum amend_status status = amend_sqlite_query(reader, sql, key->name, table->schema, &rows);

	if (status != AMEND_OK)
		return status;
	columns = amend_arena_array(reader->arena, rows.n_rows, sizeof(*columns));
	if (!columns)
		status = amend_no_memory(reader->err);
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		int64_t cid = amend_sqlite_integer_at(&rows, i, 0);

		if (cid < 0 || (uint64_t)cid >= table->n_columns) {
			key->expression = true;
			continue;
		}
		if (proves_less(&table->columns[cid], amend_sqlite_text_at(&rows, i, 1)))
			key->expression = true;
		columns[key->n_columns++] = (uint32_t)cid;
	}
	key->columns = columns;
	amend_rows_release(&rows);
	return status;
}

/* The primary key of a rowid table that is INTEGER PRIMARY KEY has no index. */
static enum amend_status add_rowid_key(struct amend_sqlite_reader *reader, uint32_t column,
				       struct amend_key *key)
{
	uint32_t *columns = amend_arena_array(reader->arena, 1, sizeof(*columns));

	if (!columns)
		return amend_no_memory(reader->err);
	columns[0] = column;
	*key = (struct amend_key){
		.name = "primary key", .columns = columns, .n_columns = 1, .primary = true};
	/* Never NULL, but NULL may be written: the next number is stored then. */
	reader->columns[column].identity = true;
	reader->columns[column].type_id |= AMEND_SQLITE_ROWID;
	return AMEND_OK;
}

static enum amend_status read_keys(struct amend_sqlite_reader *reader, const uint32_t *primary,
				   size_t n_primary)
{
	static const char sql[] = "SELECT name, origin, partial FROM pragma_index_list(?1, ?2)"
				  " WHERE \"unique\" = 1 ORDER BY origin <> 'pk', seq DESC";
	struct amend_table *table = reader->table;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_key *keys;
	enum amend_status status = amend_sqlite_query(reader, sql, table->name, table->schema,
						      &rows);
	bool has_index;

	if (status != AMEND_OK)
		return status;
	has_index = rows.n_rows > 0 && strcmp(amend_sqlite_text_at(&rows, 0, 1), "pk") == 0;
	keys = amend_arena_array(reader->arena, rows.n_rows + 1, sizeof(*keys));
	if (!keys) {
		amend_rows_release(&rows);
		return amend_no_memory(reader->err);
	}
	if (n_primary == 1 && !has_index)
		status = add_rowid_key(reader, primary[0], &keys[table->n_keys++]);
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		struct amend_key *key = &keys[table->n_keys++];

		key->name = amend_arena_text(reader->arena, amend_sqlite_text_at(&rows, i, 0));
		key->primary = strcmp(amend_sqlite_text_at(&rows, i, 1), "pk") == 0;
		key->partial = amend_sqlite_integer_at(&rows, i, 2) != 0;
		status = key->name ? read_key_columns(reader, key) : amend_no_memory(reader->err);
	}
	table->keys = keys;
	amend_rows_release(&rows);
	return status;
}

/* What acts when a row is written: triggers, also temporary ones, and a row that refers to another of its table. */
static enum amend_status read_triggers(struct amend_sqlite_reader *reader)
{
	static const char referring[] =
		"SELECT 1 FROM pragma_foreign_key_list(?1, ?2) WHERE \"table\" = ?1 COLLATE NOCASE "
		"AND on_update NOT IN ('NO ACTION', 'RESTRICT')";
	struct amend_table *table = reader->table;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	enum amend_status status;

	amend_buffer_text(&sql, "SELECT 1 FROM ");
	amend_quote_name(&sql, amend_driver_sqlite->dialect, table->schema);
	amend_buffer_text(&sql, ".sqlite_master WHERE type = 'trigger' AND tbl_name = ?1 COLLATE "
				"NOCASE UNION ALL SELECT 1 FROM sqlite_temp_master WHERE type = "
				"'trigger' AND tbl_name = ?1 COLLATE NOCASE AND ?2 <> ''");
	status = sql.failed
			 ? amend_no_memory(reader->err)
			 : amend_sqlite_query(reader, sql.data, table->name, table->schema, &rows);
	table->has_triggers = rows.n_rows > 0;
	amend_rows_release(&rows);
	if (status == AMEND_OK)
		status = amend_sqlite_query(reader, referring, table->name, table->schema, &rows);
	table->settles_late = table->has_triggers || rows.n_rows > 0;
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	return status;
}

/* amend guard: the triggers say that it stands, the ledger which column it moves. */
static enum amend_status read_guard(struct amend_sqlite_reader *reader)
{
	static const char triggers[] =
		"SELECT name LIKE 'amend\\_guard\\_update\\_%' ESCAPE '\\', "
		"sql LIKE '%INSERT INTO amend\\_change%' ESCAPE '\\' "
		"FROM main.sqlite_master WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE "
		"AND name LIKE 'amend\\_guard\\_%' ESCAPE '\\' AND ?2 = 'main' ORDER BY 1 DESC";
	static const char column[] = "SELECT version FROM main.amend_guard WHERE tbl = ?1 "
				     "AND ?2 = 'main'";
	struct amend_table *table = reader->table;
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_sqlite_query(reader, triggers, table->name, table->schema,
						      &rows);
	struct amend_buffer name = AMEND_BUFFER_INIT;
	bool guarded = rows.n_rows > 0 && amend_sqlite_integer_at(&rows, 0, 0) != 0;

	table->guard_history = guarded && amend_sqlite_integer_at(&rows, 0, 1) != 0;
	table->guard_state = (guarded ? 1u : 0u) + (table->guard_history ? 2u : 0u);
	amend_rows_release(&rows);
	if (status != AMEND_OK || !guarded)
		return status;
	amend_ledger_name(&name, table->name);
	status = name.failed ? amend_no_memory(reader->err)
			     : amend_sqlite_query(reader, column, amend_buffer_string(&name),
						  table->schema, &rows);
	amend_buffer_release(&name);
	for (size_t i = 0; i < table->n_columns && rows.n_rows > 0; i++) {
		if (strcasecmp(table->columns[i].name, amend_sqlite_text_at(&rows, 0, 0)) == 0) {
			table->version = (int)i;
			table->guard_version = true;
		}
	}
	amend_rows_release(&rows);
	return status;
}

void amend_sqlite_schema_version(struct amend_sql *sql, const struct amend_table *table)
{
	amend_sql_text(sql, "PRAGMA ");
	amend_sql_name(sql, table->schema);
	amend_sql_text(sql, ".schema_version");
}

/* Before what is in it is read: what comes in between shows. */
static enum amend_status read_schema_version(struct amend_sqlite_reader *reader)
{
	struct amend_sql sql = {.dialect = amend_driver_sqlite->dialect};
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_statement statement = {.once = true};
	enum amend_status status = AMEND_OK;
	size_t failed;

	amend_sqlite_schema_version(&sql, reader->table);
	statement.sql = sql.text.failed ? NULL : sql.text.data;
	if (!statement.sql)
		status = amend_no_memory(reader->err);
	else
		status = amend_sqlite_run(reader->session, &statement, 1, &rows, &failed,
					  reader->err);
	if (status == AMEND_OK && rows.n_rows == 1)
		reader->table->schema_version = amend_sqlite_integer_at(&rows, 0, 0);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

void amend_sqlite_guard_state(struct amend_sql *sql, const struct amend_table *table)
{
	if (strcmp(table->schema, "main") != 0) {
		amend_sql_text(sql, "0");
		return;
	}
	amend_sql_text(sql, "(SELECT coalesce(max(1 + 2 * (sql LIKE '%INSERT INTO amend\\_change%' "
			    "ESCAPE '\\')), 0) FROM main.sqlite_master WHERE type = 'trigger' "
			    "AND name LIKE 'amend\\_guard\\_update\\_%' ESCAPE '\\' "
			    "AND tbl_name = ");
	amend_sql_literal(sql, table->name);
	amend_sql_text(sql, " COLLATE NOCASE)");
}

enum amend_status amend_sqlite_describe(struct amend_session *session, const char *schema,
					const char *name, struct amend_arena *arena,
					struct amend_table *table, bool *visible,
					struct amend_error *err)
{
	enum { MOST_COLUMNS = 32767 }; /* SQLite's own limit */
	struct amend_sqlite_reader reader = {
		.session = session, .arena = arena, .table = table, .err = err};
	uint32_t *primary = malloc(MOST_COLUMNS * sizeof(*primary));
	size_t n_primary = 0;
	enum amend_status status;

	if (!primary)
		return amend_no_memory(err);
	*visible = false;
	table->n_keys = table->n_foreign_keys = table->n_dependents = 0;
	table->rowid = NULL;
	table->folds_case = true;
	status = find_table(&reader, schema ? schema : "main", name, visible);
	if (status == AMEND_OK)
		status = read_schema_version(&reader);
	if (status == AMEND_OK)
		status = read_columns(&reader, primary, &n_primary);
	if (status == AMEND_OK && !reader.without_rowid)
		table->rowid = rowid_name(table);
	if (status == AMEND_OK)
		status = read_keys(&reader, primary, n_primary);
	if (status == AMEND_OK)
		status = amend_sqlite_foreign_keys(&reader);
	if (status == AMEND_OK)
		status = amend_sqlite_dependents(&reader);
	if (status == AMEND_OK)
		status = read_triggers(&reader);
	if (status == AMEND_OK && table->has_triggers)
		status = read_guard(&reader);
	free(primary);
	return status;
}
