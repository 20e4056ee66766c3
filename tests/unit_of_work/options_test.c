/*
 * What a unit can be asked for: isolation, reading only, limits on time and on waiting, and interruption.
 * Leaves what each engine makes of them to the drivers' tests.
 */
#include "engines.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

static void table(struct engine *engine)
{
	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, n integer NOT NULL);"
			    "INSERT INTO t VALUES (1, 10)");
}

static enum amend_status query(struct amend_conn *db, const char *sql, struct amend_error *err)
{
	return amend_query(db, sql, NULL, 0, NULL, err);
}

/* A unit of one statement; and one whose options are nested in it. */
struct one {
	const char *sql;
	const struct amend_unit_options *inner;
	enum amend_status inner_status;
	struct amend_error inner_error;
};

static enum amend_status run_sql(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct one *one = context;

	return query(db, one->sql, err);
}

static enum amend_status run_nested(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct one *one = context;

	(void)err;
	one->inner_status = amend_atomic(db, one->inner, run_sql, one, &one->inner_error);
	return AMEND_OK;
}

/* --- Isolation and reading only --- */

static enum amend_status show_isolation(struct amend_conn *db, void *context,
					struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_query(db, "SHOW transaction_isolation", NULL, 0, &rows,
					       err);

	if (status == AMEND_OK)
		snprintf(context, 64, "%s", amend_rows_at(&rows, 0, 0)->as.text);
	amend_rows_release(&rows);
	return status;
}

static void isolation(struct engine *engine)
{
	static const char *const names[] = {"read committed", "read committed", "repeatable read",
					    "serializable"};
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct amend_conn *db;
	struct amend_error err;
	char shown[64];

	engine_execf(engine, "ALTER DATABASE %s SET default_transaction_isolation = 'serializable'",
		     engine_scalar(engine, "SELECT current_database()"));
	db = connect_open(engine);
	for (size_t i = 0; i < COUNT(names); i++) {
		options.isolation = (enum amend_isolation)i;
		expect_ok(amend_atomic(db, &options, show_isolation, shown, &err), &err);
		expect_text(shown, names[i]);
	}
	expect_ok(amend_atomic(db, NULL, show_isolation, shown, &err), &err);
	expect_text(shown, names[0]);
}

/* An option of the transaction is not silently ignored by a savepoint in it. */
static void nested_options(struct engine *engine)
{
	static const struct {
		struct amend_unit_options outer, inner;
		enum amend_status status;
	} cases[] = {
		{{.isolation = AMEND_SERIALIZABLE}, {.isolation = AMEND_SERIALIZABLE}, AMEND_OK},
		{{.isolation = AMEND_SERIALIZABLE}, {.durable = false}, AMEND_OK},
		{{.isolation = AMEND_SERIALIZABLE},
		 {.isolation = AMEND_REPEATABLE_READ},
		 AMEND_INVALID},
		{{.durable = true}, {.isolation = AMEND_SERIALIZABLE}, AMEND_INVALID},
		{{.durable = true}, {.read_only = true}, AMEND_INVALID},
		{{.read_only = true}, {.read_only = true}, AMEND_OK},
		{{.read_only = true}, {.merged = true}, AMEND_OK},
		{{.time_limit_ms = 60000}, {.time_limit_ms = 1000}, AMEND_INVALID},
	};
	struct amend_conn *db;

	table(engine);
	db = connect_open(engine);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct one one = {.sql = "SELECT n FROM t", .inner = &cases[i].inner};
		struct amend_error err;

		expect_ok(amend_atomic(db, &cases[i].outer, run_nested, &one, &err), &err);
		expect_status_at(cases[i].status, NULL, one.inner_status, &one.inner_error,
				 engine_printf(engine, "case %zu", i), __FILE__, __LINE__);
	}
}

/* The application's transaction is as it is: what cannot be had is refused. */
static void borrowed_options(struct engine *engine)
{
	static const struct amend_unit_options cases[] = {
		{.isolation = AMEND_SERIALIZABLE},
		{.read_only = true},
		{.durable = true},
		{.time_limit_ms = 1000},
	};
	struct foreign *application;
	struct amend_conn *db;

	table(engine);
	application = foreign_open(engine);
	db = connect_adopt(engine, application);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct one one = {.sql = "SELECT n FROM t"};
		struct amend_error err;

		foreign_exec(application, "BEGIN");
		expect_status(AMEND_INVALID, amend_atomic(db, &cases[i], run_sql, &one, &err), &err);
		expect_ok(amend_atomic(db, NULL, run_sql, &one, &err), &err);
		foreign_exec(application, "COMMIT");
		expect_ok(amend_atomic(db, &cases[i], run_sql, &one, &err), &err);
	}
}

static void read_only(struct engine *engine)
{
	struct amend_open_options open = AMEND_OPEN_OPTIONS_INIT;
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct one write = {.sql = "UPDATE t SET n = n + 1"}, read = {.sql = "SELECT n FROM t"};
	struct amend_conn *db;
	struct amend_error err;

	table(engine);
	db = connect_open(engine);
	options.read_only = true;
	expect_status(AMEND_DENIED, amend_atomic(db, &options, run_sql, &write, &err), &err);
	expect_text(err.sqlstate, "25006");
	expect_ok(amend_atomic(db, &options, run_sql, &read, &err), &err);
	write.inner = &(struct amend_unit_options)AMEND_UNIT_OPTIONS_INIT;
	expect_ok(amend_atomic(db, &options, run_nested, &write, &err), &err);
	assert_int_equal(write.inner_status, AMEND_DENIED);
	expect_ok(amend_atomic(db, NULL, run_sql, &write, &err), &err); /* the next one may */
	engine_expect(engine, "SELECT n FROM t", "11");

	open.read_only = true;
	db = connect_open_with(engine, &open);
	expect_status(AMEND_DENIED, amend_atomic(db, NULL, run_sql, &write, &err), &err);
	expect_ok(amend_atomic(db, NULL, run_sql, &read, &err), &err);
	engine_expect(engine, "SELECT n FROM t", "11");
}

/* --- Limits --- */

static const char *slow(const struct engine *engine)
{
	return engine_pick3(engine,
			    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
			    " WHERE i < 2000000000) SELECT count(*) FROM n",
			    "SELECT count(*) FROM generate_series(1, 2000000000)",
			    "SELECT count(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b"
			    " WHERE a.seq + b.seq > 0");
}

static void expect_as_good_as_new(struct engine *engine, struct amend_conn *db)
{
	struct one write = {.sql = "UPDATE t SET n = n + 1"};
	struct amend_error err;

	engine_expect(engine, "SELECT n FROM t", "10");
	expect_ok(amend_atomic(db, NULL, run_sql, &write, &err), &err);
	engine_expect(engine, "SELECT n FROM t", "11");
	engine_exec(engine, "UPDATE t SET n = 10");
}

static enum amend_status many_short(struct amend_conn *db, void *context, struct amend_error *err)
{
	int *runs = context;
	enum amend_status status = query(db, "UPDATE t SET n = n + 1", err);

	++*runs;
	while (status == AMEND_OK)
		status = query(db, "SELECT n FROM t", err);
	return status;
}

static enum amend_status dawdle(struct amend_conn *db, void *context, struct amend_error *err)
{
	enum amend_status status = query(db, "UPDATE t SET n = n + 1", err);

	++*(int *)context;
	sleep_ms(1500);
	return status;
}

static void time_limit(struct engine *engine)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct one one = {.sql = slow(engine)};
	struct amend_conn *db;
	struct amend_error err;
	int64_t begun;
	int runs = 0;

	table(engine);
	db = connect_open(engine);
	options.time_limit_ms = 1000;
	begun = now_ms();
	expect_status(AMEND_INTERRUPTED, amend_atomic(db, &options, run_sql, &one, &err), &err);
	expect_text(err.sqlstate, "57014");
	assert_in_range(now_ms() - begun, 900, 15000);
	expect_as_good_as_new(engine, db);
	/* no statement is long, the unit is */
	expect_status(AMEND_INTERRUPTED, amend_atomic(db, &options, many_short, &runs, &err), &err);
	assert_int_equal(runs, 1);
	expect_as_good_as_new(engine, db);
	/* and the function may be what takes the time */
	expect_status(AMEND_INTERRUPTED, amend_atomic(db, &options, dawdle, &runs, &err), &err);
	assert_int_equal(runs, 2);
	expect_as_good_as_new(engine, db);
}

static void lock_limit(struct engine *engine)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct amend_open_options open = AMEND_OPEN_OPTIONS_INIT;
	struct one write = {.sql = "UPDATE t SET n = n + 1"};
	struct foreign *holder;
	struct amend_conn *db;
	struct amend_error err;
	int64_t begun = now_ms();

	table(engine);
	db = connect_open(engine);
	holder = foreign_open(engine);
	foreign_exec(holder, engine_pick(engine, "BEGIN IMMEDIATE", "BEGIN"));
	foreign_exec(holder, "UPDATE t SET n = 0");
	options.lock_timeout_ms = 50;
	expect_status(AMEND_LOCKED, amend_atomic(db, &options, run_sql, &write, &err), &err);
	expect_text(err.sqlstate, "55P03");
	assert_in_range(now_ms() - begun, 40, 5000);
	open.lock_timeout_ms = 0; /* of the connection: nowait */
	expect_status(AMEND_LOCKED,
		      amend_atomic(connect_open_with(engine, &open), NULL, run_sql, &write, &err),
		      &err);
	foreign_exec(holder, "ROLLBACK");
	expect_as_good_as_new(engine, db);
}

/* A nested unit's limit ends with it, also when it failed. */
static void nested_lock_limit(struct engine *engine)
{
	static const struct amend_unit_options short_wait = {.lock_timeout_ms = 1};
	struct one write = {.sql = "UPDATE t SET n = n + 1", .inner = &short_wait};
	struct foreign *application, *holder;
	struct amend_conn *db;
	struct amend_error err;

	table(engine);
	application = foreign_open(engine);
	if (engine_is(engine, "sqlite")) /* not through its own handler: amend is to wait */
		foreign_exec(application, "PRAGMA busy_timeout = 0");
	db = connect_adopt(engine, application);
	holder = foreign_open(engine);
	foreign_exec(holder, engine_pick(engine, "BEGIN IMMEDIATE", "BEGIN"));
	foreign_exec(holder, "UPDATE t SET n = 5");
	foreign_exec(application, "BEGIN");
	expect_status(AMEND_LOCKED, amend_atomic(db, &short_wait, run_sql, &write, &err), &err);
	foreign_start(holder, 300, "COMMIT");
	expect_ok(amend_atomic(db, NULL, run_sql, &write, &err), &err);
	expect_text(foreign_finish(holder), NULL);
	foreign_exec(application, "COMMIT");
	engine_expect(engine, "SELECT n FROM t", "6");
}

/* --- Interruption --- */

static struct amend_conn *interrupted; /* for the handler */

static void on_signal(int number)
{
	(void)number;
	amend_interrupt(interrupted);
}

struct interrupter {
	struct amend_conn *db;
	const char *sql;
	bool by_signal;
	pthread_t victim, thread;
	atomic_bool begun, ended;
};

/* Again and again until the unit ends: one that comes too early or too late hits nothing. */
static void *interrupt(void *context)
{
	struct interrupter *interrupter = context;

	while (!atomic_load(&interrupter->begun))
		sleep_ms(1);
	while (!atomic_load(&interrupter->ended)) {
		if (interrupter->by_signal)
			pthread_kill(interrupter->victim, SIGUSR1);
		else
			amend_interrupt(interrupter->db);
		sleep_ms(5);
	}
	return NULL;
}

static enum amend_status run_long(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct interrupter *interrupter = context;

	atomic_store(&interrupter->begun, true);
	return query(db, interrupter->sql, err);
}

static void expect_interrupted(struct interrupter *interrupter)
{
	struct amend_error err;
	enum amend_status status;

	interrupted = interrupter->db;
	interrupter->victim = pthread_self();
	assert_int_equal(pthread_create(&interrupter->thread, NULL, interrupt, interrupter), 0);
	status = amend_atomic(interrupter->db, NULL, run_long, interrupter, &err);
	atomic_store(&interrupter->ended, true);
	pthread_join(interrupter->thread, NULL);
	expect_status(AMEND_INTERRUPTED, status, &err);
}

static void interruption(struct engine *engine)
{
	struct sigaction action = {.sa_handler = on_signal}, before;
	struct amend_conn *db;

	table(engine);
	db = connect_open(engine);
	sigaction(SIGUSR1, &action, &before);
	for (int by_signal = 0; by_signal < 2; by_signal++) {
		struct interrupter one = {
			.db = db, .sql = slow(engine), .by_signal = by_signal == 1};

		expect_interrupted(&one);
		expect_as_good_as_new(engine, db);
	}
	sigaction(SIGUSR1, &before, NULL);
}

static void interrupted_wait(struct engine *engine)
{
	struct interrupter one = {.sql = "UPDATE t SET n = n + 1"};
	struct foreign *holder;

	table(engine);
	one.db = connect_open(engine);
	holder = foreign_open(engine);
	foreign_exec(holder, "BEGIN; UPDATE t SET n = 0");
	if (!(engine->features & AMEND_HAS_ROW_LOCK)) /* it waits before the function begins */
		atomic_store(&one.begun, true);
	expect_interrupted(&one);
	foreign_exec(holder, "ROLLBACK");
	expect_as_good_as_new(engine, one.db);
}

static const struct engine_test tests[] = {
	{"isolation is as asked, READ COMMITTED by default", isolation, .only = "postgresql"},
	{"what belongs to the outermost unit is refused in a nested one", nested_options},
	{"and in the application's transaction", borrowed_options},
	{"a read-only unit reads only", read_only},
	{"past its time limit a unit is INTERRUPTED", time_limit, .real = true},
	{"past the lock limit it is LOCKED", lock_limit},
	{"a nested lock limit ends with its unit", nested_lock_limit},
	{"interrupted from a thread, and from a signal handler", interruption, .real = true},
	{"interrupted while it waits", interrupted_wait},
};

ENGINE_MAIN(tests)
