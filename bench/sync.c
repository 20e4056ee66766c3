/*
 * amend's own sync through the library, in this process: without the command's start.
 * Leaves the command to spawn.c.
 */
#include <amend/amend.h>

#include <string.h>

#include "contender.h"

static void must(enum amend_status status, const struct amend_error *err)
{
	if (status != AMEND_OK)
		die("%s: %s", amend_status_name(status), err->text);
}

int run_sync(const struct words *words)
{
	static const char *const match[] = {"remote_id", "slug"};
	struct amend_sync_options options = AMEND_SYNC_OPTIONS_INIT;
	struct amend_sync_report report;
	struct amend_source *source = NULL;
	struct amend_conn *db = NULL;
	struct amend_error err;
	double opened = seconds(), begun, ended;

	must(amend_open(word(words, "db"), NULL, &db, &err), &err);
	begun = seconds();
	must(amend_source_open(word(words, "feed"), NULL, &source, &err), &err);
	options.match = match, options.n_match = 2;
	options.adopt = AMEND_ADOPT_INCOMING;
	must(amend_sync(db, source, "taxonomy", &options, &report, &err), &err);
	ended = seconds();
	say("created", (double)report.created);
	say("updated", (double)report.updated);
	say("unchanged", (double)report.unchanged);
	if (report.created + report.updated + report.unchanged != report.read)
		die("%llu records read, but not all are created, updated or unchanged",
		    (unsigned long long)report.read);
	amend_sync_report_release(&report);
	amend_source_close(source);
	amend_close(db);
	say("seconds", ended - begun);
	say("total", seconds() - opened);
	return 0;
}
