/*
 * What SQLite's catalogue does not tell of a table and keeps in its CREATE text alone: CHECKs, the
 * expressions of generated columns and of indexes. The text is parted into tokens, no more; what
 * an expression means is SQLite's business.
 *
 * CHECK, CONSTRAINT and AS are reserved words (https://sqlite.org/lang_keywords.html): unquoted
 * and outside of all inner parentheses they stand for nothing else.
 */
#ifndef AMEND_SQL_DRIVER_SQLITE_DDL_H
#define AMEND_SQL_DRIVER_SQLITE_DDL_H

#include <stdbool.h>
#include <stddef.h>

#include "core/arena.h"

struct amend_sqlite_check {
	const char *name; /* NULL: it has none */
	const char *expression;
};

struct amend_sqlite_ddl {
	struct amend_sqlite_check *checks;
	size_t n_checks;
	const char **generated; /* of the generated columns, in their order */
	size_t n_generated;
	bool *lenient; /* by column: NOT NULL ON CONFLICT REPLACE, or IGNORE */
	bool replaces; /* so is a UNIQUE, or the primary key */
};

/* False: no memory. A text that is no CREATE TABLE has nothing. */
bool amend_sqlite_ddl(const char *sql, size_t n_columns, struct amend_arena *arena,
		      struct amend_sqlite_ddl *out);

struct amend_sqlite_index {
	const char **parts; /* columns or expressions, with their COLLATE, without ASC and DESC */
	size_t n_parts;
	const char *where; /* NULL: it is over all rows */
};

/* Of CREATE INDEX. False: no memory. */
bool amend_sqlite_index(const char *sql, struct amend_arena *arena, struct amend_sqlite_index *out);

#endif
