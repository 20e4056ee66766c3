/*
 * A guard that another program makes, or takes away, while a table is open: a write by the old description
 * would be recorded twice, or not at all. It is refused, in one clear line, and nothing is written.
 * Leaves guards that stand all the while to guarded_road_test.c and guarded_sync_test.c.
 */
#include <amend/guard.h>

#include <stdlib.h>

#include "feed.h"

#undef refused /* each of the two has one; the road's is used here */
#include "ask.h"

/* By another connection. */
static void guard_it(struct engine *engine, bool on)
{
	struct road *other = road_open(engine, NULL);
	struct amend_guard_options options = AMEND_GUARD_OPTIONS_INIT;

	options.history = true;
	if (on)
		expect_ok(amend_guard(other->db, "t", &options, NULL, &other->err), &other->err);
	else
		expect_ok(amend_unguard(other->db, "t", NULL, &other->err), &other->err);
	road_close(other);
}

static void make_t(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, name text, n integer, "
			    "version integer NOT NULL DEFAULT 1); "
			    "INSERT INTO t (id, name, n) VALUES (1, 'a', 1), (2, 'b', 2)");
	road = road_open(engine, NULL);
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	road_close(road);
}

static const char *changes(struct engine *engine)
{
	return engine_scalar(engine, engine_pick(engine, "SELECT count(*) FROM amend_change",
						 "SELECT count(*) FROM amend.change"));
}

static void is_refused(struct road *road, enum amend_status status)
{
	expect_status(AMEND_INVALID, status, &road->err);
	expect_contains(road->err.text,
			"t: amend guard was made, changed or taken away since the table "
			"was opened; nothing was written (hint: open it again)");
}

static enum amend_status two(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db;
	if (road_write(road, ask(.keys = "id=1", .set = "n+=1")) != AMEND_OK) {
		*err = road->err;
		return err->status;
	}
	return AMEND_OK;
}

/* Each way in which one record is written. */
static void all_are_refused(struct road *road)
{
	struct engine *engine = road->engine;
	const char *before = engine_printf(engine, "%s", changes(engine));

	is_refused(road, road_write(road, ask(.keys = "id=1", .set = "name=x")));
	is_refused(road, road_write(road, ask(.keys = "id=1", .set = "n+=1")));
	is_refused(road, road_write(road, ask(.keys = "id=1", .set = "n+=1", .bounds = "n<=9")));
	is_refused(road,
		   road_write(road, ask(.mode = AMEND_CREATE, .keys = "id=3", .set = "name=c")));
	is_refused(road, road_write(road, ask(.mode = AMEND_UPDATE_OR_CREATE, .keys = "id=3",
					      .set = "name=c")));
	is_refused(road, road_write(road, ask(.keys = "id=1", .set = "name=x", .once = "op")));
	is_refused(road, road_delete(road, ask(.keys = "id=2")));
	is_refused(road, road_atomic(road, two, road));
	expect_text(changes(engine), before);
	engine_expect(engine, "SELECT id, name, n FROM t ORDER BY id", "1|a|1\n2|b|2");
	/* What changes nothing is as it was. */
	ok(road, .keys = "id=1", .set = "name=a");
}

/* Opened again, each is recorded once. */
static void all_are_recorded(struct road *road)
{
	struct engine *engine = road->engine;
	long before = strtol(changes(engine), NULL, 10);

	road_table(road, "t");
	ok(road, .keys = "id=1", .set = "name=x");
	ok(road, .keys = "id=1", .set = "n+=1");
	ok(road, AMEND_CREATE, .keys = "id=3", .set = "name=c");
	expect_ok(road_delete(road, ask(.keys = "id=3")), &road->err);
	assert_int_equal(strtol(changes(engine), NULL, 10) - before, 4);
}

static void made_meanwhile(struct engine *engine)
{
	struct road *road;

	make_t(engine);
	road = road_open(engine, "t");
	/* Also one that has written before. */
	ok(road, .keys = "id=1", .set = "name=z");
	ok(road, .keys = "id=1", .set = "name=a");
	guard_it(engine, true);
	all_are_refused(road);
	all_are_recorded(road);
}

static void taken_away_meanwhile(struct engine *engine)
{
	struct road *road;

	make_t(engine);
	guard_it(engine, true);
	road = road_open(engine, "t");
	guard_it(engine, false);
	all_are_refused(road);
	all_are_recorded(road);
}

/* Other changes of the schema are none of it. */
static void another_table_is_made(struct engine *engine)
{
	struct road *road;

	make_t(engine);
	road = road_open(engine, "t");
	engine_exec(engine, "CREATE TABLE other (id integer); CREATE INDEX by_name ON t (name)");
	ok(road, .keys = "id=1", .set = "name=x");
	ok(road, .keys = "id=1", .set = "n+=1");
	expect_text(changes(engine), "2");
}

static void guard_between(struct feed *feed)
{
	guard_it(feed->engine, true);
}

/* No record is to blame: the run ends, and says so. */
static void in_a_sync(struct engine *engine)
{
	struct feed *feed;

	make_t(engine);
	feed = feed_open(engine, "t", "id");
	fed_once(feed, "id,name\n1,a\n2,b\n", "unchanged=2");
	feed->when = "compare";
	feed->between = guard_between;
	assert_int_equal(feed_text(feed, "id,name\n1,x\n2,y\n3,z\n"), AMEND_INVALID);
	expect_contains(feed->err.text, "nothing was written: t: amend guard was made");
	assert_int_equal(feed->report.rejected, 0);
	expect_text(changes(engine), "0");
	fed(feed, "id,name\n1,x\n2,y\n3,z\n", "created=1 updated=2");
	expect_text(changes(engine), "3");
}

static const struct engine_test tests[] = {
	{"a guard that is made while a table is open", made_meanwhile},
	{"a guard that is taken away while a table is open", taken_away_meanwhile},
	{"other tables and indexes that are made meanwhile", another_table_is_made},
	{"a guard that is made in the middle of a sync", in_a_sync},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
