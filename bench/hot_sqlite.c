/*
 * Adding on SQLite by hand: prepared statements under busy_timeout, without and with history.
 * Leaves the clients to hot.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "contender.h"
#include "hot.h"
#include "lite.h"

struct client {
	sqlite3 *db;
	sqlite3_stmt *begin, *update, *record, *commit; /* `begin` NULL: one statement is all */
};

static struct client *open_with(const char *path, const char *setting)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		die("out of memory");
	client->db = lite_open(path);
	if (*setting)
		lite_run(client->db, setting);
	client->update = lite_prepare(client->db, "UPDATE counter SET n = n + 1 WHERE id = ?");
	return client;
}

static void *open_bare(const char *path, const char *setting)
{
	return open_with(path, setting);
}

static void *open_recorded(const char *path, const char *setting)
{
	struct client *client = open_with(path, setting);

	client->begin = lite_prepare(client->db, "BEGIN IMMEDIATE");
	client->record = lite_prepare(client->db,
				      "INSERT INTO counter_history (record, who, before, after) "
				      "SELECT id, 'bench', n - 1, n FROM counter WHERE id = ?");
	client->commit = lite_prepare(client->db, "COMMIT");
	return client;
}

/* busy_timeout gives up after ten seconds: then it is tried again, and the wait goes on. */
static void step(sqlite3_stmt *statement)
{
	int rc;

	do {
		rc = sqlite3_step(statement);
		sqlite3_reset(statement);
	} while ((rc & 0xff) == SQLITE_BUSY);
	if (rc != SQLITE_DONE)
		die("%s: %s", sqlite3_sql(statement), sqlite3_errmsg(sqlite3_db_handle(statement)));
}

static void add(void *context, long id)
{
	struct client *client = context;

	sqlite3_bind_int64(client->update, 1, id);
	if (!client->begin) {
		step(client->update);
		return;
	}
	sqlite3_bind_int64(client->record, 1, id);
	step(client->begin);
	lite_step(client->update);
	lite_step(client->record);
	step(client->commit);
}

static void close_client(void *context)
{
	struct client *client = context;

	sqlite3_finalize(client->begin);
	sqlite3_finalize(client->update);
	sqlite3_finalize(client->record);
	sqlite3_finalize(client->commit);
	sqlite3_close(client->db);
	free(client);
}

const struct adder sqlite_bare = {"bare", open_bare, add, close_client};
const struct adder sqlite_recorded = {"recorded", open_recorded, add, close_client};

void sqlite_counters(const char *path, long rows)
{
	sqlite3 *db = lite_open(path);
	char sql[200];

	lite_run(db,
		 "PRAGMA journal_mode = WAL;"
		 "CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);"
		 "CREATE TABLE counter_history (id INTEGER PRIMARY KEY, record INTEGER NOT NULL, "
		 "at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, who TEXT NOT NULL, "
		 "before INTEGER NOT NULL, after INTEGER NOT NULL);"
		 "CREATE INDEX counter_history_record ON counter_history (record)");
	snprintf(sql, sizeof(sql),
		 "WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < %ld) "
		 "INSERT INTO counter SELECT i, 0 FROM s",
		 rows);
	lite_run(db, sql);
	sqlite3_close(db);
}

struct totals sqlite_totals(const char *path)
{
	sqlite3 *db = lite_open(path);
	struct totals totals = {0};

	totals.sum = (long)lite_number(db, "SELECT sum(n) FROM counter");
	totals.own = (long)lite_number(db, "SELECT count(*) FROM counter_history");
	if (lite_number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'amend_change'"))
		totals.amend = (long)lite_number(db, "SELECT count(*) FROM amend_change");
	sqlite3_close(db);
	return totals;
}
