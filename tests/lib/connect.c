/*
 * Connections as an application has them, with a trace around the driver.
 * Leaves sessions of the drivers to session.c.
 */
#include "engines_private.h"

#include <amend/mariadb.h>
#include <amend/postgres.h>
#include <amend/sqlite.h>

#include "sql/conn.h"

struct connected {
	struct amend_conn *db;
	struct amend_trace trace;
	struct connected *next;
};

static void close_connection(void *thing)
{
	struct connected *connected = thing;

	amend_close(connected->db);
}

/* Puts the trace between the connection and its driver. */
static struct amend_conn *keep(struct engine *engine, struct amend_conn *db)
{
	struct connected *connected = amend_arena_alloc(engine_arena(engine), sizeof(*connected));
	struct amend_error err;

	if (!connected)
		fail_at(__FILE__, __LINE__, "out of memory");
	connected->db = db;
	connected->next = engine->private_->connections;
	engine->private_->connections = connected;
	engine_defer(engine, close_connection, connected);
	connected->trace.hide = engine->private_->hidden;
	expect_ok(amend_trace_wrap(db->driver, db->session, &connected->trace, &db->driver,
				   &db->session, &err),
		  &err);
	db->dialect = db->driver->dialect;
	db->features = db->driver->features;
	return db;
}

/* The driver of the tests' own, which amend_open does not know. Adopts the handle, where there is one. */
static struct amend_conn *connect_fake(struct engine *engine, void *handle,
				       const struct amend_open_options *options)
{
	static const struct amend_open_options defaults = AMEND_OPEN_OPTIONS_INIT;
	struct amend_session *session = NULL;
	struct amend_conn *db = NULL;
	struct amend_error err;

	if (!options)
		options = &defaults;
	expect_ok(handle ? engine->driver->adopt(handle, options, &session, &err)
			 : engine->driver->open(engine->url, options, &session, &err),
		  &err);
	expect_ok(amend_conn_new(engine->driver, session, options, handle != NULL, &db, &err), &err);
	return db;
}

struct amend_conn *connect_open_with(struct engine *engine, const struct amend_open_options *options)
{
	struct amend_conn *db = NULL;
	struct amend_error err;

	if (engine_is(engine, "fake"))
		db = connect_fake(engine, NULL, options);
	else
		expect_ok(amend_open(engine->url, options, &db, &err), &err);
	return keep(engine, db);
}

struct amend_conn *connect_open(struct engine *engine)
{
	return connect_open_with(engine, NULL);
}

struct amend_conn *connect_adopt(struct engine *engine, struct foreign *foreign)
{
	struct amend_conn *db = NULL;
	struct amend_error err;

	if (engine_is(engine, "fake"))
		db = connect_fake(engine, foreign->handle, NULL);
	else if (engine_is(engine, "sqlite"))
		expect_ok(amend_adopt_sqlite(foreign->handle, NULL, &db, &err), &err);
	else if (engine_is(engine, "mariadb"))
		expect_ok(amend_adopt_mariadb(foreign->handle, NULL, &db, &err), &err);
	else
		expect_ok(amend_adopt_postgres(foreign->handle, NULL, &db, &err), &err);
	return keep(engine, db);
}

static struct connected *find(struct engine *engine, const struct amend_conn *db)
{
	for (struct connected *c = engine->private_->connections; c; c = c->next) {
		if (c->db == db)
			return c;
	}
	fail_at(__FILE__, __LINE__, "not a connection of connect_open or connect_adopt");
}

void connect_close(struct engine *engine, struct amend_conn *db)
{
	struct connected *connected = find(engine, db);

	engine_end(engine, connected);
	connected->db = NULL;
}

struct amend_trace *connect_trace(struct engine *engine, struct amend_conn *db)
{
	return &find(engine, db)->trace;
}

void connect_exec(struct engine *engine, struct amend_conn *db, const char *sql)
{
	struct amend_error err;

	expect_status_at(AMEND_OK, NULL,
			 amend_query(db, engine_sql(engine, sql), NULL, 0, NULL, &err), &err, sql,
			 __FILE__, __LINE__);
}
