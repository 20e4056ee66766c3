/*
 * Rows of one result, value by value, as text that reads back as the same value (bytes as bytes).
 * Leaves running the statement to mariadb_run.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/rows.h"
#include "sql/driver/mariadb.h"

enum { FIRST_ROOM = 256, BINARY_CHARSET = 63 };

struct amend_mariadb_cell {
	char *buffer;
	size_t room;
	unsigned long size;
	my_bool null, cut;
	union {
		long long integer;
		double real;
		float small;
	} number;
	char text[AMEND_REAL_TEXT];
};

static bool is_integer(const MYSQL_FIELD *field)
{
	switch (field->type) {
	case MYSQL_TYPE_TINY:
	case MYSQL_TYPE_SHORT:
	case MYSQL_TYPE_INT24:
	case MYSQL_TYPE_LONG:
	case MYSQL_TYPE_LONGLONG:
	case MYSQL_TYPE_YEAR:
		return true;
	default:
		return false;
	}
}

/* Bytes, not text: the type says so, not the collation, which dates and numbers have as well. */
static bool is_bytes(const MYSQL_FIELD *field)
{
	switch (field->type) {
	case MYSQL_TYPE_BIT:
	case MYSQL_TYPE_GEOMETRY:
		return true;
	case MYSQL_TYPE_STRING:
	case MYSQL_TYPE_VAR_STRING:
	case MYSQL_TYPE_VARCHAR:
	case MYSQL_TYPE_TINY_BLOB:
	case MYSQL_TYPE_BLOB:
	case MYSQL_TYPE_MEDIUM_BLOB:
	case MYSQL_TYPE_LONG_BLOB:
		return field->charsetnr == BINARY_CHARSET;
	default:
		return false;
	}
}

static bool bind_cell(const MYSQL_FIELD *field, struct amend_mariadb_cell *cell, MYSQL_BIND *bind)
{
	bind->is_null = &cell->null;
	bind->length = &cell->size;
	bind->error = &cell->cut;
	if (is_integer(field)) {
		bind->buffer_type = MYSQL_TYPE_LONGLONG;
		bind->buffer = &cell->number.integer;
		bind->is_unsigned = (field->flags & UNSIGNED_FLAG) != 0;
		return true;
	}
	if (field->type == MYSQL_TYPE_DOUBLE || field->type == MYSQL_TYPE_FLOAT) {
		bind->buffer_type = field->type;
		bind->buffer = &cell->number;
		return true;
	}
	cell->buffer = malloc(FIRST_ROOM);
	cell->room = cell->buffer ? FIRST_ROOM : 0;
	bind->buffer_type = is_bytes(field) ? MYSQL_TYPE_BLOB : MYSQL_TYPE_STRING;
	bind->buffer = cell->buffer;
	bind->buffer_length = (unsigned long)(cell->room - (cell->room > 0));
	return cell->buffer != NULL;
}

enum amend_status amend_mariadb_fetch_begin(struct amend_mariadb_fetch *fetch, MYSQL_STMT *stmt,
					    struct amend_error *err)
{
	*fetch = (struct amend_mariadb_fetch){.stmt = stmt, .n = mysql_stmt_field_count(stmt)};
	fetch->meta = mysql_stmt_result_metadata(stmt);
	fetch->binds = calloc(fetch->n + 1, sizeof(*fetch->binds));
	fetch->cells = calloc(fetch->n + 1, sizeof(*fetch->cells));
	if (!fetch->meta || !fetch->binds || !fetch->cells)
		return amend_no_memory(err);
	fetch->fields = mysql_fetch_fields(fetch->meta);
	for (unsigned i = 0; i < fetch->n; i++) {
		if (!bind_cell(&fetch->fields[i], &fetch->cells[i], &fetch->binds[i]))
			return amend_no_memory(err);
	}
	if (mysql_stmt_bind_result(stmt, fetch->binds))
		return amend_no_memory(err);
	return AMEND_OK;
}

/* What did not fit is fetched again, whole. */
static bool fetch_whole(struct amend_mariadb_fetch *fetch, unsigned i)
{
	struct amend_mariadb_cell *cell = &fetch->cells[i];
	size_t room = cell->size + 1;
	char *buffer;

	if (room <= cell->room)
		return true;
	buffer = realloc(cell->buffer, room);
	if (!buffer)
		return false;
	cell->buffer = buffer;
	cell->room = room;
	fetch->binds[i].buffer = buffer;
	fetch->binds[i].buffer_length = cell->size;
	fetch->grown = true;
	return mysql_stmt_fetch_column(fetch->stmt, &fetch->binds[i], i, 0) == 0;
}

/* The numbers as MariaDB reads them back without loss. */
static struct amend_value number_of(const MYSQL_FIELD *field, struct amend_mariadb_cell *cell)
{
	if (field->type == MYSQL_TYPE_DOUBLE)
		amend_real_text(cell->text, cell->number.real);
	else if (field->type == MYSQL_TYPE_FLOAT)
		/* As the double that it is: 16777216 and 16777215 print the same otherwise. */
		amend_real_text(cell->text, (double)cell->number.small);
	else if (field->flags & UNSIGNED_FLAG)
		snprintf(cell->text, sizeof(cell->text), "%llu",
			 (unsigned long long)cell->number.integer);
	else
		snprintf(cell->text, sizeof(cell->text), "%lld", cell->number.integer);
	return amend_text(cell->text);
}

/* The zeros with which ZEROFILL shows a decimal: it is the same number without them. */
static size_t filled_with(const MYSQL_FIELD *field, const char *text)
{
	size_t n = 0;

	if (field->type == MYSQL_TYPE_NEWDECIMAL && field->flags & ZEROFILL_FLAG) {
		while (text[n] == '0' && text[n + 1] >= '0' && text[n + 1] <= '9')
			n++;
	}
	return n;
}

enum amend_status amend_mariadb_fetch_row(struct amend_session *session,
					  struct amend_mariadb_fetch *fetch,
					  struct amend_value *values, bool *more,
					  struct amend_error *err)
{
	int code;

	/* The library has a copy of the binding. */
	if (fetch->grown && mysql_stmt_bind_result(fetch->stmt, fetch->binds))
		return amend_no_memory(err);
	fetch->grown = false;
	code = mysql_stmt_fetch(fetch->stmt);
	*more = code == 0 || code == MYSQL_DATA_TRUNCATED;
	if (code == MYSQL_NO_DATA)
		return AMEND_OK;
	if (!*more)
		return amend_mariadb_error(session, fetch->stmt, err);
	for (unsigned i = 0; i < fetch->n; i++) {
		struct amend_mariadb_cell *cell = &fetch->cells[i];
		size_t skip;

		if (cell->null) {
			values[i] = amend_null();
			continue;
		}
		if (!cell->buffer) {
			values[i] = number_of(&fetch->fields[i], cell);
			continue;
		}
		if (!fetch_whole(fetch, i))
			return amend_no_memory(err);
		cell->buffer[cell->size] = '\0';
		skip = filled_with(&fetch->fields[i], cell->buffer);
		values[i] = is_bytes(&fetch->fields[i])
				    ? amend_blob(cell->buffer, cell->size)
				    : amend_text_n(cell->buffer + skip, cell->size - skip);
	}
	return AMEND_OK;
}

void amend_mariadb_fetch_end(struct amend_mariadb_fetch *fetch)
{
	for (unsigned i = 0; fetch->cells && i < fetch->n; i++)
		free(fetch->cells[i].buffer);
	free(fetch->cells);
	free(fetch->binds);
	if (fetch->meta)
		mysql_free_result(fetch->meta);
	fetch->cells = NULL;
	fetch->binds = NULL;
	fetch->meta = NULL;
}
