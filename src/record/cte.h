/*
 * Pieces of the single statement that writes and records: a WITH whose parts
 * are `old` (the row before, where the statement finds it), `u` (the row
 * after), `r` (the revision) and `c` (the change). For write_cte.c and write_found.c.
 */
#ifndef AMEND_RECORD_CTE_H
#define AMEND_RECORD_CTE_H

#include "record/write.h"

/* The row version's column in `u` and `old`, quoted: a name that no table is likely to use. */
extern const char amend_cte_row_version[];

/* Where a row's values before the write come from: nowhere, parameters, or columns of `u` (amend_cte_old). */
enum amend_cte_before { AMEND_CTE_NOTHING, AMEND_CTE_VALUES, AMEND_CTE_OLD };

/*
 * Which columns a write may change. All of them where triggers, or columns that the database
 * generates, have a say; else those that are assigned, and the version.
 */
struct amend_cte_reach {
	bool all;
	const struct amend_put *puts;
	size_t n;
	int version;
};

struct amend_cte_reach amend_cte_reach(const struct amend_table *table,
				       const struct amend_put *puts, size_t n);
bool amend_cte_reaches(const struct amend_cte_reach *reach, size_t column);
bool amend_cte_identifies(const struct amend_table *table, size_t column);

/* What all these texts depend on: the table, the puts, and what the unit has already. */
void amend_cte_shape(struct amend_shape *shape, struct amend_conn *db, const char *builder,
		     const struct amend_table *table, const struct amend_put *puts, size_t n);

/* The run, if one has begun, is there; `out` is empty. */
enum amend_status amend_cte_prepare(struct amend_conn *db, struct amend_written *out,
				    struct amend_error *err) AMEND_CHECK;

/* A column of the row before, in `old` and `u`: they are named by number: the table's own names stay unambiguous. */
struct amend_column amend_cte_old(const struct amend_table *table, size_t index, char name[32]);

/* " RETURNING ..": what is reached, and what identifies the row. */
void amend_cte_returning(struct amend_sql *sql, const struct amend_table *table,
			 const struct amend_cte_reach *reach);
/* Appends the columns that are reached. */
void amend_cte_reached(struct amend_sql *sql, const struct amend_table *table,
		       const struct amend_cte_reach *reach, const char *prefix);
/*
 * A row of a result from what `rest`, in order, says of the columns that are reached; of the others it has
 * what `row` has. In the arena, without a row version.
 */
enum amend_status amend_cte_take(const struct amend_table *table,
				 const struct amend_cte_reach *reach, const struct amend_row *row,
				 const struct amend_value *rest, struct amend_arena *arena,
				 struct amend_row *out, struct amend_error *err) AMEND_CHECK;
/* What else `u` returns: the revision's and the change's numbers, where the ledger's can be drawn. */
void amend_cte_numbers(struct amend_sql *sql, struct amend_conn *db);
/* The end of `u`; `r`, unless the unit has a revision; ", c AS (INSERT .. SELECT revision, table, op, " up to the key. */
void amend_cte_change(struct amend_sql *sql, struct amend_conn *db, const struct amend_table *table,
		      const char *op);
/* From behind the fields to "SELECT ". */
void amend_cte_changed(struct amend_sql *sql, struct amend_conn *db);
/* "revision, change FROM ..": the last columns of the result. `old`: what is there though nothing was written; "": nothing. */
void amend_cte_result(struct amend_sql *sql, struct amend_conn *db, const char *old);
/* As amend_exec; outside a transaction it is in by then, whatever comes after: amend_conn.wrote_alone. */
enum amend_status amend_cte_exec(struct amend_conn *db, const struct amend_sql *sql,
				 struct amend_rows *rows, struct amend_error *err) AMEND_CHECK;
/* Takes those of the row that was written. */
enum amend_status amend_cte_written(struct amend_conn *db, const struct amend_rows *rows,
				    struct amend_written *out, struct amend_error *err) AMEND_CHECK;
/* {"id":42} of the row written, as amend_pk_text spells it. */
void amend_cte_pk(struct amend_sql *sql, const struct amend_conn *db,
		  const struct amend_table *table);
/* The changed fields, of those that are reached (NULL: all), as JSON text. */
void amend_cte_fields(struct amend_sql *sql, const struct amend_conn *db,
		      const struct amend_table *table, const struct amend_cte_reach *reach,
		      enum amend_cte_before from, const struct amend_value *before);

#endif
