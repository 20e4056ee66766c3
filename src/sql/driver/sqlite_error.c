/*
 * SQLite's result codes to amend's statuses, with the nearest SQLSTATE.
 * Leaves what to do about them to the callers.
 */
#include "sql/driver/sqlite.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sql/sqlstate.h"

struct meaning {
	int code; /* extended, or a primary one */
	enum amend_status status;
	const char *sqlstate;
	const char *hint;
};

/* The extended codes first: the first line that fits is taken. */
static const struct meaning meanings[] = {
	{SQLITE_CONSTRAINT_UNIQUE, AMEND_CONSTRAINT, AMEND_SQLSTATE_UNIQUE, NULL},
	{SQLITE_CONSTRAINT_PRIMARYKEY, AMEND_CONSTRAINT, AMEND_SQLSTATE_UNIQUE, NULL},
	{SQLITE_CONSTRAINT_ROWID, AMEND_CONSTRAINT, AMEND_SQLSTATE_UNIQUE, NULL},
	{SQLITE_CONSTRAINT_NOTNULL, AMEND_CONSTRAINT, AMEND_SQLSTATE_NOT_NULL, NULL},
	{SQLITE_CONSTRAINT_FOREIGNKEY, AMEND_CONSTRAINT, AMEND_SQLSTATE_FOREIGN_KEY, NULL},
	{SQLITE_CONSTRAINT_CHECK, AMEND_CONSTRAINT, AMEND_SQLSTATE_CHECK, NULL},
	{SQLITE_CONSTRAINT_DATATYPE, AMEND_INVALID, AMEND_SQLSTATE_BAD_TEXT, NULL},
	{SQLITE_BUSY_SNAPSHOT, AMEND_RETRY, AMEND_SQLSTATE_SERIALIZATION,
	 "the database has changed since this transaction read it"},
	{SQLITE_READONLY_DBMOVED, AMEND_DENIED, AMEND_SQLSTATE_READ_ONLY,
	 "the file was moved or removed while it was open"},
	{SQLITE_READONLY_DIRECTORY, AMEND_DENIED, AMEND_SQLSTATE_READ_ONLY,
	 "the folder must be writable too"},
	{SQLITE_ABORT_ROLLBACK, AMEND_RETRY, AMEND_SQLSTATE_SERIALIZATION, NULL},

	{SQLITE_CONSTRAINT, AMEND_CONSTRAINT, AMEND_SQLSTATE_CONSTRAINT, NULL},
	{SQLITE_MISMATCH, AMEND_INVALID, AMEND_SQLSTATE_BAD_TEXT, NULL},
	{SQLITE_TOOBIG, AMEND_INVALID, AMEND_SQLSTATE_TOO_LONG, NULL},
	{SQLITE_RANGE, AMEND_INVALID, AMEND_SQLSTATE_DATA, NULL},
	{SQLITE_BUSY, AMEND_LOCKED, AMEND_SQLSTATE_LOCKED, NULL},
	{SQLITE_LOCKED, AMEND_LOCKED, AMEND_SQLSTATE_LOCKED, NULL},
	{SQLITE_PROTOCOL, AMEND_LOCKED, AMEND_SQLSTATE_LOCKED, NULL},
	{SQLITE_SCHEMA, AMEND_RETRY, AMEND_SQLSTATE_SERIALIZATION, NULL},
	{SQLITE_INTERRUPT, AMEND_INTERRUPTED, AMEND_SQLSTATE_INTERRUPTED, NULL},
	{SQLITE_READONLY, AMEND_DENIED, AMEND_SQLSTATE_READ_ONLY, NULL},
	{SQLITE_PERM, AMEND_DENIED, AMEND_SQLSTATE_DENIED, NULL},
	{SQLITE_AUTH, AMEND_DENIED, AMEND_SQLSTATE_DENIED, NULL},
	{SQLITE_CANTOPEN, AMEND_DENIED, AMEND_SQLSTATE_DENIED,
	 "the folder must be writable too, for the journal"},
	{SQLITE_FULL, AMEND_INTERNAL, AMEND_SQLSTATE_DISK_FULL, NULL},
	{SQLITE_NOTADB, AMEND_INVALID, "", NULL},
	{SQLITE_CORRUPT, AMEND_INTERNAL, "XX001", "try PRAGMA integrity_check, and a backup"},
	{SQLITE_IOERR, AMEND_INTERNAL, "58030", NULL},
	{SQLITE_NOMEM, AMEND_NO_MEMORY, "", NULL},
};

static const struct meaning *find(int extended)
{
	for (size_t pass = 0; pass < 2; pass++) {
		int code = pass == 0 ? extended : extended & 0xff;

		for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
			if (meanings[i].code == code)
				return &meanings[i];
		}
	}
	return NULL;
}

enum amend_status amend_sqlite_error(struct amend_error *err, enum amend_status status,
				     const char *sqlstate, const char *format, ...)
{
	char text[sizeof(err->text)];
	va_list args;

	va_start(args, format);
	if (vsnprintf(text, sizeof(text), format, args) < 0)
		text[0] = '\0';
	va_end(args);
	amend_error_set(err, status, "%s", text);
	snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", sqlstate);
	return status;
}

enum amend_status amend_sqlite_stopped(const struct amend_session *session, struct amend_error *err)
{
	if (atomic_load(&session->interrupted))
		return amend_sqlite_error(err, AMEND_INTERRUPTED, AMEND_SQLSTATE_INTERRUPTED,
					  "interrupted");
	if (session->time_limit != 0 && amend_turn_clock() >= session->time_limit)
		return amend_sqlite_error(err, AMEND_INTERRUPTED, AMEND_SQLSTATE_INTERRUPTED,
					  "the unit's time limit has passed");
	return AMEND_OK;
}

/* SQLITE_ERROR says nothing by itself: what was prepared is wrong SQL, what ran met a wrong value. */
static enum amend_status plain_error(const char *text, enum amend_sqlite_phase phase,
				     struct amend_error *err)
{
	if (strncmp(text, "no such table", 13) == 0)
		return amend_sqlite_error(err, AMEND_NOT_FOUND, AMEND_SQLSTATE_NO_TABLE, "%s", text);
	if (strncmp(text, "unknown database", 16) == 0)
		return amend_sqlite_error(err, AMEND_NOT_FOUND, AMEND_SQLSTATE_NO_SCHEMA, "%s",
					  text);
	return amend_sqlite_error(err, AMEND_INVALID,
				  phase == AMEND_SQLITE_PREPARING ? AMEND_SQLSTATE_SYNTAX
								  : AMEND_SQLSTATE_DATA,
				  "%s", text);
}

/* What our handlers make SQLite say when they end a wait, or a statement. */
static bool may_be_ours(int extended)
{
	return (extended & 0xff) == SQLITE_BUSY || (extended & 0xff) == SQLITE_INTERRUPT;
}

enum amend_status amend_sqlite_fail(struct amend_session *session, int rc,
				    enum amend_sqlite_phase phase, bool upgrade,
				    struct amend_error *err)
{
	int extended = sqlite3_extended_errcode(session->db);
	const char *text = sqlite3_errmsg(session->db);
	const struct meaning *meaning;

	/* Where the handle's own memory of the error is another's, what the call returned counts. */
	if ((extended & 0xff) != (rc & 0xff)) {
		extended = rc;
		text = sqlite3_errstr(rc);
	}
	meaning = find(extended);
	if ((extended & 0xff) == SQLITE_ERROR)
		plain_error(text, phase, err);
	else if (extended == SQLITE_CONSTRAINT_TRIGGER &&
		 strncmp(text, AMEND_SQLITE_STALE, strlen(AMEND_SQLITE_STALE)) == 0)
		amend_sqlite_error(err, AMEND_STALE, AMEND_SQLSTATE_STALE, "%s",
				   text + strlen(AMEND_SQLITE_STALE));
	else if (!meaning)
		amend_sqlite_error(err, AMEND_INTERNAL, "", "%s", text);
	else if (may_be_ours(extended) && amend_sqlite_stopped(session, err) != AMEND_OK)
		; /* said already */
	else if (meaning->status == AMEND_LOCKED && upgrade)
		/* No handler is asked then: waiting while reading could only be mended by the other's rollback. */
		amend_sqlite_error(err, AMEND_RETRY, AMEND_SQLSTATE_SERIALIZATION,
				   "%s: another connection writes, and this transaction has read "
				   "already",
				   text);
	else
		amend_sqlite_error(err, meaning->status, meaning->sqlstate, "%s%s%s%s", text,
				   meaning->hint ? " (hint: " : "",
				   meaning->hint ? meaning->hint : "", meaning->hint ? ")" : "");
	err->native = extended;
	return err->status;
}
