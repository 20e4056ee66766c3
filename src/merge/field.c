/*
 * A field as a whole: who has moved it.
 * Leaves merging within it to number.c, text.c and json.c.
 */
#include "merge/merge.h"

enum amend_verdict amend_merge_field(const struct amend_value *base,
				     const struct amend_value *current,
				     const struct amend_value *incoming)
{
	if (amend_value_equal(current, incoming))
		return AMEND_VERDICT_SAME;
	if (!base)
		return current->kind == AMEND_NULL ? AMEND_VERDICT_INCOMING : AMEND_VERDICT_UNKNOWN;
	if (amend_value_equal(base, incoming))
		return AMEND_VERDICT_CURRENT;
	return amend_value_equal(base, current) ? AMEND_VERDICT_INCOMING : AMEND_VERDICT_CLASH;
}
