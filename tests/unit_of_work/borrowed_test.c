/*
 * Adopted connections: amend inside the application's own transaction, and beside it.
 * Leaves pinning and unpinning themselves to driver/adopt_test.c.
 */
#include "engines.h"

#include <amend/amend.h>

static struct foreign *application_of(struct engine *engine)
{
	engine_exec(engine, "CREATE TABLE person (id integer PRIMARY KEY, name varchar(10) UNIQUE);"
			    "INSERT INTO person VALUES (1, 'ada'), (2, 'bob')");
	if (engine_is(engine, "sqlite"))
		engine_exec(engine, "PRAGMA journal_mode = WAL");
	return foreign_open(engine);
}

static void close_table(void *table)
{
	amend_table_close(table);
}

static struct amend_table *person_of(struct engine *engine, struct amend_conn *db)
{
	struct amend_table *table;
	struct amend_error err;

	expect_ok(amend_table_open(db, "person", &table, &err), &err);
	engine_defer(engine, close_table, table);
	return table;
}

/* Sets the name of the record with this id, creating it where `mode` says so. */
static enum amend_status set_name(struct amend_conn *db, const struct amend_table *table,
				  enum amend_mode mode, struct amend_value id, const char *name,
				  struct amend_error *err)
{
	struct amend_field field = {"id", id};
	struct amend_match key = {&field, 1};
	struct amend_assign set = {"name", AMEND_SET, amend_text(name)};
	struct amend_write write = AMEND_WRITE_INIT;
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status;

	write.mode = mode;
	write.keys = &key, write.n_keys = 1;
	write.set = &set, write.n_set = 1;
	status = amend_write(db, table, &write, &result, err);
	amend_result_release(&result);
	return status;
}

static enum amend_status get(struct amend_conn *db, const struct amend_table *table,
			     struct amend_value id, struct amend_error *err)
{
	struct amend_field field = {"id", id};
	struct amend_match key = {&field, 1};
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = amend_get(db, table, &key, true, &result, err);

	amend_result_release(&result);
	return status;
}

static enum amend_status delete_it(struct amend_conn *db, const struct amend_table *table,
				   struct amend_value id, struct amend_error *err)
{
	struct amend_field field = {"id", id};
	struct amend_match key = {&field, 1};
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status = amend_delete(db, table, &key, NULL, AMEND_WAIT, &result, err);

	amend_result_release(&result);
	return status;
}

static const char *changes_sql(const struct engine *engine)
{
	return engine_pick(engine, "SELECT count(*) FROM amend_change",
			   "SELECT count(*) FROM amend.change");
}

static const char *ledger_sql(const struct engine *engine)
{
	return engine_pick(engine, "SELECT count(*) FROM sqlite_schema WHERE name = 'amend_change'",
			   "SELECT count(*) FROM pg_namespace WHERE nspname = 'amend'");
}

/* --- Who commits --- */

static void commits_nothing(struct engine *engine)
{
	struct foreign *application = application_of(engine);
	struct amend_conn *db = connect_adopt(engine, application);
	struct amend_table *person = person_of(engine, db);
	struct amend_error err;

	expect_ok(amend_init(db, NULL, &err), &err);
	foreign_exec(application, "BEGIN");
	expect_ok(set_name(db, person, AMEND_UPDATE, amend_integer(1), "eve", &err), &err);
	expect_ok(set_name(db, person, AMEND_CREATE, amend_integer(3), "new", &err), &err);
	expect_ok(delete_it(db, person, amend_integer(2), &err), &err);
	engine_expect(engine, "SELECT id, name FROM person ORDER BY id", "1|ada\n2|bob");
	engine_expect(engine, changes_sql(engine), "0");
	foreign_exec(application, "COMMIT");
	engine_expect(engine, "SELECT id, name FROM person ORDER BY id", "1|eve\n3|new");
	engine_expect(engine, changes_sql(engine), "3");
}

static enum amend_status ignore_entry(const struct amend_log_entry *entry, void *context,
				      struct amend_error *err)
{
	(void)entry, (void)context, (void)err;
	return AMEND_OK;
}

/* Its rollback takes changes, history, and a ledger installed in it; a later call installs it again. */
static void rollback_takes_all(struct engine *engine)
{
	struct foreign *application = application_of(engine);
	struct amend_conn *db = connect_adopt(engine, application);
	struct amend_table *person = person_of(engine, db);
	struct amend_error err;
	bool with_it = engine->features & AMEND_HAS_DDL_ROLLBACK;

	/* Where it would commit the application's transaction none is installed in it. */
	if (!with_it)
		expect_ok(amend_init(db, NULL, &err), &err);
	for (int i = 0; i < 2; i++) {
		foreign_exec(application, "BEGIN");
		expect_ok(set_name(db, person, AMEND_UPDATE, amend_integer(1), "eve", &err), &err);
		expect_ok(set_name(db, person, AMEND_UPDATE, amend_integer(1), "eva", &err), &err);
		foreign_exec(application, "ROLLBACK");
		if (with_it)
			engine_expect(engine, ledger_sql(engine), "0");
		else
			engine_expect(engine, changes_sql(engine), "0");
		engine_expect(engine, "SELECT name FROM person WHERE id = 1", "ada");
	}
	foreign_exec(application, "BEGIN");
	expect_ok(set_name(db, person, AMEND_UPDATE, amend_integer(1), "eve", &err), &err);
	expect_ok(amend_log(db, &(struct amend_log_filter){.limit = 1}, ignore_entry, NULL, &err),
		  &err); /* a call that only looks remembers nothing either */
	foreign_exec(application, "ROLLBACK");
	foreign_exec(application, "BEGIN; SAVEPOINT mine");
	expect_ok(set_name(db, person, AMEND_UPDATE, amend_integer(1), "eve", &err), &err);
	foreign_exec(application, "ROLLBACK TO mine");
	expect_ok(set_name(db, person, AMEND_UPDATE, amend_integer(2), "ben", &err), &err);
	foreign_exec(application, "COMMIT");
	engine_expect(engine, "SELECT name FROM person ORDER BY id", "ada\nben");
	engine_expect(engine, changes_sql(engine), "1");
	expect_ok(set_name(db, person, AMEND_UPDATE, amend_integer(1), "eve", &err), &err);
	engine_expect(engine, changes_sql(engine), "2"); /* while idle: its own unit */
}

/* A failed call is undone to its savepoint: the application's own work stays. */
static void failure_is_contained(struct engine *engine)
{
	struct foreign *application = application_of(engine);
	struct amend_conn *db = connect_adopt(engine, application);
	struct amend_table *person = person_of(engine, db);
	struct amend_error err;

	if (!(engine->features & AMEND_HAS_DDL_ROLLBACK))
		expect_ok(amend_init(db, NULL, &err), &err);
	foreign_exec(application, "BEGIN; INSERT INTO person VALUES (7, 'own')");
	expect_status(AMEND_CONSTRAINT,
		      set_name(db, person, AMEND_UPDATE, amend_integer(1), "bob", &err), &err);
	assert_int_not_equal(set_name(db, person, AMEND_UPDATE, amend_text("x"), "zoe", &err),
			     AMEND_OK);
	assert_int_not_equal(get(db, person, amend_text("x"), &err), AMEND_OK);
	expect_status(AMEND_NOT_FOUND, get(db, person, amend_integer(99), &err), &err);
	expect_status(AMEND_EXISTS,
		      set_name(db, person, AMEND_CREATE, amend_integer(1), "dan", &err), &err);
	expect_status(AMEND_NOT_FOUND, delete_it(db, person, amend_integer(99), &err), &err);
	expect_ok(set_name(db, person, AMEND_UPDATE, amend_integer(2), "ben", &err), &err);
	engine_expect(engine, "SELECT count(*) FROM person", "2"); /* nothing autocommitted */
	foreign_exec(application, "COMMIT");
	engine_expect(engine, "SELECT id, name FROM person ORDER BY id", "1|ada\n2|ben\n7|own");
}

/* --- RETRY is the caller's --- */

struct unit {
	const struct amend_table *person;
	int runs;
};

static enum amend_status rename_1(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct unit *unit = context;

	unit->runs++;
	return set_name(db, unit->person, AMEND_UPDATE, amend_integer(1), "eve", err);
}

static void retry_is_the_callers(struct engine *engine)
{
	struct foreign *application = application_of(engine);
	struct amend_conn *db = connect_adopt(engine, application);
	struct unit unit = {.person = person_of(engine, db)};
	struct amend_error err;

	expect_ok(amend_init(db, NULL, &err), &err);
	foreign_exec(application,
		     engine_pick(engine, "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"));
	expect_text(foreign_rows(application, "SELECT name FROM person WHERE id = 1"), "ada");
	engine_exec(engine, "UPDATE person SET name = 'rival' WHERE id = 1");
	expect_status(AMEND_RETRY,
		      set_name(db, unit.person, AMEND_UPDATE, amend_integer(1), "eve", &err), &err);
	expect_status(AMEND_RETRY, amend_atomic(db, NULL, rename_1, &unit, &err), &err);
	assert_int_equal(unit.runs, 1);
	foreign_exec(application, "ROLLBACK");
	engine_expect(engine, "SELECT name FROM person WHERE id = 1", "rival");
	expect_ok(amend_atomic(db, NULL, rename_1, &unit, &err), &err); /* run again by the caller */
	engine_expect(engine, "SELECT name FROM person WHERE id = 1", "eve");
}

/* While the application has none open, it behaves as an opened one: reruns included. */
static void idle_reruns(struct engine *engine)
{
	struct foreign *application = application_of(engine);
	struct amend_conn *db = connect_adopt(engine, application);
	struct unit unit = {.person = person_of(engine, db)};
	struct amend_error err;

	expect_ok(amend_init(db, NULL, &err), &err);
	connect_trace(engine, db)->fault = (struct amend_trace_fault){.op = AMEND_TRACE_COMMIT,
								      .status = AMEND_RETRY};
	expect_ok(amend_atomic(db, NULL, rename_1, &unit, &err), &err);
	assert_int_equal(unit.runs, 2);
	engine_expect(engine, changes_sql(engine), "1");
	foreign_exec(application, "BEGIN"); /* and leaves it idle */
	foreign_exec(application, "COMMIT");
}

/* The application's transaction has failed already: nothing can be done in it, and nothing is. */
static void failed_transaction_is_refused(struct engine *engine)
{
	struct foreign *application = application_of(engine);
	struct amend_conn *db = connect_adopt(engine, application);
	struct unit unit = {.person = person_of(engine, db)};
	struct amend_error err;

	foreign_exec(application, "BEGIN");
	assert_non_null(foreign_try(application, "SELEKT"));
	expect_status(AMEND_INVALID, get(db, unit.person, amend_integer(1), &err), &err);
	expect_contains(err.text, "roll it back");
	expect_status(AMEND_INVALID, amend_atomic(db, NULL, rename_1, &unit, &err), &err);
	expect_status(AMEND_INVALID, amend_query(db, "SELECT 1", NULL, 0, NULL, &err), &err);
	assert_int_equal(unit.runs, 0);
	foreign_exec(application, "ROLLBACK");
	expect_ok(amend_atomic(db, NULL, rename_1, &unit, &err), &err);
}

/* --- The application's transaction is over --- */

static enum amend_status take_and_go_on(struct amend_conn *db, void *context,
					struct amend_error *err)
{
	(void)context;
	expect_status(AMEND_CONSTRAINT,
		      amend_query(db, "INSERT INTO brittle VALUES (2, 'ada')", NULL, 0, NULL, err),
		      err);
	return amend_query(db, "INSERT INTO brittle VALUES (3, 'eve')", NULL, 0, NULL, err);
}

struct gone {
	struct engine *engine;
	struct foreign *application;
};

static enum amend_status go_on_without(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct gone *gone = context;

	foreign_exec(gone->application,
		     "ROLLBACK"); /* as the engine would in a look that nobody asks about */
	expect_status(AMEND_RETRY,
		      amend_query(db, "INSERT INTO person VALUES (8, 'eve')", NULL, 0, NULL, err),
		      err);
	engine_expect(gone->engine, "SELECT count(*) FROM person", "2");
	return err->status;
}

static void undone_meanwhile(struct engine *engine)
{
	struct foreign *application = application_of(engine);
	struct amend_conn *db = connect_adopt(engine, application);
	struct gone gone = {engine, application};
	struct amend_error err;

	foreign_exec(application, "BEGIN; INSERT INTO person VALUES (7, 'own')");
	expect_status(AMEND_RETRY, amend_atomic(db, NULL, go_on_without, &gone, &err), &err);
	expect_text(err.sqlstate, "40001");
	expect_contains(err.text, "undone the application's transaction");
	engine_expect(engine, "SELECT count(*) FROM person", "2");
}

/* To run it again would fail for ever: RETRY is not what it is told. */
static void undone_with_a_reason(struct engine *engine)
{
	struct foreign *application = application_of(engine);
	struct amend_conn *db = connect_adopt(engine, application);
	struct amend_table *brittle;
	struct amend_error err;

	engine_exec(engine, "CREATE TABLE brittle (id integer PRIMARY KEY, name text UNIQUE ON "
			    "CONFLICT ROLLBACK); INSERT INTO brittle VALUES (1, 'ada'), (5, 'bob')");
	expect_ok(amend_init(db, NULL, &err), &err);
	expect_ok(amend_table_open(db, "brittle", &brittle, &err), &err);
	engine_defer(engine, close_table, brittle);
	foreign_exec(application, "BEGIN; INSERT INTO person VALUES (7, 'own')");
	expect_status(AMEND_CONSTRAINT,
		      amend_query(db, "INSERT INTO brittle VALUES (2, 'ada')", NULL, 0, NULL, &err),
		      &err);
	expect_text(err.sqlstate, "23505");
	expect_contains(err.text, "transaction is over");
	foreign_exec(application, "BEGIN; INSERT INTO person VALUES (7, 'own')");
	expect_status(AMEND_CONSTRAINT,
		      set_name(db, brittle, AMEND_UPDATE, amend_integer(5), "ada", &err), &err);
	expect_contains(err.text, "transaction is over");
	foreign_exec(application, "BEGIN; INSERT INTO person VALUES (7, 'own')");
	expect_status(AMEND_INVALID, amend_atomic(db, NULL, take_and_go_on, NULL, &err), &err);
	expect_contains(err.text, "transaction is over");
	engine_expect(engine, "SELECT id, name FROM brittle ORDER BY id", "1|ada\n5|bob");
	engine_expect(engine, "SELECT count(*) FROM person", "2");
}

/* What it did before is in: run again it would be in twice. */
static void committed_by_a_procedure(struct engine *engine)
{
	struct foreign *application = application_of(engine);
	struct amend_conn *db = connect_adopt(engine, application);
	struct amend_error err;

	engine_exec(engine, "CREATE PROCEDURE ends() COMMIT");
	foreign_exec(application, "BEGIN; INSERT INTO person VALUES (7, 'own')");
	expect_status(AMEND_INVALID, amend_query(db, "CALL ends()", NULL, 0, NULL, &err), &err);
	expect_text(err.sqlstate, "25000");
	expect_contains(err.text, "transaction is over");
	engine_expect(engine, "SELECT count(*) FROM person", "3");
}

/* --- Settings --- */

static const char *settings_of(struct engine *engine, struct foreign *application)
{
	if (engine_is(engine, "sqlite"))
		return engine_printf(engine, "%s %s %s %s",
				     foreign_rows(application, "PRAGMA foreign_keys"),
				     foreign_rows(application, "PRAGMA recursive_triggers"),
				     foreign_rows(application, "PRAGMA defer_foreign_keys"),
				     foreign_rows(application, "PRAGMA synchronous"));
	if (engine_is(engine, "mariadb"))
		return foreign_rows(
			application,
			"SELECT @@character_set_client, @@character_set_results, "
			"@@collation_connection, @@time_zone, @@sql_mode, @@tx_isolation, "
			"@@sql_select_limit, @@sql_safe_updates, @@innodb_lock_wait_timeout, "
			"@@lock_wait_timeout, @@max_statement_time");
	return foreign_rows(application,
			    "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name)"
			    " FROM pg_settings WHERE name IN ('DateStyle', 'TimeZone',"
			    " 'search_path', 'bytea_output', 'IntervalStyle', 'lock_timeout',"
			    " 'statement_timeout', 'extra_float_digits', 'client_encoding',"
			    " 'standard_conforming_strings')");
}

static void change_settings(struct engine *engine, struct foreign *application)
{
	foreign_exec(application,
		     engine_pick3(engine,
				  "PRAGMA foreign_keys = OFF; PRAGMA recursive_triggers = ON;"
				  "PRAGMA synchronous = OFF",
				  "SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Tokyo';"
				  "SET search_path = public, 'odd, name'; SET lock_timeout = '7s';"
				  "SET bytea_output = 'escape'; SET statement_timeout = '77s';"
				  "SET extra_float_digits = 0; SET client_encoding = 'LATIN1';"
				  "SET standard_conforming_strings = off",
				  "SET NAMES latin1; SET time_zone = '+09:00', sql_mode = '',"
				  " tx_isolation = 'REPEATABLE-READ', sql_select_limit = 3,"
				  " sql_safe_updates = 1, innodb_lock_wait_timeout = 7,"
				  " lock_wait_timeout = 8, max_statement_time = 77.5"));
}

static enum amend_status told_to_fail(struct amend_conn *db, void *context, struct amend_error *err)
{
	(void)db, (void)context;
	return amend_error_set(err, AMEND_CONFLICT, "told to fail");
}

/* Each call, well or badly. */
static enum amend_status call(struct amend_conn *db, struct unit *unit, int number,
			      struct amend_error *err)
{
	static const struct {
		enum amend_mode mode;
		int id;
		const char *name;
	} writes[] = {{AMEND_UPDATE, 1, "eve"},
		      {AMEND_UPDATE, 1, "bob"}, /* taken */
		      {AMEND_CREATE, 1, "dan"},
		      {AMEND_CREATE, 50, "longer than ten characters"},
		      {AMEND_UPDATE, 99, "nobody"}};

	switch (number) {
	case 0:
		return get(db, unit->person, amend_integer(1), err);
	case 1:
		return get(db, unit->person, amend_text("x"), err);
	case 2:
		return delete_it(db, unit->person, amend_integer(99), err);
	case 3:
		return amend_atomic(db, NULL, rename_1, unit, err);
	case 4:
		return amend_atomic(db, NULL, told_to_fail, unit, err);
	default:
		return set_name(db, unit->person, writes[number - 5].mode,
				amend_integer(writes[number - 5].id), writes[number - 5].name, err);
	}
}

static void settings_are_back(struct engine *engine)
{
	struct foreign *application = application_of(engine);
	struct amend_conn *db = connect_adopt(engine, application);
	struct unit unit = {.person = person_of(engine, db)};
	struct amend_error err;
	const char *before;

	change_settings(engine, application);
	before = settings_of(engine, application);
	for (int inside = 0; inside < 2; inside++) {
		if (inside)
			foreign_exec(application, "BEGIN");
		for (int i = 0; i < 10; i++) {
			const char *what = amend_status_name(call(db, &unit, i, &err));

			what = engine_printf(engine, "settings after call %d: %s", i, what);
			expect_text_at(settings_of(engine, application), before, what, __FILE__,
				       __LINE__);
		}
		if (inside)
			foreign_exec(application, "COMMIT");
		expect_text(settings_of(engine, application), before);
	}
	/* a statement of the application's own that fails, alone and in its transaction */
	assert_int_not_equal(amend_query(db, "SELEKT", NULL, 0, NULL, &err), AMEND_OK);
	expect_text(settings_of(engine, application), before);
	foreign_exec(application, "BEGIN");
	assert_int_not_equal(amend_query(db, "SELEKT", NULL, 0, NULL, &err), AMEND_OK);
	foreign_exec(application, "ROLLBACK");
	expect_text(settings_of(engine, application), before);
}

static const struct engine_test tests[] = {
	{"in the application's transaction amend commits nothing", commits_nothing},
	{"its rollback takes changes, history and ledger", rollback_takes_all},
	{"a failed call leaves the application's work", failure_is_contained},
	/* MariaDB: a row that is locked is read as it is now, whatever the snapshot: there is nothing to run again. */
	{"RETRY goes to the caller, and nothing is rerun", retry_is_the_callers,
	 .not_on = "mariadb"},
	{"idle, it reruns and commits as an opened one", idle_reruns},
	{"a transaction that has failed is refused", failed_transaction_is_refused,
	 .only = "postgresql"},
	{"the engine undoes it meanwhile: RETRY, and nothing more is done", undone_meanwhile},
	{"the engine undoes it for a reason: that is told, not RETRY", undone_with_a_reason,
	 .only = "sqlite"},
	{"a procedure commits it: INVALID, not RETRY", committed_by_a_procedure, .only = "mariadb"},
	{"the application's settings are back after every call", settings_are_back},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
