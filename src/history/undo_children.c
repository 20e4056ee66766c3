/*
 * Records that would go, or change, with created ones that are removed, or with values that they refer to and that
 * come back: they are somebody's work, and came later.
 * Leaves finding them to src/record/cascade.c.
 */
#include <stdlib.h>
#include <string.h>

#include "history/revert.h"
#include "record/cascade.h"

/* The records of one table that are to be removed, or changed. */
struct removal {
	struct undo *undo;
	struct undo_record **records; /* by the search's index */
	bool *stays; /* likewise: a deletion, or what others refer to, is left out */
	bool again;  /* one stays: what goes with others is another matter then */
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
		record->open = record->open || policy != AMEND_REVERT_CURRENT;
		removal->stays[found->row] = true;
		removal->again = true;
	}
	return amend_undo_conflict(undo, record, &conflict, err);
}

/* A record stays; of a change the rest is written. */
static void leave(const struct undo *undo, struct undo_record *record)
{
	const struct amend_table *table = record->table->table;
	size_t kept = 0;

	if (record->outcome == AMEND_IS_DELETED)
		record->outcome = AMEND_IS_SKIPPED;
	if (record->outcome == AMEND_IS_SKIPPED || undo->revert->on_conflict != AMEND_REVERT_CURRENT)
		return;
	for (size_t i = 0; i < record->n_puts; i++) {
		if (!amend_cascades_by_update(undo->db, table, &record->puts[i], 1))
			record->puts[kept++] = record->puts[i];
	}
	record->n_puts = kept;
	if (kept == 0)
		record->outcome = AMEND_IS_SKIPPED;
}

static bool falls(const struct undo *undo, const struct undo_record *record,
		  enum amend_outcome outcome)
{
	if (record->outcome != outcome)
		return false;
	return outcome == AMEND_IS_DELETED ||
	       amend_cascades_by_update(undo->db, record->table->table, record->puts,
					record->n_puts);
}

static enum amend_status look(struct undo *undo, const struct undo_table *table,
			      enum amend_outcome outcome, bool *again, struct amend_error *err)
{
	struct removal removal = {.undo = undo,
				  .records = calloc(table->n + 1, sizeof(struct undo_record *)),
				  .stays = calloc(table->n + 1, sizeof(bool))};
	struct amend_bulk *items = calloc(table->n + 1, sizeof(*items));
	const struct amend_bulk **list = calloc(table->n + 1, sizeof(const struct amend_bulk *));
	bool recorded;
	/* What follows a value that comes back, and is recorded, does what it is for; what goes is lost. */
	const struct amend_cascade_search search = {apart, stands_in_the_way, &removal,
						    outcome == AMEND_IS_UPDATED ? &recorded : NULL};
	enum amend_status status = removal.records && removal.stays && items && list
					   ? AMEND_OK
					   : amend_no_memory(err);
	size_t n = 0;

	for (size_t i = 0; i < table->n && removal.records && removal.stays && items && list; i++) {
		struct undo_record *record = table->list[i];

		if (!falls(undo, record, outcome))
			continue;
		items[n] = (struct amend_bulk){
			.row = &record->row, .puts = record->puts, .n_puts = record->n_puts};
		if (outcome == AMEND_IS_DELETED)
			items[n].n_puts = 0;
		removal.records[n] = record;
		list[n] = &items[n];
		n++;
	}
	if (status == AMEND_OK)
		status = amend_cascades_find(undo->db, table->table, list, n, &search, err);
	for (size_t i = 0; i < n && removal.records && removal.stays; i++) {
		if (removal.stays[i])
			leave(undo, removal.records[i]);
	}
	*again = *again || removal.again;
	free(removal.records);
	free(removal.stays);
	free(items);
	free(list);
	return status;
}

enum amend_status amend_undo_children(struct undo *undo, bool *again, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	*again = false;
	for (size_t i = 0; i < undo->n_tables && status == AMEND_OK; i++) {
		if (undo->tables[i]->table->n_dependents == 0)
			continue;
		status = look(undo, undo->tables[i], AMEND_IS_DELETED, again, err);
		if (status == AMEND_OK)
			status = look(undo, undo->tables[i], AMEND_IS_UPDATED, again, err);
	}
	return status;
}
