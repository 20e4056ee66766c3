/*
 * Many rows written by one statement for each, repeated: the way every engine can.
 * Leaves engines that take many rows at once to bulk_array.c.
 */
#include <string.h>

#include "record/bulk.h"

static const struct amend_lock for_update = {true, AMEND_FOR_UPDATE, AMEND_WAIT};

/* What repeating a statement came to. */
struct times {
	struct amend_batch *batch;
	const size_t *members;
	bool *returned; /* each time: whether it returned a row */
	int64_t *changes;
};

/* The values behind "WHERE <identity>". */
static size_t put_identity(const struct amend_table *table, const struct amend_row *row,
			   struct amend_value *out)
{
	for (size_t i = 0; i < table->n_identity; i++)
		out[i] = row->values[table->identity[i]];
	if (table->n_identity == 0)
		out[0] = row->rowid;
	return table->n_identity ? table->n_identity : 1;
}

/* One text, of which `sql` has the values of the first time. */
static enum amend_status repeat(struct times *times, const struct amend_sql *sql,
				const struct amend_value *values, size_t n,
				enum amend_status (*each)(void *context, size_t i,
							  const struct amend_value *values,
							  size_t n_columns, struct amend_error *err),
				struct amend_error *err)
{
	struct amend_repeat repeat = {
		.sql = amend_buffer_string(&sql->text),
		.unless_there = sql->unless_there,
		.unless_key = sql->unless_key,
		.n_values = sql->n_values,
		.values = values,
		.n = n,
		.each = each,
		.context = times,
		.changes = times->changes,
	};

	return amend_repeat(times->batch->db, &repeat, err);
}

static bool begin(struct times *times, struct amend_batch *batch, const size_t *members, size_t n)
{
	times->batch = batch;
	times->members = members;
	times->returned = amend_arena_array(&batch->work, n, sizeof(*times->returned));
	times->changes = amend_arena_array(&batch->work, n, sizeof(*times->changes));
	return times->returned && times->changes;
}

/* ---- reading ---- */

static enum amend_status read_rows(
	struct times *times, size_t n, const struct amend_lock *lock, bool after,
	enum amend_status (*each)(void *context, size_t i, const struct amend_value *values,
				  size_t n_columns, struct amend_error *err),
	struct amend_error *err)
{
	struct amend_batch *batch = times->batch;
	const struct amend_table *table = batch->table;
	size_t width = table->n_identity ? table->n_identity : 1;
	struct amend_value *values = amend_arena_array(&batch->work, n * width, sizeof(*values));
	const struct amend_bulk *first = &batch->items[times->members[0]];
	enum amend_status status;
	struct amend_sql sql;

	if (!values)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		const struct amend_bulk *item = &batch->items[times->members[i]];

		put_identity(table, after ? &item->after : item->row, values + i * width);
	}
	amend_sql_init(&sql, batch->db);
	amend_row_select(&sql, batch->db, table);
	amend_row_identity(&sql, table, after ? &first->after : first->row);
	amend_row_lock(&sql, batch->db, lock);
	status = repeat(times, &sql, values, n, each, err);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status compare(void *context, size_t i, const struct amend_value *values,
				 size_t n_columns, struct amend_error *err)
{
	struct times *times = context;
	const struct amend_batch *batch = times->batch;
	struct amend_row now = amend_row_borrow(batch->db, batch->table, values, n_columns);

	(void)err;
	times->returned[i] = amend_row_same(batch->db, batch->table,
					    batch->items[times->members[i]].row, &now);
	return AMEND_OK;
}

/* In their order, which is that of the locks. */
static enum amend_status prove_many(struct amend_batch *batch, const size_t *members, size_t n,
				    struct amend_error *err)
{
	const struct amend_table *table = batch->table;
	size_t width = table->n_identity;
	struct amend_value *values = amend_arena_array(&batch->work, n * width, sizeof(*values));
	struct amend_row *rows = amend_arena_array(&batch->work, n, sizeof(*rows));
	unsigned char *found = amend_arena_alloc(&batch->work, n);
	enum amend_status status;

	if (!values || !rows || !found)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++)
		put_identity(table, batch->items[members[i]].row, values + i * width);
	status = amend_row_find_many(batch->db, table, table->identity, width, values, n,
				     &for_update, &batch->work, rows, found, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		struct amend_bulk *item = &batch->items[members[i]];

		item->moved = !found[i] || !amend_row_same(batch->db, table, item->row, &rows[i]);
	}
	return status;
}

static enum amend_status prove(struct amend_batch *batch, const size_t *members, size_t n,
			       struct amend_error *err)
{
	struct times times;
	enum amend_status status;

	if (batch->table->n_identity > 0 && amend_has(batch->db, AMEND_HAS_ROW_LOCK))
		return prove_many(batch, members, n, err);
	if (!begin(&times, batch, members, n))
		return amend_no_memory(err);
	status = read_rows(&times, n, &for_update, false, compare, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		batch->items[members[i]].moved = !times.returned[i];
	return status;
}

/* Again: RETURNING does not show what triggers did after it. */
static enum amend_status settled(void *context, size_t i, const struct amend_value *values,
				 size_t n_columns, struct amend_error *err)
{
	struct times *times = context;

	times->returned[i] = true;
	return amend_batch_take(times->batch, &times->batch->items[times->members[i]], values,
				n_columns, err);
}

static enum amend_status settle(struct amend_batch *batch, const size_t *members, size_t n,
				struct amend_error *err)
{
	struct times times;
	enum amend_status status;

	if (!begin(&times, batch, members, n))
		return amend_no_memory(err);
	status = read_rows(&times, n, NULL, true, settled, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (!times.returned[i] && batch->items[members[i]].row)
			status = amend_batch_gone(batch, err);
	}
	return status;
}

/* ---- writing ---- */

static enum amend_status update(const struct amend_batch_group *group, struct amend_error *err)
{
	struct amend_batch *batch = group->batch;
	const struct amend_table *table = batch->table;
	size_t n_puts = group->first->n_puts;
	size_t width = n_puts + (table->n_identity ? table->n_identity : 1);
	struct amend_value *values = amend_arena_array(&batch->work, group->n * width,
						       sizeof(*values));
	enum amend_status status;
	struct amend_sql sql;
	struct times times;

	if (!values || !begin(&times, batch, group->members, group->n))
		return amend_no_memory(err);
	for (size_t i = 0; i < group->n; i++) {
		const struct amend_bulk *item = amend_group_item(group, i);

		for (size_t j = 0; j < n_puts; j++)
			values[i * width + j] = item->puts[j].value;
		put_identity(table, item->row, values + i * width + n_puts);
	}
	amend_sql_init(&sql, batch->db);
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_text(&sql, table->sql);
	amend_write_assignments(&sql, table, group->first->puts, n_puts);
	amend_row_identity(&sql, table, group->first->row);
	status = repeat(&times, &sql, values, group->n, NULL, err);
	amend_sql_release(&sql);
	for (size_t i = 0; i < group->n && status == AMEND_OK; i++) {
		if (times.changes[i] == 0)
			status = amend_write_refused(table, "changed no row of", err);
	}
	return status;
}

static enum amend_status remove_rows(const struct amend_batch_group *group, struct amend_error *err)
{
	struct amend_batch *batch = group->batch;
	const struct amend_table *table = batch->table;
	size_t width = table->n_identity ? table->n_identity : 1;
	struct amend_value *values = amend_arena_array(&batch->work, group->n * width,
						       sizeof(*values));
	enum amend_status status;
	struct amend_sql sql;
	struct times times;

	if (!values || !begin(&times, batch, group->members, group->n))
		return amend_no_memory(err);
	for (size_t i = 0; i < group->n; i++)
		put_identity(table, amend_group_item(group, i)->row, values + i * width);
	amend_sql_init(&sql, batch->db);
	amend_sql_text(&sql, "DELETE FROM ");
	amend_sql_text(&sql, table->sql);
	amend_row_identity(&sql, table, group->first->row);
	status = repeat(&times, &sql, values, group->n, NULL, err);
	amend_sql_release(&sql);
	for (size_t i = 0; i < group->n && status == AMEND_OK; i++) {
		if (times.changes[i] == 0)
			status = amend_write_refused(table, "deleted no row of", err);
	}
	return status;
}

/* Each by itself: what is there already shows. */
static enum amend_status insert_each(const struct amend_batch_group *group, struct amend_error *err)
{
	struct amend_batch *batch = group->batch;
	size_t n_puts = group->first->n_puts;
	struct amend_value *values = NULL;
	enum amend_status status;
	struct amend_sql sql;
	struct times times;

	amend_sql_init(&sql, batch->db);
	amend_write_insertion(&sql, batch->table, batch->key, group->first->puts, n_puts);
	amend_sql_text(&sql, " RETURNING ");
	amend_row_columns(&sql, batch->db, batch->table, "");
	values = amend_arena_array(&batch->work, group->n * sql.n_values, sizeof(*values));
	if (!values || !begin(&times, batch, group->members, group->n)) {
		status = amend_no_memory(err);
		goto out;
	}
	for (size_t i = 0; i < group->n; i++) {
		const struct amend_bulk *item = amend_group_item(group, i);

		/* Behind the puts: what is the same each time. */
		for (size_t j = 0; j < sql.n_values; j++)
			values[i * sql.n_values + j] = j < n_puts ? item->puts[j].value
								  : sql.values[j];
	}
	status = repeat(&times, &sql, values, group->n, settled, err);
	for (size_t i = 0; i < group->n && status == AMEND_OK; i++) {
		if (times.returned[i])
			continue;
		amend_group_item(group, i)->moved = batch->key != NULL;
		if (!batch->key)
			status = amend_write_refused(batch->table, "created no row in", err);
	}
out:
	amend_sql_release(&sql);
	return status;
}

/* ---- many in an INSERT ---- */

/* Rows in a statement: few texts, for what is prepared to be of use again. */
static const size_t sizes[] = {256, 32, 8, 1};

enum {
	FEW = 8,
	PLACEHOLDERS = 32 * 1024, /* a statement may have twice as many */
	BYTES = 512 * 1024, /* of their texts: what is too much for a server goes one by one */
};

/* The most of these rows that go together. */
static size_t fitting(const struct amend_batch_group *group, size_t from)
{
	size_t n_puts = group->first->n_puts, bytes = 0, n = 0, i = 0;

	for (; from + n < group->n && n < sizes[0] && (n + 1) * n_puts <= PLACEHOLDERS; n++) {
		const struct amend_bulk *item = amend_group_item(group, from + n);

		for (size_t j = 0; j < n_puts; j++)
			bytes += item->puts[j].value.size;
		if (bytes > BYTES)
			break;
	}
	while (sizes[i] > 1 && sizes[i] > n)
		i++;
	return sizes[i];
}

static enum amend_status insert_rows(const struct amend_batch_group *group, size_t from, size_t n,
				     struct amend_error *err)
{
	struct amend_batch *batch = group->batch;
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;
	struct amend_sql sql;

	amend_sql_init(&sql, batch->db);
	amend_write_insert_head(&sql, batch->table, group->first->puts, group->first->n_puts);
	amend_sql_text(&sql, " VALUES ");
	for (size_t i = 0; i < n; i++) {
		const struct amend_bulk *item = amend_group_item(group, from + i);

		amend_sql_text(&sql, i > 0 ? ", (" : "(");
		amend_write_values(&sql, batch->table, item->puts, item->n_puts);
		amend_sql_text(&sql, ")");
	}
	amend_sql_text(&sql, " RETURNING ");
	amend_row_columns(&sql, batch->db, batch->table, "");
	status = amend_exec(batch->db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows != n)
		status = amend_write_refused(batch->table, "created no row in", err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++)
		status = amend_batch_take(batch, amend_group_item(group, from + i),
					  amend_rows_at(&rows, i, 0), rows.n_columns, err);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status insert_all(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct amend_batch_group *group = context;
	enum amend_status status = AMEND_OK;

	(void)db;
	for (size_t at = 0, n; at < group->n && status == AMEND_OK; at += n) {
		n = fitting(group, at);
		status = insert_rows(group, at, n, err);
	}
	return status;
}

/* Mostly none is there, and each is taken: many are tried in few trips, and undone if not. Alone each says what is the matter with it. */
static enum amend_status insert(const struct amend_batch_group *group, struct amend_error *err)
{
	struct amend_batch_group copy = *group;
	enum amend_status status;

	if (!amend_has(group->batch->db, AMEND_HAS_MANY_VALUES) || group->n < FEW ||
	    group->first->n_puts == 0)
		return insert_each(group, err);
	status = amend_atomic(group->batch->db, NULL, insert_all, &copy, err);
	return status == AMEND_CONSTRAINT || status == AMEND_INVALID || status == AMEND_UNSUPPORTED
		       ? insert_each(group, err)
		       : status;
}

const struct amend_batch_way amend_batch_repeat = {prove, update, remove_rows, insert, settle};
