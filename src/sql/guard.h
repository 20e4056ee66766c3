/*
 * The triggers that guard a table, as a driver makes them and finds them. What is guarded, and
 * how, is decided in ledger/guard.c.
 */
#ifndef AMEND_SQL_GUARD_H
#define AMEND_SQL_GUARD_H

#include <amend/guard.h>
#include <amend/table.h>

#include "core/arena.h"

struct amend_session;

enum { AMEND_GUARD_STATEMENTS = 4 };

/* Behind a refusal by the rule `equal` of what may be no stale write. */
#define AMEND_GUARD_COUNTS_HINT \
	"a program that counts the version up itself needs amend guard --stale next"

/* What is to stand. */
struct amend_guard_spec {
	const struct amend_table
		*table; /* its `version` is the version column; it may be about to be added */
	bool clock; /* SQLite: a creation that leaves the version to its default gets one from the clock */
	enum amend_stale_rule stale; /* EQUAL, EITHER, NEXT */
	bool history, by_statement;
	const bool *covered; /* by column: history records it; the version column is one of them */
};

/* One trigger, with what it needs. */
struct amend_guard_part {
	const char *name;
	const char *mark; /* what amend_guard_found.mark says of one that stands as this one is made */
	const char *make[AMEND_GUARD_STATEMENTS]; /* NULL-ended where shorter; also in place of an older one */
};

/* A trigger of ours that stands on a table. */
struct amend_guard_found {
	const char *name;
	const char *mark;
	const char *drop[AMEND_GUARD_STATEMENTS];
	const char *problem; /* what keeps it from working: it is disabled, its owner lacks rights; NULL: nothing */
};

#endif
