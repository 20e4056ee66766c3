/*
 * What would go or change with records unrecorded is refused, before they are written.
 * Leaves finding it to cascade.c.
 */
#include <stdlib.h>
#include <string.h>

#include "record/cascade.h"

struct writing {
	const struct amend_conn *db;
	const struct amend_table *table;
	const struct amend_bulk **sorted; /* by the names of their rows */
	const struct amend_bulk *const *items;
	size_t n;
};

static int by_name(const void *a, const void *b)
{
	const struct amend_bulk *const *x = a, *const *y = b;

	return strcmp((*x)->row->pk, (*y)->row->pk);
}

static const struct amend_bulk *item_of(const struct writing *writing, const char *pk)
{
	const struct amend_row row = {.pk = pk};
	const struct amend_bulk wanted = {.row = &row}, *key = &wanted;
	const struct amend_bulk *const *found = bsearch(&key, writing->sorted, writing->n,
							sizeof(const struct amend_bulk *), by_name);

	return found ? *found : NULL;
}

static const struct amend_put *put_of(const struct amend_bulk *item, int column)
{
	for (size_t i = 0; i < item->n_puts; i++) {
		if ((int)item->puts[i].column == column)
			return &item->puts[i];
	}
	return NULL;
}

/* A row that refers to itself, and is to refer to something else by the same write. */
static bool lets_go(const struct amend_dependent *key, const struct amend_table *table,
		    const struct amend_bulk *item)
{
	const struct amend_value *values = item->row->values;
	bool other = false;

	for (size_t i = 0; i < key->n_columns; i++) {
		int at = amend_table_column(table, key->columns[i]);
		const struct amend_put *put = at < 0 ? NULL : put_of(item, at);

		if (at < 0 || !amend_value_equal(&values[at], &values[key->references[i]]))
			return false;
		other = other || (put && !amend_value_equal(&put->value, &values[at]));
	}
	return other;
}

static bool apart(void *context, const struct amend_dependent *key, const struct amend_table *table,
		  const char *pk)
{
	const struct writing *writing = context;
	const struct amend_bulk *item = strcmp(table->qualified, writing->table->qualified) == 0
						? item_of(writing, pk)
						: NULL;

	return item && (item->n_puts == 0 || lets_go(key, table, item));
}

static enum amend_status refuse(void *context, const struct amend_cascade *found,
				struct amend_error *err)
{
	const struct writing *writing = context;
	const struct amend_bulk *item = writing->items[found->row];
	struct amend_buffer text = AMEND_BUFFER_INIT;
	bool guards = amend_has(writing->db, AMEND_HAS_KEY_TRIGGERS);
	const char *words;

	amend_cascade_text(&text, found);
	words = text.failed ? "others refer to it" : text.data;
	if (found->recorded)
		amend_error_set(err, AMEND_CONSTRAINT,
				"%s %s cannot make way for another record, even for a moment: %s",
				writing->table->qualified, item->row->pk, words);
	else
		amend_error_set(err, AMEND_CONSTRAINT,
				"%s %s is not %s: %s; nothing would record that (hint: see to "
				"them first%s%s)",
				writing->table->qualified, item->row->pk,
				item->n_puts ? "changed" : "deleted", words,
				guards ? ", or have `amend guard --history` record what becomes of "
				       : "",
				guards ? found->table : "");
	amend_buffer_release(&text);
	return err->status;
}

enum amend_status amend_cascades_check(struct amend_conn *db, const struct amend_table *table,
				       const struct amend_bulk *const *items, size_t n,
				       bool *recorded, struct amend_error *err)
{
	struct writing writing = {.db = db, .table = table, .items = items, .n = n};
	const struct amend_cascade_search search = {apart, refuse, &writing, recorded};
	enum amend_status status;

	if (recorded)
		*recorded = false;
	if (n == 0)
		return AMEND_OK;
	writing.sorted = calloc(n, sizeof(const struct amend_bulk *));
	if (!writing.sorted)
		return amend_no_memory(err);
	memcpy(writing.sorted, items, n * sizeof(const struct amend_bulk *));
	qsort(writing.sorted, n, sizeof(const struct amend_bulk *), by_name);
	status = amend_cascades_find(db, table, items, n, &search, err);
	free(writing.sorted);
	return status;
}

enum amend_status amend_cascades_begin(struct amend_conn *db, const struct amend_table *table,
				       const struct amend_row *row, const struct amend_put *puts,
				       size_t n, bool *handed, struct amend_error *err)
{
	const struct amend_bulk one = {.row = row, .puts = puts, .n_puts = n}, *item = &one;
	enum amend_status status;

	*handed = false;
	if (n == 0 ? !amend_cascades_by_delete(db, table)
		   : !amend_cascades_by_update(db, table, puts, n))
		return AMEND_OK;
	status = amend_cascades_check(db, table, &item, 1, handed, err);
	*handed = *handed && !table->guard_history;
	return status == AMEND_OK && *handed ? amend_handover_begin(db, err) : status;
}

enum amend_status amend_cascades_end(struct amend_conn *db, bool handed, struct amend_error *err)
{
	return handed ? amend_handover_end(db, err) : AMEND_OK;
}
