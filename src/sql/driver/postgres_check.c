/*
 * Settings of the server worth a word, and who blocks whom (amend_check).
 * Leaves the ledger's own state to the layers above. Writes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/driver/postgres.h"

static const char settings_sql[] =
	"SELECT pg_catalog.current_setting('server_version'), "
	"pg_catalog.current_setting('default_transaction_isolation'), "
	"pg_catalog.current_setting('fsync'), pg_catalog.current_setting('full_page_writes'), "
	"pg_catalog.current_setting('synchronous_commit'), pg_catalog.pg_is_in_recovery(), "
	"pg_catalog.current_setting('server_encoding'), "
	"pg_catalog.current_setting('default_transaction_read_only'), "
	"pg_catalog.current_setting('synchronous_standby_names') <> '', "
	"EXISTS (SELECT FROM pg_catalog.pg_stat_replication WHERE state = 'streaming')";

static const char blocked_sql[] =
	"SELECT b.pid, b.usename, coalesce(b.application_name, ''), "
	"pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - b.query_start)::pg_catalog.int8, "
	"h.pid, h.usename, coalesce(h.application_name, ''), coalesce(h.state, 'no longer there') "
	"FROM pg_catalog.pg_stat_activity b "
	"CROSS JOIN LATERAL (SELECT DISTINCT unnest FROM "
	"pg_catalog.unnest(pg_catalog.pg_blocking_pids(b.pid))) w(pid) "
	"LEFT JOIN pg_catalog.pg_stat_activity h ON h.pid = w.pid "
	"WHERE b.datname = pg_catalog.current_database() AND b.wait_event_type = 'Lock' "
	"ORDER BY 4 DESC, b.pid LIMIT 50";

static const char idle_sql[] =
	"SELECT pid, usename, coalesce(application_name, ''), "
	"pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - state_change)::pg_catalog.int8 "
	"FROM pg_catalog.pg_stat_activity WHERE datname = pg_catalog.current_database() "
	"AND state LIKE 'idle in transaction%' AND pid <> pg_catalog.pg_backend_pid() "
	"AND state_change < pg_catalog.clock_timestamp() - '1 minute'::pg_catalog.interval "
	"ORDER BY 4 DESC LIMIT 50";

typedef void (*each_fn)(void *context, enum amend_level level, const char *topic, const char *text);

static const char *cell(const struct amend_rows *rows, size_t row, size_t column)
{
	const struct amend_value *value = amend_rows_at(rows, row, column);

	return value->kind == AMEND_TEXT ? value->as.text : "?";
}

static void tell_standby(bool synchronous, each_fn each, void *context)
{
	if (synchronous)
		each(context, AMEND_LEVEL_OK, "standby", "commits wait for a standby");
	else
		each(context, AMEND_LEVEL_ADVICE, "standby",
		     "commits do not wait for the standby: one that takes over may lack the last ones "
		     "(hint: synchronous_standby_names)");
}

static void tell_settings(const struct amend_session *session, const struct amend_rows *rows,
			  each_fn each, void *context)
{
	const char *isolation = cell(rows, 0, 1), *encoding = cell(rows, 0, 6);
	char text[256];

	snprintf(text, sizeof(text), "PostgreSQL %s, encoding %s", cell(rows, 0, 0), encoding);
	each(context, AMEND_LEVEL_OK, "server", text);
	if (strcmp(encoding, "SQL_ASCII") == 0)
		each(context, AMEND_LEVEL_ADVICE, "encoding",
		     "SQL_ASCII does not know characters: bytes are stored as they come");
	if (strcmp(encoding, "EUC_JP") == 0 || strcmp(encoding, "EUC_TW") == 0)
		each(context, AMEND_LEVEL_PROBLEM, "encoding",
		     "some characters of this encoding come back as others: amend does not write "
		     "text columns here");
	if (*cell(rows, 0, 5) == 't')
		each(context, AMEND_LEVEL_PROBLEM, "recovery",
		     "this server is a standby: it takes no writes");
	if (strcmp(cell(rows, 0, 7), "on") == 0 && !session->read_only)
		each(context, AMEND_LEVEL_ADVICE, "read only",
		     "default_transaction_read_only is on; amend asks for writing where it writes");
	if (strcmp(isolation, "read committed") == 0) {
		each(context, AMEND_LEVEL_OK, "isolation", "read committed");
	} else {
		snprintf(text, sizeof(text),
			 "the default is %s; amend's units say READ COMMITTED unless told otherwise",
			 isolation);
		each(context, AMEND_LEVEL_ADVICE, "isolation", text);
	}
	if (strcmp(cell(rows, 0, 2), "on") != 0 || strcmp(cell(rows, 0, 3), "on") != 0)
		each(context, AMEND_LEVEL_ADVICE, "durability",
		     "fsync or full_page_writes is off: a crash may lose or damage what was committed");
	else if (strcmp(cell(rows, 0, 4), "off") == 0)
		each(context, AMEND_LEVEL_ADVICE, "durability",
		     "synchronous_commit is off: a crash may lose the last commits");
	else if (strcmp(cell(rows, 0, 4), "local") == 0 && *cell(rows, 0, 8) == 't')
		each(context, AMEND_LEVEL_ADVICE, "durability",
		     "synchronous_commit is local: a standby that takes over may lack the last commits");
	else
		each(context, AMEND_LEVEL_OK, "durability", "commits survive a crash");
	if (*cell(rows, 0, 9) == 't')
		tell_standby(*cell(rows, 0, 8) == 't', each, context);
}

/* "4711 (ada, psql)": what an administrator looks for. */
static const char *who(char *out, size_t room, const struct amend_rows *rows, size_t row,
		       size_t column)
{
	const char *program = cell(rows, row, column + 2);

	snprintf(out, room, "%s (%s%s%s)", cell(rows, row, column), cell(rows, row, column + 1),
		 *program ? ", " : "", program);
	return out;
}

static void tell_sessions(const struct amend_rows *blocked, const struct amend_rows *idle,
			  each_fn each, void *context)
{
	char text[512], one[192], other[192];

	for (size_t i = 0; i < blocked->n_rows; i++) {
		snprintf(text, sizeof(text),
			 "session %s waits since %s s for session %s, which is %s",
			 who(one, sizeof(one), blocked, i, 0), cell(blocked, i, 3),
			 who(other, sizeof(other), blocked, i, 4), cell(blocked, i, 7));
		each(context, AMEND_LEVEL_PROBLEM, "locks", text);
	}
	if (blocked->n_rows == 0)
		each(context, AMEND_LEVEL_OK, "locks", "nobody waits for a lock");
	for (size_t i = 0; i < idle->n_rows; i++) {
		snprintf(text, sizeof(text),
			 "session %s is idle in a transaction since %s s and keeps its locks",
			 who(one, sizeof(one), idle, i, 0), cell(idle, i, 3));
		each(context, AMEND_LEVEL_ADVICE, "sessions", text);
	}
	if (idle->n_rows == 0)
		each(context, AMEND_LEVEL_OK, "sessions",
		     "no transaction is idle for longer than a minute");
}

/* What one of the hosts is, by its own word; whether it is a primary. */
static bool tell_host(const struct amend_session *session, int host, each_fn each, void *context)
{
	PGconn *conn = amend_postgres_connect_like(session, host, "any", true);
	struct amend_postgres_branch branch = {.timeline = 0};
	char text[256];

	if (!conn)
		return false;
	if (PQstatus(conn) == CONNECTION_OK) {
		PGresult *result = PQexec(conn, amend_postgres_branch_sql);

		amend_postgres_keep_branch(result, &branch);
		PQclear(result);
	}
	if (PQstatus(conn) != CONNECTION_OK)
		snprintf(text, sizeof(text), "number %d of the URL does not answer", host + 1);
	else if (branch.timeline == 0)
		snprintf(text, sizeof(text), "%s:%s is a standby, or does not tell", PQhost(conn),
			 PQport(conn));
	else
		snprintf(text, sizeof(text), "%s:%s is a primary, on timeline %lld", PQhost(conn),
			 PQport(conn), (long long)branch.timeline);
	each(context, PQstatus(conn) == CONNECTION_OK ? AMEND_LEVEL_OK : AMEND_LEVEL_ADVICE, "host",
	     text);
	PQfinish(conn);
	return branch.timeline > 0;
}

static void tell_hosts(const struct amend_session *session, each_fn each, void *context)
{
	int primaries = 0;

	for (int i = 0; session->hosts > 1 && i < session->hosts; i++)
		primaries += tell_host(session, i, each, context);
	if (primaries > 1)
		each(context, AMEND_LEVEL_PROBLEM, "host",
		     "more than one of them is a primary: what is written to one the others do not have "
		     "(hint: stop all but the one on the highest timeline)");
}

enum amend_status amend_postgres_check(struct amend_session *session, each_fn each, void *context,
				       struct amend_error *err)
{
	const struct amend_statement ask[] = {
		{.sql = settings_sql, .once = true},
		{.sql = blocked_sql, .once = true},
		{.sql = idle_sql, .once = true},
	};
	struct amend_rows rows[3] = {AMEND_ROWS_INIT, AMEND_ROWS_INIT, AMEND_ROWS_INIT};
	enum amend_status status = amend_postgres_run(session, ask, 3, rows, NULL, true, err);

	if (status == AMEND_OK) {
		tell_settings(session, &rows[0], each, context);
		tell_sessions(&rows[1], &rows[2], each, context);
		tell_hosts(session, each, context);
	}
	for (size_t i = 0; i < 3; i++)
		amend_rows_release(&rows[i]);
	return status;
}
