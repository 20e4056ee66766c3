/*
 * Statements prepared on the server, the last ones kept, and executed with their values.
 * Leaves what comes back to mariadb_run.c and mariadb_scan.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sql/driver/mariadb.h"
#include "sql/sql.h"

enum { ROOM_FOR_VALUES = 24 };

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

enum amend_status amend_mariadb_prepare(struct amend_session *session,
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
	int code;

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
	code = mysql_stmt_prepare(stmt, statement->sql, (unsigned long)strlen(statement->sql));
	/* The server keeps so many for all of its connections: ours make room. */
	if (code != 0 && mysql_stmt_errno(stmt) == AMEND_MA_MOST_PREPARED) {
		amend_mariadb_forget(session);
		code = mysql_stmt_prepare(stmt, statement->sql,
					  (unsigned long)strlen(statement->sql));
	}
	if (code != 0) {
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

/* --- executing ---------------------------------------------------------- */

/* Bytes of a number that says how long what follows is, and of that. */
static size_t counted(size_t size)
{
	return size + (size < 251 ? 1 : size < 65536 ? 3 : size < 16777216 ? 4 : 9);
}

/* The server would end the connection over it. */
static enum amend_status check_size(const struct amend_session *session,
				    const struct amend_statement *statement, struct amend_error *err)
{
	size_t size = 11 + (statement->n_values + 7) / 8 + 2 * statement->n_values;
	size_t text = strlen(statement->sql) + 1;

	for (size_t i = 0; i < statement->n_values; i++) {
		const struct amend_value *value = &statement->values[i];

		size += value->kind == AMEND_TEXT || value->kind == AMEND_BLOB
				? counted(value->size)
				: 8;
	}
	size = size > text ? size : text;
	if (session->most == 0 || size < session->most)
		return AMEND_OK;
	amend_error_set(err, AMEND_INVALID,
			"a statement with its values has %zu bytes, and this server takes fewer than "
			"%zu at once (hint: its setting max_allowed_packet)",
			size, session->most);
	memcpy(err->sqlstate, AMEND_SQLSTATE_TOO_LARGE, sizeof(err->sqlstate));
	return AMEND_INVALID;
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

/* A statement alone would commit by itself: before it is sent. */
static enum amend_status check_dead(const struct amend_session *session, struct amend_error *err)
{
	if (!session->begun || session->conn->server_status & SERVER_STATUS_IN_TRANS)
		return AMEND_OK;
	if (session->joined)
		return amend_mariadb_undone(err);
	return amend_mariadb_fail(err, AMEND_INVALID, "25000",
				  "the server has ended the transaction of this unit: another "
				  "statement would commit by itself");
}

/* It would commit what the unit has done so far, and nothing could undo that. Prepared it is, so what is wrong with it is told. */
static enum amend_status check_commits(const struct amend_session *session, const char *sql,
				       enum amend_mariadb_kind kind, struct amend_error *err)
{
	if (kind != AMEND_MA_COMMITS || amend_mariadb_state(session) != AMEND_TX_ACTIVE)
		return AMEND_OK;
	amend_error_set(err, AMEND_INVALID,
			"on MariaDB this statement would commit the open transaction (hint: run it "
			"outside of one): %.80s",
			sql);
	memcpy(err->sqlstate, "25001", sizeof(err->sqlstate));
	return AMEND_INVALID;
}

/*
 * `SELECT *` of a table that has got another column since it was prepared the client library refuses to read:
 * prepared anew, a query is run again, which changes nothing.
 */
enum amend_status amend_mariadb_start(struct amend_session *session,
				      const struct amend_statement *statement,
				      enum amend_mariadb_kind kind, MYSQL_STMT **out, bool *kept,
				      struct amend_error *err)
{
	struct amend_mariadb_prepared *stale;
	enum amend_status status = check_dead(session, err);
	bool within;

	/* What could not be turned on after a unit would keep this statement from being committed. */
	if (status == AMEND_OK && session->manual && !session->begun)
		status = amend_mariadb_autocommit(session, err);

	*out = NULL;
	if (status == AMEND_OK)
		status = check_size(session, statement, err);
	if (status == AMEND_OK)
		status = amend_mariadb_prepare(session, statement, out, kept, err);
	if (status == AMEND_OK)
		status = check_commits(session, statement->sql, kind, err);
	if (status != AMEND_OK)
		return status;
	if (kind != AMEND_MA_READS)
		status = amend_mariadb_sure(session, err);
	within = session->conn->server_status & SERVER_STATUS_IN_TRANS;
	if (status == AMEND_OK)
		status = execute(session, statement, *out, err);
	session->unsure = session->joined && within && !session->manual &&
			  mysql_stmt_field_count(*out) > 0;
	if (status == AMEND_OK || !*kept || err->native != CR_NEW_STMT_METADATA ||
	    kind != AMEND_MA_READS)
		return status;
	stale = find(session, statement->sql, amend_sql_hash(statement->sql));
	if (stale)
		close_prepared(stale);
	status = amend_mariadb_prepare(session, statement, out, kept, err);
	return status == AMEND_OK ? execute(session, statement, *out, err) : status;
}
