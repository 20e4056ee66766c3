/*
 * Expectations: is the record still what the caller saw; and if not, what was
 * it then, and who came between.
 * Leaves the proof at the moment of writing to the write itself.
 */
#include "record/expect.h"

#include <string.h>

#include "merge/merge.h"
#include "record/history.h"

/* How far back a stale caller's state is looked for. */
enum { STEPS_BACK = 1000 };

enum amend_status amend_seen_resolve(struct amend_conn *db, const struct amend_table *table,
				     const struct amend_expect *expect, struct amend_arena *arena,
				     struct amend_seen *out, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	memset(out, 0, sizeof(*out));
	if (!expect)
		return AMEND_OK;
	out->any = expect->token || expect->version || expect->n_originals > 0;
	out->only_changed = expect->only_changed;
	if (expect->token) {
		out->has_token = true;
		status = amend_token_read(db, table, expect->token, &out->token, err);
	}
	if (status == AMEND_OK && expect->version) {
		out->has_version = true;
		out->version = *expect->version;
		if (table->version < 0)
			status = amend_error_set(err, AMEND_INVALID,
						 "%s has no version column to compare with",
						 table->qualified);
	}
	if (status != AMEND_OK || expect->n_originals == 0)
		return status;
	out->originals = amend_arena_array(arena, expect->n_originals, sizeof(*out->originals));
	if (!out->originals)
		return amend_no_memory(err);
	for (size_t i = 0; i < expect->n_originals && status == AMEND_OK; i++) {
		size_t at;

		status = amend_table_find(table, expect->originals[i].column, &at, err);
		out->originals[i].column = (uint32_t)at;
		if (status == AMEND_OK && !amend_arena_value(arena, &expect->originals[i].value,
							     &out->originals[i].value))
			status = amend_no_memory(err);
	}
	out->n_originals = expect->n_originals;
	return status;
}

static const struct amend_put *find_put(const struct amend_put *puts, size_t n, uint32_t column)
{
	for (size_t i = 0; i < n; i++) {
		if (puts[i].column == column)
			return &puts[i];
	}
	return NULL;
}

/* What is added is a value like the others: on top of what the caller saw (`from`; NULL: that is not known). */
static enum amend_status fill_incoming(const struct amend_table *table, const struct amend_put *puts,
				       size_t n, const struct amend_value *from,
				       struct amend_outcome_work *work, struct amend_error *err)
{
	struct amend_field *incoming = amend_arena_array(work->arena, n, sizeof(*incoming));
	const char *why;

	if (!incoming)
		return amend_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		struct amend_value sum = puts[i].value;

		if (puts[i].op == AMEND_ADD && from &&
		    amend_merge_sum(&from[puts[i].column], &puts[i].value, work->arena, &sum,
				    &why) == AMEND_MERGED_NO_MEMORY)
			return amend_no_memory(err);
		incoming[i].column = amend_arena_text(work->arena,
						      table->columns[puts[i].column].name);
		if (!incoming[i].column || !amend_arena_value(work->arena, &sum, &incoming[i].value))
			return amend_no_memory(err);
	}
	work->result->incoming = incoming;
	work->result->n_incoming = n;
	return AMEND_OK;
}

/* Takes one recorded change back from `values`; false when the table has no such column now. */
static bool take_back(const struct amend_table *table, const struct amend_history *entry,
		      struct amend_value *values)
{
	for (size_t i = 0; i < entry->n_changes; i++) {
		int at = amend_table_column(table, entry->changes[i].column);

		if (at < 0)
			return false;
		values[at] = entry->changes[i].before;
	}
	return true;
}

/* Whether the change is the last word: what it wrote is what is there. */
static bool still_there(const struct amend_table *table, const struct amend_history *entry,
			const struct amend_value *values)
{
	for (size_t i = 0; i < entry->n_changes; i++) {
		int at = amend_table_column(table, entry->changes[i].column);

		if (at < 0 || (!table->columns[at].generated &&
			       !amend_value_equal(&entry->changes[i].after, &values[at])))
			return false;
	}
	return true;
}

static enum amend_status matches(const struct amend_table *table, const struct amend_value *values,
				 const struct amend_token *token, bool *same,
				 struct amend_error *err)
{
	unsigned char digest[AMEND_DIGEST_SIZE];
	enum amend_status status = amend_row_digest(table, values, digest, err);

	*same = status == AMEND_OK && memcmp(digest, token->state, sizeof(token->state)) == 0;
	return status;
}

/* Walks back from what is there to the state whose digest the token carries: only that proves it. */
static enum amend_status find_base(const struct amend_table *table, const struct amend_token *token,
				   const struct amend_row *row, const struct amend_history *entries,
				   size_t n, struct amend_outcome_work *work,
				   struct amend_error *err)
{
	struct amend_value *values = amend_arena_array(work->arena, table->n_columns,
						       sizeof(*values));
	enum amend_status status;
	bool same;

	if (!values)
		return amend_no_memory(err);
	memcpy(values, row->values, table->n_columns * sizeof(*values));
	status = matches(table, values, token, &same, err);
	for (size_t i = 0; i < n && status == AMEND_OK && !same; i++) {
		if (strcmp(entries[i].op, "update") != 0 || !take_back(table, &entries[i], values))
			return AMEND_OK;
		status = matches(table, values, token, &same, err);
	}
	if (same)
		work->result->base = values;
	return status;
}

static void name_change(const struct amend_history *entry, struct amend_result *result)
{
	result->by = entry->who;
	result->at = entry->at;
	result->because = entry->why;
}

/* A guarded table's other writers need not have said their name. */
static const char *who(const struct amend_result *result)
{
	return *result->by ? result->by : "somebody else";
}

/* STALE: with all that is known of what came between. */
static enum amend_status stale(struct amend_conn *db, const struct amend_table *table,
			       const struct amend_seen *seen, const struct amend_row *row,
			       const struct amend_put *puts, size_t n_puts, const char *key_text,
			       struct amend_outcome_work *work, struct amend_error *err)
{
	struct amend_result *result = work->result;
	struct amend_history *entries = NULL;
	size_t n = 0;
	enum amend_status status;

	result->outcome = AMEND_IS_STALE;
	result->record = row->values;
	status = amend_history_since(db, table, row->pk, seen->has_token ? seen->token.change : 0,
				     seen->has_token ? STEPS_BACK : 1, work->arena, &entries, &n,
				     err);
	if (status == AMEND_OK && seen->has_token)
		status = find_base(table, &seen->token, row, entries, n, work, err);
	if (status == AMEND_OK)
		status = fill_incoming(table, puts, n_puts,
				       result->base ? result->base : row->values, work, err);
	if (status != AMEND_OK)
		return status;
	if (n > 0 && still_there(table, &entries[0], row->values))
		name_change(&entries[0], result);
	if (result->by)
		return amend_error_set(
			err, AMEND_STALE,
			"the record %s in %s was changed by %s at %.19s UTC, after you loaded it",
			key_text, table->qualified, who(result), result->at);
	return amend_error_set(err, AMEND_STALE,
			       "the record %s in %s is no longer what you loaded; who changed it is "
			       "not known (a program that does not use amend)",
			       key_text, table->qualified);
}

static enum amend_status check_originals(struct amend_conn *db, const struct amend_table *table,
					 struct amend_seen *seen, const struct amend_row *row,
					 const struct amend_put *puts, size_t n_puts,
					 struct amend_outcome_work *work, bool *holds,
					 struct amend_error *err)
{
	struct amend_value *base = NULL;
	enum amend_status status;

	status = amend_request_canonical(db, table, row->values, seen->originals, seen->n_originals,
					 work->arena, err);
	*holds = true;
	for (size_t i = 0; i < seen->n_originals && status == AMEND_OK; i++) {
		const struct amend_put *original = &seen->originals[i];
		const struct amend_value *current = &row->values[original->column];
		const struct amend_put *put = find_put(puts, n_puts, original->column);

		if (seen->only_changed &&
		    (!put || (put->op == AMEND_SET && amend_value_equal(&put->value, current))))
			continue;
		*holds = *holds && amend_value_equal(&original->value, current);
	}
	if (status != AMEND_OK || *holds)
		return status;
	/* The caller said itself what it saw; the other columns are as they are now. */
	base = amend_arena_array(work->arena, table->n_columns, sizeof(*base));
	if (!base)
		return amend_no_memory(err);
	memcpy(base, row->values, table->n_columns * sizeof(*base));
	for (size_t i = 0; i < seen->n_originals; i++)
		base[seen->originals[i].column] = seen->originals[i].value;
	work->result->base = base;
	return AMEND_OK;
}

static enum amend_status check_version(struct amend_conn *db, const struct amend_table *table,
				       const struct amend_seen *seen, const struct amend_row *row,
				       struct amend_arena *arena, bool *holds,
				       struct amend_error *err)
{
	struct amend_canon item = {.column = &table->columns[table->version], .in = seen->version};
	enum amend_status status = amend_canonicalise(db, &item, 1, arena, err);

	if (status == AMEND_OK && item.problem)
		return amend_error_set(err, AMEND_INVALID, "%s.%s: %s", table->qualified,
				       item.column->name, item.problem);
	*holds = amend_value_equal(&item.out, &row->values[table->version]);
	return status;
}

enum amend_status amend_seen_check(struct amend_conn *db, const struct amend_table *table,
				   struct amend_seen *seen, const struct amend_row *row,
				   const struct amend_put *puts, size_t n_puts, const char *key_text,
				   struct amend_outcome_work *work, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	bool holds = true;

	if (seen->has_token) {
		struct amend_token now;

		if (!amend_token_names(&seen->token, table, row->pk))
			return amend_error_set(err, AMEND_INVALID,
					       "the token is for another record of %s",
					       table->qualified);
		status = amend_token_of(table, row, 0, &now, err);
		holds = amend_token_holds(&seen->token, &now);
	}
	if (status == AMEND_OK && holds && seen->has_version)
		status = check_version(db, table, seen, row, work->arena, &holds, err);
	if (status == AMEND_OK && holds && seen->n_originals > 0)
		status = check_originals(db, table, seen, row, puts, n_puts, work, &holds, err);
	if (status != AMEND_OK || holds)
		return status;
	return stale(db, table, seen, row, puts, n_puts, key_text, work, err);
}

/* What a deletion took away. */
static struct amend_value *deleted_values(const struct amend_table *table,
					  const struct amend_history *entry,
					  struct amend_arena *arena)
{
	struct amend_value *values = amend_arena_array(arena, table->n_columns, sizeof(*values));

	if (values && !take_back(table, entry, values))
		return NULL;
	return values;
}

static enum amend_status base_of_deleted(struct amend_conn *db, const struct amend_table *table,
					 const struct amend_token *token,
					 const struct amend_history *deletion,
					 struct amend_outcome_work *work, struct amend_error *err)
{
	struct amend_row row = {.values = deleted_values(table, deletion, work->arena)};
	struct amend_history *entries = NULL;
	size_t n = 0, first = 0;
	enum amend_status status;

	if (!row.values)
		return AMEND_OK; /* the table has changed since: unknown */
	status = amend_history_since(db, table, deletion->pk, token->change, STEPS_BACK,
				     work->arena, &entries, &n, err);
	while (first < n && entries[first].change >= deletion->change)
		first++;
	if (status == AMEND_OK)
		status = find_base(table, token, &row, entries + first, n - first, work, err);
	return status;
}

enum amend_status amend_seen_missing(struct amend_conn *db, const struct amend_table *table,
				     const struct amend_seen *seen, const char *key_text,
				     const struct amend_put *puts, size_t n_puts,
				     struct amend_outcome_work *work, struct amend_error *err)
{
	struct amend_result *result = work->result;
	struct amend_history *entries = NULL;
	size_t n = 0;
	enum amend_status status;

	result->outcome = AMEND_IS_MISSING;
	status = seen->any ? fill_incoming(table, puts, n_puts, NULL, work, err) : AMEND_OK;
	if (status != AMEND_OK)
		return status;
	if (!seen->has_token)
		return amend_error_set(err, AMEND_NOT_FOUND, "there is no record %s in %s",
				       key_text, table->qualified);
	status = amend_history_deletions(db, table, STEPS_BACK, work->arena, &entries, &n, err);
	for (size_t i = 0; i < n && status == AMEND_OK; i++) {
		if (entries[i].change <= seen->token.change ||
		    !amend_token_names(&seen->token, table, entries[i].pk))
			continue;
		name_change(&entries[i], result);
		status = base_of_deleted(db, table, &seen->token, &entries[i], work, err);
		if (status == AMEND_OK)
			status = fill_incoming(table, puts, n_puts, result->base, work, err);
		break;
	}
	if (status != AMEND_OK)
		return status;
	if (result->by)
		return amend_error_set(
			err, AMEND_NOT_FOUND,
			"the record %s in %s was deleted by %s at %.19s UTC, after you loaded it",
			key_text, table->qualified, who(result), result->at);
	return amend_error_set(
		err, AMEND_NOT_FOUND,
		"the record %s in %s that you loaded is gone; who deleted it is not known",
		key_text, table->qualified);
}
