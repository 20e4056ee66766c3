/*
 * History read back: by table, record, revision, run; in pages; by position, never by time.
 * Leaves what is recorded to tests/record.
 */
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "ask.h"

#include "core/buffer.h"
#include "ledger/ledger.h"

static struct road *open_two(struct engine *engine)
{
	engine_exec(engine, "CREATE TABLE a (id integer PRIMARY KEY, k text UNIQUE, v text)");
	engine_exec(engine, "CREATE TABLE b (id integer PRIMARY KEY, k text UNIQUE, v text)");
	return road_open(engine, "a");
}

/* Entries as they come: "12 update a". */
struct seen {
	struct amend_buffer text;
	int64_t last, n, revision, run, stop_at;
	bool falls, rises;
};

static enum amend_status see(const struct amend_log_entry *entry, void *context,
			     struct amend_error *err)
{
	struct seen *seen = context;

	if (seen->n > 0 && entry->change >= seen->last)
		seen->falls = false;
	if (seen->n > 0 && entry->change <= seen->last)
		seen->rises = false;
	seen->last = entry->change;
	seen->n++;
	seen->revision = entry->revision;
	seen->run = entry->run;
	amend_buffer_printf(&seen->text, "%s%s %s", seen->text.size ? ", " : "", entry->op,
			    entry->table);
	if (entry->n_changes > 0 && seen->text.size < 500)
		amend_buffer_printf(&seen->text, " %.*s",
				    (int)entry->changes[entry->n_changes - 1].after.size,
				    entry->changes[entry->n_changes - 1].after.kind == AMEND_TEXT
					    ? entry->changes[entry->n_changes - 1].after.as.text
					    : "");
	return seen->n == seen->stop_at ? amend_error_set(err, AMEND_CONFLICT, "enough") : AMEND_OK;
}

static enum amend_status look(struct road *road, const struct amend_log_filter *filter,
			      struct seen *seen)
{
	amend_buffer_release(&seen->text);
	*seen = (struct seen){.falls = true, .rises = true, .stop_at = seen->stop_at};
	return amend_log(road->db, filter, see, seen, &road->err);
}

static void filters(struct engine *engine)
{
	struct road *road = open_two(engine);
	struct amend_log_filter filter = {0};
	struct seen seen = {0};
	int64_t revision;

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=one");
	road_table(road, "b");
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=two");
	revision = road->result.revision;
	road_table(road, "a");
	ok(road, .keys = "id=1", .set = "v=three");
	expect_ok(look(road, &filter, &seen), &road->err);
	expect_text(seen.text.data, "update a three, create b two, create a one");
	filter.table = road->table;
	expect_ok(look(road, &filter, &seen), &road->err);
	expect_text(seen.text.data, "update a three, create a one");
	filter.limit = 1;
	expect_ok(look(road, &filter, &seen), &road->err);
	expect_text(seen.text.data, "update a three");
	filter = (struct amend_log_filter){.revision = revision};
	expect_ok(look(road, &filter, &seen), &road->err);
	expect_text(seen.text.data, "create b two");
	filter.table = road->table;
	expect_status(AMEND_NOT_FOUND, look(road, &filter, &seen), &road->err);
	filter = (struct amend_log_filter){.revision = 99999};
	expect_status(AMEND_NOT_FOUND, look(road, &filter, &seen), &road->err);
	expect_contains(road->err.text, "revision 99999");
	filter = (struct amend_log_filter){.run = 99999};
	expect_status(AMEND_NOT_FOUND, look(road, &filter, &seen), &road->err);
	expect_contains(road->err.text, "run 99999");
	/* What the callback says ends it. */
	seen.stop_at = 2;
	filter = (struct amend_log_filter){0};
	expect_status(AMEND_CONFLICT, look(road, &filter, &seen), &road->err);
	expect_text(road->err.text, "enough");
	assert_int_equal(seen.n, 2);
	amend_buffer_release(&seen.text);
}

static void of_one_record(struct engine *engine)
{
	struct road *road = open_two(engine);
	struct amend_field field = {"id", amend_integer(1)};
	struct amend_match key = {&field, 1};
	struct amend_log_filter filter = {.key = &key};
	struct seen seen = {0};

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "k=x, v=a");
	ok(road, AMEND_CREATE, .keys = "id=2", .set = "k=y");
	ok(road, .keys = "k=x", .set = "v=b");
	history(road, "id=01",
		"update id=1 v: a -> b\ncreate id=1 id: NULL -> 1, k: NULL -> x, v: NULL -> a");
	history(road, "k=x", road_history(road, "id=1"));
	expect_ok(road_delete(road, ask(.keys = "id=1")), &road->err);
	history(road, "id=1",
		"delete id=1 id: 1 -> NULL, k: x -> NULL, v: b -> NULL\nupdate id=1 v: a -> b\n"
		"create id=1 id: NULL -> 1, k: NULL -> x, v: NULL -> a");
	/* By a key that it had when it was deleted, too: people know that one. */
	history(road, "k=x", road_history(road, "id=1"));
	filter.table = road->table;
	field.column = "k";
	field.value = amend_text("z");
	expect_status(AMEND_NOT_FOUND, look(road, &filter, &seen), &road->err);
	field = (struct amend_field){"id", amend_text("7")};
	expect_status(AMEND_NOT_FOUND, look(road, &filter, &seen), &road->err);
	filter.table = NULL;
	expect_status(AMEND_INVALID, look(road, &filter, &seen), &road->err);
	/* There, but never changed by amend: no entries, and no error. */
	engine_exec(engine, "INSERT INTO a VALUES (7, NULL, NULL)");
	history(road, "id=7", "");
	amend_buffer_release(&seen.text);
}

static enum amend_status many_changes(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	for (int i = 0; i < 1103; i++) {
		if (i % 10 == 9)
			ok(road, AMEND_CREATE, .keys = engine_printf(road->engine, "id=%d", i + 10));
		else
			ok(road, .keys = "id=1", .set = engine_printf(road->engine, "v=%d", i));
	}
	return AMEND_OK;
}

static void in_pages(struct engine *engine)
{
	struct road *road = open_two(engine);
	struct amend_field field = {"id", amend_integer(1)};
	struct amend_match key = {&field, 1};
	struct amend_log_filter filter = {0};
	struct seen seen = {0};

	engine_exec(engine, "INSERT INTO a VALUES (1, NULL, NULL)");
	expect_ok(road_atomic(road, many_changes, road), &road->err);
	expect_ok(look(road, &filter, &seen), &road->err);
	assert_int_equal(
		seen.n,
		atoi(engine_scalar(engine, engine_pick(engine, "SELECT count(*) FROM amend_change",
						       "SELECT count(*) FROM amend.change"))));
	assert_true(seen.n > 1000);
	assert_true(seen.falls);
	/* What committed together is one revision, oldest first. */
	filter.revision = seen.revision;
	expect_ok(look(road, &filter, &seen), &road->err);
	assert_true(seen.n > 1000);
	assert_true(seen.rises);
	filter = (struct amend_log_filter){.limit = 777};
	expect_ok(look(road, &filter, &seen), &road->err);
	assert_int_equal(seen.n, 777);
	filter = (struct amend_log_filter){.table = road->table, .key = &key};
	expect_ok(look(road, &filter, &seen), &road->err);
	assert_true(seen.falls);
	assert_int_equal(
		seen.n,
		atoi(engine_scalar(
			engine,
			engine_pick(engine,
				    "SELECT count(*) FROM amend_change WHERE pk = '{\"id\":1}'",
				    "SELECT count(*) FROM amend.change WHERE pk = '{\"id\":1}'"))));
	filter.limit = 501;
	expect_ok(look(road, &filter, &seen), &road->err);
	assert_int_equal(seen.n, 501);
	amend_buffer_release(&seen.text);
}

/* Clocks step back; positions do not. */
static void by_position_not_by_time(struct engine *engine)
{
	struct road *road = open_two(engine);
	struct amend_log_filter filter = {0};
	struct seen seen = {0};

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=first");
	ok(road, .keys = "id=1", .set = "v=second");
	ok(road, .keys = "id=1", .set = "v=third");
	engine_exec(engine,
		    engine_pick(engine, "UPDATE amend_revision SET at = printf('20%02d', 50 - id)",
				"UPDATE amend.revision SET at = '20' || (50 - id)"));
	expect_ok(look(road, &filter, &seen), &road->err);
	expect_text(seen.text.data, "update a third, update a second, create a first");
	history(road, "id=1",
		"update id=1 v: second -> third\nupdate id=1 v: first -> second\n"
		"create id=1 id: NULL -> 1, v: NULL -> first");
	amend_buffer_release(&seen.text);
}

static enum amend_status two_writes(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=a");
	ok(road, AMEND_CREATE, .keys = "id=2", .set = "v=b");
	return AMEND_OK;
}

static enum amend_status undone(struct amend_conn *db, void *context, struct amend_error *err)
{
	expect_ok(two_writes(db, context, err), err);
	return amend_error_set(err, AMEND_CONFLICT, "no");
}

static enum amend_status undone_inside(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	assert_int_equal(amend_atomic(db, NULL, undone, road, err), AMEND_CONFLICT);
	ok(road, AMEND_CREATE, .keys = "id=3", .set = "v=c");
	assert_int_equal(amend_atomic(db, NULL, undone, road, err), AMEND_CONFLICT);
	ok(road, AMEND_CREATE, .keys = "id=4", .set = "v=d");
	return AMEND_OK;
}

static void what_committed_together(struct engine *engine)
{
	static const char *const counts[] = {
		"SELECT count(*), count(DISTINCT revision) FROM amend_change",
		"SELECT count(*), count(DISTINCT revision) FROM amend.change"};
	struct road *road = open_two(engine);

	expect_ok(road_atomic(road, undone_inside, road), &road->err);
	/* Savepoints that were undone left nothing, and the rest is one revision. */
	engine_expect(engine, engine_pick(engine, counts[0], counts[1]), "2|1");
	engine_expect(engine,
		      engine_pick(engine, "SELECT count(*) FROM amend_revision",
				  "SELECT count(*) FROM amend.revision"),
		      "1");
	expect_status(AMEND_CONFLICT, road_atomic(road, undone, road), &road->err);
	engine_expect(engine, engine_pick(engine, counts[0], counts[1]), "2|1");
	expect_ok(road_atomic(road, two_writes, road), &road->err);
	engine_expect(engine, engine_pick(engine, counts[0], counts[1]), "4|2");
	ok(road, .keys = "id=1", .set = "v=z");
	engine_expect(engine, engine_pick(engine, counts[0], counts[1]), "5|3");
}

static enum amend_status check_author(const struct amend_log_entry *entry, void *context,
				      struct amend_error *err)
{
	const char *const *expected = context;

	(void)err;
	expect_text(entry->who, expected[0]);
	expect_text(entry->why, expected[1]);
	expect_text(entry->program, expected[2]);
	assert_int_equal(strlen(entry->at), strlen("2026-11-21 21:30:04.123456"));
	return AMEND_OK;
}

static void who_when_why(struct engine *engine)
{
	const char *expected[] = {"Zo\xc3\xab \"x\"; --", "line 1\nline 2", "prog 1.0"};
	struct amend_log_filter filter = {.limit = 1};
	struct road *road = open_two(engine);
	struct passwd *user = getpwuid(getuid());

	expect_ok(amend_set_author(road->db, expected[0], expected[1], expected[2], &road->err),
		  &road->err);
	ok(road, AMEND_CREATE, .keys = "id=1");
	expect_ok(amend_log(road->db, &filter, check_author, expected, &road->err), &road->err);
	expect_ok(amend_set_author(road->db, NULL, NULL, NULL, &road->err), &road->err);
	ok(road, .keys = "id=1", .set = "v=x");
	expected[0] = user ? user->pw_name : engine_printf(engine, "%ld", (long)getuid());
	expected[1] = expected[2] = "";
	expect_ok(amend_log(road->db, &filter, check_author, expected, &road->err), &road->err);
}

static void runs(struct engine *engine)
{
	const struct amend_run_spec spec = {"feed", "a"};
	struct road *road = open_two(engine);
	struct amend_log_filter filter = {0};
	struct seen seen = {0};
	int64_t run;

	amend_run_begin(road->db, &spec);
	expect_ok(road_atomic(road, two_writes, road), &road->err);
	run = amend_run_current(road->db);
	assert_true(run > 0);
	ok(road, .keys = "id=1", .set = "v=x");
	assert_int_equal(amend_run_current(road->db), run);
	amend_run_end(road->db);
	ok(road, .keys = "id=1", .set = "v=outside");
	filter.run = run;
	expect_ok(look(road, &filter, &seen), &road->err);
	expect_text(seen.text.data, "create a a, create a b, update a x");
	assert_int_equal(seen.run, run);
	/* A run that changes nothing has no row; one that is undone neither. */
	amend_run_begin(road->db, &spec);
	ok(road, .keys = "id=1", .set = "v=outside");
	assert_int_equal(amend_run_current(road->db), 0);
	expect_ok(road_delete(road, ask(.keys = "id=2")), &road->err);
	amend_run_end(road->db);
	amend_run_begin(road->db, &spec);
	expect_ok(road_delete(road, ask(.keys = "id=1")), &road->err);
	amend_run_end(road->db);
	amend_run_begin(road->db, &spec);
	expect_status(AMEND_CONFLICT, road_atomic(road, undone, road), &road->err);
	assert_int_equal(amend_run_current(road->db), 0);
	amend_run_end(road->db);
	engine_expect(engine,
		      engine_pick(engine, "SELECT count(*) FROM amend_run",
				  "SELECT count(*) FROM amend.run"),
		      "3");
	amend_buffer_release(&seen.text);
}

/* An id taken again is another record, and so is one whose owner moved away. */
static void reused_primary_keys(struct engine *engine)
{
	struct road *road = open_two(engine);

	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=first");
	ok(road, .keys = "id=1", .set = "id=5");
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=second");
	ok(road, .keys = "id=5", .set = "v=moved");
	history(road, "id=5",
		"update id=5 v: first -> moved\nupdate id=5 id: 1 -> 5\n"
		"create id=1 id: NULL -> 1, v: NULL -> first");
	history(road, "id=1", "create id=1 id: NULL -> 1, v: NULL -> second");
	/* Deleted and restored is one story. */
	expect_ok(road_delete(road, ask(.keys = "id=1")), &road->err);
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "v=third");
	history(road, "id=1",
		"create id=1 id: NULL -> 1, v: NULL -> third\ndelete id=1 id: 1 -> NULL, v: second -> NULL\n"
		"create id=1 id: NULL -> 1, v: NULL -> second");
}

static const struct engine_test tests[] = {
	{"filters: table, revision, run, limit", filters},
	{"of one record, living or deleted", of_one_record},
	{"beyond a page: each change once, in order", in_pages},
	{"order is by position, never by time", by_position_not_by_time},
	{"what committed together is one revision; what was undone is none",
	 what_committed_together},
	{"who, when, why, and with what program", who_when_why},
	{"runs", runs},
	{"reused primary keys", reused_primary_keys},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
