/*
 * Foreign keys that stand in a row's way: a parent that is not there, children that hold it.
 * Leaves what cascades do further on to the server's own message.
 */
#include "sql/driver/mariadb_violations.h"

#include <string.h>
#include <strings.h>

#include "core/rows.h"

static const char *text_at(const struct amend_rows *rows, size_t row, size_t column)
{
	const struct amend_value *value = amend_rows_at(rows, row, column);

	return value->kind == AMEND_TEXT ? value->as.text : "";
}

static bool is_this(const struct amend_mariadb_asking *asking, const char *schema, const char *table)
{
	return strcasecmp(asking->wish->table->schema, schema) == 0 &&
	       strcasecmp(asking->wish->table->name, table) == 0;
}

static enum amend_status one_parent(struct amend_mariadb_asking *asking,
				    const struct amend_foreign_key *key, struct amend_error *err)
{
	const struct amend_table *table = asking->wish->table;
	bool self = is_this(asking, key->schema, key->table);
	struct amend_violation violation = {
		.kind = AMEND_VIOLATES_PARENT,
		.table = amend_arena_text(asking->list->arena, key->table)};
	struct amend_sql sql = amend_mariadb_begin_sql("SELECT 1 FROM ");
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;

	amend_mariadb_add_wanted(&sql, asking);
	amend_sql_text(&sql, " WHERE ");
	for (size_t i = 0; i < key->n_columns; i++) {
		amend_sql_and(&sql, i);
		amend_mariadb_add_name(&sql, "w.", table->columns[key->columns[i]].name);
		amend_sql_text(&sql, " IS NOT NULL");
	}
	amend_sql_text(&sql, " AND NOT EXISTS (SELECT 1 FROM ");
	amend_sql_name(&sql, key->schema);
	amend_mariadb_add_name(&sql, ".", key->table);
	amend_sql_text(&sql, " AS p WHERE ");
	for (size_t i = 0; i < key->n_columns; i++) {
		amend_sql_and(&sql, i);
		amend_mariadb_add_name(&sql, "p.", key->references[i]);
		amend_mariadb_add_name(&sql, " = w.", table->columns[key->columns[i]].name);
	}
	/* What it was is no parent any more; what it will be may be its own. */
	if (self)
		amend_mariadb_add_not_itself(&sql, asking, "p.");
	amend_sql_text(&sql, ")");
	for (size_t i = 0; self && i < key->n_columns; i++) {
		amend_sql_text(&sql, i ? " AND " : " AND NOT coalesce(");
		amend_mariadb_add_name(&sql, "w.", key->references[i]);
		amend_mariadb_add_name(&sql, " = w.", table->columns[key->columns[i]].name);
	}
	amend_sql_text(&sql, self ? ", 0)" : "");
	status = amend_mariadb_answer(asking, &sql, &rows, err);
	if (!violation.table)
		asking->list->failed = true;
	if (status == AMEND_OK && rows.n_rows > 0) {
		violation.columns = amend_mariadb_names_of(asking, key->columns, key->n_columns);
		violation.n_columns = key->n_columns;
		amend_violations_add(asking->list, asking->wish, &violation, NULL);
	}
	amend_rows_release(&rows);
	return status;
}

enum amend_status amend_mariadb_parents(struct amend_mariadb_asking *asking, struct amend_error *err)
{
	const struct amend_table *table = asking->wish->table;
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < table->n_foreign_keys && status == AMEND_OK; i++) {
		const struct amend_foreign_key *key = &table->foreign_keys[i];

		if (amend_mariadb_all_known(asking, key->columns, key->n_columns) &&
		    amend_mariadb_any_changes(asking, key->columns, key->n_columns))
			status = one_parent(asking, key, err);
	}
	return status;
}

/* A foreign key of another table, or of the same, that refers to this one. */
struct child {
	const char *table, *name; /* name: of its primary key's first column; NULL: it has none */
	const char **columns;     /* of it */
	uint32_t *references;     /* of this one */
	size_t n;
};

/* `FROM child AS c JOIN this AS p ON .. WHERE` p is the row as it is. It may be its own child, by which InnoDB holds it too. */
static void add_children(struct amend_sql *sql, const struct amend_mariadb_asking *asking,
			 const struct child *child)
{
	const struct amend_table *table = asking->wish->table;

	amend_sql_text(sql, " FROM ");
	amend_sql_name(sql, table->schema);
	amend_mariadb_add_name(sql, ".", child->table);
	amend_sql_text(sql, " AS c JOIN ");
	amend_sql_text(sql, table->sql);
	amend_sql_text(sql, " AS p ON ");
	for (size_t i = 0; i < child->n; i++) {
		amend_sql_and(sql, i);
		amend_mariadb_add_name(sql, "c.", child->columns[i]);
		amend_mariadb_add_name(sql, " = p.", table->columns[child->references[i]].name);
	}
	amend_sql_text(sql, " WHERE ");
	amend_mariadb_add_itself(sql, asking, "p.");
}

static enum amend_status one_child(struct amend_mariadb_asking *asking, const struct child *child,
				   struct amend_error *err)
{
	struct amend_violation violation = {.kind = AMEND_VIOLATES_CHILDREN, .table = child->table};
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql = amend_mariadb_begin_sql("SELECT count(*) FROM (SELECT 1");
	int64_t n = 0;
	enum amend_status status;

	add_children(&sql, asking, child);
	amend_sql_printf(&sql, " LIMIT %d) AS few", AMEND_VIOLATION_MOST);
	status = amend_mariadb_answer(asking, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 1)
		(void)amend_value_number(amend_rows_at(&rows, 0, 0), &n);
	amend_rows_release(&rows);
	if (status == AMEND_OK && n > 0 && child->name) {
		sql = amend_mariadb_begin_sql("SELECT ");
		amend_mariadb_add_name(&sql, "c.", child->name);
		add_children(&sql, asking, child);
		amend_sql_text(&sql, " LIMIT 1");
		status = amend_mariadb_answer(asking, &sql, &rows, err);
		if (status == AMEND_OK && rows.n_rows == 1)
			amend_mariadb_take_record(asking, &rows, &child->name, 1, &violation);
		amend_rows_release(&rows);
	}
	violation.n_records = (uint64_t)n;
	if (status != AMEND_OK || n == 0)
		return status;
	violation.columns = amend_mariadb_names_of(asking, child->references, child->n);
	violation.n_columns = child->n;
	amend_violations_add(asking->list, asking->wish, &violation, NULL);
	return AMEND_OK;
}

/* Of the same database, as the description's dependents are. A primary key of one column names the child. */
enum amend_status amend_mariadb_children(struct amend_mariadb_asking *asking,
					 struct amend_error *err)
{
	static const char text[] =
		"SELECT r.constraint_name, k.table_name, k.column_name, k.referenced_column_name, "
		"r.delete_rule, r.update_rule, (SELECT CASE count(*) WHEN 1 THEN max(s.column_name) "
		"END FROM information_schema.statistics s WHERE s.table_schema = r.constraint_schema "
		"AND s.table_name = r.table_name AND s.index_name = 'PRIMARY') "
		"FROM information_schema.referential_constraints r "
		"JOIN information_schema.key_column_usage k ON k.constraint_name = r.constraint_name "
		"AND k.table_name = r.table_name WHERE r.constraint_schema = ? "
		"AND r.unique_constraint_schema = r.constraint_schema AND r.referenced_table_name = ? "
		"AND k.table_schema = r.constraint_schema AND k.constraint_schema = "
		"r.constraint_schema AND k.referenced_column_name IS NOT NULL "
		"ORDER BY k.table_name, r.constraint_name, k.ordinal_position";
	const struct amend_table *table = asking->wish->table;
	const struct amend_value of[] = {amend_text(table->schema), amend_text(table->name)};
	struct amend_arena *arena = asking->list->arena;
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_mariadb_ask(asking->session, text, of, 2, &rows, err);
	const char **columns = amend_arena_array(arena, rows.n_rows + 1, sizeof(*columns));
	uint32_t *references = amend_arena_array(arena, rows.n_rows + 1, sizeof(*references));

	if (status == AMEND_OK && (!columns || !references))
		status = amend_no_memory(err);
	for (size_t i = 0, end; columns && references && i < rows.n_rows && status == AMEND_OK;
	     i = end) {
		struct child child = {.table = amend_arena_text(arena, text_at(&rows, i, 1)),
				      .name = *text_at(&rows, i, 6)
						      ? amend_arena_text(arena, text_at(&rows, i, 6))
						      : NULL,
				      .columns = columns + i,
				      .references = references + i};
		const char *rule = text_at(&rows, i, asking->wish->after ? 5 : 4);
		bool concerns = strcmp(rule, "RESTRICT") == 0 || strcmp(rule, "NO ACTION") == 0;

		for (end = i; end < rows.n_rows &&
			      strcmp(text_at(&rows, end, 0), text_at(&rows, i, 0)) == 0 &&
			      strcmp(text_at(&rows, end, 1), text_at(&rows, i, 1)) == 0;
		     end++) {
			int at = amend_table_column(table, text_at(&rows, end, 3));

			columns[end] = amend_arena_text(arena, text_at(&rows, end, 2));
			references[end] = at < 0 ? 0 : (uint32_t)at;
			concerns = concerns && at >= 0 && columns[end];
		}
		child.n = end - i;
		if (!child.table)
			status = amend_no_memory(err);
		else if (concerns && (!asking->wish->after ||
				      amend_mariadb_any_changes(asking, child.references, child.n)))
			status = one_child(asking, &child, err);
	}
	amend_rows_release(&rows);
	return status;
}
