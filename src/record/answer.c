/*
 * The answer to a single write as bytes, to be given again to who repeats it.
 * Leaves when that is to once.c.
 */
#include "record/answer.h"

#include <stdio.h>
#include <string.h>

static void add_text(struct amend_buffer *pack, const char *name, const char *text)
{
	const struct amend_value value = amend_text(text);

	amend_pack_add(pack, name, &value);
}

static void add_number(struct amend_buffer *pack, const char *name, int64_t number)
{
	const struct amend_value value = amend_integer(number);

	amend_pack_add(pack, name, &value);
}

/* How many follow, -1: there is none; then a record's values under their columns' names. */
static void add_record(struct amend_buffer *pack, const char *name, const struct amend_table *table,
		       const struct amend_value *values)
{
	add_number(pack, name, values ? (int64_t)table->n_columns : -1);
	for (size_t i = 0; values && i < table->n_columns; i++)
		amend_pack_add(pack, table->columns[i].name, &values[i]);
}

void amend_answer_write(struct amend_buffer *pack, const struct amend_table *table,
			enum amend_status status, const struct amend_error *err,
			const struct amend_result *result)
{
	bool refused = status != AMEND_OK;

	add_text(pack, "status", amend_status_name(status));
	add_text(pack, "outcome", amend_outcome_name(result->outcome));
	add_text(pack, "sqlstate", refused ? err->sqlstate : "");
	add_text(pack, "text", refused ? err->text : "");
	add_number(pack, "revision", result->revision);
	add_text(pack, "token", result->token);
	add_text(pack, "no token", result->no_token);
	add_text(pack, "by", result->by);
	add_text(pack, "at", result->at);
	add_text(pack, "because", result->because);
	add_record(pack, "record", table, result->record);
	add_record(pack, "base", table, result->base);
	add_number(pack, "incoming", (int64_t)result->n_incoming);
	for (size_t i = 0; i < result->n_incoming; i++)
		amend_pack_add(pack, result->incoming[i].column, &result->incoming[i].value);
	add_number(pack, "changes", (int64_t)result->n_changes);
	for (size_t i = 0; i < result->n_changes; i++) {
		amend_pack_add(pack, result->changes[i].column, &result->changes[i].before);
		amend_pack_add(pack, result->changes[i].column, &result->changes[i].after);
	}
	add_number(pack, "merged", (int64_t)result->n_merged);
	for (size_t i = 0; i < result->n_merged; i++) {
		add_text(pack, result->merged[i].column,
			 amend_merge_from_name(result->merged[i].from));
		add_text(pack, "why", result->merged[i].why);
	}
	add_number(pack, "conflict", result->conflict);
	for (size_t i = 0; i < result->n_merged; i++) {
		add_text(pack, "by", result->merged[i].by);
		add_text(pack, "at", result->merged[i].at);
		add_text(pack, "because", result->merged[i].because);
	}
}

/* ---- the way back ---- */

struct reading {
	struct amend_pack_reader pack;
	struct amend_arena *arena;
	const struct amend_table *table;
	bool bad; /* sticky: damaged, or no memory */
};

/* The next entry, copied. */
static struct amend_value next(struct reading *reading, const char **name)
{
	struct amend_value value = {.kind = AMEND_NULL}, copy = {.kind = AMEND_NULL};
	const char *found = NULL;
	size_t size = 0;

	*name = "";
	if (reading->bad || !amend_pack_next(&reading->pack, &found, &size, &value) ||
	    !amend_arena_value(reading->arena, &value, &copy)) {
		reading->bad = true;
		return copy;
	}
	*name = amend_arena_text_n(reading->arena, found, size);
	reading->bad = !*name;
	return copy;
}

static struct amend_value take(struct reading *reading, const char *expected)
{
	const char *name;
	struct amend_value value = next(reading, &name);

	reading->bad = reading->bad || strcmp(name, expected) != 0;
	return value;
}

static const char *take_text(struct reading *reading, const char *expected)
{
	struct amend_value value = take(reading, expected);

	return !reading->bad && value.kind == AMEND_TEXT ? value.as.text : NULL;
}

/* Of something that follows: no more than the bytes that are left. */
static int64_t take_number(struct reading *reading, const char *expected, bool counts)
{
	struct amend_value value = take(reading, expected);
	int64_t number = value.kind == AMEND_INTEGER ? value.as.integer : 0;

	reading->bad = reading->bad || value.kind != AMEND_INTEGER ||
		       (counts && number > reading->pack.end - reading->pack.at);
	return reading->bad ? 0 : number;
}

/* NULL: there was none; or the table has other columns by now, and nobody knows those. */
static const struct amend_value *take_record(struct reading *reading, const char *expected)
{
	int64_t n = take_number(reading, expected, true);
	struct amend_value *values;
	size_t known = 0;

	if (n < 0 || reading->bad)
		return NULL;
	values = amend_arena_array(reading->arena, reading->table->n_columns, sizeof(*values));
	reading->bad = !values;
	for (int64_t i = 0; i < n && !reading->bad; i++) {
		const char *name;
		const struct amend_value value = next(reading, &name);
		int at = amend_table_column(reading->table, name);

		if (at < 0 || reading->bad)
			continue;
		values[at] = value;
		known++;
	}
	return known == reading->table->n_columns ? values : NULL;
}

static void take_incoming(struct reading *reading, struct amend_result *result)
{
	int64_t n = take_number(reading, "incoming", true);
	struct amend_field *fields;

	if (n <= 0 || reading->bad)
		return;
	fields = amend_arena_array(reading->arena, (size_t)n, sizeof(*fields));
	reading->bad = !fields;
	for (int64_t i = 0; i < n && !reading->bad; i++)
		fields[i].value = next(reading, &fields[i].column);
	result->incoming = fields;
	result->n_incoming = fields ? (size_t)n : 0;
}

static void take_changes(struct reading *reading, struct amend_result *result)
{
	int64_t n = take_number(reading, "changes", true);
	struct amend_change *changes;

	if (n <= 0 || reading->bad)
		return;
	changes = amend_arena_array(reading->arena, (size_t)n, sizeof(*changes));
	reading->bad = !changes;
	for (int64_t i = 0; i < n && !reading->bad; i++) {
		changes[i].before = next(reading, &changes[i].column);
		changes[i].after = next(reading, &changes[i].column);
	}
	result->changes = changes;
	result->n_changes = changes ? (size_t)n : 0;
}

/* Names, not numbers, are stored: numbers may move. */
static bool status_of(const char *name, enum amend_status *status)
{
	for (int i = AMEND_OK; name && i <= AMEND_INTERNAL; i++) {
		*status = (enum amend_status)i;
		if (strcmp(amend_status_name(*status), name) == 0)
			return true;
	}
	return false;
}

static bool outcome_of(const char *name, enum amend_outcome *outcome)
{
	for (int i = AMEND_IS_NOTHING; name && i <= AMEND_IS_REJECTED; i++) {
		*outcome = (enum amend_outcome)i;
		if (strcmp(amend_outcome_name(*outcome), name) == 0)
			return true;
	}
	return false;
}

static bool from_of(const char *name, enum amend_merge_from *from)
{
	for (int i = AMEND_FROM_CURRENT; name && i <= AMEND_FROM_NEITHER; i++) {
		*from = (enum amend_merge_from)i;
		if (strcmp(amend_merge_from_name(*from), name) == 0)
			return true;
	}
	return false;
}

/* What was answered before there was merging ends here. */
static void take_merge(struct reading *reading, struct amend_result *result)
{
	struct amend_merge_field *fields;
	int64_t n;

	if (reading->bad || reading->pack.at == reading->pack.end)
		return;
	n = take_number(reading, "merged", true);
	fields = amend_arena_array(reading->arena, (size_t)(n > 0 ? n : 0), sizeof(*fields));
	reading->bad = reading->bad || !fields;
	for (int64_t i = 0; i < n && !reading->bad; i++) {
		const struct amend_value from = next(reading, &fields[i].column);

		fields[i].why = take_text(reading, "why");
		reading->bad = reading->bad || from.kind != AMEND_TEXT ||
			       !from_of(from.as.text, &fields[i].from);
	}
	result->merged = fields;
	result->n_merged = fields && n > 0 ? (size_t)n : 0;
	result->conflict = take_number(reading, "conflict", false);
	/* Older answers do not tell whose the fields are. */
	if (!reading->bad && reading->pack.at == reading->pack.end)
		return;
	for (int64_t i = 0; i < n && !reading->bad; i++) {
		fields[i].by = take_text(reading, "by");
		fields[i].at = take_text(reading, "at");
		fields[i].because = take_text(reading, "because");
	}
}

enum amend_status amend_answer_read(const void *answer, size_t size,
				    const struct amend_table *table, struct amend_arena *arena,
				    struct amend_result *result, struct amend_error *err)
{
	const unsigned char *bytes = answer;
	struct reading reading = {.arena = arena, .table = table};
	enum amend_status status = AMEND_INTERNAL;
	const char *state, *text;

	if (bytes)
		reading.pack = (struct amend_pack_reader){bytes, bytes + size};
	reading.bad = !bytes || !status_of(take_text(&reading, "status"), &status) ||
		      !outcome_of(take_text(&reading, "outcome"), &result->outcome);
	state = take_text(&reading, "sqlstate");
	text = take_text(&reading, "text");
	result->revision = take_number(&reading, "revision", false);
	result->token = take_text(&reading, "token");
	result->no_token = take_text(&reading, "no token");
	result->by = take_text(&reading, "by");
	result->at = take_text(&reading, "at");
	result->because = take_text(&reading, "because");
	result->record = take_record(&reading, "record");
	result->base = take_record(&reading, "base");
	take_incoming(&reading, result);
	take_changes(&reading, result);
	take_merge(&reading, result);
	if (reading.bad || !state || !text)
		return amend_error_set(err, AMEND_INTERNAL,
				       "the stored answer of the operation cannot be read");
	if (status == AMEND_OK)
		return AMEND_OK;
	amend_error_set(err, status, "%s", text);
	snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", state);
	return status;
}
