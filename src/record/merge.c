/*
 * A save against a record that has moved since: what is left to write of it, field by field, and the
 * conflict that keeps it where both changed the same. docs/merge.md has the table.
 * Leaves the rules themselves to src/merge, what is said of a clash to merge_who.c, settling to src/sync/resolve.c.
 */
#include "merge/merge.h"

#include <string.h>

#include "core/json_text.h"
#include "ledger/lease.h"
#include "record/call.h"
#include "record/history.h"

/* How a column is merged: enum amend_merge_by + 1; 0: as a whole. */
enum { AS_A_WHOLE, BY_SUM = AMEND_MERGE_ADD + 1, BY_LINE, BY_KEY };

/* One assignment on its way. */
struct part {
	struct amend_put put; /* what is left to write */
	struct amend_value wanted;
	enum amend_merge_from from;
	const char *why;
	bool counts; /* declared additive: its bounds make a conflict, not a failure */
	bool dropped;
};

struct merging {
	struct amend_call *call;
	const struct amend_value *base, *current; /* `current` NULL: it is deleted */
	const bool *known;                        /* which columns have a base; NULL: all */
	bool by_history; /* its name is from there: who looks whether it is back goes by the key */
	struct part *parts;
	size_t n;
	struct amend_conflict_field *fields;
	struct amend_conflict_terms *terms; /* one a field */
	size_t n_fields;
	size_t clashes, theirs;
};

/* Whether a column's values can be merged so; what can be added up amend_request_puts knows. */
static bool takes(enum amend_merge_by by, enum amend_class class_)
{
	switch (by) {
	case AMEND_MERGE_ADD:
		return true;
	case AMEND_MERGE_LINES:
		return class_ == AMEND_CLASS_TEXT || class_ == AMEND_CLASS_ANY;
	case AMEND_MERGE_KEYS:
		break;
	}
	return class_ == AMEND_CLASS_TEXT || class_ == AMEND_CLASS_ANY || class_ == AMEND_CLASS_JSON;
}

static enum amend_status add_rule(struct amend_call *call, const struct amend_merge_rule *rule,
				  struct amend_error *err)
{
	const struct amend_assign sum = {rule->column, AMEND_ADD, amend_null()};
	struct amend_put scratch = {0};
	enum amend_status status;
	size_t at, n = 0;

	status = amend_table_find(call->table, rule->column, &at, err);
	if (status == AMEND_OK && rule->by == AMEND_MERGE_ADD)
		status = amend_request_puts(call->table, &sum, 1, false, &scratch, &n, err);
	if (status == AMEND_OK && rule->by == AMEND_MERGE_LINES && !amend_merge_has_text())
		status = amend_error_set(err, AMEND_UNSUPPORTED,
					 "%s.%s: this build of amend does not merge text (hint: "
					 "build it with libgit2)",
					 call->table->qualified, rule->column);
	if (status == AMEND_OK && !takes(rule->by, call->table->columns[at].class_))
		status = amend_error_set(
			err, AMEND_INVALID, "%s.%s has type %s: expected %s",
			call->table->qualified, rule->column, call->table->columns[at].type,
			rule->by == AMEND_MERGE_LINES ? "text, to merge it line by line"
						      : "JSON or text, to merge it key by key");
	if (status != AMEND_OK)
		return status;
	if (call->rules[at] != AS_A_WHOLE && call->rules[at] != rule->by + 1)
		return amend_error_set(err, AMEND_INVALID,
				       "column %s is to be merged in two ways: expected one",
				       rule->column);
	call->rules[at] = (unsigned char)(rule->by + 1);
	return AMEND_OK;
}

enum amend_status amend_call_merge_resolve(struct amend_call *call, struct amend_error *err)
{
	const struct amend_write *write = call->write;
	const struct amend_table *table = call->table;
	enum amend_status status = AMEND_OK;
	const bool *additive = NULL;

	if (!call->seen.has_token && call->seen.n_originals == 0)
		return amend_error_set(err, AMEND_INVALID,
				       "merging needs what the record was: a version token, or the "
				       "values it had");
	if (write->compute)
		return amend_error_set(err, AMEND_INVALID,
				       "what a callback computes of the record as it is cannot be "
				       "merged with what it was");
	call->rules = amend_arena_array(call->work.arena, table->n_columns, sizeof(*call->rules));
	if (!call->rules)
		return amend_no_memory(err);
	for (size_t i = 0; i < write->n_rules && status == AMEND_OK; i++)
		status = add_rule(call, &write->rules[i], err);
	if (status == AMEND_OK)
		status = amend_guard_additive(call->db, table, call->work.arena, &additive, err);
	for (size_t i = 0; i < table->n_columns && status == AMEND_OK && additive; i++) {
		if (call->rules[i] == AS_A_WHOLE && additive[i])
			call->rules[i] = BY_SUM;
	}
	for (size_t i = 0; i < table->n_columns && status == AMEND_OK; i++) {
		if (call->rules[i] == AS_A_WHOLE && table->columns[i].class_ == AMEND_CLASS_JSON)
			call->rules[i] = BY_KEY;
	}
	return status;
}

/* ---- one field ---- */

static void clash(struct part *part, const char *why)
{
	part->from = AMEND_FROM_NEITHER;
	part->why = why;
}

/* In the column's own form; what it cannot hold is a clash, for nobody asked for just that. */
static enum amend_status put_merged(struct merging *merging, struct part *part,
				    const struct amend_put *put, struct amend_error *err)
{
	struct amend_call *call = merging->call;
	struct amend_put made = *put;
	enum amend_status status = amend_request_canonical(call->db, call->table, NULL, &made, 1,
							   call->work.arena, err);

	if (status == AMEND_INVALID) {
		clash(part, "the column cannot hold what both come to");
		return AMEND_OK;
	}
	part->put = made;
	return status;
}

/* Declared additive: what the writer added since the base, on top of what is there. */
static enum amend_status judge_sum(struct merging *merging, struct part *part,
				   struct amend_error *err)
{
	struct amend_arena *arena = merging->call->work.arena;
	const struct amend_value *base = &merging->base[part->put.column];
	const struct amend_value *current = &merging->current[part->put.column];
	struct amend_put put = part->put;
	struct amend_value sum;
	enum amend_merged merged;

	part->counts = true;
	part->from = AMEND_FROM_INCOMING;
	/* What is wanted, to the last bit: binary fractions added up may miss it. */
	if (amend_value_equal(base, current))
		return AMEND_OK;
	part->from = AMEND_FROM_SUM;
	put.op = AMEND_ADD;
	merged = amend_merge_difference(base, &part->wanted, arena, &put.value, &part->why);
	if (merged == AMEND_MERGED_CLEAN)
		merged = amend_merge_sum(current, &put.value, arena, &sum, &part->why);
	if (merged == AMEND_MERGED_NO_MEMORY)
		return amend_no_memory(err);
	if (merged == AMEND_MERGED_CLEAN)
		return put_merged(merging, part, &put, err);
	/* Nothing to add up: one of them is NULL, or holds text. */
	part->from = AMEND_FROM_NEITHER;
	return AMEND_OK;
}

static enum amend_status judge_clash(struct merging *merging, struct part *part,
				     struct amend_error *err)
{
	struct amend_arena *arena = merging->call->work.arena;
	const struct amend_value *base = &merging->base[part->put.column];
	const struct amend_value *current = &merging->current[part->put.column];
	unsigned char rule = merging->call->rules[part->put.column];
	struct amend_put put = part->put;
	enum amend_merged merged = AMEND_MERGED_CLASH;

	part->from = AMEND_FROM_NEITHER;
	if (rule == BY_LINE)
		merged = amend_merge_text(base, current, &part->wanted, arena, &put.value,
					  &part->why);
	else if (rule == BY_KEY)
		merged = amend_merge_json(base, current, &part->wanted, arena, &put.value,
					  &part->why);
	if (merged == AMEND_MERGED_NO_MEMORY)
		return amend_no_memory(err);
	if (merged == AMEND_MERGED_CLASH)
		return AMEND_OK;
	part->from = rule == BY_LINE ? AMEND_FROM_LINES : AMEND_FROM_KEYS;
	return put_merged(merging, part, &put, err);
}

static enum amend_status judge(struct merging *merging, struct part *part, struct amend_error *err)
{
	const struct amend_value *base = &merging->base[part->put.column];
	const struct amend_value *current = &merging->current[part->put.column];
	bool theirs = !amend_value_equal(base, current);

	part->from = theirs ? AMEND_FROM_SUM : AMEND_FROM_INCOMING;
	part->dropped = amend_put_adds_nothing(&part->put);
	if (part->put.op == AMEND_ADD)
		return AMEND_OK;
	if (merging->call->rules[part->put.column] == BY_SUM &&
	    !amend_value_equal(base, &part->wanted))
		return judge_sum(merging, part, err);
	switch (amend_merge_field(base, current, &part->wanted)) {
	case AMEND_VERDICT_SAME:
		part->from = AMEND_FROM_BOTH;
		part->dropped = true;
		break;
	case AMEND_VERDICT_CURRENT:
		part->from = AMEND_FROM_CURRENT;
		part->dropped = true;
		break;
	case AMEND_VERDICT_INCOMING:
		part->from = AMEND_FROM_INCOMING;
		break;
	case AMEND_VERDICT_CLASH:
	case AMEND_VERDICT_UNKNOWN:
		return judge_clash(merging, part, err);
	}
	return AMEND_OK;
}

/* What a put makes of `from`, in the column's own form. CONSTRAINT: that is no number to add to. */
static enum amend_status value_of(const struct merging *merging, const struct amend_put *given,
				  const struct amend_value *from, struct amend_value *out,
				  struct amend_error *err)
{
	struct amend_call *call = merging->call;
	struct amend_put put = {.column = given->column, .value = given->value};
	enum amend_merged merged = AMEND_MERGED_CLEAN;
	const char *why = NULL;
	enum amend_status status;

	if (given->op == AMEND_ADD)
		merged = amend_merge_sum(from, &given->value, call->work.arena, &put.value, &why);
	if (merged == AMEND_MERGED_NO_MEMORY)
		return amend_no_memory(err);
	if (merged == AMEND_MERGED_CLASH)
		return amend_error_set(err, AMEND_CONSTRAINT, "%s.%s cannot be added to: %s",
				       call->table->qualified,
				       call->table->columns[put.column].name, why);
	status = amend_request_canonical(call->db, call->table, NULL, &put, 1, call->work.arena,
					 err);
	*out = put.value;
	return status;
}

/* What is added up may leave the bounds that each side kept. */
static enum amend_status judge_bounds(struct merging *merging, struct part *part,
				      struct amend_error *err)
{
	struct amend_call *call = merging->call;
	struct amend_buffer text = AMEND_BUFFER_INIT;
	enum amend_status status;
	bool hold;

	if (part->put.op != AMEND_ADD || part->from == AMEND_FROM_NEITHER)
		return AMEND_OK;
	status = amend_call_bounds_hold(call, &call->row, &part->put, 1, &hold, err);
	if (status != AMEND_OK || hold)
		return status;
	/* What is only to be added has no value yet. Where there was none to add to, the write says so. */
	if (!part->counts) {
		status = value_of(merging, &part->put, &merging->base[part->put.column],
				  &part->wanted, err);
		if (status != AMEND_OK)
			return status == AMEND_CONSTRAINT ? AMEND_OK : status;
	}
	amend_buffer_text(&text, "it");
	amend_call_bound_text(call, &part->put, &text);
	clash(part, text.failed ? NULL : amend_arena_text_n(call->work.arena, text.data, text.size));
	amend_buffer_release(&text);
	return part->why ? AMEND_OK : amend_no_memory(err);
}

/* Of what is declared additive. What is only to be added is refused by its bounds, unless a conflict tells of more. */
static enum amend_status judge_all_bounds(struct merging *merging, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;
	bool clashes = false;

	for (size_t i = 0; i < merging->n && status == AMEND_OK; i++) {
		if (merging->parts[i].counts)
			status = judge_bounds(merging, &merging->parts[i], err);
		clashes = clashes || merging->parts[i].from == AMEND_FROM_NEITHER;
	}
	for (size_t i = 0; i < merging->n && status == AMEND_OK && clashes; i++) {
		if (!merging->parts[i].dropped)
			status = judge_bounds(merging, &merging->parts[i], err);
	}
	return status;
}

/* ---- what is told of it ---- */

static const struct part *part_of(const struct merging *merging, size_t column)
{
	for (size_t i = 0; i < merging->n; i++) {
		if (merging->parts[i].put.column == column)
			return &merging->parts[i];
	}
	return NULL;
}

/* Every field that either has changed, in the table's order. */
static enum amend_status report(struct merging *merging, struct amend_error *err)
{
	struct amend_call *call = merging->call;
	const struct amend_table *table = call->table;
	struct amend_result *result = call->work.result;
	struct amend_merge_field *fields = amend_arena_array(call->work.arena, table->n_columns,
							     sizeof(*fields));
	size_t n = 0;

	if (!fields)
		return amend_no_memory(err);
	for (size_t i = 0; i < table->n_columns; i++) {
		bool theirs = merging->current &&
			      !amend_value_equal(&merging->base[i], &merging->current[i]);
		const struct part *part = part_of(merging, i);

		if (table->columns[i].generated || (int)i == table->version)
			continue;
		if (!theirs && (!part || part->dropped))
			continue;
		fields[n] = (struct amend_merge_field){.from = AMEND_FROM_CURRENT};
		fields[n].column = amend_arena_text(call->work.arena, table->columns[i].name);
		if (!fields[n].column)
			return amend_no_memory(err);
		if (part && !(part->dropped && part->put.op == AMEND_ADD)) {
			fields[n].from = part->from;
			fields[n].why = part->from == AMEND_FROM_NEITHER ? part->why : NULL;
			merging->clashes += part->from == AMEND_FROM_NEITHER;
		}
		merging->theirs += theirs;
		n++;
	}
	result->merged = fields;
	result->n_merged = n;
	return merging->current && merging->clashes ? amend_call_name_rivals(call, fields, n, err)
						    : AMEND_OK;
}

/* ---- the conflict ---- */

static enum amend_status keep(struct merging *merging, struct amend_error *err)
{
	struct amend_call *call = merging->call;
	enum amend_status status = AMEND_OK;

	merging->fields = amend_arena_array(call->work.arena, merging->n, sizeof(*merging->fields));
	merging->terms = amend_arena_array(call->work.arena, merging->n, sizeof(*merging->terms));
	if (!merging->fields || !merging->terms)
		return amend_no_memory(err);
	for (size_t i = 0; i < merging->n && status == AMEND_OK; i++) {
		const struct part *part = &merging->parts[i];
		uint32_t column = part->put.column;
		struct amend_conflict_field *field = &merging->fields[merging->n_fields];

		if (part->dropped)
			continue;
		*field = (struct amend_conflict_field){
			.column = call->table->columns[column].name,
			.has_base = !merging->known || merging->known[column],
			.base = merging->base[column],
			.incoming = part->wanted,
		};
		merging->terms[merging->n_fields] = (struct amend_conflict_terms){
			.adds = part->put.op == AMEND_ADD || call->rules[column] == BY_SUM,
			.min = part->put.min,
			.max = part->put.max,
		};
		if (merging->current)
			field->current = merging->current[column];
		/* What does not clash is known by base and current being alike. */
		if (merging->current && part->from != AMEND_FROM_NEITHER) {
			field->base = field->current;
			status = value_of(merging, &part->put, &field->current, &field->incoming,
					  err);
		}
		merging->n_fields++;
	}
	return status;
}

/* {"sku":42}: the key as the caller gave it. */
static const char *key_text(const struct amend_call *call)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const struct amend_request_key *key = &call->keys[0];
	const char *copy;

	for (size_t i = 0; i < call->n_keys; i++) {
		if (!call->keys[i].blank) {
			key = &call->keys[i];
			break;
		}
	}
	amend_buffer_char(&text, '{');
	for (size_t i = 0; i < key->n; i++) {
		const struct amend_column *column = &call->table->columns[key->columns[i]];

		amend_buffer_text(&text, i ? "," : "");
		amend_json_string(&text, column->name, strlen(column->name));
		amend_buffer_char(&text, ':');
		amend_json_value(&text, &key->values[i], column->class_);
	}
	amend_buffer_char(&text, '}');
	copy = text.failed ? NULL : amend_arena_text_n(call->work.arena, text.data, text.size);
	amend_buffer_release(&text);
	return copy;
}

static void add_reason(struct amend_buffer *note, const struct amend_merge_field *field)
{
	if (field->from == AMEND_FROM_NEITHER && field->why)
		amend_buffer_printf(note, "%s%s: %s", note->size ? "; " : "", field->column,
				    field->why);
}

static enum amend_status store(struct merging *merging, enum amend_conflict_kind kind,
			       const char *pk, struct amend_error *err)
{
	struct amend_call *call = merging->call;
	struct amend_result *result = call->work.result;
	struct amend_buffer note = AMEND_BUFFER_INIT;
	struct amend_conflict_spec spec = {
		.source = "",
		.table = call->table,
		.kind = kind,
		.pk = pk,
		.first_key = pk && !merging->by_history ? pk : key_text(call),
		.fields = merging->fields,
		.terms = merging->terms,
		.n_fields = merging->n_fields,
	};
	enum amend_status status = amend_ledger_need(call->db, err);

	result->outcome = AMEND_IS_NOTHING;
	for (size_t i = 0; i < result->n_merged; i++)
		add_reason(&note, &result->merged[i]);
	if (kind == AMEND_CONFLICT_DELETED)
		amend_buffer_text(&note, "deleted by others since it was loaded");
	spec.note = amend_buffer_string(&note);
	if (status == AMEND_OK && (!spec.note || !spec.first_key))
		status = amend_no_memory(err);
	/* Whoever has lost the lease leaves nothing here either. */
	if (status == AMEND_OK && pk && amend_lease_concerns(call->db, call->table, pk))
		status = amend_lease_pass(call->db, call->table, pk, err);
	if (status == AMEND_OK)
		status = amend_conflict_store(call->db, &spec, &result->conflict, err);
	amend_buffer_release(&note);
	if (status != AMEND_OK)
		return status;
	result->outcome = AMEND_IS_CONFLICT;
	call->clashed = true;
	return AMEND_OK;
}

/* In the words there are, and why nothing was merged. */
static enum amend_status no_base(struct amend_error *err)
{
	const struct amend_error stale = *err;

	return amend_error_set(err, AMEND_STALE,
			       "%s; what it was then is not in its history, so there is nothing to "
			       "merge from",
			       stale.text);
}

enum amend_status amend_call_merge(struct amend_call *call, struct amend_error *err)
{
	struct amend_result *result = call->work.result;
	struct merging merging = {
		.call = call,
		.base = result->base,
		.current = call->row.values,
		.parts = amend_arena_array(call->work.arena, call->n_puts, sizeof(struct part)),
		.n = call->n_puts,
	};
	enum amend_status status = AMEND_OK;
	struct amend_put *left;

	if (!merging.base)
		return no_base(err);
	if (!merging.parts)
		return amend_no_memory(err);
	result->outcome = AMEND_IS_NOTHING; /* stale it is no more */
	for (size_t i = 0; i < merging.n && status == AMEND_OK; i++) {
		struct part *part = &merging.parts[i];

		part->put = call->puts[i];
		part->wanted = call->puts[i].value;
		status = judge(&merging, part, err);
	}
	if (status == AMEND_OK)
		status = judge_all_bounds(&merging, err);
	if (status == AMEND_OK)
		status = report(&merging, err);
	if (status != AMEND_OK)
		return status;
	if (merging.clashes > 0) {
		status = keep(&merging, err);
		if (status == AMEND_OK)
			status = store(&merging, AMEND_CONFLICT_SAVE, call->row.pk, err);
		if (status == AMEND_OK)
			amend_call_say_clash(call);
		return status;
	}
	call->n_puts = 0;
	for (size_t i = 0; i < merging.n; i++) {
		if (!merging.parts[i].dropped)
			call->puts[call->n_puts++] = merging.parts[i].put;
	}
	left = amend_arena_array(call->work.arena, call->n_puts, sizeof(*left));
	if (!left)
		return amend_no_memory(err);
	memcpy(left, call->puts, call->n_puts * sizeof(*left));
	call->left = left;
	call->n_left = call->n_puts;
	result->outcome = merging.theirs > 0 ? AMEND_IS_MERGED : AMEND_IS_UPDATED;
	return AMEND_OK;
}

/* ---- a record that is gone ---- */

/* As the caller gave it: what it did not name is not known. */
static enum amend_status base_of_originals(struct merging *merging, struct amend_error *err)
{
	struct amend_call *call = merging->call;
	struct amend_value *base = amend_arena_array(call->work.arena, call->table->n_columns,
						     sizeof(*base));
	bool *known = amend_arena_array(call->work.arena, call->table->n_columns, sizeof(*known));
	enum amend_status status;

	if (!base || !known)
		return amend_no_memory(err);
	status = amend_request_canonical(call->db, call->table, NULL, call->seen.originals,
					 call->seen.n_originals, call->work.arena, err);
	for (size_t i = 0; i < call->seen.n_originals; i++) {
		base[call->seen.originals[i].column] = call->seen.originals[i].value;
		known[call->seen.originals[i].column] = true;
	}
	merging->base = base;
	merging->known = known;
	return status;
}

/* By its key where that names it; else by what is known of it, or where little is by its deletion. */
static enum amend_status name_of_gone(struct merging *merging, bool proven, const char **pk,
				      struct amend_error *err)
{
	struct amend_call *call = merging->call;
	struct amend_buffer text = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	*pk = NULL;
	for (size_t i = 0; i < call->n_keys && status == AMEND_OK && !*pk; i++) {
		if (!call->keys[i].blank)
			status = amend_request_pk(call->db, call->table, &call->keys[i],
						  call->work.arena, pk, err);
	}
	if (status != AMEND_OK || *pk)
		return status;
	if (!proven || call->table->n_identity == 0) {
		for (size_t i = 0; i < call->n_keys && status == AMEND_OK && !*pk; i++) {
			if (!call->keys[i].blank)
				status = amend_history_deleted(call->db, call->table, &call->keys[i],
							       call->work.arena, pk, err);
		}
		merging->by_history = *pk != NULL;
		return status;
	}
	amend_pk_text(&text, call->table, merging->base, NULL);
	*pk = text.failed ? NULL : amend_arena_text_n(call->work.arena, text.data, text.size);
	amend_buffer_release(&text);
	return *pk ? AMEND_OK : amend_no_memory(err);
}

/* What was to be written of it. `*lost`: something was to be added to what is not known, or is no number. */
static enum amend_status part_of_gone(struct merging *merging, const struct amend_put *put,
				      bool *lost, struct amend_error *err)
{
	struct amend_call *call = merging->call;
	struct part *part = &merging->parts[merging->n];
	const struct amend_value *base = &merging->base[put->column];
	enum amend_merged merged = AMEND_MERGED_CLEAN;
	const char *why = NULL;

	*part = (struct part){.put = *put, .wanted = put->value, .from = AMEND_FROM_NEITHER};
	if (put->op == AMEND_ADD)
		merged = amend_merge_sum(base, &put->value, call->work.arena, &part->wanted, &why);
	if (merged == AMEND_MERGED_NO_MEMORY)
		return amend_no_memory(err);
	*lost = *lost || merged == AMEND_MERGED_CLASH;
	if ((merging->known && !merging->known[put->column]) ||
	    !amend_value_equal(base, &part->wanted))
		merging->n++;
	return AMEND_OK;
}

enum amend_status amend_call_merge_gone(struct amend_call *call, struct amend_error *err)
{
	const struct amend_error gone = *err;
	bool proven = call->work.result->base != NULL, lost = false;
	struct merging merging = {
		.call = call,
		.base = call->work.result->base,
		.parts = amend_arena_array(call->work.arena, call->n_set, sizeof(struct part)),
	};
	const char *pk = NULL;
	enum amend_status status = AMEND_OK;

	if (!merging.parts)
		return amend_no_memory(err);
	/* With a token only history tells what it saw. */
	if (!proven && (call->seen.has_token || call->seen.n_originals == 0))
		return gone.status;
	if (!proven)
		status = base_of_originals(&merging, err);
	memcpy(call->puts, call->set, call->n_set * sizeof(*call->puts));
	call->n_puts = call->n_set;
	if (status == AMEND_OK)
		status = amend_call_bounds(call, err);
	if (status == AMEND_OK)
		status = amend_request_canonical(call->db, call->table, NULL, call->puts,
						 call->n_set, call->work.arena, err);
	for (size_t i = 0; i < call->n_set && status == AMEND_OK; i++)
		status = part_of_gone(&merging, &call->puts[i], &lost, err);
	if (status != AMEND_OK)
		return status;
	status = name_of_gone(&merging, proven, &pk, err);
	if (status != AMEND_OK)
		return status;
	/* The key may be another record's than the token. */
	if (merging.n == 0 || lost ||
	    (proven && pk && !amend_token_names(&call->seen.token, call->table, pk))) {
		*err = gone;
		return gone.status;
	}
	status = report(&merging, err);
	if (status == AMEND_OK)
		status = keep(&merging, err);
	if (status == AMEND_OK)
		status = store(&merging, AMEND_CONFLICT_DELETED, pk, err);
	if (status == AMEND_OK)
		amend_call_say_gone(call);
	return status;
}
