/*
 * Conformance: connections that a server ends: before, in and after a transaction, and in COMMIT.
 * Leaves cuts on the way (proxies) and kill -9 to the loss tests.
 */
#include "engines.h"

/* The error that tells of it may carry the server's last word (57P01); from then on it is 08006. */
static void expect_lost(struct engine *engine, struct amend_session *session)
{
	static const struct amend_begin begin = {.lock_timeout_ms = 1000};
	struct amend_error err;

	session_expect_state(engine, session, AMEND_TX_LOST);
	expect_error(AMEND_UNREACHABLE, "08006", session_try(engine, session, "SELECT 1"));
	expect_error(AMEND_UNREACHABLE, "08006", session_begin_with(engine, session, &begin));
	session_expect_state(engine, session, AMEND_TX_LOST);
	engine->driver->interrupt(session); /* does nothing, and does not crash */
	if (engine->driver->rollback(session, &err) != AMEND_OK)
		assert_int_equal(err.status, AMEND_UNREACHABLE);
	session_close(engine, session);
}

static void while_idle(struct engine *engine)
{
	struct amend_session *session = session_open(engine);

	session_expect(engine, session, "SELECT 1", "1");
	engine_kill_sessions(engine);
	expect_error(AMEND_UNREACHABLE, NULL, session_try(engine, session, "SELECT 1"));
	expect_lost(engine, session);
}

static void before_begin(struct engine *engine)
{
	static const struct amend_begin begin = {.lock_timeout_ms = 1000};
	struct amend_session *session = session_open(engine);

	engine_kill_sessions(engine);
	expect_error(AMEND_UNREACHABLE, NULL, session_begin_with(engine, session, &begin));
	expect_lost(engine, session);
}

static void inside_a_transaction(struct engine *engine)
{
	struct amend_session *session;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	session = session_open(engine);
	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (1)");
	engine_kill_sessions(engine);
	expect_error(AMEND_UNREACHABLE, NULL,
		     session_try(engine, session, "INSERT INTO t VALUES (2)"));
	expect_lost(engine, session);
	engine_expect(engine, "SELECT count(*) FROM t", "0");
}

static void many_statements(struct engine *engine)
{
	struct amend_statement statements[20];
	struct amend_rows rows[20];
	struct amend_session *session;
	struct amend_error err;
	size_t failed = 99;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	session = session_open(engine);
	session_begin(engine, session);
	for (size_t i = 0; i < COUNT(statements); i++)
		statements[i] = (struct amend_statement){.sql = "INSERT INTO t VALUES (1)"};
	engine_kill_sessions(engine);
	expect_status(
		AMEND_UNREACHABLE,
		engine->driver->run(session, statements, COUNT(statements), rows, &failed, &err),
		&err);
	assert_in_range(failed, 0, COUNT(statements) - 1);
	for (size_t i = 0; i < COUNT(rows); i++)
		amend_rows_release(&rows[i]);
	expect_lost(engine, session);
}

static void rollback_of_the_lost(struct engine *engine)
{
	struct amend_session *session;
	struct amend_error err;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	session = session_open(engine);
	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (1)");
	engine_kill_sessions(engine);
	if (engine->driver->rollback(session, &err) != AMEND_OK)
		assert_int_equal(err.status, AMEND_UNREACHABLE);
	expect_lost(engine, session);
	engine_expect(engine, "SELECT count(*) FROM t", "0");
}

/* A driver that notices before it sends COMMIT may say that nothing is in: here nothing is. */
static void before_commit(struct engine *engine)
{
	struct amend_session *session;
	struct attempt attempt;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	session = session_open(engine);
	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (1)");
	engine_kill_sessions(engine);
	attempt = session_commit(engine, session);
	if (attempt.status == AMEND_UNREACHABLE)
		expect_error(AMEND_UNREACHABLE, "08006", attempt);
	else
		expect_error(AMEND_OUTCOME_UNKNOWN, "08007", attempt);
	expect_lost(engine, session);
	engine_expect(engine, "SELECT count(*) FROM t", "0");
}

/* A trigger makes COMMIT take long enough to be killed in it. */
static void inside_commit(struct engine *engine)
{
	struct amend_session *session;
	struct foreign *killer;

	engine_exec(engine, "CREATE TABLE t (a integer);"
			    "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
			    " 'BEGIN PERFORM pg_sleep(20); RETURN NULL; END';"
			    "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON t"
			    " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()");
	session = session_open(engine);
	killer = foreign_open(engine);
	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (1)");
	foreign_start(killer, 3000,
		      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
		      " WHERE datname = current_database() AND application_name <> "
		      "'amend-test-foreign'");
	expect_error(AMEND_OUTCOME_UNKNOWN, "08007", session_commit(engine, session));
	expect_text(foreign_finish(killer), NULL);
	expect_lost(engine, session);
	engine_expect(engine, "SELECT count(*) FROM t", "0");
}

/* A lone statement that writes is its own commit: what is not known to be out may be in. */
static void expect_not_done(struct attempt attempt)
{
	if (attempt.status != AMEND_OUTCOME_UNKNOWN)
		expect_error(AMEND_UNREACHABLE, NULL, attempt);
}

static void before_a_lone_statement(struct engine *engine)
{
	struct amend_session *session;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	session = session_open(engine);
	engine_kill_sessions(engine);
	expect_not_done(session_try(engine, session, "INSERT INTO t VALUES (1)"));
	expect_lost(engine, session);
	engine_expect(engine, "SELECT count(*) FROM t", "0");
}

static void inside_a_lone_statement(struct engine *engine)
{
	const char *kill_it = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
			      "current_database() AND application_name <> 'amend-test-foreign'";
	struct amend_session *session;
	struct foreign *killer;
	struct attempt attempt;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	session = session_open(engine);
	killer = foreign_open(engine);
	if (engine_is(engine, "mariadb"))
		kill_it = engine_printf(engine, "KILL HARD CONNECTION %s",
					session_rows(engine, session, "SELECT connection_id()"));
	foreign_start(killer, 200, kill_it);
	attempt = session_try(engine, session,
			      engine_pick3(engine, NULL, "INSERT INTO t SELECT 1 FROM pg_sleep(20)",
					   "INSERT INTO t SELECT sleep(20)"));
	expect_text(foreign_finish(killer), NULL);
	expect_not_done(attempt);
	expect_lost(engine, session);
}

static void during_other_operations(struct engine *engine)
{
	struct amend_arena *arena = engine_arena(engine);
	struct amend_session *session;
	struct amend_table described;
	struct amend_error err;
	bool visible;

	engine_exec(engine, "CREATE TABLE t (a integer PRIMARY KEY)");
	session = session_open(engine);
	engine_kill_sessions(engine);
	expect_status(
		AMEND_UNREACHABLE,
		engine->driver->describe(session, NULL, "t", arena, &described, &visible, &err),
		&err);
	expect_lost(engine, session);

	session = session_open(engine);
	session_begin(engine, session);
	engine_kill_sessions(engine);
	expect_status(AMEND_UNREACHABLE, engine->driver->set_lock_timeout(session, 10, &err), &err);
	expect_lost(engine, session);
}

static const struct engine_test tests[] = {
	{"killed while idle: the next statement is UNREACHABLE", while_idle, .not_on = "sqlite"},
	{"killed before begin: UNREACHABLE", before_begin, .not_on = "sqlite"},
	{"killed inside: UNREACHABLE, and nothing is in", inside_a_transaction, .not_on = "sqlite"},
	{"killed before many statements: UNREACHABLE", many_statements, .not_on = "sqlite"},
	{"rollback of a lost transaction", rollback_of_the_lost, .not_on = "sqlite"},
	{"killed before COMMIT: not OK, and nothing is in", before_commit, .not_on = "sqlite"},
	{"killed inside COMMIT: OUTCOME_UNKNOWN", inside_commit, .only = "postgresql"},
	{"killed before a lone statement: not OK", before_a_lone_statement, .not_on = "sqlite"},
	{"killed in a lone statement: not OK", inside_a_lone_statement, .not_on = "sqlite"},
	{"killed before describe and set_lock_timeout", during_other_operations, .not_on = "sqlite"},
};

ENGINE_MAIN(tests)
