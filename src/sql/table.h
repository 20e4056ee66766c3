/* What the layers above ask of a table's description, beside amend/table.h. */
#ifndef AMEND_SQL_TABLE_H
#define AMEND_SQL_TABLE_H

#include <amend/table.h>

/* Differs between descriptions that could make statements differ; the version column, which may be set later, aside. */
enum { AMEND_TABLE_DIGEST = 16 };
const unsigned char *amend_table_digest(const struct amend_table *table);

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
