/*
 * Leases: taken by one, renewed, given back, taken over with a higher number.
 * Leaves what they mean for writes to fence_test.c, and processes to contend_test.py.
 */
#include "ask.h"
#include "old_ledger.h"

#include <pthread.h>
#include <time.h>

#include "ledger/lease.h"

static const struct amend_lease_name nightly = {.name = "nightly"};

static struct amend_lease_options options_of(int64_t ttl_ms, int64_t wait_ms, const char *place)
{
	struct amend_lease_options options = AMEND_LEASE_OPTIONS_INIT;

	options.ttl_ms = ttl_ms;
	options.wait_ms = wait_ms;
	options.place = place;
	return options;
}

static enum amend_status acquire(struct road *road, int64_t ttl_ms, int64_t wait_ms,
				 struct amend_lease *out)
{
	const struct amend_lease_options options = options_of(ttl_ms, wait_ms, "here");

	return amend_lease_acquire(road->db, &nightly, &options, out, &road->err);
}

static void pause_ms(int ms)
{
	const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&time, NULL);
}

static void one_holder(struct engine *engine)
{
	struct road *a = road_open(engine, NULL), *b = road_open(engine, NULL);
	struct amend_lease mine, theirs;

	expect_ok(amend_set_author(a->db, "anna", NULL, NULL, &a->err), &a->err);
	expect_ok(acquire(a, 60000, 0, &mine), &a->err);
	assert_int_equal(mine.fence, 1);
	assert_true(mine.left_ms > 50000 && mine.left_ms <= 60000);
	expect_text(mine.holder, "anna");
	/* Not even the same person again: the token alone makes the holder. */
	expect_status(AMEND_LOCKED, acquire(a, 60000, 0, &theirs), &a->err);
	expect_status(AMEND_LOCKED, acquire(b, 60000, 0, &theirs), &b->err);
	expect_text(theirs.holder, "anna");
	expect_text(theirs.place, "here");
	expect_text(theirs.token, "");
	assert_int_equal(theirs.fence, 1);
	expect_contains(b->err.text, "held by anna (here) since ");
	expect_ok(amend_lease_release(a->db, &nightly, mine.token, &a->err), &a->err);
	expect_ok(acquire(b, 60000, 0, &theirs), &b->err);
	assert_int_equal(theirs.fence, 2);
	assert_string_not_equal(mine.token, theirs.token);
	/* The first one's token is worth nothing now. */
	expect_status(AMEND_LOCKED,
		      amend_lease_renew(a->db, &nightly, mine.token, 0, &mine, &a->err), &a->err);
	expect_text(mine.token, "");
	expect_ok(amend_lease_renew(b->db, &nightly, theirs.token, 90000, &theirs, &b->err),
		  &b->err);
	assert_true(theirs.left_ms > 80000);
	assert_int_equal(theirs.fence, 2);
}

static void not_in_the_clear(struct engine *engine)
{
	struct road *road = road_open(engine, NULL);
	struct amend_lease lease;
	const char *rows;

	expect_ok(acquire(road, 60000, 0, &lease), &road->err);
	rows = engine_rows(engine, engine_pick(engine, "SELECT * FROM amend_lease",
					       "SELECT * FROM amend.lease"));
	assert_null(strstr(rows, lease.token + 3));
	assert_true(strlen(lease.token) > 50);
}

static void other_tokens(struct engine *engine)
{
	struct road *road = road_open(engine, NULL);
	const struct amend_lease_name other = {.name = "other"};
	struct amend_lease lease, out;
	struct amend_lease_token token;
	char forged[80];

	expect_ok(acquire(road, 60000, 0, &lease), &road->err);
	expect_ok(amend_lease_token_read(lease.token, &token, &road->err), &road->err);
	assert_int_equal(token.fence, 1);
	expect_status(AMEND_INVALID,
		      amend_lease_renew(road->db, &other, lease.token, 0, &out, &road->err),
		      &road->err);
	expect_contains(road->err.text, "of another lease");
	for (size_t i = 0; i < strlen(lease.token); i++) {
		char text[80];

		memcpy(text, lease.token, sizeof(text));
		text[i] = '\0';
		expect_status(AMEND_INVALID,
			      amend_lease_renew(road->db, &nightly, text, 0, &out, &road->err),
			      &road->err);
	}
	/* The right number, another secret; and a number that is yet to come. */
	token.secret[0] ^= 1;
	amend_lease_token_write(&token, forged);
	expect_status(AMEND_INVALID,
		      amend_lease_renew(road->db, &nightly, forged, 0, &out, &road->err),
		      &road->err);
	token.secret[0] ^= 1;
	token.fence = 2;
	amend_lease_token_write(&token, forged);
	expect_status(AMEND_LOCKED,
		      amend_lease_renew(road->db, &nightly, forged, 0, &out, &road->err),
		      &road->err);
	expect_ok(amend_lease_renew(road->db, &nightly, lease.token, 0, &out, &road->err),
		  &road->err);
}

static void ends_by_itself(struct engine *engine)
{
	struct road *a = road_open(engine, NULL), *b = road_open(engine, NULL);
	struct amend_lease mine, theirs;

	expect_ok(acquire(a, 100, 0, &mine), &a->err);
	pause_ms(150);
	/* Nobody has taken it, and it is over all the same. */
	expect_status(AMEND_LOCKED,
		      amend_lease_renew(a->db, &nightly, mine.token, 0, &mine, &a->err), &a->err);
	expect_contains(a->err.text, "it ended at");
	expect_ok(acquire(b, 60000, 0, &theirs), &b->err);
	assert_int_equal(theirs.fence, 2);
}

static void waits_its_turn(struct engine *engine)
{
	struct road *a = road_open(engine, NULL), *b = road_open(engine, NULL);
	struct amend_lease mine, theirs;

	expect_ok(acquire(a, 2000, 0, &mine), &a->err);
	expect_status(AMEND_LOCKED, acquire(b, 60000, 100, &theirs), &b->err);
	expect_ok(acquire(b, 60000, 20000, &theirs), &b->err);
	assert_int_equal(theirs.fence, 2);
}

static void *interrupt(void *context)
{
	pause_ms(100);
	amend_interrupt(context);
	return NULL;
}

static void waiting_is_interrupted(struct engine *engine)
{
	struct road *a = road_open(engine, NULL), *b = road_open(engine, NULL);
	struct amend_lease mine, theirs;
	pthread_t thread;

	expect_ok(acquire(a, 60000, 0, &mine), &a->err);
	assert_int_equal(pthread_create(&thread, NULL, interrupt, b->db), 0);
	expect_status(AMEND_INTERRUPTED, acquire(b, 60000, -1, &theirs), &b->err);
	pthread_join(thread, NULL);
}

static void broken(struct engine *engine)
{
	struct road *a = road_open(engine, NULL), *b = road_open(engine, NULL);
	struct amend_lease mine, was, out;

	expect_status(AMEND_NOT_FOUND, amend_lease_break(b->db, &nightly, "why not", &was, &b->err),
		      &b->err);
	expect_ok(acquire(a, 60000, 0, &mine), &a->err);
	expect_status(AMEND_INVALID, amend_lease_break(b->db, &nightly, "", &was, &b->err), &b->err);
	expect_ok(amend_set_author(b->db, "bob", NULL, NULL, &b->err), &b->err);
	expect_ok(amend_lease_break(b->db, &nightly, "gone", &was, &b->err), &b->err);
	expect_text(was.holder, mine.holder);
	expect_text(was.token, "");
	assert_int_equal(was.fence, 1);
	expect_status(AMEND_LOCKED,
		      amend_lease_renew(a->db, &nightly, mine.token, 0, &out, &a->err), &a->err);
	expect_status(AMEND_LOCKED, amend_lease_release(a->db, &nightly, mine.token, &a->err),
		      &a->err);
	/* A broken one's number does not come again. */
	expect_ok(acquire(a, 60000, 0, &mine), &a->err);
	assert_int_equal(mine.fence, 3);
	engine_expect(
		engine,
		engine_pick(engine,
			    "SELECT op, fence, who, why FROM amend_lease_event WHERE op = 'break'",
			    "SELECT op, fence, who, why FROM amend.lease_event WHERE op = 'break'"),
		"break|1|bob|gone");
}

static enum amend_status in_unit(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct amend_lease lease;

	(void)context;
	expect_status(AMEND_INVALID, amend_lease_acquire(db, &nightly, NULL, &lease, err), err);
	expect_contains(err->text, "outlives transactions");
	return AMEND_OK;
}

static void not_in_a_unit(struct engine *engine)
{
	struct road *road = road_open(engine, NULL);
	struct foreign *foreign = foreign_open(engine);
	struct road *adopted = road_adopt(engine, foreign, NULL);
	struct amend_lease lease;

	expect_ok(road_atomic(road, in_unit, NULL), &road->err);
	foreign_exec(foreign, "BEGIN");
	expect_status(AMEND_INVALID, acquire(adopted, 60000, 0, &lease), &adopted->err);
	foreign_exec(foreign, "COMMIT");
	expect_ok(acquire(adopted, 60000, 0, &lease), &adopted->err);
}

static void bad_times(struct engine *engine)
{
	struct road *road = road_open(engine, NULL);
	struct amend_lease lease;

	expect_status(AMEND_INVALID, acquire(road, 99, 0, &lease), &road->err);
	expect_status(AMEND_INVALID, acquire(road, -1, 0, &lease), &road->err);
	expect_status(AMEND_INVALID, acquire(road, INT64_MAX, 0, &lease), &road->err);
	expect_ok(acquire(road, INT64_C(366) * 24 * 3600 * 1000, 0, &lease), &road->err);
	assert_true(strlen(lease.expires) == 26);
}

static enum amend_status count(const struct amend_held *held, void *context, struct amend_error *err)
{
	(void)err;
	assert_true(held->lease.fence > 0);
	++*(int *)context;
	return AMEND_OK;
}

static void an_older_ledger_has_none(struct engine *engine)
{
	struct road *road;
	int n = 0;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, v text)");
	engine_exec(engine, "INSERT INTO t VALUES (1, 'a')");
	road = road_open(engine, "t");
	expect_ok(amend_leases(road->db, NULL, count, &n, &road->err), &road->err);
	ok(road, .keys = "id=1", .set = "v=b");
	road_close(road);
	old_ledger(engine, 2);
	road = road_open(engine, "t");
	expect_ok(amend_leases(road->db, NULL, count, &n, &road->err), &road->err);
	assert_int_equal(n, 0);
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	expect_ok(amend_leases(road->db, NULL, count, &n, &road->err), &road->err);
	assert_int_equal(n, 0);
}

static void ordinary_roles(struct engine *engine)
{
	const char *role, *url = engine_url_of_role(engine, &role);
	struct road *owner = road_open(engine, NULL),
		    *road = road_open_with(engine, url, NULL, NULL);
	struct foreign *other = foreign_open(engine);
	struct amend_lease lease;

	expect_ok(amend_init(owner->db, NULL, &owner->err), &owner->err);
	expect_status(AMEND_DENIED, acquire(road, 60000, 0, &lease), &road->err);
	/* A ledger of before: who could write to bases gets what leases need. */
	engine_execf(engine, "GRANT USAGE ON SCHEMA amend TO %s", role);
	engine_execf(engine, "GRANT SELECT ON amend.meta TO %s", role);
	engine_execf(engine,
		     "GRANT SELECT, INSERT, UPDATE, DELETE ON amend.base, amend.conflict TO %s",
		     role);
	old_ledger(engine, 2);
	road_close(owner);
	owner = road_open(engine, NULL);
	expect_ok(amend_init(owner->db, NULL, &owner->err), &owner->err);
	expect_ok(acquire(road, 60000, 0, &lease), &road->err);
	expect_ok(amend_lease_release(road->db, &nightly, lease.token, &road->err), &road->err);
	foreign_exec(other, engine_printf(engine, "SET ROLE %s", role));
	assert_non_null(foreign_try(other, "DELETE FROM amend.lease"));
	assert_non_null(foreign_try(other, "DELETE FROM amend.lease_event"));
	assert_non_null(foreign_try(other, "UPDATE amend.lease_event SET who = 'somebody else'"));
}

static const struct engine_test tests[] = {
	{"one holder; the next has a higher number", one_holder},
	{"the token is not stored in the clear", not_in_the_clear},
	{"a token that is not the lease's is refused", other_tokens},
	{"a lease ends by itself and is not renewed then", ends_by_itself},
	{"who waits takes it when it ends", waits_its_turn},
	{"waiting is interrupted", waiting_is_interrupted},
	{"broken with a reason, which is recorded", broken},
	{"a lease is not taken in a transaction", not_in_a_unit},
	{"times to live that are none", bad_times},
	{"an older ledger has no leases, and is brought up", an_older_ledger_has_none,
	 .not_on = "mariadb" /* there is none older */},
	{"a role that could write to the ledger may take leases", ordinary_roles,
	 .only = "postgresql"},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
