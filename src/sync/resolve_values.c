/*
 * Settling a conflict: what a person chose for each field, and writing it.
 * Leaves bases to resolve_base.c, and which conflict is settled how to resolve.c.
 */
#include "record/result.h"
#include "sync/resolve.h"

int amend_settle_given(const struct amend_settlement *s, uint32_t column)
{
	for (size_t i = 0; i < s->n_set; i++) {
		if (s->given_columns[i] == column)
			return (int)i;
	}
	return -1;
}

const struct amend_conflict_field *amend_settle_field(const struct amend_settlement *s,
						      uint32_t column)
{
	for (size_t i = 0; i < s->conflict.n_fields; i++) {
		if (amend_table_column(s->table, s->conflict.fields[i].column) == (int)column)
			return &s->conflict.fields[i];
	}
	return NULL;
}

bool amend_settle_is_absent(const struct amend_settlement *s)
{
	return s->conflict.kind == AMEND_CONFLICT_DELETED || !s->conflict.pk;
}

enum amend_status amend_settle_undecided(const struct amend_settlement *s, struct amend_error *err,
					 const char *before, const char *after)
{
	struct amend_buffer names = AMEND_BUFFER_INIT;
	bool any = false;

	for (size_t i = 0; i < s->conflict.n_fields; i++) {
		int at = amend_table_column(s->table, s->conflict.fields[i].column);

		if (at >= 0 && amend_settle_given(s, (uint32_t)at) >= 0)
			continue;
		amend_buffer_printf(&names, "%s%s", any ? ", " : "", s->conflict.fields[i].column);
		any = true;
	}
	amend_error_set(err, AMEND_INVALID, "%s%s%s", before,
			amend_buffer_string(&names) ? names.data : "?", after);
	amend_buffer_release(&names);
	return err->status;
}

enum amend_status amend_settle_read_given(struct amend_conn *db, struct amend_settlement *s,
					  struct amend_error *err)
{
	struct amend_canon *canon = amend_arena_array(s->arena, s->n_set, sizeof(*canon));
	enum amend_status status = AMEND_OK;

	s->given = amend_arena_array(s->arena, s->n_set, sizeof(*s->given));
	s->given_columns = amend_arena_array(s->arena, s->n_set, sizeof(*s->given_columns));
	if (!canon || !s->given || !s->given_columns)
		return amend_no_memory(err);
	for (size_t i = 0; i < s->n_set; i++)
		s->given_columns[i] = UINT32_MAX;
	for (size_t i = 0; i < s->n_set && status == AMEND_OK; i++) {
		int at = amend_table_column(s->table, s->set[i].column);

		if (s->set[i].op != AMEND_SET)
			return amend_error_set(err, AMEND_INVALID,
					       "%s: a conflict is settled by a value, not by a sum",
					       s->set[i].column);
		if (at < 0)
			return amend_error_set(err, AMEND_INVALID, "%s has no column %s",
					       s->table->qualified, s->set[i].column);
		if (amend_settle_given(s, (uint32_t)at) >= 0)
			return amend_error_set(err, AMEND_INVALID, "column %s is set twice",
					       s->set[i].column);
		if (s->table->columns[at].generated)
			return amend_error_set(err, AMEND_INVALID,
					       "column %s has its value from the database",
					       s->set[i].column);
		if (!amend_settle_is_absent(s) && !amend_settle_field(s, (uint32_t)at))
			return amend_error_set(err, AMEND_INVALID,
					       "column %s is not in conflict %lld (hint: `amend set` "
					       "changes it)",
					       s->set[i].column, (long long)s->id);
		s->given_columns[i] = (uint32_t)at;
		canon[i] = (struct amend_canon){.column = &s->table->columns[at],
						.in = s->set[i].value};
	}
	if (s->n_set)
		status = amend_canonicalise(db, canon, s->n_set, s->arena, err);
	for (size_t i = 0; i < s->n_set && status == AMEND_OK; i++) {
		if (canon[i].problem)
			return amend_error_set(err, AMEND_INVALID, "column %s: %s",
					       canon[i].column->name, canon[i].problem);
		s->given[i] = canon[i].out;
	}
	return status;
}

enum amend_status amend_settle_value(const struct amend_settlement *s,
				     const struct amend_conflict_field *field, uint32_t column,
				     struct amend_value *out, struct amend_error *err)
{
	int given = amend_settle_given(s, column);

	if (given >= 0) {
		*out = s->given[given];
		return AMEND_OK;
	}
	switch (s->take) {
	case AMEND_TAKE_NOTHING:
		break;
	case AMEND_TAKE_CURRENT:
		*out = field->current;
		return AMEND_OK;
	case AMEND_TAKE_INCOMING:
		*out = field->incoming;
		return AMEND_OK;
	case AMEND_TAKE_BASE:
		if (!field->has_base)
			return amend_error_set(
				err, AMEND_INVALID,
				"column %s has no base in conflict %lld: take current or "
				"incoming, or set it",
				field->column, (long long)s->id);
		*out = field->base;
		return AMEND_OK;
	}
	return amend_settle_undecided(
		s, err, "not decided yet: ", " (hint: --take current|incoming|base, or COL=VALUE)");
}

void amend_settle_put(struct amend_settlement *s, uint32_t column, const struct amend_value *value)
{
	s->puts[s->n_puts++] = (struct amend_put){.column = column,
						  .op = AMEND_SET,
						  .value = *value,
						  .min = amend_null(),
						  .max = amend_null()};
}

enum amend_status amend_settle_stale(struct amend_settlement *s, const struct amend_row *row,
				     const char *what, struct amend_error *err)
{
	struct amend_result *result = s->work.result;
	struct amend_field *incoming = amend_arena_array(s->arena, s->conflict.n_fields,
							 sizeof(*incoming));

	if (!incoming)
		return amend_no_memory(err);
	for (size_t i = 0; i < s->conflict.n_fields; i++)
		incoming[i] = (struct amend_field){s->conflict.fields[i].column,
						   s->conflict.fields[i].incoming};
	result->outcome = AMEND_IS_STALE;
	result->record = row ? row->values : NULL;
	result->incoming = incoming;
	result->n_incoming = s->conflict.n_fields;
	return amend_error_set(
		err, AMEND_STALE,
		"%s since conflict %lld was found (hint: the next sync brings it up to "
		"date)",
		what, (long long)s->id);
}

enum amend_status amend_settle_check_fields(struct amend_settlement *s, const struct amend_row *row,
					    struct amend_error *err)
{
	for (size_t i = 0; i < s->conflict.n_fields; i++) {
		const struct amend_conflict_field *field = &s->conflict.fields[i];
		int at = amend_table_column(s->table, field->column);

		if (at < 0)
			return amend_error_set(err, AMEND_INVALID, "%s has no column %s any more",
					       s->table->qualified, field->column);
		if (!amend_value_equal(&row->values[at], &field->current))
			return amend_settle_stale(s, row, "the record changed", err);
	}
	return AMEND_OK;
}

enum amend_status amend_settle_decide_fields(struct amend_settlement *s,
					     const struct amend_row *row, struct amend_error *err)
{
	enum amend_status status = amend_settle_check_fields(s, row, err);

	for (size_t i = 0; i < s->conflict.n_fields && status == AMEND_OK; i++) {
		const struct amend_conflict_field *field = &s->conflict.fields[i];
		int at = amend_table_column(s->table, field->column);
		struct amend_value value;

		status = amend_settle_value(s, field, (uint32_t)at, &value, err);
		if (status == AMEND_OK && !amend_value_equal(&value, &row->values[at]))
			amend_settle_put(s, (uint32_t)at, &value);
		s->incoming[at] = &field->incoming;
	}
	return status;
}

enum amend_status amend_settle_write_fields(struct amend_conn *db, struct amend_settlement *s,
					    struct amend_row *row, struct amend_error *err)
{
	struct amend_result *result = s->work.result;
	struct amend_written written;
	enum amend_status status;

	result->outcome = AMEND_IS_UNCHANGED;
	result->record = row->values;
	if (!s->n_puts)
		return AMEND_OK;
	status = amend_row_update(db, s->table, row, s->puts, s->n_puts, s->arena, &written, err);
	if (status != AMEND_OK)
		return status;
	if (written.moved)
		return amend_error_set(err, AMEND_RETRY, "the record moved while it was held");
	status = amend_result_changes(&s->work, s->table, row->values, written.row.values, err);
	result->outcome = AMEND_IS_UPDATED;
	result->record = written.row.values;
	result->revision = written.revision;
	*row = written.row;
	return status;
}
