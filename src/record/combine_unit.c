/*
 * One unit for additions of several callers to one row: held, counted through
 * in order, written once, recorded for each.
 * Leaves gathering them, and whoever cannot be combined, to combine.c.
 */
#include <stdlib.h>
#include <string.h>

#include "core/rows.h"
#include "ledger/lease.h"
#include "record/cascade.h"
#include "record/combine.h"

struct unit {
	struct amend_addition *const *items;
	size_t n;
	struct amend_arena arena;
	struct amend_series *series; /* of those that are written */
	size_t n_series;
	bool alone;
};

/* ---- what may be combined ---- */

static bool is_number(const struct amend_value *value)
{
	int64_t number;

	return amend_value_number(value, &number);
}

static bool in_key(const struct amend_request_key *key, uint32_t column)
{
	for (size_t i = 0; i < key->n; i++) {
		if (key->columns[i] == column)
			return true;
	}
	return false;
}

static bool table_fits(const struct amend_table *table)
{
	if (table->has_triggers || table->settles_late || table->version_is_time)
		return false;
	for (size_t i = 0; i < table->n_columns; i++) {
		if (table->columns[i].generated)
			return false;
	}
	return true;
}

bool amend_addition_fits(struct amend_addition *addition)
{
	struct amend_call *call = &addition->call;
	const struct amend_write *write = call->write;
	struct amend_error ignored;

	if ((write->mode != AMEND_UPDATE && write->mode != AMEND_UPDATE_OR_CREATE) ||
	    write->compute || call->seen.any || call->n_keys != 1 || call->keys[0].blank ||
	    !call->keys[0].unique || write->wait != AMEND_WAIT || write->want_token ||
	    write->expect.once || call->n_set == 0 || !table_fits(call->table) ||
	    amend_lease_claims(call->db) ||
	    amend_cascades_by_update(call->db, call->table, call->set, call->n_set))
		return false;
	call->n_puts = call->n_set;
	memcpy(call->puts, call->set, call->n_set * sizeof(*call->puts));
	for (size_t i = 0; i < call->n_set; i++) {
		if (call->set[i].op != AMEND_ADD || in_key(&call->keys[0], call->set[i].column) ||
		    call->table->columns[call->set[i].column].class_ != AMEND_CLASS_INTEGER ||
		    !is_number(&call->set[i].value) || amend_put_adds_nothing(&call->set[i]))
			return false;
	}
	/* What is wrong with them the road says. */
	if (amend_call_bounds(call, &ignored) != AMEND_OK ||
	    amend_request_canonical(call->db, call->table, NULL, call->puts, call->n_puts,
				    call->work.arena, &ignored) != AMEND_OK)
		return false;
	for (size_t i = 0; i < call->n_puts; i++) {
		const struct amend_put *put = &call->puts[i];

		if (!is_number(&put->value) || (put->min.kind && !is_number(&put->min)) ||
		    (put->max.kind && !is_number(&put->max)))
			return false;
	}
	return true;
}

/* ---- the chain ---- */

static enum amend_status go_alone(struct unit *unit, struct amend_error *err)
{
	unit->alone = true;
	amend_error_set(err, AMEND_UNSUPPORTED, "these additions cannot be combined");
	return AMEND_UNSUPPORTED;
}

/* A whole number as the engine hands it out; NULL kind without memory. */
static struct amend_value number_value(const struct amend_conn *db, struct amend_arena *arena,
				       int64_t number)
{
	return amend_has(db, AMEND_HAS_TYPED_STORAGE)
		       ? amend_text(amend_arena_integer(arena, number))
		       : amend_integer(number);
}

/* Adds to one column of `to`. `*bound`: its bound is in the way. False: it is no number, or leaves the range of 64 bits. */
static bool add(const struct amend_conn *db, struct amend_arena *arena, const struct amend_put *put,
		struct amend_value *to, bool *bound)
{
	int64_t from, more, limit, sum;

	if (!amend_value_number(to, &from) || !amend_value_number(&put->value, &more) ||
	    __builtin_add_overflow(from, more, &sum))
		return false;
	*bound = *bound ||
		 (put->min.kind && amend_value_number(&put->min, &limit) && sum < limit) ||
		 (put->max.kind && amend_value_number(&put->max, &limit) && sum > limit);
	*to = number_value(db, arena, sum);
	return to->kind != AMEND_NULL;
}

/* The row after `item`, into its own memory. False: all go alone. */
static bool next_row(struct amend_conn *db, const struct amend_value *before,
		     struct amend_addition *item, struct amend_value **after)
{
	static const struct amend_value one = {.kind = AMEND_INTEGER, .as.integer = 1};
	struct amend_call *call = &item->call;
	struct amend_arena *arena = call->work.arena;
	const struct amend_table *table = call->table;
	struct amend_value *values = amend_arena_array(arena, table->n_columns, sizeof(*values));
	struct amend_value *seen = amend_arena_array(arena, table->n_columns, sizeof(*seen));
	bool bound = false;

	if (!values || !seen)
		return false;
	for (size_t i = 0; i < table->n_columns; i++) {
		if (!amend_arena_value(arena, &before[i], &seen[i]))
			return false;
		values[i] = seen[i];
	}
	call->row.values = seen;
	for (size_t i = 0; i < call->n_puts; i++) {
		if (!add(db, arena, &call->puts[i], &values[call->puts[i].column], &bound))
			return false;
	}
	if (table->version >= 0) {
		const struct amend_put move = {.column = (uint32_t)table->version, .value = one};
		bool none = false;

		if (!add(db, arena, &move, &values[table->version], &none))
			return false;
	}
	*after = bound ? NULL : values;
	return true;
}

/* The caller's result, and what history will say of it. */
static enum amend_status record_item(struct unit *unit, struct amend_addition *item, const char *pk,
				     const struct amend_value *after, struct amend_error *err)
{
	struct amend_call *call = &item->call;
	struct amend_result *result = call->work.result;
	struct amend_series *series = &unit->series[unit->n_series++];
	struct amend_buffer fields = AMEND_BUFFER_INIT;

	*series = (struct amend_series){
		.who = item->who, .why = item->why, .program = item->program};
	amend_fields_text(&fields, call->table, call->row.values, after);
	series->change = (struct amend_change_spec){
		.table = call->table,
		.pk = pk,
		.op = "update",
		.fields = fields.failed ? NULL
					: amend_arena_text_n(&unit->arena, fields.data, fields.size),
	};
	amend_buffer_release(&fields);
	if (!series->change.fields)
		return amend_no_memory(err);
	result->outcome = AMEND_IS_UPDATED;
	result->record = after;
	return amend_result_changes(&call->work, call->table, call->row.values, after, err);
}

/* ---- the unit ---- */

/* One update to where the chain ends; the row must then be just that. */
static enum amend_status write_row(struct amend_conn *db, struct unit *unit,
				   const struct amend_row *row, const struct amend_value *last,
				   struct amend_error *err)
{
	const struct amend_table *table = unit->items[0]->call.table;
	struct amend_put *puts = amend_arena_array(&unit->arena, table->n_columns, sizeof(*puts));
	struct amend_row now;
	enum amend_status status;
	bool wrote;
	size_t n = 0;

	if (!puts)
		return amend_no_memory(err);
	for (uint32_t i = 0; i < table->n_columns; i++) {
		if (!amend_value_equal(&row->values[i], &last[i]))
			puts[n++] = (struct amend_put){.column = i, .value = last[i]};
	}
	if (n == 0) /* they cancel each other out: each is recorded all the same */
		return AMEND_OK;
	status = amend_write_held(db, table, row, puts, n, &unit->arena, &now, &wrote, err);
	if (status == AMEND_OK && !wrote)
		status = go_alone(unit, err);
	for (size_t i = 0; i < table->n_columns && status == AMEND_OK; i++) {
		if (!amend_value_equal(&now.values[i], &last[i]))
			status = go_alone(unit, err); /* a trigger has a hand in it */
	}
	return status;
}

static enum amend_status count_through(struct amend_conn *db, struct unit *unit,
				       const struct amend_row *row, const struct amend_value **last,
				       struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	*last = row->values;
	for (size_t i = 0; i < unit->n && status == AMEND_OK; i++) {
		struct amend_addition *item = unit->items[i];
		struct amend_value *after;

		amend_result_reset(&item->call.work);
		item->status = AMEND_OK;
		if (!next_row(db, *last, item, &after))
			return go_alone(unit, err);
		if (!after) {
			item->status = amend_call_out_of_bounds(&item->call, &item->error);
			amend_result_status(item->call.work.result, item->status);
			continue;
		}
		status = record_item(unit, item, row->pk, after, err);
		*last = after;
	}
	return status;
}

static enum amend_status write_all(struct amend_conn *db, void *context, struct amend_error *err)
{
	static const struct amend_lock hold = {true, AMEND_FOR_UPDATE, AMEND_WAIT};
	struct unit *unit = context;
	const struct amend_call *first = &unit->items[0]->call;
	const struct amend_request_key *key = &first->keys[0];
	const struct amend_value *last;
	struct amend_row *rows;
	size_t n, next = 0;
	enum amend_status status;

	amend_arena_release(&unit->arena);
	unit->series = amend_arena_array(&unit->arena, unit->n, sizeof(*unit->series));
	unit->n_series = 0;
	if (!unit->series)
		return amend_no_memory(err);
	status = amend_ledger_need(db, err);
	if (status == AMEND_OK)
		status = amend_row_find(db, first->table, key->columns, key->values, key->n, &hold,
					2, &unit->arena, &rows, &n, err);
	if (status == AMEND_OK && n != 1)
		status = go_alone(unit, err);
	if (status == AMEND_OK)
		status = amend_lease_pass(db, first->table, rows[0].pk, err);
	if (status == AMEND_LOCKED && !*err->sqlstate)
		status = go_alone(unit, err);
	if (status == AMEND_OK)
		status = count_through(db, unit, &rows[0], &last, err);
	if (status == AMEND_OK)
		status = write_row(db, unit, &rows[0], last, err);
	if (status == AMEND_OK)
		status = amend_series_record(db, unit->series, unit->n_series, err);
	for (size_t i = 0; i < unit->n && status == AMEND_OK; i++) {
		if (unit->items[i]->status == AMEND_OK)
			unit->items[i]->call.work.result->revision = unit->series[next++].revision;
	}
	return status;
}

enum amend_status amend_additions_write(struct amend_conn *db, struct amend_addition *const *items,
					size_t n, bool *alone, struct amend_error *err)
{
	struct unit unit = {.items = items, .n = n};
	enum amend_status status = amend_atomic(db, NULL, write_all, &unit, err);

	amend_arena_release(&unit.arena);
	*alone = status != AMEND_OK && status != AMEND_OUTCOME_UNKNOWN && status != AMEND_LOCKED;
	for (size_t i = 0; i < n && status != AMEND_OK; i++)
		amend_result_reset(&items[i]->call.work);
	return status;
}
