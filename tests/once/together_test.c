/*
 * Processes that do the same operations at the same time, and are killed at any moment: one effect
 * for each id, the same answer for all.
 * Leaves what one connection sees to once_test.c. With AMEND_TEST_DISK set SQLite's file lies on
 * the disk, else in memory.
 */
#include <stdlib.h>
#include <unistd.h>

#include "ask.h"
#include "team.h"

enum { SEED = 20260117, OPERATIONS = 200, KILLS = 40, MOST_OPERATIONS = 200000 };

static void make_counter(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, engine_pick(engine, "PRAGMA journal_mode = WAL", "SELECT 1"));
	engine_exec(engine, "CREATE TABLE counter (id integer PRIMARY KEY, n bigint NOT NULL)");
	engine_exec(engine, "INSERT INTO counter VALUES (1, 0)");
	road = road_open(engine, "counter");
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	road_close(road);
}

/* By operation: the revision that callers were told; 0: nobody was told one yet. */
struct answers {
	uint32_t *revisions;
	size_t n;
};

static void same_answer(void *context, int which, size_t nth, const struct racer_entry *entry)
{
	struct answers *answers = context;

	assert_true(nth < MOST_OPERATIONS);
	if (entry->status != AMEND_OK || entry->outcome != AMEND_IS_UPDATED)
		fail_at(__FILE__, __LINE__, "racer %d, op %zu: status %u, outcome %u", which + 1,
			nth, entry->status, entry->outcome);
	assert_int_not_equal(entry->told, 0);
	if (!answers->revisions[nth])
		answers->revisions[nth] = entry->told;
	assert_int_equal(answers->revisions[nth], entry->told);
	answers->n = nth >= answers->n ? nth + 1 : answers->n;
}

static struct team *open_team(struct engine *engine, const char *times, struct answers *answers)
{
	struct team *team = team_open(engine, RACERS, SEED, "once", times, NULL);

	*answers = (struct answers){.revisions = amend_arena_array(engine_arena(engine),
								   MOST_OPERATIONS,
								   sizeof(uint32_t))};
	assert_non_null(answers->revisions);
	team->each = same_answer;
	team->context = answers;
	return team;
}

/* The effects, and what history and the ledger know of them. */
static void expect_effects(struct engine *engine, long long n)
{
	const char *ledger = engine_pick(engine, "amend_", "amend.");

	engine_expect(engine, "SELECT n FROM counter", engine_printf(engine, "%lld", n));
	engine_expect(engine,
		      engine_printf(engine,
				    "SELECT (SELECT count(*) FROM %schange), (SELECT count(*) FROM "
				    "%soperation), (SELECT count(*) FROM %soperation WHERE answer IS "
				    "NULL OR revision IS NULL)",
				    ledger, ledger, ledger),
		      engine_printf(engine, "%lld|%lld|0", n, n));
}

static void sixteen_do_the_same(struct engine *engine)
{
	struct answers answers;
	struct tally *tally;
	struct team *team;

	make_counter(engine);
	team = open_team(engine, engine_printf(engine, "%d", OPERATIONS), &answers);
	team_start(team);
	tally = team_finish(team);
	team_say(team, tally, "the same operations");
	assert_int_equal(tally->calls, RACERS * OPERATIONS);
	assert_int_equal(answers.n, OPERATIONS);
	expect_effects(engine, OPERATIONS);
}

/* The last word: each of them once more, as the racers ask for it. */
static void repeat_all(struct engine *engine, const struct answers *answers, long long n)
{
	const struct amend_field field = {"id", amend_integer(1)};
	const struct amend_match key = {&field, 1};
	const struct amend_assign one = {"n", AMEND_ADD, amend_integer(1)};
	struct amend_write write = AMEND_WRITE_INIT;
	struct road *road = road_open(engine, "counter");

	write.keys = &key, write.n_keys = 1;
	write.set = &one, write.n_set = 1;
	for (long long i = 0; i < n; i++) {
		write.expect.once = engine_printf(engine, "op %lld", i);
		amend_result_release(&road->result);
		expect_ok(amend_write(road->db, road->table, &write, &road->result, &road->err),
			  &road->err);
		assert_non_null(road->result.repeated);
		if (answers->revisions[i])
			assert_int_equal(answers->revisions[i], road->result.revision);
	}
}

/* Who takes a killed one's place begins with its first id again. */
static void killed_and_repeated(struct engine *engine)
{
	struct answers answers;
	struct tally *tally;
	struct team *team;
	unsigned seed = SEED;
	long long final;

	make_counter(engine);
	team = open_team(engine, "0", &answers);
	team_start(team);
	for (int i = 0; i < KILLS; i++) {
		int which;

		sleep_ms((int)(rand_r(&seed) % 100));
		do
			which = rand_r(&seed) % team->n;
		while (team->pids[which] == 0);
		team_kill(team, which);
		team_add(team);
	}
	for (int i = 0; i < team->n; i++)
		team_kill(team, i);
	tally = team_finish(team);
	team_say(team, tally, "the same operations, killed");
	engine_await_left(engine);
	final = strtoll(engine_scalar(engine, "SELECT n FROM counter"), NULL, 10);
	print_message("# %s: %zu operations acknowledged, %lld done, %llu calls were killed\n",
		      engine->name, answers.n, final, (unsigned long long)tally->unknown);
	assert_true(answers.n > 0 && (long long)answers.n <= final);
	expect_effects(engine, final);
	repeat_all(engine, &answers, final);
	expect_effects(engine, final);
}

static const struct engine_test tests[] = {
	{"16 processes do the same operations: one effect each, one answer", sixteen_do_the_same},
	{"killed at any moment and repeated: one effect each, one answer", killed_and_repeated},
};

int main(int argc, char **argv)
{
	if (!getenv("AMEND_TEST_DISK") && access("/dev/shm", W_OK) == 0)
		setenv("AMEND_TEST_TMP", "/dev/shm", 1);
	return engine_main(tests, COUNT(tests), 0, argc, argv);
}
