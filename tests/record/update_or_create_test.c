/*
 * Update or create: what is there is changed, what is missing is made, and a
 * rival in between loses nothing.
 * Leaves expectations to expect_test.c and arithmetic to arithmetic_test.c.
 */
#include "ask.h"

static const char person_sql[] =
	"CREATE TABLE person (id integer PRIMARY KEY, email text UNIQUE, name text NOT NULL, "
	"city text, visits integer)";

static struct road *open_people(struct engine *engine)
{
	engine_exec(engine, person_sql);
	engine_exec(engine, "INSERT INTO person VALUES (1, 'ada@x', 'Ada', 'London', 7)");
	return road_open(engine, "person");
}

static void existing_is_updated(struct engine *engine)
{
	struct road *road = open_people(engine);

	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "email=ada@x", .set = "name=Ada L., city=London");
	said(road, "updated name: Ada -> Ada L.");
	expect_text(road_record(road), "id=1 email=ada@x name=Ada L. city=London visits=7");
	history(road, "id=1", "update id=1 name: Ada -> Ada L.");
}

static void missing_is_created(struct engine *engine)
{
	struct road *road = open_people(engine);

	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "email=bob@x", .set = "id=2, name=Bob");
	said(road, "created id: NULL -> 2, email: NULL -> bob@x, name: NULL -> Bob");
	engine_expect(engine, "SELECT * FROM person WHERE id = 2", "2|bob@x|Bob|NULL|NULL");
}

static void create_twice(struct engine *engine)
{
	struct road *road = open_people(engine);
	const struct asked same = {AMEND_UPDATE_OR_CREATE, .keys = "id=2",
				   .set = "name=Bob, city=Paris",
				   .on_create = "city=Rome, visits=1"};

	expect_ok(road_write(road, &same), &road->err);
	said(road,
	     "created id: NULL -> 2, name: NULL -> Bob, city: NULL -> Rome, visits: NULL -> 1");
	/* What is for creations alone is ignored on an update. */
	expect_ok(road_write(road, &same), &road->err);
	said(road, "updated city: Rome -> Paris");
	expect_ok(road_write(road, &same), &road->err);
	said(road, "unchanged");
	engine_expect(engine, "SELECT * FROM person WHERE id = 2", "2|NULL|Bob|Paris|1");
}

static void missing_not_null_value(struct engine *engine)
{
	struct road *road = open_people(engine);

	refused(AMEND_CONSTRAINT, road, AMEND_UPDATE_OR_CREATE, .keys = "id=2", .set = "city=Rome");
	expect_text(road->err.sqlstate, "23502");
	refused(AMEND_CONSTRAINT, road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "name=NULL");
	engine_expect(engine, "SELECT id, name FROM person", "1|Ada");
	history(road, NULL, "");
}

static void given_primary_key(struct engine *engine)
{
	struct road *road = open_people(engine);

	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "name=New");
	said(road, "updated name: Ada -> New");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=77", .set = "name=Late");
	engine_expect(engine, "SELECT id FROM person ORDER BY id", "1\n77");
}

static void duplicate_primary_key(struct engine *engine)
{
	struct road *road = open_people(engine);

	refused(AMEND_CONSTRAINT, road, AMEND_UPDATE_OR_CREATE, .keys = "email=bob@x",
		.set = "id=1, name=Bob");
	expect_text(road->err.sqlstate, "23505");
	engine_expect(engine, "SELECT * FROM person", "1|ada@x|Ada|London|7");
}

struct given {
	const char *name;
	int calls;
	char saw[64];
};

static enum amend_status compute(struct amend_compute *compute, const struct amend_value *current,
				 void *context, struct amend_error *err)
{
	struct given *given = context;
	struct amend_value value = amend_text(given->name);

	given->calls++;
	snprintf(given->saw, sizeof(given->saw), "%.*s", current ? (int)current[2].size : 4,
		 current ? current[2].as.text : "none");
	return amend_compute_set(compute, "name", &value, err);
}

static void callback_on_update(struct engine *engine)
{
	struct road *road = open_people(engine);
	struct given given = {.name = "Computed"};

	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "name=Given", .compute = compute,
	   .context = &given);
	said(road, "updated name: Ada -> Computed");
	expect_text(given.saw, "Ada");
	assert_int_equal(given.calls, 1);
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .compute = compute, .context = &given);
	said(road, "unchanged");
}

static void callback_on_creation(struct engine *engine)
{
	struct road *road = open_people(engine);
	struct given given = {.name = "Computed"};

	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=2", .on_create = "name=Born",
	   .compute = compute, .context = &given);
	expect_text(given.saw, "none");
	engine_expect(engine, "SELECT name FROM person WHERE id = 2", "Computed");
}

static enum amend_status compute_refuses(struct amend_compute *compute,
					 const struct amend_value *current, void *context,
					 struct amend_error *err)
{
	(void)compute, (void)current, (void)context;
	return amend_error_set(err, AMEND_CONFLICT, "not today");
}

static void callback_refuses(struct engine *engine)
{
	struct road *road = open_people(engine);

	refused(AMEND_CONFLICT, road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "name=x",
		.compute = compute_refuses);
	expect_text(road->err.text, "not today");
	engine_expect(engine, "SELECT name FROM person", "Ada");
}

static enum amend_status compute_nonsense(struct amend_compute *compute,
					  const struct amend_value *current, void *context,
					  struct amend_error *err)
{
	struct amend_value value = amend_text("x");

	(void)current, (void)context;
	return amend_compute_set(compute, "nonsense", &value, err);
}

static void unknown_columns(struct engine *engine)
{
	struct road *road = open_people(engine);

	refused(AMEND_INVALID, road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "name=x, nom=y");
	expect_contains(road->err.text, "no column 'nom'");
	refused(AMEND_INVALID, road, AMEND_UPDATE_OR_CREATE, .keys = "nid=1", .set = "name=x");
	expect_contains(road->err.text, "no column 'nid'");
	refused(AMEND_INVALID, road, AMEND_UPDATE_OR_CREATE, .keys = "id=1",
		.compute = compute_nonsense);
	expect_contains(road->err.text, "no column 'nonsense'");
	refused(AMEND_INVALID, road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "name=x",
		.bounds = "nom>=1");
	expect_contains(road->err.text, "no column 'nom'");
	engine_expect(engine, "SELECT name FROM person", "Ada");
}

/* The trigger fires when the column is in SET at all, even with the same value. */
static void only_changed_columns_are_written(struct engine *engine)
{
	struct road *road = open_people(engine);

	engine_exec(engine, "CREATE TABLE touched (col text)");
	if (engine_is(engine, "sqlite")) {
		engine_exec(engine, "CREATE TRIGGER a AFTER UPDATE OF city ON person BEGIN "
				    "INSERT INTO touched VALUES ('city'); END");
	} else {
		engine_exec(engine,
			    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS "
			    "$$BEGIN INSERT INTO touched VALUES ('city'); RETURN NULL; END$$");
		engine_exec(engine, "CREATE TRIGGER a AFTER UPDATE OF city ON person FOR EACH ROW "
				    "EXECUTE FUNCTION touch()");
	}
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "name=New, city=London, visits=7");
	said(road, "updated name: Ada -> New");
	engine_expect(engine, "SELECT count(*) FROM touched", "0");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "city=Rome");
	engine_expect(engine, "SELECT count(*) FROM touched", "1");
}

/* --- Rivals --- */

struct rival {
	struct road *road;
	struct foreign *other;
	const char *sql;
	int calls;
};

/* While the record is held: the rival has to wait, and then writes over nothing. */
static enum amend_status start_rival(struct amend_compute *compute,
				     const struct amend_value *current, void *context,
				     struct amend_error *err)
{
	struct rival *rival = context;
	struct amend_value value = amend_text("Held");

	assert_non_null(current);
	if (rival->calls++ == 0) {
		foreign_start(rival->other, 0, rival->sql);
		foreign_wait_blocked(rival->other);
	}
	return amend_compute_set(compute, "name", &value, err);
}

static void updates_in_transaction(struct engine *engine)
{
	struct road *road = open_people(engine);
	struct rival rival = {.other = foreign_open(engine),
			      .sql = "UPDATE person SET visits = visits + 1 WHERE id = 1"};

	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .compute = start_rival, .context = &rival);
	assert_null(foreign_finish(rival.other));
	assert_int_equal(rival.calls, 1);
	said(road, "updated name: Ada -> Held");
	engine_expect(engine, "SELECT name, visits FROM person", "Held|8");
}

/* Runs the rival's statement before the first statement of ours that would write. */
static void before_write(void *context, const struct amend_trace_event *event)
{
	struct rival *rival = context;
	bool writes = event->op == AMEND_TRACE_BEGIN;

	for (size_t i = 0; i < event->n_statements; i++)
		writes = writes || strstr(event->statements[i].sql, "INTO \"public\".\"person\"") ||
			 strstr(event->statements[i].sql, "UPDATE \"public\".\"person\"") ||
			 strstr(event->statements[i].sql, "FOR UPDATE");
	if (writes && rival->calls++ == 0)
		foreign_exec(rival->other, rival->sql);
}

static struct rival *set_rival(struct road *road, const char *sql)
{
	struct rival *rival = amend_arena_alloc(engine_arena(road->engine), sizeof(*rival));

	rival->other = foreign_open(road->engine);
	rival->sql = sql;
	rival->road = road;
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	road->trace.context = rival;
	road->trace.before = before_write;
	return rival;
}

static void creation_in_transaction(struct engine *engine)
{
	struct road *road = open_people(engine);
	struct rival *rival = set_rival(
		road, "INSERT INTO person VALUES (2, 'bob@x', 'Rival', 'Oslo', 3)");

	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "email=bob@x", .set = "id=2, name=Bob");
	assert_true(rival->calls > 0);
	said(road, "updated name: Rival -> Bob");
	engine_expect(engine, "SELECT * FROM person WHERE id = 2", "2|bob@x|Bob|Oslo|3");
}

static void rival_changed_another_column(struct engine *engine)
{
	struct road *road = open_people(engine);
	struct rival *rival = set_rival(road, "UPDATE person SET city = 'Oslo' WHERE id = 1");

	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "name=Bob");
	assert_true(rival->calls > 0);
	said(road, "updated name: Ada -> Bob");
	expect_contains(road_record(road), "city=Oslo");
	engine_expect(engine, "SELECT name, city FROM person", "Bob|Oslo");
}

/* What the history calls the old value is what was really replaced. */
static void rival_changed_the_same_column(struct engine *engine)
{
	struct road *road = open_people(engine);
	struct rival *rival = set_rival(road, "UPDATE person SET name = 'Rival' WHERE id = 1");

	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "name=Bob");
	assert_true(rival->calls > 0);
	said(road, "updated name: Rival -> Bob");
	history(road, "id=1", "update id=1 name: Rival -> Bob");
}

static void rival_wrote_the_same(struct engine *engine)
{
	struct road *road = open_people(engine);
	struct rival *rival = set_rival(road, "UPDATE person SET name = 'Bob' WHERE id = 1");

	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "name=Bob");
	assert_true(rival->calls > 0);
	said(road, "unchanged");
	history(road, "id=1", "");
}

static void rival_deleted_it(struct engine *engine)
{
	struct road *road = open_people(engine);
	struct rival *rival = set_rival(road, "DELETE FROM person");

	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "name=Bob");
	assert_true(rival->calls > 0);
	said(road, "created id: NULL -> 1, name: NULL -> Bob");
	rival->sql = "DELETE FROM person";
	rival->calls = 0;
	refused(AMEND_NOT_FOUND, road, .keys = "id=1", .set = "name=Eve");
	said(road, "missing");
	refused(AMEND_NOT_FOUND, road, .keys = "id=1", .set = "name=Eve");
}

static void update_needs_the_record(struct engine *engine)
{
	struct road *road = open_people(engine);

	refused(AMEND_NOT_FOUND, road, .keys = "id=9", .set = "name=x");
	said(road, "missing");
	expect_contains(road->err.text, "id=9");
	engine_expect(engine, "SELECT count(*) FROM person", "1");
}

static const struct engine_test tests[] = {
	{"update_or_create: what is there is updated", existing_is_updated},
	{"update_or_create: what is missing is created", missing_is_created},
	{"update_or_create: create_twice: values on creation, then values", create_twice},
	{"update_or_create: integrity: NOT NULL is CONSTRAINT", missing_not_null_value},
	{"update_or_create: a primary key given by the caller", given_primary_key},
	{"update_or_create: a duplicate primary key overwrites nothing", duplicate_primary_key},
	{"update_or_create: callback on update sees the record and wins", callback_on_update},
	{"update_or_create: callback on creation", callback_on_creation},
	{"update_or_create: a callback that refuses", callback_refuses},
	{"update_or_create: invalid columns anywhere are named", unknown_columns},
	{"update_or_create: only changed columns are written", only_changed_columns_are_written,
	 .not_on = "mariadb" /* no UPDATE OF */},
	{"update_or_create: updates_in_transaction: the rival waits, both changes survive",
	 updates_in_transaction},
	{"update_or_create: creation_in_transaction: the rival's record is updated",
	 creation_in_transaction},
	{"update_or_create: a rival's change of another column survives",
	 rival_changed_another_column},
	{"update_or_create: a rival's value is the old one in the history",
	 rival_changed_the_same_column},
	{"update_or_create: a rival that wrote the same leaves nothing to write",
	 rival_wrote_the_same},
	{"update_or_create: a record deleted in between is created; update says missing",
	 rival_deleted_it},
	{"update: the record must be there", update_needs_the_record},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
