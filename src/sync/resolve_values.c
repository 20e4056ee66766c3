/*
 * Settling a conflict: what a person gave, as values of the table's columns.
 * Leaves what becomes of each field to resolve_decide.c.
 */
#include "record/request.h"
#include "sync/resolve.h"

bool amend_settle_synced(const struct amend_settlement *s)
{
	return *s->conflict.source != '\0';
}

bool amend_settle_is_absent(const struct amend_settlement *s)
{
	return s->conflict.kind == AMEND_CONFLICT_DELETED || !s->conflict.pk;
}

int amend_settle_given(const struct amend_settlement *s, uint32_t column)
{
	for (size_t i = 0; i < s->how->n_decisions; i++) {
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

/* That there may be such a decision, and the only one about the column. */
static enum amend_status check_given(const struct amend_settlement *s,
				     const struct amend_decision *decision, int at,
				     struct amend_error *err)
{
	const char *column = decision->column;
	size_t none;

	/* Says which columns there are. */
	if (at < 0)
		return amend_table_find(s->table, column, &none, err);
	if (amend_settle_given(s, (uint32_t)at) >= 0)
		return amend_error_set(err, AMEND_INVALID, "column %s is decided twice", column);
	if (s->table->columns[at].generated)
		return amend_error_set(err, AMEND_INVALID,
				       "column %s has its value from the database", column);
	if (!amend_settle_field(s, (uint32_t)at) &&
	    (!amend_settle_is_absent(s) || decision->take != AMEND_TAKE_NOTHING))
		return amend_error_set(err, AMEND_INVALID,
				       "column %s is not in conflict %lld (hint: `amend set` "
				       "changes it)",
				       column, (long long)s->conflict.id);
	return AMEND_OK;
}

/* A value that stood there before may be carried over, whatever it is. */
static enum amend_status check_text(const struct amend_settlement *s, uint32_t column,
				    const struct amend_value *value, struct amend_error *err)
{
	const struct amend_conflict_field *field = amend_settle_field(s, column);

	if (!amend_request_is_no_text(value) ||
	    (field &&
	     (amend_value_equal(value, &field->base) || amend_value_equal(value, &field->current) ||
	      amend_value_equal(value, &field->incoming))))
		return AMEND_OK;
	return amend_error_set(err, AMEND_INVALID, "%s.%s: expected UTF-8 text without NUL bytes",
			       s->table->qualified, s->table->columns[column].name);
}

/* As they were given: what is wrong with them is listed, all of it. */
static void put_given(struct amend_settlement *s)
{
	for (size_t i = 0; i < s->how->n_decisions; i++) {
		if (s->how->decisions[i].take == AMEND_TAKE_NOTHING)
			amend_settle_put(s, s->given_columns[i], &s->how->decisions[i].value);
	}
	s->tried = true;
}

enum amend_status amend_settle_read_given(struct amend_conn *db, struct amend_settlement *s,
					  struct amend_error *err)
{
	size_t n = s->how->n_decisions, n_canon = 0;
	struct amend_canon *canon = amend_arena_array(s->arena, n, sizeof(*canon));
	size_t *which = amend_arena_array(s->arena, n, sizeof(*which));
	enum amend_status status = AMEND_OK;

	s->given = amend_arena_array(s->arena, n, sizeof(*s->given));
	s->given_columns = amend_arena_array(s->arena, n, sizeof(*s->given_columns));
	if (!canon || !which || !s->given || !s->given_columns)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++)
		s->given_columns[i] = UINT32_MAX;
	for (size_t i = 0; i < n; i++) {
		const struct amend_decision *decision = &s->how->decisions[i];
		int at = amend_table_column(s->table, decision->column);

		status = check_given(s, decision, at, err);
		if (status != AMEND_OK)
			return status;
		s->given_columns[i] = (uint32_t)at;
		if (decision->take != AMEND_TAKE_NOTHING)
			continue;
		status = check_text(s, (uint32_t)at, &decision->value, err);
		if (status != AMEND_OK)
			return status;
		which[n_canon] = i;
		canon[n_canon++] = (struct amend_canon){.column = &s->table->columns[at],
							.in = decision->value};
	}
	if (n_canon)
		status = amend_canonicalise(db, canon, n_canon, s->arena, err);
	for (size_t i = 0; i < n_canon && status == AMEND_OK; i++) {
		if (canon[i].problem) {
			put_given(s);
			return amend_error_set(err, AMEND_INVALID, "column %s: %s",
					       canon[i].column->name, canon[i].problem);
		}
		s->given[which[i]] = canon[i].out;
	}
	return status;
}

void amend_settle_put(struct amend_settlement *s, uint32_t column, const struct amend_value *value)
{
	s->puts[s->n_puts++] = (struct amend_put){.column = column,
						  .op = AMEND_SET,
						  .value = *value,
						  .min = amend_null(),
						  .max = amend_null()};
}
