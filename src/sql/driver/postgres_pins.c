/*
 * The session settings under which equal text proves equal values
 * (docs/decisions): set on what we opened, lent on what we adopted.
 * Leaves the isolation and time limits of a transaction to postgres.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/driver/postgres.h"

/*
 * search_path is not among them: it is the role's way of naming tables, and
 * nothing of ours depends on it, for tables, types and catalogs are written
 * with their schema. lc_monetary is left as well.
 */
static const struct {
	const char *name, *value;
	bool reported; /* PQparameterStatus knows it */
} pins[] = {
	{"extra_float_digits", "1", false},
	{"DateStyle", "ISO, YMD", true},
	{"IntervalStyle", "postgres", true},
	{"TimeZone", "UTC", true},
	{"bytea_output", "hex", false},
	{"array_nulls", "on", false},
	{"xmloption", "content", false},
	{"standard_conforming_strings", "on", true},
	{"client_encoding", "UTF8", true},
	/* Not for equality: compiling costs more than it saves in statements as short as amend's. */
	{"jit", "off", false},
	/* Nor this: that a COMMIT is not at the standby is a warning, and "error" would keep it back. */
	{"client_min_messages", "notice", false},
	/* Nor this: a lock timeout that set_lock_timeout changed is given back. */
	{"lock_timeout", NULL, false},
};

#define N_PINS (sizeof(pins) / sizeof(pins[0]))
_Static_assert(N_PINS == AMEND_PG_PINS, "each pin has a place in the session");

/* A SQL_ASCII server converts nothing and knows no characters: only its raw bytes come back unharmed. */
static const char *pin_value(const struct amend_session *session, size_t i)
{
	const char *server;

	if (strcmp(pins[i].name, "client_encoding") != 0)
		return pins[i].value;
	server = PQparameterStatus(session->conn, "server_encoding");
	return server && strcmp(server, "SQL_ASCII") == 0 ? "SQL_ASCII" : pins[i].value;
}

/* set_config() for each pin that differs, in one SELECT; what it was, before that, where asked. */
static const char *pin_sql(const struct amend_session *session, bool save, bool local,
			   struct amend_buffer *sql)
{
	amend_buffer_text(sql, "SELECT ");
	for (size_t i = 0; save && i < N_PINS; i++)
		amend_buffer_printf(sql, "pg_catalog.current_setting('%s'), ", pins[i].name);
	for (size_t i = 0; i < N_PINS; i++) {
		const char *value = pin_value(session, i);

		if (!value)
			continue;
		amend_buffer_printf(sql,
				    "%sCASE WHEN pg_catalog.current_setting('%s') <> '%s' THEN "
				    "pg_catalog.set_config('%s', '%s', %s) END",
				    i ? ", " : "", pins[i].name, value, pins[i].name, value,
				    local ? "true" : "false");
	}
	return amend_buffer_string(sql);
}

/*
 * The moment at which a server started, to the microsecond, is told to every role, and no other server's; its address
 * is put to it for good measure. The process is known only where what the protocol says of it is the server's own.
 */
static const char whom[] = ", pg_catalog.pg_backend_pid(), pg_catalog.concat_ws(' ', "
			   "pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()), "
			   "pg_catalog.inet_server_addr(), pg_catalog.inet_server_port())";

static void keep_whom(struct amend_session *session, const PGresult *result)
{
	const int n = PQnfields(result);
	const char *server;
	long process;

	session->process = 0;
	if (n < 2 || PQntuples(result) != 1)
		return;
	server = PQgetvalue(result, 0, n - 1);
	process = strtol(PQgetvalue(result, 0, n - 2), NULL, 10);
	if (process != PQbackendPID(session->conn) || strlen(server) >= sizeof(session->server))
		return;
	session->process = (int)process;
	if (strcmp(server, session->server) == 0)
		return;
	snprintf(session->server, sizeof(session->server), "%s", server);
	session->oldest = ++session->servers;
}

enum amend_status amend_postgres_pin_opened(struct amend_session *session, struct amend_error *err)
{
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	enum amend_status status;
	PGresult *result = NULL;
	const char *text;

	/* Statements outside a transaction wait no longer for a lock than those inside. */
	amend_buffer_printf(&sql, "SET lock_timeout = %d; SET default_transaction_read_only = %s; ",
			    session->lock_timeout_ms < 0 ? 0 : session->lock_timeout_ms,
			    session->read_only ? "on" : "off");
	(void)pin_sql(session, false, false, &sql);
	amend_buffer_text(&sql, whom);
	text = amend_buffer_string(&sql);
	status = text ? amend_postgres_exec_last(session, text, &result, err) : amend_no_memory(err);
	if (status == AMEND_OK) {
		session->stale_pins = false;
		keep_whom(session, result);
	}
	PQclear(result);
	amend_buffer_release(&sql);
	return status;
}

bool amend_postgres_pins_stand(const struct amend_session *session)
{
	if (session->stale_pins)
		return false;
	for (size_t i = 0; i < N_PINS; i++) {
		const char *now = pins[i].reported ? PQparameterStatus(session->conn, pins[i].name)
						   : NULL;

		if (now && strcmp(now, pin_value(session, i)) != 0)
			return false;
	}
	return true;
}

static void forget_saved(struct amend_session *session)
{
	for (size_t i = 0; i < N_PINS; i++) {
		free(session->saved[i]);
		session->saved[i] = NULL;
	}
	session->pinned = session->timeout_changed = false;
}

/* Keeps what differs from ours. The lock timeout is kept only where it can be changed: in the application's transaction. */
static bool save(struct amend_session *session, const struct amend_rows *rows)
{
	for (size_t i = 0; i < N_PINS; i++) {
		const struct amend_value *value = amend_rows_at(rows, 0, i);
		const char *ours = pin_value(session, i);

		if (value->kind != AMEND_TEXT || (ours && strcmp(value->as.text, ours) == 0) ||
		    (!ours && !session->pinned_local))
			continue;
		session->saved[i] = strdup(value->as.text);
		if (!session->saved[i])
			return false;
	}
	return true;
}

/*
 * In the application's transaction the settings are local to it: so at its end
 * the session's own come back, whatever the application had set in it, and a
 * rollback past our call takes them along. Always asked: not all of the
 * settings are reported by the server.
 */
enum amend_status amend_postgres_pin(struct amend_session *session, struct amend_error *err)
{
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_statement statement = {.once = true};
	enum amend_status status;

	if (session->pinned) {
		/* The last unpin could not reach the server: restore first, else ours would be saved as theirs. */
		status = amend_postgres_unpin(session, err);
		if (status != AMEND_OK)
			return status;
	}
	session->pinned_local = amend_postgres_state(session) == AMEND_TX_ACTIVE;
	statement.sql = pin_sql(session, true, session->pinned_local, &sql);
	status = statement.sql ? amend_postgres_run(session, &statement, 1, &rows, NULL, false, err)
			       : amend_no_memory(err);
	if (status == AMEND_OK) {
		session->pinned = true;
		if (!save(session, &rows)) {
			struct amend_error ignored;

			(void)!amend_postgres_unpin(session, &ignored);
			status = amend_no_memory(err);
		}
	}
	amend_rows_release(&rows);
	amend_buffer_release(&sql);
	return status;
}

enum amend_status amend_postgres_unpin(struct amend_session *session, struct amend_error *err)
{
	struct amend_value values[N_PINS];
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	struct amend_statement statement = {.values = values, .once = true};
	enum amend_status status = AMEND_OK;

	if (!session->pinned)
		return AMEND_OK;
	switch (amend_postgres_state(session)) {
	case AMEND_TX_LOST:
		forget_saved(session);
		return AMEND_OK;
	case AMEND_TX_FAILED:
		/*
		 * No statement runs. Where the transaction is the application's, it can only undo a
		 * part of it that began before our call, and what was set since goes with it.
		 * Otherwise the values stay saved until the next pin.
		 */
		if (session->pinned_local)
			forget_saved(session);
		return AMEND_OK;
	case AMEND_TX_IDLE:
	case AMEND_TX_ACTIVE:
		break;
	}
	amend_buffer_text(&sql, "SELECT ");
	for (size_t i = 0; i < N_PINS; i++) {
		if (!session->saved[i] || (!pins[i].value && !session->timeout_changed))
			continue;
		values[statement.n_values++] = amend_text(session->saved[i]);
		amend_buffer_printf(&sql, "%spg_catalog.set_config('%s', $%zu, %s)",
				    statement.n_values > 1 ? ", " : "", pins[i].name,
				    statement.n_values, session->pinned_local ? "true" : "false");
	}
	if (statement.n_values > 0) {
		statement.sql = amend_buffer_string(&sql);
		status = statement.sql
				 ? amend_postgres_run(session, &statement, 1, NULL, NULL, false, err)
				 : amend_no_memory(err);
	}
	if (status == AMEND_OK || status == AMEND_UNREACHABLE)
		forget_saved(session);
	amend_buffer_release(&sql);
	return status;
}
