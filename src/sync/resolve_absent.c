/*
 * Settling a conflict about a record that is not there: it is created, or stays away.
 * Leaves values to resolve_values.c, bases to resolve_base.c.
 */
#include "record/result.h"
#include "sync/missing.h"
#include "sync/resolve.h"

static const struct amend_lock for_update = {true, AMEND_FOR_UPDATE, AMEND_WAIT};

static enum amend_status find_by_key(struct amend_conn *db, const struct amend_settlement *s,
				     uint32_t *columns, struct amend_row **rows, size_t *n,
				     struct amend_error *err)
{
	struct amend_value *values = amend_arena_array(s->arena, s->n_key, sizeof(*values));

	if (!values)
		return amend_no_memory(err);
	for (size_t i = 0; i < s->n_key; i++) {
		int at = amend_table_column(s->table, s->key[i].column);

		if (at < 0)
			return amend_error_set(err, AMEND_INVALID, "%s has no column %s any more",
					       s->table->qualified, s->key[i].column);
		columns[i] = (uint32_t)at;
		values[i] = s->key[i].value;
	}
	return amend_row_find(db, s->table, columns, values, s->n_key, &for_update, 1, s->arena,
			      rows, n, err);
}

static enum amend_status create(struct amend_conn *db, struct amend_settlement *s,
				const uint32_t *columns, const char **pk, struct amend_error *err)
{
	struct amend_result *result = s->work.result;
	struct amend_written written;
	enum amend_status status = AMEND_OK;

	for (uint32_t c = 0; c < s->table->n_columns && status == AMEND_OK; c++) {
		const struct amend_conflict_field *field = amend_settle_field(s, c);
		struct amend_value value = amend_null();
		int given = amend_settle_given(s, c);

		if (given >= 0)
			value = s->given[given];
		else if (!field)
			continue;
		else
			status = amend_settle_value(s, field, c, &value, err);
		/* A number that the database gives is not asked for. */
		if (status == AMEND_OK &&
		    (value.kind != AMEND_NULL || !s->table->columns[c].identity))
			amend_settle_put(s, c, &value);
	}
	if (status != AMEND_OK)
		return status;
	status = amend_row_insert(db, s->table, amend_table_unique_key(s->table, columns, s->n_key),
				  s->puts, s->n_puts, s->arena, &written, err);
	if (status != AMEND_OK)
		return status;
	if (written.moved)
		return amend_settle_stale(s, NULL, "a record with this key was created", err);
	result->outcome = AMEND_IS_CREATED;
	result->record = written.row.values;
	result->revision = written.revision;
	*pk = written.row.pk;
	return amend_result_changes(&s->work, s->table, NULL, written.row.values, err);
}

enum amend_status amend_settle_absent(struct amend_conn *db, struct amend_settlement *s,
				      struct amend_error *err)
{
	uint32_t *columns = amend_arena_array(s->arena, s->n_key, sizeof(*columns));
	struct amend_row *rows;
	struct amend_base *seen;
	const char *pk = NULL;
	enum amend_status status;
	size_t n = 0;

	if (!columns)
		return amend_no_memory(err);
	if (s->take == AMEND_TAKE_CURRENT && s->n_set)
		return amend_error_set(
			err, AMEND_INVALID,
			"current is that there is no record: nothing can be set in it");
	status = find_by_key(db, s, columns, &rows, &n, err);
	if (status != AMEND_OK)
		return status;
	if (n > 0)
		return amend_settle_stale(s, &rows[0], "a record with this key was created", err);
	for (size_t i = 0; i < s->conflict.n_fields; i++) {
		int at = amend_table_column(s->table, s->conflict.fields[i].column);

		if (at >= 0)
			s->incoming[at] = &s->conflict.fields[i].incoming;
	}
	status = amend_settle_find_base(db, s, true, s->conflict.first_key, &seen, err);
	if (status != AMEND_OK)
		return status;
	if (s->take == AMEND_TAKE_CURRENT) {
		s->work.result->outcome = AMEND_IS_UNCHANGED;
		pk = seen ? seen->pk
			  : amend_arena_printf(s->arena, AMEND_BASE_GONE "%s",
					       s->conflict.first_key);
		if (!pk)
			return amend_no_memory(err);
	} else {
		status = create(db, s, columns, &pk, err);
	}
	return status == AMEND_OK ? amend_settle_write_base(db, s, seen, seen, pk, NULL, err)
				  : status;
}
