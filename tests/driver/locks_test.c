/*
 * Conformance: waiting for what another holds, and what an engine undoes for it.
 * Leaves time limits and interrupts to limits_test.c.
 */
#include "engines.h"

static void table(struct engine *engine)
{
	engine_exec(engine, "CREATE TABLE t (a integer PRIMARY KEY, b integer)");
	engine_exec(engine, "INSERT INTO t VALUES (1, 0), (2, 0)");
}

/* Another program that holds row 1 (SQLite: the database) until it commits. */
static struct foreign *holder(struct engine *engine)
{
	struct foreign *foreign = foreign_open(engine);

	foreign_exec(foreign, engine_pick(engine, "BEGIN IMMEDIATE", "BEGIN"));
	foreign_exec(foreign, "UPDATE t SET b = b + 1 WHERE a = 1");
	return foreign;
}

/* Begins and writes row 1: somewhere in it lies the wait. */
static struct attempt contend(struct engine *engine, struct amend_session *session,
			      int lock_timeout_ms)
{
	struct amend_begin begin = {.lock_timeout_ms = lock_timeout_ms};
	struct attempt attempt = session_begin_with(engine, session, &begin);

	if (attempt.status != AMEND_OK)
		return attempt;
	return session_try(engine, session, "UPDATE t SET b = b + 10 WHERE a = 1");
}

static void locked_after_the_limit(struct engine *engine)
{
	static const struct {
		int limit_ms, at_least, at_most;
	} cases[] = {{0, 0, 5000}, {1, 0, 5000}, {300, 250, 8000}};
	/* MariaDB counts whole seconds, and looks for who has waited too long once in each. */
	const int more = engine_is(engine, "mariadb") ? 2500 : 0;
	struct amend_session *session;
	struct foreign *foreign;

	table(engine);
	session = session_open(engine);
	foreign = holder(engine);
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t begun = now_ms(), took;

		expect_error(AMEND_LOCKED, "55P03", contend(engine, session, cases[i].limit_ms));
		took = now_ms() - begun;
		assert_in_range(took, cases[i].at_least, cases[i].at_most + more);
		session_rollback(engine, session);
		session_expect_state(engine, session, AMEND_TX_IDLE);
	}
	foreign_exec(foreign, "COMMIT");
	expect_done(contend(engine, session, 0));
	expect_done(session_commit(engine, session));
	engine_expect(engine, "SELECT b FROM t WHERE a = 1", "11");
}

static void waits_for_the_other(struct engine *engine)
{
	static const int limits[] = {10000, -1};
	struct amend_session *session;

	table(engine);
	session = session_open(engine);
	for (size_t i = 0; i < COUNT(limits); i++) {
		struct foreign *foreign = holder(engine);
		int64_t begun = now_ms();

		foreign_start(foreign, 200, "COMMIT");
		expect_done(contend(engine, session, limits[i]));
		assert_in_range(now_ms() - begun, 150, 15000);
		expect_done(session_commit(engine, session));
		expect_text(foreign_finish(foreign), NULL);
		foreign_close(foreign);
	}
	engine_expect(engine, "SELECT b FROM t WHERE a = 1", "22");
}

static void holds_others_off(struct engine *engine)
{
	struct foreign *foreign;
	struct amend_session *session;

	table(engine);
	session = session_open(engine);
	foreign = foreign_open(engine);
	expect_done(contend(engine, session, 1000));
	foreign_start(foreign, 0, "UPDATE t SET b = b * 2 WHERE a = 1");
	foreign_wait_blocked(foreign);
	expect_done(session_commit(engine, session));
	expect_text(foreign_finish(foreign), NULL);
	engine_expect(engine, "SELECT b FROM t WHERE a = 1", "20");
}

/* Even before it has written: a unit that may write is a writer from its beginning. */
static void holds_from_the_beginning(struct engine *engine)
{
	struct foreign *foreign;
	struct amend_session *session;

	table(engine);
	session = session_open(engine);
	foreign = foreign_open(engine);
	session_begin(engine, session);
	session_expect(engine, session, "SELECT b FROM t WHERE a = 1", "0");
	foreign_start(foreign, 0, "UPDATE t SET b = 5");
	foreign_wait_blocked(foreign);
	session_exec(engine, session, "UPDATE t SET b = 7 WHERE a = 1");
	expect_done(session_commit(engine, session));
	expect_text(foreign_finish(foreign), NULL);
	engine_expect(engine, "SELECT b FROM t WHERE a = 1", "5");
}

static void new_limit_inside(struct engine *engine)
{
	struct amend_session *session;
	struct amend_error err;
	int64_t begun;

	table(engine);
	session = session_open(engine);
	session_begin(engine, session);
	holder(engine);
	expect_ok(engine->driver->set_lock_timeout(session, 0, &err), &err);
	begun = now_ms();
	expect_error(AMEND_LOCKED, "55P03",
		     session_try(engine, session, "UPDATE t SET b = 1 WHERE a = 1"));
	assert_in_range(now_ms() - begun, 0, 8000);
	session_rollback(engine, session);
	session_begin(engine, session);
	expect_ok(engine->driver->set_lock_timeout(session, 300, &err), &err);
	begun = now_ms();
	expect_error(AMEND_LOCKED, "55P03",
		     session_try(engine, session, "UPDATE t SET b = 1 WHERE a = 1"));
	assert_in_range(now_ms() - begun, 250, 8000);
	session_rollback(engine, session);
}

static void explicit_locks(struct engine *engine)
{
	const struct amend_dialect *dialect = engine->driver->dialect;
	const char *const suffixes[] = {dialect->for_update, dialect->for_no_key_update,
					dialect->for_share};
	struct amend_session *session;

	table(engine);
	session = session_open(engine);
	holder(engine);
	for (size_t i = 0; i < COUNT(suffixes); i++) {
		session_begin(engine, session);
		expect_error(AMEND_LOCKED, "55P03",
			     session_try(engine, session,
					 engine_printf(engine, "SELECT b FROM t WHERE a = 1 %s %s",
						       suffixes[i], dialect->nowait)));
		session_rollback(engine, session);
		session_begin(engine, session);
		session_expect(engine, session,
			       engine_printf(engine, "SELECT a FROM t ORDER BY a %s %s",
					     suffixes[i], dialect->skip_locked),
			       "2");
		session_rollback(engine, session);
	}
}

static void table_locks(struct engine *engine)
{
	const struct amend_dialect *dialect = engine->driver->dialect;
	struct amend_session *session;
	struct foreign *foreign;

	table(engine);
	session = session_open(engine);
	foreign = foreign_open(engine);
	session_begin(engine, session);
	session_exec(engine, session,
		     engine_printf(engine, "%s%s%s", dialect->lock_table_update, "\"t\"",
				   dialect->lock_table_update_mode));
	foreign_rows(foreign, "SELECT * FROM t"); /* readers pass */
	foreign_start(foreign, 0, "UPDATE t SET b = 1");
	foreign_wait_blocked(foreign);
	expect_done(session_commit(engine, session));
	expect_text(foreign_finish(foreign), NULL);
	session_begin(engine, session);
	session_exec(engine, session,
		     engine_printf(engine, "%s%s%s", dialect->lock_table_share, "\"t\"",
				   dialect->lock_table_share_mode));
	session_rollback(engine, session);
}

static void deadlock(struct engine *engine)
{
	struct amend_session *session;
	struct foreign *foreign;

	table(engine);
	session = session_open(engine);
	foreign = foreign_open(engine);
	/* So that the victim is ours: PostgreSQL undoes who looks first, MariaDB who has changed least. */
	if (engine_is(engine, "postgresql"))
		foreign_exec(foreign, "SET deadlock_timeout = '30s'");
	foreign_exec(foreign, "CREATE TABLE many (n integer)");
	foreign_exec(foreign, "BEGIN; INSERT INTO many VALUES (1), (2), (3), (4), (5), (6);"
			      "UPDATE t SET b = 1 WHERE a = 2");
	expect_done(contend(engine, session, 20000));
	foreign_start(foreign, 0, "UPDATE t SET b = 1 WHERE a = 1");
	foreign_wait_blocked(foreign);
	expect_error(AMEND_RETRY, "40P01",
		     session_try(engine, session, "UPDATE t SET b = 2 WHERE a = 2"));
	session_expect_state(engine, session,
			     engine_is(engine, "mariadb") ? AMEND_TX_IDLE : AMEND_TX_FAILED);
	session_rollback(engine, session);
	expect_text(foreign_finish(foreign), NULL);
	foreign_exec(foreign, "COMMIT");
	engine_expect(engine, "SELECT b FROM t ORDER BY a", "1\n1");
}

static void write_to_a_changed_row(struct engine *engine)
{
	static const struct amend_begin begin = {.isolation = AMEND_REPEATABLE_READ,
						 .lock_timeout_ms = 1000};
	struct amend_session *session;

	table(engine);
	session = session_open(engine);
	expect_done(session_begin_with(engine, session, &begin));
	session_expect(engine, session, "SELECT b FROM t WHERE a = 1", "0");
	engine_exec(engine, "UPDATE t SET b = 5");
	expect_error(AMEND_RETRY, "40001",
		     session_try(engine, session, "UPDATE t SET b = 6 WHERE a = 1"));
	/* MariaDB has undone it all: what came now would be in by itself. */
	if (engine_is(engine, "mariadb"))
		expect_error(AMEND_INVALID, "25000",
			     session_try(engine, session, "UPDATE t SET b = 7 WHERE a = 1"));
	session_rollback(engine, session);
	engine_expect(engine, "SELECT b FROM t ORDER BY a", "5\n5");
}

/* Write skew: SERIALIZABLE fails at COMMIT, and then it is undone. */
static void retry_at_commit(struct engine *engine)
{
	static const struct amend_begin begin = {.isolation = AMEND_SERIALIZABLE,
						 .lock_timeout_ms = 1000};
	struct amend_session *session;
	struct foreign *foreign;

	table(engine);
	session = session_open(engine);
	foreign = foreign_open(engine);
	expect_done(session_begin_with(engine, session, &begin));
	foreign_exec(foreign, "BEGIN ISOLATION LEVEL SERIALIZABLE");
	session_expect(engine, session, "SELECT sum(b) FROM t", "0");
	foreign_rows(foreign, "SELECT sum(b) FROM t");
	session_exec(engine, session, "UPDATE t SET b = 1 WHERE a = 1");
	foreign_exec(foreign, "UPDATE t SET b = 1 WHERE a = 2");
	foreign_exec(foreign, "COMMIT");
	expect_error(AMEND_RETRY, "40001", session_commit(engine, session));
	session_expect_state(engine, session, AMEND_TX_IDLE);
	engine_expect(engine, "SELECT b FROM t ORDER BY a", "0\n1");
}

/* --- SQLite: the application's deferred transactions --- */

static void become_writer_is_there(struct engine *engine)
{
	bool rows_are_locked = engine->driver->features & AMEND_HAS_ROW_LOCK;

	assert_int_equal(engine->driver->become_writer == NULL, rows_are_locked);
}

static void becomes_a_writer(struct engine *engine)
{
	struct foreign *application, *other;
	struct amend_session *session;
	struct amend_error err;

	table(engine);
	application = foreign_open(engine);
	other = foreign_open(engine);
	session = session_adopt(engine, application);
	foreign_exec(application, "BEGIN");
	expect_ok(engine->driver->become_writer(session, &err), &err);
	expect_ok(engine->driver->become_writer(session, &err), &err); /* it is one already */
	foreign_start(other, 0, "UPDATE t SET b = b * 3");
	foreign_wait_blocked(other);
	session_exec(engine, session, "UPDATE t SET b = 7");
	foreign_exec(application, "COMMIT");
	expect_text(foreign_finish(other), NULL);
	engine_expect(engine, "SELECT b FROM t", "21\n21");
}

/* It has read what another has changed since: no retry of the statement mends that. */
static void busy_snapshot(struct engine *engine)
{
	struct foreign *application;
	struct amend_session *session;
	struct amend_error err;
	int64_t begun;

	table(engine);
	engine_exec(engine, "PRAGMA journal_mode = WAL");
	application = foreign_open(engine);
	session = session_adopt(engine, application);
	for (int i = 0; i < 2; i++) {
		foreign_exec(application, "BEGIN");
		expect_text(foreign_rows(application, "SELECT count(*) FROM t"), "2");
		engine_exec(engine, "UPDATE t SET b = b + 1");
		begun = now_ms();
		if (i == 0)
			expect_status(AMEND_RETRY, engine->driver->become_writer(session, &err),
				      &err);
		else {
			struct attempt attempt = session_try(engine, session, "UPDATE t SET b = 0");

			err = attempt.error;
			expect_error(AMEND_RETRY, NULL, attempt);
		}
		expect_text(err.sqlstate, "40001");
		assert_in_range(now_ms() - begun, 0, 2000); /* no wait mends it */
		foreign_exec(application, "ROLLBACK");
	}
	engine_expect(engine, "SELECT b FROM t", "2\n2");
}

/* COMMIT that must wait for a reader (journal mode DELETE) is tried again by itself. */
static void commit_waits_for_readers(struct engine *engine)
{
	struct amend_session *session;
	struct foreign *reader;

	table(engine);
	engine_exec(engine, "PRAGMA journal_mode = DELETE");
	session = session_open(engine);
	reader = foreign_open(engine);
	foreign_exec(reader, "BEGIN");
	expect_text(foreign_rows(reader, "SELECT count(*) FROM t"), "2");
	expect_done(contend(engine, session, 5000));
	foreign_start(reader, 200, "COMMIT");
	expect_done(session_commit(engine, session));
	expect_text(foreign_finish(reader), NULL);
	engine_expect(engine, "SELECT b FROM t WHERE a = 1", "10");
}

static const struct engine_test tests[] = {
	{"what another holds is LOCKED 55P03 after the limit", locked_after_the_limit},
	{"within the limit it waits, and goes on", waits_for_the_other},
	{"what it has written others wait for", holds_others_off},
	{"a writing unit holds from its beginning", holds_from_the_beginning,
	 .lacks = AMEND_HAS_ROW_LOCK},
	{"the limit can be changed inside", new_limit_inside, .needs = AMEND_HAS_ROW_LOCK},
	{"the dialect's locks, NOWAIT and SKIP LOCKED", explicit_locks,
	 .needs = AMEND_HAS_ROW_LOCK | AMEND_HAS_KEY_STRENGTHS | AMEND_HAS_SHARE},
	{"the dialect's table locks", table_locks, .needs = AMEND_HAS_TABLE_LOCK},
	{"a deadlock is RETRY 40P01", deadlock, .needs = AMEND_HAS_ROW_LOCK},
	{"a write to a changed row is RETRY 40001", write_to_a_changed_row,
	 .needs = AMEND_HAS_ROW_LOCK},
	{"a commit refused is RETRY 40001 and undone", retry_at_commit, .only = "postgresql"},
	{"become_writer is there where rows are not locked", become_writer_is_there},
	{"a deferred transaction becomes a writer", becomes_a_writer, .lacks = AMEND_HAS_ROW_LOCK},
	{"a stale snapshot is RETRY 40001 at once", busy_snapshot, .only = "sqlite"},
	{"COMMIT waits for a reader by itself", commit_waits_for_readers, .only = "sqlite"},
};

ENGINE_MAIN(tests)
