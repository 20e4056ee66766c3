/*
 * Units of work inside units of work: the cases that an ORM's users know of `atomic`.
 * Leaves hooks to hooks_test.c, reruns to rerun_test.c.
 */
#include "script.h"

/* Named as in ORM-CASES: basic (alone), nested, merged, reuse. */
static const struct script_case basic[] = {
	{"commit", "( 1 )", AMEND_OK, "1", NULL},
	{"rollback", "( 1 fail )", AMEND_CONFLICT, "", NULL},
	{"nested_commit_commit", "( 1 ( 2 ) )", AMEND_OK, "1 2", NULL},
	{"nested_commit_rollback", "( 1 ( 2 fail )~ )", AMEND_OK, "1", "CONFLICT"},
	{"nested_rollback_commit", "( 1 ( 2 ) fail )", AMEND_CONFLICT, "", NULL},
	{"nested_rollback_rollback", "( 1 ( 2 fail )~ fail )", AMEND_CONFLICT, "", "CONFLICT"},
	{"a failure passed on undoes both", "( 1 ( 2 fail ) 3 )", AMEND_CONFLICT, "", NULL},
	{"merged_commit_commit", "( 1 { 2 } )", AMEND_OK, "1 2", NULL},
	{"merged_commit_rollback", "( 1 { 2 fail }~ )", AMEND_CONFLICT, "", "CONFLICT"},
	{"merged_rollback_commit", "( 1 { 2 } fail )", AMEND_CONFLICT, "", NULL},
	{"merged_rollback_rollback", "( 1 { 2 fail }~ fail )", AMEND_CONFLICT, "", "CONFLICT"},
	{"reuse_commit_commit", "( 1 ( 2 ) ( 3 ) )", AMEND_OK, "1 2 3", NULL},
	{"reuse_commit_rollback", "( 1 ( 2 ) ( 3 fail )~ )", AMEND_OK, "1 2", "CONFLICT"},
	{"reuse_rollback_commit", "( 1 ( 2 fail )~ ( 3 ) )", AMEND_OK, "1 3", "CONFLICT"},
	{"reuse_rollback_rollback", "( 1 ( 2 fail )~ ( 3 fail )~ )", AMEND_OK, "1",
	 "CONFLICT CONFLICT"},
	{"failure_on_exit_transaction: a merged failure is not forgotten on the way out",
	 "( 1 ( 2 { 3 fail }~ )~ 4 )", AMEND_OK, "1 4", "CONFLICT CONFLICT"},
	{"does_not_leak_savepoints_on_failure",
	 "( ( 1 fail )~ ( 2 fail )~ ( ( 3 fail )~ 4 ) ( 5 ) )", AMEND_OK, "4 5",
	 "CONFLICT CONFLICT CONFLICT"},
};

/* Merged units: the nearest savepoint takes the blow. */
static const struct script_case merged[] = {
	{"merged_outer_rollback", "( 1 { 2 { 3 fail }~ }~ see~ )", AMEND_CONFLICT, "",
	 "CONFLICT CONFLICT INVALID"},
	{"merged_inner_savepoint_rollback", "( 1 ( 2 { 3 fail }~ see~ )~ 4 )", AMEND_OK, "1 4",
	 "CONFLICT INVALID CONFLICT"},
	{"merged_inner_savepoint_rollback, the merged one outside", "( 1 { 2 ( 3 fail )~ } 4 )",
	 AMEND_OK, "1 2 4", "CONFLICT"},
	{"a merged unit alone is an ordinary one", "{ 1 fail }~ { 2 }", AMEND_OK, "2", "CONFLICT"},
	{"a failed statement in a merged unit", "( 1 { 2 bad }~ 3~ )", AMEND_CONSTRAINT, "",
	 "CONSTRAINT INVALID"},
};

static const struct script_case failed[] = {
	{"prevents_queries_in_broken_transaction", "( 1 bad~ 2~ see~ )", AMEND_CONSTRAINT, "",
	 "CONSTRAINT INVALID INVALID"},
	{"mark_for_rollback_on_error_in_transaction: the function says OK, and is undone",
	 "( 1 bad~ )", AMEND_CONSTRAINT, "", "CONSTRAINT"},
	{"mark_for_rollback_on_error_in_autocommit: none to mark", "bad~ 1", AMEND_OK, "1",
	 "CONSTRAINT"},
	{"allows_queries_after_fixing_transaction: a unit around what may fail",
	 "( 1 ( 2 bad )~ 3 )", AMEND_OK, "1 3", "CONSTRAINT"},
	{"prevent_rollback: the inner unit swallows its failed statement and is undone all the "
	 "same",
	 "( 1 ( 2 bad~ )~ 3 )", AMEND_OK, "1 3", "CONSTRAINT CONSTRAINT"},
	{"a failed unit takes no other unit", "( 1 bad~ ( 2 )~ { 3 }~ )", AMEND_CONSTRAINT, "",
	 "CONSTRAINT INVALID INVALID"},
	{"force_rollback: a unit that did all it should may undo itself", "( 1 2 see fail )",
	 AMEND_CONFLICT, "", "n2"},
	{"orm_query_after_error_and_rollback", "( 1 bad )~ see 2", AMEND_OK, "2", "CONSTRAINT n0"},
	{"the function's own failure wins over the statement's", "( 1 bad~ fail )", AMEND_CONFLICT,
	 "", "CONSTRAINT"},
	{"nothing autocommits behind a failure", "( 1 ( 2 ( 3 bad )~ bad )~ 4 bad~ 5~ )~ ( 6 )",
	 AMEND_OK, "6", "CONSTRAINT CONSTRAINT CONSTRAINT INVALID CONSTRAINT"},
};

static const struct script_case durable[] = {
	{"durable: commit", "[ 1 ]", AMEND_OK, "1", NULL},
	{"durable: nested_outer_durable", "[ 1 ( 2 ) ]", AMEND_OK, "1 2", NULL},
	{"durable: nested_both_durable", "[ 1 [ 2 ]~ 3 ]", AMEND_OK, "1 3", "INVALID"},
	{"durable: nested_inner_durable", "( 1 [ 2 ] )", AMEND_INVALID, "", NULL},
	{"durable: nested_inner_durable, deeper", "( 1 ( 2 [ 3 ]~ ) )", AMEND_OK, "1 2", "INVALID"},
	{"durable: sequence_of_durables", "[ 1 ] [ 2 ]", AMEND_OK, "1 2", NULL},
	{"durable: after a failed one", "[ 1 fail ]~ [ 2 ]", AMEND_OK, "2", "CONFLICT"},
};

static const struct script_case borrowed_durable[] = {
	{"durable in the application's transaction", "[ 1 ]~ ( 2 )", AMEND_OK, "2", "INVALID"},
};

static void check_basic(struct engine *engine)
{
	script_table(engine);
	script_check(engine, basic, COUNT(basic));
}

static void check_merged(struct engine *engine)
{
	script_table(engine);
	script_check(engine, merged, COUNT(merged));
}

static void check_failed(struct engine *engine)
{
	script_table(engine);
	script_check(engine, failed, COUNT(failed));
}

static void check_durable(struct engine *engine)
{
	script_table(engine);
	script_check(engine, durable, COUNT(durable));
}

/* The class once more "inside a transaction": that of the application. */
static void check_borrowed(struct engine *engine)
{
	script_table(engine);
	script_check_borrowed(engine, basic, COUNT(basic));
	script_check_borrowed(engine, merged, 3);
	script_check_borrowed(engine, borrowed_durable, COUNT(borrowed_durable));
}

/* --- What a line cannot say --- */

static enum amend_status first_error(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct amend_error *second = context;

	if (amend_query(db, "INSERT INTO t VALUES (0)", NULL, 0, NULL, err) == AMEND_OK ||
	    amend_query(db, "SELECT a FROM t", NULL, 0, NULL, second) == AMEND_OK)
		return AMEND_OK;
	return AMEND_OK;
}

/* The refusal names the first error, and so does the unit: not what came after it. */
static void keeps_the_first_error(struct engine *engine)
{
	struct amend_conn *db;
	struct amend_error err, second;

	script_table(engine);
	db = connect_open(engine);
	expect_status(AMEND_CONSTRAINT, amend_atomic(db, NULL, first_error, &second, &err), &err);
	expect_text(err.sqlstate, "23505");
	assert_int_equal(second.status, AMEND_INVALID);
	expect_text(second.sqlstate, "23505");
	expect_contains(second.text, "this unit has failed and takes no statement");
	expect_contains(second.text, engine_pick3(engine, "UNIQUE", "t_pkey", "PRIMARY"));
}

static enum amend_status says_nothing(struct amend_conn *db, void *context, struct amend_error *err)
{
	(void)db, (void)context, (void)err;
	return AMEND_STALE;
}

static void a_status_without_words(struct engine *engine)
{
	struct amend_conn *db = connect_open(engine);
	struct amend_error err;

	expect_status(AMEND_STALE, amend_atomic(db, NULL, says_nothing, NULL, &err), &err);
	expect_contains(err.text, "STALE");
}

static enum amend_status go_deeper(struct amend_conn *db, void *context, struct amend_error *err)
{
	int *left = context;

	if (--*left == 0)
		return amend_query(db, "INSERT INTO t VALUES (1)", NULL, 0, NULL, err);
	return amend_atomic(db, NULL, go_deeper, left, err);
}

static enum amend_status too_deep(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct amend_error inner;
	int left = 5000;

	(void)context;
	expect_status(AMEND_INVALID, go_deeper(db, &left, &inner), &inner);
	expect_contains(inner.text, "nested more than");
	return amend_query(db, "INSERT INTO t VALUES (2)", NULL, 0, NULL, err);
}

static void depth(struct engine *engine)
{
	struct amend_conn *db;
	struct amend_error err;
	int left = 100;

	script_table(engine);
	db = connect_open(engine);
	expect_ok(amend_atomic(db, NULL, go_deeper, &left, &err), &err);
	expect_ok(amend_atomic(db, NULL, too_deep, NULL, &err), &err);
	engine_expect(engine, "SELECT a FROM t ORDER BY a", "0\n1\n2");
}

static enum amend_status check_in_unit(struct amend_conn *db, void *context, struct amend_error *err)
{
	(void)context, (void)err;
	return amend_in_unit(db) ? AMEND_OK : AMEND_INTERNAL;
}

static void in_unit(struct engine *engine)
{
	struct amend_conn *db = connect_open(engine);
	struct amend_error err;

	assert_false(amend_in_unit(db));
	expect_ok(amend_atomic(db, NULL, check_in_unit, NULL, &err), &err);
	assert_false(amend_in_unit(db));
}

/* prevents_calling_transaction_methods, prevents_setting_autocommit. */
static const char *const transaction_words[] = {
	"COMMIT",
	" commit",
	"ROLLBACK",
	"END",
	"BEGIN",
	"/* now */ COMMIT",
	"-- well\nrollback",
	";COMMIT",
	"SAVEPOINT s",
	"RELEASE amend_1",
	"rollback to amend_1",
};

static enum amend_status call_word(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct amend_error refused;

	if (amend_query(db, "INSERT INTO t VALUES (1)", NULL, 0, NULL, err) != AMEND_OK)
		return err->status;
	expect_status(AMEND_INVALID, amend_query(db, context, NULL, 0, NULL, &refused), &refused);
	expect_contains(refused.text, "amend_atomic");
	return amend_error_set(err, AMEND_CONFLICT, "told to fail");
}

static void transaction_words_are_refused(struct engine *engine)
{
	struct amend_conn *db;
	struct amend_error err;

	script_table(engine);
	db = connect_open(engine);
	for (size_t i = 0; i < COUNT(transaction_words); i++) {
		char *word = amend_arena_text(engine_arena(engine), transaction_words[i]);

		expect_status(AMEND_CONFLICT, amend_atomic(db, NULL, call_word, word, &err), &err);
		engine_expect(engine, "SELECT count(*) FROM t", "1");
		expect_status(AMEND_INVALID, amend_query(db, word, NULL, 0, NULL, &err), &err);
	}
	connect_exec(engine, db, "INSERT INTO t VALUES (5)");
	engine_expect(engine, "SELECT count(*) FROM t", "2");
}

static const struct engine_test tests[] = {
	{"alone, nested, merged, reused", check_basic},
	{"merged units fail with the nearest savepoint", check_merged},
	{"a failed unit refuses statements until it is undone", check_failed},
	{"durable units are outermost", check_durable},
	{"the same inside the application's transaction", check_borrowed},
	{"the first error is kept", keeps_the_first_error},
	{"a status without words gets some", a_status_without_words},
	{"units nest deep, within a limit that harms nothing", depth},
	{"amend_in_unit", in_unit},
	{"transaction statements are refused by amend_query", transaction_words_are_refused},
};

ENGINE_MAIN(tests)
