/*
 * Rows as they are read: selecting, locking, comparing, their digest.
 * Leaves many rows at once to row_many.c, and writing them to write.c.
 */
#include <stdlib.h>
#include <string.h>

#include "record/road.h"

void amend_row_columns(struct amend_sql *sql, const struct amend_conn *db,
		       const struct amend_table *table, const char *prefix)
{
	if (sql->known)
		return;
	for (size_t i = 0; i < table->n_columns; i++) {
		amend_sql_comma(sql, i);
		amend_sql_text(sql, prefix);
		amend_sql_name(sql, table->columns[i].name);
	}
	if (table->n_identity == 0) {
		amend_sql_text(sql, ", ");
		amend_sql_text(sql, prefix);
		amend_sql_text(sql, table->rowid);
	}
	(void)db;
}

void amend_row_select(struct amend_sql *sql, const struct amend_conn *db,
		      const struct amend_table *table)
{
	amend_sql_text(sql, "SELECT ");
	amend_row_columns(sql, db, table, "");
	if (amend_has(db, AMEND_HAS_ROW_VERSION)) {
		amend_sql_text(sql, ", ");
		amend_sql_text(sql, db->dialect->row_version);
	}
	amend_sql_text(sql, " FROM ");
	amend_sql_text(sql, table->sql);
}

void amend_row_where(struct amend_sql *sql, const struct amend_table *table,
		     const uint32_t *columns, const struct amend_value *values, size_t n)
{
	amend_sql_text(sql, " WHERE ");
	for (size_t i = 0; i < n; i++) {
		const struct amend_column *column = &table->columns[columns[i]];

		amend_sql_and(sql, i);
		amend_sql_name(sql, column->name);
		amend_sql_text(sql, " = ");
		amend_sql_value_as(sql, column, &values[i]);
	}
}

void amend_row_identity(struct amend_sql *sql, const struct amend_table *table,
			const struct amend_row *row)
{
	amend_sql_text(sql, " WHERE ");
	for (size_t i = 0; i < table->n_identity; i++) {
		const struct amend_column *column = &table->columns[table->identity[i]];

		amend_sql_and(sql, i);
		amend_sql_name(sql, column->name);
		amend_sql_text(sql, " = ");
		amend_sql_value_as(sql, column, &row->values[table->identity[i]]);
	}
	if (table->n_identity == 0) {
		amend_sql_text(sql, table->rowid);
		amend_sql_text(sql, " = ");
		amend_sql_value(sql, &row->rowid);
	}
}

void amend_row_lock_of(struct amend_sql *sql, const struct amend_conn *db,
		       const struct amend_lock *lock, const char *alias)
{
	const char *strength = "";

	if (!lock || !lock->hold || !amend_has(db, AMEND_HAS_ROW_LOCK))
		return;
	switch (lock->strength) {
	case AMEND_FOR_UPDATE:
		strength = db->dialect->for_update;
		break;
	case AMEND_FOR_NO_KEY_UPDATE:
		strength = db->dialect->for_no_key_update;
		break;
	case AMEND_FOR_SHARE:
		strength = db->dialect->for_share;
		break;
	}
	amend_sql_text(sql, " ");
	amend_sql_text(sql, strength);
	if (alias) {
		amend_sql_text(sql, " OF ");
		amend_sql_text(sql, alias);
	}
	if (lock->wait != AMEND_WAIT) {
		amend_sql_text(sql, " ");
		amend_sql_text(sql, lock->wait == AMEND_NOWAIT ? db->dialect->nowait
							       : db->dialect->skip_locked);
	}
}

void amend_row_lock(struct amend_sql *sql, const struct amend_conn *db,
		    const struct amend_lock *lock)
{
	amend_row_lock_of(sql, db, lock, NULL);
}

struct amend_row amend_row_borrow(const struct amend_conn *db, const struct amend_table *table,
				  const struct amend_value *values, size_t n_values)
{
	struct amend_row row = {.values = values, .rowid = amend_null(), .version = amend_null()};
	size_t next = table->n_columns;

	if (table->n_identity == 0)
		row.rowid = values[next++];
	if (amend_has(db, AMEND_HAS_ROW_VERSION) && next < n_values)
		row.version = values[next];
	return row;
}

static size_t bytes_of(const struct amend_value *value)
{
	return value->kind == AMEND_TEXT || value->kind == AMEND_BLOB ? value->size + 1 : 0;
}

/* Copies the value's bytes to `at`, which moves behind them. */
static struct amend_value copy_value(const struct amend_value *value, char **at)
{
	struct amend_value copy = *value;

	if (bytes_of(value) == 0)
		return copy;
	if (value->size > 0)
		memcpy(*at, value->as.blob, value->size);
	(*at)[value->size] = '\0';
	copy.as.text = *at;
	*at += value->size + 1;
	return copy;
}

static size_t row_size(const struct amend_table *table, const struct amend_row *row)
{
	size_t size = table->n_columns * sizeof(struct amend_value) + bytes_of(&row->version);

	for (size_t i = 0; i < table->n_columns; i++)
		size += bytes_of(&row->values[i]);
	return size;
}

/* In one piece of memory, without a `pk`. */
static void copy_row(const struct amend_table *table, const struct amend_row *row, void *room,
		     struct amend_row *out)
{
	struct amend_value *values = room;
	char *at = (char *)(values + table->n_columns);

	for (size_t i = 0; i < table->n_columns; i++)
		values[i] = copy_value(&row->values[i], &at);
	*out = (struct amend_row){
		.values = values, .rowid = row->rowid, .version = copy_value(&row->version, &at)};
}

enum amend_status amend_row_keep(const struct amend_table *table, const struct amend_row *row,
				 struct amend_arena *arena, struct amend_row *out,
				 struct amend_error *err)
{
	struct amend_buffer pk = AMEND_BUFFER_INIT;
	void *room;

	for (size_t i = 0; i < table->n_identity; i++) {
		if (row->values[table->identity[i]].kind == AMEND_NULL)
			return amend_error_set(err, AMEND_UNSUPPORTED,
					       "a record of %s has NULL in its primary key: nothing "
					       "names it",
					       table->qualified);
	}
	room = amend_arena_alloc(arena, row_size(table, row));
	if (!room)
		return amend_no_memory(err);
	copy_row(table, row, room, out);
	amend_pk_text(&pk, table, out->values, &out->rowid);
	out->pk = pk.failed ? NULL : amend_arena_text_n(arena, pk.data, pk.size);
	amend_buffer_release(&pk);
	return out->pk ? AMEND_OK : amend_no_memory(err);
}

static void add_lock_shape(struct amend_shape *shape, const struct amend_lock *lock)
{
	const int how[] = {lock && lock->hold, lock ? (int)lock->strength : 0,
			   lock ? (int)lock->wait : 0};

	amend_shape_add(shape, how, sizeof(how));
}

enum amend_status amend_row_take(const struct amend_conn *db, const struct amend_table *table,
				 const struct amend_rows *rows, size_t index,
				 struct amend_arena *arena, struct amend_row *out,
				 struct amend_error *err)
{
	struct amend_row row = amend_row_borrow(db, table, amend_rows_at(rows, index, 0),
						rows->n_columns);

	return amend_row_keep(table, &row, arena, out, err);
}

void amend_row_names(struct amend_sql *sql, const struct amend_table *table, const char *prefix)
{
	for (size_t i = 0; i < table->n_identity; i++) {
		amend_sql_comma(sql, i);
		amend_sql_text(sql, prefix);
		amend_sql_name(sql, table->columns[table->identity[i]].name);
	}
	if (table->n_identity == 0) {
		amend_sql_text(sql, prefix);
		amend_sql_text(sql, table->rowid);
	}
}

enum amend_status amend_row_find(struct amend_conn *db, const struct amend_table *table,
				 const uint32_t *columns, const struct amend_value *values,
				 size_t n, const struct amend_lock *lock, size_t limit,
				 struct amend_arena *arena, struct amend_row **out, size_t *n_out,
				 struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_shape shape;
	struct amend_sql sql;
	enum amend_status status;

	*out = NULL;
	*n_out = 0;
	amend_shape_begin(&shape, "find", table);
	amend_shape_add(&shape, columns, n * sizeof(*columns));
	amend_shape_add(&shape, &limit, sizeof(limit));
	add_lock_shape(&shape, lock);
	amend_sql_init_shape(&sql, db, &shape);
	amend_row_select(&sql, db, table);
	amend_row_where(&sql, table, columns, values, n);
	/* A unique key finds one row: nothing to sort. */
	if (!sql.known && !amend_table_unique_key(table, columns, n)) {
		if (limit > 1) {
			amend_sql_text(&sql, " ORDER BY ");
			amend_row_names(&sql, table, "");
		}
		amend_sql_printf(&sql, " LIMIT %zu", limit);
	}
	amend_row_lock(&sql, db, lock);
	status = amend_exec(db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows > 0) {
		*out = amend_arena_array(arena, rows.n_rows, sizeof(**out));
		if (!*out)
			status = amend_no_memory(err);
	}
	for (size_t i = 0; i < rows.n_rows && status == AMEND_OK; i++, ++*n_out)
		status = amend_row_take(db, table, &rows, i, arena, &(*out)[i], err);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

enum amend_status amend_row_again(struct amend_conn *db, const struct amend_table *table,
				  const struct amend_row *row, const struct amend_lock *lock,
				  struct amend_arena *arena, struct amend_row *out, bool *found,
				  struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_shape shape;
	struct amend_sql sql;
	enum amend_status status;

	amend_shape_begin(&shape, "again", table);
	add_lock_shape(&shape, lock);
	amend_sql_init_shape(&sql, db, &shape);
	amend_row_select(&sql, db, table);
	amend_row_identity(&sql, table, row);
	amend_row_lock(&sql, db, lock);
	status = amend_exec(db, &sql, &rows, err);
	*found = status == AMEND_OK && rows.n_rows == 1;
	if (*found)
		status = amend_row_take(db, table, &rows, 0, arena, out, err);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

bool amend_row_same(const struct amend_conn *db, const struct amend_table *table,
		    const struct amend_row *then, const struct amend_row *now)
{
	/* Another server's version may be another state's. */
	if (amend_has(db, AMEND_HAS_ROW_VERSION) && !db->anew && then->version.kind != AMEND_NULL &&
	    amend_value_equal(&then->version, &now->version))
		return true;
	for (size_t i = 0; i < table->n_columns; i++) {
		if (!table->columns[i].generated &&
		    !amend_value_equal(&then->values[i], &now->values[i]))
			return false;
	}
	return amend_value_equal(&then->rowid, &now->rowid);
}

enum amend_status amend_row_digest(const struct amend_table *table, const struct amend_value *values,
				   unsigned char digest[AMEND_DIGEST_SIZE], struct amend_error *err)
{
	struct amend_buffer pack = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < table->n_columns; i++) {
		if (!table->columns[i].generated)
			amend_pack_add(&pack, table->columns[i].name, &values[i]);
	}
	if (pack.failed)
		status = amend_no_memory(err);
	else
		amend_digest(pack.data, pack.size, digest);
	amend_buffer_release(&pack);
	return status;
}
