/*
 * Running statements: a cache of prepared ones, binding, and the rows they return.
 * Leaves transactions to sqlite_tx.c and the meaning of errors to sqlite_error.c.
 */
#include "sql/driver/sqlite.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/rows.h"
#include "sql/sql.h"
#include "sql/sqlstate.h"

enum { FEW_COLUMNS = 32 };

static struct amend_sqlite_cached *find(struct amend_session *session, const char *sql,
					uint64_t hash)
{
	for (size_t i = 0; i < AMEND_SQLITE_CACHE; i++) {
		struct amend_sqlite_cached *cached = &session->cache[i];

		if (cached->stmt && cached->hash == hash &&
		    strcmp(sqlite3_sql(cached->stmt), sql) == 0) {
			cached->used = ++session->uses;
			return cached;
		}
	}
	return NULL;
}

/* A free place, or the one whose statement was not used for the longest time. */
static struct amend_sqlite_cached *make_room(struct amend_session *session)
{
	struct amend_sqlite_cached *oldest = &session->cache[0];

	for (size_t i = 0; i < AMEND_SQLITE_CACHE && oldest->stmt; i++) {
		if (!session->cache[i].stmt || session->cache[i].used < oldest->used)
			oldest = &session->cache[i];
	}
	sqlite3_finalize(oldest->stmt);
	oldest->stmt = NULL;
	return oldest;
}

void amend_sqlite_forget(struct amend_session *session)
{
	for (size_t i = 0; i < AMEND_SQLITE_CACHE; i++) {
		sqlite3_finalize(session->cache[i].stmt);
		session->cache[i].stmt = NULL;
	}
}

/* SQLITE_MISUSE: the text is not one statement. Only a cached statement's text is one up to its end. */
static int prepare(struct amend_session *session, const struct amend_statement *statement,
		   sqlite3_stmt **out)
{
	const char *sql = statement->sql;
	bool once = statement->once;
	uint64_t hash = statement->hash || once ? statement->hash : amend_sql_hash(sql);
	struct amend_sqlite_cached *cached = once ? NULL : find(session, sql, hash);
	sqlite3_stmt *second = NULL;
	const char *tail = NULL;
	size_t size;
	int rc;

	*out = NULL;
	if (cached) {
		*out = cached->stmt;
		return SQLITE_OK;
	}
	size = strlen(sql);
	if (size >= INT32_MAX)
		return SQLITE_TOOBIG;
	rc = sqlite3_prepare_v3(session->db, sql, (int)size + 1,
				once ? 0 : SQLITE_PREPARE_PERSISTENT, out, &tail);
	/* White space, comments and semicolons may follow: SQLite itself tells what they are. */
	while (rc == SQLITE_OK && *out && *tail && !second) {
		const char *rest = tail;

		rc = sqlite3_prepare_v2(session->db, rest, -1, &second, &tail);
		if (tail == rest)
			break;
	}
	if (second || (rc == SQLITE_OK && !*out)) {
		sqlite3_finalize(second);
		rc = SQLITE_MISUSE;
	}
	if (rc != SQLITE_OK) {
		sqlite3_finalize(*out);
		*out = NULL;
		return rc;
	}
	/* What is found again must be the whole text: sqlite3_sql() ends with the first statement. */
	if (!once && strlen(sqlite3_sql(*out)) == size) {
		cached = make_room(session);
		*cached = (struct amend_sqlite_cached){*out, hash, ++session->uses};
	}
	return SQLITE_OK;
}

static bool is_cached(const struct amend_session *session, const sqlite3_stmt *stmt)
{
	for (size_t i = 0; i < AMEND_SQLITE_CACHE; i++) {
		if (session->cache[i].stmt == stmt)
			return true;
	}
	return false;
}

int amend_sqlite_prepare(struct amend_session *session, const char *sql, sqlite3_stmt **out)
{
	const struct amend_statement statement = {.sql = sql};

	return prepare(session, &statement, out);
}

int amend_sqlite_step(sqlite3_stmt *stmt)
{
	int rc;

	do
		rc = sqlite3_step(stmt);
	while (rc == SQLITE_ROW);
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int amend_sqlite_bind(sqlite3_stmt *stmt, int index, const struct amend_value *value)
{
	switch (value->kind) {
	case AMEND_NULL:
		return sqlite3_bind_null(stmt, index);
	case AMEND_INTEGER:
		return sqlite3_bind_int64(stmt, index, value->as.integer);
	case AMEND_REAL:
		if (value->as.real != value->as.real)
			return SQLITE_MISMATCH;
		return sqlite3_bind_double(stmt, index, value->as.real);
	case AMEND_TEXT:
		/* Of no bytes, the pointer may be NULL, which would bind NULL. */
		return sqlite3_bind_text64(stmt, index, value->size ? value->as.text : "",
					   value->size, SQLITE_STATIC, SQLITE_UTF8);
	case AMEND_BLOB:
		return sqlite3_bind_blob64(stmt, index, value->size ? value->as.blob : "",
					   value->size, SQLITE_STATIC);
	}
	return SQLITE_MISUSE;
}

/* False when there is no memory to convert or fetch it. */
static bool borrow_column(sqlite3_stmt *stmt, int index, struct amend_value *out)
{
	switch (sqlite3_column_type(stmt, index)) {
	case SQLITE_INTEGER:
		*out = amend_integer(sqlite3_column_int64(stmt, index));
		return true;
	case SQLITE_FLOAT:
		*out = amend_real(sqlite3_column_double(stmt, index));
		return true;
	case SQLITE_TEXT:
		out->kind = AMEND_TEXT;
		out->as.text = (const char *)sqlite3_column_text(stmt, index);
		out->size = (size_t)sqlite3_column_bytes(stmt, index);
		return out->as.text != NULL;
	case SQLITE_BLOB:
		/* NULL for a blob of no bytes. */
		out->kind = AMEND_BLOB;
		out->as.blob = sqlite3_column_blob(stmt, index);
		out->size = (size_t)sqlite3_column_bytes(stmt, index);
		return out->as.blob || out->size == 0;
	}
	*out = amend_null();
	return true;
}

bool amend_sqlite_column_value(sqlite3_stmt *stmt, int index, struct amend_arena *arena,
			       struct amend_value *out)
{
	struct amend_value borrowed;

	return borrow_column(stmt, index, &borrowed) && amend_arena_value(arena, &borrowed, out);
}

/* What is collected while stepping: the values move as they grow, their bytes do not. */
struct collected {
	struct amend_rows_owner *owner;
	size_t n_rows, n_columns, room;
	struct amend_value *values;
};

static bool collect_room(struct collected *into)
{
	size_t needed = into->n_columns, room;
	struct amend_value *values;

	if (into->n_rows > SIZE_MAX / sizeof(struct amend_value) / into->n_columns - 1)
		return false;
	needed *= into->n_rows + 1;
	if (needed <= into->room)
		return true;
	room = into->room ? into->room * 2 : 4 * into->n_columns;
	if (room < needed || room > SIZE_MAX / sizeof(*values))
		room = needed;
	values = realloc(into->values, room * sizeof(*values));
	if (!values)
		return false;
	into->values = values;
	into->room = room;
	return true;
}

static enum amend_status collect_row(void *context, const struct amend_value *values,
				     size_t n_columns, struct amend_error *err)
{
	struct collected *into = context;

	into->n_columns = n_columns;
	if (!collect_room(into))
		return amend_no_memory(err);
	for (size_t i = 0; i < n_columns; i++) {
		if (!amend_arena_value(&into->owner->arena, &values[i],
				       &into->values[into->n_rows * n_columns + i]))
			return amend_no_memory(err);
	}
	into->n_rows++;
	return AMEND_OK;
}

static bool collect_begin(struct collected *into, sqlite3_stmt *stmt)
{
	*into = (struct collected){.n_columns = (size_t)sqlite3_column_count(stmt)};
	into->owner = amend_rows_owner_new();
	return into->owner != NULL;
}

static void collect_end(struct collected *from, struct amend_rows *rows)
{
	from->owner->extra = from->values;
	from->owner->release = free;
	rows->n_rows = from->n_rows;
	rows->n_columns = from->n_columns;
	rows->values = from->values;
	rows->owner = from->owner;
}

static void collect_drop(struct collected *from)
{
	if (from->owner)
		amend_arena_release(&from->owner->arena);
	free(from->owner);
	free(from->values);
}

enum amend_status amend_sqlite_bind_all(struct amend_session *session, sqlite3_stmt *stmt,
					const struct amend_value *values, size_t n_values,
					struct amend_error *err)
{
	int n = sqlite3_bind_parameter_count(stmt), rc;

	if ((size_t)n != n_values)
		return amend_sqlite_error(
			err, AMEND_INVALID, AMEND_SQLSTATE_SYNTAX,
			"the statement has %d placeholders, but %zu values are given", n, n_values);
	for (int i = 0; i < n; i++) {
		rc = amend_sqlite_bind(stmt, i + 1, &values[i]);
		if (rc == SQLITE_MISMATCH)
			return amend_sqlite_error(
				err, AMEND_INVALID, AMEND_SQLSTATE_OUT_OF_RANGE,
				"value %d is not a number (NaN), which SQLite cannot "
				"store",
				i + 1);
		if (rc != SQLITE_OK)
			return amend_sqlite_fail(session, rc, AMEND_SQLITE_RUNNING, false, err);
	}
	return AMEND_OK;
}

/* Undoing must work after the time limit, and after an interruption. */
static bool only_undoes(const char *sql)
{
	return strncasecmp(sql, "ROLLBACK", 8) == 0 || strncasecmp(sql, "RELEASE", 7) == 0;
}

/*
 * An adopted handle may have no busy handler: the wait for a lock is then here.
 * While nothing is held, the statement can be run again; later it would deadlock.
 */
static bool may_wait(struct amend_session *session, int rc, int tries)
{
	return (rc & 0xff) == SQLITE_BUSY && session->adopted &&
	       sqlite3_txn_state(session->db, NULL) == SQLITE_TXN_NONE &&
	       amend_sqlite_busy(session, tries);
}

/* Borrows the row's columns for `each`. */
static enum amend_status hand_out(sqlite3_stmt *stmt, struct amend_value *values, size_t n,
				  amend_row_fn each, void *context, struct amend_error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (!borrow_column(stmt, (int)i, &values[i]))
			return amend_no_memory(err);
	}
	return each(context, values, n, err);
}

/* Rows of a change come when all of it is done, and what is given up then is committed all the same. */
static enum amend_status untold(enum amend_status status, struct amend_error *err)
{
	if (status != AMEND_NO_MEMORY)
		return status;
	amend_error_wrap(err, "what it changed is in, and what it returned cannot be told");
	memcpy(err->sqlstate, AMEND_SQLSTATE_UNKNOWN, sizeof(err->sqlstate));
	return err->status = AMEND_OUTCOME_UNKNOWN;
}

enum amend_status amend_sqlite_rows(struct amend_session *session, sqlite3_stmt *stmt,
				    amend_row_fn each, void *context, struct amend_error *err)
{
	bool undoes = only_undoes(sqlite3_sql(stmt));
	bool commits = sqlite3_get_autocommit(session->db) && !sqlite3_stmt_readonly(stmt);
	bool upgrade = !sqlite3_get_autocommit(session->db) &&
		       sqlite3_txn_state(session->db, NULL) == SQLITE_TXN_READ;
	size_t n = each ? (size_t)sqlite3_column_count(stmt) : 0;
	struct amend_value few[FEW_COLUMNS], *values = few;
	enum amend_status status = AMEND_OK;
	bool some = false;
	int rc;

	if (n > FEW_COLUMNS && !(values = calloc(n, sizeof(*values))))
		return amend_no_memory(err);
	for (int tries = 0; status == AMEND_OK;) {
		rc = sqlite3_step(stmt);
		if (rc == SQLITE_DONE)
			break;
		if (rc != SQLITE_ROW && !some && may_wait(session, rc, tries)) {
			tries++;
			sqlite3_reset(stmt);
			continue;
		}
		if (rc != SQLITE_ROW) {
			status = amend_sqlite_fail(session, rc, AMEND_SQLITE_RUNNING, upgrade, err);
			break;
		}
		some = true;
		if (each)
			status = hand_out(stmt, values, n, each, context, err);
		if (commits)
			status = untold(status, err);
		/* An adopted handle has no handler of ours that would notice. */
		if (status == AMEND_OK && session->adopted && !undoes && !commits)
			status = amend_sqlite_stopped(session, err);
	}
	if (values != few)
		free(values);
	return status;
}

int64_t amend_sqlite_changes(struct amend_session *session, sqlite3_int64 before)
{
	return sqlite3_total_changes64(session->db) != before ? sqlite3_changes64(session->db) : 0;
}

static enum amend_status step_all(struct amend_session *session, sqlite3_stmt *stmt,
				  struct amend_rows *rows, struct amend_error *err)
{
	sqlite3_int64 changes = sqlite3_total_changes64(session->db);
	struct collected collected = {0};
	enum amend_status status;

	if (rows && !collect_begin(&collected, stmt))
		return amend_no_memory(err);
	status = amend_sqlite_rows(session, stmt, rows ? collect_row : NULL, &collected, err);
	if (status != AMEND_OK) {
		collect_drop(&collected);
	} else if (rows) {
		collect_end(&collected, rows);
		rows->changes = amend_sqlite_changes(session, changes);
	}
	return status;
}

enum amend_status amend_sqlite_ready(struct amend_session *session,
				     const struct amend_statement *statement, sqlite3_stmt **out,
				     struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	int rc;

	*out = NULL;
	session->wait_until = 0;
	if (!only_undoes(statement->sql))
		status = amend_sqlite_stopped(session, err);
	if (status != AMEND_OK)
		return status;
	for (int tries = 0;; tries++) {
		rc = prepare(session, statement, out);
		if (!may_wait(session, rc, tries))
			break;
	}
	if (rc == SQLITE_MISUSE && !*out)
		return amend_sqlite_error(err, AMEND_INVALID, AMEND_SQLSTATE_SYNTAX,
					  "expected exactly one statement");
	if (rc != SQLITE_OK)
		return amend_sqlite_fail(session, rc, AMEND_SQLITE_PREPARING, false, err);
	if ((session->read_only || (session->began && session->tx_read_only)) &&
	    !sqlite3_stmt_readonly(*out))
		return amend_sqlite_error(err, AMEND_DENIED, AMEND_SQLSTATE_READ_ONLY,
					  "%s is read-only and takes no statement that writes",
					  session->read_only ? "this connection" : "this unit");
	return AMEND_OK;
}

void amend_sqlite_finish(struct amend_session *session, sqlite3_stmt *stmt)
{
	if (stmt && is_cached(session, stmt)) {
		/* At once: an open cursor would hold a read lock, and the values are borrowed. */
		sqlite3_reset(stmt);
		sqlite3_clear_bindings(stmt);
	} else {
		sqlite3_finalize(stmt);
	}
}

static enum amend_status run_one(struct amend_session *session,
				 const struct amend_statement *statement, struct amend_rows *rows,
				 struct amend_error *err)
{
	int64_t time_limit = session->time_limit;
	sqlite3_stmt *stmt = NULL;
	enum amend_status status;

	if (only_undoes(statement->sql))
		session->time_limit = 0;
	status = amend_sqlite_ready(session, statement, &stmt, err);
	if (status == AMEND_OK)
		status = amend_sqlite_bind_all(session, stmt, statement->values,
					       statement->n_values, err);
	if (status == AMEND_OK)
		status = step_all(session, stmt, rows, err);
	amend_sqlite_finish(session, stmt);
	session->time_limit = time_limit;
	return status;
}

enum amend_status amend_sqlite_enter(struct amend_session *session, struct amend_error *err)
{
	enum amend_status status = amend_sqlite_clear(session, err);
	bool idle = sqlite3_get_autocommit(session->db) != 0;

	if (status != AMEND_OK)
		return status;
	/* A statement would now commit by itself. */
	if (session->began && idle)
		return amend_sqlite_error(err, AMEND_RETRY, AMEND_SQLSTATE_SERIALIZATION,
					  "the transaction is gone: an earlier error undid it");
	if (idle && session->pid != getpid())
		return amend_error_set(err, AMEND_INVALID,
				       "this connection was opened before fork() (hint: open another "
				       "in the child)");
	atomic_store(&session->interrupted, false);
	atomic_store(&session->interruptible, true);
	return AMEND_OK;
}

void amend_sqlite_leave(struct amend_session *session)
{
	atomic_store(&session->interruptible, false);
	if (session->has_turn && sqlite3_get_autocommit(session->db))
		amend_sqlite_give_turn(session);
}

enum amend_status amend_sqlite_run(struct amend_session *session,
				   const struct amend_statement *statements, size_t n,
				   struct amend_rows *rows, size_t *failed, struct amend_error *err)
{
	enum amend_status status;
	size_t i = 0;

	for (size_t j = 0; rows && j < n; j++)
		rows[j] = (struct amend_rows)AMEND_ROWS_INIT;
	*failed = 0;
	status = amend_sqlite_enter(session, err);
	if (status != AMEND_OK)
		return status;
	for (; i < n && status == AMEND_OK; i++)
		status = run_one(session, &statements[i], rows ? &rows[i] : NULL, err);
	*failed = status == AMEND_OK ? n : i - 1;
	amend_sqlite_leave(session);
	return status;
}
