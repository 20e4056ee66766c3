/*
 * Transactions: their beginning and end.
 * Leaves savepoints and reruns to the layer above.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "sql/driver/mariadb.h"

/* The transaction's own limit would end what runs after it. Of an adopted session mariadb_pins.c gives the application's back. */
static enum amend_status lift_limit(struct amend_session *session, struct amend_error *err)
{
	if (!session->limited || session->lost)
		return AMEND_OK;
	session->limited = false;
	return amend_mariadb_exec(session, "SET max_statement_time = DEFAULT", err);
}

#define OUR_SAVEPOINT "SAVEPOINT amend_unit"

/* A unit on a node of a cluster: amend_mariadb_sure tells why. */
static enum amend_status turn_off_autocommit(struct amend_session *session, struct amend_error *err)
{
	enum amend_status status;

	if (!session->joined)
		return AMEND_OK;
	status = amend_mariadb_exec(session, "SET autocommit = 0", err);
	session->manual = status == AMEND_OK;
	return status;
}

/* Turned on it commits what is open: nothing may be. */
enum amend_status amend_mariadb_autocommit(struct amend_session *session, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	if (!session->manual || session->lost)
		return AMEND_OK;
	/* What ends a statement may come too late, and end this one. */
	for (int i = 0; i < 2 && session->manual && !session->lost; i++) {
		status = amend_mariadb_exec(session, "ROLLBACK", err);
		if (status == AMEND_OK)
			status = amend_mariadb_exec(session, "SET autocommit = 1", err);
		session->manual = status != AMEND_OK;
	}
	return status;
}

/* That the transaction is the one that was begun. */
static enum amend_status prove(struct amend_session *session, struct amend_error *err)
{
	enum amend_status status;

	if (!session->manual)
		return amend_mariadb_sure(session, err);
	status = amend_mariadb_exec(session, "RELEASE " OUR_SAVEPOINT, err);
	return status == AMEND_OK && amend_mariadb_state(session) != AMEND_TX_ACTIVE
		       ? amend_mariadb_undone(err)
		       : status;
}

enum amend_status amend_mariadb_begin(struct amend_session *session,
				      const struct amend_begin *begin, struct amend_error *err)
{
	static const char *const levels[] = {
		[AMEND_ISOLATION_DEFAULT] = "READ COMMITTED",
		[AMEND_READ_COMMITTED] = "READ COMMITTED",
		[AMEND_REPEATABLE_READ] = "REPEATABLE READ",
		[AMEND_SERIALIZABLE] = "SERIALIZABLE",
	};
	enum amend_status status = amend_mariadb_ready(session, err);
	struct amend_error ignored;
	char sql[96];

	if (status != AMEND_OK)
		return status;
	if (begin->isolation == AMEND_REPEATABLE_READ && !session->snapshots)
		return amend_mariadb_no_snapshots(err);
	/* START TRANSACTION would commit it. */
	if (session->conn->server_status & SERVER_STATUS_IN_TRANS)
		return amend_error_set(err, AMEND_INVALID, "a transaction is open already");
	status = amend_mariadb_wait(session, begin->lock_timeout_ms, err);
	if (status == AMEND_OK && begin->time_limit_ms > 0) {
		snprintf(sql, sizeof(sql), "SET max_statement_time = %d.%03d",
			 begin->time_limit_ms / 1000, begin->time_limit_ms % 1000);
		session->limited = true;
		status = amend_mariadb_exec(session, sql, err);
	}
	/* Of the next transaction alone; the session's own is READ COMMITTED. */
	if (status == AMEND_OK && begin->isolation != AMEND_ISOLATION_DEFAULT &&
	    begin->isolation != AMEND_READ_COMMITTED) {
		snprintf(sql, sizeof(sql), "SET TRANSACTION ISOLATION LEVEL %s",
			 levels[begin->isolation]);
		status = amend_mariadb_exec(session, sql, err);
	}
	if (status == AMEND_OK)
		status = turn_off_autocommit(session, err);
	if (status == AMEND_OK)
		status = amend_mariadb_exec(session,
					    begin->read_only ? "START TRANSACTION READ ONLY"
							     : "START TRANSACTION READ WRITE",
					    err);
	if (status == AMEND_OK && session->manual)
		status = amend_mariadb_exec(session, OUR_SAVEPOINT, err);
	session->begun = status == AMEND_OK;
	if (status != AMEND_OK)
		(void)!amend_mariadb_autocommit(session, &ignored);
	return status;
}

enum amend_status amend_mariadb_commit(struct amend_session *session, struct amend_error *err)
{
	enum amend_status status;
	struct amend_error ignored;

	switch (amend_mariadb_state(session)) {
	case AMEND_TX_IDLE:
		if (session->begun && session->joined)
			return amend_mariadb_undone(err);
		return amend_error_set(err, AMEND_INVALID, "no transaction is open");
	case AMEND_TX_LOST:
		return amend_mariadb_fail(err, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST,
					  "the connection broke before the transaction was "
					  "committed: nothing of it is in");
	case AMEND_TX_ACTIVE:
	case AMEND_TX_FAILED:
		break;
	}
	status = prove(session, err);
	if (status == AMEND_OK) {
		status = amend_mariadb_exec(session, "COMMIT", err);
		if (status != AMEND_OK && session->lost) {
			err->status = AMEND_OUTCOME_UNKNOWN;
			memcpy(err->sqlstate, AMEND_SQLSTATE_UNKNOWN, sizeof(err->sqlstate));
			return amend_error_wrap(err, "the connection broke during COMMIT");
		}
	}
	session->begun = status != AMEND_OK;
	/* It is in, or undone: what stays is the next begin's trouble. */
	(void)!amend_mariadb_autocommit(session, &ignored);
	(void)!lift_limit(session, &ignored);
	return status;
}

/* Refused, by a limit of the user's perhaps. The server undoes it once the connection has ended. */
static void end_connection(struct amend_session *session)
{
	if (session->adopted)
		return;
	session->lost = true;
	(void)shutdown(mysql_get_socket(session->conn), SHUT_RDWR);
}

enum amend_status amend_mariadb_rollback(struct amend_session *session, struct amend_error *err)
{
	enum amend_status status = amend_mariadb_ready(session, err);

	if (status != AMEND_OK)
		return status;
	if (session->conn->server_status & SERVER_STATUS_IN_TRANS)
		status = amend_mariadb_exec(session, "ROLLBACK", err);
	if (status != AMEND_OK && session->begun && !session->lost)
		end_connection(session);
	session->begun = false;
	if (status == AMEND_OK)
		status = amend_mariadb_autocommit(session, err);
	return status == AMEND_OK ? lift_limit(session, err) : status;
}

enum amend_status amend_mariadb_set_lock_timeout(struct amend_session *session, int ms,
						 struct amend_error *err)
{
	return amend_mariadb_wait(session, ms, err);
}
