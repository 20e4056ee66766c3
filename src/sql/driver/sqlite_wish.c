/*
 * The row as it is wanted, in a private database whose table has the same columns, affinities and
 * collations, and demands nothing: what an expression is for it.
 * Leaves what stands in its way to sqlite_violations.c and sqlite_refers.c.
 */
#include "sql/driver/sqlite_violations.h"

#include <string.h>

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

enum amend_status amend_sqlite_open_own(struct amend_sqlite_asking *asking, struct amend_error *err)
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
