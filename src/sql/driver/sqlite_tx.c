/*
 * Transactions: waiting for SQLite's locks, taking the turn, BEGIN, COMMIT, ROLLBACK.
 * Leaves rerunning a unit to its caller.
 */
#include "sql/driver/sqlite.h"

#include <time.h>
#include <unistd.h>

#include "sql/sqlstate.h"

static int64_t deadline(int ms)
{
	return ms < 0 ? INT64_MAX : amend_turn_clock() + (int64_t)ms * 1000000;
}

static bool stopped(void *context)
{
	struct amend_error ignored;

	return amend_sqlite_stopped(context, &ignored) != AMEND_OK;
}

/*
 * Sleeps before try `count` + 1; false when the wait is over. Short at first,
 * for a commit takes microseconds to milliseconds; then no finer than SQLite's
 * own handler does it on average, so that foreign writers find their chance.
 */
static bool pause_busy(struct amend_session *session, int count)
{
	static const int microseconds[] = {100, 200, 500, 1000, 1000, 2000, 5000, 5000, 10000};
	const int n = (int)(sizeof(microseconds) / sizeof(microseconds[0]));
	struct timespec pause = {0, 0};
	int64_t left;

	if (session->wait_until == 0)
		session->wait_until = deadline(session->tx_lock_timeout_ms);
	left = session->wait_until - amend_turn_clock();
	if (left <= 0 || stopped(session))
		return false;
	pause.tv_nsec = (long)microseconds[count < n ? count : n - 1] * 1000;
	if (left < pause.tv_nsec)
		pause.tv_nsec = (long)left;
	nanosleep(&pause, NULL); /* a signal ends it early, and is seen by the next call */
	return true;
}

int amend_sqlite_busy(void *context, int count)
{
	return pause_busy(context, count);
}

/* Called every few thousand operations; not heeded in COMMIT and ROLLBACK. */
int amend_sqlite_progress(void *context)
{
	struct amend_session *session = context;

	return atomic_load(&session->interruptible) && stopped(session);
}

struct amend_turn *amend_sqlite_turn(struct amend_session *session)
{
	const char *path = sqlite3_db_filename(session->db, "main");

	if (!session->turn_tried) {
		session->turn_tried = true;
		if (path && *path)
			session->turn = amend_turn_open(path, &session->turn_problem);
		else
			session->turn_problem = "the database is not a file";
	}
	return session->turn;
}

void amend_sqlite_give_turn(struct amend_session *session)
{
	if (session->has_turn)
		amend_turn_give(session->turn);
	session->has_turn = false;
}

static int step_text(struct amend_session *session, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	int rc = amend_sqlite_prepare(session, sql, &stmt);

	return rc == SQLITE_OK ? amend_sqlite_step(stmt) : rc;
}

/*
 * Opened handles have waited in their busy handler already; on adopted ones
 * the application's handler has, or there is none and all the waiting is here.
 */
static int step_waiting(struct amend_session *session, const char *sql)
{
	for (int count = 0;; count++) {
		int rc = step_text(session, sql);

		if ((rc & 0xff) != SQLITE_BUSY)
			return rc;
		/* Another's commit came between our look and our lock: it is free again. */
		if (count < 3 && sqlite3_extended_errcode(session->db) == SQLITE_BUSY_SNAPSHOT)
			continue;
		if (!pause_busy(session, count))
			return rc;
	}
}

static void ended(struct amend_session *session)
{
	session->began = session->tx_read_only = session->leftover = false;
	session->time_limit = session->wait_until = 0;
	session->tx_lock_timeout_ms = session->lock_timeout_ms;
	amend_sqlite_give_turn(session);
}

static enum amend_status check_process(const struct amend_session *session, struct amend_error *err)
{
	if (session->pid == getpid())
		return AMEND_OK;
	return amend_error_set(err, AMEND_INVALID,
			       "this connection was opened before fork() (hint: open another in the "
			       "child)");
}

static enum amend_status check_begin(struct amend_session *session, const struct amend_begin *begin,
				     struct amend_error *err)
{
	if (check_process(session, err) != AMEND_OK)
		return err->status;
	if (!sqlite3_get_autocommit(session->db))
		return amend_error_set(err, AMEND_INVALID, "a transaction is open already");
	if (!begin->read_only && session->read_only)
		return amend_sqlite_error(err, AMEND_DENIED, AMEND_SQLSTATE_READ_ONLY,
					  "this connection is read-only");
	if (!begin->read_only && sqlite3_db_readonly(session->db, "main") == 1)
		return amend_sqlite_error(err, AMEND_DENIED, AMEND_SQLSTATE_READ_ONLY,
					  "%s may not be written by this process",
					  sqlite3_db_filename(session->db, "main"));
	return AMEND_OK;
}

static enum amend_status locked_for(struct amend_session *session, int ms, struct amend_error *err)
{
	enum amend_status status = amend_sqlite_stopped(session, err);

	if (status == AMEND_OK && ms == 0)
		status = amend_sqlite_error(err, AMEND_LOCKED, AMEND_SQLSTATE_LOCKED,
					    "the database is locked: another connection writes");
	else if (status == AMEND_OK)
		status = amend_sqlite_error(err, AMEND_LOCKED, AMEND_SQLSTATE_LOCKED,
					    "the database is locked: another connection holds it for "
					    "longer than %d ms",
					    ms);
	err->native = sqlite3_extended_errcode(session->db);
	return status;
}

enum amend_status amend_sqlite_begin(struct amend_session *session, const struct amend_begin *begin,
				     struct amend_error *err)
{
	enum amend_status status = amend_sqlite_clear(session, err);
	int rc;

	if (status == AMEND_OK)
		status = check_begin(session, begin, err);
	if (status != AMEND_OK)
		return status;
	atomic_store(&session->interrupted, false);
	ended(session);
	session->tx_lock_timeout_ms = begin->lock_timeout_ms;
	session->wait_until = deadline(begin->lock_timeout_ms);
	if (begin->time_limit_ms > 0)
		session->time_limit = deadline(begin->time_limit_ms);
	if (!begin->read_only && amend_sqlite_turn(session))
		session->has_turn = amend_turn_take(session->turn, session->wait_until, stopped,
						    session);
	rc = step_waiting(session, begin->read_only ? "BEGIN" : "BEGIN IMMEDIATE");
	session->wait_until = 0;
	if (rc == SQLITE_OK) {
		session->began = true;
		session->tx_read_only = begin->read_only;
		return AMEND_OK;
	}
	if ((rc & 0xff) == SQLITE_BUSY)
		status = locked_for(session, begin->lock_timeout_ms, err);
	else
		status = amend_sqlite_fail(session, rc, AMEND_SQLITE_RUNNING, false, err);
	ended(session);
	return status;
}

/* The work is done: even who would not wait for a lock waits for readers to let it in. */
static int commit_timeout(const struct amend_session *session)
{
	if (session->lock_timeout_ms < 0 || session->tx_lock_timeout_ms < 0)
		return -1;
	return session->tx_lock_timeout_ms > session->lock_timeout_ms ? session->tx_lock_timeout_ms
								      : session->lock_timeout_ms;
}

enum amend_status amend_sqlite_commit(struct amend_session *session, struct amend_error *err)
{
	enum amend_status status;
	struct amend_error undo;
	int ms = commit_timeout(session), rc;

	if (sqlite3_get_autocommit(session->db)) {
		status = session->began
				 ? amend_sqlite_error(
					   err, AMEND_RETRY, AMEND_SQLSTATE_SERIALIZATION,
					   "nothing is committed: an earlier error undid the "
					   "transaction")
				 : amend_error_set(err, AMEND_INVALID, "no transaction is open");
		ended(session);
		return status;
	}
	atomic_store(&session->interrupted, false);
	session->wait_until = deadline(ms);
	rc = step_waiting(session, "COMMIT");
	if (rc == SQLITE_OK) {
		ended(session);
		return AMEND_OK;
	}
	/* Still open after BUSY or a deferred constraint: what the caller is told must be true. */
	if ((rc & 0xff) == SQLITE_BUSY && amend_sqlite_stopped(session, err) == AMEND_OK) {
		amend_sqlite_error(
			err, AMEND_LOCKED, AMEND_SQLSTATE_LOCKED,
			"nothing is committed: readers kept the database for longer than "
			"%d ms (hint: PRAGMA journal_mode=WAL lets readers and a writer work "
			"side by side)",
			ms);
		err->native = sqlite3_extended_errcode(session->db);
	} else {
		amend_sqlite_fail(session, rc, AMEND_SQLITE_RUNNING, false, err);
	}
	if (amend_sqlite_rollback(session, &undo) != AMEND_OK)
		*err = undo;
	return err->status;
}

enum amend_status amend_sqlite_rollback(struct amend_session *session, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	int rc = SQLITE_OK;

	session->time_limit = 0;
	atomic_store(&session->interrupted, false);
	if (!sqlite3_get_autocommit(session->db))
		rc = step_text(session, "ROLLBACK");
	/* Memory may have failed the statement. */
	if (rc != SQLITE_OK && !sqlite3_get_autocommit(session->db)) {
		status = amend_sqlite_fail(session, rc, AMEND_SQLITE_RUNNING, false, err);
		/*
		 * What runs next would be part of the transaction. Not where the handle is the application's: it may
		 * end it, and what is open then is its own.
		 */
		session->leftover = !session->adopted;
	}
	if (status == AMEND_OK)
		ended(session);
	return status;
}

enum amend_status amend_sqlite_clear(struct amend_session *session, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	if (session->leftover)
		status = check_process(session, err);
	if (session->leftover && status == AMEND_OK)
		status = amend_sqlite_rollback(session, err);
	return status;
}

enum amend_status amend_sqlite_set_lock_timeout(struct amend_session *session, int ms,
						struct amend_error *err)
{
	(void)err;
	session->tx_lock_timeout_ms = ms;
	return AMEND_OK;
}

/* A write statement takes the write lock when it begins, even one that finds no row. */
static int write_nothing(struct amend_session *session, const char *table)
{
	char *sql = sqlite3_mprintf("DELETE FROM main.\"%w\" WHERE 0", table);
	sqlite3_stmt *stmt = NULL;
	int rc = sql ? sqlite3_prepare_v2(session->db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	if (rc == SQLITE_OK)
		rc = amend_sqlite_step(stmt);
	sqlite3_finalize(stmt);
	return rc;
}

/*
 * Any table will do for which that statement compiles (a broken trigger spoils
 * its table). Listing them reads, so this is second choice: where nothing was
 * read before, no handler is asked to wait any more.
 */
static int write_nothing_somewhere(struct amend_session *session)
{
	static const char tables[] =
		"SELECT name FROM main.sqlite_schema WHERE type = 'table'"
		" AND sql NOT LIKE 'CREATE VIRTUAL%' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
		" ORDER BY name NOT LIKE 'amend\\_%' ESCAPE '\\', rowid LIMIT 100";
	const struct amend_statement list = {.sql = tables};
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error ignored;
	size_t failed;
	int rc = SQLITE_ERROR;

	if (amend_sqlite_run(session, &list, 1, &rows, &failed, &ignored) != AMEND_OK)
		return sqlite3_errcode(session->db);
	for (size_t i = 0; i < rows.n_rows && (rc & 0xff) == SQLITE_ERROR; i++)
		rc = write_nothing(session, amend_rows_at(&rows, i, 0)->as.text);
	amend_rows_release(&rows);
	return rc;
}

/*
 * Without automatic vacuum, PRAGMA incremental_vacuum takes the write lock and
 * finds nothing to do: no table is needed, and nothing is read before.
 */
static int take_write_lock(struct amend_session *session)
{
	sqlite3_stmt *stmt = NULL;
	int rc = amend_sqlite_prepare(session, "PRAGMA main.auto_vacuum", &stmt);
	bool automatic = true;

	if (rc != SQLITE_OK)
		return rc;
	if (sqlite3_step(stmt) == SQLITE_ROW)
		automatic = sqlite3_column_int(stmt, 0) != 0;
	sqlite3_reset(stmt);
	if (!automatic)
		rc = step_text(session, "PRAGMA main.incremental_vacuum(1)");
	if (rc == SQLITE_OK && sqlite3_txn_state(session->db, "main") != SQLITE_TXN_WRITE)
		rc = write_nothing_somewhere(session);
	return rc;
}

/* `upgrade`: no wait can mend BUSY any more, only a new transaction. */
static int wait_for_write_lock(struct amend_session *session, bool upgrade)
{
	for (int count = 0;; count++) {
		int rc = take_write_lock(session);

		if ((rc & 0xff) != SQLITE_BUSY || upgrade ||
		    sqlite3_txn_state(session->db, NULL) != SQLITE_TXN_NONE ||
		    !pause_busy(session, count))
			return rc;
	}
}

enum amend_status amend_sqlite_become_writer(struct amend_session *session, struct amend_error *err)
{
	bool upgrade = sqlite3_txn_state(session->db, NULL) != SQLITE_TXN_NONE;
	int rc;

	if (sqlite3_txn_state(session->db, "main") == SQLITE_TXN_WRITE)
		return AMEND_OK;
	if (sqlite3_get_autocommit(session->db))
		return amend_error_set(err, AMEND_INVALID, "no transaction is open");
	if (session->read_only || session->tx_read_only)
		return amend_sqlite_error(err, AMEND_DENIED, AMEND_SQLSTATE_READ_ONLY,
					  "this unit is read-only and cannot hold");
	atomic_store(&session->interrupted, false);
	session->wait_until = deadline(session->tx_lock_timeout_ms);
	rc = wait_for_write_lock(session, upgrade);
	session->wait_until = 0;
	if (rc != SQLITE_OK)
		return amend_sqlite_fail(session, rc, AMEND_SQLITE_RUNNING, upgrade, err);
	if (sqlite3_txn_state(session->db, "main") != SQLITE_TXN_WRITE)
		return amend_error_set(err, AMEND_INTERNAL, "the write lock was not taken");
	return AMEND_OK;
}
