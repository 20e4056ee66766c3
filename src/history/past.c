/*
 * A record as it was, put together from what is there and what history says.
 * Leaves reading history to src/record/history.c, and going back to revert.c.
 */
#include <string.h>

#include <amend/history.h>

#include "core/rows.h"
#include "ledger/prune.h"
#include "record/history.h"
#include "record/result.h"

/* One record, and all that is known of it. */
struct past {
	struct amend_conn *db;
	const struct amend_table *table;
	struct amend_arena *arena;
	struct amend_row row;          /* as it is; `values` NULL: it is not there */
	struct amend_history *entries; /* newest first */
	size_t n;
};

/* What the record was at a moment. */
struct state {
	struct amend_value *values;       /* NULL: it did not exist */
	const struct amend_history *last; /* the last change before; NULL: none is known */
};

static enum amend_status one_number(struct amend_conn *db, struct amend_sql *sql, int64_t *out,
				    struct amend_error *err)
{
	struct amend_rows rows = AMEND_ROWS_INIT;
	enum amend_status status = amend_exec(db, sql, &rows, err);

	*out = 0;
	if (status == AMEND_OK && rows.n_rows > 0 &&
	    !amend_value_number(amend_rows_at(&rows, 0, 0), out))
		*out = 0;
	amend_rows_release(&rows);
	amend_sql_release(sql);
	return status;
}

/* Where the revision begins or ends in history, whatever it is about. */
static enum amend_status place_of_revision(const struct past *past,
					   const struct amend_moment *moment, int64_t *out,
					   struct amend_error *err)
{
	bool before = moment->kind == AMEND_BEFORE_REVISION;
	struct amend_sql sql;
	enum amend_status status;
	bool present;

	status = amend_ledger_look(past->db, &present, err);
	*out = 0;
	if (status == AMEND_OK && present) {
		amend_sql_init(&sql, past->db);
		amend_sql_text(&sql, before ? "SELECT min(id) FROM " : "SELECT max(id) FROM ");
		amend_sql_ledger(&sql, "change");
		amend_sql_text(&sql, " WHERE revision = ");
		amend_sql_integer(&sql, moment->revision);
		status = one_number(past->db, &sql, out, err);
	}
	if (status == AMEND_OK && *out == 0)
		return amend_error_set(err, AMEND_NOT_FOUND, "no revision %lld is known here",
				       (long long)moment->revision);
	*out -= before;
	return status;
}

/* The position in history: what is at or below it had happened. */
static enum amend_status place_of(const struct past *past, const struct amend_moment *moment,
				  int64_t *out, struct amend_error *err)
{
	*out = 0;
	switch (moment->kind) {
	case AMEND_NOW:
		*out = INT64_MAX;
		return AMEND_OK;
	case AMEND_AT_REVISION:
		/* A revision that began earlier may have touched the record later: its own part decides. */
		for (size_t i = 0; i < past->n; i++) {
			if (past->entries[i].revision != moment->revision)
				continue;
			*out = past->entries[i].change;
			return AMEND_OK;
		}
		return place_of_revision(past, moment, out, err);
	case AMEND_BEFORE_REVISION:
		for (size_t i = past->n; i-- > 0;) {
			if (past->entries[i].revision != moment->revision)
				continue;
			*out = past->entries[i].change - 1;
			return AMEND_OK;
		}
		return place_of_revision(past, moment, out, err);
	case AMEND_AT_TIME:
		for (size_t i = 0; i < past->n; i++) {
			if (strncmp(past->entries[i].at, moment->time, strlen(moment->time)) > 0)
				continue;
			*out = past->entries[i].change;
			return AMEND_OK;
		}
		return AMEND_OK;
	}
	return amend_error_set(err, AMEND_INVALID, "no such kind of moment");
}

/* Values of columns that are not known yet. */
static void learn(const struct past *past, const struct amend_history *entry, bool after,
		  struct amend_value *values, bool *known)
{
	for (size_t i = 0; i < entry->n_changes; i++) {
		int at = amend_table_column(past->table, entry->changes[i].column);

		if (at < 0 || known[at])
			continue;
		values[at] = after ? entry->changes[i].after : entry->changes[i].before;
		known[at] = true;
	}
}

/* A creation and a deletion say it of every column: those they do not name were NULL. */
static void learn_rest(const struct past *past, bool *known)
{
	memset(known, true, past->table->n_columns * sizeof(*known));
}

/* Back from the moment: what was written last. */
static void learn_backwards(const struct past *past, size_t from, struct amend_value *values,
			    bool *known)
{
	for (size_t i = from; i < past->n; i++) {
		const struct amend_history *entry = &past->entries[i];

		/* What was deleted was another's, and came back unseen. */
		if (strcmp(entry->op, "delete") == 0)
			return;
		learn(past, entry, true, values, known);
		if (strcmp(entry->op, "create") == 0) {
			learn_rest(past, known);
			return;
		}
	}
}

/* On from it: what the next write replaced; at last, what is there. */
static void learn_forwards(const struct past *past, size_t to, struct amend_value *values,
			   bool *known)
{
	for (size_t i = to; i-- > 0;) {
		const struct amend_history *entry = &past->entries[i];

		if (strcmp(entry->op, "create") == 0)
			return;
		learn(past, entry, false, values, known);
		if (strcmp(entry->op, "delete") == 0) {
			learn_rest(past, known);
			return;
		}
	}
	for (size_t i = 0; past->row.values && i < past->table->n_columns; i++) {
		if (known[i] || past->table->columns[i].generated)
			continue;
		values[i] = past->row.values[i];
		known[i] = true;
	}
}

static bool existed(const struct past *past, size_t last)
{
	if (last < past->n)
		return strcmp(past->entries[last].op, "delete") != 0;
	if (past->n > 0)
		return strcmp(past->entries[past->n - 1].op, "create") != 0;
	return past->row.values != NULL;
}

/* What came first is no creation, and what came before may be gone. */
static enum amend_status check_pruned(const struct past *past, int64_t place, size_t last,
				      struct amend_error *err)
{
	bool begins = past->n > 0 && strcmp(past->entries[past->n - 1].op, "create") == 0;
	int64_t pruned = 0;
	enum amend_status status;

	if (last < past->n || begins)
		return AMEND_OK;
	status = amend_ledger_pruned(past->db, &pruned, err);
	if (status == AMEND_OK && place < pruned)
		return amend_error_set(err, AMEND_NOT_FOUND,
				       "the history of that time was pruned: what the record was is "
				       "not known");
	return status;
}

/* Of what identifies it the record's name tells, also where the database alone writes it. */
static enum amend_status learn_identity(const struct past *past, size_t last,
					struct amend_value *values, bool *known,
					struct amend_error *err)
{
	const struct amend_table *table = past->table;
	const char *pk = last < past->n ? past->entries[last].pk
			 : past->n      ? past->entries[past->n - 1].pk
					: past->row.pk;
	struct amend_field *fields = NULL;
	size_t n = 0;
	enum amend_status status = AMEND_OK;

	if (pk)
		status = amend_pk_parse(pk, amend_has(past->db, AMEND_HAS_TYPED_STORAGE),
					past->arena, &fields, &n, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		int at = amend_table_column(table, fields[i].column);

		if (at < 0 || known[at])
			continue;
		values[at] = fields[i].value;
		known[at] = true;
	}
	return status;
}

/* It went unseen, and with it what no change has. */
static enum amend_status check_known(const struct past *past, const bool *known,
				     struct amend_error *err)
{
	for (size_t i = 0; i < past->table->n_columns; i++) {
		if (!known[i] && !past->table->columns[i].generated)
			return amend_error_set(err, AMEND_NOT_FOUND,
					       "a program that amend did not see deleted it: what %s "
					       "was then is not known",
					       past->table->columns[i].name);
	}
	return AMEND_OK;
}

static enum amend_status state_at(const struct past *past, const struct amend_moment *moment,
				  struct state *out, struct amend_error *err)
{
	size_t n_columns = past->table->n_columns, last = 0;
	bool *known = amend_arena_array(past->arena, n_columns, sizeof(*known));
	int64_t place = 0;
	enum amend_status status;

	*out = (struct state){NULL, NULL};
	if (!known)
		return amend_no_memory(err);
	status = place_of(past, moment, &place, err);
	while (last < past->n && past->entries[last].change > place)
		last++;
	if (status == AMEND_OK)
		status = check_pruned(past, place, last, err);
	if (status != AMEND_OK)
		return status;
	out->last = last < past->n ? &past->entries[last] : NULL;
	if (moment->kind == AMEND_NOW ? !past->row.values : !existed(past, last))
		return AMEND_OK;
	out->values = amend_arena_array(past->arena, n_columns, sizeof(*out->values));
	if (!out->values)
		return amend_no_memory(err);
	if (moment->kind == AMEND_NOW) {
		memcpy(out->values, past->row.values, n_columns * sizeof(*out->values));
		return AMEND_OK;
	}
	learn_backwards(past, last, out->values, known);
	learn_forwards(past, last, out->values, known);
	status = learn_identity(past, last, out->values, known, err);
	return status == AMEND_OK ? check_known(past, known, err) : status;
}

static enum amend_status open_past(struct amend_conn *db, const struct amend_table *table,
				   const struct amend_match *key, struct amend_arena *arena,
				   struct past *out, struct amend_error *err)
{
	*out = (struct past){.db = db, .table = table, .arena = arena};
	return amend_history_of(db, table, key, arena, &out->row, &out->entries, &out->n, err);
}

static void describe(const struct state *state, struct amend_result *result)
{
	result->record = state->values;
	if (!state->last)
		return;
	result->revision = state->last->revision;
	result->by = state->last->who;
	result->at = state->last->at;
	result->because = state->last->why;
}

static enum amend_status not_then(const struct state *state, struct amend_error *err)
{
	if (state->last)
		return amend_error_set(err, AMEND_NOT_FOUND,
				       "it did not exist then: revision %lld deleted it",
				       (long long)state->last->revision);
	return amend_error_set(err, AMEND_NOT_FOUND, "it did not exist then: it was created later");
}

static enum amend_status get_at(struct amend_conn *db, const struct amend_table *table,
				const struct amend_match *key, const struct amend_moment *moment,
				struct amend_outcome_work *work, struct amend_error *err)
{
	struct past past;
	struct state state = {NULL, NULL};
	enum amend_status status = open_past(db, table, key, work->arena, &past, err);

	if (status == AMEND_OK)
		status = state_at(&past, moment, &state, err);
	if (status != AMEND_OK)
		return status;
	describe(&state, work->result);
	if (!state.values)
		return not_then(&state, err);
	work->result->outcome = AMEND_IS_FOUND;
	return AMEND_OK;
}

enum amend_status amend_get_at(struct amend_conn *db, const struct amend_table *table,
			       const struct amend_match *key, const struct amend_moment *moment,
			       struct amend_result *result, struct amend_error *err)
{
	struct amend_outcome_work work;
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	status = amend_result_begin(result, &work, err);
	if (status == AMEND_OK)
		status = get_at(db, table, key, moment, &work, err);
	if (status != AMEND_OK)
		amend_result_status(result, status);
	return amend_leave(db, status, err);
}

static enum amend_status diff(struct amend_conn *db, const struct amend_table *table,
			      const struct amend_match *key, const struct amend_moment *from,
			      const struct amend_moment *to, struct amend_outcome_work *work,
			      struct amend_error *err)
{
	struct amend_result *result = work->result;
	struct past past;
	struct state before = {NULL, NULL}, after = {NULL, NULL};
	enum amend_status status = open_past(db, table, key, work->arena, &past, err);

	if (status == AMEND_OK)
		status = state_at(&past, from, &before, err);
	if (status == AMEND_OK)
		status = state_at(&past, to, &after, err);
	if (status != AMEND_OK)
		return status;
	if (!before.values && !after.values)
		return amend_error_set(err, AMEND_NOT_FOUND,
				       "the record existed at neither of the two moments");
	describe(&after, result);
	result->base = before.values;
	status = amend_result_changes(work, table, before.values, after.values, err);
	result->outcome = !before.values          ? AMEND_IS_CREATED
			  : !after.values         ? AMEND_IS_DELETED
			  : result->n_changes > 0 ? AMEND_IS_UPDATED
						  : AMEND_IS_UNCHANGED;
	return status;
}

enum amend_status amend_diff(struct amend_conn *db, const struct amend_table *table,
			     const struct amend_match *key, const struct amend_moment *from,
			     const struct amend_moment *to, struct amend_result *result,
			     struct amend_error *err)
{
	struct amend_outcome_work work;
	enum amend_status status = amend_enter(db, err);

	if (status != AMEND_OK)
		return status;
	status = amend_result_begin(result, &work, err);
	if (status == AMEND_OK)
		status = diff(db, table, key, from, to, &work, err);
	if (status != AMEND_OK)
		amend_result_status(result, status);
	return amend_leave(db, status, err);
}
