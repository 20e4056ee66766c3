/*
 * Conformance: the application's own handle, whose settings and transactions stay its own.
 * Leaves settings of opened sessions to open_test.c.
 */
#include "engines.h"

static void pin(struct engine *engine, struct amend_session *session)
{
	struct amend_error err;

	expect_ok(engine->driver->pin(session, &err), &err);
}

static void unpin(struct engine *engine, struct amend_session *session)
{
	struct amend_error err;

	expect_ok(engine->driver->unpin(session, &err), &err);
}

static void handle_stays_open(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct amend_session *session;

	foreign_exec(application, "CREATE TABLE t (a integer)");
	session = session_adopt(engine, application);
	session_expect_state(engine, session, AMEND_TX_IDLE);
	pin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (1)");
	unpin(engine, session);
	session_close(engine, session);
	expect_text(foreign_rows(application, "SELECT a FROM t"), "1");
	foreign_close(application); /* no statement of ours keeps it */
}

static void transaction_is_the_applications(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct amend_session *session;

	foreign_exec(application, "CREATE TABLE t (a integer)");
	session = session_adopt(engine, application);
	foreign_exec(application, "BEGIN; INSERT INTO t VALUES (1)");
	session_expect_state(engine, session, AMEND_TX_ACTIVE);
	pin(engine, session);
	session_exec(engine, session, "SAVEPOINT s");
	session_exec(engine, session, "INSERT INTO t VALUES (2)");
	session_exec(engine, session, "RELEASE SAVEPOINT s");
	unpin(engine, session);
	session_expect_state(engine, session, AMEND_TX_ACTIVE);
	engine_expect(engine, "SELECT count(*) FROM t", "0");
	session_close(engine, session); /* undoes nothing of the application's */
	foreign_exec(application, "COMMIT");
	engine_expect(engine, "SELECT a FROM t ORDER BY a", "1\n2");
}

static void own_transaction_while_idle(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct amend_session *session;

	foreign_exec(application, "CREATE TABLE t (a integer)");
	session = session_adopt(engine, application);
	for (int i = 0; i < 2; i++) {
		pin(engine, session);
		session_begin(engine, session);
		session_exec(engine, session, "INSERT INTO t VALUES (1)");
		if (i == 0)
			expect_done(session_commit(engine, session));
		else
			session_rollback(engine, session);
		unpin(engine, session);
		session_expect_state(engine, session, AMEND_TX_IDLE);
	}
	engine_expect(engine, "SELECT count(*) FROM t", "1");
}

/* --- Settings --- */

static const char *settings_of(struct engine *engine, struct foreign *application)
{
	if (engine_is(engine, "sqlite"))
		return engine_printf(engine, "%s %s %s %s %s %s",
				     foreign_rows(application, "PRAGMA foreign_keys"),
				     foreign_rows(application, "PRAGMA query_only"),
				     foreign_rows(application, "PRAGMA recursive_triggers"),
				     foreign_rows(application, "PRAGMA defer_foreign_keys"),
				     foreign_rows(application, "PRAGMA ignore_check_constraints"),
				     foreign_rows(application, "PRAGMA synchronous"));
	/* What counts, and not what the session is. */
	if (engine_is(engine, "mariadb"))
		return foreign_rows(
			application,
			"SELECT group_concat(variable_name, '=', session_value ORDER BY variable_name)"
			" FROM information_schema.system_variables WHERE session_value IS NOT NULL AND"
			" variable_name NOT IN ('TIMESTAMP', 'RAND_SEED1', 'RAND_SEED2', 'INSERT_ID',"
			" 'LAST_INSERT_ID', 'IDENTITY', 'WARNING_COUNT', 'ERROR_COUNT', 'LAST_GTID',"
			" 'IN_TRANSACTION', 'GTID_SEQ_NO')");
	return foreign_rows(application,
			    "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name)"
			    " FROM pg_settings WHERE name <> 'in_hot_standby'"
			    " AND name !~ '^transaction_'");
}

/* What the application has set, in ways that would spoil ours. */
static const char *odd_settings(const struct engine *engine)
{
	return engine_pick3(
		engine,
		"PRAGMA foreign_keys = OFF; PRAGMA recursive_triggers = ON;"
		"PRAGMA synchronous = OFF",
		"SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Tokyo';"
		"SET extra_float_digits = 0; SET bytea_output = 'escape';"
		"SET intervalstyle = 'iso_8601'; SET array_nulls = off;"
		"SET search_path = 'odd, name', public; SET lock_timeout = '7s';"
		"SET statement_timeout = '77s'; SET client_encoding = 'LATIN1'; SET jit = on;"
		"SET standard_conforming_strings = off",
		"SET NAMES latin1; SET time_zone = '+09:00', sql_mode = 'NO_UNSIGNED_SUBTRACTION',"
		" tx_isolation = 'REPEATABLE-READ', sql_select_limit = 1, sql_safe_updates = 1,"
		" innodb_lock_wait_timeout = 7, lock_wait_timeout = 8, max_statement_time = 77.5");
}

static void use(struct engine *engine, struct amend_session *session)
{
	session_exec(engine, session, "INSERT INTO t VALUES (1)");
	if (engine_is(engine, "sqlite"))
		return;
	session_expect(engine, session, "SELECT 'Zürich 東京'", "Zürich 東京");
	if (engine_is(engine, "mariadb")) {
		session_expect(engine, session, "SELECT from_unixtime(0)", "1970-01-01 00:00:00");
		session_expect(engine, session, "SELECT \"a\" FROM t WHERE 'x' || 'y' <> 'xy '",
			       session_rows(engine, session, "SELECT a FROM t"));
		return;
	}
	session_expect(engine, session, "SELECT timestamptz '2024-02-01 00:00+00'",
		       "2024-02-01 00:00:00+00");
	session_expect(engine, session, "SELECT '\\x00ff'::bytea", "\\x00ff");
	session_expect(engine, session, "SELECT 0.1::float8 + 0.2", "0.30000000000000004");
}

static void settings_while_idle(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct amend_session *session;
	const char *before;

	foreign_exec(application, "CREATE TABLE t (a integer)");
	foreign_exec(application, odd_settings(engine));
	before = settings_of(engine, application);
	session = session_adopt(engine, application);
	expect_text(settings_of(engine, application), before); /* pins nothing yet */
	for (int i = 0; i < 3; i++) {
		pin(engine, session);
		use(engine, session);
		session_begin(engine, session);
		use(engine, session);
		if (i == 1)
			session_rollback(engine, session);
		else
			expect_done(session_commit(engine, session));
		unpin(engine, session);
		expect_text(settings_of(engine, application), before);
	}
	session_close(engine, session);
	expect_text(settings_of(engine, application), before);
}

static void settings_inside(struct engine *engine)
{
	static const char *const ends[] = {"COMMIT", "ROLLBACK"};
	struct foreign *application = foreign_open(engine);
	struct amend_session *session;
	const char *before;

	foreign_exec(application, "CREATE TABLE t (a integer)");
	foreign_exec(application, odd_settings(engine));
	before = settings_of(engine, application);
	session = session_adopt(engine, application);
	for (size_t i = 0; i < COUNT(ends); i++) {
		foreign_exec(application, "BEGIN");
		for (int k = 0; k < 2; k++) {
			pin(engine, session);
			use(engine, session);
			unpin(engine, session);
			expect_text(settings_of(engine, application), before);
		}
		foreign_exec(application, ends[i]);
		expect_text(settings_of(engine, application), before);
	}
}

/* What a failed transaction cannot give back, its ROLLBACK does. */
static void settings_after_failure(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct amend_session *session;
	const char *before;

	foreign_exec(application, "CREATE TABLE t (a integer)");
	foreign_exec(application, odd_settings(engine));
	before = settings_of(engine, application);
	session = session_adopt(engine, application);
	foreign_exec(application, "BEGIN");
	pin(engine, session);
	use(engine, session);
	assert_int_not_equal(session_try(engine, session, "SELEKT").status, AMEND_OK);
	unpin(engine, session);
	foreign_exec(application, "ROLLBACK");
	expect_text(settings_of(engine, application), before);

	foreign_exec(application, "BEGIN; SAVEPOINT mine");
	pin(engine, session);
	session_exec(engine, session, "SAVEPOINT s");
	assert_int_not_equal(session_try(engine, session, "SELEKT").status, AMEND_OK);
	session_exec(engine, session, "ROLLBACK TO s");
	session_exec(engine, session, "RELEASE SAVEPOINT s");
	use(engine, session);
	unpin(engine, session);
	expect_text(settings_of(engine, application), before);
	foreign_exec(application, "ROLLBACK TO mine");
	expect_text(settings_of(engine, application), before);
	foreign_exec(application, "COMMIT");
	expect_text(settings_of(engine, application), before);

	/* the application rolls back to a point before our pinning, while idle it was */
	pin(engine, session);
	use(engine, session);
	unpin(engine, session);
	expect_text(settings_of(engine, application), before);
}

/* SET LOCAL ends with the transaction, SET inside one stays: also when we came between. */
static void local_settings(struct engine *engine)
{
	static const struct {
		const char *set, *inside, *after;
	} cases[] = {
		{"SET LOCAL timezone = 'Europe/Paris'", "Europe/Paris", "Asia/Tokyo"},
		{"SET timezone = 'Europe/Rome'", "Europe/Rome", "Europe/Rome"},
		{"SET LOCAL timezone = 'UTC'", "UTC", "Europe/Rome"},
		{"SELECT 1", "Europe/Rome", "Europe/Rome"},
	};
	struct foreign *application = foreign_open(engine);
	struct amend_session *session;

	foreign_exec(application, "CREATE TABLE t (a integer); SET timezone = 'Asia/Tokyo'");
	session = session_adopt(engine, application);
	for (size_t i = 0; i < COUNT(cases); i++) {
		foreign_exec(application, "BEGIN");
		foreign_exec(application, cases[i].set);
		pin(engine, session);
		use(engine, session);
		unpin(engine, session);
		expect_text(foreign_rows(application, "SHOW timezone"), cases[i].inside);
		foreign_exec(application, "COMMIT");
		expect_text(foreign_rows(application, "SHOW timezone"), cases[i].after);
	}
}

/* --- Prepared statements --- */

static void deallocated_by_the_application(struct engine *engine)
{
	static const char *const resets[] = {"DEALLOCATE ALL", "DISCARD PLANS"};
	static const char *const sql = "SELECT 41 + 1";
	struct foreign *application = foreign_open(engine);
	struct amend_session *session = session_adopt(engine, application);

	for (size_t i = 0; i < COUNT(resets); i++) {
		for (int inside = 0; inside < 2; inside++) {
			for (int k = 0; k < 3; k++)
				session_expect(engine, session, sql, "42");
			if (inside)
				foreign_exec(application, "BEGIN");
			foreign_exec(application, resets[i]);
			pin(engine, session);
			session_expect(engine, session, sql, "42");
			unpin(engine, session);
			if (inside)
				foreign_exec(application, "COMMIT");
		}
	}
	foreign_exec(application, "DISCARD ALL");
	pin(engine, session);
	session_expect(engine, session, sql, "42");
	unpin(engine, session);
}

/* Two connections of ours on one handle do not take each other's statements. */
static void adopted_twice(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct amend_session *one, *two;

	one = session_adopt(engine, application);
	two = session_adopt(engine, application);
	session_expect(engine, one, "SELECT 'one'", "one");
	session_expect(engine, two, "SELECT 'two'", "two");
	session_expect(engine, one, "SELECT 'one'", "one");
	session_expect(engine, two, "SELECT 'two'", "two");
	session_close(engine, one);
	session_expect(engine, two, "SELECT 'two'", "two");
	one = session_adopt(engine, application);
	session_expect(engine, one, "SELECT 'three'", "three");
	session_expect(engine, two, "SELECT 'two'", "two");
}

/* SQLite cannot tell one's busy handler to others: the application's stays. */
static void busy_handler_stays(struct engine *engine)
{
	struct foreign *application = foreign_open(engine), *holder = foreign_open(engine);
	struct amend_session *session;
	struct amend_begin begin = {.lock_timeout_ms = 5000};

	foreign_exec(application, "CREATE TABLE t (a integer)");
	session = session_adopt(engine, application);
	foreign_exec(holder, "BEGIN IMMEDIATE");
	foreign_start(holder, 200, "COMMIT");
	pin(engine, session);
	expect_done(session_begin_with(engine, session, &begin));
	session_rollback(engine, session);
	unpin(engine, session);
	session_close(engine, session);
	expect_text(foreign_finish(holder), NULL);

	foreign_exec(holder, "BEGIN IMMEDIATE");
	foreign_start(application, 0, "INSERT INTO t VALUES (1)");
	foreign_wait_blocked(application); /* in its own handler */
	foreign_exec(holder, "COMMIT");
	expect_text(foreign_finish(application), NULL);
}

static const struct engine_test tests[] = {
	{"an adopted handle stays open and usable", handle_stays_open},
	{"the application's transaction stays its own", transaction_is_the_applications},
	{"while it has none, ours begins and ends", own_transaction_while_idle},
	{"settings are as before, adopted while idle", settings_while_idle, .real = true},
	{"settings are as before, adopted inside a transaction", settings_inside, .real = true},
	{"settings are as before, after a failure", settings_after_failure, .real = true},
	{"SET LOCAL stays local, SET stays set", local_settings, .only = "postgresql"},
	{"the application may deallocate our statements", deallocated_by_the_application,
	 .only = "postgresql"},
	{"one handle adopted twice", adopted_twice},
	{"the busy handler stays the application's", busy_handler_stays, .only = "sqlite"},
};

ENGINE_MAIN(tests)
