/* Filling in the caller's amend_result; for src/record and src/sync. */
#ifndef AMEND_RECORD_RESULT_H
#define AMEND_RECORD_RESULT_H

#include "record/road.h"

/* A result under construction: its memory, emptied when a unit runs again. */
struct amend_outcome_work {
	struct amend_arena *arena; /* becomes result->owner */
	struct amend_result *result;
};

enum amend_status amend_result_begin(struct amend_result *result, struct amend_outcome_work *work,
				     struct amend_error *err) AMEND_CHECK;

/* Forgets what an earlier try of the same call filled in. */
void amend_result_reset(struct amend_outcome_work *work);

/* The changed fields between two states, either NULL. */
enum amend_status amend_result_changes(struct amend_outcome_work *work,
				       const struct amend_table *table,
				       const struct amend_value *before,
				       const struct amend_value *after,
				       struct amend_error *err) AMEND_CHECK;

/* The outcome of a status that is not OK, where the road has not set one. */
void amend_result_status(struct amend_result *result, enum amend_status status);

#endif
