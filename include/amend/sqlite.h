/* Adopting the application's own sqlite3 handle (see amend/connection.h). */
#ifndef AMEND_SQLITE_H
#define AMEND_SQLITE_H

#include <amend/connection.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sqlite3;

/*
 * `handle` stays the application's: it must outlive the amend_conn and is not
 * closed with it. Its busy handler is the application's too: SQLite cannot
 * tell it to others, so amend never replaces it on an adopted handle.
 * AMEND_UNSUPPORTED in a build without SQLite.
 */
AMEND_API enum amend_status amend_adopt_sqlite(struct sqlite3 *handle,
					       const struct amend_open_options *options,
					       struct amend_conn **out,
					       struct amend_error *err) AMEND_CHECK;

#ifdef __cplusplus
}
#endif

#endif
