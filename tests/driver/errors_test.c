/*
 * Conformance: which status and which SQLSTATE an engine's error becomes.
 * Leaves locks, limits and lost connections to locks_test.c, limits_test.c, lost_test.c.
 */
#include "engines.h"

struct error_case {
	const char *sqlite, *postgres; /* NULL: not on this engine */
	enum amend_status status;
	const char *sqlstate;
	const char *says; /* what its text must name, or NULL */
};

static const char *const schema_sqlite =
	"PRAGMA foreign_keys = ON;"
	"CREATE TABLE p (id integer PRIMARY KEY, code text UNIQUE, name text NOT NULL,"
	" n integer CONSTRAINT positive CHECK (n > 0), a text, b text, UNIQUE (a, b));"
	"CREATE UNIQUE INDEX p_lower ON p (lower(name));"
	"CREATE TABLE c (id integer PRIMARY KEY, p integer NOT NULL REFERENCES p (id));"
	"CREATE TABLE w (k text PRIMARY KEY, v text) WITHOUT ROWID;"
	"CREATE TABLE typed (i integer, t text) STRICT;"
	"CREATE TABLE gen (a integer, g integer GENERATED ALWAYS AS (a + 1) STORED);"
	"CREATE VIEW v AS SELECT * FROM p;"
	"CREATE TABLE guarded (a integer);"
	"CREATE TRIGGER guard BEFORE INSERT ON guarded BEGIN"
	" SELECT RAISE(ABORT, 'not on a sunday'); END;"
	"INSERT INTO p VALUES (1, 'one', 'One', 1, 'x', 'y');"
	"INSERT INTO c VALUES (1, 1); INSERT INTO w VALUES ('k', 'v')";

static const char *const schema_postgres =
	"CREATE TABLE p (id integer PRIMARY KEY, code text UNIQUE, name text NOT NULL,"
	" n integer CONSTRAINT positive CHECK (n > 0), a text, b text, UNIQUE (a, b));"
	"CREATE UNIQUE INDEX p_lower ON p (lower(name));"
	"CREATE TABLE c (id integer PRIMARY KEY, p integer NOT NULL REFERENCES p (id));"
	"CREATE TABLE w (k text PRIMARY KEY, v varchar(3));"
	"CREATE TABLE typed (i integer, s smallint, d date, n numeric(4,2), j jsonb, u uuid,"
	" ok boolean, t timestamptz);"
	"CREATE DOMAIN even AS integer CHECK (VALUE % 2 = 0);"
	"CREATE TABLE gen (a integer, g integer GENERATED ALWAYS AS (a + 1) STORED,"
	" i integer GENERATED ALWAYS AS IDENTITY, e even);"
	"CREATE TABLE room (during int4range, EXCLUDE USING gist (during WITH &&));"
	"CREATE TABLE guarded (a integer);"
	"CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS"
	" 'BEGIN RAISE EXCEPTION ''not on a sunday''; END';"
	"CREATE TRIGGER guard BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION guard();"
	"INSERT INTO p VALUES (1, 'one', 'One', 1, 'x', 'y');"
	"INSERT INTO room VALUES ('[1,5)');"
	"INSERT INTO c VALUES (1, 1); INSERT INTO w VALUES ('k', 'v')";

static const char *const schema_mariadb =
	"CREATE TABLE p (id integer PRIMARY KEY, code text UNIQUE, name text NOT NULL, n integer,"
	" a text, b text, CONSTRAINT positive CHECK (n > 0), UNIQUE (a, b), UNIQUE KEY p_name (name));"
	"CREATE TABLE c (id integer PRIMARY KEY, p integer NOT NULL REFERENCES p (id));"
	"CREATE TABLE w (k text PRIMARY KEY, v varchar(3));"
	"CREATE TABLE typed (i integer, s smallint, d date, n numeric(4,2), j json, u uuid,"
	" e enum('a', 'b'), t datetime);"
	"CREATE TABLE gen (a integer, g integer GENERATED ALWAYS AS (a + 1) STORED);"
	"CREATE TABLE guarded (a integer);"
	"CREATE TRIGGER guard BEFORE INSERT ON guarded FOR EACH ROW"
	" SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not on a sunday';"
	"INSERT INTO p VALUES (1, 'one', 'One', 1, 'x', 'y');"
	"INSERT INTO c VALUES (1, 1); INSERT INTO w VALUES ('k', 'v')";

#define BOTH(sql) sql, sql

static const struct error_case constraints[] = {
	{BOTH("INSERT INTO p (id, name) VALUES (1, 'x')"), AMEND_CONSTRAINT, "23505", NULL},
	{BOTH("INSERT INTO p (id, code, name) VALUES (2, 'one', 'x')"), AMEND_CONSTRAINT, "23505",
	 "code"},
	{BOTH("INSERT INTO p (id, name, a, b) VALUES (2, 'x', 'x', 'y')"), AMEND_CONSTRAINT,
	 "23505", NULL},
	{BOTH("INSERT INTO p (id, name) VALUES (2, 'ONE')"), AMEND_CONSTRAINT, "23505", "p_lower"},
	{BOTH("INSERT INTO w VALUES ('k', 'w')"), AMEND_CONSTRAINT, "23505", NULL},
	{BOTH("UPDATE p SET name = NULL"), AMEND_CONSTRAINT, "23502", "name"},
	{BOTH("INSERT INTO p (id) VALUES (2)"), AMEND_CONSTRAINT, "23502", "name"},
	{BOTH("INSERT INTO c VALUES (2, 99)"), AMEND_CONSTRAINT, "23503", NULL},
	{BOTH("UPDATE c SET p = 99"), AMEND_CONSTRAINT, "23503", NULL},
	{BOTH("DELETE FROM p WHERE id = 1"), AMEND_CONSTRAINT, "23503", NULL},
	{BOTH("UPDATE p SET n = 0"), AMEND_CONSTRAINT, "23514", "positive"},
	{NULL, "INSERT INTO room VALUES ('[4,9)')", AMEND_CONSTRAINT, "23P01", NULL},
	{NULL, "INSERT INTO gen (a, e) VALUES (1, 3)", AMEND_CONSTRAINT, "23514", "even"},
	{"INSERT INTO guarded VALUES (1)", NULL, AMEND_CONSTRAINT, "23000", "not on a sunday"},
	{NULL, "INSERT INTO guarded VALUES (1)", AMEND_CONSTRAINT, "P0001", "not on a sunday"},
};

static const struct error_case invalid[] = {
	{BOTH("SELEKT 1"), AMEND_INVALID, "42", "SELEKT"},
	{BOTH("SELECT nope FROM p"), AMEND_INVALID, "42", "nope"},
	{BOTH("INSERT INTO p (nope) VALUES (1)"), AMEND_INVALID, "42", "nope"},
	{BOTH("SELECT no_such_function(1)"), AMEND_INVALID, "42", "no_such_function"},
	{BOTH("CREATE TABLE p (a integer)"), AMEND_INVALID, "42", "p"},
	{BOTH("SELECT * FROM no_such_table"), AMEND_NOT_FOUND, "42P01", "no_such_table"},
	{BOTH("INSERT INTO no_such_table VALUES (1)"), AMEND_NOT_FOUND, "42P01", "no_such_table"},
	{BOTH("CREATE TABLE no_such_schema.t (a integer)"), AMEND_NOT_FOUND, "3F000",
	 "no_such_schema"},
	{BOTH("UPDATE gen SET g = 5"), AMEND_INVALID, "42", "g"},
	{"UPDATE v SET code = 'x'", NULL, AMEND_INVALID, "42", NULL},
	{"INSERT INTO p (id, name) VALUES ('abc', 'x')", NULL, AMEND_INVALID, "22", NULL},
	{"INSERT INTO typed (i) VALUES ('abc')", NULL, AMEND_INVALID, "22", NULL},
	{NULL, "INSERT INTO typed (i) VALUES ('abc')", AMEND_INVALID, "22P02", "abc"},
	{NULL, "INSERT INTO typed (i) VALUES (3000000000)", AMEND_INVALID, "22003", NULL},
	{NULL, "INSERT INTO typed (s) VALUES ('40000')", AMEND_INVALID, "22003", NULL},
	{NULL, "INSERT INTO typed (d) VALUES ('2023-02-29')", AMEND_INVALID, "22008", NULL},
	{NULL, "INSERT INTO typed (d) VALUES ('soon')", AMEND_INVALID, "22007", NULL},
	{NULL, "INSERT INTO typed (n) VALUES (100)", AMEND_INVALID, "22003", NULL},
	{NULL, "INSERT INTO typed (j) VALUES ('{')", AMEND_INVALID, "22P02", NULL},
	{NULL, "INSERT INTO typed (u) VALUES ('1')", AMEND_INVALID, "22P02", NULL},
	{NULL, "INSERT INTO typed (ok) VALUES ('maybe')", AMEND_INVALID, "22P02", NULL},
	{NULL, "INSERT INTO w VALUES ('x', 'long')", AMEND_INVALID, "22001", NULL},
	{NULL, "SELECT 1 / 0", AMEND_INVALID, "22012", NULL},
	{NULL, "INSERT INTO typed (i) SELECT true", AMEND_INVALID, "42804", NULL},
};

/* As MariaDB has them: its own SQLSTATEs say less. */
static const struct error_case constraints_mariadb[] = {
	{BOTH("INSERT INTO p (id, name) VALUES (1, 'x')"), AMEND_CONSTRAINT, "23505", NULL},
	{BOTH("INSERT INTO p (id, code, name) VALUES (2, 'one', 'x')"), AMEND_CONSTRAINT, "23505",
	 "code"},
	{BOTH("INSERT INTO p (id, name, a, b) VALUES (2, 'x', 'x', 'y')"), AMEND_CONSTRAINT,
	 "23505", NULL},
	{BOTH("INSERT INTO p (id, name) VALUES (2, 'One')"), AMEND_CONSTRAINT, "23505", "p_name"},
	{BOTH("INSERT INTO w VALUES ('k', 'w')"), AMEND_CONSTRAINT, "23505", NULL},
	{BOTH("UPDATE p SET name = NULL"), AMEND_CONSTRAINT, "23502", "name"},
	{BOTH("INSERT INTO p (id) VALUES (2)"), AMEND_CONSTRAINT, "23502", "name"},
	{BOTH("INSERT INTO c VALUES (2, 99)"), AMEND_CONSTRAINT, "23503", NULL},
	{BOTH("UPDATE c SET p = 99"), AMEND_CONSTRAINT, "23503", NULL},
	{BOTH("DELETE FROM p WHERE id = 1"), AMEND_CONSTRAINT, "23503", NULL},
	{BOTH("UPDATE p SET n = 0"), AMEND_CONSTRAINT, "23514", "positive"},
	{BOTH("INSERT INTO typed (j) VALUES ('{')"), AMEND_CONSTRAINT, "23514", "j"},
	{BOTH("INSERT INTO guarded VALUES (1)"), AMEND_CONSTRAINT, "45000", "not on a sunday"},
};

static const struct error_case invalid_mariadb[] = {
	{BOTH("SELEKT 1"), AMEND_INVALID, "42", "SELEKT"},
	{BOTH("SELECT nope FROM p"), AMEND_INVALID, "42", "nope"},
	{BOTH("INSERT INTO p (nope) VALUES (1)"), AMEND_INVALID, "42", "nope"},
	{BOTH("SELECT no_such_function(1)"), AMEND_INVALID, "42", "no_such_function"},
	{BOTH("SELECT * FROM no_such_table"), AMEND_NOT_FOUND, "42P01", "no_such_table"},
	{BOTH("INSERT INTO no_such_table VALUES (1)"), AMEND_NOT_FOUND, "42P01", "no_such_table"},
	{BOTH("INSERT INTO gen (a, g) VALUES (1, 5)"), AMEND_INVALID, "42", "g"},
	{BOTH("INSERT INTO typed (i) VALUES ('abc')"), AMEND_INVALID, "22P02", "abc"},
	{BOTH("INSERT INTO typed (i) VALUES (3000000000)"), AMEND_INVALID, "22003", NULL},
	{BOTH("INSERT INTO typed (s) VALUES ('40000')"), AMEND_INVALID, "22003", NULL},
	{BOTH("INSERT INTO typed (d) VALUES ('2023-02-29')"), AMEND_INVALID, "22007", NULL},
	{BOTH("INSERT INTO typed (t) VALUES ('soon')"), AMEND_INVALID, "22007", NULL},
	{BOTH("INSERT INTO typed (n) VALUES (100)"), AMEND_INVALID, "22003", NULL},
	{BOTH("INSERT INTO typed (u) VALUES ('1')"), AMEND_INVALID, "22007", NULL},
	{BOTH("INSERT INTO typed (e) VALUES ('c')"), AMEND_INVALID, "22P02", NULL},
	{BOTH("INSERT INTO w VALUES ('x', 'long')"), AMEND_INVALID, "22001", NULL},
	{BOTH("INSERT INTO typed (i) SELECT 1 / 0"), AMEND_INVALID, "22012", NULL},
};

/* DDL, which would end the transaction that it is tried in. */
static const struct error_case outside_mariadb[] = {
	{BOTH("CREATE TABLE p (a integer)"), AMEND_INVALID, "42", "p"},
	{BOTH("CREATE TABLE no_such_schema.t (a integer)"), AMEND_NOT_FOUND, "3F000",
	 "no_such_schema"},
};

/* `sqlstate` of two characters is a class. */
static void expect_case(struct engine *engine, struct amend_session *session,
			const struct error_case *wanted, bool once)
{
	const char *sql = engine_pick(engine, wanted->sqlite, wanted->postgres);
	struct amend_statement statement = {.sql = sql, .once = once};
	struct amend_error err = {.status = AMEND_OK};
	enum amend_status status;
	size_t failed;

	if (!sql)
		return;
	status = engine->driver->run(session, &statement, 1, NULL, &failed, &err);
	if (status != wanted->status || err.status != status || strlen(err.sqlstate) != 5 ||
	    strncmp(err.sqlstate, wanted->sqlstate, strlen(wanted->sqlstate)) != 0)
		fail_msg("%s\n  expected %s %s\n  found    %s %s %s", sql,
			 amend_status_name(wanted->status), wanted->sqlstate,
			 amend_status_name(status), err.sqlstate, err.text);
	if (wanted->says && !strstr(err.text, wanted->says))
		fail_msg("%s\n  expected a text that names \"%s\"\n  found    %s", sql,
			 wanted->says, err.text);
	if (strpbrk(err.text, "\n\r") || !*err.text || err.text[strlen(err.text) - 1] == '.')
		fail_msg("%s\n  expected one line without a full stop\n  found    %s", sql,
			 err.text);
}

static void each_case(struct engine *engine, const struct error_case *cases, size_t n)
{
	struct amend_session *session;

	engine_exec(engine, engine_pick3(engine, schema_sqlite, schema_postgres, schema_mariadb));
	session = session_open(engine);
	for (size_t i = 0; i < n; i++) {
		for (int once = 0; once < 2; once++) {
			expect_case(engine, session, &cases[i], once);
			session_expect_state(engine, session, AMEND_TX_IDLE);
			session_begin(engine, session);
			expect_case(engine, session, &cases[i], once);
			session_rollback(engine, session);
		}
	}
	session_expect(engine, session, "SELECT id, code, name, n FROM p", "1|one|One|1");
	session_expect(engine, session, "SELECT count(*) FROM guarded", "0");
}

static void constraint_errors(struct engine *engine)
{
	if (engine_is(engine, "mariadb"))
		each_case(engine, constraints_mariadb, COUNT(constraints_mariadb));
	else
		each_case(engine, constraints, COUNT(constraints));
}

static void invalid_errors(struct engine *engine)
{
	struct amend_session *session;

	if (!engine_is(engine, "mariadb")) {
		each_case(engine, invalid, COUNT(invalid));
		return;
	}
	each_case(engine, invalid_mariadb, COUNT(invalid_mariadb));
	session = session_open(engine);
	for (size_t i = 0; i < COUNT(outside_mariadb); i++)
		expect_case(engine, session, &outside_mariadb[i], true);
}

static void missing_rights(struct engine *engine)
{
	const struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct amend_session *session = NULL;
	struct amend_error err;
	const char *role, *url = engine_url_of_role(engine, &role);
	struct amend_statement write = {.sql = "INSERT INTO t VALUES (1)"};
	struct amend_statement create = {.sql = "CREATE TABLE u (a integer)", .once = true};
	size_t failed;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	expect_ok(engine->driver->open(url, &options, &session, &err), &err);
	expect_status(AMEND_DENIED, engine->driver->run(session, &write, 1, NULL, &failed, &err),
		      &err);
	expect_text(err.sqlstate, "42501");
	expect_contains(err.text, "t");
	expect_status(AMEND_DENIED, engine->driver->run(session, &create, 1, NULL, &failed, &err),
		      &err);
	engine->driver->close(session);
}

/* The engine's own code is there for who wants it: SQLite's extended one. */
static void native_code(struct engine *engine)
{
	struct amend_session *session = session_open(engine);
	struct attempt attempt;

	session_exec(engine, session, "CREATE TABLE t (a integer, b integer UNIQUE)");
	session_exec(engine, session, "INSERT INTO t VALUES (1, 1)");
	attempt = session_try(engine, session, "INSERT INTO t VALUES (2, 1)");
	expect_error(AMEND_CONSTRAINT, "23505", attempt);
	assert_int_equal(attempt.error.native, 2067); /* SQLITE_CONSTRAINT_UNIQUE */
}

static const struct engine_test tests[] = {
	{"broken constraints are CONSTRAINT with their SQLSTATE", constraint_errors},
	{"wrong statements and values are INVALID or NOT_FOUND", invalid_errors},
	{"missing rights are DENIED 42501", missing_rights, .not_on = "sqlite"},
	{"the native code is SQLite's extended one", native_code, .only = "sqlite"},
};

ENGINE_MAIN(tests)
