/*
 * Get or create, and create: one record, however often and by whomever it is asked for.
 * Leaves keys to keys_test.c and races among processes to tests/race.
 */
#include "ask.h"

static const char person_sql[] =
	"CREATE TABLE person (id integer PRIMARY KEY, email text UNIQUE, name text NOT NULL, "
	"visits integer DEFAULT 7, \"order\" text)";

static struct road *open_people(struct engine *engine)
{
	engine_exec(engine, person_sql);
	engine_exec(engine, "INSERT INTO person (id, email, name) VALUES (1, 'ada@x', 'Ada')");
	return road_open(engine, "person");
}

static void found_is_not_inserted(struct engine *engine)
{
	struct road *road = open_people(engine);

	ok(road, AMEND_GET_OR_CREATE, .keys = "email=ada@x", .set = "name=Other, visits=9");
	said(road, "found");
	expect_text(road_record(road), "id=1 email=ada@x name=Ada visits=7 order=NULL");
	assert_int_equal(road->result.revision, 0);
	engine_expect(engine, "SELECT count(*) FROM person", "1");
}

static void missing_is_created(struct engine *engine)
{
	struct road *road = open_people(engine);

	ok(road, AMEND_GET_OR_CREATE, .keys = "email=bob@x", .set = "name=Bob, id=2");
	said(road, "created id: NULL -> 2, email: NULL -> bob@x, name: NULL -> Bob, "
		   "visits: NULL -> 7");
	expect_text(road_record(road), "id=2 email=bob@x name=Bob visits=7 order=NULL");
	assert_true(road->result.revision > 0);
	history(road, "id=2",
		"create id=2 id: NULL -> 2, email: NULL -> bob@x, name: NULL -> Bob, "
		"visits: NULL -> 7");
}

static void second_call_changes_nothing(struct engine *engine)
{
	struct road *road = open_people(engine);

	ok(road, AMEND_GET_OR_CREATE, .keys = "email=bob@x", .set = "name=Bob, id=2");
	ok(road, AMEND_GET_OR_CREATE, .keys = "email=bob@x", .set = "name=Bob, id=2");
	said(road, "found");
	assert_int_equal(road->result.revision, 0);
	engine_expect(engine, "SELECT count(*) FROM person", "2");
}

static void by_primary_key(struct engine *engine)
{
	struct road *road = open_people(engine);

	ok(road, AMEND_GET_OR_CREATE, .keys = "id=1", .set = "name=Other");
	said(road, "found");
	ok(road, AMEND_GET_OR_CREATE, .keys = "id=5", .set = "name=Eve");
	said(road, "created id: NULL -> 5, name: NULL -> Eve, visits: NULL -> 7");
}

static void missing_not_null_value(struct engine *engine)
{
	struct road *road = open_people(engine);

	refused(AMEND_CONSTRAINT, road, AMEND_GET_OR_CREATE, .keys = "email=bob@x", .set = "id=2");
	said(road, "rejected");
	expect_contains(road->err.text, "name");
	engine_expect(engine, "SELECT count(*) FROM person", "1");
	ok(road, AMEND_GET_OR_CREATE, .keys = "email=bob@x", .set = "id=2, name=Bob");
	assert_int_equal(road->result.outcome, AMEND_IS_CREATED);
}

static void duplicate_primary_key(struct engine *engine)
{
	struct road *road = open_people(engine);

	refused(AMEND_CONSTRAINT, road, AMEND_GET_OR_CREATE, .keys = "email=bob@x",
		.set = "name=Bob, id=1");
	expect_text(road->err.sqlstate, "23505");
	engine_expect(engine, "SELECT id, email, name FROM person", "1|ada@x|Ada");
	assert_null(road->result.record);
}

static void values_on_creation_alone(struct engine *engine)
{
	struct road *road = open_people(engine);

	ok(road, AMEND_GET_OR_CREATE, .keys = "email=bob@x", .set = "id=2, name=Bob, visits=1",
	   .on_create = "visits=2, order=first");
	expect_contains(road_record(road), "name=Bob visits=2 order=first");
}

struct counted {
	int calls, on_creation;
	const char *value;
};

static enum amend_status compute_name(struct amend_compute *compute,
				      const struct amend_value *current, void *context,
				      struct amend_error *err)
{
	struct counted *counted = context;
	struct amend_value value = amend_text(counted->value);

	counted->calls++;
	counted->on_creation += current == NULL;
	return amend_compute_set(compute, "name", &value, err);
}

static void callback_not_called_on_found(struct engine *engine)
{
	struct road *road = open_people(engine);
	struct counted counted = {.value = "Computed"};

	ok(road, AMEND_GET_OR_CREATE, .keys = "id=1", .compute = compute_name, .context = &counted);
	said(road, "found");
	assert_int_equal(counted.calls, 0);
	engine_expect(engine, "SELECT name FROM person", "Ada");
}

static void callback_called_on_creation(struct engine *engine)
{
	struct road *road = open_people(engine);
	struct counted counted = {.value = "Computed"};

	/* It wins over both kinds of values given. */
	ok(road, AMEND_GET_OR_CREATE, .keys = "id=2", .set = "name=Given", .on_create = "name=Born",
	   .compute = compute_name, .context = &counted);
	assert_int_equal(counted.calls, 1);
	assert_int_equal(counted.on_creation, 1);
	engine_expect(engine, "SELECT name FROM person WHERE id = 2", "Computed");
}

/* A plain reader waits for nobody: nor does one who only might have created. */
static void found_waits_for_nobody(struct engine *engine)
{
	struct road *road = open_people(engine);
	struct foreign *other = foreign_open(engine);
	struct counted counted = {.value = "Computed"};
	int64_t begun = now_ms();

	foreign_exec(other, engine_pick(engine, "BEGIN IMMEDIATE", "BEGIN"));
	foreign_exec(other, "UPDATE person SET name = 'Held' WHERE id = 1");
	ok(road, AMEND_GET_OR_CREATE, .keys = "id=1", .set = "name=x", .compute = compute_name,
	   .context = &counted);
	said(road, "found");
	assert_true(now_ms() - begun < 15000);
	foreign_exec(other, "COMMIT");
	engine_expect(engine, "SELECT name FROM person", "Held");
}

static void unknown_columns(struct engine *engine)
{
	struct road *road = open_people(engine);

	refused(AMEND_INVALID, road, AMEND_GET_OR_CREATE, .keys = "mail=x", .set = "name=Bob");
	expect_contains(road->err.text, "no column 'mail'");
	expect_contains(road->err.text, "email, name");
	refused(AMEND_INVALID, road, AMEND_GET_OR_CREATE, .keys = "id=9", .set = "nom=Bob");
	expect_contains(road->err.text, "no column 'nom'");
	refused(AMEND_INVALID, road, AMEND_GET_OR_CREATE, .keys = "id=9", .set = "name=Bob",
		.on_create = "nom=Bob");
	expect_contains(road->err.text, "no column 'nom'");
	engine_expect(engine, "SELECT count(*) FROM person", "1");
}

static void nothing_given(struct engine *engine)
{
	struct road *road = open_people(engine);

	refused(AMEND_INVALID, road, AMEND_GET_OR_CREATE, .set = "name=Bob");
	expect_contains(road->err.text, "expected a key");
	refused(AMEND_INVALID, road, AMEND_GET_OR_CREATE, .keys = "id=7, id=7", .set = "name=Bob");
	expect_contains(road->err.text, "twice");
	refused(AMEND_INVALID, road, AMEND_GET_OR_CREATE, .keys = "id=7", .set = "name=a, name=b");
	expect_contains(road->err.text, "twice");
}

static void reserved_words_as_columns(struct engine *engine)
{
	struct road *road = open_people(engine);

	ok(road, AMEND_GET_OR_CREATE, .keys = "id=2", .set = "name=Bob, order=by");
	engine_expect(engine, "SELECT \"order\" FROM person WHERE id = 2", "by");
}

static void foreign_key_violation(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE parent (id integer PRIMARY KEY)");
	engine_exec(engine, "CREATE TABLE child (id integer PRIMARY KEY, parent integer NOT NULL "
			    "REFERENCES parent (id), label text, UNIQUE (parent, label))");
	engine_exec(engine, "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 1, 'a')");
	road = road_open(engine, "child");
	refused(AMEND_CONSTRAINT, road, AMEND_GET_OR_CREATE, .keys = "parent=9, label=a",
		.set = "id=2");
	expect_text(road->err.sqlstate, "23503");
	engine_expect(engine, "SELECT count(*) FROM child", "1");
	/* Within the relation the same label is another record. */
	ok(road, AMEND_GET_OR_CREATE, .keys = "parent=1, label=a");
	said(road, "found");
	/* And what another record has already is not taken. */
	refused(AMEND_CONSTRAINT, road, AMEND_GET_OR_CREATE, .keys = "parent=1, label=b",
		.set = "id=1");
}

static enum amend_status refused_then_created(struct amend_conn *db, void *context,
					      struct amend_error *err)
{
	struct road *road = context;
	const struct asked bad = {AMEND_GET_OR_CREATE, .keys = "email=bob@x", .set = "id=3"};

	(void)db;
	return road_write(road, &bad) == AMEND_CONSTRAINT ? (*err = road->err).status : AMEND_OK;
}

static enum amend_status goes_on_after_refusal(struct amend_conn *db, void *context,
					       struct amend_error *err)
{
	struct road *road = context;

	/* The inner unit is undone; the outer one goes on. */
	assert_int_equal(amend_atomic(db, NULL, refused_then_created, road, err), AMEND_CONSTRAINT);
	return road_write(road,
			  ask(AMEND_GET_OR_CREATE, .keys = "email=eve@x", .set = "id=4, name=Eve"));
}

static void refusal_in_a_savepoint(struct engine *engine)
{
	struct road *road = open_people(engine);

	expect_ok(road_atomic(road, goes_on_after_refusal, road), &road->err);
	engine_expect(engine, "SELECT id, name FROM person ORDER BY id", "1|Ada\n4|Eve");
}

static void create_refuses_what_exists(struct engine *engine)
{
	struct road *road = open_people(engine);

	refused(AMEND_EXISTS, road, AMEND_CREATE, .keys = "email=ada@x", .set = "name=New");
	said(road, "conflict");
	expect_text(road_record(road), "id=1 email=ada@x name=Ada visits=7 order=NULL");
	expect_contains(road->err.text, "email=ada@x");
	ok(road, AMEND_CREATE, .keys = "email=new@x", .set = "name=New, id=2");
	assert_int_equal(road->result.outcome, AMEND_IS_CREATED);
	engine_expect(engine, "SELECT id, name FROM person ORDER BY id", "1|Ada\n2|New");
}

/* The hold of one who creates: a rival's insertion of the same key waits, and then is found. */
static void creation_that_lost_the_race(struct engine *engine)
{
	struct road *road = open_people(engine);
	struct foreign *other = foreign_open(engine);

	foreign_exec(other, engine_pick(engine, "BEGIN IMMEDIATE", "BEGIN"));
	foreign_exec(other, "INSERT INTO person (id, email, name) VALUES (2, 'bob@x', 'Rival')");
	foreign_start(other, 300, "COMMIT");
	ok(road, AMEND_GET_OR_CREATE, .keys = "email=bob@x", .set = "name=Bob, id=3");
	assert_null(foreign_finish(other));
	said(road, "found");
	expect_contains(road_record(road), "id=2 email=bob@x name=Rival");
	engine_expect(engine, "SELECT id, name FROM person ORDER BY id", "1|Ada\n2|Rival");
	history(road, NULL, "");
}

static void creation_whose_rival_gave_up(struct engine *engine)
{
	struct road *road = open_people(engine);
	struct foreign *other = foreign_open(engine);

	foreign_exec(other, engine_pick(engine, "BEGIN IMMEDIATE", "BEGIN"));
	foreign_exec(other, "INSERT INTO person (id, email, name) VALUES (2, 'bob@x', 'Rival')");
	foreign_start(other, 300, "ROLLBACK");
	ok(road, AMEND_GET_OR_CREATE, .keys = "email=bob@x", .set = "name=Bob, id=3");
	assert_null(foreign_finish(other));
	assert_int_equal(road->result.outcome, AMEND_IS_CREATED);
	engine_expect(engine, "SELECT id, name FROM person ORDER BY id", "1|Ada\n3|Bob");
}

static const struct engine_test tests[] = {
	{"get_or_create: what is found is not inserted", found_is_not_inserted},
	{"get_or_create: what is missing is created", missing_is_created},
	{"get_or_create: a second call changes nothing", second_call_changes_nothing},
	{"get_or_create: by primary key", by_primary_key},
	{"get_or_create: a missing NOT NULL value is CONSTRAINT", missing_not_null_value},
	{"get_or_create: duplicate primary key is CONSTRAINT, the row unchanged",
	 duplicate_primary_key},
	{"get_or_create: values on creation win over values for both", values_on_creation_alone},
	{"get_or_create: callback not called on found", callback_not_called_on_found},
	{"get_or_create: callback called on creation, and wins", callback_called_on_creation},
	{"get_or_create: what is found waits for nobody", found_waits_for_nobody},
	{"get_or_create: unknown columns are named, nothing is written", unknown_columns},
	{"get_or_create: no key, or a column twice, is INVALID", nothing_given},
	{"get_or_create: reserved words as columns", reserved_words_as_columns},
	{"get_or_create: a foreign key's violation surfaces", foreign_key_violation},
	{"get_or_create: the unit is usable after a refusal in a savepoint", refusal_in_a_savepoint},
	{"get_or_create: creation_in_transaction: the rival's record is found",
	 creation_that_lost_the_race},
	{"get_or_create: a rival that gave up leaves the creation to us",
	 creation_whose_rival_gave_up},
	{"create: what exists is EXISTS and shown", create_refuses_what_exists},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
