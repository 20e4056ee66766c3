/*
 * Statements of the fake driver: which it is, the words of transactions, and what becomes of its result.
 * Leaves reading them to fake_query.c and fake_write.c.
 */
#include "fake_run.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/buffer.h"
#include "core/rows.h"
#include "sql/sqlstate.h"

enum amend_status fake_fail(struct amend_error *err, enum amend_status status, const char *sqlstate,
			    const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	amend_error_set(err, status, "%s", text);
	memcpy(err->sqlstate, sqlstate, sizeof(err->sqlstate));
	return status;
}

/* --- All of it --- */

static void release(struct amend_rows *rows)
{
	amend_rows_release(rows);
	*rows = (struct amend_rows)AMEND_ROWS_INIT;
}

/* The words of transactions; false: it is none of them. */
static bool moves(struct run *run, struct fake_connection *connection)
{
	char text[NAME];

	if (fake_word(run, "BEGIN")) {
		fake_begin(connection);
		if (fake_word(run, "IMMEDIATE"))
			run->status = fake_hold(connection, run->err);
		if (run->status != AMEND_OK)
			fake_rollback(connection);
	} else if (fake_word(run, "COMMIT")) {
		run->status = fake_commit(connection, run->err);
	} else if (fake_word(run, "SAVEPOINT")) {
		fake_name(run, text);
		if (run->status == AMEND_OK)
			run->status = fake_save(connection, text, run->err);
	} else if (fake_word(run, "RELEASE")) {
		fake_word(run, "SAVEPOINT");
		fake_name(run, text);
		if (run->status == AMEND_OK)
			run->status = fake_release(connection, text, run->err);
	} else if (fake_word(run, "ROLLBACK")) {
		if (!fake_word(run, "TO")) {
			fake_rollback(connection);
			return true;
		}
		fake_word(run, "SAVEPOINT");
		fake_name(run, text);
		if (run->status == AMEND_OK)
			run->status = fake_return(connection, text, run->err);
	} else {
		return false;
	}
	return true;
}

static void dispatch(struct run *run)
{
	static const struct {
		const char *word;
		void (*fn)(struct run *run);
	} statements[] = {{"SELECT", fake_query},  {"INSERT", fake_insert}, {"UPDATE", fake_update},
			  {"DELETE", fake_delete}, {"CREATE", fake_create}, {"DROP", fake_drop}};

	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		if (fake_word(run, statements[i].word)) {
			statements[i].fn(run);
			return;
		}
	}
	fake_misread(run);
}

/* Runs it; the result stays in `run`. */
static enum amend_status execute(struct fake_connection *connection, struct run *run, bool alone)
{
	const char *begin = run->at;
	bool writes = !fake_word(run, "SELECT");

	run->at = begin;
	/* An interrupt that came while nothing ran is none. */
	atomic_store(&connection->interrupted, false);
	if (writes && moves(run, connection)) {
		fake_sign(run, ";");
		return run->status;
	}
	run->status = fake_take(connection, writes, &run->state, run->err);
	if (run->status != AMEND_OK)
		return run->status;
	dispatch(run);
	if (run->status == AMEND_OK &&
	    ((!fake_sign(run, ";") && !fake_at_end(run->at)) || (alone && !fake_at_end(run->at))))
		fake_misread(run);
	fake_give_back(connection, writes, run->state, run->status == AMEND_OK);
	return run->status;
}

enum amend_status fake_execute(struct fake_connection *connection, const char **sql, bool alone,
			       const struct amend_statement *statement, struct amend_rows *rows,
			       struct amend_error *err)
{
	struct run run = {.at = *sql, .statement = statement, .err = err};
	struct amend_rows_owner *owner;

	if (rows)
		*rows = (struct amend_rows)AMEND_ROWS_INIT;
	execute(connection, &run, alone);
	*sql = run.at;
	owner = run.rows.owner;
	if (run.status == AMEND_OK && owner && run.rows.n_columns > 0) {
		run.rows.values = owner->extra;
		run.rows.n_rows = run.n_values / run.rows.n_columns;
	}
	if (rows && run.status == AMEND_OK)
		*rows = run.rows;
	else
		release(&run.rows);
	return run.status;
}

enum amend_status fake_columns(struct fake_connection *connection, const char *sql,
			       amend_name_fn each, void *context, struct amend_error *err)
{
	const struct amend_statement statement = {.sql = sql};
	struct run run = {.at = sql, .statement = &statement, .err = err};
	bool returns = fake_word(&run, "SELECT");

	run.at = sql;
	if (!returns)
		return fake_fail(err, AMEND_INVALID, AMEND_SQLSTATE_SYNTAX,
				 "expected a SELECT, found \"%.20s\"", sql);
	execute(connection, &run, true);
	for (size_t i = 0; run.status == AMEND_OK && i < run.rows.n_columns; i++)
		run.status = each(context, run.names[i], err);
	release(&run.rows);
	return run.status;
}
