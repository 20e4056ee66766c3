/*
 * The SQLite driver's function table and dialect; adopting, closing, interrupting, checking.
 * Leaves the work itself to the other sqlite_*.c files.
 */
#include "sql/driver.h"

#ifdef AMEND_WITH_SQLITE

#include "sql/driver/sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buffer.h"

static const struct amend_dialect dialect = {
	.quote = '"',
	.placeholder = '?',
	.numbered = true,
	.in_order = "",
	.default_row = " DEFAULT VALUES",
	.same = "IS",
	.for_update = "",
	.for_no_key_update = "",
	.for_share = "",
	.nowait = "",
	.skip_locked = "",
	.lock_table_update = "",
	.lock_table_share = "",
	.lock_table_update_mode = "",
	.lock_table_share_mode = "",
	.row_version = NULL,
	.row_estimate = {"", ""},
	/* SQLite's clock has milliseconds. */
	.now = "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
	.next_time = {"", ""},
	.default_schema = "main",
	.tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, 7) <> "
		  "'sqlite_' AND substr(name, 1, 6) <> 'amend_' ORDER BY name",
	.ledger = "amend_",
	.ledger_index = "amend_",
	.ledger_present = "SELECT substr(name, 7) FROM main.sqlite_master WHERE type = 'table' "
			  "AND name IN ('amend_meta', 'amend_feed_sum') ORDER BY name DESC",
	.ledger_guard = amend_sqlite_ledger_guard,
	.hand_over = "INSERT INTO amend_session (one, revision) VALUES (2, ?1)",
	.hand_back = "DELETE FROM amend_session WHERE one = 2",
	.ledger_rights = "",
	.may_number = "",
	.random_secret = "lower(hex(randomblob(32)))",
	.epoch = "CAST(strftime('%s', 'now') AS INTEGER)",
	.clock_ms = NULL,
	.for_key_share = "",
	.role = "",
	.serial_type = "INTEGER PRIMARY KEY AUTOINCREMENT",
	.integer_type = "INTEGER",
	.text_type = "TEXT",
	.bytes_type = "BLOB",
	.name_type = "TEXT",
	.lookup_index = "",
	.if_no_column = "",
	.rewritten_table = " WITHOUT ROWID",
};

static enum amend_status adopt(void *handle, const struct amend_open_options *options,
			       struct amend_session **out, struct amend_error *err)
{
	struct amend_session *session;

	*out = NULL;
	if (sqlite3_libversion_number() < 3037000)
		return amend_error_set(err, AMEND_UNSUPPORTED,
				       "expected SQLite 3.37 or later, found %s",
				       sqlite3_libversion());
	session = amend_sqlite_session_new(options);
	if (!session)
		return amend_no_memory(err);
	/* Its handlers and settings stay: SQLite could not tell them to us, to put them back. */
	session->db = handle;
	session->adopted = true;
	*out = session;
	return AMEND_OK;
}

void amend_sqlite_close(struct amend_session *session)
{
	if (!session)
		return;
	/* In a child of fork the handle is the parent's: whatever is done to it there may harm the file. */
	if (session->pid == getpid()) {
		amend_sqlite_give_turn(session);
		amend_sqlite_forget(session);
		if (!session->adopted)
			sqlite3_close(session->db);
	}
	amend_sqlite_scratch_close(session->scratch);
	amend_turn_close(session->turn);
	free(session);
}

/* SQLite keeps no session settings that change what a value reads as. */
static enum amend_status pin(struct amend_session *session, struct amend_error *err)
{
	(void)session;
	(void)err;
	return AMEND_OK;
}

static enum amend_tx state(const struct amend_session *session)
{
	return session->leftover || sqlite3_get_autocommit(session->db) ? AMEND_TX_IDLE
									: AMEND_TX_ACTIVE;
}

/*
 * The flag is what counts: a lock-free atomic, which C11 allows in a signal
 * handler; the busy and progress handlers, and the wait for the turn, look at
 * it. sqlite3_interrupt() is for adopted handles, which have no handler of
 * ours, and for operations that ask no handler, such as counting a large table. SQLite documents it for
 * other threads; it is one store without a lock, and SQLite's own shell calls it in its handler of SIGINT.
 */
static void interrupt(struct amend_session *session)
{
	atomic_store(&session->interrupted, true);
	if (atomic_load(&session->interruptible))
		sqlite3_interrupt(session->db);
}

struct finding {
	void (*each)(void *context, enum amend_level level, const char *topic, const char *text);
	void *context;
};

static enum amend_status ask(struct amend_session *session, const char *sql, char *out, size_t size,
			     struct amend_error *err)
{
	const struct amend_statement statement = {.sql = sql, .once = true};
	struct amend_rows rows = AMEND_ROWS_INIT;
	size_t failed;
	enum amend_status status = amend_sqlite_run(session, &statement, 1, &rows, &failed, err);
	const struct amend_value *value = rows.n_rows ? amend_rows_at(&rows, 0, 0) : NULL;

	out[0] = '\0';
	if (value && value->kind == AMEND_TEXT)
		snprintf(out, size, "%s", value->as.text);
	else if (value && value->kind == AMEND_INTEGER)
		snprintf(out, size, "%lld", (long long)value->as.integer);
	amend_rows_release(&rows);
	return status;
}

static void check_journal(const struct finding *to, const char *mode)
{
	if (strcmp(mode, "wal") == 0 || strcmp(mode, "memory") == 0)
		to->each(to->context, AMEND_LEVEL_OK, "journal_mode", mode);
	else if (strcmp(mode, "off") == 0)
		to->each(to->context, AMEND_LEVEL_PROBLEM, "journal_mode",
			 "off: nothing can be rolled back (hint: PRAGMA journal_mode=WAL)");
	else
		to->each(to->context, AMEND_LEVEL_ADVICE, "journal_mode",
			 "readers keep writers from committing (hint: PRAGMA journal_mode=WAL, once, "
			 "lets them work side by side)");
}

/* Reads every page: damage is found here, and not by whoever needs the row. */
static enum amend_status check_pages(struct amend_session *session, const struct finding *to,
				     struct amend_error *err)
{
	char text[200];
	enum amend_status status = ask(session, "PRAGMA main.quick_check(1)", text, sizeof(text),
				       err);

	if (status == AMEND_OK && strcmp(text, "ok") == 0)
		to->each(to->context, AMEND_LEVEL_OK, "pages", "intact");
	else if (status == AMEND_OK || status == AMEND_INTERNAL)
		to->each(to->context, AMEND_LEVEL_PROBLEM, "pages",
			 status == AMEND_OK ? text : err->text);
	return status == AMEND_INTERNAL ? AMEND_OK : status;
}

static void check_turn(struct amend_session *session, const struct finding *to)
{
	char text[200];

	if (amend_sqlite_turn(session)) {
		to->each(to->context, AMEND_LEVEL_OK, "turn", "amend's writers queue");
		return;
	}
	snprintf(text, sizeof(text), "amend's writers do not queue, some may wait long: %s",
		 session->turn_problem);
	to->each(to->context, AMEND_LEVEL_ADVICE, "turn", text);
}

static enum amend_status check(struct amend_session *session,
			       void (*each)(void *context, enum amend_level level,
					    const char *topic, const char *text),
			       void *context, struct amend_error *err)
{
	const struct finding to = {each, context};
	char text[64];
	bool file = *sqlite3_db_filename(session->db, "main") != '\0';
	enum amend_status status = ask(session, "PRAGMA main.journal_mode", text, sizeof(text), err);

	if (status != AMEND_OK)
		return status;
	check_journal(&to, text);
	status = ask(session, "PRAGMA main.synchronous", text, sizeof(text), err);
	if (status != AMEND_OK)
		return status;
	if (!file || strcmp(text, "2") == 0 || strcmp(text, "3") == 0)
		each(context, AMEND_LEVEL_OK, "synchronous",
		     "what is committed survives power loss");
	else
		each(context, AMEND_LEVEL_ADVICE, "synchronous",
		     strcmp(text, "0") == 0
			     ? "off: power loss may damage the database (hint: PRAGMA synchronous=FULL)"
			     : "normal: power loss may undo the last commits (hint: PRAGMA "
			       "synchronous=FULL)");
	status = ask(session, "PRAGMA foreign_keys", text, sizeof(text), err);
	if (status != AMEND_OK)
		return status;
	if (strcmp(text, "1") == 0)
		each(context, AMEND_LEVEL_OK, "foreign_keys", "enforced");
	else
		each(context, AMEND_LEVEL_ADVICE, "foreign_keys",
		     "not enforced on this connection (hint: PRAGMA foreign_keys=ON)");
	status = check_pages(session, &to, err);
	if (status != AMEND_OK)
		return status;
	if (sqlite3_db_readonly(session->db, "main") == 1)
		each(context, AMEND_LEVEL_ADVICE, "access", "the database cannot be written");
	else if (file)
		check_turn(session, &to);
	return AMEND_OK;
}

static const struct amend_driver driver = {
	.name = "sqlite",
	.features = AMEND_HAS_DDL_ROLLBACK | AMEND_HAS_UPDATE_RETURNING | AMEND_HAS_KEY_TRIGGERS,
	.dialect = &dialect,
	.accepts = amend_sqlite_accepts,
	.open = amend_sqlite_open,
	.twin = NULL,
	.reconnect = NULL, /* the answer of a COMMIT is a return value */
	.adopt = adopt,
	.close = amend_sqlite_close,
	.pin = pin,
	.unpin = pin,
	.run = amend_sqlite_run,
	.scan = amend_sqlite_scan,
	.columns = amend_sqlite_columns,
	.repeat = amend_sqlite_repeat,
	.data_version = amend_sqlite_data_version,
	.reads_freely = amend_sqlite_reads_freely,
	.enforces_keys = amend_sqlite_enforces_keys,
	.begin = amend_sqlite_begin,
	.commit = amend_sqlite_commit,
	.rollback = amend_sqlite_rollback,
	.state = state,
	.set_lock_timeout = amend_sqlite_set_lock_timeout,
	.become_writer = amend_sqlite_become_writer,
	.describe = amend_sqlite_describe,
	.guard_state = amend_sqlite_guard_state,
	.schema_version = amend_sqlite_schema_version,
	.canonicalise = amend_sqlite_canonicalise,
	.check = check,
	.guard_column = amend_sqlite_guard_column,
	.guard_parts = amend_sqlite_guard_parts,
	.guard_found = amend_sqlite_guard_found,
	.violations = amend_sqlite_violations,
	.interrupt = interrupt,
};

const struct amend_driver *const amend_driver_sqlite = &driver;

#else

const struct amend_driver *const amend_driver_sqlite = NULL;

#endif
