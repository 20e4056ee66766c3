/*
 * JSON and NDJSON: each object is a record, its members are its fields.
 * Leaves finding the objects to json_document.c, and what a field means to the columns it goes to.
 *
 * What the columns are is not written at a text's head: the first records are
 * read ahead, and their members are the columns.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "sync/hash.h"
#include "sync/json.h"
#include "sync/json_document.h"
#include "sync/source.h"

enum {
	AHEAD_RECORDS = 1000,  /* read for their members before the first is handed out ... */
	AHEAD_BYTES = 8 << 20, /* ... but no more bytes than that */
	SPARE = 8,             /* bytes behind a text */
};

struct json {
	struct amend_source *source;
	struct amend_json_document document;

	/* Read ahead: the texts, each with SPARE behind it, `text` counted from the first byte. */
	struct amend_buffer ahead;
	struct amend_json_text *held;
	size_t *held_at;
	size_t n_held, next_held;

	struct amend_hash index; /* name to where the number of its column is, in `numbers` */
	struct amend_arena numbers;
	struct amend_value *values;
	bool *absent;
	int64_t *seen; /* by column: the `stamp` of the last record that has it */
	int64_t stamp;
	size_t n_values;
	struct amend_buffer problem;
	bool learn;               /* members that are new become columns */
	enum amend_status status; /* not OK: why that failed */
};

static bool is_column(const struct json *json, size_t at, const char *name, size_t size)
{
	return at < json->n_values && strncmp(json->source->names[at], name, size) == 0 &&
	       json->source->names[at][size] == '\0';
}

/* 1 + the column of this name; 0: there is none. `hint` is likely. */
static size_t find_column(const struct json *json, size_t hint, const char *name, size_t size)
{
	const size_t *column;

	if (is_column(json, hint, name, size))
		return hint + 1;
	column = amend_hash_get(&json->index, name, size);
	return column ? 1 + *column : 0;
}

/* Room for a value of each of the source's names. */
static enum amend_status add_columns(struct json *json, struct amend_error *err)
{
	const struct amend_source *source = json->source;
	size_t n = source->n_names, room = n ? n : 1;
	struct amend_value *values = realloc(json->values, room * sizeof(*values));
	bool *absent = values ? realloc(json->absent, room * sizeof(*absent)) : NULL;
	int64_t *seen = absent ? realloc(json->seen, room * sizeof(*seen)) : NULL;

	json->values = values ? values : json->values;
	json->absent = absent ? absent : json->absent;
	if (!seen)
		return amend_no_memory(err);
	json->seen = seen;
	for (; json->n_values < n; json->n_values++) {
		const char *name = source->names[json->n_values];
		size_t *column = amend_arena_alloc(&json->numbers, sizeof(*column));
		void **slot = amend_hash_put(&json->index, name, strlen(name));

		if (!slot || !column)
			return amend_no_memory(err);
		*column = json->n_values;
		*slot = column;
		seen[json->n_values] = 0;
	}
	return AMEND_OK;
}

static void reject(struct json *json, const char *format, ...) AMEND_PRINTF(2, 3);

/* The first thing that is wrong with the record counts. */
static void reject(struct json *json, const char *format, ...)
{
	char text[256];
	va_list args;

	if (json->problem.size > 0)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	amend_buffer_text(&json->problem, text);
}

/* Puts the member into its column, or says why the record cannot be used. */
static void put_member(struct json *json, size_t *column, const char *name, size_t size,
		       const struct amend_value *value, const char *flaw)
{
	size_t found = find_column(json, *column, name, size);
	int shown = size < 64 ? (int)size : 64;

	if (found > 0)
		*column = found;
	if (flaw)
		reject(json, "member %.*s %s", shown, name, flaw);
	else if (value->size > AMEND_FIELD_LIMIT)
		reject(json, "member %.*s is longer than %d bytes", shown, name, AMEND_FIELD_LIMIT);
	else if (found == 0 && !json->source->only_named)
		reject(json,
		       "member %.*s is in none of the first %zu records, from which the columns "
		       "are known (hint: --columns COL,... names those to use)",
		       shown, name, json->n_held);
	if (found == 0)
		return;
	if (json->seen[found - 1] == json->stamp)
		reject(json, "member %.*s stands twice", shown, name);
	json->seen[found - 1] = json->stamp;
	json->values[found - 1] = *value;
}

/* What a member's name cannot be. */
static const char *name_flaw(const char *name, size_t size, const char *flaw)
{
	if (size == 0)
		return "is \"\"";
	return flaw ? flaw : memchr(name, '\0', size) ? "holds the character NUL" : NULL;
}

/*
 * The members of the object at `in`. False, with `in->problem`: it is not JSON. What is
 * JSON and yet no record goes to `problem`.
 */
static bool read_members(struct json *json, struct amend_json *in, struct amend_error *err)
{
	size_t column = 0;

	in->at++;
	if (amend_json_space(in) == '}') {
		in->at++;
		return true;
	}
	for (;; in->at++) {
		struct amend_value value;
		const char *name, *flaw, *unnamed;
		size_t size;
		char c;

		if (amend_json_space(in) != '"')
			return amend_json_expected(in, "a member's name");
		if (!amend_json_string_read(in, &name, &size, &flaw))
			return false;
		unnamed = name_flaw(name, size, flaw);
		if (unnamed)
			reject(json, "the name of a member %s", unnamed);
		if (amend_json_space(in) != ':')
			return amend_json_expected(in, "':'");
		in->at++;
		if (!amend_json_value_read(in, &value, &flaw))
			return false;
		if (unnamed)
			flaw = unnamed;
		else if (json->learn && !find_column(json, column, name, size)) {
			json->status = amend_source_add_name(json->source, name, size, err);
			if (json->status == AMEND_OK)
				json->status = add_columns(json, err);
			if (json->status != AMEND_OK)
				return true;
		}
		put_member(json, &column, name, size, &value, flaw);
		c = amend_json_space(in);
		if (c == '}')
			break;
		if (c != ',')
			return amend_json_expected(in, "',' or '}'");
	}
	in->at++;
	return true;
}

static enum amend_status not_json(struct json *json, const struct amend_json_text *text,
				  const struct amend_json *in, struct amend_error *err)
{
	long long column = (long long)amend_json_column(in);

	if (json->document.lines && text->cut)
		return amend_error_set(err, AMEND_UNREACHABLE,
				       "%s:%lld:%lld: %s, in a last line that does not end with a "
				       "newline: the input is cut off",
				       json->source->path, (long long)text->line, column,
				       in->problem);
	if (!json->document.lines)
		return amend_error_set(err, AMEND_INVALID, "%s:%lld:%lld: record %lld: %s",
				       json->source->path, (long long)in->line, column,
				       (long long)text->number, in->problem);
	reject(json, "column %lld: %s", column, in->problem);
	return AMEND_OK;
}

/* Reads the text as a record, into `values`. */
static enum amend_status read_record(struct json *json, const struct amend_json_text *text,
				     struct amend_source_record *out, struct amend_error *err)
{
	struct amend_json in = {.text = text->text,
				.end = text->size,
				.line = text->line,
				.line_at = 0 - (size_t)(text->column - 1)};
	struct amend_value ignored;
	const char *flaw;
	char room[16];
	bool fine;

	amend_buffer_reset(&json->problem);
	json->stamp++;
	if (amend_json_space(&in) == '{') {
		fine = read_members(json, &in, err);
	} else {
		reject(json, "expected an object, found %s", amend_json_found(&in, room));
		fine = amend_json_value_read(&in, &ignored, &flaw);
	}
	if (json->status != AMEND_OK)
		return json->status;
	if (fine && json->problem.size == 0 && amend_json_space(&in) != '\0')
		fine = amend_json_expected(&in, "the end of the line");
	if (!fine) {
		enum amend_status status;

		amend_buffer_reset(&json->problem);
		status = not_json(json, text, &in, err);
		if (status != AMEND_OK)
			return status;
	}
	for (size_t i = 0; i < json->n_values; i++) {
		json->absent[i] = json->seen[i] != json->stamp;
		if (json->absent[i])
			json->values[i] = amend_null();
	}
	if (json->problem.failed)
		return amend_no_memory(err);
	*out = (struct amend_source_record){
		.line = json->document.lines ? text->line : text->number,
		.fields = json->values,
		.absent = json->absent,
		.problem = json->problem.size ? json->problem.data : NULL,
	};
	return AMEND_OK;
}

static enum amend_status hold(struct json *json, const struct amend_json_text *text,
			      struct amend_error *err)
{
	static const char spare[SPARE];

	json->held_at[json->n_held] = json->ahead.size;
	json->held[json->n_held++] = *text;
	amend_buffer_add(&json->ahead, text->text, text->size);
	amend_buffer_add(&json->ahead, spare, sizeof(spare));
	return json->ahead.failed ? amend_no_memory(err) : AMEND_OK;
}

/* Lines that are no lines of NDJSON, and the file is something else: said once, not line by line. */
static enum amend_status check_lines(const struct json *json, const struct amend_json_text *text,
				     struct amend_error *err)
{
	size_t size = text->size;

	while (size > 1 && strchr(" \t\r", text->text[size - 1]))
		size--;
	if (text->text[0] != '[' && !(size == 1 && text->text[0] == '{'))
		return AMEND_OK;
	return amend_error_set(err, AMEND_INVALID,
			       "%s:%lld: expected an object in a line, found what looks like "
			       "a JSON document (hint: --format json)",
			       json->source->path, (long long)text->line);
}

/* Learns the columns. What is read for it is kept as it came, and read again. */
static enum amend_status read_ahead(struct json *json, struct amend_error *err)
{
	struct amend_source_record ignored;
	struct amend_json_text text;
	enum amend_status status = AMEND_OK;
	bool end = false;

	json->held = calloc(AHEAD_RECORDS, sizeof(*json->held));
	json->held_at = calloc(AHEAD_RECORDS, sizeof(*json->held_at));
	if (!json->held || !json->held_at)
		return amend_no_memory(err);
	json->learn = true;
	while (json->n_held < AHEAD_RECORDS && json->ahead.size < AHEAD_BYTES) {
		status = amend_json_document_next(&json->document, &text, &end, err);
		if (status != AMEND_OK || end)
			break;
		if (json->document.lines && text.number == 1)
			status = check_lines(json, &text, err);
		if (status == AMEND_OK)
			status = hold(json, &text, err);
		if (status == AMEND_OK)
			status = read_record(json, &text, &ignored, err);
		if (status != AMEND_OK)
			break;
	}
	json->learn = false;
	json->source->open = !end || json->n_held == 0;
	return status;
}

static enum amend_status next_json(struct amend_source *source, struct amend_source_record *out,
				   bool *end, struct amend_error *err)
{
	struct json *json = source->state;
	struct amend_json_text text;
	enum amend_status status = AMEND_OK;

	*end = false;
	if (json->n_values < source->n_names)
		status = add_columns(json, err);
	if (status == AMEND_OK && json->next_held < json->n_held) {
		text = json->held[json->next_held];
		text.text = json->ahead.data + json->held_at[json->next_held++];
		return read_record(json, &text, out, err);
	}
	amend_buffer_release(&json->ahead);
	if (status == AMEND_OK)
		status = amend_json_document_next(&json->document, &text, end, err);
	return status == AMEND_OK && !*end ? read_record(json, &text, out, err) : status;
}

static void close_json(struct amend_source *source)
{
	struct json *json = source->state;

	amend_json_document_release(&json->document);
	amend_buffer_release(&json->ahead);
	amend_buffer_release(&json->problem);
	amend_hash_release(&json->index);
	amend_arena_release(&json->numbers);
	free(json->held);
	free(json->held_at);
	free(json->values);
	free(json->absent);
	free(json->seen);
	free(json);
}

static const struct amend_source_ops json_ops = {next_json, close_json};

enum amend_status amend_source_json(struct amend_source *source, bool lines, const char *path,
				    struct amend_error *err)
{
	struct json *json = calloc(1, sizeof(*json));
	enum amend_status status;

	if (!json)
		return amend_no_memory(err);
	source->ops = &json_ops;
	source->state = json;
	source->numbers_records = !lines;
	json->source = source;
	status = amend_json_document_init(&json->document, source, path ? path : "", lines, err);
	if (status == AMEND_OK)
		status = add_columns(json, err);
	return status == AMEND_OK ? read_ahead(json, err) : status;
}
