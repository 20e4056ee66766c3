/*
 * A driver that is none: a store in this program's memory, what a driver needs at least (HACKING.md, recipe 4).
 * For the tests alone: amend_open does not know it, and what it holds ends with the program.
 *
 * A transaction is a copy of all tables, a savepoint is another; who writes holds the store. SQL is understood as far as
 * the conformance tests need it: CREATE TABLE and DROP TABLE, INSERT ... VALUES, UPDATE, DELETE, SELECT from one table
 * (WHERE of comparisons joined by AND, ORDER BY one column, count(*), sum, min, max), and the words of transactions.
 */
#ifndef TESTS_DRIVER_FAKE_H
#define TESTS_DRIVER_FAKE_H

#include <stdatomic.h>

#include "sql/driver.h"

extern const struct amend_driver amend_driver_fake;

/* --- The store (fake_store.c) --- */

struct fake_column {
	const char *name, *type;
	bool primary, unique, not_null;
};

struct fake_table {
	struct fake_table *next;
	const char *name;
	struct fake_column *columns;
	size_t n_columns;
	struct amend_value **rows; /* n_rows of n_columns values */
	size_t n_rows, room;
};

/* All tables at some moment, in memory of their own. Who shares one changes nothing in it. */
struct fake_state {
	struct amend_arena arena;
	struct fake_table *tables;
	unsigned sharers;
};

struct fake_savepoint {
	struct fake_savepoint *outer;
	struct fake_state *state;
	char name[64];
};

/* What an application would have; a session of the driver is one that is amend's, or one that was adopted. */
struct fake_connection {
	struct fake_store *store;
	struct fake_state *state; /* of the transaction, from its first statement on */
	struct fake_savepoint *savepoints;
	bool in_transaction, writer, read_only;
	bool reads_only;                       /* in each transaction */
	int lock_timeout_ms, usual_timeout_ms; /* the transaction's; and outside of one */
	int64_t deadline;                      /* of the transaction, by amend_clock_ms; 0: none */
	atomic_bool interrupted;
	atomic_bool *waiting; /* set while it waits for the writer; NULL: nobody asks */
};

enum amend_status fake_connect(const char *name, struct fake_connection **out,
			       struct amend_error *err);
/* Undoes what is open. Takes NULL. */
void fake_disconnect(struct fake_connection *connection);
/* All stores, once nobody is connected. */
void fake_forget(void);

void fake_begin(struct fake_connection *connection);
/* Becomes the one who writes, if it is not: LOCKED, INTERRUPTED, DENIED; RETRY where another has committed since it read. */
enum amend_status fake_hold(struct fake_connection *connection, struct amend_error *err);
enum amend_status fake_commit(struct fake_connection *connection, struct amend_error *err);
void fake_rollback(struct fake_connection *connection);
/* SAVEPOINT; RELEASE; ROLLBACK TO. */
enum amend_status fake_save(struct fake_connection *connection, const char *name,
			    struct amend_error *err);
enum amend_status fake_release(struct fake_connection *connection, const char *name,
			       struct amend_error *err);
enum amend_status fake_return(struct fake_connection *connection, const char *name,
			      struct amend_error *err);

/*
 * The tables for one statement: fake_give_back ends it. With `writes` they are a copy that
 * is dropped again where `keep` is false.
 */
enum amend_status fake_take(struct fake_connection *connection, bool writes,
			    struct fake_state **out, struct amend_error *err);
void fake_give_back(struct fake_connection *connection, bool writes, struct fake_state *state,
		    bool keep);

/* --- SQL (fake_sql.c) --- */

/*
 * Runs the statement that begins at `*sql` and moves behind it and its semicolon; `alone`: nothing may follow. `rows`
 * may be NULL.
 */
enum amend_status fake_execute(struct fake_connection *connection, const char **sql, bool alone,
			       const struct amend_statement *statement, struct amend_rows *rows,
			       struct amend_error *err);
/* Whether nothing but white space and comments is left. */
bool fake_at_end(const char *sql);
/* The names of what a SELECT returns, to `each`. */
enum amend_status fake_columns(struct fake_connection *connection, const char *sql,
			       amend_name_fn each, void *context, struct amend_error *err);

enum amend_status fake_fail(struct amend_error *err, enum amend_status status, const char *sqlstate,
			    const char *format, ...) AMEND_PRINTF(4, 5);

#endif
