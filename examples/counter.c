/*
 * A counter that 16 processes increment at once, and that ends at exactly the sum.
 *
 *	cc -o counter counter.c $(pkg-config --cflags --libs amend)
 *	./counter app.db
 *	./counter postgresql://localhost/app
 *
 * The naive way is to read n, add one, and write n back: two that read the same
 * n then count once. Here the database adds (AMEND_ADD), under a hold that
 * amend takes and gives back, and each step is recorded. The program is the
 * same on every engine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <amend/amend.h>

enum { PROCESSES = 16, TIMES = 100 };

/* `err` is ours, of fixed size, and holds one line: what failed, and often what to do about it. */
static int fail(const char *what, const struct amend_error *err)
{
	fprintf(stderr, "counter: %s: %s\n", what, err->text);
	return 1;
}

/* SQLite hands integers out as integers; PostgreSQL hands every value out as its text. */
static long long number(const struct amend_value *value)
{
	return value->kind == AMEND_INTEGER ? (long long)value->as.integer : atoll(value->as.text);
}

/*
 * AMEND_UPDATE adds `by` to the counter. AMEND_GET_OR_CREATE leaves it alone
 * where it exists, and else makes it, counting from 0. Either hands out n.
 */
static enum amend_status step(struct amend_conn *db, const struct amend_table *table,
			      enum amend_mode mode, int by, long long *n, struct amend_error *err)
{
	/* A key is a list of columns and values, and several keys may be tried in order. */
	const struct amend_field name = {"name", amend_text("visits")};
	const struct amend_match key = {&name, 1};
	const struct amend_assign more = {"n", AMEND_ADD, amend_integer(by)};
	struct amend_write write = AMEND_WRITE_INIT;
	struct amend_result result = AMEND_RESULT_INIT;
	enum amend_status status;

	write.mode = mode;
	write.keys = &key;
	write.n_keys = 1;
	write.set = &more;
	write.n_set = 1;
	/*
	 * This is the whole of it. What the engine undoes (a deadlock, a busy
	 * file) is run again inside; of two that create the record at once, one
	 * creates it and the other finds it.
	 */
	status = amend_write(db, table, &write, &result, err);
	if (status == AMEND_OK)
		*n = number(&result.record[amend_table_column(table, "n")]);
	amend_result_release(&result); /* always, also after a failure */
	return status;
}

/* A process opens a connection of its own: none is shared across fork(). */
static int count(const char *url, enum amend_mode mode, int times, long long *n)
{
	struct amend_conn *db = NULL;
	struct amend_table *table = NULL;
	struct amend_error err;
	enum amend_status status = amend_open(url, NULL, &db, &err);

	/* The table's description is read once, and serves for every call. */
	if (status == AMEND_OK)
		status = amend_table_open(db, "counter", &table, &err);
	for (int i = 0; i < times && status == AMEND_OK; i++)
		status = step(db, table, mode, mode == AMEND_UPDATE ? 1 : 0, n, &err);
	amend_table_close(table); /* both take NULL */
	amend_close(db);
	return status == AMEND_OK ? 0 : fail(url, &err);
}

static int make_table(const char *url)
{
	struct amend_conn *db = NULL;
	struct amend_error err;
	enum amend_status status = amend_open(url, NULL, &db, &err);

	/* Any statement of our own; it goes past amend, so nothing of it is recorded. */
	if (status == AMEND_OK)
		status = amend_query(db,
				     "CREATE TABLE IF NOT EXISTS counter "
				     "(name text NOT NULL PRIMARY KEY, n bigint NOT NULL)",
				     NULL, 0, NULL, &err);
	/* amend's own tables: made on first need as well, but not in the midst of a race. */
	if (status == AMEND_OK)
		status = amend_init(db, NULL, &err);
	amend_close(db);
	return status == AMEND_OK ? 0 : fail(url, &err);
}

int main(int argc, char **argv)
{
	long long before = 0, after = 0, ignored;
	int failures = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: counter URL\n");
		return 2;
	}
	if (make_table(argv[1]) != 0 || count(argv[1], AMEND_GET_OR_CREATE, 1, &before) != 0)
		return 1;
	for (int i = 0; i < PROCESSES; i++) {
		pid_t child = fork();

		if (child == 0)
			_exit(count(argv[1], AMEND_UPDATE, TIMES, &ignored));
		if (child < 0)
			failures++;
	}
	for (int status; wait(&status) > 0;)
		failures += status != 0;
	if (failures > 0 || count(argv[1], AMEND_GET_OR_CREATE, 1, &after) != 0) {
		fprintf(stderr, "counter: %d of %d processes failed\n", failures, PROCESSES);
		return 1;
	}
	printf("%d processes, %d times each: from %lld to %lld\n", PROCESSES, TIMES, before, after);
	if (after - before != (long long)PROCESSES * TIMES) {
		fprintf(stderr, "counter: expected %d more, found %lld more\n", PROCESSES * TIMES,
			after - before);
		return 1;
	}
	return 0;
}
