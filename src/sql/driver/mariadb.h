/*
 * What the files of the MariaDB driver share. libmariadb 3.3 or newer, a server
 * of version 10.6 or newer (SKIP LOCKED, INSERT ... RETURNING).
 */
#ifndef AMEND_SQL_DRIVER_MARIADB_H
#define AMEND_SQL_DRIVER_MARIADB_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/types.h>

#include <mariadb/errmsg.h>
#include <mariadb/mysql.h>

#include "core/buffer.h"
#include "sql/driver.h"
#include "sql/sqlstate.h"

enum { AMEND_MA_PREPARED = 128 };

/* Server errors that this driver looks at by number (the server's manual, "Error codes"). */
enum amend_mariadb_code {
	AMEND_MA_DUPLICATE = 1062,
	AMEND_MA_NO_SETTING = 1193,
	AMEND_MA_LOCK_WAIT = 1205,
	AMEND_MA_DEADLOCK = 1213,
	AMEND_MA_RESOURCE = 1226,
	AMEND_MA_NO_SAVEPOINT = 1305,
	AMEND_MA_MOST_PREPARED = 1461,
};

/* A query for what tells servers apart. */
#define AMEND_MA_WHICH_SERVER \
	"SELECT concat_ws(' ', @@hostname, @@port, @@server_id, @@pid_file, @@datadir)"

enum amend_mariadb_choice { AMEND_MA_UNSAID, AMEND_MA_OFF, AMEND_MA_ON };

/* Where a connection goes to; what is NULL is the client library's default. */
struct amend_mariadb_place {
	char *host, *user, *password, *database, *socket;
	enum amend_mariadb_choice tls, verify; /* verify: that the certificate is the host's */
	char *ca, *capath, *cert, *key;
	unsigned port; /* 0: the default */
};

/* A statement's text, prepared on the server. */
struct amend_mariadb_prepared {
	char *sql; /* NULL: a free place */
	uint64_t hash, last_use;
	MYSQL_STMT *stmt;
};

struct amend_session {
	MYSQL *conn;
	struct amend_mariadb_place place; /* opened: for reconnect and interrupt; adopted: empty */
	bool adopted;
	bool lost;
	bool begun;     /* a transaction of ours is open, or was until the server ended it */
	pid_t pid;      /* the process that opened or adopted it */
	bool read_only; /* what the caller asked for at open */
	int lock_timeout_ms;

	/* mariadb_pins.c */
	int wait_s;   /* innodb_lock_wait_timeout as last set by us; -1: not known */
	bool limited; /* max_statement_time is set, for the transaction now open */
	char *saved; /* adopted, pinned: the statement that puts the application's settings back; NULL: they are there */
	unsigned long long insert_id; /* adopted, pinned: the application's mysql_insert_id() */
	char server[256];             /* which one it is; "": not asked yet */
	size_t most;                  /* bytes that it takes at once */
	bool no_arrays;               /* whoever answers for it takes none: mariadb_bulk.c */
	bool snapshots;               /* it has innodb_snapshot_isolation */
	bool joins;                   /* it can be a node of a cluster: wsrep_sync_wait */
	bool joined;                  /* and is one */
	bool manual; /* in a unit on a node: autocommit is off, and a savepoint stands for the transaction */
	bool unsure; /* whether the application's transaction is still there: amend_mariadb_sure */

	/* mariadb_run.c */
	struct amend_mariadb_prepared prepared[AMEND_MA_PREPARED];
	uint64_t uses;

	/* For interrupt: whom to kill; something of ours is being waited for; it was asked for. */
	pthread_t killer;
	bool has_killer;
	sem_t wake;
	atomic_bool busy, asked, closing;
	atomic_bool killing;
};

/* mariadb_words.c */

enum amend_mariadb_kind {
	AMEND_MA_READS,   /* surely changes nothing, and leaves the transaction as it is */
	AMEND_MA_COUNTS,  /* changes rows, and says how many */
	AMEND_MA_CHANGES, /* may change something */
	AMEND_MA_CALLS,   /* what it runs is not known here: it may also end the transaction */
	AMEND_MA_COMMITS, /* would end the open transaction, or may */
};

enum amend_mariadb_kind amend_mariadb_kind(const char *sql);
/* driver.alters */
enum amend_alters amend_mariadb_alters(const char *sql);

/* mariadb_error.c */

enum amend_status amend_mariadb_fail(struct amend_error *err, enum amend_status status,
				     const char *sqlstate, const char *text);
/* What the server or the client library says, by number. */
enum amend_status amend_mariadb_meaning(unsigned code, const char *sqlstate, const char *text,
					struct amend_error *err);
/* Of the connection, or of `stmt` where it is not NULL; also finds out what the error left of the transaction. */
enum amend_status amend_mariadb_error(struct amend_session *session, MYSQL_STMT *stmt,
				      struct amend_error *err);

/* mariadb_open.c */

bool amend_mariadb_accepts(const char *url);
enum amend_status amend_mariadb_open(const char *url, const struct amend_open_options *options,
				     struct amend_session **out, struct amend_error *err);
enum amend_status amend_mariadb_adopt(void *handle, const struct amend_open_options *options,
				      struct amend_session **out, struct amend_error *err);
enum amend_status amend_mariadb_reconnect(struct amend_session *session, int limit_ms,
					  bool (*stop)(const void *context), const void *context,
					  struct amend_error *err);
void amend_mariadb_close(struct amend_session *session);
void amend_mariadb_interrupt(struct amend_session *session);
/* Returns once nobody is looking at the session to interrupt it. */
void amend_mariadb_quiet(struct amend_session *session);
/* Around each wait for the server, for interrupt. */
void amend_mariadb_enter(struct amend_session *session);
void amend_mariadb_leave(struct amend_session *session);

/* mariadb_pins.c */

enum amend_status amend_mariadb_pin_opened(struct amend_session *session, struct amend_error *err);
enum amend_status amend_mariadb_pin(struct amend_session *session, struct amend_error *err);
enum amend_status amend_mariadb_unpin(struct amend_session *session, struct amend_error *err);
/* How long locks are waited for, in the whole seconds that the server counts. */
enum amend_status amend_mariadb_wait(struct amend_session *session, int ms, struct amend_error *err);

enum amend_status amend_mariadb_no_snapshots(struct amend_error *err);

/*
 * A node of a Galera cluster undoes a transaction at any moment for one that another node has committed, and tells the next
 * statement (1213); but not always, and then the next one is run as if no transaction were open, and what it writes is in alone (seen with 10.11;
 * tests/cluster). So in a unit autocommit is off, and COMMIT is sent when a savepoint of the beginning is still there. In the
 * application's transaction autocommit cannot be turned off and on: before a write behind a statement with a result, whose end is
 * where it is not told, one without is sent, whose answer has the session's state. RETRY: it was undone.
 */
enum amend_status amend_mariadb_sure(struct amend_session *session, struct amend_error *err);
enum amend_status amend_mariadb_undone(struct amend_error *err);
/* The statement, which succeeded, has no transaction around it any more. */
enum amend_status amend_mariadb_ended(const struct amend_session *session,
				      enum amend_mariadb_kind kind, struct amend_error *err);
/* After a unit: on again. */
enum amend_status amend_mariadb_autocommit(struct amend_session *session, struct amend_error *err);

/* mariadb_prepared.c */

/* `*kept` false: the caller closes it, if there is one. */
enum amend_status amend_mariadb_prepare(struct amend_session *session,
					const struct amend_statement *statement, MYSQL_STMT **out,
					bool *kept, struct amend_error *err);
/* Prepares it and runs it. INVALID: it would commit the open transaction, or run where the server has ended one. */
enum amend_status amend_mariadb_start(struct amend_session *session,
				      const struct amend_statement *statement,
				      enum amend_mariadb_kind kind, MYSQL_STMT **out, bool *kept,
				      struct amend_error *err);
/* Closes what is prepared; it is gone on the server, or will be. */
void amend_mariadb_forget(struct amend_session *session);

/* mariadb_scan.c */

enum amend_status amend_mariadb_scan(struct amend_session *session,
				     const struct amend_statement *statement, amend_row_fn each,
				     void *context, struct amend_error *err);
enum amend_status amend_mariadb_columns(struct amend_session *session, const char *sql,
					amend_name_fn each, void *context, struct amend_error *err);

/* mariadb_run.c */

/* That the session may be used: it is there, and this process's. */
enum amend_status amend_mariadb_ready(const struct amend_session *session, struct amend_error *err);
/* Text of our own making without results. */
enum amend_status amend_mariadb_exec(struct amend_session *session, const char *sql,
				     struct amend_error *err);
enum amend_status amend_mariadb_run(struct amend_session *session,
				    const struct amend_statement *statements, size_t n,
				    struct amend_rows *rows, size_t *failed,
				    struct amend_error *err);
enum amend_tx amend_mariadb_state(const struct amend_session *session);
/* One of our own queries with text parameters. */
enum amend_status amend_mariadb_ask(struct amend_session *session, const char *sql,
				    const struct amend_value *values, size_t n,
				    struct amend_rows *rows, struct amend_error *err);

/* mariadb_bulk.c */

bool amend_mariadb_set_type(struct amend_sql *sql, const struct amend_column *column);
enum amend_status amend_mariadb_repeat(struct amend_session *session, struct amend_repeat *repeat,
				       struct amend_error *err);

/* mariadb_fetch.c: the columns of one result, bound to buffers that grow */

struct amend_mariadb_fetch {
	MYSQL_STMT *stmt;
	unsigned n;
	MYSQL_FIELD *fields; /* of `meta` */
	MYSQL_RES *meta;
	MYSQL_BIND *binds;
	struct amend_mariadb_cell *cells;
	bool grown; /* a buffer is another one than was bound */
};

enum amend_status amend_mariadb_fetch_begin(struct amend_mariadb_fetch *fetch, MYSQL_STMT *stmt,
					    struct amend_error *err);
/* The next row's values, which live until the next call; `*more` false: there is none. */
enum amend_status amend_mariadb_fetch_row(struct amend_session *session,
					  struct amend_mariadb_fetch *fetch,
					  struct amend_value *values, bool *more,
					  struct amend_error *err);
void amend_mariadb_fetch_end(struct amend_mariadb_fetch *fetch);

/* mariadb_tx.c */

enum amend_status amend_mariadb_begin(struct amend_session *session,
				      const struct amend_begin *begin, struct amend_error *err);
enum amend_status amend_mariadb_commit(struct amend_session *session, struct amend_error *err);
enum amend_status amend_mariadb_rollback(struct amend_session *session, struct amend_error *err);
enum amend_status amend_mariadb_set_lock_timeout(struct amend_session *session, int ms,
						 struct amend_error *err);

/* mariadb_violations.c */

enum amend_status amend_mariadb_violations(struct amend_session *session,
					   const struct amend_wish *wish,
					   struct amend_violations *list, struct amend_error *err);

/* mariadb_guard.c: the driver's functions of these names; guard_moment is its schema_version */

enum amend_status amend_mariadb_guard_column(const struct amend_table *table, const char *name,
					     int64_t ms, struct amend_arena *arena,
					     struct amend_column *column, const char **statements,
					     struct amend_error *err);
enum amend_status amend_mariadb_guard_parts(struct amend_session *session,
					    const struct amend_guard_spec *spec,
					    struct amend_arena *arena, struct amend_guard_part **out,
					    size_t *n, struct amend_error *err);
enum amend_status amend_mariadb_guard_found(struct amend_session *session,
					    const struct amend_table *table,
					    struct amend_arena *arena,
					    struct amend_guard_found **out, size_t *n,
					    struct amend_error *err);
/* In a guard's state: the triggers that record. One at a time comes and goes: there may be some of them alone. */
enum { AMEND_MA_GUARD_RECORDING = 2 + 4 + 8 };
void amend_mariadb_guard_state(struct amend_sql *sql, const struct amend_table *table);
void amend_mariadb_guard_moment(struct amend_sql *sql, const struct amend_table *table);
/* Of a description whose columns are read: all that it says of triggers. */
enum amend_status amend_mariadb_read_triggers(struct amend_session *session,
					      struct amend_table *table, struct amend_error *err);

/* mariadb_describe.c, mariadb_canon.c, mariadb_check.c: the driver's functions of these names */

/* column.type_id: what the canonical form goes by. */
enum amend_mariadb_type {
	AMEND_MA_OTHER, /* asked of the server */
	AMEND_MA_INTEGER,
	AMEND_MA_DECIMAL,
	AMEND_MA_DOUBLE,
	AMEND_MA_FLOAT,
	AMEND_MA_CHAR,
	AMEND_MA_TEXT, /* varchar and the texts */
	AMEND_MA_BYTES,
	AMEND_MA_DATE,
	AMEND_MA_DATETIME,
};

enum amend_status amend_mariadb_describe(struct amend_session *session, const char *schema,
					 const char *name, struct amend_arena *arena,
					 struct amend_table *table, bool *visible,
					 struct amend_error *err);
enum amend_status amend_mariadb_canonicalise(struct amend_session *session,
					     struct amend_canon *items, size_t n,
					     struct amend_arena *arena, struct amend_error *err);
enum amend_status amend_mariadb_check(struct amend_session *session,
				      void (*each)(void *context, enum amend_level level,
						   const char *topic, const char *text),
				      void *context, struct amend_error *err);

#endif
