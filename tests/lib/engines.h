/*
 * What tests share: databases to run on, other programs that write to them,
 * and checks with readable failures. The one header a test needs, cmocka included.
 *
 * A test is written once and runs on each engine of the build, in a database
 * that is empty when it begins:
 *
 *	static void unique_violation(struct engine *engine)
 *	{
 *		struct amend_session *session = session_open(engine);
 *
 *		engine_exec(engine, "CREATE TABLE t (a integer UNIQUE); INSERT INTO t VALUES (1)");
 *		expect_error(AMEND_CONSTRAINT, "23505",
 *			     session_try(engine, session, "INSERT INTO t VALUES (1)"));
 *		engine_expect(engine, "SELECT count(*) FROM t", "1");
 *	}
 *
 *	static const struct engine_test tests[] = {
 *		{"unique violation is CONSTRAINT 23505", unique_violation},
 *		{"FOR UPDATE waits", waits, .needs = AMEND_HAS_ROW_LOCK},
 *	};
 *
 *	ENGINE_MAIN(tests)
 *
 * and is seen as "sqlite: unique violation ..." and "postgresql: unique ...".
 * All that the functions below open or return lasts until the test ends, also
 * when it fails. Any of them fails the test when it does not succeed.
 *
 * Run one binary by hand (tools/servers run -- sh starts a shell with a server):
 *
 *	build/tests/errors_test                       all
 *	build/tests/errors_test 'sqlite: *'           those whose name matches
 *
 * AMEND_TEST_POSTGRES   URI of a server, of a role that may create databases. Without it
 *                       PostgreSQL's tests are skipped, or fail where $CI is "true".
 * AMEND_TEST_TMP        folder for files, else $TMPDIR, else /tmp
 */
#ifndef TESTS_LIB_ENGINES_H
#define TESTS_LIB_ENGINES_H

#include "checks.h"

#include "sql/driver.h"
#include "sql/driver/trace.h"

/* --- Engines and tests --- */

struct engine_private;

/* One engine, as one test sees it. */
struct engine {
	const char *name; /* "sqlite", "postgresql", "postgresql-generic": for messages */
	const struct amend_driver *driver;
	unsigned features;  /* those hidden from the layers above are missing */
	const char *url;    /* of this test's own database, empty at first */
	const char *folder; /* this test's own, for files */
	struct engine_private *private_;
};

typedef void (*engine_test_fn)(struct engine *engine);

struct engine_test {
	const char *name; /* a sentence: what is promised */
	engine_test_fn run;
	unsigned needs;     /* feature bits: only on engines that have all of them */
	unsigned lacks;     /* only on engines that have none of these */
	const char *only;   /* "sqlite", "postgresql", "mariadb": a driver's name; NULL: all */
	const char *not_on; /* a driver's name whose engine cannot have what it needs; NULL: none */
	/* Asks for what only a real engine has: more SQL, types, triggers, settings. Not on the fake one (driver/fake.h). */
	bool real;
};

enum {
	/* Also "postgresql-generic": without WRITE_CTE, KEY_STRENGTHS, ROW_VERSION, ARRAYS, UPDATE_RETURNING, by which an
	 * engine is asked for what all can do. For tests of the layers above the drivers. */
	ENGINES_GENERIC = 1,
};

/* Runs all on every engine; the program's exit status. argv[1]: a pattern of names. */
int engine_main(const struct engine_test *tests, size_t n, unsigned flags, int argc, char **argv);

#define ENGINE_MAIN_WITH(tests, flags)                                      \
	int main(int argc, char **argv)                                     \
	{                                                                   \
		return engine_main(tests, COUNT(tests), flags, argc, argv); \
	}
#define ENGINE_MAIN(tests) ENGINE_MAIN_WITH(tests, 0)

bool engine_is(const struct engine *engine, const char *driver); /* "sqlite", "postgresql" */

/* Runs `undo` when the test ends, the last one first. */
void engine_defer(struct engine *engine, void (*undo)(void *thing), void *thing);
/* Does it now instead; a thing that was not deferred is a failure. */
void engine_end(struct engine *engine, void *thing);
/* Memory that is freed when the test ends. */
struct amend_arena *engine_arena(struct engine *engine);
const char *engine_printf(struct engine *engine, const char *format, ...) AMEND_PRINTF(2, 3);

/* --- SQL --- */

/* `sql` with this engine's placeholders: written as SQLite has them, ?1 ?2. */
const char *engine_sql(struct engine *engine, const char *sql);
/* Where dialects differ. */
const char *engine_pick(const struct engine *engine, const char *sqlite, const char *postgres);
/* The same, where MariaDB's is neither. */
const char *engine_pick3(const struct engine *engine, const char *sqlite, const char *postgres,
			 const char *mariadb);
/* A URL to the same database with other settings: of a new role without any rights
 * (PostgreSQL only). The role is dropped when the test ends. */
const char *engine_url_of_role(struct engine *engine, const char **role);

/* SQL outside amend, on the engine's own client library: statements parted by semicolons. */
void engine_exec(struct engine *engine, const char *sql);
void engine_execf(struct engine *engine, const char *format, ...) AMEND_PRINTF(2, 3);
/* The first column of the first row as text; NULL: it is NULL, or there is no row. */
const char *engine_scalar(struct engine *engine, const char *sql);
/* All rows, "1|ada\n2|NULL": columns parted by |, rows by a newline. */
const char *engine_rows(struct engine *engine, const char *sql);
/* That they are `expected`. */
#define engine_expect(engine, sql, expected) \
	engine_expect_at(engine, sql, expected, __FILE__, __LINE__)
/* Waits until they are: on a server, what others do arrives when it arrives. Fails after half a minute. */
#define engine_await(engine, sql, expected) \
	engine_await_at(engine, sql, expected, __FILE__, __LINE__)
void engine_await_at(struct engine *engine, const char *sql, const char *expected, const char *file,
		     int line);
/* That no session of a program under test is left on the server: what it asked for has been done, or never will be. */
#define engine_await_left(engine) engine_await_left_at(engine, __FILE__, __LINE__)
void engine_await_left_at(struct engine *engine, const char *file, int line);
void engine_expect_at(struct engine *engine, const char *sql, const char *expected,
		      const char *file, int line);

/* --- Foreign writers: other connections, outside amend --- */

struct foreign;

struct foreign *foreign_open(struct engine *engine);
void foreign_close(struct foreign *foreign); /* before the test's end */
void foreign_exec(struct foreign *foreign, const char *sql);
const char *foreign_rows(struct foreign *foreign, const char *sql);
/* NULL: done; else the engine's message. */
const char *foreign_try(struct foreign *foreign, const char *sql);
/*
 * The same in a thread of its own, after `delay_ms`; the foreign connection must not be used until
 * foreign_finish, which waits for it and returns as foreign_try does.
 */
void foreign_start(struct foreign *foreign, int delay_ms, const char *sql);
const char *foreign_finish(struct foreign *foreign);
/* Returns when what was started waits for a lock; fails the test after ten seconds. */
void foreign_wait_blocked(struct foreign *foreign);
/* The sqlite3 * or PGconn *: to be adopted. */
void *foreign_handle(struct foreign *foreign);

/* PostgreSQL: ends every connection to the test's database but the foreign ones. */
void engine_kill_sessions(struct engine *engine);

/* --- Sessions of the driver --- */

/* Options NULL are the defaults. */
struct amend_session *session_open(struct engine *engine);
struct amend_session *session_open_with(struct engine *engine,
					const struct amend_open_options *options);
struct amend_session *session_adopt(struct engine *engine, struct foreign *foreign);
void session_close(struct engine *engine, struct amend_session *session); /* before the test's end */

/* What a statement came to. */
struct attempt {
	enum amend_status status;
	struct amend_error error;
	int64_t changes;
};

/* One statement, `once`; session_with binds values to ?1 ?2 ... */
struct attempt session_try(struct engine *engine, struct amend_session *session, const char *sql);
struct attempt session_with(struct engine *engine, struct amend_session *session, const char *sql,
			    const struct amend_value *values, size_t n);
/* It must succeed; returns what changed. */
int64_t session_exec(struct engine *engine, struct amend_session *session, const char *sql);
/* As engine_rows, blobs as x'00ff', prepared and cached. */
const char *session_rows(struct engine *engine, struct amend_session *session, const char *sql);
#define session_expect(engine, session, sql, expected) \
	expect_text_at(session_rows(engine, session, sql), expected, sql, __FILE__, __LINE__)

/* Begins a transaction: a writer that waits 10 seconds for locks. */
void session_begin(struct engine *engine, struct amend_session *session);
struct attempt session_begin_with(struct engine *engine, struct amend_session *session,
				  const struct amend_begin *begin);
struct attempt session_commit(struct engine *engine, struct amend_session *session);
void session_rollback(struct engine *engine, struct amend_session *session);
#define session_expect_state(engine, session, state) \
	session_expect_state_at(engine, session, state, __FILE__, __LINE__)
void session_expect_state_at(struct engine *engine, struct amend_session *session,
			     enum amend_tx state, const char *file, int line);

/* --- Connections, for tests of the layers above the drivers --- */

/*
 * amend_open of the test's database, traced: what it does can be counted and
 * made to fail (sql/driver/trace.h); on "postgresql-generic" features are hidden.
 * Options NULL are the defaults.
 */
struct amend_conn *connect_open(struct engine *engine);
struct amend_conn *connect_open_with(struct engine *engine,
				     const struct amend_open_options *options);
struct amend_conn *connect_adopt(struct engine *engine, struct foreign *foreign);
void connect_close(struct engine *engine, struct amend_conn *db); /* before the test's end */
struct amend_trace *connect_trace(struct engine *engine, struct amend_conn *db);
/* amend_query without values; it must succeed. */
void connect_exec(struct engine *engine, struct amend_conn *db, const char *sql);

/* --- Checks: more of them in checks.h --- */

/* Of an attempt; `sqlstate` NULL: any. */
#define expect_error(expected, sqlstate, attempt) \
	expect_attempt_at(expected, sqlstate, attempt, #attempt, __FILE__, __LINE__)
#define expect_done(attempt) expect_error(AMEND_OK, NULL, attempt)

void expect_attempt_at(enum amend_status expected, const char *sqlstate, struct attempt attempt,
		       const char *what, const char *file, int line);
#endif
