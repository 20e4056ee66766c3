/*
 * One statement many times over: those that only change rows go as arrays, many times in a trip.
 * Leaves each by itself, and all that returns rows, to mariadb_run.c.
 *
 * Of arrays the server tells how many rows were changed in all, and of a failure not where it was. So behind a
 * savepoint they are tried, and where that tells too little they are undone and run one by one.
 */
#include <errmsg.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "sql/driver/mariadb.h"
#include "sql/sql.h"

/* Wider than the column's: what it cannot hold is then found nowhere, where it would be cut or rounded to what may be there. */
bool amend_mariadb_set_type(struct amend_sql *sql, const struct amend_column *column)
{
	if (!column) {
		amend_sql_text(sql, "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin");
		return true;
	}
	switch ((enum amend_mariadb_type)column->type_id) {
	case AMEND_MA_INTEGER:
		amend_sql_text(sql, "decimal(65,0)");
		return true;
	case AMEND_MA_CHAR:
	case AMEND_MA_TEXT:
		amend_sql_printf(sql, "longtext CHARACTER SET utf8mb4 COLLATE %s",
				 column->collation);
		return true;
	case AMEND_MA_DATETIME:
		amend_sql_text(sql, "datetime(6)");
		return true;
	case AMEND_MA_DECIMAL:
	case AMEND_MA_DOUBLE:
	case AMEND_MA_FLOAT:
	case AMEND_MA_BYTES:
	case AMEND_MA_DATE:
	case AMEND_MA_OTHER:
		break;
	}
	return false;
}

enum {
	FEW = 4,     /* the savepoint is a trip as well */
	MANY = 4096, /* times in a trip .. */
	BYTES = 512 *
		1024, /* .. and what they may take: a server that takes fewer gets half of what it takes */
};

#define SAVEPOINT "SAVEPOINT amend_bulk"
#define UNDO "ROLLBACK TO SAVEPOINT amend_bulk"

/* The values of all times, by column. */
struct columns {
	struct amend_arena arena;
	MYSQL_BIND *binds;
};

static size_t size_of(const struct amend_value *value)
{
	return value->kind == AMEND_TEXT || value->kind == AMEND_BLOB ? value->size + 4 : 9;
}

/* How many times from `from` on fit in a trip; at least 1. */
static size_t fitting(const struct amend_session *session, const struct amend_repeat *repeat,
		      size_t from)
{
	size_t most = session->most > 0 && session->most / 2 < BYTES ? session->most / 2 : BYTES;
	size_t bytes = 0, n = 0;

	while (from + n < repeat->n && n < MANY) {
		const struct amend_value *values = repeat->values + (from + n) * repeat->n_values;

		for (size_t i = 0; i < repeat->n_values; i++)
			bytes += size_of(&values[i]);
		if (n > 0 && bytes > most)
			break;
		n++;
	}
	return n;
}

/* A column has one type; NULL goes with any. */
static bool kind_of(const struct amend_value *values, size_t n, size_t stride, enum amend_kind *kind)
{
	*kind = AMEND_NULL;
	for (size_t i = 0; i < n; i++) {
		enum amend_kind own = values[i * stride].kind;

		if (own == AMEND_NULL || own == *kind)
			continue;
		if (*kind != AMEND_NULL)
			return false;
		*kind = own;
	}
	return true;
}

static bool bind_bytes(struct columns *columns, MYSQL_BIND *bind, const struct amend_value *values,
		       size_t n, size_t stride)
{
	const char **texts = amend_arena_array(&columns->arena, n, sizeof(*texts));
	unsigned long *sizes = amend_arena_array(&columns->arena, n, sizeof(*sizes));

	if (!texts || !sizes)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct amend_value *value = &values[i * stride];

		/* Of nothing there is no address. */
		texts[i] = value->kind != AMEND_NULL && value->size > 0 ? value->as.text : "";
		sizes[i] = value->kind != AMEND_NULL ? (unsigned long)value->size : 0;
	}
	bind->buffer = texts;
	bind->length = sizes;
	return true;
}

static bool bind_numbers(struct columns *columns, MYSQL_BIND *bind,
			 const struct amend_value *values, size_t n, size_t stride)
{
	int64_t *integers = amend_arena_array(&columns->arena, n, sizeof(*integers));

	if (!integers)
		return false;
	for (size_t i = 0; i < n; i++)
		memcpy(&integers[i], &values[i * stride].as, sizeof(*integers));
	bind->buffer = integers;
	return true;
}

static bool bind_column(struct columns *columns, MYSQL_BIND *bind, enum amend_kind kind,
			const struct amend_value *values, size_t n, size_t stride)
{
	char *marks = amend_arena_alloc(&columns->arena, n);

	if (!marks)
		return false;
	for (size_t i = 0; i < n; i++)
		marks[i] = values[i * stride].kind == AMEND_NULL ? STMT_INDICATOR_NULL
								 : STMT_INDICATOR_NONE;
	bind->u.indicator = marks;
	switch (kind) {
	case AMEND_INTEGER:
		bind->buffer_type = MYSQL_TYPE_LONGLONG;
		return bind_numbers(columns, bind, values, n, stride);
	case AMEND_REAL:
		bind->buffer_type = MYSQL_TYPE_DOUBLE;
		return bind_numbers(columns, bind, values, n, stride);
	case AMEND_BLOB:
		bind->buffer_type = MYSQL_TYPE_BLOB;
		break;
	case AMEND_NULL:
	case AMEND_TEXT:
		bind->buffer_type = MYSQL_TYPE_STRING;
		break;
	}
	return bind_bytes(columns, bind, values, n, stride);
}

/* `*mixed`: a column has values of several kinds. */
static enum amend_status fill(struct columns *columns, const struct amend_repeat *repeat,
			      size_t from, size_t n, bool *mixed, struct amend_error *err)
{
	size_t width = repeat->n_values;

	*mixed = false;
	columns->binds = amend_arena_array(&columns->arena, width, sizeof(*columns->binds));
	if (!columns->binds)
		return amend_no_memory(err);
	for (size_t i = 0; i < width; i++) {
		const struct amend_value *values = repeat->values + from * width + i;
		enum amend_kind kind;

		*mixed = !kind_of(values, n, width, &kind);
		if (*mixed)
			return AMEND_OK;
		if (!bind_column(columns, &columns->binds[i], kind, values, n, width))
			return amend_no_memory(err);
	}
	return AMEND_OK;
}

/*
 * Executes them; the statement is as it was afterwards. A proxy may hide that the server takes arrays: then the library
 * sends nothing, and none is sent from then on.
 */
static enum amend_status execute(struct amend_session *session, MYSQL_STMT *stmt, MYSQL_BIND *binds,
				 size_t n, int64_t *changed, struct amend_error *err)
{
	unsigned int times = (unsigned int)n;
	enum amend_status status = AMEND_OK;

	*changed = 0;
	mysql_stmt_attr_set(stmt, STMT_ATTR_ARRAY_SIZE, &times);
	if (mysql_stmt_bind_param(stmt, binds) || mysql_stmt_execute(stmt) != 0) {
		session->no_arrays = mysql_stmt_errno(stmt) == CR_FUNCTION_NOT_SUPPORTED;
		if (!session->no_arrays)
			status = amend_mariadb_error(session, stmt, err);
	} else
		*changed = (int64_t)mysql_stmt_affected_rows(stmt);
	times = 0;
	mysql_stmt_attr_set(stmt, STMT_ATTR_ARRAY_SIZE, &times);
	return status;
}

/* A value that is refused is one of them, and it is to be found out which; who waits in vain would do so again. */
static bool is_ones_own(enum amend_status status)
{
	return status == AMEND_CONSTRAINT || status == AMEND_INVALID || status == AMEND_UNSUPPORTED;
}

/* `*done` false, and OK: nothing of them stands, and they are to be run one by one. */
static enum amend_status run_arrays(struct amend_session *session, struct amend_repeat *repeat,
				    size_t from, size_t n, bool *done, struct amend_error *err)
{
	const struct amend_statement statement = {.sql = repeat->sql, .n_values = repeat->n_values};
	struct columns columns = {.arena = AMEND_ARENA_INIT};
	enum amend_status status;
	MYSQL_STMT *stmt = NULL;
	int64_t changed = 0;
	bool mixed, kept;

	*done = false;
	status = fill(&columns, repeat, from, n, &mixed, err);
	if (status == AMEND_OK && !mixed)
		status = amend_mariadb_prepare(session, &statement, &stmt, &kept, err);
	if (status == AMEND_OK)
		status = amend_mariadb_sure(session, err);
	if (status == AMEND_OK && stmt && mysql_stmt_param_count(stmt) == repeat->n_values)
		status = amend_mariadb_exec(session, SAVEPOINT, err);
	else
		goto out;
	if (status == AMEND_OK && amend_mariadb_state(session) != AMEND_TX_ACTIVE)
		status = amend_mariadb_ended(session, AMEND_MA_COUNTS, err);
	if (status != AMEND_OK)
		goto out;
	amend_mariadb_enter(session);
	status = execute(session, stmt, columns.binds, n, &changed, err);
	amend_mariadb_leave(session);
	if (status == AMEND_OK && amend_mariadb_state(session) != AMEND_TX_ACTIVE) {
		status = amend_mariadb_ended(session, AMEND_MA_COUNTS, err);
		goto out;
	}
	*done = status == AMEND_OK && !session->no_arrays &&
		(!repeat->changes || changed == (int64_t)n);
	for (size_t i = 0; *done && repeat->changes && i < n; i++)
		repeat->changes[from + i] = 1;
	if (!*done && (status == AMEND_OK || is_ones_own(status)) &&
	    amend_mariadb_state(session) == AMEND_TX_ACTIVE)
		status = amend_mariadb_exec(session, UNDO, err);
out:
	if (stmt && !kept)
		mysql_stmt_close(stmt);
	amend_arena_release(&columns.arena);
	return status;
}

/* What changes rows and returns none: of what returns rows the server would not say whose they are. */
static bool goes_as_arrays(const struct amend_session *session, const struct amend_repeat *repeat)
{
	return !session->no_arrays && !repeat->each && repeat->n_values > 0 &&
	       amend_mariadb_kind(repeat->sql) == AMEND_MA_COUNTS &&
	       amend_mariadb_state(session) == AMEND_TX_ACTIVE;
}

static enum amend_status run_each(struct amend_session *session, struct amend_repeat *repeat,
				  size_t i, struct amend_error *err)
{
	const struct amend_statement statement = {
		.sql = repeat->sql,
		.values = repeat->values + i * repeat->n_values,
		.n_values = repeat->n_values,
		.unless_there = repeat->unless_there,
		.unless_key = repeat->unless_key,
	};
	struct amend_rows rows = AMEND_ROWS_INIT;
	size_t failed;
	enum amend_status status = amend_mariadb_run(session, &statement, 1, &rows, &failed, err);

	if (status == AMEND_OK && repeat->changes)
		repeat->changes[i] = rows.changes;
	for (size_t row = 0; status == AMEND_OK && repeat->each && row < rows.n_rows; row++)
		status = repeat->each(repeat->context, i, amend_rows_at(&rows, row, 0),
				      rows.n_columns, err);
	amend_rows_release(&rows);
	return status;
}

enum amend_status amend_mariadb_repeat(struct amend_session *session, struct amend_repeat *repeat,
				       struct amend_error *err)
{
	bool arrays = goes_as_arrays(session, repeat);
	enum amend_status status = AMEND_OK;

	repeat->failed = 0;
	while (status == AMEND_OK && repeat->failed < repeat->n) {
		size_t n = arrays && !session->no_arrays ? fitting(session, repeat, repeat->failed)
							 : 1;
		size_t end = repeat->failed + n;
		bool done = false;

		if (n >= FEW)
			status = run_arrays(session, repeat, repeat->failed, n, &done, err);
		if (done)
			repeat->failed = end;
		while (status == AMEND_OK && repeat->failed < end) {
			status = run_each(session, repeat, repeat->failed, err);
			repeat->failed += status == AMEND_OK;
		}
	}
	return status;
}
