/* What the layers above ask of a table's description, beside amend/table.h. */
#ifndef AMEND_SQL_TABLE_H
#define AMEND_SQL_TABLE_H

#include <amend/table.h>

struct amend_rows;
struct amend_sql;

/* Differs between descriptions that could make statements differ; the version column, which may be set later, aside. */
enum { AMEND_TABLE_DIGEST = 16 };
const unsigned char *amend_table_digest(const struct amend_table *table);

/*
 * A guard that is made or taken away while the table is open would have changes recorded twice, or not at all. So
 * each write asks, in its transaction, when it holds the table so that nobody changes that until it ends.
 * INVALID (class 42): it is another one than when the table was opened.
 */
enum amend_status amend_table_stands(struct amend_conn *db, const struct amend_table *table,
				     struct amend_error *err) AMEND_CHECK;
/* amend_exec of a write to it, and that behind it, in one trip. */
enum amend_status amend_exec_standing(struct amend_conn *db, const struct amend_table *table,
				      const struct amend_sql *sql, struct amend_rows *rows,
				      struct amend_error *err) AMEND_CHECK;
/* Of a write that failed: what a guard refuses that was made meanwhile is said to be that. The status. */
enum amend_status amend_table_explain(const struct amend_table *table, struct amend_error *err);
/* " AND <it is as described>": where the write is one statement, and does not happen otherwise. */
void amend_table_gate(struct amend_sql *sql, const struct amend_conn *db,
		      const struct amend_table *table);

/* The column's index; INVALID names the columns there are. */
enum amend_status amend_table_find(const struct amend_table *table, const char *name, size_t *out,
				   struct amend_error *err) AMEND_CHECK;

/*
 * The unique key over exactly these columns, in any order, that proves "at
 * most one row": not partial, no expression, not deferrable. Else NULL.
 */
const struct amend_key *amend_table_unique_key(const struct amend_table *table,
					       const uint32_t *columns, size_t n);

#endif
