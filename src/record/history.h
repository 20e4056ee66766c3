/* Reading a record's history, for this layer; amend_log is the public half. */
#ifndef AMEND_RECORD_HISTORY_H
#define AMEND_RECORD_HISTORY_H

#include "record/road.h"

struct amend_request_key;

struct amend_history {
	int64_t change, revision, run;
	const char *at, *who, *why, *program, *table, *op, *pk;
	const char *was; /* the primary key before this change; NULL: the same */
	const struct amend_change *changes;
	size_t n_changes;
};

/* The record's last change, 0: none, or there is no ledger. */
void amend_history_last_sql(struct amend_sql *sql, struct amend_conn *db,
			    const struct amend_table *table, const char *pk);

/*
 * The record's changes behind position `after`, newest first, at most `limit`,
 * followed through changes of its primary key. In the arena.
 */
enum amend_status amend_history_since(struct amend_conn *db, const struct amend_table *table,
				      const char *pk, int64_t after, size_t limit,
				      struct amend_arena *arena, struct amend_history **out,
				      size_t *n, struct amend_error *err) AMEND_CHECK;

/*
 * One record's whole history, newest first, by any key that it has, or had when it was deleted.
 * `row`: as it is; its `values` are NULL where it is not there, then `pk` is the name it had.
 * NOT_FOUND: there is no such record, and none in history. In the arena.
 */
enum amend_status amend_history_of(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_match *key, struct amend_arena *arena,
				   struct amend_row *row, struct amend_history **out, size_t *n,
				   struct amend_error *err) AMEND_CHECK;

/* The newest deletions in the table, at most `limit`: to find a record by what a token knows of it. */
enum amend_status amend_history_deletions(struct amend_conn *db, const struct amend_table *table,
					  size_t limit, struct amend_arena *arena,
					  struct amend_history **out, size_t *n,
					  struct amend_error *err) AMEND_CHECK;

/* The name of the record that had this key when it was deleted, of several the last; NULL: history has none. In the arena. */
enum amend_status amend_history_deleted(struct amend_conn *db, const struct amend_table *table,
					const struct amend_request_key *key,
					struct amend_arena *arena, const char **pk,
					struct amend_error *err) AMEND_CHECK;

/* history_filter.c: appends " AND ..." for what the filter asks of c (a change) and r (its revision). */
void amend_history_where(struct amend_sql *sql, const struct amend_log_filter *filter);
/* Whether an entry is what it asks for, its table, key and revision aside; what a text is found in is looked at here. */
bool amend_history_fits(const struct amend_log_filter *filter, const struct amend_history *entry,
			const struct amend_field *key, size_t n_key);

#endif
