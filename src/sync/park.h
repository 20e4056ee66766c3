/* A value that makes way for another, for a sync and for what undoes one. */
#ifndef AMEND_SYNC_PARK_H
#define AMEND_SYNC_PARK_H

#include "record/road.h"

/* A value that the column can hold and no row has. CONSTRAINT: none was found. */
enum amend_status amend_park_value(struct amend_conn *db, const struct amend_table *table,
				   uint32_t column, struct amend_arena *arena,
				   struct amend_value *out, struct amend_error *err) AMEND_CHECK;

/* By this statement the row gets the puts for a while. CONSTRAINT: others refer to it, and would follow, or lose it. */
enum amend_status amend_park_row(struct amend_conn *db, const struct amend_table *table,
				 const struct amend_sql *sql, const struct amend_row *row,
				 const struct amend_put *puts, size_t n,
				 struct amend_error *err) AMEND_CHECK;

#endif
