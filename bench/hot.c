/*
 * Workload B: clients that add 1 as often as they can for some seconds; how often, and how long each had to wait.
 * Leaves the ways of adding to the adders.
 *
 * On servers clients are threads of one process, each with a connection; on SQLite processes.
 */
#include "hot.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "contender.h"

enum { MOST_CLIENTS = 64, MOST_WAITS = 1 << 20 };

struct client {
	const struct adder *adder;
	struct race *race;
	long commits;
	uint32_t *waits; /* microseconds of each call */
};

/* In memory that processes share. */
struct race {
	const char *db, *setting;
	long rows;
	double lasts;
	atomic_int ready;
	atomic_bool go;
	double until;
	int n;
	struct client clients[MOST_CLIENTS];
};

static const struct way {
	const struct adder *bare, *recorded;
	void (*counters)(const char *db, long rows);
	struct totals (*totals)(const char *db);
	bool threads; /* of one process, each with a connection; else processes */
} ways[] = {
	[ON_SQLITE] = {&sqlite_bare, &sqlite_recorded, sqlite_counters, sqlite_totals, false},
	[ON_POSTGRES] = {&postgres_bare, &postgres_recorded, postgres_counters, postgres_totals,
			 true},
#ifdef AMEND_WITH_MARIADB
	[ON_MARIADB] = {&mariadb_bare, &mariadb_recorded, mariadb_counters, mariadb_totals, true},
#endif
};

static void *share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("out of memory");
	return memory;
}

static void *run_client(void *argument)
{
	struct client *client = argument;
	struct race *race = client->race;
	void *connection = client->adder->open(race->db, race->setting);
	uint64_t which = (uint64_t)(client - race->clients) << 40;
	double begun;

	client->adder->add(connection, 1); /* prepares what it prepares; not counted as time */
	atomic_fetch_add(&race->ready, 1);
	while (!atomic_load(&race->go))
		nanosleep(&(struct timespec){0, 1000000}, NULL);
	for (begun = seconds(); begun < race->until && client->commits < MOST_WAITS;) {
		long id = race->rows == 1 ? 1 : (long)(data_mix(which++) % (uint64_t)race->rows) + 1;
		double done;

		client->adder->add(connection, id);
		done = seconds();
		client->waits[client->commits++] = (uint32_t)((done - begun) * 1e6);
		begun = done;
	}
	client->adder->close(connection);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

/* Of the clients that add in one way. */
static void tell(const struct race *race, const struct adder *adder, const char *prefix)
{
	size_t total = 0, at = 0;
	long fewest = MOST_WAITS;
	uint32_t *all;
	char name[64];

	for (int i = 0; i < race->n; i++) {
		if (race->clients[i].adder == adder)
			total += (size_t)race->clients[i].commits;
	}
	all = calloc(total + 1, sizeof(*all));
	if (!all)
		die("out of memory");
	for (int i = 0; i < race->n; i++) {
		const struct client *client = &race->clients[i];

		if (client->adder != adder)
			continue;
		memcpy(all + at, client->waits, (size_t)client->commits * sizeof(*all));
		at += (size_t)client->commits;
		fewest = client->commits < fewest ? client->commits : fewest;
	}
	qsort(all, total, sizeof(*all), compare);
#define SAY(what, value) (snprintf(name, sizeof(name), "%s%s", prefix, what), say(name, value))
	SAY("per_second", (double)total / race->lasts);
	SAY("fewest", (double)fewest);
	if (total > 0) {
		SAY("p50_us", all[total / 2]);
		SAY("p999_ms", (double)all[(size_t)((double)total * 0.999)] / 1000);
		SAY("longest_ms", (double)all[total - 1] / 1000);
	}
#undef SAY
	free(all);
}

static void start_and_wait(struct race *race, bool threads)
{
	pthread_t thread[MOST_CLIENTS];
	pid_t pid[MOST_CLIENTS];
	int status;

	for (int i = 0; i < race->n; i++) {
		if (threads) {
			if (pthread_create(&thread[i], NULL, run_client, &race->clients[i]) != 0)
				die("no thread could be started");
			continue;
		}
		pid[i] = fork();
		if (pid[i] < 0)
			die("fork: %s", strerror(errno));
		if (pid[i] == 0) {
			run_client(&race->clients[i]);
			_exit(0);
		}
	}
	while (atomic_load(&race->ready) < race->n) {
		nanosleep(&(struct timespec){0, 1000000}, NULL);
		if (!threads && waitpid(-1, &status, WNOHANG) > 0)
			die("a client has failed");
	}
	race->until = seconds() + race->lasts;
	atomic_store(&race->go, true);
	for (int i = 0; i < race->n; i++) {
		if (threads)
			pthread_join(thread[i], NULL);
		else if (waitpid(pid[i], &status, 0) != pid[i] || status != 0)
			die("a client has failed");
	}
}

static const struct adder *adder_of(const char *name, const struct way *way)
{
	if (strcmp(name, "amend") == 0)
		return &amend_adder;
	if (strcmp(name, "bare") == 0)
		return way->bare;
	if (strcmp(name, "recorded") == 0)
		return way->recorded;
	die("no such adder: %s", name);
}

/* Nothing is lost, and whoever records has recorded it. */
static void judge(const struct race *race, const struct way *way, struct totals before,
		  struct totals after)
{
	long commits = 0, own = 0, amend = 0;

	for (int i = 0; i < race->n; i++) {
		const struct client *client = &race->clients[i];
		long n = client->commits + 1;

		commits += n;
		if (client->adder == &amend_adder)
			amend += n;
		else if (client->adder == way->recorded)
			own += n;
	}
	if (after.sum - before.sum != commits || after.own - before.own != own ||
	    after.amend - before.amend != amend)
		die("wrong result: expected %ld added, %ld and %ld recorded, found %ld, %ld and %ld",
		    commits, own, amend, after.sum - before.sum, after.own - before.own,
		    after.amend - before.amend);
}

/* who= and, for half of the clients, other=. */
int run_hot(const struct words *words)
{
	struct race *race = share(sizeof(*race));
	const struct way *way = &ways[engine_of(word(words, "db"))];
	const struct adder *who = adder_of(word(words, "who"), way);
	const struct adder *other = adder_of(word_or(words, "other", word(words, "who")), way);
	struct totals before;

	race->db = word(words, "db");
	race->setting = word_or(words, "setting", "");
	race->rows = number(words, "rows");
	race->lasts = (double)number(words, "ms") / 1000;
	race->n = (int)number(words, "clients");
	if (race->n < 1 || race->n > MOST_CLIENTS)
		die("expected 1 to %d clients", MOST_CLIENTS);
	for (int i = 0; i < race->n; i++) {
		race->clients[i] = (struct client){.adder = i % 2 ? other : who, .race = race};
		race->clients[i].waits = share(MOST_WAITS * sizeof(uint32_t));
	}
	before = way->totals(race->db);
	start_and_wait(race, way->threads);
	judge(race, way, before, way->totals(race->db));
	tell(race, who, "");
	if (other != who)
		tell(race, other, "other_");
	return 0;
}

int run_counters(const struct words *words)
{
	const char *db = word(words, "db");

	ways[engine_of(db)].counters(db, number(words, "rows"));
	return 0;
}
