/*
 * Which call is to fail beneath the drivers, and what was struck.
 * Leaves failing to beneath_postgres.c, beneath_mariadb.c, beneath_sqlite.c.
 */
#include "beneath.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static struct {
	struct beneath fault;
	struct beneath_struck struck;
	bool armed;
} beneath;

void beneath_arm(const struct beneath *fault)
{
	beneath.fault = *fault;
	beneath.struck = (struct beneath_struck){.fired = false};
	beneath.armed = true;
}

struct beneath_struck beneath_disarm(void)
{
	beneath.armed = false;
	return beneath.struck;
}

bool beneath_strikes(enum beneath_how how, const char *what, bool commits)
{
	bool first;

	if (!beneath.armed || beneath.fault.how != how ||
	    (beneath.fault.sql && !beneath_begins(what, beneath.fault.sql)))
		return false;
	first = ++beneath.struck.seen == beneath.fault.nth;
	if (first) {
		beneath.struck.fired = true;
		beneath.struck.commits = commits;
		snprintf(beneath.struck.what, sizeof(beneath.struck.what), "%s", what);
	}
	return first || (beneath.fault.lasts && beneath.struck.fired);
}

enum amend_status beneath_status(void)
{
	return beneath.fault.status;
}

bool beneath_begins(const char *sql, const char *words)
{
	return strncasecmp(sql, words, strlen(words)) == 0;
}
