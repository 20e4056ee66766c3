/*
 * Guarding a table: triggers by which the database itself moves a version with every write, refuses
 * a save of what is no longer there, and records history, whoever writes. docs/guard.md says what
 * that can promise and what it cannot.
 *
 *	struct amend_guard_options options = AMEND_GUARD_OPTIONS_INIT;
 *	bool changed;
 *
 *	options.history = true;
 *	status = amend_guard(db, "country", &options, &changed, &err);
 *
 * Triggers act on tables as they are: open the table again afterwards (amend_table_open).
 */
#ifndef AMEND_GUARD_H
#define AMEND_GUARD_H

#include <amend/connection.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is refused when a program writes the version column itself. */
enum amend_stale_rule {
	AMEND_STALE_AS_IT_STANDS, /* of a table that is guarded already: its own; else equal */
	AMEND_STALE_EQUAL,        /* anything but the version that is there (Django's way) */
	AMEND_STALE_EITHER,       /* anything but that or the next one */
	AMEND_STALE_NEXT, /* anything but the next one (Rails, Hibernate, SQLAlchemy); MariaDB's triggers cannot: UNSUPPORTED */
};

/* What stands already stays where nothing else is said. */
struct amend_guard_options {
	const char *version_column; /* added where it is missing; NULL: the one in use, else "version" */
	enum amend_stale_rule stale;
	bool history; /* record what every writer changes */
	bool by_statement; /* PostgreSQL: record once a statement, not once a row: for tables loaded in bulk */
	bool by_row;               /* back to once a row */
	const char *const *ignore; /* columns that history leaves out */
	size_t n_ignore;
	/*
	 * Numbers in which what is added counts, and not what it came to (stock, balances): what both sides changed is
	 * added up, by a sync and by a merge (docs/merge.md). The triggers do nothing with them.
	 */
	const char *const *additive;
	size_t n_additive;
};

#define AMEND_GUARD_OPTIONS_INIT                                                      \
	{                                                                             \
		NULL, AMEND_STALE_AS_IT_STANDS, false, false, false, NULL, 0, NULL, 0 \
	}

/* A guard as it is, or as a call would make it. Its texts last until the callback returns. */
struct amend_guard_state {
	const char *table;          /* as history names it */
	const char *version_column; /* NULL: the table is not guarded */
	enum amend_stale_rule stale;
	bool history, by_statement;
	const char *const *ignored;
	size_t n_ignored;
	const char *const *additive;
	size_t n_additive;
};

/*
 * What amend_guard, or with `off` amend_unguard, would run: `each` is called for every statement
 * in order, without its semicolon; never, where all is as it should be. Writes nothing. `state`
 * (may be NULL) is called once before them.
 * NOT_FOUND: no such table. INVALID: a column that is none, or cannot serve (an additive one is a number, and in no key). UNSUPPORTED: a table
 * that cannot be guarded.
 */
AMEND_API enum amend_status amend_guard_plan(struct amend_conn *db, const char *table,
					     const struct amend_guard_options *options, bool off,
					     void (*state)(void *context,
							   const struct amend_guard_state *state),
					     void (*each)(void *context, const char *statement),
					     void *context, struct amend_error *err) AMEND_CHECK;

/* Guards the table, in one transaction. `changed` (may be NULL) false: it was so already. DENIED: it is the owner's to do. */
AMEND_API enum amend_status amend_guard(struct amend_conn *db, const char *table,
					const struct amend_guard_options *options, bool *changed,
					struct amend_error *err) AMEND_CHECK;

/* Takes the triggers away. The column, and what was recorded, stay. */
AMEND_API enum amend_status amend_unguard(struct amend_conn *db, const char *table, bool *changed,
					  struct amend_error *err) AMEND_CHECK;

/*
 * What an owner of amend's tables runs, behind what amend_init_script shows, to let this connection's role guard
 * tables of its own. Nothing, where the engine has no roles.
 */
AMEND_API enum amend_status amend_guard_script(struct amend_conn *db,
					       void (*emit)(void *context, const char *statement),
					       void *context, struct amend_error *err) AMEND_CHECK;

AMEND_API const char *amend_stale_rule_name(enum amend_stale_rule rule);

#ifdef __cplusplus
}
#endif

#endif
