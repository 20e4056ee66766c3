/* Exit codes: what scripts branch on. */
#ifndef CLI_EXIT_H
#define CLI_EXIT_H

#include <amend/error.h>

enum cli_exit {
	CLI_DONE = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,    /* wrong use, a token that is not ours, a decision is needed first */
	CLI_STALE = 3,    /* stale, or new conflicts wait for a decision */
	CLI_MISSING = 4,  /* no such record or table */
	CLI_LOCKED = 5,   /* by another: nowait, or the time limit */
	CLI_REJECTED = 6, /* done, but some input was rejected */
	CLI_UNKNOWN = 7,  /* the connection died while committing */
	CLI_SIGNAL = 128, /* + the signal's number */
};

int cli_exit_code(enum amend_status status);

#endif
