/*
 * The session settings on which equal text proves equal values: pinned for good on opened
 * connections, for the time of a call on adopted ones.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rows.h"
#include "sql/driver/mariadb.h"

/*
 * In the server's own order, for them to be compared. Strict, so that nothing is cut or rounded into a column in silence. Quotes, `||` and backslashes as the
 * standard has them; a 0 written to an AUTO_INCREMENT column is a 0, for a record that comes back.
 */
#define MODE                                                                                              \
	"PIPES_AS_CONCAT,ANSI_QUOTES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO," \
	"NO_ENGINE_SUBSTITUTION,NO_BACKSLASH_ESCAPES"

/* Settings, in the order in which they are asked for; numbers stand without quotes. */
enum {
	NUMBER = 1,
	NEXT = 2, /* of the next transaction, or the open one's end: left alone while one is open */
	NEWER = 4,  /* not every server has it: session.snapshots */
	JOINED = 8, /* nor this: session.joins */
};

static const struct {
	const char *name, *value;
	unsigned is;
} settings[] = {
	{"character_set_client", "utf8mb4", 0},
	{"character_set_results", "utf8mb4", 0},
	/* Byte by byte, and a space at the end counts. A column's own collation wins over it. */
	{"collation_connection", "utf8mb4_nopad_bin", 0},
	{"time_zone", "+00:00", 0},
	{"sql_mode", MODE, 0},
	{"sql_select_limit", "18446744073709551615", NUMBER},
	{"sql_safe_updates", "0", NUMBER},
	{"sql_auto_is_null", "0", NUMBER},
	/* Some of its messages are read. */
	{"lc_messages", "en_US", 0},
	{"tx_isolation", "READ-COMMITTED", NEXT},
	{"completion_type", "NO_CHAIN", NEXT},
	/* At REPEATABLE READ the first to change a row wins, and who has not seen it is told (1020). */
	{"innodb_snapshot_isolation", "1", NUMBER | NEWER},
	/* A node of a Galera cluster answers once it has what any other one had acknowledged: reads, updates, deletions, insertions. */
	{"wsrep_sync_wait", "7", NUMBER | JOINED},
	/* It would do a statement again by itself, also where it has just undone the transaction that it stood in. */
	{"wsrep_retry_autocommit", "0", NUMBER | JOINED},
};

enum { N_SETTINGS = sizeof(settings) / sizeof(settings[0]), LEVEL = 9, NO_LIMIT_S = 100000000 };

static void add_setting(struct amend_buffer *sql, size_t i, const char *value)
{
	amend_buffer_printf(sql, "%s%s = ", sql->size > 4 ? ", " : "", settings[i].name);
	if (!(settings[i].is & NUMBER))
		amend_buffer_char(sql, '\'');
	amend_buffer_text(sql, value);
	if (!(settings[i].is & NUMBER))
		amend_buffer_char(sql, '\'');
}

/* 0 is "not at all" to the server as well; milliseconds it does not know. */
static int whole_seconds(int ms)
{
	return ms < 0 ? NO_LIMIT_S : ms / 1000 + (ms % 1000 != 0);
}

enum amend_status amend_mariadb_wait(struct amend_session *session, int ms, struct amend_error *err)
{
	int seconds = whole_seconds(ms);
	char sql[128];
	enum amend_status status;

	if (session->wait_s == seconds)
		return AMEND_OK;
	session->wait_s = -1;
	/* The second is for the locks that DDL takes, which counts a year at most. */
	snprintf(sql, sizeof(sql), "SET innodb_lock_wait_timeout = %d, lock_wait_timeout = %d",
		 seconds, seconds < 31536000 ? seconds : 31536000);
	status = amend_mariadb_exec(session, sql, err);
	if (status == AMEND_OK)
		session->wait_s = seconds;
	return status;
}

static enum amend_status has_setting(struct amend_session *session, const char *ask, bool *has,
				     struct amend_error *err)
{
	enum amend_status status = amend_mariadb_exec(session, ask, err);

	*has = status == AMEND_OK;
	return *has || err->native == AMEND_MA_NO_SETTING ? AMEND_OK : status;
}

static bool is_there(const struct amend_session *session, size_t i)
{
	if (settings[i].is & NEWER)
		return session->snapshots;
	return !(settings[i].is & JOINED) || session->joins;
}

/* Which server this is, and what it takes. Another one may have another number for the same connection. */
static enum amend_status look_at_server(struct amend_session *session, struct amend_error *err)
{
	static const char sql[] = AMEND_MA_WHICH_SERVER ", @@max_allowed_packet";
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_mariadb_ask(session, sql, NULL, 0, &rows, err);

	session->joined = session->no_arrays = false;
	if (status == AMEND_OK && rows.n_rows == 1) {
		amend_mariadb_quiet(session);
		snprintf(session->server, sizeof(session->server), "%s",
			 amend_rows_at(&rows, 0, 0)->as.text);
		session->most = (size_t)strtoull(amend_rows_at(&rows, 0, 1)->as.text, NULL, 10);
	}
	amend_rows_release(&rows);
	if (status != AMEND_OK)
		return status;
	status = has_setting(session, "DO @@innodb_snapshot_isolation", &session->snapshots, err);
	if (status == AMEND_OK)
		status = has_setting(session, "DO @@wsrep_sync_wait", &session->joins, err);
	if (status != AMEND_OK || !session->joins)
		return status;
	status = amend_mariadb_ask(session, "SELECT @@global.wsrep_on", NULL, 0, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 1) {
		int64_t on = 0;

		session->joined = amend_value_number(amend_rows_at(&rows, 0, 0), &on) && on;
	}
	amend_rows_release(&rows);
	return status;
}

static enum amend_status ask_server(struct amend_session *session, struct amend_error *err)
{
	enum amend_status status = look_at_server(session, err);

	/* Half of it is asked again. */
	if (status != AMEND_OK)
		session->server[0] = '\0';
	return status;
}

enum amend_status amend_mariadb_pin_opened(struct amend_session *session, struct amend_error *err)
{
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	enum amend_status status = ask_server(session, err);

	if (status != AMEND_OK)
		return status;
	session->wait_s = -1;
	amend_buffer_text(&sql, "SET ");
	for (size_t i = 0; i < N_SETTINGS; i++) {
		if (is_there(session, i))
			add_setting(&sql, i, settings[i].value);
	}
	/* A server may be set up otherwise. */
	amend_buffer_printf(&sql, ", autocommit = 1, tx_read_only = %d", session->read_only);
	status = sql.failed ? amend_no_memory(err) : amend_mariadb_exec(session, sql.data, err);
	amend_buffer_release(&sql);
	return status == AMEND_OK ? amend_mariadb_wait(session, session->lock_timeout_ms, err)
				  : status;
}

/* --- adopted ------------------------------------------------------------ */

static bool concerns(const struct amend_session *session, size_t i)
{
	if (!is_there(session, i))
		return false;
	return !(settings[i].is & NEXT) || amend_mariadb_state(session) == AMEND_TX_IDLE;
}

/* What is not ours goes to `ours` as it shall be, and to `theirs` as it was. */
static void compare(const struct amend_session *session, const struct amend_rows *rows,
		    struct amend_buffer *ours, struct amend_buffer *theirs)
{
	for (size_t i = 0; i < N_SETTINGS; i++) {
		const struct amend_value *value = amend_rows_at(rows, 0, i);
		const char *text = value->kind == AMEND_TEXT ? value->as.text : "";

		/* A SET TRANSACTION for the next one would be ours, if the session's level were not set anew. */
		if (!concerns(session, i) || (strcmp(text, settings[i].value) == 0 && i != LEVEL))
			continue;
		add_setting(ours, i, settings[i].value);
		add_setting(theirs, i, text);
	}
}

/* In the application's own transaction amend decides by what it reads there. */
static enum amend_status check_level(const struct amend_session *session, const char *level,
				     struct amend_error *err)
{
	if (amend_mariadb_state(session) != AMEND_TX_ACTIVE)
		return AMEND_OK;
	if (strcmp(level, "READ-UNCOMMITTED") == 0)
		return amend_error_set(
			err, AMEND_UNSUPPORTED,
			"the application's transaction reads what others have not committed, and "
			"what may be undone decides nothing (hint: READ COMMITTED)");
	if (strcmp(level, "REPEATABLE-READ") == 0 && !session->snapshots)
		return amend_mariadb_no_snapshots(err);
	return AMEND_OK;
}

/* What ends a statement may come too late, and end this one. */
static enum amend_status put_back(struct amend_session *session, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (int i = 0; i < 2 && session->saved; i++) {
		status = amend_mariadb_exec(session, session->saved, err);
		if (status != AMEND_OK && status != AMEND_INTERRUPTED)
			return status;
		if (status == AMEND_OK) {
			free(session->saved);
			session->saved = NULL;
		}
	}
	return status;
}

static enum amend_status ask_settings(struct amend_session *session, struct amend_rows *rows,
				      struct amend_error *err)
{
	struct amend_buffer ask = AMEND_BUFFER_INIT;
	enum amend_status status;

	amend_buffer_text(&ask, "SELECT ");
	for (size_t i = 0; i < N_SETTINGS; i++) {
		if (!is_there(session, i))
			amend_buffer_text(&ask, "NULL, ");
		else
			amend_buffer_printf(&ask, "@@%s, ", settings[i].name);
	}
	amend_buffer_text(&ask, "@@innodb_lock_wait_timeout, @@lock_wait_timeout, "
				"@@max_statement_time, @@last_insert_id");
	status = ask.failed ? amend_no_memory(err)
			    : amend_mariadb_ask(session, ask.data, NULL, 0, rows, err);
	amend_buffer_release(&ask);
	return status;
}

enum amend_status amend_mariadb_pin(struct amend_session *session, struct amend_error *err)
{
	struct amend_buffer ours = AMEND_BUFFER_INIT, theirs = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error ignored;
	enum amend_status status = AMEND_OK;

	session->wait_s = -1;
	session->insert_id = session->conn->insert_id;
	if (!*session->server)
		status = ask_server(session, err);
	/* Of a call before that could not. */
	if (status == AMEND_OK)
		status = put_back(session, err);
	if (status == AMEND_OK)
		status = ask_settings(session, &rows, err);
	if (status == AMEND_OK)
		status = check_level(session, amend_rows_at(&rows, 0, LEVEL)->as.text, err);
	amend_buffer_text(&ours, "SET ");
	amend_buffer_text(&theirs, "SET ");
	if (status == AMEND_OK) {
		compare(session, &rows, &ours, &theirs);
		amend_buffer_printf(&theirs,
				    "%sinnodb_lock_wait_timeout = %s, lock_wait_timeout = %s, "
				    "max_statement_time = %s, last_insert_id = %s",
				    theirs.size > 4 ? ", " : "",
				    amend_rows_at(&rows, 0, N_SETTINGS)->as.text,
				    amend_rows_at(&rows, 0, N_SETTINGS + 1)->as.text,
				    amend_rows_at(&rows, 0, N_SETTINGS + 2)->as.text,
				    amend_rows_at(&rows, 0, N_SETTINGS + 3)->as.text);
		if (ours.failed || theirs.failed)
			status = amend_no_memory(err);
	}
	amend_rows_release(&rows);
	if (status == AMEND_OK) {
		session->saved = theirs.data;
		theirs.data = NULL;
		if (ours.size > 4)
			status = amend_mariadb_exec(session, ours.data, err);
		if (status == AMEND_OK)
			status = amend_mariadb_wait(session, session->lock_timeout_ms, err);
		/* Nobody unpins what was not pinned. */
		if (status != AMEND_OK)
			(void)!put_back(session, &ignored);
	}
	amend_buffer_release(&ours);
	amend_buffer_release(&theirs);
	return status;
}

enum amend_status amend_mariadb_unpin(struct amend_session *session, struct amend_error *err)
{
	enum amend_status status = amend_mariadb_ready(session, err);

	if (status == AMEND_OK) {
		/* What is prepared was so under our settings, and the handle is the application's. */
		amend_mariadb_forget(session);
		status = session->begun ? AMEND_OK : amend_mariadb_autocommit(session, err);
		if (status == AMEND_OK)
			status = put_back(session, err);
		session->conn->insert_id = session->insert_id;
		/* What is asked for too late must not hit the application's next statement. */
		amend_mariadb_quiet(session);
	}
	session->wait_s = -1;
	return status;
}
