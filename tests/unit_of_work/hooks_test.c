/*
 * Hooks after COMMIT: the cases that an ORM's users know of `on_commit`.
 * Leaves units without hooks to nesting_test.c.
 */
#include "script.h"

static const struct script_case hooks[] = {
	{"executes_immediately_if_no_transaction", "k1 1", AMEND_OK, "1", "1"},
	{"robust_if_no_transaction", "k1!~ 1", AMEND_OK, "1", "1"},
	{"not robust, no transaction: the failure is the caller's", "k1! 1", AMEND_NOT_FOUND, "",
	 "1"},
	{"robust_transaction: later hooks run", "( 1 k1!~ k2 )", AMEND_OK, "1", "1 2"},
	{"not robust: later hooks do not run, and what is in is in", "( 1 k1 k2! k3 )",
	 AMEND_NOT_FOUND, "1", "1 2"},
	{"delays_until_after_commit", "( 1 k1 see )", AMEND_OK, "1", "n1 1"},
	{"does_not_execute_if_rolled_back", "( 1 k1 fail )", AMEND_CONFLICT, "", NULL},
	{"does_not_execute_if_rolled_back: by a failed statement", "( 1 k1 bad~ )",
	 AMEND_CONSTRAINT, "", "CONSTRAINT"},
	{"only_after_final_transaction", "( ( 1 k1 ) see ( 2 k2 ) see )", AMEND_OK, "1 2",
	 "n1 n2 1 2"},
	{"discards_hooks_from_rolled_back_savepoint", "( ( 1 k1 ) ( 2 k2 fail )~ ( 3 k3 ) )",
	 AMEND_OK, "1 3", "CONFLICT 1 3"},
	{"no_hooks_run_from_failed_transaction", "( 1 k1 ( 2 k2 ) fail )", AMEND_CONFLICT, "", NULL},
	{"inner_savepoint_rolled_back_with_outer", "( ( 1 k1 ( 2 k2 ) fail )~ 3 k3 )", AMEND_OK,
	 "3", "CONFLICT 3"},
	{"no_savepoints_atomic_merged_with_outer", "( 1 k1 { { 2 k2 } } 3 k3 )", AMEND_OK, "1 2 3",
	 "1 2 3"},
	{"no_savepoints_atomic_merged_with_outer: and fails with it", "( 1 k1 { 2 k2 fail }~ )",
	 AMEND_CONFLICT, "", "CONFLICT"},
	{"inner_savepoint_does_not_affect_outer", "( 1 k1 ( k2 fail )~ k3 )", AMEND_OK, "1",
	 "CONFLICT 1 3"},
	{"runs_in_order_registered", "( k1 ( k2 ) k3 ( k4 ( k5 ) ) k6 1 )", AMEND_OK, "1",
	 "1 2 3 4 5 6"},
	{"cleared_after_commit", "( 1 k1 ) ( 2 )", AMEND_OK, "1 2", "1"},
	{"cleared_after_rollback", "( 1 k1 fail )~ ( 2 )", AMEND_OK, "2", "CONFLICT"},
	{"error_in_hook_doesnt_prevent_clearing", "( 1 k1! k2 )~ ( 2 k3 )", AMEND_OK, "1 2",
	 "1 NOT_FOUND 3"},
	{"db_query_in_hook, transaction_in_hook", "( 1 k5= k2 )", AMEND_OK, "1 5", "5 50 2"},
	{"hook_in_hook", "( 1 k1+ k2+ )", AMEND_OK, "1", "1 10 2 20"},
	{"hook in hook, no unit at all", "k1+ k2", AMEND_OK, "", "1 10 2"},
	{"a failed unit takes no hook", "( 1 bad~ k1 )", AMEND_INVALID, "", "CONSTRAINT"},
};

static void check_hooks(struct engine *engine)
{
	script_table(engine);
	script_check(engine, hooks, COUNT(hooks));
}

/* While the application has no transaction open, an adopted connection behaves as an opened one. */
static void check_adopted(struct engine *engine)
{
	struct amend_conn *db;

	script_table(engine);
	db = connect_adopt(engine, foreign_open(engine));
	for (size_t i = 0; i < COUNT(hooks); i++) {
		char said[512] = "";
		struct amend_error err = {.status = AMEND_OK};

		engine_exec(engine, "DELETE FROM t WHERE a <> 0");
		expect_status_at(hooks[i].status, NULL,
				 script_run(db, hooks[i].line, said, sizeof(said), &err), &err,
				 hooks[i].name, __FILE__, __LINE__);
		expect_text_at(said, hooks[i].said ? hooks[i].said : "", hooks[i].name, __FILE__,
			       __LINE__);
	}
}

static enum amend_status insert(struct amend_conn *db, void *context, struct amend_error *err)
{
	(void)context;
	return amend_query(db, "INSERT INTO t VALUES (1)", NULL, 0, NULL, err);
}

static enum amend_status count_call(struct amend_conn *db, void *context, struct amend_error *err)
{
	(void)db, (void)err;
	++*(int *)context;
	return AMEND_OK;
}

/* raises non_autocommit_mode: amend does not see the application's COMMIT. */
static void borrowed(struct engine *engine)
{
	struct foreign *application;
	struct amend_conn *db;
	struct amend_error err;
	int calls = 0;

	script_table(engine);
	application = foreign_open(engine);
	db = connect_adopt(engine, application);
	foreign_exec(application, "BEGIN");
	expect_status(AMEND_INVALID, amend_on_commit(db, count_call, &calls, false, &err), &err);
	expect_ok(amend_atomic(db, NULL, insert, NULL, &err), &err);
	foreign_exec(application, "COMMIT");
	assert_int_equal(calls, 0);
	expect_ok(amend_on_commit(db, count_call, &calls, false, &err), &err);
	assert_int_equal(calls, 1);
	engine_expect(engine, "SELECT count(*) FROM t", "2");
}

/* raises non_callable. */
static void no_function(struct engine *engine)
{
	struct amend_conn *db = connect_open(engine);
	struct amend_error err;

	expect_status(AMEND_INVALID, amend_on_commit(db, NULL, NULL, true, &err), &err);
}

struct flaky {
	int tries, fail_until, calls;
};

static enum amend_status flaky(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct flaky *flaky = context;
	enum amend_status status = amend_on_commit(db, count_call, &flaky->calls, false, err);

	if (status == AMEND_OK && ++flaky->tries < flaky->fail_until)
		return amend_error_set(err, AMEND_RETRY, "told to");
	return status;
}

/* Those of a try that was undone are dropped: what is registered three times runs once. */
static void rerun_registers_anew(struct engine *engine)
{
	struct amend_conn *db = connect_open(engine);
	struct flaky state = {.fail_until = 3};
	struct amend_error err;

	expect_ok(amend_atomic(db, NULL, flaky, &state, &err), &err);
	assert_int_equal(state.tries, 3);
	assert_int_equal(state.calls, 1);
}

static enum amend_status says_retry(struct amend_conn *db, void *context, struct amend_error *err)
{
	(void)db, (void)context;
	return amend_error_set(err, AMEND_RETRY, "a hook may say what it likes");
}

static enum amend_status insert_and_hook(struct amend_conn *db, void *context,
					 struct amend_error *err)
{
	enum amend_status status = amend_on_commit(db, says_retry, NULL, false, err);

	++*(int *)context;
	return status == AMEND_OK ? insert(db, NULL, err) : status;
}

/* A hook that fails after COMMIT must not trigger a rerun: what is in would be in twice. */
static void no_rerun_after_a_hook(struct engine *engine)
{
	struct amend_conn *db;
	struct amend_error err;
	int runs = 0;

	script_table(engine);
	db = connect_open(engine);
	/* Not its own status: RETRY would say that nothing is in. */
	expect_status(AMEND_INTERNAL, amend_atomic(db, NULL, insert_and_hook, &runs, &err), &err);
	assert_int_equal(runs, 1);
	expect_contains(err.text, "the unit is committed");
	engine_expect(engine, "SELECT count(*) FROM t", "2");
}

static enum amend_status hook_then_lost(struct amend_conn *db, void *context,
					struct amend_error *err)
{
	return amend_on_commit(db, count_call, context, false, err);
}

/* Neither lost COMMITs nor refused ones run hooks; cleared_after_reconnect. */
static void not_committed(struct engine *engine)
{
	static const enum amend_status statuses[] = {AMEND_OUTCOME_UNKNOWN, AMEND_CONSTRAINT,
						     AMEND_UNREACHABLE};

	for (size_t i = 0; i < COUNT(statuses); i++) {
		struct amend_conn *db = connect_open(engine);
		struct amend_error err;
		int calls = 0;

		connect_trace(engine, db)->fault = (struct amend_trace_fault){
			.op = AMEND_TRACE_COMMIT, .status = statuses[i]};
		expect_status(statuses[i], amend_atomic(db, NULL, hook_then_lost, &calls, &err),
			      &err);
		connect_close(engine, db);
		assert_int_equal(calls, 0);
	}
}

static const struct engine_test tests[] = {
	{"when they run, in which order, and when not", check_hooks},
	{"the same on an adopted connection that is idle", check_adopted},
	{"refused in the application's transaction", borrowed},
	{"no function is INVALID", no_function},
	{"a rerun registers anew", rerun_registers_anew},
	{"a hook's failure reruns nothing", no_rerun_after_a_hook},
	{"without COMMIT there are none", not_committed},
};

ENGINE_MAIN(tests)
