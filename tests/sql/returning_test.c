/*
 * A change that returns rows, and no memory to tell them: outside a transaction it is in all the same, and whoever is told that
 * nothing is does it again.
 * Leaves operations of the library to record/faults_test.c.
 */
#include "engines.h"
#include "memory.h"

#include <stdlib.h>

static enum amend_status run(struct amend_conn *db, void *context, struct amend_error *err)
{
	const char *const *sql = context;
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_query(db, *sql, NULL, 0, &rows, err);

	amend_rows_release(&rows);
	return status;
}

/* The n-th allocation fails, and so on, until none does. */
static void each_allocation(struct engine *engine, bool inside, const char *sql, int changes)
{
	struct amend_conn *db = connect_open(engine);
	int untold = 0;
	bool failed = true;

	for (unsigned n = 1; failed; n++) {
		long rows = strtol(engine_scalar(engine, "SELECT count(*) FROM t"), NULL, 10);
		enum amend_status status;
		struct amend_error err;

		memory_fail(n);
		status = inside ? amend_atomic(db, NULL, run, &sql, &err) : run(db, &sql, &err);
		failed = memory_failed();
		/* What is kept for the next time is not missed. */
		if (status != AMEND_OK && status != AMEND_OUTCOME_UNKNOWN)
			expect_status(AMEND_NO_MEMORY, status, &err);
		if (status != AMEND_NO_MEMORY)
			rows += changes;
		untold += status == AMEND_OUTCOME_UNKNOWN;
		engine_expect(engine, "SELECT count(*) FROM t", engine_printf(engine, "%ld", rows));
		assert_true(n < 200);
	}
	assert_int_equal(untold > 0, !inside && changes > 0);
	connect_close(engine, db);
}

static void told_or_not(struct engine *engine)
{
	static const char change[] = "INSERT INTO t SELECT a FROM t WHERE a > 1 LIMIT 2 RETURNING a";

	engine_exec(engine, "CREATE TABLE t (a integer); INSERT INTO t VALUES (1), (2), (3)");
	for (int inside = 0; inside < 2; inside++) {
		each_allocation(engine, inside, change, 2);
		each_allocation(engine, inside, "SELECT a FROM t", 0);
	}
}

static const struct engine_test tests[] = {
	{"a change whose rows cannot be told is not called undone", told_or_not, .real = true},
};

ENGINE_MAIN(tests)
