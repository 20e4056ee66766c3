/*
 * SQLite, and an end with one line for whatever fails.
 * Leaves what is asked of it to the contenders.
 */
#include "lite.h"

#include "contender.h"

sqlite3 *lite_open(const char *path)
{
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(path, &db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK)
		die("%s cannot be opened", path);
	sqlite3_busy_timeout(db, 10000);
	return db;
}

void lite_run(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		die("%s: %s", sql, sqlite3_errmsg(db));
}

sqlite3_stmt *lite_prepare(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
	    SQLITE_OK)
		die("%s: %s", sql, sqlite3_errmsg(db));
	return statement;
}

void lite_step(sqlite3_stmt *statement)
{
	if (sqlite3_step(statement) != SQLITE_DONE || sqlite3_reset(statement) != SQLITE_OK)
		die("%s: %s", sqlite3_sql(statement), sqlite3_errmsg(sqlite3_db_handle(statement)));
}

uint64_t lite_number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *statement = lite_prepare(db, sql);
	uint64_t number;

	if (sqlite3_step(statement) != SQLITE_ROW)
		die("%s: %s", sql, sqlite3_errmsg(db));
	number = (uint64_t)sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return number;
}
