/*
 * Holding records and tables: what ORMs call select_for_update.
 * Leaves the engines' own locks to tests/driver/locks_test.c.
 */
#include "ask.h"

static struct road *open_stock(struct engine *engine)
{
	engine_exec(engine, "CREATE TABLE stock (id integer PRIMARY KEY, qty integer NOT NULL)");
	engine_exec(engine, "INSERT INTO stock VALUES (1, 10), (2, 20)");
	return road_open(engine, "stock");
}

/* What a unit does, and what it came to. */
struct job {
	struct road *road;
	struct foreign *other;
	const char *key, *sql;
	enum amend_strength strength;
	enum amend_wait wait;
	enum amend_status held;
	bool may_fail;
	int calls;
};

static enum amend_status hold(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct job *job = context;

	(void)db;
	job->calls++;
	job->held = road_hold(job->road, job->key, job->strength, job->wait);
	if (job->held != AMEND_OK && !job->may_fail)
		return (*err = job->road->err).status;
	if (job->sql) {
		foreign_start(job->other, 0, job->sql);
		foreign_wait_blocked(job->other);
		expect_text(foreign_rows(foreign_open(job->road->engine),
					 "SELECT qty FROM stock WHERE id = 1"),
			    "10");
	}
	return AMEND_OK;
}

/* Another program holds record 1 until foreign_exec(.., "COMMIT"). */
static struct foreign *holder(struct engine *engine)
{
	struct foreign *other = foreign_open(engine);

	foreign_exec(other, engine_pick(engine, "BEGIN IMMEDIATE", "BEGIN"));
	foreign_exec(other, "UPDATE stock SET qty = 11 WHERE id = 1");
	return other;
}

static void block(struct engine *engine)
{
	struct road *road = open_stock(engine);
	struct job job = {road, foreign_open(engine), "id=1",
			  "UPDATE stock SET qty = qty + 1 WHERE id = 1"};

	expect_ok(road_atomic(road, hold, &job), &road->err);
	said(road, "found");
	expect_text(road_record(road), "id=1 qty=10");
	assert_null(foreign_finish(job.other));
	engine_expect(engine, "SELECT qty FROM stock WHERE id = 1", "11");
}

/* What waited for the holder sees the holder's value. */
static void waits_and_sees_the_new_value(struct engine *engine)
{
	struct road *road = open_stock(engine);
	struct job job = {road, holder(engine), "id=1"};

	foreign_start(job.other, 300, "COMMIT");
	expect_ok(road_atomic(road, hold, &job), &road->err);
	assert_null(foreign_finish(job.other));
	expect_text(road_record(road), "id=1 qty=11");
}

static void requires_transaction(struct engine *engine)
{
	struct road *road = open_stock(engine);

	expect_status(AMEND_INVALID, road_hold(road, "id=1", AMEND_FOR_UPDATE, AMEND_WAIT),
		      &road->err);
	expect_contains(road->err.text, "amend_atomic");
	expect_status(
		AMEND_INVALID,
		amend_hold_table(road->db, road->table, AMEND_FOR_UPDATE, AMEND_WAIT, &road->err),
		&road->err);
}

static void not_in_a_read_only_unit(struct engine *engine)
{
	struct road *road = open_stock(engine);
	struct job job = {road, NULL, "id=1"};
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;

	options.read_only = true;
	expect_status(AMEND_INVALID, amend_atomic(road->db, &options, hold, &job, &road->err),
		      &road->err);
	expect_contains(road->err.text, "read-only");
}

static enum amend_status hold_then_write(struct amend_conn *db, void *context,
					 struct amend_error *err)
{
	struct job *job = context;
	enum amend_status status = hold(db, job, err);

	if (status == AMEND_OK)
		status = road_write(job->road, ask(.keys = "id=2", .set = "qty=21"));
	return status;
}

static void nowait_raises(struct engine *engine)
{
	struct road *road = open_stock(engine);
	struct job job = {road, holder(engine), "id=1", .wait = AMEND_NOWAIT, .may_fail = true};
	int64_t begun = now_ms();

	if (engine->features & AMEND_HAS_ROW_LOCK) {
		/* A refusal does not end the unit. */
		expect_ok(road_atomic(road, hold_then_write, &job), &road->err);
		assert_int_equal(job.held, AMEND_LOCKED);
	} else {
		struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;

		/* The hold is the unit's beginning: that is what must not wait. */
		options.lock_timeout_ms = 1;
		expect_status(AMEND_LOCKED,
			      amend_atomic(road->db, &options, hold, &job, &road->err), &road->err);
		assert_int_equal(job.calls, 0);
	}
	assert_true(now_ms() - begun < 15000);
	foreign_exec(job.other, "COMMIT");
	engine_expect(engine, "SELECT qty FROM stock ORDER BY id",
		      engine->features & AMEND_HAS_ROW_LOCK ? "11\n21" : "11\n20");
}

static void nowait_on_a_free_record(struct engine *engine)
{
	struct road *road = open_stock(engine);
	struct job job = {road, foreign_open(engine), "id=1",
			  "UPDATE stock SET qty = 12 WHERE id = 1", .wait = AMEND_NOWAIT};

	expect_ok(road_atomic(road, hold, &job), &road->err);
	said(road, "found");
	assert_null(foreign_finish(job.other));
}

static void skip_locked_skips(struct engine *engine)
{
	struct road *road = open_stock(engine);
	struct job job = {road, holder(engine), "id=1", .wait = AMEND_SKIP_LOCKED};

	expect_ok(road_atomic(road, hold, &job), &road->err);
	said(road, "skipped");
	assert_null(road->result.record);
	job.key = "id=2";
	expect_ok(road_atomic(road, hold, &job), &road->err);
	said(road, "found");
	job.key = "id=3";
	expect_status(AMEND_NOT_FOUND, road_atomic(road, hold, &job), &road->err);
	said(road, "missing");
	foreign_exec(job.other, "COMMIT");
}

static void writes_nowait(struct engine *engine)
{
	struct road *road = open_stock(engine);
	struct foreign *other = holder(engine);
	int64_t begun = now_ms();

	refused(AMEND_LOCKED, road, .keys = "id=1", .set = "qty=5", .wait = AMEND_NOWAIT);
	said(road, "locked");
	expect_status(AMEND_LOCKED, road_delete(road, ask(.keys = "id=1", .wait = AMEND_NOWAIT)),
		      &road->err);
	said(road, "locked");
	assert_true(now_ms() - begun < 15000);
	foreign_exec(other, "COMMIT");
	ok(road, .keys = "id=1", .set = "qty=5", .wait = AMEND_NOWAIT);
	said(road, "updated qty: 11 -> 5");
}

static void writes_skip_locked(struct engine *engine)
{
	struct road *road = open_stock(engine);
	struct foreign *other = holder(engine);
	int64_t begun = now_ms();

	ok(road, .keys = "id=1", .set = "qty=5", .wait = AMEND_SKIP_LOCKED);
	said(road, "skipped");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "qty+=5", .wait = AMEND_SKIP_LOCKED);
	said(road, "skipped");
	expect_ok(road_delete(road, ask(.keys = "id=1", .wait = AMEND_SKIP_LOCKED)), &road->err);
	said(road, "skipped");
	assert_true(now_ms() - begun < 15000);
	foreign_exec(other, "COMMIT");
	engine_expect(engine, "SELECT qty FROM stock ORDER BY id", "11\n20");
	history(road, NULL, "");
}

static enum amend_status write_nowait_and_go_on(struct amend_conn *db, void *context,
						struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	refused(AMEND_LOCKED, road, .keys = "id=1", .set = "qty=5", .wait = AMEND_NOWAIT);
	return road_write(road, ask(.keys = "id=2", .set = "qty=25"));
}

static void nowait_in_a_unit_leaves_it_usable(struct engine *engine)
{
	struct road *road = open_stock(engine);
	struct foreign *other = holder(engine);

	expect_ok(road_atomic(road, write_nowait_and_go_on, road), &road->err);
	foreign_exec(other, "COMMIT");
	engine_expect(engine, "SELECT qty FROM stock ORDER BY id", "11\n25");
}

static void time_limit(struct engine *engine)
{
	struct road *road = open_stock(engine);
	struct job job = {road, holder(engine), "id=1"};
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	int64_t begun = now_ms();

	options.lock_timeout_ms = 200;
	expect_status(AMEND_LOCKED, amend_atomic(road->db, &options, hold, &job, &road->err),
		      &road->err);
	assert_in_range(now_ms() - begun, 150, 15000);
	foreign_exec(job.other, "COMMIT");
	expect_ok(amend_atomic(road->db, &options, hold, &job, &road->err), &road->err);
}

static void unsupported_is_refused_by_name(struct engine *engine)
{
	struct road *road = open_stock(engine);
	struct job job = {road, NULL, "id=1", .strength = AMEND_FOR_NO_KEY_UPDATE};

	expect_status(AMEND_UNSUPPORTED, road_atomic(road, hold, &job), &road->err);
	expect_contains(road->err.text, "FOR NO KEY UPDATE");
	if (engine->features & AMEND_HAS_SHARE)
		return;
	job.strength = AMEND_FOR_SHARE;
	expect_status(AMEND_UNSUPPORTED, road_atomic(road, hold, &job), &road->err);
	expect_contains(road->err.text, "FOR SHARE");
}

static enum amend_status skip_a_table(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	return amend_hold_table(db, road->table, AMEND_FOR_UPDATE, AMEND_SKIP_LOCKED, err);
}

static void a_table_is_not_skipped(struct engine *engine)
{
	struct road *road = open_stock(engine);

	expect_status(AMEND_UNSUPPORTED, road_atomic(road, skip_a_table, road), &road->err);
	expect_contains(road->err.text, "AMEND_NOWAIT");
}

static enum amend_status hold_table(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct job *job = context;
	enum amend_status status;

	status = amend_hold_table(db, job->road->table, job->strength, job->wait, err);
	if (status == AMEND_OK && job->sql) {
		foreign_start(job->other, 0, job->sql);
		foreign_wait_blocked(job->other);
	}
	return status;
}

static void whole_table(struct engine *engine)
{
	struct road *road = open_stock(engine);
	struct job job = {road, foreign_open(engine), NULL, "INSERT INTO stock VALUES (3, 30)"};
	struct foreign *other;

	expect_ok(road_atomic(road, hold_table, &job), &road->err);
	assert_null(foreign_finish(job.other));
	engine_expect(engine, "SELECT count(*) FROM stock", "3");
	other = holder(engine);
	job.sql = NULL;
	job.wait = AMEND_NOWAIT;
	if (engine->features & AMEND_HAS_TABLE_LOCK)
		expect_status(AMEND_LOCKED, road_atomic(road, hold_table, &job), &road->err);
	foreign_exec(other, "ROLLBACK");
	expect_ok(road_atomic(road, hold_table, &job), &road->err);
}

static void no_key_update_lets_children_refer(struct engine *engine)
{
	struct road *road = open_stock(engine);
	struct foreign *other = foreign_open(engine);
	struct job job = {road, other, "id=1", .strength = AMEND_FOR_NO_KEY_UPDATE};

	engine_exec(engine, "CREATE TABLE item (stock integer REFERENCES stock (id))");
	foreign_exec(other, "BEGIN; INSERT INTO item VALUES (1)");
	expect_ok(road_atomic(road, hold, &job), &road->err);
	said(road, "found");
	job.strength = AMEND_FOR_UPDATE;
	job.wait = AMEND_NOWAIT;
	expect_status(AMEND_LOCKED, road_atomic(road, hold, &job), &road->err);
	foreign_exec(other, "COMMIT");
}

static void share_lets_others_share(struct engine *engine)
{
	struct road *road = open_stock(engine);
	struct foreign *other = foreign_open(engine);
	struct job job = {road, other, "id=1", .strength = AMEND_FOR_SHARE, .wait = AMEND_NOWAIT};

	foreign_exec(other, "BEGIN; SELECT * FROM stock WHERE id = 1 FOR SHARE");
	expect_ok(road_atomic(road, hold, &job), &road->err);
	job.strength = AMEND_FOR_UPDATE;
	expect_status(AMEND_LOCKED, road_atomic(road, hold, &job), &road->err);
	foreign_exec(other, "COMMIT");
}

static void hold_in_the_applications_transaction(struct engine *engine)
{
	struct foreign *mine = (open_stock(engine), foreign_open(engine));
	struct foreign *other = foreign_open(engine);
	struct road *road = road_adopt(engine, mine, "stock");

	expect_status(AMEND_INVALID, road_hold(road, "id=1", AMEND_FOR_UPDATE, AMEND_WAIT),
		      &road->err);
	foreign_exec(mine, "BEGIN");
	expect_ok(road_hold(road, "id=1", AMEND_FOR_UPDATE, AMEND_WAIT), &road->err);
	expect_text(road_record(road), "id=1 qty=10");
	foreign_start(other, 0, "UPDATE stock SET qty = qty + 1 WHERE id = 1");
	foreign_wait_blocked(other);
	foreign_exec(mine, "UPDATE stock SET qty = 50 WHERE id = 1");
	foreign_exec(mine, "COMMIT");
	assert_null(foreign_finish(other));
	engine_expect(engine, "SELECT qty FROM stock WHERE id = 1", "51");
}

static enum amend_status hold_all(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct road *road = context;

	return amend_hold_table(db, road->table, AMEND_FOR_UPDATE, AMEND_WAIT, err);
}

static void no_table_lock(struct engine *engine)
{
	struct road *road = open_stock(engine);

	expect_status(AMEND_UNSUPPORTED, road_atomic(road, hold_all, road), &road->err);
	expect_contains(road->err.text, "hold its records");
}

static const struct engine_test tests[] = {
	{"select_for_update: block: a second locker waits, a plain reader does not", block},
	{"select_for_update: who waited sees the new value", waits_and_sees_the_new_value},
	{"select_for_update: requires_transaction", requires_transaction},
	{"select_for_update: refused in a read-only unit", not_in_a_read_only_unit},
	{"select_for_update: nowait_raises_error_on_block", nowait_raises},
	{"select_for_update: nowait on a free record holds it", nowait_on_a_free_record},
	{"select_for_update: skip_locked_skips_locked_rows", skip_locked_skips,
	 .needs = AMEND_HAS_ROW_LOCK},
	{"select_for_update: writes and deletes nowait are LOCKED", writes_nowait},
	{"select_for_update: writes and deletes skip what is locked", writes_skip_locked},
	{"select_for_update: LOCKED by nowait leaves the unit usable",
	 nowait_in_a_unit_leaves_it_usable, .needs = AMEND_HAS_ROW_LOCK},
	{"select_for_update: the wait has a limit", time_limit},
	{"select_for_update: unsupported strengths are refused by name",
	 unsupported_is_refused_by_name, .lacks = AMEND_HAS_KEY_STRENGTHS},
	{"select_for_update: skip locked of a whole table is refused", a_table_is_not_skipped},
	{"select_for_update: a whole table", whole_table, .not_on = "mariadb"},
	{"a whole table is refused where nothing would hold it", no_table_lock, .only = "mariadb"},
	{"select_for_update: no key update lets others refer to the record",
	 no_key_update_lets_children_refer, .needs = AMEND_HAS_KEY_STRENGTHS},
	{"select_for_update: share lets others share", share_lets_others_share,
	 .needs = AMEND_HAS_SHARE},
	{"select_for_update: in the application's own transaction",
	 hold_in_the_applications_transaction},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
