/*
 * Units of work written as a line, so that a table of cases reads as a list of what happens:
 *
 *	( 1 ( 2 fail )~ k7 3 )
 *
 * a unit inserts 1 into t, a unit inside it inserts 2 and fails, which the outer one survives;
 * the outer one registers a hook that says 7, inserts 3 and commits.
 *
 *	12            inserts 12 into t (a integer PRIMARY KEY)
 *	bad           a statement that fails: CONSTRAINT (there is a 0 in t already)
 *	fail          the function returns CONFLICT
 *	( ... )       a unit; inside another one a savepoint
 *	{ ... }       the same, merged
 *	[ ... ]       the same, durable
 *	k7            amend_on_commit of a hook that says 7
 *	k7!           of one that says 7 and then fails with NOT_FOUND; k7!~ the same, robust
 *	k7+           of one that says 7 and registers another that says 70
 *	k7=           of one that says 7 and inserts 7 into t in a unit of its own, with a hook for 70
 *	see           says how many rows this connection sees, as "n2"
 *
 * A word that fails ends its function with that failure; with ~ behind it the
 * failure is said ("CONSTRAINT") and the function goes on.
 */
#ifndef TESTS_UNIT_OF_WORK_SCRIPT_H
#define TESTS_UNIT_OF_WORK_SCRIPT_H

#include "engines.h"

struct script_case {
	const char *name; /* the ORM's case, or what is promised */
	const char *line;
	enum amend_status status; /* what the line comes to */
	const char *rows;         /* of t, but the 0 */
	const char *said;         /* by hooks, `see` and ~, in order: "7 n2 CONSTRAINT" */
};

/* CREATE TABLE t with its 0. */
void script_table(struct engine *engine);

/* Runs a line; what is said is appended to `said`, parted by blanks. */
enum amend_status script_run(struct amend_conn *db, const char *line, char *said, size_t room,
			     struct amend_error *err);

/* Each line on a connection of its own that must be as good as new afterwards. */
void script_check(struct engine *engine, const struct script_case *cases, size_t n);

/* Each inside the application's own transaction, which commits. */
void script_check_borrowed(struct engine *engine, const struct script_case *cases, size_t n);

#endif
