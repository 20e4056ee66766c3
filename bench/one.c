/*
 * Workload C: one record at a time, unchanged and changed, ours and by hand in turn, call by call.
 * Leaves the statements by hand to the engines' own files.
 */
#include "one.h"

#include <amend/amend.h>

#include <stdio.h>
#include <stdlib.h>

#include "contender.h"

/* Calls of one way follow each other in blocks: on SQLite a connection rereads what another one changed. */
enum { BLOCK = 50, WARM = 100 };

struct times {
	const char *name;
	double *us;
	size_t n;
};

struct ours {
	struct amend_conn *db;
	struct amend_table *table;
};

struct job {
	const struct hand *hand;
	void *by_hand;
	struct ours ours;
	struct data data;
	uint64_t next; /* which record */
	int position;  /* a value that was not there before */
};

static void must(enum amend_status status, const struct amend_error *err)
{
	if (status != AMEND_OK)
		die("%s: %s", amend_status_name(status), err->text);
}

/* Update or create, by slug; what comes of it must be `expected`. */
static void amend_one(struct ours *ours, const char *slug, int64_t position,
		      enum amend_outcome expected)
{
	const struct amend_field field = {"slug", amend_text(slug)};
	const struct amend_match key = {&field, 1};
	const struct amend_assign assign = {"position", AMEND_SET, amend_integer(position)};
	struct amend_write write = AMEND_WRITE_INIT;
	struct amend_result result = AMEND_RESULT_INIT;
	struct amend_error err;

	write.mode = AMEND_UPDATE_OR_CREATE;
	write.keys = &key, write.n_keys = 1;
	write.set = &assign, write.n_set = 1;
	must(amend_write(ours->db, ours->table, &write, &result, &err), &err);
	if (result.outcome != expected)
		die("wrong result: %s was %s", slug, amend_outcome_name(result.outcome));
	amend_result_release(&result);
}

static void read_by_hand(struct job *job, const struct record *record)
{
	job->hand->read(job->by_hand, record->slug);
}

static void unchanged(struct job *job, const struct record *record)
{
	amend_one(&job->ours, record->slug, record->position, AMEND_IS_UNCHANGED);
}

static void update_by_hand(struct job *job, const struct record *record)
{
	job->hand->update(job->by_hand, record->slug, job->position++);
}

static void record_by_hand(struct job *job, const struct record *record)
{
	job->hand->recorded(job->by_hand, record->slug, job->position++);
}

static void changed(struct job *job, const struct record *record)
{
	amend_one(&job->ours, record->slug, job->position++, AMEND_IS_UPDATED);
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return left < right ? -1 : left > right;
}

static void tell(struct times *times)
{
	char name[64];

	qsort(times->us, times->n, sizeof(*times->us), compare);
	snprintf(name, sizeof(name), "%s_p50", times->name);
	say(name, times->us[times->n / 2]);
	snprintf(name, sizeof(name), "%s_p99", times->name);
	say(name, times->us[times->n * 99 / 100]);
	free(times->us);
}

/* `calls` of each way, in blocks, each on records of its own choice. */
static void take_turns(struct job *job, struct times *times, size_t n, size_t calls,
		       void (*const ways[])(struct job *, const struct record *))
{
	struct record record;

	for (size_t way = 0; way < n; way++) {
		times[way].us = calloc(calls, sizeof(double));
		if (!times[way].us)
			die("out of memory");
	}
	for (size_t done = 0; done < calls + WARM; done += BLOCK) {
		for (size_t way = 0; way < n; way++) {
			for (size_t i = 0; i < BLOCK; i++) {
				double begun;

				data_row(&job->data, 0, data_mix(job->next++) % job->data.rows,
					 &record);
				begun = seconds();
				ways[way](job, &record);
				if (done >= WARM && times[way].n < calls)
					times[way].us[times[way].n++] = (seconds() - begun) * 1e6;
			}
		}
	}
	for (size_t way = 0; way < n; way++)
		tell(&times[way]);
}

static const struct hand *const hands[] = {
	[ON_SQLITE] = &sqlite_hand,
	[ON_POSTGRES] = &postgres_hand,
#ifdef AMEND_WITH_MARIADB
	[ON_MARIADB] = &mariadb_hand,
#endif
};

int run_one(const struct words *words)
{
	const char *db = word(words, "db");
	size_t calls = (size_t)number(words, "calls");
	struct job job = {.hand = hands[engine_of(db)], .data = data_of(words), .position = 100000};
	struct times quiet[] = {{.name = "read"}, {.name = "unchanged"}};
	struct times busy[] = {{.name = "update"}, {.name = "recorded"}, {.name = "changed"}};
	struct amend_error err;
	uint64_t own, amend;

	if (calls == 0 || calls % BLOCK != 0)
		die("expected calls by %ds, found %zu", BLOCK, calls);
	job.by_hand = job.hand->open(db);
	must(amend_open(db, NULL, &job.ours.db, &err), &err);
	must(amend_table_open(job.ours.db, "taxonomy", &job.ours.table, &err), &err);
	if (job.hand->hold && number_or(words, "held", 0))
		job.hand->hold(job.by_hand);
	take_turns(&job, quiet, 2, calls,
		   (void (*const[])(struct job *, const struct record *)){read_by_hand, unchanged});
	take_turns(&job, busy, 3, calls,
		   (void (*const[])(struct job *, const struct record *)){update_by_hand,
									  record_by_hand, changed});
	amend_table_close(job.ours.table);
	amend_close(job.ours.db);
	job.hand->count(job.by_hand, &own, &amend);
	if (own != calls + WARM || amend != calls + WARM)
		die("wrong result: expected %zu changes in each history, found %llu and %llu",
		    calls + WARM, (unsigned long long)own, (unsigned long long)amend);
	job.hand->close(job.by_hand);
	return 0;
}
