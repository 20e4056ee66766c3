/*
 * Adopting the application's own MariaDB connection (see amend/connection.h).
 *
 * What commits by itself (CREATE TABLE and other DDL) is refused in a transaction. Of the application's own:
 * at REPEATABLE READ a write to a record that was changed since its snapshot is AMEND_RETRY, and the server has
 * then undone all of it; at READ UNCOMMITTED, or at REPEATABLE READ on a server without innodb_snapshot_isolation,
 * calls are AMEND_UNSUPPORTED. A SET TRANSACTION for the next one is spent by a call outside of one.
 * LAST_INSERT_ID() and mysql_insert_id() stay what they were before the call.
 */
#ifndef AMEND_MARIADB_H
#define AMEND_MARIADB_H

#include <amend/connection.h>

#ifdef __cplusplus
extern "C" {
#endif

struct st_mysql;

/*
 * `handle` (a MYSQL *, of libmariadb) stays the application's: it must outlive the amend_conn, be idle
 * (no result pending) at each call, and is not closed by it. It must have been opened with
 * CLIENT_FOUND_ROWS, else AMEND_INVALID. With autocommit off its transaction is taken for open.
 * Ending a statement early takes a second connection, made with the same host, user, password and TLS.
 * AMEND_UNSUPPORTED in a build without MariaDB.
 */
AMEND_API enum amend_status amend_adopt_mariadb(struct st_mysql *handle,
						const struct amend_open_options *options,
						struct amend_conn **out,
						struct amend_error *err) AMEND_CHECK;

#ifdef __cplusplus
}
#endif

#endif
