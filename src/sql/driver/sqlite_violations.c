/*
 * What of its own table stands in a row's way: NOT NULL, CHECKs, unique indexes.
 *
 * SQLite stops at the first, and has no catalogue of CHECKs. So their texts are taken out of the
 * CREATE text (sqlite_ddl.c), and SQLite evaluates each on the row as it is wanted, in a private
 * database whose table has the same columns, affinities and collations, and demands nothing.
 * Leaves foreign keys to sqlite_refers.c.
 */
#include "sql/driver/sqlite_violations.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void amend_sqlite_name(struct amend_buffer *sql, const char *name)
{
	amend_quote_name(sql, amend_driver_sqlite->dialect, name);
}

/* ---- the private database ---- */

static int note_read(void *context, int action, const char *table, const char *column,
		     const char *database, const char *trigger)
{
	struct amend_sqlite_asking *asking = context;
	int at;

	(void)table, (void)database, (void)trigger;
	if (action != SQLITE_READ || !column || !asking->read)
		return SQLITE_OK;
	at = amend_table_column(asking->wish->table, column);
	if (at >= 0)
		asking->read[at] = true;
	else
		asking->read_rowid = true;
	return SQLITE_OK;
}

sqlite3_stmt *amend_sqlite_own(struct amend_sqlite_asking *asking, const char *sql)
{
	sqlite3_stmt *stmt = NULL;

	if (!sql || !asking->own)
		return NULL;
	memset(asking->read, 0, asking->wish->table->n_columns * sizeof(*asking->read));
	asking->read_rowid = false;
	if (sqlite3_prepare_v2(asking->own, sql, -1, &stmt, NULL) != SQLITE_OK)
		return NULL;
	return stmt;
}

bool amend_sqlite_own_known(const struct amend_sqlite_asking *asking, bool compares)
{
	const struct amend_table *table = asking->wish->table;
	bool generated = false;

	for (size_t i = 0; i < table->n_columns; i++)
		generated = generated || (asking->read[i] && table->columns[i].generated);
	for (size_t i = 0; i < table->n_columns; i++) {
		/* A generated column may depend on any other. */
		if (!asking->read[i] && !generated)
			continue;
		if ((asking->known[i] != AMEND_KNOWN && !table->columns[i].generated) ||
		    (compares && asking->odd[i]))
			return false;
	}
	return !asking->read_rowid || asking->wish->rowid.kind == AMEND_INTEGER;
}

static const char *type_of(const struct amend_column *column)
{
	if (column->type_id & AMEND_SQLITE_ROWID)
		return "INTEGER PRIMARY KEY";
	switch (amend_sqlite_affinity(column->type, (column->type_id & AMEND_SQLITE_STRICT) != 0)) {
	case AMEND_SQLITE_AS_TEXT:
		return "TEXT";
	case AMEND_SQLITE_AS_INTEGER:
		return "INTEGER";
	case AMEND_SQLITE_AS_REAL:
		return "REAL";
	case AMEND_SQLITE_AS_BLOB:
		return "BLOB";
	case AMEND_SQLITE_AS_NUMERIC:
		break;
	}
	return "NUMERIC";
}

/* `generated` false: those columns are plain ones, and nothing is known of them. */
static bool create_own(struct amend_sqlite_asking *asking, bool generated)
{
	const struct amend_table *table = asking->wish->table;
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	size_t n_generated = 0;
	bool made;

	amend_buffer_text(&sql, "CREATE TABLE ");
	amend_sqlite_name(&sql, table->name);
	for (size_t i = 0; i < table->n_columns; i++) {
		const struct amend_column *column = &table->columns[i];

		amend_buffer_text(&sql, i ? ", " : " (");
		amend_sqlite_name(&sql, column->name);
		amend_buffer_printf(&sql, " %s", type_of(column));
		if (*column->collation && !asking->odd[i]) {
			amend_buffer_text(&sql, " COLLATE ");
			amend_sqlite_name(&sql, column->collation);
		}
		if (!column->generated)
			continue;
		asking->known[i] = AMEND_UNKNOWN;
		if (generated && n_generated < asking->ddl.n_generated) {
			amend_buffer_printf(&sql, " AS (\n%s\n)",
					    asking->ddl.generated[n_generated++]);
			asking->known[i] = AMEND_KNOWN;
		}
	}
	amend_buffer_text(&sql, ")");
	made = !sql.failed && sqlite3_exec(asking->own, sql.data, NULL, NULL, NULL) == SQLITE_OK;
	amend_buffer_release(&sql);
	return made;
}

static bool has_collation(struct amend_sqlite_asking *asking, const char *name)
{
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	sqlite3_stmt *stmt;
	bool known;

	amend_buffer_text(&sql, "SELECT 'a' = 'b' COLLATE ");
	amend_sqlite_name(&sql, name);
	stmt = sql.failed ? NULL : amend_sqlite_own(asking, sql.data);
	known = stmt != NULL;
	sqlite3_finalize(stmt);
	amend_buffer_release(&sql);
	return known;
}

/* What a column has where nothing is given. A bare word stands for itself there. */
static bool default_of(struct amend_sqlite_asking *asking, const struct amend_column *column,
		       struct amend_value *out)
{
	struct amend_arena *arena = asking->list->arena;
	sqlite3_stmt *stmt;
	bool known = true;

	if (!column->default_)
		return true;
	stmt = amend_sqlite_own(asking,
				amend_arena_printf(arena, "SELECT (\n%s\n)", column->default_));
	if (!stmt)
		*out = amend_text(column->default_);
	else if (sqlite3_step(stmt) != SQLITE_ROW || !amend_sqlite_column_value(stmt, 0, arena, out))
		known = false;
	sqlite3_finalize(stmt);
	return known;
}

static void fill_in(struct amend_sqlite_asking *asking)
{
	const struct amend_wish *wish = asking->wish;

	for (size_t i = 0; i < wish->table->n_columns; i++) {
		const struct amend_column *column = &wish->table->columns[i];

		asking->known[i] = wish->known[i];
		asking->values[i] = wish->known[i] == AMEND_KNOWN ? wish->after[i] : amend_null();
		asking->odd[i] = *column->collation && !has_collation(asking, column->collation);
		if (wish->known[i] == AMEND_DEFAULT)
			asking->known[i] = default_of(asking, column, &asking->values[i])
						   ? AMEND_KNOWN
						   : AMEND_UNKNOWN;
		/* The next number, which nobody knows. */
		if ((column->type_id & AMEND_SQLITE_ROWID) && asking->values[i].kind == AMEND_NULL)
			asking->known[i] = AMEND_UNKNOWN;
	}
}

static bool insert_own(struct amend_sqlite_asking *asking)
{
	const struct amend_table *table = asking->wish->table;
	bool rowid = table->rowid && asking->wish->rowid.kind == AMEND_INTEGER;
	struct amend_buffer sql = AMEND_BUFFER_INIT, places = AMEND_BUFFER_INIT;
	sqlite3_stmt *stmt = NULL;
	bool done = false;
	int n = 0;

	amend_buffer_text(&sql, "INSERT INTO ");
	amend_sqlite_name(&sql, table->name);
	for (size_t i = 0; i < table->n_columns; i++) {
		if (table->columns[i].generated)
			continue;
		amend_buffer_text(&sql, n ? ", " : " (");
		amend_sqlite_name(&sql, table->columns[i].name);
		amend_buffer_text(&places, n++ ? ", ?" : "?");
	}
	if (rowid)
		amend_buffer_printf(&sql, "%s%s", n ? ", " : " (", table->rowid);
	if (rowid)
		amend_buffer_text(&places, n ? ", ?" : "?");
	if (n > 0 || rowid)
		amend_buffer_printf(&sql, ") VALUES (%s)", places.data ? places.data : "");
	else
		amend_buffer_text(&sql, " DEFAULT VALUES");
	if (!sql.failed && !places.failed)
		stmt = amend_sqlite_own(asking, sql.data);
	n = 0;
	for (size_t i = 0; stmt && i < table->n_columns; i++) {
		if (table->columns[i].generated)
			continue;
		if (amend_sqlite_bind(stmt, ++n, &asking->values[i]) != SQLITE_OK)
			asking->known[i] = AMEND_UNKNOWN;
	}
	if (stmt && rowid)
		amend_sqlite_bind(stmt, n + 1, &asking->wish->rowid);
	done = stmt && sqlite3_step(stmt) == SQLITE_DONE;
	sqlite3_finalize(stmt);
	amend_buffer_release(&sql);
	amend_buffer_release(&places);
	return done;
}

/* A private database that takes text and LIKE as the user's does; `own` stays NULL where there is none. */
static enum amend_status open_own(struct amend_sqlite_asking *asking, struct amend_error *err)
{
	const struct amend_table *table = asking->wish->table;
	struct amend_arena *arena = asking->list->arena;
	struct amend_rows encoding = AMEND_ROWS_INIT, like = AMEND_ROWS_INIT;
	const char *pragma = NULL;
	enum amend_status status;
	int64_t folds = 1;

	asking->values = amend_arena_array(arena, table->n_columns, sizeof(*asking->values));
	asking->known = amend_arena_array(arena, table->n_columns, sizeof(*asking->known));
	asking->odd = amend_arena_array(arena, table->n_columns, sizeof(*asking->odd));
	asking->read = amend_arena_array(arena, table->n_columns, sizeof(*asking->read));
	if (!asking->values || !asking->known || !asking->odd || !asking->read)
		return amend_no_memory(err);
	status = amend_sqlite_ask(asking, "PRAGMA main.encoding", NULL, 0, &encoding, err);
	if (status == AMEND_OK)
		status = amend_sqlite_ask(asking, "SELECT 'a' LIKE 'A'", NULL, 0, &like, err);
	if (status == AMEND_OK && like.n_rows == 1)
		amend_value_number(amend_rows_at(&like, 0, 0), &folds);
	if (status == AMEND_OK)
		pragma = amend_arena_printf(
			arena, "PRAGMA encoding='%s'; PRAGMA case_sensitive_like=%d; BEGIN",
			encoding.n_rows ? amend_rows_at(&encoding, 0, 0)->as.text : "UTF-8",
			folds == 0);
	amend_rows_release(&encoding);
	amend_rows_release(&like);
	if (status != AMEND_OK)
		return status;
	if (!pragma ||
	    sqlite3_open_v2(":memory:", &asking->own,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
				    SQLITE_OPEN_MEMORY,
			    NULL) != SQLITE_OK ||
	    sqlite3_exec(asking->own, pragma, NULL, NULL, NULL) != SQLITE_OK)
		return amend_no_memory(err);
	sqlite3_set_authorizer(asking->own, note_read, asking);
	fill_in(asking);
	if ((create_own(asking, true) || create_own(asking, false)) && insert_own(asking))
		return AMEND_OK;
	sqlite3_close(asking->own);
	asking->own = NULL;
	return AMEND_OK;
}

enum amend_status amend_sqlite_wanted(struct amend_sqlite_asking *asking, const char *const *parts,
				      size_t n, const char *where, struct amend_value *out,
				      bool *known, struct amend_error *err)
{
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	sqlite3_stmt *stmt = NULL;
	enum amend_status status = AMEND_OK;

	*known = false;
	amend_buffer_text(&sql, "SELECT ");
	for (size_t i = 0; i < n; i++)
		amend_buffer_printf(&sql, "%s(\n%s\n)", i ? ", " : "", parts[i]);
	amend_buffer_text(&sql, " FROM ");
	amend_sqlite_name(&sql, asking->wish->table->name);
	if (where)
		amend_buffer_printf(&sql, " WHERE (\n%s\n)", where);
	if (sql.failed)
		status = amend_no_memory(err);
	else
		stmt = amend_sqlite_own(asking, sql.data);
	if (stmt && amend_sqlite_own_known(asking, false) && sqlite3_step(stmt) == SQLITE_ROW) {
		*known = true;
		for (size_t i = 0; i < n && status == AMEND_OK; i++) {
			if (!amend_sqlite_column_value(stmt, (int)i, asking->list->arena, &out[i]))
				status = amend_no_memory(err);
			*known = *known && out[i].kind != AMEND_NULL;
		}
	}
	sqlite3_finalize(stmt);
	amend_buffer_release(&sql);
	return status;
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
			status = open_own(asking, err);
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
