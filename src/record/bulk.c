/*
 * Many rows written together, row by row.
 * Leaves what is written to its callers.
 */
#include <string.h>

#include "record/write.h"

enum kind { DELETE, UPDATE, INSERT };

static enum kind kind_of(const struct amend_bulk *item)
{
	return !item->row ? INSERT : item->n_puts ? UPDATE : DELETE;
}

static enum amend_status write_item(struct amend_conn *db, const struct amend_table *table,
				    const struct amend_key *key, struct amend_bulk *item,
				    struct amend_arena *arena, struct amend_error *err)
{
	struct amend_written written;
	enum amend_status status;

	if (!item->row)
		status = amend_row_insert(db, table, key, item->puts, item->n_puts, arena, &written,
					  err);
	else if (item->n_puts == 0)
		status = amend_row_delete(db, table, item->row, arena, &written, err);
	else
		status = amend_row_update(db, table, item->row, item->puts, item->n_puts, arena,
					  &written, err);
	if (status != AMEND_OK)
		return status;
	item->moved = written.moved;
	item->after = (struct amend_row){0};
	if (!item->moved && (!item->row || item->n_puts))
		item->after = written.row;
	return AMEND_OK;
}

enum amend_status amend_rows_write(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_key *key, struct amend_bulk *items, size_t n,
				   struct amend_arena *arena, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (enum kind kind = DELETE; kind <= INSERT; kind++) {
		for (size_t i = 0; i < n && status == AMEND_OK; i++) {
			if (kind_of(&items[i]) == kind)
				status = write_item(db, table, key, &items[i], arena, err);
		}
	}
	return status;
}
