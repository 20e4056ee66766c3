/*
 * Many rows out of one statement, and one statement many times; whether anybody else has written.
 * Leaves preparing, binding and stepping to sqlite_run.c.
 */
#include "core/buffer.h"
#include "sql/driver/sqlite.h"

#include <string.h>
#include <unistd.h>

/* Times between two looks at the clock. */
enum { CLOCK_EVERY = 64 };

static enum amend_status hand_out_rows(struct amend_session *session,
				       const struct amend_statement *statement, amend_row_fn each,
				       void *context, struct amend_error *err)
{
	sqlite3_stmt *stmt = NULL;
	enum amend_status status = amend_sqlite_enter(session, err);

	if (status != AMEND_OK)
		return status;
	status = amend_sqlite_ready(session, statement, &stmt, err);
	if (status == AMEND_OK)
		status = amend_sqlite_bind_all(session, stmt, statement->values,
					       statement->n_values, err);
	if (status == AMEND_OK)
		status = amend_sqlite_rows(session, stmt, each, context, err);
	amend_sqlite_finish(session, stmt);
	amend_sqlite_leave(session);
	return status;
}

/*
 * What is read from end to end is not met again soon: it takes new memory for each page of a large cache, and throws
 * out what was in it. Not within a transaction: what is written there would be spilled.
 */
enum amend_status amend_sqlite_scan(struct amend_session *session,
				    const struct amend_statement *statement, amend_row_fn each,
				    void *context, struct amend_error *err)
{
	bool passing = !session->adopted && session->pid == getpid() &&
		       sqlite3_get_autocommit(session->db);
	enum amend_status status;

	/* Without it nothing is lost but that. */
	if (passing)
		(void)sqlite3_exec(session->db, AMEND_SQLITE_PASSING_PAGES, NULL, NULL, NULL);
	status = hand_out_rows(session, statement, each, context, err);
	if (passing)
		(void)sqlite3_exec(session->db, AMEND_SQLITE_PAGES, NULL, NULL, NULL);
	return status;
}

enum amend_status amend_sqlite_columns(struct amend_session *session, const char *sql,
				       amend_name_fn each, void *context, struct amend_error *err)
{
	const struct amend_statement statement = {.sql = sql, .once = true};
	sqlite3_stmt *stmt = NULL;
	enum amend_status status = amend_sqlite_enter(session, err);

	if (status != AMEND_OK)
		return status;
	status = amend_sqlite_ready(session, &statement, &stmt, err);
	if (status == AMEND_OK && sqlite3_column_count(stmt) == 0)
		status = amend_error_set(err, AMEND_INVALID,
					 "expected a query, found a statement that returns nothing");
	for (int i = 0; status == AMEND_OK && i < sqlite3_column_count(stmt); i++) {
		const char *name = sqlite3_column_name(stmt, i);

		status = name ? each(context, name, err) : amend_no_memory(err);
	}
	amend_sqlite_finish(session, stmt);
	amend_sqlite_leave(session);
	return status;
}

struct one_time {
	const struct amend_repeat *repeat;
	size_t i;
};

static enum amend_status each_row(void *context, const struct amend_value *values, size_t n_columns,
				  struct amend_error *err)
{
	struct one_time *time = context;

	return time->repeat->each(time->repeat->context, time->i, values, n_columns, err);
}

/*
 * By itself each time would take and give back a read lock: three system calls or more, a third of what a look-up costs. So a
 * statement that stays at a row of the schema holds the lock of the main file for those that follow, whatever
 * they find; but for so many only, for it is in the way of other programs' commits where the journal is no WAL.
 */
enum { HELD_FOR = 500 };

/* Without it nothing is lost but that. */
static void hold_read(struct amend_session *session, sqlite3_stmt **holding)
{
	if (!*holding)
		(void)sqlite3_prepare_v2(session->db, "SELECT 1 FROM main.sqlite_master", -1,
					 holding, NULL);
	if (!*holding)
		return;
	sqlite3_reset(*holding);
	(void)sqlite3_step(*holding);
}

enum amend_status amend_sqlite_repeat(struct amend_session *session, struct amend_repeat *repeat,
				      struct amend_error *err)
{
	const struct amend_statement statement = {.sql = repeat->sql};
	struct one_time time = {.repeat = repeat};
	sqlite3_stmt *stmt = NULL, *holding = NULL;
	enum amend_status status;
	bool holds = false;

	repeat->failed = 0;
	status = amend_sqlite_enter(session, err);
	if (status != AMEND_OK)
		return status;
	if (repeat->n > 0)
		status = amend_sqlite_ready(session, &statement, &stmt, err);
	if (status == AMEND_OK && stmt)
		holds = repeat->n > 1 && sqlite3_stmt_readonly(stmt) &&
			sqlite3_get_autocommit(session->db);
	while (status == AMEND_OK && time.i < repeat->n) {
		sqlite3_int64 before = repeat->changes ? sqlite3_total_changes64(session->db) : 0;

		session->wait_until = 0;
		if (time.i % CLOCK_EVERY == 0 || atomic_load(&session->interrupted))
			status = amend_sqlite_stopped(session, err);
		if (holds && time.i % HELD_FOR == 0)
			hold_read(session, &holding);
		if (status == AMEND_OK)
			status = amend_sqlite_bind_all(session, stmt,
						       repeat->values + time.i * repeat->n_values,
						       repeat->n_values, err);
		if (status == AMEND_OK)
			status = amend_sqlite_rows(session, stmt, repeat->each ? each_row : NULL,
						   &time, err);
		sqlite3_reset(stmt);
		if (status != AMEND_OK)
			break;
		if (repeat->changes)
			repeat->changes[time.i] = amend_sqlite_changes(session, before);
		time.i++;
	}
	repeat->failed = time.i;
	amend_sqlite_finish(session, stmt);
	sqlite3_finalize(holding);
	amend_sqlite_leave(session);
	return status;
}

static enum amend_status take_number(void *context, const struct amend_value *values,
				     size_t n_columns, struct amend_error *err)
{
	int64_t *number = context;

	(void)err;
	if (n_columns == 1 && values[0].kind == AMEND_INTEGER)
		*number = values[0].as.integer;
	return AMEND_OK;
}

enum amend_status amend_sqlite_data_version(struct amend_session *session, int64_t *out,
					    struct amend_error *err)
{
	const struct amend_statement statement = {.sql = "PRAGMA main.data_version"};

	*out = 0;
	return hand_out_rows(session, &statement, take_number, out, err);
}

bool amend_sqlite_enforces_keys(struct amend_session *session)
{
	int on = 0;

	/* Should it fail, what would be changed is looked for all the same. */
	return sqlite3_db_config(session->db, SQLITE_DBCONFIG_ENABLE_FKEY, -1, &on) != SQLITE_OK ||
	       on;
}

bool amend_sqlite_reads_freely(struct amend_session *session, const char *schema)
{
	char *sql = sqlite3_mprintf("PRAGMA \"%w\".journal_mode", schema);
	sqlite3_stmt *stmt = NULL;
	bool freely = false;

	/* Should it fail, pages are always right. */
	if (sql && sqlite3_prepare_v2(session->db, sql, -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW) {
		const char *mode = (const char *)sqlite3_column_text(stmt, 0);

		freely = mode && strcmp(mode, "wal") == 0;
	}
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return freely;
}
