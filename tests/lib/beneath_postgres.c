/*
 * libpq's calls, each of which may be made to fail.
 * Leaves which one does to beneath.c.
 */
#include "beneath.h"

#include <stdio.h>
#include <sys/socket.h>

#include <libpq-fe.h>

#define CALL(type, name, ...)            \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

static PGTransactionStatusType
	outside;        /* the transaction's status in front of the pipeline that is open */
static bool committing; /* what was sent last may commit */

/* A statement that would be its own transaction, or that ends one. */
static bool commits(PGconn *conn, const char *sql)
{
	PGTransactionStatusType now = PQtransactionStatus(conn);

	if (PQpipelineStatus(conn) != PQ_PIPELINE_OFF)
		now = outside;
	return now == PQTRANS_IDLE || beneath_begins(sql, "COMMIT");
}

static void cut(PGconn *conn, const char *sql)
{
	committing = commits(conn, sql);
	if (beneath_strikes(BENEATH_CUT_BEFORE, sql, committing))
		(void)shutdown(PQsocket(conn), SHUT_RDWR);
	if (beneath_strikes(BENEATH_CUT_AFTER, sql, committing))
		(void)shutdown(PQsocket(conn), SHUT_RD);
}

static bool unsent(const char *what)
{
	return beneath_strikes(BENEATH_UNSENT, what, false);
}

static bool not_sent(PGconn *conn, const char *sql)
{
	return beneath_strikes(BENEATH_UNSENT, sql, commits(conn, sql));
}

/* Raised by a trigger, it would be the application's rule: what is a defect of the server is made otherwise. */
static const char *refusal(void)
{
	switch (beneath_status()) {
	case AMEND_LOCKED:
		return "DO $$ BEGIN RAISE 'refused' USING ERRCODE = '55P03'; END $$";
	case AMEND_DENIED:
		return "DO $$ BEGIN RAISE 'refused' USING ERRCODE = '42501'; END $$";
	case AMEND_RETRY:
		return "DO $$ BEGIN RAISE 'refused' USING ERRCODE = '40001'; END $$";
	case AMEND_CONSTRAINT:
		return "DO $$ BEGIN RAISE 'refused' USING ERRCODE = '23514'; END $$";
	case AMEND_INTERRUPTED:
		return "DO $$ BEGIN RAISE 'refused' USING ERRCODE = '57014'; END $$";
	case AMEND_INVALID:
		return "DO $$ BEGIN RAISE 'refused' USING ERRCODE = '22003'; END $$";
	case AMEND_NOT_FOUND:
		return "DO $$ BEGIN RAISE 'refused' USING ERRCODE = '42P01'; END $$";
	case AMEND_NO_MEMORY:
		return "DO $$ BEGIN RAISE 'refused' USING ERRCODE = '53200'; END $$";
	default:
		return "SELECT pg_read_file('/nowhere/at/all')";
	}
}

PGresult *__real_PQexec(PGconn *conn, const char *sql);

/* What fails in place of the statement; NULL: nothing does. A COMMIT that fails has ended its transaction. */
static const char *refused(PGconn *conn, const char *sql)
{
	if (!beneath_strikes(BENEATH_REFUSED, sql, false))
		return NULL;
	if (beneath_begins(sql, "COMMIT"))
		PQclear(__real_PQexec(conn, "ROLLBACK"));
	return refusal();
}

/* libpq says so of an answer for which it has no memory: without the server's words, and without its state. */
static PGresult *answer(PGconn *conn, PGresult *result, const char *sql)
{
	ExecStatusType kind = PQresultStatus(result);

	if (!result || kind == PGRES_PIPELINE_SYNC || kind == PGRES_COPY_IN ||
	    kind == PGRES_COPY_OUT || !beneath_strikes(BENEATH_UNREAD, sql, committing))
		return result;
	PQclear(result);
	return PQmakeEmptyPGresult(conn, PGRES_FATAL_ERROR);
}

/* --- Statements --- */

PGresult *__wrap_PQexec(PGconn *conn, const char *sql);
PGresult *__wrap_PQexec(PGconn *conn, const char *sql)
{
	const char *instead;

	if (not_sent(conn, sql))
		return NULL;
	cut(conn, sql);
	instead = refused(conn, sql);
	return answer(conn, __real_PQexec(conn, instead ? instead : sql), sql);
}

CALL(int, PQsendQuery, PGconn *conn, const char *sql)
{
	const char *instead;

	if (not_sent(conn, sql))
		return 0;
	cut(conn, sql);
	instead = refused(conn, sql);
	return __real_PQsendQuery(conn, instead ? instead : sql);
}

CALL(int, PQsendQueryParams, PGconn *conn, const char *sql, int n, const Oid *types,
     const char *const *values, const int *sizes, const int *formats, int result)
{
	const char *instead;

	if (not_sent(conn, sql))
		return 0;
	cut(conn, sql);
	instead = refused(conn, sql);
	return instead ? __real_PQsendQueryParams(conn, instead, 0, NULL, NULL, NULL, NULL, 0)
		       : __real_PQsendQueryParams(conn, sql, n, types, values, sizes, formats,
						  result);
}

CALL(int, PQsendPrepare, PGconn *conn, const char *name, const char *sql, int n, const Oid *types)
{
	const char *instead;

	if (not_sent(conn, sql))
		return 0;
	cut(conn, sql);
	instead = refused(conn, sql);
	return instead ? __real_PQsendQueryParams(conn, instead, 0, NULL, NULL, NULL, NULL, 0)
		       : __real_PQsendPrepare(conn, name, sql, n, types);
}

CALL(int, PQsendQueryPrepared, PGconn *conn, const char *name, int n, const char *const *values,
     const int *sizes, const int *formats, int result)
{
	const char *instead;

	if (not_sent(conn, name))
		return 0;
	cut(conn, name);
	instead = refused(conn, name);
	return instead ? __real_PQsendQueryParams(conn, instead, 0, NULL, NULL, NULL, NULL, 0)
		       : __real_PQsendQueryPrepared(conn, name, n, values, sizes, formats, result);
}

CALL(PGresult *, PQprepare, PGconn *conn, const char *name, const char *sql, int n, const Oid *types)
{
	const char *instead;

	if (not_sent(conn, sql))
		return NULL;
	cut(conn, sql);
	instead = refused(conn, sql);
	return instead ? __real_PQexec(conn, instead) : __real_PQprepare(conn, name, sql, n, types);
}

CALL(PGresult *, PQdescribePrepared, PGconn *conn, const char *name)
{
	if (unsent("PQdescribePrepared"))
		return NULL;
	cut(conn, "PQdescribePrepared");
	return __real_PQdescribePrepared(conn, name);
}

CALL(PGresult *, PQgetResult, PGconn *conn)
{
	return answer(conn, __real_PQgetResult(conn), "an answer");
}

/* --- What else asks for memory, or for the connection --- */

CALL(int, PQenterPipelineMode, PGconn *conn)
{
	if (not_sent(conn, "PQenterPipelineMode"))
		return 0;
	outside = PQtransactionStatus(conn);
	return __real_PQenterPipelineMode(conn);
}

CALL(int, PQpipelineSync, PGconn *conn)
{
	return not_sent(conn, "PQpipelineSync") ? 0 : __real_PQpipelineSync(conn);
}

CALL(int, PQsetSingleRowMode, PGconn *conn)
{
	return unsent("PQsetSingleRowMode") ? 0 : __real_PQsetSingleRowMode(conn);
}

CALL(int, PQputCopyData, PGconn *conn, const char *data, int size)
{
	if (unsent("PQputCopyData"))
		return -1;
	cut(conn, "PQputCopyData");
	return __real_PQputCopyData(conn, data, size);
}

CALL(int, PQputCopyEnd, PGconn *conn, const char *problem)
{
	if (unsent("PQputCopyEnd"))
		return -1;
	cut(conn, "PQputCopyEnd");
	return __real_PQputCopyEnd(conn, problem);
}

CALL(PGconn *, PQconnectdbParams, const char *const *names, const char *const *values, int expand)
{
	PGconn *conn;

	if (unsent("PQconnectdbParams"))
		return NULL;
	conn = __real_PQconnectdbParams(names, values, expand);
	if (conn)
		cut(conn, "PQconnectdbParams");
	return conn;
}

CALL(PGconn *, PQconnectStartParams, const char *const *names, const char *const *values, int expand)
{
	return unsent("PQconnectStartParams") ? NULL
					      : __real_PQconnectStartParams(names, values, expand);
}

CALL(PQconninfoOption *, PQconninfoParse, const char *text, char **problem)
{
	if (!unsent("PQconninfoParse"))
		return __real_PQconninfoParse(text, problem);
	if (problem)
		*problem = NULL;
	return NULL;
}

CALL(PQconninfoOption *, PQconninfo, PGconn *conn)
{
	return unsent("PQconninfo") ? NULL : __real_PQconninfo(conn);
}

CALL(PGcancel *, PQgetCancel, PGconn *conn)
{
	return unsent("PQgetCancel") ? NULL : __real_PQgetCancel(conn);
}
