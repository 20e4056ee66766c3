/*
 * COMMITs that nobody answered, by faults of the driver: in or not, amend finds out by itself, and a
 * caller is told the truth. Where no server is reached it stays unknown, and the id settles it.
 * Leaves real cuts on the wire to cut_test.c.
 */
#include <amend/once.h>

#include "ask.h"

#include "sql/conn.h"

static struct road *open_counter(struct engine *engine)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct road *road;

	engine_exec(engine, "CREATE TABLE counter (id integer PRIMARY KEY, n integer)");
	engine_exec(engine, "INSERT INTO counter VALUES (1, 0)");
	options.resolve_ms = 1500;
	road = road_open_with(engine, engine->url, &options, "counter");
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	return road;
}

static const struct amend_trace_fault unanswered = {
	.op = AMEND_TRACE_COMMIT, .after = true, .status = AMEND_OUTCOME_UNKNOWN};
static const struct amend_trace_fault not_arrived = {.op = AMEND_TRACE_COMMIT,
						     .status = AMEND_OUTCOME_UNKNOWN};

static void committed_without_an_answer(struct engine *engine)
{
	struct road *road = open_counter(engine);

	for (int i = 1; i <= 3; i++) {
		const char *id = i == 3 ? "" : engine_printf(engine, "op %d", i);

		road->trace.fault = unanswered;
		ok(road, .keys = "id=1", .set = "n+=1", .once = id, .want_token = true);
		assert_true(road->trace.fault.fired);
		said(road, engine_printf(engine, "updated n: %d -> %d", i - 1, i));
		assert_null(road->result.repeated);
		assert_non_null(road->result.token);
		assert_int_equal(road->result.revision, i);
	}
	engine_expect(engine, "SELECT n FROM counter", "3");
	engine_expect(engine, "SELECT count(*) FROM amend.change", "3");
	/* The token is worth what it says. */
	ok(road, .keys = "id=1", .set = "n=9",
	   .token = engine_printf(engine, "%s", road->result.token));
}

static void not_committed(struct engine *engine)
{
	struct road *road = open_counter(engine);

	road->trace.fault = not_arrived;
	ok(road, .keys = "id=1", .set = "n+=1", .once = "op");
	assert_true(road->trace.fault.fired);
	said(road, "updated n: 0 -> 1");
	assert_null(road->result.repeated);
	engine_expect(engine, "SELECT n FROM counter", "1");
	engine_expect(engine, "SELECT count(*) FROM amend.change", "1");
	road->trace.fault = not_arrived;
	expect_ok(road_delete(road, ask(.keys = "id=1", .once = "gone")), &road->err);
	road->trace.fault = unanswered;
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "n=7", .once = "again");
	said(road, "created id: NULL -> 1, n: NULL -> 7");
	engine_expect(engine, "SELECT count(*) FROM amend.change", "3");
}

/* The ledger itself comes with the lost unit. */
static void the_very_first_write(struct engine *engine)
{
	struct road *road;

	for (int after = 0; after < 2; after++) {
		engine_exec(engine,
			    "DROP TABLE IF EXISTS counter; DROP SCHEMA IF EXISTS amend CASCADE");
		engine_exec(engine, "CREATE TABLE counter (id integer PRIMARY KEY, n integer)");
		engine_exec(engine, "INSERT INTO counter VALUES (1, 0)");
		road = road_open(engine, "counter");
		road->trace.fault = after ? unanswered : not_arrived;
		ok(road, .keys = "id=1", .set = "n+=1", .once = "op");
		assert_true(road->trace.fault.fired);
		ok(road, .keys = "id=1", .set = "n+=1", .once = "op");
		engine_expect(engine, "SELECT n FROM counter", "1");
		road_close(road);
	}
}

/* At any statement of the operation: before COMMIT nothing is in, and that is said. */
static void at_any_statement(struct engine *engine)
{
	struct road *road = open_counter(engine);
	int done = 0;
	bool fired = true;

	for (unsigned nth = 1; fired; nth++) {
		const char *id = engine_printf(engine, "op %u", nth);

		road_close(road);
		road = road_open(engine, "counter");
		road->trace.fault = (struct amend_trace_fault){.op = AMEND_TRACE_STATEMENT,
							       .nth = nth,
							       .after = nth % 2 == 0,
							       .status = AMEND_UNREACHABLE};
		if (road_write(road, ask(.keys = "id=1", .set = "n+=1", .once = id)) == AMEND_OK)
			done++;
		else
			expect_status(AMEND_UNREACHABLE, road->status, &road->err);
		fired = road->trace.fault.fired;
		engine_expect(engine, "SELECT n FROM counter", engine_printf(engine, "%d", done));
		assert_true(nth < 60);
	}
	assert_true(done > 0);
}

static int refuse_to_reconnect;

static void no_way_back(void *context, const struct amend_trace_event *event)
{
	struct road *road = context;

	if (event->op == AMEND_TRACE_RECONNECT && refuse_to_reconnect-- > 0)
		road->trace.fault = (struct amend_trace_fault){.op = AMEND_TRACE_RECONNECT,
							       .status = AMEND_UNREACHABLE};
}

static void no_server_for_a_while(struct engine *engine)
{
	struct road *road = open_counter(engine);

	road->trace.context = road;
	road->trace.before = no_way_back;
	refuse_to_reconnect = 4;
	road->trace.fault = unanswered;
	ok(road, .keys = "id=1", .set = "n+=1", .once = "op");
	assert_true(refuse_to_reconnect <= 0);
	engine_expect(engine, "SELECT n FROM counter", "1");
}

static void no_server_at_all(struct engine *engine)
{
	struct road *road;
	int64_t begun;

	open_counter(engine);
	for (int after = 0; after < 2; after++) {
		const char *id = engine_printf(engine, "op %d", after);
		struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;

		options.resolve_ms = 1000;
		road = road_open_with(engine, engine->url, &options, "counter");
		road->trace.context = road;
		road->trace.before = no_way_back;
		refuse_to_reconnect = 1000;
		road->trace.fault = after ? unanswered : not_arrived;
		begun = now_ms();
		refused(AMEND_OUTCOME_UNKNOWN, road, .keys = "id=1", .set = "n+=1", .once = id);
		assert_in_range(now_ms() - begun, 900, 15000);
		expect_contains(road->err.text, id);
		expect_text(road->result.once, id);
		assert_int_equal(road->result.outcome, AMEND_IS_NOTHING);
		road_close(road);
		/* The server is back. */
		road = road_open(engine, "counter");
		ok(road, .keys = "id=1", .set = "n+=1", .once = id);
		assert_int_equal(road->result.repeated != NULL, after);
		said(road, engine_printf(engine, "updated n: %d -> %d", after, after + 1));
		road_close(road);
	}
	engine_expect(engine, "SELECT n FROM counter", "2");
}

/* Who does not want the connection opened again is told at once. */
static void not_wanted(struct engine *engine)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct road *road;

	open_counter(engine);
	options.resolve_ms = 0;
	road = road_open_with(engine, engine->url, &options, "counter");
	road->trace.fault = unanswered;
	refused(AMEND_OUTCOME_UNKNOWN, road, .keys = "id=1", .set = "n+=1", .once = "op");
	assert_int_equal(road->trace.by_op[AMEND_TRACE_RECONNECT], 0);
	/* Nothing is made up where nothing would come of it. */
	road_close(road);
	road = road_open_with(engine, engine->url, &options, "counter");
	ok(road, .keys = "id=1", .set = "n+=1", .once = "");
	assert_null(road->result.once);
}

/* The transaction may still be under way when the connection is back: a look would come too early. */
static void still_under_way(struct engine *engine)
{
	struct road *road = open_counter(engine);
	struct foreign *slow = foreign_open(engine);

	/* Stands for the lost one: it holds the id, and commits later. */
	ok(road, .keys = "id=1", .set = "n+=1", .once = "other");
	foreign_exec(slow, "BEGIN");
	foreign_exec(slow, "INSERT INTO amend.operation (id, digest, at, who, maker, answer) SELECT "
			   "'op', digest, at, who, 'somebody', answer FROM amend.operation");
	foreign_start(slow, 500, "COMMIT");
	ok(road, .keys = "id=1", .set = "n+=1", .once = "op");
	assert_non_null(road->result.repeated);
	expect_text(foreign_finish(slow), NULL);
	engine_expect(engine, "SELECT n FROM counter", "1");
}

/* --- without an id: by what the unit recorded --- */

struct unit {
	struct road *road;
	int runs;
};

static enum amend_status add_two(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct unit *unit = context;

	unit->runs++;
	for (int i = 0; i < 2; i++) {
		if (road_write(unit->road, ask(.keys = "id=1", .set = "n+=1")) != AMEND_OK) {
			*err = unit->road->err;
			return err->status;
		}
	}
	(void)db;
	return AMEND_OK;
}

static void by_its_revision(struct engine *engine)
{
	struct road *road = open_counter(engine);
	struct unit unit = {.road = road};

	for (int after = 0; after < 2; after++) {
		road->trace.fault = after ? unanswered : not_arrived;
		expect_ok(road_atomic(road, add_two, &unit), &road->err);
		assert_true(road->trace.fault.fired);
		assert_int_equal(unit.runs, 2 + after);
	}
	engine_expect(engine, "SELECT n FROM counter", "4");
	engine_expect(engine, "SELECT count(*) FROM amend.change", "4");
	engine_expect(engine, "SELECT count(DISTINCT revision) FROM amend.change", "2");
	engine_expect(engine, "SELECT count(*) FROM amend.revision", "2");
	engine_expect(engine, "SELECT count(*) FROM amend.operation", "0");
}

static void give_its_number_to_another(void *context, const struct amend_trace_event *event)
{
	struct road *road = context;

	if (event->op == AMEND_TRACE_RECONNECT)
		engine_exec(road->engine, "INSERT INTO amend.revision (id, at, who, why, program) "
					  "VALUES (1, '', 'another', '', '')");
}

/* As after a crash of the server, which forgets what it gave out that is not in: the number is another's, and that is in. */
static void its_number_is_anothers_now(struct engine *engine)
{
	struct road *road = open_counter(engine);
	struct unit unit = {.road = road};

	road->trace.context = road;
	road->trace.before = give_its_number_to_another;
	road->trace.fault = not_arrived;
	expect_ok(road_atomic(road, add_two, &unit), &road->err);
	assert_true(road->trace.fault.fired);
	assert_int_equal(unit.runs, 2);
	engine_expect(engine, "SELECT n FROM counter", "2");
	engine_expect(engine, "SELECT count(*) FROM amend.change", "2");
	engine_expect(engine, "SELECT who FROM amend.revision WHERE id = 1", "another");
}

/* The number is said, by which it can be looked for. */
static void a_revision_that_nobody_can_ask_for(struct engine *engine)
{
	struct road *road = open_counter(engine);
	struct unit unit = {.road = road};

	road->trace.context = road;
	road->trace.before = no_way_back;
	refuse_to_reconnect = 1000;
	road->trace.fault = unanswered;
	expect_status(AMEND_OUTCOME_UNKNOWN, road_atomic(road, add_two, &unit), &road->err);
	assert_int_equal(unit.runs, 1);
	expect_contains(road->err.text, "revision 1: ");
	engine_expect(engine, "SELECT id FROM amend.revision", "1");
}

/* --- single writes without an id: one statement, and its own transaction --- */

/* NULL: the engine takes several, and that is a unit. */
static struct road *open_single(struct engine *engine)
{
	struct road *road = open_counter(engine);

	return amend_has(road->db, AMEND_HAS_WRITE_CTE) ? road : NULL;
}

static void lose(struct road *road, bool after)
{
	road->trace.fault = (struct amend_trace_fault){.op = AMEND_TRACE_RUN,
						       .sql = "INSERT INTO amend.revision",
						       .after = after,
						       .status = AMEND_OUTCOME_UNKNOWN};
}

static void single_writes(struct engine *engine)
{
	struct road *road = open_single(engine);

	for (int i = 0; road && i < 4; i++) {
		lose(road, i % 2);
		ok(road, .keys = "id=1", .set = "n+=1", .want_token = i > 1);
		assert_true(road->trace.fault.fired);
		said(road, engine_printf(engine, "updated n: %d -> %d", i, i + 1));
		expect_text(road_record(road), engine_printf(engine, "id=1 n=%d", i + 1));
	}
	if (!road)
		return;
	/* The token is worth what it says. */
	lose(road, true);
	ok(road, .keys = "id=1", .set = "n=9",
	   .token = engine_printf(engine, "%s", road->result.token));
	said(road, "updated n: 4 -> 9");
	lose(road, true);
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=2", .set = "n=7");
	said(road, "created id: NULL -> 2, n: NULL -> 7");
	lose(road, true);
	expect_ok(road_delete(road, ask(.keys = "id=2")), &road->err);
	said(road, "deleted id: 2 -> NULL, n: 7 -> NULL");
	engine_expect(engine, "SELECT count(*) FROM amend.change", "7");
	/* What found nothing to do has nothing to lose. */
	lose(road, true);
	ok(road, .keys = "id=1", .set = "n=9");
	assert_false(road->trace.fault.fired);
}

static struct road *other;

static void come_between(void *context, const struct amend_trace_event *event)
{
	(void)context;
	if (event->op != AMEND_TRACE_RECONNECT)
		return;
	ok(other, .keys = "id=1", .set = "n+=100");
	expect_ok(road_delete(other, ask(.keys = "id=1")), &other->err);
	ok(other, AMEND_CREATE, .keys = "id=1", .set = "n=5");
}

/* By the time it is found out others have written: it says what it did. */
static void told_as_it_was(struct engine *engine)
{
	struct road *road = open_single(engine);

	if (!road)
		return;
	other = road_open(engine, "counter");
	road->trace.before = come_between;
	lose(road, true);
	ok(road, .keys = "id=1", .set = "n+=1");
	said(road, "updated n: 0 -> 1");
	expect_text(road_record(road), "id=1 n=1");
	assert_int_equal(road->result.revision, 1);
	/* And if it was not in, what they wrote is what it is written to. */
	lose(road, false);
	ok(road, .keys = "id=1", .set = "n+=1");
	said(road, "updated n: 5 -> 6");
}

static void a_single_write_and_no_server(struct engine *engine)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct road *road = open_single(engine);

	if (!road)
		return;
	road->trace.context = road;
	road->trace.before = no_way_back;
	refuse_to_reconnect = 1000;
	lose(road, true);
	refused(AMEND_OUTCOME_UNKNOWN, road, .keys = "id=1", .set = "n+=1");
	assert_int_equal(road->result.outcome, AMEND_IS_NOTHING);
	engine_expect(engine, "SELECT n FROM counter", "1");
	/* Who does not want to know is told at once. */
	options.resolve_ms = 0;
	road = road_open_with(engine, engine->url, &options, "counter");
	lose(road, true);
	refused(AMEND_OUTCOME_UNKNOWN, road, .keys = "id=1", .set = "n+=1");
	assert_int_equal(road->trace.by_op[AMEND_TRACE_RECONNECT], 0);
}

/* --- a server that lacks what it had acknowledged --- */

static bool forgetful;

static void forget_it_all(void *context, const struct amend_trace_event *event)
{
	struct road *road = context;

	if (event->op != AMEND_TRACE_RECONNECT || !forgetful)
		return;
	engine_exec(road->engine, "DELETE FROM amend.change");
	engine_exec(road->engine, "DELETE FROM amend.revision");
	if (engine_is(road->engine, "postgresql"))
		engine_exec(road->engine, "SELECT setval('amend.revision_id_seq', 1, false)");
	forgetful = false;
}

static void acknowledged_and_gone(struct engine *engine)
{
	struct road *road = open_counter(engine);
	struct unit unit = {.road = road};

	for (int i = 0; i < 3; i++)
		expect_ok(road_atomic(road, add_two, &unit), &road->err);
	road->trace.context = road;
	road->trace.before = forget_it_all;
	forgetful = true;
	road->trace.fault = not_arrived;
	expect_status(AMEND_UNREACHABLE, road_atomic(road, add_two, &unit), &road->err);
	expect_contains(road->err.text, "nothing of it is in, nor is revision 3,");
	assert_int_equal(unit.runs, 4);
	/* Said once. */
	for (int after = 0; after < 2; after++) {
		road->trace.fault = after ? unanswered : not_arrived;
		expect_ok(road_atomic(road, add_two, &unit), &road->err);
	}
	assert_int_equal(unit.runs, 7);
	engine_expect(engine, "SELECT n FROM counter", "10");
}

/* Numbers begin again below those that are known. */
static void acknowledged_alone_and_gone(struct engine *engine)
{
	struct road *road = open_single(engine);

	if (!road)
		return;
	for (int i = 0; i < 3; i++)
		ok(road, .keys = "id=1", .set = "n+=1");
	road->trace.context = road;
	road->trace.before = forget_it_all;
	forgetful = true;
	lose(road, false);
	refused(AMEND_UNREACHABLE, road, .keys = "id=1", .set = "n+=1");
	expect_contains(road->err.text, "nothing of it is in, nor is revision 3,");
	lose(road, true);
	ok(road, .keys = "id=1", .set = "n+=1");
	said(road, "updated n: 3 -> 4");
	assert_int_equal(road->result.revision, 1);
	engine_expect(engine, "SELECT n FROM counter", "4");
}

/* --- what the program has made of its session --- */

static const char *setting(const struct engine *engine)
{
	return engine_pick3(engine, NULL, "SET search_path = elsewhere", "SET @tenant = 7");
}

/* Done again, or gone on with, on another connection it would write without. */
static void without_its_settings(struct engine *engine)
{
	struct road *road = open_counter(engine);
	struct unit unit = {0};

	for (int after = 0; after < 2; after++) {
		if (after)
			road = road_open(engine, "counter");
		unit = (struct unit){.road = road};
		connect_exec(engine, road->db, setting(engine));
		road->trace.fault = after ? unanswered : not_arrived;
		expect_status(after ? AMEND_OK : AMEND_UNREACHABLE,
			      road_atomic(road, add_two, &unit), &road->err);
		assert_true(road->trace.fault.fired);
		assert_int_equal(unit.runs, 1);
		if (!after)
			expect_contains(road->err.text,
					"nothing of it is in; what the program had "
					"set in its session is gone with it (hint: ");
		refused(AMEND_UNREACHABLE, road, .keys = "id=1", .set = "n+=1");
		expect_contains(road->err.text, "the connection broke and was opened anew: ");
	}
	engine_expect(engine, "SELECT n FROM counter", "2");
}

static void alone_without_its_settings(struct engine *engine)
{
	struct road *road = open_single(engine);

	for (int after = 0; road && after < 2; after++) {
		if (after)
			road = road_open(engine, "counter");
		connect_exec(engine, road->db, setting(engine));
		lose(road, after);
		if (after)
			ok(road, .keys = "id=1", .set = "n+=1");
		else
			refused(AMEND_UNREACHABLE, road, .keys = "id=1", .set = "n+=1");
		refused(AMEND_UNREACHABLE, road, .keys = "id=1", .set = "n+=1");
	}
	if (road)
		engine_expect(engine, "SELECT n FROM counter", "1");
}

static enum amend_status set_and_add(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct unit *unit = context;
	enum amend_status status = amend_query(db, setting(unit->road->engine), NULL, 0, NULL, err);

	return status == AMEND_OK ? add_two(db, context, err) : status;
}

/* What the unit itself sets it sets again; unless it need not be done again. */
static void settings_of_the_unit(struct engine *engine)
{
	struct road *road = open_counter(engine);
	struct unit unit = {.road = road};

	road->trace.fault = not_arrived;
	expect_ok(road_atomic(road, set_and_add, &unit), &road->err);
	assert_int_equal(unit.runs, 2);
	ok(road, .keys = "id=1", .set = "n+=1");
	road_close(road);
	unit.road = road = road_open(engine, "counter");
	road->trace.fault = unanswered;
	expect_ok(road_atomic(road, set_and_add, &unit), &road->err);
	assert_int_equal(unit.runs, 3);
	refused(AMEND_UNREACHABLE, road, .keys = "id=1", .set = "n+=1");
	engine_expect(engine, "SELECT n FROM counter", "5");
}

static void count_reconnects(void *context, const struct amend_trace_event *event)
{
	if (event->op == AMEND_TRACE_RECONNECT)
		++*(int *)context;
}

/* A wait for the standby that was cancelled, say: no reason to open the connection anew, nor to go without what was set. */
static void unanswered_and_well(struct engine *engine)
{
	struct road *road = open_counter(engine);
	struct unit unit = {.road = road};
	int reconnects = 0;

	connect_exec(engine, road->db, setting(engine));
	road->trace.context = &reconnects;
	road->trace.before = count_reconnects;
	for (int i = 1; i <= 2; i++) {
		road->trace.fault = unanswered;
		road->trace.fault.aftermath = AMEND_TRACE_AS_IS;
		expect_ok(road_atomic(road, i == 1 ? add_two : set_and_add, &unit), &road->err);
		assert_true(road->trace.fault.fired);
		assert_int_equal(unit.runs, i);
		assert_int_equal(reconnects, 0);
	}
	ok(road, .keys = "id=1", .set = "n+=1");
	engine_expect(engine, "SELECT n FROM counter", "5");
}

/* Of the transaction alone. */
static void local_settings(struct engine *engine)
{
	static const char *const texts[] = {
		"SELECT set_config('app.tenant', concat('7', '('), true)",
		"SET TRANSACTION ISOLATION LEVEL READ COMMITTED"};
	struct road *road = open_counter(engine);
	struct unit unit = {.road = road};

	for (size_t i = 0; i < COUNT(texts); i++)
		connect_exec(engine, road->db, texts[i]);
	road->trace.fault = not_arrived;
	expect_ok(road_atomic(road, add_two, &unit), &road->err);
	assert_int_equal(unit.runs, 2);
	ok(road, .keys = "id=1", .set = "n+=1");
}

/* There it would be looked for in another ledger. */
static void in_another_database(struct engine *engine)
{
	struct road *road = open_counter(engine);
	struct unit unit = {.road = road};
	const char *name = engine_scalar(engine, "SELECT database()");

	connect_exec(engine, road->db, engine_printf(engine, "USE \"%s\"", name));
	road->trace.fault = not_arrived;
	expect_status(AMEND_OUTCOME_UNKNOWN, road_atomic(road, add_two, &unit), &road->err);
	expect_contains(road->err.text, "turned its session to another database");
	assert_int_equal(road->trace.by_op[AMEND_TRACE_RECONNECT], 0);
	engine_expect(engine, "SELECT n FROM counter", "0");
}

/* --- handlers and their hooks --- */

struct handled {
	struct road *road;
	int runs, hooks;
};

static enum amend_status say(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct handled *handled = context;

	(void)db, (void)err;
	handled->hooks++;
	return AMEND_OK;
}

static enum amend_status handle(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct handled *handled = context;
	enum amend_status status;

	handled->runs++;
	status = amend_on_commit(db, say, handled, false, err);
	if (status == AMEND_OK)
		status = amend_query(db, "UPDATE counter SET n = n + 1", NULL, 0, NULL, err);
	return status == AMEND_OK ? amend_once_answer(db, "handled", err) : status;
}

/* A hook of a unit that is in runs once, though nobody answered. */
static void hooks_of_a_lost_commit(struct engine *engine)
{
	struct road *road = open_counter(engine);
	struct handled handled = {.road = road};
	struct amend_once_result done = AMEND_ONCE_RESULT_INIT;

	road->trace.fault = unanswered;
	expect_ok(amend_once(road->db, "m1", handle, &handled, NULL, &done, &road->err), &road->err);
	assert_int_equal(handled.runs, 1);
	assert_int_equal(handled.hooks, 1);
	assert_false(done.repeated);
	expect_text(done.answer, "handled");
	amend_once_result_release(&done);
	road->trace.fault = not_arrived;
	expect_ok(amend_once(road->db, "m2", handle, &handled, NULL, NULL, &road->err), &road->err);
	assert_int_equal(handled.runs, 3);
	assert_int_equal(handled.hooks, 2);
	expect_ok(amend_once(road->db, "m2", handle, &handled, NULL, &done, &road->err), &road->err);
	assert_true(done.repeated);
	expect_text(done.answer, "handled");
	assert_int_equal(handled.hooks, 2);
	amend_once_result_release(&done);
	engine_expect(engine, "SELECT n FROM counter", "2");
}

static const struct engine_test tests[] = {
	{"it was in: that is found out, and the answer stands", committed_without_an_answer,
	 .not_on = "sqlite"},
	{"it was not in: it is done again", not_committed, .not_on = "sqlite"},
	{"the very first write, which installs the ledger", the_very_first_write,
	 .needs = AMEND_HAS_DDL_ROLLBACK, .not_on = "sqlite"},
	{"cut at any operation: told as it is", at_any_statement},
	{"no server for a while", no_server_for_a_while, .not_on = "sqlite"},
	{"no server at all: unknown, and the id settles it", no_server_at_all, .not_on = "sqlite"},
	{"nobody wants the connection opened again", not_wanted, .not_on = "sqlite"},
	{"one that is still under way is waited for", still_under_way, .not_on = "sqlite"},
	{"a unit without an id is found out about by its revision", by_its_revision,
	 .not_on = "sqlite"},
	{"..whose number is another's since the server crashed", its_number_is_anothers_now,
	 .not_on = "sqlite"},
	{"no server at all: a unit without an id names its revision",
	 a_revision_that_nobody_can_ask_for, .not_on = "sqlite"},
	{"single writes without an id are found out about", single_writes, .not_on = "sqlite"},
	{"..and say what they did, whoever came between", told_as_it_was, .not_on = "sqlite"},
	{"..but for a server that is not reached", a_single_write_and_no_server, .not_on = "sqlite"},
	{"a server that lacks what it acknowledged: said, and not gone on with",
	 acknowledged_and_gone, .not_on = "sqlite"},
	{"..and writes go on, each once, with numbers that have been", acknowledged_alone_and_gone,
	 .not_on = "sqlite"},
	{"nothing is done without what the program had set", without_its_settings,
	 .not_on = "sqlite"},
	{"..nor a single write", alone_without_its_settings, .not_on = "sqlite"},
	{"what the unit itself sets it sets again", settings_of_the_unit, .not_on = "sqlite"},
	{"unanswered on a connection that is well: it stays", unanswered_and_well,
	 .not_on = "sqlite"},
	{"what is set for a transaction alone", local_settings, .only = "postgresql"},
	{"which database is used is gone, too: unknown", in_another_database, .only = "mariadb"},
	{"hooks run once, after what is in", hooks_of_a_lost_commit, .not_on = "sqlite"},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
