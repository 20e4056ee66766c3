/*
 * Expectations: what the caller saw, held against what is there. A stale write is
 * refused with base, current, incoming, who and when.
 * Leaves the token's bytes to token_test.c.
 */
#include "ask.h"

static const char plain_sql[] = "CREATE TABLE doc (id integer PRIMARY KEY, title text, body text)";
static const char counted_sql[] = "CREATE TABLE doc (id integer PRIMARY KEY, title text, body text, "
				  "version integer NOT NULL DEFAULT 1)";

static struct road *open_docs(struct engine *engine, const char *sql)
{
	struct road *road;

	engine_exec(engine, sql);
	engine_exec(engine, "INSERT INTO doc (id, title, body) VALUES (1, 'old', 'text'), "
			    "(2, 'other', 'text')");
	road = road_open(engine, "doc");
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	return road;
}

/* A second person, bob, with a connection of their own. */
static struct road *open_bob(struct engine *engine)
{
	struct road *bob = road_open(engine, "doc");

	expect_ok(amend_set_author(bob->db, "bob", "a better title", NULL, &bob->err), &bob->err);
	return bob;
}

static void stale_shows(struct road *road, const char *base, const char *current,
			const char *incoming)
{
	said(road, "stale");
	expect_text(road_state(road, road->result.base), base);
	expect_text(road_record(road), current);
	expect_text(road_incoming(road), incoming);
	assert_int_equal(road->result.revision, 0);
	assert_int_equal(road->result.n_changes, 0);
}

/* --- Tokens --- */

static void token_holds(struct engine *engine)
{
	struct road *road = open_docs(engine, plain_sql);
	const char *token = road_token(road, "id=1");

	ok(road, .keys = "id=1", .set = "title=new", .token = token, .want_token = true);
	said(road, "updated title: old -> new");
	/* The answer's token is the next expectation; the old one is used up. */
	token = engine_printf(engine, "%s", road->result.token);
	ok(road, .keys = "id=1", .set = "title=newer", .token = token);
	refused(AMEND_STALE, road, .keys = "id=1", .set = "title=x", .token = token);
	expect_ok(road_delete(road, ask(.keys = "id=1", .token = road_token(road, "id=1"))),
		  &road->err);
}

static void stale_token(struct engine *engine)
{
	struct road *road = open_docs(engine, plain_sql), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "title=bobs");
	refused(AMEND_STALE, road, .keys = "id=1", .set = "title=mine, body=too", .token = token);
	stale_shows(road, "id=1 title=old body=text", "id=1 title=bobs body=text",
		    "title=mine body=too");
	expect_text(road->result.by, "bob");
	expect_text(road->result.because, "a better title");
	assert_non_null(road->result.at);
	expect_contains(road->err.text, "bob");
	engine_expect(engine, "SELECT title, body FROM doc WHERE id = 1", "bobs|text");
	history(road, NULL, "update id=1 title: old -> bobs");
}

static void stale_by_several_changes(struct engine *engine)
{
	struct road *road = open_docs(engine, plain_sql), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "title=a");
	ok(bob, .keys = "id=1", .set = "body=b");
	ok(bob, .keys = "id=1", .set = "title=c");
	refused(AMEND_STALE, road, .keys = "id=1", .set = "title=mine", .token = token);
	stale_shows(road, "id=1 title=old body=text", "id=1 title=c body=b", "title=mine");
}

static void stale_after_the_key_moved(struct engine *engine)
{
	struct road *road = open_docs(engine, plain_sql), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "id=11");
	expect_status(AMEND_NOT_FOUND,
		      road_write(road, ask(.keys = "id=1", .set = "title=x", .token = token)),
		      &road->err);
	engine_expect(engine, "SELECT title FROM doc WHERE id = 11", "old");
}

static void base_unknown_after_a_foreign_write(struct engine *engine)
{
	struct road *road = open_docs(engine, plain_sql), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	engine_exec(engine, "UPDATE doc SET title = 'foreign' WHERE id = 1");
	refused(AMEND_STALE, road, .keys = "id=1", .set = "title=mine", .token = token);
	stale_shows(road, "unknown", "id=1 title=foreign body=text", "title=mine");
	assert_null(road->result.by);
	assert_null(road->result.at);
	expect_contains(road->err.text, "not known");
	/* A change of amend's behind the foreign one proves nothing about what was before both. */
	ok(bob, .keys = "id=1", .set = "body=bobs");
	refused(AMEND_STALE, road, .keys = "id=1", .set = "title=mine", .token = token);
	stale_shows(road, "unknown", "id=1 title=foreign body=bobs", "title=mine");
	expect_text(road->result.by, "bob");
}

static void the_same_state_again_is_not_stale(struct engine *engine)
{
	struct road *road = open_docs(engine, plain_sql);
	const char *token = road_token(road, "id=1");

	/* Nothing that the caller saw has changed: nothing is overwritten unseen. */
	engine_exec(engine, "UPDATE doc SET title = 'x' WHERE id = 1");
	engine_exec(engine, "UPDATE doc SET title = 'old' WHERE id = 1");
	ok(road, .keys = "id=1", .set = "title=new", .token = token);
}

static void stale_even_if_it_would_write_nothing(struct engine *engine)
{
	struct road *road = open_docs(engine, plain_sql), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	ok(bob, .keys = "id=1", .set = "body=bobs");
	refused(AMEND_STALE, road, .keys = "id=1", .set = "title=old", .token = token);
	refused(AMEND_STALE, road, .keys = "id=1", .set = "body=bobs", .token = token);
}

/* --- Deletions --- */

static void deleted_meanwhile_is_told_apart(struct engine *engine)
{
	struct road *road = open_docs(engine, plain_sql), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	expect_ok(road_delete(bob, ask(.keys = "id=1")), &bob->err);
	refused(AMEND_NOT_FOUND, road, .keys = "id=1", .set = "title=mine", .token = token);
	said(road, "missing");
	expect_text(road->result.by, "bob");
	expect_contains(road->err.text, "deleted by bob");
	/* It is not created again by one who thinks it is there. */
	refused(AMEND_NOT_FOUND, road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "title=mine",
		.token = token);
	expect_status(AMEND_NOT_FOUND, road_delete(road, ask(.keys = "id=1", .token = token)),
		      &road->err);
	engine_expect(engine, "SELECT count(*) FROM doc", "1");
	/* Without a token it is simply not there. */
	refused(AMEND_NOT_FOUND, road, .keys = "id=1", .set = "title=mine");
	assert_null(road->result.by);
}

static void deleted_by_a_foreign_program(struct engine *engine)
{
	struct road *road = open_docs(engine, plain_sql);
	const char *token = road_token(road, "id=1");

	engine_exec(engine, "DELETE FROM doc WHERE id = 1");
	refused(AMEND_NOT_FOUND, road, .keys = "id=1", .set = "title=mine", .token = token);
	assert_null(road->result.by);
	expect_contains(road->err.text, "not known");
}

static void deleted_and_recreated(struct engine *engine)
{
	struct road *road = open_docs(engine, plain_sql), *bob = open_bob(engine);
	const char *token = road_token(road, "id=1");

	expect_ok(road_delete(bob, ask(.keys = "id=1")), &bob->err);
	ok(bob, AMEND_CREATE, .keys = "id=1", .set = "title=another, body=record");
	refused(AMEND_STALE, road, .keys = "id=1", .set = "title=mine", .token = token);
	said(road, "stale");
	expect_text(road_state(road, road->result.base), "unknown");
	engine_expect(engine, "SELECT title FROM doc WHERE id = 1", "another");
}

/* The counter begins again at 1: it alone would take the new record for the old one. */
static void deleted_and_recreated_with_the_same_version(struct engine *engine)
{
	struct road *road = open_docs(engine, counted_sql);
	const char *token = road_token(road, "id=1");

	engine_exec(engine, "DELETE FROM doc WHERE id = 1");
	engine_exec(engine, "INSERT INTO doc (id, title, body) VALUES (1, 'another', 'record')");
	refused(AMEND_STALE, road, .keys = "id=1", .set = "title=mine", .token = token);
	said(road, "stale");
	engine_expect(engine, "SELECT title FROM doc WHERE id = 1", "another");
}

static void a_foreign_write_that_leaves_the_version(struct engine *engine)
{
	struct road *road = open_docs(engine, counted_sql);
	const char *token = road_token(road, "id=1");

	engine_exec(engine, "UPDATE doc SET title = 'foreign' WHERE id = 1");
	refused(AMEND_STALE, road, .keys = "id=1", .set = "title=mine", .token = token);
	engine_expect(engine, "SELECT title FROM doc WHERE id = 1", "foreign");
}

/* --- Versions --- */

static void version_column(struct engine *engine)
{
	struct road *road = open_docs(engine, counted_sql), *bob = open_bob(engine);

	ok(road, .keys = "id=1", .set = "title=a", .version = "1");
	said(road, "updated title: old -> a, version: 1 -> 2");
	refused(AMEND_STALE, bob, .keys = "id=1", .set = "title=b", .version = "1");
	said(bob, "stale");
	expect_text(bob->result.by, "ada");
	ok(bob, .keys = "id=1", .set = "title=b", .version = "02");
	/* SQLite could store it; it is not what is stored. */
	refused(engine_is(engine, "sqlite") ? AMEND_STALE : AMEND_INVALID, road, .keys = "id=1",
		.set = "title=c", .version = "two");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "version=9");
	expect_contains(road->err.text, "version column");
	expect_status(AMEND_STALE, road_delete(road, ask(.keys = "id=1", .version = "2")),
		      &road->err);
	expect_ok(road_delete(road, ask(.keys = "id=1", .version = "3")), &road->err);
	/* Where there is none it cannot be asked for. */
	expect_ok(amend_table_set_version(road->table, NULL, &road->err), &road->err);
	refused(AMEND_INVALID, road, .keys = "id=2", .set = "title=c", .version = "1");
}

static enum amend_status set_body(struct amend_compute *compute, const struct amend_value *current,
				  void *context, struct amend_error *err)
{
	struct amend_value value = amend_text("computed");

	(void)current, (void)context;
	return amend_compute_set(compute, "body", &value, err);
}

static void version_moves_on_every_path(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE doc (id integer PRIMARY KEY, slug text UNIQUE, body text, "
			    "n integer, lock_version integer NOT NULL)");
	road = road_open(engine, "doc");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "body=a, n=1");
	expect_contains(road_record(road), "lock_version=1");
	ok(road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "body=b");
	expect_contains(road_record(road), "lock_version=2");
	ok(road, .keys = "id=1", .set = "n+=1");
	expect_contains(road_record(road), "lock_version=3");
	ok(road, .keys = "id=1", .compute = set_body);
	expect_contains(road_record(road), "lock_version=4");
	ok(road, .keys = "slug=s; id=1"); /* learns */
	expect_contains(road_record(road), "slug=s");
	expect_contains(road_record(road), "lock_version=5");
	ok(road, .keys = "id=1", .set = "n+=1, body=x", .bounds = "n<=5");
	expect_contains(road_record(road), "lock_version=6");
	ok(road, .keys = "id=1", .set = "body=x");
	said(road, "unchanged");
	engine_expect(engine, "SELECT lock_version FROM doc", "6");
}

static void timestamp_as_version(struct engine *engine)
{
	const char *last = "";
	struct road *road;

	engine_exec(engine, "CREATE TABLE doc (id integer PRIMARY KEY, body text, n integer, "
			    "changed timestamptz NOT NULL DEFAULT '2001-01-01')");
	road = road_open(engine, "doc");
	expect_ok(amend_table_set_version(road->table, "changed", &road->err), &road->err);
	ok(road, AMEND_CREATE, .keys = "id=1", .set = "n=0");
	/* Even from a time that has not come yet it goes forward. */
	engine_exec(engine, "UPDATE doc SET changed = '2200-01-01 00:00:00+00'");
	for (int i = 0; i < 3; i++) {
		const char *now;

		ok(road, .keys = "id=1",
		   .set = i == 1 ? "n+=1" : engine_printf(engine, "body=%d", i));
		now = engine_scalar(engine, "SELECT to_char(changed AT TIME ZONE 'UTC', "
					    "'YYYY-MM-DD HH24:MI:SS.US') FROM doc");
		assert_true(strcmp(now, last) > 0);
		assert_true(strcmp(now, "2200") > 0);
		last = now;
	}
	refused(AMEND_STALE, road, .keys = "id=1", .set = "body=x",
		.version = "2200-01-01 00:00:00+00");
	ok(road, .keys = "id=1", .set = "body=x", .version = engine_printf(engine, "%s+00", last));
}

/* --- Originals --- */

static void originals(struct engine *engine)
{
	struct road *road = open_docs(engine, plain_sql), *bob = open_bob(engine);

	ok(road, .keys = "id=1", .set = "title=a", .originals = "title=old, body=text");
	ok(bob, .keys = "id=1", .set = "body=bobs");
	/* All: another's change of a column that is not written counts. */
	refused(AMEND_STALE, road, .keys = "id=1", .set = "title=b",
		.originals = "title=a, body=text");
	stale_shows(road, "id=1 title=a body=text", "id=1 title=a body=bobs", "title=b");
	expect_text(road->result.by, "bob");
	/* Only those changed: it does not. */
	ok(road, .keys = "id=1", .set = "title=b, body=bobs", .originals = "title=a, body=text",
	   .only_changed = true);
	said(road, "updated title: a -> b");
	refused(AMEND_STALE, road, .keys = "id=1", .set = "title=c", .originals = "title=a",
		.only_changed = true);
	refused(AMEND_STALE, road, .keys = "id=1", .set = "title=c", .originals = "title=NULL");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "title=c", .originals = "name=x");
	expect_status(AMEND_STALE, road_delete(road, ask(.keys = "id=1", .originals = "title=old")),
		      &road->err);
	expect_ok(road_delete(road, ask(.keys = "id=1", .originals = "title=b")), &road->err);
}

static void originals_in_other_spellings(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE doc (id integer PRIMARY KEY, n integer, s text)");
	engine_exec(engine, "INSERT INTO doc VALUES (1, 7, NULL)");
	road = road_open(engine, "doc");
	ok(road, .keys = "id=1", .set = "n=8", .originals = "n=007, s=NULL");
	refused(AMEND_STALE, road, .keys = "id=1", .set = "n=9", .originals = "s=");
}

/* Tokens are for one record; everything given is checked. */
static void all_that_is_given_is_checked(struct engine *engine)
{
	struct road *road = open_docs(engine, counted_sql);
	const char *token = road_token(road, "id=1");

	refused(AMEND_INVALID, road, .keys = "id=2", .set = "title=x", .token = token);
	expect_contains(road->err.text, "another record");
	refused(AMEND_STALE, road, .keys = "id=1", .set = "title=x", .token = token, .version = "7");
	refused(AMEND_STALE, road, .keys = "id=1", .set = "title=x", .token = token,
		.originals = "title=x");
	ok(road, .keys = "id=1", .set = "title=x", .token = token, .version = "1",
	   .originals = "title=old");
}

static const struct engine_test tests[] = {
	{"a token that holds, and the next one", token_holds},
	{"a stale write is refused with base, current, incoming, who and when", stale_token},
	{"stale by several changes: the base is what was seen", stale_by_several_changes},
	{"the record moved to another key", stale_after_the_key_moved},
	{"a foreign write came between: the base is unknown", base_unknown_after_a_foreign_write},
	{"the state that was seen, again, is not stale", the_same_state_again_is_not_stale},
	{"stale even if it would write nothing", stale_even_if_it_would_write_nothing},
	{"deleted meanwhile is told apart from changed", deleted_meanwhile_is_told_apart},
	{"deleted by a foreign program: by whom is not known", deleted_by_a_foreign_program},
	{"deleted and recreated is stale", deleted_and_recreated},
	{"deleted and recreated with the same version is stale",
	 deleted_and_recreated_with_the_same_version},
	{"a foreign write that leaves the version as it is is not overwritten",
	 a_foreign_write_that_leaves_the_version},
	{"version column: the caller's must be the stored one", version_column},
	{"the version moves on every write path", version_moves_on_every_path},
	{"a timestamp as version goes forward, always", timestamp_as_version, .only = "postgresql"},
	{"originals: all of them, or only of what changes", originals},
	{"originals in other spellings", originals_in_other_spellings},
	{"everything that is given is checked", all_that_is_given_is_checked},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
