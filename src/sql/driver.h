/*
 * What a driver is: one engine's function table, its dialect as plain data,
 * and feature bits. Drivers translate; they decide nothing. The layers above
 * ask for features, never for names.
 *
 * Rules for every function: errors are classified into amend_status with
 * sqlstate filled in (SQLite maps its extended codes to the same states, the
 * list is in sql/sqlstate.h); a text never holds a password; nothing is retried
 * here except what the comment says.
 */
#ifndef AMEND_SQL_DRIVER_H
#define AMEND_SQL_DRIVER_H

#include <amend/connection.h>
#include <amend/ledger.h>
#include <amend/table.h>
#include <amend/unit.h>

#include "core/arena.h"

struct amend_sql;        /* sql/sql.h */
struct amend_guard_spec; /* sql/guard.h, and the two behind it */
struct amend_guard_part;
struct amend_guard_found;
struct amend_wish; /* sql/violations.h, and what is found */
struct amend_violations;
struct amend_session; /* a driver's own connection state; each driver defines its own */

enum amend_feature {
	AMEND_HAS_ROW_LOCK =
		1 << 0, /* SELECT ... FOR UPDATE; without it a writing unit holds the database */
	AMEND_HAS_KEY_STRENGTHS = 1 << 1, /* FOR NO KEY UPDATE */
	AMEND_HAS_SHARE = 1 << 2,         /* FOR SHARE */
	AMEND_HAS_TABLE_LOCK = 1 << 3,
	AMEND_HAS_WRITE_CTE =
		1 << 4, /* UPDATE, INSERT, DELETE ... RETURNING inside WITH: one statement writes and records */
	AMEND_HAS_SCHEMAS = 1 << 5,      /* the ledger has a schema of its own */
	AMEND_HAS_DDL_ROLLBACK = 1 << 6, /* DDL is part of the transaction */
	AMEND_HAS_SNAPSHOT_MOVES =
		1 << 7, /* by default each statement sees what is committed when it begins */
	AMEND_HAS_TYPED_STORAGE =
		1 << 8, /* a column holds values of its type alone; values print as text */
	AMEND_HAS_ROW_VERSION = 1 << 9, /* dialect.row_version */
	AMEND_HAS_ARRAYS =
		1 << 10, /* unnest: many rows of parameters in one statement (amend_sql_unnest) */
	AMEND_HAS_UPDATE_RETURNING =
		1 << 11, /* UPDATE ... RETURNING; ON CONFLICT ... DO UPDATE ... WHERE */
	AMEND_HAS_KEY_TRIGGERS =
		1 << 12, /* rows that a foreign key changes or deletes call their table's triggers */
	AMEND_HAS_MANY_VALUES =
		1 << 13, /* INSERT ... VALUES (..), (..) RETURNING returns all rows, in that order */
};

/* Pieces of SQL text. "" where the engine lacks it (the feature bit says so too). */
struct amend_dialect {
	char quote;            /* of identifiers: doubled inside */
	char placeholder;      /* '$' or '?': followed by the parameter's number, from 1 */
	bool numbered;         /* false: '?' alone, in order of use */
	bool untyped;          /* a placeholder needs no cast to be known for what it is */
	bool cast_around;      /* a column's cast is written CAST(? AS type), not ?::type */
	bool on_duplicate_key; /* ON DUPLICATE KEY UPDATE for ON CONFLICT (..) DO UPDATE (amend_sql_or_set); for DO NOTHING see amend_statement.unless_there */
	const char *in_order; /* behind SELECT: tables are joined in the order in which they are named; "": that is for the engine to say */
	const char *by_key; /* before a key's name in parentheses: that it is used; NULL: that is for the engine to say */
	const char *default_row;  /* behind INSERT INTO t: a row of nothing but defaults */
	const char *same;         /* infix, NULL-safe: "IS NOT DISTINCT FROM", "IS", "<=>" */
	const char *same_text[2]; /* around a text column's name before `same`, for it to compare every byte; "" or NULL where that is for the column's collation */
	const char *for_update, *for_no_key_update, *for_share; /* suffixes, without leading space */
	const char *nowait, *skip_locked;                       /* behind them */
	const char *lock_table_update,
		*lock_table_share; /* "LOCK TABLE %s IN ... MODE" around the quoted name: prefix.. */
	const char *lock_table_update_mode, *lock_table_share_mode; /* ..and what follows the name */
	const char *row_version; /* expression on a row, of type text: differs after any write to that row; NULL: none */
	const char *const *
		row_version_parts; /* NULL-ended: columns whose texts in a row make row_version, for who reads many; NULL: none */
	const char *row_estimate[2]; /* around a table's name as a value: a query for about how many rows it has, below 0 or NULL: not known; "": the engine does not know */
	const char *now; /* expression: UTC as text "YYYY-MM-DD HH:MM:SS.ffffff", the clock, not the transaction's start */
	const char *next_time[2]; /* around a version column of type timestamp: its next value, always later */
	const char *default_schema; /* left out in the ledger's names of tables: "public", "main"; "": whichever is the session's */
	const char *tables; /* a query for the names of the tables there are without a schema, in order; the engine's own and the ledger's left out */
	const char *ledger; /* prefix of the ledger's tables: "amend." or "amend_" */
	const char *ledger_index; /* prefix of its indexes: "" or "amend_" */
	/* A query: which of the ledger's "meta" and "feed_sum" are there, in this order, whatever the role may read. */
	const char *ledger_present;
	const char *const
		*ledger_lock; /* NULL-ended: makes a second installer wait for this transaction */
	const char *const *ledger_unlock; /* NULL-ended: gives that up; NULL: the transaction's end does */
	/*
	 * NULL-ended: the ledger's tables as of a version, for an engine that has had none before it; each statement
	 * finds well what is there already. Where DDL is no part of a transaction this is how it is installed.
	 */
	const char *const *ledger_whole;
	int ledger_whole_version;
	const char *const *ledger_before; /* NULL-ended: before its tables, e.g. the schema */
	const char *const
		*ledger_grants; /* NULL-ended: let {role} write through amend; {ledger} as above */
	const char *const *guard_grants; /* NULL-ended, or NULL: let it guard tables as well */
	const char *const *ledger_guard; /* NULL-ended: what guarded tables' triggers share */
	const char *revision_xact; /* expression: this transaction's number, for revision.xact; NULL: there is none */
	const char *peer_there; /* a query: one row, 0 once the peer $1, a lost connection's, can no longer do what it was sent; $2: this connection's own. No row: not known. NULL as driver.reconnect */
	/*
	 * A statement that writes to the engine's log, if a COMMIT waits for a standby there, and nowhere else: so the COMMIT after it
	 * waits for what earlier ones were to wait for as well. INVALID, UNSUPPORTED, DENIED: this server has no such thing.
	 * NULL: nor has the engine.
	 */
	const char *confirm;
	/*
	 * Where DDL is no part of a transaction: what keeps everybody from a table (around its amend_table.sql), and from the
	 * ledger's guard, while its triggers change; and what lets go. The dialect's ledger_lock is taken before.
	 */
	const char *guard_hold[2], *guard_let_go;
	bool guard_needs_columns; /* writes to a guarded table fail once a column of its triggers is dropped */
	const char *hand_over; /* a statement with the open unit's revision as $1: what triggers record belongs to it */
	const char *hand_back; /* takes it back after the write; NULL: the transaction's end does */
	const char *hand_bases; /* a function that adds to what triggers have recorded in a revision, where a role may not itself; NULL: it may */
	const char *ledger_rights; /* a query whose rows are statements: they give rights on tables that an upgrade makes anew to those who have them; "": there are none */
	const char *random_secret; /* expression: 64 hexadecimal digits that nobody can guess */
	const char *epoch;    /* expression: the clock, whole seconds since 1970, as integer_type */
	const char *clock_ms; /* expression: the server's clock, ms since 1970, as integer_type; NULL: the database has none but this machine's (core/clock.h) */
	/*
	 * Around a table (amend_table.sql) and a text of `now`: a query that returns a row while a statement is under
	 * way that may change rows of that table and began before then: it may not see what was committed by then.
	 * NULL: there is no such, for rows are held before what they depend on is looked at.
	 */
	const char *under_way[3];
	const char *for_key_share; /* suffix: shares the row with whoever changes nothing that is unique, bars who does; "" where a writer holds the database */
	const char *role; /* a query for this session's role, quoted; "" where there are none */
	const char *serial_type;  /* 64-bit key that rises: never reused */
	const char *integer_type; /* 64 bits */
	const char *text_type;
	const char *bytes_type;
	/* Numbers of these three, for arrays of them that are sent in the form of PostgreSQL's wire; 0: as text. */
	unsigned integer_number, text_number, bytes_number;
	const char *name_type;    /* text that is compared byte by byte */
	const char *lookup_index; /* before an index's column: one for equality alone */
	const char *may_number; /* whether this role may draw the ledger's numbers itself: a condition; "": nobody can */
	const char *next_revision, *next_change; /* how it draws them */
	const char *if_no_column; /* behind ADD COLUMN: where DDL is no part of a transaction, for one that was made before and not said to be */
	const char *rewritten_table; /* behind CREATE TABLE (...): for one whose rows are found by primary key and often rewritten */
};

/* A statement: text, and the values behind its placeholders. */
struct amend_statement {
	const char *sql;
	const struct amend_value *values;
	size_t n_values;
	bool once;       /* not worth preparing: DDL, or a text that will not come again */
	uint64_t binary; /* bit i: value i, which is BLOB, is in the engine's own form of its type */
	bool raw; /* of a scan: all columns are text or bytes, and may come as BLOB, whichever they are */
	uint64_t hash; /* amend_sql_hash of the text, where it is known already; else 0 */
	/*
	 * An INSERT that does nothing where the value of a unique key is there already, and that is no failure: no row
	 * returned, no change. With ON CONFLICT the text says it, and this is nothing to the driver. `unless_key`:
	 * the key's name; NULL: any of the table's.
	 */
	bool unless_there;
	const char *unless_key;
};

enum amend_tx {
	AMEND_TX_IDLE, /* no transaction */
	AMEND_TX_ACTIVE,
	AMEND_TX_FAILED, /* PostgreSQL: aborted, only ROLLBACK is accepted */
	AMEND_TX_LOST,   /* the connection is gone */
};

struct amend_begin {
	enum amend_isolation isolation;
	bool read_only;
	int lock_timeout_ms; /* -1: no limit; 0: nowait; for this transaction */
	int time_limit_ms;   /* 0: none; a statement past it ends with INTERRUPTED */
};

/* One value to be brought into the form in which the column would hand it back. */
struct amend_canon {
	const struct amend_column *column;
	struct amend_value in;
	struct amend_value out; /* lives in the arena, or is `in` itself */
	const char *problem; /* NULL, or why the column cannot hold it: "expected integer, found \"abc\"" */
};

/*
 * Takes one row. Its values live during the call, which runs no statement on
 * the connection; anything but OK ends the reading with that status.
 */
typedef enum amend_status (*amend_row_fn)(void *context, const struct amend_value *values,
					  size_t n_columns, struct amend_error *err);

/* Takes one name; anything but OK ends the listing with that status. */
typedef enum amend_status (*amend_name_fn)(void *context, const char *name, struct amend_error *err);

/* One statement, many times over. */
struct amend_repeat {
	const char *sql;
	bool unless_there; /* as in amend_statement */
	const char *unless_key;
	size_t n_values;                  /* of one time */
	const struct amend_value *values; /* n * n_values */
	size_t n;
	/* Takes each row that the i-th time returns, as amend_row_fn; NULL: they are dropped. */
	enum amend_status (*each)(void *context, size_t i, const struct amend_value *values,
				  size_t n_columns, struct amend_error *err);
	void *context;
	int64_t *changes; /* n: rows changed each time; NULL: nobody asks */
	size_t failed;    /* out: which one did; n: none */
};

/* New rows of a table of the ledger. */
struct amend_load {
	const char *into;      /* the table and its columns: `amend.base (feed, pk)` */
	const size_t *columns; /* which of a row's values go there, in order */
	size_t n_columns;
	const struct amend_value *values; /* of the first row */
	size_t stride;                    /* from one row's values to the next one's */
	size_t n;                         /* rows */
};

/* What a statement leaves in its session that another one would not have: settings, a role, temporary tables, locks. */
enum amend_alters {
	AMEND_ALTERS_NOTHING,
	AMEND_ALTERS_SESSION,  /* something, or maybe */
	AMEND_ALTERS_DATABASE, /* also which database is used, and with it which ledger; or maybe */
};

struct amend_driver {
	const char *name;
	unsigned features;
	const struct amend_dialect *dialect;

	/* Whether the URL is this driver's. "sqlite" takes what no other driver's scheme claims. */
	bool (*accepts)(const char *url);

	/* Connects and pins the settings of COMPARE. */
	enum amend_status (*open)(const char *url, const struct amend_open_options *options,
				  struct amend_session **out, struct amend_error *err);

	/*
	 * A session that was opened and is LOST: opens another connection to the same place instead, with
	 * the same settings; gives up after `limit_ms`, or once `stop` says so (INTERRUPTED). What the old
	 * one was doing may still be going on. NULL: the engine loses none, nor the answer of a COMMIT.
	 */
	enum amend_status (*reconnect)(struct amend_session *session, int limit_ms,
				       bool (*stop)(const void *context), const void *context,
				       struct amend_error *err);

	/* The server's process behind it, as a number for dialect.peer_there; 0: not known. NULL as reconnect. */
	int64_t (*peer)(const struct amend_session *session);

	/* By its words; what is called by a name of its own (a function) is taken to alter nothing. NULL as reconnect. */
	enum amend_alters (*alters)(const char *sql);

	/*
	 * Of a session that was opened: another one to the same server, with the same settings, for work beside its own. NULL: a writer holds the database, and two would only
	 * wait for each other.
	 */
	enum amend_status (*twin)(const struct amend_session *session,
				  const struct amend_open_options *options,
				  struct amend_session **out, struct amend_error *err);

	/* Wraps the application's handle; pins nothing yet. */
	enum amend_status (*adopt)(void *handle, const struct amend_open_options *options,
				   struct amend_session **out, struct amend_error *err);

	/* Closes an opened handle, lets go of an adopted one. Takes NULL. */
	void (*close)(struct amend_session *session);

	/* Adopted only: saves the application's settings and sets ours; and back. In one round trip; nothing where they are the same. */
	enum amend_status (*pin)(struct amend_session *session, struct amend_error *err);
	enum amend_status (*unpin)(struct amend_session *session, struct amend_error *err);

	/*
	 * Runs `n` statements in order, in one round trip where the engine can, up
	 * to the first that fails: its index goes to `*failed` (n when none did).
	 * `rows` has n elements, each filled in or zeroed; NULL where the caller
	 * wants none of them. Outside a transaction each statement is its own.
	 */
	enum amend_status (*run)(struct amend_session *session,
				 const struct amend_statement *statements, size_t n,
				 struct amend_rows *rows, size_t *failed, struct amend_error *err);

	/*
	 * Runs a query and hands out its rows as they come; nothing of them is kept. When `each`
	 * fails the query is given up, and an open transaction stays what it was. TEXT is NUL-terminated.
	 */
	enum amend_status (*scan)(struct amend_session *session,
				  const struct amend_statement *statement, amend_row_fn each,
				  void *context, struct amend_error *err);

	/*
	 * The names of the columns that a query returns, in order, each living during
	 * the call; the query is not run. INVALID: it is several, or returns nothing.
	 */
	enum amend_status (*columns)(struct amend_session *session, const char *sql,
				     amend_name_fn each, void *context, struct amend_error *err);

	/* As `run` with n statements of one text. NULL: the caller does it by `run`. */
	enum amend_status (*repeat)(struct amend_session *session, struct amend_repeat *repeat,
				    struct amend_error *err);

	/*
	 * Inserts the rows in their order, faster than any statement. The columns have the
	 * dialect's integer_type, text_type (or name_type) and bytes_type, and the values INTEGER, TEXT
	 * and BLOB, or NULL: nothing is converted. Inside a transaction only. NULL: the caller does it by
	 * `run`; so it does where ARRAYS is hidden.
	 */
	enum amend_status (*load)(struct amend_session *session, const struct amend_load *load,
				  struct amend_error *err);

	/*
	 * A number that another connection's commit changes, and this one's own do
	 * not: while it stays, what was read is what is there. Inside a transaction it is that of the
	 * state which the transaction sees. NULL: the engine has none. SQLite: of the file main alone,
	 * not of those that are attached.
	 */
	enum amend_status (*data_version)(struct amend_session *session, int64_t *out,
					  struct amend_error *err);

	/*
	 * Whether a read of this schema that stays open is in no writer's way. NULL: it never is.
	 * SQLite: outside of WAL mode it keeps others from committing.
	 */
	bool (*reads_freely)(struct amend_session *session, const char *schema);

	/* Whether foreign keys are enforced, for the transaction that is open or comes next. NULL: always. */
	bool (*enforces_keys)(struct amend_session *session);

	/* SQLite: takes its turn, then BEGIN IMMEDIATE unless read-only; LOCKED after the limit. */
	enum amend_status (*begin)(struct amend_session *session, const struct amend_begin *begin,
				   struct amend_error *err);

	/* RETRY, CONSTRAINT (deferred ones): it is undone. OUTCOME_UNKNOWN: the connection died. Retries a busy COMMIT by itself. */
	enum amend_status (*commit)(struct amend_session *session, struct amend_error *err);

	/* Ends any state but LOST; OK when there is nothing to undo. */
	enum amend_status (*rollback)(struct amend_session *session, struct amend_error *err);

	/* Asked from the engine, without a round trip. */
	enum amend_tx (*state)(const struct amend_session *session);

	/* For the transaction now open: its next waits end after this. -1: no limit, 0: nowait. */
	enum amend_status (*set_lock_timeout)(struct amend_session *session, int ms,
					      struct amend_error *err);

	/* Inside a transaction that may not be a writer yet (adopted, deferred): makes it one. NULL where rows are locked. */
	enum amend_status (*become_writer)(struct amend_session *session, struct amend_error *err);

	/*
	 * Fills `table` in (schema, name, columns, keys, foreign keys, rowid, folds_case; not
	 * identity, version, sql, qualified: the caller derives them), all in
	 * `arena`. `schema` NULL: the search path, or main. `visible` says whether the
	 * bare name reaches this table. NOT_FOUND; UNSUPPORTED: a view, a foreign table.
	 */
	enum amend_status (*describe)(struct amend_session *session, const char *schema,
				      const char *name, struct amend_arena *arena,
				      struct amend_table *table, bool *visible,
				      struct amend_error *err);

	/* Fills in `out` or `problem` of each; the status is that of the connection. Works inside a transaction without harming it. */
	enum amend_status (*canonicalise)(struct amend_session *session, struct amend_canon *items,
					  size_t n, struct amend_arena *arena,
					  struct amend_error *err);

	/* Engine settings worth a word, and who blocks whom (amend_check). */
	enum amend_status (*check)(struct amend_session *session,
				   void (*each)(void *context, enum amend_level level,
						const char *topic, const char *text),
				   void *context, struct amend_error *err);

	/*
	 * With WRITE_CTE: appends an expression of type text, the column's value
	 * (`prefix` and its quoted name) spelled as amend_json_value spells it. Else NULL.
	 */
	void (*json_of)(struct amend_sql *sql, const struct amend_column *column,
			const char *prefix);

	/*
	 * Appends the type of a column of JSON_TABLE that takes the column's values from text as they are, and compares
	 * as the column does. `column` NULL: it is looked for in a text column of the ledger. False: there is none.
	 * NULL: no JSON_TABLE.
	 */
	bool (*set_type)(struct amend_sql *sql, const struct amend_column *column);

	/*
	 * The statements that add the version column `name` to the table, at most AMEND_GUARD_STATEMENTS,
	 * NULL-ended where they are fewer; existing rows and new ones get a number from the clock (`ms` since 1970).
	 * `column`: as it will be described.
	 */
	enum amend_status (*guard_column)(const struct amend_table *table, const char *name,
					  int64_t ms, struct amend_arena *arena,
					  struct amend_column *column, const char **statements,
					  struct amend_error *err);
	/*
	 * The triggers by which the table is guarded so, in the order of making them. UNSUPPORTED: it cannot be.
	 * NULL: there are no guards, and none of the functions around this one.
	 */
	enum amend_status (*guard_parts)(struct amend_session *session,
					 const struct amend_guard_spec *spec,
					 struct amend_arena *arena, struct amend_guard_part **out,
					 size_t *n, struct amend_error *err);
	/*
	 * Appends an expression: a number that says which of the triggers of amend guard stand on the table that
	 * amend's own writes must know of (amend_table.guard_state). NULL: there are no guards.
	 */
	void (*guard_state)(struct amend_sql *sql, const struct amend_table *table);
	/* Bits of that number: triggers that record, where some may stand without the others; 0: they may not. */
	unsigned guard_recording;
	/*
	 * Appends a query: a number that moves with each change of the table's guard, and maybe with others. It is asked
	 * first, for it costs less. NULL: there is none.
	 */
	void (*schema_version)(struct amend_sql *sql, const struct amend_table *table);
	/* Those that stand on it. */
	enum amend_status (*guard_found)(struct amend_session *session,
					 const struct amend_table *table, struct amend_arena *arena,
					 struct amend_guard_found **out, size_t *n,
					 struct amend_error *err);

	/*
	 * Adds all that stands in the way of a row as it is wanted. Inside a transaction only, and writes
	 * nothing; what the engine will not tell is left out. NULL: it cannot tell at all.
	 */
	enum amend_status (*violations)(struct amend_session *session, const struct amend_wish *wish,
					struct amend_violations *list, struct amend_error *err);

	/* Async-signal-safe. */
	void (*interrupt)(struct amend_session *session);
};

/* Each NULL in a build without it. */
extern const struct amend_driver *const amend_driver_sqlite;
extern const struct amend_driver *const amend_driver_postgres;
extern const struct amend_driver *const amend_driver_mariadb;

#endif
