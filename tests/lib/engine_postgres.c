/*
 * PostgreSQL for the tests: one database a program, emptied between tests; raw connections.
 * Leaves starting a server to tools/servers, threads and clean-up to foreign.c and engines.c.
 */
#include "engines_private.h"

#include <stdlib.h>
#include <unistd.h>

#include <libpq-fe.h>

struct server {
	PGconn *admin; /* to the database of $AMEND_TEST_POSTGRES */
	PGconn *owner; /* to ours */
	char database[64];
	char url[2048];
};

static void ignore_notice(void *context, const PGresult *result)
{
	(void)context, (void)result;
}

/* --- URLs --- */

/* Everything but letters, digits and a few marks as %XX. */
static void add_escaped(struct amend_buffer *url, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr("-_.~", c))
			amend_buffer_char(url, (char)c);
		else
			amend_buffer_printf(url, "%%%02X", c);
	}
}

/* `base` to another database, as another user where given. */
static bool other_url(const char *base, const char *database, const char *user,
		      const char *password, char *out, size_t room)
{
	PQconninfoOption *options = PQconninfoParse(base, NULL);
	struct amend_buffer url = AMEND_BUFFER_INIT;
	bool done;

	amend_buffer_text(&url, "postgresql:///");
	add_escaped(&url, database);
	amend_buffer_text(&url, "?application_name=amend-test");
	for (PQconninfoOption *option = options; option && option->keyword; option++) {
		const char *value = option->val;

		if (strcmp(option->keyword, "dbname") == 0 ||
		    strcmp(option->keyword, "application_name") == 0)
			continue;
		if (user && strcmp(option->keyword, "user") == 0)
			value = user;
		if (user && strcmp(option->keyword, "password") == 0)
			value = password;
		if (!value)
			continue;
		amend_buffer_printf(&url, "&%s=", option->keyword);
		add_escaped(&url, value);
	}
	done = options && !url.failed && url.size < room;
	if (done)
		memcpy(out, url.data, url.size + 1);
	PQconninfoFree(options);
	amend_buffer_release(&url);
	return done;
}

/* Ours are told apart from the driver's by their name. */
static PGconn *connect_to(const char *url)
{
	const char *const keywords[] = {"dbname", "application_name", "client_encoding", NULL};
	const char *const values[] = {url, "amend-test-foreign", "UTF8", NULL};
	PGconn *conn = PQconnectdbParams(keywords, values, 1);

	PQsetNoticeReceiver(conn, ignore_notice, NULL);
	return conn;
}

/* --- The server, and a database on it --- */

static bool command(PGconn *conn, const char *sql)
{
	PGresult *result = PQexec(conn, sql);
	ExecStatusType status = PQresultStatus(result);

	PQclear(result);
	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static void stop(void *thing)
{
	struct server *server = thing;
	char sql[128];

	PQfinish(server->owner);
	snprintf(sql, sizeof(sql), "DROP DATABASE IF EXISTS %s WITH (FORCE)", server->database);
	if (server->database[0] && !command(server->admin, sql))
		fprintf(stderr, "%s: %s", sql, PQerrorMessage(server->admin));
	PQfinish(server->admin);
	free(server);
}

static const char *make_database(struct server *server, const char *url)
{
	static unsigned count;
	char sql[256];

	server->admin = connect_to(url);
	if (PQstatus(server->admin) != CONNECTION_OK)
		return "no connection to $AMEND_TEST_POSTGRES";
	snprintf(server->database, sizeof(server->database), "amend_test_%ld_%u", (long)getpid(),
		 count++);
	if (!other_url(url, server->database, NULL, NULL, server->url, sizeof(server->url)))
		return "$AMEND_TEST_POSTGRES is not a URI that libpq understands";
	snprintf(sql, sizeof(sql), "CREATE DATABASE %s TEMPLATE template0 ENCODING 'UTF8'",
		 server->database);
	if (!command(server->admin, sql)) {
		server->database[0] = '\0';
		return "the role of $AMEND_TEST_POSTGRES may not create databases";
	}
	server->owner = connect_to(server->url);
	if (PQstatus(server->owner) != CONNECTION_OK)
		return "no connection to the new database";
	return NULL;
}

static void *start(const char **reason)
{
	const char *url = getenv("AMEND_TEST_POSTGRES");
	struct server *server;

	if (!url || !*url) {
		*reason = "AMEND_TEST_POSTGRES is not set (hint: tools/servers run -- COMMAND)";
		return NULL;
	}
	server = calloc(1, sizeof(*server));
	*reason = server ? make_database(server, url) : "out of memory";
	if (server && *reason) {
		if (server->admin && *PQerrorMessage(server->admin))
			fprintf(stderr, "%s", PQerrorMessage(server->admin));
		stop(server);
		return NULL;
	}
	return server;
}

static void kill_sessions(struct engine *engine, const char *condition)
{
	struct server *server = engine->private_->server;
	char sql[512];

	snprintf(sql, sizeof(sql),
		 "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
		 " WHERE datname = current_database() AND pid <> pg_backend_pid()%s",
		 condition);
	if (!command(server->owner, sql))
		fail_at(__FILE__, __LINE__, "%s", PQerrorMessage(server->owner));
}

static void kill_others(struct engine *engine)
{
	kill_sessions(engine, " AND application_name <> 'amend-test-foreign'");
}

static const char *fresh(struct engine *engine)
{
	struct server *server = engine->private_->server;
	char sql[1024];

	if (!engine->private_->dirty)
		return server->url;
	kill_sessions(engine, "");
	snprintf(sql, sizeof(sql),
		 "ALTER DATABASE %s RESET ALL;"
		 "DO $$ DECLARE s text; BEGIN"
		 " FOR s IN SELECT nspname FROM pg_namespace"
		 "  WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP"
		 "  EXECUTE format('DROP SCHEMA %%I CASCADE', s);"
		 " END LOOP;"
		 " CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC;"
		 "END $$",
		 server->database);
	if (!command(server->owner, sql))
		fail_at(__FILE__, __LINE__, "%s", PQerrorMessage(server->owner));
	return server->url;
}

/* --- Roles --- */

struct role {
	struct server *server;
	char name[64];
};

static void drop_role(void *thing)
{
	struct role *role = thing;
	char sql[256];

	snprintf(sql, sizeof(sql), "DROP OWNED BY %s CASCADE; DROP ROLE %s", role->name, role->name);
	if (!command(role->server->owner, sql))
		print_error("%s: %s", sql, PQerrorMessage(role->server->owner));
}

static const char *url_of_role(struct engine *engine, const char **name)
{
	static unsigned count;
	struct role *role = amend_arena_alloc(engine_arena(engine), sizeof(*role));
	char url[2048], sql[256];

	if (!role)
		fail_at(__FILE__, __LINE__, "out of memory");
	role->server = engine->private_->server;
	snprintf(role->name, sizeof(role->name), "amend_test_%ld_role%u", (long)getpid(), count++);
	snprintf(sql, sizeof(sql), "CREATE ROLE %s LOGIN PASSWORD 'secret'", role->name);
	if (!command(role->server->owner, sql))
		fail_at(__FILE__, __LINE__, "%s", PQerrorMessage(role->server->owner));
	engine_defer(engine, drop_role, role);
	if (!other_url(role->server->url, role->server->database, role->name, "secret", url,
		       sizeof(url)))
		fail_at(__FILE__, __LINE__, "no URL for another role");
	*name = role->name;
	return engine_copy(engine, url);
}

/* --- Connections --- */

static void *connect_foreign(struct engine *engine, atomic_bool *waiting,
			     struct foreign_result *result)
{
	PGconn *conn = connect_to(engine->url);

	(void)waiting;
	if (PQstatus(conn) == CONNECTION_OK)
		return conn;
	result_fail(result, PQerrorMessage(conn));
	PQfinish(conn);
	return NULL;
}

static void disconnect(void *handle)
{
	PQfinish(handle);
}

static bool query(void *handle, const char *sql, struct foreign_result *result)
{
	PGresult *answer = PQexec(handle, sql);
	ExecStatusType status = PQresultStatus(answer);
	bool done = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
		    status == PGRES_EMPTY_QUERY;

	if (!done)
		result_fail(result, PQerrorMessage(handle));
	for (int row = 0; done && row < PQntuples(answer); row++) {
		for (int column = 0; column < PQnfields(answer); column++) {
			bool null = PQgetisnull(answer, row, column) == 1;

			result_value(result, (size_t)row, (size_t)column,
				     null ? NULL : PQgetvalue(answer, row, column),
				     (size_t)PQgetlength(answer, row, column));
		}
	}
	PQclear(answer);
	return done;
}

static void cancel(void *handle)
{
	PGcancel *request = PQgetCancel(handle);
	char problem[256];

	if (request && !PQcancel(request, problem, sizeof(problem)))
		fprintf(stderr, "cancel: %s\n", problem);
	PQfreeCancel(request);
}

static bool blocked(struct engine *engine, void *handle)
{
	struct server *server = engine->private_->server;
	char sql[128];
	PGresult *answer;
	bool waits;

	snprintf(sql, sizeof(sql), "SELECT cardinality(pg_blocking_pids(%d)) > 0",
		 PQbackendPID(handle));
	answer = PQexec(server->owner, sql);
	waits = PQresultStatus(answer) == PGRES_TUPLES_OK && PQgetvalue(answer, 0, 0)[0] == 't';
	PQclear(answer);
	return waits;
}

const struct engine_ops engine_ops_postgres = {
	.driver = "postgresql",
	.start = start,
	.stop = stop,
	.fresh = fresh,
	.connect = connect_foreign,
	.disconnect = disconnect,
	.query = query,
	.cancel = cancel,
	.blocked = blocked,
	.kill_sessions = kill_others,
	.url_of_role = url_of_role,
};
