/*
 * What becomes of each record: base is what the changes left, current what is there,
 * incoming what they replaced. Leaves values that would stand twice to undo_unique.c.
 */
#include <string.h>

#include "core/rows.h"
#include "history/revert.h"

const char *amend_revert_problem_name(enum amend_revert_problem problem)
{
	switch (problem) {
	case AMEND_REVERT_EDITED:
		return "edited";
	case AMEND_REVERT_TAKEN:
		return "taken";
	case AMEND_REVERT_GONE:
		return "gone";
	case AMEND_REVERT_EXISTS:
		return "exists";
	case AMEND_REVERT_USED:
		return "used";
	case AMEND_REVERT_NO_FIELD:
		return "no_field";
	}
	return "?";
}

bool amend_undo_counts(const struct undo_table *table, size_t column)
{
	const struct amend_column *described = &table->table->columns[column];

	return !described->generated && !described->unsound && !table->ignored[column] &&
	       (int)column != table->table->version;
}

enum amend_status amend_undo_conflict(struct undo *undo, struct undo_record *record,
				      const struct amend_revert_conflict *conflict,
				      struct amend_error *err)
{
	if (record->n_conflicts == record->conflicts_room) {
		size_t room = record->conflicts_room ? record->conflicts_room * 2 : 2;
		struct amend_revert_conflict *conflicts = amend_arena_array(undo->arena, room,
									    sizeof(*conflicts));

		if (!conflicts)
			return amend_no_memory(err);
		if (record->n_conflicts > 0)
			memcpy(conflicts, record->conflicts,
			       record->n_conflicts * sizeof(*conflicts));
		record->conflicts = conflicts;
		record->conflicts_room = room;
	}
	record->conflicts[record->n_conflicts] = *conflict;
	if (!conflict->note)
		record->conflicts[record->n_conflicts].note = "";
	record->n_conflicts++;
	return AMEND_OK;
}

static void put(struct undo_record *record, int column, const struct amend_value *value)
{
	record->puts[record->n_puts++] = (struct amend_put){.column = (uint32_t)column,
							    .op = AMEND_SET,
							    .value = *value,
							    .min = amend_null(),
							    .max = amend_null()};
}

/* The record stays as it is: the policy says so, or has no answer. */
static void leave(struct undo *undo, struct undo_record *record, bool answered)
{
	record->outcome = AMEND_IS_SKIPPED;
	record->n_puts = 0;
	record->open = record->open || !answered;
	(void)undo;
}

static bool policy_is(const struct undo *undo, enum amend_revert_policy policy)
{
	return undo->revert->on_conflict == policy;
}

/* ---- it was changed: its fields go back ---- */

static enum amend_status undo_field(struct undo *undo, struct undo_record *record,
				    const struct undo_field *field, struct amend_error *err)
{
	const struct amend_value *current;
	struct amend_revert_conflict conflict = {
		.column = field->name, .base = field->after, .incoming = field->before};

	if (amend_value_equal(&field->before, &field->after))
		return AMEND_OK;
	if (field->column < 0) {
		conflict.problem = AMEND_REVERT_NO_FIELD;
		conflict.note = "the table has no such column any more";
		record->open = record->open || !policy_is(undo, AMEND_REVERT_CURRENT);
		return amend_undo_conflict(undo, record, &conflict, err);
	}
	if (!amend_undo_counts(record->table, (size_t)field->column))
		return AMEND_OK;
	current = &record->row.values[field->column];
	if (amend_value_equal(current, &field->before))
		return AMEND_OK;
	if (amend_value_equal(current, &field->after)) {
		put(record, field->column, &field->before);
		return AMEND_OK;
	}
	conflict.problem = AMEND_REVERT_EDITED;
	conflict.current = *current;
	if (policy_is(undo, AMEND_REVERT_INCOMING))
		put(record, field->column, &field->before);
	record->open = record->open || policy_is(undo, AMEND_REVERT_REFUSE);
	return amend_undo_conflict(undo, record, &conflict, err);
}

/* Not there and back again. */
static bool changed_something(const struct undo_record *record)
{
	for (size_t i = 0; i < record->n_fields; i++) {
		if (!amend_value_equal(&record->fields[i].before, &record->fields[i].after))
			return true;
	}
	return false;
}

static enum amend_status undo_update(struct undo *undo, struct undo_record *record,
				     struct amend_error *err)
{
	const struct amend_revert_conflict gone = {.problem = AMEND_REVERT_GONE,
						   .note = "the record was deleted since"};
	enum amend_status status = AMEND_OK;

	record->outcome = AMEND_IS_UNCHANGED;
	if (!record->row.values && !changed_something(record))
		return AMEND_OK;
	if (!record->row.values) {
		leave(undo, record, policy_is(undo, AMEND_REVERT_CURRENT));
		return amend_undo_conflict(undo, record, &gone, err);
	}
	record->outcome = AMEND_IS_UPDATED;
	for (size_t i = 0; i < record->n_fields && status == AMEND_OK; i++)
		status = undo_field(undo, record, &record->fields[i], err);
	if (record->n_puts == 0)
		record->outcome = record->n_conflicts ? AMEND_IS_SKIPPED : AMEND_IS_UNCHANGED;
	return status;
}

/* ---- it was created: it goes, or was deleted: it comes back ---- */

static const struct undo_field *field_at(const struct undo_record *record, size_t column)
{
	for (size_t i = 0; i < record->n_fields; i++) {
		if (record->fields[i].column == (int)column)
			return &record->fields[i];
	}
	return NULL;
}

/* A column that a creation or deletion does not name was NULL. */
static struct amend_value value_then(const struct undo_record *record, size_t column, bool after)
{
	const struct undo_field *field = field_at(record, column);

	return !field ? amend_null() : after ? field->after : field->before;
}

/* Each field in which the row is not what it was; `problem` says why that matters. */
static enum amend_status compare(struct undo *undo, struct undo_record *record, bool after,
				 enum amend_revert_problem problem, struct amend_error *err)
{
	const struct amend_table *table = record->table->table;
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < table->n_columns && status == AMEND_OK; i++) {
		const struct amend_value then = value_then(record, i, after);
		const struct amend_value *current = &record->row.values[i];
		const struct amend_revert_conflict conflict = {
			.problem = problem,
			.column = table->columns[i].name,
			.base = after ? then : amend_null(),
			.current = *current,
			.incoming = after ? amend_null() : then,
		};

		if (amend_undo_counts(record->table, i) && !amend_value_equal(&then, current))
			status = amend_undo_conflict(undo, record, &conflict, err);
	}
	return status;
}

static enum amend_status undo_create(struct undo *undo, struct undo_record *record,
				     struct amend_error *err)
{
	const struct amend_revert_conflict again = {
		.problem = AMEND_REVERT_USED, .note = "it was deleted, and created again, since"};
	enum amend_status status = AMEND_OK;

	record->outcome = AMEND_IS_UNCHANGED;
	if (!record->row.values)
		return AMEND_OK;
	if (record->again)
		status = amend_undo_conflict(undo, record, &again, err);
	else
		status = compare(undo, record, true, AMEND_REVERT_USED, err);
	record->outcome = AMEND_IS_DELETED;
	if (record->n_conflicts > 0 && (record->again || !policy_is(undo, AMEND_REVERT_INCOMING)))
		leave(undo, record, policy_is(undo, AMEND_REVERT_CURRENT));
	return status;
}

/* NULL where the column cannot hold it: it was added since, and has a default. */
static bool puts_back(const struct undo_record *record, size_t column)
{
	const struct amend_table *table = record->table->table;
	const struct amend_column *described = &table->columns[column];
	bool identity = false;

	for (size_t i = 0; i < table->n_identity; i++)
		identity = identity || table->identity[i] == column;
	if (identity)
		return true;
	return !described->generated && !described->unsound &&
	       (field_at(record, column) || !described->not_null);
}

/* The value that the record had, one further: who saw it before it was deleted has not seen this one. */
static void put_version(struct undo *undo, struct undo_record *record,
			const struct amend_value *then)
{
	struct amend_value next = *then;
	int64_t number = 0;

	if (record->table->table->version_is_time || !amend_value_number(then, &number) ||
	    number == INT64_MAX)
		return;
	if (then->kind == AMEND_INTEGER)
		next.as.integer = number + 1;
	else
		next = amend_text(amend_arena_integer(undo->arena, number + 1));
	if (next.kind != AMEND_NULL)
		put(record, record->table->table->version, &next);
}

static enum amend_status recover(struct undo *undo, struct undo_record *record,
				 struct amend_error *err)
{
	const struct amend_table *table = record->table->table;
	struct amend_field *key = NULL;
	enum amend_status status;
	size_t n = 0;

	status = amend_pk_parse(record->pk, amend_has(undo->db, AMEND_HAS_TYPED_STORAGE),
				undo->arena, &key, &n, err);
	for (size_t i = 0; i < table->n_columns && status == AMEND_OK; i++) {
		struct amend_value then = value_then(record, i, false);

		/* Of an identity that the database alone writes only the name tells. */
		for (size_t j = 0; j < n && table->columns[i].generated; j++) {
			if (amend_table_column(table, key[j].column) == (int)i)
				then = key[j].value;
		}
		if ((int)i == table->version)
			put_version(undo, record, &then);
		else if (puts_back(record, i))
			put(record, (int)i, &then);
	}
	record->outcome = AMEND_IS_CREATED;
	return status;
}

static enum amend_status undo_delete(struct undo *undo, struct undo_record *record,
				     struct amend_error *err)
{
	enum amend_status status;

	if (!record->row.values)
		return recover(undo, record, err);
	status = compare(undo, record, false, AMEND_REVERT_EXISTS, err);
	record->outcome = record->n_conflicts ? AMEND_IS_UPDATED : AMEND_IS_UNCHANGED;
	if (record->n_conflicts > 0 && !policy_is(undo, AMEND_REVERT_INCOMING))
		leave(undo, record, policy_is(undo, AMEND_REVERT_CURRENT));
	for (size_t i = 0; record->outcome == AMEND_IS_UPDATED && i < record->n_conflicts; i++)
		put(record, amend_table_column(record->table->table, record->conflicts[i].column),
		    &record->conflicts[i].incoming);
	return status;
}

static enum amend_status decide(struct undo *undo, struct undo_record *record,
				struct amend_error *err)
{
	size_t most = record->existed && record->left ? record->n_fields
						      : record->table->table->n_columns;

	record->outcome = AMEND_IS_UNCHANGED;
	record->puts = amend_arena_array(undo->arena, most, sizeof(*record->puts));
	if (!record->puts)
		return amend_no_memory(err);
	if (record->existed && record->left)
		return undo_update(undo, record, err);
	if (record->left)
		return undo_create(undo, record, err);
	if (record->existed)
		return undo_delete(undo, record, err);
	return AMEND_OK; /* it came and went */
}

enum amend_status amend_undo_decide(struct undo *undo, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < undo->n_tables; i++) {
		for (size_t j = 0; j < undo->tables[i]->n && status == AMEND_OK; j++)
			status = decide(undo, undo->tables[i]->list[j], err);
	}
	return status;
}
