/*
 * The store in memory (tests/driver/fake.h) for the tests: a store of its own for each, its connections as an application's.
 * Leaves threads and clean-up to foreign.c and engines.c.
 */
#include "engines_private.h"

#include <inttypes.h>

#include "../driver/fake.h"

static char nothing; /* there is no server, which is no reason to skip */

static void *start(const char **reason)
{
	*reason = NULL;
	return &nothing;
}

static void stop(void *server)
{
	(void)server;
	fake_forget();
}

static const char *fresh(struct engine *engine)
{
	return engine_printf(engine, "fake:%s", engine->folder);
}

static void *connect_store(struct engine *engine, atomic_bool *waiting,
			   struct foreign_result *result)
{
	struct fake_connection *connection = NULL;
	struct amend_error err;

	if (fake_connect(engine->folder, &connection, &err) != AMEND_OK || !connection) {
		result_fail(result, err.text);
		return NULL;
	}
	connection->waiting = waiting;
	return connection;
}

static void disconnect(void *handle)
{
	fake_disconnect(handle);
}

static void add_rows(struct foreign_result *result, const struct amend_rows *rows)
{
	for (size_t i = 0; i < rows->n_rows * rows->n_columns; i++) {
		const struct amend_value *value = &rows->values[i];
		size_t row = i / rows->n_columns, column = i % rows->n_columns;
		char digits[32];

		snprintf(digits, sizeof(digits), "%" PRId64,
			 value->kind == AMEND_INTEGER ? value->as.integer : 0);
		if (value->kind == AMEND_INTEGER)
			result_value(result, row, column, digits, strlen(digits));
		else
			result_value(result, row, column,
				     value->kind == AMEND_NULL ? NULL : value->as.text, value->size);
	}
}

static bool query(void *handle, const char *sql, struct foreign_result *result)
{
	static const struct amend_statement no_values;

	while (!fake_at_end(sql)) {
		struct amend_rows rows;
		struct amend_error err;

		if (fake_execute(handle, &sql, false, &no_values, &rows, &err) != AMEND_OK) {
			result_fail(result, err.text);
			return false;
		}
		if (rows.n_columns > 0) {
			amend_buffer_reset(&result->text);
			result->n_rows = 0;
		}
		add_rows(result, &rows);
		amend_rows_release(&rows);
	}
	return true;
}

static void cancel(void *handle)
{
	struct fake_connection *connection = handle;

	atomic_store(&connection->interrupted, true);
}

const struct engine_ops engine_ops_fake = {
	.driver = "fake",
	.start = start,
	.stop = stop,
	.fresh = fresh,
	.connect = connect_store,
	.disconnect = disconnect,
	.query = query,
	.cancel = cancel,
};
