/*
 * Units whose connection breaks or whose statements fail at any point: all or nothing, and never a guess.
 * Leaves reruns to rerun_test.c, real cuts on the wire to the loss tests.
 */
#include "script.h"

/* Two savepoints, one of them undone. */
static const char line[] = "( 1 ( 2 ) ( 3 fail )~ 4 )";

static const char *rows_of(struct engine *engine)
{
	return engine_rows(engine, "SELECT a FROM t WHERE a > 0 ORDER BY a");
}

/* With this fault: either all of it is in and said to be, or nothing is and that is said. */
static bool check_fault(struct engine *engine, struct amend_trace_fault fault)
{
	struct amend_conn *db = connect_open(engine);
	struct amend_trace *trace = connect_trace(engine, db);
	char said[256] = "";
	struct amend_error err;
	enum amend_status status;
	bool fired;

	engine_exec(engine, "DELETE FROM t WHERE a <> 0");
	trace->fault = fault;
	status = script_run(db, line, said, sizeof(said), &err);
	fired = trace->fault.fired;
	trace->fault = (struct amend_trace_fault){.status = AMEND_OK};
	expect_text_at(rows_of(engine), status == AMEND_OK ? "1\n2\n4" : "",
		       engine_printf(engine, "fault %s of %s %u, aftermath %d, gave %s",
				     amend_status_name(fault.status), fault.sql ? fault.sql : "",
				     fault.nth, fault.aftermath, amend_status_name(status)),
		       __FILE__, __LINE__);
	assert_false(amend_in_unit(db));
	if (fired && fault.status == AMEND_RETRY)
		assert_int_equal(status, AMEND_OK);
	else if (fired && fault.aftermath != AMEND_TRACE_AS_IS) /* that one the line may survive */
		assert_int_not_equal(status, AMEND_OK);
	if (fault.status != AMEND_UNREACHABLE) {
		expect_ok(script_run(db, "( 8 ) 9", said, sizeof(said), &err), &err);
		expect_contains(rows_of(engine), "8\n9");
	} else if (fired) {
		expect_status(AMEND_UNREACHABLE, script_run(db, "( 8 )", said, sizeof(said), &err),
			      &err);
		expect_status(AMEND_UNREACHABLE, script_run(db, "8", said, sizeof(said), &err),
			      &err);
	}
	connect_close(engine, db);
	return fired;
}

static void at_any_statement(struct engine *engine)
{
	static const struct {
		enum amend_status status;
		enum amend_trace_aftermath aftermath;
	} kinds[] = {
		{AMEND_RETRY, AMEND_TRACE_ABORTED},      {AMEND_RETRY, AMEND_TRACE_UNDONE},
		{AMEND_RETRY, AMEND_TRACE_AS_IS},        {AMEND_UNREACHABLE, AMEND_TRACE_CUT},
		{AMEND_INTERNAL, AMEND_TRACE_UNDONE},    {AMEND_NO_MEMORY, AMEND_TRACE_AS_IS},
		{AMEND_INTERRUPTED, AMEND_TRACE_UNDONE},
	};

	script_table(engine);
	for (size_t i = 0; i < COUNT(kinds); i++) {
		for (int after = 0; after < 2; after++) {
			unsigned nth = 1;

			while (check_fault(engine, (struct amend_trace_fault){
							   .op = AMEND_TRACE_STATEMENT,
							   .nth = nth,
							   .after = after == 1,
							   .status = kinds[i].status,
							   .aftermath = kinds[i].aftermath}))
				nth++;
			assert_in_range(nth, 8, 20); /* it has been at each of them */
		}
	}
}

/* A savepoint that cannot be made, given up or gone back to: the unit around it is not half done. */
static void at_a_savepoint(struct engine *engine)
{
	static const char *const words[] = {"SAVEPOINT amend_1", "RELEASE", "ROLLBACK TO"};
	static const enum amend_trace_aftermath aftermaths[] = {
		AMEND_TRACE_AS_IS, AMEND_TRACE_ABORTED, AMEND_TRACE_UNDONE};

	script_table(engine);
	for (size_t i = 0; i < COUNT(words); i++) {
		for (size_t k = 0; k < COUNT(aftermaths); k++)
			assert_true(check_fault(
				engine, (struct amend_trace_fault){.op = AMEND_TRACE_STATEMENT,
								   .sql = words[i],
								   .status = AMEND_INTERNAL,
								   .aftermath = aftermaths[k]}));
	}
}

static void at_begin_and_commit(struct engine *engine)
{
	static const enum amend_trace_op ops[] = {AMEND_TRACE_BEGIN, AMEND_TRACE_COMMIT};
	static const enum amend_status statuses[] = {AMEND_RETRY, AMEND_CONSTRAINT,
						     AMEND_UNREACHABLE};

	script_table(engine);
	for (size_t i = 0; i < COUNT(ops) * COUNT(statuses); i++)
		assert_true(
			check_fault(engine, (struct amend_trace_fault){.op = ops[i % 2],
								       .status = statuses[i / 2]}));
}

/* --- COMMIT --- */

static enum amend_status count_run(struct amend_conn *db, void *context, struct amend_error *err)
{
	++*(int *)context;
	return amend_query(db, "INSERT INTO t VALUES (1)", NULL, 0, NULL, err);
}

/* Not known, whether it is in or not: it is never run again. */
static void lost_in_commit(struct engine *engine)
{
	script_table(engine);
	for (int after = 0; after < 2; after++) {
		struct amend_conn *db = connect_open(engine);
		struct amend_error err;
		int runs = 0;

		connect_trace(engine, db)->fault = (struct amend_trace_fault){
			.op = AMEND_TRACE_COMMIT,
			.after = after == 1,
			.status = AMEND_OUTCOME_UNKNOWN};
		expect_status(AMEND_OUTCOME_UNKNOWN, amend_atomic(db, NULL, count_run, &runs, &err),
			      &err);
		assert_int_equal(runs, 1);
		expect_text(rows_of(engine), after ? "1" : "");
		expect_status(AMEND_UNREACHABLE, amend_atomic(db, NULL, count_run, &runs, &err),
			      &err);
		connect_close(engine, db);
	}
}

static enum amend_status die_inside(struct amend_conn *db, void *context, struct amend_error *err)
{
	enum amend_status status = amend_query(db, "INSERT INTO t VALUES (1)", NULL, 0, NULL, err);

	engine_kill_sessions(context);
	return status == AMEND_OK ? amend_query(db, "SELECT 1", NULL, 0, NULL, err) : status;
}

static enum amend_status die_nested(struct amend_conn *db, void *context, struct amend_error *err)
{
	enum amend_status status = amend_atomic(db, NULL, die_inside, context, err);
	struct amend_error refused;

	expect_status(AMEND_UNREACHABLE, status, err);
	assert_int_not_equal(amend_query(db, "SELECT 1", NULL, 0, NULL, &refused), AMEND_OK);
	return AMEND_OK; /* whatever the function believes */
}

static enum amend_status die_before_commit(struct amend_conn *db, void *context,
					   struct amend_error *err)
{
	enum amend_status status = amend_query(db, "INSERT INTO t VALUES (1)", NULL, 0, NULL, err);

	engine_kill_sessions(context);
	return status;
}

static void killed(struct engine *engine)
{
	struct amend_error err;
	enum amend_status status;

	script_table(engine);
	expect_status(AMEND_UNREACHABLE,
		      amend_atomic(connect_open(engine), NULL, die_inside, engine, &err), &err);
	expect_status(AMEND_UNREACHABLE,
		      amend_atomic(connect_open(engine), NULL, die_nested, engine, &err), &err);
	/* noticed before COMMIT is sent, or by its missing answer */
	status = amend_atomic(connect_open(engine), NULL, die_before_commit, engine, &err);
	if (status != AMEND_OUTCOME_UNKNOWN)
		expect_status(AMEND_UNREACHABLE, status, &err);
	expect_text(rows_of(engine), "");
}

static const struct engine_test tests[] = {
	{"a failure at any statement: all or nothing", at_any_statement},
	{"a failure of a savepoint: all or nothing", at_a_savepoint},
	{"a failure of BEGIN or COMMIT: all or nothing", at_begin_and_commit},
	{"lost in COMMIT: OUTCOME_UNKNOWN, never rerun", lost_in_commit},
	{"killed in a unit: UNREACHABLE, and nothing is in", killed, .only = "postgresql"},
};

ENGINE_MAIN(tests)
