/*
 * libpq, and an end with one line for whatever fails.
 * Leaves what is asked of the server to the contenders.
 */
#include "pg.h"

#include <stdlib.h>

#include "contender.h"

PGconn *pg_open(const char *uri)
{
	PGconn *db = PQconnectdb(uri);

	if (PQstatus(db) != CONNECTION_OK)
		die("%s", PQerrorMessage(db));
	PQclear(PQexec(db, "SET client_min_messages = warning"));
	return db;
}

void pg_done(PGconn *db, PGresult *result, ExecStatusType expected, const char *sql)
{
	if (PQresultStatus(result) != expected)
		die("%s: %s", sql, PQerrorMessage(db));
	PQclear(result);
}

void pg_run(PGconn *db, const char *sql)
{
	PGresult *result = PQexec(db, sql);
	ExecStatusType status = PQresultStatus(result);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		die("%s: %s", sql, PQerrorMessage(db));
	PQclear(result);
}

uint64_t pg_number(PGconn *db, const char *sql)
{
	PGresult *result = PQexec(db, sql);
	uint64_t number;

	if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1)
		die("%s: %s", sql, PQerrorMessage(db));
	number = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
	PQclear(result);
	return number;
}

void pg_copy_begin(PGconn *db, const char *sql)
{
	pg_done(db, PQexec(db, sql), PGRES_COPY_IN, sql);
}

void pg_copy_put(PGconn *db, const char *text, size_t size)
{
	if (PQputCopyData(db, text, (int)size) != 1)
		die("COPY: %s", PQerrorMessage(db));
}

void pg_copy_end(PGconn *db)
{
	PGresult *result;

	if (PQputCopyEnd(db, NULL) != 1)
		die("COPY: %s", PQerrorMessage(db));
	while ((result = PQgetResult(db)) != NULL)
		pg_done(db, result, PGRES_COMMAND_OK, "COPY");
}

void pg_copy_file(PGconn *db, const char *sql, const char *path)
{
	enum { PIECE = 1 << 16 };
	size_t size;
	const char *text = map_file(path, &size);

	pg_copy_begin(db, sql);
	for (size_t at = 0; at < size; at += PIECE)
		pg_copy_put(db, text + at, size - at < PIECE ? size - at : PIECE);
	pg_copy_end(db);
}
