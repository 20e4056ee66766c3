/* What became of one record, for get, set, delete and resolve: text or JSON, and the exit code. */
#ifndef CLI_RESULT_H
#define CLI_RESULT_H

#include "session.h"

struct cli_subject {
	const char *table;  /* as the user named it */
	const char *key;    /* "sku=42" */
	const char *next;   /* what to type next when it is stale or missing since; NULL: nothing */
	const char *settle; /* what settles a conflict, its id aside */
};

/*
 * Prints `result` of a call that returned `status`; session->err holds its
 * error. A failure without an outcome of its own is only complained of.
 */
int cli_print_result(struct cli_session *session, const struct cli_subject *subject,
		     enum amend_status status, const struct amend_result *result);

/* Complains of an empty --once. */
bool cli_once_parse(const struct cli_args *args);
/* --once, or "": an id is made up where one can be of use. */
const char *cli_once(const struct cli_args *args);

#endif
