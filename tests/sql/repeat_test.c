/*
 * One statement many times, and rows as they come, on a connection with its units.
 * Leaves what the drivers promise to driver/scan_test.c.
 */
#include "engines.h"

#include <math.h>

#include <amend/amend.h>

#include "sql/conn.h"

enum { MANY = 1500 };

struct given {
	struct amend_conn *db;
	struct amend_repeat repeat;
	struct amend_value values[2 * MANY];
	int64_t changes[MANY];
	int64_t sum;
	size_t rows, stop; /* `each` fails at this time; SIZE_MAX: never */
	bool scan;
	enum amend_status status;
	struct amend_error err;
};

static enum amend_status each(void *context, size_t i, const struct amend_value *values,
			      size_t n_columns, struct amend_error *err)
{
	struct given *given = context;
	int64_t number = 0;

	if (i == given->stop)
		return amend_error_set(err, AMEND_CONFLICT, "no more of these");
	assert_int_equal(n_columns, 2);
	if (values[0].kind == AMEND_INTEGER)
		number = values[0].as.integer;
	else
		assert_int_equal(sscanf(values[0].as.text, "%ld", &number), 1);
	assert_int_equal(number, i);
	given->sum += number;
	given->rows++;
	return AMEND_OK;
}

static struct given *many(struct engine *engine, struct amend_conn *db, const char *sql,
			  size_t n_values)
{
	struct given *given = amend_arena_alloc(engine_arena(engine), sizeof(*given));

	given->db = db;
	given->stop = SIZE_MAX;
	for (size_t i = 0; i < MANY; i++) {
		given->values[i * n_values] = amend_integer((int64_t)i);
		if (n_values > 1)
			given->values[i * n_values + 1] = i % 3 ? amend_text("text") : amend_null();
	}
	given->repeat = (struct amend_repeat){
		.sql = engine_sql(engine, sql),
		.n_values = n_values,
		.values = given->values,
		.n = MANY,
		.context = given,
		.changes = given->changes,
		.failed = 77,
	};
	return given;
}

static struct amend_conn *open_t(struct engine *engine)
{
	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, v text)");
	return connect_open(engine);
}

static const char insert[] = "INSERT INTO t VALUES (CAST(?1 AS integer), CAST(?2 AS text))";

static void writes(struct engine *engine)
{
	struct given *given = many(engine, open_t(engine), insert, 2);

	expect_ok(amend_repeat(given->db, &given->repeat, &given->err), &given->err);
	assert_int_equal(given->repeat.failed, MANY);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(given->changes[i], 1);
	engine_expect(engine, "SELECT count(*), count(v), sum(id) FROM t", "1500|1000|1124250");
	given = many(
		engine, given->db,
		"UPDATE t SET v = 'text' WHERE id = CAST(?1 AS integer) AND v = CAST(?2 AS text)",
		2);
	given->repeat.changes = NULL;
	expect_ok(amend_repeat(given->db, &given->repeat, &given->err), &given->err);
	given->repeat.changes = given->changes;
	expect_ok(amend_repeat(given->db, &given->repeat, &given->err), &given->err);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(given->changes[i], i % 3 != 0);
	given->repeat.n = 0;
	expect_ok(amend_repeat(given->db, &given->repeat, &given->err), &given->err);
	assert_int_equal(given->repeat.failed, 0);
}

static void rows(struct engine *engine)
{
	struct given *given = many(
		engine, open_t(engine),
		"SELECT id, v FROM t WHERE id = CAST(?1 AS integer) AND id % 2 = 0", 1);

	for (int i = 0; i < MANY; i++)
		engine_execf(engine, "INSERT INTO t VALUES (%d, 'v')", i);
	given->repeat.each = each;
	expect_ok(amend_repeat(given->db, &given->repeat, &given->err), &given->err);
	assert_int_equal(given->rows, MANY / 2);
	assert_int_equal(given->sum, 750 * 749);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(given->changes[i], 0);
	given->stop = 1200;
	expect_status(AMEND_CONFLICT, amend_repeat(given->db, &given->repeat, &given->err),
		      &given->err);
	expect_text(given->err.text, "no more of these");
	assert_int_equal(given->repeat.failed, 1200);
	connect_exec(engine, given->db, "INSERT INTO t VALUES (-1, '')");
}

/* Outside a unit each time is its own: what came before the failure is in. */
static void a_failure(struct engine *engine)
{
	struct given *given = many(engine, open_t(engine), insert, 2);

	engine_exec(engine, "INSERT INTO t VALUES (700, 'in the way')");
	expect_status(AMEND_CONSTRAINT, amend_repeat(given->db, &given->repeat, &given->err),
		      &given->err);
	expect_text(given->err.sqlstate, "23505");
	assert_int_equal(given->repeat.failed, 700);
	engine_expect(engine, "SELECT count(*), max(id) FROM t", "701|700");
	given->repeat.n_values = 1;
	expect_status(AMEND_INVALID, amend_repeat(given->db, &given->repeat, &given->err),
		      &given->err);
	assert_int_equal(given->repeat.failed, 0);
}

static void not_a_number(struct engine *engine)
{
	struct given *given = many(engine, open_t(engine), insert, 2);

	given->values[2 * 800 + 1] = amend_real(NAN);
	expect_status(AMEND_INVALID, amend_repeat(given->db, &given->repeat, &given->err),
		      &given->err);
	assert_int_equal(given->repeat.failed, 800);
	engine_expect(engine, "SELECT count(*) FROM t", "800");
}

static enum amend_status in_unit(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct given *given = context;

	given->status = amend_repeat(db, &given->repeat, &given->err);
	/* Whether the unit goes on: */
	return amend_query(db, "INSERT INTO t VALUES (-1, 'after')", NULL, 0, NULL, err);
}

static void units(struct engine *engine)
{
	struct amend_conn *db = open_t(engine);
	struct given *given = many(engine, db, insert, 2);
	struct amend_error err;

	engine_exec(engine, "INSERT INTO t VALUES (700, 'in the way')");
	expect_status(AMEND_INVALID, amend_atomic(db, NULL, in_unit, given, &err), &err);
	assert_int_equal(given->status, AMEND_CONSTRAINT);
	engine_expect(engine, "SELECT count(*) FROM t", "1");
	given = many(engine, db, "SELECT CAST(?1 AS integer), 'v'", 1);
	given->repeat.each = each;
	given->stop = 3;
	expect_ok(amend_atomic(db, NULL, in_unit, given, &err), &err);
	assert_int_equal(given->status, AMEND_CONFLICT);
	engine_expect(engine, "SELECT count(*) FROM t", "2");
}

static enum amend_status second_row(void *context, const struct amend_value *values,
				    size_t n_columns, struct amend_error *err)
{
	struct given *given = context;

	(void)values;
	assert_int_equal(n_columns, 1);
	if (++given->rows == given->stop)
		return amend_error_set(err, AMEND_CONFLICT, "no more of these");
	/* As a signal would, which the engine may not notice any more. */
	if (given->scan)
		amend_interrupt(given->db);
	return AMEND_OK;
}

static enum amend_status scan_in_unit(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct given *given = context;
	struct amend_sql sql;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3");
	given->status = amend_scan(db, &sql, second_row, given, &given->err);
	amend_sql_release(&sql);
	return amend_query(db, "INSERT INTO t VALUES (-1, 'after')", NULL, 0, NULL, err);
}

static void scans(struct engine *engine)
{
	struct amend_conn *db = open_t(engine);
	struct given *given = many(engine, db, "", 1);
	struct amend_error err;

	given->stop = 2;
	expect_ok(amend_atomic(db, NULL, scan_in_unit, given, &err), &err);
	assert_int_equal(given->status, AMEND_CONFLICT);
	expect_text(given->err.text, "no more of these");
	engine_expect(engine, "SELECT v FROM t", "after");
	given->scan = true;
	given->stop = 99;
	assert_int_not_equal(amend_atomic(db, NULL, scan_in_unit, given, &err), AMEND_OK);
	assert_int_equal(given->status, AMEND_INTERRUPTED);
	engine_expect(engine, "SELECT count(*) FROM t", "1");
}

/* A test's faults reach both. */
static void traced(struct engine *engine)
{
	struct amend_conn *db = open_t(engine);
	struct given *given = many(engine, db, insert, 2);
	struct amend_trace *trace = connect_trace(engine, db);
	struct amend_sql sql;
	unsigned nth = 1;

	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT id FROM t");
	trace->fault = (struct amend_trace_fault){
		.op = AMEND_TRACE_STATEMENT, .sql = "SELECT id", .status = AMEND_RETRY};
	expect_status(AMEND_RETRY, amend_scan(db, &sql, second_row, given, &given->err),
		      &given->err);
	assert_true(trace->fault.fired);
	expect_ok(amend_scan(db, &sql, second_row, given, &given->err), &given->err);
	for (; nth < 10; nth++) {
		trace->fault = (struct amend_trace_fault){.op = AMEND_TRACE_STATEMENT,
							  .nth = nth,
							  .sql = "INSERT",
							  .status = AMEND_LOCKED};
		given->repeat.n = 3;
		if (amend_repeat(db, &given->repeat, &given->err) == AMEND_OK)
			break;
		assert_true(trace->fault.fired);
		assert_int_equal(given->repeat.failed, nth - 1);
		engine_exec(engine, "DELETE FROM t");
	}
	assert_int_equal(nth, db->driver->repeat ? 2 : 4);
	amend_sql_release(&sql);
}

static const struct engine_test tests[] = {
	{"repeat: writes many times", writes},
	{"repeat: hands out rows", rows},
	{"repeat: ends at the first failure", a_failure},
	{"repeat: a value that cannot be bound", not_a_number, .only = "sqlite"},
	{"repeat: only the engine's failures end a unit", units},
	{"scan: only the engine's failures end a unit", scans},
	{"faults are injected into both", traced},
};

ENGINE_MAIN(tests)
