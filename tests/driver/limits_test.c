/*
 * Conformance: time limits and interrupts, and that the session is as good as new afterwards.
 * Leaves limits on lock waits to locks_test.c.
 */
#include "engines.h"

#include <pthread.h>

static const char *slow_sql(const struct engine *engine)
{
	return engine_pick3(engine,
			    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
			    " WHERE i < 2000000000) SELECT count(*) FROM n",
			    "SELECT count(*) FROM generate_series(1, 2000000000)",
			    "SELECT count(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b"
			    " WHERE a.seq + b.seq > 0");
}

/* About `ms` of work that nothing waits for. */
static const char *work_sql(const struct engine *engine)
{
	return engine_pick3(engine,
			    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
			    " WHERE i < 1500000) SELECT count(*) FROM n",
			    "SELECT 1500000 FROM pg_sleep(0.4)", "SELECT 1500000 + sleep(0.4)");
}

static void expect_good_as_new(struct engine *engine, struct amend_session *session)
{
	session_rollback(engine, session);
	session_expect_state(engine, session, AMEND_TX_IDLE);
	session_begin(engine, session);
	session_expect(engine, session, work_sql(engine), "1500000"); /* and no limit is left */
	session_exec(engine, session, "INSERT INTO t VALUES (1)");
	expect_done(session_commit(engine, session));
	engine_expect(engine, "SELECT count(*) FROM t", "1");
	engine_exec(engine, "DELETE FROM t");
}

static void time_limit(struct engine *engine)
{
	static const struct amend_begin begin = {.lock_timeout_ms = 1000, .time_limit_ms = 200};
	struct amend_session *session;
	int64_t begun = now_ms();

	engine_exec(engine, "CREATE TABLE t (a integer)");
	session = session_open(engine);
	for (int prepared = 0; prepared < 2; prepared++) {
		struct amend_statement slow = {.sql = slow_sql(engine), .once = !prepared};
		struct amend_error err;
		size_t failed;

		begun = now_ms();
		expect_done(session_begin_with(engine, session, &begin));
		expect_status(AMEND_INTERRUPTED,
			      engine->driver->run(session, &slow, 1, NULL, &failed, &err), &err);
		expect_text(err.sqlstate, "57014");
		assert_in_range(now_ms() - begun, 150, 15000);
		expect_good_as_new(engine, session);
	}
}

static void limit_not_reached(struct engine *engine)
{
	static const struct amend_begin begin = {.lock_timeout_ms = 1000, .time_limit_ms = 60000};
	struct amend_session *session;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	session = session_open(engine);
	expect_done(session_begin_with(engine, session, &begin));
	session_expect(engine, session, work_sql(engine), "1500000");
	expect_done(session_commit(engine, session));
	expect_good_as_new(engine, session);
}

/* The time limit also ends a wait for a lock that has no limit of its own. */
static void time_limit_on_a_wait(struct engine *engine)
{
	static const struct amend_begin begin = {.lock_timeout_ms = -1, .time_limit_ms = 300};
	struct foreign *foreign;
	struct amend_session *session;
	struct attempt attempt;
	int64_t begun;

	engine_exec(engine, "CREATE TABLE t (a integer); INSERT INTO t VALUES (1)");
	session = session_open(engine);
	foreign = foreign_open(engine);
	foreign_exec(foreign, engine_pick(engine, "BEGIN IMMEDIATE", "BEGIN"));
	foreign_exec(foreign, "UPDATE t SET a = 2");
	begun = now_ms();
	attempt = session_begin_with(engine, session, &begin);
	if (attempt.status == AMEND_OK)
		attempt = session_try(engine, session, "UPDATE t SET a = 3");
	expect_error(AMEND_INTERRUPTED, "57014", attempt);
	assert_in_range(now_ms() - begun, 250, 15000);
	foreign_exec(foreign, "ROLLBACK; DELETE FROM t");
	expect_good_as_new(engine, session);
}

/* --- Interrupts from another thread --- */

struct interrupter {
	const struct amend_driver *driver;
	struct amend_session *session;
	pthread_t thread;
};

static void *interrupt_soon(void *thing)
{
	struct interrupter *interrupter = thing;

	sleep_ms(200);
	interrupter->driver->interrupt(interrupter->session);
	return NULL;
}

static void start(struct interrupter *interrupter)
{
	assert_int_equal(pthread_create(&interrupter->thread, NULL, interrupt_soon, interrupter), 0);
}

static void interrupt_a_statement(struct engine *engine)
{
	struct interrupter interrupter = {.driver = engine->driver};
	struct amend_session *session;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	interrupter.session = session = session_open(engine);
	for (int inside = 0; inside < 2; inside++) {
		struct attempt attempt;
		int64_t begun = now_ms();

		if (inside)
			session_begin(engine, session);
		start(&interrupter);
		attempt = session_try(engine, session, slow_sql(engine));
		pthread_join(interrupter.thread, NULL);
		expect_error(AMEND_INTERRUPTED, "57014", attempt);
		assert_in_range(now_ms() - begun, 150, 15000);
		expect_good_as_new(engine, session);
	}
}

static void interrupt_a_wait(struct engine *engine)
{
	struct interrupter interrupter = {.driver = engine->driver};
	static const struct amend_begin begin = {.lock_timeout_ms = 20000};
	struct amend_session *session;
	struct foreign *foreign;
	struct attempt attempt;
	int64_t begun;

	engine_exec(engine, "CREATE TABLE t (a integer); INSERT INTO t VALUES (1)");
	interrupter.session = session = session_open(engine);
	foreign = foreign_open(engine);
	foreign_exec(foreign, engine_pick(engine, "BEGIN IMMEDIATE", "BEGIN"));
	foreign_exec(foreign, "UPDATE t SET a = 2");
	begun = now_ms();
	start(&interrupter);
	attempt = session_begin_with(engine, session, &begin);
	if (attempt.status == AMEND_OK)
		attempt = session_try(engine, session, "UPDATE t SET a = 3");
	pthread_join(interrupter.thread, NULL);
	expect_error(AMEND_INTERRUPTED, "57014", attempt);
	assert_in_range(now_ms() - begun, 150, 15000);
	foreign_exec(foreign, "ROLLBACK; DELETE FROM t");
	expect_good_as_new(engine, session);
}

/* One that comes when nothing runs hits nothing that runs later. */
static void interrupt_of_nothing(struct engine *engine)
{
	struct amend_session *session;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	session = session_open(engine);
	for (int i = 0; i < 100; i++) {
		engine->driver->interrupt(session);
		session_expect(engine, session, "SELECT 1", "1");
		session_exec(engine, session, "INSERT INTO t VALUES (1)");
	}
	for (int i = 0; i < 100; i++) {
		session_begin(engine, session);
		engine->driver->interrupt(session);
		session_exec(engine, session, "INSERT INTO t VALUES (1)");
		engine->driver->interrupt(session);
		expect_done(session_commit(engine, session));
	}
	engine_expect(engine, "SELECT count(*) FROM t", "200");
}

static const struct engine_test tests[] = {
	{"a statement past the time limit is INTERRUPTED 57014", time_limit, .real = true},
	{"a time limit not reached leaves nothing behind", limit_not_reached, .real = true},
	{"the time limit ends a wait for a lock", time_limit_on_a_wait, .real = true},
	{"an interrupt ends the statement", interrupt_a_statement, .real = true},
	{"an interrupt ends the wait for a lock", interrupt_a_wait, .real = true},
	{"an interrupt of nothing hits nothing", interrupt_of_nothing},
};

ENGINE_MAIN(tests)
