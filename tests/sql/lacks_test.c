/*
 * What an engine has not is refused in one line that says so, before anything is written.
 * Leaves what single features lack (locks, whole tables) to their own tests.
 */
#include "feed.h"

#undef refused /* each of the two has one; neither is used here */
#include "ask.h"

static void no_sync(struct engine *engine)
{
	struct feed *feed;

	engine_exec(engine, "CREATE TABLE country (code text PRIMARY KEY, name text)");
	feed = feed_open(engine, "country", "code");
	for (int dry = 0; dry < 2; dry++) {
		feed->options.dry_run = dry;
		expect_status(AMEND_UNSUPPORTED, feed_text(feed, "code,name\nFR,France\n"),
			      &feed->err);
		expect_text(feed->err.text,
			    engine_printf(engine,
					  "amend sync is not available on %s yet (hint: single "
					  "records are: amend set)",
					  engine->driver->name));
	}
	engine_expect(engine, "SELECT count(*) FROM country", "0");
}

static void see_statement(void *context, const char *statement)
{
	(void)context;
	fail_at(__FILE__, __LINE__, "planned: %s", statement);
}

static void no_guard(struct engine *engine)
{
	const struct amend_guard_options options = AMEND_GUARD_OPTIONS_INIT;
	const char *said = engine_printf(engine, "amend guard is not available on %s yet",
					 engine->driver->name);
	struct road *road;
	bool changed = true;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, v text)");
	road = road_open(engine, "t");
	expect_status(AMEND_UNSUPPORTED, amend_guard(road->db, "t", &options, &changed, &road->err),
		      &road->err);
	expect_text(road->err.text, said);
	assert_false(changed);
	expect_status(AMEND_UNSUPPORTED, amend_unguard(road->db, "t", &changed, &road->err),
		      &road->err);
	expect_text(road->err.text, said);
	expect_status(AMEND_UNSUPPORTED,
		      amend_guard_plan(road->db, "t", &options, false, NULL, see_statement, NULL,
				       &road->err),
		      &road->err);
	expect_text(road->err.text, said);
	/* The table is what it was: records are written as before. */
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=a");
	engine_expect(engine, "SELECT * FROM t", "1|a");
}

static const struct engine_test tests[] = {
	{"a sync is refused by name", no_sync, .lacks = AMEND_HAS_SYNC},
	{"a guard is refused by name", no_guard, .only = "mariadb"},
};

ENGINE_MAIN(tests)
