/*
 * For sqlite_wish.c, which makes a row as it is wanted, sqlite_violations.c, which holds it against its own
 * table, and sqlite_refers.c, which looks at foreign keys. Where SQLite has to work out what the row as it is wanted would be like, it does so on a table of
 * the same columns that demands nothing, in a private database in memory.
 */
#ifndef AMEND_SQL_DRIVER_SQLITE_VIOLATIONS_H
#define AMEND_SQL_DRIVER_SQLITE_VIOLATIONS_H

#include "core/buffer.h"
#include "core/rows.h"
#include "sql/driver/sqlite.h"
#include "sql/driver/sqlite_ddl.h"
#include "sql/violations.h"

struct amend_sqlite_asking {
	struct amend_session *session;
	const struct amend_wish *wish;
	struct amend_violations *list;
	struct amend_sqlite_ddl ddl;
	sqlite3 *own;               /* the private database: one table of this name, one row */
	struct amend_value *values; /* of that row, in column order */
	enum amend_known *known;
	bool *odd; /* columns whose collation is the application's own */
	/* What the statement read that was prepared last in `own`. */
	bool *read, read_rowid;
};

/* A private database that takes text and LIKE as the user's does; `own` stays NULL where there is none. */
enum amend_status amend_sqlite_open_own(struct amend_sqlite_asking *asking,
					struct amend_error *err) AMEND_CHECK;
/* A statement in `own`; NULL: it knows not all that stands in it (functions, collations of an application). */
sqlite3_stmt *amend_sqlite_own(struct amend_sqlite_asking *asking, const char *sql);
/* Whether all that it read is known. */
bool amend_sqlite_own_known(const struct amend_sqlite_asking *asking, bool compares);

/*
 * What the expressions are for the row as it is wanted; `where` NULL, or a condition that must hold.
 * `*known` false: one cannot be worked out, is NULL, or the condition does not hold. They live in list->arena.
 */
enum amend_status amend_sqlite_wanted(struct amend_sqlite_asking *asking, const char *const *parts,
				      size_t n, const char *where, struct amend_value *out,
				      bool *known, struct amend_error *err) AMEND_CHECK;

/* Runs a query on the user's database. What it does not tell (*rows empty) is no failure of the call. */
enum amend_status amend_sqlite_ask(struct amend_sqlite_asking *asking, const char *sql,
				   const struct amend_value *values, size_t n,
				   struct amend_rows *rows, struct amend_error *err) AMEND_CHECK;

/* The first row as a record's identity, by the columns' names. */
void amend_sqlite_take_record(struct amend_sqlite_asking *asking, const struct amend_rows *rows,
			      const char *const *names, size_t n, struct amend_violation *violation);

/* The names by which rows of the wish's table are told apart; their number. */
size_t amend_sqlite_identity(const struct amend_table *table, const char **names);
/* Appends " AND NOT (<it is the row before>)", with its values at the end of `values`; their number. */
size_t amend_sqlite_not_itself(struct amend_buffer *sql, const struct amend_wish *wish,
			       struct amend_value *values, size_t n);
void amend_sqlite_name(struct amend_buffer *sql, const char *name);

/* sqlite_refers.c: both sides of foreign keys */
enum amend_status amend_sqlite_parents(struct amend_sqlite_asking *asking,
				       struct amend_error *err) AMEND_CHECK;
enum amend_status amend_sqlite_children(struct amend_sqlite_asking *asking,
					struct amend_error *err) AMEND_CHECK;

#endif
