/* What a guarded table's triggers are made of: pieces of their text, for src/sql/driver/sqlite_guard*.c. */
#ifndef AMEND_SQL_DRIVER_SQLITE_GUARD_H
#define AMEND_SQL_DRIVER_SQLITE_GUARD_H

#include "sql/driver/sqlite.h"
#include "sql/guard.h"
#include "sql/sql.h"

/* sqlite_guard_body.c */

enum amend_sqlite_guard_kind {
	AMEND_SQLITE_GUARD_STALE,
	AMEND_SQLITE_GUARD_UPDATED,
	AMEND_SQLITE_GUARD_INSERTING,
	AMEND_SQLITE_GUARD_INSERTED,
	AMEND_SQLITE_GUARD_DELETED,
};

/* To be freed by sqlite3_free; NULL without memory. */
char *amend_sqlite_guard_name(const struct amend_guard_spec *spec,
			      enum amend_sqlite_guard_kind kind);
/* The trigger's text behind CREATE TRIGGER. */
void amend_sqlite_guard_body(struct amend_sql *sql, const struct amend_guard_spec *spec,
			     enum amend_sqlite_guard_kind kind, struct amend_arena *arena);

/* sqlite_guard_text.c */

/* A row is OLD, NEW, or an alias: the prefix says which. */
void amend_sqlite_guard_field(struct amend_sql *sql, const struct amend_column *column,
			      const char *prefix);
/* `"id" = NEW."id"`: the row of the table that the prefix stands for. */
void amend_sqlite_guard_this(struct amend_sql *sql, const struct amend_guard_spec *spec,
			     const char *prefix);
/* `'{"id":' || ... || '}'` */
void amend_sqlite_guard_pk(struct amend_sql *sql, const struct amend_guard_spec *spec,
			   const char *prefix);
/* Whether OLD and NEW differ in something else than the version; of covered columns, or of all that are stored. */
void amend_sqlite_guard_differs(struct amend_sql *sql, const struct amend_guard_spec *spec,
				bool covered);
/*
 * Text of fields, each `,"name":[old,new]`: those changed between OLD and NEW, `version` being the
 * expression that the version column ends with; or all of one row that comes (`from` NULL) or goes (`to` NULL).
 */
void amend_sqlite_guard_changed(struct amend_sql *sql, const struct amend_guard_spec *spec,
				const char *version);
void amend_sqlite_guard_whole(struct amend_sql *sql, const struct amend_guard_spec *spec,
			      const char *from, const char *to, const char *version);

#endif
