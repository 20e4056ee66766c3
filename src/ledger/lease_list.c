/*
 * Leases that are held, and what became of leases.
 * Leaves the rows to lease.c.
 */
#include <string.h>

#include "core/rows.h"
#include "ledger/lease_row.h"

/* A lease's two columns as its name, or its record. */
static enum amend_status take_name(const struct amend_conn *db, const struct amend_value *values,
				   struct amend_arena *arena, const char **name, const char **table,
				   const struct amend_field **key, size_t *n_key,
				   struct amend_error *err)
{
	struct amend_field *fields = NULL;
	enum amend_status status;

	*name = *table = NULL;
	*key = NULL;
	*n_key = 0;
	if (values[0].kind != AMEND_TEXT || values[1].kind != AMEND_TEXT)
		return amend_error_set(err, AMEND_INTERNAL, "a lease without a name");
	if (values[0].size == 0) {
		*name = values[1].as.text;
		return AMEND_OK;
	}
	*table = values[0].as.text;
	status = amend_pk_parse(values[1].as.text, amend_has(db, AMEND_HAS_TYPED_STORAGE), arena,
				&fields, n_key, err);
	*key = fields;
	return status;
}

/* An older ledger has no leases. */
static enum amend_status look(struct amend_conn *db, bool *present, struct amend_error *err)
{
	int version;
	enum amend_status status = amend_ledger_version(db, &version, err);

	*present = status == AMEND_OK && version >= AMEND_LEDGER_LEASES;
	return status;
}

enum amend_status amend_lease_list(struct amend_conn *db, const struct amend_lease_at *at,
				   amend_held_fn each, void *context, struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_instant now;
	struct amend_sql sql;
	enum amend_status status;
	bool present;

	status = look(db, &present, err);
	if (status != AMEND_OK || !present)
		return status;
	amend_clock_instant(&now);
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT tbl, pk, ");
	amend_lease_columns(&sql, &now);
	amend_sql_text(&sql, " FROM ");
	amend_sql_ledger(&sql, "lease");
	amend_sql_text(&sql, " WHERE digest IS NOT NULL");
	if (at) {
		amend_sql_text(&sql, " AND tbl = ");
		amend_sql_string(&sql, at->tbl);
		amend_sql_text(&sql, " AND pk = ");
		amend_sql_string(&sql, at->pk);
	}
	amend_sql_text(&sql, " ORDER BY tbl, pk");
	status = amend_exec(db, &sql, &rows, err);
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		const struct amend_value *values = amend_rows_at(&rows, i, 0);
		struct amend_held held;
		bool live = false;

		status = take_name(db, values, &arena, &held.name, &held.table, &held.key,
				   &held.n_key, err);
		if (status == AMEND_OK)
			status = amend_lease_of_row(values + 2, &held.lease, &live, err);
		if (status == AMEND_OK && live)
			status = each(&held, context, err);
	}
	amend_arena_release(&arena);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

enum { TBL, PK, FENCE, OP, AT, WHO, PLACE, WHY };

enum amend_status amend_lease_history(struct amend_conn *db, const struct amend_lease_at *at,
				      int64_t limit, amend_lease_event_fn each, void *context,
				      struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_sql sql;
	enum amend_status status;
	bool present;

	status = look(db, &present, err);
	if (status != AMEND_OK || !present)
		return status;
	amend_sql_init(&sql, db);
	amend_sql_text(&sql, "SELECT tbl, pk, fence, op, at, who, place, why FROM ");
	amend_sql_ledger(&sql, "lease_event");
	if (at) {
		amend_sql_text(&sql, " WHERE tbl = ");
		amend_sql_string(&sql, at->tbl);
		amend_sql_text(&sql, " AND pk = ");
		amend_sql_string(&sql, at->pk);
	}
	amend_sql_text(&sql, " ORDER BY id DESC");
	if (limit > 0) {
		amend_sql_text(&sql, " LIMIT ");
		amend_sql_integer(&sql, limit);
	}
	status = amend_exec(db, &sql, &rows, err);
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		const struct amend_value *values = amend_rows_at(&rows, i, 0);
		struct amend_lease_event event = {
			.op = values[OP].as.text,
			.at = values[AT].as.text,
			.who = values[WHO].as.text,
			.place = values[PLACE].as.text,
			.why = values[WHY].as.text,
		};

		status = take_name(db, values, &arena, &event.name, &event.table, &event.key,
				   &event.n_key, err);
		if (status == AMEND_OK && !amend_value_number(&values[FENCE], &event.fence))
			status = amend_error_set(err, AMEND_INTERNAL,
						 "the ledger returned no number");
		if (status == AMEND_OK)
			status = each(&event, context, err);
	}
	amend_arena_release(&arena);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}
