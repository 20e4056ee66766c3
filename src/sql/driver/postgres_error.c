/*
 * What PostgreSQL and libpq report, as amend's statuses and one line of text.
 * Leaves rerunning and undoing to those who asked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/driver/postgres.h"

/* Appendix A of the manual. The longest prefix that fits decides, so the single states stand first. */
static const struct {
	const char *prefix;
	enum amend_status status;
} meanings[] = {
	{AMEND_SQLSTATE_UNKNOWN, AMEND_OUTCOME_UNKNOWN},
	{AMEND_SQLSTATE_READ_ONLY, AMEND_DENIED},
	{"25P03", AMEND_UNREACHABLE}, /* idle in transaction too long: the server hung up */
	{"25P04", AMEND_UNREACHABLE}, /* transaction_timeout: likewise */
	{"40002", AMEND_CONSTRAINT},
	{"40003", AMEND_OUTCOME_UNKNOWN}, /* statement completion unknown */
	{AMEND_SQLSTATE_DENIED, AMEND_DENIED},
	{AMEND_SQLSTATE_NO_TABLE, AMEND_NOT_FOUND},
	{"53300", AMEND_UNREACHABLE}, /* too many connections */
	{AMEND_SQLSTATE_LOCKED, AMEND_LOCKED},
	{AMEND_SQLSTATE_INTERRUPTED, AMEND_INTERRUPTED},
	{"57P", AMEND_UNREACHABLE}, /* shut down, crashed, not yet up, dropped, idle too long */
	{"08P01", AMEND_INVALID},   /* as many values as placeholders were expected */
	{"08", AMEND_UNREACHABLE},
	{"0A", AMEND_UNSUPPORTED},
	{"0L", AMEND_DENIED},
	{"0P", AMEND_DENIED},
	{"21", AMEND_INVALID},
	{"22", AMEND_INVALID},
	{"23", AMEND_CONSTRAINT},
	{"25", AMEND_INVALID},
	{"28", AMEND_DENIED},
	{"2B", AMEND_CONSTRAINT},
	{"3D", AMEND_NOT_FOUND},
	{"3F", AMEND_NOT_FOUND},
	{"40", AMEND_RETRY},
	{"42", AMEND_INVALID},
	{"44", AMEND_CONSTRAINT}, /* a view's WITH CHECK OPTION */
	{"54", AMEND_INVALID},    /* a value too big for an index, too many columns */
	{"55", AMEND_INVALID},
	{AMEND_SQLSTATE_STALE, AMEND_STALE},
	{"P0", AMEND_CONSTRAINT}, /* RAISE EXCEPTION: a rule of the database, kept by a trigger */
};

enum amend_status amend_postgres_status(const char *sqlstate)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		if (strncmp(sqlstate, meanings[i].prefix, strlen(meanings[i].prefix)) == 0)
			return meanings[i].status;
	}
	return AMEND_INTERNAL;
}

enum amend_status amend_postgres_fail(struct amend_error *err, enum amend_status status,
				      const char *sqlstate, const char *text)
{
	amend_error_set(err, status, "%s", text);
	snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", sqlstate);
	return status;
}

/* One line: "; " between those that say something, without severities, full stops, and libpq's advice (after a tab). */
static void condense(char *out, size_t room, const char *text)
{
	size_t size = 0;

	while (*text && size + 3 < room) {
		size_t length = strcspn(text, "\n");
		const char *line = text;

		text += length + (text[length] == '\n');
		if (length == 0 || *line == '\t')
			continue;
		if (size > 0) {
			out[size++] = ';';
			out[size++] = ' ';
		}
		while (length-- > 0 && size + 3 < room) {
			static const char severity[] = "FATAL:  ";

			if (strncmp(line, severity, sizeof(severity) - 1) == 0 &&
			    length >= sizeof(severity) - 1) {
				line += sizeof(severity) - 1;
				length -= sizeof(severity) - 1;
			}
			out[size++] = *line++;
		}
	}
	while (size > 0 && strchr(" .;", out[size - 1]))
		size--;
	out[size] = '\0';
}

/* Which parts of a report help: a failing row tells what else stands in it, a deadlock's detail only process ids. */
static const char *detail_of(const PGresult *result, const char *sqlstate)
{
	if (strcmp(sqlstate, AMEND_SQLSTATE_NOT_NULL) == 0 ||
	    strcmp(sqlstate, AMEND_SQLSTATE_CHECK) == 0 ||
	    strcmp(sqlstate, AMEND_SQLSTATE_DEADLOCK) == 0 || strncmp(sqlstate, "28", 2) == 0)
		return NULL;
	return PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
}

/* A trigger may raise with a state of the application's own choice: that is a rule too, not a defect. */
static bool raised(const PGresult *result)
{
	const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);

	return function && strcmp(function, "exec_stmt_raise") == 0;
}

/* It refuses single statements as read-only, and a transaction that may write as a setting that it does not take. */
static bool refused_by_standby(const struct amend_session *session, const PGresult *result,
			       const char *state)
{
	const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);

	if (!amend_postgres_is_standby(session->conn))
		return false;
	return strcmp(state, AMEND_SQLSTATE_READ_ONLY) == 0 ||
	       (function && strcmp(function, "call_bool_check_hook") == 0);
}

enum amend_status amend_postgres_error(struct amend_session *session, const PGresult *result,
				       struct amend_error *err)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail, *hint;
	char line[1024], more[512];
	enum amend_status status;

	if (!state || !primary) {
		/*
		 * Not the server's words but libpq's: it has lost the server, or its place in what that says. PQstatus
		 * does not tell where a write failed while there was something left to be read.
		 */
		session->broken = true;
		condense(line, sizeof(line), PQerrorMessage(session->conn));
		return amend_postgres_fail(err, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST,
					   *line ? line : "the server gave no answer");
	}
	if (!session->read_only && refused_by_standby(session, result, state))
		return amend_postgres_fail(err, AMEND_DENIED, AMEND_SQLSTATE_READ_ONLY,
					   "this server is a standby and takes no writes (hint: the "
					   "URL may name several hosts, its primary among them)");
	status = amend_postgres_status(state);
	if (status == AMEND_INTERNAL && raised(result))
		status = AMEND_CONSTRAINT;
	/* Shut down, thrown out, timed out: whatever the reason, the connection is lost. */
	if (status == AMEND_UNREACHABLE)
		state = AMEND_SQLSTATE_LOST;
	condense(line, sizeof(line), primary);
	amend_postgres_fail(err, status, state, line);
	detail = detail_of(result, state);
	hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	if (detail) {
		size_t size = strlen(err->text);

		condense(more, sizeof(more), detail);
		snprintf(err->text + size, sizeof(err->text) - size, "; %s", more);
	}
	if (hint) {
		condense(more, sizeof(more), hint);
		condense(line, sizeof(line), err->text);
		amend_error_set(err, status, "%s (hint: %s)", line, more);
		snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", state);
	}
	return status;
}

/*
 * libpq 15 gives no SQLSTATE for a connection that fails, so its words decide;
 * they are the server's, which may speak another language: see below.
 */
static const char *connect_state(PGconn *conn, const char *text)
{
	static const struct {
		const char *words, *and, *state;
	} known[] = {
		{"password authentication failed", "", "28P01"},
		{"no password supplied", "", "28P01"},
		{"authentication failed", "", "28000"},
		{"pg_hba.conf", "", "28000"},
		{"role \"", "does not exist", "28000"},
		{"is not permitted to log in", "", "28000"},
		{"database \"", "does not exist", "3D000"},
		{"permission denied for database", "", "42501"},
		{"too many c", "", "53300"},
		{"remaining connection slots", "", "53300"},
		{"the database system is", "", "57P03"},
		{"not currently accepting connections", "", "57P03"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const char *found = strstr(text, known[i].words);

		if (found && strstr(found, known[i].and))
			return known[i].state;
	}
	return PQconnectionNeedsPassword(conn) ? "28P01" : NULL;
}

/* ":  28P01: " as the verbose form has it. */
static bool state_in(const char *text, char state[6])
{
	for (const char *at = text; (at = strstr(at, ":  ")); at++) {
		size_t size = strspn(at + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");

		if (size == 5 && strncmp(at + 8, ": ", 2) == 0) {
			memcpy(state, at + 3, 5);
			state[5] = '\0';
			return true;
		}
	}
	return false;
}

/* libpq does not print passwords; should some version or plugin do it, it ends here. */
static void scrub(char *text, const char *secret)
{
	size_t size = strlen(secret);

	if (size < 3)
		return;
	for (char *at = text; (at = strstr(at, secret)); at += 3) {
		memset(at, '*', 3);
		memmove(at + 3, at + size, strlen(at + size) + 1);
	}
}

enum amend_status amend_postgres_open_error(PGconn *conn, const char *url, struct amend_error *err)
{
	PQconninfoOption *options = PQconninfoParse(url, NULL);
	const char *known;
	char line[1024], state[6] = "08001";

	condense(line, sizeof(line), PQerrorMessage(conn));
	for (const PQconninfoOption *o = options; o && o->keyword; o++) {
		if (o->val && strstr(o->keyword, "password"))
			scrub(line, o->val);
	}
	PQconninfoFree(options);
	known = connect_state(conn, line);
	if (known) {
		snprintf(state, sizeof(state), "%s", known);
	} else if (strstr(line, ":  ")) {
		/* Two spaces: a server's own words, in a language we do not read. Once more, with its code. */
		PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
		PQreset(conn);
		if (PQstatus(conn) == CONNECTION_OK) {
			PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
			return AMEND_OK;
		}
		state_in(PQerrorMessage(conn), state);
	}
	return amend_postgres_fail(err, amend_postgres_status(state), state,
				   *line ? line : "the server cannot be reached");
}
