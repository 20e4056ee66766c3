/*
 * Many rows of parameters as arrays, one parameter a column: for engines with ARRAYS, which is PostgreSQL's syntax.
 * Leaves the statement around them to the callers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/json_text.h"
#include "core/rows.h"
#include "sql/sql.h"

static const struct amend_value *element(const struct amend_sql_array *array, size_t row)
{
	return array->values + row * array->stride;
}

/* --- {"a","b",NULL} ----------------------------------------------------- */

/* How much a value takes at most, with its quotes and what parts it from the next. */
static size_t most(const struct amend_value *value)
{
	switch (value->kind) {
	case AMEND_NULL:
	case AMEND_INTEGER:
	case AMEND_REAL:
		break;
	case AMEND_TEXT:
	case AMEND_BLOB:
		return value->size < SIZE_MAX / 4 ? 2 * value->size + 6 : SIZE_MAX / 2;
	}
	return AMEND_REAL_TEXT + 1;
}

static char *put_plain(char *to, const char *text, size_t size)
{
	memcpy(to, text, size);
	return to + size;
}

/* Quoted whatever it is: then only the quote and the backslash have a meaning in it. */
static char *put_text(char *to, const char *text, size_t size)
{
	*to++ = '"';
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '"' || text[i] == '\\')
			*to++ = '\\';
		*to++ = text[i];
	}
	*to++ = '"';
	return to;
}

static char *put_bytes(char *to, const unsigned char *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";

	to = put_plain(to, "\"\\\\x", 4);
	for (size_t i = 0; i < size; i++) {
		*to++ = digits[bytes[i] >> 4];
		*to++ = digits[bytes[i] & 15];
	}
	*to++ = '"';
	return to;
}

static char *put(char *to, const struct amend_value *value)
{
	switch (value->kind) {
	case AMEND_NULL:
		return put_plain(to, "NULL", 4);
	case AMEND_INTEGER:
		return to + snprintf(to, AMEND_REAL_TEXT, "%" PRId64, value->as.integer);
	case AMEND_REAL:
		amend_real_text(to, value->as.real);
		return to + strlen(to);
	case AMEND_TEXT:
		return put_text(to, value->as.text, value->size);
	case AMEND_BLOB:
		return put_bytes(to, value->as.blob, value->size);
	}
	return to;
}

static void add_literal(struct amend_sql *sql, const struct amend_sql_array *array, size_t n_rows,
			char delimiter)
{
	size_t size = 3;
	struct amend_value literal;
	char *text = NULL, *to;

	for (size_t i = 0; i < n_rows && size < SIZE_MAX / 2; i++)
		size += most(element(array, i));
	if (size < SIZE_MAX / 2)
		text = amend_arena_alloc(&sql->kept, size);
	if (!text) {
		sql->text.failed = true;
		return;
	}
	to = text;
	*to++ = '{';
	for (size_t i = 0; i < n_rows; i++) {
		if (i > 0)
			*to++ = delimiter;
		to = put(to, element(array, i));
	}
	*to++ = '}';
	*to = '\0';
	literal = amend_text_n(text, (size_t)(to - text));
	amend_sql_value(sql, &literal);
}

/* --- the same as PostgreSQL's wire has it: nothing to quote, and to parse there --- */

enum { BINARY_MOST = 64, BINARY_HEAD = 20, BINARY_LENGTH = 4 };

/* The number of the elements' type; 0: they are sent as text. */
static unsigned number_of(const struct amend_sql *sql, const struct amend_sql_array *array,
			  enum amend_kind *kind)
{
	const struct amend_dialect *dialect = sql->dialect;
	const char *type = array->column ? array->column->cast : array->type;

	if (strcmp(type, dialect->text_type) == 0) {
		*kind = AMEND_TEXT;
		return dialect->text_number;
	}
	if (array->column)
		return 0;
	*kind = strcmp(type, dialect->bytes_type) == 0 ? AMEND_BLOB : AMEND_INTEGER;
	if (*kind == AMEND_BLOB)
		return dialect->bytes_number;
	return strcmp(type, dialect->integer_type) == 0 ? dialect->integer_number : 0;
}

/* 0: there is one that is of another kind, or that only text refuses in a line of its own. */
static size_t binary_size(const struct amend_sql_array *array, size_t n_rows, enum amend_kind kind)
{
	size_t size = BINARY_HEAD;

	for (size_t i = 0; i < n_rows; i++) {
		const struct amend_value *value = element(array, i);
		size_t own = kind == AMEND_INTEGER ? 8 : value->size;

		if (value->kind == AMEND_NULL)
			own = 0;
		else if (value->kind != kind || own > INT32_MAX / 2 - size)
			return 0;
		if (value->kind == AMEND_TEXT && own > 0 && memchr(value->as.text, '\0', own))
			return 0;
		size += BINARY_LENGTH + own;
		if (size > INT32_MAX / 2)
			return 0;
	}
	return size;
}

static char *put_bits(char *to, uint64_t bits, unsigned n_bytes)
{
	for (unsigned i = n_bytes; i-- > 0;)
		*to++ = (char)(unsigned char)(bits >> 8 * i);
	return to;
}

/* False: it cannot be, and goes as text. */
static bool add_binary(struct amend_sql *sql, const struct amend_sql_array *array, size_t n_rows)
{
	enum amend_kind kind = AMEND_NULL;
	unsigned number = number_of(sql, array, &kind);
	size_t size = number && n_rows > 0 ? binary_size(array, n_rows, kind) : 0;
	struct amend_value literal;
	char *bytes, *to;

	if (size == 0 || sql->n_values >= BINARY_MOST)
		return false;
	bytes = amend_arena_alloc(&sql->kept, size);
	if (!bytes) {
		sql->text.failed = true;
		return true;
	}
	/* Of one dimension, perhaps with NULL in it; so many elements, the first of them 1. */
	to = put_bits(put_bits(put_bits(bytes, 1, 4), 1, 4), number, 4);
	to = put_bits(put_bits(to, n_rows, 4), 1, 4);
	for (size_t i = 0; i < n_rows; i++) {
		const struct amend_value *value = element(array, i);

		if (value->kind == AMEND_NULL) {
			to = put_bits(to, UINT32_MAX, 4);
		} else if (value->kind == AMEND_INTEGER) {
			to = put_bits(put_bits(to, 8, 4), (uint64_t)value->as.integer, 8);
		} else {
			to = put_bits(to, value->size, 4);
			to = value->size > 0 ? put_plain(to, value->as.text, value->size) : to;
		}
	}
	literal = amend_blob(bytes, size);
	sql->binary |= UINT64_C(1) << sql->n_values;
	amend_sql_value(sql, &literal);
	return true;
}

/*
 * A SELECT hides the array from the planner: knowing how long it is, it would
 * rather read the whole table and hash it than look up each row by its index.
 */
static void unnest(struct amend_sql *sql, const struct amend_sql_array *array, size_t n_rows)
{
	amend_sql_text(sql, array->lookup ? "pg_catalog.unnest((SELECT " : "pg_catalog.unnest(");
	if (!add_binary(sql, array, n_rows))
		add_literal(sql, array, n_rows, array->column ? array->column->delimiter : ',');
	amend_sql_text(sql, "::");
	amend_sql_text(sql, array->column ? array->column->cast : array->type);
	amend_sql_text(sql, array->lookup ? "[]))" : "[])");
}

/* --- [{"v":"{1,2}"},{"v":null}] ------------------------------------------ */

static void add_json(struct amend_buffer *json, const struct amend_value *value)
{
	char number[AMEND_REAL_TEXT];

	amend_buffer_text(json, "{\"v\":");
	switch (value->kind) {
	case AMEND_NULL:
		amend_buffer_text(json, "null");
		break;
	case AMEND_INTEGER:
		amend_buffer_printf(json, "\"%" PRId64 "\"", value->as.integer);
		break;
	case AMEND_REAL:
		amend_real_text(number, value->as.real);
		amend_json_string(json, number, strlen(number));
		break;
	case AMEND_TEXT:
		/* A NUL would be spelled out: the driver refuses it as a byte. */
		if (value->size > 0 && memchr(value->as.text, '\0', value->size))
			amend_buffer_char(json, '\0');
		amend_json_string(json, value->as.text, value->size);
		break;
	case AMEND_BLOB:
		/* No type without arrays takes bytes. */
		json->failed = true;
		break;
	}
	amend_buffer_char(json, '}');
}

/*
 * Arrays and composites, of which an array would come apart into elements and
 * fields. A JSON string is read by the type's input function, as a parameter is.
 */
static void from_json(struct amend_sql *sql, const struct amend_sql_array *array, size_t n_rows)
{
	struct amend_buffer json = AMEND_BUFFER_INIT;
	struct amend_value literal;
	const char *text;

	amend_buffer_char(&json, '[');
	for (size_t i = 0; i < n_rows; i++) {
		if (i > 0)
			amend_buffer_char(&json, ',');
		add_json(&json, element(array, i));
	}
	amend_buffer_char(&json, ']');
	text = json.failed ? NULL : amend_arena_text_n(&sql->kept, json.data, json.size);
	if (!text)
		sql->text.failed = true;
	literal = amend_text_n(text, text ? json.size : 0);
	amend_buffer_release(&json);
	amend_sql_text(sql, "pg_catalog.json_to_recordset(");
	amend_sql_value(sql, &literal);
	amend_sql_text(sql, "::pg_catalog.json) AS (v ");
	amend_sql_text(sql, array->column->cast);
	amend_sql_text(sql, ")");
}

/* ROWS FROM, even of one: only there may a function say its columns and still be numbered. */
void amend_sql_unnest(struct amend_sql *sql, const struct amend_sql_array *arrays, size_t n_arrays,
		      size_t n_rows)
{
	amend_sql_text(sql, "ROWS FROM (");
	for (size_t i = 0; i < n_arrays; i++) {
		amend_sql_comma(sql, i);
		if (arrays[i].column && !arrays[i].column->delimiter)
			from_json(sql, &arrays[i], n_rows);
		else
			unnest(sql, &arrays[i], n_rows);
	}
	amend_sql_text(sql, ")");
}
