/*
 * What is SQLite's alone: the traps of its locks, transactions and types, one test a line of
 * TRAPS. What every engine has is tested in the files beside this one.
 */
#include "checks.h"

#include <dirent.h>
#include <linux/capability.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "core/arena.h"
#include "sql/driver.h"

/* Each test has a folder of its own, a database in it, and a foreign connection to that. */
struct fixture {
	char folder[200], path[256];
	sqlite3 *foreign;
	struct amend_session *session;
};

static struct fixture test;

static int set_up(void **state)
{
	const char *tmp = getenv("AMEND_TEST_TMP");

	(void)state;
	memset(&test, 0, sizeof(test));
	if (!tmp)
		tmp = getenv("TMPDIR");
	snprintf(test.folder, sizeof(test.folder), "%s/sqlite.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(test.folder))
		return -1;
	snprintf(test.path, sizeof(test.path), "%s/app.db", test.folder);
	return 0;
}

static int tear_down(void **state)
{
	struct dirent *entry;
	DIR *folder;

	(void)state;
	amend_driver_sqlite->close(test.session);
	sqlite3_close(test.foreign);
	folder = opendir(test.folder);
	while (folder && (entry = readdir(folder)) != NULL)
		unlinkat(dirfd(folder), entry->d_name, 0);
	if (folder)
		closedir(folder);
	return rmdir(test.folder);
}

static sqlite3 *foreign(void)
{
	if (!test.foreign)
		assert_int_equal(sqlite3_open(test.path, &test.foreign), SQLITE_OK);
	return test.foreign;
}

static int try_foreign(const char *sql)
{
	return sqlite3_exec(foreign(), sql, NULL, NULL, NULL);
}

static void exec_foreign(const char *sql)
{
	if (try_foreign(sql) != SQLITE_OK)
		fail_at(__FILE__, __LINE__, "%s: %s", sql, sqlite3_errmsg(test.foreign));
}

static enum amend_status open_as(const char *url, const struct amend_open_options *options,
				 struct amend_error *err)
{
	static const struct amend_open_options defaults = AMEND_OPEN_OPTIONS_INIT;

	return amend_driver_sqlite->open(url, options ? options : &defaults, &test.session, err);
}

static struct amend_session *open_session(void)
{
	struct amend_error err;

	expect_ok(open_as(test.path, NULL, &err), &err);
	return test.session;
}

static struct amend_session *adopt_foreign(int lock_timeout_ms)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct amend_error err;

	options.lock_timeout_ms = lock_timeout_ms;
	expect_ok(amend_driver_sqlite->adopt(foreign(), &options, &test.session, &err), &err);
	return test.session;
}

static void close_session(void)
{
	amend_driver_sqlite->close(test.session);
	test.session = NULL;
}

static enum amend_status run(const char *sql, const struct amend_value *values, size_t n,
			     struct amend_rows *rows, struct amend_error *err)
{
	const struct amend_statement statement = {.sql = sql, .values = values, .n_values = n};
	size_t failed;

	return amend_driver_sqlite->run(test.session, &statement, 1, rows, &failed, err);
}

static enum amend_status try(const char *sql, struct amend_error *err)
{
	return run(sql, NULL, 0, NULL, err);
}

static void exec(const char *sql)
{
	struct amend_error err;

	expect_status_at(AMEND_OK, NULL, try(sql, &err), &err, sql, __FILE__, __LINE__);
}

static enum amend_status begin(int lock_timeout_ms, struct amend_error *err)
{
	const struct amend_begin options = {.lock_timeout_ms = lock_timeout_ms};

	return amend_driver_sqlite->begin(test.session, &options, err);
}

static enum amend_status commit(struct amend_error *err)
{
	return amend_driver_sqlite->commit(test.session, err);
}

static void rollback(void)
{
	struct amend_error err;

	expect_ok(amend_driver_sqlite->rollback(test.session, &err), &err);
}

static enum amend_tx state_now(void)
{
	return amend_driver_sqlite->state(test.session);
}

/* The first value as text, through another connection. */
static void expect_foreign(const char *sql, const char *expected)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(test.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	expect_text((const char *)sqlite3_column_text(stmt, 0), expected);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
}

/* The first value, as text that lives until the next call. */
static const char *scalar(const char *sql)
{
	static char text[256];
	const struct amend_value *value;
	struct amend_rows rows;
	struct amend_error err;

	expect_status_at(AMEND_OK, NULL, run(sql, NULL, 0, &rows, &err), &err, sql, __FILE__,
			 __LINE__);
	assert_true(rows.n_rows > 0);
	value = amend_rows_at(&rows, 0, 0);
	if (value->kind == AMEND_INTEGER)
		snprintf(text, sizeof(text), "%lld", (long long)value->as.integer);
	else
		snprintf(text, sizeof(text), "%s", value->kind == AMEND_TEXT ? value->as.text : "");
	amend_rows_release(&rows);
	return text;
}

/* --- Locks and transactions --- */

/* An application's own deferred transaction that has read: RETRY at once, for no wait mends it. */
static void deferred_read_then_write_gets_busy_at_once(void **state)
{
	struct amend_error err;
	int64_t before;

	(void)state;
	open_session();
	exec("CREATE TABLE t (a)");
	exec("INSERT INTO t VALUES (1)");
	expect_ok(begin(0, &err), &err);
	close_session();
	open_session();
	expect_ok(begin(0, &err), &err);
	{
		struct amend_session *writer = test.session;

		adopt_foreign(5000);
		sqlite3_busy_timeout(foreign(), 5000);
		exec_foreign("BEGIN");
		exec("SELECT * FROM t");
		before = now_ms();
		expect_status(AMEND_RETRY, try("UPDATE t SET a = 2", &err), &err);
		expect_text(err.sqlstate, "40001");
		assert_true(now_ms() - before < 1000);
		expect_status(AMEND_RETRY, amend_driver_sqlite->become_writer(test.session, &err),
			      &err);
		expect_text(err.sqlstate, "40001");
		exec_foreign("ROLLBACK");
		close_session();
		test.session = writer;
	}
	rollback();
}

static void busy_snapshot_is_retry(void **state)
{
	struct amend_error err;
	sqlite3 *other = NULL;

	(void)state;
	open_session();
	exec("CREATE TABLE t (a)");
	close_session();
	adopt_foreign(5000);
	exec_foreign("BEGIN");
	exec("SELECT * FROM t");
	assert_int_equal(sqlite3_open(test.path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "INSERT INTO t VALUES (1)", NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(other);
	expect_status(AMEND_RETRY, try("INSERT INTO t VALUES (2)", &err), &err);
	assert_int_equal(err.native, SQLITE_BUSY_SNAPSHOT);
	expect_text(err.sqlstate, "40001");
	/* No retry of the statement mends it, a new transaction does. */
	expect_status(AMEND_RETRY, try("INSERT INTO t VALUES (2)", &err), &err);
	expect_status(AMEND_RETRY, amend_driver_sqlite->become_writer(test.session, &err), &err);
	exec_foreign("ROLLBACK; BEGIN");
	expect_ok(amend_driver_sqlite->become_writer(test.session, &err), &err);
	exec_foreign("COMMIT");
}

/* In the default journal mode a read that is left open would block another's commit. */
static void no_cursor_stays_open(void **state)
{
	struct amend_rows rows;
	struct amend_error err;

	(void)state;
	exec_foreign(
		"PRAGMA journal_mode=DELETE; CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)");
	open_session();
	expect_ok(run("SELECT * FROM t", NULL, 0, &rows, &err), &err);
	assert_int_equal(rows.n_rows, 2);
	exec_foreign("UPDATE t SET a = 3");
	amend_rows_release(&rows);
	expect_status(AMEND_CONSTRAINT,
		      try("CREATE TABLE u (a CHECK (a < 2)); ", &err) != AMEND_OK
			      ? err.status
			      : try("INSERT INTO u SELECT a FROM t", &err),
		      &err);
	exec_foreign("UPDATE t SET a = 4");
}

static void new_files_use_wal_and_others_keep_their_mode(void **state)
{
	(void)state;
	open_session();
	expect_text(scalar("PRAGMA journal_mode"), "wal");
	exec("CREATE TABLE t (a)");
	close_session();
	exec_foreign("PRAGMA journal_mode=DELETE");
	open_session();
	expect_text(scalar("PRAGMA journal_mode"), "delete");
}

static void nowait_is_a_zero_timeout_at_begin(void **state)
{
	struct amend_error err;
	int64_t before;

	(void)state;
	open_session();
	exec("CREATE TABLE t (a)");
	exec_foreign("BEGIN IMMEDIATE");
	before = now_ms();
	expect_status(AMEND_LOCKED, begin(0, &err), &err);
	expect_text(err.sqlstate, "55P03");
	assert_int_equal(err.native & 0xff, SQLITE_BUSY);
	assert_true(now_ms() - before < 5000);
	before = now_ms();
	expect_status(AMEND_LOCKED, begin(300, &err), &err);
	assert_in_range(now_ms() - before, 290, 8000);
	assert_int_equal(state_now(), AMEND_TX_IDLE);
	exec_foreign("COMMIT");
	expect_ok(begin(0, &err), &err);
}

/* Readers in the default journal mode: COMMIT alone is tried again; after the limit all is undone. */
static void commit_waits_for_readers_then_undoes(void **state)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct amend_error err;

	(void)state;
	exec_foreign("PRAGMA journal_mode=DELETE; CREATE TABLE t (a)");
	options.lock_timeout_ms = 300;
	expect_ok(open_as(test.path, &options, &err), &err);
	expect_ok(begin(0, &err), &err);
	exec("INSERT INTO t VALUES (1)");
	exec_foreign("BEGIN; SELECT * FROM t");
	expect_status(AMEND_LOCKED, commit(&err), &err);
	expect_text(err.sqlstate, "55P03");
	expect_contains(err.text, "journal_mode=WAL");
	assert_int_equal(state_now(), AMEND_TX_IDLE);
	exec_foreign("COMMIT");
	expect_foreign("SELECT count(*) FROM t", "0");
	expect_ok(begin(0, &err), &err);
	exec("INSERT INTO t VALUES (1)");
	expect_ok(commit(&err), &err);
	expect_foreign("SELECT count(*) FROM t", "1");
}

struct reader {
	pthread_t id;
	atomic_int reading;
	sqlite3 *db;
};

static void *read_a_while(void *argument)
{
	struct reader *reader = argument;

	sqlite3_exec(reader->db, "BEGIN; SELECT * FROM t", NULL, NULL, NULL);
	atomic_store(&reader->reading, 1);
	sleep_ms(300);
	sqlite3_exec(reader->db, "COMMIT", NULL, NULL, NULL);
	return NULL;
}

static void commit_that_meets_a_reader_comes_through(void **state)
{
	struct reader reader = {0};
	struct amend_error err;

	(void)state;
	exec_foreign("PRAGMA journal_mode=DELETE; CREATE TABLE t (a)");
	open_session();
	reader.db = foreign();
	expect_ok(begin(0, &err), &err);
	exec("INSERT INTO t VALUES (1)");
	assert_int_equal(pthread_create(&reader.id, NULL, read_a_while, &reader), 0);
	while (!atomic_load(&reader.reading))
		sleep_ms(1);
	/* The unit asked for nowait, but its work is done: COMMIT waits as the connection does. */
	expect_ok(commit(&err), &err);
	pthread_join(reader.id, NULL);
	expect_foreign("SELECT count(*) FROM t", "1");
}

/* FULL, INTERRUPT and others roll back by themselves: no statement may then commit alone. */
static void a_dead_transaction_takes_no_statement(void **state)
{
	struct amend_error err;

	(void)state;
	open_session();
	exec("CREATE TABLE t (a)");
	expect_ok(begin(0, &err), &err);
	exec("INSERT INTO t VALUES (1)");
	/* What SQLite does by itself at such errors, done on purpose. */
	exec("ROLLBACK");
	assert_int_equal(state_now(), AMEND_TX_IDLE);
	expect_status(AMEND_RETRY, try("INSERT INTO t VALUES (2)", &err), &err);
	expect_status(AMEND_RETRY, commit(&err), &err);
	rollback();
	expect_foreign("SELECT count(*) FROM t", "0");
	expect_ok(begin(0, &err), &err);
	rollback();
}

static void a_full_database_is_told_as_such(void **state)
{
	struct amend_error err;
	enum amend_status status = AMEND_OK;

	(void)state;
	open_session();
	exec("CREATE TABLE t (a)");
	exec("PRAGMA max_page_count=20");
	expect_ok(begin(0, &err), &err);
	for (int i = 0; i < 100 && status == AMEND_OK; i++)
		status = try("INSERT INTO t VALUES (zeroblob(4000))", &err);
	expect_status(AMEND_INTERNAL, status, &err);
	expect_text(err.sqlstate, "53100");
	rollback();
	expect_foreign("SELECT count(*) FROM t", "0");
}

static void constraints_have_their_sqlstates(void **state)
{
	static const struct {
		const char *sql;
		enum amend_status status;
		const char *sqlstate, *text;
	} cases[] = {
		{"INSERT INTO t(a, b) VALUES (1, 1)", AMEND_CONSTRAINT, "23505",
		 "UNIQUE constraint failed: t.b"},
		{"INSERT INTO t(id, a) VALUES (1, 1)", AMEND_CONSTRAINT, "23505", "t.id"},
		{"INSERT INTO w VALUES (1)", AMEND_CONSTRAINT, "23505", "w.a"},
		{"INSERT INTO t(a) VALUES (NULL)", AMEND_CONSTRAINT, "23502", "t.a"},
		{"INSERT INTO t(a, c) VALUES (1, 11)", AMEND_CONSTRAINT, "23514", "small"},
		{"INSERT INTO t(a, p) VALUES (1, 7)", AMEND_CONSTRAINT, "23503", "FOREIGN KEY"},
		{"UPDATE t SET a = -1", AMEND_CONSTRAINT, "23000", "not below zero"},
		{"INSERT INTO s VALUES ('x')", AMEND_INVALID, "22P02", "s.i"},
		{"INSERT INTO t(id, a) VALUES ('x', 1)", AMEND_INVALID, "22P02",
		 "datatype mismatch"},
		{"INSERT INTO s VALUES (zeroblob(2000000000))", AMEND_INVALID, "22001", "too big"},
		{"SELECT abs(-9223372036854775807 - 1)", AMEND_INVALID, "22000", "integer overflow"},
		{"SELECT * FROM nosuch", AMEND_NOT_FOUND, "42P01", "nosuch"},
		{"SELECT nosuch FROM t", AMEND_INVALID, "42000", "nosuch"},
		{"SELEC 1", AMEND_INVALID, "42000", "syntax"},
		{"SELECT 1; SELECT 2", AMEND_INVALID, "42000", "one statement"},
		{" -- nothing", AMEND_INVALID, "42000", "one statement"},
		{"SELECT ?1", AMEND_INVALID, "42000", "placeholders"},
	};
	struct amend_error err;

	(void)state;
	open_session();
	exec("CREATE TABLE p (id INTEGER PRIMARY KEY)");
	exec("CREATE TABLE w (a PRIMARY KEY) WITHOUT ROWID");
	exec("CREATE TABLE s (i INTEGER) STRICT");
	exec("CREATE TABLE t (id INTEGER PRIMARY KEY, a NOT NULL, b UNIQUE,"
	     " c CONSTRAINT small CHECK (c < 10), p REFERENCES p)");
	exec("CREATE TRIGGER g BEFORE UPDATE ON t WHEN NEW.a < 0"
	     " BEGIN SELECT RAISE(ABORT, 'not below zero'); END");
	exec("INSERT INTO t VALUES (1, 1, 1, 1, NULL)");
	exec("INSERT INTO w VALUES (1)");
	for (size_t i = 0; i < COUNT(cases); i++) {
		expect_status_at(cases[i].status, cases[i].sqlstate, try(cases[i].sql, &err), &err,
				 cases[i].sql, __FILE__, __LINE__);
		expect_contains(err.text, cases[i].text);
	}
	exec("SELECT 1; -- and a comment; /* or two */ ;");
}

/* SQLite leaves the transaction open when a deferred key is broken at COMMIT. */
static void deferred_foreign_keys_undo_the_transaction(void **state)
{
	struct amend_error err;

	(void)state;
	open_session();
	exec("CREATE TABLE p (id INTEGER PRIMARY KEY)");
	exec("CREATE TABLE t (p REFERENCES p DEFERRABLE INITIALLY DEFERRED)");
	expect_ok(begin(0, &err), &err);
	exec("INSERT INTO t VALUES (1)");
	expect_status(AMEND_CONSTRAINT, commit(&err), &err);
	expect_text(err.sqlstate, "23503");
	assert_int_equal(state_now(), AMEND_TX_IDLE);
	expect_foreign("SELECT count(*) FROM t", "0");
}

static const char endless[] =
	"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

static void *interrupt_soon(void *argument)
{
	sleep_ms(150);
	amend_driver_sqlite->interrupt(argument);
	return NULL;
}

static void interrupt_ends_what_runs_and_nothing_later(void **state)
{
	struct amend_error err;
	pthread_t id;

	(void)state;
	for (int adopted = 0; adopted < 2; adopted++) {
		if (adopted)
			adopt_foreign(5000);
		else
			open_session();
		amend_driver_sqlite->interrupt(test.session);
		exec("CREATE TABLE IF NOT EXISTS t (a)");
		assert_int_equal(pthread_create(&id, NULL, interrupt_soon, test.session), 0);
		expect_status(AMEND_INTERRUPTED, try(endless, &err), &err);
		expect_text(err.sqlstate, "57014");
		pthread_join(id, NULL);
		exec("SELECT 1");
		/* A wait for a lock, too: of an adopted handle without a handler of its own. */
		if (adopted)
			continue;
		exec_foreign("BEGIN IMMEDIATE");
		assert_int_equal(pthread_create(&id, NULL, interrupt_soon, test.session), 0);
		expect_status(AMEND_INTERRUPTED, begin(-1, &err), &err);
		pthread_join(id, NULL);
		exec_foreign("COMMIT");
		close_session();
	}
}

static void the_time_limit_ends_statements_and_waits(void **state)
{
	const struct amend_begin limited = {.lock_timeout_ms = -1, .time_limit_ms = 200};
	struct amend_error err;
	int64_t before = now_ms();

	(void)state;
	open_session();
	exec("CREATE TABLE t (a)");
	expect_ok(amend_driver_sqlite->begin(test.session, &limited, &err), &err);
	exec("SAVEPOINT one");
	expect_status(AMEND_INTERRUPTED, try(endless, &err), &err);
	expect_contains(err.text, "time limit");
	assert_in_range(now_ms() - before, 190, 2000);
	expect_status(AMEND_INTERRUPTED, try("INSERT INTO t VALUES (1)", &err), &err);
	exec("ROLLBACK TO one"); /* undoing goes on */
	rollback();
	exec_foreign("BEGIN IMMEDIATE");
	expect_status(AMEND_INTERRUPTED, amend_driver_sqlite->begin(test.session, &limited, &err),
		      &err);
	exec_foreign("COMMIT");
	exec("INSERT INTO t VALUES (1)");
}

/* --- The application's own handle --- */

static int count_calls(void *calls, int count)
{
	(void)count;
	++*(int *)calls;
	return 0;
}

static void the_applications_handlers_and_settings_stay(void **state)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct amend_error err;
	sqlite3 *other = NULL;
	int calls = 0, before;

	(void)state;
	exec_foreign("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (p REFERENCES p)");
	sqlite3_busy_handler(foreign(), count_calls, &calls);
	assert_int_equal(sqlite3_open(test.path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	options.lock_timeout_ms = 100;
	expect_ok(amend_driver_sqlite->adopt(foreign(), &options, &test.session, &err), &err);
	expect_status(AMEND_LOCKED, begin(100, &err), &err);
	assert_true(calls > 0);
	before = calls;
	expect_status(AMEND_LOCKED, try("INSERT INTO t VALUES (1)", &err), &err);
	assert_true(calls > before);
	sqlite3_close(other);
	expect_text(scalar("PRAGMA foreign_keys"), "0");
	exec("INSERT INTO t VALUES (1)");
	close_session();
	before = calls;
	assert_int_equal(sqlite3_open(test.path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(try_foreign("INSERT INTO t VALUES (1)"), SQLITE_BUSY);
	assert_true(calls > before);
	sqlite3_close(other);
}

static void *end_soon(void *db)
{
	sleep_ms(200);
	sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	return NULL;
}

/* Outside the application's transaction it waits as an opened one does. */
static void an_adopted_handle_without_handler_waits_too(void **state)
{
	static const char *const blockers[] = {"BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"};
	struct amend_error err;
	sqlite3 *other = NULL;
	pthread_t id;

	(void)state;
	exec_foreign("CREATE TABLE t (a)");
	adopt_foreign(5000);
	assert_int_equal(sqlite3_open(test.path, &other), SQLITE_OK);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(sqlite3_exec(other, blockers[i % 2], NULL, NULL, NULL), SQLITE_OK);
		assert_int_equal(pthread_create(&id, NULL, end_soon, other), 0);
		if (i < 2) {
			exec("INSERT INTO t VALUES (1)");
		} else {
			expect_ok(begin(5000, &err), &err);
			rollback();
		}
		pthread_join(id, NULL);
	}
	sqlite3_close(other);
}

/* It takes the write lock and does nothing else, whatever the database is made of. */
static void become_writer_changes_nothing(void **state)
{
	static const char *const schemas[] = {
		"", /* no table at all */
		"CREATE TABLE t (a); INSERT INTO t VALUES (1)",
		"PRAGMA auto_vacuum=FULL; CREATE TABLE t (a); CREATE TABLE amend_x (a);"
		" INSERT INTO t VALUES (zeroblob(20000)); DELETE FROM t",
		"PRAGMA auto_vacuum=INCREMENTAL; CREATE TABLE a (a); CREATE TABLE b (a);"
		" CREATE TRIGGER g AFTER DELETE ON a BEGIN INSERT INTO nosuch VALUES (1); END;"
		" INSERT INTO b VALUES (zeroblob(20000)); DELETE FROM b",
	};
	char before[64];

	(void)state;
	for (size_t i = 0; i < COUNT(schemas); i++) {
		for (int read = 0; read < 2; read++) {
			struct amend_error err;
			sqlite3 *other = NULL;
			int changes;

			unlink(test.path);
			exec_foreign(schemas[i]);
			assert_int_equal(sqlite3_open(test.path, &other), SQLITE_OK);
			adopt_foreign(100);
			changes = sqlite3_total_changes(foreign());
			exec_foreign(read ? "BEGIN; SELECT * FROM sqlite_schema" : "BEGIN");
			expect_ok(amend_driver_sqlite->become_writer(test.session, &err), &err);
			assert_int_equal(sqlite3_txn_state(foreign(), "main"), SQLITE_TXN_WRITE);
			assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL),
					 SQLITE_BUSY);
			expect_ok(amend_driver_sqlite->become_writer(test.session, &err), &err);
			assert_int_equal(sqlite3_total_changes(foreign()), changes);
			snprintf(before, sizeof(before), "%s", scalar("PRAGMA freelist_count"));
			exec_foreign("COMMIT");
			expect_text(scalar("PRAGMA freelist_count"), before);
			close_session();
			sqlite3_close(other);
			sqlite3_close(foreign());
			test.foreign = NULL;
		}
	}
}

/* Nothing read yet: it waits as BEGIN IMMEDIATE does. */
static void become_writer_waits_while_nothing_is_read(void **state)
{
	struct amend_error err;
	sqlite3 *other = NULL;
	int64_t before;
	pthread_t id;

	(void)state;
	exec_foreign("PRAGMA journal_mode=WAL; CREATE TABLE t (a)");
	assert_int_equal(sqlite3_open(test.path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	adopt_foreign(300);
	exec_foreign("BEGIN");
	before = now_ms();
	expect_status(AMEND_LOCKED, amend_driver_sqlite->become_writer(test.session, &err), &err);
	expect_text(err.sqlstate, "55P03");
	assert_in_range(now_ms() - before, 290, 1000);
	assert_int_equal(pthread_create(&id, NULL, end_soon, other), 0);
	expect_ok(amend_driver_sqlite->set_lock_timeout(test.session, 5000, &err), &err);
	expect_ok(amend_driver_sqlite->become_writer(test.session, &err), &err);
	pthread_join(id, NULL);
	exec_foreign("COMMIT");
	sqlite3_close(other);
}

/* --- Opening --- */

static void names_are_not_interpreted(void **state)
{
	static const char *const names[] = {"a?mode=memory", "a%20b", "file:x.db", "odd;name#1",
					    "sp ace"};
	char url[300], back[300];

	(void)state;
	assert_non_null(getcwd(back, sizeof(back)));
	assert_int_equal(chdir(test.folder), 0);
	for (size_t i = 0; i < 2 * COUNT(names); i++) {
		struct amend_error err;

		snprintf(url, sizeof(url), "%s%s", i % 2 ? "sqlite:" : "", names[i / 2]);
		assert_true(amend_driver_sqlite->accepts(url));
		expect_ok(open_as(url, NULL, &err), &err);
		exec("CREATE TABLE IF NOT EXISTS t (a)");
		close_session();
		assert_int_equal(access(names[i / 2], F_OK), 0);
	}
	assert_int_equal(chdir(back), 0);
	assert_false(amend_driver_sqlite->accepts("postgresql://x"));
	assert_false(amend_driver_sqlite->accepts("mysql://x"));
}

/* Root that has to heed the modes of its own files. Another user might not reach the folder at all. */
static bool give_up_privileges(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	const struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};

	return geteuid() != 0 || syscall(SYS_capset, &header, none) == 0;
}

/* What opening says, as a user who may not do everything. */
static int try_open_unprivileged(const char *path, const struct amend_open_options *options,
				 enum amend_status expected, const char *text)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct amend_error err;
		struct amend_session *session = NULL;
		enum amend_status found;

		if (!give_up_privileges())
			_exit(3);
		found = amend_driver_sqlite->open(path, options, &session, &err);
		if (found != expected || (found != AMEND_OK && !strstr(err.text, text))) {
			fprintf(stderr, "%s: %s %s\n", path, amend_status_name(found),
				found == AMEND_OK ? "" : err.text);
			_exit(1);
		}
		if (found == AMEND_OK) {
			const struct amend_begin write = {.lock_timeout_ms = 100};

			if (amend_driver_sqlite->begin(session, &write, &err) != AMEND_DENIED)
				found = AMEND_INTERNAL;
			amend_driver_sqlite->close(session);
		}
		_exit(found == expected ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

static void what_cannot_be_opened_is_told_clearly(void **state)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct amend_error err;
	char name[300];
	FILE *file;

	(void)state;
	options.must_exist = true;
	expect_status(AMEND_NOT_FOUND, open_as(test.path, &options, &err), &err);
	assert_int_not_equal(access(test.path, F_OK), 0);
	options = (struct amend_open_options)AMEND_OPEN_OPTIONS_INIT;
	options.read_only = true;
	expect_status(AMEND_NOT_FOUND, open_as(test.path, &options, &err), &err);
	expect_status(AMEND_INVALID, open_as(test.folder, NULL, &err), &err);
	expect_status(AMEND_INVALID, open_as("/dev/null", NULL, &err), &err);
	expect_status(AMEND_INVALID, open_as("", NULL, &err), &err);
	expect_status(AMEND_INVALID, open_as("sqlite:///srv/app.db", NULL, &err), &err);
	snprintf(name, sizeof(name), "%s/none/app.db", test.folder);
	expect_status(AMEND_NOT_FOUND, open_as(name, NULL, &err), &err);
	expect_contains(err.text, "folder");
	snprintf(name, sizeof(name), "%s/text", test.folder);
	file = fopen(name, "w");
	assert_non_null(file);
	for (int i = 0; i < 100; i++)
		fputs("this is no database\n", file);
	fclose(file);
	expect_status(AMEND_INVALID, open_as(name, NULL, &err), &err);
	expect_contains(err.text, "not an SQLite database");
	snprintf(name, sizeof(name), "%s/text/app.db", test.folder);
	expect_status(AMEND_NOT_FOUND, open_as(name, NULL, &err), &err);
}

static void files_and_folders_that_may_not_be_written(void **state)
{
	const struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	char name[300];

	(void)state;
	exec_foreign("CREATE TABLE t (a)");
	sqlite3_close(test.foreign);
	test.foreign = NULL;
	assert_int_equal(chmod(test.folder, 0555), 0);
	snprintf(name, sizeof(name), "%s/new.db", test.folder);
	assert_int_equal(try_open_unprivileged(name, &options, AMEND_DENIED, "folder"), 0);
	assert_int_equal(chmod(test.path, 0444), 0);
	assert_int_equal(try_open_unprivileged(test.path, &options, AMEND_OK, ""), 0);
	assert_int_equal(chmod(test.path, 0), 0);
	assert_int_equal(try_open_unprivileged(test.path, &options, AMEND_DENIED, "read"), 0);
	assert_int_equal(chmod(test.path, 0644), 0);
	assert_int_equal(chmod(test.folder, 0755), 0);
	exec_foreign("PRAGMA journal_mode=WAL");
	sqlite3_close(test.foreign);
	test.foreign = NULL;
	assert_int_equal(chmod(test.folder, 0555), 0);
	assert_int_equal(chmod(test.path, 0444), 0);
	assert_int_equal(try_open_unprivileged(test.path, &options, AMEND_DENIED, "WAL"), 0);
	assert_int_equal(chmod(test.folder, 0755), 0);
}

static void read_only_connections_write_nothing(void **state)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	const struct amend_begin reading = {.read_only = true, .lock_timeout_ms = 100};
	struct amend_error err;

	(void)state;
	exec_foreign("CREATE TABLE t (a)");
	options.read_only = true;
	for (int adopted = 0; adopted < 3; adopted++) {
		if (adopted == 2)
			open_session();
		else if (adopted == 1)
			expect_ok(amend_driver_sqlite->adopt(foreign(), &options, &test.session,
							     &err),
				  &err);
		else
			expect_ok(open_as(test.path, &options, &err), &err);
		if (adopted < 2)
			expect_status(AMEND_DENIED, begin(100, &err), &err);
		expect_ok(amend_driver_sqlite->begin(test.session, &reading, &err), &err);
		exec("SELECT * FROM t");
		expect_status(AMEND_DENIED, try("INSERT INTO t VALUES (1)", &err), &err);
		expect_text(err.sqlstate, "25006");
		rollback();
		close_session();
	}
}

/* --- Types --- */

static unsigned seed;

static unsigned random_below(unsigned n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/* A value that a column may well change: numbers in odd clothes, limits, bytes. */
static struct amend_value random_value(char *room, size_t size)
{
	static const char *const texts[] = {"",
					    " ",
					    "0",
					    "-0",
					    "+5",
					    "007",
					    " 12",
					    "12 ",
					    "1.0",
					    "1.5",
					    "-1.50",
					    ".5",
					    "5.",
					    "1e3",
					    "1E-2",
					    "1e400",
					    "0x10",
					    "abc",
					    "1abc",
					    "9223372036854775807",
					    "9223372036854775808",
					    "-9223372036854775808",
					    "999999999999999999",
					    "9007199254740993",
					    "9007199254740993.0",
					    "1e18",
					    "123456789012345678901234567890",
					    "nan",
					    "inf",
					    "\xc3\xa4",
					    "\xff\xfe",
					    "true",
					    "1_000",
					    "2020-01-01",
					    "0.1",
					    "1.10",
					    "-.0",
					    "\t7\n",
					    "4.0e0",
					    "12345678901234567.0",
					    "1e19",
					    "--1",
					    "1e",
					    "e1",
					    "\xed\xa0\x80"};
	static const double reals[] = {0.0,
				       -0.0,
				       1.0,
				       -1.0,
				       1.5,
				       1e15,
				       1e16,
				       9007199254740993.0,
				       9223372036854775807.0,
				       -9223372036854775808.0,
				       1e300,
				       5e-324,
				       0.1,
				       123456789.125,
				       1e18,
				       4503599627370497.5};
	static const int64_t integers[] = {0,
					   1,
					   -1,
					   INT64_MAX,
					   INT64_MIN,
					   1LL << 53,
					   (1LL << 53) + 1,
					   1LL << 47,
					   (1LL << 47) + 1};
	unsigned pick = random_below(10);
	int written;

	switch (pick) {
	case 0:
		return amend_null();
	case 1:
		return amend_integer(integers[random_below(COUNT(integers))]);
	case 2:
		return amend_integer((int64_t)random_below(2000) - 1000);
	case 3:
		return amend_real(reals[random_below(COUNT(reals))]);
	case 4:
		return amend_real(((double)random_below(1u << 24) - 8e6) / (random_below(8) + 1));
	case 5:
		return amend_blob("\0\x01\xff", random_below(4));
	case 6:
		return amend_text_n("12\0"
				    "34",
				    3 + random_below(3));
	case 7:
		written = snprintf(room, size, "%s%u%s%.*u", random_below(3) ? "" : "-",
				   random_below(1u << random_below(24)), random_below(2) ? "" : ".",
				   (int)random_below(6), random_below(1000));
		return amend_text_n(room, (size_t)written);
	default:
		return amend_text(texts[random_below(COUNT(texts))]);
	}
}

static struct amend_table describe(const char *name, struct amend_arena *arena)
{
	struct amend_table table = {0};
	struct amend_error err;
	bool visible;

	expect_ok(amend_driver_sqlite->describe(test.session, NULL, name, arena, &table, &visible,
						&err),
		  &err);
	return table;
}

/* One value into one column: what canonicalise says is what a real table gives back, or refuses. */
static void compare_with_table(const struct amend_column *column, struct amend_value in,
			       struct amend_arena *arena)
{
	struct amend_canon item = {.column = column, .in = in};
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error err, refused;
	enum amend_status stored;

	expect_ok(amend_driver_sqlite->canonicalise(test.session, &item, 1, arena, &err), &err);
	exec("DELETE FROM t");
	stored = run("INSERT INTO t VALUES (?1)", &in, 1, NULL, &refused);
	if ((stored != AMEND_OK) != (item.problem != NULL))
		fail_at(__FILE__, __LINE__, "%s: problem %s, but the table says %s", column->type,
			item.problem ? item.problem : "none",
			stored == AMEND_OK ? "OK" : refused.text);
	if (item.problem)
		return;
	expect_ok(run("SELECT c FROM t", NULL, 0, &rows, &err), &err);
	assert_int_equal(rows.n_rows, 1);
	if (!amend_value_equal(&item.out, amend_rows_at(&rows, 0, 0)) &&
	    !(in.kind == AMEND_NULL && column->identity))
		fail_at(__FILE__, __LINE__,
			"%s: %s of kind %d became kind %d, but the table has kind %d", column->type,
			in.kind == AMEND_TEXT ? in.as.text : "value", (int)in.kind,
			(int)item.out.kind, (int)amend_rows_at(&rows, 0, 0)->kind);
	if (in.kind != AMEND_NULL) {
		struct amend_rows again = AMEND_ROWS_INIT;

		/* What the column hands out is stored as it is: same class, same bits. */
		exec("DELETE FROM t");
		expect_ok(
			run("INSERT INTO t VALUES (?1)", amend_rows_at(&rows, 0, 0), 1, NULL, &err),
			&err);
		expect_ok(run("SELECT c FROM t", NULL, 0, &again, &err), &err);
		if (!amend_value_equal(amend_rows_at(&again, 0, 0), amend_rows_at(&rows, 0, 0)))
			fail_at(__FILE__, __LINE__, "%s: what was read is not stored as it was",
				column->type);
		amend_rows_release(&again);
	}
	amend_rows_release(&rows);
}

static void canonicalise_against(const char *type, const char *options, int rounds)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_table table;
	struct amend_error err;
	char sql[200], room[64];

	expect_ok(begin(0, &err), &err);
	exec("DROP TABLE IF EXISTS t");
	snprintf(sql, sizeof(sql), "CREATE TABLE t (c %s) %s", type, options);
	exec(sql);
	table = describe("t", &arena);
	for (int i = 0; i < rounds; i++)
		compare_with_table(&table.columns[0], random_value(room, sizeof(room)), &arena);
	amend_arena_release(&arena);
	expect_ok(commit(&err), &err);
}

static void canonical_forms_are_what_tables_give_back(void **state)
{
	static const char *const types[] = {"INTEGER",
					    "TEXT",
					    "REAL",
					    "BLOB",
					    "NUMERIC",
					    "",
					    "STRING",
					    "JSON",
					    "UUID",
					    "FLOATING POINT",
					    "VARCHAR(3)",
					    "BOOLEAN",
					    "DECIMAL(10,2)",
					    "DOUBLE PRECISION",
					    "DATE",
					    "INTEGER PRIMARY KEY",
					    "INT PRIMARY KEY",
					    "ANY",
					    "CHARINT"};
	static const char *const strict[] = {
		"INTEGER", "INT", "TEXT", "REAL", "BLOB", "ANY", "INTEGER PRIMARY KEY"};

	(void)state;
	seed = 7;
	open_session();
	exec("PRAGMA synchronous=OFF");
	for (size_t i = 0; i < COUNT(types); i++)
		canonicalise_against(types[i], "", 400);
	for (size_t i = 0; i < COUNT(strict); i++)
		canonicalise_against(strict[i], "STRICT", 400);
	close_session();
	/* Text is mended where the encoding cannot hold it. */
	assert_int_equal(unlink(test.path), 0);
	exec_foreign("PRAGMA encoding='UTF-16le'; CREATE TABLE t (a)");
	open_session();
	exec("PRAGMA synchronous=OFF");
	for (size_t i = 0; i < 6; i++)
		canonicalise_against(types[i], "", 300);
}

/* Affinity is told from the name: against SQLite's own mind, for names made of the pieces that matter. */
static void affinities_of_any_type_name(void **state)
{
	static const char *const pieces[] = {"INT",  "CHAR", "CLOB", "TEXT", "BLOB", "REAL",
					     "FLOA", "DOUB", "x",    "N",    " ",    "(3)",
					     "int",  "Te",   "BLO",  "B"};
	char type[80];

	(void)state;
	seed = 11;
	open_session();
	exec("PRAGMA synchronous=OFF");
	for (int i = 0; i < 150; i++) {
		const char *picked[3];

		for (size_t n = 0; n < COUNT(picked); n++)
			picked[n] = random_below(4) ? pieces[random_below(COUNT(pieces))] : "";
		snprintf(type, sizeof(type), "\"%s%s%sz\"", picked[0], picked[1], picked[2]);
		canonicalise_against(type, "", 12);
	}
}

/* The user's database is not written for it, nor its temporary schema. */
static void canonicalise_touches_no_database(void **state)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_table table;
	struct amend_error err;

	(void)state;
	open_session();
	exec("CREATE TABLE t (c REAL)");
	table = describe("t", &arena);
	{
		struct amend_canon item = {.column = &table.columns[0], .in = amend_text("1e3")};

		expect_ok(amend_driver_sqlite->canonicalise(test.session, &item, 1, &arena, &err),
			  &err);
		assert_int_equal(item.out.kind, AMEND_REAL);
	}
	expect_text(scalar("SELECT count(*) FROM temp.sqlite_schema"), "0");
	expect_text(scalar("SELECT count(*) FROM t"), "0");
	amend_arena_release(&arena);
}

static void values_keep_their_bytes(void **state)
{
	const struct amend_value values[] = {amend_text_n("a\0b", 3),  amend_text_n(NULL, 0),
					     amend_blob(NULL, 0),      amend_blob("\0", 1),
					     amend_integer(INT64_MIN), amend_real(-0.0)};
	struct amend_value not_a_number = amend_real(0.0);
	struct amend_rows rows;
	struct amend_error err;

	(void)state;
	open_session();
	expect_ok(run("SELECT ?1, ?2, ?3, ?4, ?5, ?6", values, 6, &rows, &err), &err);
	for (size_t i = 0; i < 6; i++) {
		assert_true(amend_value_equal(&values[i], amend_rows_at(&rows, 0, i)));
		if (values[i].kind == AMEND_TEXT)
			assert_int_equal(amend_rows_at(&rows, 0, i)->as.text[values[i].size], 0);
	}
	amend_rows_release(&rows);
	not_a_number.as.real = (double)NAN;
	expect_status(AMEND_INVALID, run("SELECT ?1", &not_a_number, 1, NULL, &err), &err);
	expect_contains(err.text, "NaN");
}

/* --- Descriptions --- */

static void descriptions_of_odd_tables(void **state)
{
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_table table;
	struct amend_error err;
	bool visible;

	(void)state;
	open_session();
	exec("CREATE TABLE shadowed (rowid, \"_ROWID_\")");
	exec("CREATE TABLE none (rowid, _rowid_, oid)");
	exec("CREATE TABLE quirk (id INTEGER PRIMARY KEY DESC, v)");
	exec("CREATE TABLE wr (a, b, c COLLATE NOCASE UNIQUE, PRIMARY KEY (b, a)) WITHOUT ROWID");
	exec("CREATE TABLE child (x, y, z REFERENCES wr, FOREIGN KEY (x, y) REFERENCES wr,"
	     " FOREIGN KEY (x) REFERENCES nosuch)");
	exec("CREATE UNIQUE INDEX coll ON wr (c COLLATE BINARY)");
	exec("CREATE VIEW view_of AS SELECT 1");
	exec("CREATE VIRTUAL TABLE vt USING rtree(id, a, b)");
	exec("ATTACH ':memory:' AS shop");
	exec("CREATE TABLE shop.wr (a)");
	exec("CREATE TABLE shop.only (a)");
	exec("CREATE TEMP TABLE quirk (a)");

	expect_text(describe("SHADOWED", &arena).rowid, "oid");
	expect_text(describe("SHADOWED", &arena).name, "shadowed");
	assert_null(describe("none", &arena).rowid);
	table = describe("quirk", &arena);
	assert_false(table.columns[0].identity);
	assert_int_equal(table.n_keys, 1);
	table = describe("wr", &arena);
	assert_null(table.rowid);
	assert_int_equal(table.n_keys, 3);
	assert_true(table.keys[0].primary);
	assert_int_equal(table.keys[0].columns[0], 1);
	assert_int_equal(table.keys[0].columns[1], 0);
	assert_false(table.keys[1].expression);
	expect_text(table.keys[2].name, "coll");
	assert_true(table.keys[2].expression); /* proves less than the column's NOCASE asks */
	table = describe("child", &arena);
	/* One column cannot refer to a key of two, and nosuch is no table: one of three is left. */
	assert_int_equal(table.n_foreign_keys, 1);
	assert_int_equal(table.foreign_keys[0].n_columns, 2);
	expect_text(table.foreign_keys[0].references[0], "b");
	expect_text(table.foreign_keys[0].references[1], "a");

	memset(&table, 0, sizeof(table));
	expect_ok(amend_driver_sqlite->describe(test.session, "main", "quirk", &arena, &table,
						&visible, &err),
		  &err);
	assert_false(visible);
	expect_ok(amend_driver_sqlite->describe(test.session, "shop", "only", &arena, &table,
						&visible, &err),
		  &err);
	assert_true(visible);
	expect_text(table.schema, "shop");
	expect_ok(amend_driver_sqlite->describe(test.session, "SHOP", "wr", &arena, &table,
						&visible, &err),
		  &err);
	assert_false(visible);
	expect_status(AMEND_NOT_FOUND,
		      amend_driver_sqlite->describe(test.session, "none", "wr", &arena, &table,
						    &visible, &err),
		      &err);
	expect_text(err.sqlstate, "3F000");
	expect_status(AMEND_NOT_FOUND,
		      amend_driver_sqlite->describe(test.session, NULL, "chidl", &arena, &table,
						    &visible, &err),
		      &err);
	expect_contains(err.text, "hint: there is child");
	expect_status(AMEND_UNSUPPORTED,
		      amend_driver_sqlite->describe(test.session, NULL, "view_of", &arena, &table,
						    &visible, &err),
		      &err);
	expect_status(AMEND_UNSUPPORTED,
		      amend_driver_sqlite->describe(test.session, NULL, "vt", &arena, &table,
						    &visible, &err),
		      &err);
	expect_contains(err.text, "virtual");
	expect_status(AMEND_UNSUPPORTED,
		      amend_driver_sqlite->describe(test.session, NULL, "sqlite_schema", &arena,
						    &table, &visible, &err),
		      &err);
	amend_arena_release(&arena);
}

/* More statements than the cache has places, over a schema that changes below them. */
static void the_cache_survives_crowds_and_new_schemas(void **state)
{
	char sql[64], expected[16];

	(void)state;
	open_session();
	exec("CREATE TABLE t (a)");
	exec("INSERT INTO t VALUES (1)");
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 200; i++) {
			snprintf(sql, sizeof(sql), "SELECT a + %d FROM t", i);
			snprintf(expected, sizeof(expected), "%d", i + 1);
			expect_text(scalar(sql), expected);
		}
		exec(round ? "ALTER TABLE t ADD COLUMN c" : "ALTER TABLE t ADD COLUMN b");
		if (round == 1)
			break;
	}
	expect_text(scalar("SELECT * FROM t"), "1");
	exec_foreign("ALTER TABLE t DROP COLUMN c");
	expect_text(scalar("SELECT * FROM t"), "1");
	exec("DROP TABLE t");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(deferred_read_then_write_gets_busy_at_once),
		TEST(busy_snapshot_is_retry),
		TEST(no_cursor_stays_open),
		TEST(new_files_use_wal_and_others_keep_their_mode),
		TEST(nowait_is_a_zero_timeout_at_begin),
		TEST(commit_waits_for_readers_then_undoes),
		TEST(commit_that_meets_a_reader_comes_through),
		TEST(a_dead_transaction_takes_no_statement),
		TEST(a_full_database_is_told_as_such),
		TEST(constraints_have_their_sqlstates),
		TEST(deferred_foreign_keys_undo_the_transaction),
		TEST(interrupt_ends_what_runs_and_nothing_later),
		TEST(the_time_limit_ends_statements_and_waits),
		TEST(the_applications_handlers_and_settings_stay),
		TEST(an_adopted_handle_without_handler_waits_too),
		TEST(become_writer_changes_nothing),
		TEST(become_writer_waits_while_nothing_is_read),
		TEST(names_are_not_interpreted),
		TEST(what_cannot_be_opened_is_told_clearly),
		TEST(files_and_folders_that_may_not_be_written),
		TEST(read_only_connections_write_nothing),
		TEST(canonical_forms_are_what_tables_give_back),
		TEST(affinities_of_any_type_name),
		TEST(canonicalise_touches_no_database),
		TEST(values_keep_their_bytes),
		TEST(descriptions_of_odd_tables),
		TEST(the_cache_survives_crowds_and_new_schemas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
