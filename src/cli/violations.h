/* All that stands in a record's way, behind the message: lines for people, an array for programs. */
#ifndef CLI_VIOLATIONS_H
#define CLI_VIOLATIONS_H

#include <json-c/json.h>

#include <amend/amend.h>

#include "pool.h"

/* Indented lines on standard error, below `message`; a single one that it holds already is not said again. */
void cli_print_violations(struct cli_pool *pool, const char *message,
			  const struct amend_violation *violations, size_t n);
/* [{"kind": "unique", "constraint": ..., "columns": [...], "record": {...}, "text": ...}]; `table`: of the record. */
struct json_object *cli_json_violations(const struct amend_table *table,
					const struct amend_violation *violations, size_t n);

#endif
