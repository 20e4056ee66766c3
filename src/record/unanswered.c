/*
 * A write outside of units that nobody answered: what it did, put together from history, if it is in.
 * Leaves finding out whether it is to src/ledger/fate.c.
 */
#include <string.h>

#include "core/rows.h"
#include "record/call.h"
#include "record/history.h"

/* Which record it was: a write has one change. */
static enum amend_status find_change(struct amend_call *call, int64_t revision, const char **pk,
				     struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_sql sql;
	enum amend_status status;

	*pk = NULL;
	amend_sql_init(&sql, call->db);
	amend_sql_text(&sql, "SELECT pk FROM ");
	amend_sql_ledger(&sql, "change");
	amend_sql_text(&sql, " WHERE revision = ");
	amend_sql_integer(&sql, revision);
	status = amend_exec(call->db, &sql, &rows, err);
	if (status == AMEND_OK && rows.n_rows == 1 && amend_rows_at(&rows, 0, 0)->kind == AMEND_TEXT)
		*pk = amend_arena_text(call->work.arena, amend_rows_at(&rows, 0, 0)->as.text);
	if (status == AMEND_OK && !*pk)
		status = amend_error_set(err, AMEND_INTERNAL, "revision %lld has no single change",
					 (long long)revision);
	amend_rows_release(&rows);
	amend_sql_release(&sql);
	return status;
}

/* What others have made of it since, without amend, is not this entry's. */
static void as_written(const struct amend_call *call, const struct amend_history *entry,
		       struct amend_value *values)
{
	for (size_t i = 0; i < entry->n_changes; i++) {
		int at = amend_table_column(call->table, entry->changes[i].column);

		if (at >= 0)
			values[at] = entry->changes[i].after;
	}
}

/* From what it is now, or was last, back to what it was before this entry. */
static void go_back(const struct amend_call *call, const struct amend_history *entry,
		    struct amend_value *values)
{
	for (size_t i = 0; i < entry->n_changes; i++) {
		int at = amend_table_column(call->table, entry->changes[i].column);

		if (at >= 0)
			values[at] = entry->changes[i].before;
	}
}

static enum amend_status tell(struct amend_call *call, const struct amend_history *entries,
			      size_t place, const struct amend_row *now, struct amend_error *err)
{
	const struct amend_history *entry = &entries[place];
	size_t n = call->table->n_columns;
	struct amend_value *before = amend_arena_array(call->work.arena, n, sizeof(*before));
	struct amend_value *after = amend_arena_array(call->work.arena, n, sizeof(*after));
	bool created = strcmp(entry->op, "create") == 0, deleted = strcmp(entry->op, "delete") == 0;
	struct amend_written what = {
		.row = *now, .revision = entry->revision, .change = entry->change};

	if (!before || !after)
		return amend_no_memory(err);
	if (now->values)
		memcpy(after, now->values, n * sizeof(*after));
	for (size_t i = 0; i < place; i++)
		go_back(call, &entries[i], after);
	as_written(call, entry, after);
	memcpy(before, after, n * sizeof(*before));
	go_back(call, entry, before);
	what.row.pk = entry->pk;
	what.row.values = deleted ? before : after;
	what.row.held = false;
	what.before = created ? NULL : before;
	return amend_call_written(call, &what,
				  created   ? AMEND_IS_CREATED
				  : deleted ? AMEND_IS_DELETED
					    : AMEND_IS_UPDATED,
				  err);
}

static enum amend_status put_together(struct amend_call *call, int64_t revision,
				      struct amend_error *err)
{
	struct amend_arena *arena = call->work.arena;
	struct amend_history *entries;
	struct amend_match key = {0};
	struct amend_field *fields;
	struct amend_row now = {0};
	const char *pk;
	size_t n;
	enum amend_status status = find_change(call, revision, &pk, err);

	if (status == AMEND_OK)
		status = amend_pk_parse(pk, amend_has(call->db, AMEND_HAS_TYPED_STORAGE), arena,
					&fields, &key.n_fields, err);
	if (status != AMEND_OK)
		return status;
	key.fields = fields;
	status = amend_history_of(call->db, call->table, &key, arena, &now, &entries, &n, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (entries[i].revision == revision)
			return tell(call, entries, i, &now, err);
	}
	return status != AMEND_OK ? status
				  : amend_error_set(err, AMEND_INTERNAL,
						    "revision %lld is not in its record's history",
						    (long long)revision);
}

enum amend_status amend_call_unanswered(struct amend_call *call, const struct amend_mark *mark,
					struct amend_error *err)
{
	int64_t revision;
	enum amend_status status = amend_mark_fate(call->db, mark, &revision, err);

	if (status != AMEND_OK)
		return status;
	amend_result_reset(&call->work);
	status = put_together(call, revision, err);
	/* It is in, whatever keeps it from being told. */
	if (status != AMEND_OK) {
		amend_error_wrap(err, "revision %lld is in, but cannot be shown",
				 (long long)revision);
		err->status = status = AMEND_OUTCOME_UNKNOWN;
	}
	return status;
}
