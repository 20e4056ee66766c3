/* One conflict, as `amend conflicts` and `amend resolve` show it. */
#ifndef CLI_CONFLICT_SHOW_H
#define CLI_CONFLICT_SHOW_H

#include "json.h"

/* On standard output. */
void cli_conflict_print(struct cli_pool *pool, const struct amend_conflict *conflict);

/* `table` NULL: it is not there any more. */
struct json_object *cli_conflict_json(const struct amend_table *table,
				      const struct amend_conflict *conflict);

/* "current", "incoming", "base", "value". */
const char *cli_take_name(enum amend_take take);

/* "1", or where that is not what it was found as any more "1@5f0c...": what a decision on it names. */
const char *cli_conflict_number(struct cli_pool *pool, const struct amend_conflict *conflict);

/* What a save asked of a field, in words; NULL: nothing. */
const char *cli_conflict_terms(struct cli_pool *pool, const struct amend_conflict_more *more);

/* A text that is better shown line by line. */
bool cli_is_long(const struct amend_value *value);

#endif
