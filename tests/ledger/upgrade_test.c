/*
 * A ledger of an earlier version with bases in it: read as it is, brought up by who may, once.
 * Leaves newer ledgers to install_test.c, and what bases are for to store_test.c.
 */
#include "ask.h"
#include "old_ledger.h"

#include <pthread.h>

#include "core/buffer.h"
#include "ledger/ledger.h"
#include "ledger/state.h"

static void add_old_base(struct engine *engine, const char *source, const char *table,
			 const char *pk, const char *first_key, const char *content)
{
	struct amend_buffer pack = AMEND_BUFFER_INIT, hex = AMEND_BUFFER_INIT;
	const struct amend_value value = amend_text(content);
	unsigned char digest[AMEND_DIGEST_SIZE];
	const char *open = engine_pick(engine, "x'", "'\\x");

	amend_pack_add(&pack, "v", &value);
	amend_digest(pack.data, pack.size, digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		amend_buffer_printf(&hex, "%02x", digest[i]);
	amend_buffer_printf(&hex, "', %s", open);
	for (size_t i = 0; i < pack.size; i++)
		amend_buffer_printf(&hex, "%02x", (unsigned)(unsigned char)pack.data[i]);
	engine_execf(engine, "INSERT INTO %sbase VALUES ('%s', '%s', '%s', '%s', %s%s')",
		     engine_pick(engine, "amend_", "amend."), source, table, pk, first_key, open,
		     amend_buffer_string(&hex));
	amend_buffer_release(&pack);
	amend_buffer_release(&hex);
}

/* A record with history, bases of two sources and of another table. */
static struct road *open_old(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, v text)");
	engine_exec(engine, "CREATE TABLE u (id integer PRIMARY KEY, v text)");
	engine_exec(engine, "INSERT INTO t VALUES (1, 'a')");
	road = road_open(engine, "t");
	ok(road, .keys = "id=1", .set = "v=b");
	road_close(road);
	old_ledger(engine, 1);
	add_old_base(engine, "feed", "t", "{\"id\":2}", "{\"k\":\"y\"}", "two");
	add_old_base(engine, "feed", "t", "{\"id\":1}", "{\"k\":\"x\"}", "one");
	add_old_base(engine, "other", "t", "{\"id\":1}", "", "other one");
	add_old_base(engine, "feed", "u", "{\"id\":1}", "{\"k\":\"x\"}", "of u");
	return road_open(engine, "t");
}

static const char *version(struct engine *engine)
{
	return engine_scalar(engine, engine_pick(engine, "SELECT value FROM amend_meta",
						 "SELECT value FROM amend.meta"));
}

static void expect_latest(struct engine *engine)
{
	expect_text(version(engine), engine_printf(engine, "%d", AMEND_LEDGER_VERSION));
}

static enum amend_status add_base(void *context, const struct amend_base *base,
				  struct amend_error *err)
{
	struct amend_buffer *text = context;
	unsigned char digest[AMEND_BASE_DIGEST_SIZE];
	struct amend_value value;

	(void)err;
	amend_base_digest(base->pack, base->pack_size, digest);
	assert_memory_equal(digest, base->digest, sizeof(digest));
	assert_true(amend_pack_find(base->pack, base->pack_size, "v", &value));
	amend_buffer_printf(text, "%s%s %s %.*s", text->size ? "; " : "", base->pk, base->first_key,
			    (int)value.size, value.as.text);
	return AMEND_OK;
}

/* By scan, by primary key, by first key: the same three times. */
static const char *bases(struct road *road, const char *source, const char *table)
{
	static const char *const keys[] = {"{\"id\":1}", "{\"id\":2}", "{\"id\":7}"};
	struct amend_buffer text = AMEND_BUFFER_INIT;
	struct amend_base found[3] = {{0}}, by_key;
	const char *copy;
	size_t n = 0;

	road_table(road, table);
	expect_ok(amend_base_scan(road->db, source, road->table, true, add_base, &text, &road->err),
		  &road->err);
	copy = engine_printf(road->engine, "%s", amend_buffer_string(&text));
	amend_buffer_release(&text);
	expect_ok(amend_base_find(road->db, source, road->table, false, keys, 3, found,
				  engine_arena(road->engine), &road->err),
		  &road->err);
	for (size_t i = 0; i < 3; i++) {
		if (!found[i].pack)
			continue;
		n++;
		assert_non_null(strstr(copy, found[i].pk));
		expect_ok(amend_base_find(road->db, source, road->table, true, &found[i].first_key,
					  1, &by_key, engine_arena(road->engine), &road->err),
			  &road->err);
		expect_text(by_key.pk, found[i].pk);
		assert_memory_equal(by_key.digest, found[i].digest, AMEND_BASE_DIGEST_SIZE);
	}
	for (const char *at = copy; *at; at++)
		n -= *at == 'i' && strncmp(at, "id\"", 3) == 0;
	assert_int_equal(n, 0);
	return copy;
}

/* Those that may have bases of the table that is open. */
static const char *sources(struct road *road)
{
	const char **names, *text = "";
	size_t n;

	expect_ok(amend_base_sources(road->db, road->table, engine_arena(road->engine), &names, &n,
				     &road->err),
		  &road->err);
	/* In no order: there are two at most. */
	if (n > 1 && strcmp(names[0], names[1]) > 0)
		return engine_printf(road->engine, "%s %s", names[1], names[0]);
	for (size_t i = 0; i < n; i++)
		text = engine_printf(road->engine, "%s%s%s", text, i ? " " : "", names[i]);
	return text;
}

static void expect_bases(struct road *road)
{
	const char *both = bases(road, "feed", "t");

	expect_contains(both, "{\"id\":1} {\"k\":\"x\"} one");
	expect_contains(both, "{\"id\":2} {\"k\":\"y\"} two");
	expect_text(bases(road, "other", "t"), "{\"id\":1}  other one");
	expect_text(bases(road, "feed", "u"), "{\"id\":1} {\"k\":\"x\"} of u");
	expect_text(sources(road), "feed");
	expect_text(bases(road, "nobody", "t"), "");
	expect_text(sources(road), "feed other");
}

static void read_as_it_is(struct engine *engine)
{
	struct road *road = open_old(engine);

	expect_bases(road);
	road_table(road, "t");
	history(road, NULL, "update id=1 v: a -> b");
	expect_ok(road_get(road, "id=1"), &road->err);
	/* Nobody has written, nothing is brought up. */
	expect_text(version(engine), "1");
	ok(road, .keys = "id=1", .set = "v=c");
	expect_latest(engine);
	expect_bases(road);
	road_table(road, "t");
	history(road, NULL, "update id=1 v: b -> c\nupdate id=1 v: a -> b");
}

static void brought_up(struct engine *engine)
{
	struct road *road = open_old(engine), *open = road_open(engine, "t");
	struct amend_base seen, next;
	bool changed = false, moved = true;
	const char *key = "{\"id\":1}";

	/* Read before, written after: the same base. */
	expect_ok(amend_base_find(open->db, "feed", open->table, false, &key, 1, &seen,
				  engine_arena(engine), &open->err),
		  &open->err);
	expect_ok(amend_init(road->db, &changed, &road->err), &road->err);
	assert_true(changed);
	expect_latest(engine);
	expect_ok(amend_init(road->db, &changed, &road->err), &road->err);
	assert_false(changed);
	expect_bases(road);
	next = seen;
	next.pk = "{\"id\":7}";
	expect_ok(amend_base_write(open->db, open->table, &seen, &next, &moved, &open->err),
		  &open->err);
	assert_false(moved);
	expect_contains(bases(open, "feed", "t"), "{\"id\":7} {\"k\":\"x\"} one");
	/* One key to sign with, as before; and nothing left over. */
	engine_expect(
		engine,
		engine_pick(engine,
			    "SELECT (SELECT count(*) FROM amend_token_key), (SELECT count(*) FROM "
			    "sqlite_master WHERE name GLOB 'amend_base_1*')",
			    "SELECT (SELECT count(*) FROM amend.token_key), (SELECT count(*) FROM "
			    "pg_class WHERE relname LIKE 'base\\_1%')"),
		"1|0");
}

/* From version 2 to `last`, with bases in it. `sums`: as step 2 was for a while, when it made what step 6 makes. */
static void from_versions(struct engine *engine, int last, bool sums)
{
	struct road *road = open_old(engine);

	for (int old = 2; old <= last; old++) {
		ok(road, .keys = "id=1", .set = engine_printf(engine, "v=%d", old));
		expect_latest(engine);
		road_close(road);
		old_ledger(engine, old);
		if (sums)
			old_ledger_with_sums(engine);
		road = road_open(engine, "t");
		expect_bases(road);
		road_table(road, "t");
		expect_text(version(engine), engine_printf(engine, "%d", old));
	}
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	expect_latest(engine);
	expect_bases(road);
}

static void from_each_version(struct engine *engine)
{
	from_versions(engine, AMEND_LEDGER_VERSION - 1, false);
}

static void from_a_step_2_that_made_more(struct engine *engine)
{
	from_versions(engine, AMEND_LEDGER_HAS_SUMS - 1, true);
}

/* An older program that has the ledger open while it is brought up makes a feed as it knows them. */
static void a_feed_without_a_salt(struct engine *engine)
{
	struct road *road = open_old(engine);
	struct amend_base_sum sum;
	struct amend_base next = {.source = "late", .pk = "{\"id\":9}", .first_key = "", .pack = ""};
	bool moved = false;

	ok(road, .keys = "id=1", .set = "v=c");
	engine_execf(engine, "INSERT INTO %sfeed (source, tbl) VALUES ('late', '%s')",
		     engine_pick(engine, "amend_", "amend."), road->table->qualified);
	/* Looked at it stays as it is; written to, it gets one, and nobody says what its bases come to. */
	for (int i = 0; i < 2; i++) {
		expect_ok(amend_base_sum_read(road->db, "late", road->table, &sum, &road->err),
			  &road->err);
		assert_false(sum.known);
	}
	expect_ok(amend_base_write(road->db, road->table, NULL, &next, &moved, &road->err),
		  &road->err);
	expect_ok(amend_base_sum_read(road->db, "late", road->table, &sum, &road->err), &road->err);
	assert_false(sum.known);
	engine_expect(engine,
		      engine_pick(engine, "SELECT count(*) FROM amend_feed WHERE salt IS NULL",
				  "SELECT count(*) FROM amend.feed WHERE salt IS NULL"),
		      "0");
}

static enum amend_status init_and_fail(struct amend_conn *db, void *context, struct amend_error *err)
{
	bool changed;

	(void)context;
	if (amend_init(db, &changed, err) != AMEND_OK)
		return err->status;
	assert_true(changed);
	return amend_error_set(err, AMEND_CONFLICT, "no");
}

static void undone(struct engine *engine)
{
	struct road *road = open_old(engine);

	expect_status(AMEND_CONFLICT, road_atomic(road, init_and_fail, NULL), &road->err);
	expect_text(version(engine), "1");
	expect_bases(road);
	ok(road, .keys = "id=1", .set = "v=c");
	expect_bases(road);
}

struct racer {
	struct road *road;
	struct amend_error err;
	enum amend_status status;
	bool changed;
};

static void *race(void *context)
{
	struct racer *racer = context;

	racer->status = amend_init(racer->road->db, &racer->changed, &racer->err);
	return NULL;
}

static void several_at_once(struct engine *engine)
{
	enum { RACERS = 4 };
	struct road *road = open_old(engine);
	struct racer racers[RACERS] = {{0}};
	pthread_t threads[RACERS];
	int changed = 0;

	for (int i = 0; i < RACERS; i++)
		racers[i].road = road_open(engine, "t");
	for (int i = 0; i < RACERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	for (int i = 0; i < RACERS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < RACERS; i++) {
		expect_ok(racers[i].status, &racers[i].err);
		changed += racers[i].changed;
	}
	assert_int_equal(changed, 1);
	expect_bases(road);
}

static void a_role_that_may_not(struct engine *engine)
{
	const char *role, *url = engine_url_of_role(engine, &role);
	struct road *owner = open_old(engine), *road;

	engine_execf(engine, "GRANT SELECT, INSERT, UPDATE, DELETE ON t, u TO %s", role);
	engine_execf(engine, "GRANT USAGE ON SCHEMA amend TO %s", role);
	engine_execf(engine, "GRANT SELECT ON amend.meta TO %s", role);
	engine_execf(engine,
		     "GRANT SELECT, INSERT ON amend.run, amend.revision, amend.change TO %s", role);
	engine_execf(engine,
		     "GRANT SELECT, INSERT, UPDATE, DELETE ON amend.base, amend.conflict TO %s",
		     role);
	engine_exec(engine, "GRANT SELECT ON amend.base TO PUBLIC");
	road = road_open_with(engine, url, NULL, "t");
	expect_bases(road);
	road_table(road, "t");
	refused(AMEND_DENIED, road, .keys = "id=1", .set = "v=c");
	expect_contains(road->err.text, "--print");
	expect_text(version(engine), "1");
	expect_ok(amend_init(owner->db, NULL, &owner->err), &owner->err);
	/* What it had it has again, and nobody has more. */
	ok(road, .keys = "id=1", .set = "v=c");
	expect_bases(road);
	engine_expect(
		engine,
		engine_printf(
			engine,
			"SELECT c.relname, string_agg(a.privilege_type, ' ' ORDER BY "
			"a.privilege_type) FROM pg_class c CROSS JOIN LATERAL "
			"aclexplode(c.relacl) a WHERE c.oid IN ('amend.base'::regclass, "
			"'amend.feed'::regclass, 'amend.operation'::regclass) AND a.grantee IN (0, '%s'::regrole) "
			"GROUP BY c.relname, a.grantee ORDER BY c.relname, a.grantee",
			role),
		"base|SELECT\nbase|DELETE INSERT SELECT UPDATE\nfeed|SELECT\nfeed|INSERT "
		"SELECT\noperation|DELETE INSERT SELECT UPDATE");
	ok(road, .keys = "id=1", .set = "v=d", .once = "x");
	engine_expect(
		engine,
		engine_printf(engine,
			      "SELECT has_table_privilege('%s', 'amend.guard', 'SELECT'), "
			      "has_function_privilege('%s', 'amend.guard_bases(bigint, text, text[], "
			      "text[], bytea[])', 'EXECUTE')",
			      role, role),
		"t|t");
}

static void run_statement(void *context, const char *statement)
{
	engine_exec(context, statement);
}

static void by_the_script(struct engine *engine)
{
	struct road *road = open_old(engine);

	expect_ok(amend_init_script(road->db, run_statement, engine, &road->err), &road->err);
	expect_latest(engine);
	expect_bases(road);
	engine_expect(engine,
		      engine_pick(engine, "SELECT count(*) FROM amend_token_key",
				  "SELECT count(*) FROM amend.token_key"),
		      "1");
}

static const struct engine_test tests[] = {
	{"an older ledger is read as it is, and brought up by the first change", read_as_it_is},
	{"brought up it holds what it held", brought_up},
	{"brought up from each version there was, it holds what it held", from_each_version},
	{"brought up where step 2 had made sums already", from_a_step_2_that_made_more},
	{"a feed that an older program made meanwhile gets its salt", a_feed_without_a_salt},
	{"brought up in a unit that is undone, it is as it was", undone},
	{"several bring it up at once, one does", several_at_once},
	{"a role that may not is told so, and keeps its rights", a_role_that_may_not,
	 .only = "postgresql"},
	{"the script brings it up", by_the_script},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
