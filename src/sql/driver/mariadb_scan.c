/*
 * Queries whose rows are handed out as they come, and the names of a query's columns.
 * Leaves the rows themselves to mariadb_fetch.c.
 */
#include <stdlib.h>

#include "sql/driver/mariadb.h"

/*
 * What is left of a result has to be read before anything else runs. A little of it is read; of more the
 * server is asked to make no more.
 */
static void give_up(struct amend_session *session, const struct amend_mariadb_fetch *fetch)
{
	/* The library has a copy of the binding. */
	if (fetch->grown && mysql_stmt_bind_result(fetch->stmt, fetch->binds))
		return;
	for (int rows = 0; rows < 1000; rows++) {
		int code = mysql_stmt_fetch(fetch->stmt);

		if (code != 0 && code != MYSQL_DATA_TRUNCATED)
			return;
	}
	amend_mariadb_interrupt(session);
	mysql_stmt_free_result(fetch->stmt);
}

static enum amend_status hand_out(struct amend_session *session, MYSQL_STMT *stmt,
				  amend_row_fn each, void *context, struct amend_error *err)
{
	struct amend_mariadb_fetch fetch;
	enum amend_status status = amend_mariadb_fetch_begin(&fetch, stmt, err);
	struct amend_value *values = calloc(fetch.n + 1, sizeof(*values));
	bool more = true;

	if (!values)
		status = amend_no_memory(err);
	while (status == AMEND_OK) {
		status = amend_mariadb_fetch_row(session, &fetch, values, &more, err);
		if (status != AMEND_OK || !more)
			break;
		status = each(context, values, fetch.n, err);
	}
	if (status != AMEND_OK && more && fetch.binds)
		give_up(session, &fetch);
	amend_mariadb_fetch_end(&fetch);
	free(values);
	return status;
}

enum amend_status amend_mariadb_scan(struct amend_session *session,
				     const struct amend_statement *statement, amend_row_fn each,
				     void *context, struct amend_error *err)
{
	MYSQL_STMT *stmt = NULL;
	bool kept = false;
	enum amend_status status = amend_mariadb_ready(session, err);

	if (status != AMEND_OK)
		return status;
	amend_mariadb_enter(session);
	status = amend_mariadb_start(session, statement, amend_mariadb_kind(statement->sql), &stmt,
				     &kept, err);
	if (stmt) {
		if (status == AMEND_OK && mysql_stmt_field_count(stmt) > 0)
			status = hand_out(session, stmt, each, context, err);
		mysql_stmt_free_result(stmt);
		if (!kept)
			mysql_stmt_close(stmt);
	}
	amend_mariadb_leave(session);
	return status;
}

enum amend_status amend_mariadb_columns(struct amend_session *session, const char *sql,
					amend_name_fn each, void *context, struct amend_error *err)
{
	const struct amend_statement statement = {.sql = sql, .once = true};
	MYSQL_STMT *stmt = NULL;
	MYSQL_RES *meta;
	bool kept = false;
	enum amend_status status = amend_mariadb_ready(session, err);

	if (status == AMEND_OK)
		status = amend_mariadb_prepare(session, &statement, &stmt, &kept, err);
	if (status != AMEND_OK)
		return status;
	meta = mysql_stmt_result_metadata(stmt);
	if (!meta)
		status = amend_error_set(err, AMEND_INVALID,
					 "expected one query that returns rows, found a statement "
					 "that returns none");
	for (unsigned i = 0; meta && i < mysql_num_fields(meta) && status == AMEND_OK; i++)
		status = each(context, mysql_fetch_fields(meta)[i].name, err);
	if (meta)
		mysql_free_result(meta);
	mysql_stmt_close(stmt);
	return status;
}
