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

/* In the order in which they are asked for; numbers stand without quotes. */
static const struct {
	const char *name, *value;
	bool number;
} settings[] = {
	{"character_set_client", "utf8mb4", false},
	{"character_set_results", "utf8mb4", false},
	/* Byte by byte, and a space at the end counts. A column's own collation wins over it. */
	{"collation_connection", "utf8mb4_nopad_bin", false},
	{"time_zone", "+00:00", false},
	{"sql_mode", MODE, false},
	{"tx_isolation", "READ-COMMITTED", false},
	{"sql_select_limit", "18446744073709551615", true},
	{"sql_safe_updates", "0", true},
};

enum { N_SETTINGS = sizeof(settings) / sizeof(settings[0]), NO_LIMIT_S = 100000000 };

static void add_setting(struct amend_buffer *sql, size_t i, const char *value)
{
	amend_buffer_printf(sql, "%s%s = ", sql->size > 4 ? ", " : "", settings[i].name);
	if (!settings[i].number)
		amend_buffer_char(sql, '\'');
	amend_buffer_text(sql, value);
	if (!settings[i].number)
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

enum amend_status amend_mariadb_pin_opened(struct amend_session *session, struct amend_error *err)
{
	struct amend_buffer sql = AMEND_BUFFER_INIT;
	enum amend_status status;

	session->wait_s = -1;
	session->limited = false;
	amend_buffer_text(&sql, "SET ");
	for (size_t i = 0; i < N_SETTINGS; i++)
		add_setting(&sql, i, settings[i].value);
	/* A server may be set up otherwise; and some of its messages are read. */
	amend_buffer_printf(&sql,
			    ", autocommit = 1, completion_type = 0, lc_messages = 'en_US', "
			    "tx_read_only = %d",
			    session->read_only);
	status = sql.failed ? amend_no_memory(err) : amend_mariadb_exec(session, sql.data, err);
	amend_buffer_release(&sql);
	return status == AMEND_OK ? amend_mariadb_wait(session, session->lock_timeout_ms, err)
				  : status;
}

/* --- adopted ------------------------------------------------------------ */

/* What is not ours goes to `ours` as it shall be, and to `theirs` as it was. */
static void compare(const struct amend_rows *rows, struct amend_buffer *ours,
		    struct amend_buffer *theirs)
{
	for (size_t i = 0; i < N_SETTINGS; i++) {
		const struct amend_value *value = amend_rows_at(rows, 0, i);
		const char *text = value->kind == AMEND_TEXT ? value->as.text : "";

		if (strcmp(text, settings[i].value) == 0)
			continue;
		add_setting(ours, i, settings[i].value);
		add_setting(theirs, i, text);
	}
}

enum amend_status amend_mariadb_pin(struct amend_session *session, struct amend_error *err)
{
	struct amend_buffer ask = AMEND_BUFFER_INIT, ours = AMEND_BUFFER_INIT;
	struct amend_buffer theirs = AMEND_BUFFER_INIT;
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;

	session->wait_s = -1;
	amend_buffer_text(&ask, "SELECT ");
	for (size_t i = 0; i < N_SETTINGS; i++)
		amend_buffer_printf(&ask, "@@%s, ", settings[i].name);
	amend_buffer_text(&ask,
			  "@@innodb_lock_wait_timeout, @@lock_wait_timeout, @@max_statement_time");
	amend_buffer_text(&ours, "SET ");
	amend_buffer_text(&theirs, "SET ");
	status = ask.failed ? amend_no_memory(err)
			    : amend_mariadb_ask(session, ask.data, NULL, 0, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 1) {
		compare(&rows, &ours, &theirs);
		amend_buffer_printf(&theirs,
				    "%sinnodb_lock_wait_timeout = %s, lock_wait_timeout = %s, "
				    "max_statement_time = %s",
				    theirs.size > 4 ? ", " : "",
				    amend_rows_at(&rows, 0, N_SETTINGS)->as.text,
				    amend_rows_at(&rows, 0, N_SETTINGS + 1)->as.text,
				    amend_rows_at(&rows, 0, N_SETTINGS + 2)->as.text);
		if (ours.failed || theirs.failed)
			status = amend_no_memory(err);
		else if (ours.size > 4)
			status = amend_mariadb_exec(session, ours.data, err);
	}
	if (status == AMEND_OK) {
		free(session->saved);
		session->saved = theirs.data;
		theirs.data = NULL;
		status = amend_mariadb_wait(session, session->lock_timeout_ms, err);
	}
	amend_rows_release(&rows);
	amend_buffer_release(&ask);
	amend_buffer_release(&ours);
	if (theirs.data)
		amend_buffer_release(&theirs);
	return status;
}

enum amend_status amend_mariadb_unpin(struct amend_session *session, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	/* What is prepared was so under our settings, and the handle is the application's. */
	amend_mariadb_forget(session);
	if (session->saved && !session->lost)
		status = amend_mariadb_exec(session, session->saved, err);
	free(session->saved);
	session->saved = NULL;
	session->wait_s = -1;
	return session->lost && status == AMEND_OK
		       ? amend_mariadb_fail(err, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST,
					    "the connection is gone")
		       : status;
}
