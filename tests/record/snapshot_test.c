/*
 * Units and transactions that read one snapshot (REPEATABLE READ), overtaken: what is decided there is proved.
 * Leaves READ COMMITTED, where each statement sees what is committed, to the other tests.
 */
#include "ask.h"

struct overtaken {
	struct road *road, *rival;
	const struct asked *asked, *rivals;
	int runs;
};

static enum amend_status be_overtaken(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct overtaken *overtaken = context;
	enum amend_status status = amend_query(db, "SELECT count(*) FROM t", NULL, 0, NULL, err);

	if (status == AMEND_OK && overtaken->runs++ == 0)
		expect_ok(road_write(overtaken->rival, overtaken->rivals), &overtaken->rival->err);
	if (status == AMEND_OK) {
		status = road_write(overtaken->road, overtaken->asked);
		*err = overtaken->road->err;
	}
	return status;
}

static struct overtaken make(struct engine *engine)
{
	struct overtaken overtaken = {.runs = 0};

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, n integer, v text);"
			    "INSERT INTO t VALUES (1, 1, 'a')");
	overtaken.road = road_open(engine, "t");
	overtaken.rival = road_open(engine, "t");
	expect_ok(amend_init(overtaken.rival->db, NULL, &overtaken.rival->err),
		  &overtaken.rival->err);
	return overtaken;
}

static enum amend_status run(struct overtaken *overtaken, const struct asked *asked,
			     const struct asked *rivals)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct amend_error err = {.status = AMEND_OK};
	enum amend_status status;

	overtaken->asked = asked;
	overtaken->rivals = rivals;
	overtaken->runs = 0;
	options.isolation = AMEND_REPEATABLE_READ;
	status = amend_atomic(overtaken->road->db, &options, be_overtaken, overtaken, &err);
	overtaken->road->err = err;
	return status;
}

#define runs(overtaken, times, asked, rivals)                                      \
	do {                                                                       \
		expect_ok(run(overtaken, asked, rivals), &(overtaken)->road->err); \
		assert_int_equal((overtaken)->runs, times);                        \
	} while (0)

static void writes(struct engine *engine)
{
	struct overtaken overtaken = make(engine);

	runs(&overtaken, 2, ask(.keys = "id=1", .set = "n+=1"), ask(.keys = "id=1", .set = "n+=10"));
	said(overtaken.road, "updated n: 11 -> 12");
	runs(&overtaken, 2, ask(.keys = "id=1", .set = "v=c"), ask(.keys = "id=1", .set = "v=b"));
	said(overtaken.road, "updated v: b -> c");
	/* What stood in the snapshot, and does no longer. */
	runs(&overtaken, 2, ask(.keys = "id=1", .set = "v=a, n=5"),
	     ask(.keys = "id=1", .set = "v=a"));
	said(overtaken.road, "updated n: 12 -> 5");
	history(overtaken.road, "id=1",
		"update id=1 n: 12 -> 5\nupdate id=1 v: c -> a\nupdate id=1 v: b -> c\n"
		"update id=1 v: a -> b\nupdate id=1 n: 11 -> 12\nupdate id=1 n: 1 -> 11");
}

/* After the clash a read of the snapshot does not see who was first. */
static void creations(struct engine *engine)
{
	struct overtaken overtaken = make(engine);

	runs(&overtaken, 2, ask(AMEND_GET_OR_CREATE, .keys = "id=2", .set = "n=1"),
	     ask(AMEND_CREATE, .keys = "id=2", .set = "n=7"));
	said(overtaken.road, "found");
	expect_text(road_record(overtaken.road), "id=2 n=7 v=NULL");
	runs(&overtaken, 2, ask(AMEND_UPDATE_OR_CREATE, .keys = "id=3", .set = "n=1"),
	     ask(AMEND_CREATE, .keys = "id=3", .set = "n=7"));
	said(overtaken.road, "updated n: 7 -> 1");
}

static void operations(struct engine *engine)
{
	struct overtaken overtaken = make(engine);

	runs(&overtaken, 2, ask(.keys = "id=1", .set = "n+=1", .once = "op"),
	     ask(.keys = "id=1", .set = "n+=1", .once = "op"));
	engine_expect(engine, "SELECT n FROM t", "2");
}

/* The transaction is the application's: it is told that all of it has to be run again. */
static void borrowed(struct engine *engine)
{
	struct foreign *application;
	struct overtaken overtaken = make(engine);
	struct road *road;

	application = foreign_open(engine);
	road = road_adopt(engine, application, "t");
	ok(road, .keys = "id=1", .set = "n=2");
	foreign_exec(application, "BEGIN ISOLATION LEVEL REPEATABLE READ");
	expect_text(foreign_rows(application, "SELECT n FROM t"), "2");
	ok(overtaken.rival, .keys = "id=1", .set = "n=3");
	refused(AMEND_RETRY, road, .keys = "id=1", .set = "n+=1");
	foreign_exec(application, "ROLLBACK");
	engine_expect(engine, "SELECT n FROM t", "3");
	ok(road, .keys = "id=1", .set = "n+=1");
	said(road, "updated n: 3 -> 4");
}

static const struct engine_test tests[] = {
	{"a write to a record that was changed since: run again", writes,
	 .needs = AMEND_HAS_SNAPSHOT_MOVES},
	{"a record that was created since: run again, and found", creations,
	 .needs = AMEND_HAS_SNAPSHOT_MOVES},
	{"an operation that was done since: run again, and not done twice", operations,
	 .needs = AMEND_HAS_SNAPSHOT_MOVES},
	{"in the application's transaction: RETRY", borrowed, .needs = AMEND_HAS_SNAPSHOT_MOVES},
};

ENGINE_MAIN(tests)
