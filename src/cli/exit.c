/*
 * The exit code of a status.
 * Leaves a sync's own codes (3, 6 of a run that is through) to sync.c.
 */
#include "exit.h"

/* No default: a new status that is forgotten here is a warning. */
int cli_exit_code(enum amend_status status)
{
	switch (status) {
	case AMEND_OK:
		return CLI_DONE;
	case AMEND_INVALID:
		return CLI_USAGE;
	case AMEND_STALE:
	case AMEND_CONFLICT:
		return CLI_STALE;
	case AMEND_NOT_FOUND:
		return CLI_MISSING;
	case AMEND_LOCKED:
		return CLI_LOCKED;
	case AMEND_OUTCOME_UNKNOWN:
		return CLI_UNKNOWN;
	case AMEND_EXISTS:
	case AMEND_CONSTRAINT:
	case AMEND_RETRY:
	case AMEND_UNREACHABLE:
	case AMEND_DENIED:
	case AMEND_UNSUPPORTED:
	case AMEND_INTERRUPTED:
	case AMEND_NO_MEMORY:
	case AMEND_INTERNAL:
		return CLI_FAILED;
	}
	return CLI_FAILED;
}
