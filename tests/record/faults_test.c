/*
 * Every operation of the library with each of its allocations failing, and each of its statements: the failure is told, nothing
 * of it is done, nothing is leaked, and what comes next is well.
 * Leaves operations to faults_operations.c; $AMEND_TEST_STEP=1 lets each of them fail, not every so many-th.
 */
#include "faults.h"

#include <stdlib.h>

#include "memory.h"
#include "sql/conn.h"

/* A connection that can be made to fail, without the memory of the test. */
struct faulty {
	struct engine *engine;
	const struct faulted_operation *operation;
	const char *what; /* of messages */
	struct amend_trace trace;
	struct amend_table *table;
	struct faulted at;
};

static unsigned step_of(const struct engine *engine)
{
	const char *asked = getenv("AMEND_TEST_STEP");
	unsigned long step = asked ? strtoul(asked, NULL, 10) : 0;

	if (step > 0)
		return (unsigned)step;
	return engine_is(engine, "sqlite") ? 29 : 197;
}

/* --- Before and after --- */

static void make_tables(struct engine *engine)
{
	engine_exec(
		engine,
		engine_pick3(
			engine,
			"CREATE TABLE t (id integer NOT NULL PRIMARY KEY, name text UNIQUE,"
			" qty integer NOT NULL, note text);"
			"CREATE TABLE c (id integer NOT NULL PRIMARY KEY, t integer NOT NULL REFERENCES t);"
			"CREATE TABLE g (id integer NOT NULL PRIMARY KEY, version integer NOT NULL, n integer)",
			"CREATE TABLE t (id integer NOT NULL PRIMARY KEY, name text UNIQUE,"
			" qty integer NOT NULL, note text);"
			"CREATE TABLE c (id integer NOT NULL PRIMARY KEY, t integer NOT NULL REFERENCES t);"
			"CREATE TABLE g (id integer NOT NULL PRIMARY KEY, version integer NOT NULL, n integer)",
			"CREATE TABLE t (id integer NOT NULL PRIMARY KEY, name varchar(50) UNIQUE,"
			" qty integer NOT NULL, note text);"
			"CREATE TABLE c (id integer NOT NULL PRIMARY KEY, t integer NOT NULL,"
			" FOREIGN KEY (t) REFERENCES t (id));"
			"CREATE TABLE g (id integer NOT NULL PRIMARY KEY, version integer NOT NULL, n integer)"));
}

static const char *ledger_of(struct engine *engine)
{
	return engine_pick3(engine, "amend_", "amend.", "amend_");
}

/* As it is before each operation: records 1 to 3. */
static void put_back(struct engine *engine)
{
	engine_execf(engine,
		     "BEGIN; DELETE FROM c; DELETE FROM t;"
		     "INSERT INTO t VALUES (1, 'one', 10, 'one\ntwo\nthree\n'), (2, 'two', 20, NULL),"
		     " (3, 'three', 30, NULL);"
		     "INSERT INTO c VALUES (1, 2);"
		     "DELETE FROM %slease; DELETE FROM %sbase; DELETE FROM %sconflict; COMMIT",
		     ledger_of(engine), ledger_of(engine), ledger_of(engine));
}

/* What must be whole or not be at all. */
static const char *state_of(struct engine *engine)
{
	return engine_printf(
		engine, "%s; %s changes, %s conflicts",
		engine_rows(engine, "SELECT id, name, qty, note FROM t ORDER BY id"),
		engine_scalar(engine, engine_printf(engine, "SELECT count(*) FROM %schange",
						    ledger_of(engine))),
		engine_scalar(engine, engine_printf(engine, "SELECT count(*) FROM %sconflict",
						    ledger_of(engine))));
}

/* The ledger, and one change of record 1: all that operations find. */
static void make_history(struct engine *engine)
{
	struct amend_conn *db = connect_open(engine);
	struct amend_table *table = NULL;
	struct amend_error err;
	const struct amend_field key = {"id", amend_integer(1)};
	const struct amend_match match = {&key, 1};
	const struct amend_assign set = {"qty", AMEND_SET, amend_integer(10)};
	struct amend_write write = AMEND_WRITE_INIT;
	struct amend_result result = AMEND_RESULT_INIT;

	engine_exec(engine, "INSERT INTO t VALUES (1, 'one', 7, NULL)");
	expect_ok(amend_set_author(db, "ada", "a reason", "test", &err), &err);
	expect_ok(amend_table_open(db, "t", &table, &err), &err);
	write.keys = &match, write.n_keys = 1;
	write.set = &set, write.n_set = 1;
	expect_ok(amend_write(db, table, &write, &result, &err), &err);
	amend_result_release(&result);
	amend_table_close(table);
	connect_close(engine, db);
}

static const char *make_feed(struct engine *engine)
{
	const char *path = engine_printf(engine, "%s/feed.csv", engine->folder);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs("id,name,qty,note\n1,one,11,fed\n2,two,21,\n9,nine,9,new\n", file);
	fclose(file);
	return path;
}

/* --- One try --- */

static enum amend_status open_it(struct faulty *faulty)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	enum amend_status status;

	options.lock_timeout_ms = 3000;
	options.resolve_ms = 300;
	status = amend_open(faulty->engine->url, &options, &faulty->at.db, &faulty->at.err);
	if (status != AMEND_OK)
		return status;
	faulty->trace.hide = faulty->engine->driver->features & ~faulty->engine->features;
	status = amend_trace_wrap(faulty->at.db->driver, faulty->at.db->session, &faulty->trace,
				  &faulty->at.db->driver, &faulty->at.db->session, &faulty->at.err);
	faulty->at.db->dialect = faulty->at.db->driver->dialect;
	faulty->at.db->features = faulty->at.db->driver->features;
	if (status == AMEND_OK)
		status = amend_table_open(faulty->at.db, "t", &faulty->table, &faulty->at.err);
	faulty->at.table = faulty->table;
	return status;
}

static void close_it(struct faulty *faulty)
{
	amend_table_close(faulty->table);
	amend_close(faulty->at.db);
	faulty->table = NULL;
	faulty->at.db = NULL;
	faulty->trace = (struct amend_trace){.hide = 0};
}

static void usual(struct faulty *faulty)
{
	put_back(faulty->engine);
	expect_ok(open_it(faulty), &faulty->at.err);
	expect_status_at(faulty->operation->usual, NULL, faulty->operation->run(&faulty->at),
			 &faulty->at.err, faulty->what, __FILE__, __LINE__);
	close_it(faulty);
}

/* Whatever it said is so. */
static void expect_whole(struct faulty *faulty, enum amend_status status, const char *before)
{
	const char *after;

	if (status != AMEND_OK && status != faulty->operation->usual &&
	    (faulty->at.err.status != status || !faulty->at.err.text[0]))
		fail_at(__FILE__, __LINE__, "%s: %s without words", faulty->what,
			amend_status_name(status));
	if (faulty->operation->several || status == AMEND_OK || status == AMEND_OUTCOME_UNKNOWN ||
	    status == faulty->operation->usual)
		return;
	after = state_of(faulty->engine);
	if (strcmp(before, after) != 0)
		fail_at(__FILE__, __LINE__, "%s: %s (%s), and yet\n  before %s\n  after  %s",
			faulty->what, amend_status_name(status), faulty->at.err.text, before, after);
}

/* --- Memory --- */

static void without_memory(struct faulty *faulty, unsigned first, unsigned step)
{
	for (unsigned n = first;; n += step) {
		const char *before;
		enum amend_status status;
		bool failed;
		long live;

		put_back(faulty->engine);
		before = faulty->operation->several ? "" : state_of(faulty->engine);
		faulty->what = engine_printf(faulty->engine, "%s, allocation %u",
					     faulty->operation->name, n);
		live = memory_live();
		expect_ok(open_it(faulty), &faulty->at.err);
		memory_fail(n);
		status = faulty->operation->run(&faulty->at);
		failed = memory_failed();
		close_it(faulty);
		/* What strdup has given is freed here and was not counted. */
		if (memory_live() > live)
			fail_at(__FILE__, __LINE__, "%s: %s, %ld pieces are not freed",
				faulty->what, amend_status_name(status), memory_live() - live);
		if (!failed)
			return;
		expect_whole(faulty, status, before);
	}
}

/* --- Statements --- */

static void without_statements(struct faulty *faulty, enum amend_status with, unsigned first,
			       unsigned step)
{
	for (unsigned n = first;; n += step) {
		const char *before;
		enum amend_status status;
		bool fired;

		put_back(faulty->engine);
		before = faulty->operation->several ? "" : state_of(faulty->engine);
		faulty->what = engine_printf(faulty->engine, "%s, call %u of the driver %s",
					     faulty->operation->name, n, amend_status_name(with));
		expect_ok(open_it(faulty), &faulty->at.err);
		faulty->trace.fault = (struct amend_trace_fault){
			.op = AMEND_TRACE_ANY, .nth = n, .status = with};
		status = faulty->operation->run(&faulty->at);
		fired = faulty->trace.fault.fired;
		close_it(faulty);
		if (!fired)
			return;
		expect_whole(faulty, status, before);
	}
}

/* --- All of them --- */

static void each(struct engine *engine, void (*strike)(struct faulty *faulty, unsigned nth))
{
	struct faulty faulty = {.engine = engine};

	make_tables(engine);
	make_history(engine);
	faulty.at.feed = make_feed(engine);
	for (size_t i = 0; i < n_faulted_operations; i++) {
		faulty.operation = &faulted_operations[i];
		faulty.what = faulty.operation->name;
		usual(&faulty);
		strike(&faulty, (unsigned)i);
		usual(&faulty);
	}
}

static void fail_memory(struct faulty *faulty, unsigned nth)
{
	unsigned step = step_of(faulty->engine);

	without_memory(faulty, 1 + nth % step, step);
}

static void fail_statements(struct faulty *faulty, unsigned nth)
{
	static const enum amend_status kinds[] = {AMEND_INTERNAL, AMEND_UNREACHABLE,
						  AMEND_NO_MEMORY, AMEND_LOCKED};
	unsigned step = (step_of(faulty->engine) + 6) / 7;

	/* In the ordinary run one of them. */
	for (unsigned i = 0; i < (getenv("AMEND_TEST_STEP") ? COUNT(kinds) : 1); i++)
		without_statements(faulty, kinds[(nth + i) % COUNT(kinds)], 1 + (nth + i) % step,
				   step);
}

static void memory_fails(struct engine *engine)
{
	each(engine, fail_memory);
}

static void statements_fail(struct engine *engine)
{
	each(engine, fail_statements);
}

static const struct engine_test tests[] = {
	{"each allocation fails: told, nothing done, nothing leaked", memory_fails},
	{"each call of the driver fails: told, nothing done", statements_fail},
};

ENGINE_MAIN(tests)
