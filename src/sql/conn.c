/*
 * Connections: opening, adopting, and running statements with the unit's state in mind.
 * Leaves beginning and ending units to unit.c, and all that is an engine's to the drivers.
 */
#include "sql/conn.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <sodium.h>

#include <amend/mariadb.h>
#include <amend/postgres.h>
#include <amend/sqlite.h>

#include "core/clock.h"
#include "sql/driver/trace.h"
#include "sql/sqlstate.h"

static char *copy_text(const char *text)
{
	return text ? strdup(text) : NULL;
}

enum amend_status amend_conn_new(const struct amend_driver *driver, struct amend_session *session,
				 const struct amend_open_options *options, bool adopted,
				 struct amend_conn **out, struct amend_error *err)
{
	struct amend_conn *db = NULL;
	enum amend_status status;

	*out = NULL;
	/* Without it libsodium would not take what this processor does best: digests would cost three times as much. */
	if (sodium_init() < 0) {
		driver->close(session);
		amend_error_set(err, AMEND_INTERNAL, "libsodium cannot begin");
		return AMEND_INTERNAL;
	}
	if (options->trace) {
		status = amend_trace_log(&driver, &session, options->trace, options->trace_context,
					 err);
		if (status != AMEND_OK)
			return status;
	}
	db = calloc(1, sizeof(*db));
	if (!db) {
		driver->close(session);
		return amend_no_memory(err);
	}
	db->driver = driver;
	db->dialect = driver->dialect;
	db->features = driver->features;
	db->session = session;
	db->options = *options;
	db->options.key_file = db->key_file = copy_text(options->key_file);
	db->adopted = adopted;
	db->lock_timeout_ms = options->lock_timeout_ms;
	if (options->key_file && !db->options.key_file) {
		amend_close(db);
		return amend_no_memory(err);
	}
	*out = db;
	return AMEND_OK;
}

enum amend_status amend_open(const char *url, const struct amend_open_options *options,
			     struct amend_conn **out, struct amend_error *err)
{
	static const struct amend_open_options defaults = AMEND_OPEN_OPTIONS_INIT;
	/* SQLite last: what no scheme claims is a file's name. */
	const struct amend_driver *const drivers[] = {amend_driver_postgres, amend_driver_mariadb,
						      amend_driver_sqlite};
	struct amend_session *session = NULL;
	enum amend_status status;

	*out = NULL;
	if (!options)
		options = &defaults;
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (!drivers[i] || !drivers[i]->accepts(url))
			continue;
		status = drivers[i]->open(url, options, &session, err);
		if (status != AMEND_OK)
			return status;
		status = amend_conn_new(drivers[i], session, options, false, out, err);
		if (status == AMEND_OK && !amend_has(*out, AMEND_HAS_DDL_ROLLBACK)) {
			(*out)->url = copy_text(url);
			if (!(*out)->url) {
				amend_close(*out);
				*out = NULL;
				return amend_no_memory(err);
			}
		}
		return status;
	}
	return amend_error_set(err, AMEND_UNSUPPORTED,
			       "no driver in this build opens this database (hint: a file, "
			       "sqlite:FILE or postgresql://HOST/NAME)");
}

static enum amend_status adopt(const struct amend_driver *driver, const char *engine, void *handle,
			       const struct amend_open_options *options, struct amend_conn **out,
			       struct amend_error *err)
{
	static const struct amend_open_options defaults = AMEND_OPEN_OPTIONS_INIT;
	struct amend_session *session = NULL;
	enum amend_status status;

	*out = NULL;
	if (!driver)
		return amend_error_set(err, AMEND_UNSUPPORTED, "this build of amend lacks %s",
				       engine);
	if (!handle)
		return amend_error_set(err, AMEND_INVALID, "expected an open %s handle, found NULL",
				       engine);
	if (!options)
		options = &defaults;
	status = driver->adopt(handle, options, &session, err);
	if (status != AMEND_OK)
		return status;
	return amend_conn_new(driver, session, options, true, out, err);
}

enum amend_status amend_adopt_sqlite(struct sqlite3 *handle,
				     const struct amend_open_options *options,
				     struct amend_conn **out, struct amend_error *err)
{
	return adopt(amend_driver_sqlite, "SQLite", handle, options, out, err);
}

enum amend_status amend_adopt_postgres(struct pg_conn *handle,
				       const struct amend_open_options *options,
				       struct amend_conn **out, struct amend_error *err)
{
	return adopt(amend_driver_postgres, "PostgreSQL", handle, options, out, err);
}

enum amend_status amend_adopt_mariadb(struct st_mysql *handle,
				      const struct amend_open_options *options,
				      struct amend_conn **out, struct amend_error *err)
{
	return adopt(amend_driver_mariadb, "MariaDB", handle, options, out, err);
}

void amend_close(struct amend_conn *db)
{
	struct amend_error ignored;

	if (!db)
		return;
	/* Should this fail, closing undoes it as well. */
	if (!db->adopted)
		(void)!db->driver->rollback(db->session, &ignored);
	amend_hooks_undo(db, 0);
	if (db->ledger_free)
		db->ledger_free(db->ledger);
	db->driver->close(db->session);
	amend_texts_free(db);
	free(db->guesses);
	free(db->key_file);
	free(db->url);
	free(db->levels);
	free(db->hooks);
	free(db->who);
	free(db->why);
	free(db->program);
	free(db);
}

void amend_interrupt(struct amend_conn *db)
{
	db->interrupted = 1;
	db->driver->interrupt(db->session);
}

bool amend_stop(struct amend_conn *db)
{
	if (!db->stoppable) {
		amend_interrupt(db);
		return false;
	}
	db->stopping = 1;
	return true;
}

const char *amend_engine(const struct amend_conn *db)
{
	return db->driver->name;
}

enum amend_status amend_set_author(struct amend_conn *db, const char *who, const char *why,
				   const char *program, struct amend_error *err)
{
	char *copies[] = {copy_text(who), copy_text(why), copy_text(program)};
	char **places[] = {&db->who, &db->why, &db->program};

	if ((who && !copies[0]) || (why && !copies[1]) || (program && !copies[2])) {
		for (size_t i = 0; i < 3; i++)
			free(copies[i]);
		return amend_no_memory(err);
	}
	for (size_t i = 0; i < 3; i++) {
		free(*places[i]);
		*places[i] = copies[i];
	}
	return AMEND_OK;
}

bool amend_has(const struct amend_conn *db, enum amend_feature feature)
{
	return (db->features & (unsigned)feature) != 0;
}

bool amend_may_reconnect(const struct amend_conn *db)
{
	return db->driver->reconnect && !db->adopted && db->options.resolve_ms > 0;
}

void amend_settings_gone(struct amend_conn *db)
{
	db->bare = db->bare || db->altering != AMEND_ALTERS_NOTHING;
}

bool amend_settings_lead_away(const struct amend_conn *db)
{
	return db->altered == AMEND_ALTERS_DATABASE || db->altering == AMEND_ALTERS_DATABASE;
}

static void opened_anew(struct amend_conn *db)
{
	db->anew++;
	db->bare = db->bare || db->altered != AMEND_ALTERS_NOTHING;
}

static bool interrupted(const void *context)
{
	const struct amend_conn *db = context;

	return db->interrupted != 0;
}

enum amend_status amend_reconnect(struct amend_conn *db, int64_t until, struct amend_error *err)
{
	enum { SHORTEST_MS = 20, LONGEST_MS = 500 };
	enum amend_status status;
	int pause = SHORTEST_MS;

	for (;;) {
		int64_t left = until - amend_clock_ms();

		status = db->driver->reconnect(db->session, left > 0 ? (int)left : 0, interrupted,
					       db, err);
		if (status == AMEND_OK)
			opened_anew(db);
		left = until - amend_clock_ms();
		if (status == AMEND_OK || status == AMEND_INTERRUPTED || left <= 0)
			return status;
		amend_clock_sleep_ms(left < pause ? (int)left : pause);
		pause = pause < LONGEST_MS ? pause * 2 : LONGEST_MS;
	}
}

enum amend_status amend_twin(struct amend_conn *db, struct amend_conn **out, struct amend_error *err)
{
	struct amend_session *session = NULL;
	enum amend_status status;

	*out = NULL;
	if (!db->driver->twin || db->adopted)
		return amend_error_set(err, AMEND_UNSUPPORTED,
				       "%s has no use of a second connection", db->driver->name);
	if (db->altered || db->altering)
		return amend_error_set(err, AMEND_UNSUPPORTED,
				       "the session has settings that another would not have");
	status = db->driver->twin(db->session, &db->options, &session, err);
	if (status == AMEND_OK)
		status = amend_conn_new(db->driver, session, &db->options, false, out, err);
	if (status == AMEND_OK)
		status = amend_set_author(*out, db->who, db->why, db->program, err);
	if (status != AMEND_OK) {
		amend_close(*out);
		*out = NULL;
	}
	return status;
}

bool amend_in_transaction(const struct amend_conn *db)
{
	return db->depth > 0 || db->borrowed;
}

enum amend_status amend_enter(struct amend_conn *db, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	if (db->bare)
		return amend_error_set(err, AMEND_UNREACHABLE,
				       "the connection broke and was opened anew: " AMEND_BARE);
	if (db->entered == 0)
		db->interrupted = db->stopping = 0;
	if (db->entered > 0 || !db->adopted) {
		db->entered++;
		return AMEND_OK;
	}
	switch (db->driver->state(db->session)) {
	case AMEND_TX_IDLE:
		db->borrowed = false;
		break;
	case AMEND_TX_ACTIVE:
		db->borrowed = true;
		break;
	case AMEND_TX_FAILED:
		return amend_error_set(
			err, AMEND_INVALID,
			"the application's transaction has already failed (hint: roll it "
			"back first)");
	case AMEND_TX_LOST:
		return amend_error_set(err, AMEND_UNREACHABLE, "the connection is gone");
	}
	status = db->driver->pin(db->session, err);
	if (status == AMEND_OK)
		db->entered = 1;
	return status;
}

/* Its transaction is gone, and what is done next, by amend or by itself, would commit by itself. */
static bool borrowed_is_gone(const struct amend_conn *db)
{
	return db->borrowed && db->driver->state(db->session) == AMEND_TX_IDLE;
}

static enum amend_status gone(struct amend_error *err)
{
	amend_error_set(err, AMEND_RETRY, "the engine has undone the application's transaction");
	memcpy(err->sqlstate, AMEND_SQLSTATE_SERIALIZATION, sizeof(err->sqlstate));
	return AMEND_RETRY;
}

/*
 * Whatever a call comes to. What failed has its own reason: run again it may fail for ever, or be done twice, where the
 * application's transaction was not undone but committed.
 */
static enum amend_status check_borrowed(const struct amend_conn *db, enum amend_status status,
					struct amend_error *err)
{
	if (status == AMEND_RETRY || !borrowed_is_gone(db))
		return status;
	if (status == AMEND_OK || status == AMEND_LOCKED)
		return gone(err);
	amend_error_wrap(err, "the application's transaction is over");
	return status;
}

enum amend_status amend_leave(struct amend_conn *db, enum amend_status status,
			      struct amend_error *err)
{
	struct amend_error unpin;

	db->entered--;
	if (db->entered > 0 || !db->adopted)
		return status;
	status = check_borrowed(db, status, err);
	db->borrowed = false;
	/* A connection that broke only now takes nothing back of what the call has done: the next call tells. */
	if (db->driver->unpin(db->session, &unpin) == AMEND_OK || status != AMEND_OK ||
	    unpin.status == AMEND_UNREACHABLE)
		return status;
	*err = unpin;
	return amend_error_wrap(err, "done, but the application's settings could not be put back");
}

/* The innermost unit remembers the first error; RETRY dooms every unit, for the engine undid all of them. */
void amend_conn_fail(struct amend_conn *db, const struct amend_error *err)
{
	size_t i = db->depth;

	while (i-- > 0) {
		if (!db->levels[i].failed) {
			db->levels[i].failed = true;
			db->levels[i].reason = *err;
		}
		if (err->status != AMEND_RETRY && err->status != AMEND_UNREACHABLE &&
		    db->levels[i].savepoint)
			break;
	}
}

/* An engine's own limit may count from each statement's begin: the unit's is looked at here as well. */
enum amend_status amend_check_deadline(const struct amend_conn *db, struct amend_error *err)
{
	if (!db->deadline || amend_clock_ms() < db->deadline)
		return AMEND_OK;
	amend_error_set(err, AMEND_INTERRUPTED, "the unit's time limit has passed");
	memcpy(err->sqlstate, AMEND_SQLSTATE_INTERRUPTED, sizeof(err->sqlstate));
	return AMEND_INTERRUPTED;
}

/* Between two statements nothing runs that the engine could interrupt. */
enum amend_status amend_check_interrupted(const struct amend_conn *db, struct amend_error *err)
{
	if (!db->interrupted)
		return AMEND_OK;
	amend_error_set(err, AMEND_INTERRUPTED, "interrupted");
	memcpy(err->sqlstate, AMEND_SQLSTATE_INTERRUPTED, sizeof(err->sqlstate));
	return AMEND_INTERRUPTED;
}

enum amend_status amend_conn_ready(const struct amend_conn *db, struct amend_error *err)
{
	const struct amend_open_unit *level = db->depth ? &db->levels[db->depth - 1] : NULL;

	if (db->interrupted && (!level || !level->failed))
		return amend_check_interrupted(db, err);
	if (!level || !level->failed) {
		if (borrowed_is_gone(db))
			return gone(err);
		return level ? amend_check_deadline(db, err) : AMEND_OK;
	}
	*err = level->reason;
	if (err->status == AMEND_RETRY)
		return AMEND_RETRY;
	err->status = AMEND_INVALID;
	return amend_error_wrap(err,
				"this unit has failed and takes no statement until it is undone");
}

void amend_conn_broke(struct amend_conn *db, const struct amend_error *err)
{
	/* The engine may have undone the transaction by itself: then nothing short of a rerun mends it. */
	if (db->depth > 0 && !db->borrowed && err->status != AMEND_RETRY &&
	    db->driver->state(db->session) == AMEND_TX_IDLE) {
		for (size_t i = 0; i < db->depth; i++) {
			if (!db->levels[i].failed) {
				db->levels[i].failed = true;
				db->levels[i].reason = *err;
			}
		}
	}
	amend_conn_fail(db, err);
}

enum amend_status amend_exec_many(struct amend_conn *db, const struct amend_statement *statements,
				  size_t n, struct amend_rows *rows, size_t *failed,
				  struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	size_t index = 0;

	for (size_t i = 0; rows && i < n; i++)
		rows[i] = (struct amend_rows)AMEND_ROWS_INIT;
	if (failed)
		*failed = 0;
	for (size_t i = 0; i < n; i++) {
		if (!statements[i].sql)
			status = amend_no_memory(err);
	}
	if (status == AMEND_OK)
		status = amend_conn_ready(db, err);
	if (status == AMEND_OK && n > 0)
		status = db->driver->run(db->session, statements, n, rows, &index, err);
	if (failed)
		*failed = status == AMEND_OK ? n : index;
	if (status == AMEND_OK)
		return status;
	amend_conn_broke(db, err);
	return status;
}

enum amend_status amend_exec(struct amend_conn *db, const struct amend_sql *sql,
			     struct amend_rows *rows, struct amend_error *err)
{
	struct amend_statement statement;

	amend_sql_keep(db, sql);
	statement = amend_sql_statement(sql);
	return amend_exec_many(db, &statement, 1, rows, NULL, err);
}

enum amend_status amend_exec_text(struct amend_conn *db, const char *sql, struct amend_error *err)
{
	struct amend_statement statement = {.sql = sql, .once = true};

	return amend_exec_many(db, &statement, 1, NULL, NULL, err);
}

static bool never(const void *context)
{
	(void)context;
	return false;
}

void amend_let_go(struct amend_conn *db, const char *sql)
{
	enum { TRIES = 2, LIMIT_MS = 5000 };
	const struct amend_statement statement = {.sql = sql, .once = true};
	struct amend_error ignored;
	size_t index;

	/* Again: what was asked for the statement before may have hit the first. */
	for (int i = 0; i < TRIES; i++) {
		if (db->driver->run(db->session, &statement, 1, NULL, &index, &ignored) == AMEND_OK ||
		    db->driver->state(db->session) == AMEND_TX_LOST)
			return;
	}
	if (db->driver->reconnect && !db->adopted &&
	    db->driver->reconnect(db->session, LIMIT_MS, never, NULL, &ignored) == AMEND_OK)
		opened_anew(db);
}

enum amend_status amend_canonicalise(struct amend_conn *db, struct amend_canon *items, size_t n,
				     struct amend_arena *arena, struct amend_error *err)
{
	enum amend_status status = amend_conn_ready(db, err);

	if (status == AMEND_OK && n > 0)
		status = db->driver->canonicalise(db->session, items, n, arena, err);
	if (status != AMEND_OK)
		amend_conn_fail(db, err);
	return status;
}

enum amend_status amend_hold_database(struct amend_conn *db, struct amend_error *err)
{
	enum amend_status status;

	/* amend's own writing units are writers from the start. */
	if (!db->borrowed || !db->driver->become_writer)
		return AMEND_OK;
	status = db->driver->become_writer(db->session, err);
	if (status != AMEND_OK)
		amend_conn_fail(db, err);
	return status;
}

static const char *skip_blank(const char *sql)
{
	for (;;) {
		const char *end = NULL;

		sql += strspn(sql, " \t\r\n\f\v;\xef\xbb\xbf");
		/* Comments nest in PostgreSQL: what is left of an outer one. */
		if (strncmp(sql, "*/", 2) == 0) {
			sql += 2;
			continue;
		}
		if (strncmp(sql, "--", 2) == 0)
			end = strchr(sql, '\n');
		else if (strncmp(sql, "/*", 2) == 0)
			end = strstr(sql + 2, "*/");
		else
			return sql;
		if (!end)
			return "";
		sql = end + (*end == '*' ? 2 : 1);
	}
}

/* Such a statement would end a unit under amend's feet, and what follows would commit by itself. */
static bool moves_transaction(const char *sql)
{
	static const char *const words[] = {"BEGIN",     "START",   "COMMIT",
					    "END",       "ABORT",   "ROLLBACK",
					    "SAVEPOINT", "RELEASE", "PREPARE TRANSACTION"};

	sql = skip_blank(sql);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t size = strlen(words[i]);

		if (strncasecmp(sql, words[i], size) == 0 && !isalnum((unsigned char)sql[size]) &&
		    sql[size] != '_')
			return true;
	}
	return false;
}

/* Also where it fails: half of it may be done. */
static void watch(struct amend_conn *db, const char *sql)
{
	enum amend_alters *what = db->depth > 0 ? &db->altering : &db->altered, alters;

	if (!db->driver->alters || db->adopted)
		return;
	alters = db->driver->alters(sql);
	*what = alters > *what ? alters : *what;
}

enum amend_status amend_query(struct amend_conn *db, const char *sql,
			      const struct amend_value *values, size_t n_values,
			      struct amend_rows *rows, struct amend_error *err)
{
	struct amend_statement statement = {.sql = sql, .values = values, .n_values = n_values};
	enum amend_status status = amend_enter(db, err);

	if (rows)
		*rows = (struct amend_rows)AMEND_ROWS_INIT;
	if (status != AMEND_OK)
		return status;
	if (moves_transaction(sql)) {
		status = amend_error_set(err, AMEND_INVALID,
					 "transactions are not begun or ended by a statement (hint: "
					 "amend_atomic, or the handle that was adopted)");
	} else {
		watch(db, sql);
		status = amend_exec_many(db, &statement, 1, rows, NULL, err);
	}
	return amend_leave(db, status, err);
}
