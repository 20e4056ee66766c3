/*
 * Several servers behind one URL, of which one takes writes: connecting to each, and which of them follows a lost one.
 * Leaves when to look for another to postgres_again.c, and copying between them to PostgreSQL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/driver/postgres.h"

/* The n-th of a list that commas part; a list of one is everybody's. */
static const char *nth(const char *list, int n, char *room, size_t size)
{
	size_t length;

	if (!list || !strchr(list, ','))
		return list;
	for (; n > 0 && strchr(list, ','); n--)
		list = strchr(list, ',') + 1;
	length = strcspn(list, ",");
	if (length >= size)
		return NULL;
	memcpy(room, list, length);
	room[length] = '\0';
	return room;
}

static bool is_place(const char *keyword)
{
	return strcmp(keyword, "host") == 0 || strcmp(keyword, "hostaddr") == 0 ||
	       strcmp(keyword, "port") == 0;
}

/* Of the place that it came to. */
static const char *own_place(const PGconn *conn, const char *keyword)
{
	if (strcmp(keyword, "host") == 0)
		return PQhost(conn);
	return strcmp(keyword, "port") == 0 ? PQport(conn) : PQhostaddr(conn);
}

PGconn *amend_postgres_connect_like(const struct amend_session *session, int host,
				    const char *attrs, bool wait)
{
	const PQconninfoOption *all = session->settings;
	const char **names, **values;
	char room[3][1100];
	PGconn *made = NULL;
	size_t n = 0, count = 0, places = 0;

	while (all[n].keyword)
		n++;
	names = calloc(n + 1, sizeof(*names));
	values = calloc(n + 1, sizeof(*values));
	for (size_t i = 0; names && values && i < n; i++) {
		const char *value = all[i].val;

		if (is_place(all[i].keyword))
			value = host < 0 ? own_place(session->conn, all[i].keyword)
					 : nth(value, host, room[places++], sizeof(room[0]));
		if (attrs && strcmp(all[i].keyword, "target_session_attrs") == 0)
			value = attrs;
		if (!value || !*value)
			continue;
		names[count] = all[i].keyword;
		values[count++] = value;
	}
	if (names && values)
		made = wait ? PQconnectdbParams(names, values, 0)
			    : PQconnectStartParams(names, values, 0);
	free(names);
	free(values);
	return made;
}

int amend_postgres_count_hosts(const PQconninfoOption *options)
{
	int most = 1;

	for (; options && options->keyword; options++) {
		int n = 1;

		if (!is_place(options->keyword) || !options->val)
			continue;
		for (const char *at = options->val; (at = strchr(at, ',')); at++)
			n++;
		most = n > most ? n : most;
	}
	return most;
}

bool amend_postgres_is_standby(const PGconn *conn)
{
	const char *hot = PQparameterStatus(conn, "in_hot_standby");

	return hot && strcmp(hot, "on") == 0;
}

/* --- which history a server writes on ----------------------------------- */

/*
 * A server that is promoted begins a new timeline; one that comes back without having been made anew from it goes on
 * with the old. 0: this one is no primary.
 */
const char amend_postgres_branch_sql[] =
	"SELECT c.system_identifier, CASE WHEN pg_catalog.pg_is_in_recovery() THEN 0 ELSE "
	"('x' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8))"
	"::bit(32)::pg_catalog.int8 END FROM pg_catalog.pg_control_system() c";

void amend_postgres_keep_branch(const PGresult *result, struct amend_postgres_branch *out)
{
	if (PQntuples(result) != 1 || PQnfields(result) != 2)
		return;
	snprintf(out->system, sizeof(out->system), "%s", PQgetvalue(result, 0, 0));
	out->timeline = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
}

enum amend_status amend_postgres_branch(struct amend_session *session,
					struct amend_postgres_branch *out, struct amend_error *err)
{
	PGresult *result = NULL;
	enum amend_status status;

	*out = (struct amend_postgres_branch){.oldest = session->oldest};
	status = amend_postgres_exec_last(session, amend_postgres_branch_sql, &result, err);
	/* What only speaks PostgreSQL's protocol has no timelines, nor has a role always the right to ask. All else is no answer. */
	if (status != AMEND_OK && amend_postgres_state(session) == AMEND_TX_IDLE &&
	    (strncmp(err->sqlstate, "42", 2) == 0 || strncmp(err->sqlstate, "0A", 2) == 0))
		return AMEND_OK;
	if (status == AMEND_OK)
		amend_postgres_keep_branch(result, out);
	PQclear(result);
	return status;
}

enum amend_status amend_postgres_check_branch(const struct amend_session *session,
					      const struct amend_postgres_branch *found,
					      struct amend_error *err)
{
	const struct amend_postgres_branch *known = &session->branch;
	char text[256];

	if (known->timeline == 0 || found->timeline == 0)
		return AMEND_OK;
	if (strcmp(known->system, found->system) != 0)
		snprintf(text, sizeof(text),
			 "%s:%s is another database system than the one that was lost",
			 PQhost(session->conn), PQport(session->conn));
	else if (found->timeline < known->timeline)
		snprintf(text, sizeof(text),
			 "%s:%s is on timeline %lld, and the server that was lost was on %lld: "
			 "an old primary that has come back",
			 PQhost(session->conn), PQport(session->conn), (long long)found->timeline,
			 (long long)known->timeline);
	else
		return AMEND_OK;
	return amend_postgres_fail(err, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST, text);
}

/* Should its server die now, and a standby follow that lacks it, it would be gone: not to be called in. */
enum amend_status amend_postgres_confirmed(struct amend_session *session, struct amend_error *err)
{
	if (!session->unconfirmed)
		return AMEND_OK;
	session->unconfirmed = false;
	return amend_postgres_fail(err, AMEND_OUTCOME_UNKNOWN, AMEND_SQLSTATE_UNKNOWN,
				   "it is in, and the wait for its standby to have it too was "
				   "interrupted");
}
