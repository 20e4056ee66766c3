/*
 * Undoing a revision: fields, records that came or went, what happened since, unique values, foreign keys.
 * Leaves runs and their bases to revert_run_test.c.
 */
#include "revert.h"

static const char plain[] = "CREATE TABLE t (id integer PRIMARY KEY, k text UNIQUE, v text, w text)";

static struct road *open_plain(struct engine *engine)
{
	engine_exec(engine, plain);
	return road_open(engine, "t");
}

static void fields_go_back(struct engine *engine)
{
	struct road *road = open_plain(engine);

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "k=x, v=a");
	ok(road, .keys = "id=1", .set = "v=b, w=c");
	reverts(road, AMEND_OK, "updated t id=1 v: b -> a, w: c -> NULL", .revision = 2);
	engine_expect(engine, "SELECT * FROM t", "1|x|a|NULL");
	history(road, "id=1",
		"update id=1 v: b -> a, w: c -> NULL\nupdate id=1 v: a -> b, w: NULL -> c\n"
		"create id=1 id: NULL -> 1, k: NULL -> x, v: NULL -> a");
	/* A second time there is nothing left to undo. */
	reverts(road, AMEND_OK, "unchanged t id=1", .revision = 2);
	engine_expect(engine,
		      engine_pick(engine, "SELECT count(*) FROM amend_revision",
				  "SELECT count(*) FROM amend.revision"),
		      "3");
}

static void later_edits_of_other_fields_stay(struct engine *engine)
{
	struct road *road = open_plain(engine);

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "k=x, v=a");
	ok(road, .keys = "id=1", .set = "v=b");
	ok(road, .keys = "id=1", .set = "w=later");
	engine_exec(engine, "UPDATE t SET k = 'unseen'");
	reverts(road, AMEND_OK, "updated t id=1 v: b -> a", .revision = 2);
	engine_expect(engine, "SELECT * FROM t", "1|unseen|a|later");
}

static void later_edits_of_the_same_field_are_a_conflict(struct engine *engine)
{
	struct road *road = open_plain(engine);

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "k=x, v=a, w=1");
	ok(road, .keys = "id=1", .set = "v=b, w=2");
	ok(road, .keys = "id=1", .set = "v=c");
	reverts(road, AMEND_CONFLICT, "updated t id=1 w: 2 -> 1; edited v: b|c|a", .revision = 2);
	expect_contains(road->err.text, "1 record is in conflict");
	engine_expect(engine, "SELECT * FROM t", "1|x|c|2");
	reverts(road, AMEND_OK, "updated t id=1 w: 2 -> 1; edited v: b|c|a", .revision = 2,
		.dry_run = true);
	engine_expect(engine, "SELECT * FROM t", "1|x|c|2");
	reverts(road, AMEND_OK, "updated t id=1 w: 2 -> 1; edited v: b|c|a", .revision = 2,
		.on_conflict = AMEND_REVERT_CURRENT);
	engine_expect(engine, "SELECT * FROM t", "1|x|c|1");
	reverts(road, AMEND_OK, "updated t id=1 v: c -> a; edited v: b|c|a", .revision = 2,
		.on_conflict = AMEND_REVERT_INCOMING);
	engine_expect(engine, "SELECT * FROM t", "1|x|a|1");
	/* Edited and set back is not edited; an ignored column counts for nothing. */
	ok(road, .keys = "id=1", .set = "v=b");
	reverts(road, AMEND_OK, "updated t id=1 v: b -> a", .revision = 2);
	ok(road, .keys = "id=1", .set = "v=d");
	reverts(road, AMEND_OK, "unchanged t id=1", .revision = 2, .ignore = "v");
}

static enum amend_status two_records(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	ok(road, .keys = "id=1", .set = "v=b");
	ok(road, .keys = "id=2", .set = "v=b");
	ok(road, .keys = "id=1", .set = "v=c");
	return AMEND_OK;
}

static void one_record_is_not_its_revision(struct engine *engine)
{
	struct road *road = open_plain(engine);

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "k=x, v=a");
	ok(road, AMEND_CREATE, .keys = "id=2", .set = "k=y, v=a");
	expect_ok(road_atomic(road, two_records, road), &road->err);
	reverts(road, AMEND_OK, "updated t id=2 v: b -> a", .revision = 3, .key = "k=y");
	engine_expect(engine, "SELECT v FROM t ORDER BY id", "c\na");
	reverts(road, AMEND_OK, "updated t id=1 v: c -> a\nunchanged t id=2", .revision = 3);
	engine_expect(engine, "SELECT v FROM t ORDER BY id", "a\na");
	reverts(road, AMEND_NOT_FOUND, "", .revision = 1, .key = "id=2");
	expect_contains(road->err.text, "revision 1 changed nothing in this record");
	reverts(road, AMEND_NOT_FOUND, "", .revision = 99);
	reverts(road, AMEND_NOT_FOUND, "", .run = 99);
	reverts(road, AMEND_NOT_FOUND, "", .revision = 1, .key = "id=7");
	reverts(road, AMEND_INVALID, "", .revision = 1, .run = 1);
}

static void deleted_records_come_back(struct engine *engine)
{
	struct road *road = open_plain(engine);

	ok(road, AMEND_CREATE, .keys = "id=7", .set = "k=x, v=a");
	expect_ok(road_delete(road, ask(.keys = "id=7")), &road->err);
	reverts(road, AMEND_OK, "created t id=7 id: NULL -> 7, k: NULL -> x, v: NULL -> a",
		.revision = 2);
	engine_expect(engine, "SELECT * FROM t", "7|x|a|NULL");
	reverts(road, AMEND_OK, "unchanged t id=7", .revision = 2);
	history(road, "id=7",
		"create id=7 id: NULL -> 7, k: NULL -> x, v: NULL -> a\n"
		"delete id=7 id: 7 -> NULL, k: x -> NULL, v: a -> NULL\n"
		"create id=7 id: NULL -> 7, k: NULL -> x, v: NULL -> a");
	/* It is there, and another: not overwritten. */
	ok(road, .keys = "id=7", .set = "v=b");
	reverts(road, AMEND_CONFLICT, "skipped t id=7; exists v: NULL|b|a", .revision = 2);
	reverts(road, AMEND_OK, "skipped t id=7; exists v: NULL|b|a", .revision = 2,
		.on_conflict = AMEND_REVERT_CURRENT);
	engine_expect(engine, "SELECT v FROM t", "b");
	reverts(road, AMEND_OK, "updated t id=7 v: b -> a; exists v: NULL|b|a", .revision = 2,
		.on_conflict = AMEND_REVERT_INCOMING);
	engine_expect(engine, "SELECT * FROM t", "7|x|a|NULL");
}

static void defaults_do_not_fill_in(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, v text DEFAULT 'given')");
	engine_exec(engine, "INSERT INTO t VALUES (1, NULL)");
	road = road_open(engine, "t");
	expect_ok(road_delete(road, ask(.keys = "id=1")), &road->err);
	/* A column that is new since then. */
	engine_exec(engine, "ALTER TABLE t ADD COLUMN n integer NOT NULL DEFAULT 5");
	road_table(road, "t");
	reverts(road, AMEND_OK, NULL, .revision = 1);
	engine_expect(engine, "SELECT * FROM t", "1|NULL|5");
}

static void identity_always(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
			    "v text, twice text GENERATED ALWAYS AS (v || v) STORED)");
	road = road_open(engine, "t");
	engine_exec(engine, "INSERT INTO t (v) VALUES ('a'), ('b')");
	expect_ok(road_delete(road, ask(.keys = "id=2")), &road->err);
	reverts(road, AMEND_OK, "created t id=2 id: NULL -> 2, v: NULL -> b", .revision = 1);
	engine_expect(engine, "SELECT * FROM t ORDER BY id", "1|a|aa\n2|b|bb");
}

static void created_records_go(struct engine *engine)
{
	struct road *road = open_plain(engine);

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "k=x, v=a");
	reverts(road, AMEND_OK, "deleted t id=1 id: 1 -> NULL, k: x -> NULL, v: a -> NULL",
		.revision = 1);
	engine_expect(engine, "SELECT count(*) FROM t", "0");
	reverts(road, AMEND_OK, "unchanged t id=1", .revision = 1);
	/* The revert is undone: it comes back. And that, too. */
	reverts(road, AMEND_OK, NULL, .revision = 2);
	engine_expect(engine, "SELECT * FROM t", "1|x|a|NULL");
	reverts(road, AMEND_OK, NULL, .revision = 3);
	engine_expect(engine, "SELECT count(*) FROM t", "0");
}

static void created_records_go_only_untouched(struct engine *engine)
{
	struct road *road = open_plain(engine);

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "k=x, v=a");
	engine_exec(engine, "UPDATE t SET w = 'unseen'");
	reverts(road, AMEND_CONFLICT, "skipped t id=1; used w: NULL|unseen|NULL", .revision = 1);
	reverts(road, AMEND_OK, "skipped t id=1; used w: NULL|unseen|NULL", .revision = 1,
		.on_conflict = AMEND_REVERT_CURRENT);
	engine_expect(engine, "SELECT count(*) FROM t", "1");
	reverts(road, AMEND_OK, NULL, .revision = 1, .on_conflict = AMEND_REVERT_INCOMING);
	engine_expect(engine, "SELECT count(*) FROM t", "0");
}

/* The same id, even with the same values, is another record's now. */
static void reused_ids(struct engine *engine)
{
	struct road *road = open_plain(engine);

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=a");
	expect_ok(road_delete(road, ask(.keys = "id=1")), &road->err);
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=a");
	reverts(road, AMEND_CONFLICT,
		"skipped t id=1; used (it was deleted, and created again, since)", .revision = 1);
	reverts(road, AMEND_CONFLICT,
		"skipped t id=1; used (it was deleted, and created again, since)", .revision = 1,
		.on_conflict = AMEND_REVERT_INCOMING);
	engine_expect(engine, "SELECT count(*) FROM t", "1");
	/* One whose owner moved away belongs to who has it now. */
	ok(road, .keys = "id=1", .set = "id=5");
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=other");
	ok(road, .keys = "id=5", .set = "v=b");
	reverts(road, AMEND_OK, "updated t id=5 v: b -> a", .revision = 6);
	engine_expect(engine, "SELECT id, v FROM t ORDER BY id", "1|other\n5|a");
}

static void changed_primary_keys(struct engine *engine)
{
	struct road *road = open_plain(engine);

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=a");
	ok(road, .keys = "id=1", .set = "v=b");
	ok(road, .keys = "id=1", .set = "id=5");
	ok(road, .keys = "id=5", .set = "id=9, w=x");
	/* An edit from before the move is undone where the record is now. */
	reverts(road, AMEND_OK, "updated t id=9 v: b -> a", .revision = 2);
	/* The move itself, though it has moved on since: another value of the same field. */
	reverts(road, AMEND_CONFLICT, "skipped t id=9; edited id: 5|9|1", .revision = 3);
	reverts(road, AMEND_OK, "updated t id=9 id: 9 -> 5, w: x -> NULL", .revision = 4);
	reverts(road, AMEND_OK, "updated t id=5 id: 5 -> 1", .revision = 3);
	engine_expect(engine, "SELECT * FROM t", "1|NULL|a|NULL");
	history(road, "id=1",
		"update id=1 id: 5 -> 1\nupdate id=5 id: 9 -> 5, w: x -> NULL\n"
		"update id=9 v: b -> a\nupdate id=9 id: 5 -> 9, w: NULL -> x\n"
		"update id=5 id: 1 -> 5\nupdate id=1 v: a -> b\n"
		"create id=1 id: NULL -> 1, v: NULL -> a");
}

static void gone_since(struct engine *engine)
{
	struct road *road = open_plain(engine);

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=a");
	ok(road, .keys = "id=1", .set = "v=b");
	expect_ok(road_delete(road, ask(.keys = "id=1")), &road->err);
	reverts(road, AMEND_CONFLICT, "skipped t id=1; gone (the record was deleted since)",
		.revision = 2);
	reverts(road, AMEND_CONFLICT, NULL, .revision = 2, .on_conflict = AMEND_REVERT_INCOMING);
	reverts(road, AMEND_OK, NULL, .revision = 2, .on_conflict = AMEND_REVERT_CURRENT);
	/* Deleted and restored it is the same record. */
	reverts(road, AMEND_OK, NULL, .revision = 3);
	reverts(road, AMEND_OK, "updated t id=1 v: b -> a", .revision = 2);
}

static enum amend_status three_slugs(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	ok(road, .keys = "id=1", .set = "k=new1, v=b");
	ok(road, .keys = "id=2", .set = "k=new2, v=b");
	ok(road, .keys = "id=3", .set = "k=new3, v=b");
	return AMEND_OK;
}

/* All of them are told, not the first. */
static void unique_values_taken_meanwhile(struct engine *engine)
{
	struct road *road = open_plain(engine);
	static const char expected[] =
		"updated t id=1 k: new1 -> x1, v: b -> a; taken k: new1|new1|x1 (k=x1 is taken by "
		"{\"id\":11})\n"
		"updated t id=2 k: new2 -> x2, v: b -> a\n"
		"updated t id=3 k: new3 -> x3, v: b -> a; taken k: new3|new3|x3 (k=x3 is taken by "
		"{\"id\":13})";

	engine_exec(engine, "INSERT INTO t VALUES (1, 'x1', 'a', NULL), (2, 'x2', 'a', NULL), "
			    "(3, 'x3', 'a', NULL)");
	expect_ok(road_atomic(road, three_slugs, road), &road->err);
	engine_exec(engine, "INSERT INTO t VALUES (11, 'x1', 'n', NULL), (13, 'x3', 'n', NULL)");
	reverts(road, AMEND_CONFLICT, expected, .revision = 1);
	engine_expect(engine, "SELECT k FROM t ORDER BY id", "new1\nnew2\nnew3\nx1\nx3");
	/* There is no way to overwrite another record's value. */
	reverts(road, AMEND_CONFLICT, expected, .revision = 1, .on_conflict = AMEND_REVERT_INCOMING);
	reverts(road, AMEND_OK, NULL, .revision = 1, .on_conflict = AMEND_REVERT_CURRENT);
	engine_expect(engine, "SELECT k, v FROM t ORDER BY id", "new1|a\nx2|a\nnew3|a\nx1|n\nx3|n");
	/* And of a record that is to come back. */
	expect_ok(road_delete(road, ask(.keys = "id=2")), &road->err);
	engine_exec(engine, "INSERT INTO t VALUES (12, 'x2', 'n', NULL)");
	reverts(road, AMEND_CONFLICT, NULL, .revision = 3);
	expect_contains(road->err.text, "1 record is in conflict");
	reverts(road, AMEND_OK,
		"skipped t id=2; taken k: NULL|NULL|x2 (k=x2 is taken by {\"id\":12})",
		.revision = 3, .on_conflict = AMEND_REVERT_CURRENT);
}

static enum amend_status swap(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	ok(road, .keys = "id=1", .set = "k=~");
	ok(road, .keys = "id=2", .set = "k=a");
	ok(road, .keys = "id=1", .set = "k=b");
	return AMEND_OK;
}

static void swapped_unique_values(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, k text NOT NULL UNIQUE)");
	engine_exec(engine, "INSERT INTO t VALUES (1, 'a'), (2, 'b')");
	road = road_open(engine, "t");
	expect_ok(road_atomic(road, swap, road), &road->err);
	engine_expect(engine, "SELECT k FROM t ORDER BY id", "b\na");
	reverts(road, AMEND_OK, "updated t id=1 k: b -> a\nupdated t id=2 k: a -> b", .revision = 1);
	engine_expect(engine, "SELECT k FROM t ORDER BY id", "a\nb");
	/* History has none of the values in between. */
	history(road, "id=1", "update id=1 k: b -> a\nupdate id=1 k: ~ -> b\nupdate id=1 k: a -> ~");
	reverts(road, AMEND_OK, NULL, .revision = 2);
	engine_expect(engine, "SELECT k FROM t ORDER BY id", "b\na");
}

/* A key of several columns, of which but one changes, and the other may be NULL. */
static enum amend_status swap_pair(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	ok(road, .keys = "id=1", .set = "b=9");
	ok(road, .keys = "id=2", .set = "b=1");
	ok(road, .keys = "id=1", .set = "b=2");
	return AMEND_OK;
}

static void swapped_keys_of_two_columns(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, a integer, b integer NOT NULL, "
			    "UNIQUE (a, b))");
	engine_exec(engine, "INSERT INTO t VALUES (1, 5, 1), (2, 5, 2)");
	road = road_open(engine, "t");
	expect_ok(road_atomic(road, swap_pair, road), &road->err);
	reverts(road, AMEND_OK, NULL, .revision = 1);
	engine_expect(engine, "SELECT a, b FROM t ORDER BY id", "5|1\n5|2");
}

static enum amend_status replace(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	expect_ok(road_delete(road, ask(.keys = "id=1")), &road->err);
	ok(road, AMEND_CREATE, .keys = "id=2", .set = "k=x, v=new");
	return AMEND_OK;
}

static void a_value_passes_from_one_to_another(struct engine *engine)
{
	struct road *road = open_plain(engine);

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "k=x, v=old");
	expect_ok(road_atomic(road, replace, road), &road->err);
	reverts(road, AMEND_OK,
		"created t id=1 id: NULL -> 1, k: NULL -> x, v: NULL -> old\n"
		"deleted t id=2 id: 2 -> NULL, k: x -> NULL, v: new -> NULL",
		.revision = 2);
	engine_expect(engine, "SELECT * FROM t", "1|x|old|NULL");
	history(road, "id=2",
		"delete id=2 id: 2 -> NULL, k: x -> NULL, v: new -> NULL\n"
		"create id=2 id: NULL -> 2, k: NULL -> x, v: NULL -> new");
}

static enum amend_status recreate(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	expect_ok(road_delete(road, ask(.keys = "id=1")), &road->err);
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "k=x, w=new");
	ok(road, AMEND_CREATE, .keys = "id=2", .set = "v=short");
	expect_ok(road_delete(road, ask(.keys = "id=2")), &road->err);
	return AMEND_OK;
}

static void several_changes_of_one_record(struct engine *engine)
{
	struct road *road = open_plain(engine);

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "k=x, v=old");
	expect_ok(road_atomic(road, recreate, road), &road->err);
	reverts(road, AMEND_OK, "updated t id=1 v: NULL -> old, w: new -> NULL\nunchanged t id=2",
		.revision = 2);
	engine_expect(engine, "SELECT * FROM t", "1|x|old|NULL");
}

static enum amend_status family(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	road_table(road, "parent");
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "name=root");
	ok(road, AMEND_CREATE, .keys = "id=2", .set = "name=leaf, up=1");
	ok(road, AMEND_CREATE, .keys = "id=0", .set = "name=twig, up=2");
	road_table(road, "child");
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "parent=2");
	return AMEND_OK;
}

/* What the revert itself puts right is nothing that the database would refuse. */
static void refuses_nothing(struct road *road, int64_t revision)
{
	struct amend_revert_report report;
	enum amend_status status;

	(void)road_revert(road, &(const struct asked_revert){.revision = revision, .dry_run = true},
			  &status, &report);
	expect_ok(status, &road->err);
	assert_int_equal(report.refused, 0);
}

/* Written parents first and children first, whatever order the ids are in. */
static void foreign_keys(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE parent (id integer PRIMARY KEY, name text, up integer "
			    "REFERENCES parent (id))");
	engine_exec(engine, "CREATE TABLE child (id integer PRIMARY KEY, parent integer NOT NULL "
			    "REFERENCES parent (id))");
	road = road_open(engine, "child");
	connect_exec(engine, road->db, engine_pick(engine, "PRAGMA foreign_keys = ON", "SELECT 1"));
	expect_ok(road_atomic(road, family, road), &road->err);
	refuses_nothing(road, 1);
	reverts(road, AMEND_OK, NULL, .revision = 1);
	engine_expect(engine, "SELECT count(*) FROM parent", "0");
	refuses_nothing(road, 2);
	reverts(road, AMEND_OK, NULL, .revision = 2);
	engine_expect(engine, "SELECT id, up FROM parent ORDER BY id", "0|2\n1|NULL\n2|1");
	engine_expect(engine, "SELECT id, parent FROM child", "1|2");
	/* Another program's child: the database refuses, and nothing is half undone. */
	engine_exec(engine, "INSERT INTO child VALUES (9, 2)");
	reverts(road, AMEND_CONSTRAINT, NULL, .revision = 3);
	engine_expect(engine, "SELECT count(*) FROM child", "2");
	engine_expect(engine, "SELECT count(*) FROM parent", "3");
}

static void version_columns(struct engine *engine)
{
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE t (id integer PRIMARY KEY, v text, version integer NOT NULL "
		    "DEFAULT 1)");
	road = road_open(engine, "t");
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=a");
	ok(road, .keys = "id=1", .set = "v=b");
	ok(road, .keys = "id=1", .set = "v=b2");
	ok(road, .keys = "id=1", .set = "v=b");
	/* It moves on, never back. */
	reverts(road, AMEND_OK, NULL, .revision = 2);
	engine_expect(engine, "SELECT v, version FROM t", "a|5");
	expect_ok(road_delete(road, ask(.keys = "id=1")), &road->err);
	reverts(road, AMEND_OK, NULL, .revision = 6);
	engine_expect(engine, "SELECT v, version FROM t", "a|6");
	/* Who saw it before must not overwrite it: and its moves do not count as edits. */
	reverts(road, AMEND_CONFLICT, NULL, .revision = 1);
	reverts(road, AMEND_OK, NULL, .revision = 7);
	engine_expect(engine, "SELECT count(*) FROM t", "0");
}

static bool edit_meanwhile(const struct amend_revert_report *report, void *context)
{
	struct road *road = context;

	assert_int_equal(report->updated, 1);
	assert_int_equal(report->revision, 0);
	engine_exec(road->engine, "UPDATE t SET v = 'meanwhile'");
	return true;
}

static bool edit_elsewhere(const struct amend_revert_report *report, void *context)
{
	struct road *road = context;

	(void)report;
	engine_exec(road->engine, "UPDATE t SET w = 'elsewhere'");
	return true;
}

static bool no(const struct amend_revert_report *report, void *context)
{
	(void)report, (void)context;
	return false;
}

/* Nothing is held while somebody thinks; what is done is what was shown. */
static void shown_first(struct engine *engine)
{
	struct road *road = open_plain(engine);

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=a");
	ok(road, .keys = "id=1", .set = "v=b");
	reverts(road, AMEND_INTERRUPTED, "updated t id=1 v: b -> a", .revision = 2, .confirm = no);
	engine_expect(engine, "SELECT v FROM t", "b");
	reverts(road, AMEND_OK, "updated t id=1 v: b -> a", .revision = 2,
		.confirm = edit_elsewhere);
	engine_expect(engine, "SELECT v, w FROM t", "a|elsewhere");
	ok(road, .keys = "id=1", .set = "v=b");
	reverts(road, AMEND_STALE, "updated t id=1 v: b -> a", .revision = 2,
		.confirm = edit_meanwhile);
	engine_expect(engine, "SELECT v FROM t", "meanwhile");
}

static void dropped_columns(struct engine *engine)
{
	struct road *road = open_plain(engine);

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=a, w=a");
	ok(road, .keys = "id=1", .set = "v=b, w=b");
	engine_exec(engine, "ALTER TABLE t DROP COLUMN w");
	reverts(road, AMEND_CONFLICT,
		"updated t id=1 v: b -> a; no_field w: b|NULL|a (the table has no such column any "
		"more)",
		.revision = 2);
	reverts(road, AMEND_OK, NULL, .revision = 2, .on_conflict = AMEND_REVERT_CURRENT);
	engine_expect(engine, "SELECT v FROM t", "a");
	engine_exec(engine, "DROP TABLE t");
	reverts(road, AMEND_NOT_FOUND, "", .revision = 2);
	expect_contains(road->err.text, "a change of t cannot be undone");
}

static void without_a_primary_key(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (k text, v text)");
	engine_exec(engine, "INSERT INTO t VALUES ('x', 'a'), ('y', 'a')");
	road = road_open(engine, "t");
	ok(road, .keys = "k=y", .set = "v=b");
	reverts(road, AMEND_OK, "updated t rowid=2 v: b -> a", .revision = 1);
	engine_expect(engine, "SELECT * FROM t ORDER BY k", "x|a\ny|a");
}

static enum amend_status change_both(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	ok(road, .keys = "id=1", .set = "v=b");
	ok(road, .keys = "id=2", .set = "v=b");
	return AMEND_OK;
}

/* MariaDB: nobody writes it, and it gets another value with each change. */
static void column_follows_the_clock(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, v text, moved timestamp(6) NOT "
			    "NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6))");
	engine_exec(engine, "INSERT INTO t (id, v) VALUES (1, 'a'), (2, 'a')");
	road = road_open(engine, "t");
	expect_ok(road_atomic(road, change_both, road), &road->err);
	reverts(road, AMEND_OK, NULL, .revision = 1, .ignore = "moved");
	engine_expect(engine, "SELECT v FROM t ORDER BY id", "a\na");
	for (int id = 1; id <= 2; id++) {
		const char *key = engine_printf(engine, "id=%d", id);
		const char *moved = engine_scalar(
			engine, engine_printf(engine, "SELECT moved FROM t WHERE %s", key));

		expect_contains(road_history(road, key),
				engine_printf(engine, " -> %s\nupdate %s v: a -> b", moved, key));
	}
}

static const struct engine_test tests[] = {
	{"a revision's fields go back, as a revision", fields_go_back},
	{"later edits of other fields stay", later_edits_of_other_fields_stay},
	{"later edits of the same field are a conflict",
	 later_edits_of_the_same_field_are_a_conflict},
	{"reverting one record does not revert its whole revision", one_record_is_not_its_revision},
	{"deleted records come back with their key", deleted_records_come_back},
	{"defaults do not fill in what was NULL", defaults_do_not_fill_in},
	{"a key that only the database writes comes back", identity_always, .only = "postgresql"},
	{"a column that takes the time of each change has it in history", column_follows_the_clock,
	 .only = "mariadb"},
	{"created records go, and a revert is reverted", created_records_go},
	{"created records go only untouched", created_records_go_only_untouched},
	{"an id that is used again is another record's", reused_ids},
	{"a changed primary key keeps a correct history", changed_primary_keys},
	{"a record that was deleted since", gone_since},
	{"unique values taken meanwhile are shown, all of them", unique_values_taken_meanwhile},
	{"swapped unique values", swapped_unique_values},
	{"swapped keys of two columns", swapped_keys_of_two_columns},
	{"a unique value passes from one record to another", a_value_passes_from_one_to_another},
	{"several changes of one record in one revision", several_changes_of_one_record},
	{"foreign keys: parents first, children first", foreign_keys},
	{"version columns only move on", version_columns},
	{"shown first, nothing held, and done as shown", shown_first},
	{"dropped columns and tables", dropped_columns},
	{"without a primary key", without_a_primary_key, .only = "sqlite"},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
