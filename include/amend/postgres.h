/* Adopting the application's own libpq connection (see amend/connection.h). */
#ifndef AMEND_POSTGRES_H
#define AMEND_POSTGRES_H

#include <amend/connection.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pg_conn;

/*
 * `handle` (a PGconn *) stays the application's: it must outlive the amend_conn,
 * be idle (no result pending, no pipeline mode) at each call, and is not
 * finished with it. AMEND_UNSUPPORTED in a build without PostgreSQL.
 */
AMEND_API enum amend_status amend_adopt_postgres(struct pg_conn *handle,
						 const struct amend_open_options *options,
						 struct amend_conn **out,
						 struct amend_error *err) AMEND_CHECK;

#ifdef __cplusplus
}
#endif

#endif
