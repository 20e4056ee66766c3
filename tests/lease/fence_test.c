/*
 * What a lease means for writes: the number is tested in the write's own transaction, a mandatory one
 * stops who does not carry it.
 * Leaves taking leases to lease_test.c, and processes that freeze to contend.py.
 */
#include "ask.h"

#include <pthread.h>
#include <time.h>

static void pause_ms(int ms)
{
	const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&time, NULL);
}

static const struct amend_field first_field = {"id",
					       {.kind = AMEND_TEXT, .size = 1, .as.text = "1"}};
static const struct amend_match first_key = {&first_field, 1};

static struct road *start(struct engine *engine)
{
	engine_exec(engine,
		    "CREATE TABLE t (id integer PRIMARY KEY, v text, n integer NOT NULL DEFAULT 0)");
	engine_exec(engine, "INSERT INTO t VALUES (1, 'a', 0), (2, 'b', 0), (3, 'c', 0)");
	return road_open(engine, "t");
}

/* Of record 1. */
static enum amend_status try_take(struct road *road, int64_t ttl_ms, int64_t wait_ms,
				  bool mandatory, struct amend_lease *out)
{
	const struct amend_lease_name name = {.table = road->table, .key = &first_key};
	struct amend_lease_options options = AMEND_LEASE_OPTIONS_INIT;

	options.ttl_ms = ttl_ms;
	options.wait_ms = wait_ms;
	options.mandatory = mandatory;
	return amend_lease_acquire(road->db, &name, &options, out, &road->err);
}

static struct amend_lease take(struct road *road, int64_t ttl_ms, bool mandatory)
{
	struct amend_lease lease;

	expect_ok(try_take(road, ttl_ms, 0, mandatory, &lease), &road->err);
	return lease;
}

static void release(struct road *road, const struct amend_lease *lease)
{
	const struct amend_lease_name name = {.table = road->table, .key = &first_key};

	expect_ok(amend_lease_release(road->db, &name, lease->token, &road->err), &road->err);
}

static enum amend_status plain(struct road *road, const char *text, int64_t ttl_ms,
			       struct amend_lease *out)
{
	const struct amend_lease_name name = {.name = text};
	struct amend_lease_options options = AMEND_LEASE_OPTIONS_INIT;

	options.ttl_ms = ttl_ms;
	return amend_lease_acquire(road->db, &name, &options, out, &road->err);
}

static void written_while_it_is_held(struct engine *engine)
{
	struct road *a = start(engine), *b = road_open(engine, "t");
	struct amend_lease lease = take(a, 60000, false), next;

	ok(a, .keys = "id=1", .set = "v=x", .lease = lease.token);
	said(a, "updated v: a -> x");
	/* Whoever has the token, on whichever connection. */
	ok(b, .keys = "id=1", .set = "n+=1", .lease = lease.token);
	said(b, "updated n: 0 -> 1");
	/* It is no lock for who does not ask for it. */
	ok(b, .keys = "id=1", .set = "v=y");
	release(a, &lease);
	refused(AMEND_LOCKED, a, .keys = "id=1", .set = "v=z", .lease = lease.token);
	expect_contains(a->err.text, "the lease is lost: it was released");
	next = take(b, 60000, false);
	refused(AMEND_LOCKED, a, .keys = "id=1", .set = "v=z", .lease = lease.token);
	expect_contains(a->err.text, "the lease is lost: held by ");
	refused(AMEND_LOCKED, a, .keys = "id=1", .set = "n+=1", .lease = lease.token);
	/* Nothing to change, and told all the same. */
	refused(AMEND_LOCKED, a, .keys = "id=1", .set = "v=y", .lease = lease.token);
	expect_status(AMEND_LOCKED, road_delete(a, ask(.keys = "id=1", .lease = lease.token)),
		      &a->err);
	said(a, "locked");
	engine_expect(engine, "SELECT * FROM t WHERE id = 1", "1|y|1");
	expect_ok(road_delete(b, ask(.keys = "id=1", .lease = next.token)), &b->err);
	engine_expect(engine, "SELECT count(*) FROM t", "2");
}

static void ended(struct engine *engine)
{
	struct road *road = start(engine);
	struct amend_lease lease = take(road, 100, false);

	pause_ms(150);
	refused(AMEND_LOCKED, road, .keys = "id=1", .set = "v=x", .lease = lease.token);
	expect_contains(road->err.text, "it ended at");
	engine_expect(engine, "SELECT v FROM t WHERE id = 1", "a");
}

static void of_something_else(struct engine *engine)
{
	struct road *road = start(engine);
	struct amend_lease lease = take(road, 60000, false);

	refused(AMEND_INVALID, road, .keys = "id=2", .set = "v=x", .lease = lease.token);
	expect_contains(road->err.text, "of another record");
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "v=x", .lease = "a1.AAAA");
	expect_contains(road->err.text, "--if-version");
	/* There was a record when it was leased. */
	engine_exec(engine, "DELETE FROM t WHERE id = 1");
	refused(AMEND_NOT_FOUND, road, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "v=x",
		.lease = lease.token);
	engine_expect(engine, "SELECT * FROM t", "2|b|0\n3|c|0");
}

static void a_plain_name_covers_any_write(struct engine *engine)
{
	struct road *a = start(engine), *b = road_open(engine, "t");
	struct amend_lease lease, next;

	expect_ok(plain(a, "job", 1000, &lease), &a->err);
	ok(a, .keys = "id=1", .set = "v=x", .lease = lease.token);
	ok(a, AMEND_UPDATE_OR_CREATE, .keys = "id=4", .set = "v=d", .lease = lease.token);
	pause_ms(1050);
	expect_ok(plain(b, "job", 60000, &next), &b->err);
	refused(AMEND_LOCKED, a, .keys = "id=1", .set = "v=y", .lease = lease.token);
	refused(AMEND_LOCKED, a, AMEND_UPDATE_OR_CREATE, .keys = "id=5", .set = "v=e",
		.lease = lease.token);
	engine_expect(engine, "SELECT * FROM t ORDER BY id", "1|x|0\n2|b|0\n3|c|0\n4|d|0");
}

struct meanwhile {
	struct road *mine, *other;
	struct amend_lease lease;
	struct engine *engine;
};

static enum amend_status write_slowly(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct meanwhile *meanwhile = context;
	struct amend_lease theirs;

	(void)db;
	(void)err;
	ok(meanwhile->mine, .keys = "id=1", .set = "v=slow", .lease = meanwhile->lease.token);
	/* The write began in time. The next holder gets the lease behind it, not before. */
	pause_ms(1050);
	expect_status(AMEND_LOCKED, try_take(meanwhile->other, 60000, 0, false, &theirs),
		      &meanwhile->other->err);
	return AMEND_OK;
}

static void the_next_waits_for_a_write(struct engine *engine)
{
	struct road *a = start(engine), *b = road_open(engine, "t");
	struct meanwhile meanwhile = {a, b, take(a, 1000, false), engine};
	struct amend_lease theirs;

	expect_ok(road_atomic(a, write_slowly, &meanwhile), &a->err);
	expect_ok(try_take(b, 60000, 0, false, &theirs), &b->err);
	assert_int_equal(theirs.fence, 2);
	engine_expect(engine, "SELECT v FROM t WHERE id = 1", "slow");
	refused(AMEND_LOCKED, a, .keys = "id=1", .set = "v=z", .lease = meanwhile.lease.token);
}

static enum amend_status renew_meanwhile(struct amend_conn *db, void *context,
					 struct amend_error *err)
{
	struct meanwhile *meanwhile = context;
	const struct amend_lease_name name = {.table = meanwhile->other->table, .key = &first_key};

	(void)db;
	(void)err;
	ok(meanwhile->mine, .keys = "id=1", .set = "v=long", .lease = meanwhile->lease.token);
	expect_ok(amend_lease_renew(meanwhile->other->db, &name, meanwhile->lease.token, 0,
				    &meanwhile->lease, &meanwhile->other->err),
		  &meanwhile->other->err);
	return AMEND_OK;
}

static void renewed_during_a_write(struct engine *engine)
{
	struct road *a = start(engine), *b = road_open(engine, "t");
	struct meanwhile meanwhile = {a, b, take(a, 60000, true), engine};

	expect_ok(road_atomic(a, renew_meanwhile, &meanwhile), &a->err);
	engine_expect(engine, "SELECT v FROM t WHERE id = 1", "long");
}

/* Each way to write of the road: none gets past. */
static void mandatory(struct engine *engine)
{
	struct road *a = start(engine), *b = road_open(engine, "t");
	struct amend_lease lease;

	/* Statements that a connection has made before. */
	for (int i = 0; i < 3; i++) {
		ok(b, .keys = "id=1", .set = engine_printf(engine, "v=b%d", i));
		ok(b, .keys = "id=1", .set = "n+=1");
	}
	lease = take(a, 60000, true);
	refused(AMEND_LOCKED, b, .keys = "id=1", .set = "v=x");
	expect_contains(b->err.text, "locked by a lease that every write needs: held by ");
	said(b, "locked");
	refused(AMEND_LOCKED, b, .keys = "id=1", .set = "n+=1");
	refused(AMEND_LOCKED, b, .keys = "id=1", .set = "n+=1", .bounds = "n<=99");
	refused(AMEND_LOCKED, b, .keys = "v=b2", .set = "n=9");
	refused(AMEND_LOCKED, b, AMEND_UPDATE_OR_CREATE, .keys = "id=1", .set = "v=x");
	refused(AMEND_LOCKED, b, .keys = "id=1", .set = "v=x", .wait = AMEND_NOWAIT);
	refused(AMEND_LOCKED, b, .keys = "id=1", .set = "v=x", .token = road_token(b, "id=1"));
	expect_status(AMEND_LOCKED, road_delete(b, ask(.keys = "id=1")), &b->err);
	ok(b, .keys = "id=1", .set = "v=x", .wait = AMEND_SKIP_LOCKED);
	said(b, "skipped");
	/* What changes nothing needs no lease; nor does another record. */
	ok(b, .keys = "id=1", .set = "v=b2");
	said(b, "unchanged");
	ok(b, .keys = "id=2", .set = "v=y");
	ok(b, .keys = "id=2", .set = "n+=1");
	ok(b, AMEND_UPDATE_OR_CREATE, .keys = "id=9", .set = "v=new");
	ok(a, .keys = "id=1", .set = "v=mine", .lease = lease.token);
	engine_expect(engine, "SELECT * FROM t ORDER BY id", "1|mine|3\n2|y|1\n3|c|0\n9|new|0");
	release(a, &lease);
	ok(b, .keys = "id=1", .set = "v=x");
	ok(b, .keys = "id=1", .set = "n+=1");
}

static void mandatory_for_a_time(struct engine *engine)
{
	struct road *a = start(engine), *b = road_open(engine, "t");
	struct amend_lease lease = take(a, 1000, true);

	refused(AMEND_LOCKED, b, .keys = "id=1", .set = "v=x");
	pause_ms(1050);
	ok(b, .keys = "id=1", .set = "v=x");
	refused(AMEND_LOCKED, a, .keys = "id=1", .set = "v=y", .lease = lease.token);
	engine_expect(engine, "SELECT v FROM t WHERE id = 1", "x");
}

static enum amend_status in_unit(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct meanwhile *meanwhile = context;

	(void)db;
	(void)err;
	ok(meanwhile->mine, .keys = "id=2", .set = "v=first");
	refused(AMEND_LOCKED, meanwhile->mine, .keys = "id=1", .set = "v=x");
	refused(AMEND_LOCKED, meanwhile->mine, .keys = "id=1", .set = "n+=1");
	/* A refusal that wrote nothing leaves the unit as it is. */
	ok(meanwhile->mine, .keys = "id=3", .set = "v=last");
	return AMEND_OK;
}

static void mandatory_in_a_unit(struct engine *engine)
{
	struct road *a = start(engine), *b = road_open(engine, "t");
	struct meanwhile meanwhile = {.mine = b};

	take(a, 60000, true);
	expect_ok(road_atomic(b, in_unit, &meanwhile), &b->err);
	engine_expect(engine, "SELECT v FROM t ORDER BY id", "a\nfirst\nlast");
}

static void carried_by_the_connection(struct engine *engine)
{
	struct road *a = start(engine), *b = road_open(engine, "t");
	struct amend_lease lease = take(a, 60000, true);
	const struct amend_lease_name name = {.table = b->table, .key = &first_key};
	struct amend_lease was;

	expect_ok(amend_use_lease(a->db, lease.token, &a->err), &a->err);
	ok(a, .keys = "id=1", .set = "v=x");
	ok(a, .keys = "id=1", .set = "n+=1");
	ok(a, .keys = "id=2", .set = "v=y");
	expect_ok(amend_lease_break(b->db, &name, "test", &was, &b->err), &b->err);
	refused(AMEND_LOCKED, a, .keys = "id=1", .set = "v=z");
	refused(AMEND_LOCKED, a, .keys = "id=1", .set = "n+=1");
	expect_status(AMEND_LOCKED, road_delete(a, ask(.keys = "id=1")), &a->err);
	ok(a, .keys = "id=2", .set = "v=z");
	expect_ok(amend_use_lease(a->db, NULL, &a->err), &a->err);
	ok(a, .keys = "id=1", .set = "v=z");
	expect_status(AMEND_INVALID, amend_use_lease(a->db, "nonsense", &a->err), &a->err);
}

/* The same names and keys, where that lease never was. */
static void of_another_database(struct engine *engine)
{
	struct road *road = start(engine);
	struct amend_lease lease = take(road, 60000, false);

	engine_exec(engine,
		    engine_pick(engine, "DELETE FROM amend_lease", "DELETE FROM amend.lease"));
	refused(AMEND_INVALID, road, .keys = "id=1", .set = "v=x", .lease = lease.token);
	expect_contains(road->err.text, "of no lease of this database");
	expect_ok(amend_use_lease(road->db, lease.token, &road->err), &road->err);
	ok(road, .keys = "id=1", .set = "v=x");
}

static void writers_are_waited_for(struct engine *engine)
{
	struct road *a = start(engine), *b;
	struct foreign *foreign = foreign_open(engine);
	struct amend_lease lease;

	ok(a, .keys = "id=1", .set = "v=b");
	foreign_exec(foreign, "BEGIN");
	foreign_exec(foreign, "UPDATE t SET v = 'not yet' WHERE id = 1");
	expect_status(AMEND_LOCKED, try_take(a, 60000, 0, true, &lease), &a->err);
	expect_text(lease.token, "");
	foreign_exec(foreign, "COMMIT");
	expect_ok(try_take(a, 60000, 0, true, &lease), &a->err);
	b = road_open(engine, "t");
	refused(AMEND_LOCKED, b, .keys = "id=1", .set = "v=x");
}

static void a_statement_that_is_under_way(struct engine *engine)
{
	struct road *a = start(engine);
	struct foreign *slow = foreign_open(engine);
	struct amend_lease lease;

	ok(a, .keys = "id=1", .set = "v=b");
	/* It has its snapshot, and has not come to the record yet. */
	foreign_start(slow, 0,
		      "UPDATE t SET v = 'slow' WHERE (SELECT true FROM pg_sleep(5)) AND id = 1");
	engine_await(engine,
		     "SELECT count(*) FROM pg_stat_activity WHERE datname = "
		     "current_database() AND wait_event = 'PgSleep'",
		     "1");
	expect_status(AMEND_LOCKED, try_take(a, 60000, 0, true, &lease), &a->err);
	expect_contains(a->err.text, "under way");
	expect_ok(try_take(a, 60000, 20000, true, &lease), &a->err);
	/* Granted behind it. */
	engine_expect(engine, "SELECT v FROM t WHERE id = 1", "slow");
	assert_null(foreign_finish(slow));
}

static void only_records_have_writes(struct engine *engine)
{
	struct road *road = start(engine);
	const struct amend_lease_name name = {.name = "job"};
	struct amend_lease_options options = AMEND_LEASE_OPTIONS_INIT;
	struct amend_lease lease;

	options.mandatory = true;
	expect_status(AMEND_INVALID,
		      amend_lease_acquire(road->db, &name, &options, &lease, &road->err),
		      &road->err);
}

/* Another machine, or this one before it was started anew: its clock says nothing here, the time of day does. */
static void another_clock(struct engine *engine)
{
	struct road *a = start(engine), *b = road_open(engine, "t");
	struct amend_lease lease = take(a, 60000, false), theirs;

	engine_exec(engine, "UPDATE amend_lease SET clock = 'elsewhere', expires = 0");
	expect_status(AMEND_LOCKED, try_take(b, 60000, 0, false, &theirs), &b->err);
	ok(a, .keys = "id=1", .set = "v=x", .lease = lease.token);
	/* There it is an hour earlier: over, for this one. The old number is worth nothing then. */
	engine_exec(engine, "UPDATE amend_lease SET wall = wall - 3600000");
	expect_ok(try_take(b, 60000, 0, false, &theirs), &b->err);
	assert_int_equal(theirs.fence, 2);
	refused(AMEND_LOCKED, a, .keys = "id=1", .set = "v=y", .lease = lease.token);
	/* The time of day alone ends nothing. */
	engine_exec(engine, "UPDATE amend_lease SET wall = wall - 7200000");
	expect_status(AMEND_LOCKED, try_take(a, 60000, 0, false, &lease), &a->err);
	ok(b, .keys = "id=1", .set = "v=z", .lease = theirs.token);
}

static void adopted(struct engine *engine)
{
	struct road *a = start(engine);
	struct foreign *foreign = foreign_open(engine);
	struct road *road = road_adopt(engine, foreign, "t");
	struct amend_lease lease = take(a, 60000, true);

	foreign_exec(foreign, "BEGIN");
	refused(AMEND_LOCKED, road, .keys = "id=1", .set = "v=x");
	ok(road, .keys = "id=1", .set = "v=mine", .lease = lease.token);
	ok(road, .keys = "id=2", .set = "v=y");
	foreign_exec(foreign, "COMMIT");
	engine_expect(engine, "SELECT v FROM t ORDER BY id", "mine\ny\nc");
}

static const struct engine_test tests[] = {
	{"a write carries a lease while it is held, not after", written_while_it_is_held},
	{"a lease that has ended writes nothing, though nobody took it", ended},
	{"the lease of something else", of_something_else},
	{"a plain name's lease covers any write", a_plain_name_covers_any_write},
	{"the next holder waits for a write of the last one", the_next_waits_for_a_write},
	{"renewing does not wait for a write", renewed_during_a_write, .needs = AMEND_HAS_ROW_LOCK,
	 .not_on = "mariadb" /* who shares a row bars all its writers */},
	{"mandatory: no way to write gets past", mandatory},
	{"mandatory: until it ends", mandatory_for_a_time},
	{"mandatory: in a unit, which goes on", mandatory_in_a_unit},
	{"a lease that the connection carries", carried_by_the_connection},
	{"a lease of another database", of_another_database},
	{"mandatory: who has written is waited for", writers_are_waited_for},
	{"mandatory: a statement under way is waited for", a_statement_that_is_under_way,
	 .needs = AMEND_HAS_WRITE_CTE, .only = "postgresql"},
	{"a plain name has no writes that need it", only_records_have_writes},
	{"another machine's clock", another_clock, .only = "sqlite"},
	{"in the application's transaction", adopted},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
