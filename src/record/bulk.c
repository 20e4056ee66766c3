/*
 * Many rows written together: sorting them into statements, and recording what became of them.
 * Leaves the statements to bulk_array.c and bulk_repeat.c.
 */
#include <stdlib.h>
#include <string.h>

#include "ledger/lease.h"
#include "record/bulk.h"
#include "record/cascade.h"
#include "sql/table.h"

enum kind { DELETE, UPDATE, INSERT };

static enum kind kind_of(const struct amend_bulk *item)
{
	return !item->row ? INSERT : item->n_puts ? UPDATE : DELETE;
}

static const struct amend_batch_way *way_of(const struct amend_conn *db)
{
	return amend_has(db, AMEND_HAS_ARRAYS) && amend_has(db, AMEND_HAS_ROW_VERSION)
		       ? &amend_batch_arrays
		       : &amend_batch_repeat;
}

enum amend_status amend_batch_take(const struct amend_batch *batch, struct amend_bulk *item,
				   const struct amend_value *values, size_t n_columns,
				   struct amend_error *err)
{
	const struct amend_rows rows = {.n_rows = 1, .n_columns = n_columns, .values = values};

	return amend_row_take(batch->db, batch->table, &rows, 0, batch->arena, &item->after, err);
}

enum amend_status amend_batch_gone(const struct amend_batch *batch, struct amend_error *err)
{
	return amend_error_set(err, AMEND_INTERNAL, "a row just written to %s is gone",
			       batch->table->qualified);
}

/* ---- proving ---- */

struct named {
	const char *pk;
	size_t index;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->pk, ((const struct named *)b)->pk);
}

/* Whoever locks in the same order never waits for another in a circle. */
static enum amend_status prove(struct amend_batch *batch, size_t n, struct amend_error *err)
{
	struct named *names = amend_arena_array(&batch->work, n, sizeof(*names));
	size_t *members = amend_arena_array(&batch->work, n, sizeof(*members));
	size_t count = 0;

	if (!names || !members)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		if (batch->items[i].row && !batch->items[i].row->held)
			names[count++] = (struct named){batch->items[i].row->pk, i};
	}
	if (count == 0)
		return AMEND_OK;
	qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 0; i < count; i++)
		members[i] = names[i].index;
	return way_of(batch->db)->prove(batch, members, count, err);
}

/* All are held by now: a lease that is taken later finds them written. */
static enum amend_status pass(struct amend_batch *batch, size_t n, struct amend_error *err)
{
	const char **pks = amend_arena_array(&batch->work, n, sizeof(*pks));
	bool *locked = amend_arena_array(&batch->work, n, sizeof(*locked));
	enum amend_status status;
	bool any = false;

	if (!pks || !locked)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		const struct amend_bulk *item = &batch->items[i];

		pks[i] = item->row && !item->moved ? item->row->pk : NULL;
	}
	status = amend_lease_pass_many(batch->db, batch->table, pks, n, locked, &batch->work, err);
	if (status != AMEND_LOCKED || *err->sqlstate)
		return status;
	for (size_t i = 0; i < n; i++) {
		struct amend_bulk *item = &batch->items[i];

		if (locked[i] && !item->skip_locked)
			return status;
		item->locked = locked[i];
		item->moved = item->moved || locked[i];
		if (!locked[i] || any)
			continue;
		any = true;
		item->why = amend_arena_text(batch->arena, err->text);
		if (!item->why)
			return amend_no_memory(err);
	}
	/* One that is carried, for all of them, is lost. */
	return any ? AMEND_OK : status;
}

static bool falls(const struct amend_batch *batch, const struct amend_bulk *item, enum kind kind)
{
	if (item->moved || kind_of(item) != kind)
		return false;
	return kind == DELETE ||
	       amend_cascades_by_update(batch->db, batch->table, item->puts, item->n_puts);
}

/* Held too: nobody can come to refer to them now. */
static enum amend_status check_cascades(struct amend_batch *batch, size_t n, enum kind kind,
					struct amend_error *err)
{
	const struct amend_bulk **items;
	enum amend_status status;
	size_t count = 0;
	bool others;

	if (batch->table->n_dependents == 0)
		return AMEND_OK;
	items = amend_arena_array(&batch->work, n, sizeof(const struct amend_bulk *));
	if (!items)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		if (falls(batch, &batch->items[i], kind))
			items[count++] = &batch->items[i];
	}
	status = amend_cascades_check(batch->db, batch->table, items, count, &others, err);
	batch->others = batch->others || others;
	return status;
}

/* ---- groups ---- */

struct shaped {
	const struct amend_bulk *item;
	size_t index;
};

static int compare_shape(const struct amend_bulk *x, const struct amend_bulk *y)
{
	int kinds = (int)kind_of(x) - (int)kind_of(y);

	if (kinds)
		return kinds;
	if (x->n_puts != y->n_puts)
		return x->n_puts < y->n_puts ? -1 : 1;
	for (size_t i = 0; i < x->n_puts; i++) {
		if (x->puts[i].column != y->puts[i].column)
			return x->puts[i].column < y->puts[i].column ? -1 : 1;
	}
	return 0;
}

static int by_shape(const void *a, const void *b)
{
	const struct shaped *x = a, *y = b;
	int shapes = compare_shape(x->item, y->item);

	return shapes ? shapes : (x->index > y->index) - (x->index < y->index);
}

static int by_kind_and_place(const void *a, const void *b)
{
	const struct amend_batch_group *x = a, *y = b;
	int kinds = (int)kind_of(x->first) - (int)kind_of(y->first);

	return kinds ? kinds : (x->members[0] > y->members[0]) - (x->members[0] < y->members[0]);
}

/* What goes or changes with them and is recorded belongs to this revision. */
static enum amend_status with_others(const struct amend_batch_group *group,
				     enum amend_status (*write)(const struct amend_batch_group *,
								struct amend_error *),
				     struct amend_error *err)
{
	struct amend_conn *db = group->batch->db;
	bool others = group->batch->others && !group->batch->table->guard_history;
	enum amend_status status = others ? amend_handover_begin(db, err) : AMEND_OK;

	if (status == AMEND_OK)
		status = write(group, err);
	return status == AMEND_OK && others ? amend_handover_end(db, err) : status;
}

static enum amend_status write_group(const struct amend_batch_group *group, struct amend_error *err)
{
	const struct amend_batch_way *way = way_of(group->batch->db);

	switch (kind_of(group->first)) {
	case DELETE:
		return with_others(group, way->remove, err);
	case UPDATE:
		return with_others(group, way->update, err);
	case INSERT:
		break;
	}
	/* No column to name, so no set of rows to select. */
	return group->first->n_puts ? way->insert(group, err)
				    : amend_batch_repeat.insert(group, err);
}

static enum amend_status write_groups(struct amend_batch *batch, size_t n, struct amend_error *err)
{
	struct shaped *shapes = amend_arena_array(&batch->work, n, sizeof(*shapes));
	size_t *members = amend_arena_array(&batch->work, n, sizeof(*members));
	struct amend_batch_group *groups = amend_arena_array(&batch->work, n, sizeof(*groups));
	enum amend_status status = AMEND_OK;
	size_t count = 0, n_groups = 0;

	if (!shapes || !members || !groups)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		if (!batch->items[i].moved)
			shapes[count++] = (struct shaped){&batch->items[i], i};
	}
	qsort(shapes, count, sizeof(*shapes), by_shape);
	for (size_t i = 0; i < count; i++) {
		members[i] = shapes[i].index;
		if (i == 0 || compare_shape(shapes[i - 1].item, shapes[i].item) != 0)
			groups[n_groups++] = (struct amend_batch_group){
				.batch = batch, .members = members + i, .first = shapes[i].item};
		groups[n_groups - 1].n++;
	}
	qsort(groups, n_groups, sizeof(*groups), by_kind_and_place);
	for (size_t i = 0; i < n_groups && status == AMEND_OK; i++)
		status = write_group(&groups[i], err);
	return status;
}

/* ---- what is stored in the end ---- */

static bool moves_identity(const struct amend_table *table, const struct amend_bulk *item)
{
	for (size_t i = 0; i < item->n_puts; i++) {
		for (size_t j = 0; j < table->n_identity; j++) {
			if (table->identity[j] == item->puts[i].column)
				return true;
		}
	}
	return false;
}

static bool puts_column(const struct amend_bulk *item, int column)
{
	for (size_t i = 0; i < item->n_puts; i++) {
		if ((int)item->puts[i].column == column)
			return true;
	}
	return false;
}

static bool has_generated(const struct amend_table *table)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		if (table->columns[i].generated)
			return true;
	}
	return false;
}

/*
 * The row before with the puts in it. False where it is not known what else
 * the database has changed: `after` then serves to find the row.
 */
static bool follow(struct amend_batch *batch, struct amend_bulk *item, bool *ok)
{
	const struct amend_table *table = batch->table;
	struct amend_value *values = amend_arena_array(batch->arena, table->n_columns,
						       sizeof(*values));
	struct amend_buffer pk = AMEND_BUFFER_INIT;
	bool known = true;

	if (!values) {
		*ok = false;
		return false;
	}
	memcpy(values, item->row->values, table->n_columns * sizeof(*values));
	for (size_t i = 0; i < item->n_puts && *ok; i++)
		*ok = amend_arena_value(batch->arena, &item->puts[i].value,
					&values[item->puts[i].column]);
	if (table->version >= 0 && !puts_column(item, table->version)) {
		struct amend_value *version = &values[table->version];

		known = version->kind == AMEND_INTEGER && version->as.integer < INT64_MAX;
		if (known)
			version->as.integer++;
	}
	item->after = *item->row;
	item->after.values = values;
	item->after.version = amend_null();
	if (moves_identity(table, item)) {
		amend_pk_text(&pk, table, values, &item->after.rowid);
		item->after.pk = pk.failed ? NULL : amend_arena_text(batch->arena, pk.data);
		*ok = *ok && item->after.pk;
		amend_buffer_release(&pk);
	}
	return known;
}

static enum amend_status settle(struct amend_batch *batch, size_t n, struct amend_error *err)
{
	bool late = batch->table->settles_late || !batch->plain, ok = true;
	size_t *members = amend_arena_array(&batch->work, n, sizeof(*members)), count = 0;
	enum amend_status status = AMEND_OK;

	if (!members)
		return amend_no_memory(err);
	for (size_t i = 0; i < n && ok; i++) {
		struct amend_bulk *item = &batch->items[i];
		bool known = !late;

		if (item->moved || (item->row && item->n_puts == 0))
			continue;
		if (!item->after.values)
			known = item->row && follow(batch, item, &ok) && known;
		else if (!batch->table->settles_late)
			known = true;
		if (!known)
			members[count++] = i;
	}
	if (!ok)
		return amend_no_memory(err);
	if (count > 0)
		status = way_of(batch->db)->settle(batch, members, count, err);
	for (size_t i = 0; i < n; i++)
		batch->items[i].after.held = batch->items[i].after.values != NULL;
	return status;
}

/* ---- history ---- */

static void describe_change(const struct amend_batch *batch, const struct amend_bulk *item,
			    struct amend_change_spec *spec)
{
	const struct amend_row *row = item->row, *after = &item->after;

	spec->table = batch->table;
	spec->source = item->source;
	spec->base = item->seen;
	spec->pk = after->values ? after->pk : row->pk;
	spec->op = !row ? "create" : after->values ? "update" : "delete";
	if (row && after->values && strcmp(row->pk, after->pk) != 0)
		spec->was = row->pk;
}

/* The table's triggers have recorded all of it, except what is the sync's. */
static enum amend_status record_sources(struct amend_batch *batch, size_t n, struct amend_error *err)
{
	struct amend_change_spec *specs = amend_arena_array(&batch->work, n, sizeof(*specs));
	size_t count = 0;

	if (!specs)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		if (!batch->items[i].moved && batch->items[i].source)
			describe_change(batch, &batch->items[i], &specs[count++]);
	}
	return amend_handover_bases(batch->db, specs, count, err);
}

struct recorded {
	struct amend_batch *batch;
	size_t n;
	bool nothing; /* was written */
};

/* Triggers that record find the unit's revision. */
static enum amend_status hand_over(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct recorded *recorded = context;
	enum amend_status status = amend_handover_begin(db, err);

	if (status == AMEND_OK)
		status = write_groups(recorded->batch, recorded->n, err);
	if (status == AMEND_OK)
		status = amend_handover_end(db, err);
	recorded->nothing = status == AMEND_OK;
	for (size_t i = 0; i < recorded->n && recorded->nothing; i++)
		recorded->nothing = recorded->batch->items[i].moved;
	return status;
}

static enum amend_status undo_if_nothing(struct amend_conn *db, void *context,
					 struct amend_error *err)
{
	const struct recorded *recorded = context;
	enum amend_status status = hand_over(db, context, err);

	return status == AMEND_OK && recorded->nothing
		       ? amend_error_set(err, AMEND_STALE, "nothing was written")
		       : status;
}

/* A revision that is made beforehand for what then is not written is undone, not left behind empty. */
static enum amend_status write_recorded(struct amend_batch *batch, size_t n, struct amend_error *err)
{
	struct recorded recorded = {.batch = batch, .n = n};
	enum amend_status status;

	if (amend_revision_current(batch->db))
		return hand_over(batch->db, &recorded, err);
	status = amend_atomic(batch->db, NULL, undo_if_nothing, &recorded, err);
	return recorded.nothing && status == AMEND_STALE ? AMEND_OK : status;
}

static enum amend_status record(struct amend_batch *batch, size_t n, struct amend_error *err)
{
	struct amend_change_spec *specs = amend_arena_array(&batch->work, n, sizeof(*specs));
	size_t *offsets = amend_arena_array(&batch->work, n, sizeof(*offsets)), count = 0;
	struct amend_buffer fields = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	if (!specs || !offsets)
		return amend_no_memory(err);
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < n; i++) {
			const struct amend_bulk *item = &batch->items[i];

			if (item->moved || (kind_of(item) == DELETE) != (pass == 0))
				continue;
			describe_change(batch, item, &specs[count]);
			offsets[count++] = fields.size;
			amend_fields_text(&fields, batch->table,
					  item->row ? item->row->values : NULL, item->after.values);
			amend_buffer_char(&fields, '\0');
		}
	}
	if (fields.failed)
		status = amend_no_memory(err);
	for (size_t i = 0; i < count && status == AMEND_OK; i++)
		specs[i].fields = fields.data + offsets[i];
	if (status == AMEND_OK && count > 0)
		status = amend_changes_record(batch->db, specs, count, err);
	amend_buffer_release(&fields);
	return status;
}

enum amend_status amend_rows_write(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_key *key, struct amend_bulk *items, size_t n,
				   struct amend_arena *arena, struct amend_error *err)
{
	struct amend_batch batch = {
		.db = db, .table = table, .key = key, .items = items, .arena = arena};
	enum amend_status status = n ? amend_hold_database(db, err) : AMEND_OK;
	bool wrote = false;

	batch.plain = !table->has_triggers && !has_generated(table);
	for (size_t i = 0; i < n; i++) {
		items[i].moved = items[i].locked = false;
		items[i].why = NULL;
		items[i].after = (struct amend_row){0};
	}
	if (status == AMEND_OK && n > 0)
		status = prove(&batch, n, err);
	if (status == AMEND_OK && n > 0)
		status = pass(&batch, n, err);
	if (status == AMEND_OK && n > 0)
		status = check_cascades(&batch, n, DELETE, err);
	if (status == AMEND_OK && n > 0)
		status = check_cascades(&batch, n, UPDATE, err);
	if (status == AMEND_OK && n > 0) {
		wrote = true;
		status = table->guard_history ? write_recorded(&batch, n, err)
					      : write_groups(&batch, n, err);
		if (status != AMEND_OK)
			status = amend_table_explain(table, err);
	}
	if (status == AMEND_OK && n > 0)
		status = amend_table_stands(db, table, err);
	if (status == AMEND_OK && n > 0)
		status = settle(&batch, n, err);
	if (status == AMEND_OK && n > 0)
		status = table->guard_history ? record_sources(&batch, n, err)
					      : record(&batch, n, err);
	amend_arena_release(&batch.work);
	if (status != AMEND_OK && wrote)
		amend_conn_fail(db, err);
	return status;
}
