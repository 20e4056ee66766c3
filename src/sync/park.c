/*
 * Swaps: a record that must give up a unique value before its own new value is
 * free holds another for the time being, within one chunk. History shows none of
 * it: one change from what was to what is. Leaves who parks to order.c.
 */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "ledger/lease.h"
#include "record/cascade.h"
#include "record/write.h"
#include "sync/park.h"
#include "sync/sync.h"

enum { CANDIDATES = 12, LONGEST = 48 };

/* Texts that some type accepts and nobody has: the column says which it can hold. */
static void candidate(char text[LONGEST], int i)
{
	unsigned a = amend_clock_random(), b = amend_clock_random();

	switch (i) {
	case 0:
		snprintf(text, LONGEST, "~amend~%08x%08x", a, b);
		break;
	case 1:
		snprintf(text, LONGEST, "-%u", a >> 1 | 1u << 30);
		break;
	case 2:
		snprintf(text, LONGEST, "%08x-%04x-4%03x-8%03x-%08x%04x", a, b & 0xffff, a & 0xfff,
			 b >> 16 & 0xfff, b, a & 0xffff);
		break;
	case 3:
		snprintf(text, LONGEST, "%04u-%02u-%02u", 1 + a % 900, 1 + b % 12, 1 + a % 28);
		break;
	case 4:
		snprintf(text, LONGEST, "%02u:%02u:%02u.%06u", a % 24, b % 60, a % 60, b % 1000000);
		break;
	case 5:
	case 6:
		snprintf(text, LONGEST, "-%u", 1 + a % 32767);
		break;
	case 7:
		snprintf(text, LONGEST, "~%06x", a & 0xffffff);
		break;
	case 8:
		snprintf(text, LONGEST, "~%02x", a & 0xff);
		break;
	case 9:
		snprintf(text, LONGEST, "-%u", 1 + a % 99);
		break;
	case 10:
		snprintf(text, LONGEST, "%c%c", (char)('!' + a % 94), (char)('!' + b % 94));
		break;
	default:
		snprintf(text, LONGEST, "%c", (char)('!' + a % 94));
		break;
	}
}

enum amend_status amend_park_value(struct amend_conn *db, const struct amend_table *table,
				   uint32_t column, struct amend_arena *arena,
				   struct amend_value *out, struct amend_error *err)
{
	const struct amend_column *described = &table->columns[column];
	enum amend_status status = AMEND_OK;

	for (int i = 0; i < CANDIDATES * 4; i++) {
		char text[LONGEST];
		struct amend_canon canon = {.column = described};
		struct amend_row *rows;
		size_t n;

		candidate(text, i / 4);
		canon.in = amend_text(amend_arena_text(arena, text));
		if (canon.in.kind == AMEND_NULL)
			return amend_no_memory(err);
		status = amend_canonicalise(db, &canon, 1, arena, err);
		if (status != AMEND_OK)
			return status;
		if (canon.problem)
			continue;
		status = amend_row_find(db, table, &column, &canon.out, 1, NULL, 1, arena, &rows,
					&n, err);
		if (status != AMEND_OK)
			return status;
		if (n > 0)
			continue;
		*out = canon.out;
		return AMEND_OK;
	}
	return amend_error_set(
		err, AMEND_CONSTRAINT,
		"column %s cannot be swapped: it is NOT NULL, and no free value of type "
		"%s was found to park it with",
		described->name, described->type);
}

enum amend_status amend_park_row(struct amend_conn *db, const struct amend_table *table,
				 const struct amend_sql *sql, const struct amend_row *row,
				 const struct amend_put *puts, size_t n, struct amend_error *err)
{
	const struct amend_bulk one = {.row = row, .puts = puts, .n_puts = n}, *item = &one;
	enum amend_status status = AMEND_OK;

	if (amend_cascades_by_update(db, table, puts, n))
		status = amend_cascades_check(db, table, &item, 1, NULL, err);
	return status == AMEND_OK ? amend_write_one(db, table, sql, row, puts, n, err) : status;
}

enum amend_status amend_sync_park(struct amend_sync *sync, struct amend_record *record,
				  struct amend_arena *arena, struct amend_error *err)
{
	const struct amend_action *action = record->action;
	struct amend_put *puts = amend_arena_array(arena, action->n_parks, sizeof(*puts));
	enum amend_status status = puts ? amend_lease_pass(sync->db, sync->table, action->now.pk,
							   err)
					: amend_no_memory(err);
	struct amend_sql sql;

	if (!puts || status != AMEND_OK)
		return status;
	amend_sql_init(&sql, sync->db);
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_text(&sql, sync->table->sql);
	amend_sql_text(&sql, " SET ");
	for (uint32_t i = 0; i < action->n_parks && status == AMEND_OK; i++) {
		const struct amend_column *column = &sync->table->columns[action->parks[i]];

		puts[i] = (struct amend_put){.column = action->parks[i]};
		if (column->not_null)
			status = amend_park_value(sync->db, sync->table, action->parks[i], arena,
						  &puts[i].value, err);
		amend_sql_comma(&sql, i);
		amend_sql_name(&sql, column->name);
		amend_sql_text(&sql, " = ");
		amend_sql_value_as(&sql, column, &puts[i].value);
	}
	amend_row_identity(&sql, sync->table, &action->now);
	if (status == AMEND_OK)
		status = amend_park_row(sync->db, sync->table, &sql, &action->now, puts,
					action->n_parks, err);
	amend_sql_release(&sql);
	record->action->parked = status == AMEND_OK;
	return status;
}

/* With the base that the record had until now, so that undoing the change brings it back. */
static enum amend_status record_change(struct amend_sync *sync, const struct amend_record *record,
				       struct amend_error *err)
{
	const struct amend_action *action = record->action;
	const char *pk = action->remove ? action->now.pk : action->after.pk;
	const char *was = strcmp(action->now.pk, pk) == 0 ? NULL : action->now.pk;
	struct amend_change_spec spec = {.table = sync->table,
					 .pk = pk,
					 .was = was,
					 .op = action->remove ? "delete" : "update",
					 .source = sync->source_name,
					 .base = record->seen};
	struct amend_buffer fields = AMEND_BUFFER_INIT;
	enum amend_status status;
	int64_t id;

	/* Its triggers have recorded each step. */
	if (sync->table->guard_history)
		return amend_handover_bases(sync->db, &spec, 1, err);
	amend_fields_text(&fields, sync->table, action->now.values, action->after.values);
	if (fields.failed) {
		status = amend_no_memory(err);
	} else {
		spec.fields = fields.data;
		status = amend_change_record(sync->db, &spec, &id, err);
	}
	amend_buffer_release(&fields);
	return status;
}

/* It made way with a value of no meaning; history has the row as it was. */
static enum amend_status remove_parked(struct amend_sync *sync, const struct amend_record *record,
				       struct amend_error *err)
{
	const struct amend_action *action = record->action;
	struct amend_sql sql;
	enum amend_status status;

	amend_sql_init(&sql, sync->db);
	amend_sql_text(&sql, "DELETE FROM ");
	amend_sql_text(&sql, sync->table->sql);
	amend_row_identity(&sql, sync->table, &action->now);
	status = amend_write_one(sync->db, sync->table, &sql, &action->now, NULL, 0, err);
	amend_sql_release(&sql);
	return status == AMEND_OK ? record_change(sync, record, err) : status;
}

enum amend_status amend_sync_unpark(struct amend_sync *sync, struct amend_record *record,
				    struct amend_arena *arena, struct amend_error *err)
{
	struct amend_action *action = record->action;
	const struct amend_table *table = sync->table;
	struct amend_value *values = amend_arena_array(arena, table->n_columns, sizeof(*values));
	struct amend_row moved = action->now;
	struct amend_sql sql;
	enum amend_status status;
	bool found = false;

	if (!values)
		return amend_no_memory(err);
	if (action->remove)
		return remove_parked(sync, record, err);
	amend_sql_init(&sql, sync->db);
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_text(&sql, table->sql);
	amend_write_assignments(&sql, table, action->puts, action->n_puts);
	amend_row_identity(&sql, table, &action->now);
	status = amend_write_one(sync->db, sync->table, &sql, &action->now, action->puts,
				 action->n_puts, err);
	amend_sql_release(&sql);
	if (status != AMEND_OK)
		return status;
	memcpy(values, action->now.values, table->n_columns * sizeof(*values));
	for (size_t i = 0; i < action->n_puts; i++)
		values[action->puts[i].column] = action->puts[i].value;
	moved.values = values;
	status = amend_row_again(sync->db, table, &moved, NULL, arena, &action->after, &found, err);
	if (status == AMEND_OK && !found)
		status = amend_error_set(err, AMEND_INTERNAL, "the row just written to %s is gone",
					 table->qualified);
	if (status == AMEND_OK)
		status = record_change(sync, record, err);
	return status;
}
