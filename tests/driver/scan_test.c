/*
 * Conformance: rows handed out as they come, and SQLite's data version.
 * Leaves one statement many times to sql/repeat_test.c, which has it on engines without one of their own too.
 */
#include "engines.h"

#include <stdlib.h>

/* What a scan has handed out; ends it at row `stop` with a status of its own. */
struct seen {
	struct amend_arena *arena;
	struct amend_value *values; /* NULL: only counted */
	size_t n_rows, n_columns, room;
	size_t stop, interrupt_at;
	const struct amend_driver *driver;
	struct amend_session *session;
};

static enum amend_status see(void *context, const struct amend_value *values, size_t n_columns,
			     struct amend_error *err)
{
	struct seen *seen = context;

	if (seen->interrupt_at > 0 && seen->n_rows == seen->interrupt_at)
		seen->driver->interrupt(seen->session);
	if (++seen->n_rows == seen->stop)
		return amend_error_set(err, AMEND_CONFLICT, "enough seen");
	seen->n_columns = n_columns;
	for (size_t i = 0; seen->values && i < n_columns; i++) {
		struct amend_value *to = &seen->values[(seen->n_rows - 1) * n_columns + i];

		assert_true(seen->n_rows * n_columns <= seen->room);
		if (values[i].kind == AMEND_TEXT)
			assert_int_equal(values[i].as.text[values[i].size], '\0');
		assert_true(amend_arena_value(seen->arena, &values[i], to));
	}
	return AMEND_OK;
}

static struct attempt scan(struct engine *engine, struct amend_session *session, const char *sql,
			   const struct amend_value *values, size_t n, struct seen *seen)
{
	const struct amend_statement statement = {.sql = sql, .values = values, .n_values = n};
	struct attempt attempt = {AMEND_OK, {0}, 0};

	attempt.status = engine->driver->scan(session, &statement, see, seen, &attempt.error);
	return attempt;
}

/* Byte for byte what run() returns. */
static void expect_as_run(struct engine *engine, struct amend_session *session, const char *sql,
			  const struct amend_value *values, size_t n)
{
	const struct amend_statement statement = {.sql = sql, .values = values, .n_values = n};
	struct amend_rows rows;
	struct amend_error err;
	struct seen seen = {.arena = engine_arena(engine), .room = 20000};
	size_t failed;

	seen.values = amend_arena_array(seen.arena, seen.room, sizeof(*seen.values));
	expect_ok(engine->driver->run(session, &statement, 1, &rows, &failed, &err), &err);
	expect_done(scan(engine, session, sql, values, n, &seen));
	assert_int_equal(seen.n_rows, rows.n_rows);
	for (size_t i = 0; i < rows.n_rows * rows.n_columns; i++) {
		if (!amend_value_equal(&seen.values[i], &rows.values[i]))
			fail_at(__FILE__, __LINE__, "%s: value %zu differs: %.40s, %.40s", sql, i,
				seen.values[i].kind == AMEND_TEXT ? seen.values[i].as.text : "?",
				rows.values[i].kind == AMEND_TEXT ? rows.values[i].as.text : "?");
	}
	amend_rows_release(&rows);
}

static const char *const nasty[] = {
	"",
	"\\N",
	"\\",
	"\\\\",
	"\\.",
	"\\\\N",
	"N",
	"a\tb",
	"\t",
	"\n",
	"\r\n",
	"\\t",
	"\\\t\\",
	"\b\f\v\a\x1b\x7f",
	"NULL",
	" blank ",
	"{\"a\": [1, 2]}",
	"{a,\"b\",NULL}",
	"'quoted' \"twice\"",
	"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
	"\\x6869",
	"end\\",
};

static void as_run(struct engine *engine)
{
	struct amend_session *session = session_open(engine);
	const struct amend_value none = amend_text("no such text");
	char *large = malloc(2000001);

	engine_execf(engine, "CREATE TABLE t (id integer PRIMARY KEY, a %s, b text)",
		     engine_pick3(engine, "text", "text", "longtext"));
	for (size_t i = 0; i < COUNT(nasty) * COUNT(nasty); i++) {
		const struct amend_value values[] = {
			amend_integer((int64_t)i),
			i % 7 == 3 ? amend_null() : amend_text(nasty[i / COUNT(nasty)]),
			i % 5 == 4 ? amend_null() : amend_text(nasty[i % COUNT(nasty)]),
		};

		expect_done(session_with(engine, session, "INSERT INTO t VALUES (?1, ?2, ?3)",
					 values, 3));
	}
	assert_non_null(large);
	for (size_t i = 0; i < 2000000; i++)
		large[i] = i % 3 ? 'x' : i % 2 ? '\t' : '\\';
	large[2000000] = '\0';
	expect_done(session_with(engine, session, "INSERT INTO t VALUES (9999, ?1, '')",
				 &(struct amend_value){AMEND_TEXT, 2000000, {.text = large}}, 1));
	free(large);
	expect_as_run(engine, session, "SELECT id, a, b FROM t ORDER BY id", NULL, 0);
	expect_as_run(engine, session, "SELECT a, NULL AS n, b FROM t ORDER BY id -- to the end",
		      NULL, 0);
	expect_as_run(engine, session, "SELECT a FROM t ORDER BY id;", NULL, 0);
	expect_as_run(engine, session, "SELECT a || ';' FROM t ORDER BY id", NULL, 0);
	expect_as_run(engine, session, "SELECT id FROM t WHERE id < 0", NULL, 0);
	expect_as_run(engine, session, "VALUES (1, 'a'), (2, NULL)", NULL, 0);
	expect_as_run(engine, session, "/* of (two) */ WITH x AS (SELECT 1 AS a) SELECT a FROM x",
		      NULL, 0);
	expect_as_run(engine, session,
		      engine_sql(engine, "SELECT a, b FROM t WHERE a IS NULL OR a <> CAST(?1 AS text)"
					 " ORDER BY id"),
		      &none, 1);
	/* More columns than a statement usually has. */
	expect_as_run(
		engine, session,
		"SELECT 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,"
		"28,29,30,31,32,33,34,35,36,37,38,39,NULL,'' FROM t",
		NULL, 0);
}

static void kinds(struct engine *engine)
{
	struct amend_session *session = session_open(engine);
	const struct amend_value text = amend_text_n("a\0b", 3), bytes = amend_blob("\0\xff", 2);

	engine_exec(engine, "CREATE TABLE t (a)");
	expect_done(session_with(engine, session, "INSERT INTO t VALUES (?1)", &text, 1));
	expect_done(session_with(engine, session, "INSERT INTO t VALUES (?1)", &bytes, 1));
	engine_exec(engine, "INSERT INTO t VALUES (NULL), (1.5), (9007199254740993), (x''), ('')");
	expect_as_run(engine, session, "SELECT a, a FROM t", NULL, 0);
}

static const char *numbers_sql(const struct engine *engine)
{
	return engine_pick3(engine,
			    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
			    " WHERE i < 2000000000) SELECT i, 'text' FROM n",
			    "SELECT generate_series(1, 2000000000), 'text'",
			    "SELECT seq, 'text' FROM seq_1_to_2000000000");
}

static const char *numbers_behind(struct engine *engine)
{
	return engine_sql(
		engine,
		engine_pick3(engine,
			     "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
			     " WHERE i < 2000000000) SELECT i FROM n WHERE i > ?1",
			     "SELECT i FROM (SELECT generate_series(1, 2000000000) AS i) s"
			     " WHERE i > ?1::integer",
			     "SELECT seq FROM seq_1_to_2000000000 WHERE seq > ?1"));
}

/* Whoever had enough goes on at once, and with the transaction as it was. */
static void given_up(struct engine *engine)
{
	struct amend_session *session = session_open(engine);
	const struct amend_value five = amend_integer(5);
	int64_t begun = now_ms();

	engine_exec(engine, "CREATE TABLE t (a integer)");
	for (int with = 0; with < 2; with++) {
		for (int inside = 0; inside < 2; inside++) {
			struct seen seen = {.stop = 3};
			struct attempt attempt;

			if (inside) {
				session_begin(engine, session);
				session_exec(engine, session, "INSERT INTO t VALUES (1)");
			}
			attempt = with ? scan(engine, session, numbers_behind(engine), &five, 1,
					      &seen)
				       : scan(engine, session, numbers_sql(engine), NULL, 0, &seen);
			expect_error(AMEND_CONFLICT, NULL, attempt);
			expect_text(attempt.error.text, "enough seen");
			assert_int_equal(seen.n_rows, 3);
			session_expect_state(engine, session,
					     inside ? AMEND_TX_ACTIVE : AMEND_TX_IDLE);
			if (inside) {
				session_exec(engine, session, "INSERT INTO t VALUES (2)");
				expect_done(session_commit(engine, session));
			}
			session_expect(engine, session, "SELECT 'well'", "well");
		}
	}
	engine_expect(engine, "SELECT a FROM t ORDER BY a", "1\n1\n2\n2");
	assert_in_range(now_ms() - begun, 0, 20000);
}

static void error_in_the_middle(struct engine *engine)
{
	const char *sql = engine_pick3(
		engine,
		"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 90000)"
		" SELECT abs(CASE i WHEN 70000 THEN -9223372036854775807 - 1 ELSE i END) FROM n",
		"SELECT 1 / (i - 70000) FROM generate_series(1, 90000) i",
		"SELECT (SELECT x.seq FROM seq_1_to_2 x WHERE x.seq <= 1 + (s.seq = 70000))"
		" FROM seq_1_to_90000 s");
	struct amend_session *session = session_open(engine);
	struct seen seen = {.stop = 0};

	expect_error(AMEND_INVALID, NULL, scan(engine, session, sql, NULL, 0, &seen));
	assert_in_range(seen.n_rows, 1, 69999);
	session_expect_state(engine, session, AMEND_TX_IDLE);
	session_begin(engine, session);
	expect_error(AMEND_INVALID, NULL, scan(engine, session, sql, NULL, 0, &seen));
	session_expect_state(engine, session,
			     engine_is(engine, "postgresql") ? AMEND_TX_FAILED : AMEND_TX_ACTIVE);
	session_rollback(engine, session);
	session_expect(engine, session, "SELECT 'well'", "well");
}

static void error_at_once(struct engine *engine)
{
	struct amend_session *session = session_open(engine);
	struct seen seen = {.stop = 0};

	expect_error(AMEND_NOT_FOUND, "42P01",
		     scan(engine, session, "SELECT a FROM nowhere", NULL, 0, &seen));
	expect_error(AMEND_INVALID, NULL,
		     scan(engine, session, "SELECT FROM WHERE", NULL, 0, &seen));
	assert_int_equal(seen.n_rows, 0);
	session_expect(engine, session, "SELECT 'well'", "well");
}

static void time_limit(struct engine *engine)
{
	static const struct amend_begin begin = {.lock_timeout_ms = 1000, .time_limit_ms = 200};
	struct amend_session *session = session_open(engine);
	struct seen seen = {.stop = 0};
	int64_t begun = now_ms();

	expect_done(session_begin_with(engine, session, &begin));
	expect_error(AMEND_INTERRUPTED, "57014",
		     scan(engine, session, numbers_sql(engine), NULL, 0, &seen));
	assert_in_range(now_ms() - begun, 150, 5000);
	session_rollback(engine, session);
	session_expect(engine, session, "SELECT 'well'", "well");
}

/* As a signal handler would, in the middle. */
static void interrupted(struct engine *engine)
{
	struct amend_session *session = session_open(engine);
	struct seen seen = {.interrupt_at = 100, .driver = engine->driver, .session = session};

	expect_error(AMEND_INTERRUPTED, "57014",
		     scan(engine, session, numbers_sql(engine), NULL, 0, &seen));
	session_expect_state(engine, session, AMEND_TX_IDLE);
	session_expect(engine, session, "SELECT 'well'", "well");
}

static void connection_lost(struct engine *engine)
{
	struct amend_session *session = session_open(engine);
	struct seen seen = {.stop = 0};

	expect_error(AMEND_UNREACHABLE, NULL,
		     scan(engine, session,
			  "SELECT i, CASE WHEN i = 50000 THEN"
			  " pg_terminate_backend(pg_backend_pid()) END"
			  " FROM generate_series(1, 100000) i",
			  NULL, 0, &seen));
	session_expect_state(engine, session, AMEND_TX_LOST);
	expect_error(AMEND_UNREACHABLE, NULL, scan(engine, session, "SELECT 1", NULL, 0, &seen));
}

/* --- data version -------------------------------------------------------- */

static int64_t version(struct engine *engine, struct amend_session *session)
{
	struct amend_error err;
	int64_t number = -1;

	expect_ok(engine->driver->data_version(session, &number, &err), &err);
	return number;
}

static void data_version(struct engine *engine)
{
	static const char *const modes[] = {"wal", "delete"};

	for (size_t i = 0; i < COUNT(modes); i++) {
		struct foreign *foreign = foreign_open(engine);
		struct amend_session *session;
		int64_t before;
		bool wal = i == 0;

		engine_execf(engine, "PRAGMA journal_mode = %s", modes[i]);
		engine_exec(engine, "DROP TABLE IF EXISTS t; CREATE TABLE t (a integer)");
		session = session_open(engine);
		before = version(engine, session);
		assert_int_equal(version(engine, session), before);
		/* Our own commits, and what we undo. */
		session_exec(engine, session, "INSERT INTO t VALUES (1)");
		assert_int_equal(version(engine, session), before);
		session_begin(engine, session);
		assert_int_equal(version(engine, session), before);
		session_exec(engine, session, "INSERT INTO t VALUES (2)");
		assert_int_equal(version(engine, session), before);
		expect_done(session_commit(engine, session));
		assert_int_equal(version(engine, session), before);
		session_begin(engine, session);
		session_exec(engine, session, "DELETE FROM t");
		session_rollback(engine, session);
		assert_int_equal(version(engine, session), before);
		/* Others' undone work, their reading. */
		foreign_exec(foreign, "BEGIN; DELETE FROM t; ROLLBACK");
		foreign_exec(foreign, "SELECT * FROM t");
		assert_int_equal(version(engine, session), before);
		/* Others' commits: seen outside, and by the unit that begins next. */
		foreign_exec(foreign, "INSERT INTO t VALUES (3)");
		session_begin(engine, session);
		assert_int_not_equal(version(engine, session), before);
		expect_done(session_commit(engine, session));
		before = version(engine, session);
		foreign_exec(foreign, "UPDATE t SET a = 4 WHERE a = 3");
		assert_int_not_equal(version(engine, session), before);
		before = version(engine, session);
		/* While we hold the database nobody can commit. */
		session_begin(engine, session);
		assert_non_null(foreign_try(foreign, "PRAGMA busy_timeout = 0; DELETE FROM t"));
		assert_int_equal(version(engine, session), before);
		expect_done(session_commit(engine, session));
		assert_int_equal(version(engine, session), before);
		/* A reader's transaction keeps the version of the state it sees. */
		if (wal) {
			static const struct amend_begin reading = {.read_only = true};

			expect_done(session_begin_with(engine, session, &reading));
			session_expect(engine, session, "SELECT count(*) FROM t", "3");
			assert_int_equal(version(engine, session), before);
			foreign_exec(foreign, "DELETE FROM t");
			session_expect(engine, session, "SELECT count(*) FROM t", "3");
			assert_int_equal(version(engine, session), before);
			expect_done(session_commit(engine, session));
			assert_int_not_equal(version(engine, session), before);
		}
		session_close(engine, session);
		foreign_close(foreign);
	}
}

static const struct engine_test tests[] = {
	{"scan: rows are those of run", as_run, .real = true},
	{"scan: values of every kind", kinds, .only = "sqlite"},
	{"scan: who had enough goes on at once", given_up, .real = true},
	{"scan: an error in the middle", error_in_the_middle, .real = true},
	{"scan: an error at once", error_at_once},
	{"scan: ends with the time limit", time_limit, .real = true},
	{"scan: is interrupted", interrupted, .real = true},
	{"scan: the connection breaks in the middle", connection_lost, .only = "postgresql"},
	{"data version: moves with others' commits alone", data_version, .only = "sqlite"},
};

ENGINE_MAIN(tests)
