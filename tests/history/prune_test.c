/*
 * Old history removed, and what must stay.
 * Leaves the command to tests/cli/cases/prune.case.
 */
#include <stdlib.h>

#include "ask.h"

#include "ledger/ledger.h"

static struct road *open_aged(struct engine *engine)
{
	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, k text UNIQUE, v text)");
	return road_open(engine, "t");
}

/* Revisions up to this one were made long ago. */
static void age(struct engine *engine, int revision)
{
	engine_execf(engine, "UPDATE %s SET at = '2001-01-01 00:00:00.000000' WHERE id <= %d",
		     engine_pick(engine, "amend_revision", "amend.revision"), revision);
}

static const char *count(struct engine *engine, const char *table)
{
	return engine_scalar(engine, engine_printf(engine, "SELECT count(*) FROM %s%s",
						   engine_pick(engine, "amend_", "amend."), table));
}

static uint64_t pruned(struct road *road, int64_t older_than, int64_t keep, bool dry_run)
{
	struct amend_prune prune = AMEND_PRUNE_INIT;
	struct amend_pruned done;

	prune.older_than = older_than;
	prune.keep = keep;
	prune.dry_run = dry_run;
	expect_ok(amend_prune(road->db, &prune, &done, &road->err), &road->err);
	return done.changes;
}

static const char *at(struct road *road, const char *moment)
{
	struct amend_field field = {"id", amend_integer(1)};
	const struct amend_match match = {&field, 1};
	struct amend_moment then;

	expect_ok(amend_moment_parse(moment, &then, &road->err), &road->err);
	amend_result_release(&road->result);
	return amend_get_at(road->db, road->table, &match, &then, &road->result, &road->err) ==
			       AMEND_OK
		       ? road_record(road)
		       : road->err.text;
}

static void by_age(struct engine *engine)
{
	struct road *road = open_aged(engine);

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=a");
	ok(road, .keys = "id=1", .set = "v=b");
	ok(road, .keys = "id=1", .set = "v=c");
	ok(road, .keys = "id=1", .set = "v=d");
	assert_int_equal(pruned(road, 1, 0, false), 0);
	age(engine, 2);
	assert_int_equal(pruned(road, 86400, 0, true), 2);
	assert_int_equal(pruned(road, 86400, 0, false), 2);
	expect_text(count(engine, "change"), "2");
	expect_text(count(engine, "revision"), "2");
	/* What is left is whole; before it nothing is claimed. */
	expect_text(at(road, "3"), "id=1 k=NULL v=c");
	expect_contains(at(road, "3^"), "id=1 k=NULL v=b");
	expect_contains(at(road, "1"), "no revision 1");
	expect_contains(at(road, "2001-01-01"), "pruned");
	history(road, "id=1", "update id=1 v: c -> d\nupdate id=1 v: b -> c");
	assert_int_equal(pruned(road, 86400, 0, false), 0);
}

/* Clocks that step back: nothing behind the first young change goes. */
static void only_the_beginning(struct engine *engine)
{
	struct road *road = open_aged(engine);

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=a");
	ok(road, .keys = "id=1", .set = "v=b");
	ok(road, .keys = "id=1", .set = "v=c");
	engine_execf(engine, "UPDATE %s SET at = '2001-01-01 00:00:00.000000' WHERE id <> 2",
		     engine_pick(engine, "amend_revision", "amend.revision"));
	assert_int_equal(pruned(road, 86400, 0, false), 1);
	history(road, "id=1", "update id=1 v: b -> c\nupdate id=1 v: a -> b");
}

static void by_count(struct engine *engine)
{
	struct road *road = open_aged(engine);

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=a");
	ok(road, AMEND_CREATE, .keys = "id=2", .set = "v=a");
	ok(road, .keys = "id=1", .set = "v=b");
	ok(road, .keys = "id=1", .set = "v=c");
	/* Young ones may be a token's. */
	assert_int_equal(pruned(road, 0, 1, false), 0);
	age(engine, 4);
	assert_int_equal(pruned(road, 0, 2, true), 1);
	assert_int_equal(pruned(road, 0, 2, false), 1);
	history(road, "id=1", "update id=1 v: b -> c\nupdate id=1 v: a -> b");
	history(road, "id=2", "create id=2 id: NULL -> 2, v: NULL -> a");
	/* A record whose key has changed stays whole. */
	ok(road, .keys = "id=1", .set = "id=5");
	age(engine, 5);
	assert_int_equal(pruned(road, 0, 1, false), 0);
	history(road, "id=5",
		"update id=5 id: 1 -> 5\nupdate id=1 v: b -> c\nupdate id=1 v: a -> b");
}

static void what_is_needed_stays(struct engine *engine)
{
	struct road *road = open_aged(engine);
	struct amend_conflict_spec spec = {
		.source = "default",
		.kind = AMEND_CONFLICT_DELETED,
		.pk = "{\"id\":1}",
		.first_key = "{\"k\":\"x\"}",
	};
	const char *lease =
		"(tbl, pk, fence, digest, holder, place, since, ttl, clock, expires, wall, "
		"mandatory) VALUES ('t', '{\"id\":2}', 1, 'x', '', '', '', 1, '', 0, 0, 0)";
	int64_t id;

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=a");
	ok(road, AMEND_CREATE, .keys = "id=2", .set = "v=a");
	ok(road, AMEND_CREATE, .keys = "id=3", .set = "v=a");
	age(engine, 3);
	spec.table = road->table;
	expect_ok(amend_conflict_store(road->db, &spec, &id, &road->err), &road->err);
	engine_execf(engine, "INSERT INTO %s %s", engine_pick(engine, "amend_lease", "amend.lease"),
		     lease);
	assert_int_equal(pruned(road, 86400, 0, false), 1);
	history(road, "id=1", "create id=1 id: NULL -> 1, v: NULL -> a");
	history(road, "id=2", "create id=2 id: NULL -> 2, v: NULL -> a");
}

static void a_tokens_chain_stays(struct engine *engine)
{
	struct road *road = open_aged(engine);
	const char *token;

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=a");
	age(engine, 1);
	token = road_token(road, "id=1");
	ok(road, .keys = "id=1", .set = "v=b");
	assert_int_equal(pruned(road, 1, 1, false), 1);
	refused(AMEND_STALE, road, .keys = "id=1", .set = "v=c", .token = token);
	expect_text(road_state(road, road->result.base), "id=1 k=NULL v=a");
}

static void asked_for_nothing(struct engine *engine)
{
	struct road *road = open_aged(engine);
	struct amend_prune prune = AMEND_PRUNE_INIT;
	struct amend_pruned done;

	expect_status(AMEND_INVALID, amend_prune(road->db, &prune, &done, &road->err), &road->err);
	/* Nothing was ever recorded. */
	assert_int_equal(pruned(road, 1, 0, false), 0);
}

static const struct engine_test tests[] = {
	{"by age, and what is left is whole", by_age},
	{"only the beginning goes, though clocks step back", only_the_beginning},
	{"by count", by_count},
	{"an open conflict and a lease keep their record's history", what_is_needed_stays},
	{"a token's chain stays", a_tokens_chain_stays},
	{"neither age nor count; no ledger", asked_for_nothing},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
