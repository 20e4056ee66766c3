/*
 * Conformance: input brought into the form in which a column would hand it back.
 * Leaves the randomised proof of the two lemmas (COMPARE) to the fuzz tests.
 */
#include "describe.h"

struct input {
	const char *type;
	const char *in;
	const char *out; /* as session_rows shows it; NULL: a problem */
	bool rounded;    /* the engine would take it, for another number than it is */
};

/* SQLite: `out` by its storage class: text in quotes. */
static const struct input sqlite_inputs[] = {
	{"INTEGER", "007", "7"},
	{"INTEGER", " 7 ", "7"},
	{"INTEGER", "7.0", "7"},
	{"INTEGER", "1e3", "1000"},
	{"INTEGER", "7.5", "7.5"},
	{"INTEGER", "abc", "'abc'"},
	{"INTEGER", "", "''"},
	{"INTEGER", "9223372036854775807", "9223372036854775807"},
	{"INTEGER", "9223372036854775808", "9.2233720368547758e+18"},
	{"NUMERIC(10,2)", "1.50", "1.5"},
	{"NUMERIC", "0x10", "'0x10'"},
	{"REAL", "1", "1"},
	{"REAL", "0.1", "0.10000000000000001"},
	{"TEXT", "007", "'007'"},
	{"TEXT", "", "''"},
	{"TEXT", "a ", "'a '"},
	{"varchar(3)", "longer", "'longer'"},
	{"BLOB", "007", "'007'"},
	{"", "007", "'007'"},
	{"BOOLEAN", "true", "'true'"},
	{"BOOLEAN", "1", "1"},
	{"DATE", "2024-02-29", "'2024-02-29'"},
};

static const struct input postgres_inputs[] = {
	{"integer", "007", "7"},
	{"integer", " 7 ", "7"},
	{"integer", "+7", "7"},
	{"integer", "-0", "0"},
	{"integer", "abc", NULL},
	{"integer", "", NULL},
	{"integer", "7.0", NULL},
	{"integer", "2147483648", NULL},
	{"smallint", "32768", NULL},
	{"bigint", "9223372036854775807", "9223372036854775807"},
	{"bigint", "9223372036854775808", NULL},
	{"numeric", "1.50", "1.50"},
	{"numeric", "1e3", "1000"},
	{"numeric", "00.5", "0.5"},
	{"numeric(10,2)", "1.5", "1.50"},
	{"numeric(10,2)", "1.005", "1.01"},
	{"numeric(4,2)", "100", NULL},
	{"numeric", "NaN", "NaN"},
	{"real", "0.1", "0.1"},
	{"double precision", "1", "1"},
	{"double precision", "1e400", NULL},
	{"double precision", "0.10", "0.1"},
	{"boolean", "yes", "t"},
	{"boolean", "0", "f"},
	{"boolean", "TRUE", "t"},
	{"boolean", "maybe", NULL},
	{"text", "", ""},
	{"text", " x ", " x "},
	{"text", "Zürich", "Zürich"},
	{"varchar(3)", "abc", "abc"},
	{"varchar(3)", "abc  ", "abc"},
	{"varchar(3)", "abcd", NULL},
	{"char(3)", "a", "a  "},
	{"bytea", "\\x00FF", "\\x00ff"},
	{"bytea", "\\xzz", NULL},
	{"date", "2024-02-29", "2024-02-29"},
	{"date", "2023-02-29", NULL},
	{"time", "7:05", "07:05:00"},
	{"timestamp", "2024-02-29T07:05", "2024-02-29 07:05:00"},
	{"timestamp", "2024-02-29 07:05:00.500", "2024-02-29 07:05:00.5"},
	{"timestamp(0)", "2024-02-29 07:05:00.6", "2024-02-29 07:05:01"},
	{"timestamptz", "2024-01-01T00:30:00+02:00", "2023-12-31 22:30:00+00"},
	{"interval", "90 minutes", "01:30:00"},
	{"uuid", "0B5B6F5E2F2A4A3C9C7E7D1A5A1D9D10", "0b5b6f5e-2f2a-4a3c-9c7e-7d1a5a1d9d10"},
	{"uuid", "0b5b", NULL},
	{"json", "{\"a\":  1}", "{\"a\":  1}"},
	{"json", "{", NULL},
	{"jsonb", "{\"b\":1,\"a\":{ }, \"a\":9007199254740993}",
	 "{\"a\": 9007199254740993, \"b\": 1}"},
	{"inet", "10.0.0.1/32", "10.0.0.1"},
	{"integer[]", "{1, 2,null}", "{1,2,NULL}"},
	{"mood", "glad", "glad"},
	{"mood", "Glad", NULL},
	{"even", "04", "4"},
	{"even", "3", NULL},
	{"int4range", "(1,5]", "[2,6)"},
};

/* FLOAT as the double that it is: its text does not tell 16777216 from 16777215. */
static const struct input mariadb_inputs[] = {
	{"integer", "007", "7"},
	{"integer", "+7", "7"},
	{"integer", "-0", "0"},
	{"integer", "abc", NULL},
	{"integer", "", NULL},
	{"integer", "7.0", NULL, .rounded = true},
	{"integer", "7.5", NULL, .rounded = true},
	{"integer", "2147483648", NULL},
	{"integer unsigned", "-1", NULL},
	{"integer(5) zerofill", "7", "7"},
	{"tinyint", "128", NULL},
	{"bigint", "9223372036854775807", "9223372036854775807"},
	{"bigint", "9223372036854775808", NULL},
	{"bigint unsigned", "18446744073709551615", "18446744073709551615"},
	{"numeric(10,2)", "1.5", "1.50"},
	{"numeric(10,2)", "1.005", "1.01"},
	{"numeric(10,2)", "-0", "0.00"},
	{"numeric(10,2)", "1e3", "1000.00"},
	{"numeric(10,2)", "00.5", "0.50"},
	{"numeric(4,2)", "100", NULL},
	{"numeric(4,2)", "99.995", NULL},
	{"numeric(5,2) unsigned", "-1", NULL},
	{"float", "0.1", "0.10000000149011612"},
	{"float", "16777217", "16777216"},
	{"double", "1", "1"},
	{"double", "1e400", NULL},
	{"double", "0.10", "0.1"},
	{"boolean", "1", "1"},
	{"boolean", "yes", NULL},
	{"text", "", ""},
	{"text", " x ", " x "},
	{"text", "Zürich", "Zürich"},
	{"varchar(3)", "abc", "abc"},
	{"varchar(3)", "abc  ", "abc"},
	{"varchar(3)", "日本語", "日本語"},
	{"varchar(3)", "abcd", NULL},
	{"varchar(3) CHARACTER SET latin1", "日", NULL},
	{"char(3)", "a", "a"},
	{"char(3)", "a  ", "a"},
	{"longblob", "x", "(1 bytes)"},
	{"varbinary(2)", "abc", NULL},
	{"binary(3)", "a", "(3 bytes)"},
	{"date", "2024-02-29", "2024-02-29"},
	{"date", "20240229", "2024-02-29"},
	{"date", "2023-02-29", NULL},
	{"time", "7:05", "07:05:00"},
	{"datetime", "2024-02-29T07:05:00", "2024-02-29 07:05:00"},
	{"datetime", "2024-02-29 07:05:00.500", "2024-02-29 07:05:00"},
	{"datetime(3)", "2024-02-29 07:05:00.5", "2024-02-29 07:05:00.500"},
	{"timestamp(0)", "2024-02-29 07:05:00", "2024-02-29 07:05:00"},
	{"year", "24", "2024"},
	{"enum('sad', 'glad')", "GLAD", NULL},
	{"enum('sad', 'glad')", "glad", "glad"},
	{"enum('sad', 'glad')", "cross", NULL},
	{"set('a', 'b')", "b,a", "a,b"},
	{"uuid", "0B5B6F5E2F2A4A3C9C7E7D1A5A1D9D10", "0b5b6f5e-2f2a-4a3c-9c7e-7d1a5a1d9d10"},
	{"uuid", "0b5b", NULL},
	{"json", "{\"a\":  1}", "{\"a\":  1}"},
	{"json", "{", NULL},
	{"inet6", "0:0::1", "::1"},
};

static const char *shown(struct engine *engine, const struct amend_value *value)
{
	switch (value->kind) {
	case AMEND_NULL:
		return "NULL";
	case AMEND_INTEGER:
		return engine_printf(engine, "%lld", (long long)value->as.integer);
	case AMEND_REAL:
		return engine_printf(engine, "%.17g", value->as.real);
	case AMEND_TEXT:
		return engine_printf(engine, engine_is(engine, "sqlite") ? "'%.*s'" : "%.*s",
				     (int)value->size, value->as.text);
	case AMEND_BLOB:
		return engine_printf(engine, "(%zu bytes)", value->size);
	}
	return "?";
}

/* What the engine itself makes of storing the text. */
static const char *stored(struct engine *engine, struct amend_session *session, const char *table,
			  const struct amend_value *value)
{
	struct amend_statement select = {.sql = engine_printf(engine, "SELECT v FROM %s", table)};
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error err;
	struct attempt attempt;
	const char *text;
	size_t failed;

	attempt = session_with(engine, session,
			       engine_printf(engine, "INSERT INTO %s VALUES (?1)", table), value, 1);
	if (attempt.status != AMEND_OK)
		return NULL;
	expect_ok(engine->driver->run(session, &select, 1, &rows, &failed, &err), &err);
	text = shown(engine, &rows.values[0]);
	amend_rows_release(&rows);
	return text;
}

static void each_input(struct engine *engine)
{
	const struct input *inputs = engine_is(engine, "sqlite")    ? sqlite_inputs
				     : engine_is(engine, "mariadb") ? mariadb_inputs
								    : postgres_inputs;
	size_t n = engine_is(engine, "sqlite")    ? COUNT(sqlite_inputs)
		   : engine_is(engine, "mariadb") ? COUNT(mariadb_inputs)
						  : COUNT(postgres_inputs);
	struct amend_session *session = session_open(engine);

	if (engine_is(engine, "postgresql"))
		engine_exec(engine, "CREATE TYPE mood AS ENUM ('sad', 'glad');"
				    "CREATE DOMAIN even AS integer CHECK (VALUE % 2 = 0)");
	for (size_t i = 0; i < n; i++) {
		struct amend_arena *arena = engine_arena(engine);
		struct amend_canon item = {.in = amend_text(inputs[i].in)};
		struct amend_error err;
		const char *table = engine_printf(engine, "t%zu", i), *found, *store;

		engine_execf(engine, "CREATE TABLE %s (v %s)", table, inputs[i].type);
		item.column = &describe(engine, session, NULL, table)->columns[0];
		expect_ok(engine->driver->canonicalise(session, &item, 1, arena, &err), &err);
		found = item.problem ? NULL : shown(engine, &item.out);
		store = inputs[i].rounded ? NULL : stored(engine, session, table, &item.in);
		if ((found && inputs[i].out ? strcmp(found, inputs[i].out) != 0
					    : found != inputs[i].out) ||
		    (found && store ? strcmp(found, store) != 0 : found != store))
			fail_msg("%s \"%s\": expected %s, found %s, stored %s (%s)", inputs[i].type,
				 inputs[i].in, inputs[i].out ? inputs[i].out : "a problem",
				 found ? found : "a problem", store ? store : "refused",
				 item.problem ? item.problem : "no problem");
	}
}

/* All at once, inside a transaction: each has its own answer, and no harm is done. */
static void many_inside(struct engine *engine)
{
	static const char *const texts[] = {"1", "x", "2", "", "3000000000000", "4"};
	struct amend_session *session = session_open(engine);
	struct amend_canon items[COUNT(texts) + 1];
	struct amend_error err;
	bool sqlite = engine_is(engine, "sqlite");

	session_exec(engine, session, "CREATE TABLE t (v integer)");
	session_begin(engine, session);
	session_exec(engine, session, "INSERT INTO t VALUES (1)");
	for (size_t i = 0; i <= COUNT(texts); i++) {
		items[i] = (struct amend_canon){
			.column = &describe(engine, session, NULL, "t")->columns[0],
			.in = i < COUNT(texts) ? amend_text(texts[i]) : amend_null()};
	}
	expect_ok(engine->driver->canonicalise(session, items, COUNT(items), engine_arena(engine),
					       &err),
		  &err);
	session_expect_state(engine, session, AMEND_TX_ACTIVE);
	for (size_t i = 0; i < COUNT(texts); i++) {
		bool number = texts[i][0] >= '0' && texts[i][0] <= '9' && strlen(texts[i]) == 1;

		if (!sqlite)
			assert_int_equal(items[i].problem != NULL, !number);
		if (number)
			expect_text(shown(engine, &items[i].out), texts[i]);
	}
	assert_null(items[COUNT(texts)].problem);
	assert_int_equal(items[COUNT(texts)].out.kind, AMEND_NULL);
	session_exec(engine, session, "INSERT INTO t VALUES (2)");
	expect_done(session_commit(engine, session));
	engine_expect(engine, "SELECT v FROM t ORDER BY v", "1\n2");
}

static void problems_say_what_was_found(struct engine *engine)
{
	struct amend_session *session = session_open(engine);
	struct amend_canon item = {.in = amend_text("abc")};
	struct amend_error err;

	session_exec(engine, session, "CREATE TABLE t (v integer)");
	item.column = &describe(engine, session, NULL, "t")->columns[0];
	expect_ok(engine->driver->canonicalise(session, &item, 1, engine_arena(engine), &err), &err);
	expect_contains(item.problem, "abc");
	expect_contains(item.problem, "integer");
}

/* Numbers as numbers: JSON has them so. */
static void other_kinds(struct engine *engine)
{
	static const struct {
		const char *sqlite_type, *postgres_type;
		struct amend_value in;
		const char *sqlite, *postgres;
	} cases[] = {
		{"INTEGER", "integer", {.kind = AMEND_INTEGER, .as.integer = 7}, "7", "7"},
		{"TEXT", "text", {.kind = AMEND_INTEGER, .as.integer = 7}, "'7'", "7"},
		{"REAL", "numeric(10,2)", {.kind = AMEND_INTEGER, .as.integer = 7}, "7", "7.00"},
		{"INTEGER",
		 "bigint",
		 {.kind = AMEND_INTEGER, .as.integer = INT64_MIN},
		 "-9223372036854775808",
		 "-9223372036854775808"},
		{"REAL", "double precision", {.kind = AMEND_REAL, .as.real = 0.5}, "0.5", "0.5"},
		{"INTEGER", "numeric", {.kind = AMEND_REAL, .as.real = 3.0}, "3", "3"},
		{"TEXT", "text", {.kind = AMEND_NULL}, "NULL", "NULL"},
		{"TEXT NOT NULL", "text", {.kind = AMEND_NULL}, "NULL", "NULL"},
	};
	struct amend_session *session = session_open(engine);

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct amend_canon item = {.in = cases[i].in};
		struct amend_error err;

		engine_execf(engine, "DROP TABLE IF EXISTS t; CREATE TABLE t (v %s)",
			     engine_pick(engine, cases[i].sqlite_type, cases[i].postgres_type));
		item.column = &describe(engine, session, NULL, "t")->columns[0];
		expect_ok(
			engine->driver->canonicalise(session, &item, 1, engine_arena(engine), &err),
			&err);
		expect_text(item.problem, NULL);
		expect_text(shown(engine, &item.out),
			    engine_pick(engine, cases[i].sqlite, cases[i].postgres));
	}
}

static const struct engine_test tests[] = {
	{"the canonical form is what the column hands back", each_input},
	{"many at once inside a transaction do no harm", many_inside},
	{"a problem says what was expected and found", problems_say_what_was_found,
	 .needs = AMEND_HAS_TYPED_STORAGE},
	{"integers, reals and NULL", other_kinds},
};

ENGINE_MAIN(tests)
