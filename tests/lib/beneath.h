/*
 * Faults beneath the drivers: a call of an engine's own client library fails, once or from then on, as it would if
 * the server refused the statement, if memory ran out in the library, or if the connection broke. What a
 * server refuses it refuses in earnest, with the SQLSTATE that is asked for, and its transaction is what that makes of it.
 *
 * The program must be linked with beneath_dep (tests/meson.build), which puts these in front of libpq's, MariaDB's
 * and SQLite's functions in all that is linked statically: the library, and the tests' own. So a fault is armed around
 * what is to fail, and nothing else:
 *
 *	beneath_arm(&(struct beneath){.how = BENEATH_REFUSED, .status = AMEND_LOCKED, .nth = 3});
 *	status = operation();
 *	struck = beneath_disarm(); // .fired: it makes three calls or more that can fail like that
 */
#ifndef TESTS_LIB_BENEATH_H
#define TESTS_LIB_BENEATH_H

#include <stdbool.h>

#include <amend/error.h>

enum beneath_how {
	BENEATH_REFUSED,    /* a statement: by the server, or by SQLite, with `status` */
	BENEATH_UNSENT,     /* the library has no memory for it: nothing is done */
	BENEATH_UNREAD,     /* it is done; there is no memory for the answer. Not SQLite */
	BENEATH_CUT_BEFORE, /* the connection breaks in front of it. Not SQLite */
	BENEATH_CUT_AFTER,  /* it reaches the server; the answer is lost. Not SQLite */
};

struct beneath {
	enum beneath_how how;
	enum amend_status status; /* of REFUSED */
	unsigned nth;             /* of the calls that can fail like that, from 1 */
	bool lasts;               /* all that follow, too */
	const char *sql;          /* only statements that begin like this; NULL: all */
};

struct beneath_struck {
	bool fired;
	unsigned seen;  /* calls that can fail like that */
	bool commits;   /* what was struck may have committed: a COMMIT, or a statement alone */
	char what[120]; /* the statement's beginning, or the function's name */
};

void beneath_arm(const struct beneath *fault);
struct beneath_struck beneath_disarm(void);

/* --- Between the files of it --- */

/* Whether this call, which can fail like that, is the one; counts it. */
bool beneath_strikes(enum beneath_how how, const char *what, bool commits);
/* What REFUSED is to say. */
enum amend_status beneath_status(void);
/* Whether the text begins with these words, whatever their case. */
bool beneath_begins(const char *sql, const char *words);

#endif
