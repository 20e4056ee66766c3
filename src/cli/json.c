/*
 * Values as JSON and back, with json-c; numbers keep their text.
 * Leaves which fields an object has to the commands.
 */
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "complain.h"
#include "plain.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* json-c returns NULL for null and when memory is out: the callers of these know that it is not null. */
static struct json_object *there(struct json_object *object)
{
	if (!object)
		cli_no_memory();
	return object;
}

void cli_json_add(struct json_object *object, const char *name, struct json_object *value)
{
	if (json_object_object_add(object, name, value) != 0)
		there(NULL);
}

void cli_json_print(struct json_object *object)
{
	puts(there(object) ? json_object_to_json_string_ext(
				     object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
			   : "");
	json_object_put(object);
}

/* --- reading --- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void cli_json_trim(const char **text, size_t *size)
{
	while (*size > 0 && is_blank(**text)) {
		++*text;
		--*size;
	}
	while (*size > 0 && is_blank((*text)[*size - 1]))
		--*size;
}

static size_t digits(const char *text, size_t size, size_t at)
{
	while (at < size && text[at] >= '0' && text[at] <= '9')
		at++;
	return at;
}

bool cli_json_is_number(const char *text, size_t size)
{
	size_t at = size > 0 && text[0] == '-', end = digits(text, size, at);

	if (end == at || (text[at] == '0' && end > at + 1))
		return false;
	if (end < size && text[end] == '.') {
		at = end + 1;
		end = digits(text, size, at);
		if (end == at)
			return false;
	}
	if (end < size && (text[end] == 'e' || text[end] == 'E')) {
		at = end + 1;
		at += at < size && (text[at] == '+' || text[at] == '-');
		end = digits(text, size, at);
		if (end == at)
			return false;
	}
	return end == size;
}

bool cli_json_parse(const char *text, size_t size, struct json_object **out, const char **problem,
		    size_t *at)
{
	enum { DEEPEST = 1000 };
	struct json_tokener *tokener;
	enum json_tokener_error error;

	*out = NULL;
	*at = 0;
	*problem = "nothing that JSON begins with";
	if (size == 0 || size > INT32_MAX || !strchr("{[\"-0123456789tfn", text[0]))
		return false;
	/* json-c takes more than JSON has: 01, 1. */
	*problem = "no number as JSON has it";
	if (strchr("-0123456789", text[0]) && !cli_json_is_number(text, size))
		return false;
	tokener = json_tokener_new_ex(DEEPEST);
	if (!tokener)
		there(NULL);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	*out = json_tokener_parse_ex(tokener, text, (int)size);
	error = json_tokener_get_error(tokener);
	/* A number at the end may go on: what follows says that it does not. */
	if (error == json_tokener_continue) {
		*out = json_tokener_parse_ex(tokener, " ", 1);
		error = json_tokener_get_error(tokener);
		*at = size;
	} else {
		*at = json_tokener_get_parse_end(tokener);
	}
	*problem = error == json_tokener_continue ? "it ends too early"
						  : json_tokener_error_desc(error);
	if (error == json_tokener_success && *at != size) {
		*problem = "something behind its end";
		error = json_tokener_error_parse_unexpected;
	}
	json_tokener_free(tokener);
	if (error == json_tokener_success)
		return true;
	json_object_put(*out);
	*out = NULL;
	return false;
}

/* All of it: groups of four letters, the last one cut or filled up with =, and no bit left over. */
static bool decode(const char *text, size_t size, char *bytes, size_t *n)
{
	unsigned bits = 0, held = 0;
	size_t padding = 0;

	while (padding < size && padding < 2 && text[size - 1 - padding] == '=')
		padding++;
	if (padding > 0 && size % 4 != 0)
		return false;
	*n = 0;
	for (size_t i = 0; i < size - padding; i++) {
		const char *letter = text[i] ? strchr(letters, text[i]) : NULL;

		if (!letter)
			return false;
		bits = (bits << 6 | (unsigned)(letter - letters)) & 0xffff;
		held += 6;
		if (held >= 8) {
			held -= 8;
			bytes[(*n)++] = (char)(bits >> held & 0xff);
		}
	}
	return held < 6 && (bits & ((1u << held) - 1)) == 0;
}

enum cli_bytes cli_json_bytes(struct cli_pool *pool, struct json_object *object,
			      struct amend_value *out)
{
	struct json_object *value = NULL;
	char *bytes;
	size_t size, n;

	if (!json_object_object_get_ex(object, "base64", &value))
		return CLI_NO_BYTES;
	if (json_object_object_length(object) != 1 || !json_object_is_type(value, json_type_string))
		return CLI_BROKEN_BYTES;
	size = (size_t)json_object_get_string_len(value);
	bytes = cli_alloc(pool, size, 1);
	if (!decode(json_object_get_string(value), size, bytes, &n))
		return CLI_BROKEN_BYTES;
	*out = amend_blob(bytes, n);
	return CLI_BYTES;
}

/* --- writing --- */

void cli_json_real(double real, char *text, size_t room)
{
	size_t size;

	for (int precision = 15; precision <= 17; precision++) {
		snprintf(text, room, "%.*g", precision, real);
		if (strtod(text, NULL) == real)
			break;
	}
	size = strlen(text);
	if (text[strspn(text, "-0123456789")] == '\0')
		snprintf(text + size, room - size, ".0");
}

/* `raw` is printed as it stands. */
static struct json_object *verbatim(const char *raw, size_t size)
{
	struct json_object *object = there(json_object_new_object());
	char *copy = strndup(raw, size);

	if (!copy)
		there(NULL);
	json_object_set_serializer(object, json_object_userdata_to_json_string, copy,
				   json_object_free_userdata);
	return object;
}

static struct json_object *string(const char *text, size_t size)
{
	return there(json_object_new_string_len(text, (int)size));
}

static struct json_object *base64(const unsigned char *bytes, size_t size)
{
	struct json_object *object = there(json_object_new_object());
	char *text = calloc(size / 3 + 1, 4 + 1), *to = text;

	if (!text)
		there(NULL);
	for (size_t i = 0; i < size; i += 3) {
		unsigned a = bytes[i], b = i + 1 < size ? bytes[i + 1] : 0,
			 c = i + 2 < size ? bytes[i + 2] : 0;

		*to++ = letters[a >> 2];
		*to++ = letters[(a & 3) << 4 | b >> 4];
		*to++ = i + 1 < size ? letters[(b & 15) << 2 | c >> 6] : '=';
		*to++ = i + 2 < size ? letters[c & 63] : '=';
	}
	cli_json_add(object, "base64", string(text, (size_t)(to - text)));
	free(text);
	return object;
}

/* PostgreSQL prints bytes as \x and hexadecimal digits. */
static struct json_object *hex_bytes(const char *text, size_t size)
{
	struct json_object *object;
	unsigned char *bytes = NULL;
	size_t n = size / 2 - 1;

	if (size < 2 || size % 2 || memcmp(text, "\\x", 2) != 0)
		return NULL;
	bytes = calloc(n + 1, 1);
	if (!bytes)
		there(NULL);
	for (size_t i = 0; i < n; i++) {
		char pair[3] = {text[2 + 2 * i], text[3 + 2 * i], '\0'}, *end;

		bytes[i] = (unsigned char)strtoul(pair, &end, 16);
		if (*end) {
			free(bytes);
			return NULL;
		}
	}
	object = base64(bytes, n);
	free(bytes);
	return object;
}

static bool is_utf8(const char *text, size_t size)
{
	const char *end = text + size;
	uint32_t point;

	while (text < end) {
		size_t bytes = cli_utf8(text, end, &point);

		if (bytes == 0)
			return false;
		text += bytes;
	}
	return true;
}

/* The document without the blanks between its parts, on one line; NULL when it is not JSON. */
static struct json_object *document(const char *text, size_t size)
{
	struct json_object *parsed = NULL, *object;
	const char *problem;
	char *copy, *to;
	bool inside = false;
	size_t at;

	cli_json_trim(&text, &size);
	if (!cli_json_parse(text, size, &parsed, &problem, &at))
		return NULL;
	json_object_put(parsed);
	to = copy = calloc(size + 1, 1);
	if (!copy)
		there(NULL);
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '"')
			inside = !inside;
		if (!inside && is_blank(text[i]))
			continue;
		if (inside && text[i] == '\\')
			*to++ = text[i++];
		*to++ = text[i];
	}
	object = verbatim(copy, (size_t)(to - copy));
	free(copy);
	return object;
}

static struct json_object *text_as(const char *text, size_t size, enum amend_class class_)
{
	struct json_object *object = NULL;

	switch (class_) {
	case AMEND_CLASS_INTEGER:
	case AMEND_CLASS_NUMBER:
	case AMEND_CLASS_REAL:
		if (cli_json_is_number(text, size))
			object = verbatim(text, size);
		break;
	case AMEND_CLASS_BOOLEAN:
		if (size == 1 && (*text == 't' || *text == 'f'))
			object = there(json_object_new_boolean(*text == 't'));
		break;
	case AMEND_CLASS_BLOB:
		object = hex_bytes(text, size);
		break;
	case AMEND_CLASS_JSON:
		object = document(text, size);
		break;
	case AMEND_CLASS_TEXT:
	case AMEND_CLASS_TIME:
	case AMEND_CLASS_ANY:
	case AMEND_CLASS_OTHER:
		break;
	}
	if (object)
		return object;
	return is_utf8(text, size) ? string(text, size) : base64((const unsigned char *)text, size);
}

static struct json_object *real_as(double real)
{
	char text[64];

	if (isnan(real) || isinf(real))
		return there(json_object_new_string(isnan(real) ? "NaN"
						    : real > 0  ? "Infinity"
								: "-Infinity"));
	cli_json_real(real, text, sizeof(text));
	return verbatim(text, strlen(text));
}

struct json_object *cli_json_value(const struct amend_value *value, const struct amend_table *table,
				   const char *column)
{
	int i = table && column ? amend_table_column(table, column) : -1;
	enum amend_class class_ = i < 0 ? AMEND_CLASS_OTHER : table->columns[i].class_;

	switch (value->kind) {
	case AMEND_NULL:
		return NULL;
	case AMEND_INTEGER:
		if (class_ == AMEND_CLASS_BOOLEAN &&
		    (value->as.integer == 0 || value->as.integer == 1))
			return there(json_object_new_boolean(value->as.integer == 1));
		return there(json_object_new_int64(value->as.integer));
	case AMEND_REAL:
		return real_as(value->as.real);
	case AMEND_TEXT:
		return text_as(value->as.text, value->size, class_);
	case AMEND_BLOB:
		return base64(value->as.blob, value->size);
	}
	return NULL;
}

struct json_object *cli_json_record(const struct amend_table *table,
				    const struct amend_value *record)
{
	struct json_object *object;

	if (!record)
		return NULL;
	object = there(json_object_new_object());
	for (size_t i = 0; i < table->n_columns; i++)
		cli_json_add(object, table->columns[i].name,
			     cli_json_value(&record[i], table, table->columns[i].name));
	return object;
}

struct json_object *cli_json_fields(const struct amend_table *table,
				    const struct amend_field *fields, size_t n)
{
	struct json_object *object = there(json_object_new_object());

	for (size_t i = 0; i < n; i++)
		cli_json_add(object, fields[i].column,
			     cli_json_value(&fields[i].value, table, fields[i].column));
	return object;
}

struct json_object *cli_json_changes(const struct amend_table *table,
				     const struct amend_change *changes, size_t n)
{
	struct json_object *object = there(json_object_new_object());

	for (size_t i = 0; i < n; i++) {
		struct json_object *change = there(json_object_new_object());

		cli_json_add(change, "old",
			     cli_json_value(&changes[i].before, table, changes[i].column));
		cli_json_add(change, "new",
			     cli_json_value(&changes[i].after, table, changes[i].column));
		cli_json_add(object, changes[i].column, change);
	}
	return object;
}

struct json_object *cli_json_conflict(const struct amend_table *table,
				      const struct amend_conflict_field *fields, size_t n)
{
	struct json_object *object = there(json_object_new_object());

	for (size_t i = 0; i < n; i++) {
		const struct amend_conflict_field *field = &fields[i];
		struct json_object *sides = there(json_object_new_object());

		if (field->has_base)
			cli_json_add(sides, "base",
				     cli_json_value(&field->base, table, field->column));
		cli_json_add(sides, "current",
			     cli_json_value(&field->current, table, field->column));
		cli_json_add(sides, "incoming",
			     cli_json_value(&field->incoming, table, field->column));
		cli_json_add(object, field->column, sides);
	}
	return object;
}

struct json_object *cli_json_text(const char *text)
{
	return text ? text_as(text, strlen(text), AMEND_CLASS_TEXT) : NULL;
}

struct json_object *cli_json_time(const char *at)
{
	char text[64];

	if (!at || strlen(at) > sizeof(text) - 2)
		return cli_json_text(at);
	snprintf(text, sizeof(text), "%sZ", at);
	if (strlen(text) > 10 && text[10] == ' ')
		text[10] = 'T';
	return cli_json_text(text);
}

struct json_object *cli_json_id(int64_t id)
{
	return id ? there(json_object_new_int64(id)) : NULL;
}

struct json_object *cli_json_error(const struct amend_error *err)
{
	struct json_object *object = there(json_object_new_object());
	struct cli_pool pool = CLI_POOL_INIT;

	cli_json_add(object, "status", cli_json_text(amend_status_name(err->status)));
	cli_json_add(object, "text", cli_json_text(cli_hide(&pool, err->text)));
	cli_pool_release(&pool);
	return object;
}
