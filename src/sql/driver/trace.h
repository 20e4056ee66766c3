/*
 * A driver around a driver: it reports every operation, counts them, hides
 * features, and fails where a test tells it to. Same function table, so the
 * layers above do not notice.
 *
 * It wraps a session that is open already:
 *
 *	struct amend_trace trace = {.statement = log_line, .context = file};
 *
 *	status = amend_trace_wrap(db->driver, db->session, &trace, &db->driver, &db->session, err);
 *	...
 *	db->driver->close(db->session); // closes the inner session, frees the wrapper
 *
 * A test arms a fault before the call it wants to see fail:
 *
 *	trace.fault = (struct amend_trace_fault){
 *		.op = AMEND_TRACE_COMMIT, .after = true, .status = AMEND_OUTCOME_UNKNOWN};
 *	status = amend_atomic(db, NULL, pay, NULL, &err); // is in, but the answer was lost
 *	assert_true(trace.fault.fired);
 *
 * To fail each statement of an operation in turn: .op = AMEND_TRACE_STATEMENT
 * with .nth = 1, 2, 3 ... until `fired` stays false.
 */
#ifndef AMEND_SQL_DRIVER_TRACE_H
#define AMEND_SQL_DRIVER_TRACE_H

#include "sql/driver.h"

enum amend_trace_op {
	AMEND_TRACE_RUN,
	AMEND_TRACE_SCAN,
	AMEND_TRACE_REPEAT, /* only where the engine has one; else they are RUNs */
	AMEND_TRACE_LOAD,   /* likewise */
	AMEND_TRACE_DATA_VERSION,
	AMEND_TRACE_BEGIN,
	AMEND_TRACE_COMMIT,
	AMEND_TRACE_ROLLBACK,
	AMEND_TRACE_SET_LOCK_TIMEOUT,
	AMEND_TRACE_BECOME_WRITER,
	AMEND_TRACE_PIN,
	AMEND_TRACE_UNPIN,
	AMEND_TRACE_DESCRIBE,
	AMEND_TRACE_CANONICALISE,
	AMEND_TRACE_CHECK,
	AMEND_TRACE_RECONNECT,
	AMEND_TRACE_OPS, /* how many there are */

	/* In a fault only: */
	AMEND_TRACE_ANY = AMEND_TRACE_OPS, /* whichever operation */
	AMEND_TRACE_STATEMENT,             /* one statement of a RUN; a SCAN; a REPEAT as a whole */
};

/* "run", "begin", ...; never NULL. */
const char *amend_trace_op_name(enum amend_trace_op op);

/* One operation, as the hooks see it. Lives during the call. */
struct amend_trace_event {
	enum amend_trace_op op;
	uint64_t index; /* of this operation, from 0 */
	const struct amend_statement
		*statements; /* of a RUN, SCAN, LOAD; a REPEAT's first time; else NULL */
	size_t n_statements;
	const struct amend_error *error; /* after: NULL when all is well; before: NULL */
};

/* What the session looks like after an injected failure. */
enum amend_trace_aftermath {
	/*
	 * LOST for UNREACHABLE and OUTCOME_UNKNOWN; else UNDONE for a COMMIT, and
	 * ABORTED for anything else inside a transaction.
	 */
	AMEND_TRACE_NATURAL,
	AMEND_TRACE_AS_IS,   /* the transaction stays as usable as it was (SQLite: a constraint) */
	AMEND_TRACE_ABORTED, /* only rollback and ROLLBACK TO are accepted (PostgreSQL: any error) */
	AMEND_TRACE_UNDONE,  /* the engine rolled all of it back (MariaDB: a deadlock) */
	AMEND_TRACE_CUT,     /* the connection is gone, and with it what was not committed */
};

struct amend_trace_fault {
	enum amend_trace_op op;
	unsigned nth; /* fail the n-th that fits, counted from when the fault was armed; 0 is 1 */
	const char *sql; /* RUN, SCAN, REPEAT, STATEMENT: only one whose text contains this fits; NULL: any */
	bool after;               /* it does reach the engine: only its answer is lost */
	enum amend_status status; /* AMEND_OK: no fault is armed */
	const char *sqlstate;     /* NULL: the usual one of `status` */
	enum amend_trace_aftermath aftermath;
	unsigned seen; /* out: how many fitted so far */
	bool fired;    /* out: a fault fires once */
};

/*
 * What to trace; the caller's, zeroed but for what is wanted, and it must
 * outlive the wrapped session. All of it but `hide` may be changed at any time
 * between two calls.
 */
struct amend_trace {
	void *context;
	/* Each statement's text before it is sent: those of RUN, SCAN, a REPEAT's once, "BEGIN", "COMMIT", "ROLLBACK"; an
	 * operation whose SQL is the driver's own is a comment: "-- describe public.country". */
	void (*statement)(void *context, const char *sql);
	void (*before)(void *context, const struct amend_trace_event *event);
	void (*after)(void *context, const struct amend_trace_event *event);
	/* Feature bits to take away, those only on which the driver's own functions do not depend:
	 * WRITE_CTE, KEY_STRENGTHS, SHARE, TABLE_LOCK, ROW_VERSION, ARRAYS. */
	unsigned hide;
	struct amend_trace_fault fault;

	/* Counted: */
	uint64_t operations; /* calls of the driver: about the round trips */
	uint64_t statements; /* in RUN, those not reached because an earlier one failed included */
	uint64_t by_op[AMEND_TRACE_OPS];
};

/*
 * Wraps `session` of `driver`; `*out_driver` and `*out_session` belong together
 * and live until its close(), which closes `session` too. `out_*` may be where
 * `driver` and `session` came from. The table's accepts, open and adopt are
 * NULL. NO_MEMORY: `session` is as it was, and the outs are not touched.
 */
enum amend_status amend_trace_wrap(const struct amend_driver *driver, struct amend_session *session,
				   struct amend_trace *trace, const struct amend_driver **out_driver,
				   struct amend_session **out_session,
				   struct amend_error *err) AMEND_CHECK;

/*
 * Wraps `*session` for nothing but `statement`, as amend_open's options.trace
 * asks for; replaces both. NO_MEMORY: `*session` is closed.
 */
enum amend_status amend_trace_log(const struct amend_driver **driver, struct amend_session **session,
				  void (*statement)(void *context, const char *sql), void *context,
				  struct amend_error *err) AMEND_CHECK;

/* The session inside: for a test that needs the engine's own. */
struct amend_session *amend_trace_inner(struct amend_session *session);

#endif
