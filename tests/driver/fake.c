/*
 * The function table and the dialect of the fake driver.
 * Leaves the tables to fake_store.c, and SQL to fake_sql.c.
 */
#include "fake.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "sql/sqlstate.h"

static const char scheme[] = "fake:";

struct amend_session {
	struct fake_connection *connection;
	bool adopted;
};

/* Like SQLite's: who writes holds all, and a failed statement leaves the transaction as it was. */
static const struct amend_dialect dialect = {
	.quote = '"',
	.placeholder = '?',
	.numbered = true,
	.untyped = true,
	.in_order = "",
	.default_row = " DEFAULT VALUES",
	.same = "IS",
	.for_update = "",
	.for_no_key_update = "",
	.for_share = "",
	.nowait = "",
	.skip_locked = "",
	.lock_table_update = "",
	.lock_table_share = "",
	.lock_table_update_mode = "",
	.lock_table_share_mode = "",
	.row_estimate = {"", ""},
	.now = "now()",
	.next_time = {"", ""},
	.default_schema = "main",
	.ledger = "amend_",
	.ledger_index = "amend_",
	.ledger_present = "SELECT name FROM amend_tables",
	.tables = "SELECT name FROM amend_tables",
	.ledger_rights = "",
	.may_number = "",
	.for_key_share = "",
	.role = "",
	.serial_type = "integer",
	.integer_type = "integer",
	.text_type = "text",
	.bytes_type = "blob",
	.name_type = "text",
	.lookup_index = "",
	.if_no_column = "",
	.rewritten_table = "",
};

/* --- Sessions --- */

static bool accepts(const char *url)
{
	return strncmp(url, scheme, strlen(scheme)) == 0;
}

static enum amend_status adopt(void *handle, const struct amend_open_options *options,
			       struct amend_session **out, struct amend_error *err)
{
	(void)options;
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return amend_no_memory(err);
	(*out)->connection = handle;
	(*out)->adopted = true;
	return AMEND_OK;
}

static enum amend_status open_store(const char *url, const struct amend_open_options *options,
				    struct amend_session **out, struct amend_error *err)
{
	struct fake_connection *connection = NULL;
	enum amend_status status = fake_connect(url + strlen(scheme), &connection, err);

	*out = NULL;
	if (status == AMEND_OK)
		status = adopt(connection, options, out, err);
	if (status != AMEND_OK || !*out) {
		fake_disconnect(connection);
		return status;
	}
	connection->usual_timeout_ms = connection->lock_timeout_ms = options->lock_timeout_ms;
	connection->reads_only = options->read_only;
	(*out)->adopted = false;
	return AMEND_OK;
}

static void close_session(struct amend_session *session)
{
	if (session && !session->adopted)
		fake_disconnect(session->connection);
	free(session);
}

/* There is no setting that the application could have made otherwise. */
static enum amend_status pin(struct amend_session *session, struct amend_error *err)
{
	(void)session;
	(void)err;
	return AMEND_OK;
}

static void interrupt(struct amend_session *session)
{
	atomic_store(&session->connection->interrupted, true);
}

/* --- Statements --- */

static enum amend_status run(struct amend_session *session,
			     const struct amend_statement *statements, size_t n,
			     struct amend_rows *rows, size_t *failed, struct amend_error *err)
{
	for (size_t i = 0; rows && i < n; i++)
		rows[i] = (struct amend_rows)AMEND_ROWS_INIT;
	for (*failed = 0; *failed < n; (*failed)++) {
		const struct amend_statement *one = &statements[*failed];
		const char *sql = one->sql;
		enum amend_status status = fake_execute(session->connection, &sql, true, one,
							rows ? &rows[*failed] : NULL, err);

		if (status != AMEND_OK)
			return status;
	}
	return AMEND_OK;
}

static enum amend_status scan(struct amend_session *session, const struct amend_statement *statement,
			      amend_row_fn each, void *context, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	const char *sql = statement->sql;
	enum amend_status status = fake_execute(session->connection, &sql, true, statement, &rows,
						err);

	for (size_t i = 0; status == AMEND_OK && i < rows.n_rows; i++)
		status = each(context, amend_rows_at(&rows, i, 0), rows.n_columns, err);
	amend_rows_release(&rows);
	return status;
}

static enum amend_status columns(struct amend_session *session, const char *sql, amend_name_fn each,
				 void *context, struct amend_error *err)
{
	return fake_columns(session->connection, sql, each, context, err);
}

/* --- Transactions --- */

static enum amend_status begin(struct amend_session *session, const struct amend_begin *options,
			       struct amend_error *err)
{
	struct fake_connection *connection = session->connection;
	enum amend_status status = AMEND_OK;

	atomic_store(&connection->interrupted, false);
	fake_begin(connection);
	connection->lock_timeout_ms = options->lock_timeout_ms;
	connection->deadline = options->time_limit_ms ? amend_clock_ms() + options->time_limit_ms
						      : 0;
	if (!options->read_only)
		status = fake_hold(connection, err);
	connection->read_only = options->read_only;
	if (status != AMEND_OK)
		fake_rollback(connection);
	return status;
}

static enum amend_status commit(struct amend_session *session, struct amend_error *err)
{
	return fake_commit(session->connection, err);
}

static enum amend_status rollback(struct amend_session *session, struct amend_error *err)
{
	(void)err;
	fake_rollback(session->connection);
	return AMEND_OK;
}

static enum amend_tx state(const struct amend_session *session)
{
	return session->connection->in_transaction ? AMEND_TX_ACTIVE : AMEND_TX_IDLE;
}

static enum amend_status set_lock_timeout(struct amend_session *session, int ms,
					  struct amend_error *err)
{
	(void)err;
	session->connection->lock_timeout_ms = ms;
	return AMEND_OK;
}

static enum amend_status become_writer(struct amend_session *session, struct amend_error *err)
{
	return fake_hold(session->connection, err);
}

/* --- Tables and values --- */

static enum amend_class class_of(const char *type)
{
	if (strcmp(type, "integer") == 0)
		return AMEND_CLASS_INTEGER;
	return strcmp(type, "text") == 0 ? AMEND_CLASS_TEXT : AMEND_CLASS_ANY;
}

/* A key is one column: a table has as many of them at most. */
static bool describe_found(const struct fake_table *found, struct amend_arena *arena,
			   struct amend_table *table)
{
	struct amend_column *described = amend_arena_array(arena, found->n_columns,
							   sizeof(*described));
	struct amend_key *keys = amend_arena_array(arena, found->n_columns, sizeof(*keys));
	uint32_t *numbers = amend_arena_array(arena, found->n_columns, sizeof(*numbers));

	table->schema = "main";
	table->name = amend_arena_text(arena, found->name);
	if (!table->name || !described || !keys || !numbers)
		return false;
	for (uint32_t i = 0; i < found->n_columns; i++) {
		const struct fake_column *column = &found->columns[i];

		described[i] = (struct amend_column){
			.name = amend_arena_text(arena, column->name),
			.type = amend_arena_text(arena, column->type),
			.cast = "",
			.number_cast = "",
			.collation = "",
			.class_ = class_of(column->type),
			.not_null = column->not_null,
			.bytewise = true,
		};
		if (!described[i].name || !described[i].type)
			return false;
		numbers[i] = i;
		if (column->unique)
			keys[table->n_keys++] = (struct amend_key){.name = described[i].name,
								   .columns = &numbers[i],
								   .n_columns = 1,
								   .primary = column->primary};
	}
	table->columns = described;
	table->n_columns = found->n_columns;
	table->keys = keys;
	return true;
}

static enum amend_status describe(struct amend_session *session, const char *schema,
				  const char *name, struct amend_arena *arena,
				  struct amend_table *table, bool *visible, struct amend_error *err)
{
	const struct fake_table *found = NULL;
	struct fake_state *now;
	enum amend_status status = fake_take(session->connection, false, &now, err);

	if (status != AMEND_OK)
		return status;
	*visible = true;
	for (found = schema && strcmp(schema, "main") != 0 ? NULL : now->tables; found;
	     found = found->next) {
		if (strcmp(found->name, name) == 0)
			break;
	}
	if (!found)
		status = fake_fail(err, AMEND_NOT_FOUND, AMEND_SQLSTATE_NO_TABLE,
				   "no table is named %s", name);
	else if (!describe_found(found, arena, table))
		status = amend_no_memory(err);
	fake_give_back(session->connection, false, now, false);
	return status;
}

/* What comes in is what is stored, but for a number in a column of text. */
static enum amend_status canonicalise(struct amend_session *session, struct amend_canon *items,
				      size_t n, struct amend_arena *arena, struct amend_error *err)
{
	(void)session;
	for (size_t i = 0; i < n; i++) {
		const char *digits;

		items[i].out = items[i].in;
		items[i].problem = NULL;
		if (items[i].in.kind != AMEND_INTEGER || items[i].column->class_ != AMEND_CLASS_TEXT)
			continue;
		digits = amend_arena_integer(arena, items[i].in.as.integer);
		if (!digits)
			return amend_no_memory(err);
		items[i].out = amend_text(digits);
	}
	return AMEND_OK;
}

static enum amend_status check(struct amend_session *session,
			       void (*each)(void *context, enum amend_level level,
					    const char *topic, const char *text),
			       void *context, struct amend_error *err)
{
	(void)session;
	(void)err;
	each(context, AMEND_LEVEL_OK, "fake", "what is stored ends with the program");
	return AMEND_OK;
}

const struct amend_driver amend_driver_fake = {
	.name = "fake",
	.features = AMEND_HAS_DDL_ROLLBACK,
	.dialect = &dialect,
	.accepts = accepts,
	.open = open_store,
	.adopt = adopt,
	.close = close_session,
	.pin = pin,
	.unpin = pin,
	.run = run,
	.scan = scan,
	.columns = columns,
	.begin = begin,
	.commit = commit,
	.rollback = rollback,
	.state = state,
	.set_lock_timeout = set_lock_timeout,
	.become_writer = become_writer,
	.describe = describe,
	.canonicalise = canonicalise,
	.check = check,
	.interrupt = interrupt,
};
