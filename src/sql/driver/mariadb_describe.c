/*
 * Descriptions of MariaDB's tables, from information_schema.
 * Leaves what follows from them to sql/table.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/rows.h"
#include "sql/driver/mariadb.h"

struct reader {
	struct amend_session *session;
	struct amend_arena *arena;
	struct amend_table *table;
	struct amend_column *columns; /* table->columns, being filled in */
	struct amend_error *err;
	struct amend_value of[2]; /* schema, table */
	bool follows_clock;       /* a column is ON UPDATE CURRENT_TIMESTAMP */
};

static const char *text_at(const struct amend_rows *rows, size_t row, size_t column)
{
	const struct amend_value *value = amend_rows_at(rows, row, column);

	return value->kind == AMEND_TEXT ? value->as.text : "";
}

static bool is_null(const struct amend_rows *rows, size_t row, size_t column)
{
	return amend_rows_at(rows, row, column)->kind == AMEND_NULL;
}

static bool is_true(const struct amend_rows *rows, size_t row, size_t column)
{
	return strcmp(text_at(rows, row, column), "1") == 0;
}

static const char *kept(struct reader *reader, const struct amend_rows *rows, size_t row,
			size_t column)
{
	return amend_arena_text(reader->arena, text_at(rows, row, column));
}

/* `sql` has the schema's and the table's placeholder, in this order. */
static enum amend_status query(struct reader *reader, const char *sql, struct amend_rows *rows)
{
	return amend_mariadb_ask(reader->session, sql, reader->of, 2, rows, reader->err);
}

/* --- which table -------------------------------------------------------- */

/* Whether `left` letters changed, added or dropped make one of the other. */
static bool near(const char *a, const char *b, int left)
{
	while (*a && *a == *b)
		a++, b++;
	if (*a == '\0' && *b == '\0')
		return true;
	if (left == 0)
		return false;
	return (*a && *b && near(a + 1, b + 1, left - 1)) || (*a && near(a + 1, b, left - 1)) ||
	       (*b && near(a, b + 1, left - 1));
}

static enum amend_status not_found(struct reader *reader, const char *schema, const char *name)
{
	static const char sql[] = "SELECT table_name FROM information_schema.tables "
				  "WHERE table_schema = coalesce(?, DATABASE()) AND table_name "
				  "NOT LIKE 'amend#_%' ESCAPE '#' AND ? IS NOT NULL ORDER BY 1";
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error *err = reader->err;
	char list[512] = "";
	int listed = 0;
	enum amend_status status = query(reader, sql, &rows);

	for (size_t i = 0; i < rows.n_rows && listed < 3; i++) {
		const char *found = text_at(&rows, i, 0);
		size_t size = strlen(list);

		/* In a name of three letters two changes make anything of anything. */
		if (strlen(found) > 64 || strlen(name) > 64 ||
		    !near(name, found, strlen(name) < 5 ? 1 : 2))
			continue;
		snprintf(list + size, sizeof(list) - size, "%s%s", listed++ ? ", " : "", found);
	}
	amend_rows_release(&rows);
	if (status != AMEND_OK)
		return status;
	amend_error_set(err, AMEND_NOT_FOUND, "no table %s%s%s%s%s%s", schema ? schema : "",
			schema ? "." : "", name, listed ? " (hint: did you mean " : "", list,
			listed ? "?)" : "");
	snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", AMEND_SQLSTATE_NO_TABLE);
	return err->status;
}

static enum amend_status find_table(struct reader *reader, const char *schema, const char *name,
				    bool *visible)
{
	static const char sql[] =
		"SELECT t.table_schema, t.table_name, t.table_type, t.table_schema <=> DATABASE(), "
		"t.engine, EXISTS (SELECT 1 FROM information_schema.engines e WHERE e.engine = "
		"t.engine AND e.transactions = 'YES') FROM information_schema.tables t "
		"WHERE t.table_schema = coalesce(?, DATABASE()) AND t.table_name = ?";
	struct amend_rows rows = AMEND_ROWS_INIT;
	const char *type;
	enum amend_status status;

	reader->of[0] = amend_text(schema);
	reader->of[1] = amend_text(name);
	status = query(reader, sql, &rows);
	if (status != AMEND_OK)
		return status;
	if (rows.n_rows == 0) {
		amend_rows_release(&rows);
		return not_found(reader, schema, name);
	}
	type = text_at(&rows, 0, 2);
	if (strcmp(type, "BASE TABLE") != 0 && strcmp(type, "SYSTEM VERSIONED") != 0) {
		status = amend_error_set(reader->err, AMEND_UNSUPPORTED,
					 "%s is a %s, not a table: what is written through it cannot "
					 "be recorded",
					 name, strcmp(type, "VIEW") == 0 ? "view" : type);
	} else if (!is_true(&rows, 0, 5)) {
		status = amend_error_set(
			reader->err, AMEND_UNSUPPORTED,
			"table %s is kept by %s, which has no transactions: what fails "
			"half way would stay (hint: ALTER TABLE %s ENGINE = InnoDB)",
			name, text_at(&rows, 0, 4), name);
	} else {
		reader->table->schema = kept(reader, &rows, 0, 0);
		reader->table->name = kept(reader, &rows, 0, 1);
		*visible = is_true(&rows, 0, 3);
		if (!reader->table->schema || !reader->table->name)
			status = amend_no_memory(reader->err);
		reader->of[0] = amend_text(reader->table->schema);
		reader->of[1] = amend_text(reader->table->name);
	}
	amend_rows_release(&rows);
	return status;
}

/* --- columns ------------------------------------------------------------ */

static bool one_of(const char *word, const char *const *words)
{
	for (; *words; words++) {
		if (strcmp(word, *words) == 0)
			return true;
	}
	return false;
}

/* Character sets whose text the client reads and writes without loss (measured). */
static bool lossless(const char *charset)
{
	static const char *const charsets[] = {"utf8mb4", "utf8mb3", "utf8",   "utf16",  "utf32",
					       "ucs2",    "latin1",  "latin2", "latin5", "latin7",
					       "cp850",   "cp852",   "cp866",  "koi8r",  "koi8u",
					       "ascii",   NULL};

	return one_of(charset, charsets);
}

/* Whether only the same bytes are the same text. Others fold case, or drop blanks at the end: utf8mb4_bin does that too. */
static bool is_bytewise(const char *collation)
{
	static const char end[] = "_nopad_bin";
	size_t size = strlen(collation);

	return size == 0 ||
	       (size > sizeof(end) - 1 && strcmp(collation + size - (sizeof(end) - 1), end) == 0);
}

/* In Turkish I is no i. */
static bool folds_ascii(const char *collation)
{
	return strstr(collation, "_ci") && !strstr(collation, "turkish");
}

static void classify(struct amend_column *column, const char *data_type, const char *charset,
		     bool json)
{
	static const char *const integers[] = {"tinyint", "smallint", "mediumint", "int",
					       "bigint",  "year",     NULL};
	static const char *const texts[] = {"varchar",    "tinytext", "text",
					    "mediumtext", "longtext", NULL};
	static const char *const bytes[] = {"varbinary",  "tinyblob", "blob",
					    "mediumblob", "longblob", NULL};
	static const char *const times[] = {"date", "time", "datetime", "timestamp", NULL};
	static const char *const others[] = {"uuid", "inet4", "inet6", NULL};
	bool utf8 = strcmp(charset, "utf8mb4") == 0;

	column->class_ = AMEND_CLASS_OTHER;
	column->type_id = AMEND_MA_OTHER;
	if (one_of(data_type, integers)) {
		column->class_ = AMEND_CLASS_INTEGER;
		if (strcmp(data_type, "year") != 0)
			column->type_id = AMEND_MA_INTEGER;
	} else if (strcmp(data_type, "decimal") == 0) {
		column->class_ = AMEND_CLASS_NUMBER;
		column->type_id = AMEND_MA_DECIMAL;
	} else if (strcmp(data_type, "double") == 0 || strcmp(data_type, "float") == 0) {
		bool bare = !strchr(column->type, '(') && !strstr(column->type, "unsigned");

		column->class_ = AMEND_CLASS_REAL;
		if (bare)
			column->type_id = *data_type == 'd' ? AMEND_MA_DOUBLE : AMEND_MA_FLOAT;
	} else if (json) {
		column->class_ = AMEND_CLASS_JSON;
	} else if (one_of(data_type, texts)) {
		column->class_ = AMEND_CLASS_TEXT;
		column->type_id = utf8 ? AMEND_MA_TEXT : AMEND_MA_OTHER;
	} else if (strcmp(data_type, "char") == 0) {
		column->class_ = AMEND_CLASS_TEXT;
		column->type_id = utf8 ? AMEND_MA_CHAR : AMEND_MA_OTHER;
	} else if (one_of(data_type, bytes) || strcmp(data_type, "binary") == 0) {
		column->class_ = AMEND_CLASS_BLOB;
		column->type_id = *data_type == 'b' && data_type[1] == 'i' ? AMEND_MA_OTHER
									   : AMEND_MA_BYTES;
	} else if (one_of(data_type, times)) {
		column->class_ = AMEND_CLASS_TIME;
		column->type_id = strcmp(data_type, "date") == 0       ? AMEND_MA_DATE
				  : strcmp(data_type, "datetime") == 0 ? AMEND_MA_DATETIME
								       : AMEND_MA_OTHER;
	} else if (strcmp(data_type, "enum") == 0 || strcmp(data_type, "set") == 0) {
		column->class_ = AMEND_CLASS_TEXT;
		/* An empty label and the mark of an invalid value read the same. */
		column->unsound = strstr(column->type, "('')") || strstr(column->type, "('',") ||
				  strstr(column->type, ",''");
	} else {
		column->unsound = !one_of(data_type, others);
	}
	if (*charset && !lossless(charset))
		column->unsound = true;
}

/*
 * A number that comes as text, which it does, is compared and added to as a double: 9007199254740993 would be
 * the same as 9007199254740992. As a decimal of the column's own size it is exact.
 */
static const char *cast_of(struct reader *reader, const struct amend_column *column,
			   const char *data_type)
{
	size_t size = strcspn(column->type, " ");

	if (column->class_ == AMEND_CLASS_INTEGER)
		return "decimal(65,0)";
	if (column->class_ == AMEND_CLASS_REAL)
		return "double";
	return strcmp(data_type, "decimal") == 0
		       ? amend_arena_text_n(reader->arena, column->type, size)
		       : "";
}

static const char columns_sql[] =
	"SELECT c.column_name, c.column_type, c.data_type, c.is_nullable = 'NO', c.column_default, "
	"c.extra, coalesce(c.character_set_name, ''), coalesce(c.collation_name, ''), "
	"c.is_generated = 'ALWAYS', c.extra LIKE '%auto_increment%', "
	"EXISTS (SELECT 1 FROM information_schema.check_constraints k WHERE "
	"k.constraint_schema = c.table_schema AND k.table_name = c.table_name AND "
	/* Quoted as the session quotes names. */
	"k.check_clause = concat('json_valid(\"', replace(c.column_name, '\"', '\"\"'), '\")')) "
	"FROM information_schema.columns c WHERE c.table_schema = ? AND c.table_name = ? "
	"ORDER BY c.ordinal_position";

static enum amend_status read_column(struct reader *reader, const struct amend_rows *rows, size_t i,
				     struct amend_column *column)
{
	const char *default_ = text_at(rows, i, 4);

	column->name = kept(reader, rows, i, 0);
	column->type = kept(reader, rows, i, 1);
	column->not_null = is_true(rows, i, 3);
	column->identity = is_true(rows, i, 9);
	if (strstr(text_at(rows, i, 5), "on update"))
		reader->follows_clock = true;
	column->generated = is_true(rows, i, 8) || strstr(text_at(rows, i, 5), "GENERATED");
	column->has_default = !is_null(rows, i, 4) && strcmp(default_, "NULL") != 0 &&
			      !column->generated;
	column->default_ = column->has_default ? kept(reader, rows, i, 4) : NULL;
	column->collation = kept(reader, rows, i, 7);
	column->bytewise = is_bytewise(text_at(rows, i, 7));
	column->folds_ascii = folds_ascii(text_at(rows, i, 7));
	if (!column->name || !column->type || !column->collation ||
	    (column->has_default && !column->default_))
		return amend_no_memory(reader->err);
	classify(column, text_at(rows, i, 2), text_at(rows, i, 6), is_true(rows, i, 10));
	column->cast = column->number_cast = cast_of(reader, column, text_at(rows, i, 2));
	return column->cast ? AMEND_OK : amend_no_memory(reader->err);
}

static enum amend_status read_columns(struct reader *reader)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = query(reader, columns_sql, &rows);

	if (status != AMEND_OK)
		return status;
	reader->columns = amend_arena_array(reader->arena, rows.n_rows, sizeof(*reader->columns));
	if (!reader->columns)
		status = amend_no_memory(reader->err);
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++)
		status = read_column(reader, &rows, i, &reader->columns[i]);
	reader->table->columns = reader->columns;
	reader->table->n_columns = rows.n_rows;
	amend_rows_release(&rows);
	return status;
}

static bool column_at(const struct reader *reader, const char *name, uint32_t *out)
{
	for (size_t i = 0; i < reader->table->n_columns; i++) {
		if (strcasecmp(reader->columns[i].name, name) == 0) {
			*out = (uint32_t)i;
			return true;
		}
	}
	return false;
}

/* --- keys --------------------------------------------------------------- */

/* Rows that share `same_as` from `first` on. */
static size_t group_end(const struct amend_rows *rows, size_t first)
{
	size_t end = first + 1;

	while (end < rows->n_rows && strcmp(text_at(rows, end, 0), text_at(rows, first, 0)) == 0)
		end++;
	return end;
}

static enum amend_status read_key(struct reader *reader, const struct amend_rows *rows,
				  size_t first, size_t end, struct amend_key *key)
{
	uint32_t *columns = amend_arena_array(reader->arena, end - first, sizeof(*columns));

	key->name = kept(reader, rows, first, 0);
	if (!columns || !key->name)
		return amend_no_memory(reader->err);
	key->primary = strcmp(key->name, "PRIMARY") == 0;
	for (size_t i = first; i < end; i++) {
		/* Unique in its first letters alone: stricter than the value, and found otherwise. */
		key->expression = key->expression || !is_null(rows, i, 2);
		if (column_at(reader, text_at(rows, i, 1), &columns[key->n_columns]))
			key->n_columns++;
		else
			key->expression = true;
	}
	key->columns = columns;
	return AMEND_OK;
}

static enum amend_status read_keys(struct reader *reader)
{
	static const char sql[] = "SELECT index_name, column_name, sub_part "
				  "FROM information_schema.statistics WHERE table_schema = ? AND "
				  "table_name = ? AND non_unique = 0 "
				  "ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index";
	struct amend_table *table = reader->table;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_key *keys = NULL;
	enum amend_status status = query(reader, sql, &rows);

	if (status != AMEND_OK)
		return status;
	keys = amend_arena_array(reader->arena, rows.n_rows, sizeof(*keys));
	if (!keys)
		status = amend_no_memory(reader->err);
	for (size_t i = 0, end; i < rows.n_rows && status == AMEND_OK; i = end) {
		end = group_end(&rows, i);
		status = read_key(reader, &rows, i, end, &keys[table->n_keys++]);
	}
	table->keys = keys;
	amend_rows_release(&rows);
	return status;
}

static enum amend_status read_foreign_key(struct reader *reader, const struct amend_rows *rows,
					  size_t first, size_t end, struct amend_foreign_key *key)
{
	uint32_t *columns = amend_arena_array(reader->arena, end - first, sizeof(*columns));
	const char **references = amend_arena_array(reader->arena, end - first, sizeof(*references));

	key->name = kept(reader, rows, first, 0);
	key->schema = kept(reader, rows, first, 2);
	key->table = kept(reader, rows, first, 3);
	if (!columns || !references || !key->name || !key->schema || !key->table)
		return amend_no_memory(reader->err);
	for (size_t i = first; i < end; i++) {
		references[i - first] = kept(reader, rows, i, 4);
		if (!references[i - first])
			return amend_no_memory(reader->err);
		if (!column_at(reader, text_at(rows, i, 1), &columns[i - first]))
			return amend_error_set(reader->err, AMEND_INTERNAL,
					       "a foreign key of a column that is not there");
	}
	key->columns = columns;
	key->references = references;
	key->n_columns = end - first;
	return AMEND_OK;
}

static enum amend_status read_foreign_keys(struct reader *reader)
{
	static const char sql[] = "SELECT constraint_name, column_name, referenced_table_schema, "
				  "referenced_table_name, referenced_column_name FROM "
				  "information_schema.key_column_usage WHERE table_schema = ? AND "
				  "table_name = ? AND referenced_table_name IS NOT NULL "
				  "ORDER BY constraint_name, ordinal_position";
	struct amend_table *table = reader->table;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_foreign_key *keys = NULL;
	enum amend_status status = query(reader, sql, &rows);

	if (status != AMEND_OK)
		return status;
	keys = amend_arena_array(reader->arena, rows.n_rows, sizeof(*keys));
	if (!keys)
		status = amend_no_memory(reader->err);
	for (size_t i = 0, end; i < rows.n_rows && status == AMEND_OK; i = end) {
		end = group_end(&rows, i);
		status = read_foreign_key(reader, &rows, i, end, &keys[table->n_foreign_keys++]);
	}
	table->foreign_keys = keys;
	amend_rows_release(&rows);
	return status;
}

static enum amend_key_action action_of(const char *rule)
{
	return strcmp(rule, "CASCADE") == 0    ? AMEND_KEY_CASCADES
	       : strncmp(rule, "SET ", 4) == 0 ? AMEND_KEY_SETS
					       : AMEND_KEY_REFUSES;
}

/* Of the same database: to look through all of them the server would open each table there is. */
static enum amend_status read_dependents(struct reader *reader)
{
	static const char sql[] =
		"SELECT concat(k.table_name, '.', k.constraint_name), k.table_schema, k.table_name, "
		"k.column_name, k.referenced_column_name, r.delete_rule, r.update_rule "
		"FROM information_schema.referential_constraints r "
		"JOIN information_schema.key_column_usage k ON k.constraint_name = r.constraint_name "
		"AND k.table_name = r.table_name WHERE r.constraint_schema = ? "
		"AND r.unique_constraint_schema = r.constraint_schema AND r.referenced_table_name = ? "
		"AND k.table_schema = ? AND k.constraint_schema = r.constraint_schema "
		"AND k.referenced_column_name IS NOT NULL "
		"AND NOT (r.delete_rule IN ('RESTRICT', 'NO ACTION') "
		"AND r.update_rule IN ('RESTRICT', 'NO ACTION')) "
		"ORDER BY k.table_name, k.constraint_name, k.ordinal_position";
	const struct amend_value of[] = {reader->of[0], reader->of[1], reader->of[0]};
	struct amend_arena *arena = reader->arena;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_dependent *list, *one = NULL;
	uint32_t *places;
	const char **names;
	enum amend_status status = amend_mariadb_ask(reader->session, sql, of, 3, &rows,
						     reader->err);

	if (status != AMEND_OK)
		return status;
	list = amend_arena_array(arena, rows.n_rows, sizeof(*list));
	places = amend_arena_array(arena, rows.n_rows, sizeof(*places));
	names = amend_arena_array(arena, rows.n_rows, sizeof(*names));
	if (!list || !places || !names)
		status = amend_no_memory(reader->err);
	for (size_t i = 0, end = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		if (i == end) {
			end = group_end(&rows, i);
			one = &list[reader->table->n_dependents++];
			one->schema = kept(reader, &rows, i, 1);
			one->table = kept(reader, &rows, i, 2);
			one->columns = names + i;
			one->references = places + i;
			one->n_columns = end - i;
			one->on_delete = action_of(text_at(&rows, i, 5));
			one->on_update = action_of(text_at(&rows, i, 6));
			if (!one->schema || !one->table)
				status = amend_no_memory(reader->err);
		}
		names[i] = kept(reader, &rows, i, 3);
		if (!names[i])
			status = amend_no_memory(reader->err);
		else if (!column_at(reader, text_at(&rows, i, 4), &places[i]))
			status = amend_error_set(reader->err, AMEND_INTERNAL,
						 "a foreign key to a column that is not there");
	}
	reader->table->dependents = list;
	amend_rows_release(&rows);
	return status;
}

enum amend_status amend_mariadb_describe(struct amend_session *session, const char *schema,
					 const char *name, struct amend_arena *arena,
					 struct amend_table *table, bool *visible,
					 struct amend_error *err)
{
	struct reader reader = {.session = session, .arena = arena, .table = table, .err = err};
	enum amend_status status;

	*visible = false;
	table->n_keys = table->n_foreign_keys = table->n_dependents = 0;
	table->rowid = NULL;
	table->folds_case = true;
	status = find_table(&reader, schema, name, visible);
	if (status == AMEND_OK)
		status = read_columns(&reader);
	if (status == AMEND_OK)
		status = read_keys(&reader);
	if (status == AMEND_OK)
		status = read_foreign_keys(&reader);
	if (status == AMEND_OK)
		status = read_dependents(&reader);
	if (status == AMEND_OK)
		status = amend_mariadb_read_triggers(session, table, err);
	/* As a BEFORE trigger does: a column that takes the time of each change. */
	table->has_triggers = table->has_triggers || reader.follows_clock;
	table->settles_late = table->has_triggers;
	return status;
}
