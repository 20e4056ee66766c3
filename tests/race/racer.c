/*
 * One process of a race: waits for the start, does its job through the public
 * API, and logs each call before it makes the next.
 * Leaves judging to race_test.c.
 *
 *	racer URL LOG NUMBER SEED add TIMES          `n += 1` on counter 1; TIMES 0: until it is killed
 *	racer URL LOG NUMBER SEED keys TIMES         update or create keys 0 .. TIMES - 1, shuffled
 *	racer URL LOG NUMBER SEED token TIMES TOKEN  TIMES writes that expect TOKEN
 *	racer URL LOG NUMBER SEED once TIMES         `n += 1` under the ids "op 0" .. TIMES - 1; 0: until it is killed
 *	racer URL LOG NUMBER SEED storm TIMES        units that each add to some counters, in an order of chance
 *	racer URL LOG NUMBER SEED init               installs the ledger
 *
 * It says "r" on standard output when it is ready, and starts when standard input ends.
 */
#include <amend/amend.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "racer.h"

struct racer {
	struct amend_conn *db;
	struct amend_table *table;
	struct amend_error err;
	struct amend_result result;
	int log, number;
	uint64_t seed;
	const char *token;
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* splitmix64 */
static uint64_t next(struct racer *racer)
{
	uint64_t z = racer->seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "racer: %s: %s\n", what, why);
	exit(1);
}

static void note(struct racer *racer, const struct racer_entry *entry)
{
	if (write(racer->log, entry, sizeof(*entry)) != (ssize_t)sizeof(*entry))
		die("log", strerror(errno));
}

/* One call, logged: errors that the test does not expect are said aloud. */
static void call(struct racer *racer, struct amend_write *write)
{
	struct racer_entry entry = {.before = 1};
	enum amend_status status;
	int who = 0;

	note(racer, &entry);
	entry.begun = now_us();
	status = amend_write(racer->db, racer->table, write, &racer->result, &racer->err);
	entry.ended = now_us();
	entry.before = 0;
	entry.status = (uint32_t)status;
	entry.outcome = (uint32_t)racer->result.outcome;
	if (write->expect.once)
		entry.told = (uint32_t)racer->result.revision;
	else if (racer->result.by && sscanf(racer->result.by, "racer %d", &who) == 1)
		entry.told = (uint32_t)who;
	note(racer, &entry);
	if (status != AMEND_OK && status != AMEND_STALE) {
		const struct timespec pause = {.tv_nsec = 10000000};

		fprintf(stderr, "racer %d: %s %s %s\n", racer->number, amend_status_name(status),
			racer->err.sqlstate, racer->err.text);
		nanosleep(&pause, NULL);
	}
	amend_result_release(&racer->result);
}

static void add(struct racer *racer, long times)
{
	const struct amend_field field = {"id", amend_integer(1)};
	const struct amend_match key = {&field, 1};
	const struct amend_assign one = {"n", AMEND_ADD, amend_integer(1)};
	struct amend_write write = AMEND_WRITE_INIT;

	write.keys = &key, write.n_keys = 1;
	write.set = &one, write.n_set = 1;
	for (long i = 0; times == 0 || i < times; i++)
		call(racer, &write);
}

/* Each racer the same operations, in the same order. */
static void once(struct racer *racer, long times)
{
	const struct amend_field field = {"id", amend_integer(1)};
	const struct amend_match key = {&field, 1};
	const struct amend_assign one = {"n", AMEND_ADD, amend_integer(1)};
	struct amend_write write = AMEND_WRITE_INIT;
	char id[32];

	write.keys = &key, write.n_keys = 1;
	write.set = &one, write.n_set = 1;
	write.expect.once = id;
	for (long i = 0; times == 0 || i < times; i++) {
		snprintf(id, sizeof(id), "op %ld", i);
		call(racer, &write);
	}
}

/* One unit of a storm: these counters, in this order. */
struct storm {
	struct racer *racer;
	long order[STORM_COUNTERS];
	unsigned runs;
};

static enum amend_status add_some(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct storm *storm = context;
	const struct amend_assign one = {"n", AMEND_ADD, amend_integer(1)};
	enum amend_status status = AMEND_OK;

	storm->runs++;
	for (int i = 0; i < STORM_ADDS && status == AMEND_OK; i++) {
		const struct amend_field field = {"id", amend_integer(storm->order[i])};
		const struct amend_match key = {&field, 1};
		struct amend_write write = AMEND_WRITE_INIT;

		write.keys = &key, write.n_keys = 1;
		write.set = &one, write.n_set = 1;
		status = amend_write(db, storm->racer->table, &write, &storm->racer->result, err);
		amend_result_release(&storm->racer->result);
	}
	return status;
}

static void storm(struct racer *racer, long times)
{
	struct amend_unit_options options = AMEND_UNIT_OPTIONS_INIT;
	struct storm storm = {.racer = racer};

	options.max_tries = 1000;
	for (long i = 0; i < STORM_COUNTERS; i++)
		storm.order[i] = i + 1;
	for (long i = 0; i < times; i++) {
		struct racer_entry entry = {.before = 1};

		for (long k = 0; k < STORM_COUNTERS; k++) {
			long other = (long)(next(racer) % (uint64_t)(k + 1)), was = storm.order[k];

			storm.order[k] = storm.order[other];
			storm.order[other] = was;
		}
		note(racer, &entry);
		storm.runs = 0;
		entry.begun = now_us();
		entry.status = (uint32_t)amend_atomic(racer->db, &options, add_some, &storm,
						      &racer->err);
		entry.ended = now_us();
		entry.before = 0;
		entry.told = storm.runs;
		note(racer, &entry);
		if (entry.status != AMEND_OK)
			fprintf(stderr, "racer %d: %s %s\n", racer->number, racer->err.sqlstate,
				racer->err.text);
	}
}

static void keys(struct racer *racer, long times)
{
	long *order = calloc((size_t)times, sizeof(*order));

	if (!order)
		die("keys", "out of memory");
	for (long i = 0; i < times; i++) {
		long other = (long)(next(racer) % (uint64_t)(i + 1));

		order[i] = order[other];
		order[other] = i;
	}
	for (long i = 0; i < times; i++) {
		char name[32], title[32];
		struct amend_field field = {.column = "name"};
		const struct amend_match key = {&field, 1};
		struct amend_assign set = {.column = "title"};
		struct amend_write write = AMEND_WRITE_INIT;

		snprintf(name, sizeof(name), "key %ld", order[i]);
		snprintf(title, sizeof(title), "title of %ld", order[i]);
		field.value = amend_text(name);
		set.value = amend_text(title);
		write.mode = AMEND_UPDATE_OR_CREATE;
		write.keys = &key, write.n_keys = 1;
		write.set = &set, write.n_set = 1;
		call(racer, &write);
	}
	free(order);
}

static void token(struct racer *racer, long times)
{
	const struct amend_field field = {"id", amend_integer(1)};
	const struct amend_match key = {&field, 1};

	for (long i = 0; i < times; i++) {
		char title[40];
		struct amend_assign set = {.column = "title"};
		struct amend_write write = AMEND_WRITE_INIT;

		snprintf(title, sizeof(title), "racer %d, %ld", racer->number, i);
		set.value = amend_text(title);
		write.keys = &key, write.n_keys = 1;
		write.set = &set, write.n_set = 1;
		write.expect.token = racer->token;
		call(racer, &write);
	}
}

static void install(struct racer *racer)
{
	bool changed = false;
	struct racer_entry entry = {.before = 0};

	entry.status = (uint32_t)amend_init(racer->db, &changed, &racer->err);
	entry.outcome = changed;
	if (entry.status != AMEND_OK)
		fprintf(stderr, "racer %d: %s\n", racer->number, racer->err.text);
	note(racer, &entry);
}

int main(int argc, char **argv)
{
	struct racer racer = {.log = -1};
	const char *job;
	char who[32], byte;

	if (argc < 6)
		die("usage", "racer URL LOG NUMBER SEED JOB [TIMES [TOKEN]]");
	job = argv[5];
	racer.log = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	racer.number = atoi(argv[3]);
	racer.seed = (uint64_t)strtoull(argv[4], NULL, 10) * 1000 + (uint64_t)racer.number;
	racer.token = argc > 7 ? argv[7] : NULL;
	if (racer.log < 0)
		die(argv[2], strerror(errno));
	if (amend_open(argv[1], NULL, &racer.db, &racer.err) != AMEND_OK)
		die("open", racer.err.text);
	snprintf(who, sizeof(who), "racer %d", racer.number);
	if (amend_set_author(racer.db, who, NULL, NULL, &racer.err) != AMEND_OK)
		die("author", racer.err.text);
	if (strcmp(job, "init") != 0 &&
	    amend_table_open(racer.db,
			     strcmp(job, "keys") == 0 || strcmp(job, "token") == 0 ? "page"
										   : "counter",
			     &racer.table, &racer.err) != AMEND_OK)
		die("table", racer.err.text);
	if (write(STDOUT_FILENO, "r", 1) != 1)
		die("ready", strerror(errno));
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	if (strcmp(job, "init") == 0)
		install(&racer);
	else if (strcmp(job, "add") == 0)
		add(&racer, atol(argv[6]));
	else if (strcmp(job, "once") == 0)
		once(&racer, atol(argv[6]));
	else if (strcmp(job, "storm") == 0)
		storm(&racer, atol(argv[6]));
	else if (strcmp(job, "keys") == 0)
		keys(&racer, atol(argv[6]));
	else
		token(&racer, atol(argv[6]));
	amend_table_close(racer.table);
	amend_close(racer.db);
	return 0;
}
