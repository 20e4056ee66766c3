/*
 * The fake driver by itself: what the conformance tests that run on it do not ask.
 * Leaves the rest to them: tests/meson.build names them.
 */
#include "engines.h"

#include "sql/conn.h"

static void tables_are_described(struct engine *engine)
{
	struct amend_conn *db = connect_open(engine);
	struct amend_table *table = NULL;
	struct amend_error err;

	engine_exec(engine, "CREATE TABLE t (a text, b integer PRIMARY KEY, c integer UNIQUE)");
	expect_ok(amend_table_open(db, "t", &table, &err), &err);
	assert_int_equal(table->n_columns, 3);
	session_expect(engine, session_open(engine),
		       engine_printf(engine, "SELECT count(*) FROM %s", table->sql), "0");
	expect_text(table->columns[0].type, "text");
	assert_int_equal(table->n_identity, 1);
	assert_int_equal(table->identity[0], 1);
	assert_int_equal(table->n_keys, 2);
	assert_true(table->keys[0].primary && table->columns[1].not_null);
	amend_table_close(table);
}

static enum amend_status collect(void *context, const char *name, struct amend_error *err)
{
	(void)err;
	amend_buffer_printf(context, "%s ", name);
	return AMEND_OK;
}

static void columns_are_named(struct engine *engine)
{
	struct amend_session *session = session_open(engine);
	struct amend_buffer names = AMEND_BUFFER_INIT;
	struct amend_error err;

	engine_exec(engine, "CREATE TABLE t (a text, b integer)");
	expect_ok(engine->driver->columns(session, "SELECT *, b + 1 AS next FROM t", collect,
					  &names, &err),
		  &err);
	expect_text(amend_buffer_string(&names), "a b next ");
	amend_buffer_release(&names);
	expect_status(AMEND_INVALID,
		      engine->driver->columns(session, "DELETE FROM t", collect, &names, &err),
		      &err);
}

/* As amend_statement.unless_there has it; anything else that is wrong is a failure all the same. */
static void unless_there(struct engine *engine)
{
	struct amend_session *session = session_open(engine);
	struct amend_statement statements[] = {
		{.sql = "INSERT INTO t VALUES (1)", .unless_there = true},
		{.sql = "INSERT INTO t VALUES (1)", .unless_there = true},
		{.sql = "INSERT INTO t VALUES (NULL)", .unless_there = true},
	};
	struct amend_rows rows[COUNT(statements)];
	struct amend_error err;
	size_t failed;

	engine_exec(engine, "CREATE TABLE t (a integer PRIMARY KEY)");
	expect_status(
		AMEND_CONSTRAINT,
		engine->driver->run(session, statements, COUNT(statements), rows, &failed, &err),
		&err);
	assert_int_equal(failed, 2);
	assert_int_equal(rows[0].changes, 1);
	assert_int_equal(rows[1].changes, 0);
	engine_expect(engine, "SELECT a FROM t", "1");
}

/* A statement is whole or nothing, also where its first rows were well. */
static void whole_or_nothing(struct engine *engine)
{
	struct amend_session *session = session_open(engine);

	engine_exec(engine, "CREATE TABLE t (a integer PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
	expect_error(AMEND_CONSTRAINT, "23505",
		     session_try(engine, session, "INSERT INTO t VALUES (3), (2)"));
	expect_error(AMEND_CONSTRAINT, "23505", session_try(engine, session, "UPDATE t SET a = 7"));
	session_exec(engine, session, "UPDATE t SET a = a + 1"); /* not one after the other */
	engine_expect(engine, "SELECT a FROM t ORDER BY a", "2\n3");
}

static const struct engine_test tests[] = {
	{"tables are described, and their identity is found", tables_are_described},
	{"the columns of a SELECT are named", columns_are_named},
	{"unless_there is no failure of a unique key alone", unless_there},
	{"a statement is whole or nothing", whole_or_nothing},
};

ENGINE_MAIN(tests)
