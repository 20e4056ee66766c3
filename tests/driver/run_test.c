/*
 * Conformance: many statements in one run: which failed, and what stands afterwards.
 * Leaves the kinds of errors to errors_test.c.
 */
#include "engines.h"

#include <stdlib.h>

enum { FAILS_AT = 2, N = 5 };

static const char *const with_a_failure[N] = {
	"INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)",
	"INSERT INTO t VALUES (1)", /* fails */
	"INSERT INTO t VALUES (4)", "SELECT count(*) FROM t",
};

/* Runs texts, prepared where not `once`; what it found goes to `rows`. */
static struct attempt run_all(struct engine *engine, struct amend_session *session,
			      const char *const *texts, size_t n, bool once, size_t *failed,
			      struct amend_rows *rows)
{
	struct amend_statement statements[16] = {{.sql = NULL}};
	struct attempt attempt = {AMEND_OK, {0}, 0};

	assert_in_range(n, 0, COUNT(statements));
	for (size_t i = 0; i < n; i++)
		statements[i] = (struct amend_statement){.sql = texts[i], .once = once};
	*failed = 99;
	attempt.status = engine->driver->run(session, statements, n, rows, failed, &attempt.error);
	return attempt;
}

static void release_all(struct amend_rows *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		amend_rows_release(&rows[i]);
}

static void all_of_them(struct engine *engine)
{
	static const char *const texts[] = {
		"CREATE TABLE t (a integer)", "INSERT INTO t VALUES (1), (2)",
		"SELECT a FROM t ORDER BY a", "UPDATE t SET a = a + 10",
		"SELECT a FROM t ORDER BY a",
	};
	struct amend_session *session = session_open(engine);
	struct amend_rows rows[COUNT(texts)];
	size_t failed;

	expect_done(run_all(engine, session, texts, COUNT(texts), true, &failed, rows));
	assert_int_equal(failed, COUNT(texts));
	assert_int_equal(rows[0].n_rows, 0);
	assert_int_equal(rows[1].changes, 2);
	assert_int_equal(rows[2].n_rows, 2);
	assert_int_equal(rows[3].changes, 2);
	assert_int_equal(rows[4].n_rows, 2);
	assert_int_equal(rows[4].changes, 0);
	release_all(rows, COUNT(texts));
	engine_expect(engine, "SELECT a FROM t ORDER BY a", "11\n12");
}

static void none(struct engine *engine)
{
	struct amend_session *session = session_open(engine);
	size_t failed;

	expect_done(run_all(engine, session, NULL, 0, true, &failed, NULL));
	assert_int_equal(failed, 0);
}

/* Outside a transaction each statement is its own: those before the failure stand. */
static void failure_outside(struct engine *engine)
{
	for (int once = 0; once < 2; once++) {
		struct amend_session *session = session_open(engine);
		struct amend_rows rows[N];
		size_t failed;

		engine_exec(engine, "CREATE TABLE t (a integer PRIMARY KEY)");
		expect_error(AMEND_CONSTRAINT, "23505",
			     run_all(engine, session, with_a_failure, N, once, &failed, rows));
		assert_int_equal(failed, FAILS_AT);
		assert_int_equal(rows[0].changes, 1);
		for (size_t i = FAILS_AT; i < N; i++) {
			assert_int_equal(rows[i].n_rows, 0);
			assert_null(rows[i].owner);
		}
		release_all(rows, N);
		session_expect_state(engine, session, AMEND_TX_IDLE);
		engine_expect(engine, "SELECT a FROM t ORDER BY a", "1\n2");
		session_expect(engine, session, "SELECT count(*) FROM t", "2");
		engine_exec(engine, "DROP TABLE t");
		session_close(engine, session);
	}
}

/* Inside one the state says what is left: PostgreSQL's is aborted, SQLite's goes on. */
static void failure_inside(struct engine *engine)
{
	for (int once = 0; once < 2; once++) {
		struct amend_session *session = session_open(engine);
		size_t failed;

		engine_exec(engine, "CREATE TABLE t (a integer PRIMARY KEY)");
		session_begin(engine, session);
		expect_error(AMEND_CONSTRAINT, "23505",
			     run_all(engine, session, with_a_failure, N, once, &failed, NULL));
		assert_int_equal(failed, FAILS_AT);
		if (!engine_is(engine, "postgresql")) {
			session_expect_state(engine, session, AMEND_TX_ACTIVE);
			session_expect(engine, session, "SELECT a FROM t ORDER BY a", "1\n2");
		} else {
			session_expect_state(engine, session, AMEND_TX_FAILED);
		}
		session_rollback(engine, session);
		session_expect_state(engine, session, AMEND_TX_IDLE);
		engine_expect(engine, "SELECT count(*) FROM t", "0");
		engine_exec(engine, "DROP TABLE t");
		session_close(engine, session);
	}
}

static void first_and_last_fail(struct engine *engine)
{
	static const char *const texts[] = {"INSERT INTO t VALUES (0)", "SELECT 1", "SELEKT"};
	struct amend_session *session = session_open(engine);
	size_t failed;

	engine_exec(engine, "CREATE TABLE t (a integer PRIMARY KEY)");
	expect_error(AMEND_INVALID, NULL, run_all(engine, session, texts, 3, false, &failed, NULL));
	assert_int_equal(failed, 2);
	expect_error(AMEND_CONSTRAINT, "23505",
		     run_all(engine, session, texts, 3, false, &failed, NULL));
	assert_int_equal(failed, 0);
	engine_expect(engine, "SELECT count(*) FROM t", "1");
}

/* What could not be prepared, or was never reached, is not taken for prepared. */
static void cache_after_failure(struct engine *engine)
{
	static const char *const texts[] = {"SELECT 1 AS one", "SELEKT", "SELECT 2 AS two"};
	static const char *const good[] = {"SELECT 2 AS two", "SELECT 1 AS one"};
	struct amend_session *session = session_open(engine);
	size_t failed;

	for (int i = 0; i < 3; i++) {
		expect_error(AMEND_INVALID, NULL,
			     run_all(engine, session, texts, 3, false, &failed, NULL));
		assert_int_equal(failed, 1);
		expect_done(run_all(engine, session, good, 2, false, &failed, NULL));
	}
	for (int i = 0; i < 3; i++) { /* likewise where a rollback undoes what was between */
		session_begin(engine, session);
		expect_error(AMEND_INVALID, NULL,
			     run_all(engine, session, texts, 3, false, &failed, NULL));
		session_rollback(engine, session);
		expect_done(run_all(engine, session, good, 2, false, &failed, NULL));
	}
	session_expect(engine, session, "SELECT 2 AS two", "2");
}

static void same_text_many_times(struct engine *engine)
{
	const char *texts[16];
	struct amend_session *session = session_open(engine);
	size_t failed;

	session_exec(engine, session, "CREATE TABLE t (a integer)");
	for (size_t i = 0; i < COUNT(texts); i++)
		texts[i] = "INSERT INTO t SELECT count(*) FROM t";
	for (int i = 0; i < 2; i++)
		expect_done(run_all(engine, session, texts, COUNT(texts), false, &failed, NULL));
	session_expect(engine, session, "SELECT count(*), max(a) FROM t", "32|31");
}

/* More than the sockets' buffers hold, in each direction and in both: neither side may wait for the other. */
static void more_than_buffers_hold(struct engine *engine)
{
	enum { MANY = 300, SIZE = 50000 };
	struct amend_session *session = session_open(engine);
	const char *const forms[] = {
		engine_pick3(engine, "SELECT CAST(?1 AS text)", "SELECT CAST($1 AS text)",
			     "SELECT ?1"), /* in and out */
		engine_pick3(engine, "SELECT length(CAST(?1 AS text))",
			     "SELECT length(CAST($1 AS text))", "SELECT length(?1)"), /* in */
		NULL,                                                                 /* out */
	};
	struct amend_statement *statements = calloc(MANY, sizeof(*statements));
	struct amend_rows *rows = calloc(MANY, sizeof(*rows));
	char *text = malloc(SIZE + 1);
	struct amend_error err;
	struct amend_value value;
	size_t failed;

	assert_true(statements && rows && text);
	memset(text, 'x', SIZE);
	text[SIZE] = '\0';
	value = amend_text(text);
	session_exec(engine, session,
		     engine_pick3(engine, "CREATE TABLE t (v text)", "CREATE TABLE t (v text)",
				  "CREATE TABLE t (v longtext)"));
	expect_done(session_with(engine, session, "INSERT INTO t VALUES (?1)", &value, 1));
	for (size_t form = 0; form < COUNT(forms); form++) {
		const char *sql = forms[form] ? engine_sql(engine, forms[form]) : "SELECT v FROM t";

		for (size_t i = 0; i < MANY; i++)
			statements[i] = (struct amend_statement){
				.sql = sql, .values = &value, .n_values = forms[form] != NULL};
		expect_ok(engine->driver->run(session, statements, MANY, rows, &failed, &err), &err);
		assert_int_equal(failed, MANY);
		for (size_t i = 0; i < MANY; i++)
			assert_true(form == 1 || rows[i].values[0].size == SIZE);
		release_all(rows, MANY);
	}
	free(statements);
	free(rows);
	free(text);
}

/* One value of many megabytes: sent and received in pieces. */
static void one_large_value(struct engine *engine)
{
	enum { SIZE = 30 << 20 };
	struct amend_session *session = session_open(engine);
	char *text = malloc(SIZE + 1);
	struct amend_value value;

	assert_non_null(text);
	memset(text, 'x', SIZE);
	text[SIZE] = '\0';
	value = amend_text(text);
	session_exec(engine, session,
		     engine_pick3(engine, "CREATE TABLE t (v text)", "CREATE TABLE t (v text)",
				  "CREATE TABLE t (v longtext)"));
	expect_done(session_with(engine, session, "INSERT INTO t VALUES (?1)", &value, 1));
	session_expect(engine, session, "SELECT length(v) FROM t", "31457280");
	free(text);
}

/* What stands behind a semicolon is never dropped unsaid. */
static void one_statement_a_text(struct engine *engine)
{
	struct amend_session *session = session_open(engine);

	session_exec(engine, session, "CREATE TABLE t (a integer);");
	session_exec(engine, session, "INSERT INTO t VALUES (1) ; -- a comment\n");
	expect_error(
		AMEND_INVALID, NULL,
		session_try(engine, session, "INSERT INTO t VALUES (2); INSERT INTO t VALUES (3)"));
	session_expect(engine, session, "SELECT a FROM t", "1");
}

static const struct engine_test tests[] = {
	{"statements run in order and answer one by one", all_of_them},
	{"no statement at all is well", none},
	{"outside a transaction what precedes a failure stands", failure_outside},
	{"inside a transaction a failure leaves the engine's state", failure_inside},
	{"the index is that of the first failure", first_and_last_fail},
	{"a failure leaves the statement cache right", cache_after_failure},
	{"the same text many times in one run", same_text_many_times, .real = true},
	{"more in either direction than buffers hold", more_than_buffers_hold, .real = true},
	{"one value of 30 MB", one_large_value},
	{"a second statement in a text is INVALID, not ignored", one_statement_a_text},
};

ENGINE_MAIN(tests)
