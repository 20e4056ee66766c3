/*
 * Running statements: prepared on the server, the last ones kept; scanning; naming columns.
 * Leaves reading rows to mariadb_fetch.c and the meaning of errors to mariadb_error.c.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/rows.h"
#include "sql/driver/mariadb.h"
#include "sql/sql.h"

enum { ROOM_FOR_VALUES = 24 };

enum amend_tx amend_mariadb_state(const struct amend_session *session)
{
	if (session->lost)
		return AMEND_TX_LOST;
	/* Who has turned autocommit off ends transactions by himself, also one that has not begun to read. */
	if (session->adopted && !(session->conn->server_status & SERVER_STATUS_AUTOCOMMIT))
		return AMEND_TX_ACTIVE;
	return session->conn->server_status & SERVER_STATUS_IN_TRANS ? AMEND_TX_ACTIVE
								     : AMEND_TX_IDLE;
}

static enum amend_status ready(const struct amend_session *session, struct amend_error *err)
{
	if (!session->lost)
		return AMEND_OK;
	return amend_mariadb_fail(err, AMEND_UNREACHABLE, AMEND_SQLSTATE_LOST,
				  "the connection is gone");
}

enum amend_status amend_mariadb_exec(struct amend_session *session, const char *sql,
				     struct amend_error *err)
{
	enum amend_status status = ready(session, err);

	if (status != AMEND_OK)
		return status;
	amend_mariadb_enter(session);
	if (mysql_real_query(session->conn, sql, (unsigned long)strlen(sql)) != 0)
		status = amend_mariadb_error(session, NULL, err);
	amend_mariadb_leave(session);
	return status;
}

/* --- what is prepared --------------------------------------------------- */

static void close_prepared(struct amend_mariadb_prepared *entry)
{
	if (entry->sql)
		mysql_stmt_close(entry->stmt);
	free(entry->sql);
	*entry = (struct amend_mariadb_prepared){.sql = NULL};
}

void amend_mariadb_forget(struct amend_session *session)
{
	for (size_t i = 0; i < AMEND_MA_PREPARED; i++)
		close_prepared(&session->prepared[i]);
}

static struct amend_mariadb_prepared *find(struct amend_session *session, const char *sql,
					   uint64_t hash)
{
	for (size_t i = 0; i < AMEND_MA_PREPARED; i++) {
		struct amend_mariadb_prepared *entry = &session->prepared[i];

		if (entry->sql && entry->hash == hash && strcmp(entry->sql, sql) == 0)
			return entry;
	}
	return NULL;
}

/* Keeps it in the place that was used longest ago; false: nothing is kept. */
static bool keep(struct amend_session *session, const char *sql, uint64_t hash, MYSQL_STMT *stmt)
{
	struct amend_mariadb_prepared *oldest = &session->prepared[0];
	char *copy = strdup(sql);

	if (!copy)
		return false;
	for (size_t i = 0; i < AMEND_MA_PREPARED && oldest->sql; i++) {
		if (!session->prepared[i].sql || session->prepared[i].last_use < oldest->last_use)
			oldest = &session->prepared[i];
	}
	close_prepared(oldest);
	*oldest = (struct amend_mariadb_prepared){
		.sql = copy, .hash = hash, .last_use = ++session->uses, .stmt = stmt};
	return true;
}

/* `*kept` false: the caller closes it. */
static enum amend_status prepare(struct amend_session *session,
				 const struct amend_statement *statement, MYSQL_STMT **out,
				 bool *kept, struct amend_error *err)
{
	uint64_t hash = statement->once        ? 0
			: statement->hash != 0 ? statement->hash
					       : amend_sql_hash(statement->sql);
	struct amend_mariadb_prepared *entry = statement->once
						       ? NULL
						       : find(session, statement->sql, hash);
	MYSQL_STMT *stmt;
	enum amend_status status;

	*kept = entry != NULL;
	if (entry) {
		entry->last_use = ++session->uses;
		*out = entry->stmt;
		return AMEND_OK;
	}
	*out = NULL;
	stmt = mysql_stmt_init(session->conn);
	if (!stmt)
		return amend_no_memory(err);
	if (mysql_stmt_prepare(stmt, statement->sql, (unsigned long)strlen(statement->sql)) != 0) {
		status = amend_mariadb_error(session, stmt, err);
		mysql_stmt_close(stmt);
		return status;
	}
	*kept = !statement->once && keep(session, statement->sql, hash, stmt);
	*out = stmt;
	return AMEND_OK;
}

/* --- values in ---------------------------------------------------------- */

struct bound {
	MYSQL_BIND few[ROOM_FOR_VALUES], *binds;
	unsigned long few_sizes[ROOM_FOR_VALUES], *sizes;
};

/* The statement is executed while `statement->values` live: they are borrowed. */
static void bind_value(const struct amend_value *value, MYSQL_BIND *bind, unsigned long *size)
{
	union {
		const void *from;
		void *to;
	} borrowed = {.from = NULL};

	*size = 0;
	bind->length = size;
	switch (value->kind) {
	case AMEND_NULL:
		bind->buffer_type = MYSQL_TYPE_NULL;
		return;
	case AMEND_INTEGER:
		bind->buffer_type = MYSQL_TYPE_LONGLONG;
		borrowed.from = &value->as.integer;
		break;
	case AMEND_REAL:
		bind->buffer_type = MYSQL_TYPE_DOUBLE;
		borrowed.from = &value->as.real;
		break;
	case AMEND_TEXT:
		bind->buffer_type = MYSQL_TYPE_STRING;
		borrowed.from = value->as.text;
		*size = (unsigned long)value->size;
		break;
	case AMEND_BLOB:
		bind->buffer_type = MYSQL_TYPE_BLOB;
		borrowed.from = value->as.blob;
		*size = (unsigned long)value->size;
		break;
	}
	/* Of nothing there is no address. */
	bind->buffer = borrowed.from ? borrowed.to : size;
	bind->buffer_length = *size;
}

static enum amend_status bind_all(MYSQL_STMT *stmt, const struct amend_statement *statement,
				  struct bound *bound, struct amend_error *err)
{
	size_t n = statement->n_values;
	unsigned long wanted = mysql_stmt_param_count(stmt);

	bound->binds = bound->few;
	bound->sizes = bound->few_sizes;
	if (wanted != n) {
		amend_error_set(err, AMEND_INVALID,
				"the statement has %lu placeholders, %zu %s given", wanted, n,
				n == 1 ? "value was" : "values were");
		memcpy(err->sqlstate, "08P01", sizeof(err->sqlstate));
		return AMEND_INVALID;
	}
	if (n == 0)
		return AMEND_OK;
	if (n > ROOM_FOR_VALUES) {
		bound->binds = malloc(n * sizeof(*bound->binds));
		bound->sizes = malloc(n * sizeof(*bound->sizes));
	}
	if (!bound->binds || !bound->sizes)
		return amend_no_memory(err);
	memset(bound->binds, 0, n * sizeof(*bound->binds));
	for (size_t i = 0; i < n; i++)
		bind_value(&statement->values[i], &bound->binds[i], &bound->sizes[i]);
	if (mysql_stmt_bind_param(stmt, bound->binds))
		return amend_mariadb_meaning(mysql_stmt_errno(stmt), mysql_stmt_sqlstate(stmt),
					     mysql_stmt_error(stmt), err);
	return AMEND_OK;
}

static void bound_release(struct bound *bound)
{
	if (bound->binds != bound->few)
		free(bound->binds);
	if (bound->sizes != bound->few_sizes)
		free(bound->sizes);
}

/* --- running ------------------------------------------------------------ */

static enum amend_status take_rows(struct amend_session *session, MYSQL_STMT *stmt,
				   struct amend_rows *rows, struct amend_error *err)
{
	struct amend_mariadb_fetch fetch;
	struct amend_rows_owner *owner = amend_rows_owner_new();
	struct amend_value *values = NULL;
	size_t room = 0, n = 0, columns = mysql_stmt_field_count(stmt);
	enum amend_status status = amend_mariadb_fetch_begin(&fetch, stmt, err);
	bool more = true;

	if (!owner)
		status = amend_no_memory(err);
	while (status == AMEND_OK) {
		if (n + columns > room) {
			struct amend_value *larger;

			room = room ? room * 2 : 16 * columns;
			larger = realloc(values, room * sizeof(*values));
			if (!larger) {
				status = amend_no_memory(err);
				break;
			}
			values = larger;
		}
		status = amend_mariadb_fetch_row(session, &fetch, values + n, &more, err);
		if (status != AMEND_OK || !more)
			break;
		for (size_t i = 0; i < columns; i++) {
			if (!amend_arena_value(&owner->arena, &values[n + i], &values[n + i]))
				status = amend_no_memory(err);
		}
		n += columns;
	}
	amend_mariadb_fetch_end(&fetch);
	if (status != AMEND_OK || !owner) {
		free(values);
		rows->owner = owner;
		amend_rows_release(rows);
		return status == AMEND_OK ? amend_no_memory(err) : status;
	}
	owner->extra = values;
	owner->release = free;
	rows->owner = owner;
	rows->values = values;
	rows->n_columns = columns;
	rows->n_rows = columns ? n / columns : 0;
	return AMEND_OK;
}

/* Rows that INSERT, UPDATE, DELETE and REPLACE changed; of those that return rows: how many they returned. */
static bool is_change(const char *sql)
{
	static const char *const words[] = {"INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"};

	sql += strspn(sql, " \t\r\n(");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strncasecmp(sql, words[i], strlen(words[i])) == 0)
			return true;
	}
	return false;
}

/* ON DUPLICATE KEY UPDATE counts two for a row that it changed. */
static int64_t changes_of(MYSQL_STMT *stmt, const char *sql)
{
	int64_t n = (int64_t)mysql_stmt_affected_rows(stmt);

	return n < 0 || !is_change(sql) ? 0 : n;
}

/* `Duplicate entry 'x' for key 'NAME'`: whether that key is the one meant; NULL: any is. */
static bool names_key(const char *text, const char *key)
{
	static const char words[] = "' for key '";
	const char *at = NULL, *next = text;
	size_t size;

	if (!key)
		return true;
	while ((next = strstr(next, words)) != NULL)
		at = next++;
	if (!at)
		return false;
	at += sizeof(words) - 1;
	size = strlen(key);
	return strncasecmp(at, key, size) == 0 && strcmp(at + size, "'") == 0;
}

/* That a unique value was there is no failure, and no change, where the caller says so. */
static bool was_there(const struct amend_statement *statement, const struct amend_error *err)
{
	return statement->unless_there && err->native == AMEND_MA_DUPLICATE &&
	       names_key(err->text, statement->unless_key);
}

static enum amend_status execute(struct amend_session *session,
				 const struct amend_statement *statement, MYSQL_STMT *stmt,
				 struct amend_error *err)
{
	struct bound bound;
	enum amend_status status = bind_all(stmt, statement, &bound, err);

	if (status == AMEND_OK && mysql_stmt_execute(stmt) != 0)
		status = amend_mariadb_error(session, stmt, err);
	bound_release(&bound);
	return status;
}

/* A connection that broke may have committed a statement of its own. */
static void judge_loss(const struct amend_session *session, const struct amend_statement *statement,
		       enum amend_tx before, struct amend_error *err)
{
	if (err->status != AMEND_UNREACHABLE || before != AMEND_TX_IDLE || !session->lost ||
	    !is_change(statement->sql))
		return;
	err->status = AMEND_OUTCOME_UNKNOWN;
	memcpy(err->sqlstate, AMEND_SQLSTATE_UNKNOWN, sizeof(err->sqlstate));
}

/*
 * Prepares it and runs it. `SELECT *` of a table that has got another column since it was prepared the
 * client library refuses to read: prepared anew, a query is run again, which changes nothing.
 */
static enum amend_status begin(struct amend_session *session,
			       const struct amend_statement *statement, MYSQL_STMT **out,
			       bool *kept, struct amend_error *err)
{
	struct amend_mariadb_prepared *stale;
	enum amend_status status = prepare(session, statement, out, kept, err);

	if (status != AMEND_OK)
		return status;
	status = execute(session, statement, *out, err);
	if (status == AMEND_OK || !*kept || err->native != CR_NEW_STMT_METADATA ||
	    is_change(statement->sql))
		return status;
	stale = find(session, statement->sql, amend_sql_hash(statement->sql));
	if (stale)
		close_prepared(stale);
	status = prepare(session, statement, out, kept, err);
	return status == AMEND_OK ? execute(session, statement, *out, err) : status;
}

static enum amend_status run_one(struct amend_session *session,
				 const struct amend_statement *statement, struct amend_rows *rows,
				 struct amend_error *err)
{
	enum amend_tx before = amend_mariadb_state(session);
	MYSQL_STMT *stmt = NULL;
	bool kept = false;
	enum amend_status status = begin(session, statement, &stmt, &kept, err);

	if (!stmt)
		return status;
	if (status == AMEND_OK && mysql_stmt_field_count(stmt) > 0) {
		status = take_rows(session, stmt, rows, err);
		mysql_stmt_free_result(stmt);
		if (status == AMEND_OK && is_change(statement->sql) &&
		    strncasecmp(statement->sql, "WITH", 4) != 0)
			rows->changes = (int64_t)rows->n_rows;
	} else if (status == AMEND_OK) {
		rows->changes = changes_of(stmt, statement->sql);
	}
	if (!kept)
		mysql_stmt_close(stmt);
	if (status != AMEND_OK && was_there(statement, err))
		return AMEND_OK;
	if (status != AMEND_OK)
		judge_loss(session, statement, before, err);
	return status == AMEND_OK ? AMEND_OK : err->status;
}

enum amend_status amend_mariadb_run(struct amend_session *session,
				    const struct amend_statement *statements, size_t n,
				    struct amend_rows *rows, size_t *failed, struct amend_error *err)
{
	enum amend_status status = n > 0 ? ready(session, err) : AMEND_OK;

	for (size_t i = 0; rows && i < n; i++)
		rows[i] = (struct amend_rows)AMEND_ROWS_INIT;
	amend_mariadb_enter(session);
	for (*failed = 0; status == AMEND_OK && *failed < n; ++*failed) {
		struct amend_rows ignored = AMEND_ROWS_INIT;

		status = run_one(session, &statements[*failed], rows ? &rows[*failed] : &ignored,
				 err);
		amend_rows_release(&ignored);
		if (status != AMEND_OK)
			break;
	}
	amend_mariadb_leave(session);
	return status;
}

enum amend_status amend_mariadb_ask(struct amend_session *session, const char *sql,
				    const struct amend_value *values, size_t n,
				    struct amend_rows *rows, struct amend_error *err)
{
	const struct amend_statement statement = {.sql = sql, .values = values, .n_values = n};
	size_t failed;

	return amend_mariadb_run(session, &statement, 1, rows, &failed, err);
}

/* --- scanning ----------------------------------------------------------- */

/*
 * What is left of a result has to be read before anything else runs. A little of it is read; of more the
 * server is asked to make no more.
 */
static void give_up(struct amend_session *session, const struct amend_mariadb_fetch *fetch)
{
	/* The library has a copy of the binding. */
	if (fetch->grown && mysql_stmt_bind_result(fetch->stmt, fetch->binds))
		return;
	for (int rows = 0; rows < 1000; rows++) {
		int code = mysql_stmt_fetch(fetch->stmt);

		if (code != 0 && code != MYSQL_DATA_TRUNCATED)
			return;
	}
	amend_mariadb_interrupt(session);
	mysql_stmt_free_result(fetch->stmt);
}

static enum amend_status hand_out(struct amend_session *session, MYSQL_STMT *stmt,
				  amend_row_fn each, void *context, struct amend_error *err)
{
	struct amend_mariadb_fetch fetch;
	enum amend_status status = amend_mariadb_fetch_begin(&fetch, stmt, err);
	struct amend_value *values = calloc(fetch.n + 1, sizeof(*values));
	bool more = true;

	if (!values)
		status = amend_no_memory(err);
	while (status == AMEND_OK) {
		status = amend_mariadb_fetch_row(session, &fetch, values, &more, err);
		if (status != AMEND_OK || !more)
			break;
		status = each(context, values, fetch.n, err);
	}
	if (status != AMEND_OK && more && fetch.binds)
		give_up(session, &fetch);
	amend_mariadb_fetch_end(&fetch);
	free(values);
	return status;
}

enum amend_status amend_mariadb_scan(struct amend_session *session,
				     const struct amend_statement *statement, amend_row_fn each,
				     void *context, struct amend_error *err)
{
	MYSQL_STMT *stmt = NULL;
	bool kept = false;
	enum amend_status status = ready(session, err);

	if (status != AMEND_OK)
		return status;
	amend_mariadb_enter(session);
	status = begin(session, statement, &stmt, &kept, err);
	if (stmt) {
		if (status == AMEND_OK && mysql_stmt_field_count(stmt) > 0)
			status = hand_out(session, stmt, each, context, err);
		mysql_stmt_free_result(stmt);
		if (!kept)
			mysql_stmt_close(stmt);
	}
	amend_mariadb_leave(session);
	return status;
}

enum amend_status amend_mariadb_columns(struct amend_session *session, const char *sql,
					amend_name_fn each, void *context, struct amend_error *err)
{
	const struct amend_statement statement = {.sql = sql, .once = true};
	MYSQL_STMT *stmt = NULL;
	MYSQL_RES *meta;
	bool kept = false;
	enum amend_status status = ready(session, err);

	if (status == AMEND_OK)
		status = prepare(session, &statement, &stmt, &kept, err);
	if (status != AMEND_OK)
		return status;
	meta = mysql_stmt_result_metadata(stmt);
	if (!meta)
		status = amend_error_set(err, AMEND_INVALID,
					 "expected one query that returns rows, found a statement "
					 "that returns none");
	for (unsigned i = 0; meta && i < mysql_num_fields(meta) && status == AMEND_OK; i++)
		status = each(context, mysql_fetch_fields(meta)[i].name, err);
	if (meta)
		mysql_free_result(meta);
	mysql_stmt_close(stmt);
	return status;
}
