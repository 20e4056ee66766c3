/*
 * Foreign keys that stand in a row's way on SQLite: a parent that is not there, children that hold it.
 * Leaves what cascades do further on to the engine's own message.
 */
#include <string.h>
#include <strings.h>

#include "sql/driver/sqlite_violations.h"

/* The columns' names, quoted, as parts of a query. */
static const char **quoted(struct amend_sqlite_asking *asking, const char *const *names, size_t n)
{
	struct amend_arena *arena = asking->list->arena;
	const char **parts = amend_arena_array(arena, n, sizeof(*parts));

	for (size_t i = 0; parts && i < n; i++) {
		struct amend_buffer name = AMEND_BUFFER_INIT;

		amend_sqlite_name(&name, names[i]);
		parts[i] = name.failed ? NULL : amend_arena_text_n(arena, name.data, name.size);
		amend_buffer_release(&name);
		if (!parts[i])
			return NULL;
	}
	return parts;
}

static bool changes(const struct amend_sqlite_asking *asking, const uint32_t *columns, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any = any || asking->wish->table->columns[columns[i]].generated ||
		      amend_wish_changes(asking->wish, columns[i]);
	return any;
}

/* ---- the parent ---- */

/* A row may be its own parent. */
static enum amend_status is_its_own(struct amend_sqlite_asking *asking, const char *const *children,
				    const char *const *parents, size_t n, bool *yes,
				    struct amend_error *err)
{
	struct amend_buffer same = AMEND_BUFFER_INIT;
	struct amend_value value = amend_null();
	const char *part;
	enum amend_status status;
	bool known;

	for (size_t i = 0; i < n; i++)
		amend_buffer_printf(&same, "%s%s = %s", i ? " AND " : "", parents[i], children[i]);
	part = same.failed ? NULL : same.data;
	status = part ? amend_sqlite_wanted(asking, &part, 1, NULL, &value, &known, err)
		      : amend_no_memory(err);
	*yes = status == AMEND_OK && known && value.kind == AMEND_INTEGER && value.as.integer != 0;
	amend_buffer_release(&same);
	return status;
}

static enum amend_status find_parent(struct amend_sqlite_asking *asking,
				     const struct amend_foreign_key *key,
				     const char *const *children, struct amend_value *values,
				     bool *found, struct amend_error *err)
{
	const struct amend_wish *wish = asking->wish;
	const char **parents = quoted(asking, key->references, key->n_columns);
	bool self = strcasecmp(key->table, wish->table->name) == 0;
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	size_t n = key->n_columns;
	enum amend_status status;

	if (!parents)
		return amend_no_memory(err);
	amend_buffer_text(&sql, "SELECT EXISTS (SELECT 1 FROM ");
	amend_sqlite_name(&sql, wish->table->schema);
	amend_buffer_char(&sql, '.');
	amend_sqlite_name(&sql, key->table);
	for (size_t i = 0; i < n; i++)
		amend_buffer_printf(&sql, "%s%s = ?%zu", i ? " AND " : " WHERE ", parents[i], i + 1);
	/* What it was is no parent any more. */
	if (self)
		n = amend_sqlite_not_itself(&sql, wish, values, n);
	amend_buffer_char(&sql, ')');
	status = amend_sqlite_ask(asking, sql.failed ? NULL : sql.data, values, n, &rows, err);
	/* Where SQLite does not answer, nothing is said. */
	*found = rows.n_rows == 0 || amend_rows_at(&rows, 0, 0)->as.integer != 0;
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	if (status == AMEND_OK && self && !*found)
		status = is_its_own(asking, children, parents, key->n_columns, found, err);
	return status;
}

static enum amend_status one_parent(struct amend_sqlite_asking *asking,
				    const struct amend_foreign_key *key, struct amend_error *err)
{
	const struct amend_table *table = asking->wish->table;
	struct amend_arena *arena = asking->list->arena;
	struct amend_violation violation = {.kind = AMEND_VIOLATES_PARENT,
					    .table = amend_arena_text(arena, key->table)};
	const char **names = amend_arena_array(arena, key->n_columns, sizeof(*names)), **parts;
	struct amend_value *values = amend_arena_array(
		arena, key->n_columns + table->n_identity + 1, sizeof(*values));
	bool known = false, found = true;
	enum amend_status status;

	for (size_t i = 0; names && i < key->n_columns; i++)
		names[i] = amend_arena_text(arena, table->columns[key->columns[i]].name);
	parts = names ? quoted(asking, names, key->n_columns) : NULL;
	if (!names || !parts || !values || !violation.table)
		return amend_no_memory(err);
	status = amend_sqlite_wanted(asking, parts, key->n_columns, NULL, values, &known, err);
	if (status == AMEND_OK && known)
		status = find_parent(asking, key, parts, values, &found, err);
	if (status != AMEND_OK || found)
		return status;
	violation.columns = names;
	violation.n_columns = key->n_columns;
	amend_violations_add(asking->list, asking->wish, &violation, NULL);
	return AMEND_OK;
}

enum amend_status amend_sqlite_parents(struct amend_sqlite_asking *asking, struct amend_error *err)
{
	const struct amend_table *table = asking->wish->table;
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < table->n_foreign_keys && status == AMEND_OK; i++) {
		const struct amend_foreign_key *key = &table->foreign_keys[i];

		if (changes(asking, key->columns, key->n_columns))
			status = one_parent(asking, key, err);
	}
	return status;
}

/* ---- children ---- */

/* A foreign key of another table, or of the same, that refers to this one. */
struct child {
	const char *table;
	const char **columns; /* of it, as parts */
	uint32_t *parents;    /* of the wish's table */
	size_t n;
	struct amend_value *values; /* what it refers to: old, then new ones */
};

static const char *text_at(const struct amend_rows *rows, size_t row, size_t column)
{
	const struct amend_value *value = amend_rows_at(rows, row, column);

	return value->kind == AMEND_TEXT ? value->as.text : "";
}

/* `to` is NULL where the primary key is meant. */
static int parent_column(const struct amend_table *table, const struct amend_value *to, size_t place)
{
	if (to->kind == AMEND_TEXT)
		return amend_table_column(table, to->as.text);
	for (size_t i = 0; i < table->n_keys; i++) {
		if (table->keys[i].primary && place < table->keys[i].n_columns)
			return (int)table->keys[i].columns[place];
	}
	return -1;
}

/* "c1 = ?1 COLLATE p1 AND ..": a child is compared as its parent's column compares. */
static void add_condition(struct amend_buffer *sql, const struct amend_sqlite_asking *asking,
			  const struct child *child)
{
	for (size_t i = 0; i < child->n; i++) {
		const struct amend_column *parent = &asking->wish->table->columns[child->parents[i]];

		amend_buffer_printf(sql, "%s%s = ?%zu COLLATE ", i ? " AND " : "",
				    child->columns[i], i + 1);
		amend_sqlite_name(sql, *parent->collation ? parent->collation : "BINARY");
	}
}

/* The key stays what it was, in the eyes of its columns' collations. */
static enum amend_status key_stays(struct amend_sqlite_asking *asking, const struct child *child,
				   bool *stays, struct amend_error *err)
{
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	const struct amend_table *table = asking->wish->table;
	int64_t number = 0;
	enum amend_status status;

	amend_buffer_text(&sql, "SELECT 1");
	for (size_t i = 0; i < child->n; i++) {
		const struct amend_column *column = &table->columns[child->parents[i]];

		amend_buffer_printf(&sql, " AND ?%zu = ?%zu COLLATE ", i + 1, child->n + i + 1);
		amend_sqlite_name(&sql, *column->collation ? column->collation : "BINARY");
	}
	status = amend_sqlite_ask(asking, sql.failed ? NULL : sql.data, child->values, 2 * child->n,
				  &rows, err);
	if (status == AMEND_OK && rows.n_rows == 1)
		amend_value_number(amend_rows_at(&rows, 0, 0), &number);
	*stays = number != 0;
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	return status;
}

/* What names a row of the child: its primary key, else its rowid. */
static enum amend_status child_identity(struct amend_sqlite_asking *asking, const char *child,
					const char ***names, size_t *n, struct amend_error *err)
{
	const struct amend_value values[] = {amend_text(child),
					     amend_text(asking->wish->table->schema)};
	struct amend_arena *arena = asking->list->arena;
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_sqlite_ask(
		asking, "SELECT name FROM pragma_table_xinfo(?1, ?2) WHERE pk > 0 ORDER BY pk",
		values, 2, &rows, err);
	const char **found = amend_arena_array(arena, rows.n_rows + 1, sizeof(*found));

	if (status == AMEND_OK && !found)
		status = amend_no_memory(err);
	for (size_t i = 0; i < rows.n_rows && found; i++) {
		found[i] = amend_arena_text(arena, text_at(&rows, i, 0));
		if (!found[i])
			status = amend_no_memory(err);
	}
	*n = rows.n_rows;
	if (*n == 0 && found) {
		found[0] = "rowid";
		*n = 1;
	}
	*names = found;
	amend_rows_release(&rows);
	return status;
}

/* After the change it refers to what it was itself. */
static enum amend_status still_refers(struct amend_sqlite_asking *asking, const struct child *child,
				      bool *yes, struct amend_error *err)
{
	struct amend_value *own = amend_arena_array(asking->list->arena, child->n, sizeof(*own));
	bool known = false;
	enum amend_status status;

	*yes = false;
	if (!asking->wish->after)
		return AMEND_OK;
	if (!own)
		return amend_no_memory(err);
	status = amend_sqlite_wanted(asking, child->columns, child->n, NULL, own, &known, err);
	*yes = known;
	for (size_t i = 0; i < child->n && status == AMEND_OK && *yes; i++)
		*yes = amend_value_equal(&own[i], &child->values[i]);
	return status;
}

static enum amend_status count_children(struct amend_sqlite_asking *asking,
					const struct child *child,
					struct amend_violation *violation, struct amend_error *err)
{
	const struct amend_wish *wish = asking->wish;
	bool self = strcasecmp(child->table, wish->table->name) == 0, still = false;
	struct amend_buffer sql = AMEND_BUFFER_INIT, where = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	const char **names = NULL, **parts = NULL;
	size_t n_names = 0, n = child->n;
	enum amend_status status = child_identity(asking, child->table, &names, &n_names, err);

	if (status == AMEND_OK && names)
		parts = quoted(asking, names, n_names);
	if (status != AMEND_OK || !parts)
		return status != AMEND_OK ? status : amend_no_memory(err);
	amend_sqlite_name(&where, wish->table->schema);
	amend_buffer_char(&where, '.');
	amend_sqlite_name(&where, child->table);
	amend_buffer_text(&where, " WHERE ");
	add_condition(&where, asking, child);
	if (self)
		n = amend_sqlite_not_itself(&where, wish, child->values, n);
	amend_buffer_text(&sql, "SELECT ");
	for (size_t i = 0; i < n_names; i++)
		amend_buffer_printf(&sql, "%s, ", parts[i]);
	amend_buffer_printf(
		&sql, "(SELECT count(*) FROM (SELECT 1 FROM %s LIMIT %d)) FROM %s LIMIT 1",
		where.data ? where.data : "", AMEND_VIOLATION_MOST, where.data ? where.data : "");
	status = amend_sqlite_ask(asking, sql.failed || where.failed ? NULL : sql.data,
				  child->values, n, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 1) {
		int64_t number = 0;

		amend_value_number(amend_rows_at(&rows, 0, n_names), &number);
		violation->n_records = (uint64_t)number;
		amend_sqlite_take_record(asking, &rows, names, n_names, violation);
	}
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	amend_buffer_release(&where);
	if (status == AMEND_OK && self)
		status = still_refers(asking, child, &still, err);
	violation->n_records += still;
	return status;
}

/* Rows `first` to `end` of the list are one foreign key. */
static enum amend_status one_child(struct amend_sqlite_asking *asking, const struct amend_rows *rows,
				   size_t first, size_t end, struct amend_error *err)
{
	const struct amend_wish *wish = asking->wish;
	struct amend_arena *arena = asking->list->arena;
	struct amend_violation violation = {.kind = AMEND_VIOLATES_CHILDREN};
	const char *action = text_at(rows, first, wish->after ? 4 : 5);
	struct child child = {.n = end - first,
			      .table = amend_arena_text(arena, text_at(rows, first, 0))};
	const char **names = amend_arena_array(arena, child.n, sizeof(*names));
	const char **parents = amend_arena_array(arena, child.n, sizeof(*parents)), **parts;
	bool stays = false, known;
	enum amend_status status;

	if (strcasecmp(action, "NO ACTION") != 0 && strcasecmp(action, "RESTRICT") != 0)
		return AMEND_OK;
	child.parents = amend_arena_array(arena, child.n, sizeof(*child.parents));
	child.values = amend_arena_array(arena, 2 * child.n + wish->table->n_identity + 1,
					 sizeof(*child.values));
	if (!names || !parents || !child.parents || !child.values || !child.table)
		return amend_no_memory(err);
	for (size_t i = 0; i < child.n; i++) {
		int at = parent_column(wish->table, amend_rows_at(rows, first + i, 3), i);

		if (at < 0 || wish->before[at].kind == AMEND_NULL)
			return AMEND_OK;
		child.parents[i] = (uint32_t)at;
		child.values[i] = wish->before[at];
		names[i] = text_at(rows, first + i, 2);
		parents[i] = amend_arena_text(arena, wish->table->columns[at].name);
		if (!parents[i])
			return amend_no_memory(err);
	}
	child.columns = quoted(asking, names, child.n);
	parts = quoted(asking, parents, child.n);
	if (!child.columns || !parts)
		return amend_no_memory(err);
	if (wish->after) {
		if (!changes(asking, child.parents, child.n))
			return AMEND_OK;
		status = amend_sqlite_wanted(asking, parts, child.n, NULL, child.values + child.n,
					     &known, err);
		if (status == AMEND_OK && known)
			status = key_stays(asking, &child, &stays, err);
		if (status != AMEND_OK || stays)
			return status;
	}
	status = count_children(asking, &child, &violation, err);
	if (status != AMEND_OK || violation.n_records == 0)
		return status;
	violation.table = child.table;
	violation.columns = parents;
	violation.n_columns = child.n;
	amend_violations_add(asking->list, wish, &violation, NULL);
	return AMEND_OK;
}

enum amend_status amend_sqlite_children(struct amend_sqlite_asking *asking, struct amend_error *err)
{
	const struct amend_table *table = asking->wish->table;
	const struct amend_value values[] = {amend_text(table->name), amend_text(table->schema)};
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;

	amend_buffer_text(&sql, "SELECT m.name, f.id, f.\"from\", f.\"to\", f.on_update, f.on_delete"
				" FROM ");
	amend_sqlite_name(&sql, table->schema);
	amend_buffer_text(&sql, ".sqlite_master m, pragma_foreign_key_list(m.name, ?2) f"
				" WHERE m.type = 'table' AND f.\"table\" = ?1 COLLATE NOCASE"
				" ORDER BY m.rowid, f.id, f.seq");
	status = amend_sqlite_ask(asking, sql.failed ? NULL : sql.data, values, 2, &rows, err);
	for (size_t i = 0, end; i < rows.n_rows && status == AMEND_OK; i = end) {
		end = i + 1;
		while (end < rows.n_rows &&
		       strcmp(text_at(&rows, end, 0), text_at(&rows, i, 0)) == 0 &&
		       amend_value_equal(amend_rows_at(&rows, end, 1), amend_rows_at(&rows, i, 1)))
			end++;
		status = one_child(asking, &rows, i, end, err);
	}
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	return status;
}
