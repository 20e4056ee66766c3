/*
 * The test library's connections: traced, with features hidden, adopted, made to fail.
 * Leaves units of work themselves to their own tests.
 */
#include "engines.h"

static void opened(struct engine *engine)
{
	struct amend_conn *db;
	uint64_t before;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	db = connect_open(engine);
	before = connect_trace(engine, db)->statements;
	connect_exec(engine, db, "INSERT INTO t VALUES (1)");
	assert_int_equal(connect_trace(engine, db)->statements - before, 1);
	engine_expect(engine, "SELECT a FROM t", "1");
	connect_close(engine, db);
}

static void hidden(struct engine *engine)
{
	const char *generic = "postgresql-generic";
	bool is_generic = strcmp(engine->name, generic) == 0;

	assert_int_equal((engine->features & AMEND_HAS_WRITE_CTE) != 0,
			 engine_is(engine, "postgresql") && !is_generic);
}

static void adopted(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct amend_conn *db;

	foreign_exec(application, "CREATE TABLE t (a integer)");
	db = connect_adopt(engine, application);
	foreign_exec(application, "BEGIN");
	connect_exec(engine, db, "INSERT INTO t VALUES (1)");
	engine_expect(engine, "SELECT count(*) FROM t", "0");
	foreign_exec(application, "COMMIT");
	engine_expect(engine, "SELECT count(*) FROM t", "1");
}

static enum amend_status insert(struct amend_conn *db, void *context, struct amend_error *err)
{
	++*(int *)context;
	return amend_query(db, "INSERT INTO t VALUES (1)", NULL, 0, NULL, err);
}

/* What the trace is for: the answer of a COMMIT is lost, and the unit is not run again. */
static void lost_answer(struct engine *engine)
{
	static const struct {
		bool after;
		const char *rows;
	} cases[] = {{false, "0"}, {true, "1"}};

	engine_exec(engine, "CREATE TABLE t (a integer)");
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct amend_conn *db = connect_open(engine);
		struct amend_error err;
		int runs = 0;

		engine_exec(engine, "DELETE FROM t");
		connect_trace(engine, db)->fault = (struct amend_trace_fault){
			.op = AMEND_TRACE_COMMIT,
			.after = cases[i].after,
			.status = AMEND_OUTCOME_UNKNOWN};
		expect_status(AMEND_OUTCOME_UNKNOWN, amend_atomic(db, NULL, insert, &runs, &err),
			      &err);
		assert_int_equal(runs, 1);
		connect_close(engine, db);
		engine_expect(engine, "SELECT count(*) FROM t", cases[i].rows);
	}
}

/* The engine undoes the transaction at any of its operations: the unit is run again, once. */
static void retry_anywhere(struct engine *engine)
{
	static const enum amend_trace_op ops[] = {AMEND_TRACE_RUN, AMEND_TRACE_COMMIT};
	static const enum amend_trace_aftermath aftermaths[] = {AMEND_TRACE_NATURAL,
								AMEND_TRACE_UNDONE};

	engine_exec(engine, "CREATE TABLE t (a integer)");
	for (size_t i = 0; i < COUNT(ops) * COUNT(aftermaths); i++) {
		struct amend_conn *db = connect_open(engine);
		struct amend_error err;
		int runs = 0;

		engine_exec(engine, "DELETE FROM t");
		connect_trace(engine, db)->fault = (struct amend_trace_fault){
			.op = ops[i % COUNT(ops)],
			.status = AMEND_RETRY,
			.aftermath = aftermaths[i / COUNT(ops)]};
		expect_ok(amend_atomic(db, NULL, insert, &runs, &err), &err);
		assert_true(connect_trace(engine, db)->fault.fired);
		assert_int_equal(runs, 2);
		engine_expect(engine, "SELECT count(*) FROM t", "1");
		connect_close(engine, db);
	}
}

static const struct engine_test tests[] = {
	{"an opened connection is traced", opened},
	{"features are hidden on postgresql-generic", hidden},
	{"an adopted connection works in the application's transaction", adopted},
	{"a COMMIT whose answer is lost is not run again", lost_answer},
	{"a unit that the engine undid is run again", retry_anywhere},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
