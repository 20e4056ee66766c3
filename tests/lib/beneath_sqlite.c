/*
 * SQLite's calls, each of which may be made to fail. What a statement meets, SQLite meets in another statement in
 * its place: so the handle says what it would, and where such an error undoes the transaction, it is undone.
 * Leaves which one does to beneath.c.
 */
#include "beneath.h"

#include <stdarg.h>
#include <stdio.h>

#include <sqlite3.h>

#define CALL(type, name, ...)            \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

int __real_sqlite3_exec(sqlite3 *db, const char *sql, int (*each)(void *, int, char **, char **),
			void *context, char **problem);

static int code_of(enum amend_status status)
{
	switch (status) {
	case AMEND_LOCKED:
		return SQLITE_BUSY;
	case AMEND_DENIED:
		return SQLITE_AUTH;
	case AMEND_RETRY:
		return SQLITE_BUSY_SNAPSHOT;
	case AMEND_CONSTRAINT:
		return SQLITE_CONSTRAINT_CHECK;
	case AMEND_INTERRUPTED:
		return SQLITE_INTERRUPT;
	case AMEND_INVALID:
		return SQLITE_TOOBIG;
	case AMEND_NOT_FOUND:
		return SQLITE_CANTOPEN;
	case AMEND_NO_MEMORY:
		return SQLITE_NOMEM;
	default:
		return SQLITE_IOERR_WRITE;
	}
}

static void refuse(sqlite3_context *context, int n, sqlite3_value **values)
{
	(void)n;
	sqlite3_result_error(context, "refused", -1);
	sqlite3_result_error_code(context, sqlite3_value_int(values[0]));
}

/* Of the database itself: a statement that reads nothing undoes nothing when it fails. */
static int fail(sqlite3 *db, int code)
{
	char sql[80];
	int rc;

	snprintf(sql, sizeof(sql), "SELECT tests_refuse(%d) FROM sqlite_schema", code);
	rc = __real_sqlite3_exec(db, sql, NULL, NULL, NULL);
	if (rc == SQLITE_ERROR &&
	    sqlite3_create_function(db, "tests_refuse", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY, NULL,
				    refuse, NULL, NULL) == SQLITE_OK)
		rc = __real_sqlite3_exec(db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK || rc == SQLITE_ERROR ? code : rc;
}

/* SQLITE_OK: it is not struck. */
static int code_for(const char *sql)
{
	if (beneath_strikes(BENEATH_REFUSED, sql, false))
		return code_of(beneath_status());
	return beneath_strikes(BENEATH_UNSENT, sql, false) ? SQLITE_NOMEM : SQLITE_OK;
}

static int struck(sqlite3 *db, const char *sql)
{
	int code = code_for(sql);

	return code == SQLITE_OK ? SQLITE_OK : fail(db, code);
}

static bool no_memory(const char *what)
{
	return beneath_strikes(BENEATH_UNSENT, what, false);
}

/* --- Statements --- */

CALL(int, sqlite3_prepare_v2, sqlite3 *db, const char *sql, int size, sqlite3_stmt **out,
     const char **tail)
{
	int rc = struck(db, sql);

	if (rc == SQLITE_OK)
		return __real_sqlite3_prepare_v2(db, sql, size, out, tail);
	*out = NULL;
	if (tail)
		*tail = sql;
	return rc;
}

CALL(int, sqlite3_prepare_v3, sqlite3 *db, const char *sql, int size, unsigned flags,
     sqlite3_stmt **out, const char **tail)
{
	int rc = struck(db, sql);

	if (rc == SQLITE_OK)
		return __real_sqlite3_prepare_v3(db, sql, size, flags, out, tail);
	*out = NULL;
	if (tail)
		*tail = sql;
	return rc;
}

CALL(int, sqlite3_step, sqlite3_stmt *stmt)
{
	int code = code_for(sqlite3_sql(stmt));

	if (code == SQLITE_OK)
		return __real_sqlite3_step(stmt);
	/* One that fails has ended. */
	(void)sqlite3_reset(stmt);
	return fail(sqlite3_db_handle(stmt), code);
}

int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, int (*each)(void *, int, char **, char **),
			void *context, char **problem);
int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, int (*each)(void *, int, char **, char **),
			void *context, char **problem)
{
	int rc = struck(db, sql);

	if (problem)
		*problem = NULL;
	return rc == SQLITE_OK ? __real_sqlite3_exec(db, sql, each, context, problem) : rc;
}

CALL(int, sqlite3_table_column_metadata, sqlite3 *db, const char *schema, const char *table,
     const char *column, const char **type, const char **collation, int *not_null, int *primary,
     int *automatic)
{
	int rc = struck(db, "sqlite3_table_column_metadata");

	return rc == SQLITE_OK ? __real_sqlite3_table_column_metadata(db, schema, table, column,
								      type, collation, not_null,
								      primary, automatic)
			       : rc;
}

CALL(int, sqlite3_open_v2, const char *name, sqlite3 **out, int flags, const char *vfs)
{
	if (!no_memory(name))
		return __real_sqlite3_open_v2(name, out, flags, vfs);
	*out = NULL;
	return SQLITE_NOMEM;
}

/* --- What else asks for memory --- */

CALL(int, sqlite3_bind_text64, sqlite3_stmt *stmt, int index, const char *text, sqlite3_uint64 size,
     void (*release)(void *), unsigned char encoding)
{
	return no_memory("sqlite3_bind_text64")
		       ? SQLITE_NOMEM
		       : __real_sqlite3_bind_text64(stmt, index, text, size, release, encoding);
}

CALL(int, sqlite3_bind_blob64, sqlite3_stmt *stmt, int index, const void *bytes,
     sqlite3_uint64 size, void (*release)(void *))
{
	return no_memory("sqlite3_bind_blob64")
		       ? SQLITE_NOMEM
		       : __real_sqlite3_bind_blob64(stmt, index, bytes, size, release);
}

CALL(const unsigned char *, sqlite3_column_text, sqlite3_stmt *stmt, int index)
{
	return no_memory("sqlite3_column_text") ? NULL : __real_sqlite3_column_text(stmt, index);
}

CALL(const char *, sqlite3_column_name, sqlite3_stmt *stmt, int index)
{
	return no_memory("sqlite3_column_name") ? NULL : __real_sqlite3_column_name(stmt, index);
}

CALL(char *, sqlite3_mprintf, const char *format, ...)
{
	va_list values;
	char *text;

	if (no_memory("sqlite3_mprintf"))
		return NULL;
	va_start(values, format);
	text = sqlite3_vmprintf(format, values);
	va_end(values);
	return text;
}
