/*
 * Statement texts that a connection keeps: each is the right one, whatever was kept before it.
 * Leaves what they do to the other tests of records.
 */
#include "ask.h"

#include "core/buffer.h"

/* As a unit of work would see them, and twice: the second time the texts are kept ones. */
static void change_twice(struct road *road, const char *key, const char *a, const char *b)
{
	for (int i = 0; i < 2; i++) {
		ok(road, .keys = key, .set = a);
		ok(road, .keys = key, .set = b);
	}
}

static void table_that_was_altered(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, a text);"
			    "INSERT INTO t VALUES (1, 'x')");
	road = road_open(engine, "t");
	change_twice(road, "id=1", "a=y", "a=z");
	engine_exec(engine, "ALTER TABLE t ADD COLUMN b integer");
	road_table(road, "t");
	ok(road, .keys = "id=1", .set = "a=w");
	expect_text(road_record(road), "id=1 a=w b=NULL");
	change_twice(road, "id=1", "b=1, a=v", "b+=1");
	said(road, "updated b: 1 -> 2");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=2", .set = "b=5");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=3", .set = "a=5");
	engine_expect(engine, "SELECT * FROM t ORDER BY id", "1|v|2\n2|NULL|5\n3|5|NULL");
}

static void table_that_was_made_anew(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, a integer, b text);"
			    "INSERT INTO t VALUES (1, 1, 'x')");
	road = road_open(engine, "t");
	change_twice(road, "id=1", "a=2, b=y", "a=3, b=z");
	engine_exec(engine,
		    "DROP TABLE t; CREATE TABLE t (b integer, id integer PRIMARY KEY, a text);"
		    "INSERT INTO t VALUES (1, 1, 'x')");
	road_table(road, "t");
	change_twice(road, "id=1", "a=2, b=7", "a=3z, b=8");
	said(road, "updated b: 7 -> 8, a: 2 -> 3z");
	expect_ok(road_delete(road, ask(.keys = "id=1")), &road->err);
	engine_expect(engine, "SELECT count(*) FROM t", "0");
}

/* What is the same but for the version column, which the application may name. */
static void version_column(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, a integer, v integer NOT NULL);"
			    "INSERT INTO t VALUES (1, 1, 1)");
	road = road_open(engine, "t");
	change_twice(road, "id=1", "a=2", "a+=1");
	engine_expect(engine, "SELECT v FROM t", "1");
	expect_ok(amend_table_set_version(road->table, "v", &road->err), &road->err);
	change_twice(road, "id=1", "a=2", "a+=1");
	engine_expect(engine, "SELECT v FROM t", "5");
	expect_ok(amend_table_set_version(road->table, NULL, &road->err), &road->err);
	change_twice(road, "id=1", "a=2", "a+=1");
	engine_expect(engine, "SELECT a, v FROM t", "3|5");
}

/* More texts than a connection keeps. */
static void many_tables(struct engine *engine)
{
	struct road *road;

	for (int i = 0; i < 40; i++)
		engine_execf(engine,
			     "CREATE TABLE t%d (id integer PRIMARY KEY, c%d text, n integer);"
			     "INSERT INTO t%d VALUES (1, 'x', 0)",
			     i, i, i);
	road = road_open(engine, NULL);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 40; i++) {
			road_table(road, engine_printf(engine, "t%d", i));
			ok(road, .keys = "id=1", .set = engine_printf(engine, "c%d=%d", i, round));
			ok(road, .keys = "id=1", .set = "n+=1", .bounds = "n<=3");
			expect_text(road_record(road),
				    engine_printf(engine, "id=1 c%d=%d n=%d", i, round, round + 1));
		}
	}
}

/* A function of PostgreSQL's has at most 100 arguments, a text that is kept 16 KB. */
static void wide_table(struct engine *engine)
{
	enum { COLUMNS = 300 };
	struct amend_buffer columns = AMEND_BUFFER_INIT;
	struct road *road;

	for (int i = 0; i < COLUMNS; i++)
		amend_buffer_printf(&columns, ", c%d %s", i,
				    i % 2 ? "integer"
					  : engine_pick3(engine, "text", "text", "longtext"));
	engine_execf(
		engine,
		"CREATE TABLE wide (id integer PRIMARY KEY%s); INSERT INTO wide (id) VALUES (1)",
		columns.data);
	amend_buffer_release(&columns);
	road = road_open(engine, "wide");
	change_twice(road, "id=1", "c0=a, c63=1, c64=b, c299=2", "c0=c, c63=3, c64=d, c299=4");
	said(road, "updated c0: a -> c, c63: 1 -> 3, c64: b -> d, c299: 2 -> 4");
	ok(road, .keys = "id=1", .set = "c299+=1, c1=7");
	said(road, "updated c1: NULL -> 7, c299: 4 -> 5");
	history(road, "id=1",
		"update id=1 c1: NULL -> 7, c299: 4 -> 5\n"
		"update id=1 c0: a -> c, c63: 1 -> 3, c64: b -> d, c299: 2 -> 4\n"
		"update id=1 c0: c -> a, c63: 3 -> 1, c64: d -> b, c299: 4 -> 2\n"
		"update id=1 c0: a -> c, c63: 1 -> 3, c64: b -> d, c299: 2 -> 4\n"
		"update id=1 c0: NULL -> a, c63: NULL -> 1, c64: NULL -> b, c299: NULL -> 2");
}

static const struct engine_test tests[] = {
	{"a table that was altered", table_that_was_altered},
	{"a table that was made anew with its columns in another order", table_that_was_made_anew},
	{"a version column that is named later", version_column},
	{"more tables than there is room for texts", many_tables},
	{"300 columns", wide_table},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
