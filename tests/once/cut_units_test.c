/*
 * What has no id of its own, cut on the wire around COMMIT: a unit of an application, a sync, a conflict
 * that is settled, a revert, single writes that are one statement. What they recorded tells whether they are in: no
 * false success, no false failure, nothing twice, nothing unknown while the server can be reached.
 * Leaves what is done under an id, and all other moments, to cut_test.c.
 */
#include <amend/history.h>

#include <stdlib.h>

#include "feed.h"
#include "proxy.h"
#include "sync/source.h"

#undef refused /* each of the two has one; neither is used here */
#include "ask.h"

enum { LAST = 4, LAST_OF_SYNC = 8, LAST_OF_ONE = 2 };
enum { CREATED = 1000, DELETED = 5000 }; /* ids, and the round's number */
enum kind { UNIT, SYNC, SETTLE, KEEP, REVERT, ADD, CHANGE, CREATE, DELETE, KINDS };

static const char *const names[KINDS] = {"a unit",           "a sync",
					 "a settlement",     "a settlement that writes no record",
					 "a revert",         "a single addition",
					 "a single change",  "a single creation",
					 "a single deletion"};

struct stage {
	struct engine *engine;
	struct proxy *proxy;
	struct feed *feed;
	struct road *direct;
	unsigned round;
	int64_t id; /* of what is settled, or undone */
	unsigned done, refused;
};

static enum amend_status add_both(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	if (road_write(road, ask(.keys = "id=1", .set = "n+=1")) != AMEND_OK) {
		*err = road->err;
		return err->status;
	}
	return amend_query(db, "UPDATE counter SET other = other + 1", NULL, 0, NULL, err);
}

/* What is to be settled, or undone; on a connection that nobody cuts. */
static void prepare(struct stage *stage, enum kind kind)
{
	struct engine *engine = stage->engine;

	stage->round++;
	if (kind == SETTLE || kind == KEEP) {
		fed_once(stage->feed, engine_printf(engine, "code,name\nB%u,base\n", stage->round),
			 "created=1");
		engine_exec(engine, "UPDATE country SET name = 'mine' WHERE name = 'base'");
		fed_once(stage->feed, engine_printf(engine, "code,name\nB%u,theirs\n", stage->round),
			 "conflicts=1 new_conflicts=1 open_conflicts=1");
		stage->id = feed_conflict(stage->feed);
	} else if (kind == REVERT) {
		ok(stage->direct, .keys = "id=2", .set = "n+=1");
		stage->id = stage->direct->result.revision;
	} else if (kind == DELETE) {
		ok(stage->direct, AMEND_CREATE,
		   .keys = engine_printf(engine, "id=%u", DELETED + stage->round), .set = "n=7");
	}
}

/* One statement each, without an id. */
static enum amend_status write_one(struct stage *stage, struct road *road, enum kind kind)
{
	struct engine *engine = stage->engine;
	unsigned round = stage->round;

	switch (kind) {
	case ADD:
		return road_write(road, ask(.keys = "id=1", .set = "n+=1, other+=1"));
	case CHANGE:
		return road_write(road,
				  ask(.keys = "id=3", .set = engine_printf(engine, "n=%u", round)));
	case CREATE:
		return road_write(road, ask(.mode = AMEND_CREATE,
					    .keys = engine_printf(engine, "id=%u", CREATED + round),
					    .set = "n=8"));
	default:
		return road_delete(road,
				   ask(.keys = engine_printf(engine, "id=%u", DELETED + round)));
	}
}

/* What it says of itself is true, whether the server said so or history does. */
static void says_what_it_did(struct stage *stage, struct road *road, enum kind kind)
{
	struct engine *engine = stage->engine;
	long n = strtol(engine_scalar(engine, "SELECT n FROM counter WHERE id = 1"), NULL, 10);
	unsigned round = stage->round;

	if (kind < ADD)
		return;
	expect_text(engine_printf(engine, "%lld", (long long)road->result.revision),
		    engine_scalar(engine, "SELECT max(revision) FROM amend.change"));
	if (kind == ADD)
		said(road, engine_printf(engine, "updated n: %ld -> %ld, other: %ld -> %ld", n - 1,
					 n, n - 1, n));
	else if (kind == CHANGE)
		said(road, engine_printf(engine, "updated n: %s -> %u",
					 engine_scalar(engine, "SELECT fields::json->'n'->>0 FROM "
							       "amend.change ORDER BY id DESC "
							       "LIMIT 1"),
					 round));
	else if (kind == CREATE)
		said(road, engine_printf(engine, "created id: NULL -> %u, n: NULL -> 8",
					 CREATED + round));
	else
		said(road, engine_printf(engine, "deleted id: %u -> NULL, n: 7 -> NULL",
					 DELETED + round));
}

static enum amend_status settle(struct road *road, int64_t id, enum amend_take take)
{
	const struct amend_resolution how = {.id = id, .take = take};

	amend_result_release(&road->result);
	return amend_resolve(road->db, &how, &road->result, &road->err);
}

static enum amend_status undo(struct road *road, int64_t revision)
{
	struct amend_revert revert = AMEND_REVERT_INIT;
	struct amend_revert_report report;

	revert.revision = revision;
	return amend_revert(road->db, &revert, &report, &road->err);
}

static enum amend_status sync(struct stage *stage, struct road *road)
{
	const char *csv = engine_printf(stage->engine, "code,name\nA,name %u\n", stage->round);
	struct amend_source_options format = AMEND_SOURCE_OPTIONS_INIT;
	struct amend_sync_report report = {.read = 0};
	struct amend_source *source = NULL;
	enum amend_status status;

	format.format = AMEND_FORMAT_CSV;
	expect_ok(amend_source_new(amend_input_memory(csv, strlen(csv)), "a.csv", &format, &source,
				   &road->err),
		  &road->err);
	status = amend_sync(road->db, source, "country", &stage->feed->options, &report, &road->err);
	amend_source_close(source);
	amend_sync_report_release(&report);
	return status;
}

static enum amend_status operate(struct stage *stage, struct road *road, enum kind kind)
{
	switch (kind) {
	case UNIT:
		return amend_atomic(road->db, NULL, add_both, road, &road->err);
	case SYNC:
		return sync(stage, road);
	case SETTLE:
		return settle(road, stage->id, AMEND_TAKE_INCOMING);
	case KEEP:
		return settle(road, stage->id, AMEND_TAKE_CURRENT);
	case REVERT:
		return undo(road, stage->id);
	case ADD:
	case CHANGE:
	case CREATE:
	case DELETE:
		return write_one(stage, road, kind);
	case KINDS:
		break;
	}
	return AMEND_INTERNAL;
}

/* Each adds one of these. */
static long effects(struct stage *stage, enum kind kind)
{
	const char *n = engine_scalar(stage->engine,
				      kind == KEEP ? "SELECT count(*) FROM amend.conflict WHERE "
						     "state = 'settled'"
						   : "SELECT count(*) FROM amend.change");

	return strtol(n, NULL, 10);
}

static struct road *open_cut(struct stage *stage)
{
	return road_open_with(stage->engine, proxy_url(stage->proxy), NULL, "counter");
}

static void cut_one(struct stage *stage, enum kind kind, struct proxy_cut cut)
{
	struct road *road = open_cut(stage);
	enum amend_status status;
	long before, came;

	prepare(stage, kind);
	/* The second of its kind need not look first. */
	if (kind == CHANGE && stage->round % 2)
		ok(road, .keys = "id=3", .set = engine_printf(stage->engine, "n=-%u", stage->round));
	before = effects(stage, kind);
	proxy_cut(stage->proxy, cut);
	status = operate(stage, road, kind);
	stage->done += status == AMEND_OK && proxy_fired(stage->proxy);
	stage->refused += status != AMEND_OK;
	if (status == AMEND_OK)
		says_what_it_did(stage, road, kind);
	road_close(road);
	proxy_cut(stage->proxy, (struct proxy_cut){.message = 0});
	proxy_settle(stage->proxy);
	came = effects(stage, kind) - before;
	if ((status != AMEND_OK && status != AMEND_UNREACHABLE) || came != (status == AMEND_OK))
		fail_at(__FILE__, __LINE__,
			"%s, cut of side %d, message %u, passes %d, late %d: %s (%s), and %ld came",
			names[kind], (int)cut.side, cut.message, cut.passes, cut.late_ms,
			amend_status_name(status), road->err.text, came);
	/* Who was told that nothing is in does it again. */
	if (status != AMEND_OK) {
		road = open_cut(stage);
		expect_ok(operate(stage, road, kind), &road->err);
		assert_int_equal(effects(stage, kind) - before, 1);
		road_close(road);
	}
}

/* Where there are no syncs, there is nothing to settle. */
static bool concerns(const struct engine *engine, enum kind kind)
{
	return (kind != SYNC && kind != SETTLE && kind != KEEP && kind != CHANGE) ||
	       engine->features & AMEND_HAS_WRITE_CTE;
}

static unsigned last_of(const struct engine *engine, enum kind kind)
{
	if (kind == SYNC)
		return LAST_OF_SYNC;
	/* A single write is one statement, or a unit. */
	return kind > ADD && engine->features & AMEND_HAS_WRITE_CTE ? LAST_OF_ONE : LAST;
}

static void around_commit(struct engine *engine)
{
	static const struct proxy_cut cuts[] = {
		{.side = PROXY_CLIENT},
		{.side = PROXY_CLIENT, .late_ms = 40},
		{.side = PROXY_SERVER},
	};
	struct stage stage = {.engine = engine};

	engine_exec(engine,
		    "CREATE TABLE counter (id integer PRIMARY KEY, n integer, other integer); "
		    "INSERT INTO counter VALUES (1, 0, 0), (2, 0, 0), (3, 0, 0); "
		    "CREATE TABLE country (code text PRIMARY KEY, name text)");
	stage.direct = road_open(engine, "counter");
	expect_ok(amend_init(stage.direct->db, NULL, &stage.direct->err), &stage.direct->err);
	stage.feed = feed_open(engine, "country", "code");
	stage.proxy = proxy_open(engine);
	for (enum kind kind = UNIT; kind < KINDS; kind++) {
		const unsigned done = stage.done;
		unsigned n[2], last = last_of(engine, kind);
		struct road *road;

		if (!concerns(engine, kind))
			continue;
		road = open_cut(&stage);
		/* How many messages there are. */
		prepare(&stage, kind);
		proxy_cut(stage.proxy, (struct proxy_cut){.message = 0});
		expect_ok(operate(&stage, road, kind), &road->err);
		n[PROXY_CLIENT] = proxy_messages(stage.proxy, PROXY_CLIENT);
		n[PROXY_SERVER] = proxy_messages(stage.proxy, PROXY_SERVER);
		road_close(road);
		for (size_t i = 0; i < COUNT(cuts); i++) {
			struct proxy_cut cut = cuts[i];
			unsigned all = n[cut.side];

			for (cut.message = all > last ? all - last + 1 : 1; cut.message <= all;
			     cut.message++)
				cut_one(&stage, kind, cut);
		}
		print_message("# %s: %u done all the same\n", names[kind], stage.done - done);
		assert_true(stage.done > done);
	}
	print_message("# %u told that nothing is in\n", stage.refused);
	assert_true(stage.refused >= KINDS);
	engine_expect(engine, "SELECT n - other FROM counter WHERE id = 1", "0");
}

/* Nobody has told the server that the one who asked is gone: it goes on waiting, and then writes. */
static void waiting_at_the_server(struct engine *engine)
{
	const struct proxy_cut cut = {.after_us = 1000000};
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct proxy *proxy = proxy_open(engine);
	struct foreign *holder = foreign_open(engine);
	struct road *road;

	engine_exec(engine, "CREATE TABLE counter (id integer PRIMARY KEY, n integer); "
			    "INSERT INTO counter VALUES (1, 0)");
	road = road_open(engine, "counter");
	ok(road, .keys = "id=1", .set = "n=-1");
	for (int i = 0; i < 2; i++) {
		options.resolve_ms = i ? 200 : 10000;
		road = road_open_with(engine, proxy_url(proxy), &options, "counter");
		ok(road, .keys = "id=1", .set = "n=0");
		foreign_exec(holder, "BEGIN");
		foreign_exec(holder, "UPDATE counter SET n = n WHERE id = 1");
		if (i == 0)
			foreign_start(holder, 2500, "COMMIT");
		proxy_cut(proxy, cut);
		if (i) {
			/* Longer than anybody wants to know. */
			expect_status(AMEND_OUTCOME_UNKNOWN,
				      road_write(road, ask(.keys = "id=1", .set = "n+=1")),
				      &road->err);
		} else {
			ok(road, .keys = "id=1", .set = "n+=1");
			said(road, "updated n: 0 -> 1");
		}
		assert_true(proxy_fired(proxy));
		if (i == 0)
			expect_text(foreign_finish(holder), NULL);
		else
			foreign_exec(holder, "COMMIT");
		road_close(road);
		proxy_cut(proxy, (struct proxy_cut){.message = 0});
		proxy_settle(proxy);
		engine_await(engine, "SELECT count(*) FROM amend.change WHERE fields LIKE '%n%'",
			     engine_printf(engine, "%d", 3 + 2 * i));
	}
}

/* --- the ledger comes with the unit, whose COMMIT takes its time --- */

struct first_unit {
	struct road *road;
	struct proxy *proxy;
	struct foreign *gate;
	const char *opens; /* the gate, once somebody waits for the unit */
	int commits, reconnects, runs;
};

/* COMMIT reaches the server, and waits at the gate; its answer reaches nobody. */
static void lose_the_first_commit(void *context, const struct amend_trace_event *event)
{
	struct first_unit *unit = context;

	if (event->op == AMEND_TRACE_COMMIT && unit->commits++ == 0)
		proxy_cut(unit->proxy,
			  (struct proxy_cut){.side = PROXY_CLIENT, .message = 1, .passes = true});
	if (event->op == AMEND_TRACE_RECONNECT && unit->reconnects++ == 0)
		foreign_start(unit->gate, 0, unit->opens);
}

static enum amend_status add_first(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct first_unit *unit = context;

	unit->runs++;
	return add_both(db, unit->road, err);
}

/* Looked for too early there is not even a ledger. */
static void the_ledger_is_on_its_way(struct engine *engine)
{
	static const char waits[] =
		"FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.datname = "
		"current_database() AND NOT l.granted AND (l.locktype = 'advisory' AND l.objid = 1)";
	static const char let_in[] =
		"DO $$ BEGIN WHILE NOT EXISTS (SELECT %s = false) LOOP PERFORM pg_sleep(0.01), "
		"pg_stat_clear_snapshot(); END LOOP; %s PERFORM pg_advisory_unlock(1); END $$";
	const char *const ends[] = {
		"", engine_printf(engine, "PERFORM pg_terminate_backend(l.pid) %s;", waits)};
	struct first_unit unit = {.proxy = proxy_open(engine), .gate = foreign_open(engine)};
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;

	options.resolve_ms = 60000; /* of a machine that is busy */
	engine_exec(engine,
		    "CREATE TABLE counter (id integer PRIMARY KEY, n integer, other integer); "
		    "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
		    "PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END $$; "
		    "CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON counter DEFERRABLE "
		    "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait(); "
		    "INSERT INTO counter VALUES (1, 0, 0)");
	for (int i = 0; i < 4; i++) {
		const bool undone = i % 2, once = i / 2;

		engine_exec(engine, "UPDATE counter SET n = 0, other = 0; "
				    "DROP SCHEMA IF EXISTS amend CASCADE");
		foreign_exec(unit.gate, "SELECT pg_advisory_lock(1)");
		unit.opens = engine_printf(engine, let_in, waits, ends[undone]);
		unit.commits = unit.reconnects = unit.runs = 0;
		unit.road = road_open_with(engine, proxy_url(unit.proxy), &options, "counter");
		unit.road->trace.context = &unit;
		unit.road->trace.before = lose_the_first_commit;
		if (once)
			ok(unit.road, .keys = "id=1", .set = "n+=1, other+=1", .once = "op");
		else
			expect_ok(road_atomic(unit.road, add_first, &unit), &unit.road->err);
		assert_true(proxy_fired(unit.proxy));
		expect_text(foreign_finish(unit.gate), NULL);
		assert_int_equal(unit.runs, once ? 0 : 1 + undone);
		road_close(unit.road);
		engine_expect(engine, "SELECT n, other FROM counter", "1|1");
		engine_expect(engine, "SELECT count(*) FROM amend.revision", "1");
	}
}

static const struct engine_test tests[] = {
	{"cut around COMMIT: told as it is, done once", around_commit, .not_on = "sqlite"},
	{"one that waits at the server is waited for", waiting_at_the_server, .only = "postgresql"},
	{"..also where the ledger comes with it", the_ledger_is_on_its_way, .only = "postgresql"},
};

ENGINE_MAIN(tests)
