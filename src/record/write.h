/* The two ways a row is written; for src/record, and for src/sync/park.c, which writes a row in two steps. */
#ifndef AMEND_RECORD_WRITE_H
#define AMEND_RECORD_WRITE_H

#include "record/request.h"
#include "record/road.h"

/* "SET a = .., b = b + .., version = ..": the assignments of an update. */
void amend_write_assignments(struct amend_sql *sql, const struct amend_table *table,
			     const struct amend_put *puts, size_t n);
/* ", version = ..": how the version column moves by itself; nothing where a put says so. */
void amend_write_version(struct amend_sql *sql, const struct amend_table *table,
			 const struct amend_put *puts, size_t n);
/* " AND <new value> >= min AND ..": nothing without bounds. */
void amend_write_bounds(struct amend_sql *sql, const struct amend_table *table,
			const struct amend_put *puts, size_t n);
/* "INTO t (a, b) VALUES (..) ON CONFLICT (key) DO NOTHING" */
void amend_write_insertion(struct amend_sql *sql, const struct amend_table *table,
			   const struct amend_key *key, const struct amend_put *puts, size_t n);
/* Its parts: "INSERT INTO t (a, b, version)"; "'x', 'y', 1"; of that ", 1" alone; " ON CONFLICT (key) DO NOTHING". */
void amend_write_insert_head(struct amend_sql *sql, const struct amend_table *table,
			     const struct amend_put *puts, size_t n);
void amend_write_values(struct amend_sql *sql, const struct amend_table *table,
			const struct amend_put *puts, size_t n);
void amend_write_first_version(struct amend_sql *sql, const struct amend_table *table,
			       const struct amend_put *puts, size_t n);
void amend_write_unless_there(struct amend_sql *sql, const struct amend_table *table,
			      const struct amend_key *key);
bool amend_write_has_bounds(const struct amend_put *puts, size_t n);
/* CONSTRAINT: "the database `did` t": not what was asked for, and no reason given. */
enum amend_status amend_write_refused(const struct amend_table *table, const char *did,
				      struct amend_error *err);

/* amend_exec of a write to the table: where the table records by itself, into the open unit's revision. */
enum amend_status amend_write_exec(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_sql *sql, struct amend_rows *rows,
				   struct amend_error *err) AMEND_CHECK;

/*
 * By this statement, of the caller's, a row that is held gets the puts; without any it is deleted. What the database
 * changes with it is recorded, or refused (record/cascade.h).
 */
enum amend_status amend_write_one(struct amend_conn *db, const struct amend_table *table,
				  const struct amend_sql *sql, const struct amend_row *row,
				  const struct amend_put *puts, size_t n,
				  struct amend_error *err) AMEND_CHECK;

/*
 * Updates a row that is held, within the bounds, and reads what is stored in the end unless it is known; records nothing.
 * `*wrote`: it is written, whatever failed then.
 */
enum amend_status amend_write_held(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_row *row, const struct amend_put *puts,
				   size_t n, struct amend_arena *arena, struct amend_row *after,
				   bool *wrote, struct amend_error *err) AMEND_CHECK;

/* Whether one statement can write, record, and know what is stored in the end. */
bool amend_write_in_one(const struct amend_conn *db, const struct amend_table *table);
/* That statement: */
enum amend_status amend_cte_update(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_row *row, const struct amend_put *puts,
				   size_t n, struct amend_arena *arena, struct amend_written *out,
				   struct amend_error *err) AMEND_CHECK;
enum amend_status amend_cte_insert(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_key *key, const struct amend_put *puts,
				   size_t n, struct amend_arena *arena, struct amend_written *out,
				   struct amend_error *err) AMEND_CHECK;
enum amend_status amend_cte_delete(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_row *row, struct amend_arena *arena,
				   struct amend_written *out, struct amend_error *err) AMEND_CHECK;

/* Of so many values a guess says whether they change the row. */
enum { AMEND_GUESS_MOST = 16 };

/*
 * An update without reading first: finds the row by a key, changes and records
 * it, all in one trip. Where something is added to it (on a hot row the lock is
 * held for one statement) all puts are; else `differs` has a bit for each put,
 * and the row is written if just those differ from what it holds.
 * `*n_found`: 0, 1, or 2 (several: nothing was written). `old` is the row before, locked where something is
 * added; `out->moved`: it was not written.
 */
enum amend_status amend_found_update(struct amend_conn *db, const struct amend_table *table,
				     const struct amend_request_key *key,
				     const struct amend_put *puts, size_t n, uint64_t differs,
				     struct amend_arena *arena, struct amend_row *old,
				     struct amend_written *out, size_t *n_found,
				     struct amend_error *err) AMEND_CHECK;

/*
 * Additions of whole numbers to integers, where a unique key finds the row and nothing else has a say in what
 * is stored: what was there before is counted back, so that the row is locked once, by the update itself.
 */
bool amend_added_fits(const struct amend_table *table, const struct amend_request_key *key,
		      const struct amend_put *puts, size_t n);
/* `out->moved`: nothing was written, nor waited for: there is no such row, or NULL, a bound or a lease is in the way. */
enum amend_status amend_added_update(struct amend_conn *db, const struct amend_table *table,
				     const struct amend_request_key *key,
				     const struct amend_put *puts, size_t n,
				     struct amend_arena *arena, struct amend_written *out,
				     struct amend_error *err) AMEND_CHECK;

#endif
