/*
 * Many rows written by one statement, joined to arrays of what is wanted: for engines with ARRAYS.
 * Leaves types that arrays cannot hold to amend_sql_unnest, and other engines to bulk_repeat.c.
 */
#include <string.h>

#include "core/rows.h"
#include "record/bulk.h"

enum {
	SLICE = 8192, /* rows in a statement: the arrays are text in memory, here and there */
	MANY = 64,    /* creations that are worth a savepoint */
};

/* The rows wanted, as a set: names that no table is likely to have. */
#define SET "\"amend w\""
#define PLACE "\"amend i\""

/* Columns of the set: one array each. */
struct set {
	struct amend_sql_array *arrays;
	const char **names; /* quoted */
	size_t n;
};

static bool make_set(struct amend_batch *batch, struct set *set, size_t most)
{
	set->n = 0;
	set->arrays = amend_arena_array(&batch->work, most, sizeof(*set->arrays));
	set->names = amend_arena_array(&batch->work, most, sizeof(*set->names));
	return set->arrays && set->names;
}

static bool add_array(struct amend_batch *batch, struct set *set, const struct amend_column *column,
		      const char *type, const struct amend_value *values, size_t stride)
{
	set->arrays[set->n] = (struct amend_sql_array){
		.column = column, .type = type, .values = values, .stride = stride, .lookup = true};
	set->names[set->n] = amend_arena_printf(&batch->work, "\"amend %zu\"", set->n);
	return set->names[set->n++] != NULL;
}

/* "ROWS FROM (..) WITH ORDINALITY AS w (0, 1, .., i)" */
static void add_set(struct amend_sql *sql, const struct set *set, size_t n_rows)
{
	amend_sql_unnest(sql, set->arrays, set->n, n_rows);
	amend_sql_text(sql, " WITH ORDINALITY AS " SET " (");
	for (size_t i = 0; i < set->n; i++) {
		amend_sql_text(sql, set->names[i]);
		amend_sql_text(sql, ", ");
	}
	amend_sql_text(sql, PLACE ")");
}

static void add_from_set(struct amend_sql *sql, const char *name)
{
	amend_sql_text(sql, SET ".");
	amend_sql_text(sql, name);
}

/* NULL: not known, or of a server that another has taken the place of: there it may be another state's. */
static struct amend_value version_of(const struct amend_batch *batch, const struct amend_row *row)
{
	return batch->db->anew && !row->held ? amend_null() : row->version;
}

/* The identity, and the row version, of the rows as they were read: the first columns of a set. */
static bool add_identity(struct amend_batch *batch, struct set *set, const size_t *members, size_t n)
{
	const struct amend_table *table = batch->table;
	size_t width = table->n_identity + 1;
	struct amend_value *values = amend_arena_array(&batch->work, n * width, sizeof(*values));
	bool ok = values != NULL;

	for (size_t i = 0; ok && i < n; i++) {
		const struct amend_row *row = batch->items[members[i]].row;

		for (size_t j = 0; j < table->n_identity; j++)
			values[i * width + j] = row->values[table->identity[j]];
		values[i * width + table->n_identity] = version_of(batch, row);
	}
	for (size_t j = 0; ok && j < table->n_identity; j++)
		ok = add_array(batch, set, &table->columns[table->identity[j]], NULL, values + j,
			       width);
	return ok && add_array(batch, set, NULL, batch->db->dialect->text_type,
			       values + table->n_identity, width);
}

/*
 * "id = w.0 AND (w.1 IS NULL OR <row version> = w.1)": also of a row that is held, for
 * a key that moves, and tables that inherit, may have two rows of one name.
 */
static void add_match(struct amend_sql *sql, const struct amend_batch *batch, const struct set *set,
		      bool version)
{
	const struct amend_table *table = batch->table;
	size_t n = table->n_identity;

	for (size_t i = 0; i < n; i++) {
		amend_sql_and(sql, i);
		amend_sql_name(sql, table->columns[table->identity[i]].name);
		amend_sql_text(sql, " = ");
		add_from_set(sql, set->names[i]);
	}
	if (!version)
		return;
	amend_sql_text(sql, " AND (");
	add_from_set(sql, set->names[n]);
	amend_sql_text(sql, " IS NULL OR ");
	amend_sql_text(sql, batch->db->dialect->row_version);
	amend_sql_text(sql, " = ");
	add_from_set(sql, set->names[n]);
	amend_sql_text(sql, ")");
}

/* Which row of the set a row belongs to: its first column. */
static bool place_of(const struct amend_rows *rows, size_t row, size_t n, size_t *place)
{
	int64_t number;

	if (!amend_value_number(amend_rows_at(rows, row, 0), &number) || number < 1 ||
	    (size_t)number > n)
		return false;
	*place = (size_t)number - 1;
	return true;
}

static enum amend_status misplaced(const struct amend_batch *batch, struct amend_error *err)
{
	return amend_error_set(err, AMEND_INTERNAL,
			       "%s returned a row that was not asked for, or returned one twice",
			       batch->table->qualified);
}

/* ---- proving ---- */

static bool version_known(const struct amend_batch *batch, const size_t *members, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (version_of(batch, batch->items[members[i]].row).kind == AMEND_NULL)
			return false;
	}
	return true;
}

/* Locked in the order of the set. Where a row's version was not read, its values are compared. */
static enum amend_status prove_slice(struct amend_batch *batch, const size_t *members, size_t n,
				     struct amend_error *err)
{
	const struct amend_table *table = batch->table;
	bool by_version = version_known(batch, members, n);
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;
	struct amend_sql sql;
	struct set set;

	if (!make_set(batch, &set, table->n_identity + 1) || !add_identity(batch, &set, members, n))
		return amend_no_memory(err);
	amend_sql_init(&sql, batch->db);
	amend_sql_text(&sql, "SELECT " SET "." PLACE);
	if (!by_version) {
		amend_sql_text(&sql, ", ");
		amend_row_columns(&sql, batch->db, table, "");
	}
	amend_sql_text(&sql, " FROM ");
	amend_sql_text(&sql, table->sql);
	amend_sql_text(&sql, " AS \"amend t\" JOIN ");
	add_set(&sql, &set, n);
	amend_sql_text(&sql, " ON ");
	add_match(&sql, batch, &set, by_version);
	amend_sql_text(&sql, " ORDER BY " SET "." PLACE " ");
	amend_sql_text(&sql, batch->db->dialect->for_update);
	amend_sql_text(&sql, " OF \"amend t\"");
	status = amend_exec(batch->db, &sql, &rows, err);
	for (size_t i = 0; i < n; i++)
		batch->items[members[i]].moved = true;
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		struct amend_row now;
		size_t place;

		if (!place_of(&rows, i, n, &place)) {
			status = misplaced(batch, err);
			break;
		}
		if (!by_version)
			now = amend_row_borrow(batch->db, table, amend_rows_at(&rows, i, 1),
					       rows.n_columns - 1);
		if (by_version ||
		    amend_row_same(batch->db, table, batch->items[members[place]].row, &now))
			batch->items[members[place]].moved = false;
	}
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status prove(struct amend_batch *batch, const size_t *members, size_t n,
			       struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t at = 0; at < n && status == AMEND_OK; at += SLICE)
		status = prove_slice(batch, members + at, n - at < SLICE ? n - at : SLICE, err);
	return status;
}

/* ---- writing ---- */

/* Runs what returns places, and rows behind them unless they settle late. Each row once. */
static enum amend_status run_placed(const struct amend_batch_group *group, size_t from, size_t n,
				    const struct amend_sql *sql, const char *did,
				    struct amend_error *err)
{
	struct amend_batch *batch = group->batch;
	bool *seen = amend_arena_array(&batch->work, n, sizeof(*seen));
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = seen ? amend_exec(batch->db, sql, &rows, err)
					: amend_no_memory(err);

	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++) {
		size_t place;

		if (!place_of(&rows, i, n, &place) || seen[place]) {
			status = misplaced(batch, err);
			break;
		}
		seen[place] = true;
		if (rows.n_columns > 1)
			status = amend_batch_take(batch, amend_group_item(group, from + place),
						  amend_rows_at(&rows, i, 1), rows.n_columns - 1,
						  err);
	}
	if (status == AMEND_OK && rows.n_rows < n)
		status = amend_write_refused(batch->table, did, err);
	amend_rows_release(&rows);
	return status;
}

static void add_returning(struct amend_sql *sql, const struct amend_batch *batch)
{
	amend_row_columns(sql, batch->db, batch->table, "");
	/* Of partitions a statement that writes knows none. */
	if (batch->table->settles_late)
		return;
	amend_sql_text(sql, ", ");
	amend_sql_text(sql, batch->db->dialect->row_version);
}

static bool add_puts(const struct amend_batch_group *group, size_t from, size_t n, struct set *set)
{
	struct amend_batch *batch = group->batch;
	size_t n_puts = group->first->n_puts;
	struct amend_value *values = amend_arena_array(&batch->work, n * n_puts, sizeof(*values));
	bool ok = values != NULL;

	for (size_t i = 0; ok && i < n; i++) {
		for (size_t j = 0; j < n_puts; j++)
			values[i * n_puts + j] = amend_group_item(group, from + i)->puts[j].value;
	}
	for (size_t j = 0; ok && j < n_puts; j++)
		ok = add_array(batch, set, &batch->table->columns[group->first->puts[j].column],
			       NULL, values + j, n_puts);
	return ok;
}

static enum amend_status update_slice(const struct amend_batch_group *group, size_t from, size_t n,
				      struct amend_error *err)
{
	struct amend_batch *batch = group->batch;
	const struct amend_table *table = batch->table;
	size_t n_puts = group->first->n_puts, first = table->n_identity + 1;
	enum amend_status status;
	struct amend_sql sql;
	struct set set;

	if (!make_set(batch, &set, first + n_puts) ||
	    !add_identity(batch, &set, group->members + from, n) || !add_puts(group, from, n, &set))
		return amend_no_memory(err);
	amend_sql_init(&sql, batch->db);
	amend_sql_text(&sql, "UPDATE ");
	amend_sql_text(&sql, table->sql);
	amend_sql_text(&sql, " SET ");
	for (size_t i = 0; i < n_puts; i++) {
		amend_sql_comma(&sql, i);
		amend_sql_name(&sql, table->columns[group->first->puts[i].column].name);
		amend_sql_text(&sql, " = ");
		add_from_set(&sql, set.names[first + i]);
	}
	amend_write_version(&sql, table, group->first->puts, n_puts);
	amend_sql_text(&sql, " FROM ");
	add_set(&sql, &set, n);
	amend_sql_text(&sql, " WHERE ");
	add_match(&sql, batch, &set, true);
	amend_sql_text(&sql, " RETURNING " SET "." PLACE);
	if (!table->settles_late && (!batch->plain || table->version >= 0)) {
		amend_sql_text(&sql, ", ");
		add_returning(&sql, batch);
	}
	status = run_placed(group, from, n, &sql, "changed no row of", err);
	amend_sql_release(&sql);
	return status;
}

static enum amend_status remove_slice(const struct amend_batch_group *group, size_t from, size_t n,
				      struct amend_error *err)
{
	struct amend_batch *batch = group->batch;
	enum amend_status status;
	struct amend_sql sql;
	struct set set;

	if (!make_set(batch, &set, batch->table->n_identity + 1) ||
	    !add_identity(batch, &set, group->members + from, n))
		return amend_no_memory(err);
	amend_sql_init(&sql, batch->db);
	amend_sql_text(&sql, "DELETE FROM ");
	amend_sql_text(&sql, batch->table->sql);
	amend_sql_text(&sql, " USING ");
	add_set(&sql, &set, n);
	amend_sql_text(&sql, " WHERE ");
	add_match(&sql, batch, &set, true);
	amend_sql_text(&sql, " RETURNING " SET "." PLACE);
	status = run_placed(group, from, n, &sql, "deleted no row of", err);
	amend_sql_release(&sql);
	return status;
}

/* ---- creating ---- */

static const struct amend_value *put_of(const struct amend_bulk *item, uint32_t column)
{
	for (size_t i = 0; i < item->n_puts; i++) {
		if (item->puts[i].column == column)
			return &item->puts[i].value;
	}
	return NULL;
}

/* Whether a row that was returned has the key that the item puts. */
static bool has_key(const struct amend_batch *batch, const struct amend_bulk *item,
		    const struct amend_value *row)
{
	for (size_t i = 0; i < batch->key->n_columns; i++) {
		uint32_t column = batch->key->columns[i];

		if (!amend_value_equal(put_of(item, column), &row[column]))
			return false;
	}
	return true;
}

/* Every column of the key is what the items put. */
static bool key_is_put(const struct amend_batch_group *group)
{
	const struct amend_batch *batch = group->batch;

	for (size_t i = 0; i < batch->key->n_columns; i++) {
		if (!put_of(group->first, batch->key->columns[i]))
			return false;
	}
	return !batch->table->has_triggers;
}

/*
 * A statement cannot return which row of the set it has created. But it creates
 * and returns them in the set's order, leaving out those that were there: as
 * many as were sent are the ones that were sent, and where fewer came back the
 * key says which, if nothing but the statement has a say in it.
 */
static enum amend_status take_created(const struct amend_batch_group *group, size_t from, size_t n,
				      const struct amend_rows *rows, struct amend_error *err)
{
	struct amend_batch *batch = group->batch;
	enum amend_status status = AMEND_OK;
	size_t next = 0;

	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		struct amend_bulk *item = amend_group_item(group, from + i);

		item->moved = next == rows->n_rows ||
			      (rows->n_rows < n &&
			       !has_key(batch, item, amend_rows_at(rows, next, 0)));
		if (!item->moved)
			status = amend_batch_take(batch, item, amend_rows_at(rows, next++, 0),
						  rows->n_columns, err);
	}
	if (status == AMEND_OK && next < rows->n_rows)
		status = misplaced(batch, err);
	return status;
}

/* `unless_there` false: what is there is a broken constraint, which costs half as much to find out. */
static enum amend_status insert_rows(const struct amend_batch_group *group, size_t from, size_t n,
				     bool unless_there, struct amend_error *err)
{
	struct amend_batch *batch = group->batch;
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status;
	struct amend_sql sql;
	struct set set;

	if (!make_set(batch, &set, group->first->n_puts) || !add_puts(group, from, n, &set))
		return amend_no_memory(err);
	amend_sql_init(&sql, batch->db);
	amend_write_insert_head(&sql, batch->table, group->first->puts, group->first->n_puts);
	amend_sql_text(&sql, " SELECT ");
	for (size_t i = 0; i < set.n; i++) {
		amend_sql_comma(&sql, i);
		add_from_set(&sql, set.names[i]);
	}
	amend_write_first_version(&sql, batch->table, group->first->puts, group->first->n_puts);
	amend_sql_text(&sql, " FROM ");
	add_set(&sql, &set, n);
	if (unless_there)
		amend_write_unless_there(&sql, batch->table, batch->key);
	amend_sql_text(&sql, " RETURNING ");
	add_returning(&sql, batch);
	status = amend_exec(batch->db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows < n && !batch->key)
		status = amend_write_refused(batch->table, "created no row in", err);
	else if (status == AMEND_OK && rows.n_rows < n && !key_is_put(group))
		status = amend_error_set(err, AMEND_STALE, "it does not show which were there");
	if (status == AMEND_OK)
		status = take_created(group, from, n, &rows, err);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

struct attempt {
	const struct amend_batch_group *group;
	size_t from, n;
};

static enum amend_status insert_plainly(struct amend_conn *db, void *context,
					struct amend_error *err)
{
	const struct attempt *attempt = context;

	(void)db;
	return insert_rows(attempt->group, attempt->from, attempt->n, false, err);
}

/* Mostly none is there: many are tried without asking each time, and undone if one was. */
static enum amend_status insert_slice(const struct amend_batch_group *group, size_t from, size_t n,
				      struct amend_error *err)
{
	struct attempt attempt = {group, from, n};
	enum amend_status status;

	if (n < MANY || !group->batch->key)
		return insert_rows(group, from, n, true, err);
	status = amend_atomic(group->batch->db, NULL, insert_plainly, &attempt, err);
	return status == AMEND_CONSTRAINT && strcmp(err->sqlstate, "23505") == 0
		       ? insert_rows(group, from, n, true, err)
		       : status;
}

static enum amend_status in_slices(const struct amend_batch_group *group,
				   enum amend_status (*write)(const struct amend_batch_group *group,
							      size_t from, size_t n,
							      struct amend_error *err),
				   struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t at = 0; at < group->n && status == AMEND_OK; at += SLICE)
		status = write(group, at, group->n - at < SLICE ? group->n - at : SLICE, err);
	return status;
}

static enum amend_status update(const struct amend_batch_group *group, struct amend_error *err)
{
	return in_slices(group, update_slice, err);
}

static enum amend_status remove_rows(const struct amend_batch_group *group, struct amend_error *err)
{
	return in_slices(group, remove_slice, err);
}

static enum amend_status insert_all(struct amend_conn *db, void *context, struct amend_error *err)
{
	(void)db;
	return in_slices(context, insert_slice, err);
}

/* Where a trigger may change the key, or a default gives it, what came back may not say whose it is: then each by itself. */
static enum amend_status insert(const struct amend_batch_group *group, struct amend_error *err)
{
	struct amend_batch_group copy = *group;
	enum amend_status status;

	if (!group->batch->key || key_is_put(group))
		return in_slices(group, insert_slice, err);
	status = amend_atomic(group->batch->db, NULL, insert_all, &copy, err);
	return status == AMEND_STALE ? amend_batch_repeat.insert(group, err) : status;
}

/* ---- what is stored in the end ---- */

static enum amend_status settle(struct amend_batch *batch, const size_t *members, size_t n,
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
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < width; j++)
			values[i * width + j] =
				batch->items[members[i]].after.values[table->identity[j]];
	}
	status = amend_row_find_many(batch->db, table, table->identity, width, values, n, NULL,
				     batch->arena, rows, found, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (found[i])
			batch->items[members[i]].after = rows[i];
		else if (batch->items[members[i]].row)
			status = amend_batch_gone(batch, err);
	}
	return status;
}

const struct amend_batch_way amend_batch_arrays = {prove, update, remove_rows, insert, settle};
