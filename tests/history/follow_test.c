/*
 * Values that others refer to by foreign keys ON UPDATE CASCADE, SET NULL, SET DEFAULT. What follows still refers to
 * its record; what would lose it unseen is refused, on each way by which a record is written, or recorded.
 * Leaves what goes with a deletion to revert_refused_test.c.
 */
#include <amend/guard.h>

#include "feed.h"
#include "sync/source.h"

#undef refused /* the road's is used here */
#include "revert.h"

/* When a write begins counts, not when the table was opened. */
static void enforce(struct road *road, bool on)
{
	connect_exec(road->engine, road->db,
		     engine_pick(road->engine,
				 on ? "PRAGMA foreign_keys = ON" : "PRAGMA foreign_keys = OFF",
				 "SELECT 1"));
}

static void make(struct engine *engine, const char *action)
{
	engine_execf(engine,
		     "CREATE TABLE country (id integer PRIMARY KEY, code text UNIQUE, name text, "
		     "n integer UNIQUE); "
		     "INSERT INTO country VALUES (1, 'FR', 'France', 10), (2, 'IT', 'Italy', 20), "
		     "(3, 'XX', 'none', 30); "
		     "CREATE TABLE city (id integer PRIMARY KEY, country text DEFAULT 'XX' "
		     "REFERENCES country (code) ON UPDATE %s, n integer REFERENCES country (n) "
		     "ON UPDATE %s, v integer NOT NULL DEFAULT 1)",
		     action, action);
}

static struct road *open_countries(struct engine *engine, const char *action)
{
	struct road *road;

	make(engine, action);
	road = road_open(engine, "country");
	enforce(road, true);
	return road;
}

#define CITIES "SELECT id, country FROM city ORDER BY id"

static const char would_be[] =
	"country {\"id\":1} is not changed: 1 record of city refers to it, and "
	"would be changed with it: {\"id\":5}; nothing would record that (hint: ";

static void refused_while_referred_to(struct engine *engine, const char *action)
{
	struct road *road = open_countries(engine, action);

	/* The second is a guess where the engine takes one statement for it. */
	ok(road, .keys = "id=1", .set = "code=F1");
	ok(road, .keys = "id=1", .set = "code=F2");
	engine_exec(engine, "INSERT INTO city (id, country) VALUES (5, 'F2'), (6, 'IT')");
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "code=F3");
	expect_contains(road->err.text, would_be);
	refused(AMEND_CONSTRAINT, road, .keys = "code=F2", .set = "code=F3");
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "code=F3, name=La France");
	/* What others do not refer to, and what stays. */
	ok(road, .keys = "id=1", .set = "code=F2, name=La France");
	said(road, "updated name: France -> La France");
	engine_expect(engine, CITIES, "5|F2\n6|IT");
	engine_exec(engine, "DELETE FROM city WHERE id = 5");
	ok(road, .keys = "id=1", .set = "code=FR");
	said(road, "updated code: F2 -> FR");
	engine_expect(engine, CITIES, "6|IT");
}

/* It refers to what it did: history has the value, and a revert takes it along again. */
static void cascade(struct engine *engine)
{
	struct road *road = open_countries(engine, "CASCADE");

	engine_exec(engine, "INSERT INTO city (id, country) VALUES (5, 'FR'), (6, 'IT')");
	ok(road, .keys = "id=1", .set = "code=F1, name=La France");
	engine_expect(engine, CITIES, "5|F1\n6|IT");
	reverts(road, AMEND_OK, NULL, .revision = road->result.revision);
	engine_expect(engine, CITIES, "5|FR\n6|IT");
	/* But nothing refers to NULL. */
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "code=NULL");
	expect_contains(road->err.text, would_be);
	engine_expect(engine, CITIES, "5|FR\n6|IT");
}

static void set_null(struct engine *engine)
{
	refused_while_referred_to(engine, "SET NULL");
}

static void set_default(struct engine *engine)
{
	refused_while_referred_to(engine, "SET DEFAULT");
}

/* What the database refuses by itself says so itself; and costs nothing more than before. */
static void no_action(struct engine *engine)
{
	struct road *road = open_countries(engine, "NO ACTION");

	engine_exec(engine, "INSERT INTO city (id, country) VALUES (5, 'FR')");
	assert_int_equal(road->table->n_dependents, 0);
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "code=F1");
	assert_null(strstr(road->err.text, "nothing would record"));
}

static void additions(struct engine *engine)
{
	struct road *road = open_countries(engine, "SET NULL");
	const struct amend_field id = {"id", amend_integer(1)};
	const struct amend_match key = {&id, 1};
	const struct amend_assign add = {"n", AMEND_ADD, amend_integer(1)};
	struct amend_combiner *combiner = NULL;
	struct amend_write write = AMEND_WRITE_INIT;

	ok(road, .keys = "id=1", .set = "n+=1");
	engine_exec(engine, "INSERT INTO city (id, n) VALUES (5, 11)");
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "n+=1");
	expect_contains(road->err.text, would_be);
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "n+=1", .bounds = "n<=99");
	write.keys = &key, write.n_keys = 1;
	write.set = &add, write.n_set = 1;
	expect_ok(amend_combiner_new(&combiner, &road->err), &road->err);
	amend_result_release(&road->result);
	expect_status(AMEND_CONSTRAINT,
		      amend_write_combined(combiner, road->db, road->table, &write, &road->result,
					   &road->err),
		      &road->err);
	amend_combiner_free(combiner);
	ok(road, .keys = "id=1", .set = "n+=0");
	engine_expect(engine, "SELECT n FROM city UNION ALL SELECT n FROM country WHERE id = 1",
		      "11\n11");
}

static enum amend_status name_and_code(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db;
	ok(road, .keys = "id=1", .set = "name=La France");
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "code=F1");
	ok(road, .keys = "id=2", .set = "code=I1");
	*err = road->err;
	return AMEND_OK;
}

/* Nothing was written by then: the rest of the unit goes in. */
static void inside_a_unit(struct engine *engine)
{
	struct road *road = open_countries(engine, "SET NULL");

	engine_exec(engine, "INSERT INTO city (id, country) VALUES (5, 'FR')");
	expect_ok(road_atomic(road, name_and_code, road), &road->err);
	engine_expect(engine, "SELECT code, name FROM country WHERE id < 3 ORDER BY id",
		      "FR|La France\nI1|Italy");
}

static void a_key_itself(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE a (x integer, y integer, w text, PRIMARY KEY (x, y)); "
			    "INSERT INTO a VALUES (1, 1, 'w'), (1, 2, 'w'); "
			    "CREATE TABLE b (id integer PRIMARY KEY, x integer, y integer, "
			    "FOREIGN KEY (x, y) REFERENCES a ON UPDATE SET NULL); "
			    "INSERT INTO b VALUES (5, 1, 1), (6, 1, NULL)");
	road = road_open(engine, "a");
	enforce(road, true);
	refused(AMEND_CONSTRAINT, road, .keys = "x=1, y=1", .set = "y=7");
	expect_contains(road->err.text, "1 record of b refers to it, and would be changed with it: "
					"{\"id\":5}");
	ok(road, .keys = "x=1, y=2", .set = "y=7");
	ok(road, .keys = "x=1, y=1", .set = "w=v");
	engine_expect(engine, "SELECT x, y FROM b ORDER BY id", "1|1\n1|NULL");
}

static void guard_it(struct road *road, const char *table)
{
	struct amend_guard_options options = AMEND_GUARD_OPTIONS_INIT;

	options.version_column = "v";
	options.history = true;
	expect_ok(amend_guard(road->db, table, &options, NULL, &road->err), &road->err);
}

/* In the revision of the write; which is undone as a whole. */
static void recorded(struct engine *engine)
{
	struct road *road = open_countries(engine, "CASCADE");

	guard_it(road, "city");
	engine_exec(engine, "INSERT INTO city (id, country) VALUES (5, 'FR'), (6, 'IT')");
	ok(road, .keys = "id=1", .set = "code=F1");
	engine_expect(engine, CITIES, "5|F1\n6|IT");
	engine_expect(
		engine,
		engine_printf(
			engine, "SELECT tbl, op FROM %schange WHERE revision = %lld ORDER BY tbl",
			engine_pick(engine, "amend_", "amend."), (long long)road->result.revision),
		"city|update\ncountry|update");
	reverts(road, AMEND_OK, NULL, .revision = road->result.revision);
	engine_expect(engine, CITIES, "5|FR\n6|IT");
	engine_expect(engine, "SELECT code FROM country ORDER BY id", "FR\nIT\nXX");
}

/* It follows itself, but what refers to it would not. */
static void one_further(struct engine *engine)
{
	struct road *road = open_countries(engine, "CASCADE");

	engine_exec(engine, "CREATE UNIQUE INDEX city_country ON city (country); "
			    "CREATE TABLE street (id integer PRIMARY KEY, country text "
			    "REFERENCES city (country) ON UPDATE SET NULL)");
	engine_exec(engine, "INSERT INTO city (id, country) VALUES (5, 'FR')");
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "code=F1");
	guard_it(road, "city");
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "code=F1");
	engine_exec(engine, "DROP TABLE street; CREATE TABLE street (id integer PRIMARY KEY, "
			    "country text REFERENCES city (country) ON UPDATE CASCADE); "
			    "INSERT INTO street VALUES (7, 'FR')");
	ok(road, .keys = "id=1", .set = "code=F1");
	engine_expect(engine, CITIES, "5|F1");
	engine_expect(engine, "SELECT country FROM street", "F1");
	/* What is guarded is recorded with it. */
	engine_expect(
		engine,
		engine_printf(
			engine, "SELECT tbl, op FROM %schange WHERE revision = %lld ORDER BY tbl",
			engine_pick(engine, "amend_", "amend."), (long long)road->result.revision),
		"city|update\ncountry|update");
}

/* With a deletion a child changes, and that of the child's child. */
static void behind_a_deletion(struct engine *engine)
{
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE country (id integer PRIMARY KEY); "
		    "INSERT INTO country VALUES (1), (2); "
		    "CREATE TABLE city (id integer PRIMARY KEY, country integer UNIQUE "
		    "REFERENCES country (id) ON DELETE SET NULL, v integer NOT NULL DEFAULT 1); "
		    "CREATE TABLE street (id integer PRIMARY KEY, country integer "
		    "REFERENCES city (country) ON UPDATE CASCADE)");
	road = road_open(engine, "country");
	enforce(road, true);
	guard_it(road, "city");
	engine_exec(engine, "INSERT INTO city (id, country) VALUES (5, 1); "
			    "INSERT INTO street VALUES (7, 1)");
	expect_status(AMEND_CONSTRAINT, road_delete(road, ask(.keys = "id=1")), &road->err);
	expect_ok(road_delete(road, ask(.keys = "id=2")), &road->err);
	engine_expect(engine, "SELECT country FROM street", "1");
}

static void of_the_same_table(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE node (id integer PRIMARY KEY, code text UNIQUE, up text "
			    "REFERENCES node (code) ON UPDATE CASCADE); "
			    "INSERT INTO node VALUES (1, 'a', NULL), (2, 'b', 'a'), (3, 'c', 'c')");
	road = road_open(engine, "node");
	enforce(road, true);
	ok(road, .keys = "id=1", .set = "code=A");
	/* Itself: it would be changed in a field that nobody asked for. */
	refused(AMEND_CONSTRAINT, road, .keys = "id=3", .set = "code=x");
	ok(road, .keys = "id=3", .set = "code=x, up=x");
	ok(road, .keys = "id=2", .set = "code=y, up=NULL");
	engine_expect(engine, "SELECT code, up FROM node ORDER BY id", "A|NULL\ny|NULL\nx|x");
}

/* Recorded in one revision, in whatever order, it is undone from the root on. */
static void a_tree_comes_back(struct engine *engine)
{
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE node (id integer PRIMARY KEY, code text UNIQUE, up text "
		    "REFERENCES node (code) ON UPDATE CASCADE, v integer NOT NULL DEFAULT 1)");
	road = road_open(engine, "node");
	enforce(road, true);
	guard_it(road, "node");
	road_table(road, "node");
	engine_exec(engine, "INSERT INTO node (id, code, up) VALUES (5, 'a', NULL), (2, 'b', 'a'), "
			    "(3, 'c', 'b'), (7, 'd', 'a')");
	ok(road, .keys = "id=5", .set = "code=A");
	engine_expect(engine, "SELECT id, code, up FROM node ORDER BY id",
		      "2|b|A\n3|c|b\n5|A|NULL\n7|d|A");
	reverts(road, AMEND_OK, NULL, .revision = road->result.revision);
	engine_expect(engine, "SELECT id, code, up FROM node ORDER BY id",
		      "2|b|a\n3|c|b\n5|a|NULL\n7|d|a");
}

/* Who refers to a value is told by the rule of the column that holds it, as SQLite's own action does. */
static void by_the_parents_rule(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE country (id integer PRIMARY KEY, code text COLLATE NOCASE "
			    "UNIQUE); INSERT INTO country VALUES (1, 'FR'), (2, 'IT'); "
			    "CREATE TABLE city (id integer PRIMARY KEY, country text REFERENCES "
			    "country (code) ON UPDATE SET NULL ON DELETE CASCADE); "
			    "INSERT INTO city VALUES (5, 'fr')");
	road = road_open(engine, "country");
	enforce(road, true);
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "code=F1");
	expect_contains(road->err.text, "1 record of city refers to it");
	expect_status(AMEND_CONSTRAINT, road_delete(road, ask(.keys = "id=1")), &road->err);
	ok(road, .keys = "id=2", .set = "code=I1");
	engine_expect(engine, CITIES, "5|fr");
}

static enum amend_status plant(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db;
	ok(road, .mode = AMEND_CREATE, .keys = "id=1", .set = "code=a");
	ok(road, .mode = AMEND_CREATE, .keys = "id=2", .set = "code=b, up=A");
	*err = road->err;
	return AMEND_OK;
}

/* All of the tree goes, whatever the collations; and '007' refers to 7. */
static void what_goes_anyway(struct engine *engine)
{
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE node (id integer PRIMARY KEY, code TEXT COLLATE NOCASE UNIQUE, "
		    "up TEXT REFERENCES node (code) ON DELETE CASCADE); "
		    "CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (7), (8); "
		    "CREATE TABLE c (id integer PRIMARY KEY, p TEXT REFERENCES p (id) ON DELETE "
		    "CASCADE); INSERT INTO c VALUES (1, '007')");
	road = road_open(engine, "node");
	enforce(road, true);
	expect_ok(road_atomic(road, plant, road), &road->err);
	engine_expect(engine, "SELECT code, up FROM node ORDER BY id", "a|NULL\nb|A");
	reverts(road, AMEND_OK, NULL, .revision = 1);
	engine_expect(engine, "SELECT count(*) FROM node", "0");
	road_table(road, "p");
	expect_status(AMEND_CONSTRAINT, road_delete(road, ask(.keys = "id=7")), &road->err);
	expect_contains(road->err.text, "{\"id\":1}");
	expect_ok(road_delete(road, ask(.keys = "id=8")), &road->err);
}

static void a_revert(struct engine *engine)
{
	struct road *road = open_countries(engine, "SET NULL");
	static const char shown[] =
		"updated country id=1 code: F1 -> FR, name: F -> France; used (1 record of city "
		"refers to it, and would be changed with it: {\"id\":5}; nothing would record that)";

	ok(road, .keys = "id=1", .set = "code=F1, name=F");
	engine_exec(engine, "INSERT INTO city (id, country) VALUES (5, 'F1')");
	reverts(road, AMEND_OK, shown, .revision = 1, .dry_run = true);
	reverts(road, AMEND_CONFLICT, shown, .revision = 1);
	reverts(road, AMEND_CONFLICT, shown, .revision = 1, .on_conflict = AMEND_REVERT_INCOMING);
	/* The rest of the record is undone. */
	reverts(road, AMEND_OK, NULL, .revision = 1, .on_conflict = AMEND_REVERT_CURRENT);
	engine_expect(engine, "SELECT code, name FROM country WHERE id = 1", "F1|France");
	engine_expect(engine, CITIES, "5|F1");
	engine_exec(engine, "DELETE FROM city");
	reverts(road, AMEND_OK, "updated country id=1 code: F1 -> FR", .revision = 1);
}

/* --- a feed --- */

static struct feed *open_feed(struct engine *engine, const char *action)
{
	struct feed *feed;

	make(engine, action);
	feed = feed_open(engine, "country", "id");
	connect_exec(engine, feed->db, engine_pick(engine, "PRAGMA foreign_keys = ON", "SELECT 1"));
	feed->options.adopt = AMEND_ADOPT_INCOMING;
	fed_once(feed, "id,code\n1,FR\n2,IT\n", "unchanged=2");
	engine_exec(engine, "INSERT INTO city (id, country) VALUES (5, 'FR')");
	return feed;
}

static void a_sync(struct engine *engine)
{
	struct feed *feed = open_feed(engine, "SET NULL");

	fed_once(feed, "id,code\n1,F1\n2,I1\n", "updated=1 rejected=1");
	told(feed,
	     engine_printf(
		     engine,
		     "reject 2 country {\"id\":1} is not changed: 1 record of city refers to it, "
		     "and would be changed with it: {\"id\":5}; nothing would record that (hint: "
		     "see to them first%s)\nupdate 3 id=2 code: IT -> I1",
		     engine->features & AMEND_HAS_KEY_TRIGGERS
			     ? ", or have `amend guard --history` record what becomes of city"
			     : ""));
	engine_expect(engine, "SELECT code FROM country ORDER BY id", "FR\nI1\nXX");
	engine_expect(engine, CITIES, "5|FR");
	engine_exec(engine, "DELETE FROM city");
	fed(feed, "id,code\n1,F1\n2,I1\n", "updated=1 unchanged=1");
}

static void a_sync_is_followed(struct engine *engine)
{
	struct feed *feed = open_feed(engine, "CASCADE");

	fed(feed, "id,code\n1,F1\n2,I1\n", "updated=2");
	engine_expect(engine, CITIES, "5|F1");
}

/* A tree whose names change from the root on, given in any order: what has followed already is as it should be. */
static void a_tree_is_followed(struct engine *engine)
{
	struct feed *feed;

	engine_exec(engine, "CREATE TABLE node (id integer PRIMARY KEY, code text UNIQUE, up text "
			    "REFERENCES node (code) ON UPDATE CASCADE); "
			    "INSERT INTO node VALUES (1, 'a', NULL), (2, 'b', 'a'), (3, 'c', 'b'), "
			    "(4, 'd', 'a')");
	feed = feed_open(engine, "node", "id");
	connect_exec(engine, feed->db, engine_pick(engine, "PRAGMA foreign_keys = ON", "SELECT 1"));
	feed->options.adopt = AMEND_ADOPT_INCOMING;
	fed_once(feed, "id,code,up\n1,a,\n2,b,a\n3,c,b\n", "unchanged=3");
	fed_once(feed, "id,code,up\n3,C,B\n2,B,A\n1,A,\n", "updated=3");
	fed_once(feed, "id,code,up\n3,C,B\n2,B,A\n1,A,\n", "unchanged=3");
	engine_expect(engine, "SELECT id, code, up FROM node ORDER BY id",
		      "1|A|NULL\n2|B|A\n3|C|B\n4|d|A");
}

/* For a moment one would hold another value, or none: what follows it, guarded or not, would lose it. */
static void a_swap(struct engine *engine)
{
	struct feed *feed = open_feed(engine, "CASCADE");

	fed_once(feed, "id,code\n1,IT\n2,FR\n",
		 "conflicts=1 rejected=1 new_conflicts=1 open_conflicts=1");
	engine_expect(engine, "SELECT code FROM country ORDER BY id", "FR\nIT\nXX");
	engine_expect(engine, CITIES, "5|FR");
	engine_exec(engine, "DELETE FROM city");
	fed(feed, "id,code\n1,IT\n2,FR\n", "updated=2");
}

static void a_settlement(struct engine *engine)
{
	struct feed *feed = open_feed(engine, "SET NULL");
	struct amend_result result = AMEND_RESULT_INIT;
	int64_t id;

	engine_exec(engine, "DELETE FROM city; UPDATE country SET code = 'F0' WHERE id = 1; "
			    "INSERT INTO city (id, country) VALUES (5, 'F0')");
	fed_once(feed, "id,code\n1,F1\n2,IT\n",
		 "unchanged=1 conflicts=1 new_conflicts=1 open_conflicts=1");
	id = feed_conflict(feed);
	expect_status(AMEND_CONSTRAINT,
		      feed_resolve(feed, id, AMEND_TAKE_INCOMING, NULL, 0, &result), &feed->err);
	amend_result_release(&result);
	expect_contains(feed->err.text, would_be);
	assert_int_equal(feed_conflict(feed), id);
	engine_exec(engine, "DELETE FROM city");
	expect_ok(feed_resolve(feed, id, AMEND_TAKE_INCOMING, NULL, 0, &result), &feed->err);
	amend_result_release(&result);
	engine_expect(engine, "SELECT code FROM country WHERE id = 1", "F1");
}

/* --- SQLite: what is enforced is asked when it matters --- */

static void enforced_by_then(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE country (id integer PRIMARY KEY, code text UNIQUE); "
			    "INSERT INTO country VALUES (1, 'FR'); "
			    "CREATE TABLE city (id integer PRIMARY KEY, country text REFERENCES "
			    "country (code) ON UPDATE SET NULL ON DELETE CASCADE); "
			    "INSERT INTO city VALUES (5, 'FR')");
	road = road_open(engine, NULL);
	enforce(road, false);
	road_table(road, "country");
	ok(road, .keys = "id=1", .set = "code=F1");
	engine_expect(engine, CITIES, "5|FR");
	ok(road, .keys = "id=1", .set = "code=FR");
	enforce(road, true);
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "code=F1");
	expect_status(AMEND_CONSTRAINT, road_delete(road, ask(.keys = "id=1")), &road->err);
	enforce(road, false);
	expect_ok(road_delete(road, ask(.keys = "id=1")), &road->err);
	engine_expect(engine, CITIES, "5|FR");
}

static const struct engine_test tests[] = {
	{"what follows a value still refers to it", cascade},
	{"what would lose it: refused", set_null},
	{"what would get another: refused", set_default, .not_on = "mariadb"},
	{"what the database refuses by itself", no_action},
	{"additions, also combined ones", additions},
	{"inside a unit nothing was written", inside_a_unit},
	{"a part of the primary key", a_key_itself},
	{"what is recorded follows, and comes back", recorded, .not_on = "mariadb"},
	{"what would lose what follows: refused", one_further, .not_on = "mariadb"},
	{"also behind a deletion", behind_a_deletion, .not_on = "mariadb"},
	{"records of the same table, or the record itself", of_the_same_table, .not_on = "mariadb"},
	{"recorded within a table it comes back", a_tree_comes_back, .not_on = "mariadb"},
	{"the other collation of who refers to it hides nothing", by_the_parents_rule,
	 .only = "sqlite"},
	{"what goes anyway, and what SQLite compares as numbers", what_goes_anyway,
	 .only = "sqlite"},
	{"a revert shows it", a_revert},
	{"a sync rejects it", a_sync},
	{"what a sync changes is followed", a_sync_is_followed},
	{"also in a tree", a_tree_is_followed,
	 .not_on = "mariadb" /* where a table's own rows do not follow */},
	{"a swap is none", a_swap},
	{"a settlement stays open", a_settlement},
	{"foreign keys are enforced when it is written, or not", enforced_by_then, .only = "sqlite"},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
