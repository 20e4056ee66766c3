/*
 * Settling that a source has no record of a row any more: it goes, or stays and the base remembers that.
 * Leaves finding such rows to missing_find.c.
 */
#include <string.h>

#include "record/result.h"
#include "sync/missing.h"
#include "sync/resolve.h"

/* How missing_decide.c tells the two apart: the field of a mark has no base. */
static bool marks(const struct amend_settlement *s)
{
	return s->conflict.n_fields > 0 && !s->conflict.fields[0].has_base;
}

/* A field that was edited here, which the conflict does not have. */
static bool edited_beside(const struct amend_settlement *s, const struct amend_base *seen,
			  const struct amend_row *row, uint32_t c, struct amend_value *base)
{
	const struct amend_column *column = &s->table->columns[c];
	const struct amend_value now = amend_sync_unmarked(s->table, seen, row->values, c);

	return !column->generated && !amend_settle_field(s, c) &&
	       amend_pack_find(seen->pack, seen->pack_size, column->name, base) &&
	       !amend_value_equal(base, &now) && !amend_sync_same_key(column, base, &now);
}

/*
 * Whoever lets it be deleted has seen what was edited: what has been edited since is shown to them
 * first, in this conflict.
 */
static enum amend_status check_edits(struct amend_settlement *s, const struct amend_base *seen,
				     const struct amend_row *row, struct amend_error *err)
{
	size_t n = s->conflict.n_fields;
	struct amend_conflict_field *fields = amend_arena_array(s->arena, n + s->table->n_columns,
								sizeof(*fields));
	bool moved = false;

	if (!fields)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		int at = amend_table_column(s->table, s->conflict.fields[i].column);

		fields[i] = s->conflict.fields[i];
		s->choices[i] = s->conflict.choices[i];
		if (at < 0 || s->shown || amend_value_equal(&fields[i].current, &row->values[at]))
			continue;
		s->choices[i] = (struct amend_conflict_choice){.who = ""};
		moved = true;
	}
	for (uint32_t c = 0; c < s->table->n_columns; c++) {
		struct amend_value base;

		if (!edited_beside(s, seen, row, c, &base))
			continue;
		fields[n] = (struct amend_conflict_field){.column = s->table->columns[c].name,
							  .has_base = true,
							  .base = base,
							  .current = row->values[c]};
		s->choices[n++] = (struct amend_conflict_choice){.who = ""};
		moved = true;
	}
	if (!moved)
		return AMEND_OK;
	s->conflict.fields = fields;
	s->conflict.choices = s->choices;
	s->conflict.n_fields = n;
	return amend_settle_stale(s, row->values, "the record changed since; nothing was deleted",
				  ": --take incoming deletes it as it is now", err);
}

/* The row goes, or where another source has it only this source's base. */
static enum amend_status remove_missing(struct amend_conn *db, struct amend_settlement *s,
					const struct amend_base *seen, const struct amend_row *row,
					struct amend_error *err)
{
	struct amend_result *result = s->work.result;
	struct amend_bulk written;
	enum amend_status status;
	bool spared = false, moved = false;

	if (s->how->n_decisions > 0)
		return amend_error_set(
			err, AMEND_INVALID,
			"incoming is that there is no record: nothing can be set in it");
	status = amend_settle_void(s, err);
	if (status == AMEND_OK)
		status = amend_sync_spared(db, s->conflict.source, s->table, &row->pk, 1, s->arena,
					   &spared, err);
	result->outcome = AMEND_IS_UNCHANGED;
	result->record = row->values;
	if (status == AMEND_OK && !spared) {
		status = amend_settle_write(db, s, seen, row, NULL, &written, err);
		if (status != AMEND_OK)
			return status;
		result->outcome = AMEND_IS_DELETED;
		result->record = NULL;
		status = amend_result_changes(&s->work, s->table, row->values, NULL, err);
	}
	if (status == AMEND_OK)
		status = amend_base_write(db, s->table, seen, NULL, &moved, err);
	if (status == AMEND_OK && moved)
		status = amend_error_set(err, AMEND_RETRY, "a sync changed the base meanwhile");
	return status;
}

/* It stays, and the base remembers that: a sync leaves it alone until the record returns. */
static enum amend_status keep_missing(struct amend_conn *db, struct amend_settlement *s,
				      const struct amend_base *seen, const struct amend_row *row,
				      struct amend_error *err)
{
	const struct amend_conflict_field *first = s->conflict.fields;
	bool marked = marks(s) && s->how->take == AMEND_TAKE_INCOMING && s->how->n_decisions == 0;
	struct amend_buffer pack = AMEND_BUFFER_INIT;
	struct amend_base base = *seen;

	if (marked)
		amend_base_mark(&pack, seen, first->column, &first->incoming, &first->current);
	else
		amend_base_absent(&pack, seen);
	base.pk = row->pk;
	return amend_settle_put_base(db, s, seen, &base, &pack, err);
}

/* Nor is there a row any more: only the base is left, and goes. */
static enum amend_status both_gone(struct amend_conn *db, struct amend_settlement *s,
				   const struct amend_base *seen, struct amend_error *err)
{
	enum amend_status status;
	bool moved = false;

	if (s->how->n_decisions > 0 || s->how->take == AMEND_TAKE_BASE)
		return amend_error_set(err, AMEND_INVALID,
				       "the record was deleted since: there is nothing to be set in "
				       "it (hint: --take current)");
	status = amend_settle_void(s, err);
	s->work.result->outcome = AMEND_IS_UNCHANGED;
	if (status == AMEND_OK && seen && strcmp(seen->first_key, s->conflict.first_key) == 0)
		status = amend_base_write(db, s->table, seen, NULL, &moved, err);
	if (status == AMEND_OK && moved)
		status = amend_error_set(err, AMEND_RETRY, "a sync changed the base meanwhile");
	return status;
}

/* A side that nobody has said anything about. */
static enum amend_status check_bases(const struct amend_settlement *s,
				     const struct amend_base *seen, struct amend_error *err)
{
	for (size_t i = 0; i < s->conflict.n_fields; i++) {
		const char *column = s->conflict.fields[i].column;
		int at = amend_table_column(s->table, column);
		struct amend_value base;

		if (!marks(s) && at >= 0 && amend_settle_given(s, (uint32_t)at) < 0 &&
		    !amend_pack_find(seen->pack, seen->pack_size, column, &base))
			return amend_error_set(err, AMEND_INVALID,
					       "column %s has no base: take current or incoming, or "
					       "set it",
					       column);
	}
	return AMEND_OK;
}

enum amend_status amend_settle_missing(struct amend_conn *db, struct amend_settlement *s,
				       struct amend_row *row, struct amend_error *err)
{
	struct amend_base *seen = NULL;
	enum amend_status status = amend_settle_find_base(db, s, false, s->conflict.pk, &seen, err);

	if (status != AMEND_OK)
		return status;
	if (!row)
		return both_gone(db, s, seen, err);
	if (!seen || strcmp(seen->first_key, s->conflict.first_key) != 0) {
		if (s->how->take != AMEND_TAKE_CURRENT || s->how->n_decisions > 0)
			return amend_error_set(err, AMEND_INVALID,
					       "the row is not this source's any more: there is "
					       "nothing to decide (hint: --take current)");
		s->work.result->outcome = AMEND_IS_UNCHANGED;
		s->work.result->record = row->values;
		return amend_settle_void(s, err);
	}
	if (s->how->take == AMEND_TAKE_NOTHING && s->conflict.n_fields == 0)
		return amend_error_set(err, AMEND_INVALID,
				       "not decided yet (hint: --take current|incoming)");
	if (!marks(s) && s->how->take == AMEND_TAKE_INCOMING) {
		status = check_edits(s, seen, row, err);
		return status == AMEND_OK && s->waits == AMEND_OK
			       ? remove_missing(db, s, seen, row, err)
			       : status;
	}
	if (s->how->take == AMEND_TAKE_BASE)
		status = check_bases(s, seen, err);
	if (status == AMEND_OK)
		status = amend_settle_decide(db, s, row->values, err);
	if (status != AMEND_OK || s->waits != AMEND_OK)
		return status;
	status = amend_settle_write_fields(db, s, seen, row, err);
	return status == AMEND_OK ? keep_missing(db, s, seen, row, err) : status;
}
