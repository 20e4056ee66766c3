/*
 * The triggers of a guarded table: which there are, and those that stand.
 * Leaves what they do to sqlite_guard_body.c, and what to guard to ledger/guard.c.
 *
 * They share, in the ledger (ledger_guard below): amend_session, whose row says who writes; amend_statement, by which the rows
 * of one statement share a revision; amend_stash, what INSERT OR REPLACE is about to sweep away.
 */
#include "sql/driver.h"

#ifdef AMEND_WITH_SQLITE

#include "sql/driver/sqlite_guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/rows.h"

/*
 * A statement is told from the next by what it leaves behind: the count of all changes of the
 * connection stands where the last trigger left it as long as the statement goes on, and its clock stands still.
 * Where that deceives, two statements of one millisecond share a revision.
 */
const char *const amend_sqlite_ledger_guard[] = {
	"CREATE TABLE amend_session (one INTEGER PRIMARY KEY DEFAULT 1 CHECK (one IN (1, 2)), "
	"who TEXT NOT NULL DEFAULT '', why TEXT NOT NULL DEFAULT '', program TEXT NOT NULL DEFAULT '', "
	"revision INTEGER, "
	/* Never satisfied: a row that is not deleted again keeps its transaction from committing. */
	"never INTEGER NOT NULL DEFAULT -1 CHECK (never = -1) REFERENCES amend_revision (id) "
	"DEFERRABLE INITIALLY DEFERRED)",
	"CREATE TRIGGER amend_session_keys BEFORE INSERT ON amend_session WHEN NEW.revision IS NULL "
	"AND (SELECT foreign_keys FROM pragma_foreign_keys) = 0 "
	"BEGIN SELECT RAISE(ABORT, 'amend_session needs PRAGMA foreign_keys = ON: without it the row "
	"could outlive its transaction'); END",
	"CREATE TABLE amend_statement (one INTEGER PRIMARY KEY CHECK (one = 1), "
	"revision INTEGER NOT NULL, total INTEGER NOT NULL, at TEXT NOT NULL)",
	"INSERT INTO amend_statement (one, revision, total, at) VALUES (1, 0, -1, '')",
	"CREATE TABLE amend_stash (tbl TEXT NOT NULL, pk TEXT NOT NULL, version, fields TEXT, "
	"PRIMARY KEY (tbl, pk)) WITHOUT ROWID",
	NULL,
};

/* --- parts -------------------------------------------------------------- */

static bool make_part(const struct amend_guard_spec *spec, enum amend_sqlite_guard_kind kind,
		      struct amend_arena *arena, struct amend_guard_part *part)
{
	struct amend_sql sql = {.dialect = amend_driver_sqlite->dialect};
	const char *text;
	char *name = amend_sqlite_guard_name(spec, kind);

	part->name = name ? amend_arena_text(arena, name) : NULL;
	sqlite3_free(name);
	if (!part->name)
		return false;
	amend_sql_text(&sql, "CREATE TRIGGER ");
	amend_sqlite_guard_body(&sql, spec, kind, arena);
	text = amend_buffer_string(&sql.text);
	part->mark = part->make[1] = text ? amend_arena_text(arena, text) : NULL;
	amend_sql_release(&sql);
	amend_sql_text(&sql, "DROP TRIGGER IF EXISTS ");
	amend_sql_name(&sql, part->name);
	text = amend_buffer_string(&sql.text);
	part->make[0] = text ? amend_arena_text(arena, text) : NULL;
	amend_sql_release(&sql);
	return part->make[0] && part->make[1];
}

enum amend_status amend_sqlite_guard_parts(struct amend_session *session,
					   const struct amend_guard_spec *spec,
					   struct amend_arena *arena, struct amend_guard_part **out,
					   size_t *n, struct amend_error *err)
{
	size_t count = spec->history ? AMEND_SQLITE_GUARD_DELETED + 1 : AMEND_SQLITE_GUARD_DELETED;

	(void)session;
	*n = 0;
	if (strcmp(spec->table->schema, "main") != 0)
		return amend_error_set(
			err, AMEND_UNSUPPORTED,
			"expected a table of the main file, found %s: triggers reach no "
			"other file (hint: open that file itself)",
			spec->table->qualified);
	if (spec->by_statement)
		return amend_error_set(err, AMEND_UNSUPPORTED,
				       "SQLite's triggers are called for each row, never once a "
				       "statement");
	*out = amend_arena_array(arena, count, sizeof(**out));
	if (!*out)
		return amend_no_memory(err);
	for (; *n < count; ++*n) {
		if (!make_part(spec, (enum amend_sqlite_guard_kind) * n, arena, &(*out)[*n]))
			return amend_no_memory(err);
	}
	return AMEND_OK;
}

enum amend_status amend_sqlite_guard_column(const struct amend_table *table, const char *name,
					    int64_t ms, struct amend_arena *arena,
					    struct amend_column *column, const char **statements,
					    struct amend_error *err)
{
	struct amend_sql sql = {.dialect = amend_driver_sqlite->dialect};
	const char *text;

	*column = (struct amend_column){
		.name = name,
		.type = "INTEGER",
		.cast = "",
		.number_cast = "",
		.class_ = AMEND_CLASS_INTEGER,
		.not_null = true,
		.has_default = true,
		.default_ = amend_arena_integer(arena, ms),
		.collation = "",
	};
	if (!column->default_)
		return amend_no_memory(err);
	amend_sql_text(&sql, "ALTER TABLE ");
	amend_sql_text(&sql, table->sql);
	amend_sql_text(&sql, " ADD COLUMN ");
	amend_sql_name(&sql, name);
	amend_sql_printf(&sql, " INTEGER NOT NULL DEFAULT %" PRId64, ms);
	text = amend_buffer_string(&sql.text);
	statements[0] = text ? amend_arena_text(arena, text) : NULL;
	statements[1] = NULL;
	amend_sql_release(&sql);
	return statements[0] ? AMEND_OK : amend_no_memory(err);
}

/* --- what stands -------------------------------------------------------- */

static bool take_found(const struct amend_value *values, struct amend_arena *arena,
		       struct amend_guard_found *out)
{
	struct amend_sql sql = {.dialect = amend_driver_sqlite->dialect};
	const char *text;

	amend_sql_text(&sql, "DROP TRIGGER ");
	amend_sql_name(&sql, values[0].as.text);
	text = amend_buffer_string(&sql.text);
	out->drop[0] = text ? amend_arena_text(arena, text) : NULL;
	amend_sql_release(&sql);
	out->name = amend_arena_text(arena, values[0].as.text);
	out->mark = amend_arena_text(arena, values[1].as.text);
	out->problem = NULL;
	return out->drop[0] && out->name && out->mark;
}

enum amend_status amend_sqlite_guard_found(struct amend_session *session,
					   const struct amend_table *table,
					   struct amend_arena *arena, struct amend_guard_found **out,
					   size_t *n, struct amend_error *err)
{
	static const char sql[] =
		"SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger' AND tbl_name = ?1 "
		"COLLATE NOCASE AND name LIKE 'amend\\_guard\\_%' ESCAPE '\\' ORDER BY name";
	const struct amend_value values[] = {amend_text(table->name)};
	const struct amend_statement statement = {.sql = sql, .values = values, .n_values = 1};
	struct amend_rows rows = AMEND_ROWS_INIT;
	size_t failed;
	enum amend_status status;

	*n = 0;
	*out = NULL;
	if (strcmp(table->schema, "main") != 0)
		return AMEND_OK;
	status = amend_sqlite_run(session, &statement, 1, &rows, &failed, err);
	if (status == AMEND_OK && rows.n_rows > 0) {
		*out = amend_arena_array(arena, rows.n_rows, sizeof(**out));
		if (!*out)
			status = amend_no_memory(err);
	}
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++, ++*n) {
		if (!take_found(amend_rows_at(&rows, i, 0), arena, &(*out)[i]))
			status = amend_no_memory(err);
	}
	amend_rows_release(&rows);
	return status;
}

#endif
