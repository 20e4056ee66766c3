/*
 * libmariadb, and an end with one line for whatever fails.
 * Leaves what is asked of the server to the contenders.
 */
#include "maria.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contender.h"

/* "mariadb://USER@localhost/DATABASE?socket=PATH" */
MYSQL *maria_open(const char *url)
{
	MYSQL *db = mysql_init(NULL);
	char user[64], name[64], path[256];
	unsigned int yes = 1;

	if (sscanf(url, "mariadb://%63[^@]@localhost/%63[^?]?socket=%255s", user, name, path) != 3)
		die("expected mariadb://USER@localhost/DATABASE?socket=PATH, found %s", url);
	if (!db)
		die("out of memory");
	mysql_options(db, MYSQL_OPT_LOCAL_INFILE, &yes);
	mysql_options(db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	if (!mysql_real_connect(db, "localhost", user, NULL, name, 0, path, CLIENT_FOUND_ROWS))
		die("%s", mysql_error(db));
	maria_run(db, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
	maria_run(db, "SET sql_mode = 'STRICT_ALL_TABLES'");
	return db;
}

void maria_end(MYSQL *db, MYSQL_RES *rows)
{
	if (mysql_errno(db))
		die("%s", mysql_error(db));
	mysql_free_result(rows);
}

void maria_run(MYSQL *db, const char *sql)
{
	MYSQL_RES *rows;

	if (mysql_query(db, sql) != 0)
		die("%s: %s", sql, mysql_error(db));
	rows = mysql_store_result(db);
	if (rows)
		mysql_free_result(rows);
	else if (mysql_errno(db))
		die("%s: %s", sql, mysql_error(db));
}

/* The first value of the first row, or NULL: until the result is freed. */
static const char *first_value(MYSQL *db, const char *sql, MYSQL_RES **rows)
{
	MYSQL_ROW row;

	if (mysql_query(db, sql) != 0)
		die("%s: %s", sql, mysql_error(db));
	*rows = mysql_store_result(db);
	if (!*rows) {
		if (mysql_errno(db))
			die("%s: %s", sql, mysql_error(db));
		return NULL;
	}
	row = mysql_fetch_row(*rows);
	return row ? row[0] : NULL;
}

uint64_t maria_number(MYSQL *db, const char *sql)
{
	MYSQL_RES *rows;
	const char *value = first_value(db, sql, &rows);
	uint64_t number;

	if (!value)
		die("%s: no value", sql);
	number = strtoull(value, NULL, 10);
	mysql_free_result(rows);
	return number;
}

void maria_say(MYSQL *db, const char *name, const char *sql)
{
	MYSQL_RES *rows;
	const char *value = first_value(db, sql, &rows);

	if (value)
		say_text(name, value);
	mysql_free_result(rows);
}

MYSQL_RES *maria_rows(MYSQL *db, const char *sql)
{
	MYSQL_RES *rows;

	if (mysql_query(db, sql) != 0)
		die("%s: %s", sql, mysql_error(db));
	rows = mysql_use_result(db);
	if (!rows)
		die("%s: %s", sql, mysql_error(db));
	return rows;
}

MYSQL_STMT *maria_prepare(MYSQL *db, const char *sql)
{
	MYSQL_STMT *statement = mysql_stmt_init(db);

	if (!statement)
		die("out of memory");
	if (mysql_stmt_prepare(statement, sql, (unsigned long)strlen(sql)) != 0)
		die("%s: %s", sql, mysql_stmt_error(statement));
	return statement;
}

/* All columns are fetched as they come: what is looked at afterwards is the caller's. */
static uint64_t fetch_all(MYSQL_STMT *statement)
{
	enum { MOST = 16, ROOM = 256 };
	static _Thread_local char room[MOST][ROOM];
	MYSQL_BIND out[MOST] = {{0}};
	unsigned n = mysql_stmt_field_count(statement);
	uint64_t count = 0;
	int rc;

	if (n == 0)
		return 0;
	for (unsigned i = 0; i < n && i < MOST; i++)
		out[i] = (MYSQL_BIND){
			.buffer_type = MYSQL_TYPE_STRING, .buffer = room[i], .buffer_length = ROOM};
	if (n > MOST || mysql_stmt_bind_result(statement, out) != 0)
		die("%s", mysql_stmt_error(statement));
	while ((rc = mysql_stmt_fetch(statement)) == 0)
		count++;
	if (rc != MYSQL_NO_DATA)
		die("%s", mysql_stmt_error(statement));
	mysql_stmt_free_result(statement);
	return count;
}

uint64_t maria_with(MYSQL_STMT *statement, const struct maria_value *values)
{
	enum { MOST = 4 };
	unsigned long n = mysql_stmt_param_count(statement), sizes[MOST];
	MYSQL_BIND in[MOST] = {{0}};

	if (n > MOST)
		die("too many parameters");
	for (unsigned long i = 0; i < n; i++) {
		if (!values[i].text) {
			in[i] = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_LONGLONG,
					     .buffer = (void *)(uintptr_t)&values[i].number};
			continue;
		}
		sizes[i] = (unsigned long)strlen(values[i].text);
		in[i] = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_STRING,
				     .buffer = (void *)(uintptr_t)values[i].text,
				     .buffer_length = sizes[i],
				     .length = &sizes[i]};
	}
	if ((n > 0 && mysql_stmt_bind_param(statement, in) != 0) ||
	    mysql_stmt_execute(statement) != 0)
		die("%s", mysql_stmt_error(statement));
	return fetch_all(statement);
}
