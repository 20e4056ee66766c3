/*
 * Adopting the application's own MariaDB connection (see amend/connection.h).
 *
 * A preview: opening and adopting are UNSUPPORTED unless AMEND_MARIADB_PREVIEW is 1 in the environment;
 * docs/decisions/0031-mariadb.md says what is not kept yet.
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
