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

/* Whoever lets it be deleted has seen what was edited: nothing else may have been, since. */
static bool edited_elsewhere(const struct amend_settlement *s, const struct amend_base *seen,
			     const struct amend_row *row)
{
	for (uint32_t c = 0; c < s->table->n_columns; c++) {
		const struct amend_value now = amend_sync_unmarked(s->table, seen, row->values, c);
		struct amend_value base;

		if (!amend_settle_field(s, c) &&
		    amend_pack_find(seen->pack, seen->pack_size, s->table->columns[c].name, &base) &&
		    !amend_value_equal(&base, &now) &&
		    !amend_sync_same_key(&s->table->columns[c], &base, &now))
			return true;
	}
	return false;
}

/* The row goes, or where another source has it only this source's base. */
static enum amend_status remove_missing(struct amend_conn *db, struct amend_settlement *s,
					const struct amend_base *seen, const struct amend_row *row,
					struct amend_error *err)
{
	struct amend_result *result = s->work.result;
	struct amend_written written;
	enum amend_status status;
	bool spared = false, moved = false;

	if (s->n_set)
		return amend_error_set(
			err, AMEND_INVALID,
			"incoming is that there is no record: nothing can be set in it");
	status = amend_sync_spared(db, s->conflict.source, s->table, &row->pk, 1, s->arena, &spared,
				   err);
	result->outcome = AMEND_IS_UNCHANGED;
	result->record = row->values;
	if (status == AMEND_OK && !spared) {
		status = amend_row_delete(db, s->table, row, s->arena, &written, err);
		if (status != AMEND_OK)
			return status;
		if (written.moved)
			return amend_error_set(err, AMEND_RETRY,
					       "the record moved while it was held");
		result->outcome = AMEND_IS_DELETED;
		result->record = NULL;
		result->revision = written.revision;
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
	bool marked = marks(s) && s->take == AMEND_TAKE_INCOMING && !s->n_set;
	struct amend_buffer pack = AMEND_BUFFER_INIT;
	struct amend_base base = *seen;

	if (marked)
		amend_base_mark(&pack, seen, first->column, &first->incoming, &first->current);
	else
		amend_base_absent(&pack, seen);
	base.pk = row->pk;
	return amend_settle_put_base(db, s, seen, &base, &pack, err);
}

enum amend_status amend_settle_missing(struct amend_conn *db, struct amend_settlement *s,
				       struct amend_error *err)
{
	struct amend_base *seen = NULL;
	struct amend_row row;
	bool found = false;
	enum amend_status status = amend_settle_find_row(db, s, &row, &found, err);

	if (status == AMEND_OK && !found)
		return amend_settle_stale(s, NULL, "the record was deleted", err);
	if (status == AMEND_OK)
		status = amend_settle_find_base(db, s, false, s->conflict.pk, &seen, err);
	if (status != AMEND_OK)
		return status;
	if (!seen || strcmp(seen->first_key, s->conflict.first_key) != 0 ||
	    (!marks(s) && edited_elsewhere(s, seen, &row)))
		return amend_settle_stale(s, &row, "the record changed", err);
	if (s->take == AMEND_TAKE_NOTHING && s->conflict.n_fields == 0)
		return amend_settle_undecided(s, err, "not decided yet",
					      " (hint: --take current|incoming)");
	if (!marks(s) && s->take == AMEND_TAKE_INCOMING) {
		status = amend_settle_check_fields(s, &row, err);
		return status == AMEND_OK ? remove_missing(db, s, seen, &row, err) : status;
	}
	for (size_t i = 0; i < s->conflict.n_fields && s->take == AMEND_TAKE_BASE; i++) {
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
	status = amend_settle_decide_fields(s, &row, err);
	if (status == AMEND_OK)
		status = amend_settle_write_fields(db, s, &row, err);
	return status == AMEND_OK ? keep_missing(db, s, seen, &row, err) : status;
}
