/*
 * Threads that add to one row: nothing lost, each with its own outcome and its own history.
 * Leaves processes that do so to tests/race.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "ask.h"

enum { THREADS = 16 };

struct crowd {
	struct engine *engine;
	struct amend_combiner *combiner;
	const struct amend_table *table;
	const char *min; /* of n; NULL: no bound */
	int each;        /* calls of each thread */
	bool breaks;     /* connections may break: they are opened anew */
	atomic_int done, refused, unknown, failed, kills;
	atomic_bool killing, over;
	char first_error[1024];
};

struct member {
	struct crowd *crowd;
	int number;
	pthread_t thread;
};

static struct amend_conn *connect_as(struct crowd *crowd, int number)
{
	struct amend_conn *db = NULL;
	struct amend_error err;
	char who[16];

	snprintf(who, sizeof(who), "thread %d", number);
	/* Where connections break, they do so while they are opened too. */
	for (int i = 0; i < 50 && !db; i++) {
		if (amend_open(crowd->engine->url, NULL, &db, &err) != AMEND_OK && !crowd->breaks)
			break;
	}
	if (db && amend_set_author(db, who, NULL, NULL, &err) != AMEND_OK) {
		amend_close(db);
		db = NULL;
	}
	return db;
}

static enum amend_status add_to(struct crowd *crowd, struct amend_conn *db, int64_t amount,
				struct amend_result *result, struct amend_error *err)
{
	const struct amend_field id = {"id", amend_integer(1)};
	const struct amend_match key = {&id, 1};
	const struct amend_assign add = {"n", AMEND_ADD, amend_integer(amount)};
	const struct amend_bound bound = {"n", amend_text(crowd->min), amend_null()};
	struct amend_write write = AMEND_WRITE_INIT;

	write.keys = &key, write.n_keys = 1;
	write.set = &add, write.n_set = 1;
	write.bounds = &bound, write.n_bounds = crowd->min ? 1 : 0;
	return amend_write_combined(crowd->combiner, db, crowd->table, &write, result, err);
}

/* What one call says of itself must be true: one column, from before to after by the amount. */
static bool is_true(const struct amend_result *result, int64_t amount)
{
	const struct amend_change *change = result->changes;

	if (result->outcome != AMEND_IS_UPDATED || result->n_changes != 1 || result->revision == 0)
		return false;
	if (change->before.kind == AMEND_INTEGER)
		return change->after.as.integer - change->before.as.integer == amount &&
		       amend_value_equal(&result->record[1], &change->after);
	return strtoll(change->after.as.text, NULL, 10) -
			       strtoll(change->before.as.text, NULL, 10) ==
		       amount &&
	       amend_value_equal(&result->record[1], &change->after);
}

static void *run_member(void *context)
{
	struct member *member = context;
	struct crowd *crowd = member->crowd;
	struct amend_conn *db = connect_as(crowd, member->number);

	for (int i = 0; db && i < crowd->each; i++) {
		int64_t amount = crowd->min ? -1 : 1 + (i & 1);
		struct amend_result result = AMEND_RESULT_INIT;
		struct amend_error err;
		enum amend_status status = add_to(crowd, db, amount, &result, &err);

		if (status == AMEND_OK && is_true(&result, amount))
			atomic_fetch_add(&crowd->done, (int)amount);
		else if (status == AMEND_CONSTRAINT && crowd->min &&
			 result.outcome == AMEND_IS_REJECTED)
			atomic_fetch_add(&crowd->refused, 1);
		else if (status == AMEND_OUTCOME_UNKNOWN && crowd->breaks)
			atomic_fetch_add(&crowd->unknown, (int)amount);
		else if (status != AMEND_UNREACHABLE || !crowd->breaks) {
			if (atomic_fetch_add(&crowd->failed, 1) == 0)
				snprintf(crowd->first_error, sizeof(crowd->first_error), "%s: %s",
					 amend_status_name(status),
					 status == AMEND_OK ? "not what happened" : err.text);
		}
		amend_result_release(&result);
		if (status == AMEND_OUTCOME_UNKNOWN || status == AMEND_UNREACHABLE) {
			amend_close(db);
			db = connect_as(crowd, member->number);
		}
	}
	if (!db)
		atomic_fetch_add(&crowd->failed, 1);
	amend_close(db);
	return NULL;
}

static void run_crowd(struct crowd *crowd)
{
	struct member members[THREADS];
	struct amend_error err;

	expect_ok(amend_combiner_new(&crowd->combiner, &err), &err);
	for (int i = 0; i < THREADS; i++) {
		members[i] = (struct member){.crowd = crowd, .number = i};
		assert_int_equal(pthread_create(&members[i].thread, NULL, run_member, &members[i]),
				 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(members[i].thread, NULL);
	amend_combiner_free(crowd->combiner);
	crowd->combiner = NULL;
}

static void check_crowd(const struct crowd *crowd)
{
	if (crowd->failed > 0)
		fail_msg("%d calls failed, the first: %s", crowd->failed, crowd->first_error);
}

static struct road *open_counter(struct engine *engine, const char *start)
{
	struct road *road;

	engine_execf(engine,
		     "CREATE TABLE t (id integer PRIMARY KEY, n integer NOT NULL); "
		     "INSERT INTO t VALUES (1, %s)",
		     start);
	road = road_open(engine, "t");
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	return road;
}

struct chain {
	int64_t next; /* what the change before (a newer one) started from */
	int64_t length;
	bool broken;
	char first_who[64];
	bool several; /* authors */
};

static enum amend_status follow(const struct amend_log_entry *entry, void *context,
				struct amend_error *err)
{
	struct chain *chain = context;
	const struct amend_value *before = &entry->changes[0].before,
				 *after = &entry->changes[0].after;
	int64_t from = before->kind == AMEND_TEXT ? strtoll(before->as.text, NULL, 10)
						  : before->as.integer;
	int64_t to = after->kind == AMEND_TEXT ? strtoll(after->as.text, NULL, 10)
					       : after->as.integer;

	(void)err;
	chain->broken = chain->broken || entry->n_changes != 1 || to != chain->next;
	chain->next = from;
	chain->length++;
	if (!*chain->first_who)
		snprintf(chain->first_who, sizeof(chain->first_who), "%s", entry->who);
	chain->several = chain->several || strcmp(chain->first_who, entry->who) != 0;
	return AMEND_OK;
}

/* From what is there now back to `start`, without a gap. */
static int64_t length_of_history(struct road *road, int64_t start)
{
	const struct amend_log_filter filter = {.table = road->table};
	struct chain chain = {
		.next = strtoll(engine_scalar(road->engine, "SELECT n FROM t"), NULL, 10)};

	expect_ok(amend_log(road->db, &filter, follow, &chain, &road->err), &road->err);
	assert_false(chain.broken);
	assert_int_equal(chain.next, start);
	assert_true(chain.several);
	return chain.length;
}

static void nothing_is_lost(struct engine *engine)
{
	struct road *road = open_counter(engine, "5");
	struct crowd crowd = {.engine = engine, .table = road->table, .each = 200};

	run_crowd(&crowd);
	check_crowd(&crowd);
	assert_int_equal(crowd.done, THREADS * 200 * 3 / 2);
	engine_expect(engine, "SELECT n FROM t",
		      engine_printf(engine, "%d", 5 + THREADS * 200 * 3 / 2));
	assert_int_equal(length_of_history(road, 5), THREADS * 200);
	/* They were combined, or this tests nothing. */
	if (engine_is(engine, "postgresql"))
		assert_true(strtol(engine_scalar(engine, "SELECT count(DISTINCT xmin::text) FROM "
							 "amend.revision"),
				   NULL, 10) < THREADS * 200 * 9 / 10);
}

static void bounds_hold_for_each(struct engine *engine)
{
	struct road *road = open_counter(engine, "1000");
	struct crowd crowd = {.engine = engine, .table = road->table, .each = 100, .min = "0"};

	run_crowd(&crowd);
	check_crowd(&crowd);
	assert_int_equal(crowd.done, -1000);
	assert_int_equal(crowd.refused, THREADS * 100 - 1000);
	engine_expect(engine, "SELECT n FROM t", "0");
	assert_int_equal(length_of_history(road, 1000), 1000);
}

static void *kill_backends(void *context)
{
	struct crowd *crowd = context;
	struct amend_conn *db = connect_as(crowd, 99);
	struct amend_rows rows;
	struct amend_error err;

	atomic_store(&crowd->killing, true);
	while (db && !crowd->over) {
		if (amend_query(db,
				"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
				"datname = current_database() AND pid <> pg_backend_pid() AND "
				"application_name = 'amend-test' AND state <> 'idle' "
				"ORDER BY random() LIMIT 1",
				NULL, 0, &rows, &err) != AMEND_OK)
			break;
		atomic_fetch_add(&crowd->kills, (int)rows.n_rows);
		amend_rows_release(&rows);
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
	amend_close(db);
	return NULL;
}

/* Each call is in, or is not, or says that nobody knows; history knows. */
static void connections_that_break(struct engine *engine)
{
	struct road *road = open_counter(engine, "0");
	struct crowd crowd = {.engine = engine, .table = road->table, .each = 100, .breaks = true};
	struct amend_error err;
	pthread_t killer;
	int64_t n;

	assert_int_equal(pthread_create(&killer, NULL, kill_backends, &crowd), 0);
	while (!atomic_load(&crowd.killing))
		sleep_ms(1);
	run_crowd(&crowd);
	crowd.over = true;
	pthread_join(killer, NULL);
	check_crowd(&crowd);
	expect_ok(amend_query(road->db, "SELECT 1", NULL, 0, NULL, &err), &err);
	n = strtoll(engine_scalar(engine, "SELECT n FROM t"), NULL, 10);
	assert_true(crowd.kills > 0);
	assert_true(n >= crowd.done);
	assert_true(n <= crowd.done + crowd.unknown);
	assert_true(length_of_history(road, 0) > 0);
}

/* --- what is not combined goes the road, with the same result --- */

struct pair {
	struct road *road;
	struct amend_combiner *combiner;
};

static enum amend_status write_in_unit(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct pair *pair = context;
	struct crowd crowd = {.combiner = pair->combiner, .table = pair->road->table};

	return add_to(&crowd, db, 1, &pair->road->result, err);
}

static void others_go_the_road(struct engine *engine)
{
	struct road *road = open_counter(engine, "1");
	struct pair pair = {.road = road};
	struct crowd crowd = {.engine = engine, .table = road->table};
	struct amend_result result = AMEND_RESULT_INIT;
	struct amend_error err;

	/* Without a combiner. */
	expect_ok(add_to(&crowd, road->db, 2, &result, &err), &err);
	assert_int_equal(result.outcome, AMEND_IS_UPDATED);
	amend_result_release(&result);
	expect_ok(amend_combiner_new(&crowd.combiner, &err), &err);
	pair.combiner = crowd.combiner;
	expect_ok(add_to(&crowd, road->db, 0, &result, &err), &err);
	assert_int_equal(result.outcome, AMEND_IS_UNCHANGED);
	amend_result_release(&result);
	expect_status(AMEND_CONSTRAINT,
		      (crowd.min = "0", add_to(&crowd, road->db, -9, &result, &err)), &err);
	assert_int_equal(result.outcome, AMEND_IS_REJECTED);
	expect_contains(err.text, "n is 3, adding -9 would break its bounds (at least 0)");
	amend_result_release(&result);
	crowd.min = NULL;
	expect_ok(road_atomic(road, write_in_unit, &pair), &road->err);
	engine_expect(engine, "SELECT n FROM t", "4");
	engine_exec(engine, "DELETE FROM t");
	expect_status(AMEND_NOT_FOUND, add_to(&crowd, road->db, 1, &result, &err), &err);
	assert_int_equal(result.outcome, AMEND_IS_MISSING);
	amend_result_release(&result);
	amend_combiner_free(crowd.combiner);
}

static const struct engine_test tests[] = {
	{"16 threads add to one row: nothing is lost, and history has each", nothing_is_lost},
	{"bounds hold for each: what breaks its own is refused alone", bounds_hold_for_each},
	{"connections that break: in, or not in, or unknown", connections_that_break,
	 .only = "postgresql"},
	{"what cannot be combined goes the road", others_go_the_road},
};

ENGINE_MAIN(tests)
