/*
 * Sessions of a driver, opened and used with one line each.
 * Leaves connections of the layers above to connect.c.
 */
#include "engines_private.h"

#include <stdlib.h>

/* What engine_defer closes: the session and whose it is. */
struct opened {
	const struct amend_driver *driver;
	struct amend_session *session;
	struct opened *next;
};

static void close_session(void *thing)
{
	struct opened *opened = thing;

	opened->driver->close(opened->session);
}

static void keep(struct engine *engine, struct amend_session *session)
{
	struct opened *opened = amend_arena_alloc(engine_arena(engine), sizeof(*opened));

	if (!opened)
		fail_at(__FILE__, __LINE__, "out of memory");
	opened->driver = engine->driver;
	opened->session = session;
	opened->next = engine->private_->sessions;
	engine->private_->sessions = opened;
	engine_defer(engine, close_session, opened);
}

struct amend_session *session_open_with(struct engine *engine,
					const struct amend_open_options *options)
{
	static const struct amend_open_options defaults = AMEND_OPEN_OPTIONS_INIT;
	struct amend_session *session = NULL;
	struct amend_error err;

	expect_ok(engine->driver->open(engine->url, options ? options : &defaults, &session, &err),
		  &err);
	assert_non_null(session);
	keep(engine, session);
	return session;
}

struct amend_session *session_open(struct engine *engine)
{
	return session_open_with(engine, NULL);
}

struct amend_session *session_adopt(struct engine *engine, struct foreign *foreign)
{
	static const struct amend_open_options defaults = AMEND_OPEN_OPTIONS_INIT;
	struct amend_session *session = NULL;
	struct amend_error err;

	expect_ok(engine->driver->adopt(foreign->handle, &defaults, &session, &err), &err);
	assert_non_null(session);
	keep(engine, session);
	return session;
}

void session_close(struct engine *engine, struct amend_session *session)
{
	for (struct opened *opened = engine->private_->sessions; opened; opened = opened->next) {
		if (opened->session == session) {
			engine_end(engine, opened);
			opened->session = NULL;
			return;
		}
	}
	fail_at(__FILE__, __LINE__, "session_close of what session_open did not open");
}

/* --- Statements --- */

void expect_attempt_at(enum amend_status expected, const char *sqlstate, struct attempt attempt,
		       const char *what, const char *file, int line)
{
	expect_status_at(expected, sqlstate, attempt.status, &attempt.error, what, file, line);
}

/* As often as `sql` uses them, in that order: for an engine without numbers. */
static size_t order_values(const char *sql, const struct amend_value *values,
			   struct amend_value *out, size_t room)
{
	size_t n = 0;

	for (; *sql && n < room; sql++) {
		if (sql[0] == '?' && sql[1] >= '1' && sql[1] <= '9')
			out[n++] = values[strtoul(sql + 1, NULL, 10) - 1];
	}
	return n;
}

struct attempt session_with(struct engine *engine, struct amend_session *session, const char *sql,
			    const struct amend_value *values, size_t n)
{
	struct amend_value in_order[512];
	struct amend_statement statement = {
		.sql = engine_sql(engine, sql), .values = values, .n_values = n, .once = n == 0};
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct attempt attempt = {AMEND_OK, {0}, 0};
	size_t failed = 99;

	if (!engine->driver->dialect->numbered && n > 0) {
		statement.values = in_order;
		statement.n_values = order_values(sql, values, in_order, COUNT(in_order));
	}
	attempt.status = engine->driver->run(session, &statement, 1, &rows, &failed, &attempt.error);
	attempt.changes = rows.changes;
	amend_rows_release(&rows);
	assert_int_equal(failed, attempt.status == AMEND_OK ? 1 : 0);
	return attempt;
}

struct attempt session_try(struct engine *engine, struct amend_session *session, const char *sql)
{
	return session_with(engine, session, sql, NULL, 0);
}

int64_t session_exec(struct engine *engine, struct amend_session *session, const char *sql)
{
	struct attempt attempt = session_try(engine, session, sql);

	expect_attempt_at(AMEND_OK, NULL, attempt, sql, __FILE__, __LINE__);
	return attempt.changes;
}

static void add_value(struct foreign_result *result, size_t row, size_t column,
		      const struct amend_value *value)
{
	char text[64];

	switch (value->kind) {
	case AMEND_NULL:
		result_value(result, row, column, NULL, 0);
		return;
	case AMEND_INTEGER:
		snprintf(text, sizeof(text), "%lld", (long long)value->as.integer);
		break;
	case AMEND_REAL:
		snprintf(text, sizeof(text), "%.17g", value->as.real);
		break;
	case AMEND_TEXT:
		result_value(result, row, column, value->as.text, value->size);
		return;
	case AMEND_BLOB:
		result_value(result, row, column, "x'", 2);
		for (size_t i = 0; i < value->size; i++)
			amend_buffer_printf(&result->text, "%02x",
					    ((const unsigned char *)value->as.blob)[i]);
		amend_buffer_char(&result->text, '\'');
		return;
	}
	result_value(result, row, column, text, strlen(text));
}

const char *session_rows(struct engine *engine, struct amend_session *session, const char *sql)
{
	struct amend_statement statement = {.sql = engine_sql(engine, sql)};
	struct foreign_result result = {.n_rows = 0};
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error err;
	const char *text;
	size_t failed = 99;

	expect_status_at(AMEND_OK, NULL,
			 engine->driver->run(session, &statement, 1, &rows, &failed, &err), &err,
			 sql, __FILE__, __LINE__);
	for (size_t row = 0; row < rows.n_rows; row++) {
		for (size_t column = 0; column < rows.n_columns; column++)
			add_value(&result, row, column, amend_rows_at(&rows, row, column));
	}
	amend_rows_release(&rows);
	text = engine_copy(engine, amend_buffer_string(&result.text));
	result_release(&result);
	return text;
}

/* --- Transactions --- */

struct attempt session_begin_with(struct engine *engine, struct amend_session *session,
				  const struct amend_begin *begin)
{
	struct attempt attempt = {AMEND_OK, {0}, 0};

	attempt.status = engine->driver->begin(session, begin, &attempt.error);
	return attempt;
}

void session_begin(struct engine *engine, struct amend_session *session)
{
	static const struct amend_begin begin = {.lock_timeout_ms = 10000};

	expect_done(session_begin_with(engine, session, &begin));
}

struct attempt session_commit(struct engine *engine, struct amend_session *session)
{
	struct attempt attempt = {AMEND_OK, {0}, 0};

	attempt.status = engine->driver->commit(session, &attempt.error);
	return attempt;
}

void session_rollback(struct engine *engine, struct amend_session *session)
{
	struct amend_error err;

	expect_ok(engine->driver->rollback(session, &err), &err);
}

static const char *state_name(enum amend_tx state)
{
	static const char *const names[] = {"idle", "active", "failed", "lost"};

	return (size_t)state < COUNT(names) ? names[state] : "?";
}

void session_expect_state_at(struct engine *engine, struct amend_session *session,
			     enum amend_tx state, const char *file, int line)
{
	expect_text_at(state_name(engine->driver->state(session)), state_name(state),
		       "the transaction's state", file, line);
}
