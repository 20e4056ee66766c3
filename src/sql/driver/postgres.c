/*
 * The PostgreSQL driver: connecting, transactions, the function table.
 * Leaves statements, pins, descriptions and canonical forms to postgres_*.c.
 */
#include "sql/driver.h"

#ifdef AMEND_WITH_POSTGRES

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/driver/postgres.h"

enum { OLDEST_SERVER = 130000 };

/* A lock of the transaction, under a number that is amend's alone: "amend" in ASCII. */
static const char *const ledger_lock[] = {"SELECT pg_catalog.pg_advisory_xact_lock(418347806308)",
					  NULL};

static const char *const ledger_before[] = {"CREATE SCHEMA IF NOT EXISTS amend", NULL};

/*
 * What guarded tables' triggers share. The revision is the transaction's: made by its first change, and
 * remembered in a setting that is believed only where its row says that it is this transaction's.
 * guard_bases: of changes that triggers have recorded in it, for a sync. guard_lastval gives lastval()
 * back to the program that writes.
 */
static const char *const ledger_guard[] = {
	"CREATE SEQUENCE amend.guard_lastval MINVALUE -9223372036854775808 CYCLE",
	"GRANT SELECT ON SEQUENCE amend.guard_lastval TO PUBLIC",
	"CREATE FUNCTION amend.guard_revision() RETURNS bigint LANGUAGE plpgsql\n"
	"\tSET search_path = pg_catalog, pg_temp AS $amend$\n"
	"DECLARE\n"
	"\tsaid text := current_setting('amend.revision', true);\n"
	"\tnow text := to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US');\n"
	"\tfound_id bigint;\n"
	"BEGIN\n"
	"\tIF said ~ '^[0-9]{1,18}$' THEN\n"
	"\t\tSELECT r.id INTO found_id FROM amend.revision r WHERE r.id = said::bigint "
	"AND r.xact = pg_current_xact_id()::text::bigint;\n"
	"\t\tIF FOUND THEN\n"
	"\t\t\tRETURN found_id;\n"
	"\t\tEND IF;\n"
	"\tEND IF;\n"
	"\tINSERT INTO amend.revision (at, who, why, program, xact) VALUES (now, "
	"coalesce(nullif(current_setting('amend.actor', true), ''), "
	"nullif(current_setting('role'), 'none'), session_user), "
	"coalesce(current_setting('amend.why', true), ''), current_setting('application_name'), "
	"pg_current_xact_id()::text::bigint) RETURNING id INTO found_id;\n"
	"\tPERFORM set_config('amend.revision', found_id::text, true);\n"
	"\tRETURN found_id;\n"
	"END\n$amend$",
	"REVOKE EXECUTE ON FUNCTION amend.guard_revision() FROM PUBLIC",
	"CREATE FUNCTION amend.guard_bases(of bigint, tbl text, pks text[], sources text[], bases bytea[]) "
	"RETURNS bigint LANGUAGE sql SECURITY DEFINER\n"
	"\tSET search_path = pg_catalog, pg_temp AS $amend$\n"
	"WITH u AS (UPDATE amend.change c SET source = w.source, base = w.base "
	"FROM ROWS FROM (unnest($3), unnest($4), unnest($5)) AS w (pk, source, base), amend.revision r "
	"WHERE r.id = $1 AND r.xact = pg_current_xact_id()::text::bigint "
	"AND c.revision = r.id AND c.tbl = $2 AND c.pk = w.pk AND c.source IS NULL RETURNING 1) "
	"SELECT count(*) FROM u\n$amend$",
	"REVOKE EXECUTE ON FUNCTION amend.guard_bases(bigint, text, text[], text[], bytea[]) FROM PUBLIC",
	NULL,
};

/* Not token_key: who can read it can claim to have seen anything. */
static const char *const ledger_grants[] = {
	"GRANT USAGE ON SCHEMA amend TO {role}",
	"GRANT SELECT ON {ledger}meta TO {role}",
	"GRANT SELECT, INSERT ON {ledger}run, {ledger}revision, {ledger}change, {ledger}feed TO {role}",
	"GRANT SELECT, INSERT, UPDATE, DELETE ON {ledger}base, {ledger}feed_sum TO {role}",
	"GRANT SELECT, INSERT, UPDATE, DELETE ON {ledger}conflict, {ledger}seen, {ledger}operation TO {role}",
	"GRANT SELECT, INSERT, UPDATE ON {ledger}lease TO {role}",
	"GRANT SELECT, INSERT ON {ledger}lease_event TO {role}",
	"GRANT SELECT ON {ledger}guard TO {role}",
	"GRANT EXECUTE ON FUNCTION amend.guard_bases(bigint, text, text[], text[], bytea[]) TO {role}",
	/* To draw a number, no more: a change is then recorded by a simpler statement. */
	"GRANT USAGE ON SEQUENCE {ledger}revision_id_seq, {ledger}change_id_seq TO {role}",
	NULL,
};

/*
 * For who guards tables as well. The triggers' functions run as him: they are made in the schema, and
 * record with his rights.
 */
static const char *const guard_grants[] = {
	"GRANT CREATE ON SCHEMA amend TO {role}",
	"GRANT INSERT, DELETE ON {ledger}guard TO {role}",
	"GRANT UPDATE ON SEQUENCE amend.guard_lastval TO {role}",
	"GRANT EXECUTE ON FUNCTION amend.guard_revision() TO {role}",
	NULL,
};

/* Of base, and of feed, its sums, seen, the leases' tables and operation (for who writes, no one else) what goes with it. */
static const char ledger_rights[] =
	"SELECT pg_catalog.format('GRANT %s ON amend.%I TO %s%s', CASE t.name WHEN 'operation' THEN "
	"'SELECT, INSERT, UPDATE, DELETE' ELSE a.privilege_type END, t.name, "
	"CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident("
	"pg_catalog.pg_get_userbyid(a.grantee)) END, "
	"CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) "
	"FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) a "
	"CROSS JOIN (VALUES ('base', ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', "
	"'REFERENCES', 'TRIGGER']), ('feed', ARRAY['SELECT', 'INSERT']), "
	"('feed_sum', ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']), "
	"('seen', ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']), "
	"('lease', ARRAY['SELECT', 'INSERT', 'UPDATE']), ('lease_event', ARRAY['SELECT', 'INSERT']), "
	"('operation', ARRAY['INSERT'])) t(name, rights) "
	"WHERE n.nspname = 'amend' AND c.relname = 'base' AND a.grantee <> c.relowner "
	"AND a.privilege_type = ANY (t.rights) "
	/* What goes with recording changes, since version 5. */
	"UNION SELECT pg_catalog.format(t.grant_, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE "
	"pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END) "
	"FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) a "
	"CROSS JOIN (VALUES ('GRANT SELECT ON amend.guard TO %s'), ('GRANT EXECUTE ON FUNCTION "
	"amend.guard_bases(bigint, text, text[], text[], bytea[]) TO %s')) t(grant_) "
	"WHERE n.nspname = 'amend' AND c.relname = 'change' AND a.grantee <> c.relowner "
	"AND a.privilege_type = 'INSERT' AND pg_catalog.to_regclass('amend.guard') IS NULL ORDER BY 1";

static const char *const row_version_parts[] = {"tableoid", "ctid", "xmin", NULL};

static const struct amend_dialect dialect = {
	.quote = '"',
	.placeholder = '$',
	.numbered = true,
	.in_order = "",
	.default_row = " DEFAULT VALUES",
	.same = "IS NOT DISTINCT FROM",
	.for_update = "FOR UPDATE",
	.for_no_key_update = "FOR NO KEY UPDATE",
	.for_share = "FOR SHARE",
	.nowait = "NOWAIT",
	.skip_locked = "SKIP LOCKED",
	/* EXCLUSIVE, not SHARE ROW EXCLUSIVE: it waits for those who hold single rows FOR UPDATE too. */
	.lock_table_update = "LOCK TABLE ",
	.lock_table_share = "LOCK TABLE ",
	.lock_table_update_mode = " IN EXCLUSIVE MODE",
	.lock_table_share_mode = " IN SHARE MODE",
	/* tableoid: a row that moves between partitions may get the same place in the other. */
	.row_version = "pg_catalog.concat(tableoid, ctid, xmin)",
	.row_version_parts = row_version_parts,
	.row_estimate = {"SELECT CASE WHEN c.relpages > 0 AND c.reltuples >= 0 AND c.relkind = 'r' "
			 "THEN CAST(pg_catalog.ceil(c.reltuples / c.relpages * "
			 "pg_catalog.pg_relation_size(c.oid) / "
			 "CAST(pg_catalog.current_setting('block_size') AS integer)) AS bigint) END "
			 "FROM pg_catalog.pg_class c WHERE c.oid = CAST(CAST(",
			 " AS text) AS pg_catalog.regclass)"},
	.now = "pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', "
	       "'YYYY-MM-DD HH24:MI:SS.US')",
	.next_time = {"greatest(pg_catalog.clock_timestamp(), ", " + interval '1 microsecond')"},
	.tables =
		"SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = "
		"c.relnamespace WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND "
		"n.nspname NOT IN ('information_schema', 'amend') AND pg_catalog.pg_table_is_visible(c.oid) "
		"ORDER BY c.relname",
	.default_schema = "public",
	.ledger = "amend.",
	.ledger_index = "",
	.ledger_present =
		"SELECT c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
		"ON n.oid = c.relnamespace WHERE n.nspname = 'amend' "
		"AND c.relname IN ('meta', 'feed_sum') ORDER BY c.relname DESC",
	.ledger_lock = ledger_lock,
	.ledger_before = ledger_before,
	.ledger_grants = ledger_grants,
	.guard_grants = guard_grants,
	.ledger_guard = ledger_guard,
	.peer_there = amend_postgres_peer_there,
	.confirm = "SELECT CASE WHEN pg_catalog.current_setting('synchronous_standby_names') <> '' "
		   "THEN pg_catalog.pg_logical_emit_message(true, 'amend', '')::pg_catalog.text END",
	.revision_xact = "pg_catalog.pg_current_xact_id()::pg_catalog.text::pg_catalog.int8",
	.hand_over =
		"SELECT pg_catalog.set_config('amend.revision', $1::pg_catalog.int8::pg_catalog.text, "
		"true)",
	.hand_bases = "amend.guard_bases",
	.ledger_rights = ledger_rights,
	/* Without an error where they are missing, or another's. */
	.may_number = "pg_catalog.has_sequence_privilege("
		      "pg_catalog.to_regclass('amend.revision_id_seq'), 'USAGE') AND "
		      "pg_catalog.has_sequence_privilege("
		      "pg_catalog.to_regclass('amend.change_id_seq'), 'USAGE')",
	.next_revision = "pg_catalog.nextval('amend.revision_id_seq')",
	.next_change = "pg_catalog.nextval('amend.change_id_seq')",
	.random_secret = "pg_catalog.replace(pg_catalog.gen_random_uuid()::text || "
			 "pg_catalog.gen_random_uuid()::text, '-', '')",
	.epoch = "CAST(pg_catalog.floor(extract(epoch FROM pg_catalog.clock_timestamp())) AS bigint)",
	.clock_ms = "CAST(pg_catalog.floor(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000) "
		    "AS bigint)",
	/*
	 * Statements take the table's lock, then their snapshot. Of other roles pg_stat_activity tells nothing:
	 * those are waited for until their transaction ends.
	 */
	.under_way =
		{"SELECT 1 FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON "
		 "a.pid = l.pid WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock' AND "
		 "l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = "
		 "pg_catalog.current_database()) AND l.pid <> pg_catalog.pg_backend_pid() "
		 "AND coalesce(a.state NOT LIKE 'idle in transaction%', true) AND l.relation = "
		 "pg_catalog.to_regclass(",
		 ") AND coalesce(a.query_start <= CAST(",
		 " AS timestamp) AT TIME ZONE 'UTC', true) LIMIT 1"},
	.for_key_share = "FOR KEY SHARE",
	.role = "SELECT pg_catalog.quote_ident(CURRENT_USER)",
	.serial_type = "bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
	.integer_type = "bigint",
	.text_type = "text",
	.bytes_type = "bytea",
	.integer_number = AMEND_PG_INT8,
	.text_number = AMEND_PG_TEXT,
	.bytes_number = AMEND_PG_BYTEA,
	.name_type = "text COLLATE pg_catalog.\"C\"",
	/* Half the size of a tree of texts, and a third of its time to fill. */
	.lookup_index = "USING hash ",
	.if_no_column = "",
	/* Room beside the old version of a row for the new one: its index entries then stay. */
	.rewritten_table = " WITH (fillfactor = 80)",
};

static bool starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool accepts(const char *url)
{
	return starts(url, "postgresql://") || starts(url, "postgres://");
}

/* --- connecting --------------------------------------------------------- */

/*
 * "u:p/w@host": an unescaped password makes libpq see a host "u" with a port
 * "p", and say so aloud. An `@` behind what would be HOST:PORT gives it away.
 */
static bool unescaped_password(const char *url)
{
	const char *authority = strstr(url, "//") + 2;
	size_t size = strcspn(authority, "/?");
	const char *rest = authority + size;
	const char *colon = memchr(authority, ':', size);

	if (memchr(authority, '@', size) || !colon || *authority == '[' || !strchr(rest, '@'))
		return false;
	if (*rest == '/')
		return memchr(rest, '@', strcspn(rest, "?")) != NULL;
	return strspn(colon + 1, "0123456789,") < (size_t)(rest - colon - 1);
}

/* libpq looks at the port only when it connects, and then says it in the user's language. */
static bool ports_are_numbers(const PQconninfoOption *options)
{
	for (; options->keyword; options++) {
		const char *at = options->val;

		if (!at || strcmp(options->keyword, "port") != 0)
			continue;
		while (*at) {
			size_t size = strcspn(at, ",");
			char *end = NULL;
			long port = strtol(at, &end, 10);

			if (size > 0 && (end != at + size || port < 1 || port > 65535))
				return false;
			at += size + (at[size] == ',');
		}
	}
	return true;
}

static enum amend_status check_url(const char *url, int *hosts, struct amend_error *err)
{
	PQconninfoOption *options = NULL;
	char *text = NULL;
	bool secret = strchr(url, '@') || strstr(url, "password");

	if (!unescaped_password(url))
		options = PQconninfoParse(url, &text);
	if (options) {
		bool good = ports_are_numbers(options);

		*hosts = amend_postgres_count_hosts(options);
		PQconninfoFree(options);
		return good ? AMEND_OK
			    : amend_error_set(err, AMEND_INVALID,
					      "expected a port between 1 and 65535 in the connection "
					      "URI");
	}
	/* libpq quotes what it could not read, which may be a part of the password. */
	if (secret || !text)
		amend_error_set(err, AMEND_INVALID,
				"this is not a connection URI that PostgreSQL accepts (hint: "
				"percent-encode / @ : ? %% and the like in user and password)");
	else
		amend_error_set(err, AMEND_INVALID, "%.*s", (int)strcspn(text, "\n"), text);
	PQfreemem(text);
	return err->status;
}

/* One is no mere word: that a COMMIT is in here, and may not be at the standby that it was to wait for. */
void amend_postgres_notice(void *context, const PGresult *result)
{
	struct amend_session *session = context;
	const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);

	if (session && function && strcmp(function, "SyncRepWaitForLSN") == 0)
		session->unconfirmed = true;
}

static enum amend_status check_server(PGconn *conn, struct amend_error *err)
{
	int version = PQserverVersion(conn);

	if (version >= OLDEST_SERVER)
		return AMEND_OK;
	return amend_error_set(err, AMEND_UNSUPPORTED,
			       "expected PostgreSQL 13 or newer, found %d.%d", version / 10000,
			       version >= 100000 ? version % 10000 : version / 100 % 100);
}

static struct amend_session *new_session(PGconn *conn, const struct amend_open_options *options,
					 bool adopted)
{
	struct amend_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->conn = conn;
	session->adopted = session->nameless = adopted;
	session->read_only = options->read_only;
	session->lock_timeout_ms = options->lock_timeout_ms;
	atomic_init(&session->busy, false);
	atomic_init(&session->cancelling, 0);
	session->cancel = PQgetCancel(conn);
	if (!session->cancel) {
		free(session);
		return NULL;
	}
	return session;
}

static void close_session(struct amend_session *session)
{
	if (!session)
		return;
	amend_postgres_forget(session);
	for (size_t i = 0; i < AMEND_PG_PINS; i++)
		free(session->saved[i]);
	PQfreeCancel(session->cancel);
	PQconninfoFree(session->settings);
	if (!session->adopted)
		PQfinish(session->conn);
	free(session);
}

/* Takes `conn` over. `url` only to keep its secrets out of the text. */
static enum amend_status begin_session(PGconn *conn, const char *url,
				       const struct amend_open_options *options,
				       struct amend_session **out, struct amend_error *err)
{
	struct amend_session *session = NULL;
	enum amend_status status = AMEND_OK;

	*out = NULL;
	if (!conn)
		return amend_no_memory(err);
	PQsetNoticeReceiver(conn, amend_postgres_notice, NULL);
	if (PQstatus(conn) != CONNECTION_OK)
		status = amend_postgres_open_error(conn, url, err);
	if (status == AMEND_OK)
		status = check_server(conn, err);
	if (status == AMEND_OK) {
		session = new_session(conn, options, false);
		if (!session)
			status = amend_no_memory(err);
	}
	if (!session) {
		PQfinish(conn);
		return status;
	}
	PQsetNoticeReceiver(conn, amend_postgres_notice, session);
	session->settings = PQconninfo(conn);
	session->hosts = amend_postgres_count_hosts(session->settings);
	status = session->settings ? amend_postgres_pin_opened(session, err) : amend_no_memory(err);
	if (status == AMEND_OK && session->hosts > 1)
		status = amend_postgres_branch(session, &session->branch, err);
	if (status == AMEND_OK)
		*out = session;
	else
		close_session(session);
	return status;
}

/*
 * What the URI leaves open libpq takes from PGHOST, PGUSER, PGPASSWORD, PGSSLMODE
 * and so on, as with every program that uses it. Those that change what values
 * mean (PGDATESTYLE, PGTZ, PGCLIENTENCODING, PGOPTIONS) lose against the pins.
 * Of several hosts it is the primary that is meant, and one that does not answer keeps nobody from the next.
 */
static enum amend_status open_session(const char *url, const struct amend_open_options *options,
				      struct amend_session **out, struct amend_error *err)
{
	/* In front of the URI, whose own words win; the first two are for several hosts. */
	const char *names[] = {"target_session_attrs",      "connect_timeout", "dbname",
			       "fallback_application_name", "client_encoding", NULL};
	const char *values[] = {NULL, NULL, url, "amend", "UTF8", NULL};
	int hosts = 1;
	enum amend_status status = check_url(url, &hosts, err);

	*out = NULL;
	if (status != AMEND_OK)
		return status;
	if (hosts > 1 && !options->read_only && !getenv("PGTARGETSESSIONATTRS"))
		values[0] = "primary";
	if (hosts > 1 && !getenv("PGCONNECT_TIMEOUT"))
		values[1] = AMEND_PG_HOST_S;
	return begin_session(PQconnectdbParams(names, values, 1), url, options, out, err);
}

static enum amend_status twin(const struct amend_session *session,
			      const struct amend_open_options *options, struct amend_session **out,
			      struct amend_error *err)
{
	*out = NULL;
	return begin_session(amend_postgres_connect_like(session, -1, NULL, true), "", options, out,
			     err);
}

static enum amend_status adopt(void *handle, const struct amend_open_options *options,
			       struct amend_session **out, struct amend_error *err)
{
	PGconn *conn = handle;
	enum amend_status status;

	*out = NULL;
	if (PQstatus(conn) != CONNECTION_OK)
		return amend_postgres_fail(err, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST,
					   "the application's connection is not open");
	if (PQpipelineStatus(conn) != PQ_PIPELINE_OFF || PQtransactionStatus(conn) == PQTRANS_ACTIVE)
		return amend_error_set(err, AMEND_INVALID,
				       "expected an idle connection, found one with a statement or "
				       "pipeline under way");
	status = check_server(conn, err);
	if (status != AMEND_OK)
		return status;
	*out = new_session(conn, options, true);
	return *out ? AMEND_OK : amend_no_memory(err);
}

/* --- transactions ------------------------------------------------------- */

/* 0 means "no limit" to PostgreSQL; 1 ms is the nearest that it has to "not at all". */
static int timeout_setting(int ms)
{
	return ms < 0 ? 0 : ms == 0 ? 1 : ms;
}

static enum amend_status begin(struct amend_session *session, const struct amend_begin *begin,
			       struct amend_error *err)
{
	static const char *const levels[] = {
		[AMEND_ISOLATION_DEFAULT] = "READ COMMITTED",
		[AMEND_READ_COMMITTED] = "READ COMMITTED",
		[AMEND_REPEATABLE_READ] = "REPEATABLE READ",
		[AMEND_SERIALIZABLE] = "SERIALIZABLE",
	};
	char sql[256], limit[64] = "";
	enum amend_status status = AMEND_OK;
	struct amend_error ignored;

	if (amend_postgres_state(session) == AMEND_TX_ACTIVE ||
	    amend_postgres_state(session) == AMEND_TX_FAILED)
		return amend_error_set(err, AMEND_INVALID, "a transaction is open already");
	if (!session->adopted && amend_postgres_state(session) == AMEND_TX_IDLE &&
	    !amend_postgres_pins_stand(session))
		status = amend_postgres_pin_opened(session, err);
	if (status != AMEND_OK)
		return status;
	if (begin->time_limit_ms > 0)
		snprintf(limit, sizeof(limit), "; SET LOCAL statement_timeout = %d",
			 begin->time_limit_ms);
	snprintf(sql, sizeof(sql),
		 "BEGIN ISOLATION LEVEL %s READ %s NOT DEFERRABLE; SET LOCAL lock_timeout = %d%s",
		 levels[begin->isolation], begin->read_only ? "ONLY" : "WRITE",
		 timeout_setting(begin->lock_timeout_ms), limit);
	status = amend_postgres_exec(session, sql, NULL, err);
	if (status != AMEND_OK && amend_postgres_state(session) != AMEND_TX_LOST &&
	    amend_postgres_state(session) != AMEND_TX_IDLE)
		(void)!amend_postgres_exec(session, "ROLLBACK", NULL, &ignored);
	return status;
}

/* A server that hung up before COMMIT was sent has not committed: worth a look. Its last words come before the end. */
static void notice_loss(PGconn *conn)
{
	struct pollfd wait = {.fd = PQsocket(conn), .events = POLLIN};

	while (wait.fd >= 0 && poll(&wait, 1, 0) > 0 && PQconsumeInput(conn) == 1)
		(void)PQisBusy(conn); /* takes in what was read */
}

static enum amend_status commit(struct amend_session *session, struct amend_error *err)
{
	char tag[32] = "";
	enum amend_status status;

	notice_loss(session->conn);
	switch (amend_postgres_state(session)) {
	case AMEND_TX_IDLE:
		return amend_error_set(err, AMEND_INVALID, "no transaction is open");
	case AMEND_TX_LOST:
		return amend_postgres_fail(err, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST,
					   "the connection broke before the transaction was "
					   "committed: nothing of it is in");
	case AMEND_TX_ACTIVE:
	case AMEND_TX_FAILED:
		break;
	}
	session->unconfirmed = false;
	status = amend_postgres_exec(session, "COMMIT", tag, err);
	if (status != AMEND_OK && amend_postgres_lost(session)) {
		/* Even "terminating connection" may come after the commit was done and before its answer. */
		err->status = AMEND_OUTCOME_UNKNOWN;
		snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", AMEND_SQLSTATE_UNKNOWN);
		return amend_error_wrap(err, "the connection broke during COMMIT");
	}
	/* PostgreSQL answers the COMMIT of a failed transaction with a quiet ROLLBACK. */
	if (status == AMEND_OK && strcmp(tag, "COMMIT") != 0)
		return amend_postgres_fail(err, AMEND_INVALID, "25P02",
					   "the transaction had failed and was undone instead of "
					   "committed");
	return status == AMEND_OK ? amend_postgres_confirmed(session, err) : status;
}

static enum amend_status rollback(struct amend_session *session, struct amend_error *err)
{
	enum { TRIES = 2 };
	enum amend_status status = AMEND_OK;

	if (amend_postgres_state(session) == AMEND_TX_IDLE)
		return AMEND_OK;
	/* Again: a request to cancel what ran before, or a time limit, may have hit the first. */
	for (int i = 0; i < TRIES; i++) {
		status = amend_postgres_exec(session, "ROLLBACK", NULL, err);
		if (status == AMEND_OK || amend_postgres_state(session) == AMEND_TX_IDLE ||
		    amend_postgres_state(session) == AMEND_TX_LOST)
			break;
	}
	/* What runs next would be part of the transaction: the connection's end undoes it. */
	if (status != AMEND_OK && amend_postgres_state(session) != AMEND_TX_IDLE)
		session->broken = true;
	return status;
}

static enum amend_status set_lock_timeout(struct amend_session *session, int ms,
					  struct amend_error *err)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "SET LOCAL lock_timeout = %d", timeout_setting(ms));
	session->timeout_changed = true;
	return amend_postgres_exec(session, sql, NULL, err);
}

static enum amend_status run(struct amend_session *session,
			     const struct amend_statement *statements, size_t n,
			     struct amend_rows *rows, size_t *failed, struct amend_error *err)
{
	return amend_postgres_run(session, statements, n, rows, failed, false, err);
}

/* Nothing is sent where nothing runs: a request that arrives late would hit what comes next. */
static void interrupt(struct amend_session *session)
{
	char text[256];
	int saved = errno;

	atomic_fetch_add(&session->cancelling, 1);
	if (atomic_load(&session->busy))
		PQcancel(session->cancel, text, sizeof(text));
	atomic_fetch_sub(&session->cancelling, 1);
	errno = saved;
}

static const struct amend_driver driver = {
	.name = "postgresql",
	.features = AMEND_HAS_ROW_LOCK | AMEND_HAS_KEY_STRENGTHS | AMEND_HAS_SHARE |
		    AMEND_HAS_TABLE_LOCK | AMEND_HAS_WRITE_CTE | AMEND_HAS_SCHEMAS |
		    AMEND_HAS_DDL_ROLLBACK | AMEND_HAS_SNAPSHOT_MOVES | AMEND_HAS_TYPED_STORAGE |
		    AMEND_HAS_ROW_VERSION | AMEND_HAS_ARRAYS | AMEND_HAS_UPDATE_RETURNING |
		    AMEND_HAS_KEY_TRIGGERS,
	.dialect = &dialect,
	.accepts = accepts,
	.open = open_session,
	.twin = twin,
	.reconnect = amend_postgres_reconnect,
	.peer = amend_postgres_peer,
	.alters = amend_postgres_alters,
	.adopt = adopt,
	.close = close_session,
	.pin = amend_postgres_pin,
	.unpin = amend_postgres_unpin,
	.run = run,
	.scan = amend_postgres_scan,
	.columns = amend_postgres_columns,
	.repeat = NULL, /* a pipeline does it */
	.load = amend_postgres_load,
	.data_version = NULL,
	.begin = begin,
	.commit = commit,
	.rollback = rollback,
	.state = amend_postgres_state,
	.set_lock_timeout = set_lock_timeout,
	.become_writer = NULL,
	.describe = amend_postgres_describe,
	.canonicalise = amend_postgres_canonicalise,
	.check = amend_postgres_check,
	.json_of = amend_postgres_json_of,
	.guard_state = amend_postgres_guard_state,
	.guard_column = amend_postgres_guard_column,
	.guard_parts = amend_postgres_guard_parts,
	.guard_found = amend_postgres_guard_found,
	.violations = amend_postgres_violations,
	.interrupt = interrupt,
};

const struct amend_driver *const amend_driver_postgres = &driver;

#else

const struct amend_driver *const amend_driver_postgres = NULL;

#endif
