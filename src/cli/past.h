/* A record's past, for get --at and diff: moments on the command line, and states in print. */
#ifndef CLI_PAST_H
#define CLI_PAST_H

#include "json.h"
#include "session.h"

/* Complains by itself; false: wrong use. */
bool cli_moment(const struct cli_args *args, const char *word, struct amend_moment *out);

/* "revision 7, 2026-11-21 21:30:04 UTC, by anna: sold"; NULL: no change before is known. */
const char *cli_last_change(struct cli_pool *pool, const struct amend_result *result);

/* What is known of a past record: all columns but generated ones; NULL: null. */
struct json_object *cli_json_past(const struct amend_table *table, const struct amend_value *record);
/* `revision`, `by`, `at`, `because` of the last change that it includes. */
void cli_json_last_change(struct json_object *object, const struct amend_result *result);

/* `get --at`: the outcome of amend_get_at. The exit code. */
int cli_print_past(struct cli_session *session, const char *table, const char *key,
		   enum amend_status status, const struct amend_result *result);

#endif
