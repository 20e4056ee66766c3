/*
 * Records that would go, or change, with created ones that are removed: they came later, and are somebody's work.
 * Leaves finding them to src/record/cascade.c.
 */
#include <stdlib.h>
#include <string.h>

#include "history/revert.h"
#include "record/cascade.h"

/* The records of one table that are to be removed. */
struct removal {
	struct undo *undo;
	struct undo_record **records; /* by the search's index */
	bool again;                   /* one stays: what goes with others is another matter then */
};

/* It is removed as well, or refers to another one afterwards. */
static bool apart(void *context, const struct amend_dependent *key, const struct amend_table *child,
		  const char *pk)
{
	const struct removal *removal = context;
	const struct undo *undo = removal->undo;
	const struct undo_record *record = NULL;

	for (size_t i = 0; i < undo->n_tables && !record; i++) {
		if (strcmp(undo->tables[i]->table->qualified, child->qualified) == 0)
			record = amend_hash_get(&undo->tables[i]->by_pk, pk, strlen(pk));
	}
	if (!record || !record->row.values)
		return false;
	for (size_t i = 0; i < key->n_columns; i++) {
		int at = amend_table_column(record->table->table, key->columns[i]);
		const struct amend_value *after = at < 0 ? NULL
							 : amend_undo_final(record, (size_t)at);

		if (!after || !amend_value_equal(after, &record->row.values[at]))
			return true;
	}
	return false;
}

/* To overwrite what came later is to say so of these too, where it can be undone. */
static enum amend_status stands_in_the_way(void *context, const struct amend_cascade *found,
					   struct amend_error *err)
{
	struct removal *removal = context;
	struct undo *undo = removal->undo;
	struct undo_record *record = removal->records[found->row];
	enum amend_revert_policy policy = undo->revert->on_conflict;
	struct amend_revert_conflict conflict = {.problem = AMEND_REVERT_USED};
	struct amend_buffer text = AMEND_BUFFER_INIT;

	amend_cascade_text(&text, found);
	if (!found->recorded)
		amend_buffer_text(&text, "; nothing would record that");
	conflict.note = text.failed ? NULL : amend_arena_text_n(undo->arena, text.data, text.size);
	amend_buffer_release(&text);
	if (!conflict.note)
		return amend_no_memory(err);
	if (policy != AMEND_REVERT_INCOMING || !found->recorded) {
		record->outcome = AMEND_IS_SKIPPED;
		record->open = record->open || policy != AMEND_REVERT_CURRENT;
		removal->again = true;
	}
	return amend_undo_conflict(undo, record, &conflict, err);
}

static enum amend_status look(struct undo *undo, const struct undo_table *table, bool *again,
			      struct amend_error *err)
{
	struct removal removal = {.undo = undo,
				  .records = calloc(table->n + 1, sizeof(struct undo_record *))};
	const struct amend_row **rows = calloc(table->n + 1, sizeof(const struct amend_row *));
	const struct amend_cascade_search search = {apart, stands_in_the_way, &removal, NULL};
	enum amend_status status = removal.records && rows ? AMEND_OK : amend_no_memory(err);
	size_t n = 0;

	for (size_t i = 0; i < table->n && removal.records && rows; i++) {
		struct undo_record *record = table->list[i];

		if (record->outcome != AMEND_IS_DELETED)
			continue;
		removal.records[n] = record;
		rows[n++] = &record->row;
	}
	if (status == AMEND_OK)
		status = amend_cascades_find(undo->db, table->table, rows, n, &search, err);
	*again = *again || removal.again;
	free(removal.records);
	free(rows);
	return status;
}

enum amend_status amend_undo_children(struct undo *undo, bool *again, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	*again = false;
	for (size_t i = 0; i < undo->n_tables && status == AMEND_OK; i++) {
		if (undo->tables[i]->table->n_dependents > 0)
			status = look(undo, undo->tables[i], again, err);
	}
	return status;
}
