/*
 * Conformance: transactions, their states after success and failure, savepoints, isolation.
 * Leaves waiting for locks to locks_test.c, lost connections to lost_test.c.
 */
#include "engines.h"

static void table(struct engine *engine)
{
	engine_exec(engine, "CREATE TABLE t (a integer PRIMARY KEY, b text NOT NULL)");
	engine_exec(engine, "INSERT INTO t VALUES (1, 'one')");
}

static void commit_and_rollback(struct engine *engine)
{
	struct amend_session *session;

	table(engine);
	session = session_open(engine);
	session_expect_state(engine, session, AMEND_TX_IDLE);
	session_rollback(engine, session); /* nothing to undo is well */

	session_begin(engine, session);
	session_expect_state(engine, session, AMEND_TX_ACTIVE);
	session_exec(engine, session, "INSERT INTO t VALUES (2, 'two')");
	engine_expect(engine, "SELECT count(*) FROM t", "1");
	expect_done(session_commit(engine, session));
	session_expect_state(engine, session, AMEND_TX_IDLE);
	engine_expect(engine, "SELECT count(*) FROM t", "2");

	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (3, 'three')");
	session_rollback(engine, session);
	session_expect_state(engine, session, AMEND_TX_IDLE);
	engine_expect(engine, "SELECT count(*) FROM t", "2");
	session_rollback(engine, session);
}

static void close_undoes(struct engine *engine)
{
	struct amend_session *session;

	table(engine);
	session = session_open(engine);
	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (2, 'two')");
	session_close(engine, session);
	engine_exec(engine, "INSERT INTO t VALUES (3, 'three')"); /* no lock is left either */
	engine_expect(engine, "SELECT a FROM t ORDER BY a", "1\n3");
}

static const char *const failures[] = {
	"INSERT INTO t VALUES (1, 'again')", /* unique */
	"INSERT INTO t VALUES (9, NULL)",    /* not null */
	"SELECT * FROM no_such_table",
	"SELEKT",
};

static void failed_statement(struct engine *engine)
{
	struct amend_session *session;

	table(engine);
	session = session_open(engine);
	for (size_t i = 0; i < COUNT(failures); i++) {
		session_begin(engine, session);
		session_exec(engine, session, "INSERT INTO t VALUES (2, 'two')");
		assert_int_not_equal(session_try(engine, session, failures[i]).status, AMEND_OK);
		if (!engine_is(engine, "postgresql")) {
			session_expect_state(engine, session, AMEND_TX_ACTIVE);
		} else {
			session_expect_state(engine, session, AMEND_TX_FAILED);
			assert_int_not_equal(session_try(engine, session, "SELECT 1").status,
					     AMEND_OK);
			session_expect_state(engine, session, AMEND_TX_FAILED);
		}
		session_rollback(engine, session);
		session_expect_state(engine, session, AMEND_TX_IDLE);
		session_expect(engine, session, "SELECT a FROM t", "1");
	}
}

/* PostgreSQL answers COMMIT with a silent ROLLBACK: that is not success. */
static void commit_of_a_failed_transaction(struct engine *engine)
{
	struct amend_session *session;

	table(engine);
	session = session_open(engine);
	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (2, 'two')");
	assert_int_not_equal(session_try(engine, session, failures[0]).status, AMEND_OK);
	session_expect_state(engine, session, AMEND_TX_FAILED);
	assert_int_not_equal(session_commit(engine, session).status, AMEND_OK);
	session_rollback(engine, session);
	session_expect_state(engine, session, AMEND_TX_IDLE);
	session_expect(engine, session, "SELECT a FROM t", "1");
}

static void savepoints(struct engine *engine)
{
	struct amend_session *session;

	table(engine);
	session = session_open(engine);
	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (2, 'two')");
	for (size_t i = 0; i < COUNT(failures); i++) {
		session_exec(engine, session, "SAVEPOINT s");
		session_exec(engine, session, "INSERT INTO t VALUES (3, 'three')");
		assert_int_not_equal(session_try(engine, session, failures[i]).status, AMEND_OK);
		session_exec(engine, session, "ROLLBACK TO s");
		session_expect_state(engine, session, AMEND_TX_ACTIVE);
		session_exec(engine, session, "RELEASE SAVEPOINT s");
	}
	session_exec(engine, session, "SAVEPOINT kept");
	session_exec(engine, session, "INSERT INTO t VALUES (4, 'four')");
	session_exec(engine, session, "RELEASE SAVEPOINT kept");
	session_expect_state(engine, session, AMEND_TX_ACTIVE);
	expect_done(session_commit(engine, session));
	engine_expect(engine, "SELECT a FROM t ORDER BY a", "1\n2\n4");
}

/* A constraint that is looked at in COMMIT: it is undone, not left open (SQLite would). */
static void deferred_constraint(struct engine *engine)
{
	struct amend_session *session;

	engine_exec(engine,
		    "CREATE TABLE p (a integer PRIMARY KEY);"
		    "CREATE TABLE c (a integer REFERENCES p (a) DEFERRABLE INITIALLY DEFERRED)");
	session = session_open(engine);
	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO c VALUES (7)");
	session_exec(engine, session, "INSERT INTO p VALUES (7)");
	expect_done(session_commit(engine, session));

	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO c VALUES (8)");
	expect_error(AMEND_CONSTRAINT, "23503", session_commit(engine, session));
	session_expect_state(engine, session, AMEND_TX_IDLE);
	engine_expect(engine, "SELECT a FROM c", "7");
	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO c VALUES (7)");
	expect_done(session_commit(engine, session));
	engine_expect(engine, "SELECT a FROM c", "7\n7");
}

static void ddl_is_undone(struct engine *engine)
{
	struct amend_session *session = session_open(engine);

	session_begin(engine, session);
	session_exec(engine, session, "CREATE TABLE made (a integer)");
	session_exec(engine, session, "INSERT INTO made VALUES (1)");
	session_expect(engine, session, "SELECT * FROM made", "1");
	session_rollback(engine, session);
	expect_error(AMEND_NOT_FOUND, "42P01", session_try(engine, session, "SELECT * FROM made"));
}

static void read_only(struct engine *engine)
{
	static const struct amend_begin begin = {.read_only = true, .lock_timeout_ms = 1000};
	struct amend_session *session;

	table(engine);
	session = session_open(engine);
	for (int i = 0; i < 2; i++) {
		expect_done(session_begin_with(engine, session, &begin));
		session_expect(engine, session, "SELECT a FROM t", "1");
		expect_error(AMEND_DENIED, "25006",
			     session_try(engine, session, "INSERT INTO t VALUES (2, 'two')"));
		session_rollback(engine, session);
	}
	expect_done(session_begin_with(engine, session, &begin));
	expect_done(session_commit(engine, session));
	session_exec(engine, session, "INSERT INTO t VALUES (2, 'two')");
	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (3, 'three')");
	expect_done(session_commit(engine, session));
	engine_expect(engine, "SELECT count(*) FROM t", "3");
}

/* A reader neither waits for a writer's transaction nor sees what it has not committed. */
static void reads_beside_a_writer(struct engine *engine)
{
	static const struct amend_begin begin = {.read_only = true, .lock_timeout_ms = 0};
	struct foreign *writer;
	struct amend_session *session;

	table(engine);
	if (engine_is(engine, "sqlite"))
		engine_exec(engine, "PRAGMA journal_mode = WAL");
	session = session_open(engine);
	writer = foreign_open(engine);
	foreign_exec(writer, engine_pick(engine, "BEGIN IMMEDIATE", "BEGIN"));
	foreign_exec(writer, "UPDATE t SET b = 'new'");
	expect_done(session_begin_with(engine, session, &begin));
	session_expect(engine, session, "SELECT b FROM t", "one");
	expect_done(session_commit(engine, session));
	foreign_exec(writer, "COMMIT");
	session_expect(engine, session, "SELECT b FROM t", "new");
}

static void isolation_levels(struct engine *engine)
{
	static const struct {
		enum amend_isolation isolation;
		const char *shown;
		const char *second; /* what a second look sees after another's commit */
	} cases[] = {
		{AMEND_ISOLATION_DEFAULT, "read committed", "two"},
		{AMEND_READ_COMMITTED, "read committed", "two"},
		{AMEND_REPEATABLE_READ, "repeatable read", "one"},
		{AMEND_SERIALIZABLE, "serializable", "one"},
	};
	struct amend_session *session;

	table(engine);
	/* whatever the server's default is */
	engine_execf(engine, "ALTER DATABASE %s SET default_transaction_isolation = 'serializable'",
		     engine_scalar(engine, "SELECT current_database()"));
	session = session_open(engine);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct amend_begin begin = {.isolation = cases[i].isolation,
					    .lock_timeout_ms = 1000};

		engine_exec(engine, "UPDATE t SET b = 'one'");
		expect_done(session_begin_with(engine, session, &begin));
		session_expect(engine, session, "SHOW transaction_isolation", cases[i].shown);
		session_expect(engine, session, "SELECT b FROM t", "one");
		engine_exec(engine, "UPDATE t SET b = 'two'");
		session_expect(engine, session, "SELECT b FROM t", cases[i].second);
		session_rollback(engine, session);
	}
}

static void every_isolation_begins(struct engine *engine)
{
	static const enum amend_isolation levels[] = {AMEND_ISOLATION_DEFAULT, AMEND_SERIALIZABLE};
	struct amend_session *session;

	table(engine);
	session = session_open(engine);
	for (size_t i = 0; i < COUNT(levels); i++) {
		for (int reads = 0; reads < 2; reads++) {
			struct amend_begin begin = {.isolation = levels[i],
						    .read_only = reads == 1,
						    .lock_timeout_ms = -1};

			expect_done(session_begin_with(engine, session, &begin));
			session_expect(engine, session, "SELECT a FROM t", "1");
			expect_done(session_commit(engine, session));
		}
	}
}

static const struct engine_test tests[] = {
	{"commit keeps, rollback undoes, and the state tells", commit_and_rollback},
	{"close undoes what is open", close_undoes},
	{"a failed statement leaves the engine's state, rollback ends it", failed_statement},
	{"commit of a failed transaction is not OK", commit_of_a_failed_transaction,
	 .only = "postgresql"},
	{"savepoints undo a failure within", savepoints},
	{"a deferred constraint fails the commit, which is undone", deferred_constraint,
	 .real = true, .not_on = "mariadb"},
	{"DDL is part of the transaction", ddl_is_undone, .needs = AMEND_HAS_DDL_ROLLBACK},
	{"a read-only transaction refuses writes: DENIED 25006", read_only},
	{"a reader beside a writer neither waits nor sees", reads_beside_a_writer},
	{"isolation is as asked, whatever the server's default", isolation_levels,
	 .only = "postgresql"},
	{"every engine begins at DEFAULT and SERIALIZABLE", every_isolation_begins},
};

ENGINE_MAIN(tests)
