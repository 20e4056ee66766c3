/*
 * Prints a record as it was.
 * Leaves records as they are to result.c.
 */
#include "past.h"

#include <stdio.h>

#include "exit.h"
#include "plain.h"
#include "print.h"

bool cli_moment(const struct cli_args *args, const char *word, struct amend_moment *out)
{
	struct amend_error err;

	if (amend_moment_parse(word, out, &err) == AMEND_OK)
		return true;
	cli_usage(args, "%s", err.text);
	return false;
}

const char *cli_last_change(struct cli_pool *pool, const struct amend_result *result)
{
	const char *by = result->by && *result->by
				 ? cli_format(pool, ", by %s", cli_show_text(pool, result->by))
				 : "";
	const char *why = result->because && *result->because
				  ? cli_format(pool, ": %s", cli_show_text(pool, result->because))
				  : "";

	if (!result->revision || !result->at || !result->by)
		return NULL;
	return cli_format(pool, "revision %lld, %s%s%s", (long long)result->revision,
			  cli_show_time(pool, result->at), by, why);
}

struct json_object *cli_json_past(const struct amend_table *table, const struct amend_value *record)
{
	struct json_object *object = record ? json_object_new_object() : NULL;

	for (size_t i = 0; record && i < table->n_columns; i++) {
		const char *name = table->columns[i].name;

		if (!table->columns[i].generated || record[i].kind != AMEND_NULL)
			cli_json_add(object, name, cli_json_value(&record[i], table, name));
	}
	return object;
}

void cli_json_last_change(struct json_object *object, const struct amend_result *result)
{
	cli_json_add(object, "revision", cli_json_id(result->revision));
	cli_json_add(object, "by", cli_json_text(result->by));
	cli_json_add(object, "at", cli_json_time(result->at));
	cli_json_add(object, "because", cli_json_text(result->because));
}

static void print_json(struct cli_session *session, enum amend_status status,
		       const struct amend_result *result)
{
	struct json_object *object = json_object_new_object();

	cli_json_add(object, "outcome", cli_json_text(amend_outcome_name(result->outcome)));
	cli_json_add(object, "record", cli_json_past(session->table, result->record));
	cli_json_add(object, "version", NULL);
	cli_json_add(object, "fields", json_object_new_object());
	cli_json_last_change(object, result);
	if (status != AMEND_OK)
		cli_json_add(object, "error", cli_json_error(&session->err));
	cli_json_print(object);
}

static void print_text(struct cli_session *session, const char *table, const char *key,
		       const struct amend_result *result)
{
	struct cli_pool *pool = session->args->pool;
	const char *last = cli_last_change(pool, result);
	size_t widest = 0;

	printf("found %s %s (%s)\n", cli_plain(pool, table), cli_plain(pool, key),
	       last ? last : "before its first recorded change");
	for (size_t i = 0; i < session->table->n_columns; i++) {
		size_t width = cli_width(cli_plain(pool, session->table->columns[i].name));

		widest = width > widest ? width : widest;
	}
	for (size_t i = 0; i < session->table->n_columns; i++) {
		const struct amend_column *column = &session->table->columns[i];
		const char *name = cli_plain(pool, column->name);

		if (column->generated && result->record[i].kind == AMEND_NULL)
			continue;
		printf("  %s:%*s %s\n", name, (int)(widest - cli_width(name)), "",
		       cli_show(pool, &result->record[i], 0));
	}
}

int cli_print_past(struct cli_session *session, const char *table, const char *key,
		   enum amend_status status, const struct amend_result *result)
{
	if (status == AMEND_NOT_FOUND)
		amend_error_wrap(&session->err, "%s %s", table, key);
	if (status != AMEND_OK && status != AMEND_NOT_FOUND)
		return cli_fail(session);
	if (cli_has(session->args, "json"))
		print_json(session, status, result);
	else if (status == AMEND_OK)
		print_text(session, table, key, result);
	return status == AMEND_OK ? CLI_DONE : cli_complain_of(session);
}
