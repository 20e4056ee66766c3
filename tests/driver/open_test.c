/*
 * Conformance: URLs, opening, what an opened session is set to, and the driver's plain data.
 * Leaves adopted handles to adopt_test.c.
 */
#include "engines.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void plain_data(struct engine *engine)
{
	const struct amend_driver *driver = engine->driver;
	const struct amend_dialect *dialect = driver->dialect;
	const char *const texts[] = {
		dialect->same,
		dialect->for_update,
		dialect->for_no_key_update,
		dialect->for_share,
		dialect->nowait,
		dialect->skip_locked,
		dialect->lock_table_update,
		dialect->lock_table_share,
		dialect->lock_table_update_mode,
		dialect->lock_table_share_mode,
		dialect->now,
		dialect->ledger,
		dialect->serial_type,
		dialect->integer_type,
		dialect->text_type,
		dialect->bytes_type,
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		if (!texts[i])
			fail_msg("text %zu of the dialect is NULL", i);
	}
	assert_true(dialect->numbered == !engine_is(engine, "mariadb"));
	assert_true(!(driver->features & AMEND_HAS_ROW_LOCK) == !*dialect->for_update);
	assert_true(!(driver->features & AMEND_HAS_KEY_STRENGTHS) == !*dialect->for_no_key_update);
	assert_true(!(driver->features & AMEND_HAS_SHARE) == !*dialect->for_share);
	assert_true(!(driver->features & AMEND_HAS_TABLE_LOCK) == !*dialect->lock_table_update);
	assert_true(!(driver->features & AMEND_HAS_ROW_VERSION) == !dialect->row_version);
	assert_true(driver->accepts && driver->open && driver->adopt && driver->close &&
		    driver->pin && driver->unpin && driver->run && driver->begin && driver->commit &&
		    driver->rollback && driver->state && driver->set_lock_timeout &&
		    driver->describe && driver->canonicalise && driver->check && driver->interrupt);
}

/* The dialect's pieces are SQL that the engine takes. */
static void dialect_works(struct engine *engine)
{
	const struct amend_dialect *dialect = engine->driver->dialect;
	struct amend_session *session = session_open(engine);
	const char *before, *now;

	session_exec(engine, session,
		     engine_printf(engine, "CREATE TABLE t (id %s, i %s, s %s, b %s)",
				   dialect->serial_type, dialect->integer_type, dialect->text_type,
				   dialect->bytes_type));
	session_exec(engine, session, "INSERT INTO t (i, s) VALUES (9223372036854775807, 'x')");
	session_expect(engine, session,
		       engine_printf(engine,
				     "SELECT count(*) FROM t WHERE i %s 9223372036854775807"
				     " AND s %s 'x' AND b %s NULL AND NOT (s %s NULL)",
				     dialect->same, dialect->same, dialect->same, dialect->same),
		       "1");
	session_exec(engine, session, "DELETE FROM t");
	session_exec(engine, session, "INSERT INTO t (i) VALUES (2)");
	session_expect(engine, session, "SELECT id FROM t", "2"); /* never reused */

	now = session_rows(engine, session, engine_printf(engine, "SELECT %s", dialect->now));
	assert_int_equal(strlen(now), strlen("2026-11-21 21:30:04.123456"));
	for (const char *c = now, *f = "dddd-dd-dd dd:dd:dd.dddddd"; *c; c++, f++)
		assert_true(*f == 'd' ? *c >= '0' && *c <= '9' : *c == *f);
	session_begin(engine, session);
	before = session_rows(engine, session, engine_printf(engine, "SELECT %s", dialect->now));
	sleep_ms(30);
	now = session_rows(engine, session, engine_printf(engine, "SELECT %s", dialect->now));
	assert_true(strcmp(before, now) < 0); /* the clock, not the transaction's start */
	session_rollback(engine, session);

	if (dialect->row_version) {
		const char *sql = engine_printf(engine, "SELECT %s FROM t", dialect->row_version);

		before = session_rows(engine, session, sql);
		session_exec(engine, session, "UPDATE t SET i = i");
		assert_string_not_equal(before, session_rows(engine, session, sql));
	}
}

static void accepts_its_urls(struct engine *engine)
{
	static const struct {
		const char *url;
		bool sqlite, postgres, mariadb;
	} cases[] = {
		{"app.db", true, false, false},
		{"/var/lib/app.db", true, false, false},
		{":memory:", true, false, false},
		{"sqlite:app.db", true, false, false},
		{"postgresql://localhost/app", false, true, false},
		{"postgres://localhost/app", false, true, false},
		{"postgresql:///app?host=/tmp", false, true, false},
		{"mariadb://localhost/app", false, false, true},
		{"mysql://user@localhost:3306/app", false, false, true},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		bool wanted = engine_is(engine, "sqlite")    ? cases[i].sqlite
			      : engine_is(engine, "mariadb") ? cases[i].mariadb
							     : cases[i].postgres;

		/* SQLite may take what no other driver's scheme claims: it is asked last */
		if (engine_is(engine, "sqlite") && !wanted)
			continue;
		if (engine->driver->accepts(cases[i].url) != wanted)
			fail_msg("%s: expected %d", cases[i].url, wanted);
	}
}

static struct attempt try_open(struct engine *engine, const char *url,
			       const struct amend_open_options *options)
{
	static const struct amend_open_options defaults = AMEND_OPEN_OPTIONS_INIT;
	struct attempt attempt = {AMEND_OK, {0}, 0};
	struct amend_session *session = NULL;

	attempt.status = engine->driver->open(url, options ? options : &defaults, &session,
					      &attempt.error);
	if (attempt.status != AMEND_OK && session)
		fail_msg("%s: a session although open failed", url);
	engine->driver->close(session); /* takes NULL */
	return attempt;
}

/* --- SQLite --- */

static void sqlite_open_errors(struct engine *engine)
{
	struct amend_open_options must_exist = AMEND_OPEN_OPTIONS_INIT;
	const char *folder = engine->folder;
	const char *missing = engine_printf(engine, "%s/missing.db", folder);
	const char *garbage = engine_printf(engine, "%s/garbage.db", folder);
	FILE *file = fopen(garbage, "w");

	assert_non_null(file);
	for (int i = 0; i < 1000; i++)
		fputs("this is no database, ", file);
	fclose(file);

	must_exist.must_exist = true;
	expect_error(AMEND_NOT_FOUND, NULL, try_open(engine, missing, &must_exist));
	assert_int_not_equal(access(missing, F_OK), 0);
	must_exist.must_exist = false;
	must_exist.read_only = true;
	expect_error(AMEND_NOT_FOUND, NULL, try_open(engine, missing, &must_exist));
	assert_int_not_equal(access(missing, F_OK), 0);
	expect_done(try_open(engine, missing, NULL));
	expect_done(try_open(engine, engine_printf(engine, "sqlite:%s", missing), NULL));
	assert_int_not_equal(
		try_open(engine, engine_printf(engine, "%s/no/folder.db", folder), NULL).status,
		AMEND_OK);
	assert_int_not_equal(try_open(engine, folder, NULL).status, AMEND_OK);
	{
		struct attempt attempt = try_open(engine, garbage, NULL);

		assert_int_not_equal(attempt.status, AMEND_OK);
		expect_contains(attempt.error.text, "garbage.db");
	}
	expect_done(try_open(engine, ":memory:", NULL));
	assert_int_not_equal(access(":memory:", F_OK), 0);
}

static void sqlite_names_are_literal(struct engine *engine)
{
	static const char *const names[] = {"with space.db", "50%25.db",  "q?mode=memory.db",
					    "hash#1.db",     "file:x.db", "Zürich 東京.db"};
	struct stat info;

	for (size_t i = 0; i < COUNT(names); i++) {
		const char *path = engine_printf(engine, "%s/%s", engine->folder, names[i]);
		const struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
		struct amend_session *session = NULL;
		struct amend_error err;

		expect_ok(engine->driver->open(path, &options, &session, &err), &err);
		session_exec(engine, session, "CREATE TABLE t (a integer)");
		engine->driver->close(session);
		if (stat(path, &info) != 0)
			fail_msg("no file of the name %s was made", names[i]);
	}
}

static void sqlite_settings(struct engine *engine)
{
	struct amend_session *session = session_open(engine);

	session_exec(engine, session, "CREATE TABLE t (a integer)");
	session_expect(engine, session, "PRAGMA journal_mode",
		       "wal"); /* of a file that amend makes */
	session_expect(engine, session, "PRAGMA foreign_keys", "1");
	session_close(engine, session);
}

static void sqlite_keeps_the_files_mode(struct engine *engine)
{
	struct amend_session *session;

	engine_exec(engine, "PRAGMA journal_mode = DELETE; CREATE TABLE t (a integer)");
	session = session_open(engine);
	session_exec(engine, session, "INSERT INTO t VALUES (1)");
	session_expect(engine, session, "PRAGMA journal_mode", "delete");
}

static void read_only_open(struct engine *engine)
{
	struct amend_open_options options = AMEND_OPEN_OPTIONS_INIT;
	struct amend_session *session;

	engine_exec(engine, "CREATE TABLE t (a integer); INSERT INTO t VALUES (1)");
	options.read_only = true;
	session = session_open_with(engine, &options);
	session_expect(engine, session, "SELECT a FROM t", "1");
	expect_error(AMEND_DENIED, "25006",
		     session_try(engine, session, "INSERT INTO t VALUES (2)"));
	engine_expect(engine, "SELECT a FROM t", "1");
}

/* --- PostgreSQL --- */

static void postgres_open_errors(struct engine *engine)
{
	static const struct {
		const char *url;
		enum amend_status status;
	} cases[] = {
		{"postgresql://nobody:hidden@127.0.0.1:1/x?connect_timeout=2", AMEND_UNREACHABLE},
		{"postgresql:///x?host=/no/such/folder&password=hidden", AMEND_UNREACHABLE},
		{"postgresql://no-such-host.invalid/x?connect_timeout=2&password=hidden",
		 AMEND_UNREACHABLE},
		{"postgresql://localhost/x?no_such_option=hidden", AMEND_INVALID},
		{"postgresql://user:hid%zzden@localhost/x", AMEND_INVALID},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct attempt attempt = try_open(engine, cases[i].url, NULL);

		if (attempt.status != cases[i].status)
			fail_msg("%s: expected %s, found %s %s", cases[i].url,
				 amend_status_name(cases[i].status),
				 amend_status_name(attempt.status), attempt.error.text);
		if (strstr(attempt.error.text, "hidden") || strstr(attempt.error.text, "hid%zzden"))
			fail_msg("the text tells a password: %s", attempt.error.text);
	}
}

/* The same server, but a database or a role that is not there. */
static void postgres_refusals(struct engine *engine)
{
	const char *role, *url = engine_url_of_role(engine, &role);
	const char *database = engine_scalar(engine, "SELECT current_database()");
	char *other = strdup(engine->url);
	struct attempt attempt;
	char *found;

	assert_non_null(other);
	found = strstr(other, database);
	assert_non_null(found);
	found[0] = 'X';
	attempt = try_open(engine, other, NULL);
	expect_error(AMEND_NOT_FOUND, "3D000", attempt);
	free(other);

	expect_done(try_open(engine, url, NULL));
	engine_execf(engine, "ALTER ROLE %s NOLOGIN", role);
	attempt = try_open(engine, url, NULL);
	expect_error(AMEND_DENIED, "28000", attempt);
	if (strstr(attempt.error.text, "secret"))
		fail_msg("the text tells a password: %s", attempt.error.text);
}

static void postgres_settings(struct engine *engine)
{
	static const struct {
		const char *name, *value;
	} pinned[] = {
		{"extra_float_digits", "1"},   {"datestyle", "ISO, YMD"},
		{"intervalstyle", "postgres"}, {"timezone", "UTC"},
		{"bytea_output", "hex"},       {"array_nulls", "on"},
		{"xmloption", "content"},      {"standard_conforming_strings", "on"},
		{"client_encoding", "UTF8"},   {"jit", "off"},
	};
	const char *database = engine_scalar(engine, "SELECT current_database()");
	struct amend_session *session;

	engine_execf(engine,
		     "ALTER DATABASE %s SET datestyle = 'SQL, DMY';"
		     "ALTER DATABASE %s SET timezone = 'Asia/Tokyo';"
		     "ALTER DATABASE %s SET bytea_output = 'escape';"
		     "ALTER DATABASE %s SET extra_float_digits = 0;"
		     "ALTER DATABASE %s SET intervalstyle = 'iso_8601';"
		     "ALTER DATABASE %s SET array_nulls = off;"
		     "ALTER DATABASE %s SET client_encoding = 'LATIN1'",
		     database, database, database, database, database, database, database);
	setenv("PGTZ", "Asia/Kathmandu", 1);
	setenv("PGDATESTYLE", "German", 1);
	session = session_open(engine);
	unsetenv("PGTZ");
	unsetenv("PGDATESTYLE");
	for (size_t i = 0; i < COUNT(pinned); i++)
		expect_text(session_rows(engine, session,
					 engine_printf(engine, "SHOW %s", pinned[i].name)),
			    pinned[i].value);
	session_expect(engine, session, "SELECT 'Zürich'", "Zürich");
}

static void close_takes_null(struct engine *engine)
{
	engine->driver->close(NULL);
}

static const struct engine_test tests[] = {
	{"the driver's data is whole", plain_data},
	{"the dialect's pieces are SQL that works", dialect_works, .real = true},
	{"its URLs are accepted", accepts_its_urls, .real = true},
	{"close takes NULL", close_takes_null},
	{"a session opened read-only writes nothing: DENIED 25006", read_only_open},
	{"open says what is wrong with a file", sqlite_open_errors, .only = "sqlite"},
	{"a file's name is taken literally", sqlite_names_are_literal, .only = "sqlite"},
	{"a new file is WAL, and foreign keys are enforced", sqlite_settings, .only = "sqlite"},
	{"an old file keeps its journal mode", sqlite_keeps_the_files_mode, .only = "sqlite"},
	{"open says UNREACHABLE or INVALID, never the password", postgres_open_errors,
	 .only = "postgresql"},
	{"no such database is NOT_FOUND, no login is DENIED", postgres_refusals,
	 .only = "postgresql"},
	{"settings are pinned, whatever the database's and PG* are", postgres_settings,
	 .only = "postgresql"},
};

ENGINE_MAIN(tests)
