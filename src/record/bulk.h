/* The two ways many rows are written: one statement repeated, and arrays; for src/record/bulk*.c. */
#ifndef AMEND_RECORD_BULK_H
#define AMEND_RECORD_BULK_H

#include "record/write.h"

/* One call of amend_rows_write under way. */
struct amend_batch {
	struct amend_conn *db;
	const struct amend_table *table;
	const struct amend_key *key;
	struct amend_bulk *items;
	struct amend_arena *arena; /* the caller's: rows after the write */
	struct amend_arena work;   /* until the call ends */
	bool others; /* go with those that are deleted, recorded by their own triggers */
	bool plain; /* a row after its update is known without asking: no triggers, no generated columns */
};

/* Items that one statement text writes: of one kind, putting the same columns in the same order. */
struct amend_batch_group {
	struct amend_batch *batch;
	const size_t *members; /* indices of items, rising */
	size_t n;
	const struct amend_bulk *first;
};

static inline struct amend_bulk *amend_group_item(const struct amend_batch_group *group, size_t i)
{
	return &group->batch->items[group->members[i]];
}

/* What a way has to offer. Each sets `moved`, and `after.values` where the engine has returned the row. */
struct amend_batch_way {
	/* Locks these rows in this order, and finds out which are no longer what was read. */
	enum amend_status (*prove)(struct amend_batch *batch, const size_t *members, size_t n,
				   struct amend_error *err);
	/* All are held: what is not written was refused. */
	enum amend_status (*update)(const struct amend_batch_group *group, struct amend_error *err);
	enum amend_status (*remove)(const struct amend_batch_group *group, struct amend_error *err);
	enum amend_status (*insert)(const struct amend_batch_group *group, struct amend_error *err);
	/* Reads what is stored in the end; a row that is gone keeps the `after` it has. */
	enum amend_status (*settle)(struct amend_batch *batch, const size_t *members, size_t n,
				    struct amend_error *err);
};

extern const struct amend_batch_way amend_batch_repeat, amend_batch_arrays;

/* Takes a row as it was returned, in amend_row_columns' order, into the item's `after`. */
enum amend_status amend_batch_take(const struct amend_batch *batch, struct amend_bulk *item,
				   const struct amend_value *values, size_t n_columns,
				   struct amend_error *err) AMEND_CHECK;
/* INTERNAL: an updated row is not found again. */
enum amend_status amend_batch_gone(const struct amend_batch *batch, struct amend_error *err);

#endif
