/* What a guarded table's trigger functions are made of: pieces of their text, for src/sql/driver/postgres_guard*.c. */
#ifndef AMEND_SQL_DRIVER_POSTGRES_GUARD_H
#define AMEND_SQL_DRIVER_POSTGRES_GUARD_H

#include "sql/driver/postgres.h"
#include "sql/guard.h"
#include "sql/sql.h"

/* A string literal that means the same whatever standard_conforming_strings says. */
void amend_pg_guard_literal(struct amend_sql *sql, const char *text);
/* Of a column: `prefix` and its quoted name. */
void amend_pg_guard_column(struct amend_sql *sql, const struct amend_column *column,
			   const char *prefix);
/* `'{"id":' || ... || '}'`: the record's name, of the row behind the prefix. */
void amend_pg_guard_pk(struct amend_sql *sql, const struct amend_guard_spec *spec,
		       const char *prefix);
/* Whether the name differs between two rows. */
void amend_pg_guard_moved(struct amend_sql *sql, const struct amend_guard_spec *spec,
			  const char *from, const char *to);
/*
 * Text of the changed fields, each `,"name":[old,new]`: of columns in front of the version column
 * and behind it, for an update; of the version column; of all columns for a row that comes (`from` NULL) or goes (`to` NULL).
 */
enum amend_pg_guard_side { AMEND_PG_GUARD_BEFORE, AMEND_PG_GUARD_AFTER };
void amend_pg_guard_changed(struct amend_sql *sql, const struct amend_guard_spec *spec,
			    enum amend_pg_guard_side side, const char *from, const char *to);
void amend_pg_guard_version(struct amend_sql *sql, const struct amend_guard_spec *spec,
			    const char *from, const char *to);
void amend_pg_guard_whole(struct amend_sql *sql, const struct amend_guard_spec *spec,
			  const char *from, const char *to);
/*
 * `(SELECT ... FROM source) AS alias`: a column that the source has no longer is NULL there, instead of
 * making every write fail. `numbered`: and each row's place.
 */
void amend_pg_guard_present(struct amend_sql *sql, const struct amend_guard_spec *spec,
			    const char *source, const char *alias, bool numbered);
/* ` SET search_path = ... SET timezone = ...`: what the columns' text depends on. */
void amend_pg_guard_settings(struct amend_sql *sql, const struct amend_guard_spec *spec);

/* The functions that record, from `DECLARE` to `END`. */
void amend_pg_guard_row_body(struct amend_sql *sql, const struct amend_guard_spec *spec);
enum amend_pg_guard_event { AMEND_PG_GUARD_INSERT, AMEND_PG_GUARD_UPDATE, AMEND_PG_GUARD_DELETE };
void amend_pg_guard_statement_body(struct amend_sql *sql, const struct amend_guard_spec *spec,
				   enum amend_pg_guard_event event);
void amend_pg_guard_truncate_body(struct amend_sql *sql, const struct amend_guard_spec *spec);
/* The function that moves the version, and refuses; `next`: it stands behind one that has done the refusing. */
void amend_pg_guard_version_body(struct amend_sql *sql, const struct amend_guard_spec *spec,
				 bool next);
/* The one in front of it: the version column was written, and must be the next. */
void amend_pg_guard_stale_body(struct amend_sql *sql, const struct amend_guard_spec *spec);

#endif
