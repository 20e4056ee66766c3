/*
 * Reruns of a whole outermost unit: what causes them, what they repeat, and where they end.
 * Leaves failures that are final to nesting_test.c and gone_test.c.
 */
#include "engines.h"

#include <stdlib.h>

#include "core/clock.h"

struct work {
	struct engine *engine;
	struct amend_conn *other; /* a rival's */
	struct foreign *foreign;
	int runs, inner_runs, fail_until;
	bool swallow;
};

static void table(struct engine *engine)
{
	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, n integer NOT NULL);"
			    "INSERT INTO t VALUES (1, 10), (2, 20)");
}

static enum amend_status query(struct amend_conn *db, const char *sql, struct amend_error *err)
{
	return amend_query(db, sql, NULL, 0, NULL, err);
}

static enum amend_status read_n(struct amend_conn *db, const char *sql, int *n,
				struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_query(db, sql, NULL, 0, &rows, err);

	if (status == AMEND_OK)
		*n = atoi(amend_rows_at(&rows, 0, 0)->as.text);
	amend_rows_release(&rows);
	return status;
}

/* --- What the engine undoes --- */

/* Reads, is overtaken the first time, writes what follows from what it read. */
static enum amend_status read_then_write(struct amend_conn *db, void *context,
					 struct amend_error *err)
{
	struct work *work = context;
	char sql[96];
	int n = 0;
	enum amend_status status = read_n(db, "SELECT n FROM t WHERE id = 1", &n, err);

	if (status != AMEND_OK)
		return status;
	if (work->runs++ == 0)
		engine_exec(work->engine, "UPDATE t SET n = 15 WHERE id = 1");
	snprintf(sql, sizeof(sql), "UPDATE t SET n = %d WHERE id = 1", n + 1);
	return query(db, sql, err);
}

static void serialization_failure(struct engine *engine)
{
	static const enum amend_isolation levels[] = {AMEND_REPEATABLE_READ, AMEND_SERIALIZABLE};
	/* MariaDB's SERIALIZABLE bars the writer instead. */
	size_t n = engine_is(engine, "mariadb") ? 1 : COUNT(levels);

	table(engine);
	for (size_t i = 0; i < n; i++) {
		struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
		struct work work = {.engine = engine};
		struct amend_error err;

		engine_exec(engine, "UPDATE t SET n = 10 WHERE id = 1");
		options.isolation = levels[i];
		expect_ok(amend_atomic(connect_open(engine), &options, read_then_write, &work, &err),
			  &err);
		assert_int_equal(work.runs, 2);
		engine_expect(engine, "SELECT n FROM t WHERE id = 1", "16"); /* it read again */
	}
}

/* Each moves the sum of both into its own row: only one after the other is right. */
static enum amend_status sum_into_1(struct amend_conn *db, void *context, struct amend_error *err);

static enum amend_status sum_into(struct amend_conn *db, int id, struct amend_error *err)
{
	char sql[96];
	int sum = 0;
	enum amend_status status = read_n(db, "SELECT sum(n) FROM t", &sum, err);

	snprintf(sql, sizeof(sql), "UPDATE t SET n = %d WHERE id = %d", sum, id);
	return status == AMEND_OK ? query(db, sql, err) : status;
}

static enum amend_status sum_into_2(struct amend_conn *db, void *context, struct amend_error *err)
{
	(void)context;
	return sum_into(db, 2, err);
}

static enum amend_status sum_into_1(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct work *work = context;
	int sum;
	enum amend_status status = read_n(db, "SELECT sum(n) FROM t", &sum, err);

	options.isolation = AMEND_SERIALIZABLE;
	if (status == AMEND_OK && work->runs++ == 0)
		status = amend_atomic(work->other, &options, sum_into_2, NULL, err);
	return status == AMEND_OK ? sum_into(db, 1, err) : status;
}

static void write_skew(struct engine *engine)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct work work = {.engine = engine};
	struct amend_error err;

	table(engine);
	work.other = connect_open(engine);
	options.isolation = AMEND_SERIALIZABLE;
	expect_ok(amend_atomic(connect_open(engine), &options, sum_into_1, &work, &err), &err);
	assert_int_equal(work.runs, 2);
	engine_expect(engine, "SELECT n FROM t ORDER BY id", "40\n30");
}

static enum amend_status lock_1_then_2(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct work *work = context;
	enum amend_status status;

	if (work->runs++ > 0) { /* the rival got what it waited for */
		expect_text(foreign_finish(work->foreign), NULL);
		foreign_exec(work->foreign, "COMMIT");
	}
	status = query(db, "UPDATE t SET n = n + 1 WHERE id = 1", err);
	if (status == AMEND_OK && work->runs == 1) {
		foreign_start(work->foreign, 0, "UPDATE t SET n = n + 100 WHERE id = 1");
		foreign_wait_blocked(work->foreign);
	}
	return status == AMEND_OK ? query(db, "UPDATE t SET n = n + 1 WHERE id = 2", err) : status;
}

/*
 * The unit is the one that the engine undoes: PostgreSQL's rival never looks for deadlocks, and MariaDB's has
 * changed more.
 */
static void deadlock(struct engine *engine)
{
	struct work work = {.engine = engine};
	bool looks = engine_is(engine, "postgresql");
	struct amend_conn *db;
	struct amend_error err;

	table(engine);
	engine_exec(engine, "CREATE TABLE many (n integer)");
	if (looks)
		engine_execf(engine, "ALTER DATABASE %s SET deadlock_timeout = '20ms'",
			     engine_scalar(engine, "SELECT current_database()"));
	db = connect_open(engine);
	work.foreign = foreign_open(engine);
	if (looks)
		foreign_exec(work.foreign, "SET deadlock_timeout = '1h'");
	foreign_exec(work.foreign, "BEGIN; INSERT INTO many VALUES (1), (2), (3), (4), (5), (6);"
				   "UPDATE t SET n = n + 100 WHERE id = 2");
	expect_ok(amend_atomic(db, NULL, lock_1_then_2, &work, &err), &err);
	assert_int_equal(work.runs, 2);
	engine_expect(engine, "SELECT n FROM t ORDER BY id", "111\n121");
}

/* --- Any engine: what says RETRY is run again as a whole --- */

static enum amend_status write_both(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct work *work = context;
	enum amend_status status = query(db, "UPDATE t SET n = n + 1 WHERE id = 1", err);

	work->runs++;
	return status == AMEND_OK ? query(db, "UPDATE t SET n = n + 1 WHERE id = 2", err) : status;
}

static void undone_anywhere(struct engine *engine)
{
	static const struct amend_trace_fault faults[] = {
		{.op = AMEND_TRACE_BEGIN, .status = AMEND_RETRY},
		{.op = AMEND_TRACE_STATEMENT, .nth = 1, .status = AMEND_RETRY},
		{.op = AMEND_TRACE_STATEMENT, .nth = 2, .status = AMEND_RETRY},
		{.op = AMEND_TRACE_STATEMENT, .nth = 2, .status = AMEND_RETRY, .after = true},
		{.op = AMEND_TRACE_STATEMENT,
		 .nth = 2,
		 .status = AMEND_RETRY,
		 .aftermath = AMEND_TRACE_UNDONE},
		{.op = AMEND_TRACE_STATEMENT,
		 .nth = 2,
		 .status = AMEND_RETRY,
		 .aftermath = AMEND_TRACE_AS_IS},
		{.op = AMEND_TRACE_COMMIT, .status = AMEND_RETRY},
	};

	table(engine);
	for (size_t i = 0; i < COUNT(faults); i++) {
		struct amend_conn *db = connect_open(engine);
		struct work work = {.engine = engine};
		struct amend_error err;

		engine_exec(engine, "UPDATE t SET n = 0");
		connect_trace(engine, db)->fault = faults[i];
		expect_ok(amend_atomic(db, NULL, write_both, &work, &err), &err);
		assert_true(connect_trace(engine, db)->fault.fired);
		assert_int_equal(work.runs, faults[i].op == AMEND_TRACE_BEGIN ? 1 : 2);
		engine_expect(engine, "SELECT n FROM t ORDER BY id", "1\n1");
	}
}

/* Other failures are not: they would fail again, or are not known to be undone. */
static void nothing_else_is_rerun(struct engine *engine)
{
	static const enum amend_status statuses[] = {
		AMEND_CONSTRAINT,  AMEND_STALE,       AMEND_LOCKED,   AMEND_INVALID,
		AMEND_INTERRUPTED, AMEND_UNREACHABLE, AMEND_INTERNAL, AMEND_OUTCOME_UNKNOWN,
		AMEND_NO_MEMORY,   AMEND_DENIED};
	static const enum amend_trace_op ops[] = {AMEND_TRACE_STATEMENT, AMEND_TRACE_COMMIT};

	table(engine);
	for (size_t i = 0; i < COUNT(statuses) * COUNT(ops); i++) {
		struct amend_conn *db = connect_open(engine);
		struct work work = {.engine = engine};
		struct amend_error err;

		connect_trace(engine, db)->fault = (struct amend_trace_fault){
			.op = ops[i % 2], .status = statuses[i / 2]};
		expect_status(statuses[i / 2], amend_atomic(db, NULL, write_both, &work, &err),
			      &err);
		assert_int_equal(work.runs, 1);
		engine_expect(engine, "SELECT n FROM t ORDER BY id", "10\n20");
	}
}

/* --- Bounds --- */

static enum amend_status always(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct work *work = context;

	work->runs++;
	return query(db, "UPDATE t SET n = n + 1", err) == AMEND_OK
		       ? amend_error_set(err, AMEND_RETRY, "told to")
		       : err->status;
}

static void bounds(struct engine *engine)
{
	static const struct {
		int max_tries;
		bool no_rerun;
		int runs;
	} cases[] = {{0, false, 10}, {3, false, 3}, {1, false, 1}, {0, true, 1}, {7, true, 1}};
	struct amend_conn *db;

	table(engine);
	db = connect_open(engine);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
		struct work work = {.engine = engine};
		struct amend_error err;
		int64_t begun = now_ms();

		options.max_tries = cases[i].max_tries;
		options.no_rerun = cases[i].no_rerun;
		expect_status(AMEND_RETRY, amend_atomic(db, &options, always, &work, &err), &err);
		assert_int_equal(work.runs, cases[i].runs);
		assert_in_range(now_ms() - begun, 0, 15000);
		if (!cases[i].no_rerun)
			expect_contains(err.text, "given up after");
	}
	engine_expect(engine, "SELECT n FROM t ORDER BY id", "10\n20");
}

static void bounded_in_time(struct engine *engine)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct work work = {.engine = engine};
	struct amend_error err;
	int64_t begun = now_ms();

	table(engine);
	options.max_tries = 1000000;
	options.time_limit_ms = 3000;
	expect_status(AMEND_INTERRUPTED,
		      amend_atomic(connect_open(engine), &options, always, &work, &err), &err);
	assert_in_range(work.runs, 2, 100000);
	assert_in_range(now_ms() - begun, 3000, 20000);
	engine_expect(engine, "SELECT n FROM t ORDER BY id", "10\n20");
}

/* Rivals that met once should not meet again: their pauses differ. */
static void pauses_are_random(struct engine *engine)
{
	uint32_t first = amend_clock_random();
	int same = 0;

	(void)engine;
	for (int i = 0; i < 8; i++)
		same += amend_clock_random() == first;
	assert_in_range(same, 0, 2);
}

/* --- Nested: never from a savepoint --- */

static enum amend_status inner(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct work *work = context;
	enum amend_status status = query(db, "UPDATE t SET n = n + 1 WHERE id = 2", err);

	if (status == AMEND_OK && ++work->inner_runs < work->fail_until)
		return amend_error_set(err, AMEND_RETRY, "told to");
	return status;
}

static enum amend_status outer(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct work *work = context;
	enum amend_status status = query(db, "UPDATE t SET n = n + 1 WHERE id = 1", err);

	work->runs++;
	if (status == AMEND_OK)
		status = amend_atomic(db, NULL, inner, work, err);
	if (status == AMEND_RETRY && work->swallow) {
		/* What is undone stays undone, whatever the function believes. */
		expect_status(AMEND_RETRY, query(db, "UPDATE t SET n = 99", err), err);
		expect_status(AMEND_RETRY, amend_atomic(db, NULL, inner, work, err), err);
		return AMEND_OK;
	}
	return status;
}

static void never_from_a_savepoint(struct engine *engine)
{
	struct amend_conn *db;

	table(engine);
	db = connect_open(engine);
	for (int swallow = 0; swallow < 2; swallow++) {
		struct work work = {.engine = engine, .fail_until = 3, .swallow = swallow == 1};
		struct amend_error err;

		engine_exec(engine, "UPDATE t SET n = 0");
		expect_ok(amend_atomic(db, NULL, outer, &work, &err), &err);
		assert_int_equal(work.runs, 3);
		assert_int_equal(work.inner_runs, 3);
		engine_expect(engine, "SELECT n FROM t ORDER BY id", "1\n1");
	}
}

static const struct engine_test tests[] = {
	{"a serialization failure: run again, reads included", serialization_failure,
	 .needs = AMEND_HAS_ROW_LOCK},
	{"two SERIALIZABLE units that crossed end as one after the other", write_skew,
	 .only = "postgresql"},
	{"a deadlock: run again", deadlock, .needs = AMEND_HAS_ROW_LOCK},
	{"undone at any operation: run again as a whole", undone_anywhere},
	{"no other failure is", nothing_else_is_rerun},
	{"the number of tries is bounded", bounds},
	{"so is their time", bounded_in_time},
	{"pauses between tries differ", pauses_are_random},
	{"a savepoint is never run again by itself", never_from_a_savepoint},
};

ENGINE_MAIN(tests)
