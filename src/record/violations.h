/* What stands in the way of a write of the road, once the engine has refused it; for src/record and the layers above. */
#ifndef AMEND_RECORD_VIOLATIONS_H
#define AMEND_RECORD_VIOLATIONS_H

#include "record/road.h"
#include "sql/violations.h"

struct amend_call; /* record/call.h */

/*
 * Asks for all of it: of an update or deletion `row` is the record as it is now; NULL: it is to be
 * created. `puts` as they were asked for, canonical or not; none, with `row`: it is to be deleted. Not in a unit that has
 * failed, nor one that wrote this row already.
 */
enum amend_status amend_row_violations(struct amend_conn *db, const struct amend_table *table,
				       const struct amend_row *row, const struct amend_put *puts,
				       size_t n_puts, struct amend_violations *list,
				       struct amend_error *err) AMEND_CHECK;

/* Whether the refusal is the engine's, of what was to be written: there may be more to it. */
bool amend_violations_worth(const struct amend_error *err);

/* ..and of a call that ended so: into its result. Whatever fails here, the call has failed already. */
void amend_call_explain(struct amend_call *call, const struct amend_error *err);

#endif
