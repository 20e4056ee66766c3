/*
 * What only PostgreSQL has, and where it traps: names on the server, partitions,
 * encodings, COPY, locks of others.
 * Leaves what all engines promise to the conformance tests beside this one, and
 * canonical forms to postgres_canon_test.c.
 */
#include <locale.h>
#include <poll.h>
#include <sys/socket.h>

#include <libpq-fe.h>

#include "core/rows.h"
#include "sql/driver/postgres.h"
#include "sql/sqlstate.h"
#include "describe.h"

/* --- connections that end --------------------------------------------------- */

/*
 * A crash of the server reaches its clients as a warning, and then the end: what is sent then fails
 * while there is still something to be read.
 */
static void writes_fail_first(struct engine *engine)
{
	struct foreign *application = foreign_open(engine), *other = foreign_open(engine);
	struct amend_session *session = session_adopt(engine, application);
	PGconn *conn = foreign_handle(application);
	struct pollfd wait = {.fd = PQsocket(conn), .events = POLLIN};

	session_exec(engine, session, "LISTEN word");
	foreign_exec(other, "NOTIFY word");
	assert_int_equal(poll(&wait, 1, 10000), 1);
	assert_int_equal(shutdown(PQsocket(conn), SHUT_WR), 0);
	expect_error(AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST,
		     session_try(engine, session, "SELECT 1"));
	session_expect_state(engine, session, AMEND_TX_LOST);
}

/* --- names of statements ------------------------------------------------- */

static void names_taken_away(struct engine *engine)
{
	struct amend_session *session = session_open(engine);

	session_exec(engine, session,
		     "CREATE FUNCTION forget() RETURNS integer LANGUAGE plpgsql AS "
		     "'BEGIN DEALLOCATE ALL; RETURN 1; END'");
	for (int i = 0; i < 3; i++)
		session_expect(engine, session, "SELECT 1 AS one", "1");
	session_expect(engine, session, "SELECT count(*) > 0 FROM pg_prepared_statements", "t");
	session_expect(engine, session, "SELECT forget()", "1"); /* unseen: the tag says SELECT */
	session_expect(engine, session, "SELECT 1 AS one", "1");
	session_expect(engine, session, "SELECT 1 AS one", "1");
}

/* A statement of which nothing may be lost: inside a transaction the whole unit must run again. */
static void names_taken_away_inside(struct engine *engine)
{
	struct amend_statement statement = {.sql = "SELECT 1 AS one"};
	struct amend_session *session = session_open(engine);
	struct amend_error err;
	size_t failed;

	session_exec(engine, session,
		     "CREATE FUNCTION forget() RETURNS integer LANGUAGE plpgsql AS "
		     "'BEGIN DEALLOCATE ALL; RETURN 1; END'");
	for (int i = 0; i < 3; i++)
		session_expect(engine, session, statement.sql, "1");
	session_begin(engine, session);
	session_try(engine, session, "SELECT forget()");
	expect_status(AMEND_RETRY, engine->driver->run(session, &statement, 1, NULL, &failed, &err),
		      &err);
	session_rollback(engine, session);
	session_begin(engine, session);
	session_expect(engine, session, statement.sql, "1");
	session_rollback(engine, session);
}

static void plan_out_of_date_inside(struct engine *engine)
{
	struct amend_statement statement = {.sql = "SELECT * FROM t"};
	struct amend_session *session = session_open(engine);
	struct amend_error err;
	size_t failed;

	engine_exec(engine, "CREATE TABLE t (a integer); INSERT INTO t VALUES (1)");
	for (int i = 0; i < 3; i++)
		session_expect(engine, session, statement.sql, "1");
	engine_exec(engine, "ALTER TABLE t ADD COLUMN b integer DEFAULT 2");
	session_begin(engine, session);
	expect_status(AMEND_RETRY, engine->driver->run(session, &statement, 1, NULL, &failed, &err),
		      &err);
	session_rollback(engine, session);
	session_begin(engine, session);
	session_expect(engine, session, statement.sql, "1|2");
	session_rollback(engine, session);
}

/* PREPARE would fix the type that the column had: real would go on cutting what is now double precision. */
static void types_are_not_kept(struct engine *engine)
{
	const struct amend_value value = amend_text("0.1234567890123");
	struct amend_statement statement = {"INSERT INTO t VALUES ($1)", &value, 1, false};
	struct amend_session *session = session_open(engine);
	struct amend_error err;
	size_t failed;

	engine_exec(engine, "CREATE TABLE t (a real)");
	for (int i = 0; i < 3; i++)
		expect_ok(engine->driver->run(session, &statement, 1, NULL, &failed, &err), &err);
	engine_exec(engine, "TRUNCATE t; ALTER TABLE t ALTER a TYPE double precision");
	expect_ok(engine->driver->run(session, &statement, 1, NULL, &failed, &err), &err);
	engine_expect(engine, "SELECT a FROM t", "0.1234567890123");
}

/* --- settings ------------------------------------------------------------ */

static void pins_come_back(struct engine *engine)
{
	static const char *const changes[] = {"SET DateStyle = 'German'", "RESET ALL",
					      "DISCARD ALL", "SET extra_float_digits = 0"};
	struct amend_session *session = session_open(engine);

	for (size_t i = 0; i < COUNT(changes); i++) {
		session_exec(engine, session, changes[i]);
		session_expect(engine, session,
			       "SELECT DATE '2024-02-01', 0.1::float8 + 0.2::float8",
			       "2024-02-01|0.30000000000000004");
	}
	session_begin(engine, session);
	session_exec(engine, session, "SET DateStyle = 'German'");
	expect_done(session_commit(engine, session));
	session_begin(engine, session);
	session_expect(engine, session, "SELECT DATE '2024-02-01'", "2024-02-01");
	session_rollback(engine, session);
}

static void lock_timeout_is_given_back(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct amend_session *session;
	struct amend_error err;

	foreign_exec(application, "SET lock_timeout = '7s'; BEGIN; SET LOCAL lock_timeout = '3s'");
	session = session_adopt(engine, application);
	expect_ok(engine->driver->pin(session, &err), &err);
	expect_ok(engine->driver->set_lock_timeout(session, 0, &err), &err);
	session_expect(engine, session, "SHOW lock_timeout", "1ms");
	expect_ok(engine->driver->unpin(session, &err), &err);
	expect_text(foreign_rows(application, "SHOW lock_timeout"), "3s");
	foreign_exec(application, "COMMIT");
	expect_text(foreign_rows(application, "SHOW lock_timeout"), "7s");
}

static void busy_application(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct amend_session *session = session_adopt(engine, application);
	PGconn *conn = foreign_handle(application);

	assert_int_equal(PQsendQuery(conn, "SELECT 1"), 1);
	expect_error(AMEND_INVALID, NULL, session_try(engine, session, "SELECT 2"));
	PQclear(PQgetResult(conn));
	assert_null(PQgetResult(conn));
	session_expect(engine, session, "SELECT 2", "2");
}

/* A real number's text does not depend on what the application did to its locale. */
static void numbers_with_a_comma(struct engine *engine)
{
	static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
	const struct amend_value value = amend_real(0.1);
	struct amend_session *session = session_open(engine);
	bool found = false;

	for (size_t i = 0; i < COUNT(names) && !found; i++)
		found = setlocale(LC_NUMERIC, names[i]) != NULL;
	session_exec(engine, session, "CREATE TABLE t (a double precision)");
	expect_done(session_with(engine, session, "INSERT INTO t VALUES (?1)", &value, 1));
	setlocale(LC_NUMERIC, "C");
	engine_expect(engine, "SELECT a FROM t", "0.1");
}

/* --- COPY ---------------------------------------------------------------- */

static void copy_is_refused(struct engine *engine)
{
	static const char *const texts[] = {"COPY t FROM STDIN", "COPY t TO STDOUT",
					    "/* x */ -- y\n copy t from stdin"};
	struct amend_session *session = session_open(engine);
	struct amend_error err;

	session_exec(engine, session, "CREATE TABLE t (a integer)");
	for (size_t i = 0; i < 2 * COUNT(texts); i++) {
		const struct amend_statement all[] = {
			{.sql = "SELECT 1"}, {.sql = texts[i / 2]}, {.sql = "SELECT 2"}};
		size_t failed = 99;

		if (i % 2)
			session_begin(engine, session);
		expect_error(AMEND_UNSUPPORTED, NULL, session_try(engine, session, texts[i / 2]));
		session_rollback(engine, session);
		if (i % 2)
			session_begin(engine, session);
		expect_status(AMEND_UNSUPPORTED,
			      engine->driver->run(session, all, 3, NULL, &failed, &err), &err);
		assert_int_equal(failed, 1);
		session_rollback(engine, session);
		session_expect(engine, session, "SELECT 3", "3");
	}
}

/* --- errors --------------------------------------------------------------- */

static void raised_with_a_state_of_its_own(struct engine *engine)
{
	struct amend_session *session = session_open(engine);

	session_exec(engine, session, "CREATE TABLE t (a integer)");
	session_exec(
		engine, session,
		"CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION "
		"''not on sundays'' USING ERRCODE = ''SU001'', HINT = ''try tomorrow''; END'");
	session_exec(engine, session,
		     "CREATE TRIGGER no BEFORE INSERT ON t FOR EACH ROW "
		     "EXECUTE FUNCTION no()");
	expect_error(AMEND_CONSTRAINT, "SU001",
		     session_try(engine, session, "INSERT INTO t VALUES (1)"));
	expect_text(session_try(engine, session, "INSERT INTO t VALUES (1)").error.text,
		    "not on sundays (hint: try tomorrow)");
}

/* The server hangs up on who dawdles. COMMIT comes too late, but is not in doubt. */
static void thrown_out_before_commit(struct engine *engine)
{
	struct amend_session *session = session_open(engine);

	session_exec(engine, session, "CREATE TABLE t (a integer)");
	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (1)");
	session_exec(engine, session, "SET LOCAL idle_in_transaction_session_timeout = 50");
	engine_await_left(engine);
	sleep_ms(300); /* until its socket is closed, too */
	expect_error(AMEND_UNREACHABLE, "08006", session_commit(engine, session));
	session_expect_state(engine, session, AMEND_TX_LOST);
	engine_expect(engine, "SELECT count(*) FROM t", "0");
}

/* --- descriptions ---------------------------------------------------------- */

static void row_versions(struct engine *engine)
{
	struct amend_session *session = session_open(engine);
	const char *sql = engine_printf(engine, "SELECT %s FROM t",
					engine->driver->dialect->row_version);
	const char *before, *after;

	engine_exec(engine, "CREATE TABLE t (a integer) PARTITION BY LIST (a);"
			    "CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);"
			    "CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2)");
	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (1)");
	before = session_rows(engine, session, sql);
	session_rows(engine, session, "SELECT a FROM t FOR UPDATE"); /* holding is not writing */
	expect_text(session_rows(engine, session, sql), before);
	session_exec(engine, session, "UPDATE t SET a = 2");
	after = session_rows(engine, session, sql);
	assert_string_not_equal(after, before);
	session_rollback(engine, session);
}

static void unusual_keys(struct engine *engine)
{
	struct amend_session *session = session_open(engine);
	const struct amend_table *table;

	engine_exec(engine,
		    "CREATE TABLE p (x integer, gone integer, a integer, b integer);"
		    "ALTER TABLE p DROP gone; CREATE UNIQUE INDEX k1 ON p (b, a) INCLUDE (x);"
		    "INSERT INTO p VALUES (1, 1, 1), (1, 2, 1)");
	session_try(engine, session, "CREATE UNIQUE INDEX CONCURRENTLY broken ON p (x)");
	engine_expect(engine, "SELECT count(*) FROM pg_class WHERE relname = 'broken'", "1");
	table = describe(engine, session, NULL, "p");
	assert_int_equal(table->n_keys, 1); /* an invalid index proves nothing */
	assert_int_equal(table->keys[0].n_columns, 2);
	assert_int_equal(table->keys[0].columns[0], 2);
	assert_int_equal(table->keys[0].columns[1], 1);
	assert_false(table->keys[0].nulls_equal);
	if (session_try(engine, session, "CREATE UNIQUE INDEX k2 ON p (a) NULLS NOT DISTINCT")
		    .status == AMEND_OK)
		assert_true(describe(engine, session, NULL, "p")->keys[1].nulls_equal);
}

static void foreign_key_to_partitions(struct engine *engine)
{
	struct amend_session *session = session_open(engine);
	const struct amend_table *table;

	engine_exec(
		engine,
		"CREATE TABLE p (a integer, b integer, PRIMARY KEY (b, a)) PARTITION BY LIST (a);"
		"CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);"
		"CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);"
		"CREATE TABLE c (x integer, y integer, FOREIGN KEY (x, y) REFERENCES p (a, b))");
	table = describe(engine, session, NULL, "c");
	assert_int_equal(table->n_foreign_keys, 1);
	expect_text(table->foreign_keys[0].table, "p");
	assert_int_equal(table->foreign_keys[0].n_columns, 2);
	expect_text(table->foreign_keys[0].references[0], "a");
	expect_text(table->foreign_keys[0].references[1], "b");
}

static void unsound_within(struct engine *engine)
{
	struct amend_session *session = session_open(engine);
	const struct amend_table *table;

	engine_exec(engine,
		    "CREATE DOMAIN d AS xml; CREATE TYPE pair AS (a integer, b tsquery);"
		    "CREATE TABLE t (a xml, b tsquery[], c d, d pair, e pair[], f text, g json)");
	table = describe(engine, session, NULL, "t");
	for (size_t i = 0; i < table->n_columns; i++)
		assert_int_equal(table->columns[i].unsound, i < 5);
}

static void names_that_are_near(struct engine *engine)
{
	static const char *const cases[][2] = {
		{"Country", "no table Country (hint: did you mean country?)"},
		{"contry", "no table contry (hint: did you mean country?)"},
		{"stock", "no table stock (hint: did you mean shop.stock?)"},
		{"nothing", "no table nothing in the search path"},
	};
	struct amend_session *session = session_open(engine);

	engine_exec(engine, "CREATE TABLE country (a integer); CREATE SCHEMA shop;"
			    "CREATE TABLE shop.stock (a integer)");
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct amend_table table;
		struct amend_error err;
		bool visible;

		expect_status(AMEND_NOT_FOUND,
			      engine->driver->describe(session, NULL, cases[i][0],
						       engine_arena(engine), &table, &visible, &err),
			      &err);
		expect_text(err.text, cases[i][1]);
	}
}

/* --- encodings --------------------------------------------------------------- */

static struct amend_session *open_encoding(struct engine *engine, const char *encoding)
{
	const struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	const char *name = engine_printf(engine, "amend_%s", encoding);
	struct amend_session *session = NULL;
	struct amend_error err;

	engine_execf(engine, "DROP DATABASE IF EXISTS \"%s\" WITH (FORCE)", name);
	engine_execf(engine,
		     "CREATE DATABASE \"%s\" ENCODING '%s' TEMPLATE template0 LC_COLLATE 'C' "
		     "LC_CTYPE 'C'",
		     name, encoding);
	expect_ok(engine->driver->open(engine_printf(engine, "%s%cdbname=%s", engine->url,
						     strchr(engine->url, '?') ? '&' : '?', name),
				       &options, &session, &err),
		  &err);
	return session;
}

static void close_encoding(struct engine *engine, struct amend_session *session,
			   const char *encoding)
{
	engine->driver->close(session);
	engine_execf(engine, "DROP DATABASE \"amend_%s\" WITH (FORCE)", encoding);
}

static void other_encodings(struct engine *engine)
{
	struct amend_session *session = open_encoding(engine, "SQL_ASCII");
	struct amend_canon items[2];
	struct amend_error err;

	/* Bytes that are no UTF-8 come and go as they are. */
	session_exec(engine, session, "CREATE TABLE t (a text, b varchar(3))");
	session_exec(engine, session, "INSERT INTO t VALUES ('\xff', NULL)");
	session_expect(engine, session, "SELECT a FROM t", "\xff");
	close_encoding(engine, session, "SQL_ASCII");

	session = open_encoding(engine, "LATIN1");
	session_exec(engine, session, "CREATE TABLE t (a text, b varchar(3))");
	items[0] = (struct amend_canon){.column = &describe(engine, session, NULL, "t")->columns[1],
					.in = amend_text("\303\274\303\274\303\274 ")};
	items[1] = (struct amend_canon){.column = items[0].column, .in = amend_text("\342\202\254")};
	expect_ok(engine->driver->canonicalise(session, items, 2, engine_arena(engine), &err), &err);
	expect_text(items[0].out.as.text, "\303\274\303\274\303\274");
	assert_non_null(items[1].problem); /* LATIN1 has no euro */
	close_encoding(engine, session, "LATIN1");

	session = open_encoding(engine, "EUC_JP");
	session_exec(engine, session, "CREATE TABLE t (a text, b integer)");
	assert_true(describe(engine, session, NULL, "t")->columns[0].unsound);
	assert_false(describe(engine, session, NULL, "t")->columns[1].unsound);
	close_encoding(engine, session, "EUC_JP");
}

/* --- check ------------------------------------------------------------------- */

static void collect(void *context, enum amend_level level, const char *topic, const char *text)
{
	char *all = context;
	size_t size = strlen(all);

	snprintf(all + size, 8192 - size, "%d %s: %s\n", (int)level, topic, text);
}

static void who_blocks_whom(struct engine *engine)
{
	static char findings[8192];
	struct amend_session *session = session_open(engine);
	struct foreign *holder = foreign_open(engine), *waiter = foreign_open(engine);
	struct amend_error err;

	findings[0] = '\0';
	engine_exec(engine, "CREATE TABLE t (a integer)");
	expect_ok(engine->driver->check(session, collect, findings, &err), &err);
	expect_contains(findings, "0 locks: nobody waits");
	foreign_exec(holder, "BEGIN; LOCK TABLE t");
	foreign_start(waiter, 0, "SELECT * FROM t");
	foreign_wait_blocked(waiter);
	findings[0] = '\0';
	expect_ok(engine->driver->check(session, collect, findings, &err), &err);
	expect_contains(findings, "2 locks: session ");
	expect_contains(findings, "which is idle in transaction");
	foreign_exec(holder, "ROLLBACK");
	expect_text(foreign_finish(waiter), NULL);
	session_expect_state(engine, session, AMEND_TX_IDLE);
}

/* --- what became of a lost connection's process --- */

static void expect_there(struct engine *engine, struct amend_session *session, int64_t lost,
			 int64_t own, size_t n_rows, int64_t expected)
{
	const struct amend_value peers[] = {amend_integer(lost), amend_integer(own)};
	const struct amend_statement there = {
		.sql = engine->driver->dialect->peer_there, .values = peers, .n_values = 2};
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error err;
	int64_t found = -1;
	size_t failed;

	expect_ok(engine->driver->run(session, &there, 1, &rows, &failed, &err), &err);
	assert_int_equal(rows.n_rows, n_rows);
	if (n_rows) {
		assert_true(amend_value_number(amend_rows_at(&rows, 0, 0), &found));
		assert_int_equal(found, expected);
	}
	amend_rows_release(&rows);
}

static bool never(const void *context)
{
	(void)context;
	return false;
}

/* Gone is said by the same server alone, and only on a connection whose own number is the server's. */
static void gone_is_not_said_too_early(struct engine *engine)
{
	const int64_t another_server = INT64_C(1) << 32;
	struct amend_session *session = session_open(engine), *other = session_open(engine);
	int64_t lost = engine->driver->peer(other), own = engine->driver->peer(session);
	struct amend_error err;

	assert_true(lost > another_server && own > another_server && lost != own);
	expect_there(engine, session, lost, own, 1, 1);
	engine_kill_sessions(engine);
	assert_int_equal(session_try(engine, session, "SELECT 1").status, AMEND_UNREACHABLE);
	expect_ok(engine->driver->reconnect(session, 5000, never, NULL, &err), &err);
	/* The server is the one it was. */
	assert_int_equal(engine->driver->peer(session) >> 32, own >> 32);
	own = engine->driver->peer(session);
	expect_there(engine, session, lost, own, 1, 0);
	expect_there(engine, session, lost + another_server, own, 0, 0);
	expect_there(engine, session, lost, own + 1, 0, 0);
	expect_there(engine, session, lost, 0, 0, 0);
	session_close(engine, other);
}

#define ONLY .only = "postgresql"

static void alters(struct engine *engine)
{
	static const char *const some[] = {
		"SET search_path = a",
		"/* a /* b */ */ set role r",
		"SET SESSION AUTHORIZATION r",
		"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
		"RESET ALL",
		"DISCARD TEMP",
		"CREATE TEMP TABLE t (a integer)",
		"CREATE OR REPLACE TEMPORARY VIEW v AS SELECT 1",
		"CREATE TABLE pg_temp.t (a integer)",
		"SELECT 1 AS a INTO TEMP t",
		"SELECT set_config('a.b', 'c', false)",
		"SELECT set_config('a.b', 'true', $1)",
		"SELECT set_config('a.b', 'c', true), set_config('a.b', 'c', NOT true)",
		"SELECT pg_catalog.SET_CONFIG('a.b', 'unended",
		"SELECT pg_try_advisory_lock_shared(1)",
		"SELECT pg_advisory_lock(1)",
		"SELECT 1 FROM t WHERE pg_catalog.\"pg_advisory_lock\" /* a */ (1) IS NULL",
		"SELECT E'\\'', set_config('a.b', 'c', false), ''",
		"SELECT '\\', \"set_config\" ('a.b', 'c', false), ''",
		"SELECT $1, $a$ $b$ $a$, set_config('a.b', 'c', false), $b$",
		"WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT a INTO TEMPORARY t FROM x",
		"SELECT 1 AS a INTO LOCAL TEMP TABLE t",
		"SELECT 1 AS a INTO pg_temp.t",
		"CREATE TABLE IF NOT EXISTS \"pg_temp\" . t (a integer)",
		"CREATE LOCAL TEMPORARY TABLE t (a integer) ON COMMIT DELETE ROWS",
		"create/**/temp\tsequence s",
		"DECLARE c CURSOR WITH HOLD FOR SELECT 1",
		"; SET ROLE r",
		"SET SESSION search_path = a",
		"SET local.setting = 'a'",
		"DISCARD ALL",
		"DO 'BEGIN END'",
		"CALL p()",
		"PREPARE p AS SELECT 1",
		"LISTEN a",
	};
	static const char *const nothing[] = {
		"SELECT 1",
		"SELECT temp FROM weather",
		"UPDATE weather SET temp = 1",
		"SELECT a FROM asset_config",
		"SELECT count(*) FROM dataset_config (1)",
		"SELECT set_config FROM t",
		"SELECT advisory_locks FROM advisory_locks",
		"CREATE TABLE advisory_locks (a integer)",
		"INSERT INTO t VALUES ('set_config(a)', $$ pg_advisory_lock(1) $$)",
		"SELECT 1 -- pg_advisory_lock(1)",
		"CREATE TABLE template (a integer)",
		"CREATE TABLE weather (temp real)",
		"CREATE INDEX ON weather (temp)",
		"CREATE VIEW v AS SELECT temp FROM pg_temp.weather",
		"WITH x AS (INSERT INTO weather (temp) VALUES (1) RETURNING temp) SELECT temp FROM x",
		"WITH x AS (INSERT INTO temp (a) VALUES (1) RETURNING a) SELECT a FROM x",
		"SELECT temp, 1 AS a INTO t FROM weather",
		"CREATE TEMP TABLE t (a integer, b integer GENERATED ALWAYS AS (a) STORED) "
		"ON COMMIT DROP",
		"CREATE TEMPORARY TABLE t ON COMMIT /* a */ DROP AS SELECT 1 AS a",
		"DECLARE hold CURSOR WITHOUT HOLD FOR SELECT 1",
		"SET LOCAL search_path = a",
		"SET  LOCAL search_path = a",
		"SET\nLOCAL search_path = a",
		"SET /* a */ LOCAL \"search_path\" = a",
		"SET TRANSACTION READ ONLY",
		"SET CONSTRAINTS ALL DEFERRED",
		"SELECT set_config('a.b', concat('(', 'it''s', ')'), true )",
		"SELECT pg_advisory_xact_lock(1)",
		"",
	};

	(void)engine;
	for (size_t i = 0; i < COUNT(some); i++) {
		if (amend_postgres_alters(some[i]) != AMEND_ALTERS_SESSION)
			fail_msg("%s is said to alter nothing", some[i]);
	}
	for (size_t i = 0; i < COUNT(nothing); i++) {
		if (amend_postgres_alters(nothing[i]) != AMEND_ALTERS_NOTHING)
			fail_msg("%s is said to alter its session", nothing[i]);
	}
}

static const struct engine_test tests[] = {
	{"a write fails before the end is read: UNREACHABLE", writes_fail_first, ONLY},
	{"names of statements that something took away", names_taken_away, ONLY},
	{"..and inside a transaction: RETRY", names_taken_away_inside, ONLY},
	{"a plan out of date inside a transaction: RETRY", plan_out_of_date_inside, ONLY},
	{"a parameter's type is not kept longer than the column's", types_are_not_kept, ONLY},
	{"settings that a statement changed are pinned again", pins_come_back, ONLY},
	{"the application's lock_timeout is given back", lock_timeout_is_given_back, ONLY},
	{"a connection that the application keeps busy is refused", busy_application, ONLY},
	{"numbers do not depend on the locale", numbers_with_a_comma, ONLY},
	{"what a statement leaves in its session", alters, ONLY},
	{"COPY is refused, and the connection stays usable", copy_is_refused, ONLY},
	{"RAISE with a SQLSTATE of its own is CONSTRAINT", raised_with_a_state_of_its_own, ONLY},
	{"thrown out before COMMIT: UNREACHABLE, not unknown", thrown_out_before_commit, ONLY},
	{"the row version moves with every write, also between partitions", row_versions, ONLY},
	{"INCLUDE, NULLS NOT DISTINCT, dropped columns, invalid indexes", unusual_keys, ONLY},
	{"a foreign key to a partitioned table is one", foreign_key_to_partitions, ONLY},
	{"types that hold xml or tsquery are unsound as well", unsound_within, ONLY},
	{"a table that is not there: the near ones are named", names_that_are_near, ONLY},
	{"SQL_ASCII, LATIN1, EUC_JP", other_encodings, ONLY},
	{"check says who blocks whom", who_blocks_whom, ONLY},
	{"gone is not said too early", gone_is_not_said_too_early, ONLY},
};

ENGINE_MAIN(tests)
