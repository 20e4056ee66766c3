/*
 * What the files of the SQLite driver share. Needs SQLite 3.37 or later.
 *
 *	sqlite.c           the function table, adopting, closing, interrupting, check
 *	sqlite_open.c      a URL to an open handle
 *	sqlite_tx.c        waiting for locks, BEGIN, COMMIT, ROLLBACK
 *	sqlite_run.c       statements, their cache, their rows
 *	sqlite_bulk.c      many rows, many times
 *	sqlite_error.c     result codes to statuses
 *	sqlite_describe.c  a table's description
 *	sqlite_canon.c     the form in which a column hands a value back
 *	turn.c             fairness among amend's writers
 */
#ifndef AMEND_SQL_DRIVER_SQLITE_H
#define AMEND_SQL_DRIVER_SQLITE_H

#include <stdatomic.h>
#include <sys/types.h>

#include <sqlite3.h>

#include "sql/driver.h"
#include "sql/driver/turn.h"

#if SQLITE_VERSION_NUMBER < 3037000
#error "amend needs SQLite 3.37 or later"
#endif

enum { AMEND_SQLITE_CACHE = 64 };

/* How many pages a handle of our own keeps, in KiB; and while it reads a table from end to end. */
#define AMEND_SQLITE_PAGES "PRAGMA cache_size=-16000"
#define AMEND_SQLITE_PASSING_PAGES "PRAGMA cache_size=-2000"

/* amend_column.type_id on SQLite: what the declared type does not say. */
enum amend_sqlite_column {
	AMEND_SQLITE_STRICT = 1, /* of a STRICT table */
	AMEND_SQLITE_ROWID = 2,  /* INTEGER PRIMARY KEY: another name of the rowid */
};

struct amend_sqlite_cached {
	sqlite3_stmt *stmt; /* NULL: a free place; its text is sqlite3_sql() */
	uint64_t hash;
	uint64_t used; /* the larger the later */
};

struct amend_sqlite_scratch;

struct amend_session {
	sqlite3 *db;
	bool adopted;
	bool read_only; /* as asked for in the options */
	pid_t pid;      /* a child of fork must not use the handle */
	struct amend_sqlite_cached cache[AMEND_SQLITE_CACHE];
	uint64_t uses;

	/* The transaction that begin() opened. */
	bool began, tx_read_only;
	bool leftover; /* it is over, and could not be undone: it is before anything else runs */
	int64_t time_limit; /* amend_turn_clock at which it ends; 0: never */

	/* Waiting. `wait_until` is set when a wait begins; 0 before. */
	int lock_timeout_ms;    /* the connection's */
	int tx_lock_timeout_ms; /* the one in force */
	int64_t wait_until;

	/* Set by amend_interrupt: from any thread, or a signal handler. */
	atomic_bool interrupted;
	atomic_bool interruptible; /* a statement is running that sqlite3_interrupt may end */

	struct amend_turn *turn; /* opened with the first writing unit */
	bool turn_tried, has_turn;
	const char *turn_problem; /* why there is none */

	struct amend_sqlite_scratch *scratch; /* canonicalise: opened on first need */
};

/* -- sqlite_error.c: of the handle's last error. In `rc` only the primary code is looked at. */

enum amend_sqlite_phase { AMEND_SQLITE_PREPARING, AMEND_SQLITE_RUNNING };

/* `upgrade`: BUSY met by a transaction that had read and now wants to write. */
enum amend_status amend_sqlite_fail(struct amend_session *session, int rc,
				    enum amend_sqlite_phase phase, bool upgrade,
				    struct amend_error *err);
/* Sets status, text and sqlstate. */
enum amend_status amend_sqlite_error(struct amend_error *err, enum amend_status status,
				     const char *sqlstate, const char *format, ...)
	AMEND_PRINTF(4, 5);
/* INTERRUPTED when it was asked for or the time limit has passed; else AMEND_OK. */
enum amend_status amend_sqlite_stopped(const struct amend_session *session, struct amend_error *err);

/* -- sqlite_open.c */

bool amend_sqlite_accepts(const char *url);
enum amend_status amend_sqlite_open(const char *url, const struct amend_open_options *options,
				    struct amend_session **out, struct amend_error *err);
/* A zeroed session with the options taken over; NULL when there is no memory. */
struct amend_session *amend_sqlite_session_new(const struct amend_open_options *options);
void amend_sqlite_close(struct amend_session *session);

/* -- sqlite_run.c */

enum amend_status amend_sqlite_run(struct amend_session *session,
				   const struct amend_statement *statements, size_t n,
				   struct amend_rows *rows, size_t *failed, struct amend_error *err);
/* What a ROLLBACK that failed has left is undone. */
enum amend_status amend_sqlite_clear(struct amend_session *session, struct amend_error *err);
/* Around statements: whether they may run at all; while they do, they can be interrupted. */
enum amend_status amend_sqlite_enter(struct amend_session *session, struct amend_error *err);
void amend_sqlite_leave(struct amend_session *session);
/* A statement that may run here and now; amend_sqlite_finish takes it, whatever the status. */
enum amend_status amend_sqlite_ready(struct amend_session *session,
				     const struct amend_statement *statement, sqlite3_stmt **out,
				     struct amend_error *err);
/* Resets it, lets go of its values; frees it unless it is cached. */
void amend_sqlite_finish(struct amend_session *session, sqlite3_stmt *stmt);
/* The values are borrowed until amend_sqlite_finish, or the next binding. */
enum amend_status amend_sqlite_bind_all(struct amend_session *session, sqlite3_stmt *stmt,
					const struct amend_value *values, size_t n_values,
					struct amend_error *err);
/* Steps it to its end; `each` NULL: its rows are dropped. */
enum amend_status amend_sqlite_rows(struct amend_session *session, sqlite3_stmt *stmt,
				    amend_row_fn each, void *context, struct amend_error *err);
/* What the statement changed that has just ended; `before`: sqlite3_total_changes64 before it. */
int64_t amend_sqlite_changes(struct amend_session *session, sqlite3_int64 before);
/* A statement of the driver's own: in `*out` a cached one, reset and without values. The result is SQLite's code. */
int amend_sqlite_prepare(struct amend_session *session, const char *sql, sqlite3_stmt **out);
/* Steps a statement that returns no rows, and resets it. */
int amend_sqlite_step(sqlite3_stmt *stmt);
void amend_sqlite_forget(struct amend_session *session);
/* 0, or SQLITE_TOOBIG, SQLITE_NOMEM; SQLITE_MISMATCH for NaN, which SQLite would turn into NULL. */
int amend_sqlite_bind(sqlite3_stmt *stmt, int index, const struct amend_value *value);
/* Copies column `index` of the current row; false when there is no memory. */
bool amend_sqlite_column_value(sqlite3_stmt *stmt, int index, struct amend_arena *arena,
			       struct amend_value *out);

/* -- sqlite_bulk.c: the driver's functions of these names */

enum amend_status amend_sqlite_columns(struct amend_session *session, const char *sql,
				       amend_name_fn each, void *context,
				       struct amend_error *err) AMEND_CHECK;
enum amend_status amend_sqlite_scan(struct amend_session *session,
				    const struct amend_statement *statement, amend_row_fn each,
				    void *context, struct amend_error *err);
enum amend_status amend_sqlite_repeat(struct amend_session *session, struct amend_repeat *repeat,
				      struct amend_error *err);
enum amend_status amend_sqlite_data_version(struct amend_session *session, int64_t *out,
					    struct amend_error *err);
bool amend_sqlite_reads_freely(struct amend_session *session, const char *schema);
bool amend_sqlite_enforces_keys(struct amend_session *session);

/* -- sqlite_tx.c */

int amend_sqlite_busy(void *session, int count); /* the busy handler of opened handles */
int amend_sqlite_progress(void *session);        /* and their progress handler */
int amend_sqlite_committed(void *session, sqlite3 *db, const char *schema, int pages);
void amend_sqlite_give_turn(struct amend_session *session);
enum amend_status amend_sqlite_begin(struct amend_session *session, const struct amend_begin *begin,
				     struct amend_error *err);
enum amend_status amend_sqlite_commit(struct amend_session *session, struct amend_error *err);
enum amend_status amend_sqlite_rollback(struct amend_session *session, struct amend_error *err);
enum amend_status amend_sqlite_set_lock_timeout(struct amend_session *session, int ms,
						struct amend_error *err);
enum amend_status amend_sqlite_become_writer(struct amend_session *session, struct amend_error *err);
/* Opens the turn unless that has been tried; NULL, and session->turn_problem, where there is none. */
struct amend_turn *amend_sqlite_turn(struct amend_session *session);

/* -- sqlite_describe.c, sqlite_canon.c */

enum amend_sqlite_affinity {
	AMEND_SQLITE_AS_TEXT,
	AMEND_SQLITE_AS_INTEGER,
	AMEND_SQLITE_AS_REAL,
	AMEND_SQLITE_AS_BLOB, /* keeps what it is given: BLOB, no type, ANY of a STRICT table */
	AMEND_SQLITE_AS_NUMERIC,
};

enum amend_sqlite_affinity amend_sqlite_affinity(const char *type, bool strict);
/* Of its triggers, as driver.guard_state has it. */
void amend_sqlite_guard_state(struct amend_sql *sql, const struct amend_table *table);
/* As driver.schema_version has it. */
void amend_sqlite_schema_version(struct amend_sql *sql, const struct amend_table *table);
enum amend_status amend_sqlite_describe(struct amend_session *session, const char *schema,
					const char *name, struct amend_arena *arena,
					struct amend_table *table, bool *visible,
					struct amend_error *err);
enum amend_status amend_sqlite_canonicalise(struct amend_session *session,
					    struct amend_canon *items, size_t n,
					    struct amend_arena *arena, struct amend_error *err);
void amend_sqlite_scratch_close(struct amend_sqlite_scratch *scratch);

/* -- sqlite_violations.c; what it shares with sqlite_refers.c is in sqlite_violations.h */

enum amend_status amend_sqlite_violations(struct amend_session *session,
					  const struct amend_wish *wish,
					  struct amend_violations *list, struct amend_error *err);

/* sqlite_guard.c */

/* What begins the message of a trigger that refuses a stale version: with it the error is STALE. */
#define AMEND_SQLITE_STALE "amend: "

extern const char *const amend_sqlite_ledger_guard[];

enum amend_status amend_sqlite_guard_column(const struct amend_table *table, const char *name,
					    int64_t ms, struct amend_arena *arena,
					    struct amend_column *column, const char **statements,
					    struct amend_error *err);
enum amend_status amend_sqlite_guard_parts(struct amend_session *session,
					   const struct amend_guard_spec *spec,
					   struct amend_arena *arena, struct amend_guard_part **out,
					   size_t *n, struct amend_error *err);
enum amend_status amend_sqlite_guard_found(struct amend_session *session,
					   const struct amend_table *table,
					   struct amend_arena *arena, struct amend_guard_found **out,
					   size_t *n, struct amend_error *err);

#endif
