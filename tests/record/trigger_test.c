/*
 * Tables with a mind of their own: triggers, generated columns, policies, partitions.
 * What the road reports and records is what is stored in the end.
 */
#include "ask.h"

static const char person_sql[] = "CREATE TABLE person (id integer PRIMARY KEY, name text, n integer)";

/* `body` runs in PostgreSQL's trigger; SQLite's whole trigger is `sqlite`. */
static void add_trigger(struct engine *engine, const char *sqlite, const char *when,
			const char *body)
{
	if (engine_is(engine, "sqlite")) {
		engine_exec(engine, sqlite);
		return;
	}
	if (engine_is(engine, "mariadb")) {
		engine_exec(engine, "CREATE TRIGGER act BEFORE UPDATE ON person FOR EACH ROW SIGNAL "
				    "SQLSTATE '45000' SET MESSAGE_TEXT = 'closed on Sundays'");
		return;
	}
	engine_execf(engine,
		     "CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS "
		     "$f$BEGIN %s END$f$",
		     body);
	engine_execf(engine, "CREATE TRIGGER act %s ON person FOR EACH ROW EXECUTE FUNCTION act()",
		     when);
}

static struct road *open_people(struct engine *engine, const char *sqlite, const char *when,
				const char *body)
{
	engine_exec(engine, person_sql);
	engine_exec(engine, "INSERT INTO person VALUES (1, 'Ada', 1)");
	add_trigger(engine, sqlite, when, body);
	return road_open(engine, "person");
}

static void before_trigger_changes_values(struct engine *engine)
{
	struct road *road = open_people(
		engine, "", "BEFORE INSERT OR UPDATE",
		"NEW.name := upper(NEW.name); NEW.n := NEW.n + 10; RETURN NEW;");

	ok(road, .keys = "id=1", .set = "name=bob");
	said(road, "updated name: Ada -> BOB, n: 1 -> 11");
	expect_text(road_record(road), "id=1 name=BOB n=11");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=2", .set = "name=eve, n=1");
	said(road, "created id: NULL -> 2, name: NULL -> EVE, n: NULL -> 11");
	history(road, NULL,
		"create id=2 id: NULL -> 2, name: NULL -> EVE, n: NULL -> 11\n"
		"update id=1 name: Ada -> BOB, n: 1 -> 11");
}

static void after_trigger_changes_values(struct engine *engine)
{
	struct road *road = open_people(
		engine,
		"CREATE TRIGGER i AFTER INSERT ON person BEGIN UPDATE person SET n = 77 WHERE id = "
		"NEW.id; END; CREATE TRIGGER u AFTER UPDATE OF name ON person BEGIN UPDATE person SET "
		"n = OLD.n + 10 WHERE id = NEW.id; END",
		"AFTER INSERT OR UPDATE OF name",
		"IF TG_OP = 'INSERT' THEN UPDATE person SET n = 77 WHERE id = NEW.id; "
		"ELSE UPDATE person SET n = OLD.n + 10 WHERE id = NEW.id; END IF; RETURN NULL;");
	const char *token;

	ok(road, .keys = "id=1", .set = "name=Bob", .want_token = true);
	said(road, "updated name: Ada -> Bob, n: 1 -> 11");
	token = engine_printf(engine, "%s", road->result.token);
	ok(road, .keys = "id=1", .set = "n=5", .token = token);
	said(road, "updated n: 11 -> 5");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=2", .set = "name=Eve, n=1");
	said(road, "created id: NULL -> 2, name: NULL -> Eve, n: NULL -> 77");
	engine_expect(engine, "SELECT * FROM person ORDER BY id", "1|Bob|5\n2|Eve|77");
	history(road, NULL,
		"create id=2 id: NULL -> 2, name: NULL -> Eve, n: NULL -> 77\n"
		"update id=1 n: 11 -> 5\nupdate id=1 name: Ada -> Bob, n: 1 -> 11");
}

static void trigger_suppresses_an_update(struct engine *engine)
{
	struct road *road = open_people(
		engine, "CREATE TRIGGER a BEFORE UPDATE ON person BEGIN SELECT RAISE(IGNORE); END",
		"BEFORE UPDATE", "RETURN NULL;");
	int64_t begun = now_ms();

	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "name=Bob");
	said(road, "rejected");
	expect_contains(road->err.text, "person");
	expect_contains(road->err.text, "trigger");
	refused(AMEND_CONSTRAINT, road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "n+=1");
	expect_contains(road->err.text, "trigger");
	/* With a bound too: it is not the bound that was broken. */
	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "n+=1", .bounds = "n<=100");
	expect_contains(road->err.text, "trigger");
	assert_true(now_ms() - begun < 15000);
	engine_expect(engine, "SELECT * FROM person", "1|Ada|1");
	history(road, NULL, "");
}

static void trigger_suppresses_a_creation(struct engine *engine)
{
	struct road *road = open_people(
		engine, "CREATE TRIGGER a BEFORE INSERT ON person BEGIN SELECT RAISE(IGNORE); END",
		"BEFORE INSERT", "RETURN NULL;");
	int64_t begun = now_ms();

	refused(AMEND_CONSTRAINT, road, AMEND_UPDATE_OR_CREATE, .keys = "id=2", .set = "name=Bob");
	said(road, "rejected");
	expect_contains(road->err.text, "trigger");
	refused(AMEND_CONSTRAINT, road, AMEND_CREATE, .keys = "id=2", .set = "n+=1");
	expect_contains(road->err.text, "trigger");
	assert_true(now_ms() - begun < 15000);
	engine_expect(engine, "SELECT * FROM person", "1|Ada|1");
	history(road, NULL, "");
}

static void trigger_suppresses_a_deletion(struct engine *engine)
{
	struct road *road = open_people(
		engine, "CREATE TRIGGER a BEFORE DELETE ON person BEGIN SELECT RAISE(IGNORE); END",
		"BEFORE DELETE", "RETURN NULL;");
	int64_t begun = now_ms();

	expect_status(AMEND_CONSTRAINT, road_delete(road, ask(.keys = "id=1")), &road->err);
	expect_contains(road->err.text, "trigger");
	assert_true(now_ms() - begun < 15000);
	engine_expect(engine, "SELECT * FROM person", "1|Ada|1");
	history(road, NULL, "");
}

static void trigger_raises(struct engine *engine)
{
	struct road *road = open_people(
		engine,
		"CREATE TRIGGER a BEFORE UPDATE ON person BEGIN SELECT RAISE(ABORT, 'closed on "
		"Sundays'); END",
		"BEFORE UPDATE", "RAISE EXCEPTION 'closed on Sundays';");

	refused(AMEND_CONSTRAINT, road, .keys = "id=1", .set = "name=Bob");
	expect_contains(road->err.text, "closed on Sundays");
	history(road, NULL, "");
}

/* --- Generated columns --- */

static void generated_columns(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, a integer, "
			    "twice integer GENERATED ALWAYS AS (a * 2) STORED)");
	road = road_open(engine, "t");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "a=2");
	said(road, "created id: NULL -> 1, a: NULL -> 2");
	expect_text(road_record(road), "id=1 a=2 twice=4");
	ok(road, .keys = "id=1", .set = "a=3");
	said(road, "updated a: 2 -> 3");
	expect_text(road_record(road), "id=1 a=3 twice=6");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "twice=8");
	expect_contains(road->err.text, "generated");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "twice+=1");
	/* It may find a record, but never makes one. */
	ok(road, .keys = "twice=6", .set = "a=4");
	engine_expect(engine, "SELECT * FROM t", "1|4|8");
}

static void identity_columns(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
			    "k text UNIQUE)");
	road = road_open(engine, "t");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "k=a");
	expect_text(road_record(road), "id=1 k=a");
	refused(AMEND_INVALID, road, AMEND_UPDATE_OR_CREATE, .keys = "id=7", .set = "k=b");
	expect_contains(road->err.text, "generated");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "k=b");
	said(road, "updated k: a -> b");
	engine_expect(engine, "SELECT * FROM t", "1|b");
	history(road, "id=1", "update id=1 k: a -> b\ncreate id=1 k: NULL -> a");
}

/* --- Policies and partitions --- */

static enum amend_status hold_2(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db;
	return road_hold(road, "id=2", AMEND_FOR_UPDATE, AMEND_WAIT) == AMEND_OK
		       ? AMEND_OK
		       : (*err = road->err).status;
}

static void row_level_security(struct engine *engine)
{
	const char *role, *url = engine_url_of_role(engine, &role);
	struct road *road;

	engine_exec(engine,
		    "CREATE TABLE doc (id integer PRIMARY KEY, owner text, body text); "
		    "ALTER TABLE doc ENABLE ROW LEVEL SECURITY; "
		    "CREATE POLICY see ON doc FOR SELECT USING (owner <> 'hidden'); "
		    "CREATE POLICY put ON doc FOR INSERT WITH CHECK (owner = 'me'); "
		    "CREATE POLICY own ON doc FOR UPDATE USING (owner = 'me'); "
		    "CREATE POLICY del ON doc FOR DELETE USING (owner = 'me'); "
		    "INSERT INTO doc VALUES (1, 'me', 'a'), (2, 'you', 'b'), (3, 'hidden', 'c')");
	engine_execf(engine, "GRANT ALL ON doc TO %s; GRANT CREATE ON DATABASE %s TO %s", role,
		     engine_scalar(engine, "SELECT current_database()"), role);
	road = road_open_with(engine, url, NULL, "doc");
	ok(road, .keys = "id=1", .set = "body=x");
	said(road, "updated body: a -> x");
	refused(AMEND_CONSTRAINT, road, .keys = "id=2", .set = "body=x");
	expect_contains(road->err.text, "policy");
	expect_status(AMEND_CONSTRAINT, road_delete(road, ask(.keys = "id=2")), &road->err);
	expect_status(AMEND_CONSTRAINT, road_atomic(road, hold_2, road), &road->err);
	expect_contains(road->err.text, "policy");
	refused(AMEND_NOT_FOUND, road, .keys = "id=3", .set = "body=x");
	/* There, but not to be seen: neither created twice nor a loop. */
	refused(AMEND_CONSTRAINT, road, AMEND_UPDATE_OR_CREATE, .keys = "id=3",
		.set = "owner=me, body=x");
	refused(AMEND_DENIED, road, AMEND_UPDATE_OR_CREATE, .keys = "id=4", .set = "owner=you");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=4", .set = "owner=me");
	engine_expect(engine, "SELECT * FROM doc ORDER BY id",
		      "1|me|x\n2|you|b\n3|hidden|c\n4|me|NULL");
	engine_execf(engine, "REVOKE ALL ON DATABASE %s FROM %s; DROP SCHEMA amend CASCADE",
		     engine_scalar(engine, "SELECT current_database()"), role);
}

static void partitioned_table(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE m (day integer, k text, v text, PRIMARY KEY (day, k)) "
			    "PARTITION BY RANGE (day); "
			    "CREATE TABLE m1 PARTITION OF m FOR VALUES FROM (0) TO (10); "
			    "CREATE TABLE m2 PARTITION OF m FOR VALUES FROM (10) TO (20)");
	road = road_open(engine, "m");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "day=3, k=a", .set = "v=1");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "day=3, k=a", .set = "v=2");
	said(road, "updated v: 1 -> 2");
	/* To another partition. */
	ok(road, .keys = "day=3, k=a", .set = "day=13, v=3");
	said(road, "updated day: 3 -> 13, v: 2 -> 3");
	engine_expect(engine, "SELECT count(*) FROM m2", "1");
	ok(road, .keys = "day=13, k=a", .set = "v=3");
	said(road, "unchanged");
	refused(AMEND_CONSTRAINT, road, AMEND_UPDATE_OR_CREATE, .keys = "day=33, k=a", .set = "v=1");
	history(road, "day=13, k=a",
		"update day=13 k=a day: 3 -> 13, v: 2 -> 3\nupdate day=3 k=a v: 1 -> 2\n"
		"create day=3 k=a day: NULL -> 3, k: NULL -> a, v: NULL -> 1");
	expect_ok(road_delete(road, ask(.keys = "day=13, k=a")), &road->err);
	engine_expect(engine, "SELECT count(*) FROM m", "0");
}

static const struct engine_test tests[] = {
	{"BEFORE trigger changes values: what is stored is reported", before_trigger_changes_values,
	 .only = "postgresql"},
	{"AFTER trigger changes values: what is stored is reported", after_trigger_changes_values,
	 .not_on = "mariadb"}, /* whose triggers leave their own table alone, and drop no row */
	{"a trigger that suppresses an update is CONSTRAINT", trigger_suppresses_an_update,
	 .not_on = "mariadb"},
	{"a trigger that suppresses a creation is CONSTRAINT, and no loop",
	 trigger_suppresses_a_creation, .not_on = "mariadb"},
	{"a trigger that suppresses a deletion is CONSTRAINT", trigger_suppresses_a_deletion,
	 .not_on = "mariadb"},
	{"what a trigger raises is CONSTRAINT with its text", trigger_raises},
	{"generated columns are never written, and shown", generated_columns},
	{"identity columns that the database alone gives", identity_columns, .only = "postgresql"},
	{"row level security", row_level_security, .only = "postgresql"},
	{"partitioned tables, and a row that moves between partitions", partitioned_table,
	 .only = "postgresql"},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
