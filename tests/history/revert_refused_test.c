/*
 * Reverts that the database refuses, or would: all that is in the way, of each record. And records of others
 * that would go, or change, with those that a revert, or a deletion, removes: nobody's work is lost unseen.
 * Leaves what is in the way of single writes to tests/record/violations_test.c.
 */
#include "revert.h"

/* Its description is read with foreign keys enforced: without them nothing goes with anything. */
static struct road *open_enforced(struct engine *engine, const char *table)
{
	struct road *road = road_open(engine, NULL);

	connect_exec(engine, road->db, engine_pick(engine, "PRAGMA foreign_keys = ON", "SELECT 1"));
	road_table(road, table);
	return road;
}

/* --- what the database refuses --- */

static struct road *open_lamps(struct engine *engine, const char *deferred)
{
	struct road *road;

	engine_execf(
		engine,
		"CREATE TABLE maker (id integer PRIMARY KEY, name text); "
		"INSERT INTO maker VALUES (5, 'Flos'); "
		"CREATE TABLE lamp (id integer PRIMARY KEY, name text, qty integer, most integer, "
		"maker integer REFERENCES maker (id)%s, CONSTRAINT few CHECK (qty < most)); "
		"CREATE UNIQUE INDEX lamp_name ON lamp (lower(name))",
		deferred);
	road = open_enforced(engine, "lamp");
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "name=arco, qty=20, most=30, maker=5");
	ok(road, .keys = "id=1", .set = "name=bohr, qty=1, maker=NULL");
	return road;
}

static void all_that_is_refused(struct engine *engine)
{
	static const char shown[] =
		"updated lamp id=1 name: bohr -> arco, qty: 1 -> 20, maker: NULL -> 5"
		"; refused check qty,most; refused unique name"
		"; refused missing_parent maker";
	struct road *road = open_lamps(engine, "");
	struct amend_revert_report report;
	enum amend_status status;

	engine_exec(engine, "DELETE FROM maker; INSERT INTO lamp VALUES (2, 'ARCO', 1, 2, NULL); "
			    "UPDATE lamp SET most = 10 WHERE id = 1");
	(void)road_revert(road, &(const struct asked_revert){.revision = 2, .dry_run = true},
			  &status, &report);
	expect_ok(status, &road->err);
	assert_int_equal(report.refused, 1);
	assert_int_equal(report.updated, 0);
	reverts(road, AMEND_OK, shown, .revision = 2, .dry_run = true);
	reverts(road, AMEND_CONSTRAINT, shown, .revision = 2);
	engine_expect(engine, "SELECT * FROM lamp WHERE id = 1", "1|bohr|1|10|NULL");
	/* Mended, one after another. */
	engine_exec(engine, "INSERT INTO maker VALUES (5, 'Flos'); DELETE FROM lamp WHERE id = 2");
	reverts(road, AMEND_CONSTRAINT,
		"updated lamp id=1 name: bohr -> arco, qty: 1 -> 20, maker: NULL -> 5"
		"; refused check qty,most",
		.revision = 2);
	engine_exec(engine, "UPDATE lamp SET most = 30 WHERE id = 1");
	reverts(road, AMEND_OK,
		"updated lamp id=1 name: bohr -> arco, qty: 1 -> 20, maker: NULL -> 5",
		.revision = 2);
}

/* Only COMMIT finds it. */
static void deferred(struct engine *engine)
{
	struct road *road = open_lamps(engine, " DEFERRABLE INITIALLY DEFERRED");

	engine_exec(engine, "DELETE FROM maker; UPDATE lamp SET most = 30 WHERE id = 1");
	reverts(road, AMEND_CONSTRAINT,
		"updated lamp id=1 name: bohr -> arco, qty: 1 -> 20, maker: NULL -> 5"
		"; refused missing_parent maker",
		.revision = 2);
	engine_expect(engine, "SELECT * FROM lamp WHERE id = 1", "1|bohr|1|30|NULL");
	/* Of a save likewise. */
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "maker=7");
	assert_int_equal(road->result.n_violations, 1);
	assert_int_equal(road->result.violations[0].kind, AMEND_VIOLATES_PARENT);
}

static enum amend_status several(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db;
	for (int i = 1; i <= 3; i++) {
		const char *keys = engine_printf(road->engine, "id=%d", i);

		if (road_write(road, ask(.keys = keys, .set = "qty=1")) != AMEND_OK) {
			*err = road->err;
			return err->status;
		}
	}
	return AMEND_OK;
}

/* Those alone that are to blame. */
static void several_records(struct engine *engine)
{
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE t (id integer PRIMARY KEY, qty integer, most integer, "
		    "CHECK (qty < most)); INSERT INTO t VALUES (1, 5, 9), (2, 6, 9), (3, 7, 9)");
	road = road_open(engine, "t");
	expect_ok(road_atomic(road, several, road), &road->err);
	engine_exec(engine, "UPDATE t SET most = 2 WHERE id <> 2");
	reverts(road, AMEND_CONSTRAINT,
		"updated t id=1 qty: 1 -> 5; refused check qty,most\n"
		"updated t id=3 qty: 1 -> 7; refused check qty,most",
		.revision = 1);
	engine_expect(engine, "SELECT sum(qty) FROM t", "3");
}

/* --- what goes with others --- */

static struct road *open_orders(struct engine *engine, const char *action)
{
	struct road *road;

	engine_execf(engine,
		     "CREATE TABLE customer (id integer PRIMARY KEY, name text); "
		     "CREATE TABLE orders (id integer PRIMARY KEY, customer integer DEFAULT 1 "
		     "REFERENCES customer (id) ON DELETE %s, v integer NOT NULL DEFAULT 1)",
		     action);
	road = open_enforced(engine, "customer");
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "name=ada");
	ok(road, AMEND_CREATE, .keys = "id=2", .set = "name=bob");
	return road;
}

#define ORDERS "SELECT id, customer FROM orders ORDER BY id"

static void children_of_a_creation(struct engine *engine)
{
	struct road *road = open_orders(engine, "CASCADE");
	static const char shown[] =
		"skipped customer id=2; used (4 records of orders refer to it, and "
		"would be deleted with it: {\"id\":5}, {\"id\":6}, {\"id\":7}, ...; "
		"nothing would record that)";

	engine_exec(
		engine,
		"INSERT INTO orders (id, customer) VALUES (5, 2), (6, 2), (7, 2), (8, 2), (9, 1)");
	reverts(road, AMEND_OK, shown, .revision = 2, .dry_run = true);
	reverts(road, AMEND_CONFLICT, shown, .revision = 2);
	expect_contains(road->err.text, "1 record is in conflict");
	reverts(road, AMEND_CONFLICT, shown, .revision = 2, .on_conflict = AMEND_REVERT_INCOMING);
	reverts(road, AMEND_OK, shown, .revision = 2, .on_conflict = AMEND_REVERT_CURRENT);
	engine_expect(engine, ORDERS, "5|2\n6|2\n7|2\n8|2\n9|1");
	engine_exec(engine, "DELETE FROM orders WHERE customer = 2");
	reverts(road, AMEND_OK, "deleted customer id=2 id: 2 -> NULL, name: bob -> NULL",
		.revision = 2);
	engine_expect(engine, ORDERS, "9|1");
}

static void would_change(struct engine *engine, const char *action)
{
	struct road *road = open_orders(engine, action);

	engine_exec(engine, "INSERT INTO orders (id, customer) VALUES (5, 2)");
	reverts(road, AMEND_CONFLICT,
		"skipped customer id=2; used (1 record of orders refers to it, and would be changed "
		"with it: {\"id\":5}; nothing would record that)",
		.revision = 2);
	expect_status(AMEND_CONSTRAINT, road_delete(road, ask(.keys = "id=2")), &road->err);
	expect_contains(road->err.text, "1 record of orders refers to it, and would be changed with "
					"it: {\"id\":5}");
	engine_expect(engine, ORDERS, "5|2");
}

static void children_set_null(struct engine *engine)
{
	would_change(engine, "SET NULL");
}

static void children_set_default(struct engine *engine)
{
	would_change(engine, "SET DEFAULT");
}

static void children_of_a_deletion(struct engine *engine)
{
	struct road *road = open_orders(engine, "CASCADE");

	engine_exec(engine, "INSERT INTO orders (id, customer) VALUES (5, 2)");
	expect_status(AMEND_CONSTRAINT, road_delete(road, ask(.keys = "id=2")), &road->err);
	expect_contains(
		road->err.text,
		"customer {\"id\":2} is not deleted: 1 record of orders refers to it, and "
		"would be deleted with it: {\"id\":5}; nothing would record that (hint: see to "
		"them first");
	expect_contains(road->err.text,
			engine_pick3(engine, "first, or have `amend guard --history` record",
				     "first, or have `amend guard --history` record", "first)"));
	engine_expect(engine, ORDERS, "5|2");
	expect_ok(road_delete(road, ask(.keys = "id=1")), &road->err);
	engine_exec(engine, "DELETE FROM orders");
	expect_ok(road_delete(road, ask(.keys = "id=2")), &road->err);
}

/* The triggers of a guarded table record what becomes of its rows: in the same revision, which brings them back. */
static void recorded_children(struct engine *engine)
{
	struct road *road = open_orders(engine, "CASCADE");
	struct amend_guard_options options = AMEND_GUARD_OPTIONS_INIT;

	options.version_column = "v";
	options.history = true;
	expect_ok(amend_guard(road->db, "orders", &options, NULL, &road->err), &road->err);
	engine_exec(engine, "INSERT INTO orders (id, customer) VALUES (5, 2), (6, 1), (7, 2)");
	expect_ok(road_delete(road, ask(.keys = "id=2")), &road->err);
	engine_expect(engine, ORDERS, "6|1");
	reverts(road, AMEND_OK, NULL, .revision = road->result.revision);
	engine_expect(engine, ORDERS, "5|2\n6|1\n7|2");
	engine_expect(engine, "SELECT id FROM customer ORDER BY id", "1\n2");
	/* Of a creation they are somebody's work all the same. */
	reverts(road, AMEND_CONFLICT,
		"skipped customer id=1; used (1 record of orders refers to it, and would be deleted "
		"with it: {\"id\":6})",
		.revision = 1);
	reverts(road, AMEND_OK, NULL, .revision = 1, .on_conflict = AMEND_REVERT_INCOMING);
	engine_expect(engine, ORDERS, "5|2\n7|2");
}

enum { MANY = 1005 }; /* more than are looked at in one go */

static enum amend_status import_many(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;
	enum amend_status status = AMEND_OK;

	(void)db;
	road_table(road, "node");
	for (int id = 1; id <= MANY && status == AMEND_OK; id++)
		status = road_write(road, ask(.mode = AMEND_CREATE,
					      .keys = engine_printf(road->engine, "id=%d", id),
					      .set = id == 1 ? "up=NULL" : "up=1"));
	*err = road->err;
	return status;
}

/* Of those that refer to a record very many go anyway: the one behind them is somebody's. */
static void one_behind_many(struct engine *engine)
{
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE node (id integer PRIMARY KEY, up integer REFERENCES node (id) "
		    "ON DELETE CASCADE)");
	road = open_enforced(engine, "node");
	expect_ok(road_atomic(road, import_many, road), &road->err);
	engine_exec(engine, "INSERT INTO node VALUES (5000, 1)");
	reverts(road, AMEND_CONFLICT, NULL, .revision = 1);
	engine_expect(engine, "SELECT count(*) FROM node", "1006");
	reverts(road, AMEND_OK, NULL, .revision = 1, .on_conflict = AMEND_REVERT_CURRENT);
	engine_expect(engine, "SELECT id, up FROM node ORDER BY id", "1|NULL\n5000|1");
}

/* Two guarded tables that refer to each other: all that goes is recorded, however far round. */
static void a_recorded_circle(struct engine *engine)
{
	struct amend_guard_options options = AMEND_GUARD_OPTIONS_INIT;
	struct road *road;

	engine_exec(
		engine,
		engine_pick(
			engine,
			"CREATE TABLE a (id integer PRIMARY KEY, b integer REFERENCES b (id) ON DELETE CASCADE); "
			"CREATE TABLE b (id integer PRIMARY KEY, a integer REFERENCES a (id) ON DELETE CASCADE)",
			"CREATE TABLE a (id integer PRIMARY KEY, b integer); "
			"CREATE TABLE b (id integer PRIMARY KEY, a integer REFERENCES a (id) ON DELETE CASCADE); "
			"ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b (id) ON DELETE CASCADE"));
	road = open_enforced(engine, "a");
	options.history = true;
	expect_ok(amend_guard(road->db, "a", &options, NULL, &road->err), &road->err);
	expect_ok(amend_guard(road->db, "b", &options, NULL, &road->err), &road->err);
	road_table(road, "a");
	engine_exec(engine, "INSERT INTO a (id) VALUES (1)");
	engine_exec(engine, "INSERT INTO b (id, a) VALUES (1, 1)");
	engine_exec(engine, "INSERT INTO a (id, b) VALUES (2, 1)");
	expect_ok(road_delete(road, ask(.keys = "id=1")), &road->err);
	engine_expect(engine, "SELECT (SELECT count(*) FROM a) + (SELECT count(*) FROM b)", "0");
	engine_expect(
		engine,
		engine_printf(
			engine,
			"SELECT count(*) FROM %schange WHERE op = 'delete' AND revision = %lld",
			engine_pick(engine, "amend_", "amend."), (long long)road->result.revision),
		"3");
}

/* By its own name a partition has those that refer to the whole. */
static void children_of_a_partition(struct engine *engine)
{
	struct road *road;

	engine_exec(
		engine,
		"CREATE TABLE customer (id integer PRIMARY KEY, name text) PARTITION BY RANGE (id); "
		"CREATE TABLE few PARTITION OF customer FOR VALUES FROM (0) TO (100); "
		"CREATE TABLE orders (id integer PRIMARY KEY, customer integer REFERENCES customer (id) "
		"ON DELETE CASCADE); "
		"INSERT INTO customer VALUES (1, 'ada'); INSERT INTO orders VALUES (5, 1)");
	road = open_enforced(engine, "few");
	expect_status(AMEND_CONSTRAINT, road_delete(road, ask(.keys = "id=1")), &road->err);
	road_table(road, "customer");
	expect_status(AMEND_CONSTRAINT, road_delete(road, ask(.keys = "id=1")), &road->err);
	engine_expect(engine, "SELECT id, customer FROM orders", "5|1");
}

static enum amend_status import(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db;
	road_table(road, "node");
	if (road_write(road, ask(.mode = AMEND_CREATE, .keys = "id=1", .set = "up=NULL")) !=
		    AMEND_OK ||
	    road_write(road, ask(.mode = AMEND_CREATE, .keys = "id=2", .set = "up=1")) != AMEND_OK ||
	    road_write(road, ask(.mode = AMEND_CREATE, .keys = "id=3", .set = "up=2")) != AMEND_OK) {
		*err = road->err;
		return err->status;
	}
	return AMEND_OK;
}

/* What the revert removes as well is in nobody's way; what stays keeps those that it refers to. */
static void a_tree(struct engine *engine)
{
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE node (id integer PRIMARY KEY, up integer REFERENCES node (id) "
		    "ON DELETE CASCADE, note text)");
	road = open_enforced(engine, "node");
	expect_ok(road_atomic(road, import, road), &road->err);
	expect_status(AMEND_CONSTRAINT, road_delete(road, ask(.keys = "id=2")), &road->err);
	engine_exec(engine, "UPDATE node SET note = 'mine' WHERE id = 3");
	/* 3 was edited, so that it stays; for its sake 2, and for its sake 1. */
	reverts(road, AMEND_OK, NULL, .revision = 1, .on_conflict = AMEND_REVERT_CURRENT);
	engine_expect(engine, "SELECT count(*) FROM node", "3");
	engine_exec(engine, "UPDATE node SET note = NULL");
	reverts(road, AMEND_OK, NULL, .revision = 1);
	engine_expect(engine, "SELECT count(*) FROM node", "0");
}

/* Their table has no key: they are counted. */
static void nameless_children(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE a (id integer PRIMARY KEY); "
			    "CREATE TABLE b (a integer REFERENCES a (id) ON DELETE CASCADE)");
	road = open_enforced(engine, "a");
	ok(road, AMEND_CREATE, .keys = "id=1");
	engine_exec(engine, "INSERT INTO b VALUES (1), (1)");
	expect_status(AMEND_CONSTRAINT, road_delete(road, ask(.keys = "id=1")), &road->err);
	expect_contains(road->err.text, "2 records of b refer to it, and would be deleted with it");
	engine_expect(engine, "SELECT count(*) FROM b", "2");
}

static const struct engine_test tests[] = {
	{"what the database would refuse is listed first, and after it has: all of it",
	 all_that_is_refused, .not_on = "mariadb"},
	{"what only COMMIT refuses is listed", deferred, .not_on = "mariadb"},
	{"those records are listed that are to blame", several_records, .not_on = "mariadb"},
	{"children that would go with a reverted creation are a conflict", children_of_a_creation},
	{"children that would lose it too, and with a deletion", children_set_null},
	{"children that would get another one too, and with a deletion", children_set_default,
	 .not_on = "mariadb"},
	{"children that would go with a deletion, unrecorded: it is refused",
	 children_of_a_deletion},
	{"children that are recorded go with it, and come back with it", recorded_children,
	 .not_on = "mariadb"},
	{"a tree goes as a whole, or what stays keeps what it refers to", a_tree},
	{"one that stays behind a thousand that go", one_behind_many},
	{"two guarded tables that refer to each other", a_recorded_circle, .not_on = "mariadb"},
	{"who refers to a partitioned table refers to its partitions", children_of_a_partition,
	 .only = "postgresql"},
	{"children that nothing names", nameless_children, .only = "postgresql"},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
