/*
 * Conformance: prepared statements kept for later: more than fit, and tables that change.
 * Leaves failures within a run to run_test.c.
 */
#include "engines.h"

static const char *const grown_sql = "SELECT * FROM t ORDER BY 1";

static void more_than_fit(struct engine *engine)
{
	enum { MANY = 1500 };
	struct amend_session *session = session_open(engine);

	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < MANY; i++) {
			char sql[64], expected[16];

			snprintf(sql, sizeof(sql), "SELECT %d AS a%d", i, i);
			snprintf(expected, sizeof(expected), "%d", i);
			session_expect(engine, session, sql, expected);
		}
	}
	if (engine_is(engine, "postgresql")) {
		const char *kept = session_rows(
			engine, session, "SELECT count(*) < 1000 FROM pg_prepared_statements");

		expect_text(kept, "t");
	}
	session_expect(engine, session, "SELECT 0 AS a0", "0");
}

/* Many in one run, more than fit, and each is still there when its turn comes. */
static void more_than_fit_in_one_run(struct engine *engine)
{
	enum { MANY = 1500 };
	struct amend_session *session = session_open(engine);
	struct amend_arena *arena = engine_arena(engine);
	struct amend_statement *statements = amend_arena_array(arena, MANY, sizeof(*statements));
	struct amend_rows *rows = amend_arena_array(arena, MANY, sizeof(*rows));
	struct amend_error err;
	size_t failed;

	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < MANY; i++)
			statements[i].sql = engine_printf(engine, "SELECT '%d' AS b", i);
		expect_ok(engine->driver->run(session, statements, MANY, rows, &failed, &err), &err);
		for (int i = 0; i < MANY; i++) {
			char expected[16];

			snprintf(expected, sizeof(expected), "%d", i);
			expect_text(rows[i].values[0].as.text, expected);
			amend_rows_release(&rows[i]);
		}
	}
}

/* RETRY is an answer too, for whoever can run the unit again; never another error, or the old shape. */
static void expect_soon(struct engine *engine, struct amend_session *session, bool inside,
			const char *expected)
{
	struct amend_statement statement = {.sql = grown_sql};
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error err;
	enum amend_status status;
	size_t failed;

	if (inside)
		session_begin(engine, session);
	status = engine->driver->run(session, &statement, 1, &rows, &failed, &err);
	amend_rows_release(&rows);
	if (status == AMEND_RETRY) {
		session_rollback(engine, session);
		if (inside)
			session_begin(engine, session);
	} else {
		expect_ok(status, &err);
	}
	session_expect(engine, session, grown_sql, expected);
	if (inside)
		expect_done(session_commit(engine, session));
}

static void table_grows(struct engine *engine)
{
	struct amend_session *session;

	engine_exec(engine, "CREATE TABLE t (a integer); INSERT INTO t VALUES (1)");
	session = session_open(engine);
	for (int i = 0; i < 3; i++)
		session_expect(engine, session, grown_sql, "1");
	engine_exec(engine, "ALTER TABLE t ADD COLUMN b text DEFAULT 'new'");
	expect_soon(engine, session, false, "1|new");
	engine_exec(engine, "ALTER TABLE t ADD COLUMN c text DEFAULT 'newer'");
	expect_soon(engine, session, true, "1|new|newer");
	engine_exec(engine, "ALTER TABLE t DROP COLUMN b");
	expect_soon(engine, session, true, "1|newer");
}

/* The session's own DDL too. */
static void table_grows_inside(struct engine *engine)
{
	struct amend_session *session;

	engine_exec(engine, "CREATE TABLE t (a integer); INSERT INTO t VALUES (1)");
	session = session_open(engine);
	for (int i = 0; i < 3; i++)
		session_expect(engine, session, grown_sql, "1");
	session_exec(engine, session, "ALTER TABLE t ADD COLUMN b text DEFAULT 'new'");
	expect_soon(engine, session, false, "1|new");
}

static void table_made_anew(struct engine *engine)
{
	static const struct amend_value value = {.kind = AMEND_TEXT, .size = 1, .as.text = "7"};
	struct amend_session *session;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	session = session_open(engine);
	for (int i = 0; i < 3; i++)
		expect_done(session_with(engine, session, "INSERT INTO t VALUES (?1)", &value, 1));
	engine_exec(engine, "DROP TABLE t");
	expect_error(AMEND_NOT_FOUND, "42P01",
		     session_with(engine, session, "INSERT INTO t VALUES (?1)", &value, 1));
	engine_exec(engine, "CREATE TABLE t (a integer)");
	expect_done(session_with(engine, session, "INSERT INTO t VALUES (?1)", &value, 1));
	engine_expect(engine, "SELECT a FROM t", "7");
}

/* A parameter prepared for the old type refuses at most once, not for as long as the session lives. */
static void column_gets_another_type(struct engine *engine)
{
	static const struct {
		const char *type, *value;
	} cases[] = {{"bigint", "3000000000"}, {"numeric", "1.5"}, {"text", "abc"}};
	struct amend_session *session;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	session = session_open(engine);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct amend_value small = amend_text("7"), value = amend_text(cases[i].value);
		const char *sql = "INSERT INTO t VALUES (?1)";

		for (int k = 0; k < 3; k++)
			expect_done(session_with(engine, session, sql, &small, 1));
		engine_execf(engine, "ALTER TABLE t ALTER COLUMN a TYPE %s", cases[i].type);
		if (session_with(engine, session, sql, &value, 1).status != AMEND_OK)
			expect_done(session_with(engine, session, sql, &value, 1));
	}
	engine_expect(engine, "SELECT count(*) FROM t", "12");
}

/* DDL is not held up by a statement that is kept. */
static void kept_statements_hold_nothing(struct engine *engine)
{
	struct amend_session *session;

	engine_exec(engine, "CREATE TABLE t (a integer); INSERT INTO t VALUES (1), (2), (3)");
	session = session_open(engine);
	for (int i = 0; i < 3; i++)
		session_expect(engine, session, grown_sql, "1\n2\n3");
	session_expect_state(engine, session, AMEND_TX_IDLE);
	engine_exec(engine, "INSERT INTO t VALUES (4)");
	engine_exec(engine, "DROP TABLE t");
}

static const struct engine_test tests[] = {
	{"more statements than the cache holds", more_than_fit},
	{"more statements in one run than the cache holds", more_than_fit_in_one_run},
	{"a table that others change is read anew", table_grows, .real = true},
	{"a table that the session changes is read anew", table_grows_inside, .real = true},
	{"a table dropped and made anew", table_made_anew},
	{"a column that gets another type", column_gets_another_type, .only = "postgresql"},
	{"kept statements hold no lock", kept_statements_hold_nothing},
};

ENGINE_MAIN(tests)
