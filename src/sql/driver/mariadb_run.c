/*
 * Running statements, and what became of the transaction that they ran in.
 * Leaves preparing to mariadb_prepared.c, reading rows to mariadb_fetch.c, errors to mariadb_error.c.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/rows.h"
#include "sql/driver/mariadb.h"
#include "sql/sql.h"

enum amend_tx amend_mariadb_state(const struct amend_session *session)
{
	if (session->lost)
		return AMEND_TX_LOST;
	/* Who has turned autocommit off ends transactions by himself, also one that has not begun to read. */
	if (session->adopted && !session->manual &&
	    !(session->conn->server_status & SERVER_STATUS_AUTOCOMMIT))
		return AMEND_TX_ACTIVE;
	return session->conn->server_status & SERVER_STATUS_IN_TRANS ? AMEND_TX_ACTIVE
								     : AMEND_TX_IDLE;
}

enum amend_status amend_mariadb_ready(const struct amend_session *session, struct amend_error *err)
{
	if (session->pid != getpid())
		return amend_error_set(err, AMEND_INVALID,
				       "this connection was opened before fork() (hint: open another "
				       "in the child)");
	if (!session->lost)
		return AMEND_OK;
	return amend_mariadb_fail(err, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST,
				  "the connection is gone");
}

static enum amend_status send_text(struct amend_session *session, const char *sql,
				   struct amend_error *err)
{
	return mysql_real_query(session->conn, sql, (unsigned long)strlen(sql)) == 0
		       ? AMEND_OK
		       : amend_mariadb_error(session, NULL, err);
}

enum amend_status amend_mariadb_exec(struct amend_session *session, const char *sql,
				     struct amend_error *err)
{
	enum amend_status status = amend_mariadb_ready(session, err);

	if (status != AMEND_OK)
		return status;
	amend_mariadb_enter(session);
	status = send_text(session, sql, err);
	amend_mariadb_leave(session);
	return status;
}

/* --- running ------------------------------------------------------------ */

static enum amend_status take_rows(struct amend_session *session, MYSQL_STMT *stmt,
				   struct amend_rows *rows, struct amend_error *err)
{
	struct amend_mariadb_fetch fetch;
	struct amend_rows_owner *owner = amend_rows_owner_new();
	struct amend_value *values = NULL;
	size_t room = 0, n = 0, columns = mysql_stmt_field_count(stmt);
	enum amend_status status = amend_mariadb_fetch_begin(&fetch, stmt, err);
	bool more = true;

	if (!owner)
		status = amend_no_memory(err);
	while (status == AMEND_OK) {
		if (n + columns > room) {
			struct amend_value *larger;

			room = room ? room * 2 : 16 * columns;
			larger = realloc(values, room * sizeof(*values));
			if (!larger) {
				status = amend_no_memory(err);
				break;
			}
			values = larger;
		}
		status = amend_mariadb_fetch_row(session, &fetch, values + n, &more, err);
		if (status != AMEND_OK || !more)
			break;
		for (size_t i = 0; i < columns; i++) {
			if (!amend_arena_value(&owner->arena, &values[n + i], &values[n + i]))
				status = amend_no_memory(err);
		}
		n += columns;
	}
	amend_mariadb_fetch_end(&fetch);
	if (status != AMEND_OK || !owner) {
		free(values);
		rows->owner = owner;
		amend_rows_release(rows);
		return status == AMEND_OK ? amend_no_memory(err) : status;
	}
	owner->extra = values;
	owner->release = free;
	rows->owner = owner;
	rows->values = values;
	rows->n_columns = columns;
	rows->n_rows = columns ? n / columns : 0;
	return AMEND_OK;
}

/* ON DUPLICATE KEY UPDATE counts two for a row that it changed. */
static int64_t changes_of(MYSQL_STMT *stmt, enum amend_mariadb_kind kind)
{
	int64_t n = (int64_t)mysql_stmt_affected_rows(stmt);

	return n < 0 || kind != AMEND_MA_COUNTS ? 0 : n;
}

/* `Duplicate entry 'x' for key 'NAME'`: whether that key is the one meant; NULL: any is. */
static bool names_key(const char *text, const char *key)
{
	static const char words[] = "' for key '";
	const char *at = NULL, *next = text;
	size_t size;

	if (!key)
		return true;
	while ((next = strstr(next, words)) != NULL)
		at = next++;
	if (!at)
		return false;
	at += sizeof(words) - 1;
	size = strlen(key);
	return strncasecmp(at, key, size) == 0 && strcmp(at + size, "'") == 0;
}

/* That a unique value was there is no failure, and no change, where the caller says so. */
static bool was_there(const struct amend_statement *statement, const struct amend_error *err)
{
	return statement->unless_there && err->native == AMEND_MA_DUPLICATE &&
	       names_key(err->text, statement->unless_key);
}

/* A connection that broke may have committed a statement of its own. */
static void judge_loss(const struct amend_session *session, enum amend_mariadb_kind kind,
		       enum amend_tx before, struct amend_error *err)
{
	if (err->status != AMEND_UNREACHABLE || before != AMEND_TX_IDLE || !session->lost ||
	    kind == AMEND_MA_READS)
		return;
	err->status = AMEND_OUTCOME_UNKNOWN;
	memcpy(err->sqlstate, AMEND_SQLSTATE_UNKNOWN, sizeof(err->sqlstate));
}

/* It has run, and there is no memory for what it returned: who is told so does it again. */
static void judge_untold(enum amend_mariadb_kind kind, enum amend_tx before, struct amend_error *err)
{
	if (before != AMEND_TX_IDLE || kind == AMEND_MA_READS)
		return;
	err->status = AMEND_OUTCOME_UNKNOWN;
	memcpy(err->sqlstate, AMEND_SQLSTATE_UNKNOWN, sizeof(err->sqlstate));
	amend_error_wrap(err, "what it changed is in, and what it returned cannot be told");
}

/* --- what ends the transaction ------------------------------------------ */

static bool in_transaction(const struct amend_session *session)
{
	return session->conn->server_status & SERVER_STATUS_IN_TRANS;
}

enum amend_status amend_mariadb_ended(const struct amend_session *session,
				      enum amend_mariadb_kind kind, struct amend_error *err)
{
	/* What a procedure has committed would be done again. */
	if (session->joined && kind != AMEND_MA_CALLS)
		return amend_mariadb_undone(err);
	return amend_mariadb_fail(
		err, AMEND_INVALID, "25000",
		"the statement has ended the transaction that it ran in: what was "
		"done in it before is committed, or undone (hint: a procedure that "
		"does so has no place in a unit)");
}

/*
 * A procedure may commit and begin anew, which the server's state does not show: but then a savepoint of before
 * is gone.
 */
static const char mark[] = "SAVEPOINT amend_call", unmark[] = "RELEASE SAVEPOINT amend_call";

static enum amend_status check_ended(struct amend_session *session, enum amend_mariadb_kind kind,
				     enum amend_status status, struct amend_error *err)
{
	MYSQL *conn = session->conn;

	if (session->lost)
		return status;
	if (kind == AMEND_MA_CALLS && in_transaction(session) &&
	    mysql_real_query(conn, unmark, sizeof(unmark) - 1) != 0) {
		if (mysql_errno(conn) == AMEND_MA_NO_SAVEPOINT)
			return amend_mariadb_ended(session, kind, err);
		return status == AMEND_OK ? amend_mariadb_error(session, NULL, err) : status;
	}
	return status == AMEND_OK && !in_transaction(session)
		       ? amend_mariadb_ended(session, kind, err)
		       : status;
}

/* What a procedure returns behind its first result; it has to be read before anything else runs. */
static enum amend_status take_rest(struct amend_session *session, MYSQL_STMT *stmt,
				   struct amend_error *err)
{
	int code;

	while ((code = mysql_stmt_next_result(stmt)) == 0)
		mysql_stmt_free_result(stmt);
	return code > 0 ? amend_mariadb_error(session, stmt, err) : AMEND_OK;
}

static enum amend_status answer(struct amend_session *session, MYSQL_STMT *stmt,
				enum amend_mariadb_kind kind, struct amend_rows *rows,
				struct amend_error *err)
{
	enum amend_status status;

	if (mysql_stmt_field_count(stmt) == 0) {
		rows->changes = changes_of(stmt, kind);
		return AMEND_OK;
	}
	status = take_rows(session, stmt, rows, err);
	mysql_stmt_free_result(stmt);
	if (status == AMEND_OK && kind == AMEND_MA_COUNTS)
		rows->changes = (int64_t)rows->n_rows;
	return status == AMEND_OK && kind == AMEND_MA_CALLS ? take_rest(session, stmt, err) : status;
}

static enum amend_status run_one(struct amend_session *session,
				 const struct amend_statement *statement, struct amend_rows *rows,
				 struct amend_error *err)
{
	enum amend_mariadb_kind kind = amend_mariadb_kind(statement->sql);
	enum amend_tx before = amend_mariadb_state(session);
	bool within = in_transaction(session), kept = false, sent, ran;
	MYSQL_STMT *stmt = NULL;
	enum amend_status status = AMEND_OK;

	if (within && kind == AMEND_MA_CALLS)
		status = send_text(session, mark, err);
	if (status == AMEND_OK)
		status = amend_mariadb_start(session, statement, kind, &stmt, &kept, err);
	sent = stmt != NULL;
	ran = status == AMEND_OK;
	if (status == AMEND_OK)
		status = answer(session, stmt, kind, rows, err);
	if (stmt && !kept)
		mysql_stmt_close(stmt);
	if (status != AMEND_OK && was_there(statement, err))
		status = AMEND_OK;
	if (within)
		return check_ended(session, kind, status, err);
	if (status == AMEND_NO_MEMORY && ran)
		judge_untold(kind, before, err);
	else if (status != AMEND_OK && sent)
		judge_loss(session, kind, before, err);
	return status == AMEND_OK ? AMEND_OK : err->status;
}

enum amend_status amend_mariadb_run(struct amend_session *session,
				    const struct amend_statement *statements, size_t n,
				    struct amend_rows *rows, size_t *failed, struct amend_error *err)
{
	enum amend_status status = n > 0 ? amend_mariadb_ready(session, err) : AMEND_OK;

	for (size_t i = 0; rows && i < n; i++)
		rows[i] = (struct amend_rows)AMEND_ROWS_INIT;
	*failed = 0;
	if (status != AMEND_OK)
		return status;
	amend_mariadb_enter(session);
	for (; *failed < n; ++*failed) {
		struct amend_rows ignored = AMEND_ROWS_INIT;

		status = run_one(session, &statements[*failed], rows ? &rows[*failed] : &ignored,
				 err);
		amend_rows_release(&ignored);
		if (status != AMEND_OK)
			break;
	}
	amend_mariadb_leave(session);
	return status;
}

enum amend_status amend_mariadb_ask(struct amend_session *session, const char *sql,
				    const struct amend_value *values, size_t n,
				    struct amend_rows *rows, struct amend_error *err)
{
	const struct amend_statement statement = {.sql = sql, .values = values, .n_values = n};
	size_t failed;

	return amend_mariadb_run(session, &statement, 1, rows, &failed, err);
}
