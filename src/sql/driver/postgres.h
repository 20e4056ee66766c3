/*
 * What the files of the PostgreSQL driver share. libpq 14 or newer (pipeline
 * mode), a server of version 13 or newer.
 */
#ifndef AMEND_SQL_DRIVER_POSTGRES_H
#define AMEND_SQL_DRIVER_POSTGRES_H

#include <stdatomic.h>

#include <libpq-fe.h>

#include "core/buffer.h"
#include "sql/driver.h"
#include "sql/sqlstate.h"

/* pg_type.oid of built-in types: fixed for ever by pg_type.dat. */
enum amend_postgres_type {
	AMEND_PG_BOOL = 16,
	AMEND_PG_BYTEA = 17,
	AMEND_PG_INT8 = 20,
	AMEND_PG_INT2 = 21,
	AMEND_PG_INT4 = 23,
	AMEND_PG_TEXT = 25,
	AMEND_PG_OID = 26,
	AMEND_PG_JSON = 114,
	AMEND_PG_FLOAT4 = 700,
	AMEND_PG_FLOAT8 = 701,
	AMEND_PG_BPCHAR = 1042,
	AMEND_PG_VARCHAR = 1043,
	AMEND_PG_DATE = 1082,
	AMEND_PG_TIME = 1083,
	AMEND_PG_TIMESTAMP = 1114,
	AMEND_PG_TIMESTAMPTZ = 1184,
	AMEND_PG_TIMETZ = 1266,
	AMEND_PG_BIT = 1560,
	AMEND_PG_VARBIT = 1562,
	AMEND_PG_NUMERIC = 1700,
	AMEND_PG_UUID = 2950,
	AMEND_PG_JSONB = 3802,
};

/* How long one of several hosts may take to answer; in seconds, as libpq counts. */
#define AMEND_PG_HOST_S "2"
enum { AMEND_PG_HOST_MS = 2000 };

enum { AMEND_PG_PREPARED = 128, AMEND_PG_PINS = 12 };

/* A statement's text that has come before; from the second time on it has a name on the server. */
struct amend_postgres_prepared {
	char *sql; /* NULL: a free place */
	uint64_t last_use;
	unsigned number; /* its name is amend_NUMBER: */
	char name[20];
	bool prepared;
};

/* Which history a server writes on; postgres_hosts.c. */
struct amend_postgres_branch {
	char system[24];  /* the same of all that were copied from one */
	int64_t timeline; /* 0: not known, or not a primary */
	unsigned oldest;  /* amend_session.oldest there */
};

struct amend_session {
	PGconn *conn;
	PGcancel *cancel;
	bool adopted;
	bool nameless; /* prepares nothing: adopted, or something in between loses what is prepared */
	bool broken;   /* libpq and we disagree on what comes next: treated as lost */
	bool read_only; /* what the caller asked for at open */
	int lock_timeout_ms;

	/* postgres_pins.c: whom it is connected to, for peer */
	int process;      /* 0: not known, something in between hands out numbers of its own */
	char server[96];  /* what tells it from others, a restarted one included.. */
	unsigned servers; /* ..and how many it has been so far */
	unsigned oldest; /* of those, the first from which on each was promoted to follow the one before it */

	/* postgres_hosts.c; opened: */
	PQconninfoOption *settings;          /* with all that were named */
	int hosts;                           /* how many */
	struct amend_postgres_branch branch; /* of several, where the last one was that was used */

	bool unconfirmed; /* a COMMIT since this was last cleared did not wait for its standby to the end */

	/* postgres_pins.c */
	bool stale_pins;      /* opened: a statement may have changed a setting that we pinned */
	bool pinned;          /* adopted: `saved` holds what unpin restores */
	bool pinned_local;    /* for the application's transaction only */
	bool timeout_changed; /* since pin: set_lock_timeout was called */
	char *saved[AMEND_PG_PINS]; /* NULL: was ours already */

	/* postgres_run.c */
	uint64_t hashes[AMEND_PG_PREPARED];
	struct amend_postgres_prepared prepared[AMEND_PG_PREPARED];
	uint64_t uses;
	unsigned last_number;

	/* For interrupt: something of ours is being waited for; a request to cancel is on its way. */
	atomic_bool busy;
	atomic_int cancelling;
};

/* postgres_error.c */

/* The SQLSTATE's meaning, see sql/sqlstate.h. */
enum amend_status amend_postgres_status(const char *sqlstate);
/* From a result that failed; from the connection where the result says nothing. */
enum amend_status amend_postgres_error(struct amend_session *session, const PGresult *result,
				       struct amend_error *err);
/* Sets the status, text and SQLSTATE at once. */
enum amend_status amend_postgres_fail(struct amend_error *err, enum amend_status status,
				      const char *sqlstate, const char *text);
/* From a connection that did not come about; `url` only to keep its secrets out of the text. */
enum amend_status amend_postgres_open_error(PGconn *conn, const char *url, struct amend_error *err);

/* postgres.c: for PQsetNoticeReceiver of what amend opened; `context` is the session, or NULL. */
void amend_postgres_notice(void *context, const PGresult *result);

/* postgres_again.c: driver.reconnect, driver.peer, dialect.peer_there */

extern const char amend_postgres_peer_there[];
int64_t amend_postgres_peer(const struct amend_session *session);
enum amend_status amend_postgres_reconnect(struct amend_session *session, int limit_ms,
					   bool (*stop)(const void *context), const void *context,
					   struct amend_error *err) AMEND_CHECK;

/* postgres_hosts.c */

/*
 * Another connection with the same settings, to the host-th of those named (-1: the one in use); `attrs`, where given, stands for
 * its target_session_attrs. NULL: no memory.
 */
PGconn *amend_postgres_connect_like(const struct amend_session *session, int host,
				    const char *attrs, bool wait);
int amend_postgres_count_hosts(const PQconninfoOption *options);
/* As it was when it last answered; false where it does not say (before version 14). */
bool amend_postgres_is_standby(const PGconn *conn);
/* A query, and its answer. */
extern const char amend_postgres_branch_sql[];
void amend_postgres_keep_branch(const PGresult *result, struct amend_postgres_branch *out);
enum amend_status amend_postgres_branch(struct amend_session *session,
					struct amend_postgres_branch *out, struct amend_error *err);
/* After a COMMIT: OUTCOME_UNKNOWN where it did not wait for its standby to the end. */
enum amend_status amend_postgres_confirmed(struct amend_session *session, struct amend_error *err);
/* UNREACHABLE: what was lost cannot go on there. */
enum amend_status amend_postgres_check_branch(const struct amend_session *session,
					      const struct amend_postgres_branch *found,
					      struct amend_error *err);

/* postgres_run.c */

bool amend_postgres_lost(const struct amend_session *session);
enum amend_tx amend_postgres_state(const struct amend_session *session);
/* driver.run; `together`: one round trip also where no transaction is open, all or nothing (for reading). */
enum amend_status amend_postgres_run(struct amend_session *session,
				     const struct amend_statement *statements, size_t n,
				     struct amend_rows *rows, size_t *failed, bool together,
				     struct amend_error *err);
/* Text of our own making, which may hold several statements; `last` (may be NULL) gets the last one's result, or NULL. */
enum amend_status amend_postgres_exec_last(struct amend_session *session, const char *sql,
					   PGresult **last, struct amend_error *err);
/* The same for `tag` (may be NULL, 32 bytes), the last one's. */
enum amend_status amend_postgres_exec(struct amend_session *session, const char *sql, char *tag,
				      struct amend_error *err);
/* Whether a statement may be sent now; pins what no longer stands. */
enum amend_status amend_postgres_ready(struct amend_session *session, struct amend_error *err);
/* Whether the protocol can carry them. */
enum amend_status amend_postgres_check_values(const struct amend_statement *statement,
					      struct amend_error *err);
/* After an error: UNREACHABLE becomes OUTCOME_UNKNOWN where the statement may have committed. */
void amend_postgres_judge_loss(const struct amend_session *session,
			       const struct amend_statement *statement, enum amend_tx before,
			       struct amend_error *err);
/* Around each wait for the server, for interrupt. */
void amend_postgres_enter(struct amend_session *session);
void amend_postgres_leave(struct amend_session *session);

/* postgres_scan.c: driver.scan */

enum amend_status amend_postgres_columns(struct amend_session *session, const char *sql,
					 amend_name_fn each, void *context,
					 struct amend_error *err) AMEND_CHECK;
enum amend_status amend_postgres_scan(struct amend_session *session,
				      const struct amend_statement *statement, amend_row_fn each,
				      void *context, struct amend_error *err);

/* postgres_load.c: driver.load */

enum amend_status amend_postgres_load(struct amend_session *session, const struct amend_load *load,
				      struct amend_error *err);

/* postgres_names.c */

/* How one statement is sent. */
struct amend_postgres_plan {
	struct amend_postgres_prepared *entry; /* NULL: without a name */
	bool prepare;                          /* the name is to be made first */
	unsigned evict; /* the number of a name to be given up before that; 0: none */
};

struct amend_postgres_plan amend_postgres_plan(struct amend_session *session,
					       const struct amend_statement *statement);
/* Whether the error says that a name, or the plan behind it, is gone; then it is forgotten here too. */
bool amend_postgres_renew(struct amend_session *session, struct amend_postgres_prepared *entry,
			  const PGresult *result);
/* Forgets all names, which the server has forgotten as well. */
void amend_postgres_forget(struct amend_session *session);
/* Whether the statement's first word is one of `words`, which NULL ends. */
bool amend_postgres_begins(const char *sql, const char *const *words);

/* postgres_alters.c: driver.alters */

enum amend_alters amend_postgres_alters(const char *sql);

/* postgres_value.c */

/* A statement's values as libpq wants them; they are the arena's, or the statement's. */
struct amend_postgres_params {
	const char **values;
	int *lengths, *formats;
	size_t bytes;
};
/* False: no memory. */
bool amend_postgres_params(struct amend_arena *arena, const struct amend_statement *statement,
			   struct amend_postgres_params *out);
/* As text that PostgreSQL reads, NUL-terminated; NULL for SQL's NULL and, with `failed` set, without memory. */
const char *amend_postgres_text(struct amend_arena *arena, const struct amend_value *value,
				bool *failed);
/* Takes `result` over (also when it fails) and hands its cells out. */
enum amend_status amend_postgres_rows(PGresult *result, struct amend_rows *rows,
				      struct amend_error *err);

/* postgres_asis.c */

/* Whether the input is its own canonical form; it has no NUL byte. False: it may be, all the same. */
bool amend_postgres_as_is(bool utf8, const struct amend_canon *item);
/* The numbers of `(n)` or `(p,s)` in a type's text; returns how many there are. */
int amend_postgres_modifiers(const char *type, long out[2]);
/* Counts characters; `after` is where the one behind the first `limit` begins. False: not UTF-8. */
bool amend_postgres_count(const char *text, size_t size, size_t limit, size_t *count, size_t *after);
/* "dd", from `least` to below `limit`. */
bool amend_postgres_two_digits(const char *text, int least, int limit);
/* YYYY-MM-DD, a day that there was since year 1. Looks at ten bytes. */
bool amend_postgres_is_date(const char *text);

/* postgres_pins.c */

enum amend_status amend_postgres_pin_opened(struct amend_session *session, struct amend_error *err);
/* As far as it can be known without asking. */
bool amend_postgres_pins_stand(const struct amend_session *session);
enum amend_status amend_postgres_pin(struct amend_session *session, struct amend_error *err);
enum amend_status amend_postgres_unpin(struct amend_session *session, struct amend_error *err);

/* postgres_describe.c, postgres_canon.c, postgres_check.c: the driver's functions of these names */

/* Of its triggers, as driver.guard_state has it. */
void amend_postgres_guard_state(struct amend_sql *sql, const struct amend_table *table);
enum amend_status amend_postgres_describe(struct amend_session *session, const char *schema,
					  const char *name, struct amend_arena *arena,
					  struct amend_table *table, bool *visible,
					  struct amend_error *err);
enum amend_status amend_postgres_canonicalise(struct amend_session *session,
					      struct amend_canon *items, size_t n,
					      struct amend_arena *arena, struct amend_error *err);
enum amend_status amend_postgres_check(struct amend_session *session,
				       void (*each)(void *context, enum amend_level level,
						    const char *topic, const char *text),
				       void *context, struct amend_error *err);

/* postgres_json.c: driver.json_of */
void amend_postgres_json_of(struct amend_sql *sql, const struct amend_column *column,
			    const char *prefix);

/* postgres_local.c */

enum amend_postgres_local {
	AMEND_LOCAL_DONE,    /* `out` is set */
	AMEND_LOCAL_PROBLEM, /* `problem` is set */
	AMEND_LOCAL_ASK,     /* only the server knows */
	AMEND_LOCAL_NO_MEMORY,
};

/* The canonical form where it is known without asking. `text` is the input as text, NUL-terminated. */
enum amend_postgres_local amend_postgres_local(bool utf8, struct amend_canon *item,
					       const char *text, struct amend_arena *arena);

/* postgres_violations.c; what it shares with postgres_refers.c is in postgres_violations.h */

enum amend_status amend_postgres_violations(struct amend_session *session,
					    const struct amend_wish *wish,
					    struct amend_violations *list, struct amend_error *err);

/* postgres_guard.c */

enum amend_status amend_postgres_guard_column(const struct amend_table *table, const char *name,
					      int64_t ms, struct amend_arena *arena,
					      struct amend_column *column, const char **statements,
					      struct amend_error *err);
enum amend_status amend_postgres_guard_parts(struct amend_session *session,
					     const struct amend_guard_spec *spec,
					     struct amend_arena *arena,
					     struct amend_guard_part **out, size_t *n,
					     struct amend_error *err);
enum amend_status amend_postgres_guard_found(struct amend_session *session,
					     const struct amend_table *table,
					     struct amend_arena *arena,
					     struct amend_guard_found **out, size_t *n,
					     struct amend_error *err);

#endif
