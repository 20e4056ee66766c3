/*
 * SQLite for the tests: a fresh file each, raw handles that wait ten seconds for locks.
 * Leaves threads and clean-up to foreign.c and engines.c.
 */
#include "engines_private.h"

#include <stdlib.h>

#include <sqlite3.h>

static char nothing; /* there is no server, which is no reason to skip */

static void *start(const char **reason)
{
	*reason = NULL;
	return &nothing;
}

static void stop(void *server)
{
	(void)server;
}

static const char *fresh(struct engine *engine)
{
	return engine_printf(engine, "%s/test.db", engine->folder);
}

static int wait_busy(void *waiting, int tries)
{
	if (tries > 5000)
		return 0;
	atomic_store((atomic_bool *)waiting, true);
	sleep_ms(2);
	return 1;
}

static void *connect_file(struct engine *engine, atomic_bool *waiting, struct foreign_result *result)
{
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(engine->url, &db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
			    NULL) != SQLITE_OK) {
		result_fail(result, db ? sqlite3_errmsg(db) : "out of memory");
		sqlite3_close(db);
		return NULL;
	}
	sqlite3_extended_result_codes(db, 1);
	sqlite3_busy_handler(db, wait_busy, waiting);
	return db;
}

static void disconnect(void *handle)
{
	sqlite3_close_v2(handle);
}

static void add_row(struct foreign_result *result, size_t row, sqlite3_stmt *stmt)
{
	int n = sqlite3_column_count(stmt);

	for (int i = 0; i < n; i++) {
		const char *text = (const char *)sqlite3_column_text(stmt, i);

		result_value(result, row, (size_t)i, text, (size_t)sqlite3_column_bytes(stmt, i));
	}
}

/* Steps one statement; the last one that returns columns is the result. */
static int step_all(sqlite3_stmt *stmt, struct foreign_result *result)
{
	size_t row = 0;
	int code;

	if (sqlite3_column_count(stmt) > 0) {
		amend_buffer_reset(&result->text);
		result->n_rows = 0;
	}
	while ((code = sqlite3_step(stmt)) == SQLITE_ROW)
		add_row(result, row++, stmt);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

static bool query(void *handle, const char *sql, struct foreign_result *result)
{
	int code = SQLITE_OK;

	while (code == SQLITE_OK && *sql) {
		sqlite3_stmt *stmt = NULL;

		code = sqlite3_prepare_v2(handle, sql, -1, &stmt, &sql);
		if (code == SQLITE_OK && stmt)
			code = step_all(stmt, result);
		if (code != SQLITE_OK)
			result_fail(result, sqlite3_errmsg(handle));
		sqlite3_finalize(stmt);
	}
	return code == SQLITE_OK;
}

static void cancel(void *handle)
{
	sqlite3_interrupt(handle);
}

const struct engine_ops engine_ops_sqlite = {
	.driver = "sqlite",
	.start = start,
	.stop = stop,
	.fresh = fresh,
	.connect = connect_file,
	.disconnect = disconnect,
	.query = query,
	.cancel = cancel,
};
