/*
 * Many rows of parameters in one statement: of every type the same as one by one.
 * Leaves what is done with them to record and sync.
 */
#include "engines.h"

#include <amend/amend.h>

#include "sql/conn.h"

enum { MOST = 32 };

static const char setup[] = "CREATE TYPE mood AS ENUM ('sad', 'so, so', '\"quoted\"', 'NULL', '{}');"
			    "CREATE DOMAIN short AS text CHECK (length(VALUE) < 40);"
			    "CREATE DOMAIN ints AS integer[] CHECK (array_length(VALUE, 1) < 9);"
			    "CREATE DOMAIN boxes AS box;"
			    "CREATE TYPE pair AS (a integer, b text);";

static const struct {
	const char *type;
	const char *values[MOST]; /* NULL stands for NULL; ended by END */
} types[] = {
#define END "<end>"
	{"text", {"",      NULL,           "NULL",    "null", " a ", "\"",
		  "\\",    "\\\\",         "a\"b\\c", "{",    "}",   "{}",
		  ",",     "a,b",          "\n",      "\t\r", "'",   "\xc3\xa4\xf0\x9f\x98\x80",
		  "\\x41", "{\"a\",NULL}", END}},
	{"varchar(3)", {"abcd", "", NULL, "NULL", "a", "  ", END}},
	{"char(4)", {"a", "a   ", "", "abcdef", NULL, END}},
	{"\"char\"", {"a", "\"", ",", NULL, END}},
	{"name", {"a", "NULL", NULL, END}},
	{"integer", {"1", "-2147483648", " 7 ", NULL, END}},
	{"smallint", {"1", NULL, END}},
	{"bigint", {"9223372036854775807", NULL, END}},
	{"numeric(9,2)", {"1.005", "1e3", "NaN", "-0", NULL, END}},
	{"numeric", {"1.50", "1e-9", "100000000000000000000000", "NaN", NULL, END}},
	{"real", {"1.1", "-0", "NaN", "Infinity", NULL, END}},
	{"double precision", {"0.1", "1e308", "-Infinity", NULL, END}},
	{"money", {"1.50", NULL, END}},
	{"boolean", {"t", "yes", "false", NULL, END}},
	{"bytea", {"\\x", "\\x00ff", "\\xdeadbeef", NULL, END}},
	{"date", {"2024-02-29", "infinity", "0044-03-15 BC", NULL, END}},
	{"time", {"12:00", "24:00", NULL, END}},
	{"timestamp", {"2024-01-01T12:00", "-infinity", NULL, END}},
	{"timestamptz", {"2024-01-01 12:00+02", NULL, END}},
	{"interval", {"1 day 2 hours", "-1 mon", NULL, END}},
	{"uuid", {"{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", NULL, END}},
	{"json", {"{\"a\": \"b,\\\\\\\"c\"}", "\"text\"", "null", "[1,  2]", NULL, END}},
	{"jsonb", {"{\"b\": 1, \"a\": \"\\\\\"}", "\"text\"", "null", "1.0", NULL, END}},
	{"inet", {"10.0.0.1", "::1/64", NULL, END}},
	{"bit(3)", {"101", NULL, END}},
	{"point", {"(1,2)", "(-0,NaN)", NULL, END}},
	{"box", {"(1,2),(3,4)", "((0,0),(1,1))", NULL, END}},
	{"boxes", {"(1,2),(3,4)", NULL, END}},
	{"int4range", {"[1,5)", "empty", "(,)", NULL, END}},
	{"tsvector", {"a:1 'b c':2", NULL, END}},
	{"mood", {"sad", "so, so", "\"quoted\"", "NULL", "{}", NULL, END}},
	{"short", {"", "NULL", "a\\\"b", NULL, END}},
	{"pair", {"(1,a)", "(,)", "(2,\"x,\"\"y\\\\\")", NULL, END}},
	{"integer[]", {"{}", "{1,2}", "{NULL}", "{{1,2},{3,4}}", "[0:1]={5,6}", NULL, END}},
	{"text[]", {"{}", "{\"\",NULL,\"NULL\"}", "{\"a\\\\\\\"b\",\"{\",\"\n\"}", NULL, END}},
	{"box[]", {"{(1,2),(3,4);(5,6),(7,8)}", NULL, END}},
	{"mood[]", {"{sad,\"so, so\"}", NULL, END}},
	{"ints", {"{1,2}", "{}", NULL, END}},
	{"ints[]", {"{\"{1,2}\",\"{3}\"}", NULL, END}},
	{"pair[]", {"{\"(1,a)\",NULL}", NULL, END}},
};

/* The table's columns are those types; each value by itself, and all together, numbered. */
static void every_type(struct engine *engine)
{
	struct amend_buffer create = AMEND_BUFFER_INIT;
	struct amend_table *table = NULL;
	struct amend_conn *db;
	struct amend_error err;

	engine_exec(engine, setup);
	amend_buffer_text(&create, "CREATE TABLE t (id integer PRIMARY KEY");
	for (size_t i = 0; i < COUNT(types); i++)
		amend_buffer_printf(&create, ", c%zu %s", i, types[i].type);
	amend_buffer_text(&create, ")");
	engine_exec(engine, amend_buffer_string(&create));
	amend_buffer_release(&create);
	db = connect_open(engine);
	expect_ok(amend_table_open(db, "t", &table, &err), &err);
	for (size_t i = 0; i < COUNT(types); i++) {
		const struct amend_column *column = &table->columns[i + 1];
		struct amend_value values[MOST];
		struct amend_sql_array array = {.column = column, .values = values, .stride = 1};
		struct amend_rows rows = AMEND_ROWS_INIT;
		struct amend_sql sql;
		size_t n = 0;

		for (; !types[i].values[n] || strcmp(types[i].values[n], END) != 0; n++)
			values[n] = amend_text(types[i].values[n]);
		amend_sql_init(&sql, db);
		amend_sql_text(&sql, "SELECT k.n, k.c FROM ");
		amend_sql_unnest(&sql, &array, 1, n);
		amend_sql_text(&sql, " WITH ORDINALITY AS k(c, n) ORDER BY k.n");
		expect_ok(amend_exec(db, &sql, &rows, &err), &err);
		amend_sql_release(&sql);
		assert_int_equal(rows.n_rows, n);
		for (size_t j = 0; j < n; j++) {
			struct amend_rows one = AMEND_ROWS_INIT;

			amend_sql_init(&sql, db);
			amend_sql_text(&sql, "SELECT ");
			amend_sql_value_as(&sql, column, &values[j]);
			expect_ok(amend_exec(db, &sql, &one, &err), &err);
			amend_sql_release(&sql);
			if (!amend_value_equal(amend_rows_at(&one, 0, 0),
					       amend_rows_at(&rows, j, 1)))
				fail_at(__FILE__, __LINE__, "%s: %s became %s", types[i].type,
					types[i].values[j] ? types[i].values[j] : "NULL",
					amend_rows_at(&rows, j, 1)->as.text);
			amend_rows_release(&one);
		}
		amend_rows_release(&rows);
	}
	amend_table_close(table);
}

/* Rows keep their place over columns of either sort; kinds other than text; no rows at all. */
static void together(struct engine *engine)
{
	static const unsigned char bytes[] = {0, 1, 0x5c, 0xff};
	const struct amend_value values[] = {
		amend_integer(INT64_MIN),
		amend_text("{1,2}"),
		amend_blob(bytes, 4),
		amend_real(0.1),
		amend_integer(7),
		amend_text("{\"a\",b}"),
		amend_blob("", 0),
		amend_real(-1e300),
		amend_null(),
		amend_null(),
		amend_null(),
		amend_null(),
	};
	const char *names[] = {"i", "a", "b", "r"};
	struct amend_sql_array arrays[4];
	struct amend_table *table = NULL;
	struct amend_conn *db;
	struct amend_error err;

	engine_exec(engine,
		    "CREATE TABLE t (i bigint, a text[], b bytea, r numeric, PRIMARY KEY (i))");
	db = connect_open(engine);
	expect_ok(amend_table_open(db, "t", &table, &err), &err);
	for (size_t i = 0; i < 4; i++)
		arrays[i] = (struct amend_sql_array){
			.column = &table->columns[amend_table_column(table, names[i])],
			.values = values + i,
			.stride = 4,
		};
	for (size_t n = 0; n < 4; n++) {
		struct amend_rows rows = AMEND_ROWS_INIT;
		struct amend_sql sql;

		amend_sql_init(&sql, db);
		amend_sql_text(&sql,
			       "SELECT coalesce(string_agg(concat_ws('|', k.n, k.i, k.a, k.b, k.r),"
			       " ';' ORDER BY k.n), '') FROM ");
		amend_sql_unnest(&sql, arrays, 4, n);
		amend_sql_text(&sql, " WITH ORDINALITY AS k(i, a, b, r, n)");
		expect_ok(amend_exec(db, &sql, &rows, &err), &err);
		expect_text(
			amend_rows_at(&rows, 0, 0)->as.text,
			n == 0   ? ""
			: n == 1 ? "1|-9223372036854775808|{1,2}|\\x00015cff|0.1"
			: n == 2
				? "1|-9223372036854775808|{1,2}|\\x00015cff|0.1;"
				  "2|7|{a,b}|\\x|-1000000000000000000000000000000000000000000000000000000"
				  "00000000000000000000000000000000000000000000000000000000000000000000000"
				  "00000000000000000000000000000000000000000000000000000000000000000000000"
				  "00000000000000000000000000000000000000000000000000000000000000000000000"
				  "000000000000000000000000000000000"
				: amend_rows_at(&rows, 0, 0)->as.text);
		if (n == 3)
			expect_contains(amend_rows_at(&rows, 0, 0)->as.text, ";3");
		amend_rows_release(&rows);
		amend_sql_release(&sql);
	}
	amend_table_close(table);
}

/* The plan is kept under a name: every parameter has its type. */
static void named(struct engine *engine)
{
	const struct amend_value values[] = {amend_text("a"), amend_text("{b}")};
	struct amend_conn *db;
	struct amend_table *table = NULL;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error err;

	engine_exec(engine, "CREATE TABLE t (a text PRIMARY KEY, b text[])");
	db = connect_open(engine);
	expect_ok(amend_table_open(db, "t", &table, &err), &err);
	for (int i = 0; i < 3; i++) {
		const struct amend_sql_array arrays[] = {
			{.column = &table->columns[0], .values = values, .stride = 1},
			{.column = &table->columns[1], .values = values + 1, .stride = 1},
			{.type = "text", .values = values, .stride = 1},
		};
		struct amend_sql sql;

		amend_sql_init(&sql, db);
		amend_sql_text(&sql, "SELECT * FROM ");
		amend_sql_unnest(&sql, arrays, 3, 1);
		expect_ok(amend_exec(db, &sql, NULL, &err), &err);
		amend_sql_release(&sql);
	}
	expect_ok(amend_query(
			  db,
			  "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%ROWS "
			  "FROM%' AND statement NOT LIKE '%pg_prepared%'",
			  NULL, 0, &rows, &err),
		  &err);
	expect_text(amend_rows_at(&rows, 0, 0)->as.text, "1");
	amend_rows_release(&rows);
	amend_table_close(table);
}

static void nul_bytes(struct engine *engine)
{
	const struct amend_value value = amend_text_n("a\0b", 3);
	struct amend_conn *db;
	struct amend_table *table = NULL;
	struct amend_error err;

	engine_exec(engine, "CREATE TABLE t (a text PRIMARY KEY, b text[])");
	db = connect_open(engine);
	expect_ok(amend_table_open(db, "t", &table, &err), &err);
	for (size_t i = 0; i < 2; i++) {
		const struct amend_sql_array array = {
			.column = &table->columns[i], .values = &value, .stride = 1};
		struct amend_sql sql;

		amend_sql_init(&sql, db);
		amend_sql_text(&sql, "SELECT * FROM ");
		amend_sql_unnest(&sql, &array, 1, 1);
		expect_status(AMEND_INVALID, amend_exec(db, &sql, NULL, &err), &err);
		expect_contains(err.text, "NUL byte");
		amend_sql_release(&sql);
	}
	amend_table_close(table);
}

static const struct engine_test tests[] = {
	{"values of every type", every_type, .needs = AMEND_HAS_ARRAYS},
	{"columns of every sort side by side", together, .needs = AMEND_HAS_ARRAYS},
	{"the plan has a name", named, .needs = AMEND_HAS_ARRAYS},
	{"NUL bytes are refused", nul_bytes, .needs = AMEND_HAS_ARRAYS},
};

ENGINE_MAIN(tests)
