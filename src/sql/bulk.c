/*
 * Statements in bulk: rows handed out as they come, one statement many times.
 * Leaves single statements to conn.c, and how an engine does it to the drivers.
 */
#include "sql/conn.h"

#include <stdlib.h>

enum {
	SLICE = 512,      /* statements in a trip: enough to hide it, little enough memory */
	LOOK_EVERY = 256, /* rows between two looks at the unit's time limit */
};

struct scanning {
	struct amend_conn *db;
	amend_row_fn each;
	void *context;
	size_t n;
	bool own;     /* `each` has failed, not the engine */
	bool stopped; /* the unit's own limit, or an interruption that the engine did not see */
};

static enum amend_status scan_row(void *context, const struct amend_value *values, size_t n_columns,
				  struct amend_error *err)
{
	struct scanning *scanning = context;
	enum amend_status status = AMEND_OK;

	if (++scanning->n % LOOK_EVERY == 0)
		status = amend_check_deadline(scanning->db, err);
	if (status == AMEND_OK)
		status = amend_check_interrupted(scanning->db, err);
	scanning->stopped = status != AMEND_OK;
	if (scanning->stopped)
		return status;
	status = scanning->each(scanning->context, values, n_columns, err);
	scanning->own = status != AMEND_OK;
	return status;
}

/* An error of the caller's own takes nothing from the unit, unless giving up took the transaction along. */
static enum amend_status end(struct amend_conn *db, enum amend_status status, bool own,
			     struct amend_error *err)
{
	enum amend_tx state = db->driver->state(db->session);

	if (status != AMEND_OK &&
	    (!own || state == AMEND_TX_LOST || (db->depth > 0 && state != AMEND_TX_ACTIVE)))
		amend_conn_broke(db, err);
	return status;
}

enum amend_status amend_scan(struct amend_conn *db, const struct amend_sql *sql, amend_row_fn each,
			     void *context, struct amend_error *err)
{
	struct amend_statement statement = amend_sql_statement(sql);
	struct scanning scanning = {.db = db, .each = each, .context = context};
	enum amend_status status = statement.sql ? amend_conn_ready(db, err) : amend_no_memory(err);

	if (status == AMEND_OK)
		status = db->driver->scan(db->session, &statement, scan_row, &scanning, err);
	return end(db, status, scanning.own, err);
}

/* --- one statement many times ------------------------------------------- */

/* Takes what `n` times from `from` on returned. */
static enum amend_status take_slice(struct amend_repeat *repeat, size_t from, size_t n,
				    const struct amend_rows *rows, struct amend_error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (repeat->changes)
			repeat->changes[from + i] = rows[i].changes;
	}
	for (size_t i = 0; i < n && repeat->each; i++) {
		for (size_t row = 0; row < rows[i].n_rows; row++) {
			enum amend_status status = repeat->each(repeat->context, from + i,
								amend_rows_at(&rows[i], row, 0),
								rows[i].n_columns, err);

			if (status != AMEND_OK) {
				repeat->failed = from + i;
				return status;
			}
		}
	}
	return AMEND_OK;
}

static enum amend_status repeat_slice(struct amend_conn *db, struct amend_repeat *repeat,
				      size_t from, size_t n, bool *own, struct amend_error *err)
{
	struct amend_statement statements[SLICE];
	struct amend_rows rows[SLICE];
	bool asked = repeat->each || repeat->changes;
	enum amend_status status, taken;
	struct amend_error own_error;
	size_t done;

	for (size_t i = 0; i < n; i++)
		statements[i] = (struct amend_statement){
			.sql = repeat->sql,
			.values = repeat->values + (from + i) * repeat->n_values,
			.n_values = repeat->n_values,
			.unless_there = repeat->unless_there,
			.unless_key = repeat->unless_key,
		};
	status = amend_exec_many(db, statements, n, asked ? rows : NULL, &done, err);
	repeat->failed = from + done;
	if (!asked)
		return status;
	taken = take_slice(repeat, from, done, rows, status == AMEND_OK ? err : &own_error);
	for (size_t i = 0; i < n; i++)
		amend_rows_release(&rows[i]);
	if (status != AMEND_OK)
		return status;
	*own = taken != AMEND_OK;
	return taken;
}

/* What `each` says of a time is told apart from the engine's own failures. */
struct repeating {
	struct amend_repeat *repeat;
	bool own;
};

static enum amend_status repeat_row(void *context, size_t i, const struct amend_value *values,
				    size_t n_columns, struct amend_error *err)
{
	struct repeating *repeating = context;
	enum amend_status status = repeating->repeat->each(repeating->repeat->context, i, values,
							   n_columns, err);

	repeating->own = status != AMEND_OK;
	return status;
}

static enum amend_status repeat_in_driver(struct amend_conn *db, struct amend_repeat *repeat,
					  bool *own, struct amend_error *err)
{
	struct repeating repeating = {.repeat = repeat};
	struct amend_repeat inner = *repeat;
	enum amend_status status;

	inner.context = &repeating;
	if (repeat->each)
		inner.each = repeat_row;
	status = db->driver->repeat(db->session, &inner, err);
	repeat->failed = inner.failed;
	*own = repeating.own;
	return status;
}

enum amend_status amend_repeat(struct amend_conn *db, struct amend_repeat *repeat,
			       struct amend_error *err)
{
	enum amend_status status = repeat->sql ? AMEND_OK : amend_no_memory(err);
	bool own = false;

	repeat->failed = 0;
	if (status == AMEND_OK)
		status = amend_conn_ready(db, err);
	if (status != AMEND_OK) {
		amend_conn_broke(db, err);
		return status;
	}
	if (repeat->n == 0)
		return AMEND_OK;
	if (db->driver->repeat) {
		status = repeat_in_driver(db, repeat, &own, err);
		return end(db, status, own, err);
	}
	for (size_t from = 0; from < repeat->n && status == AMEND_OK; from += SLICE) {
		size_t n = repeat->n - from < SLICE ? repeat->n - from : SLICE;

		status = repeat_slice(db, repeat, from, n, &own, err);
	}
	return status;
}

bool amend_loads(const struct amend_conn *db)
{
	return db->driver->load && amend_has(db, AMEND_HAS_ARRAYS) && amend_in_transaction(db);
}

enum amend_status amend_load(struct amend_conn *db, const struct amend_load *load,
			     struct amend_error *err)
{
	enum amend_status status = amend_conn_ready(db, err);

	if (status == AMEND_OK)
		status = db->driver->load(db->session, load, err);
	return end(db, status, false, err);
}

enum amend_status amend_data_version(struct amend_conn *db, int64_t *out, bool *known,
				     struct amend_error *err)
{
	enum amend_status status = amend_conn_ready(db, err);

	*out = 0;
	*known = db->driver->data_version != NULL;
	if (status == AMEND_OK && *known)
		status = db->driver->data_version(db->session, out, err);
	return end(db, status, false, err);
}

bool amend_reads_freely(const struct amend_conn *db, const char *schema)
{
	return !db->driver->reads_freely || amend_in_transaction(db) ||
	       db->driver->reads_freely(db->session, schema);
}

enum amend_status amend_query_columns(struct amend_conn *db, const char *sql, amend_name_fn each,
				      void *context, struct amend_error *err)
{
	enum amend_status status = amend_conn_ready(db, err);

	if (status == AMEND_OK)
		status = db->driver->columns(db->session, sql, each, context, err);
	return end(db, status, false, err);
}
