/*
 * History as the database writes it, and as C does: byte for byte the same, for
 * random values of every type; and read back, the same values.
 * Leaves the JSON of single values to tests/unit.
 */
#include "ask.h"

#include "sql/conn.h"

static const struct {
	const char *type,
		*value; /* an expression that yields another value each time; random() with a fixed seed */
} columns[] = {
	{"smallint", "(random() * 65535 - 32768)::int"},
	{"integer", "(random() * 4294967295 - 2147483648)::bigint"},
	{"bigint", "((random() - 0.5) * 18446744073709551615)::numeric(20)"},
	{"numeric", "((random() - 0.5) * 10 ^ (random() * 40 - 20)::int)::numeric"},
	{"numeric",
	 "(ARRAY['NaN', 'Infinity', '-Infinity', '0', '0.000', '-0.10'])[ceil(random() * 6)]"},
	{"numeric(12,4)", "(random() * 10000000 - 5000000)::numeric"},
	{"real", "((random() - 0.5) * 10 ^ (random() * 60 - 30)::int)::real"},
	{"double precision", "((random() - 0.5) * 10 ^ (random() * 600 - 300)::int)"},
	{"double precision",
	 "(ARRAY['NaN', 'Infinity', '-Infinity', '0', '-0'])[ceil(random() * 5)]"},
	{"text", "TEXT"},
	{"varchar(20)", "left(TEXT, 20)"},
	{"char(9)", "left(md5(random()::text), (random() * 9)::int)"},
	{"name", "left(md5(random()::text), 20)"},
	{"\"char\"", "chr((random() * 90 + 33)::int)"},
	{"boolean", "random() < 0.5"},
	{"bytea", "decode(repeat(md5(random()::text), (random() * 3)::int), 'hex')"},
	{"date", "date '2000-01-01' + (random() * 100000 - 50000)::int"},
	{"date",
	 "(ARRAY['infinity', '-infinity', '0044-03-15 BC', '12020-01-01'])[ceil(random() * 4)]"},
	{"time", "time '00:00' + random() * interval '1 day'"},
	{"time(2)", "time '00:00' + random() * interval '1 day'"},
	{"timetz", "(time '00:00' + random() * interval '1 day')::text || '+05:30'"},
	{"timestamp", "timestamp '2000-01-01' + (random() - 0.5) * interval '900 years'"},
	{"timestamptz", "timestamptz '2000-01-01' + (random() - 0.5) * interval '900 years'"},
	{"interval", "(random() - 0.5) * interval '10 years 3 mons 4 days 05:06:07.89'"},
	{"uuid", "md5(random()::text)::uuid"},
	{"inet", "('10.' || (random() * 255)::int || '.0.1/' || (8 + random() * 24)::int)"},
	{"cidr", "('10.' || (random() * 255)::int || '.0.0/16')"},
	{"macaddr", "('08:00:2b:01:02:' || lpad(to_hex((random() * 255)::int), 2, '0'))"},
	{"json", "json_build_object(TEXT, random(), 'b', ARRAY[1, 2])"},
	{"jsonb", "jsonb_build_object(TEXT, random(), 'b', NULL)"},
	{"json", "(ARRAY['null', '1.0', '9007199254740993', ' [ ] '])[ceil(random() * 4)]"},
	{"integer[]", "ARRAY[(random() * 9)::int, NULL, 3]"},
	{"text[]", "ARRAY[TEXT, NULL, '', 'NULL', '\"']"},
	{"int4range", "int4range((random() * 9)::int, 20)"},
	{"bit(5)", "(random() * 31)::int::bit(5)"},
	{"varbit", "(random() * 31)::int::bit(5)::varbit"},
	{"point", "point(random(), -random())"},
	{"money", "(random() * 100000)::numeric(10,2)::money"},
	{"tsvector", "to_tsvector('simple', md5(random()::text) || ' b')"},
	{"mood", "(ARRAY['sad', 'so \"so\"', '\xc3\xa9'])[ceil(random() * 3)]"},
	{"label", "TEXT"},
	{"amount", "(random() * 100)::int"},
	{"pair", "ROW((random() * 9)::int, TEXT)"},
	{"oid", "(random() * 4294967295)::bigint"},
	{"xml", "'<a>' || (random() * 9)::int || '</a>'"},
};

/* Text with all that JSON and SQL have their own thoughts about. */
static const char random_text[] =
	"(SELECT coalesce(string_agg((ARRAY['a', 'Z', ' ', '\"', '\\', '/', '''', E'\\n', E'\\t', E'\\r', "
	"E'\\x01', E'\\x1f', E'\\x7f', E'\\u00e9', E'\\u20ac', E'\\U0001F600', E'\\u2028', 'NULL', '{}', "
	"'$1', '?', '%s', '<', '&'])[ceil(random() * 24)], ''), '') FROM generate_series(1, "
	"(random() * 12 + g - g)::int))";

static const char *expand(struct engine *engine, const char *value)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const char *copy;

	for (; *value; value++) {
		if (strncmp(value, "TEXT", 4) == 0 && value[4] != '[') {
			amend_buffer_text(&text, random_text);
			value += 3;
		} else {
			amend_buffer_char(&text, *value);
		}
	}
	copy = amend_arena_text(engine_arena(engine), amend_buffer_string(&text));
	amend_buffer_release(&text);
	return copy;
}

static void make_tables(struct engine *engine)
{
	struct amend_buffer sql = AMEND_BUFFER_INIT;

	engine_exec(
		engine,
		"SET TimeZone = 'UTC'; CREATE TYPE mood AS ENUM ('sad', 'so \"so\"', '\xc3\xa9'); "
		"CREATE DOMAIN label AS text; CREATE DOMAIN amount AS integer CHECK (VALUE >= 0); "
		"CREATE TYPE pair AS (n integer, t text)");
	amend_buffer_text(&sql, "(id integer PRIMARY KEY");
	for (size_t i = 0; i < COUNT(columns); i++)
		amend_buffer_printf(&sql, ", \"c%zu \"\"\\é\" %s", i, columns[i].type);
	amend_buffer_text(&sql, ")");
	engine_execf(engine, "CREATE TABLE one %s", amend_buffer_string(&sql));
	engine_execf(engine, "CREATE TABLE two %s", amend_buffer_string(&sql));
	amend_buffer_release(&sql);
	/* Source values as text, a column a row, a set a round: the same for both tables. */
	engine_exec(
		engine,
		"CREATE TABLE source (round integer, col integer, v text); SELECT setseed(0.42)");
	for (size_t i = 0; i < COUNT(columns); i++)
		engine_execf(engine,
			     "INSERT INTO source SELECT g, %zu, CASE WHEN random() < 0.9 THEN "
			     "(%s)::text END FROM generate_series(1, 60) g",
			     i, expand(engine, columns[i].value));
}

static void write_round(struct road *road, struct amend_rows *source, int64_t id)
{
	struct amend_field field = {"id", amend_integer(id)};
	struct amend_match key = {&field, 1};
	struct amend_assign set[COUNT(columns)];
	struct amend_write write = AMEND_WRITE_INIT;
	size_t n = 0;

	for (size_t i = 0; i < COUNT(columns); i++) {
		const struct amend_column *column = &road->table->columns[i + 1];

		if (column->unsound)
			continue;
		set[n].column = column->name;
		set[n].op = AMEND_SET;
		set[n++].value = *amend_rows_at(source, i, 0);
	}
	write.mode = AMEND_UPDATE_OR_CREATE;
	write.keys = &key, write.n_keys = 1;
	write.set = set, write.n_set = n;
	amend_result_release(&road->result);
	expect_ok(amend_write(road->db, road->table, &write, &road->result, &road->err), &road->err);
}

/* What a change says must be what the table held, value for value. */
static enum amend_status same_as_result(const struct amend_log_entry *entry, void *context,
					struct amend_error *err)
{
	struct road *road = context;

	(void)err;
	assert_int_equal(entry->n_changes, road->result.n_changes);
	for (size_t i = 0; i < entry->n_changes; i++) {
		const struct amend_change *logged = &entry->changes[i],
					  *told = &road->result.changes[i];

		expect_text(logged->column, told->column);
		if (!amend_value_equal(&logged->before, &told->before) ||
		    !amend_value_equal(&logged->after, &told->after))
			fail_at(__FILE__, __LINE__, "%s: told %s, logged %s", told->column,
				road_value(road->engine, &told->after),
				road_value(road->engine, &logged->after));
	}
	return AMEND_OK;
}

static void read_back(struct road *road)
{
	struct amend_log_filter filter = {.table = road->table, .limit = 1};

	expect_ok(amend_log(road->db, &filter, same_as_result, road, &road->err), &road->err);
}

/* The one statement that adds without reading first has a way of its own to spell what was there. */
static void add_round(struct road *road, int64_t id)
{
	struct amend_field field = {"id", amend_integer(id)};
	struct amend_match key = {&field, 1};
	struct amend_assign set = {NULL, AMEND_SET, amend_integer(5)};
	struct amend_write write = AMEND_WRITE_INIT;

	for (size_t i = 0; i < COUNT(columns); i++) {
		if (strcmp(columns[i].type, "amount") == 0)
			set.column = road->table->columns[i + 1].name;
	}
	write.keys = &key, write.n_keys = 1;
	write.set = &set, write.n_set = 1;
	for (int i = 0; i < 2; i++) {
		amend_result_release(&road->result);
		expect_ok(amend_write(road->db, road->table, &write, &road->result, &road->err),
			  &road->err);
		set.op = AMEND_ADD;
	}
	assert_int_equal(road->result.n_changes, 1);
	read_back(road);
}

static void both_ways_write_the_same(struct engine *engine)
{
	struct road *one, *two;

	make_tables(engine);
	one = road_open_hiding(engine, 0, "one");
	two = road_open_hiding(engine, AMEND_HAS_WRITE_CTE, "two");
	assert_true(amend_has(one->db, AMEND_HAS_WRITE_CTE));
	assert_false(amend_has(two->db, AMEND_HAS_WRITE_CTE));
	for (int round = 1; round <= 60; round++) {
		struct amend_rows source = AMEND_ROWS_INIT;
		struct amend_value value = amend_integer(round);

		expect_ok(amend_query(one->db,
				      "SELECT v FROM source WHERE round = $1::int ORDER BY col",
				      &value, 1, &source, &one->err),
			  &one->err);
		assert_int_equal(source.n_rows, COUNT(columns));
		write_round(one, &source, round % 7);
		write_round(two, &source, round % 7);
		read_back(one);
		read_back(two);
		amend_rows_release(&source);
	}
	for (int id = 0; id < 7; id++) {
		const char *key = engine_printf(engine, "id=%d", id);

		add_round(one, id);
		add_round(two, id);
		expect_ok(road_delete(one, ask(.keys = key)), &one->err);
		expect_ok(road_delete(two, ask(.keys = key)), &two->err);
		read_back(one);
	}
	engine_expect(engine, "SELECT count(*) >= 148, count(DISTINCT op) FROM amend.change", "t|3");
	engine_expect(
		engine,
		"SELECT a.op, a.pk, a.fields, b.fields FROM "
		"(SELECT *, row_number() OVER (ORDER BY id) AS n FROM amend.change WHERE tbl = 'one') a "
		"FULL JOIN "
		"(SELECT *, row_number() OVER (ORDER BY id) AS n FROM amend.change WHERE tbl = 'two') b "
		"USING (n) WHERE a.fields IS DISTINCT FROM b.fields OR a.pk IS DISTINCT FROM b.pk "
		"OR a.op IS DISTINCT FROM b.op LIMIT 1",
		"");
}

/* Primary keys of every kind name their record alike. */
static void both_ways_name_records_the_same(struct engine *engine)
{
	struct road *one, *two;

	make_tables(engine);
	engine_exec(
		engine,
		"CREATE TABLE k1 (a text, b bigint, c boolean, d timestamptz, e char(4), v integer, "
		"PRIMARY KEY (a, b, c, d, e)); CREATE TABLE k2 (LIKE k1 INCLUDING ALL)");
	one = road_open_hiding(engine, 0, "k1");
	two = road_open_hiding(engine, AMEND_HAS_WRITE_CTE, "k2");
	for (int i = 1; i <= 20; i++) {
		const char *text = engine_scalar(
			engine, engine_printf(engine,
					      "SELECT coalesce(max(v), 'x') || '.' "
					      "FROM source WHERE round = %d AND col = 9 "
					      "AND v !~ ', |; |^NULL'",
					      i));
		const char *key = engine_printf(engine,
						"a=%s, b=%d, c=%s, d=2020-01-%02d 00:00+02, e=ab",
						text, i * 1000003, i % 2 ? "yes" : "f", i);

		ok(one, AMEND_UPDATE_OR_CREATE, .keys = key, .set = "v=1");
		ok(two, AMEND_UPDATE_OR_CREATE, .keys = key, .set = "v=1");
		ok(one, .keys = key, .set = engine_printf(engine, "v=2, b=%d", -i));
		ok(two, .keys = key, .set = engine_printf(engine, "v=2, b=%d", -i));
	}
	engine_expect(
		engine,
		"SELECT a.pk, b.pk, a.was, b.was FROM "
		"(SELECT *, row_number() OVER (ORDER BY id) AS n FROM amend.change WHERE tbl = 'k1') a "
		"FULL JOIN "
		"(SELECT *, row_number() OVER (ORDER BY id) AS n FROM amend.change WHERE tbl = 'k2') b "
		"USING (n) WHERE a.pk IS DISTINCT FROM b.pk OR a.was IS DISTINCT FROM b.was LIMIT 1",
		"");
	engine_expect(engine, "SELECT count(*), count(was) FROM amend.change", "80|40");
}

static const struct engine_test tests[] = {
	{"the database's JSON and C's are the same bytes, for every type", both_ways_write_the_same,
	 .only = "postgresql"},
	{"the database's names of records and C's are the same bytes",
	 both_ways_name_records_the_same, .only = "postgresql"},
};

ENGINE_MAIN(tests)
