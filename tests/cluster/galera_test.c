/*
 * Three nodes of a Galera cluster, to each of which may be written: nothing acknowledged is lost, nothing is created
 * twice, what decides is fresh, wherever it is asked; also while a node is frozen, killed, and comes back.
 * Leaves the rules themselves to tests/record, one server to tests/race. tools/servers run --galera starts the nodes.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ask.h"
#include "team.h"

enum { NODES = 3, WRITERS = 6, SEED = 20261122 };

/* One database, as each node has it. */
struct cluster {
	struct engine *engine;
	const char *urls[NODES];
};

static struct cluster *join(struct engine *engine)
{
	struct cluster *cluster = amend_arena_alloc(engine_arena(engine), sizeof(*cluster));
	const char *node = strstr(engine->url, "node1.sock");

	assert_non_null(cluster);
	assert_non_null(node);
	cluster->engine = engine;
	for (int i = 0; i < NODES; i++)
		cluster->urls[i] = engine_printf(engine, "%.*snode%d.sock%s",
						 (int)(node - engine->url), engine->url, i + 1,
						 node + strlen("node1.sock"));
	return cluster;
}

static void node_does(int node, const char *action)
{
	char *command = NULL;

	assert_true(asprintf(&command, "%s %d %s", getenv("AMEND_TEST_GALERA_NODE"), node, action) >
		    0);
	if (system(command) != 0)
		fail_at(__FILE__, __LINE__, "%s", command);
	free(command);
}

/* Nobody can wait for a database with a connection to it. */
static void await_database(struct cluster *cluster, int node)
{
	struct amend_error err;
	struct amend_conn *db;

	for (int tries = 0; amend_open(cluster->urls[node], NULL, &db, &err) != AMEND_OK; tries++) {
		if (tries == 100)
			fail_at(__FILE__, __LINE__, "node %d: %s", node + 1, err.text);
		sleep_ms(50);
	}
	amend_close(db);
}

/* The table is there on each node, and the ledger. */
static struct cluster *begin(struct engine *engine, const char *table, const char *sql)
{
	struct cluster *cluster = join(engine);

	for (int i = 0; i < NODES; i++)
		node_does(i + 1, "wait");
	engine_exec(engine, sql);
	for (int i = 0; i < NODES; i++) {
		struct road *road;

		await_database(cluster, i);
		road = road_open_with(engine, cluster->urls[i], NULL, table);

		expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
		road_close(road);
	}
	return cluster;
}

static struct cluster *begin_counter(struct engine *engine)
{
	return begin(engine, "counter",
		     "CREATE TABLE counter (id integer PRIMARY KEY, n bigint NOT NULL);"
		     "INSERT INTO counter VALUES (1, 0)");
}

static struct cluster *begin_pages(struct engine *engine)
{
	return begin(engine, "page",
		     "CREATE TABLE page (id integer AUTO_INCREMENT PRIMARY KEY, "
		     "name varchar(100) UNIQUE, title varchar(100))");
}

static struct team *writers(struct cluster *cluster, const char *job, const char *times,
			    const char *token)
{
	return team_open_at(cluster->engine, cluster->urls, NODES, WRITERS, SEED, job, times, token);
}

static struct tally *run(struct cluster *cluster, const char *job, const char *times,
			 const char *token)
{
	struct team *team = writers(cluster, job, times, token);
	struct tally *tally;

	team_start(team);
	tally = team_finish(team);
	team_say(team, tally, job);
	return tally;
}

/* What node 1 has, once it has all that the others have acknowledged. */
static const char *fresh(struct cluster *cluster, const char *sql)
{
	return engine_scalar(
		cluster->engine,
		engine_printf(cluster->engine, "SET SESSION wsrep_sync_wait = 7; %s", sql));
}

/*
 * What the counter has come to: each change in history follows the one before, and they make it up. One statement,
 * which sees one moment: of who was killed the last COMMIT may still be on its way.
 */
static long long expect_one_history(struct cluster *cluster)
{
	const char *found = fresh(
		cluster,
		"SELECT concat(c.n, ' ', h.n, ' ', h.sum, ' ', h.breaks) FROM counter c, "
		"(SELECT count(*) AS n, coalesce(sum(a - b), 0) AS sum, "
		"count(CASE WHEN b <> coalesce(p, 0) THEN 1 END) AS breaks "
		"FROM (SELECT b, a, lag(a) OVER (ORDER BY id) AS p FROM (SELECT id, "
		"json_value(fields, '$.n[0]') + 0 AS b, json_value(fields, '$.n[1]') + 0 AS a "
		"FROM amend_change) f) g) h");
	long long n = atoll(found);

	assert_string_equal(found, engine_printf(cluster->engine, "%lld %lld %lld 0", n, n, n));
	return n;
}

static void writers_on_all_nodes_add(struct engine *engine)
{
	struct cluster *cluster = begin_counter(engine);
	struct tally *tally = run(cluster, "add", "150", NULL);

	long long done = (long long)tally->by_status[AMEND_OK];

	/* Who never comes first gives up, and says so. */
	print_message("# done %lld, given up after ten tries %llu, after a wait %llu\n", done,
		      (unsigned long long)tally->by_status[AMEND_RETRY],
		      (unsigned long long)tally->by_status[AMEND_LOCKED]);
	assert_int_equal(done + (long long)tally->by_status[AMEND_RETRY] +
				 (long long)tally->by_status[AMEND_LOCKED],
			 WRITERS * 150);
	assert_in_range(done, WRITERS * 150 * 9 / 10, WRITERS * 150);
	assert_int_equal(expect_one_history(cluster), done);
}

static void writers_create_the_same(struct engine *engine)
{
	struct cluster *cluster = begin_pages(engine);
	struct tally *tally = run(cluster, "keys", "200", NULL);

	assert_int_equal(tally->by_status[AMEND_OK], WRITERS * 200);
	assert_int_equal(tally->by_outcome[AMEND_IS_CREATED], 200);
	assert_string_equal(
		fresh(cluster, "SELECT concat(count(*), ' ', count(DISTINCT name)) FROM page"),
		"200 200");
	assert_string_equal(fresh(cluster, "SELECT count(*) FROM amend_change WHERE op = 'create'"),
			    "200");
}

static void writers_hold_one_token(struct engine *engine)
{
	struct cluster *cluster = begin_pages(engine);
	struct road *road;
	struct tally *tally;

	engine_exec(engine, "INSERT INTO page VALUES (1, 'a', 'before')");
	road = road_open(engine, "page");
	tally = run(cluster, "token", "50", road_token(road, "id=1"));
	assert_int_equal(tally->by_outcome[AMEND_IS_UPDATED], 1);
	assert_int_equal(tally->by_outcome[AMEND_IS_STALE], WRITERS * 50 - 1);
}

static void writers_do_each_once(struct engine *engine)
{
	struct cluster *cluster = begin_counter(engine);
	struct tally *tally = run(cluster, "once", "60", NULL);

	assert_int_equal(tally->by_status[AMEND_OK], WRITERS * 60);
	assert_int_equal(expect_one_history(cluster), 60);
}

/* What one node has acknowledged, the next one decides by. */
static void reads_are_fresh(struct engine *engine)
{
	struct cluster *cluster = begin_counter(engine);
	struct road *roads[NODES];

	for (int i = 0; i < NODES; i++)
		roads[i] = road_open_with(engine, cluster->urls[i], NULL, "counter");
	for (int i = 0; i < 300; i++) {
		struct road *writer = roads[i % NODES], *reader = roads[(i + 1) % NODES];

		ok(writer, .keys = "id=1", .set = "n+=1");
		expect_ok(road_get(reader, "id=1"), &reader->err);
		assert_string_equal(road_record(reader), engine_printf(engine, "id=1 n=%d", i + 1));
		ok(reader, .keys = "id=1", .set = engine_printf(engine, "n=%d", i + 1));
		assert_string_equal(road_said(reader), "unchanged");
	}
}

static void a_lease_holds_everywhere(struct engine *engine)
{
	struct cluster *cluster = begin_counter(engine);
	struct road *first = road_open_with(engine, cluster->urls[0], NULL, "counter");
	struct road *second = road_open_with(engine, cluster->urls[1], NULL, "counter");

	for (int i = 0; i < 20; i++) {
		struct amend_lease lease, other;
		const struct amend_lease_name name = {.name = engine_printf(engine, "job %d", i)};

		expect_ok(amend_lease_acquire(first->db, &name, NULL, &lease, &first->err),
			  &first->err);
		expect_status(AMEND_LOCKED,
			      amend_lease_acquire(second->db, &name, NULL, &other, &second->err),
			      &second->err);
		assert_int_equal(other.fence, lease.fence);
		expect_ok(amend_lease_release(first->db, &name, lease.token, &first->err),
			  &first->err);
		expect_ok(amend_lease_acquire(second->db, &name, NULL, &other, &second->err),
			  &second->err);
		assert_true(other.fence > lease.fence);
	}
}

/* ---- a node that is not there ---- */

/* Acknowledged, and those of which nobody knows: what the counter may have come to. */
static void expect_nothing_lost(struct cluster *cluster, struct team *team, const char *what)
{
	struct tally *tally;
	long long final, acknowledged, unknown;

	for (int i = 0; i < team->n; i++)
		team_kill(team, i);
	tally = team_finish(team);
	team_say(team, tally, what);
	acknowledged = (long long)tally->by_outcome[AMEND_IS_UPDATED];
	unknown = (long long)(tally->unknown + tally->by_status[AMEND_OUTCOME_UNKNOWN]);
	final = expect_one_history(cluster);
	print_message("# %s: acknowledged %lld, final %lld, unknown %lld\n", what, acknowledged,
		      final, unknown);
	assert_true(acknowledged > 100);
	assert_in_range(final, acknowledged, acknowledged + unknown);
}

/* Those who write to others go on once it is found out to be gone. */
static void a_node_is_frozen(struct engine *engine)
{
	struct cluster *cluster = begin_counter(engine);
	struct team *team = writers(cluster, "add", "0", NULL);

	team_start(team);
	sleep_ms(1000);
	node_does(3, "freeze");
	sleep_ms(6000);
	node_does(3, "thaw");
	sleep_ms(1000);
	node_does(3, "wait");
	sleep_ms(1000);
	expect_nothing_lost(cluster, team, "a node frozen");
}

static void a_node_is_killed(struct engine *engine)
{
	struct cluster *cluster = begin_counter(engine);
	struct team *team = writers(cluster, "add", "0", NULL);

	team_start(team);
	sleep_ms(1000);
	node_does(3, "kill");
	sleep_ms(4000);
	node_does(3, "start");
	node_does(3, "wait");
	sleep_ms(1000);
	expect_nothing_lost(cluster, team, "a node killed");
}

static const struct engine_test tests[] = {
	{"writers on three nodes: n += 1, none is lost", writers_on_all_nodes_add},
	{"writers on three nodes create the same keys: each once", writers_create_the_same},
	{"writers on three nodes hold one token: one wins", writers_hold_one_token},
	{"writers on three nodes do each operation once", writers_do_each_once},
	{"what a node has acknowledged the next one reads and decides by", reads_are_fresh},
	{"a lease of one node holds on the others", a_lease_holds_everywhere},
	{"a node frozen under load: nothing acknowledged is lost", a_node_is_frozen},
	{"a node killed under load, and back: nothing acknowledged is lost", a_node_is_killed},
};

/* The engine is MariaDB, its server the first node. */
int main(int argc, char **argv)
{
	const char *node = getenv("AMEND_TEST_GALERA");

	if (!node || !*node) {
		printf("1..0 # SKIP no cluster (hint: tools/servers run --galera)\n");
		return getenv("CI") && strcmp(getenv("CI"), "true") == 0;
	}
	setenv("AMEND_TEST_MARIADB", node, 1);
	setenv("AMEND_TEST_ENGINES", "mariadb", 1);
	return engine_main(tests, COUNT(tests), 0, argc, argv);
}
