/*
 * amend_resolve: the values that a person chose, as a revision; the base becomes
 * what the source said; the conflict is over. All in one unit.
 * Leaves finding conflicts to the sync, and the parts of settling one to resolve_*.c.
 */
#include <string.h>

#include "record/result.h"
#include "sync/resolve.h"

static const struct amend_lock for_update = {true, AMEND_FOR_UPDATE, AMEND_WAIT};

enum amend_status amend_settle_find_row(struct amend_conn *db, const struct amend_settlement *s,
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
	status = amend_pk_parse(s->conflict.pk, typed, s->arena, &fields, &n, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		int at = amend_table_column(table, fields[i].column);

		if (table->n_identity == 0)
			row.rowid = fields[i].value;
		else if (at >= 0)
			values[at] = fields[i].value;
	}
	if (status == AMEND_OK)
		status = amend_row_again(db, table, &row, &for_update, s->arena, out, found, err);
	out->held = status == AMEND_OK && *found;
	return status;
}

static enum amend_status settle_row(struct amend_conn *db, struct amend_settlement *s,
				    struct amend_error *err)
{
	struct amend_base *seen;
	struct amend_row row;
	struct amend_value old_tie;
	const char *tied = NULL;
	enum amend_status status;
	bool found = false, ours = false;

	status = amend_settle_find_row(db, s, &row, &found, err);
	if (status != AMEND_OK)
		return status;
	if (!found)
		return amend_settle_stale(s, NULL, "the record was deleted", err);
	status = amend_settle_decide_fields(s, &row, err);
	if (status == AMEND_OK)
		status = amend_settle_find_base(db, s, false, s->conflict.pk, &seen, err);
	if (status == AMEND_OK)
		status = amend_settle_base_agrees(db, s, seen, row.values, &ours, err);
	if (status == AMEND_OK)
		status = amend_settle_write_fields(db, s, &row, err);
	if (status == AMEND_OK &&
	    (s->conflict.kind == AMEND_CONFLICT_IDENTITY ||
	     (seen && amend_pack_find(seen->pack, seen->pack_size, AMEND_BASE_TIED, &old_tie)))) {
		status = amend_settle_key_now(s, row.values, &tied, err);
		if (status == AMEND_OK && tied && strcmp(tied, s->conflict.first_key) == 0)
			tied = NULL;
	}
	return status == AMEND_OK ? amend_settle_write_base(db, s, seen, ours, row.pk, tied, err)
				  : status;
}

static const char *how(const struct amend_settlement *s)
{
	if (s->n_set)
		return "values";
	switch (s->take) {
	case AMEND_TAKE_NOTHING:
		break;
	case AMEND_TAKE_CURRENT:
		return "current";
	case AMEND_TAKE_INCOMING:
		return "incoming";
	case AMEND_TAKE_BASE:
		return "base";
	}
	return "values";
}

static enum amend_status begin(struct amend_conn *db, struct amend_settlement *s,
			       struct amend_error *err)
{
	bool typed = amend_has(db, AMEND_HAS_TYPED_STORAGE);
	enum amend_status status;

	amend_result_reset(&s->work);
	amend_table_close(s->table);
	s->table = NULL;
	s->arena = s->work.arena;
	s->n_puts = 0;
	status = amend_conflict_by_id(db, s->id, s->arena, &s->conflict, err);
	if (status == AMEND_OK)
		status = amend_table_open_recorded(db, s->conflict.table, &s->table, err);
	if (status == AMEND_OK)
		status = amend_pk_parse(s->conflict.first_key, typed, s->arena, &s->key, &s->n_key,
					err);
	if (status == AMEND_OK)
		status = amend_settle_read_given(db, s, err);
	if (status != AMEND_OK)
		return status;
	s->incoming = amend_arena_array(s->arena, s->table->n_columns,
					sizeof(const struct amend_value *));
	s->puts = amend_arena_array(s->arena, s->table->n_columns, sizeof(*s->puts));
	return s->incoming && s->puts ? AMEND_OK : amend_no_memory(err);
}

static enum amend_status settle(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct amend_settlement *s = context;
	enum amend_status status = begin(db, s, err);
	bool moved = false;

	if (status == AMEND_OK)
		status = amend_settle_is_absent(s) ? amend_settle_absent(db, s, err)
			 : s->conflict.kind == AMEND_CONFLICT_MISSING
				 ? amend_settle_missing(db, s, err)
				 : settle_row(db, s, err);
	if (status == AMEND_OK)
		status = amend_conflict_end(db, s->id, "settled", how(s), &moved, err);
	if (status == AMEND_OK && moved)
		status = amend_error_set(err, AMEND_NOT_FOUND,
					 "conflict %lld was settled by another meanwhile",
					 (long long)s->id);
	return status;
}

enum amend_status amend_resolve(struct amend_conn *db, int64_t id, enum amend_take take,
				const struct amend_assign *set, size_t n_set,
				struct amend_result *result, struct amend_error *err)
{
	struct amend_settlement s = {.id = id, .take = take, .set = set, .n_set = n_set};
	enum amend_status status = amend_result_begin(result, &s.work, err);
	struct amend_conflict_row ignored;

	if (status != AMEND_OK)
		return status;
	status = amend_enter(db, err);
	if (status != AMEND_OK)
		return status;
	/* Before a unit that may write: most wrong ids end here. */
	status = amend_conflict_by_id(db, id, s.work.arena, &ignored, err);
	if (status == AMEND_OK)
		status = amend_ledger_need(db, err);
	if (status == AMEND_OK)
		status = amend_atomic(db, NULL, settle, &s, err);
	amend_table_close(s.table);
	amend_result_status(result, status);
	return amend_leave(db, status, err);
}
