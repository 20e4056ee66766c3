/*
 * Amend's own writes on guarded tables: recorded once, by the triggers, as amend itself would have.
 * Leaves other writers to guard_test.c.
 */
#include "ask.h"

#include "core/buffer.h"

/* u is not guarded, g is; both have a version that amend moves where nobody else does. */
static void make_tables(struct engine *engine)
{
	struct amend_guard_options options = {.history = true};
	struct road *road;

	for (int i = 0; i < 2; i++)
		engine_execf(
			engine,
			"CREATE TABLE %s (id integer PRIMARY KEY, code text UNIQUE, name text, n integer, "
			"version integer NOT NULL DEFAULT 1)",
			i ? "g" : "u");
	road = road_open(engine, NULL);
	expect_ok(amend_guard(road->db, "g", &options, NULL, &road->err), &road->err);
	road_close(road);
}

/* Of one table, in the order of history, by revision: "1 update {..} {..} feed 1". */
static const char *recorded(struct engine *engine, const char *table)
{
	const char *ledger = engine_pick(engine, "amend_", "amend.");

	return engine_rows(
		engine,
		engine_printf(
			engine,
			"SELECT dense_rank() OVER (ORDER BY c.revision), c.op, c.pk, c.was, c.fields, "
			"c.source, c.base IS NULL, r.who, r.why, r.program, r.run IS NULL FROM %schange c "
			"JOIN %srevision r ON r.id = c.revision WHERE c.tbl = '%s' ORDER BY c.revision, "
			"c.pk, c.op",
			ledger, ledger, table));
}

static void expect_the_same(struct engine *engine)
{
	const char *unguarded = recorded(engine, "u");

	assert_true(strlen(unguarded) > 20);
	expect_text(recorded(engine, "g"), unguarded);
	engine_expect(
		engine,
		engine_pick(
			engine,
			"SELECT count(*) FROM amend_session UNION ALL SELECT count(*) FROM "
			"amend_change WHERE revision NOT IN (SELECT id FROM amend_revision)",
			"SELECT 0 UNION ALL SELECT count(*) FROM amend.change WHERE revision NOT IN "
			"(SELECT id FROM amend.revision)"),
		"0\n0");
}

static void write_all(struct road *road)
{
	struct amend_error err;

	expect_ok(amend_set_author(road->db, "Anna", "because", "test", &err), &err);
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "code=a, name=Ada, n=1");
	said(road,
	     "created id: NULL -> 1, code: NULL -> a, name: NULL -> Ada, n: NULL -> 1, version: NULL -> 1");
	ok(road, .keys = "id=1", .set = "name=Eve, n=2", .want_token = true);
	said(road, "updated name: Ada -> Eve, n: 1 -> 2, version: 1 -> 2");
	ok(road, .keys = "id=1", .set = "n+=5", .bounds = "n<=9",
	   .token = engine_printf(road->engine, "%s", road->result.token));
	said(road, "updated n: 2 -> 7, version: 2 -> 3");
	ok(road, .keys = "id=1", .set = "n=7");
	said(road, "unchanged");
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "n+=5", .bounds = "n<=9");
	ok(road, .keys = "id=1", .set = "id=2");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "code=b", .set = "name=Bob", .on_create = "id=9");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "code=b", .set = "name=Rob");
	expect_ok(road_delete(road, ask(.keys = "id=2")), &road->err);
}

static void one_record(struct engine *engine)
{
	struct road *road;

	make_tables(engine);
	road = road_open(engine, "u");
	write_all(road);
	road_table(road, "g");
	write_all(road);
	/* An addition that was refused may leave a revision without changes: of both there are the same with. */
	expect_the_same(engine);
}

struct unit {
	struct road *road;
	bool fail;
};

static enum amend_status in_unit(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct unit *unit = context;

	(void)db;
	ok(unit->road, AMEND_CREATE, .keys = "id=5", .set = "n=1");
	ok(unit->road, .keys = "id=5", .set = "n=2");
	return unit->fail ? amend_error_set(err, AMEND_INVALID, "undone") : AMEND_OK;
}

static enum amend_status outer(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct unit *unit = context;
	struct unit inner = {unit->road, true};
	struct amend_error ignored;

	ok(unit->road, AMEND_CREATE, .keys = "id=1", .set = "n=1");
	expect_status(AMEND_INVALID, amend_atomic(db, NULL, in_unit, &inner, &ignored), &ignored);
	ok(unit->road, .keys = "id=1", .set = "n=3");
	(void)err;
	return AMEND_OK;
}

/* One revision, also where a savepoint in it was undone. */
static void units(struct engine *engine)
{
	static const char *const tables[] = {"u", "g"};

	make_tables(engine);
	for (size_t i = 0; i < COUNT(tables); i++) {
		struct road *road = road_open(engine, tables[i]);
		struct unit unit = {road, false};

		expect_ok(amend_atomic(road->db, NULL, outer, &unit, &road->err), &road->err);
		expect_ok(amend_atomic(road->db, NULL, in_unit, &unit, &road->err), &road->err);
		road_close(road);
	}
	expect_the_same(engine);
}

/* In the application's transaction: what it writes itself before and behind is recorded too. */
static void adopted(struct engine *engine)
{
	struct foreign *foreign;
	struct road *road;

	make_tables(engine);
	foreign = foreign_open(engine);
	if (engine_is(engine, "sqlite"))
		foreign_exec(foreign, "PRAGMA foreign_keys = ON");
	road = road_adopt(engine, foreign, "g");
	foreign_exec(foreign, "BEGIN");
	foreign_exec(foreign, engine_pick(engine, "INSERT INTO amend_session (who) VALUES ('app')",
					  "SET LOCAL amend.actor = 'app'"));
	foreign_exec(foreign, "INSERT INTO g (id, n) VALUES (1, 1)");
	ok(road, .keys = "id=1", .set = "n=2");
	foreign_exec(foreign, "UPDATE g SET n = 3");
	if (engine_is(engine, "sqlite"))
		foreign_exec(foreign, "DELETE FROM amend_session");
	foreign_exec(foreign, "COMMIT");
	engine_expect(
		engine,
		engine_pick(engine, "SELECT op, fields FROM amend_change ORDER BY id",
			    "SELECT op, fields FROM amend.change ORDER BY id"),
		"create|{\"id\":[null,1],\"n\":[null,1],\"version\":[null,1]}\n"
		"update|{\"n\":[1,2],\"version\":[1,2]}\nupdate|{\"n\":[2,3],\"version\":[2,3]}");
}

static const struct engine_test tests[] = {
	{"one record: recorded once, as on a table that is not guarded", one_record},
	{"units and savepoints: one revision", units},
	{"in the application's transaction: its writes too", adopted},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
