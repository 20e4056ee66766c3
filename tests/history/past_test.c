/*
 * A record's past: at revisions and times, before and after it lived, under other keys.
 * Leaves undoing to revert_test.c, and the listing of history to tests/ledger/log_test.c.
 */
#include <stdlib.h>

#include "ask.h"

static const char table[] = "CREATE TABLE t (id integer PRIMARY KEY, k text UNIQUE, v text, w text)";

static struct amend_moment moment_of(const char *text)
{
	struct amend_moment moment;
	struct amend_error err;

	expect_ok(amend_moment_parse(text, &moment, &err), &err);
	return moment;
}

/* "id=1": one field. */
static struct amend_field field_of(struct engine *engine, const char *key)
{
	const char *equals = strchr(key, '=');
	struct amend_field field = {
		amend_arena_text_n(engine_arena(engine), key, (size_t)(equals - key)),
		amend_text(equals + 1)};

	return field;
}

/* The record then, "id=1 k=x", or what the error says. */
static const char *at(struct road *road, const char *key, const char *moment)
{
	const struct amend_moment then = moment_of(moment);
	struct amend_field field = field_of(road->engine, key);
	const struct amend_match match = {&field, 1};
	enum amend_status status;

	amend_result_release(&road->result);
	status = amend_get_at(road->db, road->table, &match, &then, &road->result, &road->err);
	if (status == AMEND_NOT_FOUND) {
		assert_int_equal(road->result.outcome, AMEND_IS_MISSING);
		return road->err.text;
	}
	expect_ok(status, &road->err);
	assert_int_equal(road->result.outcome, AMEND_IS_FOUND);
	return road_record(road);
}

static const char *difference(struct road *road, const char *key, const char *from, const char *to)
{
	const struct amend_moment a = moment_of(from), b = moment_of(to);
	struct amend_field field = field_of(road->engine, key);
	const struct amend_match match = {&field, 1};
	enum amend_status status;

	amend_result_release(&road->result);
	status = amend_diff(road->db, road->table, &match, &a, &b, &road->result, &road->err);
	if (status == AMEND_NOT_FOUND)
		return road->err.text;
	expect_ok(status, &road->err);
	return road_said(road);
}

static void each_revision(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, table);
	road = road_open(engine, "t");
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "k=x, v=a");
	ok(road, .keys = "id=1", .set = "v=b, w=c");
	ok(road, .keys = "id=1", .set = "v=d");
	expect_text(at(road, "id=1", "1"), "id=1 k=x v=a w=NULL");
	expect_text(at(road, "id=1", "2"), "id=1 k=x v=b w=c");
	assert_int_equal(road->result.revision, 2);
	expect_text(road->result.by, "ada");
	expect_text(at(road, "k=x", "2^"), "id=1 k=x v=a w=NULL");
	expect_text(at(road, "id=1", "3"), "id=1 k=x v=d w=c");
	expect_text(at(road, "id=1", "now"), "id=1 k=x v=d w=c");
	expect_contains(at(road, "id=1", "1^"), "created later");
	expect_contains(at(road, "id=1", "4"), "no revision 4");
	expect_contains(at(road, "id=2", "1"), "no such record");
	expect_text(difference(road, "id=1", "1", "3"), "updated v: a -> d, w: NULL -> c");
	expect_text(difference(road, "id=1", "3", "1"), "updated v: d -> a, w: c -> NULL");
	expect_text(difference(road, "id=1", "2", "2"), "unchanged");
	expect_text(difference(road, "id=1", "1^", "1"),
		    "created id: NULL -> 1, k: NULL -> x, v: NULL -> a");
	expect_contains(difference(road, "id=1", "1^", "1^"), "neither");
}

static void before_the_first(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, table);
	engine_exec(engine, "INSERT INTO t VALUES (1, 'x', 'a', 'b')");
	road = road_open(engine, "t");
	ok(road, .keys = "id=1", .set = "v=c");
	expect_text(at(road, "id=1", "1^"), "id=1 k=x v=a w=b");
	assert_int_equal(road->result.revision, 0);
	expect_text(at(road, "id=1", "1970-01-01"), "id=1 k=x v=a w=b");
	/* Unseen: history says what it was before and after the changes that it has. */
	engine_exec(engine, "UPDATE t SET v = 'unseen', w = 'too'");
	expect_text(at(road, "id=1", "1"), "id=1 k=x v=c w=too");
	expect_text(difference(road, "id=1", "1", "now"), "updated v: c -> unseen");
	ok(road, .keys = "id=1", .set = "w=seen");
	expect_text(at(road, "id=1", "1"), "id=1 k=x v=c w=too");
	engine_exec(engine, "DELETE FROM t");
	expect_contains(at(road, "id=1", "now"), "did not exist");
	expect_contains(at(road, "id=1", "2"), "what k was then is not known");
}

static void without_a_ledger(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, table);
	engine_exec(engine, "INSERT INTO t VALUES (1, 'x', 'a', 'b')");
	road = road_open(engine, "t");
	expect_text(at(road, "id=1", "now"), "id=1 k=x v=a w=b");
	expect_contains(at(road, "id=1", "1"), "no revision 1");
}

static void deleted_and_restored(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, table);
	road = road_open(engine, "t");
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "k=x, v=a, w=b");
	expect_ok(road_delete(road, ask(.keys = "id=1")), &road->err);
	expect_contains(at(road, "id=1", "2"), "revision 2 deleted it");
	expect_text(at(road, "k=x", "1"), "id=1 k=x v=a w=b");
	expect_text(at(road, "k=x", "2^"), "id=1 k=x v=a w=b");
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "k=x, v=again");
	expect_text(at(road, "id=1", "3"), "id=1 k=x v=again w=NULL");
	expect_text(at(road, "id=1", "1"), "id=1 k=x v=a w=b");
	expect_contains(at(road, "id=1", "2"), "revision 2 deleted it");
	expect_text(difference(road, "id=1", "1", "now"), "updated v: a -> again, w: b -> NULL");
	expect_text(difference(road, "id=1", "1", "2"),
		    "deleted id: 1 -> NULL, k: x -> NULL, v: a -> NULL, w: b -> NULL");
}

/* An id taken again is another record, and so is one whose owner moved away. */
static void changed_and_reused_keys(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, table);
	road = road_open(engine, "t");
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "k=x, v=a");
	ok(road, .keys = "id=1", .set = "id=5, v=b");
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "k=y, v=other");
	ok(road, .keys = "id=5", .set = "v=c");
	expect_text(at(road, "id=5", "1"), "id=1 k=x v=a w=NULL");
	expect_text(at(road, "id=5", "2"), "id=5 k=x v=b w=NULL");
	expect_text(difference(road, "id=5", "1", "now"), "updated id: 1 -> 5, v: a -> c");
	expect_contains(at(road, "id=1", "1"), "created later");
	expect_text(at(road, "id=1", "3"), "id=1 k=y v=other w=NULL");
	/* Revision 4 is not of this record: what had happened to it by then. */
	expect_text(at(road, "id=1", "4"), "id=1 k=y v=other w=NULL");
}

static enum amend_status twice(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	ok(road, .keys = "id=1", .set = "v=b");
	ok(road, .keys = "id=1", .set = "v=c");
	return AMEND_OK;
}

static void order_is_by_position(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, table);
	road = road_open(engine, "t");
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=a");
	expect_ok(road_atomic(road, twice, road), &road->err);
	expect_text(at(road, "id=1", "2"), "id=1 k=NULL v=c w=NULL");
	expect_text(at(road, "id=1", "2^"), "id=1 k=NULL v=a w=NULL");
	ok(road, .keys = "id=1", .set = "v=d");
	/* Clocks that step back: the last change that is not later. */
	engine_exec(engine, engine_pick(engine,
					"UPDATE amend_revision SET at = '2026-01-0' || (4 - id) || "
					"' 10:00:00.500000'",
					"UPDATE amend.revision SET at = '2026-01-0' || (4 - id) || "
					"' 10:00:00.500000'"));
	expect_text(at(road, "id=1", "3"), "id=1 k=NULL v=d w=NULL");
	expect_text(at(road, "id=1", "2026-01-03"), "id=1 k=NULL v=d w=NULL");
	expect_text(at(road, "id=1", "2026-01-01 10:00:00"), "id=1 k=NULL v=d w=NULL");
	expect_contains(at(road, "id=1", "2026-01-01 10:00:00.4"), "created later");
	expect_contains(at(road, "id=1", "2025-12-31"), "created later");
}

static void moments_as_text(struct engine *engine)
{
	static const struct {
		const char *text, *time;
	} good[] = {
		{"2026-11-21", "2026-11-21"},
		{"2024-02-29", "2024-02-29"},
		{"2026-11-21 21:30", "2026-11-21 21:30"},
		{"2026-11-21 21:30:04 UTC", "2026-11-21 21:30:04"},
		{"2026-11-21T21:30:04Z", "2026-11-21 21:30:04"},
		{"2026-11-21T00:30:04.5+01:00", "2026-11-20 23:30:04.5"},
		{"2026-12-31 23:30:04.1234567 -0100", "2027-01-01 00:30:04.123456"},
	};
	static const char *const bad[] = {"",
					  "-1",
					  "0",
					  "7^^",
					  "7 ",
					  "yesterday",
					  "2026-13-01",
					  "2026-02-29",
					  "2026-11-21 24:00",
					  "2026-11-21 21",
					  "2026-11-21 21:30 CET",
					  "2026-11-21T21:30:04.Z",
					  "99999999999999999999"};
	struct amend_moment moment;
	struct amend_error err;

	(void)engine;
	for (size_t i = 0; i < COUNT(good); i++) {
		expect_ok(amend_moment_parse(good[i].text, &moment, &err), &err);
		assert_int_equal(moment.kind, AMEND_AT_TIME);
		expect_text(moment.time, good[i].time);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		expect_status(AMEND_INVALID, amend_moment_parse(bad[i], &moment, &err), &err);
		expect_contains(err.text, "expected a revision");
	}
	expect_ok(amend_moment_parse("7", &moment, &err), &err);
	assert_true(moment.kind == AMEND_AT_REVISION && moment.revision == 7);
	expect_ok(amend_moment_parse("7^", &moment, &err), &err);
	assert_true(moment.kind == AMEND_BEFORE_REVISION && moment.revision == 7);
}

static const struct engine_test tests[] = {
	{"at each revision, before the first, after the last", each_revision},
	{"before the first change, and what programs changed unseen", before_the_first},
	{"without a ledger only now is known", without_a_ledger},
	{"a deleted and restored record", deleted_and_restored},
	{"a changed primary key, and an id that is used again", changed_and_reused_keys},
	{"order is by position in history, never by time", order_is_by_position},
	{"moments as people write them", moments_as_text},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
