/*
 * Adding on PostgreSQL by hand: one prepared statement, without and with history.
 * Leaves the clients to hot.c.
 */
#include <stdio.h>

#include "hot.h"
#include "pg.h"

static void *open_with(const char *uri, const char *setting, const char *sql)
{
	PGconn *db = pg_open(uri);

	if (*setting)
		pg_run(db, setting);
	pg_done(db, PQprepare(db, "add", sql, 1, NULL), PGRES_COMMAND_OK, sql);
	return db;
}

static void *open_bare(const char *uri, const char *setting)
{
	return open_with(uri, setting, "UPDATE counter SET n = n + 1 WHERE id = $1");
}

static void *open_recorded(const char *uri, const char *setting)
{
	return open_with(
		uri, setting,
		"WITH u AS (UPDATE counter SET n = n + 1 WHERE id = $1 RETURNING id, n) INSERT INTO "
		"counter_history (record, who, before, after) SELECT id, current_user, n - 1, n "
		"FROM u");
}

static void add(void *client, long id)
{
	char text[24];
	const char *const values[] = {text};

	snprintf(text, sizeof(text), "%ld", id);
	pg_done(client, PQexecPrepared(client, "add", 1, values, NULL, NULL, 0), PGRES_COMMAND_OK,
		"add");
}

static void close_client(void *client)
{
	PQfinish(client);
}

const struct adder postgres_bare = {"bare", open_bare, add, close_client};
const struct adder postgres_recorded = {"recorded", open_recorded, add, close_client};

void postgres_counters(const char *uri, long rows)
{
	PGconn *db = pg_open(uri);
	char sql[128];

	pg_run(db,
	       "CREATE TABLE counter (id bigint PRIMARY KEY, n bigint NOT NULL);"
	       "CREATE TABLE counter_history (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
	       "record bigint NOT NULL, at timestamptz NOT NULL DEFAULT now(), who text NOT NULL, "
	       "before bigint NOT NULL, after bigint NOT NULL);"
	       "CREATE INDEX ON counter_history (record)");
	snprintf(sql, sizeof(sql), "INSERT INTO counter SELECT i, 0 FROM generate_series(1, %ld) i",
		 rows);
	pg_run(db, sql);
	pg_run(db, "VACUUM (ANALYZE)");
	PQfinish(db);
}

/* Dead versions of a hot row slow its next writer down: they are cleared before each run. */
struct totals postgres_totals(const char *uri)
{
	PGconn *db = pg_open(uri);
	struct totals totals = {0};

	totals.sum = (long)pg_number(db, "SELECT sum(n) FROM counter");
	totals.own = (long)pg_number(db, "SELECT count(*) FROM counter_history");
	if (pg_number(db, "SELECT count(*) FROM pg_tables WHERE schemaname = 'amend'"))
		totals.amend = (long)pg_number(db, "SELECT count(*) FROM amend.change");
	pg_run(db, "VACUUM counter");
	PQfinish(db);
	return totals;
}
