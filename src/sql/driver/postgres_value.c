/*
 * Values on their way to PostgreSQL, and results on their way back: all as text.
 * Leaves what a column makes of a text to postgres_canon.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rows.h"
#include "sql/driver/postgres.h"

static const char *blob_text(struct amend_arena *arena, const unsigned char *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	char *text = size > (SIZE_MAX - 3) / 2 ? NULL : amend_arena_alloc(arena, 2 * size + 3);
	char *to = text;

	if (!text)
		return NULL;
	*to++ = '\\';
	*to++ = 'x';
	for (size_t i = 0; i < size; i++) {
		*to++ = digits[bytes[i] >> 4];
		*to++ = digits[bytes[i] & 15];
	}
	return text;
}

const char *amend_postgres_text(struct amend_arena *arena, const struct amend_value *value,
				bool *failed)
{
	const char *text = NULL;
	char real[AMEND_REAL_TEXT];

	switch (value->kind) {
	case AMEND_NULL:
		return NULL;
	case AMEND_INTEGER:
		text = amend_arena_integer(arena, value->as.integer);
		break;
	case AMEND_REAL:
		amend_real_text(real, value->as.real);
		text = amend_arena_text(arena, real);
		break;
	case AMEND_TEXT:
		text = amend_arena_text_n(arena, value->as.text, value->size);
		break;
	case AMEND_BLOB:
		text = blob_text(arena, value->as.blob, value->size);
		break;
	}
	if (!text)
		*failed = true;
	return text;
}

bool amend_postgres_params(struct amend_arena *arena, const struct amend_statement *statement,
			   struct amend_postgres_params *out)
{
	size_t n = statement->n_values;
	bool failed = false;

	out->values = amend_arena_array(arena, n, sizeof(*out->values));
	out->lengths = amend_arena_array(arena, n, sizeof(*out->lengths));
	out->formats = amend_arena_array(arena, n, sizeof(*out->formats));
	out->bytes = 0;
	if (!out->values || !out->lengths || !out->formats)
		return false;
	for (size_t i = 0; i < n && !failed; i++) {
		const struct amend_value *value = &statement->values[i];

		if (i < 64 && (statement->binary >> i & 1)) {
			out->values[i] = value->as.text;
			out->lengths[i] = (int)value->size;
			out->formats[i] = 1;
			out->bytes += value->size;
			continue;
		}
		out->values[i] = amend_postgres_text(arena, value, &failed);
		out->bytes += out->values[i] ? strlen(out->values[i]) : 0;
	}
	return !failed;
}

static void clear_result(void *result)
{
	PQclear(result);
}

/* The tag counts the rows of SELECT and COPY too: those are not changes. */
static int64_t changes_of(PGresult *result)
{
	static const char *const words[] = {"INSERT ", "UPDATE ", "DELETE ", "MERGE "};
	const char *tag = PQcmdStatus(result);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strncmp(tag, words[i], strlen(words[i])) == 0)
			return strtoll(PQcmdTuples(result), NULL, 10);
	}
	return 0;
}

enum amend_status amend_postgres_rows(PGresult *result, struct amend_rows *rows,
				      struct amend_error *err)
{
	struct amend_rows_owner *owner = NULL;
	struct amend_value *values = NULL;
	int n_rows = PQntuples(result), n_columns = PQnfields(result);

	*rows = (struct amend_rows)AMEND_ROWS_INIT;
	rows->changes = changes_of(result);
	if (PQresultStatus(result) != PGRES_TUPLES_OK) {
		PQclear(result);
		return AMEND_OK;
	}
	owner = amend_rows_owner_new();
	if (!owner) {
		PQclear(result);
		return amend_no_memory(err);
	}
	owner->extra = result;
	owner->release = clear_result;
	rows->owner = owner;
	rows->n_rows = (size_t)n_rows;
	rows->n_columns = (size_t)n_columns;
	values = amend_arena_array(&owner->arena, rows->n_rows * rows->n_columns, sizeof(*values));
	if (!values) {
		amend_rows_release(rows);
		return amend_no_memory(err);
	}
	for (int row = 0; row < n_rows; row++) {
		for (int column = 0; column < n_columns; column++) {
			struct amend_value *value = values + (size_t)row * rows->n_columns + column;

			if (!PQgetisnull(result, row, column))
				*value = amend_text_n(PQgetvalue(result, row, column),
						      (size_t)PQgetlength(result, row, column));
		}
	}
	rows->values = values;
	return AMEND_OK;
}
