/*
 * MariaDB's client library's calls, each of which may be made to fail.
 * Leaves which one does to beneath.c.
 */
#include "beneath.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <mariadb/errmsg.h>
#include <mariadb/mysql.h>

#define CALL(type, name, ...)            \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

unsigned __real_mysql_errno(MYSQL *conn);
const char *__real_mysql_error(MYSQL *conn);
const char *__real_mysql_sqlstate(MYSQL *conn);
int __real_mysql_real_query(MYSQL *conn, const char *sql, unsigned long size);

/* What the functions that tell of errors say, from a struck call to the next one. */
static struct {
	const void *of; /* the connection or the statement; NULL: they tell what the library does */
	unsigned code;
	char state[6], text[100];
} said;

static void say(const void *of, unsigned code, const char *state, const char *text)
{
	said.of = of;
	said.code = code;
	snprintf(said.state, sizeof(said.state), "%s", state);
	snprintf(said.text, sizeof(said.text), "%s", text);
}

/* As the library has it, which forgets what was wrong before. */
static bool not_sent(const void *of, const char *what, bool commits)
{
	said.of = NULL;
	if (!beneath_strikes(BENEATH_UNSENT, what, commits))
		return false;
	say(of, CR_OUT_OF_MEMORY, "HY000", "Client run out of memory");
	return true;
}

static bool unsent(const void *of, const char *what)
{
	return not_sent(of, what, false);
}

static bool unread(const void *of, const char *what, bool commits)
{
	if (!beneath_strikes(BENEATH_UNREAD, what, commits))
		return false;
	say(of, CR_OUT_OF_MEMORY, "HY000", "Client run out of memory");
	return true;
}

static bool commits(const MYSQL *conn, const char *sql)
{
	return !(conn->server_status & SERVER_STATUS_IN_TRANS) || beneath_begins(sql, "COMMIT");
}

static void cut(MYSQL *conn, const char *sql)
{
	if (beneath_strikes(BENEATH_CUT_BEFORE, sql, commits(conn, sql)))
		(void)shutdown(mysql_get_socket(conn), SHUT_RDWR);
	if (beneath_strikes(BENEATH_CUT_AFTER, sql, commits(conn, sql)))
		(void)shutdown(mysql_get_socket(conn), SHUT_RD);
}

static const char *refusal(void)
{
	switch (beneath_status()) {
	case AMEND_LOCKED:
		return "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1205, MESSAGE_TEXT = 'refused'";
	case AMEND_DENIED:
		return "SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT = 'refused'";
	case AMEND_RETRY:
		return "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'refused'";
	case AMEND_CONSTRAINT:
		return "SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 4025, MESSAGE_TEXT = 'refused'";
	case AMEND_INTERRUPTED:
		return "SIGNAL SQLSTATE '70100' SET MYSQL_ERRNO = 1317, MESSAGE_TEXT = 'refused'";
	case AMEND_INVALID:
		return "SIGNAL SQLSTATE '22003' SET MYSQL_ERRNO = 1264, MESSAGE_TEXT = 'refused'";
	case AMEND_NOT_FOUND:
		return "SIGNAL SQLSTATE '42S02' SET MYSQL_ERRNO = 1146, MESSAGE_TEXT = 'refused'";
	case AMEND_NO_MEMORY:
		return "SIGNAL SQLSTATE 'HY001' SET MYSQL_ERRNO = 1038, MESSAGE_TEXT = 'refused'";
	default:
		return "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1021, MESSAGE_TEXT = 'refused'";
	}
}

/*
 * The server refuses something else in place of the statement. A deadlock, and a COMMIT that fails, have ended the
 * transaction, which the client does not hear of.
 */
static bool refused(MYSQL *conn, const void *of, const char *sql)
{
	unsigned before = conn->server_status;
	const char *instead;

	if (!beneath_strikes(BENEATH_REFUSED, sql, false))
		return false;
	instead = refusal();
	if (beneath_status() == AMEND_RETRY || beneath_begins(sql, "COMMIT"))
		(void)__real_mysql_real_query(conn, "ROLLBACK", 8);
	(void)__real_mysql_real_query(conn, instead, (unsigned long)strlen(instead));
	conn->server_status = before;
	say(of, __real_mysql_errno(conn), __real_mysql_sqlstate(conn), __real_mysql_error(conn));
	return true;
}

/* --- What is told of errors --- */

CALL(unsigned, mysql_errno, MYSQL *conn)
{
	return said.of == conn ? said.code : __real_mysql_errno(conn);
}

CALL(const char *, mysql_error, MYSQL *conn)
{
	return said.of == conn ? said.text : __real_mysql_error(conn);
}

CALL(const char *, mysql_sqlstate, MYSQL *conn)
{
	return said.of == conn ? said.state : __real_mysql_sqlstate(conn);
}

CALL(unsigned, mysql_stmt_errno, MYSQL_STMT *stmt)
{
	return said.of == stmt ? said.code : __real_mysql_stmt_errno(stmt);
}

CALL(const char *, mysql_stmt_error, MYSQL_STMT *stmt)
{
	return said.of == stmt ? said.text : __real_mysql_stmt_error(stmt);
}

CALL(const char *, mysql_stmt_sqlstate, MYSQL_STMT *stmt)
{
	return said.of == stmt ? said.state : __real_mysql_stmt_sqlstate(stmt);
}

/* --- Statements --- */

int __wrap_mysql_real_query(MYSQL *conn, const char *sql, unsigned long size);
int __wrap_mysql_real_query(MYSQL *conn, const char *sql, unsigned long size)
{
	bool commit = commits(conn, sql);

	if (not_sent(conn, sql, commit))
		return 1;
	cut(conn, sql);
	if (refused(conn, conn, sql))
		return 1;
	return __real_mysql_real_query(conn, sql, size) != 0 || unread(conn, sql, commit);
}

static const char *text_of(const MYSQL_STMT *stmt)
{
	return stmt->mysql ? "a prepared statement" : "";
}

CALL(int, mysql_stmt_prepare, MYSQL_STMT *stmt, const char *sql, unsigned long size)
{
	if (unsent(stmt, sql))
		return 1;
	cut(stmt->mysql, sql);
	return refused(stmt->mysql, stmt, sql) || __real_mysql_stmt_prepare(stmt, sql, size) != 0;
}

CALL(int, mysql_stmt_execute, MYSQL_STMT *stmt)
{
	bool commit = commits(stmt->mysql, text_of(stmt));

	if (not_sent(stmt, text_of(stmt), commit))
		return 1;
	cut(stmt->mysql, text_of(stmt));
	if (refused(stmt->mysql, stmt, text_of(stmt)) || __real_mysql_stmt_execute(stmt) != 0)
		return 1;
	if (!unread(stmt, text_of(stmt), commit))
		return 0;
	(void)mysql_stmt_free_result(stmt);
	return 1;
}

CALL(int, mysql_stmt_fetch, MYSQL_STMT *stmt)
{
	return unsent(stmt, "mysql_stmt_fetch") ? 1 : __real_mysql_stmt_fetch(stmt);
}

CALL(int, mysql_stmt_fetch_column, MYSQL_STMT *stmt, MYSQL_BIND *bind, unsigned column,
     unsigned long offset)
{
	return unsent(stmt, "mysql_stmt_fetch_column")
		       ? 1
		       : __real_mysql_stmt_fetch_column(stmt, bind, column, offset);
}

CALL(int, mysql_stmt_next_result, MYSQL_STMT *stmt)
{
	return unsent(stmt, "mysql_stmt_next_result") ? 1 : __real_mysql_stmt_next_result(stmt);
}

/* --- What else asks for memory, or for the connection --- */

CALL(MYSQL_STMT *, mysql_stmt_init, MYSQL *conn)
{
	return unsent(conn, "mysql_stmt_init") ? NULL : __real_mysql_stmt_init(conn);
}

CALL(my_bool, mysql_stmt_bind_param, MYSQL_STMT *stmt, MYSQL_BIND *binds)
{
	return unsent(stmt, "mysql_stmt_bind_param") ? 1 : __real_mysql_stmt_bind_param(stmt, binds);
}

CALL(my_bool, mysql_stmt_bind_result, MYSQL_STMT *stmt, MYSQL_BIND *binds)
{
	return unsent(stmt, "mysql_stmt_bind_result") ? 1
						      : __real_mysql_stmt_bind_result(stmt, binds);
}

CALL(MYSQL_RES *, mysql_stmt_result_metadata, MYSQL_STMT *stmt)
{
	return unsent(stmt, "mysql_stmt_result_metadata") ? NULL
							  : __real_mysql_stmt_result_metadata(stmt);
}

CALL(MYSQL_RES *, mysql_store_result, MYSQL *conn)
{
	return unsent(conn, "mysql_store_result") ? NULL : __real_mysql_store_result(conn);
}

CALL(MYSQL *, mysql_init, MYSQL *conn)
{
	return unsent(conn, "mysql_init") ? NULL : __real_mysql_init(conn);
}

CALL(MYSQL *, mysql_real_connect, MYSQL *conn, const char *host, const char *user,
     const char *password, const char *database, unsigned port, const char *socket,
     unsigned long flags)
{
	return unsent(conn, "mysql_real_connect")
		       ? NULL
		       : __real_mysql_real_connect(conn, host, user, password, database, port,
						   socket, flags);
}
