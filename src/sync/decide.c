/*
 * What becomes of each record: the tables of docs/sync.md.
 * Leaves values that would stand twice to unique.c, writing to apply.c.
 */
#include <stdlib.h>
#include <string.h>

#include "merge/merge.h"
#include "record/request.h"
#include "sync/sync.h"

/* What becomes of one field. */
enum verdict {
	LEAVE, /* not compared; its base stays */
	SAME,
	LOCAL, /* a local edit stays; the source has not moved, or it was decided so */
	WRITE,
	CLASH,
	SUM, /* what the source added goes on top of a local edit */
	ASK, /* nothing is known: --adopt must say */
};

/* Scratch for one record; of the used columns, but `puts` of the table's. */
struct fields {
	enum verdict *verdicts;
	bool *take;
	struct amend_value *sums; /* where the verdict is SUM */
	struct amend_put *puts;
	struct amend_conflict_field *clashes;
	size_t n_puts, n_clashes;
	bool settled;
};

static bool blank(const struct amend_sync_key *key, const struct amend_record *record)
{
	for (uint32_t i = 0; i < key->n; i++) {
		if (amend_value_blank(&record->values[key->used[i]]))
			return true;
	}
	return false;
}

/* Nothing is said of it: it is left alone. */
static bool is_absent(const struct amend_record *record, uint32_t used)
{
	return record->absent && record->absent[used];
}

/* The table of fields. */
static enum verdict judge(const struct amend_sync *sync, const struct amend_record *record,
			  uint32_t used)
{
	const struct amend_used *u = &sync->used[used];
	const struct amend_value *incoming = &record->values[used];
	struct amend_conflict_field sides;

	if (is_absent(record, used) || !u->update ||
	    (sync->table->columns[u->column].identity && incoming->kind == AMEND_NULL))
		return LEAVE;
	sides = amend_sync_sides(sync, record, record->row->values, used);
	switch (amend_merge_field(sides.has_base ? &sides.base : NULL, &sides.current, incoming)) {
	case AMEND_VERDICT_SAME:
		return SAME;
	case AMEND_VERDICT_CURRENT:
		return LOCAL;
	case AMEND_VERDICT_INCOMING:
		return WRITE;
	case AMEND_VERDICT_CLASH:
		return CLASH;
	case AMEND_VERDICT_UNKNOWN:
		break;
	}
	return amend_sync_in_open(record, sides.column) ? CLASH : ASK;
}

/* In the column's own form; `fits` false: the column cannot hold it. */
static enum amend_status fit(struct amend_sync *sync, uint32_t column, struct amend_value *value,
			     bool *fits, struct amend_error *err)
{
	struct amend_put put = {.column = column, .op = AMEND_SET, .value = *value};
	enum amend_status status;

	put.min = put.max = amend_null();
	status = amend_request_canonical(sync->db, sync->table, NULL, &put, 1, &sync->arena, err);
	*fits = status == AMEND_OK;
	*value = put.value;
	return status == AMEND_INVALID ? AMEND_OK : status;
}

/*
 * The last row of the table of fields, which goes before the others: declared additive, and both have
 * moved. `verdict` stays LEAVE where it does not apply: what is no number is a field like others.
 */
static enum amend_status judge_sum(struct amend_sync *sync, const struct amend_record *record,
				   uint32_t used, struct fields *fields, enum verdict *verdict,
				   struct amend_error *err)
{
	const struct amend_used *u = &sync->used[used];
	struct amend_value difference, *sum = &fields->sums[used];
	struct amend_conflict_field sides;
	enum amend_merged merged;
	enum amend_status status;
	const char *why;
	bool fits;

	*verdict = LEAVE;
	if (!u->additive || !u->update || is_absent(record, used))
		return AMEND_OK;
	sides = amend_sync_sides(sync, record, record->row->values, used);
	if (!sides.has_base || amend_value_equal(&sides.base, &sides.incoming) ||
	    amend_value_equal(&sides.base, &sides.current))
		return AMEND_OK;
	merged = amend_merge_difference(&sides.base, &sides.incoming, &sync->arena, &difference,
					&why);
	if (merged == AMEND_MERGED_CLEAN)
		merged = amend_merge_sum(&sides.current, &difference, &sync->arena, sum, &why);
	if (merged == AMEND_MERGED_NO_MEMORY)
		return amend_no_memory(err);
	if (merged == AMEND_MERGED_CLASH)
		return AMEND_OK;
	status = fit(sync, u->column, sum, &fits, err);
	*verdict = !fits || record->overflowed ? CLASH : SUM;
	return status;
}

/* What the options say of a clash, and of what nothing is known of. */
static enum verdict rule(struct amend_sync *sync, struct amend_record *record, enum verdict verdict,
			 struct fields *fields, bool *take)
{
	*take = verdict == SAME || verdict == LOCAL || verdict == WRITE || verdict == SUM;
	if (verdict == ASK) {
		switch (sync->options->adopt) {
		case AMEND_ADOPT_ASK:
			if (!sync->writing) {
				record->asks = true;
				return LEAVE;
			}
			/* Once something is written it is too late to ask: it is a conflict. */
			verdict = CLASH;
			break;
		case AMEND_ADOPT_INCOMING:
			*take = true;
			return WRITE;
		case AMEND_ADOPT_CURRENT:
			*take = true;
			return LOCAL;
		case AMEND_ADOPT_CONFLICT:
			verdict = CLASH;
			break;
		}
	}
	if (verdict != CLASH)
		return verdict;
	switch (sync->options->on_conflict) {
	case AMEND_POLICY_STORE:
		return CLASH;
	case AMEND_POLICY_INCOMING:
		*take = fields->settled = true;
		return WRITE;
	case AMEND_POLICY_CURRENT:
		*take = fields->settled = true;
		return LOCAL;
	}
	return CLASH;
}

/* Earlier keys of a record found by a later one: learned, the same, or pointing elsewhere. */
static void judge_earlier_keys(const struct amend_sync *sync, const struct amend_record *record,
			       struct fields *fields, bool *judged)
{
	for (int k = 0; k < record->found_by; k++) {
		const struct amend_sync_key *key = &sync->keys[k];
		bool nothing = blank(key, record);

		for (uint32_t i = 0; i < key->n; i++) {
			uint32_t u = key->used[i];
			const struct amend_column *column = &sync->table->columns[key->columns[i]];
			const struct amend_value *current = &record->row->values[key->columns[i]];

			if (judged[u] || amend_sync_in_key(sync, record->found_by, u))
				continue;
			judged[u] = true;
			fields->take[u] = !nothing;
			if (nothing)
				fields->verdicts[u] = LEAVE;
			else if (amend_value_blank(current))
				fields->verdicts[u] = WRITE;
			else if (amend_sync_same_key(column, current, &record->values[u]))
				fields->verdicts[u] = SAME;
			else
				fields->clashes[fields->n_clashes++] = amend_sync_sides(
					sync, record, record->row->values, u);
		}
	}
}

static enum amend_status identity_conflict(struct amend_sync *sync, struct amend_record *record,
					   const struct fields *fields, const char *note,
					   struct amend_error *err)
{
	return note ? amend_sync_conflict(sync, record, AMEND_CONFLICT_IDENTITY, fields->clashes,
					  fields->n_clashes, note, err)
		    : amend_no_memory(err);
}

/* Another record reaches the row by the same key: nobody knows which of them it is. */
static enum amend_status decide_shared(struct amend_sync *sync, struct amend_record *record,
				       struct fields *fields, struct amend_error *err)
{
	const char *note = amend_arena_printf(&sync->arena,
					      "two records of the source reach %s by %s: %s and %s",
					      record->row->pk, sync->keys[record->found_by].name,
					      record->key, record->rival->key);

	fields->n_clashes = 0;
	for (uint32_t u = 0; u < sync->n_used; u++) {
		if (amend_sync_in_key(sync, record->first, u))
			fields->clashes[fields->n_clashes++] = amend_sync_sides(
				sync, record, record->row->values, u);
	}
	return identity_conflict(sync, record, fields, note, err);
}

static enum amend_status keep_puts(struct amend_sync *sync, const struct fields *fields,
				   struct amend_action *action, struct amend_error *err)
{
	action->n_puts = fields->n_puts;
	action->puts = amend_arena_array(&sync->arena, fields->n_puts, sizeof(*action->puts));
	if (!action->puts)
		return amend_no_memory(err);
	if (fields->n_puts)
		memcpy(action->puts, fields->puts, fields->n_puts * sizeof(*action->puts));
	return AMEND_OK;
}

static void put(struct fields *fields, uint32_t column, const struct amend_value *value)
{
	fields->puts[fields->n_puts++] = (struct amend_put){
		.column = column,
		.op = AMEND_SET,
		.value = *value,
		.min = amend_null(),
		.max = amend_null(),
	};
}

/* The record is back: what marked its row is taken back, where nobody has edited it since. */
static void unmark(const struct amend_sync *sync, const struct amend_record *record,
		   struct fields *fields)
{
	for (uint32_t c = 0; c < sync->table->n_columns; c++) {
		struct amend_value before = amend_sync_unmarked(sync->table, record->seen,
								record->row->values, c);
		bool written = amend_value_equal(&before, &record->row->values[c]);

		for (size_t i = 0; i < fields->n_puts && !written; i++)
			written = fields->puts[i].column == c;
		if (!written)
			put(fields, c, &before);
	}
}

/* Most records have nothing to write: they get no action at all. */
static bool idle(const struct amend_record *record, const struct amend_action *action,
		 const struct fields *fields)
{
	return !action->n_puts && !action->write_base && !fields->n_clashes && !fields->settled &&
	       !record->open;
}

/* Verdicts of all fields to puts, clashes and the record's fate. */
static enum amend_status conclude(struct amend_sync *sync, struct amend_record *record,
				  struct fields *fields, struct amend_error *err)
{
	struct amend_action draft = {.settled = fields->settled}, *action;
	enum amend_status status;
	bool local = false;

	for (uint32_t u = 0; u < sync->n_used; u++) {
		local = local || fields->verdicts[u] == LOCAL || fields->verdicts[u] == SUM;
		if (fields->verdicts[u] == SUM) {
			put(fields, sync->used[u].column, &fields->sums[u]);
			draft.adds_up = true;
		} else if (fields->verdicts[u] == WRITE)
			put(fields, sync->used[u].column, &record->values[u]);
		else if (fields->verdicts[u] == CLASH)
			fields->clashes[fields->n_clashes++] = amend_sync_sides(
				sync, record, record->row->values, u);
	}
	if (record->marked)
		unmark(sync, record, fields);
	if (fields->n_puts)
		record->fate = local ? AMEND_FATE_MERGED : AMEND_FATE_UPDATED;
	else
		record->fate = local ? AMEND_FATE_KEPT : AMEND_FATE_UNCHANGED;
	status = amend_sync_base(sync, record, fields->take, &draft, err);
	/* The base under the row is another record's, which waits for a decision about it. */
	if (record->seen && !record->based &&
	    amend_hash_get(&sync->held, record->seen->pk, strlen(record->seen->pk)))
		draft.write_base = false;
	if (status == AMEND_OK && fields->n_puts)
		status = keep_puts(sync, fields, &draft, err);
	if (status != AMEND_OK || idle(record, &draft, fields))
		return status;
	action = amend_sync_action(sync, record);
	if (!action)
		return amend_no_memory(err);
	*action = draft;
	if (fields->n_clashes)
		return amend_sync_conflict(
			sync, record, AMEND_CONFLICT_FIELDS, fields->clashes, fields->n_clashes,
			record->overflowed ? "the database does not take the sum" : NULL, err);
	if (!fields->settled)
		return amend_sync_no_conflict(sync, record, "closed", "", err);
	return amend_sync_no_conflict(
		sync, record, "settled",
		sync->options->on_conflict == AMEND_POLICY_INCOMING ? "incoming" : "current", err);
}

static enum amend_status decide_found(struct amend_sync *sync, struct amend_record *record,
				      struct fields *fields, bool *judged, struct amend_error *err)
{
	if (sync->options->create_only) {
		record->fate = AMEND_FATE_SKIPPED;
		return AMEND_OK;
	}
	if (record->shared)
		return decide_shared(sync, record, fields, err);
	record->marked = record->based && record->seen && amend_base_is_marked(record->seen);
	memset(judged, 0, sync->n_used * sizeof(*judged));
	judge_earlier_keys(sync, record, fields, judged);
	if (fields->n_clashes) {
		const char *note = amend_arena_printf(
			&sync->arena, "%s was found by %s, but has another %s than %s",
			record->row->pk, sync->keys[record->found_by].name,
			fields->clashes[0].column, record->key);

		return identity_conflict(sync, record, fields, note, err);
	}
	for (uint32_t u = 0; u < sync->n_used; u++) {
		bool asked = record->asks;
		enum amend_status status;
		enum verdict verdict;

		if (judged[u])
			continue;
		if (amend_sync_in_key(sync, record->found_by, u)) {
			/* It was found by this: equal by the column's own rule. */
			fields->verdicts[u] = SAME;
			fields->take[u] = true;
			continue;
		}
		status = judge_sum(sync, record, u, fields, &verdict, err);
		if (status != AMEND_OK)
			return status;
		if (verdict == LEAVE)
			verdict = judge(sync, record, u);
		fields->verdicts[u] = rule(sync, record, verdict, fields, &fields->take[u]);
		if (record->asks && !asked)
			record->asked = u;
	}
	if (record->asks)
		return AMEND_OK;
	return conclude(sync, record, fields, err);
}

/* The row that the base lies under stands with another first key: edited here, or another record. */
static enum amend_status decide_other(struct amend_sync *sync, struct amend_record *record,
				      struct fields *fields, struct amend_error *err)
{
	const char *pk = record->other->pk;
	void **slot = amend_hash_put(&sync->held, pk, strlen(pk));
	const char *note = amend_arena_printf(
		&sync->arena, "%s was %s of the source; it has another key now", pk, record->key);

	if (!slot)
		return amend_no_memory(err);
	*slot = record;
	for (uint32_t u = 0; u < sync->n_used; u++) {
		if (amend_sync_in_key(sync, record->first, u))
			fields->clashes[fields->n_clashes++] = amend_sync_sides(
				sync, record, record->other->values, u);
	}
	return identity_conflict(sync, record, fields, note, err);
}

/* Deleted here. What the source has changed since is shown, not written. */
static enum amend_status decide_gone(struct amend_sync *sync, struct amend_record *record,
				     struct fields *fields, struct amend_error *err)
{
	bool changed = false;

	for (uint32_t u = 0; u < sync->n_used; u++) {
		struct amend_conflict_field sides = amend_sync_sides(sync, record, NULL, u);

		if (is_absent(record, u))
			continue;
		fields->clashes[fields->n_clashes++] = sides;
		changed = changed || (sync->used[u].update && sides.has_base &&
				      !amend_value_equal(&sides.base, &sides.incoming) &&
				      !amend_sync_in_key(sync, record->first, u));
	}
	if (changed)
		return amend_sync_conflict(sync, record, AMEND_CONFLICT_DELETED, fields->clashes,
					   fields->n_clashes, "deleted here, changed by the source",
					   err);
	record->fate = AMEND_FATE_KEPT;
	return amend_sync_no_conflict(sync, record, "closed", "", err);
}

/* What would let this key create records. */
static enum amend_status refuse_key(struct amend_sync *sync, struct amend_record *record,
				    struct amend_error *err)
{
	const struct amend_sync_key *key = &sync->keys[record->first];
	struct amend_buffer hint = AMEND_BUFFER_INIT;
	enum amend_status status;

	amend_buffer_text(&hint, "CREATE UNIQUE INDEX ");
	for (uint32_t i = 0; i < key->n; i++)
		amend_buffer_printf(&hint, "%s%s", i ? "_" : "",
				    sync->table->columns[key->columns[i]].name);
	amend_buffer_printf(&hint, "_key ON %s (", sync->table->sql);
	for (uint32_t i = 0; i < key->n; i++) {
		amend_buffer_text(&hint, i ? ", " : "");
		amend_quote_name(&hint, sync->db->dialect,
				 sync->table->columns[key->columns[i]].name);
	}
	amend_buffer_char(&hint, ')');
	status = hint.failed
			 ? amend_no_memory(err)
			 : amend_sync_reject(sync, record, err,
					     "no record has this %s, and without a unique index it "
					     "creates none (hint: %s)",
					     key->name, hint.data);
	amend_buffer_release(&hint);
	return status;
}

static enum amend_status decide_create(struct amend_sync *sync, struct amend_record *record,
				       struct fields *fields, struct amend_error *err)
{
	struct amend_action *action;
	enum amend_status status;

	if (sync->options->update_only) {
		record->fate = AMEND_FATE_SKIPPED;
		return AMEND_OK;
	}
	if (!sync->keys[record->first].unique)
		return refuse_key(sync, record, err);
	action = amend_sync_action(sync, record);
	if (!action)
		return amend_no_memory(err);
	for (uint32_t u = 0; u < sync->n_used; u++) {
		uint32_t column = sync->used[u].column;
		bool given = is_absent(record, u) || (sync->table->columns[column].identity &&
						      record->values[u].kind == AMEND_NULL);

		for (size_t i = 0; i < sync->n_on_create; i++)
			given = given || sync->on_create[i].column == column;
		fields->take[u] = !is_absent(record, u);
		if (!given)
			put(fields, column, &record->values[u]);
	}
	for (size_t i = 0; i < sync->n_on_create; i++)
		put(fields, sync->on_create[i].column, &sync->on_create[i].value);
	action->create = true;
	status = keep_puts(sync, fields, action, err);
	if (status == AMEND_OK)
		status = amend_sync_base(sync, record, fields->take, action, err);
	if (status != AMEND_OK)
		return status;
	record->fate = AMEND_FATE_CREATED;
	return amend_sync_no_conflict(sync, record, "closed", "", err);
}

static void reset(const struct amend_sync *sync, struct fields *fields)
{
	fields->n_puts = fields->n_clashes = 0;
	fields->settled = false;
	memset(fields->take, 0, sync->n_used * sizeof(*fields->take));
	memset(fields->verdicts, 0, sync->n_used * sizeof(*fields->verdicts));
}

enum amend_status amend_sync_decide(struct amend_sync *sync, struct amend_error *err)
{
	size_t n_puts = sync->n_used + sync->n_on_create + sync->table->n_columns;
	struct fields fields = {
		.verdicts = calloc(sync->n_used, sizeof(*fields.verdicts)),
		.take = calloc(sync->n_used, sizeof(*fields.take)),
		.sums = calloc(sync->n_used, sizeof(*fields.sums)),
		.puts = calloc(n_puts, sizeof(*fields.puts)),
		.clashes = calloc(sync->n_used, sizeof(*fields.clashes)),
	};
	bool *judged = calloc(sync->n_used, sizeof(*judged));
	enum amend_status status = AMEND_OK;

	if (!fields.verdicts || !fields.take || !fields.sums || !fields.puts || !fields.clashes ||
	    !judged) {
		status = amend_no_memory(err);
		goto out;
	}
	/* Those without a row first: a base that one of them claims is not given to another. */
	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++) {
		struct amend_record *record = sync->list[i];

		if (record->fate != AMEND_FATE_OPEN || record->row)
			continue;
		reset(sync, &fields);
		if (record->other)
			status = decide_other(sync, record, &fields, err);
		else if (record->seen)
			status = decide_gone(sync, record, &fields, err);
		else
			status = decide_create(sync, record, &fields, err);
	}
	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++) {
		struct amend_record *record = sync->list[i];

		if (record->fate != AMEND_FATE_OPEN || !record->row)
			continue;
		reset(sync, &fields);
		status = decide_found(sync, record, &fields, judged, err);
	}
out:
	free(fields.verdicts);
	free(fields.take);
	free(fields.sums);
	free(fields.puts);
	free(fields.clashes);
	free(judged);
	return status;
}
