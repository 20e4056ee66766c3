/*
 * Keys: several in order, learning, contradictions, uniqueness, names that are hard to quote.
 * Leaves which index counts as unique to the drivers' description tests.
 */
#include "ask.h"

/* --- Several keys --- */

static struct road *open_places(struct engine *engine)
{
	engine_exec(engine, "CREATE TABLE place (id integer PRIMARY KEY, remote text UNIQUE, "
			    "slug text UNIQUE, name text)");
	engine_exec(engine,
		    "INSERT INTO place VALUES (1, 'r1', 'paris', 'Paris'), "
		    "(2, NULL, 'rome', 'Rome'), (3, 'r3', NULL, 'Oslo'), (4, '', 'bonn', 'B')");
	return road_open(engine, "place");
}

static void first_key_that_finds_wins(struct engine *engine)
{
	struct road *road = open_places(engine);

	ok(road, .keys = "remote=r1; slug=rome", .set = "name=New");
	said(road, "updated name: Paris -> New");
	engine_expect(engine, "SELECT id, remote, slug, name FROM place WHERE id < 3 ORDER BY id",
		      "1|r1|paris|New\n2|NULL|rome|Rome");
}

static void later_key_learns_the_earlier(struct engine *engine)
{
	struct road *road = open_places(engine);

	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "remote=r2; slug=rome", .set = "name=Roma");
	said(road, "updated remote: NULL -> r2, name: Rome -> Roma");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "remote=r2; slug=rome", .set = "name=Roma");
	said(road, "unchanged");
	history(road, "id=2", "update id=2 remote: NULL -> r2, name: Rome -> Roma");
}

static void blank_earlier_key_is_passed_over(struct engine *engine)
{
	struct road *road = open_places(engine);

	ok(road, .keys = "remote=; slug=rome", .set = "name=Roma");
	said(road, "updated name: Rome -> Roma");
	ok(road, .keys = "remote=NULL; slug=paris", .set = "name=P");
	said(road, "updated name: Paris -> P");
}

static void identity_conflict(struct engine *engine)
{
	struct road *road = open_places(engine);

	refused(AMEND_CONFLICT, road, AMEND_UPDATE_OR_CREATE, .keys = "remote=r9; slug=paris",
		.set = "name=x");
	said(road, "conflict");
	expect_contains(road->err.text, "slug=paris");
	expect_contains(road->err.text, "remote");
	expect_text(road_record(road), "id=1 remote=r1 slug=paris name=Paris");
	/* An empty value is a value: only NULL learns. */
	refused(AMEND_CONFLICT, road, AMEND_UPDATE_OR_CREATE, .keys = "remote=r4; slug=bonn",
		.set = "name=x");
	engine_expect(engine, "SELECT name FROM place ORDER BY id", "Paris\nRome\nOslo\nB");
	history(road, NULL, "");
}

static void creation_sets_every_key(struct engine *engine)
{
	struct road *road = open_places(engine);

	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "remote=r5; slug=bern", .set = "id=5, name=Bern");
	said(road, "created id: NULL -> 5, remote: NULL -> r5, slug: NULL -> bern, "
		   "name: NULL -> Bern");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "remote=; slug=kiel", .set = "id=6, name=Kiel");
	engine_expect(engine, "SELECT remote, slug FROM place WHERE id > 4 ORDER BY id",
		      "r5|bern\nNULL|kiel");
}

static void assigned_and_key_differ(struct engine *engine)
{
	struct road *road = open_places(engine);

	/* Found by slug, and the slug itself is to change. */
	ok(road, .keys = "slug=paris", .set = "slug=paname");
	said(road, "updated slug: paris -> paname");
	/* Taken by another record: nothing is written. */
	refused(AMEND_CONSTRAINT, road, .keys = "slug=rome", .set = "slug=paname, name=x");
	expect_text(road->err.sqlstate, "23505");
	engine_expect(engine, "SELECT name FROM place WHERE id = 2", "Rome");
}

/* --- Without a unique index --- */

/* Runs the statement that the last message shows. */
static void take_the_hint(struct road *road)
{
	const char *hint = strstr(road->err.text, "CREATE UNIQUE INDEX"), *end;

	assert_non_null(hint);
	end = strrchr(hint, ')');
	engine_exec(road->engine, engine_printf(road->engine, "%.*s", (int)(end - hint), hint));
}

static void without_unique_index_never_creates(struct engine *engine)
{
	struct road *road = open_places(engine);

	refused(AMEND_INVALID, road, AMEND_UPDATE_OR_CREATE, .keys = "name=Nice", .set = "id=9");
	refused(AMEND_INVALID, road, AMEND_GET_OR_CREATE, .keys = "name=Nice", .set = "id=9");
	refused(AMEND_INVALID, road, AMEND_CREATE, .keys = "name=Nice", .set = "id=9");
	refused(AMEND_INVALID, road, AMEND_CREATE, .keys = "name=Nice, remote=r8", .set = "id=9");
	engine_expect(engine, "SELECT count(*) FROM place", "4");
	take_the_hint(road);
	road_table(road, "place");
	ok(road, AMEND_CREATE, .keys = "name=Nice, remote=r8", .set = "id=9");
	engine_expect(engine, "SELECT count(*) FROM place", "5");
}

static void the_statement_shown_works_for_hostile_names(struct engine *engine)
{
	static const char *const names[] = {
		"\"se\"\"lect.1\"",
		"\"%s?1$1 \xc3\xa9\"",
		"\"UPPER; lower--\"",
		/* The index's name is cut: it would have more than 63 bytes. */
		"\"a name of sixty bytes, almost all that PostgreSQL has room for\"",
	};

	for (size_t i = 0; i < COUNT(names); i++) {
		const char *schema = engine_pick3(engine, "", "\"a.b\".", "");
		struct road *road;

		if (*schema)
			engine_exec(engine, "CREATE SCHEMA IF NOT EXISTS \"a.b\"");
		engine_execf(engine,
			     "CREATE TABLE %s%s (id integer PRIMARY KEY, \"Or\"\"der\" text)",
			     schema, names[i]);
		road = road_open(engine, engine_printf(engine, "%s%s", schema, names[i]));
		refused(AMEND_INVALID, road, AMEND_CREATE, .keys = "Or\"der=x", .set = "id=1");
		take_the_hint(road);
		road_table(road, engine_printf(engine, "%s%s", schema, names[i]));
		ok(road, AMEND_CREATE, .keys = "Or\"der=x", .set = "id=1");
	}
}

static void without_unique_index_updates_one(struct engine *engine)
{
	struct road *road = open_places(engine);

	ok(road, .keys = "name=Rome", .set = "slug=roma");
	said(road, "updated slug: rome -> roma");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "name=Rome", .set = "slug=rom");
	said(road, "updated slug: roma -> rom");
	engine_exec(engine, "UPDATE place SET name = 'Twin' WHERE id IN (1, 3)");
	refused(AMEND_INVALID, road, .keys = "name=Twin", .set = "slug=x");
	expect_contains(road->err.text, "several");
	expect_status(AMEND_INVALID, road_get(road, "name=Twin"), &road->err);
	expect_status(AMEND_INVALID, road_delete(road, ask(.keys = "name=Twin")), &road->err);
	engine_expect(engine, "SELECT count(*) FROM place", "4");
}

/* Indexes that let two equal keys stand somewhere, or for a while. */
static void indexes_that_prove_nothing(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, a text, b text, c text)");
	if (engine_is(engine, "mariadb")) {
		/* Of what is unique in its beginning two may differ behind it. */
		engine_exec(engine, "CREATE UNIQUE INDEX part ON t (a(2))");
		engine_exec(engine, "CREATE UNIQUE INDEX more ON t (b(2))");
	} else {
		engine_exec(engine, "CREATE UNIQUE INDEX part ON t (a) WHERE b IS NOT NULL");
		engine_exec(engine, "CREATE UNIQUE INDEX expr ON t (lower(b))");
	}
	engine_exec(engine, "CREATE UNIQUE INDEX wider ON t (a, c)");
	if (engine_is(engine, "postgresql"))
		engine_exec(engine, "ALTER TABLE t ADD UNIQUE (c) DEFERRABLE");
	road = road_open(engine, "t");
	refused(AMEND_INVALID, road, AMEND_UPDATE_OR_CREATE, .keys = "a=1", .set = "id=1");
	refused(AMEND_INVALID, road, AMEND_UPDATE_OR_CREATE, .keys = "b=1", .set = "id=1");
	refused(AMEND_INVALID, road, AMEND_UPDATE_OR_CREATE, .keys = "c=1", .set = "id=1");
	refused(AMEND_INVALID, road, AMEND_UPDATE_OR_CREATE, .keys = "a=1, b=1", .set = "id=1");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "c=1, a=1", .set = "id=1");
	engine_expect(engine, "SELECT count(*) FROM t", "1");
}

/* --- Several columns --- */

static void composite_keys(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE seat (hall text, number integer, guest text, "
			    "PRIMARY KEY (hall, number))");
	road = road_open(engine, "seat");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "number=7, hall=A", .set = "guest=Ada");
	said(road, "created hall: NULL -> A, number: NULL -> 7, guest: NULL -> Ada");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "hall=B, number=7", .set = "guest=Bob");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "hall=A, number=7", .set = "guest=Eve");
	said(road, "updated guest: Ada -> Eve");
	/* One blank part makes the key blank. */
	refused(AMEND_INVALID, road, AMEND_UPDATE_OR_CREATE, .keys = "hall=, number=8",
		.set = "guest=x");
	expect_status(AMEND_INVALID, road_get(road, "number=7"), &road->err);
	history(road, "hall=A, number=7",
		"update hall=A number=7 guest: Ada -> Eve\n"
		"create hall=A number=7 hall: NULL -> A, number: NULL -> 7, guest: NULL -> Ada");
}

static void changed_primary_key_keeps_history(struct engine *engine)
{
	struct road *road = open_places(engine);

	ok(road, .keys = "id=1", .set = "name=a");
	ok(road, .keys = "id=1", .set = "id=11");
	said(road, "updated id: 1 -> 11");
	expect_text(road_record(road), "id=11 remote=r1 slug=paris name=a");
	ok(road, .keys = "id=11", .set = "name=b, id=12");
	ok(road, .keys = "id=12", .set = "name=c");
	history(road, "id=12",
		"update id=12 name: b -> c\nupdate id=12 id: 11 -> 12, name: a -> b\n"
		"update id=11 id: 1 -> 11\nupdate id=1 name: Paris -> a");
	history(road, "slug=paris", road_history(road, "id=12"));
	engine_expect(engine, "SELECT id, name FROM place WHERE slug = 'paris'", "12|c");
}

/* --- Names and kinds of tables --- */

static void hostile_names(struct engine *engine)
{
	struct road *road;
	struct amend_field key = {"a\"b", amend_text("k';--")};
	struct amend_match match = {&key, 1};
	struct amend_assign set = {"x = 1, \n\t%s ?1 $1 \xc3\xa9", AMEND_SET, amend_text("v\"\\\n")};
	struct amend_write write = AMEND_WRITE_INIT;

	engine_exec(engine, "CREATE TABLE \"t\"\"; DROP TABLE x; --\" (\"a\"\"b\" text PRIMARY KEY, "
			    "\"x = 1, \n\t%s ?1 $1 \xc3\xa9\" text, \"select\" integer DEFAULT 3)");
	road = road_open(engine, "\"t\"\"; DROP TABLE x; --\"");
	write.keys = &match, write.n_keys = 1;
	write.set = &set, write.n_set = 1;
	write.mode = AMEND_UPDATE_OR_CREATE;
	expect_ok(amend_write(road->db, road->table, &write, &road->result, &road->err), &road->err);
	set.value = amend_text("w");
	amend_result_release(&road->result);
	expect_ok(amend_write(road->db, road->table, &write, &road->result, &road->err), &road->err);
	said(road, "updated x = 1, \n\t%s ?1 $1 \xc3\xa9: v\"\\\n -> w");
	history(road, NULL,
		"update a\"b=k';-- x = 1, \n\t%s ?1 $1 \xc3\xa9: v\"\\\n -> w\n"
		"create a\"b=k';-- a\"b: NULL -> k';--, x = 1, \n\t%s ?1 $1 \xc3\xa9: NULL -> "
		"v\"\\\n, select: NULL -> 3");
	engine_expect(engine, "SELECT * FROM \"t\"\"; DROP TABLE x; --\"", "k';--|w|3");
}

static void rowid_table(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE note (name text UNIQUE, body text)");
	engine_exec(engine, "INSERT INTO note VALUES ('a', '1'), (NULL, '2')");
	road = road_open(engine, "note");
	ok(road, .keys = "name=a", .set = "body=x");
	said(road, "updated body: 1 -> x");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "name=b", .set = "body=y");
	ok(road, .keys = "name=b", .set = "name=c");
	expect_ok(road_delete(road, ask(.keys = "body=2")), &road->err);
	history(road, "name=c",
		"update rowid=3 name: b -> c\ncreate rowid=3 name: NULL -> b, body: NULL -> y");
	engine_expect(engine, "SELECT name, body FROM note ORDER BY name", "a|x\nc|y");
	expect_ok((road_token(road, "name=a"), AMEND_OK), &road->err);
}

static void without_rowid(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (a text, b integer, v text, PRIMARY KEY (b, a)) "
			    "WITHOUT ROWID");
	road = road_open(engine, "t");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "a=x, b=1", .set = "v=1");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "a=x, b=1", .set = "v=2, b=2");
	said(road, "updated b: 1 -> 2, v: 1 -> 2");
	history(road, "a=x, b=2",
		"update b=2 a=x b: 1 -> 2, v: 1 -> 2\n"
		"create b=1 a=x a: NULL -> x, b: NULL -> 1, v: NULL -> 1");
}

static void no_identity_is_refused(struct engine *engine)
{
	struct amend_table *table = NULL;
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE bare (a text UNIQUE, b text); CREATE VIEW seen AS SELECT 1 AS a");
	road = road_open(engine, NULL);
	expect_status(AMEND_UNSUPPORTED, amend_table_open(road->db, "bare", &table, &road->err),
		      &road->err);
	expect_contains(road->err.text, "ADD PRIMARY KEY");
	expect_status(AMEND_UNSUPPORTED, amend_table_open(road->db, "seen", &table, &road->err),
		      &road->err);
}

static void other_schemas(struct engine *engine)
{
	struct road *road;

	engine_exec(engine,
		    "CREATE SCHEMA shop; CREATE TABLE shop.item (id integer PRIMARY KEY, n text)");
	engine_exec(engine, "CREATE TABLE item (id integer PRIMARY KEY, n text)");
	engine_exec(
		engine,
		"INSERT INTO item VALUES (1, 'public'); INSERT INTO shop.item VALUES (1, 'shop')");
	road = road_open(engine, "shop.item");
	ok(road, .keys = "id=1", .set = "n=new");
	history(road, "id=1", "update id=1 n: shop -> new");
	road_table(road, "item");
	history(road, "id=1", "");
	engine_expect(engine, "SELECT n FROM item", "public");
}

static const struct engine_test tests[] = {
	{"the first key that finds a record wins", first_key_that_finds_wins},
	{"a later key: the record learns the earlier one where it has NULL",
	 later_key_learns_the_earlier},
	{"a blank earlier key is passed over", blank_earlier_key_is_passed_over},
	{"identity conflict: keys that contradict", identity_conflict},
	{"creation sets every key that is not blank", creation_sets_every_key},
	{"the key's own column may be assigned", assigned_and_key_differ},
	{"a key without unique index never creates, and the statement shown works",
	 without_unique_index_never_creates},
	{"the statement shown works for hostile names", the_statement_shown_works_for_hostile_names},
	{"a key without unique index updates one and refuses several",
	 without_unique_index_updates_one},
	{"partial, expression, wider and deferrable indexes do not count",
	 indexes_that_prove_nothing},
	{"composite keys", composite_keys},
	{"a changed primary key keeps its history", changed_primary_key_keeps_history},
	{"hostile table and column names", hostile_names},
	{"rowid tables without key", rowid_table, .only = "sqlite"},
	{"WITHOUT ROWID", without_rowid, .only = "sqlite"},
	{"a table without identity, and a view, are refused", no_identity_is_refused,
	 .only = "postgresql"},
	{"the same name in two schemas is two tables", other_schemas, .only = "postgresql"},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
