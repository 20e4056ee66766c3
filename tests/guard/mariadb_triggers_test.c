/*
 * Guarded tables on MariaDB: which transaction a revision is, what its triggers cannot see, and whose rights they need.
 * Leaves what every engine promises to guard_test.c.
 */
#include "ask.h"

#include "core/buffer.h"

/* ---- helpers ---- */

#define guard(road, table, ...)                                                                    \
	expect_ok(amend_guard((road)->db, table, &(const struct amend_guard_options){__VA_ARGS__}, \
			      NULL, &(road)->err),                                                 \
		  &(road)->err)

static struct road *open_t(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, n integer, v integer NOT NULL "
			    "DEFAULT 1); INSERT INTO t (id, n) VALUES (1, 1)");
	road = road_open(engine, NULL);
	guard(road, "t", .version_column = "v", .history = true);
	road_table(road, "t");
	return road;
}

/* How many revisions these statements of one program came to, and that each change has its own. */
static void revisions(struct engine *engine, const char *sql, const char *expected)
{
	struct foreign *foreign = foreign_open(engine);
	const char *message;

	engine_exec(engine, "DELETE FROM amend_change; DELETE FROM amend_revision");
	message = foreign_try(foreign, sql);
	if (message)
		fail_at(__FILE__, __LINE__, "%s: %s", sql, message);
	foreign_close(foreign);
	expect_text_at(engine_rows(engine, "SELECT (SELECT count(*) FROM amend_revision), "
					   "count(DISTINCT revision), count(*) FROM amend_change"),
		       expected, sql, __FILE__, __LINE__);
}

static const char *refusal(struct road *road, const char *table, bool history,
			   enum amend_stale_rule rule)
{
	const struct amend_guard_options options = {.stale = rule, .history = history};

	expect_status(AMEND_UNSUPPORTED, amend_guard(road->db, table, &options, NULL, &road->err),
		      &road->err);
	return road->err.text;
}

static void add_finding(void *context, enum amend_level level, const char *topic, const char *text)
{
	if (strcmp(topic, "guard") == 0)
		amend_buffer_printf(context, "%d %s\n", (int)level, text);
}

static const char *check(struct road *road)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const char *copy;

	expect_ok(amend_check(road->db, add_finding, &text, &road->err), &road->err);
	copy = engine_printf(road->engine, "%s", amend_buffer_string(&text));
	amend_buffer_release(&text);
	return copy;
}

/* ---- whose revision ---- */

#define UP "UPDATE t SET n = n + 1; "

static void a_transaction_is_a_revision(struct engine *engine)
{
	open_t(engine);
	engine_exec(engine, "CREATE TABLE other (id integer PRIMARY KEY)");
	revisions(engine, UP UP, "2|2|2");
	revisions(engine, "BEGIN; " UP UP "COMMIT; " UP "BEGIN; " UP "COMMIT", "3|3|4");
	revisions(engine, "BEGIN; " UP "BEGIN; " UP "COMMIT AND CHAIN; " UP "COMMIT", "3|3|3");
	revisions(engine, "SET autocommit = 0; " UP UP "COMMIT; " UP "COMMIT; " UP "COMMIT",
		  "3|3|4");
	/* What ends a transaction without saying so. */
	revisions(engine,
		  "SET autocommit = 0; " UP "CREATE TABLE a (id integer); " UP "DROP TABLE a; " UP
		  "COMMIT",
		  "3|3|3");
	/* Statements are told apart by their time: a program that holds its clock has one. */
	revisions(engine, "SET timestamp = 1700000000; BEGIN; " UP "COMMIT; BEGIN; " UP "COMMIT",
		  "1|1|2");
	engine_exec(engine, "INSERT INTO t (id) VALUES (2), (3)");
	revisions(engine, "UPDATE t SET n = coalesce(n, 0) + 1", "1|1|3");
}

/* Nothing is put under a revision that is gone, or was another transaction's. */
static void undone(struct engine *engine)
{
	open_t(engine);
	revisions(engine, "BEGIN; " UP "ROLLBACK; BEGIN; " UP UP "COMMIT", "1|1|2");
	revisions(engine, "BEGIN; SAVEPOINT s; " UP "ROLLBACK TO SAVEPOINT s; " UP UP "COMMIT",
		  "1|1|2");
	revisions(engine,
		  "BEGIN; " UP "SAVEPOINT s; " UP "ROLLBACK TO SAVEPOINT s; " UP "COMMIT; " UP,
		  "2|2|3");
	/* Also where all statements have one time. */
	revisions(engine, "SET timestamp = 1700000000; BEGIN; " UP "ROLLBACK; " UP, "1|1|1");
	revisions(engine,
		  "SET timestamp = 1700000000; BEGIN; SAVEPOINT s; " UP
		  "ROLLBACK TO SAVEPOINT s; " UP UP "COMMIT",
		  "1|1|2");
	/* A statement that fails behind its first row. */
	engine_exec(engine, "CREATE TABLE one (id integer PRIMARY KEY, u integer UNIQUE, v integer "
			    "NOT NULL DEFAULT 1); INSERT INTO one (id, u) VALUES (1, 1), (2, 2)");
	guard(road_open(engine, NULL), "one", .version_column = "v", .history = true);
	revisions(engine,
		  "CREATE PROCEDURE p() BEGIN DECLARE CONTINUE HANDLER FOR 1062 SET @a "
		  "= 1; UPDATE one SET u = u + 1 ORDER BY id DESC; UPDATE one SET u = 9; UPDATE "
		  "one SET u = 8 WHERE id = 1; END; BEGIN; CALL p(); COMMIT; CALL p()",
		  "3|3|6");
}

/* A write of amend's that fails leaves the program nothing to write under. */
static void handed_and_not_taken(struct engine *engine)
{
	struct foreign *foreign;
	struct road *road;

	open_t(engine);
	engine_exec(engine, "INSERT INTO t (id, n) VALUES (2, 2)");
	engine_exec(engine, "CREATE TRIGGER never BEFORE DELETE ON t FOR EACH ROW SIGNAL SQLSTATE "
			    "'45000' SET MESSAGE_TEXT = 'never'");
	foreign = foreign_open(engine);
	road = road_adopt(engine, foreign, "t");
	expect_ok(amend_set_author(road->db, "Anna", "", "", &road->err), &road->err);
	expect_status(AMEND_CONSTRAINT, road_delete(road, ask(.keys = "id=2")), &road->err);
	foreign_exec(foreign, "UPDATE t SET n = 7 WHERE id = 1");
	ok(road, .keys = "id=1", .set = "n=8");
	foreign_exec(foreign,
		     "UPDATE t SET n = 9 WHERE id = 1; BEGIN; UPDATE t SET n = 10 WHERE id = "
		     "1; COMMIT");
	engine_expect(
		engine,
		"SELECT r.who, c.fields FROM amend_change c JOIN amend_revision r ON r.id = "
		"c.revision WHERE c.pk = '{\"id\":1}' ORDER BY c.id",
		engine_printf(engine,
			      "%s|{\"n\":[1,7],\"v\":[1,2]}\nAnna|{\"n\":[7,8],\"v\":[2,3]}\n"
			      "%s|{\"n\":[8,9],\"v\":[3,4]}\n%s|{\"n\":[9,10],\"v\":[4,5]}",
			      engine_scalar(engine, "SELECT substring_index(user(), '@', 1)"),
			      engine_scalar(engine, "SELECT substring_index(user(), '@', 1)"),
			      engine_scalar(engine, "SELECT substring_index(user(), '@', 1)")));
	engine_expect(engine, "SELECT count(DISTINCT revision) FROM amend_change WHERE id > 1", "4");
}

/* ---- what triggers do not see ---- */

static void next_is_refused(struct engine *engine)
{
	struct road *road = open_t(engine);

	expect_contains(refusal(road, "t", false, AMEND_STALE_NEXT),
			"the rule next would let stale writes pass (hint: --stale either");
}

static void cascades_are_refused(struct engine *engine)
{
	static const struct {
		const char *does;
		const char *refused; /* without history; NULL: it is not */
	} cases[] = {
		{"ON DELETE CASCADE", NULL},
		{"ON DELETE SET NULL", "ON DELETE SET NULL"},
		{"ON UPDATE CASCADE", "ON UPDATE CASCADE"},
		{"ON UPDATE SET NULL", "ON UPDATE SET NULL"},
	};
	struct road *road;

	engine_exec(engine, "CREATE TABLE p (id integer PRIMARY KEY)");
	road = road_open(engine, NULL);
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *name = engine_printf(engine, "c%zu", i);

		engine_execf(engine,
			     "CREATE TABLE %s (id integer PRIMARY KEY, p integer, v integer NOT NULL "
			     "DEFAULT 1, CONSTRAINT to_p_%zu FOREIGN KEY (p) REFERENCES p (id) %s)",
			     name, i, cases[i].does);
		expect_contains(refusal(road, name, true, AMEND_STALE_EQUAL),
				engine_printf(engine,
					      "%s cannot be guarded: its foreign key "
					      "to_p_%zu is %s,",
					      name, i, cases[i].does));
		if (cases[i].refused)
			(void)refusal(road, name, false, AMEND_STALE_EQUAL);
		else
			guard(road, name, .version_column = "v");
	}
	engine_expect(engine,
		      "SELECT group_concat(trigger_name) FROM information_schema.triggers "
		      "WHERE trigger_schema = DATABASE()",
		      "amend_guard_version_c0");
	/* One that comes later is seen, and its rows' changes are nothing that amend takes for recorded. */
	engine_exec(engine, "CREATE TABLE d (id integer PRIMARY KEY, p integer, v integer NOT NULL "
			    "DEFAULT 1)");
	guard(road, "d", .version_column = "v", .history = true);
	engine_exec(engine,
		    "ALTER TABLE d ADD CONSTRAINT late FOREIGN KEY (p) REFERENCES p (id) ON "
		    "DELETE CASCADE; INSERT INTO p VALUES (1); INSERT INTO d (id, p) VALUES (7, 1)");
	expect_contains(check(road), "2 d cannot be guarded as it was: d cannot be guarded: its "
				     "foreign key late is ON DELETE CASCADE");
	road_table(road, "p");
	expect_status(AMEND_CONSTRAINT, road_delete(road, ask(.keys = "id=1")), &road->err);
	expect_contains(road->err.text, "nothing would record that (hint: see to them first)");
	/* It can be taken away. */
	expect_ok(amend_unguard(road->db, "d", NULL, &road->err), &road->err);
}

/* Not by amend, so that its ledger does not say so: a table that is open finds out by what they leave undone. */
static void triggers_go_while_it_is_open(struct engine *engine)
{
	for (int history = 0; history <= 1; history++) {
		struct road *road;

		engine_exec(
			engine,
			"DROP TABLE IF EXISTS t; CREATE TABLE t (id integer PRIMARY KEY, n integer, "
			"v integer NOT NULL DEFAULT 1); INSERT INTO t (id, n) VALUES (1, 1)");
		road = road_open(engine, NULL);
		guard(road, "t", .version_column = "v", .history = history);
		road_table(road, "t");
		ok(road, .keys = "id=1", .set = "n=2");
		engine_exec(engine, "DROP TRIGGER amend_guard_version_t");
		if (history)
			engine_exec(engine,
				    "DROP TRIGGER amend_guard_update_t; DROP TRIGGER "
				    "amend_guard_delete_t; DROP TRIGGER amend_guard_insert_t");
		refused(AMEND_INVALID, road, .keys = "id=1", .set = "n=3");
		expect_contains(road->err.text, "nothing was written (hint: open it again)");
		if (history) {
			expect_status(AMEND_INVALID, road_delete(road, ask(.keys = "id=1")),
				      &road->err);
			refused(AMEND_INVALID, road, AMEND_CREATE, .keys = "id=2");
		}
		engine_expect(engine, "SELECT id, n, v FROM t", "1|2|2");
		road_close(road);
	}
}

#define STAND                                                                          \
	"SELECT coalesce(group_concat(substr(trigger_name, 13) ORDER BY 1), '') FROM " \
	"information_schema.triggers WHERE trigger_schema = DATABASE()"

/* Every write is refused, and the guard can be made whole. */
static void refuses_all(struct road *road)
{
	static const char why[] = "t: of the triggers of amend guard that record, some are gone; "
				  "nothing was written (hint: amend guard once more";
	struct engine *engine = road->engine;
	const char *rows = engine_rows(engine, "SELECT * FROM t");
	const char *changes = engine_rows(engine, "SELECT id FROM amend_change");

	road_table(road, "t");
	expect_status(AMEND_INVALID, road_delete(road, ask(.keys = "id=1")), &road->err);
	expect_contains(road->err.text, why);
	refused(AMEND_INVALID, road, AMEND_CREATE, .keys = "id=3");
	expect_contains(road->err.text, why);
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "n=7");
	expect_contains(road->err.text, why);
	engine_expect(engine, "SELECT * FROM t", rows);
	engine_expect(engine, "SELECT id FROM amend_change", changes);
	guard(road, "t", .version_column = "v", .history = true);
	road_table(road, "t");
	engine_exec(engine, "DELETE FROM amend_change");
	expect_ok(road_delete(road, ask(.keys = "id=1")), &road->err);
	ok(road, AMEND_CREATE, .keys = "id=1");
	ok(road, .keys = "id=1", .set = "n=1");
	engine_expect(engine, "SELECT op FROM amend_change ORDER BY id", "delete\ncreate\nupdate");
}

/* Nothing is written that history does not have, or has twice. */
static void half_a_guard(struct engine *engine)
{
	struct road *road = open_t(engine);

	engine_exec(engine, "DROP TRIGGER amend_guard_delete_t");
	expect_status(AMEND_INVALID, road_delete(road, ask(.keys = "id=1")), &road->err);
	expect_contains(road->err.text, "nothing was written (hint: open it again)");
	/* What its trigger still records. */
	ok(road, AMEND_CREATE, .keys = "id=2");
	engine_expect(engine, "SELECT op, pk FROM amend_change", "create|{\"id\":2}");
	refuses_all(road);

	engine_exec(engine, "DELETE FROM amend_change; DROP TRIGGER amend_guard_insert_t");
	refused(AMEND_INVALID, road, AMEND_CREATE, .keys = "id=3");
	expect_contains(road->err.text, "nothing was written (hint: open it again)");
	expect_ok(road_delete(road, ask(.keys = "id=2")), &road->err);
	engine_expect(engine, "SELECT op, pk FROM amend_change", "delete|{\"id\":2}");
	refuses_all(road);

	engine_exec(engine, "DROP TRIGGER amend_guard_insert_t; DROP TRIGGER amend_guard_delete_t");
	refuses_all(road);
	engine_exec(engine, "DROP TRIGGER amend_guard_update_t");
	refuses_all(road);
	engine_expect(engine, "SELECT id, n FROM t", "1|1");
}

/* Of the name, but not amend's. */
static void a_trigger_that_records_nothing(struct engine *engine)
{
	struct road *road = open_t(engine);

	engine_exec(engine, "CREATE OR REPLACE TRIGGER amend_guard_delete_t AFTER DELETE ON t FOR "
			    "EACH ROW SET @a = 1; CREATE OR REPLACE TRIGGER amend_guard_insert_t "
			    "AFTER INSERT ON t FOR EACH ROW SET @a = 1");
	expect_status(AMEND_INVALID, road_delete(road, ask(.keys = "id=1")), &road->err);
	expect_contains(road->err.text, "t: its triggers have recorded nothing of this deletion; "
					"nothing was written");
	refused(AMEND_INVALID, road, AMEND_CREATE, .keys = "id=2");
	expect_contains(road->err.text, "recorded nothing of this creation");
	ok(road, .keys = "id=1", .set = "n=2");
	engine_expect(engine, "SELECT id, n FROM t", "1|2");
	engine_expect(engine, "SELECT op FROM amend_change", "update");
}

/* The trigger of updates is the last to come and the first to go. */
static void ends_halfway(struct engine *engine)
{
	struct road *road = open_t(engine);

	road->trace.fault = (struct amend_trace_fault){.op = AMEND_TRACE_STATEMENT,
						       .sql = "DROP TRIGGER",
						       .nth = 2,
						       .status = AMEND_INTERNAL,
						       .aftermath = AMEND_TRACE_AS_IS};
	expect_status(AMEND_INTERNAL, amend_unguard(road->db, "t", NULL, &road->err), &road->err);
	engine_expect(engine, STAND, "delete_t,insert_t,version_t");
	refuses_all(road);
	expect_ok(amend_unguard(road->db, "t", NULL, &road->err), &road->err);
	engine_expect(engine, STAND, "");
	road->trace.fault = (struct amend_trace_fault){.op = AMEND_TRACE_STATEMENT,
						       .sql = "CREATE OR REPLACE TRIGGER",
						       .nth = 4,
						       .status = AMEND_INTERNAL,
						       .aftermath = AMEND_TRACE_AS_IS};
	expect_status(AMEND_INTERNAL,
		      amend_guard(road->db, "t",
				  &(const struct amend_guard_options){.version_column = "v",
								      .history = true},
				  NULL, &road->err),
		      &road->err);
	engine_expect(engine, STAND, "delete_t,insert_t,version_t");
	refuses_all(road);
}

/* ---- interrupted ---- */

struct interruption {
	struct road *road;
	const char *at; /* interrupts when this is about to be sent */
	int failures;   /* of what lets go of the table */
	int ended;      /* connections */
};

static void before_operation(void *context, const struct amend_trace_event *event)
{
	struct interruption *given = context;
	const char *sql = event->op == AMEND_TRACE_RUN ? event->statements[0].sql : "";

	given->ended += event->op == AMEND_TRACE_RECONNECT;
	if (strstr(sql, given->at))
		amend_interrupt(given->road->db);
	if (strcmp(sql, "UNLOCK TABLES") == 0 && given->failures-- > 0)
		given->road->trace.fault = (struct amend_trace_fault){
			.op = AMEND_TRACE_STATEMENT,
			.sql = sql,
			.status = AMEND_INTERRUPTED,
			.aftermath = AMEND_TRACE_AS_IS};
}

static void expect_no_locks(struct engine *engine)
{
	/* The server takes a moment to notice that a connection has ended. */
	engine_expect(engine, "SELECT get_lock(concat('amend ', DATABASE()), 5)", "1");
	engine_exec(engine, "DO release_lock(concat('amend ', DATABASE())); SET lock_wait_timeout "
			    "= 5; UPDATE t SET n = n + 1");
}

static void interrupted(struct engine *engine)
{
	static const char *const at[] = {"GET_LOCK", "LOCK TABLES `", "DROP TRIGGER",
					 "CREATE OR REPLACE TRIGGER"};
	struct road *road = open_t(engine);
	const struct amend_guard_options options = {.version_column = "v", .history = true};
	struct interruption given = {.road = road};

	road->trace.context = &given;
	road->trace.before = before_operation;
	for (int failures = 0; failures <= 2; failures++) {
		for (size_t i = 0; i < COUNT(at); i++) {
			enum amend_status status;

			given.at = at[i];
			given.failures = failures;
			given.ended = 0;
			status = i == 3 ? amend_guard(road->db, "t", &options, NULL, &road->err)
					: amend_unguard(road->db, "t", NULL, &road->err);
			expect_status(AMEND_INTERRUPTED, status, &road->err);
			expect_no_locks(engine);
			assert_int_equal(given.ended, failures == 2);
		}
		given.at = "nothing";
		guard(road, "t", .version_column = "v", .history = true);
		expect_text(check(road), "0 t: version column v, stale rule equal, history\n");
	}
	road->trace.before = NULL;
}

static void interrupted_installing(struct engine *engine)
{
	struct road *road = road_open(engine, NULL);
	struct interruption given = {.road = road};

	engine_exec(engine, "CREATE TABLE t (n integer)");
	road->trace.context = &given;
	road->trace.before = before_operation;
	given.at = "GET_LOCK";
	expect_status(AMEND_INTERRUPTED, amend_init(road->db, NULL, &road->err), &road->err);
	expect_no_locks(engine);
	given.at = "amend_change";
	expect_status(AMEND_INTERRUPTED, amend_init(road->db, NULL, &road->err), &road->err);
	expect_no_locks(engine);
	road->trace.before = NULL;
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
}

/* ---- other programs' statements ---- */

static void statements(struct engine *engine)
{
	struct foreign *foreign;

	open_t(engine);
	engine_exec(engine, "CREATE TABLE s (id integer AUTO_INCREMENT PRIMARY KEY, n integer) "
			    "AUTO_INCREMENT = 40");
	foreign = foreign_open(engine);
	foreign_exec(foreign, "INSERT INTO s (n) VALUES (1)");
	foreign_exec(foreign, "UPDATE t SET n = 5");
	foreign_exec(foreign, "INSERT INTO t (id) VALUES (9)");
	expect_text(foreign_rows(foreign, "SELECT last_insert_id()"), "40");
	foreign_exec(foreign, "UPDATE t SET n = 6 WHERE id = 1");
	expect_text(foreign_rows(foreign, "SELECT row_count()"), "1");
	engine_exec(engine, "DELETE FROM amend_change");
	foreign_exec(foreign, "REPLACE INTO t (id, n) VALUES (1, 7)");
	foreign_exec(foreign, "INSERT INTO t (id, n) VALUES (1, 8) ON DUPLICATE KEY UPDATE n = 8");
	foreign_exec(foreign, "UPDATE IGNORE t SET n = n + 1 WHERE id = 1");
	engine_expect(engine, "SELECT op, fields FROM amend_change ORDER BY id",
		      "delete|{\"id\":[1,null],\"n\":[6,null],\"v\":[3,null]}\n"
		      "create|{\"id\":[null,1],\"n\":[null,7],\"v\":[null,1]}\n"
		      "update|{\"n\":[7,8],\"v\":[1,2]}\nupdate|{\"n\":[8,9],\"v\":[2,3]}");
	expect_contains(foreign_try(foreign, "UPDATE IGNORE t SET n = 3, v = 1 WHERE id = 1"),
			"t: version 1 was written, 3 is there, changed by ");
}

/* Triggers of the table's own: history has what they leave behind. */
static void others_triggers(struct engine *engine)
{
	struct road *road;

	engine_exec(
		engine,
		"CREATE TABLE t (id integer PRIMARY KEY, n integer, v integer NOT NULL "
		"DEFAULT 1); CREATE TABLE seen (n integer); INSERT INTO t (id, n) VALUES (1, 1)");
	engine_exec(engine,
		    "CREATE TRIGGER a BEFORE UPDATE ON t FOR EACH ROW SET NEW.n = NEW.n * 2");
	road = road_open(engine, NULL);
	guard(road, "t", .version_column = "v", .history = true);
	engine_exec(engine,
		    "CREATE TRIGGER b BEFORE UPDATE ON t FOR EACH ROW SET NEW.n = NEW.n + 1");
	engine_exec(
		engine,
		"CREATE TRIGGER c AFTER UPDATE ON t FOR EACH ROW INSERT INTO seen VALUES (NEW.v)");
	engine_exec(engine, "UPDATE t SET n = 5");
	engine_expect(engine, "SELECT n, v FROM t", "11|2");
	engine_expect(engine, "SELECT n FROM seen", "2");
	engine_expect(engine, "SELECT fields FROM amend_change", "{\"n\":[1,11],\"v\":[1,2]}");
	expect_text(check(road), "0 t: version column v, stale rule equal, history\n");
	expect_ok(amend_unguard(road->db, "t", NULL, &road->err), &road->err);
	engine_expect(engine,
		      "SELECT group_concat(trigger_name ORDER BY 1) FROM "
		      "information_schema.triggers WHERE trigger_schema = DATABASE()",
		      "a,b,c");
}

static void renamed(struct engine *engine)
{
	struct road *road = open_t(engine);

	engine_exec(engine, "RENAME TABLE t TO u; UPDATE u SET n = 2");
	engine_expect(engine, "SELECT tbl FROM amend_change", "t");
	expect_contains(check(road), "2 t cannot be guarded as it was: no table t");
	guard(road, "u", .version_column = "v", .history = true);
	engine_exec(engine, "UPDATE u SET n = 3");
	engine_expect(engine, "SELECT tbl, fields FROM amend_change ORDER BY id",
		      "t|{\"n\":[1,2],\"v\":[1,2]}\nu|{\"n\":[2,3],\"v\":[2,3]}");
}

static void a_long_name(struct engine *engine)
{
	static const char a[] = "a_table_whose_name_is_as_long_as_a_name_may_be_in_MariaDB_____1";
	static const char b[] = "a_table_whose_name_is_as_long_as_a_name_may_be_in_MariaDB_____2";
	struct road *road = road_open(engine, NULL);

	engine_execf(engine, "CREATE TABLE %s (id integer PRIMARY KEY)", a);
	engine_execf(engine, "CREATE TABLE %s (id integer PRIMARY KEY)", b);
	guard(road, a, .history = true);
	guard(road, b, .history = true);
	engine_execf(engine, "INSERT INTO %s (id) VALUES (1); INSERT INTO %s (id) VALUES (2)", a, b);
	engine_expect(engine, "SELECT tbl, pk FROM amend_change ORDER BY id",
		      engine_printf(engine, "%s|{\"id\":1}\n%s|{\"id\":2}", a, b));
}

/* ---- rights ---- */

static void a_role_without_rights(struct engine *engine)
{
	const char *role, *url = engine_url_of_role(engine, &role);
	struct amend_session *session = NULL;
	struct amend_error err;

	open_t(engine);
	engine_execf(engine, "GRANT SELECT, INSERT, UPDATE, DELETE ON t TO %s@localhost", role);
	expect_ok(engine->driver->open(url, &(struct amend_open_options)AMEND_OPEN_OPTIONS_INIT,
				       &session, &err),
		  &err);
	session_exec(engine, session, "UPDATE t SET n = 2");
	session_exec(engine, session, "INSERT INTO t (id) VALUES (2)");
	session_exec(engine, session, "DELETE FROM t WHERE id = 2");
	expect_error(AMEND_STALE, "ZV409",
		     session_try(engine, session, "UPDATE t SET n = 3, v = 1"));
	expect_error(AMEND_DENIED, NULL, session_try(engine, session, "SELECT * FROM amend_change"));
	/* Another connection's revision is not believed. */
	session_exec(engine, session, "SET @amend_revision = 1, @amend_ends = 0");
	session_exec(engine, session, "UPDATE t SET n = 3");
	engine->driver->close(session);
	engine_expect(engine, "SELECT count(*), count(DISTINCT revision) FROM amend_change", "4|4");
	engine_expect(engine,
		      engine_printf(engine, "SELECT DISTINCT who = '%s' FROM amend_revision", role),
		      "1");
}

/* Who writes through amend sees that a table is guarded, without a right to its triggers. */
static void a_role_of_amends(struct engine *engine)
{
	const struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	const char *role, *url = engine_url_of_role(engine, &role);
	struct road *road;

	open_t(engine);
	engine_execf(engine, "GRANT SELECT, INSERT, UPDATE, DELETE ON t TO %s@localhost", role);
	for (const char *const *grant = engine->driver->dialect->ledger_grants; *grant; grant++) {
		const char *table = strstr(*grant, "{ledger}") + strlen("{ledger}");
		int before = (int)(strstr(*grant, "{ledger}") - *grant);

		engine_execf(engine, "%.*samend_%.*s %s@localhost", before, *grant,
			     (int)(strstr(table, "{role}") - table), table, role);
	}
	road = road_open_with(engine, url, &options, "t");
	ok(road, .keys = "id=1", .set = "n=2");
	said(road, "updated n: 1 -> 2, v: 1 -> 2");
	engine_expect(engine, "SELECT count(*), min(fields) FROM amend_change",
		      "1|{\"n\":[1,2],\"v\":[1,2]}");
}

static void a_definer_who_is_gone(struct engine *engine)
{
	struct road *road = open_t(engine);

	engine_exec(engine,
		    "CREATE USER amend_test_gone@localhost; CREATE OR REPLACE "
		    "DEFINER = amend_test_gone@localhost TRIGGER amend_guard_delete_t AFTER DELETE "
		    "ON t FOR EACH ROW SET @a = 1; DROP USER amend_test_gone@localhost");
	expect_contains(check(road), "2 t: trigger amend_guard_delete_t runs as "
				     "amend_test_gone@localhost, who is no user any more");
	guard(road, "t", .version_column = "v", .history = true);
	expect_text(check(road), "0 t: version column v, stale rule equal, history\n");
}

/* Making triggers commits what is open: it is not done in an application's transaction. */
static void in_a_transaction(struct engine *engine)
{
	struct foreign *foreign = foreign_open(engine);
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY)");
	road = road_adopt(engine, foreign, NULL);
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	foreign_exec(foreign, "BEGIN; INSERT INTO t VALUES (1)");
	expect_status(AMEND_INVALID, amend_guard(road->db, "t", NULL, NULL, &road->err), &road->err);
	expect_contains(road->err.text, "would commit the open one");
	foreign_exec(foreign, "ROLLBACK");
	engine_expect(engine, "SELECT count(*) FROM t", "0");
}

static const struct engine_test tests[] = {
	{"a transaction is a revision", a_transaction_is_a_revision, .only = "mariadb"},
	{"what is undone leaves no revision to write under", undone, .only = "mariadb"},
	{"amend's own revision is for its own write alone", handed_and_not_taken, .only = "mariadb"},
	{"the rule next is refused, which no trigger can keep", next_is_refused, .only = "mariadb"},
	{"foreign keys whose doings no trigger sees are refused by name", cascades_are_refused,
	 .only = "mariadb"},
	{"triggers that go while a table is open", triggers_go_while_it_is_open, .only = "mariadb"},
	{"half a guard: what is written is recorded once, or refused", half_a_guard,
	 .only = "mariadb"},
	{"a trigger in the place of amend's that records nothing", a_trigger_that_records_nothing,
	 .only = "mariadb"},
	{"making a guard, or taking it away, ends halfway", ends_halfway, .only = "mariadb"},
	{"a guard that is interrupted keeps no locks", interrupted, .only = "mariadb"},
	{"nor does making the ledger", interrupted_installing, .only = "mariadb"},
	{"REPLACE, IGNORE, ON DUPLICATE KEY; the program's own insert id", statements,
	 .only = "mariadb"},
	{"a table's other triggers, in front and behind", others_triggers, .only = "mariadb"},
	{"a table that is renamed", renamed, .only = "mariadb"},
	{"names as long as they may be", a_long_name, .only = "mariadb"},
	{"a role without rights on amend's tables writes, and cannot forge", a_role_without_rights,
	 .only = "mariadb"},
	{"a role that may write through amend, and not see the triggers", a_role_of_amends,
	 .only = "mariadb"},
	{"check: a definer who is gone", a_definer_who_is_gone, .only = "mariadb"},
	{"a guard is not made in an application's transaction", in_a_transaction, .only = "mariadb"},
};

ENGINE_MAIN(tests)
