/*
 * Conformance: values of every kind in and out, placeholders, counts of changes.
 * Leaves what a column makes of odd input to canonical_test.c.
 */
#include "engines.h"

#include <math.h>
#include <stdlib.h>

#include "core/buffer.h"

#define NUL                        \
	{                          \
		.kind = AMEND_NULL \
	}
#define INT(i)                                           \
	{                                                \
		.kind = AMEND_INTEGER, .as.integer = (i) \
	}
#define REAL(r)                                    \
	{                                          \
		.kind = AMEND_REAL, .as.real = (r) \
	}
#define TEXT(t)                                                           \
	{                                                                 \
		.kind = AMEND_TEXT, .size = sizeof(t) - 1, .as.text = (t) \
	}
#define BLOB(b)                                                           \
	{                                                                 \
		.kind = AMEND_BLOB, .size = sizeof(b) - 1, .as.blob = (b) \
	}

/* Stores one value in a column of the type, reads it back. */
static struct amend_rows store(struct engine *engine, struct amend_session *session,
			       const char *type, const struct amend_value *value)
{
	struct amend_statement statements[] = {
		{.sql = "DELETE FROM t"},
		{.sql = engine_sql(engine, "INSERT INTO t VALUES (?1)"),
		 .values = value,
		 .n_values = 1},
		{.sql = "SELECT v FROM t"},
	};
	struct amend_rows rows[3];
	struct amend_error err;
	size_t failed;

	session_exec(engine, session, "DROP TABLE IF EXISTS t");
	session_exec(engine, session, engine_printf(engine, "CREATE TABLE t (v %s)", type));
	for (size_t i = 0; i < COUNT(statements); i++)
		statements[i].once = true;
	expect_ok(engine->driver->run(session, statements, 3, rows, &failed, &err), &err);
	assert_int_equal(failed, 3);
	assert_int_equal(rows[2].n_rows, 1);
	assert_int_equal(rows[2].n_columns, 1);
	amend_rows_release(&rows[0]);
	amend_rows_release(&rows[1]);
	return rows[2];
}

static void expect_stored(const char *type, const struct amend_value *found,
			  const struct amend_value *expected)
{
	if (!amend_value_equal(found, expected))
		fail_msg("%s: expected kind %d, %zu bytes; found kind %d, %zu bytes: %.*s", type,
			 (int)expected->kind, expected->size, (int)found->kind, found->size,
			 found->kind == AMEND_TEXT ? (int)found->size : 0,
			 found->kind == AMEND_TEXT ? found->as.text : "");
	if (found->kind == AMEND_TEXT)
		assert_int_equal(found->as.text[found->size], '\0');
}

/* SQLite hands back the storage class; PostgreSQL the text of the type's output function. */
static void round_trips(struct engine *engine)
{
	static const struct {
		const char *sqlite_type, *postgres_type;
		struct amend_value in, sqlite, postgres;
	} cases[] = {
		{"text", "text", NUL, NUL, NUL},
		{"integer", "bigint", NUL, NUL, NUL},
		{"blob", "bytea", NUL, NUL, NUL},
		{"text", "text", TEXT(""), TEXT(""), TEXT("")},
		{"text", "text", TEXT("NULL"), TEXT("NULL"), TEXT("NULL")},
		{"text", "text", TEXT(" x "), TEXT(" x "), TEXT(" x ")},
		{"text", "text", TEXT("it's \"x\" \\n $1 ?1 %s"), TEXT("it's \"x\" \\n $1 ?1 %s"),
		 TEXT("it's \"x\" \\n $1 ?1 %s")},
		{"text", "text", TEXT("a\r\n\tb\x01"), TEXT("a\r\n\tb\x01"), TEXT("a\r\n\tb\x01")},
		{"text", "text", TEXT("Zürich 東京 \xf0\x9f\x90\x98 e\xcc\x81"),
		 TEXT("Zürich 東京 \xf0\x9f\x90\x98 e\xcc\x81"),
		 TEXT("Zürich 東京 \xf0\x9f\x90\x98 e\xcc\x81")},
		{"integer", "bigint", INT(0), INT(0), TEXT("0")},
		{"integer", "bigint", INT(-1), INT(-1), TEXT("-1")},
		{"integer", "bigint", INT(9007199254740993), INT(9007199254740993),
		 TEXT("9007199254740993")},
		{"integer", "bigint", INT(INT64_MAX), INT(INT64_MAX), TEXT("9223372036854775807")},
		{"integer", "bigint", INT(INT64_MIN), INT(INT64_MIN), TEXT("-9223372036854775808")},
		{"integer", "smallint", INT(7), INT(7), TEXT("7")},
		{"integer", "numeric(10,2)", INT(7), INT(7), TEXT("7.00")},
		{"text", "text", INT(7), TEXT("7"), TEXT("7")},
		{"real", "double precision", REAL(0.1), REAL(0.1), TEXT("0.1")},
		{"real", "double precision", REAL(-0.0), REAL(0.0), TEXT("-0")},
		{"real", "double precision", REAL(1.7976931348623157e308),
		 REAL(1.7976931348623157e308), TEXT("1.7976931348623157e+308")},
		{"real", "double precision", REAL(5e-324), REAL(5e-324), TEXT("5e-324")},
		{"real", "double precision", REAL(0.30000000000000004), REAL(0.30000000000000004),
		 TEXT("0.30000000000000004")},
		{"real", "double precision", REAL(INFINITY), REAL(INFINITY), TEXT("Infinity")},
		{"real", "double precision", REAL(-INFINITY), REAL(-INFINITY), TEXT("-Infinity")},
		{"blob", "bytea", BLOB(""), BLOB(""), TEXT("\\x")},
		{"blob", "bytea", BLOB("\0\1\377\\'"), BLOB("\0\1\377\\'"), TEXT("\\x0001ff5c27")},
		{"", "boolean", TEXT("t"), TEXT("t"), TEXT("t")},
		{"text", "date", TEXT("2024-02-29"), TEXT("2024-02-29"), TEXT("2024-02-29")},
		{"text", "timestamptz", TEXT("2024-01-01 00:30:00+02"),
		 TEXT("2024-01-01 00:30:00+02"), TEXT("2023-12-31 22:30:00+00")},
		{"text", "numeric", TEXT("1.50"), TEXT("1.50"), TEXT("1.50")},
		{"numeric", "numeric", TEXT("123456789012345678901234567890.5"),
		 REAL(1.2345678901234568e29), TEXT("123456789012345678901234567890.5")},
		{"text", "interval", TEXT("1 mon -3 days 01:02:03.5"),
		 TEXT("1 mon -3 days 01:02:03.5"), TEXT("1 mon -3 days +01:02:03.5")},
		{"text", "json", TEXT("{\"b\": 1,  \"a\": 9007199254740993}"),
		 TEXT("{\"b\": 1,  \"a\": 9007199254740993}"),
		 TEXT("{\"b\": 1,  \"a\": 9007199254740993}")},
		{"text", "integer[]", TEXT("{1,NULL,3}"), TEXT("{1,NULL,3}"), TEXT("{1,NULL,3}")},
		{"text", "uuid", TEXT("0b5b6f5e-2f2a-4a3c-9c7e-7d1a5a1d9d10"),
		 TEXT("0b5b6f5e-2f2a-4a3c-9c7e-7d1a5a1d9d10"),
		 TEXT("0b5b6f5e-2f2a-4a3c-9c7e-7d1a5a1d9d10")},
	};
	struct amend_session *session = session_open(engine);

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *type = engine_pick(engine, cases[i].sqlite_type, cases[i].postgres_type);
		struct amend_rows rows = store(engine, session, type, &cases[i].in);

		expect_stored(type, &rows.values[0],
			      engine_is(engine, "sqlite") ? &cases[i].sqlite : &cases[i].postgres);
		amend_rows_release(&rows);
	}
}

/* MariaDB: numbers and dates as text, bytes as bytes. */
static void round_trips_mariadb(struct engine *engine)
{
	static const struct {
		const char *type;
		struct amend_value in, out;
	} cases[] = {
		{"text", NUL, NUL},
		{"bigint", NUL, NUL},
		{"longblob", NUL, NUL},
		{"text", TEXT(""), TEXT("")},
		{"text", TEXT("NULL"), TEXT("NULL")},
		{"text", TEXT(" x "), TEXT(" x ")},
		{"text", TEXT("it's \"x\" \\n $1 ?1 %s"), TEXT("it's \"x\" \\n $1 ?1 %s")},
		{"text", TEXT("a\r\n\tb\x01"), TEXT("a\r\n\tb\x01")},
		{"text", TEXT("Zürich 東京 \xf0\x9f\x90\x98 e\xcc\x81"),
		 TEXT("Zürich 東京 \xf0\x9f\x90\x98 e\xcc\x81")},
		{"bigint", INT(0), TEXT("0")},
		{"bigint", INT(-1), TEXT("-1")},
		{"bigint", INT(9007199254740993), TEXT("9007199254740993")},
		{"bigint", INT(INT64_MAX), TEXT("9223372036854775807")},
		{"bigint", INT(INT64_MIN), TEXT("-9223372036854775808")},
		{"bigint unsigned", TEXT("18446744073709551615"), TEXT("18446744073709551615")},
		{"smallint", INT(7), TEXT("7")},
		{"numeric(10,2)", INT(7), TEXT("7.00")},
		{"numeric(65,30)", TEXT("-12345678901234567890.000000000000000000000000000001"),
		 TEXT("-12345678901234567890.000000000000000000000000000001")},
		{"text", INT(7), TEXT("7")},
		{"double precision", REAL(0.1), TEXT("0.1")},
		{"double precision", REAL(1.7976931348623157e308), TEXT("1.7976931348623157e+308")},
		{"double precision", REAL(5e-324), TEXT("4.94065645841247e-324")},
		{"double precision", REAL(0.30000000000000004), TEXT("0.30000000000000004")},
		{"float", INT(16777215), TEXT("16777215")},
		{"longblob", BLOB(""), BLOB("")},
		{"longblob", BLOB("\0\1\377\\'"), BLOB("\0\1\377\\'")},
		{"boolean", TEXT("1"), TEXT("1")},
		{"date", TEXT("2024-02-29"), TEXT("2024-02-29")},
		{"datetime(6)", TEXT("2024-01-01 00:30:00.5"), TEXT("2024-01-01 00:30:00.500000")},
		{"timestamp", TEXT("2024-01-01 00:30:00"), TEXT("2024-01-01 00:30:00")},
		{"time(3)", TEXT("-838:59:59.5"), TEXT("-838:59:59.500")},
		{"year", TEXT("2024"), TEXT("2024")},
		{"enum('a','b')", TEXT("b"), TEXT("b")},
		{"json", TEXT("{\"b\": 1,  \"a\": 9007199254740993}"),
		 TEXT("{\"b\": 1,  \"a\": 9007199254740993}")},
		{"uuid", TEXT("0b5b6f5e-2f2a-4a3c-9c7e-7d1a5a1d9d10"),
		 TEXT("0b5b6f5e-2f2a-4a3c-9c7e-7d1a5a1d9d10")},
	};
	struct amend_session *session = session_open(engine);

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct amend_rows rows = store(engine, session, cases[i].type, &cases[i].in);

		expect_stored(cases[i].type, &rows.values[0], &cases[i].out);
		amend_rows_release(&rows);
	}
}

static void large_values(struct engine *engine)
{
	static const size_t size = 1 << 20;
	struct amend_session *session = session_open(engine);
	char *bytes = malloc(size + 1);
	struct amend_value value;
	struct amend_rows rows;

	assert_non_null(bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)('a' + i % 26);
	bytes[size] = '\0';
	value = amend_text(bytes);
	rows = store(engine, session, engine_pick3(engine, "text", "text", "longtext"), &value);
	expect_stored("text", &rows.values[0], &value);
	amend_rows_release(&rows);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(unsigned char)(i * 7);
	value = amend_blob(bytes, size);
	rows = store(engine, session, engine_pick(engine, "blob", "bytea"), &value);
	assert_int_equal(rows.values[0].size, engine_is(engine, "postgresql") ? 2 * size + 2 : size);
	amend_rows_release(&rows);
	session_expect(
		engine, session,
		engine_pick(engine, "SELECT length(v) FROM t", "SELECT octet_length(v) FROM t"),
		"1048576");
	free(bytes);
}

/* PostgreSQL holds neither NUL nor broken UTF-8 in a text; SQLite keeps what it is given. */
static void bytes_that_are_no_text(struct engine *engine)
{
	static const struct {
		struct amend_value value;
	} cases[] = {{TEXT("a\0b")}, {TEXT("\0")}, {TEXT("\xff\xfe")}, {TEXT("caf\xc3")}};
	struct amend_session *session = session_open(engine);

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct amend_rows rows;

		if (engine_is(engine, "sqlite")) {
			rows = store(engine, session, "text", &cases[i].value);
			expect_stored("text", &rows.values[0], &cases[i].value);
			amend_rows_release(&rows);
			continue;
		}
		session_exec(engine, session, "CREATE TABLE IF NOT EXISTS t (v text)");
		/* A NUL is a character like any other. */
		if (engine_is(engine, "mariadb") && i < 2) {
			rows = store(engine, session, "text", &cases[i].value);
			expect_stored("text", &rows.values[0], &cases[i].value);
			amend_rows_release(&rows);
			session_exec(engine, session, "DELETE FROM t");
			continue;
		}
		expect_error(AMEND_INVALID, "22021",
			     session_with(engine, session, "INSERT INTO t VALUES (?1)",
					  &cases[i].value, 1));
		session_expect(engine, session, "SELECT count(*) FROM t", "0");
	}
}

static void placeholders(struct engine *engine)
{
	const struct amend_value values[] = {amend_text("a"), amend_text("b"), amend_text("c")};
	struct amend_session *session = session_open(engine);

	session_exec(engine, session, "CREATE TABLE t (x text, y text, z text)");
	expect_done(session_with(engine, session, "INSERT INTO t VALUES (?3, ?1, ?2)", values, 3));
	expect_done(session_with(engine, session, "INSERT INTO t VALUES (?1, ?1, ?2)", values, 2));
	session_expect(engine, session, "SELECT * FROM t ORDER BY x", "a|a|b\nc|a|b");
	session_exec(engine, session, "INSERT INTO t VALUES ('d', '$2', '?')");
	session_expect(engine, session, "SELECT y, z FROM t WHERE x = 'd'", "$2|?");
}

static void many_placeholders(struct engine *engine)
{
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_value values[300];
	struct amend_session *session = session_open(engine);

	session_exec(engine, session, "CREATE TABLE t (v integer)");
	amend_buffer_text(&sql, "INSERT INTO t VALUES ");
	for (int i = 0; i < 300; i++) {
		values[i] = amend_integer(i);
		amend_buffer_printf(&sql, "%s(?%d)", i ? ", " : "", i + 1);
	}
	expect_done(session_with(engine, session, amend_buffer_string(&sql), values, 300));
	amend_buffer_release(&sql);
	session_expect(engine, session, "SELECT count(*), min(v), max(v), sum(v) FROM t",
		       "300|0|299|44850");
}

/* A value bound the second time replaces the first: nothing sticks to a cached statement. */
static void cached_statement_takes_new_values(struct engine *engine)
{
	static const struct amend_value values[] = {TEXT("long enough"), NUL, TEXT("x"), TEXT("")};
	struct amend_session *session = session_open(engine);

	session_exec(engine, session, "CREATE TABLE t (v text)");
	for (size_t i = 0; i < COUNT(values); i++)
		expect_done(
			session_with(engine, session, "INSERT INTO t VALUES (?1)", &values[i], 1));
	session_expect(engine, session, "SELECT coalesce(v, '-') FROM t", "long enough\n-\nx\n");
}

static void changes_are_counted(struct engine *engine)
{
	static const struct {
		const char *sql;
		int64_t changes;
	} cases[] = {
		{"CREATE TABLE t (a integer PRIMARY KEY, b text)", 0},
		{"INSERT INTO t VALUES (1, 'x'), (2, 'x'), (3, 'x')", 3},
		{"SELECT * FROM t", 0},
		{"UPDATE t SET b = 'x' WHERE a <= 2", 2}, /* found, though nothing differs */
		{"UPDATE t SET b = 'y' WHERE a = 99", 0},
		{"SELECT 1", 0},
		{"INSERT INTO t VALUES (3, 'z') ON CONFLICT (a) DO NOTHING", 0},
		{"INSERT INTO t VALUES (3, 'z') ON CONFLICT (a) DO UPDATE SET b = excluded.b", 1},
		{"INSERT INTO t VALUES (4, 'z'), (5, 'z') RETURNING a", 2},
		{"UPDATE t SET b = 'u' WHERE a > 3 RETURNING a", 2},
		{"ALTER TABLE t ADD COLUMN c text", 0},
		{"DELETE FROM t WHERE a = 1", 1},
		{"DELETE FROM t", 4},
		{"DELETE FROM t", 0},
	};
	struct amend_session *session = session_open(engine);

	for (int pass = 0; pass < 2; pass++) { /* once, and prepared */
		for (size_t i = 0; i < COUNT(cases); i++) {
			struct amend_statement statement = {.sql = cases[i].sql, .once = pass == 0};
			struct amend_rows rows = AMEND_ROWS_INIT;
			struct amend_error err;
			size_t failed;

			expect_ok(engine->driver->run(session, &statement, 1, &rows, &failed, &err),
				  &err);
			if (rows.changes != cases[i].changes)
				fail_msg("%s: expected %d changes, found %d", cases[i].sql,
					 (int)cases[i].changes, (int)rows.changes);
			amend_rows_release(&rows);
		}
		session_exec(engine, session, "DROP TABLE t");
	}
}

static void what_triggers_change_is_not_counted(struct engine *engine)
{
	struct amend_session *session = session_open(engine);

	engine_exec(engine, "CREATE TABLE t (a integer); CREATE TABLE log (a integer)");
	engine_exec(engine,
		    engine_pick3(
			    engine,
			    "CREATE TRIGGER tr AFTER INSERT ON t BEGIN"
			    " INSERT INTO log VALUES (new.a), (new.a); END",
			    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
			    " 'BEGIN INSERT INTO log VALUES (new.a), (new.a); RETURN new; END';"
			    "CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
			    "CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW"
			    " INSERT INTO log VALUES (new.a), (new.a)"));
	assert_int_equal(session_exec(engine, session, "INSERT INTO t VALUES (1), (2)"), 2);
	engine_expect(engine, "SELECT count(*) FROM log", "4");
}

static void results_have_their_shape(struct engine *engine)
{
	struct amend_statement statement = {.sql = "SELECT 1 AS a, 'x' AS b WHERE 1 = 0"};
	struct amend_session *session = session_open(engine);
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error err;
	size_t failed;

	expect_ok(engine->driver->run(session, &statement, 1, &rows, &failed, &err), &err);
	assert_int_equal(rows.n_rows, 0);
	amend_rows_release(&rows);
	statement.sql = "SELECT 1, 'x' UNION ALL SELECT 2, NULL ORDER BY 1";
	expect_ok(engine->driver->run(session, &statement, 1, &rows, &failed, &err), &err);
	assert_int_equal(rows.n_rows, 2);
	assert_int_equal(rows.n_columns, 2);
	assert_int_equal(amend_rows_at(&rows, 1, 1)->kind, AMEND_NULL);
	amend_rows_release(&rows);
	/* nobody wants the rows */
	expect_ok(engine->driver->run(session, &statement, 1, NULL, &failed, &err), &err);
	assert_int_equal(failed, 1);
}

/* A result outlives later statements, and the session. */
static void results_outlive_the_session(struct engine *engine)
{
	struct amend_statement statement = {.sql = "SELECT v FROM t"};
	struct amend_session *session = session_open(engine);
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error err;
	size_t failed;

	session_exec(engine, session, "CREATE TABLE t (v text)");
	session_exec(engine, session, "INSERT INTO t VALUES ('kept')");
	expect_ok(engine->driver->run(session, &statement, 1, &rows, &failed, &err), &err);
	session_exec(engine, session, "UPDATE t SET v = 'gone'");
	session_expect(engine, session, "SELECT v FROM t", "gone");
	session_close(engine, session);
	expect_text(rows.values[0].as.text, "kept");
	amend_rows_release(&rows);
}

static const struct engine_test tests[] = {
	{"values of every kind come back as they went in", round_trips, .real = true,
	 .not_on = "mariadb"},
	{"numbers and dates come back as text, bytes as bytes", round_trips_mariadb,
	 .only = "mariadb"},
	{"1 MB of text and of bytes", large_values},
	{"NUL and broken UTF-8 are kept, or INVALID 22021", bytes_that_are_no_text, .real = true},
	{"placeholders go by number, also twice and out of order", placeholders},
	{"300 placeholders", many_placeholders},
	{"a cached statement takes new values", cached_statement_takes_new_values, .real = true},
	{"changes are counted", changes_are_counted, .real = true,
	 .not_on = "mariadb" /* no ON CONFLICT */},
	{"what triggers change is not counted", what_triggers_change_is_not_counted, .real = true},
	{"results have their shape", results_have_their_shape, .real = true},
	{"results outlive later statements and the session", results_outlive_the_session},
};

ENGINE_MAIN(tests)
