/*
 * Prints what stands in a record's way.
 * Leaves the message itself to complain.c.
 */
#include "violations.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "complain.h"
#include "json.h"

static bool says(const char *message, const struct amend_violation *violation)
{
	return violation->kind == AMEND_VIOLATES_NOT_NULL || strstr(message, violation->text) ||
	       (violation->expression && strstr(message, violation->expression));
}

void cli_print_violations(struct cli_pool *pool, const char *message,
			  const struct amend_violation *violations, size_t n)
{
	if (n == 1 && says(message, &violations[0]))
		return;
	for (size_t i = 0; i < n; i++)
		fprintf(stderr, "  %s\n", cli_scrub(pool, violations[i].text));
}

static struct json_object *one(const struct amend_table *table,
			       const struct amend_violation *violation)
{
	struct json_object *object = json_object_new_object(), *columns = json_object_new_array();
	bool other = violation->table != NULL;

	for (size_t i = 0; i < violation->n_columns; i++)
		json_object_array_add(columns, cli_json_text(violation->columns[i]));
	cli_json_add(object, "kind", cli_json_text(amend_violation_name(violation->kind)));
	cli_json_add(object, "constraint", cli_json_text(violation->constraint));
	cli_json_add(object, "columns", columns);
	if (violation->expression)
		cli_json_add(object, "expression", cli_json_text(violation->expression));
	if (other)
		cli_json_add(object, "table", cli_json_text(violation->table));
	if (violation->kind == AMEND_VIOLATES_CHILDREN)
		cli_json_add(object, "records", json_object_new_uint64(violation->n_records));
	if (violation->n_record)
		cli_json_add(object, "record",
			     cli_json_fields(other ? NULL : table, violation->record,
					     violation->n_record));
	cli_json_add(object, "text", cli_json_text(violation->text));
	return object;
}

struct json_object *cli_json_violations(const struct amend_table *table,
					const struct amend_violation *violations, size_t n)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		json_object_array_add(array, one(table, &violations[i]));
	return array;
}
