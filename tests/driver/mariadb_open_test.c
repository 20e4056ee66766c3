/*
 * Connections to MariaDB: what a URL says, TLS, and ~/.my.cnf.
 * Leaves what every engine's connections promise to open_test.c.
 */
#include "engines.h"

#include <pthread.h>
#include <stdlib.h>

#include "sql/driver/mariadb.h"

static const struct amend_open_options defaults = AMEND_OPEN_OPTIONS_INIT;

static void close_session(void *session)
{
	amend_mariadb_close(session);
}

static enum amend_status open_url(struct engine *engine, const char *url,
				  struct amend_session **session, struct amend_error *err)
{
	enum amend_status status = engine->driver->open(url, &defaults, session, err);

	if (status == AMEND_OK)
		engine_defer(engine, close_session, *session);
	return status;
}

static const char *with(struct engine *engine, const char *options)
{
	return engine_printf(engine, "%s&%s", engine->url, options);
}

static void bad_urls(struct engine *engine)
{
	static const struct {
		const char *url, *says;
	} cases[] = {
		{"mariadb://localhost", "expected the name of a database"},
		{"mariadb://localhost/", "expected the name of a database"},
		{"mariadb://localhost:0/x", "expected a port"},
		{"mariadb://localhost:99999/x", "expected a port"},
		{"mariadb://a@b@c/x", "not a connection URI"},
		{"mariadb://u:hid%zzden@h/x", "not a connection URI"},
		{"mariadb://h/x?sslmode=require", "option that is not known"},
		{"mariadb://h/x?ssl", "option that is not known"},
		{"mariadb://h/x?ssl=yes", "expected 0 or 1"},
		{"mariadb://h/x?ssl-verify-server-cert=", "expected 0 or 1"},
		{"mariadb://h/x?ssl-ca=%", "not percent-encoded well"},
		{"mariadb://h/x?ssl=0&ssl-ca=/a", "asks for no TLS"},
		{"mariadb://h/x?ssl-verify-server-cert=1&ssl=0", "asks for no TLS"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct amend_session *session = NULL;
		struct amend_error err;

		expect_status_at(AMEND_INVALID, NULL, open_url(engine, cases[i].url, &session, &err),
				 &err, cases[i].url, __FILE__, __LINE__);
		expect_contains(err.text, cases[i].says);
		assert_null(strstr(err.text, "hid"));
	}
}

/* --- TLS ---------------------------------------------------------------- */

static const char cipher[] = "SELECT variable_value <> '' FROM information_schema.session_status "
			     "WHERE variable_name = 'SSL_CIPHER'";

static const char *authority(void)
{
	const char *file = getenv("AMEND_TEST_MARIADB_CA");

	if (!file)
		fail_msg("AMEND_TEST_MARIADB_CA is not set (hint: tools/servers run --mariadb)");
	return file;
}

static void tls(struct engine *engine)
{
	const char *by[] = {
		engine_printf(engine, "ssl-ca=%s", authority()),
		"ssl=1",
		engine_printf(engine, "ssl-ca=%s&ssl-verify-server-cert=0", authority()),
	};
	struct amend_session *session;
	struct amend_error err;

	session_expect(engine, session_open(engine), cipher, "0");
	for (size_t i = 0; i < COUNT(by); i++) {
		expect_ok(open_url(engine, with(engine, by[i]), &session, &err), &err);
		session_expect(engine, session, cipher, "1");
	}
}

/* Another authority's certificate; its key is thrown away. */
static const char other_authority[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBfzCCASWgAwIBAgIUJ9VCnkPvILlDX3kjoXNToGf8HaEwCgYIKoZIzj0EAwIw\n"
	"FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjE4MjE1OVoYDzIxMjYxMDI5\n"
	"MTgyMTU5WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
	"PQMBBwNCAATDWHvwX8ub7pQEOW2Qpdk5JfYS1OcohJoVDgcLCFcEmM9UeGHbDX8E\n"
	"e4cHL8lnXbINEqAvzSZqdHHbvyt2c2guo1MwUTAdBgNVHQ4EFgQUt51Lg8gzK+EM\n"
	"sUVp0SijNTN2ImYwHwYDVR0jBBgwFoAUt51Lg8gzK+EMsUVp0SijNTN2ImYwDwYD\n"
	"VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBErZWLkps1xpyhEk9kuZXW\n"
	"6hTGDKrSDyCZCQpkye2aPgIhAN9FTprGTxSXL6/IIVfXMGG2iV2A/6ezqy5HcEFP\n"
	"frge\n"
	"-----END CERTIFICATE-----\n";

/* Never without TLS instead, and never past an authority that does not know the server. */
static void tls_or_nothing(struct engine *engine)
{
	const char *other = engine_printf(engine, "%s/other.pem", engine->folder);
	const char *by[] = {
		engine_printf(engine, "ssl-ca=%s", other),
		"ssl-ca=/no/such/file.pem",
		engine_printf(engine,
			      "ssl-ca=%s&ssl-cert=/no/such/file.pem&ssl-key=/no/such/file.pem",
			      authority()),
	};
	FILE *file = fopen(other, "w");

	assert_non_null(file);
	fputs(other_authority, file);
	fclose(file);
	for (size_t i = 0; i < COUNT(by); i++) {
		struct amend_session *session = NULL;
		struct amend_error err;

		expect_status_at(AMEND_UNREACHABLE, NULL,
				 open_url(engine, with(engine, by[i]), &session, &err), &err, by[i],
				 __FILE__, __LINE__);
	}
}

static void *interrupt_soon(void *session)
{
	sleep_ms(100);
	amend_mariadb_interrupt(session);
	return NULL;
}

static void expect_interrupted(struct engine *engine, struct amend_session *session)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, session), 0);
	expect_error(AMEND_INTERRUPTED, "57014",
		     session_try(engine, session,
				 "SELECT count(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b "
				 "WHERE a.seq + b.seq > 0"));
	pthread_join(thread, NULL);
}

static MYSQL *connect_by_tls(struct engine *engine, const char *user)
{
	MYSQL *conn = mysql_init(NULL);
	const char *socket = strstr(engine->url, "socket=") + strlen("socket=");
	my_bool on = 1;

	assert_non_null(conn);
	mysql_optionsv(conn, MYSQL_OPT_SSL_ENFORCE, &on);
	mysql_optionsv(conn, MYSQL_OPT_SSL_CA, authority());
	if (!mysql_real_connect(conn, "localhost", user, "secret", "mysql", 0, socket,
				CLIENT_FOUND_ROWS))
		fail_msg("%s", mysql_error(conn));
	return conn;
}

/* A user whom the server lets in by TLS alone: on the second connection too, by which a statement is ended. */
static void interrupted_by_tls(struct engine *engine)
{
	const char *role, *url = engine_url_of_role(engine, &role);
	struct amend_session *session = NULL;
	struct amend_error err;
	MYSQL *conn;

	engine_execf(engine, "GRANT SELECT ON *.* TO %s@localhost REQUIRE SSL", role);
	expect_status(AMEND_DENIED, open_url(engine, url, &session, &err), &err);
	expect_ok(open_url(engine, engine_printf(engine, "%s&ssl-ca=%s", url, authority()),
			   &session, &err),
		  &err);
	expect_interrupted(engine, session);
	conn = connect_by_tls(engine, role);
	expect_ok(engine->driver->adopt(conn, &defaults, &session, &err), &err);
	expect_ok(engine->driver->pin(session, &err), &err);
	expect_interrupted(engine, session);
	expect_ok(engine->driver->unpin(session, &err), &err);
	engine->driver->close(session);
	mysql_close(conn);
}

/* --- ~/.my.cnf ---------------------------------------------------------- */

static void password_from_a_file(struct engine *engine)
{
	const char *role, *url = engine_url_of_role(engine, &role), *secret = strstr(url, ":secret");
	const char *before = getenv("HOME"), *bare;
	struct amend_session *session = NULL;
	struct amend_error err;
	FILE *file;

	assert_non_null(secret);
	bare = engine_printf(engine, "%.*s%s", (int)(secret - url), url, secret + strlen(":secret"));
	expect_status(AMEND_DENIED, open_url(engine, bare, &session, &err), &err);
	file = fopen(engine_printf(engine, "%s/.my.cnf", engine->folder), "w");
	assert_non_null(file);
	fputs("[client]\npassword=secret\nuser=nobody\ndatabase=nothing\n"
	      "init-command=SET sql_mode=''\n",
	      file);
	fclose(file);
	setenv("HOME", engine->folder, 1);
	expect_ok(open_url(engine, bare, &session, &err), &err);
	session_expect(engine, session, "SELECT substring_index(user(), '@', 1)", role);
	session_expect(engine, session, "SELECT database() = 'nothing'", "0");
	session_expect(engine, session, "SELECT @@sql_mode LIKE '%STRICT_ALL_TABLES%'", "1");
	setenv("HOME", before ? before : "/", 1);
}

static const struct engine_test tests[] = {
	{"a URL that is none is INVALID, without its password", bad_urls, .only = "mariadb"},
	{"TLS, as the URL says", tls, .only = "mariadb"},
	{"asked for, it is TLS or no connection", tls_or_nothing, .only = "mariadb"},
	{"a statement is ended by TLS as well", interrupted_by_tls, .only = "mariadb"},
	{"a password from ~/.my.cnf, and what the URL says wins", password_from_a_file,
	 .only = "mariadb"},
};

ENGINE_MAIN(tests)
