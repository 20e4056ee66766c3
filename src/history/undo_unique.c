/*
 * Values that would stand twice: taken by others meanwhile, or by each other. Who holds a value
 * only until this revert is through makes way for it.
 * Leaves partial indexes, those over expressions, and all other constraints to the database.
 */
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "core/pack.h"
#include "history/revert.h"

const struct amend_value *amend_undo_final(const struct undo_record *record, size_t column)
{
	if (record->outcome == AMEND_IS_DELETED)
		return NULL;
	for (size_t i = 0; i < record->n_puts; i++) {
		if (record->puts[i].column == column)
			return &record->puts[i].value;
	}
	return record->row.values ? &record->row.values[column] : NULL;
}

/* One unique key of a table. */
struct check {
	struct undo *undo;
	struct undo_table *table;
	size_t index;
	const struct amend_key *key;
	bool *failed; /* by record of the table: it is told, or stays as it is */
	bool again;   /* one stays as it is: others may have relied on it */
};

static bool puts_into(const struct check *check, const struct undo_record *record)
{
	for (size_t i = 0; i < record->n_puts; i++) {
		for (size_t j = 0; j < check->key->n_columns; j++) {
			if (record->puts[i].column == check->key->columns[j])
				return true;
		}
	}
	return false;
}

/* The record's values of the key's columns, once it is written; false: it does not take part. */
static bool final_values(const struct check *check, const struct undo_record *record,
			 struct amend_value *out)
{
	for (size_t i = 0; i < check->key->n_columns; i++) {
		const struct amend_value *value = amend_undo_final(record, check->key->columns[i]);

		if (!value || (value->kind == AMEND_NULL && !check->key->nulls_equal))
			return false;
		out[i] = *value;
	}
	return true;
}

/* It has another value of the key afterwards, or is gone. */
static bool makes_way(const struct check *check, const struct undo_record *record)
{
	for (size_t i = 0; record->row.values && i < check->key->n_columns; i++) {
		uint32_t column = check->key->columns[i];
		const struct amend_value *after = amend_undo_final(record, column);

		if (!after || !amend_value_equal(after, &record->row.values[column]))
			return true;
	}
	return false;
}

/* What is put into the key's columns is not put: the rest of the record is written. */
static void drop_puts(const struct check *check, struct undo_record *record)
{
	size_t kept = 0;

	for (size_t i = 0; i < record->n_puts; i++) {
		bool of_key = false;

		for (size_t j = 0; j < check->key->n_columns; j++)
			of_key = of_key || record->puts[i].column == check->key->columns[j];
		if (!of_key)
			record->puts[kept++] = record->puts[i];
	}
	record->n_puts = kept;
	if (kept == 0)
		record->outcome = AMEND_IS_SKIPPED;
}

static const char *describe(const struct check *check, const struct amend_value *values,
			    const char *holder)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const char *copy;

	for (size_t i = 0; i < check->key->n_columns; i++) {
		const struct amend_column *column =
			&check->table->table->columns[check->key->columns[i]];

		amend_buffer_printf(&text, "%s%s=", i ? ", " : "", column->name);
		if (values[i].kind == AMEND_TEXT)
			amend_buffer_add(&text, values[i].as.text, values[i].size);
		else
			amend_json_value(&text, &values[i], column->class_);
	}
	amend_buffer_printf(&text, " is taken by %s", holder);
	copy = text.failed ? NULL : amend_arena_text_n(check->undo->arena, text.data, text.size);
	amend_buffer_release(&text);
	return copy;
}

static enum amend_status fail(struct check *check, size_t i, const struct amend_value *values,
			      const char *holder, struct amend_error *err)
{
	struct undo_record *record = check->table->list[i];
	uint32_t first = check->key->columns[0];
	struct amend_revert_conflict conflict = {
		.problem = AMEND_REVERT_TAKEN,
		.column = check->table->table->columns[first].name,
		.current = record->row.values ? record->row.values[first] : amend_null(),
		.incoming = values[0],
		.note = describe(check, values, holder),
	};

	if (check->failed[i])
		return AMEND_OK;
	if (!conflict.note)
		return amend_no_memory(err);
	check->failed[i] = true;
	for (size_t j = 0; j < record->n_fields; j++) {
		if (record->fields[j].column == (int)first)
			conflict.base = record->fields[j].after;
	}
	if (check->undo->revert->on_conflict != AMEND_REVERT_CURRENT) {
		record->open = true;
	} else {
		check->again = true;
		if (record->outcome == AMEND_IS_CREATED) {
			record->outcome = AMEND_IS_SKIPPED;
			record->n_puts = 0;
		} else {
			drop_puts(check, record);
		}
	}
	return amend_undo_conflict(check->undo, record, &conflict, err);
}

/* Records of this revert that would end with the same value. */
static enum amend_status find_twins(struct check *check, const size_t *takers, size_t n,
				    const struct amend_value *values, struct amend_error *err)
{
	size_t width = check->key->n_columns;
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	struct amend_hash seen = {0};
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		struct undo_record *record = check->table->list[takers[i]], *twin;
		const char *text;
		void **slot;

		amend_buffer_reset(&buffer);
		for (size_t j = 0; j < width; j++)
			amend_pack_add(&buffer, "", &values[i * width + j]);
		text = buffer.failed
			       ? NULL
			       : amend_arena_text_n(check->undo->arena, buffer.data, buffer.size);
		slot = text ? amend_hash_put(&seen, text, buffer.size) : NULL;
		if (!slot) {
			status = amend_no_memory(err);
			break;
		}
		twin = *slot;
		if (twin)
			status = fail(check, takers[i], values + i * width, twin->pk, err);
		else
			*slot = record;
	}
	amend_hash_release(&seen);
	amend_buffer_release(&buffer);
	return status;
}

static enum amend_status meet(struct check *check, size_t taker, const struct amend_value *values,
			      const struct amend_row *row, struct amend_error *err)
{
	struct undo_table *table = check->table;
	struct undo_record *holder = amend_hash_get(&table->by_pk, row->pk, strlen(row->pk));

	if (holder == table->list[taker] && holder->row.values)
		return AMEND_OK;
	if (!holder || !makes_way(check, holder))
		return fail(check, taker, values, row->pk, err);
	if (!holder->parks)
		holder->parks = amend_arena_array(check->undo->arena, table->table->n_keys,
						  sizeof(*holder->parks));
	if (!holder->parks)
		return amend_no_memory(err);
	holder->parks[check->index] = true;
	return AMEND_OK;
}

/* Rows that have the values now. */
static enum amend_status find_holders(struct check *check, const size_t *takers, size_t n,
				      const struct amend_value *values, struct amend_error *err)
{
	size_t width = check->key->n_columns;
	struct amend_arena arena = AMEND_ARENA_INIT;
	struct amend_row *rows = amend_arena_array(&arena, n, sizeof(*rows));
	unsigned char *n_found = amend_arena_alloc(&arena, n);
	enum amend_status status = rows && n_found ? AMEND_OK : amend_no_memory(err);

	if (status == AMEND_OK)
		status = amend_row_find_many(check->undo->db, check->table->table,
					     check->key->columns, width, values, n, NULL, &arena,
					     rows, n_found, err);
	for (size_t i = 0; i < n && status == AMEND_OK && rows && n_found; i++) {
		if (n_found[i])
			status = meet(check, takers[i], values + i * width, &rows[i], err);
	}
	amend_arena_release(&arena);
	return status;
}

static enum amend_status check_key(struct check *check, struct amend_error *err)
{
	struct undo_table *table = check->table;
	size_t width = check->key->n_columns, n = 0;
	size_t *takers = calloc(table->n + 1, sizeof(*takers));
	struct amend_value *values = calloc(table->n * width + 1, sizeof(*values));
	enum amend_status status = takers && values ? AMEND_OK : amend_no_memory(err);

	for (size_t i = 0; i < table->n && takers && values; i++) {
		if (!check->failed[i] && puts_into(check, table->list[i]) &&
		    final_values(check, table->list[i], values + n * width))
			takers[n++] = i;
	}
	if (status == AMEND_OK && n > 0 && takers && values)
		status = find_twins(check, takers, n, values, err);
	if (status == AMEND_OK && n > 0 && takers && values)
		status = find_holders(check, takers, n, values, err);
	free(takers);
	free(values);
	return status;
}

static enum amend_status check_table(struct undo *undo, struct undo_table *table, bool *again,
				     struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < table->n; i++)
		table->list[i]->parks = NULL;
	for (size_t i = 0; i < table->table->n_keys && status == AMEND_OK; i++) {
		struct check check = {.undo = undo,
				      .table = table,
				      .index = i,
				      .key = &table->table->keys[i],
				      .failed = calloc(table->n + 1, sizeof(*check.failed))};

		if (!check.failed)
			return amend_no_memory(err);
		if (!check.key->partial && !check.key->expression && check.key->n_columns > 0)
			status = check_key(&check, err);
		*again = *again || check.again;
		free(check.failed);
	}
	return status;
}

enum amend_status amend_undo_unique(struct undo *undo, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < undo->n_tables && status == AMEND_OK; i++) {
		bool again = true;

		/* Each round leaves at least one more record as it is. */
		while (again && status == AMEND_OK) {
			again = false;
			status = check_table(undo, undo->tables[i], &again, err);
		}
	}
	return status;
}
