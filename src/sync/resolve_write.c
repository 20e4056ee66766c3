/*
 * Settling a conflict: the record, as a revision that knows the base it was written beside.
 * Leaves what is written to resolve_decide.c, and the base itself to resolve_base.c.
 */
#include "sync/resolve.h"

enum amend_status amend_settle_write(struct amend_conn *db, struct amend_settlement *s,
				     const struct amend_base *seen, const struct amend_row *row,
				     const struct amend_key *key, struct amend_bulk *out,
				     struct amend_error *err)
{
	enum amend_status status;

	s->tried = true;
	/* With its source and base: whoever undoes it gets the base back, and a sync asks again. */
	*out = (struct amend_bulk){
		.row = row,
		.puts = s->n_puts ? s->puts : NULL,
		.n_puts = s->n_puts,
		.source = amend_settle_synced(s) ? s->conflict.source : NULL,
		.seen = seen,
	};
	status = amend_rows_write(db, s->table, key, out, 1, s->arena, err);
	if (status == AMEND_OK && out->moved && row)
		status = amend_error_set(err, AMEND_RETRY, "the record moved while it was held");
	if (status == AMEND_OK && !out->moved)
		s->work.result->revision = amend_revision_current(db);
	return status;
}

enum amend_status amend_settle_write_fields(struct amend_conn *db, struct amend_settlement *s,
					    const struct amend_base *seen, struct amend_row *row,
					    struct amend_error *err)
{
	struct amend_result *result = s->work.result;
	struct amend_bulk written;
	enum amend_status status;

	for (size_t i = 0; i < s->conflict.n_fields; i++) {
		if (s->plan[i].verdict == AMEND_FIELD_WRITE)
			amend_settle_put(s, s->plan[i].column, &s->plan[i].value);
	}
	result->outcome = AMEND_IS_UNCHANGED;
	result->record = row->values;
	if (!s->n_puts)
		return AMEND_OK;
	status = amend_settle_write(db, s, seen, row, NULL, &written, err);
	if (status != AMEND_OK)
		return status;
	status = amend_result_changes(&s->work, s->table, row->values, written.after.values, err);
	result->outcome = AMEND_IS_UPDATED;
	result->record = written.after.values;
	*row = written.after;
	return status;
}
