/*
 * The tables of a store, and who sees which: copies for transactions and savepoints, one writer at a time.
 * Leaves what a statement does with them to fake_sql.c.
 */
#include "fake.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "sql/sqlstate.h"

struct fake_store {
	struct fake_store *next;
	char *name;
	struct fake_state *committed;
	const struct fake_connection *writer;
};

static struct fake_store *stores;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of them all, and of `sharers` */

/* --- States --- */

static struct fake_state *share(struct fake_state *state)
{
	if (state)
		state->sharers++;
	return state;
}

static void drop(struct fake_state *state)
{
	if (!state || --state->sharers > 0)
		return;
	amend_arena_release(&state->arena);
	free(state);
}

static bool copy_rows(struct fake_state *to, struct fake_table *table, const struct fake_table *from)
{
	table->room = from->n_rows + 8;
	table->rows = amend_arena_array(&to->arena, table->room, sizeof(struct amend_value *));
	for (; table->rows && table->n_rows < from->n_rows; table->n_rows++) {
		struct amend_value *row = amend_arena_array(&to->arena, from->n_columns,
							    sizeof(*row));

		for (size_t i = 0; row && i < from->n_columns; i++) {
			if (!amend_arena_value(&to->arena, &from->rows[table->n_rows][i], &row[i]))
				return false;
		}
		if (!row)
			return false;
		table->rows[table->n_rows] = row;
	}
	return table->rows != NULL;
}

static struct fake_table *copy_table(struct fake_state *to, const struct fake_table *from)
{
	struct fake_table *table = amend_arena_alloc(&to->arena, sizeof(*table));

	if (!table)
		return NULL;
	table->name = amend_arena_text(&to->arena, from->name);
	table->columns = amend_arena_array(&to->arena, from->n_columns, sizeof(*table->columns));
	table->n_columns = from->n_columns;
	if (!table->name || !table->columns || !copy_rows(to, table, from))
		return NULL;
	for (size_t i = 0; i < from->n_columns; i++) {
		table->columns[i] = from->columns[i];
		table->columns[i].name = amend_arena_text(&to->arena, from->columns[i].name);
		table->columns[i].type = amend_arena_text(&to->arena, from->columns[i].type);
		if (!table->columns[i].name || !table->columns[i].type)
			return NULL;
	}
	return table;
}

/* Of nothing where `from` is NULL; NULL when there is no memory. */
static struct fake_state *copy(const struct fake_state *from)
{
	struct fake_state *state = calloc(1, sizeof(*state));
	struct fake_table **end;

	if (!state)
		return NULL;
	state->sharers = 1;
	end = &state->tables;
	for (const struct fake_table *t = from ? from->tables : NULL; t; t = t->next) {
		*end = copy_table(state, t);
		if (!*end) {
			drop(state);
			return NULL;
		}
		end = &(*end)->next;
	}
	return state;
}

/* --- Stores and connections --- */

static struct fake_store *find(const char *name)
{
	struct fake_store *store;

	for (store = stores; store; store = store->next) {
		if (strcmp(store->name, name) == 0)
			return store;
	}
	store = calloc(1, sizeof(*store));
	if (!store)
		return NULL;
	store->name = strdup(name);
	store->committed = copy(NULL);
	if (!store->name || !store->committed) {
		drop(store->committed);
		free(store->name);
		free(store);
		return NULL;
	}
	store->next = stores;
	return stores = store;
}

enum amend_status fake_connect(const char *name, struct fake_connection **out,
			       struct amend_error *err)
{
	struct fake_connection *connection = calloc(1, sizeof(*connection));

	*out = NULL;
	if (!connection)
		return amend_no_memory(err);
	pthread_mutex_lock(&lock);
	connection->store = find(name);
	pthread_mutex_unlock(&lock);
	if (!connection->store) {
		free(connection);
		return amend_no_memory(err);
	}
	connection->usual_timeout_ms = connection->lock_timeout_ms = 10000;
	*out = connection;
	return AMEND_OK;
}

void fake_disconnect(struct fake_connection *connection)
{
	if (connection)
		fake_rollback(connection);
	free(connection);
}

void fake_forget(void)
{
	while (stores) {
		struct fake_store *next = stores->next;

		drop(stores->committed);
		free(stores->name);
		free(stores);
		stores = next;
	}
}

/* --- Transactions --- */

static void forget_savepoint(struct fake_connection *connection)
{
	struct fake_savepoint *inner = connection->savepoints;

	connection->savepoints = inner->outer;
	drop(inner->state);
	free(inner);
}

/* Under the lock; `kept`: what is committed from now on. */
static void end(struct fake_connection *connection, struct fake_state *kept)
{
	if (kept) {
		drop(connection->store->committed);
		connection->store->committed = share(kept);
	}
	while (connection->savepoints)
		forget_savepoint(connection);
	drop(connection->state);
	connection->state = NULL;
	if (connection->store->writer == connection)
		connection->store->writer = NULL;
	connection->in_transaction = connection->writer = connection->read_only = false;
	connection->deadline = 0;
	connection->lock_timeout_ms = connection->usual_timeout_ms;
}

void fake_begin(struct fake_connection *connection)
{
	connection->in_transaction = true;
}

void fake_rollback(struct fake_connection *connection)
{
	pthread_mutex_lock(&lock);
	end(connection, NULL);
	pthread_mutex_unlock(&lock);
}

enum amend_status fake_commit(struct fake_connection *connection, struct amend_error *err)
{
	if (!connection->in_transaction)
		return fake_fail(err, AMEND_INVALID, "25000", "no transaction is open");
	pthread_mutex_lock(&lock);
	end(connection, connection->writer ? connection->state : NULL);
	pthread_mutex_unlock(&lock);
	return AMEND_OK;
}

/* The one writer, once nobody else is. */
static bool take_turn(struct fake_connection *connection)
{
	bool mine;

	pthread_mutex_lock(&lock);
	mine = !connection->store->writer;
	if (mine)
		connection->store->writer = connection;
	pthread_mutex_unlock(&lock);
	return mine;
}

static enum amend_status wait_for_turn(struct fake_connection *connection, struct amend_error *err)
{
	int64_t limit = connection->lock_timeout_ms;
	int64_t until = amend_clock_ms() + limit;

	while (!take_turn(connection)) {
		if (connection->waiting)
			atomic_store(connection->waiting, true);
		if (atomic_load(&connection->interrupted) ||
		    (connection->deadline && amend_clock_ms() >= connection->deadline))
			return fake_fail(err, AMEND_INTERRUPTED, AMEND_SQLSTATE_INTERRUPTED,
					 "interrupted while another writes");
		if (limit >= 0 && amend_clock_ms() >= until)
			return fake_fail(err, AMEND_LOCKED, AMEND_SQLSTATE_LOCKED,
					 "another connection is writing");
		amend_clock_sleep_ms(1);
	}
	return AMEND_OK;
}

enum amend_status fake_hold(struct fake_connection *connection, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	if (connection->read_only || connection->reads_only)
		return fake_fail(err, AMEND_DENIED, AMEND_SQLSTATE_READ_ONLY,
				 "the transaction is read-only");
	if (!connection->writer)
		status = wait_for_turn(connection, err);
	if (status != AMEND_OK)
		return status;
	pthread_mutex_lock(&lock);
	if (!connection->state) {
		connection->state = share(connection->store->committed);
	} else if (!connection->writer && connection->state != connection->store->committed) {
		end(connection, NULL);
		status = fake_fail(err, AMEND_RETRY, AMEND_SQLSTATE_SERIALIZATION,
				   "another has committed since this transaction read");
	}
	connection->writer = status == AMEND_OK;
	pthread_mutex_unlock(&lock);
	return status;
}

/* --- Savepoints --- */

enum amend_status fake_save(struct fake_connection *connection, const char *name,
			    struct amend_error *err)
{
	struct fake_savepoint *inner = calloc(1, sizeof(*inner));

	if (!inner)
		return amend_no_memory(err);
	pthread_mutex_lock(&lock);
	inner->state = share(connection->state);
	pthread_mutex_unlock(&lock);
	for (size_t i = 0; i + 1 < sizeof(inner->name) && name[i]; i++)
		inner->name[i] = name[i];
	inner->outer = connection->savepoints;
	connection->savepoints = inner;
	connection->in_transaction = true;
	return AMEND_OK;
}

/* Makes the one with this name the innermost. */
static enum amend_status go_out_to(struct fake_connection *connection, const char *name,
				   struct amend_error *err)
{
	const struct fake_savepoint *found = connection->savepoints;

	while (found && strcmp(found->name, name) != 0)
		found = found->outer;
	if (!found)
		return fake_fail(err, AMEND_INVALID, "3B001", "no savepoint is named %s", name);
	pthread_mutex_lock(&lock);
	while (connection->savepoints != found)
		forget_savepoint(connection);
	pthread_mutex_unlock(&lock);
	return AMEND_OK;
}

enum amend_status fake_release(struct fake_connection *connection, const char *name,
			       struct amend_error *err)
{
	enum amend_status status = go_out_to(connection, name, err);

	if (status != AMEND_OK)
		return status;
	pthread_mutex_lock(&lock);
	forget_savepoint(connection);
	pthread_mutex_unlock(&lock);
	return AMEND_OK;
}

enum amend_status fake_return(struct fake_connection *connection, const char *name,
			      struct amend_error *err)
{
	enum amend_status status = go_out_to(connection, name, err);

	if (status != AMEND_OK)
		return status;
	pthread_mutex_lock(&lock);
	drop(connection->state);
	connection->state = share(connection->savepoints->state);
	pthread_mutex_unlock(&lock);
	return AMEND_OK;
}

/* --- One statement --- */

enum amend_status fake_take(struct fake_connection *connection, bool writes,
			    struct fake_state **out, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	*out = NULL;
	if (connection->deadline && amend_clock_ms() >= connection->deadline)
		return fake_fail(err, AMEND_INTERRUPTED, AMEND_SQLSTATE_INTERRUPTED,
				 "the time limit has passed");
	if (writes) {
		status = fake_hold(connection, err);
		if (status != AMEND_OK)
			return status;
		*out = copy(connection->state);
		if (*out)
			return AMEND_OK;
		fake_give_back(connection, true, NULL, false);
		return amend_no_memory(err);
	}
	pthread_mutex_lock(&lock);
	if (connection->in_transaction && !connection->state)
		connection->state = share(connection->store->committed);
	*out = share(connection->state ? connection->state : connection->store->committed);
	pthread_mutex_unlock(&lock);
	return AMEND_OK;
}

void fake_give_back(struct fake_connection *connection, bool writes, struct fake_state *state,
		    bool keep)
{
	pthread_mutex_lock(&lock);
	if (writes && keep) {
		drop(connection->state);
		connection->state = share(state);
	}
	drop(state);
	/* Outside a transaction it was one by itself. */
	if (!connection->in_transaction)
		end(connection, writes && keep ? connection->state : NULL);
	pthread_mutex_unlock(&lock);
}
