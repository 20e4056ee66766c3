/*
 * Settling a conflict: its table, and the row that it is about.
 * Leaves what becomes of them to the other resolve_*.c.
 */
#include "sync/resolve.h"

enum amend_status amend_settle_open(struct amend_conn *db, struct amend_settlement *s,
				    struct amend_error *err)
{
	bool typed = amend_has(db, AMEND_HAS_TYPED_STORAGE);
	enum amend_status status;

	status = amend_table_open_recorded(db, s->conflict.table, &s->table, err);
	return status == AMEND_OK ? amend_pk_parse(s->conflict.first_key, typed, s->arena, &s->key,
						   &s->n_key, err)
				  : status;
}

static enum amend_status find_by_name(struct amend_conn *db, const struct amend_settlement *s,
				      const char *pk, const struct amend_lock *lock,
				      struct amend_row *out, bool *found, struct amend_error *err)
{
	bool typed = amend_has(db, AMEND_HAS_TYPED_STORAGE);
	const struct amend_table *table = s->table;
	struct amend_value *values = amend_arena_array(s->arena, table->n_columns, sizeof(*values));
	struct amend_row row = {.values = values};
	struct amend_field *fields;
	enum amend_status status;
	size_t n = 0;

	if (!values)
		return amend_no_memory(err);
	status = amend_pk_parse(pk, typed, s->arena, &fields, &n, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		int at = amend_table_column(table, fields[i].column);

		if (table->n_identity == 0)
			row.rowid = fields[i].value;
		else if (at >= 0)
			values[at] = fields[i].value;
	}
	return status == AMEND_OK
		       ? amend_row_again(db, table, &row, lock, s->arena, out, found, err)
		       : status;
}

static enum amend_status find_by_key(struct amend_conn *db, const struct amend_settlement *s,
				     const struct amend_lock *lock, struct amend_row *out,
				     bool *found, struct amend_error *err)
{
	struct amend_value *values = amend_arena_array(s->arena, s->n_key, sizeof(*values));
	uint32_t *columns = amend_arena_array(s->arena, s->n_key, sizeof(*columns));
	struct amend_row *rows;
	enum amend_status status;
	size_t n = 0;

	if (!values || !columns)
		return amend_no_memory(err);
	for (size_t i = 0; i < s->n_key; i++) {
		int at = amend_table_column(s->table, s->key[i].column);

		if (at < 0)
			return amend_error_set(err, AMEND_INVALID, "%s has no column %s any more",
					       s->table->qualified, s->key[i].column);
		columns[i] = (uint32_t)at;
		values[i] = s->key[i].value;
	}
	status = amend_row_find(db, s->table, columns, values, s->n_key, lock, 1, s->arena, &rows,
				&n, err);
	*found = status == AMEND_OK && n > 0;
	if (*found)
		*out = rows[0];
	return status;
}

enum amend_status amend_settle_row_of(struct amend_conn *db, const struct amend_settlement *s,
				      const char *pk, const struct amend_lock *lock,
				      struct amend_row *out, bool *found, struct amend_error *err)
{
	enum amend_status status;

	*found = false;
	*out = (struct amend_row){.values = NULL};
	status = pk ? find_by_name(db, s, pk, lock, out, found, err)
		    : find_by_key(db, s, lock, out, found, err);
	out->held = status == AMEND_OK && *found && lock;
	return status;
}

enum amend_status amend_settle_find_row(struct amend_conn *db, const struct amend_settlement *s,
					const struct amend_lock *lock, struct amend_row *out,
					bool *found, struct amend_error *err)
{
	return amend_settle_row_of(db, s, amend_settle_is_absent(s) ? NULL : s->conflict.pk, lock,
				   out, found, err);
}
