/*
 * The ledger's installation: on first need, twice, undone, newer than we are.
 * Leaves roles to roles_test.c, and eight at once to tests/race.
 */
#include "ask.h"

static const char present_sql[] = "SELECT count(*) FROM sqlite_master WHERE name LIKE 'amend_%'";

/* How many things of the ledger's there are. */
static const char *things(struct engine *engine)
{
	return engine_scalar(
		engine, engine_pick3(engine, present_sql,
				     "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON "
				     "n.oid = relnamespace WHERE nspname = 'amend'",
				     "SELECT count(*) FROM information_schema.tables WHERE "
				     "table_schema = DATABASE() AND table_name LIKE 'amend_%'"));
}

static struct road *open_t(struct engine *engine)
{
	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, v text)");
	engine_exec(engine, "INSERT INTO t VALUES (1, 'a')");
	return road_open(engine, "t");
}

static void twice(struct engine *engine)
{
	struct road *road = open_t(engine), *other = road_open(engine, NULL);
	bool changed = false;
	const char *count;

	expect_ok(amend_init(road->db, &changed, &road->err), &road->err);
	assert_true(changed);
	count = things(engine);
	assert_string_not_equal(count, "0");
	expect_ok(amend_init(road->db, &changed, &road->err), &road->err);
	assert_false(changed);
	expect_ok(amend_init(other->db, &changed, &other->err), &other->err);
	assert_false(changed);
	expect_text(things(engine), count);
	engine_expect(
		engine,
		engine_pick3(
			engine,
			"SELECT count(*), length(secret), secret GLOB '*[^0-9a-f]*' FROM amend_token_key",
			"SELECT count(*), max(length(secret)), bool_or(secret ~ '[^0-9a-f]')::int "
			"FROM amend.token_key",
			"SELECT count(*), max(length(secret)), max(secret RLIKE '[^0-9a-f]') FROM "
			"amend.token_key"),
		"1|64|0");
}

static void on_first_need(struct engine *engine)
{
	struct road *road = open_t(engine);

	history(road, NULL, "");
	expect_text(things(engine), "0");
	ok(road, .keys = "id=1", .set = "v=b");
	assert_string_not_equal(things(engine), "0");
	history(road, NULL, "update id=1 v: a -> b");
}

static enum amend_status fail_after_write(struct amend_conn *db, void *context,
					  struct amend_error *err)
{
	struct road *road = context;

	(void)db;
	ok(road, .keys = "id=1", .set = "v=undone");
	return amend_error_set(err, AMEND_CONFLICT, "no");
}

static void in_a_unit_that_is_undone(struct engine *engine)
{
	struct road *road = open_t(engine);

	for (int i = 0; i < 2; i++) {
		expect_status(AMEND_CONFLICT, road_atomic(road, fail_after_write, road), &road->err);
		expect_text(things(engine), "0");
	}
	ok(road, .keys = "id=1", .set = "v=b");
	history(road, NULL, "update id=1 v: a -> b");
}

static enum amend_status inner_fails(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	assert_int_equal(amend_atomic(db, NULL, fail_after_write, road, err), AMEND_CONFLICT);
	return road_write(road, ask(.keys = "id=1", .set = "v=outer"));
}

static void in_a_savepoint_that_is_undone(struct engine *engine)
{
	struct road *road = open_t(engine);

	expect_ok(road_atomic(road, inner_fails, road), &road->err);
	history(road, NULL, "update id=1 v: a -> outer");
}

static void in_the_applications_transaction(struct engine *engine)
{
	struct foreign *mine = (open_t(engine), foreign_open(engine));
	struct road *road = road_adopt(engine, mine, "t");

	for (int i = 0; i < 2; i++) {
		foreign_exec(mine, "BEGIN");
		ok(road, .keys = "id=1", .set = "v=b");
		ok(road, .keys = "id=1", .set = "v=c");
		foreign_exec(mine, "ROLLBACK");
		expect_text(things(engine), "0");
	}
	foreign_exec(mine, "BEGIN");
	ok(road, .keys = "id=1", .set = "v=d");
	foreign_exec(mine, "COMMIT");
	ok(road, .keys = "id=1", .set = "v=e");
	history(road, NULL, "update id=1 v: d -> e\nupdate id=1 v: a -> d");
}

/* Where DDL is no part of a transaction: made beside the unit, or not at all. */
static void apart_from_a_unit(struct engine *engine)
{
	struct road *road = open_t(engine);

	expect_status(AMEND_CONFLICT, road_atomic(road, fail_after_write, road), &road->err);
	assert_string_not_equal(things(engine), "0");
	engine_expect(engine, "SELECT v FROM t", "a");
	history(road, NULL, "");
	ok(road, .keys = "id=1", .set = "v=b");
	history(road, NULL, "update id=1 v: a -> b");
}

static void not_in_the_applications_transaction(struct engine *engine)
{
	struct foreign *mine = (open_t(engine), foreign_open(engine));
	struct road *road = road_adopt(engine, mine, "t");

	foreign_exec(mine, "BEGIN; INSERT INTO t VALUES (2, 'mine')");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "v=b");
	expect_contains(road->err.text, "amend_init");
	expect_text(things(engine), "0");
	engine_expect(engine, "SELECT count(*) FROM t", "1"); /* nothing was committed by that */
	foreign_exec(mine, "COMMIT");
	engine_expect(engine, "SELECT id, v FROM t ORDER BY id", "1|a\n2|mine");
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	ok(road, .keys = "id=1", .set = "v=b");
	history(road, NULL, "update id=1 v: a -> b");
}

static void find_level(void *context, enum amend_level level, const char *topic, const char *text)
{
	enum amend_level *worst = context;

	(void)text;
	if (strcmp(topic, "ledger") == 0 && level > *worst)
		*worst = level;
}

/* Reads, so that its snapshot is taken; another installs; writes. */
static enum amend_status read_then_write(struct amend_conn *db, void *context,
					 struct amend_error *err)
{
	struct road *road = context, *other;
	enum amend_status status = amend_query(db, "SELECT v FROM t", NULL, 0, NULL, err);

	if (status != AMEND_OK)
		return status;
	if (strcmp(things(road->engine), "0") == 0) {
		other = road_open(road->engine, "t");
		ok(other, .keys = "id=2", .set = "v=b", .mode = AMEND_CREATE);
		road_close(other);
	}
	status = road_write(road, ask(.keys = "id=1", .set = "v=c"));
	*err = road->err;
	return status;
}

static void by_another_during_a_unit(struct engine *engine)
{
	static const enum amend_isolation levels[] = {AMEND_READ_COMMITTED, AMEND_REPEATABLE_READ,
						      AMEND_SERIALIZABLE};
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;

	for (size_t i = 0; i < COUNT(levels); i++) {
		struct road *road = open_t(engine);

		options.isolation = levels[i];
		expect_ok(amend_atomic(road->db, &options, read_then_write, road, &road->err),
			  &road->err);
		history(road, "id=1", "update id=1 v: a -> c");
		road_close(road);
		engine_exec(engine, "DROP TABLE t");
		engine_exec(engine, engine_pick(engine, "", "DROP SCHEMA amend CASCADE"));
	}
}

static enum amend_status write_one(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db;
	road_get(road, "id=1");
	road_write(road, ask(.keys = "id=1", .set = "v=c"));
	*err = road->err;
	return road->status;
}

/* Somebody who installs it was killed before the last statement. */
static void half_installed(struct engine *engine)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct road *road = open_t(engine);
	int64_t begun;

	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	road_close(road);
	engine_exec(engine, "DELETE FROM amend.meta WHERE name = 'version'");
	road = road_open(engine, "t");
	options.isolation = AMEND_SERIALIZABLE;
	begun = now_ms();
	expect_ok(amend_atomic(road->db, &options, write_one, road, &road->err), &road->err);
	assert_true(now_ms() - begun < 15000);
	history(road, NULL, "update id=1 v: a -> c");
}

static void newer_is_refused(struct engine *engine)
{
	struct road *road = open_t(engine);
	enum amend_level worst = AMEND_LEVEL_OK;
	struct amend_log_filter all = {0};

	ok(road, .keys = "id=1", .set = "v=b");
	engine_exec(engine,
		    engine_pick(engine, "UPDATE amend_meta SET value = '99' WHERE name = 'version'",
				"UPDATE amend.meta SET value = '99' WHERE name = 'version'"));
	road_close(road);
	road = road_open(engine, "t");
	refused(AMEND_UNSUPPORTED, road, .keys = "id=1", .set = "v=c");
	expect_contains(road->err.text, "newer");
	expect_contains(road->err.text, "99");
	expect_status(AMEND_UNSUPPORTED, amend_init(road->db, NULL, &road->err), &road->err);
	expect_status(AMEND_UNSUPPORTED, amend_log(road->db, &all, NULL, NULL, &road->err),
		      &road->err);
	expect_status(AMEND_UNSUPPORTED, amend_rotate_key(road->db, &road->err), &road->err);
	expect_ok(amend_check(road->db, find_level, &worst, &road->err), &road->err);
	assert_int_equal(worst, AMEND_LEVEL_PROBLEM);
	/* Reading is free. */
	expect_ok(road_get(road, "id=1"), &road->err);
	engine_expect(engine, "SELECT v FROM t", "b");
}

/* --- The script --- */

struct script {
	struct engine *engine;
	size_t n;
	const char *statements[64];
};

static void keep_statement(void *context, const char *statement)
{
	struct script *script = context;

	assert_true(script->n < COUNT(script->statements));
	/* What a function or a trigger does has some of its own. */
	if (!strstr(statement, "$amend$") && !strstr(statement, "BEGIN"))
		assert_null(strchr(statement, ';'));
	script->statements[script->n++] = engine_printf(script->engine, "%s", statement);
}

static const char *schema(struct engine *engine)
{
	return engine_rows(
		engine,
		engine_pick3(
			engine,
			"SELECT name, sql FROM sqlite_master WHERE name LIKE 'amend_%' ORDER BY name",
			"SELECT table_name, column_name, data_type, is_nullable, column_default FROM "
			"information_schema.columns WHERE table_schema = 'amend' "
			"UNION ALL SELECT indexname, indexdef, '', '', '' FROM pg_indexes WHERE "
			"schemaname = 'amend' ORDER BY 1, 2",
			"SELECT table_name, column_name, column_type, is_nullable, column_default FROM "
			"information_schema.columns WHERE table_schema = DATABASE() AND table_name LIKE "
			"'amend#_%' ESCAPE '#' UNION ALL SELECT table_name, index_name, column_name, "
			"non_unique, '' FROM information_schema.statistics WHERE table_schema = "
			"DATABASE() AND table_name LIKE 'amend#_%' ESCAPE '#' ORDER BY 1, 2, 3"));
}

static void the_script_makes_the_same(struct engine *engine)
{
	struct road *road = open_t(engine);
	struct script script = {engine, 0, {NULL}};
	const char *made;
	bool changed;

	expect_ok(amend_init_script(road->db, keep_statement, &script, &road->err), &road->err);
	expect_text(things(engine), "0");
	assert_true(script.n > 5);
	for (size_t i = 0; i < script.n; i++)
		engine_exec(engine, script.statements[i]);
	made = schema(engine);
	expect_ok(amend_init(road->db, &changed, &road->err), &road->err);
	assert_false(changed);
	ok(road, .keys = "id=1", .set = "v=b", .want_token = true);
	assert_non_null(road->result.token);
	/* Where it is already, nothing is left to make. */
	script.n = 0;
	expect_ok(amend_init_script(road->db, keep_statement, &script, &road->err), &road->err);
	for (size_t i = 0; i < script.n; i++)
		expect_contains(script.statements[i], "GRANT");
	/* And amend_init makes the very same. */
	road_close(road);
	engine_exec(
		engine,
		engine_pick3(
			engine,
			"DROP TABLE amend_meta; DROP TABLE amend_run; DROP TABLE amend_revision; "
			"DROP TABLE amend_change; DROP TABLE amend_base; DROP TABLE amend_feed; DROP TABLE amend_feed_sum; DROP TABLE amend_seen; DROP TABLE amend_conflict; "
			"DROP TABLE amend_token_key; DROP TABLE amend_lease; DROP TABLE amend_lease_event; "
			"DROP TABLE amend_operation; DROP TABLE amend_guard; DROP TABLE amend_session; "
			"DROP TABLE amend_statement; DROP TABLE amend_stash",
			"DROP SCHEMA amend CASCADE",
			"DROP TABLE amend_meta, amend_run, amend_revision, amend_change, amend_base, "
			"amend_feed, amend_feed_sum, amend_seen, amend_conflict, amend_token_key, "
			"amend_lease, amend_lease_event, amend_operation, amend_guard"));
	road = road_open(engine, "t");
	expect_ok(amend_init(road->db, &changed, &road->err), &road->err);
	expect_text(schema(engine), made);
}

static void read_only_file(struct engine *engine)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct amend_field field = {"id", amend_text("1")};
	struct amend_match key = {&field, 1};
	struct road *road;

	open_t(engine);
	options.read_only = true;
	road = road_open_with(engine, NULL, &options, "t");
	/* No ledger, and none can be made: the record is shown, without a token. */
	expect_ok(amend_get(road->db, road->table, &key, true, &road->result, &road->err),
		  &road->err);
	assert_null(road->result.token);
	assert_non_null(road->result.no_token);
	refused(AMEND_DENIED, road, .keys = "id=1", .set = "v=b");
	ok(road, .keys = "id=1", .set = "v=a");
	said(road, "unchanged");
}

static const struct engine_test tests[] = {
	{"installed once, however often it is asked for", twice},
	{"installed on first need, which reading is not", on_first_need},
	{"inside a unit that is undone it is gone, and made again", in_a_unit_that_is_undone,
	 .needs = AMEND_HAS_DDL_ROLLBACK},
	{"beside a unit that is undone it is made, and stays", apart_from_a_unit,
	 .lacks = AMEND_HAS_DDL_ROLLBACK},
	{"inside a savepoint that is undone it is made again", in_a_savepoint_that_is_undone},
	{"inside the application's transaction that is rolled back",
	 in_the_applications_transaction, .needs = AMEND_HAS_DDL_ROLLBACK},
	{"not where it would commit the application's transaction",
	 not_in_the_applications_transaction, .lacks = AMEND_HAS_DDL_ROLLBACK},
	{"by another while a unit reads what was before", by_another_during_a_unit,
	 .only = "postgresql"},
	{"what is half made is made in a serializable unit, too", half_installed,
	 .lacks = AMEND_HAS_DDL_ROLLBACK},
	{"a newer ledger is refused, nothing is written", newer_is_refused},
	{"the script makes what amend_init makes", the_script_makes_the_same},
	{"a read-only connection makes none", read_only_file},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
