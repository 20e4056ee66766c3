/*
 * What MariaDB and its client library report, as amend's statuses and one line of text.
 * Leaves rerunning and undoing to those who asked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sql/driver/mariadb.h"

/* By number, for many of different meaning share a SQLSTATE; "" keeps the server's. */
static const struct {
	unsigned code;
	enum amend_status status;
	const char *sqlstate;
} meanings[] = {
	{1020, AMEND_RETRY, AMEND_SQLSTATE_SERIALIZATION}, /* changed since read */
	{1021, AMEND_INTERNAL, AMEND_SQLSTATE_DISK_FULL},
	{1022, AMEND_CONSTRAINT, AMEND_SQLSTATE_UNIQUE},
	{1037, AMEND_NO_MEMORY, ""},
	{1038, AMEND_NO_MEMORY, ""},
	{1040, AMEND_UNREACHABLE, "53300"}, /* too many connections */
	{1044, AMEND_DENIED, AMEND_SQLSTATE_DENIED},
	{1045, AMEND_DENIED, "28000"},
	{1046, AMEND_INVALID, "3D000"},
	{1048, AMEND_CONSTRAINT, AMEND_SQLSTATE_NOT_NULL},
	{1047, AMEND_UNREACHABLE, "08S01"}, /* Galera: this node is not ready */
	{1049, AMEND_NOT_FOUND, AMEND_SQLSTATE_NO_SCHEMA},
	{1051, AMEND_NOT_FOUND, AMEND_SQLSTATE_NO_TABLE},
	{1053, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST}, /* the server shuts down */
	{AMEND_MA_DUPLICATE, AMEND_CONSTRAINT, AMEND_SQLSTATE_UNIQUE},
	{1079, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST},
	{1114, AMEND_INTERNAL, AMEND_SQLSTATE_DISK_FULL}, /* the table is full */
	{1130, AMEND_DENIED, "28000"},
	{1142, AMEND_DENIED, AMEND_SQLSTATE_DENIED},
	{1143, AMEND_DENIED, AMEND_SQLSTATE_DENIED},
	{1146, AMEND_NOT_FOUND, AMEND_SQLSTATE_NO_TABLE},
	{1153, AMEND_UNREACHABLE,
	 AMEND_SQLSTATE_LOST}, /* too much at once, which the server ends it for */
	{1169, AMEND_CONSTRAINT, AMEND_SQLSTATE_UNIQUE},
	{1203, AMEND_UNREACHABLE, "53300"},
	{AMEND_MA_LOCK_WAIT, AMEND_LOCKED, AMEND_SQLSTATE_LOCKED},
	{1207, AMEND_DENIED, AMEND_SQLSTATE_READ_ONLY},
	{AMEND_MA_DEADLOCK, AMEND_RETRY, AMEND_SQLSTATE_DEADLOCK},
	{1216, AMEND_CONSTRAINT, AMEND_SQLSTATE_FOREIGN_KEY},
	{1217, AMEND_CONSTRAINT, AMEND_SQLSTATE_FOREIGN_KEY},
	{AMEND_MA_RESOURCE, AMEND_UNREACHABLE, "53300"}, /* a limit of the user's */
	{1227, AMEND_DENIED, AMEND_SQLSTATE_DENIED},
	{1235, AMEND_UNSUPPORTED, "0A000"},
	{1264, AMEND_INVALID, AMEND_SQLSTATE_OUT_OF_RANGE},
	{1265, AMEND_INVALID,
	 AMEND_SQLSTATE_BAD_TEXT}, /* data truncated: not one of the enum, no number */
	{1288, AMEND_INVALID, AMEND_SQLSTATE_SYNTAX},   /* a view that cannot be updated */
	{1290, AMEND_DENIED, AMEND_SQLSTATE_READ_ONLY}, /* --read-only */
	{1292, AMEND_INVALID, "22007"},
	{1295, AMEND_UNSUPPORTED, "0A000"}, /* no statement that can be prepared */
	{1317, AMEND_INTERRUPTED, AMEND_SQLSTATE_INTERRUPTED},
	{1364, AMEND_CONSTRAINT, AMEND_SQLSTATE_NOT_NULL}, /* no default, and none given */
	{1365, AMEND_INVALID, "22012"},
	{1366, AMEND_INVALID, AMEND_SQLSTATE_BAD_TEXT},
	{1370, AMEND_DENIED, AMEND_SQLSTATE_DENIED},
	{1406, AMEND_INVALID, AMEND_SQLSTATE_TOO_LONG},
	{1412, AMEND_RETRY, AMEND_SQLSTATE_SERIALIZATION}, /* made after this transaction's view */
	{1451, AMEND_CONSTRAINT, AMEND_SQLSTATE_FOREIGN_KEY},
	{1452, AMEND_CONSTRAINT, AMEND_SQLSTATE_FOREIGN_KEY},
	{1419, AMEND_DENIED, AMEND_SQLSTATE_DENIED}, /* a trigger, where the binary log is on */
	{1449, AMEND_DENIED, AMEND_SQLSTATE_DENIED}, /* a trigger whose definer is gone */
	{AMEND_MA_MOST_PREPARED, AMEND_INTERNAL, "53000"},
	{1557, AMEND_CONSTRAINT, AMEND_SQLSTATE_FOREIGN_KEY},
	{1586, AMEND_CONSTRAINT, AMEND_SQLSTATE_UNIQUE},
	{1644, AMEND_CONSTRAINT, ""}, /* SIGNAL: a rule of the database, kept by a trigger */
	{1690, AMEND_INVALID, AMEND_SQLSTATE_OUT_OF_RANGE},
	{1761, AMEND_CONSTRAINT, AMEND_SQLSTATE_FOREIGN_KEY},
	{1762, AMEND_CONSTRAINT, AMEND_SQLSTATE_FOREIGN_KEY},
	{1792, AMEND_DENIED, AMEND_SQLSTATE_READ_ONLY},
	{1836, AMEND_DENIED, AMEND_SQLSTATE_READ_ONLY},
	{1906, AMEND_INVALID, AMEND_SQLSTATE_SYNTAX},          /* a generated column */
	{1927, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST},        /* killed */
	{1969, AMEND_INTERRUPTED, AMEND_SQLSTATE_INTERRUPTED}, /* max_statement_time */
	{CR_CONNECTION_ERROR, AMEND_UNREACHABLE, "08001"},
	{CR_CONN_HOST_ERROR, AMEND_UNREACHABLE, "08001"},
	{CR_UNKNOWN_HOST, AMEND_UNREACHABLE, "08001"},
	{CR_SERVER_GONE_ERROR, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST},
	{CR_OUT_OF_MEMORY, AMEND_NO_MEMORY, ""},
	{CR_SERVER_LOST, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST},
	{2020, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST}, /* more than the client's own limit */
	{2026, AMEND_UNREACHABLE, "08001"},             /* TLS */
	{2055, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST},
	{3024, AMEND_INTERRUPTED, AMEND_SQLSTATE_INTERRUPTED},
	{3140, AMEND_INVALID, AMEND_SQLSTATE_BAD_TEXT},
	{3819, AMEND_CONSTRAINT, AMEND_SQLSTATE_CHECK},
	{4025, AMEND_CONSTRAINT, AMEND_SQLSTATE_CHECK},
};

/* What has no line of its own goes by the server's SQLSTATE. */
static enum amend_status status_of_class(const char *sqlstate)
{
	static const struct {
		const char *prefix;
		enum amend_status status;
	} classes[] = {
		{AMEND_SQLSTATE_STALE, AMEND_STALE},
		{"08", AMEND_UNREACHABLE},
		{"0A", AMEND_UNSUPPORTED},
		{"21", AMEND_INVALID},
		{"22", AMEND_INVALID},
		{"23", AMEND_CONSTRAINT},
		{"25", AMEND_INVALID},
		{"28", AMEND_DENIED},
		{"40", AMEND_RETRY},
		{"42", AMEND_INVALID},
		{"45", AMEND_CONSTRAINT}, /* SIGNAL without a state of its own */
		{"70", AMEND_INTERRUPTED},
	};

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (strncmp(sqlstate, classes[i].prefix, strlen(classes[i].prefix)) == 0)
			return classes[i].status;
	}
	return AMEND_INTERNAL;
}

enum amend_status amend_mariadb_fail(struct amend_error *err, enum amend_status status,
				     const char *sqlstate, const char *text)
{
	amend_error_set(err, status, "%s", text);
	snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", sqlstate);
	return status;
}

enum amend_status amend_mariadb_no_snapshots(struct amend_error *err)
{
	return amend_error_set(
		err, AMEND_UNSUPPORTED,
		"at REPEATABLE READ this server lets a write overwrite what its transaction has not "
		"seen (hint: READ COMMITTED, or a server with innodb_snapshot_isolation)");
}

enum amend_status amend_mariadb_meaning(unsigned code, const char *sqlstate, const char *text,
					struct amend_error *err)
{
	enum amend_status status = status_of_class(sqlstate);
	const char *state = sqlstate;
	size_t size;

	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		if (meanings[i].code != code)
			continue;
		status = meanings[i].status;
		state = *meanings[i].sqlstate ? meanings[i].sqlstate : sqlstate;
	}
	if (strcmp(sqlstate, AMEND_SQLSTATE_STALE) == 0)
		status = AMEND_STALE;
	/* One number for bad bytes and for what is no number. */
	if (code == 1366 && strncmp(text, "Incorrect string value", 22) == 0)
		state = AMEND_SQLSTATE_BAD_ENCODING;
	if (strcmp(state, "HY000") == 0 || strcmp(state, "00000") == 0)
		state = status == AMEND_INVALID ? AMEND_SQLSTATE_SYNTAX : "XX000";
	amend_mariadb_fail(err, status, state, text);
	err->native = (int)code;
	size = strlen(err->text);
	while (size > 0 && strchr(" .;", err->text[size - 1]))
		err->text[--size] = '\0';
	return status;
}

enum amend_status amend_mariadb_undone(struct amend_error *err)
{
	return amend_mariadb_fail(err, AMEND_RETRY, AMEND_SQLSTATE_SERIALIZATION,
				  "another node of the cluster has committed what this "
				  "transaction would have changed: it is undone");
}

enum amend_status amend_mariadb_sure(struct amend_session *session, struct amend_error *err)
{
	if (!session->unsure)
		return AMEND_OK;
	session->unsure = false;
	if (mysql_real_query(session->conn, "DO 0", 4) != 0)
		return amend_mariadb_error(session, NULL, err);
	return session->conn->server_status & SERVER_STATUS_IN_TRANS ? AMEND_OK
								     : amend_mariadb_undone(err);
}

/*
 * An error's answer does not say whether the transaction is still there; any that succeeds does. Of a unit of ours
 * all is undone anyway. Who has another one open must hear of it: what he does next would commit by itself.
 */
static void look_at_transaction(struct amend_session *session, struct amend_error *err)
{
	MYSQL *conn = session->conn;

	if (!(conn->server_status & SERVER_STATUS_IN_TRANS))
		return;
	if (mysql_real_query(conn, "DO 0", 4) != 0)
		session->lost = session->lost || mysql_errno(conn) >= CR_MIN_ERROR;
	if (session->lost || session->begun || conn->server_status & SERVER_STATUS_IN_TRANS ||
	    err->status == AMEND_RETRY)
		return;
	err->status = AMEND_RETRY;
	memcpy(err->sqlstate, AMEND_SQLSTATE_SERIALIZATION, sizeof(err->sqlstate));
	amend_error_wrap(err, "the server has ended the whole transaction");
}

enum amend_status amend_mariadb_error(struct amend_session *session, MYSQL_STMT *stmt,
				      struct amend_error *err)
{
	unsigned code = stmt ? mysql_stmt_errno(stmt) : mysql_errno(session->conn);
	const char *state = stmt ? mysql_stmt_sqlstate(stmt) : mysql_sqlstate(session->conn);
	const char *text = stmt ? mysql_stmt_error(stmt) : mysql_error(session->conn);
	enum amend_status status;

	/* What fails behind the first row is the connection's to tell. */
	if (stmt && code == 0) {
		code = mysql_errno(session->conn);
		state = mysql_sqlstate(session->conn);
		text = mysql_error(session->conn);
	}
	/* Before it was sent, or while its answer was read: the connection's end tells, and the server undoes what is open. */
	if (code == CR_OUT_OF_MEMORY) {
		session->lost = true;
		if (!session->adopted)
			(void)shutdown(mysql_get_socket(session->conn), SHUT_RDWR);
		return amend_mariadb_fail(err, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST,
					  "out of memory: the connection is given up");
	}
	/* A savepoint of a unit that is not there any more: nor is what was done since. */
	if (code == AMEND_MA_NO_SAVEPOINT && session->joined && strncmp(text, "SAVEPOINT", 9) == 0)
		return amend_mariadb_undone(err);
	status = amend_mariadb_meaning(code, state, *text ? text : "the server gave no answer", err);
	/* Refused by a server that goes on listening. */
	if (code == 1040 || code == 1047 || code == 1203 || code == AMEND_MA_RESOURCE) {
		if (code == AMEND_MA_RESOURCE)
			err->status = AMEND_DENIED;
		return err->status;
	}
	if (status == AMEND_UNREACHABLE) {
		session->lost = true;
		memcpy(err->sqlstate, AMEND_SQLSTATE_LOST, sizeof(err->sqlstate));
	} else if (code < CR_MIN_ERROR || code > CR_MAX_ERROR) {
		/* Of the client library's own errors the server knows nothing. */
		look_at_transaction(session, err);
	}
	return err->status;
}
