/*
 * What of its own table stands in a row's way: types, NOT NULL, CHECKs, unique keys.
 * Leaves foreign keys to mariadb_refers.c, and unique keys over the first letters of a column to the server's own message.
 *
 * The row as it is wanted stands in a query, `w`: each value in its column's type, defaults and generated
 * columns by their own expressions. The server is asked about it, rule by rule.
 */
#include "sql/driver/mariadb_violations.h"

#include <string.h>

#include "core/rows.h"

static const char *text_at(const struct amend_rows *rows, size_t row, size_t column)
{
	const struct amend_value *value = amend_rows_at(rows, row, column);

	return value->kind == AMEND_TEXT ? value->as.text : "";
}

/* What the server will not answer is left out. */
enum amend_status amend_mariadb_answer(struct amend_mariadb_asking *asking, struct amend_sql *sql,
				       struct amend_rows *rows, struct amend_error *err)
{
	struct amend_statement statement = amend_sql_statement(sql);
	enum amend_status status = AMEND_NO_MEMORY;
	size_t failed;

	*rows = (struct amend_rows)AMEND_ROWS_INIT;
	statement.once = true;
	if (statement.sql)
		status = amend_mariadb_run(asking->session, &statement, 1, rows, &failed, err);
	else
		amend_no_memory(err);
	amend_sql_release(sql);
	if (status == AMEND_INVALID || status == AMEND_NOT_FOUND || status == AMEND_DENIED ||
	    status == AMEND_UNSUPPORTED || status == AMEND_CONSTRAINT) {
		amend_rows_release(rows);
		*rows = (struct amend_rows)AMEND_ROWS_INIT;
		return AMEND_OK;
	}
	return status;
}

struct amend_sql amend_mariadb_begin_sql(const char *text)
{
	struct amend_sql sql = {.dialect = amend_driver_mariadb->dialect};

	amend_sql_text(&sql, text);
	return sql;
}

void amend_mariadb_add_name(struct amend_sql *sql, const char *alias, const char *name)
{
	amend_sql_text(sql, alias);
	amend_sql_name(sql, name);
}

/* The catalogue has escapes in its literals, whatever the session's mode is; NULL: no memory. */
static const char *without_escapes(struct amend_mariadb_asking *asking, const char *expression)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const char *copy;
	char quote = '\0';

	for (; *expression; expression++) {
		char c = *expression;

		if (quote == '\'' && c == '\\' && expression[1]) {
			c = *++expression;
			c = c == 'n' ? '\n' : c == 'r' ? '\r' : c;
			amend_buffer_text(&text, c == '\'' ? "'" : "");
		} else if (quote == '\0' && (c == '\'' || c == '"' || c == '`')) {
			quote = c;
		} else if (c == quote) {
			quote = '\0';
		}
		amend_buffer_char(&text, c);
	}
	copy = amend_buffer_string(&text);
	copy = copy ? amend_arena_text(asking->list->arena, copy) : NULL;
	amend_buffer_release(&text);
	return copy;
}

/* ---- the row as it is wanted ---- */

static void add_value(struct amend_sql *sql, const struct amend_wish *wish, size_t i)
{
	const struct amend_column *column = &wish->table->columns[i];
	const char *type = column->type;

	if (wish->known[i] == AMEND_DEFAULT && column->default_) {
		amend_sql_text(sql, "(");
		amend_sql_text(sql, column->default_);
		amend_sql_text(sql, ")");
	} else if (wish->known[i] == AMEND_DEFAULT) {
		amend_sql_text(sql, "NULL");
	} else if (*column->collation) {
		amend_sql_text(sql, "CONVERT(");
		amend_sql_value(sql, &wish->after[i]);
		amend_sql_printf(sql, " USING %.*s) COLLATE %s",
				 (int)strcspn(column->collation, "_"), column->collation,
				 column->collation);
	} else if (column->class_ == AMEND_CLASS_TIME) {
		amend_sql_text(sql, "CAST(");
		amend_sql_value(sql, &wish->after[i]);
		amend_sql_text(sql, strcmp(type, "date") == 0 ? " AS date)"
				    : strncmp(type, "time(", 5) == 0 || strcmp(type, "time") == 0
					    ? " AS time(6))"
					    : " AS datetime(6))");
	} else {
		amend_sql_value_as(sql, column, &wish->after[i]);
	}
}

/* `(SELECT ... ) AS w`, of all that is known. */
void amend_mariadb_add_wanted(struct amend_sql *sql, const struct amend_mariadb_asking *asking)
{
	const struct amend_table *table = asking->wish->table;
	size_t n = 0;

	amend_sql_text(sql, "(SELECT d.*");
	for (size_t i = 0; i < table->n_columns; i++) {
		if (!table->columns[i].generated || !asking->generated[i])
			continue;
		amend_sql_text(sql, ", (");
		amend_sql_text(sql, asking->generated[i]);
		amend_sql_text(sql, ") AS ");
		amend_sql_name(sql, table->columns[i].name);
	}
	amend_sql_text(sql, " FROM (SELECT ");
	for (size_t i = 0; i < table->n_columns; i++) {
		if (!asking->known[i] || table->columns[i].generated)
			continue;
		amend_sql_comma(sql, n++);
		add_value(sql, asking->wish, i);
		amend_sql_text(sql, " AS ");
		amend_sql_name(sql, table->columns[i].name);
	}
	amend_sql_text(sql, n ? ") AS d) AS w" : "1) AS d) AS w");
}

/* `alias` is the row as it is. */
void amend_mariadb_add_itself(struct amend_sql *sql, const struct amend_mariadb_asking *asking,
			      const char *alias)
{
	const struct amend_table *table = asking->wish->table;

	for (size_t i = 0; i < table->n_identity; i++) {
		const struct amend_column *column = &table->columns[table->identity[i]];

		amend_sql_and(sql, i);
		amend_mariadb_add_name(sql, alias, column->name);
		amend_sql_text(sql, " <=> ");
		amend_sql_value_as(sql, column, &asking->wish->before[table->identity[i]]);
	}
}

void amend_mariadb_add_not_itself(struct amend_sql *sql, const struct amend_mariadb_asking *asking,
				  const char *alias)
{
	if (!asking->wish->before || asking->wish->table->n_identity == 0)
		return;
	amend_sql_text(sql, " AND NOT (");
	amend_mariadb_add_itself(sql, asking, alias);
	amend_sql_text(sql, ")");
}

bool amend_mariadb_all_known(const struct amend_mariadb_asking *asking, const uint32_t *columns,
			     size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!asking->known[columns[i]])
			return false;
	}
	return true;
}

bool amend_mariadb_any_changes(const struct amend_mariadb_asking *asking, const uint32_t *columns,
			       size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (asking->wish->table->columns[columns[i]].generated ||
		    amend_wish_changes(asking->wish, columns[i]))
			return true;
	}
	return false;
}

const char *const *amend_mariadb_names_of(struct amend_mariadb_asking *asking,
					  const uint32_t *columns, size_t n)
{
	const struct amend_table *table = asking->wish->table;
	const char **names = amend_arena_array(asking->list->arena, n + 1, sizeof(*names));

	asking->list->failed = asking->list->failed || !names;
	for (size_t i = 0; names && i < n; i++) {
		names[i] = amend_arena_text(asking->list->arena, table->columns[columns[i]].name);
		asking->list->failed = asking->list->failed || !names[i];
	}
	return names;
}

/* The first row's first cells name a record. */
void amend_mariadb_take_record(struct amend_mariadb_asking *asking, const struct amend_rows *rows,
			       const char *const *names, size_t n, struct amend_violation *violation)
{
	struct amend_arena *arena = asking->list->arena;
	struct amend_field *fields = amend_arena_array(arena, n + 1, sizeof(*fields));

	asking->list->failed = asking->list->failed || !fields || !names;
	for (size_t i = 0; fields && names && i < n; i++) {
		fields[i].column = names[i];
		if (!amend_arena_value(arena, amend_rows_at(rows, 0, i), &fields[i].value))
			asking->list->failed = true;
	}
	violation->record = fields;
	violation->n_record = n;
}

/* ---- types, NOT NULL ---- */

static bool is_null(const struct amend_wish *wish, size_t i)
{
	const struct amend_column *column = &wish->table->columns[i];

	if (wish->known[i] == AMEND_DEFAULT)
		return !column->has_default && !column->identity;
	return wish->known[i] == AMEND_KNOWN && wish->after[i].kind == AMEND_NULL;
}

static void check_columns(struct amend_mariadb_asking *asking)
{
	const struct amend_wish *wish = asking->wish;

	for (int nulls = 0; nulls < 2; nulls++) {
		for (size_t i = 0; i < wish->table->n_columns; i++) {
			const struct amend_column *column = &wish->table->columns[i];
			struct amend_violation violation = {
				.kind = nulls ? AMEND_VIOLATES_NOT_NULL : AMEND_VIOLATES_TYPE,
				.columns = &column->name,
				.n_columns = 1,
			};

			if (nulls ? column->not_null && !column->generated && is_null(wish, i)
				  : wish->known[i] == AMEND_UNFIT)
				amend_violations_add(asking->list, wish, &violation,
						     nulls ? NULL : wish->problem[i]);
		}
	}
}

/* ---- CHECK ---- */

/* Names stand in quotes there, as the session writes them. */
static bool reads(const char *clause, const char *name)
{
	struct amend_buffer quoted = AMEND_BUFFER_INIT, standard = AMEND_BUFFER_INIT;
	bool found;

	amend_quote_name(&quoted, amend_driver_mariadb->dialect, name);
	amend_buffer_printf(&standard, "\"%s\"", name);
	found = quoted.failed || standard.failed || strstr(clause, quoted.data) ||
		strstr(clause, standard.data);
	amend_buffer_release(&quoted);
	amend_buffer_release(&standard);
	return found;
}

static enum amend_status one_check(struct amend_mariadb_asking *asking, const char *name,
				   const char *clause, struct amend_error *err)
{
	const struct amend_table *table = asking->wish->table;
	struct amend_arena *arena = asking->list->arena;
	struct amend_violation violation = {.kind = AMEND_VIOLATES_CHECK,
					    .constraint = amend_arena_text(arena, name),
					    .expression = amend_arena_text(arena, clause)};
	bool *read = amend_arena_array(arena, table->n_columns, sizeof(*read));
	const char *condition = without_escapes(asking, clause);
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	if (!violation.constraint || !violation.expression || !read || !condition)
		return amend_no_memory(err);
	for (size_t i = 0; i < table->n_columns; i++) {
		read[i] = reads(clause, table->columns[i].name);
		if (read[i] && !asking->known[i])
			return AMEND_OK;
	}
	sql = amend_mariadb_begin_sql("SELECT 1 FROM ");
	amend_mariadb_add_wanted(&sql, asking);
	amend_sql_text(&sql, " WHERE NOT (");
	amend_sql_text(&sql, condition);
	amend_sql_text(&sql, ")");
	status = amend_mariadb_answer(asking, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows > 0) {
		violation.columns = amend_violations_columns(asking->list, table, read,
							     &violation.n_columns);
		amend_violations_add(asking->list, asking->wish, &violation, NULL);
	}
	amend_rows_release(&rows);
	return status;
}

static enum amend_status check_checks(struct amend_mariadb_asking *asking, struct amend_error *err)
{
	static const char text[] = "SELECT constraint_name, check_clause FROM "
				   "information_schema.check_constraints WHERE constraint_schema = ? "
				   "AND table_name = ? ORDER BY constraint_name";
	const struct amend_table *table = asking->wish->table;
	const struct amend_value of[] = {amend_text(table->schema), amend_text(table->name)};
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_mariadb_ask(asking->session, text, of, 2, &rows, err);

	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++)
		status = one_check(asking, text_at(&rows, i, 0), text_at(&rows, i, 1), err);
	amend_rows_release(&rows);
	return status;
}

/* ---- unique keys ---- */

static enum amend_status one_key(struct amend_mariadb_asking *asking, const struct amend_key *key,
				 struct amend_error *err)
{
	const struct amend_table *table = asking->wish->table;
	struct amend_violation violation = {.kind = AMEND_VIOLATES_UNIQUE,
					    .constraint = key->primary ? NULL : key->name};
	struct amend_sql sql = amend_mariadb_begin_sql("SELECT ");
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;

	for (size_t i = 0; i < table->n_identity; i++) {
		amend_sql_comma(&sql, i);
		amend_mariadb_add_name(&sql, "t.", table->columns[table->identity[i]].name);
	}
	amend_sql_text(&sql, " FROM ");
	amend_sql_text(&sql, table->sql);
	amend_sql_text(&sql, " AS t JOIN ");
	amend_mariadb_add_wanted(&sql, asking);
	amend_sql_text(&sql, " ON ");
	for (size_t i = 0; i < key->n_columns; i++) {
		const char *name = table->columns[key->columns[i]].name;

		amend_sql_and(&sql, i);
		amend_mariadb_add_name(&sql, "t.", name);
		amend_mariadb_add_name(&sql, " = w.", name);
	}
	amend_mariadb_add_not_itself(&sql, asking, "t.");
	amend_sql_text(&sql, " LIMIT 1");
	status = amend_mariadb_answer(asking, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows > 0) {
		amend_mariadb_take_record(
			asking, &rows,
			amend_mariadb_names_of(asking, table->identity, table->n_identity),
			table->n_identity, &violation);
		violation.columns = amend_mariadb_names_of(asking, key->columns, key->n_columns);
		violation.n_columns = key->n_columns;
		amend_violations_add(asking->list, asking->wish, &violation, NULL);
	}
	amend_rows_release(&rows);
	return status;
}

static enum amend_status check_unique(struct amend_mariadb_asking *asking, struct amend_error *err)
{
	const struct amend_table *table = asking->wish->table;
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < table->n_keys && status == AMEND_OK; i++) {
		const struct amend_key *key = &table->keys[i];

		if (!key->expression &&
		    amend_mariadb_all_known(asking, key->columns, key->n_columns) &&
		    amend_mariadb_any_changes(asking, key->columns, key->n_columns))
			status = one_key(asking, key, err);
	}
	return status;
}

/* ---- the whole ---- */

static enum amend_status prepare(struct amend_mariadb_asking *asking, struct amend_error *err)
{
	static const char text[] =
		"SELECT c.column_name, c.generation_expression, @@check_constraint_checks, "
		"@@foreign_key_checks FROM information_schema.columns c WHERE c.table_schema = ? AND "
		"c.table_name = ?";
	const struct amend_wish *wish = asking->wish;
	const struct amend_table *table = wish->table;
	const struct amend_value of[] = {amend_text(table->schema), amend_text(table->name)};
	struct amend_arena *arena = asking->list->arena;
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_mariadb_ask(asking->session, text, of, 2, &rows, err);

	asking->known = amend_arena_array(arena, table->n_columns, sizeof(*asking->known));
	asking->generated = amend_arena_array(arena, table->n_columns, sizeof(*asking->generated));
	if (status == AMEND_OK && (!asking->known || !asking->generated))
		status = amend_no_memory(err);
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		int at = amend_table_column(table, text_at(&rows, i, 0));

		asking->checks = strcmp(text_at(&rows, i, 2), "1") == 0;
		asking->keys = strcmp(text_at(&rows, i, 3), "1") == 0;
		if (at >= 0 && *text_at(&rows, i, 1))
			asking->generated[at] = without_escapes(asking, text_at(&rows, i, 1));
	}
	amend_rows_release(&rows);
	for (size_t i = 0; wish->after && i < table->n_columns && status == AMEND_OK; i++) {
		const struct amend_column *column = &table->columns[i];

		if (column->generated)
			asking->known[i] = asking->generated[i] != NULL;
		else
			asking->known[i] = wish->known[i] == AMEND_KNOWN ||
					   (wish->known[i] == AMEND_DEFAULT && !column->identity);
	}
	/* What is generated from what is not known is not known either. */
	for (size_t i = 0; wish->after && i < table->n_columns && status == AMEND_OK; i++) {
		for (size_t j = 0; j < table->n_columns && asking->generated[i]; j++) {
			if (j != i && !asking->known[j] &&
			    reads(asking->generated[i], table->columns[j].name)) {
				asking->known[i] = false;
				asking->generated[i] = NULL;
			}
		}
	}
	return status;
}

enum amend_status amend_mariadb_violations(struct amend_session *session,
					   const struct amend_wish *wish,
					   struct amend_violations *list, struct amend_error *err)
{
	struct amend_mariadb_asking asking = {.session = session, .wish = wish, .list = list};
	enum amend_status status = prepare(&asking, err);

	if (status == AMEND_OK && wish->after) {
		check_columns(&asking);
		if (asking.checks)
			status = check_checks(&asking, err);
		if (status == AMEND_OK)
			status = check_unique(&asking, err);
		if (status == AMEND_OK && asking.keys)
			status = amend_mariadb_parents(&asking, err);
	}
	if (status == AMEND_OK && wish->before && asking.keys)
		status = amend_mariadb_children(&asking, err);
	return status;
}
