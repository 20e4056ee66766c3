/*
 * Every operation of the library with each call of the engine's own client library failing: refused by the server, out of
 * memory, cut off before and behind, once or from then on. The failure is told, what it says is so, and what
 * comes next is well, or the connection is known to be lost.
 * Leaves what fails above the driver to faults_test.c; $AMEND_TEST_STEP is as there.
 */
#include <limits.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <amend/sqlite.h>

#include "beneath.h"
#include "faults.h"
#include "sql/conn.h"

struct kind {
	const char *name;
	struct beneath fault;
	bool server; /* only where there is one */
};

static const struct kind kinds[] = {
	{"refused: internal", {BENEATH_REFUSED, AMEND_INTERNAL}},
	{"no memory", {BENEATH_UNSENT}},
	{"cut before", {BENEATH_CUT_BEFORE}, true},
	{"cut after", {BENEATH_CUT_AFTER}, true},
	{"no memory for the answer", {BENEATH_UNREAD}, true},
	{"refused from then on: internal", {BENEATH_REFUSED, AMEND_INTERNAL, .lasts = true}},
	{"refused: locked", {BENEATH_REFUSED, AMEND_LOCKED}},
	{"refused: denied", {BENEATH_REFUSED, AMEND_DENIED}},
	{"refused: again", {BENEATH_REFUSED, AMEND_RETRY}},
	{"refused: constraint", {BENEATH_REFUSED, AMEND_CONSTRAINT}},
	{"refused: interrupted", {BENEATH_REFUSED, AMEND_INTERRUPTED}},
	{"refused: no memory", {BENEATH_REFUSED, AMEND_NO_MEMORY}},
	{"refused: invalid", {BENEATH_REFUSED, AMEND_INVALID}},
	{"refused: not found", {BENEATH_REFUSED, AMEND_NOT_FOUND}},
	{"no memory from then on", {BENEATH_UNSENT, .lasts = true}},
	{"refused from then on: again", {BENEATH_REFUSED, AMEND_RETRY, .lasts = true}},
};

/* How many calls it makes that can fail like that; 0: `n` is more. */
static unsigned try_one(struct stage *stage, const struct kind *kind, unsigned n)
{
	struct beneath fault = kind->fault;
	struct beneath_struck struck;
	enum amend_status status;

	fault.nth = n;
	stage->what = engine_printf(stage->engine, "%s%s, call %u %s", stage->operation->name,
				    stage->inside ? ", inside" : "", n, kind->name);
	stage_set(stage);
	stage_open(stage, false);
	beneath_arm(&fault);
	status = stage_run(stage);
	struck = beneath_disarm();
	if (struck.fired) {
		stage->what = engine_printf(stage->engine, "%s (%s)", stage->what, struck.what);
		stage_use(stage);
	}
	stage_close(stage, status);
	if (fault.how == BENEATH_CUT_AFTER)
		engine_await_left(stage->engine);
	/* Who can never ask again does not know. */
	stage_judge(stage, status, struck.commits || fault.lasts);
	return struck.seen;
}

/* In the ordinary run one kind, and of that one call; else more, spread over those that it makes. */
static void fail_beneath(struct stage *stage, unsigned nth)
{
	unsigned step = stage_step(), tries = step == 0   ? 1
					      : step == 1 ? UINT_MAX / 2
							  : 14 / step + 1;
	unsigned calls[BENEATH_CUT_AFTER + 1] = {0};
	bool server = !engine_is(stage->engine, "sqlite");
	unsigned many = step == 0 ? 1 : step == 1 ? COUNT(kinds) : server ? 5 : 8;

	for (unsigned i = 0; i < many; i++) {
		const struct kind *kind = &kinds[(nth * many + i) % COUNT(kinds)];
		unsigned *n = &calls[kind->fault.how], stride;

		if (kind->server && !server)
			continue;
		if (*n == 0)
			*n = try_one(stage, kind, UINT_MAX);
		stride = (*n + tries - 1) / tries;
		for (unsigned at = stride ? (nth + i) * 7 % stride : 0; at < *n; at += stride)
			(void)try_one(stage, kind, at + 1);
	}
}

static void library_fails(struct engine *engine)
{
	stage_each(engine, fail_beneath);
}

/* --- What it has found --- */

static enum amend_status write_and_fail(struct amend_conn *db, void *context,
					struct amend_error *err)
{
	enum amend_status status = amend_query(db, "INSERT INTO n VALUES (1)", NULL, 0, NULL, err);

	if (context)
		beneath_arm(context);
	return status == AMEND_OK ? amend_error_set(err, AMEND_STALE, "given up") : status;
}

/* Another statement, alone: if it is said to be in, others see it. */
static void expect_alone(struct engine *engine, struct amend_conn *db)
{
	struct amend_error err;
	enum amend_status status = amend_query(db, "INSERT INTO n VALUES (2)", NULL, 0, NULL, &err);

	if (status != AMEND_OK)
		expect_status(AMEND_UNREACHABLE, status, &err);
	engine_await(engine, "SELECT id FROM n ORDER BY id", status == AMEND_OK ? "2" : "");
}

static void failed_rollback(struct engine *engine)
{
	struct beneath fault = {BENEATH_REFUSED, AMEND_DENIED, .nth = 1, .sql = "ROLLBACK"};

	engine_exec(engine, "CREATE TABLE n (id integer NOT NULL PRIMARY KEY)");
	for (int lasts = 0; lasts < 2; lasts++) {
		struct amend_conn *db = NULL;
		struct amend_error err;

		engine_exec(engine, "DELETE FROM n");
		expect_ok(amend_open(engine->url, NULL, &db, &err), &err);
		fault.lasts = lasts;
		expect_status(AMEND_STALE, amend_atomic(db, NULL, write_and_fail, &fault, &err),
			      &err);
		if (lasts && engine_is(engine, "sqlite"))
			expect_status(AMEND_DENIED,
				      amend_query(db, "DELETE FROM n", NULL, 0, NULL, &err), &err);
		assert_true(beneath_disarm().fired);
		/* Once is no reason to give a connection up. */
		if (!lasts && !engine_is(engine, "mariadb"))
			expect_ok(amend_query(db, "SELECT 1", NULL, 0, NULL, &err), &err);
		expect_alone(engine, db);
		amend_close(db);
	}
}

/* What is open later is the application's own. */
static void failed_rollback_adopted(struct engine *engine)
{
	struct beneath fault = {BENEATH_REFUSED, AMEND_DENIED, .nth = 1, .sql = "ROLLBACK",
				.lasts = true};
	struct foreign *foreign = foreign_open(engine);
	struct amend_conn *db = NULL;
	struct amend_error err;

	engine_exec(engine, "CREATE TABLE n (id integer NOT NULL PRIMARY KEY)");
	expect_ok(amend_adopt_sqlite(foreign_handle(foreign), NULL, &db, &err), &err);
	expect_status(AMEND_STALE, amend_atomic(db, NULL, write_and_fail, &fault, &err), &err);
	assert_true(beneath_disarm().fired);
	foreign_exec(foreign, "ROLLBACK; BEGIN; INSERT INTO n VALUES (7)");
	expect_ok(amend_query(db, "INSERT INTO n VALUES (8)", NULL, 0, NULL, &err), &err);
	foreign_exec(foreign, "COMMIT");
	engine_expect(engine, "SELECT id FROM n ORDER BY id", "7\n8");
	amend_close(db);
	foreign_close(foreign);
}

/* In a child of fork the handle is the parent's: it is not undone there. */
static void failed_rollback_forked(struct engine *engine)
{
	struct beneath fault = {BENEATH_REFUSED, AMEND_DENIED, .nth = 1, .sql = "ROLLBACK",
				.lasts = true};
	struct amend_conn *db = NULL;
	struct amend_error err;
	int how = -1;
	pid_t pid;

	engine_exec(engine, "CREATE TABLE n (id integer NOT NULL PRIMARY KEY)");
	expect_ok(amend_open(engine->url, NULL, &db, &err), &err);
	expect_status(AMEND_STALE, amend_atomic(db, NULL, write_and_fail, &fault, &err), &err);
	pid = fork();
	if (pid == 0)
		_exit(amend_query(db, "SELECT 1", NULL, 0, NULL, &err) == AMEND_INVALID &&
				      strstr(err.text, "fork")
			      ? 0
			      : 1);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &how, 0), pid);
	assert_int_equal(how, 0);
	assert_true(beneath_disarm().fired);
	expect_alone(engine, db);
	amend_close(db);
}

static void unread_begin(struct engine *engine)
{
	const struct beneath fault = {BENEATH_UNREAD, .nth = 1,
				      .sql = engine_pick3(engine, "", "an answer", "START")};
	struct amend_conn *db = NULL;
	struct amend_error err;

	engine_exec(engine, "CREATE TABLE n (id integer NOT NULL PRIMARY KEY)");
	expect_ok(amend_open(engine->url, NULL, &db, &err), &err);
	beneath_arm(&fault);
	expect_status(AMEND_UNREACHABLE, amend_atomic(db, NULL, write_and_fail, NULL, &err), &err);
	assert_true(beneath_disarm().fired);
	expect_alone(engine, db);
	amend_close(db);
}

/* The application's next statement would commit by itself, and it believes that it is in a transaction. */
static void undone_underneath(struct engine *engine)
{
	const struct beneath fault = {BENEATH_REFUSED, AMEND_INTERNAL, .nth = 1, .sql = "SELECT"};
	struct foreign *foreign = foreign_open(engine);
	struct amend_conn *db = NULL;
	struct amend_table *table = NULL;
	struct amend_error err;
	struct amend_result result = AMEND_RESULT_INIT;
	const struct amend_field id = {"id", amend_integer(1)};
	const struct amend_match key = {&id, 1};

	engine_exec(engine, "CREATE TABLE n (id integer NOT NULL PRIMARY KEY)");
	foreign_exec(foreign, "BEGIN IMMEDIATE; INSERT INTO n VALUES (1)");
	expect_ok(amend_adopt_sqlite(foreign_handle(foreign), NULL, &db, &err), &err);
	expect_ok(amend_table_open(db, "n", &table, &err), &err);
	beneath_arm(&fault);
	expect_status(AMEND_INTERNAL, amend_get(db, table, &key, false, &result, &err), &err);
	assert_true(beneath_disarm().fired);
	expect_contains(err.text, "the application's transaction is over");
	amend_result_release(&result);
	amend_table_close(table);
	amend_close(db);
	foreign_close(foreign);
}

static const struct engine_test tests[] = {
	{"each call of the client library fails: told, and so", library_fails},
	{"a ROLLBACK that fails: what follows is no part of the transaction", failed_rollback},
	{"..on a handle of the application's: its own is not undone", failed_rollback_adopted,
	 .only = "sqlite"},
	{"..and then fork: nothing is undone in the child", failed_rollback_forked,
	 .only = "sqlite"},
	{"no memory for BEGIN's answer: what follows is no part of it", unread_begin,
	 .not_on = "sqlite"},
	{"the engine undoes the application's transaction: told", undone_underneath,
	 .only = "sqlite"},
};

ENGINE_MAIN(tests)
