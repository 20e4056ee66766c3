/*
 * Units of work: a function that commits whole or not at all.
 *
 *	static enum amend_status move(struct amend_conn *db, void *context, struct amend_error *err)
 *	{ ... two writes ... }
 *
 *	status = amend_atomic(db, NULL, move, &args, &err);
 *
 * The outermost unit begins a transaction, runs the function and commits. When
 * the engine undoes the transaction (serialization failure, deadlock, busy)
 * the whole outermost unit is undone and run again, reads included, bounded in
 * tries and time, with jitter: the function must be able to run twice, and
 * must pass AMEND_RETRY on where it meets it. A unit inside a unit is a
 * savepoint: if its function fails, its own changes are undone and the outer
 * unit may go on. After a statement failed, the unit refuses further
 * statements until it is undone.
 */
#ifndef AMEND_UNIT_H
#define AMEND_UNIT_H

#include <amend/connection.h>

#ifdef __cplusplus
extern "C" {
#endif

enum amend_isolation {
	AMEND_ISOLATION_DEFAULT, /* PostgreSQL: READ COMMITTED, whatever the server's default is; SQLite: serializable */
	AMEND_READ_COMMITTED,
	AMEND_REPEATABLE_READ,
	AMEND_SERIALIZABLE,
};

struct amend_unit_options {
	enum amend_isolation
		isolation; /* of the outermost unit; inside one it must be DEFAULT or the same */
	bool read_only; /* of the outermost unit, likewise; SQLite: begins deferred; writes and holds are refused */
	bool durable;  /* outermost only: inside another unit, or transaction, it is INVALID */
	bool merged;   /* inside another unit: no savepoint; its failure dooms the outer unit */
	bool no_rerun; /* AMEND_RETRY goes to the caller */
	int lock_timeout_ms; /* 0: the connection's; -1: no limit; else this many ms (1: about nowait) */
	int time_limit_ms; /* of the whole outermost unit, reruns included; 0: none: AMEND_INTERRUPTED */
	int max_tries; /* 0: 10 */
};

#define AMEND_UNIT_OPTIONS_INIT                                              \
	{                                                                    \
		AMEND_ISOLATION_DEFAULT, false, false, false, false, 0, 0, 0 \
	}

typedef enum amend_status (*amend_unit_fn)(struct amend_conn *db, void *context,
					   struct amend_error *err);

/*
 * Runs `fn` as a unit. Returns its status after undoing it, or AMEND_OK after
 * COMMIT. Where the connection died in COMMIT and amend has recorded something in the unit,
 * that tells whether it is in (amend/once.h says how): then it is done, or run again. Else
 * AMEND_OUTCOME_UNKNOWN, never rerun. On an adopted connection inside the application's transaction it is
 * a savepoint, and AMEND_RETRY goes to the caller.
 */
AMEND_API enum amend_status amend_atomic(struct amend_conn *db,
					 const struct amend_unit_options *options, amend_unit_fn fn,
					 void *context, struct amend_error *err) AMEND_CHECK;

/* Whether a unit of amend's is open on this connection. */
AMEND_API bool amend_in_unit(const struct amend_conn *db);

/*
 * Runs `hook` once the outermost unit's COMMIT has returned, in the order of
 * registration; at once when no unit is open. Hooks of an undone unit or
 * savepoint are dropped; a hook may use the connection, and register further hooks
 * (which run at once, or after the COMMIT of the unit that it opens). A hook's failure undoes nothing
 * and reruns nothing: with `robust` the later hooks run and the failure is
 * swallowed; without it the later hooks are dropped and amend_atomic returns
 * that failure (RETRY, UNREACHABLE and OUTCOME_UNKNOWN as INTERNAL), its text saying that the unit is committed. On an adopted connection inside the
 * application's own transaction: INVALID, for amend does not see its COMMIT.
 */
typedef enum amend_status (*amend_hook_fn)(struct amend_conn *db, void *context,
					   struct amend_error *err);

AMEND_API enum amend_status amend_on_commit(struct amend_conn *db, amend_hook_fn hook, void *context,
					    bool robust, struct amend_error *err) AMEND_CHECK;

#ifdef __cplusplus
}
#endif

#endif
