/*
 * "Unchanged" means exactly that nothing would change. For every type all its
 * values are held against each other; the engine itself, told to store the
 * input by a plain UPDATE, says what is right.
 * Leaves the drivers' canonical forms to tests/driver/canonical_test.c.
 */
#include <stdlib.h>
#include <unistd.h>

#include "ask.h"
#include "spellings.h"

enum { MOST_VALUES = 16 };

static enum amend_status set_value(struct road *road, const struct amend_value *value)
{
	const struct amend_field field = {"id", amend_integer(1)};
	const struct amend_match key = {&field, 1};
	const struct amend_assign set = {"v", AMEND_SET, *value};
	struct amend_write write = AMEND_WRITE_INIT;

	write.keys = &key, write.n_keys = 1;
	write.set = &set, write.n_set = 1;
	amend_result_release(&road->result);
	return amend_write(road->db, road->table, &write, &road->result, &road->err);
}

/* What the road said, held against what the engine made of it: `now` NULL when it refused the input. */
static void check(struct road *road, const char *type, const char *stored, const char *input,
		  enum amend_status status, const char *was, const char *would, const char *is)
{
	bool same = would && strcmp(was, would) == 0;

	if (!would ? status != AMEND_OK && strcmp(is, was) == 0
		   : status == AMEND_OK && strcmp(is, would) == 0 &&
			     (road->result.outcome == AMEND_IS_UNCHANGED) == same)
		return;
	fail_at(__FILE__, __LINE__, "%s: %s -> %s: %s %s%s; before %s, engine %s, after %s", type,
		stored, input, amend_status_name(status), status == AMEND_OK ? road_said(road) : "",
		status == AMEND_OK ? "" : road->err.text, was, would ? would : "refuses", is);
}

/* --- PostgreSQL --- */

static const struct {
	const char *type;
	const char *values[MOST_VALUES];
} postgres_types[] = {
	{"smallint", {"0", "-0", "+7", "007", " 7 ", "32767", "32768", "7.0", "x", ""}},
	{"integer", {"0", "42", "00042", "+42", "-1", "2147483648", "4e1", "0x10"}},
	{"bigint", {"9007199254740993", "9007199254740992", "09007199254740993", "-1"}},
	{"numeric", {"1.5", "1.50", "15e-1", "1e3", "1000", "NaN", "Infinity", "-0", "0.0", "007"}},
	{"numeric(6,2)",
	 {"1.5", "1.50", "1.504", "1.505", "1.495", "-1.505", "9999.995", "1e3", "0"}},
	{"real", {"0.1", "0.10000000149", "1e-1", "16777217", "16777216", "NaN", "-0", "0", "1e39"}},
	{"double precision", {"0.1", "0.10000000000000001", "1e-1", "-0", "0", "Infinity", "1e400"}},
	{"money", {"1.5", "$1.50", "1.50", "1000", "1,000"}},
	{"text", {"", " ", "a", "A", "a ", "\xc3\xa9", "e\xcc\x81", "NULL", "\\x41", "'"}},
	{"varchar(3)", {"", "abc", "abcd", "abc  ", "ab ", "ab"}},
	{"char(4)", {"", "ab", "ab  ", "ab   ", "abcde", "abcd ", " ab"}},
	{"name", {"a", "A", ""}},
	{"\"char\"", {"a", "b", ""}},
	{"bytea", {"\\x6869", "\\x6869 ", "hi", "\\X6869", "\\x68 69", "\\150i", "", "\\x"}},
	{"boolean", {"t", "true", "YES", "on", "1", "f", "no", "off", "0", "2", " t "}},
	{"date",
	 {"2020-02-29", "2020-2-29", "20200229", "2020/02/29", "2021-02-29", "infinity",
	  "2020-02-29 00:00:00"}},
	{"time", {"10:00", "10:00:00", "10:00:00.0", "10:00:00.10", "10:00:00.1", "24:00", "25:00"}},
	{"timetz", {"10:00+00", "10:00:00+00:00", "11:00+01", "10:00Z", "10:00"}},
	{"timestamp",
	 {"2020-01-01 10:00", "2020-01-01T10:00:00", "2020-01-01 10:00:00.000",
	  "2020-01-01 10:00:00.1234567", "2020-01-01 10:00:00.123457", "2020-01-01"}},
	{"timestamp(1)",
	 {"2020-01-01 10:00:00.15", "2020-01-01 10:00:00.2", "2020-01-01 10:00:00.1"}},
	{"timestamptz",
	 {"2020-01-01 10:00+00", "2020-01-01 11:00+01", "2020-01-01T10:00:00Z",
	  "2020-01-01 10:00:00.000001+00", "2020-06-01 10:00+02"}},
	{"interval", {"1 day", "24:00", "1 d", "P1D", "1 mon", "30 days", "x"}},
	{"uuid",
	 {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
	  "{a0eebc999c0b4ef8bb6d6bb9bd380a11}", "a0eebc99"}},
	{"inet", {"10.0.0.1", "10.0.0.1/32", "10.0.0.0/8", "::1", "::1/128", "0:0::1"}},
	{"cidr", {"10.0.0.0/8", "10/8", "10.0.0.1/8"}},
	{"macaddr", {"08:00:2b:01:02:03", "08002b010203", "08-00-2B-01-02-03"}},
	{"json", {"{\"a\":1}", "{\"a\": 1}", "1.0", "1", "9007199254740993", "{", "null"}},
	{"jsonb",
	 {"{\"a\":1,\"b\":2}", "{\"b\": 2, \"a\": 1}", "{\"a\":1,\"a\":2,\"b\":2}", "1.0", "1",
	  "9007199254740993", "9007199254740992.0", "null", "{"}},
	{"integer[]",
	 {"{1,2}", "{1, 2}", "{01,2}", "[1:2]={1,2}", "{NULL}", "{}", "{1", "{{1},{2}}"}},
	{"text[]", {"{a,b}", "{\"a\",b}", "{a, b}", "{NULL}", "{\"NULL\"}", "{\"\"}", "{}"}},
	{"int4range", {"[1,5)", "[1,4]", "(0,5)", "empty", "[3,3)", "[5,1)"}},
	{"bit(3)", {"101", "1010", "10", "B101", "011"}},
	{"varbit(3)", {"101", "1010", "10"}},
	{"point", {"(1,2)", "1,2", "(1.0,2)", "(-0,2)", "(0,2)"}},
	{"tsvector", {"a b", "b a", "'a' 'b'", "a:1 b"}},
	{"mood", {"sad", "happy", "Sad", ""}},
	{"email", {"a@b", "A@b", "nothing", ""}},
	{"pair", {"(1,a)", "(01,a)", "(1,\"a\")", "(1,)", "(,)", "(1)"}},
	{"oid", {"1", "01", "4294967295", "-1"}},
	{"varchar", {"x", "x ", "X"}},
};

static const char *stored_text(struct foreign *foreign)
{
	return foreign_rows(foreign, "SELECT v IS NULL, format('%s', v) FROM t WHERE id = 1");
}

static void every_type_of_postgres(struct engine *engine)
{
	struct foreign *other = foreign_open(engine);

	foreign_exec(other,
		     "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET bytea_output = 'hex'; "
		     "CREATE TYPE mood AS ENUM ('sad', 'happy'); "
		     "CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%'); "
		     "CREATE TYPE pair AS (n integer, t text)");
	for (size_t i = 0; i < COUNT(postgres_types); i++) {
		const char *type = postgres_types[i].type;
		const char *const *values = postgres_types[i].values;
		struct road *road;

		foreign_exec(other, engine_printf(engine,
						  "CREATE TABLE t (id integer PRIMARY KEY, v %s); "
						  "INSERT INTO t VALUES (1, NULL)",
						  type));
		road = road_open(engine, "t");
		for (size_t a = 0; a < MOST_VALUES && values[a]; a++) {
			for (size_t b = 0; b < MOST_VALUES && values[b]; b++) {
				struct amend_value value = amend_text(values[b]);
				const char *was, *would = NULL, *xmin;
				enum amend_status status;

				foreign_try(other,
					    engine_printf(engine,
							  "UPDATE t SET v = NULL; UPDATE t SET "
							  "v = $x$%s$x$",
							  values[a]));
				was = stored_text(other);
				foreign_exec(other, "BEGIN");
				if (!foreign_try(other,
						 engine_printf(engine, "UPDATE t SET v = $x$%s$x$",
							       values[b])))
					would = stored_text(other);
				foreign_exec(other, "ROLLBACK");
				xmin = foreign_rows(other, "SELECT xmin FROM t");
				status = set_value(road, &value);
				check(road, type, values[a], values[b], status, was, would,
				      stored_text(other));
				assert_int_equal(
					strcmp(xmin, foreign_rows(other, "SELECT xmin FROM t")) != 0,
					status == AMEND_OK &&
						road->result.outcome == AMEND_IS_UPDATED);
				/* Once it is stored, it is. */
				if (status == AMEND_OK) {
					expect_ok(set_value(road, &value), &road->err);
					said(road, "unchanged");
				}
			}
		}
		road_close(road);
		foreign_exec(other, "DROP TABLE t");
	}
}

static void unsound_types(struct engine *engine)
{
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE t (id integer PRIMARY KEY, x xml, q tsquery, xs xml[], n text); "
		    "INSERT INTO t VALUES (1, '<a/>', 'a', NULL, 'n')");
	road = road_open(engine, "t");
	refused(AMEND_UNSUPPORTED, road, .keys = "id=1", .set = "x=<a/>");
	expect_contains(road->err.text, "t.x");
	expect_contains(road->err.text, "xml");
	refused(AMEND_UNSUPPORTED, road, .keys = "id=1", .set = "q=b");
	expect_contains(road->err.text, "tsquery");
	refused(AMEND_UNSUPPORTED, road, .keys = "id=1", .set = "xs={}");
	refused(AMEND_UNSUPPORTED, road, AMEND_UPDATE_OR_CREATE, .keys = "id=2",
		.on_create = "x=<a/>");
	/* Beside them the record is like any other. */
	ok(road, .keys = "id=1", .set = "n=m", .token = road_token(road, "id=1"));
	expect_text(road_record(road), "id=1 x=<a/> q='a' xs=NULL n=m");
}

/* --- SQLite --- */

static const char *const sqlite_types[] = {
	"INTEGER", "TEXT", "REAL",   "NUMERIC",  "BLOB",
	"",        "JSON", "STRING", "DATETIME", "FLOATING POINT"};

static const struct {
	const char *literal;
	enum amend_kind kind;
	int64_t integer;
	double real;
	const char *text;
	size_t size;
} sqlite_values[] = {
	{"NULL", AMEND_NULL, 0, 0, NULL, 0},
	{"0", AMEND_INTEGER, 0, 0, NULL, 0},
	{"7", AMEND_INTEGER, 7, 0, NULL, 0},
	{"9007199254740993", AMEND_INTEGER, 9007199254740993, 0, NULL, 0},
	{"7.0", AMEND_REAL, 0, 7.0, NULL, 0},
	{"0.1", AMEND_REAL, 0, 0.1, NULL, 0},
	{"-0.0", AMEND_REAL, 0, -0.0, NULL, 0},
	{"9e999", AMEND_REAL, 0, 1e308 * 10, NULL, 0},
	{"'7'", AMEND_TEXT, 0, 0, "7", 1},
	{"'007'", AMEND_TEXT, 0, 0, "007", 3},
	{"'7.0'", AMEND_TEXT, 0, 0, "7.0", 3},
	{"'0.1'", AMEND_TEXT, 0, 0, "0.1", 3},
	{"'9007199254740993'", AMEND_TEXT, 0, 0, "9007199254740993", 16},
	{"''", AMEND_TEXT, 0, 0, "", 0},
	{"'a'", AMEND_TEXT, 0, 0, "a", 1},
	{"'A '", AMEND_TEXT, 0, 0, "A ", 2},
	{"x'61'", AMEND_BLOB, 0, 0, "a", 1},
	{"x''", AMEND_BLOB, 0, 0, "", 0},
	{"x'37'", AMEND_BLOB, 0, 0, "7", 1},
};

static struct amend_value sqlite_value(size_t i)
{
	struct amend_value value = {.kind = sqlite_values[i].kind, .size = sqlite_values[i].size};

	if (value.kind == AMEND_INTEGER)
		value.as.integer = sqlite_values[i].integer;
	else if (value.kind == AMEND_REAL)
		value.as.real = sqlite_values[i].real;
	else
		value.as.text = sqlite_values[i].text;
	return value;
}

static const char *stored_class(struct foreign *foreign)
{
	return foreign_rows(foreign,
			    "SELECT typeof(v), quote(v), hex(v), printf('%!.20g', v) FROM t");
}

static void every_affinity_of_sqlite(struct engine *engine)
{
	struct foreign *other = foreign_open(engine);

	for (size_t i = 0; i < COUNT(sqlite_types); i++) {
		struct road *road;

		foreign_exec(other, engine_printf(engine,
						  "CREATE TABLE t (id integer PRIMARY KEY, v %s); "
						  "INSERT INTO t VALUES (1, NULL)",
						  sqlite_types[i]));
		road = road_open(engine, "t");
		for (size_t a = 0; a < COUNT(sqlite_values); a++) {
			for (size_t b = 0; b < COUNT(sqlite_values); b++) {
				struct amend_value value = sqlite_value(b);
				const char *was, *would;
				enum amend_status status;

				foreign_exec(other, engine_printf(engine, "UPDATE t SET v = %s",
								  sqlite_values[a].literal));
				was = stored_class(other);
				foreign_exec(other,
					     engine_printf(engine, "BEGIN; UPDATE t SET v = %s",
							   sqlite_values[b].literal));
				would = stored_class(other);
				foreign_exec(other, "ROLLBACK");
				status = set_value(road, &value);
				check(road, sqlite_types[i], sqlite_values[a].literal,
				      sqlite_values[b].literal, status, was, would,
				      stored_class(other));
				expect_ok(set_value(road, &value), &road->err);
				said(road, "unchanged");
			}
		}
		road_close(road);
		foreign_exec(other, "DROP TABLE t");
	}
}

/* --- MariaDB --- */

/* Not "7.0" or " 7" in an integer: the server takes them, as it does 7.5 for 8; amend takes none of them. */
static const struct {
	const char *type;
	const char *values[MOST_VALUES];
} mariadb_types[] = {
	{"tinyint", {"0", "-0", "+7", "007", "127", "128", "x", ""}},
	{"integer", {"0", "42", "00042", "+42", "-1", "2147483648"}},
	{"integer unsigned", {"0", "-0", "42", "4294967295", "4294967296", "-1"}},
	{"bigint", {"9007199254740993", "9007199254740992", "09007199254740993", "-1"}},
	{"integer(5) zerofill", {"7", "007", "00007", "123456"}},
	{"decimal(6,2)",
	 {"1.5", "1.50", "1.504", "1.505", "1.495", "-1.505", "9999.995", "1e3", "0", "-0", "007"}},
	{"decimal(40,10)", {"123456789012345678901.0000000001", "123456789012345678901", "1e20"}},
	{"float", {"0.1", "0.10000000149", "1e-1", "16777217", "16777216", "16777215", "0", "1e39"}},
	{"double", {"0.1", "0.10000000000000001", "1e-1", "0.30000000000000004", "0.3", "1e400"}},
	{"varchar(3)", {"", "abc", "abcd", "abc  ", "ab ", "ab", "AB", "\xc3\xa9", "e\xcc\x81"}},
	{"varchar(3) COLLATE utf8mb4_general_ci", {"a", "A", "a ", "\xc3\xa4", "\xc3\x84", "ae"}},
	{"char(4)", {"", "ab", "ab  ", "ab   ", "abcde", "abcd ", " ab"}},
	{"longtext", {"", " ", "a", "A", "a ", "NULL", "\xf0\x9f\x90\x98"}},
	{"varchar(9) CHARACTER SET latin1", {"a", "\xc3\xa9", "\xe2\x82\xac", "\xe6\x97\xa5"}},
	{"varbinary(3)", {"", "a", "A", "a ", "abcd"}},
	{"binary(3)", {"a", "ab", "abc", "abcd"}},
	{"date", {"2020-02-29", "2020-2-29", "20200229", "2021-02-29", "2020-02-29 00:00:00"}},
	{"time", {"10:00", "10:00:00", "100000", "-10:00:00", "838:59:59", "839:00:00"}},
	{"time(2)", {"10:00:00.1", "10:00:00.10", "10:00:00.109"}},
	{"datetime",
	 {"2020-01-01 10:00", "2020-01-01T10:00:00", "2020-01-01 10:00:00", "2020-01-01",
	  "2020-01-01 10:00:00.4", "2020-01-01 10:00:60"}},
	{"datetime(1)",
	 {"2020-01-01 10:00:00.15", "2020-01-01 10:00:00.2", "2020-01-01 10:00:00.1"}},
	{"timestamp(6) NULL", {"2020-01-01 10:00:00", "2020-01-01T10:00:00.000001", "1969-01-01"}},
	{"year", {"2020", "20", "1900", "0", "x"}},
	{"enum('sad', 'happy')", {"sad", "happy", "Sad", "1", "", "x"}},
	{"set('a', 'b', 'c')", {"a,b", "b,a", "a", "", "a,x"}},
	{"json", {"{\"a\":1}", "{\"a\": 1}", "1.0", "1", "{", "null"}},
	{"uuid",
	 {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
	  "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc99"}},
	{"inet6", {"::1", "0:0::1", "1:2", "2001:DB8::1"}},
};

/* Of a FLOAT the text says too little. */
static const char *stored_here(struct foreign *foreign, const char *type)
{
	return foreign_rows(foreign, strcmp(type, "float") == 0
					     ? "SELECT v IS NULL, CAST(v AS double) FROM t"
					     : "SELECT v IS NULL, hex(v), v FROM t");
}

static void every_type_of_mariadb(struct engine *engine)
{
	struct foreign *other = foreign_open(engine);

	for (size_t i = 0; i < COUNT(mariadb_types); i++) {
		const char *type = mariadb_types[i].type;
		const char *const *values = mariadb_types[i].values;
		struct road *road;

		foreign_exec(other, engine_printf(engine,
						  "CREATE TABLE t (id integer PRIMARY KEY, v %s); "
						  "INSERT INTO t VALUES (1, NULL)",
						  type));
		road = road_open(engine, "t");
		for (size_t a = 0; a < MOST_VALUES && values[a]; a++) {
			for (size_t b = 0; b < MOST_VALUES && values[b]; b++) {
				struct amend_value value = amend_text(values[b]);
				const char *was, *would = NULL;
				enum amend_status status;

				foreign_try(other,
					    engine_printf(engine,
							  "UPDATE t SET v = NULL; UPDATE t SET "
							  "v = '%s'",
							  values[a]));
				was = stored_here(other, type);
				foreign_exec(other, "START TRANSACTION");
				if (!foreign_try(other,
						 engine_printf(engine, "UPDATE t SET v = '%s'",
							       values[b])))
					would = stored_here(other, type);
				foreign_exec(other, "ROLLBACK");
				status = set_value(road, &value);
				check(road, type, values[a], values[b], status, was, would,
				      stored_here(other, type));
				/* Once it is stored, it is. */
				if (status == AMEND_OK) {
					expect_ok(set_value(road, &value), &road->err);
					said(road, "unchanged");
				}
			}
		}
		road_close(road);
		foreign_exec(other, "DROP TABLE t");
	}
}

/* The column's collation finds the record; it does not decide what is a change. */
static void collations(struct engine *engine)
{
	struct road *road;

	engine_exec(engine,
		    engine_pick3(engine,
				 "CREATE TABLE t (id integer PRIMARY KEY, v text COLLATE NOCASE "
				 "UNIQUE)",
				 "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', "
				 "deterministic = false); CREATE TABLE t (id integer PRIMARY KEY, "
				 "v text COLLATE ci UNIQUE)",
				 "CREATE TABLE t (id integer PRIMARY KEY, v varchar(9) CHARACTER SET "
				 "utf8mb4 COLLATE utf8mb4_general_ci UNIQUE)"));
	engine_exec(engine, "INSERT INTO t VALUES (1, 'Ada')");
	road = road_open(engine, "t");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "v=ADA");
	said(road, "unchanged");
	ok(road, .keys = "v=ada", .set = "v=ada");
	said(road, "updated v: Ada -> ada");
	engine_expect(engine, "SELECT * FROM t", "1|ada");
}

/* What it made of the row is known without reading it again, where the engine's types allow that. */
static void the_answer_is_what_is_stored(struct engine *engine)
{
	size_t written = 0;

	spelled_prepare(engine);
	spelled_begin();
	for (const struct spelled *kind = NULL; (kind = spelled_next(engine, kind));) {
		struct road *road;

		engine_exec(engine, "DROP TABLE IF EXISTS t");
		engine_exec(engine,
			    engine_printf(engine, "CREATE TABLE t (id integer PRIMARY KEY, v %s)",
					  kind->type));
		engine_exec(engine, "INSERT INTO t (id) VALUES (1)");
		road = road_open(engine, "t");
		for (size_t i = 0; i < spelled_rounds(8); i++) {
			const struct amend_value value = amend_text(
				spelled_input(engine, kind, spelled_random(2) == 0));
			const char *answer;

			if (set_value(road, &value) != AMEND_OK)
				continue;
			answer = road_record(road);
			expect_ok(road_get(road, "id=1"), &road->err);
			expect_text_at(road_record(road), answer, kind->type, __FILE__, __LINE__);
			written++;
		}
		road_close(road);
	}
	assert_true(written > 50);
}

/* MariaDB shows it with zeros in front, and it is the number without. */
static void zerofill(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, d decimal(8,2) ZEROFILL, "
			    "n integer(6) ZEROFILL); INSERT INTO t VALUES (1, 12.5, 7)");
	road = road_open(engine, "t");
	ok(road, .keys = "id=1", .set = "d=12.5, n=7");
	said(road, "unchanged");
	expect_text(road_record(road), "id=1 d=12.50 n=7");
	ok(road, .keys = "id=1", .set = "d=000012.50, n=000007");
	said(road, "unchanged");
	ok(road, .keys = "id=1", .set = "d+=0.25, n+=1");
	said(road, "updated d: 12.50 -> 12.75, n: 7 -> 8");
	ok(road, .keys = "id=1", .set = "d=0");
	said(road, "updated d: 12.75 -> 0.00");
	engine_expect(engine, "SELECT d, n FROM t", "000000.00|000008");
}

static const struct engine_test tests[] = {
	{"every type: unchanged exactly when nothing would change", every_type_of_postgres,
	 .only = "postgresql"},
	{"every affinity: unchanged exactly when nothing would change", every_affinity_of_sqlite,
	 .only = "sqlite"},
	{"every type of MariaDB: unchanged exactly when nothing would change",
	 every_type_of_mariadb, .only = "mariadb"},
	{"ZEROFILL is how a number is shown", zerofill, .only = "mariadb"},
	{"the record that a write answers with is what is stored", the_answer_is_what_is_stored,
	 .only = "mariadb"},
	{"unsound types are refused by name", unsound_types, .only = "postgresql"},
	{"collations find records, and do not hide changes", collations},
};

/* Tens of thousands of small commits: in memory where there is room, for time's sake. */
int main(int argc, char **argv)
{
	if (access("/dev/shm", W_OK) == 0)
		setenv("AMEND_TEST_TMP", "/dev/shm", 1);
	return engine_main(tests, COUNT(tests), ENGINES_GENERIC, argc, argv);
}
