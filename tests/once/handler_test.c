/*
 * amend_once: a message that arrives twice is handled once, on an opened connection and in the
 * application's own transaction; forgetting.
 * Leaves single writes to once_test.c and lost commits to lost_commit_test.c.
 */
#include <amend/once.h>

#include "ask.h"

static void make_counter(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE counter (id integer PRIMARY KEY, n integer)");
	engine_exec(engine, "INSERT INTO counter VALUES (1, 0)");
	road = road_open(engine, "counter");
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	road_close(road);
}

struct message {
	struct amend_table *table;
	const char *answer;
	enum amend_status fails;
	int runs;
};

/* Part by amend's road, part by a statement of the application's own. */
static enum amend_status handle(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct amend_field field = {"id", amend_integer(1)};
	const struct amend_match key = {&field, 1};
	const struct amend_assign one = {"n", AMEND_ADD, amend_integer(1)};
	struct amend_write write = AMEND_WRITE_INIT;
	struct amend_result result = AMEND_RESULT_INIT;
	struct message *message = context;
	enum amend_status status;

	message->runs++;
	write.keys = &key, write.n_keys = 1;
	write.set = &one, write.n_set = 1;
	status = amend_write(db, message->table, &write, &result, err);
	amend_result_release(&result);
	if (status == AMEND_OK)
		status = amend_query(db, "UPDATE counter SET n = n + 10 WHERE id = 1", NULL, 0,
				     NULL, err);
	if (status == AMEND_OK && message->answer)
		status = amend_once_answer(db, message->answer, err);
	if (status == AMEND_OK && message->fails != AMEND_OK)
		status = amend_error_set(err, message->fails, "on purpose");
	return status;
}

static void handled_once(struct engine *engine)
{
	struct road *road;
	struct message message = {.answer = "thank you"};
	struct amend_once_result done = AMEND_ONCE_RESULT_INIT;
	const struct amend_once_options first = {.request = "one"}, other = {.request = "two"};

	make_counter(engine);
	road = road_open(engine, "counter");
	message.table = road->table;
	for (int i = 0; i < 3; i++) {
		expect_ok(amend_once(road->db, "m", handle, &message, &first, &done, &road->err),
			  &road->err);
		assert_int_equal(done.repeated, i > 0);
		assert_int_equal(done.revision, 1);
		expect_text(done.answer, "thank you");
		assert_int_equal(done.who != NULL, i > 0);
		amend_once_result_release(&done);
	}
	assert_int_equal(message.runs, 1);
	engine_expect(engine, "SELECT n FROM counter", "11");
	expect_status(AMEND_INVALID,
		      amend_once(road->db, "m", handle, &message, &other, &done, &road->err),
		      &road->err);
	expect_status(AMEND_INVALID,
		      amend_once(road->db, "m", handle, &message, NULL, NULL, &road->err),
		      &road->err);
	/* A write is no handling. */
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "n=0", .once = "m");
	expect_status(AMEND_INVALID, amend_once_answer(road->db, "x", &road->err), &road->err);
	expect_ok(amend_once_find(road->db, "m", &done, &road->err), &road->err);
	expect_text(done.answer, "thank you");
	assert_non_null(done.at);
	amend_once_result_release(&done);
	expect_status(AMEND_NOT_FOUND, amend_once_find(road->db, "n", &done, &road->err),
		      &road->err);
}

/* Unlike a refused write: a handler that fails is to be called again. */
static void a_handler_that_fails(struct engine *engine)
{
	struct road *road;
	struct message message = {.fails = AMEND_CONFLICT};

	make_counter(engine);
	road = road_open(engine, "counter");
	message.table = road->table;
	for (int i = 0; i < 2; i++)
		expect_status(AMEND_CONFLICT,
			      amend_once(road->db, "m", handle, &message, NULL, NULL, &road->err),
			      &road->err);
	engine_expect(engine, "SELECT n FROM counter", "0");
	message.fails = AMEND_OK;
	expect_ok(amend_once(road->db, "m", handle, &message, NULL, NULL, &road->err), &road->err);
	expect_ok(amend_once(road->db, "m", handle, &message, NULL, NULL, &road->err), &road->err);
	assert_int_equal(message.runs, 3);
	engine_expect(engine, "SELECT n FROM counter", "11");
}

/* What the application began, it ends: with it goes what was handled. */
static void in_the_applications_transaction(struct engine *engine)
{
	struct foreign *application = foreign_open(engine);
	struct road *road;
	struct message message = {.answer = NULL};
	struct amend_once_result done = AMEND_ONCE_RESULT_INIT;

	make_counter(engine);
	road = road_adopt(engine, application, "counter");
	message.table = road->table;
	for (int commits = 0; commits < 2; commits++) {
		foreign_exec(application, "BEGIN");
		foreign_exec(application, "INSERT INTO counter VALUES (2, 0)");
		/* It arrives twice within it, and once it fails. */
		message.fails = AMEND_CONFLICT;
		expect_status(AMEND_CONFLICT,
			      amend_once(road->db, "m", handle, &message, NULL, NULL, &road->err),
			      &road->err);
		message.fails = AMEND_OK;
		for (int i = 0; i < 2; i++) {
			expect_ok(amend_once(road->db, "m", handle, &message, NULL, &done,
					     &road->err),
				  &road->err);
			assert_int_equal(done.repeated, i);
			amend_once_result_release(&done);
		}
		foreign_exec(application, commits ? "COMMIT" : "ROLLBACK");
		engine_expect(engine, "SELECT n FROM counter ORDER BY id", commits ? "11\n0" : "0");
	}
	assert_int_equal(message.runs, 4);
	expect_ok(amend_once(road->db, "m", handle, &message, NULL, &done, &road->err), &road->err);
	assert_true(done.repeated);
	amend_once_result_release(&done);
	engine_expect(engine, "SELECT n FROM counter WHERE id = 1", "11");
}

/* Two deliveries at the same time, in two applications' transactions. */
static void the_second_waits_for_the_first(struct engine *engine)
{
	struct foreign *first = foreign_open(engine), *second = foreign_open(engine);
	struct road *one, *two;
	struct message message = {.answer = NULL};
	const struct amend_once_options at_once = {.wait = AMEND_NOWAIT};
	struct amend_once_result done = AMEND_ONCE_RESULT_INIT;

	make_counter(engine);
	one = road_adopt(engine, first, "counter");
	two = road_adopt(engine, second, "counter");
	foreign_exec(first, "BEGIN");
	message.table = one->table;
	expect_ok(amend_once(one->db, "m", handle, &message, NULL, NULL, &one->err), &one->err);
	foreign_exec(second, "BEGIN");
	message.table = two->table;
	expect_status(AMEND_LOCKED,
		      amend_once(two->db, "m", handle, &message, &at_once, NULL, &two->err),
		      &two->err);
	/* The application's transaction is as it was. */
	foreign_exec(second, "INSERT INTO counter VALUES (3, 0)");
	foreign_start(first, 300, "COMMIT");
	expect_ok(amend_once(two->db, "m", handle, &message, NULL, &done, &two->err), &two->err);
	assert_true(done.repeated);
	amend_once_result_release(&done);
	expect_text(foreign_finish(first), NULL);
	foreign_exec(second, "COMMIT");
	assert_int_equal(message.runs, 1);
	engine_expect(engine, "SELECT n FROM counter ORDER BY id", "11\n0");
}

struct nest {
	struct message message;
	int runs;
};

static enum amend_status handle_both(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct nest *nest = context;
	enum amend_status status;

	nest->runs++;
	status = amend_once(db, "inner", handle, &nest->message, NULL, NULL, err);
	return status == AMEND_OK ? amend_once_answer(db, "outer's", err) : status;
}

static void one_inside_another(struct engine *engine)
{
	struct road *road;
	struct nest nest = {.message = {.answer = "inner's"}};
	struct amend_once_result done = AMEND_ONCE_RESULT_INIT;

	make_counter(engine);
	road = road_open(engine, "counter");
	nest.message.table = road->table;
	for (int i = 0; i < 2; i++) {
		expect_ok(amend_once(road->db, "outer", handle_both, &nest, NULL, &done, &road->err),
			  &road->err);
		expect_text(done.answer, "outer's");
		amend_once_result_release(&done);
	}
	expect_ok(amend_once_find(road->db, "inner", &done, &road->err), &road->err);
	expect_text(done.answer, "inner's");
	amend_once_result_release(&done);
	assert_int_equal(nest.runs, 1);
	assert_int_equal(nest.message.runs, 1);
}

static void forgetting(struct engine *engine)
{
	struct road *road;
	const char *table = engine_pick(engine, "amend_operation", "amend.operation");
	int64_t n = -1;

	make_counter(engine);
	road = road_open(engine, "counter");
	for (int i = 0; i < 3; i++)
		ok(road, .keys = "id=1", .set = "n+=1", .once = engine_printf(engine, "op %d", i));
	engine_execf(engine, "UPDATE %s SET at = '2020-02-02 02:02:02.000000' WHERE id = 'op 1'",
		     table);
	expect_status(AMEND_INVALID, amend_once_forget(road->db, -1, &n, &road->err), &road->err);
	expect_ok(amend_once_forget(road->db, INT64_MAX, &n, &road->err), &road->err);
	assert_int_equal(n, 0);
	expect_ok(amend_once_forget(road->db, 86400, &n, &road->err), &road->err);
	assert_int_equal(n, 1);
	/* Of then it knows nothing any more. */
	ok(road, .keys = "id=1", .set = "n+=1", .once = "op 1");
	said(road, "updated n: 3 -> 4");
	ok(road, .keys = "id=1", .set = "n+=1", .once = "op 2");
	said(road, "updated n: 2 -> 3");
	engine_expect(engine, "SELECT n FROM counter", "4");
}

static void without_a_ledger(struct engine *engine)
{
	struct amend_once_result done = AMEND_ONCE_RESULT_INIT;
	struct road *road;
	int64_t n = -1;

	engine_exec(engine, "CREATE TABLE counter (id integer PRIMARY KEY, n integer)");
	road = road_open(engine, "counter");
	expect_status(AMEND_NOT_FOUND, amend_once_find(road->db, "m", &done, &road->err),
		      &road->err);
	expect_ok(amend_once_forget(road->db, 0, &n, &road->err), &road->err);
	assert_int_equal(n, 0);
}

static const struct engine_test tests[] = {
	{"a message that arrives again is not handled again", handled_once},
	{"a handler that fails leaves the id free", a_handler_that_fails},
	{"in the application's own transaction", in_the_applications_transaction},
	{"the second delivery waits for the first", the_second_waits_for_the_first,
	 .needs = AMEND_HAS_ROW_LOCK},
	{"one inside another", one_inside_another},
	{"what is forgotten may be done again", forgetting},
	{"a database without a ledger", without_a_ledger},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
