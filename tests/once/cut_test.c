/*
 * The connection cut on the wire, at each boundary between two messages, at random bytes and at random
 * moments, what was cut off lost or arriving late: no false success, no false failure, no
 * double effect, and nothing unknown while the server can be reached. Effects are counted on the server.
 * Leaves faults of the driver to lost_commit_test.c.
 */
#include <amend/once.h>

#include <stdlib.h>
#include <time.h>

#include "ask.h"
#include "proxy.h"

enum { SEED = 20260117, RANDOM_CUTS = 200, RESOLVE_MS = 150, FEWER = 6 };

struct stage {
	struct engine *engine;
	struct proxy *proxy;
	unsigned share; /* one of so many cuts is tried: MariaDB answers each statement by itself, and has many more */
	long long n;  /* the counter, as it must be */
	unsigned ids; /* given so far */
	unsigned done, refused, unknown;
};

static void make_stage(struct stage *stage, struct engine *engine)
{
	struct road *road;

	*stage = (struct stage){.engine = engine, .share = engine_is(engine, "mariadb") ? FEWER : 1};
	engine_exec(engine, "CREATE TABLE counter (id integer PRIMARY KEY, n integer)");
	engine_exec(engine, "INSERT INTO counter VALUES (1, 0)");
	road = road_open(engine, "counter");
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	road_close(road);
	stage->proxy = proxy_open(engine);
}

static enum amend_status add_one(struct amend_conn *db, void *context, struct amend_error *err)
{
	(void)context;
	return amend_query(db, "UPDATE counter SET n = n + 1", NULL, 0, NULL, err);
}

/* One operation: a write under an id, one under an id that is made up, or a handler. */
enum kind { GIVEN, MADE_UP, HANDLER, KINDS };

static enum amend_status operate(struct road *road, enum kind kind, const char *id)
{
	if (kind == HANDLER)
		return amend_once(road->db, id, add_one, NULL, NULL, NULL, &road->err);
	return road_write(road, ask(.keys = "id=1", .set = "n+=1", .once = kind == GIVEN ? id : "",
				    .want_token = true));
}

static long long counted(struct stage *stage)
{
	return strtoll(engine_scalar(stage->engine, "SELECT n FROM counter"), NULL, 10);
}

static void expect_effect(struct stage *stage, const char *when, const struct road *road,
			  const struct proxy_cut *cut)
{
	long long n = counted(stage);

	if (n != stage->n)
		fail_at(__FILE__, __LINE__,
			"%s: %lld in place of %lld after %s (%s): cut of side %d, message %u, byte "
			"%zu, microsecond %lld, passes %d, late %d",
			when, n, stage->n, amend_status_name(road->status), road->err.text,
			(int)cut->side, cut->message, cut->byte, (long long)cut->after_us,
			cut->passes, cut->late_ms);
}

/* Until the server has ended what came through the proxy. */
static void await_server(struct stage *stage)
{
	/* MariaDB: who came by TCP. */
	const char *there = engine_is(stage->engine, "mariadb")
				    ? "SELECT count(*) FROM information_schema.processlist WHERE "
				      "db = DATABASE() AND host LIKE '%:%'"
				    : "SELECT count(*) FROM pg_stat_activity WHERE datname = "
				      "current_database() AND application_name = 'amend-test'";

	for (int i = 0; i < 2000; i++) {
		if (strcmp(engine_scalar(stage->engine, there), "0") == 0)
			return;
		sleep_ms(5);
	}
	fail_at(__FILE__, __LINE__, "a connection stays on the server");
}

/* False: the operation ended before the cut. */
static bool cut_one(struct stage *stage, enum kind kind, struct proxy_cut cut)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	const char *id = engine_printf(stage->engine, "op %u", stage->ids++);
	struct road *road;
	bool fired;

	if (cut.refuses)
		options.resolve_ms = RESOLVE_MS;
	road = road_open_with(stage->engine, proxy_url(stage->proxy), &options, "counter");
	proxy_cut(stage->proxy, cut);
	road->status = operate(road, kind, id);
	fired = proxy_fired(stage->proxy);
	if (cut.refuses && road->status == AMEND_OUTCOME_UNKNOWN) {
		/* It is, as far as anybody here can know; the server knows. */
		proxy_cut(stage->proxy, (struct proxy_cut){.message = 0});
		proxy_settle(stage->proxy);
		await_server(stage);
		stage->unknown++;
		stage->n = counted(stage) == stage->n ? stage->n : stage->n + 1;
	}
	stage->n += road->status == AMEND_OK;
	stage->done += fired && road->status == AMEND_OK;
	stage->refused += road->status != AMEND_OK;
	if (road->status != AMEND_OK && road->status != AMEND_UNREACHABLE &&
	    (road->status != AMEND_OUTCOME_UNKNOWN || !cut.refuses))
		expect_status(AMEND_OK, road->status, &road->err);
	expect_effect(stage, "told", road, &cut);
	road_close(road);
	proxy_cut(stage->proxy, (struct proxy_cut){.message = 0});
	proxy_settle(stage->proxy);
	road = road_open_with(stage->engine, stage->engine->url, NULL, "counter");
	expect_effect(stage, "when all has arrived", road, &cut);
	if (kind != MADE_UP) {
		/* Who was told that nothing is in, and who was told nothing for once, repeats it. */
		long long before = stage->n;

		stage->n = engine_scalar(stage->engine,
					 engine_printf(stage->engine,
						       "SELECT 1 FROM amend.operation "
						       "WHERE id = '%s'",
						       id))
				   ? before
				   : before + 1;
		road->status = operate(road, kind, id);
		expect_status(AMEND_OK, road->status, &road->err);
		expect_effect(stage, "repeated", road, &cut);
	}
	road_close(road);
	return fired;
}

static void at_each_boundary(struct engine *engine)
{
	static const struct proxy_cut cuts[] = {
		{.side = PROXY_CLIENT},
		{.side = PROXY_CLIENT, .passes = true},
		{.side = PROXY_CLIENT, .late_ms = 60},
		{.side = PROXY_SERVER},
		{.side = PROXY_SERVER, .passes = true},
	};
	struct stage stage;

	make_stage(&stage, engine);
	for (int kind = 0; kind < KINDS; kind++) {
		for (size_t i = 0; i < COUNT(cuts); i++) {
			struct proxy_cut cut = cuts[i];

			/* Not the same ones each time. */
			cut.message = 1 + (unsigned)(kind + (int)i) % stage.share;
			while (cut_one(&stage, (enum kind)kind, cut))
				cut.message += stage.share;
			assert_in_range(cut.message, 8, 120);
		}
	}
	print_message("# %u cuts: %u operations done all the same, %u told that nothing is in\n",
		      stage.done + stage.refused, stage.done, stage.refused);
	assert_true(stage.done > 0 && stage.refused > 0);
	/* Nothing hangs in a transaction: the server sees each end, though not at once. */
	await_server(&stage);
}

static void at_random_bytes(struct engine *engine)
{
	struct stage stage;
	unsigned seed = SEED, fired = 0;
	size_t bytes[2];

	make_stage(&stage, engine);
	/* How much there is to cut. */
	cut_one(&stage, GIVEN, (struct proxy_cut){.side = PROXY_CLIENT, .message = 100000});
	for (int side = 0; side < 2; side++) {
		struct road *road = road_open_with(engine, proxy_url(stage.proxy), NULL, "counter");

		proxy_cut(stage.proxy, (struct proxy_cut){.message = 0});
		expect_ok(operate(road, GIVEN, engine_printf(engine, "long %d", side)), &road->err);
		stage.n++;
		bytes[side] = proxy_bytes(stage.proxy, (enum proxy_side)side);
		road_close(road);
	}
	for (unsigned i = 0; i < RANDOM_CUTS / stage.share; i++) {
		struct proxy_cut cut = {.side = rand_r(&seed) % 2 ? PROXY_CLIENT : PROXY_SERVER};
		enum kind kind = (enum kind)(rand_r(&seed) % KINDS);

		/* Every other one near the end, where COMMIT and its answer are. */
		cut.byte = 1 + (size_t)rand_r(&seed) % bytes[cut.side];
		if (i % 2)
			cut.byte = bytes[cut.side] - (size_t)rand_r(&seed) % 60;
		if (cut.side == PROXY_CLIENT && rand_r(&seed) % 2)
			cut.late_ms = 1 + rand_r(&seed) % 60;
		fired += cut_one(&stage, kind, cut);
	}
	print_message("# %u of %u cuts hit: %u operations done all the same, %u told that nothing is "
		      "in\n",
		      fired, RANDOM_CUTS / stage.share, stage.done, stage.refused);
	assert_true(fired > RANDOM_CUTS / stage.share / 2);
}

static int64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void at_random_moments(struct engine *engine)
{
	struct stage stage;
	unsigned seed = SEED, fired = 0;
	int64_t longest = 0;

	make_stage(&stage, engine);
	/* How long there is something to cut. */
	for (int i = 0; i < 4 * KINDS; i++) {
		struct road *road = road_open_with(engine, proxy_url(stage.proxy), NULL, "counter");
		int64_t begun = clock_us();

		expect_ok(operate(road, (enum kind)(i % KINDS), engine_printf(engine, "long %d", i)),
			  &road->err);
		stage.n++;
		if (i >= KINDS && clock_us() - begun > longest)
			longest = clock_us() - begun;
		road_close(road);
	}
	/* One that took long by chance must not make the others miss: who comes too late comes earlier next time. */
	for (unsigned i = 0; i < RANDOM_CUTS / stage.share; i++) {
		struct proxy_cut cut = {.after_us = 1 + rand_r(&seed) % longest};
		bool hit;

		/* Every third time nobody can reach the server from then on. */
		cut.refuses = i % 3 == 2;
		hit = cut_one(&stage, (enum kind)(rand_r(&seed) % KINDS), cut);
		fired += hit;
		longest += hit ? longest / 16 : -longest / 8;
	}
	print_message("# %u of %u cuts hit, within %lld us: %u operations done all the same, %u told "
		      "that nothing is in, %u unknown, the server being out of reach\n",
		      fired, RANDOM_CUTS / stage.share, (long long)longest, stage.done,
		      stage.refused - stage.unknown, stage.unknown);
	assert_true(fired > RANDOM_CUTS / stage.share / 4);
}

static const struct engine_test tests[] = {
	{"cut at each boundary between messages: told as it is, done once", at_each_boundary,
	 .not_on = "sqlite"},
	{"cut at random bytes: told as it is, done once", at_random_bytes, .not_on = "sqlite"},
	{"cut at random moments: told as it is, done once; unknown only without a server",
	 at_random_moments, .not_on = "sqlite"},
};

ENGINE_MAIN(tests)
