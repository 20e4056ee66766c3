/*
 * What is equal is not written, and costs one trip; what is not equal costs one statement more.
 * Leaves which values are equal to types_test.c.
 */
#include "ask.h"

static struct road *open_people(struct engine *engine)
{
	engine_exec(engine, "CREATE TABLE person (id integer PRIMARY KEY, email text UNIQUE, "
			    "name text, score numeric(6,2), age integer)");
	engine_exec(engine, "INSERT INTO person VALUES (1, 'ada@x', 'Ada', 1.5, 36), "
			    "(2, 'bob@x', '', NULL, NULL)");
	return road_open(engine, "person");
}

/* What every write moves: PostgreSQL's next transaction id and the row's own, SQLite's counts, the writes of MariaDB's handlers. */
static const char *stamp(struct road *road)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	const char *counted, *stored;

	if (engine_is(road->engine, "postgresql"))
		return engine_rows(road->engine,
				   "SELECT pg_snapshot_xmax(pg_current_snapshot())::text || ' ' || "
				   "string_agg(xmin::text, ',' ORDER BY id) FROM person");
	if (engine_is(road->engine, "mariadb"))
		return engine_rows(
			road->engine,
			"SELECT variable_value FROM information_schema.global_status WHERE "
			"variable_name IN ('HANDLER_WRITE', 'HANDLER_UPDATE', "
			"'HANDLER_DELETE')");
	expect_ok(amend_query(road->db, "SELECT total_changes()", NULL, 0, &rows, &road->err),
		  &road->err);
	counted = road_value(road->engine, amend_rows_at(&rows, 0, 0));
	amend_rows_release(&rows);
	stored = engine_rows(road->engine, "PRAGMA data_version");
	return engine_printf(road->engine, "%s %s", counted, stored);
}

#define unchanged(road, ...)                                  \
	do {                                                  \
		const char *before_ = stamp(road);            \
		ok(road, __VA_ARGS__);                        \
		said(road, "unchanged");                      \
		assert_int_equal((road)->result.revision, 0); \
		expect_text(stamp(road), before_);            \
	} while (0)

static void writes_nothing(struct engine *engine)
{
	struct road *road = open_people(engine);

	ok(road, .keys = "id=1", .set = "name=Ada L.");
	unchanged(road, .keys = "id=1", .set = "name=Ada L.");
	unchanged(road, AMEND_UPDATE_OR_CREATE, .keys = "email=ada@x",
		  .set = "name=Ada L., age=36, id=1", .on_create = "name=Other");
	unchanged(road, .keys = "id=2", .set = "name=, age=NULL");
	/* Nothing asked for is nothing to do. */
	unchanged(road, .keys = "id=1");
	/* Other spellings of the same stored value. */
	unchanged(road, .keys = "id=1", .set = "age=036, score=1.50");
	history(road, NULL, "update id=1 name: Ada -> Ada L.");
}

static void stamp_moves(struct engine *engine)
{
	struct road *road = open_people(engine);
	const char *before = stamp(road);

	ok(road, .keys = "id=1", .set = "name=x");
	assert_string_not_equal(stamp(road), before);
}

static void needs_no_ledger(struct engine *engine)
{
	struct road *road = open_people(engine);

	unchanged(road, .keys = "id=1", .set = "name=Ada");
	ok(road, AMEND_GET_OR_CREATE, .keys = "id=1", .set = "name=x");
	expect_status(AMEND_NOT_FOUND, road_get(road, "id=7"), &road->err);
	refused(AMEND_NOT_FOUND, road, .keys = "id=7", .set = "name=x");
	engine_expect(
		engine,
		engine_pick3(engine, "SELECT count(*) FROM sqlite_master WHERE name LIKE 'amend%'",
			     "SELECT count(*) FROM pg_namespace WHERE nspname = 'amend'",
			     "SELECT count(*) FROM information_schema.tables WHERE table_schema = "
			     "DATABASE() AND table_name LIKE 'amend%'"),
		"0");
}

static void one_trip(struct engine *engine)
{
	struct road *road = open_people(engine);

	/* Also while there is no ledger. */
	ok(road, .keys = "id=1", .set = "name=Ada");
	road_count(road);
	ok(road, .keys = "id=1", .set = "name=Ada");
	assert_int_equal(road->trace.by_op[AMEND_TRACE_RUN], 1);
	ok(road, .keys = "id=1", .set = "name=Ada L.");
	road_count(road);
	ok(road, .keys = "id=1", .set = "name=Ada L., age=36, score=1.50");
	said(road, "unchanged");
	/* SQLite converts values apart from running statements, which costs it no trip. */
	assert_int_equal(road->trace.by_op[AMEND_TRACE_RUN], 1);
	assert_int_equal(road->trace.statements, 1);
	assert_int_equal(road->trace.operations - road->trace.by_op[AMEND_TRACE_CANONICALISE], 1);
	road_count(road);
	ok(road, AMEND_GET_OR_CREATE, .keys = "id=1");
	assert_int_equal(road->trace.operations, 1);
	road_count(road);
	expect_ok(road_get(road, "email=ada@x"), &road->err);
	assert_int_equal(road->trace.operations, 1);
}

/* Values that the driver itself knows how to spell are not asked for. */
static void no_question_to_the_server(struct engine *engine)
{
	struct road *road = open_people(engine);
	struct amend_session *spy = session_open(engine);

	ok(road, .keys = "id=1", .set = "name=Ada L.");
	ok(road, .keys = "id=1", .set = "name=Ada L., age=036, score=1.50");
	said(road, "unchanged");
	/* The last statement of that connection is still the one that read the record. */
	expect_contains(session_rows(engine, spy,
				     "SELECT query FROM pg_stat_activity WHERE datname = "
				     "current_database() AND pid <> pg_backend_pid() AND "
				     "application_name NOT LIKE '%foreign'"),
			"FROM \"public\".\"person\"");
}

/* A read, and one statement that writes and records. */
static void one_statement_when_something_changes(struct engine *engine)
{
	struct road *road = open_people(engine);

	ok(road, .keys = "id=1", .set = "name=first");
	road_count(road);
	ok(road, .keys = "id=1", .set = "name=second, age=37");
	said(road, "updated name: first -> second, age: 36 -> 37");
	assert_int_equal(road->trace.statements, 2);
	assert_int_equal(road->trace.by_op[AMEND_TRACE_BEGIN], 0);
	road_count(road);
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=3", .set = "name=third");
	said(road, "created id: NULL -> 3, name: NULL -> third");
	assert_int_equal(road->trace.statements, 2);
	road_count(road);
	expect_ok(road_delete(road, ask(.keys = "id=3")), &road->err);
	assert_int_equal(road->trace.statements, 2);
	assert_int_equal(road->trace.by_op[AMEND_TRACE_BEGIN], 0);
}

/* A call that changes what the last one like it did is not read for; one that does not is read by the way. */
static void one_trip_when_the_same_changes_again(struct engine *engine)
{
	struct road *road = open_people(engine);

	ok(road, .keys = "id=1", .set = "name=first, age=36, score=1.5");
	road_count(road);
	ok(road, .keys = "id=1", .set = "name=second, age=036, score=1.50");
	said(road, "updated name: first -> second");
	assert_int_equal(road->trace.statements, 1);
	/* Another column: the guess is wrong, and was the read. */
	road_count(road);
	ok(road, .keys = "id=1", .set = "name=second, age=37, score=1.5");
	said(road, "updated age: 36 -> 37");
	assert_int_equal(road->trace.statements, 2);
	road_count(road);
	ok(road, .keys = "id=1", .set = "name=third, age=37, score=1.5");
	said(road, "updated name: second -> third");
	assert_int_equal(road->trace.statements, 2);
	unchanged(road, .keys = "id=1", .set = "name=third, age=37, score=1.50");
	road_count(road);
	unchanged(road, .keys = "id=1", .set = "name=third, age=37, score=1.5");
	assert_int_equal(road->trace.statements, 1);
	refused(AMEND_NOT_FOUND, road, .keys = "id=9", .set = "name=x, age=1, score=1");
	/* NULL and the word, and empty text, are three. */
	ok(road, .keys = "id=2", .set = "name=NULL, age=1, score=1");
	ok(road, .keys = "id=2", .set = "name=null, age=2, score=2");
	said(road, "updated name: NULL -> null, score: 1.00 -> 2.00, age: 1 -> 2");
	ok(road, .keys = "id=2", .set = "name=, age=3, score=3");
	said(road, "updated name: null -> '', score: 2.00 -> 3.00, age: 2 -> 3");
	ok(road, .keys = "id=2", .set = "name=NULL, age=4, score=4");
	said(road, "updated name: '' -> NULL, score: 3.00 -> 4.00, age: 3 -> 4");
	/* What identifies the record is not guessed. */
	ok(road, .keys = "email=bob@x", .set = "id=5");
	ok(road, .keys = "email=bob@x", .set = "id=6");
	said(road, "updated id: 5 -> 6");
	history(road, "id=1",
		"update id=1 name: second -> third\nupdate id=1 age: 36 -> 37\n"
		"update id=1 name: first -> second\nupdate id=1 name: Ada -> first");
}

static void null_empty_and_blank_differ(struct engine *engine)
{
	struct road *road = open_people(engine);

	ok(road, .keys = "id=2", .set = "name=NULL");
	said(road, "updated name: '' -> NULL");
	unchanged(road, .keys = "id=2", .set = "name=NULL");
	ok(road, .keys = "id=2", .set = "name=");
	said(road, "updated name: NULL -> ''");
	ok(road, .keys = "id=2", .set = "name= ");
	said(road, "updated name: '' ->  ");
	ok(road, .keys = "id=2", .set = "name=ada");
	ok(road, .keys = "id=2", .set = "name=Ada");
	said(road, "updated name: ada -> Ada");
	/* What is not mentioned is left alone. */
	engine_expect(engine, "SELECT name, email, score FROM person WHERE id = 2",
		      "Ada|bob@x|NULL");
}

static void blank_keys_never_match(struct engine *engine)
{
	static const char *const blank[] = {"email=NULL", "email=", "email= ", "email=\t\n ",
					    "id=NULL"};
	struct road *road = open_people(engine);

	engine_exec(engine, "INSERT INTO person (id, email) VALUES (3, NULL), (4, '')");
	for (size_t i = 0; i < COUNT(blank); i++) {
		expect_status(AMEND_NOT_FOUND, road_get(road, blank[i]), &road->err);
		expect_contains(road->err.text, "blank");
		refused(AMEND_NOT_FOUND, road, .keys = blank[i], .set = "name=x");
		refused(AMEND_INVALID, road, AMEND_UPDATE_OR_CREATE, .keys = blank[i],
			.set = "name=x, id=9");
		expect_contains(road->err.text, "blank");
		refused(AMEND_INVALID, road, AMEND_GET_OR_CREATE, .keys = blank[i],
			.set = "name=x, id=9");
		expect_status(AMEND_NOT_FOUND, road_delete(road, ask(.keys = blank[i])), &road->err);
	}
	engine_expect(engine, "SELECT count(*) FROM person", "4");
}

static void value_the_column_cannot_hold(struct engine *engine)
{
	struct road *road = open_people(engine);

	refused(AMEND_INVALID, road, .keys = "id=1", .set = "name=new, age=old");
	said(road, "rejected");
	expect_contains(road->err.text, "person.age");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "score=12345.67");
	expect_status(AMEND_INVALID, road_get(road, "id=x"), &road->err);
	engine_expect(engine, "SELECT name, age FROM person WHERE id = 1", "Ada|36");
	ok(road, .keys = "id=1", .set = "age=37");
}

static const struct engine_test tests[] = {
	{"unchanged writes nothing, in whatever spelling", writes_nothing},
	{"the stamp that shows it does move with a write", stamp_moves},
	{"what writes nothing needs no ledger", needs_no_ledger},
	{"unchanged is one round trip", one_trip},
	{"unchanged asks the server for no spelling", no_question_to_the_server,
	 .only = "postgresql"},
	{"what changes as before is one trip", one_trip_when_the_same_changes_again,
	 .needs = AMEND_HAS_WRITE_CTE},
	{"changed is one statement that writes and records", one_statement_when_something_changes,
	 .needs = AMEND_HAS_WRITE_CTE},
	{"NULL, empty and blank are three values", null_empty_and_blank_differ},
	{"a blank key never matches and never creates", blank_keys_never_match},
	{"a value that the column cannot hold is INVALID and names it",
	 value_the_column_cannot_hold, .only = "postgresql"},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
