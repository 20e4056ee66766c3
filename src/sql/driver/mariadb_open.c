/*
 * Connecting to MariaDB: URLs, opening, adopting, opening again, closing, interrupting.
 * Leaves the session's settings to mariadb_pins.c.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "sql/driver/mariadb.h"

enum { OLDEST_SERVER = 100600, CONNECT_S = 10, BESIDE_TRIES = 10 };

static bool starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool amend_mariadb_accepts(const char *url)
{
	return starts(url, "mariadb://") || starts(url, "mysql://");
}

/* --- URLs --------------------------------------------------------------- */

static void place_release(struct amend_mariadb_place *place)
{
	free(place->host);
	free(place->user);
	free(place->password);
	free(place->database);
	free(place->socket);
	free(place->ca);
	free(place->capath);
	free(place->cert);
	free(place->key);
	*place = (struct amend_mariadb_place){.host = NULL};
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `size` bytes with their %XX decoded; NULL: malformed, or no memory. Of nothing, "". */
static char *decode(const char *text, size_t size)
{
	char *out = malloc(size + 1), *to = out;

	for (size_t i = 0; out && i < size; i++) {
		int high, low;

		if (text[i] != '%') {
			*to++ = text[i];
			continue;
		}
		high = i + 2 < size ? digit(text[i + 1]) : -1;
		low = i + 2 < size ? digit(text[i + 2]) : -1;
		if (high < 0 || low < 0 || (high == 0 && low == 0)) {
			free(out);
			return NULL;
		}
		*to++ = (char)(high * 16 + low);
		i += 2;
	}
	if (out)
		*to = '\0';
	return out;
}

/* Replaces `*to` unless there is nothing to put there. */
static bool put(char **to, const char *text, size_t size)
{
	if (size == 0)
		return true;
	free(*to);
	*to = decode(text, size);
	return *to != NULL;
}

static bool read_port(const char *text, size_t size, unsigned *port)
{
	unsigned long number = 0;

	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9' || number > 65535)
			return false;
		number = number * 10 + (unsigned long)(text[i] - '0');
	}
	*port = (unsigned)number;
	return size > 0 && number >= 1 && number <= 65535;
}

/* USER:PASSWORD@HOST:PORT */
static const char *read_authority(const char *text, size_t size, struct amend_mariadb_place *place)
{
	static const char *const malformed =
		"this is not a connection URI (hint: mariadb://USER:PASSWORD@HOST:PORT/NAME, "
		"with / @ : ? % and the like in user and password percent-encoded)";
	const char *at = memchr(text, '@', size), *colon, *host = at ? at + 1 : text;
	size_t left = size - (size_t)(host - text);

	if (at && memchr(host, '@', left))
		return malformed;
	if (at) {
		size_t length = (size_t)(at - text);

		colon = memchr(text, ':', length);
		if (!put(&place->user, text, colon ? (size_t)(colon - text) : length) ||
		    (colon && !put(&place->password, colon + 1, (size_t)(at - colon) - 1)))
			return malformed;
	}
	if (left > 0 && *host == '[') { /* an address of IPv6 */
		const char *end = memchr(host, ']', left);

		if (!end || !put(&place->host, host + 1, (size_t)(end - host) - 1))
			return malformed;
		left -= (size_t)(end + 1 - host);
		host = end + 1;
		colon = left > 0 && *host == ':' ? host : NULL;
		if (left > 0 && !colon)
			return malformed;
	} else {
		colon = memchr(host, ':', left);
		if (!put(&place->host, host, colon ? (size_t)(colon - host) : left))
			return malformed;
	}
	if (colon && !read_port(colon + 1, left - (size_t)(colon + 1 - host), &place->port))
		return "expected a port between 1 and 65535 in the connection URI (hint: percent-encode "
		       "/ @ : ? % and the like in user and password)";
	return NULL;
}

static bool read_switch(const char *text, size_t size, enum amend_mariadb_choice *to)
{
	*to = size == 1 && *text == '1' ? AMEND_MA_ON : AMEND_MA_OFF;
	return size == 1 && (*text == '0' || *text == '1');
}

/* Named as in my.cnf. */
static const char *read_option(const char *text, size_t size, struct amend_mariadb_place *place)
{
	const struct {
		const char *name;
		char **text;
		enum amend_mariadb_choice *choice;
	} options[] = {
		{"socket", &place->socket, NULL},
		{"user", &place->user, NULL},
		{"password", &place->password, NULL},
		{"ssl", NULL, &place->tls},
		{"ssl-ca", &place->ca, NULL},
		{"ssl-capath", &place->capath, NULL},
		{"ssl-cert", &place->cert, NULL},
		{"ssl-key", &place->key, NULL},
		{"ssl-verify-server-cert", NULL, &place->verify},
	};
	const char *equals = memchr(text, '=', size);
	size_t name = equals ? (size_t)(equals - text) : size;

	for (size_t i = 0; equals && i < sizeof(options) / sizeof(options[0]); i++) {
		const char *value = equals + 1;
		size_t length = size - name - 1;

		if (strlen(options[i].name) != name || strncmp(text, options[i].name, name) != 0)
			continue;
		if (options[i].choice && !read_switch(value, length, options[i].choice))
			return "expected 0 or 1 in the connection URI, for ssl and "
			       "ssl-verify-server-cert";
		if (options[i].text && !put(options[i].text, value, length))
			return "the connection URI has an option that is not percent-encoded well";
		return NULL;
	}
	return "the connection URI has an option that is not known (hint: socket, user, password, "
	       "ssl, ssl-ca, ssl-capath, ssl-cert, ssl-key, ssl-verify-server-cert)";
}

static const char *read_options(const char *text, struct amend_mariadb_place *place)
{
	const char *problem = NULL;
	bool named;

	while (*text && !problem) {
		size_t size = strcspn(text, "&");

		problem = read_option(text, size, place);
		text += size + (text[size] == '&');
	}
	named = place->ca || place->capath || place->cert || place->key ||
		place->verify == AMEND_MA_ON;
	if (!problem && named && place->tls == AMEND_MA_OFF)
		return "the connection URI asks for no TLS (ssl=0), and says how it shall be";
	/* Who names an authority means that it shall vouch for the server. */
	if (named)
		place->tls = AMEND_MA_ON;
	if ((place->ca || place->capath) && place->verify == AMEND_MA_UNSAID)
		place->verify = AMEND_MA_ON;
	return problem;
}

static enum amend_status read_url(const char *url, struct amend_mariadb_place *place,
				  struct amend_error *err)
{
	const char *authority = strstr(url, "//") + 2;
	size_t size = strcspn(authority, "/?");
	const char *path = authority + size, *problem;
	size_t path_size = strcspn(path, "?");

	problem = read_authority(authority, size, place);
	if (!problem && (path_size < 2 || !put(&place->database, path + 1, path_size - 1)))
		problem = "expected the name of a database in the connection URI (hint: "
			  "mariadb://HOST/NAME)";
	if (!problem && path[path_size] == '?')
		problem = read_options(path + path_size + 1, place);
	return problem ? amend_error_set(err, AMEND_INVALID, "%s", problem) : AMEND_OK;
}

/* --- connecting --------------------------------------------------------- */

static enum amend_status check_server(MYSQL *conn, struct amend_error *err)
{
	const char *version = mysql_get_server_info(conn);

	if (mariadb_connection(conn) && mysql_get_server_version(conn) >= OLDEST_SERVER)
		return AMEND_OK;
	return amend_error_set(err, AMEND_UNSUPPORTED, "expected MariaDB 10.6 or newer, found %s",
			       version ? version : "another server");
}

/* Text of a failed connection: the library names host and user, never the password. */
static enum amend_status open_error(MYSQL *conn, struct amend_error *err)
{
	unsigned code = mysql_errno(conn);

	amend_mariadb_meaning(code, mysql_sqlstate(conn), mysql_error(conn), err);
	if (code == 1049)
		memcpy(err->sqlstate, "3D000", sizeof(err->sqlstate));
	if (code == 1044)
		memcpy(err->sqlstate, AMEND_SQLSTATE_DENIED, sizeof(err->sqlstate));
	if (code == CR_SERVER_LOST || code == CR_SERVER_GONE_ERROR)
		memcpy(err->sqlstate, "08001", sizeof(err->sqlstate));
	return err->status;
}

/* Asked for, it is that or no connection. */
static void ask_for_tls(MYSQL *conn, const struct amend_mariadb_place *place)
{
	my_bool on = 1, verify = place->verify == AMEND_MA_ON;

	if (place->tls != AMEND_MA_ON)
		return;
	mysql_optionsv(conn, MYSQL_OPT_SSL_ENFORCE, &on);
	mysql_optionsv(conn, MYSQL_OPT_SSL_CA, place->ca);
	mysql_optionsv(conn, MYSQL_OPT_SSL_CAPATH, place->capath);
	mysql_optionsv(conn, MYSQL_OPT_SSL_CERT, place->cert);
	mysql_optionsv(conn, MYSQL_OPT_SSL_KEY, place->key);
	mysql_optionsv(conn, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
}

static MYSQL *connect_to(const struct amend_mariadb_place *place, unsigned limit_s,
			 struct amend_error *err)
{
	MYSQL *conn = mysql_init(NULL);
	my_bool off = 0, on = 1;

	if (!conn) {
		amend_no_memory(err);
		return NULL;
	}
	/* What the URI does not say, such as a password, may stand in ~/.my.cnf. */
	mysql_optionsv(conn, MYSQL_READ_DEFAULT_GROUP, "");
	mysql_optionsv(conn, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	mysql_optionsv(conn, MYSQL_OPT_CONNECT_TIMEOUT, &limit_s);
	mysql_optionsv(conn, MYSQL_OPT_LOCAL_INFILE, &(unsigned){0});
	mysql_optionsv(conn, MYSQL_REPORT_DATA_TRUNCATION, &on);
	ask_for_tls(conn, place);
	/* For "localhost" the library would take its own socket, whatever the port: another server's, perhaps. */
	if (place->port && !place->socket)
		mysql_optionsv(conn, MYSQL_OPT_PROTOCOL, &(unsigned){MYSQL_PROTOCOL_TCP});
	if (mysql_real_connect(conn, place->host, place->user, place->password, place->database,
			       place->port, place->socket, CLIENT_FOUND_ROWS)) {
		/* Whatever that file says. */
		mysql_optionsv(conn, MYSQL_OPT_RECONNECT, &off);
		return conn;
	}
	open_error(conn, err);
	mysql_close(conn);
	return NULL;
}

/* --- interrupt ---------------------------------------------------------- */

/* Behind one name there may be several servers, each with a connection of that number. */
static bool is_same_server(MYSQL *conn, const char *server)
{
	static const char sql[] = AMEND_MA_WHICH_SERVER;
	MYSQL_RES *result;
	MYSQL_ROW row;
	bool same;

	if (mysql_real_query(conn, sql, (unsigned long)strlen(sql)) != 0)
		return false;
	result = mysql_store_result(conn);
	row = result ? mysql_fetch_row(result) : NULL;
	same = row && row[0] && *server &&
	       strncmp(row[0], server, sizeof(((struct amend_session *)0)->server) - 1) == 0;
	if (result)
		mysql_free_result(result);
	return same;
}

/* NULL: it is not to be had, or no longer wanted. */
static MYSQL *connect_beside(struct amend_session *session)
{
	struct amend_error ignored;

	for (int i = 0; i < BESIDE_TRIES && atomic_load(&session->asked); i++) {
		MYSQL *conn = connect_to(&session->place, CONNECT_S, &ignored);

		if (!conn || is_same_server(conn, session->server))
			return conn;
		mysql_close(conn);
	}
	return NULL;
}

/*
 * Whoever is called by a signal can post to a semaphore and little else: a thread of the session's own
 * waits for it, and asks the server, on another connection, to end the statement. Again until it has:
 * the statement may not have reached the server when it is asked first.
 */
static void kill_statement(struct amend_session *session)
{
	MYSQL *conn = connect_beside(session);
	char sql[48];

	snprintf(sql, sizeof(sql), "KILL QUERY %lu", mysql_thread_id(session->conn));
	while (conn && atomic_load(&session->asked) && atomic_load(&session->busy)) {
		if (mysql_real_query(conn, sql, (unsigned long)strlen(sql)) != 0)
			break;
		amend_clock_sleep_ms(20);
	}
	if (conn)
		mysql_close(conn);
}

static void *killer(void *thing)
{
	struct amend_session *session = thing;

	mysql_thread_init();
	for (;;) {
		while (sem_wait(&session->wake) != 0)
			;
		if (atomic_load(&session->closing))
			break;
		atomic_store(&session->killing, true);
		if (atomic_load(&session->asked) && atomic_load(&session->busy))
			kill_statement(session);
		atomic_store(&session->killing, false);
	}
	mysql_thread_end();
	return NULL;
}

void amend_mariadb_interrupt(struct amend_session *session)
{
	if (!session->has_killer || !atomic_load(&session->busy))
		return;
	atomic_store(&session->asked, true);
	sem_post(&session->wake);
}

void amend_mariadb_quiet(struct amend_session *session)
{
	atomic_store(&session->asked, false);
	while (atomic_load(&session->killing))
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* What was asked for the statement before must not hit this one. */
void amend_mariadb_enter(struct amend_session *session)
{
	amend_mariadb_quiet(session);
	atomic_store(&session->busy, true);
}

void amend_mariadb_leave(struct amend_session *session)
{
	atomic_store(&session->busy, false);
	atomic_store(&session->asked, false);
}

/* --- sessions ----------------------------------------------------------- */

static struct amend_session *new_session(const struct amend_open_options *options, bool adopted)
{
	struct amend_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->adopted = adopted;
	session->pid = getpid();
	session->read_only = options->read_only;
	session->lock_timeout_ms = options->lock_timeout_ms;
	session->wait_s = -1;
	atomic_init(&session->busy, false);
	atomic_init(&session->asked, false);
	atomic_init(&session->closing, false);
	atomic_init(&session->killing, false);
	if (sem_init(&session->wake, 0, 0) != 0) {
		free(session);
		return NULL;
	}
	return session;
}

/* Signals are the application's threads' business. */
static bool start_killer(struct amend_session *session)
{
	sigset_t all, before;

	sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
		return false;
	session->has_killer = pthread_create(&session->killer, NULL, killer, session) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return session->has_killer;
}

/*
 * In a child, after fork(): the connection is the parent's, as are its statements, and what closing would send
 * goes nowhere.
 */
static void cut_off(struct amend_session *session)
{
	int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (session->conn && session->conn->net.pvio && nowhere >= 0)
		(void)dup2(nowhere, mysql_get_socket(session->conn));
	if (nowhere >= 0)
		close(nowhere);
}

void amend_mariadb_close(struct amend_session *session)
{
	if (!session)
		return;
	if (session->pid != getpid()) {
		/* The thread is the parent's. What the application has adopted stays whole: its statements are let go. */
		if (session->adopted)
			session->conn = NULL;
		else
			cut_off(session);
	} else if (session->has_killer) {
		atomic_store(&session->closing, true);
		sem_post(&session->wake);
		pthread_join(session->killer, NULL);
	}
	if (session->conn)
		amend_mariadb_forget(session);
	free(session->saved);
	if (!session->adopted && session->conn)
		mysql_close(session->conn);
	sem_destroy(&session->wake);
	place_release(&session->place);
	free(session);
}

enum amend_status amend_mariadb_open(const char *url, const struct amend_open_options *options,
				     struct amend_session **out, struct amend_error *err)
{
	struct amend_session *session = new_session(options, false);
	enum amend_status status;

	*out = NULL;
	if (!session)
		return amend_no_memory(err);
	status = read_url(url, &session->place, err);
	if (status == AMEND_OK) {
		session->conn = connect_to(&session->place, CONNECT_S, err);
		status = session->conn ? check_server(session->conn, err) : err->status;
	}
	if (status == AMEND_OK)
		status = amend_mariadb_pin_opened(session, err);
	if (status == AMEND_OK && !start_killer(session))
		status = amend_no_memory(err);
	if (status != AMEND_OK) {
		amend_mariadb_close(session);
		return status;
	}
	*out = session;
	return AMEND_OK;
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

enum amend_status amend_mariadb_adopt(void *handle, const struct amend_open_options *options,
				      struct amend_session **out, struct amend_error *err)
{
	MYSQL *conn = handle;
	struct amend_session *session;
	enum amend_status status;

	*out = NULL;
	if (!conn->net.pvio)
		return amend_mariadb_fail(err, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST,
					  "the application's connection is not open");
	if (!(conn->client_flag & CLIENT_FOUND_ROWS))
		return amend_error_set(
			err, AMEND_INVALID,
			"expected a connection that counts the rows it found, not those "
			"that differ (hint: mysql_real_connect with CLIENT_FOUND_ROWS)");
	status = check_server(conn, err);
	if (status != AMEND_OK)
		return status;
	session = new_session(options, true);
	if (!session)
		return amend_no_memory(err);
	session->conn = conn;
	session->place = (struct amend_mariadb_place){
		.host = copy(conn->host),
		.user = copy(conn->user),
		.password = copy(conn->passwd),
		.socket = copy(conn->unix_socket),
		.port = conn->port,
		.tls = mysql_get_ssl_cipher(conn) ? AMEND_MA_ON : AMEND_MA_UNSAID,
		.ca = copy(conn->options.ssl_ca),
		.capath = copy(conn->options.ssl_capath),
		.cert = copy(conn->options.ssl_cert),
		.key = copy(conn->options.ssl_key),
		.verify = conn->client_flag & CLIENT_SSL_VERIFY_SERVER_CERT ? AMEND_MA_ON
									    : AMEND_MA_UNSAID,
	};
	if (!start_killer(session)) {
		amend_mariadb_close(session);
		return amend_no_memory(err);
	}
	*out = session;
	return AMEND_OK;
}

enum amend_status amend_mariadb_reconnect(struct amend_session *session, int limit_ms,
					  bool (*stop)(const void *context), const void *context,
					  struct amend_error *err)
{
	unsigned limit_s = limit_ms < 1000 ? 1 : (unsigned)limit_ms / 1000;
	MYSQL *conn;

	if (stop(context))
		return amend_mariadb_fail(err, AMEND_INTERRUPTED, AMEND_SQLSTATE_INTERRUPTED,
					  "interrupted while the connection was opened again");
	session->lost = true;
	amend_mariadb_forget(session);
	conn = connect_to(&session->place, limit_s < CONNECT_S ? limit_s : CONNECT_S, err);
	if (!conn) {
		err->status = AMEND_UNREACHABLE;
		return err->status;
	}
	/* The killer asks for the old one's number as long as something runs: nothing does now. */
	mysql_close(session->conn);
	session->conn = conn;
	session->lost = session->begun = session->limited = false;
	session->manual = session->unsure = false;
	/* Without its settings it is none. */
	session->lost = amend_mariadb_pin_opened(session, err) != AMEND_OK;
	return session->lost ? err->status : AMEND_OK;
}
