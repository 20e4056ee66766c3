/* Writes under an operation's id; for src/record. */
#ifndef AMEND_RECORD_ONCE_H
#define AMEND_RECORD_ONCE_H

#include "record/call.h"

/* Whether the call is to go under an id, given or made up; `expect` may be NULL. */
bool amend_call_wants_once(const struct amend_call *call, const struct amend_expect *expect);

/* Goes `road` (with the call, in a unit) under the id, unless that was done before; sets the result's outcome and id. */
enum amend_status amend_call_once(struct amend_call *call, const struct amend_match *keys,
				  size_t n_keys, const struct amend_expect *expect,
				  amend_unit_fn road, struct amend_error *err) AMEND_CHECK;

#endif
