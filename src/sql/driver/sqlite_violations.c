/*
 * What of its own table stands in a row's way: NOT NULL, CHECKs, unique indexes.
 *
 * SQLite stops at the first, and has no catalogue of CHECKs. So their texts are taken out of the
 * CREATE text (sqlite_ddl.c), and SQLite evaluates each on the row as it is wanted (sqlite_wish.c).
 * Leaves foreign keys to sqlite_refers.c.
 */
#include "sql/driver/sqlite_violations.h"

#include <string.h>
#include <strings.h>

void amend_sqlite_name(struct amend_buffer *sql, const char *name)
{
	amend_quote_name(sql, amend_driver_sqlite->dialect, name);
}

/* ---- the user's ---- */

enum amend_status amend_sqlite_ask(struct amend_sqlite_asking *asking, const char *sql,
				   const struct amend_value *values, size_t n,
				   struct amend_rows *rows, struct amend_error *err)
{
	const struct amend_statement statement = {
		.sql = sql, .values = values, .n_values = n, .once = true};
	size_t failed;
	enum amend_status status;

	if (!sql)
		return amend_no_memory(err);
	status = amend_sqlite_run(asking->session, &statement, 1, rows, &failed, err);
	/* A function that refuses, a table that is not there: the engine's own message has said it. */
	if (status == AMEND_INVALID || status == AMEND_NOT_FOUND || status == AMEND_DENIED ||
	    status == AMEND_UNSUPPORTED || status == AMEND_CONSTRAINT) {
		amend_rows_release(rows);
		*rows = (struct amend_rows)AMEND_ROWS_INIT;
		return AMEND_OK;
	}
	return status;
}

void amend_sqlite_take_record(struct amend_sqlite_asking *asking, const struct amend_rows *rows,
			      const char *const *names, size_t n, struct amend_violation *violation)
{
	struct amend_arena *arena = asking->list->arena;
	struct amend_field *fields = amend_arena_array(arena, n, sizeof(*fields));

	asking->list->failed = asking->list->failed || !fields;
	for (size_t i = 0; fields && i < n; i++) {
		fields[i].column = amend_arena_text(arena, names[i]);
		if (!fields[i].column ||
		    !amend_arena_value(arena, amend_rows_at(rows, 0, i), &fields[i].value))
			asking->list->failed = true;
	}
	violation->record = fields;
	violation->n_record = n;
}

size_t amend_sqlite_identity(const struct amend_table *table, const char **names)
{
	for (size_t i = 0; i < table->n_identity; i++)
		names[i] = table->columns[table->identity[i]].name;
	if (table->n_identity > 0)
		return table->n_identity;
	names[0] = table->rowid;
	return table->rowid ? 1 : 0;
}

size_t amend_sqlite_not_itself(struct amend_buffer *sql, const struct amend_wish *wish,
			       struct amend_value *values, size_t n)
{
	const struct amend_table *table = wish->table;
	size_t first = n;

	if (!wish->before)
		return n;
	amend_buffer_text(sql, " AND NOT (");
	for (size_t i = 0; i < table->n_identity; i++) {
		amend_buffer_text(sql, i ? " AND " : "");
		amend_sqlite_name(sql, table->columns[table->identity[i]].name);
		values[n++] = wish->before[table->identity[i]];
		amend_buffer_printf(sql, " IS ?%zu", n);
	}
	if (n == first && table->rowid) {
		values[n++] = wish->rowid;
		amend_buffer_printf(sql, "%s IS ?%zu", table->rowid, n);
	}
	amend_buffer_text(sql, n == first ? "0)" : ")");
	return n;
}

/* ---- types, NOT NULL, CHECK ---- */

static void check_columns(struct amend_sqlite_asking *asking)
{
	const struct amend_wish *wish = asking->wish;

	for (size_t pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < wish->table->n_columns; i++) {
			const struct amend_column *column = &wish->table->columns[i];
			struct amend_violation violation = {.columns = &column->name,
							    .n_columns = 1};

			if (pass == 0 && wish->known[i] == AMEND_UNFIT) {
				violation.kind = AMEND_VIOLATES_TYPE;
				amend_violations_add(asking->list, wish, &violation,
						     wish->problem[i]);
			}
			if (pass == 1 && column->not_null && !column->generated &&
			    !asking->ddl.lenient[i] && asking->known[i] == AMEND_KNOWN &&
			    asking->values[i].kind == AMEND_NULL) {
				violation.kind = AMEND_VIOLATES_NOT_NULL;
				amend_violations_add(asking->list, wish, &violation, NULL);
			}
		}
	}
}

/* Of an update SQLite evaluates only what has to do with the columns that change. */
static bool concerns(const struct amend_sqlite_asking *asking)
{
	bool any = asking->read_rowid;

	for (size_t i = 0; i < asking->wish->table->n_columns; i++)
		any = any || (asking->read[i] && (asking->wish->table->columns[i].generated ||
						  amend_wish_changes(asking->wish, i)));
	return any || !asking->wish->before;
}

static void one_check(struct amend_sqlite_asking *asking, const struct amend_sqlite_check *check)
{
	const struct amend_table *table = asking->wish->table;
	struct amend_violation violation = {.kind = AMEND_VIOLATES_CHECK,
					    .constraint = check->name,
					    .expression = check->expression};
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	sqlite3_stmt *stmt = NULL;
	int rc = SQLITE_DONE;

	amend_buffer_printf(&sql, "SELECT (\n%s\n) IS FALSE FROM ", check->expression);
	amend_sqlite_name(&sql, table->name);
	if (sql.failed)
		asking->list->failed = true;
	else
		stmt = amend_sqlite_own(asking, sql.data);
	if (stmt && concerns(asking) && amend_sqlite_own_known(asking, true))
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW && sqlite3_column_int(stmt, 0) == 0)
		rc = SQLITE_DONE;
	if (rc != SQLITE_DONE && (rc & 0xff) != SQLITE_NOMEM) {
		violation.columns = amend_violations_columns(asking->list, table, asking->read,
							     &violation.n_columns);
		/* What cannot be evaluated does not hold either. */
		amend_violations_add(asking->list, asking->wish, &violation,
				     rc == SQLITE_ROW ? NULL : sqlite3_errmsg(asking->own));
	}
	sqlite3_finalize(stmt);
	amend_buffer_release(&sql);
}

/* ---- unique indexes ---- */

static enum amend_status find_taken(struct amend_sqlite_asking *asking, const char *name,
				    const struct amend_sqlite_index *index, const bool *columns,
				    struct amend_value *values, struct amend_error *err)
{
	const struct amend_table *table = asking->wish->table;
	/* A name that SQLite made up says nothing to anybody. */
	bool made_up = strncasecmp(name, "sqlite_autoindex_", 17) == 0 ||
		       strcmp(name, "primary key") == 0;
	struct amend_violation violation = {.kind = AMEND_VIOLATES_UNIQUE,
					    .constraint = made_up ? NULL : name};
	const char **names = amend_arena_array(asking->list->arena, table->n_identity + 1,
					       sizeof(*names));
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	size_t n_names, n;
	enum amend_status status;

	if (!names)
		return amend_no_memory(err);
	n_names = amend_sqlite_identity(table, names);
	amend_buffer_text(&sql, "SELECT ");
	for (size_t i = 0; i < n_names; i++) {
		amend_buffer_text(&sql, i ? ", " : "");
		amend_sqlite_name(&sql, names[i]);
	}
	amend_buffer_printf(&sql, "%s FROM %s WHERE ", n_names ? "" : "1", table->sql);
	for (size_t i = 0; i < index->n_parts; i++)
		amend_buffer_printf(&sql, "%s(\n%s\n) = ?%zu", i ? " AND " : "", index->parts[i],
				    i + 1);
	if (index->where)
		amend_buffer_printf(&sql, " AND (\n%s\n)", index->where);
	n = amend_sqlite_not_itself(&sql, asking->wish, values, index->n_parts);
	amend_buffer_text(&sql, " LIMIT 1");
	status = amend_sqlite_ask(asking, sql.failed ? NULL : sql.data, values, n, &rows, err);
	if (status == AMEND_OK && rows.n_rows > 0) {
		amend_sqlite_take_record(asking, &rows, names, n_names, &violation);
		violation.columns = amend_violations_columns(asking->list, table, columns,
							     &violation.n_columns);
		amend_violations_add(asking->list, asking->wish, &violation, NULL);
	}
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	return status;
}

static enum amend_status one_index(struct amend_sqlite_asking *asking, const char *name,
				   const struct amend_sqlite_index *index, struct amend_error *err)
{
	const struct amend_table *table = asking->wish->table;
	struct amend_arena *arena = asking->list->arena;
	struct amend_value *values = amend_arena_array(
		arena, index->n_parts + table->n_identity + 1, sizeof(*values));
	bool *columns = amend_arena_array(arena, table->n_columns, sizeof(*columns));
	bool known;
	enum amend_status status;

	if (!values || !columns)
		return amend_no_memory(err);
	status = amend_sqlite_wanted(asking, index->parts, index->n_parts, index->where, values,
				     &known, err);
	if (status != AMEND_OK || !known)
		return status;
	memcpy(columns, asking->read, table->n_columns * sizeof(*columns));
	return find_taken(asking, name, index, columns, values, err);
}

/* An index that SQLite made for a UNIQUE or PRIMARY KEY has no text: its columns are in the catalogue. */
static enum amend_status automatic_index(struct amend_sqlite_asking *asking, const char *name,
					 struct amend_sqlite_index *index, struct amend_error *err)
{
	struct amend_arena *arena = asking->list->arena;
	const struct amend_value values[] = {amend_text(name),
					     amend_text(asking->wish->table->schema)};
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_sqlite_ask(
		asking,
		"SELECT name, coll FROM pragma_index_xinfo(?1, ?2) WHERE key = 1 ORDER BY seqno",
		values, 2, &rows, err);

	*index = (struct amend_sqlite_index){
		.parts = amend_arena_array(arena, rows.n_rows + 1, sizeof(*index->parts))};
	if (status == AMEND_OK && !index->parts)
		status = amend_no_memory(err);
	for (size_t i = 0; status == AMEND_OK && i < rows.n_rows && index->parts; i++) {
		struct amend_buffer part = AMEND_BUFFER_INIT;

		amend_sqlite_name(&part, amend_rows_at(&rows, i, 0)->as.text);
		amend_buffer_text(&part, " COLLATE ");
		amend_sqlite_name(&part, amend_rows_at(&rows, i, 1)->as.text);
		index->parts[index->n_parts] = part.failed ? NULL
							   : amend_arena_text_n(arena, part.data,
										part.size);
		if (!index->parts[index->n_parts++])
			status = amend_no_memory(err);
		amend_buffer_release(&part);
	}
	amend_rows_release(&rows);
	return status;
}

/* INTEGER PRIMARY KEY has no index: it is the rowid. */
static enum amend_status rowid_key(struct amend_sqlite_asking *asking, struct amend_error *err)
{
	const struct amend_table *table = asking->wish->table;
	struct amend_buffer part = AMEND_BUFFER_INIT;
	struct amend_sqlite_index index = {.n_parts = 1};
	const char *text;
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < table->n_columns && status == AMEND_OK; i++) {
		if (!(table->columns[i].type_id & AMEND_SQLITE_ROWID))
			continue;
		amend_sqlite_name(&part, table->columns[i].name);
		text = part.failed ? NULL : part.data;
		index.parts = &text;
		status = text ? one_index(asking, "primary key", &index, err) : amend_no_memory(err);
	}
	amend_buffer_release(&part);
	return status;
}

static enum amend_status check_unique(struct amend_sqlite_asking *asking, struct amend_error *err)
{
	const struct amend_table *table = asking->wish->table;
	const struct amend_value values[] = {amend_text(table->name), amend_text(table->schema)};
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = asking->ddl.replaces ? AMEND_OK : rowid_key(asking, err);

	if (status != AMEND_OK)
		return status;
	amend_buffer_text(&sql, "SELECT l.name, s.sql FROM pragma_index_list(?1, ?2) l LEFT JOIN ");
	amend_sqlite_name(&sql, table->schema);
	amend_buffer_text(&sql, ".sqlite_master s ON s.type = 'index' AND s.name = l.name"
				" WHERE l.\"unique\" = 1 ORDER BY l.seq DESC");
	status = amend_sqlite_ask(asking, sql.failed ? NULL : sql.data, values, 2, &rows, err);
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		const char *name = amend_arena_text(asking->list->arena,
						    amend_rows_at(&rows, i, 0)->as.text);
		const struct amend_value *text = amend_rows_at(&rows, i, 1);
		struct amend_sqlite_index index;

		/* Which of the table's it is of is not known, and nothing is refused by that one. */
		if (text->kind == AMEND_NULL && asking->ddl.replaces)
			continue;
		if (text->kind == AMEND_NULL && name)
			status = automatic_index(asking, name, &index, err);
		else if (!name || !amend_sqlite_index(text->as.text, asking->list->arena, &index))
			status = amend_no_memory(err);
		if (status == AMEND_OK)
			status = one_index(asking, name, &index, err);
	}
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	return status;
}

/* ---- the whole ---- */

static enum amend_status read_ddl(struct amend_sqlite_asking *asking, struct amend_error *err)
{
	const struct amend_table *table = asking->wish->table;
	const struct amend_value values[] = {amend_text(table->name)};
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	const char *text = "";
	enum amend_status status;

	amend_buffer_text(&sql, "SELECT sql FROM ");
	amend_sqlite_name(&sql, table->schema);
	amend_buffer_text(&sql, ".sqlite_master WHERE type = 'table' AND name = ?1");
	status = amend_sqlite_ask(asking, sql.failed ? NULL : sql.data, values, 1, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 1 && amend_rows_at(&rows, 0, 0)->kind == AMEND_TEXT)
		text = amend_rows_at(&rows, 0, 0)->as.text;
	if (status == AMEND_OK &&
	    !amend_sqlite_ddl(text, table->n_columns, asking->list->arena, &asking->ddl))
		status = amend_no_memory(err);
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	return status;
}

/* PRAGMA ignore_check_constraints, PRAGMA foreign_keys: what is off refuses nothing. */
static enum amend_status is_on(struct amend_sqlite_asking *asking, const char *pragma, bool *on,
			       struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_sqlite_ask(asking, pragma, NULL, 0, &rows, err);
	int64_t number = 0;

	if (status == AMEND_OK && rows.n_rows == 1)
		amend_value_number(amend_rows_at(&rows, 0, 0), &number);
	*on = number != 0;
	amend_rows_release(&rows);
	return status;
}

static enum amend_status ask_all(struct amend_sqlite_asking *asking, struct amend_error *err)
{
	bool foreign = false, ignores = false;
	enum amend_status status = is_on(asking, "PRAGMA foreign_keys", &foreign, err);

	if (status == AMEND_OK && asking->wish->after) {
		status = is_on(asking, "PRAGMA ignore_check_constraints", &ignores, err);
		if (status == AMEND_OK)
			status = read_ddl(asking, err);
		if (status == AMEND_OK)
			status = amend_sqlite_open_own(asking, err);
		if (status != AMEND_OK)
			return status;
		check_columns(asking);
		for (size_t i = 0; i < asking->ddl.n_checks && !ignores; i++)
			one_check(asking, &asking->ddl.checks[i]);
		status = check_unique(asking, err);
	}
	if (status == AMEND_OK && foreign && asking->wish->after)
		status = amend_sqlite_parents(asking, err);
	if (status == AMEND_OK && foreign && asking->wish->before)
		status = amend_sqlite_children(asking, err);
	return status;
}

enum amend_status amend_sqlite_violations(struct amend_session *session,
					  const struct amend_wish *wish,
					  struct amend_violations *list, struct amend_error *err)
{
	struct amend_sqlite_asking asking = {.session = session, .wish = wish, .list = list};
	enum amend_status status = ask_all(&asking, err);

	sqlite3_close(asking.own);
	return status;
}
