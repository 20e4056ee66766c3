/*
 * Results: outcomes by name, their memory, the changed fields.
 * Leaves deciding the outcome to the road.
 */
#include "record/result.h"

#include <stdlib.h>
#include <string.h>

const char *amend_outcome_name(enum amend_outcome outcome)
{
	switch (outcome) {
	case AMEND_IS_NOTHING:
		return "failed";
	case AMEND_IS_FOUND:
		return "found";
	case AMEND_IS_CREATED:
		return "created";
	case AMEND_IS_UPDATED:
		return "updated";
	case AMEND_IS_UNCHANGED:
		return "unchanged";
	case AMEND_IS_MERGED:
		return "merged";
	case AMEND_IS_DELETED:
		return "deleted";
	case AMEND_IS_STALE:
		return "stale";
	case AMEND_IS_MISSING:
		return "missing";
	case AMEND_IS_LOCKED:
		return "locked";
	case AMEND_IS_SKIPPED:
		return "skipped";
	case AMEND_IS_CONFLICT:
		return "conflict";
	case AMEND_IS_REJECTED:
		return "rejected";
	}
	return "?";
}

const char *amend_merge_from_name(enum amend_merge_from from)
{
	switch (from) {
	case AMEND_FROM_CURRENT:
		return "current";
	case AMEND_FROM_INCOMING:
		return "incoming";
	case AMEND_FROM_BOTH:
		return "both";
	case AMEND_FROM_SUM:
		return "sum";
	case AMEND_FROM_LINES:
		return "lines";
	case AMEND_FROM_KEYS:
		return "keys";
	case AMEND_FROM_NEITHER:
		return "conflict";
	}
	return "?";
}

enum amend_status amend_result_begin(struct amend_result *result, struct amend_outcome_work *work,
				     struct amend_error *err)
{
	*result = (struct amend_result)AMEND_RESULT_INIT;
	work->result = result;
	work->arena = calloc(1, sizeof(*work->arena));
	if (!work->arena)
		return amend_no_memory(err);
	result->owner = work->arena;
	return AMEND_OK;
}

void amend_result_reset(struct amend_outcome_work *work)
{
	*work->result = (struct amend_result)AMEND_RESULT_INIT;
	work->result->owner = work->arena;
}

void amend_result_release(struct amend_result *result)
{
	if (result->owner) {
		amend_arena_release(result->owner);
		free(result->owner);
	}
	*result = (struct amend_result)AMEND_RESULT_INIT;
}

enum amend_status amend_result_changes(struct amend_outcome_work *work,
				       const struct amend_table *table,
				       const struct amend_value *before,
				       const struct amend_value *after, struct amend_error *err)
{
	struct amend_change *changes = amend_arena_array(work->arena, table->n_columns,
							 sizeof(*changes));
	size_t n = 0;

	if (!changes)
		return amend_no_memory(err);
	for (size_t i = 0; i < table->n_columns; i++) {
		struct amend_change change = {.column = table->columns[i].name};

		if (before)
			change.before = before[i];
		if (after)
			change.after = after[i];
		if (table->columns[i].generated || amend_value_equal(&change.before, &change.after))
			continue;
		changes[n].column = amend_arena_text(work->arena, change.column);
		if (!changes[n].column)
			return amend_no_memory(err);
		changes[n].before = change.before;
		changes[n++].after = change.after;
	}
	work->result->changes = changes;
	work->result->n_changes = n;
	return AMEND_OK;
}

static bool is_success(enum amend_outcome outcome)
{
	switch (outcome) {
	case AMEND_IS_FOUND:
	case AMEND_IS_CREATED:
	case AMEND_IS_UPDATED:
	case AMEND_IS_UNCHANGED:
	case AMEND_IS_MERGED:
	case AMEND_IS_DELETED:
	case AMEND_IS_SKIPPED:
		return true;
	case AMEND_IS_NOTHING:
	case AMEND_IS_STALE:
	case AMEND_IS_MISSING:
	case AMEND_IS_LOCKED:
	case AMEND_IS_CONFLICT:
	case AMEND_IS_REJECTED:
		break;
	}
	return false;
}

void amend_result_status(struct amend_result *result, enum amend_status status)
{
	/* What was written was undone, or nobody knows: the unit failed after the road had its outcome. */
	if (status != AMEND_OK &&
	    (is_success(result->outcome) || (result->conflict && status != AMEND_CONFLICT)))
		*result = (struct amend_result){.owner = result->owner};
	if (result->outcome != AMEND_IS_NOTHING)
		return;
	switch (status) {
	case AMEND_NOT_FOUND:
		result->outcome = AMEND_IS_MISSING;
		break;
	case AMEND_STALE:
		result->outcome = AMEND_IS_STALE;
		break;
	case AMEND_EXISTS:
	case AMEND_CONFLICT:
		result->outcome = AMEND_IS_CONFLICT;
		break;
	case AMEND_LOCKED:
		result->outcome = AMEND_IS_LOCKED;
		break;
	case AMEND_CONSTRAINT:
	case AMEND_INVALID:
		result->outcome = AMEND_IS_REJECTED;
		break;
	case AMEND_OK:
	case AMEND_RETRY:
	case AMEND_OUTCOME_UNKNOWN:
	case AMEND_UNREACHABLE:
	case AMEND_DENIED:
	case AMEND_UNSUPPORTED:
	case AMEND_INTERRUPTED:
	case AMEND_NO_MEMORY:
	case AMEND_INTERNAL:
		break;
	}
}
