/*
 * The tracing driver: it is seen through, it counts, hides, and fails where it is told to.
 * Leaves what the layers above make of such failures to their own tests.
 */
#include "engines.h"

#include "core/buffer.h"

struct traced {
	struct amend_trace trace;
	const struct amend_driver *driver;
	struct amend_session *session;
	struct amend_buffer log;
};

static void close_traced(void *thing)
{
	struct traced *traced = thing;

	traced->driver->close(traced->session);
	amend_buffer_release(&traced->log);
}

static void log_statement(void *context, const char *sql)
{
	struct traced *traced = context;

	amend_buffer_printf(&traced->log, "%s\n", sql);
}

static struct traced *open_traced(struct engine *engine, unsigned hide)
{
	const struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct traced *traced = amend_arena_alloc(engine_arena(engine), sizeof(*traced));
	struct amend_error err;

	assert_non_null(traced);
	traced->trace.context = traced;
	traced->trace.statement = log_statement;
	traced->trace.hide = hide;
	traced->driver = engine->driver;
	expect_ok(traced->driver->open(engine->url, &options, &traced->session, &err), &err);
	expect_ok(amend_trace_wrap(traced->driver, traced->session, &traced->trace, &traced->driver,
				   &traced->session, &err),
		  &err);
	engine_defer(engine, close_traced, traced);
	return traced;
}

static struct attempt run(struct traced *traced, const char *sql)
{
	struct amend_statement statement = {.sql = sql, .once = true};
	struct attempt attempt = {AMEND_OK, {0}, 0};
	size_t failed;

	attempt.status = traced->driver->run(traced->session, &statement, 1, NULL, &failed,
					     &attempt.error);
	assert_int_equal(failed, attempt.status == AMEND_OK ? 1 : 0);
	return attempt;
}

static struct attempt begin(struct traced *traced)
{
	static const struct amend_begin wanted = {.lock_timeout_ms = 1000};
	struct attempt attempt = {AMEND_OK, {0}, 0};

	attempt.status = traced->driver->begin(traced->session, &wanted, &attempt.error);
	return attempt;
}

static struct attempt commit(struct traced *traced)
{
	struct attempt attempt = {AMEND_OK, {0}, 0};

	attempt.status = traced->driver->commit(traced->session, &attempt.error);
	return attempt;
}

static struct attempt rollback(struct traced *traced)
{
	struct attempt attempt = {AMEND_OK, {0}, 0};

	attempt.status = traced->driver->rollback(traced->session, &attempt.error);
	return attempt;
}

static enum amend_tx state(const struct traced *traced)
{
	return traced->driver->state(traced->session);
}

/* --- Seen through --- */

static void logs_and_counts(struct engine *engine)
{
	struct amend_table table;
	struct amend_error err;
	struct traced *traced;
	bool visible;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	traced = open_traced(engine, 0);
	expect_done(begin(traced));
	expect_done(run(traced, "INSERT INTO t VALUES (1)"));
	expect_done(commit(traced));
	expect_ok(traced->driver->describe(traced->session, NULL, "t", engine_arena(engine), &table,
					   &visible, &err),
		  &err);
	assert_int_equal(table.n_columns, 1);
	expect_error(AMEND_NOT_FOUND, "42P01", run(traced, "SELECT * FROM missing"));
	expect_done(rollback(traced));
	expect_text(amend_buffer_string(&traced->log), "BEGIN\n"
						       "INSERT INTO t VALUES (1)\n"
						       "COMMIT\n"
						       "-- describe t\n"
						       "SELECT * FROM missing\n"
						       "ROLLBACK\n");
	assert_int_equal(traced->trace.operations, 6);
	assert_int_equal(traced->trace.statements, 2);
	assert_int_equal(traced->trace.by_op[AMEND_TRACE_RUN], 2);
	assert_int_equal(traced->trace.by_op[AMEND_TRACE_COMMIT], 1);
	engine_expect(engine, "SELECT a FROM t", "1");
}

struct seen {
	struct amend_buffer text;
};

static void see_before(void *context, const struct amend_trace_event *event)
{
	struct seen *seen = context;

	amend_buffer_printf(&seen->text, "%d>%s(%zu) ", (int)event->index,
			    amend_trace_op_name(event->op), event->n_statements);
}

static void see_after(void *context, const struct amend_trace_event *event)
{
	struct seen *seen = context;

	amend_buffer_printf(&seen->text, "%d<%s ", (int)event->index,
			    event->error ? event->error->sqlstate : "ok");
}

static void calls_hooks_in_order(struct engine *engine)
{
	struct seen seen = {AMEND_BUFFER_INIT};
	struct traced *traced = open_traced(engine, 0);

	traced->trace.context = &seen;
	traced->trace.statement = NULL;
	traced->trace.before = see_before;
	traced->trace.after = see_after;
	expect_done(begin(traced));
	expect_error(AMEND_NOT_FOUND, NULL, run(traced, "SELECT * FROM missing"));
	expect_done(rollback(traced));
	traced->trace.before = traced->trace.after = NULL;
	expect_text(amend_buffer_string(&seen.text),
		    "0>begin(0) 0<ok 1>run(1) 1<42P01 2>rollback(0) 2<ok ");
	amend_buffer_release(&seen.text);
}

static void hides_features(struct engine *engine)
{
	const unsigned hide = AMEND_HAS_WRITE_CTE | AMEND_HAS_KEY_STRENGTHS | AMEND_HAS_SHARE |
			      AMEND_HAS_TABLE_LOCK | AMEND_HAS_ROW_VERSION;
	struct traced *traced = open_traced(engine, hide);
	const struct amend_dialect *dialect = traced->driver->dialect;

	assert_int_equal(traced->driver->features, engine->driver->features & ~hide);
	expect_text(dialect->for_no_key_update, "");
	expect_text(dialect->for_share, "");
	expect_text(dialect->lock_table_update, "");
	assert_null(dialect->row_version);
	expect_text(dialect->for_update, engine->driver->dialect->for_update);
	expect_text(dialect->text_type, engine->driver->dialect->text_type);
	expect_text(traced->driver->name, engine->driver->name);
	assert_true(!traced->driver->become_writer == !engine->driver->become_writer);
}

static void logs_for_amend_open(struct engine *engine)
{
	const struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct traced *traced = amend_arena_alloc(engine_arena(engine), sizeof(*traced));
	struct amend_error err;

	assert_non_null(traced);
	traced->driver = engine->driver;
	expect_ok(traced->driver->open(engine->url, &options, &traced->session, &err), &err);
	expect_ok(amend_trace_log(&traced->driver, &traced->session, log_statement, traced, &err),
		  &err);
	engine_defer(engine, close_traced, traced);
	assert_ptr_not_equal(traced->driver, engine->driver);
	expect_done(run(traced, "SELECT 1"));
	expect_text(amend_buffer_string(&traced->log), "SELECT 1\n");
}

/* --- Faults --- */

static void fails_before_and_after(struct engine *engine)
{
	static const struct {
		bool after;
		const char *rows; /* of t, after a COMMIT whose answer was lost */
	} cases[] = {{false, "0"}, {true, "1"}};

	engine_exec(engine, "CREATE TABLE t (a integer)");
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct traced *traced = open_traced(engine, 0);

		engine_exec(engine, "DELETE FROM t");
		traced->trace.fault = (struct amend_trace_fault){.op = AMEND_TRACE_COMMIT,
								 .after = cases[i].after,
								 .status = AMEND_OUTCOME_UNKNOWN};
		expect_done(begin(traced));
		expect_done(run(traced, "INSERT INTO t VALUES (1)"));
		assert_false(traced->trace.fault.fired);
		expect_error(AMEND_OUTCOME_UNKNOWN, "08007", commit(traced));
		assert_true(traced->trace.fault.fired);
		assert_int_equal(state(traced), AMEND_TX_LOST);
		expect_error(AMEND_UNREACHABLE, "08006", run(traced, "SELECT 1"));
		expect_error(AMEND_UNREACHABLE, "08006", begin(traced));
		expect_error(AMEND_UNREACHABLE, "08006", rollback(traced));
		engine_expect(engine, "SELECT count(*) FROM t", cases[i].rows);
		engine_end(engine, traced);
	}
}

static void retry_at_commit_is_undone(struct engine *engine)
{
	struct traced *traced;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	traced = open_traced(engine, 0);
	traced->trace.fault = (struct amend_trace_fault){.op = AMEND_TRACE_COMMIT,
							 .status = AMEND_RETRY};
	for (int i = 0; i < 2; i++) { /* it fires once: the second try goes through */
		expect_done(begin(traced));
		expect_done(run(traced, "INSERT INTO t VALUES (1)"));
		if (i == 0)
			expect_error(AMEND_RETRY, "40001", commit(traced));
		else
			expect_done(commit(traced));
		assert_int_equal(state(traced), AMEND_TX_IDLE);
	}
	engine_expect(engine, "SELECT count(*) FROM t", "1");
}

static void each_statement_in_turn(struct engine *engine)
{
	static const char *const texts[] = {"INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)",
					    "SELECT a FROM t", "INSERT INTO t VALUES (4)"};
	struct amend_statement statements[COUNT(texts)];
	struct amend_rows rows[COUNT(texts)];
	struct traced *traced;
	struct amend_error err;
	size_t failed;

	for (size_t i = 0; i < COUNT(texts); i++)
		statements[i] = (struct amend_statement){.sql = texts[i]};
	engine_exec(engine, "CREATE TABLE t (a integer)");
	traced = open_traced(engine, 0);
	for (unsigned nth = 1; nth <= COUNT(texts) + 1; nth++) {
		for (int after = 0; after < 2; after++) {
			char expected[16];

			engine_exec(engine, "DELETE FROM t");
			traced->trace.fault = (struct amend_trace_fault){.op = AMEND_TRACE_STATEMENT,
									 .nth = nth,
									 .after = after,
									 .status = AMEND_INTERNAL,
									 .sqlstate = "XX000"};
			if (nth > COUNT(texts)) {
				expect_ok(traced->driver->run(traced->session, statements,
							      COUNT(texts), rows, &failed, &err),
					  &err);
				assert_false(traced->trace.fault.fired);
				assert_int_equal(failed, COUNT(texts));
			} else {
				expect_status(AMEND_INTERNAL,
					      traced->driver->run(traced->session, statements,
								  COUNT(texts), rows, &failed, &err),
					      &err);
				expect_text(err.sqlstate, "XX000");
				assert_int_equal(failed, nth - 1);
				snprintf(expected, sizeof(expected), "%u",
					 nth - (after && nth != 3 ? 0 : 1) - (nth > 3));
				engine_expect(engine, "SELECT count(*) FROM t", expected);
				assert_null(rows[failed].owner);
			}
			for (size_t i = 0; i < COUNT(rows); i++)
				amend_rows_release(&rows[i]);
			assert_int_equal(state(traced), AMEND_TX_IDLE);
		}
	}
}

static void only_what_contains(struct engine *engine)
{
	struct traced *traced;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	traced = open_traced(engine, 0);
	traced->trace.fault = (struct amend_trace_fault){.op = AMEND_TRACE_RUN,
							 .nth = 2,
							 .sql = "INSERT",
							 .status = AMEND_CONSTRAINT,
							 .sqlstate = "23505"};
	expect_done(run(traced, "INSERT INTO t VALUES (1)"));
	expect_done(run(traced, "SELECT * FROM t"));
	expect_error(AMEND_CONSTRAINT, "23505", run(traced, "INSERT INTO t VALUES (2)"));
	expect_done(run(traced, "INSERT INTO t VALUES (3)"));
	engine_expect(engine, "SELECT a FROM t ORDER BY a", "1\n3");
}

/* By default a failure inside a transaction aborts it, as PostgreSQL does: on SQLite too. */
static void aborted_until_undone(struct engine *engine)
{
	struct traced *traced;

	engine_exec(engine, "CREATE TABLE t (a integer)");
	traced = open_traced(engine, 0);
	expect_done(begin(traced));
	expect_done(run(traced, "INSERT INTO t VALUES (1)"));
	expect_done(run(traced, "SAVEPOINT s"));
	traced->trace.fault = (struct amend_trace_fault){
		.op = AMEND_TRACE_RUN, .after = true, .status = AMEND_LOCKED};
	expect_error(AMEND_LOCKED, "55P03", run(traced, "INSERT INTO t VALUES (2)"));
	assert_int_equal(state(traced), AMEND_TX_FAILED);
	expect_error(AMEND_INVALID, "25P02", run(traced, "SELECT 1"));
	expect_done(run(traced, "ROLLBACK TO s"));
	assert_int_equal(state(traced), AMEND_TX_ACTIVE);
	expect_done(commit(traced));
	engine_expect(engine, "SELECT a FROM t", "1");

	expect_done(begin(traced));
	traced->trace.fault = (struct amend_trace_fault){.op = AMEND_TRACE_ANY,
							 .status = AMEND_RETRY};
	expect_error(AMEND_RETRY, "40001", run(traced, "INSERT INTO t VALUES (3)"));
	assert_int_not_equal(commit(traced).status, AMEND_OK);
	assert_int_equal(state(traced), AMEND_TX_IDLE);
	engine_expect(engine, "SELECT a FROM t", "1");
}

static void other_aftermaths(struct engine *engine)
{
	static const struct {
		enum amend_trace_aftermath aftermath;
		enum amend_tx state;
		const char *rows;
	} cases[] = {
		{AMEND_TRACE_AS_IS, AMEND_TX_ACTIVE, "1"},
		{AMEND_TRACE_ABORTED, AMEND_TX_FAILED, "0"},
		{AMEND_TRACE_UNDONE, AMEND_TX_IDLE, "0"},
		{AMEND_TRACE_CUT, AMEND_TX_LOST, "0"},
	};

	engine_exec(engine, "CREATE TABLE t (a integer)");
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct traced *traced = open_traced(engine, 0);

		engine_exec(engine, "DELETE FROM t");
		expect_done(begin(traced));
		expect_done(run(traced, "INSERT INTO t VALUES (1)"));
		traced->trace.fault = (struct amend_trace_fault){.op = AMEND_TRACE_RUN,
								 .status = AMEND_RETRY,
								 .aftermath = cases[i].aftermath};
		expect_error(AMEND_RETRY, "40001", run(traced, "INSERT INTO t VALUES (2)"));
		assert_int_equal(state(traced), cases[i].state);
		if (cases[i].state == AMEND_TX_ACTIVE)
			expect_done(commit(traced));
		engine_end(engine, traced);
		engine_expect(engine, "SELECT count(*) FROM t", cases[i].rows);
	}
}

static const struct engine_test tests[] = {
	{"it logs and counts, and is seen through", logs_and_counts},
	{"hooks are called before and after, in order", calls_hooks_in_order},
	{"features are hidden, and the dialect agrees", hides_features},
	{"amend_trace_log wraps for statements alone", logs_for_amend_open},
	{"a COMMIT whose answer is lost: in, or not in", fails_before_and_after},
	{"RETRY at COMMIT is undone, and fires once", retry_at_commit_is_undone},
	{"each statement of a run fails in turn", each_statement_in_turn},
	{"only statements that contain a text", only_what_contains},
	{"a failure aborts the transaction until it is undone", aborted_until_undone},
	{"other aftermaths", other_aftermaths},
};

ENGINE_MAIN(tests)
