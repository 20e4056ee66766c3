/*
 * Connections: opened by URL, or adopted from the application.
 *
 * URLs: `app.db`, `sqlite:app.db`, `:memory:`, `postgresql://...` (any libpq
 * URI), `mariadb://USER:PASSWORD@HOST:PORT/NAME` (or `mysql://`) with `?socket=`, `ssl=1`,
 * `ssl-ca=`, `ssl-capath=`, `ssl-cert=`, `ssl-key=`, `ssl-verify-server-cert=` (0 or 1) as in
 * my.cnf: any of them but 0 means TLS or no connection, an authority that the server's certificate is verified.
 * What is not said may stand in ~/.my.cnf. An opened connection has the session settings pinned on which equal
 * text proves equal values. An adopted connection is the application's own
 * (amend/sqlite.h, amend/postgres.h, amend/mariadb.h): amend pins them only while one of its
 * calls runs, nests in the application's transaction by savepoint, commits
 * nothing that the application began, reruns nothing there and returns
 * AMEND_RETRY to it. What else a call fails with may have ended that transaction as well: the text then says
 * that it is over. While the application has no transaction open, an adopted
 * connection behaves as an opened one.
 *
 * One connection serves one thread at a time; amend_interrupt and amend_stop
 * alone may be called from another thread or a signal handler.
 *
 *	struct amend_conn *db = NULL;
 *	if (amend_open("app.db", NULL, &db, &err) != AMEND_OK)
 *		return err.status;
 *	...
 *	amend_close(db);
 */
#ifndef AMEND_CONNECTION_H
#define AMEND_CONNECTION_H

#include <amend/value.h>

#ifdef __cplusplus
extern "C" {
#endif

struct amend_conn;

struct amend_open_options {
	bool must_exist;     /* SQLite: do not create the file */
	bool read_only;      /* every unit is read-only */
	int lock_timeout_ms; /* how long to wait for what another holds; -1: no limit; default 30,000 */
	const char *key_file; /* keys that sign tokens (docs/token.md); NULL: $AMEND_KEY_FILE, else the ledger's */
	int64_t token_lifetime; /* seconds a token is accepted, up to a 16th less; default 30 days */
	/* Called with each statement's text (no values) before it is sent; NULL for none. */
	void (*trace)(void *context, const char *sql);
	void *trace_context;
	int resolve_ms; /* how long to look for the fate of a COMMIT that was not answered, the connection opened anew: of operations with an id (amend/once.h), of units that recorded something, and of single writes; 0: not at all; default 10,000 */
	int lease_wait_ms; /* how long a write outside a unit waits for another's mandatory lease of the record; 0: not at all, the default */
};

#define AMEND_OPEN_OPTIONS_INIT                                          \
	{                                                                \
		false, false, 30000, NULL, 2592000, NULL, NULL, 10000, 0 \
	}

/* NULL options are AMEND_OPEN_OPTIONS_INIT. UNREACHABLE, DENIED, NOT_FOUND (must_exist), INVALID, UNSUPPORTED. */
AMEND_API enum amend_status amend_open(const char *url, const struct amend_open_options *options,
				       struct amend_conn **out, struct amend_error *err) AMEND_CHECK;

/* Rolls back what is open (not on an adopted connection, which stays open). Takes NULL. */
AMEND_API void amend_close(struct amend_conn *db);

/*
 * Makes the call now running on this connection end with AMEND_INTERRUPTED: at
 * once where it runs a statement or waits for a lock, else before its next statement; what it has
 * committed stays. Async-signal-safe. Calls that begin later are not affected.
 */
AMEND_API void amend_interrupt(struct amend_conn *db);

/*
 * Likewise for amend_sync and amend_apply, once they write: the chunk under way is finished and
 * committed, then the call ends with AMEND_INTERRUPTED, its report and its text say what is in, and a
 * rerun finishes the rest. A call that is through with that chunk returns AMEND_OK. False: nothing that
 * can end like this is running, and amend_interrupt was called. Async-signal-safe.
 */
AMEND_API bool amend_stop(struct amend_conn *db);

/* "sqlite" or "postgresql": for messages, not for branching. */
AMEND_API const char *amend_engine(const struct amend_conn *db);

/*
 * Who writes, why, and with what program: recorded with each revision made
 * from now on. NULL leaves `who` to the default (the operating system's user)
 * and the others empty. The texts are copied.
 */
AMEND_API enum amend_status amend_set_author(struct amend_conn *db, const char *who,
					     const char *why, const char *program,
					     struct amend_error *err) AMEND_CHECK;

/*
 * One statement of the application's own, on this connection and in its unit
 * of work if one is open: an error makes the unit fail as one of amend's would.
 * Placeholders are the engine's (`?1`, `$1`). `rows` may be NULL. What it
 * changes is not recorded: it did not take the road. INVALID: BEGIN, COMMIT,
 * SAVEPOINT and the like, for units are amend_atomic's. What it sets in the
 * session (SET, USE, a temporary table) no other has: once the connection was
 * lost and opened anew, every later call is UNREACHABLE (docs/errors.md).
 */
AMEND_API enum amend_status amend_query(struct amend_conn *db, const char *sql,
					const struct amend_value *values, size_t n_values,
					struct amend_rows *rows,
					struct amend_error *err) AMEND_CHECK;

#ifdef __cplusplus
}
#endif

#endif
