/*
 * One sync that ends itself by SIGKILL in front of a statement: moments that no clock can aim at.
 * Leaves looking at what is left to kill_sync.py.
 *
 *	syncer URL SOURCE TABLE 0         all of it; says how many statements there were, and which are COMMIT
 *	syncer URL SOURCE TABLE N         is killed before statement N is sent, from 1
 */
#include <amend/amend.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct counter {
	long n, kill_at;
};

static void count(void *context, const char *sql)
{
	struct counter *counter = context;

	counter->n++;
	if (counter->n == counter->kill_at)
		raise(SIGKILL);
	if (!counter->kill_at && strncmp(sql, "COMMIT", 6) == 0)
		printf("commit %ld\n", counter->n);
}

static int fail(const struct amend_error *err)
{
	fprintf(stderr, "syncer: %s\n", err->text);
	return 1;
}

int main(int argc, char **argv)
{
	static const char *const match[] = {"remote", "slug"};
	struct counter counter = {.kill_at = argc == 5 ? atol(argv[4]) : 0};
	struct amend_open_options open = AMEND_OPEN_OPTIONS_INIT;
	struct amend_sync_options options = AMEND_SYNC_OPTIONS_INIT;
	struct amend_sync_report report = {.read = 0};
	struct amend_source *source = NULL;
	struct amend_conn *db = NULL;
	struct amend_error err;
	int code = 1;

	if (argc != 5) {
		fprintf(stderr, "usage: syncer URL SOURCE TABLE N\n");
		return 2;
	}
	open.must_exist = true;
	open.trace = count;
	open.trace_context = &counter;
	options.match = match;
	options.n_match = 2;
	options.adopt = AMEND_ADOPT_INCOMING;
	if (amend_source_open(argv[2], AMEND_FORMAT_AUTO, &source, &err) != AMEND_OK ||
	    amend_open(argv[1], &open, &db, &err) != AMEND_OK ||
	    amend_sync(db, source, argv[3], &options, &report, &err) != AMEND_OK) {
		code = fail(&err);
	} else {
		printf("statements %ld\n", counter.n);
		code = 0;
	}
	amend_sync_report_release(&report);
	amend_close(db);
	amend_source_close(source);
	return code;
}
