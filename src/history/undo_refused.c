/*
 * What the database would refuse of a plan: each record held against all that its table demands, but for
 * what the plan itself puts right. Leaves looking to src/record, and values that would stand twice to undo_unique.c.
 */
#include <string.h>

#include "history/revert.h"
#include "record/violations.h"

/* Each look is some queries: whoever undoes more is told of these, and the database has the last word. */
enum { MOST_LOOKED_AT = 200 };

static bool is_written(const struct undo_record *record)
{
	return record->outcome == AMEND_IS_UPDATED || record->outcome == AMEND_IS_CREATED ||
	       record->outcome == AMEND_IS_DELETED;
}

static const struct undo_table *table_named(const struct undo *undo, const char *name)
{
	for (size_t i = 0; name && i < undo->n_tables; i++) {
		if (strcmp(undo->tables[i]->name, name) == 0)
			return undo->tables[i];
	}
	return NULL;
}

/* The record in the way, if the plan is about it too. */
static const struct undo_record *record_of(const struct undo *undo, const struct undo_table *table,
					   const struct amend_violation *violation)
{
	const struct amend_table *described = table->table;
	struct amend_value *values = amend_arena_array(undo->arena, described->n_columns,
						       sizeof(*values));
	struct amend_value rowid = amend_null();
	struct amend_buffer pk = AMEND_BUFFER_INIT;
	const struct undo_record *found = NULL;

	for (size_t i = 0; values && i < violation->n_record; i++) {
		int at = amend_table_column(described, violation->record[i].column);

		if (at >= 0)
			values[at] = violation->record[i].value;
		else
			rowid = violation->record[i].value;
	}
	if (values)
		amend_pk_text(&pk, described, values, &rowid);
	if (!pk.failed && pk.size > 0)
		found = amend_hash_get(&table->by_pk, pk.data, pk.size);
	amend_buffer_release(&pk);
	return found;
}

static bool refers(const struct undo_record *child, const struct amend_foreign_key *key,
		   const struct undo_record *parent)
{
	for (size_t i = 0; i < key->n_columns; i++) {
		int at = amend_table_column(parent->table->table, key->references[i]);
		const struct amend_value *here = amend_undo_final(child, key->columns[i]);
		const struct amend_value *there = at < 0 ? NULL
							 : amend_undo_final(parent, (size_t)at);

		if (!here || !there || !amend_value_equal(here, there))
			return false;
	}
	return true;
}

/* The foreign key that the violation is of. */
static const struct amend_foreign_key *key_of(const struct amend_table *table,
					      const struct amend_violation *violation)
{
	for (size_t i = 0; i < table->n_foreign_keys; i++) {
		const struct amend_foreign_key *key = &table->foreign_keys[i];
		bool same = key->n_columns == violation->n_columns;

		for (size_t j = 0; same && j < key->n_columns; j++)
			same = strcmp(table->columns[key->columns[j]].name,
				      violation->columns[j]) == 0;
		if (same)
			return key;
	}
	return NULL;
}

/* The parent comes back, or gets the value that is referred to. */
static bool gets_parent(const struct undo_record *record, const struct undo_table *parents,
			const struct amend_violation *violation)
{
	const struct amend_foreign_key *key = key_of(record->table->table, violation);

	for (size_t i = 0; key && i < parents->n; i++) {
		const struct undo_record *parent = parents->list[i];

		if (is_written(parent) && parent->outcome != AMEND_IS_DELETED &&
		    refers(record, key, parent))
			return true;
	}
	return false;
}

/* Among its conflicts. */
static bool is_told(const struct undo_record *record, const struct amend_violation *violation)
{
	for (size_t i = 0; violation->kind == AMEND_VIOLATES_UNIQUE && i < record->n_conflicts;
	     i++) {
		const struct amend_revert_conflict *conflict = &record->conflicts[i];

		if (conflict->problem == AMEND_REVERT_TAKEN && violation->n_columns > 0 &&
		    strcmp(conflict->column, violation->columns[0]) == 0)
			return true;
	}
	return false;
}

static bool put_right(const struct undo *undo, const struct undo_record *record,
		      const struct amend_violation *violation)
{
	const struct undo_table *table = violation->table ? table_named(undo, violation->table)
							  : record->table;
	const struct undo_record *other;

	if (!table)
		return false;
	switch (violation->kind) {
	case AMEND_VIOLATES_PARENT:
		return gets_parent(record, table, violation);
	case AMEND_VIOLATES_UNIQUE:
	case AMEND_VIOLATES_EXCLUSION:
	case AMEND_VIOLATES_CHILDREN:
		other = violation->n_record ? record_of(undo, table, violation) : NULL;
		return other && is_written(other);
	case AMEND_VIOLATES_TYPE:
	case AMEND_VIOLATES_NOT_NULL:
	case AMEND_VIOLATES_CHECK:
		break;
	}
	return false;
}

static enum amend_status look(struct undo *undo, struct undo_record *record, struct amend_error *err)
{
	struct amend_violations list = {.arena = undo->arena};
	enum amend_status status = amend_row_violations(
		undo->db, record->table->table,
		record->outcome == AMEND_IS_CREATED ? NULL : &record->row, record->puts,
		record->outcome == AMEND_IS_DELETED ? 0 : record->n_puts, &list, err);
	size_t kept = 0;

	for (size_t i = 0; status == AMEND_OK && i < list.n; i++) {
		if (!put_right(undo, record, &list.all[i]) && !is_told(record, &list.all[i]))
			list.all[kept++] = list.all[i];
	}
	record->violations = list.all;
	record->n_violations = kept;
	return status;
}

enum amend_status amend_undo_refused(struct undo *undo, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	size_t looked = 0;

	for (size_t i = 0; i < undo->n_tables; i++) {
		for (size_t j = 0; j < undo->tables[i]->n && status == AMEND_OK; j++) {
			struct undo_record *record = undo->tables[i]->list[j];

			if (!is_written(record) || looked++ >= MOST_LOOKED_AT)
				continue;
			status = look(undo, record, err);
		}
	}
	return status;
}
