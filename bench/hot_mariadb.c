/*
 * Adding on MariaDB by hand: one prepared statement without history; with it a transaction of two.
 * Leaves the clients to hot.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "contender.h"
#include "hot.h"
#include "maria.h"

struct client {
	MYSQL *db;
	MYSQL_STMT *update, *record; /* `record` NULL: one statement is all */
};

static struct client *open_with(const char *url, const char *setting)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		die("out of memory");
	client->db = maria_open(url);
	if (*setting)
		maria_run(client->db, setting);
	client->update = maria_prepare(client->db, "UPDATE counter SET n = n + 1 WHERE id = ?");
	return client;
}

static void *open_bare(const char *url, const char *setting)
{
	return open_with(url, setting);
}

static void *open_recorded(const char *url, const char *setting)
{
	struct client *client = open_with(url, setting);

	client->record = maria_prepare(client->db,
				       "INSERT INTO counter_history (record, who, before_n, "
				       "after_n) SELECT id, current_user(), n - 1, n FROM counter "
				       "WHERE id = ?");
	return client;
}

static void add(void *context, long id)
{
	struct client *client = context;
	const struct maria_value value = {NULL, id};

	if (!client->record) {
		maria_with(client->update, &value);
		return;
	}
	maria_run(client->db, "START TRANSACTION");
	maria_with(client->update, &value);
	maria_with(client->record, &value);
	maria_run(client->db, "COMMIT");
}

static void close_client(void *context)
{
	struct client *client = context;

	mysql_stmt_close(client->update);
	if (client->record)
		mysql_stmt_close(client->record);
	mysql_close(client->db);
	free(client);
}

const struct adder mariadb_bare = {"bare", open_bare, add, close_client};
const struct adder mariadb_recorded = {"recorded", open_recorded, add, close_client};

void mariadb_counters(const char *url, long rows)
{
	MYSQL *db = maria_open(url);
	char sql[128];

	maria_run(db, "CREATE TABLE counter (id bigint PRIMARY KEY, n bigint NOT NULL)");
	maria_run(db, "CREATE TABLE counter_history (id bigint AUTO_INCREMENT PRIMARY KEY, record "
		      "bigint NOT NULL, at datetime(6) NOT NULL DEFAULT current_timestamp(6), "
		      "who varchar(100) NOT NULL, before_n bigint NOT NULL, after_n bigint NOT "
		      "NULL, KEY (record))");
	snprintf(sql, sizeof(sql), "INSERT INTO counter SELECT seq, 0 FROM seq_1_to_%ld", rows);
	maria_run(db, sql);
	mysql_close(db);
}

struct totals mariadb_totals(const char *url)
{
	MYSQL *db = maria_open(url);
	struct totals totals = {0};

	totals.sum = (long)maria_number(db, "SELECT sum(n) FROM counter");
	totals.own = (long)maria_number(db, "SELECT count(*) FROM counter_history");
	if (maria_number(db, "SELECT count(*) FROM information_schema.tables WHERE table_schema = "
			     "DATABASE() AND table_name = 'amend_change'"))
		totals.amend = (long)maria_number(db, "SELECT count(*) FROM amend_change");
	mysql_close(db);
	return totals;
}
