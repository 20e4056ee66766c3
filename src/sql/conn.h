/*
 * A connection as the layers above see it: its driver, its units of work, and
 * how statements run on it. The public half is in amend/connection.h and
 * amend/unit.h.
 */
#ifndef AMEND_SQL_CONN_H
#define AMEND_SQL_CONN_H

#include <signal.h>

#include "sql/driver.h"
#include "sql/sql.h"

/* Called when what was registered ends: with its transaction's COMMIT, or undone with its unit. */
typedef void (*amend_ended_fn)(struct amend_conn *db, void *context, bool committed);

struct amend_hook {
	amend_hook_fn fn; /* the application's; or NULL, and then: */
	amend_ended_fn ended;
	void *context;
	bool robust;
};

/* One open unit. levels[0] is the outermost. */
struct amend_open_unit {
	bool savepoint;            /* it has one of its own */
	bool failed;               /* refuses statements until it is undone */
	size_t first_hook;         /* hooks from here on belong to it */
	struct amend_error reason; /* why it failed: the first error */
};

/*
 * Asked when nobody answered the outermost unit's COMMIT. OK: it is in. RETRY: it is not, and the
 * unit is run again. Else that is how it ends, with `err` filled in.
 */
typedef enum amend_status (*amend_fate_fn)(struct amend_conn *db, void *context,
					   struct amend_error *err);

struct amend_ledger; /* layer 3's own state of this connection */

enum { AMEND_TEXTS = 64 };

struct amend_conn {
	const struct amend_driver *driver;
	const struct amend_dialect *dialect;
	unsigned features;
	struct amend_session *session;
	struct amend_open_options options;
	char *key_file; /* options.key_file, copied */
	char *url; /* opened, where DDL is no part of a transaction: for the ledger's sake; else NULL */
	bool adopted;

	unsigned anew;             /* how often the lost connection was opened anew */
	enum amend_alters altered; /* what the program's statements have made of its session.. */
	enum amend_alters
		altering; /* ..and those of the unit that is open, which it does again when it is rerun */
	bool bare; /* it was opened anew since, and is not what the program made of it: takes no further call */
	unsigned entered;                  /* public calls under way, nested */
	volatile sig_atomic_t interrupted; /* since the outermost of them began */
	volatile sig_atomic_t stoppable;   /* it commits piece by piece, and looks ... */
	volatile sig_atomic_t stopping;    /* ... here in between */
	bool borrowed;                     /* inside the application's own transaction */
	struct amend_open_unit *levels;
	size_t depth, levels_room;
	struct amend_hook *hooks;
	size_t n_hooks, hooks_room;
	enum amend_isolation isolation; /* of the open outermost unit */
	bool read_only;                 /* likewise */
	int lock_timeout_ms;            /* in force in it: -1 or ms, 0 nowait */
	int64_t deadline;               /* monotonic ms, of the open outermost unit; 0: none */
	amend_fate_fn fate;             /* of the next outermost unit, which takes it; NULL: none */
	void *fate_context;
	amend_fate_fn witness; /* the ledger's, of every other unit; NULL: none */

	char *who, *why, *program;
	struct amend_ledger *ledger;
	void (*ledger_free)(struct amend_ledger *ledger);
	bool wrote_alone; /* layer 5's: a statement outside of units has written, or may have */
	void *guesses;    /* layer 4's own, in one piece (record/guess.c) */
	struct amend_text *texts[AMEND_TEXTS]; /* text.c: by their shapes' hash */
};

/*
 * Brackets of every public call: on an adopted connection the outermost pair
 * pins and unpins the session, and finds out whether the application has a transaction open.
 * amend_leave returns `status`, or the failure to put settings back if `status` is OK.
 */
enum amend_status amend_enter(struct amend_conn *db, struct amend_error *err) AMEND_CHECK;
enum amend_status amend_leave(struct amend_conn *db, enum amend_status status,
			      struct amend_error *err) AMEND_CHECK;

/* Inside a transaction that ends later than this call: a unit, or the application's own. */
bool amend_in_transaction(const struct amend_conn *db);

bool amend_has(const struct amend_conn *db, enum amend_feature feature);

/*
 * Whether the answer of a COMMIT on this connection can be lost and then be looked for:
 * amend_reconnect may be called.
 */
bool amend_may_reconnect(const struct amend_conn *db);
/* For messages: why a connection that was opened anew is of no further use. */
#define AMEND_BARE                                                                                 \
	"what the program had set in its session is gone with it (hint: open another connection, " \
	"and set it there)"
/* A unit is in, and the connection that it was in is not: what it has set is gone. */
void amend_settings_gone(struct amend_conn *db);
/* Whether another connection may see another database. */
bool amend_settings_lead_away(const struct amend_conn *db);
/* Opens the lost connection anew, again and again until `until` (monotonic ms); UNREACHABLE, INTERRUPTED. */
enum amend_status amend_reconnect(struct amend_conn *db, int64_t until,
				  struct amend_error *err) AMEND_CHECK;

/*
 * Another connection to the same server, with the same settings and author, for work beside this one's; the caller closes
 * it. UNSUPPORTED: two would be of no use, or are not to be had: adopted, traced, the session altered by the program.
 */
enum amend_status amend_twin(struct amend_conn *db, struct amend_conn **out,
			     struct amend_error *err) AMEND_CHECK;

/*
 * Runs a statement. An error inside a unit makes the unit fail; in a failed unit it is refused.
 * `rows` may be NULL; otherwise it is released by the caller also after an error.
 */
enum amend_status amend_exec(struct amend_conn *db, const struct amend_sql *sql,
			     struct amend_rows *rows, struct amend_error *err) AMEND_CHECK;

/*
 * Outside of units: a statement that gives up what the session holds. It is sent to an interrupted connection too. Where it
 * fails, an opened connection is ended, and another one takes its place; an adopted one is the application's to end.
 */
void amend_let_go(struct amend_conn *db, const char *sql);

/* Several statements in one trip; see driver.run. `rows` (n of them, or NULL) as above. */
enum amend_status amend_exec_many(struct amend_conn *db, const struct amend_statement *statements,
				  size_t n, struct amend_rows *rows, size_t *failed,
				  struct amend_error *err) AMEND_CHECK;

/*
 * A query whose rows are handed out one by one; see driver.scan. An error of `each` comes back as it
 * is: the query is given up, the connection and an open unit stay usable.
 */
enum amend_status amend_scan(struct amend_conn *db, const struct amend_sql *sql, amend_row_fn each,
			     void *context, struct amend_error *err) AMEND_CHECK;

/* See driver.columns. */
enum amend_status amend_query_columns(struct amend_conn *db, const char *sql, amend_name_fn each,
				      void *context, struct amend_error *err) AMEND_CHECK;

/*
 * One statement many times; see driver.repeat. It ends at the first time that fails, or whose
 * `each` fails: `repeat->failed` says which. Where the engine runs several in a trip, those
 * behind it may have run when it was `each` that failed. Such a failure leaves an open unit usable.
 */
enum amend_status amend_repeat(struct amend_conn *db, struct amend_repeat *repeat,
			       struct amend_error *err) AMEND_CHECK;

/* See driver.load: whether the engine has it, and it. Inside a unit or transaction. */
bool amend_loads(const struct amend_conn *db);
enum amend_status amend_load(struct amend_conn *db, const struct amend_load *load,
			     struct amend_error *err) AMEND_CHECK;

/* See driver.data_version; `*known` false: the engine has none. */
enum amend_status amend_data_version(struct amend_conn *db, int64_t *out, bool *known,
				     struct amend_error *err) AMEND_CHECK;

/* Whether a long read is in no writer's way, or a transaction is open that is so already; see driver.reads_freely. */
bool amend_reads_freely(const struct amend_conn *db, const char *schema);

/* A statement without values that is run once: DDL and the like. */
enum amend_status amend_exec_text(struct amend_conn *db, const char *sql,
				  struct amend_error *err) AMEND_CHECK;

/* Values to their columns' stored form; see driver.canonicalise. */
enum amend_status amend_canonicalise(struct amend_conn *db, struct amend_canon *items, size_t n,
				     struct amend_arena *arena, struct amend_error *err) AMEND_CHECK;

/* INTERRUPTED once amend_interrupt was called in this public call: for loops that run no statement. */
enum amend_status amend_check_interrupted(const struct amend_conn *db,
					  struct amend_error *err) AMEND_CHECK;

/* Where rows cannot be locked: makes the open transaction the one that writes. Nothing elsewhere. */
enum amend_status amend_hold_database(struct amend_conn *db, struct amend_error *err) AMEND_CHECK;

/* `ended` runs when the outermost unit has committed, or the unit now open is undone. Inside a unit or transaction only. */
enum amend_status amend_on_end(struct amend_conn *db, amend_ended_fn ended, void *context,
			       struct amend_error *err) AMEND_CHECK;

/* Wraps an open session into a connection; takes `session` over, also on failure. */
enum amend_status amend_conn_new(const struct amend_driver *driver, struct amend_session *session,
				 const struct amend_open_options *options, bool adopted,
				 struct amend_conn **out, struct amend_error *err) AMEND_CHECK;

/* Used by unit.c and bulk.c: whether a statement may run now; and what its failure does to the open units. */
enum amend_status amend_conn_ready(const struct amend_conn *db, struct amend_error *err) AMEND_CHECK;
void amend_conn_broke(struct amend_conn *db, const struct amend_error *err);
void amend_conn_fail(struct amend_conn *db, const struct amend_error *err);
enum amend_status amend_check_deadline(const struct amend_conn *db,
				       struct amend_error *err) AMEND_CHECK;
void amend_hooks_undo(struct amend_conn *db, size_t first);
enum amend_status amend_hooks_run(struct amend_conn *db, struct amend_error *err);

#endif
