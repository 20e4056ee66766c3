/*
 * Prints the outcome of a call that concerns one record.
 * Leaves the call to the commands, and single values to print.c and json.c.
 */
#include "result.h"

#include <stdlib.h>
#include <string.h>

#include "complain.h"
#include "exit.h"
#include "json.h"
#include "plain.h"
#include "print.h"
#include "violations.h"

/* Outcomes that have something to show; the others are errors and nothing more. */
static bool has_outcome(enum amend_outcome outcome)
{
	return outcome != AMEND_IS_NOTHING && outcome != AMEND_IS_REJECTED;
}

/* What the caller wanted a column to be, or NULL. */
static const struct amend_value *wanted(const struct amend_result *result, const char *column,
					const struct amend_table *table)
{
	for (size_t i = 0; i < result->n_incoming; i++) {
		if (amend_table_column(table, result->incoming[i].column) ==
		    amend_table_column(table, column))
			return &result->incoming[i].value;
	}
	return NULL;
}

/* --- JSON --- */

/* Of a merge: whose each field is, and where what was asked for is kept. */
static void add_merge(struct json_object *object, const struct amend_result *result)
{
	struct json_object *fields = json_object_new_object(), *rivals = NULL, *reasons = NULL;

	for (size_t i = 0; i < result->n_merged; i++) {
		const struct amend_merge_field *field = &result->merged[i];
		struct json_object *rival;

		cli_json_add(fields, field->column,
			     cli_json_text(amend_merge_from_name(field->from)));
		if (field->from == AMEND_FROM_NEITHER && field->why) {
			reasons = reasons ? reasons : json_object_new_object();
			cli_json_add(reasons, field->column, cli_json_text(field->why));
		}
		if (!field->at)
			continue;
		rivals = rivals ? rivals : json_object_new_object();
		rival = json_object_new_object();
		cli_json_add(rival, "by", cli_json_text(field->by));
		cli_json_add(rival, "at", cli_json_time(field->at));
		cli_json_add(rival, "because", cli_json_text(field->because));
		cli_json_add(rivals, field->column, rival);
	}
	cli_json_add(object, "merge", fields);
	if (reasons)
		cli_json_add(object, "reasons", reasons);
	if (rivals)
		cli_json_add(object, "rivals", rivals);
	cli_json_add(object, "conflict", cli_json_id(result->conflict));
}

static void print_json(struct cli_session *session, enum amend_status status,
		       const struct amend_result *result)
{
	const struct amend_table *table = session->table;
	struct json_object *object = json_object_new_object();
	bool gone = status != AMEND_OK && result->outcome == AMEND_IS_MISSING;

	cli_json_add(object, "outcome", cli_json_text(amend_outcome_name(result->outcome)));
	cli_json_add(object, "record", gone ? NULL : cli_json_record(table, result->record));
	cli_json_add(object, "version", cli_json_text(result->token));
	cli_json_add(object, "fields", cli_json_changes(table, result->changes, result->n_changes));
	cli_json_add(object, "revision", cli_json_id(result->revision));
	if (cli_takes(session->args, "once") && cli_has(session->args, "once")) {
		cli_json_add(object, "once", cli_json_text(result->once));
		cli_json_add(object, "repeated", cli_json_time(result->repeated));
	}
	if (cli_takes(session->args, "merge") && cli_has(session->args, "merge"))
		add_merge(object, result);
	if (result->outcome == AMEND_IS_STALE || result->n_merged > 0 || (gone && result->by)) {
		cli_json_add(object, "base", cli_json_record(table, result->base));
		cli_json_add(object, "current",
			     gone ? NULL : cli_json_record(table, result->record));
		cli_json_add(object, "incoming",
			     cli_json_fields(table, result->incoming, result->n_incoming));
		cli_json_add(object, "by", cli_json_text(result->by));
		cli_json_add(object, "at", cli_json_time(result->at));
		cli_json_add(object, "because", cli_json_text(result->because));
	}
	if (status != AMEND_OK)
		cli_json_add(object, "error", cli_json_error(&session->err));
	cli_json_print(object);
}

/* --- text --- */

static enum cli_ink ink_of(enum amend_outcome outcome)
{
	switch (outcome) {
	case AMEND_IS_CREATED:
	case AMEND_IS_UPDATED:
	case AMEND_IS_MERGED:
	case AMEND_IS_DELETED:
		return CLI_GOOD;
	case AMEND_IS_STALE:
	case AMEND_IS_MISSING:
	case AMEND_IS_LOCKED:
	case AMEND_IS_CONFLICT:
	case AMEND_IS_REJECTED:
		return CLI_BAD;
	case AMEND_IS_SKIPPED:
		return CLI_NOTE;
	case AMEND_IS_NOTHING:
	case AMEND_IS_FOUND:
	case AMEND_IS_UNCHANGED:
		break;
	}
	return CLI_PLAIN;
}

static void print_record(struct cli_session *session, const struct amend_value *record)
{
	struct cli_pool *pool = session->args->pool;
	const struct amend_table *table = session->table;
	size_t widest = 0;

	for (size_t i = 0; i < table->n_columns; i++) {
		size_t width = cli_width(cli_plain(pool, table->columns[i].name));

		widest = width > widest ? width : widest;
	}
	for (size_t i = 0; i < table->n_columns; i++) {
		const char *name = cli_plain(pool, table->columns[i].name);

		printf("  %s:%*s %s\n", name, (int)(widest - cli_width(name)), "",
		       cli_show(pool, &record[i], 0));
	}
}

/* base | current | incoming of the columns that are in question. */
static void print_sides(struct cli_session *session, const struct amend_result *result)
{
	enum { COLUMNS = 4, LONGEST = 40 };
	struct cli_pool *pool = session->args->pool;
	const struct amend_table *table = session->table;
	const char **cells = cli_alloc(pool, (table->n_columns + 1) * COLUMNS, sizeof(*cells));
	size_t rows = 1;

	cells[0] = "";
	cells[1] = "base";
	cells[2] = "current";
	cells[3] = "incoming";
	for (size_t i = 0; i < table->n_columns; i++) {
		const struct amend_value *base = result->base ? &result->base[i] : NULL;
		const struct amend_value *current = result->record ? &result->record[i] : NULL;
		const struct amend_value *incoming = wanted(result, table->columns[i].name, table);
		const char **row = cells + rows * COLUMNS;

		if (!incoming && !(base && current && !amend_value_equal(base, current)))
			continue;
		row[0] = cli_plain(pool, table->columns[i].name);
		row[1] = base ? cli_show(pool, base, LONGEST) : "?";
		row[2] = current ? cli_show(pool, current, LONGEST) : "";
		row[3] = incoming ? cli_show(pool, incoming, LONGEST) : "";
		rows++;
	}
	if (rows > 1)
		cli_table(stdout, "  ", cells, rows, COLUMNS);
}

/* What the changes do not show: what others did, and what is of both. */
static void print_merge(struct cli_session *session, const struct amend_result *result)
{
	struct cli_pool *pool = session->args->pool;

	for (size_t i = 0; i < result->n_merged; i++) {
		const struct amend_merge_field *field = &result->merged[i];
		int at = amend_table_column(session->table, field->column);
		const char *by = NULL;

		switch (field->from) {
		case AMEND_FROM_INCOMING:
			continue;
		case AMEND_FROM_CURRENT:
			by = "others, stays";
			break;
		case AMEND_FROM_BOTH:
			by = "both";
			break;
		case AMEND_FROM_SUM:
			by = "others, what you added is added to it";
			break;
		case AMEND_FROM_LINES:
			by = "others, merged line by line";
			break;
		case AMEND_FROM_KEYS:
			by = "others, merged key by key";
			break;
		case AMEND_FROM_NEITHER:
			if (field->why)
				printf("  %s: %s\n", cli_plain(pool, field->column),
				       cli_show_text(pool, field->why));
			continue;
		}
		if (at >= 0 && result->outcome != AMEND_IS_CONFLICT && result->base &&
		    result->record)
			printf("  %s changed by %s\n", cli_plain(pool, field->column), by);
	}
}

static void print_change(struct cli_pool *pool, const char *verb, const char *by, const char *at,
			 const char *because)
{
	/* Who writes to a guarded table need not say a name. */
	printf("%s by %s at %s", verb, *by ? cli_show_text(pool, by) : "somebody else",
	       cli_show_time(pool, at));
	if (because && *because)
		printf(": %s", cli_show_text(pool, because));
	printf("\n");
}

static void print_between(struct cli_session *session, const struct amend_result *result,
			  const char *verb)
{
	if (result->by && result->at)
		print_change(session->args->pool, verb, result->by, result->at, result->because);
}

/* Of a conflict each clashing field has its own; else, and where that is not known, the record's last. */
static void print_rivals(struct cli_session *session, const struct amend_result *result)
{
	struct cli_pool *pool = session->args->pool;
	bool any = false;

	for (size_t i = 0; i < result->n_merged; i++) {
		const struct amend_merge_field *field = &result->merged[i];

		if (field->from != AMEND_FROM_NEITHER || !field->by || !field->at)
			continue;
		any = true;
		print_change(pool, cli_format(pool, "  %s changed", cli_plain(pool, field->column)),
			     field->by, field->at, field->because);
	}
	if (!any)
		print_between(session, result, result->record ? "changed" : "deleted");
}

static void print_repeated(struct cli_session *session, const struct amend_result *result)
{
	if (result->repeated)
		printf("answered before, at %s: nothing was done again\n",
		       cli_show_time(session->args->pool, result->repeated));
}

static void print_text(struct cli_session *session, const struct cli_subject *subject,
		       const struct amend_result *result)
{
	struct cli_pool *pool = session->args->pool;

	cli_ink(stdout, ink_of(result->outcome), amend_outcome_name(result->outcome));
	printf(" %s %s", cli_plain(pool, subject->table), cli_plain(pool, subject->key));
	if (result->revision)
		printf(" (revision %lld)", (long long)result->revision);
	printf("\n");
	switch (result->outcome) {
	case AMEND_IS_FOUND:
		print_record(session, result->record);
		break;
	case AMEND_IS_STALE:
		print_sides(session, result);
		print_between(session, result, "changed");
		break;
	case AMEND_IS_MISSING:
		print_between(session, result, "deleted");
		break;
	case AMEND_IS_CONFLICT:
		print_sides(session, result);
		print_merge(session, result);
		print_rivals(session, result);
		break;
	case AMEND_IS_NOTHING:
	case AMEND_IS_CREATED:
	case AMEND_IS_UPDATED:
	case AMEND_IS_UNCHANGED:
	case AMEND_IS_MERGED:
	case AMEND_IS_DELETED:
	case AMEND_IS_LOCKED:
	case AMEND_IS_SKIPPED:
	case AMEND_IS_REJECTED:
		cli_print_changes(pool, stdout, "  ", result->changes, result->n_changes);
		print_merge(session, result);
		if (result->n_merged > 0)
			print_between(session, result, "changed");
		break;
	}
	print_repeated(session, result);
	if (result->outcome == AMEND_IS_STALE && subject->next)
		printf("next: %s\n", subject->next);
	else if (result->token)
		printf("version: %s\n", result->token);
	else if (result->no_token)
		printf("no version token: %s\n", cli_plain(pool, result->no_token));
	if (result->conflict && subject->settle)
		printf("next: %s %lld --take incoming (or current, or base)\n", subject->settle,
		       (long long)result->conflict);
}

/* Whose failure it is, where the engine's words do not say. */
static void say_where(struct cli_session *session, const struct cli_subject *subject,
		      const struct amend_result *result)
{
	struct cli_pool *pool = session->args->pool;
	const char *why = cli_copy(pool, session->err.text, strlen(session->err.text));

	switch (session->err.status) {
	case AMEND_INTERRUPTED:
		amend_error_set(&session->err, AMEND_INTERRUPTED,
				"interrupted; nothing was written");
		break;
	case AMEND_LOCKED:
	case AMEND_CONSTRAINT:
		amend_error_wrap(&session->err, "%s %s", subject->table, subject->key);
		break;
	case AMEND_OUTCOME_UNKNOWN:
		if (result->once && !cli_takes(session->args, "once"))
			amend_error_set(
				&session->err, AMEND_OUTCOME_UNKNOWN,
				"%s (hint: it is in, or it is not: amend once %s %s shows which)",
				why, cli_quote(pool, session->args->words[0]), result->once);
		else if (result->once)
			amend_error_set(
				&session->err, AMEND_OUTCOME_UNKNOWN,
				"%s (hint: it is in, or it is not: run again with --once %s, and "
				"it is done once)",
				why, cli_quote(pool, result->once));
		else
			amend_error_set(
				&session->err, AMEND_OUTCOME_UNKNOWN,
				"%s (hint: it is in, or it is not: amend log %s %s shows which)",
				why, cli_quote(pool, session->args->words[0]),
				cli_quote(pool, subject->table));
		break;
	case AMEND_OK:
	case AMEND_NOT_FOUND:
	case AMEND_STALE:
	case AMEND_EXISTS:
	case AMEND_CONFLICT:
	case AMEND_INVALID:
	case AMEND_RETRY:
	case AMEND_UNREACHABLE:
	case AMEND_DENIED:
	case AMEND_UNSUPPORTED:
	case AMEND_NO_MEMORY:
	case AMEND_INTERNAL:
		break;
	}
}

/* The refusal is that of the first time, whatever is there by now. */
static void say_repeated(struct cli_session *session, const struct amend_result *result)
{
	struct cli_pool *pool = session->args->pool;
	const enum amend_status status = session->err.status;

	amend_error_set(&session->err, status,
			"%s; answered before, at %s (hint: a new --once ID asks anew)",
			cli_copy(pool, session->err.text, strlen(session->err.text)),
			cli_show_time(pool, result->repeated));
}

bool cli_once_parse(const struct cli_args *args)
{
	const char *id = cli_value(args, "once");

	if (!id || *id)
		return true;
	cli_usage(args, "--once: expected an id, found nothing");
	return false;
}

const char *cli_once(const struct cli_args *args)
{
	const char *id = cli_value(args, "once");

	return id ? id : "";
}

/* The engine's message, and below it all that is in the way. */
static int print_refused(struct cli_session *session, const struct amend_result *result)
{
	int code;

	if (result->n_violations == 0)
		return cli_fail(session);
	if (cli_has(session->args, "json")) {
		struct json_object *object = json_object_new_object();

		cli_json_add(object, "error", cli_json_error(&session->err));
		cli_json_add(object, "violations",
			     cli_json_violations(session->table, result->violations,
						 result->n_violations));
		cli_json_print(object);
	}
	code = cli_complain_of(session);
	cli_print_violations(session->args->pool, session->err.text, result->violations,
			     result->n_violations);
	return code;
}

/* What was written and is rarely meant, as `amend sync` says it of a record. */
static void print_notes(struct cli_session *session, const struct cli_subject *subject,
			const struct amend_result *result)
{
	enum { LONGEST = 40 };
	struct cli_pool *pool = session->args->pool;
	const struct amend_table *table = session->table;

	for (size_t i = 0; i < result->n_changes && !result->repeated; i++) {
		const struct amend_change *change = &result->changes[i];
		int at = table ? amend_table_column(table, change->column) : -1;

		if (at < 0 ||
		    !amend_column_odd_text(session->db, &table->columns[at], &change->after))
			continue;
		cli_complain(
			"%s %s: note: column %s is %s, and \"%s\" is stored in it as text, as the "
			"database does (hint: a STRICT table, or a CHECK, refuses it)",
			subject->table, subject->key, change->column, table->columns[at].type,
			cli_show(pool, &change->after, LONGEST));
	}
}

int cli_print_result(struct cli_session *session, const struct cli_subject *subject,
		     enum amend_status status, const struct amend_result *result)
{
	bool json;

	cli_done(status);
	json = cli_has(session->args, "json");
	if (status != AMEND_OK)
		say_where(session, subject, result);
	if (status != AMEND_OK && result->repeated)
		say_repeated(session, result);
	if (status != AMEND_OK && !has_outcome(result->outcome))
		return print_refused(session, result);
	if (json)
		print_json(session, status, result);
	/* Where there is nothing to show beyond the message, the message is enough. */
	else if (status == AMEND_OK || result->outcome == AMEND_IS_STALE || result->conflict ||
		 (result->outcome == AMEND_IS_MISSING && result->by))
		print_text(session, subject, result);
	if (status != AMEND_OK)
		return cli_complain_of(session);
	print_notes(session, subject, result);
	return CLI_DONE;
}
